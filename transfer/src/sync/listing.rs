//! The server's side of a comparison: a recursive listing, pulled page by page while the other side keeps up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use sealift_protocol::message::{Entry, List};
use sealift_types::EntryPath;
use tokio::sync::mpsc;

use crate::client::Client;
use crate::error::TransferError;
use crate::event::Events;
use crate::remote::{self, PAGE};
use crate::retry::AttemptCounter;

/// Pages that wait for the comparison, beside the one that it works on.
const AHEAD: usize = 2;

/// A connection that had nothing to do for so long may be closed by the server at any moment.
const IDLE: Duration = Duration::from_secs(120);

type ListingPage = Result<Vec<Entry>, TransferError>;

/// The entries as they come. Blocks.
#[derive(Debug)]
pub(super) struct Listed {
    pages: Option<mpsc::Receiver<ListingPage>>,
    page: std::vec::IntoIter<Entry>,
    torn: Arc<AtomicBool>,
}

/// Where [`list`] puts pages.
#[derive(Debug)]
pub(super) struct PageSender {
    pages: mpsc::Sender<ListingPage>,
    torn: Arc<AtomicBool>,
}

/// Where [`list`] puts pages, and where they come out.
pub(super) fn channel() -> (PageSender, Listed) {
    let (tell, pages) = mpsc::channel(AHEAD);
    let torn = Arc::new(AtomicBool::new(false));
    let telling = PageSender { pages: tell, torn: Arc::clone(&torn) };
    (telling, Listed { pages: Some(pages), page: Vec::new().into_iter(), torn })
}

impl Listed {
    /// A listing without entries.
    pub(super) fn empty() -> Self {
        Self { pages: None, page: Vec::new().into_iter(), torn: Arc::default() }
    }

    /// Whether the pages may be of different states of the tree, so that something that was renamed meanwhile is on
    /// none of them. Known after the last entry.
    pub(super) fn is_torn(&self) -> bool {
        self.torn.load(Ordering::Acquire)
    }
}

impl PageSender {
    /// Hands on a page; `false` if nobody wants to know any more.
    async fn page(&self, entries: Vec<Entry>) -> bool {
        self.pages.send(Ok(entries)).await.is_ok()
    }
}

impl Iterator for Listed {
    type Item = Result<Entry, TransferError>;

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
pub(super) async fn list(mut client: Client, from: &EntryPath, tell: PageSender, events: Events<'_>) {
    let mut retry = AttemptCounter::new(client.retries());
    let mut progress = ListingProgress::default();
    while let Err(error) = pages(&mut client, from, &mut progress, &tell).await {
        if let Err(error) = retry.pause(error, progress.count, events).await {
            let _ = tell.pages.send(Err(error)).await;
            break;
        }
    }
    client.close().await;
}

/// How far a listing has come.
#[derive(Debug, Default)]
struct ListingProgress {
    /// The last entry.
    after: Option<String>,
    count: u64,
    /// The state of the tree before the first page; empty until it is known.
    since: String,
}

async fn pages(
    client: &mut Client,
    from: &EntryPath,
    progress: &mut ListingProgress,
    tell: &PageSender,
) -> Result<(), TransferError> {
    loop {
        let connection = client.connection().await?;
        let list = List {
            recursive: true,
            after: progress.after.clone(),
            limit: PAGE,
            etags: true,
            since: Some(progress.since.clone()),
            ..List::of(from.clone())
        };
        let (mut listing, mut page) = (remote::list(connection, list).await?, Vec::new());
        // All of a page is taken at once: the server does not wait for a comparison.
        while let Some(entries) = listing.page().await? {
            page.extend(entries);
        }
        if progress.since.is_empty() {
            progress.since = listing.state.take().unwrap_or_default();
        }
        tell.torn.store(listing.changed, Ordering::Release);
        let last = (page.len() as u64) < PAGE;
        progress.after = page.last().map(|entry| entry.name.clone()).or(progress.after.take());
        progress.count += page.len() as u64;
        let waited = Instant::now();
        if !tell.page(page).await || last {
            return Ok(());
        }
        if waited.elapsed() > IDLE {
            drop(client.take_connection());
        }
    }
}

/// A listing of these entries.
#[cfg(test)]
pub(super) fn listed(entries: Vec<Entry>) -> Listed {
    let (telling, listed) = channel();
    telling.pages.try_send(Ok(entries)).unwrap();
    listed
}
