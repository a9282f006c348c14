//! Values as a person reads them.

use std::borrow::Cow;
use std::fmt::Write;
use std::time::SystemTime;

use jiff::Timestamp;
use jiff::tz::TimeZone;
pub(crate) use sealift_protocol::harmless::harmless;
use sealift_protocol::harmless::is_harmful;
use sealift_protocol::message::Nanoseconds;
pub(crate) use sealift_transfer::figures::{duration, guess, rate, size};
use sealift_types::{EntryPath, Name};

/// JSON that a terminal shows as it is, and that says the same: what it must not show becomes `\uXXXX`.
pub(crate) fn harmless_json(json: &str) -> Cow<'_, str> {
    if !json.chars().any(is_harmful) {
        return Cow::Borrowed(json);
    }
    let mut shown = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if is_harmful(c) {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                // Writing to a String cannot fail.
                let _ = write!(shown, "\\u{unit:04x}");
            }
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// A moment in the local time zone, to the minute: `2026-11-23 17:05`.
pub(crate) fn local_minute(time: Nanoseconds, zone: &TimeZone) -> String {
    timestamp(time).to_zoned_datetime(zone.clone()).strftime("%Y-%m-%d %H:%M").to_string()
}

/// A moment in the local time zone, to the second, with the zone: `2026-11-23 17:05:09 +01:00`.
pub(crate) fn local_second(time: Nanoseconds, zone: &TimeZone) -> String {
    timestamp(time).to_zoned_datetime(zone.clone()).strftime("%Y-%m-%d %H:%M:%S %:z").to_string()
}

/// A moment as RFC 3339 in UTC, with as many digits as it needs: what `--json` prints.
pub(crate) fn utc(time: Nanoseconds) -> String {
    timestamp(time).to_string()
}

fn timestamp(time: Nanoseconds) -> Timestamp {
    // Every i64 of nanoseconds, 1677 to 2262, is within a Timestamp's range.
    Timestamp::from_nanosecond(time.into()).unwrap_or_default()
}

/// A moment of the system's clock as the wire has it.
pub(crate) fn nanoseconds(time: SystemTime) -> Nanoseconds {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// A path with its space, for a caller whose own space is `own`.
pub(crate) fn absolute(path: &EntryPath, own: &Name) -> String {
    match path.as_str() {
        "" => format!("/{own}"),
        text if text.starts_with('/') => text.to_owned(),
        text => format!("/{own}/{text}"),
    }
}

/// A block of `key: value` lines, the values aligned.
pub(crate) fn block(lines: &[(&str, String)]) -> String {
    let width = lines.iter().map(|(key, _)| key.len() + 1).max().unwrap_or(0);
    let mut text = String::new();
    for (key, value) in lines {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{:width$} {value}", format!("{key}:"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_harm_a_terminal_is_escaped_in_json_and_means_the_same() {
        let name = "a\u{9b}31m\u{7f} exe\u{202e}gpj\u{feff} \u{200b}\n\"\\ 日本 \u{1f600}";
        let json = serde_json::json!({ "name": name, "\u{85}": 1 }).to_string();
        let shown = harmless_json(&json);
        assert!(!shown.chars().any(is_harmful), "{shown}");
        assert!(shown.contains("\\u009b") && shown.contains("日本"), "{shown}");
        assert_eq!(shown.parse::<serde_json::Value>().unwrap(), json.parse::<serde_json::Value>().unwrap());
        assert!(matches!(harmless_json("{\"a\":1}"), Cow::Borrowed(_)));
    }

    #[test]
    fn times_are_local_for_people_and_utc_for_programs() {
        let zone = TimeZone::fixed(jiff::tz::offset(1));
        let time = 1_700_000_000_123_000_000;
        assert_eq!(local_minute(time, &zone), "2023-11-14 23:13");
        assert_eq!(local_second(time, &zone), "2023-11-14 23:13:20 +01:00");
        assert_eq!(utc(time), "2023-11-14T22:13:20.123Z");
        for extreme in [i64::MIN, i64::MAX] {
            assert!(!utc(extreme).starts_with("1970"));
        }
    }

    #[test]
    fn paths_are_shown_with_their_space() {
        let own = "alice".parse().unwrap();
        for (path, shown) in [("", "/alice"), ("a/b", "/alice/a/b"), ("/bob/x", "/bob/x"), ("/", "/")] {
            assert_eq!(absolute(&path.parse().unwrap(), &own), shown);
        }
    }

    #[test]
    fn blocks_are_aligned() {
        assert_eq!(block(&[("a", "1".into()), ("long", "2".into())]), "a:    1\nlong: 2\n");
    }
}
