//! One large file over several connections.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use sealift_tests::{Computer, Launcher, Pattern, World, eventually};

use crate::gate::{Gate, Way};
use crate::relay::{Cut, Relay};
use crate::{MIB, SEALIFT, SEALIFTD, alice};

const SIZE: u64 = 64 * MIB + 12_345;

fn content() -> Vec<u8> {
    Pattern::new(1, SIZE).whole()
}

async fn stored(alice: &Computer) {
    alice.call(["put", "-", "big"]).input(content()).run().await.ok();
}

/// Gets the file over up to four connections that break as told. Returns what the program said of it at its end, and
/// what passed over each connection.
async fn get(world: &World, alice: &Computer, cuts: Vec<Cut>) -> (u64, Vec<u64>) {
    let relay = Relay::before(world.address, cuts).await;
    let line = ["--json", "get", "big", "--connections", "4", "--server", &relay.server()];
    let finished = alice.run(line).await.ok().object("finished");
    assert!(alice.read("big") == content());
    assert_eq!(alice.files(), ["big"]);
    (finished["wire_bytes"].as_u64().unwrap(), relay.passed())
}

#[tokio::test]
async fn a_download_over_four_connections() {
    let (world, alice) = alice().await;
    stored(&alice).await;
    let (wire, passed) = get(&world, &alice, Vec::new()).await;
    assert_eq!(passed.len(), 4);
    assert!(passed.iter().all(|bytes| *bytes > MIB), "{passed:?}");
    assert!(wire > SIZE && wire < SIZE + SIZE / 100, "every frame counts, once: {wire}");
    // One row for each connection, however many ranges it brought. Nobody waits for them.
    let rows = || world.store().log().into_iter().filter(|row| row.direction == "get").collect::<Vec<_>>();
    let rows = eventually("a row of each connection", || Some(rows()).filter(|rows| rows.len() >= 4)).await;
    assert_eq!(rows.len(), 4, "{rows:?}");
    assert_eq!(rows.iter().map(|row| row.bytes).sum::<u64>(), SIZE);
    assert!(rows.iter().all(|row| row.error.is_none()), "{rows:?}");
}

#[tokio::test]
async fn a_download_that_loses_a_further_connection() {
    let (world, alice) = alice().await;
    stored(&alice).await;
    let cuts = vec![None, Some((Way::Down, 3 * MIB)), Some((Way::Down, 2 * MIB + 77)), Some((Way::Up, 900))];
    let (_, passed) = get(&world, &alice, cuts).await;
    let sum: u64 = passed.iter().sum();
    assert!(sum < SIZE + 20 * MIB, "only what the lost ones had under way comes again: {passed:?}");
}

#[tokio::test]
async fn a_download_that_loses_its_first_connection() {
    let (world, alice) = alice().await;
    stored(&alice).await;
    let (_, passed) = get(&world, &alice, vec![Some((Way::Down, 9 * MIB))]).await;
    let sum: u64 = passed.iter().sum();
    assert!(sum < SIZE + 50 * MIB, "it goes on: {passed:?}");
}

/// Whatever the user does, what came in order is continued by the next run.
#[tokio::test]
async fn a_download_that_is_interrupted_goes_on() {
    let (world, alice) = alice().await;
    stored(&alice).await;
    let mut gate = Gate::before(world.address, Way::Down, 9 * MIB).await;
    let server = gate.server();
    let running = alice.call(["get", "big", "--connections", "3", "--server", &server]).start();
    gate.reached().await;
    running.interrupt();
    running.ended().await.refused(130);
    gate.open();
    assert!(alice.finished_files().is_empty());
    let again = alice.run(["--json", "get", "big", "--connections", "3"]).await.ok().object("finished");
    let wire = again["wire_bytes"].as_u64().unwrap();
    assert!(wire < SIZE - 3 * MIB, "it goes on where it stopped: {wire}");
    assert!(alice.read("big") == content());
}

