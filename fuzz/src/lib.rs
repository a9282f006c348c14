//! What must hold for any bytes of a peer, and for any stored file.
//!
//! Each module has one function `check`, which takes any bytes and panics if a promise is broken. A fuzz target calls it with
//! the inputs that libFuzzer makes up; `tests/corpora.rs` calls it with those that are kept.

pub mod answers;
pub mod certificates;
pub mod frames;
pub mod hello;
pub mod messages;
pub mod packs;
pub mod paths;
pub mod patterns;
pub mod profiles;
pub mod queue;
pub mod read_ahead;
pub mod requests;
pub mod revocations;
pub mod settings;
pub mod tokens;

mod desktop;
mod memory;
mod pki;
mod stream;

/// A target: what must hold for any bytes.
pub type Check = fn(&[u8]);

/// All targets by their names.
pub const TARGETS: [(&str, Check); 15] = [
    ("answers", answers::check),
    ("certificates", certificates::check),
    ("frames", frames::check),
    ("hello", hello::check),
    ("messages", messages::check),
    ("packs", packs::check),
    ("paths", paths::check),
    ("patterns", patterns::check),
    ("profiles", profiles::check),
    ("queue", queue::check),
    ("read_ahead", read_ahead::check),
    ("requests", requests::check),
    ("revocations", revocations::check),
    ("settings", settings::check),
    ("tokens", tokens::check),
];
