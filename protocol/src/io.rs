//! Frames over any byte stream.
//!
//! There is deliberately no read buffer: a TLS stream holds the current record decrypted already, a second copy costs
//! throughput, and a thousand idle connections would each hold one.

use std::io::{self, IoSlice};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::Serialize;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout};

use crate::frame::HEADER;
use crate::message::{MessageError, encode};
use crate::{FrameError, FrameKind, Header};

/// Buffers of control messages that grew beyond this are given back, so that an idle connection stays small.
const KEEP: usize = 2 * 1024;

/// The fewest bytes of a frame, or of an answer, that may come in a second, beyond the time for a stall: a peer that sends
/// now and then a byte is of no more use than one that sends nothing.
const SLOWEST: u64 = 256;

/// How many stalls an answer can be worth that has come fast so far.
const SAVED: u32 = 10;

/// Why a conversation cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Io(#[from] io::Error),
    /// The other end closed the connection in the middle of something.
    #[error("the other end closed the connection")]
    Closed,
    /// No byte moved for this long.
    #[error("nothing moved for {} seconds", .0.as_secs())]
    Stalled(Duration),
    /// A frame or an answer came too slowly, although never stalled.
    #[error("what the other end sends comes more slowly than {SLOWEST} bytes a second")]
    Trickled,
    /// The other end does not keep to the protocol.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A message cannot be written or understood.
    #[error(transparent)]
    Message(#[from] MessageError),
    /// A frame of the other kind was due.
    #[error("a {0:?} frame came where it has no place")]
    Unexpected(FrameKind),
}

/// Reads frames.
#[derive(Debug)]
pub struct FrameReader<R> {
    stream: R,
    stall: Duration,
    control: Vec<u8>,
    header: [u8; HEADER],
    have: usize,
    /// Payload bytes of the current frame that nobody has read yet.
    unread: usize,
    bytes: u64,
    cut: bool,
    answer: Option<Answer>,
}

/// Frames that answer one request together.
#[derive(Debug)]
struct Answer {
    /// How long may still be waited for them. It shrinks with each wait and grows with each byte.
    patience: Duration,
    /// What it never grows beyond.
    most: Duration,
}

impl Answer {
    fn came(&mut self, bytes: usize) {
        let earned = Duration::from_nanos(bytes as u64 * (1_000_000_000 / SLOWEST));
        self.patience = self.most.min(self.patience + earned);
    }
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    /// Reads from `stream`; a wait of more than `stall` in the middle of a frame is an error.
    pub fn new(stream: R, stall: Duration) -> Self {
        Self {
            stream,
            stall,
            control: Vec::new(),
            header: [0; HEADER],
            have: 0,
            unread: 0,
            bytes: 0,
            cut: false,
            answer: None,
        }
    }

    /// What comes from here on is one answer, until [`end_answer`](Self::end_answer): its frames may not take longer, all
    /// together, than one stall and a time for each of their bytes. Without, there is such a bound for each frame only.
    pub fn begin_answer(&mut self) {
        self.answer = Some(Answer { patience: self.stall, most: self.stall * SAVED });
    }

    /// What comes from here on is no part of an answer.
    pub fn end_answer(&mut self) {
        self.answer = None;
    }

    /// What is read from.
    pub fn stream(&self) -> &R {
        &self.stream
    }

    /// The bytes of all frames read so far, headers included.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether the other end closed the connection without TLS's goodbye, as one does that was killed.
    pub fn was_cut(&self) -> bool {
        self.cut
    }

    /// Whether the current frame was read to its end and nothing of the next one has come yet.
    pub fn is_between_frames(&self) -> bool {
        self.have == 0 && self.unread == 0
    }

    /// The next frame's header; `None` when the other end closed the connection between two frames.
    ///
    /// Waits up to `idle` for its first byte. Can be cancelled and called again. A payload that was not read to its end is
    /// dropped first: a failure in the middle of a frame must not let its payload pass for frames.
    pub async fn header(&mut self, idle: Duration) -> Result<Option<Header>, StreamError> {
        self.skip_payload(self.unread).await?;
        while self.have < HEADER {
            let patience = if self.have == 0 { idle } else { self.stall };
            let reading = self.stream.read(&mut self.header[self.have..]);
            let read = wait(patience, self.answer.as_mut(), reading).await?;
            match read {
                Ok(0) if self.have == 0 => return Ok(None),
                Ok(0) => return Err(StreamError::Closed),
                Ok(count) => self.have += count,
                // A peer that goes away without TLS's goodbye has closed the connection all the same.
                Err(error) if self.have == 0 && error.kind() == io::ErrorKind::UnexpectedEof => {
                    self.cut = true;
                    return Ok(None);
                }
                Err(error) => return Err(closed(error)),
            }
        }
        self.have = 0;
        let header = Header::decode(self.header)?;
        self.unread = header.length();
        self.bytes += (HEADER + header.length()) as u64;
        Ok(Some(header))
    }

