//! One conversation with a server, behind the TLS handshake.

use std::time::Duration;

use sealift_pipeline::{BlockReceiver, OpenBlock};
use sealift_protocol::frame::FrameKind;
use sealift_protocol::io::{FrameReader, FrameWriter, Movement, StreamError};
use sealift_protocol::message::{ABSENCE, CONDITIONS, FEATURES, Hello, SLICES, Trailer, Welcome, decode};
use sealift_protocol::{Header, Reply, Request, VERSION};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use crate::address::Address;
use crate::error::{HandshakeError, TransferError, ends_connection};

/// How many requests may wait for their answers: as many as the server takes before it has sent any, and one refill.
const WINDOW: usize = 256 + REFILL;

/// How many bytes of requests may wait for their answers where requests and answers are not moved at the same time:
/// few enough for any system's socket buffers, so that the two ends never wait for each other.
const WINDOW_BYTES: u64 = 32 * 1024;

/// How many requests are sent together, once there is room for as many: for each by itself both ends would be woken.
const REFILL: usize = 32;

/// Where a connection's bytes come from.
pub type ByteSource = Box<dyn AsyncRead + Send + Sync + Unpin>;

/// Where a connection's bytes go.
pub type ByteSink = Box<dyn AsyncWrite + Send + Sync + Unpin>;

/// The sending half.
pub(crate) type RequestWriter = FrameWriter<ByteSink>;

/// A conversation with a server.
///
/// Every function that uses one leaves it in step, ready for the next request, or marks it as spent: when its future
/// is dropped half-way, or the conversation broke. [`Client`](crate::Client) replaces a spent connection.
pub struct Connection {
    pub(crate) requests: RequestWriter,
    pub(crate) replies: ReplyReader,
    in_step: bool,
}

impl Connection {
    /// Begins a conversation: the hello waits to be sent along with the first request.
    ///
    /// `stall` is how long nothing may move before the connection counts as lost.
    ///
    /// # Errors
    /// Fails when `agent` does not fit in a message.
    pub fn new(
        read: ByteSource,
        write: ByteSink,
        address: Address,
        agent: &str,
        stall: Duration,
    ) -> Result<Self, TransferError> {
        let mut requests = FrameWriter::new(write, stall);
        let features = FEATURES.map(str::to_owned).to_vec();
        let hello = Hello { versions: vec![VERSION], agent: agent.to_owned(), features };
        requests.push(&Request::Hello(hello)).map_err(|error| explain(error, &address))?;
        let reader = FrameReader::new(read, stall);
        let written = Movement::default();
        let replies = ReplyReader { reader, address, stall, welcome: None, written, arrived: None, last: 0 };
        Ok(Self { requests, replies, in_step: true })
    }

    /// Waits longer for the server to take something, and to answer it, as long as bytes move below TLS.
    pub(crate) fn watching(self, written: Movement) -> Self {
        let replies = ReplyReader { written: written.clone(), ..self.replies };
        Self { requests: self.requests.watching(written), replies, ..self }
    }

    /// What the server said about itself, once anything was answered.
    pub fn welcome(&self) -> Option<&Welcome> {
        self.replies.welcome.as_ref()
    }

    /// Where the server was reached.
    pub fn address(&self) -> &Address {
        &self.replies.address
    }

    /// Whether the next request can be sent.
    pub fn is_in_step(&self) -> bool {
        self.in_step
    }

    /// Says goodbye. What the server thinks of it does not matter any more.
    pub async fn close(mut self) {
        const PATIENCE: Duration = Duration::from_secs(1);
        let _ = tokio::time::timeout(PATIENCE, self.requests.close()).await;
    }

    /// Marks the connection as spent until [`leave`](Self::leave).
    pub(crate) fn enter(&mut self) {
        self.in_step = false;
    }

    /// Marks the connection as ready again: every request has its whole answer.
    pub(crate) fn leave(&mut self) {
        self.in_step = true;
    }

    /// Appends a request to those that wait for a flush.
    pub(crate) fn push(&mut self, request: &Request) -> Result<(), TransferError> {
        self.requests.push(request).map_err(|error| explain(error, &self.replies.address))
    }

    /// Sends what waits.
    pub(crate) async fn flush(&mut self) -> Result<(), TransferError> {
        match self.requests.flush().await {
            Ok(()) => Ok(()),
            Err(error) => Err(self.replies.last_words(error).await),
        }
    }

