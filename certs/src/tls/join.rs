//! Verifying a server of which nothing is known but a token.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature};
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, PeerIncompatible, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use sealift_types::Digest;

use crate::fingerprint;
use crate::tls::{provider, server_verifier};

/// The server showed no CA certificate with the fingerprint in the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this server is not the one that the token names: check the address, or ask for a new token")]
pub struct WrongAuthority;

/// Trusts one CA certificate, named by its SHA-256, which the server sends along.
///
/// From there on the server's certificate is verified as by any client: signed by that CA, for server authentication,
/// current, and valid for the trust domain.
#[derive(Debug)]
pub(super) struct Verifier {
    fingerprint: Digest,
    name: ServerName<'static>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    pub(super) fn new(fingerprint: Digest, name: ServerName<'static>) -> Self {
        Self { fingerprint, name, algorithms: provider().signature_verification_algorithms }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>, // the token's trust domain counts, not what the caller dialled
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let authority = intermediates.iter().find(|certificate| fingerprint(certificate) == self.fingerprint);
        let wrong = || Error::from(CertificateError::Other(OtherError(Arc::new(WrongAuthority))));
        let authority = authority.ok_or_else(wrong)?;
        // A certificate with the right hash that is no CA is a token of something else.
        let verifier = server_verifier(authority).map_err(|_| wrong())?;
        verifier.verify_server_cert(end_entity, intermediates, &self.name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(PeerIncompatible::Tls12NotOfferedOrEnabled.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
