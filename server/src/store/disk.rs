//! The disk that the data is on, and the room on it that uploads cannot use.
//!
//! Deletions, reads, the start of a server and the administrator's commands write, too: into the catalog's log, and helper
//! files that SQLite makes. So uploads, and all else that makes the catalog grow on behalf of a client, are refused while
//! less than the reserve is free. Others who use the disk do not ask. Therefore a part of the reserve, the ballast, is held
//! by files, which are deleted when nothing else is left, and made again when there is room.

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use fs4::FileExt;
use sealift_certs::files::create_private_dir;
use sealift_types::{Digest, ErrorCode};
use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use crate::config::{DiskSettings, LiveConfig};
use crate::error::{Result, ServerError};
use crate::monitor::meter::Counter;

/// The reserve unless it is set: a sixteenth of the disk, and at most this many bytes.
const MOST_BYTES: u64 = 256 * 1024 * 1024;

/// The same for inodes, of which there are at least [`LEAST_INODES`].
const MOST_INODES: u64 = 1024;

/// Inodes that a start, a renewed certificate and a few new files need.
const LEAST_INODES: u64 = 8;

/// The ballast is half of the reserve, and at most this many bytes.
const MOST_BALLAST: u64 = 16 * 1024 * 1024;

/// Files of the ballast: each of them holds an inode as well.
const FILES: u64 = 4;

/// Bytes that a transaction or a start needs. When less is free, the ballast is released.
const NEEDED: u64 = 1024 * 1024;

/// Bytes by which the catalog may grow with one change that brings no content.
const GROWTH: u64 = 4 * 1024;

/// How often the server looks whether the ballast can be made again.
const LOOK: Duration = Duration::from_secs(5);

/// Bytes and inodes above the reserve with which a disk counts as far from full.
const PLENTY: (u64, u64) = (1024 * 1024 * 1024, 100_000);

/// How long a look at a disk that is far from full is trusted: less than others need to fill it.
const TRUST: Duration = Duration::from_millis(20);

/// How full the disk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskUsage {
    /// Bytes that can still be used.
    pub free_bytes: u64,
    /// Bytes in all.
    pub size_bytes: u64,
    /// Files that can still be made; `None` where the file system sets no limit.
    #[serde(default)]
    pub free_inodes: Option<u64>,
    /// Files in all.
    #[serde(default)]
    pub inodes: Option<u64>,
}

/// What uploads leave free, ballast included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReserveSize {
    /// Bytes.
    pub bytes: u64,
    /// Inodes.
    pub inodes: u64,
}

/// The room on the disk that uploads cannot use. Clones share it.
#[derive(Debug, Clone)]
pub struct DiskReserve(Arc<ReserveState>);

#[derive(Debug)]
struct ReserveState {
    data: PathBuf,
    /// How full the disk of a path is; tests set it.
    disk_of: fn(&Path) -> Result<DiskUsage>,
    settings: OnceLock<LiveConfig>,
    grants: Mutex<GrantTotals>,
    refused: [Counter; 2],
}

/// Bytes that uploads were granted. Both sums only grow, and may wrap; their difference is not on the disk yet.
#[derive(Debug, Default)]
struct GrantTotals {
    issued: u64,
    returned: u64,
    /// Until when the disk counts as far from full.
    plenty: Option<Instant>,
}

/// The disk at one moment.
#[derive(Debug)]
struct DiskView {
    disk: DiskUsage,
    reserve: ReserveSize,
    ballast: Ballast,
}

/// What the disk is short of, with how much of it is kept.
#[derive(Debug, Clone, Copy)]
enum Shortage {
    Bytes(u64),
    Inodes(u64),
}

impl Shortage {
    /// The setting that says how much is kept.
    fn setting(self) -> &'static str {
        match self {
            Self::Bytes(_) => "disk.reserve",
            Self::Inodes(_) => "disk.reserve_inodes",
        }
    }
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(kept) => {
                write!(f, "the server's disk is full, its last {} are kept for deletions", size(*kept))
            }
            Self::Inodes(kept) => write!(
                f,
                "the server's disk has no inodes for more files, its last {kept} are kept for deletions"
            ),
        }
    }
}

/// Bytes that an upload may write. They count as used until this is dropped: then they are on the disk, or given up.
#[derive(Debug)]
pub struct DiskGrant {
    reserve: DiskReserve,
    bytes: u64,
}

