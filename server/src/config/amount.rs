//! Settings that are amounts: of bytes, or of things.

use super::value::{GivenValue, Setting, quoted};

/// Bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SizeSetting(u64);

/// A number of things; 0 is one, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct NumberSetting(u64);

/// A setting that follows from what the server finds, unless it is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Automatic<T>(Option<T>);

/// The most that is taken: beyond it a number is a mistake.
const MOST: f64 = 1e15;

/// Units of bytes, the largest first.
const UNITS: [(&str, u64); 8] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
];

impl SizeSetting {
    /// So many bytes.
    pub const fn of(bytes: u64) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub fn get(self) -> u64 {
        self.0
    }
}

impl NumberSetting {
    /// So many.
    pub const fn of(number: u64) -> Self {
        Self(number)
    }

    /// How many.
    pub fn get(self) -> u64 {
        self.0
    }
}

impl<T> Default for Automatic<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> Automatic<T> {
    /// The setting, unless it is automatic.
    pub fn get(self) -> Option<T> {
        self.0
    }
}

impl Setting for SizeSetting {
    fn read(given: &GivenValue) -> Result<Self, String> {
        let bytes = match given.number() {
            Some(number) => whole(number),
            None => given.text().and_then(written_size),
        };
        bytes
            .map(Self)
            .ok_or_else(|| "write a size, as in \"256MiB\" or \"2GB\"; a number alone is bytes".into())
    }

    fn write(&self) -> String {
        let binary = UNITS
            .iter()
            .find(|(unit, size)| unit.contains('i') && self.0 > 0 && self.0.is_multiple_of(*size));
        binary.map_or_else(|| self.0.to_string(), |(unit, size)| quoted(&format!("{}{unit}", self.0 / size)))
    }
}

/// A size as people write it: `64KiB`, `1.5 GB`.
fn written_size(text: &str) -> Option<u64> {
    let (unit, size) = UNITS.iter().find(|(unit, _)| text.ends_with(unit))?;
    let number: f64 = text.strip_suffix(unit)?.trim_end().parse().ok()?;
    #[allow(clippy::cast_precision_loss)] // A unit is a power of two or ten that a float holds exactly.
    whole(number * *size as f64)
}

/// A number that is whole and neither negative nor absurd.
fn whole(number: f64) -> Option<u64> {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Within these bounds it is exact.
    ((0.0..=MOST).contains(&number) && number.fract() == 0.0).then_some(number as u64)
}

impl Setting for NumberSetting {
    fn read(given: &GivenValue) -> Result<Self, String> {
        let number = given.number().and_then(whole);
        number.map(Self).ok_or_else(|| "write a whole number".into())
    }

    fn write(&self) -> String {
        self.0.to_string()
    }
}

impl<T: Setting> Setting for Automatic<T> {
    fn read(given: &GivenValue) -> Result<Self, String> {
        if given.text() == Some("auto") {
            return Ok(Self(None));
        }
        T::read(given).map(|value| Self(Some(value))).map_err(|error| format!("{error}; or \"auto\""))
    }

    fn write(&self) -> String {
        self.0.as_ref().map_or_else(|| quoted("auto"), Setting::write)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_written_as_people_do_and_shown_the_same_way() {
        for (written, bytes, shown) in [
            ("0", 0, "0"),
            ("4096", 4096, "\"4KiB\""),
            ("256MiB", 256 << 20, "\"256MiB\""),
            ("1.5 GiB", 3 << 29, "\"1536MiB\""),
            ("2GB", 2_000_000_000, "\"1953125KiB\""),
            ("7", 7, "7"),
        ] {
            let size = SizeSetting::read(&GivenValue::Text(written.into())).unwrap();
            assert_eq!((size.get(), size.write().as_str()), (bytes, shown), "{written}");
            let again = SizeSetting::read(&GivenValue::Text(size.write().trim_matches('"').into())).unwrap();
            assert_eq!(again, size);
        }
        for wrong in ["", "MiB", "-1", "-1MiB", "1.5", "1e30", "nan", "inf", "5 apples", "1MIB"] {
            assert!(SizeSetting::read(&GivenValue::Text(wrong.into())).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_automatic_says_so() {
        let read = |text: &str| Automatic::<NumberSetting>::read(&GivenValue::Text(text.into()));
        assert_eq!(read("auto").unwrap().get(), None);
        assert_eq!(read("auto").unwrap().write(), "\"auto\"");
        assert_eq!(read("0").unwrap().get().map(NumberSetting::get), Some(0));
        assert!(read("much").unwrap_err().contains("\"auto\""));
    }
}
