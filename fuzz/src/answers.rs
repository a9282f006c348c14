//! The answers of a server that may be hostile: a client ends, holds bounded memory, and takes each answer for one question.

use std::time::Duration;

use arbitrary::{Arbitrary, Unstructured};
use sealift_protocol::message::{List, MAX_INLINE, Transplant, encode};
use sealift_protocol::{FrameKind, Header};
use sealift_transfer::{Connection, TransferError, remote};
use sealift_types::EntryPath;
use serde_json::{Value, json};

use crate::memory::within;
use crate::stream::{Pieces, run};

const STALL: Duration = Duration::from_secs(3600);

/// The largest message, as it is understood, beside what a connection needs.
const MOST: usize = 48 * 64 * 1024 + 512 * 1024;

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    sizes: [u8; 8],
    question: Question,
    greets: bool,
    answers: Vec<Answer<'a>>,
    rest: &'a [u8],
}

#[derive(Debug, Clone, Copy, Arbitrary)]
enum Question {
    List,
    Info,
    Remove,
    Log(Option<u16>),
    Whoami,
    Renew,
    Move,
    MakeDirectory,
}

#[derive(Debug, Arbitrary)]
enum Answer<'a> {
    Json(&'a str),
    Raw(&'a [u8]),
    Data(u16),
    Header(u8, u32),
    Entries { names: Vec<&'a str>, more: bool },
    Log { ids: Vec<i8>, more: bool },
    Info(&'a str),
    Error { code: u8, message: &'a str },
    Done,
    Placed(&'a str),
    Working(u64),
    Welcome,
}

/// Takes a question and its answers.
pub fn check(bytes: &[u8]) {
    let Ok(input) = Input::arbitrary_take_rest(Unstructured::new(bytes)) else { return };
    let mut wire = Vec::new();
    if input.greets {
        write(&mut wire, &Answer::Welcome);
    }
    input.answers.iter().for_each(|answer| write(&mut wire, answer));
    wire.extend_from_slice(input.rest);
    let stream = Box::new(Pieces::new(&wire, &input.sizes));
    let requests = Box::new(Pieces::new(&[], &[]));
    let address = "fuzz.example".parse().expect("it is an address");
    let connection = Connection::new(stream, requests, address, "fuzz", STALL);
    let mut connection = connection.expect("the greeting is short");
    within(MOST, || run(ask(&mut connection, input.question, wire.len())));
}

async fn ask(connection: &mut Connection, question: Question, most: usize) {
    let path: EntryPath = "/alice/a".parse().expect("it is a path");
    let answered = match question {
        Question::List => list(connection, path, most).await,
        Question::Info | Question::Remove => {
            several(connection, path, matches!(question, Question::Info)).await
        }
        Question::Log(limit) => log(connection, limit.map(u64::from)).await,
        Question::Whoami => remote::whoami(connection).await.map(drop),
        Question::Renew => remote::renew(connection, String::new()).await.map(drop),
        Question::Move => remote::rename(connection, onto(path)).await.map(drop),
        Question::MakeDirectory => remote::make_new_directory(connection, path).await.map(drop),
    };
    match answered {
        Ok(()) => {
            assert!(connection.is_in_step(), "a connection whose questions are answered can be used again")
        }
        // A connection that broke is not used again.
        Err(TransferError::Lost(_) | TransferError::Handshake { .. }) => assert!(!connection.is_in_step()),
        Err(_) => {}
    }
}

fn onto(path: EntryPath) -> Transplant {
    Transplant { from: path.clone(), to: path, if_absent: false, exact: false }
}

async fn list(connection: &mut Connection, path: EntryPath, most: usize) -> Result<(), TransferError> {
    let mut listing = remote::list(connection, List::of(path)).await?;
    let mut pages = 0;
    while listing.page().await?.is_some() {
        pages += 1;
        assert!(pages <= most, "there are more pages than bytes");
    }
    assert!(pages > 0, "an answer is no page");
    Ok(())
}

async fn several(connection: &mut Connection, path: EntryPath, describe: bool) -> Result<(), TransferError> {
    let paths = vec![path; 3];
    let mut told = Vec::new();
    let answered = if describe {
        remote::info(connection, &paths, |number, _| told.push(number)).await
    } else {
        remote::remove(connection, &paths, false, |number, _| told.push(number)).await
    };
    assert!(told.iter().copied().eq(0..told.len()), "answers are told out of order: {told:?}");
    assert!(told.len() == paths.len() || answered.is_err(), "a question is left without an answer");
    answered
}

async fn log(connection: &mut Connection, limit: Option<u64>) -> Result<(), TransferError> {
    let filter = remote::LogFilter { limit, ..remote::LogFilter::default() };
    let mut log = remote::log(connection, filter);
    let (mut count, mut last) = (0, None);
    while let Some(transfers) = log.page().await? {
        assert!(!transfers.is_empty());
        for transfer in transfers {
            assert!(last.is_none_or(|last| transfer.id < last), "the log goes round in a circle");
            last = Some(transfer.id);
            count += 1;
        }
        assert!(limit.is_none_or(|limit| count <= limit), "more records than were asked for");
    }
    Ok(())
}

fn write(wire: &mut Vec<u8>, answer: &Answer<'_>) {
    let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let message = match answer {
        Answer::Json(text) => {
            if let Ok(header) = Header::new(FrameKind::Control, text.len()) {
                wire.extend(header.encode());
                wire.extend_from_slice(text.as_bytes());
            }
            return;
        }
        Answer::Raw(bytes) => return wire.extend_from_slice(bytes),
        Answer::Data(length) => {
            let header = Header::new(FrameKind::Data, usize::from(*length)).expect("it is short");
            wire.extend(header.encode());
            return wire.resize(wire.len() + usize::from(*length), 7);
        }
        Answer::Header(kind, length) => {
            let [_, length @ ..] = length.to_be_bytes();
            wire.push(*kind);
            return wire.extend(length);
        }
        Answer::Entries { names, more } => {
            let entry = |name| json!({"name": name, "kind": "file", "size": MAX_INLINE, "mtime": 1, "sha256": digest});
            json!({"type": "entries", "entries": names.iter().map(entry).collect::<Vec<_>>(), "more": more})
        }
        Answer::Log { ids, more } => {
            let transfer = |id| {
                json!({"id": id, "started": 1, "duration_us": 1, "identity": "alice", "address": "[::1]:1",
                       "direction": "put", "path": "/alice/a", "bytes": 1, "wire_bytes": 2})
            };
            json!({"type": "log", "transfers": ids.iter().map(transfer).collect::<Vec<_>>(), "more": more})
        }
        Answer::Info(path) => {
            json!({"type": "info", "path": path, "kind": "file", "mtime": 1, "stored_at": 1})
        }
        Answer::Error { code, message } => {
            let codes = ["busy", "not-found", "shutting-down", "certificate-refused", "internal", "new"];
            json!({"type": "error", "code": codes[usize::from(*code) % codes.len()], "message": message})
        }
        Answer::Done => json!({"type": "done"}),
        Answer::Placed(path) => json!({"type": "placed", "path": path}),
        Answer::Working(entries) => json!({"type": "working", "entries": entries}),
        Answer::Welcome => json!({"type": "welcome", "version": 1, "server": "fuzz", "identity": "alice"}),
    };
    control(wire, &message);
}

fn control(wire: &mut Vec<u8>, message: &Value) {
    // One that is too long for a frame is left out.
    let _ = encode(message, wire);
}
