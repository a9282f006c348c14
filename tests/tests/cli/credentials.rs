//! Certificates that a server's authority issues for a test, where the server itself would not.

use std::fs;
use std::time::{Duration, SystemTime};

use sealift_certs::{Issued, Validity};
use sealift_server::clock::{nanoseconds, now};
use sealift_server::store::certificates::{self, CertificateOrigin, NewCertificate};
use sealift_server::store::identities;
use sealift_tests::{Computer, Site};

/// A day.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Gives the default profile of `computer` a certificate of `name` with this validity.
pub(crate) fn install(site: &Site, computer: &Computer, name: &str, validity: Validity) -> Issued {
    let (issued, identity) = site.issue(name, validity);
    fs::write(computer.profile("default").join("identity.pem"), identity).unwrap();
    issued
}

/// Makes the catalog know a certificate, as the server does with what it issues.
pub(crate) fn register(site: &Site, issued: &Issued, name: &str) {
    site.administer(|catalog| {
        let identity = identities::ensure(catalog, &name.parse().unwrap(), now()).unwrap();
        certificates::add(
            catalog,
            identity,
            NewCertificate {
                fingerprint: &issued.fingerprint,
                issued_at: now(),
                expires_at: nanoseconds(issued.validity.not_after),
                origin: CertificateOrigin::Token(None),
            },
        )
        .unwrap();
    });
}

/// A validity of which so many days have passed and so many are left.
pub(crate) fn days(passed: u32, left: u32) -> Validity {
    Validity::starting(SystemTime::now() - DAY * passed, DAY * (passed + left))
}

/// A validity that ended yesterday.
pub(crate) fn expired() -> Validity {
    Validity::starting(SystemTime::now() - DAY * 91, DAY * 90)
}

/// The default profile's certificate and key.
pub(crate) fn identity_file(computer: &Computer) -> String {
    fs::read_to_string(computer.profile("default").join("identity.pem")).unwrap()
}
