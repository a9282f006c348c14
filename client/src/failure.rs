//! Failures as the user meets them: a sentence, a hint where the sentence has no mend, and an exit code.

use std::borrow::Cow;
use std::io;

use sealift_certs::CertError;
use sealift_certs::token::TokenError;
use sealift_protocol::WireError;
use sealift_transfer::configuration::ConfigurationError;
use sealift_transfer::error::{ConnectAttempt, ConnectError, HandshakeError};
use sealift_transfer::plan::{DownloadPlanError, PlanError};
use sealift_transfer::profile::ProfileError;
use sealift_transfer::{FailureKind, TransferError};
use sealift_types::ErrorCode;
use sealift_types::path::PathError;

use crate::command_error::CommandError;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Everything was done.
    Done = 0,
    /// Any failure without a code of its own.
    Other = 1,
    /// The command line, the environment or the configuration is wrong.
    Usage = 2,
    /// There is no such path, here or on the server.
    NotFound = 3,
    /// The right is missing, or one end does not accept the other's certificate.
    NotAllowed = 4,
    /// Bytes and digest disagree.
    Integrity = 5,
    /// No space, or the quota is exhausted.
    NoSpace = 6,
    /// No connection, or none any more: a retry may help.
    Connection = 7,
    /// Some of several failed.
    Some = 8,
    /// By SIGHUP.
    #[cfg(unix)]
    HungUp = 129,
    /// By Ctrl-C.
    Interrupted = 130,
    /// By SIGTERM.
    #[cfg(unix)]
    Terminated = 143,
}

impl Exit {
    /// The number that the system sees.
    pub(crate) fn code(self) -> u8 {
        self as u8
    }
}

/// Why the program ends before it is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// How the program ends.
    pub(crate) exit: Exit,
    /// What went wrong, for programs: the codes of the protocol, and a few for this end.
    pub(crate) code: Cow<'static, str>,
    /// What went wrong, for a person. Empty if there is nobody to tell.
    pub(crate) message: String,
    /// What to do, unless the message says so.
    pub(crate) hint: Option<String>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { exit, code: code.into(), message: message.into(), hint: None }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, "usage", message)
    }

    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// The failure without the file, if it is not about the file: the same would happen to any other.
    pub(crate) fn common(error: &TransferError) -> Option<Self> {
        let kind = error.kind();
        if !matches!(
            kind,
            FailureKind::ServerFull | FailureKind::Quota | FailureKind::DiskFull | FailureKind::NotAllowed
        ) {
            return None;
        }
        let message = match error {
            TransferError::Local { action, source, .. } => {
                format!("cannot {action} them: {}", sealift_transfer::error::plain(source))
            }
            other => other.to_string(),
        };
        Some(Self::new(kind.into(), code(error), message))
    }

    /// Names what failed, if the message does not: with several of them nobody else would know.
    pub(crate) fn about(mut self, what: &str) -> Self {
        if !self.message.contains(what) && !self.message.is_empty() {
            self.message = format!("{what}: {}", self.message);
        }
        self
    }
}

/// The command-line contract.
impl From<FailureKind> for Exit {
    fn from(kind: FailureKind) -> Self {
        match kind {
            FailureKind::NotFound => Self::NotFound,
            FailureKind::NotAllowed | FailureKind::CertificateRefused | FailureKind::ServerRefused => {
                Self::NotAllowed
            }
            FailureKind::Integrity => Self::Integrity,
            FailureKind::ServerFull | FailureKind::Quota | FailureKind::DiskFull => Self::NoSpace,
            FailureKind::Connection => Self::Connection,
            FailureKind::Place
            | FailureKind::Version
            | FailureKind::Profile
            | FailureKind::Passing
            | FailureKind::Other => Self::Other,
        }
    }
}

/// Standard output cannot be written. If its reader has gone, it has got what it wanted, and that is no failure.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::new(Exit::Done, "broken-pipe", "");
        }
        let error =
            TransferError::Local { action: "write to", path: "standard output".into(), source: error };
        Self::from(error).hint("check where the output goes")
    }
}

impl From<WireError> for Failure {
    fn from(error: WireError) -> Self {
        TransferError::from(error).into()
    }
}

