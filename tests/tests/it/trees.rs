//! Whole trees: directories on their own, listing, deleting and copying all that is below a directory.

use sealift_protocol::message::{EntryKind, Info, List, MAX_TARGET, MakeDirectory, Remove, Reply, Request};
use sealift_tests::client::{link, list, path};
use sealift_tests::{Client, Pattern, World};
use sealift_types::{ErrorCode, Rights};
use serde_json::json;

use crate::code;
use crate::links::{all, line};

/// Sends requests a hundred at a time, each of which must be answered with `done` or `stored`.
async fn in_hundreds(client: &mut Client, count: usize, push: impl Fn(&mut Client, usize)) {
    for begin in (0..count).step_by(100) {
        let end = count.min(begin + 100);
        (begin..end).for_each(|number| push(client, number));
        client.flush().await;
        for number in begin..end {
            let reply = client.reply().await;
            assert!(matches!(reply, Reply::Done {} | Reply::Stored(_)), "{number}: {reply:?}");
        }
    }
}

/// A tree with everything in it: files in the catalog and in blobs, links, empty directories, equal contents.
async fn plant(client: &mut Client) {
    client.put_inline("d/small", b"small").await.unwrap();
    client.put_stream("d/s/large", &Pattern::new(1, 100_000).whole()).await.unwrap();
    client.put_stream("d/s/t/twin", &Pattern::new(1, 100_000).whole()).await.unwrap();
    client.link("d/s/link", "../small").await.unwrap();
    client.make_directory("d/empty", Some(-7)).await.unwrap();
}

const PLANTED: [&str; 7] = ["empty/", "s/", "s/large", "s/link -> ../small", "s/t/", "s/t/twin", "small"];

#[tokio::test]
async fn directories_can_be_empty_and_keep_their_time() {
    let world = World::start().await;
    let mut client = world.enrol("alice").await.connect().await;
    client.make_directory("a/b/c/", Some(-5)).await.unwrap();
    assert_eq!(all(&mut client, "").await, ["a/", "a/b/", "a/b/c/"]);
    let made = client.info("a/b/c").await.unwrap();
    assert_eq!((made.kind, made.mtime, made.size), (EntryKind::Directory, -5, None));
    assert_eq!(made.by.unwrap().as_str(), "alice");
    client.make_directory("a/b/c", None).await.unwrap();
    assert_eq!(client.info("a/b/c").await.unwrap().mtime, -5, "it stays as it was");
    client.make_directory("a/b/c", Some(6)).await.unwrap();
    assert_eq!(client.info("a/b/c").await.unwrap().mtime, 6);
    for root in ["", "/alice", "/alice/"] {
        client.make_directory(root, Some(1)).await.unwrap();
    }
    client.put_inline("f", b"x").await.unwrap();
    client.link("l", "a").await.unwrap();
    for (taken, expected) in [
        ("f", ErrorCode::NotADirectory),
        ("f/", ErrorCode::NotADirectory),
        ("f/below", ErrorCode::NotADirectory),
        ("l", ErrorCode::NotADirectory),
        ("l/below", ErrorCode::NotADirectory),
        ("/", ErrorCode::IsADirectory),
        ("/nobody", ErrorCode::NotAllowed),
        ("/nobody/x", ErrorCode::NotAllowed),
    ] {
        assert_eq!(code(client.make_directory(taken, Some(1)).await), expected, "{taken}");
    }
    let hostile = client.request_json(&json!({"type": "make-directory", "path": "a/../b"})).await;
    assert!(matches!(hostile, Reply::Error(error) if error.code == ErrorCode::NameNotAllowed));
}

