//! The measurements as Prometheus reads them (text format 0.0.4).
//!
//! `docs/monitoring.md` tells what each of them means. None names a person, a file or an address.

use std::fmt::{Display, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use sealift_protocol::message::Direction;

use super::meter::{Counter, Histogram};
use super::requests::OUTCOMES;
use super::running::ENDINGS;
use super::{HANDSHAKES, LIMITS};
use crate::state::ServerState;

/// Microseconds in a second.
const MICROSECONDS: f64 = 1e6;

/// All measurements.
pub async fn render(state: &ServerState) -> String {
    let mut page = MetricsPage::default();
    server(&mut page, state);
    memory(&mut page, state);
    requests(&mut page, state);
    transfers(&mut page, state);
    store(&mut page, state);
    if let Some(counted) = state.monitor.census.look().await {
        let stock = counted.stock;
        page.gauge("sealift_store_entries", "Files, links and directories.", stock.entries);
        page.gauge("sealift_store_contents", "Different contents.", stock.contents);
        let help = "Bytes of all files, each counted under every name that it has.";
        page.gauge("sealift_store_logical_bytes", help, stock.logical_bytes);
        page.gauge("sealift_store_unique_bytes", "Bytes of the different contents.", stock.unique_bytes);
        let help = "Bytes that hold the contents, on the disk and in the catalog.";
        page.gauge("sealift_store_stored_bytes", help, stock.stored_bytes);
        let help = "Bytes that deduplication saved: logical less unique.";
        page.gauge("sealift_store_saved_bytes", help, stock.saved_bytes());
        let help = "Uploads that can be continued, and large ones under way.";
        page.gauge("sealift_unfinished_uploads", help, stock.unfinished_uploads);
        page.gauge("sealift_catalog_bytes", "Bytes of the catalog's file.", stock.catalog_bytes);
        let help = "Bytes of the catalog's free pages, which it uses again or gives back.";
        page.gauge("sealift_catalog_free_bytes", help, stock.catalog_free_bytes);
        let help = "How long ago the store was counted.";
        page.gauge("sealift_store_counted_age_seconds", help, counted.at.elapsed().as_secs_f64());
    }
    page.0
}

fn server(page: &mut MetricsPage, state: &ServerState) {
    let monitor = &state.monitor;
    page.family("sealift_build_info", "gauge", "Which sealiftd this is.");
    page.sample("sealift_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
    page.gauge("sealift_start_time_seconds", "When the server started.", unix_time(monitor.started));
    page.gauge("sealift_connections", "Open connections of clients.", state.sessions.count());
    page.counter("sealift_connections_total", "Connections that were accepted.", &monitor.connections);
    page.family("sealift_handshakes_failed_total", "counter", "TLS handshakes that failed.");
    for (reason, count) in HANDSHAKES.iter().zip(&monitor.handshakes) {
        page.sample("sealift_handshakes_failed_total", &[("reason", reason)], count.get());
    }
    page.gauge("sealift_handshakes", "Connections without a certificate yet.", state.handshakes.count());
    let help = "Handshakes that wait for their turn at the key exchange.";
    page.gauge("sealift_handshakes_waiting", help, state.turns.waiting());
    page.family("sealift_connections_refused_total", "counter", "Clients that a limit refused.");
    for (limit, count) in LIMITS.iter().zip(&monitor.limited) {
        page.sample("sealift_connections_refused_total", &[("limit", limit)], count.get());
    }
    page.counter("sealift_machines_joined_total", "Machines that joined.", &monitor.joined);
    page.family("sealift_certificate_expiry_timestamp_seconds", "gauge", "When the certificate expires.");
    for (certificate, expires) in
        [("authority", state.pki.authority().validity()), ("server", state.pki.validity())]
    {
        let labels = [("certificate", certificate)];
        page.sample("sealift_certificate_expiry_timestamp_seconds", &labels, unix_time(expires.not_after));
    }
}

fn memory(page: &mut MetricsPage, state: &ServerState) {
    let (used, most) = state.budget.used();
    let (waits, refused) = state.budget.counts();
    page.gauge("sealift_memory_budget_bytes", "Memory for blocks and queues.", state.budget.size());
    page.gauge("sealift_memory_used_bytes", "Memory that blocks and queues hold.", used);
    page.gauge("sealift_memory_most_bytes", "The most that they ever held.", most);
    page.counter("sealift_memory_waits_total", "Waits for memory.", waits);
    page.counter("sealift_memory_refused_total", "Waits for memory that were in vain.", refused);
    page.gauge("sealift_requests_in_flight", "Requests that wait for an answer.", state.in_flight.count());
    let help = "Requests that waited until others of their identity were answered.";
    page.counter("sealift_requests_waits_total", help, state.in_flight.waits());
    let help = "Requests that waited for others of their identity in vain.";
    page.counter("sealift_requests_refused_total", help, state.in_flight.refused());
    let help = "Uploads that were refused because their identity had too many.";
    page.counter("sealift_unfinished_refused_total", help, state.unfinished.refused());
}

fn requests(page: &mut MetricsPage, state: &ServerState) {
    page.family("sealift_requests_total", "counter", "Requests that were answered.");
    for (kind, counts, _) in state.monitor.requests.kinds() {
        for (outcome, count) in OUTCOMES.iter().zip(counts) {
            page.sample("sealift_requests_total", &[("kind", kind), ("outcome", outcome)], count);
        }
    }
    let name = "sealift_request_duration_seconds";
    page.family(name, "histogram", "From a request's arrival until its answer was ready.");
    for (kind, counts, durations) in state.monitor.requests.kinds() {
        if counts.iter().sum::<u64>() > 0 {
            page.histogram(name, &[("kind", kind)], durations, MICROSECONDS);
        }
    }
}

fn transfers(page: &mut MetricsPage, state: &ServerState) {
    let transfers = &state.monitor.transfers;
    let directions = [("put", Direction::Put), ("get", Direction::Get)];
    page.family("sealift_transfers_running", "gauge", "Transfers under way.");
    for (word, direction) in directions {
        page.sample("sealift_transfers_running", &[("direction", word)], transfers.count(direction));
    }
    page.family("sealift_transfers_total", "counter", "Transfers that have ended.");
    for (word, direction) in directions {
        for (outcome, count) in ENDINGS.iter().zip(&transfers.flow(direction).ended) {
            let labels = [("direction", word), ("outcome", outcome)];
            page.sample("sealift_transfers_total", &labels, count.get());
        }
    }
    page.family("sealift_content_bytes_total", "counter", "Bytes of contents that crossed or were claimed.");
    for (word, direction) in directions {
        let crossed = transfers.flow(direction).content.get();
        page.sample("sealift_content_bytes_total", &[("direction", word)], crossed);
    }
    page.family("sealift_wire_bytes_total", "counter", "Bytes of the frames of transfers.");
    for (word, direction) in directions {
        let crossed = transfers.flow(direction).wire.get();
        page.sample("sealift_wire_bytes_total", &[("direction", word)], crossed);
    }
    let name = "sealift_transfer_duration_seconds";
    page.family(name, "histogram", "From a transfer's first byte to its end.");
    for (word, direction) in directions {
        page.histogram(name, &[("direction", word)], &transfers.flow(direction).durations, MICROSECONDS);
    }
}

fn store(page: &mut MetricsPage, state: &ServerState) {
    let (catalog, blobs) = (state.catalog.meter(), state.blobs.meter());
    let name = "sealift_catalog_commit_duration_seconds";
    page.family(name, "histogram", "Transactions of the catalog, with the sync of the disk.");
    page.histogram(name, &[], &catalog.durations, MICROSECONDS);
    let name = "sealift_catalog_commit_changes";
    page.family(name, "histogram", "Changes that shared a transaction.");
    page.histogram(name, &[], &catalog.changes, 1.0);
    let help = "Transactions that failed, with all changes in them.";
    page.counter("sealift_catalog_commits_failed_total", help, &catalog.failed);
    let slices = state.trees.meter();
    let name = "sealift_tree_slice_duration_seconds";
    page.family(name, "histogram", "Slices of changes to large trees, without their commits.");
    page.histogram(name, &[], &slices.durations, MICROSECONDS);
    let help = "The longest slice since the start.";
    page.gauge("sealift_tree_slice_longest_seconds", help, slices.longest().as_secs_f64());
    let name = "sealift_fsync_duration_seconds";
    page.family(name, "histogram", "Syncs of blobs and their directories.");
    page.histogram(name, &[], &blobs.syncs, MICROSECONDS);
    let help = "Files that the collector took away.";
    page.counter("sealift_blobs_removed_total", help, &blobs.removed);
    let reserve = state.blobs.reserve();
    if let Ok((disk, kept)) = reserve.look() {
        page.gauge("sealift_disk_free_bytes", "Bytes that can still be used.", disk.free_bytes);
        page.gauge("sealift_disk_size_bytes", "Bytes of the disk that the data is on.", disk.size_bytes);
        page.gauge("sealift_disk_reserve_bytes", "Bytes that uploads leave free.", kept.bytes);
        if let Some((free, all)) = disk.free_inodes.zip(disk.inodes) {
            page.gauge("sealift_disk_free_inodes", "Files that can still be made.", free);
            page.gauge("sealift_disk_inodes", "Files that the disk has room for.", all);
            page.gauge("sealift_disk_reserve_inodes", "Inodes that uploads leave free.", kept.inodes);
        }
    }
    let name = "sealift_disk_refused_total";
    page.family(name, "counter", "Changes that were refused because the disk was full.");
    for (short, count) in ["bytes", "inodes"].iter().zip(reserve.refused()) {
        page.sample(name, &[("short", short)], count.get());
    }
}

/// Seconds since 1970.
fn unix_time(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// The text so far. Labels come from lists in the program, so nothing in them needs an escape.
#[derive(Debug, Default)]
struct MetricsPage(String);

impl MetricsPage {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to memory does not fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        let labels: Vec<_> = labels.iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
        let _ = if labels.is_empty() {
            writeln!(self.0, "{name} {value}")
        } else {
            writeln!(self.0, "{name}{{{}}} {value}", labels.join(","))
        };
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.family(name, "gauge", help);
        self.sample(name, &[], value);
    }

    fn counter(&mut self, name: &str, help: &str, counter: &Counter) {
        self.family(name, "counter", help);
        self.sample(name, &[], counter.get());
    }

    /// `unit` is how many of what was taken make one of the unit that is shown.
    #[allow(clippy::cast_precision_loss)] // Exact up to 285 years in microseconds.
    fn histogram(&mut self, name: &str, labels: &[(&str, &str)], histogram: &Histogram, unit: f64) {
        let seen = histogram.distribution();
        let bucket = format!("{name}_bucket");
        for (bound, count) in &seen.up_to {
            let bound = (*bound as f64 / unit).to_string();
            self.sample(&bucket, &[labels, &[("le", &bound)]].concat(), count);
        }
        self.sample(&bucket, &[labels, &[("le", "+Inf")]].concat(), seen.count);
        self.sample(&format!("{name}_sum"), labels, seen.sum as f64 / unit);
        self.sample(&format!("{name}_count"), labels, seen.count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn histograms_have_the_shape_that_prometheus_reads() {
        let histogram = Histogram::new(&[1_000, 2_500_000]);
        for value in [900, 2_000_000, 9_000_000] {
            histogram.take(value);
        }
        let mut page = MetricsPage::default();
        page.histogram("x_seconds", &[("kind", "put")], &histogram, MICROSECONDS);
        let expected = "\
            x_seconds_bucket{kind=\"put\",le=\"0.001\"} 1\n\
            x_seconds_bucket{kind=\"put\",le=\"2.5\"} 2\n\
            x_seconds_bucket{kind=\"put\",le=\"+Inf\"} 3\n\
            x_seconds_sum{kind=\"put\"} 11.0009\n\
            x_seconds_count{kind=\"put\"} 3\n";
        assert_eq!(page.0, expected);
    }
}
