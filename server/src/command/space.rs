//! `sealiftd space`

use std::io::Write;

use anyhow::bail;
use clap::{Args, Subcommand};
use sealift_types::{Name, Rights};

use super::common::{CommonArgs, transact};
use crate::store::spaces::{self, SpaceGrants};
use crate::{audit, clock};

/// Makes and lists spaces. Everyone has one of their own; shared ones belong to nobody and open by `grant`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  sealiftd space add photos\n  sealiftd grant photos everyone read,create")]
pub(super) struct SpaceArgs {
    #[command(subcommand)]
    action: SpaceAction,
}

#[derive(Debug, Subcommand)]
enum SpaceAction {
    /// Makes a shared space, which nobody has a right on yet.
    Add {
        /// Its name: the first part of its paths.
        name: Name,
        #[command(flatten)]
        common: CommonArgs,
    },
    /// Lists all spaces with their owners and grants.
    List {
        /// One JSON object on each line.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        common: CommonArgs,
    },
}

impl SpaceArgs {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let mut out = std::io::stdout().lock();
        match self.action {
            SpaceAction::Add { name, common } => {
                let (_, _, mut connection) = common.open_to_change()?;
                let made = transact(&mut connection, |connection| {
                    let made = spaces::add_shared(connection, &name, clock::now())?;
                    if made {
                        audit::leave(connection, "add-space", &format!("/{name}"), clock::now())?;
                    }
                    Ok(made)
                })?;
                if !made {
                    bail!("there is a space /{name} already: choose another name");
                }
                writeln!(out, "added /{name}: `sealiftd grant {name} WHO RIGHTS` opens it")?;
            }
            SpaceAction::List { json, common } => {
                let (_, _, connection) = common.open_to_read()?;
                for space in spaces::all(&connection)? {
                    if json {
                        writeln!(out, "{}", object(&space))?;
                        continue;
                    }
                    let owner =
                        space.owner.map_or_else(|| String::from("shared"), |owner| format!("of {owner}"));
                    writeln!(out, "/{}  {owner}", space.name)?;
                    for (who, rights) in space.grants {
                        let who = who.map_or_else(|| String::from("everyone"), |name| name.to_string());
                        writeln!(out, "    {who}: {}", rights.names().join(","))?;
                    }
                }
            }
        }
        Ok(())
    }
}

fn object(space: &SpaceGrants) -> serde_json::Value {
    let grant = |(who, rights): &(Option<Name>, Rights)| serde_json::json!({ "identity": who, "rights": rights.names() });
    serde_json::json!({
        "space": space.name,
        "owner": space.owner,
        // Without an identity: everyone.
        "grants": space.grants.iter().map(grant).collect::<Vec<_>>(),
    })
}
