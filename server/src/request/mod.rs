//! What the server does for each request. One file each.

mod access;
mod answer;
mod background;
pub mod get;
pub mod info;
pub mod link;
pub mod list;
pub mod log;
pub mod make_directory;
pub mod plan;
pub mod put;
pub mod remove;
pub mod renew;
pub mod report;
pub mod slice;
pub mod transplant;
mod waiting;
pub mod whoami;

use std::sync::Arc;

use rusqlite::Connection;
use sealift_protocol::message::{Reply, Request};
use sealift_types::{EntryPath, ErrorCode};
use tracing::{Instrument, info_span};

pub use self::access::{enter, enter_with, find_place};
pub use self::answer::{push, to_reply};
use self::background::BackgroundCalls;
pub use self::waiting::WaitingClient;
use crate::caller::Caller;
use crate::error::{Result, ServerError};
use crate::monitor::requests::RequestOutcome;
use crate::offered_prefixes::OfferedPrefixes;
use crate::session::SessionWriter;
use crate::state::ServerState;
use crate::store::catalog::PendingCommit;
use crate::store::entries;

/// What a request without a body changes in the tree of files, in a transaction.
pub struct TreeRequest {
    /// Entries that it may touch.
    weight: usize,
    /// Whether something may be nobody's after it.
    frees: bool,
    apply: Box<ApplyChange>,
}

/// Applies a change inside the transaction of a group.
type ApplyChange = dyn FnOnce(&Connection, &Caller) -> Result<Reply> + Send;

impl TreeRequest {
    fn new(
        weight: usize,
        frees: bool,
        apply: impl FnOnce(&Connection, &Caller) -> Result<Reply> + Send + 'static,
    ) -> Self {
        Self { weight, frees, apply: Box::new(apply) }
    }
}

impl std::fmt::Debug for TreeRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TreeRequest").field("weight", &self.weight).finish_non_exhaustive()
    }
}

/// The path at which a change that succeeds leaves something else than was there, or nothing.
pub fn disturbs(request: &Request) -> Option<EntryPath> {
    match request {
        Request::Link(request) => Some(request.path.clone()),
        Request::Remove(request) => Some(request.path.clone()),
        _ => None,
    }
}

/// The change that a request asks for; any other request is given back, and is for [`serve`].
pub fn change(request: Request) -> std::result::Result<TreeRequest, Box<Request>> {
    Ok(match request {
        Request::MakeDirectory(request) => {
            TreeRequest::new(request.path.depth(), false, move |connection, caller| {
                make_directory::apply(connection, caller, &request)
            })
        }
        Request::Link(request) => TreeRequest::new(request.path.depth(), true, move |connection, caller| {
            link::apply(connection, caller, &request)
        }),
        Request::Remove(request) => {
            let below = if request.recursive { entries::FEW } else { 0 };
            TreeRequest::new(request.path.depth() + below, true, move |connection, caller| {
                remove::apply(connection, caller, &request)
            })
        }
        other => return Err(Box::new(other)),
    })
}

/// Refuses a request that would make the catalog grow into what is kept of the disk for deletions and administration.
pub fn admit(state: &ServerState, request: &Request) -> Result<()> {
    match request {
        Request::MakeDirectory(_) | Request::Link(_) | Request::Copy(_) => state.blobs.reserve().admit(),
        _ => Ok(()),
    }
}

/// Queues a change behind those that were sent before it, as an upload's commit is.
pub async fn submit(
    state: &Arc<ServerState>,
    caller: &Caller,
    change: TreeRequest,
    disturbed: Option<EntryPath>,
) -> PendingCommit<Reply> {
    let (catalog, caller) = (caller.changes(&state.catalog), caller.clone());
    let TreeRequest { weight, frees, apply } = change;
    let work = move |connection: &Connection, calls: &BackgroundCalls| {
        let reply = apply(connection, &caller)?;
        disturbed.iter().for_each(|path| calls.disturbing.tell(&caller.name, path));
        Ok(reply)
    };
    catalog.submit_holding(BackgroundCalls::of(state, weight, frees), work, |_, _, _| Ok(())).await
}

/// Serves a request whose turn has come, and tells what came of it. An error means that the connection is of no further use.
pub async fn serve(
    state: &Arc<ServerState>,
    caller: &Caller,
    prefixes: &OfferedPrefixes,
    mut waiting: WaitingClient<'_>,
    request: Request,
) -> Result<RequestOutcome> {
    // Boxed, so that an idle connection does not carry the room that the largest of these needs.
    let request = match request {
        Request::Copy(paths) => {
            let copying = Box::pin(transplant::copy(state, caller, &mut waiting, Arc::new(paths)));
            let copied = copying.instrument(info_span!("copy")).await;
            return conclude(waiting.writer, copied);
        }
        Request::Move(paths) => {
            let moving = Box::pin(transplant::rename(state, caller, &mut waiting, Arc::new(paths)));
            let moved = moving.instrument(info_span!("move")).await;
            return conclude(waiting.writer, moved);
        }
        other => other,
    };
    let writer = waiting.writer;
    match request {
        Request::List(list) => {
            let span = info_span!("list", path = %list.path);
            Box::pin(list::serve(state, caller, writer, list)).instrument(span).await
        }
        Request::Log(query) => {
            Box::pin(log::serve(state, caller, writer, query)).instrument(info_span!("log")).await
        }
        other => {
            let reply = to_reply(Box::pin(single(state, caller, prefixes, other)).await);
            push(writer, &reply)?;
            Ok(RequestOutcome::of(&reply))
        }
    }
}

/// Replies to a request that the client has waited for.
fn conclude(writer: &mut SessionWriter, result: Result<Reply>) -> Result<RequestOutcome> {
    if let Err(ServerError::Stream(error)) = result {
        return Err(error.into());
    }
    let reply = to_reply(result);
    push(writer, &reply)?;
    Ok(RequestOutcome::of(&reply))
}

/// The requests that have one reply.
async fn single(
    state: &Arc<ServerState>,
    caller: &Caller,
    prefixes: &OfferedPrefixes,
    request: Request,
) -> Result<Reply> {
    match request {
        Request::Plan(plan) => {
            plan::serve(state, caller, prefixes, plan).instrument(info_span!("plan")).await
        }
        Request::Info(info) => {
            let span = info_span!("info", path = %info.path);
            info::serve(state, caller, info).instrument(span).await
        }
        Request::Whoami(_) => whoami::serve(state, caller).instrument(info_span!("whoami")).await,
        Request::Renew(renew) => renew::serve(state, caller, renew).instrument(info_span!("renew")).await,
        Request::Report(report) => {
            let span = info_span!("report", path = %report.path);
            report::serve(state, caller, report).instrument(span).await
        }
        Request::MakeDirectory(_)
        | Request::Link(_)
        | Request::Remove(_)
        | Request::Move(_)
        | Request::Copy(_)
        | Request::Hello(_)
        | Request::Put(_)
        | Request::Slice(_)
        | Request::Get(_)
        | Request::List(_)
        | Request::Log(_) => {
            Err(ServerError::refused(ErrorCode::BadRequest, "this request has no place here"))
        }
    }
}
