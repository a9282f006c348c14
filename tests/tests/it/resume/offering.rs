//! Who is offered a part, and what happens to those who take one that is not theirs.

use std::fs::File;
use std::time::Duration;

use sealift_pipeline::FRAME;
use sealift_protocol::message::{Body, Part, Put, Request, Verdict};
use sealift_tests::transfer::{end_of, put, put_inline};
use sealift_tests::{PATIENCE, Pattern, Settings, World, eventually, within};
use sealift_types::{Digest, ErrorCode, Rights};

use super::{MIB, MTIME, at, begin, beside, dated, go_on, left, offered, resumed, whole};
use crate::code;

#[tokio::test]
async fn a_part_is_its_own_uploads_alone() {
    let world = World::start().await;
    world.share("all");
    world.grant("all", None, Rights::ALL);
    let (alice, bob) = (world.enrol("alice").await, world.enrol("bob").await);
    let content = Pattern::new(1, 4 * MIB as u64).whole();
    let size = content.len() as u64;
    let offset = left(&alice, "/all/dir/u\u{308}", &content, 3 * MIB).await;
    let (mut hers, mut his) = (alice.connect().await, bob.connect().await);
    let verdict = hers.plan_dated("/all/dir/\u{fc}", size, MTIME).await;
    assert_eq!(verdict, Verdict::Resume { offset }, "one name in two forms");
    for (file, size, mtime) in [
        ("/all/dir/\u{fc}", size, MTIME + 1),
        ("/all/dir/\u{fc}", size + 1, MTIME),
        ("/all/dir/u", size, MTIME),
        ("/all/dir", size, MTIME),
        ("dir/\u{fc}", size, MTIME),
    ] {
        assert_eq!(hers.plan_dated(file, size, mtime).await, Verdict::Send, "{file} {size} {mtime}");
    }
    let undated = hers.plan(&[("/all/dir/\u{fc}", size)]).await.unwrap();
    assert_eq!(undated, [Verdict::Send]);

    // Whoever asks for it all the same gets nothing, and harms nothing.
    assert_eq!(his.plan_dated("/all/dir/\u{fc}", size, MTIME).await, Verdict::Send);
    assert_eq!(code(go_on(&mut his, "/all/dir/\u{fc}", &content, offset).await), ErrorCode::Absent);
    assert_eq!(code(go_on(&mut hers, "/all/dir/u", &content, offset).await), ErrorCode::Absent);
    assert_eq!(code(go_on(&mut hers, "/all/dir/\u{fc}", &content, offset - 4096).await), ErrorCode::Absent);
    let later = Put { mtime: Some(MTIME + 1), ..resumed("/all/dir/\u{fc}", &content, offset) };
    begin(&mut hers, &later, &content, 3 * MIB).await;
    assert_eq!(hers.refusal().await.code, ErrorCode::Absent);

    // Nothing of it shows.
    for client in [&mut hers, &mut his] {
        assert!(client.list("/all").await.unwrap().is_empty());
        assert_eq!(code(client.get("/all/dir/\u{fc}").await), ErrorCode::NotFound);
        assert_eq!(code(client.info("/all/dir/\u{fc}").await), ErrorCode::NotFound);
        let prefix = Digest::of(&content[..at(offset)]);
        assert_eq!(code(client.claim("stolen", offset, prefix).await), ErrorCode::Absent);
    }
    assert!(his.plan(&[("x", offset)]).await.unwrap() == [Verdict::Send]);
    go_on(&mut hers, "/all/dir/\u{fc}", &content, offset).await.unwrap();
    assert!(his.get("/all/dir/\u{fc}").await.unwrap() == content);
    world.store().without_parts().await;
}

#[tokio::test]
async fn a_part_that_is_not_the_clients_is_refused_and_goes() {
    let world = World::start().await;
    let alice = world.enrol("alice").await;
    let content = Pattern::new(1, 6 * MIB as u64).whole();
    let offset = left(&alice, "file", &content, 4 * MIB).await;
    let mut other = content.clone();
    other[2 * MIB] ^= 1;
    let mut client = alice.connect().await;
    assert_eq!(offered(&mut client, "file", other.len() as u64).await, offset);
    // The body follows the request at once; the connection goes on all the same.
    let error = go_on(&mut client, "file", &other, offset).await.unwrap_err();
    assert!(error.code == ErrorCode::Absent && error.message.contains("from the start"), "{error:?}");
    assert_eq!(client.plan_dated("file", other.len() as u64, MTIME).await, Verdict::Send);
    world.store().without_parts().await;
    assert_eq!(whole(&mut client, "file", &other).await.unwrap().sha256, Digest::of(&other));

    // The same when it is the server's disk that has changed, of which a server that has just started knows nothing.
    let offset = left(&alice, "second", &content, 4 * MIB).await;
    let world = world.restart().await;
    let mut client = alice.at(world.address).connect().await;
    let file = world.store().incoming().pop().unwrap();
    let damaged = File::options().write(true).open(file).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&damaged, b"damage", 12_345).unwrap();
    assert_eq!(code(go_on(&mut client, "second", &content, offset).await), ErrorCode::Absent);
    whole(&mut client, "second", &content).await.unwrap();
    world.store().settled().await;
}

