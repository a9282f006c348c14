//! The sending half of an upload.

use std::collections::VecDeque;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sealift_pipeline::ReadStage;
use sealift_protocol::frame::HEADER;
use sealift_protocol::io::StreamError;
use sealift_protocol::message::{
    Body, MAX_INLINE, MAX_PLAN, Nanoseconds, Part, Plan, PlannedFile, Put, SLICES_AHEAD, Trailer, Turn,
    Verdict,
};
use sealift_protocol::{Request, WireError};
use sealift_types::{Digest, ErrorCode, Hasher};
use tokio::sync::{mpsc, oneshot};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use super::board::JobBoard;
use super::job::{
    INPUT, LargeUpload, NextStep, PendingKind, PendingReply, ReplyFeedback, SentContent, UploadJob,
    UploadKind,
};
use super::prepare::{self, Inline, Intake, Prepared, again, thread_failed};
use super::share::{SharedUpload, SliceToSend, UploadOffers};

use crate::connection::RequestWriter;
use crate::error::{TransferError, Unfit};
use crate::event::{Event, ServerCopy};
use crate::local;
use crate::pace::LEAST;

/// Requests that may wait for their answers.
const WINDOW: usize = 256;

/// Bytes of small files that may wait for their answers.
const WINDOW_BYTES: usize = 4 * 1024 * 1024;

/// Small files gather up to here before they are written.
const BATCH: usize = 128 * 1024;

/// Bytes of JSON that a plan may take; the limit of a message is a little higher.
const PLAN_BYTES: usize = 60_000;

/// While a large file is hashed, or a pipe yields nothing, nothing is sent. An empty plan between requests, an empty
/// frame within a content, now and then, shows the server that this end lives.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

pub(super) struct UploadSender<'a> {
    requests: &'a mut RequestWriter,
    expect: mpsc::UnboundedSender<PendingReply>,
    feedback: mpsc::UnboundedReceiver<ReplyFeedback>,
    board: &'a JobBoard<'a>,
    offers: &'a UploadOffers,
    /// Large files that the server has not been asked about, and the JSON bytes that they take in a plan.
    unplanned: Vec<LargeUpload>,
    unplanned_bytes: usize,
    /// Large files that can be sent.
    decided: VecDeque<(LargeUpload, Verdict)>,
    /// Requests without an answer, and the sum of their weights.
    outstanding: usize,
    weight: usize,
}

/// A file that was hashed before anything of it was sent.
struct HashedFile {
    size: u64,
    sha256: Digest,
    mtime: Option<Nanoseconds>,
    executable: bool,
}

/// What is streamed.
enum StreamInput {
    File(local::Source),
    Pipe(Box<dyn Read + Send>),
}

impl<'a> UploadSender<'a> {
    pub(super) fn new(
        requests: &'a mut RequestWriter,
        expect: mpsc::UnboundedSender<PendingReply>,
        feedback: mpsc::UnboundedReceiver<ReplyFeedback>,
        board: &'a JobBoard<'a>,
        offers: &'a UploadOffers,
    ) -> Self {
        Self {
            requests,
            expect,
            feedback,
            board,
            offers,
            unplanned: Vec::new(),
            unplanned_bytes: 0,
            decided: VecDeque::new(),
            outstanding: 0,
            weight: 0,
        }
    }

    /// Sends everything, until each request is answered and nothing follows from the answers.
    pub(super) async fn run(mut self, intake: &mut Intake) -> Result<(), StreamError> {
        let mut more = true;
        let mut keep_alive = keep_alive();
        loop {
            if let Some((large, verdict)) = self.decided.pop_front() {
                self.transfer(large, verdict).await?;
                continue;
            }
            let has_room = self.outstanding < WINDOW && self.weight < WINDOW_BYTES;
            let has_unsent = !self.unplanned.is_empty() || self.requests.pending() > 0;
            tokio::select! {
                biased;
                Some(feedback) = self.feedback.recv(), if self.outstanding > 0 => self.take(feedback).await?,
                next = intake.next(), if more && has_room => match next {
                    Some(taken) => self.begin(taken).await?,
                    None => more = false,
                },
                // Nothing else to do just now: do not let the server wait.
                () = std::future::ready(()), if has_unsent => {
                    self.plan()?;
                    self.requests.flush().await?;
                    keep_alive.reset();
                }
                _ = keep_alive.tick(), if more => self.ask_about(Vec::new())?,
                else => return Ok(()),
            }
        }
    }

