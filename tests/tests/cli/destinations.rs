//! Where files go: the rules of cp, on both sides.

use sealift_tests::{Computer, Pattern};

use crate::{KIB, alice};

/// What is in a directory on the server.
async fn listed(computer: &Computer, directory: &str) -> Vec<String> {
    let directory = if directory.is_empty() { "." } else { directory };
    let ran = computer.run(["ls", "-R", directory]).await.ok();
    ran.text().lines().filter(|line| !line.ends_with('/')).map(str::to_owned).collect()
}

#[tokio::test]
async fn one_file_goes_up() {
    let (_world, alice) = alice().await;
    // Small files travel with their request, large ones after a plan: both learn late that a name is a directory's.
    for (name, size) in [("small", 10), ("large", 100 * KIB)] {
        let content = Pattern::new(size, size).whole();
        let file = alice.write(name, &content);
        let file = file.to_str().unwrap();
        for (destination, stored) in [
            (None, name.to_owned()),
            (Some("."), name.to_owned()),
            (Some("./"), name.to_owned()),
            (Some("/alice/"), name.to_owned()),
            (Some("/alice"), name.to_owned()),
            (Some("new"), "new".to_owned()),
            (Some("./new"), "new".to_owned()),
            (Some("/alice/new"), "new".to_owned()),
            (Some("made/"), format!("made/{name}")),
            (Some("made/on/the/way"), "made/on/the/way".to_owned()),
            // There by now, and so without the slash, too.
            (Some("made"), format!("made/{name}")),
            (Some("/alice/made/on"), format!("made/on/{name}")),
        ] {
            let put = alice.run(["put", file].into_iter().chain(destination)).await.ok();
            assert!(put.stderr.starts_with(&format!("stored /alice/{stored} (")), "{destination:?}: {put:?}");
            assert!(alice.run(["get", &stored, "-"]).await.ok().stdout == content, "{destination:?}");
            alice.run(["rm", &stored]).await.ok();
        }
        assert_eq!(listed(&alice, "").await, [""; 0]);
        for directory in ["made/on/the", "made/on", "made"] {
            alice.run(["rm", directory]).await.ok();
        }
    }
}

#[tokio::test]
async fn several_files_go_up_into_a_directory() {
    let (_world, alice) = alice().await;
    alice.write("a", "a");
    alice.write("b", Pattern::new(1, 100 * KIB).whole());
    for (destination, stored) in
        [("new", ["new/a", "new/b"]), ("other/", ["other/a", "other/b"]), (".", ["a", "b"])]
    {
        alice.run(["put", "a", "b", destination]).await.ok();
        let all = listed(&alice, "").await;
        assert!(stored.iter().all(|file| all.contains(&(*file).to_owned())), "{destination}: {all:?}");
    }
}

#[tokio::test]
async fn uploads_that_cannot_be_meant_are_usage_errors() {
    let (_world, alice) = alice().await;
    for file in ["a", "b", "other/a"] {
        alice.write(file, file);
    }
    for (line, words) in [
        (&["put"][..], "required"),
        (&["put", "a", "other/a", "b"], "b is also a local file"),
        (&["put", "a", "/"], "name a space too, such as /alice/"),
        (&["put", "a", "other/a", "d/"], "d/a would be written twice"),
        (&["put", "-"], "name the file that it becomes"),
        (&["put", "-", "d/"], "name the file that it becomes, such as d/NAME"),
        (&["put", "-", "a", "d/"], "put it by itself"),
        (&["put", "a", "x/../y"], "give the path without it"),
        (&["put", "a", "x//y"], "remove the doubled slash"),
        (&["put", "a", "-"], "write :- for one called -, `sealift put - DEST` stores standard input"),
        (&["put", "a", "b", "-"], "write :- for one called -"),
        (&["put", "-", "-"], "write :- for one called -"),
        (&["put", "--stdin-from-command", "-", "--", "true"], "write :- for one called -"),
    ] {
        let ran = alice.run(line).await;
        assert_eq!(ran.code, Some(2), "{line:?}: {ran:?}");
        assert!(ran.stderr.contains(words), "{line:?}: {ran:?}");
    }
    assert_eq!(listed(&alice, "").await, [""; 0], "nothing was stored by any of them");
}

