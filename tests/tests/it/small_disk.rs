//! Disks that uploads, or others, have filled: what makes room always works.

use std::fs;

use sealift_protocol::WireError;
use sealift_tests::{Client, Launcher, Pattern, RealServer, Settings, SmallDisk, eventually};
use sealift_types::ErrorCode;

use crate::SEALIFTD;
use crate::watching::{metric, metrics_of};

const MIB: u64 = 1024 * 1024;

/// A server on a disk of its own; `None` if the test has run elsewhere.
fn launcher(bytes: u64, inodes: u64, test: &str) -> Option<(SmallDisk, Launcher)> {
    let disk = SmallDisk::new(bytes, inodes, &format!("small_disk::{test}"))?;
    let launcher =
        Launcher::on_nothing(SEALIFTD).settings(Settings::new().metrics()).on(&disk.path().join("data"));
    Some((disk, launcher))
}

/// Uploads until the server refuses, in files of `size` bytes each. Returns how many it took, and the refusal.
async fn fill(client: &mut Client, name: &str, size: usize) -> (usize, WireError) {
    for number in 0.. {
        let content = Pattern::new(u64::try_from(number).unwrap() + 100 * size as u64, size as u64).whole();
        let file = format!("{name}{number}");
        let stored = match size {
            ..=65_536 => client.put_inline(&file, &content).await,
            _ => client.put_stream(&file, &content).await,
        };
        if let Err(error) = stored {
            return (number, error);
        }
    }
    unreachable!("no disk is that large")
}

/// Nothing can be stored, everything else can be done, and there is room again afterwards.
async fn assert_manageable(launcher: &Launcher, server: &RealServer, setting: &str) {
    let mut client = server.enrol("later").await.connect().await;
    let refused =
        client.put_inline("x", b"x").await.and(client.put_stream("y", &[7; 70_000]).await).unwrap_err();
    assert_eq!(refused.code, ErrorCode::NoSpace, "{refused}");
    assert!(refused.message.contains(setting), "{refused}");
    for (verb, arguments) in
        [("invite", vec!["guest"]), ("revoke", vec!["guest"]), ("identities", vec![]), ("gc", vec![])]
    {
        let ended = launcher.run(verb, &arguments).await;
        // The guest has not joined, so there may be nobody to revoke.
        assert!(ended.code == Some(0) || verb == "revoke" && ended.code == Some(3), "{verb}: {ended:?}");
    }
    let status = launcher.run("status", &[]).await;
    assert!(
        status.code == Some(0) && status.stdout.contains("trouble       the server's disk"),
        "{status:?}"
    );
}

#[tokio::test]
async fn a_disk_that_uploads_have_filled_can_be_emptied() {
    let Some((disk, launcher)) = launcher(64 * MIB, 1000, "a_disk_that_uploads_have_filled_can_be_emptied")
    else {
        return;
    };
    let server = launcher.start().await;
    let alice = server.enrol("alice").await;
    let mut client = alice.connect().await;
    let (large, _) = fill(&mut client, "large", 1 << 20).await;
    assert!(large >= 48, "only {large} MiB of 64 were of use");
    let (small, refused) = fill(&mut client, "small", 60_000).await;
    assert_eq!(refused.code, ErrorCode::NoSpace);
    assert!(refused.message.contains("`disk.reserve`"), "{refused}");
    let (tiny, _) = fill(&mut client, "tiny", 10).await;
    assert_eq!(client.make_directory("d", None).await.unwrap_err().code, ErrorCode::NoSpace);
    assert_eq!(client.cp("large0", "copy").await.unwrap_err().code, ErrorCode::NoSpace);
    assert_manageable(&launcher, &server, "disk.reserve").await;
    let refusals = "sealift_disk_refused_total{short=\"bytes\"}";
    assert!(metric(&metrics_of(&launcher.data()).await, refusals) >= 5.0);
    drop(client);
    server.kill();

    // Others take what is left, ballast excepted. Neither start nor deletion needs more.
    disk.fill();
    assert_eq!(disk.look().free_bytes, 0);
    let server = launcher.start().await;
    let mut client = alice.at(server.address).connect().await;
    for number in 0..large {
        assert_eq!(client.get(&format!("large{number}")).await.unwrap().len(), 1 << 20);
        client.remove(&format!("large{number}")).await.unwrap();
    }
    for (name, count) in [("small", small), ("tiny", tiny)] {
        for number in 0..count {
            client.remove(&format!("{name}{number}")).await.unwrap();
        }
    }
    let emptied = || (disk.look().free_bytes > 16 * MIB).then_some(());
    eventually("space that comes back", emptied).await;
    fs::remove_file(disk.path().join("filler")).unwrap();
    let ballast =
        || fs::read_dir(disk.path().join("data/ballast")).is_ok_and(|files| files.count() == 4).then_some(());
    eventually("the ballast again", ballast).await;
    client.put_stream("again", &Pattern::new(1, 10 * MIB).whole()).await.unwrap();
    server.store().verify();
}

