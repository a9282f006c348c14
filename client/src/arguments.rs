//! What can be written on the command line.

use clap::Parser;
use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::command::Verb;
use crate::flags::Flags;

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
}
