//! Everything that moves no contents: listing, describing, renaming, deleting, the log, the account.

use sealift_protocol::message::{
    Account, Description, Direction, Entry, Info, List, LogQuery, MakeDirectory, Remove, Renew, Transfer,
    Transplant, Whoami,
};
use sealift_protocol::{Reply, Request, WireError};
use sealift_types::EntryPath;

use crate::connection::Connection;
use crate::error::TransferError;

/// The most records that a server returns to one log query.
const LOG_QUERY: u32 = 1000;

/// Entries of a tree that are asked for at a time, where what is found is worked on meanwhile.
pub(crate) const PAGE: u64 = 1000;

/// Begins to list a directory, a file or, for `/`, the spaces.
///
/// # Errors
/// Fails when the request cannot be sent; that there is no such path shows at the first page.
pub async fn list(connection: &mut Connection, list: List) -> Result<RemoteListing<'_>, TransferError> {
    connection.enter();
    let limit = list.limit;
    connection.push(&Request::List(list))?;
    connection.flush().await?;
    Ok(RemoteListing { connection, more: true, limit, entries: 0, state: None, changed: false })
}

/// A listing, page by page, so that a directory may have any number of entries.
#[derive(Debug)]
pub struct RemoteListing<'a> {
    connection: &'a mut Connection,
    more: bool,
    /// How many entries were asked for at most (0 is no limit), and how many have come.
    limit: u64,
    entries: u64,
    /// What was listed, as its first page began.
    pub(crate) state: Option<String>,
    /// Whether something was moved, replaced or deleted since what the list asked about.
    pub(crate) changed: bool,
}

impl RemoteListing<'_> {
    /// The next entries, sorted by name; `None` after the last. A listing that is not read to its end leaves the
    /// connection spent.
    ///
    /// # Errors
    /// Fails when the server refuses, and when the connection breaks.
    pub async fn page(&mut self) -> Result<Option<Vec<Entry>>, TransferError> {
        if !self.more {
            return Ok(None);
        }
        let replies = &mut self.connection.replies;
        let reply = if self.entries == 0 { replies.next().await? } else { replies.more().await? };
        self.more = matches!(reply, Reply::Entries { more: true, .. });
        if let Reply::Entries { entries, more, .. } = &reply {
            check_page(entries.len(), *more)?;
            self.entries += entries.len() as u64;
            if self.limit != 0 && self.entries > self.limit {
                return Err(too_many_entries());
            }
        }
        if !self.more {
            self.connection.leave();
        }
        match reply {
            Reply::Entries { entries, state, changed, .. } => {
                self.state = self.state.take().or(state);
                self.changed = changed;
                Ok(Some(entries))
            }
            other => Err(unexpected(other)),
        }
    }
}

/// Describes paths; `each` gets what was found, or why not, in the order of the paths.
///
/// # Errors
/// Fails when the connection breaks, not when a path cannot be described.
pub async fn info(
    connection: &mut Connection,
    paths: &[EntryPath],
    mut each: impl FnMut(usize, Result<Description, WireError>),
) -> Result<(), TransferError> {
    let requests: Vec<_> = paths.iter().map(|path| Request::Info(Info { path: path.clone() })).collect();
    let take = |number, reply| match reply {
        Reply::Info(description) => {
            each(number, Ok(description));
            Ok(())
        }
        Reply::Error(error) => {
            each(number, Err(error));
            Ok(())
        }
        other => Err(unexpected(other)),
    };
    connection.ask_all(&requests, take).await
}

/// Deletes files and directories, which have to be empty unless it is `recursive`; `each` is told how it went, in the order of the paths.
///
/// # Errors
/// Fails when the connection breaks, not when a path cannot be deleted.
pub async fn remove(
    connection: &mut Connection,
    paths: &[EntryPath],
    recursive: bool,
    each: impl FnMut(usize, Result<(), WireError>),
) -> Result<(), TransferError> {
    let requests: Vec<_> = paths
        .iter()
        .map(|path| Request::Remove(Remove { path: path.clone(), recursive, if_match: None }))
        .collect();
    ask_to_remove(connection, &requests, each).await
}

/// Deletes files, links and empty directories if they are what their etags say; `each` is told how it went, in the
/// order of the paths.
///
/// # Errors
/// Fails when the connection breaks, not when a path cannot be deleted.
pub(crate) async fn remove_unchanged(
    connection: &mut Connection,
    paths: impl Iterator<Item = (EntryPath, Option<String>)>,
    each: impl FnMut(usize, Result<(), WireError>),
) -> Result<(), TransferError> {
    let request = |(path, etag): (_, Option<String>)| {
        // A server that knows conditions gives each entry its etag; none at all matches nothing.
        Request::Remove(Remove { path, recursive: false, if_match: Some(etag.unwrap_or_default()) })
    };
    let requests: Vec<_> = paths.map(request).collect();
    ask_to_remove(connection, &requests, each).await
}

