//! Updates: what is on the server and newer stays, whichever way something older comes.

use sealift_pipeline::FRAME;
use sealift_protocol::WireError;
use sealift_protocol::message::{
    Body, LogQuery, MAX_INLINE, Plan, PlannedFile, Put, Remove, Reply, Request, Trailer, Verdict,
};
use sealift_tests::client::path;
use sealift_tests::transfer::{end_of, put, put_inline};
use sealift_tests::{Client, Pattern, World};
use sealift_types::{Digest, ErrorCode, Rights};

use crate::code;

/// When the file on the server was last modified.
const MTIME: i64 = 1_700_000_000_000_000_000;

const BODIES: [Body; 3] = [Body::Inline, Body::Stream, Body::Claim];

/// Puts, and says what the server replied.
async fn send(client: &mut Client, put: &Put, content: &[u8]) -> Reply {
    push(client, put, content);
    client.flush().await;
    client.reply().await
}

fn push(client: &mut Client, put: &Put, content: &[u8]) {
    let (size, sha256) = (Some(content.len() as u64), Some(Digest::of(content)));
    client.push(&Request::Put(Put { size, sha256, ..put.clone() }));
    match put.body {
        Body::Inline => client.writer.push_data(content).unwrap(),
        Body::Stream => {
            for frame in content.chunks(FRAME) {
                client.writer.push_data(frame).unwrap();
            }
            client.push_trailer(&end_of(content));
        }
        Body::Claim => {}
    }
}

fn update(file: &str, body: Body, mtime: i64) -> Put {
    Put { mtime: Some(mtime), update: true, ..put(file, body) }
}

async fn plan(client: &mut Client, file: &str, size: u64, mtime: i64) -> Verdict {
    let files = vec![PlannedFile { path: path(file), size, mtime: Some(mtime), update: true, sha256: None }];
    match client.request(&Request::Plan(Plan { files })).await {
        Reply::Plan { files } => files[0].clone(),
        other => panic!("{other:?} does not answer a plan"),
    }
}

/// A client of alice's, with a file from [`MTIME`].
async fn with_file(world: &World, content: &[u8]) -> Client {
    let mut client = world.enrol("alice").await.connect().await;
    let first = Put { mtime: Some(MTIME), ..put("file", Body::Stream) };
    assert!(matches!(send(&mut client, &first, content).await, Reply::Stored(_)));
    client
}

#[tokio::test]
async fn what_is_newer_stays_whatever_the_body() {
    let world = World::start().await;
    let mut client = with_file(&world, b"newer").await;
    // Something to be claimed.
    client.put_inline("other", b"older").await.unwrap();
    for body in BODIES {
        let reply = send(&mut client, &update("file", body, MTIME - 1), b"older").await;
        assert_eq!(reply, Reply::Kept {}, "{body:?}");
        assert_eq!(client.get("file").await.unwrap(), b"newer");
        assert_eq!(client.info("file").await.unwrap().mtime, MTIME);
    }
    // Whether a content is within reach does not matter, if it is not wanted.
    let absent = send(&mut client, &update("file", Body::Claim, MTIME - 1), b"unheard of").await;
    assert_eq!(absent, Reply::Kept {});

    let log = client.log(LogQuery { path: Some(path("file")), ..LogQuery::default() }).await.unwrap();
    let mut puts = log.into_iter().filter(|row| row.direction == sealift_protocol::message::Direction::Put);
    for bytes in [0, 0, 0, 5] {
        let row = puts.next().unwrap();
        assert_eq!((row.error, row.sha256, row.bytes), (None, None, bytes), "{row:?}");
        assert!(row.wire_bytes > 100, "{row:?}");
    }
    assert!(puts.next().unwrap().sha256.is_some(), "the one that was stored");
}

