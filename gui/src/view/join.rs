//! Joining a server: the first thing that is seen.

use eframe::egui::{Align, Align2, Key, Label, Layout, Rect, RichText, TextEdit, Ui, UiBuilder, Vec2};

use super::widgets;
use crate::model::{Model, Screen};
use crate::theme::GAP;
use crate::{icons, texts, theme};

pub(super) fn show(ui: &mut Ui, model: &mut Model) {
    // The form is about so high; a small window shows its beginning.
    const SIZE: Vec2 = Vec2::new(440.0, 430.0);
    let space = ui.available_rect_before_wrap();
    let size = SIZE.min(space.size() - Vec2::splat(2.0 * GAP));
    let inner = Rect::from_center_size(space.center(), size);
    let mut ui = ui.new_child(UiBuilder::new().max_rect(inner).layout(Layout::top_down(Align::Min)));
    let ui = &mut ui;
    ui.label(RichText::new(icons::CLOUD_ARROW_UP).size(44.0).color(theme::palette(ui).accent));
    let again = model.join.again.clone();
    match &again {
        Some(server) => ui.heading(texts::join_again_title(server.as_str())),
        None => ui.heading(texts::JOIN_TITLE),
    };
    let lead = if again.is_some() { texts::JOIN_AGAIN_LEAD } else { texts::JOIN_LEAD };
    ui.label(RichText::new(lead).weak());
    ui.add_space(GAP);
    ui.spacing_mut().item_spacing.y = GAP / 2.0;
    let usual = ui.style().clone();
    theme::frame_fields(ui);

    let busy = model.join.busy;
    let label = ui.label(texts::JOIN_TOKEN);
    let token = TextEdit::multiline(&mut model.join.token)
        .hint_text(texts::JOIN_TOKEN_HINT)
        .desired_rows(3)
        .desired_width(f32::INFINITY)
        .font(eframe::egui::TextStyle::Monospace)
        // Enter connects: a token has one line.
        .return_key(None);
    let field = ui.add_enabled(!busy, token).labelled_by(label.id);
    if model.join.token.is_empty() && ui.memory(|memory| memory.focused().is_none()) {
        field.request_focus();
    }
    let named = again.is_none().then(|| {
        ui.add_space(GAP);
        let label = ui.label(texts::JOIN_NAME);
        let name = TextEdit::singleline(&mut model.join.name)
            .hint_text(texts::JOIN_NAME_HINT)
            .align(Align2::LEFT_CENTER)
            .desired_width(f32::INFINITY);
        ui.add_enabled(!busy, name).labelled_by(label.id)
    });
    ui.set_style(usual);
    ui.add_space(2.0 * GAP);

    ui.horizontal(|ui| {
        let enabled = !busy && !model.join.token.trim().is_empty();
        let text = if busy { texts::JOIN_BUSY } else { texts::JOIN_GO };
        let left_by_enter = named.is_some_and(|named| named.lost_focus());
        let enter = (field.has_focus() || left_by_enter) && ui.input(|input| input.key_pressed(Key::Enter));
        if widgets::primary(ui, text, enabled).clicked() || (enabled && enter) {
            model.submit_join();
        }
        if !model.profiles.is_empty() && ui.button(texts::CANCEL).clicked() {
            model.screen = Screen::Browse;
        }
    });
    ui.add_space(GAP);
    match &model.join.trouble {
        Some(trouble) => {
            ui.horizontal_top(|ui| {
                let bad = ui.visuals().error_fg_color;
                ui.label(RichText::new(icons::WARNING_CIRCLE).size(theme::ICON).color(bad));
                ui.add(Label::new(RichText::new(texts::sentence(&trouble.message)).color(bad)).wrap());
            });
        }
        None => {
            ui.label(RichText::new(texts::JOIN_NO_TOKEN).weak().small());
        }
    }
}
