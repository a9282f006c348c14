//! `move` and `copy`: new names for what is there; no content moves.
//!
//! What touches few entries is one change. A large tree is copied in slices, and measured in slices before it is moved to
//! a longer path. Rights and paths are looked at anew in each slice.

use std::sync::Arc;

use rusqlite::Connection;
use sealift_protocol::message::{Reply, Transplant};
use sealift_types::{EntryPath, ErrorCode, Rights};

use super::access::{enter_with, find_place};
use super::background::BackgroundCalls;
use super::waiting::WaitingClient;
use crate::caller::Caller;
use crate::clock;
use crate::error::{Result, ServerError};
use crate::policy::Permit;
use crate::state::ServerState;
use crate::store::entries::{
    self, CopyProgress, EntryPlace, LongestPath, NewEntry, PathMeasure, TreeCopied, TreeCopy, TreeMoved,
    WorkSlice,
};

/// Entries that are measured in one look.
const LOOK: usize = 20_000;

/// How often a directory is measured that another has taken the place of by the time of the move.
const ATTEMPTS: usize = 4;

/// Source and target of a request, with the rights on them as they are now.
pub(crate) struct TransplantEnds {
    from: Permit,
    from_names: Vec<String>,
    to: Permit,
    to_names: Vec<String>,
}

impl TransplantEnds {
    pub(crate) fn of_move(connection: &Connection, caller: &Caller, paths: &Transplant) -> Result<Self> {
        let (ends, place) = Self::find(connection, caller, paths, Rights::DELETE.union(Rights::READ))?;
        ends.check_target(connection, paths, &place, Some(&place))?;
        Ok(ends)
    }

    pub(crate) fn of_copy(connection: &Connection, caller: &Caller, paths: &Transplant) -> Result<Self> {
        let (ends, place) = Self::find(connection, caller, paths, Rights::READ)?;
        ends.check_target(connection, paths, &place, None)?;
        Ok(ends)
    }

    /// `rights` are those that are needed at the source, which is returned, too.
    fn find(
        connection: &Connection,
        caller: &Caller,
        paths: &Transplant,
        rights: Rights,
    ) -> Result<(Self, EntryPlace)> {
        let (from, from_names) = enter_with(connection, caller, &paths.from, rights)?;
        let place = find_place(connection, &from, &paths.from, &from_names)?;
        let (to, to_names) = enter_target(connection, caller, &paths.to)?;
        Ok((Self { from, from_names, to, to_names }, place))
    }

    /// Refuses a target that the client does not want to be taken. `leaves` is what will not be there any more.
    fn check_target(
        &self,
        connection: &Connection,
        paths: &Transplant,
        source: &EntryPlace,
        leaves: Option<&EntryPlace>,
    ) -> Result<()> {
        let Transplant { if_absent, exact, .. } = *paths;
        if exact {
            entries::check_no_directory(connection, &self.to, &self.to_names, leaves)?;
        }
        if if_absent {
            let name = source.name().unwrap_or_default();
            entries::check_absent(connection, &self.to, &self.to_names, name, leaves)?;
        }
        Ok(())
    }

    pub(crate) fn from(&self) -> (&Permit, &[String]) {
        (&self.from, &self.from_names)
    }

    pub(crate) fn to(&self) -> (&Permit, &[String]) {
        (&self.to, &self.to_names)
    }

    /// The answer. What was at the new place, if anything, is not there any more.
    fn placed(&self, names: &[String], caller: &Caller, calls: &BackgroundCalls) -> Result<Reply> {
        let path = entries::display(self.to.name(), names).parse()?;
        calls.disturbing.tell(&caller.name, &path);
        Ok(Reply::Placed { path })
    }
}

/// Moves a file, a link or a directory.
pub(super) async fn rename(
    state: &Arc<ServerState>,
    caller: &Caller,
    waiting: &mut WaitingClient<'_>,
    paths: Arc<Transplant>,
) -> Result<Reply> {
    let mut measured = None;
    for _ in 0..ATTEMPTS {
        let (here, request) = (caller.clone(), paths.clone());
        let work = move |connection: &Connection, calls: &BackgroundCalls| {
            let ends = TransplantEnds::of_move(connection, &here, &request)?;
            let now = clock::now();
            let directories = NewEntry { mtime: now, executable: false, by: here.identity, now };
            match entries::rename(connection, ends.from(), ends.to(), &directories, measured)? {
                TreeMoved::Done(names) => {
                    calls.disturbing.tell(&here.name, &request.from);
                    ends.placed(&names, &here, calls).map(Ok)
                }
                TreeMoved::Unmeasured(measure) => Ok(Err(measure)),
            }
        };
        let moving =
            caller.changes(&state.catalog).submit_holding(calls(state, &paths), work, |_, _, _| Ok(())).await;
        match moving.wait().await? {
            Ok(reply) => return Ok(reply),
            Err(measure) => measured = Some(measure_all(state, waiting, measure).await?),
        }
    }
    let message = format!("{} is changed all the time: try again in a moment", paths.from);
    Err(ServerError::refused(ErrorCode::Busy, message))
}

/// What a change of both ends holds, which touches few entries besides those on the way to them.
fn calls(state: &ServerState, paths: &Transplant) -> BackgroundCalls {
    BackgroundCalls::of(state, paths.from.depth() + paths.to.depth() + entries::FEW, true)
}

