//! The verbs of `sealiftd`. One file each.

mod grant;
mod identities;
mod init;
mod invite;
mod revoke;
mod serve;
mod space;
mod status;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use rusqlite::{Connection, TransactionBehavior};

use crate::config::{Config, ConfigError};
use crate::data::{DataDirectory, DataError};
use crate::error::Error;
use crate::store::schema::{self, OpenError};

/// The Sealift server: files in, files out, over mutual TLS, with nothing to understand about certificates.
#[derive(Debug, Parser)]
#[command(name = "sealiftd", version, propagate_version = true, after_help = EXAMPLE, max_term_width = 100)]
pub struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

const EXAMPLE: &str = "Example:
  sealiftd serve --data /srv/sealift &       # the first start makes everything it needs
  sealiftd invite alice --data /srv/sealift  # prints a token: `sealift join TOKEN` on Alice's machine";

#[derive(Debug, Subcommand)]
enum Verb {
    Serve(serve::Serve),
    Init(init::Init),
    Invite(invite::Invite),
    Identities(identities::Identities),
    Revoke(revoke::Revoke),
    Space(space::Space),
    Grant(grant::Grant),
    Status(status::Status),
}

/// What every verb takes.
#[derive(Debug, Args)]
struct Common {
    /// The data directory [default: /var/lib/sealift, or what the configuration says].
    #[arg(long, env = "SEALIFTD_DATA", value_name = "DIR")]
    data: Option<PathBuf>,
    /// The configuration file, TOML; none is read unless it is named.
    #[arg(long, env = "SEALIFTD_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Common {
    /// The settings: what the flags and the environment say, then the file, then the defaults.
    fn settings(&self) -> Result<Config, ConfigError> {
        let mut config = self.config.as_deref().map(Config::read).transpose()?.unwrap_or_default();
        if let Some(data) = &self.data {
            config.data.clone_from(data);
        }
        Ok(config)
    }

    /// The data directory and its catalog, for a command that works beside a running server.
    fn open(&self) -> anyhow::Result<(Config, DataDirectory, Connection)> {
        let config = self.settings()?;
        let data = DataDirectory::open(&config.data)?;
        let connection = schema::open(&data.catalog())?;
        Ok((config, data, connection))
    }
}

/// Runs `work` in one transaction.
fn transact<T>(
    connection: &mut Connection,
    work: impl FnOnce(&Connection) -> crate::error::Result<T>,
) -> anyhow::Result<T> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let value = work(&transaction)?;
    transaction.commit()?;
    Ok(value)
}

impl Arguments {
    /// Runs the verb. The exit code is 0, or 1 for a failure, 2 for settings that make no sense, 3 for what is not
    /// found.
    pub fn run(self) -> ExitCode {
        let done = match self.verb {
            Verb::Serve(verb) => verb.run(),
            Verb::Init(verb) => verb.run(),
            Verb::Invite(verb) => verb.run(),
            Verb::Identities(verb) => verb.run(),
            Verb::Revoke(verb) => verb.run(),
            Verb::Space(verb) => verb.run(),
            Verb::Grant(verb) => verb.run(),
            Verb::Status(verb) => verb.run(),
        };
        match done {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
            Err(error) => {
                complain(&error);
                exit_code(&error)
            }
        }
    }
}

/// The one place where a failure is printed.
#[allow(clippy::print_stderr)]
fn complain(error: &anyhow::Error) {
    eprintln!("sealiftd: {error:#}");
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

fn exit_code(error: &anyhow::Error) -> ExitCode {
    if error.is::<ConfigError>() || error.is::<DataError>() || error.is::<OpenError>() {
        return ExitCode::from(2);
    }
    if error.is::<status::NotRunning>() {
        return ExitCode::from(3);
    }
    match error.downcast_ref::<Error>() {
        Some(Error::Refused(refusal)) if refusal.code == sealift_protocol::ErrorCode::NotFound => {
            ExitCode::from(3)
        }
        _ => ExitCode::FAILURE,
    }
}
