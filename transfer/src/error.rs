//! Why something did not work, by cause.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use rustls::{AlertDescription, CertificateError};
use sealift_certs::CertError;
use sealift_certs::tls::{is_wrong_authority, tls_error};
use sealift_protocol::WireError;
use sealift_protocol::io::StreamError;
use sealift_types::path::PathError;
use sealift_types::{EntryPath, ErrorCode};

use crate::Address;
use crate::profile::ProfileError;

/// Why something did not work. Each message says what was wrong, and the mend where there is only one.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// No address could be reached.
    #[error("could not connect to {}", ConnectAttempts(.0))]
    Connect(Vec<ConnectAttempt>),
    /// An address was reached, but the two ends do not accept each other.
    #[error("{cause} ({address})")]
    Handshake {
        /// Which address.
        address: Address,
        /// Who accepts whom not.
        cause: HandshakeError,
    },
    /// The server says no, to one request or to all of them.
    #[error(transparent)]
    Refused(#[from] WireError),
    /// The connection broke, or nothing moved for too long.
    #[error("the connection to the server was lost: {0}")]
    Lost(StreamError),
    /// The server sends what it must not.
    #[error("the server does not keep to the protocol: {0}")]
    Protocol(String),
    /// The bytes that arrived are not those that were sent.
    #[error("{path} did not arrive intact ({reason})")]
    Integrity {
        /// The path on the server.
        path: EntryPath,
        /// What disagrees.
        reason: String,
    },
    /// The local system failed.
    #[error("cannot {action} {}: {}", path.display(), plain(source))]
    Local {
        /// What was tried, an infinitive.
        action: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// A file changed while it was being read, so no content of it is the right one.
    #[error("{} changed while it was read ({change}): put it again when it is quiet", path.display())]
    SourceChanged {
        /// Which file.
        path: PathBuf,
        /// What is different.
        change: String,
    },
    /// What was to be deleted is not what it was any more.
    #[error("{path} was changed while this ran, and stays: sync again to have it compared anew")]
    Meanwhile {
        /// Which, here or on the server.
        path: String,
    },
    /// A directory on the server was changed each time that it was listed.
    #[error(
        "{path} changed each time it was listed: what was renamed meanwhile may be missing here; fetch it again when it is quiet"
    )]
    Restless {
        /// The path on the server.
        path: EntryPath,
    },
    /// Of a directory on the server something was fetched that was renamed or deleted before all was here.
    #[error(
        "{path} changed while it was fetched, and {} renamed or deleted on the server meanwhile",
        entries(*count)
    )]
    Renamed {
        /// The path on the server.
        path: EntryPath,
        /// How many entries, as far as they are known.
        count: usize,
    },
    /// The server lacks an optional feature that is needed.
    #[error("the server cannot {0}: update the server")]
    TooOld(&'static str),
    /// Something local is not what a transfer needs.
    #[error("{} {unfit}", path.display())]
    Unfit {
        /// Which file or directory.
        path: PathBuf,
        /// What is wrong with it.
        unfit: Unfit,
    },
    /// A path on the server cannot be written.
    #[error(transparent)]
    Path(#[from] PathError),
    /// A saved profile is missing or damaged.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// A key or a certificate is not usable.
    #[error(transparent)]
    Certificate(#[from] CertError),
}

/// How many entries there are.
fn entries(count: usize) -> String {
    match count {
        0 => "some entries that are here may have been".to_owned(),
        1 => "1 entry that is here was".to_owned(),
        _ => format!("{count} entries that are here were"),
    }
}

impl TransferError {
    /// The same failure of a local file, by another of its paths.
    pub(crate) fn about(self, path: &Path) -> Self {
        let path = path.to_owned();
        match self {
            Self::Local { action, source, .. } => Self::Local { action, path, source },
            Self::Unfit { unfit, .. } => Self::Unfit { path, unfit },
            other => other,
        }
    }

    /// The system's error behind it, if there is one.
    pub(crate) fn into_io(self) -> io::Error {
        match self {
            Self::Local { source, .. } => source,
            other => io::Error::other(other),
        }
    }

    /// A failure of the local system, for `map_err`.
    pub fn local(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Local { action, path: path.to_owned(), source }
    }

    /// Whether nothing is there that could be read.
    pub(crate) fn is_absence(&self) -> bool {
        let kind =
            if let Self::Local { action: "read", source, .. } = self { Some(source.kind()) } else { None };
        kind == Some(io::ErrorKind::NotFound)
    }

    /// Whether the server has nothing under the path any more.
    pub(crate) fn is_refused_as_absent(&self) -> bool {
        matches!(self, Self::Refused(error) if error.code == ErrorCode::NotFound)
    }

    /// Whether the same may succeed later without anybody mending anything.
    pub fn retry_can_help(&self) -> bool {
        match self {
            Self::Connect(_) | Self::Lost(_) => true,
            Self::Refused(error) => error.retry,
            _ => false,
        }
    }

    /// Whether somebody is there who may have been too busy, as a server is that starts, or a balancer before it.
    pub(crate) fn was_answered(&self) -> bool {
        match self {
            Self::Connect(attempts) => {
                attempts.iter().any(|attempt| matches!(attempt.cause, ConnectError::Closed))
            }
            Self::Refused(_) | Self::Lost(_) => true,
            _ => false,
        }
    }
}

/// What is wrong with a local file or name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// A directory where a file is needed.
    #[error("is a directory, and a file is needed: name a file in it")]
    Directory,
    /// A directory where a file is to be written.
    #[error("is a directory, which no file can replace: choose another name, or another place")]
    DirectoryTarget,
    /// A symbolic link where only files and directories are transferred.
    #[error("is a symbolic link, and was skipped: --links stores links as links")]
    Link,
    /// What a download left or is writing, where files of their user's are transferred.
    #[error(
        "is an unfinished download, and was skipped: remove it with `sealift clean`, or rename it to have it stored"
    )]
    Part,
    /// A link, or something of another kind, that took the place of what was found there.
    #[error("was replaced by something else while this ran, which is not followed: transfer it again")]
    Replaced,
    /// A time that the wire cannot express.
    #[error(
        "was modified before 1677 or after 2262, as its time says: it is stored with the nearest time that there is"
    )]
    Time,
    /// A symbolic link at the destination, where links are left alone.
    #[error("is a symbolic link at the destination, which is left alone: --links lets it be replaced")]
    LinkStays,
    /// A directory that has to go and cannot.
    #[error(
        "is a directory at the destination and holds what is left alone (excluded, links, pipes, unfinished \
         downloads, or what came meanwhile): delete it yourself, or leave this out"
    )]
    Blocked,
    /// A pipe, a device or a socket where a file is to be read.
    #[error("is a pipe, a device or a socket, not a file: send what it yields through standard input")]
    Special,
    /// A file that tells no size and has a content, as those of the kernel do.
    #[error(
        "tells no size and has a content, as in /proc: put what it yields, as in `sealift put - NAME < FILE`"
    )]
    Sizeless,
    /// A file that yields more or less than it tells, and was not changed, as those of the kernel do.
    #[error(
        "yields more or less than its size tells, as in /sys: put what it yields, as in `sealift put - NAME < FILE`"
    )]
    WrongSize,
    /// A pipe, a device or a socket where a file is to be written.
    #[error("is a pipe, a device or a socket, which would be replaced by a file: choose another name")]
    SpecialTarget,
    /// A link to such a thing where a file is to be written.
    #[error(
        "is a link to a pipe, a device or an open file, and would be replaced by a file: choose another name, or write - \
         for standard output"
    )]
    LinkToSpecial,
    /// A symbolic link where a directory is to be.
    #[error(
        "is a symbolic link, which is not followed when a tree is written: remove it, or choose another place"
    )]
    LinkInTheWay,
    /// A file where a directory is to be.
    #[error("is a file, and a directory is to be there: remove it, or choose another place")]
    FileInTheWay,
    /// A symbolic link where the system has none.
    #[error("cannot be made: this system has no symbolic links for everybody")]
    LinkTarget,
    /// A name that the server cannot keep.
    #[error("has a name that is not UTF-8: rename it")]
    NotUtf8,
    /// A name that is another one's, written in another way.
    #[error("has the same name as another file, in another spelling of Unicode: rename one of them")]
    SameName,
    /// No directory where one is to be compared.
    #[error("is no directory, and only directories are synced: name one, or put and get the file")]
    NeedsDirectory,
    /// A directory where the other side has none, or the other way round.
    #[error("is a directory on one side only: remove one of the two, or let --delete replace what is there")]
    OtherKind,
    /// A name that is another one's here.
    #[error(
        "differs from another name only by case, which does not count here: fetch it under a name of your own"
    )]
    Twin,
    /// A name that this system cannot hold.
    #[error("cannot be a file's name on this system: choose the local name yourself")]
    LocalName,
}

