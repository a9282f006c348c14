//! Settings of the server.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use sealift_protocol::DEFAULT_PORT;

/// Where the data is unless told otherwise.
pub const DEFAULT_DATA: &str = "/var/lib/sealift";

/// The most seconds that what an upload left may be kept: a year.
const MOST_KEPT: f64 = 365.0 * 86400.0;

/// The settings, as the configuration file has them; unknown keys are errors.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The data directory.
    pub data: PathBuf,
    /// The address to listen on; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// How clients reach the server, `HOST` or `HOST:PORT`, best first; found out if empty.
    pub addresses: Vec<String>,
    /// The most connections at once; more are told to come back.
    pub max_connections: usize,
    /// How long things may take.
    pub timeouts: Timeouts,
    /// What becomes of uploads that break off.
    pub uploads: Uploads,
    /// How the log is written.
    pub log: LogFormat,
    /// Where the server tells what it measures.
    pub metrics: Metrics,
}

/// How long things may take, in seconds.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Timeouts {
    handshake: f64,
    first_request: f64,
    idle: f64,
    stall: f64,
    drain: f64,
}

/// What becomes of uploads that break off. `keep` is how long what came of one waits to be continued, in seconds; for 0
/// nothing is kept. `yield_after` is how long the client of one must have been silent, in seconds, until a newer attempt
/// at the same takes over.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Uploads {
    keep: f64,
    yield_after: f64,
}

/// Where the server tells what it measures: nowhere unless an address is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Metrics {
    /// The address, which should be one of this machine alone.
    pub listen: Option<SocketAddr>,
}

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object on each line.
    Json,
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("the configuration {} cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not understood.
    #[error("the configuration {} is not understood: {source}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: toml::de::Error,
    },
    /// A value makes no sense.
    #[error("{key} = {value} makes no sense: {mend}")]
    Value {
        /// Which setting.
        key: &'static str,
        /// What it is set to.
        value: String,
        /// What would be right.
        mend: &'static str,
    },
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data: DEFAULT_DATA.into(),
            listen: SocketAddr::from(([0u16; 8], DEFAULT_PORT)),
            addresses: Vec::new(),
            max_connections: 4096,
            timeouts: Timeouts::default(),
            uploads: Uploads::default(),
            log: LogFormat::default(),
            metrics: Metrics::default(),
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { handshake: 10.0, first_request: 10.0, idle: 600.0, stall: 60.0, drain: 30.0 }
    }
}

impl Default for Uploads {
    fn default() -> Self {
        Self { keep: 86400.0, yield_after: 2.0 }
    }
}

impl Config {
    /// Reads a configuration file.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text =
            fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        let config: Self =
            toml::from_str(&text).map_err(|source| ConfigError::Parse { path: path.to_owned(), source })?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), ConfigError> {
        let Timeouts { handshake, first_request, idle, stall, drain } = self.timeouts;
        let timeouts = [
            ("timeouts.handshake", handshake),
            ("timeouts.first_request", first_request),
            ("timeouts.idle", idle),
            ("timeouts.stall", stall),
            ("timeouts.drain", drain),
            ("uploads.yield_after", self.uploads.yield_after),
        ];
        let sensible = |seconds: f64| (0.001..=86400.0).contains(&seconds);
        if let Some((key, value)) = timeouts.into_iter().find(|(_, seconds)| !sensible(*seconds)) {
            let mend = "write seconds between 0.001 and 86400";
            return Err(ConfigError::Value { key, value: value.to_string(), mend });
        }
        let keep = self.uploads.keep;
        if !(0.0..=MOST_KEPT).contains(&keep) {
            let mend = "write seconds between 0, which keeps nothing, and 31536000";
            return Err(ConfigError::Value { key: "uploads.keep", value: keep.to_string(), mend });
        }
        if self.max_connections == 0 {
            let mend = "nobody could connect, write at least 1";
            return Err(ConfigError::Value { key: "max_connections", value: "0".into(), mend });
        }
        Ok(())
    }
}

impl Timeouts {
    /// For a connection to finish its TLS handshake.
    pub fn handshake(self) -> Duration {
        Duration::from_secs_f64(self.handshake)
    }

    /// For the first request after it.
    pub fn first_request(self) -> Duration {
        Duration::from_secs_f64(self.first_request)
    }

    /// Between two requests.
    pub fn idle(self) -> Duration {
        Duration::from_secs_f64(self.idle)
    }

    /// Without a byte moving in the middle of something.
    pub fn stall(self) -> Duration {
        Duration::from_secs_f64(self.stall)
    }

    /// For transfers to end when the server stops.
    pub fn drain(self) -> Duration {
        Duration::from_secs_f64(self.drain)
    }
}

impl Uploads {
    /// How long what came of an upload before it broke off waits to be continued; nothing is kept for zero.
    pub fn keep(self) -> Duration {
        Duration::from_secs_f64(self.keep)
    }

    /// How long an upload's client must have been silent until a newer attempt at the same upload takes over.
    pub fn yield_after(self) -> Duration {
        Duration::from_secs_f64(self.yield_after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Config, ConfigError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sealiftd.toml");
        fs::write(&path, text).unwrap();
        Config::read(&path)
    }

    #[test]
    fn reads_what_is_set_and_keeps_the_rest() {
        let config =
            read("listen = '127.0.0.1:0'\nlog = 'json'\n[timeouts]\nidle = 1.5\n[uploads]\nkeep = 0")
                .unwrap();
        assert_eq!(config.listen.port(), 0);
        assert_eq!(config.log, LogFormat::Json);
        assert_eq!(config.timeouts.idle(), Duration::from_millis(1500));
        assert_eq!(config.timeouts.stall(), Duration::from_secs(60));
        assert!(config.uploads.keep().is_zero());
        assert_eq!(read("").unwrap().uploads.keep(), Duration::from_secs(86400));
        assert_eq!(read("").unwrap().listen.port(), 8888);
    }

    #[test]
    fn says_what_is_wrong() {
        for (text, word) in [
            ("listn = 'x'", "listn"),
            ("listen = 'x'", "listen"),
            ("[timeouts]\nidle = 0", "timeouts.idle"),
            ("[timeouts]\nstall = nan", "timeouts.stall"),
            ("[uploads]\nkeep = -1", "uploads.keep"),
            ("[uploads]\nyield_after = 0", "uploads.yield_after"),
            ("max_connections = 0", "max_connections"),
        ] {
            let message = read(text).unwrap_err().to_string();
            assert!(message.contains(word), "{message}");
        }
        let message = Config::read(Path::new("/nowhere/x.toml")).unwrap_err().to_string();
        assert!(message.contains("/nowhere/x.toml"), "{message}");
    }
}
