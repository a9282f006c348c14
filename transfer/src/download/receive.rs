//! Receiving one content.

use std::io;
use std::path::Path;

use sealift_pipeline::{BlockReceiver, WriteStage};
use sealift_protocol::message::{Content, MAX_INLINE, Trailer};
use sealift_protocol::{Header, Reply};
use sealift_types::{Digest, EntryPath, ErrorCode, Hasher};
use tokio::task::spawn_blocking;

use super::fetch::{FetchJob, FetchTarget};
use super::queue::DownloadQueue;
use super::share::{self, RangeFetcher, RangedEnd};
use super::sink::DownloadFile;
use crate::connection::{Connection, ContentPiece, ReplyReader, RequestWriter};
use crate::error::TransferError;
use crate::event::{Event, Events};
use crate::local::{self, DownloadTarget, FileSite, WritingUnderWay, make_directories};
use crate::remote::unexpected;

/// How much of a content that nobody can take is received for the sake of the connection.
const SKIP: u64 = 4 * 1024 * 1024;

/// Why a download failed while the others may go on.
pub(super) struct DownloadFailure {
    pub(super) error: TransferError,
    pub(super) what: FailureAction,
}

/// What follows from a failure.
pub(super) enum FailureAction {
    /// Nothing.
    Nothing,
    /// It is a directory, and may be one.
    Directory,
    /// What an earlier attempt left is no part of it: it is to be fetched from its start.
    WrongPart,
    /// What came is not what the server announced, by this digest: it should know.
    Report(Digest),
    /// The connection must be given up, because the rest of the content is still coming.
    Abandon,
    /// The content was replaced while it was fetched in ranges: it is to be fetched anew, over another connection.
    Changed,
}

/// A content that was received and verified.
pub(super) struct ReceivedContent {
    /// Where it is on its way to its name.
    pub(super) target: Option<DownloadTarget>,
    pub(super) size: u64,
    pub(super) sha256: Digest,
    /// Bytes of frames that crossed for it over other connections.
    pub(super) elsewhere: u64,
}

impl From<TransferError> for DownloadFailure {
    fn from(error: TransferError) -> Self {
        Self { error, what: FailureAction::Nothing }
    }
}

type ReceivedBody = Result<ReceivedContent, DownloadFailure>;

/// Takes the answer to one get. The outer error is the connection's, the inner one this file's.
pub(super) async fn receive(
    connection: &mut Connection,
    fetch: &mut FetchJob,
    queue: &DownloadQueue,
    events: Events<'_>,
) -> Result<ReceivedBody, TransferError> {
    let Connection { requests, replies, .. } = connection;
    let content = match replies.next().await? {
        Reply::Content(content) => content,
        Reply::Error(error) if error.code == ErrorCode::IsADirectory && fetch.tree.is_some() => {
            return Ok(Err(DownloadFailure { error: error.into(), what: FailureAction::Directory }));
        }
        Reply::Error(error) => return Ok(Err(TransferError::from(error).into())),
        other => return Err(unexpected(other)),
    };
    let is_possible = content.offset <= content.size && [0, fetch.offset].contains(&content.offset);
    // What is small comes whole. So nothing is ever found to be the wrong continuation of what cannot be written again.
    if !is_possible || content.offset > 0 && content.size <= MAX_INLINE {
        return Err(TransferError::Protocol("it leaves out the beginning of a content".into()));
    }
    if content.offset > fetch.kept {
        fetch.kept = content.offset;
        queue.achieve();
    }
    let written = match &fetch.to {
        FetchTarget::Stream(outlet) => outlet.written(),
        FetchTarget::File { .. } | FetchTarget::Nowhere => 0,
    };
    let replaced = written > 0 && (fetch.sha256, written) != (Some(content.sha256), content.offset);
    if let (Some(other), FetchTarget::File { path, .. }) = (fetch.sha256.replace(content.sha256), &fetch.to)
        && other != content.sha256
    {
        // What an earlier attempt left is part of a content that the file does not hold any more.
        if let Ok(site) = queue.site(fetch.directory.as_ref(), path) {
            local::remove_part(&site, &other);
        }
    }
    let id = fetch.id;
    events(Event::Started { id, size: Some(content.size), offset: content.offset });
    queue.decide(fetch, events);
    // A server that does not know of ranges sends everything at once.
    let in_ranges = fetch.length.is_some() && replies.know_slices();
    let sharing = (in_ranges && content.size - content.offset.min(content.size) > share::FIRST)
        .then_some(RangeCaller { id, requests, queue, events });
    let incoming = IncomingContent {
        replies,
        from: &fetch.from,
        bytes: content.offset,
        content,
        progress: &|bytes| events(Event::Progress { id, bytes }),
        warn: &|error| events(Event::Imperfect { id, error }),
        site: &|path| queue.site(fetch.directory.as_ref(), path),
    };
    if replaced {
        let reason =
            format!("it was replaced on the server when {written} bytes of it had been written here");
        let error = TransferError::Integrity { path: fetch.from.clone(), reason };
        incoming.decline(error).await
    } else if incoming.content.size <= MAX_INLINE {
        incoming.small(&mut fetch.to).await
    } else {
        incoming.large(&mut fetch.to, sharing).await
    }
}

