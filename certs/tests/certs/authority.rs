//! What is issued, whatever is asked for.

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls_pki_types::CertificateDer;
use sealift_certs::{
    Authority, CertError, Identity, IdentityError, RequestError, Role, TrustDomain, USER_VALIDITY, Validity,
    certificate_from_pem, certificate_to_pem, fingerprint, new_key_and_request, origin, validity,
};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;

use crate::world::{World, days};

#[test]
fn an_authority_is_what_it_should_be() {
    let world = World::named("files.example.org".parse().unwrap());
    let der = world.authority.certificate_der();
    let certificate = parse(der);
    assert_eq!(certificate.subject().to_string(), "CN=Sealift CA files.example.org");
    assert_eq!(certificate.issuer(), certificate.subject());
    assert_eq!(uris(&certificate), ["spiffe://files.example.org"]);
    let constraints = certificate.basic_constraints().unwrap().unwrap();
    assert!(constraints.critical && constraints.value.ca);
    assert_eq!(constraints.value.path_len_constraint, Some(0));
    assert_eq!(certificate.key_usage().unwrap().unwrap().value.to_string(), "Key Cert Sign, CRL Sign");
    assert!(certificate.name_constraints().unwrap().is_none());
    assert_eq!(certificate.raw_serial().len(), 16);
    let expected = Validity::starting(world.now, days(3650));
    assert_eq!(world.authority.validity(), expected);
    assert_eq!(TrustDomain::of_authority(der).unwrap(), *world.authority.trust_domain());
    assert!(!format!("{:?}", world.authority).contains("PRIVATE"));
}

#[test]
fn the_longest_trust_domain_fits() {
    let longest = format!("{}.{}", "a".repeat(63), "b".repeat(36));
    let world = World::named(longest.parse().unwrap());
    let common_name = parse(world.authority.certificate_der()).subject().to_string();
    assert_eq!(common_name.len(), "CN=".len() + 64);
    let alice = world.user("alice", world.current());
    world.handshake(&world.client(&alice), &world.server()).established();
}

#[test]
fn an_authority_survives_being_written_and_read() {
    let world = World::new();
    let read = Authority::from_pem(world.authority.certificate_pem(), world.authority.key_pem()).unwrap();
    assert_eq!(read.trust_domain(), world.authority.trust_domain());
    assert_eq!(read.fingerprint(), world.authority.fingerprint());
    assert_eq!(read.certificate_pem(), world.authority.certificate_pem());
    assert_eq!(read.key_pem().as_str(), world.authority.key_pem().as_str());

    let reloaded = World { authority: read, now: world.now };
    let alice = reloaded.user("alice", world.current());
    world.handshake(&world.client(&alice), &reloaded.server()).established();
}

#[test]
fn a_wrong_pair_is_no_authority() {
    let (world, other) = (World::new(), World::new());
    let (certificate, key) = (world.authority.certificate_pem(), world.authority.key_pem());
    let read = |certificate: &str, key: &str| Authority::from_pem(certificate, key).unwrap_err();

    assert!(matches!(read(certificate, other.authority.key_pem()), CertError::KeyMismatch));
    assert!(matches!(read("", key), CertError::Pem { what: "CA certificate" }));
    assert!(matches!(read(certificate, ""), CertError::Pem { what: "private key" }));
    assert!(matches!(read(&format!("{certificate}{certificate}"), key), CertError::Pem { .. }));
    let (server, server_key) = world.authority.issue_server(&[], world.current()).unwrap();
    assert!(matches!(read(&server.pem, &server_key), CertError::NotAuthority));
    let (alice, alice_key) = world.user("alice", world.current());
    assert!(matches!(read(&alice.pem, &alice_key), CertError::NotAuthority));
}

