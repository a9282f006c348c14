use std::fs;
use std::path::PathBuf;
use std::sync::mpsc;

use rusqlite::params;
use sealift_types::ErrorCode;
use tokio::sync::oneshot;

use super::*;
use crate::store::catalog::{ChangeHeld, PendingCommit};
use crate::store::dissolve::dissolve;
use crate::store::fixture::{Fixture, fixture};
use crate::store::gc;
use crate::store::objects::{ContentBytes, ContentId};

const SIZE: usize = 40_000;

/// A small content on its way into the catalog.
struct Brought {
    digest: Digest,
    data: Vec<u8>,
    blobs: Blobs,
    place: Option<PackPlacement>,
}

impl ChangeHeld for Brought {
    fn checks_first(&self) -> bool {
        true
    }

    fn content(&self) -> Option<SmallContent<'_>> {
        Some(SmallContent { by: 1, digest: &self.digest, data: &self.data })
    }

    fn packed(&mut self, place: PackPlacement) {
        self.place = Some(place);
    }
}

fn content(seed: u8) -> Vec<u8> {
    (0..SIZE).map(|i| u8::try_from(i % 251).unwrap() ^ seed).collect()
}

impl Fixture {
    /// Keeps the writer busy until what is returned is dropped, so that what is submitted meanwhile is one group.
    async fn busy(&self) -> mpsc::Sender<()> {
        let (release, held) = mpsc::channel::<()>();
        let (begin, begun) = oneshot::channel();
        let wait = move |_: &Connection| {
            let _ = begin.send(());
            let _ = held.recv();
            Ok(())
        };
        drop(self.catalog.submit(wait).await);
        begun.await.unwrap();
        release
    }

    /// Submits a content; `name` is the entry that it gets, and without one it is refused.
    async fn submit(&self, data: Vec<u8>, name: Option<&'static str>) -> PendingCommit<()> {
        let small = Brought { digest: Digest::of(&data), data, blobs: self.blobs.clone(), place: None };
        let work = move |connection: &Connection, small: &Brought| {
            let Some(name) = name else { return Err(ServerError::refused(ErrorCode::NotAllowed, "no")) };
            let object = match &small.place {
                Some(place) => objects::keep_packed(connection, &small.digest, place)?,
                None => {
                    let brought = SmallContent { by: 1, digest: &small.digest, data: &small.data };
                    objects::keep_inline(connection, &small.blobs, brought)?
                }
            };
            connection.execute(
                "INSERT INTO entries
                     (space, parent, name, key, object, size, mtime, executable, stored_at, identity)
                 VALUES (1, -1, ?1, ?1, ?2, (SELECT size FROM objects WHERE id = ?2), 0, 0, 0, 1)",
                params![name, object.0],
            )?;
            Ok(())
        };
        self.catalog.submit_holding(small, work, |_, _, _| Ok(())).await
    }

    /// Stores contents as one group.
    async fn store(&self, contents: impl IntoIterator<Item = (Vec<u8>, &'static str)>) {
        let busy = self.busy().await;
        let mut pending = Vec::new();
        for (data, name) in contents {
            pending.push(self.submit(data, Some(name)).await);
        }
        drop(busy);
        for pending in pending {
            pending.wait().await.unwrap();
        }
    }

    async fn delete(&self, name: &'static str) {
        let delete = move |connection: &Connection| {
            let sql = "DELETE FROM entries WHERE name = ?1 RETURNING object";
            let object = connection.query_row(sql, [name], |row| row.get(0).map(ContentId))?;
            objects::drop_unnamed(connection, object)
        };
        self.catalog.write(delete).await.unwrap();
    }

    async fn is_in_pack(&self, data: &[u8]) -> bool {
        matches!(self.bytes(data).await, ContentBytes::Extents(_))
    }

    async fn bytes(&self, data: &[u8]) -> ContentBytes {
        let digest = Digest::of(data);
        let find = move |connection: &Connection| {
            objects::bytes(connection, objects::find(connection, &digest)?.expect("it was stored"))
        };
        self.catalog.read(find).await.unwrap()
    }

    async fn holds(&self, data: &[u8]) -> bool {
        let guard = self.blobs.guard();
        match self.bytes(data).await {
            ContentBytes::Inline(found) => found == data,
            ContentBytes::Extents(extents) => self.blobs.packs(&guard).read(&extents).unwrap() == data,
        }
    }

    async fn count(&self, table: &'static str) -> i64 {
        let count = move |connection: &Connection| {
            Ok(connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))?)
        };
        self.catalog.read(count).await.unwrap()
    }

    /// The collector's turn.
    async fn collect(&self) {
        dissolve(&self.catalog, &self.blobs).await.unwrap();
        gc::collect(&self.catalog, &self.blobs).await.unwrap();
    }

    fn stored(&self) -> Vec<PathBuf> {
        let entries = |path: PathBuf| fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
        entries(self.dir.path().join("blobs")).flat_map(entries).collect()
    }
}

const NAMES: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];

fn ten() -> impl Iterator<Item = (Vec<u8>, &'static str)> {
    NAMES.into_iter().enumerate().map(|(number, name)| (content(u8::try_from(number).unwrap()), name))
}

