//! Equal contents are stored once, and nobody learns from it what others have.

use sealift_protocol::message::{Body, Put, Request, Verdict};
use sealift_tests::transfer::{end_of, put};
use sealift_tests::{Client, Machine, Pattern, World};
use sealift_types::{Digest, ErrorCode};

use crate::code;

async fn enrol_all(world: &World, names: &[&str]) -> Vec<Machine> {
    let mut machines = Vec::new();
    for name in names {
        machines.push(world.enrol(name).await);
    }
    machines
}

/// Twenty uploads at the same moment, by four identities.
async fn store_at_once(size: u64) {
    let world = World::start().await;
    let machines = enrol_all(&world, &["ann", "bob", "cyd", "dan"]).await;
    let content = Pattern::new(1, size).whole();
    let mut uploads = Vec::new();
    for number in 0..20 {
        let mut client = machines[number % machines.len()].connect().await;
        let content = content.clone();
        uploads.push(async move {
            let file = format!("name-{number}");
            client.put_stream(&file, &content).await.unwrap();
            assert!(client.get(&file).await.unwrap() == content);
            client.close().await;
        });
    }
    let tasks: Vec<_> = uploads.into_iter().map(tokio::spawn).collect();
    for task in tasks {
        task.await.unwrap();
    }
    world.store().settled().await;
    let blobs = world.store().blobs();
    assert_eq!(
        blobs.into_keys().collect::<Vec<_>>(),
        if size > 65_536 { vec![Digest::of(&content)] } else { vec![] }
    );
    assert_eq!((world.store().count("objects"), world.store().count("entries")), (1, 20));
    world.stop().await;
}

#[tokio::test]
async fn one_large_content_from_many_at_once_is_one_file() {
    store_at_once(1_500_000).await;
}

#[tokio::test]
async fn one_small_content_from_many_at_once_is_one_row() {
    store_at_once(1_500).await;
}

#[tokio::test]
async fn a_claim_stores_without_sending_what_is_within_reach() {
    let world = World::start().await;
    let mut client = world.enrol("alice").await.connect().await;
    for content in [Pattern::new(1, 100).whole(), Pattern::new(2, 200_000).whole()] {
        let (size, sha256) = (content.len() as u64, Digest::of(&content));
        assert_eq!(client.plan(&[("second", size)]).await.unwrap(), [Verdict::Send]);
        client.put_stream("first", &content).await.unwrap();
        assert_eq!(
            client.plan(&[("second", size), ("x", size + 1)]).await.unwrap(),
            [Verdict::Hash, Verdict::Send]
        );
        let before = client.writer.bytes();
        let stored = client.claim("second", size, sha256).await.unwrap();
        assert_eq!((stored.size, stored.sha256), (size, sha256));
        assert!(client.writer.bytes() - before < 300, "only the request crossed");
        client.remove("first").await.unwrap();
        assert!(client.get("second").await.unwrap() == content);
        assert_eq!(code(client.claim("third", size + 1, sha256).await), ErrorCode::Absent);
        client.remove("second").await.unwrap();
        assert_eq!(
            code(client.claim("third", size, sha256).await),
            ErrorCode::Absent,
            "nothing is left to claim"
        );
        assert_eq!(client.plan(&[("second", size)]).await.unwrap(), [Verdict::Send]);
    }
}

/// Replies to one conversation about a content, as they came. Nothing in them may depend on what others have.
async fn probe(client: &mut Client, content: &[u8]) -> Vec<String> {
    let (size, sha256) = (content.len() as u64, Digest::of(content));
    let mut replies = Vec::new();
    let mut keep = |reply: Vec<u8>| {
        // The content's own digest and the time of its arrival are bound to differ.
        let text = String::from_utf8(reply).unwrap().replace(&sha256.to_string(), "DIGEST");
        replies.push(without_time(&text));
    };
    let plan = serde_json::json!({ "type": "plan", "files": [{ "path": "probe", "size": size }] });
    client.push_json(&plan);
    client.push(&Request::Put(Put { size: Some(size), sha256: Some(sha256), ..put("probe", Body::Claim) }));
    client.flush().await;
    keep(client.raw_reply().await);
    keep(client.raw_reply().await);
    client.push(&Request::Put(Put { size: Some(size), mtime: Some(7), ..put("probe", Body::Stream) }));
    client.send_data(content).await;
    client.push_trailer(&end_of(content));
    client.flush().await;
    keep(client.raw_reply().await);
    for kind in ["info", "list"] {
        client.push_json(&serde_json::json!({ "type": kind, "path": "probe" }));
        client.flush().await;
        keep(client.raw_reply().await);
    }
    client.remove("probe").await.unwrap();
    client.push(&Request::Put(Put { size: Some(size), sha256: Some(sha256), ..put("probe", Body::Claim) }));
    client.flush().await;
    keep(client.raw_reply().await);
    replies
}

