//! The state of the window that is lost when the window closes.

use eframe::egui::Rect;

use super::details::Picture;
use super::picker::Picker;

/// What only the picture knows: it is lost with the window, and nobody misses it.
#[derive(Debug, Default)]
pub struct ViewState {
    /// The file dialog, if one is open.
    pub(super) picker: Picker,
    /// Whether the menu of the row with the cursor is to open.
    pub(super) menu: bool,
    /// Whether the filter is to get the keyboard.
    pub(super) focus_filter: bool,
    /// The row that is to come into sight.
    pub(super) scroll_to: Option<usize>,
    /// The picture of the preview.
    pub(super) preview: Option<Picture>,
    /// Whether a decision is for all.
    pub(super) for_all: bool,
    /// Whether a dialog has just opened, and its field is to get the keyboard.
    pub(super) dialog_open: bool,
    /// Where the directory or the log is.
    pub(super) page: Option<Rect>,
}
