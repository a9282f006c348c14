//! One connection: requests come in, replies go out in the same order.
//!
//! Two loops share the connection. The reading one takes requests and the bodies of uploads, and queues a slot for
//! each reply; the replying one works through the queue. So a hundred small uploads, or other changes, can wait for one
//! commit together, and a request that only reads is served when its turn comes, after everything before it has been
//! answered.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use sealift_certs::tls::ReadAhead;
use sealift_protocol::content::Order;
use sealift_protocol::io::{FrameReader, FrameWriter, StreamError};
use sealift_protocol::message::{
    FEATURES, Get, Hello, Reply, Request, Trailer, Turn, WORKING, Welcome, decode, decode_request,
};
use sealift_protocol::{Digest, ErrorCode, FrameKind, Header, Name, VERSION, WireError};
use tokio::io::{ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, debug, info_span, warn};

use crate::budget::{Loan, Need};
use crate::error::{Error, Result};
use crate::in_flight::{IdentityRequests, RequestPlace};
use crate::monitor::requests::{Asked, Outcome};
use crate::monitor::running::Transfer;
use crate::prefixes::Prefixes;
use crate::pulse::Watched;
use crate::request;
use crate::request::get::Carried;
use crate::request::{Waiting, put, slice};
use crate::state::State;
use crate::store::catalog::Pending;
use crate::store::identities;
use crate::{SERVER, clock};

/// Replies that may wait for their turn.
const QUEUE: usize = 256;

/// Gets that are looked up together.
const LOOK_UPS: usize = 32;

/// Bytes of replies that are gathered before they are sent although more are ready.
const GATHER: usize = 32 * 1024;

/// Memory that a connection's requests take beyond their bytes: each for itself, and for each of its bytes, since what is
/// decoded is larger than its JSON.
const REQUEST: usize = 512;
const DECODED: usize = 5;

/// Memory of waiting requests that belongs to a connection, as its buffers do. What is beyond it counts in the budget.
const OWN: usize = 32 * 1024;

/// Memory that answers take until the client reads them: records that are sealed and not sent, gathered replies, small
/// contents or a page of a listing, or the first block of a download.
const ANSWERS: usize = 512 * 1024;

/// How long a connection that the server ends is read from, so that the client can read why.
const LINGER: Duration = Duration::from_secs(1);

/// Who is at the other end.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The row in the catalog.
    pub identity: i64,
    /// The name, which is also that of the own space.
    pub name: Name,
    /// The identity as a URI.
    pub uri: String,
    /// The certificate.
    pub fingerprint: Digest,
    /// When the certificate expires.
    pub expires: i64,
    /// From where, `ADDR:PORT`.
    pub address: String,
    /// Whether the server changes nothing, for nobody.
    pub read_only: bool,
}

impl Caller {
    /// Refuses what would change something, if the server is to change nothing.
    pub fn refuse_changes(&self) -> Result<()> {
        if !self.read_only {
            return Ok(());
        }
        let message = "this server only reads (`sealiftd serve --read-only`) and changes nothing: use the one that it is \
                       a copy of, or ask its administrator";
        Err(Error::refused(ErrorCode::NotAllowed, message))
    }

    /// Refuses a caller whose certificate is no longer good.
    pub fn verify(&self, connection: &rusqlite::Connection) -> Result<()> {
        identities::of_certificate(connection, &self.fingerprint, clock::now()).map(drop)
    }
}

/// Why a connection is to end.
#[derive(Debug, Clone)]
pub struct Signals {
    /// The server stops: finish what is under way.
    pub shutdown: CancellationToken,
    /// The certificate was revoked: finish nothing.
    pub revoked: CancellationToken,
}

/// A connection behind the TLS handshake.
pub type TlsConnection = TlsStream<ReadAhead<TcpStream>>;
/// The reading half of a connection.
pub type Reader = FrameReader<Watched<ReadHalf<TlsConnection>>>;
/// The writing half of a connection.
pub type Writer = FrameWriter<WriteHalf<TlsConnection>>;

