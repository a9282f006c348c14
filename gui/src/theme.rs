//! Colours, distances and fonts.

use std::sync::Arc;

use eframe::egui::epaint::text::VariationCoords;
use eframe::egui::{
    Color32, Context, CornerRadius, FontData, FontDefinitions, FontFamily, FontId, Margin, RichText, Shadow,
    Stroke, Style, TextStyle, Theme, Ui, Vec2, Visuals,
};

/// The distance between things that belong together; others are twice as far. All distances are multiples of its half.
pub(crate) const GAP: f32 = 8.0;
/// The height of a row in a table.
pub(crate) const ROW: f32 = 32.0;
/// The height of a button, and the side of one that shows only an icon.
pub(crate) const BUTTON: f32 = 32.0;
/// The size of an icon on a button and in a row.
pub(crate) const ICON: f32 = 17.0;

/// The colours of one theme. Texts are readable on every ground that they stand on; a test computes it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Palette {
    /// Behind files and their facts.
    pub(crate) page: Color32,
    /// Behind what frames the page: the side bar and the transfers.
    pub(crate) side: Color32,
    /// Behind dialogs, menus and notices.
    raised: Color32,
    /// Behind what is typed.
    field: Color32,
    text: Color32,
    /// Texts and icons that say less.
    pub(crate) weak: Color32,
    /// Lines between parts.
    pub(crate) line: Color32,
    /// Frames of fields, which have to be seen to be found.
    frame: Color32,
    button: Color32,
    /// What the mouse is on.
    hover: Color32,
    /// What is important and good: icons of folders, bars, the ring around what has the keyboard.
    pub(crate) accent: Color32,
    /// The button that does what the dialog is about, with white text; and the same under the mouse.
    primary: [Color32; 2],
    /// The same where it cannot be undone.
    destructive: [Color32; 2],
    /// What is selected, and the text on it.
    selection: [Color32; 2],
    /// What is done.
    pub(crate) good: Color32,
    /// What wants attention.
    warn: Color32,
    /// What failed.
    bad: Color32,
}

const fn rgb(hex: u32) -> Color32 {
    let [_, red, green, blue] = hex.to_be_bytes();
    Color32::from_rgb(red, green, blue)
}

const LIGHT: Palette = Palette {
    page: rgb(0xffffff),
    side: rgb(0xf4f5f7),
    raised: rgb(0xffffff),
    field: rgb(0xffffff),
    text: rgb(0x1b2027),
    weak: rgb(0x5a6472),
    line: rgb(0xe2e5ea),
    frame: rgb(0xc3c9d2),
    button: rgb(0xe9ecf0),
    hover: rgb(0xdfe4ea),
    accent: rgb(0x1f6dc2),
    primary: [rgb(0x1f6dc2), rgb(0x195da7)],
    destructive: [rgb(0xb8301f), rgb(0x9e2718)],
    selection: [rgb(0xd5e6fa), rgb(0x0c3866)],
    good: rgb(0x17703f),
    warn: rgb(0x8a5700),
    bad: rgb(0xb3291c),
};

const DARK: Palette = Palette {
    page: rgb(0x16191e),
    side: rgb(0x1b1f25),
    raised: rgb(0x23282f),
    field: rgb(0x0f1216),
    text: rgb(0xe1e5eb),
    weak: rgb(0xa4aebb),
    line: rgb(0x2c323b),
    frame: rgb(0x454e5a),
    button: rgb(0x2a3038),
    hover: rgb(0x323a44),
    accent: rgb(0x62aaf4),
    primary: [rgb(0x2a74c6), rgb(0x2366b0)],
    destructive: [rgb(0xc23a2b), rgb(0xa93123)],
    selection: [rgb(0x1a3d66), rgb(0xe3effc)],
    good: rgb(0x62c28d),
    warn: rgb(0xefb34b),
    bad: rgb(0xff958a),
};

