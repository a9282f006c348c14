//! What is done to the store, and the strategies that make it up.

use std::sync::{Arc, LazyLock};

use proptest::collection::vec;
use proptest::prelude::*;
use sealift_types::Digest;

/// The identities, each with a space of its own; the last space is nobody's.
pub(super) const NAMES: [&str; 3] = ["alice", "bob", "carol"];
pub(super) const SPACES: [&str; 4] = ["alice", "bob", "carol", "team"];

/// Contents of each size that there are.
const TINY: u8 = 6;
const PACKED: u8 = 40;
const LARGE: u8 = 8;

/// A path in a space.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ModelPath {
    pub(super) space: usize,
    pub(super) names: Vec<String>,
}

/// A content, by its size and its number among those.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ModelContent {
    Tiny(u8),
    Packed(u8),
    Large(u8),
}

/// How a content reaches the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ModelUpload {
    Sent,
    Claimed,
}

/// What of a move's or a copy's target is to refuse it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ModelCondition {
    /// Anything that would be replaced.
    pub(super) taken: bool,
    /// A directory, which would receive the entry.
    pub(super) directory: bool,
}

#[derive(Debug, Clone)]
pub(super) enum ModelOperation {
    Put {
        by: usize,
        at: ModelPath,
        piece: ModelContent,
        how: ModelUpload,
        mtime: i64,
        update: bool,
    },
    /// Stores the bytes of a file below `blobs/`, which may be a pack, as one content.
    PutBlob {
        by: usize,
        at: ModelPath,
        which: u8,
    },
    /// Leaves the beginning of an upload, so many blocks.
    Begin {
        by: usize,
        at: ModelPath,
        piece: u8,
        blocks: u8,
    },
    /// Goes on with what was left of an upload, or sends all of it.
    Continue {
        by: usize,
        at: ModelPath,
        piece: u8,
    },
    MakeDirectory {
        by: usize,
        at: ModelPath,
        if_absent: bool,
    },
    Link {
        by: usize,
        at: ModelPath,
        mtime: i64,
    },
    Remove {
        by: usize,
        at: ModelPath,
        recursive: bool,
    },
    Move {
        by: usize,
        from: ModelPath,
        to: ModelPath,
        unless: ModelCondition,
    },
    Copy {
        by: usize,
        from: ModelPath,
        to: ModelPath,
        unless: ModelCondition,
    },
    Grant {
        space: usize,
        to: Option<usize>,
        rights: u8,
    },
    Revoke(usize),
    Join(usize),
    /// Moves what is left of a thinned pack into the catalog.
    Dissolve,
}

impl ModelOperation {
    /// Who asks for it, or is let in.
    pub(super) fn who(&self) -> Option<usize> {
        match self {
            Self::Put { by, .. }
            | Self::PutBlob { by, .. }
            | Self::Begin { by, .. }
            | Self::Continue { by, .. }
            | Self::MakeDirectory { by, .. }
            | Self::Link { by, .. }
            | Self::Remove { by, .. }
            | Self::Move { by, .. }
            | Self::Copy { by, .. } => Some(*by),
            Self::Join(who) => Some(*who),
            Self::Grant { .. } | Self::Revoke(_) | Self::Dissolve => None,
        }
    }
}

/// What goes wrong in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ModelFault {
    Nothing,
    /// A statement is cut off. SQLite takes the whole transaction back, as it does when the disk fails.
    Statement(u16),
    /// The catalog may grow by so many pages and no further.
    Full(u8),
    /// A pack cannot be written.
    Pack,
}

/// What follows a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AfterGroup {
    Nothing,
    Collect,
    Reopen,
    Backup,
    /// A file below `blobs/` loses a byte, its end, or all of it.
    Damage(u8),
}

/// What is submitted while the writer is busy.
#[derive(Debug, Clone)]
pub(super) struct ModelGroup {
    pub(super) operations: Vec<ModelOperation>,
    pub(super) fault: ModelFault,
    pub(super) after: AfterGroup,
}

/// A content's bytes and digest.
#[derive(Debug)]
pub(super) struct ModelBytes {
    pub(super) data: Vec<u8>,
    pub(super) digest: Digest,
}

impl ModelBytes {
    pub(super) fn new(data: Vec<u8>) -> Arc<Self> {
        let digest = Digest::of(&data);
        Arc::new(Self { data, digest })
    }
}

impl ModelContent {
    pub(super) fn bytes(self) -> Arc<ModelBytes> {
        static ALL: LazyLock<[Vec<Arc<ModelBytes>>; 3]> = LazyLock::new(|| {
            [(TINY, 0, 200), (PACKED, 20_000, 1_100), (LARGE, 70_000, 5_000)].map(|(count, least, step)| {
                let data = |number| {
                    random(
                        u64::from(number) + least,
                        usize::try_from(least + step * u64::from(number)).unwrap(),
                    )
                };
                (0..count).map(|number| ModelBytes::new(data(number))).collect()
            })
        });
        match self {
            Self::Tiny(number) => ALL[0][usize::from(number)].clone(),
            Self::Packed(number) => ALL[1][usize::from(number)].clone(),
            Self::Large(number) => ALL[2][usize::from(number)].clone(),
        }
    }
}

