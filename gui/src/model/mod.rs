//! What the window is about, without a window: plain state, changed by what people want and by what the engine tells.

mod actions;
pub mod browser;
pub mod conflict;
mod dialog;
mod item;
mod log;
mod meter;
pub mod notices;
mod progress;
pub mod queue;
mod retries;
mod servers;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use eframe::egui::Theme;
use sealift_protocol::message::{Account, Description, Direction, EntryKind};
use sealift_transfer::Remedy;
use sealift_types::{EntryPath, Name};

use crate::engine::{EngineCommand, EngineUpdate, Opening, Preview, ProfileInfo};
pub use actions::UploadTarget;
use browser::Browser;
use conflict::Conflicts;
pub use dialog::{Dialog, Undo};
pub use log::Log;
use notices::Notices;
pub use progress::Numbers;
use queue::{Spec, TransferQueue, Trouble};
use retries::Retries;

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
    pub link: ServerLink,
    /// Who one is there.
    pub account: Option<Account>,
    /// What is typed for joining.
    pub join: JoinForm,
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
    /// Servers that are tried again by themselves.
    retries: Retries,
    /// Where downloads go unless somebody says otherwise.
    pub downloads: PathBuf,
    /// Where files go that are opened.
    opening: Opening,
    /// Whether the desktop is light or dark, if it says so.
    pub appearance: Option<Theme>,
    /// All transfers. The engine works on them at the same time.
    pub queue: Arc<Mutex<TransferQueue>>,
    commands: Vec<EngineCommand>,
    /// Counts the entries that were asked about.
    described: u64,
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
pub enum ServerLink {
    /// It is being tried.
    Connecting,
    /// It can.
    Up,
    /// It cannot.
    Down(Trouble),
}

/// What is typed for joining.
#[derive(Debug, Default)]
pub struct JoinForm {
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
    pub path: Option<EntryPath>,
    /// What the server says about it.
    pub description: Option<Result<Description, Trouble>>,
    /// What is in it.
    pub preview: Option<Preview>,
    /// The number under which the server was asked.
    generation: u64,
}

impl Model {
    /// A window that has heard nothing from the engine yet.
    pub fn new(queue: Arc<Mutex<TransferQueue>>, downloads: PathBuf, opening: Opening) -> Self {
        Self {
            screen: Screen::Browse,
            profiles: Vec::new(),
            profile: None,
            link: ServerLink::Connecting,
            account: None,
            join: JoinForm::default(),
            browser: Browser::at(root()),
            details: Details::default(),
            log: Log::default(),
            dialog: None,
            conflicts: Conflicts::default(),
            notices: Notices::default(),
            retries: Retries::default(),
            downloads,
            opening,
            appearance: None,
            queue,
            commands: Vec::new(),
            described: 0,
        }
    }

    /// The queue, between two looks of the engine.
    pub fn queue(&self) -> MutexGuard<'_, TransferQueue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the engine is to do since the last time.
    pub fn take_commands(&mut self) -> Vec<EngineCommand> {
        std::mem::take(&mut self.commands)
    }

    fn command(&mut self, make: impl FnOnce(Name) -> EngineCommand) {
        if let Some(profile) = self.profile.clone() {
            self.commands.push(make(profile));
        }
    }

    /// Goes to a directory.
    pub fn go(&mut self, path: EntryPath) {
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
        self.command(|profile| EngineCommand::List { profile, path, generation });
    }

    /// Asks the server for everything that is shown: spaces, rights, and the directory.
    pub fn reload(&mut self) {
        self.command(EngineCommand::Connect);
    }

    /// Opens a row: goes into a directory, fetches a file and has the system open it.
    pub fn open_row(&mut self, row: usize) {
        let Some(entry) = self.browser.row(row) else { return };
        let (kind, size) = (entry.kind, entry.size);
        let Some(path) = self.browser.path_of(entry) else { return };
        match kind {
            EntryKind::Directory | EntryKind::Space => self.go(path),
            EntryKind::File => self.open_file(path, size),
            // The server does not know where it leads.
            EntryKind::Link => {}
        }
    }

    fn open_file(&mut self, remote: EntryPath, size: u64) {
        let (Some(profile), Some(name)) = (self.profile.clone(), remote.file_name()) else { return };
        let local = self.opening.place(name);
        let direction = Direction::Get;
        self.enqueue(vec![Spec { profile, direction, local, remote, tree: false, size: Some(size) }]);
    }

