//! Downloads: requests go ahead of the contents, and a content takes its name when it is verified.
//!
//! The listing of a tree is one more request among those for files, asked for page by page whenever the queue runs low,
//! so that neither end holds a tree. What a lost connection left unfinished goes back into the queue.

mod commit_queue;
mod fetch;
mod queue;
mod receive;
mod share;
mod sink;
mod stream_output;
#[cfg(test)]
mod tests;
mod tree;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use sealift_protocol::message::{Description, EntryKind, Get, Info, List, Report};
use sealift_protocol::{Reply, Request, WireError};
use sealift_types::ErrorCode;
use tokio::sync::mpsc;

use crate::client::Client;
use crate::connection::{Connection, RequestWindow};
use crate::error::TransferError;
use crate::event::{Event, Events, TransferSummary};
use crate::local::{self, CommittingFile, FileSystems};
use crate::remote;
use crate::retry::ConnectionSupply;
use crate::transfer_options::TransferOptions;
use crate::tree::{Omitted, WalkOptions};
pub use fetch::{Destination, Download};
use fetch::{FetchJob, FetchTarget, settle};
use queue::{DownloadQueue, DownloadTask, QueueStep, SharingPolicy};
use receive::{DownloadFailure, FailureAction, ReceivedContent};
use tree::ListedTree;
pub(crate) use tree::{LocalEntryPlan, make_directory, make_link};

/// Another connection is worth its handshake for so many files more, ...
const FILES_PER_CONNECTION: usize = 512;

/// ... or for so many bytes more.
const BYTES_PER_CONNECTION: u64 = 64 * 1024 * 1024;

/// Downloads all of these. How each one ended is told by an event.
///
/// # Errors
/// Fails when there is no connection, or none any more and none to be had; the files that are not told to be finished
/// by then are not.
pub async fn download(
    client: &mut Client,
    downloads: Vec<Download>,
    walking: &WalkOptions,
    manner: TransferOptions,
    events: Events<'_>,
) -> Result<(), TransferError> {
    let sharing = SharingPolicy::of(client);
    drain(client, &DownloadQueue::new(downloads, walking, manner, sharing, events), events).await
}

/// Waits, for a while, until files have their names that were about to get them when their download was dropped, and what had come
/// of others is written: to be called before the process ends. Blocks.
pub fn finish_writing() {
    /// A disk that takes longer is left to itself.
    const PATIENCE: Duration = Duration::from_secs(10);
    local::finish_writing(PATIENCE);
}

/// Downloads what somebody else finds, as it comes.
pub(crate) async fn download_found(
    client: &mut Client,
    mut found: mpsc::Receiver<Vec<Result<LocalEntryPlan, Omitted>>>,
    disks: Arc<FileSystems>,
    events: Events<'_>,
) -> Result<(), TransferError> {
    let queue = DownloadQueue::fed(SharingPolicy::of(client), disks);
    let feeding = async {
        while let Some(batch) = found.recv().await {
            queue.add(batch.into_iter(), events);
            queue.room().await;
        }
        queue.end_feeding(events);
        Ok(())
    };
    tokio::try_join!(drain(client, &queue, events), feeding)?;
    Ok(())
}

/// Downloads all that is in the queue, over as many connections as it is worth.
async fn drain(client: &mut Client, queue: &DownloadQueue, events: Events<'_>) -> Result<(), TransferError> {
    let first = client.take_connection();
    let sharing = &*client;
    let others =
        try_join_all((1..sharing.connections()).map(|number| further(sharing, number, queue, events)));
    let working = async {
        let worked = tokio::try_join!(work(sharing, first, queue, events), others);
        // Also when the connection is gone: what was verified is not fetched again.
        queue.commits().end();
        worked
    };
    let (worked, committed) = tokio::join!(working, queue.commits().run(events));
    let (first, _) = worked?;
    client.give_back(first);
    committed?;
    queue.tell_leftovers(events);
    Ok(())
}

/// Helps with the downloads once there are enough of them for another connection.
async fn further(
    client: &Client,
    number: usize,
    queue: &DownloadQueue,
    events: Events<'_>,
) -> Result<(), TransferError> {
    if !queue.holds(number, FILES_PER_CONNECTION, BYTES_PER_CONNECTION).await {
        return Ok(());
    }
    let working = async {
        // A server that takes no further connection serves the first one all the same.
        let connection = client.connect().await.ok()?;
        Some(work(client, Some(connection), queue, events).await)
    };
    let worked = tokio::select! {
        biased;
        worked = working => worked,
        // Nobody is to wait for a connection that is not needed any more.
        () = queue.over() => None,
    };
    // What a connection had taken that was lost is back in the queue, for the others.
    if let Some(Ok(connection)) = worked {
        connection.close().await;
    }
    Ok(())
}

