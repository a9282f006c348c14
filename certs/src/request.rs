//! Certificate requests: made by clients, checked by the server.

use rcgen::{CertificateParams, DistinguishedName, KeyPair, SubjectPublicKeyInfo};
use rustls_pki_types::CertificateSigningRequestDer;
use rustls_pki_types::pem::PemObject;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer;
use zeroize::Zeroizing;

use crate::pem::KeyPem;
use crate::{CertError, RequestError};

/// The longest request that is looked at, in bytes of PEM. One with a P-256 key takes about 400.
pub const MAX_REQUEST: usize = 16 * 1024;

/// A fresh key and the request to certify it.
#[derive(Debug, Clone)]
pub struct KeyAndRequest {
    /// The private key, PKCS #8; it stays on the machine that made it.
    pub key_pem: KeyPem,
    /// The request, PKCS #10 (RFC 2986). It asks for no name: the server alone decides what a certificate says.
    pub csr_pem: String,
}

/// Makes a P-256 key and a request for it.
///
/// # Errors
/// Fails only when the cryptographic library does.
pub fn new_key_and_request() -> Result<KeyAndRequest, CertError> {
    let key = new_key()?;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    let csr_pem = params.serialize_request(&*key)?.pem()?;
    Ok(KeyAndRequest { key_pem: key_pem(&key), csr_pem })
}

/// A P-256 key: the smallest and fastest signatures that every TLS library understands.
pub(crate) fn new_key() -> Result<Zeroizing<KeyPair>, CertError> {
    Ok(Zeroizing::new(KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?))
}

/// A key that [`new_key`] made, as text.
pub(crate) fn key_pem(key: &KeyPair) -> KeyPem {
    KeyPem::encode(&rustls_pki_types::PrivatePkcs8KeyDer::from(key.serialized_der()).into())
}

/// The public key of a request, if the request is signed by it.
///
/// Everything else that a request says is not even read: rcgen's own CSR type would carry over names, usages and
/// CA:TRUE, and takes the kind of the key from the signature's algorithm, which the peer chooses.
pub(crate) fn public_key(csr_pem: &str) -> Result<SubjectPublicKeyInfo, RequestError> {
    if csr_pem.len() > MAX_REQUEST {
        return Err(RequestError::TooLong { limit: MAX_REQUEST });
    }
    let der = CertificateSigningRequestDer::from_pem_slice(csr_pem.as_bytes());
    let der = der.map_err(|_| RequestError::Unreadable)?;
    let Ok(([], request)) = X509CertificationRequest::from_der(&der) else {
        return Err(RequestError::Unreadable);
    };
    let raw_key = request.certification_request_info.subject_pki.raw;
    let key = SubjectPublicKeyInfo::from_der(raw_key).map_err(|_| RequestError::Key)?;
    let accepted = [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_ED25519];
    if !accepted.contains(&rcgen::PublicKeyData::algorithm(&key)) {
        return Err(RequestError::Key);
    }
    request.verify_signature().map_err(|_| RequestError::Signature)?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::PublicKeyData;

    #[test]
    fn own_requests_are_accepted_and_ask_for_nothing() {
        let made = new_key_and_request().unwrap();
        let key = KeyPair::from_pem(&made.key_pem).unwrap();
        let certified = public_key(&made.csr_pem).unwrap();
        assert_eq!(certified.subject_public_key_info(), key.subject_public_key_info());

        let der = CertificateSigningRequestDer::from_pem_slice(made.csr_pem.as_bytes()).unwrap();
        let (_, request) = X509CertificationRequest::from_der(&der).unwrap();
        assert_eq!(request.certification_request_info.subject.iter().count(), 0);
        assert!(request.requested_extensions().is_none());
        assert!(!format!("{made:?}").contains("PRIVATE"));
    }

    #[test]
    fn every_accepted_kind_of_key_is() {
        for kind in [&rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_ED25519] {
            let key = KeyPair::generate_for(kind).unwrap();
            assert!(public_key(&request_for(&key)).is_ok(), "{kind:?}");
        }
        for kind in [&rcgen::PKCS_RSA_SHA256, &rcgen::PKCS_ECDSA_P521_SHA512] {
            let key = KeyPair::generate_for(kind).unwrap();
            assert_eq!(public_key(&request_for(&key)), Err(RequestError::Key), "{kind:?}");
        }
    }

    #[test]
    fn a_request_that_its_key_did_not_sign_is_refused() {
        let (one, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let der = |key| {
            let pem = request_for(key);
            CertificateSigningRequestDer::from_pem_slice(pem.as_bytes()).unwrap().to_vec()
        };
        let mut forged = der(&one);
        let raw = one.public_key_raw();
        let at = forged.windows(raw.len()).position(|window| window == raw).unwrap();
        forged[at..at + raw.len()].copy_from_slice(other.public_key_raw());
        assert_eq!(public_key(&to_pem(&forged)), Err(RequestError::Signature));
    }

    #[test]
    fn rubbish_is_refused() {
        let good = new_key_and_request().unwrap().csr_pem;
        assert_eq!(public_key(""), Err(RequestError::Unreadable));
        assert_eq!(public_key(&to_pem(&[0x30, 0x03, 0x02])), Err(RequestError::Unreadable));
        assert_eq!(public_key(&good.replace(" REQUEST", "")), Err(RequestError::Unreadable));
        assert_eq!(
            public_key(&format!("{good}{}", " ".repeat(MAX_REQUEST))),
            Err(RequestError::TooLong { limit: MAX_REQUEST })
        );

        let mut trailing = CertificateSigningRequestDer::from_pem_slice(good.as_bytes()).unwrap().to_vec();
        trailing.push(0);
        assert_eq!(public_key(&to_pem(&trailing)), Err(RequestError::Unreadable));
    }

    fn request_for(key: &KeyPair) -> String {
        CertificateParams::default().serialize_request(key).unwrap().pem().unwrap()
    }

    fn to_pem(der: &[u8]) -> String {
        let body = data_encoding::BASE64.encode(der);
        format!("-----BEGIN CERTIFICATE REQUEST-----\n{body}\n-----END CERTIFICATE REQUEST-----\n")
    }
}
