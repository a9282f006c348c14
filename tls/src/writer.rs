//! The sending half.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustls::{AlertDescription, Error};
use tokio::io::AsyncWrite;

use crate::reader::KEY_UPDATE;
use crate::record::{ALERT, DATA, HANDSHAKE, Key, PLAINTEXT, Records};
use crate::shared::Shared;

/// How much is sealed and sent at once.
const FLIGHT: usize = 16 * PLAINTEXT;

/// Memory that is kept between messages.
const KEEP: usize = 2 * 1024;

/// Writes to the peer: each slice begins a record. What the stream does not take at once is sent by the next write or a
/// flush. A shutdown says goodbye.
pub struct TlsWriter<W> {
    stream: W,
    pub(crate) key: Key,
    shared: Arc<Shared>,
    /// Records, up to `sent` gone already.
    pub(crate) sealed: Records,
    sent: usize,
    /// How many records a key may seal.
    pub(crate) limit: u64,
    ended: bool,
}

impl<W> TlsWriter<W> {
    pub(crate) fn new(stream: W, key: Key, shared: Arc<Shared>, limit: u64) -> Self {
        Self { stream, key, shared, sealed: Records::default(), sent: 0, limit, ended: false }
    }

    fn seal(&mut self, kind: u8, plaintext: &[u8]) -> Result<(), Error> {
        self.change_key_if_due()?;
        self.key.seal(kind, plaintext, &mut self.sealed)
    }

    /// Seals with a new key from now on, if the peer wants one or the old one was used often enough. The peer is not
    /// asked for one in turn: it counts for itself.
    fn change_key_if_due(&mut self) -> Result<(), Error> {
        // Two more records are sealed with an old key at most: this message and a goodbye.
        if self.shared.new_key_asked() || self.key.sequence() + 2 >= self.limit {
            let [kind, high, middle, low] = KEY_UPDATE;
            self.key.seal(HANDSHAKE, &[kind, high, middle, low, 0], &mut self.sealed)?;
            self.key = self.shared.succession().next_sealing()?;
        }
        Ok(())
    }
}

impl<W: AsyncWrite + Unpin> TlsWriter<W> {
    /// Sends all that was sealed.
    fn poll_send(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.sent < self.sealed.bytes().len() {
            let count =
                ready!(Pin::new(&mut self.stream).poll_write(context, &self.sealed.bytes()[self.sent..]))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.sent += count;
        }
        self.sealed.clear();
        self.sent = 0;
        Poll::Ready(Ok(()))
    }
}

impl<W: AsyncWrite + Unpin> AsyncWrite for TlsWriter<W> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if this.ended {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if this.sealed.bytes().len() >= FLIGHT {
            ready!(this.poll_send(context))?;
        }
        let mut taken = 0;
        for plaintext in slices.iter().flat_map(|slice| slice.chunks(PLAINTEXT)) {
            this.seal(DATA, plaintext).map_err(io::Error::other)?;
            taken += plaintext.len();
            if taken >= FLIGHT {
                break;
            }
        }
        match this.poll_send(context) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            _ => Poll::Ready(Ok(taken)),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if !this.ended {
            this.change_key_if_due().map_err(io::Error::other)?;
        }
        ready!(this.poll_send(context))?;
        if this.sealed.capacity() > KEEP {
            this.sealed = Records::default();
        }
        Pin::new(&mut this.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if !this.ended {
            let alert = this.shared.alert();
            let level = if alert == AlertDescription::CloseNotify { 1 } else { 2 };
            this.key.seal(ALERT, &[level, alert.into()], &mut this.sealed).map_err(io::Error::other)?;
            this.ended = true;
        }
        ready!(this.poll_send(context))?;
        Pin::new(&mut this.stream).poll_shutdown(context)
    }
}

impl<W> std::fmt::Debug for TlsWriter<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsWriter").finish_non_exhaustive()
    }
}
