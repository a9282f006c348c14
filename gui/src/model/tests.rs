//! The queue and the model, driven as the engine and the window drive them.

use super::*;
use crate::engine::CollisionAnswer;
use crate::model::conflict::Choice;
use crate::model::queue::{Facts, ItemId, Job, Spec, State, Totals};
use sealift_protocol::WireError;
use sealift_protocol::message::{Direction, Entry, EntryKind};
use sealift_transfer::event::TransferSummary;
use sealift_transfer::{Event, Remedy, TransferError};
use sealift_types::{Digest, ErrorCode};
use std::path::Path;
use std::time::Duration;

fn spec(name: &str, size: u64) -> Spec {
    Spec {
        profile: "default".parse().unwrap(),
        direction: Direction::Put,
        local: Path::new("/home").join(name),
        remote: format!("/alice/{name}").parse().unwrap(),
        tree: false,
        size: Some(size),
    }
}

const BIG: u64 = 10 << 20;

fn done(size: u64, deduplicated: bool) -> TransferSummary {
    TransferSummary {
        size,
        sha256: Digest::of(b""),
        deduplicated,
        duration: Duration::ZERO,
        wire_bytes: size,
    }
}

fn tell(queue: &mut TransferQueue, job: &Job, event: Event) {
    queue.take(job, &Numbers::of(job), event, Instant::now());
}

fn names(queue: &TransferQueue) -> Vec<String> {
    (0..queue.len()).map(|row| queue.row(row).unwrap().1.spec.name().to_owned()).collect()
}

/// The sums must be what counting gives.
fn check(queue: &TransferQueue) {
    let mut counted = Totals::default();
    for (_, item) in (0..queue.len()).filter_map(|row| queue.row(row)) {
        match item.state {
            State::Waiting => counted.waiting += 1,
            State::Running => counted.running += 1,
            State::Paused => counted.paused += 1,
            State::Done => counted.done += 1,
            State::Failed(_) => counted.failed += 1,
            State::Cancelled => continue,
        }
        counted.had += usize::from(item.had);
        counted.bytes += item.size;
        counted.moved += if item.state == State::Done { item.size } else { item.moved.min(item.size) };
    }
    assert_eq!(queue.totals(), counted);
}

#[test]
fn small_files_go_together_and_large_ones_alone() {
    let mut queue = TransferQueue::new(3);
    queue.add([spec("a", 1), spec("b", 2), spec("big", BIG), spec("c", 3)]);
    queue.add([Spec { direction: Direction::Get, ..spec("d", 4) }]);
    let taken = |job: &Job| job.items.iter().map(|(_, spec)| spec.name().to_owned()).collect::<Vec<_>>();
    assert_eq!(taken(&queue.take_job(0).unwrap()), ["a", "b"]);
    assert_eq!(taken(&queue.take_job(1).unwrap()), ["big"]);
    assert_eq!(taken(&queue.take_job(2).unwrap()), ["c"]);
    assert!(queue.take_job(3).is_none(), "no more than three at once");
    assert_eq!(taken(&queue.take_job(2).unwrap()), ["d"]);
    check(&queue);
}

#[test]
fn an_entry_lives_from_waiting_to_done() {
    let mut queue = TransferQueue::new(1);
    let ids = queue.add([spec("a", BIG), spec("b", BIG)]);
    let job = queue.take_job(0).unwrap();
    tell(&mut queue, &job, Event::Started { id: 0, size: Some(BIG), offset: 0 });
    tell(&mut queue, &job, Event::Progress { id: 0, bytes: BIG / 2 });
    assert!((queue.item(ids[0]).unwrap().fraction() - 0.5).abs() < 0.01);
    check(&queue);
    tell(&mut queue, &job, Event::Finished { id: 0, done: done(BIG, true) });
    queue.job_ended(&job, None);
    let item = queue.item(ids[0]).unwrap();
    assert!(item.had && item.state == State::Done);
    assert_eq!(names(&queue), ["b", "a"], "what has ended is behind what is to come");
    assert_eq!((queue.totals().had, queue.totals().done), (1, 1));
    check(&queue);
    queue.clear_ended();
    assert_eq!(names(&queue), ["b"]);
    check(&queue);
}

