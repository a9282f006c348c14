//! Moves, copies and new directories on the condition that nothing is at the new path.

use sealift_protocol::message::{MakeDirectory, Remove, Reply, Request, Transplant};
use sealift_tests::client::path;
use sealift_tests::{Client, World};
use sealift_types::ErrorCode;

use crate::code;

/// The ways to give an entry a new path.
const WAYS: [fn(Transplant) -> Request; 2] = [Request::Move, Request::Copy];

fn careful(from: &str, to: &str) -> Transplant {
    Transplant { if_absent: true, ..Transplant::new(path(from), path(to)) }
}

fn exact(from: &str, to: &str) -> Transplant {
    Transplant { exact: true, ..careful(from, to) }
}

async fn refused(client: &mut Client, request: &Request) {
    match client.request(request).await {
        Reply::Error(error) => assert_eq!(error.code, ErrorCode::Exists, "{request:?}"),
        other => panic!("{request:?}: {other:?}"),
    }
}

async fn placed(client: &mut Client, request: &Request) -> String {
    match client.request(request).await {
        Reply::Placed { path } => path.to_string(),
        other => panic!("{request:?}: {other:?}"),
    }
}

#[tokio::test]
async fn nothing_is_replaced_whatever_it_is() {
    let world = World::start().await;
    let mut client = world.enrol("alice").await.connect().await;
    for file in ["file", "taken", "tree/inner", "full/file", "full/tree/x"] {
        client.put_inline(file, file.as_bytes()).await.unwrap();
    }
    client.link("link", "nowhere").await.unwrap();
    client.make_directory("empty", None).await.unwrap();
    for way in WAYS {
        for from in ["file", "tree", "link"] {
            for to in ["taken", "link", "file", "tree"] {
                // A directory receives the entry, so only what is in it counts.
                let to_directory = to == "tree";
                if from != to && !to_directory {
                    refused(&mut client, &way(careful(from, to))).await;
                }
                if from != to {
                    refused(&mut client, &way(exact(from, to))).await;
                }
            }
            refused(&mut client, &way(exact(from, "empty"))).await;
        }
        for from in ["file", "tree"] {
            refused(&mut client, &way(careful(from, "full"))).await;
        }
    }
    for file in ["file", "taken", "tree/inner", "full/file", "full/tree/x"] {
        assert_eq!(client.get(file).await.unwrap(), file.as_bytes());
    }
    assert_eq!(placed(&mut client, &Request::Copy(careful("file", "empty"))).await, "/alice/empty/file");
    assert_eq!(placed(&mut client, &Request::Copy(exact("tree", "new"))).await, "/alice/new");
    assert_eq!(placed(&mut client, &Request::Move(exact("file", "free/place"))).await, "/alice/free/place");
    // An entry is not in its own way when it moves, and is when it is copied.
    placed(&mut client, &Request::Move(exact("taken", "taken"))).await;
    placed(&mut client, &Request::Move(careful("new", "/alice"))).await;
    refused(&mut client, &Request::Copy(exact("taken", "taken"))).await;
    assert_eq!(client.get("taken").await.unwrap(), b"taken");
}

/// Requests that were sent at once are decided one after the other: one of them gets the place.
#[tokio::test]
async fn of_many_that_want_one_place_one_gets_it() {
    let world = World::start().await;
    let alice = world.enrol("alice").await;
    let mut first = alice.connect().await;
    let mut second = alice.connect().await;
    for number in 0..20 {
        first.put_inline(&format!("a{number}"), b"a").await.unwrap();
        first.put_inline(&format!("b{number}"), b"b").await.unwrap();
    }
    for number in 0..20 {
        first.push(&Request::Move(exact(&format!("a{number}"), &format!("c{number}"))));
        second.push(&Request::Move(exact(&format!("b{number}"), &format!("c{number}"))));
    }
    tokio::join!(first.flush(), second.flush());
    let mut losers = Vec::new();
    for number in 0..20 {
        let replies = [first.reply().await, second.reply().await];
        let placed = replies.each_ref().map(|reply| matches!(reply, Reply::Placed { .. }));
        assert!(placed[0] != placed[1], "{number}: {replies:?}");
        losers.push(if placed[0] { "b" } else { "a" });
    }
    for (number, loser) in losers.into_iter().enumerate() {
        assert_eq!(first.get(&format!("{loser}{number}")).await.unwrap(), loser.as_bytes());
    }
}

#[tokio::test]
async fn a_new_directory_is_new_and_its_etag_is_that_of_no_other() {
    let world = World::start().await;
    let mut client = world.enrol("alice").await.connect().await;
    client.put_inline("file", b"x").await.unwrap();
    let make =
        |name: &str| Request::MakeDirectory(MakeDirectory { path: path(name), mtime: None, if_absent: true });
    let Reply::Made { etag } = client.request(&make("plans/2026")).await else { panic!("it is new") };
    for taken in ["plans/2026", "plans", "file", "/alice"] {
        refused(&mut client, &make(taken)).await;
    }
    let remove = |etag: &str| {
        let if_match = Some(etag.to_owned());
        Request::Remove(Remove { path: path("plans/2026"), recursive: false, if_match })
    };
    client.put_inline("plans/2026/a", b"x").await.unwrap();
    let full = client.request(&remove(&etag)).await;
    assert!(matches!(&full, Reply::Error(error) if error.code == ErrorCode::IsADirectory), "{full:?}");
    client.remove_all("plans/2026").await.unwrap();
    let Reply::Made { etag: other } = client.request(&make("plans/2026")).await else { panic!("it is new") };
    let changed = client.request(&remove(&etag)).await;
    assert!(matches!(&changed, Reply::Error(error) if error.code == ErrorCode::Changed), "{changed:?}");
    assert_eq!(client.request(&remove(&other)).await, Reply::Done {});
    assert_eq!(code(client.info("plans/2026").await), ErrorCode::NotFound);
}