/// What is under way on a connection.
#[derive(Debug)]
struct Activity {
    requests: AtomicUsize,
    opened: Instant,
    /// When the last reply was done, in milliseconds after `opened`.
    ended: AtomicU64,
    /// Whether the client went away without a goodbye.
    cut: AtomicBool,
    /// Whether the client knows the reply that says that the server is working.
    knows_working: AtomicBool,
}

impl Default for Activity {
    fn default() -> Self {
        Self {
            requests: AtomicUsize::new(0),
            opened: Instant::now(),
            ended: AtomicU64::new(0),
            cut: AtomicBool::new(false),
            knows_working: AtomicBool::new(false),
        }
    }
}

impl Activity {
    /// Counts a request. Returns true if no other is under way.
    fn begin(&self) -> bool {
        self.requests.fetch_add(1, Ordering::Relaxed) == 0
    }

    fn end(&self) {
        let now = u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.ended.store(now, Ordering::Relaxed);
        self.requests.fetch_sub(1, Ordering::Relaxed);
    }

    fn is_idle(&self) -> bool {
        self.requests.load(Ordering::Relaxed) == 0
    }

    fn idle_for(&self) -> Duration {
        self.opened.elapsed().saturating_sub(Duration::from_millis(self.ended.load(Ordering::Relaxed)))
    }
}

/// A reply in the making, and the request that it answers.
struct Queued {
    /// None for last words that nobody asked for.
    asked: Option<Asked>,
    /// The request's number on its connection, as the log has it.
    number: u64,
    /// The memory that it takes until it is answered.
    charge: Option<Charge>,
    slot: Slot,
}

/// The memory and the place of a request that waits for its answer.
#[derive(Debug)]
struct Charge {
    _place: Option<RequestPlace>,
    _own: OwnedSemaphorePermit,
    _shared: Option<Loan>,
}

/// What there is of a reply.
enum Slot {
    /// It is known.
    Ready(Box<Reply>),
    /// A change that waits for its commit.
    Changed(Pending<Reply>, Option<Arc<Transfer>>),
    /// A slice that waits for what comes before it.
    Slice(Arc<Order>, u64),
    /// A request that is served in its turn.
    Serve(Box<Request>),
    /// The last words.
    Close(WireError),
}

/// Serves a client until either end has had enough.
pub async fn run(state: Arc<State>, connection: TlsConnection, caller: Caller, signals: Signals) {
    let timeouts = state.config().timeouts;
    let written = connection.get_ref().0.written();
    let (read, write) = tokio::io::split(connection);
    let mut reader = FrameReader::new(Watched::new(read), timeouts.stall());
    let mut writer = FrameWriter::new(write, timeouts.stall()).watching(written);
    match converse(&state, &caller, &signals, &mut reader, &mut writer).await {
        Ok(true) => linger(&mut reader).await,
        Ok(false) => {}
        Err(error) => debug!(%error, "the connection ended"),
    }
}

/// Tells a client why it is not served.
pub async fn refuse(connection: TlsConnection, error: Error, stall: Duration) {
    let (read, write) = tokio::io::split(connection);
    let mut reader = FrameReader::new(Watched::new(read), stall);
    let mut writer = FrameWriter::new(write, stall);
    if say_goodbye(&mut writer, error.to_wire()).await.is_ok() {
        linger(&mut reader).await;
    }
}

/// Both loops. Returns whether the server was the one who ended it.
async fn converse(
    state: &Arc<State>,
    caller: &Caller,
    signals: &Signals,
    reader: &mut Reader,
    writer: &mut Writer,
) -> Result<bool> {
    let (queue, slots) = mpsc::channel(QUEUE);
    let (served, serves) = watch::channel(0);
    let (busy, prefixes) = (&Activity::default(), &Prefixes::default());
    let room = Room::of(state, caller);
    let (asked, number) = (0, 0);
    let reading =
        Reading { state, caller, signals, reader, queue, serves, asked, number, room, busy, prefixes };
    let (held, carried, answers) = (None, None, None);
    let replying = Replying { state, caller, writer, slots, held, carried, answers, served, busy, prefixes };
    let both = async { tokio::try_join!(reading.run(), replying.run()).map(|((), closed)| closed) };
    let cut = async {
        signals.revoked.cancelled().await;
        // An idle connection is told why it ends, by the reading loop; one in the middle of something just ends.
        if busy.is_idle() {
            tokio::time::sleep(LINGER).await;
        }
    };
    tokio::select! {
        ended = both => ended,
        () = cut => {
            warn!("the certificate was revoked in the middle of a request");
            Ok(false)
        }
    }
}

