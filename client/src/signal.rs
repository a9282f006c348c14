//! Being told to stop: what was begun is dropped, and with it temporary files.

#[cfg(unix)]
use std::task::Poll;

use crate::failure::{Exit, Failure};

/// The signals that end the program in order. Those that whoever started it has it ignore, as `nohup` does, stay ignored.
#[cfg(unix)]
#[derive(Debug)]
pub(crate) struct EndSignals(Vec<(tokio::signal::unix::Signal, Exit)>);

#[cfg(unix)]
impl EndSignals {
    /// Takes the signals over; from here on they are not lost. Belongs into a runtime.
    pub(crate) fn new() -> Self {
        use tokio::signal::unix::{SignalKind, signal};
        let ignored = ignored();
        let kinds = [
            (SignalKind::interrupt(), Exit::Interrupted),
            (SignalKind::terminate(), Exit::Terminated),
            (SignalKind::hangup(), Exit::HungUp),
        ];
        // Without a handler the system ends the program itself.
        let taken = kinds
            .into_iter()
            .filter(|(kind, _)| ignored & (1 << (kind.as_raw_value() - 1)) == 0)
            .filter_map(|(kind, exit)| Some((signal(kind).ok()?, exit)));
        Self(taken.collect())
    }

    /// Waits until the user or the system wants the program to end.
    pub(crate) async fn received(mut self) -> Failure {
        std::future::poll_fn(|context| {
            let received = |(signal, exit): &mut (tokio::signal::unix::Signal, Exit)| {
                signal.poll_recv(context).is_ready().then_some(*exit)
            };
            self.0.iter_mut().find_map(received).map_or(Poll::Pending, |exit| Poll::Ready(stopped(exit)))
        })
        .await
    }
}

/// The signals that this program was started to ignore, as bits from signal 1 on, where the system tells (proc(5)).
#[cfg(unix)]
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

/// Ctrl-C, which is all there is here.
#[cfg(not(unix))]
#[derive(Debug)]
pub(crate) struct EndSignals;

#[cfg(not(unix))]
impl EndSignals {
    /// Belongs into a runtime.
    pub(crate) fn new() -> Self {
        Self
    }

    /// Waits until the user wants the program to end.
    pub(crate) async fn received(self) -> Failure {
        match tokio::signal::ctrl_c().await {
            Ok(()) => stopped(Exit::Interrupted),
            Err(_) => std::future::pending().await,
        }
    }
}

fn stopped(exit: Exit) -> Failure {
    Failure::new(exit, "interrupted", "interrupted")
}
