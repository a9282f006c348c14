//! Shaking hands, which is rustls's work: here its messages are carried, and its secrets taken over.

use std::io;
use std::sync::Arc;

use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::kernel::KernelConnection;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::{Acceptor, ClientHello, ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncodeTlsData, UnbufferedConnectionCommon, UnbufferedStatus,
};
use rustls::{ClientConfig, Error, ExtractedSecrets, ServerConfig};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::record::Key;
use crate::shared::Shared;
use crate::{TlsReader, TlsWriter};

/// How much is received at once while hands are shaken.
const PIECE: usize = 4 * 1024;

/// A connection behind the handshake.
#[derive(Debug)]
pub struct Connection<R, W> {
    /// What comes from the peer.
    pub reader: TlsReader<R>,
    /// What goes to the peer.
    pub writer: TlsWriter<W>,
    /// The application protocol that was agreed on.
    pub alpn: Option<Vec<u8>>,
    /// The peer's certificate and what it sent along, as far as it was asked for any.
    pub peer_certificates: Vec<CertificateDer<'static>>,
}

/// Shakes hands as the client.
///
/// # Errors
/// [`io::ErrorKind::InvalidData`] with the [`rustls::Error`] when the two do not get along,
/// [`io::ErrorKind::UnexpectedEof`] when the server hangs up, and whatever the stream fails with.
pub async fn connect<R: AsyncRead + Unpin, W: AsyncWrite + Unpin>(
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
    mut read: R,
    mut write: W,
) -> io::Result<Connection<R, W>> {
    let mut connection = UnbufferedClientConnection::new(config, name).map_err(invalid)?;
    let mut received = Vec::new();
    let process = UnbufferedConnectionCommon::<ClientConnectionData>::process_tls_records;
    let early = shake_hands(&mut connection, process, &mut received, &mut read, &mut write).await?;
    let about = About::of(&connection);
    let taken = connection.dangerous_into_kernel_connection().map_err(invalid)?;
    take_over(taken, about, early, received, read, write)
}

