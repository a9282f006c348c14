//! What goes where: the rules by which sources and a destination become transfers.
//!
//! They are those of `cp` and `rsync`: a destination that ends in `/`, or is a directory already, receives files under
//! their own names. Nothing here changes anything, here or on the server.

use std::collections::HashSet;
use std::hash::Hash;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use sealift_protocol::RemotePath;
use sealift_protocol::path::name_key;

use crate::download::{Destination, Download};
use crate::error::{Error, Unfit};
use crate::local::check_source;
use crate::upload::{Source, Upload};

/// What is going to be done. A transfer's `id` is its place in `transfers`.
#[derive(Debug)]
pub struct Plan<T> {
    /// What to transfer.
    pub transfers: Vec<T>,
    /// What cannot be transferred, and why.
    pub skipped: Vec<Skipped>,
}

/// A local file that cannot be transferred.
#[derive(Debug)]
pub struct Skipped {
    /// Which.
    pub path: PathBuf,
    /// Why not.
    pub error: Error,
}

/// Why sources and destination do not make a plan.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// Standard input into a directory.
    #[error("standard input has no name of its own: name the file that it becomes, such as {0}NAME")]
    Nameless(String),
    /// A destination that is no place for files.
    #[error("/ is the list of spaces, where no file can be: name a space too, such as /alice/")]
    Spaces,
    /// Several files onto one.
    #[error("several files need a directory to go to, and {0} is none: end it with / to make it one")]
    NeedsDirectory(String),
    /// Two files onto one.
    #[error("{0} would be written twice: transfer the files one after the other, with names of their own")]
    Twice(String),
    /// A directory where a file's path is needed.
    #[error("{0} means a directory: name the files in it, one file at a time for now")]
    Directory(RemotePath),
}

/// Plans uploads of `sources` to `destination`, or to the root of the caller's own space.
///
/// A single file and a destination without a trailing slash: the file is stored there, or inside if that turns out to
/// be a directory on the server.
///
/// # Errors
/// Fails when sources and destination do not fit together. What is wrong with one source alone is in the plan.
pub fn uploads(
    sources: impl IntoIterator<Item = PathBuf>,
    destination: Option<&RemotePath>,
) -> Result<Plan<Upload>, PlanError> {
    let root: RemotePath = "".parse().expect("the empty path is the root of the own space");
    let destination = destination.unwrap_or(&root);
    if destination.as_str() == "/" {
        return Err(PlanError::Spaces);
    }
    let sources: Vec<_> = sources.into_iter().collect();
    let by_name = destination.means_directory() || sources.len() > 1;
    let mut plan = Plan { transfers: Vec::new(), skipped: Vec::new() };
    let mut targets = Taken(HashSet::new());
    for path in sources {
        let inside = inside(&path, destination);
        let planned = readable(&path).and_then(|size| {
            let (to, inside) = if by_name { (inside?, None) } else { (destination.clone(), inside.ok()) };
            Ok((to, inside, size))
        });
        match planned {
            Ok((to, inside, size)) => {
                targets.claim(name_key(to.as_str()).into_owned(), &to)?;
                let (id, source) = (plan.transfers.len(), Source::File(path));
                plan.transfers.push(Upload { id, source, size: Some(size), to, inside });
            }
            Err(error) => plan.skipped.push(Skipped { path, error }),
        }
    }
    Ok(plan)
}

/// Plans an upload of what a reader yields, such as standard input.
///
/// # Errors
/// Fails when the destination does not name a file.
pub fn upload_stream(
    reader: Box<dyn Read + Send>,
    destination: Option<&RemotePath>,
) -> Result<Plan<Upload>, PlanError> {
    match destination {
        Some(to) if !to.means_directory() => {
            let source = Source::Stream(reader);
            let upload = Upload { id: 0, source, size: None, to: to.clone(), inside: None };
            Ok(Plan { transfers: vec![upload], skipped: Vec::new() })
        }
        Some(directory) if directory.as_str() == "/" => Err(PlanError::Spaces),
        directory => Err(PlanError::Nameless(directory.map_or(String::new(), RemotePath::to_string))),
    }
}

