//! The keyboard, also when the window is drawn late and several keys come at once.

use eframe::egui::{Event, Key, Modifiers, accesskit::Role};
use egui_kittest::kittest::{By, NodeT, Queryable};
use sealift_gui::model::Dialog;
use sealift_tests::World;

use crate::desk::Desk;

impl Desk {
    /// Presses keys before the window is drawn again.
    fn at_once(&mut self, keys: &[(Modifiers, Key)]) {
        let events: Vec<_> = keys.iter().flat_map(|(modifiers, key)| stroke(*modifiers, *key)).collect();
        self.all_at_once(events);
    }

    fn all_at_once(&mut self, events: Vec<Event>) {
        self.screen.input_mut().events.extend(events);
        self.screen.run_steps(8);
    }

    fn cursor(&self) -> Option<String> {
        let browser = &self.screen.state().model.browser;
        browser.cursor.and_then(|row| browser.row(row)).map(|entry| entry.name.clone())
    }

    fn has_keyboard(&self) -> Option<(Role, String)> {
        let nodes = self.screen.root().query_all(By::new());
        let mut nodes = nodes.filter(|node| node.accesskit_node().is_focused());
        nodes.next().map(|node| {
            let node = node.accesskit_node();
            (node.role(), node.label().unwrap_or_default())
        })
    }
}

fn stroke(modifiers: Modifiers, key: Key) -> [Event; 2] {
    [true, false].map(|pressed| Event::Key { key, physical_key: None, pressed, repeat: false, modifiers })
}

/// A desk with a folder that has files from `a.txt` to `f.txt`.
async fn desk(world: &World) -> Desk {
    let mut desk = Desk::joined(world, "alice").await;
    for name in ["a.txt", "b.txt", "c.txt", "d.txt", "e.txt", "f.txt"] {
        desk.file(&format!("letters/{name}"), name.as_bytes());
    }
    desk.drop_files(&[desk.folder.path().join("letters")]);
    desk.row("letters");
    desk.press(Key::ArrowDown);
    desk.press(Key::Enter);
    desk.row("f.txt");
    desk
}

const NONE: Modifiers = Modifiers::NONE;

#[tokio::test]
async fn keys_that_come_at_once_are_done_one_after_the_other() {
    let world = World::start().await;
    let mut desk = desk(&world).await;
    desk.at_once(&[(NONE, Key::ArrowDown); 3]);
    assert_eq!(desk.cursor().unwrap(), "c.txt", "each of the three counts");
    desk.at_once(&[
        (NONE, Key::End),
        (NONE, Key::ArrowUp),
        (Modifiers::SHIFT, Key::ArrowUp),
        (Modifiers::SHIFT, Key::ArrowUp),
    ]);
    assert_eq!(desk.cursor().unwrap(), "c.txt");
    let selected = desk.screen.state().model.browser.selection().map(|entry| entry.name.clone());
    assert_eq!(selected.collect::<Vec<_>>(), ["c.txt", "d.txt", "e.txt"], "in their order");

    // What comes after a key that opens a dialog is for the dialog.
    let mut events = stroke(NONE, Key::Home).to_vec();
    events.extend(stroke(NONE, Key::F2));
    events.push(Event::Text("x".into()));
    events.extend(stroke(NONE, Key::Enter));
    desk.all_at_once(events);
    desk.row("x.txt");
    assert!(desk.screen.state().model.dialog.is_none());
    // What closes one dialog does not confirm the next.
    desk.at_once(&[
        (NONE, Key::End),
        (NONE, Key::Delete),
        (NONE, Key::Escape),
        (Modifiers::COMMAND, Key::U),
        (NONE, Key::Escape),
        (NONE, Key::F2),
    ]);
    assert!(matches!(&desk.screen.state().model.dialog, Some(Dialog::Rename { .. })));
    desk.press(Key::Escape);
    // Up twice.
    desk.at_once(&[(NONE, Key::Backspace); 2]);
    assert_eq!(desk.screen.state().model.browser.path.as_str(), "/");
    world.stop().await;
}