#[tokio::test]
async fn what_is_as_old_or_older_is_replaced() {
    let world = World::start().await;
    let mut client = with_file(&world, b"before").await;
    client.put_inline("other", b"claimed").await.unwrap();
    let contents: [&[u8]; 3] = [b"inline", b"stream", b"claimed"];
    for (index, (body, content)) in BODIES.into_iter().zip(contents).enumerate() {
        let mtime = MTIME + i64::try_from(index).unwrap();
        assert_eq!(plan(&mut client, "file", 1_000_000, mtime).await, Verdict::Send);
        let reply = send(&mut client, &update("file", body, mtime), content).await;
        assert!(matches!(reply, Reply::Stored(_)), "{reply:?}");
        assert_eq!(client.get("file").await.unwrap(), content);
    }
    let reply = send(&mut client, &update("new", Body::Inline, i64::MIN), b"new").await;
    assert!(matches!(reply, Reply::Stored(_)), "{reply:?}");
    // A link holds nothing that could be lost.
    client.link("link", "file").await.unwrap();
    let reply = send(&mut client, &update("link", Body::Inline, i64::MIN), b"a file now").await;
    assert!(matches!(reply, Reply::Stored(_)), "{reply:?}");
}

#[tokio::test]
async fn a_plan_says_keep_after_the_refusals_and_before_everything_else() {
    let world = World::start().await;
    world.share("shared");
    world.grant("shared", None, Rights::ALL);
    let content = Pattern::new(1, 100_000).whole();
    let mut client = with_file(&world, &content).await;
    let size = content.len() as u64;
    assert_eq!(plan(&mut client, "elsewhere", size, MTIME - 1).await, Verdict::Hash);
    assert_eq!(plan(&mut client, "file", size, MTIME).await, Verdict::Hash);
    assert_eq!(plan(&mut client, "file", size, MTIME - 1).await, Verdict::Keep);
    client.cp("file", "/shared/file").await.unwrap();
    world.grant("shared", None, Rights::READ.union(Rights::CREATE));
    let refused = plan(&mut client, "/shared/file", size, MTIME - 1).await;
    assert!(matches!(refused, Verdict::Refuse(WireError { code: ErrorCode::NotAllowed, .. })), "{refused:?}");
    for body in BODIES {
        let refused = send(&mut client, &update("/shared/file", body, MTIME - 1), b"x").await;
        assert!(
            matches!(refused, Reply::Error(WireError { code: ErrorCode::NotAllowed, .. })),
            "{refused:?}"
        );
    }
}

#[tokio::test]
async fn a_directory_is_refused_and_so_is_what_lies_below_a_file() {
    let world = World::start().await;
    let mut client = with_file(&world, b"file").await;
    client.make_directory("directory", Some(i64::MAX)).await.unwrap();
    for (file, expected) in [
        ("directory", ErrorCode::IsADirectory),
        ("file/below", ErrorCode::NotADirectory),
        ("file/", ErrorCode::IsADirectory),
    ] {
        let verdict = plan(&mut client, file, 5, MTIME - 1).await;
        assert!(matches!(&verdict, Verdict::Refuse(error) if error.code == expected), "{verdict:?}");
        for body in BODIES {
            let reply = send(&mut client, &update(file, body, MTIME - 1), b"older").await;
            assert!(matches!(&reply, Reply::Error(error) if error.code == expected), "{body:?}: {reply:?}");
        }
    }
}

#[tokio::test]
async fn an_update_needs_a_time_to_compare() {
    let world = World::start().await;
    let mut client = with_file(&world, b"file").await;
    for body in BODIES {
        let undated = Put { mtime: None, ..update("file", body, 0) };
        let reply = send(&mut client, &undated, b"older").await;
        let Reply::Error(error) = reply else { panic!("{reply:?}") };
        assert_eq!(error.code, ErrorCode::BadRequest, "{body:?}");
        assert!(error.message.contains("mtime"), "{error:?}");
    }
    let files = vec![PlannedFile { path: path("file"), size: 1, mtime: None, update: true, sha256: None }];
    client.push(&Request::Plan(Plan { files }));
    client.flush().await;
    assert_eq!(client.refusal().await.code, ErrorCode::BadRequest);
    assert_eq!(client.get("file").await.unwrap(), b"file", "and the connection goes on");
}

