//! What a file has beside its content: permissions, owner, times, extended attributes.

use std::fs::{File, FileTimes};
use std::io;
use std::time::SystemTime;

use sealift_protocol::message::{Content, Nanoseconds};

use super::from_nanoseconds;
use super::pinned::{NameStanding, Ownership, Pinned};

/// Gives a new file what it is to have: the permissions, the owner and the attributes of the file that it replaces, if it
/// replaces one, and the mode `fresh` if not and there is one. Returns the first thing that was refused: some file
/// systems know no permissions, some let only a file's owner set its times, and the content is good all the same.
pub(super) fn dress(
    pinned: &Pinned,
    name: &std::ffi::OsStr,
    file: &File,
    replaced: Option<NameStanding>,
    fresh: Option<u32>,
    content: &Content,
) -> Option<io::Error> {
    let permitted = match replaced {
        Some(NameStanding::File(worn)) => take_over(pinned, name, file, worn, content.executable),
        _ => fresh.map_or(Ok(()), |mode| permit(file, mode)),
    };
    let timed = set_times(file, content.mtime);
    permitted.and(timed).err()
}

/// Sets both times. Where only one is set, the system is told to leave the other alone, and some file systems take that
/// for a time.
pub(crate) fn set_times(file: &File, mtime: Nanoseconds) -> io::Result<()> {
    let times = FileTimes::new().set_accessed(SystemTime::now()).set_modified(from_nanoseconds(mtime));
    file.set_times(times)
}

/// The mode of a file that had `mode`, when it may be executed, or may not. Whoever may read it may execute it then.
pub(crate) fn with_executable(mode: u32, executable: bool) -> u32 {
    match mode & 0o111 != 0 {
        is if is == executable => mode,
        true => mode & !0o111,
        false => mode | (mode & 0o444) >> 2,
    }
}

#[cfg(unix)]
fn permit(file: &File, mode: u32) -> io::Result<()> {
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(mode))
}

#[cfg(not(unix))]
fn permit(_file: &File, _mode: u32) -> io::Result<()> {
    Ok(())
}

/// Makes a file look like the one whose place it takes. A program that ran as its owner does not hand that on to other
/// contents.
#[cfg(unix)]
fn take_over(
    pinned: &Pinned,
    name: &std::ffi::OsStr,
    file: &File,
    worn: Ownership,
    executable: bool,
) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, fchown};
    let mut mode = with_executable(worn.mode & 0o777, executable);
    let is = file.metadata()?;
    if is.gid() != worn.group && fchown(file, None, Some(worn.group)).is_err() {
        // What its group could do the group that it has now must not, unless everybody could.
        mode = mode & !0o070 | (mode & 0o007) << 3;
    }
    if is.uid() != worn.user {
        // Only an administrator can give files away; what everybody else fetches is theirs.
        let _ = fchown(file, Some(worn.user), None);
    }
    copy_attributes(pinned, name, file);
    permit(file, mode)
}

#[cfg(not(unix))]
fn take_over(
    _pinned: &Pinned,
    _name: &std::ffi::OsStr,
    _file: &File,
    _worn: Ownership,
    _executable: bool,
) -> io::Result<()> {
    Ok(())
}

/// Copies the attributes that belong to a file's owner, and its access list. Those of the system, such as the rights of a
/// program, are the content's, not the name's. What cannot be read or written stays behind.
#[cfg(target_os = "linux")]
fn copy_attributes(pinned: &Pinned, name: &std::ffi::OsStr, file: &File) {
    use std::os::unix::ffi::OsStrExt;

    use rustix::fs::{XattrFlags, fgetxattr, flistxattr, flistxattr_query, fsetxattr};
    /// The most bytes that Linux keeps of either.
    const MOST: usize = 64 * 1024;
    let Ok(replaced) = pinned.open(name, false) else { return };
    if !matches!(flistxattr_query(&replaced), Ok(1..)) {
        return;
    }
    let mut names = vec![0; MOST];
    let Ok(length) = flistxattr(&replaced, &mut names) else { return };
    for attribute in names[..length].split(|byte| *byte == 0) {
        if attribute.starts_with(b"user.") || attribute == b"system.posix_acl_access" {
            let attribute = std::ffi::OsStr::from_bytes(attribute);
            let mut value = vec![0; MOST];
            if let Ok(length) = fgetxattr(&replaced, attribute, &mut value) {
                let _ = fsetxattr(file, attribute, &value[..length], XattrFlags::empty());
            }
        }
    }
}

#[cfg(all(unix, not(target_os = "linux")))]
fn copy_attributes(_pinned: &Pinned, _name: &std::ffi::OsStr, _file: &File) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_executed_may_be_by_those_who_may_read_it() {
        for (mode, executable, becomes) in [
            (0o644, true, 0o755),
            (0o600, true, 0o700),
            (0o640, true, 0o750),
            (0o755, false, 0o644),
            (0o700, true, 0o700),
            (0o711, true, 0o711),
            (0o644, false, 0o644),
        ] {
            assert_eq!(with_executable(mode, executable), becomes, "{mode:o} {executable}");
        }
    }
}
