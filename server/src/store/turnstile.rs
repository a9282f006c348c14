//! Lets other processes write to the catalog beside a busy server.
//!
//! SQLite has no queue: whoever finds the catalog locked looks again later. A server that commits one group after the
//! other leaves it free for microseconds, so `sealiftd revoke` could look in vain for ever. So a process that is about to
//! write says so by a lock on a file, and the server's writer lets it go first.

use std::cell::Cell;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::data::inherit_owner;

/// How long the writer waits for another process in all. One that takes longer has hung.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long it waits before one group: then those who wait for the group come first, and the other process finds the catalog
/// free before the next one.
const PAUSE: Duration = Duration::from_millis(100);

/// How long either side waits before it looks again.
const LOOK: Duration = Duration::from_millis(1);

/// The server's side.
#[derive(Debug)]
pub(super) struct Turnstile {
    file: Option<File>,
    /// How long the process has been waited for that has the lock. After [`PATIENCE`] it is waited for no more until it lets
    /// go.
    waited: Cell<Duration>,
}

/// The other side: keeps the server's writer from beginning another group while it lives.
#[derive(Debug)]
pub struct Passage(#[allow(dead_code)] File);

/// Asks the server that has this catalog open to let this process write. `None` if no server ever had it open.
pub fn pass(catalog: &Path) -> Option<Passage> {
    // Not made here: it has to belong to the server's user.
    let file = File::open(path(catalog)).ok()?;
    let begun = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Some(Passage(file)),
            Err(TryLockError::WouldBlock) if begun.elapsed() < PATIENCE => std::thread::sleep(LOOK),
            // The one before has hung. This one has to be lucky.
            Err(_) => return None,
        }
    }
}

fn path(catalog: &Path) -> PathBuf {
    let mut path = catalog.as_os_str().to_owned();
    path.push(".turn");
    path.into()
}

impl Turnstile {
    /// The one beside a catalog. Without the file others have to be lucky, which is no reason not to serve.
    pub(super) fn open(catalog: &Path) -> Self {
        let path = path(catalog);
        let made = File::options().create(true).truncate(false).write(true).open(&path);
        let made = made.and_then(|file| inherit_owner(&path).map(|()| file));
        // It may be another user's, if an earlier version made it as root.
        let file = made.or_else(|_| File::open(&path)).ok();
        Self { file, waited: Cell::default() }
    }

    /// Waits until no other process wants to write, or those who wait for the next group have waited for long enough.
    pub(super) fn let_others_pass(&self) {
        let Some(file) = &self.file else { return };
        let pause = PATIENCE.saturating_sub(self.waited.get()).min(PAUSE);
        let begun = Instant::now();
        loop {
            match file.try_lock_shared() {
                Ok(()) => {
                    let _ = file.unlock();
                    return self.waited.set(Duration::ZERO);
                }
                Err(TryLockError::WouldBlock) if begun.elapsed() < pause => std::thread::sleep(LOOK),
                Err(TryLockError::WouldBlock) => return self.waited.set(self.waited.get() + pause),
                Err(TryLockError::Error(_)) => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_wants_to_write_is_let_pass_unless_it_hangs() {
        let dir = tempfile::tempdir().unwrap();
        let catalog = dir.path().join("catalog.db");
        assert!(pass(&catalog).is_none(), "no server, no need");
        let turnstile = Turnstile::open(&catalog);
        turnstile.let_others_pass();
        let passage = pass(&catalog).unwrap();
        let waited = std::thread::scope(|scope| {
            let turnstile = Turnstile::open(&catalog);
            let waiting = scope.spawn(move || {
                while turnstile.waited.get() < PATIENCE {
                    turnstile.let_others_pass();
                    if turnstile.waited.get().is_zero() {
                        return true;
                    }
                }
                false
            });
            drop(passage);
            waiting.join().unwrap()
        });
        assert!(waited);
        let hung = pass(&catalog).unwrap();
        let mut groups = 0;
        while turnstile.waited.get() < PATIENCE {
            turnstile.let_others_pass();
            groups += 1;
        }
        // Nobody waits longer than this for a group.
        assert_eq!(groups, PATIENCE.as_millis() / PAUSE.as_millis());
        turnstile.let_others_pass();
        assert_eq!(turnstile.waited.get(), PATIENCE);
        drop(hung);
        turnstile.let_others_pass();
        assert!(turnstile.waited.get().is_zero());
    }
}
