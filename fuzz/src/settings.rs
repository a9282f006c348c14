//! The server's settings: a text gives settings that are the same when they are written and read again, or complaints that
//! name the line.

use sealift_server::config::keys::KEYS;
use sealift_server::config::{ServerConfig, Sources};

/// Takes a configuration file, or behind a zero byte the number of a setting and its value as a variable has it.
pub fn check(bytes: &[u8]) {
    match bytes.split_first() {
        Some((0, rest)) => {
            let Some((number, value)) = rest.split_first() else { return };
            let Ok(value) = std::str::from_utf8(value) else { return };
            variable(usize::from(*number) % KEYS.len(), value);
        }
        _ => {
            let Ok(text) = std::str::from_utf8(bytes) else { return };
            file(text);
        }
    }
}

fn file(text: &str) {
    match ServerConfig::from_toml(text) {
        Ok(config) => again(&config),
        Err(problems) => {
            assert!(!problems.all().is_empty());
            for problem in problems.all() {
                let line = problem.strip_prefix("the configuration:").and_then(|rest| rest.split(':').next());
                let line: usize =
                    line.and_then(|line| line.parse().ok()).expect("each complaint names a line");
                assert!((1..=text.matches('\n').count() + 1).contains(&line), "{problem}");
            }
        }
    }
}

/// A variable and a string in the file say the same.
fn variable(number: usize, value: &str) {
    if value.is_empty() || value.contains('\0') {
        return;
    }
    let key = &KEYS[number];
    // A list is written with commas in a variable, and with brackets in the file.
    let line = format!("{} = {}", key.name, toml::Value::String(value.to_owned()));
    let (in_file, in_variable) = (ServerConfig::from_toml(&line), resolve(&key.variable(), value));
    assert_eq!(in_file.is_ok(), in_variable.is_some(), "{line}");
    if let (Ok(in_file), Some(in_variable)) = (in_file, in_variable) {
        assert_eq!(in_file, in_variable);
        again(&in_variable);
    }
}

fn resolve(name: &str, value: &str) -> Option<ServerConfig> {
    // The file is empty, and not the one of this machine.
    let sources = Sources::with_environment(Some("/dev/null".into()), [(name.into(), value.into())]);
    sources.resolve().ok().map(|resolved| resolved.config)
}

/// What `sealiftd config show` prints is a configuration file that says the same.
fn again(config: &ServerConfig) {
    let written: String = KEYS.iter().map(|key| format!("{} = {}\n", key.name, key.value(config))).collect();
    let read = ServerConfig::from_toml(&written)
        .unwrap_or_else(|problems| panic!("{problems:?} in what was written: {written}"));
    assert_eq!(&read, config, "{written}");
}
