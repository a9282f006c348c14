//! Directories, up and down.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::{Duration, SystemTime};

use rustix::fs::{CWD, Mode, mkfifoat};
use sealift_tests::{Computer, Pattern, eventually};

use crate::gate::{Gate, Way};
use crate::{KIB, MIB, alice};

async fn remote(computer: &Computer) -> String {
    let ran = computer.run(["ls", "-R"]).await.ok();
    ran.text().lines().collect::<Vec<_>>().join(" ")
}

fn local(computer: &Computer) -> String {
    computer.files().join(" ")
}

/// A tree with a bit of everything: empty and deep directories, empty, small and large files.
fn plant(computer: &Computer) {
    for (file, size) in
        [("a", 0), ("b/c", 10), ("b/d/e", 64 * KIB), ("b/d/f", 64 * KIB + 1), ("z", 3000 * KIB)]
    {
        computer.write(format!("tree/{file}"), Pattern::new(size, size).whole());
    }
    fs::create_dir_all(computer.desk().join("tree/empty/deep")).unwrap();
}

/// What downloads leave here is not worth storing, and what only looks like it is.
#[tokio::test]
async fn unfinished_downloads_are_named_and_everything_else_goes_up() {
    let (_world, alice) = alice().await;
    let digest = sealift_types::Digest::of(b"x");
    let parts = [format!(".big.{digest}.sealift-part"), ".sealift-0123456789abcdef.sealift-part".to_owned()];
    for part in &parts {
        alice.write(format!("d/e/{part}"), "part");
    }
    alice.write("d/.NAME.sealift-part", "mine");
    alice.write("d/.notes.sealift-part/a", "mine");
    alice.write(format!("d/.big.{digest}.sealift-part/b"), "mine");
    let mine = [
        ".NAME.sealift-part".to_owned(),
        format!(".big.{digest}.sealift-part/"),
        format!(".big.{digest}.sealift-part/b"),
        ".notes.sealift-part/".to_owned(),
        ".notes.sealift-part/a".to_owned(),
        "e/".to_owned(),
    ];
    for line in [&["put", "d"][..], &["put", "-n", "d"], &["sync", "d", ":s"], &["sync", "-n", "d", ":s"]] {
        let ran = alice.run(line).await.ok();
        for part in &parts {
            let told = format!("d/e/{part} is an unfinished download, and was skipped");
            assert_eq!(ran.stderr.matches(&told).count(), 1, "{line:?}: {ran:?}");
        }
        assert_eq!(ran.stderr.matches("unfinished").count(), 2, "{line:?}: {ran:?}");
        let ran = alice.run(["--json"].iter().chain(line)).await.ok();
        let skipped = ran.objects().into_iter().filter(|object| object["type"] == "skipped");
        let skipped: Vec<_> = skipped.map(|object| object["local"].as_str().unwrap().to_owned()).collect();
        assert_eq!(skipped, parts.each_ref().map(|part| format!("d/e/{part}")), "{line:?}: {ran:?}");
    }
    for directory in ["d", "s"] {
        assert_eq!(alice.run(["ls", "-R", directory]).await.ok().text().lines().collect::<Vec<_>>(), mine);
    }
    // What is left out by a pattern is nobody's concern, and what is named is stored.
    let ran = alice.run(["put", "--exclude", ".big*", "--exclude", ".sealift*", "d"]).await.ok();
    assert!(!ran.stderr.contains("unfinished"), "{ran:?}");
    alice.run(["put", &format!("d/e/{}", parts[0]), &format!("s/e/{}", parts[0])]).await.ok();
    // On the server it stays then, as long as it is here.
    let ran = alice.run(["sync", "--delete", "d", ":s"]).await.ok();
    assert!(ran.stderr.contains("unfinished download"), "{ran:?}");
    alice.run(["info", &format!("s/e/{}", parts[0])]).await.ok();
    std::fs::remove_file(alice.desk().join("d/e").join(&parts[0])).unwrap();
    alice.run(["sync", "--delete", "d", ":s"]).await.ok();
    alice.run(["info", &format!("s/e/{}", parts[0])]).await.exited(3);
    // A file of one's own is not cleaned away.
    alice.run(["clean", "d"]).await.ok();
    assert_eq!(alice.read("d/.NAME.sealift-part"), b"mine");
}

