//! The verbs of `sealiftd`. One file each.

mod backup;
mod check;
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

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::builder::StyledStr;
use clap::error::ContextValue;
use clap::{Args, Parser, Subcommand};
use rusqlite::{Connection, TransactionBehavior};
use sealift_protocol::harmless::{harmless, harmless_lines, is_harmful};

use crate::config::keys::{KEYS, Key};
use crate::config::{Config, Problems, Sources};
use crate::data::backup::BackupError;
use crate::data::{DataDirectory, DataError};
use crate::error::Error;
use crate::store::schema::{self, OpenError};
use crate::store::turnstile;

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
    Check(check::Check),
    Gc(gc::Gc),
    Backup(backup::Backup),
    Config(config::Config),
    Status(status::Status),
}

/// What every verb takes.
#[derive(Debug, Args)]
struct Common {
    /// The data directory [env: SEALIFTD_DATA] [default: /var/lib/sealift, or what the configuration says].
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The configuration file, TOML [default: /etc/sealift/sealiftd.toml, if it is there].
    #[arg(long, env = "SEALIFTD_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Common {
    /// What the settings are made of: flags, the environment, the file.
    fn sources(&self) -> Sources {
        let mut sources = Sources::new(self.config.clone());
        sources.flag("data", "--data", self.data.clone(), |config, data| config.data = data);
        sources
    }

    /// The settings: what the flags say, then the environment, then the file, then the defaults.
    fn settings(&self) -> Result<Config, Problems> {
        Ok(self.sources().resolve()?.config)
    }

    /// Whether the environment gives a value for a key.
    fn is_in_environment(&self, key: &str) -> bool {
        let variable = KEYS.iter().find(|known| known.name == key).map(Key::variable);
        variable.is_some_and(|variable| std::env::var_os(variable).is_some_and(|value| !value.is_empty()))
    }

    /// The data directory and its catalog, for a command that works beside a running server.
    fn open(&self) -> anyhow::Result<(Config, DataDirectory, Connection)> {
        let config = self.settings()?;
        let data = DataDirectory::open(&config.data)?;
        let connection = schema::open(&data.catalog())?;
        Ok((config, data, connection))
    }

    /// The same for a command that changes something.
    fn open_to_change(&self) -> anyhow::Result<(Config, DataDirectory, Connection)> {
        let config = self.settings()?;
        let data = DataDirectory::open(&config.data)?;
        data.refuse_drill()?;
        let connection = schema::open(&data.catalog())?;
        Ok((config, data, connection))
    }

    /// The same for a command that changes nothing, or can do without: it works on read-only media, too.
    fn open_to_read(&self) -> anyhow::Result<(Config, DataDirectory, Connection)> {
        let config = self.settings()?;
        let data = DataDirectory::open(&config.data)?;
        let connection = schema::open_to_read(&data.catalog())?;
        Ok((config, data, connection))
    }
}

/// What is stored is not what it should be; the sentence says what and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Damage(String);

/// Runs `work` in one transaction.
fn transact<T>(
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

/// The whole program: reads the command line, does what it says, and returns the exit code.
pub fn main() -> ExitCode {
    match Arguments::try_parse() {
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

impl Arguments {
    /// Runs the verb. The exit code is 0, or 1 for a failure, 2 for settings that make no sense, 3 for what is not
    /// found, 5 for contents that are damaged.
    pub fn run(self) -> ExitCode {
        let done = match self.verb {
            Verb::Serve(verb) => verb.run(),
            Verb::Init(verb) => verb.run(),
            Verb::Invite(verb) => verb.run(),
            Verb::Identities(verb) => verb.run(),
            Verb::Revoke(verb) => verb.run(),
            Verb::Space(verb) => verb.run(),
            Verb::Grant(verb) => verb.run(),
            Verb::Check(verb) => verb.run(),
            Verb::Gc(verb) => verb.run(),
            Verb::Backup(verb) => verb.run(),
            Verb::Config(verb) => verb.run(),
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

/// Bytes as people read them.
fn size(bytes: u64) -> String {
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
fn advise(advice: &str) {
    eprintln!("sealiftd: {}", harmless(advice));
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
    match error.downcast_ref::<Error>() {
        Some(Error::Refused(refusal)) => match refusal.code {
            sealift_protocol::ErrorCode::NotFound => ExitCode::from(3),
            sealift_protocol::ErrorCode::BadRequest => ExitCode::from(2),
            _ => ExitCode::FAILURE,
        },
        _ => ExitCode::FAILURE,
    }
}

#[cfg(test)]
mod tests {
    use std::io;

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
            BackupError::Store(Error::File { path: path(), source: not_found() }).into(),
            Error::Catalog(sqlite()).into(),
            Error::Uncertain(sqlite()).into(),
            Error::Data(data()).into(),
            Error::Stream(sealift_protocol::io::StreamError::Io(not_found())).into(),
            Error::Certificate(library()).into(),
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
