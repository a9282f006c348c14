//! What the server keeps: the catalog, the blobs, and the order in which they are written.
//!
//! An upload is written to `incoming/`, synced, renamed into `blobs/`, the directory synced, and then committed to the
//! catalog; only then is it acknowledged. A crash leaves at most a file that no row knows, which [`gc`] removes, never
//! a row without its file.

pub mod blobs;
pub mod catalog;
pub mod certificates;
mod collected;
mod columns;
pub mod copies;
pub mod disk;
mod dissolve;
pub mod entries;
pub mod extent;
pub mod facts;
pub mod file_holds;
#[cfg(test)]
mod fixture;
mod gate;
pub mod gc;
pub mod identities;
pub mod incoming;
pub mod invitations;
#[cfg(test)]
mod model;
pub mod objects;
pub mod open_error;
pub mod packs;
pub mod partial_uploads;
pub mod schema;
pub mod spaces;
pub mod transfers;
pub mod turnstile;
pub mod upkeep;
mod upload_key;
pub mod upload_leases;
pub mod verification;

pub use blobs::Blobs;
pub use catalog::Catalog;
pub use upkeep::TreeUpkeep;
