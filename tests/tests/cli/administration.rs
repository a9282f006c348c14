//! `sealiftd`'s commands beside a running server.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use insta::assert_snapshot;
use sealift_certs::JoinToken;
use sealift_tests::{Computer, Ended, Launcher, PATIENCE, within};
use serde_json::Value;

use crate::{SEALIFT, SEALIFTD};

const SECOND: i64 = 1_000_000_000;

trait Outcome {
    fn ok(self) -> String;
    fn failed(self, code: i32) -> String;
}

impl Outcome for Ended {
    /// What it printed.
    #[track_caller]
    fn ok(self) -> String {
        assert_eq!((self.code, self.stderr.as_str()), (Some(0), ""), "{self:?}");
        self.stdout
    }

    /// What it complained.
    #[track_caller]
    fn failed(self, code: i32) -> String {
        assert_eq!((self.code, self.stdout.as_str()), (Some(code), ""), "{self:?}");
        self.stderr
    }
}

#[tokio::test]
async fn invitations() {
    let launcher = Launcher::new(SEALIFTD);
    let server = launcher.start().await;
    let token = launcher.run("invite", &["alice"]).await.ok();
    let parsed: JoinToken = token.parse().unwrap();
    assert_eq!(token, format!("{parsed}\n"), "the token alone");
    assert_eq!(parsed.addresses.to_vec(), [server.address.to_string()]);
    let named = launcher
        .run("invite", &["alice", "--address", "files.example.org", "--address", "[::1]:7"])
        .await
        .ok();
    let port = server.address.port();
    let addresses = named.parse::<JoinToken>().unwrap().addresses.to_vec();
    assert_eq!(addresses, [format!("files.example.org:{port}"), "[::1]:7".to_owned()]);

    for (ttl, seconds) in [(None, 3600), (Some("90s"), 90), (Some("15m"), 900), (Some("7d"), 7 * 86400)] {
        let ttl: Vec<_> = ttl.iter().flat_map(|ttl| ["--ttl", ttl]).collect();
        launcher.run("invite", &[&["bob"], &ttl[..]].concat()).await.ok();
        let sql = "SELECT expires_at - created_at FROM invites WHERE name = 'bob'";
        let time: i64 = server.catalog().query_row(sql, [], |row| row.get(0)).unwrap();
        assert_eq!(time, seconds * SECOND, "{ttl:?}");
        server.administer(|catalog| catalog.execute("DELETE FROM invites WHERE name = 'bob'", []).unwrap());
    }
    // The setting counts where the command says nothing.
    let set = Launcher::new(SEALIFTD).variable("SEALIFTD_INVITATIONS_LIFETIME", "3d");
    let other = set.start().await;
    for (ttl, seconds) in [(&[][..], 3 * 86400), (&["--ttl", "90s"], 90)] {
        let invited = set.run("invite", &[&["--json", "bob"], ttl].concat()).await.ok();
        let invited: Value = serde_json::from_str(&invited).unwrap();
        let sql = "SELECT expires_at - created_at FROM invites WHERE expires_at = ?1";
        let expires = invited["expires"].as_i64().unwrap();
        let time: i64 = other.catalog().query_row(sql, [expires], |row| row.get(0)).unwrap();
        assert_eq!(time, seconds * SECOND, "{ttl:?}");
    }
    for (arguments, words) in [
        (&[][..], "<NAME>"),
        (&["Alice"], "is not allowed: use 1 to 64 of a-z"),
        (&["bob", "--ttl", "soon"], "write a number with s, m, h or d"),
        (&["bob", "--ttl", "0s"], "write a number with s, m, h or d"),
    ] {
        assert!(launcher.run("invite", arguments).await.failed(2).contains(words), "{arguments:?}");
    }
    let everyone = launcher.run("invite", &["everyone"]).await.failed(1);
    assert!(everyone.contains("invite under another name"), "{everyone}");
    assert_eq!(server.store().count("invites"), 2);
}

