//! The Sealift server.
//!
//! [`serve`] is all of it; the program around it reads the settings, opens the socket and waits for signals.

pub mod audit;
pub mod background;
pub mod budget;
pub mod caller;
pub mod clock;
pub mod command;
pub mod config;
pub mod data;
pub mod descriptors;
pub mod disturbances;
pub mod error;
pub mod handshakes;
pub mod host_port;
pub mod in_flight;
pub mod join;
pub mod join_gate;
pub mod joinable_uploads;
pub mod listener;
pub mod liveness;
pub mod log_limit;
pub mod monitor;
pub mod offered_prefixes;
pub mod pki;
pub mod policy;
pub mod reload;
pub mod request;
pub mod session;
pub mod socket;
pub mod state;
pub mod store;
pub mod transfer_guard;
pub mod turns;
pub mod unfinished_uploads;

pub use config::ServerConfig;
pub use listener::serve;

/// The server's name and version, as clients are told.
pub const SERVER: &str = concat!("sealiftd/", env!("CARGO_PKG_VERSION"));
