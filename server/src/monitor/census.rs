//! What the store holds, counted rarely: it takes a look at every entry.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use tracing::error;

use crate::error::Result;
use crate::store::{Catalog, schema};

/// How long a count is good, however small the store.
const FRESH: Duration = Duration::from_secs(1);

/// Counting takes at most this part of one processor's time.
const SHARE: u32 = 100;

/// How long anybody waits for a count; a store of a hundred thousand entries is counted in less.
const PATIENCE: Duration = Duration::from_millis(200);

/// What the store holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreCounts {
    /// Files, links and directories.
    pub entries: u64,
    /// Different contents.
    pub contents: u64,
    /// Bytes of all files, each counted under every name that it has.
    pub logical_bytes: u64,
    /// Bytes of the different contents.
    pub unique_bytes: u64,
    /// Bytes that hold them, on the disk and in the catalog.
    pub stored_bytes: u64,
    /// Uploads that broke off and can be continued, and large ones under way.
    pub unfinished_uploads: u64,
    /// Bytes of the catalog's file, free pages included.
    #[serde(default)]
    pub catalog_bytes: u64,
    /// Bytes of its free pages, which it uses again or gives back.
    #[serde(default)]
    pub catalog_free_bytes: u64,
}

/// Counts, and remembers what it counted. Clones share it.
#[derive(Debug, Clone)]
pub struct StoreCensus {
    catalog: Catalog,
    memory: Arc<Mutex<CensusMemory>>,
}

#[derive(Debug, Default)]
struct CensusMemory {
    counted: Option<CountedStock>,
    counting: bool,
}

/// A count and when it was made.
#[derive(Debug, Clone, Copy)]
pub struct CountedStock {
    /// What was counted.
    pub stock: StoreCounts,
    /// When that was done.
    pub at: Instant,
    /// How long it took.
    took: Duration,
}

impl StoreCounts {
    /// Counts.
    pub fn count(connection: &Connection) -> Result<Self> {
        let numbers = |sql: &str| -> Result<[u64; 2]> {
            let row = connection.prepare_cached(sql)?.query_row([], |row| {
                Ok([row.get::<_, i64>(0)?.cast_unsigned(), row.get::<_, i64>(1)?.cast_unsigned()])
            })?;
            Ok(row)
        };
        let [entries, _] = numbers("SELECT count(*), 0 FROM entries")?;
        let [contents, unique_bytes] = numbers("SELECT count(*), ifnull(sum(size), 0) FROM objects")?;
        let [_, logical_bytes] = numbers(
            "SELECT 0, ifnull(sum(names * size), 0) FROM objects JOIN
                 (SELECT object, count(*) AS names FROM entries WHERE object IS NOT NULL GROUP BY object)
                 ON object = objects.id",
        )?;
        let [blobs, rows] = numbers(
            "SELECT (SELECT ifnull(sum(size), 0) FROM blobs), (SELECT ifnull(sum(length(data)), 0) FROM contents)",
        )?;
        let [unfinished_uploads, _] = numbers("SELECT count(*), 0 FROM parts")?;
        let stored_bytes = blobs + rows;
        let [catalog_bytes, catalog_free_bytes] = schema::sizes(connection)?;
        Ok(Self {
            entries,
            contents,
            logical_bytes,
            unique_bytes,
            stored_bytes,
            unfinished_uploads,
            catalog_bytes,
            catalog_free_bytes,
        })
    }

    /// Bytes that deduplication saved.
    pub fn saved_bytes(&self) -> u64 {
        self.logical_bytes.saturating_sub(self.unique_bytes)
    }
}

impl StoreCensus {
    /// Of a catalog.
    pub fn of(catalog: Catalog) -> Self {
        Self { catalog, memory: Arc::default() }
    }

    /// The last count, or a new one if that is old and a new one does not take long. Otherwise the new one is there for
    /// whoever asks next. `None` while the first is being made.
    pub async fn look(&self) -> Option<CountedStock> {
        if self.begin() {
            let here = self.clone();
            let counting = tokio::spawn(async move { here.count().await });
            let _ = tokio::time::timeout(PATIENCE, counting).await;
        }
        self.lock().counted
    }

    /// Whether it is time to count, and nobody does.
    fn begin(&self) -> bool {
        let mut memory = self.lock();
        let fresh = |counted: &CountedStock| counted.at.elapsed() < FRESH.max(counted.took * SHARE);
        if memory.counting || memory.counted.as_ref().is_some_and(fresh) {
            return false;
        }
        memory.counting = true;
        true
    }

    async fn count(&self) {
        let begun = Instant::now();
        let stock = self.catalog.read(StoreCounts::count).await;
        let mut memory = self.lock();
        memory.counting = false;
        match stock {
            Ok(stock) => {
                memory.counted = Some(CountedStock { stock, at: Instant::now(), took: begun.elapsed() });
            }
            Err(error) => error!(%error, "the store could not be counted"),
        }
    }

    fn lock(&self) -> MutexGuard<'_, CensusMemory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
