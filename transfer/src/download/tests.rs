//! Downloads from a scripted server.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};

use sealift_protocol::message::{Content, Trailer};
use sealift_protocol::{Reply, Request, WireError};
use sealift_types::{Digest, EntryPath, ErrorCode};

mod durability;

use super::queue::{DownloadQueue, DownloadTask, SharingPolicy};
use super::{Destination, Download, run};
use crate::peer::{EventRecord, STALL, ScriptedServer, pair};
use crate::tree::WalkOptions;
use crate::{TransferError, TransferOptions};

/// More than a declined content may have left without ending the connection.
const LARGE: usize = 5 * 1024 * 1024;

/// A data frame's payload.
const FRAME: usize = 100_000;

type Ends = Vec<(usize, Result<bool, String>)>;

fn download(from: &str, path: &Path) -> Download {
    let to = Destination::File { path: path.to_owned(), make_directory: false };
    Download { from: from.parse().unwrap(), to, tree: None }
}

async fn against<F: Future<Output = ()>>(
    downloads: Vec<Download>,
    serve: impl FnOnce(ScriptedServer) -> F,
) -> (Result<(), TransferError>, Ends, DownloadQueue) {
    let (mut connection, peer) = pair();
    let record = EventRecord::default();
    let take = |event| record.take(event);
    let queue = DownloadQueue::new(
        downloads,
        &WalkOptions::default(),
        TransferOptions::default(),
        SharingPolicy::default(),
        &take,
    );
    let downloading = async {
        let result = run(&mut connection, &queue, &take).await;
        drop(connection);
        queue.commits().end();
        result
    };
    let (result, (), committed) = tokio::join!(downloading, serve(peer), queue.commits().run(&take));
    committed.unwrap();
    (result, record.ends(), queue)
}

async fn asked(peer: &mut ScriptedServer) -> EntryPath {
    match peer.request().await {
        Some(Request::Get(get)) => get.path,
        other => panic!("{other:?}"),
    }
}

fn announce(content: &[u8]) -> Content {
    Content {
        size: content.len() as u64,
        sha256: Digest::of(content),
        mtime: 1_000_000_000,
        executable: false,
        offset: 0,
    }
}

fn end(content: &[u8]) -> Trailer {
    Trailer::End { size: content.len() as u64, sha256: Digest::of(content) }
}

async fn serve(peer: &mut ScriptedServer, content: &[u8]) {
    peer.send(&Reply::Content(announce(content))).await;
    for piece in content.chunks(FRAME) {
        peer.send_data(piece).await;
    }
    peer.send(&end(content)).await;
}

/// Serves until the client hangs up.
async fn serve_while_wanted(peer: &mut ScriptedServer, content: &[u8]) {
    peer.send(&Reply::Content(announce(content))).await;
    for piece in content.chunks(FRAME) {
        peer.writer.push_data(piece).unwrap();
        if peer.writer.flush().await.is_err() {
            return;
        }
    }
    panic!("everything was taken");
}

fn content(size: usize) -> Vec<u8> {
    (0..size).map(|i| u8::try_from(i % 241).unwrap()).collect()
}

#[tokio::test]
async fn contents_arrive_in_order_and_requests_do_not_wait() {
    let directory = tempfile::tempdir().unwrap();
    let contents: Vec<_> = [0, 1, FRAME - 1, 65_536, 65_537, LARGE].into_iter().map(content).collect();
    let path = |id: usize| directory.path().join(id.to_string());
    let downloads = (0..contents.len()).map(|id| download(&format!("d/{id}"), &path(id))).collect();
    let (result, ends, _) = against(downloads, async |mut peer| {
        for id in 0..contents.len() {
            assert_eq!(asked(&mut peer).await.as_str(), format!("d/{id}"));
        }
        for content in &contents {
            serve(&mut peer, content).await;
        }
        assert!(peer.request().await.is_none());
    })
    .await;
    result.unwrap();
    assert_eq!(ends, (0..contents.len()).map(|id| (id, Ok(false))).collect::<Vec<_>>());
    for (id, content) in contents.iter().enumerate() {
        assert!(fs::read(path(id)).unwrap() == *content, "{id}");
        let modified = path(id).metadata().unwrap().modified().unwrap();
        assert_eq!(modified, std::time::UNIX_EPOCH + std::time::Duration::from_secs(1));
    }
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), contents.len());
}

