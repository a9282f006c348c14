//! The `sealift-join/1` conversation: one request, one reply, and the connection ends.

use serde::{Deserialize, Serialize};

use crate::WireError;
use sealift_types::Name;

/// What a machine that joins sends, in one control frame.
#[derive(Clone, Serialize, Deserialize)]
#[serde(tag = "type", rename = "join")]
pub struct JoinRequest {
    /// The token's single-use secret, as in the token.
    pub secret: String,
    /// A PKCS #10 certificate request, PEM; its key stays where it was made.
    pub csr: String,
    /// What the machine calls itself, for the administrator's list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<String>,
}

impl std::fmt::Debug for JoinRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JoinRequest").field("csr", &self.csr).finish_non_exhaustive()
    }
}

/// What the server answers, in one control frame.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum JoinReply {
    /// The machine is enrolled.
    Joined(Joined),
    /// It is not.
    Error(WireError),
}

/// What an enrolled machine keeps.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Joined {
    /// The identity that the certificate names; its own space has the same name.
    pub identity: Name,
    /// The client certificate, PEM.
    pub certificate: String,
    /// The server's CA certificate, PEM: the only trust anchor from now on.
    pub authority: String,
}
