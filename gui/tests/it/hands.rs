//! What hands do: dragging, deciding for several, looking for something, taking things back.

use eframe::egui::{Key, Modifiers, Pos2, Vec2, accesskit::Role};
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable;
use sealift_gui::App;
use sealift_gui::model::queue::State;
use sealift_tests::World;

use crate::desk::Desk;

impl Desk {
    /// The middle of a transfer's row, at its left end, where it can be grasped.
    fn grip(&self, name: &str) -> Pos2 {
        let told = format!("{name}: paused");
        let row = self.screen.get_by_role_and_label(Role::ListItem, &told);
        row.rect().left_center() + Vec2::new(8.0, 0.0)
    }

    /// Drags a transfer to another place in the list.
    fn drag(&mut self, name: &str, to: Pos2) {
        let from = self.grip(name);
        self.screen.hover_at(from);
        self.screen.run_steps(1);
        self.screen.drag_at(from);
        self.screen.run_steps(1);
        for step in [0.2_f32, 0.6, 1.0] {
            self.screen.hover_at(from.lerp(to, step));
            self.screen.run_steps(1);
        }
        self.screen.drop_at(to);
        self.screen.run_steps(3);
    }

    fn transfers(&self) -> Vec<String> {
        let queue = self.screen.state().model.queue();
        (0..queue.len()).map(|row| queue.row(row).unwrap().1.spec.name().to_owned()).collect()
    }

    /// Clicks on the last button that takes something back.
    fn take_back(&mut self) {
        self.until("a way back", |screen| screen.query_all_by_label("Undo").next().is_some());
        self.screen.query_all_by_label("Undo").last().unwrap().click();
        self.screen.run_steps(3);
    }

    fn gone(&mut self, name: &str) {
        self.until("that it is gone", |screen| {
            screen.query_all_by_role_and_label(Role::Row, name).next().is_none()
        });
    }
}

#[tokio::test]
async fn the_order_of_transfers_is_changed_by_the_mouse() {
    let world = World::start().await;
    let mut desk = Desk::joined(&world, "alice").await;
    for name in ["a", "b", "c"] {
        desk.enqueue("default", name, &format!("/alice/{name}"));
    }
    desk.screen.state().model.queue().pause_all();
    desk.see("c: paused");
    assert_eq!(desk.transfers(), ["a", "b", "c"]);
    let top = desk.grip("a") - Vec2::new(0.0, 15.0);
    desk.drag("c", top);
    assert_eq!(desk.transfers(), ["c", "a", "b"]);
    let below = desk.grip("a") + Vec2::new(0.0, 15.0);
    desk.drag("c", below);
    assert_eq!(desk.transfers(), ["a", "c", "b"]);
    let beside = desk.grip("a") - Vec2::new(0.0, 300.0);
    desk.drag("b", beside);
    assert_eq!(desk.transfers(), ["a", "c", "b"], "whoever lets go elsewhere changes nothing");
    world.stop().await;
}

#[tokio::test]
async fn of_several_taken_names_one_is_decided_alone_and_the_rest_together() {
    let world = World::start().await;
    let mut desk = Desk::joined(&world, "alice").await;
    let names = ["a.txt", "b.txt", "c.txt", "d.txt"];
    let paths = names.map(|name| desk.file(name, b"old"));
    desk.drop_files(&paths);
    for name in names {
        desk.row(name);
    }
    desk.until("the end", |screen| screen.state().model.queue().totals().done == 4);
    desk.click("Clear finished");
    for path in &paths {
        std::fs::write(path, b"new, and longer").unwrap();
    }
    desk.drop_files(&paths);
    desk.see("\u{201c}a.txt\u{201d} is there already");
    desk.click("Skip");
    desk.see("\u{201c}b.txt\u{201d} is there already");
    desk.click("Do the same for 2 more");
    desk.click("Replace");
    desk.until("the three", |screen| screen.state().model.queue().totals().done == 3);
    assert_eq!(desk.transfers().len(), 3, "the first one stays as it is");
    let size = |screen: &Harness<'static, App>, name: &str| {
        let browser = &screen.state().model.browser;
        browser.row_of(name).and_then(|row| browser.row(row)).map(|entry| entry.size)
    };
    desk.until("the new contents", |screen| size(screen, "d.txt") == Some(15));
    assert_eq!(names.map(|name| size(&desk.screen, name)), [Some(3), Some(15), Some(15), Some(15)]);

    // The next question is not decided by the last answer.
    desk.drop_files(&paths[..2]);
    desk.see("Do the same for 1 more");
    desk.click("Skip");
    desk.see("\u{201c}b.txt\u{201d} is there already");
    world.stop().await;
}

