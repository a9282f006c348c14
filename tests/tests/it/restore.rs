//! A server that is restored from a backup: what was revoked stays revoked, and nobody else is locked out.

use std::path::{Path, PathBuf};

use sealift_certs::new_key_and_request;
use sealift_tests::{Ended, Launcher, Machine, Refusal, joining};
use sealift_types::ErrorCode;

use crate::SEALIFTD;

#[track_caller]
fn ok(ended: Ended) -> String {
    assert_eq!(ended.code, Some(0), "{ended:?}");
    ended.stdout
}

/// The same machine with a certificate that it renewed.
async fn renewed(machine: &Machine) -> Machine {
    let made = new_key_and_request().unwrap();
    let certificate = machine.connect().await.renew(&made.csr_pem).await.unwrap();
    machine.with_certificate(&certificate, &made.key_pem)
}

async fn assert_refused(machine: &Machine, why: &str) {
    match machine.try_connect().await {
        Err(Refusal::Said(error)) if error.code == ErrorCode::CertificateRefused => {}
        other => panic!("{why}: {other:?}"),
    }
}

fn short(machine: &Machine) -> String {
    machine.fingerprint().to_string()[..12].to_owned()
}

/// A server whose machines were revoked, renewed and invited after its backup.
struct Past {
    launcher: Launcher,
    copy: PathBuf,
    /// Of alice, both from before the backup: one lost afterwards, one renewed afterwards.
    lost: Machine,
    lost_renewed: Machine,
    kept: Machine,
    kept_renewed: Machine,
    /// Revoked as a whole after the backup, and renewed just before that.
    bob: Machine,
    bob_renewed: Machine,
    /// Invited again after that.
    bob_again: Machine,
    /// A token that was open when the backup was taken and used afterwards, and one that nobody has used.
    used: sealift_certs::JoinToken,
    open: sealift_certs::JoinToken,
    carol: Machine,
}

/// `reach` makes the backup a place that `revoke` cannot reach for a while.
async fn past(is_reachable: bool) -> Past {
    let launcher = Launcher::new(SEALIFTD);
    let server = launcher.start().await;
    let (lost, kept, bob) =
        (server.enrol("alice").await, server.enrol("alice").await, server.enrol("bob").await);
    let (used, open) = (server.invite("carol"), server.invite("dave"));
    let copy = launcher.folder().join("copy");
    let destination = copy.display().to_string();
    ok(launcher.run("backup", &[&destination]).await);
    let carol = joining::join(&used).await.unwrap();
    let (lost_renewed, kept_renewed) = (renewed(&lost).await, renewed(&kept).await);
    let bob_renewed = renewed(&bob).await;
    let away = launcher.folder().join("away");
    if !is_reachable {
        std::fs::rename(&copy, &away).unwrap();
    }
    for arguments in [vec!["--certificate".to_owned(), short(&lost)], vec!["bob".to_owned()]] {
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let ended = launcher.run("revoke", &arguments).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(ended.stdout.contains("(2 certificates)"), "{ended:?}");
        let warned = ended.stderr.contains(&format!("the backup {destination} cannot be reached"));
        assert_eq!(warned, !is_reachable, "{ended:?}");
    }
    if !is_reachable {
        std::fs::rename(&away, &copy).unwrap();
    }
    let bob_again = server.enrol("bob").await;
    for machine in [&lost, &lost_renewed, &bob, &bob_renewed] {
        assert_refused(machine, "revoked").await;
    }
    for machine in [&kept, &kept_renewed, &bob_again, &carol] {
        machine.connect().await;
    }
    server.kill();
    Past {
        launcher,
        copy,
        lost,
        lost_renewed,
        kept,
        kept_renewed,
        bob,
        bob_renewed,
        bob_again,
        used,
        open,
        carol,
    }
}

impl Past {
    /// What holds on any restored server that has the list of revocations.
    async fn check_restored(&self, data: &Path) {
        let launcher = self.launcher.clone().on(data);
        let server = launcher.start().await;
        let here = |machine: &Machine| machine.at(server.address);
        assert_refused(&here(&self.lost), "revoked after the backup").await;
        assert_refused(&here(&self.lost_renewed), "unknown to the backup, and revoked").await;
        assert_refused(&here(&self.bob), "revoked after the backup").await;
        assert_refused(&here(&self.bob_renewed), "unknown to the backup, and revoked").await;
        assert_refused(&here(&self.carol), "an identity that the backup does not know").await;
        here(&self.kept_renewed).connect().await;
        for token in [&self.used, &self.open] {
            let mut token = token.clone();
            token.addresses = vec![server.address.to_string()].try_into().unwrap();
            let refused = joining::join(&token).await;
            assert!(refused.is_err(), "{refused:?}");
        }
        assert!(server.stderr().contains("this catalog is a backup"), "{}", server.stderr());
        server.kill();
        // Once it has been taken in, a certificate stays; and what was revoked does.
        let server = launcher.start().await;
        self.kept_renewed.at(server.address).connect().await;
        assert_refused(&self.lost_renewed.at(server.address), "still revoked").await;
        assert!(!server.stderr().contains("this catalog is a backup"), "it is a server's own by now");
        server.kill();
    }
}

