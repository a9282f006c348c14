//! What the store should hold: a few maps.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sealift_protocol::Digest;

use super::operation::{At, Bytes, Fault, Group, How, NAMES, Operation, Piece, SPACES, Unless};
use crate::policy::Rights;

/// Entries below a directory that is deleted or moved at once.
const FEW: usize = 32;

/// What a path holds.
#[derive(Debug, Clone)]
pub(super) enum Node {
    Directory,
    File { bytes: Arc<Bytes>, mtime: i64 },
    Link { mtime: i64 },
}

/// How an operation ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Done,
    /// Done, and nothing has changed: what is there is newer.
    Kept,
    /// The caller has no right to it, or no certificate.
    Denied,
    /// The caller asks for what cannot be.
    Refused,
    /// The server failed.
    Failed,
    /// Not done: the tree is so large that it would take several changes.
    Large,
}

/// The beginnings of uploads to a path, by the size and number of the content.
type Parts = BTreeMap<(usize, At, u8), BTreeMap<u64, u64>>;

#[derive(Debug, Clone)]
pub(super) struct Simple {
    pub(super) nodes: BTreeMap<At, Node>,
    pub(super) grants: BTreeMap<(usize, Option<usize>), Rights>,
    /// Whose certificates are good, by their numbers.
    pub(super) good: BTreeSet<(usize, u64)>,
    /// Files and the bytes in them that can be continued.
    pub(super) parts: Parts,
    /// Uploads that were answered, well or not, and those among them of which there may be no record.
    pub(super) logged: usize,
    pub(super) lost: usize,
    /// Contents whose copies may be damaged, until somebody sends them again, and files that were damaged.
    pub(super) damaged: BTreeSet<Digest>,
    pub(super) damaged_files: BTreeSet<Digest>,
    /// Contents whose files were put in place again since they were last known to be good: they are read before they are
    /// shared, which the claims of this test leave out.
    replaced: BTreeSet<Digest>,
    /// What the operation at hand brings, where the operation alone does not say it.
    brought: Option<Arc<Bytes>>,
    /// The certificate that it was asked for with.
    certificate: u64,
    /// Whether a tree may have been deleted and not be reclaimed yet.
    unlinked: bool,
}

impl Default for Simple {
    fn default() -> Self {
        Self {
            nodes: BTreeMap::new(),
            grants: BTreeMap::new(),
            good: (0..NAMES.len()).map(|who| (who, 0)).collect(),
            parts: Parts::new(),
            logged: 0,
            lost: 0,
            damaged: BTreeSet::new(),
            damaged_files: BTreeSet::new(),
            replaced: BTreeSet::new(),
            brought: None,
            certificate: 0,
            unlinked: false,
        }
    }
}

/// What the real store tells about an operation.
#[derive(Debug, Clone)]
pub(super) struct Told {
    pub(super) outcome: Outcome,
    pub(super) what: String,
    /// What a [`Operation::PutBlob`] brought.
    pub(super) bytes: Option<Arc<Bytes>>,
    /// The file of what was begun.
    pub(super) file: Option<u64>,
    /// The number of the certificate that it was asked for with, or that was issued.
    pub(super) certificate: u64,
}

/// The content that an operation puts into a file of its own, before its change is made.
fn placed(operation: &Operation, told: &Told) -> Option<Digest> {
    match operation {
        Operation::Put { piece: piece @ Piece::Large(_), how: How::Sent, .. } => Some(piece.bytes().digest),
        Operation::Continue { piece, .. } => Some(Piece::Large(*piece).bytes().digest),
        Operation::PutBlob { .. } => told.bytes.as_ref().map(|bytes| bytes.digest),
        _ => None,
    }
}

impl At {
    fn parent(&self) -> Option<Self> {
        let (_, names) = self.names.split_last()?;
        (!names.is_empty()).then(|| Self { space: self.space, names: names.to_vec() })
    }

    fn child(&self, name: &str) -> Self {
        Self { space: self.space, names: [&self.names[..], &[name.to_owned()]].concat() }
    }

    /// Whether this is `other` or below it.
    pub(super) fn is_within(&self, other: &Self) -> bool {
        self.space == other.space && self.names.starts_with(&other.names)
    }

    fn moved(&self, from: &Self, to: &Self) -> Self {
        Self { space: to.space, names: [&to.names[..], &self.names[from.names.len()..]].concat() }
    }
}

