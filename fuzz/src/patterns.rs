//! What is left out of trees: patterns of people, held against names of anybody.

use std::path::Path;

use sealift_transfer::tree::Filter;
use sealift_types::path::check_name;
use unicode_normalization::UnicodeNormalization;

use crate::memory::within;

/// What the program of one pattern may take, above what all programs take. `ignore` bounds each at 10 MiB.
const PROGRAM: usize = 24 * 1024 * 1024;

/// Takes lines: a path, and patterns.
pub fn check(bytes: &[u8]) {
    // A command line has room for more, but few people write that.
    let Some(Ok(text)) = bytes.get(..bytes.len().min(4096)).map(std::str::from_utf8) else { return };
    let mut lines = text.lines();
    let Some(path) = lines.next() else { return };
    if !path.split('/').all(|name| check_name(name).is_ok()) {
        return;
    }
    let patterns: Vec<_> = lines.take(8).collect();
    let filter =
        match within(PROGRAM * patterns.len() + 1024 * 1024, || Filter::new(patterns.iter().copied())) {
            Ok(filter) => filter,
            Err(error) => return assert!(patterns.iter().any(|pattern| !pattern.is_empty()), "{error}"),
        };
    for is_directory in [false, true] {
        let excluded = filter.excludes(Path::new(path), is_directory);
        let decomposed: String = path.nfd().collect();
        let same = filter.excludes(Path::new(&decomposed), is_directory);
        assert_eq!(excluded, same, "{path:?} and {decomposed:?} are one name");
        // The last pattern that matches decides.
        let with = |last: &str| {
            let all = patterns.iter().copied().chain([last]);
            Filter::new(all).expect("both are patterns").excludes(Path::new(path), is_directory)
        };
        let literal = literal(path);
        assert!(with(&format!("/{literal}")), "{literal:?} leaves out {path:?}");
        assert!(!with(&format!("!/{literal}")), "{literal:?} brings {path:?} back");
    }
}

/// The pattern that matches this path and no other.
fn literal(path: &str) -> String {
    let mut pattern = String::new();
    for c in path.chars() {
        match c {
            // White space at the end of a pattern means nothing, unless it is in brackets.
            c if c.is_whitespace() => pattern.extend(['[', c, ']']),
            c if "\\*?[]{}!#".contains(c) => pattern.extend(['\\', c]),
            c => pattern.push(c),
        }
    }
    pattern
}
