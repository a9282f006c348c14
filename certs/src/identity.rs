//! Identities: who holds a certificate.

use std::fmt;
use std::str::FromStr;

use rustls_pki_types::CertificateDer;
use sealift_types::{Digest, Name};
use x509_parser::oid_registry::OID_X509_SERIALNUMBER;

use crate::certificate::{parse_certificate, uri_of};
use crate::{IdentityError, TrustDomain};

/// What the holder of a certificate is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// A client, under the name that its space carries too.
    User(Name),
    /// The server, under the authority's trust domain.
    Server,
}

/// Who holds a certificate.
///
/// As text it is a SPIFFE ID (SPIFFE-ID, section 2): `spiffe://<trust domain>/user/<name>` or
/// `spiffe://<trust domain>/server`, in exactly this spelling.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    /// The authority that vouches for the holder.
    pub trust_domain: TrustDomain,
    /// What the holder is.
    pub role: Role,
}

impl Identity {
    /// The identity that a certificate names.
    ///
    /// Exactly one URI among the subject alternative names counts, as in an X.509-SVID (X509-SVID, section 2); the
    /// common name never does. This says who the certificate is *about*; that it is to be believed is what the TLS
    /// handshake establishes.
    ///
    /// # Errors
    /// Fails when the certificate is unreadable, has no URI, several, or one that is no identity.
    pub fn of_certificate(der: &CertificateDer<'_>) -> Result<Self, IdentityError> {
        uri_of(der)?.parse()
    }

    /// The name, if the holder is a user.
    pub fn user(&self) -> Option<&Name> {
        match &self.role {
            Role::User(name) => Some(name),
            Role::Server => None,
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.role {
            Role::User(name) => write!(f, "spiffe://{}/user/{name}", self.trust_domain),
            Role::Server => write!(f, "spiffe://{}/server", self.trust_domain),
        }
    }
}

impl FromStr for Identity {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, IdentityError> {
        parse(text).ok_or_else(|| IdentityError::Malformed(text.to_owned()))
    }
}

/// The name of a certificate in the server's catalog: the SHA-256 of its DER encoding, what
/// `openssl x509 -fingerprint -sha256` prints with colons.
pub fn fingerprint(der: &CertificateDer<'_>) -> Digest {
    Digest::of(der)
}

/// The origin of a certificate, if it names one: the fingerprint of the first certificate that its machine got, by a
/// token, which this one renews, directly or over others.
///
/// A first certificate names none: it is its own origin. Like the identity, this says only what the certificate is
/// *about*.
///
/// # Errors
/// Fails when the certificate is unreadable.
pub fn origin(der: &CertificateDer<'_>) -> Result<Option<Digest>, IdentityError> {
    let certificate = parse_certificate(der)?;
    let mut named = certificate.subject().iter_by_oid(&OID_X509_SERIALNUMBER);
    Ok(named.find_map(|origin| origin.as_str().ok()?.parse().ok()))
}

fn parse(text: &str) -> Option<Identity> {
    let (trust_domain, path) = text.strip_prefix("spiffe://")?.split_once('/')?;
    let role = match path.split_once('/') {
        Some(("user", name)) => Role::User(name.parse().ok()?),
        None if path == "server" => Role::Server,
        _ => return None,
    };
    Some(Identity { trust_domain: trust_domain.parse().ok()?, role })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trips() {
        for text in ["spiffe://files.example.org/user/alice", "spiffe://x/user/a.b_c-1", "spiffe://x/server"]
        {
            let identity: Identity = text.parse().unwrap();
            assert_eq!(identity.to_string(), text);
            assert_eq!(identity.user().is_some(), text.contains("/user/"));
        }
    }

    #[test]
    fn nothing_but_the_exact_spelling_is_an_identity() {
        let bad = [
            "",
            "alice",
            "spiffe://x",
            "spiffe://x/",
            "spiffe://x/user",
            "spiffe://x/user/",
            "spiffe://x/user/Alice",
            "spiffe://x/user/a/b",
            "spiffe://x/user/../server",
            "spiffe://x/server/",
            "spiffe://x/server?a",
            "spiffe://x//server",
            "spiffe://X/server",
            "spiffe:///server",
            "spiffe://x:1/server",
            "spiffe://u@x/server",
            "SPIFFE://x/server",
            " spiffe://x/server",
            "https://x/server",
        ];
        for text in bad {
            assert_eq!(text.parse::<Identity>(), Err(IdentityError::Malformed(text.to_owned())));
        }
    }

    #[test]
    fn rubbish_is_no_certificate() {
        for bytes in [&[][..], &[0x30], &[0x30, 0x82, 0xff, 0xff], b"-----BEGIN CERTIFICATE-----"] {
            let der = CertificateDer::from(bytes);
            assert_eq!(Identity::of_certificate(&der), Err(IdentityError::Unreadable));
        }
    }
}