#[test]
fn pausing_one_of_a_job_stops_the_job_and_lets_the_others_go_on() {
    let mut queue = TransferQueue::new(1);
    let ids = queue.add([spec("a", 1), spec("b", 1), spec("c", 1)]);
    let job = queue.take_job(0).unwrap();
    tell(&mut queue, &job, Event::Finished { id: 0, done: done(1, false) });
    queue.pause(ids[1]);
    assert_eq!(queue.take_stops(), [job.id]);
    // What the stopped job says now is not about the present any more.
    tell(&mut queue, &job, Event::Finished { id: 1, done: done(1, false) });
    queue.job_ended(&job, None);
    assert_eq!(queue.item(ids[1]).unwrap().state, State::Paused);
    let next = queue.take_job(0).unwrap();
    assert_eq!(next.items[0].0, ids[2]);
    queue.resume(ids[1]);
    assert_eq!(queue.item(ids[1]).unwrap().state, State::Waiting);
    check(&queue);
}

#[test]
fn what_was_cancelled_or_failed_can_be_started_again() {
    let mut queue = TransferQueue::new(1);
    let ids = queue.add([spec("a", BIG), spec("b", BIG), spec("c", BIG)]);
    let job = queue.take_job(0).unwrap();
    let error = TransferError::Refused(WireError::new(ErrorCode::NotAllowed, "you may not"));
    tell(&mut queue, &job, Event::Failed { id: 0, error });
    queue.job_ended(&job, None);
    let State::Failed(trouble) = &queue.item(ids[0]).unwrap().state else { panic!() };
    assert_eq!((trouble.message.as_str(), trouble.mend), ("you may not", Remedy::Person));
    queue.cancel(ids[1]);
    check(&queue);
    queue.retry(ids[1]);
    queue.retry_failed();
    assert_eq!(names(&queue), ["c", "b", "a"]);
    assert_eq!(queue.totals().waiting, 3);
    check(&queue);
}

#[test]
fn a_server_that_is_away_holds_its_transfers_and_not_those_of_others() {
    let mut queue = TransferQueue::new(1);
    let elsewhere = Spec { profile: "other".parse().unwrap(), ..spec("x", BIG) };
    queue.add([spec("a", BIG), spec("b", BIG), elsewhere]);
    let job = queue.take_job(0).unwrap();
    let lost = TransferError::Connect(Vec::new());
    assert!(lost.kind().concerns_all());
    queue.job_ended(&job, Some((Trouble::from(&lost), true)));
    assert_eq!(queue.take_job(0).unwrap().profile.as_str(), "other");
    assert!(queue.take_job(0).is_none());
    assert_eq!((queue.totals().failed, queue.held().count()), (0, 1));
    queue.release(&"default".parse().unwrap());
    assert!(queue.take_job(0).is_some());
    check(&queue);
}

#[test]
fn a_tree_counts_its_files_and_fails_with_the_first_of_them() {
    let mut queue = TransferQueue::new(1);
    let ids = queue.add([Spec { tree: true, size: None, ..spec("tree", 0) }]);
    let job = queue.take_job(0).unwrap();
    for (id, size) in [(0, None), (1, Some(10)), (2, Some(20)), (3, Some(5))] {
        let (remote, local) = (job.items[0].1.remote.clone(), PathBuf::new());
        tell(&mut queue, &job, Event::Found { id, remote, local, size, content: true });
    }
    tell(&mut queue, &job, Event::Made { id: 0 });
    tell(&mut queue, &job, Event::Progress { id: 1, bytes: 4 });
    tell(&mut queue, &job, Event::Progress { id: 2, bytes: 20 });
    assert_eq!((queue.item(ids[0]).unwrap().moved, queue.item(ids[0]).unwrap().size), (24, 35));
    tell(&mut queue, &job, Event::Finished { id: 1, done: done(10, false) });
    tell(&mut queue, &job, Event::Finished { id: 2, done: done(20, true) });
    check(&queue);
    let error =
        TransferError::local("read", Path::new("/home/tree/3"))(std::io::ErrorKind::PermissionDenied.into());
    tell(&mut queue, &job, Event::Failed { id: 3, error });
    queue.job_ended(&job, None);
    let item = queue.item(ids[0]).unwrap();
    let files = item.files.as_ref().unwrap();
    assert_eq!((files.found, files.done, files.had, files.failed, item.moved), (4, 3, 1, 1, 30));
    assert!(matches!(&item.state, State::Failed(trouble) if trouble.message.contains("/home/tree/3")));
    check(&queue);
}

