//! Who gets in: nobody without a current certificate that the catalog knows.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::{AlertDescription, ClientConfig, HandshakeKind, RootCertStore, version};
use sealift_certs::tls::{provider, server_name};
use sealift_certs::{
    Authority, TrustDomain, USER_VALIDITY, Validity, certificate_from_pem, fingerprint, new_key_and_request,
};
use sealift_protocol::message::encode;
use sealift_server::clock::{nanoseconds, now};
use sealift_server::store::certificates::{self, CertificateOrigin, NewCertificate};
use sealift_server::store::identities;
use sealift_tests::client::hello;
use sealift_tests::{Machine, PATIENCE, Refusal, Site, World, within};
use sealift_types::ErrorCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;

use crate::code;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// A configuration that verifies the server as always, but shows no certificate.
fn anonymous(machine: &Machine, protocols: &[&[u8]]) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(certificate_from_pem(&machine.authority_pem).unwrap()).unwrap();
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build().unwrap();
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&version::TLS13])
        .unwrap()
        .with_webpki_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    config
}

async fn alert(machine: &Machine) -> AlertDescription {
    match machine.try_connect().await {
        Err(Refusal::Alert(alert)) => alert,
        other => panic!("{other:?}"),
    }
}

async fn refused_by_catalog(machine: &Machine) {
    match machine.try_connect().await {
        Err(Refusal::Said(error)) => assert_eq!(error.code, ErrorCode::CertificateRefused),
        other => panic!("{other:?}"),
    }
}

/// Others are served as if nothing had happened.
async fn assert_serves(world: &World, machine: &Machine) {
    let mut client = machine.at(world.address).connect().await;
    assert_eq!(client.whoami().await.unwrap().identity, machine.name);
    client.close().await;
}

/// A certificate of the site's own authority for `machine`, valid at other times.
fn issue(site: &Site, machine: &Machine, validity: Validity) -> Machine {
    let made = new_key_and_request().unwrap();
    let issued = site.authority().issue_user(&made.csr_pem, &machine.name, validity).unwrap();
    machine.with_certificate(&issued.pem, &made.key_pem)
}

/// Makes the catalog know a machine's certificate as `name`'s.
fn register(site: &Site, machine: &Machine, name: &str, expires: SystemTime) {
    site.administer(|catalog| {
        let identity = identities::ensure(catalog, &name.parse().unwrap(), now()).unwrap();
        certificates::add(
            catalog,
            identity,
            NewCertificate {
                fingerprint: &machine.fingerprint(),
                issued_at: now(),
                expires_at: nanoseconds(expires),
                origin: CertificateOrigin::Token(None),
            },
        )
        .unwrap();
    });
}

#[tokio::test]
async fn a_certificate_says_who_is_there() {
    let world = World::start().await;
    let (alice, bob) = (world.enrol("alice").await, world.enrol("bob").await);
    for machine in [&alice, &bob] {
        let (mut client, welcome) = machine.try_connect().await.unwrap();
        assert_eq!((welcome.version, &welcome.identity), (1, &machine.name));
        let account = client.whoami().await.unwrap();
        assert_eq!(account.identity, machine.name);
        assert_eq!(
            account.uri,
            format!("spiffe://{}/user/{}", world.authority().trust_domain(), machine.name)
        );
        let expected = nanoseconds(SystemTime::now() + USER_VALIDITY);
        assert!((expected - account.expires).abs() < 120_000_000_000, "{account:?}");
        assert_eq!(account.spaces.len(), 1);
        assert_eq!(account.spaces[0].space, machine.name);
        assert_eq!(account.spaces[0].rights, ["read", "create", "replace", "delete"]);
    }
}

#[tokio::test]
async fn without_a_certificate_there_is_no_conversation() {
    let world = World::start().await;
    let alice = world.enrol("alice").await;
    match alice.try_connect_with(Arc::new(anonymous(&alice, &[sealift_protocol::ALPN]))).await {
        Err(Refusal::Alert(AlertDescription::CertificateRequired)) => {}
        other => panic!("{other:?}"),
    }
    assert_serves(&world, &alice).await;
}

#[tokio::test]
async fn a_foreign_authority_vouches_for_nobody() {
    let world = World::start().await;
    let alice = world.enrol("alice").await;
    let domain = world.authority().trust_domain().clone();
    // Even one that carries this server's trust domain, and even for a certificate that the catalog knows.
    for domain in [TrustDomain::random(), domain] {
        let foreign = Authority::generate(domain, SystemTime::now()).unwrap();
        let made = new_key_and_request().unwrap();
        let validity = Validity::starting(SystemTime::now(), DAY);
        let issued = foreign.issue_user(&made.csr_pem, &alice.name, validity).unwrap();
        let stranger = alice.with_certificate(&issued.pem, &made.key_pem);
        register(&world, &stranger, "alice", SystemTime::now() + DAY);
        let alert = alert(&stranger).await;
        let telling =
            [AlertDescription::UnknownCA, AlertDescription::DecryptError, AlertDescription::BadCertificate];
        assert!(telling.contains(&alert), "{alert:?}");
    }
    assert_serves(&world, &alice).await;
}

