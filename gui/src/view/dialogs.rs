//! What is asked before something is done.

use std::path::PathBuf;

use eframe::egui::{Align, Context, Id, Key, Label, Layout, Modal, RichText, TextEdit, Ui};

use super::picker::Pick;
use super::{Shown, widgets};
use crate::model::conflict::Choice;
use crate::model::{Dialog, Model};
use crate::theme::GAP;
use crate::{icons, texts};

/// How a dialog was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    /// It is still there.
    Open,
    /// What it asks for is to be done.
    Done,
    /// It is not.
    Cancelled,
}

pub(super) fn show(window: &Context, model: &mut Model, shown: &mut Shown) {
    if model.dialog.is_none() {
        shown.dialog_open = false;
    }
    if let Some(mut dialog) = model.dialog.take() {
        let first = !std::mem::replace(&mut shown.dialog_open, true);
        let response = Modal::new(Id::unique("dialog")).show(window, |ui| {
            ui.set_width(420.0);
            ask(ui, &mut dialog, first, shown)
        });
        let left = if response.should_close() { Left::Cancelled } else { response.inner };
        match left {
            Left::Open => model.dialog = Some(dialog),
            Left::Cancelled => {}
            Left::Done => carry_out(model, dialog),
        }
    } else if model.conflicts.current().is_some() {
        conflict(window, model, shown);
    }
}

fn ask(ui: &mut Ui, dialog: &mut Dialog, first: bool, shown: &mut Shown) -> Left {
    match dialog {
        Dialog::NewFolder { name } => {
            title(ui, icons::FOLDER_PLUS, texts::NEW_FOLDER);
            let entered = field(ui, texts::FOLDER_NAME, name, first);
            buttons(ui, texts::CREATE, !name.trim().is_empty(), entered)
        }
        Dialog::Rename { path, name } => {
            title(ui, icons::PENCIL_SIMPLE, path.file_name().unwrap_or_default());
            let entered = field(ui, texts::NEW_NAME, name, first);
            buttons(ui, texts::DO_RENAME, !name.trim().is_empty(), entered)
        }
        Dialog::Transplant { paths, to, copy } => {
            let icon = if *copy { icons::COPY } else { icons::ARROWS_LEFT_RIGHT };
            title(ui, icon, &texts::transplant_title(paths.len(), *copy));
            let entered = field(ui, texts::TARGET_FOLDER, to, first);
            buttons(ui, if *copy { texts::DO_COPY } else { texts::DO_MOVE }, !to.trim().is_empty(), entered)
        }
        Dialog::Delete { paths, folders } => {
            title(ui, icons::TRASH, &texts::delete_title(paths));
            ui.label(texts::DELETE_FOREVER);
            if *folders {
                ui.label(texts::DELETE_FOLDERS);
            }
            destroy(ui, texts::DO_DELETE)
        }
        Dialog::RenameServer { profile, name } => {
            title(ui, icons::PENCIL_SIMPLE, profile.as_str());
            let entered = field(ui, texts::SERVER_NAME, name, first);
            buttons(ui, texts::DO_RENAME, !name.trim().is_empty(), entered)
        }
        Dialog::RemoveServer { profile, transfers } => {
            title(ui, icons::TRASH, &texts::remove_server_title(profile.as_str()));
            ui.label(texts::REMOVE_SERVER_LEAD);
            if *transfers > 0 {
                ui.label(texts::transfers_go(*transfers));
            }
            destroy(ui, texts::DO_REMOVE)
        }
        Dialog::UploadPath { path } => {
            title(ui, icons::UPLOAD_SIMPLE, texts::UPLOAD);
            let entered = field(ui, texts::LOCAL_PATH, path, first);
            buttons(ui, texts::UPLOAD, !path.trim().is_empty(), entered)
        }
        Dialog::DownloadTo { entries, to, .. } => {
            title(ui, icons::DOWNLOAD_SIMPLE, &texts::download_title(entries.len()));
            let entered = field(ui, texts::LOCAL_FOLDER, to, first);
            if ui.button(texts::BROWSE).clicked() {
                shown.picker.open(Pick::Target, ui.ctx());
            }
            buttons(ui, texts::DOWNLOAD, !to.trim().is_empty(), entered)
        }
    }
}

