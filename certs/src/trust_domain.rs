//! Trust domains: the name of one server's authority.

use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER;
use rustls_pki_types::{CertificateDer, DnsName};

use crate::IdentityError;
use crate::certificate::uri_of;

/// The name of one authority and of everybody it vouches for.
///
/// 1 to 100 bytes of lower-case letters, digits, `-` and `.`: at once a SPIFFE trust domain (SPIFFE-ID, section 2.1)
/// and a host name (RFC 1123; labels of 1 to 63 bytes, the last not a number), since clients verify it as the
/// server's DNS name whatever address they dial.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrustDomain(String);

impl TrustDomain {
    /// The longest trust domain, in bytes.
    pub const MAX: usize = 100;

    /// A trust domain that no other server has: 12 random hexadecimal digits and `.sealift`.
    pub fn random() -> Self {
        Self(format!("{}.sealift", HEXLOWER.encode(&crate::random::<6>())))
    }

    /// The trust domain that a CA certificate is for: its one URI is `spiffe://<trust domain>`.
    ///
    /// # Errors
    /// Fails when the certificate has no URI, several, or one with a path.
    pub fn of_authority(der: &CertificateDer<'_>) -> Result<Self, IdentityError> {
        let uri = uri_of(der)?;
        let domain = uri.strip_prefix("spiffe://").and_then(|domain| domain.parse().ok());
        domain.ok_or(IdentityError::Malformed(uri))
    }

    /// The trust domain as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The trust domain as the host name that servers' certificates carry.
    pub fn dns_name(&self) -> DnsName<'static> {
        DnsName::try_from(self.0.clone()).expect("a trust domain is parsed as a DNS name")
    }
}

/// Why a text is not a [`TrustDomain`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the trust domain {0:?} is not allowed: use a host name of at most 100 lower-case letters, digits, '-' and '.', \
     such as files.example.org"
)]
pub struct TrustDomainError(String);

impl FromStr for TrustDomain {
    type Err = TrustDomainError;

    fn from_str(text: &str) -> Result<Self, TrustDomainError> {
        let allowed = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || b"-.".contains(&c);
        // DnsName accepts a trailing dot, which no certificate may carry.
        let is_name = DnsName::try_from(text).is_ok() && !text.ends_with('.');
        if is_name && text.len() <= Self::MAX && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(TrustDomainError(text.chars().take(2 * Self::MAX).collect()))
        }
    }
}

impl fmt::Display for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_lower_case_host_names_only() {
        let longest = format!("{}.{}", "a".repeat(63), "b".repeat(36));
        for good in ["sealift", "files.example.org", "0a1b2c3d4e5f.sealift", "1-2.x", &longest] {
            assert_eq!(good.parse::<TrustDomain>().unwrap().as_str(), good);
        }
        let long_label = "a".repeat(64);
        let too_long = format!("{longest}c");
        let bad = [
            "",
            ".",
            "a.",
            ".a",
            "a..b",
            "-a",
            "a-",
            "A",
            "a_b",
            "a/b",
            "a b",
            "ä",
            "127.0.0.1",
            "a.1",
            "a:1",
        ];
        for bad in bad.into_iter().chain([long_label.as_str(), too_long.as_str()]) {
            assert!(bad.parse::<TrustDomain>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn random_ones_are_valid_and_differ() {
        let (one, other) = (TrustDomain::random(), TrustDomain::random());
        assert_ne!(one, other);
        assert_eq!(one.as_str().len(), 12 + ".sealift".len());
        assert_eq!(one.as_str().parse(), Ok(one.clone()));
    }
}
