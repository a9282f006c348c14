use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use super::*;
use crate::store::schema;

/// The directory in which a child of the test works, and after how many steps it is to end as if it were killed.
const CHILD: &str = "SEALIFT_TEST_BACKUP_IN";
const STEPS: &str = "SEALIFT_TEST_BACKUP_STEPS";

/// A data directory with some blobs, and a directory for copies of it.
struct Site {
    folder: PathBuf,
    source: DataDirectory,
    catalog: Connection,
}

impl Site {
    fn new(folder: &Path) -> Self {
        let (source, _) = DataDirectory::open_or_initialise(&folder.join("data"), SystemTime::now()).unwrap();
        Self::open(folder, source)
    }

    fn again(folder: &Path) -> Self {
        Self::open(folder, DataDirectory::open(&folder.join("data")).unwrap())
    }

    fn open(folder: &Path, source: DataDirectory) -> Self {
        let catalog = schema::open(&source.catalog()).unwrap();
        Self { folder: folder.to_owned(), source, catalog }
    }

    fn copy(&self) -> PathBuf {
        self.folder.join("copy")
    }

    fn add(&self, content: &[u8]) -> Digest {
        let digest = Digest::of(content);
        let path = path_below(&self.source.0.join("blobs"), &digest);
        create_private_dir(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        let size = i64::try_from(content.len()).unwrap();
        let row = rusqlite::params![digest.as_bytes(), size];
        self.catalog.execute("INSERT INTO blobs (digest, size) VALUES (?1, ?2)", row).unwrap();
        digest
    }

    fn remove(&self, digest: &Digest) {
        self.catalog.execute("DELETE FROM blobs WHERE digest = ?1", [digest.as_bytes()]).unwrap();
        fs::remove_file(path_below(&self.source.0.join("blobs"), digest)).unwrap();
    }

    fn take(&self, verify: bool) -> BackupSummary {
        take(&self.source, &self.catalog, &self.copy(), verify).unwrap()
    }

    fn copied(&self, digest: &Digest) -> PathBuf {
        path_below(&self.copy().join("blobs"), digest)
    }
}

/// Whether the copy is a data directory with every blob that its own catalog knows, byte for byte.
fn is_whole(copy: &Path) -> bool {
    let Ok(copy) = DataDirectory::open(copy) else { return false };
    let catalog = schema::open(&copy.catalog()).unwrap();
    files_of(&catalog).unwrap().iter().all(|(digest, _)| {
        fs::read(path_below(&copy.0.join("blobs"), digest)).is_ok_and(|bytes| Digest::of(&bytes) == *digest)
    })
}

/// All names below a directory.
fn names(directory: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            names.extend(self::names(&path));
        }
        names.push(path.display().to_string());
    }
    names.sort();
    names
}

/// Not a test of its own: the process that the test below kills.
#[test]
fn a_backup_that_ends_after_some_steps() {
    let (Some(folder), Some(steps)) = (std::env::var_os(CHILD), std::env::var_os(STEPS)) else { return };
    let site = Site::again(Path::new(&folder));
    let left = AtomicU64::new(steps.to_str().unwrap().parse().unwrap());
    let step = || {
        if left.fetch_sub(1, Ordering::Relaxed) == 0 {
            // As `kill -9` does: nothing is put in order.
            std::process::abort();
        }
    };
    take_stepwise(&site.source, &site.catalog, &site.copy(), true, &step).unwrap();
}

/// Takes a backup in a process that ends after so many steps. Returns whether the backup was finished before.
fn interrupted(site: &Site, steps: u64) -> bool {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "data::backup::tests::a_backup_that_ends_after_some_steps"])
        .env(CHILD, &site.folder)
        .env(STEPS, steps.to_string())
        .output()
        .unwrap();
    child.status.success()
}

#[test]
fn a_backup_that_is_killed_at_any_step_goes_on_with_the_next_one() {
    let mut steps = 0;
    loop {
        let folder = tempfile::tempdir().unwrap();
        let site = Site::new(folder.path());
        let contents: Vec<_> = (0..3u8).map(|number| site.add(&[number; 5000])).collect();
        // The first one.
        let is_first_done = interrupted(&site, steps);
        // What a killed write leaves in between.
        for directory in [site.copy(), site.copy().join("pki")] {
            if directory.exists() && !is_first_done {
                fs::write(directory.join(".sealift-left"), "x").unwrap();
            }
        }
        site.take(false);
        assert!(is_whole(&site.copy()), "after {steps} steps of the first one");
        // One that brings it up to date: new, gone, and damaged files.
        site.add(b"new");
        site.remove(&contents[0]);
        fs::write(site.copied(&contents[1]), [9; 5000]).unwrap();
        let is_second_done = interrupted(&site, steps);
        if !is_second_done {
            // Whatever the moment, it is a server with all of the one state or all of the other, but for what was damaged.
            DataDirectory::open(&site.copy()).unwrap();
        }
        site.take(false);
        assert!(is_whole(&site.copy()), "after {steps} steps of the second one");
        let before = names(&site.copy());
        assert!(
            !before.iter().any(|name| name.contains("sealift-left") || name.contains(".new")),
            "{before:?}"
        );
        assert_eq!(site.take(true).copied, 0);
        assert_eq!(names(&site.copy()), before);
        if is_first_done && is_second_done {
            break;
        }
        steps += 1;
    }
    assert!(steps > 15, "it has only {steps} steps");
}