/// One address that could not be reached.
#[derive(Debug)]
pub struct ConnectAttempt {
    /// Which one.
    pub address: Address,
    /// Why not.
    pub cause: ConnectError,
}

/// Why an address could not be reached.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// No such host, as far as this computer can tell.
    #[error("the host is unknown")]
    UnknownHost(#[source] io::Error),
    /// Nothing listens there.
    #[error("the connection was refused")]
    Refused,
    /// No answer.
    #[error("no answer in time")]
    TimedOut,
    /// Something answers there, and hangs up before the connection is secure.
    #[error("it closed the connection before it was secure")]
    Closed,
    /// Anything else.
    #[error("{}", plain(.0))]
    Other(#[from] io::Error),
}

/// Why a server and this client do not accept each other.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// A token names another server.
    #[error(
        "the server at this address is not the one that the token names: check the address, or ask for a new token"
    )]
    WrongAuthority,
    /// The profile belongs to another server.
    #[error(
        "the server at this address is not the one of this profile: check the address, or join this server too"
    )]
    UnknownServer,
    /// The server's certificate is out of date, or one of the clocks is wrong.
    #[error("the server's certificate is out of date: check this computer's clock, then the server's")]
    ServerOutOfDate,
    /// The server refuses this computer's certificate because it has expired.
    #[error("the server refuses this computer's certificate, which has expired: join again with a new token")]
    Expired,
    /// The server refuses this computer's certificate because it was revoked.
    #[error("the server refuses this computer's certificate, which was revoked: join again with a new token")]
    Revoked,
    /// The server refuses this computer's certificate.
    #[error("the server refuses this computer's certificate ({0}): join again with a new token")]
    Refused(String),
    /// The server has no open invitation, so nobody can join.
    #[error(
        "the server at this address has no open invitation: the token was used already, has expired or was withdrawn, \
         or names another server; check the address, or ask for a new token"
    )]
    NoInvitation,
    /// Another program, or another version.
    #[error(
        "what answers there does not speak this version of Sealift: check the port, then update the older side"
    )]
    NotSealift,
    /// Anything else.
    #[error("no secure connection could be made: {0}")]
    Other(String),
}

