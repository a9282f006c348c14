//! Uploads to a scripted server.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use sealift_protocol::message::{Body, Put, Stored, Trailer, Verdict};
use sealift_protocol::{Reply, Request, WireError};
use sealift_types::{Digest, ErrorCode};

use super::board::JobBoard;
use super::prepare::{self, Intake};
use super::share::UploadOffers;
use super::{Upload, UploadSource, run};
use crate::peer::{EventRecord, ScriptedServer, pair};
use crate::{TransferError, TransferOptions};

/// More than the buffers between disk and wire hold.
const LARGE: usize = 4 * 1024 * 1024;

fn file(directory: &Path, name: &str, size: usize) -> (PathBuf, Vec<u8>) {
    let content: Vec<u8> = (0..size).map(|i| u8::try_from(i % 251).unwrap()).collect();
    let path = directory.join(name);
    fs::write(&path, &content).unwrap();
    (path, content)
}

fn upload(id: usize, path: &Path, to: &str) -> Upload {
    let source = UploadSource::File(path.to_owned());
    Upload { id, source, to: to.parse().unwrap(), inside: None }
}

/// Runs uploads against what `serve` does, and returns how it all ended.
async fn against<F: Future<Output = ()>>(
    uploads: Vec<Upload>,
    serve: impl FnOnce(ScriptedServer) -> F,
) -> (Result<(), TransferError>, Vec<(usize, Result<bool, String>)>) {
    against_in(TransferOptions::default(), uploads, serve).await
}

async fn against_in<F: Future<Output = ()>>(
    manner: TransferOptions,
    uploads: Vec<Upload>,
    serve: impl FnOnce(ScriptedServer) -> F,
) -> (Result<(), TransferError>, Vec<(usize, Result<bool, String>)>) {
    let (mut connection, peer) = pair();
    let record = EventRecord::default();
    let take = |event| record.take(event);
    let uploading = async {
        let board = JobBoard::new(&take);
        let mut intake = Intake::new(prepare::start(uploads.into_iter().map(Ok), manner));
        let result = run(&mut connection, &mut intake, &board, &UploadOffers::default()).await;
        assert_eq!(connection.is_in_step(), result.is_ok());
        drop(connection);
        result
    };
    let (result, ()) = tokio::join!(uploading, serve(peer));
    (result, record.ends())
}

async fn put(peer: &mut ScriptedServer) -> Put {
    match peer.request().await {
        Some(Request::Put(put)) => put,
        other => panic!("{other:?}"),
    }
}

/// The next put, with `send` for everything that is planned before.
async fn planned_put(peer: &mut ScriptedServer) -> Put {
    loop {
        match peer.request().await {
            Some(Request::Put(put)) => return put,
            Some(Request::Plan(plan)) => {
                peer.send(&Reply::Plan { files: vec![Verdict::Send; plan.files.len()] }).await;
            }
            other => panic!("{other:?}"),
        }
    }
}

/// Answers one plan.
async fn plan(peer: &mut ScriptedServer, verdict: Verdict) {
    let Some(Request::Plan(plan)) = peer.request().await else { panic!("a plan was due") };
    peer.send(&Reply::Plan { files: plan.files.iter().map(|_| verdict.clone()).collect() }).await;
}

fn stored(content: &[u8]) -> Reply {
    Reply::Stored(Stored { size: content.len() as u64, sha256: Digest::of(content) })
}

fn refusal(code: ErrorCode) -> WireError {
    WireError::new(code, format!("{code:?}"))
}