#[tokio::test]
async fn a_stream_is_told_before_its_body_and_may_stop_or_go_on() {
    let world = World::start().await;
    let mut client = with_file(&world, b"newer").await;
    let put = Put { size: Some(1 << 30), ..update("file", Body::Stream, MTIME - 1) };
    // Nothing of the body has come, and the answer is there.
    assert_eq!(client.request(&Request::Put(put.clone())).await, Reply::Kept {});
    client.send_data(&[1; 1000]).await;
    client.push_trailer(&Trailer::Error(WireError::new(ErrorCode::SourceFailed, "not needed")));
    client.flush().await;
    assert_eq!(client.request(&Request::Put(put)).await, Reply::Kept {});
    // The next request may follow in the middle.
    client.send_data(&[1; 1000]).await;
    assert_eq!(client.get("file").await.unwrap(), b"newer");
    assert!(world.store().incoming().is_empty());
}

/// What comes to be in the middle of a stream is seen by its commit, and what had come is collected.
#[tokio::test]
async fn what_is_stored_meanwhile_and_newer_stays() {
    let world = World::start().await;
    let alice = world.enrol("alice").await;
    let (mut slow, mut fast) = (alice.connect().await, alice.connect().await);
    let content = Pattern::new(1, 3 << 20).whole();
    let put = Put { size: Some(content.len() as u64), ..update("file", Body::Stream, MTIME - 1) };
    slow.push(&Request::Put(put));
    slow.flush().await;
    for frame in content[..2 << 20].chunks(FRAME) {
        slow.send_data(frame).await;
    }
    sealift_tests::eventually("the upload under way", || world.store().parts().pop_first()).await;
    let newer = update("file", Body::Inline, MTIME);
    assert!(matches!(send(&mut fast, &newer, b"newer").await, Reply::Stored(_)));
    for frame in content[2 << 20..].chunks(FRAME) {
        slow.send_data(frame).await;
    }
    slow.push_trailer(&end_of(&content));
    slow.flush().await;
    assert_eq!(slow.reply().await, Reply::Kept {});
    assert_eq!(fast.get("file").await.unwrap(), b"newer");
    world.store().without_parts().await;
    world.store().settled().await;
    assert!(world.store().blobs().is_empty(), "nobody has what was received");
    assert_eq!(
        code(fast.claim("stolen", content.len() as u64, Digest::of(&content)).await),
        ErrorCode::Absent
    );
}

/// Changes take effect in the order in which they were sent, so what they leave is what counts.
#[tokio::test]
async fn what_was_sent_before_is_seen() {
    let world = World::start().await;
    let mut client = with_file(&world, b"newer").await;
    let content = Pattern::new(1, MAX_INLINE + 1).whole();
    for round in 0..20 {
        client.push(&Request::Remove(Remove { path: path("file"), recursive: false, if_match: None }));
        push(&mut client, &update("file", Body::Stream, MTIME - 1), &content);
        push(&mut client, &Put { mtime: Some(MTIME), ..put_inline("file", b"newer") }, b"newer");
        push(&mut client, &update("file", Body::Stream, MTIME - 1), &content);
        client.flush().await;
        assert_eq!(client.reply().await, Reply::Done {}, "{round}");
        assert!(matches!(client.reply().await, Reply::Stored(_)), "{round}");
        assert!(matches!(client.reply().await, Reply::Stored(_)), "{round}");
        assert_eq!(client.reply().await, Reply::Kept {}, "{round}");
    }
    assert_eq!(client.get("file").await.unwrap(), b"newer");
    world.store().settled().await;
}
