//! What can be written on the command line.

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, Parser, Subcommand};
use sealift_protocol::path::PathError;
use sealift_protocol::{Name, RemotePath};
use sealift_transfer::Address;

use crate::command;

/// Move files to and from a Sealift server.
///
/// Every transfer is encrypted, verified on both ends, and durable on the server before it is reported as done.
/// Paths on the server are inside your own space, as in docs/plan.pdf; /NAME/docs/plan.pdf is in the space NAME.
/// A colon in front, as in :docs/plan.pdf, says that a path is on the server, and has to where both could be meant.
#[derive(Debug, Parser)]
#[command(name = "sealift", version, arg_required_else_help = true, max_term_width = 100)]
#[command(after_help = "Start with the token that `sealiftd invite NAME` prints on the server:\n  \
    sealift join TOKEN\n  sealift put photo.jpg\n  sealift ls -l\n\n\
    Profiles and config.toml (profile, quiet, json) are in the user's configuration directory for\n\
    programs, under sealift, or in SEALIFT_CONFIG_DIR. A flag counts more than the environment, and\n\
    that more than the file.\n\n\
    With --json, put, get and sync tell of each file as it ends, twice a second of the progress so far,\n\
    and at the end print a summary.\n\n\
    Exit codes: 0 done, 1 other failure, 2 usage, 3 not found, 4 not allowed or certificate refused,\n\
    5 integrity mismatch, 6 no space, or too much unfinished, 7 could not connect or timed out,\n\
    8 some of several failed, 130 interrupted.")]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) flags: Flags,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// Flags of every verb, before it or behind it.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct Flags {
    /// Which saved profile to use [env: SEALIFT_PROFILE]
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) profile: Option<Name>,
    /// Reach the profile's server by this address instead; the port may be left out [env: SEALIFT_SERVER]
    #[arg(long, global = true, value_name = "ADDR:PORT")]
    pub(crate) server: Option<Address>,
    /// Print JSON, one object on each line [env: SEALIFT_JSON]
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Print no progress and no summaries [env: SEALIFT_QUIET]
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    Join(command::join::Join),
    #[command(visible_alias = "upload")]
    Put(command::put::Put),
    #[command(visible_alias = "download")]
    Get(command::get::Get),
    Sync(command::sync::Sync),
    #[command(visible_alias = "list")]
    Ls(command::ls::Ls),
    #[command(visible_alias = "stat")]
    Info(command::info::Info),
    #[command(visible_alias = "delete")]
    Rm(command::rm::Rm),
    Mv(command::mv::Mv),
    Cp(command::cp::Cp),
    Log(command::log::Log),
    Whoami(command::whoami::Whoami),
    Renew(command::renew::Renew),
    Profile(command::profile::Profile),
    Clean(command::clean::Clean),
}

/// Reads a path on the server. A leading colon marks one, for every verb; where only one can be meant, it may be left
/// out. A leading `./` is what a shell's completion and habit add: the own space is meant.
pub(crate) fn remote_path(text: &str) -> Result<RemotePath, String> {
    let marked = text.strip_prefix(':');
    if text.is_empty() {
        return Err("a path is empty, as when a variable is not set: your own space is .".to_owned());
    }
    if text == "-" {
        return Err(
            "- is standard input or output, and a path on the server is needed: write :- for one called -, \
                    `sealift put - DEST` stores standard input, and `sealift get SRC -` prints a file"
                .to_owned(),
        );
    }
    let text = marked.unwrap_or(text);
    let path = match text.strip_prefix("./") {
        // What is left would be absolute, and in another space.
        Some(rest) if rest.starts_with('/') => Err(PathError::EmptyName(text.to_owned())),
        Some(rest) => rest.parse(),
        None if text == "." => "".parse(),
        None => text.parse(),
    };
    path.map_err(|error| error.to_string())
}

/// Says what to do where clap guesses something that does not help: `cp -r` and `scp -r` are habits.
pub(crate) fn explain(mut error: clap::Error) -> clap::Error {
    let unknown = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(argument)) => argument.as_str(),
        _ => return error,
    };
    if error.kind() == ErrorKind::UnknownArgument && matches!(unknown, "-r" | "-R" | "--recursive" | "-a") {
        let tip = "directories are transferred with all that is in them: leave it out";
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![StyledStr::from(tip)]));
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn flags_come_before_or_behind_the_verb() {
        for line in
            ["sealift --json -q --server h --profile p ls", "sealift ls --json -q --server h --profile p"]
        {
            let arguments = Arguments::try_parse_from(line.split(' ')).unwrap();
            assert!(arguments.flags.json && arguments.flags.quiet);
            assert_eq!(arguments.flags.server.unwrap().to_string(), "h:8888");
            assert_eq!(arguments.flags.profile.unwrap().as_str(), "p");
        }
    }

    #[test]
    fn every_verb_has_its_alias_and_an_example() {
        let command = Arguments::command();
        for (verb, alias) in [
            ("join", None),
            ("put", Some("upload")),
            ("get", Some("download")),
            ("sync", None),
            ("ls", Some("list")),
            ("info", Some("stat")),
            ("rm", Some("delete")),
            ("mv", None),
            ("cp", None),
            ("log", None),
            ("whoami", None),
            ("renew", None),
            ("profile", None),
            ("clean", None),
        ] {
            let found = command.find_subcommand(verb).unwrap();
            assert_eq!(found.get_visible_aliases().next(), alias);
            let help = found.clone().render_long_help().to_string();
            let example = format!("sealift {verb}");
            let (_, examples) = help.split_once("Example").unwrap_or_else(|| panic!("{verb}: {help}"));
            assert!(examples.contains(&example), "{verb}: {help}");
        }
    }

    #[test]
    fn usage_errors_have_their_own_exit_code() {
        for line in ["sealift", "sealift fly", "sealift ls ../x", "sealift put", "sealift --profile A/B ls"] {
            assert_eq!(Arguments::try_parse_from(line.split(' ')).unwrap_err().exit_code(), 2, "{line}");
        }
    }

    #[test]
    fn the_habit_of_other_programs_is_answered() {
        for line in ["sealift put -r d", "sealift get --recursive d", "sealift sync -r d :d"] {
            let error = explain(Arguments::try_parse_from(line.split(' ')).unwrap_err()).to_string();
            assert!(error.contains("leave it out") && !error.contains("-- -r"), "{error}");
        }
        assert!(Arguments::try_parse_from(["sealift", "rm", "-r", "d"]).is_ok());
    }

    #[test]
    fn a_leading_dot_means_the_own_space() {
        for (text, path) in [
            (".", ""),
            ("./", ""),
            ("./a/b", "a/b"),
            ("a/", "a/"),
            ("/bob/a", "/bob/a"),
            (":", ""),
            (":docs/", "docs/"),
            (":/bob/a", "/bob/a"),
            (":./a", "a"),
            // What is called so is named in these ways.
            ("./:a", ":a"),
            ("::a", ":a"),
            (":-", "-"),
            ("./-", "-"),
            ("-a", "-a"),
        ] {
            assert_eq!(remote_path(text).unwrap(), path.parse().unwrap());
        }
        for bad in ["", "-", ":..", "..", "././", ".//", ".//team/x"] {
            assert!(remote_path(bad).is_err(), "{bad}");
        }
    }
}
