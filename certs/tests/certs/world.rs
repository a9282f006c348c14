//! An authority with a server and clients, and handshakes between them without sockets.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::server::ResolvesServerCert;
use rustls::{ClientConfig, ClientConnection, ServerConfig, ServerConnection};
use sealift_certs::tls::{self, CurrentCertificate, ServerIdentity};
use sealift_certs::{Authority, Issued, KeyPem, TrustDomain, USER_VALIDITY, Validity, new_key_and_request};

/// An authority of its own trust domain.
pub(crate) struct World {
    pub(crate) authority: Authority,
    pub(crate) now: SystemTime,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::named(TrustDomain::random())
    }

    pub(crate) fn named(trust_domain: TrustDomain) -> Self {
        let now = SystemTime::now();
        Self { authority: Authority::generate(trust_domain, now).unwrap(), now }
    }

    /// Valid now, as clients get it.
    pub(crate) fn current(&self) -> Validity {
        Validity::starting(self.now, USER_VALIDITY)
    }

    /// Over since yesterday.
    pub(crate) fn expired(&self) -> Validity {
        Validity::starting(self.now - days(3), days(2))
    }

    pub(crate) fn user(&self, name: &str, validity: Validity) -> (Issued, KeyPem) {
        let made = new_key_and_request().unwrap();
        let issued = self.authority.issue_user(&made.csr_pem, &name.parse().unwrap(), validity).unwrap();
        (issued, made.key_pem)
    }

    /// A client that trusts this authority and shows `certificate`.
    pub(crate) fn client(&self, certificate: &(Issued, KeyPem)) -> Arc<ClientConfig> {
        tls::client_config(self.authority.certificate_pem(), &certificate.0.pem, &certificate.1).unwrap()
    }

    pub(crate) fn server_identity(&self, validity: Validity) -> ServerIdentity {
        let (issued, key) = self.authority.issue_server(&[], validity).unwrap();
        ServerIdentity::from_pem(&issued.pem, &key, self.authority.certificate_der()).unwrap()
    }

    pub(crate) fn resolver(&self) -> Arc<CurrentCertificate> {
        Arc::new(CurrentCertificate::new(self.server_identity(self.current())))
    }

    pub(crate) fn server(&self) -> Arc<ServerConfig> {
        self.server_with(self.resolver())
    }

    pub(crate) fn server_with(&self, resolver: Arc<dyn ResolvesServerCert>) -> Arc<ServerConfig> {
        tls::server_config(self.authority.certificate_der(), resolver).unwrap()
    }

    /// A handshake in which the client expects this world's server.
    pub(crate) fn handshake(&self, client: &Arc<ClientConfig>, server: &Arc<ServerConfig>) -> Outcome {
        handshake(client, server, self.authority.trust_domain())
    }
}

pub(crate) fn days(count: u64) -> Duration {
    Duration::from_secs(count * 24 * 3600)
}

/// How a handshake ended on each side.
pub(crate) struct Outcome {
    pub(crate) client: Result<ClientConnection, rustls::Error>,
    pub(crate) server: Result<ServerConnection, rustls::Error>,
}

impl Outcome {
    pub(crate) fn established(self) -> (ClientConnection, ServerConnection) {
        (self.client.unwrap(), self.server.unwrap())
    }

    /// The errors of the client and of the server.
    pub(crate) fn refused(self) -> (rustls::Error, rustls::Error) {
        (self.client.unwrap_err(), self.server.unwrap_err())
    }
}

/// Carries bytes between the two until neither has any left or one gave up and the other knows why.
pub(crate) fn handshake(
    client: &Arc<ClientConfig>,
    server: &Arc<ServerConfig>,
    name: &TrustDomain,
) -> Outcome {
    let mut client = ClientConnection::new(Arc::clone(client), tls::server_name(name)).unwrap();
    let mut server = ServerConnection::new(Arc::clone(server)).unwrap();
    let (mut client_failed, mut server_failed) = (None, None);
    while client.wants_write() || server.wants_write() {
        let mut bytes = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut bytes).unwrap();
        }
        if server_failed.is_none() {
            server_failed = take(&mut server, &bytes);
        }
        bytes.clear();
        while server.wants_write() {
            server.write_tls(&mut bytes).unwrap();
        }
        if client_failed.is_none() {
            client_failed = take(&mut client, &bytes);
        }
    }
    if client_failed.is_none() && server_failed.is_none() {
        assert!(!client.is_handshaking() && !server.is_handshaking());
    }
    Outcome { client: client_failed.map_or(Ok(client), Err), server: server_failed.map_or(Ok(server), Err) }
}

fn take<Data>(
    connection: &mut impl std::ops::DerefMut<Target = rustls::ConnectionCommon<Data>>,
    mut bytes: &[u8],
) -> Option<rustls::Error> {
    while !bytes.is_empty() {
        connection.read_tls(&mut bytes).unwrap();
        if let Err(error) = connection.process_new_packets() {
            return Some(error);
        }
    }
    None
}
