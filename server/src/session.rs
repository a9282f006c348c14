//! One connection: requests come in, replies go out in the same order.
//!
//! Two loops share the connection. The reading one takes requests and the bodies of uploads, and queues a slot for
//! each reply; the replying one works through the queue. So a hundred small uploads, or other changes, can wait for one
//! commit together, and a request that only reads is served when its turn comes, after everything before it has been
//! answered.

mod reading;
mod refused_body;
mod replying;
mod room;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use sealift_certs::tls::ReadAhead;
use sealift_protocol::content::Order;
use sealift_protocol::io::{FrameReader, FrameWriter};
use sealift_protocol::message::{Reply, Request};
use sealift_protocol::{Digest, ErrorCode, Name, WireError};
use tokio::io::{ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use self::reading::Reading;
use self::replying::Replying;
use self::room::{Charge, Room};
use crate::clock;
use crate::error::{Error, Result};
use crate::monitor::requests::Asked;
use crate::monitor::running::Transfer;
use crate::prefixes::Prefixes;
use crate::pulse::Watched;
use crate::state::State;
use crate::store::Catalog;
use crate::store::catalog::{Line, Pending};
use crate::store::identities;

/// Replies that may wait for their turn.
const QUEUE: usize = 256;

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
    /// The catalog for what the caller changes: in order with what it has asked for before, in turns with others.
    pub fn changes(&self, state: &State) -> Catalog {
        state.catalog.within(Line::Of(self.identity))
    }

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
pub fn run(
    state: Arc<State>,
    connection: TlsConnection,
    caller: Caller,
    signals: Signals,
) -> impl Future<Output = ()> {
    // Split before the future starts. Otherwise the future of each idle connection has space for the connection and for its halves.
    let timeouts = state.config().timeouts;
    let written = connection.get_ref().0.written();
    let (read, write) = tokio::io::split(connection);
    let mut reader = FrameReader::new(Watched::new(read), timeouts.stall());
    let mut writer = FrameWriter::new(write, timeouts.stall()).watching(written);
    async move {
        match converse(&state, &caller, &signals, &mut reader, &mut writer).await {
            Ok(true) => linger(&mut reader).await,
            Ok(false) => {}
            Err(error) => debug!(%error, "the connection ended"),
        }
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
