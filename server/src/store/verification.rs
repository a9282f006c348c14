//! Whether all that the catalog knows of is there and is what its name says.
//!
//! It runs beside a server, in another process, and holds no snapshot for long. So what it finds wrong it looks at once
//! more: what has been deleted or mended meanwhile is not damaged.

use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, params};
use sealift_types::{Digest, Hasher};

use super::blobs::{in_directory, path_below};
use super::extent::Extent;
use super::gc::Collected;
use super::objects::{self, ContentBytes, ContentId};
use super::schema::is_corruption;
use crate::error::{Result, ServerError};

/// Rows that are looked at together.
const PAGE: i64 = 64;

/// What a look found out.
#[derive(Debug, Default)]
pub struct CheckReport {
    /// Names of files in the tree.
    pub entries: u64,
    /// Contents.
    pub contents: u64,
    /// Bytes of contents.
    pub bytes: u64,
    /// Files below `blobs/` that nothing refers to.
    pub orphans: Collected,
}

/// Something that is wrong.
#[derive(Debug)]
pub enum Finding {
    /// What SQLite says of the catalog.
    Catalog(String),
    /// A content is not whole.
    Content {
        /// Its name.
        digest: Digest,
        /// How it is wrong.
        fault: FindingKind,
        /// The paths that lead to it.
        paths: Vec<String>,
    },
    /// A file below `blobs/` is wrong where no content is: in what a pack holds and nobody needs any more.
    Unneeded(PathBuf, FindingKind),
}

/// How a file or a content is wrong.
#[derive(Debug, thiserror::Error)]
pub enum FindingKind {
    /// Its file is gone.
    #[error("{} is missing", .0.display())]
    Missing(PathBuf),
    /// Its file ends too early, or too late.
    #[error("{} has {found} bytes, not {size}", path.display())]
    Size {
        /// The file.
        path: PathBuf,
        /// Its size.
        found: u64,
        /// What the catalog says.
        size: u64,
    },
    /// Its bytes are others.
    #[error("{} holds other bytes than were stored", .0.display())]
    Altered(PathBuf),
    /// The disk does not give its bytes.
    #[error("{} cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It is in the catalog, and its bytes there are others.
    #[error("the catalog holds other bytes than were stored")]
    Row,
    /// Nothing holds its bytes, or not all of them.
    #[error("the catalog does not know where all of its bytes are")]
    Nowhere,
}

/// One look at a data directory.
struct CheckPass<'a> {
    connection: &'a Connection,
    catalog: PathBuf,
    blobs: PathBuf,
    /// Whether files are only looked at from outside.
    quick: bool,
    checked: CheckReport,
    report: &'a mut dyn FnMut(Finding) -> Result<()>,
}

struct BlobRow {
    id: i64,
    digest: Digest,
    size: u64,
}

/// Looks at the catalog, at every content, and for files that nothing refers to; a `quick` one reads no contents.
///
/// What is wrong is reported as it is found. An error means that the look could not be finished.
pub fn check(
    connection: &Connection,
    data: &Path,
    quick: bool,
    report: &mut dyn FnMut(Finding) -> Result<()>,
) -> Result<CheckReport> {
    let (catalog, blobs) = (data.join("catalog.db"), data.join("blobs"));
    let mut look = CheckPass { connection, catalog, blobs, quick, checked: CheckReport::default(), report };
    if look.catalog()? {
        look.names()?;
        look.rows()?;
        look.files()?;
        look.orphans()?;
    }
    Ok(look.checked)
}

/// What SQLite finds wrong with the catalog's file; a `quick` look does not compare indexes with their tables.
///
/// # Errors
/// Fails when the file cannot be read, which says nothing of its bytes.
pub fn complaints(catalog: &Connection, quick: bool) -> Result<Vec<String>> {
    let sql = if quick { "PRAGMA quick_check(20)" } else { "PRAGMA integrity_check(20)" };
    let ask = || -> rusqlite::Result<Vec<String>> {
        let mut statement = catalog.prepare(sql)?;
        let lines = statement.query_map([], |row| row.get::<_, String>(0))?;
        lines.filter(|line| line.as_deref() != Ok("ok")).collect()
    };
    corruption_as_complaint(ask())
}