#[test]
fn the_order_is_what_it_was_dragged_to() {
    let mut queue = TransferQueue::new(1);
    let ids = queue.add(["a", "b", "c", "d"].map(|name| spec(name, BIG)));
    queue.reorder(ids[3], 0);
    assert_eq!(names(&queue), ["d", "a", "b", "c"]);
    queue.reorder(ids[3], 3);
    assert_eq!(names(&queue), ["a", "b", "d", "c"]);
    queue.reorder(ItemId(99), 0);
    queue.reorder(ids[0], 99);
    assert_eq!(names(&queue), ["b", "d", "c", "a"]);
}

#[test]
fn transfers_go_with_their_server_and_follow_its_name() {
    let mut queue = TransferQueue::new(2);
    let elsewhere = Spec { profile: "other".parse().unwrap(), ..spec("x", BIG) };
    queue.add([spec("a", BIG), elsewhere, spec("b", 1), spec("c", 1)]);
    let (first, second) = (queue.take_job(0).unwrap(), queue.take_job(1).unwrap());
    let [default, work, other] = ["default", "work", "other"].map(|name| name.parse().unwrap());
    assert_eq!(queue.unfinished(&default), 3);

    queue.rename_server(&default, &work);
    assert_eq!(queue.take_stops(), [first.id], "and not the other one's");
    assert_eq!((queue.unfinished(&default), queue.unfinished(&work)), (0, 3));
    check(&queue);
    let again = queue.take_job(1).unwrap();
    assert_eq!((again.profile.as_str(), again.items.len()), ("work", 1));
    check(&queue);

    queue.forget_server(&other);
    assert_eq!(queue.take_stops(), [second.id]);
    assert_eq!(names(&queue), ["a", "b", "c"]);
    // What the stopped job says now is about nobody.
    tell(&mut queue, &second, Event::Progress { id: 0, bytes: 1 });
    queue.job_ended(&second, Some((Trouble::from(&TransferError::Connect(Vec::new())), true)));
    assert_eq!(queue.held().count(), 0);
    check(&queue);
}

#[test]
fn a_hundred_thousand_entries_are_taken_in_a_moment() {
    let begun = Instant::now();
    let mut queue = TransferQueue::new(2);
    queue.add((0..100_000).map(|number| spec(&format!("f{number}"), 100)));
    while let Some(job) = queue.take_job(0) {
        for id in 0..job.items.len() {
            tell(&mut queue, &job, Event::Finished { id, done: done(100, false) });
        }
        queue.job_ended(&job, None);
    }
    assert_eq!(queue.totals().done, 100_000);
    // In a debug build on a busy machine it is about ten seconds; a square of the number would be hours.
    assert!(begun.elapsed() < Duration::from_secs(120), "{:?}", begun.elapsed());
}

fn model() -> Model {
    let mut model =
        Model::new(Arc::new(Mutex::new(TransferQueue::new(2))), "/tmp".into(), Opening::default());
    model.begin(vec![profile("default")], None);
    model.take_commands();
    model
}

fn profile(name: &str) -> ProfileInfo {
    ProfileInfo {
        name: name.parse().unwrap(),
        identity: None,
        server: "h:1".into(),
        expires: None,
        renew: false,
        trouble: None,
    }
}

#[test]
fn the_server_that_is_shown_first_is_remembered_or_chosen_or_the_usual_one() {
    let name = |name: &str| Some(name.parse().unwrap());
    for (remembered, chosen, shown) in [
        (name("b"), name("c"), "b"),
        (name("gone"), name("c"), "c"),
        (None, name("c"), "c"),
        (None, name("gone"), "default"),
        (None, None, "default"),
    ] {
        let mut model =
            Model::new(Arc::new(Mutex::new(TransferQueue::new(2))), "/tmp".into(), Opening::default());
        model.begin(["a", "b", "c", "default"].map(profile).to_vec(), [remembered, chosen]);
        assert_eq!(model.profile, name(shown));
    }
    let mut model =
        Model::new(Arc::new(Mutex::new(TransferQueue::new(2))), "/tmp".into(), Opening::default());
    model.begin(["a", "b"].map(profile).to_vec(), [None]);
    assert_eq!(model.profile, name("a"), "or the first");
}

