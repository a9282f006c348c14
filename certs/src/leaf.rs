//! What a leaf certificate says.
//!
//! A leaf is a user's or a server's from its construction on, and there is no way from here to a certificate that
//! signs others: that builder is in [`crate::authority`].

use std::net::IpAddr;

use rcgen::{
    CertificateParams, DistinguishedName, DnType, DnValue, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyUsagePurpose, PublicKeyData, SanType, SerialNumber, SigningKey,
};
use rustls_pki_types::{CertificateDer, DnsName};
use sealift_types::{Digest, Name};

use crate::date::to_date;
use crate::{CertError, Identity, Role, TrustDomain, Validity};

/// The attribute of the subject that names the origin: the serial number of a device (X.520, section 6.2.9), of up to 64
/// characters.
const ORIGIN: [u64; 4] = [2, 5, 4, 5];

/// A leaf certificate before it is signed.
pub(crate) struct Leaf(CertificateParams);

impl Leaf {
    /// A client's: one URI, for client authentication alone. One that renews another names the origin of both.
    pub(crate) fn user(
        trust_domain: &TrustDomain,
        name: &Name,
        origin: Option<&Digest>,
    ) -> Result<Self, CertError> {
        let identity = Identity { trust_domain: trust_domain.clone(), role: Role::User(name.clone()) };
        let names = vec![uri(&identity.to_string())?];
        let mut leaf = Self::new(name.as_str(), names, ExtendedKeyUsagePurpose::ClientAuth);
        if let Some(origin) = origin {
            let origin = DnValue::PrintableString(origin.to_string().try_into()?);
            leaf.0.distinguished_name.push(DnType::CustomDnType(ORIGIN.to_vec()), origin);
        }
        Ok(leaf)
    }

    /// The server's: its URI, the trust domain as a host name, and the hosts; for server authentication alone.
    pub(crate) fn server(trust_domain: &TrustDomain, hosts: &[String]) -> Result<Self, CertError> {
        let identity = Identity { trust_domain: trust_domain.clone(), role: Role::Server };
        let mut names = vec![uri(&identity.to_string())?, host(trust_domain.as_str())?];
        for text in hosts {
            let name = host(text)?;
            if !names.contains(&name) {
                names.push(name);
            }
        }
        Ok(Self::new("Sealift server", names, ExtendedKeyUsagePurpose::ServerAuth))
    }

    /// Signs the leaf for a public key.
    pub(crate) fn sign(
        mut self,
        key: &impl PublicKeyData,
        validity: Validity,
        issuer: &Issuer<'_, impl SigningKey>,
    ) -> Result<CertificateDer<'static>, CertError> {
        self.0.not_before = to_date(validity.not_before).ok_or(CertError::Validity)?;
        self.0.not_after = to_date(validity.not_after).ok_or(CertError::Validity)?;
        Ok(self.0.signed_by(key, issuer)?.into())
    }

    fn new(common_name: &str, names: Vec<SanType>, usage: ExtendedKeyUsagePurpose) -> Self {
        let mut params = CertificateParams::default();
        params.serial_number = Some(serial_number());
        // For people who read certificates; nothing here ever does.
        params.distinguished_name = common_name_only(common_name);
        params.subject_alt_names = names;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![usage];
        params.use_authority_key_identifier_extension = true;
        Self(params)
    }
}

/// A serial number of 16 random bytes (RFC 5280, section 4.1.2.2: positive, at most 20), where rcgen would hash the
/// public key, so that a renewed certificate would repeat it.
pub(crate) fn serial_number() -> SerialNumber {
    let mut bytes = crate::random::<16>();
    // Positive, and of the same length whatever the generator says.
    bytes[0] = bytes[0] & 0x7f | 0x40;
    SerialNumber::from_slice(&bytes)
}

/// A subject or issuer of just a common name.
pub(crate) fn common_name_only(text: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, text);
    name
}

/// A URI among the subject alternative names.
pub(crate) fn uri(text: &str) -> Result<SanType, CertError> {
    Ok(SanType::URI(text.try_into()?))
}

/// A host among the subject alternative names: an IP address where the text is one, a DNS name otherwise.
fn host(text: &str) -> Result<SanType, CertError> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(SanType::IpAddress(address));
    }
    // DnsName accepts a trailing dot, which no certificate may carry (RFC 5280, section 4.2.1.6).
    if DnsName::try_from(text).is_err() || text.ends_with('.') {
        return Err(CertError::Host { host: text.to_owned() });
    }
    Ok(SanType::DnsName(text.to_ascii_lowercase().try_into()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_addresses_or_names() {
        assert_eq!(host("192.0.2.1").unwrap(), SanType::IpAddress([192, 0, 2, 1].into()));
        assert_eq!(host("::1").unwrap(), SanType::IpAddress(IpAddr::V6(std::net::Ipv6Addr::LOCALHOST)));
        assert_eq!(host("NAS.local").unwrap(), SanType::DnsName("nas.local".try_into().unwrap()));
        for bad in ["", "a b", "*.example.org", "a..b", "example.org.", "[::1]", "nas:8888", "1.2.3.4.5", "ä"]
        {
            let error = host(bad).unwrap_err();
            assert!(error.to_string().contains(&format!("{bad:?}")), "{error}");
        }
    }

    #[test]
    fn a_host_is_named_once() {
        let domain: TrustDomain = "files.example.org".parse().unwrap();
        let hosts = ["files.example.org", "NAS", "nas", "::1", "0:0::1"].map(str::to_owned);
        let leaf = Leaf::server(&domain, &hosts).unwrap();
        assert_eq!(leaf.0.subject_alt_names.len(), 4); // the URI, the trust domain, nas, ::1
    }

    #[test]
    fn serial_numbers_are_positive_and_differ() {
        let (one, other) = (serial_number(), serial_number());
        assert_ne!(one, other);
        assert!((0x40..0x80).contains(&one.as_ref()[0]) && one.len() == 16);
    }
}