#[tokio::test]
async fn alt_and_an_arrow_go_up_and_back_and_move_no_cursor() {
    let world = World::start().await;
    let mut desk = desk(&world).await;
    desk.at_once(&[(NONE, Key::ArrowDown); 2]);
    desk.at_once(&[(Modifiers::ALT, Key::ArrowUp)]);
    assert_eq!(desk.screen.state().model.browser.path.as_str(), "/alice");
    desk.row("letters");
    assert_eq!(desk.cursor().unwrap(), "letters", "one comes out where one went in");
    desk.at_once(&[(Modifiers::ALT, Key::ArrowLeft)]);
    desk.row("f.txt");
    desk.at_once(&[(NONE, Key::ArrowDown)]);
    desk.at_once(&[(Modifiers::ALT, Key::ArrowDown), (Modifiers::ALT, Key::Enter)]);
    assert_eq!(desk.cursor().unwrap(), "a.txt", "other keys with Alt are somebody else's");
    assert!(desk.screen.state().model.queue().totals().running == 0);
    world.stop().await;
}

#[tokio::test]
async fn escape_takes_back_one_thing_at_a_time() {
    let world = World::start().await;
    let mut desk = desk(&world).await;
    desk.click_row("b.txt");
    desk.screen.key_press_modifiers(Modifiers::COMMAND, Key::F);
    desk.screen.run_steps(2);
    desk.type_text("b");
    assert_eq!(desk.screen.state().model.browser.len(), 1);
    // Out of the field that is typed in, as out of the table.
    for enter in [false, true] {
        if enter {
            desk.screen.key_press_modifiers(Modifiers::COMMAND, Key::F);
            desk.screen.run_steps(2);
            desk.type_text("b");
            desk.press(Key::Enter);
        }
        desk.press(Key::Escape);
        let browser = &desk.screen.state().model.browser;
        assert_eq!((browser.filter.as_str(), browser.len(), browser.selected()), ("", 6, 1));
    }
    // A menu before the selection.
    desk.screen.get_by_role_and_label(Role::Row, "b.txt").click_secondary();
    desk.see("Copy path");
    desk.press(Key::Escape);
    desk.until("no menu", |screen| screen.query_all_by_label("Copy path").next().is_none());
    assert_eq!(desk.screen.state().model.browser.selected(), 1);
    desk.press(Key::Escape);
    assert_eq!(desk.screen.state().model.browser.selected(), 0);
    // And out of the log.
    desk.click("Transfer log");
    desk.press(Key::Escape);
    desk.row("b.txt");
    world.stop().await;
}

#[tokio::test]
async fn the_menu_key_opens_the_menu_of_the_row_with_the_cursor() {
    let world = World::start().await;
    let mut desk = desk(&world).await;
    for keys in [(NONE, Key::Menu), (Modifiers::SHIFT, Key::F10)] {
        desk.press(Key::Home);
        desk.at_once(&[keys]);
        desk.see("Copy path");
        let row = desk.screen.get_by_role_and_label(Role::Row, "a.txt").rect();
        let item = desk.screen.get_by_label("Copy path").rect();
        assert!(item.top() > row.top() && item.left() < row.center().x, "it is below the row");
        assert_eq!(desk.has_keyboard().unwrap().1, "Open");
        desk.at_once(&[(NONE, Key::ArrowDown); 1]);
        desk.at_once(&[(NONE, Key::ArrowDown); 1]);
        assert_eq!(desk.has_keyboard().unwrap().1, "Rename\u{2026}", "the arrows go through the menu");
        assert_eq!(desk.cursor().unwrap(), "a.txt");
        desk.press(Key::Enter);
        desk.see("New name");
        desk.press(Key::Escape);
    }
    world.stop().await;
}

#[tokio::test]
async fn renaming_begins_with_the_name_without_its_extension() {
    let world = World::start().await;
    let mut desk = desk(&world).await;
    desk.click_row("a.txt");
    desk.press(Key::F2);
    desk.type_text("a-long-name-of-many-letters");
    desk.press(Key::Enter);
    desk.row("a-long-name-of-many-letters.txt");
    // The caret of the last time is of no use for another name.
    desk.click_row("b.txt");
    desk.press(Key::F2);
    desk.press(Key::End);
    desk.press(Key::Escape);
    desk.click_row("a-long-name-of-many-letters.txt");
    desk.press(Key::F2);
    desk.type_text("short");
    desk.press(Key::Enter);
    desk.row("short.txt");
    // A folder's name has no extension.
    desk.at_once(&[(Modifiers::ALT, Key::ArrowUp)]);
    desk.click_row("letters");
    desk.press(Key::F2);
    desk.type_text("v1.2");
    desk.press(Key::Enter);
    desk.click_row("v1.2");
    desk.press(Key::F2);
    desk.type_text("v1.3");
    desk.press(Key::Enter);
    desk.row("v1.3");
    world.stop().await;
}
