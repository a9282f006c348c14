//! Settings of the server.
//!
//! A setting is a field here, with its default, and a row in [`keys`]: from these come its key in the file, its
//! environment variable, its check, and how it is shown. `packaging/sealiftd.toml` describes it; a test sees to that.

pub mod amount;
pub mod keys;
pub mod live;
pub mod source;
mod suggestion;
pub mod value;

use std::net::SocketAddr;
use std::num::NonZero;
use std::path::PathBuf;
use std::time::Duration;

use sealift_protocol::DEFAULT_PORT;

use amount::{Automatic, NumberSetting, SizeSetting};
pub use live::LiveConfig;
pub use source::{Problems, Resolved, Sources, ValueOrigin};
use value::TimeSetting;
pub use value::{LogDirectives, LogFormat, ServerAddresses};

/// Where the data is unless told otherwise.
pub const DEFAULT_DATA: &str = "/var/lib/sealift";

/// The configuration file that is read if it is there and no other is named.
pub const DEFAULT_FILE: &str = "/etc/sealift/sealiftd.toml";

/// A second, in the milliseconds that bounds are written in.
const SECOND: u64 = 1000;

/// An hour.
const HOUR: u64 = 3600 * SECOND;

/// A day.
const DAY: u64 = 86400 * SECOND;

/// The settings.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerConfig {
    /// The data directory.
    pub data: PathBuf,
    /// The address to listen on; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// Whether the data is served without a change to it.
    pub read_only: bool,
    /// How clients reach the server, `HOST` or `HOST:PORT`, best first; found out if empty.
    pub addresses: ServerAddresses,
    /// The most connections at once; more are told to come back.
    pub max_connections: NonZero<usize>,
    /// How many connections an address and an identity may have.
    pub limits: ConnectionLimits,
    /// How long things may take.
    pub timeouts: Timeouts,
    /// How long certificates are valid.
    pub certificates: CertificateSettings,
    /// How long a machine may wait before it joins.
    pub invitations: InvitationSettings,
    /// What becomes of uploads that break off.
    pub uploads: UploadSettings,
    /// How long the log of transfers is.
    pub transfers: TransferLogSettings,
    /// What may be done to trees.
    pub trees: TreeSettings,
    /// What is left free of the disk.
    pub disk: DiskSettings,
    /// What clients may make the server hold in memory.
    pub memory: MemorySettings,
    /// How the log is written.
    pub log: LogFormat,
    /// What is written to the log.
    pub log_level: LogDirectives,
    /// Where the server tells what it measures.
    pub metrics: MetricsSettings,
}

/// How many connections an address and an identity may have.
///
/// The defaults leave room for an office behind one address, and for a proxy or a tunnel whose clients all come from
/// the loopback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Handshakes under way, over all addresses.
    pub handshakes: NonZero<usize>,
    /// Handshakes under way from one address.
    pub handshakes_per_address: NonZero<usize>,
    /// Open connections from one address.
    pub connections_per_address: NonZero<usize>,
    /// Open connections of one identity.
    pub connections_per_identity: NonZero<usize>,
    /// Requests of one identity that are not answered yet, besides the first one of each connection.
    pub requests_per_identity: NonZero<usize>,
}

/// How long things may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    handshake: Timeout,
    first_request: Timeout,
    idle: Timeout,
    stall: Timeout,
    drain: Timeout,
}

/// How long certificates are valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CertificateSettings {
    client_lifetime: TimeSetting<HOUR, { 365 * DAY }>,
    server_lifetime: TimeSetting<DAY, { 365 * DAY }>,
}

/// How long a machine may wait before it joins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvitationSettings {
    lifetime: TimeSetting<SECOND, { 365 * DAY }>,
}

/// What becomes of uploads that break off. `keep` is how long what came of one waits to be continued; for 0 nothing is
/// kept. `yield_after` is how long the client of one must have been silent until a newer attempt at the same takes over.
/// `trust_stored` is how long a stored content counts as good after the server had all of its bytes before it.
/// `unfinished` and `unfinished_bytes` bound what one identity has under way and left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UploadSettings {
    keep: TimeSetting<0, { 365 * DAY }>,
    yield_after: Timeout,
    trust_stored: TimeSetting<0, { 365 * DAY }>,
    unfinished: NonZero<usize>,
    unfinished_bytes: Automatic<SizeSetting>,
}

/// How long the log of transfers is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransferLogSettings {
    keep: TimeSetting<DAY, { 3650 * DAY }>,
    /// The most records.
    pub most: NonZero<usize>,
}

/// What uploads leave free of the disk, so that there is always room to delete and to administrate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DiskSettings {
    reserve: Automatic<SizeSetting>,
    reserve_inodes: Automatic<NumberSetting>,
}

/// What clients may make the server hold in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemorySettings {
    budget: SizeSetting,
    queue: SizeSetting,
}

/// What may be done to trees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TreeSettings {
    /// The most entries that one request may copy.
    pub copy_limit: NonZero<usize>,
}

/// Where the server tells what it measures: nowhere unless an address is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MetricsSettings {
    /// The address, which should be one of this machine alone.
    pub listen: Option<SocketAddr>,
}

