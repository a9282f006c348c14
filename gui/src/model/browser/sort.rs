//! The order of the rows.

use std::cmp::Ordering;

use sealift_protocol::message::Entry;
use sealift_types::Name;

use super::is_place;

/// By what rows are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// By name, the way people count: `a2` before `a10`.
    Name,
    /// By size.
    Size,
    /// By the time of the last change.
    Modified,
    /// By who stored it.
    Owner,
}

impl Sort {
    /// Puts rows, which are numbers of entries, in order: folders first.
    pub(super) fn arrange(self, descending: bool, entries: &[Entry], rows: &mut [usize]) {
        // Once for each entry, not once for each comparison.
        let keys: Vec<String> = entries.iter().map(|entry| natural_key(&entry.name)).collect();
        rows.sort_by(|a, b| {
            let (one, other) = (&entries[*a], &entries[*b]);
            let folders = is_place(other).cmp(&is_place(one));
            let by = match self {
                Self::Name => Ordering::Equal,
                Self::Size => one.size.cmp(&other.size),
                Self::Modified => one.mtime.cmp(&other.mtime),
                Self::Owner => one.by.as_ref().map(Name::as_str).cmp(&other.by.as_ref().map(Name::as_str)),
            };
            let by = by.then_with(|| keys[*a].cmp(&keys[*b]));
            folders.then(if descending { by.reverse() } else { by })
        });
    }
}

/// A text by which names sort as people expect: without regard to case, numbers by their value.
fn natural_key(name: &str) -> String {
    let mut key = String::with_capacity(name.len() + 8);
    let mut rest = name;
    while let Some(c) = rest.chars().next() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        if digits > 0 {
            let number = rest[..digits].trim_start_matches('0');
            // The number of digits before the digits; more than 255 of them fit in no name.
            key.push('0');
            key.push(char::from_u32(u32::try_from(number.len()).unwrap_or(0)).unwrap_or('\0'));
            key.push_str(number);
            rest = &rest[digits..];
        } else {
            key.extend(c.to_lowercase());
            rest = &rest[c.len_utf8()..];
        }
    }
    key
}
