//! A client: a profile, and a connection where one is needed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use sealift_certs::Validity;
use sealift_certs::tls::Protocol;
use sealift_types::Name;

use crate::address::Address;
use crate::connect::connect;
use crate::connection::Connection;
use crate::error::TransferError;
use crate::profile::Profile;
use crate::remote;
use crate::throttle::Limit;

/// How a client behaves on the wire.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// Addresses to dial instead of the profile's; empty for those.
    pub addresses: Vec<Address>,
    /// How long each TCP connection and each TLS handshake may take.
    pub connect_timeout: Duration,
    /// How long nothing may move before a connection counts as lost.
    pub stall: Duration,
    /// How often in a row a lost connection is made anew although nothing was achieved since the last time.
    pub retries: u32,
    /// The most connections that many or large transfers share.
    pub connections: usize,
    /// Whether one large file is shared among them at once, and not only when it turns out to be slow.
    pub eager: bool,
    /// How fast bytes may cross; `None` for as fast as they can.
    pub limit: Option<Limit>,
    /// The program's name and version, for the server's log.
    pub agent: String,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            addresses: Vec::new(),
            connect_timeout: Duration::from_secs(5),
            stall: Duration::from_secs(60),
            retries: 6,
            connections: 2,
            eager: false,
            limit: None,
            agent: concat!("sealift-transfer/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

/// A profile, and a connection that is made when it is first needed and replaced when it is spent.
#[derive(Debug)]
pub struct Client {
    profile: Profile,
    options: ClientOptions,
    connection: Option<Connection>,
    /// Whether any connection was made in this run, also by another client of the same profile.
    has_connected: Arc<AtomicBool>,
    /// The address that led to the server last: it is dialled first.
    good: Mutex<Option<Address>>,
}

impl Client {
    /// A client that has not connected yet.
    pub fn new(profile: Profile, options: ClientOptions) -> Self {
        let good = Mutex::new(profile.reached());
        Self { profile, options, connection: None, has_connected: Arc::default(), good }
    }

    /// Who the client is.
    pub fn identity(&self) -> &Name {
        &self.profile.identity
    }

    /// The profile, as last renewed.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// A connection that is ready for a request.
    ///
    /// # Errors
    /// Fails when a new one is needed and cannot be made.
    pub async fn connection(&mut self) -> Result<&mut Connection, TransferError> {
        let ready = self.connection.take().filter(Connection::is_in_step);
        let connection = match ready {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        Ok(self.connection.insert(connection))
    }

    /// Whether there is a connection that is ready for a request.
    pub fn is_connected(&self) -> bool {
        self.connection.as_ref().is_some_and(Connection::is_in_step)
    }

    /// Whether there was a connection to the server.
    pub fn has_connected(&self) -> bool {
        self.has_connected.load(Ordering::Relaxed)
    }

    /// Whether the certificate is in the last third of its life; `false` when nobody can tell.
    pub fn should_renew(&self, now: SystemTime) -> bool {
        self.profile.validity().is_ok_and(|validity| validity.should_renew(now))
    }

    /// Obtains a new certificate for a new key, saves both, and returns when it expires.
    ///
    /// Connections go on with the old one, which stays valid for its time.
    ///
    /// # Errors
    /// Fails when the server refuses, and when the profile cannot be written; the old certificate is kept then.
    pub async fn renew(&mut self) -> Result<Validity, TransferError> {
        // Each certificate that cannot be saved would be one more that somebody has to revoke.
        let place = self.profile.prepare_renewal()?;
        let made = sealift_certs::new_key_and_request()?;
        let certificate = remote::renew(self.connection().await?, made.csr_pem).await?;
        self.profile.replace_identity(place, &certificate, &made.key_pem)?;
        Ok(self.profile.validity()?)
    }

    /// Says goodbye, if there is anybody to say it to.
    pub async fn close(self) {
        if let Some(connection) = self.connection.filter(Connection::is_in_step) {
            connection.close().await;
        }
    }

    /// Another client of the same profile, with connections of its own.
    pub(crate) fn another(&self) -> Self {
        Self {
            has_connected: self.has_connected.clone(),
            ..Self::new(self.profile.clone(), self.options.clone())
        }
    }

    /// Takes the connection out, if it is ready for a request.
    pub(crate) fn take_connection(&mut self) -> Option<Connection> {
        self.connection.take().filter(Connection::is_in_step)
    }

    /// Puts a connection back.
    pub(crate) fn give_back(&mut self, connection: Connection) {
        self.connection = Some(connection);
    }

    pub(crate) fn retries(&self) -> u32 {
        self.options.retries
    }

    pub(crate) fn connections(&self) -> usize {
        let most = self.options.limit.as_ref().map_or(usize::MAX, Limit::most_connections);
        self.options.connections.min(most)
    }

    pub(crate) fn eager(&self) -> bool {
        self.options.eager
    }

    pub(crate) async fn connect(&self) -> Result<Connection, TransferError> {
        let Self { profile, options, .. } = self;
        let addresses = if options.addresses.is_empty() { &profile.addresses } else { &options.addresses };
        let good = self.good.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut addresses = addresses.clone();
        addresses.sort_by_key(|address| Some(address) != good.as_ref());
        let (connection, address) = connect(
            &addresses,
            &profile.trust_domain,
            profile.tls()?,
            Protocol::Transfer,
            options.connect_timeout,
            options.limit.as_ref(),
        )
        .await?;
        self.has_connected.store(true, Ordering::Relaxed);
        if good.as_ref() != Some(&address) {
            if options.addresses.is_empty() {
                profile.remember(&address);
            }
            *self.good.lock().unwrap_or_else(PoisonError::into_inner) = Some(address.clone());
        }
        let written = connection.get_ref().0.written();
        let (read, write) = tokio::io::split(connection);
        let connection =
            Connection::new(Box::new(read), Box::new(write), address, &options.agent, options.stall)?;
        Ok(connection.watching(written))
    }
}
