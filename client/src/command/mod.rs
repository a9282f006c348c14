//! The verbs, one file each.

pub(crate) mod clean;
pub(crate) mod cp;
pub(crate) mod get;
pub(crate) mod info;
pub(crate) mod join;
pub(crate) mod log;
pub(crate) mod ls;
pub(crate) mod mv;
pub(crate) mod profile;
pub(crate) mod put;
pub(crate) mod renew;
pub(crate) mod report;
pub(crate) mod rm;
pub(crate) mod sync;
pub(crate) mod transfer;
pub(crate) mod whoami;

use std::time::Duration;

use clap::Subcommand;

use crate::failure::{Exit, Failure};
use crate::printer::Printer;
use crate::session::ClientSession;

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    Join(join::JoinArgs),
    #[command(visible_alias = "upload")]
    Put(put::PutArgs),
    #[command(visible_alias = "download")]
    Get(get::GetArgs),
    Sync(sync::SyncArgs),
    #[command(visible_alias = "list")]
    Ls(ls::LsArgs),
    #[command(visible_alias = "stat")]
    Info(info::InfoArgs),
    #[command(visible_alias = "delete")]
    Rm(rm::RmArgs),
    Mv(mv::MvArgs),
    Cp(cp::CpArgs),
    Log(log::LogArgs),
    Whoami(whoami::WhoamiArgs),
    Renew(renew::RenewArgs),
    Profile(profile::ProfileArgs),
    Clean(clean::CleanArgs),
}

/// What to do after a verb was interrupted.
pub(crate) fn after_interruption(verb: &Verb) -> &'static str {
    let goes_on = match verb {
        Verb::Put(arguments) => arguments.can_go_on(),
        Verb::Get(arguments) => arguments.can_go_on(),
        Verb::Sync(_) => true,
        Verb::Join(_) => {
            return "run the same command again; if the token is used up by then, ask the server's administrator for another";
        }
        _ => return "run the same command again",
    };
    if goes_on {
        "run the same command again: it goes on where this one stopped"
    } else {
        "run the same command again: it starts from the beginning"
    }
}

/// How long an interrupted verb may go on: what it has used up may be about to come to something.
pub(crate) fn grace(verb: &Verb) -> Option<Duration> {
    matches!(verb, Verb::Join(_)).then_some(Duration::from_secs(1))
}

/// Does what a verb says.
pub(crate) async fn run(
    verb: Verb,
    session: &mut ClientSession,
    printer: &mut Printer,
) -> Result<Exit, Failure> {
    match verb {
        Verb::Join(arguments) => join::run(arguments, session, printer).await,
        Verb::Put(arguments) => put::run(arguments, session, printer).await,
        Verb::Get(arguments) => get::run(arguments, session, printer).await,
        Verb::Sync(arguments) => sync::run(arguments, session, printer).await,
        Verb::Ls(arguments) => ls::run(arguments, session, printer).await,
        Verb::Info(arguments) => info::run(arguments, session, printer).await,
        Verb::Rm(arguments) => rm::run(arguments, session, printer).await,
        Verb::Mv(arguments) => mv::run(arguments, session, printer).await,
        Verb::Cp(arguments) => cp::run(arguments, session, printer).await,
        Verb::Log(arguments) => log::run(arguments, session, printer).await,
        Verb::Whoami(arguments) => whoami::run(arguments, session, printer).await,
        Verb::Profile(arguments) => profile::run(&arguments, session, printer),
        Verb::Renew(arguments) => renew::run(arguments, session, printer).await,
        Verb::Clean(arguments) => clean::run(arguments, printer),
    }
}
