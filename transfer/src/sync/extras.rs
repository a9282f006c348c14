//! What only the server has, while a listing goes by.

use sealift_protocol::Digest;
use sealift_protocol::message::{Entry, EntryKind};

/// What only the server has.
#[derive(Debug, Default)]
pub(super) struct Extras {
    /// What is to be deleted, in the order of the listing. A directory that goes as a whole stands for what is in it.
    pub(super) going: Vec<Extra>,
    /// The files and links among them.
    pub(super) files: Vec<ExtraFile>,
    /// The directories from the root to the last entry.
    open: Vec<Open>,
}

#[derive(Debug)]
pub(super) struct Extra {
    pub(super) below: String,
    pub(super) is_directory: bool,
    /// There is something in it that is left alone.
    pub(super) stays: bool,
}

#[derive(Debug)]
pub(super) struct ExtraFile {
    pub(super) below: String,
    pub(super) size: u64,
    pub(super) sha256: Option<Digest>,
}

#[derive(Debug)]
struct Open {
    prefix: String,
    at: usize,
    stays: bool,
}

impl Extras {
    /// Closes the directories that `key` is not in.
    pub(super) fn settle(&mut self, key: &str) {
        while let Some(open) = self.open.pop_if(|open| !key.starts_with(&open.prefix)) {
            if open.stays {
                self.going[open.at].stays = true;
            } else {
                self.going.truncate(open.at + 1);
            }
        }
    }

    pub(super) fn add(&mut self, key: &str, entry: Entry) {
        let is_directory = entry.kind == EntryKind::Directory;
        if is_directory {
            self.open.push(Open { prefix: format!("{key}\0"), at: self.going.len(), stays: false });
        } else {
            let Entry { name: below, size, sha256, .. } = &entry;
            self.files.push(ExtraFile { below: below.clone(), size: *size, sha256: *sha256 });
        }
        self.going.push(Extra { below: entry.name, is_directory, stays: false });
    }

    /// Something is left alone, and so are the directories that it is in.
    pub(super) fn protect(&mut self, key: &str) {
        for open in self.open.iter_mut().filter(|open| key.starts_with(&open.prefix)) {
            open.stays = true;
        }
    }
}