fn references(catalog: &Connection) -> Result<Vec<String>> {
    let ask = || -> rusqlite::Result<Vec<String>> {
        let mut statement = catalog.prepare("PRAGMA foreign_key_check")?;
        let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
        rows.take(20).map(|table| Ok(format!("a row of {} refers to what is not there", table?))).collect()
    };
    corruption_as_complaint(ask())
}

fn corruption_as_complaint(asked: rusqlite::Result<Vec<String>>) -> Result<Vec<String>> {
    match asked {
        Err(error) if is_corruption(&error) => Ok(vec![error.to_string()]),
        asked => Ok(asked?),
    }
}

/// Contents in the catalog whose bytes are others than were stored.
pub fn damaged_rows(catalog: &Connection) -> Result<Vec<Digest>> {
    let mut damaged = Vec::new();
    each_row(catalog, |_, digest| {
        damaged.push(digest);
        Ok(())
    })?;
    Ok(damaged)
}

/// Reads the contents in the catalog, a few at a time, and calls `report` for those that are damaged.
fn each_row(catalog: &Connection, mut report: impl FnMut(ContentId, Digest) -> Result<()>) -> Result<()> {
    let mut last = 0;
    loop {
        let mut statement = catalog.prepare_cached(
            "SELECT objects.id, digest, data FROM contents JOIN objects ON objects.id = object
             WHERE object > ?1 ORDER BY object LIMIT ?2",
        )?;
        let rows = statement.query_map(params![last, PAGE], |row| {
            let digest = Digest::from_bytes(row.get(1)?);
            let whole = Digest::of(row.get_ref(2)?.as_blob()?) == digest;
            Ok((row.get(0)?, digest, whole))
        })?;
        let rows = rows.collect::<rusqlite::Result<Vec<(i64, Digest, bool)>>>()?;
        let Some((end, ..)) = rows.last() else { return Ok(()) };
        last = *end;
        for (object, digest, _) in rows.into_iter().filter(|(.., whole)| !whole) {
            report(ContentId(object), digest)?;
        }
    }
}

