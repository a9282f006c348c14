//! `sealift sync`, in both directions.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use sealift_tests::{Computer, Pattern, Ran};

use crate::{KIB, alice};

async fn remote(computer: &Computer, path: &str) -> String {
    let ran = computer.run(["ls", "-R", path]).await.ok();
    ran.text().lines().collect::<Vec<_>>().join(" ")
}

fn set_time(path: &Path, seconds: u64, nanoseconds: u32) {
    let time = SystemTime::UNIX_EPOCH + Duration::new(seconds, nanoseconds);
    File::open(path).unwrap().set_modified(time).unwrap();
}

/// Everything below a directory of the desk: kind, content, time, whether it may be executed.
pub(crate) fn tree(computer: &Computer, root: &str) -> BTreeMap<String, String> {
    let root = computer.desk().join(root);
    let (mut found, mut directories) = (BTreeMap::new(), vec![root.clone()]);
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let metadata = path.symlink_metadata().unwrap();
            let time = metadata.modified().unwrap().duration_since(SystemTime::UNIX_EPOCH).unwrap();
            let what = if metadata.is_dir() {
                directories.push(path.clone());
                "directory".to_owned()
            } else if metadata.is_symlink() {
                format!("-> {}", fs::read_link(&path).unwrap().display())
            } else {
                let executable = metadata.permissions().mode() & 0o100 != 0;
                format!("{executable} {:?}", sealift_types::Digest::of(&fs::read(&path).unwrap()))
            };
            let name = path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
            found.insert(name, format!("{what} {time:?}"));
        }
    }
    found
}

fn finished(ran: &Ran) -> usize {
    ran.objects().iter().filter(|object| object["type"] == "finished").count()
}

#[track_caller]
fn counts(ran: &Ran, files: u64, moved: u64, unchanged: u64, deleted: u64) {
    let summary = ran.object("summary");
    let is = ["files", "moved", "unchanged", "deleted"].map(|key| summary[key].as_u64().unwrap());
    assert_eq!(is, [files, moved, unchanged, deleted], "files, moved, unchanged, deleted: {ran:?}");
}

#[tokio::test]
async fn only_what_differs_goes_up() {
    let (_world, alice) = alice().await;
    alice.write("d/a", "first");
    alice.write("d/sub/b", Pattern::new(1, 100 * KIB).whole());
    fs::create_dir_all(alice.desk().join("d/empty/deep")).unwrap();
    let ran = alice.run(["sync", "d", ":docs/d"]).await.ok();
    assert!(ran.stderr.starts_with("stored 2 files (100 KiB in "), "{ran:?}");
    assert!(ran.stderr.ends_with("; 0 unchanged\n"), "{ran:?}");
    assert_eq!(remote(&alice, "docs").await, "d/ d/a d/empty/ d/empty/deep/ d/sub/ d/sub/b");
    for line in [["--json", "sync", "d", ":docs/d"], ["--json", "sync", "d/", ":docs/d/"]] {
        let ran = alice.run(line).await.ok();
        counts(&ran, 0, 0, 2, 0);
        assert_eq!(ran.objects().len(), 1, "{ran:?}");
    }
    // Other content of the same size; nothing but the time; nothing but the mode.
    alice.write("d/a", "other");
    set_time(&alice.desk().join("d/a"), 1_000_000_000, 5);
    let ran = alice.run(["--json", "sync", "d", ":docs/d"]).await.ok();
    counts(&ran, 1, 0, 1, 0);
    set_time(&alice.desk().join("d/sub/b"), 1_000_000_000, 5);
    let ran = alice.run(["--json", "sync", "d", ":docs/d"]).await.ok();
    counts(&ran, 0, 0, 1, 0);
    assert_eq!(ran.object("summary")["touched"], 1);
    assert!(ran.object("finished")["wire_bytes"].as_u64().unwrap() < KIB, "{ran:?}");
    fs::set_permissions(alice.desk().join("d/a"), PermissionsExt::from_mode(0o755)).unwrap();
    let ran = alice.run(["--json", "sync", "d", ":docs/d"]).await.ok();
    counts(&ran, 0, 0, 1, 0);
    assert_eq!(ran.object("summary")["touched"], 1);
    // What has the same size and time is equal, unless contents are compared.
    alice.write("d/a", "third");
    set_time(&alice.desk().join("d/a"), 1_000_000_000, 5);
    counts(&alice.run(["--json", "sync", "d", ":docs/d"]).await.ok(), 0, 0, 2, 0);
    counts(&alice.run(["--json", "sync", "-c", "d", ":docs/d"]).await.ok(), 1, 0, 1, 0);
    assert_eq!(alice.run(["get", "docs/d/a", "-"]).await.ok().text(), "third");
    // Seconds are enough where one side has no more.
    set_time(&alice.desk().join("d/a"), 1_000_000_000, 0);
    counts(&alice.run(["--json", "sync", "d", ":docs/d"]).await.ok(), 0, 0, 2, 0);
}

