//! The directory as a table, of which only the rows are drawn that are seen.

use eframe::egui::{
    Align, Event, Key, Label, Layout, Modifiers, Response, RichText, Sense, Ui, WidgetInfo, accesskit::Role,
};
use egui_extras::{Column, TableBuilder, TableRow};
use sealift_protocol::message::{Entry, EntryKind};
use sealift_transfer::{Mend, figures};

use super::{Shown, widgets};
use crate::model::browser::{Browser, Sort, is_place};
use crate::model::{Dialog, Link, Model};
use crate::{icons, texts, theme};

/// Rows that a page of the keyboard moves by.
const PAGE: isize = 15;

/// What is to be done about the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Open(usize),
    Select(usize, Modifiers),
    SelectFor(usize),
    Download,
    Rename,
    Transplant(bool),
    CopyPath,
    Delete,
}

pub(super) fn show(ui: &mut Ui, model: &mut Model, shown: &mut Shown) {
    let over = ui.input(|input| !input.raw.hovered_files.is_empty());
    eframe::egui::Panel::bottom("counts").show_separator_line(false).frame(eframe::egui::Frame::NONE).show(
        ui,
        |ui| {
            ui.add_space(2.0);
            ui.label(RichText::new(status(&model.browser)).small().weak());
        },
    );
    if !instead(ui, model) {
        rows(ui, model, shown);
    }
    if over {
        let rect = ui.max_rect();
        let painter = ui
            .ctx()
            .layer_painter(eframe::egui::LayerId::new(eframe::egui::Order::Foreground, ui.scope_id()));
        let accent = theme::accent(ui.visuals());
        painter.rect(
            rect,
            8.0,
            accent.gamma_multiply(0.14),
            eframe::egui::Stroke::new(2.0, accent),
            eframe::egui::StrokeKind::Inside,
        );
        let text = format!("{} {}", texts::DROP_HERE, model.browser.path.as_str());
        let font = eframe::egui::FontId::proportional(18.0);
        painter.text(
            rect.center(),
            eframe::egui::Align2::CENTER_CENTER,
            text,
            font,
            ui.visuals().text_color(),
        );
    }
}

fn status(browser: &Browser) -> String {
    match browser.loading() {
        Some(count) if !browser.listed => texts::loading(count),
        None if !browser.listed => String::new(),
        _ => texts::counts(browser.len(), browser.total(), browser.selected()),
    }
}

/// What is shown where there are no rows; whether there is such a thing.
fn instead(ui: &mut Ui, model: &mut Model) -> bool {
    let trouble = match (&model.link, &model.browser.trouble) {
        (Link::Down(trouble), _) => Some((trouble.clone(), true)),
        (_, Some(trouble)) => Some((trouble.clone(), false)),
        _ => None,
    };
    if let Some((trouble, link)) = trouble {
        widgets::empty(ui, icons::WARNING_CIRCLE, texts::NOT_CONNECTED, &trouble.message, |ui| {
            if trouble.mend == Mend::JoinAgain {
                if widgets::primary(ui, texts::JOIN_AGAIN, true).clicked() {
                    model.ask_to_join(model.profile.clone());
                }
            } else if widgets::primary(ui, texts::TRY_AGAIN, true).clicked() {
                if link {
                    model.connect();
                } else {
                    model.refresh();
                }
            }
        });
        return true;
    }
    if !model.browser.is_empty() {
        return false;
    }
    if !model.browser.listed {
        // Nothing is known yet; a moment later it is.
        return true;
    }
    if model.browser.total() > 0 {
        widgets::empty(ui, icons::MAGNIFYING_GLASS, texts::NO_MATCH, "", |ui| {
            if ui.button(texts::CLEAR_FILTER).clicked() {
                model.browser.filter.clear();
                model.browser.refilter();
            }
        });
    } else if model.browser.path.as_str() == "/" {
        widgets::empty(ui, icons::HARD_DRIVES, texts::NO_SPACES_TITLE, texts::NO_SPACES_LEAD, |_| {});
    } else {
        widgets::empty(ui, icons::FOLDER_SIMPLE_DASHED, texts::EMPTY_TITLE, texts::EMPTY_LEAD, |_| {});
    }
    true
}

