//! The server's own certificate, which changes while the server runs.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::UNIX_EPOCH;

use rustls::client::danger::ServerCertVerifier;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::{CertificateDer, UnixTime};
use sealift_types::Digest;

use crate::pem::{certificates, private_key};
use crate::tls::{not_a_pair, provider, server_name, server_verifier};
use crate::{CertError, TrustDomain, Validity, fingerprint, validity};

/// A server's certificate with its key, checked as clients will check it.
#[derive(Clone)]
pub struct ServerIdentity {
    certified: Arc<CertifiedKey>,
    fingerprint: Digest,
    validity: Validity,
}

impl ServerIdentity {
    /// Takes the server's certificate (and intermediate ones behind it, if there are any), its key, and the CA
    /// certificate, which is sent along: a joining client knows only its hash.
    ///
    /// Whether the certificate is current is not checked: see [`validity`](Self::validity).
    ///
    /// # Errors
    /// Fails when a text is unreadable, the key is not the certificate's, `authority` is no CA, or the certificate is
    /// not a server's of that authority and its trust domain.
    pub fn from_pem(
        certificate_pem: &str,
        key_pem: &str,
        authority: &CertificateDer<'_>,
    ) -> Result<Self, CertError> {
        const WHAT: &str = "server certificate";
        let mut chain = certificates(certificate_pem, WHAT)?;
        let [leaf, intermediates @ ..] = chain.as_slice() else { return Err(CertError::Pem { what: WHAT }) };
        let (fingerprint, validity) = (fingerprint(leaf), validity(leaf)?);
        verify(leaf, intermediates, authority, validity)?;
        if !chain.contains(authority) {
            chain.push(authority.clone().into_owned());
        }
        let certified =
            CertifiedKey::from_der(chain, private_key(key_pem)?, &provider()).map_err(not_a_pair)?;
        Ok(Self { certified: Arc::new(certified), fingerprint, validity })
    }

    /// The SHA-256 of the certificate.
    pub fn fingerprint(&self) -> Digest {
        self.fingerprint
    }

    /// From when to when the certificate is valid.
    pub fn validity(&self) -> Validity {
        self.validity
    }
}

impl fmt::Debug for ServerIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerIdentity")
            .field("fingerprint", &self.fingerprint)
            .field("validity", &self.validity)
            .finish_non_exhaustive()
    }
}

/// The certificate that new handshakes get, replaceable while the server runs.
///
/// Handshakes and connections under way keep the one that they began with.
#[derive(Debug)]
pub struct CurrentCertificate(RwLock<ServerIdentity>);

impl CurrentCertificate {
    /// Begins with `identity`.
    pub fn new(identity: ServerIdentity) -> Self {
        Self(RwLock::new(identity))
    }

    /// Gives `identity` to every handshake from now on.
    pub fn replace(&self, identity: ServerIdentity) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = identity;
    }

    /// The certificate that handshakes get now.
    pub fn current(&self) -> ServerIdentity {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ResolvesServerCert for CurrentCertificate {
    /// The same for everybody: what a client asks for by SNI does not matter.
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current().certified)
    }
}

/// Does what every client will do, so that the one who installs a wrong certificate learns it, not the clients.
fn verify(
    leaf: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    authority: &CertificateDer<'_>,
    validity: Validity,
) -> Result<(), CertError> {
    let name = server_name(&TrustDomain::of_authority(authority)?);
    let begin = validity.not_before.duration_since(UNIX_EPOCH).unwrap_or_default();
    server_verifier(authority)?
        .verify_server_cert(leaf, intermediates, &name, &[], UnixTime::since_unix_epoch(begin))
        .map_err(|error| CertError::ServerCertificate { reason: error.to_string() })?;
    Ok(())
}
