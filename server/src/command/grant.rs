//! `sealiftd grant`

use std::io::Write;

use clap::Args;
use sealift_types::{Name, Rights};

use super::common::{CommonArgs, transact};
use crate::store::spaces;
use crate::{audit, clock};

/// Sets what somebody may do in a space, instead of what was granted to them before.
///
/// A reader needs read; a drop box gives create; append-only is read,create; an editor has all. The owner of a space
/// has every right without a grant. It takes effect at the next request.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  sealiftd grant photos alice read,create\n  sealiftd grant photos everyone none"
)]
pub(super) struct GrantArgs {
    /// The space.
    space: Name,
    /// An identity's name, or `everyone`.
    who: Name,
    /// read, create, replace and delete, separated by commas; or `all`, or `none`.
    #[arg(value_parser = rights)]
    rights: Rights,
    #[command(flatten)]
    common: CommonArgs,
}

impl GrantArgs {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let (_, _, mut connection) = self.common.open_to_change()?;
        let who = (self.who.as_str() != "everyone").then_some(&self.who);
        let names = self.rights.names().join(",");
        transact(&mut connection, |connection| {
            spaces::grant(connection, &self.space, who, self.rights)?;
            let subject = format!(
                "{} in /{}: {}",
                self.who,
                self.space,
                if names.is_empty() { "none" } else { &names }
            );
            audit::leave(connection, "grant", &subject, clock::now())
        })?;
        let rights = if self.rights == Rights::NONE {
            String::from("nothing")
        } else {
            self.rights.names().join(", ")
        };
        writeln!(std::io::stdout(), "{} may now do in /{}: {rights}", self.who, self.space)?;
        Ok(())
    }
}

fn rights(text: &str) -> Result<Rights, String> {
    match text {
        "all" => Ok(Rights::ALL),
        "none" => Ok(Rights::NONE),
        list => list.split(',').try_fold(Rights::NONE, |rights, name| {
            let one = Rights::from_name(name).ok_or_else(|| {
                format!("{name:?} is no right: use read, create, replace, delete, all or none")
            })?;
            Ok(rights.union(one))
        }),
    }
}
