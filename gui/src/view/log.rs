//! The transfer log.

use eframe::egui::{Align, ComboBox, Label, Layout, RichText, TextEdit, Ui};
use egui_extras::{Column, TableBuilder};
use sealift_protocol::message::{Direction, Transfer};
use sealift_transfer::figures;

use super::widgets;
use crate::model::Model;
use crate::{icons, texts, theme};

pub(super) fn show(ui: &mut Ui, model: &mut Model) {
    filters(ui, model);
    if let Some(trouble) = model.log.trouble.clone() {
        widgets::empty(ui, icons::WARNING_CIRCLE, texts::LOG, &trouble.message, |ui| {
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

fn filters(ui: &mut Ui, model: &mut Model) {
    ui.horizontal(|ui| {
        let field = TextEdit::singleline(&mut model.log.filter)
            .hint_text(widgets::labelled(icons::MAGNIFYING_GLASS, texts::FILTER))
            .desired_width(240.0);
        ui.add(field);
        let before = (model.log.direction, model.log.failed);
        let name = |direction| match direction {
            None => texts::LOG_ALL,
            Some(Direction::Put) => texts::LOG_UP,
            Some(Direction::Get) => texts::LOG_DOWN,
        };
        ComboBox::from_id_salt("direction").selected_text(name(model.log.direction)).show_ui(ui, |ui| {
            for direction in [None, Some(Direction::Put), Some(Direction::Get)] {
                ui.selectable_value(&mut model.log.direction, direction, name(direction));
            }
        });
        ui.checkbox(&mut model.log.failed, texts::LOG_FAILED);
        if (model.log.direction, model.log.failed) != before {
            model.reload_log();
        }
    });
}

fn table(ui: &mut Ui, records: &[&Transfer]) {
    TableBuilder::new(ui)
        .cell_layout(Layout::left_to_right(Align::Center))
        .column(Column::exact(24.0))
        .column(Column::exact(135.0))
        .column(Column::exact(90.0).clip(true))
        .column(Column::remainder().at_least(160.0).clip(true))
        .column(Column::exact(90.0))
        .column(Column::exact(190.0).clip(true))
        .auto_shrink(false)
        .header(theme::ROW, |mut header| {
            for name in
                ["", texts::LOG_WHEN, texts::LOG_WHO, texts::LOG_PATH, texts::COLUMN_SIZE, texts::LOG_RESULT]
            {
                header.col(|ui| {
                    ui.label(RichText::new(name).small().weak());
                });
            }
        })
        .body(|body| {
            body.rows(theme::ROW, records.len(), |mut row| {
                let record = records[row.index()];
                row.col(|ui| {
                    let up = record.direction == Direction::Put;
                    ui.label(
                        RichText::new(if up { icons::UPLOAD_SIMPLE } else { icons::DOWNLOAD_SIMPLE }).weak(),
                    );
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
                    ui.label(RichText::new(figures::size(record.bytes)).weak());
                });
                row.col(|ui| match result(record) {
                    (text, false) => {
                        ui.label(RichText::new(text).weak());
                    }
                    (text, true) => {
                        ui.colored_label(ui.visuals().error_fg_color, text);
                    }
                });
            });
        });
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
