//! `sealift log`

use std::time::Duration;

use clap::{Args, ValueEnum};
use jiff::tz::TimeZone;
use sealift_protocol::message::{self, Transfer};
use sealift_transfer::remote::{self, LogFilter};
use sealift_types::EntryPath;
use serde_json::json;

use crate::failure::{Exit, Failure, code_text};
use crate::printer::Printer;
use crate::remote_path::remote_path;
use crate::session::ClientSession;
use crate::text;

/// Show the transfer log, newest first
///
/// Every transfer is in it, whether it succeeded or not: when, who, which way, how much, how long, from where, what.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  sealift log\n  sealift log --failed --limit 0\n  \
    sealift log --direction put docs/\n  sealift log --json --limit 1000")]
pub(crate) struct LogArgs {
    /// Only this path, or what is below it
    #[arg(value_parser = remote_path)]
    path: Option<EntryPath>,
    /// The most transfers to show; 0 for all
    #[arg(long, short = 'n', default_value_t = 20, value_name = "N")]
    limit: u64,
    /// Only this direction
    #[arg(long, value_enum)]
    direction: Option<DirectionFilter>,
    /// Only what failed
    #[arg(long)]
    failed: bool,
    /// Also files that were only shown, as the desktop client does when one is selected
    #[arg(long)]
    previews: bool,
}

/// Which way a transfer went.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum DirectionFilter {
    /// To the server
    Put,
    /// From the server
    Get,
}

pub(crate) async fn run(
    arguments: LogArgs,
    session: &mut ClientSession,
    printer: &mut Printer,
) -> Result<Exit, Failure> {
    let LogArgs { path, limit, direction, failed, previews } = arguments;
    let direction = direction.map(|direction| match direction {
        DirectionFilter::Put => message::Direction::Put,
        DirectionFilter::Get => message::Direction::Get,
    });
    let filter = LogFilter { limit: (limit > 0).then_some(limit), direction, failed, previews, path };
    let zone = TimeZone::system();
    let connection = session.client()?.connection().await?;
    let mut log = remote::log(connection, filter);
    let mut table = Table::default();
    while let Some(transfers) = log.page().await? {
        if printer.wants_json() {
            for transfer in &transfers {
                printer.object(&object(transfer))?;
            }
        } else {
            table.show(&transfers, &zone, printer)?;
        }
        printer.flush()?;
    }
    Ok(Exit::Done)
}

fn object(transfer: &Transfer) -> serde_json::Value {
    json!({
        "type": "transfer",
        "id": transfer.id,
        "started": text::utc(transfer.started),
        "seconds": Duration::from_micros(transfer.duration_us).as_secs_f64(),
        "identity": transfer.identity,
        "address": transfer.address,
        "direction": way(transfer),
        "path": transfer.path,
        "bytes": transfer.bytes,
        "wire_bytes": transfer.wire_bytes,
        "sha256": transfer.sha256,
        "error": transfer.error.map(code_text),
    })
}

/// Columns that grow as the log needs it; the last one needs no width.
#[derive(Default)]
struct Table {
    widths: [usize; 7],
}

const TITLES: [&str; 8] = ["TIME", "WHO", "WAY", "BYTES", "ON WIRE", "TOOK", "FROM", "RESULT AND PATH"];

impl Table {
    fn show(
        &mut self,
        transfers: &[Transfer],
        zone: &TimeZone,
        printer: &mut Printer,
    ) -> Result<(), Failure> {
        let first = self.widths == [0; 7];
        let titles = TITLES.map(str::to_owned);
        let rows = transfers.iter().map(|transfer| row(transfer, zone, printer));
        let rows: Vec<_> = first.then_some(titles).into_iter().chain(rows).collect();
        for row in &rows {
            for (width, cell) in self.widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        for row in rows {
            let [time, who, way, bytes, wire, took, from] = self.widths;
            let [time_cell, who_cell, way_cell, bytes_cell, wire_cell, took_cell, from_cell, path] = row;
            printer.line(&format!(
                "{time_cell:time$}  {who_cell:who$}  {way_cell:way$}  {bytes_cell:>bytes$}  {wire_cell:>wire$}  \
                 {took_cell:>took$}  {from_cell:from$}  {path}"
            ))?;
        }
        Ok(())
    }
}

/// The word for which way it went.
fn way(transfer: &Transfer) -> &'static str {
    match transfer.direction {
        message::Direction::Put => "put",
        message::Direction::Get if transfer.preview => "preview",
        message::Direction::Get => "get",
    }
}

fn row(transfer: &Transfer, zone: &TimeZone, printer: &Printer) -> [String; 8] {
    let path = transfer.path.to_string();
    let path = printer.name(&path);
    [
        text::local_minute(transfer.started, zone),
        transfer.identity.to_string(),
        way(transfer).to_owned(),
        text::size(transfer.bytes),
        text::size(transfer.wire_bytes),
        text::duration(Duration::from_micros(transfer.duration_us)),
        printer.name(&transfer.address).into_owned(),
        match transfer.error {
            None => format!("ok {path}"),
            Some(error) => format!("{} {path}", code_text(error)),
        },
    ]
}
