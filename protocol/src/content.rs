//! Contents on their way between files and frames.
//!
//! Reading, hashing and writing block, so they run on a thread of their own beside the one that encrypts and sends or
//! receives and decrypts. The two pass a few buffers back and forth: that is all the memory a transfer uses, whatever
//! the file's size, and each side waits for the other when it is ahead.

use std::io::{self, Read, Write};
use std::sync::mpsc as blocking;
use std::thread;

use tokio::sync::mpsc;

use crate::frame::{HEADER, MAX_DATA};
use crate::{Digest, FrameKind, Hasher, Header};

/// Payload bytes of a data frame: large enough to spread the cost of a frame, small enough for a core's cache.
pub const FRAME: usize = 256 * 1024;

/// Buffers that circulate in one transfer.
const BUFFERS: usize = 8;

const _: () = assert!(FRAME <= MAX_DATA);

/// A data frame with its header, ready to be written or waiting to be filled.
#[derive(Debug, Default)]
pub struct Frame(Vec<u8>);

impl Frame {
    /// Makes room for `length` payload bytes, at most [`MAX_DATA`], and writes the header.
    fn resize(&mut self, header: Header) {
        self.0.resize(HEADER + header.length(), 0);
        self.0[..HEADER].copy_from_slice(&header.encode());
    }

    /// Header and payload.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The payload.
    pub fn payload(&self) -> &[u8] {
        self.0.get(HEADER..).unwrap_or_default()
    }

    fn payload_mut(&mut self) -> &mut [u8] {
        self.0.get_mut(HEADER..).unwrap_or_default()
    }
}

/// What became of a content that was read: its size and digest, or why it could not be read.
pub type Outcome = io::Result<(u64, Option<Digest>)>;

/// The blocking half of a sender: run it on a thread that may block.
#[derive(Debug)]
pub struct Filler {
    full: mpsc::Sender<Frame>,
    empty: blocking::Receiver<Frame>,
}

/// The asynchronous half of a sender.
#[derive(Debug)]
pub struct FullFrames {
    full: mpsc::Receiver<Frame>,
    empty: blocking::Sender<Frame>,
}

/// The two halves that carry a content from a reader to the wire.
pub fn sender() -> (Filler, FullFrames) {
    let (full, full_frames) = mpsc::channel(BUFFERS);
    let (empty, empty_frames) = blocking::channel();
    (Filler { full, empty: empty_frames }, FullFrames { full: full_frames, empty })
}

impl Filler {
    /// Reads `source` to its end, or up to `limit` bytes, and hands on one frame after another.
    ///
    /// `hasher` has seen what lies before the source's position; without one no digest is computed. Returns the bytes
    /// read. When nobody takes the frames any more, it stops early with [`io::ErrorKind::BrokenPipe`].
    pub fn run(self, mut source: impl Read, limit: Option<u64>, mut hasher: Option<Hasher>) -> Outcome {
        let mut made = 0;
        let mut total = 0;
        let gone = || io::Error::from(io::ErrorKind::BrokenPipe);
        loop {
            let want =
                limit.map_or(FRAME, |limit| usize::try_from(limit - total).unwrap_or(FRAME).min(FRAME));
            if want == 0 {
                break;
            }
            let mut frame = match self.empty.try_recv() {
                Ok(frame) => frame,
                Err(_) if made < BUFFERS => {
                    made += 1;
                    Frame::default()
                }
                Err(_) => self.empty.recv().map_err(|_| gone())?,
            };
            frame.resize(header(want));
            let count = read_full(&mut source, frame.payload_mut())?;
            if count == 0 {
                break;
            }
            frame.resize(header(count));
            if let Some(hasher) = &mut hasher {
                hasher.update(frame.payload());
            }
            total += count as u64;
            self.full.blocking_send(frame).map_err(|_| gone())?;
            if count < want {
                break;
            }
        }
        Ok((total, hasher.map(Hasher::finish)))
    }
}

impl FullFrames {
    /// The next frame, or `None` when the [`Filler`] has ended.
    pub async fn next(&mut self) -> Option<Frame> {
        self.full.recv().await
    }

    /// Gives a frame back for reuse.
    pub fn recycle(&self, frame: Frame) {
        // The filler may have ended already; then nobody needs it.
        let _ = self.empty.send(frame);
    }
}

/// The blocking half of a receiver: run it on a thread that may block.
#[derive(Debug)]
pub struct Drainer {
    full: blocking::Receiver<Frame>,
    empty: mpsc::UnboundedSender<Frame>,
}

/// The asynchronous half of a receiver.
#[derive(Debug)]
pub struct EmptyFrames {
    full: blocking::Sender<Frame>,
    empty: mpsc::UnboundedReceiver<Frame>,
    made: usize,
}

/// The two halves that carry a content from the wire to a writer.
pub fn receiver() -> (EmptyFrames, Drainer) {
    let (full, full_frames) = blocking::channel();
    let (empty, empty_frames) = mpsc::unbounded_channel();
    (EmptyFrames { full, empty: empty_frames, made: 0 }, Drainer { full: full_frames, empty })
}