impl CheckPass<'_> {
    /// The catalog itself. Returns whether it can be relied on.
    fn catalog(&mut self) -> Result<bool> {
        let mut complaints = complaints(self.connection, self.quick)?;
        if complaints.is_empty() {
            complaints = references(self.connection)?;
        }
        let sound = complaints.is_empty();
        complaints.into_iter().try_for_each(|line| (self.report)(Finding::Catalog(line)))?;
        Ok(sound)
    }

    /// How much there is, and contents whose bytes are nowhere.
    fn names(&mut self) -> Result<()> {
        let count =
            |sql| self.connection.query_row(sql, [], |row| row.get::<_, i64>(0).map(i64::cast_unsigned));
        self.checked.entries = count("SELECT count(*) FROM entries WHERE object IS NOT NULL")?;
        self.checked.contents = count("SELECT count(*) FROM objects")?;
        self.checked.bytes = count("SELECT coalesce(sum(size), 0) FROM objects")?;
        let mut statement = self.connection.prepare(
            "SELECT id, digest FROM objects WHERE size <> coalesce(
                 (SELECT length(data) FROM contents WHERE object = objects.id),
                 (SELECT sum(length) FROM extents WHERE object = objects.id), -1)",
        )?;
        let lost =
            statement.query_map([], |row| Ok((ContentId(row.get(0)?), Digest::from_bytes(row.get(1)?))))?;
        for (object, digest) in lost.collect::<rusqlite::Result<Vec<_>>>()? {
            self.content(object, digest, FindingKind::Nowhere)?;
        }
        Ok(())
    }

    /// Contents in the catalog.
    fn rows(&mut self) -> Result<()> {
        if self.quick {
            return Ok(());
        }
        each_row(self.connection, |object, digest| self.content(object, digest, FindingKind::Row))
    }

    /// Contents in files.
    fn files(&mut self) -> Result<()> {
        let mut last = 0;
        loop {
            let mut statement = self
                .connection
                .prepare_cached("SELECT id, digest, size FROM blobs WHERE id > ?1 ORDER BY id LIMIT ?2")?;
            let rows = statement.query_map(params![last, PAGE], |row| {
                let (digest, size) = (Digest::from_bytes(row.get(1)?), row.get::<_, i64>(2)?);
                Ok(BlobRow { id: row.get(0)?, digest, size: size.cast_unsigned() })
            })?;
            let rows = rows.collect::<rusqlite::Result<Vec<_>>>()?;
            let Some(end) = rows.last() else { return Ok(()) };
            last = end.id;
            rows.iter().try_for_each(|blob| self.file(blob))?;
        }
    }

    fn file(&mut self, blob: &BlobRow) -> Result<()> {
        let path = path_below(&self.blobs, &blob.digest);
        let wrong = |look: &Self| look.fault(&path, blob);
        let Some(fault) = wrong(self)? else {
            return if self.quick { Ok(()) } else { self.packed(blob) };
        };
        // A row goes before its file does, and comes back after it.
        if !self.is_needed(blob)? || wrong(self)?.is_none() {
            return Ok(());
        }
        let mut fault = Some(fault);
        for (object, digest) in self.contents_of(blob)? {
            if let Some(own) = self.content_fault(object, &digest)? {
                fault = None;
                self.content(object, digest, own)?;
            }
        }
        match fault {
            Some(fault) if self.is_needed(blob)? => (self.report)(Finding::Unneeded(path, fault)),
            _ => Ok(()),
        }
    }

    fn is_needed(&self, blob: &BlobRow) -> Result<bool> {
        let sql = "SELECT 1 FROM blobs WHERE id = ?1 AND digest = ?2";
        Ok(self.connection.prepare_cached(sql)?.exists(params![blob.id, blob.digest.as_bytes()])?)
    }

    /// Contents in a file that is whole but is not one content itself.
    fn packed(&mut self, blob: &BlobRow) -> Result<()> {
        for (object, digest) in self.contents_of(blob)? {
            if digest != blob.digest
                && let Some(fault) = self.content_fault(object, &digest)?
            {
                self.content(object, digest, fault)?;
            }
        }
        Ok(())
    }

    fn contents_of(&self, blob: &BlobRow) -> Result<Vec<(ContentId, Digest)>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT DISTINCT objects.id, digest FROM extents JOIN objects ON objects.id = object WHERE blob = ?1",
        )?;
        let rows = statement
            .query_map([blob.id], |row| Ok((ContentId(row.get(0)?), Digest::from_bytes(row.get(1)?))))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// What is wrong with a file, if anything is.
    fn fault(&self, path: &Path, blob: &BlobRow) -> Result<Option<FindingKind>> {
        let (path, size) = (path.to_owned(), blob.size);
        let look = || -> io::Result<std::result::Result<(), u64>> {
            let found = fs::metadata(&path)?.len();
            Ok(if found == size { Ok(()) } else { Err(found) })
        };
        match look() {
            Ok(Err(found)) => return Ok(Some(FindingKind::Size { path, found, size })),
            Err(error) => return unreadable(path, error).map(Some),
            Ok(Ok(())) if self.quick => return Ok(None),
            Ok(Ok(())) => {}
        }
        let mut hasher = Hasher::new();
        let read = File::open(&path).and_then(|file| hasher.read(file, size));
        match read {
            Ok(()) if hasher.finish() == blob.digest => Ok(None),
            Ok(()) => Ok(Some(FindingKind::Altered(path))),
            Err(error) => unreadable(path, error).map(Some),
        }
    }

    /// What is wrong with a content in files, if anything is.
    fn content_fault(&self, object: ContentId, digest: &Digest) -> Result<Option<FindingKind>> {
        let ContentBytes::Extents(extents) = objects::bytes(self.connection, object)? else {
            // It has moved into the catalog.
            return Ok(None);
        };
        let mut hasher = Hasher::new();
        let mut last = self.catalog.clone();
        for extent in extents {
            last = path_below(&self.blobs, &extent.blob);
            if let Err(error) = read_extent(&last, extent, self.quick, &mut hasher) {
                return unreadable(last, error).map(Some);
            }
        }
        Ok((!self.quick && hasher.finish() != *digest).then_some(FindingKind::Altered(last)))
    }

    /// Reports a content, unless it has gone meanwhile.
    fn content(&mut self, object: ContentId, digest: Digest, fault: FindingKind) -> Result<()> {
        let known = "SELECT 1 FROM objects WHERE id = ?1 AND digest = ?2";
        let known = self.connection.prepare_cached(known)?.exists(params![object.0, digest.as_bytes()])?;
        if !known {
            return Ok(());
        }
        let paths = paths(self.connection, object)?;
        (self.report)(Finding::Content { digest, fault, paths })
    }

    fn orphans(&mut self) -> Result<()> {
        let mut unknown = Vec::new();
        for number in 0..=u8::MAX {
            for digest in in_directory(&self.blobs, number)? {
                if !self.is_known(&digest)? {
                    unknown.push(digest);
                }
            }
        }
        for digest in unknown {
            // An upload that was ending has ended by now, or what was garbage has gone.
            if !self.is_known(&digest)?
                && let Ok(facts) = fs::metadata(path_below(&self.blobs, &digest))
            {
                self.checked.orphans.files += 1;
                self.checked.orphans.bytes += facts.len();
            }
        }
        Ok(())
    }

    fn is_known(&self, digest: &Digest) -> Result<bool> {
        let sql = "SELECT 1 FROM blobs WHERE digest = ?1 UNION ALL SELECT 1 FROM garbage WHERE digest = ?1";
        Ok(self
            .connection
            .prepare_cached(sql)?
            .query_row([digest.as_bytes()], |_| Ok(()))
            .optional()?
            .is_some())
    }
}