/// Room for the requests of a connection that wait for their answers, in KiB.
#[derive(Debug)]
struct Room {
    in_flight: IdentityRequests,
    free: Arc<Semaphore>,
    most: u32,
}

impl Room {
    fn of(state: &State, caller: &Caller) -> Self {
        let most = u32::try_from(state.config().memory.queue() / 1024).unwrap_or(u32::MAX).max(1);
        let in_flight = state.in_flight.of(caller.identity);
        Self { in_flight, free: Arc::new(Semaphore::new(most as usize)), most }
    }

    /// Waits until there is room for a request of so many bytes. Meanwhile nobody reads the connection, so its client waits.
    /// The first request of a connection needs no place among those of its identity.
    async fn charge(&self, state: &State, caller: &Caller, is_first: bool, bytes: usize) -> Result<Charge> {
        let _place = if is_first {
            None
        } else {
            let config = state.config();
            let most = config.limits.requests_per_identity.get();
            // The client must not take the wait for a broken connection.
            Some(self.in_flight.take(most, config.timeouts.stall() / 2).await?)
        };
        let bytes = REQUEST + DECODED * bytes;
        let permits = u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX).min(self.most);
        // Never closed.
        let own = self.free.clone().acquire_many_owned(permits).await.map_err(|_| Error::Stopped)?;
        let waiting = (self.most as usize - self.free.available_permits()) * 1024;
        let _shared = match waiting > OWN {
            true => Some(state.budget.take(caller.identity, bytes as u64, Need::Queue).await?),
            false => None,
        };
        Ok(Charge { _place, _own: own, _shared })
    }
}

struct Reading<'a> {
    state: &'a Arc<State>,
    caller: &'a Caller,
    signals: &'a Signals,
    reader: &'a mut Reader,
    queue: mpsc::Sender<Queued>,
    serves: watch::Receiver<u64>,
    /// Requests queued as [`Slot::Serve`].
    asked: u64,
    /// Requests that were read.
    number: u64,
    room: Room,
    busy: &'a Activity,
    prefixes: &'a Prefixes,
}

