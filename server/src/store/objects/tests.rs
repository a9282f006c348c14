use std::io::Write;

use rusqlite::StatementStatus;

use super::*;
use crate::store::{copies, identities, schema, spaces};

/// A catalog with two identities, 1 and 2, who have spaces 1 and 2 and may read nothing else.
fn catalog() -> (tempfile::TempDir, Connection) {
    let dir = tempfile::tempdir().unwrap();
    let connection = schema::open(&dir.path().join("catalog.db")).unwrap();
    for name in ["alice", "bob"] {
        let name = name.parse().unwrap();
        let identity = identities::ensure(&connection, &name, 1).unwrap();
        spaces::add(&connection, &name, Some(identity), 1).unwrap();
    }
    (dir, connection)
}

/// Stores a content of some bytes under so many names.
fn store(connection: &Connection, space: i64, content: &str, names: u32) -> Digest {
    let digest = Digest::of(content.as_bytes());
    let data = std::path::Path::new(connection.path().unwrap()).parent().unwrap();
    std::fs::create_dir_all(data.join("incoming")).unwrap();
    let blobs = Blobs::open(data).unwrap();
    let object = keep_inline(
        connection,
        &blobs,
        SmallContent { by: space, digest: &digest, data: content.as_bytes() },
    )
    .unwrap();
    for number in 0..names {
        connection
            .execute(
                "INSERT INTO entries
                     (space, parent, name, key, object, size, mtime, executable, stored_at, identity)
                 VALUES (?1, -?1, ?2, ?2, ?3, (SELECT size FROM objects WHERE id = ?3), 0, 0, 0, 1)",
                params![space, format!("{content} {number}"), object.0],
            )
            .unwrap();
    }
    digest
}

/// The work that identity 1's question after a content costs, in steps of SQLite's machine, and the answer.
fn ask(connection: &Connection, digest: &Digest, size: u64) -> (i32, bool) {
    connection.prepare_cached(LOOK_UP).unwrap().reset_status(StatementStatus::VmStep);
    let found = within_reach(connection, 1, digest, size).unwrap().is_some();
    (connection.prepare_cached(LOOK_UP).unwrap().get_status(StatementStatus::VmStep), found)
}

/// An upload of bytes must not tell whether others have them: as much is written for these as for any others.
#[test]
fn an_upload_writes_as_much_for_what_others_have_as_for_what_is_new() {
    let (dir, connection) = catalog();
    connection.pragma_update(None, "wal_autocheckpoint", 0).unwrap();
    let wal = dir.path().join("catalog.db-wal");
    // So that the trees of the catalog do not grow by a level meanwhile.
    for number in 0..2000 {
        store(&connection, 2, &format!("filler {number}"), 1);
    }
    for size in [10, 1000, 5000, 60_000] {
        let content = |what: &str, number: usize| format!("{number} {what} {}", "x".repeat(size));
        for number in 0..20 {
            store(&connection, 2, &content("theirs", number), 1);
        }
        let pages = |what: &str| -> u64 {
            let before = std::fs::metadata(&wal).unwrap().len();
            for number in 0..20 {
                // In one transaction, as the writer has it.
                connection.execute_batch("BEGIN").unwrap();
                store(&connection, 1, &content(what, number), 1);
                connection.execute_batch("COMMIT").unwrap();
            }
            (std::fs::metadata(&wal).unwrap().len() - before) / 4096
        };
        let (unknown, theirs) = (pages("new"), pages("theirs"));
        assert!(
            theirs.abs_diff(unknown) <= unknown / 10,
            "{size} bytes: {theirs} pages, {unknown} for new ones"
        );
    }
}

/// A claim must not tell whether others have a content: not by its answer, and not by how long it takes.
#[test]
fn the_work_of_a_claim_does_not_depend_on_what_others_have() {
    let (_dir, connection) = catalog();
    let once = store(&connection, 2, "a content", 1);
    let often = store(&connection, 2, "another content", 3000);
    for number in 0..300 {
        store(&connection, 2, &format!("{number}"), 1);
    }
    let unknown = (0..50).map(|number| Digest::of(format!("unknown {number}").as_bytes()));
    let (work, found) = ask(&connection, &once, 9);
    assert!(!found && work > 0, "{work}");
    for digest in unknown.chain([once, often]) {
        assert_eq!(ask(&connection, &digest, 9), (work, false), "{digest}");
    }
    let own = store(&connection, 1, "a content", 1);
    assert!(ask(&connection, &own, 9).1);
    assert!(!ask(&connection, &own, 8).1, "of another size it is another content");
    quarantine(&connection, &own).unwrap();
    assert!(!ask(&connection, &own, 9).1);
}

#[test]
fn the_work_of_a_plan_does_not_depend_on_what_others_have() {
    let (_dir, connection) = catalog();
    let sql = size_reachable();
    let ask = |size| {
        connection.prepare_cached(&sql).unwrap().reset_status(StatementStatus::VmStep);
        let found = size_within_reach(&connection, 1, size).unwrap();
        (connection.prepare_cached(&sql).unwrap().get_status(StatementStatus::VmStep), found)
    };
    let (work, _) = ask(4);
    for number in 1000..2000 {
        store(&connection, 2, &format!("{number}"), 1);
    }
    assert!(work > 0);
    assert_eq!(ask(4), (work, false));
    store(&connection, 1, "mine", 1);
    assert!(ask(4).1);
}

/// The digest behind the last one has no neighbour.
#[test]
fn a_digest_behind_all_others_is_unknown() {
    let (_dir, connection) = catalog();
    let last = Digest::from_bytes([255; 32]);
    assert!(!ask(&connection, &last, 1).1);
    store(&connection, 1, "mine", 1);
    assert!(!ask(&connection, &last, 1).1);
}

#[test]
fn what_is_put_in_place_again_is_known_to_be_good_whatever_becomes_of_its_upload() {
    let (dir, connection) = catalog();
    for name in ["blobs", "incoming"] {
        std::fs::create_dir(dir.path().join(name)).unwrap();
    }
    let blobs = Blobs::open(dir.path()).unwrap();
    let content = vec![7; 100_000];
    let digest = Digest::of(&content);
    let place = || {
        let mut incoming = blobs.receive().unwrap();
        incoming.write_all(&content).unwrap();
        drop(blobs.place(incoming, &digest, &blobs.guard()).unwrap());
    };
    place();
    let object = keep_blob(&connection, &digest, 100_000).unwrap();
    let is_good = || {
        let hour = std::time::Duration::from_secs(3600);
        copies::can_be_shared(&connection, &blobs, object, &digest, hour).unwrap()
    };
    for committed in [true, false] {
        // Files get the time of a clock that stands still for some milliseconds.
        while is_good() {
            place();
        }
        match committed {
            true => drop(keep_blob(&connection, &digest, 100_000).unwrap()),
            false => give_up(&connection, &digest).unwrap(),
        }
        assert!(is_good(), "committed: {committed}");
    }
}