    /// The payload of a control frame whose header was just read.
    pub async fn control(&mut self, header: Header) -> Result<&[u8], StreamError> {
        if header.kind() != FrameKind::Control {
            return Err(StreamError::Unexpected(header.kind()));
        }
        if self.control.capacity() > KEEP {
            self.control = Vec::new();
        }
        self.control.resize(header.length(), 0);
        fill(&mut self.stream, &mut self.control, &mut self.unread, self.stall, self.answer.as_mut()).await?;
        Ok(&self.control)
    }

    /// Reads the payload of a data frame whose header was just read into `buffer`, of exactly its length.
    pub async fn data(&mut self, header: Header, buffer: &mut [u8]) -> Result<(), StreamError> {
        if header.kind() != FrameKind::Data {
            return Err(StreamError::Unexpected(header.kind()));
        }
        debug_assert_eq!(buffer.len(), header.length());
        self.payload(buffer).await
    }

    /// Reads a part of a payload.
    pub async fn payload(&mut self, buffer: &mut [u8]) -> Result<(), StreamError> {
        fill(&mut self.stream, buffer, &mut self.unread, self.stall, self.answer.as_mut()).await
    }

    /// Reads and drops whatever comes, frames or not, until the other end closes or is silent for `patience`.
    pub async fn discard(&mut self, patience: Duration) {
        let mut scratch = vec![0; 8 * 1024];
        while let Ok(Ok(1..)) = timeout(patience, self.stream.read(&mut scratch)).await {}
    }

    /// Reads and drops a payload.
    pub async fn skip(&mut self, header: Header) -> Result<(), StreamError> {
        self.skip_payload(header.length()).await
    }

    /// Reads and drops a part of a payload.
    pub async fn skip_payload(&mut self, mut left: usize) -> Result<(), StreamError> {
        // On the heap: an array would be part of every connection's future, idle ones included.
        let mut scratch = vec![0; left.min(8 * 1024)];
        while left > 0 {
            let piece = left.min(scratch.len());
            fill(&mut self.stream, &mut scratch[..piece], &mut self.unread, self.stall, self.answer.as_mut())
                .await?;
            left -= piece;
        }
        Ok(())
    }
}

/// Why reading failed: a peer that goes away without TLS's goodbye has closed the connection all the same.
fn closed(error: io::Error) -> StreamError {
    if error.kind() == io::ErrorKind::UnexpectedEof { StreamError::Closed } else { error.into() }
}

/// Fills `buffer` from a payload of which `unread` bytes are left. It counts down with each read, so that the count is
/// right also where this future is dropped half-way.
async fn fill<R: AsyncRead + Unpin>(
    stream: &mut R,
    mut buffer: &mut [u8],
    unread: &mut usize,
    stall: Duration,
    mut answer: Option<&mut Answer>,
) -> Result<(), StreamError> {
    if buffer.len() > *unread {
        // What lies behind the payload is the next frame.
        return Err(io::Error::from(io::ErrorKind::InvalidInput).into());
    }
    let end = Instant::now() + stall + Duration::from_secs(buffer.len() as u64 / SLOWEST);
    while !buffer.is_empty() {
        let left = end.saturating_duration_since(Instant::now());
        let count = wait(stall.min(left), answer.as_deref_mut(), stream.read(buffer)).await;
        let count = count
            .map_err(|error| if left < stall { StreamError::Trickled } else { error })?
            .map_err(closed)?;
        if count == 0 {
            return Err(StreamError::Closed);
        }
        if let Some(answer) = &mut answer {
            answer.came(count);
        }
        *unread -= count;
        buffer = &mut buffer[count..];
    }
    Ok(())
}

/// Waits for bytes for as long as `patience` says, and what is left of the time for the answer that they belong to.
async fn wait<T>(
    patience: Duration,
    answer: Option<&mut Answer>,
    reading: impl Future<Output = T>,
) -> Result<T, StreamError> {
    let Some(answer) = answer else {
        return timeout(patience, reading).await.map_err(|_| StreamError::Stalled(patience));
    };
    let begun = Instant::now();
    let read = timeout(patience.min(answer.patience), reading).await;
    let is_spent = answer.patience < patience;
    answer.patience = answer.patience.saturating_sub(begun.elapsed());
    read.map_err(|_| if is_spent { StreamError::Trickled } else { StreamError::Stalled(patience) })
}

