//! The desktop client's saved queue: what can be understood is the same when it is written and read again.

use crate::desktop::saved_queue::{SavedQueue, State, write};
use crate::memory::within;

/// Takes the file.
pub fn check(bytes: &[u8]) {
    let saved = within(64 * 1024 + 48 * bytes.len(), || SavedQueue::read(bytes));
    let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    assert_eq!(
        saved.entries.len() == lines.clone().count(),
        !saved.damaged,
        "a line is lost and nobody hears of it"
    );
    let again = SavedQueue::read(&written(&saved));
    assert!(!again.damaged, "what was written cannot be read");
    assert_eq!(again.entries, saved.entries);
    // What is read is what an interrupted run left: nothing is under way, and nothing has ended well.
    assert!(
        saved
            .entries
            .iter()
            .all(|(_, state)| matches!(state, State::Waiting | State::Paused | State::Failed(_)))
    );
    // A line says the same whatever is beside it.
    let apart: Vec<_> = lines.flat_map(|line| SavedQueue::read(line).entries).collect();
    assert_eq!(apart, saved.entries);
}

fn written(saved: &SavedQueue) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(&mut bytes, saved.entries.iter().map(|(spec, state)| (spec, state)))
        .expect("memory takes everything");
    bytes
}
