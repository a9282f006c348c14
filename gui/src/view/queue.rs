//! The transfers.

use eframe::egui::{
    Align, DragValue, Label, Layout, ProgressBar, RichText, ScrollArea, Sense, Ui, UiBuilder, Vec2,
    WidgetInfo, accesskit::Role,
};
use sealift_protocol::message::Direction;
use sealift_transfer::{Mend, figures};
use std::time::Instant;

use super::widgets;
use crate::model::queue::{Item, ItemId, Queue, State, Totals};
use crate::model::{Dialog, Model};
use crate::theme::GAP;
use crate::{icons, texts, theme};

/// The height of a transfer.
const ROW: f32 = 46.0;

/// What is to be done about a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Pause(ItemId),
    Resume(ItemId),
    Cancel(ItemId),
    Retry(ItemId),
    Remove(ItemId),
    OtherPlace(ItemId),
    Reorder(ItemId, usize),
}

pub(super) fn show(ui: &mut Ui, model: &mut Model) {
    let shared = model.queue.clone();
    let queue = shared.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let (totals, rate, parallel) = (queue.totals(), queue.rate(Instant::now()), queue.parallel());
    let held: Vec<_> = queue.held().map(|(name, trouble)| (name.clone(), trouble.clone())).collect();
    let empty = queue.is_empty();
    drop(queue);
    header(ui, model, totals, rate, parallel);
    for (name, trouble) in held {
        ui.horizontal(|ui| {
            ui.colored_label(ui.visuals().warn_fg_color, icons::WARNING);
            let text = texts::held(name.as_str(), &trouble.message);
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                if trouble.mend == Mend::JoinAgain {
                    if ui.button(texts::JOIN_AGAIN).clicked() {
                        model.ask_to_join(Some(name.clone()));
                    }
                } else if ui.button(texts::TRY_AGAIN).clicked() {
                    model.with_queue(|queue| queue.release(&name));
                }
                ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                    ui.add(Label::new(&text).truncate()).on_hover_text(&text);
                });
            });
        });
    }
    if empty {
        ui.centered_and_justified(|ui| ui.label(RichText::new(texts::NO_TRANSFERS).weak()));
        return;
    }
    let queue = shared.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut act = None;
    ui.spacing_mut().item_spacing.y = 0.0;
    ScrollArea::vertical().auto_shrink(false).show_rows(ui, ROW, queue.len(), |ui, rows| {
        for row in rows {
            if let Some((id, item)) = queue.row(row) {
                let new = ui.push_id(id.0, |ui| draw(ui, &queue, row, id, item)).inner;
                act = act.or(new);
            }
        }
    });
    drop(queue);
    if let Some(act) = act {
        perform(model, act);
    }
}

fn header(ui: &mut Ui, model: &mut Model, totals: Totals, rate: u64, parallel: usize) {
    ui.horizontal(|ui| {
        ui.label(RichText::new(texts::TRANSFERS).strong());
        ui.label(RichText::new(texts::summary(&totals)).weak());
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            ui.spacing_mut().item_spacing.x = 4.0;
            let mut wanted = parallel;
            let field = ui.add(DragValue::new(&mut wanted).range(1..=16));
            let label = ui.label(RichText::new(texts::PARALLEL).weak());
            field.labelled_by(label.id);
            if wanted != parallel {
                model.with_queue(|queue| queue.set_parallel(wanted));
            }
            ui.separator();
            let ended = totals.done > 0;
            if widgets::icon_button(ui, icons::CHECK, texts::CLEAR, ended).clicked() {
                model.with_queue(Queue::clear_ended);
            }
            if widgets::icon_button(ui, icons::ARROW_COUNTER_CLOCKWISE, texts::RETRY_ALL, totals.failed > 0)
                .clicked()
            {
                model.with_queue(Queue::retry_failed);
            }
            if widgets::icon_button(ui, icons::PLAY, texts::RESUME_ALL, totals.paused > 0).clicked() {
                model.with_queue(Queue::resume_all);
            }
            if widgets::icon_button(ui, icons::PAUSE, texts::PAUSE_ALL, totals.running + totals.waiting > 0)
                .clicked()
            {
                model.with_queue(Queue::pause_all);
            }
        });
    });
    // Always there, so that nothing moves when the first transfer begins.
    ui.horizontal(|ui| {
        ui.spacing_mut().interact_size.y = 18.0;
        let fraction = if totals.bytes == 0 { 0.0 } else { totals.moved as f64 / totals.bytes as f64 };
        let left = texts::left(totals.bytes - totals.moved, rate).filter(|_| totals.running > 0);
        let mut told = vec![format!("{} of {}", figures::size(totals.moved), figures::size(totals.bytes))];
        told.extend((totals.running > 0 && rate > 0).then(|| texts::rate(rate)));
        told.extend(left);
        let width = (ui.available_width() - 320.0).max(80.0);
        bar(ui, fraction, width, texts::PROGRESS_ALL, true);
        if totals.bytes > 0 {
            ui.label(RichText::new(told.join("  \u{b7}  ")).small().weak());
        }
    });
}

