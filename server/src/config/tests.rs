use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::Path;

use super::keys::{KEYS, SettingScope};
use super::*;

fn problem(text: &str) -> String {
    let problems = ServerConfig::from_toml(text).unwrap_err();
    assert_eq!(problems.all().len(), 1, "{problems:?}");
    problems.to_string()
}

fn environment(pairs: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
    pairs.iter().map(|(name, value)| (name.into(), value.into())).collect()
}

/// Sources with no file but `text`, if that is given.
fn sources(text: Option<&str>, pairs: &[(&str, &str)]) -> (tempfile::TempDir, Sources) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sealiftd.toml");
    std::fs::write(&path, text.unwrap_or_default()).unwrap();
    let sources = Sources::with_environment(Some(path), environment(pairs));
    (dir, sources)
}

#[test]
fn reads_what_is_set_and_keeps_the_rest() {
    let config = ServerConfig::from_toml(
        "listen = '127.0.0.1:0'\nlog = 'json'\nmax_connections = 0x10\n[timeouts]\nidle = 1.5\n[uploads]\nkeep = 0",
    )
    .unwrap();
    assert_eq!((config.listen.port(), config.log, config.max_connections.get()), (0, LogFormat::Json, 16));
    assert_eq!(config.timeouts.idle(), Duration::from_millis(1500));
    assert_eq!(config.timeouts.stall(), Duration::from_secs(60));
    assert!(config.uploads.keep().is_zero());
    let default = ServerConfig::from_toml("").unwrap();
    assert_eq!(default, ServerConfig::default());
    assert_eq!((default.listen.port(), default.uploads.keep()), (8888, Duration::from_secs(86400)));
}

#[test]
fn times_are_written_as_people_do() {
    for (written, seconds) in [
        ("10", 10.0),
        ("0.25", 0.25),
        ("'10s'", 10.0),
        ("'500ms'", 0.5),
        ("'1h30m'", 5400.0),
        ("'24h'", 86400.0),
        ("'1d'", 86400.0),
        ("'2 minutes'", 120.0),
        ("'7'", 7.0),
    ] {
        let config = ServerConfig::from_toml(&format!("timeouts.idle = {written}")).unwrap();
        assert_eq!(config.timeouts.idle(), Duration::from_secs_f64(seconds), "{written}");
    }
    for wrong in
        ["''", "'soon'", "'-1s'", "'1 month'", "'25h'", "0", "-1", "nan", "inf", "true", "[1]", "1e300"]
    {
        let said = problem(&format!("timeouts.idle = {wrong}"));
        assert!(said.contains("write a time from 1ms to 1d") && said.contains(wrong), "{said}");
    }
    assert!(problem("uploads.keep = '366d'").contains("from 0s to 365d"));
}

#[test]
fn what_is_wrong_is_named_with_its_line_and_the_mend() {
    for (text, words) in [
        ("\nlistn = '[::]:1'", "the configuration:2: there is no key `listn`: did you mean `listen`?"),
        ("idle = 1", "did you mean `timeouts.idle`?"),
        ("[timeout]\nidle = 1", "the configuration:1: there is no key `timeout`: did you mean `timeouts`?"),
        (
            "[timeouts]\n\nidel = 1",
            "the configuration:3: there is no key `timeouts.idel`: did you mean `timeouts.idle`?",
        ),
        ("colour = 1", "`sealiftd config show` lists all"),
        ("timeouts = 1", "write [timeouts], and its keys below"),
        ("listen = 'x'", "listen = 'x' makes no sense: write an address and a port"),
        ("[listen]\nport = 1", "write an address and a port"),
        ("data = ''", "write the path of a directory"),
        ("addresses = 7", "write a list"),
        ("addresses = ['files.example.org', 'a b']", "\"a b\" is no address"),
        ("addresses = ['files.example.org:http']", "is no address"),
        ("max_connections = 0", "write a whole number of at least 1"),
        ("max_connections = 1.5", "write a whole number of at least 1"),
        ("read_only = 1", "write true or false"),
        ("log = 'xml'", "write \"text\" or \"json\""),
        ("log_level = 'loud'", "write one of off, error, warn, info, debug, trace"),
        ("log_level = 'info,sealift_server=loud'", "write one of off"),
        ("uploads.yield_after = 0", "uploads.yield_after = 0 makes no sense"),
        ("certificates.client_lifetime = '59m'", "write a time from 1h to 365d"),
        ("certificates.client_lifetime = '366d'", "write a time from 1h to 365d"),
        ("certificates.server_lifetime = '23h'", "write a time from 1d to 365d"),
        ("invitations.lifetime = 0", "write a time from 1s to 365d"),
        ("listen = ", "the configuration:1: this is not TOML"),
        ("log = 'text'\nlog = 'json'", "the configuration:2: this is not TOML"),
    ] {
        let said = problem(text);
        assert!(said.contains(words) && !said.contains('\n'), "{text}: {said}");
    }
    let problems = ServerConfig::from_toml("listn = 1\nlog = 'xml'\n[uploads]\nkep = 1").unwrap_err();
    assert_eq!(problems.all().len(), 3);
    assert!(problems.to_string().ends_with("(and 2 more: `sealiftd config check` lists all)"), "{problems}");
    let missing =
        Sources::with_environment(Some("/nowhere/x.toml".into()), []).resolve().unwrap_err().to_string();
    assert!(missing.contains("/nowhere/x.toml cannot be read"), "{missing}");
}

