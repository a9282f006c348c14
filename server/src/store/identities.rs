//! Identities, what is asked of their certificates at every request, and the invitations that bring new ones.

use rusqlite::{Connection, OptionalExtension, params};
use sealift_protocol::message::Nanoseconds;
use sealift_types::{Digest, ErrorCode, Name};

use super::columns::name_of;
use super::{partial_uploads, spaces};
use crate::error::{Result, ServerError};

/// An identity as the administrator sees it.
#[derive(Debug, Clone)]
pub struct IdentityRow {
    /// The name.
    pub name: Name,
    /// When it was enrolled.
    pub created_at: Nanoseconds,
    /// When it was revoked, if it is.
    pub revoked_at: Option<Nanoseconds>,
    /// Certificates that are neither expired nor revoked.
    pub certificates: i64,
    /// When the last of them expires.
    pub expires_at: Option<Nanoseconds>,
}

/// Whose certificate this is and when it expires, if it was issued here and is neither revoked nor expired.
///
/// Asked at every handshake and every request: the catalog, not the certificate, has the last word.
pub fn of_certificate(
    connection: &Connection,
    fingerprint: &Digest,
    now: Nanoseconds,
) -> Result<(i64, Name, Nanoseconds)> {
    let refused = |message: &str| Err(ServerError::refused(ErrorCode::CertificateRefused, message));
    let mut statement = connection.prepare_cached(
        "SELECT identities.id, identities.name, expires_at, certificates.revoked_at IS NOT NULL
         FROM certificates JOIN identities ON identities.id = certificates.identity WHERE fingerprint = ?1",
    )?;
    let found = statement
        .query_row([fingerprint.as_bytes()], |row| {
            Ok((row.get(0)?, name_of(row, 1)?, row.get::<_, i64>(2)?, row.get::<_, bool>(3)?))
        })
        .optional()?;
    match found {
        None => refused(
            "the server does not know this certificate, perhaps because it was restored from an older backup: \
             ask its administrator for a new token and run `sealift join TOKEN`",
        ),
        Some((_, _, _, true)) => Err(revoked()),
        Some((_, _, expires_at, _)) if expires_at <= now => refused(
            "this certificate has expired: ask the server's administrator for a new token and run `sealift join TOKEN`",
        ),
        Some((id, name, expires_at, false)) => Ok((id, name, expires_at)),
    }
}

/// The refusal of a certificate that is revoked.
pub fn revoked() -> ServerError {
    ServerError::refused(
        ErrorCode::CertificateRefused,
        "this certificate is revoked: ask the server's administrator for a new token and run `sealift join TOKEN`",
    )
}

/// How many certificates were ever revoked: it only grows.
pub fn count_revoked(connection: &Connection) -> rusqlite::Result<i64> {
    connection
        .prepare_cached("SELECT count(*) FROM certificates WHERE revoked_at IS NOT NULL")?
        .query_row([], |row| row.get(0))
}

/// Whether a certificate was revoked.
pub fn is_revoked(connection: &Connection, fingerprint: &Digest) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("SELECT 1 FROM certificates WHERE fingerprint = ?1 AND revoked_at IS NOT NULL")?
        .exists([fingerprint.as_bytes()])
}

/// The identity called `name`; it is made if there is none, and a revocation of it is lifted.
pub fn ensure(connection: &Connection, name: &Name, now: Nanoseconds) -> Result<i64> {
    connection
        .prepare_cached(
            "INSERT INTO identities (name, created_at) VALUES (?1, ?2)
             ON CONFLICT (name) DO UPDATE SET revoked_at = NULL",
        )?
        .execute(params![name.as_str(), now])?;
    Ok(connection
        .prepare_cached("SELECT id FROM identities WHERE name = ?1")?
        .query_row([name.as_str()], |row| row.get(0))?)
}