/// Downloads from the queue until nothing is left. Returns the connection that did the last of it.
async fn work(
    client: &Client,
    connection: Option<Connection>,
    queue: &DownloadQueue,
    events: Events<'_>,
) -> Result<Connection, TransferError> {
    let mut line = ConnectionSupply::new(client, connection, events);
    loop {
        let attempt = async {
            let mut connection = line.connection().await?;
            let ran = run(&mut connection, queue, events).await;
            ran.map(|()| connection)
        };
        let error = match attempt.await {
            Ok(connection) if connection.is_in_step() => return Ok(connection),
            // More of a file that nobody can take was coming than is worth receiving.
            Ok(_) => continue,
            Err(error) => error,
        };
        let achieved = queue.achieved().await;
        line.pause(error, achieved).await?;
    }
}

/// A request that was sent.
struct SentRequest<'a> {
    /// Goes back into the queue unless it is taken out.
    task: queue::TaskLease<'a>,
    started: Instant,
    wire_bytes: u64,
}

/// Downloads from the queue until it is empty, or until the connection carries more of a file that nobody can take than
/// is worth receiving: it is spent then.
pub(crate) async fn run(
    connection: &mut Connection,
    queue: &DownloadQueue,
    events: Events<'_>,
) -> Result<(), TransferError> {
    connection.enter();
    let mut ahead = RequestWindow::default();
    let mut asked: VecDeque<SentRequest<'_>> = VecDeque::new();
    let mut reports = Vec::new();
    loop {
        // Behind a content that is fetched in ranges come more of them, and nothing else.
        while ahead.has_room()
            && !asked.back_mut().is_some_and(|asked| asked.task.is_ranged())
            && let Some(mut task) = queue.take()
        {
            let before = connection.requests.bytes();
            let request = request(task.task(), queue);
            connection.push(&request)?;
            let wire_bytes = connection.requests.bytes() - before;
            ahead.sent(wire_bytes);
            asked.push_back(SentRequest { task, started: Instant::now(), wire_bytes });
        }
        connection.flush().await?;
        let Some(SentRequest { mut task, started, wire_bytes }) = asked.pop_front() else {
            match queue.wait().await {
                QueueStep::Task => continue,
                QueueStep::Help(share) => {
                    share::help(connection, &share, events).await?;
                    continue;
                }
                QueueStep::Over => break,
            }
        };
        ahead.answered();
        let before = connection.replies.bytes();
        match task.task() {
            DownloadTask::Page(tree) => match page(connection, tree, queue, events).await? {
                true => queue.listed(task, events),
                false => task.put_back(),
            },
            DownloadTask::File(fetch) if fetch.asked => {
                match described(connection.replies.next().await?, fetch, queue.manner(), events)? {
                    InfoVerdict::Over => {
                        queue.decide(fetch, events);
                        task.done();
                    }
                    InfoVerdict::Fetch => task.put_back(),
                    InfoVerdict::Directory => queue.list(task, events),
                }
            }
            DownloadTask::File(fetch) => {
                let id = fetch.id;
                let received = receive::receive(connection, fetch, queue, events).await?;
                if !matches!(&received, Err(DownloadFailure { what: FailureAction::Directory, .. })) {
                    queue.decide(fetch, events);
                }
                let (error, what) = match received {
                    Ok(ReceivedContent { target, size, sha256, elsewhere }) => {
                        let wire_bytes = elsewhere + wire_bytes + connection.replies.bytes() - before;
                        let duration = started.elapsed();
                        let done =
                            TransferSummary { size, sha256, deduplicated: false, duration, wire_bytes };
                        match target {
                            Some(target) => queue.commits().add(id, CommittingFile::Target(target), done),
                            None => events(Event::Finished { id, done }),
                        }
                        task.done();
                        continue;
                    }
                    Err(DownloadFailure { error, what }) => (error, what),
                };
                match what {
                    FailureAction::Directory => queue.list(task, events),
                    FailureAction::WrongPart => {
                        fetch.from_start = true;
                        task.put_back();
                    }
                    FailureAction::Changed => {
                        fetch.in_one_go = true;
                        task.put_back();
                        // What else was asked for of it is of no use.
                        return Ok(());
                    }
                    FailureAction::Nothing | FailureAction::Report(_) | FailureAction::Abandon => {
                        let is_gone = fetch.directory.is_some() && error.is_refused_as_absent();
                        if is_gone && queue.is_looked_for(&fetch.from) {
                            events(Event::Vanished { id });
                        } else {
                            events(Event::Failed { id, error });
                        }
                        if let FailureAction::Report(sha256) = what {
                            reports.push(Request::Report(Report { path: fetch.from.clone(), sha256 }));
                        }
                        task.done();
                        if matches!(what, FailureAction::Abandon) {
                            // What else was asked for goes back into the queue.
                            return Ok(());
                        }
                    }
                }
            }
        }
    }
    // The user has the error already; that the server's log gets it too must not add another.
    connection.ask_all(&reports, |_, _| Ok(())).await?;
    connection.leave();
    Ok(())
}

