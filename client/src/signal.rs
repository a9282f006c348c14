//! Being told to stop: what was begun is dropped, and with it temporary files.

use crate::failure::{Exit, Failure};

/// Waits until the user or the system wants the program to end.
#[cfg(unix)]
pub(crate) async fn interrupted() -> Failure {
    use tokio::signal::unix::{SignalKind, signal};
    let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
    let [Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)] = kinds.map(signal) else {
        // Without handlers the system ends the program itself.
        return std::future::pending().await;
    };
    let exit = tokio::select! {
        _ = interrupt.recv() => Exit::Interrupted,
        _ = terminate.recv() => Exit::Terminated,
        _ = hangup.recv() => Exit::HungUp,
    };
    stopped(exit)
}

/// Waits until the user wants the program to end.
#[cfg(not(unix))]
pub(crate) async fn interrupted() -> Failure {
    match tokio::signal::ctrl_c().await {
        Ok(()) => stopped(Exit::Interrupted),
        Err(_) => std::future::pending().await,
    }
}

fn stopped(exit: Exit) -> Failure {
    Failure::new(exit, "interrupted", "interrupted: what was not complete was not kept")
        .hint("run the same command again to do the rest")
}
