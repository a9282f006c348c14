//! The keyboard in a directory.

use eframe::egui::{Event, Key, Modifiers, Ui};

use super::focus;
use super::row_action::{RowAction, perform};
use super::view_state::ViewState;
use crate::model::{Dialog, Model};

/// Rows that a page of the keyboard moves by.
const PAGE: isize = 15;

/// The keyboard, while nobody types a text. Several keys may have been pressed since the last frame: they are done in
/// their order, up to one that opens a dialog.
pub(super) fn keys(ui: &mut Ui, model: &mut Model, shown: &mut ViewState) {
    let events = ui.input_mut(|input| std::mem::take(&mut input.events));
    let mut rest = Vec::with_capacity(events.len());
    for event in events {
        let is_done = model.dialog.is_none()
            && match &event {
                Event::Key { key, pressed: true, modifiers, .. } => press(ui, model, shown, *modifiers, *key),
                Event::Copy => {
                    perform(ui, model, RowAction::CopyPath);
                    true
                }
                // Files that were copied in a file manager come as their paths.
                Event::Paste(text) => {
                    model.paste(text);
                    true
                }
                _ => false,
            };
        if !is_done {
            rest.push(event);
        }
    }
    ui.input_mut(|input| input.events = rest);
}

/// Does what a key is for; whether it is for anything here.
fn press(ui: &Ui, model: &mut Model, shown: &mut ViewState, modifiers: Modifiers, key: Key) -> bool {
    const NONE: Modifiers = Modifiers::NONE;
    const SHIFT: Modifiers = Modifiers::SHIFT;
    const ALT: Modifiers = Modifiers::ALT;
    const COMMAND: Modifiers = Modifiers::COMMAND;
    // A button that has the keyboard keeps its own keys.
    let free = ui.memory(|memory| memory.focused().is_none_or(|id| id == focus::place()));
    // Nothing but the modifiers that are meant: Alt and an arrow are not the arrow.
    let is = |wanted: Modifiers| modifiers.matches_exact(wanted);
    match key {
        Key::ArrowUp if is(ALT) => model.up(),
        Key::ArrowLeft if is(ALT) => model.back(),
        _ if free && (is(NONE) || is(SHIFT)) && distance(key).is_some() => {
            let by = distance(key).unwrap_or_default();
            model.browser.step(by, is(SHIFT));
            shown.scroll_to = model.browser.cursor;
            focus::to_table(ui);
            model.describe();
        }
        Key::Enter if free && is(NONE) && model.browser.cursor.is_some() => {
            let row = model.browser.cursor.unwrap_or_default();
            perform(ui, model, RowAction::Open(row));
        }
        Key::Backspace if is(NONE) => model.up(),
        Key::Escape if is(NONE) && !model.browser.filter.is_empty() => {
            model.browser.filter.clear();
            model.browser.refilter();
        }
        Key::Escape if is(NONE) => model.browser.select_none(),
        Key::Menu if is(NONE) => menu(model, shown),
        Key::F10 if is(SHIFT) => menu(model, shown),
        Key::F2 if is(NONE) => perform(ui, model, RowAction::Rename),
        Key::F6 if is(NONE) => perform(ui, model, RowAction::Transplant(false)),
        Key::F6 if is(SHIFT) => perform(ui, model, RowAction::Transplant(true)),
        Key::Delete if is(NONE) => perform(ui, model, RowAction::Delete),
        Key::A if is(COMMAND) => model.browser.select_all(),
        Key::D if is(COMMAND) => model.ask_where_to_download(),
        Key::U if is(COMMAND) => model.dialog = Some(Dialog::UploadPath { path: String::new() }),
        Key::N if is(COMMAND.plus(SHIFT)) => model.dialog = Some(Dialog::NewFolder { name: String::new() }),
        _ => return false,
    }
    true
}

/// Opens the menu of the row with the cursor.
fn menu(model: &mut Model, shown: &mut ViewState) {
    let Some(row) = model.browser.cursor else { return };
    if !model.browser.is_selected(row) {
        model.browser.select(row, false, false);
    }
    (shown.menu, shown.scroll_to) = (true, Some(row));
}

/// How many rows a key moves by.
fn distance(key: Key) -> Option<isize> {
    const FAR: isize = isize::MAX / 2;
    Some(match key {
        Key::ArrowDown => 1,
        Key::ArrowUp => -1,
        Key::PageDown => PAGE,
        Key::PageUp => -PAGE,
        Key::Home => -FAR,
        Key::End => FAR,
        _ => return None,
    })
}
