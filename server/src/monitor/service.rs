//! What systemd is told, if it started the server: see sd_notify(3). Without it all of this does nothing.

use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;
use sealift_protocol::message::Direction;
use tracing::{debug, error};

use super::health;
use crate::state::ServerState;

/// How often the line that `systemctl status` shows is made anew.
const LINE: Duration = Duration::from_secs(5);

/// Clients may come.
pub fn ready() {
    tell(&[NotifyState::Ready]);
}

/// The settings are being read again; [`ready`] says when that is over.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => debug!(%error, "there is no monotonic clock"),
    }
}

/// The server stops; what is under way may end.
pub fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("Stopping: requests under way may end")]);
}

/// Tells how the server is, and that it lives, for ever. A server whose catalog does not answer says nothing, and is
/// started anew by systemd after the time that it was given.
pub async fn keep_told(state: Arc<ServerState>) {
    if std::env::var_os("NOTIFY_SOCKET").is_none() {
        return;
    }
    let watchdog = sd_notify::watchdog_enabled().map(|patience| patience / 3);
    let pause = watchdog.map_or(LINE, |pause| pause.min(LINE));
    loop {
        let line = line(&state);
        match health::catalog_answers(&state).await {
            Ok(()) if watchdog.is_some() => tell(&[NotifyState::Status(&line), NotifyState::Watchdog]),
            Ok(()) => tell(&[NotifyState::Status(&line)]),
            Err(why) => {
                error!("{why}");
                tell(&[NotifyState::Status(&why)]);
            }
        }
        tokio::time::sleep(pause).await;
    }
}

fn line(state: &ServerState) -> String {
    let (connections, transfers) = (state.sessions.count(), &state.monitor.transfers);
    let (up, down) = (transfers.count(Direction::Put), transfers.count(Direction::Get));
    format!("Serving {connections} connections, {up} uploads, {down} downloads")
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        debug!(%error, "systemd could not be told");
    }
}