/// Changes without a body share commits like small uploads, and keep their place among all requests.
#[tokio::test]
async fn changes_take_effect_in_the_order_in_which_they_were_sent() {
    let world = World::start().await;
    let mut client = world.enrol("alice").await.connect().await;
    let info = |name: &str| Request::Info(Info { path: path(name) });
    let remove = |name: &str| Request::Remove(Remove { path: path(name), recursive: true, if_match: None });
    for round in 0..20 {
        client.push(&info("a"));
        client.push_inline("a", b"x");
        client.push(&info("a"));
        client.push(&Request::Link(link("a", "x")));
        client.push(&info("a"));
        client.push(&remove("a"));
        client.push(&Request::MakeDirectory(MakeDirectory {
            path: path("a"),
            mtime: None,
            if_absent: false,
        }));
        client.push_inline("a/b", b"x");
        client.push(&Request::Link(link("a", "refused")));
        client.push(&info("a"));
        client.push(&remove("a"));
        client.push(&remove("a"));
        client.flush().await;
        let mut seen = Vec::new();
        for _ in 0..12 {
            seen.push(match client.reply().await {
                Reply::Info(description) => format!("{:?}", description.kind),
                Reply::Error(error) => format!("{:?}", error.code),
                Reply::Stored(_) | Reply::Done {} => "ok".into(),
                other => panic!("{other:?}"),
            });
        }
        let expected = [
            "NotFound",
            "ok",
            "File",
            "ok",
            "Link",
            "ok",
            "ok",
            "ok",
            "IsADirectory",
            "Directory",
            "ok",
            "NotFound",
        ];
        assert_eq!(seen, expected, "round {round}");
    }
}

#[tokio::test]
async fn thousands_of_changes_can_be_pipelined() {
    let world = World::start().await;
    let mut client = world.enrol("alice").await.connect().await;
    in_hundreds(&mut client, 3000, |client, number| match number % 3 {
        0 => client.push(&Request::MakeDirectory(MakeDirectory {
            path: path(&format!("d/{number}")),
            mtime: None,
            if_absent: false,
        })),
        1 => client.push(&Request::Link(link(&format!("d/{}/l", number - 1), "x"))),
        _ => client.push_inline(&format!("d/{}/f", number - 2), b"x"),
    })
    .await;
    assert_eq!(client.list_all("d").await.unwrap().len(), 3000);
    let files: Vec<_> = client.list_all("d").await.unwrap();
    in_hundreds(&mut client, 3000, |client, number| {
        let name = &files[files.len() - 1 - number].name;
        client.push(&Request::Remove(Remove {
            path: path(&format!("d/{name}")),
            recursive: false,
            if_match: None,
        }));
    })
    .await;
    assert_eq!(all(&mut client, "").await, ["d/"]);
    world.store().settled().await;
}

#[tokio::test]
async fn a_tree_is_deleted_at_once_and_frees_what_nobody_else_holds() {
    let world = World::start().await;
    let mut client = world.enrol("alice").await.connect().await;
    plant(&mut client).await;
    client.cp("d/s/large", "kept").await.unwrap();
    assert_eq!(code(client.remove("d").await), ErrorCode::IsADirectory);
    assert_eq!(all(&mut client, "d").await, PLANTED);
    client.remove_all("d/").await.unwrap();
    world.store().settled().await;
    assert_eq!((all(&mut client, "").await, world.store().blobs().len()), (vec!["kept".to_owned()], 1));
    plant(&mut client).await;
    client.remove_all("kept").await.unwrap();
    client.remove_all("d").await.unwrap();
    world.store().settled().await;
    assert_eq!((world.store().count("entries"), world.store().count("objects")), (0, 0));
    assert!(world.store().blobs().is_empty());
    for (root, expected) in [
        ("", ErrorCode::IsADirectory),
        ("/alice", ErrorCode::IsADirectory),
        ("/", ErrorCode::IsADirectory),
        ("nothing", ErrorCode::NotFound),
        ("/nobody/x", ErrorCode::NotAllowed),
    ] {
        assert_eq!(code(client.remove_all(root).await), expected, "{root}");
    }
}

