//! A disk that holds less than others: no permissions, coarse times, names without case.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A FAT or exFAT file system in a file. It takes an administrator to mount it.
#[derive(Debug)]
pub struct CoarseDisk {
    path: PathBuf,
    device: String,
}

impl CoarseDisk {
    /// Mounts one on a directory that is made, with its image beside it. `None` if this system has no such disk, or lets
    /// nobody mount it, which is said.
    pub fn mount(path: &Path) -> Option<Self> {
        const SIZE: u64 = 32 * 1024 * 1024;
        let image = path.with_extension("image");
        File::create(&image).unwrap().set_len(SIZE).unwrap();
        fs::create_dir(path).unwrap();
        let run = |program: &str, arguments: &[&Path]| {
            let ran = Command::new(program).args(arguments).output().ok()?;
            ran.status.success().then(|| String::from_utf8_lossy(&ran.stdout).trim().to_owned())
        };
        let mounted = (|| {
            let device = run("losetup", &["-f".as_ref(), "--show".as_ref(), &image])?;
            let disk = Self { path: path.to_owned(), device };
            let device = Path::new(&disk.device);
            let vfat = run("mkfs.vfat", &[device])
                .and_then(|_| run("mount", &["-t".as_ref(), "vfat".as_ref(), device, path]));
            let exfat =
                || run("mkfs.exfat", &[device]).and_then(|_| run("mount.exfat-fuse", &[device, path]));
            vfat.or_else(exfat).map(|_| disk)
        })();
        if mounted.is_none() {
            #[allow(clippy::print_stderr)]
            {
                eprintln!(
                    "SKIPPED: no FAT could be mounted; it takes root, losetup, and mkfs.vfat with a kernel that knows \
                     vfat, or mkfs.exfat with mount.exfat-fuse"
                );
            }
        }
        mounted
    }

    /// Its root.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for CoarseDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.path).output();
        let _ = Command::new("losetup").args(["-d", &self.device]).output();
    }
}
