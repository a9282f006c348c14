//! What the store should hold: a few maps.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sealift_types::{Digest, Rights};

use super::operation::{
    ModelBytes, ModelCondition, ModelContent, ModelFault, ModelGroup, ModelOperation, ModelPath, ModelUpload,
    NAMES, SPACES,
};

/// Entries below a directory that is deleted or moved at once.
const FEW: usize = 32;

/// What a path holds.
#[derive(Debug, Clone)]
pub(super) enum ModelNode {
    Directory,
    File { bytes: Arc<ModelBytes>, mtime: i64 },
    Link { mtime: i64 },
}

/// How an operation ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ModelOutcome {
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
type ModelPartials = BTreeMap<(usize, ModelPath, u8), BTreeMap<u64, u64>>;

#[derive(Debug, Clone)]
pub(super) struct Simple {
    pub(super) nodes: BTreeMap<ModelPath, ModelNode>,
    pub(super) grants: BTreeMap<(usize, Option<usize>), Rights>,
    /// Whose certificates are good, by their numbers.
    pub(super) good: BTreeSet<(usize, u64)>,
    /// Files and the bytes in them that can be continued.
    pub(super) parts: ModelPartials,
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
    brought: Option<Arc<ModelBytes>>,
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
            parts: ModelPartials::new(),
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
pub(super) struct RealAnswer {
    pub(super) outcome: ModelOutcome,
    pub(super) what: String,
    /// What a [`ModelOperation::PutBlob`] brought.
    pub(super) bytes: Option<Arc<ModelBytes>>,
    /// The file of what was begun.
    pub(super) file: Option<u64>,
    /// The number of the certificate that it was asked for with, or that was issued.
    pub(super) certificate: u64,
}

/// The content that an operation puts into a file of its own, before its change is made.
fn placed(operation: &ModelOperation, told: &RealAnswer) -> Option<Digest> {
    match operation {
        ModelOperation::Put { piece: piece @ ModelContent::Large(_), how: ModelUpload::Sent, .. } => {
            Some(piece.bytes().digest)
        }
        ModelOperation::Continue { piece, .. } => Some(ModelContent::Large(*piece).bytes().digest),
        ModelOperation::PutBlob { .. } => told.bytes.as_ref().map(|bytes| bytes.digest),
        _ => None,
    }
}

impl ModelPath {
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
    pub(super) fn judge(&mut self, group: &ModelGroup, told: &[RealAnswer]) -> Result<(), String> {
        self.unlinked = self.unlinks(group);
        // Before the first change of the group is made.
        self.replaced.extend(
            group.operations.iter().zip(told).filter_map(|(operation, told)| placed(operation, told)),
        );
        for (operation, told) in group.operations.iter().zip(told) {
            if matches!(
                operation,
                ModelOperation::Put { .. } | ModelOperation::PutBlob { .. } | ModelOperation::Continue { .. }
            ) {
                self.logged += 1;
                // A full disk has no room for the record either.
                let full = matches!(group.fault, ModelFault::Full(_));
                self.lost += usize::from(full && told.outcome == ModelOutcome::Failed);
            }
            if told.outcome == ModelOutcome::Failed {
                if group.fault == ModelFault::Nothing {
                    return Err(format!("{operation:?} failed: {}", told.what));
                }
                continue;
            }
            if told.outcome == ModelOutcome::Large {
                continue;
            }
            let before = self.clone();
            let mended = self.sent(operation, told);
            self.brought.clone_from(&told.bytes);
            self.certificate = told.certificate;
            let outcome = self.apply(operation, told.file).unwrap_or_else(|outcome| outcome);
            if matches!(outcome, ModelOutcome::Done) {
                if let Some(digest) = mended {
                    self.damaged.remove(&digest);
                    self.damaged_files.remove(&digest);
                }
            } else {
                *self = before.clone();
            }
            let claimed = matches!(operation, ModelOperation::Put { how: ModelUpload::Claimed, .. });
            if claimed
                && (self.claims_damage(operation) || before.claims_replaced(operation))
                && (outcome, told.outcome) == (ModelOutcome::Done, ModelOutcome::Refused)
            {
                // The client sends it then.
                *self = before;
                continue;
            }
            if self.unlinked
                && claimed
                && (outcome, told.outcome) == (ModelOutcome::Refused, ModelOutcome::Done)
            {
                // A large tree that was deleted or moved is not reclaimed yet.
                self.claimed(operation);
                continue;
            }
            if outcome != told.outcome {
                let RealAnswer { outcome: found, what, .. } = told;
                return Err(format!("{operation:?} should be {outcome:?} and is {found:?}: {what}"));
            }
        }
        self.unlinked = false;
        for (operation, told) in
            group.operations.iter().zip(told).filter(|(_, told)| told.outcome == ModelOutcome::Done)
        {
            placed(operation, told).map(|digest| self.replaced.remove(&digest));
        }
        Ok(())
    }

