//! Certificate requests of strangers: of a request only the key counts, whatever else it asks for.

use std::sync::OnceLock;

use arbitrary::{Arbitrary, Unstructured};
use data_encoding::BASE64;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, KeyPair, KeyUsagePurpose, PublicKeyData, SanType, SignatureAlgorithm,
};
use sealift_certs::request::MAX_REQUEST;
use sealift_certs::{Authority, Identity};
use sealift_types::Name;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::memory::within;
use crate::pki::{hour, pki};

#[derive(Debug, Arbitrary)]
enum Input<'a> {
    Text(&'a str),
    /// Base64 is hard to change by chance.
    Der(&'a [u8]),
    Made(Request<'a>),
    /// A good request with some bytes changed.
    Damaged {
        request: Request<'a>,
        changes: [(u16, u8); 3],
    },
}

/// A request that is signed by its own key.
#[derive(Debug, Arbitrary)]
struct Request<'a> {
    key: u8,
    subject: Vec<(Field, &'a str)>,
    names: Vec<(Kind, &'a str)>,
    authority: bool,
    path: Option<u8>,
    usages: u8,
    extensions: Vec<(&'a [u8], bool)>,
}

#[derive(Debug, Arbitrary)]
enum Field {
    CommonName,
    Organization,
    Country,
}

#[derive(Debug, Arbitrary)]
enum Kind {
    Uri,
    Dns,
    Mail,
    Address,
}

/// Takes an input of any kind.
pub fn check(bytes: &[u8]) {
    let Ok(input) = Input::arbitrary_take_rest(Unstructured::new(bytes)) else { return };
    match input {
        Input::Text(text) => {
            let _ = issue(text, None);
        }
        Input::Der(der) => {
            let _ = issue(&pem(der), None);
        }
        Input::Made(request) => {
            let Some((der, key)) = make(&request) else { return };
            let text = pem(&der);
            let issued = issue(&text, Some(key));
            assert!(
                issued || text.len() > MAX_REQUEST || !request.extensions.is_empty(),
                "a good request is refused: {text}"
            );
        }
        Input::Damaged { request, changes } => {
            let Some((der, key)) = make(&request) else { return };
            let mut damaged = der.clone();
            for (at, change) in changes {
                let at = usize::from(at) % damaged.len();
                damaged[at] ^= change;
            }
            // A signature has several spellings; a key that is another one cannot have signed.
            let _ = issue(&pem(&damaged), Some(key));
        }
    }
}

fn pem(der: &[u8]) -> String {
    format!(
        "-----BEGIN CERTIFICATE REQUEST-----\n{}\n-----END CERTIFICATE REQUEST-----\n",
        BASE64.encode(der)
    )
}

/// Keys of each kind that is accepted.
fn keys() -> &'static [KeyPair; 3] {
    static KEYS: OnceLock<[KeyPair; 3]> = OnceLock::new();
    KEYS.get_or_init(|| {
        let make = |kind: &'static SignatureAlgorithm| KeyPair::generate_for(kind).expect("keys can be made");
        [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_ED25519].map(make)
    })
}

fn make(request: &Request<'_>) -> Option<(Vec<u8>, &'static KeyPair)> {
    let key = &keys()[usize::from(request.key) % 3];
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    for (field, text) in &request.subject {
        let field = match field {
            Field::CommonName => DnType::CommonName,
            Field::Organization => DnType::OrganizationName,
            Field::Country => DnType::CountryName,
        };
        params.distinguished_name.push(field, *text);
    }
    for (kind, text) in &request.names {
        params.subject_alt_names.push(match kind {
            Kind::Uri => SanType::URI((*text).try_into().ok()?),
            Kind::Dns => SanType::DnsName((*text).try_into().ok()?),
            Kind::Mail => SanType::Rfc822Name((*text).try_into().ok()?),
            Kind::Address => SanType::IpAddress(text.parse().ok()?),
        });
    }
    if request.authority {
        let constraints = request.path.map_or(BasicConstraints::Unconstrained, BasicConstraints::Constrained);
        params.is_ca = IsCa::Ca(constraints);
    }
    if request.usages & 1 != 0 {
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    }
    if request.usages & 2 != 0 {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::Any];
    }
    for (content, critical) in &request.extensions {
        let mut extension = CustomExtension::from_oid_content(&[2, 5, 29, 17], content.to_vec());
        extension.set_criticality(*critical);
        params.custom_extensions.push(extension);
    }
    Some((params.serialize_request(key).ok()?.der().to_vec(), key))
}

/// Whatever is issued is a client's certificate for `alice`, for the request's own key. Returns true if one is issued.
fn issue(text: &str, key: Option<&KeyPair>) -> bool {
    let name: Name = "alice".parse().expect("it is a name");
    let validity = hour();
    let authority = &pki().authority;
    let Ok(issued) = within(256 * 1024 + 16 * text.len(), || authority.issue_user(text, &name, validity))
    else {
        return false;
    };
    let identity = Identity::of_certificate(&issued.der).expect("what was issued names somebody");
    assert_eq!(identity.user(), Some(&name), "a request cannot choose its name");
    assert_eq!(&identity.trust_domain, authority.trust_domain());
    assert!(
        issued.validity.not_after <= validity.not_after && issued.validity.not_before >= validity.not_before
    );
    let (rest, certificate) = X509Certificate::from_der(&issued.der).expect("it was just issued");
    assert!(rest.is_empty());
    assert!(!certificate.is_ca(), "a request cannot make an authority");
    assert_eq!(certificate.subject().to_string(), "CN=alice");
    let names = certificate.subject_alternative_name().expect("it can be read").expect("it is there");
    assert_eq!(names.value.general_names.len(), 1, "a request cannot add names");
    let usage = certificate.key_usage().expect("it can be read").expect("it is there").value;
    assert!(usage.digital_signature() && !usage.key_cert_sign() && !usage.crl_sign());
    let extended = certificate.extended_key_usage().expect("it can be read").expect("it is there").value;
    assert!(extended.client_auth && !extended.server_auth && !extended.any && extended.other.is_empty());
    if let Some(key) = key {
        assert_eq!(
            certificate.public_key().raw,
            key.subject_public_key_info(),
            "only the key that signed counts"
        );
    }
    assert!(Authority::from_pem(&issued.pem, authority.key_pem()).is_err());
    true
}