impl Reading<'_> {
    async fn run(mut self) -> Result<()> {
        let ended = self.requests().await;
        let broke = matches!(ended, Err(Error::Stream(StreamError::Io(_) | StreamError::Closed)));
        self.busy.cut.store(broke || self.reader.was_cut(), Ordering::Relaxed);
        if let Err(error) = ended {
            debug!(%error, "reading ended");
            self.push(None, None, Slot::Close(error.to_wire())).await?;
        }
        Ok(())
    }

    async fn requests(&mut self) -> Result<()> {
        let mut greeted = false;
        // Set after a put was answered whose body is still on its way.
        let mut discarding = false;
        while let Some(header) = self.next_header(greeted).await? {
            if header.kind() == FrameKind::Data {
                if !discarding {
                    return Err(StreamError::Unexpected(FrameKind::Data).into());
                }
                self.reader.skip(header).await?;
                continue;
            }
            let payload = self.reader.control(header).await?;
            if discarding && decode::<Turn>(payload).is_ok() {
                continue;
            }
            if std::mem::take(&mut discarding) && decode::<Trailer>(payload).is_ok() {
                continue;
            }
            let request = decode_request(payload);
            let is_first = self.busy.begin();
            self.number += 1;
            let number = self.number;
            let asked = Some(Asked::now(request.as_ref().ok()));
            let charge = Some(self.room.charge(self.state, self.caller, is_first, header.length()).await?);
            match request {
                Ok(Request::Hello(hello)) if !greeted => {
                    let welcome = welcome(self.caller, &hello)?;
                    self.busy.knows_working.store(hello.knows(WORKING), Ordering::Relaxed);
                    greeted = true;
                    self.push(asked, charge, Slot::Ready(Box::new(welcome))).await?;
                }
                Ok(Request::Hello(_)) => return Err(bad_request("a second hello is not expected")),
                Ok(_) if !greeted => return Err(bad_request("the first request has to be a hello")),
                Ok(Request::Put(request)) => {
                    self.catch_up().await;
                    let span = info_span!("put", request = number, path = %request.path);
                    let before =
                        self.reader.bytes() - (header.length() + sealift_protocol::frame::HEADER) as u64;
                    let (state, caller, prefixes) = (self.state, self.caller, self.prefixes);
                    let accepting = put::accept(state, caller, self.reader, request, before, prefixes);
                    match accepting.instrument(span).await? {
                        put::Acceptance::Committing(pending, transfer) => {
                            self.push(asked, charge, Slot::Changed(pending, Some(transfer))).await?;
                        }
                        put::Acceptance::Answered { reply, body_follows } => {
                            discarding = body_follows;
                            self.push(asked, charge, Slot::Ready(Box::new(reply))).await?;
                        }
                    }
                }
                Ok(Request::Slice(request)) => {
                    let span = info_span!("slice", request = number, offset = request.offset);
                    let accepting = slice::accept(self.state, self.caller, self.reader, request);
                    match accepting.instrument(span).await? {
                        slice::Acceptance::Taken(order, index) => {
                            self.push(asked, charge, Slot::Slice(order, index)).await?;
                        }
                        slice::Acceptance::Welcome => {
                            self.push(asked, charge, Slot::Ready(Box::new(Reply::Done {}))).await?;
                        }
                        slice::Acceptance::Refused(error) => {
                            discarding = true;
                            self.push(asked, charge, Slot::Ready(Box::new(Reply::Error(error)))).await?;
                        }
                    }
                }
                Ok(request) => {
                    let disturbed = request::disturbs(&request);
                    match request::admit(self.state, &request).map(|()| request::change(request)) {
                        Err(refused) => {
                            let reply = request::to_reply(Err(refused));
                            self.push(asked, charge, Slot::Ready(Box::new(reply))).await?;
                        }
                        Ok(Ok(change)) => {
                            self.catch_up().await;
                            let pending = request::submit(self.state, self.caller, change, disturbed).await;
                            self.push(asked, charge, Slot::Changed(pending, None)).await?;
                        }
                        Ok(Err(request)) => {
                            self.asked += 1;
                            self.push(asked, charge, Slot::Serve(request)).await?;
                        }
                    }
                }
                Err(error) => {
                    // Should it have been a put, its body follows; for everything else this changes nothing.
                    discarding = true;
                    self.push(asked, charge, Slot::Ready(Box::new(Reply::Error(error)))).await?;
                }
            }
        }
        Ok(())
    }

    /// Waits until every request before this one was served: each has to see the tree as it was then.
    async fn catch_up(&mut self) {
        let asked = self.asked;
        let _ = self.serves.wait_for(|served| *served == asked).await;
    }

    /// Waits for the next frame, as long as the connection may live.
    async fn next_header(&mut self, greeted: bool) -> Result<Option<Header>> {
        let timeouts = self.state.config().timeouts;
        let whole = if greeted { timeouts.idle() } else { timeouts.first_request() };
        let mut patience = whole;
        loop {
            let header = tokio::select! {
                biased;
                () = self.signals.revoked.cancelled() => return Err(Error::refused(
                    ErrorCode::CertificateRefused,
                    "this certificate is revoked: ask the server's administrator for a new token",
                )),
                header = self.reader.header(patience) => header,
                () = self.signals.shutdown.cancelled() => return Err(Error::Stopped),
            };
            return match header {
                Ok(header) => Ok(header),
                Err(error @ StreamError::Stalled(_)) if !self.reader.is_between_frames() => Err(error.into()),
                Err(StreamError::Stalled(_)) if !self.busy.is_idle() => {
                    // It waits for a reply that takes its time.
                    patience = whole;
                    continue;
                }
                Err(StreamError::Stalled(_)) => {
                    // Idleness begins with the last reply, not with the last request.
                    patience = whole.saturating_sub(self.busy.idle_for());
                    match patience.is_zero() {
                        true => Err(StreamError::Stalled(whole).into()),
                        false => continue,
                    }
                }
                Err(error) => Err(error.into()),
            };
        }
    }

    async fn push(&self, asked: Option<Asked>, charge: Option<Charge>, slot: Slot) -> Result<()> {
        let queued = Queued { asked, number: self.number, charge, slot };
        self.queue.send(queued).await.map_err(|_| Error::Stopped)
    }
}

