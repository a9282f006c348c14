//! Output that cannot be read back, such as standard output, over as many connections as it takes.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sealift_pipeline::{ByteObserver, WriteStage};
use sealift_types::{Digest, Hasher};
use tokio::task::spawn_blocking;

/// An output and what it has taken. Clones share it.
#[derive(Clone)]
pub(crate) struct StreamOutput(Arc<Mutex<OutputState>>);

struct OutputState {
    writer: Box<dyn Write + Send>,
    /// Has seen what was written.
    hasher: Hasher,
    written: u64,
}

/// Hashes, and goes on hashing after the end of an attempt.
struct ResumableHasher(Hasher);

impl ByteObserver for ResumableHasher {
    type Outcome = Hasher;

    fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(self) -> Hasher {
        self.0
    }
}

impl StreamOutput {
    pub(super) fn new(writer: Box<dyn Write + Send>) -> Self {
        Self(Arc::new(Mutex::new(OutputState { writer, hasher: Hasher::new(), written: 0 })))
    }

    /// Bytes that were written. Blocks while more are.
    pub(super) fn written(&self) -> u64 {
        self.flow().written
    }

    /// Waits until what came last is written, however long whoever reads it takes.
    pub(super) async fn idle(&self) {
        let outlet = self.clone();
        // A thread that panicked is idle, too.
        let _ = spawn_blocking(move || drop(outlet.flow())).await;
    }

    /// Writes what comes, which begins at `offset`. Returns the size and the digest of all that was written. Blocks.
    pub(super) fn drain(&self, offset: u64, drainer: WriteStage) -> io::Result<(u64, Digest)> {
        let mut flow = self.flow();
        let OutputState { writer, hasher, written } = &mut *flow;
        if *written != offset {
            return Err(io::Error::other("what comes does not follow what was written"));
        }
        let (count, seen) = drainer.run_beside(writer, ResumableHasher(hasher.clone()))?;
        *written += count;
        hasher.clone_from(&seen);
        Ok((*written, seen.finish()))
    }

    /// Writes all of a content. Blocks.
    pub(super) fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let mut flow = self.flow();
        flow.writer.write_all(bytes)?;
        flow.writer.flush()?;
        flow.written += bytes.len() as u64;
        Ok(())
    }

    fn flow(&self) -> MutexGuard<'_, OutputState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for StreamOutput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Outlet")
    }
}
