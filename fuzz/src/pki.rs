//! A public key infrastructure for targets: made once, because keys are slow to make.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use sealift_certs::tls::{self, CurrentCertificate, ServerIdentity};
use sealift_certs::{Authority, KeyPem, SERVER_VALIDITY, Validity};

pub(crate) struct Pki {
    pub(crate) authority: Authority,
    pub(crate) certificate: Arc<CurrentCertificate>,
    pub(crate) server_certificate_pem: String,
    pub(crate) server_key_pem: KeyPem,
}

pub(crate) fn pki() -> &'static Pki {
    static PKI: OnceLock<Pki> = OnceLock::new();
    PKI.get_or_init(|| {
        let domain = "fuzz.example".parse().expect("it is a trust domain");
        let authority =
            Authority::generate(domain, SystemTime::now()).expect("the clock is within 1970 and 9999");
        let validity = Validity::starting(SystemTime::now(), SERVER_VALIDITY);
        let (issued, server_key_pem) = authority.issue_server(&[], validity).expect("the authority is new");
        let identity = ServerIdentity::from_pem(&issued.pem, &server_key_pem, authority.certificate_der());
        let certificate = Arc::new(CurrentCertificate::new(identity.expect("it was just issued")));
        Pki { authority, certificate, server_certificate_pem: issued.pem, server_key_pem }
    })
}

/// An hour from now on.
pub(crate) fn hour() -> Validity {
    Validity::starting(SystemTime::now(), Duration::from_secs(3600))
}

/// The configurations for connections that transfer and for those that join.
pub(crate) fn configurations() -> (Arc<rustls::ServerConfig>, Arc<rustls::ServerConfig>) {
    static CONFIGURATIONS: OnceLock<(Arc<rustls::ServerConfig>, Arc<rustls::ServerConfig>)> = OnceLock::new();
    let made = CONFIGURATIONS.get_or_init(|| {
        let Pki { authority, certificate, .. } = pki();
        let transfer = tls::server_config(authority.certificate_der(), certificate.clone());
        let join = tls::join_server_config(certificate.clone());
        (transfer.expect("the authority is one"), join.expect("the configuration is fixed"))
    });
    made.clone()
}