#[tokio::test]
async fn a_copied_tree_shares_the_contents_and_nothing_else() {
    let world = World::start().await;
    let mut client = world.enrol("alice").await.connect().await;
    world.share("shared");
    world.grant("shared", Some("alice"), Rights::ALL);
    plant(&mut client).await;
    let before = client.list_all("d").await.unwrap();
    client.make_directory("there", None).await.unwrap();
    for (to, place) in
        [("there", "there/d"), ("there/", ""), ("new/copy", "new/copy"), ("/shared", "/shared/d")]
    {
        match place {
            "" => assert_eq!(code(client.cp("d", to).await), ErrorCode::Exists, "{to}"),
            _ => {
                client.cp("d", to).await.unwrap();
                assert_eq!(client.list_all(place).await.unwrap(), before, "{to}");
            }
        }
    }
    assert_eq!(client.info("new/copy").await.unwrap().mtime, client.info("d").await.unwrap().mtime);
    world.store().settled().await;
    assert_eq!((world.store().blobs().len(), world.store().count("objects")), (1, 2));
    client.mv("new/copy", "/shared/moved").await.unwrap();
    client.remove_all("d").await.unwrap();
    client.remove_all("there").await.unwrap();
    assert_eq!(client.list_all("/shared/moved").await.unwrap(), before);
    assert!(client.get("/shared/moved/s/t/twin").await.unwrap() == Pattern::new(1, 100_000).whole());
    for (from, to, expected) in [
        ("/shared/d", "/shared/d", ErrorCode::Exists),
        ("/shared/d", "/shared/d/s/t/u", ErrorCode::Exists),
        ("/shared/d", "/shared/d/small", ErrorCode::Exists),
        ("/shared/d", "/shared/d/small/x", ErrorCode::Exists),
        ("/shared/d", "nowhere/", ErrorCode::NotFound),
        ("/shared", "x", ErrorCode::IsADirectory),
        ("/", "x", ErrorCode::IsADirectory),
        ("/shared/d", "/nobody/d", ErrorCode::NotAllowed),
    ] {
        assert_eq!(code(client.cp(from, to).await), expected, "cp {from} {to}");
    }
    client.remove_all("/shared/d").await.unwrap();
    client.remove_all("/shared/moved").await.unwrap();
    world.store().settled().await;
    assert!(world.store().blobs().is_empty());
}

/// Each request with each set of rights on a shared space.
#[tokio::test]
async fn every_request_needs_its_rights() {
    let world = World::start().await;
    let mut editor = world.enrol("editor").await.connect().await;
    let mut caller = world.enrol("caller").await.connect().await;
    world.share("shared");
    world.grant("shared", Some("editor"), Rights::ALL);
    caller.put_inline("own/file", b"own").await.unwrap();
    for bits in 0..16 {
        let rights = Rights::from_bits(bits);
        world.grant("shared", Some("caller"), rights);
        let _ = editor.remove_all("/shared/d").await;
        editor.put_inline("/shared/d/file", b"x").await.unwrap();
        editor.put_inline("/shared/d/other", b"x").await.unwrap();
        editor.link("/shared/d/link", "x").await.unwrap();
        let (read, create, replace, delete) = (Rights::READ, Rights::CREATE, Rights::REPLACE, Rights::DELETE);
        let either = rights.intersects(create.union(replace));
        let tried = [
            ("make", caller.make_directory("/shared/d/a/b", None).await, rights.contains(create)),
            ("make what is there", caller.make_directory("/shared/d", Some(1)).await, either),
            ("link", caller.link("/shared/d/new", "x").await, rights.contains(create)),
            ("link over a file", caller.link("/shared/d/other", "x").await, rights.contains(replace)),
            ("link over a link", caller.link("/shared/d/link", "x").await, rights.contains(replace)),
            ("list", caller.list_all("/shared").await.map(drop), rights.contains(read)),
            ("info", caller.info("/shared/d/link").await.map(drop), rights.contains(read)),
            ("copy out", caller.cp("/shared/d", &format!("copy{bits}")).await, rights.contains(read)),
            ("copy in", caller.cp("own", "/shared/d/in").await, rights.contains(create)),
            (
                "copy within",
                caller.cp("/shared/d/in", "/shared/d/x").await,
                rights.contains(read.union(create)),
            ),
            ("remove", caller.remove_all("/shared/d").await, rights.contains(delete)),
        ];
        for (what, result, allowed) in tried {
            match result {
                Ok(()) => assert!(allowed, "{what} with {:?}", rights.names()),
                Err(error) => {
                    // What could not be copied in is not there to be copied on.
                    let absent = what == "copy within" && !rights.contains(create) && rights.contains(read);
                    let expected = if absent && error.code == ErrorCode::NotFound {
                        ErrorCode::NotFound
                    } else {
                        ErrorCode::NotAllowed
                    };
                    assert!(!allowed && error.code == expected, "{what} with {:?}: {error}", rights.names());
                }
            }
        }
    }
    world.store().settled().await;
}