/// Nothing of two contents is ever mixed.
#[tokio::test]
async fn a_file_that_is_replaced_while_it_is_fetched() {
    let (world, alice) = alice().await;
    stored(&alice).await;
    let mut gate = Gate::before(world.address, Way::Down, 6 * MIB).await;
    let server = gate.server();
    let running = alice.call(["get", "big", "--connections", "4", "--server", &server]).start();
    gate.reached().await;
    let other = Pattern::new(2, SIZE).whole();
    alice.call(["put", "-", "big"]).input(other.clone()).run().await.ok();
    gate.open();
    running.ended().await.ok();
    assert!(alice.read("big") == other);
    assert_eq!(alice.files(), ["big"], "nothing is left of the old one");
}

#[tokio::test]
async fn a_file_that_is_deleted_while_it_is_fetched() {
    let (world, alice) = alice().await;
    stored(&alice).await;
    let mut gate = Gate::before(world.address, Way::Down, 6 * MIB).await;
    let server = gate.server();
    let running = alice.call(["get", "big", "--connections", "4", "--server", &server]).start();
    gate.reached().await;
    alice.run(["rm", "big"]).await.ok();
    gate.open();
    running.ended().await.refused(3);
    assert!(alice.finished_files().is_empty());
}

/// Puts the file over up to four connections that break as told. Returns what the program said of it at its end, and
/// what passed over each connection.
async fn put(world: &World, alice: &Computer, cuts: Vec<Cut>) -> (u64, Vec<u64>) {
    alice.write("big", content());
    let relay = Relay::before(world.address, cuts).await;
    // Slowly enough for all of them to take part, however busy this machine is.
    let line =
        ["--json", "put", "big", "--connections", "4", "--limit-rate", "64M", "--server", &relay.server()];
    let finished = alice.run(line).await.ok().object("finished");
    assert!(alice.run(["get", "big", "-"]).await.ok().stdout == content());
    world.store().without_parts().await;
    world.store().settled().await;
    (finished["wire_bytes"].as_u64().unwrap(), relay.passed())
}

#[tokio::test]
async fn an_upload_over_four_connections() {
    let (world, alice) = alice().await;
    let (wire, passed) = put(&world, &alice, Vec::new()).await;
    assert_eq!(passed.len(), 4);
    assert!(passed.iter().all(|bytes| *bytes > MIB), "{passed:?}");
    assert!(wire > SIZE && wire < SIZE + SIZE / 100, "every frame counts, once: {wire}");
    // One row, for all of it.
    let rows: Vec<_> = world.store().log().into_iter().filter(|row| row.direction == "put").collect();
    assert_eq!((rows.len(), rows[0].bytes), (1, SIZE), "{rows:?}");
    assert!(rows[0].wire_bytes > SIZE && rows[0].error.is_none(), "{rows:?}");
}

#[tokio::test]
async fn an_upload_that_loses_a_further_connection() {
    let (world, alice) = alice().await;
    let cuts = vec![None, Some((Way::Up, 3 * MIB)), Some((Way::Up, 2 * MIB + 77)), Some((Way::Down, 900))];
    let (_, passed) = put(&world, &alice, cuts).await;
    let sum: u64 = passed.iter().sum();
    assert!(sum < SIZE + 20 * MIB, "only what the lost ones had under way is sent again: {passed:?}");
}

#[tokio::test]
async fn an_upload_that_loses_its_first_connection() {
    let (world, alice) = alice().await;
    let (_, passed) = put(&world, &alice, vec![Some((Way::Up, 9 * MIB))]).await;
    let sum: u64 = passed.iter().sum();
    assert!(sum < SIZE + 40 * MIB, "it goes on: {passed:?}");
}

#[tokio::test]
async fn an_upload_that_is_interrupted_goes_on() {
    let (world, alice) = alice().await;
    alice.write("big", content());
    let mut gate = Gate::before(world.address, Way::Up, 9 * MIB).await;
    let server = gate.server();
    let running = alice.call(["put", "big", "--connections", "3", "--server", &server]).start();
    gate.reached().await;
    eventually("the upload under way", || world.store().parts().pop_first()).await;
    running.interrupt();
    running.ended().await.refused(130);
    gate.open();
    let again = alice.run(["--json", "put", "big", "--connections", "3"]).await.ok().object("finished");
    let wire = again["wire_bytes"].as_u64().unwrap();
    assert!(wire < SIZE - 3 * MIB, "it goes on where it stopped: {wire}");
    assert!(alice.run(["get", "big", "-"]).await.ok().stdout == content());
    world.store().without_parts().await;
    world.store().settled().await;
}

