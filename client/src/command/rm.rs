//! `sealift rm PATH...`

use clap::Args;
use sealift_protocol::{RemotePath, WireError};
use sealift_transfer::remote;
use serde_json::json;

use crate::arguments::remote_path;
use crate::failure::{Exit, Failure};
use crate::outcome::together;
use crate::printer::Printer;
use crate::session::Session;
use crate::text;

/// Delete files and directories on the server
///
/// Directories have to be empty unless -r is given. There is no way back, unless somebody has the same content under another name.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  sealift rm report.pdf\n  sealift rm photos/a.jpg photos/b.jpg photos/\n  sealift rm -r photos"
)]
pub(crate) struct Rm {
    /// Paths on the server
    #[arg(required = true, value_parser = remote_path, value_name = "PATH")]
    paths: Vec<RemotePath>,
    /// Delete directories with all that is in them
    #[arg(long, short)]
    recursive: bool,
}

pub(crate) async fn run(
    arguments: Rm,
    session: &mut Session,
    printer: &mut Printer,
) -> Result<Exit, Failure> {
    let Rm { paths, recursive } = arguments;
    let client = session.client()?;
    let own = client.identity().clone();
    let (mut failures, mut broken) = (Vec::new(), None);
    let each = |number: usize, removed: Result<(), WireError>| {
        let path = text::absolute(&paths[number], &own);
        match removed {
            Ok(()) if printer.wants_json() => {
                let printed = printer.object(&json!({ "type": "removed", "path": path }));
                broken = broken.take().or(printed.err());
            }
            Ok(()) => {}
            Err(error) => {
                let failure = Failure::from(error).about(&path);
                printer.failure(&failure);
                failures.push(failure.exit);
            }
        }
    };
    remote::remove(client.connection().await?, &paths, recursive, each).await?;
    broken.map_or(Ok(together(paths.len(), &failures)), Err)
}
