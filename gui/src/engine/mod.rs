//! The engine behind the window: connections and transfers on a thread of their own. Commands go in, updates come out;
//! the queue is shared.
//!
//! One thread is enough, as for the command line: hashing and the disk have threads of their own anyway.

#[cfg(all(unix, not(target_os = "macos")))]
mod appearance;
mod control;
mod names;
mod opening;
mod preview;
mod profiles;
mod relocate;
mod transfers;
mod waker;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc as sync};
use std::thread::JoinHandle;
use std::time::SystemTime;

use sealift_protocol::message::{Account, Description, Entry, Transfer};
use sealift_protocol::{Name, RemotePath};
use sealift_transfer::remote::LogFilter;
use sealift_transfer::{Client, Error, Options, Profiles};
use tokio::sync::{Notify, mpsc};
use tokio::task::LocalSet;

use crate::model::Undo;
use crate::model::conflict::Conflict;
use crate::model::queue::{Facts, ItemId, Queue, Spec, Trouble, Wanted};
use crate::store::QueueFile;
pub use opening::Opening;
pub use preview::Preview;
pub(crate) use profiles::infos;
pub use waker::Waker;

/// What the engine is to do.
#[derive(Debug)]
pub enum Command {
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
        path: RemotePath,
        /// What the answers are to be called.
        generation: u64,
    },
    /// Describe an entry and look into it.
    Describe {
        /// With whose server.
        profile: Name,
        /// Which entry.
        path: RemotePath,
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
        path: RemotePath,
    },
    /// Move or copy entries.
    Relocate {
        /// With whose server.
        profile: Name,
        /// From where to where.
        pairs: Vec<(RemotePath, RemotePath)>,
        /// Whether the originals stay.
        copy: bool,
        /// What becomes of those whose places are taken.
        how: How,
    },
    /// Remove the folder that was made, if it is still the same and still empty.
    RemoveFolder {
        /// With whose server.
        profile: Name,
        /// Which one.
        path: RemotePath,
        /// What the server called its state when it was made.
        etag: String,
    },
    /// Delete entries, directories with all that is in them.
    Delete {
        /// With whose server.
        profile: Name,
        /// Which ones.
        paths: Vec<RemotePath>,
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
        to: RemotePath,
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
pub enum How {
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
pub enum Update {
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

/// The engine, from the window's side. It ends when this is dropped, with the queue saved.
#[derive(Debug)]
pub struct Engine {
    commands: Option<mpsc::UnboundedSender<Command>>,
    /// What it tells.
    pub updates: sync::Receiver<Update>,
    /// The waker of the window.
    pub waker: Arc<Waker>,
    /// Whether somebody looks at the window.
    attended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// What all of the engine's tasks share.
#[derive(Debug)]
struct Shared {
    profiles: Profiles,
    queue: Arc<Mutex<Queue>>,
    updates: sync::Sender<Update>,
    waker: Arc<Waker>,
    attended: Arc<AtomicBool>,
    opening: Opening,
    /// Clients that nobody uses now, with their connections.
    idle: Mutex<HashMap<Name, Vec<Client>>>,
    stirred: Notify,
    /// The queue may have changed since it was saved.
    dirty: Notify,
}

impl Engine {
    /// Starts the engine on the profiles and the queue; what changes in the queue is saved in `file`. What is fetched to be
    /// opened goes where `opening` says.
    ///
    /// # Errors
    /// Fails when the system gives it no thread.
    pub fn start(
        profiles: Profiles,
        queue: Arc<Mutex<Queue>>,
        file: Option<QueueFile>,
        opening: Opening,
    ) -> std::io::Result<Self> {
        let (commands, received) = mpsc::unbounded_channel();
        let (send, updates) = sync::channel();
        let waker = Arc::new(Waker::default());
        let attended = Arc::new(AtomicBool::new(true));
        let shared = Arc::new(Shared {
            profiles,
            queue,
            updates: send,
            waker: waker.clone(),
            attended: attended.clone(),
            opening,
            idle: Mutex::default(),
            stirred: Notify::new(),
            dirty: Notify::new(),
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::Builder::new().name("engine".into()).spawn(move || {
            LocalSet::new().block_on(&runtime, transfers::run(shared, received, file));
            // A thread that hashes or reads is not waited for: what it does is kept by nobody.
            runtime.shutdown_background();
        })?;
        Ok(Self { commands: Some(commands), updates, waker, attended, thread: Some(thread) })
    }

    /// Has the engine do something.
    pub fn send(&self, command: Command) {
        if let Some(commands) = &self.commands {
            // An engine that has ended does nothing any more.
            let _ = commands.send(command);
        }
    }

    /// Says whether somebody looks at the window: who does needs no notification.
    pub fn attend(&self, attended: bool) {
        self.attended.store(attended, Ordering::Relaxed);
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.commands = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the window something.
    fn tell(&self, update: Update) {
        // Nobody listens any more when the window is being closed.
        let _ = self.updates.send(update);
        self.waker.now();
    }

    /// A client of a profile: one that is free and connected, or a new one.
    fn client(&self, profile: &Name) -> Result<Client, Error> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = idle.get_mut(profile).and_then(Vec::pop) {
            return Ok(client);
        }
        drop(idle);
        Ok(Client::new(self.profiles.load(profile)?, options()))
    }

    /// Takes a client back for the next one who needs it.
    fn give_back(&self, profile: &Name, client: Client) {
        /// More idle connections would only cost the server memory.
        const MOST: usize = 4;
        if client.is_connected() {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            let clients = idle.entry(profile.clone()).or_default();
            if clients.len() < MOST {
                clients.push(client);
            }
        }
    }

    /// Forgets the idle clients of a profile, because it has changed.
    fn forget_clients(&self, profile: &Name) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).remove(profile);
    }
}

/// How this program behaves on the wire.
fn options() -> Options {
    Options { agent: concat!("sealift-gui/", env!("CARGO_PKG_VERSION")).to_owned(), ..Options::default() }
}