#[test]
fn without_a_profile_the_first_thing_is_a_token() {
    let mut model =
        Model::new(Arc::new(Mutex::new(TransferQueue::new(2))), "/tmp".into(), Opening::default());
    model.begin(Vec::new(), None);
    assert_eq!(model.screen, Screen::Join);
    model.join.token = "  sealift-join:x ".into();
    model.submit_join();
    model.submit_join();
    let commands = model.take_commands();
    assert!(
        matches!(&commands[..], [EngineCommand::Join { token, .. }] if token == "sealift-join:x"),
        "once"
    );
    let trouble = Trouble { message: "no".into(), mend: Remedy::Person };
    model.apply(EngineUpdate::NotJoined(trouble.clone()), Instant::now());
    assert_eq!((model.join.busy, model.join.trouble.clone()), (false, Some(trouble)));
}

#[test]
fn taken_names_wait_for_a_decision_and_the_others_do_not() {
    let mut model = model();
    let update = EngineUpdate::Planned {
        specs: vec![(spec("a", 1), Facts::default()), (spec("b", 1), Facts::default())],
        taken: vec![("b".into(), Facts::default())],
        troubles: Vec::new(),
        instead: None,
    };
    model.apply(update, Instant::now());
    assert_eq!(model.queue().len(), 1);
    model.decide(Choice::KeepBoth, false);
    assert_eq!(names(&model.queue()), ["a", "b (2)"]);
    assert!(model.conflicts.current().is_none());
}

#[test]
fn a_move_can_be_taken_back_and_a_rename_keeps_the_directory() {
    let mut model = model();
    model.rename("/alice/docs/a".parse().unwrap(), "b");
    let commands = model.take_commands();
    let [EngineCommand::Relocate { pairs, copy: false, how: CollisionAnswer::Ask, .. }] = &commands[..]
    else {
        panic!("{commands:?}")
    };
    assert_eq!(pairs[0].1.as_str(), "/alice/docs/b");
    model.rename("/alice/docs/a".parse().unwrap(), "../b");
    assert!(model.take_commands().is_empty(), "a name is one name");
}

#[test]
fn undo_goes_to_the_server_on_which_something_was_done() {
    let mut model = model();
    let default: Name = "default".parse().unwrap();
    let moved = ("/alice/docs/b".parse().unwrap(), "/alice/docs/a".parse().unwrap());
    model.open("other".parse().unwrap());
    model.take_commands();
    model.undo(Undo::MoveBack { profile: default.clone(), pairs: vec![moved] });
    let (path, etag) = ("/alice/new".parse().unwrap(), "1".to_owned());
    model.undo(Undo::RemoveFolder { profile: default.clone(), path, etag });
    let commands = model.take_commands();
    let [
        EngineCommand::Relocate { profile: first, copy: false, how: CollisionAnswer::Back, .. },
        EngineCommand::RemoveFolder { profile: second, .. },
    ] = &commands[..]
    else {
        panic!("{commands:?}")
    };
    assert_eq!([first, second], [&default, &default]);
}

#[test]
fn nothing_is_uploaded_to_the_list_of_spaces() {
    let mut model = model();
    model.upload(vec!["/etc/hostname".into()]);
    assert!(model.take_commands().is_empty());
    assert_eq!(model.notices.at(Instant::now()).len(), 1);
}

/// A model that shows `default`, and a download from `other` that failed.
fn failed_download() -> (Model, ItemId) {
    let mut model = model();
    let spec = Spec { profile: "other".parse().unwrap(), direction: Direction::Get, ..spec("a", BIG) };
    let id = model.queue().add([spec])[0];
    let job = model.queue().take_job(0).unwrap();
    model.queue().job_ended(&job, Some((Trouble::of_person("no"), false)));
    model.ask_for_another_place(id);
    let Some(Dialog::DownloadTo { profile, entries, instead, .. }) = model.dialog.take() else { panic!() };
    model.download(profile, entries, "/elsewhere".into(), instead);
    (model, id)
}

