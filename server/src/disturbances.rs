//! Which paths were moved, replaced or deleted lately: so a client that lists a tree page by page learns whether the
//! pages are of one state.
//!
//! A change is told before its transaction commits, and counts as open until the commit is over. So all that is missing
//! in a state is visible to a snapshot that is taken after the state was asked for, and all that a snapshot can see was
//! told when the snapshot ends. New entries are no disturbance: nothing that was listed is false because of them.

use std::collections::hash_map::RandomState;
use std::collections::{BTreeSet, VecDeque};
use std::hash::{BuildHasher, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sealift_types::path::name_key;
use sealift_types::{EntryPath, Location, Name};

/// Changes that are remembered, ...
const CHANGES: usize = 8192;

/// ... and bytes of their paths.
const BYTES: usize = 1024 * 1024;

/// The changes. Clones share them.
#[derive(Debug, Clone)]
pub struct Disturbances(Arc<Mutex<Recent>>);

#[derive(Debug)]
struct Recent {
    /// Tells this run of the server from others.
    run: u64,
    /// The number of the next change.
    next: u64,
    changes: VecDeque<(u64, String)>,
    bytes: usize,
    /// The first number of which nothing was forgotten.
    known: u64,
    /// The changes that may not be visible yet.
    open: BTreeSet<u64>,
}

/// A change that may not be visible yet; it is when this is dropped, or has failed.
#[derive(Debug)]
pub struct Disturbance {
    number: u64,
    all: Disturbances,
}

/// What a change tells of, open until it is dropped.
#[derive(Debug)]
pub struct Disturbing {
    all: Disturbances,
    open: Mutex<Vec<Disturbance>>,
}

impl Disturbing {
    /// A change that has not told of anything yet.
    pub fn new(all: &Disturbances) -> Self {
        Self { all: all.clone(), open: Mutex::default() }
    }

    /// Tells, before the commit, that what was at a path is not there any more as it was.
    pub fn tell(&self, caller: &Name, path: &EntryPath) {
        let disturbance = self.all.tell(caller, path);
        self.open.lock().unwrap_or_else(PoisonError::into_inner).push(disturbance);
    }
}

impl Default for Disturbances {
    fn default() -> Self {
        let run = RandomState::new().build_hasher().finish();
        Self(Arc::new(Mutex::new(Recent {
            run,
            next: 0,
            changes: VecDeque::new(),
            bytes: 0,
            known: 0,
            open: BTreeSet::new(),
        })))
    }
}

impl Disturbances {
    /// Tells of a change to `path`, as `caller` writes it, before it is committed.
    pub fn tell(&self, caller: &Name, path: &EntryPath) -> Disturbance {
        let path = key(caller, path);
        let mut recent = self.lock();
        let number = recent.next;
        recent.next += 1;
        recent.open.insert(number);
        recent.bytes += path.len();
        recent.changes.push_back((number, path));
        while recent.changes.len() > CHANGES || recent.bytes > BYTES {
            let Some((number, path)) = recent.changes.pop_front() else { break };
            recent.bytes -= path.len();
            recent.known = number + 1;
        }
        Disturbance { number, all: self.clone() }
    }

    /// The present state: a snapshot that is taken from now on shows every change before it.
    pub fn state(&self) -> String {
        let recent = self.lock();
        let number = recent.open.first().copied().unwrap_or(recent.next);
        format!("{:x}-{number:x}", recent.run)
    }

    /// Whether `path`, or something below or above it, was changed since a state, or may have been, as far as a
    /// snapshot shows that has ended.
    pub fn since(&self, state: &str, caller: &Name, path: &EntryPath) -> bool {
        let path = key(caller, path);
        let recent = self.lock();
        let number = |text| u64::from_str_radix(text, 16).ok();
        let since = state.split_once('-').and_then(|(run, since)| Some((number(run)?, number(since)?)));
        let Some((run, since)) = since else { return true };
        if run != recent.run || since < recent.known {
            return true;
        }
        let later = recent.changes.iter().rev().take_while(|(number, _)| *number >= since);
        later
            .map(|(_, changed)| changed)
            .any(|changed| changed.starts_with(&path) || path.starts_with(changed))
    }

    fn lock(&self) -> MutexGuard<'_, Recent> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Disturbance {
    fn drop(&mut self) {
        self.all.lock().open.remove(&self.number);
    }
}

/// The names from the space on, in the form in which they are compared, with NUL behind each.
fn key(caller: &Name, path: &EntryPath) -> String {
    match path.locate(caller) {
        Ok(Location::In { space, names }) => {
            names.iter().fold(format!("{space}\0"), |key, name| key + &name_key(name) + "\0")
        }
        // Everything.
        Ok(Location::Spaces) | Err(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> EntryPath {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_at_a_path_and_above_and_below_it_counts() {
        let (all, alice) = (Disturbances::default(), "alice".parse().unwrap());
        let before = all.state();
        drop(all.tell(&alice, &path("a/e\u{301}")));
        for (listed, changed) in [
            ("a", true),
            ("", true),
            ("/alice/a/\u{e9}", true),
            ("a/\u{e9}/deeper", true),
            ("a/e", false),
            ("a/\u{e9}2", false),
            ("/bob/a", false),
        ] {
            assert_eq!(all.since(&before, &alice, &path(listed)), changed, "{listed}");
        }
        let after = all.state();
        assert!(!all.since(&after, &alice, &path("a")));
        for odd in ["", "x", "0-0", "-", "zz-1"] {
            assert!(all.since(odd, &alice, &path("b")), "{odd}");
        }
    }

    #[test]
    fn a_change_counts_until_it_is_visible() {
        let (all, alice) = (Disturbances::default(), "alice".parse().unwrap());
        let open = all.tell(&alice, &path("a"));
        drop(all.tell(&alice, &path("b")));
        // Nobody who asks now can be sure to see it.
        let state = all.state();
        drop(open);
        assert!(all.since(&state, &alice, &path("a")));
        assert!(!all.since(&all.state(), &alice, &path("a")));
    }

    #[test]
    fn what_was_forgotten_may_have_been_anything() {
        let (all, alice) = (Disturbances::default(), "alice".parse().unwrap());
        let state = all.state();
        for _ in 0..CHANGES {
            drop(all.tell(&alice, &path("b")));
        }
        assert!(!all.since(&state, &alice, &path("a")));
        let long = path(&["x".repeat(250).as_str(); 15].join("/"));
        for _ in 0..=BYTES / 3750 {
            drop(all.tell(&alice, &long));
        }
        assert!(all.since(&state, &alice, &path("a")));
        assert!(!all.since(&all.state(), &alice, &path("a")));
        assert!(all.lock().bytes <= BYTES);
    }
}
