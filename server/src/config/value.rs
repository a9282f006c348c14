//! What settings can be: each type has one parser, and cannot hold what makes no sense.

use std::net::SocketAddr;
use std::num::NonZero;
use std::ops::Deref;
use std::path::PathBuf;
use std::time::Duration;

use jiff::{SignedDuration, Span, SpanRelativeTo};
use rustls::pki_types::ServerName;
use toml::de::DeValue;
use tracing_subscriber::EnvFilter;

use crate::host_port::split_host;

/// What a source gives for a key. In the environment everything is text.
#[derive(Debug)]
pub enum GivenValue {
    /// A string.
    Text(String),
    /// A number.
    Number(f64),
    /// True or false.
    Truth(bool),
    /// Several strings.
    List(Vec<String>),
    /// What no setting is.
    Other,
}

/// A type of settings.
pub(super) trait Setting: Sized {
    /// Parses; the error says what would be right.
    fn read(given: &GivenValue) -> Result<Self, String>;

    /// The value as the file would have it.
    fn write(&self) -> String;
}

/// Names and addresses under which clients reach the server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerAddresses(Vec<String>);

/// A time between `LEAST` and `MOST` milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeSetting<const LEAST: u64, const MOST: u64>(Duration);

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object on each line.
    Json,
}

/// What is written to the log: a level, or directives as tracing has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogDirectives(String);

impl From<&DeValue<'_>> for GivenValue {
    fn from(value: &DeValue<'_>) -> Self {
        match value {
            DeValue::String(text) => Self::Text(text.to_string()),
            DeValue::Integer(number) => {
                let parsed = i64::from_str_radix(number.as_str(), number.radix()).ok();
                // Where this rounds, it is far beyond every bound.
                parsed.map_or(Self::Other, |number| Self::Number(number as f64))
            }
            DeValue::Boolean(truth) => Self::Truth(*truth),
            DeValue::Float(number) => number.as_str().parse().map_or(Self::Other, Self::Number),
            DeValue::Array(values) => {
                let texts = values.iter().map(|value| value.get_ref().as_str().map(str::to_owned));
                texts.collect::<Option<_>>().map_or(Self::Other, Self::List)
            }
            _ => Self::Other,
        }
    }
}

impl GivenValue {
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Text(text) => text.parse().ok(),
            _ => None,
        }
    }
}

impl Setting for PathBuf {
    fn read(given: &GivenValue) -> Result<Self, String> {
        let path = given.text().filter(|text| !text.is_empty()).map(Self::from);
        path.ok_or_else(|| "write the path of a directory, as in \"/var/lib/sealift\"".into())
    }

    fn write(&self) -> String {
        quoted(&self.to_string_lossy())
    }
}

impl Setting for SocketAddr {
    fn read(given: &GivenValue) -> Result<Self, String> {
        let address = given.text().and_then(|text| text.parse().ok());
        address.ok_or_else(|| "write an address and a port, as in \"0.0.0.0:8888\" or \"[::]:8888\"".into())
    }

    fn write(&self) -> String {
        quoted(&self.to_string())
    }
}

/// No address is an empty string.
impl Setting for Option<SocketAddr> {
    fn read(given: &GivenValue) -> Result<Self, String> {
        if given.text() == Some("") {
            return Ok(None);
        }
        let address = SocketAddr::read(given).ok();
        address.map(Some).ok_or_else(|| "write an address and a port, as in \"127.0.0.1:9188\"".into())
    }

    fn write(&self) -> String {
        self.map_or_else(|| quoted(""), |address| address.write())
    }
}

impl Setting for bool {
    fn read(given: &GivenValue) -> Result<Self, String> {
        match given {
            GivenValue::Truth(truth) => Ok(*truth),
            given => given
                .text()
                .and_then(|text| text.parse().ok())
                .ok_or_else(|| "write true or false, without quotes".into()),
        }
    }

    fn write(&self) -> String {
        self.to_string()
    }
}

impl Setting for NonZero<usize> {
    fn read(given: &GivenValue) -> Result<Self, String> {
        let whole = given.number().filter(|number| number.fract() == 0.0 && (1.0..=1e9).contains(number));
        // Whole, and within the bounds of every usize.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        whole
            .and_then(|number| Self::new(number as usize))
            .ok_or_else(|| "write a whole number of at least 1".into())
    }

    fn write(&self) -> String {
        self.to_string()
    }
}

impl Setting for ServerAddresses {
    fn read(given: &GivenValue) -> Result<Self, String> {
        let texts: Vec<&str> = match given {
            GivenValue::List(texts) => texts.iter().map(String::as_str).collect(),
            GivenValue::Text(text) => {
                text.split(',').map(str::trim).filter(|text| !text.is_empty()).collect()
            }
            _ => return Err("write a list, as in [\"files.example.org\", \"[2001:db8::7]:8888\"]".into()),
        };
        texts.into_iter().map(address).collect::<Result<_, _>>().map(Self)
    }

    fn write(&self) -> String {
        let texts: Vec<_> = self.0.iter().map(|text| quoted(text)).collect();
        format!("[{}]", texts.join(", "))
    }
}

impl ServerAddresses {
    /// Of a list of which each was parsed by [`address`].
    pub fn new(addresses: Vec<String>) -> Self {
        Self(addresses)
    }
}

impl Deref for ServerAddresses {
    type Target = [String];

    fn deref(&self) -> &[String] {
        &self.0
    }
}