#[tokio::test]
async fn a_file_that_changes_while_it_is_sent() {
    let (world, alice) = alice().await;
    let path = alice.write("big", content());
    let mut gate = Gate::before(world.address, Way::Up, 6 * MIB).await;
    let server = gate.server();
    let running = alice.call(["put", "big", "--connections", "4", "--server", &server]).start();
    gate.reached().await;
    std::fs::File::options().write(true).open(path).unwrap().set_len(SIZE / 2).unwrap();
    gate.open();
    running.ended().await.refused(1);
    world.store().settled().await;
    assert_eq!(world.store().count("entries"), 0);
}

/// Around the size from which on a file is cut into slices.
#[tokio::test]
async fn files_that_are_just_large_enough() {
    let (world, alice) = alice().await;
    for size in [8 * MIB - 1, 8 * MIB, 12 * MIB + 5, 16 * MIB, 20 * MIB] {
        let content = Pattern::new(size, size).whole();
        alice.write("file", &content);
        alice.run(["put", "file", "--connections", "3"]).await.ok();
        alice.run(["get", "file", "back", "--connections", "3"]).await.ok();
        assert!(alice.read("back") == content, "{size}");
    }
    world.store().settled().await;
}

/// Whichever connections break, and wherever, the file arrives in both directions.
#[test]
fn any_connections_may_break() {
    const SIZE: u64 = 25 * MIB + 7;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (world, alice) = runtime.block_on(alice());
    let way = prop_oneof![Just(Way::Up), Just(Way::Down)];
    let cut = proptest::option::of((way, 1..8 * MIB));
    let cases = (proptest::collection::vec(cut, 0..6), any::<u8>());
    let mut runner = TestRunner::new(Config { cases: 10, failure_persistence: None, ..Config::default() });
    let case = |(cuts, seed): (Vec<Cut>, u8)| {
        let content = Pattern::new(seed.into(), SIZE).whole();
        alice.write("file", &content);
        runtime.block_on(async {
            for verb in ["put", "get"] {
                let relay = Relay::before(world.address, cuts.clone()).await;
                let line = [verb, "file", "--connections", "3", "--server", &relay.server()];
                alice.run(line).await.ok();
                assert!(alice.read("file") == content, "{verb} {cuts:?}");
                if verb == "put" {
                    std::fs::remove_file(alice.desk().join("file")).unwrap();
                }
            }
            alice.run(["rm", "file"]).await.ok();
            world.store().without_parts().await;
        });
        Ok(())
    };
    runner.run(&cases, case).unwrap();
    runtime.block_on(world.store().settled());
}

/// What a killed server had taken in order is there after its next start, whoever brought it.
#[tokio::test]
async fn a_server_that_is_killed_and_comes_back() {
    let mut launcher = Launcher::new(SEALIFTD);
    let server = launcher.start().await;
    launcher = launcher.listen(server.address);
    let alice = Computer::joined(SEALIFT, &server, "alice").await;
    alice.write("big", content());
    let mut server = Some(server);
    for (way, words) in [(Way::Up, ["put", "big", "big"]), (Way::Down, ["get", "big", "copy"])] {
        let address = server.as_ref().unwrap().address;
        let mut gate = Gate::before(address, way, 9 * MIB).await;
        let line = ["--json", "--connections", "3", "--server", &gate.server()];
        let running = alice.call(words.iter().copied().chain(line)).start();
        gate.reached().await;
        match way {
            Way::Up => server.as_ref().unwrap().store().part_of(8 * MIB).await,
            Way::Down => alice.part_of(8 * MIB).await,
        }
        server.take().unwrap().kill();
        server = Some(launcher.start().await);
        gate.open();
        let finished = running.ended().await.ok().object("finished");
        let wire = finished["wire_bytes"].as_u64().unwrap();
        assert!(wire < SIZE - 7 * MIB, "it goes on where it stopped: {wire}");
    }
    assert!(alice.read("copy") == content());
    server.unwrap().store().settled().await;
}
