//! `sealift clean [DIRECTORY...]`

use std::path::PathBuf;

use clap::Args;
use sealift_transfer::leftovers::Leftovers;
use serde_json::json;

use crate::failure::{Exit, Failure};
use crate::outcome::together;
use crate::printer::Printer;
use crate::text;

/// Remove what interrupted downloads left on this computer
///
/// An interrupted download leaves what has come of it beside its target, in a file whose name begins with a dot and ends
/// in .sealift-part. The same command goes on with it, and removes it when it is of no use any more. What nobody will go
/// on with stays, until this command removes it. Downloads under way are left alone, and so are small files of the last
/// hour, which may belong to one.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  sealift clean                           in the current directory and below\n  \
    sealift clean -n photos                 what would be removed, nothing else"
)]
pub(crate) struct CleanArgs {
    /// Directories on this computer [default: the current one]
    #[arg(value_name = "DIRECTORY")]
    directories: Vec<PathBuf>,
    /// Say what would be removed, and remove nothing
    #[arg(long, short = 'n')]
    dry_run: bool,
}

pub(crate) fn run(arguments: CleanArgs, printer: &mut Printer) -> Result<Exit, Failure> {
    let CleanArgs { mut directories, dry_run } = arguments;
    if directories.is_empty() {
        directories.push(PathBuf::from("."));
    }
    let (mut count, mut bytes, mut failures) = (0, 0, Vec::new());
    for found in directories.into_iter().flat_map(Leftovers::below) {
        let removed = found.and_then(|found| {
            let is_gone = dry_run || found.remove()?;
            Ok(is_gone.then_some(found))
        });
        match removed {
            Ok(Some(found)) => {
                count += 1;
                bytes += found.bytes;
                let path = found.path.strip_prefix(".").unwrap_or(&found.path).display().to_string();
                if printer.wants_json() {
                    let kind = if dry_run { "would" } else { "removed" };
                    printer.object(&json!({ "type": kind, "local": path, "bytes": found.bytes }))?;
                } else {
                    let would = if dry_run { "would remove " } else { "" };
                    let line = format!("{would}{} ({})", printer.name(&path), text::size(found.bytes));
                    printer.line(&line)?;
                }
            }
            Ok(None) => {}
            Err(error) => {
                let failure = Failure::from(error);
                printer.failure(&failure);
                failures.push(failure.exit);
            }
        }
    }
    printer.flush()?;
    let verb = if dry_run { "would remove" } else { "removed" };
    printer.note(&format!("{verb} {} ({})", parts(count), text::size(bytes)));
    Ok(together(count + failures.len(), &failures))
}

/// `1 unfinished download`, `2 unfinished downloads`.
fn parts(count: usize) -> String {
    if count == 1 { "1 unfinished download".to_owned() } else { format!("{count} unfinished downloads") }
}