#[tokio::test]
async fn a_listing_can_be_taken_up_where_it_ended() {
    let world = World::start().await;
    let mut client = world.enrol("alice").await.connect().await;
    world.share("shared");
    world.grant("shared", Some("alice"), Rights::ALL);
    plant(&mut client).await;
    client.put_inline("d/s!", b"x").await.unwrap();
    for recursive in [false, true] {
        for place in ["", "d", "d/s", "/alice/d/", "d/small", "d/empty", "/"] {
            if recursive && place == "/" {
                continue;
            }
            let whole = client.list_as(&List { recursive, ..list(place) }).await.unwrap();
            for limit in 1..4 {
                let (mut pages, mut after) = (Vec::new(), None);
                loop {
                    let query = List { recursive, after, limit, ..list(place) };
                    let page = client.list_as(&query).await.unwrap();
                    assert!(page.len() as u64 <= limit);
                    let Some(last) = page.last() else { break };
                    after = Some(last.name.clone());
                    pages.extend(page);
                }
                assert_eq!(pages, whole, "{place} by {limit}");
            }
        }
    }
    let behind = |after: &str| List { recursive: true, after: Some(after.into()), ..list("d") };
    client.remove_all("d/s").await.unwrap();
    let rest = client.list_as(&behind("s/large")).await.unwrap();
    assert_eq!(rest.iter().map(line).collect::<Vec<_>>(), ["s!", "small"], "what was last is gone");
    let refused = client.list_all("/").await.unwrap_err();
    assert!(refused.code == ErrorCode::BadRequest && refused.message.contains("name a space"), "{refused}");
}

/// Replies fit their frames, however long paths and targets are.
#[tokio::test]
async fn trees_are_as_deep_as_paths_are_long() {
    let world = World::start().await;
    let mut client = world.enrol("alice").await.connect().await;
    let narrow = vec!["\""; (4096 - "/alice/".len() - 2) / 2].join("/");
    client.make_directory(&narrow, Some(1)).await.unwrap();
    let wide = vec!["\\".repeat(255); 15].join("/");
    let last = 4096 - "/alice/".len() - wide.len() - 1;
    for number in 0..20 {
        let file = format!("{wide}/{number:02}{}", "\"".repeat(last - 2));
        client.link(&file, &"\u{1}".repeat(MAX_TARGET)).await.unwrap();
        assert_eq!(client.info(&file).await.unwrap().path.as_str().len(), 4096);
    }
    let listed = client.list_all("").await.unwrap();
    assert_eq!(listed.len(), narrow.split('/').count() + 15 + 20);
    let deepest = listed.iter().map(|entry| entry.name.len()).max();
    assert_eq!(deepest, Some(4096 - "/alice/".len()));
    assert_eq!(code(client.make_directory(&format!("{narrow}/xxxx"), None).await), ErrorCode::NameNotAllowed);
    assert_eq!(code(client.cp("\"", "longer").await), ErrorCode::NameNotAllowed);
    client.cp("\"", "x").await.unwrap();
    assert_eq!(client.list_all("x").await.unwrap().len(), narrow.split('/').count() - 1);
    for top in ["x", "\"", &"\\".repeat(255)] {
        client.remove_all(top).await.unwrap();
    }
    world.store().settled().await;
    assert_eq!(world.store().count("entries"), 0);
}

#[tokio::test]
async fn a_directory_of_twenty_thousand_entries_is_listed_copied_and_deleted() {
    const COUNT: usize = 20_000;
    let world = World::start().await;
    let mut client = world.enrol("alice").await.connect().await;
    in_hundreds(&mut client, COUNT / 2, |client, number| {
        client.push(&Request::Link(link(&format!("d/l{number:05}"), "x")));
    })
    .await;
    in_hundreds(&mut client, COUNT / 2, |client, number| {
        client.push_inline(&format!("d/f{number:05}"), number.to_string().as_bytes());
    })
    .await;
    let names = client.names("d").await;
    assert_eq!(names.len(), COUNT);
    assert!(names.is_sorted());
    client.cp("d", "e").await.unwrap();
    client.remove_all("d").await.unwrap();
    assert_eq!(client.list_all("").await.unwrap().len(), COUNT + 1);
    client.remove_all("e").await.unwrap();
    assert!(client.list("").await.unwrap().is_empty());
    world.store().settled().await;
    assert_eq!((world.store().count("entries"), world.store().count("objects")), (0, 0));
}
