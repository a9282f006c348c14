//! `sealift ls [PATH]`

use std::borrow::Cow;

use clap::Args;
use jiff::tz::TimeZone;
use sealift_protocol::message::{Entry, EntryKind, List};
use sealift_transfer::{Connection, remote};
use sealift_types::EntryPath;
use serde_json::json;

use crate::failure::{Exit, Failure};
use crate::printer::Printer;
use crate::remote_path::remote_path;
use crate::session::ClientSession;
use crate::text;

/// List a directory
///
/// Directories are shown with a / behind their names, symbolic links with an @. The path / lists the spaces that you may read.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  sealift ls\n  sealift ls -l docs\n  sealift ls -R /team\n  sealift ls /\n\n\
    The columns of -l: - for a file, x for one that may be executed, d for a directory, l for a link,\ns for a space;\
    who stored it; its size; when it was last modified; its name."
)]
pub(crate) struct LsArgs {
    /// What to list: a directory, a file, or / for the spaces [default: your own space]
    #[arg(value_parser = remote_path)]
    path: Option<EntryPath>,
    /// Long: with kind, owner, size and time
    #[arg(long, short)]
    long: bool,
    /// Recursive: with everything below
    #[arg(long, short = 'R')]
    recursive: bool,
    /// Sizes in bytes, as they also are where the output is no terminal
    #[arg(long, short)]
    bytes: bool,
}

/// How entries are shown.
struct Style {
    /// The long form, in this time zone.
    long: Option<TimeZone>,
    /// Sizes with units.
    units: bool,
}

pub(crate) async fn run(
    arguments: LsArgs,
    session: &mut ClientSession,
    printer: &mut Printer,
) -> Result<Exit, Failure> {
    let LsArgs { path, long, recursive, bytes } = arguments;
    let style = Style { long: long.then(TimeZone::system), units: printer.is_terminal() && !bytes };
    let root = path.map_or_else(|| remote_path("."), Ok).map_err(Failure::usage)?;
    let connection = session.client()?.connection().await?;
    if !(recursive && root.as_str() == "/") {
        return list(connection, root, recursive, "", &style, printer).await.map(|_| Exit::Done);
    }
    // The server lists the spaces, but not all that is in all of them.
    for space in list(connection, root.clone(), false, "", &style, printer).await? {
        list(connection, root.join(&space)?, true, &format!("{space}/"), &style, printer).await?;
    }
    Ok(Exit::Done)
}

/// Shows a listing with `prefix` before the names. Returns the spaces in it.
async fn list(
    connection: &mut Connection,
    path: EntryPath,
    recursive: bool,
    prefix: &str,
    style: &Style,
    printer: &mut Printer,
) -> Result<Vec<String>, Failure> {
    let mut spaces = Vec::new();
    let mut listing = remote::list(connection, List { recursive, ..List::of(path) }).await?;
    while let Some(entries) = listing.page().await? {
        show(&entries, prefix, style, printer)?;
        let found = entries.into_iter().filter(|entry| entry.kind == EntryKind::Space);
        spaces.extend(found.map(|entry| entry.name));
    }
    Ok(spaces)
}

fn show(entries: &[Entry], prefix: &str, style: &Style, printer: &mut Printer) -> Result<(), Failure> {
    if printer.wants_json() {
        for entry in entries {
            printer.object(&json!({
                "type": "entry",
                "name": format!("{prefix}{}", entry.name),
                "kind": entry.kind,
                "size": (entry.kind == EntryKind::File).then_some(entry.size),
                "mtime": text::utc(entry.mtime),
                "executable": entry.executable,
                "sha256": entry.sha256,
                "target": entry.target,
                "by": entry.by,
            }))?;
        }
        return printer.flush();
    }
    let rows: Vec<_> = entries.iter().map(|entry| Row::of(entry, style)).collect();
    let widest = |column: fn(&Row) -> &str| rows.iter().map(|row| column(row).len()).max().unwrap_or(0);
    let (owners, sizes) = (widest(|row| &row.owner), widest(|row| &row.size));
    for (entry, Row { flag, owner, size, time }) in entries.iter().zip(&rows) {
        let behind = match (&entry.kind, &entry.target) {
            (EntryKind::Directory | EntryKind::Space, _) => "/".into(),
            (EntryKind::Link, Some(target)) if style.long.is_some() => {
                format!(" -> {}", printer.name(target)).into()
            }
            (EntryKind::Link, _) => Cow::Borrowed("@"),
            (EntryKind::File, _) => "".into(),
        };
        let name = format!("{}{}{behind}", printer.name(prefix), printer.name(&entry.name));
        if style.long.is_some() {
            printer.line(&format!("{flag} {owner:owners$} {size:>sizes$} {time} {name}"))?;
        } else {
            printer.line(&name)?;
        }
    }
    // A page at a time is soon enough to be seen and seldom enough to be cheap.
    printer.flush()
}

/// The columns of the long form.
#[derive(Default)]
struct Row {
    flag: char,
    owner: String,
    size: String,
    time: String,
}

impl Row {
    fn of(entry: &Entry, style: &Style) -> Self {
        let Some(zone) = &style.long else { return Self::default() };
        let size = match entry.kind {
            EntryKind::File if style.units => text::size(entry.size),
            EntryKind::File => entry.size.to_string(),
            EntryKind::Directory | EntryKind::Link | EntryKind::Space => "-".to_owned(),
        };
        Self {
            flag: match entry.kind {
                EntryKind::File if entry.executable => 'x',
                EntryKind::File => '-',
                EntryKind::Directory => 'd',
                EntryKind::Link => 'l',
                EntryKind::Space => 's',
            },
            owner: entry.by.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string),
            size,
            time: text::local_minute(entry.mtime, zone),
        }
    }
}
