//! A machine that has joined: what it keeps, and how it connects.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use rustls::{AlertDescription, ClientConfig};
use sealift_certs::tls::{client_config, server_name, tls_error};
use sealift_certs::{TrustDomain, certificate_from_pem, fingerprint};
use sealift_protocol::WireError;
use sealift_protocol::io::StreamError;
use sealift_protocol::message::{Reply, Welcome};
use sealift_types::{Digest, Name};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;

use crate::Client;
use crate::client::hello;

/// An enrolled machine.
#[derive(Debug, Clone)]
pub struct Machine {
    /// The identity that its certificate names.
    pub name: Name,
    /// Where the server is.
    pub address: SocketAddr,
    /// The name by which the server is verified.
    pub trust_domain: TrustDomain,
    /// The server's authority.
    pub authority_pem: String,
    /// The certificate.
    pub certificate_pem: String,
    /// The key.
    pub key_pem: String,
}

/// Why a server did not welcome a machine.
#[derive(Debug)]
pub enum Refusal {
    /// The TLS handshake failed at the server, which said so.
    Alert(AlertDescription),
    /// The server said why.
    Said(WireError),
    /// The connection ended without a word.
    Closed(String),
}

impl Machine {
    /// The same machine, for a server that moved to another address.
    #[must_use]
    pub fn at(&self, address: SocketAddr) -> Self {
        Self { address, ..self.clone() }
    }

    /// The same machine with another certificate and its key.
    #[must_use]
    pub fn with_certificate(&self, certificate_pem: &str, key_pem: &str) -> Self {
        Self { certificate_pem: certificate_pem.to_owned(), key_pem: key_pem.to_owned(), ..self.clone() }
    }

    /// The fingerprint of the certificate.
    pub fn fingerprint(&self) -> Digest {
        fingerprint(&certificate_from_pem(&self.certificate_pem).unwrap())
    }

    /// The TLS configuration that clients use.
    pub fn config(&self) -> Arc<ClientConfig> {
        client_config(&self.authority_pem, &self.certificate_pem, &self.key_pem).unwrap()
    }

    /// Connects and is welcomed.
    pub async fn connect(&self) -> Client {
        match self.try_connect().await {
            Ok((client, welcome)) => {
                assert_eq!(welcome.identity, self.name);
                client
            }
            Err(refusal) => panic!("{} was not welcomed: {refusal:?}", self.name),
        }
    }

    /// Connects with a hello, unless the server refuses.
    pub async fn try_connect(&self) -> Result<(Client, Welcome), Refusal> {
        self.try_connect_with(self.config()).await
    }

    /// The same with another TLS configuration.
    pub async fn try_connect_with(&self, config: Arc<ClientConfig>) -> Result<(Client, Welcome), Refusal> {
        Self::greet(self.dial_with(config).await).await
    }

    async fn greet(dialled: std::io::Result<Client>) -> Result<(Client, Welcome), Refusal> {
        let mut client = match dialled {
            Ok(client) => client,
            Err(error) => return Err(refusal(&StreamError::Io(error))),
        };
        client.push(&hello());
        // In TLS 1.3 the client has finished before the server has seen its certificate. So the hello may meet a
        // closed socket, and the alert that says why is still there to be read.
        let _ = client.writer.flush().await;
        match client.try_reply().await {
            Ok(Some(Reply::Welcome(welcome))) => Ok((client, welcome)),
            Ok(Some(Reply::Error(error))) => Err(Refusal::Said(error)),
            Ok(Some(other)) => panic!("{other:?} is no answer to a hello"),
            Ok(None) => Err(Refusal::Closed("between two frames".into())),
            Err(error) => Err(refusal(&error)),
        }
    }

    /// The same from an address of this computer.
    pub async fn try_connect_from(&self, from: IpAddr) -> Result<(Client, Welcome), Refusal> {
        let dialled = async {
            let socket = TcpSocket::new_v4()?;
            socket.bind((from, 0).into())?;
            self.secure(socket.connect(self.address).await?, self.config()).await
        };
        Self::greet(dialled.await).await
    }

    /// Connects without saying hello.
    pub async fn dial(&self) -> Client {
        self.dial_with(self.config()).await.unwrap()
    }

    /// Connects with so little room for what arrives, and is welcomed: the server notices soon when this client stops
    /// reading.
    pub async fn connect_with_a_small_window(&self) -> Client {
        self.connect_with_window(8 * 1024).await
    }

    /// The same with so many bytes of room.
    pub async fn connect_with_window(&self, bytes: u32) -> Client {
        let mut client = self.dial_with_window(bytes).await;
        assert!(matches!(client.request(&hello()).await, Reply::Welcome(_)));
        client
    }

    /// Connects with little room for what arrives, without saying hello.
    pub async fn dial_with_a_small_window(&self) -> Client {
        self.dial_with_window(8 * 1024).await
    }

    async fn dial_with_window(&self, bytes: u32) -> Client {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(bytes).unwrap();
        let stream = socket.connect(self.address).await.unwrap();
        self.secure(stream, self.config()).await.unwrap()
    }

    async fn dial_with(&self, config: Arc<ClientConfig>) -> std::io::Result<Client> {
        self.secure(TcpStream::connect(self.address).await?, config).await
    }

    async fn secure(&self, stream: TcpStream, config: Arc<ClientConfig>) -> std::io::Result<Client> {
        stream.set_nodelay(true)?;
        let stream = TlsConnector::from(config).connect(server_name(&self.trust_domain), stream).await?;
        Ok(Client::over(stream))
    }
}

fn refusal(error: &StreamError) -> Refusal {
    if let StreamError::Io(error) = error
        && let Some(rustls::Error::AlertReceived(alert)) = tls_error(error)
    {
        return Refusal::Alert(*alert);
    }
    Refusal::Closed(error.to_string())
}
