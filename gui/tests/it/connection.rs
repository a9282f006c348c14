//! A server that goes and comes: the window stays as it is, and goes on by itself.

use eframe::egui::{Key, accesskit::Role};
use egui_kittest::kittest::Queryable;
use sealift_gui::model::ServerLink;
use sealift_gui::model::queue::State;
use sealift_tests::World;

use crate::desk::Desk;

#[tokio::test]
async fn a_server_that_is_back_is_found_and_what_waited_goes_on() {
    let world = World::start().await;
    let mut desk = Desk::joined(&world, "alice").await;
    let path = desk.file("a.txt", b"a");
    desk.drop_files(&[path]);
    desk.row("a.txt");
    desk.transfer("the upload", |item| item.state == State::Done);
    desk.screen.run_steps(3);
    let place = |desk: &Desk| desk.screen.get_by_role_and_label(Role::Row, "a.txt").rect();
    let before = place(&desk);
    let old = world.address.to_string();

    let world = world.restart().await;
    desk.press(Key::F5);
    desk.until("that it is away", |screen| matches!(screen.state().model.link, ServerLink::Down(_)));
    desk.see("Could not connect");
    desk.enqueue("default", "late.txt", "/alice/late.txt");
    desk.screen.state_mut().model.with_queue(|_| {});
    desk.see("Transfers with default wait");
    assert_eq!(place(&desk), before, "what is known stays where it is");

    // The server is found again where it is now.
    let profile = desk.folder.path().join("configuration/profiles/default/profile.toml");
    let text = std::fs::read_to_string(&profile).unwrap();
    assert!(text.contains(&old), "{text}");
    std::fs::write(&profile, text.replace(&old, &world.address.to_string())).unwrap();
    desk.transfer("what waited", |item| item.state == State::Done && item.spec.name() == "late.txt");
    desk.until("that it is back", |screen| screen.state().model.link == ServerLink::Up);
    desk.row("late.txt");
    assert_eq!(place(&desk).height(), before.height());
    world.stop().await;
}

/// Spaces are known only when the server has answered, and servers are always known: nothing moves under the mouse.
#[tokio::test]
async fn servers_stay_where_they_are_when_a_connection_is_made() {
    let world = World::start().await;
    world.share("team");
    let mut desk = Desk::joined(&world, "alice").await;
    world.grant("team", Some("alice"), sealift_types::Rights::ALL);
    let places = |desk: &Desk| ["default", "Add a server"].map(|name| desk.screen.get_by_label(name).rect());
    let before = places(&desk);
    desk.press(Key::F5);
    desk.see("team");
    assert_eq!(places(&desk), before);
    let model = &mut desk.screen.state_mut().model;
    model.account = None;
    model.link = ServerLink::Connecting;
    desk.screen.run_steps(1);
    assert_eq!(places(&desk), before);
    world.stop().await;
}