#[tokio::test]
async fn only_what_differs_comes_down() {
    let (_world, alice) = alice().await;
    alice.write("d/a", "first");
    alice.write("d/sub/b", Pattern::new(1, 100 * KIB).whole());
    fs::create_dir_all(alice.desk().join("d/empty/deep")).unwrap();
    alice.run(["sync", "d", ":"]).await.ok();
    let ran = alice.run(["sync", ":", "new/copy"]).await.ok();
    assert!(ran.stderr.starts_with("fetched 2 files (100 KiB in "), "{ran:?}");
    assert_eq!(tree(&alice, "d"), tree(&alice, "new/copy"));
    let ran = alice.run(["--json", "sync", ":", "new/copy/"]).await.ok();
    counts(&ran, 0, 0, 2, 0);
    assert_eq!(ran.objects().len(), 1, "{ran:?}");
    // Nothing but the time, nothing but the mode: nothing is fetched.
    set_time(&alice.desk().join("new/copy/a"), 1_000_000_000, 5);
    fs::set_permissions(alice.desk().join("new/copy/sub/b"), PermissionsExt::from_mode(0o755)).unwrap();
    let ran = alice.run(["--json", "sync", ":", "new/copy"]).await.ok();
    counts(&ran, 0, 0, 2, 0);
    assert_eq!(ran.object("summary")["touched"], 2);
    assert_eq!(tree(&alice, "d"), tree(&alice, "new/copy"));
    let time = alice.desk().join("d/a").metadata().unwrap().modified().unwrap();
    alice.write("new/copy/a", "other");
    File::open(alice.desk().join("new/copy/a")).unwrap().set_modified(time).unwrap();
    counts(&alice.run(["--json", "sync", ":", "new/copy"]).await.ok(), 0, 0, 2, 0);
    counts(&alice.run(["--json", "sync", "--checksum", ":", "new/copy"]).await.ok(), 1, 0, 1, 0);
    assert_eq!(tree(&alice, "d"), tree(&alice, "new/copy"));
    alice.run(["sync", ":missing", "new/copy"]).await.refused(3);
    alice.run(["sync", "missing", ":"]).await.refused(3);
    alice.run(["sync", "d/a", ":"]).await.refused(1);
    alice.run(["sync", ":a", "d"]).await.refused(1);
    alice.run(["sync", ":", "d/a"]).await.refused(1);
    alice.run(["sync", "a", "b"]).await.refused(2);
}

