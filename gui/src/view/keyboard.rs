//! The keyboard in a directory.

use eframe::egui::{
    Event, EventFilter, FocusDirection, Id, Key, Modifiers, Sense, Ui, WidgetInfo, accesskit::Role,
};
use sealift_protocol::message::Entry;

use super::Shown;
use super::table::{Act, perform};
use crate::model::{Dialog, Model};

/// Rows that a page of the keyboard moves by.
const PAGE: isize = 15;

/// Where the keyboard is while it is in the table, for the Tab key and for screen readers.
fn place() -> Id {
    Id::unique("row with the cursor")
}

/// The row with the cursor is a stop of the Tab key, and what a screen reader reads.
pub(super) fn stop(ui: &Ui, entry: &Entry, selected: bool) {
    let response = ui.interact(ui.max_rect(), place(), Sense::focusable_noninteractive());
    response.widget_info(|| WidgetInfo::selected(Role::Row, true, selected, &entry.name));
    if response.has_focus() {
        // The arrows go from row to row, and not to other parts of the window.
        let filter = EventFilter { vertical_arrows: true, ..EventFilter::default() };
        ui.memory_mut(|memory| memory.set_focus_lock_filter(place(), filter));
    }
}

/// Gives the keyboard to the table.
pub(super) fn to_table(ui: &Ui) {
    ui.memory_mut(|memory| {
        memory.request_focus(place());
        // An arrow has moved the row; it is not to move the keyboard out of the table as well.
        memory.move_focus(FocusDirection::None);
    });
}

/// The keyboard, while nobody types a text.
pub(super) fn keys(ui: &mut Ui, model: &mut Model, shown: &mut Shown) {
    let (none, shift, command) = (Modifiers::NONE, Modifiers::SHIFT, Modifiers::COMMAND);
    // A button that has the keyboard keeps its own keys.
    let free = ui.memory(|memory| memory.focused().is_none_or(|id| id == place()));
    let pressed = |modifiers: Modifiers, key: Key| ui.input_mut(|input| input.consume_key(modifiers, key));
    let far = isize::MAX / 2;
    let mut moved = false;
    if free {
        for (key, by) in [
            (Key::ArrowDown, 1),
            (Key::ArrowUp, -1),
            (Key::PageDown, PAGE),
            (Key::PageUp, -PAGE),
            (Key::Home, -far),
            (Key::End, far),
        ] {
            for (modifiers, range) in [(shift, true), (none, false)] {
                if pressed(modifiers, key) {
                    model.browser.step(by, range);
                    moved = true;
                }
            }
        }
    }
    if moved {
        shown.scroll_to = model.browser.cursor;
        to_table(ui);
        model.describe();
    }
    if free
        && pressed(none, Key::Enter)
        && let Some(row) = model.browser.cursor
    {
        model.open_row(row);
    }
    if pressed(none, Key::Backspace) || pressed(Modifiers::ALT, Key::ArrowUp) {
        model.up();
    }
    if pressed(Modifiers::ALT, Key::ArrowLeft) {
        model.back();
    }
    if pressed(command, Key::A) {
        model.browser.select_all();
    }
    if pressed(none, Key::Escape) {
        model.browser.select_none();
    }
    if pressed(command.plus(shift), Key::N) {
        model.dialog = Some(Dialog::NewFolder { name: String::new() });
    }
    if pressed(command, Key::D) {
        model.ask_where_to_download();
    }
    if pressed(command, Key::U) {
        model.dialog = Some(Dialog::UploadPath { path: String::new() });
    }
    if pressed(none, Key::F2) {
        perform(ui, model, Act::Rename);
    }
    for (modifiers, copy) in [(shift, true), (none, false)] {
        if pressed(modifiers, Key::F6) {
            perform(ui, model, Act::Transplant(copy));
        }
    }
    if pressed(none, Key::Delete) {
        perform(ui, model, Act::Delete);
    }
    if ui.input(|input| input.events.iter().any(|event| matches!(event, Event::Copy))) {
        perform(ui, model, Act::CopyPath);
    }
    paste(ui, model);
}

/// Files that were copied in a file manager come as their paths.
fn paste(ui: &Ui, model: &mut Model) {
    let pasted = ui.input(|input| {
        input.events.iter().find_map(|event| match event {
            Event::Paste(text) => Some(text.clone()),
            _ => None,
        })
    });
    if let Some(text) = pasted {
        model.paste(&text);
    }
}
