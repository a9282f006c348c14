//! The authority at work: it issues certificates for those who join, and renews the server's own.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use rustls::ServerConfig;
use sealift_certs::files::write_private;
use sealift_certs::tls::{self, CurrentCertificate, ServerIdentity};
use sealift_certs::{Authority, CertError, Issued, Validity};
use sealift_types::{Digest, Name};
use tracing::{error, info};

use crate::data::revocations::{self, Revocation};
use crate::data::{DataDirectory, DataError, inherit_owner};

/// How often the server looks whether its certificate has little of its life left.
const INTERVAL: Duration = Duration::from_secs(3600);

/// How long the server waits after a renewal that failed. Every handshake may ask for one.
const RETRY: Duration = Duration::from_secs(10);

/// The authority and the server's current certificate.
#[derive(Debug)]
pub struct Pki {
    data: DataDirectory,
    authority: Authority,
    renewal: Mutex<ServerRenewal>,
    current: Arc<CurrentCertificate>,
    transfer: Arc<ServerConfig>,
    join: Arc<ServerConfig>,
    refusing: Arc<ServerConfig>,
}

/// What the next renewal of the server's certificate depends on.
#[derive(Debug)]
struct ServerRenewal {
    /// The names and addresses that the certificate is for.
    hosts: Vec<String>,
    /// How long it is valid.
    lifetime: Duration,
    failed: Option<Instant>,
}

impl Pki {
    /// Reads the server's certificate, which is made anew when it does not name all of `hosts`, is for another lifetime, or
    /// has little of its life left.
    pub fn open(
        data: &DataDirectory,
        authority: Authority,
        hosts: Vec<String>,
        lifetime: Duration,
        now: SystemTime,
    ) -> Result<Self, DataError> {
        let failed = |source| DataError::Authority { path: data.pki(""), source };
        let identity = match reusable(data, &authority, &hosts, lifetime, now) {
            Some(identity) => identity,
            None => renew(data, &authority, &hosts, lifetime, now)?,
        };
        let current = Arc::new(CurrentCertificate::new(identity));
        let transfer = tls::server_config(authority.certificate_der(), current.clone()).map_err(failed)?;
        let join = tls::join_server_config(current.clone()).map_err(failed)?;
        let refusing = tls::refusing_server_config().map_err(failed)?;
        let renewal = Mutex::new(ServerRenewal { hosts, lifetime, failed: None });
        Ok(Self { data: data.clone(), authority, renewal, current, transfer, join, refusing })
    }

    /// The authority.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// How long the server's own certificate is good.
    pub fn validity(&self) -> Validity {
        self.current.current().validity()
    }

    /// For connections that transfer.
    pub fn transfer_config(&self) -> Arc<ServerConfig> {
        self.transfer.clone()
    }

    /// For connections that join.
    pub fn join_config(&self) -> Arc<ServerConfig> {
        self.join.clone()
    }

    /// For connections that may not even begin.
    pub fn refusing_config(&self) -> Arc<ServerConfig> {
        self.refusing.clone()
    }

    /// What was revoked, as the file beside the authority's key has it.
    pub fn revocations(&self) -> Result<Vec<Revocation>, DataError> {
        revocations::read(&self.data)
    }

    /// Issues a client's first certificate.
    pub fn issue_user(
        &self,
        csr: &str,
        name: &Name,
        lifetime: Duration,
        now: SystemTime,
    ) -> Result<Issued, CertError> {
        self.authority.issue_user(csr, name, Validity::starting(now, lifetime))
    }

    /// Issues a client's next certificate. The origin is its first one's fingerprint.
    pub fn renew_user(
        &self,
        csr: &str,
        name: &Name,
        origin: &Digest,
        lifetime: Duration,
        now: SystemTime,
    ) -> Result<Issued, CertError> {
        self.authority.renew_user(csr, name, origin, Validity::starting(now, lifetime))
    }

    /// Returns true if clients accept the server's certificate at `now`. Cheap: every handshake asks.
    pub fn is_current(&self, now: SystemTime) -> bool {
        self.validity().contains(now)
    }

    /// Renews the server's certificate in time before it ends, for ever.
    pub async fn keep_current(&self) {
        loop {
            tokio::time::sleep(INTERVAL).await;
            self.renew_if_due(SystemTime::now());
        }
    }

