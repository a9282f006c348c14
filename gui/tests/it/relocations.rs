//! Moves, copies and new folders replace nothing that nobody has agreed to lose, and are taken back without doing harm.

use eframe::egui::{Key, Modifiers, Pos2, accesskit::Role};
use egui_kittest::kittest::{NodeT, Queryable};
use sealift_tests::{Client, World};

use crate::desk::Desk;

impl Desk {
    /// Types over what is in the field.
    fn type_over(&mut self, text: &str) {
        self.screen.key_press_modifiers(Modifiers::COMMAND, Key::A);
        self.type_text(text);
    }

    /// Renames a row as a person does.
    fn rename(&mut self, from: &str, to: &str) {
        self.click_row(from);
        self.press(Key::F2);
        self.see("New name");
        self.type_over(to);
        self.press(Key::Enter);
    }

    /// Asks where to move what is selected, or to copy it, and answers.
    fn transplant(&mut self, modifiers: Modifiers, to: &str) {
        self.screen.key_press_modifiers(modifiers, Key::F6);
        self.see("Folder on the server");
        self.type_over(to);
        self.press(Key::Enter);
    }

    fn undo(&mut self) {
        self.until("a way back", |screen| screen.query_all_by_label("Undo").next().is_some());
        self.screen.query_all_by_label("Undo").last().unwrap().click();
        self.screen.run_steps(3);
    }

    fn names(&self) -> Vec<String> {
        let browser = &self.screen.state().model.browser;
        (0..browser.len()).map(|row| browser.row(row).unwrap().name.clone()).collect()
    }
}

/// Alice at her desk, with files, and at another machine.
async fn alice(world: &World, files: &[(&str, &str)]) -> (Desk, Client) {
    let mut desk = Desk::joined(world, "alice").await;
    let mut other = world.enrol("alice").await.connect().await;
    for (name, content) in files {
        other.put_inline(name, content.as_bytes()).await.unwrap();
    }
    desk.press(Key::F5);
    for (name, _) in files {
        desk.row(name.split('/').next().unwrap());
    }
    (desk, other)
}

async fn is(other: &mut Client, files: &[(&str, &str)]) {
    for (name, content) in files {
        assert_eq!(other.get(name).await.unwrap(), content.as_bytes(), "{name}");
    }
}

#[tokio::test]
async fn a_rename_onto_another_file_is_asked_about() {
    let world = World::start().await;
    let (mut desk, mut other) = alice(&world, &[("a.txt", "mine"), ("b.txt", "longer than mine")]).await;
    desk.rename("a.txt", "b.txt");
    desk.see("\u{201c}b.txt\u{201d} is there already");
    // What is there, and what comes.
    desk.see("16 B, modified ");
    desk.see("4 B, modified ");
    is(&mut other, &[("a.txt", "mine"), ("b.txt", "longer than mine")]).await;

    // A click beside the question decides nothing.
    let beside = Pos2::new(4.0, 4.0);
    desk.screen.drag_at(beside);
    desk.screen.run_steps(2);
    desk.screen.drop_at(beside);
    desk.screen.run_steps(3);
    desk.see("is there already");
    desk.click("Skip");
    is(&mut other, &[("a.txt", "mine"), ("b.txt", "longer than mine")]).await;

    desk.rename("a.txt", "b.txt");
    desk.click("Keep both");
    desk.row("b (2).txt");
    is(&mut other, &[("b (2).txt", "mine"), ("b.txt", "longer than mine")]).await;
    desk.undo();
    desk.row("a.txt");

    desk.rename("a.txt", "b.txt");
    desk.click("Replace");
    desk.until("the rename", |screen| {
        screen.query_all_by_role_and_label(Role::Row, "a.txt").next().is_none()
    });
    is(&mut other, &[("b.txt", "mine")]).await;
    assert_eq!(desk.names(), ["b.txt"]);
    world.stop().await;
}

