//! What a file system can hold of that which a file has beside its content.
//!
//! Some know no permissions and show every file as one that may be executed; some keep times in steps of two seconds;
//! some take `a` and `A` for one name. Who compares what is there with what should be there has to know that, or
//! never comes to an end.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::fs::{File, FileTimes, Metadata, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::sync::{Mutex, OnceLock, PoisonError};

use sealift_protocol::message::Nanoseconds;

use super::{directory_of, from_nanoseconds, is_executable, is_part, mtime, temporary_name};

/// What a file system can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Abilities {
    /// Whether it knows of a file if it may be executed.
    pub(crate) executable: bool,
    /// The steps that its times have.
    pub(crate) step: Nanoseconds,
}

/// The steps that file systems have: exact ones, those of NTFS, of microseconds, of exFAT, whole seconds, those of FAT.
const STEPS: [Nanoseconds; 6] = [1, 100, 1_000, 10_000_000, SECOND, 2 * SECOND];

const SECOND: Nanoseconds = 1_000_000_000;

/// A time that none of the coarser steps can express.
const ODD: Nanoseconds = 1_700_000_001 * SECOND + 234_567_891;

impl Abilities {
    /// All that there is here.
    pub(crate) const ALL: Self = Self { executable: cfg!(unix), step: 1 };

    /// What the file system of a directory can hold. It is found out once for each file system: by its kind, and where
    /// that does not tell, by a file that is there for a moment, if the caller `may_write`. Blocks.
    pub(crate) fn of(directory: &Path, may_write: bool) -> Self {
        let Ok(metadata) = directory.metadata() else { return Self::ALL };
        Self::on(device(&metadata), directory, may_write)
    }

    /// The same where it is known which file system the directory is on. Blocks.
    pub(crate) fn on(device: Option<u64>, directory: &Path, may_write: bool) -> Self {
        static KNOWN: OnceLock<Mutex<HashMap<u64, Abilities>>> = OnceLock::new();
        let known = KNOWN.get_or_init(Mutex::default);
        let lock = || known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(abilities) = device.and_then(|device| lock().get(&device).copied()) {
            return abilities;
        }
        let abilities = match by_kind(directory) {
            Some(abilities) => abilities,
            None if may_write => try_out(directory).unwrap_or(Self::ALL),
            // Somebody who may write finds out later.
            None => return Self::ALL,
        };
        if let Some(device) = device {
            lock().insert(device, abilities);
        }
        abilities
    }

    /// What follows from a file that was to get the time [`ODD`] and to become executable, and got `mtime`.
    fn judge(mtime: Nanoseconds, was_executable: bool, is_executable: bool) -> Self {
        let fits = |step: &Nanoseconds| mtime % step == 0 && (mtime - ODD).abs() < *step;
        Self {
            executable: cfg!(unix) && !was_executable && is_executable,
            // Whatever it is, whole seconds are compared generously.
            step: STEPS.into_iter().find(fits).unwrap_or(1),
        }
    }

    /// Whether a local time is what such a file system makes of another one. Some cut off, some round.
    pub(crate) fn is_same_time(self, local: Nanoseconds, remote: Nanoseconds) -> bool {
        let is_whole = |time: Nanoseconds| time.rem_euclid(SECOND) == 0;
        let whole = is_whole(local) || is_whole(remote);
        let same_step = local.rem_euclid(self.step) == 0 && local.saturating_sub(remote).abs() < self.step;
        // Some file systems have whole seconds only, on whatever kind of disk the other side is.
        local == remote || same_step || (whole && local.div_euclid(SECOND) == remote.div_euclid(SECOND))
    }
}

/// The file system that a file is on.
#[cfg(unix)]
pub(crate) fn device(metadata: &Metadata) -> Option<u64> {
    Some(std::os::unix::fs::MetadataExt::dev(metadata))
}

#[cfg(not(unix))]
pub(crate) fn device(_metadata: &Metadata) -> Option<u64> {
    None
}

