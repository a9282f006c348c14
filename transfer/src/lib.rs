//! The transfer engine that the Sealift clients share.
//!
//! A front end loads a [`Profile`], makes a [`Client`] of it, decides what goes where with [`plan`],
//! and runs [`upload::upload`] or [`download::download`], which tell it everything by [`Event`]s. Nothing here prints or
//! reads the environment; where a user keeps what is for front ends to ask of [`configuration`].

pub mod address;
pub mod client;
pub mod configuration;
mod connect;
pub mod connection;
pub mod descriptors;
pub mod download;
pub mod error;
pub mod event;
pub mod failure_kind;
pub mod figures;
pub mod join;
pub mod leftovers;
mod local;
mod pace;
pub mod plan;
pub mod profile;
mod race;
pub mod remote;
mod retry;
mod socket;
pub mod sync;
pub mod throttle;
pub mod transfer_options;
pub mod tree;
pub mod upload;

pub use address::Address;
pub use client::{Client, ClientOptions};
pub use configuration::Configuration;
pub use connection::Connection;
pub use error::TransferError;
pub use event::{Event, Events};
pub use failure_kind::{FailureKind, Remedy};
pub use profile::{Profile, Profiles};
pub use transfer_options::TransferOptions;

#[cfg(test)]
mod peer;