#[tokio::test]
async fn identities_and_revocation() {
    let launcher = Launcher::new(SEALIFTD);
    let server = launcher.start().await;
    assert_eq!(launcher.run("identities", &[]).await.ok(), "");
    assert_eq!(launcher.run("identities", &["--json"]).await.ok(), "");
    let alice = Computer::joined(SEALIFT, &server, "alice").await;
    let bob = Computer::joined(SEALIFT, &server, "bob-with-a-long-name").await;
    let second = Computer::joined(SEALIFT, &server, "alice").await;
    let revoked = launcher.run("revoke", &["bob-with-a-long-name"]).await.ok();
    assert_eq!(revoked, "revoked bob-with-a-long-name (1 certificate)\n");
    bob.run(["ls"]).await.exited(4);
    let listed = launcher.run("identities", &[]).await.ok();
    insta::with_settings!({ filters => vec![(r"20\d\d-\d\d-\d\d", "[DAY]")] }, {
        assert_snapshot!(listed, @r#"
        NAME                  STATE    CERTIFICATES  EXPIRES
        alice                 active              2  [DAY]
        bob-with-a-long-name  revoked             0  -
        "#);
    });
    let json = launcher.run("identities", &["--json"]).await.ok();
    let rows: Vec<Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        (&rows[0]["name"], &rows[0]["state"], &rows[0]["certificates"]),
        (&"alice".into(), &"active".into(), &2.into())
    );
    assert_eq!((&rows[1]["state"], &rows[1]["certificates"]), (&"revoked".into(), &0.into()));
    assert!(
        rows[0]["revoked"].is_null() && !rows[1]["revoked"].is_null() && rows[1]["expires"].is_null(),
        "{json}"
    );

    assert_eq!(launcher.run("revoke", &["alice"]).await.ok(), "revoked alice (2 certificates)\n");
    for computer in [&alice, &second] {
        computer.run(["ls"]).await.exited(4);
    }
    assert_snapshot!(launcher.run("revoke", &["nobody"]).await.failed(3), @r#"sealiftd: there is no identity nobody: `sealiftd identities` lists them"#);
    launcher.run("revoke", &[]).await.failed(2);
}

/// A lost laptop costs its owner no other machine.
#[tokio::test]
async fn machines_are_listed_and_revoked_one_by_one() {
    let launcher = Launcher::new(SEALIFTD);
    let server = launcher.start().await;
    assert_eq!(launcher.run("identities", &["--certificates"]).await.ok(), "");
    let laptop = Computer::joined(SEALIFT, &server, "alice").await;
    let desktop = Computer::joined(SEALIFT, &server, "alice").await;
    let bob = Computer::joined(SEALIFT, &server, "bob").await;
    laptop.run(["renew"]).await.ok();
    for computer in [&laptop, &desktop, &bob] {
        computer.run(["ls"]).await.ok();
    }
    let json = launcher.run("identities", &["--certificates", "alice", "--json"]).await.ok();
    let rows: Vec<Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.len(), 3, "{json}");
    assert!(rows.iter().all(|row| row["identity"] == "alice" && row["state"] == "active"), "{json}");
    let node = rustix::system::uname().nodename().to_str().unwrap().to_owned();
    assert!(rows.iter().all(|row| row["machine"] == node.as_str()), "{json}");
    // By its first certificate, although it has renewed it since.
    let first = rows[0]["certificate"].as_str().unwrap();
    let used: Vec<_> = rows.iter().filter(|row| row["address"] == "127.0.0.1").collect();
    assert!(!used.is_empty() && used.iter().all(|row| row["used"].is_i64()), "{json}");

    let listed = launcher.run("identities", &["--certificates"]).await.ok();
    let lines: Vec<_> = listed.lines().collect();
    let head: Vec<_> = lines[0].split_whitespace().collect();
    assert_eq!(head, ["CERTIFICATE", "IDENTITY", "MACHINE", "STATE", "ISSUED", "EXPIRES", "USED", "FROM"]);
    assert!(lines.len() == 5 && lines[1].starts_with(&first[..12]) && lines[4].contains("bob"), "{listed}");

    // A connection that is open ends, too.
    let machine = server.enrol("alice").await;
    let mut open = machine.connect().await;
    let print = machine.fingerprint().to_string();
    let revoked = launcher.run("revoke", &["--certificate", &print[..12]]).await.ok();
    assert_eq!(revoked, "revoked a machine of alice (1 certificate)\n");
    within(PATIENCE, "the end of the connection", open.last_words()).await;

    let revoked = launcher.run("revoke", &["--certificate", &first[..8], "--json"]).await.ok();
    let revoked: Value = serde_json::from_str(&revoked).unwrap();
    assert_eq!((&revoked["identity"], &revoked["machine"]), (&"alice".into(), &node.as_str().into()));
    assert_eq!(
        revoked["certificates"].as_array().unwrap().len(),
        2,
        "with the one that renewed it: {revoked}"
    );
    laptop.run(["ls"]).await.exited(4);
    desktop.run(["ls"]).await.ok();
    bob.run(["ls"]).await.ok();
    let left = launcher.run("identities", &["--certificates", "alice"]).await.ok();
    assert_eq!(left.lines().count(), 2, "{left}");
    let all = launcher.run("identities", &["--certificates", "--all", "alice"]).await.ok();
    assert_eq!(all.matches(" revoked ").count(), 3, "{all}");

    assert_snapshot!(launcher.run("revoke", &["--certificate", "0123456789ab"]).await.failed(3), @"sealiftd: there is no certificate 0123456789ab: `sealiftd identities --certificates` lists them");
    assert_snapshot!(launcher.run("revoke", &["--certificate", "012"]).await.failed(2), @r#"sealiftd: "012" names no certificate: give at least 8 digits; `sealiftd identities --certificates` lists them"#);
    launcher.run("revoke", &["alice", "--certificate", &first[..8]]).await.failed(2);
}

#[tokio::test]
async fn open_invitations_are_listed_and_withdrawn() {
    let launcher = Launcher::new(SEALIFTD);
    let server = launcher.start().await;
    assert_eq!(launcher.run("identities", &["--invitations"]).await.ok(), "");
    let invited = launcher.run("invite", &["alice", "--json"]).await.ok();
    let invited: Value = serde_json::from_str(&invited).unwrap();
    let token = invited["token"].as_str().unwrap().to_owned();
    let other = launcher.run("invite", &["bob"]).await.ok();
    let json = launcher.run("identities", &["--invitations", "--json"]).await.ok();
    let rows: Vec<Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((rows.len(), &rows[0]["identity"]), (2, &"alice".into()), "{json}");
    assert_eq!((&rows[0]["invitation"], &rows[0]["expires"]), (&invited["invitation"], &invited["expires"]));
    let id = &rows[0]["invitation"].as_str().unwrap()[..12];
    let listed = launcher.run("identities", &["--invitations"]).await.ok();
    assert!(listed.lines().nth(1).unwrap().starts_with(id), "{listed}");
    assert_eq!(launcher.run("revoke", &["--invitation", id]).await.ok(), "withdrew an invitation of alice\n");
    Computer::new(SEALIFT).run(["join", &token]).await.refused(4);
    Computer::new(SEALIFT).run(["join", other.trim()]).await.ok();
    // One that was used is none that could be withdrawn.
    let used = rows[1]["invitation"].as_str().unwrap();
    launcher.run("revoke", &["--invitation", used]).await.failed(3);
    assert_eq!(launcher.run("identities", &["--invitations"]).await.ok(), "");
    drop(server);
}

#[tokio::test]
async fn spaces_and_grants() {
    let launcher = Launcher::new(SEALIFTD);
    let server = launcher.start().await;
    let alice = Computer::joined(SEALIFT, &server, "alice").await;
    let bob = Computer::joined(SEALIFT, &server, "bob").await;
    alice.write("a", "a");
    assert_snapshot!(launcher.run("space", &["add", "photos"]).await.ok(), @r#"added /photos: `sealiftd grant photos WHO RIGHTS` opens it"#);
    alice.run(["put", "a", "/photos/"]).await.exited(4);
    assert_snapshot!(launcher.run("grant", &["photos", "alice", "read,create"]).await.ok(), @r#"alice may now do in /photos: read, create"#);
    alice.run(["put", "a", "/photos/"]).await.ok();
    bob.run(["get", "/photos/a", "-"]).await.exited(4);
    assert_snapshot!(launcher.run("grant", &["photos", "everyone", "read"]).await.ok(), @r#"everyone may now do in /photos: read"#);
    bob.run(["get", "/photos/a", "-"]).await.ok();
    launcher.run("grant", &["alice", "bob", "all"]).await.ok();
    bob.run(["cp", "/photos/a", "/alice/from-bob"]).await.ok();
    assert_snapshot!(launcher.run("space", &["list"]).await.ok(), @r#"
    /alice  of alice
        bob: read,create,replace,delete
    /bob  of bob
    /photos  shared
        everyone: read
        alice: read,create
    "#);
    let json = launcher.run("space", &["list", "--json"]).await.ok();
    let rows: Vec<Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        rows[0],
        serde_json::json!({ "space": "alice", "owner": "alice", "grants": [
        { "identity": "bob", "rights": ["read", "create", "replace", "delete"] } ] })
    );
    assert_eq!(rows[2]["grants"][0], serde_json::json!({ "identity": null, "rights": ["read"] }));
    assert!(rows[2]["owner"].is_null());
    assert_snapshot!(launcher.run("grant", &["photos", "everyone", "none"]).await.ok(), @r#"everyone may now do in /photos: nothing"#);
    bob.run(["get", "/photos/a", "-"]).await.exited(4);

    assert_snapshot!(launcher.run("space", &["add", "photos"]).await.failed(1), @r#"sealiftd: there is a space /photos already: choose another name"#);
    // A cause is told once.
    let file = tempfile::NamedTempFile::new().unwrap();
    let alice = sealift_tests::Computer::new(SEALIFT);
    for verb in ["serve", "check"] {
        let line = [verb.as_ref(), "--data".as_ref(), file.path().as_os_str()];
        let ran = alice.call_other(SEALIFTD, line).run().await.exited(2);
        assert_eq!(ran.stderr.matches("os error").count(), 1, "{ran:?}");
    }
    for rights in ["none", "read", "create,delete", "all"] {
        let told = launcher.run("grant", &["alice", "alice", rights]).await.failed(2);
        assert!(told.contains("the owner of a space keeps all rights in it"), "{rights}: {told}");
    }
    launcher.run("grant", &["alice", "everyone", "read"]).await.ok();
    launcher.run("grant", &["alice", "everyone", "none"]).await.ok();
    assert_snapshot!(launcher.run("grant", &["nowhere", "alice", "read"]).await.failed(3), @r#"sealiftd: there is no nowhere: `sealiftd space list` lists the spaces"#);
    assert_snapshot!(launcher.run("grant", &["photos", "nobody", "read"]).await.failed(3), @r#"sealiftd: there is no nobody: `sealiftd identities` lists who has joined"#);
    let wrong = launcher.run("grant", &["photos", "alice", "write"]).await.failed(2);
    assert!(wrong.contains("is no right: use read, create, replace, delete, all or none"), "{wrong}");
    let taken = launcher.run("invite", &["photos"]).await.failed(1);
    assert!(taken.contains("/photos is a shared space: invite under another name"), "{taken}");
    launcher.run("invite", &["zed"]).await.ok();
    let invited = launcher.run("space", &["add", "zed"]).await.failed(1);
    assert!(invited.contains("zed is invited") && invited.contains("choose another name"), "{invited}");
    for arguments in [&[][..], &["add"], &["add", "No"], &["remove", "photos"]] {
        launcher.run("space", arguments).await.failed(2);
    }
}

#[tokio::test]
async fn a_data_directory_is_made_once() {
    let launcher = Launcher::on_nothing(SEALIFTD);
    let data = launcher.data();
    assert_eq!(launcher.run("init", &[]).await.ok(), format!("initialised {}\n", data.display()));
    let authority = fs::read(data.join("pki/ca.pem")).unwrap();
    let mode = |name: &str| fs::metadata(data.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(""), mode("pki"), mode("pki/ca.key")), (0o700, 0o700, 0o600));
    assert_eq!(launcher.run("init", &[]).await.ok(), format!("was initialised before: {}\n", data.display()));
    assert_eq!(fs::read(data.join("pki/ca.pem")).unwrap(), authority);
    let server = launcher.start().await;
    Computer::joined(SEALIFT, &server, "alice").await;
}

#[tokio::test]
async fn what_is_no_data_directory_is_refused() {
    let launcher = Launcher::on_nothing(SEALIFTD);
    for verb in ["invite", "identities", "revoke"] {
        let arguments: &[&str] = if verb == "identities" { &[] } else { &["alice"] };
        let missing = launcher.run(verb, arguments).await.failed(2);
        assert!(missing.contains("name your server's with --data DIR"), "{missing}");
    }
    assert!(!launcher.data().exists());
    fs::create_dir(launcher.data()).unwrap();
    fs::write(launcher.data().join("thesis.txt"), "x").unwrap();
    for verb in ["init", "serve"] {
        let strange = launcher.run(verb, &[]).await.failed(2);
        assert!(
            strange.contains("is not empty and no Sealift data directory: name an empty or a new one"),
            "{strange}"
        );
    }
    assert_eq!(fs::read_dir(launcher.data()).unwrap().count(), 1);
}

#[tokio::test]
async fn what_is_no_command_line_is_a_usage_error() {
    let launcher = Launcher::new(SEALIFTD);
    for (verb, arguments) in [
        ("fly", &[][..]),
        ("serve", &["--listen", "nowhere"]),
        ("serve", &["--log", "loud"]),
        ("grant", &["photos"]),
        ("identities", &["Alice"]),
        ("identities", &["--certificates", "--invitations"]),
        ("revoke", &["--certificate", "01234567", "--invitation", "01234567"]),
    ] {
        let said = launcher.run(verb, arguments).await.failed(2);
        assert!(said.contains("--help"), "{verb}: {said}");
    }
    let config = launcher.data().join("../wrong.toml");
    fs::write(&config, "listn = 1").unwrap();
    let wrong = launcher.run("serve", &["--config", config.to_str().unwrap()]).await.failed(2);
    assert!(wrong.contains("listn") && wrong.contains("wrong.toml"), "{wrong}");
    let missing = launcher.run("identities", &["--config", "/nowhere.toml"]).await.failed(2);
    assert!(missing.contains("/nowhere.toml cannot be read"), "{missing}");
}

#[tokio::test]
async fn settings_are_checked_and_shown_with_their_places() {
    let launcher = Launcher::on_nothing(SEALIFTD).variable("SEALIFTD_UPLOADS_KEEP", "36h");
    let file = launcher.configuration();
    let path = file.display().to_string();
    fs::write(&file, "listen = '127.0.0.1:9'\n[timeouts]\nidle = 90\n").unwrap();
    let config = |action: &'static str| {
        let (launcher, path) = (launcher.clone(), path.clone());
        async move { launcher.run("config", &[action, "--config", &path]).await }
    };
    assert_eq!(config("check").await.ok(), format!("OK: {path}\n"));
    let shown = config("show").await.ok();
    let folder = launcher.folder().display().to_string();
    let lines: Vec<_> = shown.lines().map(|line| line.replace(&folder, "[FOLDER]")).collect();
    let lines: Vec<_> =
        lines.iter().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    for line in [
        "data = \"[FOLDER]/data\" # --data",
        "listen = \"127.0.0.1:9\" # [FOLDER]/sealiftd.toml:1",
        "timeouts.idle = \"1m 30s\" # [FOLDER]/sealiftd.toml:3",
        "timeouts.stall = \"1m\" # default",
        "uploads.keep = \"36h\" # SEALIFTD_UPLOADS_KEEP",
    ] {
        assert!(lines.iter().any(|shown| shown == line), "{line:?} is not in {lines:#?}");
    }
    // What is shown is a configuration file that says the same.
    fs::write(&file, &shown).unwrap();
    let values = |text: &str| {
        text.lines().map(|line| line.split("  #").next().unwrap().trim().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(values(&config("show").await.ok()), values(&shown));

    fs::write(&file, "listn = 1\n[timeouts]\nidle = 'long'\n[colours]\nred = 1\n").unwrap();
    let wrong = config("check").await.failed(2);
    let problems: Vec<_> = wrong.lines().collect();
    assert_eq!(problems.len(), 3, "{wrong}");
    for (problem, words) in problems.iter().zip(["toml:1: there is no key `listn`", "toml:3: ", "toml:4: "]) {
        assert!(problem.starts_with("sealiftd: ") && problem.contains(words), "{problem}");
    }
    let first = config("show").await.failed(2);
    assert!(
        first.lines().count() == 1 && first.contains("(and 2 more: `sealiftd config check` lists all)"),
        "{first}"
    );
    fs::write(&file, "listen = \n").unwrap();
    assert!(config("check").await.failed(2).contains("toml:1: this is not TOML"));
    assert!(!launcher.data().exists());
}

#[tokio::test]
async fn variables_come_before_the_file_and_flags_before_them() {
    let launcher = Launcher::new(SEALIFTD);
    let file = launcher.configuration();
    fs::write(&file, "addresses = ['from.the.file']\nlisten = '127.0.0.1:7'\n").unwrap();
    let path = file.display().to_string();
    let addresses = |token: String| token.parse::<JoinToken>().unwrap().addresses.to_vec();
    let invite = |launcher: Launcher, more: &'static [&'static str]| {
        let path = path.clone();
        async move { launcher.run("invite", &[&["alice", "--config", &path], more].concat()).await.ok() }
    };
    assert_eq!(addresses(invite(launcher.clone(), &[]).await), ["from.the.file:7"]);
    let with = launcher.clone().variable("SEALIFTD_ADDRESSES", "one.variable, other.variable:9");
    assert_eq!(addresses(invite(with.clone(), &[]).await), ["one.variable:7", "other.variable:9"]);
    assert_eq!(addresses(invite(with, &["--address", "a.flag"]).await), ["a.flag:7"]);
    // What the running server was told counts more than the file, which may have another server's settings.
    let server = launcher.clone().flag("--address").flag("told.example.org").start().await;
    let told = launcher.run("invite", &["alice"]).await.ok();
    assert_eq!(addresses(told), [format!("told.example.org:{}", server.address.port())]);
    let with = launcher.clone().variable("SEALIFTD_ADDRESSES", "one.variable:9");
    assert_eq!(addresses(with.run("invite", &["alice"]).await.ok()), ["one.variable:9"]);
    drop(server);
    let launcher = Launcher::new(SEALIFTD);
    let file = launcher.configuration();
    fs::write(&file, "addresses = ['from.the.file']\nlisten = '127.0.0.1:7'\n").unwrap();
    let path = file.display().to_string();
    let named = launcher.clone().variable("SEALIFTD_CONFIG", &path);
    assert_eq!(addresses(named.run("invite", &["alice"]).await.ok()), ["from.the.file:7"]);
}