#[tokio::test]
async fn a_tree_goes_up_and_comes_back_as_it_was() {
    let (world, alice) = alice().await;
    plant(&alice);
    let path = |name: &str| alice.desk().join(name);
    fs::set_permissions(path("tree/b/c"), PermissionsExt::from_mode(0o755)).unwrap();
    let time = SystemTime::UNIX_EPOCH + Duration::new(1_000_000_000, 123_456_789);
    for name in ["tree/b/d/e", "tree/z", "tree/empty/deep", "tree/b/d", "tree/b", "tree"] {
        fs::File::open(path(name)).unwrap().set_modified(time).unwrap();
    }
    let ran = alice.run(["put", "tree"]).await.ok();
    assert!(ran.stderr.starts_with("stored 5 files ("), "{ran:?}");
    assert_eq!(
        remote(&alice).await,
        "tree/ tree/a tree/b/ tree/b/c tree/b/d/ tree/b/d/e tree/b/d/f tree/empty/ tree/empty/deep/ tree/z"
    );
    alice.run(["get", "tree", "back/"]).await.ok();
    for (name, size) in
        [("a", 0), ("b/c", 10), ("b/d/e", 64 * KIB), ("b/d/f", 64 * KIB + 1), ("z", 3000 * KIB)]
    {
        assert!(alice.read(format!("back/tree/{name}")) == Pattern::new(size, size).whole(), "{name}");
    }
    assert!(path("back/tree/empty/deep").is_dir());
    for name in ["back/tree/b/d/e", "back/tree/z", "back/tree/empty/deep", "back/tree/b/d", "back/tree/b"] {
        assert_eq!(path(name).metadata().unwrap().modified().unwrap(), time, "{name}");
    }
    assert_eq!(path("back/tree/b/c").metadata().unwrap().permissions().mode() & 0o111, 0o111);
    assert_eq!(path("back/tree/a").metadata().unwrap().permissions().mode() & 0o111, 0);
    world.store().settled().await;
}

#[tokio::test]
async fn slashes_mean_what_they_mean_to_rsync() {
    let (_world, alice) = alice().await;
    alice.write("d/x", "x");
    for (line, there) in [
        (&["put", "d"][..], "d/ d/x"),
        (&["put", "d/"], "x"),
        (&["put", "d", "e"], "e/ e/d/ e/d/x"),
        (&["put", "d/", "e"], "e/ e/x"),
        (&["put", "d", "e/"], "e/ e/d/ e/d/x"),
        (&["put", "d/.", "e/"], "e/ e/x"),
        (&["put", "d", "d/x", "e"], "e/ e/d/ e/d/x e/x"),
    ] {
        alice.run(line).await.ok();
        assert_eq!(remote(&alice).await, there, "{line:?}");
        alice.run(["rm", "-r"].into_iter().chain(there.split(' ').take(1))).await.ok();
    }
    alice.run(["put", "d/", "e"]).await.ok();
    for (line, here) in [
        (&["get", "e"][..], "e/ e/x"),
        (&["get", "e/"], "x"),
        (&["get", "e", "f"], "f/ f/e/ f/e/x"),
        (&["get", "e/", "f"], "f/ f/x"),
        (&["get", "e", "e/x", "f/"], "f/ f/e/ f/e/x f/x"),
        (&["get", "/alice/", "f"], "f/ f/e/ f/e/x"),
        (&["get", ".", "f"], "f/ f/e/ f/e/x"),
    ] {
        fs::remove_dir_all(alice.desk()).unwrap();
        fs::create_dir(alice.desk()).unwrap();
        alice.run(line).await.ok();
        assert_eq!(local(&alice), here, "{line:?}");
    }
}

