//! `sealift`, the command-line client: it moves files to and from a Sealift server over mutual TLS.
//!
//! A library, so that the release, its manual and the integration tests have the very same program.

mod arguments;
mod command;
mod command_error;
mod failure;
mod flags;
mod misuse;
mod outcome;
mod printer;
mod progress;
mod remote_path;
mod session;
mod settings;
mod signal;
mod text;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use tokio::runtime::{Builder, Runtime};

use crate::arguments::Arguments;
use crate::command::Verb;
use crate::failure::{Exit, Failure};
use crate::printer::Printer;
use crate::session::ClientSession;
use crate::settings::Settings;

/// The whole program: reads the command line, does what it says, and returns the exit code.
pub fn main() -> ExitCode {
    sealift_transfer::descriptors::raise_limit();
    let Arguments { flags, verb } = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return misuse::tell(&arguments::explain(error)),
    };
    let settings = Settings::from_surroundings(&flags);
    let mut printer = match &settings {
        Ok(settings) => Printer::new(settings.json, settings.quiet),
        Err(_) => Printer::new(Settings::wants_json(&flags), flags.quiet),
    };
    let result = settings.and_then(|settings| run(verb, settings, &mut printer));
    let result = result.and_then(|exit| printer.flush().map(|()| exit));
    let exit = result.unwrap_or_else(|failure| {
        printer.failure(&failure);
        failure.exit
    });
    ExitCode::from(exit.code())
}

/// What can be written on the command line, for manual pages and completions.
pub fn command_line() -> clap::Command {
    Arguments::command()
}

fn run(verb: Verb, settings: Settings, printer: &mut Printer) -> Result<Exit, Failure> {
    let runtime = runtime()?;
    let (advice, grace) = (command::after_interruption(&verb), command::grace(&verb));
    let result = runtime.block_on(async {
        let signals = signal::EndSignals::new();
        let mut conversing = std::pin::pin!(converse(verb, settings, printer));
        let signal = tokio::select! {
            result = &mut conversing => return result,
            signal = signals.received() => signal,
        };
        match grace {
            Some(grace) => tokio::time::timeout(grace, conversing).await.unwrap_or(Err(signal.hint(advice))),
            None => Err(signal.hint(advice)),
        }
    });
    sealift_transfer::download::finish_writing();
    // A thread may wait for standard input for ever; nobody waits for it.
    runtime.shutdown_background();
    result
}

/// One thread for the connection: a multi-thread runtime moved no file faster and woke threads twice as often, because
/// hashing and the disk have a thread of their own anyway, and a light verb is over before another could have started.
fn runtime() -> Result<Runtime, Failure> {
    Builder::new_current_thread().enable_all().build().map_err(|error| {
        Failure::new(Exit::Other, "local", format!("cannot start: {error}"))
            .hint("close other programs and try again")
    })
}

async fn converse(verb: Verb, settings: Settings, printer: &mut Printer) -> Result<Exit, Failure> {
    let mut session = ClientSession::new(settings);
    let result = command::run(verb, &mut session, printer).await.map_err(|failure| session.advise(failure));
    // Also after a failure: a run that fails every night must not let its certificate expire.
    let is_shut_out =
        |failure: &Failure| failure.exit == Exit::Connection || failure.code == "certificate-refused";
    session.end(!result.as_ref().is_err_and(is_shut_out), printer).await;
    result
}
