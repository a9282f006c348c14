//! The server dies in the middle: the client waits for it, or says so, and goes on where it stopped.
//! Nothing has a file's name that is not whole.

use std::fs::File;
use std::time::{Duration, Instant};

use sealift_tests::{Computer, Launcher, Pattern, eventually};

use crate::gate::{Gate, Way};
use crate::{KIB, MIB, SEALIFT, SEALIFTD};

/// How soon a client notices that the other end of its connection has gone.
const SOON: Duration = Duration::from_secs(5);

#[track_caller]
fn assert_lost(ran: sealift_tests::Ran, since: Instant) {
    let ran = ran.refused(7);
    assert!(ran.stderr.contains("sealift: the connection to the server was lost: "), "{ran:?}");
    assert!(ran.stderr.contains("hint: run the same command again"), "{ran:?}");
    assert!(since.elapsed() < SOON, "{:?}", since.elapsed());
}

#[tokio::test]
async fn in_the_middle_of_an_upload() {
    let launcher = Launcher::new(SEALIFTD);
    let server = launcher.start().await;
    let alice = Computer::joined(SEALIFT, &server, "alice").await;
    // Nothing but a hole, and large enough to be under way for a while.
    let path = alice.write("big", "");
    File::options().write(true).open(&path).unwrap().set_len(2048 * MIB).unwrap();
    let running = alice.call(["put", "--retries", "0", "big"]).start();
    server.store().part_of(MIB).await;
    let killed = Instant::now();
    server.kill();
    assert_lost(running.ended().await, killed);

    let server = launcher.start().await;
    let address = server.address.to_string();
    assert_eq!(alice.run(["ls", "--server", &address]).await.ok().text(), "");
    server.store().settled().await;
    assert!(server.store().parts().len() <= 1, "at most what can be continued");
    File::options().write(true).open(&path).unwrap().set_len(MIB).unwrap();
    alice.run(["put", "big", "--server", &address]).await.ok();
    server.store().without_parts().await;
    server.store().settled().await;
}

#[tokio::test]
async fn in_the_middle_of_a_download() {
    let launcher = Launcher::new(SEALIFTD);
    let server = launcher.start().await;
    let alice = Computer::joined(SEALIFT, &server, "alice").await;
    let content = Pattern::new(1, 64 * MIB).whole();
    alice.call(["put", "-", "big"]).input(content.clone()).run().await.ok();
    let mut gate = Gate::before(server.address, Way::Down, 4 * MIB).await;
    let running = alice.call(["get", "--retries", "0", "big", "--server", &gate.server()]).start();
    gate.reached().await;
    eventually("a temporary file", || (alice.files().len() == 1).then_some(())).await;
    let killed = Instant::now();
    server.kill();
    gate.open();
    assert_lost(running.ended().await, killed);
    assert_eq!(alice.finished_files(), [""; 0]);

    let server = launcher.start().await;
    let address = server.address.to_string();
    alice.run(["get", "big", "--server", &address]).await.ok();
    assert!(alice.read("big") == content, "what was acknowledged has survived");
    assert_eq!(alice.files(), ["big"]);
}

/// The server comes back at the same address: whoever waited goes on by itself.
#[tokio::test]
async fn and_a_restart() {
    let mut launcher = Launcher::new(SEALIFTD);
    let server = launcher.start().await;
    launcher = launcher.listen(server.address);
    let alice = Computer::joined(SEALIFT, &server, "alice").await;
    let content = Pattern::new(1, 64 * MIB).whole();
    alice.write("big", &content);

    let mut gate = Gate::before(server.address, Way::Up, 32 * MIB).await;
    let running = alice.call(["--json", "put", "big", "--server", &gate.server()]).start();
    gate.reached().await;
    server.store().part_of(31 * MIB).await;
    server.kill();
    let server = launcher.start().await;
    gate.open();
    let ran = running.ended().await.ok();
    assert_eq!(ran.object("retrying")["code"], "lost", "{ran:?}");
    let put = ran.object("finished");
    assert!(put["wire_bytes"].as_u64().unwrap() < 34 * MIB, "half of it was there: {put}");
    server.store().settled().await;

    let mut gate = Gate::before(server.address, Way::Down, 32 * MIB).await;
    let running = alice.call(["--json", "get", "big", "copy", "--server", &gate.server()]).start();
    gate.reached().await;
    alice.part_of(31 * MIB).await;
    server.kill();
    let _server = launcher.start().await;
    gate.open();
    let get = running.ended().await.ok().object("finished");
    assert!(get["wire_bytes"].as_u64().unwrap() < 34 * MIB, "half of it was here: {get}");
    assert!(alice.read("copy") == content);
    assert_eq!(alice.files(), ["big", "copy"]);
}

/// What was told to be stored before is stored, and the program says how much that is.
#[tokio::test]
async fn in_the_middle_of_several_uploads() {
    let launcher = Launcher::new(SEALIFTD);
    let server = launcher.start().await;
    let alice = Computer::joined(SEALIFT, &server, "alice").await;
    for name in ["a", "b", "c"] {
        alice.write(name, name.repeat(100));
    }
    alice.write("large", Pattern::new(1, 100 * KIB).whole());
    let path = alice.write("zero", "");
    File::options().write(true).open(&path).unwrap().set_len(2048 * MIB).unwrap();
    let running =
        alice.call(["--json", "put", "--retries", "0", "a", "large", "b", "zero", "c", "d/"]).start();
    server.store().part_of(MIB).await;
    eventually("the small ones", || (running.printed().matches("finished").count() >= 4).then_some(())).await;
    server.kill();
    let ran = running.ended().await.refused(7);
    let told: Vec<_> = ran.objects().into_iter().filter(|line| line["type"] == "finished").collect();
    assert!(ran.stderr.contains("; 4 of 5 files were done before"), "{ran:?}");

    let server = launcher.start().await;
    let listed = alice.run(["--server", &server.address.to_string(), "--json", "ls", "d"]).await.ok();
    for file in &told {
        let found = listed.objects().into_iter().any(|entry| {
            format!("/alice/d/{}", entry["name"].as_str().unwrap()) == file["path"]
                && entry["sha256"] == file["sha256"]
        });
        assert!(found, "{file} was told to be stored: {listed:?}");
    }
    assert_eq!(told.len(), 4);
}

/// One that is stopped in order lets go of nobody in the middle.
#[tokio::test]
async fn a_server_that_stops_in_order_finishes_what_is_under_way() {
    let (mut world, alice) = crate::alice().await;
    let content = Pattern::new(1, 64 * MIB).whole();
    alice.write("big", &content);
    let mut gate = Gate::before(world.address, Way::Up, 4 * MIB).await;
    let running = alice.call(["put", "big", "--server", &gate.server()]).start();
    gate.reached().await;
    eventually("the upload under way", || world.store().incoming().pop()).await;
    world.begin_to_stop();
    alice_is_refused(&alice).await;
    gate.open();
    running.ended().await.ok();
    let world = world.restart().await;
    let address = world.address.to_string();
    assert!(alice.run(["get", "big", "-", "--server", &address]).await.ok().stdout == content);
}

/// Waits until the server takes nobody new.
async fn alice_is_refused(alice: &Computer) {
    let begun = Instant::now();
    while alice.run(["ls"]).await.code != Some(7) {
        assert!(begun.elapsed() < SOON, "the server goes on taking new connections");
    }
}
