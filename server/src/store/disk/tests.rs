use std::cell::RefCell;
use std::rc::Rc;

use super::*;

fn disk(size: u64, inodes: Option<u64>) -> DiskUsage {
    DiskUsage { free_bytes: size, size_bytes: size, free_inodes: inodes, inodes }
}

#[test]
fn the_reserve_of_a_small_disk_is_small() {
    let on = |size, inodes| ReserveSize::on(&disk(size, inodes), DiskSettings::default());
    assert_eq!(on(64 << 20, Some(60)), ReserveSize { bytes: 4 << 20, inodes: 8 });
    assert_eq!(on(1 << 40, Some(1 << 26)), ReserveSize { bytes: MOST_BYTES, inodes: MOST_INODES });
    assert_eq!(on(1 << 40, None).inodes, 0);
    assert_eq!(on(64 << 20, None).ballast_file() * FILES, 2 << 20);
    assert_eq!(on(1 << 40, None).ballast_file() * FILES, MOST_BALLAST);
}

#[test]
fn the_ballast_takes_up_space_and_comes_back_after_its_release() {
    let dir = tempfile::tempdir().unwrap();
    let reserve = DiskReserve::new(dir.path());
    let each = reserve.look().unwrap().1.ballast_file();
    for _ in 0..2 {
        reserve.restore().unwrap();
        let held = ballast(dir.path());
        assert_eq!((held.files, held.bytes), (FILES, FILES * each));
        #[cfg(unix)]
        for number in 0..FILES {
            use std::os::unix::fs::MetadataExt;
            let facts = fs::metadata(directory(dir.path()).join(number.to_string())).unwrap();
            assert!(facts.blocks() * 512 >= each, "{} blocks", facts.blocks());
        }
        reserve.release();
        assert_eq!(ballast(dir.path()).files, 0);
    }
    let mut bytes = Vec::new();
    write_incompressible(&mut bytes, 1001).unwrap();
    assert_eq!(bytes.len(), 1001);
}

#[test]
fn what_was_granted_counts_until_it_is_given_back() {
    let dir = tempfile::tempdir().unwrap();
    let reserve = DiskReserve::new(dir.path());
    let (disk, kept) = reserve.look().unwrap();
    let most = (disk.free_bytes - kept.bytes) / 2;
    let first = reserve.grant(most, 1).unwrap();
    let refused = reserve.grant(most + (64 << 20), 0).unwrap_err().to_wire();
    assert_eq!(refused.code, ErrorCode::NoSpace);
    assert!(refused.message.contains("disk.reserve") && reserve.refused()[0].get() == 1);
    drop(first);
    drop(reserve.grant(most + (64 << 20), 0).unwrap());
    let grants = reserve.grants();
    assert_eq!(grants.with(0, grants.returned), 0);
}

thread_local! {
    /// What happens on this thread during the next look at the disk.
    static MEANWHILE: RefCell<Option<Box<dyn FnOnce()>>> = RefCell::default();
}

fn slow_disk(_: &Path) -> Result<DiskUsage> {
    if let Some(meanwhile) = MEANWHILE.take() {
        meanwhile();
    }
    Ok(disk(1 << 30, None))
}

fn unknown_disk(path: &Path) -> Result<DiskUsage> {
    Err(ServerError::file(path)(io::ErrorKind::Unsupported.into()))
}

/// Also: no lock is held during the look, or this test never ends.
#[test]
fn an_upload_that_is_too_large_for_any_disk_fails_alone() {
    let dir = tempfile::tempdir().unwrap();
    let reserve = DiskReserve::looking_with(dir.path(), slow_disk);
    for absurd in [(1 << 62), (1 << 63), u64::MAX] {
        let other = reserve.clone();
        MEANWHILE.set(Some(Box::new(move || drop(other.grant(1 << 20, 1).unwrap()))));
        assert_eq!(reserve.grant(absurd, 1).unwrap_err().to_wire().code, ErrorCode::NoSpace);
        assert!(MEANWHILE.take().is_none());
    }
    let reserve = DiskReserve::looking_with(dir.path(), unknown_disk);
    let _large = reserve.grant(i64::MAX as u64, 0).unwrap();
    assert_eq!(reserve.grant(1, 0).unwrap_err().to_wire().code, ErrorCode::NoSpace);
}

/// Between them they would take more than there is.
#[test]
fn bytes_that_are_granted_or_written_during_a_look_count() {
    let dir = tempfile::tempdir().unwrap();
    let reserve = DiskReserve::looking_with(dir.path(), slow_disk);
    let most = (1 << 30) - reserve.look().unwrap().1.bytes;
    let (held, other) = (reserve.grant(most / 2, 0).unwrap(), reserve.clone());
    let second = Rc::new(RefCell::new(None));
    let here = second.clone();
    MEANWHILE.set(Some(Box::new(move || {
        drop(held);
        *here.borrow_mut() = Some(other.grant(most / 2, 0).unwrap());
    })));
    reserve.grant(1 << 20, 0).unwrap_err();
    assert!(second.take().is_some());
    reserve.grant(1 << 20, 0).unwrap();
}

#[test]
fn without_a_reserve_there_is_no_ballast() {
    let dir = tempfile::tempdir().unwrap();
    DiskReserve::new(dir.path()).restore().unwrap();
    assert_eq!(ballast(dir.path()).files, FILES);
    let reserve = DiskReserve::new(dir.path());
    reserve.follow(crate::config::ServerConfig::from_toml("disk.reserve = 0").unwrap().into());
    reserve.restore().unwrap();
    assert_eq!(ballast(dir.path()).files, 0);
}
