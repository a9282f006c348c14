//! Control messages: the JSON objects that control frames carry.
//!
//! Unknown fields are ignored, so that a later version can add some. A request whose `type` is unknown gets the error
//! [`UnknownRequest`](crate::ErrorCode::UnknownRequest) and the conversation goes on. Times are whole nanoseconds
//! since 1970-01-01 00:00 UTC, sizes are bytes.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::frame::HEADER;
use crate::path::PathError;
use crate::{Digest, ErrorCode, FrameError, FrameKind, Header, Name, RemotePath, WireError};

/// The most bytes of a content that may travel as [`Body::Inline`]: 64 KiB.
pub const MAX_INLINE: u64 = 64 * 1024;

/// The most bytes of a symbolic link's target: what systems allow for a path.
pub const MAX_TARGET: usize = 4096;

/// The most files that one [`Request::Plan`] may name.
pub const MAX_PLAN: usize = 256;

/// A moment, in nanoseconds since 1970-01-01 00:00 UTC; negative before it.
pub type Nanoseconds = i64;

/// What a client asks. Requests are answered in the order in which they were sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Request {
    /// The first request of a connection.
    Hello(Hello),
    /// What to do about files before their contents are sent.
    Plan(Plan),
    /// Stores a file.
    Put(Put),
    /// Fetches a file's content.
    Get(Get),
    /// Makes a directory.
    MakeDirectory(MakeDirectory),
    /// Stores a symbolic link.
    Link(Link),
    /// Lists a directory, a file, the spaces, or everything below a directory.
    List(List),
    /// Describes one path.
    Info(Info),
    /// Deletes an entry.
    Remove(Remove),
    /// Renames or moves an entry.
    Move(Transplant),
    /// Copies a file, a link, or a directory with all that is in it.
    Copy(Transplant),
    /// Reads the transfer log, newest first.
    Log(LogQuery),
    /// Who is asking, and what may they do?
    Whoami(Whoami),
    /// Asks for a new certificate before the present one expires.
    Renew(Renew),
    /// Tells the server that a download did not verify, so that its log and its administrator know.
    Report(Report),
}

/// Opens a connection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hello {
    /// The versions that the client speaks.
    pub versions: Vec<u32>,
    /// The client's name and version, for the server's log; at most 100 characters are kept.
    #[serde(default)]
    pub agent: String,
    /// Optional features that the client knows; none are defined in version 1.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<String>,
}

/// Asks what to do about files of known sizes, at most [`MAX_PLAN`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The files, in the order of the answers.
    pub files: Vec<PlannedFile>,
}

/// One file that is about to be stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannedFile {
    /// Where it is going.
    pub path: RemotePath,
    /// Its size.
    pub size: u64,
    /// When it was last modified. Without it, nothing that an earlier attempt left is continued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtime: Option<Nanoseconds>,
    /// Whether a file that is there stays if it is newer than `mtime`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub update: bool,
}

/// Stores a file; parent directories come into being.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Put {
    /// Where to.
    pub path: RemotePath,
    /// How the content reaches the server.
    pub body: Body,
    /// The content's size, where it is known beforehand. Required for [`Body::Inline`] and [`Body::Claim`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// The content's digest, where it is known beforehand. Required for [`Body::Inline`] and [`Body::Claim`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Digest>,
    /// When the content was last modified; the server's time of arrival if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtime: Option<Nanoseconds>,
    /// Whether the file may be executed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub executable: bool,
    /// Whether a file that is there stays if it is newer than `mtime`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub update: bool,
    /// Where a [`Body::Stream`] continues: the part that the server has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resume: Option<Part>,
}

/// The first bytes of a content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// How many there are.
    pub size: u64,
    /// Their digest, as the client computed it: the server continues only what agrees with it.
    pub sha256: Digest,
}

/// How the content of a [`Put`] travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Body {
    /// Exactly one data frame follows, of at most [`MAX_INLINE`] bytes.
    Inline,
    /// Data frames follow, then a [`Trailer`].
    Stream,
    /// Nothing follows: the content is said to be within the caller's reach already.
    Claim,
}

/// Fetches a file's content.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Get {
    /// Which file.
    pub path: RemotePath,
    /// The first byte to send; beyond the end is an error.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub offset: u64,
    /// The content that the offset is meant for: if the file holds another one by now, it is sent from its beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Digest>,
}

/// Makes a directory and those above it that are missing. One that exists stays as it is, but for its time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MakeDirectory {
    /// Which one.
    pub path: RemotePath,
    /// When it was last modified; the server's time if absent, and if it is new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtime: Option<Nanoseconds>,
}

/// Stores a symbolic link; parent directories come into being. The server never follows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Link {
    /// Where to.
    pub path: RemotePath,
    /// What it points to, at most [`MAX_TARGET`] bytes: text that means something only where the link is put to use.
    pub target: String,
    /// When it was last modified; the server's time of arrival if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtime: Option<Nanoseconds>,
}

/// Lists entries.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct List {
    /// A directory lists what is in it, a file itself, `/` the spaces that the caller has any right on.
    pub path: RemotePath,
    /// Everything below a directory, each directory before what is in it. Not for `/`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub recursive: bool,
    /// Only what comes after this entry: a name as an earlier answer had it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// The most entries of the answer; 0 is no limit. One that reaches it may have left some out.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub limit: u64,
}

/// Describes a path.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Info {
    /// Which one.
    pub path: RemotePath,
}