#[tokio::test]
async fn what_is_moved_or_copied_into_a_folder_replaces_nothing_there() {
    let world = World::start().await;
    let files = [("a.txt", "1"), ("b.txt", "2"), ("plans/b.txt", "theirs"), ("plans/tree/x", "theirs")];
    let (mut desk, mut other) = alice(&world, &files).await;
    other.put_inline("tree/x", b"mine").await.unwrap();
    desk.press(Key::F5);
    for (copy, modifiers) in [(true, Modifiers::SHIFT), (false, Modifiers::NONE)] {
        desk.row("tree");
        desk.row("b.txt");
        desk.screen.state_mut().model.browser.select_all();
        let row = desk.screen.state().model.browser.row_of("plans").unwrap();
        desk.screen.state_mut().model.browser.select(row, true, false);
        desk.transplant(modifiers, "/alice/plans");
        desk.see("is there already");
        // A folder gives way to nothing.
        let mut asked = Vec::new();
        while let Some(conflict) = desk.screen.state().model.conflicts.current().cloned() {
            desk.screen.run_steps(2);
            let replace = desk.screen.get_by_label("Replace");
            assert_eq!(replace.accesskit_node().is_disabled(), conflict.new.is_folder, "{conflict:?}");
            asked.push(conflict.name());
            desk.click("Skip");
        }
        assert_eq!(asked, ["tree", "b.txt"], "and not about a.txt");
        is(&mut other, &[("plans/a.txt", "1"), ("plans/b.txt", "theirs"), ("plans/tree/x", "theirs")]).await;
        is(&mut other, &[("b.txt", "2"), ("tree/x", "mine")]).await;
        assert_eq!(other.info("a.txt").await.is_ok(), copy);
        if copy {
            other.remove("plans/a.txt").await.unwrap();
        }
    }
    world.stop().await;
}

#[tokio::test]
async fn a_new_folder_is_new() {
    let world = World::start().await;
    let (mut desk, mut other) = alice(&world, &[("plans/a.txt", "1")]).await;
    // The name is known to be taken.
    desk.click("New folder");
    desk.type_text("plans");
    desk.see("\u{201c}plans\u{201d} is there already");
    assert!(desk.screen.get_by_label("Create").accesskit_node().is_disabled());
    desk.press(Key::Escape);
    // It was taken a moment ago, by somebody else.
    other.make_directory("ideas", None).await.unwrap();
    desk.click("New folder");
    desk.type_text("ideas");
    desk.press(Key::Enter);
    desk.see("/alice/ideas exists already");
    assert_eq!(desk.screen.query_all_by_label("Undo").count(), 0, "nothing was done");
    desk.row("ideas");
    world.stop().await;
}

#[tokio::test]
async fn only_the_folder_that_was_made_is_taken_back_and_only_while_it_is_empty() {
    let world = World::start().await;
    let (mut desk, mut other) = alice(&world, &[]).await;
    for (name, then) in [("full", "full/a.txt"), ("file", "file"), ("another", "another/")] {
        desk.click("New folder");
        desk.type_text(name);
        desk.press(Key::Enter);
        desk.row(name);
        match then.strip_suffix('/') {
            Some(directory) => {
                other.remove(directory).await.unwrap();
                other.make_directory(directory, None).await.unwrap();
            }
            None if then == name => {
                other.remove(name).await.unwrap();
                other.put_inline(name, b"x").await.unwrap();
            }
            None => {
                other.put_inline(then, b"x").await.unwrap();
            }
        }
        desk.undo();
        desk.until("the refusal", |screen| screen.query_all_by_label_contains(name).count() > 0);
        desk.until("no way back", |screen| screen.query_all_by_label("Undo").next().is_none());
        desk.until("why not", |screen| {
            let texts = ["was changed meanwhile", "is not empty"];
            texts.iter().any(|text| screen.query_all_by_label_contains(text).next().is_some())
        });
        other.info(then).await.unwrap();
    }
    world.stop().await;
}

#[tokio::test]
async fn a_move_is_taken_back_only_to_a_place_that_is_free() {
    let world = World::start().await;
    let (mut desk, mut other) = alice(&world, &[("a.txt", "mine")]).await;
    desk.rename("a.txt", "b.txt");
    desk.row("b.txt");
    other.put_inline("a.txt", b"theirs").await.unwrap();
    desk.undo();
    desk.see("/alice/a.txt exists already");
    is(&mut other, &[("a.txt", "theirs"), ("b.txt", "mine")]).await;
    // A folder that has taken the place does not receive it either.
    other.remove("a.txt").await.unwrap();
    desk.rename("b.txt", "c.txt");
    desk.row("c.txt");
    other.make_directory("b.txt", None).await.unwrap();
    desk.undo();
    desk.see("/alice/b.txt exists already");
    is(&mut other, &[("c.txt", "mine")]).await;
    world.stop().await;
}
