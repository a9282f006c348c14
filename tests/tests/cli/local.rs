//! Files of this computer that cannot be read or written.

use std::fs::{self, File};
use std::os::unix::fs::symlink;

use insta::assert_snapshot;
use rustix::fs::{CWD, Mode, mkfifoat};
use sealift_tests::Pattern;

use crate::redaction::redacted;
use crate::{KIB, MIB, alice};

#[tokio::test]
async fn a_source_that_is_missing() {
    let (world, alice) = alice().await;
    assert_snapshot!(alice.run(["put", "missing"]).await.shown(), @r#"
    sealift: cannot read missing: No such file or directory
      hint: check the name
    exit 3
    "#);
    alice.write("a", "a");
    assert_snapshot!(alice.run(["put", "a", "missing", "d/"]).await.refused(8).stderr.lines().take(2).collect::<Vec<_>>().join("\n"), @r#"
    sealift: cannot read missing: No such file or directory
      hint: check the name
    "#);
    assert_eq!(alice.run(["ls", "d"]).await.ok().text(), "a\n");
    alice.run(["put", "x", "y", "d/"]).await.refused(3);
    assert_eq!(world.store().count("transfers"), 1);
}

#[tokio::test]
async fn a_source_that_is_no_file() {
    let (_world, alice) = alice().await;
    mkfifoat(CWD, alice.desk().join("pipe"), Mode::RUSR | Mode::WUSR).unwrap();
    fs::create_dir(alice.desk().join("folder")).unwrap();
    assert_snapshot!(alice.run(["put", "pipe"]).await.shown(), @r#"
    sealift: pipe is a pipe, a device or a socket, not a file: send what it yields through standard input
    exit 1
    "#);
    assert_snapshot!(alice.run(["put", "/dev/null", "x"]).await.shown(), @r#"
    sealift: /dev/null is a pipe, a device or a socket, not a file: send what it yields through standard input
    exit 1
    "#);
    alice.write("a", "a");
    symlink("a", alice.desk().join("link")).unwrap();
    symlink("nowhere", alice.desk().join("dangling")).unwrap();
    alice.run(["put", "a", "pipe", "folder", "link", "d/"]).await.refused(8);
    assert_eq!(alice.run(["ls", "d"]).await.ok().text(), "a\nfolder/\nlink\n");
    alice.run(["put", "dangling"]).await.refused(3);
}

#[tokio::test]
async fn a_destination_that_cannot_be_written() {
    let _redacted = redacted();
    let (_world, alice) = alice().await;
    for (name, size) in [("small", 10), ("large", 10 * MIB)] {
        alice.call(["put", "-", name]).input(Pattern::new(1, size).whole()).run().await.ok();
    }
    alice.write("file", "file");
    fs::create_dir(alice.desk().join("folder")).unwrap();
    mkfifoat(CWD, alice.desk().join("pipe"), Mode::RUSR | Mode::WUSR).unwrap();
    assert_snapshot!(alice.run(["get", "small", "no/such"]).await.shown(), @r#"
    sealift: cannot write no/such: No such file or directory
      hint: make the directory first, or end it with / to have it made
    exit 1
    "#);
    assert_snapshot!(alice.run(["get", "large", "no/such"]).await.shown(), @r#"
    sealift: cannot write no/such: No such file or directory
      hint: make the directory first, or end it with / to have it made
    exit 1
    "#);
    assert_snapshot!(alice.run(["get", "small", "file/x"]).await.shown(), @r#"
    sealift: cannot write file/x: Not a directory
      hint: check the file and the disk that it is on
    exit 1
    "#);
    assert_snapshot!(alice.run(["get", "large", "file/x/"]).await.shown(), @r#"
    sealift: file/x/large: file is a file, and a directory is to be there: remove it, or choose another place
    exit 1
    "#);
    alice.run(["put", "folder/", ":tree/"]).await.ok();
    for (line, code) in [(["get", "tree", "file"], 8), (["get", "tree/", "file"], 1)] {
        let ran = alice.run(line).await.refused(code);
        assert!(ran.stderr.contains("file is a file, and a directory is to be there: remove it"), "{ran:?}");
    }
    assert_snapshot!(alice.run(["get", "small", "pipe"]).await.shown(), @r#"
    sealift: pipe is a pipe, a device or a socket, which would be replaced by a file: choose another name
    exit 1
    "#);
    assert_snapshot!(alice.run(["get", "large", "/dev/full"]).await.shown(), @r#"
    sealift: /dev/full is a pipe, a device or a socket, which would be replaced by a file: choose another name
    exit 1
    "#);
    // What cannot be taken does not keep the others away.
    fs::create_dir(alice.desk().join("folder/large")).unwrap();
    alice.run(["get", "large", "small", "folder"]).await.refused(8);
    assert_eq!(alice.files(), ["file", "folder/", "folder/large/", "folder/small", "pipe"]);
    assert_eq!(alice.read("file"), b"file");
}

/// There is a name that is taken by a directory: to name the files in it would be no mend.
#[tokio::test]
async fn a_destination_that_is_a_directory_is_to_be_named_otherwise() {
    let (_world, alice) = alice().await;
    alice.call(["put", "-", "a"]).input("a").run().await.ok();
    fs::create_dir(alice.desk().join("a")).unwrap();
    let ran = alice.run(["get", "a"]).await.refused(1);
    assert!(ran.stderr.contains("a is a directory"), "{ran:?}");
    assert!(ran.stderr.contains("another name"), "the mend is on this side: {ran:?}");
}

#[tokio::test]
async fn a_link_is_replaced_and_what_it_leads_to_is_not() {
    let (_world, alice) = alice().await;
    alice.call(["put", "-", "a"]).input("new").run().await.ok();
    alice.write("precious", "old");
    symlink("precious", alice.desk().join("a")).unwrap();
    alice.run(["get", "a"]).await.ok();
    assert_eq!((alice.read("a"), alice.read("precious")), (b"new".to_vec(), b"old".to_vec()));
    assert!(alice.desk().join("a").symlink_metadata().unwrap().is_file());
}

/// A link to a device is what a program's log often is. To put a file in its place would break whoever writes there.
#[tokio::test]
async fn a_link_to_what_is_no_file_is_not_replaced() {
    let (_world, alice) = alice().await;
    for (name, size) in [("small", 10), ("large", 2 * MIB)] {
        alice.call(["put", "-", name]).input(Pattern::new(1, size).whole()).run().await.ok();
    }
    mkfifoat(CWD, alice.desk().join("pipe"), Mode::RUSR | Mode::WUSR).unwrap();
    let links = [
        ("null", "/dev/null"),
        ("chain", "null"),
        ("fifo", "pipe"),
        // A pipe here, and a file for whoever has written `2>`.
        ("errors", "/proc/self/fd/2"),
    ];
    for (link, target) in links {
        symlink(target, alice.desk().join(link)).unwrap();
    }
    fs::create_dir(alice.desk().join("d")).unwrap();
    symlink("/dev/null", alice.desk().join("d/small")).unwrap();
    for to in ["null", "chain", "fifo", "errors", "d", "d/small"] {
        for (name, flags) in [("small", &[][..]), ("large", &[]), ("small", &["-n"])] {
            if to == "d" && name == "large" {
                continue;
            }
            let ran = alice.run(["get", name, to].iter().chain(flags)).await.refused(1);
            assert!(ran.stderr.contains("write - for standard output"), "{to}: {ran:?}");
        }
    }
    for (link, target) in links {
        assert_eq!(fs::read_link(alice.desk().join(link)).unwrap().to_str(), Some(target));
    }
    assert_eq!(fs::read_link(alice.desk().join("d/small")).unwrap().to_str(), Some("/dev/null"));
    // In a tree a link is what its user keeps there, whatever it leads to.
    alice.run(["put", "-", "t/small"]).await.ok();
    alice.run(["get", "t/", "d"]).await.ok();
    assert!(alice.desk().join("d/small").symlink_metadata().unwrap().is_file());
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_path_of_standard_output_is_standard_output() {
    let (_world, alice) = alice().await;
    let content = Pattern::new(1, 2 * MIB).whole();
    alice.call(["put", "-", "a"]).input(content.clone()).run().await.ok();
    symlink("/proc/self/fd/1", alice.desk().join("out")).unwrap();
    symlink("out", alice.desk().join("log")).unwrap();
    for to in ["/proc/self/fd/1", "out", "log"] {
        let ran = alice.run(["--json", "get", "a", to]).await.ok();
        assert!(ran.stdout == content, "{to}: {ran:?}");
        assert!(ran.stderr.contains("\"type\":\"summary\""), "JSON goes elsewhere: {ran:?}");
        // It is a file then, and still not to be replaced.
        let file = alice.write("file", "");
        alice.call(["get", "a", to]).output_to(File::create(&file).unwrap()).run().await.ok();
        assert!(fs::read(&file).unwrap() == content, "{to}");
        assert!(alice.desk().join("out").is_symlink() && alice.desk().join("log").is_symlink());
    }
}

#[tokio::test]
async fn a_full_disk_behind_standard_output() {
    let (_world, alice) = alice().await;
    let full = || File::options().write(true).open("/dev/full").unwrap();
    for (name, size) in [("small", 10), ("large", 10 * MIB)] {
        alice.call(["put", "-", name]).input(Pattern::new(1, size).whole()).run().await.ok();
        let ran = alice.call(["get", name, "-"]).output_to(full()).run().await.refused(6);
        assert!(ran.stderr.contains("cannot write standard output: No space left on device"), "{ran:?}");
        assert!(ran.stderr.contains("hint: free some space"), "{ran:?}");
    }
    let listing = alice.call(["ls"]).output_to(full()).run().await;
    assert!(
        listing.stderr.contains("cannot write to standard output: No space left on device"),
        "{listing:?}"
    );
    assert_eq!(listing.code, Some(6), "no space, whichever verb it is: {listing:?}");
}

#[tokio::test]
async fn a_file_that_outgrows_a_limit_leaves_nothing() {
    let (_world, alice) = alice().await;
    alice.call(["put", "-", "large"]).input(Pattern::new(1, 20 * MIB).whole()).run().await.ok();
    alice.write("large", "before");
    // 1 or 2 MiB, whatever unit the shell counts in.
    let ran = alice.call_limited(2048, ["get", "large"]).run().await;
    assert!(matches!(ran.code, Some(1 | 6)), "{ran:?}");
    assert!(ran.stderr.contains("cannot write large: File too large"), "{ran:?}");
    assert_eq!(alice.files(), ["large"]);
    assert_eq!(alice.read("large"), b"before");
    alice.run(["get", "large"]).await.ok();
    assert_eq!(alice.read("large").len() as u64, 20 * MIB);
}

/// `sealift get x - | head -c 10`: the reader has what it wants, but the transfer was not complete.
#[tokio::test]
async fn a_reader_that_goes_away_ends_a_download() {
    let (_world, alice) = alice().await;
    alice.call(["put", "-", "large"]).input(Pattern::new(1, 10 * MIB).whole()).run().await.ok();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let call = alice.call(["get", "large", "-"]).output_to(std::os::fd::OwnedFd::from(writer).into());
    assert_eq!(call.run().await.shown(), "exit 1");
    assert!(alice.run(["get", "large", "-"]).await.ok().stdout.len() as u64 > 100 * KIB);
}

/// What the kernel makes up while it is read says how it can be stored.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_file_without_a_size_says_what_to_do() {
    let (_world, alice) = alice().await;
    let ran = alice.run(["put", "/proc/self/status", "status"]).await.refused(1);
    assert!(ran.stderr.contains("/proc/self/status tells no size"), "{ran:?}");
    let page = "/sys/kernel/mm/transparent_hugepage/enabled";
    if fs::metadata(page).is_ok() {
        let ran = alice.run(["put", page, "page"]).await.refused(1);
        assert!(ran.stderr.contains(&format!("{page} yields more or less than its size tells")), "{ran:?}");
    }
    alice.write("empty", "");
    alice.run(["put", "empty"]).await.ok();
}
