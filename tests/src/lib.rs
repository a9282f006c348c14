//! The World of the integration tests: a real server with its own PKI on a port that the system picks, and a client
//! that says exactly what a test tells it to.
//!
//! [`World`] runs the server in this process, [`RealServer`] runs the program, for what only a process can suffer. Both
//! lead to a [`Site`], where machines are invited and enrolled as in life. A [`Machine`] connects and gives a
//! [`Client`]: it speaks the protocol frame by frame, and breaks it on demand. [`Store`] looks at the data directory
//! behind the server's back. Nothing sleeps for a fixed time: [`wait`] waits for the thing itself.

// A failed expectation in here is a failed test, and the backtrace says which.
#![allow(clippy::unwrap_used)]

pub mod client;
pub mod coarse_disk;
pub mod computer;
pub mod content;
pub mod joining;
pub mod machine;
mod panics;
pub mod process;
pub mod settings;
mod signals;
pub mod site;
pub mod small_disk;
pub mod store;
pub mod transfer;
pub mod wait;
pub mod world;

pub use client::Client;
pub use coarse_disk::CoarseDisk;
pub use computer::{Call, Computer, Ran, Running};
pub use content::Pattern;
pub use machine::{Machine, Refusal};
pub use process::{Ended, Launcher, RealServer};
pub use settings::Settings;
pub use site::Site;
pub use small_disk::SmallDisk;
pub use store::Store;
pub use transfer::Fetched;
pub use wait::{PATIENCE, eventually, within};
pub use world::World;