/// Counts the bytes that move below a stream that gathers them, such as TLS. Clones share the count.
#[derive(Debug, Clone, Default)]
pub struct Movement(Arc<AtomicU64>);

impl Movement {
    /// So many bytes have moved.
    pub fn count(&self, bytes: usize) {
        self.0.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// How many have moved so far.
    pub fn so_far(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Writes frames.
///
/// Control messages gather until [`flush`](Self::flush), so that many small ones share one TLS record and one packet.
#[derive(Debug)]
pub struct FrameWriter<W> {
    stream: W,
    stall: Duration,
    pending: Vec<u8>,
    bytes: u64,
    movement: Option<Movement>,
}

impl<W: AsyncWrite + Unpin> FrameWriter<W> {
    /// Writes to `stream`; a wait of more than `stall` for the other end to take something is an error.
    pub fn new(stream: W, stall: Duration) -> Self {
        Self { stream, stall, pending: Vec::new(), bytes: 0, movement: None }
    }

    /// Waits longer as long as bytes move below the stream: it may have gathered more than a slow line takes in time.
    #[must_use]
    pub fn watching(self, movement: Movement) -> Self {
        Self { movement: Some(movement), ..self }
    }

    /// The bytes of all frames written so far, headers included, unsent ones too.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes that wait for a [`flush`](Self::flush).
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Appends a control frame to what waits.
    pub fn push(&mut self, message: &impl Serialize) -> Result<(), StreamError> {
        let before = self.pending.len();
        encode(message, &mut self.pending)?;
        self.bytes += (self.pending.len() - before) as u64;
        Ok(())
    }

    /// Appends a data frame to what waits: for small ones, which are cheaper copied than sent apart.
    pub fn push_data(&mut self, payload: &[u8]) -> Result<(), StreamError> {
        let header = Header::new(FrameKind::Data, payload.len())?;
        self.pending.extend_from_slice(&header.encode());
        self.pending.extend_from_slice(payload);
        self.bytes += (HEADER + payload.len()) as u64;
        Ok(())
    }

    /// Writes what waits, then a whole frame that was built elsewhere, header included.
    pub async fn write_frame(&mut self, frame: &[u8]) -> Result<(), StreamError> {
        self.write_pending().await?;
        self.bytes += frame.len() as u64;
        drain(&mut self.stream, &mut [IoSlice::new(frame)], self.stall, self.movement.as_ref()).await
    }

    /// Writes what waits, and sees it to the socket.
    pub async fn flush(&mut self) -> Result<(), StreamError> {
        self.write_pending().await?;
        moving(self.stall, self.movement.as_ref(), self.stream.flush()).await
    }

    /// Flushes, then says goodbye.
    pub async fn close(&mut self) -> Result<(), StreamError> {
        self.flush().await?;
        moving(self.stall, self.movement.as_ref(), self.stream.shutdown()).await
    }

    async fn write_pending(&mut self) -> Result<(), StreamError> {
        let slices = &mut [IoSlice::new(&self.pending)];
        drain(&mut self.stream, slices, self.stall, self.movement.as_ref()).await?;
        self.pending.clear();
        if self.pending.capacity() > KEEP {
            self.pending = Vec::new();
        }
        Ok(())
    }
}

async fn drain<W: AsyncWrite + Unpin>(
    stream: &mut W,
    mut slices: &mut [IoSlice<'_>],
    stall: Duration,
    movement: Option<&Movement>,
) -> Result<(), StreamError> {
    // Empty slices are not written.
    IoSlice::advance_slices(&mut slices, 0);
    while !slices.is_empty() {
        let count = moving(stall, movement, stream.write_vectored(slices)).await?;
        if count == 0 {
            return Err(StreamError::Closed);
        }
        IoSlice::advance_slices(&mut slices, count);
    }
    Ok(())
}

/// Waits for `doing` as long as enough moves.
async fn moving<T>(
    stall: Duration,
    movement: Option<&Movement>,
    doing: impl Future<Output = io::Result<T>>,
) -> Result<T, StreamError> {
    let mut doing = std::pin::pin!(doing);
    let so_far = || movement.map_or(0, Movement::so_far);
    let enough = (stall.as_secs() * SLOWEST).max(1);
    loop {
        let before = so_far();
        match timeout(stall, &mut doing).await {
            Ok(done) => return Ok(done?),
            Err(_) if so_far() - before >= enough => {}
            Err(_) => return Err(StreamError::Stalled(stall)),
        }
    }
}

#[cfg(test)]
mod tests;
