//! The only place that prints: data on standard output, everything else on standard error.

use std::borrow::Cow;
use std::io::{self, BufWriter, IsTerminal, Stdout, Write};

use serde::Serialize;
use serde_json::json;

use crate::failure::Failure;
use crate::text::{harmless, harmless_json};

/// Prints as the settings say.
#[derive(Debug)]
pub(crate) struct Printer {
    json: bool,
    quiet: bool,
    /// Whether standard output carries a file's content, so that nothing else may be on it.
    content: bool,
    out: BufWriter<Stdout>,
    terminal: bool,
}

impl Printer {
    pub(crate) fn new(json: bool, quiet: bool) -> Self {
        let out = io::stdout();
        let terminal = out.is_terminal();
        Self { json, quiet, content: false, out: BufWriter::new(out), terminal }
    }

    /// Whether data is to be JSON lines.
    pub(crate) fn wants_json(&self) -> bool {
        self.json
    }

    /// Whether somebody reads notes.
    pub(crate) fn wants_notes(&self) -> bool {
        !self.json && !self.quiet
    }

    /// Whether a progress bar has a place to be and somebody to look at it.
    pub(crate) fn wants_bar(&self) -> bool {
        !self.json && !self.quiet && io::stderr().is_terminal()
    }

    /// Whether a person reads standard output.
    pub(crate) fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Leaves standard output to a file's content: JSON lines go to standard error from here on.
    pub(crate) fn leave_output_to_content(&mut self) {
        self.content = true;
    }

    /// A name as standard output can take it: exactly for programs, harmlessly for a terminal.
    pub(crate) fn name<'a>(&self, name: &'a str) -> Cow<'a, str> {
        if self.terminal { harmless(name) } else { Cow::Borrowed(name) }
    }

    /// Prints a line of data.
    pub(crate) fn line(&mut self, line: &str) -> Result<(), Failure> {
        Ok(writeln!(self.out, "{line}")?)
    }

    /// Prints data that brings its line ends.
    pub(crate) fn text(&mut self, text: &str) -> Result<(), Failure> {
        Ok(self.out.write_all(text.as_bytes())?)
    }

    /// Prints an object as one line.
    pub(crate) fn object(&mut self, object: &impl Serialize) -> Result<(), Failure> {
        let json = serde_json::to_string(object).map_err(io::Error::from)?;
        if self.content {
            let line = on_error_output(&json) + "\n";
            io::stderr().write_all(line.as_bytes())?;
            return Ok(());
        }
        let line = if self.terminal { harmless_json(&json) } else { Cow::Borrowed(&*json) };
        Ok(writeln!(self.out, "{line}")?)
    }

    /// Makes everything printed so far visible.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        Ok(self.out.flush()?)
    }

    /// Tells something that is neither data nor a failure.
    pub(crate) fn note(&mut self, note: &str) {
        if !self.quiet && !self.json {
            self.tell(&harmless(note));
        }
    }

    /// Tells that something is wrong which did not stop anything.
    pub(crate) fn warning(&mut self, failure: &Failure) {
        self.complain("warning", "sealift: warning: ", failure);
    }

    /// Tells what went wrong, and what to do.
    pub(crate) fn failure(&mut self, failure: &Failure) {
        self.complain("error", "sealift: ", failure);
    }

    fn complain(&mut self, kind: &str, prefix: &str, failure: &Failure) {
        let Failure { exit, code, message, hint } = failure;
        if message.is_empty() {
            return;
        }
        if self.json {
            let line = json!({
                "type": kind, "code": code, "message": message, "hint": hint, "exit": exit.code(),
            });
            self.tell(&on_error_output(&line.to_string()));
        } else {
            self.tell(&format!("{prefix}{}", harmless(message)));
            if let Some(hint) = hint {
                self.tell(&format!("  hint: {}", harmless(hint)));
            }
        }
    }

    fn tell(&mut self, line: &str) {
        // What is on standard output already came first.
        let _ = self.out.flush();
        // When nobody can be told, nobody can be told that either.
        let _ = writeln!(io::stderr(), "{line}");
    }
}

/// JSON as standard error can take it.
fn on_error_output(json: &str) -> Cow<'_, str> {
    if io::stderr().is_terminal() { harmless_json(json) } else { Cow::Borrowed(json) }
}
