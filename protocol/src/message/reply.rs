//! What the server answers.

use serde::{Deserialize, Serialize};

use super::{Nanoseconds, is_zero};
use crate::WireError;
use sealift_types::{Digest, EntryPath, ErrorCode, Name};

/// What the server answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Reply {
    /// To a hello.
    Welcome(Welcome),
    /// To a plan.
    Plan {
        /// One for each planned file, in their order.
        files: Vec<Verdict>,
    },
    /// To a put: the content and its name are durable.
    Stored(Stored),
    /// To a put with `update`: what was there is newer, and stays.
    Kept {},
    /// To a get: data frames follow, then a [`Trailer`](super::Trailer).
    Content(Content),
    /// To a list; more such replies follow while `more` is set.
    Entries {
        /// In the order of their names' normalized bytes.
        entries: Vec<Entry>,
        /// Whether another reply to the same request follows.
        #[serde(default)]
        more: bool,
        /// To a list with [`since`](super::List::since): the state of what is listed as this reply begins.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        state: Option<String>,
        /// To a list with [`since`](super::List::since): something of what is listed was moved, replaced or deleted since
        /// then, or may have been.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        changed: bool,
    },
    /// To an info.
    Info(Description),
    /// To a slice, a make-directory, a link, a remove and a report.
    Done {},
    /// To a make-directory with [`if_absent`](super::MakeDirectory::if_absent).
    Made {
        /// The new directory's [`etag`](Entry::etag).
        etag: String,
    },
    /// To a move and a copy.
    Placed {
        /// Where the entry is now, `/` and space first.
        path: EntryPath,
    },
    /// Before the reply to a move or a copy that takes its time, any number of times, if the client knows
    /// [`WORKING`](super::WORKING).
    Working {
        /// Entries that are done.
        entries: u64,
    },
    /// To a log query; more such replies follow while `more` is set.
    Log {
        /// Newest first.
        transfers: Vec<Transfer>,
        /// Whether another reply to the same request follows.
        #[serde(default)]
        more: bool,
    },
    /// To a whoami.
    Identity(Account),
    /// To a renew.
    Certificate {
        /// The new certificate, PEM.
        certificate: String,
    },
    /// To anything.
    Error(WireError),
}

/// The server's side of the opening.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Welcome {
    /// The version that is spoken from here on.
    pub version: u32,
    /// The server's name and version.
    pub server: String,
    /// The name in the caller's certificate.
    pub identity: Name,
    /// Optional features that both ends know, such as [`SLICES`](super::SLICES).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<String>,
}

/// What to do about one planned file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum Verdict {
    /// Stream it: nothing of this size is within the caller's reach.
    Send,
    /// Hash it and claim it: a content of this size is.
    Hash,
    /// The content with the digest of the plan is within the caller's reach: a claim needs no bytes.
    Present,
    /// An earlier attempt left its beginning here. Hash as much of the file, then stream the rest.
    Resume {
        /// Bytes that are here.
        offset: u64,
    },
    /// Do not send it: what is there is newer.
    Keep,
    /// Do not send it.
    Refuse(WireError),
}

/// A stored file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stored {
    /// The content's size.
    pub size: u64,
    /// The content's digest, as the server computed it.
    pub sha256: Digest,
}

/// What a download is going to be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Content {
    /// The whole content's size.
    pub size: u64,
    /// The whole content's digest.
    pub sha256: Digest,
    /// When it was last modified.
    pub mtime: Nanoseconds,
    /// Whether it may be executed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub executable: bool,
    /// The first byte that is sent: the one that was asked for, or 0 if that was meant for another content.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub offset: u64,
}

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EntryKind {
    /// A file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// A space, in the list of spaces.
    Space,
}

/// One line of a listing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The name in its directory; in a recursive listing the path below the directory that was asked for.
    pub name: String,
    /// What it is.
    pub kind: EntryKind,
    /// A file's size; 0 for everything else.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub size: u64,
    /// When it was last modified.
    pub mtime: Nanoseconds,
    /// Whether a file may be executed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub executable: bool,
    /// A file's digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Digest>,
    /// What a link points to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Who stored it; the owner of a space.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Name>,
    /// Differs from what it was before the entry was stored anew or touched. Only its equality means anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
}

/// Everything about one path.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Description {
    /// The whole path, `/` and space first.
    pub path: EntryPath,
    /// What it is.
    pub kind: EntryKind,
    /// A file's size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// A file's digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Digest>,
    /// When it was last modified.
    pub mtime: Nanoseconds,
    /// Whether a file may be executed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub executable: bool,
    /// What a link points to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// When it was stored.
    pub stored_at: Nanoseconds,
    /// Who stored it; the owner of a space.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Name>,
    /// Bytes that hold a file's content on the server. Equal contents share them, whoever stored them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored_bytes: Option<u64>,
}

/// Which way a transfer went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// To the server.
    Put,
    /// From the server.
    Get,
}

/// One record of the transfer log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Transfer {
    /// Counts up with time.
    pub id: i64,
    /// When it began.
    pub started: Nanoseconds,
    /// How long it took, in microseconds.
    pub duration_us: u64,
    /// Who.
    pub identity: Name,
    /// From which address, `ADDR:PORT`.
    pub address: String,
    /// Which way.
    pub direction: Direction,
    /// Whether the content was only shown: a get with [`preview`](super::Get::preview).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub preview: bool,
    /// The whole path, `/` and space first.
    pub path: EntryPath,
    /// Bytes of the content that crossed, or was claimed; what had arrived of it when it failed. A transfer that went on
    /// where an earlier one had stopped has brought only the rest.
    pub bytes: u64,
    /// Bytes of frames that crossed for it, headers and messages included, TLS records not.
    pub wire_bytes: u64,
    /// The content's digest, where it was known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Digest>,
    /// How it ended: absent means well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorCode>,
}

/// Who the caller is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Account {
    /// The name.
    pub identity: Name,
    /// The identity as a SPIFFE ID.
    pub uri: String,
    /// When the certificate of this connection expires.
    pub expires: Nanoseconds,
    /// The server's name and version.
    pub server: String,
    /// Every space that the caller has a right on.
    pub spaces: Vec<SpaceRights>,
}

/// The caller's rights on a space.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SpaceRights {
    /// The space.
    pub space: Name,
    /// Of `read`, `create`, `replace` and `delete`.
    pub rights: Vec<String>,
}
