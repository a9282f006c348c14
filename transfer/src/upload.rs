//! Uploads: many files over a few connections, as fast as the slowest of disk, hash, cipher, wire and server.
//!
//! Three things happen at the same time. A thread finds files, and reads and hashes the small ones (`prepare`). One
//! half of each connection sends: small files with their requests, large ones one after the other in a single pass, once
//! the server said what to do about them (`send`). The other half takes the answers, which come in the order of the
//! requests, and tells the sender what follows from them (`receive`). What a lost connection left unfinished is on a
//! board and begins again on the next one.

mod board;
mod prepare;
mod receive;
mod send;
mod share;
#[cfg(test)]
mod tests;

use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use sealift_protocol::message::{Nanoseconds, Verdict};
use sealift_protocol::{Digest, ErrorCode, RemotePath, WireError};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, timeout};

use crate::client::Client;
use crate::connection::Connection;
use crate::error::Error;
use crate::event::{Event, Events};
use crate::local::{self, Root, Stamp};
use crate::manner::Manner;
use crate::retry::Line;
use crate::tree::Omitted;
use board::Board;
use prepare::{Intake, Supply};
use share::Offers;

/// Another connection is worth its handshake for so many files more, ...
const FILES_PER_CONNECTION: usize = 256;

/// ... or for so many bytes more.
const BYTES_PER_CONNECTION: u64 = 64 * 1024 * 1024;

/// Something to upload.
#[derive(Debug)]
pub struct Upload {
    /// What events call it.
    pub id: usize,
    /// Where it comes from.
    pub source: Source,
    /// Where it goes.
    pub to: RemotePath,
    /// Where it goes if `to` turns out to be a directory.
    pub inside: Option<RemotePath>,
}

/// Where an upload comes from.
pub enum Source {
    /// A local file; symbolic links are followed.
    File(PathBuf),
    /// A file of a local tree; no symbolic link is followed on the way to it.
    Inside {
        /// The tree.
        root: Arc<Root>,
        /// The file's whole path.
        path: PathBuf,
        /// Whether it may be executed, where somebody knows better than its file system.
        executable: Option<bool>,
    },
    /// Whatever the reader yields, such as standard input.
    Stream(Box<dyn Read + Send>),
    /// A directory, without what is in it.
    Directory {
        /// Which.
        path: PathBuf,
        /// When it was last modified.
        mtime: Option<Nanoseconds>,
    },
    /// A symbolic link, to be stored as one.
    Link {
        /// Which.
        path: PathBuf,
        /// What it points to.
        target: String,
        /// When it was last modified.
        mtime: Option<Nanoseconds>,
    },
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Inside { path, .. } => f.debug_tuple("Inside").field(path).finish(),
            Self::Stream(_) => f.write_str("Stream"),
            Self::Directory { path, .. } => f.debug_tuple("Directory").field(path).finish(),
            Self::Link { path, target, .. } => f.debug_tuple("Link").field(path).field(target).finish(),
        }
    }
}

/// Uploads all that the iterator yields. How each one ended is told by an event.
///
/// # Errors
/// Fails when there is no connection, or none any more and none to be had; what was not told to be finished by then is
/// not known to be.
pub async fn upload(
    client: &mut Client,
    uploads: impl Iterator<Item = Result<Upload, Omitted>> + Send + 'static,
    manner: Manner,
    events: Events<'_>,
) -> Result<(), Error> {
    let supply = prepare::start(uploads, manner);
    let first = client.take_connection();
    let sharing = &*client;
    let offers = Offers::of(sharing);
    let worker = offers.worker();
    let working = async {
        let worked = work(sharing, first, Intake::new(supply.clone()), &offers, events).await;
        drop(worker);
        worked
    };
    let others =
        (1..sharing.connections()).map(|number| further(sharing, number, supply.clone(), &offers, events));
    let telling = async {
        tell_all(supply.amount.clone(), events).await;
        Ok(())
    };
    let (first, _, ()) = tokio::try_join!(working, try_join_all(others), telling)?;
    client.give_back(first);
    Ok(())
}

/// Tells how much there is when everything is found.
async fn tell_all(mut amount: watch::Receiver<prepare::Amount>, events: Events<'_>) {
    while amount.changed().await.is_ok() {}
    let prepare::Amount { all: count, contents, bytes } = *amount.borrow();
    events(Event::FoundAll { count, contents, bytes });
}

/// Helps with the uploads once there are enough of them for another connection, and with large files that are slow.
async fn further(
    client: &Client,
    number: usize,
    mut supply: Supply,
    offers: &Offers,
    events: Events<'_>,
) -> Result<(), Error> {
    let enough = |amount: &prepare::Amount| {
        amount.all >= number * FILES_PER_CONNECTION
            || amount.all > number && amount.bytes >= number as u64 * BYTES_PER_CONNECTION
    };
    let (mut looks, mut connection) = (true, None);
    loop {
        tokio::select! {
            biased;
            is_enough = async { supply.amount.wait_for(enough).await.is_ok() }, if looks => {
                looks = false;
                if is_enough {
                    let _worker = offers.worker();
                    // A server that takes no further connection serves the first one all the same.
                    let Ok(made) = client.connect().await else { return Ok(()) };
                    let intake = Intake::new(supply.clone());
                    connection = Some(work(client, Some(made), intake, offers, events).await?);
                }
            }
            share = offers.next(number) => {
                let Some(share) = share else { break };
                connection = share::help(client, connection, &share, events).await;
                if connection.is_none() && !share.is_over() {
                    break;
                }
                connection = connection.filter(Connection::is_in_step);
            }
        }
    }
    if let Some(connection) = connection {
        connection.close().await;
    }
    Ok(())
}

