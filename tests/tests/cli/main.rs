//! The client's program, as people and scripts meet it, against real servers.

// A failed expectation is a failed test.
#![allow(clippy::unwrap_used)]

mod administration;
#[cfg(unix)]
mod coarse_disk;
mod credentials;
mod cuts;
mod damage;
mod deduplication;
mod destinations;
mod dry_run;
mod example;
mod full_disk;
mod gate;
mod help;
mod input;
mod interruption;
mod joining;
mod json;
mod listing;
mod local;
mod log;
mod main_job;
mod metadata;
mod names;
mod one_file;
mod outputs;
mod paths;
mod reaching;
mod redaction;
mod relay;
mod renewal;
mod retries;
mod rights;
mod server_death;
mod settings;
mod source_change;
mod sync;
mod sync_conflicts;
mod sync_races;
mod terminal;
mod tree;
mod trees;
mod update;

use sealift_tests::{Computer, World};

/// The client's program.
const SEALIFT: &str = env!("CARGO_BIN_EXE_sealift-under-test");

/// The server's program.
const SEALIFTD: &str = env!("CARGO_BIN_EXE_sealiftd-under-test");

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

/// A server, and the computer of alice, who has joined it.
async fn alice() -> (World, Computer) {
    let world = World::start().await;
    let alice = Computer::joined(SEALIFT, &world, "alice").await;
    (world, alice)
}
