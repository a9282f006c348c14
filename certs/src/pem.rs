//! PEM, the text form of keys and certificates (RFC 7468).

use std::fmt;
use std::ops::Deref;

use data_encoding::BASE64;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

use crate::CertError;

/// A private key as PEM text, erased from memory when dropped and never shown by `Debug`.
#[derive(Clone)]
pub struct KeyPem(Zeroizing<String>);

impl KeyPem {
    /// The text, to be written to a private file and nowhere else.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn encode(key: &PrivateKeyDer<'_>) -> Self {
        let label = match key {
            PrivateKeyDer::Pkcs1(_) => "RSA PRIVATE KEY",
            PrivateKeyDer::Sec1(_) => "EC PRIVATE KEY",
            _ => "PRIVATE KEY",
        };
        Self(Zeroizing::new(encode(label, key.secret_der())))
    }
}

impl Deref for KeyPem {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Debug for KeyPem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyPem")
    }
}

/// The one certificate in a PEM text; text around it is allowed, a second certificate is not.
///
/// # Errors
/// Fails when there is none, more than one, or something unreadable.
pub fn certificate_from_pem(pem: &str) -> Result<CertificateDer<'static>, CertError> {
    one_certificate(pem, "certificate")
}

/// A certificate as PEM text, ending in a line feed.
pub fn certificate_to_pem(der: &CertificateDer<'_>) -> String {
    encode("CERTIFICATE", der)
}

/// The one certificate in a PEM text, which errors call `what`.
pub(crate) fn one_certificate(pem: &str, what: &'static str) -> Result<CertificateDer<'static>, CertError> {
    match <[CertificateDer<'static>; 1]>::try_from(certificates(pem, what)?) {
        Ok([certificate]) => Ok(certificate),
        Err(_) => Err(CertError::Pem { what }),
    }
}

/// All certificates in a PEM text, one at least.
pub(crate) fn certificates(pem: &str, what: &'static str) -> Result<Vec<CertificateDer<'static>>, CertError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    found.ok().filter(|found| !found.is_empty()).ok_or(CertError::Pem { what })
}

/// The first private key in a PEM text.
pub(crate) fn private_key(pem: &str) -> Result<PrivateKeyDer<'static>, CertError> {
    PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| CertError::Pem { what: "private key" })
}

fn encode(label: &str, der: &[u8]) -> String {
    const LINE: usize = 48; // bytes, which are 64 characters (RFC 7468, section 2)
    // The exact capacity, so that no reallocation leaves a copy of a key behind.
    let lines = der.len().div_ceil(LINE);
    let frame = 2 * label.len() + "-----BEGIN -----\n-----END -----\n".len();
    let mut pem = String::with_capacity(frame + BASE64.encode_len(der.len()) + lines);
    pem.extend(["-----BEGIN ", label, "-----\n"]);
    for line in der.chunks(LINE) {
        BASE64.encode_append(line, &mut pem);
        pem.push('\n');
    }
    pem.extend(["-----END ", label, "-----\n"]);
    pem
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_64_characters() {
        let der = CertificateDer::from(vec![0xff; 100]);
        let pem = certificate_to_pem(&der);
        let lengths: Vec<_> = pem.lines().map(str::len).collect();
        assert_eq!(lengths, [27, 64, 64, 8, 25]);
        assert!(pem.ends_with("-----END CERTIFICATE-----\n"));
        assert_eq!(pem.capacity(), pem.len());
        assert_eq!(certificate_from_pem(&pem).unwrap(), der);
    }

    #[test]
    fn exactly_one_certificate_is_read() {
        let pem = certificate_to_pem(&CertificateDer::from(vec![1, 2, 3]));
        assert!(certificate_from_pem(&format!("# a comment\n{pem}\n")).is_ok());
        for bad in ["", "rubbish", &pem[..40], &format!("{pem}{pem}")] {
            let error = certificate_from_pem(bad).unwrap_err();
            assert!(matches!(error, CertError::Pem { what: "certificate" }), "{bad}");
        }
    }
}
