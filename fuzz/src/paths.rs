//! Names and paths: what is accepted leads nowhere else, and says the same when it is written and read again.

use sealift_types::path::{EntryPath, Location, MAX_COMPONENT, MAX_PATH, check_name, name_key};
use sealift_types::{Digest, Name};

/// Takes a path and, behind a line feed, which no path may hold, a name.
pub fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (text, name) = text.split_once('\n').unwrap_or((text, "name"));
    words(text);
    one_name(text);
    let own: Name = "own".parse().expect("it is a name");
    let Ok(path) = text.parse::<EntryPath>() else { return };
    assert!(text.len() <= MAX_PATH);
    assert_eq!(path.to_string(), text, "a path is written as it was read");
    assert_eq!(path.as_str().parse::<EntryPath>().expect("it was accepted").as_str(), path.as_str());
    let json = serde_json::to_vec(&path).expect("a path is text");
    assert_eq!(serde_json::from_slice::<EntryPath>(&json).expect("a path was written"), path);
    let location = path.locate(&own);
    if let Ok(location) = &location {
        locate(location, &own);
    }
    let Ok(joined) = path.join(name) else { return };
    if check_name(name).is_err() {
        // More than one name, or nothing: what counts is that it goes no way but down.
        assert!(joined.as_str().starts_with(path.as_str()));
        return;
    }
    assert_eq!(joined.file_name(), Some(name));
    match (location, joined.locate(&own)) {
        (Ok(Location::In { space, mut names }), Ok(below)) => {
            names.push(name.to_owned());
            assert_eq!(below, Location::In { space, names }, "a name is put below a path");
        }
        (Ok(Location::Spaces), Ok(below)) => {
            let space = name.parse().expect("only a space is below the list of spaces");
            assert_eq!(below, Location::In { space, names: Vec::new() });
        }
        (Ok(Location::Spaces), Err(_)) => assert!(name.parse::<Name>().is_err()),
        (Ok(_), Err(_)) => assert!(joined.as_str().len() + "/own/".len() > MAX_PATH),
        (Err(_), below) => assert!(below.is_err(), "a path that leads nowhere does so with a name behind it"),
    }
}

/// An absolute path of a location leads to it, for everybody.
fn locate(location: &Location, own: &Name) {
    let Location::In { space, names } = location else { return };
    assert!(names.iter().all(|name| check_name(name).is_ok()), "{names:?}");
    let absolute = format!("/{space}/{}", names.join("/"));
    let path: EntryPath = absolute.parse().expect("a location can be written");
    for caller in [own.clone(), "other".parse().expect("it is a name")] {
        assert_eq!(&path.locate(&caller).expect("it was located before"), location);
    }
}

fn words(text: &str) {
    if let Ok(name) = text.parse::<Name>() {
        assert_eq!(name.as_str(), text);
        assert!(check_name(text).is_ok(), "an identity's name is an entry's, too");
    }
    if let Ok(digest) = text.parse::<Digest>() {
        assert_eq!(digest.to_string(), text);
    }
}

fn one_name(text: &str) {
    let key = name_key(text);
    assert_eq!(name_key(&key), key, "the key of a key is itself");
    if check_name(text).is_ok() {
        assert!(!text.is_empty() && text != "." && text != ".." && text.len() <= MAX_COMPONENT);
        assert!(!text.contains(['/', '\0', '\n', '\u{7f}']));
        assert!(
            !key.contains(['/', '\0']) && key != "." && key != "..",
            "keys are put together with NUL and slash"
        );
        assert_eq!(text.parse::<EntryPath>().map(|path| path.to_string()).as_deref(), Ok(text));
    }
}
