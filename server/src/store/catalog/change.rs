//! Changes on their way through a transaction.

use rusqlite::Connection;
use tokio::sync::oneshot;
use tracing::error;

use crate::error::{Result, ServerError};
use crate::store::extent::{PackPlacement, SmallContent};

/// What a change holds until it is durable or has failed.
pub trait ChangeHeld: Send + 'static {
    /// Whether the change writes nothing before everything that could refuse it was looked at. One that fails all the same
    /// takes its whole group with it: the disk is full, or worse.
    fn checks_first(&self) -> bool {
        false
    }

    /// How many entries the change may touch.
    fn weight(&self) -> usize {
        1
    }

    /// Whether the change is not made any more if nobody waits for its result when its turn comes.
    fn ends_with_its_asker(&self) -> bool {
        false
    }

    /// A small content that it brings, which may be stored together with others.
    fn content(&self) -> Option<SmallContent<'_>> {
        None
    }

    /// Tells where the content is going to be: the change need not bring it any more.
    fn packed(&mut self, _place: PackPlacement) {}

    /// Tells that the change's transaction is durable, or that it failed with all that is in it.
    fn concluded(&mut self, _commit: std::result::Result<(), &ServerError>) {}
}

impl ChangeHeld for () {}

/// A change that waits for its turn in a transaction.
pub(super) trait QueuedChange: Send {
    /// Whether somebody waits for it to be durable.
    fn is_urgent(&self) -> bool;
    /// What it holds.
    fn held(&mut self) -> &mut dyn ChangeHeld;
    /// Runs inside the transaction; `false` takes back what it did.
    fn apply(&mut self, transaction: &Connection) -> bool;
    /// Why it failed.
    fn failure(&self) -> ServerError;
    /// Runs after a failure that was taken back, in the same transaction; `false` takes this back as well.
    fn recover(&mut self, transaction: &Connection) -> bool;
    /// Tells the one who asked, after the commit or its failure.
    fn answer(self: Box<Self>, commit: std::result::Result<(), &ServerError>);
}

pub(super) struct ChangeJob<T, F, G, H> {
    pub(super) urgent: bool,
    pub(super) work: Option<F>,
    pub(super) otherwise: Option<G>,
    pub(super) held: H,
    pub(super) result: Option<Result<T>>,
    /// Why what follows a failure could not be done.
    pub(super) trouble: Option<ServerError>,
    pub(super) answer: oneshot::Sender<Result<T>>,
}

impl<T, F, G, H> QueuedChange for ChangeJob<T, F, G, H>
where
    T: Send,
    F: FnOnce(&Connection, &H) -> Result<T> + Send,
    G: FnOnce(&Connection, &H, &ServerError) -> Result<()> + Send,
    H: ChangeHeld,
{
    fn is_urgent(&self) -> bool {
        self.urgent
    }

    fn held(&mut self) -> &mut dyn ChangeHeld {
        &mut self.held
    }

    fn apply(&mut self, transaction: &Connection) -> bool {
        if self.held.ends_with_its_asker() && self.answer.is_closed() {
            return false;
        }
        self.result = self.work.take().map(|work| work(transaction, &self.held));
        matches!(self.result, Some(Ok(_)))
    }

    fn failure(&self) -> ServerError {
        match (&self.trouble, &self.result) {
            // A refusal would not say what is wrong with the disk.
            (Some(error), _) | (None, Some(Err(error))) => copy(error),
            _ => rolled_back(),
        }
    }

    fn recover(&mut self, transaction: &Connection) -> bool {
        match (self.otherwise.take(), &self.result) {
            (Some(otherwise), Some(Err(error))) => match otherwise(transaction, &self.held, error) {
                Ok(()) => true,
                Err(error) => {
                    error!(%error, "what was to be noted of a failed change could not be");
                    self.trouble = Some(error);
                    false
                }
            },
            _ => false,
        }
    }

    fn answer(self: Box<Self>, commit: std::result::Result<(), &ServerError>) {
        // Not with the answer, which may wait for long until somebody cares.
        drop(self.held);
        let result = match commit {
            // A refusal as well: it may come from what an earlier change of the group had done.
            Err(error) => Err(copy(error)),
            Ok(()) => self.result.unwrap_or(Err(ServerError::Stopped)),
        };
        // Whoever asked may have gone; the change stands all the same.
        let _ = self.answer.send(result);
    }
}

fn rolled_back() -> ServerError {
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_ABORT_ROLLBACK);
    rusqlite::Error::SqliteFailure(code, Some("SQLite has taken the transaction back".into())).into()
}

/// An error for each of those who share a failed commit.
fn copy(error: &ServerError) -> ServerError {
    match error {
        ServerError::Catalog(rusqlite::Error::SqliteFailure(code, message)) => {
            rusqlite::Error::SqliteFailure(*code, message.clone()).into()
        }
        ServerError::Uncertain(rusqlite::Error::SqliteFailure(code, message)) => {
            ServerError::Uncertain(rusqlite::Error::SqliteFailure(*code, message.clone()))
        }
        ServerError::File { path, source } => {
            // With its number, by which a lack of descriptors or of room is recognised.
            let source = match source.raw_os_error() {
                Some(number) => std::io::Error::from_raw_os_error(number),
                None => std::io::Error::new(source.kind(), source.to_string()),
            };
            ServerError::File { path: path.clone(), source }
        }
        ServerError::Stopped => ServerError::Stopped,
        other => rusqlite::Error::ToSqlConversionFailure(other.to_string().into()).into(),
    }
}
