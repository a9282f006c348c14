//! Limits on connections: who gets in while strangers, an address or an identity want everything.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use rustls::AlertDescription;
use rustls::pki_types::ServerName;
use sealift_certs::JoinToken;
use sealift_certs::tls::{server_name, tls_error};
use sealift_protocol::message::Request;
use sealift_server::descriptors::Descriptors;
use sealift_server::monitor::control;
use sealift_tests::joining::{JoinError, join};
use sealift_tests::{Client, Launcher, Machine, PATIENCE, Pattern, Refusal, Settings, World, within};
use sealift_types::ErrorCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::SEALIFTD;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

/// What the server says to a client that is one too many.
async fn busy(machine: &Machine, from: IpAddr) -> String {
    match machine.try_connect_from(from).await {
        Err(Refusal::Said(error)) => {
            assert!(error.code == ErrorCode::Busy && error.retry, "{error:?}");
            error.message
        }
        other => panic!("{other:?}"),
    }
}

/// Connects as soon as the server has seen the end of other connections.
async fn connect_in_time(machine: &Machine) -> Client {
    let connecting = async {
        loop {
            if let Ok((client, _)) = machine.try_connect().await {
                return client;
            }
        }
    };
    within(PATIENCE, "a free connection", connecting).await
}

/// What the metrics say of a series.
async fn metric(world: &World, series: &str) -> u64 {
    let status = control::ask(&world.data).await.unwrap().expect("the server answers");
    let mut stream = TcpStream::connect(status.metrics.expect("the metrics are somewhere")).await.unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut page = String::new();
    within(PATIENCE, "the metrics", stream.read_to_string(&mut page)).await.unwrap();
    let line = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("there is no {series} in\n{page}")).parse().unwrap()
}

#[tokio::test]
async fn an_identity_leaves_connections_for_others() {
    let world = World::with(Settings::new().line("limits.connections_per_identity = 2").metrics()).await;
    let (alice, bob) = (world.enrol("alice").await, world.enrol("bob").await);
    // Her machines share the limit.
    let second_machine = world.enrol("alice").await;
    let (first, mut second) = (alice.connect().await, second_machine.connect().await);
    for machine in [&alice, &second_machine] {
        let said = busy(machine, HERE).await;
        assert!(
            said.contains("alice has 2 connections") && said.contains("`limits.connections_per_identity`")
        );
    }
    bob.connect().await.whoami().await.unwrap();
    second.whoami().await.unwrap();
    first.close().await;
    connect_in_time(&alice).await.whoami().await.unwrap();
    assert!(metric(&world, "sealift_connections_refused_total{limit=\"identity\"}").await >= 2);
    assert_eq!(metric(&world, "sealift_connections_refused_total{limit=\"address\"}").await, 0);
}

#[tokio::test]
async fn an_address_leaves_connections_for_others() {
    let world = World::with(Settings::new().line("limits.connections_per_address = 2").metrics()).await;
    let (alice, bob) = (world.enrol("alice").await, world.enrol("bob").await);
    let (first, _second) = (alice.connect().await, bob.connect().await);
    let said = busy(&bob, HERE).await;
    assert!(
        said.contains("127.0.0.1 has 2 connections") && said.contains("`limits.connections_per_address`")
    );
    bob.try_connect_from(ELSEWHERE).await.unwrap();
    first.close().await;
    connect_in_time(&alice).await.whoami().await.unwrap();
    assert!(metric(&world, "sealift_connections_refused_total{limit=\"address\"}").await >= 1);
}

/// The first message of a TLS client that wants to reach `name`.
fn client_hello(machine: &Machine, name: ServerName<'static>) -> Vec<u8> {
    let mut connection = rustls::ClientConnection::new(machine.config(), name).unwrap();
    let mut hello = Vec::new();
    connection.write_tls(&mut hello).unwrap();
    hello
}

/// Strangers who connect from `from` without end, send `words`, and hold their newest connections.
async fn flood(world: &World, from: IpAddr, words: Vec<u8>, stop: Arc<AtomicBool>) {
    const HELD: usize = 600;
    let mut held = std::collections::VecDeque::new();
    while !stop.load(Ordering::Relaxed) {
        if let Ok(mut stream) = world.knock_from(from).await {
            let _ = stream.write_all(&words).await;
            held.push_back(stream);
        }
        if held.len() > HELD {
            held.pop_front();
        }
    }
}

/// Clients get in while strangers fill all places, and strangers of other addresses do, too.
async fn gets_in(world: &World, machine: &Machine, from: IpAddr, words: Vec<u8>, strangers: IpAddr) {
    let stop = Arc::new(AtomicBool::new(false));
    let entering = async {
        let displaced = "sealift_handshakes_failed_total{reason=\"displaced\"}";
        while metric(world, displaced).await == 0 {}
        for _ in 0..20 {
            let entered = machine.try_connect_from(from).await;
            let (mut client, _) =
                entered.unwrap_or_else(|refusal| panic!("{from} did not get in: {refusal:?}"));
            client.whoami().await.unwrap();
        }
        stop.store(true, Ordering::Relaxed);
    };
    tokio::join!(flood(world, strangers, words, stop.clone()), within(PATIENCE, "twenty clients", entering));
}