    /// Whether a group may leave trees that are still to be reclaimed.
    pub(super) fn unlinks(&self, group: &ModelGroup) -> bool {
        let far = |operation: &ModelOperation| {
            matches!(operation, ModelOperation::Remove { .. } | ModelOperation::Move { .. })
        };
        self.nodes.len() + group.operations.len() > FEW && group.operations.iter().any(far)
    }

    /// The content that an operation brings all bytes of.
    fn sent(&self, operation: &ModelOperation, told: &RealAnswer) -> Option<Digest> {
        match operation {
            ModelOperation::Put { piece, how: ModelUpload::Sent, .. } => Some(piece.bytes().digest),
            ModelOperation::Continue { piece, .. } => Some(ModelContent::Large(*piece).bytes().digest),
            ModelOperation::PutBlob { .. } => told.bytes.as_ref().map(|bytes| bytes.digest),
            _ => None,
        }
    }

    fn claims_replaced(&self, operation: &ModelOperation) -> bool {
        matches!(operation, ModelOperation::Put { piece, .. } if self.replaced.contains(&piece.bytes().digest))
    }

    fn claims_damage(&self, operation: &ModelOperation) -> bool {
        matches!(operation, ModelOperation::Put { piece, .. } if self.damaged.contains(&piece.bytes().digest))
    }

