//! The receiving half of an upload.

use std::time::Duration;

use sealift_protocol::message::Verdict;
use sealift_protocol::{Reply, WireError};
use sealift_types::ErrorCode;
use tokio::sync::{mpsc, oneshot};

use super::board::JobBoard;
use super::job::{LargeUpload, NextStep, PendingKind, PendingReply, ReplyFeedback, SentContent, UploadJob};
use crate::connection::ReplyReader;
use crate::error::TransferError;
use crate::event::TransferSummary;
use crate::remote::unexpected;

/// How fast a server's disk is at the least: the last of a content is acknowledged only when all of it is durable.
const SLOWEST_DISK: u64 = 8 * 1024 * 1024;

/// Takes all answers, until the sender has ended.
pub(super) async fn receive(
    replies: &mut ReplyReader,
    mut expected: mpsc::UnboundedReceiver<PendingReply>,
    tell: mpsc::UnboundedSender<ReplyFeedback>,
    board: &JobBoard<'_>,
) -> Result<(), TransferError> {
    while let Some(PendingReply { started, weight, kind }) = expected.recv().await {
        let done = |sent: SentContent, deduplicated: bool, replies: &ReplyReader| TransferSummary {
            size: sent.size,
            sha256: sent.sha256,
            deduplicated,
            duration: started.elapsed(),
            wire_bytes: sent.wire_bytes + replies.last_bytes(),
        };
        let next = match kind {
            PendingKind::Plan(files) => {
                let reply = replies.next().await?;
                board.learn(replies.know_slices());
                planned(reply, files, board)?
            }
            PendingKind::Made(job) => match replies.next().await? {
                Reply::Done {} => {
                    board.made(job.id);
                    NextStep::Nothing
                }
                Reply::Error(error) => refused(&job, error, board),
                other => return Err(unexpected(other)),
            },
            PendingKind::Inline(job, sent) => match replies.next().await? {
                Reply::Stored(stored) => {
                    board.stored(&job, &stored, done(sent, false, replies));
                    NextStep::Nothing
                }
                Reply::Kept {} => {
                    board.kept(job.id);
                    NextStep::Nothing
                }
                Reply::Error(error) => refused(&job, error, board),
                other => return Err(unexpected(other)),
            },
            PendingKind::Claim(large, sent) => match replies.next().await? {
                Reply::Stored(stored) => {
                    board.stored(&large.job, &stored, done(sent, true, replies));
                    NextStep::Nothing
                }
                Reply::Kept {} => {
                    board.kept(large.job.id);
                    NextStep::Nothing
                }
                Reply::Error(error) if error.code == ErrorCode::Absent => {
                    NextStep::Decided(vec![(large, Verdict::Send)])
                }
                Reply::Error(error) => refused(&large.job, error, board),
                other => return Err(unexpected(other)),
            },
            PendingKind::Stream(job, watched) => match streamed(replies, watched).await? {
                (Reply::Stored(stored), Some(Ok(sent))) => {
                    board.stored(&job, &stored, done(sent, false, replies));
                    NextStep::Nothing
                }
                (Reply::Kept {}, _) => {
                    board.kept(job.id);
                    NextStep::Nothing
                }
                (Reply::Stored(_), _) => {
                    return Err(TransferError::Protocol(
                        "it says that a file is stored of which not all was sent".into(),
                    ));
                }
                // Why the source failed is known better here.
                (Reply::Error(_), Some(Err(error))) => {
                    board.failed(job.id, error);
                    NextStep::Nothing
                }
                // The part that the server has is not how the file begins.
                (Reply::Error(error), _) if error.code == ErrorCode::Absent && job.resumable => {
                    NextStep::Again(UploadJob { resumable: false, ..job })
                }
                (Reply::Error(error), _) => refused(&job, error, board),
                (other, _) => return Err(unexpected(other)),
            },
        };
        // Without a sender the connection is over, and its end is told elsewhere.
        let _ = tell.send(ReplyFeedback { weight, next });
    }
    Ok(())
}

/// The answer to a streamed content, and what was sent of it by the time of the answer.
async fn streamed(
    replies: &mut ReplyReader,
    mut watched: oneshot::Receiver<Result<SentContent, TransferError>>,
) -> Result<(Reply, Option<Result<SentContent, TransferError>>), TransferError> {
    // While the content is being sent, an answer can only be a refusal, and none is no reason for impatience: that
    // something moves is the sender's business.
    let sent = loop {
        tokio::select! {
            biased;
            sent = &mut watched => break sent.ok(),
            arrived = replies.arrival() => {
                arrived?;
                if replies.is_greeted() {
                    break None;
                }
                // The welcome is no answer.
                replies.greeting().await?;
            }
        }
    };
    let size = sent.as_ref().and_then(|sent| sent.as_ref().ok()).map_or(0, |sent| sent.size);
    let reply = replies.next_after(Duration::from_secs(size / SLOWEST_DISK)).await?;
    let sent = sent.or_else(|| watched.try_recv().ok());
    Ok((reply, sent))
}

fn planned(reply: Reply, files: Vec<LargeUpload>, board: &JobBoard<'_>) -> Result<NextStep, TransferError> {
    match reply {
        Reply::Plan { files: verdicts } if verdicts.len() == files.len() => {
            Ok(NextStep::Decided(files.into_iter().zip(verdicts).collect()))
        }
        Reply::Error(error) => {
            for LargeUpload { job, .. } in files {
                board.failed(job.id, error.clone().into());
            }
            Ok(NextStep::Nothing)
        }
        other => Err(unexpected(other)),
    }
}

fn refused(job: &UploadJob, error: WireError, board: &JobBoard<'_>) -> NextStep {
    match board.redirected(job, &error) {
        Some(job) => NextStep::Again(job),
        None => {
            board.failed(job.id, error.into());
            NextStep::Nothing
        }
    }
}

#[cfg(test)]
mod tests {
    use sealift_protocol::VERSION;
    use sealift_protocol::message::{Stored, Welcome};
    use sealift_types::Digest;
    use tokio::time::sleep;

    use super::*;
    use crate::peer::pair_with_stall;

    /// A server may say nothing before it has the content, and a slow line needs longer for that than a stall.
    #[tokio::test(start_paused = true)]
    async fn a_welcome_may_be_as_late_as_the_content() {
        let stall = Duration::from_secs(1);
        let (mut connection, mut peer) = pair_with_stall(stall);
        let (tell, watched) = oneshot::channel();
        let (size, sha256) = (3, Digest::of(b"abc"));
        let serving = async {
            sleep(10 * stall).await;
            let (identity, server) = ("alice".parse().unwrap(), "test".to_owned());
            peer.send(&Reply::Welcome(Welcome { version: VERSION, server, identity, features: vec![] }))
                .await;
            sleep(10 * stall).await;
            tell.send(Ok(SentContent { size, sha256, wire_bytes: 9 })).unwrap();
            peer.send(&Reply::Stored(Stored { size, sha256 })).await;
        };
        let (received, ()) = tokio::join!(streamed(&mut connection.replies, watched), serving);
        let (reply, sent) = received.unwrap();
        assert!(matches!(reply, Reply::Stored(_)) && matches!(sent, Some(Ok(_))), "{reply:?}");
    }
}