fn planned(model: &mut Model, taken: &[&str]) {
    let commands = model.take_commands();
    let [EngineCommand::PlanDownloads { profile, instead, .. }] = &commands[..] else {
        panic!("{commands:?}")
    };
    assert_eq!(profile.as_str(), "other");
    let (profile, local) = (profile.clone(), "/elsewhere/a".into());
    let spec = Spec { profile, direction: Direction::Get, local, ..spec("a", BIG) };
    let update = EngineUpdate::Planned {
        specs: vec![(spec, Facts::default())],
        taken: taken.iter().map(|name| ((*name).to_owned(), Facts::default())).collect(),
        troubles: Vec::new(),
        instead: *instead,
    };
    model.apply(update, Instant::now());
}

fn locals(model: &Model) -> Vec<PathBuf> {
    let queue = model.queue();
    (0..queue.len()).map(|row| queue.row(row).unwrap().1.spec.local.clone()).collect()
}

#[test]
fn a_download_gets_another_place_from_its_own_server_and_only_when_that_is_planned() {
    let (mut model, id) = failed_download();
    assert!(model.queue().item(id).is_some(), "planning may fail");
    assert!(model.queue().take_given_up().is_empty());
    planned(&mut model, &[]);
    assert_eq!(locals(&model), [PathBuf::from("/elsewhere/a")]);
    assert_eq!(model.queue().take_given_up().len(), 1);
    assert!(matches!(&model.take_commands()[..], [EngineCommand::Stir]));
}

#[test]
fn a_download_keeps_its_old_place_until_somebody_decides_about_the_other_one() {
    for (choice, place) in [(Choice::Skip, "/home/a"), (Choice::KeepBoth, "/elsewhere/a (2)")] {
        let (mut model, _) = failed_download();
        planned(&mut model, &["a"]);
        assert_eq!(locals(&model), [PathBuf::from("/home/a")]);
        model.decide(choice, false);
        assert_eq!(locals(&model), [PathBuf::from(place)]);
    }
}

fn entry(name: &str) -> Entry {
    Entry {
        name: name.into(),
        kind: EntryKind::File,
        size: 1,
        mtime: 0,
        executable: false,
        sha256: None,
        target: None,
        by: None,
        etag: None,
    }
}

#[test]
fn late_answers_of_the_server_that_was_shown_are_not_taken_for_those_of_the_one_that_is() {
    let (mut model, now) = (model(), Instant::now());
    // Asks for the directory, the log, and an entry; returns under which numbers.
    let ask = |model: &mut Model| {
        model.take_commands();
        model.refresh();
        model.reload_log();
        let commands = model.take_commands();
        let [EngineCommand::List { generation: listed, .. }, EngineCommand::Log { generation: logged, .. }] =
            commands[..]
        else {
            panic!("{commands:?}")
        };
        (listed, logged)
    };
    let describe = |model: &mut Model, listed| {
        model.apply(EngineUpdate::Page { generation: listed, entries: vec![entry("a")] }, now);
        model.apply(EngineUpdate::Listed { generation: listed, result: Ok(()) }, now);
        model.browser.select(0, false, false);
        model.describe();
        let commands = model.take_commands();
        let [EngineCommand::Describe { generation, .. }] = commands[..] else { panic!("{commands:?}") };
        generation
    };
    model.browser.path = "/alice".parse().unwrap();
    let (listed, logged) = ask(&mut model);
    let described = describe(&mut model, listed);
    model.refresh();
    model.take_commands();
    let late = listed + 1;

    model.open("other".parse().unwrap());
    model.browser.path = "/alice".parse().unwrap();
    for generation in [listed, late] {
        model.apply(EngineUpdate::Page { generation, entries: vec![entry("b")] }, now);
        model.apply(EngineUpdate::Listed { generation, result: Ok(()) }, now);
    }
    assert!(!model.browser.listed, "before it was asked");
    let (new, _) = ask(&mut model);
    for generation in [listed, late] {
        model.apply(EngineUpdate::Listed { generation, result: Ok(()) }, now);
    }
    model.apply(EngineUpdate::LogEnd { generation: logged, result: Ok(()) }, now);
    assert!(!model.browser.listed && model.log.busy);
    describe(&mut model, new);
    let trouble = || Err(Trouble::of_person("no"));
    model.apply(EngineUpdate::Described { generation: described, result: trouble() }, now);
    model.apply(EngineUpdate::Previewed { generation: described, preview: Preview::Nothing }, now);
    assert!(model.details.description.is_none() && model.details.preview.is_none());
}