impl Simple {
    /// Does the operations of a group, and compares how each should end with how it did.
    pub(super) fn judge(&mut self, group: &Group, told: &[Told]) -> Result<(), String> {
        self.unlinked = self.unlinks(group);
        // Before the first change of the group is made.
        self.replaced.extend(
            group.operations.iter().zip(told).filter_map(|(operation, told)| placed(operation, told)),
        );
        for (operation, told) in group.operations.iter().zip(told) {
            if matches!(
                operation,
                Operation::Put { .. } | Operation::PutBlob { .. } | Operation::Continue { .. }
            ) {
                self.logged += 1;
                // A full disk has no room for the record either.
                let full = matches!(group.fault, Fault::Full(_));
                self.lost += usize::from(full && told.outcome == Outcome::Failed);
            }
            if told.outcome == Outcome::Failed {
                if group.fault == Fault::Nothing {
                    return Err(format!("{operation:?} failed: {}", told.what));
                }
                continue;
            }
            if told.outcome == Outcome::Large {
                continue;
            }
            let before = self.clone();
            let mended = self.sent(operation, told);
            self.brought.clone_from(&told.bytes);
            self.certificate = told.certificate;
            let outcome = self.apply(operation, told.file).unwrap_or_else(|outcome| outcome);
            if matches!(outcome, Outcome::Done) {
                if let Some(digest) = mended {
                    self.damaged.remove(&digest);
                    self.damaged_files.remove(&digest);
                }
            } else {
                *self = before.clone();
            }
            let claimed = matches!(operation, Operation::Put { how: How::Claimed, .. });
            if claimed
                && (self.claims_damage(operation) || before.claims_replaced(operation))
                && (outcome, told.outcome) == (Outcome::Done, Outcome::Refused)
            {
                // The client sends it then.
                *self = before;
                continue;
            }
            if self.unlinked && claimed && (outcome, told.outcome) == (Outcome::Refused, Outcome::Done) {
                // A large tree that was deleted or moved is not reclaimed yet.
                self.claimed(operation);
                continue;
            }
            if outcome != told.outcome {
                let Told { outcome: found, what, .. } = told;
                return Err(format!("{operation:?} should be {outcome:?} and is {found:?}: {what}"));
            }
        }
        self.unlinked = false;
        for (operation, told) in
            group.operations.iter().zip(told).filter(|(_, told)| told.outcome == Outcome::Done)
        {
            placed(operation, told).map(|digest| self.replaced.remove(&digest));
        }
        Ok(())
    }

    /// Whether a group may leave trees that are still to be reclaimed.
    pub(super) fn unlinks(&self, group: &Group) -> bool {
        let far =
            |operation: &Operation| matches!(operation, Operation::Remove { .. } | Operation::Move { .. });
        self.nodes.len() + group.operations.len() > FEW && group.operations.iter().any(far)
    }

    /// The content that an operation brings all bytes of.
    fn sent(&self, operation: &Operation, told: &Told) -> Option<Digest> {
        match operation {
            Operation::Put { piece, how: How::Sent, .. } => Some(piece.bytes().digest),
            Operation::Continue { piece, .. } => Some(Piece::Large(*piece).bytes().digest),
            Operation::PutBlob { .. } => told.bytes.as_ref().map(|bytes| bytes.digest),
            _ => None,
        }
    }

    fn claims_replaced(&self, operation: &Operation) -> bool {
        matches!(operation, Operation::Put { piece, .. } if self.replaced.contains(&piece.bytes().digest))
    }

    fn claims_damage(&self, operation: &Operation) -> bool {
        matches!(operation, Operation::Put { piece, .. } if self.damaged.contains(&piece.bytes().digest))
    }

    fn claimed(&mut self, operation: &Operation) {
        if let Operation::Put { by, at, piece, mtime, .. } = operation {
            self.store(*by, at, piece.bytes(), *mtime);
        }
    }

    pub(super) fn rights(&self, who: usize, space: usize) -> Rights {
        if SPACES[space] == NAMES[who] {
            return Rights::ALL;
        }
        let of = |who| self.grants.get(&(space, who)).copied().unwrap_or(Rights::NONE);
        of(Some(who)).union(of(None))
    }

    /// The rights among `wanted` that the identity has.
    fn enter(&self, who: usize, space: usize, wanted: Rights) -> Result<Rights, Outcome> {
        let rights = self.rights(who, space);
        if !self.good.contains(&(who, self.certificate)) || !rights.intersects(wanted) {
            return Err(Outcome::Denied);
        }
        Ok(Rights::from_bits(rights.bits() & wanted.bits()))
    }

