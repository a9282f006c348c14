//! Certificates renew: on demand, and by themselves in the last third of their life.

use std::os::unix::fs::PermissionsExt;

use sealift_tests::Computer;

use crate::alice;
use crate::credentials::{days, identity_file, install, register};

/// Puts an old identity back.
fn restore(computer: &Computer, identity: &str) {
    std::fs::write(computer.profile("default").join("identity.pem"), identity).unwrap();
}

#[tokio::test]
async fn on_demand() {
    let (world, alice) = alice().await;
    let old = identity_file(&alice);
    let renewed = alice.run(["--json", "renew"]).await.ok().object("renewed");
    let new = identity_file(&alice);
    assert_ne!(old, new);
    assert_ne!(
        old.split_once("PRIVATE KEY").unwrap().1,
        new.split_once("PRIVATE KEY").unwrap().1,
        "a new key too"
    );
    let path = alice.profile("default").join("identity.pem");
    assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(alice.profile("default")).unwrap().count(), 3, "nothing is left over");
    let account = alice.run(["--json", "whoami"]).await.ok().object("account");
    assert_eq!(account["expires"], renewed["expires"]);
    assert_eq!(world.store().count("certificates"), 2);

    // The old one stays good for its time, and a revocation meets both.
    restore(&alice, &old);
    alice.run(["ls"]).await.ok();
    world.revoke("alice");
    for identity in [old, new] {
        restore(&alice, &identity);
        alice.run(["ls"]).await.refused(4);
        alice.run(["renew"]).await.refused(4);
        assert_eq!(identity_file(&alice), identity, "a renewal that is refused changes nothing");
    }
}

#[tokio::test]
async fn by_itself_after_any_successful_command() {
    let (world, alice) = alice().await;
    alice.write("small", "x");
    alice.write("large", vec![1; 100_000]);
    for line in [
        &["ls"][..],
        &["put", "small"],
        &["put", "large"],
        &["get", "small", "copy"],
        &["get", "large", "-"],
        &["info", "small"],
        &["cp", "small", "other"],
        &["mv", "other", "another"],
        &["rm", "another"],
        &["log"],
        &["whoami"],
    ] {
        let issued = install(&world, &alice, "alice", days(61, 29));
        register(&world, &issued, "alice");
        let old = identity_file(&alice);
        let ran = alice.run(line).await.ok();
        assert_ne!(identity_file(&alice), old, "{line:?}");
        assert!(!ran.stderr.contains("certificate") && !ran.stderr.contains("renew"), "in silence: {ran:?}");
    }
    let account = alice.run(["--json", "whoami"]).await.ok().object("account");
    assert!(account["expires"].as_str().unwrap() > "2026", "{account}");
}

#[tokio::test]
async fn not_before_the_last_third_and_not_after_a_failure() {
    let (world, alice) = alice().await;
    let unchanged = async |line: &[&str], code| {
        let old = identity_file(&alice);
        alice.run(line).await.exited(code);
        assert_eq!(identity_file(&alice), old, "{line:?}");
    };
    unchanged(&["ls"], 0).await;
    let issued = install(&world, &alice, "alice", days(59, 31));
    register(&world, &issued, "alice");
    unchanged(&["ls"], 0).await;
    let issued = install(&world, &alice, "alice", days(61, 29));
    register(&world, &issued, "alice");
    unchanged(&["ls", "missing"], 3).await;
    unchanged(&["--server", "127.0.0.1:1", "ls"], 7).await;
}

/// A profile behind a link, as people have it who keep their configuration elsewhere.
#[tokio::test]
async fn a_profile_behind_a_link() {
    let (world, alice) = alice().await;
    let issued = install(&world, &alice, "alice", days(61, 29));
    register(&world, &issued, "alice");
    let (real, kept) = (alice.profile("default"), alice.desk().join("kept"));
    std::fs::rename(&real, &kept).unwrap();
    std::os::unix::fs::symlink(&kept, &real).unwrap();
    let old = identity_file(&alice);
    alice.run(["ls"]).await.ok();
    assert_ne!(identity_file(&alice), old);
    assert!(real.is_symlink());
}
