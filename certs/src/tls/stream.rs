//! TLS connections over any byte stream, by tokio-rustls.
//!
//! The figures here are measured: see `docs/decisions/0002-tls-by-tokio-rustls.md`.

use std::io;
use std::sync::Arc;

use rustls::server::Acceptor;
use rustls::{ClientConfig, ServerConfig};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{LazyConfigAcceptor, StartHandshake, TlsConnector, client, server};

use super::ReadAhead;

/// Bytes of records that wait to be sent: a frame of 256 KiB and its overhead go by one system call.
const UNSENT: usize = 264 * 1024;

/// Connects as the client.
///
/// The stream reads ahead as soon as the handshake is done.
///
/// # Errors
/// [`io::ErrorKind::InvalidData`] with the [`rustls::Error`] if the two ends do not agree,
/// [`io::ErrorKind::UnexpectedEof`] if the server hangs up, and the errors of the stream itself.
pub async fn connect<S: AsyncRead + AsyncWrite + Unpin>(
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
    stream: S,
) -> io::Result<client::TlsStream<ReadAhead<S>>> {
    let connector = TlsConnector::from(config);
    let connecting = connector.connect_with(name, ReadAhead::new(stream), |connection| {
        connection.set_buffer_limit(Some(UNSENT));
    });
    let mut stream = connecting.await?;
    stream.get_mut().0.begin();
    Ok(stream)
}

/// Receives a client's first message, by which the server chooses a configuration for [`accept`].
///
/// # Errors
/// As for [`connect`].
pub async fn client_hello<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
) -> io::Result<StartHandshake<ReadAhead<S>>> {
    LazyConfigAcceptor::new(Acceptor::default(), ReadAhead::new(stream)).await
}

/// Accepts a connection as the server.
///
/// rustls holds at most 64 KiB of a client's handshake. The caller begins to read ahead, because a client that joins
/// has shown no certificate and needs little.
///
/// # Errors
/// As for [`connect`].
pub async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
    begun: StartHandshake<ReadAhead<S>>,
    config: Arc<ServerConfig>,
) -> io::Result<server::TlsStream<ReadAhead<S>>> {
    begun.into_stream_with(config, |connection| connection.set_buffer_limit(Some(UNSENT))).await
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;
    use crate::tls::{CurrentCertificate, ServerIdentity, client_config, server_config, server_name};
    use crate::{Authority, TrustDomain, USER_VALIDITY, Validity, new_key_and_request};

    type Ends = (client::TlsStream<ReadAhead<DuplexStream>>, server::TlsStream<ReadAhead<DuplexStream>>);

    /// Both ends of a connection.
    async fn ends() -> Ends {
        let now = SystemTime::now();
        let validity = Validity::starting(now, USER_VALIDITY);
        let authority = Authority::generate(TrustDomain::random(), now).unwrap();
        let (issued, key) = authority.issue_server(&[], validity).unwrap();
        let identity = ServerIdentity::from_pem(&issued.pem, &key, authority.certificate_der()).unwrap();
        let resolver = Arc::new(CurrentCertificate::new(identity));
        let server = server_config(authority.certificate_der(), resolver).unwrap();
        let made = new_key_and_request().unwrap();
        let user = authority.issue_user(&made.csr_pem, &"alice".parse().unwrap(), validity).unwrap();
        let client = client_config(authority.certificate_pem(), &user.pem, &made.key_pem).unwrap();
        let (near, far) = duplex(100_000);
        let accepting = async { accept(client_hello(far).await?, server).await };
        let name = server_name(authority.trust_domain());
        let (near, far) = tokio::join!(connect(client, name, near), accepting);
        (near.unwrap(), far.unwrap())
    }

    #[tokio::test]
    async fn large_and_small_writes_cross_whole_in_both_directions_at_once() {
        let (near, mut far) = ends().await;
        far.get_mut().0.begin();
        let content: Vec<u8> = (0..1_000_000_u32).map(|i| u8::try_from(i % 251).unwrap()).collect();
        let send = async |mut to: tokio::io::WriteHalf<_>, sizes: [usize; 2]| {
            let mut rest = &content[..];
            for size in sizes.into_iter().cycle() {
                let (piece, after) = rest.split_at(rest.len().min(size));
                to.write_all(piece).await.unwrap();
                rest = after;
                if rest.is_empty() {
                    break;
                }
            }
            to.shutdown().await.unwrap();
            to
        };
        let ((near_read, near_write), (far_read, far_write)) =
            (tokio::io::split(near), tokio::io::split(far));
        let receive = async |mut from: Box<dyn AsyncRead + Unpin>| {
            let mut received = Vec::new();
            from.read_to_end(&mut received).await.unwrap();
            received
        };
        let send_back = async {
            let mut to = far_write;
            to.write_all(&content).await.unwrap();
            to.shutdown().await.unwrap();
            to
        };
        let (_near, _far, up, down) = tokio::join!(
            send(near_write, [3, 262_144]),
            send_back,
            receive(Box::new(far_read)),
            receive(Box::new(near_read))
        );
        assert!(up == content && down == content);
    }

    #[tokio::test]
    async fn an_end_without_goodbye_is_told_from_one_with_it() {
        let (mut near, far) = ends().await;
        drop(far);
        assert_eq!(near.read_u8().await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);

        let (mut near, mut far) = ends().await;
        far.shutdown().await.unwrap();
        assert_eq!(near.read(&mut [0; 9]).await.unwrap(), 0);
        assert_eq!(near.read(&mut [0; 9]).await.unwrap(), 0, "again");
    }

    #[tokio::test]
    async fn what_somebody_in_between_changes_ends_the_connection() {
        let (mut near, mut far) = ends().await;
        near.write_all(b"sealed").await.unwrap();
        near.flush().await.unwrap();
        let mut word = [0; 6];
        far.read_exact(&mut word).await.unwrap();
        assert_eq!(&word, b"sealed");
        // A record from somebody who does not know the keys.
        near.get_mut().0.write_all(&[&[23, 3, 3, 0, 23][..], &[9; 23]].concat()).await.unwrap();
        let error = far.read_u8().await.unwrap_err();
        assert_eq!(crate::tls::tls_error(&error), Some(&rustls::Error::DecryptError));
        let heard = near.read_u8().await.unwrap_err();
        let alert = rustls::Error::AlertReceived(rustls::AlertDescription::BadRecordMac);
        assert_eq!(crate::tls::tls_error(&heard), Some(&alert));
    }
}
