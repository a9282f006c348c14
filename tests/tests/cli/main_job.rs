//! A file crosses, verified, and comes back.

use sealift_tests::{Computer, Launcher, Pattern, eventually};

use crate::{KIB, MIB, SEALIFT, SEALIFTD, alice};

#[tokio::test]
async fn a_token_a_file_up_and_the_same_file_back() {
    let launcher = Launcher::on_nothing(SEALIFTD);
    let _server = launcher.start().await;
    let invited = launcher.run("invite", &["alice"]).await;
    assert_eq!((invited.code, invited.stdout.lines().count()), (Some(0), 1), "{invited:?}");

    let laptop = Computer::new(SEALIFT);
    let joined = laptop.run(["join", invited.stdout.trim_end()]).await.ok();
    assert_eq!(joined.stdout, b"", "nothing but data goes to standard output");
    let content = Pattern::new(1, 3 * MIB + 17).whole();
    laptop.write("report.pdf", &content);
    let put = laptop.run(["put", "report.pdf"]).await.ok();
    assert_eq!(put.stdout, b"");
    assert!(put.stderr.starts_with("stored /alice/report.pdf (3.0 MiB in "), "{put:?}");
    assert_eq!(laptop.run(["ls"]).await.ok().text(), "report.pdf\n");
    let get = laptop.run(["get", "report.pdf", "back.pdf"]).await.ok();
    assert_eq!(get.stdout, b"");
    assert!(get.stderr.starts_with("fetched back.pdf (3.0 MiB in "), "{get:?}");
    assert!(laptop.read("back.pdf") == content);
    assert_eq!(laptop.files(), ["back.pdf", "report.pdf"]);
}

#[tokio::test]
async fn aliases_do_the_same() {
    let (_world, alice) = alice().await;
    alice.write("a", "content");
    alice.run(["upload", "a"]).await.ok();
    assert_eq!(alice.run(["list"]).await.ok().text(), "a\n");
    assert_eq!(alice.run(["stat", "a"]).await.ok().stdout, alice.run(["info", "a"]).await.ok().stdout);
    alice.run(["download", "a", "b"]).await.ok();
    assert_eq!(alice.read("b"), b"content");
    alice.run(["delete", "a"]).await.ok();
    assert_eq!(alice.run(["ls"]).await.ok().text(), "");
}

#[tokio::test]
async fn standard_input_and_output_carry_any_bytes() {
    let (world, alice) = alice().await;
    for size in [0, 1, 64 * KIB, 64 * KIB + 1, 5 * MIB] {
        let content = Pattern::new(2, size).whole();
        let name = format!("bytes-{size}");
        let put = alice.call(["put", "-", &name]).input(content.clone()).run().await.ok();
        assert_eq!(put.stdout, b"");
        assert!(put.stderr.starts_with(&format!("stored /alice/{name} (")), "{put:?}");
        let get = alice.run(["get", &name, "-"]).await.ok();
        assert!(get.stdout == content, "{size} bytes");
        assert!(get.stderr.starts_with(&format!("fetched /alice/{name} (")), "{get:?}");
    }
    assert_eq!(alice.files(), [""; 0], "no file came into being");
    world.store().settled().await;
}

#[tokio::test]
async fn with_content_on_standard_output_json_goes_elsewhere() {
    let (_world, alice) = alice().await;
    alice.call(["put", "-", "a"]).input("content").run().await.ok();
    let get = alice.run(["--json", "get", "a", "-"]).await.ok();
    assert_eq!(get.stdout, b"content");
    let (first, last) = get.stderr.split_once('\n').unwrap();
    let [first, last] = [first, last].map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    assert_eq!((&first["type"], &first["local"]), (&"finished".into(), &"-".into()));
    assert_eq!((&last["type"], &last["bytes"]), (&"summary".into(), &7.into()));
}

#[tokio::test]
async fn many_files_of_all_sizes_go_at_once() {
    let (world, alice) = alice().await;
    let sizes = [0, 1, 1000, 64 * KIB - 1, 64 * KIB, 64 * KIB + 1, 300_000, 2 * MIB];
    let files: Vec<_> = (0..200)
        .map(|number| {
            let content =
                Pattern::new(number, sizes.get(usize::try_from(number).unwrap()).copied().unwrap_or(number));
            (format!("file-{number:03}"), content.whole())
        })
        .collect();
    let names = || files.iter().map(|(name, _)| name.as_str());
    for (name, content) in &files {
        alice.write(name, content);
    }
    let put = alice.run(["put"].into_iter().chain(names()).chain(["many/"])).await.ok();
    assert!(put.stderr.starts_with("stored 200 files (2.5 MiB in "), "{put:?}");
    let listed = alice.run(["ls", "many"]).await.ok();
    assert!(listed.text().lines().eq(names()), "{listed:?}");
    let sources: Vec<_> = names().map(|name| format!("many/{name}")).collect();
    let get =
        alice.run(["get"].into_iter().chain(sources.iter().map(String::as_str)).chain(["back/"])).await.ok();
    assert!(get.stderr.starts_with("fetched 200 files (2.5 MiB in "), "{get:?}");
    for (name, content) in &files {
        assert!(alice.read(format!("back/{name}")) == *content, "{name}");
    }
    eventually("a row for each of them", || (world.store().log().len() == 400).then_some(())).await;
}

#[tokio::test]
async fn what_is_there_is_replaced_both_ways() {
    let (_world, alice) = alice().await;
    for size in [10, 200 * KIB] {
        for seed in [3, 4] {
            let content = Pattern::new(seed, size).whole();
            alice.write("a", &content);
            alice.run(["put", "a"]).await.ok();
            alice.run(["get", "a", "b"]).await.ok();
            assert!(alice.read("b") == content);
        }
    }
    assert_eq!(alice.files(), ["a", "b"]);
    assert_eq!(alice.run(["ls"]).await.ok().text(), "a\n");
}

#[tokio::test]
async fn quiet_means_not_a_word() {
    let (_world, alice) = alice().await;
    alice.write("a", Pattern::new(5, 2 * MIB).whole());
    for line in [&["put", "-q", "a"][..], &["-q", "put", "a", "b"], &["--quiet", "get", "b", "c"]] {
        assert_eq!(alice.run(line).await.ok().shown(), "exit 0", "{line:?}");
    }
    let missing = alice.run(["-q", "get", "missing"]).await.refused(3);
    assert!(missing.stderr.contains("missing"), "errors are told all the same: {missing:?}");
}
