//! The transfers.

use eframe::egui::{
    Align, Button, Color32, CursorIcon, DragValue, Label, Layout, Rect, RichText, ScrollArea, Sense,
    TextStyle, Ui, UiBuilder, Vec2, WidgetInfo, accesskit::Role,
};
use sealift_protocol::message::Direction;
use sealift_transfer::{Remedy, figures};
use sealift_types::Name;
use std::time::Instant;

use super::widgets;
use crate::model::Model;
use crate::model::queue::{Item, ItemId, State, Totals, TransferQueue, Trouble};
use crate::theme::{BUTTON, GAP};
use crate::{icons, texts, theme};

/// The height of a transfer.
const ROW: f32 = 48.0;
/// The distance between buttons.
const NEAR: f32 = GAP / 2.0;

/// What is to be done about a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum QueueAction {
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
        waits(ui, model, &name, &trouble);
    }
    if empty {
        let text = Label::new(RichText::new(texts::NO_TRANSFERS).weak()).wrap();
        ui.centered_and_justified(|ui| ui.add(text));
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

/// Says that the transfers with a server wait, and why.
fn waits(ui: &mut Ui, model: &mut Model, name: &Name, trouble: &Trouble) {
    let join = trouble.mend == Remedy::JoinAgain;
    let does = if join { texts::JOIN_AGAIN } else { texts::TRY_AGAIN };
    let text = texts::held(name.as_str(), &trouble.message);
    ui.horizontal(|ui| {
        ui.colored_label(ui.visuals().warn_fg_color, RichText::new(icons::WARNING).size(theme::ICON));
        let room = (ui.available_width() - 112.0).max(64.0);
        sized(ui, room, |ui| ui.add(Label::new(&text).truncate()).on_hover_text(&text));
        match (ui.button(does).clicked(), join) {
            (true, true) => model.ask_to_join(Some(name.clone())),
            (true, false) => model.with_queue(|queue| queue.release(name)),
            (false, _) => {}
        }
    });
}

fn header(ui: &mut Ui, model: &mut Model, totals: Totals, rate: u64, parallel: usize) {
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = NEAR;
        let all = ui.available_width();
        // What says least goes first where there is little room.
        let (wide, wider, buttons) = (all >= 480.0, all >= 640.0, 4.0 * (BUTTON + NEAR));
        let speed = if wider { 208.0 } else { 0.0 };
        let end = ui.max_rect().right() - buttons - speed - if wide { 108.0 } else { 0.0 };
        ui.label(theme::strong(texts::TRANSFERS));
        ui.add_space(NEAR);
        let told = texts::summary(&totals);
        let room = (end - ui.cursor().left() - GAP).max(0.0);
        sized(ui, room, |ui| {
            ui.add(Label::new(RichText::new(&told).weak()).truncate()).on_hover_text(&told);
        });
        if wider {
            // At its end, so that nothing moves when the figures change.
            let told = RichText::new(texts::speed(&totals, rate)).weak();
            sized(ui, speed, |ui| {
                ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                    ui.add(Label::new(told).truncate())
                });
            });
        }
        let busy = totals.running + totals.waiting > 0;
        type Change = fn(&mut TransferQueue);
        let all: [(&str, &str, bool, Change); 4] = [
            (icons::PAUSE, texts::PAUSE_ALL, busy, TransferQueue::pause_all),
            (icons::PLAY, texts::RESUME_ALL, totals.paused > 0, TransferQueue::resume_all),
            (
                icons::ARROW_COUNTER_CLOCKWISE,
                texts::RETRY_ALL,
                totals.failed > 0,
                TransferQueue::retry_failed,
            ),
            (icons::CHECK, texts::CLEAR, totals.done > 0, TransferQueue::clear_ended),
        ];
        for (icon, tells, enabled, does) in all {
            if widgets::icon_button(ui, icon, tells, enabled).clicked() {
                model.with_queue(does);
            }
        }
        if wide {
            ui.add_space(GAP);
            let label = ui.label(RichText::new(texts::PARALLEL).weak());
            let mut wanted = parallel;
            ui.add(DragValue::new(&mut wanted).range(1..=16)).labelled_by(label.id);
            if wanted != parallel {
                model.with_queue(|queue| queue.set_parallel(wanted));
            }
        }
    });
    // Always there, so that nothing moves when the first transfer begins.
    let fraction = if totals.bytes == 0 { 0.0 } else { totals.moved as f64 / totals.bytes as f64 };
    // Bars are a few hundred pixels wide.
    #[allow(clippy::cast_possible_truncation)]
    widgets::bar(ui, fraction as f32, 3.0, texts::PROGRESS_ALL, totals.running > 0);
}

/// Draws in so much room from left to right, whether it is used or not.
fn sized<T>(ui: &mut Ui, width: f32, add: impl FnOnce(&mut Ui) -> T) -> T {
    let size = Vec2::new(width, ui.available_height().min(BUTTON));
    let (rect, _) = ui.allocate_exact_size(size, Sense::hover());
    let layout = Layout::left_to_right(Align::Center);
    add(&mut ui.new_child(UiBuilder::new().max_rect(rect).layout(layout)))
}

