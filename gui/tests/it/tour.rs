//! A walk past every screen, over a real server. Pictures are taken of it, and what a screen reader reads is checked.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use eframe::egui::{self, Key, Modifiers, PointerButton, accesskit::Role};
use egui_kittest::kittest::Queryable;
use sealift_gui::model::conflict::Choice;
use sealift_gui::model::queue::{State, TransferQueue};
use sealift_gui::model::{Dialog, ServerLink};
use sealift_protocol::message::{Entry, EntryKind};
use sealift_tests::World;
use sealift_transfer::TransferError;
use sealift_transfer::error::HandshakeError;
use sealift_types::{Name, Rights};

use crate::busy;
use crate::desk::Desk;

/// Shows every screen to `see`, each with a name.
pub(crate) async fn tour(mut see: impl FnMut(&mut Desk, &str)) {
    let mut desk = Desk::new();
    joining(&mut desk, &mut see);
    let world = World::start().await;
    world.share("team");
    desk.join(&world, "alice");
    world.grant("team", Some("alice"), Rights::READ);
    desk.press(Key::F5);
    desk.see("team");
    see(&mut desk, "empty");
    desk.click("Transfer log");
    desk.see("Nothing was transferred yet");
    see(&mut desk, "log-empty");
    desk.click("Back to the files");
    fill(&mut desk);
    files(&mut desk, &mut see);
    dialogs(&mut desk, &mut see);
    conflicts(&mut desk, &mut see);
    transfers(&mut desk, &mut see);
    log(&mut desk, &mut see);
    many(&mut desk, &mut see);
    trouble(&mut desk, &mut see);
    world.stop().await;
}

fn joining(desk: &mut Desk, see: &mut impl FnMut(&mut Desk, &str)) {
    desk.see("sealiftd invite NAME");
    see(desk, "join");
    desk.screen.state_mut().model.join.token = "sealift-join:example.org:7325/nonsense".into();
    desk.click("Connect");
    desk.until("the reason", |screen| screen.state().model.join.trouble.is_some());
    see(desk, "join-failed");
    let join = &mut desk.screen.state_mut().model.join;
    (join.busy, join.trouble) = (true, None);
    see(desk, "join-connecting");
    let join = &mut desk.screen.state_mut().model.join;
    (join.busy, join.token) = (false, String::new());
}

/// What a person may have.
const FILES: [(&str, u64, &str); 14] = [
    ("Photos/harbour.png", 0, "2026-07-04T18:12:00Z"),
    ("Reports/2025.pdf", 1_200_000, "2026-01-12T09:30:00Z"),
    ("Website/index.html", 4_000, "2026-03-02T11:00:00Z"),
    ("brief.md", 0, "2026-10-06T08:15:00Z"),
    ("budget-2026.csv", 48_213, "2026-09-30T16:41:00Z"),
    ("concert.flac", 41_300_000, "2026-05-23T21:05:00Z"),
    ("harbour.png", 0, "2026-07-04T18:12:00Z"),
    ("keynote-recording-with-slides-and-questions-from-the-audience.mp4", 88_000_000, "2026-06-11T14:20:00Z"),
    ("minutes.pdf", 184_320, "2026-10-05T10:00:00Z"),
    ("notes.txt", 912, "2026-10-07T07:58:00Z"),
    ("release-1.9.tar.zst", 12_582_912, "2026-08-19T13:37:00Z"),
    ("release-1.10.tar.zst", 12_910_000, "2026-09-19T13:37:00Z"),
    ("server.toml", 640, "2026-02-27T17:45:00Z"),
    ("ship.glb", 7_340_032, "2026-04-15T12:00:00Z"),
];

const BRIEF: &str = "# Brief

What we move, and by when.

1. Everything in /team/plans, before Friday.
2. The recordings, as they come. They are large: start
   them in the evening.
3. Keep the originals until the digests were compared.

Questions to alice.
";

