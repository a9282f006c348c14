//! Names and paths: what is accepted leads nowhere else, and says the same when it is written and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sealift_protocol::path::{Location, RemotePath, check_name, name_key};
use sealift_protocol::{Digest, Name};

fuzz_target!(|text: &str| {
    let own: Name = "own".parse().expect("a name");
    if let Ok(name) = text.parse::<Name>() {
        assert_eq!(name.as_str(), text);
    }
    if let Ok(digest) = text.parse::<Digest>() {
        assert_eq!(digest.to_string(), text.to_ascii_lowercase());
    }
    if check_name(text).is_ok() {
        assert!(!text.is_empty() && text != "." && text != ".." && !text.contains(['/', '\0']));
        let key = name_key(text);
        assert_eq!(name_key(&key), key, "the key of a key is itself");
    }
    let Ok(path) = text.parse::<RemotePath>() else { return };
    let again: RemotePath = path.as_str().parse().expect("a path that was accepted");
    assert_eq!(again.as_str(), path.as_str());
    if let Ok(Location::In { names, .. }) = path.locate(&own) {
        assert!(names.iter().all(|name| check_name(name).is_ok()));
    }
    let _ = path.join("name").map(|joined| assert_eq!(joined.file_name(), Some("name")));
});
