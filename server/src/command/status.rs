//! `sealiftd status`

use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use clap::Args;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use rusqlite::Connection;
use sealift_certs::{certificate_from_pem, validity};
use sealift_protocol::message::Direction;
use serde_json::{Map, Value, json};

use super::common::CommonArgs;
use crate::clock;
use crate::data::DataDirectory;
use crate::monitor::census::StoreCounts;
use crate::monitor::control;
use crate::monitor::health::DiskUsage;
use crate::store::identities;

/// Between the two looks that tell how fast transfers are.
const LOOK: Duration = Duration::from_millis(500);

/// Certificates that end within this time, although they should have been renewed, are named.
const SOON: Duration = Duration::from_secs(14 * 86400);

/// Shows how the server is: connections, transfers and how fast they are, what the store holds, what deduplication
/// saved, how much room is left, and which certificates expire soon.
///
/// Exit code 3 says that no server runs; what its catalog knows is shown all the same.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  sealiftd status\n  sealiftd status --json | jq .store.stored_bytes")]
pub(super) struct StatusArgs {
    #[command(flatten)]
    common: CommonArgs,
    /// One JSON object.
    #[arg(long)]
    json: bool,
}

/// There is no server to ask.
#[derive(Debug, thiserror::Error)]
#[error("no server uses {}: `systemctl start sealiftd` or `sealiftd serve` starts one", .0.display())]
pub(super) struct NotRunning(PathBuf);

/// What is shown.
struct View {
    running: Option<control::ServerStatus>,
    /// Bytes per second, by the numbers of the transfers.
    rates: HashMap<u64, f64>,
    store: Option<StoreCounts>,
    disk: Option<DiskUsage>,
    authority_expires: u64,
    server_expires: u64,
    /// Who has a certificate that ends soon, and when.
    ending: Vec<(String, u64)>,
}

impl StatusArgs {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let (_, data, connection) = self.common.open()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let view = runtime.block_on(View::of(&data, &connection))?;
        let mut out = std::io::stdout().lock();
        if self.json {
            writeln!(out, "{}", view.to_json()?)?;
        } else {
            view.print(&mut out)?;
        }
        match view.running {
            Some(_) => Ok(()),
            None => Err(NotRunning(data.path().to_owned()).into()),
        }
    }
}

impl View {
    async fn of(data: &DataDirectory, connection: &Connection) -> anyhow::Result<Self> {
        let socket = control::path(data.path());
        let ask = || async { control::ask(data.path()).await.with_context(|| socket.display().to_string()) };
        let mut running = ask().await?;
        let mut rates = HashMap::new();
        if let Some(first) = running.as_ref().filter(|status| !status.transfers.is_empty()) {
            let begun = Instant::now();
            tokio::time::sleep(LOOK).await;
            if let Some(second) = ask().await? {
                rates = rates_between(first, &second, begun.elapsed());
                running = Some(second);
            }
        }
        let ending = ending(connection)?;
        if let Some(status) = running {
            let (store, disk) = (status.store, status.disk);
            let (authority_expires, server_expires) = (status.authority_expires, status.server_expires);
            let running = Some(status);
            return Ok(Self { running, rates, store, disk, authority_expires, server_expires, ending });
        }
        Ok(Self {
            running,
            rates,
            store: Some(StoreCounts::count(connection)?),
            disk: DiskUsage::of(data.path()).ok(),
            authority_expires: expiry(data, "ca.pem")?,
            // Made at the first start.
            server_expires: expiry(data, "server.pem").unwrap_or(0),
            ending,
        })
    }

    fn to_json(&self) -> anyhow::Result<Value> {
        let mut fields = match &self.running {
            Some(status) => serde_json::to_value(status)?.as_object().cloned().unwrap_or_default(),
            None => Map::new(),
        };
        for transfer in fields.get_mut("transfers").and_then(Value::as_array_mut).into_iter().flatten() {
            let rate = transfer["number"].as_u64().and_then(|number| self.rates.get(&number));
            transfer["bytes_per_second"] = json!(rate);
        }
        let mut store = serde_json::to_value(self.store)?;
        if let Some(stock) = &self.store {
            store["saved_bytes"] = json!(stock.saved_bytes());
        }
        let ending: Vec<_> =
            self.ending.iter().map(|(name, expires)| json!({ "name": name, "expires": expires })).collect();
        fields.insert("running".into(), json!(self.running.is_some()));
        fields.insert("store".into(), store);
        fields.insert("disk".into(), json!(self.disk));
        fields.insert("authority_expires".into(), json!(self.authority_expires));
        fields.insert("server_expires".into(), json!(self.server_expires));
        fields.insert("identities_expiring".into(), json!(ending));
        Ok(Value::Object(fields))
    }