#[tokio::test]
async fn what_does_not_verify_is_reported_and_never_a_file() {
    for size in [100, LARGE] {
        let directory = tempfile::tempdir().unwrap();
        let (good, mut bad) = (content(size), content(size));
        bad[size / 2] ^= 1;
        let downloads = vec![download("x", &directory.path().join("x"))];
        let (result, ends, _) = against(downloads, async |mut peer| {
            asked(&mut peer).await;
            peer.send(&Reply::Content(announce(&good))).await;
            for piece in bad.chunks(FRAME) {
                peer.send_data(piece).await;
            }
            peer.send(&end(&good)).await;
            let Some(Request::Report(report)) = peer.request().await else { panic!() };
            assert_eq!((report.path.as_str(), report.sha256), ("x", Digest::of(&good)));
            peer.send(&Reply::Done {}).await;
        })
        .await;
        result.unwrap();
        assert!(matches!(&ends[..], [(0, Err(error))] if error.contains("SHA-256")), "{ends:?}");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}

#[tokio::test]
async fn a_content_that_ends_early_or_in_an_error_is_never_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x");
    let whole = content(200_000);
    let failed = Trailer::Error(WireError::new(ErrorCode::Integrity, "the disk is broken"));
    for trailer in [end(&whole), failed] {
        let (result, ends, _) = against(vec![download("x", &path)], async |mut peer| {
            asked(&mut peer).await;
            peer.send(&Reply::Content(announce(&whole))).await;
            peer.send_data(&whole[..FRAME]).await;
            peer.send(&trailer).await;
            if let Some(Request::Report(_)) = peer.request().await {
                peer.send(&Reply::Done {}).await;
            }
        })
        .await;
        result.unwrap();
        assert!(ends[0].1.is_err());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}

#[tokio::test]
async fn hostile_servers_get_nothing_but_an_end() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x");
    let huge = Content { size: u64::MAX, ..announce(b"") };
    let more = |announced: &[u8], sent: &'static [u8]| (Reply::Content(announce(announced)), Some(sent));
    let hostile = [
        more(b"ab", b"abc"),
        more(b"", b"a"),
        (Reply::Content(Content { size: 65_540, ..announce(b"") }), Some(&[0; 65_541])),
        (Reply::Content(huge), None),
        (Reply::Done {}, None),
        (Reply::Plan { files: vec![] }, Some(b"")),
    ];
    for (reply, data) in hostile {
        let (result, ends, _) = against(vec![download("x", &path)], async |mut peer| {
            asked(&mut peer).await;
            peer.send(&reply).await;
            if let Some(data) = data {
                peer.writer.push_data(data).unwrap();
                let _ = peer.writer.flush().await;
            }
        })
        .await;
        assert!(
            matches!(result, Err(TransferError::Protocol(_) | TransferError::Lost(_))),
            "{reply:?}: {result:?}"
        );
        assert!(ends.is_empty());
        let files = fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name());
        assert!(files.into_iter().all(|name| crate::local::is_part(&name)));
    }
}

#[tokio::test]
async fn a_large_content_that_nobody_can_take_ends_the_connection_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let downloads = vec![
        download("x", &directory.path().join("missing/x")),
        download("y", &directory.path().join("y")),
        download("z", &directory.path().join("z")),
    ];
    let large = content(2 * LARGE);
    let (result, ends, queue) = against(downloads, async |mut peer| {
        asked(&mut peer).await;
        serve_while_wanted(&mut peer, &large).await;
    })
    .await;
    result.unwrap();
    assert!(matches!(&ends[..], [(0, Err(error))] if error.contains("missing/x")), "{ends:?}");
    let left = std::iter::from_fn(|| {
        queue.take().map(|mut taken| match taken.task() {
            DownloadTask::File(fetch) => {
                let id = fetch.id;
                taken.done();
                id
            }
            DownloadTask::Page(_) => panic!(),
        })
    });
    assert_eq!(left.collect::<Vec<_>>(), [1, 2]);
}

