use std::io::Write;

use super::*;
use crate::store::fixture::{Fixture, fixture};
use crate::store::identities;

const KEEP: Duration = Duration::from_secs(3600);

fn key(path: &str, mtime: i64) -> PartialUploadKey {
    UploadPath { identity: 1, space: 1, path: path.into() }.upload(100_000, mtime)
}

impl Fixture {
    /// An upload that broke off after so many bytes.
    async fn left(&self, key: &PartialUploadKey, size: usize) -> u64 {
        let mut incoming = self.blobs.receive().unwrap();
        let (file, key) = (incoming.hold().file(), key.clone());
        self.catalog.write(move |connection| insert(connection, file, &key)).await.unwrap();
        incoming.hold().keep();
        incoming.write_all(&vec![7; size]).unwrap();
        file
    }

    async fn offered(&self, key: &PartialUploadKey) -> Option<ResumeOffer> {
        let (blobs, key) = (self.blobs.clone(), key.clone());
        self.catalog.read(move |connection| offer(connection, &blobs, &key)).await.unwrap()
    }

    async fn collected(&self, after: Duration) -> u64 {
        collect(&self.catalog, &self.blobs, SystemTime::now() + after, KEEP).await.unwrap().files
    }

    async fn rows(&self) -> Vec<u64> {
        self.catalog.read(rows).await.unwrap().into_keys().collect()
    }

    fn files(&self) -> Vec<u64> {
        let mut files: Vec<_> = self.blobs.leftovers().unwrap().iter().map(|left| left.file).collect();
        files.sort_unstable();
        files
    }
}

#[tokio::test]
async fn the_longest_part_of_the_very_upload_is_offered_up_to_a_whole_block() {
    let fixture = fixture().await;
    let wanted = key("dir/file", 5);
    assert_eq!(fixture.offered(&wanted).await, None);
    let short = fixture.left(&wanted, 2 * ALIGNMENT + 1).await;
    let long = fixture.left(&wanted, 3 * ALIGNMENT + 4095).await;
    let offer = fixture.offered(&wanted).await.unwrap();
    assert_eq!(offer, ResumeOffer { file: long, offset: 3 * ALIGNMENT as u64 });
    let other = UploadPath { identity: 2, ..wanted.target.clone() }.upload(100_000, 5);
    let larger = PartialUploadKey { size: 100_001, ..wanted.clone() };
    for other in [key("dir/file", 6), key("dir/other", 5), key("dir", 5), other, larger] {
        assert_eq!(fixture.offered(&other).await, None, "{other:?}");
    }
    let hold = take(&fixture.blobs, offer, 100_000).unwrap().unwrap();
    assert!(take(&fixture.blobs, offer, 100_000).unwrap().is_none(), "one at a time");
    assert_eq!(fixture.offered(&wanted).await.map(|offer| offer.file), Some(short));
    drop(hold);
    assert_eq!(fixture.offered(&wanted).await, Some(offer));
}

#[tokio::test]
async fn what_cannot_be_continued_is_not_offered() {
    let fixture = fixture().await;
    for size in [0, ALIGNMENT - 1, 100_001] {
        let wanted = key(&size.to_string(), 5);
        fixture.left(&wanted, size).await;
        assert_eq!(fixture.offered(&wanted).await, None, "{size}");
    }
    let wanted = key("gone", 5);
    let file = fixture.left(&wanted, 50_000).await;
    std::fs::remove_file(fixture.blobs.upload(file)).unwrap();
    assert_eq!(fixture.offered(&wanted).await, None);
    // A part that is whole lacks nothing but its trailer.
    let whole = UploadPath { identity: 1, space: 1, path: "whole".into() }.upload(2 * ALIGNMENT as u64, 5);
    fixture.left(&whole, 2 * ALIGNMENT).await;
    assert_eq!(fixture.offered(&whole).await.unwrap().offset, 2 * ALIGNMENT as u64);
}

