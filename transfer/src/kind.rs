//! What kind of failure it is: the one classification that exit codes, hints and buttons go by.

use std::io;

use sealift_protocol::{ErrorCode, WireError};
use serde::{Deserialize, Serialize};

use crate::error::{Error, HandshakeError, Unfit};
use crate::profile::ProfileError;

/// What kind of failure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
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
pub enum Mend {
    /// The same again, now or in a while.
    TryAgain,
    /// Another name or another directory on this computer.
    OtherPlace,
    /// A new token from the server's administrator.
    JoinAgain,
    /// Nothing that a program could do; the message says what a person can.
    Person,
}

impl Kind {
    /// What helps against it.
    pub fn mend(self) -> Mend {
        match self {
            Self::CertificateRefused | Self::Profile => Mend::JoinAgain,
            Self::DiskFull | Self::Place => Mend::OtherPlace,
            Self::NotAllowed | Self::ServerRefused | Self::Version | Self::Other => Mend::Person,
            // An administrator, or whoever uses the space, may have made room; a file may be back.
            Self::NotFound | Self::Integrity | Self::ServerFull | Self::Quota => Mend::TryAgain,
            Self::Connection | Self::Passing => Mend::TryAgain,
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

impl Error {
    /// What kind of failure it is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Connect(_) | Self::Lost(_) => Kind::Connection,
            Self::Handshake { cause, .. } => match cause {
                HandshakeError::Expired
                | HandshakeError::Revoked
                | HandshakeError::Refused(_)
                | HandshakeError::NoInvitation => Kind::CertificateRefused,
                HandshakeError::WrongAuthority
                | HandshakeError::UnknownServer
                | HandshakeError::ServerOutOfDate => Kind::ServerRefused,
                HandshakeError::NotSealift | HandshakeError::Other(_) => Kind::Connection,
            },
            Self::Refused(error) => of_refusal(error),
            Self::Integrity { .. } => Kind::Integrity,
            Self::SourceChanged { .. }
            | Self::Meanwhile { .. }
            | Self::Restless { .. }
            | Self::Renamed { .. } => Kind::Passing,
            Self::TooOld(_) => Kind::Version,
            Self::Local { action, source, .. } => of_system(action, source.kind()),
            Self::Unfit { unfit, .. } => match unfit {
                Unfit::DirectoryTarget
                | Unfit::SpecialTarget
                | Unfit::LinkToSpecial
                | Unfit::LinkInTheWay
                | Unfit::FileInTheWay
                | Unfit::LocalName => Kind::Place,
                _ => Kind::Other,
            },
            Self::Profile(ProfileError::Exists { .. }) => Kind::Other,
            Self::Profile(_) | Self::Certificate(_) => Kind::Profile,
            Self::Path(_) | Self::Protocol(_) => Kind::Other,
        }
    }
}

fn of_refusal(error: &WireError) -> Kind {
    match error.code {
        ErrorCode::NotFound => Kind::NotFound,
        ErrorCode::NotAllowed => Kind::NotAllowed,
        ErrorCode::CertificateRefused | ErrorCode::TokenRefused => Kind::CertificateRefused,
        ErrorCode::Integrity => Kind::Integrity,
        ErrorCode::NoSpace => Kind::ServerFull,
        ErrorCode::Quota => Kind::Quota,
        ErrorCode::Busy | ErrorCode::ShuttingDown | ErrorCode::Timeout => Kind::Connection,
        ErrorCode::UnsupportedVersion => Kind::Version,
        ErrorCode::Internal => Kind::Passing,
        _ if error.retry => Kind::Passing,
        _ => Kind::Other,
    }
}

fn of_system(action: &str, cause: io::ErrorKind) -> Kind {
    match cause {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Kind::DiskFull,
        io::ErrorKind::NotFound if action == "read" => Kind::NotFound,
        // What cannot be read is mended where it is; what cannot be written may fit elsewhere.
        _ if action == "read" => Kind::Passing,
        io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            Kind::Place
        }
        _ => Kind::Passing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn a_failure_is_mended_where_it_is() {
        let local = |action, kind: io::ErrorKind| Error::local(action, Path::new("x"))(kind.into());
        let refused = |code| Error::Refused(WireError::new(code, "no"));
        let hands = |cause| Error::Handshake { address: "h:1".parse().expect("an address"), cause };
        for (error, mend, all) in [
            (Error::Connect(Vec::new()), Mend::TryAgain, true),
            (hands(HandshakeError::Expired), Mend::JoinAgain, true),
            (hands(HandshakeError::NotSealift), Mend::TryAgain, true),
            (hands(HandshakeError::WrongAuthority), Mend::Person, true),
            (refused(ErrorCode::Busy), Mend::TryAgain, true),
            (refused(ErrorCode::UnsupportedVersion), Mend::Person, true),
            (refused(ErrorCode::NoSpace), Mend::TryAgain, true),
            (refused(ErrorCode::Quota), Mend::TryAgain, false),
            (refused(ErrorCode::NotAllowed), Mend::Person, false),
            (local("write", io::ErrorKind::StorageFull), Mend::OtherPlace, false),
            (local("write", io::ErrorKind::PermissionDenied), Mend::OtherPlace, false),
            (local("read", io::ErrorKind::NotFound), Mend::TryAgain, false),
            (ProfileError::Missing("x".parse().expect("a name")).into(), Mend::JoinAgain, true),
        ] {
            let kind = error.kind();
            assert_eq!((kind.mend(), kind.concerns_all()), (mend, all), "{error:?}");
        }
    }
}
