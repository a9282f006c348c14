//! Ctrl-C in the middle: the program ends at once, leaves nothing behind, and can be run again.

use std::io::Write;

use insta::assert_snapshot;
use rustix::process::Signal;
use sealift_tests::{Computer, Pattern, World, eventually};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

use crate::gate::{Gate, Way};
use crate::relay::Relay;
use crate::{KIB, MIB, SEALIFT, alice};

const SIZE: u64 = 64 * MIB;

#[tokio::test]
async fn a_download() {
    let (world, alice) = alice().await;
    alice.call(["put", "-", "big"]).input(Pattern::new(1, SIZE).whole()).run().await.ok();
    alice.write("big", "before");
    let mut gate = Gate::before(world.address, Way::Down, 4 * MIB).await;
    let running = alice.call(["get", "big", "--server", &gate.server()]).start();
    gate.reached().await;
    alice.part_of(MIB).await;
    running.interrupt();
    let ran = running.ended().await;
    assert_snapshot!(ran.shown(), @r#"
    sealift: interrupted
      hint: run the same command again: it goes on where this one stopped
    exit 130
    "#);
    assert_eq!((alice.finished_files(), alice.read("big")), (vec!["big".to_owned()], b"before".to_vec()));
    gate.open();
    let row = world.store().logged_get("/alice/big").await;
    assert_eq!(row.error.as_deref(), Some("interrupted"));
    assert!(row.bytes < SIZE, "{row:?}");

    let again = alice.run(["get", "big"]).await.ok();
    assert!(again.stderr.starts_with("fetched big (64 MiB in "), "{again:?}");
    assert!(
        again.stderr.contains("; continued, ") && again.stderr.ends_with("iB were there)\n"),
        "{again:?}"
    );
    let row = world.store().logged_get("/alice/big").await;
    assert!(row.bytes < SIZE, "it goes on where it stopped: {row:?}");
    assert!(alice.read("big") == Pattern::new(1, SIZE).whole());
    assert_eq!(alice.files(), ["big"]);
}

#[tokio::test]
async fn an_upload() {
    let (world, alice) = alice().await;
    alice.write("big", Pattern::new(1, SIZE).whole());
    let mut gate = Gate::before(world.address, Way::Up, 4 * MIB).await;
    let running = alice.call(["put", "big", "--server", &gate.server()]).start();
    gate.reached().await;
    eventually("the upload under way", || world.store().parts().pop_first()).await;
    running.interrupt();
    running.ended().await.refused(130);
    gate.open();
    let row = world.store().logged("/alice/big").await;
    assert_eq!(row.error.as_deref(), Some("interrupted"));
    assert!(row.bytes < SIZE, "{row:?}");
    assert_eq!(world.store().parts().len(), 1, "what came can be continued");
    world.store().settled().await;
    assert_eq!(alice.run(["ls"]).await.ok().text(), "");
    assert_eq!(
        alice.run(["--json", "log", "--failed"]).await.ok().object("transfer")["error"],
        "interrupted"
    );

    alice.run(["put", "big"]).await.ok();
    assert!(alice.run(["get", "big", "-"]).await.ok().stdout == Pattern::new(1, SIZE).whole());
    world.store().without_parts().await;
    world.store().settled().await;
}

/// However soon the same command is run again, it goes on with what was sent.
#[tokio::test]
async fn an_upload_that_is_killed_and_run_again_at_once() {
    let (world, alice) = alice().await;
    for (round, signal) in [Signal::KILL, Signal::INT].into_iter().cycle().take(10).enumerate() {
        let content = Pattern::new(round as u64, SIZE).whole();
        alice.write("big", &content);
        let running = alice.call(["put", "big"]).start();
        let well_under_way = || {
            let long = |file| std::fs::metadata(file).is_ok_and(|file| file.len() >= 4 * MIB);
            world.store().incoming().into_iter().any(long).then_some(())
        };
        eventually("an upload well under way", well_under_way).await;
        running.signal(signal);
        let again = alice.run(["--json", "put", "big"]).await.ok().object("finished");
        let sent = again["wire_bytes"].as_u64().unwrap();
        assert!(sent < SIZE, "{sent} bytes in round {round} after {signal:?}");
        drop(running);
        assert!(alice.run(["get", "big", "-"]).await.ok().stdout == content);
        alice.run(["rm", "big"]).await.ok();
        world.store().without_parts().await;
    }
    world.store().settled().await;
}

/// Nobody waits for a pipe that yields nothing.
#[tokio::test]
async fn an_upload_from_a_pipe_that_stays_open() {
    let (world, alice) = alice().await;
    let mut running = alice.call(["put", "-", "big"]).start_with_open_input();
    let mut input = running.input.take().unwrap();
    input.write_all(&Pattern::new(1, 300 * KIB).whole()).unwrap();
    eventually("the upload under way", || world.store().incoming().pop()).await;
    running.interrupt();
    running.ended().await.refused(130);
    drop(input);
    assert_eq!(world.store().logged("/alice/big").await.error.as_deref(), Some("interrupted"));
    world.store().settled().await;
}

/// What is advised is what helps: a transfer goes on only where something was kept.
#[tokio::test]
async fn a_connection_that_nobody_answers() {
    let (world, alice) = alice().await;
    let token = world.invite("alice").to_string();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    for (arguments, hint) in [
        (&["ls"][..], "run the same command again"),
        (&["get", "a"], "run the same command again: it goes on where this one stopped"),
        (&["get", "a", "-"], "run the same command again: it starts from the beginning"),
        (&["put", "-", "a"], "run the same command again: it starts from the beginning"),
        (
            &["join", &token],
            "run the same command again; if the token is used up by then, ask the server's administrator for another",
        ),
    ] {
        let common = ["--json", "--server", &address];
        let running = alice.call(common.iter().chain(arguments)).input("x").start();
        let (mut silent, _) = listener.accept().await.unwrap();
        silent.read_exact(&mut [0; 5]).await.unwrap();
        running.interrupt();
        let told = format!(
            r#"{{"code":"interrupted","exit":130,"hint":"{hint}","message":"interrupted","type":"error"}}"#
        );
        assert_eq!(running.ended().await.shown(), format!("{told}\nexit 130"));
    }
}

/// From the first byte on the wire on, whoever is interrupted cleans up and says so.
#[tokio::test]
async fn as_soon_as_there_is_a_connection() {
    let world = World::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let token = world.invite("alice").to_string();
    for _ in 0..10 {
        let alice = Computer::new(SEALIFT);
        let running = alice.call(["join", &token, "--server", &address]).start();
        let _silent = listener.accept().await.unwrap();
        running.interrupt();
        running.ended().await.refused(130);
        let left = std::fs::read_dir(alice.configuration().join("profiles")).unwrap().count();
        assert_eq!(left, 0, "a part of a profile is left");
    }
}

/// Under nohup a hangup is ignored, and so are all three in the background of a script.
#[tokio::test]
async fn a_signal_that_is_ignored_stays_ignored() {
    let (world, alice) = alice().await;
    alice.call(["put", "-", "big"]).input(Pattern::new(1, 64 * MIB).whole()).run().await.ok();
    for (name, signal) in [("HUP", Signal::HUP), ("INT", Signal::INT)] {
        let mut gate = Gate::before(world.address, Way::Down, MIB).await;
        let script = format!("trap '' {name}; exec \"$0\" \"$@\"");
        let server = gate.server();
        let line = ["-c", &script, SEALIFT, "get", "big", "--server", &server];
        let running = alice.call_other("sh", line).start();
        gate.reached().await;
        running.signal(signal);
        gate.open();
        running.ended().await.ok();
        assert!(alice.read("big") == Pattern::new(1, 64 * MIB).whole());
    }
}

#[tokio::test]
async fn other_signals_have_exit_codes_of_their_own() {
    let (world, alice) = alice().await;
    alice.call(["put", "-", "big"]).input(Pattern::new(1, 16 * MIB).whole()).run().await.ok();
    for (signal, code) in [(Signal::TERM, 143), (Signal::HUP, 129)] {
        let mut gate = Gate::before(world.address, Way::Down, MIB).await;
        let running = alice.call(["get", "big", "--server", &gate.server()]).start();
        gate.reached().await;
        eventually("a temporary file", || (alice.files().len() == 1).then_some(())).await;
        running.signal(signal);
        running.ended().await.refused(code);
        assert_eq!(alice.finished_files(), [""; 0]);
    }
}

#[tokio::test]
async fn what_nobody_goes_on_with_is_removed_on_demand() {
    let (world, alice) = alice().await;
    alice.call(["put", "-", "big"]).input(Pattern::new(1, 8 * MIB).whole()).run().await.ok();
    let server = Relay::before(world.address, vec![Some((Way::Down, 4 * MIB))]).await.server();
    alice
        .run(["get", "big", "d/", "--connections", "1", "--retries", "0", "--server", &server])
        .await
        .refused(7);
    let ran = alice.run(["clean", "-n"]).await.ok();
    assert!(ran.text().starts_with("would remove d/.big."), "{ran:?}");
    let ran = alice.run(["clean", "no"]).await.refused(3);
    assert!(ran.stderr.contains("cannot read no"), "{ran:?}");
    assert_eq!(alice.files().len(), 2);
    let ran = alice.run(["clean", "--json"]).await.ok();
    assert!(ran.object("removed")["bytes"].as_u64().unwrap() > 0, "{ran:?}");
    assert_eq!(alice.files(), ["d/"]);
    let ran = alice.run(["clean", "d"]).await.ok();
    assert!(ran.stderr.contains("removed 0 unfinished downloads"), "{ran:?}");
}
