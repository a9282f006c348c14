use std::io::Read;

use sealift_protocol::message::MAX_INLINE;

use super::*;
use crate::store::extent::{self, Extent};
use std::io::Write;

fn blobs() -> (tempfile::TempDir, Blobs) {
    let dir = tempfile::tempdir().unwrap();
    for name in ["blobs", "incoming"] {
        fs::create_dir(dir.path().join(name)).unwrap();
    }
    let blobs = Blobs::open(dir.path()).unwrap();
    (dir, blobs)
}

async fn place(blobs: &Blobs, content: &[u8]) -> Digest {
    let digest = Digest::of(content);
    let mut incoming = blobs.receive().unwrap();
    incoming.write_all(content).unwrap();
    blobs.place(incoming, &digest, &blobs.guard()).unwrap();
    digest
}

#[tokio::test]
async fn extents_are_read_as_one_content_from_any_offset() {
    let (_dir, blobs) = blobs();
    let (a, b) = (place(&blobs, b"abcdef").await, place(&blobs, b"ghi").await);
    let extents = [
        Extent { blob: a, offset: 1, length: 3 },
        Extent { blob: b, offset: 0, length: 3 },
        Extent { blob: a, offset: 5, length: 1 },
    ];
    for offset in 0..=7 {
        let mut text = String::new();
        let guard = blobs.guard();
        let mut reader = blobs.read(&extents, offset, &guard).unwrap();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "bcdghif"[usize::try_from(offset).unwrap()..]);
    }
}

#[tokio::test]
async fn a_directory_that_is_there_is_not_taken_for_durable() {
    let (dir, blobs) = blobs();
    let contents: Vec<_> =
        (0u32..).map(u32::to_be_bytes).filter(|bytes| Digest::of(bytes).as_bytes()[0] == 7).take(2).collect();
    // Somebody has made it, and it is unknown whether its name was synced.
    fs::create_dir(dir.path().join("blobs/07")).unwrap();
    let syncs = || blobs.meter().syncs.distribution().count;
    place(&blobs, &contents[0]).await;
    assert_eq!(syncs(), 3, "the file, its directory's name, its own name");
    place(&blobs, &contents[1]).await;
    assert_eq!(syncs(), 5, "the file and its name");
}

#[tokio::test]
async fn a_blob_cut_short_is_an_error() {
    let (_dir, blobs) = blobs();
    let digest = place(&blobs, b"abcdef").await;
    fs::write(blobs.path(&digest), b"abc").unwrap();
    let extents = [Extent { blob: digest, offset: 0, length: 6 }];
    let mut reader = blobs.read(&extents, 0, &blobs.guard()).unwrap();
    let error = reader.read_to_end(&mut Vec::new()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
}

#[tokio::test]
async fn a_file_stays_open_only_while_many_contents_are_compared() {
    let (_dir, blobs) = blobs();
    let (blob, other) = (place(&blobs, b"abcdef").await, place(&blobs, b"xyz").await);
    let at = |blob, offset| [Extent { blob, offset, length: 2 }];
    let comparing = blobs.compare_many();
    assert!(blobs.holds_copy(&at(blob, 0), b"ab"));
    fs::remove_file(blobs.path(&blob)).unwrap();
    assert!(blobs.holds_copy(&at(blob, 4), b"ef"));
    assert!(!blobs.holds_copy(&at(blob, 3), b"ef"));
    assert!(!blobs.holds_copy(&at(blob, 5), b"fg"), "the file ends before");
    assert!(blobs.holds_copy(&at(other, 1), b"yz"));
    drop(comparing);
    assert!(blobs.holds_copy(&at(other, 0), b"xy"));
    fs::remove_file(blobs.path(&other)).unwrap();
    assert!(!blobs.holds_copy(&at(other, 0), b"xy"));
}

/// A damaged catalog may place a content anywhere: that is an error, and takes no memory.
#[tokio::test]
async fn an_extent_that_no_file_has_is_an_error() {
    let (_dir, blobs) = blobs();
    let blob = place(&blobs, b"abcdef").await;
    let guard = blobs.guard();
    for (offset, length) in [(0, 7), (7, 1), (u64::MAX, 2), (2, u64::MAX), (u64::MAX, u64::MAX), (1 << 63, 1)]
    {
        let far = [Extent { blob, offset: 0, length: 1 }, Extent { blob, offset, length }];
        assert!(!blobs.has(&far), "{offset} {length}");
        assert!(!blobs.holds_copy(&far, b"ab"));
        assert!(blobs.packs(&guard).read(&far).is_err());
        for skip in [0, 1, 2, u64::MAX - 1] {
            let skipped = extent::length(&far).saturating_sub(skip) == 0;
            let read = blobs.read(&far, skip, &guard).map(|mut reader| reader.read_to_end(&mut Vec::new()));
            assert!(skipped || !matches!(read, Ok(Ok(_))), "{offset} {length} {skip}");
        }
    }
    let inline = usize::try_from(MAX_INLINE).unwrap();
    let blob = place(&blobs, &vec![7; inline + 1]).await;
    let whole = |length| [Extent { blob, offset: 0, length }];
    assert_eq!(blobs.packs(&guard).read(&whole(MAX_INLINE)).unwrap().len(), inline);
    assert!(blobs.packs(&guard).read(&whole(MAX_INLINE + 1)).is_err(), "that is no small content");
}

#[tokio::test]
async fn what_is_not_placed_leaves_nothing_unless_it_is_kept() {
    let (dir, blobs) = blobs();
    blobs.receive().unwrap().write_all(b"half").unwrap();
    let left = || fs::read_dir(dir.path().join("incoming")).unwrap().count();
    assert_eq!(left(), 0);
    let mut incoming = blobs.receive().unwrap();
    incoming.write_all(b"half").unwrap();
    incoming.hold().keep();
    let file = incoming.hold().file();
    assert!(blobs.leftovers().unwrap().is_empty(), "it is in use");
    drop(incoming);
    let leftovers = blobs.leftovers().unwrap();
    assert_eq!(leftovers.iter().map(|left| (left.file, left.size)).collect::<Vec<_>>(), [(file, 4)]);
    // Odd names are nobody's; a number that is there is not given away again.
    for name in ["3.gone", "007", "x"] {
        fs::write(dir.path().join("incoming").join(name), b"x").unwrap();
    }
    let blobs = Blobs::open(dir.path()).unwrap();
    assert_eq!(left(), 1);
    assert!(blobs.receive().unwrap().hold().file() > file);
}
