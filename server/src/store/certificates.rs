//! The certificates of identities: which there are, how one machine loses its own, and what a restored catalog does not
//! know of.
//!
//! A machine gets a certificate by a token, and renews it again and again. All of these belong together, since whoever
//! has the machine's key can renew, too: they are listed one by one, and revoked together. The catalog knows them by the
//! certificate that the token brought, which is called their origin.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, params};
use sealift_certs::{USER_VALIDITY, Validity};
use sealift_protocol::message::Nanoseconds;
use sealift_types::{Digest, Name};

use super::columns::{by_digits, name_of};
use super::facts;
use crate::clock;
use crate::data::revocations::{Revocation, RevocationSubject};
use crate::error::Result;

/// How long the use of a certificate goes unnoted after one that was noted: each note costs a commit.
const NOTE: Duration = Duration::from_secs(3600);

/// Characters of a machine's name.
const LONGEST_MACHINE: usize = 64;

/// A certificate that was just issued.
#[derive(Debug, Clone, Copy)]
pub struct NewCertificate<'a> {
    /// Its SHA-256.
    pub fingerprint: &'a Digest,
    /// When it was issued.
    pub issued_at: Nanoseconds,
    /// When it expires.
    pub expires_at: Nanoseconds,
    /// What it was issued for.
    pub origin: CertificateOrigin<'a>,
}

/// What a certificate was issued for.
#[derive(Debug, Clone, Copy)]
pub enum CertificateOrigin<'a> {
    /// A token, on a machine that calls itself so.
    Token(Option<&'a str>),
    /// A machine that has one already, which it renews.
    Renewal(&'a Machine),
}

/// The machine that a certificate belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// What it calls itself.
    pub name: Option<String>,
    /// The fingerprint of its first certificate, as its later ones name it.
    pub origin: Digest,
}

/// A certificate as the administrator sees it.
#[derive(Debug, Clone)]
pub struct CertificateRow {
    /// Its SHA-256.
    pub fingerprint: Digest,
    /// Whose it is.
    pub identity: Name,
    /// What the machine calls itself.
    pub machine: Option<String>,
    /// When it was issued.
    pub issued_at: Nanoseconds,
    /// When it expires.
    pub expires_at: Nanoseconds,
    /// When it was revoked, if it is.
    pub revoked_at: Option<Nanoseconds>,
    /// When a connection was last opened with it, to about an hour.
    pub used_at: Option<Nanoseconds>,
    /// From where.
    pub address: Option<String>,
}

/// A machine that has lost its certificates.
#[derive(Debug)]
pub struct RevokedMachine {
    /// Whose it was.
    pub identity: Name,
    /// The machine.
    pub machine: Machine,
    /// Its certificates that were good.
    pub certificates: Vec<Digest>,
}

/// Records a certificate that was just issued.
pub fn add(connection: &Connection, identity: i64, new: NewCertificate<'_>) -> Result<()> {
    let (machine, origin) = match new.origin {
        CertificateOrigin::Token(machine) => (machine.and_then(printable), *new.fingerprint),
        CertificateOrigin::Renewal(Machine { name, origin }) => (name.clone(), *origin),
    };
    connection
        .prepare_cached(
            "INSERT INTO certificates (fingerprint, identity, issued_at, expires_at, machine, origin)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            new.fingerprint.as_bytes(),
            identity,
            new.issued_at,
            new.expires_at,
            machine,
            origin.as_bytes()
        ])?;
    Ok(())
}

/// The machine that a certificate belongs to.
pub fn machine(connection: &Connection, fingerprint: &Digest) -> Result<Machine> {
    let mut statement = connection.prepare_cached(
        "SELECT machine, coalesce(origin, fingerprint) FROM certificates WHERE fingerprint = ?1",
    )?;
    Ok(statement.query_row([fingerprint.as_bytes()], |row| {
        Ok(Machine { name: row.get(0)?, origin: Digest::from_bytes(row.get(1)?) })
    })?)
}

