//! Connections whose other end is rustls's own, or ours.

mod records;

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use rustls::{AlertDescription, CipherSuite, ClientConfig, Error, ServerConfig};
use sealift_certs::tls::{self, CurrentCertificate, ServerIdentity, server_name};
use sealift_certs::{Authority, TrustDomain, USER_VALIDITY, Validity, new_key_and_request};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf, duplex, split};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::record::{PLAINTEXT, RECORD};
use crate::{Connection, TlsReader, TlsWriter, accept, connect};
use records::Known;

type Ours = Connection<ReadHalf<DuplexStream>, WriteHalf<DuplexStream>>;

/// A server's and a client's configuration that fit together.
struct Pair {
    trust_domain: TrustDomain,
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
}

impl Pair {
    fn new() -> Self {
        let now = SystemTime::now();
        let validity = Validity::starting(now, USER_VALIDITY);
        let authority = Authority::generate(TrustDomain::random(), now).unwrap();
        let (issued, key) = authority.issue_server(&[], validity).unwrap();
        let identity = ServerIdentity::from_pem(&issued.pem, &key, authority.certificate_der()).unwrap();
        let resolver = Arc::new(CurrentCertificate::new(identity));
        let made = new_key_and_request().unwrap();
        let user = authority.issue_user(&made.csr_pem, &"alice".parse().unwrap(), validity).unwrap();
        let client = tls::client_config(authority.certificate_pem(), &user.pem, &made.key_pem).unwrap();
        let server = tls::server_config(authority.certificate_der(), resolver).unwrap();
        Self { trust_domain: authority.trust_domain().clone(), server, client }
    }

    /// The client knows this cipher only.
    fn with(mut self, suite: CipherSuite) -> Self {
        let mut provider = rustls::crypto::CryptoProvider::clone(self.client.crypto_provider());
        provider.cipher_suites.retain(|known| known.suite() == suite);
        let config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anybody))
            .with_client_cert_resolver(self.client.client_auth_cert_resolver.clone());
        let usual = std::mem::replace(&mut self.client, Arc::new(config));
        let client = Arc::make_mut(&mut self.client);
        client.alpn_protocols.clone_from(&usual.alpn_protocols);
        client.enable_secret_extraction = true;
        self
    }

    async fn connect(&self, stream: DuplexStream) -> Ours {
        let (read, write) = split(stream);
        connect(self.client.clone(), server_name(&self.trust_domain), read, write).await.unwrap()
    }

    async fn accept(&self, stream: DuplexStream) -> Ours {
        let (read, write) = split(stream);
        accept(|_| self.server.clone(), read, write).await.unwrap()
    }

    /// Both ends from here.
    async fn ours(&self, memory: usize) -> (Ours, Ours) {
        let (near, far) = duplex(memory);
        tokio::join!(self.connect(near), self.accept(far))
    }

    async fn rustls_server(&self, memory: usize) -> (Ours, tokio_rustls::server::TlsStream<DuplexStream>) {
        let (near, far) = duplex(memory);
        let acceptor = TlsAcceptor::from(self.server.clone());
        let (ours, theirs) = tokio::join!(self.connect(near), acceptor.accept(far));
        (ours, theirs.unwrap())
    }

    async fn rustls_client(&self, memory: usize) -> (Ours, tokio_rustls::client::TlsStream<DuplexStream>) {
        let (near, far) = duplex(memory);
        let connector = TlsConnector::from(self.client.clone());
        let connecting = connector.connect(server_name(&self.trust_domain), near);
        let (ours, theirs) = tokio::join!(self.accept(far), connecting);
        (ours, theirs.unwrap())
    }
}

#[derive(Debug)]
struct Anybody;

impl rustls::client::danger::ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &[rustls::pki_types::CertificateDer<'_>],
        _: &rustls::pki_types::ServerName<'_>,
        _: &[u8],
        _: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, Error> {
        unreachable!("TLS 1.3 only")
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        tls::provider().signature_verification_algorithms.supported_schemes()
    }
}

fn content(size: usize) -> Vec<u8> {
    (0..size).map(|i| u8::try_from(i % 251).unwrap()).collect()
}

