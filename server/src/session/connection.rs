//! The two halves of a session's connection.

use sealift_certs::tls::ReadAhead;
use sealift_protocol::WireError;
use sealift_protocol::io::{FrameReader, FrameWriter};
use sealift_protocol::message::Reply;
use tokio::io::{ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use crate::error::Result;
use crate::liveness::WatchedStream;

/// Why a connection is to end.
#[derive(Debug, Clone)]
pub struct SessionSignals {
    /// The server stops: finish what is under way.
    pub shutdown: CancellationToken,
    /// The certificate was revoked: finish nothing.
    pub revoked: CancellationToken,
}

/// A connection behind the TLS handshake.
pub type ServerTlsStream = TlsStream<ReadAhead<TcpStream>>;
/// The reading half of a connection.
pub type SessionReader = FrameReader<WatchedStream<ReadHalf<ServerTlsStream>>>;
/// The writing half of a connection.
pub type SessionWriter = FrameWriter<WriteHalf<ServerTlsStream>>;

/// Sends the last words of a connection, and closes it.
pub(super) async fn say_goodbye(writer: &mut SessionWriter, error: WireError) -> Result<bool> {
    writer.push(&Reply::Error(error))?;
    writer.close().await?;
    Ok(true)
}
