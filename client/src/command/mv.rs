//! `sealift mv FROM TO`

use clap::Args;
use sealift_protocol::message::Transplant;
use sealift_transfer::remote;
use sealift_types::EntryPath;
use serde_json::json;

use crate::failure::{Exit, Failure};
use crate::printer::Printer;
use crate::remote_path::remote_path;
use crate::session::ClientSession;
use crate::text;

/// Move or rename a file or a directory on the server
///
/// Nothing is transferred. An existing directory as TO receives FROM under its old name; an existing file is replaced.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  sealift mv draft.pdf report.pdf\n  sealift mv report.pdf /team/reports/"
)]
pub(crate) struct MvArgs {
    /// What to move
    #[arg(value_parser = remote_path)]
    from: EntryPath,
    /// Its new path, or the directory to move it to
    #[arg(value_parser = remote_path)]
    to: EntryPath,
    /// Replace nothing: fail if the new path is taken
    #[arg(long, short = 'n')]
    no_clobber: bool,
}

pub(crate) async fn run(
    arguments: MvArgs,
    session: &mut ClientSession,
    printer: &mut Printer,
) -> Result<Exit, Failure> {
    let MvArgs { from, to, no_clobber } = arguments;
    let client = session.client()?;
    let own = client.identity().clone();
    let paths = Transplant { if_absent: no_clobber, ..Transplant::new(from.clone(), to) };
    let to = remote::rename(client.connection().await?, paths).await?;
    if printer.wants_json() {
        let from = text::absolute(&from, &own);
        printer.object(&json!({ "type": "moved", "from": from, "to": to }))?;
    }
    Ok(Exit::Done)
}