    /// Renews the server's certificate if it is not valid at `now`, or has little of its life left. Writes files.
    ///
    /// A clock that is set changes both ends: a certificate may have expired, or not be valid yet.
    pub fn renew_if_due(&self, now: SystemTime) {
        let mut renewal = self.renewal();
        let due = !self.is_current(now) || self.validity().should_renew(now);
        if due && renewal.failed.is_none_or(|failed| failed.elapsed() >= RETRY) {
            self.renew(&mut renewal, now);
        }
    }

    /// Renews the server's certificate if it is to name other hosts, or to be valid for another time.
    pub fn configure(&self, hosts: Vec<String>, lifetime: Duration) {
        let mut renewal = self.renewal();
        if renewal.hosts != hosts || renewal.lifetime != lifetime {
            (renewal.hosts, renewal.lifetime) = (hosts, lifetime);
            self.renew(&mut renewal, SystemTime::now());
        }
    }

    fn renewal(&self) -> MutexGuard<'_, ServerRenewal> {
        self.renewal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn renew(&self, renewal: &mut ServerRenewal, now: SystemTime) {
        match renew(&self.data, &self.authority, &renewal.hosts, renewal.lifetime, now) {
            Ok(identity) => {
                info!(fingerprint = %identity.fingerprint(), "renewed the server's certificate");
                self.current.replace(identity);
                renewal.failed = None;
            }
            Err(error) => {
                error!(%error, "the server's certificate could not be renewed");
                renewal.failed = Some(Instant::now());
            }
        }
    }
}

/// Reads the authority.
pub fn authority(data: &DataDirectory) -> Result<Authority, DataError> {
    let read = |name| {
        let path = data.pki(name);
        fs::read_to_string(&path).map_err(|source| DataError::File { path, source })
    };
    let failed = |source| DataError::Authority { path: data.pki(""), source };
    Authority::from_pem(&read("ca.pem")?, &read("ca.key")?).map_err(failed)
}

/// The certificate of an earlier run, if it still serves.
fn reusable(
    data: &DataDirectory,
    authority: &Authority,
    hosts: &[String],
    lifetime: Duration,
    now: SystemTime,
) -> Option<ServerIdentity> {
    let read = |name| fs::read_to_string(data.pki(name)).ok();
    if read("server.hosts")?.lines().ne(hosts.iter().map(String::as_str)) {
        return None;
    }
    let identity =
        ServerIdentity::from_pem(&read("server.pem")?, &read("server.key")?, authority.certificate_der())
            .ok()?;
    let validity = identity.validity();
    // The authority's end cuts a certificate short.
    let is_whole = validity.not_after == authority.validity().not_after
        || validity.remaining(validity.issued()) == lifetime;
    (is_whole && validity.contains(now) && !validity.should_renew(now)).then_some(identity)
}

fn renew(
    data: &DataDirectory,
    authority: &Authority,
    hosts: &[String],
    lifetime: Duration,
    now: SystemTime,
) -> Result<ServerIdentity, DataError> {
    let failed = |source| DataError::Authority { path: data.pki(""), source };
    authority.check_time(now).map_err(failed)?;
    let (issued, key) = authority.issue_server(hosts, Validity::starting(now, lifetime)).map_err(failed)?;
    let identity =
        ServerIdentity::from_pem(&issued.pem, key.as_str(), authority.certificate_der()).map_err(failed)?;
    let files =
        [("server.key", key.as_str()), ("server.pem", &issued.pem), ("server.hosts", &hosts.join("\n"))];
    for (name, contents) in files {
        let path = data.pki(name);
        write_private(&path, contents.as_bytes())
            .and_then(|()| inherit_owner(&path))
            .map_err(|source| DataError::File { path, source })?;
    }
    Ok(identity)
}

