//! The server, as its clients and its administrator meet it.

// A failed expectation is a failed test.
#![allow(clippy::unwrap_used)]

mod absence;
mod admission;
mod announced;
mod audit;
mod crash;
mod crowd;
mod damage;
mod deletion;
mod hostile;
mod identity;
mod joining;
mod large;
mod lifetimes;
mod limits;
mod links;
mod log;
mod many;
mod names;
mod packs;
mod pipeline;
mod program;
mod promises;
mod refusal;
mod refused_bodies;
mod reload;
mod restore;
mod resume;
mod revocation;
mod round_trip;
mod service;
mod sharing;
mod silence;
mod slices;
mod small_disk;
mod spaces;
mod tls;
mod tree;
mod trees;
mod update;
mod upkeep;
mod watching;

use sealift_protocol::WireError;
use sealift_types::ErrorCode;

/// The server's program.
const SEALIFTD: &str = env!("CARGO_BIN_EXE_sealiftd-under-test");

/// The code of what must have been refused.
#[track_caller]
fn code<T: std::fmt::Debug>(result: Result<T, WireError>) -> ErrorCode {
    result.unwrap_err().code
}