/// Parses `HOST`, `HOST:PORT` or the same with an IP address.
pub fn address(text: &str) -> Result<String, String> {
    let (host, port) = split_host(text);
    let whole = match port {
        Some(port) => text == format!("{host}:{port}") || text == format!("[{host}]:{port}"),
        None => text == host || text == format!("[{host}]"),
    };
    match whole && ServerName::try_from(host).is_ok() && port != Some(0) {
        true => Ok(text.to_owned()),
        false => Err(format!(
            "{text:?} is no address: write a host name or an IP address, and a port behind a colon if need be"
        )),
    }
}

impl<const LEAST: u64, const MOST: u64> TimeSetting<LEAST, MOST> {
    /// So many milliseconds, which must be within the bounds.
    pub(super) const fn of(milliseconds: u64) -> Self {
        assert!(LEAST <= milliseconds && milliseconds <= MOST, "a default is out of its bounds");
        Self(Duration::from_millis(milliseconds))
    }

    /// The time.
    pub fn get(self) -> Duration {
        self.0
    }
}

impl<const LEAST: u64, const MOST: u64> Setting for TimeSetting<LEAST, MOST> {
    fn read(given: &GivenValue) -> Result<Self, String> {
        let time = match given.number() {
            Some(seconds) => Duration::try_from_secs_f64(seconds).ok(),
            None => given.text().and_then(written_time),
        };
        let (least, most) = (Duration::from_millis(LEAST), Duration::from_millis(MOST));
        time.filter(|time| (least..=most).contains(time)).map(Self).ok_or_else(|| {
            format!(
                "write a time from {} to {}, as in \"10s\" or \"24h\"; a number alone is seconds",
                show_time(least),
                show_time(most)
            )
        })
    }

    fn write(&self) -> String {
        quoted(&show_time(self.0))
    }
}

/// A time as people write it: `90s`, `1h30m`, `2 days`.
fn written_time(text: &str) -> Option<Duration> {
    let span: Span = text.parse().ok()?;
    // A day is 24 hours here, whatever the clocks do.
    span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?.try_into().ok()
}

fn show_time(time: Duration) -> String {
    let days = time.as_secs() / 86400;
    if days > 0 && time == Duration::from_secs(days * 86400) {
        return format!("{days}d");
    }
    SignedDuration::try_from(time).map_or_else(|_| format!("{time:?}"), |time| format!("{time:#}"))
}

impl Setting for LogFormat {
    fn read(given: &GivenValue) -> Result<Self, String> {
        let format = given.text().and_then(|text| <Self as clap::ValueEnum>::from_str(text, false).ok());
        format.ok_or_else(|| "write \"text\" or \"json\"".into())
    }

    fn write(&self) -> String {
        quoted(match self {
            Self::Text => "text",
            Self::Json => "json",
        })
    }
}

impl Setting for LogDirectives {
    fn read(given: &GivenValue) -> Result<Self, String> {
        given.text().unwrap_or_default().parse()
    }

    fn write(&self) -> String {
        quoted(&self.0)
    }
}

impl std::str::FromStr for LogDirectives {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
        // tracing takes a word that is no level for the name of a module, so that a slip of the pen would say nothing.
        let known = |part: &str| {
            let word = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphabetic());
            !word || LEVELS.iter().any(|level| part.eq_ignore_ascii_case(level))
        };
        let parts: Vec<_> = text.split(',').map(str::trim).collect();
        let sensible = !text.trim().is_empty() && parts.iter().all(|part| known(part));
        // Without the white space: behind it, tracing cuts a directive at wrong places, or panics.
        let text = parts.join(",");
        match sensible && parser().parse(&text).is_ok() {
            true => Ok(Self(text)),
            false => Err(format!(
                "write one of {}, or directives as in \"info,sealift_server=debug\"",
                LEVELS.join(", ")
            )),
        }
    }
}

impl Default for LogDirectives {
    fn default() -> Self {
        Self("info".into())
    }
}

impl LogDirectives {
    /// The filter itself.
    pub fn filter(&self) -> EnvFilter {
        parser().parse_lossy(&self.0)
    }
}

/// How directives are read. Values of fields are compared as they are: compiling one as a regular expression can take for ever.
fn parser() -> tracing_subscriber::filter::Builder {
    EnvFilter::builder().with_regex(false)
}

pub(super) fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// tracing 0.3.23 would read the second directive as one of the target `sealift_serve`, and panic at the last one.
    #[test]
    fn white_space_around_log_directives_means_nothing() {
        let read = |text: &str| text.parse::<LogDirectives>().map(|filter| filter.filter().to_string());
        let plain = read("warn,sealift_server=debug").unwrap();
        assert!(plain.contains("sealift_server=debug"), "{plain}");
        for text in [" warn , sealift_server=debug", "warn,\u{a0}\tsealift_server=debug\n"] {
            assert_eq!(read(text).unwrap(), plain);
        }
        assert_eq!(read("\r2\u{664}fie= 1"), read("2\u{664}fie= 1"));
    }

    /// As an expression, the value has an automaton of 2^24 states.
    #[test]
    fn values_of_fields_are_no_regular_expressions() {
        let text = format!("warn,[request{{path=.*a{}}}]=debug", ".".repeat(24));
        let filter = text.parse::<LogDirectives>().unwrap().filter().to_string();
        assert!(filter.contains(".*a..."), "{filter}");
    }
}
