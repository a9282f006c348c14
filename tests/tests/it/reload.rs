//! Settings that change while the server runs.

use std::fs;
use std::path::Path;
use std::time::Duration;

use sealift_certs::JoinToken;
use sealift_tests::{Launcher, Machine, RealServer, Refusal, eventually};
use sealift_types::ErrorCode;

use crate::SEALIFTD;

/// Replaces the file as an administrator should.
fn replace(file: &Path, text: &str) {
    let new = file.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::rename(new, file).unwrap();
}

/// Waits until the server has complained in these words, so many times.
async fn said(server: &RealServer, words: &str, times: usize) -> String {
    eventually(words, || {
        let log = server.stderr();
        (log.matches(words).count() >= times).then_some(log)
    })
    .await
}

/// There are as many connections as there may be.
async fn turned_away(machine: &Machine) {
    match machine.try_connect().await {
        Err(Refusal::Said(error)) => assert_eq!(error.code, ErrorCode::Busy),
        other => panic!("{other:?} instead of a refusal"),
    }
}

#[tokio::test]
async fn a_signal_puts_new_settings_in_force_on_open_connections() {
    let launcher = Launcher::new(SEALIFTD);
    let server = launcher.start().await;
    let alice = server.enrol("alice").await;
    let mut client = alice.connect().await;
    client.whoami().await.unwrap();

    replace(&launcher.configuration(), "max_connections = 1\ntimeouts.idle = '200ms'\n");
    server.hang_up();
    let log = said(&server, "read the configuration again", 1).await;
    assert!(log.contains("max_connections = 1, timeouts.idle = \"200ms\""), "{log}");
    turned_away(&alice).await;
    client.whoami().await.unwrap();
    let last = client.last_words().await.map(|error| error.code);
    assert_eq!(last, Some(ErrorCode::Timeout), "the open connection has the new patience");

    // What is taken out of the file is the default again.
    replace(&launcher.configuration(), "");
    server.hang_up();
    said(&server, "max_connections = 4096, timeouts.idle = \"10m\"", 1).await;
    let _first = alice.connect().await;
    alice.connect().await.whoami().await.unwrap();
}

#[tokio::test]
async fn a_changed_file_is_read_by_itself_and_a_wrong_one_changes_nothing() {
    let launcher = Launcher::new(SEALIFTD);
    let mut server = launcher.start().await;
    let alice = server.enrol("alice").await;
    let file = launcher.configuration();
    replace(&file, "max_connections = 1\n");
    said(&server, "the configuration has changed", 1).await;
    said(&server, "max_connections = 1", 1).await;
    let mut first = alice.connect().await;

    // All that is wrong is said, and nothing of it is in force: not the good half either.
    replace(&file, "max_connections = 9\nlisen = 1\n[timeouts]\nidle = 'x'\n");
    let log = said(&server, "the settings stay as they were", 1).await;
    assert!(
        log.contains("sealiftd.toml:2: there is no key `lisen`") && log.contains("sealiftd.toml:4:"),
        "{log}"
    );
    turned_away(&alice).await;
    fs::remove_file(&file).unwrap();
    said(&server, "the settings stay as they were", 2).await;
    turned_away(&alice).await;
    first.whoami().await.unwrap();

    replace(&file, "max_connections = 3\n");
    said(&server, "max_connections = 3", 1).await;
    alice.connect().await.whoami().await.unwrap();
    server.terminate();
    assert_eq!(server.exit_code().await, Some(0));
}

/// An editor empties a file before it fills it again, and an empty file is a good one.
#[tokio::test]
async fn a_file_that_is_being_written_is_left_alone() {
    let launcher = Launcher::new(SEALIFTD);
    let server = launcher.start().await;
    let file = launcher.configuration();
    replace(&file, "max_connections = 1\n");
    said(&server, "max_connections = 1", 1).await;
    // It differs at each look, and is never whole.
    for length in 0..30 {
        fs::write(&file, "# and on ".repeat(length)).unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    replace(&file, "max_connections = 2\n");
    let log = said(&server, "max_connections = 2", 1).await;
    assert!(!log.contains("max_connections = 4096"), "{log}");
}

#[tokio::test]
async fn what_needs_a_restart_is_said_and_stays() {
    let launcher = Launcher::new(SEALIFTD);
    let server = launcher.start().await;
    let text = "data = '/somewhere'\nlog = 'json'\nmax_connections = 7\n";
    replace(&launcher.configuration(), text);
    server.hang_up();
    let log = said(&server, "read the configuration again", 1).await;
    assert!(log.contains("changed=max_connections = 7"), "only that: {log}");
    let warnings: Vec<_> = log.lines().filter(|line| line.contains("needs a restart")).collect();
    // --data comes before the file, so the file's changes nothing there.
    assert_eq!(warnings.len(), 1, "{log}");
    assert!(
        warnings[0].contains("log = \"json\"") && warnings[0].contains("\"text\" stays in force"),
        "{log}"
    );
    assert!(warnings[0].contains("sealiftd.toml:2"), "{log}");
    server.enrol("alice").await.connect().await.whoami().await.unwrap();
}

#[tokio::test]
async fn the_log_can_become_more_and_less_talkative() {
    let launcher = Launcher::new(SEALIFTD);
    let server = launcher.start().await;
    let alice = server.enrol("alice").await;
    assert!(!server.stderr().contains("DEBUG"));
    replace(&launcher.configuration(), "log_level = 'debug'\n");
    server.hang_up();
    said(&server, "read the configuration again", 1).await;
    eventually("a line of the level debug", || {
        // Whoever connects and says nothing is worth one.
        drop(std::net::TcpStream::connect(server.address));
        server.stderr().contains("DEBUG").then_some(())
    })
    .await;
    alice.connect().await.whoami().await.unwrap();
}

#[tokio::test]
async fn new_addresses_are_in_the_certificate_at_once() {
    let launcher = Launcher::new(SEALIFTD);
    let server = launcher.start().await;
    let alice = server.enrol("alice").await;
    let hosts = || fs::read_to_string(launcher.data().join("pki/server.hosts")).unwrap();
    assert!(!hosts().contains("files.example.org"));
    replace(&launcher.configuration(), "addresses = ['files.example.org:443']\n");
    server.hang_up();
    eventually("the new name", || hosts().contains("files.example.org").then_some(())).await;
    said(&server, "renewed the server's certificate", 1).await;
    alice.connect().await.whoami().await.unwrap();
    let file = launcher.configuration().display().to_string();
    let token: JoinToken = launcher.run("invite", &["bob", "--config", &file]).await.stdout.parse().unwrap();
    assert_eq!(token.addresses.to_vec(), ["files.example.org:443"]);
}
