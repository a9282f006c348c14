//! What is done to trees in the background: deleted ones are reclaimed, moved ones get their space.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::{Notify, Semaphore, SemaphorePermit};
use tracing::{debug, error};

use super::Catalog;
use super::catalog::{self, ChangeHeld};
use super::entries::unlinked::{self, CopiesInProgress, SpaceRelabelling};
use super::entries::{FEW, WorkSlice};
use crate::error::{Result, ServerError};
use crate::monitor::meter::Histogram;

/// How long it is waited after a failure, such as a full disk.
const AGAIN: Duration = Duration::from_secs(10);

/// The slices in which trees are reclaimed after the disk was found full.
const SMALL_SLICE: fn() -> WorkSlice = || WorkSlice::of(FEW);

/// Work on large trees. Clones share it.
///
/// Of all slices of all trees, one at a time waits for the writer, and whoever waits for a turn gets it in order. So
/// other changes wait for one slice at most, however many trees are worked on.
#[derive(Debug, Clone, Default)]
pub struct TreeUpkeep {
    building: CopiesInProgress,
    shared: Arc<UpkeepShared>,
}

#[derive(Debug)]
struct UpkeepShared {
    meter: SliceMeter,
    turn: Semaphore,
    /// Says that there may be something to do in the background.
    work: Notify,
}

impl Default for UpkeepShared {
    fn default() -> Self {
        Self { meter: SliceMeter::default(), turn: Semaphore::new(1), work: Notify::new() }
    }
}

/// What slices cost the writer, without their commits.
#[derive(Debug)]
pub struct SliceMeter {
    /// How long they took.
    pub durations: Histogram,
    /// The longest, in microseconds.
    longest: AtomicU64,
}

impl Default for SliceMeter {
    fn default() -> Self {
        Self { durations: Histogram::of_durations(), longest: AtomicU64::new(0) }
    }
}

impl SliceMeter {
    /// The longest of them.
    pub fn longest(&self) -> Duration {
        Duration::from_micros(self.longest.load(Ordering::Relaxed))
    }

    fn note(&self, took: Duration) {
        self.durations.time(took);
        self.longest.fetch_max(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

/// What the writer holds for a slice. A slice validates everything before its first write, so it needs no savepoint,
/// which would copy each page that it changes.
#[derive(Debug)]
struct SliceContext;

impl ChangeHeld for SliceContext {
    /// The few changes that have come by then share its transaction, no more.
    fn weight(&self) -> usize {
        catalog::WEIGHT
    }

    fn checks_first(&self) -> bool {
        true
    }
}

impl TreeUpkeep {
    /// The copies in the making.
    pub fn building(&self) -> &CopiesInProgress {
        &self.building
    }

    /// What slices have cost so far.
    pub fn meter(&self) -> &SliceMeter {
        &self.shared.meter
    }

    /// Wakes the background work.
    pub fn wake(&self) {
        self.shared.work.notify_one();
    }

    /// Makes a slice of a change and waits until it is durable. `work` must not fail after its first write.
    pub async fn slice<T: Send + 'static>(
        &self,
        catalog: &Catalog,
        work: impl FnOnce(&Connection, &mut WorkSlice) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.slice_of(catalog, WorkSlice::default, work).await
    }

    /// The same with another size of the slice.
    async fn slice_of<T: Send + 'static>(
        &self,
        catalog: &Catalog,
        size: fn() -> WorkSlice,
        work: impl FnOnce(&Connection, &mut WorkSlice) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let _turn: SemaphorePermit<'_> =
            self.shared.turn.acquire().await.map_err(|_| ServerError::Stopped)?;
        let shared = self.shared.clone();
        let work = move |connection: &Connection, _: &SliceContext| {
            let begun = Instant::now();
            let made = work(connection, &mut size());
            shared.meter.note(begun.elapsed());
            made
        };
        catalog.submit_holding(SliceContext, work, |_, _, _| Ok(())).await.wait().await
    }

    /// Works in the background until it is dropped. `garbage` is told when contents have lost names.
    pub async fn run(self, catalog: Catalog, garbage: Arc<Notify>) {
        loop {
            match self.settle(&catalog).await {
                Ok(false) => self.shared.work.notified().await,
                Ok(true) => garbage.notify_one(),
                Err(error) => {
                    error!(%error, "work on large trees has failed and is tried again");
                    tokio::time::sleep(AGAIN).await;
                }
            }
        }
    }

    /// Does all background work that there is now. Returns whether there was any.
    pub async fn settle(&self, catalog: &Catalog) -> Result<bool> {
        let (mut slices, mut disk_was_full) = (0, false);
        let building = self.building.clone();
        // Looked at beforehand, so that nothing is written for nothing.
        while catalog
            .read({
                let building = building.clone();
                move |connection| Ok(unlinked::doomed(connection, &building)?.is_some())
            })
            .await?
        {
            let building = building.clone();
            slices += 1;
            let reclaim = move |connection: &Connection, slice: &mut WorkSlice| {
                unlinked::reclaim(connection, &building, slice)
            };
            let size = if disk_was_full { SMALL_SLICE } else { WorkSlice::default };
            match self.slice_of(catalog, size, reclaim).await {
                Ok(true) => break,
                Ok(false) => {}
                // The log has to hold every page that a slice touches, which a full disk may not have room for.
                Err(error) if error.is_disk_full() && !disk_was_full => disk_was_full = true,
                Err(error) => return Err(error),
            }
        }
        while let Some(mut relabelling) = catalog.read(SpaceRelabelling::next).await? {
            loop {
                slices += 1;
                let work = move |connection: &Connection, slice: &mut WorkSlice| {
                    let ended = relabelling.go_on(connection, slice)?;
                    Ok((relabelling, ended))
                };
                let ended;
                (relabelling, ended) = self.slice(catalog, work).await?;
                if ended {
                    break;
                }
            }
        }
        if slices > 0 {
            debug!(slices, "worked on large trees");
        }
        Ok(slices > 0)
    }
}