/// Shakes hands as the server, with the configuration that `choose` has for this client.
///
/// # Errors
/// As for [`connect`].
pub async fn accept<R: AsyncRead + Unpin, W: AsyncWrite + Unpin>(
    choose: impl FnOnce(&ClientHello<'_>) -> Arc<ServerConfig>,
    mut read: R,
    mut write: W,
) -> io::Result<Connection<R, W>> {
    let mut received = Vec::new();
    let config = hello(choose, &mut received, &mut read, &mut write).await?;
    let mut connection = UnbufferedServerConnection::new(config).map_err(invalid)?;
    let process = UnbufferedConnectionCommon::<ServerConnectionData>::process_tls_records;
    let early = shake_hands(&mut connection, process, &mut received, &mut read, &mut write).await?;
    let about = About::of(&connection);
    let taken = connection.dangerous_into_kernel_connection().map_err(invalid)?;
    take_over(taken, about, early, received, read, write)
}

/// Receives until the client's first message is there, and leaves it there for the connection that is chosen by it.
async fn hello<R: AsyncRead + Unpin, W: AsyncWrite + Unpin>(
    choose: impl FnOnce(&ClientHello<'_>) -> Arc<ServerConfig>,
    received: &mut Vec<u8>,
    read: &mut R,
    write: &mut W,
) -> io::Result<Arc<ServerConfig>> {
    let mut acceptor = Acceptor::default();
    loop {
        let mut seen = receive(received, read).await?;
        while !seen.is_empty() {
            acceptor.read_tls(&mut seen)?;
            match acceptor.accept() {
                Ok(Some(accepted)) => return Ok(choose(&accepted.client_hello())),
                Ok(None) => {}
                Err((error, mut alert)) => {
                    let mut last_words = Vec::new();
                    alert.write_all(&mut last_words)?;
                    let _ = write.write_all(&last_words).await;
                    return Err(invalid(error));
                }
            }
        }
    }
}

/// What else came while hands were shaken.
#[derive(Default)]
struct Early {
    /// What the peer sent right behind its last message of the handshake, opened.
    data: Vec<u8>,
    /// Whether the peer has said goodbye already.
    closed: bool,
}

/// One step of a handshake, and what it asks for.
enum Step {
    Again,
    Send,
    Receive,
    Done,
    Failed(Error),
}

type Process<D> =
    for<'c, 'i> fn(&'c mut UnbufferedConnectionCommon<D>, &'i mut [u8]) -> UnbufferedStatus<'c, 'i, D>;

/// Carries the messages of a handshake; what follows them stays in `received`.
async fn shake_hands<D, R: AsyncRead + Unpin, W: AsyncWrite + Unpin>(
    connection: &mut UnbufferedConnectionCommon<D>,
    process: Process<D>,
    received: &mut Vec<u8>,
    read: &mut R,
    write: &mut W,
) -> io::Result<Early> {
    let mut early = Early::default();
    let mut outgoing = Vec::new();
    loop {
        let UnbufferedStatus { discard, state, .. } = process(connection, received);
        let step = match state {
            Ok(ConnectionState::EncodeTlsData(message)) => {
                encode(message, &mut outgoing)?;
                Step::Again
            }
            Ok(ConnectionState::TransmitTlsData(message)) => {
                message.done();
                Step::Send
            }
            Ok(ConnectionState::ReadTraffic(mut traffic)) => loop {
                match traffic.next_record() {
                    Some(Ok(record)) => early.data.extend_from_slice(record.payload),
                    Some(Err(error)) => break Step::Failed(error),
                    None => break Step::Again,
                }
            },
            Ok(ConnectionState::PeerClosed | ConnectionState::Closed) => {
                early.closed = true;
                Step::Again
            }
            Ok(ConnectionState::WriteTraffic(_)) => Step::Done,
            Ok(_) => Step::Receive,
            Err(error) => Step::Failed(error),
        };
        received.drain(..discard);
        match step {
            Step::Again => {}
            Step::Send => {
                write.write_all(&outgoing).await?;
                outgoing.clear();
            }
            Step::Done if !connection.is_handshaking() => return Ok(early),
            Step::Done | Step::Receive => {
                if early.closed {
                    return Err(hung_up());
                }
                write.flush().await?;
                receive(received, read).await?;
            }
            Step::Failed(error) => {
                last_words(connection, process, received, &mut outgoing)?;
                let _ = write.write_all(&outgoing).await;
                return Err(invalid(error));
            }
        }
    }
}

/// What the peer is to hear of a failure. Beyond that, a connection that failed must not be asked for anything: it would
/// look again at what it failed on.
fn last_words<D>(
    connection: &mut UnbufferedConnectionCommon<D>,
    process: Process<D>,
    received: &mut [u8],
    outgoing: &mut Vec<u8>,
) -> io::Result<()> {
    while connection.wants_write() {
        let Ok(ConnectionState::EncodeTlsData(message)) = process(connection, received).state else { break };
        encode(message, outgoing)?;
    }
    Ok(())
}

fn encode<D>(mut message: EncodeTlsData<'_, D>, outgoing: &mut Vec<u8>) -> io::Result<()> {
    let start = outgoing.len();
    loop {
        match message.encode(&mut outgoing[start..]) {
            Ok(count) => {
                outgoing.truncate(start + count);
                return Ok(());
            }
            Err(EncodeError::InsufficientSize(needed)) => {
                outgoing.resize(start + needed.required_size, 0);
            }
            Err(error) => return Err(io::Error::other(error)),
        }
    }
}

/// Appends what comes next, and returns it.
async fn receive<'a, R: AsyncRead + Unpin>(received: &'a mut Vec<u8>, read: &mut R) -> io::Result<&'a [u8]> {
    let before = received.len();
    received.reserve(PIECE);
    if read.read_buf(received).await? == 0 {
        return Err(hung_up());
    }
    Ok(&received[before..])
}

/// What rustls knows of the peer.
struct About {
    alpn: Option<Vec<u8>>,
    peer_certificates: Vec<CertificateDer<'static>>,
}

impl About {
    fn of(connection: &rustls::CommonState) -> Self {
        let peer_certificates = connection.peer_certificates().unwrap_or_default();
        Self {
            alpn: connection.alpn_protocol().map(<[u8]>::to_vec),
            peer_certificates: peer_certificates.iter().map(|c| c.clone().into_owned()).collect(),
        }
    }
}

fn take_over<D: Send + 'static, R, W>(
    (secrets, succession): (ExtractedSecrets, KernelConnection<D>),
    about: About,
    early: Early,
    mut received: Vec<u8>,
    read: R,
    write: W,
) -> io::Result<Connection<R, W>> {
    let suite = succession.negotiated_cipher_suite();
    let suite = suite.tls13().ok_or_else(|| invalid(Error::General("TLS 1.3 was not agreed on".into())))?;
    let key = |(sequence, secrets)| Key::new(sequence, &secrets).map_err(invalid);
    let (sealing, opening) = (key(secrets.tx)?, key(secrets.rx)?);
    let shared = Arc::new(Shared::new(Box::new(succession)));
    let opened = 0..early.data.len();
    received.splice(0..0, early.data);
    let reader = TlsReader::new(read, opening, shared.clone(), received, opened, early.closed);
    let writer = TlsWriter::new(write, sealing, shared, suite.common.confidentiality_limit);
    let About { alpn, peer_certificates } = about;
    Ok(Connection { reader, writer, alpn, peer_certificates })
}

fn invalid(error: Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

fn hung_up() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the connection ended during the TLS handshake")
}
