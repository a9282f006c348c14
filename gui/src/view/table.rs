//! The directory as a table, of which only the rows are drawn that are seen.

use eframe::egui::{
    Align, Align2, Button, FontId, Key, Label, LayerId, Layout, Modifiers, Order, Popup, Response, RichText,
    Sense, Stroke, StrokeKind, Ui, WidgetInfo, accesskit::Role, vec2,
};
use egui_extras::{Column, TableBuilder, TableRow};
use sealift_protocol::message::{Entry, EntryKind};
use sealift_transfer::{Remedy, figures};

use super::picker::Pick;
use super::row_action::{RowAction, perform};
use super::view_state::ViewState;
use super::{focus, widgets};
use crate::model::browser::{Browser, Sort, is_place};
use crate::model::{Model, ServerLink};
use crate::{icons, texts, theme};

/// The height of the line below the rows.
const FOOT: f32 = 18.0;

pub(super) fn show(ui: &mut Ui, model: &mut Model, shown: &mut ViewState) {
    let over = ui.input(|input| !input.raw.hovered_files.is_empty());
    eframe::egui::Panel::bottom("counts").show_separator_line(false).frame(eframe::egui::Frame::NONE).show(
        ui,
        |ui| {
            ui.add_space(4.0);
            foot(ui, model);
        },
    );
    if !instead(ui, model, shown) {
        rows(ui, model, shown);
    }
    if over {
        drop_here(ui, model.browser.path.as_str());
    }
}

/// Covers the directory while files are held over it.
fn drop_here(ui: &Ui, path: &str) {
    let layer = LayerId::new(Order::Foreground, ui.scope_id());
    let painter = ui.ctx().layer_painter(layer);
    let (palette, rect) = (theme::palette(ui), ui.max_rect().expand2(vec2(4.0, 0.0)));
    let ring = Stroke::new(2.0, palette.accent);
    painter.rect(rect, 8.0, palette.page.gamma_multiply(0.92), ring, StrokeKind::Inside);
    let icon = FontId::proportional(40.0);
    let at = rect.center() - vec2(0.0, 2.0 * theme::GAP);
    painter.text(at, Align2::CENTER_BOTTOM, icons::CLOUD_ARROW_UP, icon, palette.accent);
    let text = format!("{} {path}", texts::DROP_HERE);
    let font = FontId::proportional(16.0);
    painter.text(rect.center(), Align2::CENTER_TOP, text, font, ui.visuals().text_color());
}

/// The line below the rows: how many there are, or why they are not those of this moment. It is of one height, so that
/// no row moves when the connection comes or goes.
fn foot(ui: &mut Ui, model: &mut Model) {
    let ServerLink::Down(trouble) = model.link.clone() else {
        ui.allocate_ui(vec2(ui.available_width(), FOOT), |ui| {
            ui.set_min_height(FOOT);
            ui.label(RichText::new(status(model)).small().weak());
        });
        return;
    };
    ui.allocate_ui(vec2(ui.available_width(), FOOT), |ui| {
        ui.set_min_height(FOOT);
        if !model.browser.listed {
            return;
        }
        ui.with_layout(Layout::right_to_left(Align::Min), |ui| {
            let join = trouble.mend == Remedy::JoinAgain;
            let does = if join { texts::JOIN_AGAIN } else { texts::TRY_AGAIN };
            ui.spacing_mut().interact_size.y = FOOT;
            let clicked = ui.link(RichText::new(does).small()).clicked();
            let text = texts::sentence(&trouble.message);
            ui.with_layout(Layout::left_to_right(Align::Min), |ui| {
                let told = RichText::new(&text).small().color(ui.visuals().error_fg_color);
                ui.add(Label::new(told).truncate()).on_hover_text(&text);
            });
            match (clicked, join) {
                (true, true) => model.ask_to_join(model.profile.clone()),
                (true, false) => model.connect(),
                (false, _) => {}
            }
        });
    });
}

fn status(model: &Model) -> String {
    let browser = &model.browser;
    match browser.loading() {
        _ if browser.trouble.is_some() => String::new(),
        Some(count) if !browser.listed => texts::loading(count),
        None if !browser.listed => String::new(),
        _ => texts::counts(browser.len(), browser.total(), browser.selected()),
    }
}

