//! What others own, and what they grant.

use insta::assert_snapshot;
use sealift_tests::{Computer, Pattern};
use sealift_types::Rights;

use crate::{KIB, SEALIFT, alice};

#[tokio::test]
async fn nobody_enters_anothers_space() {
    let (world, alice) = alice().await;
    let bob = Computer::joined(SEALIFT, &world, "bob").await;
    bob.call(["put", "-", "secret"]).input("bob's").run().await.ok();
    alice.write("a", "a");
    alice.write("large", Pattern::new(1, 100 * KIB).whole());
    assert_snapshot!(alice.run(["get", "/bob/secret"]).await.shown(), @r#"
    sealift: /bob/secret: you have no right to read in the space /bob, or there is no such space: `sealift whoami` shows where you have rights, the server's administrator can grant more
    exit 4
    "#);
    assert_snapshot!(alice.run(["put", "a", "/bob/"]).await.shown(), @r#"
    sealift: /bob/a: you have no right to create or replace in the space /bob, or there is no such space: `sealift whoami` shows where you have rights, the server's administrator can grant more
    exit 4
    "#);
    assert_snapshot!(alice.run(["put", "large", "/bob/"]).await.shown(), @r#"
    sealift: /bob/large: you have no right to store there: see `sealift whoami`
    exit 4
    "#);
    for line in [
        &["ls", "/bob"][..],
        &["info", "/bob/secret"],
        &["rm", "/bob/secret"],
        &["mv", "/bob/secret", "x"],
        &["cp", "/bob/secret", "x"],
        &["get", "/bob/missing"],
        &["put", "a", "/bob/secret"],
    ] {
        alice.run(line).await.refused(4);
    }
    // Nobody can tell a space that is closed from one that does not exist.
    let (closed, absent) = (alice.run(["ls", "/bob"]).await, alice.run(["ls", "/zoe"]).await.refused(4));
    assert_eq!(closed.stderr.replace("bob", "zoe"), absent.stderr);
    assert_eq!(alice.files(), ["a", "large"]);
    assert_eq!(bob.run(["get", "secret", "-"]).await.ok().text(), "bob's");
}

#[tokio::test]
async fn what_is_granted_can_be_done_and_nothing_else() {
    let (world, alice) = alice().await;
    world.share("team");
    let bob = Computer::joined(SEALIFT, &world, "bob").await;
    world.grant("team", Some("bob"), Rights::ALL);
    bob.call(["put", "-", "/team/a"]).input("team's").run().await.ok();
    alice.write("x", "x");

    world.grant("team", Some("alice"), Rights::READ);
    assert_eq!(alice.run(["get", "/team/a", "-"]).await.ok().text(), "team's");
    assert_eq!(alice.run(["ls", "/team"]).await.ok().text(), "a\n");
    assert_snapshot!(alice.run(["put", "x", "/team/"]).await.shown(), @r#"
    sealift: /team/x: you have no right to create or replace in the space /team, or there is no such space: `sealift whoami` shows where you have rights, the server's administrator can grant more
    exit 4
    "#);
    alice.run(["cp", "/team/a", "mine"]).await.ok();
    for line in [
        &["put", "x", "/team/a"][..],
        &["rm", "/team/a"],
        &["mv", "/team/a", "y"],
        &["cp", "mine", "/team/x"],
        &["mv", "mine", "/team/x"],
    ] {
        alice.run(line).await.refused(4);
    }

    // A drop box.
    world.grant("team", Some("alice"), Rights::CREATE);
    alice.run(["put", "x", "/team/"]).await.ok();
    for line in [&["put", "x", "/team/"][..], &["get", "/team/x"], &["ls", "/team"], &["info", "/team/x"]] {
        alice.run(line).await.refused(4);
    }
    assert_eq!(bob.run(["get", "/team/x", "-"]).await.ok().text(), "x");

    world.grant("team", Some("alice"), Rights::NONE);
    alice.run(["put", "x", "/team/y"]).await.refused(4);
    world.grant("team", None, Rights::ALL);
    alice.run(["put", "x", "/team/a"]).await.ok();
    alice.run(["rm", "/team/a"]).await.ok();
}