/// Records an invitation. `secret` is the SHA-256 of the token's secret.
pub fn invite(
    connection: &Connection,
    name: &Name,
    secret: &Digest,
    now: Nanoseconds,
    expires_at: Nanoseconds,
) -> Result<()> {
    // A name that is a shared space's would hand that space's name to a person.
    let taken = connection
        .prepare_cached("SELECT 1 FROM spaces WHERE name = ?1 AND owner IS NULL")?
        .exists([name.as_str()])?;
    if name.as_str() == "everyone" {
        let message = "everyone stands for all in grants: invite under another name";
        return Err(ServerError::refused(ErrorCode::Exists, message));
    }
    if taken {
        return Err(ServerError::refused(
            ErrorCode::Exists,
            format!("/{name} is a shared space: invite under another name"),
        ));
    }
    connection
        .prepare_cached("INSERT INTO invites (secret, name, created_at, expires_at) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![secret.as_bytes(), name.as_str(), now, expires_at])?;
    Ok(())
}

/// Returns true if an invitation can still be used.
pub fn is_invitation_open(connection: &Connection, now: Nanoseconds) -> Result<bool> {
    let mut statement = connection
        .prepare_cached("SELECT 1 FROM invites WHERE used_at IS NULL AND expires_at > ?1 LIMIT 1")?;
    Ok(statement.exists([now])?)
}

/// Uses up an invitation: returns the invited identity, enrolled, with a space of its own.
pub fn redeem(connection: &Connection, secret: &Digest, now: Nanoseconds) -> Result<(i64, Name)> {
    let refused = |message: &str| Err(ServerError::refused(ErrorCode::TokenRefused, message));
    let mut statement =
        connection.prepare_cached("SELECT name, expires_at, used_at FROM invites WHERE secret = ?1")?;
    let found = statement
        .query_row([secret.as_bytes()], |row| {
            Ok((name_of(row, 0)?, row.get::<_, i64>(1)?, row.get::<_, Option<i64>>(2)?))
        })
        .optional()?;
    let name = match found {
        None => return refused("the server does not know this token: ask its administrator for a new one"),
        Some((_, _, Some(_))) => {
            return refused(
                "this token was used already, and each is good for one machine: ask for a new one",
            );
        }
        Some((_, expires_at, _)) if expires_at <= now => {
            return refused("this token has expired: ask the server's administrator for a new one");
        }
        Some((name, _, None)) => name,
    };
    connection
        .prepare_cached("UPDATE invites SET used_at = ?2 WHERE secret = ?1")?
        .execute(params![secret.as_bytes(), now])?;
    let identity = ensure(connection, &name, now)?;
    spaces::add(connection, &name, Some(identity), now)?;
    Ok((identity, name))
}

/// Revokes an identity: all its certificates, its open invitations, and what its uploads left unfinished. Returns its
/// certificates that were good.
pub fn revoke(connection: &Connection, name: &Name, now: Nanoseconds) -> Result<Vec<Digest>> {
    let identity = connection
        .prepare_cached("SELECT id FROM identities WHERE name = ?1")?
        .query_row([name.as_str()], |row| row.get::<_, i64>(0))
        .optional()?;
    let invites = connection
        .prepare_cached("DELETE FROM invites WHERE name = ?1 AND used_at IS NULL")?
        .execute([name.as_str()])?;
    let Some(identity) = identity else {
        if invites > 0 {
            return Ok(Vec::new());
        }
        let message = format!("there is no identity {name}: `sealiftd identities` lists them");
        return Err(ServerError::refused(ErrorCode::NotFound, message));
    };
    connection
        .prepare_cached("UPDATE identities SET revoked_at = ?2 WHERE id = ?1 AND revoked_at IS NULL")?
        .execute(params![identity, now])?;
    partial_uploads::forget_identity(connection, identity)?;
    let mut statement = connection.prepare_cached(
        "UPDATE certificates SET revoked_at = ?2 WHERE identity = ?1 AND revoked_at IS NULL RETURNING fingerprint",
    )?;
    let revoked = statement.query_map(params![identity, now], |row| row.get(0).map(Digest::from_bytes))?;
    Ok(revoked.collect::<rusqlite::Result<_>>()?)
}

/// All identities, by name.
pub fn all(connection: &Connection, now: Nanoseconds) -> Result<Vec<IdentityRow>> {
    let mut statement = connection.prepare(
        "SELECT name, created_at, identities.revoked_at, count(fingerprint), max(expires_at)
         FROM identities LEFT JOIN certificates
             ON identity = id AND certificates.revoked_at IS NULL AND expires_at > ?1
         GROUP BY id ORDER BY name",
    )?;
    let rows = statement.query_map([now], |row| {
        Ok(IdentityRow {
            name: name_of(row, 0)?,
            created_at: row.get(1)?,
            revoked_at: row.get(2)?,
            certificates: row.get(3)?,
            expires_at: row.get(4)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::certificates::{self, CertificateOrigin, NewCertificate};
    use crate::store::schema;

    fn code<T: std::fmt::Debug>(result: Result<T>) -> ErrorCode {
        result.unwrap_err().to_wire().code
    }

    #[test]
    fn a_token_is_good_once_and_in_time() {
        let dir = tempfile::tempdir().unwrap();
        let connection = schema::open(&dir.path().join("catalog.db")).unwrap();
        let name: Name = "bob".parse().unwrap();
        let (early, late) = (Digest::of(b"early"), Digest::of(b"late"));
        invite(&connection, &name, &early, 0, 100).unwrap();
        invite(&connection, &name, &late, 0, 100).unwrap();
        assert_eq!(redeem(&connection, &early, 99).unwrap().1, name);
        assert_eq!(code(redeem(&connection, &early, 99)), ErrorCode::TokenRefused);
        assert_eq!(code(redeem(&connection, &late, 100)), ErrorCode::TokenRefused);
        assert_eq!(code(redeem(&connection, &Digest::of(b"none"), 1)), ErrorCode::TokenRefused);
    }

    #[test]
    fn the_catalog_knows_which_certificates_are_good() {
        let dir = tempfile::tempdir().unwrap();
        let connection = schema::open(&dir.path().join("catalog.db")).unwrap();
        let name: Name = "bob".parse().unwrap();
        let print = Digest::of(b"certificate");
        assert_eq!(code(of_certificate(&connection, &print, 1)), ErrorCode::CertificateRefused);
        let identity = ensure(&connection, &name, 1).unwrap();
        let origin = CertificateOrigin::Token(None);
        let new = NewCertificate { fingerprint: &print, issued_at: 1, expires_at: 100, origin };
        certificates::add(&connection, identity, new).unwrap();
        assert_eq!(of_certificate(&connection, &print, 99).unwrap(), (identity, name.clone(), 100));
        assert_eq!(code(of_certificate(&connection, &print, 100)), ErrorCode::CertificateRefused);
        assert_eq!(revoke(&connection, &name, 50).unwrap(), [print]);
        assert_eq!(code(of_certificate(&connection, &print, 60)), ErrorCode::CertificateRefused);
        assert!(is_revoked(&connection, &print).unwrap() && count_revoked(&connection).unwrap() == 1);
        assert_eq!(code(revoke(&connection, &"nobody".parse().unwrap(), 1)), ErrorCode::NotFound);
        let open = Digest::of(b"open");
        invite(&connection, &name, &open, 1, 100).unwrap();
        revoke(&connection, &name, 61).unwrap();
        assert_eq!(code(redeem(&connection, &open, 62)), ErrorCode::TokenRefused);
        assert_eq!(all(&connection, 70).unwrap()[0].certificates, 0);
    }
}
