//! Reading names and digests from the catalog's columns.

use rusqlite::{Connection, Row, params};
use sealift_types::{Digest, ErrorCode, Name};

use crate::error::{Result, ServerError};

/// Digits of a fingerprint that name a certificate on the command line, at least.
const SHORTEST: usize = 8;

/// Reads a [`Name`] from a column.
pub(super) fn name_of(row: &Row<'_>, column: usize) -> rusqlite::Result<Name> {
    row.get::<_, String>(column)?.parse().map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(error))
    })
}

/// The one row of a table whose digest begins with these digits.
pub(super) fn by_digits(
    connection: &Connection,
    table: &str,
    column: &str,
    digits: &str,
    what: &str,
) -> Result<Digest> {
    let listing = format!("`sealiftd identities --{what}s` lists them");
    if digits.len() < SHORTEST || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        let message = format!("{digits:?} names no {what}: give at least {SHORTEST} digits; {listing}");
        return Err(ServerError::refused(ErrorCode::BadRequest, message));
    }
    let sql = format!("SELECT {column} FROM {table} WHERE substr(lower(hex({column})), 1, ?2) = lower(?1)");
    let mut statement = connection.prepare(&sql)?;
    let length = i64::try_from(digits.len()).unwrap_or(i64::MAX);
    let found = statement.query_map(params![digits, length], |row| row.get(0).map(Digest::from_bytes))?;
    match found.collect::<rusqlite::Result<Vec<_>>>()?[..] {
        [digest] => Ok(digest),
        [] => {
            Err(ServerError::refused(ErrorCode::NotFound, format!("there is no {what} {digits}: {listing}")))
        }
        _ => {
            let message = format!("several {what}s begin with {digits}: give more digits; {listing}");
            Err(ServerError::refused(ErrorCode::BadRequest, message))
        }
    }
}
