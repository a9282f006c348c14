//! Servers: which one is shown, and how they come and go.

use std::time::{Instant, SystemTime};

use sealift_transfer::Remedy;
use sealift_transfer::profile::default_name;
use sealift_types::Name;

use super::browser::Browser;
use super::queue::Trouble;
use super::{Details, Dialog, Log, Model, Screen, ServerLink, root};
use crate::engine::{EngineCommand, ProfileInfo};
use crate::texts;

impl Model {
    /// Shows the servers that there are: the first of the wanted ones that is among them, or else the one that the
    /// command line uses by default, or else the first.
    pub fn begin(&mut self, profiles: Vec<ProfileInfo>, wanted: impl IntoIterator<Item = Option<Name>>) {
        self.profiles = profiles;
        let known = |name: &Name| self.profiles.iter().any(|profile| profile.name == *name);
        let wanted = wanted.into_iter().flatten().chain([default_name()]).find(known);
        let first = wanted.or_else(|| self.profiles.first().map(|profile| profile.name.clone()));
        match first {
            Some(name) => self.open(name),
            None => self.screen = Screen::Join,
        }
    }

    /// Shows another server.
    pub fn open(&mut self, profile: Name) {
        self.profile = Some(profile);
        self.link = ServerLink::Connecting;
        self.account = None;
        // What was asked was about the server that was shown.
        self.dialog = None;
        self.details = Details::default();
        // What the server that was shown still answers is about neither the new log nor the new directory.
        self.log = Log { generation: self.log.generation + 1, ..Log::default() };
        let Browser { sort, descending, generation, .. } = self.browser;
        self.browser = Browser::at(root());
        (self.browser.sort, self.browser.descending) = (sort, descending);
        self.browser.generation = generation + 1;
        self.screen = Screen::Browse;
        self.connect();
    }

    /// Tries to reach the server again.
    pub fn connect(&mut self) {
        self.link = ServerLink::Connecting;
        self.command(EngineCommand::Connect);
    }

    /// Tries servers again that could not be reached, if it is time. Returns when the next one is due.
    pub fn retry(&mut self, now: Instant) -> Option<Instant> {
        let waiting: Vec<_> = {
            let queue = self.queue();
            let held = queue.held().filter(|(_, trouble)| trouble.mend == Remedy::TryAgain);
            held.map(|(server, _)| server.clone()).collect()
        };
        for server in waiting {
            self.retries.suspect(&server, now);
        }
        // What is shown stays meanwhile.
        self.commands.extend(self.retries.due(now).into_iter().map(EngineCommand::Connect));
        self.retries.next()
    }

    /// A server was reached: what waited for it goes on.
    pub(super) fn reached(&mut self, server: &Name) {
        self.retries.forget(server);
        let waits = self.queue().held().any(|(held, _)| held == server);
        if waits {
            self.with_queue(|queue| queue.release(server));
        }
    }

    /// Joins with the token that is typed.
    pub fn submit_join(&mut self) {
        if self.join.busy {
            return;
        }
        self.join.busy = true;
        self.join.trouble = None;
        let (token, name) = (self.join.token.trim().to_owned(), self.join.name.trim().to_owned());
        self.commands.push(EngineCommand::Join { token, name, again: self.join.again.clone() });
    }

    /// Shows where a token goes: for one more server, or for one of which the identity is of no use any more.
    pub fn ask_to_join(&mut self, again: Option<Name>) {
        if !self.join.busy {
            self.join.trouble = None;
            self.join.again = again;
        }
        self.screen = Screen::Join;
    }

    /// A server was joined.
    pub(super) fn joined(&mut self, name: Name, now: Instant) {
        let again = std::mem::take(&mut self.join).again;
        if again.as_ref().is_some_and(|again| *again != name) {
            self.notices.tell(texts::joined_another(name.as_str()), None, now);
        }
        if again == self.profile && self.profile.as_ref() == Some(&name) {
            // One goes on where one was.
            self.screen = Screen::Browse;
            self.connect();
        } else {
            self.open(name);
        }
    }

    /// Asks whether a server is to be removed.
    pub fn ask_to_remove(&mut self, profile: Name) {
        let transfers = self.queue().unfinished(&profile);
        self.dialog = Some(Dialog::RemoveServer { profile, transfers });
    }

    /// Removes a server from this computer.
    pub fn remove_server(&mut self, profile: Name) {
        self.commands.push(EngineCommand::RemoveProfile(profile));
    }

    /// A server was removed.
    pub(super) fn removed(&mut self, name: &Name, now: Instant) {
        self.notices.tell(texts::removed(name.as_str()), None, now);
        if self.profile.as_ref() == Some(name) {
            self.profile = None;
            self.account = None;
            self.dialog = None;
            let left = std::mem::take(&mut self.profiles);
            self.begin(left, None);
        }
    }

    /// Gives a server another name on this computer.
    pub fn rename_server(&mut self, from: Name, to: &str) {
        match to.trim().parse::<Name>() {
            Ok(to) if to == from => {}
            Ok(to) => self.commands.push(EngineCommand::RenameProfile { from, to }),
            Err(error) => self.notices.complain(&Trouble::of_person(error.to_string()), Instant::now()),
        }
    }

    /// A server has another name.
    pub(super) fn renamed(&mut self, from: &Name, to: &Name, now: Instant) {
        self.retries.rename_server(from, to, now);
        self.conflicts.rename_server(from, to);
        self.notices.rename_server(from, to);
        if let Some(dialog) = &mut self.dialog {
            dialog.rename_server(from, to);
        }
        for name in [&mut self.join.again, &mut self.profile].into_iter().flatten() {
            if name == from {
                name.clone_from(to);
            }
        }
    }

    /// Renews this computer's certificate.
    pub fn renew(&mut self) {
        self.command(EngineCommand::Renew);
    }

    /// When this computer's certificate expires, as far as that is known.
    pub fn expires(&self) -> Option<SystemTime> {
        let name = self.profile.as_ref()?;
        self.profiles.iter().find(|profile| profile.name == *name)?.expires
    }
}
