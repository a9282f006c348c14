//! The conversation before there is a certificate: the server must be the one that the token names.

use std::io;
use std::sync::Arc;

use rustls::server::ResolvesServerCert;
use rustls::sign::CertifiedKey;
use rustls::{AlertDescription, CertificateError, Error, HandshakeKind};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use sealift_certs::tls::{self, CurrentCertificate, Protocol};
use sealift_certs::{KeyPem, fingerprint};
use sealift_types::Digest;

use crate::handshake::Fixed;
use crate::world::{Outcome, World};

#[test]
fn the_server_that_the_token_names_is_joined() {
    let world = World::new();
    for _ in 0..2 {
        let (client, server) = join(&world, world.authority.fingerprint(), world.resolver()).established();
        assert_eq!(tls::negotiated(client.alpn_protocol()), Some(Protocol::Join));
        assert_eq!(tls::negotiated(server.alpn_protocol()), Some(Protocol::Join));
        assert_eq!(client.handshake_kind(), Some(HandshakeKind::Full));
        assert!(server.peer_certificates().is_none());
    }
}

#[test]
fn another_server_is_recognised_as_such() {
    let world = World::new();
    let impostor = World::named(world.authority.trust_domain().clone());
    for wrong in [impostor.authority.fingerprint(), Digest::from_bytes([0; 32])] {
        let (client, server) = join(&world, wrong, world.resolver()).refused();
        assert!(tls::is_wrong_authority(&client), "{client:?}");
        assert!(tls::is_wrong_authority(&io::Error::new(io::ErrorKind::InvalidData, client)));
        assert_eq!(server, Error::AlertReceived(AlertDescription::CertificateUnknown));
    }
}

#[test]
fn showing_the_right_authority_is_not_enough() {
    let world = World::new();
    let impostor = World::named(world.authority.trust_domain().clone());
    let (issued, key) = impostor.authority.issue_server(&[], world.current()).unwrap();
    let (right, wrong) = (world.authority.certificate_der(), impostor.authority.certificate_der());
    for authorities in [&[right][..], &[right, wrong], &[wrong, right]] {
        let shown = [&issued.der].into_iter().chain(authorities.iter().copied()).cloned().collect();
        let (client, _) = join(&world, world.authority.fingerprint(), chain(shown, &key)).refused();
        assert!(
            matches!(
                &client,
                Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature)
            ),
            "{client:?}"
        );
        assert!(!tls::is_wrong_authority(&client));
    }
}

#[test]
fn showing_the_right_certificate_without_its_key_is_not_enough() {
    let world = World::new();
    let (issued, _) = world.authority.issue_server(&[], world.current()).unwrap();
    let (_, other_key) = world.authority.issue_server(&[], world.current()).unwrap();
    let resolver = chain(vec![issued.der, world.authority.certificate_der().clone()], &other_key);
    let (client, _) = join(&world, world.authority.fingerprint(), resolver).refused();
    assert_eq!(client, Error::InvalidCertificate(CertificateError::BadSignature));
}

#[test]
fn the_fingerprint_must_be_of_an_authority() {
    let world = World::new();
    let (leaf, key) = world.authority.issue_server(&[], world.current()).unwrap();
    let ca = world.authority.certificate_der().clone();
    let resolver = chain(vec![leaf.der.clone(), ca], &key);
    let (client, _) = join(&world, leaf.fingerprint, resolver).refused();
    assert!(tls::is_wrong_authority(&client), "{client:?}");
    // Nor when it is sent as if it were one.
    let resolver = chain(vec![leaf.der.clone(), leaf.der], &key);
    let (client, _) = join(&world, leaf.fingerprint, resolver).refused();
    assert!(tls::is_wrong_authority(&client), "{client:?}");
}

#[test]
fn a_users_certificate_is_no_server_to_join() {
    let world = World::new();
    let (issued, key) = world.user("mallory", world.current());
    let resolver = chain(vec![issued.der, world.authority.certificate_der().clone()], &key);
    let (client, _) = join(&world, world.authority.fingerprint(), resolver).refused();
    assert!(
        matches!(client, Error::InvalidCertificate(CertificateError::InvalidPurposeContext { .. })),
        "{client:?}"
    );
}

#[test]
fn the_name_must_be_the_trust_domain() {
    let world = World::new();
    let fingerprint = world.authority.fingerprint();
    let server = tls::join_server_config(world.resolver()).unwrap();
    let client = tls::join_client_config(fingerprint, &"other.example".parse().unwrap()).unwrap();
    // The token's trust domain counts, even when the caller dials with the server's.
    let (client, _) = world.handshake(&client, &server).refused();
    assert!(
        matches!(client, Error::InvalidCertificate(CertificateError::NotValidForNameContext { .. })),
        "{client:?}"
    );
}

#[test]
fn an_expired_server_is_not_joined() {
    let world = World::new();
    let resolver = Arc::new(CurrentCertificate::new(world.server_identity(world.expired())));
    let (client, _) = join(&world, world.authority.fingerprint(), resolver).refused();
    assert!(
        matches!(client, Error::InvalidCertificate(CertificateError::ExpiredContext { .. })),
        "{client:?}"
    );
}

#[test]
fn joining_and_transferring_do_not_mix() {
    let world = World::new();
    let joining =
        tls::join_client_config(world.authority.fingerprint(), world.authority.trust_domain()).unwrap();
    let (_, server) = world.handshake(&joining, &world.server()).refused();
    assert_eq!(server, Error::NoApplicationProtocol);

    let enrolled = world.client(&world.user("alice", world.current()));
    let join_server = tls::join_server_config(world.resolver()).unwrap();
    let (_, server) = world.handshake(&enrolled, &join_server).refused();
    assert_eq!(server, Error::NoApplicationProtocol);
}

#[test]
fn the_authority_that_is_shown_is_the_one_to_keep() {
    let world = World::new();
    let (client, _) = join(&world, world.authority.fingerprint(), world.resolver()).established();
    let shown = client.peer_certificates().unwrap();
    assert_eq!(fingerprint(&shown[1]), world.authority.fingerprint());
}

fn join(world: &World, fingerprint: Digest, resolver: Arc<dyn ResolvesServerCert>) -> Outcome {
    let client = tls::join_client_config(fingerprint, world.authority.trust_domain()).unwrap();
    world.handshake(&client, &tls::join_server_config(resolver).unwrap())
}

/// A server that shows any chain, with any key.
fn chain(chain: Vec<CertificateDer<'static>>, key: &KeyPem) -> Arc<dyn ResolvesServerCert> {
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let key = tls::provider().key_provider.load_private_key(key).unwrap();
    Arc::new(Fixed(Arc::new(CertifiedKey::new(chain, key))))
}
