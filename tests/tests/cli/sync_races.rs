//! `sealift sync --delete` while others change either side: nothing that anybody stored is lost.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use sealift_protocol::message::EntryKind;
use sealift_tests::{Client, Computer, PATIENCE, Pattern, Ran, World, within};
use sealift_types::Digest;

use crate::gate::{Gate, Way};
use crate::{KIB, MIB, alice};

/// Small random numbers that are the same in each run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).unwrap()
    }

    fn pick<'a>(&mut self, from: &'a [String]) -> &'a String {
        &from[self.below(from.len())]
    }
}

/// Starts a sync through a gate that stops it after so many bytes, lets `meanwhile` change things, and goes on.
async fn stopped(
    world: &World,
    alice: &Computer,
    (way, bytes): (Way, u64),
    line: &[&str],
    meanwhile: impl AsyncFnOnce(),
) -> Ran {
    let mut gate = Gate::before(world.address, way, bytes).await;
    let server = gate.server();
    let running = alice.call(line.iter().copied().chain(["--server", server.as_str()])).start();
    let mut ended = std::pin::pin!(running.ended());
    tokio::select! {
        () = gate.reached() => {}
        ran = &mut ended => return ran,
    }
    meanwhile().await;
    gate.open();
    within(PATIENCE, "the end of the sync", ended).await
}

async fn on_server(client: &mut Client, directory: &str) -> BTreeMap<String, Digest> {
    let entries = client.list_all(directory).await.unwrap();
    let files = entries.into_iter().filter(|entry| entry.kind == EntryKind::File);
    files.map(|entry| (entry.name, entry.sha256.unwrap())).collect()
}

fn here(root: &Path) -> BTreeMap<String, Digest> {
    let (mut found, mut directories) = (BTreeMap::new(), vec![root.to_owned()]);
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                found.insert(name, Digest::of(&fs::read(&path).unwrap()));
            }
        }
    }
    found
}

#[tokio::test]
async fn what_others_store_is_not_deleted() {
    let (world, alice) = alice().await;
    let mut bob = world.enrol("alice").await.connect().await;
    let mut dice = Dice(0x5eed);
    for round in 0..5 {
        let root = format!("up{round}");
        alice.write(format!("{root}/new"), Pattern::new(round, 3 * MIB).whole());
        for file in 0..40 {
            alice.write(format!("{root}/kept/{file}"), format!("kept {file}"));
        }
        alice.run(["put", &root]).await.ok();
        // What only the server has.
        let directories: Vec<_> = ["", "old/", "old/deep/", "other/", "other/a/"].map(str::to_owned).into();
        let mut doomed = Vec::new();
        for file in 0..20 {
            let name = format!("{root}/{}x{file}", dice.pick(&directories));
            bob.push_inline(&name, name.as_bytes());
            doomed.push(name);
        }
        bob.flush().await;
        for _ in 0..20 {
            bob.stored().await.unwrap();
        }
        alice.write(format!("{root}/new"), Pattern::new(round + 100, 3 * MIB).whole());
        let mut stored: BTreeMap<String, Digest> = BTreeMap::new();
        let way = if dice.below(3) == 0 { Way::Down } else { Way::Up };
        let bytes = KIB * if way == Way::Up { 1024 } else { 6 + dice.below(6) as u64 };
        let line = ["sync", "--delete", &root, &format!(":{root}")];
        let ran = stopped(&world, &alice, (way, bytes), &line, async || {
            for step in 0..12 {
                let content = format!("bob {round} {step}");
                match dice.below(4) {
                    // A new file, a new version, something moved into a directory that is going to be deleted.
                    0 => {
                        let name = format!("{root}/{}bob{step}", dice.pick(&directories));
                        bob.put_inline(&name, content.as_bytes()).await.unwrap();
                        stored.insert(name, Digest::of(content.as_bytes()));
                    }
                    1 => {
                        let name = dice.pick(&doomed).clone();
                        bob.put_inline(&name, content.as_bytes()).await.unwrap();
                        stored.insert(name, Digest::of(content.as_bytes()));
                    }
                    2 => {
                        let (from, to) =
                            (format!("outside{round}-{step}"), format!("{root}/old/moved{step}"));
                        bob.put_inline(&from, content.as_bytes()).await.unwrap();
                        bob.mv(&from, &to).await.unwrap();
                        stored.insert(to, Digest::of(content.as_bytes()));
                    }
                    // The same again: it is somebody's all the same.
                    _ => {
                        let name = dice.pick(&doomed).clone();
                        bob.put_inline(&name, name.as_bytes()).await.unwrap();
                        stored.insert(name.clone(), Digest::of(name.as_bytes()));
                    }
                }
            }
        })
        .await;
        let now = on_server(&mut bob, "").await;
        for (name, digest) in &stored {
            assert_eq!(now.get(name), Some(digest), "round {round}: {name} {ran:?}");
        }
        // Nothing else stays, and what was left is told of.
        for name in doomed.iter().filter(|name| !stored.contains_key(*name)) {
            assert!(!now.contains_key(name), "round {round}: {name} {ran:?}");
        }
        let is_told = ran.stderr.contains("was changed while this ran, and stays");
        assert!(stored.is_empty() || !is_told || ran.code == Some(8), "round {round}: {ran:?}");
    }
}

