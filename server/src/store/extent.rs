//! Extents: where the bytes of a content are, or are going to be.

use sealift_types::Digest;

/// A run of bytes of a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// The blob.
    pub blob: Digest,
    /// The first byte.
    pub offset: u64,
    /// How many.
    pub length: u64,
}

impl Extent {
    /// The first byte behind it; `None` if no file has one: a damaged catalog may say anything.
    pub fn end(&self) -> Option<u64> {
        self.offset.checked_add(self.length).filter(|end| i64::try_from(*end).is_ok())
    }
}

/// Bytes of all extents; what is beyond every file counts as the most that there can be.
pub fn length(extents: &[Extent]) -> u64 {
    extents.iter().fold(0, |sum, extent| sum.saturating_add(extent.length))
}

/// A small content, and who brings it.
#[derive(Debug, Clone, Copy)]
pub struct SmallContent<'a> {
    /// The row of the identity.
    pub by: i64,
    /// The digest of the bytes.
    pub digest: &'a Digest,
    /// The bytes.
    pub data: &'a [u8],
}

/// Where a small content is going to be. The pack goes by its digest: its row in the catalog comes with the first content
/// that is recorded in it, and may go and come again as long as the transaction runs.
#[derive(Debug, Clone, Copy)]
pub struct PackPlacement {
    /// The pack.
    pub pack: Digest,
    /// Its size.
    pub size: u64,
    /// The first byte.
    pub offset: u64,
    /// How many.
    pub length: u64,
}