/// Writes in pieces of these sizes, in turn, and says goodbye.
async fn send(mut writer: impl tokio::io::AsyncWrite + Unpin, content: &[u8], pieces: &[usize]) {
    let (mut rest, mut sizes) = (content, pieces.iter().cycle());
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(rest.len().min(*sizes.next().unwrap()));
        // A header and what follows it, as frames are.
        let (header, payload) = piece.split_at(piece.len().min(4));
        let slices = [io::IoSlice::new(header), io::IoSlice::new(payload)];
        let count = writer.write_vectored(&slices).await.unwrap();
        writer.write_all(&piece[count..]).await.unwrap();
        rest = after;
    }
    writer.shutdown().await.unwrap();
}

/// Reads to the goodbye, in pieces of these sizes, in turn.
async fn receive(mut reader: impl tokio::io::AsyncRead + Unpin, pieces: &[usize]) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    for size in pieces.iter().cycle() {
        let mut piece = vec![0; *size];
        let count = reader.read(&mut piece).await?;
        if count == 0 {
            break;
        }
        content.extend_from_slice(&piece[..count]);
    }
    Ok(content)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

const SUITES: [CipherSuite; 3] = [
    CipherSuite::TLS13_AES_128_GCM_SHA256,
    CipherSuite::TLS13_AES_256_GCM_SHA384,
    CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
];

fn sizes() -> impl Strategy<Value = Vec<usize>> {
    let size = prop_oneof![
        1..40usize,
        4000..20_000usize,
        Just(PLAINTEXT),
        Just(4 + 4 * PLAINTEXT),
        60_000..300_000usize
    ];
    proptest::collection::vec(size, 1..4)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn bytes_cross_whole_in_both_directions(
        suite in 0..3usize, peer in 0..3, memory in prop_oneof![Just(700usize), 20_000..300_000usize],
        up in 0..300_000usize, down in 0..300_000usize, written in sizes(), read in sizes(),
        // Key changes after so many records.
        limit in prop_oneof![Just(u64::MAX), 4..20_u64],
    ) {
        let (up, down) = (content(up), content(down));
        // Tiny pieces of large contents take too long.
        let (written, read) = (&[&written[..], &[9000]].concat()[..], &[&read[..], &[9000]].concat()[..]);
        runtime().block_on(async {
            let pair = Pair::new().with(SUITES[suite]);
            let (upward, downward) = match peer {
                0 => {
                    let (mut near, mut far) = pair.ours(memory).await;
                    (near.writer.limit, far.writer.limit) = (limit, limit);
                    let (_, received, _, returned) = tokio::join!(
                        send(near.writer, &up, written), receive(far.reader, read),
                        send(far.writer, &down, written), receive(near.reader, read),
                    );
                    (received, returned)
                }
                1 => {
                    let (mut near, far) = pair.rustls_server(memory).await;
                    near.writer.limit = limit;
                    let (far_reader, far_writer) = split(far);
                    let (_, received, _, returned) = tokio::join!(
                        send(near.writer, &up, written), receive(far_reader, read),
                        send(far_writer, &down, written), receive(near.reader, read),
                    );
                    (received, returned)
                }
                _ => {
                    let (mut far, near) = pair.rustls_client(memory).await;
                    far.writer.limit = limit;
                    let (near_reader, near_writer) = split(near);
                    let (_, received, _, returned) = tokio::join!(
                        send(near_writer, &up, written), receive(far.reader, read),
                        send(far.writer, &down, written), receive(near_reader, read),
                    );
                    (received, returned)
                }
            };
            assert!(upward.unwrap() == up && downward.unwrap() == down);
        });
    }
}

