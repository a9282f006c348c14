//! The words that all parts of Sealift share.
//!
//! This crate depends on no other crate of the workspace.

pub mod digest;
pub mod error_code;
pub mod name;
pub mod path;
pub mod rights;

pub use digest::{Digest, Hasher};
pub use error_code::ErrorCode;
pub use name::Name;
pub use path::{EntryPath, Location};
pub use rights::Rights;
