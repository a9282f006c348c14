//! Revocations that other processes make while the server runs.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::OptionalExtension;
use tracing::error;

use crate::audit;
use crate::error::{Result, ServerError};
use crate::state::ServerState;
use crate::store::catalog::WriterLine;
use crate::store::certificates::{self};
use crate::store::{gc, identities, schema};

/// How often a server that changes nothing looks whether the list of revocations has grown.
const LIST: Duration = Duration::from_secs(1);

/// How often the catalog is asked whether another process has changed it.
const WATCH: Duration = Duration::from_millis(100);

/// Takes notice of what the server of which this is a copy revokes: it writes that beside the copy's authority.
pub(super) async fn follow_list(state: Arc<ServerState>) {
    let mut known = None;
    loop {
        tokio::time::sleep(LIST).await;
        let read = state.pki.revocations().map_err(ServerError::from);
        let followed = async {
            let list = read?;
            if known.as_ref() != Some(&list) {
                let applied = list.clone();
                state
                    .catalog
                    .within(WriterLine::Server)
                    .write(move |connection| certificates::apply(connection, &applied, true))
                    .await?;
                known = Some(list);
            }
            Ok::<_, ServerError>(())
        };
        if let Err(error) = followed.await {
            error!(%error, "the list of revocations could not be followed");
        }
    }
}

/// Ends the connections of certificates that another process revokes.
pub(super) async fn watch_revocations(state: Arc<ServerState>) {
    let watch = || -> rusqlite::Result<rusqlite::Connection> { schema::open_reader(state.catalog.path()) };
    let connection = match watch() {
        Ok(connection) => connection,
        Err(error) => {
            return error!(%error, "revocations cannot be watched: they take effect at the next request");
        }
    };
    let (mut version, mut known) = (None, 0);
    loop {
        // A look at the shared memory of the catalog, no system call and no lock.
        let now = connection
            .pragma_query_value(None, "data_version", |row| row.get::<_, i64>(0))
            .optional()
            .ok()
            .flatten();
        if now != version || now.is_none() {
            version = now;
            if gc::is_asked_for(&connection) {
                state.garbage.notify_one();
            }
            // By number, not by time: clocks are set back. A certificate that is revoked stays revoked.
            match identities::count_revoked(&connection) {
                Ok(revoked) if revoked == known => {}
                Ok(revoked) => {
                    // On an error the next look tries again.
                    match state.sessions.revoke_where(|print| identities::is_revoked(&connection, print)) {
                        Ok(()) => {
                            known = revoked;
                            // The catalog has forgotten what their uploads left.
                            state.garbage.notify_one();
                        }
                        Err(error) => {
                            version = None;
                            error!(%error, "a revocation could not be read");
                        }
                    }
                }
                Err(error) => error!(%error, "revocations could not be read"),
            }
            // After the connections were ended: this waits for the catalog's writer.
            let left = audit::left(&connection);
            if let Err(error) = log_commands(&state, left).await {
                error!(%error, "what a command did could not be written to the log");
            }
        }
        tokio::time::sleep(WATCH).await;
    }
}

/// Writes to the log what commands beside the server have done.
async fn log_commands(state: &Arc<ServerState>, left: Result<(i64, Vec<(String, String)>)>) -> Result<()> {
    let (last, lines) = left?;
    if lines.is_empty() {
        return Ok(());
    }
    for (action, subject) in lines {
        audit::log_command(&action, &subject);
    }
    let catalog = state.catalog.within(WriterLine::Server);
    catalog.write(move |connection| audit::forget(connection, last)).await
}
