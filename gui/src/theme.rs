//! Colours, distances and fonts.

use std::sync::Arc;

use eframe::egui::{
    Color32, Context, CornerRadius, FontData, FontDefinitions, FontFamily, FontId, Margin, Stroke, Style,
    TextStyle, Theme, Vec2, Visuals,
};

/// The distance between things that belong together; others are twice as far.
pub(crate) const GAP: f32 = 8.0;
/// The height of a row in a table.
pub(crate) const ROW: f32 = 30.0;
/// The side of a button that shows only an icon.
pub(crate) const BUTTON: f32 = 30.0;

/// Gives the window its fonts and its styles, light and dark.
pub(crate) fn apply(window: &Context) {
    let mut fonts = FontDefinitions::default();
    let mut icons = FontData::from_static(include_bytes!("../assets/icons.ttf"));
    icons.tweak.y_offset_factor = 0.05;
    fonts.font_data.insert("icons".into(), Arc::new(icons));
    fonts.families.entry(FontFamily::Proportional).or_default().insert(1, "icons".into());
    window.set_fonts(fonts);
    window.all_styles_mut(measures);
    window.set_visuals_of(Theme::Light, light());
    window.set_visuals_of(Theme::Dark, dark());
}

fn measures(style: &mut Style) {
    style.text_styles = [
        (TextStyle::Small, FontId::proportional(12.0)),
        (TextStyle::Body, FontId::proportional(14.0)),
        (TextStyle::Button, FontId::proportional(14.0)),
        (TextStyle::Heading, FontId::proportional(20.0)),
        (TextStyle::Monospace, FontId::monospace(12.5)),
    ]
    .into();
    style.spacing.item_spacing = Vec2::new(GAP, GAP);
    style.spacing.button_padding = Vec2::new(10.0, 5.0);
    style.spacing.interact_size.y = BUTTON;
    style.spacing.window_margin = Margin::same(18);
    style.spacing.menu_margin = Margin::same(6);
    style.spacing.scroll.floating = true;
    style.interaction.selectable_labels = false;
    style.animation_time = 0.08;
}

fn shape(visuals: &mut Visuals) {
    let round = CornerRadius::same(6);
    let widgets = &mut visuals.widgets;
    for widget in [
        &mut widgets.noninteractive,
        &mut widgets.inactive,
        &mut widgets.hovered,
        &mut widgets.active,
        &mut widgets.open,
    ] {
        widget.corner_radius = round;
        widget.expansion = 0.0;
    }
    visuals.window_corner_radius = CornerRadius::same(10);
    visuals.menu_corner_radius = CornerRadius::same(8);
    visuals.striped = false;
}

fn light() -> Visuals {
    let mut visuals = Visuals::light();
    shape(&mut visuals);
    visuals.panel_fill = Color32::from_rgb(0xfb, 0xfb, 0xfc);
    visuals.window_fill = Color32::WHITE;
    visuals.extreme_bg_color = Color32::WHITE;
    visuals.faint_bg_color = Color32::from_rgb(0xf2, 0xf4, 0xf7);
    visuals.widgets.noninteractive.fg_stroke = Stroke::new(1.0, Color32::from_rgb(0x24, 0x2a, 0x33));
    visuals.widgets.noninteractive.bg_stroke = Stroke::new(1.0, Color32::from_rgb(0xe1, 0xe5, 0xea));
    visuals.widgets.inactive.fg_stroke = Stroke::new(1.0, Color32::from_rgb(0x2d, 0x35, 0x40));
    visuals.widgets.inactive.weak_bg_fill = Color32::from_rgb(0xec, 0xef, 0xf3);
    visuals.widgets.inactive.bg_fill = Color32::from_rgb(0xdf, 0xe4, 0xea);
    visuals.widgets.hovered.weak_bg_fill = Color32::from_rgb(0xdf, 0xe5, 0xec);
    visuals.widgets.hovered.bg_stroke = Stroke::NONE;
    visuals.widgets.open.weak_bg_fill = Color32::from_rgb(0xdf, 0xe5, 0xec);
    visuals.selection.bg_fill = Color32::from_rgb(0xcf, 0xe3, 0xfb);
    visuals.selection.stroke = Stroke::new(1.0, Color32::from_rgb(0x0b, 0x3d, 0x75));
    visuals.hyperlink_color = Color32::from_rgb(0x1f, 0x6f, 0xc4);
    visuals.error_fg_color = Color32::from_rgb(0xb3, 0x2a, 0x1e);
    visuals.warn_fg_color = Color32::from_rgb(0x8f, 0x5a, 0x00);
    visuals
}

fn dark() -> Visuals {
    let mut visuals = Visuals::dark();
    shape(&mut visuals);
    visuals.panel_fill = Color32::from_rgb(0x17, 0x1a, 0x1f);
    visuals.window_fill = Color32::from_rgb(0x20, 0x24, 0x2b);
    visuals.extreme_bg_color = Color32::from_rgb(0x0f, 0x12, 0x16);
    visuals.faint_bg_color = Color32::from_rgb(0x1e, 0x22, 0x28);
    visuals.widgets.noninteractive.fg_stroke = Stroke::new(1.0, Color32::from_rgb(0xdd, 0xe2, 0xe9));
    visuals.widgets.noninteractive.bg_stroke = Stroke::new(1.0, Color32::from_rgb(0x2c, 0x32, 0x3a));
    visuals.widgets.inactive.fg_stroke = Stroke::new(1.0, Color32::from_rgb(0xd3, 0xd9, 0xe1));
    visuals.widgets.inactive.weak_bg_fill = Color32::from_rgb(0x29, 0x2f, 0x37);
    visuals.widgets.inactive.bg_fill = Color32::from_rgb(0x33, 0x3a, 0x44);
    visuals.widgets.hovered.weak_bg_fill = Color32::from_rgb(0x35, 0x3d, 0x48);
    visuals.widgets.hovered.bg_stroke = Stroke::NONE;
    visuals.widgets.open.weak_bg_fill = Color32::from_rgb(0x35, 0x3d, 0x48);
    visuals.selection.bg_fill = Color32::from_rgb(0x1d, 0x45, 0x70);
    visuals.selection.stroke = Stroke::new(1.0, Color32::from_rgb(0xdb, 0xea, 0xfb));
    visuals.hyperlink_color = Color32::from_rgb(0x6d, 0xb0, 0xf5);
    visuals.error_fg_color = Color32::from_rgb(0xff, 0x8a, 0x7d);
    visuals.warn_fg_color = Color32::from_rgb(0xf0, 0xb4, 0x4c);
    visuals
}

/// The colour of what is important and good: bars, icons of folders, the button that does it.
pub(crate) fn accent(visuals: &Visuals) -> Color32 {
    if visuals.dark_mode { Color32::from_rgb(0x3f, 0x8e, 0xe0) } else { Color32::from_rgb(0x1f, 0x6f, 0xc4) }
}

/// The colour of what is done.
pub(crate) fn good(visuals: &Visuals) -> Color32 {
    if visuals.dark_mode { Color32::from_rgb(0x63, 0xc1, 0x8d) } else { Color32::from_rgb(0x1d, 0x7a, 0x48) }
}
