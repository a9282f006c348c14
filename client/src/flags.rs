//! The flags that every verb takes.

use clap::Args;
use sealift_transfer::Address;
use sealift_types::Name;

/// Flags of every verb, before it or behind it.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct Flags {
    /// Which saved profile to use [env: SEALIFT_PROFILE]
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) profile: Option<Name>,
    /// Reach the profile's server by this address instead; the port may be left out [env: SEALIFT_SERVER]
    #[arg(long, global = true, value_name = "ADDR:PORT")]
    pub(crate) server: Option<Address>,
    /// Print JSON, one object on each line [env: SEALIFT_JSON]
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Print no progress and no summaries [env: SEALIFT_QUIET]
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
}
