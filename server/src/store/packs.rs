//! Packs: blobs of many small contents that came at the same moment.
//!
//! A small content is a row of the catalog. SQLite writes each row twice, into its log and into its file, and a row of
//! 4 KiB takes two pages each time. So small contents that wait for the same commit are written one after the other into
//! one blob instead, while the transaction is made up; before it commits, the blob is durable. Each content is an object
//! whose one extent lies in the pack.
//!
//! When half of a pack is not needed any more, what is left of it moves into the catalog and the pack goes.

use std::collections::HashSet;
use std::io::Write;

use rusqlite::Connection;
use sealift_types::Digest;

use super::Blobs;
use super::blobs::FileGuard;
use super::extent::{PackPlacement, SmallContent};
use super::file_holds::FileHold;
use super::objects;
use crate::error::{Result, ServerError};

/// What is smaller is no more work for the catalog than its place in a pack would be.
const SMALLEST: usize = 1024;

/// Bytes for which it is worth making a file and syncing it.
const LEAST: usize = 256 * 1024;

/// Bytes after which a pack takes no further content, so that what is left of one is never much.
const MOST: usize = 8 * 1024 * 1024;

/// Small contents that are not here yet, one after the other.
#[derive(Debug)]
pub(super) struct Pack {
    bytes: Vec<u8>,
    digest: Digest,
    /// The numbers of the contents in it, and their places.
    places: Vec<(usize, PackPlacement)>,
    /// Keeps the collector off the file until the commit.
    guard: FileGuard,
}

impl Pack {
    /// Packs those of the numbered `contents` that are worth it, if they are worth a file together.
    ///
    /// To be called in the transaction that is to refer to them.
    pub(super) fn make<'a>(
        connection: &Connection,
        blobs: &Blobs,
        contents: impl Iterator<Item = (usize, SmallContent<'a>)> + Clone,
    ) -> Result<Option<Self>> {
        let contents = contents.filter(|(_, small)| small.data.len() >= SMALLEST);
        if contents.clone().map(|(_, small)| small.data.len()).sum::<usize>() < LEAST {
            return Ok(None);
        }
        // A file needs an inode, rows need none.
        if !blobs.reserve().has_inode() {
            return Ok(None);
        }
        let guard = blobs.guard();
        let (mut bytes, mut runs, mut seen) = (Vec::new(), Vec::new(), HashSet::new());
        for (number, SmallContent { by, digest, data }) in contents {
            // What only others have is stored again, as by objects::keep_inline.
            let is_wanted = || {
                Ok::<_, ServerError>(
                    objects::within_reach(connection, by, digest, data.len() as u64)?.is_none(),
                )
            };
            if bytes.len() < MOST && seen.insert(digest) && is_wanted()? {
                runs.push((number, bytes.len() as u64, data.len() as u64));
                bytes.extend_from_slice(data);
            }
        }
        if bytes.len() < LEAST {
            return Ok(None);
        }
        let digest = Digest::of(&bytes);
        let (pack, size) = (digest, bytes.len() as u64);
        let place = |(number, offset, length)| (number, PackPlacement { pack, size, offset, length });
        let places = runs.into_iter().map(place).collect();
        Ok(Some(Self { bytes, digest, places, guard }))
    }

    /// The numbers of the contents in it, and their places.
    pub(super) fn places(&self) -> &[(usize, PackPlacement)] {
        &self.places
    }

    /// Writes the file: durable when this returns. The hold must live until the commit.
    pub(super) fn write(&self, blobs: &Blobs) -> Result<FileHold> {
        // Through the page cache: what is small is soon read again, by whoever lists what came or takes it elsewhere.
        let mut incoming = blobs.receive_cached()?;
        incoming.write_all(&self.bytes).map_err(ServerError::file(&blobs.upload(incoming.hold().file())))?;
        blobs.place(incoming, &self.digest, &self.guard)
    }

    /// The name of its file.
    pub(super) fn digest(&self) -> Digest {
        self.digest
    }

    /// Has the file removed if none of its contents was stored. To be called when the changes that bring them were made.
    pub(super) fn settle(&self, connection: &Connection) -> Result<()> {
        objects::discard(connection, &self.digest)
    }
}

#[cfg(test)]
mod tests;
