//! Where a server is: its address and its data, and what an administrator does there.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use rusqlite::{Connection, TransactionBehavior};
use sealift_certs::{Authority, Issued, JoinToken, Secret, Validity, new_key_and_request};
use sealift_server::clock::{nanoseconds, now};
use sealift_server::store::{identities, schema, spaces};
use sealift_types::{Digest, Name, Rights};
use tokio::net::{TcpSocket, TcpStream};

use crate::{Machine, Store, joining};

/// A running server, seen from its own host.
#[derive(Debug, Clone)]
pub struct Site {
    /// The data directory.
    pub data: PathBuf,
    /// Where the server listens.
    pub address: SocketAddr,
}

impl Site {
    pub(crate) fn new(data: PathBuf, address: SocketAddr) -> Self {
        Self { data, address }
    }

    /// A look behind the server's back.
    pub fn store(&self) -> Store {
        Store::new(&self.data)
    }

    /// The server's authority, with its key: what an attacker never has, and what a test needs to issue odd
    /// certificates.
    pub fn authority(&self) -> Authority {
        let read = |name| fs::read_to_string(self.data.join("pki").join(name)).unwrap();
        Authority::from_pem(&read("ca.pem"), &read("ca.key")).unwrap()
    }

    /// A certificate of `name` with this validity, which the server does not know; and the same with its key, as
    /// profiles keep it.
    pub fn issue(&self, name: &str, validity: Validity) -> (Issued, String) {
        let made = new_key_and_request().unwrap();
        let issued = self.authority().issue_user(&made.csr_pem, &name.parse().unwrap(), validity).unwrap();
        let both = [issued.pem.as_str(), made.key_pem.as_str()].concat();
        (issued, both)
    }

    /// A second connection to the catalog, such as `sealiftd`'s verbs open beside a running server.
    pub fn catalog(&self) -> Connection {
        schema::open(&self.data.join("catalog.db")).unwrap()
    }

    /// Invites as `sealiftd invite` does.
    pub fn invite(&self, name: &str) -> JoinToken {
        self.invite_until(name, SystemTime::now() + Duration::from_secs(3600))
    }

    /// Invites with a token that is good until `expires`.
    pub fn invite_until(&self, name: &str, expires: SystemTime) -> JoinToken {
        let secret = Secret::random();
        let (name, digest): (Name, Digest) = (name.parse().unwrap(), secret.digest());
        self.administer(|catalog| {
            identities::invite(catalog, &name, &digest, now(), nanoseconds(expires)).unwrap();
        });
        let authority = self.authority();
        JoinToken {
            fingerprint: authority.fingerprint(),
            secret,
            trust_domain: authority.trust_domain().clone(),
            addresses: vec![self.address.to_string()].try_into().unwrap(),
        }
    }

    /// Invites `name`, and lets a new machine join with the token.
    pub async fn enrol(&self, name: &str) -> Machine {
        joining::join(&self.invite(name)).await.unwrap()
    }

    /// Revokes as `sealiftd revoke` does; returns how many certificates were good.
    pub fn revoke(&self, name: &str) -> usize {
        let name: Name = name.parse().unwrap();
        self.administer(|catalog| identities::revoke(catalog, &name, now()).unwrap().len())
    }

    /// Makes a shared space as `sealiftd space add` does.
    pub fn share(&self, space: &str) {
        let space: Name = space.parse().unwrap();
        assert!(self.administer(|catalog| spaces::add(catalog, &space, None, now()).unwrap()));
    }

    /// Grants rights as `sealiftd grant` does; to everyone if `who` is none.
    pub fn grant(&self, space: &str, who: Option<&str>, rights: Rights) {
        let (space, who): (Name, Option<Name>) =
            (space.parse().unwrap(), who.map(|who| who.parse().unwrap()));
        self.administer(|catalog| spaces::grant(catalog, &space, who.as_ref(), rights).unwrap());
    }

    /// Runs `work` in one transaction.
    pub fn administer<T>(&self, work: impl FnOnce(&Connection) -> T) -> T {
        let mut catalog = self.catalog();
        let transaction = catalog.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
        let value = work(&transaction);
        transaction.commit().unwrap();
        value
    }

    /// A bare TCP connection.
    pub async fn knock(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// The same from an address of this computer.
    pub async fn knock_from(&self, from: IpAddr) -> std::io::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((from, 0).into())?;
        socket.connect(self.address).await
    }
}