impl DiskUsage {
    /// That of a path.
    pub fn of(path: &Path) -> Result<Self> {
        disk_of(path).map_err(ServerError::file(path))
    }
}

#[cfg(unix)]
fn disk_of(path: &Path) -> io::Result<DiskUsage> {
    let facts = rustix::fs::statvfs(path)?;
    // A file system that sets no limit says that it has no inodes at all.
    let (free_inodes, inodes) = (facts.f_files > 0).then_some((facts.f_favail, facts.f_files)).unzip();
    Ok(DiskUsage {
        free_bytes: facts.f_bavail.saturating_mul(facts.f_frsize),
        size_bytes: facts.f_blocks.saturating_mul(facts.f_frsize),
        free_inodes,
        inodes,
    })
}

#[cfg(not(unix))]
fn disk_of(path: &Path) -> io::Result<DiskUsage> {
    let facts = fs4::statvfs(path)?;
    let (free_bytes, size_bytes) = (facts.available_space(), facts.total_space());
    Ok(DiskUsage { free_bytes, size_bytes, free_inodes: None, inodes: None })
}

impl ReserveSize {
    /// What the settings mean on this disk.
    pub fn on(disk: &DiskUsage, settings: DiskSettings) -> Self {
        let inodes = disk.inodes.map_or(0, |all| (all / 16).clamp(LEAST_INODES, MOST_INODES));
        Self {
            bytes: settings.reserve().unwrap_or((disk.size_bytes / 16).min(MOST_BYTES)),
            inodes: settings.reserve_inodes().unwrap_or(inodes),
        }
    }

    /// Bytes of one file of the ballast.
    fn ballast_file(self) -> u64 {
        (self.bytes / 2).min(MOST_BALLAST) / FILES
    }
}

impl DiskReserve {
    /// Of a data directory. The settings are the defaults until [`DiskReserve::follow`].
    pub fn new(data: &Path) -> Self {
        Self::looking_with(data, DiskUsage::of)
    }

    fn looking_with(data: &Path, disk_of: fn(&Path) -> Result<DiskUsage>) -> Self {
        let (settings, grants, refused) = (OnceLock::new(), Mutex::default(), Default::default());
        Self(Arc::new(ReserveState { data: data.to_owned(), disk_of, settings, grants, refused }))
    }

    /// Follows the settings of a server from now on.
    pub fn follow(&self, settings: LiveConfig) {
        // A server has one set of settings.
        let _ = self.0.settings.set(settings);
    }

    /// Uploads that were refused for lack of bytes, and for lack of inodes.
    pub fn refused(&self) -> &[Counter; 2] {
        &self.0.refused
    }

    /// The disk, and what uploads leave free of it.
    pub fn look(&self) -> Result<(DiskUsage, ReserveSize)> {
        let disk = (self.0.disk_of)(&self.0.data)?;
        let settings = self.0.settings.get().map(|live| live.now().disk).unwrap_or_default();
        Ok((disk, ReserveSize::on(&disk, settings)))
    }

    /// Grants an upload so many bytes and new files, or refuses them with the limit.
    pub fn grant(&self, bytes: u64, inodes: u64) -> Result<DiskGrant> {
        self.try_grant(bytes, inodes).map_err(|shortage| self.refuse(shortage))
    }

    /// Grants a small content its room in the catalog, whose log holds it as well for a while.
    pub fn for_small(&self, bytes: usize) -> Result<DiskGrant> {
        self.grant(2 * bytes as u64 + GROWTH, 0)
    }

    /// Refuses a change that makes the catalog grow, if it would grow into the reserve.
    pub fn admit(&self) -> Result<()> {
        self.grant(GROWTH, 0).map(drop)
    }

    /// Whether uploads have room; the error says in one sentence why not. This counts as no refusal.
    pub fn has_room(&self) -> std::result::Result<(), String> {
        self.missing(GROWTH, 1).map_or(Ok(()), |shortage| Err(shortage.to_string()))
    }

    /// Whether another file may be made.
    pub fn has_inode(&self) -> bool {
        self.missing(0, 1).is_none()
    }

    fn refuse(&self, shortage: Shortage) -> ServerError {
        self.0.refused[usize::from(matches!(shortage, Shortage::Inodes(_)))].count();
        ServerError::refused(
            ErrorCode::NoSpace,
            format!(
                "nothing was stored: {shortage}; delete what is not needed, or ask the administrator for room or a \
                 smaller `{}`",
                shortage.setting()
            ),
        )
    }

