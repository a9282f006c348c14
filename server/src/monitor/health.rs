//! Whether the server can do its work.

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::state::State;

/// How long a look into the catalog may take. Readers wait for nobody, so this means a disk that hangs.
const PATIENCE: Duration = Duration::from_secs(5);

/// Bytes that must be free on the disk, so that those that are under way have somewhere to go.
pub const LEAST_ROOM: u64 = 64 * 1024 * 1024;

/// The disk that the data is on.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Disk {
    /// Bytes that can still be used.
    pub free_bytes: u64,
    /// Bytes in all.
    pub size_bytes: u64,
}

impl Disk {
    /// That of a path.
    pub fn of(path: &Path) -> Result<Self> {
        let facts = fs4::statvfs(path).map_err(Error::file(path))?;
        Ok(Self { free_bytes: facts.available_space(), size_bytes: facts.total_space() })
    }
}

/// Whether the catalog answers: the runtime, its threads and the disk are alive then. The writer is not asked to write,
/// since one change may rightly take long.
pub async fn catalog_answers(state: &State) -> std::result::Result<(), String> {
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
pub async fn is_ready(state: &State) -> std::result::Result<(), String> {
    if state.monitor.is_stopping() {
        return Err("the server is stopping".into());
    }
    catalog_answers(state).await?;
    match Disk::of(&state.config().data) {
        Ok(disk) if disk.free_bytes >= LEAST_ROOM => Ok(()),
        Ok(disk) => Err(format!("the disk is full: {} bytes are left, make room", disk.free_bytes)),
        Err(error) => Err(error.to_string()),
    }
}
