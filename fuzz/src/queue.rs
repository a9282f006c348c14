//! The desktop client's saved queue: what can be understood is the same when it is written and read again.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use arbitrary::{Arbitrary, Unstructured};
use sealift_protocol::message::Direction;
use sealift_transfer::Remedy;

use crate::desktop::saved_queue::{SavedQueue, Spec, State, Trouble, write};
use crate::memory::within;

/// An entry of a queue.
#[derive(Debug, Arbitrary)]
struct Made<'a> {
    local: &'a [u8],
    remote: &'a str,
    up: bool,
    tree: bool,
    size: Option<u64>,
    state: MadeState<'a>,
}

#[derive(Debug, Arbitrary)]
enum MadeState<'a> {
    Waiting,
    Running,
    Paused,
    Failed(&'a str, u8),
}

/// Takes the file, or behind a zero byte the entries of a queue.
pub fn check(bytes: &[u8]) {
    match bytes.split_first() {
        Some((0, rest)) => {
            let Ok(made) = Vec::<Made<'_>>::arbitrary_take_rest(Unstructured::new(rest)) else { return };
            entries(made.iter().filter_map(make).collect());
        }
        _ => file(bytes),
    }
}

/// What is saved comes back; what was under way waits.
fn entries(mut entries: Vec<(Spec, State)>) {
    let saved = SavedQueue::read(&written(&entries));
    for (_, state) in &mut entries {
        if *state == State::Running {
            *state = State::Waiting;
        }
    }
    assert!(!saved.damaged, "what was written cannot be read");
    assert_eq!(saved.entries, entries);
}

fn make(made: &Made<'_>) -> Option<(Spec, State)> {
    let spec = Spec {
        profile: "default".parse().ok()?,
        direction: if made.up { Direction::Put } else { Direction::Get },
        local: OsString::from_vec(made.local.to_vec()).into(),
        remote: made.remote.parse().ok()?,
        tree: made.tree,
        size: made.size,
    };
    let state = match made.state {
        MadeState::Waiting => State::Waiting,
        MadeState::Running => State::Running,
        MadeState::Paused => State::Paused,
        MadeState::Failed(message, mend) => {
            let mends = [Remedy::TryAgain, Remedy::OtherPlace, Remedy::JoinAgain, Remedy::Person];
            let mend = mends[usize::from(mend) % mends.len()];
            State::Failed(Box::new(Trouble { message: message.to_owned(), mend }))
        }
    };
    Some((spec, state))
}

fn file(bytes: &[u8]) {
    let saved = within(64 * 1024 + 48 * bytes.len(), || SavedQueue::read(bytes));
    let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let is_whole = saved.entries.len() == lines.clone().count();
    assert_eq!(is_whole, !saved.damaged, "a line is lost and nobody hears of it");
    let again = SavedQueue::read(&written(&saved.entries));
    assert!(!again.damaged, "what was written cannot be read");
    assert_eq!(again.entries, saved.entries);
    // A line says the same whatever is beside it.
    let apart: Vec<_> = lines.flat_map(|line| SavedQueue::read(line).entries).collect();
    assert_eq!(apart, saved.entries);
}

fn written(entries: &[(Spec, State)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(&mut bytes, entries.iter().map(|(spec, state)| (spec, state))).expect("memory takes everything");
    bytes
}
