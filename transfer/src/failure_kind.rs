//! What kind of failure it is: the one classification that exit codes, hints and buttons go by.

use std::io;

use sealift_protocol::WireError;
use sealift_types::ErrorCode;
use serde::{Deserialize, Serialize};

use crate::error::{HandshakeError, TransferError, Unfit};
use crate::profile::ProfileError;

/// What kind of failure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// There is no such path, here or on the server.
    NotFound,
    /// The right is missing.
    NotAllowed,
    /// The server does not take this computer's certificate or token.
    CertificateRefused,
    /// The server's certificate is not one to go by.
    ServerRefused,
    /// Bytes and digest disagree.
    Integrity,
    /// The server's disk is full.
    ServerFull,
    /// The space's quota is exhausted.
    Quota,
    /// There is no connection, or none any more.
    Connection,
    /// A disk here is full.
    DiskFull,
    /// A place here where nothing can be written.
    Place,
    /// The two ends have no version in common.
    Version,
    /// The profile is missing or damaged.
    Profile,
    /// Any other that may pass, or that is mended where it is.
    Passing,
    /// Any other.
    Other,
}

/// What helps against a failure, as far as a program can offer to do it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Remedy {
    /// The same again, now or in a while.
    TryAgain,
    /// Another name or another directory on this computer.
    OtherPlace,
    /// A new token from the server's administrator.
    JoinAgain,
    /// Nothing that a program could do; the message says what a person can.
    Person,
}

impl FailureKind {
    /// What helps against it.
    pub fn mend(self) -> Remedy {
        match self {
            Self::CertificateRefused | Self::Profile => Remedy::JoinAgain,
            Self::DiskFull | Self::Place => Remedy::OtherPlace,
            Self::NotAllowed | Self::ServerRefused | Self::Version | Self::Other => Remedy::Person,
            // An administrator, or whoever uses the space, may have made room; a file may be back.
            Self::NotFound | Self::Integrity | Self::ServerFull | Self::Quota => Remedy::TryAgain,
            Self::Connection | Self::Passing => Remedy::TryAgain,
        }
    }

    /// Whether every other transfer with the same server would fail for the same reason.
    pub fn concerns_all(self) -> bool {
        match self {
            Self::CertificateRefused | Self::ServerRefused | Self::Version | Self::Profile => true,
            Self::ServerFull | Self::Connection => true,
            Self::NotFound | Self::NotAllowed | Self::Integrity | Self::Quota => false,
            Self::DiskFull | Self::Place | Self::Passing | Self::Other => false,
        }
    }
}

impl TransferError {
    /// What kind of failure it is.
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::Connect(_) | Self::Lost(_) => FailureKind::Connection,
            Self::Handshake { cause, .. } => match cause {
                HandshakeError::Expired
                | HandshakeError::Revoked
                | HandshakeError::Refused(_)
                | HandshakeError::NoInvitation => FailureKind::CertificateRefused,
                HandshakeError::WrongAuthority
                | HandshakeError::UnknownServer
                | HandshakeError::ServerOutOfDate => FailureKind::ServerRefused,
                HandshakeError::NotSealift | HandshakeError::Other(_) => FailureKind::Connection,
            },
            Self::Refused(error) => of_refusal(error),
            Self::Integrity { .. } => FailureKind::Integrity,
            Self::SourceChanged { .. }
            | Self::Meanwhile { .. }
            | Self::Restless { .. }
            | Self::Renamed { .. } => FailureKind::Passing,
            Self::TooOld(_) => FailureKind::Version,
            Self::Local { action, source, .. } => of_system(action, source.kind()),
            Self::Unfit { unfit, .. } => match unfit {
                Unfit::DirectoryTarget
                | Unfit::SpecialTarget
                | Unfit::LinkToSpecial
                | Unfit::LinkInTheWay
                | Unfit::FileInTheWay
                | Unfit::LocalName => FailureKind::Place,
                _ => FailureKind::Other,
            },
            Self::Profile(ProfileError::Exists { .. }) => FailureKind::Other,
            Self::Profile(_) | Self::Certificate(_) => FailureKind::Profile,
            Self::Path(_) | Self::Protocol(_) => FailureKind::Other,
        }
    }
}

fn of_refusal(error: &WireError) -> FailureKind {
    match error.code {
        ErrorCode::NotFound => FailureKind::NotFound,
        ErrorCode::NotAllowed => FailureKind::NotAllowed,
        ErrorCode::CertificateRefused | ErrorCode::TokenRefused => FailureKind::CertificateRefused,
        ErrorCode::Integrity => FailureKind::Integrity,
        ErrorCode::NoSpace => FailureKind::ServerFull,
        ErrorCode::Quota => FailureKind::Quota,
        ErrorCode::Busy | ErrorCode::ShuttingDown | ErrorCode::Timeout => FailureKind::Connection,
        ErrorCode::UnsupportedVersion => FailureKind::Version,
        ErrorCode::Internal => FailureKind::Passing,
        _ if error.retry => FailureKind::Passing,
        _ => FailureKind::Other,
    }
}

fn of_system(action: &str, cause: io::ErrorKind) -> FailureKind {
    match cause {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => FailureKind::DiskFull,
        io::ErrorKind::NotFound if action == "read" => FailureKind::NotFound,
        // What cannot be read is mended where it is; what cannot be written may fit elsewhere.
        _ if action == "read" => FailureKind::Passing,
        io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            FailureKind::Place
        }
        _ => FailureKind::Passing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn a_failure_is_mended_where_it_is() {
        let local = |action, kind: io::ErrorKind| TransferError::local(action, Path::new("x"))(kind.into());
        let refused = |code| TransferError::Refused(WireError::new(code, "no"));
        let hands = |cause| TransferError::Handshake { address: "h:1".parse().expect("an address"), cause };
        for (error, mend, all) in [
            (TransferError::Connect(Vec::new()), Remedy::TryAgain, true),
            (hands(HandshakeError::Expired), Remedy::JoinAgain, true),
            (hands(HandshakeError::NotSealift), Remedy::TryAgain, true),
            (hands(HandshakeError::WrongAuthority), Remedy::Person, true),
            (refused(ErrorCode::Busy), Remedy::TryAgain, true),
            (refused(ErrorCode::UnsupportedVersion), Remedy::Person, true),
            (refused(ErrorCode::NoSpace), Remedy::TryAgain, true),
            (refused(ErrorCode::Quota), Remedy::TryAgain, false),
            (refused(ErrorCode::NotAllowed), Remedy::Person, false),
            (local("write", io::ErrorKind::StorageFull), Remedy::OtherPlace, false),
            (local("write", io::ErrorKind::PermissionDenied), Remedy::OtherPlace, false),
            (local("read", io::ErrorKind::NotFound), Remedy::TryAgain, false),
            (ProfileError::Missing("x".parse().expect("a name")).into(), Remedy::JoinAgain, true),
        ] {
            let kind = error.kind();
            assert_eq!((kind.mend(), kind.concerns_all()), (mend, all), "{error:?}");
        }
    }
}