/// What a file system can hold of which the kind says it.
#[cfg(target_os = "linux")]
fn by_kind(directory: &Path) -> Option<Abilities> {
    /// ext2 to ext4, XFS, btrfs, F2FS, bcachefs, ZFS, tmpfs, overlayfs.
    const ALL: [u64; 8] =
        [0xef53, 0x5846_5342, 0x9123_683e, 0xf2f5_2010, 0xca45_1a4e, 0x2fc1_2fc1, 0x0102_1994, 0x794c_7630];
    /// FAT, exFAT.
    const FAT: [(u64, Nanoseconds); 2] = [(0x4d44, 2 * SECOND), (0x2011_bab0, 10_000_000)];
    let kind = u64::try_from(rustix::fs::statfs(directory).ok()?.f_type).ok()? & 0xffff_ffff;
    if ALL.contains(&kind) {
        return Some(Abilities::ALL);
    }
    let (_, step) = FAT.into_iter().find(|(fat, _)| *fat == kind)?;
    Some(Abilities { executable: false, step })
}

#[cfg(windows)]
fn by_kind(_directory: &Path) -> Option<Abilities> {
    Some(Abilities { executable: false, step: 100 })
}

#[cfg(not(any(target_os = "linux", windows)))]
fn by_kind(_directory: &Path) -> Option<Abilities> {
    None
}

/// Tries out what a file can have; `None` where none can be made. The directory keeps its time.
fn try_out(directory: &Path) -> Option<Abilities> {
    let before = directory.metadata().ok()?.modified().ok();
    let path = directory.join(temporary_name());
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(&path).ok()?;
    let tried = try_out_with(&file);
    let _ = std::fs::remove_file(&path);
    if let (Some(before), Ok(directory)) = (before, File::open(directory)) {
        let _ = directory.set_times(FileTimes::new().set_modified(before).set_accessed(before));
    }
    tried
}

fn try_out_with(file: &File) -> Option<Abilities> {
    let was_executable = is_executable(&file.metadata().ok()?);
    #[cfg(unix)]
    let _ = file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
    let time = from_nanoseconds(ODD);
    file.set_times(FileTimes::new().set_modified(time).set_accessed(time)).ok()?;
    let metadata = file.metadata().ok()?;
    Some(Abilities::judge(mtime(&metadata)?, was_executable, is_executable(&metadata)))
}

/// Whether names that differ by case only are two names in a directory, which may be missing still. Names that are there
/// tell it, and where there is none a file that is there for a moment, if the caller `may_write`. Blocks.
pub(crate) fn case_matters(directory: &Path, may_write: bool) -> bool {
    /// Names that are looked at.
    const MOST: usize = 32;
    let usual = !cfg!(any(windows, target_os = "macos"));
    let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    let Ok(entries) = directory.read_dir() else {
        let above = directory_of(directory);
        return if above == directory { usual } else { case_matters(above, may_write) };
    };
    let names = entries.flatten().map(|entry| entry.file_name());
    for name in names.filter(|name| !is_part(name)).take(MOST) {
        let Some(other) = name.to_str().and_then(other_case) else { continue };
        let is_there = |name: &OsStr| directory.join(name).symlink_metadata().is_ok();
        if is_there(other.as_ref()) {
            // A name that is listed is one of its own.
            let mut names = directory.read_dir().into_iter().flatten().flatten();
            return names.any(|entry| *entry.file_name() == *other);
        }
        if is_there(&name) {
            return true;
        }
    }
    if may_write {
        let name = temporary_name();
        let path = directory.join(&name);
        if OpenOptions::new().write(true).create_new(true).open(&path).is_ok() {
            let other = other_case(&name);
            let is_found = other.is_some_and(|other| directory.join(other).symlink_metadata().is_ok());
            let _ = std::fs::remove_file(path);
            return !is_found;
        }
    }
    usual
}

/// The names of one directory so far, to find those that differ by case only where that does not count.
#[derive(Debug, Default)]
pub(crate) struct FoldedNames {
    /// Hashes of the folded names: there may be many.
    names: HashSet<u64>,
    key: RandomState,
    /// Whether case matters in the directory, once somebody had to know.
    case_matters: Option<bool>,
}

