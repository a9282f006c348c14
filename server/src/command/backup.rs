//! `sealiftd backup`

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use super::{Common, Damage, size};
use crate::data::backup;

/// Copies everything to another directory, beside a running server: catalog, contents, and the authority with its keys.
///
/// The directory is a new or an empty one, or that of an earlier backup, which is brought up to date: only what is new is
/// copied. On the same file system contents are hard links, which cost no space but share the disk's fate. All of it is
/// on disk when this ends. `sealiftd serve --data DEST` starts a server on the copy. Keep it as safe as the original: who
/// has the authority's key can be anybody.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  sealiftd backup /backup/sealift\n  sealiftd check --data /backup/sealift"
)]
pub(super) struct Backup {
    /// The directory for the copy.
    #[arg(value_name = "DEST")]
    destination: PathBuf,
    #[command(flatten)]
    common: Common,
}

impl Backup {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let (_, data, connection) = self.common.open()?;
        let taken = backup::take(&data, &connection, &self.destination)?;
        let backup::Taken { linked, copied, bytes, kept, removed, missing } = taken;
        writeln!(
            std::io::stdout(),
            "backed up {} to {}: {linked} files linked, {copied} copied ({}), {kept} were there, {removed} removed",
            data.path().display(),
            self.destination.display(),
            size(bytes),
        )?;
        match missing.len() {
            0 => Ok(()),
            lost => Err(Damage(format!(
                "{lost} files are missing in {} and so in the backup: `sealiftd check` names the paths",
                data.path().join("blobs").display()
            ))
            .into()),
        }
    }
}
