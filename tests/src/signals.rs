//! Signals as the programs under test find them.

use std::fs;
use std::sync::OnceLock;

use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Lets children start with the default action for each signal that this process inherited as ignored.
///
/// A script that starts the tests in the background, and `nohup`, have them ignore signals, and children inherit that: the
/// programs under test would rightly go on after Ctrl-C. A signal that has a handler here is reset in a child. Nobody waits
/// for these handlers, so this process itself ignores the signals as before.
pub(crate) fn reset_in_children() {
    static HANDLERS: OnceLock<(Runtime, Vec<Signal>)> = OnceLock::new();
    HANDLERS.get_or_init(|| {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let ignored = ignored();
        let within = runtime.enter();
        let kinds = [SignalKind::hangup(), SignalKind::interrupt(), SignalKind::terminate()];
        let handlers = kinds
            .into_iter()
            .filter(|kind| ignored & (1 << (kind.as_raw_value() - 1)) != 0)
            .map(|kind| signal(kind).unwrap())
            .collect();
        drop(within);
        (runtime, handlers)
    });
}

/// The signals that this process ignores, as bits from signal 1 on; none where the system does not tell (proc(5)).
fn ignored() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.map_or(0, |mask| u64::from_str_radix(mask.trim(), 16).unwrap())
}