#[tokio::test]
async fn small_files_do_not_wait_for_each_other() {
    const FILES: usize = 100;
    let directory = tempfile::tempdir().unwrap();
    let (path, content) = file(directory.path(), "x", 1000);
    let uploads = (0..FILES).map(|id| upload(id, &path, &format!("d/{id}"))).collect();
    let (result, ends) = against(uploads, async |mut peer| {
        for id in 0..FILES {
            let put = put(&mut peer).await;
            assert_eq!((put.path.as_str(), put.body), (&*format!("d/{id}"), Body::Inline));
            assert_eq!((put.size, put.sha256), (Some(1000), Some(Digest::of(&content))));
            assert!(put.mtime.is_some());
            assert_eq!(peer.data().await, content);
        }
        for _ in 0..FILES {
            peer.send(&stored(&content)).await;
        }
        assert!(peer.request().await.is_none());
    })
    .await;
    result.unwrap();
    assert_eq!(ends, (0..FILES).map(|id| (id, Ok(false))).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_refusal_in_the_middle_leaves_the_connection_in_step() {
    let directory = tempfile::tempdir().unwrap();
    let (large, _) = file(directory.path(), "large", LARGE);
    let (other, content) = file(directory.path(), "other", LARGE);
    let uploads = vec![upload(0, &large, "large"), upload(1, &other, "other")];
    let (result, ends) = against(uploads, async |mut peer| {
        assert_eq!(planned_put(&mut peer).await.path.as_str(), "large");
        peer.data().await;
        peer.send(&Reply::Error(refusal(ErrorCode::NoSpace))).await;
        let (rest, trailer) = peer.stream().await;
        assert!(rest.len() < LARGE / 2, "it stops soon");
        assert!(matches!(trailer, Trailer::Error(WireError { code: ErrorCode::SourceFailed, .. })));

        assert_eq!(planned_put(&mut peer).await.path.as_str(), "other");
        let (received, trailer) = peer.stream().await;
        assert!(received == content);
        assert_eq!(trailer, Trailer::End { size: LARGE as u64, sha256: Digest::of(&content) });
        peer.send(&stored(&content)).await;
    })
    .await;
    result.unwrap();
    assert_eq!(ends, [(0, Err("NoSpace".into())), (1, Ok(false))]);
}

#[tokio::test]
async fn a_source_that_changes_is_told_to_both_ends() {
    let directory = tempfile::tempdir().unwrap();
    let (path, _) = file(directory.path(), "x", LARGE);
    let (result, ends) = against(vec![upload(0, &path, "x")], async |mut peer| {
        plan(&mut peer, Verdict::Send).await;
        put(&mut peer).await;
        peer.data().await;
        fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"more").unwrap();
        let (_, trailer) = peer.stream().await;
        assert!(matches!(trailer, Trailer::Error(WireError { code: ErrorCode::SourceFailed, .. })));
        peer.send(&Reply::Error(refusal(ErrorCode::SourceFailed))).await;
    })
    .await;
    result.unwrap();
    let [(0, Err(error))] = ends.as_slice() else { panic!("{ends:?}") };
    assert!(error.contains("changed while it was read") && error.contains("put it again"), "{error}");
}

#[tokio::test]
async fn a_claim_sends_nothing_and_one_that_fails_sends_everything() {
    let directory = tempfile::tempdir().unwrap();
    let (path, content) = file(directory.path(), "x", LARGE);
    for absent in [false, true] {
        let (result, ends) = against(vec![upload(0, &path, "x")], async |mut peer| {
            plan(&mut peer, Verdict::Hash).await;
            let claim = put(&mut peer).await;
            assert_eq!((claim.body, claim.size), (Body::Claim, Some(LARGE as u64)));
            assert_eq!(claim.sha256, Some(Digest::of(&content)));
            if absent {
                peer.send(&Reply::Error(refusal(ErrorCode::Absent))).await;
                assert_eq!(put(&mut peer).await.body, Body::Stream);
                assert!(peer.stream().await.0 == content);
            }
            peer.send(&stored(&content)).await;
        })
        .await;
        result.unwrap();
        assert_eq!(ends, [(0, Ok(!absent))]);
    }
}

#[tokio::test]
async fn small_files_are_planned_where_the_server_may_have_them() {
    let directory = tempfile::tempdir().unwrap();
    let (path, content) = file(directory.path(), "x", 10);
    let manner = TransferOptions { ask_first: true, ..TransferOptions::default() };
    for verdict in [Verdict::Send, Verdict::Hash] {
        let claims = verdict == Verdict::Hash;
        let (result, ends) = against_in(manner, vec![upload(0, &path, "x")], async |mut peer| {
            plan(&mut peer, verdict).await;
            if claims {
                assert_eq!(put(&mut peer).await.body, Body::Claim);
                peer.send(&Reply::Error(refusal(ErrorCode::Absent))).await;
            }
            assert_eq!(put(&mut peer).await.body, Body::Inline);
            assert_eq!(peer.data().await, content);
            peer.send(&stored(&content)).await;
        })
        .await;
        result.unwrap();
        assert_eq!(ends, [(0, Ok(false))]);
    }
}

#[tokio::test]
async fn what_is_newer_on_the_server_stays_there() {
    let directory = tempfile::tempdir().unwrap();
    let (small, _) = file(directory.path(), "small", 10);
    let (large, _) = file(directory.path(), "large", LARGE);
    let uploads = vec![upload(0, &small, "small"), upload(1, &large, "large")];
    let (result, ends) = against_in(TransferOptions::new(true, false), uploads, async |mut peer| {
        let small = put(&mut peer).await;
        assert!(small.update && small.mtime.is_some());
        peer.data().await;
        peer.send(&Reply::Kept {}).await;
        let Some(Request::Plan(plan)) = peer.request().await else { panic!("a plan was due") };
        assert!(plan.files[0].update && plan.files[0].mtime.is_some());
        peer.send(&Reply::Plan { files: vec![Verdict::Keep] }).await;
        assert!(peer.request().await.is_none());
    })
    .await;
    result.unwrap();
    assert!(ends.is_empty(), "kept is no failure, and nothing was stored: {ends:?}");
}

#[tokio::test]
async fn a_target_that_is_a_directory_receives_the_file() {
    let directory = tempfile::tempdir().unwrap();
    for size in [10, LARGE] {
        let (path, content) = file(directory.path(), "x", size);
        let mut upload = upload(0, &path, "d");
        upload.inside = Some("d/x".parse().unwrap());
        let (result, ends) = against(vec![upload], async |mut peer| {
            if size == LARGE {
                plan(&mut peer, Verdict::Refuse(refusal(ErrorCode::IsADirectory))).await;
                plan(&mut peer, Verdict::Send).await;
                assert_eq!(put(&mut peer).await.path.as_str(), "d/x");
                peer.stream().await;
            } else {
                put(&mut peer).await;
                peer.data().await;
                peer.send(&Reply::Error(refusal(ErrorCode::IsADirectory))).await;
                assert_eq!(put(&mut peer).await.path.as_str(), "d/x");
                peer.data().await;
            }
            peer.send(&stored(&content)).await;
        })
        .await;
        result.unwrap();
        assert_eq!(ends, [(0, Ok(false))]);
    }
}

#[tokio::test]
async fn pipes_are_streamed_unless_they_end_soon() {
    for size in [0, 1, 65_536, 65_537, LARGE] {
        let content = vec![7; size];
        let source = UploadSource::Stream(Box::new(std::io::Cursor::new(content.clone())));
        let upload = Upload { id: 0, source, to: "x".parse().unwrap(), inside: None };
        let (result, ends) = against(vec![upload], async |mut peer| {
            let put = put(&mut peer).await;
            let received = if size <= 65_536 {
                assert_eq!((put.body, put.size), (Body::Inline, Some(size as u64)));
                peer.data().await
            } else {
                assert_eq!((put.body, put.size), (Body::Stream, None));
                peer.stream().await.0
            };
            assert!(received == content);
            peer.send(&stored(&content)).await;
        })
        .await;
        result.unwrap();
        assert_eq!(ends, [(0, Ok(false))]);
    }
}

#[tokio::test]
async fn a_server_that_stored_something_else_is_not_believed() {
    let directory = tempfile::tempdir().unwrap();
    let (path, _) = file(directory.path(), "x", 10);
    let (result, ends) = against(vec![upload(0, &path, "x")], async |mut peer| {
        put(&mut peer).await;
        peer.data().await;
        peer.send(&stored(b"something else")).await;
    })
    .await;
    result.unwrap();
    assert!(matches!(&ends[0], (0, Err(error)) if error.contains("intact")), "{ends:?}");
}

#[tokio::test]
async fn what_the_server_said_before_it_closed_is_what_went_wrong() {
    let directory = tempfile::tempdir().unwrap();
    let (path, _) = file(directory.path(), "x", LARGE);
    let (result, _) = against(vec![upload(0, &path, "x")], async |mut peer| {
        plan(&mut peer, Verdict::Send).await;
        put(&mut peer).await;
        peer.send(&Reply::Error(refusal(ErrorCode::ShuttingDown))).await;
    })
    .await;
    assert!(matches!(result, Err(TransferError::Refused(WireError { code: ErrorCode::ShuttingDown, .. }))));

    let (result, _) = against(vec![upload(0, &path, "x")], async |mut peer| {
        plan(&mut peer, Verdict::Send).await;
        put(&mut peer).await;
    })
    .await;
    assert!(matches!(result, Err(TransferError::Lost(_))), "{result:?}");
}

#[tokio::test]
async fn answers_that_make_no_sense_end_the_connection() {
    let directory = tempfile::tempdir().unwrap();
    let (path, _) = file(directory.path(), "x", LARGE);
    let answers = [
        vec![Reply::Done {}],
        vec![Reply::Plan { files: vec![] }],
        vec![Reply::Plan { files: vec![Verdict::Send; 2] }],
        vec![Reply::Plan { files: vec![Verdict::Send] }, stored(b"not even sent")],
    ];
    for answers in answers {
        let (result, _) = against(vec![upload(0, &path, "x")], async |mut peer| {
            peer.request().await;
            for answer in &answers {
                peer.send(answer).await;
            }
            let _ = peer.reader.header(crate::peer::STALL).await;
        })
        .await;
        assert!(matches!(result, Err(TransferError::Protocol(_))), "{answers:?}: {result:?}");
    }
}

/// A front end can run transfers on any thread: this compiles.
#[allow(dead_code)]
fn transfers_can_be_spawned(client: &mut crate::Client) {
    fn is_send(_: impl Send) {}
    let ignore = |_| {};
    is_send(super::upload(client, std::iter::empty(), TransferOptions::default(), &ignore));
    is_send(crate::download::download(
        client,
        Vec::new(),
        &crate::tree::WalkOptions::default(),
        TransferOptions::default(),
        &ignore,
    ));
}

/// Yields what it is told to, when it is told to.
struct Slow(std::sync::mpsc::Receiver<Vec<u8>>, Vec<u8>);

impl std::io::Read for Slow {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.1.is_empty() {
            self.1 = self.0.recv().unwrap_or_default();
        }
        let count = self.1.len().min(buffer.len());
        buffer[..count].copy_from_slice(&self.1[..count]);
        self.1.drain(..count);
        Ok(count)
    }
}

