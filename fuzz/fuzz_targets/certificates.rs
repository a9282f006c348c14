//! Certificate requests of strangers, and certificates in DER: the authority signs nothing but what its own rules say.
#![no_main]

use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use libfuzzer_sys::fuzz_target;
use rustls_pki_types::CertificateDer;
use sealift_certs::{Authority, Identity, Validity, fingerprint};
use sealift_protocol::Name;

fn authority() -> &'static Authority {
    static AUTHORITY: OnceLock<Authority> = OnceLock::new();
    AUTHORITY.get_or_init(|| {
        let domain = "fuzz.example".parse().expect("a trust domain");
        Authority::generate(domain, SystemTime::now()).expect("an authority")
    })
}

fuzz_target!(|bytes: &[u8]| {
    let der = CertificateDer::from(bytes);
    let _ = Identity::of_certificate(&der);
    let _ = fingerprint(&der);
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let name: Name = "alice".parse().expect("a name");
    let now = SystemTime::now();
    let validity = Validity { not_before: now, not_after: now + Duration::from_secs(3600) };
    if let Ok(issued) = authority().issue_user(text, &name, validity) {
        let identity = Identity::of_certificate(&issued.der).expect("an identity");
        assert_eq!(identity.user(), Some(&name), "a request cannot choose its name");
    }
});
