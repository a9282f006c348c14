//! The server's settings: any text gives settings or complaints.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sealift_server::config::Config;

fuzz_target!(|text: &str| {
    if let Err(problems) = Config::from_toml(text) {
        assert!(!problems.all().is_empty());
    }
});