#[tokio::test]
async fn a_second_upload_beside_the_first_begins_anew_and_disturbs_nobody() {
    let world = World::with(Settings::new().yield_after(Duration::from_millis(300))).await;
    let alice = world.enrol("alice").await;
    let content = Pattern::new(1, 6 * MIB as u64).whole();
    let size = content.len() as u64;
    let (mut first, mut second) = (alice.connect().await, alice.connect().await);
    begin(&mut first, &dated("file", &content), &content, 4 * MIB).await;
    eventually("the first upload's part", || world.store().parts().pop_first()).await;
    assert_eq!(beside(&mut first, second.plan_dated("file", size, MTIME)).await, Verdict::Send);
    assert_eq!(code(go_on(&mut second, "file", &content, 4 * MIB as u64).await), ErrorCode::Absent);
    begin(&mut second, &dated("file", &content), &content, 2 * MIB).await;
    eventually("a second part", || (world.store().parts().len() == 2).then_some(())).await;
    drop(second);
    // What the second one left is on offer while the first goes on, and goes when that has ended.
    let mut third = alice.connect().await;
    assert_eq!(at(beside(&mut first, offered(&mut third, "file", size)).await), 2 * MIB);
    for frame in content[4 * MIB..].chunks(FRAME) {
        first.send_data(frame).await;
    }
    first.push_trailer(&end_of(&content));
    first.flush().await;
    first.stored().await.unwrap();
    world.store().without_parts().await;

    // The other way round: the one that is under way goes on beside a file that is stored meanwhile.
    let offset = left(&alice, "second", &content, 4 * MIB).await;
    begin(&mut first, &resumed("second", &content, offset), &content, 5 * MIB).await;
    let taken = async { while third.plan_dated("second", size, MTIME).await != Verdict::Hash {} };
    within(PATIENCE, "the first to have taken the part", beside(&mut first, taken)).await;
    assert_eq!(code(go_on(&mut third, "second", &content, offset).await), ErrorCode::Absent);
    third.put_inline("second", b"between").await.unwrap();
    for frame in content[5 * MIB..].chunks(FRAME) {
        first.send_data(frame).await;
    }
    first.push_trailer(&end_of(&content));
    first.flush().await;
    first.stored().await.unwrap();
    assert!(third.get("second").await.unwrap() == content);
    world.store().without_parts().await;
    world.store().settled().await;
}

#[tokio::test]
async fn a_part_goes_before_a_content_of_the_same_size_but_not_before_a_refusal() {
    let world = World::start().await;
    world.share("shared");
    world.grant("shared", None, Rights::ALL);
    let alice = world.enrol("alice").await;
    let content = Pattern::new(1, 4 * MIB as u64).whole();
    let size = content.len() as u64;
    let offset = left(&alice, "/shared/file", &content, 3 * MIB).await;
    let mut client = alice.connect().await;
    client.put_stream("same-size", &Pattern::new(2, size).whole()).await.unwrap();
    assert_eq!(client.plan_dated("elsewhere", size, MTIME).await, Verdict::Hash);
    assert_eq!(client.plan_dated("/shared/file", size, MTIME).await, Verdict::Resume { offset });
    world.grant("shared", None, Rights::READ);
    assert!(matches!(client.plan_dated("/shared/file", size, MTIME).await, Verdict::Refuse(_)));
    assert_eq!(code(go_on(&mut client, "/shared/file", &content, offset).await), ErrorCode::NotAllowed);
}

#[tokio::test]
async fn a_resume_is_for_streams() {
    let world = World::start().await;
    let mut client = world.enrol("alice").await.connect().await;
    let part = Some(Part { size: 4096, sha256: Digest::of(b"x") });
    client.push(&Request::Put(Put { resume: part, ..put_inline("file", b"small") }));
    client.writer.push_data(b"small").unwrap();
    client.flush().await;
    client.stored().await.unwrap();
    for put in [put("file", Body::Stream), dated("file", &[7; 5000])] {
        client.send_stream(&Put { resume: part, ..put }, &[7; 904][..]).await;
        assert_eq!(code(client.stored().await), ErrorCode::Absent);
    }
    assert_eq!(client.get("file").await.unwrap(), b"small");
}
