//! `sealiftd revoke`

use std::collections::BTreeSet;
use std::io::Write;

use anyhow::Context;
use clap::Args;
use sealift_types::{Digest, Name};
use serde_json::json;

use super::common::{CommonArgs, transact};
use crate::data::backup;
use crate::data::revocations::{Revocation, RevocationList, RevocationSubject};
use crate::error::ServerError;
use crate::store::certificates::{self, Machine};
use crate::store::{identities, invitations};
use crate::{audit, clock};

/// Shuts an identity out: its certificates and open tokens are void at once, and its open connections end.
///
/// With --certificate, one machine is shut out, with every certificate that it has renewed, and the others of its owner
/// go on. With --invitation, a token is void that nobody has used yet. Files stay where they are.
///
/// What is revoked stays so when the server is restored from a backup: it is noted beside the authority's key, and in each
/// backup that can be reached. A backup that cannot be reached is named.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  sealiftd revoke alice --data /srv/sealift\n  sealiftd identities --certificates alice\n  \
    sealiftd revoke --certificate 3f9a1c2b4d5e"
)]
#[group(skip)]
pub(super) struct RevokeArgs {
    /// Name of the identity.
    #[arg(required_unless_present_any = ["certificate", "invitation"], conflicts_with_all = ["certificate", "invitation"])]
    name: Option<Name>,
    /// First digits of a certificate's fingerprint, as `sealiftd identities --certificates` lists it.
    #[arg(long, value_name = "ID", conflicts_with = "invitation")]
    certificate: Option<String>,
    /// First digits of an open invitation, as `sealiftd identities --invitations` lists it.
    #[arg(long, value_name = "ID")]
    invitation: Option<String>,
    /// One JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    common: CommonArgs,
}

/// What the command reports.
struct RevokeReport {
    identity: Name,
    machine: Option<Machine>,
    certificates: Vec<Digest>,
}

impl RevokeArgs {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let (_, data, mut connection) = self.common.open_to_change()?;
        let mut out = std::io::stdout();
        if let Some(digits) = &self.invitation {
            let name = transact(&mut connection, |connection| {
                let name = invitations::withdraw(connection, digits)?;
                audit::leave(connection, "withdraw-invitation", name.as_str(), clock::now())?;
                Ok(name)
            })?;
            match self.json {
                true => writeln!(out, "{}", json!({ "identity": name, "invitations": 1 }))?,
                false => writeln!(out, "withdrew an invitation of {name}")?,
            }
            return Ok(());
        }
        let now = clock::now();
        // Held until the backups have it, too: a backup that is being taken copies the file before or after.
        let mut list = RevocationList::open(&data)?;
        let mut noted = Vec::new();
        let transacted = transact(&mut connection, |connection| {
            let revoked = self.revoke(connection, now)?;
            if let Some(name) = &self.name {
                noted.push(Revocation { subject: RevocationSubject::Identity(name.clone()), at: now });
            }
            // Also the machine's first one, which what it has renewed names, known to this catalog or not.
            let origin = revoked.machine.iter().map(|machine| &machine.origin);
            let certificates: BTreeSet<_> = origin.chain(&revoked.certificates).copied().collect();
            let certificates = certificates.into_iter().map(RevocationSubject::Certificate);
            noted.extend(certificates.map(|subject| Revocation { subject, at: now }));
            // On disk before the catalog has it: a restored catalog must never know less than was said.
            list.append(&noted).map_err(ServerError::file(&data.pki("revocations")))?;
            let subject = match &self.name {
                Some(name) => name.to_string(),
                None => format!("{} of {}", prints(&revoked.certificates), revoked.identity),
            };
            audit::leave(connection, "revoke", &subject, now)?;
            Ok(revoked)
        });
        let RevokeReport { identity, machine, certificates } = transacted.map_err(|error| match noted.is_empty() {
            true => error,
            false => error.context(
                "it is unknown whether the revocation is noted beside the authority's key; if so, it holds from the \
                 server's next start: repeat the command",
            ),
        })?;
        let machine = machine.and_then(|machine| machine.name);
        let unreached = backup::spread(&data, &connection, &noted, now).with_context(|| {
            format!("{identity} is shut out, but it is unknown whether every backup knows of it: repeat the command")
        })?;
        if self.json {
            let object = json!({
                "identity": identity,
                "machine": machine,
                "certificates": certificates,
                "backups_not_reached": unreached,
            });
            writeln!(out, "{object}")?;
        } else {
            let whom = match (&self.certificate, machine) {
                (None, _) => identity.to_string(),
                (Some(_), None) => format!("a machine of {identity}"),
                (Some(_), Some(machine)) => format!("the machine {machine} of {identity}"),
            };
            let count = certificates.len();
            writeln!(out, "revoked {whom} ({count} certificate{})", if count == 1 { "" } else { "s" })?;
        }
        for path in unreached {
            super::common::advise(&format!(
                "the backup {} cannot be reached: run `sealiftd backup` there before you restore from it, or what was \
                 revoked now is good again on it",
                path.display()
            ));
        }
        Ok(())
    }

    fn revoke(&self, connection: &rusqlite::Connection, now: i64) -> crate::error::Result<RevokeReport> {
        match (&self.name, &self.certificate) {
            (Some(name), _) => {
                let certificates = identities::revoke(connection, name, now)?;
                Ok(RevokeReport { identity: name.clone(), machine: None, certificates })
            }
            (None, digits) => {
                let digits = digits.as_deref().unwrap_or_default();
                let lost = certificates::revoke_machine(connection, digits, now)?;
                Ok(RevokeReport {
                    identity: lost.identity,
                    machine: Some(lost.machine),
                    certificates: lost.certificates,
                })
            }
        }
    }
}

/// Certificates, as far as a line has room for them.
fn prints(certificates: &[Digest]) -> String {
    let names: Vec<_> = certificates.iter().take(8).map(super::identities::short).collect();
    format!("certificates {}", names.join(", "))
}