#[tokio::test]
async fn a_smaller_one_is_passed_over() {
    let directory = tempfile::tempdir().unwrap();
    let y = directory.path().join("y");
    let downloads = vec![download("x", &directory.path().join("missing/x")), download("y", &y)];
    let content = content(LARGE / 2);
    let (result, ends, _) = against(downloads, async |mut peer| {
        asked(&mut peer).await;
        asked(&mut peer).await;
        serve(&mut peer, &content).await;
        serve(&mut peer, &content).await;
    })
    .await;
    result.unwrap();
    assert!(matches!(&ends[..], [(0, Err(_)), (1, Ok(false))]), "{ends:?}");
    assert!(fs::read(y).unwrap() == content);
}

/// Takes some bytes, then has no space left.
struct Small(usize);

impl Write for Small {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if bytes.len() > self.0 {
            return Err(std::io::ErrorKind::StorageFull.into());
        }
        self.0 -= bytes.len();
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn an_output_that_is_full_in_the_middle_is_told() {
    for size in [LARGE / 2, 3 * LARGE] {
        let to = Destination::Stream(Box::new(Small(300_000)));
        let downloads = vec![Download { from: "x".parse().unwrap(), to, tree: None }];
        let content = content(size);
        let (result, ends, _) = against(downloads, async |mut peer| {
            asked(&mut peer).await;
            if size > LARGE {
                serve_while_wanted(&mut peer, &content).await;
            } else {
                serve(&mut peer, &content).await;
            }
        })
        .await;
        result.unwrap();
        assert!(matches!(&ends[..], [(0, Err(error))] if error.contains("standard output")), "{ends:?}");
    }
}

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn streams_get_every_byte() {
    for size in [0, 100, LARGE] {
        let output = Shared::default();
        let to = Destination::Stream(Box::new(output.clone()));
        let downloads = vec![Download { from: "x".parse().unwrap(), to, tree: None }];
        let content = content(size);
        let (result, ends, _) = against(downloads, async |mut peer| {
            asked(&mut peer).await;
            serve(&mut peer, &content).await;
        })
        .await;
        result.unwrap();
        assert_eq!(ends, [(0, Ok(false))]);
        assert!(*output.0.lock().unwrap() == content);
    }
}

#[tokio::test]
async fn a_directory_that_may_be_missing_is_made_when_something_comes() {
    let directory = tempfile::tempdir().unwrap();
    let (first, second) = (directory.path().join("new/a"), directory.path().join("none/b"));
    let made = |path: &Path| {
        let to = Destination::File { path: path.to_owned(), make_directory: true };
        Download { from: "x".parse().unwrap(), to, tree: None }
    };
    let (result, ends, _) = against(vec![made(&first), made(&second)], async |mut peer| {
        asked(&mut peer).await;
        asked(&mut peer).await;
        serve(&mut peer, b"abc").await;
        peer.send(&Reply::Error(WireError::new(ErrorCode::NotFound, "no such path"))).await;
    })
    .await;
    result.unwrap();
    // What is there is told when it is durable.
    assert_eq!(ends, [(1, Err("no such path".into())), (0, Ok(false))]);
    assert!(first.exists() && !directory.path().join("none").exists());
}

#[tokio::test]
async fn dropping_a_download_keeps_what_had_come_for_the_next_attempt() {
    let directory = tempfile::tempdir().unwrap();
    let (mut connection, mut peer) = pair();
    let path = directory.path().join("x");
    let content = content(LARGE);
    let ignore = |_| {};
    let queue = DownloadQueue::new(
        vec![download("x", &path)],
        &WalkOptions::default(),
        TransferOptions::default(),
        SharingPolicy::default(),
        &ignore,
    );
    {
        let downloading = run(&mut connection, &queue, &ignore);
        let serving = async {
            asked(&mut peer).await;
            peer.send(&Reply::Content(announce(&content))).await;
            peer.send_data(&content[..FRAME]).await;
            while fs::read_dir(directory.path()).unwrap().count() == 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            result = downloading => panic!("{result:?}"),
            () = serving => {}
        }
    }
    assert_eq!(crate::local::PartialDownloads::default().of(&path), Some(Digest::of(&content)));
    assert!(!path.exists() && !connection.is_in_step());
    assert!(queue.take().is_some(), "it is in the queue again");
    let _ = tokio::time::timeout(STALL / 1000, peer.request()).await;
}

/// One connection after the other, as a client does that goes on.
async fn over<F: Future<Output = ()>>(
    queue: &DownloadQueue,
    record: &EventRecord,
    serve: impl FnOnce(ScriptedServer) -> F,
) -> Result<(), TransferError> {
    let (mut connection, peer) = pair();
    let take = |event| record.take(event);
    let downloading = async {
        let result = run(&mut connection, queue, &take).await;
        drop(connection);
        result
    };
    let (result, ()) = tokio::join!(downloading, serve(peer));
    result
}

#[tokio::test]
async fn a_stream_goes_on_where_it_was_cut() {
    let (output, record) = (Shared::default(), EventRecord::default());
    let to = Destination::Stream(Box::new(output.clone()));
    let downloads = vec![Download { from: "x".parse().unwrap(), to, tree: None }];
    let ignore = |_| {};
    let queue = DownloadQueue::new(
        downloads,
        &WalkOptions::default(),
        TransferOptions::default(),
        SharingPolicy::default(),
        &ignore,
    );
    let content = content(LARGE);
    let first = over(&queue, &record, async |mut peer| {
        asked(&mut peer).await;
        peer.send(&Reply::Content(announce(&content))).await;
        peer.send_data(&content[..FRAME]).await;
    });
    assert!(matches!(first.await, Err(TransferError::Lost(_))));
    let before = queue.achieved().await;
    assert!(before >= FRAME as u64);
    let second = over(&queue, &record, async |mut peer| {
        let Some(Request::Get(get)) = peer.request().await else { panic!() };
        assert_eq!((get.offset, get.sha256), (FRAME as u64, Some(Digest::of(&content))));
        peer.send(&Reply::Content(Content { offset: get.offset, ..announce(&content) })).await;
        for piece in content[FRAME..].chunks(FRAME) {
            peer.send_data(piece).await;
        }
        peer.send(&end(&content)).await;
    });
    second.await.unwrap();
    assert_eq!(record.ends(), [(0, Ok(false))]);
    assert!(*output.0.lock().unwrap() == content, "every byte, and each once");
}

#[tokio::test]
async fn a_stream_does_not_go_on_with_another_content() {
    let other: Vec<u8> = content(LARGE / 2).into_iter().rev().collect();
    let content = content(LARGE);
    // The server says so, or does not, or leaves something out.
    for (offset, bytes) in [(0, &other), (0, &content)] {
        let (output, record) = (Shared::default(), EventRecord::default());
        let to = Destination::Stream(Box::new(output.clone()));
        let downloads = vec![Download { from: "x".parse().unwrap(), to, tree: None }];
        let ignore = |_| {};
        let queue = DownloadQueue::new(
            downloads,
            &WalkOptions::default(),
            TransferOptions::default(),
            SharingPolicy::default(),
            &ignore,
        );
        let first = over(&queue, &record, async |mut peer| {
            asked(&mut peer).await;
            peer.send(&Reply::Content(announce(&content))).await;
            peer.send_data(&content[..FRAME]).await;
        });
        assert!(first.await.is_err());
        queue.achieved().await;
        let second = over(&queue, &record, async |mut peer| {
            asked(&mut peer).await;
            peer.send(&Reply::Content(Content { offset, ..announce(bytes) })).await;
            for piece in bytes.chunks(FRAME) {
                peer.writer.push_data(piece).unwrap();
                if peer.writer.flush().await.is_err() {
                    return;
                }
            }
            let _ = peer.writer.push(&end(bytes));
            let _ = peer.writer.flush().await;
        });
        second.await.unwrap();
        assert!(
            matches!(&record.ends()[..], [(0, Err(error))] if error.contains("was replaced")),
            "{:?}",
            record.ends()
        );
        assert!(*output.0.lock().unwrap() == content[..FRAME]);
    }
}

/// Its rest would come for nothing: it cannot be put behind what another process has.
#[tokio::test]
async fn only_a_part_that_nobody_goes_on_with_is_continued() {
    let content = content(LARGE);
    for held in [true, false] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x");
        let part = crate::local::part_path(&path, &Digest::of(&content));
        fs::write(&part, &content[..FRAME]).unwrap();
        let lock = fs::File::open(&part).unwrap();
        if held {
            lock.lock().unwrap();
        }
        let (result, ends, _) = against(vec![download("x", &path)], async |mut peer| {
            let Some(Request::Get(get)) = peer.request().await else { panic!("no get") };
            assert_eq!(get.offset, if held { 0 } else { FRAME as u64 });
            peer.send(&Reply::Content(Content { offset: get.offset, ..announce(&content) })).await;
            for piece in content[usize::try_from(get.offset).unwrap()..].chunks(FRAME) {
                peer.send_data(piece).await;
            }
            peer.send(&end(&content)).await;
            assert!(peer.request().await.is_none());
        })
        .await;
        result.unwrap();
        assert_eq!(ends, [(0, Ok(false))]);
        assert!(fs::read(&path).unwrap() == content);
    }
}