/// What it takes to ask for more of a content, and to call others to it.
struct RangeCaller<'a> {
    id: usize,
    requests: &'a mut RequestWriter,
    queue: &'a DownloadQueue,
    events: Events<'a>,
}

/// A content that is on its way here.
struct IncomingContent<'a> {
    replies: &'a mut ReplyReader,
    from: &'a EntryPath,
    content: Content,
    /// Data bytes that have come.
    bytes: u64,
    progress: &'a (dyn Fn(u64) + Send + Sync),
    /// Tells of what is not as it should be, and no failure.
    warn: &'a (dyn Fn(TransferError) + Send + Sync),
    /// Finds the place of its file.
    site: &'a (dyn Fn(&Path) -> Result<FileSite, TransferError> + Send + Sync),
}

impl IncomingContent<'_> {
    /// Receives all of a small content, then writes it: no thread is worth waking for it.
    async fn small(mut self, to: &mut FetchTarget) -> Result<ReceivedBody, TransferError> {
        let mut bytes = Vec::new();
        let trailer = loop {
            match self.piece().await? {
                ContentPiece::Data(header) => {
                    let end = bytes.len();
                    bytes.resize(end + header.length(), 0);
                    self.replies.data(header, &mut bytes[end..]).await?;
                }
                ContentPiece::End(trailer) => break trailer,
            }
        };
        let sha256 = Digest::of(&bytes);
        if let Err(failure) = self.verify(&trailer, sha256) {
            return Ok(Err(failure));
        }
        let written = match to {
            FetchTarget::File { path, make_directory } => prepare_directory(path, *make_directory)
                .and_then(|()| DownloadTarget::whole(&(self.site)(path)?, &bytes, &self.content))
                .map(|(target, wanting)| self.dressed(target, wanting)),
            FetchTarget::Stream(outlet) => {
                let outlet = outlet.clone();
                // Whoever reads it may take their time.
                let writing = spawn_blocking(move || outlet.write(&bytes)).await;
                let written = writing.unwrap_or_else(|panic| Err(io::Error::other(panic)));
                written.map(|()| None).map_err(output_failed())
            }
            FetchTarget::Nowhere => Ok(None),
        };
        let size = self.content.size;
        Ok(written
            .map(|target| ReceivedContent { target, size, sha256, elsewhere: 0 })
            .map_err(DownloadFailure::from))
    }

    /// Receives a large content while a thread hashes and writes it.
    ///
    /// Dropping this future leaves what has come to the next attempt, if it is worth it, or removes it at once.
    async fn large(
        mut self,
        to: &mut FetchTarget,
        sharing: Option<RangeCaller<'_>>,
    ) -> Result<ReceivedBody, TransferError> {
        let is_stream = matches!(to, FetchTarget::Stream(_));
        let (target, drain) = match open(to, self.site, &self.content) {
            Ok(output) => output,
            // Of a range more is coming than that.
            Err(error) => return self.decline(error).await,
        };
        let unwritable = |error| match &target {
            Some(target) => target.unwritable()(error),
            None => output_failed()(error),
        };
        let (mut blocks, drainer) = sealift_pipeline::write_stage(
            sealift_pipeline::BLOCK,
            sealift_pipeline::blocks_for(Some(self.content.size)),
        );
        let draining = spawn_blocking(move || drain(drainer));
        let mut elsewhere = 0;
        let trailer = match sharing {
            None => self.whole(&mut blocks).await?,
            Some(RangeCaller { id, requests, queue, events }) => {
                let what = (id, self.from.clone(), self.content.clone());
                let mut ranges = RangeFetcher::new(requests, queue, events, what, blocks.order());
                let ended = ranges.fetch(self.replies, &mut blocks).await?;
                elsewhere = ranges.elsewhere();
                match ended {
                    RangedEnd::Complete => {
                        let Content { size, sha256, .. } = self.content;
                        self.bytes = size;
                        Some(Trailer::End { size, sha256 })
                    }
                    RangedEnd::Untaken => None,
                    RangedEnd::Replaced => {
                        drop(blocks);
                        // As long as it is written, nobody removes what has come of it.
                        let _ = draining.await;
                        let error = TransferError::Protocol(format!("{} was replaced", self.from));
                        return Ok(Err(DownloadFailure { error, what: FailureAction::Changed }));
                    }
                }
            }
        };
        drop(blocks);
        let (sink, outcome) = match draining.await {
            Ok(drained) => drained,
            Err(panic) => return self.decline(unwritable(io::Error::other(panic))).await,
        };
        let failure = match (outcome, trailer) {
            (Ok((_, sha256)), Some(trailer)) => match self.verify(&trailer, sha256) {
                Ok(()) => return Ok(self.finish(target, sink.as_ref(), elsewhere)),
                // What was written cannot be taken back, and so not be fetched once more.
                Err(DownloadFailure { error, what: FailureAction::WrongPart }) if is_stream => {
                    Ok(DownloadFailure { error, what: FailureAction::Report(self.content.sha256) })
                }
                Err(failure) => Ok(failure),
            },
            // The last bytes could not be written.
            (Err(error), Some(_)) => Ok(unwritable(error).into()),
            (outcome, None) => {
                Err(unwritable(outcome.err().unwrap_or_else(|| io::ErrorKind::UnexpectedEof.into())))
            }
        };
        if let Some(target) = target {
            target.discard();
        }
        match failure {
            Ok(failure) => Ok(Err(failure)),
            // More of it is coming.
            Err(error) => self.decline(error).await,
        }
    }

    /// Makes a verified content ready for its name.
    fn finish(
        &self,
        target: Option<DownloadTarget>,
        sink: Option<&DownloadFile>,
        elsewhere: u64,
    ) -> ReceivedBody {
        let target = match (target, sink.map(DownloadFile::file)) {
            (Some(target), Some(file)) => {
                let wanting = target.dress(file, &self.content)?;
                self.dressed(target, wanting)
            }
            _ => None,
        };
        Ok(ReceivedContent { target, size: self.content.size, sha256: self.content.sha256, elsewhere })
    }

    /// Tells what a file could not be given.
    fn dressed(&self, target: DownloadTarget, wanting: Option<TransferError>) -> Option<DownloadTarget> {
        if let Some(error) = wanting {
            (self.warn)(error);
        }
        Some(target)
    }

    /// Takes all data frames into blocks, and returns what stands behind them; `None` if nobody takes the blocks.
    async fn whole(&mut self, blocks: &mut BlockReceiver) -> Result<Option<Trailer>, TransferError> {
        loop {
            match self.piece().await? {
                ContentPiece::Data(header) => {
                    if !self.replies.receive(header, blocks).await? {
                        return Ok(None);
                    }
                    (self.progress)(self.bytes);
                }
                ContentPiece::End(trailer) => return Ok(Some(trailer)),
            }
        }
    }

    /// The next data frame, never beyond the size that was announced, or the trailer.
    async fn piece(&mut self) -> Result<ContentPiece, TransferError> {
        let piece = self.replies.piece().await?;
        if let ContentPiece::Data(header) = &piece {
            self.bytes += header_length(*header);
            if self.bytes > self.content.size {
                return Err(TransferError::Protocol(format!(
                    "more comes of {} than was announced",
                    self.from
                )));
            }
        }
        Ok(piece)
    }

    /// Holds what came against what was announced.
    fn verify(&self, trailer: &Trailer, sha256: Digest) -> Result<(), DownloadFailure> {
        let announced = (self.content.size, self.content.sha256);
        let reason = match trailer {
            // Nothing to report: the server knows already.
            Trailer::Error(error) => return Err(TransferError::from(error.clone()).into()),
            _ if self.bytes != self.content.size => {
                format!("it ends after {} bytes of {}", self.bytes, self.content.size)
            }
            _ if sha256 != self.content.sha256 => {
                format!("its SHA-256 is {sha256} and should be {}", self.content.sha256)
            }
            Trailer::End { size, sha256 } if (*size, *sha256) != announced => {
                "the server contradicts itself about its SHA-256".to_owned()
            }
            Trailer::End { .. } => return Ok(()),
        };
        let error = TransferError::Integrity { path: self.from.clone(), reason };
        // What was here already may be to blame.
        let what = if self.content.offset > 0 {
            FailureAction::WrongPart
        } else {
            FailureAction::Report(self.content.sha256)
        };
        Err(DownloadFailure { error, what })
    }

    /// Deals with a content that cannot be taken: a short rest is received, a long one ends the connection.
    async fn decline(mut self, error: TransferError) -> Result<ReceivedBody, TransferError> {
        if self.content.size - self.bytes > SKIP {
            return Ok(Err(DownloadFailure { error, what: FailureAction::Abandon }));
        }
        while let ContentPiece::Data(header) = self.piece().await? {
            self.replies.skip(header).await?;
        }
        Ok(Err(error.into()))
    }
}

