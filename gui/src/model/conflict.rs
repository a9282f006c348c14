//! Names that are taken where something is going: asked about once, decided one by one or all together.

use std::borrow::Cow;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};

use sealift_protocol::message::Direction;
use sealift_types::path::{MAX_COMPONENT, name_key};
use sealift_types::{EntryPath, Name};

use super::item::{Facts, ItemId, Spec};

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

/// Something whose place is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// What wants the place.
    pub coming: Coming,
    /// What is known of it.
    pub new: Facts,
    /// What is known of what is there.
    pub there: Facts,
    /// The entry of the queue that a transfer takes the place of.
    pub instead: Option<ItemId>,
}

/// What wants a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Coming {
    /// An upload or a download.
    Transfer(Spec),
    /// A move or a copy on the server.
    Relocation(Relocation),
}

/// A move or a copy of one entry on the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relocation {
    /// With the server of which profile.
    pub profile: Name,
    /// Where it is.
    pub from: EntryPath,
    /// Its new path.
    pub to: EntryPath,
    /// Whether the original stays.
    pub copy: bool,
    /// Whether it is a folder.
    pub is_folder: bool,
}

/// What was decided, but for what stays where it is.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Decided {
    /// What is to be transferred.
    pub specs: Vec<Spec>,
    /// What is to be transferred in the place of entries of the queue.
    pub replacements: Vec<(ItemId, Spec)>,
    /// What is to be moved and copied.
    pub relocations: Vec<Relocation>,
}

/// What waits for a decision.
#[derive(Debug, Default)]
pub struct Conflicts {
    waiting: VecDeque<Conflict>,
    /// What is taken at the destinations of transfers.
    taken: HashMap<TransferPlace, Facts>,
}

/// Where a transfer goes. Transfers to the same destination replace each other.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct TransferPlace {
    /// The profile of the server; none for a download, which goes to this computer.
    server: Option<Name>,
    /// The directory.
    parent: PathBuf,
    /// The name, as [`key`] has it.
    name: String,
}

impl TransferPlace {
    fn of(spec: &Spec) -> Self {
        Self { server: server(spec).cloned(), parent: parent(spec).into_owned(), name: key(&target(spec)) }
    }

    /// Another name in the same directory.
    fn beside(&self, name: &str) -> Self {
        Self { name: key(name), ..self.clone() }
    }
}

impl Conflict {
    /// The name that is taken.
    pub fn name(&self) -> String {
        match &self.coming {
            Coming::Transfer(spec) => target(spec),
            Coming::Relocation(relocation) => relocation.to.file_name().unwrap_or_default().to_owned(),
        }
    }

    /// True if the two become one folder: a transfer merges them, the server does not.
    pub fn merges(&self) -> bool {
        matches!(self.coming, Coming::Transfer(_)) && self.new.is_folder && self.there.is_folder
    }

    /// True if what is there can give way: a folder never does.
    pub fn can_replace(&self) -> bool {
        self.merges() || !(self.new.is_folder || self.there.is_folder)
    }
}

