//! The file of revocations: what it says is written as it was read, and a cut leaves what came before.

use sealift_server::data::revocations::{Revocation, parse};

/// Takes the file's text.
pub fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let lines: Vec<_> = text.split_inclusive('\n').collect();
    match parse(text) {
        Ok(revocations) => {
            let written: String = revocations.iter().map(Revocation::to_string).collect();
            assert_eq!(parse(&written).as_ref(), Ok(&revocations), "what was written means the same");
            // A power cut keeps a beginning of the file, of which whole lines count.
            for end in (0..text.len()).filter(|end| text.is_char_boundary(*end)).take(300) {
                let read = parse(&text[..end]).expect("a beginning of a good file is one");
                assert!(revocations.starts_with(&read), "a cut after {end} bytes makes up a revocation");
                let whole = text[..end].rfind('\n').map_or(0, |at| at + 1);
                assert_eq!(parse(&text[..whole]), Ok(read), "part of a line counts");
            }
        }
        Err(line) => {
            assert!((1..=lines.len()).contains(&line));
            assert!(parse(&lines[..line - 1].concat()).is_ok(), "the first bad line is named");
            assert_eq!(parse(&lines[..line].concat()), Err(line));
        }
    }
}
