//! Downloads: requests go ahead of the contents, and a content takes its name when it is verified.
//!
//! The listing of a tree is one more request among those for files, asked for page by page whenever the queue runs low,
//! so that neither end holds a tree. What a lost connection left unfinished goes back into the queue.

mod commits;
mod outlet;
mod queue;
mod receive;
mod share;
mod sink;
#[cfg(test)]
mod tests;
mod tree;

use std::collections::VecDeque;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use sealift_protocol::message::{Description, EntryKind, Get, Info, List, Nanoseconds, Report};
use sealift_protocol::{Digest, ErrorCode, RemotePath, Reply, Request, WireError};
use tokio::sync::mpsc;

use crate::client::Client;
use crate::connection::{Ahead, Connection};
use crate::error::Error;
use crate::event::{AtServer, Done, Event, Events};
use crate::local::{self, Directory, Disks, Landing};
use crate::manner::Manner;
use crate::remote;
use crate::retry::Line;
use crate::tree::{Omitted, Walking};
use outlet::Outlet;
use queue::{Next, Queue, Sharing, Task};
use receive::{Failure, Taken, What};
use tree::Tree;
pub(crate) use tree::{Becomes, make_directory, make_link};

/// Another connection is worth its handshake for so many files more, ...
const FILES_PER_CONNECTION: usize = 512;

/// ... or for so many bytes more.
const BYTES_PER_CONNECTION: u64 = 64 * 1024 * 1024;

/// Something to download.
#[derive(Debug)]
pub struct Download {
    /// What, on the server.
    pub from: RemotePath,
    /// Where its content goes, if it is a file.
    pub to: Destination,
    /// The local directory that receives what is in it, if it is a directory.
    pub tree: Option<PathBuf>,
}

/// Where the content of a download goes.
pub enum Destination {
    /// To a file, which appears when its content is complete and verified.
    File {
        /// Its name.
        path: PathBuf,
        /// Whether its directory may be missing and is to be made then.
        make_directory: bool,
    },
    /// To a writer such as standard output, while it comes: whether it is good is known only at the end.
    Stream(Box<dyn Write + Send>),
    /// Nowhere: only a directory is meant.
    Nowhere,
}

impl std::fmt::Debug for Destination {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File { path, .. } => f.debug_tuple("File").field(path).finish(),
            Self::Stream(_) => f.write_str("Stream"),
            Self::Nowhere => f.write_str("Nowhere"),
        }
    }
}

/// Where a content goes on its way here.
#[derive(Debug)]
pub(crate) enum Goal {
    /// To a file.
    File {
        /// Its name.
        path: PathBuf,
        /// Whether its directory may be missing and is to be made then.
        make_directory: bool,
    },
    /// To what cannot be read back.
    Stream(Outlet),
    /// Nowhere.
    Nowhere,
}

impl From<Destination> for Goal {
    fn from(destination: Destination) -> Self {
        match destination {
            Destination::File { path, make_directory } => Self::File { path, make_directory },
            Destination::Stream(writer) => Self::Stream(Outlet::new(writer)),
            Destination::Nowhere => Self::Nowhere,
        }
    }
}

/// A file that is being fetched.
#[derive(Debug)]
pub(crate) struct Fetch {
    pub(crate) id: usize,
    pub(crate) from: RemotePath,
    pub(crate) to: Goal,
    /// The directory that receives what is in it, if it turns out to be a directory.
    tree: Option<PathBuf>,
    /// What it holds, as far as anybody has said: a listing, the server, or the name of what an earlier run left.
    sha256: Option<Digest>,
    /// The size, where it is known.
    size: Option<u64>,
    /// When it was last modified, where that is known.
    mtime: Option<Nanoseconds>,
    /// Whether the request that was sent for it asks only what it is.
    asked: bool,
    /// Keeps the directory's time from being set too early.
    directory: Option<Arc<Directory>>,
    /// What an earlier attempt left was not the content's beginning.
    from_start: bool,
    /// It changed while it was fetched in ranges, so it is fetched in one go, which no change disturbs.
    in_one_go: bool,
    /// The most bytes that the request for it asked for, and the first of them.
    length: Option<u64>,
    offset: u64,
    /// The most bytes of an earlier attempt that one went on behind.
    kept: u64,
    /// Whether nothing is known of it but its name.
    undecided: bool,
}

