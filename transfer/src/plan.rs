//! What goes where: the rules by which sources and a destination become transfers.
//!
//! They are those of `cp` and `rsync`: a destination that ends in `/`, or is a directory already, receives files under
//! their own names. Nothing here changes anything, here or on the server.

use std::collections::HashSet;
use std::hash::Hash;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use sealift_types::EntryPath;
use sealift_types::path::name_key;

use crate::download::{Destination, Download};
use crate::error::{TransferError, Unfit};
use crate::local::{FoldedNames, check_source, steps};
use crate::tree::{self, Omitted, TreeWalk, WalkOptions};
use crate::upload::{Upload, UploadSource};

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
    /// Several files into standard output.
    #[error("standard output takes one file: fetch one after the other, or into a directory")]
    OneStream,
    /// Two files onto one.
    #[error("{0} would be written twice: transfer the files one after the other, with names of their own")]
    Twice(String),
    /// Two files onto one, because case does not count where they go.
    #[error(
        "{0} differs from another name only by case, which does not count there: fetch one after the other, with names of \
         their own"
    )]
    Twins(String),
    /// A directory where a file's path is needed.
    #[error("{0} means a directory, which standard output cannot be: name a file in it")]
    Directory(EntryPath),
    /// All spaces at once.
    #[error("/ is the list of spaces: name the one to fetch, such as /alice/")]
    AllSpaces,
}

/// Uploads, found while they are asked for; what cannot be uploaded is among them.
#[derive(Debug)]
pub struct PlannedUploads {
    sources: std::vec::IntoIter<PlannedSource>,
    walk: Option<TreeWalk>,
    next: usize,
}

/// What one source turned out to be.
#[derive(Debug)]
enum PlannedSource {
    One(Upload),
    Tree(TreeWalk),
    Unfit(Omitted),
}

impl Iterator for PlannedUploads {
    type Item = Result<Upload, Omitted>;

    fn next(&mut self) -> Option<Self::Item> {
        let found = loop {
            if let Some(entry) = self.walk.as_mut().and_then(Iterator::next) {
                break entry.map(|tree::TreeEntry { root, path, to, kind }| {
                    let source = match kind {
                        tree::TreeEntryKind::File => UploadSource::Inside { root, path, executable: None },
                        tree::TreeEntryKind::Directory { mtime } => UploadSource::Directory { path, mtime },
                        tree::TreeEntryKind::Link { target, mtime } => {
                            UploadSource::Link { path, target, mtime }
                        }
                    };
                    Upload { id: 0, source, to, inside: None }
                });
            }
            self.walk = None;
            match self.sources.next()? {
                PlannedSource::One(upload) => break Ok(upload),
                PlannedSource::Unfit(omitted) => break Err(omitted),
                PlannedSource::Tree(walk) => self.walk = Some(walk),
            }
        };
        Some(found.map(|upload| {
            self.next += 1;
            Upload { id: self.next - 1, ..upload }
        }))
    }
}

