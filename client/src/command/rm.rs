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

/// Delete files and empty directories on the server
///
/// There is no way back, unless somebody has the same content under another name.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  sealift rm report.pdf\n  sealift rm photos/a.jpg photos/b.jpg photos/")]
pub(crate) struct Rm {
    /// Paths on the server
    #[arg(required = true, value_parser = remote_path, value_name = "PATH")]
    paths: Vec<RemotePath>,
}

pub(crate) async fn run(
    arguments: Rm,
    session: &mut Session,
    printer: &mut Printer,
) -> Result<Exit, Failure> {
    let Rm { paths } = arguments;
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
    remote::remove(client.connection().await?, &paths, each).await?;
    broken.map_or(Ok(together(paths.len(), &failures)), Err)
}
