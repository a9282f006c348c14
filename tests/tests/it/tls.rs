//! TLS as the server speaks it with peers that use it well, oddly, or against it.

use std::io::ErrorKind;

use rustls::AlertDescription;
use sealift_certs::tls::{server_name, tls_error};
use sealift_protocol::io::{FrameReader, StreamError};
use sealift_protocol::message::{Reply, Request, Whoami, decode, encode};
use sealift_tests::client::hello;
use sealift_tests::{Machine, PATIENCE, World, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A connection without frames around it.
async fn secure(machine: &Machine) -> TlsStream<TcpStream> {
    let stream = TcpStream::connect(machine.address).await.unwrap();
    let connector = TlsConnector::from(machine.config());
    connector.connect(server_name(&machine.trust_domain), stream).await.unwrap()
}

async fn send(stream: &mut TlsStream<TcpStream>, request: &Request) {
    let mut frame = Vec::new();
    encode(request, &mut frame).unwrap();
    stream.write_all(&frame).await.unwrap();
    stream.flush().await.unwrap();
}

async fn reply(stream: &mut TlsStream<TcpStream>) -> Result<Reply, StreamError> {
    let mut reader = FrameReader::new(stream, PATIENCE);
    let header = reader.header(PATIENCE).await?.ok_or(StreamError::Closed)?;
    Ok(decode(reader.control(header).await?)?)
}

/// A connection that the server has welcomed.
async fn welcomed(machine: &Machine) -> TlsStream<TcpStream> {
    let mut stream = secure(machine).await;
    send(&mut stream, &hello()).await;
    assert!(matches!(reply(&mut stream).await, Ok(Reply::Welcome(_))));
    stream
}

#[tokio::test]
async fn a_peer_may_change_its_keys_at_any_time() {
    let world = World::start().await;
    let alice = world.enrol("alice").await;
    let mut stream = welcomed(&alice).await;
    for _ in 0..100 {
        // This also asks the server for new keys, which come with its next reply.
        stream.get_mut().1.refresh_traffic_keys().unwrap();
        send(&mut stream, &Request::Whoami(Whoami {})).await;
        assert!(matches!(reply(&mut stream).await, Ok(Reply::Identity(_))));
    }
}

#[tokio::test]
async fn new_keys_without_data_between_them_have_an_end() {
    let world = World::start().await;
    let alice = world.enrol("alice").await;
    let mut stream = welcomed(&alice).await;
    let flooding = async {
        loop {
            stream.get_mut().1.refresh_traffic_keys().unwrap();
            if stream.flush().await.is_err() {
                return;
            }
            // The server's alert, or a socket that it has closed.
            if tokio::time::timeout(std::time::Duration::ZERO, stream.read_u8()).await.is_ok() {
                return;
            }
        }
    };
    within(PATIENCE, "the end of a flood of keys", flooding).await;
    alice.connect().await.whoami().await.unwrap();
}

#[tokio::test]
async fn records_that_are_none_end_the_connection_with_an_alert_and_nobody_else_notices() {
    let world = World::start().await;
    let alice = world.enrol("alice").await;
    let mut witness = alice.connect().await;
    let (bad, long) = (AlertDescription::BadRecordMac, AlertDescription::DecodeError);
    for (what, record, alert) in [
        ("bytes that nobody sealed", &[&[23, 3, 3, 0, 40][..], &[7; 40]].concat()[..], bad),
        ("a record too short for a tag", &[23, 3, 3, 0, 3, 1, 2, 3], bad),
        ("a record that is too long", &[&[23, 3, 3, 0x48, 1][..], &[0; 0x4801]].concat(), long),
        ("a handshake in the clear", &[22, 3, 3, 0, 4, 1, 0, 0, 0], bad),
    ] {
        let mut stream = welcomed(&alice).await;
        stream.get_mut().0.write_all(record).await.unwrap();
        let ended = within(PATIENCE, what, reply(&mut stream)).await.unwrap_err();
        let StreamError::Io(error) = ended else { panic!("{what}: {ended}") };
        let heard = tls_error(&error).cloned();
        assert!(
            matches!(&heard, Some(rustls::Error::AlertReceived(said)) if *said == alert),
            "{what}: {heard:?}"
        );
        witness.whoami().await.unwrap();
    }
}

#[tokio::test]
async fn an_endless_handshake_ends_before_it_costs_memory() {
    const RECORD: usize = 16_000;
    let world = World::start().await;
    let alice = world.enrol("alice").await;
    // A first message that claims all of 24 bits, the most that rustls takes, and one in the smallest pieces.
    for (claimed, piece) in [(0xff_ffff_u32, RECORD), (0xffff, RECORD), (0xffff, 1)] {
        let mut stream = TcpStream::connect(world.address).await.unwrap();
        let [_, high, middle, low] = claimed.to_be_bytes();
        let mut first = vec![1, high, middle, low];
        let mut sent = 0;
        let sending = async {
            loop {
                first.resize(piece.max(first.len()), 0);
                let length = u16::try_from(first.len()).unwrap().to_be_bytes();
                let record = [&[22, 3, 1][..], &length, &first].concat();
                first.clear();
                if stream.write_all(&record).await.is_err() {
                    return;
                }
                sent += record.len();
                assert!(sent < 16 << 20, "the server takes more than 16 MiB of a handshake");
            }
        };
        within(PATIENCE, "the end of a handshake", sending).await;
    }
    alice.connect().await.whoami().await.unwrap();
}

#[tokio::test]
async fn a_server_says_goodbye_to_a_client_that_does() {
    let world = World::start().await;
    let alice = world.enrol("alice").await;
    let mut stream = welcomed(&alice).await;
    stream.shutdown().await.unwrap();
    let mut rest = Vec::new();
    within(PATIENCE, "the server's goodbye", stream.read_to_end(&mut rest)).await.unwrap();
    assert!(rest.is_empty());
    // A peer that only closes the socket gets no goodbye from rustls, and the next one is served.
    drop(secure(&alice).await);
    let mut cut = welcomed(&alice).await;
    cut.get_mut().0.shutdown().await.unwrap();
    let ended = within(PATIENCE, "the end", cut.read_u8()).await.unwrap_err();
    assert_eq!(ended.kind(), ErrorKind::UnexpectedEof);
    alice.connect().await.whoami().await.unwrap();
}