/// Plans downloads of `sources` to `destination`, or to the current directory.
///
/// Local names come from the last part of the paths that were asked for, and from nothing that a server says.
///
/// # Errors
/// Fails when sources and destination do not fit together, and when a name cannot be a local file's.
pub fn downloads(
    sources: impl IntoIterator<Item = RemotePath>,
    destination: Option<&Path>,
) -> Result<Plan<Download>, DownloadPlanError> {
    let sources: Vec<_> = sources.into_iter().collect();
    let current = Path::new(".");
    let destination = destination.unwrap_or(current);
    let slash = ends_in_slash(destination);
    let is_directory = slash || destination.is_dir();
    if sources.len() > 1 && !is_directory {
        return Err(PlanError::NeedsDirectory(destination.display().to_string()).into());
    }
    let mut plan = Plan { transfers: Vec::new(), skipped: Vec::new() };
    let mut targets = Taken(HashSet::new());
    for (id, from) in sources.into_iter().enumerate() {
        let Some(name) = from.file_name().filter(|_| !from.means_directory()) else {
            return Err(PlanError::Directory(from).into());
        };
        let path = if !is_directory {
            destination.to_owned()
        } else if fits(name, cfg!(windows)) {
            if destination == current { PathBuf::from(name) } else { destination.join(name) }
        } else {
            return Err(Error::Unfit { path: PathBuf::from(name), unfit: Unfit::LocalName }.into());
        };
        targets.claim(path.clone(), &path.display())?;
        let to = Destination::File { path, make_directory: slash };
        plan.transfers.push(Download { id, from, to });
    }
    Ok(plan)
}

/// Plans a download into a writer, such as standard output.
///
/// # Errors
/// Fails when there are several sources, or one that names a directory.
pub fn download_stream(
    mut sources: Vec<RemotePath>,
    writer: Box<dyn Write + Send>,
) -> Result<Plan<Download>, PlanError> {
    match (sources.pop(), sources.is_empty()) {
        (Some(from), true) if from.means_directory() => Err(PlanError::Directory(from)),
        (Some(from), true) => {
            let download = Download { id: 0, from, to: Destination::Stream(writer) };
            Ok(Plan { transfers: vec![download], skipped: Vec::new() })
        }
        _ => Err(PlanError::NeedsDirectory("standard output".into())),
    }
}