#[test]
fn flags_come_before_the_environment_and_that_before_the_file() {
    let text = "listen = '127.0.0.1:1'\nmax_connections = 1\nlog = 'json'\n";
    let pairs = [("SEALIFTD_LISTEN", "127.0.0.1:2"), ("SEALIFTD_MAX_CONNECTIONS", "2"), ("HOME", "/")];
    let (_dir, mut sources) = sources(Some(text), &pairs);
    let listen = Some(SocketAddr::from(([127, 0, 0, 1], 3)));
    sources.flag("listen", "--listen", listen, |config, listen| config.listen = listen);
    let resolved = sources.resolve().unwrap();
    let found = |name: &str| {
        let index = KEYS.iter().position(|key| key.name == name).unwrap();
        (KEYS[index].value(&resolved.config), resolved.origins[index].to_string())
    };
    assert_eq!(found("listen"), ("\"127.0.0.1:3\"".into(), "--listen".into()));
    assert_eq!(found("max_connections"), ("2".into(), "SEALIFTD_MAX_CONNECTIONS".into()));
    let (log, origin) = found("log");
    assert!(log == "\"json\"" && origin.ends_with("sealiftd.toml:3"), "{origin}");
    assert_eq!(found("uploads.keep"), ("\"1d\"".into(), "default".into()));
}

#[test]
fn every_key_has_a_variable_and_what_is_shown_can_be_read() {
    let other = "data = '/x'\nlisten = '1.2.3.4:5'\nread_only = true\naddresses = ['a', '[::1]:7']\nmax_connections = 7\nlog = 'json'\n\
                 log_level = 'debug,tokio=off'\n[limits]\nhandshakes = 1\nhandshakes_per_address = 2\n\
                 connections_per_address = 3\nconnections_per_identity = 4\nrequests_per_identity = 5\n[timeouts]\nhandshake = 1\nfirst_request = 2\nidle = 3\nstall = 90\n\
                 drain = '1h1s'\n[certificates]\nclient_lifetime = '7d'\nserver_lifetime = '30d'\n[invitations]\nlifetime = '15m'\n[uploads]\nkeep = '100h'\nyield_after = '1ms'\n\
                 trust_stored = '0s'\nunfinished = 7\nunfinished_bytes = '1GiB'\n\
                 [memory]\nbudget = '64MiB'\nqueue = '64KiB'\n[disk]\nreserve = '1MiB'\nreserve_inodes = 9\n[transfers]\nkeep = '1d'\nmost = 7\n[trees]\ncopy_limit = 5\n[metrics]\nlisten = '127.0.0.1:1'\n";
    let config = ServerConfig::from_toml(other).unwrap();
    let default = ServerConfig::default();
    let mut shown = String::new();
    let mut variables = Vec::new();
    for key in KEYS {
        let value = key.value(&config);
        assert_ne!(value, key.value(&default), "{} is to differ in this test", key.name);
        shown += &format!("{} = {value}\n", key.name);
        let bare = match value.parse::<toml::Value>().unwrap() {
            toml::Value::String(text) => text,
            toml::Value::Array(list) => {
                list.iter().map(|text| text.as_str().unwrap()).collect::<Vec<_>>().join(", ")
            }
            other => other.to_string(),
        };
        variables.push((key.variable(), bare));
    }
    assert_eq!(ServerConfig::from_toml(&shown).unwrap(), config, "{shown}");
    let pairs: Vec<_> = variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(sources(None, &pairs).1.resolve().unwrap().config, config);
    let distinct: BTreeSet<_> = variables.iter().map(|(name, _)| name).collect();
    assert_eq!(distinct.len(), KEYS.len());
    assert!(distinct.contains(&"SEALIFTD_TIMEOUTS_FIRST_REQUEST".to_owned()));

    let mut running = default.clone();
    for key in KEYS.iter().filter(|key| key.change == SettingScope::Restart) {
        (key.take)(&mut running, &config);
        assert_eq!(key.value(&running), key.value(&config));
    }
    assert_eq!(running.timeouts, default.timeouts);
}

