//! Disks without permissions, exact times and case: syncing comes to an end there.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, SystemTime};

use sealift_tests::{CoarseDisk, Computer};

use crate::alice;

/// What syncing once more does: files transferred, touched, unchanged.
async fn again(alice: &Computer, from: &str, to: &str) -> [u64; 3] {
    let ran = alice.run(["--json", "sync", "--delete", from, to]).await.ok();
    let summary = ran.object("summary");
    ["files", "touched", "unchanged"].map(|key| summary[key].as_u64().unwrap())
}

/// The files on the server that may be executed.
async fn executable(alice: &Computer, directory: &str) -> Vec<String> {
    let entries = alice.run(["--json", "ls", "-R", directory]).await.ok().objects();
    let names = entries.iter().filter(|entry| entry["executable"] == true);
    names.map(|entry| entry["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn syncing_settles_and_marks_nothing_executable() {
    let (_world, alice) = alice().await;
    let Some(disk) = CoarseDisk::mount(&alice.desk().join("fat")) else { return };
    let time = SystemTime::UNIX_EPOCH + Duration::new(1_709_210_097, 123_456_789);
    for name in ["t/run", "t/text", "t/deep/x"] {
        let path = alice.write(name, name);
        File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
    }
    fs::set_permissions(alice.desk().join("t/run"), Permissions::from_mode(0o755)).unwrap();
    alice.run(["sync", "t", ":t"]).await.ok();

    alice.run(["sync", ":t", "fat/t"]).await.ok();
    assert_eq!(again(&alice, ":t", "fat/t").await, [0, 0, 3], "down");
    assert_eq!(again(&alice, "fat/t", ":t").await, [0, 0, 3], "up");
    assert_eq!(again(&alice, "t", ":t").await, [0, 0, 3], "from where it came");
    assert_eq!(executable(&alice, "t").await, ["run"]);

    // What is changed here is stored, and the server keeps what cannot be told here.
    for name in ["run", "text", "new"] {
        fs::write(disk.path().join("t").join(name), "changed").unwrap();
    }
    assert_eq!(again(&alice, "fat/t", ":t").await, [3, 0, 1]);
    assert_eq!(again(&alice, "fat/t", ":t").await, [0, 0, 4]);
    assert_eq!(executable(&alice, "t").await, ["run"]);
    alice.run(["put", "fat/t/text", "fat/t/deep", "put/"]).await.ok();
    assert_eq!(executable(&alice, "put").await, Vec::<String>::new());
    let left: Vec<_> = fs::read_dir(disk.path().join("t")).unwrap().flatten().collect();
    assert_eq!(left.len(), 4, "{left:?}");
}

#[tokio::test]
async fn names_that_differ_by_case_are_told_of_and_not_mixed_up() {
    let (_world, alice) = alice().await;
    let Some(disk) = CoarseDisk::mount(&alice.desk().join("fat")) else { return };
    for name in ["t/a", "t/A", "t/d/x", "t/D/y", "t/z"] {
        alice.write(name, name);
    }
    alice.run(["put", "t"]).await.ok();
    for line in
        [&["get", "t", "fat/got/"][..], &["get", "-n", "t", "fat/got/"], &["sync", ":t", "fat/synced"]]
    {
        let ran = alice.run(line).await.exited(8);
        assert!(ran.stderr.contains("/a differs from another name only by case"), "{line:?}: {ran:?}");
        assert!(ran.stderr.contains("/d differs from another name only by case"), "{line:?}: {ran:?}");
    }
    let ran = alice.run(["get", "t/a", "t/A", "fat/"]).await.exited(2);
    assert!(ran.stderr.contains("case"), "{ran:?}");
    for root in ["got/t", "synced"] {
        let root = disk.path().join(root);
        assert_eq!(fs::read_to_string(root.join("A")).unwrap(), "t/A");
        assert_eq!(fs::read_dir(root.join("D")).unwrap().count(), 1);
    }

    // Another case on the server becomes another case here.
    alice.run(["rm", "-r", "t/a", "t/d"]).await.ok();
    alice.run(["sync", "--delete", ":t", "fat/synced"]).await.ok();
    for (from, to) in [("t/A", "t/a"), ("t/D", "t/d")] {
        alice.run(["mv", from, to]).await.ok();
    }
    let before = alice.run(["sync", ":t", "fat/synced"]).await.exited(8);
    assert!(before.stderr.contains("differs from another name only by case"), "{before:?}");
    alice.run(["sync", "--delete-anyway", ":t", "fat/synced"]).await.ok();
    let mut names: Vec<_> =
        fs::read_dir(disk.path().join("synced")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["a", "d", "z"]);
    assert_eq!(fs::read_to_string(disk.path().join("synced/a")).unwrap(), "t/A");
    assert_eq!(fs::read_to_string(disk.path().join("synced/d/y")).unwrap(), "t/D/y");
    assert_eq!(again(&alice, ":t", "fat/synced").await, [0, 0, 3]);
}