#[tokio::test]
async fn what_moved_is_not_transferred() {
    let (_world, alice) = alice().await;
    for (file, size) in
        [("small", 10), ("inline", 64 * KIB), ("large", 300 * KIB), ("stays", 20), ("too", 30)]
    {
        alice.write(format!("d/old/{file}"), Pattern::new(size, size).whole());
    }
    alice.run(["sync", "d", ":d"]).await.ok();
    alice.run(["sync", ":d", "mirror"]).await.ok();
    fs::create_dir_all(alice.desk().join("d/new")).unwrap();
    for file in ["small", "inline", "large"] {
        fs::rename(alice.desk().join(format!("d/old/{file}")), alice.desk().join(format!("d/new/{file}-2")))
            .unwrap();
    }
    fs::copy(alice.desk().join("d/old/stays"), alice.desk().join("d/stays")).unwrap();
    let told = alice.run(["sync", "-n", "--delete", "d", ":d"]).await.ok();
    assert!(
        told.text().contains("would move /alice/d/old/large -> /alice/d/new/large-2 (300 KiB)\n"),
        "{told:?}"
    );
    let ran = alice.run(["--json", "sync", "--delete", "d", ":d"]).await.ok();
    counts(&ran, 0, 4, 2, 3);
    for object in ran.objects().iter().filter(|object| object["type"] == "finished") {
        assert_eq!(object["deduplicated"], true, "{object}");
        assert!(object["wire_bytes"].as_u64().unwrap() < KIB, "{object}");
    }
    let there = "new/ new/inline-2 new/large-2 new/small-2 old/ old/stays old/too stays";
    assert_eq!(remote(&alice, "d").await, there);

    let told = alice.run(["sync", "-n", "--delete", ":d", "mirror"]).await.ok();
    assert!(
        told.text().contains("would move mirror/old/large -> mirror/new/large-2 (300 KiB)\n"),
        "{told:?}"
    );
    assert!(!told.text().contains("would delete"), "{told:?}");
    let ran = alice.run(["--json", "sync", "--delete", ":d", "mirror"]).await.ok();
    counts(&ran, 1, 3, 2, 0);
    assert_eq!(tree(&alice, "d"), tree(&alice, "mirror"));
}

#[tokio::test]
async fn a_renamed_directory_is_no_loss() {
    let (_world, alice) = alice().await;
    for file in 0..10 {
        alice.write(format!("d/a/b/{file}"), Pattern::new(file, 1000 + file).whole());
    }
    alice.run(["sync", "d", ":d"]).await.ok();
    alice.run(["sync", ":d", "mirror"]).await.ok();
    fs::rename(alice.desk().join("d/a"), alice.desk().join("d/z")).unwrap();
    counts(&alice.run(["--json", "sync", "--delete", "d", ":d"]).await.ok(), 0, 10, 0, 12);
    counts(&alice.run(["--json", "sync", "--delete", ":d", "mirror"]).await.ok(), 0, 10, 0, 2);
    assert_eq!(tree(&alice, "d"), tree(&alice, "mirror"));
}

#[tokio::test]
async fn more_than_half_is_not_deleted_by_accident() {
    let (_world, alice) = alice().await;
    for file in ["a", "b", "c/d", "c/e"] {
        alice.write(format!("d/{file}"), file);
    }
    alice.run(["sync", "d", ":d"]).await.ok();
    alice.run(["sync", ":d", "mirror"]).await.ok();
    // An empty source is the classic.
    fs::create_dir(alice.desk().join("empty")).unwrap();
    for delete in [&["--delete"][..], &["--delete", "-n"]] {
        let ran = alice.run(["sync", "empty", ":d"].iter().chain(delete)).await.refused(1);
        assert!(ran.stderr.contains("4 of the 4 files in the destination would go"), "{ran:?}");
        assert!(ran.stderr.contains("--delete-anyway"), "{ran:?}");
    }
    assert_eq!(remote(&alice, "d").await, "a b c/ c/d c/e");
    alice.run(["sync", "--delete-anyway", "empty", ":d"]).await.ok();
    assert_eq!(remote(&alice, "d").await, "");
    let ran = alice.run(["sync", "--delete", ":d", "mirror"]).await.refused(1);
    assert!(ran.stderr.contains("4 of the 4 files in the destination would go"), "{ran:?}");
    assert_eq!(tree(&alice, "mirror").len(), 5);
    alice.run(["sync", ":d", "mirror"]).await.ok();
    assert_eq!(tree(&alice, "mirror").len(), 5, "nothing goes without --delete");
    alice.run(["sync", "--delete-anyway", ":d", "mirror"]).await.ok();
    assert!(tree(&alice, "mirror").is_empty());
}