/// Uploads what the intake yields. Returns the connection that did the last of it.
async fn work(
    client: &Client,
    connection: Option<Connection>,
    mut intake: Intake,
    offers: &Offers,
    events: Events<'_>,
) -> Result<Connection, Error> {
    let board = Board::new(events);
    let mut line = Line::new(client, connection, events);
    loop {
        let attempt = async {
            let mut connection = line.connection().await?;
            run(&mut connection, &mut intake, &board, offers).await?;
            Ok(connection)
        };
        let error = match attempt.await {
            Ok(connection) => return Ok(connection),
            Err(error) => error,
        };
        match board.unfinished() {
            Some(jobs) => intake.repeat(jobs),
            None => return Err(error),
        }
        line.pause(error, board.achieved()).await?;
    }
}

async fn run(
    connection: &mut Connection,
    intake: &mut Intake,
    board: &Board<'_>,
    offers: &Offers,
) -> Result<(), Error> {
    connection.enter();
    let (expect, expected) = mpsc::unbounded_channel();
    let (tell, feedback) = mpsc::unbounded_channel();
    let Connection { requests, replies, .. } = &mut *connection;
    let sent = {
        let sending = send::Sender::new(requests, expect, feedback, board, offers).run(intake);
        let receiving = receive::receive(replies, expected, tell, board);
        let (mut sending, mut receiving) = (std::pin::pin!(sending), std::pin::pin!(receiving));
        tokio::select! {
            biased;
            received = &mut receiving => {
                received?;
                sending.await
            }
            sent = &mut sending => match sent {
                Ok(()) => {
                    receiving.await?;
                    Ok(())
                }
                Err(error) => {
                    // What the server said before it closed explains more than that sending failed.
                    const PATIENCE: Duration = Duration::from_secs(2);
                    match timeout(PATIENCE, receiving).await {
                        Ok(Err(told @ (Error::Refused(_) | Error::Handshake { .. }))) => return Err(told),
                        _ => Err(error),
                    }
                }
            },
        }
    };
    sent.map_err(|error| connection.replies.explain(error))?;
    connection.leave();
    Ok(())
}

/// An upload on its way.
#[derive(Debug, Clone)]
struct Job {
    id: usize,
    path: PathBuf,
    /// The tree that it was found in.
    root: Option<Arc<Root>>,
    /// Whether it may be executed, where its file system cannot tell.
    executable: Option<bool>,
    what: What,
    to: RemotePath,
    inside: Option<RemotePath>,
    /// What the content was when it was hashed for a claim: if the file is still that, no second hash is needed.
    known: Option<(Stamp, Digest)>,
    manner: Manner,
    /// Whether the server's part of an earlier attempt is of use; one that was not the file's beginning is not.
    resumable: bool,
}

/// What is uploaded.
#[derive(Debug, Clone)]
enum What {
    File,
    Pipe,
    Directory { mtime: Option<Nanoseconds> },
    Link { target: String, mtime: Option<Nanoseconds> },
}

impl Job {
    fn has_content(&self) -> bool {
        matches!(self.what, What::File | What::Pipe)
    }

    /// Opens the file. Blocks.
    fn open(&self) -> Result<local::Source, Error> {
        let source = match &self.root {
            Some(root) => local::Source::inside(root, &self.path),
            None => local::Source::open(&self.path),
        };
        let allow_changing = self.manner.allow_changing;
        source.map(|source| source.allow_changing(allow_changing).known_executable(self.executable))
    }

    /// The same file into the directory that its target turned out to be, if that is why it was refused.
    fn redirected(&self, refusal: &WireError, board: &Board<'_>) -> Option<Self> {
        let to = self.inside.clone().filter(|_| refusal.code == ErrorCode::IsADirectory)?;
        Some(board.redirect(self, to))
    }
}

/// A file that is too large to travel with its request.
#[derive(Debug)]
struct Large {
    job: Job,
    size: u64,
    mtime: Option<Nanoseconds>,
}

/// What was sent of a content.
#[derive(Debug, Clone, Copy)]
struct Sent {
    size: u64,
    sha256: Digest,
    wire_bytes: u64,
}

/// A request whose answer is due.
#[derive(Debug)]
struct Expected {
    started: Instant,
    /// What the request counts for in the sender's window.
    weight: usize,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// What to do about these?
    Plan(Vec<Large>),
    /// A directory or a link.
    Made(Job),
    /// A file that travelled with its request.
    Inline(Job, Sent),
    /// A file whose content may be there already.
    Claim(Large, Sent),
    /// A file that is being streamed. The channel carries what was sent, or why it could not be; that nobody listens
    /// any more tells the sender that the server has refused it.
    Stream(Job, oneshot::Receiver<Result<Sent, Error>>),
}

/// What the sender learns from an answer.
#[derive(Debug)]
struct Feedback {
    weight: usize,
    next: Next,
}

/// What follows from an answer.
#[derive(Debug)]
enum Next {
    Nothing,
    /// Begin again with a file.
    Again(Job),
    /// Do as the server says.
    Decided(Vec<(Large, Verdict)>),
}
