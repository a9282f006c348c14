//! A client's files: `config.toml` and the files of a profile.

use std::cell::OnceCell;
use std::fs;
use std::path::Path;

use arbitrary::{Arbitrary, Unstructured};
use sealift_certs::new_key_and_request;
use sealift_transfer::configuration::select_profile;
use sealift_transfer::profile::{Enrolment, Profiles};
use sealift_transfer::{Address, Configuration};
use sealift_types::Name;
use tempfile::TempDir;

use crate::pki::{hour, pki};

#[derive(Debug, Arbitrary)]
enum Input<'a> {
    /// `config.toml`, and the profile that is selected in it.
    Configuration { text: &'a str, profile: Option<&'a str> },
    /// The files of a profile.
    Files { profile: &'a [u8], authority: &'a [u8], identity: &'a [u8] },
    /// `profile.toml` beside good certificates.
    Description { text: &'a str },
    /// What a server said as a machine joined.
    Joined { identity: &'a str, domain: &'a str, addresses: Vec<&'a str> },
}

thread_local! {
    static FOLDER: OnceCell<TempDir> = const { OnceCell::new() };
}

/// Takes text, which is a `profile.toml`, or behind a zero byte an input of any kind.
pub fn check(bytes: &[u8]) {
    let input = match bytes.split_first() {
        Some((0, rest)) => Input::arbitrary_take_rest(Unstructured::new(rest)).ok(),
        Some((1, rest)) => std::str::from_utf8(rest).ok().map(|text| {
            let (text, profile) =
                text.split_once('\0').map_or((text, None), |(text, name)| (text, Some(name)));
            Input::Configuration { text, profile }
        }),
        _ => std::str::from_utf8(bytes).ok().map(|text| Input::Description { text }),
    };
    let Some(input) = input else { return };
    FOLDER.with(|folder| {
        let folder =
            folder.get_or_init(|| tempfile::tempdir().expect("there is a place for temporary files"));
        match input {
            Input::Configuration { text, profile } => configuration(folder.path(), text, profile),
            Input::Files { profile, authority, identity } => {
                files(folder.path(), [profile, authority, identity])
            }
            Input::Description { text } => {
                let (certificate, key) = machine();
                let identity = [certificate.as_bytes(), key.as_str().as_bytes()].concat();
                let authority = pki().authority.certificate_pem().as_bytes();
                files(folder.path(), [text.as_bytes(), authority, &identity]);
            }
            Input::Joined { identity, domain, addresses } => {
                joined(folder.path(), identity, domain, &addresses)
            }
        }
    });
}

/// A machine's certificate and its key.
fn machine() -> &'static (String, sealift_certs::KeyPem) {
    static MACHINE: std::sync::OnceLock<(String, sealift_certs::KeyPem)> = std::sync::OnceLock::new();
    MACHINE.get_or_init(|| {
        let made = new_key_and_request().expect("keys can be made");
        let name = "alice".parse().expect("it is a name");
        let issued = pki().authority.issue_user(&made.csr_pem, &name, hour()).expect("the request is good");
        (issued.pem, made.key_pem)
    })
}

fn configuration(folder: &Path, text: &str, selected: Option<&str>) {
    fs::write(folder.join("config.toml"), text).expect("the folder can be written");
    let directory = folder.as_os_str().to_owned();
    let variable = move |name: &str| (name == "SEALIFT_CONFIG_DIR").then(|| directory.clone());
    let configuration = Configuration::find(variable, || None).expect("the variable names a directory");
    let before = configuration.file();
    let selected: Option<Name> = match selected.map(str::parse) {
        Some(Ok(name)) => Some(name),
        Some(Err(_)) => return,
        None => None,
    };
    match select_profile(folder, selected.as_ref()) {
        Ok(()) => {
            let after = configuration.file().expect("what was written can be read");
            assert_eq!(after.profile, selected);
            if let Ok(before) = before {
                assert_eq!((before.quiet, before.json), (after.quiet, after.json), "{text}");
            }
            // A comment is nobody's but the user's.
            let written = fs::read_to_string(folder.join("config.toml")).expect("it is there");
            for line in text.lines().filter(|line| line.trim_start().starts_with('#')) {
                assert!(written.lines().any(|other| other == line), "{line:?} is gone");
            }
        }
        Err(_) => {
            let left = fs::read(folder.join("config.toml")).expect("it is there");
            assert!(left == text.as_bytes(), "a file that is not understood is left alone");
        }
    }
}

fn files(folder: &Path, [description, authority, identity]: [&[u8]; 3]) {
    let name: Name = "default".parse().expect("it is a name");
    let place = folder.join("profiles/default");
    fs::create_dir_all(&place).expect("the folder can be written");
    for (file, bytes) in
        [("profile.toml", description), ("authority.pem", authority), ("identity.pem", identity)]
    {
        fs::write(place.join(file), bytes).expect("the folder can be written");
    }
    let profiles = Profiles::new(folder.join("profiles"));
    let Ok(profile) = profiles.load(&name) else { return };
    assert!(!profile.addresses.is_empty());
    let _ = profile.validity();
    let _ = profile.tls();
    let (certificate, key) = machine();
    save(
        &profiles,
        &Enrolment {
            identity: profile.identity,
            trust_domain: profile.trust_domain,
            addresses: profile.addresses,
            authority_pem: String::from_utf8_lossy(authority).into_owned(),
            certificate_pem: certificate.clone(),
            key_pem: key.clone(),
        },
    );
}

fn joined(folder: &Path, identity: &str, domain: &str, addresses: &[&str]) {
    let addresses: Result<Vec<Address>, _> =
        addresses.iter().take(16).map(|address| address.parse()).collect();
    let (Ok(identity), Ok(trust_domain), Ok(addresses)) = (identity.parse(), domain.parse(), addresses)
    else {
        return;
    };
    if addresses.is_empty() {
        return;
    }
    let (certificate, key) = machine();
    save(
        &Profiles::new(folder.join("profiles")),
        &Enrolment {
            identity,
            trust_domain,
            addresses,
            authority_pem: pki().authority.certificate_pem().to_owned(),
            certificate_pem: certificate.clone(),
            key_pem: key.clone(),
        },
    );
}

/// What is saved comes back as it was.
fn save(profiles: &Profiles, enrolment: &Enrolment) {
    let name: Name = "saved".parse().expect("it is a name");
    let place = profiles.reserve_again(&name).expect("the folder can be written");
    place.save(enrolment).expect("the folder can be written");
    let profile = profiles.load(&name).expect("it was just saved");
    assert_eq!(profile.identity, enrolment.identity);
    assert_eq!(profile.trust_domain, enrolment.trust_domain);
    assert_eq!(profile.addresses, enrolment.addresses);
    if enrolment.authority_pem == pki().authority.certificate_pem() {
        profile.tls().expect("the certificates are good");
    }
}