/// Blanks the number behind `"stored_at":`.
fn without_time(text: &str) -> String {
    match text.split_once("\"stored_at\":") {
        None => text.to_owned(),
        Some((head, tail)) => head.to_owned() + tail.trim_start_matches(|c: char| c.is_ascii_digit()),
    }
}

#[tokio::test]
async fn nothing_tells_whether_others_have_a_content() {
    let world = World::start().await;
    let machines = enrol_all(&world, &["alice", "mallory"]).await;
    let (mut alice, mut mallory) = (machines[0].connect().await, machines[1].connect().await);
    for size in [500, 90_000] {
        // Of the same size, so that the replies are comparable; only the first is already there.
        let (secret, unknown) = (Pattern::new(1, size).whole(), Pattern::new(2, size).whole());
        alice.put_stream("secret", &secret).await.unwrap();
        let known = probe(&mut mallory, &secret).await;
        assert!(known[0].contains("send") && known[1].contains("absent"), "{known:?}");
        assert_eq!(known, probe(&mut mallory, &unknown).await);
        assert!(alice.get("secret").await.unwrap() == secret);
    }
}

#[tokio::test]
async fn a_digest_gives_no_access() {
    let world = World::start().await;
    let machines = enrol_all(&world, &["alice", "mallory"]).await;
    let (mut alice, mut mallory) = (machines[0].connect().await, machines[1].connect().await);
    let content = Pattern::new(1, 90_000).whole();
    let (size, sha256) = (content.len() as u64, Digest::of(&content));
    alice.put_stream("secret", &content).await.unwrap();
    assert_eq!(code(mallory.claim("mine", size, sha256).await), ErrorCode::Absent);
    assert_eq!(code(mallory.get("mine").await), ErrorCode::NotFound);
    assert_eq!(code(mallory.get("/alice/secret").await), ErrorCode::NotAllowed);
    assert_eq!(code(mallory.cp("/alice/secret", "mine").await), ErrorCode::NotAllowed);
    assert_eq!(mallory.plan(&[("mine", size)]).await.unwrap(), [Verdict::Send]);
    // Who can send it has it.
    mallory.put_stream("mine", &content).await.unwrap();
    mallory.claim("again", size, sha256).await.unwrap();
    alice.remove("secret").await.unwrap();
    assert!(mallory.get("again").await.unwrap() == content, "alice's deletion is hers");
    assert_eq!(code(alice.claim("secret", size, sha256).await), ErrorCode::Absent, "and so is her reach");
}

#[tokio::test]
async fn a_plan_says_what_would_be_refused() {
    let world = World::start().await;
    let machines = enrol_all(&world, &["alice", "bob"]).await;
    let mut client = machines[0].connect().await;
    client.put_inline("d/file", b"x").await.unwrap();
    let plan =
        client.plan(&[("d", 5), ("d/file/below", 5), ("/bob/x", 5), ("/nobody/x", 5), ("new", 5), ("", 5)]);
    let verdicts = plan.await.unwrap();
    let codes: Vec<_> = verdicts
        .iter()
        .map(|verdict| match verdict {
            Verdict::Refuse(error) => Some(error.code),
            Verdict::Send | Verdict::Hash | Verdict::Present | Verdict::Keep | Verdict::Resume { .. } => None,
        })
        .collect();
    let (directory, inside, denied) =
        (ErrorCode::IsADirectory, ErrorCode::NotADirectory, ErrorCode::NotAllowed);
    assert_eq!(codes, [Some(directory), Some(inside), Some(denied), Some(denied), None, Some(directory)]);
    assert_eq!(verdicts[2], verdicts[3], "a space that is not there looks like one that is closed");

    // As many as one plan may name, each refused, and one more.
    let long = format!("/bob/{}", "x".repeat(190));
    let mut full: Vec<_> = (0..256).map(|size| (long.as_str(), size)).collect();
    let verdicts = client.plan(&full).await.unwrap();
    assert_eq!(verdicts.len(), 256);
    assert!(verdicts.iter().all(|verdict| matches!(verdict, Verdict::Refuse(_))));
    full.push(("one-more", 1));
    assert_eq!(code(client.plan(&full).await), ErrorCode::BadRequest);
    assert!(client.plan(&[]).await.unwrap().is_empty());
}