impl FoldedNames {
    /// Whether the directory holds a name as another one already. Looks into the directory only where two names differ
    /// by case. Blocks then.
    pub(crate) fn is_twin(&mut self, name: &str, directory: &Path, may_write: bool) -> bool {
        if self.case_matters == Some(true) || self.names.insert(self.key.hash_one(fold(name))) {
            return false;
        }
        !self.case_matters(directory, may_write)
    }

    /// Whether case matters in the directory. Blocks.
    pub(crate) fn case_matters(&mut self, directory: &Path, may_write: bool) -> bool {
        *self.case_matters.get_or_insert_with(|| case_matters(directory, may_write))
    }
}

/// A name without its case.
pub(crate) fn fold(name: &str) -> String {
    name.to_lowercase()
}

/// A name with its ASCII letters in the other case; `None` if it has none.
fn other_case(name: &str) -> Option<String> {
    let swap = |c: char| if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() };
    let other: String = name.chars().map(swap).collect();
    (other != name).then_some(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_became_of_a_file_tells_what_can_be_held() {
        let all = Abilities { executable: cfg!(unix), step: 1 };
        assert_eq!(Abilities::judge(ODD, false, true), all);
        for (step, got) in [
            (1, ODD),
            (100, ODD / 100 * 100),
            (1_000, ODD / 1_000 * 1_000),
            (10_000_000, ODD / 10_000_000 * 10_000_000),
            (SECOND, ODD / SECOND * SECOND),
            (2 * SECOND, ODD / (2 * SECOND) * 2 * SECOND),
            // Rounded up.
            (100, (ODD / 100 + 1) * 100),
        ] {
            assert_eq!(Abilities::judge(got, false, true).step, step, "{got}");
        }
        // It shows each file as executable, or none.
        for (was, is) in [(true, true), (false, false), (true, false)] {
            assert!(!Abilities::judge(ODD, was, is).executable);
        }
    }

    #[test]
    fn times_are_as_exact_as_the_coarser_side() {
        let exact = Abilities::ALL;
        for (a, b, same) in [
            (5, 5, true),
            (SECOND, 2 * SECOND - 1, true),
            (SECOND + 1, SECOND + 2, false),
            (SECOND, 2 * SECOND, false),
            (-SECOND, -1, true),
            (-SECOND, 0, false),
        ] {
            assert_eq!((exact.is_same_time(a, b), exact.is_same_time(b, a)), (same, same), "{a} {b}");
        }
        let fat = Abilities { executable: false, step: 2 * SECOND };
        for (local, remote, same) in [
            (10 * SECOND, 11 * SECOND + 999, true),
            (12 * SECOND, 11 * SECOND, true),
            (10 * SECOND, 12 * SECOND, false),
            (11 * SECOND + 5, 12 * SECOND + 5, false),
            (Nanoseconds::MIN, Nanoseconds::MAX, false),
        ] {
            assert_eq!(fat.is_same_time(local, remote), same, "{local} {remote}");
        }
    }

    #[test]
    fn trying_out_leaves_nothing_behind() {
        let place = tempfile::tempdir().unwrap();
        let time = from_nanoseconds(ODD);
        let times = FileTimes::new().set_modified(time).set_accessed(time);
        File::open(place.path()).unwrap().set_times(times).unwrap();
        assert_eq!(try_out(place.path()), Some(Abilities::of(place.path(), true)));
        assert_eq!(place.path().metadata().unwrap().modified().unwrap(), time);
        let matters = case_matters(place.path(), true);
        assert_eq!(place.path().read_dir().unwrap().count(), 0);
        // What is there tells the same, and so does what is above.
        std::fs::write(place.path().join("a"), "").unwrap();
        assert_eq!(case_matters(place.path(), false), matters);
        assert_eq!(case_matters(&place.path().join("none/there"), false), matters);
        if matters {
            std::fs::write(place.path().join("A"), "").unwrap();
            assert!(case_matters(place.path(), false));
        }
    }
}
