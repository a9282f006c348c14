//! Streams that a peer controls.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes of a peer that come in pieces, with pauses between them, and then the end of the stream.
///
/// After some hundred pieces the rest comes at once, so that a long input does not take long. What is written to the stream
/// is counted and dropped.
#[derive(Debug)]
pub(crate) struct Pieces {
    bytes: Vec<u8>,
    at: usize,
    /// The size of each piece, again and again. After one of 0 bytes the stream pauses.
    sizes: Vec<u8>,
    next: usize,
    paused: bool,
    pub(crate) written: usize,
}

impl Pieces {
    pub(crate) fn new(bytes: &[u8], sizes: &[u8]) -> Self {
        Self { bytes: bytes.to_vec(), at: 0, sizes: sizes.to_vec(), next: 0, paused: false, written: 0 }
    }

    /// The size of the next piece; `None` for a pause.
    fn size(&mut self) -> Option<usize> {
        if self.next > 400 {
            return Some(usize::MAX);
        }
        let Some(size) = self.sizes.get(self.next % self.sizes.len().max(1)) else { return Some(usize::MAX) };
        self.next += 1;
        if *size == 0 && !self.paused {
            self.paused = true;
            return None;
        }
        self.paused = false;
        // Some pieces are as large as a record, some are a few bytes.
        Some(if *size < 128 { usize::from(*size).max(1) } else { usize::from(*size) * 256 })
    }
}

impl AsyncRead for Pieces {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Some(size) = self.size() else {
            context.waker().wake_by_ref();
            return Poll::Pending;
        };
        let count = size.min(room.remaining()).min(self.bytes.len() - self.at);
        let at = self.at;
        room.put_slice(&self.bytes[at..at + count]);
        self.at += count;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Pieces {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.written += bytes.len();
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Runs a future to its end. Its time-outs never pass, because a stream of [`Pieces`] never stands still.
pub(crate) fn run<T>(future: impl Future<Output = T>) -> T {
    thread_local! {
        static RUNTIME: tokio::runtime::Runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a clock is there");
    }
    RUNTIME.with(|runtime| runtime.block_on(future))
}