/// Plans uploads of `sources` to `destination`, or to the root of the caller's own space.
///
/// The rules of `cp` and `rsync`: a destination with a trailing slash, and one of several sources, is a directory that
/// receives them under their own names. A single file and a destination without a slash: the file is stored there, or
/// inside if that turns out to be a directory on the server. A directory goes into its destination under its own name;
/// with a trailing slash, what is in it does.
///
/// # Errors
/// Fails when sources and destination do not fit together. What is wrong with one source alone is among the uploads.
pub fn uploads(
    sources: impl IntoIterator<Item = PathBuf>,
    destination: Option<&EntryPath>,
    walking: &WalkOptions,
) -> Result<PlannedUploads, PlanError> {
    let root: EntryPath = "".parse().expect("the empty path is the root of the own space");
    let destination = destination.unwrap_or(&root);
    if destination.as_str() == "/" {
        return Err(PlanError::Spaces);
    }
    let sources: Vec<_> = sources.into_iter().collect();
    let by_name = destination.means_directory() || sources.len() > 1;
    let mut found = Vec::new();
    let mut targets = ClaimedTargets(HashSet::new());
    for path in sources {
        let inside = inside(&path, destination);
        let is_directory = path.metadata().map(|metadata| metadata.is_dir());
        // What was named is left out like what is found; what is in a directory is another matter.
        let own_name = path.file_name().filter(|_| !means_contents(&path));
        let is_left_out = |name| walking.filter.excludes(Path::new(name), matches!(is_directory, Ok(true)));
        if own_name.is_some_and(is_left_out) {
            continue;
        }
        let planned = match is_directory {
            Ok(true) => tree(path.clone(), destination, inside, walking),
            Ok(false) => readable(&path).and_then(|()| {
                let (to, inside) = if by_name { (inside?, None) } else { (destination.clone(), inside.ok()) };
                Ok((
                    Some(to.clone()),
                    PlannedSource::One(Upload {
                        id: 0,
                        source: UploadSource::File(path.clone()),
                        to,
                        inside,
                    }),
                ))
            }),
            Err(error) => Err(TransferError::local("read", &path)(error)),
        };
        match planned {
            Ok((target, planned)) => {
                if let Some(target) = target {
                    targets.claim(name_key(target.as_str()).into_owned(), &target)?;
                }
                found.push(planned);
            }
            Err(error) => found.push(PlannedSource::Unfit(Omitted { path, error, in_tree: false })),
        }
    }
    Ok(PlannedUploads { sources: found.into_iter(), walk: None, next: 0 })
}

/// A directory and where it goes; nowhere in particular if only what is in it goes.
fn tree(
    path: PathBuf,
    destination: &EntryPath,
    inside: Result<EntryPath, TransferError>,
    walking: &WalkOptions,
) -> Result<(Option<EntryPath>, PlannedSource), TransferError> {
    if means_contents(&path) {
        let itself = !destination.as_str().is_empty();
        return Ok((
            None,
            PlannedSource::Tree(TreeWalk::new(path, destination.clone(), itself, walking.clone())),
        ));
    }
    let to = inside?;
    Ok((Some(to.clone()), PlannedSource::Tree(TreeWalk::new(path, to, true, walking.clone()))))
}

/// Whether only what is in a directory goes. `..` and `/` have no name of their own; that of `a/.` is the one that is not
/// meant.
fn means_contents(path: &Path) -> bool {
    let dot = path.as_os_str().as_encoded_bytes().strip_suffix(b".");
    let dot = dot.is_some_and(|before| before.is_empty() || ends_in_separator(before));
    ends_in_slash(path) || dot || path.file_name().is_none()
}

/// Plans an upload of what a reader yields, such as standard input.
///
/// # Errors
/// Fails when the destination does not name a file.
pub fn upload_stream(
    reader: Box<dyn Read + Send>,
    destination: Option<&EntryPath>,
) -> Result<PlannedUploads, PlanError> {
    match destination {
        Some(to) if !to.means_directory() => {
            let upload = Upload { id: 0, source: UploadSource::Stream(reader), to: to.clone(), inside: None };
            Ok(PlannedUploads { sources: vec![PlannedSource::One(upload)].into_iter(), walk: None, next: 0 })
        }
        Some(directory) if directory.as_str() == "/" => Err(PlanError::Spaces),
        directory => Err(PlanError::Nameless(directory.map_or(String::new(), EntryPath::to_string))),
    }
}