    /// Sends one request and takes its answer.
    pub(crate) async fn ask(&mut self, request: &Request) -> Result<Reply, TransferError> {
        let mut answer = None;
        self.ask_all(std::slice::from_ref(request), |_, reply| {
            answer = Some(reply);
            Ok(())
        })
        .await?;
        answer.ok_or_else(|| TransferError::Protocol("no answer came".into()))
    }

    /// The same for a request that the server may work on for long, such as a copy of a large tree.
    pub(crate) async fn ask_for_work(&mut self, request: &Request) -> Result<Reply, TransferError> {
        self.enter();
        self.push(request)?;
        self.flush().await?;
        let reply = self.replies.next_with_signs().await?;
        self.leave();
        Ok(reply)
    }

    /// Sends requests of one answer each, many ahead, and hands on the answers in the same order.
    ///
    /// An error of `each` ends it and leaves the connection spent, unless it came last.
    pub(crate) async fn ask_all(
        &mut self,
        requests: &[Request],
        mut each: impl FnMut(usize, Reply) -> Result<(), TransferError>,
    ) -> Result<(), TransferError> {
        self.enter();
        let mut ahead = RequestWindow::default();
        let mut next = 0;
        for number in 0..requests.len() {
            while let Some(request) = requests.get(next).filter(|_| ahead.has_room()) {
                let before = self.requests.bytes();
                self.push(request)?;
                ahead.sent(self.requests.bytes() - before);
                next += 1;
            }
            self.flush().await?;
            let reply = self.replies.next().await?;
            ahead.answered();
            if number + 1 == requests.len() {
                self.leave();
            }
            each(number, reply)?;
        }
        self.leave();
        Ok(())
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("address", &self.replies.address)
            .field("in_step", &self.in_step)
            .finish_non_exhaustive()
    }
}

/// Requests that were sent ahead of their answers.
#[derive(Debug, Default)]
pub(crate) struct RequestWindow {
    sizes: std::collections::VecDeque<u64>,
    bytes: u64,
    /// Whether the window was full, and has no room for [`REFILL`] requests yet.
    full: bool,
}

impl RequestWindow {
    /// Whether another request may be sent before an answer is taken. The first always may.
    pub(crate) fn has_room(&mut self) -> bool {
        let (count, bytes) =
            if self.full { (WINDOW - REFILL, WINDOW_BYTES / 8 * 7) } else { (WINDOW, WINDOW_BYTES) };
        self.full = !self.sizes.is_empty() && (self.sizes.len() >= count || self.bytes >= bytes);
        !self.full
    }

    pub(crate) fn sent(&mut self, bytes: u64) {
        self.sizes.push_back(bytes);
        self.bytes += bytes;
    }

    pub(crate) fn answered(&mut self) {
        self.bytes -= self.sizes.pop_front().unwrap_or(0);
    }
}

/// The receiving half.
pub(crate) struct ReplyReader {
    reader: FrameReader<ByteSource>,
    address: Address,
    stall: Duration,
    welcome: Option<Welcome>,
    /// What is sent below TLS, where that is known.
    written: Movement,
    /// A header that was waited for and is not consumed yet.
    arrived: Option<Header>,
    /// Bytes of the last reply.
    last: u64,
}

/// What comes while a content is received.
pub(crate) enum ContentPiece {
    /// A data frame: its payload is to be read.
    Data(Header),
    /// No more data.
    End(Trailer),
}

/// Signs that the server is working on an answer.
struct WorkingSigns {
    began: Instant,
    /// How many entries were done, and when that grew last.
    done: Option<u64>,
    grew: Instant,
}

impl WorkingSigns {
    /// Work that does not get on for so long does not get on at all.
    const STANDSTILL: Duration = Duration::from_secs(600);

    /// No answer is waited for longer, whatever the server says.
    const LONGEST: Duration = Duration::from_secs(24 * 3600);

    fn new() -> Self {
        let now = Instant::now();
        Self { began: now, done: None, grew: now }
    }

    /// Takes the next sign. Fails when there were enough of them.
    fn take(&mut self, entries: u64) -> Result<(), TransferError> {
        if self.done.is_none_or(|done| entries > done) {
            (self.done, self.grew) = (Some(entries), Instant::now());
        }
        for (since, longest) in [(self.grew, Self::STANDSTILL), (self.began, Self::LONGEST)] {
            if since.elapsed() > longest {
                return Err(TransferError::Lost(StreamError::Stalled(longest)));
            }
        }
        Ok(())
    }
}

