//! `sealift put SRC... [DEST]`

pub(crate) mod input;

use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;
use sealift_protocol::message::Direction;
use sealift_transfer::plan::{self, PlannedUploads};
use sealift_transfer::tree::WalkOptions;
use sealift_transfer::upload;
use sealift_types::EntryPath;

use super::report::RunReport;
use super::transfer::{ConnectionArgs, SelectionArgs, TreeArgs};
use crate::failure::{Exit, Failure};
use crate::printer::Printer;
use crate::remote_path::remote_path;
use crate::session::ClientSession;

/// Store files and directories on the server
///
/// The last of several paths is the destination; a single one goes to the root of your own space. A destination that
/// ends in / or is a directory receives files under their own names, and so does any destination of several files. A
/// directory is stored with all that is in it, under its own name; with a / behind it, only what is in it is.
/// What the server has already is not sent again. Files are stored when the command ends: not even a power cut on the
/// server loses them then.
#[derive(Debug, Args)]
#[command(
    override_usage = "sealift put [OPTIONS] SRC... [DEST]\n       \
    sealift put [OPTIONS] --stdin-from-command DEST -- COMMAND...",
    after_help = "Examples:\n  sealift put report.pdf                  as report.pdf in your own space\n  \
    sealift put report.pdf docs/            as docs/report.pdf\n  \
    sealift put a.pdf :b.pdf                as b.pdf, also where b.pdf is a local file, too\n  \
    sealift put a.jpg b.jpg photos/         several files\n  \
    sealift put *.jpg ./                    several files into your own space\n  \
    sealift put photos                      a directory, as photos/ in your own space\n  \
    sealift put photos/ /team/2026/         what is in it, into /team/2026/\n  \
    sealift put --exclude '*.tmp' src work/ a directory without some of its files\n  \
    sealift put --exclude '*' --include '*/' --include '*.jpg' photos   the pictures of a whole tree\n  \
    sealift put -n photos /team/            what would be stored, nothing else\n  \
    sealift put -u photos /team/            but what is newer there\n  \
    sealift put report.pdf /team/2026.pdf   into the space `team`, under another name\n  \
    sealift put --stdin-from-command shop.sql -- pg_dump shop\n                                          \
    what a command prints, if it succeeds\n  \
    zcat a.gz | sealift put - a             from standard input\n\n\
    A pipe hides that the command before it failed, unless the shell is told otherwise with `set -o pipefail`; and then \
    what it printed until then is stored all the same. --stdin-from-command stores nothing of a command that fails."
)]
pub(crate) struct PutArgs {
    /// Local files, or - for standard input; then where to, on the server
    #[arg(required_unless_present = "behind", value_name = "PATH")]
    paths: Vec<OsString>,
    /// The command of --stdin-from-command with its arguments; else further paths, which may begin with -
    #[arg(last = true, value_name = "COMMAND")]
    behind: Vec<OsString>,
    /// Run the command behind --, and store what it prints as DEST if it succeeds
    #[arg(long, value_name = "DEST", allow_hyphen_values = false)]
    stdin_from_command: Option<OsString>,
    /// Let an empty standard input replace a file that is not empty
    #[arg(long, conflicts_with = "stdin_from_command")]
    allow_empty: bool,
    #[command(flatten)]
    choice: SelectionArgs,
    /// Store files that are being written to as they are read, up to the length that they had
    #[arg(long)]
    allow_changing: bool,
    #[command(flatten)]
    trees: TreeArgs,
    #[command(flatten)]
    lines: ConnectionArgs,
}

impl PutArgs {
    /// Whether a second run can go on where an interrupted one stopped: what came by a pipe is gone.
    pub(crate) fn can_go_on(&self) -> bool {
        self.stdin_from_command.is_none() && self.paths.first().is_none_or(|path| path != "-")
    }
}

pub(crate) async fn run(
    arguments: PutArgs,
    session: &mut ClientSession,
    printer: &mut Printer,
) -> Result<Exit, Failure> {
    let walking = arguments.trees.walking()?;
    let (mut paths, behind) = (arguments.paths, arguments.behind);
    let manner = arguments.choice.manner().allow_changing(arguments.allow_changing);
    session.wish(arguments.lines.wishes());
    let uploads = match &arguments.stdin_from_command {
        Some(to) => plan_command(to, &paths, behind)?,
        None => {
            paths.extend(behind);
            let (sources, to) = divide(paths)?;
            match sources.as_slice() {
                [only] if only == "-" => {
                    // What the plan refuses is told before anybody waits for a byte.
                    plan::upload_stream(Box::new(std::io::empty()), to.as_ref())?;
                    let is_asked = arguments.allow_empty || manner.dry_run;
                    let reader: Box<dyn Read + Send> = if manner.dry_run {
                        Box::new(std::io::stdin())
                    } else {
                        input::standard_input(session, to.as_ref(), is_asked).await?
                    };
                    plan::upload_stream(reader, to.as_ref())?
                }
                _ => plan(sources, to.as_ref(), &walking)?,
            }
        }
    };
    let client = session.client()?;
    let report = RunReport::new(printer, Direction::Put, manner, client.identity().clone());
    let result = upload::upload(client, uploads, manner, &|event| report.take(event)).await;
    report.end(result)
}

