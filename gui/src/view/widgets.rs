//! Small things that several parts of the window draw alike.

use eframe::egui::{
    Align, Button, Color32, FontId, Layout, Response, RichText, Ui, UiBuilder, Vec2, WidgetInfo,
    accesskit::Role,
};

use crate::theme;

/// A button that shows only an icon; what it does is told by pointing at it, and to screen readers.
pub(super) fn icon_button(ui: &mut Ui, icon: &str, tells: &str, enabled: bool) -> Response {
    let text = RichText::new(icon).font(FontId::proportional(17.0));
    let button = Button::new(text).min_size(Vec2::splat(theme::BUTTON)).frame_when_inactive(false);
    let response = ui.add_enabled(enabled, button);
    response.widget_info(|| WidgetInfo::labeled(Role::Button, enabled, tells));
    response.on_hover_text(tells).on_disabled_hover_text(tells)
}

/// The same, for what is shown or not.
pub(super) fn icon_toggle(ui: &mut Ui, icon: &str, tells: &str, on: &mut bool) -> Response {
    let text = RichText::new(icon).font(FontId::proportional(17.0));
    let button = Button::selectable(*on, text).min_size(Vec2::splat(theme::BUTTON));
    let response = ui.add(button);
    if response.clicked() {
        *on = !*on;
    }
    response.widget_info(|| WidgetInfo::selected(Role::Button, true, *on, tells));
    response.on_hover_text(tells)
}

/// The text of a button with an icon before it.
pub(super) fn labelled(icon: &str, text: &str) -> String {
    format!("{icon}  {text}")
}

/// A button with an icon and a text, which screen readers know by the text alone.
pub(super) fn button(ui: &mut Ui, icon: &str, text: &str, enabled: bool) -> Response {
    let response = ui.add_enabled(enabled, Button::new(labelled(icon, text)));
    response.widget_info(|| WidgetInfo::labeled(Role::Button, enabled, text));
    response
}

/// The button that does what the dialog is about.
pub(super) fn primary(ui: &mut Ui, text: &str, enabled: bool) -> Response {
    let fill = theme::accent(ui.visuals());
    coloured(ui, text, enabled, fill)
}

/// The same, where what it does cannot be undone.
pub(super) fn destructive(ui: &mut Ui, text: &str) -> Response {
    coloured(ui, text, true, Color32::from_rgb(0xb9, 0x32, 0x26))
}

fn coloured(ui: &mut Ui, text: &str, enabled: bool, fill: Color32) -> Response {
    let button =
        Button::new(RichText::new(text).color(Color32::WHITE)).fill(fill).min_size(Vec2::new(88.0, 32.0));
    ui.add_enabled(enabled, button)
}

/// What is shown where there is nothing: an icon, what is so, and what to do about it.
pub(super) fn empty(ui: &mut Ui, icon: &str, title: &str, lead: &str, act: impl FnOnce(&mut Ui)) {
    let space = ui.available_rect_before_wrap();
    let inner =
        eframe::egui::Rect::from_center_size(space.center(), Vec2::new(space.width().min(440.0), 200.0));
    let mut inside = ui.new_child(UiBuilder::new().max_rect(inner).layout(Layout::top_down(Align::Center)));
    inside.label(RichText::new(icon).font(FontId::proportional(44.0)).weak());
    inside.add_space(4.0);
    inside.label(RichText::new(title).strong().size(16.0));
    inside.label(RichText::new(lead).weak());
    inside.add_space(theme::GAP);
    act(&mut inside);
}

/// The icon of an entry.
pub(super) fn entry_icon(kind: sealift_protocol::message::EntryKind, name: &str) -> &'static str {
    use crate::icons::*;
    use sealift_protocol::message::EntryKind;
    match kind {
        EntryKind::Space => HARD_DRIVES,
        EntryKind::Directory => FOLDER,
        EntryKind::Link => LINK,
        EntryKind::File => match name.rsplit_once('.').map(|(_, end)| end.to_ascii_lowercase()).as_deref() {
            Some("png" | "jpg" | "jpeg" | "gif" | "webp" | "bmp" | "svg" | "heic") => FILE_IMAGE,
            Some("mp4" | "mkv" | "mov" | "avi" | "webm") => FILE_VIDEO,
            Some("mp3" | "flac" | "wav" | "ogg" | "m4a") => FILE_AUDIO,
            Some("zip" | "gz" | "xz" | "zst" | "bz2" | "7z" | "tar" | "rar" | "deb") => FILE_ZIP,
            Some("pdf") => FILE_PDF,
            Some("txt" | "md" | "log" | "csv" | "doc" | "docx" | "odt") => FILE_TEXT,
            Some("rs" | "py" | "js" | "ts" | "c" | "h" | "go" | "sh" | "toml" | "json" | "html" | "css") => {
                FILE_CODE
            }
            _ => FILE,
        },
    }
}
