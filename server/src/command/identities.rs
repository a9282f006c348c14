//! `sealiftd identities`

use std::io::Write;

use clap::Args;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::Common;
use crate::clock;
use crate::store::identities::{self, IdentityRow};

/// Lists who may connect: name, state, certificates in use, and when the last of them expires.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  sealiftd identities --data /srv/sealift")]
pub(super) struct Identities {
    #[command(flatten)]
    common: Common,
    /// One JSON object on each line.
    #[arg(long)]
    json: bool,
}

impl Identities {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let (_, _, connection) = self.common.open()?;
        let rows = identities::all(&connection, clock::now())?;
        let mut out = std::io::stdout().lock();
        if self.json {
            for row in &rows {
                let line = serde_json::json!({
                    "name": row.name,
                    "state": state(row),
                    "created": row.created_at,
                    "revoked": row.revoked_at,
                    "certificates": row.certificates,
                    "expires": row.expires_at,
                });
                writeln!(out, "{line}")?;
            }
            return Ok(());
        }
        let width = rows.iter().map(|row| row.name.as_str().len()).max().unwrap_or(0).max("NAME".len());
        if !rows.is_empty() {
            writeln!(out, "{:width$}  STATE    CERTIFICATES  EXPIRES", "NAME")?;
        }
        for row in &rows {
            let expires = row.expires_at.map_or_else(|| String::from("-"), day);
            writeln!(
                out,
                "{:width$}  {:7}  {:>12}  {expires}",
                row.name.as_str(),
                state(row),
                row.certificates
            )?;
        }
        Ok(())
    }
}

fn state(row: &IdentityRow) -> &'static str {
    match (row.revoked_at, row.certificates) {
        (Some(_), _) => "revoked",
        (None, 0) => "expired",
        (None, _) => "active",
    }
}

fn day(moment: i64) -> String {
    Timestamp::from_nanosecond(i128::from(moment))
        .map(|moment| TimeZone::system().to_datetime(moment).strftime("%Y-%m-%d").to_string())
        .unwrap_or_default()
}
