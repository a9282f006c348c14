//! Small things that several parts of the window draw alike.

use eframe::egui::{
    Align, Align2, Button, IntoAtoms, Key, KeyboardShortcut, Layout, Modifiers, Rect, Response, RichText,
    Sense, TextEdit, Ui, UiBuilder, Vec2, WidgetInfo, accesskit::Role, vec2,
};

use crate::theme;

/// A button that shows only an icon; what it does is told by pointing at it, and to screen readers.
pub(super) fn icon_button(ui: &mut Ui, icon: &str, tells: &str, enabled: bool) -> Response {
    let response = ui.add_enabled_ui(enabled, |ui| square(ui, icon, None)).inner;
    response.widget_info(|| WidgetInfo::labeled(Role::Button, enabled, tells));
    response.on_hover_text(tells).on_disabled_hover_text(tells)
}

/// The same, for what is shown or not.
pub(super) fn icon_toggle(ui: &mut Ui, icon: &str, tells: &str, on: &mut bool) -> Response {
    let response = square(ui, icon, Some(*on));
    if response.clicked() {
        *on = !*on;
    }
    response.widget_info(|| WidgetInfo::selected(Role::Button, true, *on, tells));
    response.on_hover_text(tells)
}

fn square(ui: &mut Ui, icon: &str, selected: Option<bool>) -> Response {
    ui.scope(|ui| {
        ui.spacing_mut().button_padding.x = 0.0;
        let mut button = Button::new(RichText::new(icon).size(theme::ICON))
            .min_size(Vec2::splat(theme::BUTTON))
            .frame_when_inactive(selected == Some(true));
        if let Some(selected) = selected {
            button = button.selected(selected);
        }
        ui.add(button)
    })
    .inner
}

/// The text of a field that shows an icon before it.
pub(super) fn labelled(icon: &str, text: &str) -> String {
    format!("{icon}  {text}")
}

/// An icon and a text, for a button.
pub(super) fn atoms<'a>(icon: &'a str, text: &'a str) -> impl IntoAtoms<'a> {
    (RichText::new(icon).size(theme::ICON), text)
}

/// A button with an icon and a text, which screen readers know by the text alone.
pub(super) fn button(ui: &mut Ui, icon: &str, text: &str, enabled: bool) -> Response {
    let response = ui.add_enabled(enabled, Button::new(atoms(icon, text)).gap(theme::GAP));
    response.widget_info(|| WidgetInfo::labeled(Role::Button, enabled, text));
    response
}

/// The measures of a menu.
pub(super) fn menu(ui: &mut Ui) {
    ui.spacing_mut().item_spacing.y = 0.0;
    ui.spacing_mut().interact_size.y = 28.0;
    ui.set_min_width(176.0);
}

/// A line of a menu, with the keys that do the same; whether it was chosen.
pub(super) fn menu_item(
    ui: &mut Ui,
    icon: &str,
    text: &str,
    keys: Option<(Modifiers, Key)>,
    enabled: bool,
) -> bool {
    menu_line(ui, icon, text, keys, enabled).clicked()
}

/// The same, with all that was done to it.
pub(super) fn menu_line(
    ui: &mut Ui,
    icon: &str,
    text: &str,
    keys: Option<(Modifiers, Key)>,
    enabled: bool,
) -> Response {
    let mut button = Button::new(atoms(icon, text)).gap(theme::GAP);
    if let Some((modifiers, key)) = keys {
        button = button.shortcut_text(ui.ctx().format_shortcut(&KeyboardShortcut::new(modifiers, key)));
    }
    let response = ui.add_enabled(enabled, button);
    response.widget_info(|| WidgetInfo::labeled(Role::MenuItem, enabled, text));
    response
}

/// The button that does what the dialog is about.
pub(super) fn primary(ui: &mut Ui, text: &str, enabled: bool) -> Response {
    standing_out(ui, text, enabled, false)
}

/// The same, where what it does cannot be undone.
pub(super) fn destructive(ui: &mut Ui, text: &str) -> Response {
    standing_out(ui, text, true, true)
}

fn standing_out(ui: &mut Ui, text: &str, enabled: bool, destructive: bool) -> Response {
    ui.scope(|ui| {
        theme::stand_out(ui, destructive);
        let button = Button::new(theme::strong(text)).min_size(Vec2::new(88.0, theme::BUTTON));
        ui.add_enabled(enabled, button)
    })
    .inner
}

/// A field of one line that says what it is for when it is empty, and to screen readers always.
pub(super) fn filter(ui: &mut Ui, text: &mut String, tells: &str, width: f32) -> Response {
    let response = ui
        .scope(|ui| {
            theme::frame_fields(ui);
            let hint = labelled(crate::icons::MAGNIFYING_GLASS, tells);
            ui.add(TextEdit::singleline(text).hint_text(hint).desired_width(width).align(Align2::LEFT_CENTER))
        })
        .inner;
    let value = text.clone();
    response.widget_info(|| {
        let mut info = WidgetInfo::text_edit(true, value.clone(), value.clone(), tells);
        info.label = Some(tells.to_owned());
        info
    });
    response
}

/// A box to check, with a frame by which it is found.
pub(super) fn checkbox(ui: &mut Ui, checked: &mut bool, text: &str) {
    ui.scope(|ui| {
        theme::frame_fields(ui);
        let page = ui.visuals().extreme_bg_color;
        ui.visuals_mut().widgets.inactive.bg_fill = page;
        ui.checkbox(checked, text);
    });
}

/// A bar that screen readers can read.
pub(super) fn bar(ui: &mut Ui, fraction: f32, height: f32, tells: &str, on: bool) {
    let palette = theme::palette(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), height), Sense::hover());
    let mut done = rect;
    done.set_width(rect.width() * fraction.clamp(0.0, 1.0));
    ui.painter().rect_filled(rect, height / 2.0, palette.line);
    ui.painter().rect_filled(done, height / 2.0, if on { palette.accent } else { palette.weak });
    response.widget_info(|| {
        let mut info = WidgetInfo::labeled(Role::ProgressIndicator, true, tells);
        info.value = Some(f64::from(fraction) * 100.0);
        info
    });
}

/// What is shown where there is nothing: an icon, what is so, and what to do about it.
pub(super) fn empty(ui: &mut Ui, icon: &str, title: &str, lead: &str, act: impl FnOnce(&mut Ui)) {
    let space = ui.available_rect_before_wrap();
    let size = Vec2::new((space.width() - 2.0 * theme::GAP).min(420.0), space.height().min(212.0));
    let inner = Rect::from_center_size(space.center(), size);
    let mut inside = ui.new_child(UiBuilder::new().max_rect(inner).layout(Layout::top_down(Align::Center)));
    let ui = &mut inside;
    ui.spacing_mut().item_spacing.y = 4.0;
    ui.label(RichText::new(icon).size(40.0).weak());
    ui.add_space(4.0);
    ui.label(theme::strong(title).size(16.0));
    if !lead.is_empty() {
        ui.label(RichText::new(lead).weak());
    }
    ui.add_space(12.0);
    act(ui);
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