/// Names in no order make each deletion touch other pages of the catalog, all of which have to fit into its log.
#[tokio::test]
async fn a_tree_that_has_filled_the_disk_is_reclaimed() {
    let Some((disk, launcher)) = launcher(48 * MIB, 100_000, "a_tree_that_has_filled_the_disk_is_reclaimed")
    else {
        return;
    };
    let server = launcher.start().await;
    let mut client = server.enrol("alice").await.connect().await;
    let (mut number, mut is_full) = (0, false);
    while !is_full {
        for _ in 0..100 {
            number += 1;
            let size = [10, 1000, 4000][usize::try_from(number % 3).unwrap()];
            let name = format!("tree/{:06}", number * 7919 % 1_000_003);
            client.push_inline(&name, &Pattern::new(number, size).whole());
        }
        client.flush().await;
        for _ in 0..100 {
            is_full |= client.stored().await.is_err_and(|error| error.code == ErrorCode::NoSpace);
        }
    }
    client.remove_all("tree").await.unwrap();
    eventually("space that comes back", || (disk.look().free_bytes > 30 * MIB).then_some(())).await;
    client.put_stream("again", &Pattern::new(1, 10 * MIB).whole()).await.unwrap();
    let log = server.stderr();
    assert!(!log.contains("work on large trees has failed"), "{log}");
    server.store().verify();
}

#[tokio::test]
async fn a_disk_without_inodes_says_so_and_can_be_emptied() {
    let Some((disk, launcher)) = launcher(256 * MIB, 80, "a_disk_without_inodes_says_so_and_can_be_emptied")
    else {
        return;
    };
    let server = launcher.start().await;
    let alice = server.enrol("alice").await;
    let mut client = alice.connect().await;
    let (files, refused) = fill(&mut client, "file", 100_000).await;
    assert!(files > 20 && refused.code == ErrorCode::NoSpace, "{files}: {refused}");
    assert!(refused.message.contains("`disk.reserve_inodes`"), "{refused}");
    let refusals = "sealift_disk_refused_total{short=\"inodes\"}";
    assert!(metric(&metrics_of(&launcher.data()).await, refusals) >= 1.0);
    // What needs no file goes on.
    client.put_inline("small", b"small").await.unwrap();
    drop(client);
    server.kill();
    disk.fill_inodes();
    assert_eq!(disk.look().free_inodes, Some(0));
    let server = launcher.start().await;
    let mut client = alice.at(server.address).connect().await;
    let status = launcher.run("status", &[]).await;
    assert!(status.stdout.contains("trouble       the server's disk has no inodes"), "{status:?}");
    assert_eq!(client.put_stream("more", &[1; 100_000]).await.unwrap_err().code, ErrorCode::NoSpace);
    assert_eq!(launcher.run("invite", &["guest"]).await.code, Some(0));
    for number in 0..files {
        client.remove(&format!("file{number}")).await.unwrap();
    }
    let emptied = || (disk.look().free_inodes > Some(20)).then_some(());
    eventually("inodes that come back", emptied).await;
    client.put_stream("more", &[1; 100_000]).await.unwrap();
    server.store().verify();
}
