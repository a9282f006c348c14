//! A limit to how fast bytes cross, shared by all connections of a client.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// How much may cross at once after a pause.
const BURST: Duration = Duration::from_millis(50);

/// The bytes of a TLS record at most.
const TLS_RECORD: u64 = 16 * 1024;

/// A rate that is not exceeded, in each direction.
#[derive(Debug, Clone)]
pub struct Limit(Arc<DirectionLimits>);

#[derive(Debug)]
struct DirectionLimits {
    /// Bytes in a second.
    rate: u64,
    up: Mutex<Option<Instant>>,
    down: Mutex<Option<Instant>>,
}

impl Limit {
    /// At most `rate` bytes in a second each way, TLS included.
    pub fn new(rate: u64) -> Self {
        Self(Arc::new(DirectionLimits { rate: rate.max(1), up: Mutex::default(), down: Mutex::default() }))
    }

    /// How many connections may share the limit without one of them seeming to stall: TLS passes on no byte of a record
    /// before it is whole.
    pub(crate) fn most_connections(&self) -> usize {
        usize::try_from(self.0.rate / TLS_RECORD).unwrap_or(usize::MAX).max(1)
    }

    /// The most bytes to move in one go, so that the rate is even.
    fn piece(&self) -> usize {
        usize::try_from(self.0.rate / 20).unwrap_or(usize::MAX).clamp(512, 1024 * 1024)
    }

    /// Takes down that bytes have crossed. Returns from when on more may.
    fn crossed(&self, way: &Mutex<Option<Instant>>, bytes: usize) -> Instant {
        let now = Instant::now();
        let mut free = way.lock().unwrap_or_else(PoisonError::into_inner);
        let took = Duration::from_nanos(
            u64::try_from(bytes as u128 * 1_000_000_000 / u128::from(self.0.rate)).unwrap_or(u64::MAX),
        );
        // What was not used in a pause is lost, but for a little.
        let from = free.unwrap_or(now).max(now.checked_sub(BURST).unwrap_or(now));
        let next = from + took;
        *free = Some(next);
        next
    }
}

/// A stream that keeps to a limit, if there is one.
#[derive(Debug)]
pub(crate) struct Throttled<S> {
    stream: S,
    limit: Option<Limit>,
    reading: Option<Pin<Box<Sleep>>>,
    writing: Option<Pin<Box<Sleep>>>,
}

impl<S> Throttled<S> {
    pub(crate) fn new(stream: S, limit: Option<Limit>) -> Self {
        Self { stream, limit, reading: None, writing: None }
    }
}

/// Waits for the sleep to end, if there is one.
fn rested(sleep: &mut Option<Pin<Box<Sleep>>>, context: &mut Context<'_>) -> Poll<()> {
    if let Some(resting) = sleep {
        ready!(resting.as_mut().poll(context));
        *sleep = None;
    }
    Poll::Ready(())
}

impl<S: AsyncRead + Unpin> AsyncRead for Throttled<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let Some(limit) = &this.limit else { return Pin::new(&mut this.stream).poll_read(context, buffer) };
        ready!(rested(&mut this.reading, context));
        let most = buffer.remaining().min(limit.piece());
        let mut piece = ReadBuf::new(buffer.initialize_unfilled_to(most));
        ready!(Pin::new(&mut this.stream).poll_read(context, &mut piece))?;
        let count = piece.filled().len();
        buffer.advance(count);
        if count > 0 {
            this.reading = Some(Box::pin(sleep_until(limit.crossed(&limit.0.down, count))));
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Throttled<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let Some(limit) = &this.limit else { return Pin::new(&mut this.stream).poll_write(context, bytes) };
        ready!(rested(&mut this.writing, context));
        let piece = &bytes[..bytes.len().min(limit.piece())];
        let count = ready!(Pin::new(&mut this.stream).poll_write(context, piece))?;
        this.writing = Some(Box::pin(sleep_until(limit.crossed(&limit.0.up, count))));
        Poll::Ready(Ok(count))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.limit.is_none() {
            return Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        }
        let first = slices.iter().find(|slice| !slice.is_empty()).map_or(&[][..], |slice| slice);
        self.poll_write(context, first)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    #[test]
    fn a_slow_limit_is_shared_by_few_connections() {
        let most = |rate| Limit::new(rate).most_connections();
        assert_eq!([1024, 16 * 1024, 40 * 1024, 1024 * 1024].map(most), [1, 1, 2, 64]);
    }

    /// Time stands still but for the sleeps, so this takes none.
    #[tokio::test(start_paused = true)]
    async fn bytes_take_their_time_in_both_directions_and_over_all_streams() {
        const BYTES: usize = 1_000_000;
        let limit = Limit::new(100_000);
        let stream = |limit: &Limit| {
            let (near, far) = duplex(64 * 1024);
            (Throttled::new(near, Some(limit.clone())), far)
        };
        let ((mut one, mut far_one), (mut two, mut far_two)) = (stream(&limit), stream(&limit));
        let began = Instant::now();
        let half = vec![7; BYTES / 2];
        let write = async {
            tokio::try_join!(one.write_all(&half), two.write_all(&half)).unwrap();
        };
        let read = async {
            let (mut a, mut b) = (vec![0; BYTES / 2], vec![0; BYTES / 2]);
            tokio::try_join!(far_one.read_exact(&mut a), far_two.read_exact(&mut b)).unwrap();
            assert!(a == half && b == half);
        };
        tokio::join!(write, read);
        let took = began.elapsed().as_secs_f64();
        assert!((9.5..10.5).contains(&took), "{took}");

        let began = Instant::now();
        let write = async { far_one.write_all(&half).await.unwrap() };
        let read = async {
            let mut there = vec![0; BYTES / 2];
            one.read_exact(&mut there).await.unwrap();
            assert!(there == half);
        };
        tokio::join!(write, read);
        let took = began.elapsed().as_secs_f64();
        assert!((4.5..5.5).contains(&took), "{took}");
    }
}
