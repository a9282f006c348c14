//! Paths on the server as people write them on the command line.

use sealift_types::EntryPath;
use sealift_types::path::PathError;

/// Reads a path on the server. A leading colon marks one, for every verb; where only one can be meant, it may be left
/// out. A leading `./` is what a shell's completion and habit add: the own space is meant.
pub(crate) fn remote_path(text: &str) -> Result<EntryPath, String> {
    let marked = text.strip_prefix(':');
    if text.is_empty() {
        return Err("a path is empty, as when a variable is not set: your own space is .".to_owned());
    }
    if text == "-" {
        return Err(
            "- is standard input or output, and a path on the server is needed: write :- for one called -, \
                    `sealift put - DEST` stores standard input, and `sealift get SRC -` prints a file"
                .to_owned(),
        );
    }
    let text = marked.unwrap_or(text);
    let path = match text.strip_prefix("./") {
        // What is left would be absolute, and in another space.
        Some(rest) if rest.starts_with('/') => Err(PathError::EmptyName(text.to_owned())),
        Some(rest) => rest.parse(),
        None if text == "." => "".parse(),
        None => text.parse(),
    };
    path.map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leading_dot_means_the_own_space() {
        for (text, path) in [
            (".", ""),
            ("./", ""),
            ("./a/b", "a/b"),
            ("a/", "a/"),
            ("/bob/a", "/bob/a"),
            (":", ""),
            (":docs/", "docs/"),
            (":/bob/a", "/bob/a"),
            (":./a", "a"),
            // What is called so is named in these ways.
            ("./:a", ":a"),
            ("::a", ":a"),
            (":-", "-"),
            ("./-", "-"),
            ("-a", "-a"),
        ] {
            assert_eq!(remote_path(text).unwrap(), path.parse().unwrap());
        }
        for bad in ["", "-", ":..", "..", "././", ".//", ".//team/x"] {
            assert!(remote_path(bad).is_err(), "{bad}");
        }
    }
}
