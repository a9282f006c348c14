//! The join conversation, from the side of the machine that joins.

use std::sync::Arc;

use rustls::ClientConfig;
use sealift_certs::tls::{join_client_config, server_name};
use sealift_certs::{JoinToken, new_key_and_request};
use sealift_protocol::WireError;
use sealift_protocol::join::{JoinReply, JoinRequest};
use sealift_protocol::message::decode;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::wait::PATIENCE;
use crate::{Client, Machine};

/// Why a machine could not join.
#[derive(Debug)]
pub enum JoinError {
    /// There was no TLS connection.
    Handshake(std::io::Error),
    /// The server refused.
    Refused(WireError),
    /// The server hung up without a word.
    Closed,
}

/// Makes a key, and trades the token for a certificate of it.
pub async fn join(token: &JoinToken) -> Result<Machine, JoinError> {
    let made = new_key_and_request().unwrap();
    let mut client = dial(token).await?;
    let request = JoinRequest { secret: token.secret.to_text(), csr: made.csr_pem, machine: None };
    client.writer.push(&request).unwrap();
    let joined = match answer(&mut client).await? {
        JoinReply::Joined(joined) => joined,
        JoinReply::Error(error) => return Err(JoinError::Refused(error)),
    };
    Ok(Machine {
        name: joined.identity,
        address: token.addresses[0].parse().unwrap(),
        trust_domain: token.trust_domain.clone(),
        authority_pem: joined.authority,
        certificate_pem: joined.certificate,
        key_pem: made.key_pem.as_str().to_owned(),
    })
}

/// Connects for joining, and says nothing yet.
pub async fn dial(token: &JoinToken) -> Result<Client, JoinError> {
    let config = join_client_config(token.fingerprint, &token.trust_domain).unwrap();
    dial_with(token, config).await
}

/// The same with another TLS configuration.
pub async fn dial_with(token: &JoinToken, config: Arc<ClientConfig>) -> Result<Client, JoinError> {
    let stream = TcpStream::connect(&token.addresses[0]).await.map_err(JoinError::Handshake)?;
    let connector = TlsConnector::from(config);
    let stream =
        connector.connect(server_name(&token.trust_domain), stream).await.map_err(JoinError::Handshake)?;
    Ok(Client::over(stream))
}

/// Sends what waits, and reads the one reply.
pub async fn answer(client: &mut Client) -> Result<JoinReply, JoinError> {
    let _ = client.writer.flush().await;
    let header = match client.reader.header(PATIENCE).await {
        Ok(Some(header)) => header,
        Ok(None) | Err(_) => return Err(JoinError::Closed),
    };
    let payload = client.reader.control(header).await.map_err(|_| JoinError::Closed)?;
    Ok(decode(payload).unwrap())
}