async fn ask_to_remove(
    connection: &mut Connection,
    requests: &[Request],
    mut each: impl FnMut(usize, Result<(), WireError>),
) -> Result<(), TransferError> {
    let take = |number, reply| match reply {
        Reply::Done {} => {
            each(number, Ok(()));
            Ok(())
        }
        Reply::Error(error) => {
            each(number, Err(error));
            Ok(())
        }
        other => Err(unexpected(other)),
    };
    connection.ask_all(requests, take).await
}

/// Deletes an entry if a listing would tell this etag of it now: a directory only if nothing is in it.
///
/// # Errors
/// Fails when the server refuses, and when the connection breaks.
pub async fn remove_if(
    connection: &mut Connection,
    path: EntryPath,
    etag: String,
) -> Result<(), TransferError> {
    let mut refused = None;
    remove_unchanged(connection, std::iter::once((path, Some(etag))), |_, answer| refused = answer.err())
        .await?;
    refused.map_or(Ok(()), |error| Err(error.into()))
}

/// Makes a directory, and those above it that are missing. Fails if something is at the path. Returns the etag of the
/// directory, for [`remove_if`].
///
/// # Errors
/// Fails when the server refuses or is too old, and when the connection breaks.
pub async fn make_new_directory(
    connection: &mut Connection,
    path: EntryPath,
) -> Result<String, TransferError> {
    need_absence(connection).await?;
    let request = MakeDirectory { path, mtime: None, if_absent: true };
    match connection.ask(&Request::MakeDirectory(request)).await? {
        Reply::Made { etag } => Ok(etag),
        other => Err(unexpected(other)),
    }
}

/// Renames or moves an entry. Returns its new path.
///
/// # Errors
/// Fails when the server refuses or is too old for the conditions, and when the connection breaks.
pub async fn rename(connection: &mut Connection, paths: Transplant) -> Result<EntryPath, TransferError> {
    check_conditions(connection, &paths).await?;
    placed(connection.ask_for_work(&Request::Move(paths)).await?)
}

/// Copies a file, a link or a directory; no content is moved. Returns the copy's whole path.
///
/// # Errors
/// Fails when the server refuses or is too old for the conditions, and when the connection breaks.
pub async fn copy(connection: &mut Connection, paths: Transplant) -> Result<EntryPath, TransferError> {
    check_conditions(connection, &paths).await?;
    placed(connection.ask_for_work(&Request::Copy(paths)).await?)
}

/// A server that does not know a condition ignores it, and replaces what is there.
async fn check_conditions(connection: &mut Connection, paths: &Transplant) -> Result<(), TransferError> {
    if paths.if_absent || paths.exact { need_absence(connection).await } else { Ok(()) }
}

async fn need_absence(connection: &mut Connection) -> Result<(), TransferError> {
    // What the server knows is in its welcome, which nobody may have read yet.
    connection.enter();
    connection.flush().await?;
    connection.replies.greeting().await?;
    connection.leave();
    if connection.replies.know_absence() {
        return Ok(());
    }
    Err(TransferError::TooOld("promise that nothing is replaced"))
}

/// Who the server takes this client for, and what that one may do.
///
/// # Errors
/// Fails when the server refuses, and when the connection breaks.
pub async fn whoami(connection: &mut Connection) -> Result<Account, TransferError> {
    match connection.ask(&Request::Whoami(Whoami {})).await? {
        Reply::Identity(account) => Ok(account),
        other => Err(unexpected(other)),
    }
}

/// Trades a certificate request for a certificate of the same identity, PEM.
///
/// # Errors
/// Fails when the server refuses, and when the connection breaks.
pub async fn renew(connection: &mut Connection, csr_pem: String) -> Result<String, TransferError> {
    match connection.ask(&Request::Renew(Renew { csr: csr_pem })).await? {
        Reply::Certificate { certificate } => Ok(certificate),
        other => Err(unexpected(other)),
    }
}

/// Which records of the transfer log are wanted.
#[derive(Debug, Clone, Default)]
pub struct LogFilter {
    /// The most records; all if absent.
    pub limit: Option<u64>,
    /// Only this direction.
    pub direction: Option<Direction>,
    /// Only what failed.
    pub failed: bool,
    /// Also what was only shown.
    pub previews: bool,
    /// Only this path, or what is below it.
    pub path: Option<EntryPath>,
}

/// Begins to read the transfer log, newest first.
pub fn log(connection: &mut Connection, filter: LogFilter) -> RemoteLog<'_> {
    RemoteLog { connection, filter, before: None, expected: 0, more: false, end: false }
}

/// The transfer log, page by page, so that it may have any length.
#[derive(Debug)]
pub struct RemoteLog<'a> {
    connection: &'a mut Connection,
    filter: LogFilter,
    /// The oldest record so far.
    before: Option<i64>,
    /// Records that the present query may still return.
    expected: u32,
    /// Whether the present query's answer goes on.
    more: bool,
    /// Whether the log has nothing older.
    end: bool,
}

