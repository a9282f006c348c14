//! `--update`: what is newer stays.

use std::fs::File;
use std::time::{Duration, SystemTime};

use sealift_tests::Computer;

use crate::alice;

fn date(computer: &Computer, file: &str, seconds: u64) {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    File::options().write(true).open(computer.desk().join(file)).unwrap().set_modified(time).unwrap();
}

#[tokio::test]
async fn a_get_leaves_newer_files_alone() {
    let (_world, alice) = alice().await;
    for name in ["older", "same", "newer", "missing"] {
        alice.write(format!("d/{name}"), "server");
        date(&alice, &format!("d/{name}"), 1000);
    }
    alice.run(["put", "d"]).await.ok();
    std::fs::remove_file(alice.desk().join("d/missing")).unwrap();
    for (name, seconds) in [("older", 999), ("same", 1000), ("newer", 1001)] {
        alice.write(format!("d/{name}"), "local");
        date(&alice, &format!("d/{name}"), seconds);
    }
    let told = alice.run(["--json", "get", "-u", "-n", "d"]).await.ok();
    assert_eq!((&told.object("summary")["would"], &told.object("summary")["kept"]), (&3.into(), &1.into()));
    let ran = alice.run(["get", "--update", "d"]).await.ok();
    assert!(ran.stderr.starts_with("fetched 3 files ("), "{ran:?}");
    assert!(ran.stderr.ends_with("; 1 file is newer here and stays\n"), "{ran:?}");
    for name in ["older", "same", "missing"] {
        assert_eq!(alice.read(format!("d/{name}")), b"server", "{name}");
    }
    assert_eq!(alice.read("d/newer"), b"local");

    // Single files likewise, and a file that is not there.
    let ran = alice.run(["--json", "get", "-u", "d/newer", "d/newer"]).await.ok();
    assert_eq!(ran.object("kept")["local"], "d/newer");
    assert_eq!(ran.object("summary")["kept"], 1);
    assert_eq!(alice.read("d/newer"), b"local");
    date(&alice, "d/newer", 999);
    alice.run(["get", "-u", "d/newer", "d/newer"]).await.ok();
    assert_eq!(alice.read("d/newer"), b"server");
    alice.run(["get", "-u", "d/newer", "elsewhere"]).await.ok();
    assert_eq!(alice.read("elsewhere"), b"server");
}

#[tokio::test]
async fn a_put_leaves_newer_files_alone() {
    let (_world, alice) = alice().await;
    let sizes = [10, 100 * 1024];
    for size in sizes {
        for (name, seconds) in [("older", 999), ("same", 1000), ("newer", 1001)] {
            alice.write(format!("d/{name}-{size}"), vec![b's'; size]);
            date(&alice, &format!("d/{name}-{size}"), seconds);
        }
    }
    alice.run(["put", "d"]).await.ok();
    for size in sizes {
        for name in ["older", "same", "newer", "missing"] {
            alice.write(format!("d/{name}-{size}"), vec![b'l'; size]);
            date(&alice, &format!("d/{name}-{size}"), 1000);
        }
    }
    let told = alice.run(["--json", "put", "-u", "-n", "d"]).await.ok();
    assert_eq!((&told.object("summary")["would"], &told.object("summary")["kept"]), (&6.into(), &2.into()));
    let ran = alice.run(["--json", "put", "--update", "d"]).await.ok();
    let kept: Vec<_> = ran.objects().into_iter().filter(|object| object["type"] == "kept").collect();
    assert_eq!(kept.len(), 2, "{ran:?}");
    assert_eq!(ran.object("summary")["kept"], 2);
    for size in sizes {
        for (name, content) in [("older", b'l'), ("same", b'l'), ("missing", b'l'), ("newer", b's')] {
            let there = alice.run(["get", &format!("d/{name}-{size}"), "-"]).await.ok().stdout;
            assert!(there == vec![content; size], "{name} {size}");
        }
    }
}
