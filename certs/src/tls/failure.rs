//! Finding a TLS error within others.

use std::error::Error;
use std::io;

use rustls::CertificateError;

use super::WrongAuthority;

/// The TLS error that an error is or was caused by, such as the `io::Error` that tokio-rustls returns.
pub fn tls_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = match error.downcast_ref::<io::Error>() {
            // The source of an io::Error is the source of what it carries, which would skip that.
            Some(error) => error.get_ref().map(|inner| inner as &(dyn Error + 'static)),
            None => error.source(),
        };
    }
    None
}

/// Whether a handshake failed because the server is not the one that the token names.
pub fn is_wrong_authority(error: &(dyn Error + 'static)) -> bool {
    match tls_error(error) {
        Some(rustls::Error::InvalidCertificate(CertificateError::Other(other))) => {
            other.0.is::<WrongAuthority>()
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::OtherError;
    use std::sync::Arc;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] io::Error);

    #[test]
    fn is_found_inside_others() {
        let inner = rustls::Error::HandshakeNotComplete;
        assert_eq!(tls_error(&inner), Some(&inner));
        let outer = Outer(io::Error::new(io::ErrorKind::InvalidData, inner.clone()));
        assert_eq!(tls_error(&outer), Some(&inner));
        assert_eq!(tls_error(&Outer(io::ErrorKind::NotFound.into())), None);
    }

    #[test]
    fn the_wrong_authority_is_told_apart() {
        let wrapped = |error| Outer(io::Error::other(rustls::Error::InvalidCertificate(error)));
        assert!(is_wrong_authority(&wrapped(CertificateError::Other(OtherError(Arc::new(WrongAuthority))))));
        assert!(!is_wrong_authority(&wrapped(CertificateError::UnknownIssuer)));
    }
}
