//! The PKI as its users see it: issued certificates, handshakes in memory, and OpenSSL as a second opinion.

// Clippy knows unwrapping helpers as tests only inside of `#[cfg(test)]`.
#![allow(clippy::unwrap_used)]

mod authority;
mod handshake;
mod join;
mod openssl;
mod world;
