//! How much of each identity's uploads is unfinished: what is under way, and what broke off and waits to be continued.
//!
//! Both are bounded for each identity. What broke off makes room for what comes, the oldest first: it only saves its owner
//! from sending it again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;
use sealift_types::ErrorCode;

use crate::config::UploadSettings;
use crate::error::{Result, ServerError};
use crate::monitor::meter::Counter;
use crate::store::catalog::WriterLine;
use crate::store::partial_uploads;
use crate::store::{Blobs, Catalog};

/// The large uploads under way. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct UnfinishedUploads(Arc<UnfinishedState>);

#[derive(Debug, Default)]
struct UnfinishedState {
    under_way: Mutex<HashMap<i64, IdentityUploads>>,
    refused: Counter,
}

/// What an identity has under way.
#[derive(Debug, Clone, Copy, Default)]
struct IdentityUploads {
    uploads: u64,
    bytes: u64,
}

/// The most that an identity may leave unfinished.
#[derive(Debug, Clone, Copy)]
struct UnfinishedLimits {
    uploads: u64,
    bytes: u64,
}

/// One large upload that is under way, until this is dropped.
#[derive(Debug)]
pub struct UnfinishedUpload {
    unfinished: UnfinishedUploads,
    identity: i64,
    /// Bytes that its file holds.
    bytes: u64,
    limits: UnfinishedLimits,
}

impl UnfinishedUploads {
    /// Uploads that were refused because their identity had too many.
    pub fn refused(&self) -> &Counter {
        &self.0.refused
    }

    /// Begins a large upload of which `bytes` are there and `rest` are to come, if that is known. What broke off before
    /// makes room for it; what is under way does not.
    pub async fn begin(
        &self,
        (catalog, blobs): (&Catalog, &Blobs),
        settings: UploadSettings,
        identity: i64,
        bytes: u64,
        rest: Option<u64>,
    ) -> Result<UnfinishedUpload> {
        let limits = UnfinishedLimits::of(settings, blobs)?;
        let (upload, under_way) = self.enter(identity, bytes, limits)?;
        let wanted = under_way.bytes.saturating_add(rest.unwrap_or(0));
        if wanted > limits.bytes {
            return Err(self.refuse(limits.too_much()));
        }
        let here = blobs.clone();
        let left =
            UnfinishedLimits { uploads: limits.uploads - under_way.uploads, bytes: limits.bytes - wanted };
        let look = move |connection: &Connection| {
            partial_uploads::oldest_beyond(connection, &here, identity, left.uploads, left.bytes)
        };
        let doomed = catalog.read(look).await?;
        if !doomed.is_empty() {
            let here = blobs.clone();
            let remove = move |connection: &Connection| {
                // One that was continued meanwhile stays.
                let idle = doomed.iter().filter(|file| !here.holds().is_held(**file));
                idle.copied().try_for_each(|file| partial_uploads::remove(connection, file))
            };
            catalog.within(WriterLine::Of(identity)).write(remove).await?;
            blobs.holds().released().notify_one();
        }
        Ok(upload)
    }

    fn enter(
        &self,
        identity: i64,
        bytes: u64,
        limits: UnfinishedLimits,
    ) -> Result<(UnfinishedUpload, IdentityUploads)> {
        let mut all = self.lock();
        let mine = all.entry(identity).or_default();
        if mine.uploads >= limits.uploads {
            drop(all);
            return Err(self.refuse(limits.too_many()));
        }
        mine.uploads += 1;
        mine.bytes += bytes;
        let under_way = *mine;
        Ok((UnfinishedUpload { unfinished: self.clone(), identity, bytes, limits }, under_way))
    }

    fn refuse(&self, error: ServerError) -> ServerError {
        self.0.refused.count();
        error
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<i64, IdentityUploads>> {
        self.0.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl UnfinishedUpload {
    /// Notes that more bytes have come, unless they are too many.
    pub fn grow(&mut self, bytes: u64) -> Result<()> {
        let mut all = self.unfinished.lock();
        let mine = all.entry(self.identity).or_default();
        if mine.bytes.saturating_add(bytes) > self.limits.bytes {
            drop(all);
            return Err(self.unfinished.refuse(self.limits.too_much()));
        }
        mine.bytes += bytes;
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for UnfinishedUpload {
    fn drop(&mut self) {
        let mut all = self.unfinished.lock();
        if let Some(mine) = all.get_mut(&self.identity) {
            mine.uploads -= 1;
            mine.bytes -= self.bytes;
            if mine.uploads == 0 {
                all.remove(&self.identity);
            }
        }
    }
}

impl UnfinishedLimits {
    fn of(uploads: UploadSettings, blobs: &Blobs) -> Result<Self> {
        let bytes = match uploads.unfinished_bytes() {
            Some(bytes) => bytes,
            None => blobs.reserve().look()?.0.size_bytes / 4 * 3,
        };
        Ok(Self { uploads: uploads.unfinished(), bytes })
    }

    fn too_many(self) -> ServerError {
        ServerError::refused(
            ErrorCode::Busy,
            format!(
                "you have {} large uploads under way, which is the most for one identity: try again when some have ended, \
                 or ask the administrator for more `uploads.unfinished`",
                self.uploads
            ),
        )
    }

    fn too_much(self) -> ServerError {
        ServerError::refused(
            ErrorCode::NoSpace,
            format!(
                "nothing was stored: the unfinished uploads of one identity may take {} MiB of the server's disk; try again \
                 when others of yours have ended, or ask the administrator for more `uploads.unfinished_bytes`",
                self.bytes >> 20
            ),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_under_way_is_counted_for_each_identity_until_it_ends() {
        let unfinished = UnfinishedUploads::default();
        let limits = UnfinishedLimits { uploads: 2, bytes: 100 };
        let mut one = unfinished.enter(1, 10, limits).unwrap().0;
        let two = unfinished.enter(1, 20, limits).unwrap().0;
        let refused = unfinished.enter(1, 0, limits).unwrap_err().to_wire();
        assert_eq!(refused.code, ErrorCode::Busy);
        assert!(refused.message.contains("`uploads.unfinished`"), "{refused}");
        unfinished.enter(2, 0, limits).unwrap().0.grow(100).unwrap();
        one.grow(70).unwrap();
        let refused = one.grow(1).unwrap_err().to_wire();
        assert_eq!(refused.code, ErrorCode::NoSpace);
        drop(two);
        one.grow(20).unwrap();
        drop(one);
        assert!(unfinished.lock().is_empty());
        assert_eq!(unfinished.refused().get(), 2);
    }
}
