//! Files that are opened with the system's program, what is only shown, and what is left of downloads.

use std::os::unix::fs::PermissionsExt;

use eframe::egui::{Event, Key, Modifiers, PointerButton, accesskit::Role};
use egui_kittest::kittest::Queryable;
use sealift_gui::model::queue::{Spec, State};
use sealift_protocol::message::{Direction, LogQuery};
use sealift_tests::World;

use crate::desk::Desk;

impl Desk {
    /// The system's program for files takes down what it was given.
    fn opener(&self, script: &str) {
        let path = self.folder.path().join("opener");
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
    }

    fn double_click(&mut self, row: &str) {
        self.row(row);
        self.screen.run_steps(3);
        let pos = self.screen.get_by_role_and_label(Role::Row, row).rect().center();
        let button = |pressed| Event::PointerButton {
            pos,
            button: PointerButton::Primary,
            pressed,
            modifiers: Modifiers::NONE,
        };
        self.screen.event(Event::PointerMoved(pos));
        self.screen.run_steps(1);
        self.screen.input_mut().events.extend([button(true), button(false), button(true), button(false)]);
        self.screen.run_steps(3);
    }
}

#[tokio::test]
async fn a_double_click_opens_a_file_with_the_systems_program() {
    let world = World::start().await;
    let mut desk = Desk::joined(&world, "alice").await;
    let told = desk.folder.path().join("told");
    desk.opener(&format!("cp \"$1\" {0}.content && echo \"$1\" > {0}", told.display()));
    let path = desk.file("report.txt", b"what is in it");
    desk.drop_files(&[path]);
    desk.double_click("report.txt");
    desk.until("the program", |_| std::fs::read_to_string(&told).is_ok_and(|told| told.ends_with('\n')));
    let opened = std::fs::read_to_string(&told).unwrap();
    let opened = std::path::Path::new(opened.trim());
    assert_eq!(opened.file_name().unwrap(), "report.txt");
    assert_eq!(std::fs::read(told.with_extension("content")).unwrap(), b"what is in it");
    assert_eq!(opened.metadata().unwrap().permissions().mode() & 0o777, 0o400, "changes would be lost");
    let directory = desk.folder.path().join("configuration/gui/opened");
    assert!(opened.starts_with(&directory));
    assert_eq!(directory.metadata().unwrap().permissions().mode() & 0o077, 0, "nobody else looks into it");

    // By the keyboard; and what no program wants is told.
    desk.opener("exit 3");
    desk.press(Key::Enter);
    desk.see("No program has opened \u{201c}report.txt\u{201d}");
    world.stop().await;
}

#[tokio::test]
async fn a_look_into_a_file_is_no_download_in_the_log() {
    let world = World::start().await;
    let mut desk = Desk::joined(&world, "alice").await;
    let path = desk.file("a.txt", b"what is in it");
    desk.drop_files(&[path]);
    desk.click_row("a.txt");
    desk.see("what is in it");
    let mut other = world.enrol("alice").await.connect().await;
    let gets = LogQuery { direction: Some(Direction::Get), ..LogQuery::default() };
    assert_eq!(other.log(gets.clone()).await.unwrap(), []);
    let looks = other.log(LogQuery { previews: true, ..gets.clone() }).await.unwrap();
    assert_eq!(looks.len(), 1);
    assert!(looks[0].preview && looks[0].path.as_str() == "/alice/a.txt", "{looks:?}");
    // A download is one.
    other.get("a.txt").await.unwrap();
    assert_eq!(other.log(gets).await.unwrap().len(), 1);
    world.stop().await;
}

#[tokio::test]
async fn what_has_arrived_of_a_download_goes_with_it() {
    const SIZE: u64 = 300 << 20;
    let world = World::start().await;
    let mut desk = Desk::joined(&world, "alice").await;
    let path = desk.file("big.bin", b"");
    std::fs::File::options().write(true).open(&path).unwrap().set_len(SIZE).unwrap();
    desk.drop_files(&[path]);
    desk.transfer("the upload", |item| item.state == State::Done);
    desk.row("big.bin");
    let downloads = desk.folder.path().join("Downloads");
    let local = downloads.join("big.bin");
    let parts = || {
        let entries = std::fs::read_dir(&downloads).into_iter().flatten();
        entries
            .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().ends_with("-part"))
            .count()
    };
    let spec = Spec {
        profile: "default".parse().unwrap(),
        direction: Direction::Get,
        local: local.clone(),
        remote: "/alice/big.bin".parse().unwrap(),
        tree: false,
        size: Some(SIZE),
    };
    let begin = |desk: &mut Desk| {
        desk.screen.state_mut().model.with_queue(|queue| drop(queue.add([spec.clone()])));
        desk.transfer("progress", |item| {
            item.spec.direction == Direction::Get && item.state == State::Running && item.moved > 0
        });
        desk.until("a part", |_| parts() == 1);
    };
    begin(&mut desk);
    desk.screen.state().model.queue().pause_all();
    desk.screen.state_mut().model.with_queue(|_| {});
    desk.transfer("a pause", |item| item.state == State::Paused);
    assert_eq!(parts(), 1, "it goes on with it");
    desk.click("Cancel: big.bin");
    desk.see("Cancelled");
    assert_eq!(parts(), 1, "it can be started again");
    let remove = |desk: &mut Desk| {
        let id = {
            let queue = desk.screen.state().model.queue();
            let rows =
                (0..queue.len()).filter_map(|row| queue.row(row).map(|(id, item)| (id, item.state.clone())));
            rows.into_iter().find(|(_, state)| *state == State::Cancelled).unwrap().0
        };
        desk.screen.state_mut().model.with_queue(|queue| queue.remove(id));
    };
    // Another one in the list goes on with what is there.
    let ids = desk.screen.state().model.queue().add([spec.clone()]);
    desk.screen.state().model.queue().pause(ids[0]);
    remove(&mut desk);
    desk.screen.run_steps(20);
    assert_eq!(parts(), 1, "the other one wants it");
    desk.screen.state_mut().model.with_queue(|queue| queue.cancel(ids[0]));
    remove(&mut desk);
    desk.until("that it is gone", |_| parts() == 0);
    assert!(!local.exists());
    world.stop().await;
}