    async fn take(&mut self, ReplyFeedback { weight, next }: ReplyFeedback) -> Result<(), StreamError> {
        self.outstanding -= 1;
        self.weight -= weight;
        match next {
            NextStep::Nothing => Ok(()),
            NextStep::Decided(files) => {
                self.decided.extend(files);
                Ok(())
            }
            NextStep::Again(job) => {
                let prepared = again(job).await;
                self.submit(prepared).await
            }
        }
    }

    async fn begin(&mut self, taken: prepare::IntakeItem) -> Result<(), StreamError> {
        let prepared = match taken {
            prepare::IntakeItem::Again(prepared) => prepared,
            prepare::IntakeItem::New(prepared) => {
                let content = prepared.job().has_content();
                let UploadJob { id, path, to, .. } = prepared.job().clone();
                let size = (!matches!(prepared, Prepared::Stream(..))).then(|| prepared.size());
                (self.board.events)(Event::Found { id, remote: to, local: path, size, content });
                if prepared.mtime().is_some_and(local::is_clamped) {
                    let path = prepared.job().path.clone();
                    let error = TransferError::Unfit { path, unfit: Unfit::Time };
                    (self.board.events)(Event::Imperfect { id, error });
                }
                prepared
            }
            prepare::IntakeItem::Omitted(omitted) => {
                (self.board.events)(Event::Omitted(omitted));
                return Ok(());
            }
        };
        self.board.open(prepared.job());
        self.submit(prepared).await
    }

    async fn submit(&mut self, prepared: Prepared) -> Result<(), StreamError> {
        match prepared {
            Prepared::Request(job, request) => {
                self.requests.push(&request)?;
                self.expect(Instant::now(), 0, PendingKind::Made(job));
                self.flush_batch().await
            }
            Prepared::Inline(inline) => {
                self.inline(inline)?;
                self.flush_batch().await
            }
            Prepared::Large(large) => self.add_to_plan(large),
            Prepared::Stream(job, reader) => self.stream(job, StreamInput::Pipe(reader), 0).await,
            Prepared::DryRun(job) => {
                match job.what {
                    UploadKind::Directory { .. } => self.board.made(job.id),
                    _ => self.board.would(job.id, None, ServerCopy::No),
                }
                Ok(())
            }
            Prepared::Failed(job, error) => {
                self.board.failed(job.id, error);
                Ok(())
            }
        }
    }

    async fn flush_batch(&mut self) -> Result<(), StreamError> {
        if self.requests.pending() > BATCH { self.requests.flush().await } else { Ok(()) }
    }

    fn expect(&mut self, started: Instant, weight: usize, kind: PendingKind) {
        self.outstanding += 1;
        self.weight += weight;
        // Without a receiver the connection is over, and its end is told elsewhere.
        let _ = self.expect.send(PendingReply { started, weight, kind });
    }

    fn inline(&mut self, inline: Inline) -> Result<(), StreamError> {
        let Inline { job, content, sha256, mtime, executable } = inline;
        let (size, before) = (content.len() as u64, self.requests.bytes());
        (self.board.events)(Event::Started { id: job.id, size: Some(size), offset: 0 });
        let put = put(&job, Body::Inline, Some(size), Some(sha256), mtime, executable);
        self.requests.push(&Request::Put(put))?;
        self.requests.push_data(&content)?;
        let sent = SentContent { size, sha256, wire_bytes: self.requests.bytes() - before };
        self.expect(Instant::now(), content.len(), PendingKind::Inline(job, sent));
        Ok(())
    }

    fn add_to_plan(&mut self, large: LargeUpload) -> Result<(), StreamError> {
        // Every character of the path may need a backslash; the rest is braces, names, the size and a digest.
        let bytes = 2 * large.job.to.as_str().len() + 64 + if large.job.known.is_some() { 80 } else { 0 };
        if self.unplanned.len() == MAX_PLAN || self.unplanned_bytes + bytes > PLAN_BYTES {
            self.plan()?;
        }
        self.unplanned_bytes += bytes;
        self.unplanned.push(large);
        Ok(())
    }

    /// Asks the server what to do about the large files that have come together.
    fn plan(&mut self) -> Result<(), StreamError> {
        if !self.unplanned.is_empty() {
            let unplanned = std::mem::take(&mut self.unplanned);
            self.unplanned_bytes = 0;
            self.ask_about(unplanned)?;
        }
        Ok(())
    }

