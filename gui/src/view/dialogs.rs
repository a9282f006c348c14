//! What is asked before something is done.

use std::path::PathBuf;

use eframe::egui::text::{CCursor, CCursorRange};
use eframe::egui::text_edit::TextEditState;
use eframe::egui::{
    Align, Align2, Button, Context, Frame, Grid, Id, Key, Label, Layout, Modal, Modifiers, Response,
    RichText, TextEdit, Ui, UiKind, Vec2,
};
use sealift_types::path::name_key;

use super::picker::Pick;
use super::view_state::ViewState;
use super::widgets;
use crate::model::browser::Browser;
use crate::model::conflict::{Choice, Conflict};
use crate::model::{Dialog, Model};
use crate::theme::GAP;
use crate::{icons, texts, theme};

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

pub(super) fn show(window: &Context, model: &mut Model, shown: &mut ViewState) {
    if model.dialog.is_none() {
        shown.dialog_open = false;
    }
    if let Some(mut dialog) = model.dialog.take() {
        let first = !std::mem::replace(&mut shown.dialog_open, true);
        let taken = is_taken(&dialog, &model.browser);
        let response = modal(window, "dialog").show(window, |ui| {
            width(ui);
            ask(ui, &mut dialog, first, taken, shown)
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

/// Whether the name that is typed is that of something in the directory.
fn is_taken(dialog: &Dialog, browser: &Browser) -> bool {
    match dialog {
        Dialog::NewFolder { name } => browser.has(name.trim()),
        Dialog::Rename { path, name, .. } => {
            let name = name.trim();
            let is_its_own = path.file_name().is_some_and(|own| name_key(own) == name_key(name));
            !is_its_own && browser.has(name)
        }
        _ => false,
    }
}

/// What is asked, in a few words.
fn heading(dialog: &Dialog) -> String {
    match dialog {
        Dialog::NewFolder { .. } => texts::NEW_FOLDER.to_owned(),
        Dialog::Rename { path, .. } => texts::rename_title(path.file_name().unwrap_or_default()),
        Dialog::Transplant { paths, copy, .. } => texts::transplant_title(paths.len(), *copy),
        Dialog::Delete { paths, .. } => texts::delete_title(paths),
        Dialog::RenameServer { profile, .. } => texts::rename_title(profile.as_str()),
        Dialog::RemoveServer { profile, .. } => texts::remove_server_title(profile.as_str()),
        Dialog::UploadPath { .. } => texts::UPLOAD.to_owned(),
        Dialog::DownloadTo { entries, .. } => texts::download_title(entries.len()),
    }
}

fn ask(ui: &mut Ui, dialog: &mut Dialog, first: bool, taken: bool, shown: &mut ViewState) -> Left {
    let heading = heading(dialog);
    let head = |ui: &mut Ui, icon: &str| title(ui, icon, &heading);
    match dialog {
        Dialog::NewFolder { name } => {
            head(ui, icons::FOLDER_PLUS);
            let entered = field(ui, texts::FOLDER_NAME, name, begins(first), 0.0);
            hint(ui, name, taken);
            buttons(ui, texts::CREATE, !name.trim().is_empty() && !taken, entered)
        }
        Dialog::Rename { name, is_folder, .. } => {
            head(ui, icons::PENCIL_SIMPLE);
            // Most people keep the extension.
            let begins =
                first.then_some(Caret::Before(if *is_folder { name.len() } else { stem(name).len() }));
            let entered = field(ui, texts::NEW_NAME, name, begins, 0.0);
            hint(ui, name, taken);
            buttons(ui, texts::DO_RENAME, !name.trim().is_empty(), entered)
        }
        Dialog::Transplant { to, copy, .. } => {
            head(ui, if *copy { icons::COPY } else { icons::ARROWS_LEFT_RIGHT });
            let entered = field(ui, texts::TARGET_FOLDER, to, begins(first), 0.0);
            buttons(ui, if *copy { texts::DO_COPY } else { texts::DO_MOVE }, !to.trim().is_empty(), entered)
        }
        Dialog::Delete { folders, .. } => {
            head(ui, icons::TRASH);
            ui.label(texts::DELETE_FOREVER);
            if *folders {
                ui.label(texts::DELETE_FOLDERS);
            }
            destroy(ui, texts::DO_DELETE, first)
        }
        Dialog::RenameServer { name, .. } => {
            head(ui, icons::PENCIL_SIMPLE);
            let entered = field(ui, texts::SERVER_NAME, name, begins(first), 0.0);
            buttons(ui, texts::DO_RENAME, !name.trim().is_empty(), entered)
        }
        Dialog::RemoveServer { transfers, .. } => {
            head(ui, icons::TRASH);
            ui.label(texts::REMOVE_SERVER_LEAD);
            if *transfers > 0 {
                ui.label(texts::transfers_go(*transfers));
            }
            destroy(ui, texts::DO_REMOVE, first)
        }
        Dialog::UploadPath { path } => {
            head(ui, icons::UPLOAD_SIMPLE);
            let entered = field(ui, texts::LOCAL_PATH, path, begins(first), 0.0);
            buttons(ui, texts::UPLOAD, !path.trim().is_empty(), entered)
        }
        Dialog::DownloadTo { to, .. } => {
            head(ui, icons::DOWNLOAD_SIMPLE);
            let entered = ui
                .horizontal(|ui| {
                    let entered =
                        ui.vertical(|ui| field(ui, texts::LOCAL_FOLDER, to, begins(first), 96.0 + GAP)).inner;
                    ui.with_layout(Layout::bottom_up(Align::Max), |ui| {
                        if ui.add(Button::new(texts::BROWSE).min_size(Vec2::new(96.0, 0.0))).clicked() {
                            shown.picker.open(Pick::Target, None, ui.ctx());
                        }
                    });
                    entered
                })
                .inner;
            buttons(ui, texts::DOWNLOAD, !to.trim().is_empty(), entered)
        }
    }
}

fn carry_out(model: &mut Model, dialog: Dialog) {
    match dialog {
        Dialog::NewFolder { name } => model.make_folder(&name),
        Dialog::Rename { path, name, .. } => model.rename(path, name.trim()),
        Dialog::Transplant { paths, to, copy } => model.transplant(paths, &to, copy),
        Dialog::Delete { paths, .. } => model.delete(paths),
        Dialog::RenameServer { profile, name } => model.rename_server(profile, &name),
        Dialog::RemoveServer { profile, .. } => model.remove_server(profile),
        Dialog::UploadPath { path } => model.upload(vec![local(&path)]),
        Dialog::DownloadTo { profile, entries, to, chosen, instead } => {
            let to = if to == chosen.display().to_string() { chosen } else { local(&to) };
            model.download(profile, entries, to, instead);
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

fn conflict(window: &Context, model: &mut Model, shown: &mut ViewState) {
    let Some(conflict) = model.conflicts.current().cloned() else { return };
    let (name, merges, further) = (conflict.name(), conflict.merges(), model.conflicts.further());
    let response = modal(window, "conflict").show(window, |ui| {
        width(ui);
        title(ui, icons::WARNING, &texts::conflict(&name));
        both(ui, &conflict);
        ui.add_space(4.0);
        ui.label(texts::conflict_lead(&conflict));
        if further > 0 {
            ui.add_space(GAP);
            widgets::checkbox(ui, &mut shown.for_all, &texts::apply_to_all(further));
        }
        ui.add_space(2.0 * GAP);
        row(ui, |ui| {
            let mut choice = None;
            // From right to left: what cannot do any harm is the one that stands out.
            if widgets::primary(ui, texts::KEEP_BOTH, true).clicked() {
                choice = Some(Choice::KeepBoth);
            }
            let replace = Button::new(if merges { texts::MERGE } else { texts::REPLACE });
            if ui.add_enabled(conflict.can_replace(), replace).clicked() {
                choice = Some(Choice::Replace);
            }
            if ui.button(texts::SKIP).clicked() {
                choice = Some(Choice::Skip);
            }
            choice
        })
    });
    // A click beside it decides nothing.
    let escaped =
        response.is_top_modal && window.input_mut(|input| input.consume_key(Modifiers::NONE, Key::Escape));
    let choice = if escaped { Some(Choice::Skip) } else { response.inner };
    if let Some(choice) = choice {
        let all = shown.for_all && further > 0;
        model.decide(choice, all);
        if model.conflicts.current().is_none() {
            shown.for_all = false;
        }
    }
}

/// What is known of the two that want the same name, one below the other.
fn both(ui: &mut Ui, conflict: &Conflict) {
    Grid::new("both").num_columns(2).spacing(Vec2::new(12.0, 4.0)).show(ui, |ui| {
        for (name, facts) in [(texts::THERE, &conflict.there), (texts::NEW, &conflict.new)] {
            ui.label(RichText::new(name).weak());
            ui.label(texts::facts(facts));
            ui.end_row();
        }
    });
}

/// A dialog over everything else.
fn modal(window: &Context, id: &str) -> Modal {
    Modal::new(Id::unique(id)).frame(Frame::window(&window.global_style()))
}

/// As wide as is good to read, or as there is room.
fn width(ui: &mut Ui) {
    let window = ui.ctx().content_rect().width();
    ui.set_width((window - 80.0).clamp(200.0, 420.0));
}

/// The heading, by which screen readers know the dialog, too.
fn title(ui: &mut Ui, icon: &str, text: &str) {
    if let Some(dialog) = ui.stack().iter().find(|above| above.kind() == Some(UiKind::Modal)) {
        ui.ctx().accesskit_node_builder(dialog.unique_id, |node| {
            node.set_modal();
            node.set_label(text);
        });
    }
    ui.horizontal_top(|ui| {
        ui.label(RichText::new(icon).size(20.0).color(theme::palette(ui).accent));
        ui.add(Label::new(theme::strong(text).size(16.0)).wrap());
    });
    ui.add_space(4.0);
}

/// Where the caret of a field is when its dialog opens.
#[derive(Debug, Clone, Copy)]
enum Caret {
    /// Behind the text.
    End,
    /// Behind so many bytes, which are selected.
    Before(usize),
}

fn begins(first: bool) -> Option<Caret> {
    first.then_some(Caret::End)
}

/// A name without its extension.
fn stem(name: &str) -> &str {
    name.rsplit_once('.').map(|(stem, _)| stem).filter(|stem| !stem.is_empty()).unwrap_or(name)
}

/// Says that a name is taken. Its line is always there, so that nothing moves.
fn hint(ui: &mut Ui, name: &str, taken: bool) {
    let text = if taken { texts::conflict(name.trim()) } else { String::new() };
    ui.label(RichText::new(text).small().color(ui.visuals().warn_fg_color));
}

/// A field with its label, and some room left at its end; whether Enter was pressed in it.
fn field(ui: &mut Ui, label: &str, text: &mut String, begins: Option<Caret>, end: f32) -> bool {
    ui.spacing_mut().item_spacing.y = 4.0;
    let label = ui.label(RichText::new(label).weak());
    let width = ui.available_width() - end;
    let field = ui
        .scope(|ui| {
            theme::frame_fields(ui);
            ui.add(TextEdit::singleline(text).desired_width(width).align(Align2::LEFT_CENTER))
        })
        .inner
        .labelled_by(label.id);
    if let Some(caret) = begins {
        // The field is the same one each time a dialog opens, and remembers where its caret was.
        let (from, to) = match caret {
            Caret::End => (text.len(), text.len()),
            Caret::Before(end) => (0, end),
        };
        let at = |bytes: usize| CCursor::new(text[..bytes].chars().count());
        let mut state = TextEditState::default();
        state.cursor.set_char_range(Some(CCursorRange::two(at(from), at(to))));
        state.store(ui.ctx(), field.id);
        field.request_focus();
    }
    field.lost_focus() && ui.input(|input| input.key_pressed(Key::Enter))
}

fn buttons(ui: &mut Ui, does: &str, enabled: bool, entered: bool) -> Left {
    ui.add_space(2.0 * GAP);
    row(ui, |ui| {
        let done = widgets::primary(ui, does, enabled).clicked() || (entered && enabled);
        left(done, cancel(ui).clicked())
    })
}

fn cancel(ui: &mut Ui) -> Response {
    ui.add(Button::new(texts::CANCEL).min_size(Vec2::new(88.0, 0.0)))
}

fn left(done: bool, cancelled: bool) -> Left {
    match (done, cancelled) {
        (true, _) => Left::Done,
        (_, true) => Left::Cancelled,
        _ => Left::Open,
    }
}

/// The buttons where what is done cannot be undone.
fn destroy(ui: &mut Ui, does: &str, first: bool) -> Left {
    ui.add_space(2.0 * GAP);
    row(ui, |ui| {
        let destroyed = widgets::destructive(ui, does).clicked();
        let cancel = cancel(ui);
        // Enter destroys nothing before somebody has gone to the button.
        if first {
            cancel.request_focus();
        }
        left(destroyed, cancel.clicked())
    })
}

/// Buttons at the right end of a row.
fn row<T>(ui: &mut Ui, add: impl FnOnce(&mut Ui) -> T) -> T {
    ui.with_layout(Layout::right_to_left(Align::Center), add).inner
}