    fn claimed(&mut self, operation: &ModelOperation) {
        if let ModelOperation::Put { by, at, piece, mtime, .. } = operation {
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
    fn enter(&self, who: usize, space: usize, wanted: Rights) -> Result<Rights, ModelOutcome> {
        let rights = self.rights(who, space);
        if !self.good.contains(&(who, self.certificate)) || !rights.intersects(wanted) {
            return Err(ModelOutcome::Denied);
        }
        Ok(Rights::from_bits(rights.bits() & wanted.bits()))
    }

    fn apply(&mut self, operation: &ModelOperation, file: Option<u64>) -> Result<ModelOutcome, ModelOutcome> {
        const STORE: Rights = Rights::CREATE.union(Rights::REPLACE);
        match operation {
            ModelOperation::Put { by, at, piece, how, mtime, update } => {
                let rights = self.enter(*by, at.space, STORE)?;
                self.slot(rights, at)?;
                if *update
                    && matches!(self.nodes.get(at), Some(ModelNode::File { mtime: there, .. }) if there > mtime)
                {
                    return Ok(ModelOutcome::Kept);
                }
                let bytes = piece.bytes();
                if *how == ModelUpload::Claimed && !self.is_within_reach(*by, &bytes) {
                    return Err(ModelOutcome::Refused);
                }
                self.store(*by, at, bytes, *mtime);
            }
            ModelOperation::PutBlob { by, at, .. } => {
                let rights = self.enter(*by, at.space, STORE)?;
                self.slot(rights, at)?;
                let bytes = self.brought.clone().ok_or(ModelOutcome::Refused)?;
                self.store(*by, at, bytes, 1);
            }
            ModelOperation::Continue { by, at, piece } => {
                let rights = self.enter(*by, at.space, STORE)?;
                self.slot(rights, at)?;
                self.store(*by, at, ModelContent::Large(*piece).bytes(), 2);
            }
            ModelOperation::Begin { by, at, piece, blocks } => {
                self.enter(*by, at.space, STORE)?;
                let parts = self.parts.entry((*by, at.clone(), *piece)).or_default();
                parts.extend(file.map(|file| (file, u64::from(*blocks) * 4096)));
            }
            ModelOperation::MakeDirectory { by, at, if_absent } => {
                let rights = self.enter(*by, at.space, STORE)?;
                if *if_absent && self.look(at)?.is_some() {
                    return Err(ModelOutcome::Refused);
                }
                self.make_directories(rights, at)?;
            }
            ModelOperation::Link { by, at, mtime } => {
                let rights = self.enter(*by, at.space, STORE)?;
                self.slot(rights, at)?;
                self.place(at, ModelNode::Link { mtime: *mtime });
            }
            ModelOperation::Remove { by, at, recursive } => {
                self.enter(*by, at.space, Rights::DELETE)?;
                let node = self.nodes.get(at).ok_or(ModelOutcome::Refused)?;
                let has_children = self.nodes.keys().any(|other| other != at && other.is_within(at));
                if matches!(node, ModelNode::Directory) && has_children && !recursive {
                    return Err(ModelOutcome::Refused);
                }
                self.nodes.retain(|other, _| !other.is_within(at));
            }
            ModelOperation::Move { by, from, to, unless } => return self.rename(*by, from, to, *unless),
            ModelOperation::Copy { by, from, to, unless } => return self.copy(*by, from, to, *unless),
            ModelOperation::Grant { space, to, rights } => {
                if to.is_some_and(|to| NAMES[to] == SPACES[*space]) {
                    return Err(ModelOutcome::Refused);
                }
                self.grants.insert((*space, *to), Rights::from_bits(*rights));
            }
            ModelOperation::Revoke(who) => {
                self.good.retain(|(whose, _)| whose != who);
                self.parts.retain(|(by, ..), _| by != who);
            }
            ModelOperation::Join(who) => {
                self.good.insert((*who, self.certificate));
            }
            ModelOperation::Dissolve => {}
        }
        Ok(ModelOutcome::Done)
    }

    /// Whether a file or link may be stored there.
    fn slot(&self, rights: Rights, at: &ModelPath) -> Result<(), ModelOutcome> {
        let mut above = at.parent();
        while let Some(directory) = above {
            if matches!(self.nodes.get(&directory), Some(ModelNode::File { .. } | ModelNode::Link { .. })) {
                return Err(ModelOutcome::Refused);
            }
            above = directory.parent();
        }
        let needed = match self.nodes.get(at) {
            Some(ModelNode::Directory) => return Err(ModelOutcome::Refused),
            Some(_) => Rights::REPLACE,
            None => Rights::CREATE,
        };
        if rights.contains(needed) { Ok(()) } else { Err(ModelOutcome::Denied) }
    }

    fn place(&mut self, at: &ModelPath, node: ModelNode) {
        let mut above = at.parent();
        while let Some(directory) = above {
            self.nodes.insert(directory.clone(), ModelNode::Directory);
            above = directory.parent();
        }
        self.nodes.insert(at.clone(), node);
    }

    fn store(&mut self, by: usize, at: &ModelPath, bytes: Arc<ModelBytes>, mtime: i64) {
        self.place(at, ModelNode::File { bytes, mtime });
        self.parts.retain(|(who, there, _), _| (*who, there) != (by, at));
    }

    fn is_within_reach(&self, who: usize, bytes: &ModelBytes) -> bool {
        self.nodes.iter().any(|(at, node)| {
            matches!(node, ModelNode::File { bytes: there, .. } if there.digest == bytes.digest)
                && self.rights(who, at.space).contains(Rights::READ)
        })
    }

    fn make_directories(&mut self, rights: Rights, at: &ModelPath) -> Result<(), ModelOutcome> {
        if let Some(above) = at.parent() {
            self.make_directories(rights, &above)?;
        }
        match self.nodes.get(at) {
            Some(ModelNode::Directory) => Ok(()),
            Some(_) => Err(ModelOutcome::Refused),
            None if !rights.contains(Rights::CREATE) => Err(ModelOutcome::Denied),
            None => {
                self.nodes.insert(at.clone(), ModelNode::Directory);
                Ok(())
            }
        }
    }

    /// What is there.
    fn look(&self, at: &ModelPath) -> Result<Option<&ModelNode>, ModelOutcome> {
        let mut above = at.parent();
        while let Some(directory) = above {
            match self.nodes.get(&directory) {
                // Below a link nothing can be looked for.
                Some(ModelNode::Link { .. }) => return Err(ModelOutcome::Refused),
                _ => above = directory.parent(),
            }
        }
        Ok(self.nodes.get(at))
    }

    /// Refuses a target that the client does not want to be taken. What moves leaves its own place.
    fn check_target(
        &self,
        from: &ModelPath,
        to: &ModelPath,
        unless: ModelCondition,
        moves: bool,
    ) -> Result<(), ModelOutcome> {
        let is_itself = |at: &ModelPath| moves && at == from;
        let there = self.look(to)?;
        if unless.directory && matches!(there, Some(ModelNode::Directory)) && !is_itself(to) {
            return Err(ModelOutcome::Refused);
        }
        if !unless.taken || is_itself(to) {
            return Ok(());
        }
        let to = self.target(from, to)?;
        if self.look(&to)?.is_some() && !is_itself(&to) { Err(ModelOutcome::Refused) } else { Ok(()) }
    }

    /// Where an entry goes: into a directory that is there, or to that very name.
    fn target(&self, from: &ModelPath, to: &ModelPath) -> Result<ModelPath, ModelOutcome> {
        Ok(match (self.look(to)?, from.names.last()) {
            (Some(ModelNode::Directory), Some(name)) => to.child(name),
            _ => to.clone(),
        })
    }

    fn rename(
        &mut self,
        by: usize,
        from: &ModelPath,
        to: &ModelPath,
        unless: ModelCondition,
    ) -> Result<ModelOutcome, ModelOutcome> {
        let source = self.enter(by, from.space, Rights::DELETE.union(Rights::READ))?;
        let node = self.nodes.get(from).cloned().ok_or(ModelOutcome::Refused)?;
        let target = self.enter(by, to.space, Rights::CREATE.union(Rights::REPLACE))?;
        if unless.taken || unless.directory {
            self.check_target(from, to, unless, true)?;
        }
        let needed = if from.space == to.space { Rights::DELETE } else { Rights::DELETE.union(Rights::READ) };
        if !source.contains(needed) {
            return Err(ModelOutcome::Denied);
        }
        let to = self.target(from, to)?;
        if to == *from {
            return Ok(ModelOutcome::Done);
        }
        if to.is_within(from) {
            return Err(ModelOutcome::Refused);
        }
        if let Some(above) = to.parent() {
            self.make_directories(target, &above)?;
        }
        let is_directory = matches!(node, ModelNode::Directory);
        let needed = match self.nodes.get(&to) {
            None => Rights::CREATE,
            Some(ModelNode::File { .. } | ModelNode::Link { .. }) if !is_directory => Rights::REPLACE,
            Some(_) => return Err(ModelOutcome::Refused),
        };
        if !target.contains(needed) {
            return Err(ModelOutcome::Denied);
        }
        let moved = self.below(from, &to);
        self.nodes.retain(|at, _| !at.is_within(from));
        self.nodes.extend(moved);
        Ok(ModelOutcome::Done)
    }

    fn copy(
        &mut self,
        by: usize,
        from: &ModelPath,
        to: &ModelPath,
        unless: ModelCondition,
    ) -> Result<ModelOutcome, ModelOutcome> {
        self.enter(by, from.space, Rights::READ)?;
        let node = self.nodes.get(from).cloned().ok_or(ModelOutcome::Refused)?;
        let target = self.enter(by, to.space, Rights::CREATE.union(Rights::REPLACE))?;
        if unless.taken || unless.directory {
            self.check_target(from, to, unless, false)?;
        }
        let to = self.target(from, to)?;
        if !matches!(node, ModelNode::Directory) {
            self.slot(target, &to)?;
            self.place(&to, node);
            return Ok(ModelOutcome::Done);
        }
        if !target.contains(Rights::CREATE) {
            return Err(ModelOutcome::Denied);
        }
        if to.is_within(from) {
            return Err(ModelOutcome::Refused);
        }
        if let Some(above) = to.parent() {
            self.make_directories(target, &above)?;
        }
        if self.nodes.contains_key(&to) {
            return Err(ModelOutcome::Refused);
        }
        let copied = self.below(from, &to);
        self.nodes.extend(copied);
        Ok(ModelOutcome::Done)
    }

    /// An entry and all that is below it, with the paths that they have elsewhere.
    fn below(&self, from: &ModelPath, to: &ModelPath) -> Vec<(ModelPath, ModelNode)> {
        let within = self.nodes.iter().filter(|(at, _)| at.is_within(from));
        within.map(|(at, node)| (at.moved(from, to), node.clone())).collect()
    }
}
