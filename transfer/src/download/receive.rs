//! Receiving one content.

use std::io;
use std::path::Path;

use sealift_protocol::content::{self, Drainer, EmptyBlocks};
use sealift_protocol::message::{Content, MAX_INLINE, Trailer};
use sealift_protocol::{Digest, ErrorCode, Hasher, Header, RemotePath, Reply};
use tokio::task::spawn_blocking;

use super::queue::Queue;
use super::share::{self, Ended, Ranges};
use super::sink::Sink;
use super::{Fetch, Goal};
use crate::connection::{Connection, Piece, Replies, Requests};
use crate::error::Error;
use crate::event::{Event, Events};
use crate::local::{self, Site, Target, WritingUnderWay, make_directories};
use crate::remote::unexpected;

/// How much of a content that nobody can take is received for the sake of the connection.
const SKIP: u64 = 4 * 1024 * 1024;

/// Why a download failed while the others may go on.
pub(super) struct Failure {
    pub(super) error: Error,
    pub(super) what: What,
}

/// What follows from a failure.
pub(super) enum What {
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
pub(super) struct Taken {
    /// Where it is on its way to its name.
    pub(super) target: Option<Target>,
    pub(super) size: u64,
    pub(super) sha256: Digest,
    /// Bytes of frames that crossed for it over other connections.
    pub(super) elsewhere: u64,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { error, what: What::Nothing }
    }
}

type Received = Result<Taken, Failure>;

/// Takes the answer to one get. The outer error is the connection's, the inner one this file's.
pub(super) async fn receive(
    connection: &mut Connection,
    fetch: &mut Fetch,
    queue: &Queue,
    events: Events<'_>,
) -> Result<Received, Error> {
    let Connection { requests, replies, .. } = connection;
    let content = match replies.next().await? {
        Reply::Content(content) => content,
        Reply::Error(error) if error.code == ErrorCode::IsADirectory && fetch.tree.is_some() => {
            return Ok(Err(Failure { error: error.into(), what: What::Directory }));
        }
        Reply::Error(error) => return Ok(Err(Error::from(error).into())),
        other => return Err(unexpected(other)),
    };
    let is_possible = content.offset <= content.size && [0, fetch.offset].contains(&content.offset);
    // What is small comes whole. So nothing is ever found to be the wrong continuation of what cannot be written again.
    if !is_possible || content.offset > 0 && content.size <= MAX_INLINE {
        return Err(Error::Protocol("it leaves out the beginning of a content".into()));
    }
    if content.offset > fetch.kept {
        fetch.kept = content.offset;
        queue.achieve();
    }
    let written = match &fetch.to {
        Goal::Stream(outlet) => outlet.written(),
        Goal::File { .. } | Goal::Nowhere => 0,
    };
    let replaced = written > 0 && (fetch.sha256, written) != (Some(content.sha256), content.offset);
    if let (Some(other), Goal::File { path, .. }) = (fetch.sha256.replace(content.sha256), &fetch.to)
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
        .then_some(Sharing { id, requests, queue, events });
    let incoming = Incoming {
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
        let error = Error::Integrity { path: fetch.from.clone(), reason };
        incoming.decline(error).await
    } else if incoming.content.size <= MAX_INLINE {
        incoming.small(&mut fetch.to).await
    } else {
        incoming.large(&mut fetch.to, sharing).await
    }
}

/// What it takes to ask for more of a content, and to call others to it.
struct Sharing<'a> {
    id: usize,
    requests: &'a mut Requests,
    queue: &'a Queue,
    events: Events<'a>,
}

/// A content that is on its way here.
struct Incoming<'a> {
    replies: &'a mut Replies,
    from: &'a RemotePath,
    content: Content,
    /// Data bytes that have come.
    bytes: u64,
    progress: &'a (dyn Fn(u64) + Send + Sync),
    /// Tells of what is not as it should be, and no failure.
    warn: &'a (dyn Fn(Error) + Send + Sync),
    /// Finds the place of its file.
    site: &'a (dyn Fn(&Path) -> Result<Site, Error> + Send + Sync),
}

