//! What is known of the entry that the cursor is on.

use std::sync::Arc;

use eframe::egui::{ColorImage, Grid, Label, RichText, ScrollArea, TextureHandle, TextureOptions, Ui, Vec2};
use sealift_protocol::message::Description;
use sealift_transfer::figures;

use super::{Shown, widgets};
use crate::engine::Preview;
use crate::model::Model;
use crate::theme::GAP;
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

pub(super) fn show(ui: &mut Ui, model: &mut Model, shown: &mut Shown) {
    let details = &model.details;
    let Some(path) = &details.path else {
        ui.label(RichText::new(texts::NO_SELECTION).weak());
        return;
    };
    ScrollArea::vertical().auto_shrink(false).show(ui, |ui| match &details.description {
        None => {
            ui.label(RichText::new(path.file_name().unwrap_or_default()).strong());
            ui.label(RichText::new(texts::LOADING).weak());
        }
        Some(Err(trouble)) => {
            ui.label(RichText::new(path.file_name().unwrap_or_default()).strong());
            ui.colored_label(ui.visuals().error_fg_color, &trouble.message);
        }
        Some(Ok(description)) => {
            describe(ui, description);
            ui.add_space(GAP);
            preview(ui, details.preview.as_ref(), description, shown);
        }
    });
}

fn describe(ui: &mut Ui, description: &Description) {
    let name = description.path.file_name().unwrap_or_default();
    ui.horizontal(|ui| {
        let icon = RichText::new(widgets::entry_icon(description.kind, name)).size(26.0);
        ui.label(icon.color(theme::accent(ui.visuals())));
        ui.add(Label::new(RichText::new(name).strong().size(15.0)).wrap().selectable(true));
    });
    ui.add_space(4.0);
    // Facts are read, not clicked on.
    ui.spacing_mut().interact_size.y = 18.0;
    Grid::new("facts").num_columns(2).spacing(Vec2::new(12.0, 4.0)).show(ui, |ui| {
        let mut fact = |name: &str, value: &str| {
            ui.label(RichText::new(name).small().weak());
            ui.add(Label::new(RichText::new(value).small()).selectable(true).wrap());
            ui.end_row();
        };
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
        ui.add_space(4.0);
        ui.horizontal(|ui| {
            ui.label(RichText::new(texts::DIGEST).small().weak());
            if widgets::icon_button(ui, icons::COPY, texts::COPY_DIGEST, true).clicked() {
                ui.ctx().copy_text(digest.to_string());
            }
        });
        ui.add(Label::new(RichText::new(digest.to_string()).monospace().size(11.0)).wrap().selectable(true));
    }
}

fn preview(ui: &mut Ui, preview: Option<&Preview>, description: &Description, shown: &mut Shown) {
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
