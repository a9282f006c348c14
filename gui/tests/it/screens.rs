//! The screens, over a real server.

use eframe::egui::{Key, Modifiers, accesskit::Role};
use egui_kittest::kittest::Queryable;
use sealift_gui::model::queue::State;
use sealift_tests::World;
use sealift_types::Rights;

use crate::desk::Desk;

#[tokio::test]
async fn a_token_leads_to_the_own_space_and_the_keyboard_through_it() {
    let world = World::start().await;
    let mut desk = Desk::joined(&world, "alice").await;
    desk.see("Certificate valid for");
    let folder = desk.folder.path().join("photos");
    for name in ["photos/a.txt", "photos/b2.txt", "photos/b10.txt"] {
        desk.file(name, name.as_bytes());
    }
    desk.drop_files(&[folder]);
    desk.transfer("the tree", |item| item.state == State::Done);
    desk.row("photos");
    desk.press(Key::ArrowDown);
    desk.press(Key::Enter);
    desk.row("b10.txt");
    // A new table takes its measures first.
    desk.screen.run_steps(3);
    let row = |desk: &Desk, name: &str| desk.screen.get_by_role_and_label(Role::Row, name).rect().top();
    assert!(row(&desk, "b2.txt") < row(&desk, "b10.txt"), "numbers are sorted by their value");

    desk.screen.key_press_modifiers(Modifiers::COMMAND, Key::F);
    desk.screen.run_steps(2);
    desk.type_text("B10");
    desk.until("the filter", |screen| {
        screen.query_all_by_role_and_label(Role::Row, "a.txt").next().is_none()
    });
    desk.press(Key::Enter);
    desk.see("SHA-256");
    desk.see("photos/b10.txt"); // What is in it: the preview.
    desk.press(Key::Escape);
    desk.press(Key::Backspace);
    desk.row("photos");
    world.stop().await;
}

#[tokio::test]
async fn a_wrong_token_is_explained_where_it_was_pasted() {
    let mut desk = Desk::new();
    desk.see("sealiftd invite NAME");
    desk.screen.state_mut().model.join.token = "sealift-join:nonsense".into();
    desk.click("Connect");
    desk.see("token");
    desk.until("the reason", |screen| screen.state().model.join.trouble.is_some());
    desk.see("Connect");
}

#[tokio::test]
async fn an_upload_shows_its_progress_and_goes_on_after_the_window_was_closed() {
    const SIZE: u64 = 400 << 20;
    let world = World::start().await;
    let mut desk = Desk::joined(&world, "alice").await;
    let path = desk.file("big.bin", b"");
    std::fs::File::options().write(true).open(&path).unwrap().set_len(SIZE).unwrap();
    desk.drop_files(&[path]);
    desk.transfer("progress", |item| item.moved > 0 && item.state == State::Running);
    desk.screen.run_steps(1);
    let bars = desk.screen.query_all_by_role_and_label(Role::ProgressIndicator, "big.bin").count();
    assert_eq!(bars, 1);
    desk.click("Pause: big.bin");
    desk.transfer("a pause", |item| item.state == State::Paused);
    let crossed = desk.screen.state().model.queue().totals().moved;
    assert!(crossed < SIZE, "it was paused on the way");

    let mut desk = desk.reopen();
    desk.see("paused");
    desk.click("Resume: big.bin");
    desk.transfer("the rest", |item| item.state == State::Done);
    desk.row("big.bin");
    world.stop().await;
}

#[tokio::test]
async fn what_was_cancelled_can_be_started_again() {
    let world = World::start().await;
    let mut desk = Desk::joined(&world, "alice").await;
    let path = desk.file("big.bin", b"");
    std::fs::File::options().write(true).open(&path).unwrap().set_len(400 << 20).unwrap();
    desk.drop_files(&[path]);
    desk.transfer("progress", |item| item.moved > 0);
    desk.click("Cancel: big.bin");
    desk.see("cancelled");
    desk.click("Start again: big.bin");
    desk.transfer("the end", |item| item.state == State::Done);
    world.stop().await;
}

#[tokio::test]
async fn a_taken_name_is_asked_about_once_and_equal_contents_are_not_sent() {
    let world = World::start().await;
    let mut desk = Desk::joined(&world, "alice").await;
    let content = vec![7; 3 << 20];
    let (first, second) = (desk.file("a.bin", &content), desk.file("b.bin", b"two"));
    desk.drop_files(&[first.clone(), second.clone()]);
    desk.row("b.bin");
    desk.transfer("all of it", |item| item.state == State::Done && item.spec.name() == "a.bin");

    desk.drop_files(&[first, second]);
    desk.see("is there already");
    desk.click("Do the same for 1 more");
    desk.click("Keep both");
    desk.row("a (2).bin");
    desk.row("b (2).bin");
    desk.transfer("the copy", |item| item.spec.name() == "a (2).bin" && item.had);
    desk.see("not sent");
    world.stop().await;
}

