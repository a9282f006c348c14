//! What the server keeps: the catalog, the blobs, and the order in which they are written.
//!
//! An upload is written to `incoming/`, synced, renamed into `blobs/`, the directory synced, and then committed to the
//! catalog; only then is it acknowledged. A crash leaves at most a file that no row knows, which [`gc`] removes, never
//! a row without its file.

pub mod attempts;
pub mod blobs;
pub mod catalog;
pub mod certificates;
pub mod copies;
pub mod disk;
pub mod entries;
pub mod facts;
#[cfg(test)]
mod fixture;
mod gate;
pub mod gc;
pub mod holds;
pub mod identities;
pub mod incoming;
pub mod invitations;
#[cfg(test)]
mod model;
pub mod objects;
pub mod packs;
pub mod parts;
pub mod schema;
pub mod spaces;
pub mod transfers;
pub mod turnstile;
pub mod upkeep;
pub mod verification;

pub use blobs::Blobs;
pub use catalog::Catalog;
pub use upkeep::Trees;
