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
use crate::error::{ConnectAttempt, ConnectError, HandshakeError, TransferError};
use crate::race::race;
use crate::socket;
use crate::throttle::{Limit, Throttled};

/// A connection behind the TLS handshake.
pub(crate) type ClientTlsStream = TlsStream<ReadAhead<Throttled<TcpStream>>>;

/// Connects to the address that is first to answer and to be the right server. One that does not answer at once costs
/// the next one a moment only.
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
) -> Result<(ClientTlsStream, Address), TransferError> {
    let attempts = addresses.iter().map(|address| {
        let (address, trust_domain) = (address.clone(), trust_domain.clone());
        attempt(address, trust_domain, config.clone(), protocol, patience, limit.cloned())
    });
    let attempts: Vec<_> = attempts.collect();
    race(attempts).await.map_err(|failures: Vec<DialFailure>| {
        let mut attempts = Vec::new();
        let mut refusal = None;
        for DialFailure { address, cause } in failures {
            match cause {
                DialCause::Unreachable(cause) => attempts.push(ConnectAttempt { address, cause }),
                DialCause::Unfit(cause) if refusal.is_none() || cause.is_about_trust() => {
                    refusal = Some(TransferError::Handshake { address, cause });
                }
                DialCause::Unfit(_) => {}
            }
        }
        refusal.unwrap_or(TransferError::Connect(attempts))
    })
}

/// Why an address did not lead to the server.
struct DialFailure {
    address: Address,
    cause: DialCause,
}

enum DialCause {
    Unreachable(ConnectError),
    Unfit(HandshakeError),
}

async fn attempt(
    address: Address,
    trust_domain: TrustDomain,
    config: Arc<ClientConfig>,
    protocol: Protocol,
    patience: Duration,
    limit: Option<Limit>,
) -> Result<(ClientTlsStream, Address), DialFailure> {
    let made = async {
        let tcp = dial(&address, patience).await.map_err(DialCause::Unreachable)?;
        let stream = Throttled::new(tcp, limit);
        let handshake = timeout(patience, shake_hands(stream, config, &trust_domain, protocol));
        handshake.await.unwrap_or(Err(DialCause::Unreachable(ConnectError::TimedOut)))
    };
    match made.await {
        Ok(connection) => Ok((connection, address)),
        Err(cause) => Err(DialFailure { address, cause }),
    }
}

async fn shake_hands(
    stream: Throttled<TcpStream>,
    config: Arc<ClientConfig>,
    trust_domain: &TrustDomain,
    protocol: Protocol,
) -> Result<ClientTlsStream, DialCause> {
    match tls::connect(config, server_name(trust_domain), stream).await {
        Ok(connection) if negotiated(connection.get_ref().1.alpn_protocol()) == Some(protocol) => {
            Ok(connection)
        }
        Ok(_) => Err(DialCause::Unfit(HandshakeError::NotSealift)),
        Err(error) => Err(match HandshakeError::of(&error) {
            // A client that joins shows no certificate that could be refused.
            Some(HandshakeError::Refused(_)) if protocol == Protocol::Join => {
                DialCause::Unfit(HandshakeError::NoInvitation)
            }
            Some(cause) => DialCause::Unfit(cause),
            None => DialCause::Unreachable(unreachable(error)),
        }),
    }
}

/// A TCP connection to the first socket address behind `address` that accepts one.
async fn dial(address: &Address, patience: Duration) -> Result<TcpStream, ConnectError> {
    let candidates = match timeout(patience, address.resolve()).await {
        Ok(Ok(candidates)) => candidates,
        Ok(Err(error)) => return Err(ConnectError::UnknownHost(error)),
        Err(_) => return Err(ConnectError::TimedOut),
    };
    let attempts = alternate(candidates).into_iter().map(|candidate| knock(candidate, patience));
    let attempts: Vec<_> = attempts.collect();
    race(attempts).await.map_err(|mut failures| failures.pop().unwrap_or(ConnectError::TimedOut))
}

async fn knock(candidate: SocketAddr, patience: Duration) -> Result<TcpStream, ConnectError> {
    match timeout(patience, open(candidate)).await {
        Ok(Ok(tcp)) => {
            // Small requests must not wait for the acknowledgement of those before them.
            tcp.set_nodelay(true)?;
            Ok(tcp)
        }
        Ok(Err(error)) => Err(unreachable(error)),
        Err(_) => Err(ConnectError::TimedOut),
    }
}

/// The same addresses with the two families in turn, the first one's first: where one does not work at all, the other
/// does not wait for all of it.
fn alternate(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first = addresses.first().is_some_and(SocketAddr::is_ipv4);
    let (one, other): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv4() == first);
    let longest = one.len().max(other.len());
    let pairs = (0..longest).flat_map(|number| [one.get(number), other.get(number)]);
    pairs.flatten().copied().collect()
}

/// What it means that a connection could not be made, or broke before it was one.
fn unreachable(error: io::Error) -> ConnectError {
    use io::ErrorKind::{
        BrokenPipe, ConnectionAborted, ConnectionRefused, ConnectionReset, TimedOut, UnexpectedEof,
    };
    match error.kind() {
        ConnectionRefused => ConnectError::Refused,
        TimedOut => ConnectError::TimedOut,
        UnexpectedEof | ConnectionReset | ConnectionAborted | BrokenPipe => ConnectError::Closed,
        _ => error.into(),
    }
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

    async fn failure(addresses: &[Address]) -> TransferError {
        let trust_domain = TrustDomain::random();
        let fingerprint = sealift_types::Digest::of(b"");
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
        let TransferError::Connect(attempts) = failure(&[silent_address, refused, unknown]).await else {
            panic!()
        };
        assert!(matches!(attempts[0].cause, ConnectError::TimedOut));
        assert!(matches!(attempts[1].cause, ConnectError::Refused));
        assert!(matches!(attempts[2].cause, ConnectError::UnknownHost(_) | ConnectError::TimedOut));
        drop(silent);
    }

    #[tokio::test]
    async fn one_that_hangs_up_at_once_may_be_back_and_is_not_of_another_kind() {
        let (balancer, address) = listener().await;
        let serving = async {
            let (mut tcp, _) = balancer.accept().await.unwrap();
            let _ = tcp.read(&mut [0; 100]).await;
        };
        let addresses = [address];
        let (error, ()) = tokio::join!(failure(&addresses), serving);
        assert!(error.retry_can_help() && error.was_answered(), "{error}");
        let text = error.to_string();
        assert!(text.contains("closed the connection before it was secure"), "{text}");
    }

    #[test]
    fn the_two_families_take_turns() {
        let parse = |text: &str| text.parse::<SocketAddr>().unwrap();
        let addresses = ["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1"].map(parse).to_vec();
        let turns = ["[::1]:1", "1.1.1.1:1", "[::2]:1", "[::3]:1"].map(parse);
        assert_eq!(alternate(addresses), turns);
        assert_eq!(alternate(vec![]), []);
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
        let (error, ()) = tokio::join!(failure(&addresses), serving);
        assert!(
            matches!(error, TransferError::Handshake { cause: HandshakeError::NotSealift, .. }),
            "{error}"
        );
    }
}