impl RemoteLog<'_> {
    /// The next records; `None` after the last. A log that is not read to its end may leave the connection spent.
    ///
    /// # Errors
    /// Fails when the server refuses, and when the connection breaks.
    pub async fn page(&mut self) -> Result<Option<Vec<Transfer>>, TransferError> {
        loop {
            let is_first = !self.more;
            if is_first {
                let left = self.filter.limit.unwrap_or(u64::MAX);
                self.expected = u32::try_from(left).unwrap_or(u32::MAX).min(LOG_QUERY);
                if self.end || self.expected == 0 {
                    return Ok(None);
                }
                self.connection.enter();
                self.connection.push(&Request::Log(LogQuery {
                    limit: self.expected,
                    before: self.before,
                    direction: self.filter.direction,
                    failed: self.filter.failed,
                    previews: self.filter.previews,
                    path: self.filter.path.clone(),
                }))?;
                self.connection.flush().await?;
            }
            let replies = &mut self.connection.replies;
            let reply = if is_first { replies.next().await? } else { replies.more().await? };
            self.more = matches!(reply, Reply::Log { more: true, .. });
            if !self.more {
                self.connection.leave();
            }
            let Reply::Log { transfers, more } = reply else { return Err(unexpected(reply)) };
            check_page(transfers.len(), more)?;
            self.check_order(&transfers)?;
            self.take(&transfers);
            if !transfers.is_empty() {
                return Ok(Some(transfers));
            }
        }
    }

    /// Each record is older than the one before it: a log that turns in a circle has no end.
    fn check_order(&self, transfers: &[Transfer]) -> Result<(), TransferError> {
        let mut before = self.before;
        for Transfer { id, .. } in transfers {
            if before.replace(*id).is_some_and(|before| *id >= before) {
                return Err(TransferError::Protocol("its log is out of order".into()));
            }
        }
        if transfers.len() as u64 > u64::from(self.expected) {
            return Err(TransferError::Protocol("it tells of more transfers than were asked for".into()));
        }
        Ok(())
    }

    fn take(&mut self, transfers: &[Transfer]) {
        let count = u32::try_from(transfers.len()).unwrap_or(u32::MAX);
        self.expected = self.expected.saturating_sub(count);
        self.filter.limit = self.filter.limit.map(|limit| limit.saturating_sub(count.into()));
        self.before = transfers.last().map_or(self.before, |oldest| Some(oldest.id));
        // Fewer than asked for: that was all.
        self.end = !self.more && self.expected > 0;
    }
}

fn placed(reply: Reply) -> Result<EntryPath, TransferError> {
    match reply {
        Reply::Placed { path } => Ok(path),
        other => Err(unexpected(other)),
    }
}

/// Refuses a page without anything that is not the last: of those there could be any number.
pub(crate) fn check_page(entries: usize, more: bool) -> Result<(), TransferError> {
    if more && entries == 0 {
        return Err(TransferError::Protocol("it sends an empty page that is not the last".into()));
    }
    Ok(())
}

pub(crate) fn too_many_entries() -> TransferError {
    TransferError::Protocol("it lists more entries than were asked for".into())
}

/// What an answer of the wrong kind means.
pub(crate) fn unexpected(reply: Reply) -> TransferError {
    match reply {
        Reply::Error(error) => error.into(),
        _ => TransferError::Protocol("an answer of the wrong kind came".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::pair;

    /// A server that does not know a condition would ignore it, so it is asked for nothing.
    #[tokio::test]
    async fn a_server_that_would_replace_what_is_there_is_asked_for_nothing() {
        for (if_absent, exact) in [(true, false), (false, true)] {
            for copies in [false, true] {
                let (mut connection, mut peer) = pair();
                let paths = Transplant {
                    if_absent,
                    exact,
                    ..Transplant::new("a".parse().unwrap(), "b".parse().unwrap())
                };
                let asking = async {
                    let asked = if copies {
                        copy(&mut connection, paths).await
                    } else {
                        rename(&mut connection, paths).await
                    };
                    drop(connection);
                    asked
                };
                let (asked, request) = tokio::join!(asking, peer.request());
                assert!(matches!(asked, Err(TransferError::TooOld(_))), "{asked:?}");
                assert_eq!(request, None);
            }
        }
        let (mut connection, mut peer) = pair();
        let asking = async {
            let asked = make_new_directory(&mut connection, "a".parse().unwrap()).await;
            drop(connection);
            asked
        };
        let (asked, request) = tokio::join!(asking, peer.request());
        assert!(matches!(asked, Err(TransferError::TooOld(_))), "{asked:?}");
        assert_eq!(request, None);
    }
    #[tokio::test]
    async fn a_connection_that_breaks_before_the_welcome_is_not_used_again() {
        let (mut connection, peer) = pair();
        drop(peer);
        let asked = make_new_directory(&mut connection, "a".parse().unwrap()).await;
        assert!(matches!(asked, Err(TransferError::Lost(_))), "{asked:?}");
        assert!(!connection.is_in_step());
    }
}
