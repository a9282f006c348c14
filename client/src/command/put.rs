//! `sealift put SRC... [DEST]`

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::Args;
use sealift_protocol::RemotePath;
use sealift_protocol::message::Direction;
use sealift_transfer::plan::{self, Uploads};
use sealift_transfer::tree::Walking;
use sealift_transfer::upload;

use super::report::Report;
use super::transfer::{Choice, Lines, Trees};
use crate::arguments::remote_path;
use crate::failure::{Exit, Failure};
use crate::printer::Printer;
use crate::session::Session;

/// Store files and directories on the server
///
/// The last of several paths is the destination; a single one goes to the root of your own space. A destination that
/// ends in / or is a directory receives files under their own names, and so does any destination of several files. A
/// directory is stored with all that is in it, under its own name; with a / behind it, only what is in it is.
/// What the server has already is not sent again. Files are stored when the command ends: not even a power cut on the
/// server loses them then.
#[derive(Debug, Args)]
#[command(
    override_usage = "sealift put [OPTIONS] SRC... [DEST]",
    after_help = "Examples:\n  sealift put report.pdf                  as report.pdf in your own space\n  \
    sealift put report.pdf docs/            as docs/report.pdf\n  \
    sealift put a.jpg b.jpg photos/         several files\n  \
    sealift put *.jpg ./                    several files into your own space\n  \
    sealift put photos                      a directory, as photos/ in your own space\n  \
    sealift put photos/ /team/2026/         what is in it, into /team/2026/\n  \
    sealift put --exclude '*.tmp' src work/ a directory without some of its files\n  \
    sealift put --exclude '*' --include '*/' --include '*.jpg' photos   the pictures of a whole tree\n  \
    sealift put -n photos /team/            what would be stored, nothing else\n  \
    sealift put -u photos /team/            but what is newer there\n  \
    sealift put report.pdf /team/2026.pdf   into the space `team`, under another name\n  \
    pg_dump shop | sealift put - shop.sql   from standard input"
)]
pub(crate) struct Put {
    /// Local files, or - for standard input; then where to, on the server
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<OsString>,
    #[command(flatten)]
    choice: Choice,
    /// Store files that are being written to as they are read, up to the length that they had
    #[arg(long)]
    allow_changing: bool,
    #[command(flatten)]
    trees: Trees,
    #[command(flatten)]
    lines: Lines,
}

pub(crate) async fn run(
    arguments: Put,
    session: &mut Session,
    printer: &mut Printer,
) -> Result<Exit, Failure> {
    let uploads = plan(arguments.paths, &arguments.trees.walking()?)?;
    let manner = arguments.choice.manner().allow_changing(arguments.allow_changing);
    session.wish(arguments.lines.wishes());
    let client = session.client()?;
    let report = Report::new(printer, Direction::Put, manner, client.identity().clone());
    let result = upload::upload(client, uploads, manner, &|event| report.take(event)).await;
    report.end(result)
}

fn plan(mut paths: Vec<OsString>, walking: &Walking) -> Result<Uploads, Failure> {
    let destination = if paths.len() > 1 { paths.pop() } else { None };
    let destination = destination.map(|path| remote(&path)).transpose()?;
    if paths.iter().any(|path| path == "-") {
        if paths.len() > 1 {
            return Err(Failure::usage("standard input cannot be one of several sources: put it by itself"));
        }
        return Ok(plan::upload_stream(Box::new(std::io::stdin()), destination.as_ref())?);
    }
    if let Some(to) = destination.as_ref().filter(|to| paths.len() > 1 && !to.means_directory()) {
        refuse_forgotten_destination(to)?;
    }
    Ok(plan::uploads(paths.into_iter().map(PathBuf::from), destination.as_ref(), walking)?)
}

/// `put *.jpg` would store all files but the last in a directory called like the last.
fn refuse_forgotten_destination(to: &RemotePath) -> Result<(), Failure> {
    if !Path::new(to.as_str()).is_file() {
        return Ok(());
    }
    Err(Failure::usage(format!("the last path is where to store the others, and {to} is also a local file"))
        .hint(format!(
            "add a destination such as ./ (your own space), or write {to}/ if that is the destination"
        )))
}

fn remote(path: &OsString) -> Result<RemotePath, Failure> {
    let text = path.to_str().ok_or_else(|| {
        Failure::usage(format!("the destination {} is not UTF-8: name another one", path.display()))
    })?;
    remote_path(text).map_err(Failure::usage)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(paths: &[&str]) -> Result<Vec<String>, Exit> {
        let walking = Walking::default();
        let plan =
            plan(paths.iter().map(OsString::from).collect(), &walking).map_err(|failure| failure.exit)?;
        Ok(plan.flatten().map(|upload| upload.to.to_string()).collect())
    }

    #[test]
    fn the_last_of_several_paths_is_the_destination() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a");
        std::fs::write(&file, b"").unwrap();
        let file = file.to_str().unwrap();
        assert_eq!(planned(&[file]).unwrap(), ["a"]);
        assert_eq!(planned(&[file, "b"]).unwrap(), ["b"]);
        assert_eq!(planned(&[file, "b/"]).unwrap(), ["b/a"]);
        assert_eq!(planned(&[file, "."]).unwrap(), ["a"]);
        assert_eq!(planned(&["-", "b"]).unwrap(), ["b"]);
    }

    #[test]
    fn what_cannot_be_meant_is_a_usage_error() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a");
        std::fs::write(&file, b"").unwrap();
        let file = file.to_str().unwrap();
        for paths in
            [&["-"][..], &["-", "b/"], &["-", file, "b"], &[file, "../b"], &[file, "/"], &[file, file, "b/"]]
        {
            assert_eq!(planned(paths), Err(Exit::Usage), "{paths:?}");
        }
        // The package's own manifest, relative to the directory that tests run in.
        assert_eq!(planned(&[file, "src/main.rs", "Cargo.toml"]), Err(Exit::Usage));
        assert!(planned(&[file, "Cargo.toml"]).is_ok());
    }
}
