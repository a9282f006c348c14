//! `sealiftd revoke`

use std::io::Write;

use clap::Args;
use sealift_protocol::Name;

use super::{Common, transact};
use crate::clock;
use crate::store::identities;

/// Shuts an identity out: its certificates and open tokens are void at once, and its open connections end.
///
/// Its files stay where they are.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  sealiftd revoke alice --data /srv/sealift")]
pub(super) struct Revoke {
    /// Whom.
    name: Name,
    #[command(flatten)]
    common: Common,
}

impl Revoke {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let (_, _, mut connection) = self.common.open()?;
        let certificates =
            transact(&mut connection, |connection| identities::revoke(connection, &self.name, clock::now()))?;
        writeln!(std::io::stdout(), "revoked {} ({certificates} certificates)", self.name)?;
        Ok(())
    }
}
