//! What the window is about, without a window: plain state, changed by what people want and by what the engine tells.

pub mod browser;
pub mod conflict;
mod item;
mod meter;
pub mod notices;
mod progress;
pub mod queue;
mod servers;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use sealift_protocol::message::{Account, Description, Direction, Entry, EntryKind, Transfer};
use sealift_protocol::{Name, RemotePath};
use sealift_transfer::remote::LogFilter;

use crate::engine::{Command, Preview, ProfileInfo, Update};
use crate::texts;
use browser::Browser;
use conflict::{Choice, Conflicts};
use notices::Notices;
pub use progress::Numbers;
use queue::{Queue, Spec, Trouble};

/// What the window is about.
#[derive(Debug)]
pub struct Model {
    /// Which part of it is shown.
    pub screen: Screen,
    /// Servers that this computer has joined.
    pub profiles: Vec<ProfileInfo>,
    /// The one that is shown.
    pub profile: Option<Name>,
    /// Whether it can be reached.
    pub link: Link,
    /// Who one is there.
    pub account: Option<Account>,
    /// What is typed for joining.
    pub join: Join,
    /// The directory that is shown.
    pub browser: Browser,
    /// What is known of the entry that the cursor is on.
    pub details: Details,
    /// The transfer log.
    pub log: Log,
    /// What is being asked.
    pub dialog: Option<Dialog>,
    /// Names that are taken.
    pub conflicts: Conflicts,
    /// Short messages.
    pub notices: Notices,
    /// Where downloads go unless somebody says otherwise.
    pub downloads: PathBuf,
    /// All transfers. The engine works on them at the same time.
    pub queue: Arc<Mutex<Queue>>,
    commands: Vec<Command>,
}

/// Which part of the window is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Screen {
    /// Joining a server.
    Join,
    /// A directory.
    Browse,
    /// The transfer log.
    Log,
}

/// Whether the server can be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link {
    /// It is being tried.
    Connecting,
    /// It can.
    Up,
    /// It cannot.
    Down(Trouble),
}

/// What is typed for joining.
#[derive(Debug, Default)]
pub struct Join {
    /// The token.
    pub token: String,
    /// The name that the server gets here.
    pub name: String,
    /// The profile whose identity is of no use any more.
    pub again: Option<Name>,
    /// Whether it is being tried.
    pub busy: bool,
    /// Why it did not work.
    pub trouble: Option<Trouble>,
}

/// What is known of one entry.
#[derive(Debug, Default)]
pub struct Details {
    /// Which entry.
    pub path: Option<RemotePath>,
    /// What the server says about it.
    pub description: Option<Result<Description, Trouble>>,
    /// What is in it.
    pub preview: Option<Preview>,
}

/// The transfer log, newest first.
#[derive(Debug, Default)]
pub struct Log {
    /// What has come.
    pub records: Vec<Transfer>,
    /// Which direction is wanted.
    pub direction: Option<Direction>,
    /// Whether only failures are.
    pub failed: bool,
    /// What is typed into the filter.
    pub filter: String,
    /// Whether it is being fetched.
    pub busy: bool,
    /// Whether nothing older is there.
    pub end: bool,
    /// Why it could not be fetched.
    pub trouble: Option<Trouble>,
    generation: u64,
}

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
        path: RemotePath,
        /// What is typed.
        name: String,
    },
    /// Where to move or copy.
    Transplant {
        /// What.
        paths: Vec<RemotePath>,
        /// What is typed.
        to: String,
        /// Whether the original stays.
        copy: bool,
    },
    /// Whether to delete.
    Delete {
        /// What.
        paths: Vec<RemotePath>,
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
        /// What.
        entries: Vec<(RemotePath, bool, Option<u64>)>,
        /// What is typed.
        to: String,
        /// What was chosen before anything was typed: a path that is no text cannot be typed.
        chosen: PathBuf,
        /// The entry of the queue that this is another place for.
        instead: Option<queue::ItemId>,
    },
}

impl Dialog {
    /// Asks where downloads go, with a suggestion.
    pub fn download_to(
        entries: Vec<(RemotePath, bool, Option<u64>)>,
        chosen: PathBuf,
        instead: Option<queue::ItemId>,
    ) -> Self {
        Self::DownloadTo { entries, to: chosen.display().to_string(), chosen, instead }
    }
}

/// What takes back something that was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Undo {
    /// Move everything back: from where it is now, to where it was.
    MoveBack(Vec<(RemotePath, RemotePath)>),
    /// Remove a folder that is still empty.
    RemoveFolder(RemotePath),
}

impl Model {
    /// A window that has heard nothing from the engine yet.
    pub fn new(queue: Arc<Mutex<Queue>>, downloads: PathBuf) -> Self {
        Self {
            screen: Screen::Browse,
            profiles: Vec::new(),
            profile: None,
            link: Link::Connecting,
            account: None,
            join: Join::default(),
            browser: Browser::at(root()),
            details: Details::default(),
            log: Log::default(),
            dialog: None,
            conflicts: Conflicts::default(),
            notices: Notices::default(),
            downloads,
            queue,
            commands: Vec::new(),
        }
    }