impl EmptyFrames {
    /// An empty frame with room for what `header` announces, or `None` when the [`Drainer`] has failed.
    pub async fn next(&mut self, header: Header) -> Option<Frame> {
        let mut frame = match self.empty.try_recv() {
            Ok(frame) => frame,
            Err(mpsc::error::TryRecvError::Disconnected) => return None,
            Err(mpsc::error::TryRecvError::Empty) if self.made < BUFFERS => {
                self.made += 1;
                Frame::default()
            }
            Err(mpsc::error::TryRecvError::Empty) => self.empty.recv().await?,
        };
        frame.resize(header);
        Some(frame)
    }

    /// The place in `frame` that the payload is to be read into.
    pub fn room(frame: &mut Frame) -> &mut [u8] {
        frame.payload_mut()
    }

    /// Hands a filled frame on.
    pub fn pass(&self, frame: Frame) {
        // Should the drainer have failed, `next` says so.
        let _ = self.full.send(frame);
    }
}

impl Drainer {
    /// Writes and hashes everything that is handed on, until the other half is dropped.
    pub fn run(self, mut target: impl Write, mut hasher: Hasher) -> io::Result<(u64, Digest)> {
        let mut total = 0;
        while let Ok(frame) = self.full.recv() {
            hasher.update(frame.payload());
            target.write_all(frame.payload())?;
            total += frame.payload().len() as u64;
            let _ = self.empty.send(frame);
        }
        target.flush()?;
        Ok((total, hasher.finish()))
    }

    /// The same with a second thread for the writing, where that takes about as long as the hashing: a file in the page
    /// cache.
    pub fn run_beside(self, mut target: impl Write + Send, mut hasher: Hasher) -> io::Result<(u64, Digest)> {
        let Self { full, empty } = self;
        let (hashed, hashed_frames) = blocking::channel::<Frame>();
        thread::scope(|scope| {
            let writing = scope.spawn(move || {
                while let Ok(frame) = hashed_frames.recv() {
                    target.write_all(frame.payload())?;
                    let _ = empty.send(frame);
                }
                target.flush()
            });
            let mut total = 0;
            while let Ok(frame) = full.recv() {
                hasher.update(frame.payload());
                total += frame.payload().len() as u64;
                if hashed.send(frame).is_err() {
                    // The writing has failed, and says why.
                    break;
                }
            }
            drop(hashed);
            match writing.join() {
                Ok(written) => written.map(|()| (total, hasher.finish())),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }
}

fn header(length: usize) -> Header {
    Header::new(FrameKind::Data, length).expect("FRAME is within MAX_DATA, as asserted above")
}

/// Reads until `buffer` is full or the source ends; interruptions are not failures.
fn read_full(source: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match source.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn across(
        content: &[u8],
        limit: Option<u64>,
        beside: bool,
    ) -> (Vec<u8>, Outcome, io::Result<(u64, Digest)>) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        runtime.block_on(async {
            let (filler, mut full) = sender();
            let (mut empty, drainer) = receiver();
            let source = content.to_vec();
            let filling =
                tokio::task::spawn_blocking(move || filler.run(&source[..], limit, Some(Hasher::new())));
            let draining = tokio::task::spawn_blocking(move || {
                let mut target = Vec::new();
                let outcome = if beside {
                    drainer.run_beside(&mut target, Hasher::new())
                } else {
                    drainer.run(&mut target, Hasher::new())
                };
                (target, outcome)
            });
            while let Some(frame) = full.next().await {
                let header = Header::decode(frame.bytes()[..HEADER].try_into().unwrap()).unwrap();
                let mut copy = empty.next(header).await.unwrap();
                EmptyFrames::room(&mut copy).copy_from_slice(frame.payload());
                empty.pass(copy);
                full.recycle(frame);
            }
            drop(empty);
            let (target, drained) = draining.await.unwrap();
            (target, filling.await.unwrap(), drained)
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn contents_of_any_size_arrive_whole(
            frames in 0usize..10, rest in prop_oneof![Just(0usize), Just(1), 0..FRAME], limited: bool, beside: bool,
        ) {
            let content: Vec<u8> = (0..frames * FRAME + rest).map(|i| u8::try_from(i % 251).unwrap()).collect();
            let limit = limited.then_some(content.len() as u64 / 2);
            let sent = &content[..limit.map_or(content.len(), |l| usize::try_from(l).unwrap())];
            let (arrived, filled, drained) = across(&content, limit, beside);
            prop_assert!(arrived == sent);
            prop_assert_eq!(filled.unwrap(), (sent.len() as u64, Some(Digest::of(sent))));
            prop_assert_eq!(drained.unwrap(), (sent.len() as u64, Digest::of(sent)));
        }
    }

    #[test]
    fn a_filler_whose_frames_nobody_takes_ends() {
        let (filler, full) = sender();
        drop(full);
        let outcome = filler.run(io::repeat(7), None, None);
        assert_eq!(outcome.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }

    #[tokio::test]
    async fn a_drainer_that_fails_stops_the_receiver() {
        for beside in [false, true] {
            fails(beside).await;
        }
    }

    async fn fails(beside: bool) {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (mut empty, drainer) = receiver();
        let draining = tokio::task::spawn_blocking(move || {
            if beside { drainer.run_beside(Full, Hasher::new()) } else { drainer.run(Full, Hasher::new()) }
        });
        let mut passed = 0;
        while let Some(frame) = empty.next(header(1)).await {
            empty.pass(frame);
            passed += 1;
            assert!(passed <= BUFFERS);
        }
        drop(empty);
        assert_eq!(draining.await.unwrap().unwrap_err().kind(), io::ErrorKind::StorageFull);
    }
}