impl From<TransferError> for Failure {
    fn from(error: TransferError) -> Self {
        let exit = if lacks_room(&error) { Exit::NoSpace } else { error.kind().into() };
        let failure = Self::new(exit, code(&error), error.to_string());
        if let TransferError::Local { source, .. } = &error
            && let Some(command) = CommandError::behind(source)
        {
            return Self { message: command.to_string(), ..failure }.hint(command.hint());
        }
        let hint = match &error {
            // `get - | head`: the reader has what it wanted, but the transfer is not complete.
            TransferError::Local { source, .. } if source.kind() == io::ErrorKind::BrokenPipe => {
                return Self { message: String::new(), ..failure };
            }
            TransferError::Refused(error) if error.retry && !error.message.contains("try again") => {
                "try again in a moment"
            }
            TransferError::Connect(attempts) => connect_hint(attempts),
            TransferError::Handshake { cause: HandshakeError::Other(_), .. } => {
                "check the address; the server's log may say more"
            }
            TransferError::Lost(_) => "run the same command again",
            TransferError::Protocol(_) => "update the older of client and server",
            TransferError::Integrity { .. } => {
                "try again; if it stays, put the file again, or ask the server's administrator to restore it from a \
                 backup"
            }
            TransferError::Local { action, source, .. } => local_hint(action, source.kind()),
            TransferError::Profile(error) => match error {
                ProfileError::Exists { .. } => "`sealift profile list` shows all of them",
                ProfileError::Credentials { .. } => "if the profile is damaged, join again with a new token",
                ProfileError::Missing(_) => "`sealift join TOKEN --profile NAME` makes a profile",
                ProfileError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                    "restore the file, or remove the profile and join again with a new token"
                }
                ProfileError::Io { .. } | ProfileError::Unrenewable { .. } if exit == Exit::NoSpace => {
                    "free some space on this computer; a token that was not used yet stays good"
                }
                ProfileError::Damaged { .. }
                | ProfileError::Io { .. }
                | ProfileError::SetAside { .. }
                | ProfileError::Unrenewable { .. } => return failure,
            },
            TransferError::Certificate(_) => "if the profile is damaged, join again with a new token",
            TransferError::Renamed { .. } => {
                "fetch it again into an empty directory, or use `sealift sync --delete`, which deletes them"
            }
            TransferError::Refused(_)
            | TransferError::Handshake { .. }
            | TransferError::SourceChanged { .. }
            | TransferError::Unfit { .. }
            | TransferError::Meanwhile { .. }
            | TransferError::Restless { .. }
            | TransferError::TooOld(_)
            | TransferError::Path(_) => return failure,
        };
        failure.hint(hint)
    }
}

/// Whether a profile cannot be written because a disk of this computer is full.
fn lacks_room(error: &TransferError) -> bool {
    let TransferError::Profile(ProfileError::Io { source, .. } | ProfileError::Unrenewable { source, .. }) =
        error
    else {
        return false;
    };
    matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// What failed, for programs.
fn code(error: &TransferError) -> Cow<'static, str> {
    match error {
        TransferError::Refused(error) => code_text(error.code).into(),
        TransferError::Connect(_) => "connect".into(),
        TransferError::Handshake { .. } if error.kind() == FailureKind::Connection => "connect".into(),
        TransferError::Handshake { .. } => code_text(ErrorCode::CertificateRefused).into(),
        TransferError::Lost(_) => "lost".into(),
        TransferError::Protocol(_) => "protocol".into(),
        TransferError::Integrity { .. } => "integrity".into(),
        TransferError::Local { source, .. } if source.kind() == io::ErrorKind::BrokenPipe => {
            "broken-pipe".into()
        }
        TransferError::Local { .. } => "local".into(),
        TransferError::SourceChanged { .. } => "source-failed".into(),
        TransferError::Unfit { .. } => "unfit".into(),
        TransferError::Meanwhile { .. } | TransferError::Restless { .. } | TransferError::Renamed { .. } => {
            code_text(ErrorCode::Changed).into()
        }
        TransferError::TooOld(_) => code_text(ErrorCode::UnsupportedVersion).into(),
        TransferError::Path(_) => code_text(ErrorCode::NameNotAllowed).into(),
        TransferError::Profile(_) | TransferError::Certificate(_) => "profile".into(),
    }
}

impl From<PathError> for Failure {
    fn from(error: PathError) -> Self {
        TransferError::from(error).into()
    }
}

impl From<ProfileError> for Failure {
    fn from(error: ProfileError) -> Self {
        TransferError::from(error).into()
    }
}

impl From<CertError> for Failure {
    fn from(error: CertError) -> Self {
        TransferError::from(error).into()
    }
}

impl From<ConfigurationError> for Failure {
    fn from(error: ConfigurationError) -> Self {
        Self::usage(error.to_string())
    }
}

impl From<TokenError> for Failure {
    fn from(error: TokenError) -> Self {
        Self::new(Exit::Usage, "token", error.to_string())
    }
}

impl From<PlanError> for Failure {
    fn from(error: PlanError) -> Self {
        Self::usage(error.to_string())
    }
}

impl From<DownloadPlanError> for Failure {
    fn from(error: DownloadPlanError) -> Self {
        match error {
            DownloadPlanError::Plan(error) => error.into(),
            DownloadPlanError::Local(error) => error.into(),
        }
    }
}

fn local_hint(action: &str, cause: io::ErrorKind) -> &'static str {
    match cause {
        io::ErrorKind::NotFound if action == "read" => "check the name",
        io::ErrorKind::NotFound => "make the directory first, or end it with / to have it made",
        io::ErrorKind::PermissionDenied => "check the permissions of the file and its directory",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "free some space on this computer, or choose another place"
        }
        _ => "check the file and the disk that it is on",
    }
}