    fn apply(&mut self, operation: &Operation, file: Option<u64>) -> Result<Outcome, Outcome> {
        const STORE: Rights = Rights::CREATE.union(Rights::REPLACE);
        match operation {
            Operation::Put { by, at, piece, how, mtime, update } => {
                let rights = self.enter(*by, at.space, STORE)?;
                self.slot(rights, at)?;
                if *update
                    && matches!(self.nodes.get(at), Some(Node::File { mtime: there, .. }) if there > mtime)
                {
                    return Ok(Outcome::Kept);
                }
                let bytes = piece.bytes();
                if *how == How::Claimed && !self.is_within_reach(*by, &bytes) {
                    return Err(Outcome::Refused);
                }
                self.store(*by, at, bytes, *mtime);
            }
            Operation::PutBlob { by, at, .. } => {
                let rights = self.enter(*by, at.space, STORE)?;
                self.slot(rights, at)?;
                let bytes = self.brought.clone().ok_or(Outcome::Refused)?;
                self.store(*by, at, bytes, 1);
            }
            Operation::Continue { by, at, piece } => {
                let rights = self.enter(*by, at.space, STORE)?;
                self.slot(rights, at)?;
                self.store(*by, at, Piece::Large(*piece).bytes(), 2);
            }
            Operation::Begin { by, at, piece, blocks } => {
                self.enter(*by, at.space, STORE)?;
                let parts = self.parts.entry((*by, at.clone(), *piece)).or_default();
                parts.extend(file.map(|file| (file, u64::from(*blocks) * 4096)));
            }
            Operation::MakeDirectory { by, at, if_absent } => {
                let rights = self.enter(*by, at.space, STORE)?;
                if *if_absent && self.look(at)?.is_some() {
                    return Err(Outcome::Refused);
                }
                self.make_directories(rights, at)?;
            }
            Operation::Link { by, at, mtime } => {
                let rights = self.enter(*by, at.space, STORE)?;
                self.slot(rights, at)?;
                self.place(at, Node::Link { mtime: *mtime });
            }
            Operation::Remove { by, at, recursive } => {
                self.enter(*by, at.space, Rights::DELETE)?;
                let node = self.nodes.get(at).ok_or(Outcome::Refused)?;
                let has_children = self.nodes.keys().any(|other| other != at && other.is_within(at));
                if matches!(node, Node::Directory) && has_children && !recursive {
                    return Err(Outcome::Refused);
                }
                self.nodes.retain(|other, _| !other.is_within(at));
            }
            Operation::Move { by, from, to, unless } => return self.rename(*by, from, to, *unless),
            Operation::Copy { by, from, to, unless } => return self.copy(*by, from, to, *unless),
            Operation::Grant { space, to, rights } => {
                if to.is_some_and(|to| NAMES[to] == SPACES[*space]) {
                    return Err(Outcome::Refused);
                }
                self.grants.insert((*space, *to), Rights::from_bits(*rights));
            }
            Operation::Revoke(who) => {
                self.good.retain(|(whose, _)| whose != who);
                self.parts.retain(|(by, ..), _| by != who);
            }
            Operation::Join(who) => {
                self.good.insert((*who, self.certificate));
            }
            Operation::Dissolve => {}
        }
        Ok(Outcome::Done)
    }

    /// Whether a file or link may be stored there.
    fn slot(&self, rights: Rights, at: &At) -> Result<(), Outcome> {
        let mut above = at.parent();
        while let Some(directory) = above {
            if matches!(self.nodes.get(&directory), Some(Node::File { .. } | Node::Link { .. })) {
                return Err(Outcome::Refused);
            }
            above = directory.parent();
        }
        let needed = match self.nodes.get(at) {
            Some(Node::Directory) => return Err(Outcome::Refused),
            Some(_) => Rights::REPLACE,
            None => Rights::CREATE,
        };
        if rights.contains(needed) { Ok(()) } else { Err(Outcome::Denied) }
    }

    fn place(&mut self, at: &At, node: Node) {
        let mut above = at.parent();
        while let Some(directory) = above {
            self.nodes.insert(directory.clone(), Node::Directory);
            above = directory.parent();
        }
        self.nodes.insert(at.clone(), node);
    }

    fn store(&mut self, by: usize, at: &At, bytes: Arc<Bytes>, mtime: i64) {
        self.place(at, Node::File { bytes, mtime });
        self.parts.retain(|(who, there, _), _| (*who, there) != (by, at));
    }

    fn is_within_reach(&self, who: usize, bytes: &Bytes) -> bool {
        self.nodes.iter().any(|(at, node)| {
            matches!(node, Node::File { bytes: there, .. } if there.digest == bytes.digest)
                && self.rights(who, at.space).contains(Rights::READ)
        })
    }

