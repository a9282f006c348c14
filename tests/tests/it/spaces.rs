//! Shared spaces: every request does what the caller's rights allow, and no more.

use sealift_protocol::WireError;
use sealift_protocol::message::{EntryKind, Verdict};
use sealift_tests::{Client, Launcher, Pattern, World};
use sealift_types::{Digest, ErrorCode, Rights};

use crate::{SEALIFTD, code};

/// Whether a request was allowed; any other failure fails the test.
fn allowed<T: std::fmt::Debug>(result: Result<T, WireError>) -> bool {
    match result {
        Ok(_) => true,
        Err(error) if error.code == ErrorCode::NotAllowed => false,
        Err(error) => panic!("{error:?}"),
    }
}

/// Puts the space into the state that the next request expects.
async fn reset(editor: &mut Client, caller: &mut Client) {
    let _ = editor.remove("/shared/new").await;
    let _ = editor.remove("/shared/moved").await;
    let _ = caller.remove("copy").await;
    editor.put_inline("/shared/file", b"shared").await.unwrap();
    caller.put_inline("own", b"own").await.unwrap();
}

#[tokio::test]
async fn every_request_needs_its_rights() {
    let world = World::start().await;
    let mut editor = world.enrol("editor").await.connect().await;
    let mut caller = world.enrol("caller").await.connect().await;
    world.share("shared");
    world.grant("shared", Some("editor"), Rights::ALL);
    for bits in 0..16 {
        let rights = Rights::from_bits(bits);
        world.grant("shared", Some("caller"), rights);
        let may = |wanted: Rights| rights.contains(wanted);
        let (read, create) = (may(Rights::READ), may(Rights::CREATE));
        let (replace, delete) = (may(Rights::REPLACE), may(Rights::DELETE));
        for large in [false, true] {
            let content = Pattern::new(bits.into(), if large { 70_000 } else { 7 }).whole();
            reset(&mut editor, &mut caller).await;
            assert_eq!(
                allowed(caller.put_stream("/shared/new", &content).await),
                create,
                "put of {rights:?}"
            );
            reset(&mut editor, &mut caller).await;
            let replaced = caller.put_stream("/shared/file", &content).await;
            assert_eq!(allowed(replaced), replace, "put over of {rights:?}");
        }
        reset(&mut editor, &mut caller).await;
        assert_eq!(allowed(caller.list("/shared").await), read, "list of {rights:?}");
        assert_eq!(allowed(caller.info("/shared/file").await), read, "info of {rights:?}");
        assert_eq!(allowed(caller.get("/shared/file").await), read, "get of {rights:?}");
        assert_eq!(allowed(caller.cp("/shared/file", "copy").await), read, "copy out of {rights:?}");
        assert_eq!(allowed(caller.cp("own", "/shared/new").await), create, "copy in of {rights:?}");
        reset(&mut editor, &mut caller).await;
        assert_eq!(allowed(caller.cp("own", "/shared/file").await), replace, "copy over of {rights:?}");
        reset(&mut editor, &mut caller).await;
        let moved = caller.mv("/shared/file", "/shared/moved").await;
        assert_eq!(allowed(moved), delete && create, "move of {rights:?}");
        reset(&mut editor, &mut caller).await;
        assert_eq!(
            allowed(caller.mv("/shared/file", "copy").await),
            delete && read,
            "move out of {rights:?}"
        );
        reset(&mut editor, &mut caller).await;
        assert_eq!(allowed(caller.mv("own", "/shared/new").await), create, "move in of {rights:?}");
        reset(&mut editor, &mut caller).await;
        assert_eq!(allowed(caller.remove("/shared/file").await), delete, "remove of {rights:?}");

        let plan = caller.plan(&[("/shared/new", 5), ("/shared/file", 5)]).await.unwrap();
        reset(&mut editor, &mut caller).await;
        let refused = |verdict: &Verdict| matches!(verdict, Verdict::Refuse(_));
        assert_eq!(!refused(&plan[0]), create, "plan of {rights:?}");
        let listed = caller.list("/").await.unwrap();
        assert_eq!(listed.iter().any(|space| space.name == "shared"), rights != Rights::NONE, "{rights:?}");
        let account = caller.whoami().await.unwrap();
        let named = account.spaces.into_iter().find(|space| space.space.as_str() == "shared");
        assert_eq!(named.map_or(vec![], |space| space.rights), rights.names(), "{rights:?}");
    }
    world.store().settled().await;
}