fn fill(desk: &mut Desk) {
    for (name, size, time) in FILES {
        let content = match name {
            "brief.md" => BRIEF.as_bytes().to_vec(),
            name if name.ends_with("harbour.png") => harbour(),
            _ => Vec::new(),
        };
        let path = desk.file(&format!("home/{name}"), &content);
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        if content.is_empty() {
            file.set_len(size).unwrap();
        }
        let time: jiff::Timestamp = time.parse().unwrap();
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(time.as_second().try_into().unwrap());
        file.set_modified(time).unwrap();
        let parent = path.parent().unwrap();
        std::fs::File::open(parent).unwrap().set_modified(time).unwrap();
    }
    let home = desk.folder.path().join("home");
    let paths: Vec<PathBuf> = std::fs::read_dir(home).unwrap().map(|entry| entry.unwrap().path()).collect();
    let count = paths.len();
    desk.drop_files(&paths);
    desk.until("the uploads", |screen| screen.state().model.queue().totals().done == count);
    desk.row("notes.txt");
    desk.row("Website");
    desk.screen.state_mut().model.with_queue(TransferQueue::clear_ended);
    // They tell of it, and then they are in the way.
    desk.see("14 transfers done");
    silence(desk);
}

fn silence(desk: &mut Desk) {
    let notices = &mut desk.screen.state_mut().model.notices;
    while let Some(id) = notices.at(Instant::now()).first().map(|notice| notice.id) {
        notices.dismiss(id);
    }
}

/// A picture: the sun goes down behind the sea.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // A small picture.
fn harbour() -> Vec<u8> {
    let picture = image::RgbImage::from_fn(480, 320, |x, y| {
        let (x, y) = (f32::from(x as u16) / 480.0, f32::from(y as u16) / 320.0);
        let mix = |a: [f32; 3], b: [f32; 3], share: f32| [0, 1, 2].map(|c| a[c] + (b[c] - a[c]) * share);
        let sun = ((x - 0.64).powi(2) * 2.25 + (y - 0.52).powi(2)).sqrt();
        let sky = mix([38.0, 52.0, 110.0], [250.0, 150.0, 96.0], (y / 0.6).min(1.0));
        let sky = mix([255.0, 236.0, 190.0], sky, ((sun - 0.085) * 60.0).clamp(0.0, 1.0));
        let hill = 0.6 - 0.16 * (-(x - 0.2).powi(2) * 18.0).exp() - 0.05 * (-(x - 0.46).powi(2) * 60.0).exp();
        let wave = ((y * 130.0).sin() * 0.5 + 0.5) * (-(x - 0.64).powi(2) * 60.0).exp();
        let sea = mix([44.0, 60.0, 104.0], [20.0, 28.0, 58.0], (y - 0.6) / 0.4);
        let sea = mix(sea, [250.0, 190.0, 130.0], wave * 0.7);
        let colour = if y > 0.6 {
            sea
        } else if y > hill {
            [46.0, 40.0, 74.0]
        } else {
            sky
        };
        image::Rgb(colour.map(|channel| channel as u8))
    });
    let mut png = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut png, image::ImageFormat::Png).unwrap();
    png.into_inner()
}