/// The names and addresses under which this machine is reached through `listen`, the likeliest for others first, this
/// machine's own last.
pub fn hosts(listen: SocketAddr) -> Vec<String> {
    let mut hosts = Vec::new();
    let ip = listen.ip().to_canonical();
    if ip.is_unspecified() {
        let mut addresses = outward_addresses(ip);
        if addresses.is_empty() {
            addresses = interface_addresses(ip);
        }
        hosts.extend(addresses.iter().map(ToString::to_string));
        hosts.extend(host_name());
    } else {
        hosts.push(ip.to_string());
    }
    for own in ["localhost", "127.0.0.1", "::1"] {
        if !hosts.iter().any(|host| host == own) {
            hosts.push(own.to_owned());
        }
    }
    hosts
}

/// The addresses of this machine's interfaces, for one that no route leads out of.
#[cfg(target_os = "linux")]
fn interface_addresses(listen: IpAddr) -> Vec<IpAddr> {
    let read = |name: &str| fs::read_to_string(format!("/proc/self/net/{name}")).unwrap_or_default();
    let mut addresses = ipv4_of_routes(&read("fib_trie"));
    if listen.is_ipv6() {
        addresses.extend(ipv6_of_interfaces(&read("if_inet6")));
    }
    addresses
}

#[cfg(not(target_os = "linux"))]
fn interface_addresses(_: IpAddr) -> Vec<IpAddr> {
    Vec::new()
}

/// The machine's own addresses in the kernel's tree of routes: a leaf, and below it `/32 host LOCAL`.
#[cfg(any(target_os = "linux", test))]
fn ipv4_of_routes(trie: &str) -> Vec<IpAddr> {
    let (mut addresses, mut leaf): (Vec<IpAddr>, Option<Ipv4Addr>) = (Vec::new(), None);
    for line in trie.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            leaf = address.parse().ok();
        } else if line == "/32 host LOCAL"
            && let Some(address) = leaf.filter(|address| !address.is_loopback())
            && !addresses.contains(&address.into())
        {
            addresses.push(address.into());
        }
    }
    addresses
}

/// The addresses of interfaces that are good beyond their own link (scope 0).
#[cfg(any(target_os = "linux", test))]
fn ipv6_of_interfaces(table: &str) -> Vec<IpAddr> {
    let address = |line: &str| {
        let columns: Vec<_> = line.split_whitespace().collect();
        let [digits, _, _, "00", ..] = columns[..] else { return None };
        u128::from_str_radix(digits, 16).ok().map(|bits| Ipv6Addr::from_bits(bits).into())
    };
    table.lines().filter_map(address).collect()
}

/// The addresses from which this machine would reach others. No packet is sent: connecting a UDP socket only looks
/// into the routing table. The destinations are reserved for documentation (RFC 5737, RFC 3849).
fn outward_addresses(listen: IpAddr) -> Vec<IpAddr> {
    let mut addresses = Vec::new();
    let probes: [(IpAddr, IpAddr); 2] = [
        (Ipv4Addr::UNSPECIFIED.into(), Ipv4Addr::new(192, 0, 2, 1).into()),
        (Ipv6Addr::UNSPECIFIED.into(), Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into()),
    ];
    for (local, remote) in probes {
        if listen.is_ipv4() && local.is_ipv6() {
            continue;
        }
        let found = UdpSocket::bind((local, 0)).and_then(|socket| {
            socket.connect((remote, 9))?;
            socket.local_addr()
        });
        addresses.extend(
            found.ok().map(|address| address.ip()).filter(|ip| !ip.is_unspecified() && !ip.is_loopback()),
        );
    }
    addresses
}