/// Reads an extent, or only sees whether it is there.
fn read_extent(path: &Path, extent: Extent, quick: bool, hasher: &mut Hasher) -> io::Result<()> {
    let mut file = File::open(path)?;
    if quick {
        let size = file.metadata()?.len();
        let whole = extent.end().is_some_and(|end| size >= end);
        return if whole { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
    }
    file.seek(SeekFrom::Start(extent.offset))?;
    hasher.read(file, extent.length)
}

/// A file that is gone or that the disk does not give back is damaged; one that this process may not read says nothing.
fn unreadable(path: PathBuf, source: io::Error) -> Result<FindingKind> {
    match source.kind() {
        io::ErrorKind::NotFound => Ok(FindingKind::Missing(path)),
        io::ErrorKind::PermissionDenied => Err(ServerError::File { path, source }),
        _ => Ok(FindingKind::Unreadable { path, source }),
    }
}

/// The paths that lead to a content.
fn paths(connection: &Connection, object: ContentId) -> Result<Vec<String>> {
    let mut statement = connection.prepare_cached(
        "WITH RECURSIVE up (parent, path) AS (
             SELECT parent, name FROM entries WHERE object = ?1
             UNION ALL
             SELECT entries.parent, entries.name || '/' || up.path
             FROM up JOIN entries ON entries.id = up.parent)
         SELECT '/' || spaces.name || '/' || path FROM up JOIN spaces ON spaces.id = -up.parent ORDER BY 1",
    )?;
    let rows = statement.query_map([object.0], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
