//! A disk of a few MiB, or of a few files.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sealift_server::store::disk::DiskUsage;

/// Says, to the process of a test, where its disk is.
const VARIABLE: &str = "SEALIFT_TEST_DISK";

/// A file system in memory. A test that needs one runs in a process and a namespace of its own, so that it needs no
/// rights, and the disk goes with the process.
#[derive(Debug)]
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// A disk of so many bytes and inodes for the test of this name. `None` if the test has run elsewhere by now, or if
    /// the system lets nobody mount a disk, which is said.
    pub fn new(bytes: u64, inodes: u64, test: &str) -> Option<Self> {
        if let Some(path) = std::env::var_os(VARIABLE) {
            return Some(Self(path.into()));
        }
        let folder = tempfile::Builder::new().prefix("sealift-disk-").tempdir().unwrap();
        let mount = format!(
            "mount -t tmpfs -o size={bytes},nr_inodes={inodes} tmpfs '{}' || exit 77; exec \"$@\"",
            folder.path().display()
        );
        let ran = Command::new("unshare")
            .args(["--user", "--map-root-user", "--mount", "sh", "-c", &mount, "sh"])
            .arg(std::env::current_exe().unwrap())
            .args([test, "--exact", "--nocapture"])
            .env(VARIABLE, folder.path())
            .stdin(Stdio::null())
            .output();
        let ran = match ran {
            Ok(ran) if ran.status.success() || ran.status.code() == Some(101) => ran,
            other => {
                #[allow(clippy::print_stderr)]
                {
                    eprintln!(
                        "SKIPPED: this system lets no user mount a file system in a namespace: {other:?}"
                    );
                }
                return None;
            }
        };
        let said = [ran.stdout, ran.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(ran.status.success() && said.contains("1 passed"), "on a small disk: {said}");
        None
    }

    /// Its root.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// How full it is.
    pub fn look(&self) -> DiskUsage {
        DiskUsage::of(&self.0).unwrap()
    }

    /// Takes all bytes that are left, as another program may.
    pub fn fill(&self) {
        let mut file = File::options().create(true).append(true).open(self.0.join("filler")).unwrap();
        loop {
            match file.write(&[b'x'; 4096]) {
                Ok(1..) => {}
                Ok(0) => break,
                Err(error) if error.kind() == ErrorKind::StorageFull => break,
                Err(error) => panic!("filling the disk: {error}"),
            }
        }
    }

    /// Takes all inodes that are left.
    pub fn fill_inodes(&self) {
        let folder = self.0.join("fillers");
        fs::create_dir_all(&folder).unwrap();
        for number in 0.. {
            match File::create(folder.join(number.to_string())) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => break,
                Err(error) => panic!("filling the disk: {error}"),
            }
        }
    }
}
