//! Whether a client is keeping the server waiting.
//!
//! A client that has vanished is told from one that sends by how long the server has been waiting for its next byte.
//! While the server is busy with what came, because its disk is slow, it waits for nobody.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, ReadBuf};

/// How long a connection's client has kept the server waiting.
#[derive(Debug)]
pub struct Liveness {
    opened: Instant,
    /// Since when, in milliseconds after `opened`; 0 while nobody waits.
    waiting: AtomicU64,
}

/// A stream whose reads are watched.
#[derive(Debug)]
pub struct WatchedStream<R> {
    stream: R,
    liveness: Arc<Liveness>,
}

impl Liveness {
    /// The time since a byte was asked for that has not come; zero while none is.
    pub fn silence(&self) -> Duration {
        match self.waiting.load(Ordering::Relaxed) {
            0 => Duration::ZERO,
            since => self.opened.elapsed().saturating_sub(Duration::from_millis(since)),
        }
    }

    fn waits(&self) {
        if self.waiting.load(Ordering::Relaxed) == 0 {
            let now = u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
            self.waiting.store(now.max(1), Ordering::Relaxed);
        }
    }

    fn beats(&self) {
        self.waiting.store(0, Ordering::Relaxed);
    }
}

impl Default for Liveness {
    fn default() -> Self {
        Self { opened: Instant::now(), waiting: AtomicU64::new(0) }
    }
}

impl<R> WatchedStream<R> {
    /// Watches `stream`.
    pub fn new(stream: R) -> Self {
        Self { stream, liveness: Arc::default() }
    }

    /// What is known about it, for others to look at.
    pub fn liveness(&self) -> Arc<Liveness> {
        self.liveness.clone()
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for WatchedStream<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        match polled {
            Poll::Ready(_) => self.liveness.beats(),
            Poll::Pending => self.liveness.waits(),
        }
        polled
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn silence_is_what_the_reader_waits_for_in_vain() {
        const SOON: Duration = Duration::from_millis(20);
        let (mut near, far) = tokio::io::duplex(64);
        let mut watched = WatchedStream::new(far);
        let liveness = watched.liveness();
        std::thread::sleep(SOON);
        assert_eq!(liveness.silence(), Duration::ZERO, "nobody has asked for anything");
        assert!(tokio::time::timeout(SOON, watched.read_u8()).await.is_err());
        assert!(liveness.silence() >= SOON / 2);
        near.write_u8(7).await.unwrap();
        assert_eq!(watched.read_u8().await.unwrap(), 7);
        assert_eq!(liveness.silence(), Duration::ZERO);
    }
}
