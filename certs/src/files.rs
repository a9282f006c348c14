//! Private files that survive a power cut.
//!
//! The order of a write is: temporary file beside the target, contents, fsync, rename, fsync of the directory. So the
//! name always leads to the old contents or to the new ones, whole.

use std::fs::{DirBuilder, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// Writes a file that only its owner can read, replacing one that is there.
///
/// On Unix its mode is 0600 from its creation on, whatever the file that it replaces had; elsewhere it has the
/// directory's permissions. When this returns, the file survives a power cut.
///
/// # Errors
/// Fails as the file system does; the target is then as before.
pub fn write_private(path: &Path, contents: &[u8]) -> io::Result<()> {
    PrivateFile::create(path)?.write(contents)
}

/// A private file that does not have its name yet. It goes when it is dropped before it was written.
///
/// Its creation shows that the directory can be written to, before something is spent on the contents.
#[derive(Debug)]
pub struct PrivateFile {
    file: NamedTempFile,
    path: PathBuf,
}

impl PrivateFile {
    /// Makes the file, beside the one at `path` that it is going to replace.
    ///
    /// # Errors
    /// Fails as the file system does.
    pub fn create(path: &Path) -> io::Result<Self> {
        let mut builder = tempfile::Builder::new();
        builder.prefix(".sealift-");
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600));
        Ok(Self { file: builder.tempfile_in(parent(path))?, path: path.to_owned() })
    }

    /// Writes the contents and gives the file its name. When this returns, it survives a power cut.
    ///
    /// # Errors
    /// Fails as the file system does; what had the name before still has it.
    pub fn write(mut self, contents: &[u8]) -> io::Result<()> {
        self.file.write_all(contents)?;
        self.file.as_file().sync_all()?;
        self.file.persist(&self.path)?;
        sync_directory(parent(&self.path))
    }
}

/// Makes a directory that only its owner can enter, and the parents that are missing.
///
/// On Unix all that it makes has mode 0700. What is there already stays as it is, permissions included.
///
/// # Errors
/// Fails as the file system does, and when something that is no directory is in the way.
pub fn create_private_dir(path: &Path) -> io::Result<()> {
    let missing: Vec<_> =
        path.ancestors().take_while(|path| !path.as_os_str().is_empty() && !path.exists()).collect();
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)?;
    missing.into_iter().try_for_each(|made| sync_directory(parent(made)))
}

/// The directory that a path is in, in a form that can be opened.
fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Makes a rename or a creation in a directory durable. Elsewhere than on Unix the file system does so itself.
///
/// # Errors
/// Fails as the file system does.
pub fn sync_directory(path: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(path)?.sync_all() } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_whole_and_leaves_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ca.key");
        write_private(&path, b"old and longer").unwrap();
        write_private(&path, b"new").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_failed_write_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let taken = directory.path().join("taken");
        std::fs::create_dir(&taken).unwrap();
        std::fs::write(taken.join("x"), b"").unwrap();
        assert!(write_private(&taken, b"new").is_err());
        assert!(write_private(&directory.path().join("missing/file"), b"new").is_err());
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn directories_can_be_there_but_files_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a/b/c");
        create_private_dir(&path).unwrap();
        create_private_dir(&path).unwrap();
        assert!(path.is_dir());
        write_private(&path.join("file"), b"").unwrap();
        assert!(create_private_dir(&path.join("file")).is_err());
        assert!(create_private_dir(&path.join("file/below")).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn modes_are_private_even_where_others_were_not() {
        use std::os::unix::fs::PermissionsExt;
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        let directory = tempfile::tempdir().unwrap();
        let below = directory.path().join("made/pki");
        create_private_dir(&below).unwrap();
        assert_eq!((mode(&below), mode(&directory.path().join("made"))), (0o700, 0o700));

        let path = below.join("ca.key");
        std::fs::write(&path, b"open to all").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        write_private(&path, b"key").unwrap();
        assert_eq!(mode(&path), 0o600);
    }
}