/// A bar that screen readers can read.
fn bar(ui: &mut Ui, fraction: f64, width: f32, tells: &str, on: bool) {
    // Bars are a few hundred pixels wide.
    #[allow(clippy::cast_possible_truncation)]
    let fraction = fraction as f32;
    let colour = if on { theme::accent(ui.visuals()) } else { ui.visuals().weak_text_color() };
    let bar =
        ProgressBar::new(fraction).desired_width(width).desired_height(6.0).corner_radius(3).fill(colour);
    let response = ui.add(bar);
    response.widget_info(|| {
        let mut info = WidgetInfo::labeled(Role::ProgressIndicator, true, tells);
        info.value = Some(f64::from(fraction) * 100.0);
        info
    });
}

fn draw(ui: &mut Ui, queue: &Queue, row: usize, id: ItemId, item: &Item) -> Option<Act> {
    let mut act = None;
    let (rect, place) = ui.allocate_exact_size(Vec2::new(ui.available_width(), ROW), Sense::hover());
    let name = item.spec.name();
    place.widget_info(|| WidgetInfo::labeled(Role::ListItem, true, format!("{name}: {}", status(item).0)));
    let inner = rect.shrink2(Vec2::new(0.0, 4.0));
    let mut ui = ui.new_child(UiBuilder::new().max_rect(inner).layout(Layout::left_to_right(Align::Center)));
    let ui = &mut ui;
    ui.spacing_mut().item_spacing.x = 6.0;
    let movable = row < queue.movable();
    grip(ui, id, movable);
    if let Some(dragged) = place.dnd_release_payload::<ItemId>().filter(|_| movable) {
        let below = ui.ctx().pointer_interact_pos().is_some_and(|at| at.y > rect.center().y);
        act = Some(Act::Reorder(*dragged, row + usize::from(below)));
    } else if movable && place.dnd_hover_payload::<ItemId>().is_some() {
        let below = ui.ctx().pointer_interact_pos().is_some_and(|at| at.y > rect.center().y);
        let y = if below { rect.bottom() } else { rect.top() };
        ui.painter().hline(rect.x_range(), y, (2.0, theme::accent(ui.visuals())));
    }
    let up = item.spec.direction == Direction::Put;
    let icon = if up { icons::UPLOAD_SIMPLE } else { icons::DOWNLOAD_SIMPLE };
    ui.label(RichText::new(icon).size(17.0).weak());
    ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
        ui.spacing_mut().item_spacing.x = 2.0;
        if let Some(new) = buttons(ui, id, item) {
            act = Some(new);
        }
        ui.add_space(GAP);
        ui.with_layout(Layout::top_down(Align::Min), |ui| {
            ui.spacing_mut().item_spacing.y = 3.0;
            lines(ui, item, name);
        });
    });
    act
}

fn grip(ui: &mut Ui, id: ItemId, movable: bool) {
    let text = RichText::new(icons::DOTS_SIX_VERTICAL).weak();
    let sense = if movable { Sense::drag() } else { Sense::hover() };
    let visible = if movable { text } else { text.color(eframe::egui::Color32::TRANSPARENT) };
    let response = ui.add(Label::new(visible).sense(sense));
    if movable {
        response.dnd_set_drag_payload(id);
        response.on_hover_text(texts::DRAG).on_hover_cursor(eframe::egui::CursorIcon::Grab);
    }
}

fn lines(ui: &mut Ui, item: &Item, name: &str) {
    let (text, kind) = status(item);
    ui.horizontal(|ui| {
        ui.spacing_mut().interact_size.y = 16.0;
        ui.spacing_mut().item_spacing.x = 10.0;
        let room = ui.available_width();
        ui.scope(|ui| {
            ui.set_max_width(room * 0.45);
            ui.add(Label::new(name).truncate()).on_hover_text(item.spec.local.display().to_string());
        });
        let text = RichText::new(&text).small();
        let text = match kind {
            Look::Plain => text.weak(),
            Look::Good => text.color(theme::good(ui.visuals())),
            Look::Bad => text.color(ui.visuals().error_fg_color),
            Look::Odd => text.color(ui.visuals().warn_fg_color),
        };
        ui.add(Label::new(text.clone()).truncate()).on_hover_text(text);
    });
    let running = item.state == State::Running;
    bar(ui, f64::from(item.fraction()), ui.available_width(), name, running || item.state == State::Done);
}