struct Replying<'a> {
    state: &'a Arc<State>,
    caller: &'a Caller,
    writer: &'a mut Writer,
    slots: mpsc::Receiver<Queued>,
    /// One that came behind gets and has to wait for its turn.
    held: Option<Queued>,
    /// What the last get sent a range of.
    carried: Option<Carried>,
    /// The memory for answers, while there are any.
    answers: Option<Loan>,
    served: watch::Sender<u64>,
    busy: &'a Activity,
    prefixes: &'a Prefixes,
}

impl Replying<'_> {
    /// Returns whether the server ended the conversation.
    async fn run(mut self) -> Result<bool> {
        while let Some(Queued { asked, number, charge, slot }) = self.next_slot().await? {
            if !matches!(&slot, Slot::Serve(request) if matches!(**request, Request::Get(_))) {
                self.end_ranges().await;
            }
            let outcome = match slot {
                Slot::Ready(reply) => {
                    request::push(self.writer, &reply)?;
                    Outcome::of(&reply)
                }
                Slot::Changed(pending, transfer) => {
                    let outcome = self.conclude(pending).await?;
                    // Here it is logged.
                    drop(transfer);
                    outcome
                }
                Slot::Slice(order, index) => {
                    if order.next() <= index {
                        self.writer.flush().await?;
                    }
                    let passed = order.passed(index).await;
                    let reply = if passed { Ok(Reply::Done {}) } else { Err(slice::absent()) };
                    let reply = request::to_reply(reply);
                    request::push(self.writer, &reply)?;
                    Outcome::of(&reply)
                }
                Slot::Serve(request) => match *request {
                    Request::Get(get) => {
                        self.gets(get, asked, number, charge).await?;
                        continue;
                    }
                    other => {
                        let span = info_span!("request", request = number);
                        let knows_working = self.busy.knows_working.load(Ordering::Relaxed);
                        let waiting = Waiting::new(self.state, self.writer, &self.busy.cut, knows_working);
                        let serving = request::serve(self.state, self.caller, self.prefixes, waiting, other);
                        let outcome = serving.instrument(span).await?;
                        self.served.send_modify(|served| *served += 1);
                        outcome
                    }
                },
                Slot::Close(error) => {
                    say_goodbye(self.writer, error).await?;
                    return Ok(true);
                }
            };
            self.answered(asked, outcome);
            drop(charge);
            if self.writer.pending() > GATHER {
                self.writer.flush().await?;
            }
        }
        self.end_ranges().await;
        self.writer.close().await?;
        Ok(false)
    }

    /// The log gets its row of what was sent in ranges.
    async fn end_ranges(&mut self) {
        if let Some(carried) = self.carried.take() {
            carried.finish(self.busy.cut.load(Ordering::Relaxed)).await;
        }
    }

    /// Notes that a request was answered.
    fn answered(&self, asked: Option<Asked>, outcome: Outcome) {
        self.busy.end();
        if let Some(asked) = asked {
            self.state.monitor.requests.answered(&asked, outcome);
            if let Some(audited) = asked.audited.filter(|_| outcome == Outcome::Ok) {
                audited.log(&self.caller.name, &self.caller.address);
            }
        }
    }

    /// Serves a get and those right behind it: what is asked for in a row is looked up in one go.
    async fn gets(
        &mut self,
        first: Get,
        asked: Option<Asked>,
        number: u64,
        charge: Option<Charge>,
    ) -> Result<()> {
        let mut gets = VecDeque::from([first]);
        let mut askers = VecDeque::from([(asked, number, charge)]);
        while !gets.is_empty() {
            while self.held.is_none() && gets.len() < LOOK_UPS {
                match self.slots.try_recv() {
                    Ok(Queued { asked, number, charge, slot: Slot::Serve(request) }) => match *request {
                        Request::Get(get) => {
                            gets.push_back(get);
                            askers.push_back((asked, number, charge));
                        }
                        other => {
                            let slot = Slot::Serve(Box::new(other));
                            self.held = Some(Queued { asked, number, charge, slot });
                        }
                    },
                    Ok(other) => self.held = Some(other),
                    Err(_) => break,
                }
            }
            for found in Box::pin(request::get::find_all(self.state, self.caller, &gets)).await? {
                let path = gets.pop_front().map(|get| get.path);
                let (asked, number, _charge) = askers.pop_front().unwrap_or((None, 0, None));
                let span = info_span!("get", request = number, path = path.map(tracing::field::display));
                let sending = request::get::send(self.state, self.writer, found, &mut self.carried);
                let outcome = Box::pin(sending).instrument(span).await?;
                self.served.send_modify(|served| *served += 1);
                self.answered(asked, outcome);
                if self.writer.pending() > GATHER {
                    self.writer.flush().await?;
                }
            }
        }
        Ok(())
    }

    /// The next reply to be; what is gathered is sent before waiting for one.
    async fn next_slot(&mut self) -> Result<Option<Queued>> {
        if let Some(slot) = self.held.take() {
            return Ok(Some(slot));
        }
        if let Ok(slot) = self.slots.try_recv() {
            return self.with_room(slot).await.map(Some);
        }
        self.writer.flush().await?;
        self.answers = None;
        match self.slots.recv().await {
            Some(slot) => self.with_room(slot).await.map(Some),
            None => Ok(None),
        }
    }

    /// Waits for the memory that answers need, where some are to be made. If there is none to be had, the client is told.
    async fn with_room(&mut self, queued: Queued) -> Result<Queued> {
        if self.answers.is_none() && !matches!(queued.slot, Slot::Close(_)) {
            match self.state.memory(self.caller.identity, ANSWERS).await {
                Ok(answers) => self.answers = Some(answers),
                Err(error) => {
                    debug!(%error, "no memory for an answer");
                    return Ok(Queued { slot: Slot::Close(error.to_wire()), ..queued });
                }
            }
        }
        Ok(queued)
    }

    /// Replies with what came of a change; what is gathered is sent before waiting for its commit.
    async fn conclude(&mut self, pending: Pending<Reply>) -> Result<Outcome> {
        let result = match pending.try_now() {
            Ok(result) => result,
            Err(pending) => {
                self.writer.flush().await?;
                pending.wait().await
            }
        };
        let reply = request::to_reply(result);
        request::push(self.writer, &reply)?;
        Ok(Outcome::of(&reply))
    }
}

