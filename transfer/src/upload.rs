//! Uploads: many files over one connection, as fast as the slowest of disk, hash, cipher, wire and server.
//!
//! Three things happen at the same time. A thread reads and hashes small files (`prepare`). One half of the
//! connection sends: small files with their requests, large ones one after the other in a single pass, once the server
//! said what to do about them (`send`). The other half takes the answers, which come in the order of the requests,
//! and tells the sender what follows from them (`receive`).

mod prepare;
mod receive;
mod send;
#[cfg(test)]
mod tests;

use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

use sealift_protocol::message::Verdict;
use sealift_protocol::{Digest, ErrorCode, RemotePath, WireError};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout};

use crate::client::Client;
use crate::connection::Connection;
use crate::error::Error;
use crate::event::{Event, Events};
use crate::local::Stamp;

/// A file to upload.
#[derive(Debug)]
pub struct Upload {
    /// What events call it.
    pub id: usize,
    /// Where the content comes from.
    pub source: Source,
    /// Its size when the plan was made, where it is known.
    pub size: Option<u64>,
    /// Where it goes.
    pub to: RemotePath,
    /// Where it goes if `to` turns out to be a directory.
    pub inside: Option<RemotePath>,
}

/// Where the content of an upload comes from.
pub enum Source {
    /// A local file; symbolic links are followed.
    File(PathBuf),
    /// Whatever the reader yields, such as standard input.
    Stream(Box<dyn Read + Send>),
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Stream(_) => f.write_str("Stream"),
        }
    }
}

/// Uploads files. How each one ended is told by an event.
///
/// # Errors
/// Fails when there is no connection, or none any more; what was not told to be finished by then is not known to be.
pub async fn upload(client: &mut Client, uploads: Vec<Upload>, events: Events<'_>) -> Result<(), Error> {
    events(Event::Planned { files: uploads.len(), bytes: uploads.iter().map(|upload| upload.size).sum() });
    run(client.connection().await?, uploads, events).await
}

pub(crate) async fn run(
    connection: &mut Connection,
    uploads: Vec<Upload>,
    events: Events<'_>,
) -> Result<(), Error> {
    connection.enter();
    let prepared = prepare::start(uploads);
    let (expect, expected) = mpsc::unbounded_channel();
    let (tell, feedback) = mpsc::unbounded_channel();
    let Connection { requests, replies, .. } = &mut *connection;
    let sent = {
        let sending = send::Sender::new(requests, expect, feedback, events).run(prepared);
        let receiving = receive::receive(replies, expected, tell, events);
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

/// A file on its way.
#[derive(Debug, Clone)]
struct Job {
    id: usize,
    path: PathBuf,
    to: RemotePath,
    inside: Option<RemotePath>,
    /// What the content was when it was hashed for a claim: if the file is still that, no second hash is needed.
    known: Option<(Stamp, Digest)>,
}

impl Job {
    /// The same file into the directory that its target turned out to be, if that is why it was refused.
    fn redirected(&self, refusal: &WireError, events: Events<'_>) -> Option<Self> {
        let to = self.inside.clone().filter(|_| refusal.code == ErrorCode::IsADirectory)?;
        events(Event::Redirected { id: self.id, to: to.clone() });
        Some(Self { to, inside: None, ..self.clone() })
    }
}

/// A file that is too large to travel with its request.
#[derive(Debug)]
struct Large {
    job: Job,
    size: u64,
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
