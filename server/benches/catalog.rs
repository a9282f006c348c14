//! What the catalog costs: a full group of small uploads, a look-up, a page of a listing.

#![allow(clippy::unwrap_used)]

use std::hint::black_box;
use std::time::SystemTime;

use criterion::{BatchSize, Criterion, Throughput};
use rusqlite::Connection;
use sealift_protocol::message::Direction;
use sealift_server::clock;
use sealift_server::data::DataDirectory;
use sealift_server::error::Result;
use sealift_server::policy::Permit;
use sealift_server::store::catalog::ChangeHeld;
use sealift_server::store::certificates::{self, CertificateOrigin, NewCertificate};
use sealift_server::store::entries::{self, EntryPage, EntrySlot, NewEntry};
use sealift_server::store::extent::PackPlacement;
use sealift_server::store::extent::SmallContent;
use sealift_server::store::objects;
use sealift_server::store::partial_uploads::{self, UploadPath};
use sealift_server::store::transfers::{self, TransferRow};
use sealift_server::store::{Blobs, Catalog, identities, spaces};
use sealift_types::{Digest, Name, Rights};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

/// Changes that the writer commits together at most.
const GROUP: usize = 512;

/// Bytes of a small content.
const SMALL: usize = 4096;

/// A catalog with the space of one identity.
struct Store {
    catalog: Catalog,
    blobs: Blobs,
    identity: i64,
    dir: TempDir,
}

/// An upload that was received.
struct Upload {
    identity: i64,
    names: Vec<String>,
    data: Vec<u8>,
    digest: Digest,
    /// Where the catalog's writer has put it, together with others.
    place: Option<PackPlacement>,
}

impl Upload {
    fn small(&self) -> SmallContent<'_> {
        SmallContent { by: self.identity, digest: &self.digest, data: &self.data }
    }
}

impl ChangeHeld for Upload {
    fn checks_first(&self) -> bool {
        true
    }

    fn content(&self) -> Option<SmallContent<'_>> {
        Some(self.small())
    }

    fn packed(&mut self, place: PackPlacement) {
        self.place = Some(place);
    }
}

fn alice() -> Name {
    "alice".parse().unwrap()
}

fn permit(connection: &Connection, identity: i64) -> Result<Permit> {
    Ok(spaces::access(connection, identity, &alice())?.permit(Rights::ALL)?)
}

fn new_file(identity: i64) -> NewEntry {
    NewEntry { mtime: 7, executable: false, by: identity, now: clock::now() }
}

fn names(path: &str) -> Vec<String> {
    path.split('/').map(str::to_owned).collect()
}

impl Store {
    fn new(runtime: &Runtime) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (data, _) = DataDirectory::open_or_initialise(dir.path(), SystemTime::now()).unwrap();
        let blobs = Blobs::open(data.path()).unwrap();
        let (catalog, _) = Catalog::open(&data.catalog(), blobs.clone()).unwrap();
        let make = |connection: &Connection| {
            let identity = identities::ensure(connection, &alice(), 1)?;
            let expires = clock::now() + 3_600_000_000_000;
            let fingerprint = &Digest::of(b"certificate");
            let origin = CertificateOrigin::Token(None);
            let new = NewCertificate { fingerprint, issued_at: 1, expires_at: expires, origin };
            certificates::add(connection, identity, new)?;
            spaces::add(connection, &alice(), Some(identity), 1)?;
            Ok(identity)
        };
        let identity = runtime.block_on(catalog.write(make)).unwrap();
        Self { catalog, blobs, identity, dir }
    }

    /// A hundred thousand files, a hundred to a directory.
    fn with_many(runtime: &Runtime) -> Self {
        let store = Self::new(runtime);
        let (identity, blobs) = (store.identity, store.blobs.clone());
        let fill = move |connection: &Connection| {
            let permit = permit(connection, identity)?;
            let object = objects::keep_inline(
                connection,
                &blobs,
                SmallContent { by: identity, digest: &Digest::of(b"x"), data: b"x" },
            )?;
            for number in 0..100 {
                let file = names(&format!("000/000/{number:03}"));
                EntrySlot::find(connection, &permit, &file)?.store(
                    connection,
                    object,
                    &new_file(identity),
                )?;
            }
            let copies = |from: &str, to: &str, count| {
                (1..count).try_for_each(|number| {
                    let (from, to) = (names(from), names(&format!("{to}{number:03}")));
                    entries::copy(connection, (&permit, &from), (&permit, &to), identity, 1).map(drop)
                })
            };
            copies("000/000", "000/", 100)?;
            copies("000", "", 10)
        };
        runtime.block_on(store.catalog.write(fill)).unwrap();
        store
    }

    /// Commits uploads as `put` does, all in one group. Returns when the last one is durable.
    async fn commit(&self, uploads: Vec<Upload>) {
        // The first change holds the writer until the others are queued behind it.
        let (release, held) = std::sync::mpsc::channel::<()>();
        let first = self.catalog.submit(move |_| Ok(held.recv().is_ok())).await;
        let mut commits = Vec::new();
        for upload in uploads {
            let (identity, blobs) = (self.identity, self.blobs.clone());
            let work =
                move |connection: &Connection, upload: &Upload| store(connection, identity, &blobs, upload);
            commits.push(self.catalog.submit_holding(upload, work, |_, _, _| Ok(())).await);
        }
        release.send(()).unwrap();
        first.wait().await.unwrap();
        for commit in commits {
            commit.wait().await.unwrap();
        }
    }
}