    fn ask_about(&mut self, files: Vec<LargeUpload>) -> Result<(), StreamError> {
        let planned = |large: &LargeUpload| {
            let UploadJob { to, manner, resumable, known, .. } = &large.job;
            // A part that nobody is going to continue need not be offered.
            let timed = manner.update || (*resumable && !manner.dry_run);
            PlannedFile {
                path: to.clone(),
                size: large.size,
                mtime: large.mtime.filter(|_| timed),
                // Without a time nothing is newer.
                update: manner.update && large.mtime.is_some(),
                // A digest only asks. A claim does more, and needs no question before it.
                sha256: known.filter(|_| manner.dry_run).map(|(_, sha256)| sha256),
            }
        };
        self.requests.push(&Request::Plan(Plan { files: files.iter().map(planned).collect() }))?;
        self.expect(Instant::now(), 0, PendingKind::Plan(files));
        Ok(())
    }

    async fn transfer(&mut self, large: LargeUpload, verdict: Verdict) -> Result<(), StreamError> {
        match verdict {
            Verdict::Refuse(error) => match self.board.redirected(&large.job, &error) {
                Some(job) => self.add_to_plan(LargeUpload { job, ..large }),
                None => {
                    self.board.failed(large.job.id, error.into());
                    Ok(())
                }
            },
            Verdict::Keep => {
                self.board.kept(large.job.id);
                Ok(())
            }
            verdict if large.job.manner.dry_run => self.dry_run(large, &verdict).await,
            Verdict::Hash | Verdict::Present => self.claim(large).await,
            // It was planned only because the server might have had it.
            Verdict::Send if large.size <= MAX_INLINE => {
                let mut job = large.job;
                job.manner.ask_first = false;
                let prepared = again(job).await;
                Box::pin(self.submit(prepared)).await
            }
            Verdict::Send => self.send(large.job, 0).await,
            Verdict::Resume { offset } => {
                self.board.kept_there(large.job.id, offset);
                self.send(large.job, offset).await
            }
        }
    }

    /// Tells that a file would be stored, and whether its content need not be sent.
    async fn dry_run(&mut self, mut large: LargeUpload, verdict: &Verdict) -> Result<(), StreamError> {
        let at_server = match verdict {
            // What is small is sent at once, whatever the server has.
            _ if large.size <= MAX_INLINE => ServerCopy::No,
            Verdict::Hash if large.job.known.is_none() => {
                if self.hash(&mut large).await?.is_some() {
                    self.add_to_plan(large)?;
                }
                return Ok(());
            }
            // A server that does not know digests in plans.
            Verdict::Hash => ServerCopy::Perhaps,
            Verdict::Present => ServerCopy::Yes,
            _ => ServerCopy::No,
        };
        self.board.would(large.job.id, Some(large.size), at_server);
        Ok(())
    }

    /// Sends a file from `offset` on.
    async fn send(&mut self, job: UploadJob, offset: u64) -> Result<(), StreamError> {
        match open(&job, self.board).await {
            Some(source) => self.stream(job, StreamInput::File(source), offset).await,
            None => Ok(()),
        }
    }

    /// Waits for the digest of what the server has; `None` if that cannot be read.
    async fn part(&mut self, mut part: oneshot::Receiver<Part>) -> Result<Option<Part>, StreamError> {
        self.requests.flush().await?;
        let mut keep_alive = keep_alive();
        loop {
            tokio::select! {
                biased;
                part = &mut part => return Ok(part.ok()),
                _ = keep_alive.tick() => {
                    self.ask_about(Vec::new())?;
                    self.requests.flush().await?;
                }
            }
        }
    }

    /// Hashes a file and claims that the server has its content.
    async fn claim(&mut self, mut large: LargeUpload) -> Result<(), StreamError> {
        let started = Instant::now();
        let Some(HashedFile { size, sha256, mtime, executable }) = self.hash(&mut large).await? else {
            return Ok(());
        };
        let before = self.requests.bytes();
        let claim = put(&large.job, Body::Claim, Some(size), Some(sha256), mtime, executable);
        self.requests.push(&Request::Put(claim))?;
        let sent = SentContent { size, sha256, wire_bytes: self.requests.bytes() - before };
        self.expect(started, 0, PendingKind::Claim(large, sent));
        Ok(())
    }

