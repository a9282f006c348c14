//! The client at the other end of a connection.

use sealift_types::{Digest, ErrorCode, Name};

use crate::clock;
use crate::error::{Result, ServerError};
use crate::store::catalog::{Catalog, WriterLine};
use crate::store::identities;

/// Who is at the other end.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The row in the catalog.
    pub identity: i64,
    /// The name, which is also that of the own space.
    pub name: Name,
    /// The identity as a URI.
    pub uri: String,
    /// The certificate.
    pub fingerprint: Digest,
    /// When the certificate expires.
    pub expires: i64,
    /// From where, `ADDR:PORT`.
    pub address: String,
    /// Whether the server changes nothing, for nobody.
    pub read_only: bool,
}

impl Caller {
    /// The catalog for what the caller changes: in order with what it has asked for before, in turns with others.
    pub fn changes(&self, catalog: &Catalog) -> Catalog {
        catalog.within(WriterLine::Of(self.identity))
    }

    /// Refuses what would change something, if the server is to change nothing.
    pub fn refuse_changes(&self) -> Result<()> {
        if !self.read_only {
            return Ok(());
        }
        let message = "this server only reads (`sealiftd serve --read-only`) and changes nothing: use the one that it is \
                       a copy of, or ask its administrator";
        Err(ServerError::refused(ErrorCode::NotAllowed, message))
    }

    /// Refuses a caller whose certificate is no longer good.
    pub fn verify(&self, connection: &rusqlite::Connection) -> Result<()> {
        identities::of_certificate(connection, &self.fingerprint, clock::now()).map(drop)
    }
}