fn draw(ui: &mut Ui, queue: &TransferQueue, row: usize, id: ItemId, item: &Item) -> Option<QueueAction> {
    let mut act = None;
    let (rect, place) = ui.allocate_exact_size(Vec2::new(ui.available_width(), ROW), Sense::hover());
    let name = item.spec.name();
    place.widget_info(|| WidgetInfo::labeled(Role::ListItem, true, format!("{name}: {}", status(item).0)));
    let palette = theme::palette(ui);
    let layout = Layout::left_to_right(Align::Center);
    let mut ui = ui.new_child(UiBuilder::new().max_rect(rect).layout(layout));
    let ui = &mut ui;
    ui.spacing_mut().item_spacing.x = NEAR;
    let movable = row < queue.movable();
    grip(ui, id, movable, name);
    let below = || ui.ctx().pointer_interact_pos().is_some_and(|at| at.y > rect.center().y);
    if let Some(dragged) = place.dnd_release_payload::<ItemId>().filter(|_| movable) {
        act = Some(QueueAction::Reorder(*dragged, row + usize::from(below())));
    } else if movable && place.dnd_hover_payload::<ItemId>().is_some() {
        let y = if below() { rect.bottom() } else { rect.top() };
        ui.painter().hline(rect.x_range(), y, (2.0, palette.accent));
    }
    let up = item.spec.direction == Direction::Put;
    let icon = if up { icons::UPLOAD_SIMPLE } else { icons::DOWNLOAD_SIMPLE };
    ui.label(RichText::new(icon).size(theme::ICON).weak());
    ui.add_space(NEAR);
    // Every row has its buttons in the same place, however many there are.
    let help = help(item, id);
    let room = help.map_or(0.0, |(text, _)| small_width(ui, text) + 24.0 + NEAR);
    let end = rect.right() - 2.0 * (BUTTON + NEAR) - room;
    let lines_rect =
        Rect::from_x_y_ranges(ui.cursor().left()..=end - GAP, rect.top() + 5.0..=rect.bottom() - 5.0);
    let mut inside = ui.new_child(UiBuilder::new().max_rect(lines_rect).layout(Layout::top_down(Align::Min)));
    lines(&mut inside, item, name);
    ui.add_space(end - ui.cursor().left());
    if let Some((text, does)) = help {
        let response = sized(ui, room - NEAR, |ui| {
            ui.spacing_mut().interact_size.y = 26.0;
            let layout = Layout::right_to_left(Align::Center);
            ui.with_layout(layout, |ui| ui.add(Button::new(RichText::new(text).small()))).inner
        });
        response.widget_info(|| WidgetInfo::labeled(Role::Button, true, format!("{text}: {name}")));
        if response.clicked() {
            act = Some(does);
        }
    }
    act.or(buttons(ui, id, item))
}

/// The width of a small text.
fn small_width(ui: &Ui, text: &str) -> f32 {
    let font = TextStyle::Small.resolve(ui.style());
    ui.painter().layout_no_wrap(text.to_owned(), font, Color32::PLACEHOLDER).size().x
}

/// What helps a transfer that has not gone well, and how it is called.
fn help(item: &Item, id: ItemId) -> Option<(&'static str, QueueAction)> {
    match &item.state {
        State::Cancelled => Some((texts::START_AGAIN, QueueAction::Retry(id))),
        State::Failed(trouble)
            if trouble.mend == Remedy::OtherPlace && item.spec.direction == Direction::Get =>
        {
            Some((texts::OTHER_PLACE, QueueAction::OtherPlace(id)))
        }
        State::Failed(_) => Some((texts::RETRY, QueueAction::Retry(id))),
        _ => None,
    }
}

fn grip(ui: &mut Ui, id: ItemId, movable: bool, name: &str) {
    let text = RichText::new(icons::DOTS_SIX_VERTICAL).size(theme::ICON);
    if !movable {
        // Its room is there all the same.
        ui.add(Label::new(text.color(Color32::TRANSPARENT)));
        return;
    }
    let response = ui.add(Label::new(text.weak()).sense(Sense::drag()));
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, format!("{}: {name}", texts::DRAG)));
    response.dnd_set_drag_payload(id);
    response.on_hover_text(texts::DRAG).on_hover_cursor(CursorIcon::Grab);
}

