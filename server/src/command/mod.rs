//! The verbs of `sealiftd`. One file each.

mod backup;
mod check;
mod common;
mod config;
mod gc;
mod grant;
mod identities;
mod init;
mod invite;
mod revoke;
mod serve;
mod space;
mod status;

use std::process::ExitCode;

use clap::builder::StyledStr;
use clap::error::ContextValue;
use clap::{Parser, Subcommand};
use sealift_protocol::harmless::{harmless_lines, is_harmful};

use self::common::Damage;
use crate::config::Problems;
use crate::data::DataError;
use crate::data::backup::BackupError;
use crate::error::ServerError;
use crate::store::open_error::OpenError;

/// The Sealift server: files in, files out, over mutual TLS, with nothing to understand about certificates.
#[derive(Debug, Parser)]
#[command(name = "sealiftd", version, propagate_version = true, after_help = EXAMPLE, max_term_width = 100)]
pub struct ServerArguments {
    #[command(subcommand)]
    verb: ServerVerb,
}

const EXAMPLE: &str = "Example:
  sealiftd serve --data /srv/sealift &       # the first start makes everything it needs
  sealiftd invite alice --data /srv/sealift  # prints a token: `sealift join TOKEN` on Alice's machine";

#[derive(Debug, Subcommand)]
enum ServerVerb {
    Serve(serve::ServeArgs),
    Init(init::InitArgs),
    Invite(invite::InviteArgs),
    Identities(identities::IdentitiesArgs),
    Revoke(revoke::RevokeArgs),
    Space(space::SpaceArgs),
    Grant(grant::GrantArgs),
    Check(check::CheckArgs),
    Gc(gc::GcArgs),
    Backup(backup::BackupArgs),
    Config(config::ConfigArgs),
    Status(status::StatusArgs),
}

/// The whole program: reads the command line, does what it says, and returns the exit code.
pub fn main() -> ExitCode {
    match ServerArguments::try_parse() {
        Ok(arguments) => arguments.run(),
        Err(error) => tell(&error),
    }
}

