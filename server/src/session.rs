//! One connection: requests come in, replies go out in the same order.
//!
//! Two loops share the connection. The reading one takes requests and the bodies of uploads, and queues a slot for
//! each reply; the replying one works through the queue. So a hundred small uploads, or other changes, can wait for one
//! commit together, and a request that only reads is served when its turn comes, after everything before it has been
//! answered.

mod connection;
mod pending;
mod reading;
mod refused_body;
mod replying;
mod room;

use std::sync::Arc;
use std::time::Duration;

use sealift_protocol::io::{FrameReader, FrameWriter};
use tokio::sync::{mpsc, watch};
use tracing::{debug, warn};

use self::connection::say_goodbye;
pub use self::connection::{ServerTlsStream, SessionReader, SessionSignals, SessionWriter};
use self::pending::SessionActivity;
use self::reading::RequestLoop;
use self::replying::ReplyLoop;
use self::room::RequestRoom;
use crate::caller::Caller;
use crate::error::{Result, ServerError};
use crate::liveness::WatchedStream;
use crate::offered_prefixes::OfferedPrefixes;
use crate::state::ServerState;

/// Replies that may wait for their turn.
const QUEUE: usize = 256;

/// How long a connection that the server ends is read from, so that the client can read why.
const LINGER: Duration = Duration::from_secs(1);

/// Serves a client until either end has had enough.
pub fn run(
    state: Arc<ServerState>,
    connection: ServerTlsStream,
    caller: Caller,
    signals: SessionSignals,
) -> impl Future<Output = ()> {
    // Split before the future starts. Otherwise the future of each idle connection has space for the connection and for its halves.
    let timeouts = state.config().timeouts;
    let written = connection.get_ref().0.written();
    let (read, write) = tokio::io::split(connection);
    let mut reader = FrameReader::new(WatchedStream::new(read), timeouts.stall());
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
pub async fn refuse(connection: ServerTlsStream, error: ServerError, stall: Duration) {
    let (read, write) = tokio::io::split(connection);
    let mut reader = FrameReader::new(WatchedStream::new(read), stall);
    let mut writer = FrameWriter::new(write, stall);
    if say_goodbye(&mut writer, error.to_wire()).await.is_ok() {
        linger(&mut reader).await;
    }
}

/// Both loops. Returns whether the server was the one who ended it.
async fn converse(
    state: &Arc<ServerState>,
    caller: &Caller,
    signals: &SessionSignals,
    reader: &mut SessionReader,
    writer: &mut SessionWriter,
) -> Result<bool> {
    let (queue, slots) = mpsc::channel(QUEUE);
    let (served, serves) = watch::channel(0);
    let (busy, prefixes) = (&SessionActivity::default(), &OfferedPrefixes::default());
    let room = RequestRoom::of(state, caller);
    let (asked, number) = (0, 0);
    let reading =
        RequestLoop { state, caller, signals, reader, queue, serves, asked, number, room, busy, prefixes };
    let (held, carried, answers) = (None, None, None);
    let replying = ReplyLoop { state, caller, writer, slots, held, carried, answers, served, busy, prefixes };
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

/// Reads what the client still sends. Closing a socket with unread data resets the connection, and the client would
/// lose the reply that says why.
async fn linger(reader: &mut SessionReader) {
    let _ = tokio::time::timeout(LINGER, reader.discard(LINGER)).await;
}
