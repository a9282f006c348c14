//! Joining: trading a token for a certificate.

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use sealift_certs::tls::{Protocol, join_client_config};
use sealift_certs::{Identity, JoinToken, KeyPem, certificate_from_pem, fingerprint, new_key_and_request};
use sealift_protocol::io::{FrameReader, FrameWriter, StreamError};
use sealift_protocol::join::{JoinReply, JoinRequest, Joined};
use sealift_protocol::message::decode;

use crate::address::Address;
use crate::client::ClientOptions;
use crate::connect::connect;
use crate::error::TransferError;
use crate::profile::Enrolment;

/// Makes a key and obtains a certificate for it, which uses the token up.
///
/// The key never leaves this machine. `options.addresses`, where it has some, is dialled instead of the token's
/// addresses. What is returned has all of them, the one that worked first.
///
/// # Errors
/// Fails when no address leads to the server that the token names, when the server refuses the token, and when what
/// it sends is not what the token promises.
pub async fn join(token: &JoinToken, options: &ClientOptions) -> Result<Enrolment, TransferError> {
    let named: Result<Vec<Address>, _> = token.addresses.iter().map(|address| address.parse()).collect();
    let named = named
        .map_err(|error| TransferError::Protocol(format!("the token's addresses are wrong: {error}")))?;
    let dialled = if options.addresses.is_empty() { &named } else { &options.addresses };
    let config = join_client_config(token.fingerprint, &token.trust_domain)?;
    let patience = options.connect_timeout;
    let (connection, reached) =
        connect(dialled, &token.trust_domain, config, Protocol::Join, patience, None).await?;

    let made = new_key_and_request()?;
    let request = JoinRequest { secret: token.secret.to_text(), csr: made.csr_pem, machine: machine() };
    let (read, write) = tokio::io::split(connection);
    let joined = converse(
        FrameReader::new(read, options.stall),
        FrameWriter::new(write, options.stall),
        &request,
        options,
    )
    .await?;

    let mut addresses = vec![reached];
    for address in dialled.iter().chain(&named) {
        if !addresses.contains(address) {
            addresses.push(address.clone());
        }
    }
    check(token, joined, made.key_pem, addresses)
}

/// What this machine calls itself.
fn machine() -> Option<String> {
    #[cfg(unix)]
    let name = rustix::system::uname().nodename().to_str().ok()?.to_owned();
    #[cfg(not(unix))]
    let name = std::env::var("COMPUTERNAME").ok()?;
    Some(name)
}

async fn converse<R, W>(
    mut reader: FrameReader<R>,
    mut writer: FrameWriter<W>,
    request: &JoinRequest,
    options: &ClientOptions,
) -> Result<Joined, TransferError>
where
    R: tokio::io::AsyncRead + Unpin,
    W: tokio::io::AsyncWrite + Unpin,
{
    let lost = |error| match error {
        StreamError::Io(_) | StreamError::Closed | StreamError::Stalled(_) | StreamError::Trickled => {
            TransferError::Lost(error)
        }
        other => TransferError::Protocol(other.to_string()),
    };
    writer.push(request).map_err(lost)?;
    writer.flush().await.map_err(lost)?;
    let header = reader.header(options.stall).await.map_err(lost)?;
    let header = header.ok_or(TransferError::Lost(StreamError::Closed))?;
    let payload = reader.control(header).await.map_err(lost)?;
    let reply = decode::<JoinReply>(payload).map_err(|error| TransferError::Protocol(error.to_string()))?;
    match reply {
        JoinReply::Joined(joined) => Ok(joined),
        JoinReply::Error(error) => Err(error.into()),
    }
}

/// Holds what the server sent against the token and against itself: a mistake must show now, while the cause is known.
fn check(
    token: &JoinToken,
    joined: Joined,
    key_pem: KeyPem,
    addresses: Vec<Address>,
) -> Result<Enrolment, TransferError> {
    let wrong = |what: &str| TransferError::Protocol(format!("the certificate that it issued {what}"));
    let authority = certificate_from_pem(&joined.authority)?;
    if fingerprint(&authority) != token.fingerprint {
        return Err(wrong("comes with an authority that the token does not name"));
    }
    let certificate = CertificateDer::from_pem_slice(joined.certificate.as_bytes());
    let certificate = certificate.map_err(|_| wrong("is not readable"))?;
    let identity = Identity::of_certificate(&certificate).map_err(|error| wrong(&error.to_string()))?;
    if identity.trust_domain != token.trust_domain || identity.user() != Some(&joined.identity) {
        return Err(wrong("names somebody else"));
    }
    // Builds the configuration that every later connection uses, and so proves that key and certificate are a pair.
    sealift_certs::tls::client_config(&joined.authority, &joined.certificate, &key_pem)?;
    Ok(Enrolment {
        identity: joined.identity,
        trust_domain: token.trust_domain.clone(),
        addresses,
        authority_pem: joined.authority,
        certificate_pem: joined.certificate,
        key_pem,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use sealift_certs::{Authority, Secret, TrustDomain, USER_VALIDITY, Validity};
    use sealift_types::Name;
    use std::time::SystemTime;

    struct Given {
        token: JoinToken,
        joined: Joined,
        key: KeyPem,
    }

    fn given() -> Given {
        let now = SystemTime::now();
        let authority = Authority::generate(TrustDomain::random(), now).unwrap();
        let made = new_key_and_request().unwrap();
        let identity: Name = "alice".parse().unwrap();
        let validity = Validity::starting(now, USER_VALIDITY);
        let issued = authority.issue_user(&made.csr_pem, &identity, validity).unwrap();
        let token = JoinToken {
            fingerprint: authority.fingerprint(),
            secret: Secret::random(),
            trust_domain: authority.trust_domain().clone(),
            addresses: vec!["host:1".to_owned()].try_into().unwrap(),
        };
        let joined =
            Joined { identity, certificate: issued.pem, authority: authority.certificate_pem().to_owned() };
        Given { token, joined, key: made.key_pem }
    }

    #[test]
    fn what_a_server_sends_is_held_against_the_token() {
        let Given { token, joined, key } = given();
        let other = given();
        let passes = |joined: Joined, key: &KeyPem| check(&token, joined, key.clone(), vec![]).is_ok();
        assert!(passes(joined.clone(), &key));
        assert!(!passes(joined.clone(), &other.key), "another key");
        assert!(!passes(Joined { identity: "bob".parse().unwrap(), ..joined.clone() }, &key));
        assert!(!passes(Joined { certificate: other.joined.certificate.clone(), ..joined.clone() }, &key));
        assert!(!passes(Joined { authority: other.joined.authority.clone(), ..joined.clone() }, &key));
        assert!(!passes(Joined { certificate: "rubbish".into(), ..joined }, &key));
    }
}
