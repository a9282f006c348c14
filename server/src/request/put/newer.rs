//! Uploads that leave a newer file alone.

use rusqlite::Connection;
use sealift_protocol::message::Put;

use crate::error::Result;
use crate::policy::Permit;
use crate::store::entries::{self, EntrySlot};

/// Whether a put leaves alone what is there, because that is newer. What would be refused otherwise is refused.
pub(super) fn stays(connection: &Connection, permit: &Permit, names: &[String], put: &Put) -> Result<bool> {
    let Some(mtime) = put.mtime.filter(|_| put.update) else { return Ok(false) };
    EntrySlot::find(connection, permit, names)?;
    entries::is_newer(connection, permit, names, mtime)
}
