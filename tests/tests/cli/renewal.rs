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
async fn by_itself_after_any_command_that_reached_the_server() {
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
async fn not_before_the_last_third_and_not_without_the_server() {
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
    unchanged(&["--server", "127.0.0.1:1", "ls"], 7).await;
}

/// A run that fails every night must not let its certificate expire.
#[tokio::test]
async fn also_when_the_command_failed() {
    let (world, alice) = alice().await;
    for name in ["one", "two", "three"] {
        alice.write(name, name);
    }
    alice.run(["put", "one", "two", "three", "kept/"]).await.ok();
    std::fs::create_dir(alice.desk().join("empty")).unwrap();
    for line in [
        &["ls", "missing"][..],
        // The guard withholds the deletions.
        &["sync", "--delete", "empty", ":kept"],
        &["get", "kept/one", "missing", "./"],
    ] {
        let issued = install(&world, &alice, "alice", days(61, 29));
        register(&world, &issued, "alice");
        let old = identity_file(&alice);
        let ran = alice.run(line).await;
        assert_ne!(ran.code, Some(0), "{line:?} is to fail: {ran:?}");
        assert_ne!(identity_file(&alice), old, "{line:?}: {ran:?}");
    }
}

/// Each certificate that cannot be saved would be one that somebody has to revoke.
#[tokio::test]
async fn a_profile_that_cannot_be_written_asks_for_none() {
    let (world, alice) = alice().await;
    let issued = install(&world, &alice, "alice", days(61, 29));
    register(&world, &issued, "alice");
    let before = world.store().count("certificates");
    let Some(_read_only) = ReadOnly::make(alice.profile("default")) else { return };
    for _ in 0..3 {
        let ran = alice.run(["ls"]).await.ok();
        assert!(ran.stderr.contains("a new certificate could not be saved in"), "{ran:?}");
    }
    alice.run(["renew"]).await.refused(1);
    assert_eq!(world.store().count("certificates"), before);
}

/// A directory that nobody can write to, not even root, until this is dropped.
struct ReadOnly(std::path::PathBuf);

impl ReadOnly {
    /// `None` where root cannot forbid itself to write.
    fn make(directory: std::path::PathBuf) -> Option<Self> {
        std::fs::set_permissions(&directory, std::fs::Permissions::from_mode(0o500)).unwrap();
        let made = Self(directory);
        (!rustix::process::geteuid().is_root() || made.mark("+i")).then_some(made)
    }

    fn mark(&self, flag: &str) -> bool {
        let chattr = std::process::Command::new("chattr").arg(flag).arg(&self.0).output();
        chattr.is_ok_and(|done| done.status.success())
    }
}

impl Drop for ReadOnly {
    fn drop(&mut self) {
        self.mark("-i");
        let _ = std::fs::set_permissions(&self.0, std::fs::Permissions::from_mode(0o700));
    }
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