/// Carries bytes, and flips a bit of the one at `position`.
async fn carry(mut from: ReadHalf<DuplexStream>, mut to: WriteHalf<DuplexStream>, mut position: usize) {
    let mut bytes = vec![0; 10_000];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        if position < count {
            bytes[position] ^= 1 << (position % 8);
        }
        position = position.wrapping_sub(count);
        if to.write_all(&bytes[..count]).await.is_err() {
            break;
        }
    }
    let _ = to.shutdown().await;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn what_somebody_in_between_changes_is_noticed_or_means_nothing(position in 0..2500usize, to_server: bool) {
        let untouched = usize::MAX;
        let (upward, downward) = if to_server { (position, untouched) } else { (untouched, position) };
        runtime().block_on(async {
            let pair = Pair::new();
            let ((client_end, proxy_client), (proxy_server, server_end)) = (duplex(100_000), duplex(100_000));
            let (from_client, to_client) = split(proxy_client);
            let (from_server, to_server) = split(proxy_server);
            tokio::spawn(carry(from_client, to_server, upward));
            tokio::spawn(carry(from_server, to_client, downward));
            let client = async {
                let (read, write) = split(client_end);
                let name = server_name(&pair.trust_domain);
                let mut ours = connect(pair.client.clone(), name, read, write).await?;
                ours.writer.write_all(&content(2500)).await?;
                ours.writer.shutdown().await?;
                receive(ours.reader, &[100]).await
            };
            let server = async {
                let (read, write) = split(server_end);
                let mut ours = accept(|_| pair.server.clone(), read, write).await?;
                ours.writer.write_all(&content(2500)).await?;
                ours.writer.shutdown().await?;
                receive(ours.reader, &[100]).await
            };
            let both = async { tokio::join!(client, server) };
            // A length that grew is waited for; the callers have their own patience.
            if let Ok((client, server)) = tokio::time::timeout(Duration::from_millis(200), both).await {
                // The version in a record's header in the clear means nothing: changing it changes nothing.
                let whole = |received: &io::Result<Vec<u8>>| received.as_ref().is_ok_and(|r| *r == content(2500));
                assert!(client.is_err() || server.is_err() || whole(&client) && whole(&server));
            }
        });
    }
}

#[tokio::test]
async fn the_ends_know_each_other() {
    let pair = Pair::new();
    let (client, server) = pair.ours(1000).await;
    assert_eq!(client.alpn.as_deref(), Some(sealift_protocol::ALPN));
    assert_eq!(server.alpn, client.alpn);
    assert_eq!(server.peer_certificates.len(), 1);
    assert!(!client.peer_certificates.is_empty());
}

#[tokio::test]
async fn a_new_key_that_the_peer_asks_for_is_answered_with_one() {
    let pair = Pair::new();
    let (mut ours, mut theirs) = pair.rustls_server(100_000).await;
    for round in 0..3 {
        theirs.get_mut().1.refresh_traffic_keys().unwrap();
        theirs.write_all(b"with a new key").await.unwrap();
        theirs.flush().await.unwrap();
        let mut word = [0; 14];
        ours.reader.read_exact(&mut word).await.unwrap();
        assert_eq!(&word, b"with a new key");
        ours.writer.write_all(b"and so is this").await.unwrap();
        ours.writer.flush().await.unwrap();
        assert_eq!(ours.writer.key.sequence(), 1, "round {round}: one record since the key changed");
        theirs.read_exact(&mut word).await.unwrap();
        assert_eq!(&word, b"and so is this");
    }
}

