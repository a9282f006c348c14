//! Times and permissions cross both ways.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, SystemTime};

use sealift_tests::{Computer, Pattern};

use crate::{KIB, alice};

fn dress(computer: &Computer, file: &str, mtime: SystemTime, mode: u32) {
    let path = computer.desk().join(file);
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    File::options().write(true).open(&path).unwrap().set_modified(mtime).unwrap();
}

/// Time of modification and permissions of a file.
fn dress_of(computer: &Computer, file: &str) -> (SystemTime, u32) {
    let metadata = fs::metadata(computer.desk().join(file)).unwrap();
    (metadata.modified().unwrap(), metadata.permissions().mode() & 0o777)
}

#[tokio::test]
async fn the_time_of_modification_is_kept_to_the_nanosecond() {
    let (_world, alice) = alice().await;
    let epoch = SystemTime::UNIX_EPOCH;
    for size in [10, 100 * KIB] {
        for time in [
            epoch + Duration::new(1_700_000_000, 123_456_789),
            epoch + Duration::from_secs(5_000_000_000),
            epoch,
            epoch - Duration::new(1000, 500),
        ] {
            alice.write("a", Pattern::new(size, size).whole());
            dress(&alice, "a", time, 0o644);
            alice.run(["put", "a"]).await.ok();
            alice.run(["get", "a", "b"]).await.ok();
            assert_eq!(dress_of(&alice, "b").0, time, "{size} bytes");
        }
    }
    let info = alice.run(["--json", "info", "a"]).await.ok().object("info");
    assert_eq!(info["mtime"], "1969-12-31T23:43:19.9999995Z");
}

#[tokio::test]
async fn the_executable_bit_is_kept_and_nothing_else_of_the_mode() {
    let (_world, alice) = alice().await;
    let new = alice.write("new", "");
    let plain = fs::metadata(new).unwrap().permissions().mode() & 0o777;
    // What execution adds where reading is allowed by the umask.
    let executable = plain | (plain & 0o444) >> 2;
    for size in [10, 100 * KIB] {
        for (mode, expected) in
            [(0o644, plain), (0o600, plain), (0o755, executable), (0o700, executable), (0o666, plain)]
        {
            alice.write("a", Pattern::new(size, size).whole());
            dress(&alice, "a", SystemTime::now(), mode);
            alice.run(["put", "a"]).await.ok();
            alice.run(["get", "a", "b"]).await.ok();
            assert_eq!(dress_of(&alice, "b").1, expected, "{size} bytes with {mode:o}");
        }
    }
}

#[tokio::test]
async fn a_copy_and_a_deduplicated_upload_have_them_too() {
    let (_world, alice) = alice().await;
    let (early, late) = (SystemTime::UNIX_EPOCH + Duration::new(1_000_000_000, 7), SystemTime::now());
    let content = Pattern::new(1, 200 * KIB).whole();
    alice.write("a", &content);
    dress(&alice, "a", late, 0o644);
    alice.run(["put", "a"]).await.ok();
    alice.write("script", &content);
    dress(&alice, "script", early, 0o755);
    let put = alice.run(["--json", "put", "script"]).await.ok();
    assert_eq!(put.object("finished")["deduplicated"], true);
    alice.run(["cp", "script", "copy"]).await.ok();
    for file in ["script", "copy"] {
        alice.run(["get", file, "back"]).await.ok();
        assert_eq!(
            (dress_of(&alice, "back").0, dress_of(&alice, "back").1 & 0o100),
            (early, 0o100),
            "{file}"
        );
    }
    assert_eq!(alice.run(["ls", "-l", "copy"]).await.ok().text(), "x alice 204800 2001-09-09 01:46 copy\n");
}
