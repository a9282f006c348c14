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
            // A power cut keeps a beginning of the file, of which whole lines count, the last one also without its end.
            for end in (0..text.len()).filter(|end| text.is_char_boundary(*end)).take(300) {
                let read = parse(&text[..end]).expect("a beginning of a good file is one");
                let whole = text[..end].rfind('\n').map_or(0, |at| at + 1);
                let before = parse(&text[..whole]).expect("a beginning of a good file is one");
                assert!(revocations.starts_with(&before));
                if read != before {
                    assert_eq!((read.len(), &read[..before.len()]), (before.len() + 1, &before[..]));
                    match text[end..].find('\n') {
                        Some(0) => assert!(revocations.starts_with(&read)),
                        Some(_) => panic!("part of a line counts, after {end} bytes"),
                        // Of a line that lacks its end anyway nobody knows what it was.
                        None => {}
                    }
                }
            }
        }
        Err(line) => {
            assert!((1..=lines.len()).contains(&line));
            assert!(parse(&lines[..line - 1].concat()).is_ok(), "the first bad line is named");
            assert_eq!(parse(&lines[..line].concat()), Err(line));
        }
    }
}
