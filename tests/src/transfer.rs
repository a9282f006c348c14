//! Uploads and downloads of the raw client.

use std::io::{Read, Write};

use sealift_pipeline::FRAME;
use sealift_protocol::message::{Body, Content, Get, Put, Reply, Request, Stored, Trailer, Turn, decode};
use sealift_protocol::{FrameKind, WireError};
use sealift_types::{Digest, ErrorCode, Hasher};

use crate::Client;
use crate::client::{error_of, path};
use crate::wait::PATIENCE;

/// A download as it came.
#[derive(Debug, Clone, PartialEq)]
pub struct Fetched {
    /// What the server announced.
    pub content: Content,
    /// Bytes that came.
    pub received: u64,
    /// The digest of the bytes that came.
    pub sha256: Digest,
    /// How it ended.
    pub trailer: Trailer,
}

/// A put request for `file` with nothing optional.
pub fn put(file: &str, body: Body) -> Put {
    Put {
        path: path(file),
        body,
        size: None,
        sha256: None,
        mtime: None,
        executable: false,
        update: false,
        resume: None,
        key: None,
    }
}

/// A put request whose body is one data frame.
pub fn put_inline(file: &str, content: &[u8]) -> Put {
    Put { size: Some(content.len() as u64), sha256: Some(Digest::of(content)), ..put(file, Body::Inline) }
}

/// The trailer of an upload that went well.
pub fn end_of(content: &[u8]) -> Trailer {
    Trailer::End { size: content.len() as u64, sha256: Digest::of(content) }
}

impl Client {
    /// Queues a small upload without waiting for its reply.
    pub fn push_inline(&mut self, file: &str, content: &[u8]) {
        self.push(&Request::Put(put_inline(file, content)));
        self.writer.push_data(content).unwrap();
    }

    /// Uploads in one frame.
    pub async fn put_inline(&mut self, file: &str, content: &[u8]) -> Result<Stored, WireError> {
        self.push_inline(file, content);
        self.flush().await;
        self.stored().await
    }

    /// Uploads as a stream of announced size.
    pub async fn put_stream(&mut self, file: &str, content: &[u8]) -> Result<Stored, WireError> {
        self.put_from(file, content, Some(content.len() as u64)).await
    }

    /// Uploads whatever a reader gives, as a stream.
    pub async fn put_from(
        &mut self,
        file: &str,
        source: impl Read,
        size: Option<u64>,
    ) -> Result<Stored, WireError> {
        self.send_stream(&Put { size, ..put(file, Body::Stream) }, source).await;
        self.stored().await
    }

    /// Sends a whole streamed upload without waiting for its reply.
    pub async fn send_stream(&mut self, put: &Put, mut source: impl Read) {
        self.push(&Request::Put(put.clone()));
        let (mut hasher, mut total, mut frame) = (Hasher::new(), 0, Vec::new());
        loop {
            frame.clear();
            let count = source.by_ref().take(FRAME as u64).read_to_end(&mut frame).unwrap();
            if count == 0 {
                break;
            }
            hasher.update(&frame);
            total += count as u64;
            self.send_data(&frame).await;
        }
        self.push_trailer(&Trailer::End { size: total, sha256: hasher.finish() });
        self.flush().await;
    }

    /// Sends one data frame.
    pub async fn send_data(&mut self, payload: &[u8]) {
        self.writer.push_data(payload).unwrap();
        self.flush().await;
    }

    /// Queues that another slice of a streamed upload follows.
    pub fn push_turn(&mut self, offset: u64) {
        self.writer.push(&Turn::Turn { offset }).unwrap();
    }

    /// Queues the end of a streamed upload.
    pub fn push_trailer(&mut self, trailer: &Trailer) {
        self.writer.push(trailer).unwrap();
    }

    /// Claims that a content is there already.
    pub async fn claim(&mut self, file: &str, size: u64, sha256: Digest) -> Result<Stored, WireError> {
        let claim = Put { size: Some(size), sha256: Some(sha256), ..put(file, Body::Claim) };
        self.push(&Request::Put(claim));
        self.flush().await;
        self.stored().await
    }

    /// The reply to an upload.
    pub async fn stored(&mut self) -> Result<Stored, WireError> {
        match self.reply().await {
            Reply::Stored(stored) => Ok(stored),
            other => Err(error_of(other)),
        }
    }

    /// Downloads and verifies: what does not verify is an error, as with any client.
    pub async fn get(&mut self, file: &str) -> Result<Vec<u8>, WireError> {
        let mut bytes = Vec::new();
        self.ask(file, 0).await;
        let fetched = self.receive(&mut bytes).await?;
        fetched.verified().map(|()| bytes)
    }

    /// Asks for a content from `offset` on, without reading it.
    pub async fn ask(&mut self, file: &str, offset: u64) {
        self.ask_meaning(file, offset, None).await;
    }

    /// The same for the content of this digest only.
    pub async fn ask_meaning(&mut self, file: &str, offset: u64, sha256: Option<Digest>) {
        self.push(&Request::Get(Get { path: path(file), offset, sha256, length: None, preview: false }));
        self.flush().await;
    }

    /// Reads the reply to a get, its data and its trailer.
    pub async fn receive(&mut self, target: impl Write) -> Result<Fetched, WireError> {
        match self.reply().await {
            Reply::Content(content) => Ok(self.receive_body(content, target).await),
            other => Err(error_of(other)),
        }
    }

    /// Reads data and trailer of a content whose announcement was read already.
    pub async fn receive_body(&mut self, content: Content, mut target: impl Write) -> Fetched {
        let (mut hasher, mut received, mut buffer) = (Hasher::new(), 0, Vec::new());
        loop {
            let header =
                self.reader.header(PATIENCE).await.unwrap().expect("closed in the middle of a download");
            if header.kind() == FrameKind::Control {
                let trailer: Trailer = decode(self.reader.control(header).await.unwrap()).unwrap();
                return Fetched { content, received, sha256: hasher.finish(), trailer };
            }
            buffer.resize(header.length(), 0);
            self.reader.data(header, &mut buffer).await.unwrap();
            hasher.update(&buffer);
            received += buffer.len() as u64;
            target.write_all(&buffer).unwrap();
        }
    }
}

impl Fetched {
    /// Whether what came from byte 0 on is what was announced, and announced again at its end.
    pub fn verified(&self) -> Result<(), WireError> {
        let Content { size, sha256, .. } = self.content;
        match &self.trailer {
            Trailer::Error(error) => Err(error.clone()),
            end if *end != (Trailer::End { size, sha256 }) => {
                panic!("{end:?} contradicts {:?}", self.content)
            }
            Trailer::End { .. } if (self.received, self.sha256) == (size, sha256) => Ok(()),
            Trailer::End { .. } => {
                Err(WireError::new(ErrorCode::Integrity, "what arrived is not what was announced"))
            }
        }
    }
}
