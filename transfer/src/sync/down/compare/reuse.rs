//! Contents that are here already, under other names.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use sealift_types::Digest;

use super::{BlockedByDirectory, Compared, Comparison, LocalOnly, WantedFile};
use crate::download::LocalEntryPlan;
use crate::error::TransferError;
use crate::event::{EitherPath, TransferSummary, TreeChange, TreeChangeKind};
use crate::local::{CommittingFile, FileSite};
use crate::sync::DeletePolicy;
use crate::sync::place::{copy, relocate};

impl Comparison {
    /// Finds what is here under other names, and has the rest fetched.
    pub(in crate::sync::down) fn settle(mut self) -> Result<Compared, TransferError> {
        let mut by_size: HashMap<u64, Vec<usize>> = HashMap::new();
        for (number, extra) in self.compared.extras.going.iter().enumerate() {
            if let Some(size) = extra.entry.size.filter(|size| *size > 0) {
                by_size.entry(size).or_default().push(number);
            }
        }
        let mut digests: HashMap<usize, Option<Digest>> = HashMap::new();
        let mut matched = Vec::new();
        let mut taken = HashSet::new();
        for wanted in self.held.take().unwrap_or_default() {
            let candidates = by_size.get(&wanted.entry.size).map_or(&[][..], Vec::as_slice);
            let has = |number: &usize| {
                let path = &self.compared.extras.going[*number].entry.path;
                let known = digests.entry(*number);
                let digest = known.or_insert_with(|| self.digest(path, wanted.entry.size).ok());
                digest.is_some() && *digest == wanted.entry.sha256
            };
            match candidates.iter().copied().find(has) {
                Some(number) => {
                    taken.insert(number);
                    matched.push((number, wanted));
                }
                None => self.fetch(wanted)?,
            }
        }
        let files = self.compared.extras.going.iter().filter(|extra| !extra.is_directory).count();
        let going = files - taken.len();
        self.compared.withheld = self.rules.judge(going, self.compared.files);
        let may_move =
            self.rules.delete != DeletePolicy::No && self.compared.withheld.is_none() && !self.compared.torn;
        let mut left: HashMap<usize, usize> = HashMap::new();
        for (number, _) in &matched {
            *left.entry(*number).or_default() += 1;
        }
        for (number, wanted) in matched {
            // The last that needs it may have the file itself.
            let left = left.entry(number).or_default();
            *left -= 1;
            let moves = may_move && *left == 0;
            self.reuse(number, wanted, moves)?;
        }
        if may_move && self.rules.dry_run {
            taken.iter().for_each(|number| self.compared.extras.going[*number].moved = true);
        }
        if self.rules.dry_run {
            for number in 0..self.compared.waiting.len() {
                let BlockedByDirectory { number, path, size } = &self.compared.waiting[number];
                if !self.compared.extras.going[*number].stays {
                    let (path, size) = (path.clone(), Some(*size));
                    self.change(TreeChangeKind::Fetch, path, size)?;
                }
            }
        }
        self.flush()?;
        Ok(self.compared)
    }

    /// Gives a content that is here its new name.
    fn reuse(&mut self, number: usize, wanted: WantedFile, moves: bool) -> Result<(), TransferError> {
        let LocalOnly { path: source, seen, abilities, .. } = &self.compared.extras.going[number].entry;
        let (source, seen, abilities) = (source.clone(), *seen, *abilities);
        self.compared.moved += 1;
        if self.rules.dry_run {
            let change = TreeChange {
                action: if moves { TreeChangeKind::Move } else { TreeChangeKind::Copy },
                place: EitherPath::Local(wanted.path),
                from: Some(EitherPath::Local(source)),
                size: Some(wanted.entry.size),
                dry_run: true,
            };
            return self.say(Ok(LocalEntryPlan::Changed(change)));
        }
        let began = Instant::now();
        let WantedFile { entry, from, path, directory, .. } = &wanted;
        let tree = self.tree.as_deref();
        let place = || {
            let tree = tree
                .ok_or_else(|| TransferError::local("read", &source)(std::io::ErrorKind::NotFound.into()))?;
            let site = match directory {
                Some(directory) => directory.site(path)?,
                None => FileSite::named(path, &Arc::default())?,
            };
            if moves {
                relocate(tree, &source, &seen, &site, entry, abilities)?;
                let directory = site.directory().clone();
                return Ok(CommittingFile::There { directory, path: path.clone() });
            }
            copy(tree, &source, &site, entry).map(CommittingFile::Target)
        };
        let placed: Result<CommittingFile, TransferError> = place();
        match (placed, entry.sha256) {
            (Ok(landing), Some(sha256)) => {
                self.compared.extras.going[number].moved |= moves;
                let duration = began.elapsed();
                let done =
                    TransferSummary { size: entry.size, sha256, deduplicated: true, duration, wire_bytes: 0 };
                self.say(Ok(LocalEntryPlan::Had { from: from.clone(), path: path.clone(), done, landing }))
            }
            // It can be fetched still.
            _ => {
                self.compared.moved -= 1;
                self.fetch(wanted)
            }
        }
    }
}