/// Deletes an entry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Remove {
    /// Which one.
    pub path: RemotePath,
    /// Whether a directory goes with all that is in it; otherwise it has to be empty.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub recursive: bool,
}

/// From where to where; nothing is moved but names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Transplant {
    /// What to move or copy.
    pub from: RemotePath,
    /// Its new path. A directory receives the entry under its old name; a file is replaced.
    pub to: RemotePath,
}

/// Reads the transfer log.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LogQuery {
    /// The most records to return; 0 is as many as the server gives in one answer, which is 1,000.
    #[serde(default)]
    pub limit: u32,
    /// Only records older than this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<i64>,
    /// Only this direction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// Only what failed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub failed: bool,
    /// Only this path, or what is below it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<RemotePath>,
}

/// Asks who the caller is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Whoami {}

/// Asks for a new certificate of the same identity.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Renew {
    /// A PKCS #10 certificate request, PEM.
    pub csr: String,
}

/// A download that did not verify.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Which file; it must have been fetched over this connection.
    pub path: RemotePath,
    /// The digest that the server announced.
    pub sha256: Digest,
}

/// What follows the last data frame of a streamed content, in either direction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Trailer {
    /// The content is complete.
    End {
        /// Its size, the part before a download's offset included.
        size: u64,
        /// Its digest, likewise.
        sha256: Digest,
    },
    /// The sender gives up; nothing was transferred. The connection goes on.
    Error(WireError),
}

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
    /// To a get: data frames follow, then a [`Trailer`].
    Content(Content),
    /// To a list; more such replies follow while `more` is set.
    Entries {
        /// In the order of their names' normalized bytes.
        entries: Vec<Entry>,
        /// Whether another reply to the same request follows.
        #[serde(default)]
        more: bool,
    },
    /// To an info.
    Info(Description),
    /// To a make-directory, a link, a remove and a report.
    Done {},
    /// To a move and a copy.
    Placed {
        /// Where the entry is now, `/` and space first.
        path: RemotePath,
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
    /// Optional features that both ends know; none are defined in version 1.
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
}

/// Everything about one path.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Description {
    /// The whole path, `/` and space first.
    pub path: RemotePath,
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
    /// The whole path, `/` and space first.
    pub path: RemotePath,
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

/// A message could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    /// The frame would be or is too long.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// Not the JSON that was expected.
    #[error("a control message is not understood: {0}")]
    Json(#[from] serde_json::Error),
}

/// Appends `message` to `out` as one control frame. On an error `out` is as it was.
pub fn encode(message: &impl Serialize, out: &mut Vec<u8>) -> Result<(), MessageError> {
    let start = out.len();
    out.extend_from_slice(&[0; HEADER]);
    let written = serde_json::to_writer(&mut *out, message).map_err(MessageError::from).and_then(|()| {
        Header::new(FrameKind::Control, out.len() - start - HEADER).map_err(MessageError::from)
    });
    match written {
        Ok(header) => out[start..start + HEADER].copy_from_slice(&header.encode()),
        Err(error) => {
            out.truncate(start);
            return Err(error);
        }
    }
    Ok(())
}

/// Reads the payload of a control frame.
pub fn decode<T: DeserializeOwned>(payload: &[u8]) -> Result<T, MessageError> {
    Ok(serde_json::from_slice(payload)?)
}

/// Reads a request; the error is what the client is to be told.
pub fn decode_request(payload: &[u8]) -> Result<Request, WireError> {
    #[derive(Deserialize)]
    struct Tag<'a> {
        #[serde(rename = "type", borrow)]
        kind: std::borrow::Cow<'a, str>,
    }
    // serde would take an array of the fields as well.
    if payload.trim_ascii_start().first() != Some(&b'{') {
        return Err(WireError::new(
            ErrorCode::BadRequest,
            "the request is not understood: it is no JSON object",
        ));
    }
    serde_json::from_slice(payload).map_err(|error| {
        let kind = serde_json::from_slice::<Tag<'_>>(payload).map(|tag| tag.kind);
        match kind {
            Ok(kind) if !REQUESTS.contains(&kind.as_ref()) => WireError::new(
                ErrorCode::UnknownRequest,
                format!("this server does not know the request {kind:?}: update the server"),
            ),
            _ => match refused_path(payload) {
                Some(error) => WireError::new(ErrorCode::NameNotAllowed, error.to_string()),
                None => {
                    WireError::new(ErrorCode::BadRequest, format!("the request is not understood: {error}"))
                }
            },
        }
    })
}

/// Why a path in an otherwise readable request is refused.
fn refused_path(payload: &[u8]) -> Option<PathError> {
    #[derive(Deserialize)]
    struct Paths {
        path: Option<String>,
        from: Option<String>,
        to: Option<String>,
        #[serde(default)]
        files: Vec<Paths>,
    }
    impl Paths {
        fn refused(self) -> Option<PathError> {
            let own = [self.path, self.from, self.to].into_iter().flatten();
            own.map(|path| path.parse::<RemotePath>())
                .find_map(Result::err)
                .or_else(|| self.files.into_iter().find_map(Self::refused))
        }
    }
    serde_json::from_slice::<Paths>(payload).ok()?.refused()
}

/// The `type` of every [`Request`].
const REQUESTS: [&str; 15] = [
    "hello",
    "plan",
    "put",
    "get",
    "make-directory",
    "link",
    "list",
    "info",
    "remove",
    "move",
    "copy",
    "log",
    "whoami",
    "renew",
    "report",
];

#[allow(clippy::trivially_copy_pass_by_ref)] // serde passes the field by reference
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests;