fn connect_hint(attempts: &[ConnectAttempt]) -> &'static str {
    let all = |is: fn(&ConnectError) -> bool| attempts.iter().all(|attempt| is(&attempt.cause));
    if all(|cause| matches!(cause, ConnectError::UnknownHost(_))) {
        "check the host's name and this computer's network, or reach the server another way: --server ADDR:PORT"
    } else if all(|cause| matches!(cause, ConnectError::Closed)) {
        "check the port; if it is the right one, the server, or a balancer before it, may be starting or too busy: try \
         again in a moment"
    } else if all(|cause| matches!(cause, ConnectError::Refused)) {
        "check that sealiftd runs there and listens on that port, or give another address: --server ADDR:PORT"
    } else {
        "check the network and the server's firewall, or reach the server another way: --server ADDR:PORT"
    }
}

/// A code as it is on the wire.
pub(crate) fn code_text(code: ErrorCode) -> String {
    match serde_json::to_value(code) {
        Ok(serde_json::Value::String(text)) => text,
        _ => "unknown".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn refused(code: ErrorCode) -> TransferError {
        WireError::new(code, "no").into()
    }

    fn attempt(cause: ConnectError) -> TransferError {
        TransferError::Connect(vec![ConnectAttempt { address: "h:1".parse().unwrap(), cause }])
    }

    fn hands(cause: HandshakeError) -> TransferError {
        TransferError::Handshake { address: "h:1".parse().unwrap(), cause }
    }

    fn on_disk(action: &'static str, kind: io::ErrorKind) -> TransferError {
        TransferError::local(action, Path::new("x"))(kind.into())
    }

    /// The command-line contract: changing a line here breaks scripts.
    #[test]
    fn exit_codes_are_pinned() {
        let table = [
            (refused(ErrorCode::NotFound), 3),
            (on_disk("read", io::ErrorKind::NotFound), 3),
            (refused(ErrorCode::NotAllowed), 4),
            (refused(ErrorCode::CertificateRefused), 4),
            (refused(ErrorCode::TokenRefused), 4),
            (hands(HandshakeError::Expired), 4),
            (hands(HandshakeError::Revoked), 4),
            (hands(HandshakeError::WrongAuthority), 4),
            (hands(HandshakeError::UnknownServer), 4),
            (refused(ErrorCode::Integrity), 5),
            (TransferError::Integrity { path: "x".parse().unwrap(), reason: String::new() }, 5),
            (refused(ErrorCode::NoSpace), 6),
            (refused(ErrorCode::Quota), 6),
            (on_disk("write", io::ErrorKind::StorageFull), 6),
            (attempt(ConnectError::Refused), 7),
            (attempt(ConnectError::TimedOut), 7),
            (attempt(ConnectError::Closed), 7),
            (attempt(ConnectError::UnknownHost(io::ErrorKind::NotFound.into())), 7),
            (hands(HandshakeError::NotSealift), 7),
            (refused(ErrorCode::Timeout), 7),
            (refused(ErrorCode::Busy), 7),
            (refused(ErrorCode::ShuttingDown), 7),
            (refused(ErrorCode::IsADirectory), 1),
            (refused(ErrorCode::Internal), 1),
            (TransferError::Protocol(String::new()), 1),
            (on_disk("write", io::ErrorKind::PermissionDenied), 1),
            (TransferError::SourceChanged { path: "x".into(), change: String::new() }, 1),
        ];
        for (error, exit) in table {
            let shown = format!("{error:?}");
            assert_eq!(Failure::from(error).exit.code(), exit, "{shown}");
        }
        assert_eq!(Failure::from(PlanError::Spaces).exit.code(), 2);
        assert_eq!(Failure::from(TokenError::Damaged).exit.code(), 2);
        assert_eq!((Exit::Done.code(), Exit::Some.code(), Exit::Interrupted.code()), (0, 8, 130));
    }

    #[test]
    fn codes_are_those_of_the_wire() {
        assert_eq!(Failure::from(refused(ErrorCode::NoSpace)).code, "no-space");
        assert_eq!(Failure::from(hands(HandshakeError::Revoked)).code, "certificate-refused");
        assert_eq!(code_text(ErrorCode::Unknown), "unknown");
    }

    #[test]
    fn a_reader_that_has_gone_is_no_failure_to_list_but_one_to_fetch() {
        let listing = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!((listing.exit, listing.message.as_str()), (Exit::Done, ""));
        let fetching = Failure::from(on_disk("write", io::ErrorKind::BrokenPipe)).about("x");
        assert_eq!((fetching.exit, fetching.message.as_str()), (Exit::Other, ""));
    }

    #[test]
    fn with_several_files_each_failure_names_its_own() {
        let failure = Failure::new(Exit::NotFound, "not-found", "there is no such path");
        assert_eq!(failure.clone().about("/alice/x").message, "/alice/x: there is no such path");
        let named = Failure { message: "/alice/x is not there".into(), ..failure };
        assert_eq!(named.clone().about("/alice/x"), named);
    }
}