/// Finds out how long the paths below a directory are. Reads only, so nobody waits for it.
async fn measure_all(
    state: &Arc<ServerState>,
    waiting: &mut WaitingClient<'_>,
    mut measure: PathMeasure,
) -> Result<LongestPath> {
    let mut looks = 0;
    loop {
        let look = move |connection: &Connection| {
            let longest = measure.go_on(connection, &mut WorkSlice::of(LOOK))?;
            Ok((measure, longest))
        };
        let longest;
        (measure, longest) = state.catalog.read(look).await?;
        if let Some(longest) = longest {
            return Ok(longest);
        }
        looks += 1;
        waiting.go_on(looks * LOOK as u64).await?;
    }
}

/// Copies a file, a link, or a directory with all that is in it.
pub(super) async fn copy(
    state: &Arc<ServerState>,
    caller: &Caller,
    waiting: &mut WaitingClient<'_>,
    paths: Arc<Transplant>,
) -> Result<Reply> {
    let (here, request) = (caller.clone(), paths.clone());
    let work = move |connection: &Connection, calls: &BackgroundCalls| {
        let ends = TransplantEnds::of_copy(connection, &here, &request)?;
        match entries::copy(connection, ends.from(), ends.to(), here.identity, clock::now())? {
            TreeCopied::Done(names) => ends.placed(&names, &here, calls).map(Some),
            TreeCopied::Large => Ok(None),
        }
    };
    let copying =
        caller.changes(&state.catalog).submit_holding(calls(state, &paths), work, |_, _, _| Ok(())).await;
    match copying.wait().await? {
        Some(reply) => Ok(reply),
        None => {
            let copied = copy_large(state, caller, waiting, paths).await;
            // What was left unfinished is reclaimed.
            state.trees.wake();
            copied
        }
    }
}

/// Copies a large directory, slice by slice. Dropped half-way, it leaves what it has to be reclaimed.
async fn copy_large(
    state: &Arc<ServerState>,
    caller: &Caller,
    waiting: &mut WaitingClient<'_>,
    paths: Arc<Transplant>,
) -> Result<Reply> {
    let catalog = caller.changes(&state.catalog);
    let most = state.config().trees.copy_limit.get() as u64;
    let (here, request, building) = (caller.clone(), paths.clone(), state.trees.building().clone());
    let begin = move |connection: &Connection, _: &mut WorkSlice| {
        let ends = TransplantEnds::of_copy(connection, &here, &request)?;
        TreeCopy::begin(connection, &building, ends.from(), ends.to(), here.identity, clock::now())
    };
    let mut copying = state.trees.slice(&catalog, begin).await?;
    loop {
        state.blobs.reserve().admit()?;
        let (here, request) = (caller.clone(), paths.clone());
        let go_on = move |connection: &Connection, slice: &mut WorkSlice| {
            let ends = TransplantEnds::of_copy(connection, &here, &request)?;
            copying.check_length(ends.to())?;
            let progress = copying.go_on(connection, ends.from(), slice)?;
            Ok((copying, progress))
        };
        let progress;
        (copying, progress) = state.trees.slice(&catalog, go_on).await?;
        waiting.go_on(copying.entries()).await?;
        if copying.entries() > most {
            return Err(too_large(&paths.from, most));
        }
        match progress {
            CopyProgress::Growing => {}
            CopyProgress::Complete => break,
            CopyProgress::Gone => return Err(gone(&paths.from)),
        }
    }
    let (here, request) = (caller.clone(), paths.clone());
    let link = move |connection: &Connection| {
        let ends = TransplantEnds::of_copy(connection, &here, &request)?;
        let names = copying.link(connection, ends.from(), ends.to())?;
        // Nothing was at the new place.
        Ok(Reply::Placed { path: entries::display(ends.to.name(), &names).parse()? })
    };
    catalog.write(link).await
}

fn too_large(path: &EntryPath, most: u64) -> ServerError {
    ServerError::refused(
        ErrorCode::NotAllowed,
        format!(
            "{path} has more than {most} entries, the most that the server copies at once (trees.copy_limit): \
             copy its directories one by one"
        ),
    )
}

fn gone(path: &EntryPath) -> ServerError {
    ServerError::refused(
        ErrorCode::NotFound,
        format!("{path} was moved or deleted while it was copied, and nothing was copied: try again"),
    )
}

/// A target with a trailing slash has to be a directory that exists.
fn enter_target(connection: &Connection, caller: &Caller, path: &EntryPath) -> Result<(Permit, Vec<String>)> {
    let (permit, names) = enter_with(connection, caller, path, Rights::CREATE.union(Rights::REPLACE))?;
    if path.means_directory() {
        let refused = |code, what| {
            let path = entries::display(permit.name(), &names);
            Err(ServerError::refused(
                code,
                format!("{path} {what}: to give a new name, leave out the trailing slash"),
            ))
        };
        match entries::find(connection, &permit, &names) {
            Ok(EntryPlace::Root | EntryPlace::Directory(_)) => {}
            Ok(EntryPlace::File(..)) => {
                return refused(ErrorCode::NotADirectory, "is a file, not a directory");
            }
            Ok(EntryPlace::Link(..)) => {
                return refused(
                    ErrorCode::NotADirectory,
                    "is a symbolic link, which the server does not follow",
                );
            }
            Err(_) => return refused(ErrorCode::NotFound, "is no directory on the server"),
        }
    }
    Ok((permit, names))
}