fn files(desk: &mut Desk, see: &mut impl FnMut(&mut Desk, &str)) {
    see(desk, "files");
    desk.click_row("brief.md");
    desk.see("before Friday");
    see(desk, "text");
    desk.click_row("harbour.png");
    desk.until("the picture", |screen| {
        screen.query_all_by_role_and_label(Role::Image, "harbour.png").next().is_some()
    });
    see(desk, "picture");
    for name in ["Photos", "budget-2026.csv"] {
        let row = desk.screen.state().model.browser.row_of(name).unwrap();
        desk.screen.state_mut().model.browser.select(row, true, false);
    }
    desk.screen.run_steps(3);
    see(desk, "several");
    desk.click_row("minutes.pdf");
    let row = desk.screen.get_by_role_and_label(Role::Row, "minutes.pdf").rect();
    let at = row.left_center() + egui::vec2(120.0, 0.0);
    for pressed in [true, false] {
        let modifiers = Modifiers::NONE;
        desk.screen.event(egui::Event::PointerMoved(at));
        desk.screen.event(egui::Event::PointerButton {
            pos: at,
            button: PointerButton::Secondary,
            pressed,
            modifiers,
        });
        desk.screen.run_steps(2);
    }
    desk.see("Copy path");
    see(desk, "menu");
    desk.press(Key::Escape);
    desk.click("Upload");
    desk.see("By its path");
    see(desk, "upload-menu");
    desk.press(Key::Escape);
    desk.screen.state_mut().model.browser.filter = "invoice".into();
    desk.screen.state_mut().model.browser.refilter();
    desk.see("Nothing here matches");
    see(desk, "filter");
    desk.click("Clear the filter");
    for _ in 0..4 {
        desk.press(Key::Tab);
    }
    see(desk, "focus");
    desk.press(Key::Escape);
    desk.screen.input_mut().hovered_files = vec![egui::HoveredFile::default()];
    desk.screen.run_steps(1);
    see(desk, "drop");
    desk.screen.input_mut().hovered_files.clear();
    desk.screen.state_mut().model.go("/".parse().unwrap());
    desk.row("team");
    see(desk, "spaces");
    desk.screen.state_mut().model.go("/alice".parse().unwrap());
    desk.row("brief.md");
}

fn dialogs(desk: &mut Desk, see: &mut impl FnMut(&mut Desk, &str)) {
    desk.click_row("brief.md");
    for (key, modifiers, says, name) in [
        (Key::N, Modifiers::COMMAND.plus(Modifiers::SHIFT), "Name of the folder", "new-folder"),
        (Key::F2, Modifiers::NONE, "New name", "rename"),
        (Key::Delete, Modifiers::NONE, "no trash", "delete"),
        (Key::U, Modifiers::COMMAND, "File or folder on this computer", "upload-path"),
        (Key::D, Modifiers::COMMAND, "Folder on this computer", "download"),
        (Key::F6, Modifiers::NONE, "Move 1 item", "move"),
        (Key::F6, Modifiers::SHIFT, "Copy 1 item", "copy"),
    ] {
        desk.screen.key_press_modifiers(modifiers, key);
        desk.screen.run_steps(3);
        desk.see(says);
        see(desk, name);
        desk.press(Key::Escape);
    }
    let profile: Name = "default".parse().unwrap();
    let rename = Dialog::RenameServer { profile: profile.clone(), name: "work".into() };
    for (dialog, name) in
        [(rename, "rename-server"), (Dialog::RemoveServer { profile, transfers: 3 }, "remove-server")]
    {
        desk.screen.state_mut().model.dialog = Some(dialog);
        desk.screen.run_steps(3);
        see(desk, name);
        desk.press(Key::Escape);
    }
    let paths = vec!["/alice/Reports".parse().unwrap(), "/alice/Photos".parse().unwrap()];
    desk.screen.state_mut().model.dialog = Some(Dialog::Delete { paths, folders: true });
    desk.screen.run_steps(3);
    see(desk, "delete-folders");
    desk.press(Key::Escape);
}

fn conflicts(desk: &mut Desk, see: &mut impl FnMut(&mut Desk, &str)) {
    let path = |name: &str| desk.folder.path().join("home").join(name);
    let (one, several) = (vec![path("minutes.pdf")], [path("Reports"), path("brief.md"), path("notes.txt")]);
    desk.drop_files(&one);
    desk.see("is there already");
    see(desk, "conflict");
    desk.screen.state_mut().model.decide(Choice::Skip, true);
    desk.drop_files(&several);
    desk.see("Do the same for 2 more");
    see(desk, "conflicts");
    desk.screen.state_mut().model.decide(Choice::Skip, true);
    desk.screen.run_steps(3);
}

