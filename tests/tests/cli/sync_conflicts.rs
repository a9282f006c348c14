//! What stands in the way of a tree, spellings of one name, and sources that do not keep still.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::time::{Duration, SystemTime};

use sealift_tests::{Computer, Pattern};

use crate::gate::{Gate, Way};
use crate::{KIB, MIB, alice};

async fn remote(computer: &Computer, path: &str) -> String {
    let ran = computer.run(["ls", "-R", path]).await.ok();
    ran.text().lines().collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn a_directory_that_cannot_go_is_named_and_not_promised() {
    let (_world, alice) = alice().await;
    let blocked = "is a directory at the destination and holds what is left alone";
    for file in ["a/keep.tmp", "a/y", "b/z", "1", "2", "3", "4"] {
        alice.write(format!("old/{file}"), file);
    }
    for file in ["a", "b", "1", "2", "3", "4"] {
        alice.write(format!("new/{file}"), "new");
    }
    let exclude = ["--delete", "--exclude", "*.tmp"];
    alice.run(["sync", "old", ":d"]).await.ok();
    let told = alice.run(["sync", "-n", "new", ":d"].iter().chain(&exclude)).await.refused(8);
    assert!(told.stderr.contains(&format!("new/a {blocked}")), "{told:?}");
    assert!(!told.text().contains("would store /alice/d/a "), "{told:?}");
    assert!(told.text().contains("would store /alice/d/b "), "{told:?}");
    for again in [false, true] {
        let ran = alice.run(["sync", "new", ":d"].iter().chain(&exclude)).await.refused(8);
        assert!(ran.stderr.contains(&format!("new/a {blocked}")), "{again} {ran:?}");
        assert_eq!(remote(&alice, "d").await, "1 2 3 4 a/ a/keep.tmp b");
    }
    // The other way round, with each of what is left alone.
    alice.run(["put", "new"]).await.ok();
    for kind in ["excluded", "pipe", "link", "part"] {
        let here = format!("here-{kind}");
        alice.run(["sync", ":d", &here]).await.ok();
        let path = |name: &str| alice.desk().join(&here).join(name);
        fs::remove_file(path("a/keep.tmp")).unwrap();
        fs::remove_file(path("b")).unwrap();
        alice.write(format!("{here}/b/z"), "z");
        match kind {
            "excluded" => fs::write(path("a/x.tmp"), "x").unwrap(),
            "pipe" => {
                rustix::fs::mkfifoat(rustix::fs::CWD, path("a/pipe"), rustix::fs::Mode::RUSR).unwrap();
            }
            "link" => symlink("nowhere", path("a/link")).unwrap(),
            _ => fs::write(path("a/.sealift-0123456789abcdef.sealift-part"), "x").unwrap(),
        }
        let told = alice.run(["sync", "-n", ":new", &here].iter().chain(&exclude)).await.refused(8);
        assert!(told.stderr.contains(&format!("{here}/a {blocked}")), "{told:?}");
        assert!(!told.text().contains(&format!("would fetch {here}/a ")), "{told:?}");
        assert!(told.text().contains(&format!("would fetch {here}/b ")), "{told:?}");
        let ran = alice.run(["sync", ":new", &here].iter().chain(&exclude)).await.refused(8);
        assert!(ran.stderr.contains(&format!("{here}/a {blocked}")), "{ran:?}");
        assert!(path("a").is_dir() && fs::read(path("b")).unwrap() == b"new", "{kind}");
    }
}

#[tokio::test]
async fn without_links_no_link_is_replaced() {
    let (_world, alice) = alice().await;
    alice.write("files/x", "a file");
    fs::create_dir(alice.desk().join("links")).unwrap();
    symlink("nowhere", alice.desk().join("links/x")).unwrap();
    alice.run(["sync", "--links", "links", ":links"]).await.ok();
    alice.run(["sync", "files", ":files"]).await.ok();
    let stays = "x is a symbolic link at the destination, which is left alone: --links lets it be replaced";
    for line in [["files", ":links"], [":files", "links"]] {
        for flags in [&["sync"][..], &["sync", "--delete"], &["sync", "-n"]] {
            let ran = alice.run(flags.iter().chain(&line)).await.refused(8);
            assert!(ran.stderr.contains(stays), "{line:?} {ran:?}");
        }
    }
    assert!(alice.desk().join("links/x").is_symlink());
    assert_eq!(remote(&alice, "links").await, "x@");
    alice.run(["sync", "--links", ":files", "links"]).await.ok();
    assert_eq!(alice.read("links/x"), b"a file");
    alice.run(["sync", "--links", "files", ":links"]).await.ok();
    assert_eq!(remote(&alice, "links").await, "x");
}

#[tokio::test]
async fn two_spellings_of_one_name_are_named() {
    let (_world, alice) = alice().await;
    for name in ["caf\u{e9}", "cafe\u{301}", "d/\u{e9}/a", "d/e\u{301}/b", "\u{212a}", "K"] {
        alice.write(format!("t/{name}"), name);
    }
    for line in [&["put", "t"][..], &["put", "-n", "t"], &["put", "t/", "u/"], &["sync", "t", ":t"]] {
        let ran = alice.run(line).await.refused(8);
        let told = ran.stderr.matches("in another spelling of Unicode").count();
        assert_eq!(told, 3, "{line:?} {ran:?}");
    }
    // What is left out is no twin of anything.
    let ran = alice.run(["put", "--exclude", "caf*", "--exclude", "d", "--exclude", "K", "t"]).await;
    assert!(!ran.stderr.contains("in another spelling of Unicode"), "{ran:?}");
}

#[tokio::test]
async fn excludes_know_all_spellings() {
    let (_world, alice) = alice().await;
    let (composed, decomposed) = ("caf\u{e9}.txt", "cafe\u{301}.txt");
    for (pattern, name) in [(composed, decomposed), (decomposed, composed)] {
        for file in ["1", "2", name] {
            alice.write(format!("old/{file}"), file);
        }
        for file in ["1", "2"] {
            alice.write(format!("new/{file}"), file);
        }
        alice.run(["sync", "--delete-anyway", "old", ":d"]).await.ok();
        alice.run(["sync", "--delete", "--exclude", pattern, "new", ":d"]).await.ok();
        assert_eq!(remote(&alice, "d").await, format!("1 2 {name}"));
        alice.run(["sync", "--delete-anyway", "new", ":n"]).await.ok();
        alice.run(["sync", "--delete", "--exclude", pattern, ":n", "old"]).await.ok();
        assert!(alice.desk().join("old").join(name).exists());
        alice.run(["put", "--exclude", pattern, "old/", "p"]).await.ok();
        assert_eq!(remote(&alice, "p").await, "1 2");
        fs::remove_dir_all(alice.desk().join("old")).unwrap();
    }
}

/// Stops an upload after its first mebibyte and changes the source.
async fn changed(
    line: &[&str],
    change: impl FnOnce(&Computer),
) -> (Computer, sealift_tests::World, sealift_tests::Ran) {
    let (world, alice) = alice().await;
    alice.write("secret/inside/key", "secret");
    alice.write("secret/file", Pattern::new(9, 100 * KIB).whole());
    alice.write("d/a", Pattern::new(1, 4 * MIB).whole());
    // More than is read ahead of the wire.
    for file in 0..300 {
        alice.write(format!("d/b/{file}"), Pattern::new(file, 20 * KIB).whole());
    }
    for file in ["c/large", "c/inside/key", "c/small", "c/gone"] {
        alice.write(format!("d/{file}"), Pattern::new(2, 100 * KIB).whole());
    }
    let mut gate = Gate::before(world.address, Way::Up, MIB).await;
    let server = gate.server();
    let running = alice.call(line.iter().copied().chain(["--server", server.as_str()])).start();
    gate.reached().await;
    change(&alice);
    gate.open();
    let ran = running.ended().await;
    (alice, world, ran)
}

#[tokio::test]
async fn links_that_take_the_place_of_files_are_not_followed() {
    for line in [&["put", "--connections", "1", "d"][..], &["sync", "--connections", "1", "d", ":d"]] {
        let (alice, _world, ran) = changed(line, |alice| {
            let path = |name: &str| alice.desk().join(name);
            for file in ["large", "small"] {
                fs::remove_file(path("d/c").join(file)).unwrap();
                symlink("../../secret/file", path("d/c").join(file)).unwrap();
            }
            fs::remove_dir_all(path("d/c/inside")).unwrap();
            symlink("../../secret/inside", path("d/c/inside")).unwrap();
        })
        .await;
        alice.run(["sync", ":d", "back"]).await.ok();
        let secrets = [alice.read("secret/inside/key"), alice.read("secret/file")];
        for file in alice.files().iter().filter(|file| file.starts_with("back/") && !file.ends_with('/')) {
            assert!(!secrets.contains(&alice.read(file)), "{line:?}: {file} {ran:?}");
        }
    }
}

#[tokio::test]
async fn what_vanishes_meanwhile_is_a_warning() {
    for line in
        [&["put", "--connections", "1", "d"][..], &["sync", "--delete", "--connections", "1", "d", ":d"]]
    {
        let (alice, _world, ran) = changed(line, |alice| {
            fs::remove_dir_all(alice.desk().join("d/c")).unwrap();
        })
        .await;
        let ran = ran.exited(0);
        assert_eq!(remote(&alice, "d/b").await.split(' ').count(), 300, "{ran:?}");
    }
    // A file that was asked for is another matter.
    let (_world, alice) = alice().await;
    alice.run(["put", "missing"]).await.refused(3);
}

#[tokio::test]
async fn files_that_are_written_to_are_stored_if_that_is_allowed() {
    let (world, alice) = alice().await;
    let log = Pattern::new(1, 64 * MIB).whole();
    for (flags, code) in [(&["put"][..], 1), (&["put", "--allow-changing"], 0)] {
        let path = alice.write("log", &log);
        let mut gate = Gate::before(world.address, Way::Up, MIB).await;
        let server = gate.server();
        let running = alice.call(flags.iter().chain(&["log", "--server", server.as_str()])).start();
        gate.reached().await;
        let mut file = File::options().append(true).open(&path).unwrap();
        std::io::Write::write_all(&mut file, b"one more line").unwrap();
        gate.open();
        let ran = running.ended().await.exited(code);
        let stored = alice.run(["get", "log", "-"]).await;
        assert!((stored.stdout == log) == (code == 0), "{ran:?}");
    }
}

#[tokio::test]
async fn times_beyond_all_measure_become_the_nearest() {
    let (_world, alice) = alice().await;
    alice.write("d/near", "near");
    let path = alice.write("d/far", "far");
    let far = SystemTime::UNIX_EPOCH + Duration::from_secs(12_000_000_000);
    File::options().write(true).open(&path).unwrap().set_modified(far).unwrap();
    if path.metadata().unwrap().modified().unwrap() != far {
        return; // This file system knows no such time.
    }
    let ran = alice.run(["put", "-u", "d"]).await.ok();
    assert!(ran.stderr.contains("d/far was modified before 1677 or after 2262"), "{ran:?}");
    assert_eq!(remote(&alice, "d").await, "far near");
    let ran = alice.run(["--json", "sync", "d", ":d"]).await.ok();
    assert_eq!(ran.object("summary")["unchanged"], 2, "{ran:?}");
}

#[tokio::test]
async fn unfinished_downloads_of_what_has_gone_are_deleted_too() {
    let (_world, alice) = alice().await;
    for file in ["t/a", "t/b", "t/c"] {
        alice.write(file, file);
    }
    alice.run(["put", "t"]).await.ok();
    alice.run(["sync", ":t", "m"]).await.ok();
    let part = |name: &str| format!(".{name}.{}.sealift-part", sealift_types::Digest::of(b"x"));
    let (beside, inside) = (format!("m/{}", part("a")), format!("m/gone/{}", part("big")));
    let paths = [&beside, &inside].map(|path| alice.write(path, "x"));
    alice.run(["sync", ":t", "m"]).await.ok();
    alice.run(["sync", "-n", "--delete", ":t", "m"]).await.ok();
    assert!(paths.iter().all(|path| path.exists()));
    // Somebody goes on with one.
    let locked = fs::File::open(&paths[1]).unwrap();
    locked.lock().unwrap();
    alice.run(["sync", "--delete", ":t", "m"]).await.ok();
    assert!(!paths[0].exists() && paths[1].exists());
    drop(locked);
    let ran = alice.run(["sync", "--delete", ":t", "m"]).await.ok();
    assert!(ran.stderr.contains(", 2 deleted"), "{ran:?}");
    assert!(!alice.desk().join("m/gone").exists());
}

#[tokio::test]
async fn a_source_that_is_not_there_is_named_and_a_withheld_run_says_only_that() {
    let (_world, alice) = alice().await;
    let ran = alice.run(["sync", ":missing", "m"]).await.refused(3);
    assert_eq!(ran.stderr, "sealift: there is no missing on the server: `sealift ls` shows what is there\n");
    for file in ["t/a", "t/b", "t/c"] {
        alice.write(file, file);
    }
    alice.run(["sync", "t", ":t"]).await.ok();
    for file in ["t/b", "t/c"] {
        fs::remove_file(alice.desk().join(file)).unwrap();
    }
    let ran = alice.run(["sync", "--delete", "t", ":t"]).await.refused(1);
    // The directory got another time, which is no transfer.
    assert!(ran.stderr.starts_with("sealift: nothing was deleted: 2 of the 3 files"), "{ran:?}");
}
