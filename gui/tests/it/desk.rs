//! A person's desk: a real server, and the window's screens driven by what they say to a screen reader.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use eframe::egui::{self, DroppedFile, Theme, Vec2};
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT, Queryable};
use sealift_gui::model::queue::{Item, Spec};
use sealift_gui::{App, Places};
use sealift_protocol::message::Direction;
use sealift_tests::{PATIENCE, World};
use sealift_transfer::Profiles;

use crate::canvas::Canvas;

/// A person's desk.
pub(crate) struct Desk {
    /// What is drawn, and the hand that clicks.
    pub(crate) screen: Harness<'static, App>,
    pub(crate) folder: tempfile::TempDir,
    canvas: Canvas,
}

/// The size of the window, in points.
const SIZE: Vec2 = Vec2::new(1120.0, 760.0);

impl Desk {
    /// A desk on which no server was ever joined.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self::at(folder, None)
    }

    /// A desk on which these things lie already; the window is opened with a token or without.
    pub(crate) fn at(folder: tempfile::TempDir, token: Option<String>) -> Self {
        let canvas = Canvas::default();
        let screen = open(folder.path(), token, canvas.clone());
        Self { screen, folder, canvas }
    }

    /// A desk of somebody who has joined the world's server.
    pub(crate) async fn joined(world: &World, name: &str) -> Self {
        let mut desk = Self::new();
        desk.join(world, name);
        desk
    }

    /// Joins as a person does.
    pub(crate) fn join(&mut self, world: &World, name: &str) {
        let token = world.invite(name).to_string();
        self.paste_token(&token);
        self.until("the own space", |screen| {
            screen.query_all_by_label("This folder is empty").next().is_some()
        });
    }

    /// Pastes a token and connects with it.
    pub(crate) fn paste_token(&mut self, token: &str) {
        self.until("the token's field", |screen| screen.query_all_by_label("Token").next().is_some());
        self.screen.get_by_role_and_label(egui::accesskit::Role::MultilineTextInput, "Token").focus();
        self.screen.run_steps(2);
        self.screen
            .get_by_role_and_label(egui::accesskit::Role::MultilineTextInput, "Token")
            .type_text(token);
        self.screen.run_steps(2);
        self.click("Connect");
    }

    /// Closes the window and opens it again.
    pub(crate) fn reopen(self) -> Self {
        self.reopen_with(None)
    }

    /// The same with a token on the command line.
    pub(crate) fn reopen_with(self, token: Option<String>) -> Self {
        let Self { screen, folder, .. } = self;
        drop(screen);
        Self::at(folder, token)
    }

    /// Gives the window another size, in points, on a screen with that many pixels a point.
    pub(crate) fn resize(&mut self, size: Vec2, scale: f32) {
        self.screen.set_size(size);
        let viewport = self.screen.input_mut().viewports.get_mut(&egui::ViewportId::ROOT).unwrap();
        viewport.native_pixels_per_point = Some(scale);
        // Tables and menus take their measures first.
        self.screen.run_steps(6);
    }

    /// What is to be seen in a window of that size, with that many pixels a point.
    pub(crate) fn picture(&mut self, theme: Theme, size: Vec2, scale: f32) -> image::RgbImage {
        self.screen.ctx.set_theme(theme);
        self.resize(size, scale);
        let picture = self.canvas.paint(&self.screen.ctx, self.screen.output());
        self.resize(SIZE, 1.0);
        picture
    }

    /// Draws until something is to be seen.
    #[track_caller]
    pub(crate) fn until(&mut self, what: &str, mut seen: impl FnMut(&Harness<'static, App>) -> bool) {
        let begun = Instant::now();
        loop {
            self.screen.run_steps(1);
            if seen(&self.screen) {
                return;
            }
            if begun.elapsed() > PATIENCE {
                panic!("waited in vain for {what}: {:?}", self.labels());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Draws until a text is to be seen.
    #[track_caller]
    pub(crate) fn see(&mut self, text: &str) {
        self.until(text, |screen| screen.query_all_by_label_contains(text).next().is_some());
    }

    /// Clicks on what is called so.
    #[track_caller]
    pub(crate) fn click(&mut self, label: &str) {
        self.until(label, |screen| screen.query_all_by_label(label).next().is_some());
        self.screen.get_by_label(label).click();
        self.screen.run_steps(3);
    }

    /// Drops files on the window.
    pub(crate) fn drop_files(&mut self, paths: &[PathBuf]) {
        let files = paths.iter().map(|path| Arc::new(Dropped(path.clone())) as egui::DroppedFileHandle);
        self.screen.input_mut().dropped_files.extend(files);
        self.screen.run_steps(2);
    }

    /// Types into the field that has the keyboard.
    pub(crate) fn type_text(&mut self, text: &str) {
        self.screen.event(egui::Event::Text(text.to_owned()));
        self.screen.run_steps(2);
    }

    /// Presses a key.
    pub(crate) fn press(&mut self, key: egui::Key) {
        self.screen.key_press(key);
        self.screen.run_steps(2);
    }

    /// A file of the person's own.
    pub(crate) fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Waits until a transfer is as it should be.
    #[track_caller]
    pub(crate) fn transfer(&mut self, what: &str, is: impl Fn(&Item) -> bool) {
        self.until(what, |screen| {
            let queue = screen.state().model.queue();
            (0..queue.len()).filter_map(|row| queue.row(row)).any(|(_, item)| is(item))
        });
    }

    /// Waits until a row of the table is called so.
    #[track_caller]
    pub(crate) fn row(&mut self, name: &str) {
        self.until(name, |screen| {
            screen.query_all_by_role_and_label(egui::accesskit::Role::Row, name).next().is_some()
        });
    }

    #[track_caller]
    pub(crate) fn click_row(&mut self, name: &str) {
        self.row(name);
        // A new table takes its measures first.
        self.screen.run_steps(3);
        self.screen.get_by_role_and_label(egui::accesskit::Role::Row, name).click();
        self.screen.run_steps(3);
    }

    /// Adds an upload to the list.
    pub(crate) fn enqueue(&self, profile: &str, name: &str, remote: &str) {
        let spec = Spec {
            profile: profile.parse().unwrap(),
            direction: Direction::Put,
            local: self.file(name, name.as_bytes()),
            remote: remote.parse().unwrap(),
            tree: false,
            size: None,
        };
        self.screen.state().model.queue().add([spec]);
    }

    fn labels(&self) -> Vec<String> {
        let nodes = self.screen.root().query_all(egui_kittest::kittest::By::new());
        nodes.filter_map(|node| node.accesskit_node().label().map(|label| label.to_string())).collect()
    }
}

fn open(folder: &Path, token: Option<String>, canvas: Canvas) -> Harness<'static, App> {
    let places = Places {
        profiles: Profiles::new(folder.join("configuration/profiles")),
        profile: Ok(None),
        state: folder.join("configuration/gui"),
        downloads: folder.join("Downloads"),
        opener: folder.join("opener"),
    };
    let app = App::new(&places, token).unwrap();
    let harness = Harness::builder().with_size(SIZE).with_max_steps(4).renderer(canvas);
    let mut attached = false;
    harness.build_ui_state(
        move |ui, app: &mut App| {
            if !std::mem::replace(&mut attached, true) {
                app.attach(ui.ctx());
            }
            // The window has no margin.
            let whole = ui.ctx().content_rect();
            let mut ui = ui.new_child(egui::UiBuilder::new().max_rect(whole));
            ui.set_clip_rect(whole);
            app.draw(&mut ui);
        },
        app,
    )
}

/// A file that was dropped.
#[derive(Debug)]
struct Dropped(PathBuf);

impl DroppedFile for Dropped {
    fn path(&self) -> &Path {
        &self.0
    }

    fn bytes(&self) -> Result<Vec<u8>, String> {
        std::fs::read(&self.0).map_err(|error| error.to_string())
    }
}
