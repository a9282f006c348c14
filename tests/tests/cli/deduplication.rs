//! What the server has already is not sent again.

use sealift_tests::{Computer, Pattern, eventually};

use crate::{KIB, MIB, SEALIFT, alice};

#[tokio::test]
async fn a_second_name_costs_a_few_bytes() {
    let (world, alice) = alice().await;
    alice.write("a", Pattern::new(1, MIB).whole());
    let first = alice.run(["--json", "put", "a"]).await.ok().object("finished");
    assert_eq!(first["deduplicated"], false);
    assert!(first["wire_bytes"].as_u64().unwrap() > MIB);
    let second = alice.run(["--json", "put", "a", "other name"]).await.ok().object("finished");
    assert_eq!(second["deduplicated"], true);
    assert!(second["wire_bytes"].as_u64().unwrap() < 1000, "{second}");
    assert_eq!((&second["size"], &second["sha256"]), (&MIB.into(), &first["sha256"]));

    let log = alice.run(["--json", "log"]).await.ok().objects();
    assert_eq!(log[0]["path"], "/alice/other name");
    assert!(log[0]["wire_bytes"].as_u64().unwrap() < 1000, "{}", log[0]);
    assert_eq!(log[0]["bytes"], MIB);
    assert!(log[1]["wire_bytes"].as_u64().unwrap() > MIB, "{}", log[1]);
    let text = alice.run(["log", "-n", "1"]).await.ok();
    let row = text.text().lines().nth(1).unwrap();
    assert!(row.contains(" put ") && row.contains(" 1.0 MiB ") && row.contains(" B "), "{row}");
    assert_eq!(world.store().blobs().len(), 1);
    let info = alice.run(["--json", "info", "a", "other name"]).await.ok().objects();
    assert_eq!(info[0]["sha256"], info[1]["sha256"]);
}

#[tokio::test]
async fn equal_files_of_one_command_are_sent_once() {
    let (world, alice) = alice().await;
    let content = Pattern::new(1, MIB).whole();
    for name in ["a", "b", "c"] {
        alice.write(name, &content);
    }
    alice.run(["put", "a"]).await.ok();
    let put = alice.run(["--json", "put", "a", "b", "c", "d/"]).await.ok();
    assert_eq!(put.object("summary")["deduplicated_files"], 3, "{put:?}");
    assert_eq!(world.store().blobs().len(), 1);
    alice.run(["rm", "a", "d/a", "d/b"]).await.ok();
    assert!(alice.run(["get", "d/c", "-"]).await.ok().stdout == content);
}

/// A content of the same size that is another one is sent after all.
#[tokio::test]
async fn the_same_size_is_not_the_same_content() {
    let (world, alice) = alice().await;
    for (seed, name) in [(1, "a"), (2, "b")] {
        let content = Pattern::new(seed, MIB).whole();
        alice.write(name, &content);
        let put = alice.run(["--json", "put", name]).await.ok().object("finished");
        assert_eq!(put["deduplicated"], false);
        assert!(alice.run(["get", name, "-"]).await.ok().stdout == content);
    }
    assert_eq!(world.store().blobs().len(), 2);
}

/// What others have is not told: it is sent in full, and stored once all the same.
#[tokio::test]
async fn what_others_have_is_sent_in_full() {
    let (world, alice) = alice().await;
    let bob = Computer::joined(SEALIFT, &world, "bob").await;
    let content = Pattern::new(1, 200 * KIB).whole();
    for computer in [&alice, &bob] {
        computer.write("a", &content);
        let put = computer.run(["--json", "put", "a"]).await.ok().object("finished");
        assert_eq!(put["deduplicated"], false);
        assert!(put["wire_bytes"].as_u64().unwrap() > 200 * KIB);
    }
    eventually("one blob", || (world.store().blobs().len() == 1).then_some(())).await;
    world.store().settled().await;
}
