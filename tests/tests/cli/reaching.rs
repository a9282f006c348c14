//! Servers that are not there, are somebody else, or want nothing to do with this computer.

use std::time::{Instant, SystemTime};

use insta::assert_snapshot;
use sealift_certs::{Authority, TrustDomain, new_key_and_request};
use sealift_tests::{Computer, PATIENCE, Pattern, Settings, World, eventually};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::credentials::{days, expired, install, register};
use crate::redaction::redacted;
use crate::{KIB, MIB, SEALIFT, alice};

/// A port that nobody listens on, since it was just closed.
async fn closed_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().to_string()
}

/// Every kind of request, on a computer that has a file `small`, and `large`.
const REQUESTS: [&[&str]; 6] =
    [&["ls"], &["put", "small"], &["put", "large"], &["get", "a"], &["rm", "a", "b"], &["whoami"]];

async fn with_files() -> (World, Computer) {
    let (world, alice) = alice().await;
    alice.write("small", "small");
    alice.write("large", Pattern::new(1, 20 * MIB).whole());
    (world, alice)
}

#[tokio::test]
async fn an_unknown_host() {
    let (_world, alice) = alice().await;
    let ran = alice.run(["ls", "--server", "does-not-exist.invalid"]).await.refused(7);
    assert_snapshot!(ran.shown(), @r#"
    sealift: could not connect to does-not-exist.invalid:8888 (the host is unknown)
      hint: check the host's name and this computer's network, or reach the server another way: --server ADDR:PORT
    exit 7
    "#);
}

#[tokio::test]
async fn a_refused_connection() {
    let _redacted = redacted();
    let (world, alice) = with_files().await;
    let port = closed_port().await;
    assert_snapshot!(alice.run(["ls", "--server", &port]).await.shown(), @r#"
    sealift: could not connect to [ADDRESS] (the connection was refused)
      hint: check that sealiftd runs there and listens on that port, or give another address: --server ADDR:PORT
    exit 7
    "#);
    for line in REQUESTS {
        alice.run(line.iter().copied().chain(["--server", port.as_str()])).await.refused(7);
    }
    world.stop().await;
    let gone = alice.run(["put", "small"]).await.refused(7);
    assert!(gone.stderr.contains("check that sealiftd runs there"), "{gone:?}");
}

#[tokio::test]
async fn a_server_of_another_kind() {
    let _redacted = redacted();
    let (_world, alice) = alice().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        loop {
            let (mut tcp, _) = listener.accept().await.unwrap();
            let _ = tcp.read(&mut [0; 1000]).await;
            let _ = tcp.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    assert_snapshot!(alice.run(["ls", "--server", &address]).await.shown(), @r#"
    sealift: what answers there does not speak this version of Sealift: check the port, then update the older side ([ADDRESS])
    exit 7
    "#);
}

/// Whoever accepts connections and never says a word is given up on.
#[tokio::test]
async fn a_server_that_says_nothing() {
    let _redacted = redacted();
    let (_world, alice) = alice().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    assert_snapshot!(alice.run(["ls", "--server", &address]).await.shown(), @r#"
    sealift: could not connect to [ADDRESS] (no answer in time)
      hint: check the network and the server's firewall, or reach the server another way: --server ADDR:PORT
    exit 7
    "#);
}

#[tokio::test]
async fn another_server() {
    let _redacted = redacted();
    let (_world, alice) = with_files().await;
    let other = World::start().await;
    let address = other.address.to_string();
    assert_snapshot!(alice.run(["ls", "--server", &address]).await.shown(), @r#"
    sealift: the server at this address is not the one of this profile: check the address, or join this server too ([ADDRESS])
    exit 4
    "#);
    for line in REQUESTS {
        alice.run(line.iter().copied().chain(["--server", address.as_str()])).await.refused(4);
    }
    assert_eq!(other.store().count("transfers"), 0);
    other.stop().await;
}

#[tokio::test]
async fn an_expired_certificate() {
    let _redacted = redacted();
    let (world, alice) = with_files().await;
    let issued = install(&world, &alice, "alice", expired());
    register(&world, &issued, "alice");
    assert_snapshot!(alice.run(["ls"]).await.shown(), @r#"
    sealift: the server refuses this computer's certificate, which has expired: join again with a new token ([ADDRESS])
    exit 4
    "#);
    // Whatever is on its way when the server's refusal comes.
    for line in REQUESTS {
        let ran = alice.run(line).await.refused(4);
        assert!(ran.stderr.contains("which has expired: join again with a new token"), "{line:?}: {ran:?}");
    }
    // And it can be mended as the sentence says.
    std::fs::remove_dir_all(alice.profile("default")).unwrap();
    alice.run(["join", &world.invite("alice").to_string()]).await.ok();
    alice.run(["ls"]).await.ok();
}

#[tokio::test]
async fn a_certificate_of_another_authority() {
    let _redacted = redacted();
    let (world, alice) = with_files().await;
    let foreign = Authority::generate(world.authority().trust_domain().clone(), SystemTime::now()).unwrap();
    let made = new_key_and_request().unwrap();
    let issued = foreign.issue_user(&made.csr_pem, &"alice".parse().unwrap(), days(1, 10)).unwrap();
    let both = [issued.pem.as_str(), made.key_pem.as_str()].concat();
    std::fs::write(alice.profile("default").join("identity.pem"), both).unwrap();
    for line in REQUESTS {
        let ran = alice.run(line).await.refused(4);
        assert!(ran.stderr.contains("join again with a new token"), "{line:?}: {ran:?}");
    }
    let foreign = Authority::generate(TrustDomain::random(), SystemTime::now()).unwrap();
    std::fs::write(alice.profile("default").join("authority.pem"), foreign.certificate_pem()).unwrap();
    let unsure = alice.run(["ls"]).await.refused(4);
    assert!(unsure.stderr.contains("is not the one of this profile"), "{unsure:?}");
}

#[tokio::test]
async fn a_certificate_that_the_server_does_not_know() {
    let _redacted = redacted();
    let (world, alice) = with_files().await;
    install(&world, &alice, "alice", days(1, 89));
    assert_snapshot!(alice.run(["ls"]).await.shown(), @r#"
    sealift: the server does not know this certificate, perhaps because it was restored from an older backup: ask its administrator for a new token and run `sealift join TOKEN`
    exit 4
    "#);
    for line in REQUESTS {
        alice.run(line).await.refused(4);
    }
}

#[tokio::test]
async fn a_revoked_certificate() {
    let _redacted = redacted();
    let (world, alice) = with_files().await;
    alice.run(["put", "small", "a"]).await.ok();
    world.revoke("alice");
    assert_snapshot!(alice.run(["ls"]).await.shown(), @r#"
    sealift: this certificate is revoked: ask the server's administrator for a new token and run `sealift join TOKEN`
    exit 4
    "#);
    for line in REQUESTS {
        let ran = alice.run(line).await.refused(4);
        assert!(ran.stderr.contains("this certificate is revoked"), "{line:?}: {ran:?}");
    }
    // A new invitation brings the same person back, and the sentence of the second command says how.
    let token = world.invite("alice").to_string();
    assert_snapshot!(alice.run(["join", &token]).await.shown(), @r#"
    joined [ADDRESS] as alice, saved as the profile default
    try it: sealift put FILE, then sealift ls -l
    exit 0
    "#);
    assert_eq!(alice.run(["get", "a", "-"]).await.ok().text(), "small");
}

#[tokio::test]
async fn a_revocation_in_the_middle_of_an_upload() {
    let (world, alice) = alice().await;
    let mut running = alice.call(["put", "-", "file"]).start_with_open_input();
    let mut input = running.input.take().unwrap();
    std::io::Write::write_all(&mut input, &Pattern::new(1, 600 * KIB).whole()).unwrap();
    eventually("the upload under way", || world.store().incoming().pop()).await;
    world.revoke("alice");
    // Whoever is in the middle of something is cut without a word; the next try tells why.
    let ran = running.ended().await.refused(7);
    assert!(ran.stderr.contains("hint: run the same command again"), "{ran:?}");
    drop(input);
    let again = alice.call(["put", "-", "file"]).input("x").run().await.refused(4);
    assert!(again.stderr.contains("this certificate is revoked"), "{again:?}");
    world.store().settled().await;
}

#[tokio::test]
async fn a_server_with_as_many_connections_as_it_may_have() {
    let _redacted = redacted();
    let world = World::with(Settings::new().max_connections(1)).await;
    let alice = Computer::joined(SEALIFT, &world, "alice").await;
    let bob = world.enrol("bob").await.connect().await;
    let busy = alice.run(["ls"]).await.refused(7);
    assert!(
        busy.stderr.contains("the server has 1 connections, and no more are allowed (`max_connections`"),
        "{busy:?}"
    );
    // As it says.
    bob.close().await;
    let begun = Instant::now();
    while alice.run(["ls"]).await.code != Some(0) {
        assert!(begun.elapsed() < PATIENCE, "the connection is not free again");
    }
    assert_eq!(busy.stderr.matches("try again in a moment").count(), 1, "once is enough: {busy:?}");
}

#[tokio::test]
async fn the_first_of_several_addresses_that_works_is_used() {
    let (world, alice) = alice().await;
    let path = alice.profile("default").join("profile.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let good = world.address.to_string();
    let others = |addresses: &[&str]| {
        let all: Vec<_> = addresses.iter().map(|address| format!("{address:?}")).collect();
        let line = text.lines().map(|line| match line.starts_with("addresses") {
            true => format!("addresses = [{}]", all.join(", ")),
            false => line.to_owned(),
        });
        std::fs::write(&path, line.collect::<Vec<_>>().join("\n")).unwrap();
    };
    let (closed, other) = (closed_port().await, World::start().await);
    let stranger = other.address.to_string();
    others(&[&closed, &stranger, &good]);
    alice.run(["ls"]).await.ok();
    others(&[&closed, "127.0.0.1:1"]);
    let nobody = alice.run(["ls"]).await.refused(7);
    assert!(nobody.stderr.contains(&closed) && nobody.stderr.contains("127.0.0.1:1"), "{nobody:?}");
    others(&[&closed, &stranger]);
    alice.run(["ls"]).await.refused(4);
}
