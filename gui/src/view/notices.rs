//! Short messages in the corner of the window.

use eframe::egui::{Align2, Area, Context, Frame, Id, Label, Margin, Order, RichText, Vec2};

use super::widgets;
use crate::model::Model;
use crate::{icons, texts, theme};
use std::time::Instant;

pub(super) fn show(window: &Context, model: &mut Model) {
    let notices = model.notices.at(Instant::now()).to_vec();
    if notices.is_empty() {
        return;
    }
    let (mut undone, mut dismissed) = (None, None);
    let area = Area::new(Id::unique("notices")).order(Order::Foreground);
    // Fading in would take a picture every few milliseconds, often while something else begins.
    let area = area.fade_in(false);
    area.anchor(Align2::RIGHT_BOTTOM, Vec2::new(-16.0, -16.0)).show(window, |ui| {
        for notice in &notices {
            let frame = Frame::popup(ui.style()).inner_margin(Margin::symmetric(12, 8));
            frame.show(ui, |ui| {
                ui.set_max_width(380.0);
                ui.horizontal(|ui| {
                    let (icon, colour) = match notice.bad {
                        true => (icons::WARNING_CIRCLE, ui.visuals().error_fg_color),
                        false => (icons::CHECK_CIRCLE, theme::good(ui.visuals())),
                    };
                    ui.label(RichText::new(icon).size(18.0).color(colour));
                    let room = if notice.undo.is_some() { 240.0 } else { 300.0 };
                    ui.scope(|ui| {
                        ui.set_max_width(room);
                        ui.add(Label::new(&notice.text).wrap());
                    });
                    if notice.undo.is_some() && ui.button(texts::UNDO).clicked() {
                        undone = Some(notice.id);
                    }
                    if widgets::icon_button(ui, icons::X, texts::DISMISS, true).clicked() {
                        dismissed = Some(notice.id);
                    }
                });
            });
        }
    });
    if let Some(undo) = undone.and_then(|id| model.notices.dismiss(id)).and_then(|notice| notice.undo) {
        model.undo(undo);
    }
    if let Some(id) = dismissed {
        model.notices.dismiss(id);
    }
}
