//! Pictures of every screen, for whoever wants to see what a change looks like. `just pictures` makes them.

use std::path::Path;

use eframe::egui::{Theme, Vec2};

use crate::canvas::save;
use crate::desk::Desk;
use crate::tour::tour;

/// The looks of which pictures are taken: in which colours, how large in points, with how many pixels a point.
const LOOKS: [(&str, Theme, Vec2, f32); 5] = [
    ("dark", Theme::Dark, Vec2::new(1120.0, 720.0), 1.0),
    ("light", Theme::Light, Vec2::new(1120.0, 720.0), 1.0),
    ("dark-2x", Theme::Dark, Vec2::new(1120.0, 720.0), 2.0),
    ("light-2x", Theme::Light, Vec2::new(1120.0, 720.0), 2.0),
    ("small", Theme::Dark, Vec2::new(640.0, 480.0), 1.0),
];

/// Puts a picture of every screen in every look into `target/tmp/pictures`; or, where `SEALIFT_PICTURES` names pictures
/// (`files-dark,log-light`), only these.
#[tokio::test]
#[ignore = "takes minutes, and is for the eye: `just pictures` runs it"]
async fn every_screen() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pictures");
    let wanted = std::env::var("SEALIFT_PICTURES").unwrap_or_default();
    tour(|desk: &mut Desk, screen: &str| {
        for (look, theme, size, scale) in LOOKS {
            let name = format!("{screen}-{look}");
            if wanted.is_empty() || wanted.split(',').any(|one| one == name) {
                save(&desk.picture(theme, size, scale), &folder.join(name + ".png"));
            }
        }
    })
    .await;
}
