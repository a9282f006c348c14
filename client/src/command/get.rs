//! `sealift get SRC... [DEST]`

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use sealift_protocol::WireError;
use sealift_protocol::message::{Description, Direction};
use sealift_transfer::download::{self, Destination, Download};
use sealift_transfer::tree::WalkOptions;
use sealift_transfer::{plan, remote};
use sealift_types::EntryPath;

use super::report::RunReport;
use super::transfer::{ConnectionArgs, SelectionArgs, TreeArgs};
use crate::failure::{Exit, Failure};
use crate::printer::Printer;
use crate::remote_path::remote_path;
use crate::session::ClientSession;

/// Fetch files and directories from the server
///
/// The last of several paths is the local destination; a single one goes to the current directory. A destination that
/// ends in / or is a directory receives files under their own names. A directory comes with all that is in it, under
/// its own name; with a / behind it, only what is in it comes. A file appears under its name when it is complete
/// and its SHA-256 is right, never before.
#[derive(Debug, Args)]
#[command(override_usage = "sealift get [OPTIONS] SRC... [DEST]")]
#[command(after_help = "Examples:\n  sealift get report.pdf                  into the current directory\n  \
    sealift get docs/report.pdf /tmp/       as /tmp/report.pdf\n  \
    sealift get a.jpg b.jpg photos/         several files\n  \
    sealift get photos                      a directory, as ./photos\n  \
    sealift get photos/ /tmp/p              what is in it, into /tmp/p\n  \
    sealift get -u photos/ /tmp/p           but what is newer here; -n only says what it would be\n  \
    sealift get shop.sql - | psql shop      to standard output; a wrong SHA-256 shows in the exit code, 5\n\n\
    With - as the destination, --json prints to standard error.")]
pub(crate) struct GetArgs {
    /// Paths on the server; then where to, on this computer, or - for standard output
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<OsString>,
    #[command(flatten)]
    choice: SelectionArgs,
    #[command(flatten)]
    trees: TreeArgs,
    #[command(flatten)]
    lines: ConnectionArgs,
}

impl GetArgs {
    /// Whether a second run can go on where an interrupted one stopped: what went into a pipe is not kept.
    pub(crate) fn can_go_on(&self) -> bool {
        self.paths.last().is_none_or(|path| path != "-")
    }
}

pub(crate) async fn run(
    arguments: GetArgs,
    session: &mut ClientSession,
    printer: &mut Printer,
) -> Result<Exit, Failure> {
    let walking = arguments.trees.walking()?;
    let manner = arguments.choice.manner();
    session.wish(arguments.lines.wishes());
    let downloads = plan(arguments.paths.clone(), &walking)?;
    if let Some(paths) = suspicion(&arguments.paths) {
        refuse_forgotten_destination(paths, session).await?;
    }
    let client = session.client()?;
    if downloads.iter().any(|download| matches!(download.to, Destination::Stream(_))) {
        printer.leave_output_to_content();
    }
    let report = RunReport::new(printer, Direction::Get, manner, client.identity().clone());
    let result = download::download(client, downloads, &walking, manner, &|event| report.take(event)).await;
    report.end(result)
}

/// The second of two paths that are files here, if that is all that there is: a shell's `*.jpg` may have named them.
fn suspicion(paths: &[OsString]) -> Option<(&OsString, &OsString)> {
    let is_here = |path: &OsString| Path::new(path).is_file() && !path.as_encoded_bytes().contains(&b'/');
    match paths {
        [source, to] if source != to && is_here(source) && is_here(to) => Some((source, to)),
        _ => None,
    }
}

/// Refuses to write a file of the server over the local one that is called as another file of the server. `./` in front
/// says that the local file is meant.
async fn refuse_forgotten_destination(
    (source, to): (&OsString, &OsString),
    session: &mut ClientSession,
) -> Result<(), Failure> {
    let mut is_there = false;
    let found = |_, found: Result<Description, WireError>| is_there = found.is_ok();
    remote::info(session.client()?.connection().await?, &[remote_name(to)?], found).await?;
    if !is_there {
        return Ok(());
    }
    let (source, to) = (source.display(), to.display());
    let message =
        format!("{to} is a local file, and would be replaced by {source} of the server, which has {to}, too");
    let hint = format!("to fetch both, add a destination such as ./; to replace {to}, write ./{to}");
    Err(Failure::usage(message).hint(hint))
}