fn carry_out(model: &mut Model, dialog: Dialog) {
    match dialog {
        Dialog::NewFolder { name } => model.make_folder(&name),
        Dialog::Rename { path, name } => model.rename(path, name.trim()),
        Dialog::Transplant { paths, to, copy } => model.transplant(paths, &to, copy),
        Dialog::Delete { paths, .. } => model.delete(paths),
        Dialog::RenameServer { profile, name } => model.rename_server(profile, &name),
        Dialog::RemoveServer { profile, .. } => model.remove_server(profile),
        Dialog::UploadPath { path } => model.upload(vec![local(&path)]),
        Dialog::DownloadTo { entries, to, chosen, instead } => {
            if let Some(id) = instead {
                model.with_queue(|queue| queue.remove(id));
            }
            let to = if to == chosen.display().to_string() { chosen } else { local(&to) };
            model.download(entries, to);
        }
    }
}

/// A path as people type it.
fn local(text: &str) -> PathBuf {
    let text = text.trim();
    let home = directories::UserDirs::new().map(|user| user.home_dir().to_owned());
    match (text.strip_prefix("~/"), home) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => PathBuf::from(text),
    }
}

fn conflict(window: &Context, model: &mut Model, shown: &mut Shown) {
    let Some(spec) = model.conflicts.current() else { return };
    let (name, tree, further) = (spec.name().to_owned(), spec.tree, model.conflicts.further());
    let response = Modal::new(Id::unique("conflict")).show(window, |ui| {
        ui.set_width(420.0);
        title(ui, icons::WARNING, &texts::conflict(&name));
        ui.label(texts::conflict_lead(tree));
        if further > 0 {
            ui.checkbox(&mut shown.for_all, texts::apply_to_all(further));
        }
        ui.add_space(GAP);
        row(ui, |ui| {
            let mut choice = None;
            // From right to left: what cannot do any harm is the one that stands out.
            if widgets::primary(ui, texts::KEEP_BOTH, true).clicked() {
                choice = Some(Choice::KeepBoth);
            }
            if ui.button(if tree { texts::MERGE } else { texts::REPLACE }).clicked() {
                choice = Some(Choice::Replace);
            }
            if ui.button(texts::SKIP).clicked() {
                choice = Some(Choice::Skip);
            }
            choice
        })
    });
    let choice = if response.should_close() { Some(Choice::Skip) } else { response.inner };
    if let Some(choice) = choice {
        let all = shown.for_all && further > 0;
        model.decide(choice, all);
        if model.conflicts.current().is_none() {
            shown.for_all = false;
        }
    }
}

fn title(ui: &mut Ui, icon: &str, text: &str) {
    ui.horizontal(|ui| {
        ui.label(RichText::new(icon).size(20.0));
        ui.add(Label::new(RichText::new(text).strong().size(16.0)).wrap());
    });
    ui.add_space(4.0);
}

/// A field with its label; whether Enter was pressed in it.
fn field(ui: &mut Ui, label: &str, text: &mut String, first: bool) -> bool {
    let label = ui.label(RichText::new(label).weak());
    let field = ui.add(TextEdit::singleline(text).desired_width(f32::INFINITY)).labelled_by(label.id);
    if first {
        field.request_focus();
    }
    field.lost_focus() && ui.input(|input| input.key_pressed(Key::Enter))
}

fn buttons(ui: &mut Ui, does: &str, enabled: bool, entered: bool) -> Left {
    ui.add_space(GAP);
    row(ui, |ui| {
        let done = widgets::primary(ui, does, enabled).clicked() || (entered && enabled);
        match (done, ui.button(texts::CANCEL).clicked()) {
            (true, _) => Left::Done,
            (_, true) => Left::Cancelled,
            _ => Left::Open,
        }
    })
}

/// The buttons where what is done cannot be undone.
fn destroy(ui: &mut Ui, does: &str) -> Left {
    ui.add_space(GAP);
    row(ui, |ui| match (widgets::destructive(ui, does).clicked(), ui.button(texts::CANCEL).clicked()) {
        (true, _) => Left::Done,
        (_, true) => Left::Cancelled,
        _ => Left::Open,
    })
}

/// Buttons at the right end of a row.
fn row<T>(ui: &mut Ui, add: impl FnOnce(&mut Ui) -> T) -> T {
    ui.with_layout(Layout::right_to_left(Align::Center), add).inner
}
