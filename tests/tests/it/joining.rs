//! Joining: one token, one machine, once; and nothing else.

use std::time::{Duration, SystemTime};

use sealift_certs::tls::is_wrong_authority;
use sealift_certs::{JoinToken, Secret, TrustDomain, new_key_and_request};
use sealift_protocol::join::{JoinReply, JoinRequest};
use sealift_tests::joining::{JoinError, answer, dial, dial_with, join};
use sealift_tests::{Client, Launcher, PATIENCE, World, within};
use sealift_types::{Digest, ErrorCode};
use serde_json::{Value, json};

use crate::SEALIFTD;

async fn refused(token: &JoinToken) -> ErrorCode {
    match join(token).await {
        Err(JoinError::Refused(error)) => error.code,
        other => panic!("{other:?}"),
    }
}

async fn said(client: &mut Client, message: &Value) -> ErrorCode {
    client.push_json(message);
    match answer(client).await {
        Ok(JoinReply::Error(error)) => error.code,
        other => panic!("{other:?} answers {message}"),
    }
}

#[tokio::test]
async fn a_token_is_good_for_one_machine() {
    let world = World::start().await;
    // Without an open invitation nobody could even ask.
    let _open = world.invite("somebody");
    let token = world.invite("alice");
    let machine = join(&token).await.unwrap();
    assert_eq!(refused(&token).await, ErrorCode::TokenRefused);
    assert_eq!(refused(&token).await, ErrorCode::TokenRefused);
    machine.connect().await.whoami().await.unwrap();
    assert_eq!(world.store().count("certificates"), 1);

    // Two machines of one identity have a token each.
    let second = world.enrol("alice").await;
    assert_ne!(second.fingerprint(), machine.fingerprint());
    second.connect().await.put_inline("file", b"x").await.unwrap();
    assert_eq!(machine.connect().await.get("file").await.unwrap(), b"x");
    assert_eq!(world.store().count("identities"), 1);
}

#[tokio::test]
async fn of_many_who_use_a_token_at_once_one_gets_in() {
    let world = World::start().await;
    let token = world.invite("alice");
    let tasks: Vec<_> = (0..10)
        .map(|_| {
            let token = token.clone();
            tokio::spawn(async move { join(&token).await.is_ok() })
        })
        .collect();
    let mut joined = 0;
    for task in tasks {
        joined += usize::from(task.await.unwrap());
    }
    assert_eq!(joined, 1);
    assert_eq!(world.store().count("certificates"), 1);
}

#[tokio::test]
async fn late_and_unknown_tokens_are_refused() {
    let world = World::start().await;
    let _open = world.invite("somebody");
    let late = world.invite_until("alice", SystemTime::now() - Duration::from_secs(1));
    assert_eq!(refused(&late).await, ErrorCode::TokenRefused);
    let unknown = JoinToken { secret: Secret::random(), ..world.invite("alice") };
    assert_eq!(refused(&unknown).await, ErrorCode::TokenRefused);
    let digest = JoinToken { secret: Secret::from_bytes([0; 16]), ..world.invite("alice") };
    assert_eq!(refused(&digest).await, ErrorCode::TokenRefused);
    assert_eq!((world.store().count("identities"), world.store().count("certificates")), (0, 0));
}

#[tokio::test]
async fn whoever_joins_checks_that_it_is_the_right_server() {
    let (world, other) = (World::start().await, World::start().await);
    let token = world.invite("alice");
    for fingerprint in [Digest::of(b"another"), other.authority().fingerprint()] {
        match join(&JoinToken { fingerprint, ..token.clone() }).await {
            Err(JoinError::Handshake(error)) => assert!(is_wrong_authority(&error), "{error}"),
            other => panic!("{other:?}"),
        }
    }
    // The token of this server at the address of another.
    let addresses = other.invite("x").addresses;
    match join(&JoinToken { addresses, ..token.clone() }).await {
        Err(JoinError::Handshake(error)) => assert!(is_wrong_authority(&error), "{error}"),
        other => panic!("{other:?}"),
    }
    let trust_domain = TrustDomain::random();
    assert!(matches!(join(&JoinToken { trust_domain, ..token.clone() }).await, Err(JoinError::Handshake(_))));
    // The secret was never sent, so the token is still good.
    join(&token).await.unwrap();
}

#[tokio::test]
async fn a_request_that_is_no_good_leaves_the_token_unused() {
    let world = World::start().await;
    let token = world.invite("alice");
    let secret = token.secret.to_text();
    let other = new_key_and_request().unwrap().csr_pem;
    let forged = forge(&other, &new_key_and_request().unwrap().csr_pem);
    for csr in ["", "garbage", &"x".repeat(60_000), world.authority().certificate_pem(), &forged] {
        let mut client = dial(&token).await.unwrap();
        let code = said(&mut client, &json!({ "type": "join", "secret": secret, "csr": csr })).await;
        assert_eq!(code, ErrorCode::BadRequest, "{csr:?}");
        assert!(client.last_words().await.is_none(), "the conversation is over");
    }
    assert_eq!((world.store().count("identities"), world.store().count("certificates")), (0, 0));
    join(&token).await.unwrap();
}