#[tokio::test]
async fn an_error_says_what_is_wrong_and_its_button_helps() {
    let world = World::start().await;
    world.share("team");
    let mut desk = Desk::joined(&world, "alice").await;
    world.grant("team", Some("alice"), Rights::READ);
    desk.press(Key::F5);
    let open = "/team".parse().unwrap();
    desk.screen.state_mut().model.go(open);
    desk.see("This folder is empty");
    let path = desk.file("plan.txt", b"plan");
    desk.drop_files(&[path]);
    desk.transfer("a refusal", |item| matches!(item.state, State::Failed(_)));
    desk.see("1 failed");
    world.grant("team", Some("alice"), Rights::ALL);
    desk.click("Retry: plan.txt");
    desk.transfer("the second attempt", |item| item.state == State::Done);
    desk.row("plan.txt");
    world.stop().await;
}

#[tokio::test]
async fn a_server_that_is_away_is_tried_again_when_somebody_says_so() {
    let world = World::start().await;
    let mut desk = Desk::joined(&world, "alice").await;
    world.stop().await;
    desk.screen.state_mut().model.connect();
    desk.see("Not connected");
    desk.see("Could not connect");
    let path = desk.file("a.txt", b"a");
    desk.screen.state_mut().model.with_queue(|queue| {
        queue.add([sealift_gui::model::queue::Spec {
            profile: "default".parse().unwrap(),
            direction: sealift_protocol::message::Direction::Put,
            local: path,
            remote: "/alice/a.txt".parse().unwrap(),
            tree: false,
            size: Some(1),
        }]);
    });
    desk.see("Transfers with default wait");
    desk.until("two ways to try again", |screen| screen.query_all_by_label("Try again").count() == 2);
}

#[tokio::test]
async fn folders_are_made_renamed_and_deleted_and_what_can_be_is_taken_back() {
    let world = World::start().await;
    let mut desk = Desk::joined(&world, "alice").await;
    desk.click("New folder");
    desk.type_text("plans");
    desk.press(Key::Enter);
    desk.row("plans");
    desk.click_row("plans");
    desk.press(Key::F2);
    desk.see("New name");
    desk.screen.key_press_modifiers(Modifiers::COMMAND, Key::A);
    desk.type_text("ideas");
    desk.press(Key::Enter);
    desk.row("ideas");
    desk.until("the undo of the rename", |screen| screen.query_all_by_label("Undo").count() == 2);
    let undo = desk.screen.query_all_by_label("Undo").last().unwrap();
    undo.click();
    desk.screen.run_steps(3);
    desk.row("plans");

    desk.click_row("plans");
    desk.press(Key::Delete);
    desk.see("no trash");
    desk.press(Key::Escape);
    desk.row("plans");
    desk.press(Key::Delete);
    desk.see("no trash");
    desk.click("Delete");
    desk.see("This folder is empty");
    world.stop().await;
}

#[tokio::test]
async fn what_is_downloaded_is_what_was_uploaded_and_the_log_has_both() {
    let world = World::start().await;
    let mut desk = Desk::joined(&world, "alice").await;
    let content: Vec<u8> = (0..2_000_000_u32).flat_map(u32::to_le_bytes).collect();
    let path = desk.file("numbers.bin", &content);
    desk.drop_files(&[path]);
    desk.click_row("numbers.bin");
    desk.screen.key_press_modifiers(Modifiers::COMMAND, Key::D);
    desk.see("Folder on this computer");
    desk.press(Key::Enter);
    let target = desk.folder.path().join("Downloads/numbers.bin");
    desk.until("the download", |_| target.exists());
    assert!(std::fs::read(&target).unwrap() == content);
    desk.click("Transfer log");
    desk.until("both", |screen| screen.query_all_by_label("/alice/numbers.bin").count() >= 2);
    world.stop().await;
}

#[test]
fn a_damaged_queue_does_not_keep_the_window_from_opening() {
    let desk = Desk::new();
    let file = desk.folder.path().join("configuration/gui/queue.jsonl");
    let Desk { screen, folder, .. } = desk;
    drop(screen);
    std::fs::write(&file, b"\xff\x00{{{\n[1,2").unwrap();
    let mut desk = Desk::at(folder, None);
    desk.see("could not be read");
    assert!(file.with_extension("damaged").exists());
}

/// How long a picture of a hundred thousand rows takes; printed, not judged.
#[tokio::test]
async fn a_hundred_thousand_rows_scroll() {
    use sealift_protocol::message::{Entry, EntryKind};
    let world = World::start().await;
    let mut desk = Desk::joined(&world, "alice").await;
    let entry = |number: usize| Entry {
        name: format!("file-{number}.dat"),
        kind: EntryKind::File,
        size: number as u64,
        mtime: 0,
        executable: false,
        sha256: None,
        target: None,
        by: Some("alice".parse().unwrap()),
        etag: None,
    };
    let browser = &mut desk.screen.state_mut().model.browser;
    let generation = browser.begin();
    browser.page(generation, (0..100_000).map(entry).collect());
    let begun = std::time::Instant::now();
    browser.complete(generation, Ok(()));
    let arranged = begun.elapsed();
    desk.row("file-0.dat");
    let begun = std::time::Instant::now();
    for _ in 0..100 {
        desk.screen.key_press(Key::PageDown);
        desk.screen.step();
    }
    println!("100,000 rows: arranged in {arranged:?}, a picture while scrolling {:?}", begun.elapsed() / 100);
    desk.press(Key::End);
    desk.row("file-99999.dat");
    world.stop().await;
}
