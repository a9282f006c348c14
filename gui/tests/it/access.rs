//! What a screen reader reads and what the keyboard reaches.

use std::collections::BTreeSet;

use eframe::egui::accesskit::{Live, Role};
use eframe::egui::{Key, Modifiers};
use egui_kittest::kittest::{By, NodeT, Queryable};
use sealift_tests::World;

use crate::desk::Desk;
use crate::tour::tour;

/// The roles and names of all that is to be seen.
fn seen(desk: &Desk) -> Vec<(Role, String)> {
    let nodes = desk.screen.root().query_all(By::new());
    nodes
        .map(|node| {
            let node = node.accesskit_node();
            (node.role(), node.label().unwrap_or_default())
        })
        .collect()
}

/// Whether a name would be read as it is meant: icons are letters that nobody can say.
fn can_be_said(name: &str) -> bool {
    !name.trim().is_empty() && !name.chars().any(|letter| ('\u{e000}'..='\u{f8ff}').contains(&letter))
}

#[tokio::test]
async fn everything_that_can_be_used_has_a_name_on_every_screen() {
    let (mut screens, mut spoken) = (0, 0);
    let mut dialogs = BTreeSet::new();
    tour(|desk: &mut Desk, name: &str| {
        let nameless = desk.screen.unnamed_widgets();
        assert!(nameless.is_empty(), "{name}: {nameless:?}");
        for (role, label) in seen(desk) {
            let matters = matches!(
                role,
                Role::Button
                    | Role::CheckBox
                    | Role::ColumnHeader
                    | Role::ComboBox
                    | Role::Dialog
                    | Role::Image
                    | Role::Link
                    | Role::ListItem
                    | Role::MenuItem
                    | Role::MultilineTextInput
                    | Role::ProgressIndicator
                    | Role::Row
                    | Role::SpinButton
                    | Role::TextInput
            );
            assert!(!matters || can_be_said(&label), "{name}: a {role:?} is called {label:?}");
            if role == Role::Dialog {
                dialogs.insert(label);
            }
        }
        if name == "notices" {
            let notice = desk.screen.get_by_label("The certificate is renewed");
            assert_eq!(notice.accesskit_node().live(), Live::Polite, "it is said when it comes");
            spoken += 1;
        }
        screens += 1;
    })
    .await;
    assert!(screens >= 30 && spoken == 1, "{screens}, {spoken}");
    for dialog in
        ["New folder", "Delete \u{201c}brief.md\u{201d}?", "\u{201c}minutes.pdf\u{201d} is there already"]
    {
        assert!(dialogs.contains(dialog), "{dialog} is no dialog: {dialogs:?}");
    }
}

impl Desk {
    /// What has the keyboard.
    fn focused(&self) -> Option<(Role, String)> {
        let nodes = self.screen.root().query_all(By::new());
        let mut nodes = nodes.filter(|node| node.accesskit_node().is_focused());
        let node = nodes.next()?;
        let node = node.accesskit_node();
        Some((node.role(), node.label().unwrap_or_default()))
    }
}

#[tokio::test]
async fn the_tab_key_reaches_everything_in_the_order_in_which_it_is_read() {
    let world = World::start().await;
    let mut desk = Desk::joined(&world, "alice").await;
    let files = ["a.txt", "b.txt"].map(|name| desk.file(name, name.as_bytes()));
    desk.drop_files(&files);
    desk.click_row("b.txt");
    let wanted: BTreeSet<String> = desk
        .screen
        .root()
        .query_all(By::new())
        .filter(|node| {
            let node = node.accesskit_node();
            matches!(node.role(), Role::Button | Role::TextInput | Role::SpinButton) && !node.is_disabled()
        })
        .filter_map(|node| node.accesskit_node().label())
        .collect();
    let mut order = Vec::new();
    for _ in 0..200 {
        desk.press(Key::Tab);
        order.extend(desk.focused());
        if order.len() > 1 && order.last() == order.first() {
            break;
        }
    }
    order.pop();
    let names: Vec<_> = order.iter().map(|(_, name)| name.as_str()).collect();
    let missed: Vec<_> = wanted.iter().filter(|name| !names.contains(&name.as_str())).collect();
    assert!(missed.is_empty(), "not reached: {missed:?} of {names:?}");
    let place = |name: &str| names.iter().position(|other| *other == name).unwrap();
    let read = ["Transfer log", "Back", "Filter", "Information", "Upload", "Download", "New folder"];
    let read: Vec<_> = read.into_iter().filter(|name| names.contains(name)).map(place).collect();
    assert!(read.is_sorted(), "{names:?}");
    // Within the table the arrow keys go on.
    let rows: Vec<_> = order.iter().filter(|(role, _)| matches!(role, Role::Row | Role::Unknown)).collect();
    assert_eq!(rows, [&(Role::Row, "b.txt".to_owned())]);
    world.stop().await;
}

#[tokio::test]
async fn escape_closes_dialogs_and_enter_confirms_them() {
    let world = World::start().await;
    let mut desk = Desk::joined(&world, "alice").await;
    let open = |desk: &mut Desk| {
        desk.screen.key_press_modifiers(Modifiers::COMMAND.plus(Modifiers::SHIFT), Key::N);
        desk.screen.run_steps(3);
        assert_eq!(desk.focused().unwrap().0, Role::TextInput, "one can type at once");
        desk.type_text("plans");
    };
    open(&mut desk);
    desk.press(Key::Escape);
    assert!(desk.screen.state().model.dialog.is_none());
    open(&mut desk);
    desk.press(Key::Enter);
    assert!(desk.screen.state().model.dialog.is_none());
    desk.row("plans");
    // Enter is no way to delete by accident: the keyboard is on what does no harm.
    desk.click_row("plans");
    desk.press(Key::Delete);
    desk.see("no trash");
    assert_eq!(desk.focused().unwrap().1, "Cancel");
    desk.press(Key::Enter);
    assert!(desk.screen.state().model.dialog.is_none());
    desk.press(Key::Delete);
    desk.press(Key::Tab);
    while desk.focused().is_none_or(|(_, name)| name != "Delete") {
        desk.press(Key::Tab);
    }
    desk.press(Key::Space);
    desk.see("This folder is empty");
    world.stop().await;
}
