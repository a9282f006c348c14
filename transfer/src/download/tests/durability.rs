//! What is told to be done survives a power cut: each step waits for the one that it relies on.

use std::collections::{HashMap, HashSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use sealift_protocol::message::{Entry, EntryKind};
use sealift_protocol::{Reply, Request};
use sealift_types::Digest;

use super::super::queue::{DownloadQueue, SharingPolicy};
use super::super::{Destination, Download, run};
use super::{asked, content, download, serve};
use crate::local::DiskOperation;
use crate::peer::{EventRecord, ScriptedServer, pair};
use crate::tree::WalkOptions;
use crate::{Event, TransferOptions};

/// How a file system is synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Syncing {
    Whole,
    Each,
}

/// Downloads everything, and returns what was done with the files, and their paths.
async fn recorded<F: Future<Output = ()>>(
    place: &Path,
    syncing: Syncing,
    downloads: Vec<Download>,
    serve: impl FnOnce(ScriptedServer) -> F,
) -> (Vec<DiskOperation>, HashMap<usize, PathBuf>) {
    let (mut connection, peer) = pair();
    let (record, paths) = (EventRecord::default(), std::sync::Mutex::new(HashMap::new()));
    let take = |event| {
        match &event {
            Event::Found { id, local, .. } => {
                paths.lock().unwrap().insert(*id, local.clone());
            }
            Event::Failed { error, .. } => panic!("{error}"),
            _ => {}
        }
        record.take(event);
    };
    let walking = WalkOptions { links: true, ..WalkOptions::default() };
    let queue =
        DownloadQueue::new(downloads, &walking, TransferOptions::default(), SharingPolicy::default(), &take);
    if syncing == Syncing::Each {
        queue.commits().disks().sync_each(place.metadata().unwrap().dev());
    }
    let downloading = async {
        let result = run(&mut connection, &queue, &take).await;
        drop(connection);
        queue.commits().end();
        result
    };
    let (result, (), committed) = tokio::join!(downloading, serve(peer), queue.commits().run(&take));
    result.unwrap();
    committed.unwrap();
    (queue.commits().disks().record(), paths.into_inner().unwrap())
}

/// Replays the operations and holds each against what is durable by then. Returns how many transfers were told to be done.
fn check(operations: &[DiskOperation], paths: &HashMap<usize, PathBuf>) -> usize {
    let (mut written, mut synced) = (HashSet::new(), HashSet::new());
    let (mut named, mut durable) = (HashSet::new(), HashSet::new());
    let (mut entered, mut told) = (HashSet::new(), 0);
    for operation in operations {
        match operation {
            DiskOperation::Write(path) => {
                written.insert(path.clone());
            }
            DiskOperation::SyncFile(path) => {
                synced.insert(path.clone());
            }
            DiskOperation::Publish(path) => {
                assert!(synced.contains(path), "{} has a name and no durable content", path.display());
                named.insert(path.clone());
            }
            DiskOperation::Enter(directory) => {
                entered.insert(directory.clone());
            }
            DiskOperation::SyncDirectory(directory) => {
                durable.extend(named.iter().filter(|path| path.parent() == Some(directory)).cloned());
                entered.remove(directory);
            }
            DiskOperation::SyncWhole => {
                synced.extend(written.iter().cloned());
                durable.extend(named.iter().cloned());
                entered.clear();
            }
            DiskOperation::Tell(id) => {
                let path = &paths[id];
                assert!(durable.contains(path), "{} is told to be done before it is", path.display());
                let mut way = path.ancestors();
                assert!(!way.any(|directory| entered.contains(directory)), "the way to {}", path.display());
                told += 1;
            }
        }
    }
    assert!(entered.is_empty(), "not durable at the end: {entered:?}");
    told
}

/// Time stands still, so that no group is over before all is there.
#[tokio::test(start_paused = true)]
async fn named_files_are_durable_before_they_are_told_to_be_done() {
    for (syncing, count) in [(Syncing::Whole, 2), (Syncing::Whole, 30), (Syncing::Each, 30)] {
        let directory = tempfile::tempdir().unwrap();
        let size = |id: usize| if id.is_multiple_of(2) { 100 } else { 1_100_000 };
        let path = |id: usize| directory.path().join(id.to_string());
        let downloads = (0..count).map(|id| download(&format!("d/{id}"), &path(id))).collect();
        let (operations, paths) = recorded(directory.path(), syncing, downloads, async |mut peer| {
            for id in 0..count {
                assert_eq!(asked(&mut peer).await.as_str(), format!("d/{id}"));
            }
            for id in 0..count {
                serve(&mut peer, &content(size(id))).await;
            }
            assert!(peer.request().await.is_none());
        })
        .await;
        assert_eq!(check(&operations, &paths), count, "{operations:?}");
        // Many together cost no more than a few.
        let syncs = |operation: &&DiskOperation| {
            !matches!(operation, DiskOperation::Write(_) | DiskOperation::Publish(_) | DiskOperation::Tell(_))
        };
        let syncs = operations.iter().filter(syncs).count();
        match (syncing, count) {
            (Syncing::Whole, 2) => assert_eq!(syncs, 3, "{operations:?}"),
            (Syncing::Whole, _) => assert_eq!(syncs, 2, "{operations:?}"),
            (Syncing::Each, _) => assert!(syncs > count, "{operations:?}"),
        }
    }
}

#[tokio::test]
async fn a_tree_is_durable_with_its_directories_and_links() {
    for syncing in [Syncing::Whole, Syncing::Each] {
        let directory = tempfile::tempdir().unwrap();
        let entry = |name: &str, kind| Entry {
            name: name.to_owned(),
            kind,
            size: if kind == EntryKind::File { 10 } else { 0 },
            mtime: 1_000_000_000,
            executable: false,
            sha256: (kind == EntryKind::File).then(|| Digest::of(&content(10))),
            target: (kind == EntryKind::Link).then(|| "a".to_owned()),
            by: None,
            etag: None,
        };
        let mut entries = vec![entry("a", EntryKind::Directory), entry("a/b", EntryKind::Directory)];
        entries.extend((0..20).map(|number| entry(&format!("a/b/{number:02}"), EntryKind::File)));
        entries.push(entry("empty", EntryKind::Directory));
        entries.push(entry("link", EntryKind::Link));
        let root = directory.path().join("root");
        let tree =
            Download { from: "t".parse().unwrap(), to: Destination::Nowhere, tree: Some(root.clone()) };
        let (operations, paths) = recorded(directory.path(), syncing, vec![tree], async |mut peer| {
            let Some(Request::List(_)) = peer.request().await else { panic!() };
            peer.send(&Reply::Entries { entries, more: false, state: None, changed: false }).await;
            for _ in 0..20 {
                asked(&mut peer).await;
            }
            for _ in 0..20 {
                serve(&mut peer, &content(10)).await;
            }
            assert!(peer.request().await.is_none());
        })
        .await;
        assert_eq!(check(&operations, &paths), 20, "{operations:?}");
        assert!(root.join("empty").is_dir() && root.join("link").is_symlink());
        let entered = |operation: &&DiskOperation| matches!(operation, DiskOperation::Enter(_));
        assert_eq!(operations.iter().filter(entered).count(), 4, "{operations:?}");
    }
}
