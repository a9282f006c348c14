//! `ls` and `info`, of everything that can be listed.

use sealift_types::Rights;

use crate::alice;

#[tokio::test]
async fn a_directory_a_file_everything_below_and_the_spaces() {
    let (world, alice) = alice().await;
    world.share("team");
    world.grant("team", None, Rights::READ.union(Rights::CREATE));
    world.share("closed");
    for file in ["b", "a/x", "a/c/y", "/team/t"] {
        alice.call(["put", "-", file]).input(file).run().await.ok();
    }
    for (line, listed) in [
        (&["ls"][..], "a/\nb\n"),
        (&["ls", "."], "a/\nb\n"),
        (&["ls", "/alice"], "a/\nb\n"),
        (&["ls", "/alice/"], "a/\nb\n"),
        (&["ls", "a"], "c/\nx\n"),
        (&["ls", "./a/"], "c/\nx\n"),
        (&["ls", "b"], "b\n"),
        (&["ls", "-R"], "a/\na/c/\na/c/y\na/x\nb\n"),
        (&["ls", "-R", "a"], "c/\nc/y\nx\n"),
        (&["ls", "/"], "alice/\nteam/\n"),
        (&["ls", "/team"], "t\n"),
        (
            &["ls", "-R", "/"],
            "alice/\nteam/\nalice/a/\nalice/a/c/\nalice/a/c/y\nalice/a/x\nalice/b\nteam/t\n",
        ),
    ] {
        assert_eq!(alice.run(line).await.ok().text(), listed, "{line:?}");
    }
}

#[tokio::test]
async fn a_directory_of_many_pages() {
    let (_world, alice) = alice().await;
    let names: Vec<_> = (0..300).map(|number| format!("{number:03}")).collect();
    for name in &names {
        alice.write(name, name);
    }
    alice.run(["put"].into_iter().chain(names.iter().map(String::as_str)).chain(["d/"])).await.ok();
    let listed = alice.run(["ls", "d"]).await.ok();
    assert!(listed.text().lines().eq(names.iter()), "{listed:?}");
    let objects = alice.run(["--json", "ls", "-R"]).await.ok().objects();
    assert_eq!(objects.len(), 301);
    assert_eq!(objects[300]["name"], "d/299");
}

#[tokio::test]
async fn info_of_several_tells_what_it_can() {
    let (_world, alice) = alice().await;
    for file in ["a", "d/b"] {
        alice.call(["put", "-", file]).input(file).run().await.ok();
    }
    let ran = alice.run(["--json", "info", "a", "missing", "d", "/alice"]).await.refused(8);
    let found: Vec<_> =
        ran.objects().iter().map(|object| (object["path"].clone(), object["kind"].clone())).collect();
    let expected = [("/alice/a", "file"), ("/alice/d", "directory"), ("/alice", "space")];
    assert_eq!(found, expected.map(|(path, kind)| (path.into(), kind.into())));
    assert!(ran.stderr.contains("/alice/missing does not exist"), "{ran:?}");
    alice.run(["info", "x", "y"]).await.refused(3);
}

/// A link is described with where it leads, for people and for programs.
#[tokio::test]
async fn info_of_a_link_tells_its_target() {
    let (_world, alice) = alice().await;
    alice.write("d/file", "x");
    std::os::unix::fs::symlink("../else where", alice.desk().join("d/link")).unwrap();
    alice.run(["put", "--links", "d"]).await.ok();
    let ran = alice.run(["info", "d/link"]).await.ok();
    let line = |name: &str| {
        let found = ran.text().lines().find(|line| line.starts_with(name));
        found.map(|line| line.split_once(':').unwrap().1.trim().to_owned())
    };
    assert_eq!(line("kind").as_deref(), Some("symbolic link"), "{ran:?}");
    assert_eq!(line("target").as_deref(), Some("../else where"), "{ran:?}");
    let described = alice.run(["--json", "info", "d/link", "d/file"]).await.ok().objects();
    assert_eq!((&described[0]["kind"], &described[0]["target"]), (&"link".into(), &"../else where".into()));
    assert!(described[1]["target"].is_null(), "{described:?}");
}

/// `sealift ls | head -1` is no failure.
#[tokio::test]
async fn a_reader_that_has_seen_enough_is_no_failure() {
    let (_world, alice) = alice().await;
    alice.call(["put", "-", "a"]).input("a").run().await.ok();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let call = alice.call(["ls"]).output_to(std::os::fd::OwnedFd::from(writer).into());
    assert_eq!(call.run().await.shown(), "exit 0");
}
