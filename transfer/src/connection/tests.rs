use super::*;
use crate::peer::{STALL, ScriptedServer, pair, pair_with_stall};
use sealift_protocol::WireError;
use sealift_protocol::message::{Content, Entry, EntryKind, Get, List, Transplant, Whoami};
use sealift_types::{Digest, ErrorCode};
use tokio::io::AsyncWriteExt;

fn whoami() -> Request {
    Request::Whoami(Whoami {})
}

/// What the client makes of raw bytes.
async fn answer(bytes: &[u8]) -> TransferError {
    let (near, mut far) = tokio::io::duplex(64 * 1024);
    let (read, write) = tokio::io::split(near);
    let address: Address = "peer:1".parse().unwrap();
    let mut connection = Connection::new(Box::new(read), Box::new(write), address, "test", STALL).unwrap();
    far.write_all(bytes).await.unwrap();
    far.shutdown().await.unwrap();
    let error = connection.ask(&whoami()).await.unwrap_err();
    assert!(!connection.is_in_step());
    error
}

fn framed(json: &str) -> Vec<u8> {
    let header = Header::new(FrameKind::Control, json.len()).unwrap();
    [&header.encode(), json.as_bytes()].concat()
}

#[tokio::test]
async fn hello_and_request_go_together_and_answers_stay_in_order() {
    let (mut connection, mut peer) = pair();
    let requests: Vec<_> = (0..1000).map(|_| whoami()).collect();
    let mut order = Vec::new();
    let asking = connection.ask_all(&requests, |number, reply| {
        assert_eq!(reply, Reply::Done {});
        order.push(number);
        Ok(())
    });
    let serving = async {
        // As many as may go ahead come before anything is answered.
        for _ in 0..WINDOW {
            peer.request().await.unwrap();
        }
        let mut unsent = requests.len() - WINDOW;
        for number in 1..=requests.len() {
            peer.send(&Reply::Done {}).await;
            if number % (REFILL + 1) == 0 {
                for _ in 0..unsent.min(REFILL + 1) {
                    peer.request().await.unwrap();
                    unsent -= 1;
                }
            }
        }
        assert_eq!(unsent, 0);
    };
    let (result, ()) = tokio::join!(asking, serving);
    result.unwrap();
    assert_eq!(order, (0..1000).collect::<Vec<_>>());
    assert!(connection.is_in_step());
    assert_eq!(connection.welcome().unwrap().identity.as_str(), "alice");
}

#[tokio::test]
async fn a_refusal_is_an_answer_but_a_farewell_is_the_end() {
    let (mut connection, mut peer) = pair();
    for (code, goes_on) in [(ErrorCode::NotFound, true), (ErrorCode::ShuttingDown, false)] {
        let request = whoami();
        let serving = async {
            peer.request().await.unwrap();
            peer.send(&Reply::Error(WireError::new(code, "no"))).await;
        };
        let (result, ()) = tokio::join!(connection.ask(&request), serving);
        assert_eq!(result.is_ok(), goes_on);
        assert_eq!(connection.is_in_step(), goes_on);
    }
}