impl Conflicts {
    /// Takes in what is to be transferred to one directory, in which the `taken` names are. What is `queued` comes into
    /// being there, too. Returns what has no conflict.
    pub fn sift<'a>(
        &mut self,
        specs: Vec<(Spec, Facts)>,
        taken: impl IntoIterator<Item = (String, Facts)>,
        queued: impl IntoIterator<Item = &'a Spec>,
        instead: Option<ItemId>,
    ) -> Vec<Spec> {
        if self.waiting.is_empty() {
            self.taken.clear();
        }
        let Some((first, _)) = specs.first() else { return Vec::new() };
        let destination = TransferPlace::of(first);
        for spec in queued {
            if server(spec) == destination.server.as_ref() && parent(spec) == destination.parent {
                self.taken.insert(TransferPlace::of(spec), coming(spec));
            }
        }
        // What is there already is known better than what comes.
        self.taken.extend(taken.into_iter().map(|(name, facts)| (destination.beside(&name), facts)));
        let mut free = Vec::new();
        for (spec, new) in specs {
            match self.taken.entry(TransferPlace::of(&spec)) {
                Entry::Vacant(place) => {
                    // Of two sources with one name, the second would replace the first.
                    place.insert(new);
                    free.push(spec);
                }
                Entry::Occupied(there) => {
                    let there = *there.get();
                    let coming = Coming::Transfer(spec);
                    self.waiting.push_back(Conflict { coming, new, there, instead });
                }
            }
        }
        free
    }

    /// Takes in moves and copies of which the server says that their places are taken.
    pub fn ask(&mut self, conflicts: Vec<Conflict>) {
        self.waiting.extend(conflicts);
    }

    /// A server has another name.
    pub fn rename_server(&mut self, from: &Name, to: &Name) {
        for conflict in &mut self.waiting {
            let profile = match &mut conflict.coming {
                Coming::Transfer(spec) => &mut spec.profile,
                Coming::Relocation(relocation) => &mut relocation.profile,
            };
            if profile == from {
                profile.clone_from(to);
            }
        }
        let taken = std::mem::take(&mut self.taken).into_iter().map(|(mut destination, facts)| {
            if destination.server.as_ref() == Some(from) {
                destination.server = Some(to.clone());
            }
            (destination, facts)
        });
        self.taken = taken.collect();
    }

    /// What is to be decided now.
    pub fn current(&self) -> Option<&Conflict> {
        self.waiting.front()
    }

    /// How many wait behind it.
    pub fn further(&self) -> usize {
        self.waiting.len().saturating_sub(1)
    }

    /// Decides about what is asked, or about all. What cannot be replaced is asked about again.
    pub fn decide(&mut self, choice: Choice, all: bool) -> Decided {
        let count = if all { self.waiting.len() } else { self.waiting.len().min(1) };
        let asked: Vec<_> = self.waiting.drain(..count).collect();
        let mut decided = Decided::default();
        let mut again = Vec::new();
        for conflict in asked {
            match conflict.coming {
                _ if choice == Choice::Skip => {}
                _ if choice == Choice::Replace && !conflict.can_replace() => again.push(conflict),
                Coming::Transfer(ref spec) => match (self.apply(choice, spec.clone()), conflict.instead) {
                    (Some(spec), Some(id)) => decided.replacements.push((id, spec)),
                    (Some(spec), None) => decided.specs.push(spec),
                    // No other name fits.
                    (None, _) => again.push(conflict),
                },
                Coming::Relocation(relocation) => decided.relocations.push(relocation),
            }
        }
        again.into_iter().rev().for_each(|conflict| self.waiting.push_front(conflict));
        decided
    }

    fn apply(&mut self, choice: Choice, mut spec: Spec) -> Option<Spec> {
        if choice == Choice::KeepBoth {
            let (name, destination) = (target(&spec), TransferPlace::of(&spec));
            let mut new = (2..).map(|number| numbered(&name, number, spec.tree));
            let new = new.find(|name| !self.taken.contains_key(&destination.beside(name)))?;
            self.taken.insert(destination.beside(&new), coming(&spec));
            match spec.direction {
                Direction::Put => {
                    let path = spec.remote.as_str();
                    let above = &path[..path.len() - name.len()];
                    spec.remote = format!("{above}{new}").parse().ok()?;
                }
                Direction::Get => spec.local.set_file_name(new),
            }
        }
        Some(spec)
    }
}

/// The name at the destination.
fn target(spec: &Spec) -> String {
    match spec.direction {
        Direction::Put => spec.remote.file_name().unwrap_or_default().to_owned(),
        Direction::Get => spec.local.file_name().unwrap_or_default().to_string_lossy().into_owned(),
    }
}

/// The server that a transfer goes to.
fn server(spec: &Spec) -> Option<&Name> {
    (spec.direction == Direction::Put).then_some(&spec.profile)
}

/// The directory that a transfer goes to.
fn parent(spec: &Spec) -> Cow<'_, Path> {
    match spec.direction {
        Direction::Put => {
            let above = spec.remote.as_str().rsplit_once('/').map_or("", |(above, _)| above);
            match name_key(above) {
                Cow::Borrowed(above) => Cow::Borrowed(Path::new(above)),
                Cow::Owned(above) => Cow::Owned(above.into()),
            }
        }
        Direction::Get => Cow::Borrowed(spec.local.parent().unwrap_or(Path::new(""))),
    }
}

/// What is known of what a transfer makes.
fn coming(spec: &Spec) -> Facts {
    Facts { is_folder: spec.tree, size: spec.size, modified: None }
}

/// Names with the same key are one name.
fn key(name: &str) -> String {
    let key = name_key(name);
    // Where case does not count, two names that differ by it are one file.
    if cfg!(any(windows, target_os = "macos")) { key.to_lowercase() } else { key.into_owned() }
}

/// `report (2).pdf`; a directory has no extension. A name that is too long with its number loses the end of its stem.
pub(crate) fn numbered(name: &str, number: u32, tree: bool) -> String {
    let number = format!(" ({number})");
    // Where the extension leaves no room for a stem, it is none.
    let has_room = |extension: &str| 1 + number.len() + 1 + extension.len() <= MAX_COMPONENT;
    let parts = name.rsplit_once('.');
    let parts = parts.filter(|(stem, extension)| !stem.is_empty() && !tree && has_room(extension));
    let (stem, end) = match parts {
        Some((stem, extension)) => (stem, format!("{number}.{extension}")),
        None => (name, number),
    };
    let room = MAX_COMPONENT.saturating_sub(end.len());
    let cut = (0..=stem.len().min(room)).rfind(|at| stem.is_char_boundary(*at)).unwrap_or(0);
    format!("{}{end}", &stem[..cut])
}

