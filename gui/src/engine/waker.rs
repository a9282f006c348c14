//! When the window is drawn again.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use eframe::egui;

/// The shortest time between two pictures that transfers ask for: ten in a second. More could not be read, and where the
/// processor draws, each costs as much as seven megabytes of an upload.
const FRAME: Duration = Duration::from_millis(100);

/// Asks for a new picture when there is something new to see, and never otherwise.
#[derive(Debug, Default)]
pub struct Waker {
    window: OnceLock<egui::Context>,
    asked: AtomicBool,
}

impl Waker {
    /// Says which window is to be drawn.
    pub fn attach(&self, window: egui::Context) {
        // The first one stays; there is only one.
        let _ = self.window.set(window);
    }

    /// A picture is being drawn: what happens from now on asks for the next one.
    pub fn drawing(&self) {
        self.asked.store(false, Ordering::Release);
    }

    /// Asks for a picture, but not for more than ten in a second.
    pub(super) fn soon(&self) {
        if !self.asked.swap(true, Ordering::AcqRel)
            && let Some(window) = self.window.get()
        {
            window.request_repaint_after(FRAME);
        }
    }

    /// Asks for a picture at once, for what somebody waits for.
    pub(super) fn now(&self) {
        if let Some(window) = self.window.get() {
            window.request_repaint();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[test]
    fn whatever_happens_between_two_pictures_asks_for_one_and_not_at_once() {
        let (window, waker) = (egui::Context::default(), Waker::default());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = asked.clone();
        window.set_request_repaint_callback(move |info| log.lock().unwrap().push(info.delay));
        waker.attach(window.clone());
        let draw = || {
            let mut drawn = window.run_ui(egui::RawInput::default(), |_| waker.drawing());
            // Nobody shows it.
            drawn.textures_delta.clear();
        };
        // The first pictures ask for others by themselves.
        (0..3).for_each(|_| draw());
        for _ in 0..5 {
            asked.lock().unwrap().clear();
            (0..1000).for_each(|_| waker.soon());
            assert_eq!(*asked.lock().unwrap(), [Duration::from_millis(100)]);
            draw();
        }
        asked.lock().unwrap().clear();
        draw();
        assert!(asked.lock().unwrap().is_empty(), "nothing has happened");
    }
}
