//! The options that uploads and downloads share.

use std::fs;
use std::path::PathBuf;

use clap::Args;
use sealift_transfer::tree::{Filter, Walking};

use crate::failure::Failure;

/// What is left out of trees, and what is done about links.
#[derive(Debug, Args)]
#[command(next_help_heading = "Directories")]
pub(crate) struct Trees {
    /// Leave out what matches a pattern, as in a .gitignore at the top of the tree; may be repeated
    #[arg(long, value_name = "PATTERN")]
    exclude: Vec<String>,
    /// Bring back what matches, although an --exclude leaves it out; may be repeated
    #[arg(long, value_name = "PATTERN")]
    include: Vec<String>,
    /// Leave out what the patterns in a file say, one on each line
    #[arg(long, value_name = "FILE")]
    exclude_from: Vec<PathBuf>,
    /// Transfer symbolic links as links, instead of skipping them
    #[arg(long)]
    links: bool,
}

impl Trees {
    /// How to walk.
    pub(crate) fn walking(&self) -> Result<Walking, Failure> {
        let mut patterns = Vec::new();
        for path in &self.exclude_from {
            let text = fs::read_to_string(path).map_err(|error| {
                let reason = sealift_transfer::error::plain(&error);
                Failure::usage(format!("--exclude-from {}: {reason}", path.display()))
            })?;
            patterns.extend(text.lines().map(str::to_owned));
        }
        patterns.extend(self.exclude.iter().cloned());
        // The last that matches decides.
        patterns.extend(self.include.iter().map(|pattern| format!("!{pattern}")));
        let filter = Filter::new(patterns.iter().map(String::as_str))
            .map_err(|error| Failure::usage(error.to_string()))?;
        Ok(Walking { filter, links: self.links })
    }
}
