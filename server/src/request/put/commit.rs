//! The transaction that makes a path point to a content.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;
use sealift_protocol::message::{MAX_INLINE, Put, Reply, Stored};
use sealift_types::{Digest, ErrorCode, Rights};
use tokio::sync::Notify;

use super::newer::stays;
use crate::budget::BudgetLoan;
use crate::caller::Caller;
use crate::clock;
use crate::disturbances::Disturbing;
use crate::error::{Result, ServerError};
use crate::request::access::enter_with;
use crate::state::ServerState;
use crate::store::blobs::{Blobs, FileGuard};
use crate::store::catalog::{self, PendingCommit};
use crate::store::copies;
use crate::store::disk::DiskGrant;
use crate::store::entries::{EntrySlot, NewEntry};
use crate::store::extent::PackPlacement;
use crate::store::extent::SmallContent;
use crate::store::file_holds::FileHold;
use crate::store::objects::{self, ContentId};
use crate::store::partial_uploads::{self, UploadPath};
use crate::transfer_guard::TransferGuard;

/// How long a claim waits for its commit at most, and the copy is taken for good that was read before.
const QUEUED: Duration = Duration::from_secs(300);

/// What a commit needs of the content.
#[derive(Debug)]
pub(crate) enum UploadedContent {
    /// The bytes, and the room that they take up.
    Inline(Vec<u8>, Option<CommitRoom>),
    /// The bytes are in a pack, together with others.
    Packed(PackPlacement, #[allow(dead_code)] Option<CommitRoom>),
    /// The guard keeps the collector off the new file until the commit is done, the hold off the row of the upload.
    Blob(#[allow(dead_code)] FileGuard, FileHold),
}

/// Room for a small content until it is committed: in memory, among those of all connections, and on the disk.
#[derive(Debug)]
pub(crate) struct CommitRoom {
    pub(super) _memory: Option<BudgetLoan>,
    pub(super) _disk: DiskGrant,
}

/// What is held until a commit is over: the collector stays away until then, and is called after it.
#[derive(Debug)]
struct CommitHeld {
    brought: Option<UploadedContent>,
    identity: i64,
    sha256: Digest,
    blobs: Blobs,
    ticket: TransferGuard,
    /// Entries that it may touch.
    weight: usize,
    wake: CollectorWake,
}

impl CommitHeld {
    /// The use of the file that was placed.
    fn hold(&self) -> Option<&FileHold> {
        match &self.brought {
            Some(UploadedContent::Blob(_, hold)) => Some(hold),
            _ => None,
        }
    }
}

impl catalog::ChangeHeld for CommitHeld {
    fn weight(&self) -> usize {
        self.weight
    }

    fn checks_first(&self) -> bool {
        true
    }

    fn content(&self) -> Option<SmallContent<'_>> {
        match &self.brought {
            Some(UploadedContent::Inline(data, _)) => {
                Some(SmallContent { by: self.identity, digest: &self.sha256, data })
            }
            _ => None,
        }
    }

    fn packed(&mut self, place: PackPlacement) {
        self.brought = match self.brought.take() {
            Some(UploadedContent::Inline(_, room)) => Some(UploadedContent::Packed(place, room)),
            other => other,
        };
    }

    fn concluded(&mut self, commit: Result<(), &ServerError>) {
        if let (Err(_), Some(UploadedContent::Blob(..))) = (commit, &self.brought) {
            self.blobs.abandon(self.sha256);
        }
        self.ticket.conclude(commit);
    }
}

/// Calls the collector when it is dropped, after the commit. What listings have to know of is open until then.
#[derive(Debug)]
struct CollectorWake {
    garbage: Arc<Notify>,
    disturbing: Disturbing,
}

impl CollectorWake {
    fn of(state: &ServerState) -> Self {
        Self { garbage: state.garbage.clone(), disturbing: Disturbing::new(&state.disturbances) }
    }
}

impl Drop for CollectorWake {
    fn drop(&mut self) {
        self.garbage.notify_one();
    }
}

/// Queues the transaction that makes the path point to the content, with the log's record of it.
pub(crate) async fn commit(
    state: &Arc<ServerState>,
    caller: &Caller,
    put: Put,
    brought: Option<UploadedContent>,
    stored: Stored,
    ticket: TransferGuard,
) -> PendingCommit<Reply> {
    let catalog = caller.changes(&state.catalog);
    let (caller, blobs, sha256) = (caller.clone(), state.blobs.clone(), stored.sha256);
    let (identity, size) = (caller.identity, stored.size);
    let trust = state.config().uploads.trust_stored();
    // A large content was read before its claim was queued, a small one is read by the commit.
    let trust = if size > MAX_INLINE { trust.max(QUEUED) } else { trust };
    let (weight, wake) = (put.path.depth(), CollectorWake::of(state));
    let held = CommitHeld { brought, identity, sha256, blobs: blobs.clone(), ticket, weight, wake };
    let work = {
        let blobs = blobs.clone();
        move |connection: &Connection, held: &CommitHeld| {
            let wanted = Rights::CREATE.union(Rights::REPLACE);
            let (permit, names) = enter_with(connection, &caller, &put.path, wanted)?;
            if stays(connection, &permit, &names, &put)? {
                if let Some(hold) = held.hold() {
                    objects::give_up(connection, &sha256)?;
                    partial_uploads::remove(connection, hold.file())?;
                }
                held.ticket.leave(held.brought.is_some());
                held.ticket.record_in(connection, None)?;
                return Ok(Reply::Kept {});
            }
            let slot = EntrySlot::find(connection, &permit, &names)?;
            let object = match &held.brought {
                None => claimed(connection, &caller, &blobs, &stored, trust)?,
                Some(UploadedContent::Inline(data, _)) => {
                    let small = SmallContent { by: caller.identity, digest: &stored.sha256, data };
                    objects::keep_inline(connection, &blobs, small)?
                }
                Some(UploadedContent::Packed(place, _)) => {
                    objects::keep_packed(connection, &stored.sha256, place)?
                }
                Some(UploadedContent::Blob(..)) => {
                    objects::keep_blob(connection, &stored.sha256, stored.size)?
                }
            };
            let now = clock::now();
            let mtime = put.mtime.unwrap_or(now);
            let file = NewEntry { mtime, executable: put.executable, by: caller.identity, now };
            if slot.is_taken() {
                held.wake.disturbing.tell(&caller.name, &put.path);
            }
            slot.store(connection, object, &file)?;
            let target = UploadPath::new(caller.identity, &permit, &names);
            partial_uploads::supersede(connection, &blobs, &target, held.hold())?;
            held.ticket.record_in(connection, None)?;
            Ok(Reply::Stored(stored))
        }
    };
    let otherwise = move |connection: &Connection, held: &CommitHeld, error: &ServerError| {
        match &held.brought {
            // The file is in place and nobody's.
            Some(UploadedContent::Blob(_, hold)) => {
                objects::give_up(connection, &sha256)?;
                partial_uploads::remove(connection, hold.file())?;
            }
            // Without a good copy, the next plan need not ask for a claim. Nobody else's content is looked at.
            None => {
                let found = objects::within_reach(connection, identity, &sha256, size)?;
                if let Some(object) = found
                    && !copies::can_be_shared(connection, &blobs, object, &sha256, trust)?
                {
                    objects::quarantine(connection, &sha256)?;
                }
            }
            _ => {}
        }
        held.ticket.record_in(connection, Some(error.to_wire().code))
    };
    catalog.submit_holding(held, work, otherwise).await
}

fn claimed(
    connection: &Connection,
    caller: &Caller,
    blobs: &Blobs,
    stored: &Stored,
    trust: Duration,
) -> Result<ContentId> {
    let found = objects::within_reach(connection, caller.identity, &stored.sha256, stored.size)?;
    let object = found.ok_or_else(absent)?;
    // The row may be there without the bytes: the client has them, and sends them then.
    if copies::can_be_shared(connection, blobs, object, &stored.sha256, trust)? {
        Ok(object)
    } else {
        Err(absent())
    }
}

fn absent() -> ServerError {
    ServerError::refused(ErrorCode::Absent, "no such content is within your reach: send it")
}
