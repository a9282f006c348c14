//! Names in every script, and names that are made to trip programs up.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;

use insta::assert_snapshot;

use crate::alice;
use crate::redaction::redacted;

const ODD: &[&str] = &[
    "ünïcödé.txt",
    "日本語の名前",
    "Ελληνικά",
    "кириллица",
    "עברית ערב",
    "العربية",
    "हिन्दी",
    "👩‍👩‍👧 family 🏳️‍🌈",
    "two  spaces",
    " leading and trailing ",
    "it's \"quoted\"",
    "`backticks` $(and) ${more}",
    "back\\slash",
    "star * question ? [brackets]",
    "...",
    "-rf",
    "--json",
    "-",
    "~",
    "#",
    "%41",
    "C:",
    "NUL",
    "exe\u{202e}gpj.scr",
    "invisible\u{200b}space",
];

#[tokio::test]
async fn every_name_crosses_as_it_is() {
    let (_world, alice) = alice().await;
    for (number, name) in ODD.iter().enumerate() {
        // A dash alone stands for standard input and output; with a directory it is a name as any other.
        let (local, remote) = (format!("./{name}"), format!("d/{name}"));
        alice.write(&local, number.to_string());
        alice.run(["put", "--", &local, "d/"]).await.ok();
        fs::remove_file(alice.desk().join(&local)).unwrap();
        alice.run(["get", "--", &remote]).await.ok();
        assert_eq!(alice.read(&local), number.to_string().as_bytes(), "{name:?}");
    }
    let mut sorted: Vec<_> = ODD.to_vec();
    sorted.sort_unstable();
    let listed = alice.run(["ls", "d"]).await.ok();
    assert!(listed.text().lines().eq(sorted.iter().copied()), "exact in a pipe: {listed:?}");
    let remotes: Vec<_> = sorted.iter().map(|name| format!("d/{name}")).collect();
    let info = alice.run(["--json", "info"].into_iter().chain(remotes.iter().map(String::as_str))).await.ok();
    let told = info.objects().into_iter().map(|object| object["path"].as_str().unwrap().to_owned());
    assert!(told.eq(remotes.iter().map(|remote| format!("/alice/{remote}"))), "{info:?}");
    assert!(alice.files().iter().map(String::as_str).eq(sorted.iter().copied()));
    // All of them at once.
    fs::create_dir(alice.desk().join("all")).unwrap();
    let remotes = sorted.iter().map(|name| format!("d/{name}"));
    let line: Vec<_> = ["get".into(), "--".into()].into_iter().chain(remotes).chain(["all".into()]).collect();
    alice.run(&line).await.ok();
    assert!(sorted.iter().all(|name| alice.desk().join("all").join(name).is_file()));
}

#[tokio::test]
async fn a_leading_dash_needs_two_more_before_it() {
    let (_world, alice) = alice().await;
    alice.write("-l", "dash");
    alice.run(["put", "-l"]).await.exited(2);
    alice.run(["put", "--", "-l"]).await.ok();
    assert_eq!(alice.run(["ls", "--", "-l"]).await.ok().text(), "-l\n");
    assert_eq!(alice.run(["get", "./-l", "copy"]).await.ok().code, Some(0));
    assert_eq!(alice.read("copy"), b"dash");
    alice.run(["mv", "--", "-l", "-q"]).await.ok();
    alice.run(["cp", "./-q", "--", "-R"]).await.ok();
    assert_eq!(alice.run(["ls"]).await.ok().text(), "-R\n-q\n");
    alice.run(["rm", "--", "-q", "-R"]).await.ok();
    assert_eq!(alice.run(["ls"]).await.ok().text(), "");
}

/// macOS hands out decomposed names, others composed ones, for what a person takes to be the same file.
#[tokio::test]
async fn two_spellings_of_one_name_are_one_file() {
    let (_world, alice) = alice().await;
    let (composed, decomposed) = ("caf\u{e9}", "cafe\u{301}");
    alice.call(["put", "-", composed]).input("first").run().await.ok();
    alice.call(["put", "-", decomposed]).input("second").run().await.ok();
    assert_eq!(alice.run(["ls"]).await.ok().text().lines().count(), 1);
    for spelling in [composed, decomposed] {
        assert_eq!(alice.run(["get", spelling, "-"]).await.ok().text(), "second");
    }
    // Two local files that cannot both arrive are not stored over each other.
    alice.write(composed, "x");
    alice.write(decomposed, "y");
    let both = alice.run(["put", composed, decomposed, "d/"]).await.exited(2);
    assert!(both.stderr.contains("would be written twice"), "{both:?}");
}

