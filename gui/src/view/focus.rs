//! The keyboard focus of the table.

use eframe::egui::{EventFilter, FocusDirection, Id, Sense, Ui, WidgetInfo, accesskit::Role};
use sealift_protocol::message::Entry;

/// Where the keyboard is while it is in the table, for the Tab key and for screen readers.
pub(super) fn place() -> Id {
    Id::unique("row with the cursor")
}

/// The row with the cursor is a stop of the Tab key, and what a screen reader reads.
pub(super) fn stop(ui: &Ui, entry: &Entry, selected: bool) {
    let response = ui.interact(ui.max_rect(), place(), Sense::focusable_noninteractive());
    response.widget_info(|| WidgetInfo::selected(Role::Row, true, selected, &entry.name));
    if response.has_focus() {
        // The arrows go from row to row, and not to other parts of the window.
        let filter = EventFilter { vertical_arrows: true, ..EventFilter::default() };
        ui.memory_mut(|memory| memory.set_focus_lock_filter(place(), filter));
    }
}

/// Gives the keyboard to the table.
pub(super) fn to_table(ui: &Ui) {
    ui.memory_mut(|memory| {
        memory.request_focus(place());
        // An arrow has moved the row; it is not to move the keyboard out of the table as well.
        memory.move_focus(FocusDirection::None);
    });
}
