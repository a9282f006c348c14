//! The transfer log.

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};
use sealift_protocol::message::{Direction, Nanoseconds, Transfer};
use sealift_types::{Digest, ErrorCode};

use super::columns::name_of;
use crate::error::Result;

/// The direction of a content that was only shown.
const PREVIEW: &str = "preview";

/// Records among which a download is found that its client reports.
const REPORTABLE: i64 = 1000;

/// Records that are deleted in one transaction.
const PRUNED: i64 = 500;

/// A transfer that has ended.
#[derive(Debug, Clone)]
pub struct TransferRow {
    /// When it began.
    pub started: Nanoseconds,
    /// How long it took, in microseconds.
    pub duration_us: u64,
    /// Who.
    pub identity: i64,
    /// From where.
    pub address: String,
    /// Which way.
    pub direction: Direction,
    /// Whether the content was only shown. Its direction is a word of its own in the catalog.
    pub preview: bool,
    /// The whole path.
    pub path: String,
    /// Bytes of the content that crossed or were claimed.
    pub bytes: u64,
    /// Bytes of frames.
    pub wire_bytes: u64,
    /// The content.
    pub digest: Option<Digest>,
    /// How it failed.
    pub error: Option<ErrorCode>,
}

/// What to read of the log.
#[derive(Debug, Clone)]
pub struct TransferFilter {
    /// Whose transfers.
    pub identity: i64,
    /// Only records older than this.
    pub before: Option<i64>,
    /// Only this direction.
    pub direction: Option<Direction>,
    /// Only failures.
    pub failed: bool,
    /// Also what was only shown.
    pub previews: bool,
    /// Only this path and what is below it.
    pub path: Option<String>,
}

/// Writes a record.
pub fn insert(connection: &Connection, record: &TransferRow) -> Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO transfers
                 (started_at, duration_us, identity, address, direction, path, bytes, wire_bytes, digest, error)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )?
        .execute(params![
            record.started,
            record.duration_us.cast_signed(),
            record.identity,
            record.address,
            if record.preview { PREVIEW.to_owned() } else { word(record.direction) },
            record.path,
            record.bytes.cast_signed(),
            record.wire_bytes.cast_signed(),
            record.digest.as_ref().map(Digest::as_bytes),
            record.error.map(word),
        ])?;
    Ok(())
}

/// Marks the identity's last good download of a content from `address` as one that did not verify. It is looked for among
/// the identity's newest records only, so that nobody waits for a long log.
pub fn mark_corrupt(
    connection: &Connection,
    identity: i64,
    address: &str,
    path: &str,
    digest: &Digest,
) -> Result<bool> {
    let changed = connection
        .prepare_cached(
            "UPDATE transfers SET error = ?5 WHERE error IS NULL AND id = (
                 SELECT max(id) FROM (SELECT * FROM transfers WHERE identity = ?1 ORDER BY id DESC LIMIT ?6)
                 WHERE address = ?2 AND path = ?3 AND digest = ?4 AND direction IN ('get', 'preview'))",
        )?
        .execute(params![
            identity,
            address,
            path,
            digest.as_bytes(),
            word(ErrorCode::Integrity),
            REPORTABLE
        ])?;
    Ok(changed > 0)
}

/// True if [`prune`] has something to delete.
pub fn is_too_long(connection: &Connection, oldest: Nanoseconds, most: usize) -> Result<bool> {
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let sql = "SELECT started_at < ?1 OR id <= (SELECT max(id) FROM transfers) - ?2 FROM transfers ORDER BY id LIMIT 1";
    let first =
        connection.prepare_cached(sql)?.query_row(params![oldest, most], |row| row.get(0)).optional()?;
    Ok(first.unwrap_or(false))
}

/// Deletes a slice of the records that began before `oldest`, and of those beyond the newest `most`. Returns true if there
/// may be more of them.
pub fn prune(connection: &Connection, oldest: Nanoseconds, most: usize) -> Result<bool> {
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let deleted = connection
        .prepare_cached(
            "DELETE FROM transfers WHERE id IN (
                 SELECT id FROM (SELECT id, started_at FROM transfers ORDER BY id LIMIT ?3)
                 WHERE started_at < ?1 OR id <= (SELECT max(id) FROM transfers) - ?2)",
        )?
        .execute(params![oldest, most, PRUNED])?;
    Ok(deleted > 0)
}

/// Up to `limit` records, newest first, but no further one when they have `bytes` as JSON. Returns true if there are more
/// within the limit.
pub fn newest(
    connection: &Connection,
    filter: &TransferFilter,
    limit: usize,
    bytes: usize,
) -> Result<(Vec<Transfer>, bool)> {
    let mut sql = String::from(
        "SELECT transfers.id, started_at, duration_us, identities.name, address, direction, path, bytes, wire_bytes,
                digest, error
         FROM transfers",
    );
    if filter.failed {
        // Failures are few among many, which SQLite does not know.
        sql.push_str(" INDEXED BY transfers_failed");
    }
    sql.push_str(" JOIN identities ON identities.id = transfers.identity WHERE transfers.identity = ?");
    let mut values = vec![Value::Integer(filter.identity)];
    if let Some(before) = filter.before {
        sql.push_str(" AND transfers.id < ?");
        values.push(Value::Integer(before));
    }
    if !filter.previews {
        sql.push_str(" AND direction <> 'preview'");
    }
    match filter.direction {
        Some(Direction::Put) => sql.push_str(" AND direction = 'put'"),
        Some(Direction::Get) => sql.push_str(" AND direction IN ('get', 'preview')"),
        None => {}
    }
    if filter.failed {
        sql.push_str(" AND error IS NOT NULL");
    }
    if let Some(path) = &filter.path {
        // "0" is the byte after "/": a range instead of LIKE, whose wildcards a path may hold.
        sql.push_str(" AND (path = ? OR (path >= ? AND path < ?))");
        values.extend([path.clone(), format!("{path}/"), format!("{path}0")].map(Value::Text));
    }
    sql.push_str(" ORDER BY transfers.id DESC LIMIT ?");
    values.push(Value::Integer(i64::try_from(limit).unwrap_or(i64::MAX)));
    let mut statement = connection.prepare_cached(&sql)?;
    let (mut records, mut size) = (Vec::new(), 0);
    for record in statement.query_map(params_from_iter(values), transfer)? {
        if size >= bytes {
            return Ok((records, true));
        }
        let record = record?;
        // A path's every byte may need an escape; 512 holds all other fields.
        size += 2 * record.path.as_str().len() + 512;
        records.push(record);
    }
    Ok((records, false))
}