/// Takes all blocks of a content. Returns what they were written to, if that is a file, and how it went.
type BlockDrain = Box<dyn FnOnce(WriteStage) -> (Option<DownloadFile>, io::Result<(u64, Digest)>) + Send>;

/// Opens what a large content is written to.
fn open(
    to: &FetchTarget,
    site: &(dyn Fn(&Path) -> Result<FileSite, TransferError> + Send + Sync),
    content: &Content,
) -> Result<(Option<DownloadTarget>, BlockDrain), TransferError> {
    let offset = content.offset;
    match to {
        FetchTarget::Stream(outlet) => {
            let outlet = outlet.clone();
            Ok((None, Box::new(move |drainer| (None, outlet.drain(offset, drainer)))))
        }
        FetchTarget::File { path, make_directory } => {
            prepare_directory(path, *make_directory)?;
            let (target, file) = DownloadTarget::open(&site(path)?, content)?;
            let mut sink = DownloadFile::new(file, content.size);
            let writing = WritingUnderWay::begin();
            let drain = move |drainer: WriteStage| {
                let mut hasher = Hasher::new();
                // Nobody waits for what is read.
                let writing = (offset == 0).then_some(writing);
                let hashed = sink.hash_part(&mut hasher, offset);
                let _writing = writing.unwrap_or_else(WritingUnderWay::begin);
                let outcome = hashed.and_then(|()| drainer.run_beside(&mut sink, hasher));
                (Some(sink), outcome)
            };
            Ok((Some(target), Box::new(drain)))
        }
        FetchTarget::Nowhere => {
            Ok((None, Box::new(|drainer| (None, drainer.run_beside(io::sink(), Hasher::new())))))
        }
    }
}

fn prepare_directory(path: &Path, make: bool) -> Result<(), TransferError> {
    if make { make_directories(local::directory_of(path)) } else { Ok(()) }
}

fn output_failed() -> impl FnOnce(io::Error) -> TransferError {
    TransferError::local("write", Path::new("standard output"))
}

fn header_length(header: Header) -> u64 {
    header.length() as u64
}
