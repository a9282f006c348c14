//! Servers come and go: expired identities, joining again, renewing, renaming, removing.

use std::time::{Duration, Instant, SystemTime};

use eframe::egui::{Key, Modifiers};
use egui_kittest::kittest::Queryable;
use sealift_certs::Validity;
use sealift_gui::model::queue::State;
use sealift_gui::{App, Places};
use sealift_tests::World;
use sealift_transfer::Profiles;

use crate::desk::Desk;

impl Desk {
    /// What the default profile has of a certificate.
    fn identity(&self) -> std::path::PathBuf {
        self.folder.path().join("configuration/profiles/default/identity.pem")
    }

    /// Lets the default profile's certificate have expired yesterday.
    fn expire(&self, world: &World, name: &str) {
        const DAY: Duration = Duration::from_secs(24 * 3600);
        let (_, expired) = world.issue(name, Validity::starting(SystemTime::now() - DAY * 91, DAY * 90));
        std::fs::write(self.identity(), expired).unwrap();
    }

    fn profiles(&self) -> Vec<String> {
        let mut names: Vec<_> = std::fs::read_dir(self.folder.path().join("configuration/profiles"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// Picks something from the menu of a server in the side bar.
    fn server_menu(&mut self, server: &str, what: &str) {
        self.screen.get_by_label(server).click_secondary();
        self.screen.run_steps(3);
        self.click(what);
    }
}

#[tokio::test]
async fn an_expired_identity_is_told_and_joining_again_keeps_name_place_and_transfers() {
    let world = World::start().await;
    let mut desk = Desk::joined(&world, "alice").await;
    let plans = "/alice/plans";
    desk.click("New folder");
    desk.type_text("plans");
    desk.press(Key::Enter);
    desk.row("plans");
    desk.screen.state_mut().model.go(plans.parse().unwrap());
    desk.see("This folder is empty");

    desk.expire(&world, "alice");
    desk.press(Key::F5);
    desk.see("The certificate has expired");
    desk.see("which has expired: join again with a new token");
    desk.enqueue("default", "late.txt", "/alice/plans/late.txt");
    desk.screen.state_mut().model.with_queue(|_| {});
    desk.see("Transfers with default wait");

    let ways = desk.screen.query_all_by_label("Join again").count();
    assert_eq!(ways, 3, "beside the table, in it, and with the transfers");
    desk.screen.query_all_by_label("Join again").next().unwrap().click();
    desk.see("Connect to default again");
    desk.paste_token(&world.invite("alice").to_string());
    desk.transfer("what waited", |item| item.state == State::Done && item.spec.name() == "late.txt");
    desk.row("late.txt");
    desk.see("Certificate valid for");
    let model = &desk.screen.state().model;
    assert_eq!(model.browser.path.as_str(), plans, "one is where one was");
    assert_eq!(model.profile.as_ref().unwrap().as_str(), "default");
    assert_eq!(desk.profiles(), ["default"], "and nothing is beside it");
    world.stop().await;
}

#[tokio::test]
async fn a_revoked_identity_joins_again_and_another_servers_token_changes_nothing_of_it() {
    let (world, other) = (World::start().await, World::start().await);
    let mut desk = Desk::joined(&world, "alice").await;
    let before = std::fs::read(desk.identity()).unwrap();
    world.revoke("alice");
    desk.press(Key::F5);
    desk.see("his certificate is revoked");
    desk.screen.query_all_by_label("Join again").next().unwrap().click();
    desk.see("Connect to default again");
    desk.paste_token(&other.invite("alice").to_string());
    desk.see("That token is for another server: it is added as server-2");
    assert_eq!(desk.profiles(), ["default", "server-2"]);
    assert_eq!(std::fs::read(desk.identity()).unwrap(), before);

    desk.server_menu("default", "Join again");
    desk.see("Connect to default again");
    desk.paste_token(&world.invite("alice").to_string());
    desk.see("This folder is empty");
    assert_eq!(desk.screen.state().model.profile.as_ref().unwrap().as_str(), "default");
    assert_ne!(std::fs::read(desk.identity()).unwrap(), before);
    assert_eq!(desk.profiles(), ["default", "server-2"]);
    world.stop().await;
    other.stop().await;
}

#[tokio::test]
async fn a_link_with_a_new_token_takes_the_place_of_an_expired_identity() {
    let world = World::start().await;
    let desk = Desk::joined(&world, "alice").await;
    desk.expire(&world, "alice");
    let mut desk = desk.reopen_with(Some(world.invite("alice").to_string()));
    desk.see("This folder is empty");
    desk.see("Certificate valid for");
    assert_eq!(desk.profiles(), ["default"]);
    // One that is still good stays, and the new one is put beside it.
    let mut desk = desk.reopen_with(Some(world.invite("bob").to_string()));
    desk.until("the other one", |screen| {
        screen.state().model.profile.as_ref().is_some_and(|name| name.as_str() == "server-2")
    });
    assert_eq!(desk.profiles(), ["default", "server-2"]);
    world.stop().await;
}

#[tokio::test]
async fn the_button_renews_the_certificate() {
    let world = World::start().await;
    let mut desk = Desk::joined(&world, "alice").await;
    let before = std::fs::read(desk.identity()).unwrap();
    desk.click("Renew now");
    desk.see("The certificate is renewed");
    assert_ne!(std::fs::read(desk.identity()).unwrap(), before);
    assert_eq!(world.store().count("certificates"), 2);
    // The new one works.
    let path = desk.file("a.txt", b"a");
    desk.drop_files(&[path]);
    desk.row("a.txt");
    world.stop().await;
}

#[tokio::test]
async fn a_server_is_removed_with_its_key_and_its_transfers_after_a_question() {
    let (world, other) = (World::start().await, World::start().await);
    let mut desk = Desk::joined(&world, "alice").await;
    desk.click("Add a server");
    desk.join(&other, "alice");
    assert_eq!(desk.profiles(), ["default", "server-2"]);
    for (profile, name) in [("default", "a.txt"), ("server-2", "b.txt")] {
        desk.enqueue(profile, name, &format!("/alice/{name}"));
    }
    desk.screen.state().model.queue().pause_all();
    let left = |desk: &Desk| {
        let queue = desk.screen.state().model.queue();
        (0..queue.len()).map(|row| queue.row(row).unwrap().1.spec.name().to_owned()).collect::<Vec<_>>()
    };

    desk.server_menu("server-2", "Remove\u{2026}");
    desk.see("cannot be brought back");
    desk.see("1 unfinished transfer is taken off the list");
    desk.press(Key::Escape);
    assert_eq!((desk.profiles().len(), left(&desk).len()), (2, 2), "a question, and no more");

    desk.server_menu("server-2", "Remove\u{2026}");
    desk.click("Remove");
    desk.see("is removed from this computer");
    assert_eq!(desk.profiles(), ["default"]);
    assert_eq!(left(&desk), ["a.txt"]);
    assert_eq!(desk.screen.state().model.profile.as_ref().unwrap().as_str(), "default");
    desk.see("This folder is empty");

    desk.server_menu("default", "Remove\u{2026}");
    desk.click("Remove");
    desk.see("Connect to a server");
    assert_eq!((desk.profiles().len(), left(&desk).len()), (0, 0));
    world.stop().await;
    other.stop().await;
}

#[tokio::test]
async fn the_server_that_is_chosen_elsewhere_is_shown_first() {
    let (world, other) = (World::start().await, World::start().await);
    let mut desk = Desk::joined(&world, "alice").await;
    desk.click("Add a server");
    desk.join(&other, "bob");
    let Desk { screen, folder, .. } = desk;
    drop(screen);
    let window = |profile| {
        let configuration = folder.path().join("configuration");
        let places = Places {
            profiles: Profiles::new(configuration.join("profiles")),
            profile,
            state: configuration.join("gui"),
            downloads: folder.path().join("Downloads"),
            opener: "true".into(),
        };
        App::new(&places, None).unwrap()
    };
    let shown = |window: &App| window.model.profile.as_ref().unwrap().to_string();
    assert_eq!(shown(&window(Ok(Some("server-2".parse().unwrap())))), "server-2");
    assert_eq!(shown(&window(Ok(None))), "default");
    let mut damaged = window(Err("config.toml: line 1 is wrong".into()));
    assert_eq!(shown(&damaged), "default");
    // A window before may still be closing, which is told, too.
    let notices = damaged.model.notices.at(Instant::now());
    assert!(notices.iter().any(|notice| notice.text == "config.toml: line 1 is wrong"));
    world.stop().await;
    other.stop().await;
}

#[tokio::test]
async fn a_server_gets_another_name_and_its_transfers_go_on() {
    let world = World::start().await;
    let mut desk = Desk::joined(&world, "alice").await;
    desk.enqueue("default", "a.txt", "/alice/a.txt");
    desk.screen.state().model.queue().pause_all();
    desk.server_menu("default", "Rename\u{2026}");
    desk.see("Name on this computer");
    desk.screen.key_press_modifiers(Modifiers::COMMAND, Key::A);
    desk.type_text("not a name");
    desk.press(Key::Enter);
    desk.until("what is wrong with it", |screen| screen.state().model.notices.next_change().is_some());
    desk.server_menu("default", "Rename\u{2026}");
    desk.see("Name on this computer");
    desk.screen.key_press_modifiers(Modifiers::COMMAND, Key::A);
    desk.type_text("work");
    desk.press(Key::Enter);
    desk.until("the name", |screen| screen.query_all_by_label("work").next().is_some());
    assert_eq!(desk.profiles(), ["work"]);
    desk.click("Resume: a.txt");
    desk.transfer("the upload", |item| item.state == State::Done);
    desk.press(Key::F5);
    desk.row("a.txt");

    let mut desk = desk.reopen();
    desk.row("a.txt");
    world.stop().await;
}

/// What cannot be read today may be readable tomorrow.
#[cfg(unix)]
#[test]
fn a_saved_queue_that_cannot_be_read_is_not_replaced() {
    let desk = Desk::new();
    let saved = desk.folder.path().join("configuration/gui/queue.jsonl");
    let Desk { screen, folder, .. } = desk;
    drop(screen);
    let _ = std::fs::remove_file(&saved);
    // A link to itself can be read by nobody, and be replaced by everybody.
    std::os::unix::fs::symlink(&saved, &saved).unwrap();
    let mut desk = Desk::at(folder, None);
    desk.until("a message", |screen| screen.state().model.notices.next_change().is_some());
    desk.enqueue("default", "a.txt", "/alice/a.txt");
    let desk = desk.reopen();
    assert!(desk.screen.state().model.queue().is_empty());
    assert!(saved.symlink_metadata().unwrap().is_symlink());
}
