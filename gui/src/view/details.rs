//! What is known of the entry that the cursor is on.

use std::sync::Arc;

use eframe::egui::{ColorImage, Grid, Label, RichText, ScrollArea, TextureHandle, TextureOptions, Ui, Vec2};
use sealift_protocol::message::Description;
use sealift_transfer::figures;

use super::view_state::ViewState;
use super::widgets;
use crate::engine::Preview;
use crate::model::Model;
use crate::model::browser::{Browser, is_place};
use crate::theme::{BUTTON, GAP};
use crate::{icons, texts, theme};

/// The picture of a preview, where the screen can use it.
pub(super) struct Picture {
    pixels: Arc<[u8]>,
    texture: TextureHandle,
}

impl std::fmt::Debug for Picture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Picture")
    }
}

pub(super) fn show(ui: &mut Ui, model: &mut Model, shown: &mut ViewState) {
    // A panel is as wide as what is in it.
    ui.take_available_width();
    if model.browser.selected() > 1 {
        several(ui, &model.browser);
        return;
    }
    let details = &model.details;
    let Some(path) = &details.path else {
        ui.centered_and_justified(|ui| ui.add(Label::new(RichText::new(texts::NO_SELECTION).weak()).wrap()));
        return;
    };
    ScrollArea::vertical().auto_shrink(false).show(ui, |ui| match &details.description {
        None => {
            ui.add(Label::new(theme::strong(path.file_name().unwrap_or_default())).truncate());
            ui.label(RichText::new(texts::LOADING).weak());
        }
        Some(Err(trouble)) => {
            ui.add(Label::new(theme::strong(path.file_name().unwrap_or_default())).truncate());
            let text = RichText::new(texts::sentence(&trouble.message)).color(ui.visuals().error_fg_color);
            ui.add(Label::new(text).wrap());
        }
        Some(Ok(description)) => {
            describe(ui, description);
            ui.add_space(GAP);
            preview(ui, details.preview.as_ref(), description, shown);
        }
    });
}

/// What is selected, all together.
fn several(ui: &mut Ui, browser: &Browser) {
    let (mut files, mut folders, mut bytes) = (0, 0, 0);
    for entry in browser.selection() {
        if is_place(entry) {
            folders += 1;
        } else {
            (files, bytes) = (files + 1, bytes + entry.size);
        }
    }
    title(ui, icons::STACK, &texts::several(files + folders));
    facts(ui, |fact| {
        if folders > 0 {
            fact(texts::FOLDERS, &texts::thousands(folders));
        }
        if files > 0 {
            fact(texts::FILES, &texts::thousands(files));
            fact(texts::COLUMN_SIZE, &figures::size(bytes));
        }
    });
}

fn title(ui: &mut Ui, icon: &str, text: &str) {
    ui.horizontal(|ui| {
        ui.label(RichText::new(icon).size(24.0).color(theme::palette(ui).accent));
        ui.add(Label::new(theme::strong(text).size(15.0)).wrap().selectable(true));
    });
    ui.add_space(4.0);
}

/// Facts with their names before them.
fn facts(ui: &mut Ui, add: impl FnOnce(&mut dyn FnMut(&str, &str))) {
    // Facts are read, not clicked on.
    ui.spacing_mut().interact_size.y = 16.0;
    let room = (ui.available_width() - NAMES - 12.0).max(64.0);
    Grid::new("facts").num_columns(2).min_col_width(NAMES).spacing(Vec2::new(12.0, 6.0)).show(ui, |ui| {
        add(&mut |name, value| {
            // Of a value of several lines the first one stands beside its name.
            ui.vertical(|ui| ui.label(RichText::new(name).small().weak()));
            ui.vertical(|ui| {
                ui.set_max_width(room);
                ui.add(Label::new(RichText::new(value).small()).selectable(true).wrap());
            });
            ui.end_row();
        });
    });
}

/// The width of the names of facts.
const NAMES: f32 = 88.0;

fn describe(ui: &mut Ui, description: &Description) {
    let name = description.path.file_name().unwrap_or_default();
    title(ui, widgets::entry_icon(description.kind, name), name);
    facts(ui, |fact| {
        fact(texts::KIND, texts::kind(description.kind));
        if let Some(size) = description.size {
            fact(texts::COLUMN_SIZE, &figures::size(size));
        }
        fact(texts::COLUMN_MODIFIED, &texts::minute(description.mtime));
        fact(texts::STORED, &texts::minute(description.stored_at));
        if let Some(by) = &description.by {
            fact(texts::STORED_BY, by.as_str());
        }
        if let Some(bytes) = description.stored_bytes {
            fact(texts::STORED_BYTES, &figures::size(bytes));
        }
        if let Some(target) = &description.target {
            fact(texts::TARGET, target);
        }
    });
    if let Some(digest) = description.sha256 {
        digest_of(ui, &digest.to_string());
    }
}

fn digest_of(ui: &mut Ui, digest: &str) {
    ui.add_space(4.0);
    ui.label(RichText::new(texts::DIGEST).small().weak());
    ui.add_space(-4.0);
    ui.horizontal(|ui| {
        let room = ui.available_width() - BUTTON - GAP;
        ui.scope(|ui| {
            ui.set_width(room);
            ui.add(Label::new(RichText::new(digest).monospace().size(11.0)).wrap().selectable(true));
        });
        if widgets::icon_button(ui, icons::COPY, texts::COPY_DIGEST, true).clicked() {
            ui.ctx().copy_text(digest.to_owned());
        }
    });
}

fn preview(ui: &mut Ui, preview: Option<&Preview>, description: &Description, shown: &mut ViewState) {
    if description.size.is_none() {
        return;
    }
    ui.separator();
    match preview {
        None => {
            ui.label(RichText::new(texts::LOADING).small().weak());
        }
        Some(Preview::Nothing) => {
            ui.label(RichText::new(texts::NO_PREVIEW).small().weak());
        }
        Some(Preview::Text(text)) => {
            ui.add(Label::new(RichText::new(&**text).monospace().size(11.5)).wrap().selectable(true));
        }
        Some(Preview::Image { size, pixels }) => {
            if shown.preview.as_ref().is_none_or(|picture| !Arc::ptr_eq(&picture.pixels, pixels)) {
                let image = ColorImage::from_rgba_unmultiplied(*size, pixels);
                let texture = ui.ctx().load_texture("preview", image, TextureOptions::LINEAR);
                shown.preview = Some(Picture { pixels: pixels.clone(), texture });
            }
            if let Some(picture) = &shown.preview {
                let width = ui.available_width().min(picture.texture.size_vec2().x);
                let image = eframe::egui::Image::new(&picture.texture).max_width(width).corner_radius(6);
                ui.add(image.alt_text(description.path.file_name().unwrap_or_default()));
            }
        }
    }
}
