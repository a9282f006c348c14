//! Digests of what earlier attempts left, computed before the client says that it continues.
//!
//! When a plan says "resume", the client hashes its copy of the part. The server reads and hashes its own meanwhile, so
//! that neither waits for the other. For parts that came while this server has been running there is nothing to do: it
//! hashed them on the way, and has kept that as a [`HashCheckpoint`]. What it learns stays true, whoever continues the part: nobody changes the bytes
//! before the offset that was offered, and no other file gets the number.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::sync::{Mutex, PoisonError};

use sealift_pipeline::BLOCK;
use sealift_types::Hasher;
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::debug;

use crate::background::{Background, background};
use crate::error::{Result, ServerError};
use crate::state::ServerState;
use crate::store::file_holds::HashCheckpoint;
use crate::store::partial_uploads::ResumeOffer;

/// Parts that a connection has hashed ahead; the oldest makes room, since files are sent in the order of the plan and
/// a client that has gone past one will not come back to it.
const AHEAD: usize = 2;

/// The parts that one connection was offered. When this is dropped, the hashing ends.
#[derive(Debug, Default)]
pub struct OfferedPrefixes(Mutex<VecDeque<PrefixHash>>);

/// A part that is being hashed. When this is dropped, the hashing ends.
#[derive(Debug)]
struct PrefixHash {
    offer: ResumeOffer,
    hashing: Background<io::Result<Hasher>>,
    _cancel: DropGuard,
}

impl OfferedPrefixes {
    /// Begins to hash the first few of these parts, as far as there is room among those of all connections.
    pub fn begin(&self, state: &ServerState, offers: impl Iterator<Item = ResumeOffer>) {
        for offer in offers.take(AHEAD) {
            if known(state, offer).is_some() || self.lock().iter().any(|prefix| prefix.offer == offer) {
                continue;
            }
            let Ok(room) = state.prefixes.clone().try_acquire_owned() else { return };
            match PrefixHash::begin(state, offer, room) {
                Ok(prefix) => {
                    let mut prefixes = self.lock();
                    if prefixes.len() == AHEAD {
                        prefixes.pop_front();
                    }
                    prefixes.push_back(prefix);
                }
                // The put that follows finds out, and says so.
                Err(error) => debug!(%error, "a part could not be hashed ahead"),
            }
        }
    }

    /// The hasher that has seen this part: at once, or when what was begun is done, or is begun now.
    pub async fn hashed(&self, state: &ServerState, offer: ResumeOffer) -> Result<HashCheckpoint> {
        if let Some(mark) = known(state, offer) {
            return Ok(mark);
        }
        let begun = {
            let mut prefixes = self.lock();
            let found = prefixes.iter().position(|prefix| prefix.offer == offer);
            found.and_then(|index| prefixes.remove(index))
        };
        let prefix = begun.map_or_else(|| PrefixHash::begin(state, offer, ()), Ok)?;
        Ok(HashCheckpoint { offset: offer.offset, hasher: prefix.hashed(state).await? })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<PrefixHash>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PrefixHash {
    /// `room` is held as long as the hashing takes.
    fn begin(state: &ServerState, offer: ResumeOffer, room: impl Send + 'static) -> Result<Self> {
        let path = state.blobs.upload(offer.file);
        let file = File::open(&path).map_err(ServerError::file(&path))?;
        let cancelled = CancellationToken::new();
        let cancel = cancelled.clone().drop_guard();
        let hashing = background("prefix", move || {
            let _room = room;
            hash(file.take(offer.offset), offer.offset, &cancelled)
        })
        .map_err(ServerError::file(&path))?;
        Ok(Self { offer, hashing, _cancel: cancel })
    }

    /// Waits until the part is hashed.
    async fn hashed(self, state: &ServerState) -> Result<Hasher> {
        let Self { offer, hashing, _cancel } = self;
        hashing.wait().await?.map_err(ServerError::file(&state.blobs.upload(offer.file)))
    }
}

/// What the server knows about the part without reading it.
fn known(state: &ServerState, offer: ResumeOffer) -> Option<HashCheckpoint> {
    state.blobs.holds().mark(offer.file).filter(|mark| mark.offset == offer.offset)
}

fn hash(mut source: impl Read, size: u64, cancelled: &CancellationToken) -> io::Result<Hasher> {
    let (mut hasher, mut total, mut block) = (Hasher::new(), 0, vec![0; BLOCK]);
    while !cancelled.is_cancelled() {
        match source.read(&mut block) {
            Ok(0) if total == size => return Ok(hasher),
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                hasher.update(&block[..count]);
                total += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::Interrupted.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use sealift_types::Digest;

    #[test]
    fn a_prefix_is_hashed_whole_or_not_at_all() {
        let (content, going) = (vec![7; 3 * BLOCK + 1], CancellationToken::new());
        let hasher = hash(&content[..], content.len() as u64, &going).unwrap();
        assert_eq!(hasher.finish(), Digest::of(&content));
        let short = hash(&content[..], content.len() as u64 + 1, &going).unwrap_err();
        assert_eq!(short.kind(), io::ErrorKind::UnexpectedEof);
        going.cancel();
        let cancelled = hash(io::repeat(7), u64::MAX, &going).unwrap_err();
        assert_eq!(cancelled.kind(), io::ErrorKind::Interrupted);
    }
}