/// A machine's name as far as a terminal shows it; `None` if that is nothing.
fn printable(name: &str) -> Option<String> {
    let name: String = name.chars().filter(char::is_ascii_graphic).take(LONGEST_MACHINE).collect();
    (!name.is_empty()).then_some(name)
}

/// Notes that a connection was opened with a certificate. [`is_use_worth_a_note`] says when that is worth a write.
pub fn note_use(
    connection: &Connection,
    fingerprint: &Digest,
    address: &str,
    now: Nanoseconds,
) -> Result<()> {
    connection
        .prepare_cached("UPDATE certificates SET used_at = ?2, address = ?3 WHERE fingerprint = ?1")?
        .execute(params![fingerprint.as_bytes(), now, address])?;
    Ok(())
}

/// Whether the use of a certificate is worth a note.
pub fn is_use_worth_a_note(connection: &Connection, fingerprint: &Digest, now: Nanoseconds) -> Result<bool> {
    let noted: Option<Option<Nanoseconds>> = connection
        .prepare_cached("SELECT used_at FROM certificates WHERE fingerprint = ?1")?
        .query_row([fingerprint.as_bytes()], |row| row.get(0))
        .optional()?;
    let note = i64::try_from(NOTE.as_nanos()).unwrap_or(i64::MAX);
    // A note from the future is one that a wrong clock made.
    Ok(noted.is_some_and(|at| at.is_none_or(|at| !(now.saturating_sub(note)..=now).contains(&at))))
}