/// The machine's name, where it is one that a certificate can hold.
fn host_name() -> Option<String> {
    #[cfg(unix)]
    let name = rustix::system::uname().nodename().to_str().ok()?.to_ascii_lowercase();
    #[cfg(not(unix))]
    let name = std::env::var("COMPUTERNAME").ok()?.to_ascii_lowercase();
    let label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    (name.len() <= 253 && name.split('.').all(label)).then_some(name)
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    fn begun(now: SystemTime) -> (tempfile::TempDir, DataDirectory) {
        let dir = tempfile::tempdir().unwrap();
        let (data, _) = DataDirectory::open_or_initialise(&dir.path().join("data"), now).unwrap();
        (dir, data)
    }

    fn open(data: &DataDirectory, now: SystemTime) -> Result<Pki, DataError> {
        Pki::open(data, authority(data).unwrap(), vec!["localhost".into()], 90 * DAY, now)
    }

    #[test]
    fn a_clock_that_is_set_either_way_costs_a_certificate_and_nothing_else() {
        let now = SystemTime::now();
        let (_dir, data) = begun(now);
        let pki = open(&data, now).unwrap();
        // Forward beyond the end, and back before the beginning of what was issued meanwhile.
        for moment in [now + 100 * DAY, now + DAY, now + 3000 * DAY, now] {
            assert!(!pki.is_current(moment));
            pki.renew_if_due(moment);
            assert!(pki.is_current(moment));
            let print = pki.current.current().fingerprint();
            pki.renew_if_due(moment);
            assert_eq!(pki.current.current().fingerprint(), print, "one is enough");
        }
        // The last third of a life, in which it is still current.
        assert!(pki.is_current(now + 80 * DAY));
        pki.renew_if_due(now + 80 * DAY);
        assert!(pki.is_current(now + 100 * DAY));
    }

    #[test]
    fn another_lifetime_makes_another_certificate() {
        let now = SystemTime::now();
        let (_dir, data) = begun(now);
        let open = |lifetime| {
            Pki::open(&data, authority(&data).unwrap(), vec!["localhost".into()], lifetime, now).unwrap()
        };
        let pki = open(90 * DAY);
        let first = pki.current.current().fingerprint();
        assert_eq!(open(90 * DAY).current.current().fingerprint(), first, "it serves again");
        pki.configure(vec!["localhost".into()], 90 * DAY);
        assert_eq!(pki.current.current().fingerprint(), first, "nothing has changed");
        pki.configure(vec!["localhost".into()], 2 * DAY);
        assert_eq!(pki.validity().remaining(pki.validity().issued()), 2 * DAY);
        let restarted = open(3 * DAY);
        assert_eq!(restarted.validity().remaining(restarted.validity().issued()), 3 * DAY);
        // The authority's ten years cut it short, which is no reason for another one at each start.
        let last = now + 3590 * DAY;
        let open_late = || {
            Pki::open(&data, authority(&data).unwrap(), vec!["localhost".into()], 365 * DAY, last).unwrap()
        };
        let late = open_late().current.current().fingerprint();
        assert_eq!(open_late().current.current().fingerprint(), late);
    }

    #[test]
    fn an_authority_that_is_not_valid_is_named_and_what_is_there_stays() {
        let now = SystemTime::now();
        let (_dir, data) = begun(now);
        let pki = open(&data, now).unwrap();
        let print = pki.current.current().fingerprint();
        for (moment, words) in
            [(UNIX_EPOCH, "(CA) is valid from"), (now + 4000 * DAY, "(CA) was valid until")]
        {
            pki.renew_if_due(moment);
            assert_eq!(pki.current.current().fingerprint(), print);
            let refused = open(&data, moment).unwrap_err().to_string();
            assert!(refused.contains(words) && refused.contains("clock says"), "{refused}");
        }
        assert!(open(&data, UNIX_EPOCH).unwrap_err().to_string().contains("1970-01-01"));
        open(&data, now).unwrap();
    }

    #[test]
    fn addresses_of_a_machine_without_a_route() {
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     +-- 10.1.0.0/16 2 0 2\n        |-- 10.1.0.0\n           /16 link UNICAST\n        \
                    |-- 10.1.0.7\n           /32 host LOCAL\n        |-- 10.1.255.255\n           /32 link BROADCAST\n     \
                    +-- 127.0.0.0/8 2 0 2\n        |-- 127.0.0.1\n           /32 host LOCAL\nLocal:\n        |-- 10.1.0.7\n           \
                    /32 host LOCAL\n";
        assert_eq!(ipv4_of_routes(trie), ["10.1.0.7".parse::<IpAddr>().unwrap()]);
        let table = "00000000000000000000000000000001 01 80 10 80       lo\n\
                     fe800000000000000000000000000001 02 40 20 80     eth0\n\
                     20010db8000000000000000000000007 02 40 00 80     eth0\n";
        assert_eq!(ipv6_of_interfaces(table), ["2001:db8::7".parse::<IpAddr>().unwrap()]);
        assert_eq!((ipv4_of_routes("rubbish").len(), ipv6_of_interfaces("rubbish\n\n").len()), (0, 0));
    }
}
