//! Connections that are cut, and programs that are interrupted, anywhere: the next run goes on, and the trees are equal.

use std::fs;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use sealift_tests::{Computer, Pattern, Ran, World, eventually};

use crate::gate::Way;
use crate::relay::Relay;
use crate::sync::tree;
use crate::{KIB, MIB, alice};

/// Bytes of the tree, about.
const SIZE: u64 = 7 * MIB;

/// A tree of small and large files.
fn plant(computer: &Computer, seed: u64) {
    let _ = fs::remove_dir_all(computer.desk().join("tree"));
    for number in 0..60 {
        let content = Pattern::new(1000 * seed + number, number * 77).whole();
        computer.write(format!("tree/{}/{number}", number % 5), content);
    }
    for (number, size) in [3 * MIB, 70 * KIB, 3 * MIB + 12_345].into_iter().enumerate() {
        computer.write(format!("tree/large/{number}"), Pattern::new(seed + number as u64, size).whole());
    }
}

/// Changes a file as somebody does who works on while the line is down.
fn edit(computer: &Computer, what: u64) {
    match what % 4 {
        0 => drop(computer.write("tree/large/0", Pattern::new(what, 3 * MIB).whole())),
        1 => drop(computer.write("tree/0/5", Pattern::new(what, 100 + what % 1000).whole())),
        2 => drop(computer.write(format!("tree/new/{what}"), Pattern::new(what, 5000).whole())),
        _ => {}
    }
}

/// Draws for `cases` cases.
fn draws<T: std::fmt::Debug>(cases: usize, strategy: impl Strategy<Value = T>) -> Vec<T> {
    let mut runner = TestRunner::deterministic();
    (0..cases).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect()
}

async fn equal(world: &World, computer: &Computer, what: &str) {
    assert_eq!(tree(computer, "tree"), tree(computer, "back/tree"), "{what}");
    let left: Vec<_> = computer.files().into_iter().filter(|name| name.ends_with(".sealift-part")).collect();
    assert_eq!(left, [""; 0], "{what}");
    world.store().without_parts().await;
    world.store().settled().await;
    for path in ["tree", "back"] {
        fs::remove_dir_all(computer.desk().join(path)).unwrap();
    }
    computer.run(["rm", "-r", "tree"]).await.ok();
}

const PUT: [&str; 4] = ["put", "--connections", "1", "tree"];
const GET: [&str; 5] = ["get", "--connections", "1", "tree", "back/"];

/// Runs until its only connection breaks after so many bytes, or to its end.
async fn run_until_cut(world: &World, computer: &Computer, line: &[&str], way: Way, bytes: u64) -> Ran {
    let server = Relay::before(world.address, vec![Some((way, bytes))]).await.server();
    computer.run(line.iter().chain(&["--retries", "0", "--server", &server])).await
}

/// Each run ends with its connection, and the next one goes on; between uploads somebody edits the files.
#[tokio::test]
async fn trees_arrive_over_any_cuts() {
    let (world, alice) = alice().await;
    let cuts = || proptest::collection::vec((0..SIZE, any::<u64>()), 1..4);
    for (case, (up, down)) in draws(6, (cuts(), cuts())).into_iter().enumerate() {
        let what = format!("case {case}: {up:?} {down:?}");
        plant(&alice, case as u64);
        for &(bytes, edits) in &up {
            let ran = run_until_cut(&world, &alice, &PUT, Way::Up, bytes).await;
            assert!(matches!(ran.code, Some(0 | 7)), "{what}: {ran:?}");
            edit(&alice, edits);
        }
        alice.run(PUT).await.ok();
        for &(bytes, _) in &down {
            let ran = run_until_cut(&world, &alice, &GET, Way::Down, bytes).await;
            assert!(matches!(ran.code, Some(0 | 7)), "{what}: {ran:?}");
        }
        alice.run(GET).await.ok();
        equal(&world, &alice, &what).await;
    }
}

/// One run lives through all of it by itself, over several connections.
#[tokio::test]
async fn one_run_goes_on_over_any_cuts() {
    let (world, alice) = alice().await;
    let cuts = || proptest::collection::vec(MIB / 8..SIZE / 2, 1..4);
    for (case, (up, down)) in draws(3, (cuts(), cuts())).into_iter().enumerate() {
        let what = format!("case {case}: {up:?} {down:?}");
        plant(&alice, 100 + case as u64);
        for (line, way, cuts) in
            [(&["put", "tree", "."], Way::Up, &up), (&["get", "tree", "back/"], Way::Down, &down)]
        {
            let cuts = cuts.iter().map(|bytes| Some((way, *bytes))).collect();
            let server = Relay::before(world.address, cuts).await.server();
            alice.run(line.iter().chain(&["--connections", "3", "--server", &server])).await.ok();
        }
        equal(&world, &alice, &what).await;
    }
}

/// Ctrl-C at any moment leaves a state with which the next run goes on.
#[tokio::test]
async fn trees_arrive_over_any_interruptions() {
    let (world, alice) = alice().await;
    let moments = || proptest::collection::vec(0..SIZE, 1..4);
    for (case, (up, down)) in draws(4, (moments(), moments())).into_iter().enumerate() {
        let what = format!("case {case}: {up:?} {down:?}");
        plant(&alice, 200 + case as u64);
        for (line, way, moments) in [(&PUT[..], Way::Up, &up), (&GET[..], Way::Down, &down)] {
            for &moment in moments {
                let server = Relay::before(world.address, vec![Some((way, moment))]).await.server();
                let running = alice.call(line.iter().chain(&["--json", "--server", &server])).start();
                // The key is pressed while it waits to try again, unless it has ended.
                let waits =
                    || ["retrying", "summary", "error"].iter().any(|kind| running.printed().contains(kind));
                eventually("a wait or an end", || waits().then_some(())).await;
                running.interrupt();
                let ran = running.ended().await;
                assert!(matches!(ran.code, Some(0 | 7 | 130)), "{what}: {ran:?}");
            }
            alice.run(line).await.ok();
        }
        equal(&world, &alice, &what).await;
    }
}