#[tokio::test]
async fn strangers_who_say_nothing_keep_nobody_out() {
    Descriptors::raise();
    let world = World::with(Settings::new().line("limits.handshakes = 64").metrics()).await;
    let alice = world.enrol("alice").await;
    // Even from the same address, as behind a proxy.
    gets_in(&world, &alice, HERE, Vec::new(), HERE).await;
}

#[tokio::test]
async fn strangers_who_begin_handshakes_keep_no_other_address_out() {
    Descriptors::raise();
    let world = World::with(Settings::new().line("limits.handshakes = 8").metrics()).await;
    let alice = world.enrol("alice").await;
    let hello = client_hello(&alice, server_name(&alice.trust_domain));
    gets_in(&world, &alice, HERE, hello, ELSEWHERE).await;
    let ended = async { while metric(&world, "sealift_handshakes").await > 0 {} };
    within(PATIENCE, "the end of all handshakes", ended).await;
}

/// Of two that are at a handshake, the one whose first message names the server stays, also from the same address.
#[tokio::test]
async fn strangers_who_do_not_know_the_server_make_room_for_those_who_do() {
    const STRANGERS: u64 = 20;
    let world = World::with(Settings::new().line("limits.handshakes = 1").metrics()).await;
    let alice = world.enrol("alice").await;
    let knock = async |name| {
        let mut stream = TcpStream::connect(alice.address).await.unwrap();
        stream.write_all(&client_hello(&alice, name)).await.unwrap();
        stream
    };
    let slow = knock(server_name(&alice.trust_domain)).await;
    within(PATIENCE, "an answer to the first message", slow.readable()).await.unwrap();
    for number in 1..=STRANGERS {
        let mut stranger = knock(ServerName::try_from("example.org").unwrap()).await;
        // The end may come as a reset.
        let _ = within(PATIENCE, "the end of a stranger", stranger.read_to_end(&mut Vec::new())).await;
        // The connection may end before it is counted.
        let counted = async {
            while metric(&world, "sealift_handshakes_failed_total{reason=\"displaced\"}").await < number {}
        };
        within(PATIENCE, "the count of strangers", counted).await;
    }
    let mut answer = [0; 64 * 1024];
    let open = loop {
        match slow.try_read(&mut answer) {
            Ok(0) => break false,
            Ok(_) => {}
            Err(error) => break error.kind() == std::io::ErrorKind::WouldBlock,
        }
    };
    assert!(open, "the server hung up on a client that knows it");
}

async fn assert_closed(token: &JoinToken) {
    match join(token).await {
        Err(JoinError::Handshake(error)) => {
            let alert = rustls::Error::AlertReceived(AlertDescription::AccessDenied);
            assert_eq!(tls_error(&error), Some(&alert));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn nobody_can_join_unless_an_invitation_is_open() {
    let world = World::with(Settings::new().metrics()).await;
    let late = world.invite_until("alice", SystemTime::now() - Duration::from_secs(1));
    assert_closed(&late).await;
    let token = world.invite("alice");
    let machine = join(&token).await.unwrap();
    assert_closed(&token).await;
    assert_closed(&late).await;
    // An open invitation of somebody else makes an unusable token no better.
    let _open = world.invite("bob");
    for token in [&token, &late] {
        match join(token).await {
            Err(JoinError::Refused(error)) => assert_eq!(error.code, ErrorCode::TokenRefused),
            other => panic!("{other:?}"),
        }
    }
    world.revoke("bob");
    assert_closed(&token).await;
    machine.connect().await.whoami().await.unwrap();
    assert_eq!(metric(&world, "sealift_handshakes_failed_total{reason=\"no-invitation\"}").await, 4);
}

/// A program that may open few files keeps those that its clients need.
#[tokio::test]
async fn strangers_take_no_files_from_clients() {
    let launcher = Launcher::on_nothing(SEALIFTD).open_files(160);
    let server = launcher.start().await;
    let token: JoinToken = launcher.run("invite", &["alice"]).await.stdout.parse().unwrap();
    let alice = join(&token).await.unwrap();
    let mut client = alice.connect().await;
    let mut strangers = Vec::new();
    for _ in 0..200 {
        strangers.push(TcpStream::connect(server.address).await.unwrap());
    }
    for number in 0..20 {
        let name = format!("file {number}");
        client.put_stream(&name, &Pattern::new(number, 100_000).whole()).await.unwrap();
    }
    // New clients as many as files allow, and one more is told why.
    let (mut clients, refusal) = (Vec::new(), async {
        let mut clients = Vec::new();
        loop {
            match alice.try_connect().await {
                Ok((client, _)) => clients.push(client),
                Err(refusal) => return (clients, refusal),
            }
        }
    });
    let (more, refusal) = within(PATIENCE, "a limit", refusal).await;
    clients.extend(more);
    let Refusal::Said(said) = refusal else { panic!("{refusal:?}") };
    assert!(said.code == ErrorCode::Busy && said.message.contains("limit of open files"), "{said:?}");
    for client in &mut clients {
        client.push(&Request::Whoami(sealift_protocol::message::Whoami {}));
        client.flush().await;
    }
    client.put_stream("last", &Pattern::new(99, 100_000).whole()).await.unwrap();
    let log = server.stderr();
    assert!(log.matches("could not be accepted").count() <= 1, "{log}");
    assert!(log.contains("LimitNOFILE"), "{log}");
}
