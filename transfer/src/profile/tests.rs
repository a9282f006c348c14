use super::*;
use sealift_certs::{Authority, USER_VALIDITY, new_key_and_request};
use std::time::SystemTime;

fn enrolment() -> (Authority, Enrolment) {
    let now = SystemTime::now();
    let authority = Authority::generate(TrustDomain::random(), now).unwrap();
    let identity: Name = "alice".parse().unwrap();
    let (certificate_pem, key_pem) = issue(&authority, &identity);
    let enrolment = Enrolment {
        identity,
        trust_domain: authority.trust_domain().clone(),
        addresses: vec!["[::1]:8888".parse().unwrap(), "files.example.org:1".parse().unwrap()],
        authority_pem: authority.certificate_pem().to_owned(),
        certificate_pem,
        key_pem,
    };
    (authority, enrolment)
}

fn issue(authority: &Authority, name: &Name) -> (String, KeyPem) {
    let made = new_key_and_request().unwrap();
    let validity = Validity::starting(SystemTime::now(), USER_VALIDITY);
    let issued = authority.issue_user(&made.csr_pem, name, validity).unwrap();
    (issued.pem, made.key_pem)
}

#[test]
fn saved_profiles_are_listed_and_read_back() {
    let directory = tempfile::tempdir().unwrap();
    let profiles = Profiles::new(directory.path().join("sealift/profiles"));
    let name: Name = "work".parse().unwrap();
    assert!(profiles.names().unwrap().is_empty());
    assert!(matches!(profiles.load(&name), Err(ProfileError::Missing(_))));

    let (_, enrolment) = enrolment();
    profiles.reserve(&name).unwrap().save(&enrolment).unwrap();
    let profile = profiles.load(&name).unwrap();
    assert_eq!(profile.identity, enrolment.identity);
    assert_eq!(profile.addresses, enrolment.addresses);
    profile.tls().unwrap();
    assert!(!profile.validity().unwrap().should_renew(SystemTime::now()));
    assert_eq!(profiles.names().unwrap(), std::slice::from_ref(&name));
    assert!(!format!("{profile:?}").contains("PRIVATE"));

    assert!(matches!(profiles.reserve(&name), Err(ProfileError::Exists { .. })));
}

#[test]
fn two_joins_at_once_cannot_replace_each_other() {
    let directory = tempfile::tempdir().unwrap();
    let profiles = Profiles::new(directory.path().to_owned());
    let name: Name = "work".parse().unwrap();
    let (one, other) = (profiles.reserve(&name).unwrap(), profiles.reserve(&name).unwrap());
    let (_, enrolment) = enrolment();
    assert_eq!(one.save(&enrolment).unwrap().name, name);
    // Nor does the second lose what its token was spent on.
    let second = other.save(&enrolment).unwrap();
    assert_eq!(second.name, enrolment.identity);
    let third = profiles.reserve(&"third".parse().unwrap()).unwrap().beside().save(&enrolment).unwrap();
    assert_eq!(third.name.as_str(), format!("{}-2", enrolment.identity));
    let mut names = vec![name, second.name, third.name];
    names.sort();
    assert_eq!(profiles.names().unwrap(), names);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 3, "the drafts are gone");
}

#[test]
fn of_many_who_take_the_place_of_one_the_last_has_it_and_none_fails() {
    let directory = tempfile::tempdir().unwrap();
    let profiles = Profiles::new(directory.path().to_owned());
    let name: Name = "work".parse().unwrap();
    let (_, enrolment) = enrolment();
    profiles.reserve(&name).unwrap().save(&enrolment).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            let place = profiles.reserve_again(&name).unwrap();
            scope.spawn(|| assert_eq!(place.save(&enrolment).unwrap().name.as_str(), "work"));
        }
    });
    assert_eq!(profiles.load(&name).unwrap().identity, enrolment.identity);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn a_reservation_that_comes_to_nothing_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let profiles = Profiles::new(directory.path().to_owned());
    drop(profiles.reserve(&"work".parse().unwrap()).unwrap());
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn a_renewal_replaces_certificate_and_key_together_or_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let profiles = Profiles::new(directory.path().to_owned());
    let name: Name = "work".parse().unwrap();
    let (authority, enrolment) = enrolment();
    let mut profile = profiles.reserve(&name).unwrap().save(&enrolment).unwrap();

    let (certificate, key) = issue(&authority, &enrolment.identity);
    assert!(
        profile
            .replace_identity(profile.prepare_renewal().unwrap(), &certificate, &enrolment.key_pem)
            .is_err(),
        "not a pair"
    );
    assert!(profile.replace_identity(profile.prepare_renewal().unwrap(), "rubbish", &key).is_err());
    let saved = || fs::read_to_string(directory.path().join("work").join(IDENTITY)).unwrap();
    assert!(saved().contains(&enrolment.certificate_pem));

    profile.replace_identity(profile.prepare_renewal().unwrap(), &certificate, &key).unwrap();
    assert_eq!(saved(), format!("{certificate}{}", key.as_str()));
    profiles.load(&name).unwrap().tls().unwrap();
}

fn token(authority: &Authority, address: &str) -> JoinToken {
    JoinToken {
        fingerprint: authority.fingerprint(),
        secret: sealift_certs::Secret::random(),
        trust_domain: authority.trust_domain().clone(),
        addresses: vec![address.to_owned()].try_into().unwrap(),
    }
}