#[tokio::test]
async fn what_was_moved_or_made_is_taken_back() {
    let world = World::start().await;
    let mut desk = Desk::joined(&world, "alice").await;
    desk.click("New folder");
    desk.type_text("plans");
    desk.press(Key::Enter);
    desk.row("plans");
    desk.take_back();
    desk.gone("plans");
    desk.see("This folder is empty");

    desk.screen.key_press_modifiers(Modifiers::COMMAND.plus(Modifiers::SHIFT), Key::N);
    desk.screen.run_steps(2);
    desk.type_text("plans");
    desk.press(Key::Enter);
    desk.row("plans");
    let paths = ["a.txt", "b.txt"].map(|name| desk.file(name, name.as_bytes()));
    desk.drop_files(&paths);
    desk.row("b.txt");
    desk.click_row("a.txt");
    desk.screen.get_by_role_and_label(Role::Row, "b.txt").click_modifiers(Modifiers::COMMAND);
    desk.screen.run_steps(3);
    desk.screen.get_by_role_and_label(Role::Row, "b.txt").click_secondary();
    desk.screen.run_steps(3);
    desk.click("Move to\u{2026}");
    desk.see("Folder on the server");
    desk.screen.key_press_modifiers(Modifiers::COMMAND, Key::A);
    desk.type_text("/alice/plans");
    desk.press(Key::Enter);
    desk.see("Moved 2 items to /alice/plans");
    desk.gone("a.txt");
    desk.take_back();
    desk.see("Moved 2 items back");
    desk.row("a.txt");
    desk.row("b.txt");
    world.stop().await;
}

#[tokio::test]
async fn the_filter_leads_to_a_folder_and_enter_into_it() {
    let world = World::start().await;
    let mut desk = Desk::joined(&world, "alice").await;
    for name in ["trees/oak.txt", "stones/flint.txt"] {
        desk.file(name, name.as_bytes());
    }
    desk.drop_files(&["trees", "stones"].map(|name| desk.folder.path().join(name)));
    desk.row("trees");
    desk.row("stones");
    desk.screen.key_press_modifiers(Modifiers::COMMAND, Key::F);
    desk.screen.run_steps(2);
    desk.type_text("REE");
    desk.gone("stones");
    desk.press(Key::Enter);
    desk.press(Key::Enter);
    desk.row("oak.txt");
    assert_eq!(desk.screen.state().model.browser.path.as_str(), "/alice/trees");
    assert_eq!(desk.screen.state().model.browser.filter, "", "it was for the directory that was left");
    world.stop().await;
}

#[tokio::test]
async fn files_that_were_copied_elsewhere_are_pasted() {
    let world = World::start().await;
    let mut desk = Desk::joined(&world, "alice").await;
    let (plain, odd) = (desk.file("plain.txt", b"a"), desk.file("with a space.txt", b"b"));
    let address = format!("file://{}", odd.display()).replace(' ', "%20");
    let text = format!("{}\r\n{address}\r\n/nowhere/to/be/found\r\n", plain.display());
    desk.screen.event(eframe::egui::Event::Paste(text));
    desk.row("plain.txt");
    desk.row("with a space.txt");
    world.stop().await;
}

#[cfg(unix)]
#[tokio::test]
async fn links_in_a_tree_are_told_in_its_row() {
    let world = World::start().await;
    let mut desk = Desk::joined(&world, "alice").await;
    desk.file("tree/inner/a.txt", b"a");
    let tree = desk.folder.path().join("tree");
    std::os::unix::fs::symlink("a.txt", tree.join("inner/link")).unwrap();
    desk.drop_files(&[tree]);
    desk.see("\u{201c}inner/link\u{201d} was skipped: links, pipes and devices are not transferred");
    desk.transfer("all the same", |item| item.state == State::Done);
    world.stop().await;
}