#[tokio::test]
async fn one_file_comes_down() {
    let (_world, alice) = alice().await;
    for (name, size) in [("small", 10), ("large", 100 * KIB)] {
        let content = Pattern::new(size, size).whole();
        let remote = format!("d/{name}");
        alice.call(["put", "-", &remote]).input(content.clone()).run().await.ok();
        std::fs::create_dir_all(alice.desk().join("existing")).unwrap();
        for (destination, stored) in [
            (None, name.to_owned()),
            (Some("."), name.to_owned()),
            (Some("existing"), format!("existing/{name}")),
            (Some("existing/"), format!("existing/{name}")),
            (Some("existing/new"), "existing/new".to_owned()),
            (Some("new"), "new".to_owned()),
            (Some("made/on/the/way/"), format!("made/on/the/way/{name}")),
        ] {
            alice.run(["get", &remote].into_iter().chain(destination)).await.ok();
            assert!(alice.read(&stored) == content, "{destination:?}");
            let files: Vec<_> = alice.files().into_iter().filter(|file| !file.ends_with('/')).collect();
            assert_eq!(files, [stored.as_str()], "{destination:?}");
            std::fs::remove_file(alice.desk().join(stored)).unwrap();
        }
    }
}

#[tokio::test]
async fn several_files_come_down_into_a_directory() {
    let (_world, alice) = alice().await;
    for file in ["a", "d/b"] {
        alice.call(["put", "-", file]).input(file).run().await.ok();
    }
    std::fs::create_dir(alice.desk().join("existing")).unwrap();
    for destination in ["existing", "made/", "."] {
        alice.run(["get", "a", "d/b", destination]).await.ok();
        assert_eq!(alice.read(format!("{destination}/a")), b"a");
        assert_eq!(alice.read(format!("{destination}/b")), b"d/b");
    }
}

#[tokio::test]
async fn downloads_that_cannot_be_meant_are_usage_errors() {
    let (_world, alice) = alice().await;
    for file in ["a", "d/a", "d/b"] {
        alice.call(["put", "-", file]).input(file).run().await.ok();
    }
    alice.write("file", "file");
    for (line, words) in [
        (&["get"][..], "required"),
        (&["get", "a", "d/b", "absent"], "end it with / to make it one"),
        (&["get", "a", "d/b", "file"], "need a directory"),
        (&["get", "a", "d/b", "-"], "standard output takes one file"),
        (&["get", "a", "d/a", "x/"], "x/a would be written twice"),
        (&["get", "d/", "-"], "means a directory, which standard output cannot be"),
        (&["get", "/"], "is the list of spaces"),
        (&["get", "d/../a"], "give the path without it"),
    ] {
        let ran = alice.run(line).await;
        assert_eq!(ran.code, Some(2), "{line:?}: {ran:?}");
        assert!(ran.stderr.contains(words), "{line:?}: {ran:?}");
    }
    assert_eq!(alice.files(), ["file"], "nothing was written by any of them");
    assert_eq!(alice.read("file"), b"file");
}

/// A lone - is standard input or output, and nothing else unless it is marked.
#[tokio::test]
async fn what_is_called_like_standard_input_has_to_be_marked() {
    let (_world, alice) = alice().await;
    alice.write("a", "a");
    alice.write("-", "-");
    alice.run(["put", "a", ":-"]).await.ok();
    for line in [
        &["mv", "-", "b"][..],
        &["mv", ":-", "-"],
        &["cp", "-", "b"],
        &["cp", ":-", "-"],
        &["rm", "-"],
        &["get", "-", "b"],
        &["get", "-"],
        &["info", "-"],
        &["ls", "-"],
    ] {
        let ran = alice.run(line).await.exited(2);
        assert!(ran.stderr.contains("write :- for one called -"), "{line:?}: {ran:?}");
    }
    assert_eq!(listed(&alice, "").await, ["-"]);
    alice.run(["put", "./-", ":b"]).await.ok();
    alice.run(["cp", ":-", ":c"]).await.ok();
    alice.run(["mv", ":c", "./-d"]).await.ok();
    alice.run(["get", ":-", "got"]).await.ok();
    assert_eq!(alice.read("got"), b"a");
    alice.run(["rm", ":-"]).await.ok();
    assert_eq!(listed(&alice, "").await, ["-d", "b"]);
    // Behind -- nothing is an option.
    alice.write("-e", "e");
    alice.run(["put", "--", "-e"]).await.ok();
    alice.run(["put", "a", "--", "-e", "d/"]).await.ok();
    assert_eq!(listed(&alice, "").await, ["-d", "-e", "b", "d/-e", "d/a"]);
}

