//! Pictures of every screen, light and dark, for whoever wants to see what a change looks like.
//!
//! `just pictures` makes them: all of them in `target/tmp/pictures`, and those of the documentation in `docs/images`.

use std::path::Path;

use eframe::egui::{Theme, Vec2};

use crate::canvas::save;
use crate::desk::Desk;
use crate::tour::tour;

const USUAL: Vec2 = Vec2::new(1120.0, 720.0);
const SMALL: Vec2 = Vec2::new(640.0, 480.0);

#[tokio::test]
#[ignore = "makes pictures, for `just pictures`"]
async fn every_screen() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pictures");
    let only = std::env::var("SEALIFT_PICTURES").unwrap_or_default();
    let wanted = |name: &str| only.is_empty() || only.split(',').any(|one| one == name);
    tour(|desk: &mut Desk, name: &str| {
        if !wanted(name) {
            return;
        }
        let kinds = std::env::var("SEALIFT_PICTURE_KINDS").unwrap_or_default();
        for (theme, size, scale, kind) in [
            (Theme::Dark, USUAL, 1.0, "dark"),
            (Theme::Light, USUAL, 1.0, "light"),
            (Theme::Light, USUAL, 2.0, "light-2x"),
            (Theme::Dark, USUAL, 2.0, "dark-2x"),
            (Theme::Dark, SMALL, 1.0, "small"),
        ] {
            if !kinds.is_empty() && !kinds.split(',').any(|one| one == kind) {
                continue;
            }
            save(&desk.picture(theme, size, scale), &folder.join(format!("{name}-{kind}.png")));
        }
    })
    .await;
}