/// It could have the client ask again for ever: what was written cannot be compared, and cannot be written anew.
#[tokio::test]
async fn a_small_content_never_continues_what_was_written() {
    let (output, record) = (Shared::default(), EventRecord::default());
    let to = Destination::Stream(Box::new(output.clone()));
    let downloads = vec![Download { from: "x".parse().unwrap(), to, tree: None }];
    let ignore = |_| {};
    let queue = DownloadQueue::new(
        downloads,
        &WalkOptions::default(),
        TransferOptions::default(),
        SharingPolicy::default(),
        &ignore,
    );
    let content = content(LARGE);
    let first = over(&queue, &record, async |mut peer| {
        asked(&mut peer).await;
        peer.send(&Reply::Content(announce(&content))).await;
        peer.send_data(&content[..1000]).await;
    });
    assert!(first.await.is_err());
    queue.achieved().await;
    let second = over(&queue, &record, async |mut peer| {
        asked(&mut peer).await;
        peer.send(&Reply::Content(Content { size: 2000, offset: 1000, ..announce(&content) })).await;
        peer.send_data(&content[1000..2000]).await;
        peer.send(&end(&content[..2000])).await;
        assert!(peer.request().await.is_none(), "it is asked for again");
    });
    assert!(matches!(second.await, Err(TransferError::Protocol(_))));
    assert!(*output.0.lock().unwrap() == content[..1000]);
}