    /// Hashes a file and keeps the digest in its job; `None` if that failed, which is told.
    async fn hash(&mut self, large: &mut LargeUpload) -> Result<Option<HashedFile>, StreamError> {
        // Nobody is to wait for the hash.
        self.requests.flush().await?;
        let Some(source) = open(&large.job, self.board).await else { return Ok(None) };
        let id = large.job.id;
        let (stamp, mtime, executable) = (source.stamp, source.mtime(), source.executable());
        let (filler, mut frames) = sealift_pipeline::read_stage();
        let hashing =
            spawn_blocking(move || StreamInput::File(source).pump(filler, None, 0, oneshot::channel().0));
        let mut keep_alive = keep_alive();
        let mut bytes = 0;
        loop {
            tokio::select! {
                biased;
                block = frames.next() => {
                    let Some(block) = block else { break };
                    bytes += block.iter().map(payload).sum::<u64>();
                    (self.board.events)(Event::Hashed { id, bytes });
                    frames.recycle(block);
                }
                _ = keep_alive.tick() => {
                    self.ask_about(Vec::new())?;
                    self.requests.flush().await?;
                }
            }
        }
        let (size, sha256) = match hashing.await.unwrap_or_else(|panic| Err(thread_failed(panic))) {
            Ok(hashed) => hashed,
            Err(error) => {
                self.board.failed(id, error);
                return Ok(None);
            }
        };
        large.job.known = Some((stamp, sha256));
        Ok(Some(HashedFile { size, sha256, mtime, executable }))
    }

    /// Sends a content in one pass, and hashes it meanwhile unless its digest is known. What lies before `offset` is
    /// only hashed: the server has it.
    async fn stream(&mut self, job: UploadJob, input: StreamInput, offset: u64) -> Result<(), StreamError> {
        let (started, id, before) = (Instant::now(), job.id, self.requests.bytes());
        let (size, mtime, executable, known) = match &input {
            StreamInput::File(source) => {
                let known = job.known.filter(|(stamp, _)| *stamp == source.stamp).map(|(_, sha256)| sha256);
                (Some(source.stamp.size), source.mtime(), source.executable(), known.filter(|_| offset == 0))
            }
            StreamInput::Pipe(_) => {
                (self.board.events)(Event::Started { id, size: None, offset: 0 });
                (None, None, false, None)
            }
        };
        let can_share = self.offers.connections > 1 && self.board.knows_slices();
        let whole = size.filter(|size| can_share && *size >= offset + LEAST);
        let key = whole.map(|_| fastrand::u64(..));
        let (filler, frames) =
            sealift_pipeline::read_stage_with_spare(if key.is_some() { SLICES_AHEAD } else { 0 });
        let (tell, part) = oneshot::channel();
        let reading = spawn_blocking(move || input.pump(filler, known, offset, tell));
        let resume = if offset > 0 { self.part(part).await? } else { None };
        if offset > 0 && resume.is_none() {
            let error = match reading.await {
                Ok(Err(error)) => error,
                Ok(Ok(_)) => TransferError::Protocol("the server has more of the file than there is".into()),
                Err(panic) => thread_failed(panic),
            };
            self.board.failed(id, error);
            return Ok(());
        }
        if offset > 0 {
            (self.board.events)(Event::Started { id, size, offset });
        }
        self.requests.push(&Request::Put(Put {
            resume,
            key,
            ..put(&job, Body::Stream, size, None, mtime, executable)
        }))?;
        if size.is_none() {
            // Nobody knows when a pipe yields something, and the server waits for the request only so long.
            self.requests.flush().await?;
        }
        let (mut outcome, watched) = oneshot::channel();
        self.expect(started, 0, PendingKind::Stream(job, watched));

        let extent = (offset, whole.unwrap_or(offset));
        let share = Arc::new(SharedUpload::new(id, key, extent, self.offers.eager, frames));
        let (mut offer, mut next) = (None, 0);
        let mut keep_alive = keep_alive();
        let refused = 'content: loop {
            tokio::select! {
                biased;
                () = outcome.closed() => break true,
                taken = share.take() => {
                    let Some(SliceToSend { index, frames }) = taken else { break false };
                    if index != next {
                        self.requests.push(&Turn::Turn { offset: share.offset(index) })?;
                    }
                    next = index + 1;
                    for frame in frames.iter() {
                        if outcome.is_closed() {
                            break 'content true;
                        }
                        self.requests.write_frame(frame).await?;
                        self.board.progress(id, share.sent(payload(frame)));
                    }
                    share.recycle(frames);
                    if key.is_some() {
                        // What comes next may wait for others, and these for the server, which waits for the end of this.
                        self.requests.flush().await?;
                    }
                    if offer.is_none() && share.wants_others() {
                        offer = Some(self.offers.offer(&share));
                    }
                }
                _ = keep_alive.tick() => {
                    self.requests.push_data(&[])?;
                    self.requests.flush().await?;
                }
            }
        };
        drop(offer);
        // The trailer keeps the conversation in step, whatever happened.
        let failed = |message: String| Trailer::Error(WireError::new(ErrorCode::SourceFailed, message));
        let (trailer, result) = if refused {
            (failed("the server had refused the file before its end".into()), None)
        } else {
            match reading.await.unwrap_or_else(|panic| Err(thread_failed(panic))) {
                Ok((size, sha256)) => (Trailer::End { size, sha256 }, Some(Ok((size, sha256)))),
                Err(error) => (failed(error.to_string()), Some(Err(error))),
            }
        };
        self.requests.push(&trailer)?;
        if let Some(result) = result {
            let wire_bytes = self.requests.bytes() - before + share.elsewhere();
            // The receiver is gone when the server has refused the file at the last moment.
            let _ = outcome.send(result.map(|(size, sha256)| SentContent { size, sha256, wire_bytes }));
        }
        Ok(())
    }
}

