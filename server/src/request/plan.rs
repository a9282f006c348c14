//! `plan`: what to do about files before anything of them is sent.

use std::sync::Arc;

use rusqlite::Connection;
use sealift_protocol::message::{MAX_PLAN, Plan, PlannedFile, Reply, Verdict};
use sealift_protocol::{ErrorCode, WireError};

use super::enter_with;
use crate::error::{Error, Result};
use crate::policy::Rights;
use crate::session::Caller;
use crate::state::State;
use crate::store::{entries, objects};

/// Judges every file.
pub async fn serve(state: &Arc<State>, caller: &Caller, plan: Plan) -> Result<Reply> {
    if plan.files.len() > MAX_PLAN {
        return Err(Error::refused(ErrorCode::BadRequest, format!("a plan names at most {MAX_PLAN} files")));
    }
    let caller = caller.clone();
    let judged = state.catalog.read(move |connection| {
        caller.verify(connection)?;
        plan.files.iter().map(|file| judge(connection, &caller, file)).collect::<Result<Vec<_>>>()
    });
    Ok(Reply::Plan { files: judged.await? })
}

fn judge(connection: &Connection, caller: &Caller, file: &PlannedFile) -> Result<Verdict> {
    if file.path.means_directory() {
        let message = "the path ends in a slash and so means a directory: name the file";
        return Ok(Verdict::Refuse(WireError::new(ErrorCode::IsADirectory, message)));
    }
    let wanted = Rights::CREATE.union(Rights::REPLACE);
    let allowed = enter_with(connection, caller, &file.path, wanted)
        .and_then(|(permit, names)| entries::check(connection, &permit, &names));
    match allowed {
        Err(Error::Refused(error)) => return Ok(Verdict::Refuse(shortened(error))),
        other => other?,
    }
    Ok(if objects::size_within_reach(connection, caller.identity, file.size)? {
        Verdict::Hash
    } else {
        Verdict::Send
    })
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