#[cfg(test)]
mod tests {
    use super::*;

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

    fn facts(size: u64) -> Facts {
        Facts { is_folder: false, size: Some(size), modified: Some(7) }
    }

    fn sift(conflicts: &mut Conflicts, specs: &[Spec], taken: &[&str]) -> Vec<Spec> {
        let specs = specs.iter().map(|spec| (spec.clone(), facts(1))).collect();
        conflicts.sift(specs, taken.iter().map(|name| ((*name).to_owned(), facts(2))), [], None)
    }

    fn relocation(to: &str) -> Relocation {
        let (from, to) = ("/alice/old".parse().unwrap(), to.parse().unwrap());
        Relocation { profile: "default".parse().unwrap(), from, to, copy: false, is_folder: false }
    }

    #[test]
    fn what_is_free_does_not_wait() {
        let mut conflicts = Conflicts::default();
        let free = sift(&mut conflicts, &[up("a"), up("b"), up("c")], &["b"]);
        assert_eq!(free, [up("a"), up("c")]);
        let coming = Coming::Transfer(up("b"));
        let asked = Conflict { coming, new: facts(1), there: facts(2), instead: None };
        assert_eq!((conflicts.current(), conflicts.further()), (Some(&asked), 0));
    }

    #[test]
    fn keeping_both_finds_a_name_that_nobody_has() {
        let mut conflicts = Conflicts::default();
        sift(&mut conflicts, &[up("a.tar"), up(".rc"), up("a.tar")], &["a.tar", "a (2).tar", ".rc"]);
        let kept = conflicts.decide(Choice::KeepBoth, true).specs;
        let expected = ["/alice/docs/a (3).tar", "/alice/docs/.rc (2)", "/alice/docs/a (4).tar"];
        let remote: Vec<_> = kept.into_iter().map(|spec| spec.remote).collect();
        assert_eq!(remote, expected.map(|path| path.parse().unwrap()));

        sift(&mut conflicts, &[down("x.pdf")], &["x.pdf"]);
        let kept = conflicts.decide(Choice::KeepBoth, false).specs;
        assert_eq!(kept[0].local, PathBuf::from("/home/x (2).pdf"));
        assert_eq!(kept[0].remote, down("x.pdf").remote);
    }

    #[test]
    fn long_names_are_shortened_for_their_numbers() {
        let long = "\u{e9}".repeat(125);
        let name = format!("{long}.tar");
        assert_eq!(name.len(), 254);
        let mut conflicts = Conflicts::default();
        sift(&mut conflicts, &[up(&name), up(&name)], &[&name]);
        let kept = conflicts.decide(Choice::KeepBoth, true).specs;
        let stem = "\u{e9}".repeat(123);
        let names: Vec<_> = kept.iter().map(target).collect();
        assert_eq!(names, [format!("{stem} (2).tar"), format!("{stem} (3).tar")]);
        for (name, tree) in
            [("x".repeat(255), false), (format!("a.{}", "x".repeat(253)), false), (name, true)]
        {
            let numbered = numbered(&name, 1000, tree);
            assert!(numbered.len() <= 255 && numbered.ends_with(" (1000)"), "{numbered}");
            assert!(numbered.parse::<sealift_types::EntryPath>().is_ok());
        }
    }

    #[test]
    fn one_decision_is_for_one_or_for_all() {
        let mut conflicts = Conflicts::default();
        let names = ["a", "b", "c"];
        assert!(sift(&mut conflicts, &names.map(up), &names).is_empty());
        assert_eq!(conflicts.decide(Choice::Replace, false).specs, [up("a")]);
        assert_eq!(conflicts.further(), 1);
        assert_eq!(conflicts.decide(Choice::Skip, true), Decided::default());
        assert_eq!(conflicts.current(), None);
    }

    #[test]
    fn what_cannot_be_replaced_is_asked_about_by_itself() {
        let folder = Facts { is_folder: true, ..Facts::default() };
        let asked = |to: &str, new, there| {
            let coming = Coming::Relocation(relocation(to));
            Conflict { coming, new, there, instead: None }
        };
        let mut conflicts = Conflicts::default();
        conflicts.ask(vec![
            asked("/alice/a", facts(1), facts(2)),
            asked("/alice/b", folder, folder),
            asked("/alice/c", facts(1), folder),
            asked("/alice/d", facts(1), facts(2)),
        ]);
        let replaced = conflicts.decide(Choice::Replace, true).relocations;
        assert_eq!(replaced, [relocation("/alice/a"), relocation("/alice/d")]);
        assert_eq!((conflicts.current().unwrap().name(), conflicts.further()), ("b".to_owned(), 1));
        let kept = conflicts.decide(Choice::KeepBoth, true).relocations;
        assert_eq!(kept, [relocation("/alice/b"), relocation("/alice/c")]);
    }
}
