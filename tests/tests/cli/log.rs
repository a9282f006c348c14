//! `log`: every transfer, both ways, whether it succeeded or not.

use sealift_tests::{Computer, World, eventually};
use serde_json::Value;

use crate::{SEALIFT, alice};

/// Waits until the log has so many rows: that of a download is written behind its answer.
async fn rows(world: &World, count: usize) {
    eventually("the rows of the log", || (world.store().log().len() == count).then_some(())).await;
}

async fn paths(computer: &Computer, arguments: &[&str]) -> Vec<Value> {
    let ran = computer.run(["--json", "log"].into_iter().chain(arguments.iter().copied())).await.ok();
    ran.objects().into_iter().map(|object| object["path"].clone()).collect()
}

#[tokio::test]
async fn filters() {
    let (world, alice) = alice().await;
    let bob = Computer::joined(SEALIFT, &world, "bob").await;
    for file in ["d/a", "d/b", "c"] {
        alice.call(["put", "-", file]).input(file).run().await.ok();
    }
    alice.run(["get", "d/a", "-"]).await.ok();
    rows(&world, 4).await;
    alice.run(["get", "missing"]).await.refused(3);
    rows(&world, 5).await;
    bob.call(["put", "-", "private"]).input("x").run().await.ok();
    for (arguments, expected) in [
        (&[][..], &["missing", "d/a", "c", "d/b", "d/a"][..]),
        (&["-n", "2"], &["missing", "d/a"]),
        (&["--limit", "0"], &["missing", "d/a", "c", "d/b", "d/a"]),
        (&["--failed"], &["missing"]),
        (&["--direction", "put"], &["c", "d/b", "d/a"]),
        (&["--direction", "get"], &["missing", "d/a"]),
        (&["d"], &["d/a", "d/b", "d/a"]),
        (&["/alice/d/a"], &["d/a", "d/a"]),
        (&["d/a", "--direction", "get"], &["d/a"]),
        (&["no/such"], &[]),
    ] {
        let expected: Vec<_> = expected.iter().map(|path| Value::from(format!("/alice/{path}"))).collect();
        assert_eq!(paths(&alice, arguments).await, expected, "{arguments:?}");
    }
    alice.run(["log", "--direction", "up"]).await.exited(2);
}

#[tokio::test]
async fn twenty_unless_more_are_wanted() {
    let (_world, alice) = alice().await;
    let names: Vec<_> = (0..1100).map(|number| format!("f{number:04}")).collect();
    for name in &names {
        alice.write(name, name);
    }
    alice.run(["put"].into_iter().chain(names.iter().map(String::as_str)).chain(["./"])).await.ok();
    assert_eq!(paths(&alice, &[]).await.len(), 20);
    let all = paths(&alice, &["--limit", "0"]).await;
    // Several connections may have shared the work.
    let mut all: Vec<_> = all.iter().map(|path| path.as_str().unwrap().to_owned()).collect();
    all.sort();
    assert!(all.into_iter().eq(names.iter().map(|name| format!("/alice/{name}"))));
    assert_eq!(paths(&alice, &["-n", "1050"]).await.len(), 1050);
}
