//! Where a server may be reached.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Deref;

use rustls_pki_types::DnsName;

/// 1 to 16 addresses, each `host:port` or `[IPv6 address]:port` of at most 255 bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses(Vec<String>);

impl Addresses {
    /// The most addresses in a token.
    pub const MAX: usize = 16;
}

/// Why addresses do not go into a token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressesError {
    /// One that cannot be dialled.
    #[error("{0:?} is not an address: write HOST:PORT, or [ADDRESS]:PORT for IPv6")]
    Invalid(String),
    /// None, or too many.
    #[error("a token carries 1 to {max} addresses, not {0}", max = Addresses::MAX)]
    Count(usize),
}

impl TryFrom<Vec<String>> for Addresses {
    type Error = AddressesError;

    fn try_from(addresses: Vec<String>) -> Result<Self, AddressesError> {
        if !(1..=Self::MAX).contains(&addresses.len()) {
            return Err(AddressesError::Count(addresses.len()));
        }
        match addresses.iter().find(|address| !is_address(address)) {
            Some(bad) => Err(AddressesError::Invalid(bad.chars().take(255).collect())),
            None => Ok(Self(addresses)),
        }
    }
}

impl Deref for Addresses {
    type Target = [String];

    fn deref(&self) -> &[String] {
        &self.0
    }
}

impl<'a> IntoIterator for &'a Addresses {
    type Item = &'a String;
    type IntoIter = std::slice::Iter<'a, String>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

fn is_address(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    // u16 alone would accept a plus sign.
    let is_port = port.bytes().all(|c| c.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port != 0);
    let is_host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(host) => host.parse::<Ipv6Addr>().is_ok(),
        None => host.parse::<Ipv4Addr>().is_ok() || DnsName::try_from(host).is_ok(),
    };
    is_port && is_host && text.len() <= 255
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_checked() {
        let longest =
            format!("{}.{}.{}.{}:88", "a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(60));
        assert_eq!(longest.len(), 255);
        for good in ["nas:1", "192.0.2.1:65535", "[::1]:8888", "Files.Example.org:8888", &longest] {
            assert!(addresses(&[good]).is_ok(), "{good}");
        }
        let too_long = longest.replace(":88", ":888");
        let bad = [
            "",
            "nas",
            "nas:",
            ":1",
            "nas:0",
            "nas:65536",
            "nas:+1",
            "::1:8888",
            "[nas]:1",
            "[::1]",
            "a b:1",
        ];
        for bad in bad.into_iter().chain([too_long.as_str(), "300.1.1.1:1", "nas:1:2", "[::1:1"]) {
            assert_eq!(
                addresses(&[bad]),
                Err(AddressesError::Invalid(bad.chars().take(255).collect())),
                "{bad}"
            );
        }
        assert!(addresses(&["nas:1"; 16]).is_ok());
        assert_eq!(addresses(&["nas:1"; 17]), Err(AddressesError::Count(17)));
        assert_eq!(addresses(&[]), Err(AddressesError::Count(0)));
    }

    fn addresses(texts: &[&str]) -> Result<Addresses, AddressesError> {
        texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>().try_into()
    }
}
