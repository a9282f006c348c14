//! A scripted server for the engine's tests, at the other end of a pipe in memory.

use std::sync::Mutex;
use std::time::Duration;

use sealift_protocol::frame::FrameKind;
use sealift_protocol::io::{FrameReader, FrameWriter};
use sealift_protocol::message::{Trailer, Welcome, decode};
use sealift_protocol::{Reply, Request, VERSION};
use tokio::io::{DuplexStream, ReadHalf, WriteHalf, duplex, split};

use crate::{Connection, Event};

/// Longer than any test takes.
pub(crate) const STALL: Duration = Duration::from_secs(20);

/// The server's end.
pub(crate) struct ScriptedServer {
    pub(crate) reader: FrameReader<ReadHalf<DuplexStream>>,
    pub(crate) writer: FrameWriter<WriteHalf<DuplexStream>>,
}

/// A connection, and the server's end of it.
pub(crate) fn pair() -> (Connection, ScriptedServer) {
    pair_with_stall(STALL)
}

pub(crate) fn pair_with_stall(stall: Duration) -> (Connection, ScriptedServer) {
    let (near, far) = duplex(64 * 1024);
    let (read, write) = split(near);
    let address = "peer:1".parse().unwrap();
    let connection = Connection::new(Box::new(read), Box::new(write), address, "test", stall).unwrap();
    let (read, write) = split(far);
    (
        connection,
        ScriptedServer { reader: FrameReader::new(read, STALL), writer: FrameWriter::new(write, STALL) },
    )
}

impl ScriptedServer {
    /// The next request; a hello is answered and skipped. `None` when the client has closed.
    pub(crate) async fn request(&mut self) -> Option<Request> {
        loop {
            let header = self.reader.header(STALL).await.unwrap()?;
            match decode(self.reader.control(header).await.unwrap()).unwrap() {
                Request::Hello(_) => {
                    let identity = "alice".parse().unwrap();
                    let server = "test".to_owned();
                    self.send(&Reply::Welcome(Welcome {
                        version: VERSION,
                        server,
                        identity,
                        features: vec![],
                    }))
                    .await;
                }
                request => return Some(request),
            }
        }
    }

    pub(crate) async fn send(&mut self, message: &impl serde::Serialize) {
        self.writer.push(message).unwrap();
        self.writer.flush().await.unwrap();
    }

    pub(crate) async fn send_data(&mut self, data: &[u8]) {
        self.writer.push_data(data).unwrap();
        self.writer.flush().await.unwrap();
    }

    /// One data frame.
    pub(crate) async fn data(&mut self) -> Vec<u8> {
        let header = self.reader.header(STALL).await.unwrap().unwrap();
        let mut data = vec![0; header.length()];
        self.reader.data(header, &mut data).await.unwrap();
        data
    }

    /// Data frames and what follows them.
    pub(crate) async fn stream(&mut self) -> (Vec<u8>, Trailer) {
        let mut content = Vec::new();
        loop {
            let header = self.reader.header(STALL).await.unwrap().unwrap();
            if header.kind() == FrameKind::Control {
                return (content, decode(self.reader.control(header).await.unwrap()).unwrap());
            }
            let mut data = vec![0; header.length()];
            self.reader.data(header, &mut data).await.unwrap();
            content.extend(data);
        }
    }
}

/// Collects events.
#[derive(Default)]
pub(crate) struct EventRecord(Mutex<Vec<Event>>);

impl EventRecord {
    pub(crate) fn take(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }

    /// What was told to be omitted, without what follows a colon.
    pub(crate) fn omitted(&self) -> Vec<String> {
        let events = self.0.lock().unwrap();
        let error = |event: &Event| match event {
            Event::Omitted(omitted) => Some(omitted.error.to_string().split(':').next()?.to_owned()),
            _ => None,
        };
        events.iter().filter_map(error).collect()
    }

    /// How the transfers ended, in the order in which they did: the id, and whether the content was there already or
    /// the error.
    pub(crate) fn ends(&self) -> Vec<(usize, Result<bool, String>)> {
        let events = self.0.lock().unwrap();
        let end = |event: &Event| match event {
            Event::Finished { id, done } => Some((*id, Ok(done.deduplicated))),
            Event::Failed { id, error } => Some((*id, Err(error.to_string()))),
            _ => None,
        };
        events.iter().filter_map(end).collect()
    }
}
