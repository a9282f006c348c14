//! `sealiftd invite`

use std::fs;
use std::io::Write;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::time::{Duration, SystemTime};

use anyhow::{Context, bail};
use clap::Args;
use rusqlite::Connection;
use sealift_certs::pem::certificate_from_pem;
use sealift_certs::{JoinToken, Secret, TrustDomain, fingerprint};
use sealift_types::Name;

use super::common::{CommonArgs, transact};
use crate::config::ServerConfig;
use crate::host_port::split_host;
use crate::store::{facts, identities};
use crate::{audit, clock, pki};

/// Invites a machine: prints a token that `sealift join TOKEN` takes there, once, until it expires.
///
/// Several machines of one person get one token each under the same name. An identity that was revoked comes back
/// when it is invited again.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  sealiftd invite alice --ttl 15m --address files.example.org")]
pub(super) struct InviteArgs {
    /// Whom: the name of the identity and of its space.
    name: Name,
    /// How long the token can be used: a number with s, m, h or d [default: 1h, or `invitations.lifetime`].
    #[arg(long, value_name = "TIME", value_parser = duration)]
    ttl: Option<Duration>,
    /// A name or address under which that machine reaches this server [default: as the server found out]. Repeatable.
    #[arg(long, value_name = "HOST[:PORT]", value_delimiter = ',', value_parser = crate::config::value::address)]
    address: Vec<String>,
    /// Print a JSON object with the token, and what names the invitation.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    common: CommonArgs,
}

impl InviteArgs {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let (config, data, mut connection) = self.common.open_to_change()?;
        let listening = facts::read(&connection, facts::LISTENING)?;
        let listening = listening.and_then(|address| address.parse().ok()).unwrap_or(config.listen);
        let addresses = self.addresses(&config, &connection, listening)?;
        let path = data.pki("ca.pem");
        let pem = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let authority = certificate_from_pem(&pem).with_context(|| path.display().to_string())?;
        let secret = Secret::random();
        let digest = secret.digest();
        let token = JoinToken {
            fingerprint: fingerprint(&authority),
            secret,
            trust_domain: TrustDomain::of_authority(&authority)?,
            addresses: addresses.try_into()?,
        };
        let now = SystemTime::now();
        let lifetime = self.ttl.unwrap_or(config.invitations.lifetime());
        let (moment, expires) = (clock::nanoseconds(now), clock::nanoseconds(now + lifetime));
        transact(&mut connection, |connection| {
            identities::invite(connection, &self.name, &digest, moment, expires)?;
            audit::leave(connection, "invite", self.name.as_str(), moment)
        })?;
        let mut out = std::io::stdout();
        if self.json {
            let object = serde_json::json!({
                "identity": self.name,
                "token": token.to_string(),
                "invitation": digest,
                "expires": expires,
                "addresses": token.addresses.to_vec(),
            });
            writeln!(out, "{object}")?;
        } else {
            writeln!(out, "{token}")?;
        }
        Ok(())
    }
}

impl InviteArgs {
    /// Where the machine that joins will look for the server: what this command was told, or the environment, or the running
    /// server, or the configuration, or else what this machine finds out about itself.
    fn addresses(
        &self,
        config: &ServerConfig,
        connection: &Connection,
        listening: SocketAddr,
    ) -> anyhow::Result<Vec<String>> {
        let of_server = facts::read(connection, facts::ADDRESSES)?.unwrap_or_default();
        let of_server: Vec<_> =
            of_server.split(',').filter(|address| !address.is_empty()).map(str::to_owned).collect();
        let given = match (self.address.as_slice(), of_server.as_slice()) {
            ([], []) => &*config.addresses,
            ([], _) if self.common.is_in_environment("addresses") => &*config.addresses,
            ([], of_server) => of_server,
            (given, _) => given,
        };
        let addresses = addresses(given, listening)?;
        if given.is_empty() {
            let found: Vec<_> = addresses.iter().map(|address| split_host(address).0).collect();
            if let Some(doubt) = doubt(&found, &self.name, resolves) {
                super::common::advise(&doubt);
            }
        }
        Ok(addresses)
    }
}