#[tokio::test]
async fn a_server_that_breaks_the_protocol_is_told_from_one_that_is_gone() {
    let welcome = r#"{"type":"welcome","version":1,"server":"s","identity":"alice"}"#;
    assert!(matches!(answer(b"").await, TransferError::Lost(_)));
    assert!(matches!(answer(&framed(welcome)).await, TransferError::Lost(_)));
    assert!(matches!(answer(&framed(welcome)[..20]).await, TransferError::Lost(_)));
    let twice = [framed(welcome), framed(welcome)].concat();
    let data = [framed(welcome), b"D\0\0\x01x".to_vec()].concat();
    let newer = framed(&welcome.replace("\"version\":1", "\"version\":2"));
    let unreadable = framed(r#"{"type":"mystery"}"#);
    let early = framed(r#"{"type":"done"}"#);
    for hostile in
        [twice, data, newer, unreadable, early, b"HTTP/1.1 400".to_vec(), b"J\xff\xff\xff".to_vec()]
    {
        let error = answer(&hostile).await;
        assert!(matches!(error, TransferError::Protocol(_)), "{error:?}");
    }
    let refused = framed(r#"{"type":"error","code":"certificate-refused","message":"revoked"}"#);
    assert!(matches!(answer(&refused).await, TransferError::Refused(_)));
}

#[tokio::test]
async fn silence_has_an_end() {
    let (mut connection, peer) = pair_with_stall(Duration::from_millis(20));
    let error = connection.ask(&whoami()).await.unwrap_err();
    assert!(matches!(error, TransferError::Lost(StreamError::Stalled(_))), "{error:?}");
    let ScriptedServer { .. } = peer;
}

#[test]
fn requests_are_sent_in_groups() {
    let mut ahead = RequestWindow::default();
    let fill = |ahead: &mut RequestWindow, bytes: u64| {
        let mut sent = 0;
        while ahead.has_room() {
            ahead.sent(bytes);
            sent += 1;
        }
        sent
    };
    assert_eq!(fill(&mut ahead, 65), WINDOW);
    for _ in 0..5 {
        for _ in 0..REFILL {
            ahead.answered();
            assert_eq!(fill(&mut ahead, 65), 0);
        }
        ahead.answered();
        assert_eq!(fill(&mut ahead, 65), REFILL + 1);
    }
    (0..WINDOW).for_each(|_| ahead.answered());
    // Of longer ones there are fewer, and one at least.
    assert_eq!(fill(&mut ahead, 1024), 32);
    (0..5).for_each(|_| ahead.answered());
    assert_eq!(fill(&mut ahead, 1024), 5);
    (0..32).for_each(|_| ahead.answered());
    assert_eq!(fill(&mut ahead, 2 * WINDOW_BYTES), 1);
}

/// A server that gives this answer, every five seconds a piece, for ever.
async fn for_ever(
    request: Request,
    mut piece: impl FnMut(&mut ScriptedServer, u64),
) -> (TransferError, Duration) {
    let (mut connection, mut peer) = pair();
    let began = tokio::time::Instant::now();
    let asking = async {
        let error = match request {
            Request::Copy(paths) => crate::remote::copy(&mut connection, paths).await.unwrap_err(),
            Request::List(list) => {
                let mut listing = crate::remote::list(&mut connection, list).await.unwrap();
                loop {
                    match listing.page().await {
                        Ok(page) => assert!(page.is_some()),
                        Err(error) => break error,
                    }
                }
            }
            Request::Get(_) => {
                connection.enter();
                connection.push(&request).unwrap();
                connection.flush().await.unwrap();
                assert!(matches!(connection.replies.next().await.unwrap(), Reply::Content(_)));
                loop {
                    let read = match connection.replies.piece().await {
                        Ok(ContentPiece::Data(header)) => connection.replies.skip(header).await,
                        Ok(ContentPiece::End(_)) => panic!("no trailer was sent"),
                        Err(error) => Err(error),
                    };
                    if let Err(error) = read {
                        break error;
                    }
                }
            }
            other => connection.ask(&other).await.unwrap_err(),
        };
        assert!(!connection.is_in_step());
        drop(connection);
        error
    };
    let serving = async {
        peer.request().await.unwrap();
        for number in 0.. {
            piece(&mut peer, number);
            if peer.writer.flush().await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
    };
    let (error, ()) = tokio::join!(asking, serving);
    (error, began.elapsed())
}

/// How a server that only ever says that it is working is given up.
async fn working_for_ever(entries: impl Fn(u64) -> u64) -> (TransferError, Duration) {
    let copy = Request::Copy(Transplant::new("a".parse().unwrap(), "b".parse().unwrap()));
    for_ever(copy, |peer, number| peer.writer.push(&Reply::Working { entries: entries(number) }).unwrap())
        .await
}

#[tokio::test(start_paused = true)]
async fn work_without_progress_or_without_end_is_not_waited_for() {
    let close =
        |waited: Duration, limit: Duration| waited >= limit && waited < limit + Duration::from_secs(60);
    let (error, waited) = working_for_ever(|_| 7).await;
    assert!(matches!(error, TransferError::Lost(StreamError::Stalled(_))), "{error:?}");
    assert!(close(waited, WorkingSigns::STANDSTILL), "{waited:?}");
    // Neither what goes back and forth is progress.
    let (_, waited) = working_for_ever(|number| number % 2).await;
    assert!(close(waited, WorkingSigns::STANDSTILL), "{waited:?}");
    let (error, waited) = working_for_ever(|number| number).await;
    assert!(matches!(error, TransferError::Lost(StreamError::Stalled(_))), "{error:?}");
    assert!(close(waited, WorkingSigns::LONGEST), "{waited:?}");
    // What is done at once needs no work.
    let (error, waited) = for_ever(whoami(), |peer, number| {
        peer.writer.push(&Reply::Working { entries: number }).unwrap();
    })
    .await;
    assert!(matches!(error, TransferError::Protocol(_)) && waited < STALL, "{error:?} {waited:?}");
}

/// Each frame comes in time, and all of them together never do.
#[tokio::test(start_paused = true)]
async fn an_answer_that_drips_is_given_up() {
    let list = || Request::List(List::of("/alice".parse().unwrap()));
    let entries = |peer: &mut ScriptedServer, number: u64| {
        let entry = Entry {
            name: format!("{number:020}"),
            kind: EntryKind::Directory,
            size: 0,
            mtime: 0,
            executable: false,
            sha256: None,
            target: None,
            by: None,
            etag: None,
        };
        let page = Reply::Entries { entries: vec![entry], more: true, state: None, changed: false };
        peer.writer.push(&page).unwrap();
    };
    let (error, waited) = for_ever(list(), entries).await;
    assert!(matches!(error, TransferError::Lost(StreamError::Trickled)), "{error:?}");
    assert!(waited < 10 * STALL, "{waited:?}");
    for size in [0, 1, 500] {
        let get = Request::Get(Get::whole("/alice/a".parse().unwrap()));
        let (error, waited) = for_ever(get, |peer, number| match number {
            0 => {
                let sha256 = Digest::of(b"x");
                let content = Content { size: 1 << 40, sha256, mtime: 0, executable: false, offset: 0 };
                peer.writer.push(&Reply::Content(content)).unwrap();
            }
            _ => peer.writer.push_data(&vec![0; size]).unwrap(),
        })
        .await;
        assert!(matches!(error, TransferError::Lost(StreamError::Trickled)), "{error:?}");
        assert!(waited < 10 * STALL, "{waited:?}");
    }
}
