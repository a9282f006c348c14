//! Sizes, rates and lengths of time as every front end shows them.

use std::time::Duration;

/// A size: `512 B`, `1.5 KiB`, `20 MiB`.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let bytes = u128::from(bytes);
    let mut scale = 1024;
    for (number, unit) in UNITS.into_iter().enumerate() {
        // Rounded as people round, and 1023.99 KiB is 1.0 MiB.
        let (tenths, whole) = ((bytes * 10 + scale / 2) / scale, (bytes + scale / 2) / scale);
        if tenths < 100 {
            return format!("{}.{} {unit}", tenths / 10, tenths % 10);
        }
        if whole < 1024 || number + 1 == UNITS.len() {
            return format!("{whole} {unit}");
        }
        scale *= 1024;
    }
    unreachable!("the last unit takes all that is left")
}

/// A length of time: `8 ms`, `1.3 s`, `2 min 5 s`, `3 h 20 min`.
pub fn duration(duration: Duration) -> String {
    let milliseconds = duration.as_millis();
    let (tenths, seconds) = ((milliseconds + 50) / 100, (milliseconds + 500) / 1000);
    let minutes = (seconds + 30) / 60;
    match milliseconds {
        0..1000 => format!("{milliseconds} ms"),
        _ if tenths < 600 => format!("{}.{} s", tenths / 10, tenths % 10),
        _ if seconds < 3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", minutes / 60, minutes % 60),
    }
}

/// A length of time that is only guessed, in whole seconds: `0 s`, `5 s`, `2 min 5 s`, `3 h 20 min`.
pub fn guess(duration: Duration) -> String {
    match duration.as_secs() {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds => self::duration(Duration::from_secs(seconds)),
    }
}

/// Bytes per second: `812 MiB/s`; nothing where there is nothing to measure.
pub fn rate(bytes: u64, duration: Duration) -> Option<String> {
    let microseconds = duration.as_micros();
    if bytes == 0 || microseconds == 0 {
        return None;
    }
    let per_second = u128::from(bytes) * 1_000_000 / microseconds;
    Some(format!("{}/s", size(u64::try_from(per_second).unwrap_or(u64::MAX))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short_and_never_1024_of_anything() {
        for (bytes, shown) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (10 * 1024, "10 KiB"),
            (1024 * 1024 - 1, "1.0 MiB"),
            (1023 * 1024 + 511, "1023 KiB"),
            (10_189, "10 KiB"),
            (97_656, "95 KiB"),
            (1_475_001_000, "1.4 GiB"),
            (1024 * 1024, "1.0 MiB"),
            (1_500_000_000, "1.4 GiB"),
            (u64::MAX, "16 EiB"),
        ] {
            assert_eq!(size(bytes), shown);
        }
    }

    #[test]
    fn durations_and_rates_are_short() {
        for (milliseconds, shown) in [
            (8, "8 ms"),
            (1_340, "1.3 s"),
            (1_360, "1.4 s"),
            (59_940, "59.9 s"),
            (59_999, "1 min 0 s"),
            (125_000, "2 min 5 s"),
            (12_000_000, "3 h 20 min"),
        ] {
            assert_eq!(duration(Duration::from_millis(milliseconds)), shown);
        }
        assert_eq!(rate(1024 * 1024, Duration::from_millis(500)).unwrap(), "2.0 MiB/s");
        assert_eq!(rate(0, Duration::from_secs(1)), None);
        assert_eq!(rate(1, Duration::ZERO), None);
    }
}