    /// Asks about the entry that the cursor is on, unless that is known.
    pub fn describe(&mut self) {
        let entry = self.browser.cursor.and_then(|row| self.browser.row(row));
        let path = entry.and_then(|entry| self.browser.path_of(entry));
        if path == self.details.path {
            return;
        }
        self.described += 1;
        let generation = self.described;
        self.details = Details { path: path.clone(), generation, ..Details::default() };
        if let Some(path) = path {
            self.command(|profile| EngineCommand::Describe { profile, path, generation });
        }
    }

    fn complain_about(&mut self, error: &sealift_transfer::TransferError) {
        self.notices.complain(&Trouble::from(error), Instant::now());
    }

    /// Takes what the engine tells.
    pub fn apply(&mut self, update: EngineUpdate, now: Instant) {
        let is_current = |profile: &Name| self.profile.as_ref() == Some(profile);
        match update {
            EngineUpdate::Profiles(profiles) => self.profiles = profiles,
            EngineUpdate::Joined(name) => self.joined(name, now),
            EngineUpdate::Removed(name) => self.removed(&name, now),
            EngineUpdate::Renamed { from, to } => self.renamed(&from, &to, now),
            EngineUpdate::NotJoined(trouble) => {
                self.join.busy = false;
                self.join.trouble = Some(trouble);
            }
            EngineUpdate::Connected { profile, account } => {
                let is_current = is_current(&profile);
                self.reached(&profile);
                if !is_current {
                    return;
                }
                let own = account.identity.clone();
                self.account = Some(account);
                self.link = ServerLink::Up;
                self.browser.trouble = None;
                if self.browser.path.as_str() == "/" && !self.browser.listed {
                    // The own space is what most people want to see.
                    let home = format!("/{own}").parse().unwrap_or_else(|_| root());
                    self.browser.path = home;
                }
                self.refresh();
            }
            EngineUpdate::NotConnected { profile, trouble } => {
                let is_current = is_current(&profile);
                match trouble.mend {
                    Remedy::TryAgain => self.retries.failed(&profile, now),
                    _ => self.retries.forget(&profile),
                }
                if is_current {
                    self.link = ServerLink::Down(trouble);
                }
            }
            EngineUpdate::Page { generation, entries } => self.browser.page(generation, entries),
            EngineUpdate::Listed { generation, result } => {
                self.browser.complete(generation, result);
                self.describe();
            }
            EngineUpdate::Described { generation, result } => {
                if self.details.generation == generation {
                    self.details.description = Some(result);
                }
            }
            EngineUpdate::Previewed { generation, preview } => {
                if self.details.generation == generation {
                    self.details.preview = Some(preview);
                }
            }
            EngineUpdate::LogPage { generation, records } if generation == self.log.generation => {
                self.log.records.extend(records);
            }
            EngineUpdate::LogEnd { generation, result } if generation == self.log.generation => {
                self.log.busy = false;
                self.log.end = true;
                self.log.trouble = result.err();
            }
            EngineUpdate::LogPage { .. } | EngineUpdate::LogEnd { .. } => {}
            EngineUpdate::Planned { specs, taken, troubles, instead } => {
                for trouble in &troubles {
                    self.notices.complain(trouble, now);
                }
                let free = {
                    let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
                    self.conflicts.sift(specs, taken, queue.to_come(), instead)
                };
                match instead {
                    Some(id) => self.replace(free.into_iter().map(|spec| (id, spec)).collect()),
                    None => self.enqueue(free),
                }
            }
            EngineUpdate::Taken(conflicts) => self.conflicts.ask(conflicts),
            EngineUpdate::Did { text, undo, touched } => {
                self.notices.tell(text, undo, now);
                if touched {
                    self.details.path = None;
                    self.refresh();
                }
            }
            EngineUpdate::Failed(trouble) => {
                self.notices.complain(&trouble, now);
                // Some of several may have worked.
                self.refresh();
            }
            EngineUpdate::Stored => self.refresh(),
            EngineUpdate::Appearance(theme) => self.appearance = theme,
        }
    }
}

fn root() -> EntryPath {
    "/".parse().expect("the list of spaces is a path")
}
