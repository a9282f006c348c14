//! A client that waits for a change that takes its time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use sealift_protocol::io::StreamError;
use sealift_protocol::message::Reply;

use crate::error::Result;
use crate::session::SessionWriter;
use crate::state::ServerState;

/// How often a client is told that the server is working for it, within the time that it waits for an answer.
const SIGNS: u32 = 6;

/// A client that waits for a change that takes its time.
pub struct WaitingClient<'a> {
    pub(super) writer: &'a mut SessionWriter,
    /// Whether the client went away.
    cut: &'a AtomicBool,
    /// Whether the client knows the reply that says that the server is working.
    knows_working: bool,
    /// When it was told last that the server is working.
    told: Option<Instant>,
    /// How long it is waited between two signs.
    pause: Duration,
}

impl<'a> WaitingClient<'a> {
    /// A client that has just asked.
    pub fn new(
        state: &ServerState,
        writer: &'a mut SessionWriter,
        cut: &'a AtomicBool,
        knows_working: bool,
    ) -> Self {
        let pause = state.config().timeouts.stall() / SIGNS;
        Self { writer, cut, knows_working, told: None, pause }
    }

    /// Tells the client now and then how many entries are done. Fails if the client is gone, which cancels its request.
    pub(super) async fn go_on(&mut self, entries: u64) -> Result<()> {
        if self.cut.load(Ordering::Relaxed) {
            return Err(StreamError::Closed.into());
        }
        if self.knows_working && self.told.is_none_or(|told| told.elapsed() >= self.pause) {
            self.told = Some(Instant::now());
            self.writer.push(&Reply::Working { entries })?;
            self.writer.flush().await?;
        }
        Ok(())
    }
}
