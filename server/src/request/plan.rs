//! `plan`: what to do about files before anything of them is sent.

use std::sync::Arc;

use rusqlite::Connection;
use sealift_protocol::WireError;
use sealift_protocol::message::{MAX_PLAN, Plan, PlannedFile, Reply, Verdict};
use sealift_types::{ErrorCode, Rights};

use super::access::enter_with;
use super::put;
use crate::caller::Caller;
use crate::error::{Result, ServerError};
use crate::offered_prefixes::OfferedPrefixes;
use crate::state::ServerState;
use crate::store::entries::{self, EntrySlot};
use crate::store::objects;
use crate::store::partial_uploads::{self, PartialUploadKey, ResumeOffer, UploadPath};

/// Judges every file. What the client is offered to continue is hashed meanwhile.
pub async fn serve(
    state: &Arc<ServerState>,
    caller: &Caller,
    prefixes: &OfferedPrefixes,
    plan: Plan,
) -> Result<Reply> {
    if plan.files.len() > MAX_PLAN {
        return Err(ServerError::refused(
            ErrorCode::BadRequest,
            format!("a plan names at most {MAX_PLAN} files"),
        ));
    }
    if plan.files.iter().any(|file| file.update && file.mtime.is_none()) {
        return Err(put::undated());
    }
    let plan = Arc::new(plan);
    let mut judged = judge_all(state, caller, &plan).await?;
    let busy: Vec<_> = judged.iter_mut().filter_map(|judgement| judgement.busy.take()).collect();
    if !busy.is_empty() {
        state.leases.settle(&busy, state.config().uploads.yield_after()).await;
        judged = judge_all(state, caller, &plan).await?;
    }
    prefixes.begin(state, judged.iter().filter_map(|judgement| judgement.offer));
    Ok(Reply::Plan { files: judged.into_iter().map(|judgement| judgement.verdict).collect() })
}

/// What the client is told about a file.
struct Judgement {
    verdict: Verdict,
    /// The part behind [`Verdict::Resume`].
    offer: Option<ResumeOffer>,
    /// The upload, if an earlier attempt at it is under way.
    busy: Option<PartialUploadKey>,
}

impl From<Verdict> for Judgement {
    fn from(verdict: Verdict) -> Self {
        Self { verdict, offer: None, busy: None }
    }
}

async fn judge_all(state: &Arc<ServerState>, caller: &Caller, plan: &Arc<Plan>) -> Result<Vec<Judgement>> {
    let (state_here, caller, plan) = (state.clone(), caller.clone(), plan.clone());
    let judged = state.catalog.read(move |connection| {
        caller.verify(connection)?;
        let judge = |file| judge(connection, &caller, &state_here, file);
        plan.files.iter().map(judge).collect()
    });
    judged.await
}

/// A part goes before a content of the same size: when the part was begun, the content was not within reach, and a
/// claim that fails would cost all that the part saves.
fn judge(
    connection: &Connection,
    caller: &Caller,
    state: &ServerState,
    file: &PlannedFile,
) -> Result<Judgement> {
    if file.path.means_directory() {
        let message = "the path ends in a slash and so means a directory: name the file";
        return Ok(Verdict::Refuse(WireError::new(ErrorCode::IsADirectory, message)).into());
    }
    let wanted = Rights::CREATE.union(Rights::REPLACE);
    let allowed = enter_with(connection, caller, &file.path, wanted).and_then(|(permit, names)| {
        EntrySlot::find(connection, &permit, &names)?;
        let stays = match file.mtime.filter(|_| file.update) {
            Some(mtime) => entries::is_newer(connection, &permit, &names, mtime)?,
            None => false,
        };
        Ok((UploadPath::new(caller.identity, &permit, &names), stays))
    });
    let (target, stays) = match allowed {
        Err(ServerError::Refused(error)) => return Ok(Verdict::Refuse(shortened(error)).into()),
        other => other?,
    };
    if stays {
        return Ok(Verdict::Keep.into());
    }
    let upload = file.mtime.map(|mtime| target.upload(file.size, mtime));
    // Asked before the look at what is free: what ends between the two is found there.
    let busy = upload.clone().filter(|upload| state.leases.has(upload));
    if let Some(upload) = upload
        && let Some(offer) = partial_uploads::offer(connection, &state.blobs, &upload)?
    {
        let verdict = Verdict::Resume { offset: offer.offset };
        return Ok(Judgement { verdict, offer: Some(offer), busy });
    }
    let verdict = match &file.sha256 {
        Some(sha256) => match objects::within_reach(connection, caller.identity, sha256, file.size)? {
            Some(_) => Verdict::Present,
            None => Verdict::Send,
        },
        None if objects::size_within_reach(connection, caller.identity, file.size)? => Verdict::Hash,
        None => Verdict::Send,
    };
    Ok(Judgement { verdict, offer: None, busy })
}

/// A full plan's verdicts share one control frame, and the client knows which path is meant.
fn shortened(mut error: WireError) -> WireError {
    const ROOM: usize = 60;
    if error.message.len() > ROOM {
        let explanation = match error.code {
            ErrorCode::IsADirectory => "the path is a directory: name a file in it",
            ErrorCode::NotADirectory => "a part of the path is a file: choose another path",
            ErrorCode::NotAllowed => "you have no right to store there: see `sealift whoami`",
            _ => "the path is not allowed: choose another",
        };
        explanation.clone_into(&mut error.message);
    }
    error
}