impl HandshakeError {
    /// Whether one end's certificate is the cause.
    pub fn is_about_trust(&self) -> bool {
        !matches!(self, Self::NotSealift | Self::Other(_))
    }

    /// What a failed handshake means; `None` if the connection broke and nobody refused anybody.
    pub(crate) fn of(error: &io::Error) -> Option<Self> {
        use rustls::Error as Tls;
        if is_wrong_authority(error) {
            return Some(Self::WrongAuthority);
        }
        Some(match tls_error(error)? {
            Tls::AlertReceived(alert) => Self::of_alert(*alert),
            Tls::InvalidCertificate(
                CertificateError::Expired
                | CertificateError::ExpiredContext { .. }
                | CertificateError::NotValidYet
                | CertificateError::NotValidYetContext { .. },
            ) => Self::ServerOutOfDate,
            Tls::InvalidCertificate(_) => Self::UnknownServer,
            Tls::InvalidMessage(_)
            | Tls::NoApplicationProtocol
            | Tls::PeerIncompatible(_)
            | Tls::InappropriateMessage { .. } => Self::NotSealift,
            other => Self::Other(other.to_string()),
        })
    }

    /// What the server's farewell means. A refused client certificate shows only at the first read after the
    /// handshake, because in TLS 1.3 the client has finished by then.
    fn of_alert(alert: AlertDescription) -> Self {
        match alert {
            AlertDescription::CertificateExpired => Self::Expired,
            AlertDescription::CertificateRevoked => Self::Revoked,
            AlertDescription::CertificateRequired => Self::Refused("it got none".into()),
            AlertDescription::UnknownCA => Self::Refused("it is of another authority".into()),
            AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::AccessDenied
            | AlertDescription::DecryptError => Self::Refused(format!("{alert:?}")),
            AlertDescription::NoApplicationProtocol
            | AlertDescription::ProtocolVersion
            | AlertDescription::HandshakeFailure
            | AlertDescription::UnrecognisedName => Self::NotSealift,
            other => Self::Other(format!("the server says {other:?}")),
        }
    }
}