#[tokio::test]
async fn names_have_255_bytes_and_paths_4096() {
    let (_world, alice) = alice().await;
    let longest = "é".repeat(127) + "x";
    alice.write(&longest, "long");
    alice.run(["put", &longest]).await.ok();
    fs::remove_file(alice.desk().join(&longest)).unwrap();
    alice.run(["get", &longest]).await.ok();
    assert_eq!(alice.read(&longest), b"long");
    let too_long = alice.run(["put", &longest, &"x".repeat(256)]).await.exited(2);
    assert!(too_long.stderr.contains("the most is 255; shorten it"), "{too_long:?}");

    let deep = ["d".repeat(200).as_str(); 20].join("/");
    alice.run(["put", &longest, &deep]).await.ok();
    assert_eq!(alice.run(["get", &deep, "-"]).await.ok().text(), "long");
    let too_deep = alice.run(["put", &longest, &format!("{deep}/{}", "x".repeat(100))]).await.exited(2);
    assert!(too_deep.stderr.contains("the most is 4096"), "{too_deep:?}");
}

#[tokio::test]
async fn a_name_that_is_not_utf8_is_reported_and_the_others_arrive() {
    let _redacted = redacted();
    let (_world, alice) = alice().await;
    let bad = OsStr::from_bytes(b"caf\xe9");
    alice.write(bad, "latin");
    alice.write("a", "a");
    alice.write("b", "b");
    let line: [&OsStr; 5] = ["put".as_ref(), "a".as_ref(), bad, "b".as_ref(), "d/".as_ref()];
    assert_snapshot!(alice.run(line).await.refused(8).shown(), @r#"
    sealift: caf� has a name that is not UTF-8: rename it
    stored 2 files (2 B in [TIME])
    exit 8
    "#);
    assert_eq!(alice.run(["ls", "d"]).await.ok().text(), "a\nb\n");

    let alone: [&OsStr; 2] = ["put".as_ref(), bad];
    assert_snapshot!(alice.run(alone).await.refused(1).shown(), @r#"
    sealift: caf� has a name that is not UTF-8: rename it
    exit 1
    "#);
    let named: [&OsStr; 3] = ["put".as_ref(), bad, "named".as_ref()];
    alice.run(named).await.ok();
    assert_eq!(alice.run(["get", "named", "-"]).await.ok().text(), "latin");

    // No name on the server is one of these.
    let get: [&OsStr; 2] = ["get".as_ref(), bad];
    assert_snapshot!(alice.run(get).await.exited(2).shown(), @r#"
    sealift: caf� is not UTF-8, so the server has nothing of that name
      hint: names on the server are UTF-8: see `sealift ls`
    exit 2
    "#);
    let to: [&OsStr; 3] = ["put".as_ref(), "a".as_ref(), bad];
    assert_snapshot!(alice.run(to).await.exited(2).shown(), @r#"
    sealift: the destination caf� is not UTF-8: name another one
    exit 2
    "#);
    // A file here may be.
    let back: [OsString; 3] = ["get".into(), "d/a".into(), OsStr::from_bytes(b"\xff").to_owned()];
    alice.run(back).await.ok();
    assert_eq!(alice.read(OsStr::from_bytes(b"\xff")), b"a");
}

#[tokio::test]
async fn control_characters_are_refused_and_shown_harmlessly() {
    let _redacted = redacted();
    let (_world, alice) = alice().await;
    alice.write("a", "a");
    for name in ["clear\u{1b}[2Jscreen", "new\nline", "\u{7f}", "c1\u{9b}31m", "bell\u{7}"] {
        alice.write(name, "x");
        let alone = alice.run(["put", name]).await.refused(1);
        assert!(alone.stderr.contains("holds a control character; rename it"), "{alone:?}");
        assert!(!alone.stderr.trim_end().contains(|c: char| c.is_control() && c != '\n'), "{alone:?}");
        assert_eq!(alone.stderr.lines().count(), 1, "{alone:?}");
        alice.run(["put", "a", name, "d/"]).await.refused(8);
        alice.run(["put", "a", &format!("d/{name}")]).await.exited(2);
        alice.run(["get", name]).await.exited(2);
        alice.run(["ls", name]).await.exited(2);
    }
    assert_eq!(alice.run(["ls", "-R"]).await.ok().text(), "d/\nd/a\n");
    let missing = alice.run(["put", "clear\u{1b}[2Jscreen!"]).await.refused(3);
    assert_snapshot!(missing.shown(), @r#"
    sealift: cannot read clear\u{1b}[2Jscreen!: No such file or directory
      hint: check the name
    exit 3
    "#);
}
