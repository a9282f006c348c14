//! What a client asks.

use serde::{Deserialize, Serialize};

use super::{Direction, Nanoseconds, is_zero};
use crate::WireError;
use sealift_types::path::PathError;
use sealift_types::{Digest, EntryPath, ErrorCode};

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
    /// Brings a slice of a content that another connection puts.
    Slice(Slice),
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
    /// Optional features that the client knows, such as [`SLICES`](super::SLICES).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<String>,
}

impl Hello {
    /// Returns true if the client knows an optional feature.
    pub fn knows(&self, feature: &str) -> bool {
        self.features.iter().any(|known| known == feature)
    }
}

/// Asks what to do about files of known sizes, at most [`MAX_PLAN`](super::MAX_PLAN).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The files, in the order of the answers.
    pub files: Vec<PlannedFile>,
}

/// One file that is about to be stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannedFile {
    /// Where it is going.
    pub path: EntryPath,
    /// Its size.
    pub size: u64,
    /// When it was last modified. Without it, nothing that an earlier attempt left is continued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtime: Option<Nanoseconds>,
    /// Whether a file that is there stays if it is newer than `mtime`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub update: bool,
    /// The content's digest, from a client that only asks: then the answer is whether a claim would succeed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Digest>,
}

/// Stores a file; parent directories come into being.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Put {
    /// Where to.
    pub path: EntryPath,
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
    /// By which [`Slice`]s name this upload, if further connections may bring some of a [`Body::Stream`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<u64>,
}

/// Brings a slice of the content of a [`Put`] that the same identity has under way over another connection. Data frames
/// of `length` bytes follow. The answer comes when everything up to the slice's end was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slice {
    /// The put's.
    pub key: u64,
    /// The slice's first byte in the content: whole [`SLICE`](super::SLICE)s behind the first byte that the put sends.
    pub offset: u64,
    /// Its bytes: a [`SLICE`](super::SLICE), or what is left of the content. None ask whether there is such an upload.
    pub length: u64,
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
    /// Exactly one data frame follows, of at most [`MAX_INLINE`](super::MAX_INLINE) bytes.
    Inline,
    /// Data frames follow, then a [`Trailer`](super::Trailer).
    Stream,
    /// Nothing follows: the content is said to be within the caller's reach already.
    Claim,
}

/// Fetches a file's content.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Get {
    /// Which file.
    pub path: EntryPath,
    /// The first byte to send; beyond the end is an error.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub offset: u64,
    /// The content that the offset is meant for: if the file holds another one by now, it is sent from its beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Digest>,
    /// The most bytes to send.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<u64>,
    /// Whether the content is only shown, and kept nowhere: the log tells it apart from downloads.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub preview: bool,
}

impl Get {
    /// A whole file.
    pub fn whole(path: EntryPath) -> Self {
        Self { path, offset: 0, sha256: None, length: None, preview: false }
    }
}

/// Makes a directory and those above it that are missing. One that exists stays as it is, but for its time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MakeDirectory {
    /// Which one.
    pub path: EntryPath,
    /// When it was last modified; the server's time if absent, and if it is new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtime: Option<Nanoseconds>,
    /// Makes the directory only if nothing is at the path. The answer is [`Reply::Made`](super::Reply::Made) then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub if_absent: bool,
}

/// Stores a symbolic link; parent directories come into being. The server never follows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Link {
    /// Where to.
    pub path: EntryPath,
    /// What it points to, at most [`MAX_TARGET`](super::MAX_TARGET) bytes: text that means something only where the link is put to use.
    pub target: String,
    /// When it was last modified; the server's time of arrival if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtime: Option<Nanoseconds>,
}

/// Lists entries.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct List {
    /// A directory lists what is in it, a file itself, `/` the spaces that the caller has any right on.
    pub path: EntryPath,
    /// Everything below a directory, each directory before what is in it. Not for `/`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub recursive: bool,
    /// Only what comes after this entry: a name as an earlier answer had it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// The most entries of the answer; 0 is no limit. One that reaches it may have left some out.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub limit: u64,
    /// Whether each entry is to have its [`etag`](super::Entry::etag).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub etags: bool,
    /// Asks whether anything was moved, replaced or deleted since an earlier answer told this
    /// [`state`](super::Reply::Entries::state). The empty text asks for a state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
}

impl List {
    /// Lists all that is in a directory, and nothing below that.
    pub fn of(path: EntryPath) -> Self {
        Self { path, recursive: false, after: None, limit: 0, etags: false, since: None }
    }
}

/// Describes a path.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Info {
    /// Which one.
    pub path: EntryPath,
}

/// Deletes an entry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Remove {
    /// Which one.
    pub path: EntryPath,
    /// Whether a directory goes with all that is in it; otherwise it has to be empty.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub recursive: bool,
    /// Deletes the entry only if a listing would tell this [`etag`](super::Entry::etag) of it now, and a directory only if
    /// nothing is in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub if_match: Option<String>,
}

/// From where to where; nothing is moved but names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Transplant {
    /// What to move or copy.
    pub from: EntryPath,
    /// Its new path. A directory receives the entry under its old name; a file is replaced.
    pub to: EntryPath,
    /// Refuses a new path at which something is, so that nothing is replaced.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub if_absent: bool,
    /// Takes `to` for the new path itself: a directory that is there does not receive the entry.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub exact: bool,
}

impl Transplant {
    /// The usual one: into a directory that is there, and in the place of a file.
    pub fn new(from: EntryPath, to: EntryPath) -> Self {
        Self { from, to, if_absent: false, exact: false }
    }
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
    /// Also what was only shown: gets with [`preview`](Get::preview).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub previews: bool,
    /// Only this path, or what is below it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<EntryPath>,
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
    pub path: EntryPath,
    /// The digest that the server announced.
    pub sha256: Digest,
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
            own.map(|path| path.parse::<EntryPath>())
                .find_map(Result::err)
                .or_else(|| self.files.into_iter().find_map(Self::refused))
        }
    }
    serde_json::from_slice::<Paths>(payload).ok()?.refused()
}

/// The `type` of every [`Request`].
pub(super) const REQUESTS: [&str; 16] = [
    "hello",
    "plan",
    "put",
    "slice",
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