/// A page of a listing, and whether something was changed meanwhile.
async fn list(peer: &mut ScriptedServer, since: &str, entries: &[(&str, &[u8])], changed: bool) {
    let Some(Request::List(list)) = peer.request().await else { panic!("no list") };
    assert_eq!((list.since.as_deref(), list.after), (Some(since), None));
    let entry = |(name, content): &(&str, &[u8])| sealift_protocol::message::Entry {
        name: (*name).to_owned(),
        kind: match content.len() {
            0 => sealift_protocol::message::EntryKind::Directory,
            _ => sealift_protocol::message::EntryKind::File,
        },
        size: content.len() as u64,
        mtime: 1_000_000_000,
        executable: false,
        sha256: (!content.is_empty()).then(|| Digest::of(content)),
        target: None,
        by: None,
        etag: None,
    };
    let entries = entries.iter().map(entry).collect();
    peer.send(&Reply::Entries { entries, more: false, state: Some("before".into()), changed }).await;
}

fn tree(root: &Path) -> Vec<Download> {
    vec![Download { from: "t".parse().unwrap(), to: Destination::Nowhere, tree: Some(root.to_owned()) }]
}

#[tokio::test]
async fn a_listing_that_is_not_of_one_state_is_asked_for_again() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("root");
    let (result, ends, _) = against(tree(&root), async |mut peer| {
        list(&mut peer, "", &[("a", b""), ("a/x", b"x"), ("b", b"b")], true).await;
        // What the first one had is not fetched again, and what it missed is fetched.
        for path in ["t/a/x", "t/b"] {
            // The next listing is not asked for before all files are there.
            assert_eq!(asked(&mut peer).await.as_str(), path);
            serve(&mut peer, &path.as_bytes()[path.len() - 1..]).await;
        }
        list(&mut peer, "", &[("a", b""), ("a/x", b"x"), ("a/y", b"y"), ("b", b"c")], false).await;
        for content in [b"y", b"c"] {
            asked(&mut peer).await;
            serve(&mut peer, content).await;
        }
        assert!(peer.request().await.is_none());
    })
    .await;
    result.unwrap();
    assert_eq!(ends.len(), 4, "{ends:?}");
    for (name, content) in [("a/x", "x"), ("a/y", "y"), ("b", "c")] {
        assert_eq!(fs::read_to_string(root.join(name)).unwrap(), content, "{name}");
    }
}