/// The colours that are used here.
pub(crate) fn palette(ui: &Ui) -> &'static Palette {
    if ui.visuals().dark_mode { &DARK } else { &LIGHT }
}

/// A text with more weight.
pub(crate) fn strong(text: impl Into<String>) -> RichText {
    RichText::new(text).family(FontFamily::Name("strong".into()))
}

/// Gives what is drawn the colours of the button that does what it is all about.
pub(crate) fn stand_out(ui: &mut Ui, destructive: bool) {
    let palette = palette(ui);
    let [usual, hovered] = if destructive { palette.destructive } else { palette.primary };
    let widgets = &mut ui.visuals_mut().widgets;
    for (widget, fill) in
        [(&mut widgets.inactive, usual), (&mut widgets.hovered, hovered), (&mut widgets.active, hovered)]
    {
        widget.weak_bg_fill = fill;
        widget.fg_stroke.color = Color32::WHITE;
    }
}

/// Gives the window its fonts and its styles, light and dark.
pub(crate) fn apply(window: &Context) {
    window.set_fonts(fonts());
    window.all_styles_mut(measures);
    window.set_visuals_of(Theme::Light, visuals(&LIGHT, Visuals::light()));
    window.set_visuals_of(Theme::Dark, visuals(&DARK, Visuals::dark()));
}

/// Inter in two weights from one file, the icons, and for all else what egui brings.
fn fonts() -> FontDefinitions {
    let mut fonts = FontDefinitions::default();
    let mut icons = FontData::from_static(include_bytes!("../assets/icons.ttf"));
    icons.tweak.y_offset_factor = 0.05;
    fonts.font_data.insert("icons".into(), Arc::new(icons));
    let others = fonts.families.get(&FontFamily::Proportional).cloned().unwrap_or_default();
    for (name, weight, family) in
        [("text", 400.0, FontFamily::Proportional), ("strong", 600.0, FontFamily::Name("strong".into()))]
    {
        let mut inter = FontData::from_static(include_bytes!("../assets/inter.ttf"));
        inter.tweak.coords = VariationCoords::new([(b"wght", weight)]);
        fonts.font_data.insert(name.into(), Arc::new(inter));
        let all = [name, "icons"].map(str::to_owned).into_iter().chain(others.clone());
        fonts.families.insert(family, all.collect());
    }
    fonts
}

fn measures(style: &mut Style) {
    style.text_styles = [
        (TextStyle::Small, FontId::proportional(12.0)),
        (TextStyle::Body, FontId::proportional(13.5)),
        (TextStyle::Button, FontId::proportional(13.5)),
        (TextStyle::Heading, FontId::new(22.0, FontFamily::Name("strong".into()))),
        (TextStyle::Monospace, FontId::monospace(12.0)),
    ]
    .into();
    style.spacing.item_spacing = Vec2::splat(GAP);
    style.spacing.button_padding = Vec2::new(12.0, 4.0);
    style.spacing.interact_size.y = BUTTON;
    style.spacing.icon_width = 16.0;
    style.spacing.window_margin = Margin::same(20);
    style.spacing.menu_margin = Margin::same(4);
    style.spacing.scroll.floating = true;
    style.interaction.selectable_labels = false;
    style.animation_time = 0.08;
}