fn transfers(desk: &mut Desk, see: &mut impl FnMut(&mut Desk, &str)) {
    desk.click_row("harbour.png");
    desk.until("the picture", |screen| {
        screen.query_all_by_role_and_label(Role::Image, "harbour.png").next().is_some()
    });
    let real = desk.screen.state().model.queue.clone();
    for (name, queue) in [
        ("main", busy::under_way(741)),
        ("failed", busy::failed()),
        ("paused", busy::paused()),
        ("done", busy::done()),
        ("waiting", busy::held()),
    ] {
        desk.screen.state_mut().model.queue = Arc::new(Mutex::new(queue));
        desk.screen.run_steps(3);
        see(desk, name);
    }
    let model = &mut desk.screen.state_mut().model;
    model.queue = Arc::new(Mutex::new(busy::under_way(741)));
    let now = Instant::now();
    model.notices.tell(
        "Moved 3 items to /alice/Reports",
        Some(sealift_gui::model::Undo::MoveBack { profile: "default".parse().unwrap(), pairs: Vec::new() }),
        now,
    );
    model.notices.tell("The certificate is renewed", None, now);
    let no_space = TransferError::local("write", Path::new("/media/stick/concert.flac"))(
        std::io::ErrorKind::StorageFull.into(),
    );
    model.notices.complain(&(&no_space).into(), now);
    desk.screen.run_steps(3);
    see(desk, "notices");
    silence(desk);
    desk.screen.state_mut().model.queue = real;
}

fn log(desk: &mut Desk, see: &mut impl FnMut(&mut Desk, &str)) {
    desk.screen.state_mut().model.go("/team".parse().unwrap());
    desk.see("This folder is empty");
    let plan = desk.file("plan.txt", b"plan");
    desk.drop_files(&[plan]);
    desk.until("a refusal", |screen| {
        let queue = screen.state().model.queue();
        queue.row(0).is_some_and(|(_, item)| matches!(item.state, State::Failed(_)))
    });
    see(desk, "refused");
    desk.click("Transfer log");
    desk.until("the log", |screen| screen.state().model.log.end);
    see(desk, "log");
    desk.screen.state_mut().model.log.filter = "nobody".into();
    desk.screen.run_steps(3);
    see(desk, "log-filter");
    desk.screen.state_mut().model.log.filter.clear();
    desk.click("Back to the files");
    desk.screen.state_mut().model.with_queue(TransferQueue::clear_ended);
}

fn many(desk: &mut Desk, see: &mut impl FnMut(&mut Desk, &str)) {
    let entry = |number: usize| Entry {
        name: format!("measurement-{number:06}.dat"),
        kind: EntryKind::File,
        size: (number * 7919 % 900_000) as u64,
        mtime: 1_790_000_000_000_000_000 + number as i64 * 60_000_000_000,
        executable: false,
        sha256: None,
        target: None,
        by: Some("alice".parse().unwrap()),
        etag: None,
    };
    let browser = &mut desk.screen.state_mut().model.browser;
    browser.go("/team/measurements".parse().unwrap());
    let generation = browser.begin();
    browser.page(generation, (0..42_000).map(entry).collect());
    desk.screen.run_steps(3);
    see(desk, "listing");
    let browser = &mut desk.screen.state_mut().model.browser;
    browser.page(generation, (42_000..100_000).map(entry).collect());
    browser.complete(generation, Ok(()));
    desk.row("measurement-000000.dat");
    for _ in 0..40 {
        desk.press(Key::PageDown);
    }
    see(desk, "many");
}

fn trouble(desk: &mut Desk, see: &mut impl FnMut(&mut Desk, &str)) {
    let model = &mut desk.screen.state_mut().model;
    model.go("/alice".parse().unwrap());
    model.link = ServerLink::Down((&busy::away()).into());
    desk.screen.run_steps(3);
    see(desk, "away");
    let model = &mut desk.screen.state_mut().model;
    let expired = TransferError::Handshake {
        address: "192.0.2.7:7325".parse().unwrap(),
        cause: HandshakeError::Expired,
    };
    model.link = ServerLink::Down((&expired).into());
    model.profiles[0].expires = Some(SystemTime::now() - Duration::from_secs(3600));
    desk.screen.run_steps(3);
    see(desk, "expired");
    desk.screen.state_mut().model.ask_to_join(Some("default".parse().unwrap()));
    desk.screen.run_steps(3);
    see(desk, "join-again");
}
