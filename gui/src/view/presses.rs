//! Keys that are pressed while a frame is drawn late are handled one after the other.
//!
//! A key such as F2 or Enter changes who gets the next one, which is known only when the window was drawn again. So what
//! comes after such a key waits for the next frame.

use std::collections::VecDeque;

use eframe::egui::{Context, Event, Key, Plugin, RawInput};

/// Input that waits for the next frame.
#[derive(Debug, Default)]
pub(crate) struct Presses {
    waiting: VecDeque<Event>,
}

impl Plugin for Presses {
    fn debug_name(&self) -> &'static str {
        "one key after the other"
    }

    fn input_hook(&mut self, window: &Context, input: &mut RawInput) {
        self.waiting.extend(input.events.drain(..));
        while let Some(event) = self.waiting.pop_front() {
            let acts = acts(&event);
            input.events.push(event);
            if acts && self.waiting.iter().any(is_typed) {
                window.request_repaint();
                break;
            }
        }
    }
}

/// Whether it is a key that may change who gets the next one. Keys that move and keys that write do not.
fn acts(event: &Event) -> bool {
    let Event::Key { key, pressed: true, modifiers, .. } = event else { return false };
    if modifiers.command || modifiers.ctrl || modifiers.alt {
        return true;
    }
    matches!(key, Key::Enter | Key::Escape | Key::Tab | Key::Delete | Key::Menu)
        || key.name().strip_prefix('F').is_some_and(|number| number.parse::<u8>().is_ok())
}

fn is_typed(event: &Event) -> bool {
    matches!(event, Event::Key { pressed: true, .. } | Event::Text(_) | Event::Paste(_) | Event::Ime(_))
}
