//! How often a lost connection is made anew: as long as something is achieved, and not for ever.

use sealift_tests::Pattern;

use crate::gate::Way;
use crate::relay::Relay;
use crate::{KIB, MIB, alice};

#[tokio::test]
async fn connections_that_achieve_nothing_come_to_an_end() {
    let (world, alice) = alice().await;
    alice.write("source", Pattern::new(1, 500 * KIB).whole());
    alice.run(["put", "source", "there"]).await.ok();
    alice.write("source", Pattern::new(3, 500 * KIB).whole());
    // Enough for a greeting and much of the file, which is too small to be continued; or for a greeting alone, or not
    // even for that.
    for (line, way, bytes) in [
        (["get", "there", "here"], Way::Down, 200 * KIB),
        (["get", "there", "here"], Way::Down, 6 * KIB),
        (["get", "there", "here"], Way::Down, KIB),
        (["put", "source", "anew"], Way::Up, 200 * KIB),
        (["put", "source", "anew"], Way::Up, 6 * KIB),
        (["put", "source", "anew"], Way::Up, KIB),
    ] {
        let relay = Relay::before(world.address, vec![Some((way, bytes)); 40]).await;
        let options = ["--retries", "2", "--connections", "1", "--server", &relay.server()];
        let ran = alice.run(line.iter().chain(&options)).await.refused(7);
        assert!(ran.stderr.contains("was lost") || ran.stderr.contains("could not connect"), "{ran:?}");
        assert_eq!(relay.passed().len(), 3, "{line:?}, cut after {bytes} bytes: {ran:?}");
    }
    assert_eq!(alice.files(), ["source"]);
}

#[tokio::test]
async fn connections_that_achieve_something_go_on() {
    let (world, alice) = alice().await;
    alice.write("source", Pattern::new(2, 9 * MIB).whole());
    let cuts = |way| vec![Some((way, 3 * MIB / 2)); 40];
    for (line, way) in [
        (["put", "source", "there"], Way::Up),
        (["get", "there", "here"], Way::Down),
        (["get", "there", "-"], Way::Down),
    ] {
        let relay = Relay::before(world.address, cuts(way)).await;
        let options = ["--retries", "1", "--connections", "1", "--server", &relay.server()];
        let ran = alice.run(line.iter().chain(&options)).await.ok();
        assert!(relay.passed().len() > 3, "{:?}", relay.passed());
        if line[2] == "-" {
            assert!(ran.stdout == alice.read("source"));
        }
    }
    assert!(alice.read("here") == alice.read("source"));
}

/// Also the first question of a command, before anything is achieved: one lost connection fails no nightly job.
#[tokio::test]
async fn the_first_connection_may_be_lost_anywhere() {
    let (world, alice) = alice().await;
    alice.write("tree/file", "content");
    alice.run(["put", "tree"]).await.ok();
    for line in [
        &["put", "tree", "there/"][..],
        &["get", "tree", "here/"],
        &["sync", "tree", ":synced"],
        &["sync", ":tree", "synced"],
    ] {
        for (way, bytes) in
            [(Way::Up, KIB), (Way::Up, 4 * KIB), (Way::Down, 0), (Way::Down, KIB), (Way::Down, 4 * KIB)]
        {
            let relay = Relay::before(world.address, vec![Some((way, bytes))]).await;
            let options = ["--retries", "1", "--connections", "1", "--server", &relay.server()];
            alice.run(line.iter().chain(&options)).await.ok();
        }
    }
    assert!(alice.read("synced/file") == b"content");
}