#[tokio::test]
async fn what_is_excluded_is_neither_sent_nor_deleted() {
    let (_world, alice) = alice().await;
    for file in ["keep/a", "keep/x.tmp", "b", "c", "d"] {
        alice.write(format!("old/{file}"), file);
    }
    alice.run(["sync", "old", ":d"]).await.ok();
    alice.run(["sync", "old", ":e"]).await.ok();
    for file in ["b", "c", "d", "y.tmp"] {
        alice.write(format!("new/{file}"), file);
    }
    let ran = alice.run(["--json", "sync", "--delete", "--exclude", "*.tmp", "new", ":d"]).await.ok();
    assert_eq!(ran.object("summary")["deleted"], 1);
    assert_eq!(remote(&alice, "d").await, "b c d keep/ keep/x.tmp");
    alice.run(["rm", "-r", "d/keep"]).await.ok();
    let part = ".sealift-0123456789abcdef.sealift-part";
    alice.write(format!("old/keep/{part}"), "a download under way");
    alice.run(["sync", "--delete", "--exclude", "*.tmp", ":d", "old"]).await.ok();
    let left: Vec<_> = tree(&alice, "old").into_keys().collect();
    assert_eq!(left, ["b", "c", "d", "keep", &format!("keep/{part}"), "keep/x.tmp"]);
}

#[tokio::test]
async fn what_is_of_another_kind_is_replaced_only_with_delete() {
    let (_world, alice) = alice().await;
    for file in ["a/x", "b", "1", "2", "3", "4"] {
        alice.write(format!("old/{file}"), "old");
    }
    for file in ["a", "b/y", "1", "2", "3", "4"] {
        alice.write(format!("new/{file}"), "new");
    }
    alice.run(["sync", "old", ":d"]).await.ok();
    let ran = alice.run(["sync", "new", ":d"]).await.refused(8);
    assert!(ran.stderr.contains("new/a is a directory on one side only"), "{ran:?}");
    assert!(remote(&alice, "d").await.ends_with(" a/ a/x b"));
    let told = alice.run(["sync", "-n", "--delete", "new", ":d"]).await.ok();
    for line in ["would delete /alice/d/a/", "would store /alice/d/a (3 B)", "would mkdir /alice/d/b/"] {
        assert!(told.text().lines().any(|told| told == line), "{line}: {told:?}");
    }
    alice.run(["sync", "--delete", "new", ":d"]).await.ok();
    assert_eq!(remote(&alice, "d").await, "1 2 3 4 a b/ b/y");

    let ran = alice.run(["sync", ":d", "old"]).await.refused(8);
    assert!(ran.stderr.contains("old/a is a directory on one side only"), "{ran:?}");
    alice.run(["sync", "--delete", ":d", "old"]).await.ok();
    assert_eq!(tree(&alice, "old"), tree(&alice, "new"));
}

