//! Reaching a server by one of its addresses.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use sealift_certs::TrustDomain;
use sealift_certs::tls::{self, Protocol, ReadAhead, negotiated, server_name};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use crate::address::Address;
use crate::error::{Attempt, ConnectError, Error, HandshakeError};
use crate::socket;
use crate::throttle::{Limit, Throttled};

/// A connection behind the TLS handshake.
pub(crate) type TlsConnection = TlsStream<ReadAhead<Throttled<TcpStream>>>;

/// Connects to the first address that answers and is the right server, one after the other.
///
/// `patience` is for each TCP connection and for each TLS handshake. Where several addresses fail, a server that was
/// reached and did not fit says more than those that were not reached.
///
/// # Errors
/// Fails when no address leads to the server of `trust_domain` speaking `protocol`.
pub(crate) async fn connect(
    addresses: &[Address],
    trust_domain: &TrustDomain,
    config: Arc<ClientConfig>,
    protocol: Protocol,
    patience: Duration,
    limit: Option<&Limit>,
) -> Result<(TlsConnection, Address), Error> {
    let mut attempts = Vec::new();
    let mut refusal = None;
    for address in addresses {
        let tcp = match dial(address, patience).await {
            Ok(tcp) => tcp,
            Err(cause) => {
                attempts.push(Attempt { address: address.clone(), cause });
                continue;
            }
        };
        let stream = Throttled::new(tcp, limit.cloned());
        let handshake = tls::connect(config.clone(), server_name(trust_domain), stream);
        let cause = match timeout(patience, handshake).await {
            Ok(Ok(connection)) if negotiated(connection.get_ref().1.alpn_protocol()) == Some(protocol) => {
                return Ok((connection, address.clone()));
            }
            Ok(Ok(_)) => HandshakeError::NotSealift,
            Ok(Err(error)) => match HandshakeError::of(&error) {
                // A client that joins shows no certificate that could be refused.
                Some(HandshakeError::Refused(_)) if protocol == Protocol::Join => {
                    HandshakeError::NoInvitation
                }
                Some(cause) => cause,
                None if error.kind() == io::ErrorKind::UnexpectedEof => HandshakeError::NotSealift,
                None => {
                    attempts.push(Attempt { address: address.clone(), cause: error.into() });
                    continue;
                }
            },
            Err(_) => {
                attempts.push(Attempt { address: address.clone(), cause: ConnectError::TimedOut });
                continue;
            }
        };
        let more_telling = cause.is_about_trust();
        if refusal.is_none() || more_telling {
            refusal = Some(Error::Handshake { address: address.clone(), cause });
        }
    }
    Err(refusal.unwrap_or(Error::Connect(attempts)))
}

/// A TCP connection to the first socket address behind `address` that accepts one.
async fn dial(address: &Address, patience: Duration) -> Result<TcpStream, ConnectError> {
    let candidates = match timeout(patience, address.resolve()).await {
        Ok(Ok(candidates)) => candidates,
        Ok(Err(error)) => return Err(ConnectError::UnknownHost(error)),
        Err(_) => return Err(ConnectError::TimedOut),
    };
    let mut last = ConnectError::TimedOut;
    for candidate in candidates {
        match timeout(patience, open(candidate)).await {
            Ok(Ok(tcp)) => {
                // Small requests must not wait for the acknowledgement of those before them.
                tcp.set_nodelay(true)?;
                return Ok(tcp);
            }
            Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
                last = ConnectError::Refused;
            }
            Ok(Err(error)) if error.kind() == io::ErrorKind::TimedOut => last = ConnectError::TimedOut,
            Ok(Err(error)) => last = error.into(),
            Err(_) => last = ConnectError::TimedOut,
        }
    }
    Err(last)
}

async fn open(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket::prefer_reno_on_loopback(&socket, address);
    socket.connect(address).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    const PATIENCE: Duration = Duration::from_millis(300);

    async fn attempt(addresses: &[Address]) -> Error {
        let trust_domain = TrustDomain::random();
        let fingerprint = sealift_protocol::Digest::of(b"");
        let config = sealift_certs::tls::join_client_config(fingerprint, &trust_domain).unwrap();
        connect(addresses, &trust_domain, config, Protocol::Join, PATIENCE, None).await.unwrap_err()
    }

    async fn listener() -> (TcpListener, Address) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string().parse().unwrap();
        (listener, address)
    }

    #[tokio::test]
    async fn refused_and_silent_and_unknown_are_told_apart() {
        let (silent, silent_address) = listener().await;
        let (gone, refused) = listener().await;
        drop(gone);
        let unknown: Address = "no-such-host.invalid:1".parse().unwrap();
        let Error::Connect(attempts) = attempt(&[silent_address, refused, unknown]).await else { panic!() };
        assert!(matches!(attempts[0].cause, ConnectError::TimedOut));
        assert!(matches!(attempts[1].cause, ConnectError::Refused));
        assert!(matches!(attempts[2].cause, ConnectError::UnknownHost(_) | ConnectError::TimedOut));
        drop(silent);
    }

    #[tokio::test]
    async fn a_server_of_another_kind_says_more_than_one_that_is_away() {
        let (web, web_address) = listener().await;
        let (gone, refused) = listener().await;
        drop(gone);
        let serving = async {
            let (mut tcp, _) = web.accept().await.unwrap();
            let mut request = [0; 100];
            let _ = tcp.read(&mut request).await;
            tcp.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        };
        let addresses = [web_address, refused];
        let (error, ()) = tokio::join!(attempt(&addresses), serving);
        assert!(matches!(error, Error::Handshake { cause: HandshakeError::NotSealift, .. }), "{error}");
    }
}