/// Certificates by identity and time of issue: those that are good, or every one that there ever was.
pub fn list(
    connection: &Connection,
    of: Option<&Name>,
    all: bool,
    now: Nanoseconds,
) -> Result<Vec<CertificateRow>> {
    let mut statement = connection.prepare(
        "SELECT fingerprint, name, machine, issued_at, expires_at, certificates.revoked_at, used_at, address
         FROM certificates JOIN identities ON identities.id = identity
         WHERE (?1 IS NULL OR name = ?1) AND (?2 OR (certificates.revoked_at IS NULL AND expires_at > ?3))
         ORDER BY name, issued_at, fingerprint",
    )?;
    let rows = statement.query_map(params![of.map(Name::as_str), all, now], certificate)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn certificate(row: &Row<'_>) -> rusqlite::Result<CertificateRow> {
    Ok(CertificateRow {
        fingerprint: Digest::from_bytes(row.get(0)?),
        identity: name_of(row, 1)?,
        machine: row.get(2)?,
        issued_at: row.get(3)?,
        expires_at: row.get(4)?,
        revoked_at: row.get(5)?,
        used_at: row.get(6)?,
        address: row.get(7)?,
    })
}

/// Revokes the certificate whose fingerprint begins with these digits, and all others of its machine.
pub fn revoke_machine(connection: &Connection, digits: &str, now: Nanoseconds) -> Result<RevokedMachine> {
    let fingerprint = by_digits(connection, "certificates", "fingerprint", digits, "certificate")?;
    let mut statement = connection.prepare(
        "SELECT name FROM certificates JOIN identities ON identities.id = identity WHERE fingerprint = ?1",
    )?;
    let identity = statement.query_row([fingerprint.as_bytes()], |row| name_of(row, 0))?;
    let machine = machine(connection, &fingerprint)?;
    let mut statement = connection.prepare(
        "UPDATE certificates SET revoked_at = ?2
         WHERE coalesce(origin, fingerprint) = ?1 AND revoked_at IS NULL AND expires_at > ?2
         RETURNING fingerprint",
    )?;
    let revoked = statement
        .query_map(params![machine.origin.as_bytes(), now], |row| row.get(0).map(Digest::from_bytes))?;
    let certificates = revoked.collect::<rusqlite::Result<_>>()?;
    Ok(RevokedMachine { identity, machine, certificates })
}

/// What a server that was restored from a backup found at its first start.
#[derive(Debug, PartialEq, Eq)]
pub struct Restored {
    /// When the backup was taken.
    pub taken_at: Nanoseconds,
    /// Open invitations, which are void now: some may have been used since.
    pub withdrawn: usize,
    /// Whether certificates that were issued since are taken in.
    pub adopts: bool,
}

/// How old a backup may be: to be told what is revoked, and for certificates that were issued later to be taken in when it is
/// restored. It is the longest life of a certificate so far, and 90 days at least.
pub fn longest_life(connection: &Connection) -> Result<Nanoseconds> {
    let sql = "SELECT coalesce(max(expires_at - issued_at), 0) FROM certificates";
    let longest: Nanoseconds = connection.query_row(sql, [], |row| row.get(0))?;
    Ok(longest.max(i64::try_from(USER_VALIDITY.as_nanos()).unwrap_or(i64::MAX)))
}

/// Brings a catalog up to what was revoked since it was written: for the start of a server, which may have been restored.
///
/// Applying the list again changes nothing. A catalog that comes from a backup says so, once.
pub fn catch_up(connection: &Connection, list: &[Revocation], now: Nanoseconds) -> Result<Option<Restored>> {
    let moment = |key| -> Result<Option<Nanoseconds>> {
        Ok(facts::read(connection, key)?.and_then(|moment| moment.parse().ok()))
    };
    let taken_at = moment(facts::BACKUP_TAKEN)?;
    apply(connection, list, taken_at.is_some())?;
    let Some(taken_at) = taken_at else { return Ok(None) };
    // An older backup has not been told of every revocation.
    let adopts = taken_at > now.saturating_sub(longest_life(connection)?);
    if adopts {
        let since = moment(facts::UNKNOWN_SINCE)?.map_or(taken_at, |since| since.min(taken_at));
        facts::set(connection, facts::UNKNOWN_SINCE, &since.to_string())?;
        facts::set(connection, facts::UNKNOWN_UNTIL, &now.to_string())?;
    } else {
        facts::remove(connection, facts::UNKNOWN_SINCE)?;
        facts::remove(connection, facts::UNKNOWN_UNTIL)?;
    }
    facts::remove(connection, facts::BACKUP_TAKEN)?;
    let withdrawn = connection.prepare("DELETE FROM invites WHERE used_at IS NULL")?.execute([])?;
    Ok(Some(Restored { taken_at, withdrawn, adopts }))
}

/// Brings a catalog up to a list of revocations. One that was restored may know certificates that the catalog did not know in
/// which they were revoked: by their identity, or by another one of their machine.
pub fn apply(connection: &Connection, list: &[Revocation], is_restored: bool) -> Result<()> {
    for Revocation { subject, at } in list {
        match subject {
            RevocationSubject::Certificate(fingerprint) => {
                let which = if is_restored { "?1 IN (fingerprint, origin)" } else { "fingerprint = ?1" };
                let sql =
                    format!("UPDATE certificates SET revoked_at = ?2 WHERE {which} AND revoked_at IS NULL");
                connection.prepare_cached(&sql)?.execute(params![fingerprint.as_bytes(), at])?;
            }
            RevocationSubject::Identity(name) if is_restored => {
                connection
                    .prepare_cached(
                        "UPDATE certificates SET revoked_at = ?2
                         WHERE identity = (SELECT id FROM identities WHERE name = ?1)
                             AND issued_at <= ?2 AND revoked_at IS NULL",
                    )?
                    .execute(params![name.as_str(), at])?;
            }
            RevocationSubject::Identity(_) => {}
        }
    }
    for Revocation { subject, at } in list {
        if let RevocationSubject::Identity(name) = subject {
            // Not one that was invited again: it has certificates which are not in the list.
            connection
                .prepare_cached(
                    "UPDATE identities SET revoked_at = ?2
                     WHERE name = ?1 AND revoked_at IS NULL AND NOT EXISTS (
                         SELECT 1 FROM certificates WHERE identity = id AND certificates.revoked_at IS NULL)",
                )?
                .execute(params![name.as_str(), at])?;
        }
    }
    Ok(())
}

/// What a restored catalog says to a certificate that it does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Adoption {
    /// It is one of its own from now on.
    Adopted,
    /// It is revoked, or its machine or identity is.
    Revoked,
    /// It may be anybody's.
    Unknown,
}