/// What the transaction of an upload does.
fn store(connection: &Connection, identity: i64, blobs: &Blobs, upload: &Upload) -> Result<()> {
    identities::of_certificate(connection, &Digest::of(b"certificate"), clock::now())?;
    let permit = permit(connection, identity)?;
    let slot = EntrySlot::find(connection, &permit, &upload.names)?;
    let object = match &upload.place {
        Some(place) => objects::keep_packed(connection, &upload.digest, place)?,
        None => objects::keep_inline(connection, blobs, upload.small())?,
    };
    slot.store(connection, object, &new_file(identity))?;
    partial_uploads::supersede(connection, blobs, &UploadPath::new(identity, &permit, &upload.names), None)?;
    let record = TransferRow {
        started: clock::now(),
        duration_us: 1000,
        identity,
        address: "127.0.0.1:50000".into(),
        direction: Direction::Put,
        preview: false,
        path: entries::display(permit.name(), &upload.names),
        bytes: upload.data.len() as u64,
        wire_bytes: upload.data.len() as u64 + 200,
        digest: Some(upload.digest),
        error: None,
    };
    transfers::insert(connection, &record)
}

fn uploads(identity: i64) -> Vec<Upload> {
    let upload = |number: usize| {
        let mut data = vec![7; SMALL];
        data[..8].copy_from_slice(&number.to_le_bytes());
        Upload {
            identity,
            names: names(&format!("{:03}/{number:06}", number / 100)),
            digest: Digest::of(&data),
            data,
            place: None,
        }
    };
    (0..GROUP).map(upload).collect()
}

fn group(criterion: &mut Criterion, runtime: &Runtime) {
    let mut group = criterion.benchmark_group("commit");
    group.throughput(Throughput::Elements(GROUP as u64)).sample_size(20);
    group.bench_function("512 uploads of 4 KiB", |bencher| {
        let fresh = || {
            let store = Store::new(runtime);
            let uploads = uploads(store.identity);
            (store, uploads)
        };
        let commit = |(store, uploads): (Store, Vec<Upload>)| {
            runtime.block_on(store.commit(uploads));
            store.dir
        };
        bencher.iter_batched(fresh, commit, BatchSize::PerIteration);
    });
    group.finish();
}

fn reading(criterion: &mut Criterion, runtime: &Runtime) {
    let store = Store::with_many(runtime);
    let mut group = criterion.benchmark_group("100,000 entries");
    let paths: Vec<_> =
        (0..1000).map(|number| names(&format!("{:03}/{:03}/{:03}", number % 10, number / 10, 50))).collect();
    let mut paths = paths.iter().cycle();
    group.bench_function("look one up", |bencher| {
        bencher.iter(|| {
            let names = paths.next().unwrap();
            let find = |connection: &Connection| {
                entries::find(connection, &permit(connection, store.identity)?, names)
            };
            black_box(store.catalog.read_here(find).unwrap())
        });
    });
    group.bench_function("list a page in the middle", |bencher| {
        bencher.iter(|| {
            let list = |connection: &Connection| {
                let permit = permit(connection, store.identity)?;
                let (root, mut page) = (entries::find(connection, &permit, &[])?, EntryPage::new(u64::MAX));
                entries::list(connection, &permit, &root, true, "005/050/050", &mut page)?;
                Ok(page.finish())
            };
            let (entries, more) = store.catalog.read_here(list).unwrap();
            assert!(more && entries.len() > 100, "{}", entries.len());
        });
    });
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    group(&mut criterion, &runtime);
    reading(&mut criterion, &runtime);
    criterion.final_summary();
}
