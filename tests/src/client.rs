//! A client that says exactly what it is told to, one frame at a time.

use std::net::SocketAddr;

use sealift_protocol::io::{FrameReader, FrameWriter, StreamError};
use sealift_protocol::message::{
    Account, Description, Entry, Hello, Info, Link, List, LogQuery, MakeDirectory, Nanoseconds, Plan,
    PlannedFile, Remove, Renew, Reply, Report, Request, Transfer, Transplant, Verdict, Whoami, decode,
};
use sealift_protocol::{Header, VERSION, WireError};
use sealift_types::{Digest, EntryPath};
use serde_json::Value;
use tokio::io::{ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::wait::{PATIENCE, within};

/// A connection. Its transfers are in [`crate::transfer`].
#[derive(Debug)]
pub struct Client {
    /// What comes from the server.
    pub reader: FrameReader<ReadHalf<TlsStream<TcpStream>>>,
    /// What goes to the server.
    pub writer: FrameWriter<WriteHalf<TlsStream<TcpStream>>>,
    /// This end, as the server's log has it.
    pub local: SocketAddr,
}

/// The first request of a well-behaved client.
pub fn hello() -> Request {
    Request::Hello(Hello { versions: vec![VERSION], agent: "sealift-tests".into(), features: vec![] })
}

/// A path that is well formed.
pub fn path(text: &str) -> EntryPath {
    text.parse().unwrap()
}

/// A list request with nothing optional.
pub fn list(directory: &str) -> List {
    List::of(path(directory))
}

/// A link request with nothing optional.
pub fn link(file: &str, target: &str) -> Link {
    Link { path: path(file), target: target.to_owned(), mtime: None }
}

impl Client {
    pub(crate) fn over(stream: TlsStream<TcpStream>) -> Self {
        let local = stream.get_ref().0.local_addr().unwrap();
        let (read, write) = tokio::io::split(stream);
        let (reader, writer) = (FrameReader::new(read, PATIENCE), FrameWriter::new(write, PATIENCE));
        Self { reader, writer, local }
    }

    /// Queues a request.
    pub fn push(&mut self, request: &Request) {
        self.writer.push(request).unwrap();
    }

    /// Queues a control frame of any JSON.
    pub fn push_json(&mut self, message: &Value) {
        self.writer.push(message).unwrap();
    }

    /// Sends what waits.
    pub async fn flush(&mut self) {
        self.writer.flush().await.unwrap();
    }

    /// Sends what waits, then these bytes, whatever they are.
    pub async fn send_raw(&mut self, bytes: &[u8]) {
        self.writer.write_frame(bytes).await.unwrap();
        self.flush().await;
    }

    /// Sends a request and reads its first reply.
    pub async fn request(&mut self, request: &Request) -> Reply {
        self.push(request);
        self.flush().await;
        self.reply().await
    }

    /// Sends any JSON as a request and reads its first reply.
    pub async fn request_json(&mut self, message: &Value) -> Reply {
        self.push_json(message);
        self.flush().await;
        self.reply().await
    }

    /// The next reply.
    pub async fn reply(&mut self) -> Reply {
        self.try_reply().await.unwrap().expect("the server closed the connection instead of replying")
    }

    /// The next reply, which must be an error.
    pub async fn refusal(&mut self) -> WireError {
        match self.reply().await {
            Reply::Error(error) => error,
            other => panic!("{other:?} came where an error was due"),
        }
    }

    /// The next reply; `None` when the server closed the connection.
    pub async fn try_reply(&mut self) -> Result<Option<Reply>, StreamError> {
        let Some(header) = self.reader.header(PATIENCE).await? else { return Ok(None) };
        Ok(Some(decode(self.reader.control(header).await?)?))
    }

    /// The payload of the next reply as it came.
    pub async fn raw_reply(&mut self) -> Vec<u8> {
        let header: Header = self.reader.header(PATIENCE).await.unwrap().expect("the connection is closed");
        self.reader.control(header).await.unwrap().to_vec()
    }

    /// Waits until the server has closed the connection, and returns the error that it gave as its last word.
    pub async fn last_words(&mut self) -> Option<WireError> {
        let mut last = None;
        loop {
            match self.try_reply().await {
                Ok(Some(Reply::Error(error))) => last = Some(error),
                Ok(Some(_)) => last = None,
                Ok(None) | Err(StreamError::Closed | StreamError::Io(_)) => return last,
                Err(error) => panic!("waited for the end of the connection: {error}"),
            }
        }
    }

    /// Says goodbye, and waits until the server has said it, too.
    pub async fn close(mut self) {
        // The server may have closed already.
        let _ = self.writer.close().await;
        within(PATIENCE, "the server's goodbye", self.last_words()).await;
    }

    /// Plans uploads of these sizes.
    pub async fn plan(&mut self, files: &[(&str, u64)]) -> Result<Vec<Verdict>, WireError> {
        let files = files
            .iter()
            .map(|(file, size)| PlannedFile {
                path: path(file),
                size: *size,
                mtime: None,
                update: false,
                sha256: None,
            })
            .collect();
        match self.request(&Request::Plan(Plan { files })).await {
            Reply::Plan { files } => Ok(files),
            other => Err(error_of(other)),
        }
    }

    /// Plans one upload of a file that was last modified then.
    pub async fn plan_dated(&mut self, file: &str, size: u64, mtime: i64) -> Verdict {
        let files =
            vec![PlannedFile { path: path(file), size, mtime: Some(mtime), update: false, sha256: None }];
        match self.request(&Request::Plan(Plan { files })).await {
            Reply::Plan { files } => files[0].clone(),
            other => panic!("{other:?} does not answer a plan"),
        }
    }

    /// Everything in a directory.
    pub async fn list(&mut self, directory: &str) -> Result<Vec<Entry>, WireError> {
        self.list_as(&list(directory)).await
    }

    /// Everything below a directory.
    pub async fn list_all(&mut self, directory: &str) -> Result<Vec<Entry>, WireError> {
        self.list_as(&List { recursive: true, ..list(directory) }).await
    }

    /// Whatever a list request gives, over all its replies.
    pub async fn list_as(&mut self, list: &List) -> Result<Vec<Entry>, WireError> {
        self.push(&Request::List(list.clone()));
        self.flush().await;
        let mut all = Vec::new();
        loop {
            match self.reply().await {
                Reply::Entries { entries, more, .. } => {
                    all.extend(entries);
                    if !more {
                        return Ok(all);
                    }
                }
                other => return Err(error_of(other)),
            }
        }
    }

    /// The names in a directory.
    pub async fn names(&mut self, directory: &str) -> Vec<String> {
        self.list(directory).await.unwrap().into_iter().map(|entry| entry.name).collect()
    }

    /// Everything about a path.
    pub async fn info(&mut self, file: &str) -> Result<Description, WireError> {
        match self.request(&Request::Info(Info { path: path(file) })).await {
            Reply::Info(description) => Ok(description),
            other => Err(error_of(other)),
        }
    }

    /// Deletes.
    pub async fn remove(&mut self, file: &str) -> Result<(), WireError> {
        done(
            self.request(&Request::Remove(Remove { path: path(file), recursive: false, if_match: None }))
                .await,
        )
    }

    /// Deletes a directory with all that is in it.
    pub async fn remove_all(&mut self, directory: &str) -> Result<(), WireError> {
        done(
            self.request(&Request::Remove(Remove { path: path(directory), recursive: true, if_match: None }))
                .await,
        )
    }

    /// Makes a directory.
    pub async fn make_directory(
        &mut self,
        directory: &str,
        mtime: Option<Nanoseconds>,
    ) -> Result<(), WireError> {
        done(
            self.request(&Request::MakeDirectory(MakeDirectory {
                path: path(directory),
                mtime,
                if_absent: false,
            }))
            .await,
        )
    }

    /// Stores a symbolic link.
    pub async fn link(&mut self, file: &str, target: &str) -> Result<(), WireError> {
        done(self.request(&Request::Link(link(file, target))).await)
    }

    /// Moves.
    pub async fn mv(&mut self, from: &str, to: &str) -> Result<(), WireError> {
        done(self.request(&Request::Move(Transplant::new(path(from), path(to)))).await)
    }

    /// Copies.
    pub async fn cp(&mut self, from: &str, to: &str) -> Result<(), WireError> {
        done(self.request(&Request::Copy(Transplant::new(path(from), path(to)))).await)
    }

    /// Reads the transfer log.
    pub async fn log(&mut self, query: LogQuery) -> Result<Vec<Transfer>, WireError> {
        self.push(&Request::Log(query));
        self.flush().await;
        let mut all = Vec::new();
        loop {
            match self.reply().await {
                Reply::Log { transfers, more } => {
                    all.extend(transfers);
                    if !more {
                        return Ok(all);
                    }
                }
                other => return Err(error_of(other)),
            }
        }
    }

    /// Who am I?
    pub async fn whoami(&mut self) -> Result<Account, WireError> {
        match self.request(&Request::Whoami(Whoami {})).await {
            Reply::Identity(account) => Ok(account),
            other => Err(error_of(other)),
        }
    }

    /// Asks for a new certificate.
    pub async fn renew(&mut self, csr: &str) -> Result<String, WireError> {
        match self.request(&Request::Renew(Renew { csr: csr.to_owned() })).await {
            Reply::Certificate { certificate } => Ok(certificate),
            other => Err(error_of(other)),
        }
    }

    /// Reports a download that did not verify.
    pub async fn report(&mut self, file: &str, sha256: Digest) -> Result<(), WireError> {
        done(self.request(&Request::Report(Report { path: path(file), sha256 })).await)
    }
}

fn done(reply: Reply) -> Result<(), WireError> {
    match reply {
        Reply::Done {} | Reply::Placed { .. } => Ok(()),
        other => Err(error_of(other)),
    }
}

/// The error in a reply that is not the expected one.
pub(crate) fn error_of(reply: Reply) -> WireError {
    match reply {
        Reply::Error(error) => error,
        other => panic!("{other:?} does not answer the request"),
    }
}
