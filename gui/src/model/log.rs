//! The transfer log.

use sealift_protocol::message::{Direction, Transfer};
use sealift_transfer::remote::LogFilter;

use super::queue::Trouble;
use super::{Model, Screen};
use crate::engine::EngineCommand;
use crate::texts;

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
    pub(super) generation: u64,
}

impl Model {
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
            previews: false,
            path: None,
        };
        let generation = self.log.generation;
        self.command(|profile| EngineCommand::Log { profile, filter, generation });
    }
}
