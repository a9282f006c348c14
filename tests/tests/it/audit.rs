//! Who took what away is in the log, once, when it has happened.

use sealift_tests::{Launcher, RealServer, Settings, eventually};
use serde_json::Value;

use crate::SEALIFTD;

/// The audit lines of a server that logs JSON, as far as they have come.
fn audited(server: &RealServer) -> Vec<Value> {
    let text = server.stderr();
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["target"] == "audit").map(|line| line["fields"].clone()).collect()
}

#[tokio::test]
async fn deletions_renames_grants_and_revocations_are_in_the_log() {
    let launcher = Launcher::new(SEALIFTD).settings(Settings::new().json_log());
    let server = launcher.start().await;
    let machine = server.enrol("alice").await;
    let mut client = machine.connect().await;
    client.put_inline("dir/a", b"a").await.unwrap();
    client.put_inline("b", b"b").await.unwrap();
    client.mv("b", "c").await.unwrap();
    client.remove("c").await.unwrap();
    client.remove("c").await.unwrap_err();
    client.remove_all("/alice/dir").await.unwrap();
    for (verb, arguments) in [
        ("space", &["add", "team"][..]),
        ("grant", &["team", "alice", "read,create"]),
        ("grant", &["team", "everyone", "none"]),
        ("revoke", &["alice"]),
    ] {
        assert_eq!(launcher.run(verb, arguments).await.code, Some(0), "{verb}");
    }
    let lines = eventually("all lines of the log", || {
        let lines = audited(&server);
        lines.iter().any(|line| line["action"] == "revoke").then_some(lines)
    })
    .await;
    let told: Vec<_> = lines
        .iter()
        .map(|line| {
            let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
            (text("action"), text("identity"), text("path") + &text("subject"), text("to"))
        })
        .collect();
    let expected = [
        ("move", "alice", "b", "c"),
        ("remove", "alice", "c", ""),
        ("remove-tree", "alice", "/alice/dir", ""),
        ("add-space", "administrator", "/team", ""),
        ("grant", "administrator", "alice in /team: read,create", ""),
        ("grant", "administrator", "everyone in /team: none", ""),
        ("revoke", "administrator", "alice", ""),
    ];
    let expected =
        expected.map(|(action, who, what, to)| (action.into(), who.into(), what.into(), to.into()));
    assert_eq!(told, expected);
    assert!(lines[0]["address"].as_str().unwrap().starts_with("127.0.0.1:"), "{lines:?}");
    // Each of them once, unless the server dies between telling and forgetting it; and what was done without a server is told
    // by the next one.
    eventually("that it is forgotten", || (server.store().count("audits") == 0).then_some(())).await;
    server.kill();
    assert_eq!(launcher.run("space", &["add", "photos"]).await.code, Some(0));
    let server = launcher.start().await;
    let lines = eventually("the line of what was done without a server", || {
        let lines = audited(&server);
        (!lines.is_empty()).then_some(lines)
    })
    .await;
    assert!(lines.len() == 1 && lines[0]["subject"] == "/photos", "{lines:?}");
}
