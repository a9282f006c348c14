//! The server's disk is full: nothing half-stored stays, and what fits goes on fitting.

use insta::assert_snapshot;
use sealift_tests::{Computer, Launcher, Pattern, eventually};

use crate::redaction::redacted;
use crate::{KIB, MIB, SEALIFT, SEALIFTD};

#[tokio::test]
async fn what_does_not_fit_is_refused_and_leaves_nothing() {
    let _redacted = redacted();
    // 8 or 16 MiB, whatever unit the shell counts in.
    let server = Launcher::new(SEALIFTD).file_limit(16 * KIB).start().await;
    let alice = Computer::joined(SEALIFT, &server, "alice").await;
    alice.write("large", Pattern::new(1, 40 * MIB).whole());
    alice.write("small", Pattern::new(2, 10).whole());
    alice.write("medium", Pattern::new(3, MIB).whole());
    assert_snapshot!(alice.run(["put", "large"]).await.shown(), @r#"
    sealift: /alice/large: the server's disk is full and nothing was stored: ask its administrator to make room
    exit 6
    "#);
    let failed = alice.run(["--json", "put", "large"]).await.refused(6).object("failed");
    assert_eq!((&failed["code"], &failed["exit"]), (&"no-space".into(), &6.into()));
    let some = alice.run(["put", "small", "large", "medium", "d/"]).await.refused(8);
    assert!(some.stderr.contains("/alice/d/large: the server's disk is full"), "{some:?}");
    assert_eq!(alice.run(["ls", "-R"]).await.ok().text(), "d/\nd/medium\nd/small\n");
    let input = alice.call(["put", "-", "input"]).input(Pattern::new(1, 40 * MIB).whole()).run().await;
    input.refused(6);
    eventually("an empty incoming/", || server.store().incoming().is_empty().then_some(())).await;
    server.store().settled().await;
    let refused = || {
        let log = server.store().log().into_iter();
        (log.filter(|row| row.error.as_deref() == Some("no-space")).count() == 4).then_some(())
    };
    eventually("all refusals in the log", refused).await;
}
