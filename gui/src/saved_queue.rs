//! The saved queue: one JSON object on each line.
//!
//! Nothing here knows of windows, so that the fuzz targets can do without one.

use std::io::{self, Write};
use std::path::PathBuf;

use sealift_protocol::message::Direction;
use sealift_transfer::{Remedy, TransferError};
use sealift_types::{EntryPath, Name};
use serde::{Deserialize, Serialize};

/// What is to be transferred. It does not change, so that a saved queue shares it with the one that is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    /// With the server of which profile.
    pub profile: Name,
    /// Which way.
    pub direction: Direction,
    /// The file or directory here.
    #[serde(with = "super::any_path")]
    pub local: PathBuf,
    /// The same on the server.
    pub remote: EntryPath,
    /// Whether it is a directory with all that is in it.
    pub tree: bool,
    /// A file's size, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
}

impl Spec {
    /// The name that people know it by.
    pub fn name(&self) -> &str {
        self.remote.file_name().unwrap_or(self.remote.as_str())
    }
}

/// What went wrong, and what helps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// A sentence for a person.
    pub message: String,
    /// What a button can do about it.
    pub mend: Remedy,
}

impl Trouble {
    /// What a person has to mend, as the message says.
    pub fn of_person(message: impl Into<String>) -> Self {
        Self { message: message.into(), mend: Remedy::Person }
    }
}

impl From<&TransferError> for Trouble {
    fn from(error: &TransferError) -> Self {
        Self { message: error.to_string(), mend: error.kind().mend() }
    }
}

/// Where an entry is in its life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It waits for its turn.
    Waiting,
    /// It is under way.
    Running,
    /// Somebody wants it to wait.
    Paused,
    /// All of it is there, durable and verified.
    Done,
    /// Somebody did not want it any more.
    Cancelled,
    /// It ended with an error.
    Failed(Box<Trouble>),
}

impl State {
    /// Whether it is over, unless somebody starts it again.
    pub fn has_ended(&self) -> bool {
        matches!(self, Self::Done | Self::Cancelled | Self::Failed(_))
    }
}

/// What is read of a saved queue.
#[derive(Debug, Default)]
pub struct SavedQueue {
    /// The entries, in their order.
    pub entries: Vec<(Spec, State)>,
    /// True if a line could not be understood.
    pub damaged: bool,
}

/// A line of the saved queue.
#[derive(Debug, Serialize, Deserialize)]
struct Line<S> {
    #[serde(flatten)]
    spec: S,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    paused: bool,
    /// Why it failed, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failed: Option<String>,
    /// What helps against that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mend: Option<Remedy>,
}

impl SavedQueue {
    /// Reads what [`write()`] wrote, and as much as can be understood of anything else.
    pub fn read(bytes: &[u8]) -> Self {
        let mut saved = Self::default();
        for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            match serde_json::from_slice::<Line<Spec>>(line) {
                Ok(Line { spec, paused, failed, mend }) => {
                    let mend = mend.unwrap_or(Remedy::TryAgain);
                    let state = match failed {
                        Some(message) => State::Failed(Box::new(Trouble { message, mend })),
                        None if paused => State::Paused,
                        None => State::Waiting,
                    };
                    saved.entries.push((spec, state));
                }
                Err(_) => saved.damaged = true,
            }
        }
        saved
    }
}

/// Writes entries. Those that are under way are read as waiting.
///
/// # Errors
/// Fails when `out` does.
pub fn write<'a>(
    mut out: impl Write,
    entries: impl IntoIterator<Item = (&'a Spec, &'a State)>,
) -> io::Result<()> {
    for (spec, state) in entries {
        let (failed, mend) = match state {
            State::Failed(trouble) => (Some(trouble.message.clone()), Some(trouble.mend)),
            _ => (None, None),
        };
        let line = Line { spec, paused: *state == State::Paused, failed, mend };
        serde_json::to_writer(&mut out, &line)?;
        out.write_all(b"\n")?;
    }
    Ok(())
}