/// Plans downloads of `sources` to `destination`, or to the current directory.
///
/// The rules of `cp` and `rsync`: a destination with a trailing slash, and one that is a directory, receives the sources
/// under their own names. A directory goes into its destination under its own name; with a trailing slash, what is in
/// it does.
///
/// Local names come from the last part of the paths that were asked for, and from nothing that a server says.
///
/// # Errors
/// Fails when sources and destination do not fit together, and when a name cannot be a local file's.
pub fn downloads(
    sources: impl IntoIterator<Item = EntryPath>,
    destination: Option<&Path>,
    walking: &WalkOptions,
) -> Result<Vec<Download>, DownloadPlanError> {
    let sources: Vec<_> = sources.into_iter().collect();
    let current = Path::new(".");
    let destination = destination.unwrap_or(current);
    let slash = ends_in_slash(destination);
    let is_directory = slash || destination.is_dir();
    if sources.len() > 1 && !is_directory {
        return Err(PlanError::NeedsDirectory(destination.display().to_string()).into());
    }
    let below = |name: &str| {
        if !fits(name, cfg!(windows)) {
            return Err(TransferError::Unfit { path: PathBuf::from(name), unfit: Unfit::LocalName });
        }
        Ok(if destination == current { PathBuf::from(name) } else { destination.join(name) })
    };
    let mut plan = Vec::new();
    let (mut targets, mut names) = (ClaimedTargets(HashSet::new()), FoldedNames::default());
    for from in sources {
        if from.as_str() == "/" {
            return Err(PlanError::AllSpaces.into());
        }
        let Some(name) = from.file_name().filter(|_| !from.means_directory()) else {
            let tree = Some(destination.to_owned());
            plan.push(Download { from, to: Destination::Nowhere, tree });
            continue;
        };
        if walking.filter.excludes(Path::new(name), false) {
            continue;
        }
        let (path, tree) = match is_directory {
            true => (below(name)?, below(name)?),
            // What is no directory yet becomes one, should the source be one.
            false => (destination.to_owned(), below(name).unwrap_or_else(|_| destination.to_owned())),
        };
        targets.claim(path.clone(), &path.display())?;
        if is_directory && names.is_twin(name, destination, false) {
            return Err(PlanError::Twins(path.display().to_string()).into());
        }
        let to = Destination::File { path, make_directory: slash };
        plan.push(Download { from, to, tree: Some(tree) });
    }
    Ok(plan)
}

/// Whether a path is standard output, or a link that leads to it.
pub fn is_standard_output(path: &Path) -> bool {
    const NAMES: [&str; 3] = ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"];
    steps(path).any(|step| NAMES.iter().any(|name| step == Path::new(name)))
}

