//! `sealift rm PATH...`

use clap::Args;
use sealift_protocol::WireError;
use sealift_protocol::message::{Description, EntryKind, List};
use sealift_transfer::{Client, TransferError, remote};
use sealift_types::EntryPath;
use serde_json::json;

use crate::failure::{Exit, Failure};
use crate::outcome::together;
use crate::printer::Printer;
use crate::remote_path::remote_path;
use crate::session::ClientSession;
use crate::text;

/// Delete files and directories on the server
///
/// Directories have to be empty unless -r is given. There is no way back, unless somebody has the same content under another name.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  sealift rm report.pdf\n  sealift rm photos/a.jpg photos/b.jpg photos/\n  sealift rm -r photos"
)]
pub(crate) struct RmArgs {
    /// Paths on the server
    #[arg(required = true, value_parser = remote_path, value_name = "PATH")]
    paths: Vec<EntryPath>,
    /// Delete directories with all that is in them
    #[arg(long, short)]
    recursive: bool,
}

pub(crate) async fn run(
    arguments: RmArgs,
    session: &mut ClientSession,
    printer: &mut Printer,
) -> Result<Exit, Failure> {
    let RmArgs { paths, recursive } = arguments;
    let client = session.client()?;
    let own = client.identity().clone();
    let counted = if printer.wants_notes() { count(client, &paths, recursive).await? } else { Vec::new() };
    let (mut failures, mut broken, mut removed_all) = (Vec::new(), None, RemovedCount::default());
    let each = |number: usize, removed: Result<(), WireError>| {
        let path = text::absolute(&paths[number], &own);
        match removed {
            Ok(()) if printer.wants_json() => {
                let printed = printer.object(&json!({ "type": "removed", "path": path }));
                broken = broken.take().or(printed.err());
            }
            Ok(()) => removed_all.add(counted.get(number)),
            Err(error) => {
                let failure = Failure::from(error).about(&path);
                printer.failure(&failure);
                failures.push(failure.exit);
            }
        }
    };
    remote::remove(client.connection().await?, &paths, recursive, each).await?;
    if removed_all.entries > 0 {
        printer.note(&removed_all.sentence());
    }
    broken.map_or(Ok(together(paths.len(), &failures)), Err)
}

/// How much was removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct RemovedCount {
    entries: u64,
    /// There were more, which nobody counted.
    more: bool,
}

impl RemovedCount {
    fn add(&mut self, other: Option<&Self>) {
        let Self { entries, more } = other.copied().unwrap_or(Self { entries: 1, more: false });
        self.entries += entries;
        self.more |= more;
    }

    /// The same if at most so many were looked for, beside the directory itself: what was found may not be all.
    fn up_to(self, most: u64) -> Self {
        Self { entries: self.entries.min(most), more: self.entries > most }
    }

    fn sentence(self) -> String {
        match self {
            Self { entries, more: true } => format!("removed more than {entries} entries"),
            Self { entries: 1, .. } => "removed 1 entry".to_owned(),
            Self { entries, .. } => format!("removed {entries} entries"),
        }
    }
}

/// Counts what is about to be removed; the server removes a directory with one step, and does not count.
async fn count(
    client: &mut Client,
    paths: &[EntryPath],
    recursive: bool,
) -> Result<Vec<RemovedCount>, Failure> {
    /// More is not counted: nobody is to wait for that.
    const MOST: u64 = 10_000;
    if !recursive {
        return Ok(Vec::new());
    }
    let mut counts = vec![RemovedCount { entries: 1, more: false }; paths.len()];
    let mut directories = Vec::new();
    let each = |number, found: Result<Description, WireError>| {
        let is_directory = found.is_ok_and(|found| found.kind == EntryKind::Directory);
        directories.extend(is_directory.then_some(number));
    };
    remote::info(client.connection().await?, paths, each).await?;
    for number in directories {
        let (path, count) = (&paths[number], &mut counts[number]);
        let list = List { recursive: true, limit: MOST, ..List::of(path.clone()) };
        let mut listing = remote::list(client.connection().await?, list).await?;
        let listed = loop {
            match listing.page().await {
                Ok(Some(entries)) => count.entries += entries.len() as u64,
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        match listed {
            Ok(()) => *count = count.up_to(MOST),
            // Somebody was faster, or the caller may not look: that is told in a moment, if it matters.
            Err(TransferError::Refused(_)) => count.entries = 1,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_many_entries_is_true() {
        // With the directory, which is one of them; a listing of no more than 10,000 was asked for.
        for (listed, said) in [
            (0, "removed 1 entry"),
            (9_998, "removed 9999 entries"),
            (9_999, "removed 10000 entries"),
            (10_000, "removed more than 10000 entries"),
        ] {
            let count = RemovedCount { entries: 1 + listed, more: false }.up_to(10_000);
            assert_eq!(count.sentence(), said);
        }
    }
}