    /// The queue, between two looks of the engine.
    pub fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the engine is to do since the last time.
    pub fn take_commands(&mut self) -> Vec<Command> {
        std::mem::take(&mut self.commands)
    }

    fn command(&mut self, make: impl FnOnce(Name) -> Command) {
        if let Some(profile) = self.profile.clone() {
            self.commands.push(make(profile));
        }
    }

    /// Goes to a directory.
    pub fn go(&mut self, path: RemotePath) {
        self.screen = Screen::Browse;
        self.browser.go(path);
        self.details = Details::default();
        self.refresh();
    }

    /// Goes back to where one was.
    pub fn back(&mut self) {
        if self.browser.back() {
            self.details = Details::default();
            self.refresh();
        }
    }

    /// Goes to the directory above.
    pub fn up(&mut self) {
        if let Some(above) = self.browser.above() {
            let left = self.browser.path.file_name().map(str::to_owned);
            self.go(above);
            // Whoever comes back up finds the place that was left.
            self.browser.remember(left);
        }
    }

    /// Lists the directory anew.
    pub fn refresh(&mut self) {
        let (path, generation) = (self.browser.path.clone(), self.browser.begin());
        self.command(|profile| Command::List { profile, path, generation });
    }

    /// Asks the server for everything that is shown: spaces, rights, and the directory.
    pub fn reload(&mut self) {
        self.command(Command::Connect);
    }

    /// Opens a row: goes into a directory, describes a file.
    pub fn open_row(&mut self, row: usize) {
        let Some(entry) = self.browser.row(row) else { return };
        let path = self.browser.path_of(entry);
        if let Some(path) = path.filter(|_| browser::is_place(entry)) {
            self.go(path);
        }
    }

    /// Asks about the entry that the cursor is on, unless that is known.
    pub fn describe(&mut self) {
        let entry = self.browser.cursor.and_then(|row| self.browser.row(row));
        let path = entry.and_then(|entry| self.browser.path_of(entry));
        if path == self.details.path {
            return;
        }
        self.details = Details { path: path.clone(), ..Details::default() };
        if let Some(path) = path {
            self.command(|profile| Command::Describe { profile, path });
        }
    }

    /// Everything that is selected, with its path.
    pub fn selected(&self) -> Vec<(RemotePath, Entry)> {
        let with_path = |entry: &Entry| Some((self.browser.path_of(entry)?, entry.clone()));
        self.browser.selection().filter_map(with_path).collect()
    }

    /// Uploads local files and directories to the directory that is shown.
    pub fn upload(&mut self, paths: Vec<PathBuf>) {
        if paths.is_empty() {
            return;
        }
        if self.browser.path.as_str() == "/" {
            let trouble = texts::upload_needs_a_space();
            self.notices.complain(&trouble, Instant::now());
            return;
        }
        let to = self.browser.path.clone();
        self.command(|profile| Command::PlanUploads { profile, paths, to });
    }

    /// Asks where to put what is selected.
    pub fn ask_where_to_download(&mut self) {
        let entries: Vec<_> = self
            .selected()
            .into_iter()
            .filter(|(_, entry)| entry.kind != EntryKind::Link)
            .map(|(path, entry)| (path, browser::is_place(&entry), Some(entry.size)))
            .collect();
        if !entries.is_empty() {
            self.dialog = Some(Dialog::download_to(entries, self.downloads.clone(), None));
        }
    }

    /// Downloads into a local directory.
    pub fn download(&mut self, entries: Vec<(RemotePath, bool, Option<u64>)>, to: PathBuf) {
        self.downloads.clone_from(&to);
        self.command(|profile| Command::PlanDownloads { profile, entries, to });
    }

    /// Decides about names that are taken.
    pub fn decide(&mut self, choice: Choice, all: bool) {
        let specs = self.conflicts.decide(choice, all);
        self.enqueue(specs);
    }

    fn enqueue(&mut self, specs: Vec<Spec>) {
        if !specs.is_empty() {
            self.queue().add(specs);
            self.commands.push(Command::Stir);
        }
    }

    /// Changes the queue, and has the engine look at it.
    pub fn with_queue(&mut self, change: impl FnOnce(&mut Queue)) {
        change(&mut self.queue());
        self.commands.push(Command::Stir);
    }

    /// Makes a folder in the directory that is shown.
    pub fn make_folder(&mut self, name: &str) {
        match self.browser.path.join(name.trim()) {
            Ok(path) => self.command(|profile| Command::MakeFolder { profile, path }),
            Err(error) => self.complain_about(&error.into()),
        }
    }

    /// Gives an entry another name in its directory.
    pub fn rename(&mut self, path: RemotePath, name: &str) {
        let text = path.as_str();
        let above = text.rsplit_once('/').map_or("", |(above, _)| above);
        match sealift_protocol::path::check_name(name).and_then(|()| format!("{above}/{name}").parse()) {
            Ok(to) if to == path => {}
            Ok(to) => self.command(|profile| Command::Move { profile, pairs: vec![(path, to)], back: false }),
            Err(error) => self.complain_about(&error.into()),
        }
    }

