//! Starts that are refused: one sentence that names the thing and the mend, and nothing is changed.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use sealift_tests::{Ended, Launcher};

use crate::SEALIFTD;

/// All that is in a directory: mode, owner and contents of each path.
fn tree(root: &Path) -> BTreeMap<PathBuf, (u32, u32, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut left = vec![root.to_owned()];
    while let Some(path) = left.pop() {
        let Ok(facts) = fs::symlink_metadata(&path) else { continue };
        let contents = if facts.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
        if facts.is_dir() {
            left.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        found.insert(path, (facts.mode(), facts.uid(), contents));
    }
    found
}

#[track_caller]
fn one_sentence(what: &str, ended: &Ended, code: i32, words: &[&str]) {
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(code), ""), "{what}: {ended:?}");
    let lines: Vec<_> = ended.stderr.lines().collect();
    assert!(lines.len() == 1 && lines[0].starts_with("sealiftd: "), "{what}: {ended:?}");
    for word in words {
        assert!(ended.stderr.contains(word), "{what}: {word:?} is not in {ended:?}");
    }
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// What is done to a data directory, how the start ends, and what is said.
type Case = (&'static str, fn(&Path), i32, &'static [&'static str]);

const CASES: &[Case] = &[
    (
        "readable by all",
        |data| mode(data, 0o755),
        2,
        &["/data is open to other users (mode 0755)", "chmod 700"],
    ),
    ("writable by the group", |data| mode(data, 0o770), 2, &["/data is open to other users", "chmod 700"]),
    ("keys for the group", |data| mode(&data.join("pki"), 0o750), 2, &["/pki", "(mode 0750)", "chmod 700"]),
    ("a key for all", |data| mode(&data.join("pki/ca.key"), 0o644), 2, &["/pki/ca.key is open", "chmod 600"]),
    (
        "the server's key for all",
        |data| {
            fs::write(data.join("pki/server.key"), "").unwrap();
            mode(&data.join("pki/server.key"), 0o640);
        },
        2,
        &["/pki/server.key is open", "chmod 600"],
    ),
    (
        "no key",
        |data| fs::remove_file(data.join("pki/ca.key")).unwrap(),
        2,
        &["/pki/ca.key is missing", "restore"],
    ),
    (
        "no key in the file",
        |data| fs::write(data.join("pki/ca.key"), "x").unwrap(),
        2,
        &["/pki", "restore the file"],
    ),
    (
        "a directory for a key",
        |data| {
            fs::remove_file(data.join("pki/ca.key")).unwrap();
            fs::create_dir(data.join("pki/ca.key")).unwrap();
            mode(&data.join("pki/ca.key"), 0o700);
        },
        2,
        &["/pki/ca.key: ", "must be able to read"],
    ),
    (
        "another server's key",
        |data| {
            let other = Launcher::new(SEALIFTD);
            fs::copy(other.data().join("pki/ca.key"), data.join("pki/ca.key")).unwrap();
        },
        2,
        &["/pki", "does not belong to the certificate", "same backup"],
    ),
    (
        "a newer catalog",
        |data| {
            let catalog = Connection::open(data.join("catalog.db")).unwrap();
            catalog.pragma_update(None, "user_version", 99).unwrap();
            catalog.close().unwrap();
        },
        2,
        &["has version 99", "update sealiftd"],
    ),
    (
        "another program's catalog",
        |data| {
            fs::remove_file(data.join("catalog.db")).unwrap();
            Connection::open(data.join("catalog.db")).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
        },
        2,
        &["catalog.db is not a Sealift catalog", "the right one?"],
    ),
    (
        "an empty catalog",
        |data| fs::write(data.join("catalog.db"), "").unwrap(),
        2,
        &["is empty", "restore it"],
    ),
    (
        "half a catalog",
        |data| {
            let file = fs::File::options().write(true).open(data.join("catalog.db")).unwrap();
            file.set_len(file.metadata().unwrap().len() / 2).unwrap();
        },
        2,
        &["catalog.db cannot be used", "restore it from a backup"],
    ),
    ("a catalog of noise", |data| fs::write(data.join("catalog.db"), [7; 9000]).unwrap(), 2, &["restore it"]),
    ("no contents", |data| fs::remove_dir(data.join("blobs")).unwrap(), 2, &["/blobs is missing", "restore"]),
];

#[tokio::test]
async fn a_data_directory_that_cannot_be_used_stays_as_it_is() {
    for (what, damage, code, words) in CASES {
        let launcher = Launcher::new(SEALIFTD);
        // What a start would remove and what it would make are there to be seen.
        fs::write(launcher.data().join("incoming/7.gone"), "x").unwrap();
        damage(&launcher.data());
        let before = tree(&launcher.data());
        one_sentence(what, &launcher.fail().await, *code, words);
        assert!(tree(&launcher.data()) == before, "{what}: something was changed");
    }
}

/// Only root can give files away, so only root can run this.
#[tokio::test]
async fn files_of_another_user_are_named() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    for part in ["", "catalog.db", "blobs", "incoming", "pki", "pki/ca.key"] {
        let launcher = Launcher::new(SEALIFTD);
        let path = launcher.data().join(part);
        chown(&path, Some(65534), None).unwrap();
        let before = tree(&launcher.data());
        let named = path.display().to_string();
        let words = [named.trim_end_matches('/'), "belongs to user 65534", "runs as user 0", "chown -R"];
        one_sentence(part, &launcher.fail().await, 2, &words);
        assert!(tree(&launcher.data()) == before, "{part}");
        // Root administers for everyone.
        assert_eq!(launcher.run("invite", &["alice", "--address", "h:1"]).await.code, Some(0), "{part}");
    }
    // An empty one that is another's is not taken over either.
    let launcher = Launcher::on_nothing(SEALIFTD);
    fs::create_dir(launcher.data()).unwrap();
    chown(launcher.data(), Some(65534), None).unwrap();
    let before = tree(&launcher.data());
    one_sentence("empty", &launcher.fail().await, 2, &["belongs to user 65534"]);
    assert!(tree(&launcher.data()) == before);
}

#[tokio::test]
async fn an_empty_directory_is_closed_to_others_when_it_is_initialised() {
    let launcher = Launcher::on_nothing(SEALIFTD);
    fs::create_dir(launcher.data()).unwrap();
    mode(&launcher.data(), 0o755);
    let server = launcher.start().await;
    assert_eq!(launcher.data().metadata().unwrap().mode() & 0o777, 0o700);
    server.enrol("alice").await.connect().await.whoami().await.unwrap();
}

#[tokio::test]
async fn addresses_that_cannot_be_had_leave_the_data_as_it_is() {
    let holder = Launcher::new(SEALIFTD).start().await;
    for (address, words) in [
        (holder.address, ["another server", "--listen"]),
        // Reserved for documentation: no machine has it.
        ("192.0.2.1:8888".parse().unwrap(), ["no such address", "--listen"]),
    ] {
        let launcher = Launcher::on_nothing(SEALIFTD).listen(address);
        let ended = launcher.fail().await;
        one_sentence("address", &ended, 1, &words);
        assert!(ended.stderr.contains(&address.to_string()), "{ended:?}");
        assert!(!launcher.data().exists());
    }
}

#[tokio::test]
async fn a_second_server_changes_nothing() {
    let launcher = Launcher::new(SEALIFTD);
    let mut server = launcher.start().await;
    let mut client = server.enrol("alice").await.connect().await;
    client.put_stream("file", &[7; 200_000]).await.unwrap();
    server.store().settled().await;
    let before = tree(&launcher.data());
    one_sentence("second", &launcher.fail().await, 2, &["another sealiftd uses", "stop it first"]);
    assert!(tree(&launcher.data()) == before);
    client.get("file").await.unwrap();
    server.terminate();
    assert_eq!(server.exit_code().await, Some(0));
}

#[tokio::test]
async fn settings_that_make_no_sense_leave_everything_as_it_is() {
    let launcher = Launcher::on_nothing(SEALIFTD);
    let file = launcher.configuration();
    let path = file.display().to_string();
    for (text, words) in [
        ("listn = 'x'", ["sealiftd.toml:1:", "did you mean `listen`?"]),
        ("\n\n[timeouts]\nidle = 'x'", ["sealiftd.toml:4:", "write a time from 1ms to 1d"]),
        ("listen = [", ["sealiftd.toml:1:", "this is not TOML"]),
        ("log_level = 'lots'", ["sealiftd.toml:1:", "write one of off, error"]),
    ] {
        fs::write(&file, text).unwrap();
        let ended = launcher.run("serve", &["--config", &path]).await;
        one_sentence(text, &ended, 2, &words);
    }
    fs::remove_file(&file).unwrap();
    one_sentence(
        "missing",
        &launcher.run("serve", &["--config", &path]).await,
        2,
        &["cannot be read", "--config"],
    );
    for (name, value, words) in [
        ("SEALIFTD_LISTEN", "8888", ["SEALIFTD_LISTEN = 8888", "write an address and a port"]),
        (
            "SEALIFTD_MAX_CONECTIONS",
            "1",
            ["there is no variable", "did you mean `SEALIFTD_MAX_CONNECTIONS`?"],
        ),
    ] {
        let ended = launcher.clone().variable(name, value).run("serve", &[]).await;
        one_sentence(name, &ended, 2, &words);
    }
    assert_eq!(fs::read_dir(launcher.folder()).unwrap().count(), 0, "nothing was made");
}
