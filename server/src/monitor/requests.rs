//! Requests by kind and outcome.

use std::time::Instant;

use sealift_protocol::message::{Reply, Request};
use sealift_types::ErrorCode;

use super::meter::{Counter, Histogram};
use crate::audit::Audited;

/// The kinds of requests, by the names that the metrics give them.
pub const KINDS: [&str; 17] = [
    "hello", "plan", "put", "slice", "get", "mkdir", "link", "list", "info", "remove", "move", "copy", "log",
    "whoami", "renew", "report", "unknown",
];

/// How requests end, by the names that the metrics give it.
pub const OUTCOMES: [&str; 3] = ["ok", "refused", "failed"];

/// A request that was read and waits for its answer.
#[derive(Debug)]
pub struct AskedRequest {
    kind: usize,
    read: Instant,
    /// What the log is to say of it when it has gone well.
    pub audited: Option<Audited>,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestOutcome {
    /// As the client wished.
    Ok,
    /// The client asked for what it may not have, or what is not there.
    Refused,
    /// The server could not do what it should have.
    Failed,
}

/// What came of the requests so far.
#[derive(Debug)]
pub struct RequestCounts {
    answered: [[Counter; OUTCOMES.len()]; KINDS.len()],
    durations: [Histogram; KINDS.len()],
}

impl Default for RequestCounts {
    fn default() -> Self {
        let durations = std::array::from_fn(|_| Histogram::of_durations());
        Self { answered: Default::default(), durations }
    }
}

impl RequestCounts {
    /// Notes that a request was answered.
    pub fn answered(&self, asked: &AskedRequest, outcome: RequestOutcome) {
        self.answered[asked.kind][outcome as usize].count();
        self.durations[asked.kind].time(asked.read.elapsed());
    }

    /// Of each kind that there was: its name, how often it ended how, and how long it took.
    pub fn kinds(&self) -> impl Iterator<Item = (&'static str, [u64; OUTCOMES.len()], &Histogram)> {
        let counts = self.answered.iter().map(|outcomes| outcomes.each_ref().map(Counter::get));
        let kinds = KINDS.into_iter().zip(counts).zip(&self.durations);
        kinds.map(|((kind, counts), durations)| (kind, counts, durations))
    }
}

impl AskedRequest {
    /// A request that was read just now; none stands for one that is not understood.
    pub fn now(request: Option<&Request>) -> Self {
        let kind = match request {
            Some(Request::Hello(_)) => 0,
            Some(Request::Plan(_)) => 1,
            Some(Request::Put(_)) => 2,
            Some(Request::Slice(_)) => 3,
            Some(Request::Get(_)) => 4,
            Some(Request::MakeDirectory(_)) => 5,
            Some(Request::Link(_)) => 6,
            Some(Request::List(_)) => 7,
            Some(Request::Info(_)) => 8,
            Some(Request::Remove(_)) => 9,
            Some(Request::Move(_)) => 10,
            Some(Request::Copy(_)) => 11,
            Some(Request::Log(_)) => 12,
            Some(Request::Whoami(_)) => 13,
            Some(Request::Renew(_)) => 14,
            Some(Request::Report(_)) => 15,
            None => 16,
        };
        Self { kind, read: Instant::now(), audited: request.and_then(Audited::of) }
    }
}

impl RequestOutcome {
    /// What a reply says of its request.
    pub fn of(reply: &Reply) -> Self {
        match reply {
            Reply::Error(error) => Self::of_error(Some(error.code)),
            _ => Self::Ok,
        }
    }

    /// What an error, or none, says.
    pub fn of_error(error: Option<ErrorCode>) -> Self {
        match error {
            None => Self::Ok,
            // Contents and disks are for the administrator to look after.
            Some(ErrorCode::Internal | ErrorCode::Integrity | ErrorCode::NoSpace) => Self::Failed,
            Some(_) => Self::Refused,
        }
    }
}
