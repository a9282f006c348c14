//! Whether the server can do its work.

use std::time::Duration;

use crate::state::ServerState;
pub use crate::store::disk::DiskUsage;

/// How long a look into the catalog may take. Readers wait for nobody, so this means a disk that hangs.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whether the catalog answers: the runtime, its threads and the disk are alive then. The writer is not asked to write,
/// since one change may rightly take long.
pub async fn catalog_answers(state: &ServerState) -> std::result::Result<(), String> {
    let look = state.catalog.read(|connection| {
        Ok(connection.prepare_cached("SELECT count(*) FROM facts")?.query_row([], |_| Ok(()))?)
    });
    match tokio::time::timeout(PATIENCE, look).await {
        Ok(Ok(())) if state.catalog.can_write() => Ok(()),
        Ok(Ok(())) => Err("the catalog's writer has ended: restart the server".into()),
        Ok(Err(error)) => Err(format!("the catalog cannot be read: {error}")),
        Err(_) => Err("the catalog does not answer: is the disk all right?".into()),
    }
}

/// Whether clients are served; the error says in one sentence why not.
pub async fn is_ready(state: &ServerState) -> std::result::Result<(), String> {
    if state.monitor.is_stopping() {
        return Err("the server is stopping".into());
    }
    catalog_answers(state).await?;
    state.blobs.reserve().has_room()
}
