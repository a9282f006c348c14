use std::fs;
use std::time::{Duration, UNIX_EPOCH};

use super::*;
use crate::local::{CommittingFile, commit};

fn content(mtime: Nanoseconds, executable: bool) -> Content {
    Content { size: 3, sha256: Digest::of(b"abc"), mtime, executable, offset: 0 }
}

fn site(path: &Path) -> FileSite {
    FileSite::named(path, &Arc::default()).unwrap()
}

fn land(target: DownloadTarget) {
    commit(vec![CommittingFile::Target(target)]).pop().unwrap().unwrap();
}

/// Writes a small content, and returns what was refused.
fn write(path: &Path, content: &Content) -> Option<TransferError> {
    let (target, wanting) = DownloadTarget::whole(&site(path), b"abc", content).unwrap();
    land(target);
    wanting
}

#[cfg(unix)]
#[test]
fn what_could_not_be_synced_is_not_continued() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x");
    let content = Content { size: WORTH_KEEPING, ..content(0, false) };
    let (mut target, mut file) = DownloadTarget::open(&site(&path), &content).unwrap();
    file.write_all(b"abc").unwrap();
    assert!(target.kept);
    // Nobody can sync a device that keeps nothing.
    target.lock = Some(File::open("/dev/null").unwrap());
    let committed = super::super::commit(vec![super::super::CommittingFile::Target(target)]);
    assert!(matches!(&committed[..], [Err(TransferError::Local { .. })]), "{committed:?}");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn what_is_worth_it_is_kept_for_the_next_attempt() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x");
    let content = Content { size: WORTH_KEEPING, ..content(0, false) };
    let (target, mut file) = DownloadTarget::open(&site(&path), &content).unwrap();
    file.write_all(b"abc").unwrap();
    // Another process does not disturb the one that has it.
    let (other, _) = DownloadTarget::open(&site(&path), &content).unwrap();
    assert!(!other.kept);
    drop((target, file, other));
    assert_eq!(super::super::PartialDownloads::default().of(&path), Some(content.sha256));
    let (target, file) = DownloadTarget::open(&site(&path), &content).unwrap();
    assert_eq!(file.metadata().unwrap().len(), 3);
    assert!(target.dress(&file, &content).unwrap().is_none());
    land(target);
    assert_eq!(fs::read(&path).unwrap(), b"abc");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    let (target, _) = DownloadTarget::open(&site(&path), &content).unwrap();
    target.discard();
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn what_was_left_of_another_content_goes_with_the_next_one() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x");
    let part = |name: &str, content: &[u8]| directory.path().join(part_name(name, &Digest::of(content)));
    for (name, content) in [("x", &b"older"[..]), ("x", b"oldest"), ("x", b"busy"), ("y", b"older")] {
        fs::write(part(name, content), b"part").unwrap();
    }
    let busy = File::open(part("x", b"busy")).unwrap();
    busy.lock().unwrap();
    write(&path, &content(0, false));
    let left = |name, content: &[u8]| part(name, content).exists();
    assert!(!left("x", b"older") && !left("x", b"oldest"), "superseded");
    assert!(left("x", b"busy"), "another process writes it");
    assert!(left("y", b"older"), "another file's");
}

#[test]
fn what_is_not_committed_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x");
    let content = content(0, false);
    let (target, mut file) = DownloadTarget::open(&site(&path), &content).unwrap();
    file.write_all(b"abc").unwrap();
    drop(target);
    drop(DownloadTarget::whole(&site(&path), b"abc", &content).unwrap());
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    assert!(FileSite::named(&directory.path().join("no/x"), &Arc::default()).is_err());
}

#[test]
fn long_names_have_room_for_their_temporary_ones() {
    let directory = tempfile::tempdir().unwrap();
    let name = "é".repeat(127);
    let path = directory.path().join(&name);
    write(&path, &content(0, false));
    assert_eq!(fs::read(&path).unwrap(), b"abc");
    // File systems that encrypt names have room for fewer bytes.
    assert!(part_name(&name, &Digest::of(b"")).len() <= 143);
    assert!(temporary_name().len() <= 143);
}

#[cfg(unix)]
#[test]
fn files_get_time_and_permissions_and_replace_links_not_what_they_lead_to() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let directory = tempfile::tempdir().unwrap();
    let (path, other) = (directory.path().join("x"), directory.path().join("other"));
    fs::write(&other, b"keep").unwrap();
    symlink(&other, &path).unwrap();
    write(&path, &content(5_000_000_007, true));
    let metadata = path.symlink_metadata().unwrap();
    assert!(metadata.is_file());
    assert_eq!(metadata.modified().unwrap(), UNIX_EPOCH + Duration::new(5, 7));
    // The other time is not what some file systems make of a time to be left alone.
    assert!(metadata.accessed().unwrap() > UNIX_EPOCH + Duration::from_secs(1_000_000_000));
    assert_eq!(metadata.permissions().mode() & 0o700, 0o700);
    assert_eq!(fs::read(&other).unwrap(), b"keep");

    let plain = directory.path().join("plain");
    fs::write(&plain, b"").unwrap();
    for size in [3, WORTH_KEEPING] {
        fs::remove_file(&path).unwrap();
        let content = Content { size, ..content(0, false) };
        if size == 3 {
            write(&path, &content);
        } else {
            let (target, file) = DownloadTarget::open(&site(&path), &content).unwrap();
            assert_eq!(file.metadata().unwrap().permissions().mode() & 0o077, 0);
            target.dress(&file, &content).unwrap();
            land(target);
        }
        assert_eq!(path.metadata().unwrap().permissions(), plain.metadata().unwrap().permissions());
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_file_looks_like_the_one_that_it_replaces() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};

    use rustix::fs::{XattrFlags, getxattr, setxattr};
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x");
    for (large, mode, executable, becomes) in [
        (false, 0o600, false, 0o600),
        (true, 0o600, false, 0o600),
        (false, 0o640, true, 0o750),
        (true, 0o4755, true, 0o755),
        (false, 0o755, false, 0o644),
    ] {
        fs::write(&path, b"old").unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        // Not everywhere are there attributes, and not everybody may give files away.
        let marked = setxattr(&path, "user.mark", b"m", XattrFlags::empty()).is_ok();
        let given = chown(&path, Some(12), Some(34)).is_ok();
        let size = if large { WORTH_KEEPING } else { 3 };
        let content = Content { size, ..content(0, executable) };
        if large {
            let (target, file) = DownloadTarget::open(&site(&path), &content).unwrap();
            assert!(target.dress(&file, &content).unwrap().is_none());
            land(target);
        } else {
            assert!(write(&path, &content).is_none());
        }
        let is = path.metadata().unwrap();
        assert_eq!(is.mode() & 0o7777, becomes, "{mode:o}");
        if given {
            assert_eq!((is.uid(), is.gid()), (12, 34));
        }
        if marked {
            let mut value = [0; 8];
            assert_eq!(getxattr(&path, "user.mark", &mut value).unwrap(), 1);
        }
        assert_ne!(fs::read(&path).unwrap(), b"old");
    }
}
