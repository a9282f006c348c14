//! A client's files: a profile and `config.toml`, cut in three by zero bytes.
#![no_main]

use std::cell::OnceCell;
use std::fs;

use libfuzzer_sys::fuzz_target;
use sealift_protocol::Name;
use sealift_transfer::Configuration;
use tempfile::TempDir;

thread_local! {
    static FOLDER: OnceCell<TempDir> = const { OnceCell::new() };
}

fuzz_target!(|bytes: &[u8]| {
    FOLDER.with(|folder| {
        let folder = folder.get_or_init(|| tempfile::tempdir().expect("a folder"));
        let name: Name = "default".parse().expect("a name");
        let profile = folder.path().join("profiles/default");
        fs::create_dir_all(&profile).expect("a folder");
        let mut parts = bytes.split(|byte| *byte == 0);
        for path in ["profiles/default/profile.toml", "profiles/default/identity.pem", "profiles/default/authority.pem", "config.toml"] {
            fs::write(folder.path().join(path), parts.next().unwrap_or_default()).expect("a file");
        }
        let directory = folder.path().as_os_str().to_owned();
        let variable = move |name: &str| (name == "SEALIFT_CONFIG_DIR").then(|| directory.clone());
        let configuration = Configuration::find(variable, || None).expect("a configuration");
        let _ = configuration.file();
        let _ = configuration.profile();
        if let Ok(profile) = configuration.profiles().load(&name) {
            let _ = profile.tls();
            let _ = profile.validity();
        }
    });
});
