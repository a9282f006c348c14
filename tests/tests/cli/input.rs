//! What is stored that is no file: standard input, and what a command prints.

use std::io::Write;
use std::time::Duration;

use sealift_tests::{Computer, Pattern, Settings, World, eventually, within};

use crate::relay::Relay;
use crate::{KIB, MIB, SEALIFT, alice};

#[tokio::test]
async fn what_a_command_prints_is_stored_if_it_succeeds() {
    let (_world, alice) = alice().await;
    for (name, size) in [("empty", 0), ("small", 5), ("large", 3 * MIB)] {
        alice.write("source", Pattern::new(size, size).whole());
        let ran = alice.run(["put", "--stdin-from-command", name, "--", "cat", "source"]).await.ok();
        assert!(ran.stderr.contains(&format!("stored /alice/{name}")), "{ran:?}");
        assert_eq!(alice.run(["get", name, "-"]).await.ok().stdout, Pattern::new(size, size).whole());
    }
    // The command reads what the program was given.
    let packing = alice.call(["put", "--stdin-from-command", "packed", "--", "sed", "s/a/b/"]).input("data");
    packing.run().await.ok();
    assert_eq!(alice.run(["get", "packed", "-"]).await.ok().stdout, b"dbta");
    // A command that succeeds and prints nothing is meant so.
    alice.run(["put", "--stdin-from-command", "large", "--", "true"]).await.ok();
    assert_eq!(alice.run(["get", "large", "-"]).await.ok().stdout, b"");
}

#[tokio::test]
async fn a_command_that_fails_stores_nothing() {
    let (world, alice) = alice().await;
    alice.call(["put", "-", "shop.sql"]).input("good").run().await.ok();
    alice.write("source", Pattern::new(1, 3 * MIB).whole());
    for script in ["exit 3", "echo half; exit 3", "cat source; exit 3", "cat source; kill -9 $$"] {
        let line = ["put", "--stdin-from-command", "shop.sql", "--", "sh", "-c", script];
        let ran = alice.run(line).await.refused(1);
        assert!(ran.stderr.starts_with("sealift: sh did not succeed ("), "{ran:?}");
        assert!(ran.stderr.contains("hint: run the command by itself"), "{ran:?}");
        assert_eq!(alice.run(["get", "shop.sql", "-"]).await.ok().stdout, b"good", "{script}");
    }
    let line = ["put", "--stdin-from-command", "shop.sql", "--", "no-such-command"];
    let ran = alice.run(line).await.refused(3);
    assert!(ran.stderr.starts_with("sealift: no-such-command cannot be run: No such file"), "{ran:?}");
    assert!(ran.stderr.contains("hint: check the command's name"), "{ran:?}");
    // Where it goes is not guessed, and a command that only would be run is not run.
    alice.run(["put", "--stdin-from-command", "--", "true"]).await.exited(2);
    alice.run(["put", "-n", "--stdin-from-command", "x", "--", "touch", "run"]).await.ok();
    assert!(!alice.desk().join("run").exists());
    world.store().settled().await;
}

/// Whoever forgets -- or writes two destinations does not mean to run a part of the line.
#[tokio::test]
async fn only_what_stands_behind_two_dashes_is_run() {
    let (_world, alice) = alice().await;
    for line in [
        &["put", "--stdin-from-command", "x", "touch", "run"][..],
        &["put", "--stdin-from-command", "x", "touch", "--", "run"],
        &["put", "--stdin-from-command", "x", "y", "--", "touch", "run"],
        &["put", "y", "--stdin-from-command", "x", "--", "touch", "run"],
        &["put", "--stdin-from-command", "x", "y"],
        &["put", "--stdin-from-command", "x", "--"],
        &["put", "--stdin-from-command", "x"],
    ] {
        let ran = alice.run(line).await.exited(2);
        assert!(ran.stderr.contains("--stdin-from-command DEST -- COMMAND"), "{line:?}: {ran:?}");
    }
    assert_eq!(alice.files(), [""; 0], "nothing was run");
    assert_eq!(alice.run(["ls"]).await.ok().text(), "", "and nothing was stored");
}

#[tokio::test]
async fn an_empty_standard_input_does_not_replace_what_is_not_empty() {
    let (_world, alice) = alice().await;
    alice.call(["put", "-", "x"]).input("").run().await.ok();
    alice.call(["put", "-", "x"]).input("good").run().await.ok();
    let ran = alice.call(["put", "-", "x"]).input("").run().await.refused(1);
    assert!(ran.stderr.contains("standard input is empty, and x has 4 B on the server"), "{ran:?}");
    assert_eq!(alice.run(["get", "x", "-"]).await.ok().stdout, b"good");
    alice.call(["put", "--allow-empty", "-", "x"]).input("").run().await.ok();
    assert_eq!(alice.run(["get", "x", "-"]).await.ok().stdout, b"");
}

/// The server waits only so long for the first request, and what a pipe yields may be less than a frame.
#[tokio::test]
async fn a_producer_that_pauses_is_waited_for() {
    let world = World::with(Settings::new().first_request(Duration::from_millis(400))).await;
    let alice = Computer::joined(SEALIFT, &world, "alice").await;
    let stranger = world.enrol("bob").await;
    for before in [0, 100, 70 * KIB] {
        let relay = Relay::before(world.address, vec![]).await;
        let content = Pattern::new(before, before + 5).whole();
        let (first, rest) = content.split_at(usize::try_from(before).unwrap());
        let mut running = alice.call(["put", "-", "x", "--server", &relay.server()]).start_with_open_input();
        let mut input = running.input.take().unwrap();
        input.write_all(first).unwrap();
        if before > 0 {
            eventually("a connection", || relay.passed().pop().filter(|bytes| *bytes > 0)).await;
        }
        // One that asks nothing is sent away meanwhile.
        let mut silent = stranger.dial().await;
        within(Duration::from_secs(30), "the end of another one's patience", silent.last_words()).await;
        input.write_all(rest).unwrap();
        drop(input);
        running.ended().await.ok();
        assert!(alice.run(["get", "x", "-"]).await.ok().stdout == content);
    }
}