#[tokio::test]
async fn what_is_renamed_on_the_server_is_not_missing_here() {
    let (world, alice) = alice().await;
    let mut bob = world.enrol("alice").await.connect().await;
    let mut dice = Dice(0xd1ce);
    for round in 0..6 {
        let (root, mirror) = (format!("down{round}"), format!("mirror{round}"));
        let directories: Vec<_> = ["a", "b/c", "m", "x/y", "z"].map(|name| format!("{root}/{name}")).into();
        for (number, directory) in directories.iter().enumerate() {
            for file in 0..60 {
                let name = format!("{directory}/{file}");
                bob.push_inline(&name, format!("{round} {number} {file}").as_bytes());
            }
        }
        bob.flush().await;
        for _ in 0..300 {
            bob.stored().await.unwrap();
        }
        alice.run(["sync", &format!(":{root}"), &mirror]).await.ok();
        let mirrored = alice.desk().join(&mirror);
        let before: BTreeSet<_> = here(&mirrored).into_values().collect();
        assert_eq!(before.len(), 300);
        let bytes = KIB * (8 + dice.below(45) as u64);
        let line = ["sync", "--delete", &format!(":{root}"), &mirror];
        let mut states = vec![on_server(&mut bob, &root).await];
        let ran = stopped(&world, &alice, (Way::Down, bytes), &line, async || {
            for step in 0..=dice.below(3) {
                let directory = dice.pick(&directories).clone();
                let new = format!("{root}/{}{step}", ["0new", "n", "zz"][dice.below(3)]);
                match dice.below(3) {
                    0 => {
                        let _ = bob.mv(&directory, &new).await;
                    }
                    1 => {
                        let _ = bob.mv(&format!("{directory}/{}", dice.below(60)), &new).await;
                    }
                    // As another client's sync moves: it stores under the new name and deletes the old one.
                    _ => {
                        if bob.cp(&directory, &new).await.is_ok() {
                            states.push(on_server(&mut bob, &root).await);
                            bob.remove_all(&directory).await.unwrap();
                        }
                    }
                }
                states.push(on_server(&mut bob, &root).await);
            }
        })
        .await;
        let there = on_server(&mut bob, &root).await;
        let now: BTreeSet<_> = here(&mirrored).into_values().collect();
        let lost: Vec<_> =
            there.iter().filter(|(_, digest)| before.contains(digest) && !now.contains(digest)).collect();
        assert!(lost.is_empty(), "round {round} at {bytes}: {} are missing, {ran:?}", lost.len());
        // What is here was there, all at once.
        if ran.code == Some(0) {
            assert!(states.contains(&here(&mirrored)), "round {round} at {bytes}: {ran:?}");
        }
    }
}

#[tokio::test]
async fn what_is_renamed_on_the_server_is_not_missing_in_a_download() {
    let (world, alice) = alice().await;
    let mut bob = world.enrol("alice").await.connect().await;
    let mut dice = Dice(0xd0_0d);
    for round in 0..6 {
        let (root, here_root) = (format!("get{round}"), alice.desk().join(format!("get{round}")));
        for directory in ["a", "b/c", "m", "z"] {
            for file in 0..60 {
                bob.push_inline(
                    &format!("{root}/{directory}/{file}"),
                    format!("{round} {directory} {file}").as_bytes(),
                );
            }
        }
        bob.flush().await;
        for _ in 0..240 {
            bob.stored().await.unwrap();
        }
        let bytes = KIB * (6 + dice.below(30) as u64);
        let ran = stopped(&world, &alice, (Way::Down, bytes), &["get", &root], async || {
            let from = ["a", "m", "z"][dice.below(3)];
            let to = ["0new", "n", "zz"][dice.below(3)];
            bob.mv(&format!("{root}/{from}"), &format!("{root}/{to}")).await.unwrap();
        })
        .await;
        let there = on_server(&mut bob, &root).await;
        let now = here(&here_root);
        let lost: Vec<_> = there.iter().filter(|(name, digest)| now.get(*name) != Some(digest)).collect();
        assert!(lost.is_empty(), "round {round} at {bytes}: {} are missing, {ran:?}", lost.len());
        // What came before it was renamed is here under both names, which is told.
        match ran.code {
            Some(0) => assert_eq!(now, there, "round {round} at {bytes}: {ran:?}"),
            code => {
                assert_eq!(code, Some(8), "round {round} at {bytes}: {ran:?}");
                assert!(ran.stderr.contains("renamed or deleted on the server meanwhile"), "{ran:?}");
                assert_ne!(now, there, "round {round} at {bytes}: {ran:?}");
            }
        }
    }
}

#[tokio::test]
async fn what_is_written_here_meanwhile_is_not_deleted() {
    let (world, alice) = alice().await;
    for file in 0..6 {
        alice.write(format!("d/keep{file}"), Pattern::new(file, 700 * KIB).whole());
    }
    alice.run(["put", "d"]).await.ok();
    for file in ["same", "longer", "other", "dir/same", "full/new/x"] {
        alice.write(format!("here/{file}"), "only here");
    }
    let line = ["sync", "--delete-anyway", ":d", "here"];
    let ran = stopped(&world, &alice, (Way::Down, MIB), &line, async || {
        alice.write("here/longer", "only here, and longer");
        alice.write("fresh", "only then");
        fs::rename(alice.desk().join("fresh"), alice.desk().join("here/other")).unwrap();
        alice.write("here/full/came", "meanwhile");
    })
    .await
    .exited(8);
    let left: Vec<_> = here(&alice.desk().join("here")).into_keys().collect();
    let keep = (0..6).map(|file| format!("keep{file}"));
    let expected: Vec<_> =
        ["full/came".to_owned()].into_iter().chain(keep).chain(["longer".into(), "other".into()]).collect();
    assert_eq!(left, expected, "{ran:?}");
    for path in ["here/longer", "here/other", "here/full"] {
        let told = format!("sealift: {path} was changed while this ran, and stays");
        assert!(ran.stderr.contains(&told), "{path}: {ran:?}");
    }
    assert!(ran.stderr.contains(", 5 deleted"), "{ran:?}");
}