/// Whether this machine itself can look up a name.
fn resolves(host: &str) -> bool {
    (host, 0).to_socket_addrs().is_ok_and(|mut addresses| addresses.next().is_some())
}

/// What is to be said of a token that names only what was found, if nobody may get anywhere with it.
fn doubt(found: &[&str], name: &Name, resolves: impl Fn(&str) -> bool) -> Option<String> {
    let can_be_dialled = |host: &&str| host.parse::<IpAddr>().is_ok() || resolves(host);
    if found.iter().any(can_be_dialled) {
        return None;
    }
    Some(format!(
        "warning: the token names only {}, which is all that this machine found out about itself and which it cannot look up; \
         unless other machines can, name an address: `sealiftd invite {name} --address HOST`, or `addresses` in the \
         configuration",
        found.join(", ")
    ))
}

/// The addresses with their ports.
fn addresses(given: &[String], listening: SocketAddr) -> anyhow::Result<Vec<String>> {
    let port = listening.port();
    if port == 0 {
        bail!(
            "the server chooses its port and has not run yet: start it first, or name the port with --address"
        );
    }
    let hosts = if given.is_empty() {
        let mut hosts = pki::hosts(listening);
        // The last three mean this machine itself. They serve when there is nothing else to name.
        let others = hosts.len().saturating_sub(3);
        if others > 0 || listening.ip().is_loopback() {
            hosts.truncate(others.max(1));
        }
        hosts
    } else {
        given.to_vec()
    };
    Ok(hosts
        .iter()
        .map(|address| {
            let (host, own) = split_host(address);
            let port = own.unwrap_or(port);
            if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
        })
        .collect())
}

/// Parses `90s`, `15m`, `1h` or `7d`, from a second to a year.
fn duration(text: &str) -> Result<Duration, String> {
    const SHAPE: &str = "write a number with s, m, h or d, as in 15m, up to 365d";
    let unit = match text.chars().last() {
        Some('s') => 1,
        Some('m') => 60,
        Some('h') => 3600,
        Some('d') => 86400,
        _ => return Err(SHAPE.into()),
    };
    let seconds = text[..text.len() - 1].parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
    match seconds {
        Some(seconds) if (1..=365 * 86400).contains(&seconds) => Ok(Duration::from_secs(seconds)),
        _ => Err(SHAPE.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_to_live() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("7d"), Ok(Duration::from_secs(7 * 86400)));
        for bad in ["", "1", "h", "-1h", "0m", "366d", "1.5h", "99999999999999999999d", "1ü"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn tokens_name_where_others_reach_the_server() {
        let local = addresses(&[], "127.0.0.1:4000".parse().unwrap()).unwrap();
        assert_eq!(local, ["127.0.0.1:4000"]);
        let given = ["files.example.org".to_owned(), "::1".to_owned(), "h:9".to_owned()];
        let named = addresses(&given, "0.0.0.0:8888".parse().unwrap()).unwrap();
        assert_eq!(named, ["files.example.org:8888", "[::1]:8888", "h:9"]);
        assert!(!addresses(&[], "0.0.0.0:8888".parse().unwrap()).unwrap().is_empty());
        assert!(addresses(&[], "0.0.0.0:0".parse().unwrap()).is_err());
    }

    #[test]
    fn a_token_that_may_lead_nowhere_comes_with_a_warning() {
        let name: Name = "alice".parse().unwrap();
        let doubt = |found: &[&str], known: &'static str| doubt(found, &name, |host| host == known);
        assert_eq!(doubt(&["192.0.2.7", "vm"], ""), None);
        assert_eq!(doubt(&["2001:db8::7"], ""), None);
        assert_eq!(doubt(&["vm"], "vm"), None);
        let said = doubt(&["vm"], "").unwrap();
        assert!(said.contains("names only vm,") && said.contains("invite alice --address HOST"), "{said}");
    }
}