#[tokio::test]
async fn the_collector_takes_what_is_old_shorter_unknown_or_gone() {
    let fixture = fixture().await;
    let (first, second) = (key("a", 1), key("a", 2));
    let shorter = fixture.left(&first, 10_000).await;
    let longest = fixture.left(&first, 20_000).await;
    let other = fixture.left(&second, 10).await;
    let gone = fixture.left(&second, 10_000).await;
    std::fs::remove_file(fixture.blobs.upload(gone)).unwrap();
    let unknown = fixture.left(&second, 20_000).await;
    fixture.catalog.write(move |connection| remove(connection, unknown)).await.unwrap();
    let held = fixture.left(&key("b", 1), 10_000).await;
    let hold = fixture.blobs.holds().hold(held).unwrap();
    assert_eq!(fixture.collected(Duration::ZERO).await, 3);
    assert_eq!(fixture.files(), [longest, other]);
    assert_eq!(fixture.rows().await, [longest, other, held]);
    assert!(!fixture.blobs.upload(shorter).exists());

    assert_eq!(fixture.collected(KEEP - Duration::from_secs(60)).await, 0);
    assert_eq!(fixture.collected(KEEP + Duration::from_secs(60)).await, 2);
    assert_eq!(fixture.rows().await, [held], "what is in use has no age");
    drop(hold);
    assert_eq!(fixture.collected(KEEP + Duration::from_secs(60)).await, 1);
    assert!(fixture.files().is_empty() && fixture.rows().await.is_empty());
}

/// The files and rows are seen one after the other, so an upload may have let go of its file in between.
#[tokio::test]
async fn the_collector_leaves_a_part_whose_row_has_come_since_it_looked() {
    let fixture = fixture().await;
    let kept = fixture.left(&key("a", 1), 10_000).await;
    let seen = fixture.blobs.leftover(kept).unwrap();
    let before = BTreeMap::new();
    let collected =
        remove_slice(&fixture.catalog, &fixture.blobs, &before, vec![(kept, seen)]).await.unwrap();
    assert_eq!(collected.files, 0);
    assert_eq!((fixture.files(), fixture.rows().await), (vec![kept], vec![kept]));
}

/// However much is left, no transaction touches more than a slice of it.
#[tokio::test]
async fn the_collector_works_in_slices() {
    let fixture = fixture().await;
    for number in 0..2 * SLICE + 1 {
        std::fs::write(fixture.blobs.upload(10_000 + number as u64), b"nobody's").unwrap();
    }
    let changes = fixture.catalog.meter().durations.distribution().count;
    assert_eq!(fixture.collected(Duration::ZERO).await, 2 * SLICE as u64 + 1);
    // The look, and three slices.
    assert_eq!(fixture.catalog.meter().durations.distribution().count - changes, 4);
    assert!(fixture.files().is_empty());
}

#[tokio::test]
async fn a_start_finds_what_the_last_run_left() {
    let fixture = fixture().await;
    let wanted = key("a", 1);
    let kept = fixture.left(&wanted, 10_000).await;
    std::fs::write(fixture.blobs.upload(900), b"nobody's").unwrap();
    let blobs = Blobs::open(fixture.dir.path()).unwrap();
    let again = Fixture { blobs, ..fixture };
    assert_eq!(again.collected(Duration::ZERO).await, 1);
    assert_eq!(again.offered(&wanted).await.map(|offer| offer.file), Some(kept));
    assert!(again.blobs.receive().unwrap().hold().file() > 900);
}

#[tokio::test]
async fn what_was_stored_or_revoked_leaves_no_parts_but_those_of_others() {
    let fixture = fixture().await;
    let (own, older) = (fixture.left(&key("a", 1), 10_000).await, fixture.left(&key("a", 2), 10_000).await);
    let (running, elsewhere) = (fixture.left(&key("a", 1), 9).await, fixture.left(&key("a/b", 1), 9).await);
    let stored = fixture.blobs.holds().hold(own).unwrap();
    let _running = fixture.blobs.holds().hold(running).unwrap();
    let blobs = fixture.blobs.clone();
    let store = move |connection: &Connection| {
        supersede(connection, &blobs, &key("a", 1).target, Some(&stored)).map(|()| drop(stored))
    };
    fixture.catalog.write(store).await.unwrap();
    assert_eq!(fixture.rows().await, [running, elsewhere]);
    assert!(fixture.blobs.upload(older).exists());
    assert_eq!(fixture.collected(Duration::ZERO).await, 2);

    let revoke = |connection: &Connection| identities::revoke(connection, &"bob".parse().unwrap(), 1);
    fixture.catalog.write(revoke).await.unwrap();
    assert_eq!(fixture.rows().await.len(), 2);
    let revoke = |connection: &Connection| identities::revoke(connection, &"alice".parse().unwrap(), 1);
    fixture.catalog.write(revoke).await.unwrap();
    assert!(fixture.rows().await.is_empty());
}