#[test]
fn names_that_queued_transfers_are_about_to_take_are_asked_about() {
    let other = |spec: Spec| Spec { profile: "other".parse().unwrap(), ..spec };
    let get = |spec: Spec| Spec { direction: Direction::Get, ..spec };
    let elsewhere = || Spec { remote: "/alice/docs/a".parse().unwrap(), ..spec("a", 1) };
    let downloads = || Spec { local: "/downloads/a".into(), ..get(spec("a", 1)) };
    // What is queued, what comes, and whether one would replace the other.
    for (queued, coming, is_asked) in [
        (spec("a", 1), spec("a", 1), true),
        (spec("a", 1), spec("b", 1), false),
        (spec("a", 1), other(spec("a", 1)), false),
        (spec("a", 1), elsewhere(), false),
        (spec("a", 1), get(spec("a", 1)), false),
        (get(spec("a", 1)), get(other(spec("a", 1))), true),
        (get(spec("a", 1)), downloads(), false),
    ] {
        let mut model = model();
        model.queue().add([queued.clone()]);
        let update = |spec: &Spec| EngineUpdate::Planned {
            specs: vec![(spec.clone(), Facts::default())],
            taken: Vec::new(),
            troubles: Vec::new(),
            instead: None,
        };
        model.apply(update(&coming), Instant::now());
        assert_eq!(model.conflicts.current().is_some(), is_asked, "{queued:?} {coming:?}");
        assert_eq!(model.queue().len(), if is_asked { 1 } else { 2 });
    }
    // What has ended is there or is not: whoever lists the directory knows.
    let mut model = model();
    let id = model.queue().add([spec("a", 1)])[0];
    model.queue().cancel(id);
    let specs = vec![(spec("a", 1), Facts::default())];
    let (taken, troubles) = (Vec::new(), Vec::new());
    model.apply(EngineUpdate::Planned { specs, taken, troubles, instead: None }, Instant::now());
    assert!(model.conflicts.current().is_none());
}

#[test]
fn a_question_about_one_server_is_not_put_to_another() {
    let delete = || Dialog::Delete { paths: vec!["/alice/a".parse().unwrap()], folders: false };
    let (mut model, now) = (model(), Instant::now());
    model.dialog = Some(delete());
    model.apply(EngineUpdate::Joined("other".parse().unwrap()), now);
    assert!(model.dialog.is_none(), "another server is shown");
    model.dialog = Some(delete());
    model.profiles.clear();
    model.apply(EngineUpdate::Removed("other".parse().unwrap()), now);
    assert!(model.dialog.is_none(), "none is shown");
}

#[test]
fn what_waits_for_a_server_follows_its_name() {
    let (mut model, now) = (model(), Instant::now());
    let [from, to] = ["default", "work"].map(|name| name.parse::<Name>().unwrap());
    let trouble = Trouble::from(&TransferError::Connect(Vec::new()));
    model.apply(EngineUpdate::NotConnected { profile: from.clone(), trouble }, now);
    model.join.again = Some(from.clone());
    let specs = vec![(spec("a", 1), Facts::default()), (spec("a", 1), Facts::default())];
    let taken = vec![("a".into(), Facts::default()), ("a (2)".into(), Facts::default())];
    model.apply(EngineUpdate::Planned { specs, taken, troubles: Vec::new(), instead: None }, now);
    let undo = Undo::MoveBack { profile: from.clone(), pairs: Vec::new() };
    model.apply(EngineUpdate::Did { text: "moved".into(), undo: Some(undo), touched: false }, now);
    model.ask_to_remove(from.clone());
    model.take_commands();

    model.apply(EngineUpdate::Renamed { from, to: to.clone() }, now);
    assert_eq!((model.profile.as_ref(), model.join.again.as_ref()), (Some(&to), Some(&to)));
    model.retry(now + Duration::from_secs(60));
    assert!(matches!(&model.take_commands()[..], [EngineCommand::Connect(name)] if *name == to));
    model.decide(Choice::KeepBoth, true);
    assert_eq!(names(&model.queue()), ["a (3)", "a (4)"]);
    assert_eq!(model.queue().unfinished(&to), 2);
    let undo = model.notices.at(now)[0].undo.clone().unwrap();
    assert!(matches!(undo, Undo::MoveBack { profile, .. } if profile == to));
    assert!(matches!(&model.dialog, Some(Dialog::RemoveServer { profile, .. }) if *profile == to));
}
