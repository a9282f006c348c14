//! `sealiftd gc`

use std::io::Write;
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use rusqlite::Connection;

use super::common::{CommonArgs, size, transact};
use crate::clock;
use crate::config::ServerConfig;
use crate::data::{DataDirectory, DataError};
use crate::store::gc::{self, CollectionOutcome};
use crate::store::{Blobs, Catalog, TreeUpkeep};

/// How often it is looked whether the server has answered.
const LOOK: Duration = Duration::from_millis(50);

/// Removes what nobody needs: files that nothing refers to, half-empty packs, and parts of uploads that are too old.
///
/// A running server does so by itself, all but looking for files that a crash has left, which it does when it starts.
/// With a running server it is that one which collects; this waits for it and says what was freed.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  sealiftd gc --data /srv/sealift")]
pub(super) struct GcArgs {
    #[command(flatten)]
    common: CommonArgs,
}

impl GcArgs {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let (config, data, mut connection) = self.common.open_to_change()?;
        match collect(&config, &data, &mut connection)? {
            CollectionOutcome::Done(gone) if gone.files == 0 => {
                writeln!(std::io::stdout(), "there is nothing to collect")?;
            }
            CollectionOutcome::Done(gone) => {
                writeln!(std::io::stdout(), "removed {} files ({})", gone.files, size(gone.bytes))?;
            }
            CollectionOutcome::Kept => {
                bail!("a backup is being taken, which needs all files: try again when it is done")
            }
            CollectionOutcome::Failed(reason) => bail!("{reason}"),
        }
        Ok(())
    }
}

/// Collects here, or has the server do it that uses the directory.
fn collect(
    config: &ServerConfig,
    data: &DataDirectory,
    connection: &mut Connection,
) -> anyhow::Result<CollectionOutcome> {
    let name = format!("{} {}", std::process::id(), clock::now());
    let mut asked = false;
    loop {
        match data.lock() {
            Ok(_lock) => return collect_here(config, data),
            Err(DataError::InUse(_)) if !asked => {
                transact(connection, |connection| gc::ask(connection, &name))?;
                asked = true;
            }
            Err(DataError::InUse(_)) => {}
            Err(error) => return Err(error.into()),
        }
        match gc::outcome(connection)? {
            Some(outcome) => return Ok(outcome),
            // The server may end meanwhile, too.
            None => thread::sleep(LOOK),
        }
    }
}

fn collect_here(config: &ServerConfig, data: &DataDirectory) -> anyhow::Result<CollectionOutcome> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let blobs = Blobs::open(data.path())?;
        let (catalog, writer) = Catalog::open(&data.catalog(), blobs.clone())?;
        // What the server unlinked and had not reclaimed when it ended.
        TreeUpkeep::default().settle(&catalog).await?;
        let outcome = gc::everything(&catalog, &blobs, config.uploads.keep(), true).await;
        drop(catalog);
        writer.join().ok().context("the catalog's writer panicked")?;
        Ok(outcome)
    })
}