#[test]
fn an_authority_must_name_its_trust_domain_and_nothing_else() {
    for (names, expected) in [
        (vec![], IdentityError::Missing),
        (vec!["spiffe://a", "spiffe://b"], IdentityError::Several),
        (vec!["spiffe://a/server"], IdentityError::Malformed("spiffe://a/server".to_owned())),
    ] {
        let (der, key) = self_signed(&names, true);
        match Authority::from_pem(&certificate_to_pem(&der), &key.serialize_pem()) {
            Err(CertError::Identity(error)) => assert_eq!(error, expected),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_user_certificate_is_for_that_user_alone() {
    let world = World::new();
    let (issued, _) = world.user("alice", world.current());
    let certificate = parse(&issued.der);
    let identity = Identity::of_certificate(&issued.der).unwrap();
    assert_eq!(identity.to_string(), format!("spiffe://{}/user/alice", world.authority.trust_domain()));
    assert_eq!(identity.user(), Some(&"alice".parse().unwrap()));
    assert_user_leaf(&certificate, &identity);
    assert_eq!(issued.validity, world.current());
    assert_eq!(issued.validity, validity(&issued.der).unwrap());
    assert_eq!(issued.fingerprint, fingerprint(&issued.der));
    assert_eq!(certificate_from_pem(&issued.pem).unwrap(), issued.der);
}

#[test]
fn a_renewed_certificate_names_its_origin_and_is_otherwise_like_the_first() {
    let world = World::new();
    let (first, _) = world.user("alice", world.current());
    assert_eq!(origin(&first.der), Ok(None));
    let request = new_key_and_request().unwrap().csr_pem;
    let name = "alice".parse().unwrap();
    let renewed = world.authority.renew_user(&request, &name, &first.fingerprint, world.current()).unwrap();
    assert_eq!(origin(&renewed.der), Ok(Some(first.fingerprint)));
    assert_user_leaf(&parse(&renewed.der), &Identity::of_certificate(&first.der).unwrap());
    assert_eq!(origin(&CertificateDer::from(vec![0x30])), Err(IdentityError::Unreadable));
}

#[test]
fn a_greedy_request_gets_nothing_that_it_asks_for() {
    let world = World::new();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "root");
    let another = fingerprint(&world.user("bob", world.current()).0.der).to_string();
    params.distinguished_name.push(DnType::CustomDnType(vec![2, 5, 4, 5]), another);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::Any];
    params.subject_alt_names = vec![
        uri(&format!("spiffe://{}/server", world.authority.trust_domain())),
        uri(&format!("spiffe://{}/user/root", world.authority.trust_domain())),
        SanType::DnsName(world.authority.trust_domain().as_str().try_into().unwrap()),
        SanType::IpAddress([127, 0, 0, 1].into()),
    ];
    params.custom_extensions = vec![CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0])];
    let request = params.serialize_request(&key).unwrap().pem().unwrap();

    let issued = world.authority.issue_user(&request, &"alice".parse().unwrap(), world.current()).unwrap();
    let identity = Identity::of_certificate(&issued.der).unwrap();
    assert_eq!(identity.role, Role::User("alice".parse().unwrap()));
    assert_user_leaf(&parse(&issued.der), &identity);
    assert_eq!(origin(&issued.der), Ok(None));
}

#[test]
fn a_damaged_request_is_refused() {
    let world = World::new();
    let request = new_key_and_request().unwrap().csr_pem;
    let name = "alice".parse().unwrap();
    let error = world.authority.issue_user(&request[..100], &name, world.current()).unwrap_err();
    assert!(matches!(error, CertError::Request(RequestError::Unreadable)), "{error}");
}

#[test]
fn the_same_request_gets_another_certificate_each_time() {
    let world = World::new();
    let request = new_key_and_request().unwrap().csr_pem;
    let issue = || world.authority.issue_user(&request, &"alice".parse().unwrap(), world.current()).unwrap();
    let (one, other) = (issue(), issue());
    assert_ne!(parse(&one.der).raw_serial(), parse(&other.der).raw_serial());
    assert_ne!(one.fingerprint, other.fingerprint);
}

#[test]
fn a_server_certificate_names_its_hosts() {
    let world = World::named("files.example.org".parse().unwrap());
    let hosts = ["nas.local", "192.0.2.7", "2001:db8::7"].map(str::to_owned);
    let (issued, _) = world.authority.issue_server(&hosts, world.current()).unwrap();
    let certificate = parse(&issued.der);
    let names = certificate.subject_alternative_name().unwrap().unwrap();
    let expected = [
        GeneralName::URI("spiffe://files.example.org/server"),
        GeneralName::DNSName("files.example.org"),
        GeneralName::DNSName("nas.local"),
        GeneralName::IPAddress(&[192, 0, 2, 7]),
        GeneralName::IPAddress(&[0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7]),
    ];
    assert_eq!(names.value.general_names, expected);
    let usage = certificate.extended_key_usage().unwrap().unwrap();
    assert!(usage.value.server_auth && !usage.value.client_auth && !usage.value.any);

    let wrong = [String::from("nas.local"), String::from("nas local")];
    let error = world.authority.issue_server(&wrong, world.current()).unwrap_err();
    assert!(matches!(&error, CertError::Host { host } if host == "nas local"), "{error}");
}