#[tokio::test]
async fn what_may_be_read_is_within_reach_and_nothing_else_is() {
    let world = World::start().await;
    let mut editor = world.enrol("editor").await.connect().await;
    let mut caller = world.enrol("caller").await.connect().await;
    world.share("shared");
    world.grant("shared", Some("editor"), Rights::ALL);
    let content = Pattern::new(1, 90_000).whole();
    let (size, sha256) = (content.len() as u64, Digest::of(&content));
    editor.put_stream("/shared/file", &content).await.unwrap();
    let blind = Rights::CREATE.union(Rights::REPLACE).union(Rights::DELETE);
    for (who, rights) in
        [(None, blind), (Some("caller"), blind), (None, Rights::READ), (Some("caller"), Rights::READ)]
    {
        for (other, nothing) in [(None, Rights::NONE), (Some("caller"), Rights::NONE)] {
            world.grant("shared", other, nothing);
        }
        world.grant("shared", who, rights);
        let plan = caller.plan(&[("mine", size)]).await.unwrap();
        if rights == Rights::READ {
            assert_eq!(plan, [Verdict::Hash]);
            caller.claim("mine", size, sha256).await.unwrap();
            caller.remove("mine").await.unwrap();
        } else {
            assert_eq!(plan, [Verdict::Send]);
            assert_eq!(code(caller.claim("mine", size, sha256).await), ErrorCode::Absent);
        }
    }
    // A right that is taken away is gone at the next request.
    caller.get("/shared/file").await.unwrap();
    world.grant("shared", Some("caller"), Rights::NONE);
    assert_eq!(code(caller.get("/shared/file").await), ErrorCode::NotAllowed);
    assert_eq!(code(caller.claim("mine", size, sha256).await), ErrorCode::Absent);
}

#[tokio::test]
async fn the_rights_of_everyone_and_ones_own_add_up() {
    let world = World::start().await;
    let mut alice = world.enrol("alice").await.connect().await;
    let mut bob = world.enrol("bob").await.connect().await;
    world.share("box");
    world.grant("box", None, Rights::CREATE);
    world.grant("box", Some("alice"), Rights::READ);
    bob.put_inline("/box/from-bob", b"x").await.unwrap();
    assert_eq!(code(bob.get("/box/from-bob").await), ErrorCode::NotAllowed, "a drop box");
    assert_eq!(code(bob.put_inline("/box/from-bob", b"y").await), ErrorCode::NotAllowed);
    assert_eq!(alice.get("/box/from-bob").await.unwrap(), b"x");
    alice.put_inline("/box/from-alice", b"z").await.unwrap();
    let entries = alice.list("/box").await.unwrap();
    let by: Vec<_> = entries.iter().map(|entry| entry.by.as_ref().unwrap().as_str()).collect();
    assert_eq!(by, ["alice", "bob"]);
    assert_eq!(alice.info("/box").await.unwrap().kind, EntryKind::Space);
    // Somebody's own space opens the same way.
    world.grant("alice", Some("bob"), Rights::READ);
    alice.put_inline("mine", b"m").await.unwrap();
    assert_eq!(bob.get("/alice/mine").await.unwrap(), b"m");
    assert_eq!(code(bob.put_inline("/alice/yours", b"y").await), ErrorCode::NotAllowed);
}

#[tokio::test]
async fn the_program_makes_spaces_and_grants_rights_beside_a_running_server() {
    let launcher = Launcher::new(SEALIFTD);
    let server = launcher.start().await;
    let mut alice = server.enrol("alice").await.connect().await;
    assert_eq!(launcher.run("space", &["add", "photos"]).await.code, Some(0));
    assert_eq!(launcher.run("space", &["add", "photos"]).await.code, Some(1));
    assert_eq!(code(alice.list("/photos").await), ErrorCode::NotAllowed);
    assert_eq!(launcher.run("grant", &["photos", "alice", "read,create"]).await.code, Some(0));
    alice.put_inline("/photos/one", b"1").await.unwrap();
    assert_eq!(code(alice.remove("/photos/one").await), ErrorCode::NotAllowed);
    let listed = launcher.run("space", &["list"]).await;
    assert!(listed.stdout.contains("/photos") && listed.stdout.contains("alice: read,create"), "{listed:?}");
    for (arguments, expected) in [
        (["nowhere", "alice", "read"], 3),
        (["photos", "nobody", "read"], 3),
        (["photos", "alice", "write"], 2),
    ] {
        let ended = launcher.run("grant", &arguments).await;
        assert_eq!(ended.code, Some(expected), "{ended:?}");
    }
    // A shared space's name is nobody's.
    let invited = launcher.run("invite", &["photos"]).await;
    assert!(invited.code == Some(1) && invited.stderr.contains("shared space"), "{invited:?}");
}
