//! Files that are opened with the system's program for them.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, SystemTime};

/// How long what was opened is kept: programs may look at it again.
const KEPT: Duration = Duration::from_secs(24 * 3600);

/// Where files go that are fetched to be opened, and the program that opens them.
#[derive(Debug, Clone, Default)]
pub struct Opening {
    /// The directory. It is the user's alone.
    pub directory: PathBuf,
    /// The program; it gets the file's path.
    pub program: PathBuf,
}

impl Opening {
    /// The program that the system has for it.
    pub fn usual_program() -> PathBuf {
        let program = if cfg!(windows) {
            "explorer"
        } else if cfg!(target_os = "macos") {
            "open"
        } else {
            "xdg-open"
        };
        program.into()
    }

    /// A place for one file.
    pub fn place(&self, name: &str) -> PathBuf {
        self.directory.join(format!("{:016x}", fastrand::u64(..))).join(name)
    }

    /// Makes the directory, and removes what was opened long ago.
    ///
    /// # Errors
    /// Fails when the directory cannot be made.
    pub fn prepare(&self) -> std::io::Result<()> {
        sealift_certs::files::create_private_dir(&self.directory)?;
        for entry in self.directory.read_dir()?.filter_map(Result::ok) {
            let modified = entry.metadata().and_then(|metadata| metadata.modified());
            let is_old =
                modified.is_ok_and(|time| SystemTime::now().duration_since(time).is_ok_and(|age| age > KEPT));
            if is_old {
                // What cannot be removed today is removed another day.
                let _ = std::fs::remove_dir_all(entry.path());
            }
        }
        Ok(())
    }

    /// Opens a file that was fetched. The error says why not.
    pub(super) async fn open(&self, path: PathBuf) -> Result<(), String> {
        let program = self.program.clone();
        let opening = tokio::task::spawn_blocking(move || {
            // Changes would be lost with the file: programs are to say so.
            protect(&path).map_err(|error| error.to_string())?;
            let status = std::process::Command::new(&program)
                .arg(&path)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .map_err(|error| format!("{}: {error}", program.display()))?;
            // The program of Windows never says that all went well.
            if status.success() || cfg!(windows) {
                Ok(())
            } else {
                Err(format!("{}: {status}", program.display()))
            }
        });
        opening.await.unwrap_or(Ok(()))
    }
}

/// Makes a file read-only, and nothing that could be run.
fn protect(path: &Path) -> std::io::Result<()> {
    let mut permissions = path.metadata()?.permissions();
    #[cfg(unix)]
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o400);
    #[cfg(not(unix))]
    permissions.set_readonly(true);
    std::fs::set_permissions(path, permissions)
}