/// The sources, and where they go.
fn divide(mut paths: Vec<OsString>) -> Result<(Vec<OsString>, Option<EntryPath>), Failure> {
    let destination = if paths.len() > 1 { paths.pop() } else { None };
    if paths.iter().any(|path| path.is_empty()) {
        return Err(Failure::usage("a local path is empty, as when a variable is not set: name what to put"));
    }
    for path in paths.iter().filter(|path| path.as_encoded_bytes().starts_with(b":")) {
        if Path::new(path).symlink_metadata().is_err() {
            let message =
                format!("{} has a colon in front, which marks a path on the server", path.display());
            return Err(Failure::usage(message)
                .hint("put stores local files; to copy on the server use `sealift cp`"));
        }
    }
    if let (Some(to), false) = (&destination, paths == ["-"]) {
        refuse_forgotten_destination(&paths, to)?;
    }
    let destination = destination.map(|path| remote(&path)).transpose()?;
    if paths.len() > 1 && paths.iter().any(|path| path == "-") {
        return Err(Failure::usage("standard input cannot be one of several sources: put it by itself"));
    }
    Ok((paths, destination))
}

fn plan(
    sources: Vec<OsString>,
    destination: Option<&EntryPath>,
    walking: &WalkOptions,
) -> Result<PlannedUploads, Failure> {
    Ok(plan::uploads(sources.into_iter().map(PathBuf::from), destination, walking)?)
}

/// Only what stands behind -- is run: a word before it may be a destination, or a command whose -- was forgotten.
fn plan_command(
    to: &OsString,
    paths: &[OsString],
    command: Vec<OsString>,
) -> Result<PlannedUploads, Failure> {
    const FORM: &str = "write `sealift put --stdin-from-command DEST -- COMMAND...`";
    if let Some(path) = paths.first() {
        let message =
            format!("{} is neither the one destination nor behind --: nothing was run", path.display());
        return Err(Failure::usage(message).hint(FORM));
    }
    let mut command = command.into_iter();
    let Some(program) = command.next() else {
        return Err(Failure::usage("--stdin-from-command needs the command behind --").hint(FORM));
    };
    let output = input::CommandOutput::of(program, command);
    Ok(plan::upload_stream(Box::new(output), Some(&remote(to)?))?)
}

/// `put *.jpg` would store all files but the last in a directory called like the last, and one of two in place of the
/// other. A colon, a slash or `./` in front says that a path on the server is meant.
fn refuse_forgotten_destination(sources: &[OsString], to: &OsString) -> Result<(), Failure> {
    let bytes = to.as_encoded_bytes();
    let is_marked =
        [&b":"[..], b"/", b"./"].iter().any(|mark| bytes.starts_with(mark)) || bytes.ends_with(b"/");
    if is_marked || sources == [to.clone()] || !Path::new(to).is_file() || to.to_str().is_none() {
        return Ok(());
    }
    let to = to.display();
    let message = format!("the last path is where to store the others, and {to} is also a local file");
    let meant = match sources {
        [source] => format!("write :{to} to store {} under that name", source.display()),
        _ => format!("write {to}/ if that is the destination"),
    };
    Err(Failure::usage(message)
        .hint(format!("add a destination such as ./ (your own space) to store them all, or {meant}")))
}

fn remote(path: &OsString) -> Result<EntryPath, Failure> {
    let text = path.to_str().ok_or_else(|| {
        Failure::usage(format!("the destination {} is not UTF-8: name another one", path.display()))
    })?;
    remote_path(text).map_err(Failure::usage)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(paths: &[&str]) -> Result<Vec<String>, Exit> {
        let walking = WalkOptions::default();
        let divided = divide(paths.iter().map(OsString::from).collect());
        let plan = divided.and_then(|(sources, to)| match sources.as_slice() {
            [only] if only == "-" => Ok(plan::upload_stream(Box::new(std::io::empty()), to.as_ref())?),
            _ => plan(sources, to.as_ref(), &walking),
        });
        let plan = plan.map_err(|failure| failure.exit)?;
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
        assert_eq!(planned(&[file, "Cargo.toml"]), Err(Exit::Usage));
        for meant in [":Cargo.toml", "./Cargo.toml", "Cargo.toml/", "no-such-file"] {
            assert!(planned(&[file, meant]).is_ok(), "{meant}");
        }
        assert!(planned(&["Cargo.toml", "Cargo.toml"]).is_ok());
        assert_eq!(planned(&[file, ":docs/"]).unwrap(), ["docs/a"]);
        assert_eq!(planned(&[":docs", "x"]), Err(Exit::Usage));
        assert_eq!(planned(&["", "x"]), Err(Exit::Usage));
    }
}