    /// Grants so many bytes and files, unless something stands against them. A refused grant counts for nobody else.
    fn try_grant(&self, bytes: u64, inodes: u64) -> std::result::Result<DiskGrant, Shortage> {
        let returned = {
            let mut grants = self.grants();
            if grants.has_plenty_for(grants.with(bytes, grants.returned)) {
                return Ok(self.issue(&mut grants, bytes));
            }
            grants.returned
        };
        let view = self.view();
        let mut grants = self.grants();
        // What was returned after the look may be missing in it, so it still counts.
        let all = grants.with(bytes, returned);
        match view {
            Some(view) => {
                grants.plenty = view.plenty();
                view.shortage(all, inodes).map_or_else(|| Ok(self.issue(&mut grants, bytes)), Err)
            }
            // Where nobody can tell, the disk itself says when it is full. The sums must not overflow even then.
            None if i64::try_from(all).is_err() => Err(Shortage::Bytes(0)),
            None => Ok(self.issue(&mut grants, bytes)),
        }
    }

    fn issue(&self, grants: &mut GrantTotals, bytes: u64) -> DiskGrant {
        grants.issued = grants.issued.wrapping_add(bytes);
        DiskGrant { reserve: self.clone(), bytes }
    }

    /// What stands against so many more bytes and files, whatever was granted.
    fn missing(&self, bytes: u64, inodes: u64) -> Option<Shortage> {
        if self.grants().has_plenty_for(bytes) {
            return None;
        }
        let view = self.view()?;
        self.grants().plenty = view.plenty();
        view.shortage(bytes, inodes)
    }

    /// Looks at the disk, which may take its time; `None` if nobody can tell. No lock is held meanwhile.
    fn view(&self) -> Option<DiskView> {
        let (disk, reserve) = self.look().ok()?;
        Some(DiskView { disk, reserve, ballast: ballast(&self.0.data) })
    }

    fn grants(&self) -> MutexGuard<'_, GrantTotals> {
        self.0.grants.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sees to it that there is room for a transaction, whatever others have written to the disk.
    pub fn make_room(&self) {
        make_room(&self.0.data);
    }

    /// Releases the ballast, because the disk was full.
    pub fn release(&self) {
        release(&self.0.data);
    }

