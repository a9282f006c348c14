//! `sealiftd backup`

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use super::common::{CommonArgs, Damage, size, transact};
use crate::clock;
use crate::data::backup::{self, BackupSummary};

/// Copies everything to another directory, beside a running server: catalog, contents, and the authority with its keys.
///
/// The directory is a new or an empty one, or that of an earlier backup, which is brought up to date: only what is new or
/// was changed there is copied. Each copy is compared with its SHA-256 when it is made. Later backups read a copy again if
/// somebody has written to its file, or all of them with --verify; damaged copies are replaced. Exit code 5 says that
/// something is damaged on the server. All of it is on disk when this ends, and a backup that was interrupted at any
/// moment goes on with the next one.
///
/// `sealiftd serve --read-only --data DEST` tries the copy out, `sealiftd serve --data DEST` makes it a server. Keep it as
/// safe as the original: whoever has the authority's key can be anybody.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  sealiftd backup /backup/sealift\n  sealiftd backup --verify /backup/sealift"
)]
pub(super) struct BackupArgs {
    /// The directory for the copy.
    #[arg(value_name = "DEST")]
    destination: PathBuf,
    /// Read every file that the backup has already, and replace the damaged ones.
    #[arg(long)]
    verify: bool,
    /// One JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    common: CommonArgs,
}

impl BackupArgs {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let (_, data, mut connection) = self.common.open_to_read()?;
        // Beforehand: a revocation that comes meanwhile is written into the backup, too.
        if !connection.is_readonly(rusqlite::MAIN_DB)? {
            transact(&mut connection, |connection| {
                backup::remember(connection, &self.destination, clock::now())
            })?;
        }
        let taken = backup::take(&data, &connection, &self.destination, self.verify)?;
        let (from, to) = (data.path().display(), self.destination.display());
        let mut out = std::io::stdout();
        if self.json {
            writeln!(out, "{}", json(&taken))?;
        } else {
            let BackupSummary { copied, bytes, kept, verified, repaired, removed, .. } = taken;
            let bytes = size(bytes);
            write!(out, "backed up {from} to {to}: {copied} files copied ({bytes}), ")?;
            write!(out, "{kept} were there, {removed} removed")?;
            if verified > 0 {
                write!(out, "; {verified} read again and whole")?;
            }
            if repaired > 0 {
                write!(out, "; {repaired} damaged in the backup and replaced")?;
            }
            writeln!(out)?;
        }
        let (lost, damaged) = (taken.missing.len(), taken.damaged.len());
        let check = "`sealiftd check` names the paths";
        match (lost, damaged) {
            (0, 0) => Ok(()),
            (lost, 0) => {
                Err(Damage(format!("{lost} files are missing in {from} and so in the backup: {check}")).into())
            }
            (lost, damaged) => Err(Damage(format!(
                "{damaged} files or contents are damaged in {from}, {lost} are missing; the backup has them as they are, \
                 or as an earlier backup had them: {check}"
            ))
            .into()),
        }
    }
}

fn json(taken: &BackupSummary) -> serde_json::Value {
    serde_json::json!({
        "copied": taken.copied,
        "bytes": taken.bytes,
        "kept": taken.kept,
        "verified": taken.verified,
        "repaired": taken.repaired,
        "removed": taken.removed,
        "missing": taken.missing,
        "damaged": taken.damaged,
    })
}