fn plan(mut paths: Vec<OsString>, walking: &WalkOptions) -> Result<Vec<Download>, Failure> {
    let destination = if paths.len() > 1 { paths.pop() } else { None };
    if let Some(to) = &destination {
        refuse_mixed_up_sides(to)?;
    }
    let sources: Vec<_> = paths.iter().map(remote_name).collect::<Result<_, _>>()?;
    match destination {
        Some(to) if to == "-" || plan::is_standard_output(Path::new(&to)) => {
            let output = output().map_err(Failure::from)?;
            Ok(plan::download_stream(sources, output)?)
        }
        destination => Ok(plan::downloads(sources, destination.map(PathBuf::from).as_deref(), walking)?),
    }
}

/// A destination on the server is a mistake.
fn refuse_mixed_up_sides(to: &OsString) -> Result<(), Failure> {
    if to.is_empty() {
        return Err(Failure::usage(
            "the destination is empty, as when a variable is not set: this directory is .",
        ));
    }
    let shown = to.display();
    if to.as_encoded_bytes().starts_with(b":") {
        let message = format!("{shown} has a colon in front, which marks a path on the server");
        let hint =
            format!("get writes local files: write ./{shown} for one called so, or copy with `sealift cp`");
        return Err(Failure::usage(message).hint(hint));
    }
    Ok(())
}

/// Standard output without the line buffer of Rust's own, which is of no use to a content.
#[cfg(unix)]
fn output() -> std::io::Result<Box<dyn Write + Send>> {
    use std::os::fd::AsFd;
    let output = std::io::stdout().as_fd().try_clone_to_owned()?;
    Ok(Box::new(std::fs::File::from(output)))
}

#[cfg(not(unix))]
fn output() -> std::io::Result<Box<dyn Write + Send>> {
    Ok(Box::new(std::io::stdout()))
}

fn remote_name(path: &OsString) -> Result<EntryPath, Failure> {
    let text = path.to_str().ok_or_else(|| {
        Failure::usage(format!("{} is not UTF-8, so the server has nothing of that name", path.display()))
            .hint("names on the server are UTF-8: see `sealift ls`")
    })?;
    remote_path(text).map_err(Failure::usage)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(paths: &[&str]) -> Result<Vec<PathBuf>, Exit> {
        let paths = paths.iter().map(OsString::from).collect();
        let plan = plan(paths, &WalkOptions::default()).map_err(|failure| failure.exit)?;
        let path = |download: Download| match download.to {
            Destination::File { path, .. } => path,
            Destination::Stream(_) => PathBuf::from("-"),
            Destination::Nowhere => download.tree.unwrap(),
        };
        Ok(plan.into_iter().map(path).collect())
    }

    #[test]
    fn the_last_of_several_paths_is_the_destination() {
        assert_eq!(planned(&["d/a"]).unwrap(), [PathBuf::from("a")]);
        assert_eq!(planned(&["d/a", "b"]).unwrap(), [PathBuf::from("b")]);
        assert_eq!(planned(&["d/a", "b/"]).unwrap(), [PathBuf::from("b/a")]);
        assert_eq!(planned(&["d/a", "e", "src"]).unwrap(), [PathBuf::from("src/a"), PathBuf::from("src/e")]);
        assert_eq!(planned(&["d/a", "-"]).unwrap(), [PathBuf::from("-")]);
    }

    #[test]
    fn what_cannot_be_meant_is_a_usage_error() {
        for paths in [
            &["a", "b", "-"][..],
            &["a", "b", "no-such-directory"],
            &["/"],
            &["d/", "-"],
            &["a/..", "b"],
            &["x/a", "y/a", "src"],
            &[""],
            &["a", ""],
            &["a", ":b"],
            &[":a", ":b"],
        ] {
            assert_eq!(planned(paths), Err(Exit::Usage), "{paths:?}");
        }
    }
}
