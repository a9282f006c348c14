//! An empty store for tests.

use rusqlite::Connection;

use super::{Blobs, Catalog, identities, spaces};

pub(super) struct Fixture {
    pub(super) dir: tempfile::TempDir,
    pub(super) catalog: Catalog,
    pub(super) blobs: Blobs,
}

/// A store in which identities 1 and 2 have spaces 1 and 2.
pub(super) async fn fixture() -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    for name in ["blobs", "incoming"] {
        std::fs::create_dir(dir.path().join(name)).unwrap();
    }
    let blobs = Blobs::open(dir.path()).unwrap();
    let (catalog, _) = Catalog::open(&dir.path().join("catalog.db"), blobs.clone()).unwrap();
    let enrol = |connection: &Connection| {
        for name in ["alice", "bob"] {
            let name = name.parse().unwrap();
            let identity = identities::ensure(connection, &name, 1)?;
            spaces::add(connection, &name, Some(identity), 1)?;
        }
        Ok(())
    };
    catalog.write(enrol).await.unwrap();
    Fixture { dir, catalog, blobs }
}
