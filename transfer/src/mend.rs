//! What helps against a failure, as far as a program can offer to do it.

use std::io;

use sealift_protocol::ErrorCode;

use crate::error::{Error, HandshakeError, Unfit};
use crate::profile::ProfileError;

/// What helps against a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

impl Error {
    /// What helps against it.
    pub fn mend(&self) -> Mend {
        match self {
            Self::Connect(_) | Self::Lost(_) | Self::Integrity { .. } | Self::SourceChanged { .. } => {
                Mend::TryAgain
            }
            Self::Handshake { cause, .. } => match cause {
                HandshakeError::Expired | HandshakeError::Revoked | HandshakeError::Refused(_) => {
                    Mend::JoinAgain
                }
                HandshakeError::ServerOutOfDate | HandshakeError::Other(_) => Mend::TryAgain,
                HandshakeError::WrongAuthority
                | HandshakeError::UnknownServer
                | HandshakeError::NotSealift => Mend::Person,
            },
            Self::Refused(error) => match error.code {
                ErrorCode::CertificateRefused | ErrorCode::TokenRefused => Mend::JoinAgain,
                // An administrator, or whoever uses the space, may have made room.
                ErrorCode::NoSpace | ErrorCode::Quota | ErrorCode::Internal | ErrorCode::Integrity => {
                    Mend::TryAgain
                }
                _ if error.retry => Mend::TryAgain,
                _ => Mend::Person,
            },
            Self::Local { action, source, .. } => match source.kind() {
                // What cannot be read is mended where it is; what cannot be written may fit elsewhere.
                _ if *action == "read" => Mend::TryAgain,
                io::ErrorKind::NotFound
                | io::ErrorKind::PermissionDenied
                | io::ErrorKind::ReadOnlyFilesystem
                | io::ErrorKind::StorageFull
                | io::ErrorKind::QuotaExceeded => Mend::OtherPlace,
                _ => Mend::TryAgain,
            },
            Self::Unfit { unfit, .. } => match unfit {
                Unfit::DirectoryTarget
                | Unfit::SpecialTarget
                | Unfit::LinkInTheWay
                | Unfit::FileInTheWay
                | Unfit::LocalName => Mend::OtherPlace,
                _ => Mend::Person,
            },
            Self::Profile(ProfileError::Missing(_) | ProfileError::Damaged { .. }) | Self::Certificate(_) => {
                Mend::JoinAgain
            }
            Self::Profile(_) | Self::Path(_) | Self::Protocol(_) => Mend::Person,
        }
    }

    /// Whether every other transfer with the same server would fail for the same reason.
    pub fn concerns_all(&self) -> bool {
        match self {
            Self::Connect(_) | Self::Handshake { .. } | Self::Lost(_) | Self::Profile(_) => true,
            Self::Certificate(_) => true,
            Self::Refused(error) => {
                crate::error::ends_connection(error.code) || error.code == ErrorCode::NoSpace
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sealift_protocol::WireError;
    use std::path::Path;

    #[test]
    fn a_failure_is_mended_where_it_is() {
        let local = |action, kind: io::ErrorKind| Error::local(action, Path::new("x"))(kind.into());
        let refused = |code| Error::Refused(WireError::new(code, "no"));
        let hands = |cause| Error::Handshake { address: "h:1".parse().expect("an address"), cause };
        for (error, mend, all) in [
            (Error::Connect(Vec::new()), Mend::TryAgain, true),
            (hands(HandshakeError::Expired), Mend::JoinAgain, true),
            (hands(HandshakeError::NotSealift), Mend::Person, true),
            (refused(ErrorCode::Busy), Mend::TryAgain, true),
            (refused(ErrorCode::Quota), Mend::TryAgain, false),
            (refused(ErrorCode::NotAllowed), Mend::Person, false),
            (local("write", io::ErrorKind::StorageFull), Mend::OtherPlace, false),
            (local("read", io::ErrorKind::NotFound), Mend::TryAgain, false),
        ] {
            assert_eq!((error.mend(), error.concerns_all()), (mend, all), "{error:?}");
        }
    }
}