fn visuals(palette: &Palette, egui: Visuals) -> Visuals {
    let mut visuals = egui;
    let widgets = &mut visuals.widgets;
    for (widget, fill, text) in [
        (&mut widgets.noninteractive, palette.page, palette.text),
        (&mut widgets.inactive, palette.button, palette.text),
        (&mut widgets.hovered, palette.hover, palette.text),
        (&mut widgets.active, palette.hover, palette.text),
        (&mut widgets.open, palette.hover, palette.text),
    ] {
        widget.corner_radius = CornerRadius::same(6);
        widget.expansion = 0.0;
        (widget.weak_bg_fill, widget.bg_fill) = (fill, fill);
        widget.fg_stroke = Stroke::new(1.0, text);
        widget.bg_stroke = Stroke::NONE;
    }
    widgets.noninteractive.bg_stroke = Stroke::new(1.0, palette.line);
    // What has the keyboard has a ring.
    widgets.active.bg_stroke = Stroke::new(2.0, palette.accent);
    visuals.weak_text_color = Some(palette.weak);
    visuals.panel_fill = palette.page;
    visuals.window_fill = palette.raised;
    visuals.window_stroke = Stroke::new(1.0, palette.line);
    visuals.extreme_bg_color = palette.field;
    visuals.faint_bg_color = palette.side;
    visuals.selection.bg_fill = palette.selection[0];
    visuals.selection.stroke = Stroke::new(1.0, palette.selection[1]);
    visuals.hyperlink_color = palette.accent;
    visuals.error_fg_color = palette.bad;
    visuals.warn_fg_color = palette.warn;
    visuals.window_corner_radius = CornerRadius::same(12);
    visuals.menu_corner_radius = CornerRadius::same(8);
    let shadow = Shadow { offset: [0, 6], blur: 24, spread: 0, color: Color32::from_black_alpha(56) };
    (visuals.window_shadow, visuals.popup_shadow) = (shadow, shadow);
    visuals
}

/// Gives fields the frames by which they are found.
pub(crate) fn frame_fields(ui: &mut Ui) {
    let palette = palette(ui);
    let visuals = ui.visuals_mut();
    visuals.widgets.inactive.bg_stroke = Stroke::new(1.0, palette.frame);
    visuals.widgets.hovered.bg_stroke = Stroke::new(1.0, palette.weak);
    visuals.selection.stroke = Stroke::new(2.0, palette.accent);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The contrast of two colours as WCAG 2.1 defines it.
    fn contrast(one: Color32, other: Color32) -> f64 {
        let luminance = |colour: Color32| {
            let linear = |value: u8| {
                let value = f64::from(value) / 255.0;
                if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
            };
            0.2126 * linear(colour.r()) + 0.7152 * linear(colour.g()) + 0.0722 * linear(colour.b())
        };
        let (one, other) = (luminance(one), luminance(other));
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }

    #[test]
    fn contrast_is_what_the_standard_says() {
        assert!((contrast(Color32::WHITE, Color32::BLACK) - 21.0).abs() < 1e-9);
        assert!((contrast(rgb(0x767676), Color32::WHITE) - 4.54).abs() < 0.01);
    }

    #[test]
    fn every_text_can_be_read_where_it_stands() {
        for (name, palette) in [("light", LIGHT), ("dark", DARK)] {
            let Palette { page, side, raised, button, hover, selection, .. } = palette;
            let texts = [palette.text, palette.weak, palette.good, palette.warn, palette.bad];
            let mut pairs = Vec::new();
            for ground in [page, side, raised, button, hover, selection[0]] {
                pairs.extend(texts.map(|text| (text, ground)));
            }
            pairs.push((palette.text, palette.field));
            pairs.push((palette.weak, palette.field));
            pairs.push((selection[1], selection[0]));
            pairs.extend([page, side, raised].map(|ground| (palette.accent, ground)));
            pairs.extend(palette.primary.map(|fill| (Color32::WHITE, fill)));
            pairs.extend(palette.destructive.map(|fill| (Color32::WHITE, fill)));
            for (text, ground) in pairs {
                let contrast = contrast(text, ground);
                assert!(contrast >= 4.5, "{name}: {text:?} on {ground:?} has only {contrast:.2}");
            }
            // Icons and the ring around what has the keyboard: what is no text needs 3.
            for ground in [page, side, raised, selection[0]] {
                let contrast = contrast(palette.accent, ground);
                assert!(contrast >= 3.0, "{name}: the ring on {ground:?} has only {contrast:.2}");
            }
        }
    }
}
