//! Connections that are cut, and programs that are interrupted, anywhere: the next run goes on, and the trees are equal.

use std::collections::VecDeque;
use std::fs;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use sealift_tests::{Computer, PATIENCE, Pattern, World, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use crate::sync::tree;
use crate::{KIB, MIB, alice};

/// Bytes of the tree, about.
const SIZE: u64 = 7 * MIB;

/// Another address of a server, at which each connection ends after as many bytes, both ways together, as it says next; when it
/// has no more to say, they pass.
struct Scissors {
    address: SocketAddr,
    lengths: Arc<Mutex<VecDeque<u64>>>,
    /// Told after each cut.
    cut: Arc<Notify>,
}

impl Scissors {
    async fn before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (lengths, cut) = (Arc::new(Mutex::new(VecDeque::new())), Arc::new(Notify::new()));
        let (next, tell) = (lengths.clone(), cut.clone());
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let length = next.lock().unwrap().pop_front().unwrap_or(u64::MAX);
                let (far, tell) = (TcpStream::connect(server).await.unwrap(), tell.clone());
                tokio::spawn(async move {
                    pass(near, far, length).await;
                    tell.notify_one();
                });
            }
        });
        Self { address, lengths, cut }
    }

    /// Lets the next connections live for so long.
    fn set(&self, lengths: &[u64]) {
        *self.lengths.lock().unwrap() = lengths.iter().copied().collect();
    }
}

async fn pass(mut near: TcpStream, mut far: TcpStream, mut left: u64) {
    let (mut up, mut down) = (vec![0; 16 * 1024], vec![0; 16 * 1024]);
    while left > 0 {
        let count = tokio::select! {
            read = near.read(&mut up) => match read {
                Ok(count @ 1..) if far.write_all(&up[..count]).await.is_ok() => count,
                _ => return,
            },
            read = far.read(&mut down) => match read {
                Ok(count @ 1..) if near.write_all(&down[..count]).await.is_ok() => count,
                _ => return,
            },
        };
        left = left.saturating_sub(count as u64);
    }
}

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

/// Each run ends with its connection, and the next one goes on; between uploads somebody edits the files.
#[tokio::test]
async fn trees_arrive_over_any_cuts() {
    let (world, alice) = alice().await;
    let scissors = Scissors::before(world.address).await;
    let server = scissors.address.to_string();
    let cuts = || proptest::collection::vec((0..SIZE, any::<u64>()), 1..4);
    for (case, (up, down)) in draws(6, (cuts(), cuts())).into_iter().enumerate() {
        let what = format!("case {case}: {up:?} {down:?}");
        plant(&alice, case as u64);
        for &(length, edits) in &up {
            scissors.set(&[length]);
            // A second connection would not be cut.
            let line = ["--server", &server, "put", "--retries", "0", "--connections", "1", "tree"];
            let ran = alice.run(line).await;
            assert!(matches!(ran.code, Some(0 | 7)), "{what}: {ran:?}");
            edit(&alice, edits);
        }
        alice.run(["put", "tree"]).await.ok();
        for &(length, _) in &down {
            scissors.set(&[length]);
            let line = ["--server", &server, "get", "--retries", "0", "--connections", "1", "tree", "back/"];
            let ran = alice.run(line).await;
            assert!(matches!(ran.code, Some(0 | 7)), "{what}: {ran:?}");
        }
        alice.run(["get", "tree", "back/"]).await.ok();
        equal(&world, &alice, &what).await;
    }
}

/// One run lives through all of it by itself, over several connections.
#[tokio::test]
async fn one_run_goes_on_over_any_cuts() {
    let (world, alice) = alice().await;
    let scissors = Scissors::before(world.address).await;
    let server = scissors.address.to_string();
    let cuts = || proptest::collection::vec(MIB / 8..SIZE / 2, 1..4);
    for (case, (up, down)) in draws(3, (cuts(), cuts())).into_iter().enumerate() {
        let what = format!("case {case}: {up:?} {down:?}");
        plant(&alice, 100 + case as u64);
        scissors.set(&up);
        alice.run(["--server", &server, "put", "--connections", "3", "tree"]).await.ok();
        scissors.set(&down);
        alice.run(["--server", &server, "get", "--connections", "3", "tree", "back/"]).await.ok();
        equal(&world, &alice, &what).await;
    }
}

/// Ctrl-C at any moment leaves a state with which the next run goes on.
#[tokio::test]
async fn trees_arrive_over_any_interruptions() {
    let (world, alice) = alice().await;
    let scissors = Scissors::before(world.address).await;
    let server = scissors.address.to_string();
    let moments = || proptest::collection::vec(0..SIZE, 1..4);
    for (case, (up, down)) in draws(4, (moments(), moments())).into_iter().enumerate() {
        let what = format!("case {case}: {up:?} {down:?}");
        plant(&alice, 200 + case as u64);
        let lines =
            [["put", "--connections", "1", "tree", "."], ["get", "--connections", "1", "tree", "back/"]];
        for (line, moments) in lines.into_iter().zip([&up, &down]) {
            for &moment in moments {
                scissors.set(&[moment]);
                // It waits to try again when the key is pressed, or is done.
                let running = alice.call(["--server", &server].iter().chain(&line)).start();
                within(PATIENCE, "the end of a connection", scissors.cut.notified()).await;
                running.interrupt();
                let ran = running.ended().await;
                assert!(matches!(ran.code, Some(0 | 130)), "{what}: {ran:?}");
            }
            alice.run(line).await.ok();
        }
        equal(&world, &alice, &what).await;
    }
}
