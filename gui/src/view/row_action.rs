//! Actions on the rows of the table, by mouse and by keyboard.

use eframe::egui::{Modifiers, Ui};

use super::focus;
use crate::model::browser::is_place;
use crate::model::{Dialog, Model};

/// What is to be done about the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RowAction {
    Open(usize),
    Select(usize, Modifiers),
    SelectFor(usize),
    Download,
    Rename,
    Transplant(bool),
    CopyPath,
    Delete,
}

/// Does it.
pub(super) fn perform(ui: &Ui, model: &mut Model, act: RowAction) {
    match act {
        RowAction::Open(row) => {
            model.browser.select(row, false, false);
            focus::to_table(ui);
            model.open_row(row);
        }
        RowAction::Select(row, modifiers) => {
            model.browser.select(row, modifiers.command, modifiers.shift);
            focus::to_table(ui);
            model.describe();
        }
        RowAction::SelectFor(row) => {
            model.browser.select(row, false, false);
            model.describe();
        }
        RowAction::Download => model.ask_where_to_download(),
        RowAction::Rename => {
            if let [(path, entry)] = &model.selected()[..] {
                let (path, name) = (path.clone(), entry.name.clone());
                model.dialog = Some(Dialog::Rename { path, is_folder: is_place(entry), name });
            }
        }
        RowAction::Transplant(copy) => {
            let paths: Vec<_> = model.selected().into_iter().map(|(path, _)| path).collect();
            if !paths.is_empty() {
                let to = model.browser.path.as_str().to_owned();
                model.dialog = Some(Dialog::Transplant { paths, to, copy });
            }
        }
        RowAction::CopyPath => {
            let paths: Vec<_> = model.selected().into_iter().map(|(path, _)| path.to_string()).collect();
            ui.ctx().copy_text(paths.join("\n"));
        }
        RowAction::Delete => {
            let selected = model.selected();
            let folders = selected.iter().any(|(_, entry)| is_place(entry));
            let paths: Vec<_> = selected.into_iter().map(|(path, _)| path).collect();
            if !paths.is_empty() && model.browser.path.as_str() != "/" {
                model.dialog = Some(Dialog::Delete { paths, folders });
            }
        }
    }
}
