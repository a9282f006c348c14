//! The receiving half.

use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustls::{AlertDescription, ContentType, Error, HandshakeType, InvalidMessage};
use tokio::io::{AsyncRead, ReadBuf};
use tokio_util::io::poll_read_buf;

use crate::record::{ALERT, DATA, HANDSHAKE, HEADER, Key, LONGEST, RECORD, inner_length, record_length};
use crate::shared::Shared;

/// How much is received at once: as much as fits in a core's own cache beside what it becomes.
const FLIGHT: usize = 16 * RECORD;
const _: () = assert!(FLIGHT >= LONGEST);

/// New keys that a peer may ask for without sending anything in between.
const KEY_UPDATES: u32 = 32;

/// `KeyUpdate`, [RFC 8446, section 4.6.3](https://www.rfc-editor.org/rfc/rfc8446#section-4.6.3), whether or not a new
/// key is wanted from the other end, too.
pub(crate) const KEY_UPDATE: [u8; 4] = [24, 0, 0, 1];

/// Reads what the peer sends. An end without the peer's goodbye is an error, [`io::ErrorKind::UnexpectedEof`].
pub struct TlsReader<R> {
    stream: R,
    key: Key,
    pub(crate) shared: Arc<Shared>,
    /// What was received, from `start` on not opened yet. Without memory while a message is waited for.
    pub(crate) received: Vec<u8>,
    start: usize,
    /// What was opened within `received`, because nobody had room for it.
    opened: Range<usize>,
    key_updates: u32,
    end: Option<End>,
}

/// Why nothing more comes.
#[derive(Clone)]
enum End {
    Goodbye,
    Failed(Error),
}

impl<R> TlsReader<R> {
    /// `received` has been received already; the range of it was opened, what follows was not.
    pub(crate) fn new(
        stream: R,
        key: Key,
        shared: Arc<Shared>,
        received: Vec<u8>,
        opened: Range<usize>,
        closed: bool,
    ) -> Self {
        let (start, end) = (opened.end, closed.then_some(End::Goodbye));
        Self { stream, key, shared, received, start, opened, key_updates: 0, end }
    }

    /// Opens the record, into `room` if it fits there.
    fn open(&mut self, record: Range<usize>, room: &mut ReadBuf<'_>) -> Result<(), Error> {
        let inner = inner_length(record.len());
        let (kind, message) = if inner <= room.remaining() {
            let plaintext = room.initialize_unfilled_to(inner);
            let (kind, count) = self.key.open(&self.received[record], plaintext)?;
            if kind == DATA {
                room.advance(count);
                self.key_updates = 0;
                return Ok(());
            }
            (kind, plaintext[..count].to_vec())
        } else {
            let start = record.start + HEADER;
            let (kind, count) = self.key.open_in_place(&mut self.received[record])?;
            if kind == DATA {
                self.opened = start..start + count;
                self.key_updates = 0;
                return Ok(());
            }
            (kind, self.received[start..start + count].to_vec())
        };
        self.message(kind, &message)
    }

    /// Takes a record that carries no data.
    fn message(&mut self, kind: u8, message: &[u8]) -> Result<(), Error> {
        match (kind, message) {
            (ALERT, &[_, alert]) => match AlertDescription::from(alert) {
                AlertDescription::CloseNotify => self.end = Some(End::Goodbye),
                AlertDescription::UserCanceled => {}
                alert => return Err(Error::AlertReceived(alert)),
            },
            (ALERT, _) => return Err(InvalidMessage::MissingData("Alert").into()),
            (HANDSHAKE, [message @ .., asked @ (0 | 1)]) if *message == KEY_UPDATE => {
                self.key_updates += 1;
                if self.key_updates > KEY_UPDATES {
                    return Err(InvalidMessage::InvalidKeyUpdate.into());
                }
                self.key = self.shared.succession().next_opening()?;
                if *asked == 1 {
                    self.shared.ask_for_new_key();
                }
            }
            (HANDSHAKE, [24, ..]) => return Err(InvalidMessage::InvalidKeyUpdate.into()),
            (HANDSHAKE, message) => {
                return Err(Error::InappropriateHandshakeMessage {
                    expect_types: vec![HandshakeType::KeyUpdate],
                    got_type: message.first().copied().unwrap_or_default().into(),
                });
            }
            (kind, _) => {
                return Err(Error::InappropriateMessage {
                    expect_types: vec![ContentType::ApplicationData],
                    got_type: kind.into(),
                });
            }
        }
        Ok(())
    }

    /// The next record that is here as a whole.
    fn whole_record(&mut self) -> Result<Option<Range<usize>>, Error> {
        let length = record_length(&self.received[self.start..])?;
        let end = length.map(|length| self.start + length).filter(|end| *end <= self.received.len());
        Ok(end.map(|end| {
            let record = self.start..end;
            self.start = end;
            record
        }))
    }

    /// Opens what is here as long as there is room. Whether it came to an end of that.
    fn open_all(&mut self, room: &mut ReadBuf<'_>) -> Result<bool, Error> {
        loop {
            let count = self.opened.len().min(room.remaining());
            let from = self.opened.start;
            room.put_slice(&self.received[from..from + count]);
            self.opened.start += count;
            if room.remaining() == 0 || self.end.is_some() {
                return Ok(false);
            }
            match self.whole_record()? {
                Some(record) => self.open(record, room)?,
                None => return Ok(true),
            }
        }
    }
}

impl<R: AsyncRead + Unpin> TlsReader<R> {
    /// Receives more. `idle` if it may be long until something comes: no memory is held then.
    fn poll_receive(&mut self, context: &mut Context<'_>, idle: bool) -> Poll<io::Result<()>> {
        if self.start == self.received.len() {
            self.received.clear();
        } else if self.start > 0 {
            self.received.drain(..self.start);
        }
        self.start = 0;
        self.opened = 0..0;
        let stream = Pin::new(&mut self.stream);
        let count = if self.received.is_empty() && self.received.capacity() < FLIGHT {
            self.received = Vec::new();
            let mut header = [0; HEADER];
            let mut room = ReadBuf::new(&mut header);
            ready!(stream.poll_read(context, &mut room))?;
            self.received.reserve_exact(FLIGHT);
            self.received.extend_from_slice(room.filled());
            room.filled().len()
        } else {
            self.received.reserve_exact(FLIGHT - self.received.len());
            match poll_read_buf(stream, context, &mut self.received) {
                Poll::Ready(count) => count?,
                Poll::Pending => {
                    if idle && self.received.is_empty() {
                        self.received = Vec::new();
                    }
                    return Poll::Pending;
                }
            }
        };
        if count == 0 {
            return Poll::Ready(Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the connection ended without TLS's goodbye",
            )));
        }
        Poll::Ready(Ok(()))
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for TlsReader<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = room.filled().len();
        // Whoever waits for a header waits for a message, which may take hours.
        let idle = room.remaining() <= HEADER;
        loop {
            let all = match this.open_all(room) {
                Ok(all) => all,
                Err(error) => {
                    this.shared.failed(&error);
                    this.end = Some(End::Failed(error));
                    false
                }
            };
            // What came before a failure is handed on first.
            if room.filled().len() > before || room.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            match &this.end {
                Some(End::Goodbye) => return Poll::Ready(Ok(())),
                Some(End::Failed(error)) => {
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error.clone())));
                }
                None if all => ready!(this.poll_receive(context, idle))?,
                None => {}
            }
        }
    }
}

impl<R> std::fmt::Debug for TlsReader<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsReader").finish_non_exhaustive()
    }
}
