//! Upgrades of catalogs that earlier versions wrote.

use super::*;
use crate::store::entries::{self, EntryPlace};
use crate::store::objects::{self, ContentBytes};
use crate::store::{identities, spaces};
use sealift_types::Digest;

/// A catalog of version 1, as its server left it.
fn version_1(path: &Path) {
    let connection = Connection::open(path).unwrap();
    connection.execute_batch(STEPS[0]).unwrap();
    connection.pragma_update(None, "application_id", APPLICATION).unwrap();
    connection.pragma_update(None, "user_version", 1).unwrap();
    connection.execute_batch(include_str!("v1_rows.sql")).unwrap();
}

fn upgraded() -> (tempfile::TempDir, Connection) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("catalog.db");
    version_1(&path);
    let connection = open(&path).unwrap();
    (dir, connection)
}

fn names(path: &str) -> Vec<String> {
    path.split('/').map(str::to_owned).collect()
}

#[test]
fn everything_survives_the_upgrade_from_version_1() {
    let (_dir, connection) = upgraded();
    let alice = identities::ensure(&connection, &"alice".parse().unwrap(), 9).unwrap();
    assert_eq!(alice, 1);
    let permit = |space: &str| {
        let access = spaces::access(&connection, alice, &space.parse().unwrap()).unwrap();
        access.permit(sealift_types::Rights::READ).unwrap()
    };
    let read = |space: &str, path: &str| match entries::find(&connection, &permit(space), &names(path)) {
        Ok(EntryPlace::File(node, file)) => {
            (node.mtime, file.size, objects::bytes(&connection, file.object).unwrap())
        }
        other => panic!("{space}/{path}: {other:?}"),
    };
    assert_eq!(read("alice", "hello.txt"), (7, 5, ContentBytes::Inline(b"hello".to_vec())));
    assert_eq!(read("bob", "deep/er/hello.txt"), (8, 5, ContentBytes::Inline(b"hello".to_vec())));
    let ContentBytes::Extents(extents) = read("alice", "deep/packed").2 else {
        panic!("a packed content moved")
    };
    assert_eq!((extents[0].offset, extents[0].length), (4, 6));
    assert!(matches!(
        entries::find(&connection, &permit("alice"), &names("deep/link")),
        Ok(EntryPlace::Link(_, target)) if target == "../hello.txt"
    ));
    let hello = Digest::of(b"hello");
    assert!(objects::within_reach(&connection, alice, &hello, 5).unwrap().is_some());
    assert!(objects::size_within_reach(&connection, alice, 5).unwrap());
    let count = |table: &str| -> i64 {
        connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
    };
    let tables = ["certificates", "invites", "grants", "parts", "transfers", "thinned", "garbage", "facts"];
    for table in tables {
        assert_eq!(count(table), 1, "{table}");
    }
    let complaints: i64 =
        connection.query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| row.get(0)).unwrap();
    let whole: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!((complaints, whole.as_str()), (0, "ok"));
    assert!(
        connection.execute("DELETE FROM identities WHERE id = 1", []).is_err(),
        "references are enforced"
    );
}

/// Row ids that others refer to must not come back, neither in a new catalog nor in an upgraded one.
#[test]
fn no_row_id_is_used_twice() {
    let (_dir, connection) = upgraded();
    let mut statement = connection
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND sql LIKE '%INTEGER PRIMARY KEY%'")
        .unwrap();
    let tables: Vec<String> =
        statement.query_map([], |row| row.get(0)).unwrap().collect::<rusqlite::Result<_>>().unwrap();
    // Their ids are those of other tables' rows, or of files.
    let others = ["contents", "thinned", "parts", "released"];
    for table in tables.iter().filter(|table| !others.contains(&table.as_str())) {
        let sql: String = connection
            .query_row("SELECT sql FROM sqlite_schema WHERE name = ?1", [table], |row| row.get(0))
            .unwrap();
        assert!(sql.contains("AUTOINCREMENT"), "{table}: {sql}");
    }
    let insert = |digest: &[u8]| -> i64 {
        let sql = "INSERT INTO blobs (digest, size) VALUES (?1, 1) RETURNING id";
        connection.query_row(sql, [digest], |row| row.get(0)).unwrap()
    };
    let first = insert(b"one");
    connection.execute("DELETE FROM blobs WHERE id = ?1", [first]).unwrap();
    assert!(insert(b"two") > first);
}

#[test]
fn an_upgrade_that_finds_broken_references_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("catalog.db");
    version_1(&path);
    let broken = Connection::open(&path).unwrap();
    broken.pragma_update(None, "foreign_keys", false).unwrap();
    broken.execute("DELETE FROM identities WHERE id = 2", []).unwrap();
    broken.close().unwrap();
    let message = open(&path).unwrap_err().to_string();
    assert!(message.contains("refers to a row that is not there"), "{message}");
    let connection = Connection::open(&path).unwrap();
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    assert_eq!(version, 1);
}
