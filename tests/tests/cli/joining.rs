//! Tokens: good once, in time, for the server that they name.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, SystemTime};

use insta::assert_snapshot;
use sealift_certs::JoinToken;
use sealift_tests::{Computer, World};
use tokio::net::TcpListener;

use crate::credentials::{expired, install};
use crate::gate::{Gate, Way};
use crate::redaction::redacted;
use crate::{SEALIFT, alice};

/// Neither a profile nor a part of one.
fn assert_no_profile(computer: &Computer) {
    let profiles = computer.configuration().join("profiles");
    if let Ok(mut entries) = fs::read_dir(profiles) {
        assert!(entries.next().is_none(), "something is left of a join that failed");
    }
}

#[tokio::test]
async fn a_token_makes_a_profile() {
    let _redacted = redacted();
    let world = World::start().await;
    let alice = Computer::new(SEALIFT);
    assert_snapshot!(alice.run(["join", &world.invite("alice").to_string()]).await.shown(), @r#"
    joined [ADDRESS] as alice, saved as the profile default
    try it: sealift put FILE, then sealift ls -l
    exit 0
    "#);
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let profile = alice.profile("default");
    assert_eq!(mode(&profile), 0o700);
    for file in ["profile.toml", "authority.pem", "identity.pem"] {
        assert_eq!(mode(&profile.join(file)), 0o600, "{file}");
    }
    assert_eq!(fs::read_dir(profile).unwrap().count(), 3);
    assert_eq!(alice.run(["--json", "whoami"]).await.ok().object("account")["identity"], "alice");
}

#[tokio::test]
async fn a_token_comes_through_standard_input_too() {
    let world = World::start().await;
    let alice = Computer::new(SEALIFT);
    // As it looks when mail programs have wrapped it.
    let token = world.invite("alice").to_string();
    let (head, tail) = token.split_at(60);
    alice.call(["join", "-"]).input(format!("  {head}\r\n   {tail}\n\n")).run().await.ok();
    alice.run(["ls"]).await.ok();
}

/// Whatever hinders the profile is noticed before the token is used up.
#[tokio::test]
async fn a_token_is_not_spent_where_no_profile_can_be_saved() {
    let world = World::start().await;
    let alice = Computer::new(SEALIFT);
    let token = world.invite("alice").to_string();
    for blocks in [0, 1, 4] {
        alice.call_limited(blocks, ["join", &token]).run().await.refused(1);
        assert!(!alice.profile("default").exists());
    }
    alice.run(["join", &token]).await.ok();
}

#[tokio::test]
async fn a_token_is_good_for_one_machine() {
    let _redacted = redacted();
    let world = World::start().await;
    let token = world.invite("alice").to_string();
    Computer::new(SEALIFT).run(["join", &token]).await.ok();
    let second = Computer::new(SEALIFT);
    assert_snapshot!(second.run(["join", &token]).await.shown(), @r#"
    sealift: the server at this address has no open invitation: the token was used already, has expired or was withdrawn, or names another server; check the address, or ask for a new token ([ADDRESS])
    exit 4
    "#);
    let _open = world.invite("somebody");
    assert_snapshot!(second.run(["join", &token]).await.shown(), @r#"
    sealift: this token was used already, and each is good for one machine: ask for a new one
    exit 4
    "#);
    assert_no_profile(&second);
    // Each machine of one person gets its own.
    second.run(["join", &world.invite("alice").to_string()]).await.ok();
    assert_eq!(world.store().count("certificates"), 2);
}

#[tokio::test]
async fn a_token_is_good_for_its_time() {
    let world = World::start().await;
    let alice = Computer::new(SEALIFT);
    let _open = world.invite("somebody");
    let late = world.invite_until("alice", SystemTime::now() - Duration::from_secs(1)).to_string();
    assert_snapshot!(alice.run(["join", &late]).await.shown(), @r#"
    sealift: this token has expired: ask the server's administrator for a new one
    exit 4
    "#);
    let unknown = JoinToken { secret: sealift_certs::Secret::random(), ..world.invite("alice") }.to_string();
    assert_snapshot!(alice.run(["join", &unknown]).await.shown(), @r#"
    sealift: the server does not know this token: ask its administrator for a new one
    exit 4
    "#);
    let void = world.invite("bob").to_string();
    world.revoke("bob");
    alice.run(["join", &void]).await.refused(4);
    assert_no_profile(&alice);
}

#[tokio::test]
async fn a_damaged_token_is_a_usage_error() {
    let world = World::start().await;
    let alice = Computer::new(SEALIFT);
    let token = world.invite("alice").to_string();
    let (short, long) = (&token[..token.len() - 1], format!("{token}A"));
    let mut changed = token.clone();
    changed.replace_range(30..31, if &token[30..31] == "A" { "B" } else { "A" });
    assert_snapshot!(alice.run(["join", short]).await.shown(), @r#"
    sealift: the token is damaged or incomplete: copy it whole, from "sealift-join:" to its last character, or ask for a new one (sealiftd invite NAME)
    exit 2
    "#);
    for damaged in [&long, &changed, "", "hello", "sealift-join:"] {
        let ran = alice.run(["join", damaged]).await.exited(2);
        assert!(ran.stderr.contains("damaged or incomplete"), "{damaged:?}: {ran:?}");
    }
    alice.call(["join", "-"]).input("").run().await.exited(2);
    alice.call(["join", "-"]).input(vec![0xff; 100]).run().await.exited(2);
    assert_no_profile(&alice);
    alice.run(["join", &token]).await.ok();
}

#[tokio::test]
async fn a_token_is_good_for_the_server_that_it_names() {
    let _redacted = redacted();
    let (world, other) = (World::start().await, World::start().await);
    let alice = Computer::new(SEALIFT);
    let token = world.invite("alice");
    let elsewhere = other.address.to_string();
    let _open = other.invite("somebody");
    assert_snapshot!(alice.run(["join", &token.to_string(), "--server", &elsewhere]).await.shown(), @r#"
    sealift: the server at this address is not the one that the token names: check the address, or ask for a new token ([ADDRESS])
    exit 4
    "#);
    let lured = JoinToken { addresses: vec![elsewhere].try_into().unwrap(), ..token.clone() };
    alice.run(["join", &lured.to_string()]).await.refused(4);
    assert_no_profile(&alice);
    assert_eq!(other.store().count("certificates"), 0);
    alice.run(["join", &token.to_string()]).await.ok();
}

#[tokio::test]
async fn a_token_is_not_spent_by_a_join_that_cannot_succeed() {
    let _redacted = redacted();
    let (world, alice) = alice().await;
    let other = World::start().await;
    assert_snapshot!(alice.run(["join", &other.invite("alice").to_string()]).await.shown(), @r#"
    sealift: the profile default exists already: choose another name, or remove [HOME]/configuration/profiles/default
      hint: it is of another server, and the token is not used yet: `sealift join TOKEN --profile NAME` saves it beside, `sealift profile remove default` removes the old one
    exit 1
    "#);
    let token = world.invite("alice");
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string();
    let away =
        alice.run(["join", &token.to_string(), "--profile", "x", "--server", &closed]).await.refused(7);
    assert!(away.stderr.contains("the connection was refused"), "{away:?}");
    // A place that cannot be written.
    let computer = Computer::new(SEALIFT);
    fs::write(computer.configuration(), "a file").unwrap();
    let nowhere = computer.run(["join", &token.to_string()]).await;
    assert!(matches!(nowhere.code, Some(1 | 2)) && nowhere.stderr.contains("configuration"), "{nowhere:?}");
    alice.run(["join", &token.to_string(), "--profile", "x"]).await.ok();
}

/// Each token brings a profile, also where all of them want the same name.
#[tokio::test]
async fn joins_at_once_all_keep_what_their_tokens_brought() {
    let world = World::start().await;
    let computer = Computer::new(SEALIFT);
    let (mut joining, mut gates) = (Vec::new(), Vec::new());
    for _ in 0..6 {
        let (token, gate) =
            (world.invite("alice").to_string(), Gate::before(world.address, Way::Up, 0).await);
        joining.push(computer.call(["--json", "join", &token, "--server", &gate.server()]).start());
        gates.push(gate);
    }
    // One that begins when another has ended joins again, and takes its place.
    for gate in &mut gates {
        gate.reached().await;
    }
    gates.iter().for_each(Gate::open);
    let mut names = Vec::new();
    for joining in joining {
        let joined = joining.ended().await.ok().object("joined");
        names.push(joined["profile"].as_str().unwrap().to_owned());
    }
    names.sort();
    assert_eq!(names, ["alice", "alice-2", "alice-3", "alice-4", "alice-5", "default"]);
    for name in names {
        let account = computer.run(["--json", "--profile", &name, "whoami"]).await.ok().object("account");
        assert_eq!(account["identity"], "alice");
    }
}

/// Whatever made the server or the client say "join again", joining again is all that it takes.
#[tokio::test]
async fn joining_again_replaces_the_identity_in_its_place() {
    let (world, alice) = alice().await;
    alice.write("a", "a");
    alice.run(["put", "a"]).await.ok();
    let profile = alice.profile("default");
    let spoil = |file: &str| fs::write(profile.join(file), "rubbish").unwrap();
    let spoilers: [(&str, &dyn Fn()); 6] = [
        ("without an authority", &|| spoil("authority.pem")),
        ("revoked", &|| assert!(world.revoke("alice") > 0)),
        ("expired", &|| drop(install(&world, &alice, "alice", expired()))),
        ("damaged", &|| spoil("profile.toml")),
        ("without a key", &|| spoil("identity.pem")),
        ("without all", &|| ["profile.toml", "identity.pem", "authority.pem"].into_iter().for_each(spoil)),
    ];
    for (name, spoil) in spoilers {
        spoil();
        assert_ne!(alice.run(["ls"]).await.code, Some(0), "{name}");
        alice.run(["join", &world.invite("alice").to_string()]).await.ok();
        assert_eq!(alice.run(["ls"]).await.ok().stdout, b"a\n", "{name}");
        assert_eq!(
            fs::read_dir(profile.parent().unwrap()).unwrap().count(),
            1,
            "{name}: nothing is left over"
        );
    }
    // A token for somebody else replaces nobody, also where only the certificate still tells whose the profile is.
    let whole = fs::read(profile.join("profile.toml")).unwrap();
    spoil("profile.toml");
    let joined =
        alice.run(["--json", "join", &world.invite("carol").to_string()]).await.ok().object("joined");
    assert_eq!(joined["profile"], "carol");
    fs::write(profile.join("profile.toml"), whole).unwrap();
    let joined = alice.run(["--json", "join", &world.invite("bob").to_string()]).await.ok().object("joined");
    assert_eq!((&joined["profile"], &joined["identity"]), (&"bob".into(), &"bob".into()));
    for (profile, identity) in [("default", "alice"), ("bob", "bob")] {
        let account = alice.run(["--json", "--profile", profile, "whoami"]).await.ok().object("account");
        assert_eq!(account["identity"], identity);
    }
}

#[tokio::test]
async fn advice_names_the_profile_that_it_is_about() {
    let (world, other) = (World::start().await, World::start().await);
    let computer = Computer::new(SEALIFT);
    let token = world.invite("alice").to_string();
    let said = computer.run(["join", &token]).await.ok().stderr;
    assert!(said.contains("try it: sealift put FILE, then sealift ls -l\n"), "{said}");
    let token = other.invite("alice").to_string();
    let said = computer.run(["join", &token, "--profile", "work"]).await.ok().stderr;
    assert!(
        said.contains("try it: sealift put FILE --profile work, then sealift ls -l --profile work\n"),
        "{said}"
    );
    other.revoke("alice");
    let refused = computer.run(["--profile", "work", "ls"]).await.refused(4);
    assert!(refused.stderr.contains("`sealift join TOKEN --profile work`"), "{refused:?}");
    world.revoke("alice");
    let refused = computer.run(["ls"]).await.refused(4);
    assert!(!refused.stderr.contains("--profile"), "{refused:?}");
}

#[tokio::test]
async fn profiles_are_listed_selected_renamed_and_removed() {
    let (world, other) = (World::start().await, World::start().await);
    let computer = Computer::new(SEALIFT);
    assert_eq!(computer.run(["profile", "list"]).await.ok().stdout, b"");
    computer.run(["join", &world.invite("alice").to_string()]).await.ok();
    computer.run(["join", &other.invite("bob").to_string(), "--profile", "work"]).await.ok();
    let identity =
        async || computer.run(["--json", "whoami"]).await.ok().object("account")["identity"].clone();
    let listed = String::from_utf8(computer.run(["profile", "list"]).await.ok().stdout).unwrap();
    let lines: Vec<_> = listed.lines().collect();
    assert!(lines.len() == 2 && lines[0].starts_with("* default  alice at 127.0.0.1:"), "{listed}");
    assert!(lines[1].starts_with("  work     bob at ") && lines[1].contains(", expires "), "{listed}");

    computer.run(["profile", "use", "work"]).await.ok();
    assert_eq!(identity().await, "bob");
    let rows = computer.run(["--json", "profile", "list"]).await.ok().objects();
    let selected: Vec<_> = rows.iter().map(|row| row["selected"].clone()).collect();
    assert_eq!(selected, [false, true]);
    computer.run(["profile", "use", "nobody"]).await.refused(1);
    assert_eq!(identity().await, "bob");
    // What is selected stays selected under its new name, and is not when it is gone.
    computer.run(["profile", "rename", "work", "office"]).await.ok();
    assert_eq!(identity().await, "bob");
    computer.run(["profile", "rename", "office", "default"]).await.refused(1);
    computer.run(["profile", "remove", "office"]).await.ok();
    assert_eq!(identity().await, "alice");
    computer.run(["profile", "remove", "office"]).await.refused(1);
    assert!(!computer.profile("office").exists());
}

#[tokio::test]
async fn the_address_that_works_comes_first_from_then_on() {
    let world = World::start().await;
    let token = world.invite("alice");
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string();
    let good = world.address.to_string();
    let token = JoinToken { addresses: vec![closed.clone(), good.clone()].try_into().unwrap(), ..token };
    let alice = Computer::new(SEALIFT);
    let joined = alice.run(["--json", "join", &token.to_string()]).await.ok().object("joined");
    assert_eq!(joined["server"], good);
    let profile = fs::read_to_string(alice.profile("default").join("profile.toml")).unwrap();
    assert!(profile.find(&good).unwrap() < profile.find(&closed).unwrap(), "{profile}");
}