#[tokio::test]
async fn an_expired_certificate_is_refused() {
    let world = World::start().await;
    let alice = world.enrol("alice").await;
    let old = issue(&world, &alice, Validity::starting(SystemTime::now() - 3 * DAY, DAY));
    assert_eq!(alert(&old).await, AlertDescription::CertificateExpired);
    // Whatever the catalog says.
    register(&world, &old, "alice", SystemTime::now() + DAY);
    assert_eq!(alert(&old).await, AlertDescription::CertificateExpired);
    let early = issue(&world, &alice, Validity::starting(SystemTime::now() + 3 * DAY, DAY));
    register(&world, &early, "alice", SystemTime::now() + 10 * DAY);
    let alert = alert(&early).await;
    let telling = [AlertDescription::CertificateExpired, AlertDescription::BadCertificate];
    assert!(telling.contains(&alert), "not valid yet: {alert:?}");
    assert_serves(&world, &alice).await;
}

#[tokio::test]
async fn a_certificate_that_the_catalog_does_not_know_is_refused() {
    let world = World::start().await;
    let alice = world.enrol("alice").await;
    let unknown = issue(&world, &alice, Validity::starting(SystemTime::now(), DAY));
    refused_by_catalog(&unknown).await;
    register(&world, &unknown, "alice", SystemTime::now() + DAY);
    assert_serves(&world, &unknown).await;

    let other = issue(&world, &alice, Validity::starting(SystemTime::now(), DAY));
    register(&world, &other, "bob", SystemTime::now() + DAY);
    refused_by_catalog(&other).await;
    let over = issue(&world, &alice, Validity::starting(SystemTime::now(), DAY));
    register(&world, &over, "alice", SystemTime::now());
    refused_by_catalog(&over).await;
    assert_serves(&world, &alice).await;
}

#[tokio::test]
async fn the_servers_own_certificate_opens_nothing() {
    let world = World::start().await;
    let alice = world.enrol("alice").await;
    let pki = |name: &str| std::fs::read_to_string(world.data.join("pki").join(name)).unwrap();
    let server = alice.with_certificate(&pki("server.pem"), &pki("server.key"));
    register(&world, &server, "alice", SystemTime::now() + DAY);
    let alert_received = alert(&server).await;
    let telling = [
        AlertDescription::UnsupportedCertificate,
        AlertDescription::BadCertificate,
        AlertDescription::CertificateUnknown,
    ];
    assert!(telling.contains(&alert_received), "{alert_received:?}");
    // Nor does the authority's.
    let authority = alice.with_certificate(&pki("ca.pem"), &pki("ca.key"));
    register(&world, &authority, "alice", SystemTime::now() + DAY);
    alert(&authority).await;
    assert_serves(&world, &alice).await;
}

#[tokio::test]
async fn the_application_protocol_is_required() {
    let world = World::start().await;
    let alice = world.enrol("alice").await;
    let with = |protocols: &[&[u8]]| {
        let mut config = ClientConfig::clone(&alice.config());
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        Arc::new(config)
    };
    match alice.try_connect_with(with(&[])).await {
        Err(Refusal::Closed(_)) => {}
        other => panic!("without ALPN: {other:?}"),
    }
    for wrong in [&b"h2"[..], b"sealift/2", b"sealift", b"SEALIFT/1"] {
        match alice.try_connect_with(with(&[wrong])).await {
            Err(Refusal::Alert(AlertDescription::NoApplicationProtocol)) => {}
            other => panic!("{wrong:?}: {other:?}"),
        }
    }
    alice.try_connect_with(with(&[b"h2", b"sealift/1"])).await.unwrap();
    // Whoever would rather join is not let into a transfer without a certificate.
    let both = Arc::new(anonymous(&alice, &[sealift_protocol::ALPN, sealift_protocol::JOIN_ALPN]));
    assert!(alice.try_connect_with(both).await.is_err());
    assert_serves(&world, &alice).await;
}

