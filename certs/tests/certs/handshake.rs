//! Who gets in with a certificate, and who does not.

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::sign::CertifiedKey;
use rustls::{
    AlertDescription, CertificateError, CipherSuite, ClientConfig, Error, HandshakeKind, NamedGroup,
    ProtocolVersion, RootCertStore, version,
};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;
use sealift_certs::tls::{self, CurrentCertificate, Protocol, ServerIdentity};
use sealift_certs::{CertError, Identity, Role, Validity, fingerprint};

use crate::world::{World, days};

#[test]
fn a_client_with_a_current_certificate_gets_in() {
    let world = World::new();
    let alice = world.user("alice", world.current());
    let (client, server) = world.handshake(&world.client(&alice), &world.server()).established();

    assert_eq!(tls::negotiated(client.alpn_protocol()), Some(Protocol::Transfer));
    assert_eq!(tls::negotiated(server.alpn_protocol()), Some(Protocol::Transfer));
    assert_eq!(server.protocol_version(), Some(ProtocolVersion::TLSv1_3));
    assert_eq!(client.negotiated_key_exchange_group().unwrap().name(), NamedGroup::X25519MLKEM768);
    let suites = [CipherSuite::TLS13_AES_128_GCM_SHA256, CipherSuite::TLS13_CHACHA20_POLY1305_SHA256];
    assert!(suites.contains(&server.negotiated_cipher_suite().unwrap().suite()));

    let shown = &server.peer_certificates().unwrap()[0];
    let identity = Identity::of_certificate(shown).unwrap();
    assert_eq!(identity.trust_domain, *world.authority.trust_domain());
    assert_eq!(identity.role, Role::User("alice".parse().unwrap()));
    assert_eq!(fingerprint(shown), alice.0.fingerprint);

    let shown = client.peer_certificates().unwrap();
    assert_eq!(Identity::of_certificate(&shown[0]).unwrap().role, Role::Server);
    assert_eq!(shown[1], *world.authority.certificate_der());
    assert_eq!(shown.len(), 2);
}

#[test]
fn a_client_without_a_certificate_is_refused() {
    let world = World::new();
    let (client, server) = world.handshake(&Arc::new(anonymous(&world)), &world.server()).refused();
    assert_eq!(server, Error::NoCertificatesPresented);
    assert_eq!(client, Error::AlertReceived(AlertDescription::CertificateRequired));
}

#[test]
fn a_client_of_a_foreign_authority_is_refused() {
    let world = World::new();
    // Not even with the same names in its certificates.
    let foreign = World::named(world.authority.trust_domain().clone());
    let mallory = foreign.user("alice", foreign.current());
    let (client, server) = world.handshake(&world.client(&mallory), &world.server()).refused();
    assert!(
        matches!(
            &server,
            Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature)
        ),
        "{server:?}"
    );
    let alerts = [AlertDescription::UnknownCA, AlertDescription::DecryptError];
    assert!(alerts.map(Error::AlertReceived).contains(&client), "{client:?}");

    let stranger = World::new();
    let bob = stranger.user("bob", stranger.current());
    let (client, server) = world.handshake(&world.client(&bob), &world.server()).refused();
    assert_eq!(server, Error::InvalidCertificate(CertificateError::UnknownIssuer));
    assert_eq!(client, Error::AlertReceived(AlertDescription::UnknownCA));
}

#[test]
fn a_client_is_refused_before_and_after_its_time() {
    let world = World::new();
    let old = world.user("alice", world.expired());
    let (client, server) = world.handshake(&world.client(&old), &world.server()).refused();
    assert!(
        matches!(server, Error::InvalidCertificate(CertificateError::ExpiredContext { .. })),
        "{server:?}"
    );
    assert_eq!(client, Error::AlertReceived(AlertDescription::CertificateExpired));

    let early = world.user("alice", Validity::starting(world.now + days(1), days(1)));
    let (_, server) = world.handshake(&world.client(&early), &world.server()).refused();
    assert!(
        matches!(server, Error::InvalidCertificate(CertificateError::NotValidYetContext { .. })),
        "{server:?}"
    );
}

#[test]
fn a_server_certificate_is_no_client_certificate() {
    let world = World::new();
    let server_certificate = world.authority.issue_server(&[], world.current()).unwrap();
    let (_, server) = world.handshake(&world.client(&server_certificate), &world.server()).refused();
    assert!(
        matches!(server, Error::InvalidCertificate(CertificateError::InvalidPurposeContext { .. })),
        "{server:?}"
    );
}

#[test]
fn a_client_certificate_is_no_server_certificate() {
    let world = World::new();
    let authority = world.authority.certificate_der();
    let (issued, key) = world.user("alice", world.current());
    let error = ServerIdentity::from_pem(&issued.pem, &key, authority).unwrap_err();
    assert!(matches!(error, CertError::ServerCertificate { .. }), "{error}");

    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let certified =
        CertifiedKey::from_der(vec![issued.der, authority.clone()], key, &tls::provider()).unwrap();
    let server = world.server_with(Arc::new(Fixed(Arc::new(certified))));
    let alice = world.user("alice", world.current());
    let (client, _) = world.handshake(&world.client(&alice), &server).refused();
    assert!(
        matches!(client, Error::InvalidCertificate(CertificateError::InvalidPurposeContext { .. })),
        "{client:?}"
    );
}