/// A certificate request with the signature of another one: its sender does not have the key.
fn forge(request: &str, signature_from: &str) -> String {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let (mut forged, other) = (lines(request), lines(signature_from));
    // The last line of base64 before the end line holds nothing but signature.
    let last = forged.len() - 2;
    forged[last].clone_from(&other[other.len() - 2]);
    forged.join("\n") + "\n"
}

/// The one conversation without a certificate knows one request.
#[tokio::test]
async fn a_machine_that_joins_can_do_nothing_else() {
    let world = World::start().await;
    let token = world.invite("alice");
    for request in [
        json!({"type": "hello", "versions": [1]}),
        json!({"type": "get", "path": "/alice/file"}),
        json!({"type": "list", "path": "/"}),
        json!({"type": "whoami"}),
        json!({"type": "put", "path": "x", "body": "inline", "size": 0, "sha256": Digest::of(b"")}),
        json!({"type": "renew", "csr": new_key_and_request().unwrap().csr_pem}),
        json!({"type": "join"}),
        json!({"type": "join", "secret": 5, "csr": 5}),
        json!([]),
        json!(null),
    ] {
        let mut client = dial(&token).await.unwrap();
        assert_eq!(said(&mut client, &request).await, ErrorCode::BadRequest, "{request}");
        assert!(client.last_words().await.is_none(), "the conversation is over");
    }
    for secret in ["", "zz", &"0".repeat(31), &"0".repeat(33), &token.secret.to_text().to_uppercase(), "é"] {
        let mut client = dial(&token).await.unwrap();
        let csr = new_key_and_request().unwrap().csr_pem;
        let code = said(&mut client, &json!({ "type": "join", "secret": secret, "csr": csr })).await;
        assert_eq!(code, ErrorCode::TokenRefused, "{secret:?}");
    }
    // Not even after joining.
    let mut client = dial(&token).await.unwrap();
    let csr = new_key_and_request().unwrap().csr_pem;
    client.writer.push(&JoinRequest { secret: token.secret.to_text(), csr, machine: None }).unwrap();
    client.push_json(&json!({"type": "whoami"}));
    assert!(matches!(answer(&mut client).await, Ok(JoinReply::Joined(_))));
    assert!(client.try_reply().await.ok().flatten().is_none(), "the conversation is over");
}

#[tokio::test]
async fn frames_that_have_no_place_end_the_join_conversation() {
    let world = World::start().await;
    let token = world.invite("alice");
    let long = [&b"J\x01\x00\x01"[..], &[b' '; 65_537]].concat();
    for bytes in
        [&b"D\0\0\x01x"[..], b"X\0\0\0", b"J\xff\xff\xff", b"J\0\0\x05{", b"GET / HTTP/1.1\r\n\r\n", &long]
    {
        let mut client = dial(&token).await.unwrap();
        // The server may hang up before it has read all.
        let _ = client.writer.write_frame(bytes).await;
        let _ = client.writer.close().await;
        within(PATIENCE, "the end of the connection", client.last_words()).await;
    }
    assert_eq!(world.store().count("certificates"), 0);
    join(&token).await.unwrap();
}

/// A certificate makes no difference to the join conversation.
#[tokio::test]
async fn the_join_conversation_has_no_use_for_a_certificate() {
    let world = World::start().await;
    let alice = world.enrol("alice").await;
    let token = world.invite("bob");
    let mut config = rustls::ClientConfig::clone(&alice.config());
    config.alpn_protocols = vec![sealift_protocol::JOIN_ALPN.to_vec()];
    let mut client = dial_with(&token, config.into()).await.unwrap();
    assert_eq!(said(&mut client, &json!({"type": "whoami"})).await, ErrorCode::BadRequest);
}

/// As an administrator does it, with the program alone; the directory is new.
#[tokio::test]
async fn the_program_invites_as_soon_as_it_listens() {
    let launcher = Launcher::on_nothing(SEALIFTD);
    let server = launcher.start().await;
    let invited = launcher.run("invite", &["alice"]).await;
    assert_eq!((invited.code, invited.stderr.as_str()), (Some(0), ""));
    let token: JoinToken = invited.stdout.parse().unwrap();
    assert_eq!(invited.stdout.trim_end(), token.to_string(), "the token, alone on its line");
    assert_eq!(token.addresses[..], [server.address.to_string()]);
    let machine = join(&token).await.unwrap();
    machine.connect().await.put_inline("file", b"x").await.unwrap();
    let listed = launcher.run("identities", &[]).await;
    assert_eq!(listed.code, Some(0));
    assert!(listed.stdout.contains("alice"), "{listed:?}");
    let token =
        launcher.run("invite", &["bob", "--ttl", "1s", "--address", "files.example.org:7"]).await.stdout;
    assert_eq!(token.parse::<JoinToken>().unwrap().addresses[..], ["files.example.org:7"]);
    let revoked = launcher.run("revoke", &["nobody"]).await;
    assert_eq!(revoked.code, Some(3), "{revoked:?}");
    assert!(
        revoked.stderr.contains("nobody") && revoked.stderr.contains("sealiftd identities"),
        "{revoked:?}"
    );
}