/// What is shown where there are no rows; whether there is such a thing.
fn instead(ui: &mut Ui, model: &mut Model, shown: &mut ViewState) -> bool {
    let trouble = match (&model.link, &model.browser.trouble) {
        (ServerLink::Down(trouble), _) if !model.browser.listed => Some((trouble.clone(), true)),
        (ServerLink::Down(_), _) => None,
        (_, Some(trouble)) => Some((trouble.clone(), false)),
        _ => None,
    };
    if let Some((trouble, link)) = trouble {
        let title = if link { texts::NOT_CONNECTED } else { texts::NOT_LISTED };
        widgets::empty(ui, icons::WARNING_CIRCLE, title, &texts::sentence(&trouble.message), |ui| {
            if trouble.mend == Remedy::JoinAgain {
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
        // Nothing is known yet; a moment later it is, unless there is much of it.
        if let Some(count) = model.browser.loading().filter(|count| *count > 0) {
            ui.centered_and_justified(|ui| ui.label(RichText::new(texts::loading(count)).weak()));
        }
        return true;
    }
    if model.browser.total() > 0 {
        widgets::empty(ui, icons::MAGNIFYING_GLASS, texts::NO_MATCH, "", |ui| {
            if widgets::primary(ui, texts::CLEAR_FILTER, true).clicked() {
                model.browser.filter.clear();
                model.browser.refilter();
            }
        });
    } else if model.browser.path.as_str() == "/" {
        widgets::empty(ui, icons::HARD_DRIVES, texts::NO_SPACES_TITLE, texts::NO_SPACES_LEAD, |_| {});
    } else {
        widgets::empty(ui, icons::FOLDER_SIMPLE_DASHED, texts::EMPTY_TITLE, texts::EMPTY_LEAD, |ui| {
            if widgets::primary(ui, texts::CHOOSE_FILES, true).clicked() {
                shown.picker.open(Pick::Files, model.target(), ui.ctx());
            }
        });
    }
    true
}

fn rows(ui: &mut Ui, model: &mut Model, shown: &mut ViewState) {
    let (mut act, mut sort) = (None, None);
    // What says least goes first where there is little room.
    let width = ui.available_width();
    ui.spacing_mut().item_spacing.y = 0.0;
    // A row under the mouse is no button.
    ui.visuals_mut().widgets.hovered.bg_fill = theme::palette(ui).side;
    let (modified, owner) = (width >= 400.0, width >= 560.0);
    let mut table = TableBuilder::new(ui)
        // Cells are no stops of the Tab key; the row with the cursor is one.
        .sense(Sense::CLICK)
        .cell_layout(Layout::left_to_right(Align::Center))
        .column(Column::remainder().at_least(120.0).clip(true))
        .column(Column::exact(80.0));
    for (shown, width) in [(modified, 136.0), (owner, 96.0)] {
        if shown {
            table = table.column(Column::exact(width).clip(true));
        }
    }
    table = table.auto_shrink(false).min_scrolled_height(0.0);
    if let Some(row) = shown.scroll_to.take() {
        table = table.scroll_to_row(row, None);
    }
    let browser = &model.browser;
    table
        .header(theme::ROW, |mut header| {
            for (name, by, is_shown) in [
                (texts::COLUMN_NAME, Sort::Name, true),
                (texts::COLUMN_SIZE, Sort::Size, true),
                (texts::COLUMN_MODIFIED, Sort::Modified, modified),
                (texts::COLUMN_OWNER, Sort::Owner, owner),
            ] {
                if is_shown {
                    header.col(|ui| {
                        if heading(ui, name, browser, by).clicked() {
                            sort = Some(by);
                        }
                    });
                }
            }
        })
        .body(|body| {
            body.rows(theme::ROW, browser.len(), |mut row| {
                let index = row.index();
                if let Some(entry) = browser.row(index) {
                    draw(&mut row, browser, entry, modified, owner);
                    let response = row.response();
                    let by_key = browser.cursor == Some(index) && std::mem::take(&mut shown.menu);
                    let new = answer(&response, browser, entry, index, by_key);
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
    let numbers = by == Sort::Size;
    // Numbers stand at the right, and so does what they are called.
    let text = if numbers { format!("{arrow} {name}") } else { format!("{name} {arrow}") };
    let text = RichText::new(text.trim()).small().weak();
    let align =
        if numbers { Layout::right_to_left(Align::Center) } else { Layout::left_to_right(Align::Center) };
    let button = |ui: &mut Ui| {
        ui.spacing_mut().button_padding.x = 4.0;
        ui.spacing_mut().interact_size.y = 24.0;
        ui.add(Button::new(text).frame_when_inactive(false))
    };
    let response = ui.with_layout(align, button).inner;
    response.widget_info(|| WidgetInfo::labeled(Role::ColumnHeader, true, name));
    response
}

fn draw(row: &mut TableRow<'_, '_>, browser: &Browser, entry: &Entry, modified: bool, owner: bool) {
    let index = row.index();
    row.set_selected(browser.is_selected(index));
    let cursor = browser.cursor == Some(index);
    let (_, first) = row.col(|ui| {
        ui.add_space(4.0);
        let icon = RichText::new(widgets::entry_icon(entry.kind, &entry.name)).size(18.0);
        let icon = if is_place(entry) { icon.color(theme::palette(ui).accent) } else { icon.weak() };
        ui.label(icon);
        ui.add(Label::new(entry.name.as_str()).truncate());
        if cursor {
            focus::stop(ui, entry, browser.is_selected(index));
            // Where the keyboard is.
            let mut line = ui.max_rect().shrink2(vec2(0.0, 6.0));
            line.set_width(3.0);
            ui.painter().rect_filled(line, 1.5, theme::palette(ui).accent);
        }
    });
    // The first cell stands for the row, unless the keyboard does.
    if !cursor {
        first.widget_info(|| WidgetInfo::selected(Role::Row, true, browser.is_selected(index), &entry.name));
    }
    row.col(|ui| {
        if entry.kind == EntryKind::File {
            let size = RichText::new(figures::size(entry.size)).weak();
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                ui.add_space(4.0);
                ui.label(size);
            });
        }
    });
    if modified {
        row.col(|ui| {
            ui.add_space(4.0);
            ui.label(RichText::new(texts::minute(entry.mtime)).weak());
        });
    }
    if owner {
        row.col(|ui| {
            if let Some(by) = &entry.by {
                ui.add_space(4.0);
                ui.add(Label::new(RichText::new(by.as_str()).weak()).truncate());
            }
        });
    }
}

/// The menu of a row: where the mouse has asked for it, or below the row's name.
fn menu(response: &Response, by_key: bool) -> Popup<'_> {
    let id = Popup::default_response_id(response);
    if by_key {
        Popup::open_id(&response.ctx, id);
    }
    let menu = Popup::context_menu(response);
    let has_place = response.secondary_clicked() || Popup::position_of_id(&response.ctx, id).is_some();
    if has_place { menu } else { menu.at_position(response.rect.left_bottom() + vec2(32.0, 0.0)) }
}

/// What the mouse wants of a row, or the key that opens its menu.
fn answer(
    response: &Response,
    browser: &Browser,
    entry: &Entry,
    index: usize,
    by_key: bool,
) -> Option<RowAction> {
    let selected = browser.is_selected(index);
    let mut act = None;
    if response.double_clicked() {
        act = Some(RowAction::Open(index));
    } else if response.clicked() {
        act = Some(RowAction::Select(index, response.ctx.input(|input| input.modifiers)));
    } else if response.secondary_clicked() && !selected {
        act = Some(RowAction::SelectFor(index));
    }
    menu(response, by_key).show(|ui| {
        widgets::menu(ui);
        let mut first = by_key;
        let mut item = |ui: &mut Ui, icon: &str, text: &str, keys, enabled: bool, does: RowAction| {
            let line = widgets::menu_line(ui, icon, text, keys, enabled);
            if enabled && std::mem::take(&mut first) {
                line.request_focus();
            }
            if line.clicked() {
                act = Some(does);
                ui.close();
            }
        };
        let (one, in_space) = (browser.selected() <= 1, browser.path.as_str() != "/");
        let (plain, command) = (Modifiers::NONE, Modifiers::COMMAND);
        let enter = Some((plain, Key::Enter));
        item(
            ui,
            icons::FOLDER_OPEN,
            texts::OPEN,
            enter,
            entry.kind != EntryKind::Link,
            RowAction::Open(index),
        );
        item(
            ui,
            icons::DOWNLOAD_SIMPLE,
            texts::DOWNLOAD,
            Some((command, Key::D)),
            in_space,
            RowAction::Download,
        );
        ui.separator();
        item(
            ui,
            icons::PENCIL_SIMPLE,
            texts::RENAME,
            Some((plain, Key::F2)),
            one && in_space,
            RowAction::Rename,
        );
        item(
            ui,
            icons::ARROWS_LEFT_RIGHT,
            texts::MOVE,
            Some((plain, Key::F6)),
            in_space,
            RowAction::Transplant(false),
        );
        item(
            ui,
            icons::COPY,
            texts::COPY,
            Some((Modifiers::SHIFT, Key::F6)),
            in_space,
            RowAction::Transplant(true),
        );
        item(ui, icons::LINK, texts::COPY_PATH, Some((command, Key::C)), true, RowAction::CopyPath);
        ui.separator();
        item(ui, icons::TRASH, texts::DELETE, Some((plain, Key::Delete)), in_space, RowAction::Delete);
    });
    act
}