/// What came under a name that the server does not have any more: all of it was at the server, and never at once.
#[tokio::test]
async fn what_is_here_under_two_names_is_told_of() {
    let one: &[(&str, &[u8])] = &[("a", b""), ("a/x", b"x"), ("a/y", b"y"), ("b", b"b")];
    let renamed: &[(&str, &[u8])] = &[("b", b"b"), ("c", b""), ("c/x", b"x"), ("c/y", b"y")];
    let of = |count| format!("{count} entries that are here were renamed or deleted on the server meanwhile");
    // What had gone before it was fetched is nothing here, and a directory in which nothing is goes.
    for (second, vanished, told) in [
        (one, &[][..], None),
        (renamed, &[], Some(of(3))),
        (renamed, &["a/y"], Some(of(2))),
        (renamed, &["a/x", "a/y"], None),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let (mut connection, mut peer) = pair();
        let record = EventRecord::default();
        let take = |event| record.take(event);
        let tree = tree(&directory.path().join("root"));
        let queue = DownloadQueue::new(
            tree,
            &WalkOptions::default(),
            TransferOptions::default(),
            SharingPolicy::default(),
            &take,
        );
        let serving = async {
            for (entries, changed) in [(one, true), (second, false)] {
                list(&mut peer, "", entries, changed).await;
                let files = entries.iter().filter(|(name, content)| {
                    !content.is_empty() && (changed || !one.iter().any(|(before, _)| before == name))
                });
                for (name, content) in files {
                    assert_eq!(asked(&mut peer).await.as_str(), format!("t/{name}"));
                    match vanished.contains(name) {
                        true => peer.send(&Reply::Error(WireError::new(ErrorCode::NotFound, "gone"))).await,
                        false => serve(&mut peer, content).await,
                    }
                }
            }
            assert!(peer.request().await.is_none());
        };
        let downloading = async {
            let result = run(&mut connection, &queue, &take).await;
            drop(connection);
            queue.commits().end();
            result
        };
        let (result, (), committed) = tokio::join!(downloading, serving, queue.commits().run(&take));
        result.unwrap();
        committed.unwrap();
        assert_eq!(record.omitted(), Vec::<String>::new());
        queue.tell_leftovers(&take);
        let told = told.map(|what| format!("t changed while it was fetched, and {what}"));
        assert_eq!(record.omitted(), Vec::from_iter(told));
        assert_eq!(directory.path().join("root/a").exists(), vanished.len() < 2);
    }
}

/// A server that lets everything vanish makes the client remember nothing but what it has asked for since the last page.
#[tokio::test]
async fn what_vanishes_is_not_remembered_for_ever() {
    let directory = tempfile::tempdir().unwrap();
    let events = |_| {};
    let tree = tree(&directory.path().join("root"));
    let queue = DownloadQueue::new(
        tree,
        &WalkOptions::default(),
        TransferOptions::default(),
        SharingPolicy::default(),
        &events,
    );
    queue.tells_state();
    for page in 0..10 {
        let mut taken = queue.take().unwrap();
        for file in 0..100 {
            assert!(queue.is_looked_for(&format!("t/{page}-{file}").parse().unwrap()));
        }
        let DownloadTask::Page(tree) = taken.task() else { panic!("a tree is a page") };
        assert_eq!(queue.missed(), 100);
        queue.tell_missed(tree);
        assert_eq!(queue.missed(), 0);
        taken.put_back();
        // Between two pages the tree learns of it at once.
        assert!(queue.is_looked_for(&"t/x".parse().unwrap()));
        assert_eq!(queue.missed(), 0);
    }
    assert!(!queue.is_looked_for(&"elsewhere".parse().unwrap()), "no tree has it");
}

