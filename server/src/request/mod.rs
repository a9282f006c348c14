//! What the server does for each request. One file each.

pub mod get;
pub mod info;
pub mod list;
pub mod log;
pub mod plan;
pub mod put;
pub mod remove;
pub mod renew;
pub mod report;
pub mod transplant;
pub mod whoami;

use std::sync::Arc;

use rusqlite::Connection;
use sealift_protocol::io::StreamError;
use sealift_protocol::message::{MessageError, Reply, Request};
use sealift_protocol::{ErrorCode, Location, RemotePath, WireError};
use tracing::{Instrument, debug, error, info_span};

use crate::error::{Error, Result};
use crate::policy::{Access, Permit, Rights};
use crate::prefixes::Prefixes;
use crate::session::{Caller, Writer};
use crate::state::State;
use crate::store::entries::{self, Place};
use crate::store::spaces;

/// Serves a request whose turn has come. An error means that the connection is of no further use.
pub async fn serve(
    state: &Arc<State>,
    caller: &Caller,
    prefixes: &Prefixes,
    writer: &mut Writer,
    request: Request,
) -> Result<()> {
    // Boxed, so that an idle connection does not carry the room that the largest of these needs.
    match request {
        Request::Get(get) => {
            let span = info_span!("get", path = %get.path);
            Box::pin(get::serve(state, caller, writer, get)).instrument(span).await
        }
        Request::List(list) => {
            let span = info_span!("list", path = %list.path);
            Box::pin(list::serve(state, caller, writer, list)).instrument(span).await
        }
        Request::Log(query) => {
            Box::pin(log::serve(state, caller, writer, query)).instrument(info_span!("log")).await
        }
        other => {
            let reply = to_reply(Box::pin(single(state, caller, prefixes, other)).await);
            push(writer, &reply)
        }
    }
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
        Request::Remove(remove) => {
            let span = info_span!("remove", path = %remove.path);
            remove::serve(state, caller, remove).instrument(span).await
        }
        Request::Move(paths) => {
            let span = info_span!("move", from = %paths.from, to = %paths.to);
            transplant::serve_move(state, caller, paths).instrument(span).await
        }
        Request::Copy(paths) => {
            let span = info_span!("copy", from = %paths.from, to = %paths.to);
            transplant::serve_copy(state, caller, paths).instrument(span).await
        }
        Request::Whoami(_) => whoami::serve(state, caller).instrument(info_span!("whoami")).await,
        Request::Renew(renew) => renew::serve(state, caller, renew).instrument(info_span!("renew")).await,
        Request::Report(report) => {
            let span = info_span!("report", path = %report.path);
            report::serve(state, caller, report).instrument(span).await
        }
        Request::MakeDirectory(_)
        | Request::Link(_)
        | Request::Hello(_)
        | Request::Put(_)
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
                error!(%error, "a request failed");
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
    Ok((access.permit(rights)?, names))
}

/// What a path leads to; a file does not answer to a path that means a directory.
pub fn find_place(
    connection: &Connection,
    permit: &Permit,
    path: &RemotePath,
    names: &[String],
) -> Result<Place> {
    match entries::find(connection, permit, names)? {
        Place::File(..) if path.means_directory() => Err(Error::refused(
            ErrorCode::NotADirectory,
            format!(
                "{} is a file: give the path without the trailing slash",
                entries::display(permit.name(), names)
            ),
        )),
        place => Ok(place),
    }
}
