//! The messages between the window and the engine: commands go in, updates come out.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use sealift_protocol::message::{Account, Description, Entry, Transfer};
use sealift_transfer::remote::LogFilter;
use sealift_types::{EntryPath, Name};

use crate::model::Undo;
use crate::model::conflict::Conflict;
use crate::model::queue::{Facts, ItemId, Spec, Trouble, Wanted};

/// What the engine is to do.
#[derive(Debug)]
pub enum EngineCommand {
    /// Trade a token for a profile of that name; without a name, for one that is free.
    Join {
        /// The token.
        token: String,
        /// The profile's name, or nothing.
        name: String,
        /// The profile that it takes the place of, if the token is for the same server.
        again: Option<Name>,
    },
    /// Remove a profile, with its key and its transfers.
    RemoveProfile(Name),
    /// Give a profile another name.
    RenameProfile {
        /// What it is called.
        from: Name,
        /// What it is to be called.
        to: Name,
    },
    /// Find out whether a server can be reached, and who one is there.
    Connect(Name),
    /// List a directory.
    List {
        /// With whose server.
        profile: Name,
        /// Which directory.
        path: EntryPath,
        /// What the answers are to be called.
        generation: u64,
    },
    /// Describe an entry and look into it.
    Describe {
        /// With whose server.
        profile: Name,
        /// Which entry.
        path: EntryPath,
        /// What the answers are to be called.
        generation: u64,
    },
    /// Read the transfer log.
    Log {
        /// With whose server.
        profile: Name,
        /// Which records.
        filter: LogFilter,
        /// What the answers are to be called.
        generation: u64,
    },
    /// Make a directory.
    MakeFolder {
        /// With whose server.
        profile: Name,
        /// Which one.
        path: EntryPath,
    },
    /// Move or copy entries.
    Relocate {
        /// With whose server.
        profile: Name,
        /// From where to where.
        pairs: Vec<(EntryPath, EntryPath)>,
        /// Whether the originals stay.
        copy: bool,
        /// What becomes of those whose places are taken.
        how: CollisionAnswer,
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
    /// Delete entries, directories with all that is in them.
    Delete {
        /// With whose server.
        profile: Name,
        /// Which ones.
        paths: Vec<EntryPath>,
    },
    /// Obtain a new certificate.
    Renew(Name),
    /// Find out what uploading these means, and which names are taken.
    PlanUploads {
        /// With whose server.
        profile: Name,
        /// Local files and directories.
        paths: Vec<PathBuf>,
        /// The directory that they go to.
        to: EntryPath,
    },
    /// Find out which names are taken where these are to be downloaded.
    PlanDownloads {
        /// From whose server.
        profile: Name,
        /// What.
        entries: Vec<Wanted>,
        /// The local directory that it goes to.
        to: PathBuf,
        /// The entry of the queue that it takes the place of.
        instead: Option<ItemId>,
    },
    /// Look at the queue: it was changed.
    Stir,
}

/// What becomes of a move or a copy whose place is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CollisionAnswer {
    /// It is asked about.
    Ask,
    /// It gets a name of its own.
    KeepBoth {
        /// Whether it is a folder, whose name has no extension.
        is_folder: bool,
    },
    /// It takes the place of the file or link that is there.
    Replace,
    /// It takes back an earlier move, and stays where it is if that is not possible.
    Back,
}

/// What the engine tells.
#[derive(Debug)]
pub enum EngineUpdate {
    /// Something about the profiles has changed.
    Profiles(Vec<ProfileInfo>),
    /// A server was joined.
    Joined(Name),
    /// None was.
    NotJoined(Trouble),
    /// A profile is gone.
    Removed(Name),
    /// A profile has another name.
    Renamed {
        /// What it was called.
        from: Name,
        /// What it is called.
        to: Name,
    },
    /// A server can be reached.
    Connected {
        /// By which profile.
        profile: Name,
        /// Who one is there.
        account: Account,
    },
    /// A server cannot be reached.
    NotConnected {
        /// By which profile.
        profile: Name,
        /// Why not.
        trouble: Trouble,
    },
    /// Some entries of a listing.
    Page {
        /// Of which.
        generation: u64,
        /// What has come.
        entries: Vec<Entry>,
    },
    /// A listing has ended.
    Listed {
        /// Which.
        generation: u64,
        /// How.
        result: Result<(), Trouble>,
    },
    /// An entry was described.
    Described {
        /// Of which request.
        generation: u64,
        /// How.
        result: Result<Description, Trouble>,
    },
    /// An entry was looked into.
    Previewed {
        /// Of which request.
        generation: u64,
        /// What was seen.
        preview: Preview,
    },
    /// Some of the log.
    LogPage {
        /// Of which request.
        generation: u64,
        /// What has come.
        records: Vec<Transfer>,
    },
    /// The log has ended.
    LogEnd {
        /// Of which request.
        generation: u64,
        /// How.
        result: Result<(), Trouble>,
    },
    /// What is to be transferred is known.
    Planned {
        /// What, and what is known of it.
        specs: Vec<(Spec, Facts)>,
        /// Names that are taken where it goes, and by what.
        taken: Vec<(String, Facts)>,
        /// What cannot be transferred.
        troubles: Vec<Trouble>,
        /// The entry of the queue that it takes the place of.
        instead: Option<ItemId>,
    },
    /// Moves and copies were not done, because their places are taken.
    Taken(Vec<Conflict>),
    /// Something was done.
    Did {
        /// What, a sentence.
        text: String,
        /// What takes it back.
        undo: Option<Undo>,
        /// Whether the directory that is shown may look different now.
        touched: bool,
    },
    /// Something did not work.
    Failed(Trouble),
    /// Files have arrived on the server.
    Stored,
    /// The desktop is light or dark, or does not say.
    Appearance(Option<eframe::egui::Theme>),
}

/// What the window shows of a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfileInfo {
    /// Its name.
    pub name: Name,
    /// Who one is there; nobody if it is damaged.
    pub identity: Option<Name>,
    /// Where the server was reached when it was joined.
    pub server: String,
    /// When the certificate expires.
    pub expires: Option<SystemTime>,
    /// Whether it is time for another one.
    pub renew: bool,
    /// What is wrong with it.
    pub trouble: Option<Trouble>,
}

/// What was seen in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Preview {
    /// Nothing that could be shown.
    Nothing,
    /// The beginning of a text.
    Text(Arc<str>),
    /// A small image.
    Image {
        /// Its width and height.
        size: [usize; 2],
        /// Red, green, blue and alpha of each of its pixels.
        pixels: Arc<[u8]>,
    },
}