/// Why downloads cannot be planned.
#[derive(Debug, thiserror::Error)]
pub enum DownloadPlanError {
    /// Sources and destination do not fit together.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A name does not fit this system.
    #[error(transparent)]
    Local(#[from] Error),
}

/// Whether this system can hold a file of that name; the server refuses only what no system can hold.
fn fits(name: &str, windows: bool) -> bool {
    const DEVICES: [&str; 4] = ["CON", "PRN", "AUX", "NUL"];
    if !windows {
        return true;
    }
    // "Naming Files, Paths, and Namespaces" in Microsoft's documentation of Win32.
    let stem = name.split('.').next().unwrap_or(name).trim_end().to_ascii_uppercase();
    let numbered = |prefix| stem.strip_prefix(prefix).is_some_and(|rest: &str| rest.chars().count() == 1);
    let device = DEVICES.contains(&stem.as_str()) || numbered("COM") || numbered("LPT");
    !device && !name.contains(['<', '>', ':', '"', '\\', '|', '?', '*']) && !name.ends_with(['.', ' '])
}

/// Whether a path was written with a trailing separator, which `Path` itself forgets.
fn ends_in_slash(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().last().is_some_and(|byte| std::path::is_separator(char::from(*byte)))
}

/// The size of a file that can be read.
fn readable(path: &Path) -> Result<u64, Error> {
    let metadata = path.metadata().map_err(Error::local("read", path))?;
    check_source(path, &metadata).map(|()| metadata.len())
}

/// Where `path` goes when `directory` is a directory.
fn inside(path: &Path, directory: &RemotePath) -> Result<RemotePath, Error> {
    let unfit = || Error::Unfit { path: path.to_owned(), unfit: Unfit::NotUtf8 };
    let name = path.file_name().unwrap_or_default().to_str().ok_or_else(unfit)?;
    Ok(directory.join(name)?)
}

/// Targets that are taken.
#[derive(Debug)]
struct Taken<T>(HashSet<T>);

impl<T: Eq + Hash> Taken<T> {
    fn claim(&mut self, target: T, shown: &dyn std::fmt::Display) -> Result<(), PlanError> {
        if self.0.insert(target) { Ok(()) } else { Err(PlanError::Twice(shown.to_string())) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remote(text: &str) -> RemotePath {
        text.parse().unwrap()
    }

    fn put(sources: &[&Path], destination: Option<&str>) -> Vec<(String, Option<String>)> {
        let destination = destination.map(remote);
        let plan = uploads(sources.iter().map(|path| path.to_path_buf()), destination.as_ref()).unwrap();
        assert!(plan.skipped.is_empty());
        plan.transfers
            .into_iter()
            .map(|upload| (upload.to.to_string(), upload.inside.map(|path| path.to_string())))
            .collect()
    }

    fn get(sources: &[&str], destination: Option<&Path>) -> Vec<PathBuf> {
        let plan = downloads(sources.iter().map(|path| remote(path)), destination).unwrap();
        let path = |download: Download| match download.to {
            Destination::File { path, .. } => path,
            Destination::Stream(_) => panic!(),
        };
        plan.transfers.into_iter().map(path).collect()
    }

    #[test]
    fn uploads_follow_the_rules_of_cp() {
        let directory = tempfile::tempdir().unwrap();
        let (a, b) = (directory.path().join("a"), directory.path().join("b"));
        std::fs::write(&a, b"").unwrap();
        std::fs::write(&b, b"").unwrap();
        let to = |path: &str| (path.to_owned(), None);
        assert_eq!(put(&[&a], None), [to("a")]);
        assert_eq!(put(&[&a], Some("d/")), [to("d/a")]);
        assert_eq!(put(&[&a], Some("/bob/")), [to("/bob/a")]);
        assert_eq!(put(&[&a], Some("x")), [("x".to_owned(), Some("x/a".to_owned()))]);
        assert_eq!(put(&[&a, &b], Some("x")), [to("x/a"), to("x/b")]);
    }

    #[test]
    fn uploads_that_cannot_be_meant_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let a = directory.path().join("a");
        std::fs::write(&a, b"").unwrap();
        assert_eq!(uploads([a.clone()], Some(&remote("/"))).unwrap_err(), PlanError::Spaces);
        assert!(matches!(uploads([a.clone(), a.clone()], None), Err(PlanError::Twice(_))));
        let empty = || Box::new(std::io::empty());
        assert!(matches!(upload_stream(empty(), None), Err(PlanError::Nameless(_))));
        assert!(matches!(upload_stream(empty(), Some(&remote("d/"))), Err(PlanError::Nameless(_))));
        assert!(upload_stream(empty(), Some(&remote("d/x"))).is_ok());

        let plan = uploads([directory.path().to_owned(), a, directory.path().join("no")], None).unwrap();
        assert_eq!((plan.transfers.len(), plan.skipped.len()), (1, 2));
        assert!(matches!(plan.skipped[0].error, Error::Unfit { unfit: Unfit::Directory, .. }));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn names_that_are_not_utf8_need_a_name_on_the_server() {
        use std::os::unix::ffi::OsStrExt;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(std::ffi::OsStr::from_bytes(b"\xff"));
        std::fs::write(&path, b"").unwrap();
        let plan = uploads([path.clone()], None).unwrap();
        assert!(matches!(plan.skipped[0].error, Error::Unfit { unfit: Unfit::NotUtf8, .. }));
        assert_eq!(put(&[&path], Some("x")), [("x".to_owned(), None)]);
    }

    #[test]
    fn downloads_follow_the_rules_of_cp() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        assert_eq!(get(&["/bob/d/a"], None), [PathBuf::from("a")]);
        assert_eq!(get(&["d/a"], Some(path)), [path.join("a")]);
        assert_eq!(get(&["d/a"], Some(&path.join("new"))), [path.join("new")]);
        assert_eq!(get(&["d/a"], Some(&path.join("new/"))), [path.join("new/a")]);
        assert_eq!(get(&["d/a", "b"], Some(path)), [path.join("a"), path.join("b")]);
    }

    #[test]
    fn downloads_that_cannot_be_meant_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let refused =
            |sources: &[&str], to: &Path| match downloads(sources.iter().map(|s| remote(s)), Some(to)) {
                Err(DownloadPlanError::Plan(error)) => error,
                other => panic!("{other:?}"),
            };
        let new = directory.path().join("new");
        assert!(matches!(refused(&["a", "b"], &new), PlanError::NeedsDirectory(_)));
        assert!(matches!(refused(&["x/a", "y/a"], directory.path()), PlanError::Twice(_)));
        for no_file in ["", "/", "d/"] {
            assert!(matches!(refused(&[no_file], directory.path()), PlanError::Directory(_)));
        }
        let two = vec![remote("a"), remote("b")];
        assert!(download_stream(two, Box::new(std::io::sink())).is_err());
    }

    #[test]
    fn windows_holds_fewer_names() {
        for name in ["NUL", "con.txt", "com1", "a:b", "a\\b", "a.", "a ", "lpt9.x", "what?"] {
            assert!(fits(name, false) && !fits(name, true), "{name}");
        }
        for name in ["console", "com10", "a.b", "日本語", "-"] {
            assert!(fits(name, true), "{name}");
        }
    }
}
