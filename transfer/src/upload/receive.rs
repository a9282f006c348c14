//! The receiving half of an upload.

use std::time::Duration;

use sealift_protocol::message::{Stored, Verdict};
use sealift_protocol::{ErrorCode, Reply, WireError};
use tokio::sync::{mpsc, oneshot};

use super::{Expected, Feedback, Job, Kind, Large, Next, Sent};
use crate::connection::Replies;
use crate::error::Error;
use crate::event::{Done, Event, Events};
use crate::remote::unexpected;

/// How fast a server's disk is at the least: the last of a content is acknowledged only when all of it is durable.
const SLOWEST_DISK: u64 = 8 * 1024 * 1024;

/// Takes all answers, until the sender has ended.
pub(super) async fn receive(
    replies: &mut Replies,
    mut expected: mpsc::UnboundedReceiver<Expected>,
    tell: mpsc::UnboundedSender<Feedback>,
    events: Events<'_>,
) -> Result<(), Error> {
    while let Some(Expected { started, weight, kind }) = expected.recv().await {
        let done = |sent: Sent, deduplicated: bool, replies: &Replies| Done {
            size: sent.size,
            sha256: sent.sha256,
            deduplicated,
            duration: started.elapsed(),
            wire_bytes: sent.wire_bytes + replies.last_bytes(),
        };
        let next = match kind {
            Kind::Plan(files) => planned(replies.next().await?, files, events)?,
            Kind::Inline(job, sent) => match replies.next().await? {
                Reply::Stored(stored) => {
                    finish(&job, &stored, done(sent, false, replies), events);
                    Next::Nothing
                }
                Reply::Error(error) => refused(&job, error, events),
                other => return Err(unexpected(other)),
            },
            Kind::Claim(large, sent) => match replies.next().await? {
                Reply::Stored(stored) => {
                    finish(&large.job, &stored, done(sent, true, replies), events);
                    Next::Nothing
                }
                Reply::Error(error) if error.code == ErrorCode::Absent => {
                    Next::Decided(vec![(large, Verdict::Send)])
                }
                Reply::Error(error) => refused(&large.job, error, events),
                other => return Err(unexpected(other)),
            },
            Kind::Stream(job, watched) => match streamed(replies, watched).await? {
                (Reply::Stored(stored), Some(Ok(sent))) => {
                    finish(&job, &stored, done(sent, false, replies), events);
                    Next::Nothing
                }
                (Reply::Stored(_), _) => {
                    return Err(Error::Protocol(
                        "it says that a file is stored of which not all was sent".into(),
                    ));
                }
                // Why the source failed is known better here.
                (Reply::Error(_), Some(Err(error))) => {
                    events(Event::Failed { id: job.id, error });
                    Next::Nothing
                }
                (Reply::Error(error), _) => refused(&job, error, events),
                (other, _) => return Err(unexpected(other)),
            },
        };
        // Without a sender the connection is over, and its end is told elsewhere.
        let _ = tell.send(Feedback { weight, next });
    }
    Ok(())
}

/// The answer to a streamed content, and what was sent of it by the time of the answer.
async fn streamed(
    replies: &mut Replies,
    mut watched: oneshot::Receiver<Result<Sent, Error>>,
) -> Result<(Reply, Option<Result<Sent, Error>>), Error> {
    // While the content is being sent, an answer can only be a refusal, and none is no reason for impatience: that
    // something moves is the sender's business.
    let sent = tokio::select! {
        biased;
        sent = &mut watched => sent.ok(),
        arrived = replies.arrival() => {
            arrived?;
            None
        }
    };
    let size = sent.as_ref().and_then(|sent| sent.as_ref().ok()).map_or(0, |sent| sent.size);
    let reply = replies.next_after(Duration::from_secs(size / SLOWEST_DISK)).await?;
    let sent = sent.or_else(|| watched.try_recv().ok());
    Ok((reply, sent))
}

fn planned(reply: Reply, files: Vec<Large>, events: Events<'_>) -> Result<Next, Error> {
    match reply {
        Reply::Plan { files: verdicts } if verdicts.len() == files.len() => {
            Ok(Next::Decided(files.into_iter().zip(verdicts).collect()))
        }
        Reply::Error(error) => {
            for Large { job, .. } in files {
                events(Event::Failed { id: job.id, error: error.clone().into() });
            }
            Ok(Next::Nothing)
        }
        other => Err(unexpected(other)),
    }
}

fn refused(job: &Job, error: WireError, events: Events<'_>) -> Next {
    match job.redirected(&error, events) {
        Some(job) => Next::Again(job),
        None => {
            events(Event::Failed { id: job.id, error: error.into() });
            Next::Nothing
        }
    }
}

/// Tells that a file is stored, if it is the one that was sent.
fn finish(job: &Job, stored: &Stored, done: Done, events: Events<'_>) {
    let id = job.id;
    if stored.size == done.size && stored.sha256 == done.sha256 {
        events(Event::Finished { id, done });
    } else {
        let reason = format!(
            "{} bytes with the SHA-256 {} were sent, and the server stored {} with {}",
            done.size, done.sha256, stored.size, stored.sha256
        );
        events(Event::Failed { id, error: Error::Integrity { path: job.to.clone(), reason } });
    }
}
