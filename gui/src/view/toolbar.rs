//! Where one is, and what can be done there.

use eframe::egui::{Align, Layout, RichText, ScrollArea, TextEdit, Ui};
use sealift_protocol::RemotePath;

use super::picker::Pick;
use super::{Shown, widgets};
use crate::model::{Dialog, Model, Screen};
use crate::store::Look;
use crate::{icons, texts};

pub(super) fn show(ui: &mut Ui, model: &mut Model, look: &mut Look, shown: &mut Shown) {
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 4.0;
        if model.screen == Screen::Log {
            if widgets::icon_button(ui, icons::ARROW_LEFT, texts::BACK_TO_FILES, true).clicked() {
                model.screen = Screen::Browse;
            }
            ui.label(RichText::new(texts::LOG).strong().size(16.0));
        } else {
            places(ui, model);
        }
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            ui.spacing_mut().item_spacing.x = 4.0;
            widgets::icon_toggle(ui, icons::INFO, texts::DETAILS, &mut look.details);
            widgets::icon_toggle(ui, icons::QUEUE, texts::TRANSFERS, &mut look.queue);
            if model.screen == Screen::Browse {
                ui.separator();
                actions(ui, model, shown);
            }
        });
    });
    if model.screen == Screen::Browse {
        ui.horizontal(|ui| {
            ui.spacing_mut().item_spacing.x = 2.0;
            breadcrumbs(ui, model);
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| filter(ui, model, shown));
        });
    }
}

fn places(ui: &mut Ui, model: &mut Model) {
    if widgets::icon_button(ui, icons::ARROW_LEFT, texts::BACK, model.browser.can_go_back()).clicked() {
        model.back();
    }
    if widgets::icon_button(ui, icons::ARROW_UP, texts::UP, model.browser.above().is_some()).clicked() {
        model.up();
    }
    if widgets::icon_button(ui, icons::ARROW_CLOCKWISE, texts::REFRESH, true).clicked() {
        model.reload();
    }
}

/// From right to left.
fn actions(ui: &mut Ui, model: &mut Model, shown: &mut Shown) {
    let in_space = model.browser.path.as_str() != "/";
    let some = model.browser.selected() > 0;
    if widgets::button(ui, icons::DOWNLOAD_SIMPLE, texts::DOWNLOAD, some && in_space).clicked() {
        model.ask_where_to_download();
    }
    ui.add_enabled_ui(in_space, |ui| {
        let menu = ui.menu_button(widgets::labelled(icons::UPLOAD_SIMPLE, texts::UPLOAD), |ui| {
            if widgets::button(ui, icons::FILE, texts::UPLOAD_FILES, true).clicked() {
                shown.picker.open(Pick::Files, ui.ctx());
                ui.close();
            }
            if widgets::button(ui, icons::FOLDER, texts::UPLOAD_FOLDER, true).clicked() {
                shown.picker.open(Pick::Folder, ui.ctx());
                ui.close();
            }
            if widgets::button(ui, icons::PENCIL_SIMPLE, texts::UPLOAD_PATH, true).clicked() {
                model.dialog = Some(Dialog::UploadPath { path: String::new() });
                ui.close();
            }
        });
        let info = || {
            eframe::egui::WidgetInfo::labeled(eframe::egui::accesskit::Role::Button, in_space, texts::UPLOAD)
        };
        menu.response.widget_info(info);
    });
    if widgets::button(ui, icons::FOLDER_PLUS, texts::NEW_FOLDER, in_space).clicked() {
        model.dialog = Some(Dialog::NewFolder { name: String::new() });
    }
}

fn breadcrumbs(ui: &mut Ui, model: &mut Model) {
    let path = model.browser.path.as_str().to_owned();
    let mut crumbs: Vec<(String, RemotePath)> = Vec::new();
    if let Ok(root) = "/".parse() {
        crumbs.push((texts::ALL_SPACES.to_owned(), root));
    }
    let mut end = 0;
    for name in path.split('/').skip(1).filter(|name| !name.is_empty()) {
        end += 1 + name.len();
        if let Ok(to) = path[..end].parse() {
            crumbs.push((name.to_owned(), to));
        }
    }
    let last = crumbs.len() - 1;
    let mut chosen = None;
    let room = (ui.available_width() - 210.0).max(120.0);
    // Of a long path the end is what matters.
    ScrollArea::horizontal().max_width(room).stick_to_right(true).show(ui, |ui| {
        for (at, (name, to)) in crumbs.into_iter().enumerate() {
            if at > 0 {
                ui.label(RichText::new(icons::CARET_RIGHT).weak().small());
            }
            let text = if at == last { RichText::new(&name).strong() } else { RichText::new(&name) };
            let crumb = eframe::egui::Button::new(text).frame_when_inactive(false);
            if ui.add(crumb).clicked() {
                chosen = Some(to);
            }
        }
    });
    if let Some(to) = chosen {
        model.go(to);
    }
}

fn filter(ui: &mut Ui, model: &mut Model, shown: &mut Shown) {
    let field = TextEdit::singleline(&mut model.browser.filter)
        .hint_text(widgets::labelled(icons::MAGNIFYING_GLASS, texts::FILTER))
        .desired_width(190.0);
    let response = ui.add(field);
    let value = model.browser.filter.clone();
    response.widget_info(|| {
        let mut info = eframe::egui::WidgetInfo::text_edit(true, value.clone(), value.clone(), texts::FILTER);
        info.label = Some(texts::FILTER.to_owned());
        info
    });
    if std::mem::take(&mut shown.focus_filter) {
        response.request_focus();
    }
    if response.has_focus() && ui.input(|input| input.key_pressed(eframe::egui::Key::Escape)) {
        model.browser.filter.clear();
        model.browser.refilter();
        response.surrender_focus();
    } else if response.changed() {
        model.browser.refilter();
    } else if response.lost_focus() && ui.input(|input| input.key_pressed(eframe::egui::Key::Enter)) {
        // What was looked for is found: the keyboard goes to it.
        model.browser.cursor = None;
        model.browser.step(1, false);
        model.describe();
    }
}