#[test]
fn a_server_of_a_foreign_authority_is_refused() {
    let world = World::new();
    let foreign = World::named(world.authority.trust_domain().clone());
    let alice = world.user("alice", world.current());
    let (client, _) = world.handshake(&world.client(&alice), &foreign.server()).refused();
    assert!(
        matches!(
            &client,
            Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature)
        ),
        "{client:?}"
    );
}

#[test]
fn nothing_resumes() {
    let world = World::new();
    let ours = world.client(&world.user("alice", world.current()));
    let mut eager = ClientConfig::clone(&ours);
    eager.resumption = Resumption::in_memory_sessions(8);
    let server = world.server();
    for config in [ours, Arc::new(eager)] {
        for _ in 0..2 {
            let (client, server) = world.handshake(&config, &server).established();
            assert_eq!(client.handshake_kind(), Some(HandshakeKind::Full));
            assert_eq!(server.handshake_kind(), Some(HandshakeKind::Full));
            assert_eq!(client.tls13_tickets_received(), 0);
        }
    }
}

#[test]
fn another_application_protocol_is_refused_and_none_is_noticed() {
    let world = World::new();
    let mut config = ClientConfig::clone(&world.client(&world.user("alice", world.current())));
    for other in [&b"h2"[..], sealift_protocol::JOIN_ALPN] {
        config.alpn_protocols = vec![other.to_vec()];
        let (client, server) = world.handshake(&Arc::new(config.clone()), &world.server()).refused();
        assert_eq!(server, Error::NoApplicationProtocol);
        assert_eq!(client, Error::AlertReceived(AlertDescription::NoApplicationProtocol));
    }
    config.alpn_protocols.clear();
    let (_, server) = world.handshake(&Arc::new(config), &world.server()).established();
    assert_eq!(tls::negotiated(server.alpn_protocol()), None);
}

#[test]
fn the_server_certificate_is_replaced_while_running() {
    let world = World::new();
    let current = world.resolver();
    let server = world.server_with(current.clone());
    let client = world.client(&world.user("alice", world.current()));
    let shown = || {
        let (client, _) = world.handshake(&client, &server).established();
        fingerprint(&client.peer_certificates().unwrap()[0])
    };
    let before = current.current().fingerprint();
    assert_eq!(shown(), before);
    current.replace(world.server_identity(world.current()));
    assert_ne!(current.current().fingerprint(), before);
    assert_eq!(shown(), current.current().fingerprint());
}

#[test]
fn an_expired_server_certificate_loads_but_is_refused() {
    // It must load: a server that was off for long starts with it, and renews it then.
    let world = World::new();
    let identity = world.server_identity(world.expired());
    assert!(identity.validity().should_renew(world.now));
    let server = world.server_with(Arc::new(CurrentCertificate::new(identity)));
    let client = world.client(&world.user("alice", world.current()));
    let (client, _) = world.handshake(&client, &server).refused();
    assert!(
        matches!(client, Error::InvalidCertificate(CertificateError::ExpiredContext { .. })),
        "{client:?}"
    );
}

#[test]
fn configurations_check_what_they_are_given() {
    let world = World::new();
    let ca = world.authority.certificate_pem();
    let (alice, key) = world.user("alice", world.current());
    let (bob, _) = world.user("bob", world.current());
    let (server, server_key) = world.authority.issue_server(&[], world.current()).unwrap();

    assert!(matches!(tls::client_config(ca, &bob.pem, &key), Err(CertError::KeyMismatch)));
    assert!(matches!(tls::client_config(&alice.pem, &alice.pem, &key), Err(CertError::NotAuthority)));
    assert!(matches!(
        tls::client_config("", &alice.pem, &key),
        Err(CertError::Pem { what: "CA certificate" })
    ));
    assert!(matches!(tls::client_config(ca, "", &key), Err(CertError::Pem { what: "client certificate" })));
    assert!(matches!(tls::client_config(ca, &alice.pem, ""), Err(CertError::Pem { what: "private key" })));
    assert!(matches!(tls::server_config(&server.der, world.resolver()), Err(CertError::NotAuthority)));

    let authority = world.authority.certificate_der();
    assert!(matches!(ServerIdentity::from_pem(&server.pem, &key, authority), Err(CertError::KeyMismatch)));
    assert!(matches!(ServerIdentity::from_pem("", &server_key, authority), Err(CertError::Pem { .. })));
    let other = World::new();
    let foreign = other.authority.certificate_der();
    let error = ServerIdentity::from_pem(&server.pem, &server_key, foreign).unwrap_err();
    assert!(matches!(error, CertError::ServerCertificate { .. }), "{error}");
}

/// A resolver that checks nothing.
#[derive(Debug)]
pub(crate) struct Fixed(pub(crate) Arc<CertifiedKey>);

impl rustls::server::ResolvesServerCert for Fixed {
    fn resolve(&self, _: rustls::server::ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

fn anonymous(world: &World) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(world.authority.certificate_der().clone()).unwrap();
    let mut config = ClientConfig::builder_with_provider(tls::provider())
        .with_protocol_versions(&[&version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![sealift_protocol::ALPN.to_vec()];
    config
}