/// Downloads all of these. How each one ended is told by an event.
///
/// # Errors
/// Fails when there is no connection, or none any more and none to be had; the files that are not told to be finished
/// by then are not.
pub async fn download(
    client: &mut Client,
    downloads: Vec<Download>,
    walking: &Walking,
    manner: Manner,
    events: Events<'_>,
) -> Result<(), Error> {
    let sharing = Sharing::of(client);
    drain(client, &Queue::new(downloads, walking, manner, sharing, events), events).await
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
    mut found: mpsc::Receiver<Vec<Result<Becomes, Omitted>>>,
    disks: Arc<Disks>,
    events: Events<'_>,
) -> Result<(), Error> {
    let queue = Queue::fed(Sharing::of(client), disks);
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
async fn drain(client: &mut Client, queue: &Queue, events: Events<'_>) -> Result<(), Error> {
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
async fn further(client: &Client, number: usize, queue: &Queue, events: Events<'_>) -> Result<(), Error> {
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
    queue: &Queue,
    events: Events<'_>,
) -> Result<Connection, Error> {
    let mut line = Line::new(client, connection, events);
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
struct Asked<'a> {
    /// Goes back into the queue unless it is taken out.
    task: queue::Taken<'a>,
    started: Instant,
    wire_bytes: u64,
}

/// Downloads from the queue until it is empty, or until the connection carries more of a file that nobody can take than
/// is worth receiving: it is spent then.
pub(crate) async fn run(connection: &mut Connection, queue: &Queue, events: Events<'_>) -> Result<(), Error> {
    connection.enter();
    let mut ahead = Ahead::default();
    let mut asked: VecDeque<Asked<'_>> = VecDeque::new();
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
            asked.push_back(Asked { task, started: Instant::now(), wire_bytes });
        }
        connection.flush().await?;
        let Some(Asked { mut task, started, wire_bytes }) = asked.pop_front() else {
            match queue.wait().await {
                Next::Task => continue,
                Next::Help(share) => {
                    share::help(connection, &share, events).await?;
                    continue;
                }
                Next::Over => break,
            }
        };
        ahead.answered();
        let before = connection.replies.bytes();
        match task.task() {
            Task::Page(tree) => match page(connection, tree, queue, events).await? {
                true => queue.listed(task, events),
                false => task.put_back(),
            },
            Task::File(fetch) if fetch.asked => {
                match described(connection.replies.next().await?, fetch, queue.manner(), events)? {
                    Answer::Over => {
                        queue.decide(fetch, events);
                        task.done();
                    }
                    Answer::Fetch => task.put_back(),
                    Answer::Directory => queue.list(task, events),
                }
            }
            Task::File(fetch) => {
                let id = fetch.id;
                let received = receive::receive(connection, fetch, queue, events).await?;
                if !matches!(&received, Err(Failure { what: What::Directory, .. })) {
                    queue.decide(fetch, events);
                }
                let (error, what) = match received {
                    Ok(Taken { target, size, sha256, elsewhere }) => {
                        let wire_bytes = elsewhere + wire_bytes + connection.replies.bytes() - before;
                        let duration = started.elapsed();
                        let done = Done { size, sha256, deduplicated: false, duration, wire_bytes };
                        match target {
                            Some(target) => queue.commits().add(id, Landing::Target(target), done),
                            None => events(Event::Finished { id, done }),
                        }
                        task.done();
                        continue;
                    }
                    Err(Failure { error, what }) => (error, what),
                };
                match what {
                    What::Directory => queue.list(task, events),
                    What::WrongPart => {
                        fetch.from_start = true;
                        task.put_back();
                    }
                    What::Changed => {
                        fetch.in_one_go = true;
                        task.put_back();
                        // What else was asked for of it is of no use.
                        return Ok(());
                    }
                    What::Nothing | What::Report(_) | What::Abandon => {
                        let is_gone = fetch.directory.is_some() && error.is_refused_as_absent();
                        if is_gone && queue.is_looked_for(&fetch.from) {
                            events(Event::Vanished { id });
                        } else {
                            events(Event::Failed { id, error });
                        }
                        if let What::Report(sha256) = what {
                            reports.push(Request::Report(Report { path: fetch.from.clone(), sha256 }));
                        }
                        task.done();
                        if matches!(what, What::Abandon) {
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
fn request(task: &mut Task, queue: &Queue) -> Request {
    match task {
        Task::Page(tree) => Request::List(List {
            recursive: true,
            after: tree.after.clone(),
            limit: remote::PAGE,
            since: Some(tree.since.clone()),
            ..List::of(tree.from.clone())
        }),
        Task::File(fetch) => {
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
fn asks_first(fetch: &Fetch, manner: Manner) -> bool {
    let newer_is_possible = match &fetch.to {
        Goal::File { path, .. } => manner.update && path.symlink_metadata().is_ok(),
        Goal::Stream(_) | Goal::Nowhere => false,
    };
    fetch.mtime.is_none() && (manner.pretend || newer_is_possible)
}

/// What follows from a description.
enum Answer {
    /// Nothing.
    Over,
    /// It is to be fetched.
    Fetch,
    /// It is a directory, and may be one.
    Directory,
}

/// Takes the description of a file that [`asks_first`].
fn described(reply: Reply, fetch: &mut Fetch, manner: Manner, events: Events<'_>) -> Result<Answer, Error> {
    let id = fetch.id;
    let description: Description = match reply {
        Reply::Info(description) => description,
        Reply::Error(error) => {
            events(Event::Failed { id, error: error.into() });
            return Ok(Answer::Over);
        }
        other => return Err(remote::unexpected(other)),
    };
    match description.kind {
        EntryKind::Directory | EntryKind::Space if fetch.tree.is_some() => return Ok(Answer::Directory),
        EntryKind::File => {}
        // The server has a sentence for what cannot be fetched.
        _ if !manner.pretend => {
            fetch.mtime = Some(description.mtime);
            return Ok(Answer::Fetch);
        }
        kind => {
            let what = if kind == EntryKind::Link { "a link" } else { "a directory" };
            let error = WireError::new(
                ErrorCode::BadRequest,
                format!("{} is {what}, which has no content: name a file", fetch.from),
            );
            events(Event::Failed { id, error: error.into() });
            return Ok(Answer::Over);
        }
    }
    (fetch.size, fetch.sha256, fetch.mtime) = (description.size, description.sha256, Some(description.mtime));
    Ok(if settle(fetch, manner, events) { Answer::Over } else { Answer::Fetch })
}

/// Tells of a file that is known and not going to be fetched; `false` if it is.
fn settle(fetch: &Fetch, manner: Manner, events: Events<'_>) -> bool {
    let (Fetch { id, to, size, tree, .. }, Some(mtime)) = (fetch, fetch.mtime) else { return false };
    let (id, size) = (*id, *size);
    let path = match to {
        Goal::File { path, .. } => Some(path),
        Goal::Stream(_) | Goal::Nowhere => None,
    };
    if manner.update && path.is_some_and(|path| local::is_newer(path, mtime)) {
        events(Event::Kept { id });
        return true;
    }
    if manner.pretend {
        let is_named = tree.is_some();
        let check = if is_named { local::check_named_target } else { local::check_target };
        match path.map(|path| check(path)) {
            Some(Err(error)) => events(Event::Failed { id, error }),
            _ => events(Event::Would { id, size, at_server: AtServer::No }),
        }
    }
    manner.pretend
}

impl Fetch {
    /// What an earlier attempt left: how much, of which content.
    fn part(&self) -> Option<(u64, Digest)> {
        let sha256 = self.sha256?;
        let path = match &self.to {
            Goal::File { path, .. } => path,
            Goal::Stream(outlet) => return Some((outlet.written(), sha256)),
            Goal::Nowhere => return None,
        };
        if self.from_start || self.size.is_some_and(|size| size < local::WORTH_KEEPING) {
            return None;
        }
        let part = local::part_path(path, &sha256);
        let length = part.symlink_metadata().ok()?.len();
        // What another process goes on with is of no use here.
        if local::is_held(&part) {
            return None;
        }
        Some((length.min(self.size.unwrap_or(u64::MAX)), sha256))
    }
}

/// Takes one page of a listing. Returns whether that was the last.
async fn page(
    connection: &mut Connection,
    tree: &mut Tree,
    queue: &Queue,
    events: Events<'_>,
) -> Result<bool, Error> {
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
