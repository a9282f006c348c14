//! Short messages that come and go.

use std::time::{Duration, Instant};

use sealift_types::Name;

use super::Undo;
use super::item::Trouble;

/// How long a message stays that asks for nothing.
const SHORT: Duration = Duration::from_secs(6);

/// How long one stays that can be acted on.
const LONG: Duration = Duration::from_secs(15);

/// A short message.
#[derive(Debug, Clone)]
pub struct Notice {
    /// What it is called.
    pub id: u64,
    /// A sentence.
    pub text: String,
    /// Whether it tells of something that did not work.
    pub bad: bool,
    /// What takes back what was done.
    pub undo: Option<Undo>,
    /// When it goes by itself.
    pub until: Instant,
}

/// The messages that are shown, the oldest first.
#[derive(Debug, Default)]
pub struct Notices {
    shown: Vec<Notice>,
    next: u64,
}

impl Notices {
    /// Tells of something that went well.
    pub fn tell(&mut self, text: impl Into<String>, undo: Option<Undo>, now: Instant) {
        self.push(text.into(), false, undo, now);
    }

    /// Tells of something that did not.
    pub fn complain(&mut self, trouble: &Trouble, now: Instant) {
        self.push(trouble.message.clone(), true, None, now);
    }

    fn push(&mut self, text: String, bad: bool, undo: Option<Undo>, now: Instant) {
        /// More than that would cover the window.
        const MOST: usize = 4;
        let stays = if bad || undo.is_some() { LONG } else { SHORT };
        // Saying the same twice says no more.
        self.shown.retain(|notice| notice.text != text);
        self.shown.push(Notice { id: self.next, text, bad, undo, until: now + stays });
        self.next += 1;
        let surplus = self.shown.len().saturating_sub(MOST);
        self.shown.drain(..surplus);
    }

    /// Takes one away.
    pub fn dismiss(&mut self, id: u64) -> Option<Notice> {
        let at = self.shown.iter().position(|notice| notice.id == id)?;
        Some(self.shown.remove(at))
    }

    /// A server has another name.
    pub(super) fn rename_server(&mut self, from: &Name, to: &Name) {
        for undo in self.shown.iter_mut().filter_map(|notice| notice.undo.as_mut()) {
            let (Undo::MoveBack { profile, .. } | Undo::RemoveFolder { profile, .. }) = undo;
            if profile == from {
                profile.clone_from(to);
            }
        }
    }

    /// Those that are to be seen now.
    pub fn at(&mut self, now: Instant) -> &[Notice] {
        self.shown.retain(|notice| notice.until > now);
        &self.shown
    }

    /// When the next one goes.
    pub fn next_change(&self) -> Option<Instant> {
        self.shown.iter().map(|notice| notice.until).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_go_by_themselves_and_are_few() {
        let (mut notices, now) = (Notices::default(), Instant::now());
        for number in 0..9 {
            notices.tell(format!("{}", number / 2), None, now);
        }
        assert_eq!(
            notices.at(now).iter().map(|notice| notice.text.as_str()).collect::<Vec<_>>(),
            ["1", "2", "3", "4"]
        );
        assert_eq!(notices.next_change(), Some(now + SHORT));
        assert!(notices.at(now + SHORT).is_empty());
    }
}