#[tokio::test]
async fn a_backup_that_was_reachable_knows_what_was_revoked_since() {
    let past = past(true).await;
    past.check_restored(&past.copy).await;
}

#[tokio::test]
async fn a_catalog_from_a_backup_beside_the_list_of_the_lost_server_knows_it_too() {
    let past = past(false).await;
    let data = past.launcher.data();
    for side in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(data.join(format!("catalog.db{side}")));
    }
    std::fs::copy(past.copy.join("catalog.db"), data.join("catalog.db")).unwrap();
    past.check_restored(&data).await;
}

/// As the manual has it: the list is one file, which can be put into a backup by hand.
#[tokio::test]
async fn the_list_can_be_carried_to_a_backup_by_hand() {
    let past = past(false).await;
    let list = |data: &Path| data.join("pki/revocations");
    std::fs::copy(list(&past.launcher.data()), list(&past.copy)).unwrap();
    past.check_restored(&past.copy).await;
}

/// Without the list, what was revoked after the backup is good again: no more is promised. Whoever was renewed or invited
/// again is not locked out.
#[tokio::test]
async fn without_the_list_a_restored_server_knows_what_the_backup_knew() {
    let past = past(false).await;
    let server = past.launcher.clone().on(&past.copy).start().await;
    for machine in [&past.lost, &past.kept_renewed, &past.bob, &past.bob_again] {
        machine.at(server.address).connect().await;
    }
    assert_refused(&past.carol.at(server.address), "an identity that the backup does not know").await;
    // It is revoked again, as the log of the lost server tells; also what the catalog has never seen.
    ok(past.launcher.clone().on(&past.copy).run("revoke", &["bob"]).await);
    for machine in [&past.bob, &past.bob_again, &past.bob_renewed] {
        assert_refused(&machine.at(server.address), "revoked on the restored server").await;
    }
    let back = server.enrol("bob").await;
    back.connect().await;
    assert_refused(&past.bob_renewed.at(server.address), "revoked before bob was invited again").await;
}

/// The machine that a restored catalog knows is the one that has renewed since, whether it has come back or not.
#[tokio::test]
async fn a_machine_that_renewed_since_the_backup_can_be_revoked_by_what_the_backup_knows() {
    let past = past(false).await;
    let launcher = past.launcher.clone().on(&past.copy);
    let server = launcher.start().await;
    past.kept_renewed.at(server.address).connect().await;
    // Its second certificate since then, which the restored server issues.
    let latest = renewed(&past.kept_renewed.at(server.address)).await;
    latest.connect().await;
    for machine in [&past.kept, &past.lost] {
        ok(launcher.run("revoke", &["--certificate", &short(machine)]).await);
    }
    for machine in [&past.kept, &past.kept_renewed, &latest, &past.lost_renewed] {
        assert_refused(&machine.at(server.address), "of a machine that was revoked").await;
    }
    let good = ok(launcher.run("identities", &["--certificates"]).await);
    assert!(!good.contains("alice"), "{good}");
}

/// A list that comes from a server whose catalog knew less than the backup that is restored next.
#[tokio::test]
async fn what_was_revoked_on_one_restored_server_is_so_on_the_next() {
    let launcher = Launcher::new(SEALIFTD);
    let server = launcher.start().await;
    let bob = server.enrol("bob").await;
    let [old, new] = ["old", "new"].map(|name| launcher.folder().join(name));
    ok(launcher.run("backup", &[&old.display().to_string()]).await);
    // Unknown to the old backup: a machine of bob's, and one that has renewed its certificate.
    let second_of_bob = server.enrol("bob").await;
    let lost = server.enrol("bob").await;
    ok(launcher.run("backup", &[&new.display().to_string()]).await);
    let lost_renewed = renewed(&lost).await;
    server.kill();
    // What is revoked on a copy is written into the backups that it knows of.
    let pristine = launcher.folder().join("pristine");
    copy_tree(&old, &pristine);

    for whole in [false, true] {
        let first = launcher.clone().on(&launcher.folder().join(format!("first-{whole}")));
        copy_tree(&pristine, &first.data());
        let server = first.start().await;
        lost_renewed.at(server.address).connect().await;
        match whole {
            false => ok(first.run("revoke", &["--certificate", &short(&lost_renewed)]).await),
            true => ok(first.run("revoke", &["bob"]).await),
        };
        server.kill();
        for from in [&old, &new] {
            let next = launcher.clone().on(&launcher.folder().join(format!("next-{whole}")));
            copy_tree(from, &next.data());
            std::fs::copy(first.data().join("pki/revocations"), next.data().join("pki/revocations")).unwrap();
            let server = next.start().await;
            for machine in [&lost, &lost_renewed] {
                assert_refused(&machine.at(server.address), "its machine is revoked").await;
            }
            for machine in [&bob, &second_of_bob] {
                let machine = machine.at(server.address);
                match whole {
                    false => drop(machine.connect().await),
                    true => assert_refused(&machine, "its identity is revoked").await,
                }
            }
            server.kill();
            std::fs::remove_dir_all(next.data()).unwrap();
        }
    }
}

fn copy_tree(from: &Path, to: &Path) {
    let copied = std::process::Command::new("cp").arg("-a").args([from, to]).status().unwrap();
    assert!(copied.success());
}
