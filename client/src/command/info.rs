//! `sealift info PATH...`

use clap::Args;
use jiff::tz::TimeZone;
use sealift_protocol::WireError;
use sealift_protocol::message::{Description, EntryKind};
use sealift_transfer::remote;
use sealift_types::EntryPath;
use serde_json::json;

use crate::failure::{Exit, Failure};
use crate::outcome::together;
use crate::printer::Printer;
use crate::remote_path::remote_path;
use crate::session::ClientSession;
use crate::text;

/// Show what the server knows about paths
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  sealift info report.pdf\n  sealift info --json a.jpg b.jpg")]
pub(crate) struct InfoArgs {
    /// Paths on the server
    #[arg(required = true, value_parser = remote_path, value_name = "PATH")]
    paths: Vec<EntryPath>,
}

pub(crate) async fn run(
    arguments: InfoArgs,
    session: &mut ClientSession,
    printer: &mut Printer,
) -> Result<Exit, Failure> {
    let InfoArgs { paths } = arguments;
    let client = session.client()?;
    let own = client.identity().clone();
    let zone = TimeZone::system();
    let (mut failures, mut broken) = (Vec::new(), None);
    let each = |number: usize, found: Result<Description, WireError>| match found {
        Ok(description) => {
            let shown = show(&description, number > 0, &zone, printer);
            broken = broken.take().or(shown.err());
        }
        Err(error) => {
            let failure = Failure::from(error).about(&text::absolute(&paths[number], &own));
            printer.failure(&failure);
            failures.push(failure.exit);
        }
    };
    remote::info(client.connection().await?, &paths, each).await?;
    broken.map_or(Ok(together(paths.len(), &failures)), Err)
}

fn show(found: &Description, apart: bool, zone: &TimeZone, printer: &mut Printer) -> Result<(), Failure> {
    if printer.wants_json() {
        return printer.object(&json!({
            "type": "info",
            "path": found.path,
            "kind": found.kind,
            "size": found.size,
            "sha256": found.sha256,
            "mtime": text::utc(found.mtime),
            "executable": found.executable,
            "target": found.target,
            "stored_at": text::utc(found.stored_at),
            "by": found.by,
            "stored_bytes": found.stored_bytes,
        }));
    }
    let bytes = |bytes: u64| {
        if bytes < 1024 { format!("{bytes} bytes") } else { format!("{bytes} bytes ({})", text::size(bytes)) }
    };
    let kind = match found.kind {
        EntryKind::File if found.executable => "file, may be executed",
        EntryKind::File => "file",
        EntryKind::Directory => "directory",
        EntryKind::Link => "symbolic link",
        EntryKind::Space => "space",
    };
    let mut lines =
        vec![("path", printer.name(&found.path.to_string()).into_owned()), ("kind", kind.to_owned())];
    lines.extend(found.target.as_ref().map(|target| ("target", printer.name(target).into_owned())));
    lines.extend(found.size.map(|size| ("size", bytes(size))));
    lines.extend(found.sha256.map(|sha256| ("sha256", sha256.to_string())));
    lines.push(("modified", text::local_second(found.mtime, zone)));
    lines.push(("stored", text::local_second(found.stored_at, zone)));
    lines.extend(found.by.as_ref().map(|by| ("by", by.to_string())));
    lines.extend(found.stored_bytes.map(|stored| ("stored bytes", bytes(stored))));
    if apart {
        printer.line("")?;
    }
    printer.text(&text::block(&lines))
}
