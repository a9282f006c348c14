//! Trying again after a connection was lost.

use std::time::Duration;

use tokio::time::sleep;

use crate::client::Client;
use crate::connection::Connection;
use crate::error::TransferError;
use crate::event::{Event, Events};

/// The wait before the first new attempt; each further one doubles it.
const FIRST: Duration = Duration::from_millis(500);

/// The longest wait.
const LONGEST: Duration = Duration::from_secs(30);

/// After so many attempts it is over, though each achieved a little: a server that serves a byte and hangs up would be tried for
/// ever.
const MOST: u32 = 1000;

/// Counts attempts, and those that got nowhere.
#[derive(Debug)]
pub(crate) struct AttemptCounter {
    allowed: u32,
    failed: u32,
    all: u32,
    /// What was achieved when the last attempt ended.
    achieved: u64,
}

impl AttemptCounter {
    /// Gives up after `allowed` attempts in a row that achieved nothing, and after [`MOST`] or `allowed` attempts in all.
    pub(crate) fn new(allowed: u32) -> Self {
        Self { allowed, failed: 0, all: 0, achieved: 0 }
    }

    /// Waits after `error`, and tells of it. `achieved` grows with whatever is worth another attempt.
    ///
    /// # Errors
    /// Gives the error back when trying again cannot help, or was tried often enough.
    pub(crate) async fn pause(
        &mut self,
        error: TransferError,
        achieved: u64,
        events: Events<'_>,
    ) -> Result<(), TransferError> {
        let (error, wait) = self.after(error, achieved)?;
        events(Event::Retrying { error, wait });
        sleep(wait).await;
        Ok(())
    }

    fn after(
        &mut self,
        error: TransferError,
        achieved: u64,
    ) -> Result<(TransferError, Duration), TransferError> {
        if achieved > self.achieved {
            (self.achieved, self.failed) = (achieved, 0);
        }
        let is_spent = self.failed >= self.allowed || self.all >= self.allowed.max(MOST);
        if !error.retry_can_help() || is_spent {
            return Err(error);
        }
        let wait = FIRST.saturating_mul(1 << self.failed.min(16)).min(LONGEST);
        self.failed += 1;
        self.all += 1;
        // Clients that lost the same server must not all come back at the same moment.
        Ok((error, wait.mul_f64(0.5 + fastrand::f64() / 2.0)))
    }
}

/// A worker's way to the server: one connection after the other, while that is worth it.
pub(crate) struct ConnectionSupply<'a> {
    client: &'a Client,
    connection: Option<Connection>,
    retry: AttemptCounter,
    /// Whether there ever was a connection.
    reached: bool,
    events: Events<'a>,
}

impl<'a> ConnectionSupply<'a> {
    /// Begins with `connection`, if there is one already.
    pub(crate) fn new(client: &'a Client, connection: Option<Connection>, events: Events<'a>) -> Self {
        let reached = connection.is_some();
        Self { client, connection, retry: AttemptCounter::new(client.retries()), reached, events }
    }

    /// A connection that is ready for a request.
    pub(crate) async fn connection(&mut self) -> Result<Connection, TransferError> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.client.connect().await?,
        };
        self.reached = true;
        Ok(connection)
    }

    /// Waits after `error`, as [`AttemptCounter::pause`] does.
    ///
    /// # Errors
    /// Gives the error back also when nobody ever answered: the address is more likely to be misspelt than the server to
    /// be back in a moment.
    pub(crate) async fn pause(&mut self, error: TransferError, achieved: u64) -> Result<(), TransferError> {
        if self.reached || error.was_answered() {
            self.retry.pause(error, achieved, self.events).await
        } else {
            Err(error)
        }
    }
}

/// Asks the server until it answers. A new connection takes the place of a lost one, as in [`ConnectionSupply`].
///
/// # Errors
/// Gives back the last error when trying again cannot help, or was tried often enough.
pub(crate) async fn ask<T>(
    client: &mut Client,
    events: Events<'_>,
    mut question: impl AsyncFnMut(&mut Connection) -> Result<T, TransferError>,
) -> Result<T, TransferError> {
    let mut retry = AttemptCounter::new(client.retries());
    loop {
        let answer = match client.connection().await {
            Ok(connection) => question(connection).await,
            Err(error) => Err(error),
        };
        match answer {
            Err(error) if client.has_connected() || error.was_answered() => {
                // A lost connection may look as if it were in step.
                drop(client.take_connection());
                retry.pause(error, 0, events).await?;
            }
            answer => return answer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sealift_protocol::io::StreamError;

    #[test]
    fn waits_grow_until_something_is_achieved() {
        let lost = || TransferError::Lost(StreamError::Closed);
        let mut retry = AttemptCounter::new(9);
        let mut longest = Duration::ZERO;
        for attempt in 0..9 {
            let (_, wait) = retry.after(lost(), 0).unwrap();
            let full = FIRST.saturating_mul(1 << attempt).min(LONGEST);
            assert!(wait >= full / 2 && wait <= full);
            longest = longest.max(wait);
        }
        assert!(longest > LONGEST / 3);
        assert!(retry.after(lost(), 0).is_err());
        assert!(retry.after(lost(), 1).unwrap().1 <= FIRST);
        assert!(retry.after(TransferError::Protocol("x".into()), 2).is_err());
    }

    #[test]
    fn attempts_that_achieve_little_have_an_end() {
        for (allowed, most) in [(5, u64::from(MOST)), (MOST + 7, u64::from(MOST) + 7)] {
            let mut retry = AttemptCounter::new(allowed);
            let granted = (1..2 * most)
                .take_while(|done| retry.after(TransferError::Lost(StreamError::Closed), *done).is_ok());
            assert_eq!(granted.count() as u64, most);
        }
    }
}
