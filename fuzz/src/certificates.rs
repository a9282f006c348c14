//! Certificates and keys, in DER and as PEM text, from a peer and from files.

use rustls_pki_types::CertificateDer;
use sealift_certs::tls::{ServerIdentity, client_config};
use sealift_certs::{
    Authority, Identity, TrustDomain, certificate_from_pem, certificate_to_pem, fingerprint, validity,
};
use sealift_types::{Digest, Name};

use crate::memory::within;
use crate::pki::{Pki, hour, pki};

/// Takes DER or, behind a zero byte, text.
pub fn check(bytes: &[u8]) {
    match bytes.split_first() {
        Some((0, text)) => {
            let Ok(text) = std::str::from_utf8(text) else { return };
            within(64 * 1024 + 64 * text.len(), || pem(text));
        }
        _ => {
            let certificate = CertificateDer::from(bytes);
            within(64 * 1024 + 64 * bytes.len(), || der(&certificate));
        }
    }
}

fn der(certificate: &CertificateDer<'_>) {
    assert_eq!(fingerprint(certificate), Digest::of(certificate));
    let text = certificate_to_pem(certificate);
    assert_eq!(certificate_from_pem(&text).ok().as_ref(), Some(certificate), "DER goes through PEM");
    if let Ok(validity) = validity(certificate) {
        let _ = (validity.remaining(validity.not_before), validity.should_renew(validity.not_after));
    }
    if let Ok(identity) = Identity::of_certificate(certificate) {
        let uri = identity.to_string();
        let count = certificate.windows(uri.len()).filter(|window| *window == uri.as_bytes()).count();
        assert!(count >= 1, "the certificate does not say {uri}");
        assert!(TrustDomain::of_authority(certificate).is_err(), "one URI names one thing");
    }
    let Pki { authority, server_certificate_pem, server_key_pem, .. } = pki();
    // Neither a key that is not its own nor a signature that is not the authority's makes a certificate good.
    if ServerIdentity::from_pem(&text, server_key_pem, authority.certificate_der()).is_ok() {
        let own = certificate_from_pem(server_certificate_pem).expect("it was just issued");
        assert!(own == *certificate, "a certificate is taken that the authority did not issue");
    }
    let _ = client_config(&text, server_certificate_pem, server_key_pem);
    if let Ok(authority) = Authority::from_pem(&text, authority.key_pem()) {
        use_authority(&authority);
    }
}

/// An authority that is read can be used and is read again.
fn use_authority(authority: &Authority) {
    let domain =
        TrustDomain::of_authority(authority.certificate_der()).expect("an authority has a trust domain");
    assert_eq!(&domain, authority.trust_domain());
    let again =
        Authority::from_pem(authority.certificate_pem(), authority.key_pem()).expect("it was just written");
    assert_eq!(again.fingerprint(), authority.fingerprint());
    let name: Name = "alice".parse().expect("it is a name");
    if let Ok((issued, key)) = authority.issue_server(&[], hour()) {
        assert!(Authority::from_pem(&issued.pem, &key).is_err(), "a server's certificate signs no others");
        let identity = Identity::of_certificate(&issued.der).expect("it was just issued");
        assert!(identity.trust_domain == domain && identity.user() != Some(&name));
    }
}

fn pem(text: &str) {
    if let Ok(certificate) = certificate_from_pem(text) {
        let again = certificate_from_pem(&certificate_to_pem(&certificate)).expect("it was just written");
        assert_eq!(again, certificate);
    }
    let Pki { authority, server_certificate_pem, server_key_pem, .. } = pki();
    let root = authority.certificate_pem();
    let _ = client_config(text, server_certificate_pem, server_key_pem);
    if let Ok(taken) = Authority::from_pem(root, text) {
        assert_eq!(taken.fingerprint(), authority.fingerprint());
        // Several spellings may hold the one key.
        assert!(text.contains("PRIVATE KEY"));
    }
    let _ = client_config(root, text, server_key_pem);
    let _ = client_config(root, server_certificate_pem, text);
}