    fn make_directories(&mut self, rights: Rights, at: &At) -> Result<(), Outcome> {
        if let Some(above) = at.parent() {
            self.make_directories(rights, &above)?;
        }
        match self.nodes.get(at) {
            Some(Node::Directory) => Ok(()),
            Some(_) => Err(Outcome::Refused),
            None if !rights.contains(Rights::CREATE) => Err(Outcome::Denied),
            None => {
                self.nodes.insert(at.clone(), Node::Directory);
                Ok(())
            }
        }
    }

    /// What is there.
    fn look(&self, at: &At) -> Result<Option<&Node>, Outcome> {
        let mut above = at.parent();
        while let Some(directory) = above {
            match self.nodes.get(&directory) {
                // Below a link nothing can be looked for.
                Some(Node::Link { .. }) => return Err(Outcome::Refused),
                _ => above = directory.parent(),
            }
        }
        Ok(self.nodes.get(at))
    }

    /// Refuses a target that the client does not want to be taken. What moves leaves its own place.
    fn check_target(&self, from: &At, to: &At, unless: Unless, moves: bool) -> Result<(), Outcome> {
        let is_itself = |at: &At| moves && at == from;
        let there = self.look(to)?;
        if unless.directory && matches!(there, Some(Node::Directory)) && !is_itself(to) {
            return Err(Outcome::Refused);
        }
        if !unless.taken || is_itself(to) {
            return Ok(());
        }
        let to = self.target(from, to)?;
        if self.look(&to)?.is_some() && !is_itself(&to) { Err(Outcome::Refused) } else { Ok(()) }
    }

    /// Where an entry goes: into a directory that is there, or to that very name.
    fn target(&self, from: &At, to: &At) -> Result<At, Outcome> {
        Ok(match (self.look(to)?, from.names.last()) {
            (Some(Node::Directory), Some(name)) => to.child(name),
            _ => to.clone(),
        })
    }

    fn rename(&mut self, by: usize, from: &At, to: &At, unless: Unless) -> Result<Outcome, Outcome> {
        let source = self.enter(by, from.space, Rights::DELETE.union(Rights::READ))?;
        let node = self.nodes.get(from).cloned().ok_or(Outcome::Refused)?;
        let target = self.enter(by, to.space, Rights::CREATE.union(Rights::REPLACE))?;
        if unless.taken || unless.directory {
            self.check_target(from, to, unless, true)?;
        }
        let needed = if from.space == to.space { Rights::DELETE } else { Rights::DELETE.union(Rights::READ) };
        if !source.contains(needed) {
            return Err(Outcome::Denied);
        }
        let to = self.target(from, to)?;
        if to == *from {
            return Ok(Outcome::Done);
        }
        if to.is_within(from) {
            return Err(Outcome::Refused);
        }
        if let Some(above) = to.parent() {
            self.make_directories(target, &above)?;
        }
        let is_directory = matches!(node, Node::Directory);
        let needed = match self.nodes.get(&to) {
            None => Rights::CREATE,
            Some(Node::File { .. } | Node::Link { .. }) if !is_directory => Rights::REPLACE,
            Some(_) => return Err(Outcome::Refused),
        };
        if !target.contains(needed) {
            return Err(Outcome::Denied);
        }
        let moved = self.below(from, &to);
        self.nodes.retain(|at, _| !at.is_within(from));
        self.nodes.extend(moved);
        Ok(Outcome::Done)
    }

    fn copy(&mut self, by: usize, from: &At, to: &At, unless: Unless) -> Result<Outcome, Outcome> {
        self.enter(by, from.space, Rights::READ)?;
        let node = self.nodes.get(from).cloned().ok_or(Outcome::Refused)?;
        let target = self.enter(by, to.space, Rights::CREATE.union(Rights::REPLACE))?;
        if unless.taken || unless.directory {
            self.check_target(from, to, unless, false)?;
        }
        let to = self.target(from, to)?;
        if !matches!(node, Node::Directory) {
            self.slot(target, &to)?;
            self.place(&to, node);
            return Ok(Outcome::Done);
        }
        if !target.contains(Rights::CREATE) {
            return Err(Outcome::Denied);
        }
        if to.is_within(from) {
            return Err(Outcome::Refused);
        }
        if let Some(above) = to.parent() {
            self.make_directories(target, &above)?;
        }
        if self.nodes.contains_key(&to) {
            return Err(Outcome::Refused);
        }
        let copied = self.below(from, &to);
        self.nodes.extend(copied);
        Ok(Outcome::Done)
    }

    /// An entry and all that is below it, with the paths that they have elsewhere.
    fn below(&self, from: &At, to: &At) -> Vec<(At, Node)> {
        let within = self.nodes.iter().filter(|(at, _)| at.is_within(from));
        within.map(|(at, node)| (at.moved(from, to), node.clone())).collect()
    }
}
