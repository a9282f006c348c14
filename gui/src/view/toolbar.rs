//! Where one is, and what can be done there.

use eframe::egui::{
    Button, Key, Modifiers, RichText, ScrollArea, Ui, WidgetInfo, accesskit::Role,
    containers::menu::MenuButton,
};
use sealift_types::EntryPath;

use super::picker::Pick;
use super::view_state::ViewState;
use super::{log, widgets};
use crate::model::{Dialog, Model, Screen, ServerLink};
use crate::store::Look;
use crate::theme::{BUTTON, GAP};
use crate::{icons, texts, theme};

/// The distance between buttons that belong together.
const NEAR: f32 = GAP / 2.0;

pub(super) fn show(ui: &mut Ui, model: &mut Model, look: &mut Look, shown: &mut ViewState) {
    let browsing = model.screen == Screen::Browse;
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = NEAR;
        let details = browsing && super::has_room_for_details(ui.ctx());
        let toggles = (BUTTON + NEAR) * if details { 2.0 } else { 1.0 };
        let filter = if browsing { (ui.available_width() * 0.3).clamp(96.0, 220.0) + GAP } else { 0.0 };
        let end = ui.max_rect().right() - toggles - filter;
        if browsing {
            places(ui, model);
            ui.add_space(NEAR);
            breadcrumbs(ui, model, end - ui.cursor().left() - GAP);
        } else {
            if widgets::icon_button(ui, icons::ARROW_LEFT, texts::BACK_TO_FILES, true).clicked() {
                model.screen = Screen::Browse;
            }
            ui.add_space(NEAR);
            ui.label(theme::strong(texts::LOG).size(16.0));
        }
        ui.add_space((end - ui.cursor().left()).max(0.0));
        if browsing {
            self::filter(ui, model, shown, filter - GAP);
            ui.add_space(NEAR);
        }
        if details {
            widgets::icon_toggle(ui, icons::INFO, texts::DETAILS, &mut look.details);
        }
        widgets::icon_toggle(ui, icons::QUEUE, texts::TRANSFERS, &mut look.queue);
    });
    ui.horizontal(|ui| match browsing {
        true => actions(ui, model, shown),
        false => log::filters(ui, model),
    });
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

fn actions(ui: &mut Ui, model: &mut Model, shown: &mut ViewState) {
    let in_space = model.browser.path.as_str() != "/" && !matches!(model.link, ServerLink::Down(_));
    let some = model.browser.selected() > 0;
    ui.add_enabled_ui(in_space, |ui| {
        let button = Button::new(widgets::atoms(icons::UPLOAD_SIMPLE, texts::UPLOAD)).gap(GAP);
        let (response, _) = MenuButton::from_button(button).ui(ui, |ui| upload(ui, model, shown));
        response.widget_info(|| WidgetInfo::labeled(Role::Button, in_space, texts::UPLOAD));
    });
    if widgets::button(ui, icons::DOWNLOAD_SIMPLE, texts::DOWNLOAD, some && in_space).clicked() {
        model.ask_where_to_download();
    }
    if widgets::button(ui, icons::FOLDER_PLUS, texts::NEW_FOLDER, in_space).clicked() {
        model.dialog = Some(Dialog::NewFolder { name: String::new() });
    }
}

/// The ways to choose what is uploaded.
fn upload(ui: &mut Ui, model: &mut Model, shown: &mut ViewState) {
    widgets::menu(ui);
    if widgets::menu_item(ui, icons::FILE, texts::UPLOAD_FILES, None, true) {
        shown.picker.open(Pick::Files, model.target(), ui.ctx());
        ui.close();
    }
    if widgets::menu_item(ui, icons::FOLDER, texts::UPLOAD_FOLDER, None, true) {
        shown.picker.open(Pick::Folder, model.target(), ui.ctx());
        ui.close();
    }
    let keys = Some((Modifiers::COMMAND, Key::U));
    if widgets::menu_item(ui, icons::PENCIL_SIMPLE, texts::UPLOAD_PATH, keys, true) {
        model.dialog = Some(Dialog::UploadPath { path: String::new() });
        ui.close();
    }
}

fn breadcrumbs(ui: &mut Ui, model: &mut Model, room: f32) {
    let path = model.browser.path.as_str().to_owned();
    let mut crumbs: Vec<(String, EntryPath)> = Vec::new();
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
    // Of a long path the end is what matters.
    ScrollArea::horizontal().max_width(room.max(64.0)).stick_to_right(true).show(ui, |ui| {
        ui.spacing_mut().item_spacing.x = 0.0;
        ui.spacing_mut().button_padding.x = 6.0;
        for (at, (name, to)) in crumbs.into_iter().enumerate() {
            if at > 0 {
                ui.label(RichText::new(icons::CARET_RIGHT).weak().small());
            }
            let text = if at == last { theme::strong(&name) } else { RichText::new(&name).weak() };
            let crumb = Button::new(text).frame_when_inactive(false);
            if ui.add(crumb).clicked() {
                chosen = Some(to);
            }
        }
    });
    if let Some(to) = chosen {
        model.go(to);
    }
}

fn filter(ui: &mut Ui, model: &mut Model, shown: &mut ViewState, width: f32) {
    let response = widgets::filter(ui, &mut model.browser.filter, texts::FILTER, width);
    if std::mem::take(&mut shown.focus_filter) {
        response.request_focus();
    }
    if response.has_focus() && ui.input(|input| input.key_pressed(Key::Escape)) {
        model.browser.filter.clear();
        model.browser.refilter();
        response.surrender_focus();
    } else if response.changed() {
        model.browser.refilter();
    } else if response.lost_focus() && ui.input(|input| input.key_pressed(Key::Enter)) {
        // What was looked for is found: the keyboard goes to it.
        model.browser.cursor = None;
        model.browser.step(1, false);
        model.describe();
    }
}
