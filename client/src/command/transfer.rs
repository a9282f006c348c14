//! The options that uploads and downloads share.

use std::fs;
use std::path::PathBuf;

use clap::Args;
use sealift_transfer::TransferOptions;
use sealift_transfer::throttle::Limit;
use sealift_transfer::tree::{Filter, WalkOptions};

use crate::failure::Failure;
use crate::session::ConnectionWishes;

/// What is left out of trees, and what is done about links.
#[derive(Debug, Args)]
#[command(next_help_heading = "Directories")]
pub(crate) struct TreeArgs {
    /// Leave out what matches a pattern, as in a .gitignore at the top of the tree; may be repeated
    #[arg(long, value_name = "PATTERN")]
    exclude: Vec<String>,
    /// Bring back what matches, although an --exclude leaves it out; may be repeated
    #[arg(long, value_name = "PATTERN")]
    include: Vec<String>,
    /// Leave out what the patterns in a file say, one on each line
    #[arg(long, value_name = "FILE")]
    exclude_from: Vec<PathBuf>,
    /// Transfer symbolic links in directories as links, instead of skipping them; one that is named is followed
    #[arg(long)]
    links: bool,
}

impl TreeArgs {
    /// How to walk.
    pub(crate) fn walking(&self) -> Result<WalkOptions, Failure> {
        let mut patterns = Vec::new();
        for path in &self.exclude_from {
            let text = fs::read_to_string(path).map_err(|error| {
                let reason = sealift_transfer::error::plain(&error);
                Failure::usage(format!("--exclude-from {}: {reason}", path.display()))
            })?;
            patterns.extend(text.lines().map(str::to_owned));
        }
        for pattern in &self.exclude {
            check_pattern("--exclude", pattern)?;
            // Only in a file is it a comment.
            patterns.push(if pattern.starts_with('#') { format!("\\{pattern}") } else { pattern.clone() });
        }
        // The last that matches decides.
        for pattern in &self.include {
            check_pattern("--include", pattern)?;
            patterns.push(format!("!{pattern}"));
        }
        let filter = Filter::new(patterns.iter().map(String::as_str))
            .map_err(|error| Failure::usage(error.to_string()))?;
        Ok(WalkOptions { filter, links: self.links })
    }
}

/// Refuses a pattern that matches nothing: most likely a variable was empty.
fn check_pattern(option: &str, pattern: &str) -> Result<(), Failure> {
    if pattern.trim().is_empty() {
        return Err(Failure::usage(format!(
            "{option} is blank, and would match nothing: give a pattern, such as '*.tmp'"
        )));
    }
    Ok(())
}

/// What is transferred, and whether it is.
#[derive(Debug, Args)]
pub(crate) struct SelectionArgs {
    /// Leave files alone that are newer where they would be replaced
    #[arg(long, short)]
    update: bool,
    /// Say what would be done, and change nothing
    #[arg(long, short = 'n')]
    dry_run: bool,
}

impl SelectionArgs {
    pub(crate) fn manner(&self) -> TransferOptions {
        TransferOptions::new(self.update, self.dry_run)
    }
}

/// How the connections are used.
#[derive(Debug, Args)]
#[command(next_help_heading = "Connections")]
pub(crate) struct ConnectionArgs {
    /// Share many files, or a large one, among up to so many connections [default: 2 if it helps]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u8).range(1..=16))]
    connections: Option<u8>,
    /// Move at most so many bytes in a second, such as 500K or 2M; 1K at least
    #[arg(long, value_name = "RATE", value_parser = rate)]
    limit_rate: Option<u64>,
    /// After a lost connection, try so often in vain before giving up [default: 6]
    #[arg(long, value_name = "NUMBER")]
    retries: Option<u32>,
}

impl ConnectionArgs {
    pub(crate) fn wishes(&self) -> ConnectionWishes {
        ConnectionWishes {
            connections: self.connections.map(usize::from),
            retries: self.retries,
            limit: self.limit_rate.map(Limit::new),
        }
    }
}

/// Reads a number of bytes with an optional unit of 1024, 1024², ...
fn rate(text: &str) -> Result<u64, String> {
    let wrong =
        || format!("{text:?} is no rate: write bytes in a second, 1K at least, such as 500K, 2M or 1.5G");
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == '/');
    let factor = match text[digits.len()..].trim_end_matches("/s").to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "k" | "kb" | "kib" => 1024.0,
        "m" | "mb" | "mib" => 1024.0 * 1024.0,
        "g" | "gb" | "gib" => 1024.0 * 1024.0 * 1024.0,
        _ => return Err(wrong()),
    };
    let number: f64 = digits.parse().map_err(|_| wrong())?;
    let rate = number * factor;
    // Whole bytes; the fraction means nothing. What is larger than any line is no limit either.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    if rate.is_finite() && rate >= 1024.0 { Ok(rate as u64) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::{TreeArgs, rate};

    fn trees(exclude: &[&str], include: &[&str]) -> TreeArgs {
        let owned = |patterns: &[&str]| patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
        let (exclude, include) = (owned(exclude), owned(include));
        TreeArgs { exclude, include, exclude_from: Vec::new(), links: false }
    }

    #[test]
    fn patterns_that_match_nothing_are_refused() {
        for blank in ["", " ", "\t"] {
            assert!(trees(&[blank], &[]).walking().is_err() && trees(&["a"], &[blank]).walking().is_err());
        }
        let walking = trees(&["#auto#", "*.o"], &["keep.o"]).walking().unwrap();
        for (name, excluded) in [("#auto#", true), ("x.o", true), ("keep.o", false), ("x", false)] {
            assert_eq!(walking.filter.excludes(name.as_ref(), false), excluded, "{name}");
        }
    }

    #[test]
    fn rates_have_units() {
        for (text, bytes) in
            [("2048", 2048), ("500K", 512_000), ("1.5M", 1_572_864), ("2g", 1 << 31), ("3MiB/s", 3 << 20)]
        {
            assert_eq!(rate(text), Ok(bytes), "{text}");
        }
        for text in ["", "fast", "10", "-1M", "1X", "nan", "infM"] {
            assert!(rate(text).is_err(), "{text}");
        }
    }
}
