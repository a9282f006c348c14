//! TLS configurations that leave nothing to choose: TLS 1.3 only, one root only, no resumption.
//!
//! rustls accepts a client that offers no application protocol at all, so both ends must look at what was negotiated
//! after the handshake ([`negotiated`]) and hang up when it is not what they speak.

mod failure;
mod join;
mod read_ahead;
mod server_certificate;
mod stream;

use std::sync::{Arc, OnceLock};

use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{CipherSuite, ClientConfig, RootCertStore, ServerConfig, version};
use rustls_pki_types::{CertificateDer, ServerName};
use sealift_protocol::{ALPN, JOIN_ALPN};
use sealift_types::Digest;

pub use failure::{is_wrong_authority, tls_error};
pub use join::WrongAuthority;
pub use read_ahead::ReadAhead;
pub use server_certificate::{CurrentCertificate, ServerIdentity};
pub use stream::{accept, client_hello, connect};

use crate::authority::check_authority;
use crate::pem::{certificates, one_certificate, private_key};
use crate::{CertError, TrustDomain};

/// Bytes of a record that are plaintext or header: a large transfer is fastest with this size.
const FRAGMENT: usize = 8192;

/// What two ends agreed to speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// [`ALPN`]: requests and transfers, with a client certificate.
    Transfer,
    /// [`JOIN_ALPN`]: enrolment, without one.
    Join,
}

/// What two ends agreed to speak, from a connection's `alpn_protocol()`.
///
/// `None`, nothing or nothing known, is a reason to hang up.
pub fn negotiated(conn_alpn: Option<&[u8]>) -> Option<Protocol> {
    match conn_alpn? {
        ALPN => Some(Protocol::Transfer),
        JOIN_ALPN => Some(Protocol::Join),
        _ => None,
    }
}

/// AWS-LC with its usual algorithms, X25519MLKEM768 first among the key exchanges, and the fastest cipher first.
///
/// The client's order decides. With AES instructions AES-128-GCM is fastest, without them ChaCha20-Poly1305 by far.
pub fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    let make = || {
        let mut provider = aws_lc_rs::default_provider();
        let aes = has_aes_instructions();
        provider.cipher_suites.sort_by_key(|suite| match suite.suite() {
            CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 if !aes => 0,
            CipherSuite::TLS13_AES_128_GCM_SHA256 => 1,
            CipherSuite::TLS13_AES_256_GCM_SHA384 => 2,
            _ => 3,
        });
        Arc::new(provider)
    };
    Arc::clone(PROVIDER.get_or_init(make))
}

/// How a server accepts transfers: only from clients with a current certificate of `authority`.
///
/// Whether a certificate was revoked is for the caller to check, by its fingerprint, after each handshake; there is
/// no resumption that could skip it.
///
/// # Errors
/// Fails when `authority` is not a CA certificate.
pub fn server_config(
    authority: &CertificateDer<'_>,
    resolver: Arc<dyn ResolvesServerCert>,
) -> Result<Arc<ServerConfig>, CertError> {
    let verifier = WebPkiClientVerifier::builder_with_provider(only_root(authority)?, provider()).build();
    let verifier = verifier.map_err(|error| rustls::Error::General(error.to_string()))?;
    new_server_config(verifier, resolver, ALPN)
}

/// How a server accepts machines that join: without a client certificate, and for nothing else.
///
/// # Errors
/// Fails only when the TLS library refuses the configuration.
pub fn join_server_config(resolver: Arc<dyn ResolvesServerCert>) -> Result<Arc<ServerConfig>, CertError> {
    new_server_config(WebPkiClientVerifier::no_client_auth(), resolver, JOIN_ALPN)
}

/// How the server refuses a client, whatever the client offers: with the alert `access_denied`, and before any key is
/// computed.
///
/// # Errors
/// Fails only when the TLS library refuses the configuration.
pub fn refusing_server_config() -> Result<Arc<ServerConfig>, CertError> {
    /// Has no certificate for anybody, to which rustls answers with that alert.
    #[derive(Debug)]
    struct NoCertificate;

    impl ResolvesServerCert for NoCertificate {
        fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
            None
        }
    }
    new_server_config(WebPkiClientVerifier::no_client_auth(), Arc::new(NoCertificate), JOIN_ALPN)
}

