//! Names that are taken where something is going: asked about once, decided one by one or all together.

use std::collections::{HashSet, VecDeque};

use sealift_protocol::message::Direction;
use sealift_protocol::path::name_key;

use super::item::Spec;

/// What is to become of something whose name is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// It takes the place of what is there; a directory is merged into it.
    Replace,
    /// It gets a name of its own.
    KeepBoth,
    /// It stays where it is.
    Skip,
}

/// Transfers that wait for a decision.
#[derive(Debug, Default)]
pub struct Conflicts {
    waiting: VecDeque<Spec>,
    /// The names that are taken at the destination, as [`key`] has them.
    taken: HashSet<String>,
}

impl Conflicts {
    /// Takes in what is to be transferred to one directory, in which the `taken` names are. Returns what has no conflict.
    pub fn sift(&mut self, specs: Vec<Spec>, taken: impl IntoIterator<Item = String>) -> Vec<Spec> {
        if self.waiting.is_empty() {
            self.taken.clear();
        }
        self.taken.extend(taken.into_iter().map(|name| key(&name)));
        let mut free = Vec::new();
        for spec in specs {
            // Of two sources with one name, the second would replace the first.
            if self.taken.insert(key(&target(&spec))) {
                free.push(spec);
            } else {
                self.waiting.push_back(spec);
            }
        }
        free
    }

    /// What is to be decided now.
    pub fn current(&self) -> Option<&Spec> {
        self.waiting.front()
    }

    /// How many wait behind it.
    pub fn further(&self) -> usize {
        self.waiting.len().saturating_sub(1)
    }

    /// Decides about what is asked, or about all. Returns what is to be transferred.
    pub fn decide(&mut self, choice: Choice, all: bool) -> Vec<Spec> {
        let count = if all { self.waiting.len() } else { self.waiting.len().min(1) };
        let decided: Vec<_> = self.waiting.drain(..count).collect();
        decided.into_iter().filter_map(|spec| self.apply(choice, spec)).collect()
    }

    fn apply(&mut self, choice: Choice, mut spec: Spec) -> Option<Spec> {
        match choice {
            Choice::Replace => Some(spec),
            Choice::Skip => None,
            Choice::KeepBoth => {
                let name = target(&spec);
                let new = (2..).map(|number| numbered(&name, number, spec.tree));
                let new = new.into_iter().find(|name| self.taken.insert(key(name)))?;
                match spec.direction {
                    Direction::Put => {
                        let path = spec.remote.as_str();
                        let above = &path[..path.len() - name.len()];
                        spec.remote = format!("{above}{new}").parse().ok()?;
                    }
                    Direction::Get => spec.local.set_file_name(new),
                }
                Some(spec)
            }
        }
    }
}

/// The name at the destination.
fn target(spec: &Spec) -> String {
    match spec.direction {
        Direction::Put => spec.remote.file_name().unwrap_or_default().to_owned(),
        Direction::Get => spec.local.file_name().unwrap_or_default().to_string_lossy().into_owned(),
    }
}

/// Names with the same key are one name.
fn key(name: &str) -> String {
    let key = name_key(name);
    // Where case does not count, two names that differ by it are one file.
    if cfg!(any(windows, target_os = "macos")) { key.to_lowercase() } else { key.into_owned() }
}

/// `report (2).pdf`; a directory has no extension.
fn numbered(name: &str, number: u32, tree: bool) -> String {
    match name.rsplit_once('.').filter(|(stem, _)| !stem.is_empty() && !tree) {
        Some((stem, extension)) => format!("{stem} ({number}).{extension}"),
        None => format!("{name} ({number})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn up(name: &str) -> Spec {
        Spec {
            profile: "default".parse().unwrap(),
            direction: Direction::Put,
            local: PathBuf::from("/home").join(name),
            remote: format!("/alice/docs/{name}").parse().unwrap(),
            tree: false,
            size: Some(1),
        }
    }

    fn down(name: &str) -> Spec {
        Spec { direction: Direction::Get, ..up(name) }
    }

    #[test]
    fn what_is_free_does_not_wait() {
        let mut conflicts = Conflicts::default();
        let free = conflicts.sift(vec![up("a"), up("b"), up("c")], ["b".to_owned()]);
        assert_eq!(free, [up("a"), up("c")]);
        assert_eq!((conflicts.current(), conflicts.further()), (Some(&up("b")), 0));
    }

    #[test]
    fn keeping_both_finds_a_name_that_nobody_has() {
        let mut conflicts = Conflicts::default();
        let taken = ["a.tar", "a (2).tar", ".rc"].map(str::to_owned);
        conflicts.sift(vec![up("a.tar"), up(".rc"), up("a.tar")], taken);
        let remote: Vec<_> = conflicts.decide(Choice::KeepBoth, true).into_iter().map(|s| s.remote).collect();
        let expected = ["/alice/docs/a (3).tar", "/alice/docs/.rc (2)", "/alice/docs/a (4).tar"];
        assert_eq!(remote, expected.map(|path| path.parse().unwrap()));

        conflicts.sift(vec![down("x.pdf")], ["x.pdf".to_owned()]);
        let kept = conflicts.decide(Choice::KeepBoth, false);
        assert_eq!(kept[0].local, PathBuf::from("/home/x (2).pdf"));
        assert_eq!(kept[0].remote, down("x.pdf").remote);
    }

    #[test]
    fn one_decision_is_for_one_or_for_all() {
        let mut conflicts = Conflicts::default();
        let names = ["a", "b", "c"];
        assert!(conflicts.sift(names.map(up).to_vec(), names.map(str::to_owned)).is_empty());
        assert_eq!(conflicts.decide(Choice::Replace, false), [up("a")]);
        assert_eq!(conflicts.further(), 1);
        assert!(conflicts.decide(Choice::Skip, true).is_empty());
        assert_eq!(conflicts.current(), None);
    }
}
