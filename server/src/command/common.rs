//! What the verbs of `sealiftd` have in common.

use std::path::{Path, PathBuf};

use clap::Args;
use rusqlite::{Connection, TransactionBehavior};
use sealift_protocol::harmless::harmless;

use crate::config::keys::{KEYS, SettingKey};
use crate::config::{Problems, ServerConfig, Sources};
use crate::data::DataDirectory;
use crate::store::{schema, turnstile};

/// What every verb takes.
#[derive(Debug, Args)]
pub(super) struct CommonArgs {
    /// The data directory [env: SEALIFTD_DATA] [default: /var/lib/sealift, or what the configuration says].
    #[arg(long, value_name = "DIR")]
    pub(super) data: Option<PathBuf>,
    /// The configuration file, TOML [default: /etc/sealift/sealiftd.toml, if it is there].
    #[arg(long, env = "SEALIFTD_CONFIG", value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
}

impl CommonArgs {
    /// What the settings are made of: flags, the environment, the file.
    pub(super) fn sources(&self) -> Sources {
        let mut sources = Sources::new(self.config.clone());
        sources.flag("data", "--data", self.data.clone(), |config, data| config.data = data);
        sources
    }

    /// The settings: what the flags say, then the environment, then the file, then the defaults.
    pub(super) fn settings(&self) -> Result<ServerConfig, Problems> {
        Ok(self.sources().resolve()?.config)
    }

    /// Whether the environment gives a value for a key.
    pub(super) fn is_in_environment(&self, key: &str) -> bool {
        let variable = KEYS.iter().find(|known| known.name == key).map(SettingKey::variable);
        variable.is_some_and(|variable| std::env::var_os(variable).is_some_and(|value| !value.is_empty()))
    }

    /// The data directory and its catalog, for a command that works beside a running server.
    pub(super) fn open(&self) -> anyhow::Result<(ServerConfig, DataDirectory, Connection)> {
        let config = self.settings()?;
        let data = DataDirectory::open(&config.data)?;
        let connection = schema::open(&data.catalog())?;
        Ok((config, data, connection))
    }

    /// The same for a command that changes something.
    pub(super) fn open_to_change(&self) -> anyhow::Result<(ServerConfig, DataDirectory, Connection)> {
        let config = self.settings()?;
        let data = DataDirectory::open(&config.data)?;
        data.refuse_drill()?;
        let connection = schema::open(&data.catalog())?;
        Ok((config, data, connection))
    }

    /// The same for a command that changes nothing, or can do without: it works on read-only media, too.
    pub(super) fn open_to_read(&self) -> anyhow::Result<(ServerConfig, DataDirectory, Connection)> {
        let config = self.settings()?;
        let data = DataDirectory::open(&config.data)?;
        let connection = schema::open_to_read(&data.catalog())?;
        Ok((config, data, connection))
    }
}

/// What is stored is not what it should be; the sentence says what and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Damage(pub(super) String);

/// Runs `work` in one transaction.
pub(super) fn transact<T>(
    connection: &mut Connection,
    work: impl FnOnce(&Connection) -> crate::error::Result<T>,
) -> anyhow::Result<T> {
    let _passage = connection.path().and_then(|catalog| turnstile::pass(Path::new(catalog)));
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let value = work(&transaction)?;
    transaction.commit().map_err(of_commit)?;
    Ok(value)
}

/// Why a commit failed. If it could not be synced, the next start of the server shows whether it was done.
fn of_commit(error: rusqlite::Error) -> anyhow::Error {
    let failed = error.sqlite_error_code() == Some(rusqlite::ErrorCode::SystemIoFailure);
    let error = anyhow::Error::from(error);
    if !failed {
        return error;
    }
    error.context("it is unknown whether this was done: look when the disk works again, and repeat the command if need be")
}

/// Bytes as people read them.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut value = bytes;
    let mut unit = None;
    for name in UNITS {
        if value < 10 * 1024 {
            break;
        }
        (value, unit) = (value / 1024, Some(name));
    }
    format!("{value} {}", unit.unwrap_or("bytes"))
}

/// Tells something beside what was asked for.
#[allow(clippy::print_stderr)]
pub(super) fn advise(advice: &str) {
    eprintln!("sealiftd: {}", harmless(advice));
}