impl ReplyReader {
    /// The next reply; the welcome before the first one is checked and kept.
    ///
    /// An error reply is a reply, but one that ends the connection is an error.
    pub(crate) async fn next(&mut self) -> Result<Reply, TransferError> {
        self.next_after(Duration::ZERO).await
    }

    /// The same for an answer that takes the server `work` to prepare, beyond the usual.
    pub(crate) async fn next_after(&mut self, work: Duration) -> Result<Reply, TransferError> {
        self.reader.end_answer();
        let before = self.reader.bytes();
        self.greeting_after(work).await?;
        self.begin(self.stall + work).await?;
        let reply = self.reply(self.stall).await?;
        if matches!(reply, Reply::Working { .. }) {
            return Err(TransferError::Protocol("it works for long on what is done at once".into()));
        }
        self.last = self.reader.bytes() - before;
        // What it announces comes behind it.
        self.reader.begin_answer();
        Ok(reply)
    }

    /// The same for an answer that the server may work on for long, with signs that it does.
    async fn next_with_signs(&mut self) -> Result<Reply, TransferError> {
        self.reader.end_answer();
        self.greeting().await?;
        let mut signs = WorkingSigns::new();
        loop {
            match self.reply(self.stall).await? {
                // The answer is still to come, and each sign is waited for as long as an answer is.
                Reply::Working { entries } => signs.take(entries)?,
                reply => return Ok(reply),
            }
        }
    }

    /// The next of several replies to one request: for the first there is [`next`](Self::next).
    pub(crate) async fn more(&mut self) -> Result<Reply, TransferError> {
        self.reply(self.stall).await
    }

    async fn reply(&mut self, patience: Duration) -> Result<Reply, TransferError> {
        match self.message::<Reply>(patience).await? {
            Reply::Error(error) if ends_connection(error.code) => Err(error.into()),
            Reply::Welcome(_) => Err(TransferError::Protocol("it greets twice".into())),
            reply => Ok(reply),
        }
    }

    /// Takes the welcome, unless it has come. What arrives behind it is an answer.
    pub(crate) async fn greeting(&mut self) -> Result<(), TransferError> {
        self.greeting_after(Duration::ZERO).await
    }

    async fn greeting_after(&mut self, work: Duration) -> Result<(), TransferError> {
        if self.welcome.is_some() {
            return Ok(());
        }
        self.begin(self.stall + work).await?;
        match self.message::<Reply>(self.stall).await? {
            Reply::Welcome(welcome) if welcome.version == VERSION => {
                self.welcome = Some(welcome);
                Ok(())
            }
            Reply::Welcome(Welcome { version, .. }) => {
                Err(TransferError::Protocol(format!("it chose version {version}, which was not offered")))
            }
            Reply::Error(error) => Err(error.into()),
            _ => Err(TransferError::Protocol("it answers without a greeting".into())),
        }
    }

    /// Whether the welcome was taken.
    pub(crate) fn is_greeted(&self) -> bool {
        self.welcome.is_some()
    }

    /// Bytes of the frames of the last reply.
    pub(crate) fn last_bytes(&self) -> u64 {
        self.last
    }