#[test]
fn a_profile_knows_tokens_of_its_server() {
    let directory = tempfile::tempdir().unwrap();
    let profiles = Profiles::new(directory.path().to_owned());
    let name: Name = "work".parse().unwrap();
    let (authority, enrolment) = enrolment();
    let (other, _) = self::enrolment();
    assert!(profiles.is_of_server(&name, &token(&other, "h:1")), "one that is gone may be any server's");
    profiles.reserve(&name).unwrap().save(&enrolment).unwrap();
    assert!(profiles.is_of_server(&name, &token(&authority, "elsewhere:1")), "by its authority");
    assert!(profiles.is_of_server(&name, &token(&other, "files.example.org:1")), "by an address");
    assert!(!profiles.is_of_server(&name, &token(&other, "files.example.org:2")));

    fs::write(directory.path().join("work").join(DESCRIPTION), "").unwrap();
    assert!(
        !profiles.is_of_server(&name, &token(&other, "h:1")),
        "the authority of a damaged one still counts"
    );
    fs::write(directory.path().join("work").join(AUTHORITY), "").unwrap();
    assert!(profiles.is_of_server(&name, &token(&other, "h:1")), "too damaged to tell");
}

#[test]
fn a_profile_is_replaced_only_by_its_own_server_or_when_it_is_damaged() {
    let directory = tempfile::tempdir().unwrap();
    let profiles = Profiles::new(directory.path().to_owned());
    let name: Name = "work".parse().unwrap();
    let ((authority, enrolment), (other, _)) = (enrolment(), self::enrolment());
    profiles.reserve(&name).unwrap().save(&enrolment).unwrap();
    assert!(profiles.may_be_replaced(&name, &token(&authority, "elsewhere:1")));
    assert!(
        !profiles.may_be_replaced(&name, &token(&other, "files.example.org:1")),
        "an address proves nothing"
    );
    fs::write(directory.path().join("work").join(DESCRIPTION), "").unwrap();
    assert!(!profiles.may_be_replaced(&name, &token(&other, "h:1")), "the authority still counts");
    fs::write(directory.path().join("work").join(AUTHORITY), "").unwrap();
    assert!(profiles.may_be_replaced(&name, &token(&other, "h:1")), "of no use");
}

#[test]
fn a_profile_is_replaced_renamed_and_removed() {
    let directory = tempfile::tempdir().unwrap();
    let profiles = Profiles::new(directory.path().to_owned());
    let [work, home]: [Name; 2] = ["work", "home"].map(|name| name.parse().unwrap());
    let files = || fs::read_dir(directory.path()).unwrap().count();
    let (_, first) = enrolment();
    let (_, second) = enrolment();
    profiles.reserve_again(&work).unwrap().save(&first).unwrap();

    drop(profiles.reserve_again(&work).unwrap());
    assert_eq!(profiles.load(&work).unwrap().trust_domain, first.trust_domain, "until another one is there");
    profiles.reserve_again(&work).unwrap().save(&second).unwrap();
    assert_eq!(profiles.load(&work).unwrap().trust_domain, second.trust_domain);
    assert_eq!(files(), 1, "nothing is left of the old one");

    profiles.reserve(&home).unwrap().save(&first).unwrap();
    assert!(matches!(profiles.rename(&work, &home), Err(ProfileError::Exists { .. })));
    profiles.remove(&home).unwrap();
    assert_eq!(files(), 1, "nor of one that is removed");
    assert!(matches!(profiles.remove(&home), Err(ProfileError::Missing(_))));
    profiles.rename(&work, &home).unwrap();
    assert_eq!(profiles.load(&home).unwrap().trust_domain, second.trust_domain);
    assert!(matches!(profiles.rename(&work, &"x".parse().unwrap()), Err(ProfileError::Missing(_))));
}

#[cfg(unix)]
#[test]
fn nobody_else_can_read_a_profile() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("sealift/profiles");
    let (_, enrolment) = enrolment();
    Profiles::new(root.clone()).reserve(&"work".parse().unwrap()).unwrap().save(&enrolment).unwrap();
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&root), 0o700);
    assert_eq!(mode(&root.join("work")), 0o700);
    for file in [DESCRIPTION, AUTHORITY, IDENTITY] {
        assert_eq!(mode(&root.join("work").join(file)), 0o600, "{file}");
    }
}

#[test]
fn damage_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let profiles = Profiles::new(directory.path().to_owned());
    let name: Name = "work".parse().unwrap();
    let (_, enrolment) = enrolment();
    profiles.reserve(&name).unwrap().save(&enrolment).unwrap();
    let description = directory.path().join("work").join(DESCRIPTION);
    for bad in [
        "",
        "identity = 5",
        "identity = 'a'\ntrust_domain = 'x'\naddresses = []",
        "identity = 'a'\ntrust_domain = 'X'\naddresses = ['h']",
        "identity = 'a'\ntrust_domain = 'x'\naddresses = ['a b']",
    ] {
        fs::write(&description, bad).unwrap();
        let error = profiles.load(&name).unwrap_err();
        assert!(matches!(error, ProfileError::Damaged { .. }), "{bad}");
        assert!(error.to_string().contains(DESCRIPTION), "{error}");
    }
}

/// The new one has gone in the moment in which the old one is out of sight.
#[test]
fn a_profile_that_cannot_be_replaced_comes_back() {
    let directory = tempfile::tempdir().unwrap();
    let profiles = Profiles::new(directory.path().to_owned());
    let name: Name = "work".parse().unwrap();
    let (_, enrolment) = enrolment();
    profiles.reserve(&name).unwrap().save(&enrolment).unwrap();
    let place = profiles.reserve_again(&name).unwrap();
    fs::remove_dir_all(place.draft.path()).unwrap();
    let error = place.replace(&name).unwrap_err();
    assert!(matches!(error, ProfileError::Io { .. }), "{error}");
    profiles.load(&name).unwrap().tls().unwrap();
}