    fn print(&self, out: &mut impl Write) -> std::io::Result<()> {
        match &self.running {
            Some(status) => self.print_running(status, out)?,
            None => writeln!(out, "server        not running")?,
        }
        match &self.store {
            Some(stock) => {
                let StoreCounts { entries, contents, logical_bytes, stored_bytes, .. } = *stock;
                writeln!(out, "store         {entries} entries, {contents} contents")?;
                writeln!(
                    out,
                    "              {} in files, {} on disk, {} saved by deduplication",
                    size(logical_bytes),
                    size(stored_bytes),
                    size(stock.saved_bytes())
                )?;
                let (all, free) = (stock.catalog_bytes, stock.catalog_free_bytes);
                writeln!(out, "catalog       {}, {} of it free pages", size(all), size(free))?;
                writeln!(out, "unfinished    {} uploads", stock.unfinished_uploads)?;
            }
            None => writeln!(out, "store         is being counted: ask again in a moment")?,
        }
        if let Some(disk) = &self.disk {
            writeln!(out, "disk          {}", full(disk))?;
        }
        let server = if self.server_expires == 0 { "not made yet".into() } else { day(self.server_expires) };
        writeln!(
            out,
            "certificates  authority until {}, server until {server}",
            day(self.authority_expires)
        )?;
        for (name, expires) in &self.ending {
            writeln!(out, "              {name} until {}: `sealift renew` there renews it", day(*expires))?;
        }
        Ok(())
    }

    fn print_running(&self, status: &control::ServerStatus, out: &mut impl Write) -> std::io::Result<()> {
        let state = if status.stopping { "stopping" } else { "running" };
        writeln!(out, "server        {}, {state} for {}", status.server, time(status.uptime_seconds))?;
        if let Some(address) = &status.address {
            writeln!(out, "address       {address}")?;
        }
        if let Some(metrics) = &status.metrics {
            writeln!(out, "metrics       http://{metrics}/metrics")?;
        }
        if let Some(trouble) = &status.trouble {
            writeln!(out, "trouble       {trouble}")?;
        }
        writeln!(out, "connections   {}", status.connections)?;
        writeln!(out, "transfers     {} uploads, {} downloads", status.uploads, status.downloads)?;
        for transfer in &status.transfers {
            let way = if transfer.direction == Direction::Put { "put" } else { "get" };
            let whole = transfer.size.map_or_else(|| String::from("?"), size);
            let rate = self.rates.get(&transfer.number);
            let rate = rate.map_or_else(String::new, |rate| format!(", {}/s", size(whole_number(*rate))));
            writeln!(
                out,
                "              {way} {} by {} from {}: {} of {whole}{rate}",
                transfer.path,
                transfer.identity,
                transfer.address,
                size(transfer.bytes)
            )?;
        }
        Ok(())
    }
}

/// How full a disk is: bytes, and files where their number has a limit.
fn full(disk: &DiskUsage) -> String {
    let percent = |free: u64, all: u64| (free.saturating_mul(100)).checked_div(all).unwrap_or(0);
    let DiskUsage { free_bytes, size_bytes, .. } = *disk;
    let share = percent(free_bytes, size_bytes);
    let bytes = format!("{} left of {} ({share} %)", size(free_bytes), size(size_bytes));
    match disk.free_inodes.zip(disk.inodes) {
        Some((free, all)) => format!("{bytes}, {free} inodes left of {all} ({} %)", percent(free, all)),
        None => bytes,
    }
}

/// How fast the transfers are that are in both.
fn rates_between(
    first: &control::ServerStatus,
    second: &control::ServerStatus,
    passed: Duration,
) -> HashMap<u64, f64> {
    let before: HashMap<_, _> =
        first.transfers.iter().map(|transfer| (transfer.number, transfer.bytes)).collect();
    let rate = |transfer: &crate::monitor::running::TransferView| {
        let moved = transfer.bytes.saturating_sub(*before.get(&transfer.number)?);
        #[allow(clippy::cast_precision_loss)] // A rate is not exact anyway.
        Some((transfer.number, moved as f64 / passed.as_secs_f64()))
    };
    second.transfers.iter().filter_map(rate).collect()
}

/// Identities whose last certificate ends soon.
fn ending(connection: &Connection) -> anyhow::Result<Vec<(String, u64)>> {
    let now = SystemTime::now();
    let soon = clock::nanoseconds(now + SOON);
    let rows = identities::all(connection, clock::nanoseconds(now))?;
    let ends = |row: identities::IdentityRow| {
        let expires = row.expires_at.filter(|expires| *expires < soon && row.revoked_at.is_none())?;
        Some((row.name.to_string(), seconds(clock::system_time(expires))))
    };
    Ok(rows.into_iter().filter_map(ends).collect())
}

/// When a certificate of the PKI expires, in seconds since 1970.
fn expiry(data: &DataDirectory, name: &str) -> anyhow::Result<u64> {
    let path = data.pki(name);
    let pem = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    Ok(seconds(validity(&certificate_from_pem(&pem).with_context(|| path.display().to_string())?)?.not_after))
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // The cast saturates.
fn whole_number(number: f64) -> u64 {
    number as u64
}

fn day(seconds: u64) -> String {
    i64::try_from(seconds)
        .ok()
        .and_then(|seconds| Timestamp::from_second(seconds).ok())
        .map(|moment| TimeZone::system().to_datetime(moment).strftime("%Y-%m-%d").to_string())
        .unwrap_or_default()
}

/// A time as people say it: its two largest units.
fn time(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, ..) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

/// Bytes as people read them.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    let (mut value, mut unit) = (bytes, None);
    for name in UNITS {
        if value < 10 * 1024 {
            break;
        }
        (value, unit) = (value / 1024, Some(name));
    }
    format!("{value} {}", unit.unwrap_or("bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_are_short() {
        assert_eq!([5, 65, 7265, 183_600].map(time), ["5 s", "1 min 5 s", "2 h 1 min", "2 d 3 h"]);
        assert_eq!([9, 20 << 10, 20 << 30].map(size), ["9 bytes", "20 KiB", "20 GiB"]);
    }
}