impl StreamInput {
    /// Reads everything into frames; returns size and digest, which is `known` or else computed. Blocks.
    ///
    /// What lies before `offset` is hashed only, and `part` told its digest.
    fn pump(
        mut self,
        filler: ReadStage,
        known: Option<Digest>,
        offset: u64,
        part: oneshot::Sender<Part>,
    ) -> Result<(u64, Digest), TransferError> {
        let mut hasher = known.is_none().then(Hasher::new);
        let (size, computed) = match &mut self {
            Self::File(source) => {
                let source = &*source;
                if let Some(hasher) = hasher.as_mut().filter(|_| offset > 0) {
                    hasher.read(source, offset).or_else(|error| {
                        // It may have become shorter.
                        source.check(0)?;
                        Err(source.unreadable()(error))
                    })?;
                    // Should nobody want to know any more, nobody takes the frames either.
                    let _ = part.send(Part { size: offset, sha256: hasher.clone().finish() });
                }
                let rest = source.stamp.size.saturating_sub(offset);
                let (read, computed) = filler.run(source, Some(rest), hasher).map_err(source.unreadable())?;
                source.check(offset + read)?;
                (offset + read, computed)
            }
            Self::Pipe(reader) => {
                let unreadable = TransferError::local("read", Path::new(INPUT));
                filler.run(reader, None, hasher).map_err(unreadable)?
            }
        };
        Ok((size, computed.or(known).expect("a digest that is not known is computed")))
    }
}

/// Opens a file, or tells why not.
async fn open(job: &UploadJob, board: &JobBoard<'_>) -> Option<local::Source> {
    let file = job.clone();
    let opened = spawn_blocking(move || file.open()).await;
    match opened.unwrap_or_else(|panic| Err(thread_failed(panic))) {
        Ok(source) => {
            (board.events)(Event::Started { id: job.id, size: Some(source.stamp.size), offset: 0 });
            Some(source)
        }
        Err(error) => {
            board.failed(job.id, error);
            None
        }
    }
}

/// Payload bytes of a data frame.
fn payload(frame: &[u8]) -> u64 {
    (frame.len() - HEADER) as u64
}

/// Ticks from now on, however late the last tick was noticed.
fn keep_alive() -> Interval {
    let mut interval = interval_at(Instant::now() + KEEP_ALIVE, KEEP_ALIVE);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

fn put(
    job: &UploadJob,
    body: Body,
    size: Option<u64>,
    sha256: Option<Digest>,
    mtime: Option<Nanoseconds>,
    executable: bool,
) -> Put {
    Put {
        path: job.to.clone(),
        body,
        size,
        sha256,
        mtime,
        executable,
        update: job.manner.update && mtime.is_some(),
        resume: None,
        key: None,
    }
}