#[tokio::test]
async fn links_are_skipped_or_kept_and_never_followed() {
    let (_world, alice) = alice().await;
    alice.write("d/x", "x");
    alice.write("outside/secret", "s");
    symlink("x", alice.desk().join("d/link")).unwrap();
    symlink("../outside", alice.desk().join("d/out")).unwrap();
    mkfifoat(CWD, alice.desk().join("d/pipe"), Mode::RUSR).unwrap();
    let ran = alice.run(["put", "d"]).await.ok();
    for name in ["d/link", "d/out"] {
        assert!(ran.stderr.contains(&format!("{name} is a symbolic link, and was skipped")), "{ran:?}");
    }
    assert!(ran.stderr.contains("d/pipe is a pipe"), "{ran:?}");
    assert_eq!(remote(&alice).await, "d/ d/x");

    alice.run(["put", "--links", "d"]).await.ok();
    assert_eq!(remote(&alice).await, "d/ d/link@ d/out@ d/x");
    let long = alice.run(["ls", "-l", "d"]).await.ok();
    assert!(long.text().contains(" link -> x\n"), "{long:?}");
    let ran = alice.run(["get", "d", "without/"]).await.ok();
    assert!(ran.stderr.contains("link is a symbolic link, and was skipped"), "{ran:?}");
    assert_eq!(fs::read_dir(alice.desk().join("without/d")).unwrap().count(), 1);
    alice.run(["get", "--links", "d", "with/"]).await.ok();
    let target = |name: &str| fs::read_link(alice.desk().join(name)).unwrap();
    assert_eq!(target("with/d/link").to_str(), Some("x"));
    assert_eq!(target("with/d/out").to_str(), Some("../outside"));

    // A directory that goes where a link is does not go where that leads.
    alice.run(["rm", "d/out"]).await.ok();
    alice.call(["put", "-", "d/out/planted"]).input("p").run().await.ok();
    let ran = alice.run(["get", "--links", "d", "with/"]).await.refused(8);
    assert!(ran.stderr.contains("with/d/out is a symbolic link, which is not followed"), "{ran:?}");
    assert_eq!(fs::read_dir(alice.desk().join("outside")).unwrap().count(), 1);
    // Whoever names a link means what it leads to.
    symlink("outside", alice.desk().join("named")).unwrap();
    alice.run(["put", "named"]).await.ok();
    assert_eq!(alice.run(["get", "named/secret", "-"]).await.ok().text(), "s");
}

/// Who may write in the destination, too, cannot lead a download out of it by a link in the place of a directory.
#[tokio::test]
async fn a_link_that_takes_the_place_of_a_directory_is_not_followed() {
    let (world, alice) = alice().await;
    alice.write("tree/d/0-large", Pattern::new(1, 8 * MIB).whole());
    for number in 0..20 {
        alice.write(format!("tree/d/{number:03}"), Pattern::new(number, 1000).whole());
        alice.write(format!("tree/d/sub/{number:03}"), Pattern::new(number, 1000).whole());
    }
    alice.run(["put", "tree"]).await.ok();
    let mut gate = Gate::before(world.address, Way::Down, 4 * MIB).await;
    let line = ["get", "tree", "back/", "--connections", "1", "--server", &gate.server()];
    let running = alice.call(line).start();
    gate.reached().await;
    let path = |name: &str| alice.desk().join(name);
    eventually("the file on its way", || path("back/tree/d").read_dir().ok()?.next()).await.unwrap();
    fs::rename(path("back/tree/d"), path("back/tree/moved")).unwrap();
    fs::create_dir_all(path("outside/sub")).unwrap();
    symlink(path("outside"), path("back/tree/d")).unwrap();
    gate.open();
    // The directory was entered through no link before it was moved, and is held open: all its files come into this very
    // directory, under its new name. Whoever may move it could do so after the end as well, so this is no failure. A directory
    // that has to be entered anew is refused, see the tests of `transfer/src/local/directory.rs`.
    running.ended().await.ok();
    let below = |directory: &str| -> Vec<String> {
        let files = alice.files().into_iter();
        files.filter_map(|name| Some(name.strip_prefix(directory)?.to_owned())).collect()
    };
    assert_eq!(below("outside/"), ["", "sub/"]);
    assert_eq!(below("back/tree/moved/"), below("tree/d/"));
    for name in below("tree/d/").iter().filter(|name| !name.is_empty() && !name.ends_with('/')) {
        assert!(
            alice.read(format!("back/tree/moved/{name}")) == alice.read(format!("tree/d/{name}")),
            "{name}"
        );
    }
}

#[tokio::test]
async fn what_matches_is_left_out() {
    let (_world, alice) = alice().await;
    for file in ["d/a.tmp", "d/keep.tmp", "d/b", "d/build/x", "d/e/build/y", "d/e/c"] {
        alice.write(file, "");
    }
    alice.run(["put", "--exclude", "*.tmp", "--include", "keep.tmp", "--exclude", "/build/", "d"]).await.ok();
    assert_eq!(remote(&alice).await, "d/ d/b d/e/ d/e/build/ d/e/build/y d/e/c d/keep.tmp");
    alice.write("patterns", "# comment\nbuild/\n\nb\n");
    alice.run(["get", "--exclude-from", "patterns", "d", "back"]).await.ok();
    assert!(local(&alice).contains("back/d/e/c back/d/keep.tmp"), "{}", local(&alice));
    assert!(!local(&alice).contains("back/d/e/build") && !local(&alice).contains("back/d/b"));
    let ran = alice.run(["put", "--exclude", "a{b", "d"]).await.refused(2);
    assert!(ran.stderr.contains("a{b"), "{ran:?}");
    alice.run(["put", "--exclude-from", "missing", "d"]).await.refused(2);
}

