//! `sealiftd identities`

use std::io::Write;

use clap::Args;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use rusqlite::Connection;
use sealift_protocol::message::Nanoseconds;
use sealift_types::{Digest, Name};
use serde_json::json;

use super::common::CommonArgs;
use crate::clock;
use crate::store::certificates::{self, CertificateRow};
use crate::store::identities::{self, IdentityRow};
use crate::store::invitations;

/// Digits of a fingerprint that are shown: enough to tell any two apart.
const SHOWN: usize = 12;

/// Lists who may connect: name, state, certificates in use, and when the last of them expires.
///
/// With --certificates it lists every certificate with its machine: when it was issued, when it expires, when and from
/// where it was last used (to about an hour). With --invitations it lists the tokens that nobody has used yet. The first
/// column is what `sealiftd revoke --certificate` and `--invitation` take.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  sealiftd identities --data /srv/sealift\n  sealiftd identities --certificates alice"
)]
pub(super) struct IdentitiesArgs {
    /// Only this identity.
    name: Option<Name>,
    /// List certificates, one by one.
    #[arg(long, conflicts_with = "invitations")]
    certificates: bool,
    /// With --certificates: those that have expired or are revoked, too.
    #[arg(long, requires = "certificates")]
    all: bool,
    /// List invitations that are still open.
    #[arg(long)]
    invitations: bool,
    #[command(flatten)]
    common: CommonArgs,
    /// One JSON object on each line.
    #[arg(long)]
    json: bool,
}

/// What is listed, for people and for programs.
struct Listing {
    columns: &'static [&'static str],
    rows: Vec<Vec<String>>,
    objects: Vec<serde_json::Value>,
}

impl IdentitiesArgs {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let (_, _, connection) = self.common.open_to_read()?;
        let listing = match (self.certificates, self.invitations) {
            (true, _) => self.certificates(&connection)?,
            (_, true) => self.invitations(&connection)?,
            _ => self.identities(&connection)?,
        };
        let mut out = std::io::stdout().lock();
        if self.json {
            return Ok(listing.objects.iter().try_for_each(|object| writeln!(out, "{object}"))?);
        }
        Ok(print(&mut out, listing.columns, &listing.rows)?)
    }

    fn identities(&self, connection: &Connection) -> anyhow::Result<Listing> {
        let mut rows = identities::all(connection, clock::now())?;
        rows.retain(|row| self.name.as_ref().is_none_or(|name| *name == row.name));
        let object = |row: &IdentityRow| {
            json!({
                "name": row.name,
                "state": state(row),
                "created": row.created_at,
                "revoked": row.revoked_at,
                "certificates": row.certificates,
                "expires": row.expires_at,
            })
        };
        let line = |row: &IdentityRow| {
            let certificates = format!("{:>12}", row.certificates);
            vec![row.name.to_string(), state(row).into(), certificates, or_dash(row.expires_at.map(day))]
        };
        Ok(Listing {
            columns: &["NAME", "STATE", "CERTIFICATES", "EXPIRES"],
            objects: rows.iter().map(object).collect(),
            rows: rows.iter().map(line).collect(),
        })
    }

    fn certificates(&self, connection: &Connection) -> anyhow::Result<Listing> {
        let now = clock::now();
        let rows = certificates::list(connection, self.name.as_ref(), self.all, now)?;
        let state = |row: &CertificateRow| match row.revoked_at {
            Some(_) => "revoked",
            None if row.expires_at <= now => "expired",
            None => "active",
        };
        let object = |row: &CertificateRow| {
            json!({
                "certificate": row.fingerprint,
                "identity": row.identity,
                "machine": row.machine,
                "state": state(row),
                "issued": row.issued_at,
                "expires": row.expires_at,
                "revoked": row.revoked_at,
                "used": row.used_at,
                "address": row.address,
            })
        };
        let line = |row: &CertificateRow| {
            vec![
                short(&row.fingerprint),
                row.identity.to_string(),
                or_dash(row.machine.clone()),
                state(row).into(),
                day(row.issued_at),
                day(row.expires_at),
                or_dash(row.used_at.map(minute)),
                or_dash(row.address.clone()),
            ]
        };
        Ok(Listing {
            columns: &["CERTIFICATE", "IDENTITY", "MACHINE", "STATE", "ISSUED", "EXPIRES", "USED", "FROM"],
            objects: rows.iter().map(object).collect(),
            rows: rows.iter().map(line).collect(),
        })
    }

    fn invitations(&self, connection: &Connection) -> anyhow::Result<Listing> {
        let rows = invitations::list(connection, self.name.as_ref(), clock::now())?;
        let object = |row: &invitations::InvitationRow| {
            json!({
                "invitation": row.secret,
                "identity": row.name,
                "created": row.created_at,
                "expires": row.expires_at,
            })
        };
        let line = |row: &invitations::InvitationRow| {
            vec![short(&row.secret), row.name.to_string(), minute(row.created_at), minute(row.expires_at)]
        };
        Ok(Listing {
            columns: &["INVITATION", "IDENTITY", "INVITED", "EXPIRES"],
            objects: rows.iter().map(object).collect(),
            rows: rows.iter().map(line).collect(),
        })
    }
}

/// A table with its columns in line; nothing if it has no row.
fn print(out: &mut impl Write, columns: &[&str], rows: &[Vec<String>]) -> std::io::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let head: Vec<String> = columns.iter().map(ToString::to_string).collect();
    let lines: Vec<&Vec<String>> = std::iter::once(&head).chain(rows).collect();
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<_> = (0..columns.len()).map(width).collect();
    for line in lines {
        let cells: Vec<_> = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        writeln!(out, "{}", cells.join("  ").trim_end())?;
    }
    Ok(())
}

fn state(row: &IdentityRow) -> &'static str {
    match (row.revoked_at, row.certificates) {
        (Some(_), _) => "revoked",
        (None, 0) => "expired",
        (None, _) => "active",
    }
}

/// As many digits of a digest as name one.
pub(super) fn short(digest: &Digest) -> String {
    digest.to_string()[..SHOWN].to_owned()
}

fn or_dash(text: Option<String>) -> String {
    text.unwrap_or_else(|| String::from("-"))
}

fn day(moment: Nanoseconds) -> String {
    written(moment, "%Y-%m-%d")
}

fn minute(moment: Nanoseconds) -> String {
    written(moment, "%Y-%m-%d %H:%M")
}

fn written(moment: Nanoseconds, format: &str) -> String {
    Timestamp::from_nanosecond(i128::from(moment))
        .map(|moment| TimeZone::system().to_datetime(moment).strftime(format).to_string())
        .unwrap_or_default()
}