/// What is slow is the pipe, and not the server, which says nothing meanwhile because nobody asked it anything.
#[tokio::test]
async fn a_pipe_may_take_longer_than_any_answer() {
    let (tell, told) = std::sync::mpsc::channel();
    let source = UploadSource::Stream(Box::new(Slow(told, Vec::new())));
    let upload = Upload { id: 0, source, to: "x".parse().unwrap(), inside: None };
    tell.send(vec![1; 300_000]).unwrap();
    let (result, ends) = against(vec![upload], async |mut peer| {
        // The request comes although no frame is full.
        assert_eq!(put(&mut peer).await.body, Body::Stream);
        let mut content = peer.data().await;
        tokio::time::pause();
        for _ in 0..10 {
            tokio::time::advance(crate::peer::STALL / 2).await;
            tokio::task::yield_now().await;
        }
        tokio::time::resume();
        tell.send(vec![2; 300_000]).unwrap();
        drop(tell);
        let (rest, trailer) = peer.stream().await;
        content.extend(rest);
        assert_eq!(content.len(), 600_000);
        let Trailer::End { size, sha256 } = trailer else { panic!("{trailer:?}") };
        peer.send(&Reply::Stored(Stored { size, sha256 })).await;
    })
    .await;
    result.unwrap();
    assert_eq!(ends, [(0, Ok(false))]);
}
