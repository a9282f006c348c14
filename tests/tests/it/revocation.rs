//! Revocation takes effect at once, on open connections too.

use std::time::{Duration, Instant};

use sealift_protocol::message::{Body, Reply, Request};
use sealift_tests::transfer::put;
use sealift_tests::{Launcher, Machine, Pattern, Refusal, World, eventually, within};
use sealift_types::ErrorCode;

use crate::{SEALIFTD, code};

/// How long a revoked connection may live.
const AT_ONCE: Duration = Duration::from_secs(1);

async fn assert_shut_out(machine: &Machine) {
    match machine.try_connect().await {
        Err(Refusal::Said(error)) => {
            assert_eq!(error.code, ErrorCode::CertificateRefused);
            assert!(error.message.contains("revoked"), "{error}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn idle_connections_are_told_and_closed() {
    let world = World::start().await;
    let (alice, second) = (world.enrol("alice").await, world.enrol("alice").await);
    let bob = world.enrol("bob").await;
    let mut theirs = [alice.connect().await, alice.connect().await, second.connect().await];
    let mut bobs = bob.connect().await;
    assert_eq!(world.revoke("alice"), 2, "both certificates");
    let revoked = Instant::now();
    for client in &mut theirs {
        let said = within(AT_ONCE, "the end of a revoked connection", client.last_words()).await;
        assert_eq!(said.map(|error| error.code), Some(ErrorCode::CertificateRefused));
    }
    assert!(revoked.elapsed() < AT_ONCE);
    assert_shut_out(&alice).await;
    assert_shut_out(&second).await;
    bobs.whoami().await.unwrap();
}

#[tokio::test]
async fn an_upload_under_way_is_cut() {
    let world = World::start().await;
    let alice = world.enrol("alice").await;
    let mut client = alice.connect().await;
    client.push(&Request::Put(put("file", Body::Stream)));
    client.send_data(&[1; 100_000]).await;
    eventually("the upload under way", || world.store().incoming().pop()).await;
    world.revoke("alice");
    within(AT_ONCE, "the end of a revoked upload", client.last_words()).await;
    assert_eq!(world.store().logged("/alice/file").await.error.as_deref(), Some("interrupted"));
    world.store().settled().await;
    assert_eq!(world.store().count("entries"), 0);
    assert_shut_out(&alice).await;
}

#[tokio::test]
async fn a_download_under_way_is_cut() {
    let world = World::start().await;
    let alice = world.enrol("alice").await;
    let content = Pattern::new(1, 40 << 20);
    alice.connect().await.put_from("file", content.clone(), None).await.unwrap();
    let mut client = alice.connect_with_a_small_window().await;
    client.ask("file", 0).await;
    assert!(matches!(client.reply().await, Reply::Content(_)));
    world.revoke("alice");
    // Only the server can end it: this client reads nothing until then.
    let row = within(AT_ONCE, "the end of a revoked download", world.store().logged_get("/alice/file")).await;
    assert_eq!(row.error.as_deref(), Some("interrupted"));
    assert!(row.bytes < content.size());
    let mut received = 0;
    while let Ok(Some(header)) = client.reader.header(AT_ONCE).await {
        let mut data = vec![0; header.length()];
        if client.reader.data(header, &mut data).await.is_err() {
            break;
        }
        received += data.len() as u64;
    }
    assert!(received < content.size(), "{received}");
}

/// A request that meets the revocation before the watch has noticed it is refused by the catalog.
#[tokio::test]
async fn not_one_request_succeeds_after_a_revocation() {
    let world = World::start().await;
    for _ in 0..5 {
        let mut client = world.enrol("alice").await.connect().await;
        client.put_inline("file", b"x").await.unwrap();
        world.revoke("alice");
        client.push_inline("after", b"x");
        let _ = client.writer.flush().await;
        match client.try_reply().await {
            Ok(Some(Reply::Error(error))) => assert_eq!(error.code, ErrorCode::CertificateRefused),
            Ok(None) | Err(_) => {}
            other => panic!("{other:?}"),
        }
        let mut again = world.enrol("alice").await.connect().await;
        assert_eq!(again.names("").await, ["file"]);
    }
}

/// The clock of the administrator's program may have been set back since the last revocation.
#[tokio::test]
async fn a_clock_that_went_back_hides_no_revocation() {
    let world = World::start().await;
    let (alice, bob) = (world.enrol("alice").await, world.enrol("bob").await);
    let (mut first, mut second) = (alice.connect().await, bob.connect().await);
    let revoke_at = |name: &str, moment: i64| {
        let name = name.parse().unwrap();
        world
            .administer(|catalog| sealift_server::store::identities::revoke(catalog, &name, moment).unwrap());
    };
    let now = sealift_server::clock::now();
    revoke_at("alice", now);
    within(AT_ONCE, "the end of the first connection", first.last_words()).await;
    revoke_at("bob", now - 3_600_000_000_000);
    within(AT_ONCE, "the end of the second connection", second.last_words()).await;
}

#[tokio::test]
async fn an_invitation_brings_an_identity_back() {
    let world = World::start().await;
    let old = world.enrol("alice").await;
    old.connect().await.put_inline("file", b"x").await.unwrap();
    let open = world.invite("alice");
    world.revoke("alice");
    assert_shut_out(&old).await;
    assert!(sealift_tests::joining::join(&open).await.is_err(), "open invitations are void as well");
    let new = world.enrol("alice").await;
    assert_eq!(new.connect().await.get("file").await.unwrap(), b"x", "her files have waited");
    assert_shut_out(&old).await;
    assert_eq!(world.revoke("alice"), 1);
    assert_shut_out(&new).await;
}

#[tokio::test]
async fn the_program_revokes_beside_a_running_server() {
    let launcher = Launcher::new(SEALIFTD);
    let server = launcher.start().await;
    let alice = server.enrol("alice").await;
    let mut client = alice.connect().await;
    let ended = launcher.run("revoke", &["alice"]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains("alice") && ended.stdout.contains('1'), "{ended:?}");
    let said = within(AT_ONCE, "the end of a revoked connection", client.last_words()).await;
    assert_eq!(said.map(|error| error.code), Some(ErrorCode::CertificateRefused));
    assert_shut_out(&alice).await;
    let again = server.enrol("alice").await;
    assert_eq!(code(again.connect().await.get("x").await), ErrorCode::NotFound);
}
