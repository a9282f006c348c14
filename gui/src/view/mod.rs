//! What is drawn: one file for each part of the window.

mod details;
mod dialogs;
mod focus;
mod join;
mod keyboard;
mod log;
mod notices;
mod picker;
mod presses;
mod queue;
mod row_action;
mod sidebar;
mod table;
mod toolbar;
mod view_state;
mod widgets;

use std::path::PathBuf;

use eframe::egui::{CentralPanel, Context, Frame, Key, Margin, Modifiers, Panel, Popup, Ui, ViewportCommand};

use crate::model::{Model, Screen};
use crate::store::Look;
pub(crate) use presses::Presses;
pub use view_state::ViewState;

/// Draws the window.
pub(crate) fn show(ui: &mut Ui, model: &mut Model, look: &mut Look, shown: &mut ViewState) {
    take_files(ui, model, shown);
    if model.screen == Screen::Join {
        CentralPanel::default().show(ui, |ui| join::show(ui, model));
    } else {
        keys(ui, model, look, shown);
        let room = ui.available_width();
        let side = Frame::new().fill(ui.visuals().faint_bg_color).inner_margin(Margin::same(12));
        Panel::left("sidebar")
            .exact_size(if room < 800.0 { 176.0 } else { 220.0 })
            .resizable(false)
            .frame(side)
            .show(ui, |ui| sidebar::show(ui, model, look));
        if look.queue {
            let frame = Frame::new().fill(ui.visuals().faint_bg_color).inner_margin(Margin::symmetric(16, 8));
            Panel::bottom("queue")
                .resizable(true)
                .default_size(224.0)
                .size_range(120.0..=480.0)
                .frame(frame)
                .show(ui, |ui| queue::show(ui, model));
        }
        let bar = Frame::new().fill(ui.visuals().panel_fill).inner_margin(Margin {
            left: 12,
            right: 12,
            top: 8,
            bottom: 8,
        });
        Panel::top("toolbar").frame(bar).show(ui, |ui| toolbar::show(ui, model, look, shown));
        if look.details && model.screen == Screen::Browse && has_room_for_details(ui.ctx()) {
            let frame = Frame::new().fill(ui.visuals().panel_fill).inner_margin(Margin::same(16));
            Panel::right("details")
                .resizable(true)
                .default_size(288.0)
                .size_range(220.0..=460.0)
                .frame(frame)
                .show(ui, |ui| details::show(ui, model, shown));
        }
        let frame = Frame::new().fill(ui.visuals().panel_fill).inner_margin(Margin {
            left: 12,
            right: 12,
            top: 0,
            bottom: 6,
        });
        let page = CentralPanel::default().frame(frame).show(ui, |ui| match model.screen {
            Screen::Log => log::show(ui, model),
            Screen::Browse | Screen::Join => table::show(ui, model, shown),
        });
        shown.page = Some(page.response.rect);
    }
    dialogs::show(ui.ctx(), model, shown);
    let page = shown.page.filter(|_| model.screen != Screen::Join);
    notices::show(ui.ctx(), model, page.unwrap_or_else(|| ui.ctx().content_rect()));
}

/// Whether there is room for what is known of a file; in a small window the files need all of it.
fn has_room_for_details(window: &Context) -> bool {
    window.content_rect().width() >= 860.0
}

/// Files that were dropped, chosen, or pasted as paths.
fn take_files(ui: &mut Ui, model: &mut Model, shown: &mut ViewState) {
    let dropped: Vec<PathBuf> =
        ui.input(|input| input.raw.dropped_files.iter().map(|file| file.path().to_owned()).collect());
    if model.screen == Screen::Browse && model.dialog.is_none() {
        model.upload(dropped);
    }
    shown.picker.take(model);
}

/// Keys that mean the same wherever one is, as long as nobody types.
fn keys(ui: &mut Ui, model: &mut Model, look: &mut Look, shown: &mut ViewState) {
    let asks = model.dialog.is_some() || model.conflicts.current().is_some();
    // An open menu has the keyboard.
    if asks || Popup::is_any_open(ui.ctx()) {
        return;
    }
    let pressed = |modifiers: Modifiers, key: Key| ui.input_mut(|input| input.consume_key(modifiers, key));
    let typing = ui.ctx().text_edit_focused();
    if pressed(Modifiers::COMMAND, Key::Q) {
        ui.ctx().send_viewport_cmd(ViewportCommand::Close);
    }
    if pressed(Modifiers::COMMAND, Key::F) {
        (model.screen, shown.focus_filter) = (Screen::Browse, true);
    }
    if pressed(Modifiers::COMMAND, Key::J) {
        look.queue = !look.queue;
    }
    if pressed(Modifiers::COMMAND, Key::I) {
        look.details = !look.details;
    }
    if pressed(Modifiers::NONE, Key::F5) || pressed(Modifiers::COMMAND, Key::R) {
        match model.screen {
            Screen::Log => model.reload_log(),
            _ => model.reload(),
        }
    }
    match model.screen {
        _ if typing => {}
        Screen::Browse => keyboard::keys(ui, model, shown),
        Screen::Log if pressed(Modifiers::NONE, Key::Escape) => model.screen = Screen::Browse,
        Screen::Log | Screen::Join => {}
    }
}
