//! `sealift sync SRC DEST`

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap::Args;
use sealift_protocol::message::Direction;
use sealift_transfer::TransferOptions;
use sealift_transfer::sync::{self, DeletePolicy, SyncOptions};
use sealift_types::EntryPath;

use super::report::RunReport;
use super::transfer::{ConnectionArgs, TreeArgs};
use crate::failure::{Exit, Failure};
use crate::printer::Printer;
use crate::remote_path::remote_path;
use crate::session::ClientSession;

/// Make a directory equal to another one, on the server or here
///
/// A colon marks the server's side, and exactly one side has it: :docs is docs in your own space, :/team/docs is in the
/// space `team`, and : alone is your own space. What is in SRC goes into DEST, with or without a / at its end, and DEST
/// is made if it is missing. Only what differs in size or time of modification is transferred, and what DEST has under
/// another name already, because it was moved or renamed, is not.
///
/// What only DEST has stays, unless --delete is given. It goes when everything else was done without a failure. What is
/// excluded is neither transferred nor deleted, and without --links that goes for symbolic links, too.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    sealift sync photos :photos             what is in photos here, into photos on the server\n  \
    sealift sync :photos photos             the other way round\n  \
    sealift sync --delete site :/team/site  and delete what is not here\n  \
    sealift sync -n --delete site :site     only say what that would do\n  \
    sealift sync --exclude .git . :work     this directory without some of its files")]
pub(crate) struct SyncArgs {
    /// The directory that is to be copied, with a colon in front if it is on the server
    #[arg(value_name = "SRC")]
    source: OsString,
    /// The directory that is to become equal to it, with a colon in front if it is on the server
    #[arg(value_name = "DEST")]
    destination: OsString,
    /// Delete what only DEST has, unless that is more than half of it
    #[arg(long)]
    delete: bool,
    /// Delete what only DEST has, however much that is
    #[arg(long)]
    delete_anyway: bool,
    /// Compare contents, not times of modification
    #[arg(long, short)]
    checksum: bool,
    /// Store files that are being written to as they are read, up to the length that they had
    #[arg(long)]
    allow_changing: bool,
    /// Say what would be done, and change nothing
    #[arg(long, short = 'n')]
    dry_run: bool,
    #[command(flatten)]
    trees: TreeArgs,
    #[command(flatten)]
    lines: ConnectionArgs,
}

/// What goes where.
#[derive(Debug, PartialEq, Eq)]
enum SyncDirection {
    Up(PathBuf, EntryPath),
    Down(EntryPath, PathBuf),
}

pub(crate) async fn run(
    arguments: SyncArgs,
    session: &mut ClientSession,
    printer: &mut Printer,
) -> Result<Exit, Failure> {
    let SyncArgs {
        source,
        destination,
        delete,
        delete_anyway,
        checksum,
        allow_changing,
        dry_run,
        trees,
        lines,
    } = arguments;
    let way = way(&source, &destination)?;
    let delete = match (delete, delete_anyway) {
        (_, true) => DeletePolicy::Anyway,
        (true, false) => DeletePolicy::Guarded,
        (false, false) => DeletePolicy::No,
    };
    let rules = SyncOptions { walking: trees.walking()?, checksum, delete, allow_changing, dry_run };
    session.wish(lines.wishes());
    let client = session.client()?;
    let own = client.identity().clone();
    let direction = if matches!(way, SyncDirection::Up(..)) { Direction::Put } else { Direction::Get };
    let report = RunReport::new(printer, direction, TransferOptions::new(false, dry_run), own);
    let take = |event| report.take(event);
    let result = match &way {
        SyncDirection::Up(from, to) => sync::up(client, from, to, &rules, &take).await,
        SyncDirection::Down(from, to) => sync::down(client, from, to, &rules, &take).await,
    };
    report.end_sync(result)
}

fn way(source: &OsStr, destination: &OsStr) -> Result<SyncDirection, Failure> {
    match (remote(source)?, remote(destination)?) {
        (None, Some(to)) => Ok(SyncDirection::Up(local(source)?, to)),
        (Some(from), None) => Ok(SyncDirection::Down(from, local(destination)?)),
        (None, None) => Err(Failure::usage(
            "both directories are on this computer: put a colon before the one that is on the server, such as :docs",
        )),
        (Some(_), Some(_)) => Err(Failure::usage(
            "both directories are on the server: take the colon from the one that is on this computer, or use `sealift cp`",
        )),
    }
}

/// The path on the server; `None` for one without a colon.
fn remote(side: &OsStr) -> Result<Option<EntryPath>, Failure> {
    if !side.as_encoded_bytes().starts_with(b":") {
        return Ok(None);
    }
    let text = side.to_str().ok_or_else(|| {
        Failure::usage(format!("{} is not UTF-8, so the server has nothing of that name", side.display()))
            .hint("names on the server are UTF-8: see `sealift ls`")
    })?;
    let path = remote_path(text).map_err(Failure::usage)?;
    if path.as_str() == "/" {
        return Err(Failure::usage("/ is the list of spaces: name the one to sync, such as :/alice/"));
    }
    Ok(Some(path))
}

fn local(side: &OsStr) -> Result<PathBuf, Failure> {
    if side.is_empty() {
        return Err(Failure::usage("the local directory has no name: write . for the current one"));
    }
    Ok(PathBuf::from(side))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_colon_marks_the_servers_side() {
        let up = |from: &str, to: &str| Ok(SyncDirection::Up(from.into(), to.parse().unwrap()));
        let down = |from: &str, to: &str| Ok(SyncDirection::Down(from.parse().unwrap(), to.into()));
        for (source, destination, expected) in [
            ("docs", ":docs", up("docs", "docs")),
            ("docs/", ":", up("docs/", "")),
            (".", ":/team/docs/", up(".", "/team/docs/")),
            (":docs", "docs", down("docs", "docs")),
            (":.", "/tmp/a", down("", "/tmp/a")),
            (":a", "./:b", down("a", "./:b")),
        ] {
            let way = way(source.as_ref(), destination.as_ref()).map_err(|failure| failure.message);
            assert_eq!(way, expected, "{source} {destination}");
        }
        for (source, destination) in [("a", "b"), (":a", ":b"), (":/", "a"), ("", ":a"), ("a", ":../b")] {
            let failure = way(source.as_ref(), destination.as_ref()).unwrap_err();
            assert_eq!(failure.exit, Exit::Usage, "{source} {destination}");
        }
    }
}
