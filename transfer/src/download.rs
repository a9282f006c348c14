//! Downloads: requests go ahead of the contents, and a content takes its name when it is verified.

mod receive;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

use sealift_protocol::message::{Get, Report};
use sealift_protocol::{RemotePath, Request};

use crate::client::Client;
use crate::connection::{Ahead, Connection};
use crate::error::Error;
use crate::event::{Done, Event, Events};
use receive::Failure;

/// A file to download.
#[derive(Debug)]
pub struct Download {
    /// What events call it.
    pub id: usize,
    /// Which file.
    pub from: RemotePath,
    /// Where its content goes.
    pub to: Destination,
}

/// Where the content of a download goes.
pub enum Destination {
    /// To a file, which appears when its content is complete and verified.
    File {
        /// Its name.
        path: PathBuf,
        /// Whether its directory may be missing and is to be made then.
        make_directory: bool,
    },
    /// To a writer such as standard output, while it comes: whether it is good is known only at the end.
    Stream(Box<dyn Write + Send>),
}

impl std::fmt::Debug for Destination {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File { path, .. } => f.debug_tuple("File").field(path).finish(),
            Self::Stream(_) => f.write_str("Stream"),
        }
    }
}

/// Downloads files. How each one ended is told by an event.
///
/// # Errors
/// Fails when there is no connection, or none any more; the files that are not told to be finished by then are not.
pub async fn download(
    client: &mut Client,
    downloads: Vec<Download>,
    events: Events<'_>,
) -> Result<(), Error> {
    events(Event::Planned { files: downloads.len(), bytes: None });
    let mut queue = VecDeque::from(downloads);
    while !queue.is_empty() {
        run(client.connection().await?, &mut queue, events).await?;
    }
    Ok(())
}

/// A file that was asked for.
struct Asked {
    download: Download,
    started: Instant,
    wire_bytes: u64,
}

/// Downloads from the front of the queue until it is empty, or until the connection carries more of a file that
/// nobody can take than is worth receiving. What had been asked for is in the queue again then.
pub(crate) async fn run(
    connection: &mut Connection,
    queue: &mut VecDeque<Download>,
    events: Events<'_>,
) -> Result<(), Error> {
    connection.enter();
    let mut ahead = Ahead::default();
    let mut asked = VecDeque::new();
    let mut reports = Vec::new();
    loop {
        while ahead.has_room()
            && let Some(download) = queue.pop_front()
        {
            let before = connection.requests.bytes();
            connection.push(&Request::Get(Get { path: download.from.clone(), offset: 0, sha256: None }))?;
            let wire_bytes = connection.requests.bytes() - before;
            ahead.sent(wire_bytes);
            asked.push_back(Asked { download, started: Instant::now(), wire_bytes });
        }
        connection.flush().await?;
        let Some(Asked { download, started, wire_bytes }) = asked.pop_front() else { break };
        let Download { id, from, to } = download;
        let before = connection.replies.bytes();
        match receive::receive(&mut connection.replies, id, &from, to, events).await? {
            Ok((size, sha256)) => {
                let wire_bytes = wire_bytes + connection.replies.bytes() - before;
                let duration = started.elapsed();
                events(Event::Finished {
                    id,
                    done: Done { size, sha256, deduplicated: false, duration, wire_bytes },
                });
            }
            Err(Failure { error, report, abandon }) => {
                events(Event::Failed { id, error });
                if abandon {
                    for Asked { download, .. } in asked.into_iter().rev() {
                        queue.push_front(download);
                    }
                    return Ok(());
                }
                reports.extend(report.map(|sha256| Request::Report(Report { path: from, sha256 })));
            }
        }
        ahead.answered();
    }
    // The user has the error already; that the server's log gets it too must not add another.
    connection.ask_all(&reports, |_, _| Ok(())).await?;
    connection.leave();
    Ok(())
}
