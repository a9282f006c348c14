//! Short messages, above the transfers and where no button is.

use eframe::egui::{
    Align2, Area, Context, Frame, Id, Label, Margin, Order, Rect, RichText, Vec2, accesskit::Live,
};

use super::widgets;
use crate::model::Model;
use crate::theme::GAP;
use crate::{icons, texts, theme};
use std::time::Instant;

/// Shows them at the bottom of the `page`, below dialogs: a question can always be answered.
pub(super) fn show(window: &Context, model: &mut Model, page: Rect) {
    /// The height of one of two lines, and the distance to the next.
    const HEIGHT: f32 = 56.0;
    let notices = model.notices.at(Instant::now()).to_vec();
    if notices.is_empty() {
        return;
    }
    // Where there is little room the older ones give way.
    let fit = 1 + notices
        .iter()
        .skip(1)
        .zip(2_u8..)
        .filter(|(_, count)| f32::from(*count) * HEIGHT <= page.height())
        .count();
    let notices = &notices[notices.len() - fit..];
    let (mut undone, mut dismissed) = (None, None);
    let area = Area::new(Id::unique("notices")).order(Order::Middle);
    // Fading in would take a picture every few milliseconds, often while something else begins.
    let area = area.fade_in(false);
    let at = page.center_bottom() - Vec2::new(0.0, 2.0 * GAP);
    area.pivot(Align2::CENTER_BOTTOM).fixed_pos(at).show(window, |ui| {
        for notice in notices {
            let frame =
                Frame::popup(ui.style()).inner_margin(Margin { left: 16, right: 8, top: 6, bottom: 6 });
            frame.show(ui, |ui| {
                ui.set_width((page.width() - 64.0).clamp(200.0, 400.0));
                ui.horizontal(|ui| {
                    let (icon, colour) = match notice.bad {
                        true => (icons::WARNING_CIRCLE, ui.visuals().error_fg_color),
                        false => (icons::CHECK_CIRCLE, theme::palette(ui).good),
                    };
                    ui.label(RichText::new(icon).size(18.0).color(colour));
                    let buttons = if notice.undo.is_some() { 120.0 } else { 40.0 };
                    let room = ui.available_width() - buttons;
                    ui.scope(|ui| {
                        ui.set_width(room);
                        let label = ui.add(Label::new(texts::sentence(&notice.text)).wrap());
                        // Screen readers say it when it comes.
                        let live = if notice.bad { Live::Assertive } else { Live::Polite };
                        window.accesskit_node_builder(label.id, |node| node.set_live(live));
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
