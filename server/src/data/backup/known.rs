//! The backups that a server knows of, and what it writes into them: revocations.

use std::path::{Path, PathBuf};

use rusqlite::Connection;
use sealift_protocol::message::Nanoseconds;
use serde::{Deserialize, Serialize};

use super::{BackupError, mark};
use crate::data::DataDirectory;
use crate::data::revocations::{self, Revocation};
use crate::error::Result;
use crate::store::{certificates, facts};

/// A directory into which a backup was taken.
#[derive(Debug, Serialize, Deserialize)]
struct KnownBackup {
    path: PathBuf,
    taken_at: Nanoseconds,
}

/// Notes in the server's catalog that a backup is taken into a directory.
pub fn remember(connection: &Connection, destination: &Path, now: Nanoseconds) -> Result<()> {
    let path = std::path::absolute(destination).unwrap_or_else(|_| destination.to_owned());
    let mut backups = known(connection, now)?;
    backups.retain(|backup| backup.path != path);
    backups.push(KnownBackup { path, taken_at: now });
    // A path that is not UTF-8 cannot be written down; nothing else depends on it.
    match serde_json::to_string(&backups) {
        Ok(text) => facts::set(connection, facts::BACKUPS, &text),
        Err(_) => Ok(()),
    }
}

/// The backups that are not too old for what is revoked to matter to them.
fn known(connection: &Connection, now: Nanoseconds) -> Result<Vec<KnownBackup>> {
    let text = facts::read(connection, facts::BACKUPS)?.unwrap_or_default();
    let mut backups: Vec<KnownBackup> = serde_json::from_str(&text).unwrap_or_default();
    let oldest = now.saturating_sub(certificates::longest_life(connection)?);
    backups.retain(|backup| backup.taken_at > oldest);
    Ok(backups)
}

/// Writes revocations into every backup that is known. Returns those that could not be reached.
pub fn spread(
    source: &DataDirectory,
    connection: &Connection,
    revocations: &[Revocation],
    now: Nanoseconds,
) -> std::result::Result<Vec<PathBuf>, BackupError> {
    let mark = mark(source)?;
    let here = source.path().canonicalize().ok();
    let mut unreached = Vec::new();
    for KnownBackup { path, .. } in known(connection, now)? {
        // A backup knows of itself, and its own list is held already.
        if here.is_some() && path.canonicalize().ok() == here {
            continue;
        }
        let backup = DataDirectory(path);
        let written = match std::fs::read_to_string(backup.backup_mark()) {
            Ok(found) if found == mark => revocations::append_to(&backup, revocations).is_ok(),
            // It has become something else.
            Ok(_) => continue,
            // A server of its own by now.
            Err(_) if backup.is_initialised().unwrap_or(false) => continue,
            Err(_) => false,
        };
        if !written {
            unreached.push(backup.0);
        }
    }
    Ok(unreached)
}
