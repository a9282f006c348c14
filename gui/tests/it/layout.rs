//! Where things are: nothing is cut off, nothing is covered, nothing jumps.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use eframe::egui::{Rect, Vec2, accesskit::Role};
use egui_kittest::kittest::{By, NodeT, Queryable};
use sealift_tests::World;

use crate::busy;
use crate::desk::Desk;
use crate::tour::tour;

impl Desk {
    /// What can be used, and where it is.
    fn controls(&self) -> Vec<(String, Rect)> {
        let nodes = self.screen.root().query_all(By::new());
        let controls = nodes.filter(|node| {
            let role = node.accesskit_node().role();
            matches!(
                role,
                Role::Button | Role::CheckBox | Role::ComboBox | Role::SpinButton | Role::TextInput
            )
        });
        controls
            .map(|node| (node.accesskit_node().label().unwrap_or_default(), node.rect()))
            .filter(|(name, _)| name != "Resize panel")
            .collect()
    }

    /// Where each of these is.
    fn places(&self, names: &[&str]) -> BTreeMap<String, Rect> {
        self.controls().into_iter().filter(|(name, _)| names.contains(&name.as_str())).collect()
    }
}

#[tokio::test]
async fn in_a_small_window_everything_is_there_and_nothing_covers_anything() {
    const SMALL: Vec2 = Vec2::new(640.0, 480.0);
    let plain = [
        "join",
        "join-failed",
        "empty",
        "files",
        "main",
        "failed",
        "paused",
        "done",
        "waiting",
        "log",
        "many",
        "away",
    ];
    let mut seen = 0;
    tour(|desk: &mut Desk, screen: &str| {
        if !plain.contains(&screen) {
            return;
        }
        seen += 1;
        desk.resize(SMALL, 1.0);
        let window = Rect::from_min_size(eframe::egui::Pos2::ZERO, SMALL);
        // Paths and lists scroll: what is outside of them is not lost.
        let scrolls = |name: &str| {
            name.contains(": ") || ["All spaces", "alice", "team", "measurements"].contains(&name)
        };
        let controls: Vec<_> = desk.controls().into_iter().filter(|(name, _)| !scrolls(name)).collect();
        for (at, (name, rect)) in controls.iter().enumerate() {
            assert!(window.contains_rect(*rect), "{screen}: {name} is cut off: {rect:?}");
            for (other, place) in &controls[..at] {
                let common = rect.intersect(*place);
                assert!(!common.is_positive(), "{screen}: {name} {rect:?} and {other} {place:?}");
            }
        }
        desk.resize(Vec2::new(1120.0, 760.0), 1.0);
    })
    .await;
    assert_eq!(seen, plain.len());
}

#[tokio::test]
async fn notices_cover_no_button() {
    let mut seen = false;
    tour(|desk: &mut Desk, screen: &str| {
        if screen != "notices" {
            return;
        }
        seen = true;
        for size in [Vec2::new(1120.0, 760.0), Vec2::new(640.0, 480.0)] {
            desk.resize(size, 1.0);
            let (notices, others): (Vec<_>, Vec<_>) =
                desk.controls().into_iter().partition(|(name, _)| name == "Dismiss" || name == "Undo");
            assert!(!notices.is_empty());
            // A notice is as wide as 400 points and a margin.
            let covered = notices.iter().map(|(_, rect)| rect.with_min_x(rect.right() - 420.0).expand(8.0));
            let covered = covered.reduce(Rect::union).unwrap();
            for (name, rect) in others {
                assert!(
                    !covered.intersect(rect).is_positive(),
                    "{name} {rect:?} is behind a notice {covered:?}"
                );
            }
        }
        desk.resize(Vec2::new(1120.0, 760.0), 1.0);
    })
    .await;
    assert!(seen);
}

#[tokio::test]
async fn nothing_jumps_while_transfers_go_on() {
    let world = World::start().await;
    let mut desk = Desk::joined(&world, "alice").await;
    let all = ["Pause all", "Resume all", "Retry all failed", "Clear finished", "At once", "New folder"];
    let without = desk.places(&all);
    assert_eq!(without.len(), all.len());
    let rows = ["Pause: Website", "Cancel: Website", "Cancel: ship.glb"];
    let mut before = None;
    for crossed in [1, 99, 741, 1_929] {
        desk.screen.state_mut().model.queue = Arc::new(Mutex::new(busy::under_way(crossed)));
        desk.screen.run_steps(3);
        assert_eq!(desk.places(&all), without);
        let places = desk.places(&rows);
        assert_eq!(places.len(), rows.len());
        assert_eq!(*before.get_or_insert_with(|| places.clone()), places);
    }
    world.stop().await;
}
