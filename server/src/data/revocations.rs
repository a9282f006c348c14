//! What was revoked, in a file beside the authority's key.
//!
//! The catalog of a restored backup knows nothing of revocations that came after the backup. This file does: it is not
//! part of the catalog, a revocation is on disk here before it is in the catalog, and every `sealiftd revoke` writes it
//! into the backups that it can reach, too. A server that starts applies it to its catalog.
//!
//! The file is text, and grows at its end only. Each line is a word, what is revoked, and the moment in nanoseconds:
//!
//! ```text
//! certificate 3f1c…64 digits 1764345600000000000
//! identity alice 1764345600000000000
//! ```
//!
//! A line for an identity voids what its authority had issued to it before that moment, known to the catalog or not. One for
//! a certificate voids all that was renewed from it, too.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::Duration;

use sealift_certs::files::sync_directory;
use sealift_protocol::message::Nanoseconds;
use sealift_types::{Digest, Name};

use super::{DataDirectory, DataError, file, inherit_owner, lock_within};

/// The file's name, among those of the authority.
pub(super) const FILE: &str = "revocations";

/// One revocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    /// Whose certificates are refused from then on.
    pub subject: RevocationSubject,
    /// When.
    pub at: Nanoseconds,
}

/// What a revocation is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RevocationSubject {
    /// One certificate, by the SHA-256 of its DER.
    Certificate(Digest),
    /// Every certificate that an identity had been issued.
    Identity(Name),
}

/// The file of a data directory, which nobody else writes while this lives.
#[derive(Debug)]
pub struct RevocationList(File);

impl RevocationList {
    /// Keeps others from writing the file while it is read; `None` on read-only media, where nobody writes it.
    pub fn hold(data: &DataDirectory) -> Result<Option<Self>, DataError> {
        match Self::open(data) {
            Ok(list) => Ok(Some(list)),
            Err(DataError::File { source, .. }) if source.kind() == io::ErrorKind::ReadOnlyFilesystem => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Opens the file, which comes into being with the first revocation, and keeps others from writing it.
    pub fn open(data: &DataDirectory) -> Result<Self, DataError> {
        let path = data.pki(FILE);
        let opened = open(&path).and_then(|list| list.lock().map(|()| Self(list)));
        opened.map_err(file(&path))
    }

    /// Adds revocations. They are on disk when this returns.
    pub fn append(&mut self, revocations: &[Revocation]) -> io::Result<()> {
        append(&mut self.0, revocations)
    }
}

/// Adds revocations to the list of another data directory, such as a backup. Fails if somebody else holds that list for long.
pub fn append_to(data: &DataDirectory, revocations: &[Revocation]) -> Result<(), DataError> {
    const PATIENCE: Duration = Duration::from_secs(5);
    let path = data.pki(FILE);
    let append = || {
        let mut list = open(&path)?;
        lock_within(PATIENCE, || list.try_lock())?;
        append(&mut list, revocations)
    };
    append().map_err(file(&path))
}

/// Reads what was revoked; nothing if there is no file.
pub fn read(data: &DataDirectory) -> Result<Vec<Revocation>, DataError> {
    let path = data.pki(FILE);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(file(&path)(error)),
    };
    parse(&text).map_err(|line| DataError::Revocations { path, line })
}

impl fmt::Display for Revocation {
    /// Writes the line of the file, with its end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.subject {
            RevocationSubject::Certificate(fingerprint) => {
                writeln!(f, "certificate {fingerprint} {}", self.at)
            }
            RevocationSubject::Identity(name) => writeln!(f, "identity {name} {}", self.at),
        }
    }
}

/// The revocations in the file's text. The error is the number of a line that says nothing.
pub fn parse(text: &str) -> Result<Vec<Revocation>, usize> {
    let mut revocations = Vec::new();
    for (number, line) in text.split_inclusive('\n').enumerate() {
        match line.strip_suffix('\n') {
            Some("") => {}
            Some(line) => revocations.push(revocation(line).ok_or(number + 1)?),
            None => revocations.extend(unended(line)),
        }
    }
    Ok(revocations)
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.read(true).append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    inherit_owner(path)?;
    sync_directory(path.parent().unwrap_or(path))?;
    Ok(file)
}

fn append(file: &mut File, revocations: &[Revocation]) -> io::Result<()> {
    let mut before = String::new();
    file.read_to_string(&mut before)?;
    let whole = before.rfind('\n').map_or(0, |end| end + 1);
    let mut lines = String::new();
    if unended(&before[whole..]).is_some() {
        lines.push('\n');
    } else {
        // What a crash cut off is to stay without meaning.
        file.set_len(whole as u64)?;
    }
    let added: String = revocations.iter().map(Revocation::to_string).collect();
    lines.push_str(&added);
    file.write_all(lines.as_bytes())?;
    file.sync_all()
}

/// One line of the file; `None` if it says nothing.
fn revocation(line: &str) -> Option<Revocation> {
    let words: Vec<_> = line.split(' ').collect();
    let [kind, subject, at] = words[..] else { return None };
    let subject = match kind {
        "certificate" => RevocationSubject::Certificate(subject.parse().ok()?),
        "identity" => RevocationSubject::Identity(subject.parse().ok()?),
        _ => return None,
    };
    Some(Revocation { subject, at: at.parse().ok()? })
}

/// What a last line says that lacks its end. An editor may have left it out, or a crash have cut the line off, before anybody was
/// told of the revocation: such a line says nothing, and is known by a moment with fewer digits than those since 2001 have.
fn unended(line: &str) -> Option<Revocation> {
    const DIGITS: Nanoseconds = 1_000_000_000_000_000_000;
    revocation(line).filter(|said| said.at >= DIGITS && said.to_string().strip_suffix('\n') == Some(line))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn what_was_appended_is_read_and_what_a_crash_cut_off_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let (data, _) =
            DataDirectory::open_or_initialise(&folder.path().join("data"), SystemTime::now()).unwrap();
        assert_eq!(read(&data).unwrap(), []);
        let at = 1_764_345_600_000_000_000;
        let certificate = Revocation { subject: RevocationSubject::Certificate(Digest::of(b"one")), at };
        let identity = Revocation { subject: RevocationSubject::Identity("alice".parse().unwrap()), at: -6 };
        append_to(&data, std::slice::from_ref(&certificate)).unwrap();
        let path = data.pki(FILE);
        let whole = fs::read_to_string(&path).unwrap();
        for cut in 1..whole.len() {
            fs::write(&path, format!("{whole}{}", &whole[..cut])).unwrap();
            // An editor that leaves out the end of the last line has not cut it off.
            let mut expected = vec![certificate.clone(); if cut == whole.len() - 1 { 2 } else { 1 }];
            assert_eq!(read(&data).unwrap(), expected, "cut after {cut} bytes");
            append_to(&data, std::slice::from_ref(&identity)).unwrap();
            expected.push(identity.clone());
            assert_eq!(read(&data).unwrap(), expected, "after {cut} bytes");
        }
        for wrong in ["certificate x 1\n", "identity alice\n", "machine alice 1\n", "identity alice now\n"] {
            fs::write(&path, format!("{whole}{wrong}")).unwrap();
            assert!(matches!(read(&data), Err(DataError::Revocations { line: 2, .. })), "{wrong}");
        }
    }
}