fn transfer(row: &Row<'_>) -> rusqlite::Result<Transfer> {
    let preview = row.get_ref(5)?.as_str()? == PREVIEW;
    Ok(Transfer {
        id: row.get(0)?,
        started: row.get(1)?,
        duration_us: row.get::<_, i64>(2)?.cast_unsigned(),
        identity: name_of(row, 3)?,
        address: row.get(4)?,
        direction: if preview { Direction::Get } else { from_word(row, 5)? },
        preview,
        path: row.get::<_, String>(6)?.parse().map_err(|error| {
            rusqlite::Error::FromSqlConversionFailure(6, rusqlite::types::Type::Text, Box::new(error))
        })?,
        bytes: row.get::<_, i64>(7)?.cast_unsigned(),
        wire_bytes: row.get::<_, i64>(8)?.cast_unsigned(),
        sha256: row.get::<_, Option<[u8; 32]>>(9)?.map(Digest::from_bytes),
        error: match row.get::<_, Option<String>>(10)? {
            Some(_) => Some(from_word(row, 10)?),
            None => None,
        },
    })
}

/// The word that the wire has for a value; the log keeps the same.
fn word(value: impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::from("unknown"),
    }
}

fn from_word<T: serde::de::DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    let word = row.get::<_, String>(column)?;
    serde_json::from_value(serde_json::Value::String(word)).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(error))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::schema;

    fn log(count: i64) -> (tempfile::TempDir, Connection) {
        let dir = tempfile::tempdir().unwrap();
        let connection = schema::open(&dir.path().join("catalog.db")).unwrap();
        connection
            .execute("INSERT INTO identities (id, name, created_at) VALUES (1, 'alice', 1)", [])
            .unwrap();
        for started in 0..count {
            let (direction, path) = (Direction::Get, "/alice/x".to_owned());
            let digest = Some(Digest::of(&started.to_le_bytes()));
            let error = (started % 100 == 0).then_some(ErrorCode::NotFound);
            let (address, bytes, wire_bytes, duration_us) = ("here".to_owned(), 0, 0, 0);
            let record = TransferRow {
                started,
                duration_us,
                identity: 1,
                address,
                direction,
                preview: false,
                path,
                bytes,
                wire_bytes,
                digest,
                error,
            };
            insert(&connection, &record).unwrap();
        }
        (dir, connection)
    }

    fn left(connection: &Connection) -> (i64, i64) {
        let sql = "SELECT min(started_at), count(*) FROM transfers";
        connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
    }

    #[test]
    fn old_records_and_those_that_are_too_many_go_in_slices() {
        let (_dir, connection) = log(1800);
        let mut slices = 0;
        while prune(&connection, 600, 1500).unwrap() {
            slices += 1;
        }
        assert_eq!((left(&connection), slices), ((600, 1200), 2));
        while prune(&connection, 0, 100).unwrap() {}
        assert_eq!(left(&connection), (1700, 100));
    }

    #[test]
    fn a_report_is_looked_for_among_the_newest_records_and_failures_are_found() {
        let (_dir, connection) = log(1500);
        let mark = |started: i64| {
            mark_corrupt(&connection, 1, "here", "/alice/x", &Digest::of(&started.to_le_bytes())).unwrap()
        };
        assert!(mark(1499) && mark(501) && !mark(1499));
        assert!(!mark(499), "nobody waits for a search of the whole log");
        let filter = TransferFilter {
            identity: 1,
            before: Some(1400),
            direction: None,
            failed: true,
            previews: false,
            path: None,
        };
        let (failed, _) = newest(&connection, &filter, 1000, usize::MAX).unwrap();
        // Those at every hundredth, and the one that was marked above.
        assert_eq!(failed.len(), 14 + 1);
        assert!(failed.iter().all(|record| record.error.is_some()));
    }

    #[test]
    fn pages_hold_no_more_than_asked_for_and_make_the_whole_together() {
        let (_dir, connection) = log(100);
        let filter = TransferFilter {
            identity: 1,
            before: None,
            direction: None,
            failed: false,
            previews: false,
            path: None,
        };
        let (all, more) = newest(&connection, &filter, 95, usize::MAX).unwrap();
        assert!(all.len() == 95 && !more, "no more than the limit");
        let (mut pages, mut before) = (Vec::new(), None);
        loop {
            let filter = TransferFilter { before, ..filter.clone() };
            let (page, more) = newest(&connection, &filter, 95 - pages.len(), 10_000).unwrap();
            assert!(page.len() < 30 && !page.is_empty());
            before = page.last().map(|record| record.id);
            pages.extend(page);
            if !more {
                break;
            }
        }
        assert_eq!(pages, all);
    }
}
