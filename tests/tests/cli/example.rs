//! The example in Python, written after docs/protocol.md, against a real server and beside the real client.

use std::path::{Path, PathBuf};

use sealift_tests::{Computer, Pattern, Ran};
use sealift_types::Digest;

use crate::{KIB, MIB, alice};

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/python/sealift_mini.py")
}

/// Runs the example with the profile that `sealift join` made.
async fn mini(computer: &Computer, arguments: &[&str]) -> Ran {
    let script = script();
    computer.call_other("python3", [script.to_str().unwrap()].iter().chain(arguments)).run().await
}

#[tokio::test]
async fn it_stores_what_the_client_fetches_and_the_other_way_round() {
    let (world, alice) = alice().await;
    for (size, name) in
        [(0, "empty"), (17, "small"), (64 * KIB, "most"), (64 * KIB + 1, "more"), (3 * MIB, "large")]
    {
        let content = Pattern::new(size, size).whole();
        alice.write("here", &content);
        let remote = format!("from python/{name}");
        mini(&alice, &["put", "here", &remote]).await.ok();
        assert!(alice.run(["get", &remote, "-"]).await.ok().stdout == content, "{name}");
        let info = alice.run(["--json", "info", &remote]).await.ok().object("info");
        assert_eq!(
            (&info["size"], info["sha256"].as_str().unwrap()),
            (&size.into(), Digest::of(&content).to_string().as_str())
        );

        alice.run(["put", "here", name]).await.ok();
        mini(&alice, &["get", name, "there"]).await.ok();
        assert!(alice.read("there") == content, "{name}");
        let mtime = |file: &str| std::fs::metadata(alice.desk().join(file)).unwrap().modified().unwrap();
        assert_eq!(mtime("here"), mtime("there"));
    }
    let listed = mini(&alice, &["ls"]).await.ok();
    let names: Vec<_> =
        listed.text().lines().map(|line| line.split_once(':').unwrap().1[3..].to_owned()).collect();
    assert!(alice.run(["ls"]).await.ok().text().lines().eq(names.iter()), "{listed:?}");
    let inside = mini(&alice, &["ls", "from python"]).await.ok();
    assert!(inside.text().contains("        3145728 ") && inside.text().lines().count() == 5, "{inside:?}");
    assert_eq!(alice.files(), ["here", "there"], "no part of a file is left");
    world.store().settled().await;
}

#[tokio::test]
async fn it_claims_what_is_there() {
    let (world, alice) = alice().await;
    alice.write("here", Pattern::new(1, MIB).whole());
    alice.run(["put", "here"]).await.ok();
    mini(&alice, &["put", "here", "again"]).await.ok();
    assert!(world.store().logged("/alice/again").await.wire_bytes < 1000);
    // The same size, another content.
    alice.write("here", Pattern::new(2, MIB).whole());
    mini(&alice, &["put", "here", "other"]).await.ok();
    assert!(alice.run(["get", "other", "-"]).await.ok().stdout == Pattern::new(2, MIB).whole());
}

#[tokio::test]
async fn it_fails_as_the_client_does() {
    let (world, alice) = alice().await;
    let content = Pattern::new(1, MIB).whole();
    alice.write("here", &content);
    alice.run(["put", "here"]).await.ok();
    for (line, code) in [
        (&["get", "missing", "x"][..], 3),
        (&["put", "missing", "x"], 3),
        (&["ls", "/bob"], 4),
        (&["put", "here", "/bob/x"], 4),
        (&["put", "here"], 2),
        (&["get", "here", "no/such"], 3),
    ] {
        let ran = mini(&alice, line).await.exited(code);
        assert!(
            code == 2 || ran.stderr.starts_with("sealift_mini: ") && ran.stderr.lines().count() == 1,
            "{line:?}: {ran:?}"
        );
    }
    let blob = world.store().blob(&Digest::of(&content));
    let mut bytes = content.clone();
    bytes[1000] ^= 1;
    std::fs::write(blob, bytes).unwrap();
    mini(&alice, &["get", "here", "x"]).await.exited(5);
    assert_eq!(alice.files(), ["here"]);
    world.revoke("alice");
    mini(&alice, &["ls"]).await.exited(4);
}
