//! `sealiftd config`

use std::io::Write;

use clap::{Args, Subcommand};

use super::common::CommonArgs;
use crate::config::Problems;
use crate::config::keys::KEYS;

/// Checks and shows the settings.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  sealiftd config check --config new.toml && mv new.toml /etc/sealift/sealiftd.toml"
)]
pub(super) struct ConfigArgs {
    #[command(subcommand)]
    action: ConfigAction,
}

/// All that is wrong, each in a line.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.all().join("\nsealiftd: "))]
pub(super) struct AllProblems(Problems);

#[derive(Debug, Subcommand)]
enum ConfigAction {
    /// Says OK, or all that is wrong with the configuration file and the environment.
    Check {
        #[command(flatten)]
        common: CommonArgs,
    },
    /// Prints the settings in force as a configuration file would have them, with where each comes from.
    Show {
        #[command(flatten)]
        common: CommonArgs,
    },
}

impl ConfigArgs {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let mut out = std::io::stdout().lock();
        match self.action {
            ConfigAction::Check { common } => {
                let sources = common.sources();
                let resolved = match sources.resolve() {
                    Ok(resolved) => resolved,
                    Err(problems) => return Err(AllProblems(problems).into()),
                };
                match resolved.file {
                    Some(file) => writeln!(out, "OK: {}", file.display())?,
                    None => {
                        writeln!(out, "OK: there is no {}, the defaults are used", sources.file().display())?;
                    }
                }
            }
            ConfigAction::Show { common } => {
                let resolved = common.sources().resolve()?;
                let lines: Vec<_> = KEYS
                    .iter()
                    .map(|key| format!("{} = {}", key.name, key.value(&resolved.config)))
                    .collect();
                let width = lines.iter().map(String::len).max().unwrap_or(0);
                for (line, origin) in lines.iter().zip(&resolved.origins) {
                    writeln!(out, "{line:width$}  # {origin}")?;
                }
            }
        }
        Ok(())
    }
}
