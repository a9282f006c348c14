//! `move` and `copy`: new names for what is there; no content moves.
//!
//! What touches few entries is one change. A large tree is copied in slices, and measured in slices before it is moved to
//! a longer path. Rights and paths are looked at anew in each slice.

use std::sync::Arc;

use rusqlite::Connection;
use sealift_protocol::message::{Reply, Transplant};
use sealift_protocol::{ErrorCode, RemotePath};

use super::{Calls, Waiting, enter_with, find_place};
use crate::clock;
use crate::error::{Error, Result};
use crate::policy::{Permit, Rights};
use crate::session::Caller;
use crate::state::State;
use crate::store::entries::{
    self, Copied, Copying, Longest, Measure, Moved, NewFile, Place, Progress, Slice,
};

/// Entries that are measured in one look.
const LOOK: usize = 20_000;

/// How often a directory is measured that another has taken the place of by the time of the move.
const ATTEMPTS: usize = 4;

/// Source and target of a request, with the rights on them as they are now.
pub(crate) struct Ends {
    from: Permit,
    from_names: Vec<String>,
    to: Permit,
    to_names: Vec<String>,
}

impl Ends {
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
    ) -> Result<(Self, Place)> {
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
        source: &Place,
        leaves: Option<&Place>,
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
    fn placed(&self, names: &[String], caller: &Caller, calls: &Calls) -> Result<Reply> {
        let path = entries::display(self.to.name(), names).parse()?;
        calls.disturbing.tell(&caller.name, &path);
        Ok(Reply::Placed { path })
    }
}

/// Moves a file, a link or a directory.
pub(super) async fn rename(
    state: &Arc<State>,
    caller: &Caller,
    waiting: &mut Waiting<'_>,
    paths: Arc<Transplant>,
) -> Result<Reply> {
    let mut measured = None;
    for _ in 0..ATTEMPTS {
        let (here, request) = (caller.clone(), paths.clone());
        let work = move |connection: &Connection, calls: &Calls| {
            let ends = Ends::of_move(connection, &here, &request)?;
            let now = clock::now();
            let directories = NewFile { mtime: now, executable: false, by: here.identity, now };
            match entries::rename(connection, ends.from(), ends.to(), &directories, measured)? {
                Moved::Done(names) => {
                    calls.disturbing.tell(&here.name, &request.from);
                    ends.placed(&names, &here, calls).map(Ok)
                }
                Moved::Unmeasured(measure) => Ok(Err(measure)),
            }
        };
        let moving = caller.changes(state).submit_holding(calls(state, &paths), work, |_, _, _| Ok(())).await;
        match moving.wait().await? {
            Ok(reply) => return Ok(reply),
            Err(measure) => measured = Some(measure_all(state, waiting, measure).await?),
        }
    }
    let message = format!("{} is changed all the time: try again in a moment", paths.from);
    Err(Error::refused(ErrorCode::Busy, message))
}

/// What a change of both ends holds, which touches few entries besides those on the way to them.
fn calls(state: &State, paths: &Transplant) -> Calls {
    Calls::of(state, paths.from.depth() + paths.to.depth() + entries::FEW, true)
}

/// Finds out how long the paths below a directory are. Reads only, so nobody waits for it.
async fn measure_all(state: &Arc<State>, waiting: &mut Waiting<'_>, mut measure: Measure) -> Result<Longest> {
    let mut looks = 0;
    loop {
        let look = move |connection: &Connection| {
            let longest = measure.go_on(connection, &mut Slice::of(LOOK))?;
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
    state: &Arc<State>,
    caller: &Caller,
    waiting: &mut Waiting<'_>,
    paths: Arc<Transplant>,
) -> Result<Reply> {
    let (here, request) = (caller.clone(), paths.clone());
    let work = move |connection: &Connection, calls: &Calls| {
        let ends = Ends::of_copy(connection, &here, &request)?;
        match entries::copy(connection, ends.from(), ends.to(), here.identity, clock::now())? {
            Copied::Done(names) => ends.placed(&names, &here, calls).map(Some),
            Copied::Large => Ok(None),
        }
    };
    let copying = caller.changes(state).submit_holding(calls(state, &paths), work, |_, _, _| Ok(())).await;
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
    state: &Arc<State>,
    caller: &Caller,
    waiting: &mut Waiting<'_>,
    paths: Arc<Transplant>,
) -> Result<Reply> {
    let catalog = caller.changes(state);
    let most = state.config().trees.copy_limit.get() as u64;
    let (here, request, building) = (caller.clone(), paths.clone(), state.trees.building().clone());
    let begin = move |connection: &Connection, _: &mut Slice| {
        let ends = Ends::of_copy(connection, &here, &request)?;
        Copying::begin(connection, &building, ends.from(), ends.to(), here.identity, clock::now())
    };
    let mut copying = state.trees.slice(&catalog, begin).await?;
    loop {
        state.blobs.reserve().admit()?;
        let (here, request) = (caller.clone(), paths.clone());
        let go_on = move |connection: &Connection, slice: &mut Slice| {
            let ends = Ends::of_copy(connection, &here, &request)?;
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
            Progress::Growing => {}
            Progress::Complete => break,
            Progress::Gone => return Err(gone(&paths.from)),
        }
    }
    let (here, request) = (caller.clone(), paths.clone());
    let link = move |connection: &Connection| {
        let ends = Ends::of_copy(connection, &here, &request)?;
        let names = copying.link(connection, ends.from(), ends.to())?;
        // Nothing was at the new place.
        Ok(Reply::Placed { path: entries::display(ends.to.name(), &names).parse()? })
    };
    catalog.write(link).await
}

fn too_large(path: &RemotePath, most: u64) -> Error {
    Error::refused(
        ErrorCode::NotAllowed,
        format!(
            "{path} has more than {most} entries, the most that the server copies at once (trees.copy_limit): \
             copy its directories one by one"
        ),
    )
}

fn gone(path: &RemotePath) -> Error {
    Error::refused(
        ErrorCode::NotFound,
        format!("{path} was moved or deleted while it was copied, and nothing was copied: try again"),
    )
}

/// A target with a trailing slash has to be a directory that exists.
fn enter_target(
    connection: &Connection,
    caller: &Caller,
    path: &RemotePath,
) -> Result<(Permit, Vec<String>)> {
    let (permit, names) = enter_with(connection, caller, path, Rights::CREATE.union(Rights::REPLACE))?;
    if path.means_directory() {
        let refused = |code, what| {
            let path = entries::display(permit.name(), &names);
            Err(Error::refused(
                code,
                format!("{path} {what}: to give a new name, leave out the trailing slash"),
            ))
        };
        match entries::find(connection, &permit, &names) {
            Ok(Place::Root | Place::Directory(_)) => {}
            Ok(Place::File(..)) => return refused(ErrorCode::NotADirectory, "is a file, not a directory"),
            Ok(Place::Link(..)) => {
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
