//! Remote paths: `/space/dir/file`, or `dir/file` inside the caller's own space.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

use crate::Name;

/// The longest path, in bytes of UTF-8.
pub const MAX_PATH: usize = 4096;

/// The longest component of a path, in bytes of UTF-8.
pub const MAX_COMPONENT: usize = 255;

/// A path on the server that is known to be well formed.
///
/// Absolute paths begin with `/` and name the space first; relative ones are inside the space of the caller. A
/// trailing slash is dropped, but remembered: it says that a directory is meant. The empty path is the root of the
/// caller's own space, and `/` is the list of spaces. Components are kept as given; see [`name_key`] for when two of
/// them are one name.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct EntryPath {
    text: String,
    directory: bool,
}

/// Why a text is not a [`EntryPath`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// More than [`MAX_PATH`] bytes.
    #[error("a path of {0} bytes is not allowed: the most is 4096")]
    PathTooLong(usize),
    /// Two slashes in a row.
    #[error("a name in the path {0:?} is empty: remove the doubled slash")]
    EmptyName(String),
    /// `.` or `..`.
    #[error("the name {0:?} is not allowed in a path: give the path without it")]
    DotName(String),
    /// NUL or another control character.
    #[error("the name {0:?} is not allowed: it holds a control character; rename it")]
    ControlCharacter(String),
    /// More than [`MAX_COMPONENT`] bytes.
    #[error("the name {0:?} of {1} bytes is not allowed: the most is 255; shorten it")]
    NameTooLong(String, usize),
    /// The first component of an absolute path is no space's name.
    #[error("no space can be called {0:?}: the first part of an absolute path is a space's name")]
    NotASpace(String),
}

/// Where a path leads: a space and the names below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// `/`, the list of spaces.
    Spaces,
    /// A place in a space; no names mean the space's root.
    In {
        /// The space.
        space: Name,
        /// The names from the space's root downwards.
        names: Vec<String>,
    },
}

impl EntryPath {
    /// The path as text, without a trailing slash (except for `/` itself).
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// How many names it has at most: each may be a directory that is to be made.
    pub fn depth(&self) -> usize {
        1 + self.as_str().bytes().filter(|byte| *byte == b'/').count()
    }

    /// Whether the path was written with a trailing slash (or names a root), and so must mean a directory.
    pub fn means_directory(&self) -> bool {
        self.directory || self.text.is_empty() || self.text == "/"
    }

    /// The last component, unless the path is a root.
    pub fn file_name(&self) -> Option<&str> {
        self.text.rsplit('/').next().filter(|name| !name.is_empty())
    }

    /// The path of `name` inside the directory that this path names.
    pub fn join(&self, name: &str) -> Result<Self, PathError> {
        match self.text.as_str() {
            "" => name.parse(),
            "/" => format!("/{name}").parse(),
            text => format!("{text}/{name}").parse(),
        }
    }

    /// Where the path leads for a caller whose own space is `own`.
    ///
    /// The whole path, space included, has at most [`MAX_PATH`] bytes, so that it can be written absolutely.
    pub fn locate(&self, own: &Name) -> Result<Location, PathError> {
        let below = |text: &str| text.split('/').filter(|n| !n.is_empty()).map(str::to_owned).collect();
        match self.text.strip_prefix('/') {
            None => {
                let whole = self.text.len() + own.as_str().len() + 2;
                if whole > MAX_PATH {
                    return Err(PathError::PathTooLong(whole));
                }
                Ok(Location::In { space: own.clone(), names: below(&self.text) })
            }
            Some("") => Ok(Location::Spaces),
            Some(absolute) => {
                let (space, rest) = absolute.split_once('/').unwrap_or((absolute, ""));
                let space = space.parse().map_err(|_| PathError::NotASpace(space.to_owned()))?;
                Ok(Location::In { space, names: below(rest) })
            }
        }
    }
}

impl FromStr for EntryPath {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        if text.len() > MAX_PATH {
            return Err(PathError::PathTooLong(text.len()));
        }
        if text == "/" || text.is_empty() {
            return Ok(Self { text: text.to_owned(), directory: true });
        }
        let (stripped, directory) = match text.strip_suffix('/') {
            Some(stripped) => (stripped, true),
            None => (text, false),
        };
        for name in stripped.strip_prefix('/').unwrap_or(stripped).split('/') {
            check_name(name).map_err(|error| match error {
                PathError::EmptyName(_) => PathError::EmptyName(text.to_owned()),
                other => other,
            })?;
        }
        Ok(Self { text: stripped.to_owned(), directory })
    }
}

