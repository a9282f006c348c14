//! What the server does for each request. One file each.

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
pub mod whoami;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use sealift_protocol::io::StreamError;
use sealift_protocol::message::{MessageError, Reply, Request};
use sealift_protocol::{ErrorCode, Location, RemotePath, WireError};
use tokio::sync::Notify;
use tracing::{Instrument, debug, error, info_span};

use crate::disturbances::Disturbing;
use crate::error::{Error, Result};
use crate::monitor::requests::Outcome;
use crate::policy::{Access, Permit, Rights};
use crate::prefixes::Prefixes;
use crate::session::{Caller, Writer};
use crate::state::State;
use crate::store::catalog::{Held, Pending};
use crate::store::entries::{self, Place};
use crate::store::{Trees, spaces};

/// How often a client is told that the server is working for it, within the time that it waits for an answer.
const SIGNS: u32 = 6;

/// What a request without a body changes in the tree of files, in a transaction.
pub struct Change {
    /// Entries that it may touch.
    weight: usize,
    /// Whether something may be nobody's after it.
    frees: bool,
    apply: Box<Apply>,
}

/// Applies a change inside the transaction of a group.
type Apply = dyn FnOnce(&Connection, &Caller) -> Result<Reply> + Send;

impl Change {
    fn new(
        weight: usize,
        frees: bool,
        apply: impl FnOnce(&Connection, &Caller) -> Result<Reply> + Send + 'static,
    ) -> Self {
        Self { weight, frees, apply: Box::new(apply) }
    }
}

impl std::fmt::Debug for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Change").field("weight", &self.weight).finish_non_exhaustive()
    }
}

/// The path at which a change that succeeds leaves something else than was there, or nothing.
pub fn disturbs(request: &Request) -> Option<RemotePath> {
    match request {
        Request::Link(request) => Some(request.path.clone()),
        Request::Remove(request) => Some(request.path.clone()),
        _ => None,
    }
}

/// The change that a request asks for; any other request is given back, and is for [`serve`].
pub fn change(request: Request) -> std::result::Result<Change, Box<Request>> {
    Ok(match request {
        Request::MakeDirectory(request) => {
            Change::new(request.path.depth(), false, move |connection, caller| {
                make_directory::apply(connection, caller, &request)
            })
        }
        Request::Link(request) => Change::new(request.path.depth(), true, move |connection, caller| {
            link::apply(connection, caller, &request)
        }),
        Request::Remove(request) => {
            let below = if request.recursive { entries::FEW } else { 0 };
            Change::new(request.path.depth() + below, true, move |connection, caller| {
                remove::apply(connection, caller, &request)
            })
        }
        other => return Err(Box::new(other)),
    })
}

/// Refuses a request that would make the catalog grow into what is kept of the disk for deletions and administration.
pub fn admit(state: &State, request: &Request) -> Result<()> {
    match request {
        Request::MakeDirectory(_) | Request::Link(_) | Request::Copy(_) => state.blobs.reserve().admit(),
        _ => Ok(()),
    }
}

/// Calls those who work in the background when a change is over: names that went may have been the last of their contents.
#[derive(Debug)]
struct Calls {
    garbage: Arc<Notify>,
    trees: Trees,
    /// What listings have to know of, until the change is over.
    disturbing: Disturbing,
    weight: usize,
    frees: bool,
}

impl Calls {
    /// `weight` is how many entries the change may touch, `frees` whether something may be nobody's after it.
    fn of(state: &State, weight: usize, frees: bool) -> Self {
        let disturbing = Disturbing::new(&state.disturbances);
        Self { garbage: state.garbage.clone(), trees: state.trees.clone(), disturbing, weight, frees }
    }
}

impl Held for Calls {
    fn weight(&self) -> usize {
        self.weight
    }

    fn ends_with_its_asker(&self) -> bool {
        true
    }
}

impl Drop for Calls {
    fn drop(&mut self) {
        if self.frees {
            self.garbage.notify_one();
            self.trees.wake();
        }
    }
}

/// A client that waits for a change that takes its time.
pub struct Waiting<'a> {
    writer: &'a mut Writer,
    /// Whether the client went away.
    cut: &'a AtomicBool,
    /// Whether the client knows the reply that says that the server is working.
    knows_working: bool,
    /// When it was told last that the server is working.
    told: Option<Instant>,
    /// How long it is waited between two signs.
    pause: Duration,
}

impl<'a> Waiting<'a> {
    /// A client that has just asked.
    pub fn new(state: &State, writer: &'a mut Writer, cut: &'a AtomicBool, knows_working: bool) -> Self {
        let pause = state.config().timeouts.stall() / SIGNS;
        Self { writer, cut, knows_working, told: None, pause }
    }