    /// Makes the ballast, and makes it again whenever it was released and there is room for it.
    pub async fn keep(self) {
        let mut told = false;
        loop {
            let here = self.clone();
            let made = tokio::task::spawn_blocking(move || here.restore()).await;
            if let Ok(Err(error)) = &made
                && !told
            {
                warn!(%error, "no room could be set aside for deletions on a full disk: others may take all of it");
            }
            told = matches!(made, Ok(Err(_)));
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Makes the ballast as large as it should be, if uploads have room beside it. Without a reserve there is none.
    pub fn restore(&self) -> Result<()> {
        let (disk, reserve) = self.look()?;
        let (directory, each) = (directory(&self.0.data), reserve.ballast_file());
        if each == 0 {
            // Without a reserve, files of an earlier one only take up room.
            remove_ballast(&self.0.data);
            return Ok(());
        }
        let is_there = |number: &u64| {
            fs::metadata(directory.join(number.to_string())).is_ok_and(|file| file.len() == each)
        };
        let missing: Vec<_> = (0..FILES).filter(|number| !is_there(number)).collect();
        let needed = each * missing.len() as u64;
        let inodes = disk.free_inodes.is_none_or(|free| free > reserve.inodes + FILES);
        if missing.is_empty() || disk.free_bytes < reserve.bytes.max(needed) || !inodes {
            return Ok(());
        }
        create_private_dir(&directory).map_err(ServerError::file(&directory))?;
        for number in missing {
            let path = directory.join(number.to_string());
            if let Err(error) = fill(&path, each) {
                // Half a ballast is in the way of whatever the rest was needed for.
                let _ = fs::remove_file(&path);
                return Err(ServerError::file(&path)(error));
            }
        }
        Ok(())
    }
}

impl GrantTotals {
    /// Bytes that were issued and not among the first `returned`, and so many more.
    fn with(&self, bytes: u64, returned: u64) -> u64 {
        self.issued.wrapping_sub(returned).saturating_add(bytes)
    }

    /// Returns true if the last look found more room than so many bytes need.
    fn has_plenty_for(&self, bytes: u64) -> bool {
        bytes < PLENTY.0 && self.plenty.is_some_and(|until| Instant::now() < until)
    }
}

impl DiskView {
    /// Until when the disk counts as far from full, if it is.
    fn plenty(&self) -> Option<Instant> {
        let is_far = self.disk.free_bytes >= self.reserve.bytes.saturating_add(2 * PLENTY.0)
            && self.disk.free_inodes.is_none_or(|free| free >= self.reserve.inodes.saturating_add(PLENTY.1));
        is_far.then(|| Instant::now() + TRUST)
    }

    /// What stands against so many more bytes and files.
    fn shortage(&self, bytes: u64, inodes: u64) -> Option<Shortage> {
        let Self { disk, reserve, ballast } = self;
        // No disk is as large as what an `i64` does not hold.
        let is_absurd = i64::try_from(bytes).is_err();
        if is_absurd || disk.free_bytes.saturating_add(ballast.bytes) < reserve.bytes.saturating_add(bytes) {
            return Some(Shortage::Bytes(reserve.bytes));
        }
        let needed = reserve.inodes.saturating_add(inodes);
        let is_short = |free: u64| inodes > 0 && free.saturating_add(ballast.files) < needed;
        disk.free_inodes.is_some_and(is_short).then_some(Shortage::Inodes(reserve.inodes))
    }
}

impl Drop for DiskGrant {
    fn drop(&mut self) {
        let mut grants = self.reserve.grants();
        grants.returned = grants.returned.wrapping_add(self.bytes);
    }
}

/// Releases the ballast of a data directory if there is not enough room for a transaction without it; for whoever opens the
/// catalog, in whatever process.
pub fn make_room(data: &Path) {
    let Ok(disk) = DiskUsage::of(data) else { return };
    if disk.free_bytes < NEEDED || disk.free_inodes.is_some_and(|free| free < FILES) {
        release(data);
    }
}

fn release(data: &Path) {
    if remove_ballast(data) {
        info!("the disk is full: released the room that is kept for deletions");
    }
}

/// Returns true if there was some.
fn remove_ballast(data: &Path) -> bool {
    let directory = directory(data);
    let removed = (0..FILES).filter(|number| fs::remove_file(directory.join(number.to_string())).is_ok());
    removed.count() > 0
}

/// What the ballast holds now.
#[derive(Debug, Clone, Copy, Default)]
struct Ballast {
    bytes: u64,
    files: u64,
}

fn ballast(data: &Path) -> Ballast {
    let directory = directory(data);
    let files = (0..FILES).filter_map(|number| fs::metadata(directory.join(number.to_string())).ok());
    files
        .fold(Ballast::default(), |all, file| Ballast { bytes: all.bytes + file.len(), files: all.files + 1 })
}

fn directory(data: &Path) -> PathBuf {
    data.join("ballast")
}

/// Makes a file that takes up `size` bytes.
fn fill(path: &Path, size: u64) -> io::Result<()> {
    let mut file = File::create(path)?;
    match file.allocate(size) {
        Ok(()) => file.set_len(size),
        Err(error) if error.kind() == io::ErrorKind::StorageFull => Err(error),
        Err(_) => write_incompressible(&mut file, size),
    }
}

/// Fills a file where space cannot be had otherwise. Zeros, and what repeats, a file system may not store at all.
fn write_incompressible(file: &mut impl io::Write, size: u64) -> io::Result<()> {
    let mut file = io::BufWriter::new(file);
    let mut left = size;
    while left > 0 {
        let block = *Digest::of(&left.to_le_bytes()).as_bytes();
        let count = usize::try_from(left).map_or(block.len(), |left| left.min(block.len()));
        io::Write::write_all(&mut file, &block[..count])?;
        left -= count as u64;
    }
    io::Write::flush(&mut file)
}

/// Bytes as people read them.
fn size(bytes: u64) -> String {
    match bytes {
        0..10_240 => format!("{bytes} bytes"),
        10_240..10_485_760 => format!("{} KiB", bytes / 1024),
        _ => format!("{} MiB", bytes / (1024 * 1024)),
    }
}

#[cfg(test)]
mod tests;
