//! Queues at a certain moment: fed as the engine feeds them, and then left alone.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use sealift_gui::model::Numbers;
use sealift_gui::model::queue::{Job, Spec, TransferQueue};
use sealift_protocol::WireError;
use sealift_protocol::message::Direction;
use sealift_transfer::error::{ConnectAttempt, ConnectError};
use sealift_transfer::event::TransferSummary;
use sealift_transfer::{Event, TransferError};
use sealift_types::{Digest, ErrorCode};

const MIB: u64 = 1 << 20;

fn spec(direction: Direction, name: &str, size: u64) -> Spec {
    Spec {
        profile: "default".parse().unwrap(),
        direction,
        local: PathBuf::from("/home/alice/Documents").join(name),
        remote: format!("/alice/{name}").parse().unwrap(),
        tree: !name.contains('.'),
        size: name.contains('.').then_some(size),
    }
}

fn up(name: &str, size: u64) -> Spec {
    spec(Direction::Put, name, size)
}

fn down(name: &str, size: u64) -> Spec {
    spec(Direction::Get, name, size)
}

fn tell(queue: &mut TransferQueue, job: &Job, event: Event) {
    queue.take(job, &Numbers::of(job), event, Instant::now());
}

fn finish(queue: &mut TransferQueue, spec: Spec, deduplicated: bool) {
    let size = spec.size.unwrap_or(0);
    queue.add([spec]);
    let job = queue.take_job(0).unwrap();
    let sha256 = Digest::of(b"");
    let done =
        TransferSummary { size, sha256, deduplicated, duration: Duration::from_secs(1), wire_bytes: size };
    tell(queue, &job, Event::Finished { id: 0, done });
    queue.job_ended(&job, None);
}

fn fail(queue: &mut TransferQueue, spec: Spec, error: TransferError) {
    queue.add([spec]);
    let job = queue.take_job(0).unwrap();
    tell(queue, &job, Event::Failed { id: 0, error });
    queue.job_ended(&job, None);
}

/// Bytes cross at an even pace until now.
fn cross(queue: &mut TransferQueue, job: &Job, id: usize, bytes: u64) {
    let now = Instant::now();
    for tenth in 1..=10 {
        let Some(at) = now.checked_sub(Duration::from_millis(300) * (10 - tenth)) else { continue };
        let event = Event::Progress { id, bytes: bytes * u64::from(tenth) / 10 };
        queue.take(job, &Numbers::of(job), event, at);
    }
}

/// Two under way, of which one has come to so many MiB, and others that wait, are done, and failed.
pub(crate) fn under_way(crossed: u64) -> TransferQueue {
    let mut queue = TransferQueue::new(2);
    finish(&mut queue, up("harbour.png", 233_000), false);
    finish(&mut queue, up("release-1.10.tar.zst", 12 * MIB), true);
    let full = std::io::ErrorKind::StorageFull.into();
    fail(
        &mut queue,
        down("concert.flac", 39 * MIB),
        TransferError::local("write", "/media/stick/concert.flac".as_ref())(full),
    );
    queue.add([up("keynote-recording.mp4", 1_930 * MIB), up("Website", 0), down("ship.glb", 7 * MIB)]);
    let recording = queue.take_job(0).unwrap();
    tell(&mut queue, &recording, Event::Started { id: 0, size: Some(1_930 * MIB), offset: 0 });
    cross(&mut queue, &recording, 0, crossed * MIB);
    let website = queue.take_job(1).unwrap();
    for id in 0..48 {
        let (remote, local) = (website.items[0].1.remote.clone(), PathBuf::new());
        tell(&mut queue, &website, Event::Found { id, remote, local, size: Some(MIB / 3), content: true });
    }
    for id in 0..31 {
        let (size, sha256) = (MIB / 3, Digest::of(b""));
        let done =
            TransferSummary { size, sha256, deduplicated: false, duration: Duration::ZERO, wire_bytes: size };
        tell(&mut queue, &website, Event::Finished { id, done });
    }
    queue
}

pub(crate) fn failed() -> TransferQueue {
    let mut queue = TransferQueue::new(2);
    fail(
        &mut queue,
        up("plan.txt", 4_096),
        TransferError::Refused(WireError::new(
            ErrorCode::NotAllowed,
            "you have no right to create or replace in the space /team, or there is no such space",
        )),
    );
    let full = std::io::ErrorKind::StorageFull.into();
    fail(
        &mut queue,
        down("concert.flac", 39 * MIB),
        TransferError::local("write", "/media/stick/concert.flac".as_ref())(full),
    );
    let denied = std::io::ErrorKind::PermissionDenied.into();
    fail(
        &mut queue,
        up("secret.key", 12_000),
        TransferError::local("read", "/home/alice/Documents/secret.key".as_ref())(denied),
    );
    queue
}

pub(crate) fn paused() -> TransferQueue {
    let mut queue = under_way(741);
    queue.pause_all();
    queue
}

pub(crate) fn done() -> TransferQueue {
    let mut queue = TransferQueue::new(2);
    for (name, had) in [("harbour.png", false), ("minutes.pdf", false), ("release-1.10.tar.zst", true)] {
        finish(&mut queue, up(name, 12 * MIB), had);
    }
    queue
}

/// The server is away: its transfers wait.
pub(crate) fn held() -> TransferQueue {
    let mut queue = TransferQueue::new(2);
    queue.add([up("keynote-recording.mp4", 1_930 * MIB), up("notes.txt", 900)]);
    let job = queue.take_job(0).unwrap();
    let error = away();
    queue.job_ended(&job, Some(((&error).into(), true)));
    queue
}

/// Why a server cannot be reached.
pub(crate) fn away() -> TransferError {
    let address = "192.0.2.7:7325".parse().unwrap();
    TransferError::Connect(vec![ConnectAttempt { address, cause: ConnectError::Refused }])
}