/// RFC 8446, appendix D.2: a server that has no common version says `protocol_version`.
#[tokio::test]
async fn tls_1_2_is_refused() {
    let world = World::start().await;
    let alice = world.enrol("alice").await;
    // A ClientHello of TLS 1.2 (RFC 5246): ECDHE-ECDSA with AES-128-GCM, P-256, ECDSA with SHA-256.
    let extensions = [
        &[0, 10, 0, 4, 0, 2, 0, 23][..], // supported_groups: secp256r1
        &[0, 11, 0, 2, 1, 0],            // ec_point_formats: uncompressed
        &[0, 13, 0, 4, 0, 2, 4, 3],      // signature_algorithms: ecdsa_secp256r1_sha256
        &[0, 16, 0, 12, 0, 10, 9],       // ALPN: sealift/1
        b"sealift/1",
        &[0, 23, 0, 0], // extended_master_secret
    ]
    .concat();
    let mut hello = vec![3, 3];
    hello.extend([7; 32]);
    hello.push(0); // no session
    hello.extend([0, 2, 0xc0, 0x2b, 1, 0]); // one cipher suite, no compression
    hello.extend(u16::try_from(extensions.len()).unwrap().to_be_bytes());
    hello.extend(extensions);
    let length = u16::try_from(hello.len()).unwrap();
    let mut record = vec![22, 3, 1];
    record.extend((length + 4).to_be_bytes());
    record.extend([1, 0]);
    record.extend(length.to_be_bytes());
    record.extend(hello);

    let mut stream = world.knock().await;
    stream.write_all(&record).await.unwrap();
    let mut answer = Vec::new();
    within(PATIENCE, "the answer to a TLS 1.2 client", stream.read_to_end(&mut answer)).await.unwrap();
    assert_eq!(answer, [21, 3, 3, 0, 2, 2, 70], "a fatal alert, protocol_version");
    assert_serves(&world, &alice).await;
}

/// A resumed session would skip the certificate, and with it the look into the catalog.
#[tokio::test]
async fn no_session_is_resumed() {
    let world = World::start().await;
    let alice = world.enrol("alice").await;
    let mut config = ClientConfig::clone(&alice.config());
    config.resumption = Resumption::in_memory_sessions(8);
    let connector = TlsConnector::from(Arc::new(config));
    for attempt in 0..3 {
        let name = server_name(&alice.trust_domain);
        let mut stream = connector.connect(name, world.knock().await).await.unwrap();
        let kind = stream.get_ref().1.handshake_kind();
        assert!(!matches!(kind, Some(HandshakeKind::Resumed)), "attempt {attempt}");
        let mut frame = Vec::new();
        encode(&hello(), &mut frame).unwrap();
        stream.write_all(&frame).await.unwrap();
        // Reading the welcome takes in whatever tickets came before it.
        stream.read_exact(&mut frame).await.unwrap();
        assert_eq!(stream.get_ref().1.tls13_tickets_received(), 0, "attempt {attempt}");
    }
}

#[tokio::test]
async fn an_open_connection_does_not_outlive_its_certificate() {
    let world = World::start().await;
    let alice = world.enrol("alice").await;
    let mut client = alice.connect().await;
    client.put_inline("file", b"x").await.unwrap();
    world.administer(|catalog| catalog.execute("UPDATE certificates SET expires_at = 1", []).unwrap());
    for error in [
        client.get("file").await.unwrap_err(),
        client.list("").await.unwrap_err(),
        client.list("/").await.unwrap_err(),
        client.info("file").await.unwrap_err(),
        client.remove("file").await.unwrap_err(),
        client.mv("file", "x").await.unwrap_err(),
        client.cp("file", "x").await.unwrap_err(),
        client.put_inline("x", b"x").await.unwrap_err(),
        client.put_stream("x", &[1; 70_000]).await.unwrap_err(),
        client.claim("x", 1, sealift_types::Digest::of(b"x")).await.unwrap_err(),
        client.plan(&[("x", 1)]).await.unwrap_err(),
        client.plan(&[]).await.unwrap_err(),
        client.log(sealift_protocol::message::LogQuery::default()).await.unwrap_err(),
        client.whoami().await.unwrap_err(),
        client.renew(&new_key_and_request().unwrap().csr_pem).await.unwrap_err(),
        client.report("file", sealift_types::Digest::of(b"x")).await.unwrap_err(),
    ] {
        assert_eq!(error.code, ErrorCode::CertificateRefused, "{error}");
    }
    refused_by_catalog(&alice).await;
}

#[tokio::test]
async fn a_renewed_certificate_works_beside_the_old_one() {
    let world = World::start().await;
    let alice = world.enrol("alice").await;
    let mut client = alice.connect().await;
    let made = new_key_and_request().unwrap();
    let certificate = client.renew(&made.csr_pem).await.unwrap();
    let renewed = alice.with_certificate(&certificate, &made.key_pem);
    assert_ne!(renewed.fingerprint(), alice.fingerprint());
    renewed.connect().await.put_inline("file", b"x").await.unwrap();
    assert_eq!(client.get("file").await.unwrap(), b"x");
    assert_serves(&world, &alice).await;
    assert_eq!(world.store().count("certificates"), 2);
    let der = certificate_from_pem(&certificate).unwrap();
    assert_eq!(fingerprint(&der), renewed.fingerprint());

    // A request that is no good blames the client, not the server, and changes nothing.
    for bad in ["", "x", "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"] {
        assert_eq!(code(client.renew(bad).await), ErrorCode::BadRequest, "{bad:?}");
    }
    assert_eq!(code(client.renew(&"A".repeat(60_000)).await), ErrorCode::BadRequest);
    assert_eq!(world.store().count("certificates"), 2);
}