impl Incoming<'_> {
    /// Receives all of a small content, then writes it: no thread is worth waking for it.
    async fn small(mut self, to: &mut Goal) -> Result<Received, Error> {
        let mut bytes = Vec::new();
        let trailer = loop {
            match self.piece().await? {
                Piece::Data(header) => {
                    let end = bytes.len();
                    bytes.resize(end + header.length(), 0);
                    self.replies.data(header, &mut bytes[end..]).await?;
                }
                Piece::End(trailer) => break trailer,
            }
        };
        let sha256 = Digest::of(&bytes);
        if let Err(failure) = self.verify(&trailer, sha256) {
            return Ok(Err(failure));
        }
        let written = match to {
            Goal::File { path, make_directory } => prepare_directory(path, *make_directory)
                .and_then(|()| Target::whole(&(self.site)(path)?, &bytes, &self.content))
                .map(|(target, wanting)| self.dressed(target, wanting)),
            Goal::Stream(outlet) => {
                let outlet = outlet.clone();
                // Whoever reads it may take their time.
                let writing = spawn_blocking(move || outlet.write(&bytes)).await;
                let written = writing.unwrap_or_else(|panic| Err(io::Error::other(panic)));
                written.map(|()| None).map_err(output_failed())
            }
            Goal::Nowhere => Ok(None),
        };
        let size = self.content.size;
        Ok(written.map(|target| Taken { target, size, sha256, elsewhere: 0 }).map_err(Failure::from))
    }

    /// Receives a large content while a thread hashes and writes it.
    ///
    /// Dropping this future leaves what has come to the next attempt, if it is worth it, or removes it at once.
    async fn large(mut self, to: &mut Goal, sharing: Option<Sharing<'_>>) -> Result<Received, Error> {
        let is_stream = matches!(to, Goal::Stream(_));
        let (target, drain) = match open(to, self.site, &self.content) {
            Ok(output) => output,
            // Of a range more is coming than that.
            Err(error) => return self.decline(error).await,
        };
        let unwritable = |error| match &target {
            Some(target) => target.unwritable()(error),
            None => output_failed()(error),
        };
        let (mut blocks, drainer) =
            content::receiver(content::BLOCK, content::blocks_for(Some(self.content.size)));
        let draining = spawn_blocking(move || drain(drainer));
        let mut elsewhere = 0;
        let trailer = match sharing {
            None => self.whole(&mut blocks).await?,
            Some(Sharing { id, requests, queue, events }) => {
                let what = (id, self.from.clone(), self.content.clone());
                let mut ranges = Ranges::new(requests, queue, events, what, blocks.order());
                let ended = ranges.fetch(self.replies, &mut blocks).await?;
                elsewhere = ranges.elsewhere();
                match ended {
                    Ended::Complete => {
                        let Content { size, sha256, .. } = self.content;
                        self.bytes = size;
                        Some(Trailer::End { size, sha256 })
                    }
                    Ended::Untaken => None,
                    Ended::Replaced => {
                        drop(blocks);
                        // As long as it is written, nobody removes what has come of it.
                        let _ = draining.await;
                        let error = Error::Protocol(format!("{} was replaced", self.from));
                        return Ok(Err(Failure { error, what: What::Changed }));
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
                Err(Failure { error, what: What::WrongPart }) if is_stream => {
                    Ok(Failure { error, what: What::Report(self.content.sha256) })
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
    fn finish(&self, target: Option<Target>, sink: Option<&Sink>, elsewhere: u64) -> Received {
        let target = match (target, sink.map(Sink::file)) {
            (Some(target), Some(file)) => {
                let wanting = target.dress(file, &self.content)?;
                self.dressed(target, wanting)
            }
            _ => None,
        };
        Ok(Taken { target, size: self.content.size, sha256: self.content.sha256, elsewhere })
    }

    /// Tells what a file could not be given.
    fn dressed(&self, target: Target, wanting: Option<Error>) -> Option<Target> {
        if let Some(error) = wanting {
            (self.warn)(error);
        }
        Some(target)
    }

    /// Takes all data frames into blocks, and returns what stands behind them; `None` if nobody takes the blocks.
    async fn whole(&mut self, blocks: &mut EmptyBlocks) -> Result<Option<Trailer>, Error> {
        loop {
            match self.piece().await? {
                Piece::Data(header) => {
                    if !self.replies.receive(header, blocks).await? {
                        return Ok(None);
                    }
                    (self.progress)(self.bytes);
                }
                Piece::End(trailer) => return Ok(Some(trailer)),
            }
        }
    }

    /// The next data frame, never beyond the size that was announced, or the trailer.
    async fn piece(&mut self) -> Result<Piece, Error> {
        let piece = self.replies.piece().await?;
        if let Piece::Data(header) = &piece {
            self.bytes += header_length(*header);
            if self.bytes > self.content.size {
                return Err(Error::Protocol(format!("more comes of {} than was announced", self.from)));
            }
        }
        Ok(piece)
    }

    /// Holds what came against what was announced.
    fn verify(&self, trailer: &Trailer, sha256: Digest) -> Result<(), Failure> {
        let announced = (self.content.size, self.content.sha256);
        let reason = match trailer {
            // Nothing to report: the server knows already.
            Trailer::Error(error) => return Err(Error::from(error.clone()).into()),
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
        let error = Error::Integrity { path: self.from.clone(), reason };
        // What was here already may be to blame.
        let what = if self.content.offset > 0 { What::WrongPart } else { What::Report(self.content.sha256) };
        Err(Failure { error, what })
    }

    /// Deals with a content that cannot be taken: a short rest is received, a long one ends the connection.
    async fn decline(mut self, error: Error) -> Result<Received, Error> {
        if self.content.size - self.bytes > SKIP {
            return Ok(Err(Failure { error, what: What::Abandon }));
        }
        while let Piece::Data(header) = self.piece().await? {
            self.replies.skip(header).await?;
        }
        Ok(Err(error.into()))
    }
}

/// Takes all blocks of a content. Returns what they were written to, if that is a file, and how it went.
type Drain = Box<dyn FnOnce(Drainer) -> (Option<Sink>, io::Result<(u64, Digest)>) + Send>;

/// Opens what a large content is written to.
fn open(
    to: &Goal,
    site: &(dyn Fn(&Path) -> Result<Site, Error> + Send + Sync),
    content: &Content,
) -> Result<(Option<Target>, Drain), Error> {
    let offset = content.offset;
    match to {
        Goal::Stream(outlet) => {
            let outlet = outlet.clone();
            Ok((None, Box::new(move |drainer| (None, outlet.drain(offset, drainer)))))
        }
        Goal::File { path, make_directory } => {
            prepare_directory(path, *make_directory)?;
            let (target, file) = Target::open(&site(path)?, content)?;
            let mut sink = Sink::new(file, content.size);
            let writing = WritingUnderWay::begin();
            let drain = move |drainer: Drainer| {
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
        Goal::Nowhere => {
            Ok((None, Box::new(|drainer| (None, drainer.run_beside(io::sink(), Hasher::new())))))
        }
    }
}

fn prepare_directory(path: &Path, make: bool) -> Result<(), Error> {
    if make { make_directories(local::directory_of(path)) } else { Ok(()) }
}

fn output_failed() -> impl FnOnce(io::Error) -> Error {
    Error::local("write", Path::new("standard output"))
}

fn header_length(header: Header) -> u64 {
    header.length() as u64
}
