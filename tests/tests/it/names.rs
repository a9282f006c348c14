//! Names: whatever people write is kept, whatever could hurt is refused.

use std::time::Duration;

use sealift_protocol::message::{Reply, Verdict};
use sealift_tests::{Pattern, World, within};
use sealift_types::ErrorCode;
use serde_json::json;

use crate::code;

/// Scripts, signs, and what only looks dangerous.
const NAMES: [&str; 22] = [
    "Grüße",
    "日本語のファイル",
    "Привет мир",
    "مرحبا بالعالم",
    "שלום",
    "สวัสดี",
    "नमस्ते",
    "한국어",
    "👩‍👩‍👧‍👦 🏴‍☠️",
    "Ελληνικά",
    " leading and trailing ",
    "...",
    ".hidden",
    "-rf",
    "~",
    "C:\\Windows\\..\\x",
    "a\"b'c`d$e;f|g&h",
    "%2e%2e",
    "back\\slash",
    "*?[a-z]",
    "\u{202e}txt.exe",
    "e\u{301}\u{0}".split_at(3).0,
];

#[tokio::test]
async fn names_of_every_script_are_kept_as_they_are() {
    let world = World::start().await;
    let mut client = world.enrol("alice").await.connect().await;
    for name in NAMES {
        for file in [format!("d/{name}"), format!("{name}/f")] {
            client.put_inline(&file, name.as_bytes()).await.unwrap();
            assert_eq!(client.get(&file).await.unwrap(), name.as_bytes());
            assert_eq!(client.info(&file).await.unwrap().path.as_str(), format!("/alice/{file}"));
        }
    }
    let mut listed = client.names("d").await;
    let mut expected = NAMES.map(str::to_owned);
    listed.sort();
    expected.sort();
    assert_eq!(listed, expected);
    for name in NAMES {
        client.remove(&format!("d/{name}")).await.unwrap();
    }
    assert!(client.list("d").await.unwrap().is_empty());
    assert!(!world.data.join("Windows").exists());
}

#[tokio::test]
async fn composed_and_decomposed_names_are_one() {
    let world = World::start().await;
    let mut client = world.enrol("alice").await.connect().await;
    let (composed, decomposed) = ("caf\u{e9}", "cafe\u{301}");
    client.put_inline(composed, b"1").await.unwrap();
    assert_eq!(client.get(decomposed).await.unwrap(), b"1");
    client.put_inline(decomposed, b"2").await.unwrap();
    assert_eq!(client.get(composed).await.unwrap(), b"2");
    assert_eq!(client.names("").await, [decomposed], "the last spelling is kept");
    client.mv(decomposed, composed).await.unwrap();
    assert_eq!(client.names("").await, [composed], "a move can change the spelling alone");

    client.put_inline(&format!("d/{composed}/x"), b"3").await.unwrap();
    client.put_inline(&format!("d/{decomposed}/y"), b"4").await.unwrap();
    assert_eq!(client.names("d").await, [composed]);
    assert_eq!(client.names(&format!("d/{decomposed}")).await, ["x", "y"]);
    // Unlike letters that only look alike, and unlike case.
    client.put_inline("CAF\u{c9}", b"5").await.unwrap();
    assert_eq!(client.names("").await.len(), 3);
    client.remove(decomposed).await.unwrap();
    assert_eq!(code(client.get(composed).await), ErrorCode::NotFound);
}

#[tokio::test]
async fn the_longest_names_and_paths_work() {
    let world = World::start().await;
    let mut client = world.enrol("alice").await.connect().await;
    let long = ["x".repeat(255), "é".repeat(127), "日".repeat(85), "\"".repeat(255), "\\".repeat(255)];
    for name in &long {
        client.put_inline(&format!("d/{name}"), name.as_bytes()).await.unwrap();
        assert_eq!(client.get(&format!("d/{name}")).await.unwrap(), name.as_bytes());
    }
    assert_eq!(client.names("d").await.len(), long.len());

    // 4,096 bytes in all, "/alice/" included.
    let mut deepest = "\"/".repeat(2000);
    deepest += &"y".repeat(4096 - "/alice/".len() - deepest.len());
    client.put_inline(&deepest, b"deep").await.unwrap();
    let whole = client.info(&deepest).await.unwrap().path.to_string();
    assert_eq!(whole.len(), 4096);
    assert_eq!(client.get(&whole).await.unwrap(), b"deep");
    assert_eq!(code(client.put_inline(&format!("{deepest}y"), b"").await), ErrorCode::NameNotAllowed);
    client.remove(&deepest).await.unwrap();
    assert_eq!(code(client.get(&deepest).await), ErrorCode::NotFound, "even this message fits");
}

