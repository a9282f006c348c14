//! Profiles, flags, the environment and `config.toml`.

use std::fs;

use insta::assert_snapshot;
use sealift_tests::{Computer, Ran, World};
use tokio::net::TcpListener;

use crate::redaction::redacted;
use crate::{SEALIFT, alice};

/// A computer that has joined one server under two names.
async fn two_profiles() -> (World, Computer) {
    let world = World::start().await;
    let computer = Computer::new(SEALIFT);
    for name in ["home", "work"] {
        computer.run(["join", &world.invite(name).to_string(), "--profile", name]).await.ok();
    }
    (world, computer)
}

fn configure(computer: &Computer, text: &str) {
    fs::create_dir_all(computer.configuration()).unwrap();
    fs::write(computer.configuration().join("config.toml"), text).unwrap();
}

#[track_caller]
fn identity(ran: Ran) -> String {
    ran.ok().object("account")["identity"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn without_a_profile_nothing_can_be_done() {
    let _redacted = redacted();
    let computer = Computer::new(SEALIFT);
    computer.write("a", "a");
    assert_snapshot!(computer.run(["ls"]).await.shown(), @r#"
    sealift: this computer has not joined a server yet: there is no profile in [HOME]/configuration/profiles
      hint: run `sealift join TOKEN`; `sealiftd invite NAME` prints a token on the server
    exit 1
    "#);
    for line in [&["put", "a"][..], &["get", "a"], &["whoami"], &["renew"], &["log"], &["rm", "a"]] {
        let ran = computer.run(line).await.refused(1);
        assert!(ran.stderr.contains("sealift join TOKEN"), "{ran:?}");
    }
    assert_snapshot!(computer.run(["ls", "--profile", "work"]).await.shown(), @r#"
    sealift: there is no profile work: join a server first, with a token from its administrator
      hint: `sealift join TOKEN --profile NAME` makes a profile
    exit 1
    "#);
}

#[tokio::test]
async fn the_only_profile_is_used_whatever_its_name() {
    let world = World::start().await;
    let computer = Computer::new(SEALIFT);
    computer.run(["join", &world.invite("work").to_string(), "--profile", "work"]).await.ok();
    assert_eq!(identity(computer.run(["--json", "whoami"]).await), "work");
}

#[tokio::test]
async fn of_several_profiles_one_is_chosen() {
    let (world, computer) = two_profiles().await;
    assert_snapshot!(computer.run(["ls"]).await.shown(), @r#"
    sealift: there are several profiles: home, work
      hint: choose one with --profile NAME or SEALIFT_PROFILE, or for good with `sealift profile use NAME`
    exit 2
    "#);
    assert_eq!(identity(computer.run(["--json", "whoami", "--profile", "home"]).await), "home");
    assert_eq!(identity(computer.run(["--json", "--profile", "work", "whoami"]).await), "work");
    // `default` is chosen by its name.
    computer.run(["join", &world.invite("third").to_string()]).await.ok();
    assert_eq!(identity(computer.run(["--json", "whoami"]).await), "third");
}

#[tokio::test]
async fn a_flag_counts_more_than_the_environment_and_that_more_than_the_file() {
    let (world, computer) = two_profiles().await;
    computer.run(["join", &world.invite("third").to_string(), "--profile", "third"]).await.ok();
    configure(&computer, "profile = \"home\"\njson = true\n");
    let whoami = || computer.call(["whoami"]);
    assert_eq!(identity(whoami().run().await), "home");
    assert_eq!(identity(whoami().variable("SEALIFT_PROFILE", "").run().await), "home", "empty is unset");
    assert_eq!(identity(whoami().variable("SEALIFT_PROFILE", "work").run().await), "work");
    let all = computer.call(["whoami", "--profile", "third"]).variable("SEALIFT_PROFILE", "work");
    assert_eq!(identity(all.run().await), "third");
    let text = whoami().variable("SEALIFT_JSON", "0").run().await.ok();
    assert!(text.text().starts_with("identity:"), "{text:?}");

    configure(&computer, "profile = \"home\"\nquiet = true\n");
    let put = || computer.call(["put", "-", "a"]).input("a");
    assert_eq!(put().run().await.ok().stderr, "");
    assert!(put().variable("SEALIFT_QUIET", "no").run().await.ok().stderr.starts_with("stored"));
    configure(&computer, "profile = \"home\"\n");
    assert_eq!(put().variable("SEALIFT_QUIET", "yes").run().await.ok().stderr, "");
    assert!(put().variable("SEALIFT_JSON", "1").run().await.ok().text().starts_with('{'));
}

#[tokio::test]
async fn the_server_is_reached_where_the_flag_or_else_the_environment_says() {
    let (world, alice) = alice().await;
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string();
    let good = world.address.to_string();
    alice.call(["ls"]).variable("SEALIFT_SERVER", &closed).run().await.refused(7);
    alice.call(["ls", "--server", &good]).variable("SEALIFT_SERVER", &closed).run().await.ok();
    alice.call(["ls", "--server", &closed]).variable("SEALIFT_SERVER", &good).run().await.refused(7);
    let whoami = alice.call(["--json", "whoami"]).variable("SEALIFT_SERVER", &good).run().await.ok();
    assert_eq!(whoami.object("account")["address"], good);
}

#[tokio::test]
async fn what_is_wrong_is_named_where_it_is() {
    let _redacted = redacted();
    let (_world, alice) = alice().await;
    for (text, words) in [
        (
            "profil = \"home\"\n",
            &["unknown field `profil`", "expected one of `profile`, `quiet`, `json`"][..],
        ),
        ("quiet = \"very\"\n", &["quiet", "expected a boolean"]),
        ("profile = \"No Name\"\n", &["No Name", "use 1 to 64 of a-z"]),
        ("profile = \n", &["line 1"]),
    ] {
        configure(&alice, text);
        let ran = alice.run(["ls"]).await.exited(2);
        assert!(
            ran.stderr.contains("configuration/config.toml") && ran.stderr.starts_with("sealift: "),
            "{ran:?}"
        );
        assert!(words.iter().all(|words| ran.stderr.contains(words)), "{text:?}: {ran:?}");
    }
    configure(&alice, "");
    for (name, value, words) in [
        ("SEALIFT_PROFILE", "A/B", "SEALIFT_PROFILE: the name \"A/B\" is not allowed"),
        (
            "SEALIFT_SERVER",
            "https://x",
            "SEALIFT_SERVER: \"https://x\" is not a server's address: write HOST:PORT",
        ),
        ("SEALIFT_JSON", "perhaps", "SEALIFT_JSON is \"perhaps\": set it to 1 or 0, or unset it"),
        ("SEALIFT_QUIET", "2", "SEALIFT_QUIET is \"2\": set it to 1 or 0"),
    ] {
        let ran = alice.call(["ls"]).variable(name, value).run().await.exited(2);
        assert!(ran.stderr.contains(words), "{ran:?}");
    }
    alice.run(["ls", "--server", "host:0"]).await.exited(2);
    // A wrong file keeps nobody from asking for help.
    configure(&alice, "profil = 1\n");
    alice.run(["--help"]).await.ok();
}

/// What is wrong with a file spans lines, and a person reads them as lines.
#[tokio::test]
async fn line_ends_are_not_shown_as_characters() {
    let (_world, alice) = alice().await;
    configure(&alice, "profil = \"home\"\n");
    let ran = alice.run(["ls"]).await.exited(2);
    assert!(!ran.stderr.contains("\\u{a}"), "{ran:?}");
}

#[tokio::test]
async fn a_damaged_profile_is_named() {
    let _redacted = redacted();
    let (_world, alice) = alice().await;
    for (file, text) in [
        ("profile.toml", "identity = 1"),
        ("identity.pem", "nothing"),
        ("authority.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
    ] {
        let path = alice.profile("default").join(file);
        let good = fs::read(&path).unwrap();
        fs::write(&path, text).unwrap();
        let damaged = alice.run(["ls"]).await.refused(1);
        assert!(damaged.stderr.contains("join again"), "{file}: {damaged:?}");
        fs::write(&path, good).unwrap();
    }
    alice.run(["ls"]).await.ok();
}

#[tokio::test]
async fn a_profile_with_a_part_missing_is_named() {
    let (_world, alice) = alice().await;
    for file in ["profile.toml", "identity.pem", "authority.pem"] {
        let path = alice.profile("default").join(file);
        let good = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let missing = alice.run(["ls"]).await.refused(1);
        assert!(missing.stderr.contains("join"), "{file}: {missing:?}");
        fs::write(&path, good).unwrap();
    }
}

/// Without the variable the configuration is where the system has it.
#[tokio::test]
async fn the_platforms_directory_is_the_default() {
    let world = World::start().await;
    let computer = Computer::new(SEALIFT);
    let home = computer.desk();
    let call = |line: &[&str]| computer.call(line).variable("SEALIFT_CONFIG_DIR", "").variable("HOME", &home);
    call(&["join", &world.invite("alice").to_string()]).run().await.ok();
    call(&["ls"]).run().await.ok();
    assert!(!computer.configuration().exists());
    if cfg!(target_os = "linux") {
        assert!(home.join(".config/sealift/profiles/default/profile.toml").is_file());
        let moved = call(&["ls"]).variable("XDG_CONFIG_HOME", home.join("elsewhere"));
        moved.run().await.refused(1);
    }
}
