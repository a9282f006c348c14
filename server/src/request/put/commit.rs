//! The transaction that makes a path point to a content.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;
use sealift_protocol::message::{MAX_INLINE, Put, Reply, Stored};
use sealift_protocol::{Digest, ErrorCode};
use tokio::sync::Notify;

use super::stays;
use crate::budget::Loan;
use crate::clock;
use crate::disturbances::Disturbing;
use crate::error::{Error, Result};
use crate::policy::Rights;
use crate::request::enter_with;
use crate::session::Caller;
use crate::state::State;
use crate::store::blobs::{Blobs, Guard};
use crate::store::catalog::{self, Pending};
use crate::store::copies;
use crate::store::disk::Granted;
use crate::store::entries::{NewFile, Slot};
use crate::store::holds::Hold;
use crate::store::objects::{self, ObjectId, Small};
use crate::store::packs::Placement;
use crate::store::parts::{self, Target};
use crate::ticket::Ticket;

/// How long a claim waits for its commit at most, and the copy is taken for good that was read before.
const QUEUED: Duration = Duration::from_secs(300);

/// What a commit needs of the content.
#[derive(Debug)]
pub(crate) enum Brought {
    /// The bytes, and the room that they take up.
    Inline(Vec<u8>, Option<Room>),
    /// The bytes are in a pack, together with others.
    Packed(Placement, #[allow(dead_code)] Option<Room>),
    /// The guard keeps the collector off the new file until the commit is done, the hold off the row of the upload.
    Blob(#[allow(dead_code)] Guard, Hold),
}

/// Room for a small content until it is committed: in memory, among those of all connections, and on the disk.
#[derive(Debug)]
pub(crate) struct Room {
    pub(super) _memory: Option<Loan>,
    pub(super) _disk: Granted,
}

/// What is held until a commit is over: the collector stays away until then, and is called after it.
#[derive(Debug)]
struct Held {
    brought: Option<Brought>,
    identity: i64,
    sha256: Digest,
    blobs: Blobs,
    ticket: Ticket,
    /// Entries that it may touch.
    weight: usize,
    wake: Wake,
}

impl Held {
    /// The use of the file that was placed.
    fn hold(&self) -> Option<&Hold> {
        match &self.brought {
            Some(Brought::Blob(_, hold)) => Some(hold),
            _ => None,
        }
    }
}

impl catalog::Held for Held {
    fn weight(&self) -> usize {
        self.weight
    }

    fn checks_first(&self) -> bool {
        true
    }

    fn content(&self) -> Option<Small<'_>> {
        match &self.brought {
            Some(Brought::Inline(data, _)) => Some(Small { by: self.identity, digest: &self.sha256, data }),
            _ => None,
        }
    }

    fn packed(&mut self, place: Placement) {
        self.brought = match self.brought.take() {
            Some(Brought::Inline(_, room)) => Some(Brought::Packed(place, room)),
            other => other,
        };
    }

    fn concluded(&mut self, commit: Result<(), &Error>) {
        if let (Err(_), Some(Brought::Blob(..))) = (commit, &self.brought) {
            self.blobs.abandon(self.sha256);
        }
        self.ticket.conclude(commit);
    }
}

/// Calls the collector when it is dropped, after the commit. What listings have to know of is open until then.
#[derive(Debug)]
struct Wake {
    garbage: Arc<Notify>,
    disturbing: Disturbing,
}

impl Wake {
    fn of(state: &State) -> Self {
        Self { garbage: state.garbage.clone(), disturbing: Disturbing::new(&state.disturbances) }
    }
}

impl Drop for Wake {
    fn drop(&mut self) {
        self.garbage.notify_one();
    }
}

/// Queues the transaction that makes the path point to the content, with the log's record of it.
pub(crate) async fn commit(
    state: &Arc<State>,
    caller: &Caller,
    put: Put,
    brought: Option<Brought>,
    stored: Stored,
    ticket: Ticket,
) -> Pending<Reply> {
    let catalog = caller.changes(state);
    let (caller, blobs, sha256) = (caller.clone(), state.blobs.clone(), stored.sha256);
    let (identity, size) = (caller.identity, stored.size);
    let trust = state.config().uploads.trust_stored();
    // A large content was read before its claim was queued, a small one is read by the commit.
    let trust = if size > MAX_INLINE { trust.max(QUEUED) } else { trust };
    let (weight, wake) = (put.path.depth(), Wake::of(state));
    let held = Held { brought, identity, sha256, blobs: blobs.clone(), ticket, weight, wake };
    let work = {
        let blobs = blobs.clone();
        move |connection: &Connection, held: &Held| {
            let wanted = Rights::CREATE.union(Rights::REPLACE);
            let (permit, names) = enter_with(connection, &caller, &put.path, wanted)?;
            if stays(connection, &permit, &names, &put)? {
                if let Some(hold) = held.hold() {
                    objects::give_up(connection, &sha256)?;
                    parts::remove(connection, hold.file())?;
                }
                held.ticket.leave(held.brought.is_some());
                held.ticket.record_in(connection, None)?;
                return Ok(Reply::Kept {});
            }
            let slot = Slot::find(connection, &permit, &names)?;
            let object = match &held.brought {
                None => claimed(connection, &caller, &blobs, &stored, trust)?,
                Some(Brought::Inline(data, _)) => {
                    let small = Small { by: caller.identity, digest: &stored.sha256, data };
                    objects::keep_inline(connection, &blobs, small)?
                }
                Some(Brought::Packed(place, _)) => objects::keep_packed(connection, &stored.sha256, place)?,
                Some(Brought::Blob(..)) => objects::keep_blob(connection, &stored.sha256, stored.size)?,
            };
            let now = clock::now();
            let mtime = put.mtime.unwrap_or(now);
            let file = NewFile { mtime, executable: put.executable, by: caller.identity, now };
            if slot.is_taken() {
                held.wake.disturbing.tell(&caller.name, &put.path);
            }
            slot.store(connection, object, &file)?;
            let target = Target::new(caller.identity, &permit, &names);
            parts::supersede(connection, &blobs, &target, held.hold())?;
            held.ticket.record_in(connection, None)?;
            Ok(Reply::Stored(stored))
        }
    };
    let otherwise = move |connection: &Connection, held: &Held, error: &Error| {
        match &held.brought {
            // The file is in place and nobody's.
            Some(Brought::Blob(_, hold)) => {
                objects::give_up(connection, &sha256)?;
                parts::remove(connection, hold.file())?;
            }
            // Without a good copy, the next plan need not ask for a claim. Nobody else's content is looked at.
            None => {
                let found = objects::within_reach(connection, identity, &sha256, size)?;
                if let Some(object) = found
                    && !copies::can_be_shared(connection, &blobs, object, &sha256, trust)?
                {
                    objects::suspect(connection, &sha256)?;
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
) -> Result<ObjectId> {
    let found = objects::within_reach(connection, caller.identity, &stored.sha256, stored.size)?;
    let object = found.ok_or_else(absent)?;
    // The row may be there without the bytes: the client has them, and sends them then.
    if copies::can_be_shared(connection, blobs, object, &stored.sha256, trust)? {
        Ok(object)
    } else {
        Err(absent())
    }
}

fn absent() -> Error {
    Error::refused(ErrorCode::Absent, "no such content is within your reach: send it")
}