#[test]
fn damaged_copies_are_found_when_they_were_written_to_and_all_of_them_by_verifying() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::new(folder.path());
    let content = [7u8; 100_000];
    let digest = site.add(&content);
    site.take(false);
    let copy = site.copied(&digest);
    let written = fs::metadata(&copy).unwrap().modified().unwrap();
    let mut bytes = content;
    bytes[50_000] ^= 1;
    // Somebody writes to it: the next backup sees that.
    fs::write(&copy, bytes).unwrap();
    let taken = site.take(false);
    assert_eq!((taken.copied, taken.repaired, taken.kept), (1, 1, 0), "{taken:?}");
    assert!(fs::read(&copy).unwrap() == content);
    // It rots: only one that reads finds it.
    fs::write(&copy, bytes).unwrap();
    File::options().write(true).open(&copy).unwrap().set_modified(written).unwrap();
    assert_eq!(site.take(false).kept, 1);
    let taken = site.take(true);
    assert_eq!((taken.copied, taken.repaired), (1, 1), "{taken:?}");
    assert!(fs::read(&copy).unwrap() == content);
    let taken = site.take(true);
    assert_eq!((taken.copied, taken.verified), (0, 1), "{taken:?}");
}

#[test]
fn what_is_damaged_on_the_server_is_told_and_does_not_replace_a_good_copy() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::new(folder.path());
    let (old, rotten) = (site.add(&[1; 5000]), site.add(&[2; 5000]));
    let damage = |digest: &Digest| {
        fs::write(path_below(&site.source.0.join("blobs"), digest), [3; 5000]).unwrap();
    };
    damage(&rotten);
    let taken = site.take(false);
    assert_eq!((taken.copied, taken.damaged.as_slice()), (1, &[rotten][..]), "{taken:?}");
    // What else is in a damaged pack is not lost.
    assert!(fs::read(site.copied(&rotten)).unwrap() == [3; 5000]);
    assert_eq!(site.take(false).damaged, [rotten], "as long as it is so");
    damage(&old);
    assert_eq!(site.take(true).damaged, [rotten]);
    assert!(fs::read(site.copied(&old)).unwrap() == [1; 5000], "the backup has it still");
    fs::write(site.copied(&old), [4; 10]).unwrap();
    let taken = site.take(false);
    assert!(taken.damaged.contains(&old) && taken.copied == 0, "{taken:?}");
}

#[test]
fn contents_in_the_catalog_are_verified_and_a_damaged_catalog_replaces_none() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::new(folder.path());
    let digest = Digest::of(b"small");
    let insert = "INSERT INTO objects (id, digest, size) VALUES (1, ?1, 5)";
    site.catalog.execute(insert, [digest.as_bytes()]).unwrap();
    site.catalog.execute("INSERT INTO contents (object, data) VALUES (1, x'736d616c6c')", []).unwrap();
    assert_eq!(site.take(false).damaged, []);
    site.catalog.execute("UPDATE contents SET data = x'736d616c6d'", []).unwrap();
    assert_eq!(site.take(false).damaged, [digest]);
    let before = fs::read(site.copy().join("catalog.db")).unwrap();
    // A page that two trees claim.
    let sql =
        "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema
               WHERE name = 'spaces') WHERE name = 'grants'; PRAGMA writable_schema = RESET;";
    site.catalog.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_DEFENSIVE, false).unwrap();
    site.catalog.execute_batch(sql).unwrap();
    let refused = take(&site.source, &site.catalog, &site.copy(), false);
    assert!(matches!(refused, Err(BackupError::Catalog { .. })), "{refused:?}");
    assert!(fs::read(site.copy().join("catalog.db")).unwrap() == before);
    assert!(!site.copy().join("catalog.db.new").exists());
}

#[cfg(unix)]
#[test]
fn no_copy_shares_its_inode_with_the_server_not_even_one_of_an_earlier_version() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let folder = tempfile::tempdir().unwrap();
    let site = Site::new(folder.path());
    let digest = site.add(&[1; 5000]);
    let original = path_below(&site.source.0.join("blobs"), &digest);
    site.take(false);
    fs::remove_file(site.copied(&digest)).unwrap();
    fs::hard_link(&original, site.copied(&digest)).unwrap();
    assert_eq!(site.take(false).copied, 1);
    assert_eq!(original.metadata().unwrap().nlink(), 1);
    let before = original.metadata().unwrap().permissions().mode();
    fs::set_permissions(site.copied(&digest), fs::Permissions::from_mode(0o777)).unwrap();
    assert_eq!(original.metadata().unwrap().permissions().mode(), before);
}
