//! The Sealift server.
//!
//! [`serve`] is all of it; the program around it reads the settings, opens the socket and waits for signals.

pub mod audit;
pub mod background;
pub mod budget;
pub mod clock;
pub mod command;
pub mod config;
pub mod data;
pub mod descriptors;
pub mod disturbances;
pub mod error;
pub mod handshakes;
pub mod in_flight;
pub mod join;
pub mod join_gate;
pub mod listener;
pub mod log_limit;
pub mod monitor;
pub mod pki;
pub mod policy;
pub mod prefixes;
pub mod pulse;
pub mod reload;
pub mod request;
pub mod session;
pub mod shared;
pub mod socket;
pub mod state;
pub mod store;
pub mod ticket;
pub mod turns;
pub mod unfinished;

pub use config::Config;
pub use listener::serve;

/// The server's name and version, as clients are told.
pub const SERVER: &str = concat!("sealiftd/", env!("CARGO_PKG_VERSION"));
