//! The transfer log.

use eframe::egui::{Align, ComboBox, Label, Layout, RichText, Ui, WidgetInfo, accesskit::Role};
use egui_extras::{Column, TableBuilder};
use sealift_protocol::message::{Direction, Transfer};
use sealift_transfer::figures;

use super::widgets;
use crate::model::Model;
use crate::theme::GAP;
use crate::{icons, texts, theme};

pub(super) fn show(ui: &mut Ui, model: &mut Model) {
    if let Some(trouble) = model.log.trouble.clone() {
        widgets::empty(ui, icons::WARNING_CIRCLE, texts::LOG, &texts::sentence(&trouble.message), |ui| {
            if widgets::primary(ui, texts::TRY_AGAIN, true).clicked() {
                model.reload_log();
            }
        });
        return;
    }
    let filter = model.log.filter.to_lowercase();
    let matches = |record: &&Transfer| {
        filter.is_empty()
            || record.path.as_str().to_lowercase().contains(&filter)
            || record.identity.as_str().contains(&filter)
    };
    let records: Vec<_> = model.log.records.iter().filter(matches).collect();
    if records.is_empty() {
        let text = if model.log.busy { texts::LOADING } else { texts::LOG_EMPTY };
        widgets::empty(ui, icons::CLOCK_COUNTER_CLOCKWISE, text, "", |_| {});
        return;
    }
    table(ui, &records);
}

/// Which records are wanted, in the tool bar.
pub(super) fn filters(ui: &mut Ui, model: &mut Model) {
    widgets::filter(
        ui,
        &mut model.log.filter,
        texts::FILTER,
        (ui.available_width() * 0.3).clamp(96.0, 220.0),
    );
    let before = (model.log.direction, model.log.failed);
    let name = |direction| match direction {
        None => texts::LOG_ALL,
        Some(Direction::Put) => texts::LOG_UP,
        Some(Direction::Get) => texts::LOG_DOWN,
    };
    let now = name(model.log.direction);
    let choice = ComboBox::from_id_salt("direction").selected_text(now).show_ui(ui, |ui| {
        for direction in [None, Some(Direction::Put), Some(Direction::Get)] {
            ui.selectable_value(&mut model.log.direction, direction, name(direction));
        }
    });
    choice.response.widget_info(|| {
        let mut info = WidgetInfo::labeled(Role::ComboBox, true, texts::LOG_DIRECTION);
        info.current_text_value = Some(now.to_owned());
        info
    });
    widgets::checkbox(ui, &mut model.log.failed, texts::LOG_FAILED);
    if (model.log.direction, model.log.failed) != before {
        model.reload_log();
    }
}

fn table(ui: &mut Ui, records: &[&Transfer]) {
    ui.spacing_mut().item_spacing.y = 0.0;
    let wide = ui.available_width() >= 640.0;
    TableBuilder::new(ui)
        .cell_layout(Layout::left_to_right(Align::Center))
        .column(Column::exact(24.0))
        .column(Column::exact(128.0))
        .column(Column::exact(if wide { 80.0 } else { 48.0 }).clip(true))
        .column(Column::remainder().at_least(80.0).clip(true))
        .column(Column::exact(64.0))
        .column(Column::exact(if wide { 184.0 } else { 64.0 }).clip(true))
        .auto_shrink(false)
        .min_scrolled_height(0.0)
        .header(theme::ROW, |mut header| {
            for name in [
                texts::LOG_DIRECTION,
                texts::LOG_WHEN,
                texts::LOG_WHO,
                texts::LOG_PATH,
                texts::COLUMN_SIZE,
                texts::LOG_RESULT,
            ] {
                header.col(|ui| {
                    if name == texts::LOG_RESULT {
                        ui.add_space(GAP);
                    }
                    // The column of the arrows is too narrow for its name.
                    let shown = if name == texts::LOG_DIRECTION { "" } else { name };
                    let label = Label::new(RichText::new(shown).small().weak());
                    let response = match name == texts::COLUMN_SIZE {
                        true => ui.with_layout(right(), |ui| ui.add(label)).inner,
                        false => ui.add(label),
                    };
                    response.widget_info(|| WidgetInfo::labeled(Role::ColumnHeader, true, name));
                });
            }
        })
        .body(|body| {
            body.rows(theme::ROW, records.len(), |mut row| {
                let record = records[row.index()];
                row.col(|ui| {
                    let up = record.direction == Direction::Put;
                    let (icon, tells) = match up {
                        true => (icons::UPLOAD_SIMPLE, texts::LOG_UP),
                        false => (icons::DOWNLOAD_SIMPLE, texts::LOG_DOWN),
                    };
                    ui.add_space(4.0);
                    let response = ui.label(RichText::new(icon).size(theme::ICON).weak());
                    response.widget_info(|| WidgetInfo::labeled(Role::Image, true, tells));
                    response.on_hover_text(tells);
                });
                row.col(|ui| {
                    ui.label(RichText::new(texts::minute(record.started)).weak());
                });
                row.col(|ui| {
                    ui.add(Label::new(record.identity.as_str()).truncate());
                });
                row.col(|ui| {
                    ui.add(Label::new(record.path.as_str()).truncate()).on_hover_text(record.path.as_str());
                });
                row.col(|ui| {
                    let size = RichText::new(figures::size(record.bytes)).weak();
                    ui.with_layout(right(), |ui| ui.label(size));
                });
                row.col(|ui| {
                    let (text, bad) = result(record);
                    let colour = if bad { ui.visuals().error_fg_color } else { theme::palette(ui).weak };
                    ui.add_space(GAP);
                    ui.add(Label::new(RichText::new(&text).color(colour)).truncate()).on_hover_text(&text);
                });
            });
        });
}

/// Numbers stand at the right.
fn right() -> Layout {
    Layout::right_to_left(Align::Center)
}

/// How it ended, and whether that is bad.
fn result(record: &Transfer) -> (String, bool) {
    match record.error {
        // The protocol's own word is what an administrator will look for.
        Some(code) => {
            let code = serde_json::to_value(code).ok().and_then(|code| code.as_str().map(str::to_owned));
            (code.unwrap_or_default(), true)
        }
        None if record.direction == Direction::Put && record.wire_bytes < record.bytes / 2 => {
            (texts::HAD.to_owned(), false)
        }
        None => (texts::took(record.duration_us), false),
    }
}
