//! The Sealift wire: what crosses a connection, and the words both ends share.
//!
//! This crate parses, prints and pumps; it opens no socket and knows no TLS. `docs/protocol.md` describes the same thing
//! for people who write another client.

pub mod error;
pub mod frame;
pub mod harmless;
pub mod io;
pub mod join;
pub mod message;

pub use error::WireError;
pub use frame::{FrameError, FrameKind, Header};
pub use message::{Reply, Request};

/// The application protocol that transfers speak, offered and required in ALPN.
pub const ALPN: &[u8] = b"sealift/1";

/// The application protocol of enrolment: the only one without a client certificate.
pub const JOIN_ALPN: &[u8] = b"sealift-join/1";

/// The version spoken under [`ALPN`].
pub const VERSION: u32 = 1;

/// The TCP port that a server listens on unless told otherwise.
pub const DEFAULT_PORT: u16 = 8888;