#[test]
fn nothing_outlives_its_authority() {
    let world = World::new();
    let end = world.authority.validity().not_after;
    let late = world.user("alice", Validity::starting(end - days(1), USER_VALIDITY));
    assert_eq!(late.0.validity.not_after, end);

    let request = new_key_and_request().unwrap().csr_pem;
    let after = Validity::starting(end + days(1), USER_VALIDITY);
    let error = world.authority.issue_user(&request, &"alice".parse().unwrap(), after).unwrap_err();
    assert!(matches!(error, CertError::Validity), "{error}");
}

#[test]
fn only_one_uri_makes_an_identity() {
    let of = |names: &[&str]| Identity::of_certificate(&self_signed(names, false).0);
    assert_eq!(of(&["spiffe://a/user/b"]).unwrap().to_string(), "spiffe://a/user/b");
    // The common name is "spiffe://a/server" in all of these.
    assert_eq!(of(&[]), Err(IdentityError::Missing));
    assert_eq!(of(&["dns:a"]), Err(IdentityError::Missing));
    assert_eq!(of(&["spiffe://a/user/b", "spiffe://a/user/c"]), Err(IdentityError::Several));
    assert_eq!(of(&["spiffe://a/user/b", "https://example.org"]), Err(IdentityError::Several));
    assert!(matches!(of(&["https://example.org"]), Err(IdentityError::Malformed(_))));
}

/// A certificate with these URIs (DNS names behind "dns:").
fn self_signed(names: &[&str], ca: bool) -> (CertificateDer<'static>, KeyPair) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "spiffe://a/server");
    params.is_ca = if ca { IsCa::Ca(BasicConstraints::Constrained(0)) } else { IsCa::ExplicitNoCa };
    params.subject_alt_names = names
        .iter()
        .map(|name| {
            name.strip_prefix("dns:")
                .map_or_else(|| uri(name), |dns| SanType::DnsName(dns.try_into().unwrap()))
        })
        .collect();
    (params.self_signed(&key).unwrap().into(), key)
}

fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

fn parse<'a>(der: &'a CertificateDer<'_>) -> X509Certificate<'a> {
    x509_parser::parse_x509_certificate(der).unwrap().1
}

fn uris<'a>(certificate: &'a X509Certificate<'_>) -> Vec<&'a str> {
    let names = certificate.subject_alternative_name().unwrap().unwrap();
    let uri = |name: &GeneralName<'a>| if let GeneralName::URI(uri) = *name { Some(uri) } else { None };
    names.value.general_names.iter().filter_map(uri).collect()
}

/// What every user's certificate is, whatever its request said.
fn assert_user_leaf(certificate: &X509Certificate<'_>, identity: &Identity) {
    let names = certificate.subject_alternative_name().unwrap().unwrap();
    assert_eq!(names.value.general_names, [GeneralName::URI(&identity.to_string())]);
    let common_names: Vec<_> =
        certificate.subject().iter_common_name().map(|name| name.as_str().unwrap()).collect();
    assert_eq!(common_names, [identity.user().unwrap().as_str()]);

    let usage = certificate.extended_key_usage().unwrap().unwrap().value;
    assert!(usage.client_auth && !usage.server_auth && !usage.any && usage.other.is_empty());
    let usage = certificate.key_usage().unwrap().unwrap().value;
    assert_eq!(usage.to_string(), "Digital Signature");
    let constraints = certificate.basic_constraints().unwrap().unwrap();
    assert!(constraints.critical && !constraints.value.ca);

    let mut extensions: Vec<_> =
        certificate.extensions().iter().map(|found| found.oid.to_id_string()).collect();
    extensions.sort();
    let expected = ["2.5.29.14", "2.5.29.15", "2.5.29.17", "2.5.29.19", "2.5.29.35", "2.5.29.37"];
    assert_eq!(extensions, expected); // SKI, KU, SAN, BC, AKI, EKU
}
