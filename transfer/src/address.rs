//! Where a server is dialled.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use sealift_protocol::DEFAULT_PORT;

/// A host and a port: `files.example.org:8888`, `192.0.2.7:8888`, `[2001:db8::7]:8888`.
///
/// Reading one, the port may be missing ([`DEFAULT_PORT`]), and so may the brackets then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    host: String,
    port: u16,
}

impl Address {
    /// The socket addresses behind the name, in the system's order of preference; never none.
    ///
    /// # Errors
    /// Fails as the system's resolver does.
    pub async fn resolve(&self) -> io::Result<Vec<SocketAddr>> {
        // Without the resolver, and the thread that it runs on, where there is nothing to look up.
        if let Ok(address) = self.host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, self.port)]);
        }
        let found: Vec<_> = tokio::net::lookup_host((self.host.as_str(), self.port)).await?.collect();
        if found.is_empty() { Err(io::ErrorKind::NotFound.into()) } else { Ok(found) }
    }
}

/// Why a text is not an [`Address`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a server's address: write HOST:PORT, such as files.example.org:8888 or [2001:db8::7]:8888"
)]
pub struct AddressError(String);

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        parse(text).ok_or_else(|| AddressError(text.chars().take(255).collect()))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

fn parse(text: &str) -> Option<Address> {
    let (host, port) = if is_ipv6(text) {
        (text, None)
    } else if let Some(rest) = text.strip_prefix('[') {
        let (host, after) = rest.split_once(']')?;
        is_ipv6(host).then_some(())?;
        (host, if after.is_empty() { None } else { Some(after.strip_prefix(':')?) })
    } else {
        match text.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            // A port without a host, which a resolver would take for the number of an address.
            None if text.bytes().all(|c| c.is_ascii_digit()) => return None,
            None => (text, None),
        }
    };
    let port = match port {
        // u16 alone would accept a plus sign.
        Some(port) if port.bytes().all(|c| c.is_ascii_digit()) => {
            port.parse().ok().filter(|port| *port != 0)?
        }
        Some(_) => return None,
        None => DEFAULT_PORT,
    };
    let is_name = |c: char| c.is_alphanumeric() || "-._".contains(c);
    let is_host = is_ipv6(host) || (!host.is_empty() && host.chars().all(is_name));
    is_host.then(|| Address { host: host.to_owned(), port })
}

/// Whether a text is an IPv6 address, which may have a zone, as one of a single link needs: `fe80::1%eth0`.
fn is_ipv6(text: &str) -> bool {
    let (address, zone) = text.split_once('%').unzip();
    let is_zone =
        |zone: &str| !zone.is_empty() && zone.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c));
    address.unwrap_or(text).parse::<Ipv6Addr>().is_ok() && zone.is_none_or(is_zone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_and_the_brackets_may_be_missing() {
        for (text, printed) in [
            ("files.example.org", "files.example.org:8888"),
            ("files.example.org:1", "files.example.org:1"),
            ("192.0.2.7", "192.0.2.7:8888"),
            ("::1", "[::1]:8888"),
            ("[::1]", "[::1]:8888"),
            ("[2001:db8::7]:65535", "[2001:db8::7]:65535"),
            ("fe80::1%eth0", "[fe80::1%eth0]:8888"),
            ("[fe80::1%2]:7", "[fe80::1%2]:7"),
            ("bücher.example", "bücher.example:8888"),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.to_string(), printed);
            assert_eq!(printed.parse::<Address>().unwrap(), address);
        }
    }

    #[test]
    fn refuses_what_cannot_be_dialled() {
        for bad in [
            "",
            ":8888",
            "host:",
            "host:0",
            "host:+1",
            "host:65536",
            "https://host",
            "a b",
            "[::1",
            "[x]:1",
            "[::1]1",
            "fe80::1%",
            "[fe80::1%a b]:1",
            "%eth0",
        ] {
            assert!(bad.parse::<Address>().is_err(), "{bad:?}");
        }
    }

    #[tokio::test]
    async fn numbers_need_no_resolver() {
        let address: Address = "[::1]:7".parse().unwrap();
        assert_eq!(address.resolve().await.unwrap(), ["[::1]:7".parse().unwrap()]);
    }

    /// The loopback has a zone wherever there is IPv6.
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_zone_names_an_interface() {
        let address: Address = "[fe80::1%lo]:7".parse().unwrap();
        let Ok(found) = address.resolve().await else { return };
        let SocketAddr::V6(found) = found[0] else { panic!("{found:?}") };
        assert_eq!((found.ip().to_string().as_str(), found.port()), ("fe80::1", 7));
        assert_ne!(found.scope_id(), 0);
    }
}