    /// Bytes of all frames so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.reader.bytes()
    }

    /// Waits, for as long as it takes, until something arrives behind the [`greeting`](Self::greeting). Can be cancelled.
    pub(crate) async fn arrival(&mut self) -> Result<(), TransferError> {
        self.reader.end_answer();
        self.header(Duration::MAX).await.map(|header| self.arrived = Some(header))
    }

    /// Waits until an answer arrives, as [`arrival`](Self::arrival) does, but no longer than an answer may take behind the
    /// last moment at which `moved` grew. Can be cancelled.
    pub(crate) async fn arrival_while(&mut self, moved: impl Fn() -> u64) -> Result<(), TransferError> {
        self.arrival_within(self.stall, moved).await
    }

    /// Waits for an answer to begin as long as the request may be on its way, and for `patience` behind that.
    async fn begin(&mut self, patience: Duration) -> Result<(), TransferError> {
        if self.arrived.is_some() {
            return Ok(());
        }
        let written = self.written.clone();
        self.arrival_within(patience, || written.so_far()).await
    }

    async fn arrival_within(
        &mut self,
        patience: Duration,
        moved: impl Fn() -> u64,
    ) -> Result<(), TransferError> {
        let mut before = moved();
        loop {
            if let Ok(arrived) = tokio::time::timeout(patience, self.arrival()).await {
                return arrived;
            }
            let now = moved();
            if now == before {
                return Err(TransferError::Lost(StreamError::Stalled(patience)));
            }
            before = now;
        }
    }

    /// The next data frame's header, or the trailer.
    pub(crate) async fn piece(&mut self) -> Result<ContentPiece, TransferError> {
        let header = self.header(self.stall).await?;
        match header.kind() {
            FrameKind::Data => Ok(ContentPiece::Data(header)),
            FrameKind::Control => {
                self.arrived = Some(header);
                self.message(self.stall).await.map(ContentPiece::End)
            }
        }
    }

    /// Reads the payload of a data frame; `room` is of its length.
    pub(crate) async fn data(&mut self, header: Header, room: &mut [u8]) -> Result<(), TransferError> {
        self.reader.data(header, room).await.map_err(|error| explain(error, &self.address))
    }

    /// Reads the payload of a data frame into blocks; `false` if nobody takes them any more.
    pub(crate) async fn receive(
        &mut self,
        header: Header,
        blocks: &mut BlockReceiver,
    ) -> Result<bool, TransferError> {
        blocks.receive(&mut self.reader, header).await.map_err(|error| explain(error, &self.address))
    }

    /// Reads the payload of a data frame into a block, which has room for it.
    pub(crate) async fn fill(&mut self, header: Header, block: &mut OpenBlock) -> Result<(), TransferError> {
        block.receive(&mut self.reader, header).await.map_err(|error| explain(error, &self.address))
    }

    /// Whether the server lets connections share a content.
    pub(crate) fn know_slices(&self) -> bool {
        self.know(SLICES)
    }

    /// Whether the server deletes on the condition that nothing was changed, and tells whether a listing is of one state.
    pub(crate) fn know_conditions(&self) -> bool {
        self.know(CONDITIONS)
    }

    /// Whether the server moves, copies and makes directories on the condition that nothing is at the new path.
    pub(crate) fn know_absence(&self) -> bool {
        self.know(ABSENCE)
    }

    fn know(&self, feature: &str) -> bool {
        self.welcome.as_ref().is_some_and(|welcome| welcome.features.iter().any(|known| known == feature))
    }

    /// Reads and drops the payload of a frame.
    pub(crate) async fn skip(&mut self, header: Header) -> Result<(), TransferError> {
        self.reader.skip(header).await.map_err(|error| explain(error, &self.address))
    }

    /// What sending's `error` means. A server that says why it hangs up may close before everything was sent, and
    /// what it said explains more than that sending failed.
    pub(crate) async fn last_words(&mut self, error: StreamError) -> TransferError {
        const PATIENCE: Duration = Duration::from_secs(2);
        let words = async {
            loop {
                if let Err(words) = self.next().await {
                    return words;
                }
            }
        };
        match tokio::time::timeout(PATIENCE, words).await {
            Ok(words @ (TransferError::Refused(_) | TransferError::Handshake { .. })) => words,
            _ => explain(error, &self.address),
        }
    }

    /// What a broken stream means here.
    pub(crate) fn explain(&self, error: StreamError) -> TransferError {
        explain(error, &self.address)
    }

    async fn header(&mut self, patience: Duration) -> Result<Header, TransferError> {
        if let Some(header) = self.arrived.take() {
            return Ok(header);
        }
        match self.reader.header(patience).await {
            Ok(Some(header)) => Ok(header),
            Ok(None) => Err(TransferError::Lost(StreamError::Closed)),
            Err(error) => Err(explain(error, &self.address)),
        }
    }

    async fn message<T: serde::de::DeserializeOwned>(
        &mut self,
        patience: Duration,
    ) -> Result<T, TransferError> {
        let header = self.header(patience).await?;
        let payload = self.reader.control(header).await.map_err(|error| explain(error, &self.address))?;
        decode(payload).map_err(|error| TransferError::Protocol(error.to_string()))
    }
}

fn explain(error: StreamError, address: &Address) -> TransferError {
    match error {
        StreamError::Io(source) => match HandshakeError::of(&source) {
            Some(HandshakeError::Other(_)) | None => TransferError::Lost(StreamError::Io(source)),
            Some(cause) => TransferError::Handshake { address: address.clone(), cause },
        },
        StreamError::Closed | StreamError::Stalled(_) | StreamError::Trickled => TransferError::Lost(error),
        StreamError::Frame(_) | StreamError::Message(_) | StreamError::Unexpected(_) => {
            TransferError::Protocol(error.to_string())
        }
    }
}

#[cfg(test)]
mod tests;