#[tokio::test]
async fn an_end_without_goodbye_is_told_from_one_with_it() {
    let pair = Pair::new();
    let (mut ours, theirs) = pair.rustls_server(1000).await;
    drop(theirs);
    let cut = ours.reader.read_u8().await.unwrap_err();
    assert_eq!(cut.kind(), ErrorKind::UnexpectedEof);

    let (mut ours, mut theirs) = pair.rustls_server(1000).await;
    theirs.shutdown().await.unwrap();
    assert_eq!(ours.reader.read(&mut [0; 9]).await.unwrap(), 0);
    assert_eq!(ours.reader.read(&mut [0; 9]).await.unwrap(), 0, "again");
    // The other direction is still open.
    ours.writer.write_all(b"word").await.unwrap();
    ours.writer.shutdown().await.unwrap();
    assert_eq!(ours.writer.write(b"more").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
    let mut words = Vec::new();
    theirs.read_to_end(&mut words).await.unwrap();
    assert_eq!(words, b"word");
}

#[tokio::test]
async fn what_comes_right_behind_the_handshake_is_not_lost() {
    let pair = Pair::new();
    let (client_end, proxy_client) = duplex(100_000);
    let (proxy_server, server_end) = duplex(100_000);
    let (mut from_client, mut to_client) = split(proxy_client);
    let (mut from_server, mut to_server) = split(proxy_server);
    let connector = TlsConnector::from(pair.client.clone());
    let client = async {
        let mut client = connector.connect(server_name(&pair.trust_domain), client_end).await.unwrap();
        client.write_all(&content(40_000)).await.unwrap();
        client.shutdown().await.unwrap();
        client
    };
    // The client's second flight comes with all that it says, at once.
    let forward = async {
        let mut hello = vec![0; 10_000];
        let count = from_client.read(&mut hello).await.unwrap();
        to_server.write_all(&hello[..count]).await.unwrap();
        let mut rest = Vec::new();
        from_client.read_to_end(&mut rest).await.unwrap();
        to_server.write_all(&rest).await.unwrap();
    };
    let back = tokio::io::copy(&mut from_server, &mut to_client);
    let server = async {
        let server = pair.accept(server_end).await;
        receive(server.reader, &[5, 50_000]).await
    };
    let all = async { tokio::join!(client, forward, server) };
    let (_client, (), received) =
        tokio::select! { all = all => all, _ = back => panic!("the server closed") };
    assert!(received.unwrap() == content(40_000));
}

#[tokio::test]
async fn a_server_that_is_somebody_else_hears_why_the_client_leaves() {
    let (pair, other) = (Pair::new(), Pair::new());
    let (near, far) = duplex(100_000);
    let (read, write) = split(near);
    let connecting = connect(other.client.clone(), server_name(&other.trust_domain), read, write);
    let acceptor = TlsAcceptor::from(pair.server.clone());
    let (ours, theirs) = tokio::join!(connecting, acceptor.accept(far));
    let ours = ours.unwrap_err();
    assert_eq!(ours.kind(), ErrorKind::InvalidData);
    assert!(matches!(tls::tls_error(&ours), Some(Error::InvalidCertificate(_))), "{ours}");
    let theirs = theirs.unwrap_err();
    assert!(matches!(tls::tls_error(&theirs), Some(Error::AlertReceived(_))), "{theirs}");
}

#[tokio::test]
async fn a_client_that_the_server_refuses_hears_why_when_it_reads() {
    let (pair, other) = (Pair::new().with(SUITES[0]), Pair::new());
    let (near, far) = duplex(100_000);
    let (read, write) = split(far);
    let accepting = accept(|_| other.server.clone(), read, write);
    let (mut ours, refused) = tokio::join!(pair.connect(near), accepting);
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::InvalidData);
    let error = ours.reader.read_u8().await.unwrap_err();
    assert!(matches!(tls::tls_error(&error), Some(Error::AlertReceived(_))), "{error}");
}

#[tokio::test]
async fn a_peer_hears_of_a_failure_instead_of_a_goodbye() {
    let pair = Pair::new();
    let (mut near, mut far) = pair.ours(100_000).await;
    near.writer.key = Known(0).key();
    near.writer.write_all(b"sealed with another key").await.unwrap();
    assert_eq!(far.reader.read_u8().await.unwrap_err().kind(), ErrorKind::InvalidData);
    far.writer.shutdown().await.unwrap();
    let error = near.reader.read_u8().await.unwrap_err();
    assert_eq!(tls::tls_error(&error), Some(&Error::AlertReceived(AlertDescription::BadRecordMac)));
}

#[tokio::test]
async fn an_idle_connection_holds_no_memory_for_records() {
    let pair = Pair::new();
    let (mut near, mut far) = pair.ours(RECORD * 20).await;
    let exchange = async |near: &mut TlsWriter<_>, far: &mut TlsReader<_>, size: usize| {
        near.write_all(&content(size)).await.unwrap();
        near.flush().await.unwrap();
        far.read_exact(&mut vec![0; size]).await.unwrap();
    };
    for size in [20, 200_000, 3] {
        exchange(&mut near.writer, &mut far.reader, size).await;
        let mut header = [0; 4];
        let waiting = std::pin::pin!(far.reader.read(&mut header));
        assert!(futures_are_pending(waiting).await);
        assert_eq!(far.reader.received.capacity(), 0, "after {size}");
        assert!(near.writer.sealed.capacity() <= 2048, "after {size}");
    }
}

async fn futures_are_pending(mut future: std::pin::Pin<&mut impl Future>) -> bool {
    std::future::poll_fn(|context| std::task::Poll::Ready(future.as_mut().poll(context).is_pending())).await
}
