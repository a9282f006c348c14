//! What is asked before something is done, and what takes it back.

use std::path::PathBuf;

use sealift_types::{EntryPath, Name};

use super::queue::{ItemId, Wanted};

/// What is being asked.
#[derive(Debug, Clone)]
pub enum Dialog {
    /// The name of a new folder.
    NewFolder {
        /// What is typed.
        name: String,
    },
    /// A new name.
    Rename {
        /// Of what.
        path: EntryPath,
        /// Whether it is a folder, whose name has no extension.
        is_folder: bool,
        /// What is typed.
        name: String,
    },
    /// Where to move or copy.
    Transplant {
        /// What.
        paths: Vec<EntryPath>,
        /// What is typed.
        to: String,
        /// Whether the original stays.
        copy: bool,
    },
    /// Whether to delete.
    Delete {
        /// What.
        paths: Vec<EntryPath>,
        /// Whether folders are among it, which go with all that is in them.
        folders: bool,
    },
    /// Another name of a server.
    RenameServer {
        /// Which one.
        profile: Name,
        /// What is typed.
        name: String,
    },
    /// Whether to remove a server from this computer.
    RemoveServer {
        /// Which one.
        profile: Name,
        /// How many of its transfers go with it.
        transfers: usize,
    },
    /// The path of a local file to upload.
    UploadPath {
        /// What is typed.
        path: String,
    },
    /// Where downloads go.
    DownloadTo {
        /// From whose server.
        profile: Name,
        /// What.
        entries: Vec<Wanted>,
        /// What is typed.
        to: String,
        /// What was chosen before anything was typed: a path that is no text cannot be typed.
        chosen: PathBuf,
        /// The entry of the queue that this is another place for.
        instead: Option<ItemId>,
    },
}

impl Dialog {
    /// Asks where downloads go, with a suggestion.
    pub fn download_to(
        profile: Name,
        entries: Vec<Wanted>,
        chosen: PathBuf,
        instead: Option<ItemId>,
    ) -> Self {
        Self::DownloadTo { profile, entries, to: chosen.display().to_string(), chosen, instead }
    }

    /// A server has another name.
    pub(super) fn rename_server(&mut self, from: &Name, to: &Name) {
        let profile = match self {
            Self::RenameServer { profile, .. }
            | Self::RemoveServer { profile, .. }
            | Self::DownloadTo { profile, .. } => profile,
            _ => return,
        };
        if profile == from {
            profile.clone_from(to);
        }
    }
}

/// What takes back something that was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Undo {
    /// Move everything back, if nothing is there.
    MoveBack {
        /// With whose server.
        profile: Name,
        /// From where it is now to where it was.
        pairs: Vec<(EntryPath, EntryPath)>,
    },
    /// Remove the folder that was made, if it is still the same and still empty.
    RemoveFolder {
        /// With whose server.
        profile: Name,
        /// Which one.
        path: EntryPath,
        /// What the server called its state when it was made.
        etag: String,
    },
}