#[tokio::test]
async fn contents_of_one_group_share_a_file_that_its_name_proves() {
    let store = fixture().await;
    // One that is tiny, and one that comes twice.
    let more = [(b"tiny".to_vec(), "tiny"), (content(3), "again")];
    store.store(ten().chain(more)).await;
    let files = store.stored();
    assert_eq!(files.len(), 1);
    let pack = fs::read(&files[0]).unwrap();
    assert_eq!(pack.len(), 10 * SIZE);
    assert_eq!(files[0].file_name().unwrap().to_str().unwrap(), Digest::of(&pack).to_string());
    for (data, _) in ten() {
        assert!(store.is_in_pack(&data).await && store.holds(&data).await);
    }
    assert!(!store.is_in_pack(b"tiny").await);
    assert_eq!((store.count("objects").await, store.count("entries").await), (11, 12));

    // What is here already is not stored again, and what is new is too little.
    store.store(ten().map(|(data, _)| (data, "others")).take(1)).await;
    store.store([(content(99), "new")]).await;
    assert_eq!(store.stored(), files);
    assert!(!store.is_in_pack(&content(99)).await);
}

#[tokio::test]
async fn a_pack_that_is_half_empty_goes_and_loses_nothing() {
    let store = fixture().await;
    store.store(ten()).await;
    for name in &NAMES[..4] {
        store.delete(name).await;
    }
    store.collect().await;
    assert_eq!(store.stored().len(), 1, "more than half of it is needed");
    assert_eq!(store.count("thinned").await, 0);
    store.delete(NAMES[4]).await;
    store.collect().await;
    assert!(store.stored().is_empty());
    for (data, _) in ten().skip(5) {
        assert!(!store.is_in_pack(&data).await && store.holds(&data).await);
    }
    assert_eq!((store.count("blobs").await, store.count("extents").await), (0, 0));
}

#[tokio::test]
async fn a_pack_goes_with_the_last_of_its_contents() {
    let store = fixture().await;
    store.store(ten()).await;
    for name in NAMES {
        store.delete(name).await;
    }
    store.collect().await;
    assert!(store.stored().is_empty());
    assert_eq!(
        (store.count("blobs").await, store.count("thinned").await, store.count("garbage").await),
        (0, 0, 0)
    );
    // The same pack once more.
    store.store(ten()).await;
    assert_eq!(store.stored().len(), 1);
}

#[tokio::test]
async fn what_is_refused_leaves_no_trace_of_a_pack() {
    let store = fixture().await;
    let busy = store.busy().await;
    let mut refused = Vec::new();
    for (data, _) in ten() {
        refused.push(store.submit(data, None).await);
    }
    drop(busy);
    for pending in refused {
        assert!(matches!(pending.wait().await, Err(ServerError::Refused(_))));
    }
    store.collect().await;
    assert!(store.stored().is_empty());
    assert_eq!((store.count("blobs").await, store.count("objects").await), (0, 0));
}

/// A pack that cannot be written fails every change of its group, and the next group stands again.
#[tokio::test]
async fn a_pack_that_cannot_be_written_fails_its_group() {
    let store = fixture().await;
    let (incoming, aside) = (store.dir.path().join("incoming"), store.dir.path().join("aside"));
    fs::rename(&incoming, &aside).unwrap();
    let busy = store.busy().await;
    let mut lost = Vec::new();
    for (data, name) in ten() {
        lost.push(store.submit(data, Some(name)).await);
    }
    drop(busy);
    for pending in lost {
        let error = pending.wait().await.unwrap_err();
        assert!(matches!(&error, ServerError::File { .. }), "{error}");
    }
    assert_eq!((store.count("entries").await, store.count("blobs").await), (0, 0));
    fs::rename(&aside, &incoming).unwrap();
    store.store(ten()).await;
    assert!(store.holds(&content(7)).await);
}

#[tokio::test]
async fn a_damaged_pack_is_not_copied_from() {
    let store = fixture().await;
    store.store(ten()).await;
    let file = &store.stored()[0];
    let mut pack = fs::read(file).unwrap();
    pack[9 * SIZE + 5] ^= 1;
    fs::write(file, &pack).unwrap();
    for name in &NAMES[..9] {
        store.delete(name).await;
    }
    store.collect().await;
    assert_eq!(store.stored().len(), 1, "its name tells that it is damaged");
    // Stored again, the content leaves the pack.
    let digest = Digest::of(&content(9));
    store.catalog.write(move |connection| objects::quarantine(connection, &digest)).await.unwrap();
    store.store([(content(9), "again")]).await;
    assert!(store.holds(&content(9)).await);
    store.collect().await;
    assert!(store.stored().is_empty());
}

/// A large content may have the bytes of a pack, and then shares its file.
#[tokio::test]
async fn a_content_can_be_what_a_pack_is() {
    let store = fixture().await;
    store.store(ten()).await;
    let pack = fs::read(&store.stored()[0]).unwrap();
    let digest = Digest::of(&pack);
    let size = pack.len() as u64;
    let keep = move |connection: &Connection| objects::keep_blob(connection, &digest, size);
    let object = store.catalog.write(keep).await.unwrap();
    for name in NAMES {
        store.delete(name).await;
    }
    store.collect().await;
    assert_eq!(store.stored().len(), 1);
    store.catalog.write(move |connection| objects::drop_unnamed(connection, object)).await.unwrap();
    store.collect().await;
    assert!(store.stored().is_empty());
}
