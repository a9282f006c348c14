//! Every setting by its key.

use super::ServerConfig;
use super::value::{GivenValue, Setting};

/// One setting.
#[derive(Debug)]
pub struct SettingKey {
    /// Its key in the file; a dot leads into a table.
    pub name: &'static str,
    /// When a change of it takes effect.
    pub change: SettingScope,
    /// Sets it; the error says what would be right.
    pub(super) set: fn(&mut ServerConfig, &GivenValue) -> Result<(), String>,
    /// Its value as the file would have it.
    pub(super) show: fn(&ServerConfig) -> String,
    /// Takes its value from other settings.
    pub(crate) take: fn(&mut ServerConfig, &ServerConfig),
}

/// When the change of a setting takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SettingScope {
    /// While the server runs.
    Live,
    /// At its next start.
    Restart,
}

macro_rules! key {
    ($change:ident, $first:ident $(. $rest:ident)*) => {
        SettingKey {
            name: concat!(stringify!($first) $(, ".", stringify!($rest))*),
            change: SettingScope::$change,
            set: |config, given| {
                config.$first $(.$rest)* = Setting::read(given)?;
                Ok(())
            },
            show: |config| config.$first $(.$rest)*.write(),
            take: |config, other| config.$first $(.$rest)*.clone_from(&other.$first $(.$rest)*),
        }
    };
}

/// All of them, in the order in which they are shown.
pub static KEYS: &[SettingKey] = &[
    key!(Restart, data),
    key!(Restart, listen),
    key!(Restart, read_only),
    key!(Live, addresses),
    key!(Live, max_connections),
    key!(Live, limits.handshakes),
    key!(Live, limits.handshakes_per_address),
    key!(Live, limits.connections_per_address),
    key!(Live, limits.connections_per_identity),
    key!(Live, limits.requests_per_identity),
    key!(Restart, log),
    key!(Live, log_level),
    key!(Live, timeouts.handshake),
    key!(Live, timeouts.first_request),
    key!(Live, timeouts.idle),
    key!(Live, timeouts.stall),
    key!(Live, timeouts.drain),
    key!(Live, certificates.client_lifetime),
    key!(Live, certificates.server_lifetime),
    key!(Live, invitations.lifetime),
    key!(Live, uploads.keep),
    key!(Live, uploads.yield_after),
    key!(Live, uploads.trust_stored),
    key!(Live, transfers.keep),
    key!(Live, transfers.most),
    key!(Live, trees.copy_limit),
    key!(Live, uploads.unfinished),
    key!(Live, uploads.unfinished_bytes),
    key!(Live, memory.budget),
    key!(Live, memory.queue),
    key!(Live, disk.reserve),
    key!(Live, disk.reserve_inodes),
    key!(Restart, metrics.listen),
];

impl SettingKey {
    /// Its environment variable: `timeouts.idle` is `SEALIFTD_TIMEOUTS_IDLE`.
    pub fn variable(&self) -> String {
        format!("{}{}", super::source::PREFIX, self.name.replace('.', "_").to_ascii_uppercase())
    }

    /// Its value in `config`, as the file would have it.
    pub fn value(&self, config: &ServerConfig) -> String {
        (self.show)(config)
    }
}