fn rows(ui: &mut Ui, model: &mut Model, shown: &mut Shown) {
    let mut act = None;
    let mut sort = None;
    let mut table = TableBuilder::new(ui)
        .sense(Sense::click())
        .cell_layout(Layout::left_to_right(Align::Center))
        .column(Column::remainder().at_least(160.0).clip(true))
        .column(Column::exact(90.0))
        .column(Column::exact(135.0))
        .column(Column::exact(100.0).clip(true))
        .auto_shrink(false);
    if let Some(row) = shown.scroll_to.take() {
        table = table.scroll_to_row(row, None);
    }
    let browser = &model.browser;
    table
        .header(theme::ROW, |mut header| {
            for (name, by) in [
                (texts::COLUMN_NAME, Sort::Name),
                (texts::COLUMN_SIZE, Sort::Size),
                (texts::COLUMN_MODIFIED, Sort::Modified),
                (texts::COLUMN_OWNER, Sort::Owner),
            ] {
                header.col(|ui| {
                    if heading(ui, name, browser, by).clicked() {
                        sort = Some(by);
                    }
                });
            }
        })
        .body(|body| {
            body.rows(theme::ROW, browser.len(), |mut row| {
                let index = row.index();
                if let Some(entry) = browser.row(index) {
                    draw(&mut row, browser, entry);
                    let response = row.response();
                    let new = answer(&response, browser, entry, index);
                    act = act.or(new);
                }
            });
        });
    if let Some(by) = sort {
        model.browser.sort_by(by);
    }
    if let Some(act) = act {
        perform(ui, model, act);
    }
}

fn heading(ui: &mut Ui, name: &str, browser: &Browser, by: Sort) -> Response {
    let arrow = match (browser.sort == by, browser.descending) {
        (true, false) => icons::CARET_UP,
        (true, true) => icons::CARET_DOWN,
        (false, _) => "",
    };
    let text = RichText::new(format!("{name} {arrow}")).small().weak();
    let button = eframe::egui::Button::new(text).frame(false);
    let response = ui.add(button);
    response.widget_info(|| WidgetInfo::labeled(Role::ColumnHeader, true, name));
    response
}

fn draw(row: &mut TableRow<'_, '_>, browser: &Browser, entry: &Entry) {
    let index = row.index();
    row.set_selected(browser.is_selected(index));
    let cursor = browser.cursor == Some(index);
    let (_, first) = row.col(|ui| {
        ui.add_space(4.0);
        let icon = RichText::new(widgets::entry_icon(entry.kind, &entry.name)).size(18.0);
        let icon = if is_place(entry) { icon.color(theme::accent(ui.visuals())) } else { icon.weak() };
        ui.label(icon);
        ui.add(Label::new(entry.name.as_str()).truncate());
        if cursor {
            // Where the keyboard is.
            let rect = ui.max_rect();
            let line = eframe::egui::Rect::from_min_size(rect.min, eframe::egui::vec2(3.0, rect.height()));
            ui.painter().rect_filled(
                line.shrink2(eframe::egui::vec2(0.0, 5.0)),
                1.5,
                theme::accent(ui.visuals()),
            );
        }
    });
    // The first cell stands for the row.
    first.widget_info(|| WidgetInfo::selected(Role::Row, true, browser.is_selected(index), &entry.name));
    row.col(|ui| {
        if entry.kind == EntryKind::File {
            ui.label(RichText::new(figures::size(entry.size)).weak());
        }
    });
    row.col(|ui| {
        ui.label(RichText::new(texts::minute(entry.mtime)).weak());
    });
    row.col(|ui| {
        if let Some(by) = &entry.by {
            ui.add(Label::new(RichText::new(by.as_str()).weak()).truncate());
        }
    });
}

/// What the mouse wants of a row.
fn answer(response: &Response, browser: &Browser, entry: &Entry, index: usize) -> Option<Act> {
    let selected = browser.is_selected(index);
    let mut act = None;
    if response.double_clicked() {
        act = Some(Act::Open(index));
    } else if response.clicked() {
        act = Some(Act::Select(index, response.ctx.input(|input| input.modifiers)));
    } else if response.secondary_clicked() && !selected {
        act = Some(Act::SelectFor(index));
    }
    response.context_menu(|ui| {
        let mut item = |ui: &mut Ui, icon: &str, text: &str, enabled: bool, does: Act| {
            if widgets::button(ui, icon, text, enabled).clicked() {
                act = Some(does);
                ui.close();
            }
        };
        let (one, in_space) = (browser.selected() <= 1, browser.path.as_str() != "/");
        item(ui, icons::FOLDER_OPEN, texts::OPEN, is_place(entry), Act::Open(index));
        item(ui, icons::DOWNLOAD_SIMPLE, texts::DOWNLOAD, in_space, Act::Download);
        ui.separator();
        item(ui, icons::PENCIL_SIMPLE, texts::RENAME, one && in_space, Act::Rename);
        item(ui, icons::ARROWS_LEFT_RIGHT, texts::MOVE, in_space, Act::Transplant(false));
        item(ui, icons::COPY, texts::COPY, in_space, Act::Transplant(true));
        item(ui, icons::LINK, texts::COPY_PATH, true, Act::CopyPath);
        ui.separator();
        item(ui, icons::TRASH, texts::DELETE, in_space, Act::Delete);
    });
    act
}

