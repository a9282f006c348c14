//! A stream below TLS that receives in large pieces.

use std::io;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use sealift_protocol::io::Movement;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes that one system call receives at most.
const PIECE: usize = 128 * 1024;

/// Pieces that all connections of the process may hold at once. More connections receive without reading ahead.
const MOST: usize = 64;

/// Unused pieces that are kept for the next connection.
const KEPT: usize = 8;

static POOL: Mutex<PiecePool> = Mutex::new(PiecePool { free: Vec::new(), lent: 0 });

/// A stream that reads ahead, so that one system call receives many TLS records.
///
/// rustls asks the stream for one record at a time. The stream holds memory only while received bytes wait in it: an
/// idle connection holds none. Reading ahead is off until [`begin`](Self::begin), so a stranger in a handshake cannot
/// occupy memory here.
#[derive(Debug)]
pub struct ReadAhead<S> {
    stream: S,
    begun: bool,
    piece: Option<ReadPiece>,
    written: Movement,
}

/// Received bytes that TLS has not taken yet.
#[derive(Debug)]
struct ReadPiece {
    /// Empty only while the piece is dropped.
    memory: Vec<u8>,
    start: usize,
    end: usize,
}

#[derive(Debug)]
struct PiecePool {
    free: Vec<Vec<u8>>,
    lent: usize,
}

impl<S> ReadAhead<S> {
    /// A stream that does not read ahead yet.
    pub fn new(stream: S) -> Self {
        Self { stream, begun: false, piece: None, written: Movement::default() }
    }

    /// Reads ahead from now on.
    pub fn begin(&mut self) {
        self.begun = true;
    }

    /// Counts the bytes that the stream takes. TLS may hold more of them than a slow line takes in a minute.
    pub fn written(&self) -> Movement {
        self.written.clone()
    }

    /// The stream below TLS. What was read ahead is not in it any more.
    pub fn get_ref(&self) -> &S {
        &self.stream
    }
}

impl ReadPiece {
    /// Memory for a piece; `None` if too many connections hold one.
    fn take() -> Option<Self> {
        let memory = {
            let mut pool = pool();
            if pool.lent >= MOST {
                return None;
            }
            pool.lent += 1;
            pool.free.pop()
        };
        Some(Self { memory: memory.unwrap_or_else(|| vec![0; PIECE]), start: 0, end: 0 })
    }

    fn waiting(&self) -> &[u8] {
        &self.memory[self.start..self.end]
    }
}

impl Drop for ReadPiece {
    fn drop(&mut self) {
        let mut pool = pool();
        pool.lent -= 1;
        if pool.free.len() < KEPT {
            pool.free.push(std::mem::take(&mut self.memory));
        }
    }
}

fn pool() -> MutexGuard<'static, PiecePool> {
    POOL.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<S: AsyncRead + Unpin> AsyncRead for ReadAhead<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.piece.is_none() {
            let piece = if this.begun && room.remaining() < PIECE { ReadPiece::take() } else { None };
            let Some(mut piece) = piece else {
                return Pin::new(&mut this.stream).poll_read(context, room);
            };
            let mut received = ReadBuf::new(&mut piece.memory);
            ready!(Pin::new(&mut this.stream).poll_read(context, &mut received))?;
            piece.end = received.filled().len();
            this.piece = Some(piece);
        }
        if let Some(piece) = &mut this.piece {
            let count = room.remaining().min(piece.waiting().len());
            room.put_slice(&piece.waiting()[..count]);
            piece.start += count;
            if piece.waiting().is_empty() {
                this.piece = None;
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ReadAhead<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let count = ready!(Pin::new(&mut self.stream).poll_write(context, bytes))?;
        self.written.count(count);
        Poll::Ready(Ok(count))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let count = ready!(Pin::new(&mut self.stream).poll_write_vectored(context, slices))?;
        self.written.count(count);
        Poll::Ready(Ok(count))
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
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    fn content(size: usize) -> Vec<u8> {
        (0..size).map(|i| u8::try_from(i % 251).unwrap()).collect()
    }

    #[tokio::test]
    async fn bytes_come_through_whole_and_memory_is_held_only_while_some_wait() {
        for begun in [false, true] {
            let (mut near, far) = duplex(4 * PIECE);
            let mut stream = ReadAhead::new(far);
            if begun {
                stream.begin();
            }
            let sent = content(3 * PIECE + 5);
            near.write_all(&sent).await.unwrap();
            let mut received = Vec::new();
            for size in [1, 5, 4096, 18_000].into_iter().cycle() {
                let mut room = vec![0; size.min(sent.len() - received.len())];
                let count = stream.read(&mut room).await.unwrap();
                received.extend_from_slice(&room[..count]);
                // The first piece is not used up by the first byte.
                assert_eq!(stream.piece.is_some(), begun && received.len() % PIECE != 0 && received != sent);
                if received.len() == sent.len() {
                    break;
                }
            }
            assert!(received == sent);
            let waiting = tokio::time::timeout(std::time::Duration::ZERO, stream.read_u8()).await;
            assert!(waiting.is_err() && stream.piece.is_none(), "an idle connection holds no memory");
            drop(near);
            assert_eq!(stream.read(&mut [0; 9]).await.unwrap(), 0);
        }
    }

    #[tokio::test]
    async fn connections_beyond_the_limit_receive_all_the_same() {
        let mut streams = Vec::new();
        for number in 0..2 * MOST {
            let (mut near, far) = duplex(100);
            let mut stream = ReadAhead::new(far);
            stream.begin();
            near.write_all(&[u8::try_from(number).unwrap(); 100]).await.unwrap();
            stream.read_u8().await.unwrap();
            streams.push((near, stream));
        }
        let holding = streams.iter().filter(|(_, stream)| stream.piece.is_some()).count();
        assert!((1..=MOST).contains(&holding), "{holding}");
        for (number, (_near, stream)) in streams.iter_mut().enumerate() {
            let mut rest = [0; 99];
            stream.read_exact(&mut rest).await.unwrap();
            assert!(rest.iter().all(|byte| usize::from(*byte) == number));
        }
    }
}