/// Plans a download into a writer, such as standard output.
///
/// # Errors
/// Fails when there are several sources, or one that names a directory.
pub fn download_stream(
    mut sources: Vec<EntryPath>,
    writer: Box<dyn Write + Send>,
) -> Result<Vec<Download>, PlanError> {
    match (sources.pop(), sources.is_empty()) {
        (Some(from), true) if from.means_directory() => Err(PlanError::Directory(from)),
        (Some(from), true) => Ok(vec![Download { from, to: Destination::Stream(writer), tree: None }]),
        _ => Err(PlanError::OneStream),
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
    Local(#[from] TransferError),
}

/// Whether this system can hold a file of that name; the server refuses only what no system can hold.
pub(crate) fn fits(name: &str, windows: bool) -> bool {
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
    ends_in_separator(path.as_os_str().as_encoded_bytes())
}

fn ends_in_separator(path: &[u8]) -> bool {
    path.last().is_some_and(|byte| std::path::is_separator(char::from(*byte)))
}

/// Refuses what is not a regular file.
fn readable(path: &Path) -> Result<(), TransferError> {
    let metadata = path.metadata().map_err(TransferError::local("read", path))?;
    check_source(path, &metadata)
}

/// Where `path` goes when `directory` is a directory.
fn inside(path: &Path, directory: &EntryPath) -> Result<EntryPath, TransferError> {
    let unfit = || TransferError::Unfit { path: path.to_owned(), unfit: Unfit::NotUtf8 };
    let name = path.file_name().unwrap_or_default().to_str().ok_or_else(unfit)?;
    Ok(directory.join(name)?)
}

/// Targets that are taken.
#[derive(Debug)]
struct ClaimedTargets<T>(HashSet<T>);

impl<T: Eq + Hash> ClaimedTargets<T> {
    fn claim(&mut self, target: T, shown: &dyn std::fmt::Display) -> Result<(), PlanError> {
        if self.0.insert(target) { Ok(()) } else { Err(PlanError::Twice(shown.to_string())) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remote(text: &str) -> EntryPath {
        text.parse().unwrap()
    }

    fn put(sources: &[&Path], destination: Option<&str>) -> Vec<(String, Option<String>)> {
        let destination = destination.map(remote);
        let sources = sources.iter().map(|path| path.to_path_buf());
        let plan = uploads(sources, destination.as_ref(), &WalkOptions::default()).unwrap();
        plan.map(|upload| upload.unwrap())
            .map(|upload| (upload.to.to_string(), upload.inside.map(|path| path.to_string())))
            .collect()
    }

    fn get(sources: &[&str], destination: Option<&Path>) -> Vec<PathBuf> {
        let plan =
            downloads(sources.iter().map(|path| remote(path)), destination, &WalkOptions::default()).unwrap();
        let path = |download: Download| match download.to {
            Destination::File { path, .. } => path,
            Destination::Stream(_) => panic!(),
            Destination::Nowhere => download.tree.unwrap(),
        };
        plan.into_iter().map(path).collect()
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
        let walking = WalkOptions::default();
        assert_eq!(uploads([a.clone()], Some(&remote("/")), &walking).unwrap_err(), PlanError::Spaces);
        assert!(matches!(uploads([a.clone(), a.clone()], None, &walking), Err(PlanError::Twice(_))));
        let empty = || Box::new(std::io::empty());
        assert!(matches!(upload_stream(empty(), None), Err(PlanError::Nameless(_))));
        assert!(matches!(upload_stream(empty(), Some(&remote("d/"))), Err(PlanError::Nameless(_))));
        assert!(upload_stream(empty(), Some(&remote("d/x"))).is_ok());

        let plan: Vec<_> = uploads([a, directory.path().join("no")], None, &walking).unwrap().collect();
        assert!(matches!(
            &plan[..],
            [Ok(Upload { id: 0, .. }), Err(Omitted { error: TransferError::Local { .. }, .. })]
        ));
    }

    #[test]
    fn directories_follow_the_rules_of_rsync() {
        let directory = tempfile::tempdir().unwrap();
        let d = directory.path().join("d");
        std::fs::create_dir_all(d.join("sub")).unwrap();
        std::fs::write(d.join("sub/x"), b"").unwrap();
        let slash = PathBuf::from(format!("{}/", d.display()));
        let names =
            |sources: &[&Path], to| put(sources, to).into_iter().map(|(to, _)| to).collect::<Vec<_>>();
        assert_eq!(names(&[&d], None), ["d", "d/sub", "d/sub/x"]);
        assert_eq!(names(&[&d], Some("e")), ["e/d", "e/d/sub", "e/d/sub/x"]);
        assert_eq!(names(&[&slash], None), ["sub", "sub/x"]);
        assert_eq!(names(&[&slash], Some("e")), ["e", "e/sub", "e/sub/x"]);
        assert_eq!(names(&[&d.join(".")], Some("e/")), ["e/", "e/sub", "e/sub/x"]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn names_that_are_not_utf8_need_a_name_on_the_server() {
        use std::os::unix::ffi::OsStrExt;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(std::ffi::OsStr::from_bytes(b"\xff"));
        std::fs::write(&path, b"").unwrap();
        let mut plan = uploads([path.clone()], None, &WalkOptions::default()).unwrap();
        let omitted = plan.next().unwrap().unwrap_err();
        assert!(matches!(omitted.error, TransferError::Unfit { unfit: Unfit::NotUtf8, .. }));
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
        assert_eq!(get(&["d/", ""], Some(path)), [path, path]);
    }

    #[test]
    fn downloads_that_cannot_be_meant_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let refused = |sources: &[&str], to: &Path| match downloads(
            sources.iter().map(|s| remote(s)),
            Some(to),
            &WalkOptions::default(),
        ) {
            Err(DownloadPlanError::Plan(error)) => error,
            other => panic!("{other:?}"),
        };
        let new = directory.path().join("new");
        assert!(matches!(refused(&["a", "b"], &new), PlanError::NeedsDirectory(_)));
        assert!(matches!(refused(&["x/a", "y/a"], directory.path()), PlanError::Twice(_)));
        assert!(matches!(refused(&["/"], directory.path()), PlanError::AllSpaces));
        let output = || Box::new(std::io::sink());
        assert!(matches!(download_stream(vec![remote("d/")], output()), Err(PlanError::Directory(_))));
        let two = vec![remote("a"), remote("b")];
        assert!(matches!(download_stream(two, output()), Err(PlanError::OneStream)));
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