/// The request for a task.
fn request(task: &mut DownloadTask, queue: &DownloadQueue) -> Request {
    match task {
        DownloadTask::Page(tree) => Request::List(List {
            recursive: true,
            after: tree.after.clone(),
            limit: remote::PAGE,
            since: Some(tree.since.clone()),
            ..List::of(tree.from.clone())
        }),
        DownloadTask::File(fetch) => {
            fetch.asked = asks_first(fetch, queue.manner());
            if fetch.asked {
                return Request::Info(Info { path: fetch.from.clone() });
            }
            fetch.length = queue.first_range(fetch);
            let (offset, sha256) = fetch.part().unzip();
            fetch.offset = offset.unwrap_or(0);
            let (path, length) = (fetch.from.clone(), fetch.length);
            let preview = queue.manner().preview;
            Request::Get(Get { path, offset: fetch.offset, sha256, length, preview })
        }
    }
}

/// Whether it has to be known what a file is before it is fetched, if it is at all.
fn asks_first(fetch: &FetchJob, manner: TransferOptions) -> bool {
    let newer_is_possible = match &fetch.to {
        FetchTarget::File { path, .. } => manner.update && path.symlink_metadata().is_ok(),
        FetchTarget::Stream(_) | FetchTarget::Nowhere => false,
    };
    fetch.mtime.is_none() && (manner.dry_run || newer_is_possible)
}

/// What follows from a description.
enum InfoVerdict {
    /// Nothing.
    Over,
    /// It is to be fetched.
    Fetch,
    /// It is a directory, and may be one.
    Directory,
}

/// Takes the description of a file that [`asks_first`].
fn described(
    reply: Reply,
    fetch: &mut FetchJob,
    manner: TransferOptions,
    events: Events<'_>,
) -> Result<InfoVerdict, TransferError> {
    let id = fetch.id;
    let description: Description = match reply {
        Reply::Info(description) => description,
        Reply::Error(error) => {
            events(Event::Failed { id, error: error.into() });
            return Ok(InfoVerdict::Over);
        }
        other => return Err(remote::unexpected(other)),
    };
    match description.kind {
        EntryKind::Directory | EntryKind::Space if fetch.tree.is_some() => return Ok(InfoVerdict::Directory),
        EntryKind::File => {}
        // The server has a sentence for what cannot be fetched.
        _ if !manner.dry_run => {
            fetch.mtime = Some(description.mtime);
            return Ok(InfoVerdict::Fetch);
        }
        kind => {
            let what = if kind == EntryKind::Link { "a link" } else { "a directory" };
            let error = WireError::new(
                ErrorCode::BadRequest,
                format!("{} is {what}, which has no content: name a file", fetch.from),
            );
            events(Event::Failed { id, error: error.into() });
            return Ok(InfoVerdict::Over);
        }
    }
    (fetch.size, fetch.sha256, fetch.mtime) = (description.size, description.sha256, Some(description.mtime));
    Ok(if settle(fetch, manner, events) { InfoVerdict::Over } else { InfoVerdict::Fetch })
}

/// Takes one page of a listing. Returns whether that was the last.
async fn page(
    connection: &mut Connection,
    tree: &mut ListedTree,
    queue: &DownloadQueue,
    events: Events<'_>,
) -> Result<bool, TransferError> {
    let (mut entries, mut is_first) = (0, true);
    loop {
        let replies = &mut connection.replies;
        let reply =
            if std::mem::take(&mut is_first) { replies.next().await? } else { replies.more().await? };
        match reply {
            Reply::Entries { entries: page, more, state, changed } => {
                remote::check_page(page.len(), more)?;
                entries += page.len() as u64;
                if entries > remote::PAGE {
                    return Err(remote::too_many_entries());
                }
                for entry in &page {
                    tree.check_order(entry)?;
                }
                if !page.is_empty() {
                    queue.achieve();
                }
                if tree.since.is_empty() {
                    state.is_some().then(|| queue.tells_state());
                    tree.since = state.unwrap_or_default();
                }
                tree.torn = changed;
                queue.add(page.into_iter().filter_map(|entry| tree.take(entry)), events);
                if more {
                    continue;
                }
                queue.tell_missed(tree);
                if entries == remote::PAGE {
                    return Ok(false);
                }
                return match tree.look_again() {
                    Ok(again) => Ok(!again),
                    Err(error) => {
                        let path = PathBuf::from(tree.from.to_string());
                        events(Event::Omitted(Omitted { path, error, in_tree: false }));
                        Ok(true)
                    }
                };
            }
            Reply::Error(error) => {
                tree.has_failed();
                let path = PathBuf::from(tree.from.to_string());
                events(Event::Omitted(Omitted { path, error: error.into(), in_tree: false }));
                return Ok(true);
            }
            other => return Err(remote::unexpected(other)),
        }
    }
}
