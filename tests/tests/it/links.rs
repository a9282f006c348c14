//! Symbolic links: kept as they are, and never followed.

use sealift_protocol::message::{Entry, EntryKind, MAX_TARGET, Reply, Request};
use sealift_tests::client::link;
use sealift_tests::{Client, Pattern, World};
use sealift_types::ErrorCode;
use serde_json::json;

use crate::code;

/// `dir/`, `file` and `link -> target`.
pub(crate) fn line(entry: &Entry) -> String {
    match &entry.target {
        Some(target) => format!("{} -> {target}", entry.name),
        None if entry.kind == EntryKind::Directory => format!("{}/", entry.name),
        None => entry.name.clone(),
    }
}

/// Everything below a directory.
pub(crate) async fn all(client: &mut Client, directory: &str) -> Vec<String> {
    client.list_all(directory).await.unwrap().iter().map(line).collect()
}

#[tokio::test]
async fn links_are_kept_and_never_followed() {
    let world = World::start().await;
    let mut client = world.enrol("alice").await.connect().await;
    client.put_inline("d/f", b"x").await.unwrap();
    assert_eq!(client.request(&Request::Link(link("d/l", "f"))).await, Reply::Done {});
    client.link("way", "d").await.unwrap();
    let described = client.info("d/l").await.unwrap();
    assert_eq!((described.kind, described.target.as_deref()), (EntryKind::Link, Some("f")));
    assert_eq!((described.size, described.sha256, described.stored_bytes), (None, None, None));
    let listed = client.list("d/l").await.unwrap();
    assert_eq!(listed.iter().map(line).collect::<Vec<_>>(), ["l -> f"], "a link lists itself");
    assert_eq!(client.list_all("way").await.unwrap()[0].kind, EntryKind::Link);
    assert_eq!(all(&mut client, "").await, ["d/", "d/f", "d/l -> f", "way -> d"]);

    let refused = client.get("d/l").await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::BadRequest);
    assert!(refused.message.contains("symbolic link") && refused.message.contains("info"), "{refused}");
    for through in ["way/f", "way/f/g", "d/l/x"] {
        let errors = [
            client.get(through).await.unwrap_err(),
            client.info(through).await.unwrap_err(),
            client.list(through).await.unwrap_err(),
            client.remove(through).await.unwrap_err(),
            client.put_inline(through, b"x").await.unwrap_err(),
            client.put_stream(through, &Pattern::new(1, 70_000).whole()).await.unwrap_err(),
            client.link(through, "x").await.unwrap_err(),
            client.mv("d/f", through).await.unwrap_err(),
            client.cp("d/f", through).await.unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.code, ErrorCode::NotADirectory, "{through}: {error}");
            assert!(error.message.contains("symbolic link"), "{through}: {error}");
        }
    }
    for slashed in ["way/", "d/l/"] {
        assert_eq!(code(client.info(slashed).await), ErrorCode::NotADirectory);
        assert_eq!(code(client.list(slashed).await), ErrorCode::NotADirectory);
        assert_eq!(code(client.remove_all(slashed).await), ErrorCode::NotADirectory);
        assert_eq!(code(client.mv("d/f", slashed).await), ErrorCode::NotADirectory);
        assert_eq!(code(client.link(slashed, "x").await), ErrorCode::IsADirectory);
    }
    assert_eq!(code(client.link("d", "x").await), ErrorCode::IsADirectory);
    assert_eq!(code(client.link("", "x").await), ErrorCode::IsADirectory);
    assert_eq!(code(client.link("/", "x").await), ErrorCode::IsADirectory);
    client.remove_all("way").await.unwrap();
    assert_eq!(all(&mut client, "").await, ["d/", "d/f", "d/l -> f"], "the link goes, not what it points to");
}

#[tokio::test]
async fn links_and_files_replace_each_other() {
    let world = World::start().await;
    let mut client = world.enrol("alice").await.connect().await;
    let content = Pattern::new(1, 100_000).whole();
    for _ in 0..3 {
        client.put_stream("a", &content).await.unwrap();
        client.link("a", "there").await.unwrap();
        world.store().settled().await;
        assert!(world.store().blobs().is_empty(), "the replaced content is released");
        client.put_stream("b", &content).await.unwrap();
        client.cp("a", "b").await.unwrap();
        client.mv("a", "c").await.unwrap();
        client.put_stream("c", &content).await.unwrap();
        client.mv("b", "c").await.unwrap();
        world.store().settled().await;
        assert_eq!((all(&mut client, "").await, world.store().blobs().len()), (vec!["c -> there".into()], 0));
    }
}

#[tokio::test]
async fn the_target_of_a_link_can_be_anything_that_a_system_can_hold() {
    let world = World::start().await;
    let mut client = world.enrol("alice").await.connect().await;
    let longest = "\u{1}".repeat(MAX_TARGET);
    let targets =
        ["/etc/passwd", "../../../..", "a//b/", " ", "\n", "\u{1b}[31m", "C:\\", "e\u{301}", "\"", &longest];
    for (number, target) in targets.iter().enumerate() {
        client.link(&format!("l{number}"), target).await.unwrap();
        let described = client.info(&format!("l{number}")).await.unwrap();
        assert_eq!(described.target.as_deref(), Some(*target), "kept as it is, byte for byte");
    }
    assert_eq!(client.list("").await.unwrap().len(), targets.len());
    for bad in ["", "a\0b", "\0", &"x".repeat(MAX_TARGET + 1)] {
        assert_eq!(code(client.link("bad", bad).await), ErrorCode::BadRequest);
        assert_eq!(code(client.link("/nobody/bad", bad).await), ErrorCode::BadRequest);
    }
    for message in
        [json!({"type": "link", "path": "bad"}), json!({"type": "link", "path": "bad", "target": 5})]
    {
        let reply = client.request_json(&message).await;
        assert!(matches!(reply, Reply::Error(error) if error.code == ErrorCode::BadRequest));
    }
    assert_eq!(code(client.info("bad").await), ErrorCode::NotFound);
}