/// How an enrolled client connects: with its certificate, to a server with a certificate of this authority.
///
/// Connect with [`server_name`] of the authority's trust domain, whatever the address.
///
/// # Errors
/// Fails when a text is unreadable, the authority is no CA, or the key is not the certificate's.
pub fn client_config(
    authority_pem: &str,
    certificate_pem: &str,
    key_pem: &str,
) -> Result<Arc<ClientConfig>, CertError> {
    let authority = one_certificate(authority_pem, "CA certificate")?;
    let chain = certificates(certificate_pem, "client certificate")?;
    let key = private_key(key_pem)?;
    let verifier = server_verifier(&authority)?;
    let config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&version::TLS13])?
        .with_webpki_verifier(verifier)
        .with_client_auth_cert(chain, key)
        .map_err(not_a_pair)?;
    Ok(finish_client_config(config, ALPN))
}

/// How a machine that joins connects: to the server of the one CA certificate that `fingerprint` names.
///
/// The server must send that certificate along with its own, which must then be the server's of `trust_domain` in
/// every respect. When the CA certificate is another one, the handshake fails with an error that
/// [`is_wrong_authority`] knows.
///
/// # Errors
/// Fails only when the TLS library refuses the configuration.
pub fn join_client_config(
    fingerprint: Digest,
    trust_domain: &TrustDomain,
) -> Result<Arc<ClientConfig>, CertError> {
    let verifier = join::Verifier::new(fingerprint, server_name(trust_domain));
    let config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&version::TLS13])?
        .dangerous() // the verifier trusts one CA, named by its hash, and verifies all the rest as usual
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(finish_client_config(config, JOIN_ALPN))
}

/// The name by which clients verify a server, whatever address they dial.
pub fn server_name(trust_domain: &TrustDomain) -> ServerName<'static> {
    ServerName::DnsName(trust_domain.dns_name())
}

fn new_server_config(
    verifier: Arc<dyn ClientCertVerifier>,
    resolver: Arc<dyn ResolvesServerCert>,
    protocol: &[u8],
) -> Result<Arc<ServerConfig>, CertError> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&version::TLS13])?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(resolver);
    config.alpn_protocols = vec![protocol.to_vec()];
    // A resumed session would skip the client certificate, and with it the check for revocation.
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.max_early_data_size = 0;
    config.max_fragment_size = Some(FRAGMENT);
    Ok(Arc::new(config))
}

fn finish_client_config(mut config: ClientConfig, protocol: &[u8]) -> Arc<ClientConfig> {
    config.alpn_protocols = vec![protocol.to_vec()];
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
    config.max_fragment_size = Some(FRAGMENT);
    Arc::new(config)
}

fn only_root(authority: &CertificateDer<'_>) -> Result<Arc<RootCertStore>, CertError> {
    check_authority(authority)?;
    let mut roots = RootCertStore::empty();
    roots.add(authority.clone().into_owned())?;
    Ok(Arc::new(roots))
}

/// Verifies servers on one CA certificate.
fn server_verifier(authority: &CertificateDer<'_>) -> Result<Arc<WebPkiServerVerifier>, CertError> {
    let verifier = WebPkiServerVerifier::builder_with_provider(only_root(authority)?, provider()).build();
    Ok(verifier.map_err(|error| rustls::Error::General(error.to_string()))?)
}

fn not_a_pair(error: rustls::Error) -> CertError {
    match error {
        rustls::Error::InconsistentKeys(_) => CertError::KeyMismatch,
        error => error.into(),
    }
}

fn has_aes_instructions() -> bool {
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    return std::arch::is_x86_feature_detected!("aes");
    #[cfg(target_arch = "aarch64")]
    return std::arch::is_aarch64_feature_detected!("aes");
    #[cfg(not(any(target_arch = "x86", target_arch = "x86_64", target_arch = "aarch64")))]
    return false;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_protocols_are_spoken() {
        assert_eq!(negotiated(Some(b"sealift/1")), Some(Protocol::Transfer));
        assert_eq!(negotiated(Some(b"sealift-join/1")), Some(Protocol::Join));
        assert_eq!(negotiated(Some(b"h2")), None);
        assert_eq!(negotiated(Some(b"")), None);
        assert_eq!(negotiated(None), None);
    }

    #[test]
    fn the_fastest_cipher_and_the_strongest_exchange_come_first() {
        let provider = provider();
        let expected = if has_aes_instructions() {
            CipherSuite::TLS13_AES_128_GCM_SHA256
        } else {
            CipherSuite::TLS13_CHACHA20_POLY1305_SHA256
        };
        assert_eq!(provider.cipher_suites[0].suite(), expected);
        assert_eq!(provider.cipher_suites.len(), 3);
        assert_eq!(provider.kx_groups[0].name(), rustls::NamedGroup::X25519MLKEM768);
    }
}
