//! Uploads: many files over a few connections, as fast as the slowest of disk, hash, cipher, wire and server.
//!
//! Three things happen at the same time. A thread finds files, and reads and hashes the small ones (`prepare`). One
//! half of each connection sends: small files with their requests, large ones one after the other in a single pass, once
//! the server said what to do about them (`send`). The other half takes the answers, which come in the order of the
//! requests, and tells the sender what follows from them (`receive`). What a lost connection left unfinished is on a
//! board and begins again on the next one.

mod board;
mod job;
mod prepare;
mod receive;
mod send;
mod share;
#[cfg(test)]
mod tests;

use std::time::Duration;

use futures_util::future::try_join_all;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use crate::client::Client;
use crate::connection::Connection;
use crate::error::TransferError;
use crate::event::{Event, Events};
use crate::retry::ConnectionSupply;
use crate::transfer_options::TransferOptions;
use crate::tree::Omitted;
use board::JobBoard;
pub use job::{Upload, UploadSource};
use prepare::{Intake, PreparedSupply};
use share::UploadOffers;

/// Another connection is worth its handshake for so many files more, ...
const FILES_PER_CONNECTION: usize = 256;

/// ... or for so many bytes more.
const BYTES_PER_CONNECTION: u64 = 64 * 1024 * 1024;

/// Uploads all that the iterator yields. How each one ended is told by an event.
///
/// # Errors
/// Fails when there is no connection, or none any more and none to be had; what was not told to be finished by then is
/// not known to be.
pub async fn upload(
    client: &mut Client,
    uploads: impl Iterator<Item = Result<Upload, Omitted>> + Send + 'static,
    manner: TransferOptions,
    events: Events<'_>,
) -> Result<(), TransferError> {
    let supply = prepare::start(uploads, manner);
    let first = client.take_connection();
    let sharing = &*client;
    let offers = UploadOffers::of(sharing);
    let worker = offers.worker();
    let working = async {
        let worked = work(sharing, first, Intake::new(supply.clone()), &offers, events).await;
        drop(worker);
        worked
    };
    let others =
        (1..sharing.connections()).map(|number| further(sharing, number, supply.clone(), &offers, events));
    let telling = async {
        tell_all(supply.amount.clone(), events).await;
        Ok(())
    };
    let (first, _, ()) = tokio::try_join!(working, try_join_all(others), telling)?;
    client.give_back(first);
    Ok(())
}

/// Tells how much there is when everything is found.
async fn tell_all(mut amount: watch::Receiver<prepare::FoundAmount>, events: Events<'_>) {
    while amount.changed().await.is_ok() {}
    let prepare::FoundAmount { all: count, contents, bytes } = *amount.borrow();
    events(Event::FoundAll { count, contents, bytes });
}

/// Helps with the uploads once there are enough of them for another connection, and with large files that are slow.
async fn further(
    client: &Client,
    number: usize,
    mut supply: PreparedSupply,
    offers: &UploadOffers,
    events: Events<'_>,
) -> Result<(), TransferError> {
    let enough = |amount: &prepare::FoundAmount| {
        amount.all >= number * FILES_PER_CONNECTION
            || amount.all > number && amount.bytes >= number as u64 * BYTES_PER_CONNECTION
    };
    let (mut looks, mut connection) = (true, None);
    loop {
        tokio::select! {
            biased;
            is_enough = async { supply.amount.wait_for(enough).await.is_ok() }, if looks => {
                looks = false;
                if is_enough {
                    let _worker = offers.worker();
                    // A server that takes no further connection serves the first one all the same.
                    let Ok(made) = client.connect().await else { return Ok(()) };
                    let intake = Intake::new(supply.clone());
                    connection = Some(work(client, Some(made), intake, offers, events).await?);
                }
            }
            share = offers.next(number) => {
                let Some(share) = share else { break };
                connection = share::help(client, connection, &share, events).await;
                if connection.is_none() && !share.is_over() {
                    break;
                }
                connection = connection.filter(Connection::is_in_step);
            }
        }
    }
    if let Some(connection) = connection {
        connection.close().await;
    }
    Ok(())
}

/// Uploads what the intake yields. Returns the connection that did the last of it.
async fn work(
    client: &Client,
    connection: Option<Connection>,
    mut intake: Intake,
    offers: &UploadOffers,
    events: Events<'_>,
) -> Result<Connection, TransferError> {
    let board = JobBoard::new(events);
    let mut line = ConnectionSupply::new(client, connection, events);
    loop {
        let attempt = async {
            let mut connection = line.connection().await?;
            run(&mut connection, &mut intake, &board, offers).await?;
            Ok(connection)
        };
        let error = match attempt.await {
            Ok(connection) => return Ok(connection),
            Err(error) => error,
        };
        match board.unfinished() {
            Some(jobs) => intake.repeat(jobs),
            None => return Err(error),
        }
        line.pause(error, board.achieved()).await?;
    }
}

async fn run(
    connection: &mut Connection,
    intake: &mut Intake,
    board: &JobBoard<'_>,
    offers: &UploadOffers,
) -> Result<(), TransferError> {
    connection.enter();
    let (expect, expected) = mpsc::unbounded_channel();
    let (tell, feedback) = mpsc::unbounded_channel();
    let Connection { requests, replies, .. } = &mut *connection;
    let sent = {
        let sending = send::UploadSender::new(requests, expect, feedback, board, offers).run(intake);
        let receiving = receive::receive(replies, expected, tell, board);
        let (mut sending, mut receiving) = (std::pin::pin!(sending), std::pin::pin!(receiving));
        tokio::select! {
            biased;
            received = &mut receiving => {
                received?;
                sending.await
            }
            sent = &mut sending => match sent {
                Ok(()) => {
                    receiving.await?;
                    Ok(())
                }
                Err(error) => {
                    // What the server said before it closed explains more than that sending failed.
                    const PATIENCE: Duration = Duration::from_secs(2);
                    match timeout(PATIENCE, receiving).await {
                        Ok(Err(told @ (TransferError::Refused(_) | TransferError::Handshake { .. }))) => return Err(told),
                        _ => Err(error),
                    }
                }
            },
        }
    };
    sent.map_err(|error| connection.replies.explain(error))?;
    connection.leave();
    Ok(())
}