#[tokio::test]
async fn a_tree_that_never_rests_is_told_of() {
    let directory = tempfile::tempdir().unwrap();
    let (mut connection, mut peer) = pair();
    let record = EventRecord::default();
    let take = |event| record.take(event);
    let tree = tree(&directory.path().join("root"));
    let queue = DownloadQueue::new(
        tree,
        &WalkOptions::default(),
        TransferOptions::default(),
        SharingPolicy::default(),
        &take,
    );
    let serving = async {
        let mut times = 0;
        while let Some(Request::List(_)) = peer.request().await {
            times += 1;
            let (entries, state) = (Vec::new(), Some("x".into()));
            peer.send(&Reply::Entries { entries, more: false, state, changed: true }).await;
        }
        times
    };
    let downloading = async {
        let result = run(&mut connection, &queue, &take).await;
        drop(connection);
        result
    };
    let (result, times) = tokio::join!(downloading, serving);
    result.unwrap();
    assert_eq!((times, record.omitted()), (6, vec!["t changed each time it was listed".to_owned()]));
}

/// With several connections, one can ask for a file while another one takes the last page of its tree.
#[test]
fn what_vanishes_while_the_last_page_is_on_its_way_is_looked_for() {
    let directory = tempfile::tempdir().unwrap();
    let events = |_| {};
    let tree = tree(&directory.path().join("root"));
    let queue = DownloadQueue::new(
        tree,
        &WalkOptions::default(),
        TransferOptions::default(),
        SharingPolicy::default(),
        &events,
    );
    let mut taken = queue.take().unwrap();
    queue.tells_state();
    assert!(queue.is_looked_for(&"t/a".parse().unwrap()));
    let DownloadTask::Page(tree) = taken.task() else { panic!("a tree is a page") };
    queue.tell_missed(tree);
    assert!(tree.look_again().unwrap(), "it was listed before it was renamed");
    queue.tell_missed(tree);
    assert!(!tree.look_again().unwrap(), "it is listed again once");
}

/// Whatever it sends, it costs the client neither memory nor time without end.
#[tokio::test]
async fn a_hostile_listing_ends() {
    let entry = |name: &str| sealift_protocol::message::Entry {
        name: name.to_owned(),
        kind: sealift_protocol::message::EntryKind::Directory,
        size: 0,
        mtime: 0,
        executable: false,
        sha256: None,
        target: None,
        by: None,
        etag: None,
    };
    let page = |names: &[&str], more| Reply::Entries {
        entries: names.iter().map(|name| entry(name)).collect(),
        more,
        state: None,
        changed: false,
    };
    for (what, reply) in [
        ("nothing for ever", page(&[], true)),
        ("the same for ever", page(&["a"], true)),
        ("backwards", page(&["b", "a"], false)),
        ("twice", page(&["a", "a"], false)),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let to = Destination::Nowhere;
        let tree = Download { from: "t".parse().unwrap(), to, tree: Some(directory.path().join("root")) };
        let (result, _, _) = against(vec![tree], async |mut peer| {
            assert!(peer.request().await.is_some());
            for _ in 0..1000 {
                peer.writer.push(&reply).unwrap();
                if peer.writer.flush().await.is_err() {
                    break;
                }
            }
        })
        .await;
        assert!(matches!(result, Err(TransferError::Protocol(_))), "{what}: {result:?}");
    }
    let all: Vec<String> = (0..1001).map(|number| format!("{number:05}")).collect();
    let directory = tempfile::tempdir().unwrap();
    let tree = Download {
        from: "t".parse().unwrap(),
        to: Destination::Nowhere,
        tree: Some(directory.path().join("root")),
    };
    let (result, _, _) = against(vec![tree], async |mut peer| {
        assert!(peer.request().await.is_some());
        for names in all.chunks(100) {
            let names: Vec<_> = names.iter().map(String::as_str).collect();
            peer.writer.push(&page(&names, true)).unwrap();
            if peer.writer.flush().await.is_err() {
                break;
            }
        }
    })
    .await;
    assert!(matches!(result, Err(TransferError::Protocol(_))), "more than a page: {result:?}");
}

#[tokio::test]
async fn an_impossible_offset_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    for (size, offset) in [(10, 11), (LARGE as u64, 7), (LARGE as u64, u64::MAX)] {
        let downloads = vec![download("x", &directory.path().join("x"))];
        let (result, ends, _) = against(downloads, async |mut peer| {
            asked(&mut peer).await;
            peer.send(&Reply::Content(Content { size, offset, ..announce(b"") })).await;
        })
        .await;
        assert!(matches!(result, Err(TransferError::Protocol(_))), "{size} {offset}: {result:?}");
        assert!(ends.is_empty());
    }
}