/// Whether the server closes the connection after such an error, whatever request it seems to answer.
pub(crate) fn ends_connection(code: ErrorCode) -> bool {
    use ErrorCode::{Busy, CertificateRefused, ShuttingDown, Timeout, UnsupportedVersion};
    matches!(code, Busy | CertificateRefused | ShuttingDown | Timeout | UnsupportedVersion)
}

/// A system's error without its number, which helps nobody who reads the sentence.
pub fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    match text.rfind(" (os error ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

/// `HOST:PORT: reason` of each attempt.
struct ConnectAttempts<'a>(&'a [ConnectAttempt]);

impl fmt::Display for ConnectAttempts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, ConnectAttempt { address, cause }) in self.0.iter().enumerate() {
            let separator = if number == 0 { "" } else { ", nor to " };
            write!(f, "{separator}{address} ({cause})")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_of_a_certificate_is_told_as_one() {
        for alert in [
            AlertDescription::CertificateExpired,
            AlertDescription::CertificateRequired,
            AlertDescription::CertificateRevoked,
            AlertDescription::UnknownCA,
            AlertDescription::BadCertificate,
            AlertDescription::AccessDenied,
        ] {
            let error = io::Error::new(io::ErrorKind::InvalidData, rustls::Error::AlertReceived(alert));
            let cause = HandshakeError::of(&error).unwrap();
            assert!(cause.is_about_trust(), "{alert:?}");
            assert!(cause.to_string().contains("join again"), "{alert:?}");
        }
        assert_eq!(HandshakeError::of(&io::ErrorKind::ConnectionReset.into()), None);
    }

    #[test]
    fn a_server_that_is_somebody_else_is_told_from_one_that_is_out_of_date() {
        let of = |error| HandshakeError::of(&io::Error::other(rustls::Error::InvalidCertificate(error)));
        assert_eq!(of(CertificateError::UnknownIssuer), Some(HandshakeError::UnknownServer));
        assert_eq!(of(CertificateError::NotValidForName), Some(HandshakeError::UnknownServer));
        assert_eq!(of(CertificateError::Expired), Some(HandshakeError::ServerOutOfDate));
    }

    #[test]
    fn sentences_name_every_address_and_no_error_numbers() {
        let attempt = |address: &str, cause| ConnectAttempt { address: address.parse().unwrap(), cause };
        let error = TransferError::Connect(vec![
            attempt("a.example:1", ConnectError::TimedOut),
            attempt("192.0.2.1:2", ConnectError::Refused),
        ]);
        assert_eq!(
            error.to_string(),
            "could not connect to a.example:1 (no answer in time), nor to 192.0.2.1:2 (the connection was refused)"
        );
        let missing = TransferError::local("read", Path::new("x"))(io::Error::from_raw_os_error(2));
        assert_eq!(missing.to_string(), "cannot read x: No such file or directory");
    }
}
