//! TLS 1.3 connections over any byte stream, in two halves that do not wait for each other.
//!
//! rustls shakes hands, verifies certificates and derives every key. What follows, the records of
//! [RFC 8446, section 5](https://www.rfc-editor.org/rfc/rfc8446#section-5), is sealed and opened here, with AWS-LC's
//! ciphers, through the interface that rustls has for kernels that do the same. The reason is speed: here a record is
//! opened from the memory that it was received in straight into that of whoever reads, many are received by one system
//! call, and reading does not hold up writing. rustls copies every byte twice more.
//!
//! There is no resumption, no early data, and no message after the handshake but `KeyUpdate` and alerts; any other
//! ends the connection. The configurations must allow the secrets to be handed over
//! (`enable_secret_extraction`), as those of `sealift-certs` do.

mod handshake;
mod reader;
mod record;
mod shared;
pub mod socket;
mod writer;

pub use handshake::{Connection, accept, connect};
pub use reader::TlsReader;
pub use writer::TlsWriter;

#[cfg(test)]
mod tests;
