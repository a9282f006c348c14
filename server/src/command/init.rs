//! `sealiftd init`

use std::io::Write;
use std::time::SystemTime;

use clap::Args;

use super::common::CommonArgs;
use crate::data::DataDirectory;

/// Makes a data directory: catalog, certificate authority, room for blobs. `serve` does it, too, when needed.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  sealiftd init --data /srv/sealift")]
pub(super) struct InitArgs {
    #[command(flatten)]
    common: CommonArgs,
}

impl InitArgs {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let config = self.common.settings()?;
        let (data, first) = DataDirectory::open_or_initialise(&config.data, SystemTime::now())?;
        let what = if first { "initialised" } else { "was initialised before:" };
        writeln!(std::io::stdout(), "{what} {}", data.path().display())?;
        Ok(())
    }
}