/// A colon in front means the server for every verb, and what is probably a mistake destroys nothing.
#[tokio::test]
async fn a_colon_marks_the_server_and_mix_ups_are_refused() {
    let (_world, alice) = alice().await;
    for name in ["a", "b", "c"] {
        alice.write(name, name);
    }
    alice.run(["put", "a", ":docs/"]).await.ok();
    assert_eq!(listed(&alice, ":").await, ["docs/a"]);
    alice.run(["cp", ":docs/a", ":docs/b"]).await.ok();
    alice.run(["mv", "docs/b", ":docs/c"]).await.ok();
    alice.run(["info", ":docs/c"]).await.ok();
    alice.run(["rm", ":docs/c"]).await.ok();
    alice.run(["get", ":docs/a", "got"]).await.ok();
    assert_eq!(alice.read("got"), b"a");
    // What is called so is reached, too.
    alice.write(":x", "colon");
    alice.run(["put", "./:x", "./:x"]).await.ok();
    assert_eq!(listed(&alice, "").await, [":x", "docs/a"]);

    alice.run(["put", "b", "./"]).await.ok();
    alice.run(["put", "a", "./"]).await.ok();
    for (line, code) in [
        // A shell's * that matched two files, or the destination forgotten.
        (&["put", "a", "b"][..], 2),
        (&["put", "a", "b", "c"], 2),
        (&["get", "a", "b"], 2),
        // Sides mixed up.
        (&["get", "docs/a", ":b"], 2),
        (&["put", ":docs", "b"], 2),
        // A variable that is not set.
        (&["put", "", "x"], 2),
        (&["put", "a", ""], 2),
        (&["get", ""], 2),
        (&["get", "docs/a", ""], 2),
        (&["rm", "-r", ""], 2),
        (&["ls", ""], 2),
        (&["mv", "docs/a", ""], 2),
        (&["rm", "-r", "/"], 1),
        (&["rm", "-r", ":"], 1),
        (&["rm", "-r", "."], 1),
        (&["mv", "docs/a", "docs/b/"], 1),
    ] {
        let ran = alice.run(line).await;
        assert!(ran.code.is_some_and(|exit| exit != 0 && (code != 2 || exit == 2)), "{line:?}: {ran:?}");
    }
    assert_eq!(listed(&alice, "").await, [":x", "a", "b", "docs/a"]);
    assert_eq!([alice.read("a"), alice.read("b"), alice.read("c")], [b"a", b"b", b"c"]);
    // And it can be meant.
    alice.run(["put", "a", ":b"]).await.ok();
    alice.run(["get", ":b", "./b"]).await.ok();
    // What was fetched once may be fetched again.
    for _ in 0..2 {
        alice.run(["get", "a", "new"]).await.ok();
    }
    assert_eq!(alice.read("b"), b"a");
}

#[tokio::test]
async fn what_is_removed_is_counted() {
    let (_world, alice) = alice().await;
    for name in ["d/a", "d/e/b", "d/e/c", "f", "g"] {
        alice.write(name, name);
    }
    alice.run(["put", "d", "f", "g", "./"]).await.ok();
    let removed = async |line: &[&str]| alice.run(line).await.stderr;
    assert_eq!(removed(&["rm", "f"]).await, "removed 1 entry\n");
    assert_eq!(removed(&["rm", "-r", "d", "g"]).await, "removed 6 entries\n");
    assert_eq!(removed(&["-q", "rm", "-r", "d"]).await.lines().count(), 1);
}