#[tokio::test]
async fn what_cannot_be_read_or_written_is_told_and_the_rest_arrives() {
    let (_world, alice) = alice().await;
    for file in ["d/a", "d/b/c", "d/z"] {
        alice.write(file, file);
    }
    let name = <std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(b"d/\xff");
    fs::write(alice.desk().join(name), "").unwrap();
    let ran = alice.run(["put", "d"]).await.refused(8);
    assert!(ran.stderr.contains("not UTF-8: rename it"), "{ran:?}");
    assert_eq!(remote(&alice).await, "d/ d/a d/b/ d/b/c d/z");

    // A file where a directory is to be, and the other way round.
    alice.write("here/d/b", "a file");
    fs::create_dir_all(alice.desk().join("here/d/a")).unwrap();
    let ran = alice.run(["get", "d", "here/"]).await.refused(8);
    assert!(ran.stderr.contains("here/d/b is a file, and a directory is to be there"), "{ran:?}");
    assert!(ran.stderr.contains("here/d/a is a directory, which no file can replace"), "{ran:?}");
    assert_eq!(alice.read("here/d/z"), b"d/z");

    alice.write("e/a/x", "");
    alice.write("e/b", "");
    alice.run(["put", "e/", "d"]).await.refused(8);
    assert_eq!(remote(&alice).await, "d/ d/a d/b/ d/b/c d/z");
}

#[tokio::test]
async fn trees_are_deleted_and_copied_where_that_is_meant() {
    let (world, alice) = alice().await;
    plant(&alice);
    alice.run(["put", "tree"]).await.ok();
    let before = world.store().blobs().len();
    alice.run(["cp", "tree", "copy"]).await.ok();
    assert_eq!(world.store().blobs().len(), before, "nothing is stored twice");
    let ran = alice.run(["rm", "tree"]).await.refused(1);
    assert!(ran.stderr.contains("sealift rm -r"), "{ran:?}");
    alice.run(["rm", "-r", "tree"]).await.ok();
    assert!(remote(&alice).await.starts_with("copy/ copy/a copy/b/"));
    assert!(
        alice.run(["get", "copy/z", "-"]).await.ok().stdout == Pattern::new(3000 * KIB, 3000 * KIB).whole()
    );
    alice.run(["rm", "-r", "copy"]).await.ok();
    world.store().settled().await;
    assert!(world.store().blobs().is_empty());
}

/// More than fits in any queue, over several connections.
#[tokio::test]
async fn thousands_of_files() {
    let (world, alice) = alice().await;
    const FILES: usize = 3000;
    for number in 0..FILES {
        alice.write(format!("many/{:02}/{number}", number % 50), number.to_string());
    }
    for connections in ["1", "4"] {
        let ran = alice.run(["--json", "put", "--connections", connections, "many", connections]).await.ok();
        assert_eq!(ran.text().matches("\"finished\"").count(), FILES);
        let target = format!("back{connections}");
        alice.run(["get", "--connections", connections, &format!("{connections}/many"), &target]).await.ok();
        for number in 0..FILES {
            let file = format!("{target}/many/{:02}/{number}", number % 50);
            assert_eq!(alice.read(file), number.to_string().as_bytes());
        }
    }
    alice.run(["rm", "-r", "1", "4"]).await.ok();
    world.store().settled().await;
}

#[tokio::test]
async fn a_rate_needs_a_unit_that_exists() {
    let (_world, alice) = alice().await;
    alice.write("d/a", Pattern::new(1, 300 * KIB).whole());
    alice.run(["put", "--limit-rate", "100M", "d"]).await.ok();
    alice.run(["get", "--limit-rate", "100M", "d", "back/"]).await.ok();
    assert!(alice.read("back/d/a") == Pattern::new(1, 300 * KIB).whole());
    for wrong in ["fast", "1000", "0.5K", "5X"] {
        let ran = alice.run(["put", "--limit-rate", wrong, "d"]).await.exited(2);
        assert!(ran.stderr.contains("write bytes in a second, 1K at least, such as 500K"), "{ran:?}");
    }
}
