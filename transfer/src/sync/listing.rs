//! The server's side of a comparison: a recursive listing, pulled page by page while the other side keeps up.

use std::time::{Duration, Instant};

use sealift_protocol::RemotePath;
use sealift_protocol::message::{Entry, List};
use tokio::sync::mpsc;

use crate::client::Client;
use crate::error::Error;
use crate::event::Events;
use crate::remote::{self, PAGE};
use crate::retry::Retry;

/// Pages that wait for the comparison, beside the one that it works on.
const AHEAD: usize = 2;

/// A connection that had nothing to do for so long may be closed by the server at any moment.
const IDLE: Duration = Duration::from_secs(120);

type Page = Result<Vec<Entry>, Error>;

/// The entries as they come. Blocks.
#[derive(Debug)]
pub(super) struct Listed {
    pages: Option<mpsc::Receiver<Page>>,
    page: std::vec::IntoIter<Entry>,
}

/// Where [`list`] puts pages, and where they come out.
pub(super) fn channel() -> (mpsc::Sender<Page>, Listed) {
    let (tell, pages) = mpsc::channel(AHEAD);
    (tell, Listed { pages: Some(pages), page: Vec::new().into_iter() })
}

impl Listed {
    /// A listing without entries.
    pub(super) fn empty() -> Self {
        Self { pages: None, page: Vec::new().into_iter() }
    }
}

impl Iterator for Listed {
    type Item = Result<Entry, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(entry) = self.page.next() {
                return Some(Ok(entry));
            }
            match self.pages.as_mut()?.blocking_recv()? {
                Ok(page) => self.page = page.into_iter(),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

/// Lists everything below a directory until nobody wants to know any more. A lost connection is replaced.
pub(super) async fn list(
    mut client: Client,
    from: &RemotePath,
    tell: mpsc::Sender<Page>,
    events: Events<'_>,
) {
    let mut retry = Retry::new(client.retries());
    let (mut after, mut count) = (None, 0);
    while let Err(error) = pages(&mut client, from, &mut after, &mut count, &tell).await {
        if let Err(error) = retry.pause(error, count, events).await {
            let _ = tell.send(Err(error)).await;
            break;
        }
    }
    client.close().await;
}

async fn pages(
    client: &mut Client,
    from: &RemotePath,
    after: &mut Option<String>,
    count: &mut u64,
    tell: &mpsc::Sender<Page>,
) -> Result<(), Error> {
    loop {
        let connection = client.connection().await?;
        let list = List { path: from.clone(), recursive: true, after: after.clone(), limit: PAGE };
        let (mut listing, mut page) = (remote::list(connection, list).await?, Vec::new());
        // All of a page is taken at once: the server does not wait for a comparison.
        while let Some(entries) = listing.page().await? {
            page.extend(entries);
        }
        let last = (page.len() as u64) < PAGE;
        *after = page.last().map(|entry| entry.name.clone()).or(after.take());
        *count += page.len() as u64;
        let waited = Instant::now();
        if tell.send(Ok(page)).await.is_err() || last {
            return Ok(());
        }
        if waited.elapsed() > IDLE {
            drop(client.take_connection());
        }
    }
}