#[test]
fn variables_that_nobody_knows_are_errors_with_a_suggestion() {
    let said = |name: &str, value: &str| {
        sources(None, &[(name, value)]).1.resolve().map_err(|error| error.to_string())
    };
    assert!(said("SEALIFTD_LISTN", "x").unwrap_err().contains("did you mean `SEALIFTD_LISTEN`?"));
    assert!(said("SEALIFTD_ADDRESS", "x").unwrap_err().contains("did you mean `SEALIFTD_ADDRESSES`?"));
    assert!(
        said("SEALIFTD_TIMEOUTS_IDLE", "long")
            .unwrap_err()
            .starts_with("SEALIFTD_TIMEOUTS_IDLE = long makes no")
    );
    // An empty one is none, as is what Kubernetes sets for a service that is called sealiftd.
    for (name, value) in [
        ("SEALIFTD_LISTEN", ""),
        ("SEALIFTD_SERVICE_HOST", "10.0.0.1"),
        ("SEALIFTD_PORT", "tcp://10.0.0.1:8888"),
        ("SEALIFTD_PORT_8888_TCP_ADDR", "10.0.0.1"),
        ("SEALIFT_PROFILE", "x"),
    ] {
        assert_eq!(said(name, value).unwrap().config, ServerConfig::default(), "{name}");
    }
}

#[test]
fn rust_log_gives_way_to_our_own_variable() {
    let level = |pairs: &[(&str, &str)]| {
        let resolved = sources(None, pairs).1.resolve().unwrap();
        KEYS.iter().find(|key| key.name == "log_level").unwrap().value(&resolved.config)
    };
    assert_eq!(level(&[]), "\"info\"");
    assert_eq!(level(&[("RUST_LOG", "warn")]), "\"warn\"");
    assert_eq!(level(&[("SEALIFTD_LOG_LEVEL", "debug"), ("RUST_LOG", "warn")]), "\"debug\"");
}

/// The example has every key, commented out, with the default that is in force without it.
#[test]
fn the_example_documents_every_key_and_its_default() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/sealiftd.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(
        ServerConfig::from_toml(&text).unwrap(),
        ServerConfig::default(),
        "as it is installed it changes nothing"
    );

    // A value is `#key = value`, a comment has a space behind the sign.
    let set: String = text
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(value) if value.starts_with(|c: char| c.is_ascii_lowercase()) => format!("{value}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("sealiftd.toml");
    std::fs::write(&file, &set).unwrap();
    let resolved = Sources::with_environment(Some(file), []).resolve().unwrap();
    for (key, origin) in KEYS.iter().zip(&resolved.origins) {
        assert!(matches!(origin, ValueOrigin::File(..)), "{} is not in packaging/sealiftd.toml", key.name);
        assert_eq!(
            key.value(&resolved.config),
            key.value(&ServerConfig::default()),
            "the default of {}",
            key.name
        );
    }
    let documents = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    let documents = std::fs::read_to_string(documents).unwrap();
    for key in KEYS {
        let row = format!("| `{}` | `{}` |", key.name, key.value(&ServerConfig::default()));
        assert!(documents.contains(&row), "docs/configuration.md has no row {row}");
    }
}