fn perform(ui: &Ui, model: &mut Model, act: Act) {
    match act {
        Act::Open(row) => model.open_row(row),
        Act::Select(row, modifiers) => {
            model.browser.select(row, modifiers.command, modifiers.shift);
            model.describe();
        }
        Act::SelectFor(row) => {
            model.browser.select(row, false, false);
            model.describe();
        }
        Act::Download => model.ask_where_to_download(),
        Act::Rename => {
            if let [(path, entry)] = &model.selected()[..] {
                model.dialog = Some(Dialog::Rename { path: path.clone(), name: entry.name.clone() });
            }
        }
        Act::Transplant(copy) => {
            let paths: Vec<_> = model.selected().into_iter().map(|(path, _)| path).collect();
            if !paths.is_empty() {
                let to = model.browser.path.as_str().to_owned();
                model.dialog = Some(Dialog::Transplant { paths, to, copy });
            }
        }
        Act::CopyPath => {
            let paths: Vec<_> = model.selected().into_iter().map(|(path, _)| path.to_string()).collect();
            ui.ctx().copy_text(paths.join("\n"));
        }
        Act::Delete => {
            let selected = model.selected();
            let folders = selected.iter().any(|(_, entry)| is_place(entry));
            let paths: Vec<_> = selected.into_iter().map(|(path, _)| path).collect();
            if !paths.is_empty() && model.browser.path.as_str() != "/" {
                model.dialog = Some(Dialog::Delete { paths, folders });
            }
        }
    }
}

/// The keyboard, while nobody types a text.
pub(super) fn keys(ui: &mut Ui, model: &mut Model, shown: &mut Shown) {
    let (none, shift, command) = (Modifiers::NONE, Modifiers::SHIFT, Modifiers::COMMAND);
    // A button that has the keyboard keeps its own keys.
    let free = ui.memory(|memory| memory.focused().is_none());
    let pressed = |modifiers: Modifiers, key: Key| ui.input_mut(|input| input.consume_key(modifiers, key));
    let far = isize::MAX / 2;
    let mut moved = false;
    if free {
        for (key, by) in [
            (Key::ArrowDown, 1),
            (Key::ArrowUp, -1),
            (Key::PageDown, PAGE),
            (Key::PageUp, -PAGE),
            (Key::Home, -far),
            (Key::End, far),
        ] {
            for (modifiers, range) in [(shift, true), (none, false)] {
                if pressed(modifiers, key) {
                    model.browser.step(by, range);
                    moved = true;
                }
            }
        }
    }
    if moved {
        shown.scroll_to = model.browser.cursor;
        model.describe();
    }
    if free
        && pressed(none, Key::Enter)
        && let Some(row) = model.browser.cursor
    {
        model.open_row(row);
    }
    if pressed(none, Key::Backspace) || pressed(Modifiers::ALT, Key::ArrowUp) {
        model.up();
    }
    if pressed(Modifiers::ALT, Key::ArrowLeft) {
        model.back();
    }
    if pressed(command, Key::A) {
        model.browser.select_all();
    }
    if pressed(none, Key::Escape) {
        model.browser.select_none();
    }
    if pressed(command.plus(shift), Key::N) {
        model.dialog = Some(Dialog::NewFolder { name: String::new() });
    }
    if pressed(command, Key::D) {
        model.ask_where_to_download();
    }
    if pressed(command, Key::U) {
        model.dialog = Some(Dialog::UploadPath { path: String::new() });
    }
    if pressed(none, Key::F2) {
        perform(ui, model, Act::Rename);
    }
    if pressed(none, Key::Delete) {
        perform(ui, model, Act::Delete);
    }
    if ui.input(|input| input.events.iter().any(|event| matches!(event, Event::Copy))) {
        perform(ui, model, Act::CopyPath);
    }
    paste(ui, model);
}

/// Files that were copied in a file manager come as their paths.
fn paste(ui: &Ui, model: &mut Model) {
    let pasted = ui.input(|input| {
        input.events.iter().find_map(|event| match event {
            Event::Paste(text) => Some(text.clone()),
            _ => None,
        })
    });
    if let Some(text) = pasted {
        model.paste(&text);
    }
}