/// Refuses what cannot be one component of a path.
pub fn check_name(name: &str) -> Result<(), PathError> {
    match name {
        "" => Err(PathError::EmptyName(String::new())),
        "." | ".." => Err(PathError::DotName(name.to_owned())),
        _ if name.len() > MAX_COMPONENT => {
            Err(PathError::NameTooLong(name.chars().take(40).chain(['…']).collect(), name.len()))
        }
        _ if name.chars().any(char::is_control) => Err(PathError::ControlCharacter(name.to_owned())),
        _ if name.contains('/') => Err(PathError::EmptyName(name.to_owned())),
        _ => Ok(()),
    }
}

/// The form in which names are compared: two names are one name when their keys are equal.
///
/// The key is Unicode normalization form C (UAX #15), because macOS hands out decomposed names and others composed
/// ones for what a person takes to be the same file.
pub fn name_key(name: &str) -> Cow<'_, str> {
    match is_nfc_quick(name.chars()) {
        IsNormalized::Yes => Cow::Borrowed(name),
        _ => Cow::Owned(name.nfc().collect()),
    }
}

impl fmt::Display for EntryPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        if self.directory && !self.text.is_empty() && self.text != "/" { f.write_str("/") } else { Ok(()) }
    }
}

impl fmt::Debug for EntryPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.to_string())
    }
}

impl Serialize for EntryPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EntryPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn path(text: &str) -> EntryPath {
        text.parse().unwrap()
    }

    fn located(text: &str) -> (String, Vec<String>) {
        match path(text).locate(&"alice".parse().unwrap()).unwrap() {
            Location::Spaces => ("/".into(), vec![]),
            Location::In { space, names } => (space.to_string(), names),
        }
    }

    #[test]
    fn leads_to_the_own_space_or_to_the_named_one() {
        assert_eq!(located("a/b"), ("alice".into(), vec!["a".into(), "b".into()]));
        assert_eq!(located("/bob/a"), ("bob".into(), vec!["a".into()]));
        assert_eq!(located("/bob/"), ("bob".into(), vec![]));
        assert_eq!(located(""), ("alice".into(), vec![]));
        assert_eq!(located("/"), ("/".into(), vec![]));
        assert!(path("/Bob/a").locate(&"alice".parse().unwrap()).is_err());
    }

    #[test]
    fn refuses_hostile_names() {
        for bad in [
            "..",
            "a/../b",
            "/bob/..",
            ".",
            "a//b",
            "//",
            "//a",
            "a//",
            "a\0b",
            "tab\there",
            "new\nline",
            "\u{85}",
            "a/./b",
            "\u{7f}",
            &"x".repeat(256),
            &"é".repeat(128),
            &"a/".repeat(2049),
        ] {
            assert!(bad.parse::<EntryPath>().is_err(), "{bad:?}");
        }
        for good in [" ", "...", "-rf", "a b", "日本語", "C:\\x", "~", "*", &"x".repeat(255), "a/b/c/"] {
            assert!(good.parse::<EntryPath>().is_ok(), "{good:?}");
        }
    }

    #[test]
    fn remembers_a_trailing_slash() {
        assert!(path("a/").means_directory() && path("").means_directory() && path("/").means_directory());
        assert!(!path("a").means_directory());
        assert_eq!(path("a/b/").to_string(), "a/b/");
        assert_eq!(path("a/b/").file_name(), Some("b"));
        assert_eq!(path("a/").join("b").unwrap().as_str(), "a/b");
        assert_eq!(path("/").join("bob").unwrap().as_str(), "/bob");
    }

    #[test]
    fn composed_and_decomposed_names_are_one() {
        assert_eq!(name_key("e\u{301}"), name_key("\u{e9}"));
        assert_ne!(name_key("E"), name_key("e"));
    }

    proptest! {
        #[test]
        fn every_text_parses_or_is_refused_and_printing_round_trips(text in ".{0,40}") {
            if let Ok(path) = text.parse::<EntryPath>() {
                prop_assert_eq!(path.to_string().parse::<EntryPath>().unwrap(), path.clone());
                if let Ok(Location::In { names, .. }) = path.locate(&"me".parse().unwrap()) {
                    prop_assert!(names.iter().all(|n| check_name(n).is_ok()));
                }
            }
        }
    }
}