#[tokio::test]
async fn links_are_left_alone_or_kept_and_never_followed() {
    let (_world, alice) = alice().await;
    alice.write("outside/secret", "s");
    alice.write("d/x", "x");
    alice.write("d/y", "y");
    symlink("x", alice.desk().join("d/link")).unwrap();
    let ran = alice.run(["sync", "d", ":d"]).await.ok();
    assert!(ran.stderr.contains("d/link is a symbolic link, and was skipped"), "{ran:?}");
    assert_eq!(remote(&alice, "d").await, "x y");
    alice.run(["sync", "--delete", ":d", "d"]).await.ok();
    assert!(alice.desk().join("d/link").is_symlink(), "without --links they are left alone");
    alice.run(["sync", "--links", "d", ":d"]).await.ok();
    assert_eq!(remote(&alice, "d").await, "link@ x y");
    let ran = alice.run(["--json", "sync", "--links", "--delete", "d", ":d"]).await.ok();
    assert_eq!(ran.objects().len(), 1, "{ran:?}");
    // An extra link goes, what it leads to does not.
    symlink("../outside", alice.desk().join("d/out")).unwrap();
    alice.run(["sync", "--links", "--delete", ":d", "d"]).await.ok();
    assert!(!alice.desk().join("d/out").is_symlink() && alice.read("outside/secret") == b"s");
    // A link where a directory is to be.
    alice.write("e/out/planted", "p");
    alice.run(["put", "e/", "d"]).await.ok();
    symlink("../outside", alice.desk().join("d/out")).unwrap();
    let ran = alice.run(["sync", "--delete", ":d", "d"]).await.refused(8);
    assert!(ran.stderr.contains("d/out is a symbolic link, which is not followed"), "{ran:?}");
    assert_eq!(fs::read_dir(alice.desk().join("outside")).unwrap().count(), 1);
    alice.run(["sync", "--delete", "--links", ":d", "d"]).await.ok();
    assert_eq!(alice.read("d/out/planted"), b"p");
    assert_eq!(fs::read_dir(alice.desk().join("outside")).unwrap().count(), 1);
}

#[tokio::test]
async fn odd_names_and_failures() {
    let (_world, alice) = alice().await;
    let names =
        ["-rf", " ", "日本語", "e\u{301}", "a b", "a-b", "a.b", "a/b", "~", "*", "\u{e9}2", "A", "a0"];
    for name in names {
        alice.write(format!("d/{name}"), name);
    }
    alice.run(["sync", "d", ":d"]).await.ok();
    alice.run(["sync", ":d", "back"]).await.ok();
    assert_eq!(tree(&alice, "d"), tree(&alice, "back"));
    let ran = alice.run(["--json", "sync", "--delete", "d", ":d"]).await.ok();
    assert_eq!(ran.objects().len(), 1, "{ran:?}");
    // The same name in another spelling.
    fs::rename(alice.desk().join("back/e\u{301}"), alice.desk().join("back/\u{e9}")).unwrap();
    let ran = alice.run(["--json", "sync", "--delete", ":d", "back"]).await.ok();
    counts(&ran, 0, 0, names.len() as u64, 0);
    // What cannot be sent keeps what is there from being deleted.
    let name = <std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(b"d/\xff");
    fs::write(alice.desk().join(name), "").unwrap();
    fs::remove_file(alice.desk().join("d/*")).unwrap();
    let ran = alice.run(["sync", "--delete", "d", ":d"]).await.refused(8);
    assert!(ran.stderr.contains("nothing was deleted, because"), "{ran:?}");
    assert!(remote(&alice, "d").await.contains('*'));
}

