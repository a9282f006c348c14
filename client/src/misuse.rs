//! What is wrong with the command line, as its user is told.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::builder::StyledStr;
use clap::error::{ContextValue, ErrorKind};
use sealift_protocol::harmless::{harmless_lines, is_harmful};

use crate::failure::{Exit, Failure};
use crate::flags::Flags;
use crate::printer::Printer;
use crate::settings::Settings;

/// Tells it, or the help that was asked for. What is quoted of the command line must not play with a terminal.
pub(crate) fn tell(error: &clap::Error) -> ExitCode {
    let is_failure = error.use_stderr();
    if is_failure && Settings::wants_json(&flags()) {
        Printer::new(true, false).failure(&failure(error));
        return ExitCode::from(Exit::Usage.code());
    }
    if is_failure && quoted(error).iter().any(|text| text.contains(is_harmful)) {
        // When nobody can be told, nobody can be told that either.
        let _ = io::stderr().write_all(plain(error).as_bytes());
        return ExitCode::from(Exit::Usage.code());
    }
    error.exit()
}

/// What can be said of the flags of a command line that is wrong.
fn flags() -> Flags {
    let mut words = std::env::args_os().skip(1).take_while(|word| word != "--");
    Flags { json: words.any(|word| word == "--json"), ..Flags::default() }
}

/// What clap's sentences quote, as it is and without what clap takes for colours.
fn quoted(error: &clap::Error) -> Vec<String> {
    let texts = error.context().flat_map(|(_, value)| match value {
        ContextValue::String(text) => std::slice::from_ref(text),
        ContextValue::Strings(texts) => texts,
        _ => &[],
    });
    let source = std::error::Error::source(error).map(ToString::to_string);
    texts.cloned().chain(source).flat_map(|text| [StyledStr::from(&text).to_string(), text]).collect()
}

/// All that clap says, without colours.
fn plain(error: &clap::Error) -> String {
    harmless_lines(&error.render().to_string(), quoted(error).iter().map(String::as_str))
}

/// The same as a failure: clap's first paragraph, and its tips or what it says last.
fn failure(error: &clap::Error) -> Failure {
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return Failure::usage("the command line names no command").hint("`sealift --help` lists them");
    }
    let text = plain(error);
    let paragraph = |text: &str| text.lines().map(str::trim).collect::<Vec<_>>().join(" ");
    let mut paragraphs = text.trim().split("\n\n").map(paragraph);
    let first = paragraphs.next().unwrap_or_default();
    let (mut tips, mut last) = (Vec::new(), String::new());
    for other in paragraphs {
        match other.strip_prefix("tip: ") {
            Some(tip) => tips.push(tip.to_owned()),
            None => last = other,
        }
    }
    let hint = if tips.is_empty() { last } else { tips.join("; ") };
    let failure = Failure::usage(first.strip_prefix("error: ").unwrap_or(&first));
    if hint.is_empty() { failure } else { failure.hint(hint) }
}