/// How what is told of a transfer looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    Plain,
    Good,
    Odd,
    Bad,
}

/// What is told of a transfer.
fn status(item: &Item) -> (String, Look) {
    let amount = || {
        let bytes = format!("{} of {}", figures::size(item.moved), figures::size(item.size));
        match &item.files {
            Some(files) => format!("{bytes}, {}", texts::files_of(files.done + files.failed, files.found)),
            None => bytes,
        }
    };
    let skipped = item.files.as_ref().and_then(|files| {
        let first = files.first_skipped.as_ref()?;
        Some(texts::skipped(files.skipped, first))
    });
    match &item.state {
        State::Waiting if item.size > 0 => {
            (format!("{}, {}", texts::WAITING, figures::size(item.size)), Look::Plain)
        }
        State::Waiting => (texts::WAITING.to_owned(), Look::Plain),
        State::Paused => (texts::PAUSED.to_owned(), Look::Odd),
        State::Cancelled => (texts::CANCELLED.to_owned(), Look::Plain),
        State::Failed(trouble) => {
            let message = trouble.message.clone();
            (skipped.map_or(message.clone(), |skipped| format!("{message}; {skipped}")), Look::Bad)
        }
        State::Done if item.had && skipped.is_none() => {
            (format!("{}, {}", figures::size(item.size), texts::HAD), Look::Good)
        }
        State::Done => {
            let done = format!("{}, {}", figures::size(item.size), texts::DONE);
            let had = item.files.as_ref().map(|files| files.had).filter(|had| *had > 0);
            let done = had.map_or(done.clone(), |had| format!("{done}, {}", texts::had_of_tree(had)));
            match skipped {
                Some(skipped) => (format!("{done}; {skipped}"), Look::Odd),
                None => (done, Look::Good),
            }
        }
        State::Running => match &item.retrying {
            Some(why) => (texts::retrying(why), Look::Odd),
            None if item.compared > 0 => (texts::COMPARING.to_owned(), Look::Plain),
            None if item.moved == 0 && item.size == 0 => (texts::STARTING.to_owned(), Look::Plain),
            None => (amount(), Look::Plain),
        },
    }
}

/// From right to left.
fn buttons(ui: &mut Ui, id: ItemId, item: &Item) -> Option<Act> {
    let mut act = None;
    let mut button = |ui: &mut Ui, icon: &str, tells: &str, does: Act| {
        let named = format!("{tells}: {}", item.spec.name());
        if widgets::icon_button(ui, icon, &named, true).clicked() {
            act = Some(does);
        }
    };
    match &item.state {
        State::Done => button(ui, icons::X, texts::REMOVE, Act::Remove(id)),
        State::Cancelled => {
            button(ui, icons::X, texts::REMOVE, Act::Remove(id));
            button(ui, icons::ARROW_COUNTER_CLOCKWISE, texts::START_AGAIN, Act::Retry(id));
        }
        State::Failed(trouble) => {
            button(ui, icons::X, texts::REMOVE, Act::Remove(id));
            button(ui, icons::ARROW_COUNTER_CLOCKWISE, texts::RETRY, Act::Retry(id));
            if trouble.mend == Mend::OtherPlace && item.spec.direction == Direction::Get {
                button(ui, icons::FOLDER_OPEN, texts::OTHER_PLACE, Act::OtherPlace(id));
            }
        }
        State::Paused => {
            button(ui, icons::X, texts::CANCEL, Act::Cancel(id));
            button(ui, icons::PLAY, texts::RESUME, Act::Resume(id));
        }
        State::Waiting | State::Running => {
            button(ui, icons::X, texts::CANCEL, Act::Cancel(id));
            button(ui, icons::PAUSE, texts::PAUSE, Act::Pause(id));
        }
    }
    act
}

fn perform(model: &mut Model, act: Act) {
    match act {
        Act::Pause(id) => model.with_queue(|queue| queue.pause(id)),
        Act::Resume(id) => model.with_queue(|queue| queue.resume(id)),
        Act::Cancel(id) => model.with_queue(|queue| queue.cancel(id)),
        Act::Retry(id) => model.with_queue(|queue| queue.retry(id)),
        Act::Remove(id) => model.with_queue(|queue| queue.remove(id)),
        Act::Reorder(id, row) => model.with_queue(|queue| queue.reorder(id, row)),
        Act::OtherPlace(id) => {
            let spec = model.queue().item(id).map(|item| item.spec.clone());
            if let Some(spec) = spec {
                let entries = vec![(spec.remote.clone(), spec.tree, spec.size)];
                model.dialog = Some(Dialog::download_to(entries, model.downloads.clone(), Some(id)));
            }
        }
    }
}