fn welcome(caller: &Caller, hello: &Hello) -> Result<Reply> {
    if !hello.versions.contains(&VERSION) {
        return Err(Error::refused(
            ErrorCode::UnsupportedVersion,
            format!(
                "this server speaks version {VERSION} only, the client {:?}: update the older of the two",
                hello.versions
            ),
        ));
    }
    let agent: String = hello.agent.chars().filter(|c| !c.is_control()).take(100).collect();
    debug!(agent, "hello");
    Ok(Reply::Welcome(Welcome {
        version: VERSION,
        server: SERVER.into(),
        identity: caller.name.clone(),
        features: FEATURES
            .iter()
            .filter(|feature| hello.knows(feature))
            .map(|feature| (*feature).to_owned())
            .collect(),
    }))
}

fn bad_request(message: &str) -> Error {
    Error::refused(ErrorCode::BadRequest, message)
}

async fn say_goodbye(writer: &mut Writer, error: WireError) -> Result<bool> {
    writer.push(&Reply::Error(error))?;
    writer.close().await?;
    Ok(true)
}

/// Reads what the client still sends. Closing a socket with unread data resets the connection, and the client would
/// lose the reply that says why.
async fn linger(reader: &mut Reader) {
    let _ = tokio::time::timeout(LINGER, reader.discard(LINGER)).await;
}
