//! The Sealift PKI: who is who, and how both ends make sure of it.
//!
//! The server is its own certificate authority ([`Authority`]). A client makes its key where the key is used
//! ([`new_key_and_request`]) and trades a request for a certificate whose one URI names it ([`Identity`]). What a
//! machine needs to join fits in one line of text ([`JoinToken`]). [`tls`] turns all this into configurations that
//! cannot be weakened: TLS 1.3 only, one root only, no resumption.
//!
//! Nothing here opens a socket, prints, reads a configuration or looks at the clock: time is an argument. The
//! exception is the TLS configurations, which ask the system for the time of each handshake.

pub mod addresses;
pub mod authority;
mod certificate;
mod date;
pub mod error;
pub mod files;
pub mod identity;
mod leaf;
pub mod pem;
pub mod request;
pub mod secret;
pub mod tls;
pub mod token;
pub mod trust_domain;
pub mod validity;

pub use addresses::{Addresses, AddressesError};
pub use authority::{Authority, Issued};
pub use date::Date;
pub use error::{CertError, IdentityError, RequestError};
pub use identity::{Identity, Role, fingerprint, origin};
pub use pem::{KeyPem, certificate_from_pem, certificate_to_pem};
pub use request::{KeyAndRequest, new_key_and_request};
pub use secret::Secret;
pub use token::{JoinToken, TokenError};
pub use trust_domain::TrustDomain;
pub use validity::{SERVER_VALIDITY, USER_VALIDITY, Validity, validity};

/// Bytes that nobody can guess, from the provider's generator.
fn random<const LENGTH: usize>() -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    aws_lc_rs::rand::fill(&mut bytes)
        .expect("AWS-LC ends the process itself when the system gives no randomness");
    bytes
}