    /// Moves or copies entries into a directory.
    pub fn transplant(&mut self, paths: Vec<RemotePath>, to: &str, copy: bool) {
        let directory = match to.trim().parse::<RemotePath>() {
            Ok(directory) => directory,
            Err(error) => return self.complain_about(&error.into()),
        };
        let target = |path: RemotePath| {
            let to = directory.join(path.file_name()?).ok()?;
            (to != path).then_some((path, to))
        };
        let pairs: Vec<_> = paths.into_iter().filter_map(target).collect();
        if pairs.is_empty() {
            return;
        }
        self.command(|profile| match copy {
            true => Command::Copy { profile, pairs },
            false => Command::Move { profile, pairs, back: false },
        });
    }

    /// Deletes entries, directories with all that is in them.
    pub fn delete(&mut self, paths: Vec<RemotePath>) {
        self.command(|profile| Command::Delete { profile, paths, recursive: true });
    }

    /// Takes back what a message tells of.
    pub fn undo(&mut self, undo: Undo) {
        self.command(|profile| match undo {
            Undo::MoveBack(pairs) => Command::Move { profile, pairs, back: true },
            Undo::RemoveFolder(path) => Command::Delete { profile, paths: vec![path], recursive: false },
        });
    }

    /// Shows the transfer log.
    pub fn show_log(&mut self) {
        self.screen = Screen::Log;
        self.reload_log();
    }

    /// Fetches the transfer log anew.
    pub fn reload_log(&mut self) {
        let log = &mut self.log;
        log.generation += 1;
        (log.busy, log.end, log.trouble) = (true, false, None);
        log.records.clear();
        self.fetch_log();
    }

    fn fetch_log(&mut self) {
        let filter = LogFilter {
            limit: Some(texts::LOG_PAGE),
            direction: self.log.direction,
            failed: self.log.failed,
            path: None,
        };
        let generation = self.log.generation;
        self.command(|profile| Command::Log { profile, filter, generation });
    }

    fn complain_about(&mut self, error: &sealift_transfer::Error) {
        self.notices.complain(&Trouble::from(error), Instant::now());
    }

    /// Takes what the engine tells.
    pub fn apply(&mut self, update: Update, now: Instant) {
        let is_current = |profile: &Name| self.profile.as_ref() == Some(profile);
        match update {
            Update::Profiles(profiles) => self.profiles = profiles,
            Update::Joined(name) => self.joined(name, now),
            Update::Removed(name) => self.removed(&name, now),
            Update::Renamed { from, to } => self.renamed(&from, to),
            Update::NotJoined(trouble) => {
                self.join.busy = false;
                self.join.trouble = Some(trouble);
            }
            Update::Connected { profile, account } if is_current(&profile) => {
                let own = account.identity.clone();
                self.account = Some(account);
                self.link = Link::Up;
                if self.browser.path.as_str() == "/" && !self.browser.listed {
                    // The own space is what most people want to see.
                    let home = format!("/{own}").parse().unwrap_or_else(|_| root());
                    self.browser.path = home;
                }
                self.refresh();
            }
            Update::NotConnected { profile, trouble } if is_current(&profile) => {
                self.link = Link::Down(trouble);
            }
            Update::Connected { .. } | Update::NotConnected { .. } => {}
            Update::Page { generation, entries } => self.browser.page(generation, entries),
            Update::Listed { generation, result } => {
                self.browser.complete(generation, result);
                self.describe();
            }
            Update::Described { path, result } => {
                if self.details.path.as_ref() == Some(&path) {
                    self.details.description = Some(result);
                }
            }
            Update::Previewed { path, preview } => {
                if self.details.path.as_ref() == Some(&path) {
                    self.details.preview = Some(preview);
                }
            }
            Update::LogPage { generation, records } if generation == self.log.generation => {
                self.log.records.extend(records);
            }
            Update::LogEnd { generation, result } if generation == self.log.generation => {
                self.log.busy = false;
                self.log.end = true;
                self.log.trouble = result.err();
            }
            Update::LogPage { .. } | Update::LogEnd { .. } => {}
            Update::Planned { specs, taken, troubles } => {
                for trouble in &troubles {
                    self.notices.complain(trouble, now);
                }
                let free = self.conflicts.sift(specs, taken);
                self.enqueue(free);
            }
            Update::Did { text, undo, touched } => {
                self.notices.tell(text, undo, now);
                if touched {
                    self.details.path = None;
                    self.refresh();
                }
            }
            Update::Failed(trouble) => {
                self.notices.complain(&trouble, now);
                // Some of several may have worked.
                self.refresh();
            }
            Update::Stored => self.refresh(),
        }
    }
}

fn root() -> RemotePath {
    "/".parse().expect("the list of spaces is a path")
}