/// A time that passes before something is given up.
type Timeout = TimeSetting<1, DAY>;

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            data: DEFAULT_DATA.into(),
            listen: SocketAddr::from(([0u16; 8], DEFAULT_PORT)),
            read_only: false,
            addresses: ServerAddresses::default(),
            max_connections: number(4096),
            limits: ConnectionLimits::default(),
            timeouts: Timeouts::default(),
            certificates: CertificateSettings::default(),
            invitations: InvitationSettings::default(),
            uploads: UploadSettings::default(),
            transfers: TransferLogSettings::default(),
            trees: TreeSettings::default(),
            disk: DiskSettings::default(),
            memory: MemorySettings::default(),
            log: LogFormat::default(),
            log_level: LogDirectives::default(),
            metrics: MetricsSettings::default(),
        }
    }
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            handshakes: number(1024),
            handshakes_per_address: number(768),
            connections_per_address: number(1024),
            connections_per_identity: number(256),
            requests_per_identity: number(4096),
        }
    }
}

/// A default.
const fn number(value: usize) -> NonZero<usize> {
    NonZero::new(value).expect("defaults are written here, and none is 0")
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            handshake: TimeSetting::of(10 * SECOND),
            first_request: TimeSetting::of(10 * SECOND),
            idle: TimeSetting::of(600 * SECOND),
            stall: TimeSetting::of(60 * SECOND),
            drain: TimeSetting::of(30 * SECOND),
        }
    }
}

impl Default for CertificateSettings {
    fn default() -> Self {
        Self { client_lifetime: TimeSetting::of(90 * DAY), server_lifetime: TimeSetting::of(90 * DAY) }
    }
}

impl CertificateSettings {
    /// How long a client's certificate is valid. It renews by itself in its last third.
    pub fn client_lifetime(self) -> Duration {
        self.client_lifetime.get()
    }

    /// How long the server's certificate is valid. It renews by itself in its last third.
    pub fn server_lifetime(self) -> Duration {
        self.server_lifetime.get()
    }
}

impl Default for InvitationSettings {
    fn default() -> Self {
        Self { lifetime: TimeSetting::of(HOUR) }
    }
}

impl InvitationSettings {
    /// How long a token can be used, unless its invitation says otherwise.
    pub fn lifetime(self) -> Duration {
        self.lifetime.get()
    }
}

impl Default for UploadSettings {
    fn default() -> Self {
        Self {
            keep: TimeSetting::of(DAY),
            yield_after: TimeSetting::of(2 * SECOND),
            trust_stored: TimeSetting::of(7 * DAY),
            unfinished: NonZero::<usize>::MIN.saturating_add(255),
            unfinished_bytes: Automatic::default(),
        }
    }
}

impl Default for TransferLogSettings {
    fn default() -> Self {
        Self { keep: TimeSetting::of(90 * DAY), most: NonZero::<usize>::MIN.saturating_add(4_999_999) }
    }
}

impl Default for TreeSettings {
    fn default() -> Self {
        Self { copy_limit: NonZero::<usize>::MIN.saturating_add(4_999_999) }
    }
}

impl Timeouts {
    /// For a connection to finish its TLS handshake.
    pub fn handshake(self) -> Duration {
        self.handshake.get()
    }

    /// For the first request after it.
    pub fn first_request(self) -> Duration {
        self.first_request.get()
    }

    /// Between two requests.
    pub fn idle(self) -> Duration {
        self.idle.get()
    }

    /// Without a byte moving in the middle of something.
    pub fn stall(self) -> Duration {
        self.stall.get()
    }

    /// For transfers to end when the server stops.
    pub fn drain(self) -> Duration {
        self.drain.get()
    }
}

impl UploadSettings {
    /// How long what came of an upload before it broke off waits to be continued; nothing is kept for zero.
    pub fn keep(self) -> Duration {
        self.keep.get()
    }

    /// Large uploads that one identity may have under way and left.
    pub fn unfinished(self) -> u64 {
        self.unfinished.get() as u64
    }

    /// Bytes in all of them; `None` if they follow from the size of the disk.
    pub fn unfinished_bytes(self) -> Option<u64> {
        self.unfinished_bytes.get().map(SizeSetting::get)
    }

    /// How long an upload's client must have been silent until a newer attempt at the same upload takes over.
    pub fn yield_after(self) -> Duration {
        self.yield_after.get()
    }

    /// How long a stored content counts as good after the server had all of its bytes before it.
    pub fn trust_stored(self) -> Duration {
        self.trust_stored.get()
    }
}

impl TransferLogSettings {
    /// How long a record is kept.
    pub fn keep(self) -> Duration {
        self.keep.get()
    }
}

impl Default for MemorySettings {
    fn default() -> Self {
        Self { budget: SizeSetting::of(192 << 20), queue: SizeSetting::of(1 << 20) }
    }
}

impl MemorySettings {
    /// Bytes for the blocks and queues of all transfers and requests.
    pub fn budget(self) -> u64 {
        self.budget.get()
    }

    /// Bytes for requests of one connection that wait for their turn.
    pub fn queue(self) -> u64 {
        self.queue.get()
    }
}

impl DiskSettings {
    /// Bytes; `None` if they follow from the size of the disk.
    pub fn reserve(self) -> Option<u64> {
        self.reserve.get().map(SizeSetting::get)
    }

    /// Inodes; `None` if they follow from how many the disk has.
    pub fn reserve_inodes(self) -> Option<u64> {
        self.reserve_inodes.get().map(NumberSetting::get)
    }
}

#[cfg(test)]
mod tests;