#[tokio::test]
async fn a_dry_run_changes_nothing() {
    let (_world, alice) = alice().await;
    for file in ["a", "b", "c", "gone"] {
        alice.write(format!("d/{file}"), file);
    }
    alice.run(["sync", "d", ":d"]).await.ok();
    alice.write("e/a", "a longer one");
    alice.write("e/sub/new", "12345");
    for file in ["b", "c"] {
        fs::copy(alice.desk().join("d").join(file), alice.desk().join("e").join(file)).unwrap();
        let time = alice.desk().join("d").join(file).metadata().unwrap().modified().unwrap();
        File::open(alice.desk().join("e").join(file)).unwrap().set_modified(time).unwrap();
    }
    let before = (remote(&alice, "d").await, alice.files());
    set_time(&alice.desk().join("e"), 5, 0);
    let ran = alice.run(["sync", "-n", "--delete", "e", ":d"]).await.ok();
    assert_eq!(
        ran.text(),
        "would touch /alice/d/\nwould update /alice/d/a (12 B)\nwould mkdir /alice/d/sub/\n\
         would store /alice/d/sub/new (5 B)\nwould delete /alice/d/gone\n"
    );
    assert!(
        ran.stderr.starts_with("would store 2 files (17 B), 1 touched, 1 deleted; 2 unchanged"),
        "{ran:?}"
    );
    let ran = alice.run(["--json", "sync", "-n", "--delete", ":d", "e"]).await.ok();
    let told: Vec<_> = ran
        .objects()
        .iter()
        .filter(|object| object["type"] == "would")
        .map(|object| format!("{} {}", object["action"].as_str().unwrap(), object["local"].as_str().unwrap()))
        .collect();
    assert_eq!(told, ["update e/a", "fetch e/gone", "delete e/sub/new", "delete e/sub/"]);
    let ran = alice.run(["sync", "-n", ":d", "missing/deep"]).await.ok();
    assert_eq!(ran.text().lines().count(), 4);
    assert_eq!((remote(&alice, "d").await, alice.files()), before);
}

/// A tree as a list of files: where, which content, how large, when, whether it may be executed.
type Plan = BTreeMap<String, (u64, u64, u64, bool)>;

fn plans() -> impl Strategy<Value = Plan> {
    let name = prop_oneof!["[a-c]", "d[a-c]/[a-c]", "d[ab]/[ef]/[a-c]", "[.]?[ -,][é日]"];
    let size = prop_oneof![0..4u64, Just(64 * KIB), Just(64 * KIB + 1)];
    let file = (0..3u64, size, 0..4u64, any::<bool>());
    prop::collection::btree_map(name, file, 0..14)
}

fn plant(computer: &Computer, root: &str, plan: &Plan) {
    fs::create_dir_all(computer.desk().join(root)).unwrap();
    for (name, (seed, size, time, executable)) in plan {
        let path = computer.write(format!("{root}/{name}"), Pattern::new(*seed, *size).whole());
        let mode = if *executable { 0o755 } else { 0o644 };
        fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        set_time(&path, 1_000_000_000 + time, 5);
    }
}

/// Whatever is on either side: up, then down into a third tree, makes them equal, and once more does nothing.
#[tokio::test]
async fn trees_become_equal_and_stay_so() {
    let (_world, alice) = alice().await;
    let mut runner = TestRunner::deterministic();
    for case in 0..12 {
        let plan = || plans();
        let mut draw = || plan().new_tree(&mut runner).unwrap().current();
        let (old, new, mirror) = (draw(), draw(), draw());
        for root in ["old", "new", "mirror"] {
            let _ = fs::remove_dir_all(alice.desk().join(root));
        }
        plant(&alice, "old", &old);
        plant(&alice, "new", &new);
        plant(&alice, "mirror", &mirror);
        // Contents decide: times may agree by accident.
        let flags = ["--json", "sync", "--delete-anyway", "--checksum"];
        alice.run(flags.iter().chain(&["old", ":d"])).await.ok();
        alice.run(flags.iter().chain(&["new", ":d"])).await.ok();
        alice.run(flags.iter().chain(&[":d", "mirror"])).await.ok();
        assert_eq!(tree(&alice, "new"), tree(&alice, "mirror"), "case {case}: {old:?} {new:?} {mirror:?}");
        for line in [["--delete", "new", ":d"], ["--delete", ":d", "mirror"], ["-c", ":d", "new"]] {
            let ran = alice.run(["--json", "sync"].iter().chain(&line)).await.ok();
            assert_eq!((finished(&ran), ran.objects().len()), (0, 1), "case {case} {line:?}: {ran:?}");
        }
    }
}
