//! What programs read: JSON lines. A change of them breaks scripts.

use std::fs::File;
use std::io::Write;
use std::time::{Duration, SystemTime};

use insta::assert_snapshot;
use sealift_tests::{Computer, Pattern, World, eventually};
use sealift_types::Rights;
use serde_json::Value;

use crate::redaction::redacted;
use crate::{MIB, SEALIFT, alice};

/// What it printed, and what it said beside that.
fn both(ran: &sealift_tests::Ran) -> String {
    format!("{}--\n{}--\nexit {}", ran.text(), ran.stderr, ran.code.unwrap())
}

async fn furnished() -> (World, Computer) {
    let (world, alice) = alice().await;
    let path = alice.write("a", Pattern::new(1, MIB).whole());
    let time = SystemTime::UNIX_EPOCH + Duration::new(1_709_210_096, 789_000_000);
    File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
    (world, alice)
}

#[tokio::test]
async fn put_and_get() {
    let _redacted = redacted();
    let (_world, alice) = furnished().await;
    assert_snapshot!(both(&alice.run(["--json", "put", "a"]).await), @r#"
    {"deduplicated":false,"direction":"put","local":"a","path":"/alice/a","seconds":[SECONDS],"sha256":"[SHA-256]","size":1048576,"type":"finished","wire_bytes":[BYTES]}
    {"bytes":1048576,"deduplicated_bytes":0,"deduplicated_files":0,"direction":"put","failed":0,"files":1,"kept":0,"type":"summary","would":0}
    --
    --
    exit 0
    "#);
    assert_snapshot!(both(&alice.run(["--json", "put", "a", "d/"]).await), @r#"
    {"deduplicated":true,"direction":"put","local":"a","path":"/alice/d/a","seconds":[SECONDS],"sha256":"[SHA-256]","size":1048576,"type":"finished","wire_bytes":[BYTES]}
    {"bytes":1048576,"deduplicated_bytes":1048576,"deduplicated_files":1,"direction":"put","failed":0,"files":1,"kept":0,"type":"summary","would":0}
    --
    --
    exit 0
    "#);
    assert_snapshot!(both(&alice.run(["--json", "get", "d/a", "b"]).await), @r#"
    {"deduplicated":false,"direction":"get","local":"b","path":"/alice/d/a","seconds":[SECONDS],"sha256":"[SHA-256]","size":1048576,"type":"finished","wire_bytes":[BYTES]}
    {"bytes":1048576,"deduplicated_bytes":0,"deduplicated_files":0,"direction":"get","failed":0,"files":1,"kept":0,"type":"summary","would":0}
    --
    --
    exit 0
    "#);
    assert_snapshot!(both(&alice.call(["--json", "put", "-", "c"]).input("x").run().await), @r#"
    {"deduplicated":false,"direction":"put","local":"-","path":"/alice/c","seconds":[SECONDS],"sha256":"[SHA-256]","size":1,"type":"finished","wire_bytes":[BYTES]}
    {"bytes":1,"deduplicated_bytes":0,"deduplicated_files":0,"direction":"put","failed":0,"files":1,"kept":0,"type":"summary","would":0}
    --
    --
    exit 0
    "#);
    assert_snapshot!(both(&alice.run(["--json", "put", "a", "missing", "d/"]).await), @r#"
    {"code":"local","direction":"put","exit":3,"hint":"check the name","local":"missing","message":"cannot read missing: No such file or directory","path":null,"type":"failed"}
    {"deduplicated":true,"direction":"put","local":"a","path":"/alice/d/a","seconds":[SECONDS],"sha256":"[SHA-256]","size":1048576,"type":"finished","wire_bytes":[BYTES]}
    {"bytes":1048576,"deduplicated_bytes":1048576,"deduplicated_files":1,"direction":"put","failed":1,"files":1,"kept":0,"type":"summary","would":0}
    --
    {"code":"local","exit":3,"hint":"check the name","message":"cannot read missing: No such file or directory","type":"error"}
    --
    exit 8
    "#);
    assert_snapshot!(both(&alice.run(["--json", "get", "a", "missing", "./"]).await), @r#"
    {"code":"not-found","direction":"get","exit":3,"hint":null,"local":"missing","message":"/alice/missing does not exist: `sealift ls /alice` shows what does","path":"/alice/missing","type":"failed"}
    {"deduplicated":false,"direction":"get","local":"a","path":"/alice/a","seconds":[SECONDS],"sha256":"[SHA-256]","size":1048576,"type":"finished","wire_bytes":[BYTES]}
    {"bytes":1048576,"deduplicated_bytes":0,"deduplicated_files":0,"direction":"get","failed":1,"files":1,"kept":0,"type":"summary","would":0}
    --
    {"code":"not-found","exit":3,"hint":null,"message":"/alice/missing does not exist: `sealift ls /alice` shows what does","type":"error"}
    --
    exit 8
    "#);
}

#[tokio::test]
async fn ls_info_and_whoami() {
    let _redacted = redacted();
    let (world, alice) = furnished().await;
    world.share("team");
    world.grant("team", Some("alice"), Rights::READ);
    alice.run(["put", "a", "./"]).await.ok();
    alice.run(["put", "a", "d/"]).await.ok();
    assert_snapshot!(both(&alice.run(["--json", "ls"]).await), @r#"
    {"by":"alice","executable":false,"kind":"file","mtime":"[UTC]","name":"a","sha256":"[SHA-256]","size":1048576,"target":null,"type":"entry"}
    {"by":"alice","executable":false,"kind":"directory","mtime":"[UTC]","name":"d","sha256":null,"size":null,"target":null,"type":"entry"}
    --
    --
    exit 0
    "#);
    assert_snapshot!(both(&alice.run(["--json", "ls", "/"]).await), @r#"
    {"by":"alice","executable":false,"kind":"space","mtime":"[UTC]","name":"alice","sha256":null,"size":null,"target":null,"type":"entry"}
    {"by":null,"executable":false,"kind":"space","mtime":"[UTC]","name":"team","sha256":null,"size":null,"target":null,"type":"entry"}
    --
    --
    exit 0
    "#);
    assert_snapshot!(both(&alice.run(["--json", "info", "a", "d"]).await), @r#"
    {"by":"alice","executable":false,"kind":"file","mtime":"[UTC]","path":"/alice/a","sha256":"[SHA-256]","size":1048576,"stored_at":"[UTC]","stored_bytes":1048576,"target":null,"type":"info"}
    {"by":"alice","executable":false,"kind":"directory","mtime":"[UTC]","path":"/alice/d","sha256":null,"size":null,"stored_at":"[UTC]","stored_bytes":null,"target":null,"type":"info"}
    --
    --
    exit 0
    "#);
    assert_snapshot!(both(&alice.run(["--json", "whoami"]).await), @r#"
    {"address":"[ADDRESS]","expires":"[UTC]","identity":"alice","server":"sealiftd/0.1.0","spaces":[{"rights":["read","create","replace","delete"],"space":"alice"},{"rights":["read"],"space":"team"}],"type":"account","uri":"spiffe://[DOMAIN]/user/alice"}
    --
    --
    exit 0
    "#);
}

#[tokio::test]
async fn log() {
    let _redacted = redacted();
    let (world, alice) = furnished().await;
    alice.run(["put", "a"]).await.ok();
    alice.run(["get", "missing"]).await.exited(3);
    eventually("two rows", || (world.store().log().len() == 2).then_some(())).await;
    assert_snapshot!(both(&alice.run(["--json", "log"]).await), @r#"
    {"address":"[ADDRESS]","bytes":0,"direction":"get","error":"not-found","id":2,"identity":"alice","path":"/alice/missing","seconds":[SECONDS],"sha256":null,"started":"[UTC]","type":"transfer","wire_bytes":[BYTES]}
    {"address":"[ADDRESS]","bytes":1048576,"direction":"put","error":null,"id":1,"identity":"alice","path":"/alice/a","seconds":[SECONDS],"sha256":"[SHA-256]","started":"[UTC]","type":"transfer","wire_bytes":[BYTES]}
    --
    --
    exit 0
    "#);
}

#[tokio::test]
async fn the_other_verbs() {
    let _redacted = redacted();
    let (world, alice) = furnished().await;
    alice.run(["put", "a"]).await.ok();
    assert_snapshot!(both(&alice.run(["--json", "mv", "a", "b"]).await), @r#"
    {"from":"/alice/a","to":"/alice/b","type":"moved"}
    --
    --
    exit 0
    "#);
    assert_snapshot!(both(&alice.run(["--json", "cp", "b", "d/c"]).await), @r#"
    {"from":"/alice/b","to":"/alice/d/c","type":"copied"}
    --
    --
    exit 0
    "#);
    assert_snapshot!(both(&alice.run(["--json", "rm", "b", "x"]).await), @r#"
    {"path":"/alice/b","type":"removed"}
    --
    {"code":"not-found","exit":3,"hint":null,"message":"/alice/x does not exist: `sealift ls /alice` shows what does","type":"error"}
    --
    exit 8
    "#);
    assert_snapshot!(both(&alice.run(["--json", "renew"]).await), @r#"
    {"expires":"[UTC]","type":"renewed"}
    --
    --
    exit 0
    "#);
    let bob = Computer::new(SEALIFT);
    let token = world.invite("bob").to_string();
    assert_snapshot!(both(&bob.run(["--json", "join", &token, "--profile", "work"]).await), @r#"
    {"expires":"[UTC]","identity":"bob","profile":"work","server":"[ADDRESS]","trust_domain":"[DOMAIN]","type":"joined"}
    --
    --
    exit 0
    "#);
}

/// A directory as the target receives what is moved under its old name.
#[tokio::test]
async fn a_move_or_a_copy_into_a_directory_tells_where_it_went() {
    let (_world, alice) = furnished().await;
    alice.run(["put", "a", "d/"]).await.ok();
    alice.run(["put", "a", "b"]).await.ok();
    let copied = alice.run(["--json", "cp", "b", "d"]).await.ok().object("copied");
    alice.run(["info", "d/b"]).await.ok();
    assert_eq!(copied["to"], "/alice/d/b");
    let moved = alice.run(["--json", "mv", "b", "./d/"]).await.ok().object("moved");
    assert_eq!(moved["to"], "/alice/d/b");
}

#[tokio::test]
async fn errors() {
    let _redacted = redacted();
    let (_world, alice) = furnished().await;
    assert_snapshot!(both(&alice.run(["--json", "ls", "missing"]).await), @r#"
    --
    {"code":"not-found","exit":3,"hint":null,"message":"/alice/missing does not exist: `sealift ls /alice` shows what does","type":"error"}
    --
    exit 3
    "#);
    assert_snapshot!(both(&alice.run(["--json", "put", "-", "x/"]).await), @r#"
    --
    {"code":"usage","exit":2,"hint":null,"message":"standard input has no name of its own: name the file that it becomes, such as x/NAME","type":"error"}
    --
    exit 2
    "#);
    assert_snapshot!(both(&Computer::new(SEALIFT).run(["--json", "ls"]).await), @r#"
    --
    {"code":"profile","exit":1,"hint":"run `sealift join TOKEN`; `sealiftd invite NAME` prints a token on the server","message":"this computer has not joined a server yet: there is no profile in [HOME]/configuration/profiles","type":"error"}
    --
    exit 1
    "#);
}

/// Every line is one object with a type; a program that follows a long transfer hears of it now and then.
#[tokio::test]
async fn progress_is_told_while_a_transfer_lasts() {
    let (_world, alice) = alice().await;
    let mut running = alice.call(["--json", "put", "-", "big"]).start_with_open_input();
    let (mut input, mut sent) = (running.input.take().unwrap(), 0);
    let first = eventually("a line of progress", || {
        input.write_all(&[7; 100_000]).unwrap();
        sent += 100_000;
        running.printed().split_once('\n').map(|(line, _)| line.to_owned())
    })
    .await;
    drop(input);
    let first: Value = serde_json::from_str(&first).unwrap();
    assert_eq!((&first["type"], &first["path"]), (&"progress".into(), &"/alice/big".into()));
    assert!((1..=sent).contains(&first["bytes"].as_u64().unwrap()) && first["size"].is_null(), "{first}");
    let ran = running.ended().await.ok();
    assert_eq!(ran.object("finished")["size"], sent);
    assert_eq!(ran.stderr, "");
}

/// The same that the bar tells a person of several files.
#[tokio::test]
async fn progress_tells_what_is_left_and_what_the_server_had() {
    let (_world, alice) = alice().await;
    alice.write("a", Pattern::new(1, MIB).whole());
    for (number, name) in (2..).zip(["b", "c", "d", "e"]) {
        alice.write(name, Pattern::new(number, MIB).whole());
    }
    alice.run(["put", "a", "had"]).await.ok();
    let line = ["--json", "put", "--limit-rate", "2M", "a", "b", "c", "d", "e", "to/"];
    let ran = alice.run(line).await.ok();
    let objects = ran.objects();
    let progress: Vec<_> = objects.iter().filter(|object| object["type"] == "progress").collect();
    let last = progress.last().unwrap_or_else(|| panic!("no progress: {ran:?}"));
    let number = |key: &str| last[key].as_u64().unwrap_or_else(|| panic!("{key}: {last}"));
    assert_eq!((number("deduplicated_files"), number("deduplicated_bytes")), (1, MIB));
    assert_eq!(number("files_done") + number("files_left"), number("files_found"));
    assert!(number("bytes_per_second") > 0 && last["seconds_left"].is_u64(), "{last}");
    let summary = ran.object("summary");
    assert_eq!(objects.last(), Some(&summary));
    let told = ["files", "bytes", "deduplicated_files", "deduplicated_bytes", "failed"]
        .map(|key| summary[key].clone());
    assert_eq!(told, [5, 5 * MIB, 1, MIB, 0]);
}

/// Directories are no files, and the totals are those of the files, whichever way they go.
#[tokio::test]
async fn progress_of_trees_counts_files_only() {
    let (_world, alice) = alice().await;
    for number in 0..4 {
        alice.write(format!("d/{number}/x"), Pattern::new(number, MIB + number).whole());
    }
    let whole = 4 * MIB + 6;
    alice.call(["put", "-", "one"]).input(Pattern::new(9, 4 * MIB).whole()).run().await.ok();
    for (line, files, bytes) in [
        (&["--json", "put", "--limit-rate", "2M", "d"][..], 4, whole),
        (&["--json", "get", "--limit-rate", "2M", "d", "to/"], 4, whole),
        (&["--json", "get", "--limit-rate", "2M", "one"], 1, 4 * MIB),
    ] {
        let ran = alice.run(line).await.ok();
        let objects = ran.objects();
        let last = objects.iter().rfind(|object| object["type"] == "progress");
        let last = last.unwrap_or_else(|| panic!("no progress: {ran:?}"));
        assert_eq!([&last["files_found"], &last["bytes_found"]], [files, bytes], "{line:?}: {last}");
        assert_eq!(last["found_all"], true, "{last}");
        for progress in objects.iter().filter(|object| object["type"] == "progress") {
            let number = |key: &str| progress[key].as_u64().unwrap();
            assert!(number("files_found") <= files && number("bytes_done") <= bytes, "{progress}");
            assert_eq!(number("files_done") + number("files_left"), number("files_found"), "{progress}");
        }
    }
}

/// Whoever asked for JSON reads nothing else, least of all when the command line is wrong.
#[tokio::test]
async fn a_wrong_command_line_is_told_as_json() {
    let alice = Computer::new(SEALIFT);
    let lines = [
        &["--json", "fly"][..],
        &["--json"],
        &["profile", "--json"],
        &["ls", "--json", "--no-such-flag"],
        &["--json", "put"],
        &["put", "-r", "d", "--json"],
        &["--json", "ls", "../x"],
        &["--json", "--server", "8888", "ls"],
        &["--json", "--profile", "A/B", "ls"],
        &["--json", "mv", "a"],
    ];
    for line in lines {
        let ran = alice.run(line).await.refused(2);
        assert_eq!(ran.text(), "", "{line:?}");
        let told: Value = serde_json::from_str(&ran.stderr).unwrap_or_else(|_| panic!("{line:?}: {ran:?}"));
        assert_eq!((&told["type"], &told["code"]), (&"error".into(), &"usage".into()), "{line:?}");
        // The same without the flag is for people, and with the variable, too.
        let bare: Vec<_> = line.iter().filter(|word| **word != "--json").collect();
        assert!(!alice.run(&bare).await.exited(2).stderr.starts_with('{'), "{line:?}");
        let ran = alice.call(&bare).variable("SEALIFT_JSON", "1").run().await.refused(2);
        assert!(ran.stderr.starts_with('{'), "{line:?}: {ran:?}");
    }
    let ran = alice.run(["--json", "put", "-r", "d"]).await.refused(2);
    let told: Value = serde_json::from_str(&ran.stderr).unwrap();
    assert_eq!(told["message"], "unexpected argument '-r' found");
    assert_eq!(told["hint"], "directories are transferred with all that is in them: leave it out");
    // Where the environment is wrong beside it.
    let ran = alice.call(["ls"]).variable("SEALIFT_JSON", "1").variable("SEALIFT_SERVER", "a b").run().await;
    assert!(ran.refused(2).stderr.starts_with('{'));
    // Behind -- it is a name, and help is no error.
    assert!(!alice.run(["ls", "a", "b", "c", "--", "--json"]).await.stderr.starts_with('{'));
    assert!(alice.run(["--json", "--help"]).await.ok().text().contains("Usage: sealift"));
}

#[tokio::test]
async fn profiles() {
    let (_world, alice) = alice().await;
    let object = async |line: &[&str]| {
        let ran = alice.run(["--json", "profile"].iter().chain(line)).await.ok();
        assert_eq!((ran.objects().len(), ran.stderr.as_str()), (1, ""), "{ran:?}");
        ran.text().to_owned()
    };
    assert_eq!(object(&["use", "default"]).await, "{\"profile\":\"default\",\"type\":\"selected\"}\n");
    let renamed = object(&["rename", "default", "home"]).await;
    assert_eq!(renamed, "{\"from\":\"default\",\"to\":\"home\",\"type\":\"renamed\"}\n");
    assert_eq!(object(&["remove", "home"]).await, "{\"profile\":\"home\",\"type\":\"removed\"}\n");
}
