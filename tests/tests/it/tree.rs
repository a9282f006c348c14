//! Files and directories: what may be where, and moving, copying and deleting them.

use sealift_protocol::message::EntryKind;
use sealift_tests::{Client, Pattern, World};
use sealift_types::ErrorCode;

use crate::code;

async fn alice_with(files: &[&str]) -> (World, Client) {
    let world = World::start().await;
    let mut client = world.enrol("alice").await.connect().await;
    for file in files {
        client.put_inline(file, file.as_bytes()).await.unwrap();
    }
    (world, client)
}

/// Every file below the root, by its path.
async fn tree(client: &mut Client) -> Vec<String> {
    let (mut open, mut found) = (vec![String::new()], Vec::new());
    while let Some(directory) = open.pop() {
        for entry in client.list(&directory).await.unwrap() {
            let path = format!("{directory}{}", entry.name);
            match entry.kind {
                EntryKind::File => found.push(path),
                _ => open.push(path + "/"),
            }
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn files_and_directories_do_not_take_each_others_place() {
    let (_world, mut client) = alice_with(&["d/f"]).await;
    for content in [Pattern::new(1, 5).whole(), Pattern::new(1, 100_000).whole()] {
        assert_eq!(code(client.put_stream("d", &content).await), ErrorCode::IsADirectory);
        assert_eq!(code(client.put_stream("d/f/x", &content).await), ErrorCode::NotADirectory);
        assert_eq!(code(client.put_stream("", &content).await), ErrorCode::IsADirectory);
        assert_eq!(code(client.put_stream("/alice", &content).await), ErrorCode::IsADirectory);
        assert_eq!(code(client.put_stream("/", &content).await), ErrorCode::IsADirectory);
    }
    assert_eq!(code(client.get("d").await), ErrorCode::IsADirectory);
    assert_eq!(code(client.get("").await), ErrorCode::IsADirectory);
    assert_eq!(code(client.get("/").await), ErrorCode::IsADirectory);
    assert_eq!(code(client.get("d/f/x").await), ErrorCode::NotFound);
    assert_eq!(code(client.list("d/f/").await), ErrorCode::NotADirectory);
    assert_eq!(code(client.list("nothing").await), ErrorCode::NotFound);
    assert_eq!(code(client.info("d/nothing").await), ErrorCode::NotFound);
    assert_eq!(client.info("d").await.unwrap().kind, EntryKind::Directory);
    assert_eq!(client.info("").await.unwrap().kind, EntryKind::Space);
    assert_eq!(tree(&mut client).await, ["d/f"]);
}

/// It says that a directory is meant, so no file is made, read, moved or deleted under it.
#[tokio::test]
async fn a_trailing_slash_never_means_a_file() {
    let (_world, mut client) = alice_with(&["d/f"]).await;
    assert_eq!(code(client.put_inline("new/", b"x").await), ErrorCode::IsADirectory);
    assert_eq!(
        code(client.put_stream("new/", &Pattern::new(1, 70_000).whole()).await),
        ErrorCode::IsADirectory
    );
    assert_eq!(
        code(client.claim("new/", 3, sealift_types::Digest::of(b"d/f")).await),
        ErrorCode::IsADirectory
    );
    assert_eq!(code(client.put_inline("d/f/", b"x").await), ErrorCode::IsADirectory);
    assert_eq!(code(client.get("d/f/").await), ErrorCode::NotADirectory);
    assert_eq!(code(client.list("d/f/").await), ErrorCode::NotADirectory);
    assert_eq!(code(client.info("d/f/").await), ErrorCode::NotADirectory);
    assert_eq!(code(client.remove("d/f/").await), ErrorCode::NotADirectory);
    assert_eq!(code(client.mv("d/f/", "g").await), ErrorCode::NotADirectory);
    assert_eq!(code(client.cp("d/f/", "g").await), ErrorCode::NotADirectory);
    assert_eq!(client.info("d/").await.unwrap().kind, EntryKind::Directory);
    assert_eq!(code(client.get("d/").await), ErrorCode::IsADirectory);
    client.mv("d/", "e").await.unwrap();
    assert_eq!(tree(&mut client).await, ["e/f"]);
}

#[tokio::test]
async fn listings_are_complete_and_in_order() {
    let (_world, mut client) = alice_with(&[]).await;
    let names: Vec<String> = (0..200).map(|number| format!("{number:03}-{}", "\"".repeat(250))).collect();
    for name in &names {
        client.push_inline(&format!("d/{name}"), b"x");
    }
    client.flush().await;
    for _ in &names {
        client.stored().await.unwrap();
    }
    assert_eq!(client.names("d").await, names, "over many replies");
    let file = client.list(&format!("d/{}", names[7])).await.unwrap();
    assert_eq!((file.len(), &file[0].name), (1, &names[7]), "a file lists itself");
    let spaces = client.list("/").await.unwrap();
    assert_eq!(spaces.len(), 1);
    assert_eq!((spaces[0].name.as_str(), spaces[0].kind), ("alice", EntryKind::Space));
}

#[tokio::test]
async fn moves_give_new_names_to_files_and_directories() {
    let (world, mut client) = alice_with(&["a", "b", "d/f", "d/s/g", "e/x"]).await;
    client.mv("a", "c").await.unwrap();
    client.mv("c", "e").await.unwrap();
    client.mv("b", "e/x").await.unwrap();
    client.mv("d", "new/place").await.unwrap();
    client.mv("/alice/new/place/f", "/alice/").await.unwrap();
    assert_eq!(tree(&mut client).await, ["e/c", "e/x", "f", "new/place/s/g"]);
    assert_eq!(client.get("e/c").await.unwrap(), b"a");
    assert_eq!(client.get("e/x").await.unwrap(), b"b", "a file is replaced");
    assert_eq!(client.get("new/place/s/g").await.unwrap(), b"d/s/g");
    client.mv("f", "f").await.unwrap();
    assert_eq!(client.get("f").await.unwrap(), b"d/f", "a move to itself loses nothing");
    world.store().settled().await;
    assert_eq!(world.store().count("objects"), 4);
}

#[tokio::test]
async fn moves_that_cannot_be_are_refused_and_change_nothing() {
    let files = ["a", "d/f", "d/s/g", "e/d/x"];
    let (_world, mut client) = alice_with(&files).await;
    for (from, to, expected) in [
        ("nothing", "x", ErrorCode::NotFound),
        ("d/nothing", "x", ErrorCode::NotFound),
        ("d", "d/s/deeper", ErrorCode::Exists),
        ("d", "d", ErrorCode::Exists),
        ("d", "e", ErrorCode::Exists),
        ("d", "a", ErrorCode::Exists),
        ("a", "d/f/below", ErrorCode::NotADirectory),
        ("a", "nowhere/", ErrorCode::NotFound),
        ("a", "d/f/", ErrorCode::NotADirectory),
        ("", "x", ErrorCode::IsADirectory),
        ("/", "x", ErrorCode::IsADirectory),
        ("a", "/", ErrorCode::IsADirectory),
        ("a", "/nobody/a", ErrorCode::NotAllowed),
        ("/nobody/a", "x", ErrorCode::NotAllowed),
    ] {
        assert_eq!(code(client.mv(from, to).await), expected, "mv {from} {to}");
        assert_eq!(tree(&mut client).await, files, "mv {from} {to}");
    }
}

#[tokio::test]
async fn copies_share_the_content_and_nothing_else() {
    let (world, mut client) = alice_with(&["e/x"]).await;
    let content = Pattern::new(1, 100_000).whole();
    client.put_stream("a", &content).await.unwrap();
    client.cp("a", "b").await.unwrap();
    client.cp("a", "e").await.unwrap();
    client.cp("a", "e/x").await.unwrap();
    client.cp("a", "new/c").await.unwrap();
    client.cp("a", "a").await.unwrap();
    assert_eq!(tree(&mut client).await, ["a", "b", "e/a", "e/x", "new/c"]);
    assert_eq!(client.info("b").await.unwrap().mtime, client.info("a").await.unwrap().mtime);
    world.store().settled().await;
    assert_eq!((world.store().count("objects"), world.store().blobs().len()), (1, 1));
    client.put_inline("a", b"changed").await.unwrap();
    client.remove("b").await.unwrap();
    assert!(client.get("e/x").await.unwrap() == content);
    for (from, to, expected) in [
        ("nothing", "x", ErrorCode::NotFound),
        ("e", "e", ErrorCode::Exists),
        ("", "x", ErrorCode::IsADirectory),
        ("a", "e/x/below", ErrorCode::NotADirectory),
        ("a", "nowhere/", ErrorCode::NotFound),
        ("/nobody/a", "x", ErrorCode::NotAllowed),
        ("a", "/nobody/a", ErrorCode::NotAllowed),
    ] {
        assert_eq!(code(client.cp(from, to).await), expected, "cp {from} {to}");
    }
    assert_eq!(tree(&mut client).await, ["a", "e/a", "e/x", "new/c"]);
}

#[tokio::test]
async fn only_files_and_empty_directories_are_deleted() {
    let (world, mut client) = alice_with(&["a", "d/f"]).await;
    assert_eq!(code(client.remove("d").await), ErrorCode::IsADirectory);
    assert_eq!(code(client.remove("").await), ErrorCode::IsADirectory);
    assert_eq!(code(client.remove("/").await), ErrorCode::IsADirectory);
    assert_eq!(code(client.remove("nothing").await), ErrorCode::NotFound);
    assert_eq!(code(client.remove("a/below").await), ErrorCode::NotFound);
    client.remove("d/f").await.unwrap();
    client.remove("d/").await.unwrap();
    client.remove("a").await.unwrap();
    assert_eq!(code(client.remove("a").await), ErrorCode::NotFound);
    assert!(client.list("").await.unwrap().is_empty());
    world.store().settled().await;
    assert_eq!((world.store().count("objects"), world.store().count("entries")), (0, 0));
}

#[tokio::test]
async fn the_spaces_of_others_are_closed_and_look_as_if_they_were_not_there() {
    let (world, mut alice) = alice_with(&["secret"]).await;
    let mut mallory = world.enrol("mallory").await.connect().await;
    mallory.put_inline("mine", b"x").await.unwrap();
    for (there, not_there) in
        [("/alice/secret", "/nobody/secret"), ("/alice/x", "/nobody/x"), ("/alice", "/nobody")]
    {
        let mut said = Vec::new();
        for path in [there, not_there] {
            let errors = vec![
                mallory.get(path).await.unwrap_err(),
                mallory.list(path).await.unwrap_err(),
                mallory.info(path).await.unwrap_err(),
                mallory.remove(path).await.unwrap_err(),
                mallory.mv(path, "x").await.unwrap_err(),
                mallory.mv("mine", path).await.unwrap_err(),
                mallory.cp(path, "x").await.unwrap_err(),
                mallory.list_all(path).await.unwrap_err(),
                mallory.remove_all(path).await.unwrap_err(),
                mallory.make_directory(path, None).await.unwrap_err(),
                mallory.make_directory(path, Some(1)).await.unwrap_err(),
                mallory.link(path, "x").await.unwrap_err(),
                mallory.cp("mine", path).await.unwrap_err(),
                mallory.put_inline(path, b"x").await.unwrap_err(),
                mallory.put_stream(path, &[1; 70_000]).await.unwrap_err(),
            ];
            assert!(errors.iter().all(|error| error.code == ErrorCode::NotAllowed), "{errors:?}");
            let blank = |error: sealift_protocol::WireError| {
                error.message.replace("/alice", "/SPACE").replace("/nobody", "/SPACE")
            };
            said.push(errors.into_iter().map(blank).collect::<Vec<_>>());
        }
        assert_eq!(said[0], said[1]);
    }
    assert_eq!(alice.get("secret").await.unwrap(), b"secret");
    assert_eq!(tree(&mut alice).await, ["secret"]);
    assert_eq!(tree(&mut mallory).await, ["mine"]);
    world.store().settled().await;
}