/// Takes in a certificate of this server's authority that a restored catalog does not know, since it was issued between
/// the backup and the restoring.
///
/// The caller has verified that the authority signed it, and names the origin that it carries. It is taken in only for an
/// identity that the catalog has, that is not revoked, and that was not revoked later than the certificate was issued; and
/// not for a machine that has lost its certificates.
pub fn adopt(
    connection: &Connection,
    fingerprint: &Digest,
    origin: Option<&Digest>,
    name: &Name,
    validity: Validity,
    list: &[Revocation],
) -> Result<Adoption> {
    let moment = |key| -> Result<Option<Nanoseconds>> {
        Ok(facts::read(connection, key)?.and_then(|moment| moment.parse().ok()))
    };
    let (Some(since), Some(until)) = (moment(facts::UNKNOWN_SINCE)?, moment(facts::UNKNOWN_UNTIL)?) else {
        return Ok(Adoption::Unknown);
    };
    // In whole seconds, rounded down: one that was issued just after the backup may seem to be just before it.
    let issued_at = clock::nanoseconds(validity.issued());
    let second = 1_000_000_000;
    if !(since.saturating_sub(second)..=until).contains(&issued_at) {
        return Ok(Adoption::Unknown);
    }
    let is_revoked = list.iter().any(|Revocation { subject, at }| match subject {
        RevocationSubject::Certificate(revoked) => revoked == fingerprint || Some(revoked) == origin,
        RevocationSubject::Identity(revoked) => revoked == name && *at >= issued_at,
    });
    let identity: Option<i64> = connection
        .prepare_cached("SELECT id FROM identities WHERE name = ?1 AND revoked_at IS NULL")?
        .query_row([name.as_str()], |row| row.get(0))
        .optional()?;
    if is_revoked {
        return Ok(Adoption::Revoked);
    }
    let Some(identity) = identity else { return Ok(Adoption::Unknown) };
    if is_known(connection, fingerprint)? {
        return Ok(Adoption::Unknown);
    }
    // Certificates from before they named their origin name none, though they renew another.
    let origin = origin.unwrap_or(fingerprint);
    let (machine, is_lost): (Option<String>, bool) = connection
        .prepare_cached(
            "SELECT max(machine), count(revoked_at) > 0 FROM certificates WHERE coalesce(origin, fingerprint) = ?1",
        )?
        .query_row([origin.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?)))?;
    if is_lost {
        return Ok(Adoption::Revoked);
    }
    let expires_at = clock::nanoseconds(validity.not_after);
    let machine = Machine { name: machine, origin: *origin };
    add(
        connection,
        identity,
        NewCertificate { fingerprint, issued_at, expires_at, origin: CertificateOrigin::Renewal(&machine) },
    )?;
    Ok(Adoption::Adopted)
}

/// Whether the catalog was restored, and does not know a certificate.
pub fn may_adopt(connection: &Connection, fingerprint: &Digest) -> Result<bool> {
    Ok(!is_known(connection, fingerprint)? && facts::read(connection, facts::UNKNOWN_SINCE)?.is_some())
}

/// Whether the catalog has a certificate, good or not.
pub fn is_known(connection: &Connection, fingerprint: &Digest) -> Result<bool> {
    Ok(connection
        .prepare_cached("SELECT 1 FROM certificates WHERE fingerprint = ?1")?
        .exists([fingerprint.as_bytes()])?)
}

#[cfg(test)]
mod tests;
