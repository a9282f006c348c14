//! Keys of uploads that can be continued: who uploads which file to which path.

use sealift_protocol::message::Nanoseconds;
use sealift_types::path::name_key;

use crate::policy::Permit;

/// Whose upload a part began.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PartialUploadKey {
    pub(super) target: UploadPath,
    pub(super) size: u64,
    pub(super) mtime: Nanoseconds,
}

/// Where an identity stores something.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct UploadPath {
    pub(super) identity: i64,
    pub(super) space: i64,
    pub(super) path: String,
}

impl UploadPath {
    /// The place of `names` for an identity.
    pub fn new(identity: i64, permit: &Permit, names: &[String]) -> Self {
        let keys: Vec<_> = names.iter().map(|name| name_key(name)).collect();
        // No name holds a slash.
        Self { identity, space: permit.space().0, path: keys.join("/") }
    }

    /// The place at a path of normalized names.
    #[cfg(test)]
    pub(super) fn of(identity: i64, space: i64, path: &str) -> Self {
        Self { identity, space, path: path.to_owned() }
    }

    /// The upload of a file of this size, last modified then.
    pub fn upload(self, size: u64, mtime: Nanoseconds) -> PartialUploadKey {
        PartialUploadKey { target: self, size, mtime }
    }
}