/// Bytes that look random and are the same for the same seed.
fn random(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(next).flatten().take(length).collect()
}

fn at() -> impl Strategy<Value = ModelPath> {
    let name = prop_oneof![Just("a"), Just("b"), Just("c"), Just("d")];
    let name = name.prop_map(str::to_owned);
    let names = prop_oneof![3 => vec(name.clone(), 1), 1 => vec(name, 2..=3)];
    (0..SPACES.len(), names).prop_map(|(space, names)| ModelPath { space, names })
}

/// A place that is mostly somebody's own and mostly not deep, so that much is stored and little refused.
fn own() -> impl Strategy<Value = (usize, ModelPath)> {
    let by = 0..NAMES.len();
    prop_oneof![
        6 => (by.clone(), at()).prop_map(|(by, at)| (by, ModelPath { space: by, ..at })),
        2 => (by, at()),
    ]
}

/// Mostly true.
fn mostly() -> impl Strategy<Value = bool> {
    prop_oneof![3 => Just(true), 1 => Just(false)]
}

/// Mostly nothing.
fn unless() -> impl Strategy<Value = ModelCondition> {
    (mostly(), mostly())
        .prop_map(|(taken, directory)| ModelCondition { taken: !taken, directory: !directory })
}

fn piece() -> impl Strategy<Value = ModelContent> {
    prop_oneof![
        1 => (0..TINY).prop_map(ModelContent::Tiny),
        8 => (0..PACKED).prop_map(ModelContent::Packed),
        2 => (0..LARGE).prop_map(ModelContent::Large),
    ]
}

fn operation() -> impl Strategy<Value = ModelOperation> {
    let how = prop_oneof![5 => Just(ModelUpload::Sent), 1 => Just(ModelUpload::Claimed)];
    let mtime = 1..4i64;
    let update = prop_oneof![7 => Just(false), 1 => Just(true)];
    prop_oneof![
        24 => (own(), piece(), how, mtime.clone(), update).prop_map(|((by, at), piece, how, mtime, update)| {
            ModelOperation::Put { by, at, piece, how, mtime, update }
        }),
        1 => (own(), any::<u8>()).prop_map(|((by, at), which)| ModelOperation::PutBlob { by, at, which }),
        1 => (own(), 0..LARGE, 1..16u8).prop_map(|((by, at), piece, blocks)| {
            ModelOperation::Begin { by, at, piece, blocks }
        }),
        1 => (own(), 0..LARGE).prop_map(|((by, at), piece)| ModelOperation::Continue { by, at, piece }),
        1 => (own(), any::<bool>())
            .prop_map(|((by, at), if_absent)| ModelOperation::MakeDirectory { by, at, if_absent }),
        1 => (own(), mtime).prop_map(|((by, at), mtime)| ModelOperation::Link { by, at, mtime }),
        6 => (own(), mostly()).prop_map(|((by, at), recursive)| ModelOperation::Remove { by, at, recursive }),
        2 => (own(), at(), unless())
            .prop_map(|((by, from), to, unless)| ModelOperation::Move { by, from, to, unless }),
        2 => (own(), at(), unless())
            .prop_map(|((by, from), to, unless)| ModelOperation::Copy { by, from, to, unless }),
        1 => (0..SPACES.len(), prop::option::of(0..NAMES.len()), 0..16u8)
            .prop_map(|(space, to, rights)| ModelOperation::Grant { space, to, rights }),
        1 => (0..NAMES.len()).prop_map(ModelOperation::Join),
        1 => Just(ModelOperation::Dissolve),
        1 => (0..2 * NAMES.len()).prop_map(|who| match who {
            // Less often: nobody can do anything until they join again.
            who if who < NAMES.len() => ModelOperation::Revoke(who),
            who => ModelOperation::Join(who - NAMES.len()),
        }),
    ]
}

fn fault() -> impl Strategy<Value = ModelFault> {
    prop_oneof![
        8 => Just(ModelFault::Nothing),
        2 => (1..400u16).prop_map(ModelFault::Statement),
        1 => (0..12u8).prop_map(ModelFault::Full),
        1 => Just(ModelFault::Pack),
    ]
}

fn after() -> impl Strategy<Value = AfterGroup> {
    prop_oneof![
        12 => Just(AfterGroup::Nothing),
        3 => Just(AfterGroup::Collect),
        1 => Just(AfterGroup::Reopen),
        1 => Just(AfterGroup::Backup),
        2 => any::<u8>().prop_map(AfterGroup::Damage),
    ]
}

pub(super) fn groups() -> impl Strategy<Value = Vec<ModelGroup>> {
    let group = (vec(operation(), 1..24), fault(), after())
        .prop_map(|(operations, fault, after)| ModelGroup { operations, fault, after });
    vec(group, 1..8)
}
