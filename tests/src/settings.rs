//! The settings of a server under test, as its configuration file has them.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use sealift_server::ServerConfig;

/// Settings that differ from the defaults.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    timeouts: Vec<(&'static str, Duration)>,
    max_connections: Option<usize>,
    keep: Option<Duration>,
    yield_after: Option<Duration>,
    copy_limit: Option<usize>,
    lines: Vec<&'static str>,
    metrics: bool,
    json_log: bool,
}

impl Settings {
    /// Nothing but defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Time for the TLS handshake.
    #[must_use]
    pub fn handshake(self, time: Duration) -> Self {
        self.timeout("handshake", time)
    }

    /// Time for the first request.
    #[must_use]
    pub fn first_request(self, time: Duration) -> Self {
        self.timeout("first_request", time)
    }

    /// Time between two requests.
    #[must_use]
    pub fn idle(self, time: Duration) -> Self {
        self.timeout("idle", time)
    }

    /// Time without a byte in the middle of something.
    #[must_use]
    pub fn stall(self, time: Duration) -> Self {
        self.timeout("stall", time)
    }

    /// Time for transfers to end when the server stops.
    #[must_use]
    pub fn drain(self, time: Duration) -> Self {
        self.timeout("drain", time)
    }

    /// Another setting, as the file has it.
    #[must_use]
    pub fn line(mut self, line: &'static str) -> Self {
        self.lines.push(line);
        self
    }

    /// Metrics, on a port that the system picks.
    #[must_use]
    pub fn metrics(mut self) -> Self {
        self.metrics = true;
        self
    }

    /// A log of JSON lines.
    #[must_use]
    pub fn json_log(mut self) -> Self {
        self.json_log = true;
        self
    }

    /// The most connections at once.
    #[must_use]
    pub fn max_connections(mut self, most: usize) -> Self {
        self.max_connections = Some(most);
        self
    }

    /// How long what an upload left is kept.
    #[must_use]
    pub fn keep(mut self, time: Duration) -> Self {
        self.keep = Some(time);
        self
    }

    /// How long the client of an upload must be silent until a newer attempt takes over.
    #[must_use]
    pub fn yield_after(mut self, time: Duration) -> Self {
        self.yield_after = Some(time);
        self
    }

    /// The most entries that one request may copy.
    #[must_use]
    pub fn copy_limit(mut self, most: usize) -> Self {
        self.copy_limit = Some(most);
        self
    }

    /// The configuration file.
    pub fn to_toml(&self) -> String {
        let mut text = String::new();
        for line in &self.lines {
            writeln!(text, "{line}").unwrap();
        }
        if let Some(most) = self.max_connections {
            writeln!(text, "max_connections = {most}").unwrap();
        }
        if let Some(keep) = self.keep {
            writeln!(text, "uploads.keep = {:?}", keep.as_secs_f64()).unwrap();
        }
        if let Some(time) = self.yield_after {
            writeln!(text, "uploads.yield_after = {:?}", time.as_secs_f64()).unwrap();
        }
        if let Some(most) = self.copy_limit {
            writeln!(text, "trees.copy_limit = {most}").unwrap();
        }
        if self.metrics {
            text.push_str("metrics.listen = \"127.0.0.1:0\"\n");
        }
        if self.json_log {
            text.push_str("log = \"json\"\n");
        }
        text.push_str("[timeouts]\n");
        for (key, time) in &self.timeouts {
            writeln!(text, "{key} = {:?}", time.as_secs_f64()).unwrap();
        }
        text
    }

    /// The configuration of a server in this process.
    pub(crate) fn to_config(&self, data: &Path) -> ServerConfig {
        let mut config =
            ServerConfig::from_toml(&self.to_toml()).expect("what to_toml writes is a configuration");
        config.data = data.to_owned();
        config
    }

    fn timeout(mut self, key: &'static str, time: Duration) -> Self {
        self.timeouts.push((key, time));
        self
    }
}