/// The name, and below it the bar with its figures at the end of the line, or what became of it.
fn lines(ui: &mut Ui, item: &Item, name: &str) {
    let (text, kind) = status(item);
    let under_way = match item.state {
        State::Running => item.retrying.is_none(),
        State::Waiting | State::Paused => item.moved > 0,
        _ => false,
    };
    let text = texts::sentence(&text);
    let told = RichText::new(&text).small();
    let told = match kind {
        RowLook::Plain => told.weak(),
        RowLook::Good => told.color(theme::palette(ui).good),
        RowLook::Bad => told.color(ui.visuals().error_fg_color),
        RowLook::Odd => told.color(ui.visuals().warn_fg_color),
    };
    ui.spacing_mut().item_spacing.y = 2.0;
    ui.spacing_mut().interact_size.y = 18.0;
    let title = Label::new(name).truncate();
    let path = || item.spec.local.display().to_string();
    if !under_way {
        ui.add(title).on_hover_ui(|ui| drop(ui.label(path())));
        ui.add(Label::new(told).truncate()).on_hover_text(&text);
        return;
    }
    ui.horizontal(|ui| {
        let room = (ui.available_width() - small_width(ui, &text) - GAP).max(64.0);
        sized(ui, room, |ui| ui.add(title).on_hover_ui(|ui| drop(ui.label(path()))));
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let colour = if kind == RowLook::Odd {
                ui.visuals().warn_fg_color
            } else {
                ui.visuals().weak_text_color()
            };
            ui.add(Label::new(RichText::new(&text).small().color(colour)).truncate());
        });
    });
    ui.add_space(4.0);
    widgets::bar(ui, item.fraction(), 4.0, name, item.state == State::Running);
}

/// How what is told of a transfer looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RowLook {
    Plain,
    Good,
    Odd,
    Bad,
}

/// What is told of a transfer.
fn status(item: &Item) -> (String, RowLook) {
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
            (format!("{}, {}", texts::WAITING, figures::size(item.size)), RowLook::Plain)
        }
        State::Waiting => (texts::WAITING.to_owned(), RowLook::Plain),
        State::Paused if item.moved > 0 => (format!("{}, {}", texts::PAUSED, amount()), RowLook::Odd),
        State::Paused => (texts::PAUSED.to_owned(), RowLook::Odd),
        State::Cancelled => (texts::CANCELLED.to_owned(), RowLook::Plain),
        State::Failed(trouble) => {
            let message = texts::sentence(&trouble.message);
            (skipped.map_or(message.clone(), |skipped| format!("{message}; {skipped}")), RowLook::Bad)
        }
        State::Done if item.had && skipped.is_none() => {
            (format!("{}, {}", figures::size(item.size), texts::HAD), RowLook::Good)
        }
        State::Done => {
            let done = format!("{}, {}", figures::size(item.size), texts::DONE);
            let had = item.files.as_ref().map(|files| files.had).filter(|had| *had > 0);
            let done = had.map_or(done.clone(), |had| format!("{done}, {}", texts::had_of_tree(had)));
            match skipped {
                Some(skipped) => (format!("{done}; {skipped}"), RowLook::Odd),
                None => (done, RowLook::Good),
            }
        }
        State::Running => match &item.retrying {
            Some(why) => (texts::retrying(why), RowLook::Odd),
            None if item.compared > 0 => (texts::COMPARING.to_owned(), RowLook::Plain),
            None if item.moved == 0 && item.size == 0 => (texts::STARTING.to_owned(), RowLook::Plain),
            None => (amount(), RowLook::Plain),
        },
    }
}

/// The two places at the end of the row: pausing and going on, and taking away.
fn buttons(ui: &mut Ui, id: ItemId, item: &Item) -> Option<QueueAction> {
    let first = match &item.state {
        State::Waiting | State::Running => Some((icons::PAUSE, texts::PAUSE, QueueAction::Pause(id))),
        State::Paused => Some((icons::PLAY, texts::RESUME, QueueAction::Resume(id))),
        // Where the button that helps is another one.
        State::Failed(_) if !matches!(help(item, id), Some((_, QueueAction::Retry(_)))) => {
            Some((icons::ARROW_COUNTER_CLOCKWISE, texts::RETRY, QueueAction::Retry(id)))
        }
        _ => None,
    };
    let last = match item.state.has_ended() {
        true => (icons::X, texts::REMOVE, QueueAction::Remove(id)),
        false => (icons::X, texts::CANCEL, QueueAction::Cancel(id)),
    };
    let mut act = None;
    if first.is_none() {
        ui.add_space(BUTTON + NEAR);
    }
    for (icon, tells, does) in first.into_iter().chain([last]) {
        let named = format!("{tells}: {}", item.spec.name());
        if widgets::icon_button(ui, icon, &named, true).clicked() {
            act = Some(does);
        }
    }
    act
}

fn perform(model: &mut Model, act: QueueAction) {
    match act {
        QueueAction::Pause(id) => model.with_queue(|queue| queue.pause(id)),
        QueueAction::Resume(id) => model.with_queue(|queue| queue.resume(id)),
        QueueAction::Cancel(id) => model.with_queue(|queue| queue.cancel(id)),
        QueueAction::Retry(id) => model.with_queue(|queue| queue.retry(id)),
        QueueAction::Remove(id) => model.with_queue(|queue| queue.remove(id)),
        QueueAction::Reorder(id, row) => model.with_queue(|queue| queue.reorder(id, row)),
        QueueAction::OtherPlace(id) => model.ask_for_another_place(id),
    }
}