    /// Tells the client now and then how many entries are done. Fails if the client is gone, which cancels its request.
    async fn go_on(&mut self, entries: u64) -> Result<()> {
        if self.cut.load(Ordering::Relaxed) {
            return Err(StreamError::Closed.into());
        }
        if self.knows_working && self.told.is_none_or(|told| told.elapsed() >= self.pause) {
            self.told = Some(Instant::now());
            self.writer.push(&Reply::Working { entries })?;
            self.writer.flush().await?;
        }
        Ok(())
    }
}

/// Queues a change behind those that were sent before it, as an upload's commit is.
pub async fn submit(
    state: &Arc<State>,
    caller: &Caller,
    change: Change,
    disturbed: Option<RemotePath>,
) -> Pending<Reply> {
    let (catalog, caller) = (caller.changes(state), caller.clone());
    let Change { weight, frees, apply } = change;
    let work = move |connection: &Connection, calls: &Calls| {
        let reply = apply(connection, &caller)?;
        disturbed.iter().for_each(|path| calls.disturbing.tell(&caller.name, path));
        Ok(reply)
    };
    catalog.submit_holding(Calls::of(state, weight, frees), work, |_, _, _| Ok(())).await
}

/// Serves a request whose turn has come, and tells what came of it. An error means that the connection is of no further use.
pub async fn serve(
    state: &Arc<State>,
    caller: &Caller,
    prefixes: &Prefixes,
    mut waiting: Waiting<'_>,
    request: Request,
) -> Result<Outcome> {
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
            Ok(Outcome::of(&reply))
        }
    }
}

/// Replies to a request that the client has waited for.
fn conclude(writer: &mut Writer, result: Result<Reply>) -> Result<Outcome> {
    if let Err(Error::Stream(error)) = result {
        return Err(error.into());
    }
    let reply = to_reply(result);
    push(writer, &reply)?;
    Ok(Outcome::of(&reply))
}

/// The requests that have one reply.
async fn single(state: &Arc<State>, caller: &Caller, prefixes: &Prefixes, request: Request) -> Result<Reply> {
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
        | Request::Log(_) => Err(Error::refused(ErrorCode::BadRequest, "this request has no place here")),
    }
}

/// Queues a reply; one that is too long for a message becomes an error.
pub fn push(writer: &mut Writer, reply: &Reply) -> Result<()> {
    match writer.push(reply) {
        Err(StreamError::Message(MessageError::Frame(error))) => {
            error!(%error, "a reply is too long");
            let message = "the answer is too long for one message: ask for less, as in `sealift ls /`";
            Ok(writer.push(&Reply::Error(WireError::new(ErrorCode::Internal, message)))?)
        }
        pushed => Ok(pushed?),
    }
}

/// What the client is told; what only an administrator should know goes to the log.
pub fn to_reply(result: Result<Reply>) -> Reply {
    match result {
        Ok(reply) => reply,
        Err(error) => {
            if error.is_internal() {
                error.log("a request failed");
            } else {
                debug!(%error, "a request was refused");
            }
            Reply::Error(error.to_wire())
        }
    }
}

/// What the caller may do in the space of a path, and the names below it.
///
/// Every request comes through here, so the certificate is checked here, too.
pub fn enter(connection: &Connection, caller: &Caller, path: &RemotePath) -> Result<(Access, Vec<String>)> {
    caller.verify(connection)?;
    match path.locate(&caller.name)? {
        Location::In { space, names } => Ok((spaces::access(connection, caller.identity, &space)?, names)),
        Location::Spaces => Err(Error::refused(
            ErrorCode::IsADirectory,
            "/ is the list of spaces: name a space in it, as in /NAME/FILE",
        )),
    }
}

/// The same with a permit for any of `rights`.
pub fn enter_with(
    connection: &Connection,
    caller: &Caller,
    path: &RemotePath,
    rights: Rights,
) -> Result<(Permit, Vec<String>)> {
    let (access, names) = enter(connection, caller, path)?;
    if rights != Rights::READ {
        caller.refuse_changes()?;
    }
    Ok((access.permit(rights)?, names))
}

/// What a path leads to; neither a file nor a link answers to a path that means a directory.
pub fn find_place(
    connection: &Connection,
    permit: &Permit,
    path: &RemotePath,
    names: &[String],
) -> Result<Place> {
    let place = entries::find(connection, permit, names)?;
    let what = match &place {
        Place::File(..) if path.means_directory() => "file",
        Place::Link(..) if path.means_directory() => "symbolic link",
        _ => return Ok(place),
    };
    let path = entries::display(permit.name(), names);
    Err(Error::refused(
        ErrorCode::NotADirectory,
        format!("{path} is a {what}: give the path without the trailing slash"),
    ))
}