/// Tells what is wrong with the command line, or the help that was asked for. What clap quotes of the command line must
/// not play with a terminal.
#[allow(clippy::print_stderr)]
fn tell(error: &clap::Error) -> ExitCode {
    let source = std::error::Error::source(error).map(ToString::to_string);
    let texts = error.context().flat_map(|(_, value)| match value {
        ContextValue::String(text) => std::slice::from_ref(text),
        ContextValue::Strings(texts) => texts,
        _ => &[],
    });
    // As it is, and without what clap takes for colours.
    let quoted = texts.chain(&source).flat_map(|text| [StyledStr::from(text).to_string(), text.clone()]);
    let quoted: Vec<_> = quoted.collect();
    if quoted.iter().any(|text| text.contains(is_harmful)) {
        let text = harmless_lines(&error.render().to_string(), quoted.iter().map(String::as_str));
        eprint!("{text}");
    } else {
        // As clap prints it, with colours; when nobody can be told, nobody can be told that either.
        let _ = error.print();
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

impl ServerArguments {
    /// Runs the verb. The exit code is 0, or 1 for a failure, 2 for settings that make no sense, 3 for what is not
    /// found, 5 for contents that are damaged.
    pub fn run(self) -> ExitCode {
        let done = match self.verb {
            ServerVerb::Serve(verb) => verb.run(),
            ServerVerb::Init(verb) => verb.run(),
            ServerVerb::Invite(verb) => verb.run(),
            ServerVerb::Identities(verb) => verb.run(),
            ServerVerb::Revoke(verb) => verb.run(),
            ServerVerb::Space(verb) => verb.run(),
            ServerVerb::Grant(verb) => verb.run(),
            ServerVerb::Check(verb) => verb.run(),
            ServerVerb::Gc(verb) => verb.run(),
            ServerVerb::Backup(verb) => verb.run(),
            ServerVerb::Config(verb) => verb.run(),
            ServerVerb::Status(verb) => verb.run(),
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
    let words = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned());
    let words: Vec<_> = words.collect();
    // A flag's value may follow an equals sign.
    let values = words.iter().filter_map(|word| Some(word.split_once('=')?.1));
    let quoted = words.iter().map(String::as_str).chain(values);
    eprintln!("sealiftd: {}", harmless_lines(&sentence(error), quoted));
}

/// What is said of an error: its text, and each cause that adds something.
///
/// Most errors have the text of their cause in their own, and return the cause as well, so that it can be examined.
fn sentence(error: &anyhow::Error) -> String {
    let mut said = error.to_string();
    let mut last = said.clone();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !said.contains(&cause) && !cause.contains(&last) {
            said = format!("{said}: {cause}");
        }
        last = cause;
    }
    said
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

fn exit_code(error: &anyhow::Error) -> ExitCode {
    if error.is::<Problems>()
        || error.is::<config::AllProblems>()
        || error.is::<DataError>()
        || error.is::<OpenError>()
    {
        return ExitCode::from(2);
    }
    if matches!(error.downcast_ref::<BackupError>(), Some(BackupError::Catalog { .. })) {
        return ExitCode::from(5);
    }
    if error.downcast_ref::<BackupError>().is_some_and(|error| !matches!(error, BackupError::Store(_))) {
        return ExitCode::from(2);
    }
    if error.is::<Damage>() {
        return ExitCode::from(5);
    }
    if error.is::<status::NotRunning>() {
        return ExitCode::from(3);
    }
    match error.downcast_ref::<ServerError>() {
        Some(ServerError::Refused(refusal)) => match refusal.code {
            sealift_types::ErrorCode::NotFound => ExitCode::from(3),
            sealift_types::ErrorCode::BadRequest => ExitCode::from(2),
            _ => ExitCode::FAILURE,
        },
        _ => ExitCode::FAILURE,
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::path::PathBuf;

    use anyhow::Context;
    use sealift_certs::CertError;

    use super::*;

    fn not_found() -> io::Error {
        io::Error::from_raw_os_error(2)
    }

    /// One error of each type that carries a cause, as commands end with it.
    fn with_causes() -> Vec<anyhow::Error> {
        let path = || PathBuf::from("/srv/sealift/x");
        let sqlite = || {
            let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_NOTADB);
            rusqlite::Error::SqliteFailure(code, Some("file is not a database".into()))
        };
        let data = || DataError::File { path: path(), source: not_found() };
        let library = || CertError::Tls(rustls::Error::General("no suites".into()));
        vec![
            data().into(),
            DataError::Authority { path: path(), source: library() }.into(),
            DataError::Authority { path: path(), source: CertError::KeyMismatch }.into(),
            OpenError::Sqlite { path: path(), source: sqlite() }.into(),
            DataError::Catalog(OpenError::Sqlite { path: path(), source: sqlite() }).into(),
            BackupError::Data(data()).into(),
            BackupError::Store(ServerError::File { path: path(), source: not_found() }).into(),
            ServerError::Catalog(sqlite()).into(),
            ServerError::Uncertain(sqlite()).into(),
            ServerError::Data(data()).into(),
            ServerError::Stream(sealift_protocol::io::StreamError::Io(not_found())).into(),
            ServerError::Certificate(library()).into(),
            anyhow::Error::from(library()).context("/srv/sealift/pki/ca.pem"),
            Err::<(), _>(not_found()).context("/srv/sealift/pki/ca.pem").unwrap_err(),
            anyhow::Error::from(sqlite()),
        ]
    }

    #[test]
    fn no_clause_is_said_twice() {
        for error in with_causes() {
            let said = sentence(&error);
            let clauses: Vec<_> = said.split([':', ';', '(', ')']).map(str::trim).collect();
            for (index, clause) in clauses.iter().enumerate().filter(|(_, clause)| clause.len() > 3) {
                assert!(!clauses[..index].contains(clause), "{clause:?} twice in {said:?}");
            }
            // Nothing is lost.
            let root = error.root_cause().to_string();
            let root = root.rsplit(": ").next().unwrap();
            assert!(said.contains(root), "{said:?} without {root:?}");
        }
    }

    #[test]
    fn causes_that_say_more_are_said() {
        let error = Err::<(), _>(not_found()).context("/srv/x").context("no server answers").unwrap_err();
        assert_eq!(sentence(&error), "no server answers: /srv/x: No such file or directory (os error 2)");
    }
}