/// A path can have two thousand names, and a plan can ask for many such paths: that takes no longer than to walk them.
#[tokio::test]
async fn deep_paths_take_no_longer_than_their_length() {
    let world = World::start().await;
    let mut client = world.enrol("alice").await.connect().await;
    let deep = "d/".repeat(2000);
    let soon = Duration::from_secs(5);
    let (file, content) = (format!("{deep}file"), Pattern::new(1, 70_000).whole());
    within(soon, "a small upload", client.put_inline(&file, b"x")).await.unwrap();
    within(soon, "a large upload", client.put_stream(&file, &content)).await.unwrap();
    assert!(within(soon, "a download", client.get(&file)).await.unwrap() == content);
    let files = vec![(file.as_str(), 5); 15];
    assert_eq!(within(soon, "a plan", client.plan(&files)).await.unwrap().len(), 15);
    within(soon, "a move", client.mv("d", "e")).await.unwrap();
}

/// No way leads to a path that is longer than a path may be: nobody could name it to read or to delete it.
#[tokio::test]
async fn moves_and_copies_make_no_path_that_is_too_long() {
    let world = World::start().await;
    let mut client = world.enrol("alice").await.connect().await;
    let deep = "d/".repeat(2000);
    let long = "n".repeat(255);
    client.put_inline(&format!("{deep}file"), b"x").await.unwrap();
    client.put_inline(&long, b"x").await.unwrap();
    client.put_inline(&format!("tree/{long}"), b"x").await.unwrap();
    assert_eq!(code(client.cp(&long, &deep).await), ErrorCode::NameNotAllowed, "copy into a directory");
    assert_eq!(code(client.mv(&long, &deep).await), ErrorCode::NameNotAllowed, "move into a directory");
    assert_eq!(code(client.mv("tree", &deep).await), ErrorCode::NameNotAllowed, "with what is below it");
    assert_eq!(client.names(&deep).await, ["file"]);
}

#[tokio::test]
async fn hostile_names_are_refused_and_change_nothing() {
    let world = World::start().await;
    let mut client = world.enrol("alice").await.connect().await;
    let good = client.put_inline("good", b"x").await.unwrap().sha256;
    let before = std::fs::read_dir(&world.data).unwrap().count();
    let (long, deep) = ("x".repeat(256), "a/".repeat(2049));
    for name in [
        "..",
        ".",
        "../x",
        "a/..",
        "a/../b",
        "/alice/../bob/x",
        "a//b",
        "//",
        "//a",
        "a\0b",
        "\0",
        "tab\t",
        "a\nb",
        "\u{1b}[2J",
        "\u{7f}",
        "\u{85}",
        "a/.",
        "./a",
        "/..",
        "/../etc/passwd",
        "/Alice/x",
        "/-/x",
        "/ /x",
        "/alice\0/x",
        &long,
        &deep,
    ] {
        let requests = [
            json!({"type": "put", "path": name, "body": "claim", "size": 1, "sha256": good}),
            json!({"type": "get", "path": name}),
            json!({"type": "list", "path": name}),
            json!({"type": "info", "path": name}),
            json!({"type": "remove", "path": name}),
            json!({"type": "move", "from": name, "to": "x"}),
            json!({"type": "move", "from": "good", "to": name}),
            json!({"type": "copy", "from": name, "to": "x"}),
            json!({"type": "copy", "from": "good", "to": name}),
            json!({"type": "log", "limit": 1, "path": name}),
            json!({"type": "report", "path": name, "sha256": "0".repeat(64)}),
        ];
        for request in requests {
            let refusal = client.request_json(&request).await;
            let Reply::Error(error) = refusal else { panic!("{name:?} in {request}: {refusal:?}") };
            assert_eq!(error.code, ErrorCode::NameNotAllowed, "{name:?} in {request}: {error}");
        }
        // Among others, it spoils the plan.
        let plan = json!({"type": "plan", "files": [{"path": "x", "size": 1}, {"path": name, "size": 1}]});
        let error = match client.request_json(&plan).await {
            Reply::Error(error) => error,
            // A path that is well formed, in a space that nobody can have.
            Reply::Plan { mut files } => match files.remove(1) {
                Verdict::Refuse(error) => error,
                other => panic!("{name:?}: {other:?}"),
            },
            other => panic!("{name:?}: {other:?}"),
        };
        assert_eq!(error.code, ErrorCode::NameNotAllowed, "{name:?}: {error}");
    }
    assert_eq!(client.names("").await, ["good"]);
    assert_eq!(std::fs::read_dir(&world.data).unwrap().count(), before);
    world.store().settled().await;
}
