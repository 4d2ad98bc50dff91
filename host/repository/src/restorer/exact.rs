//! Removing what the snapshot does not hold.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, open, openat2, statat, unlinkat,
};
use rustix::io::Errno;

use super::target::{DIRECTORY, let_owner_write};

/// How deep a directory may be nested to be removed: each level takes stack and an open file.
const DEEPEST: usize = 500;

/// What has been removed.
#[derive(Default)]
pub(super) struct Removed {
    pub(super) count: u64,
    /// Names of what is still there, at least in part, and why.
    pub(super) failed: Vec<(Vec<u8>, String)>,
}

/// Removes the entries of an open directory of which `stays`, given name and kind, says no.
pub(super) fn remove_others(
    directory: BorrowedFd<'_>,
    stays: impl Fn(&[u8], FileType) -> bool,
) -> Result<Removed, Errno> {
    let mut removed = Removed::default();
    for (name, kind) in list(directory)? {
        let kind = match kind {
            FileType::Unknown => statat(directory, &name, AtFlags::SYMLINK_NOFOLLOW)
                .map(|stat| FileType::from_raw_mode(stat.st_mode)),
            kind => Ok(kind),
        };
        let result = match kind {
            Ok(kind) if stays(name.to_bytes(), kind) => continue,
            Ok(_) => remove(directory, &name, DEEPEST),
            Err(error) => Err(error),
        };
        match result {
            Ok(()) | Err(Errno::NOENT) => removed.count += 1,
            Err(error) => {
                let reason = match error {
                    Errno::XDEV | Errno::BUSY => "a file system is mounted there".to_owned(),
                    error => error.to_string(),
                };
                removed.failed.push((name.into_bytes(), reason));
            }
        }
    }
    Ok(removed)
}

/// Removes what lies at `path` with all beneath it; nothing there is not an error. What is mounted there or beneath stays, and is an error.
pub(super) fn remove_path(path: &Path) -> Result<(), Errno> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(Errno::INVAL);
    };
    let name = CString::new(name.as_bytes()).map_err(|_| Errno::INVAL)?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    match open(parent, flags, Mode::empty())
        .and_then(|parent| remove(parent.as_fd(), &name, DEEPEST))
    {
        Err(Errno::NOENT) => Ok(()),
        removed => removed,
    }
}

/// Removes `name` with all beneath it, as far as it lies in the same file system and at most so deep.
fn remove(directory: BorrowedFd<'_>, name: &CStr, depth: usize) -> Result<(), Errno> {
    match unlinkat(directory, name, AtFlags::empty()) {
        Err(Errno::ISDIR) => {}
        result => return result,
    }
    let depth = depth.checked_sub(1).ok_or(Errno::NAMETOOLONG)?;
    let inner = openat2(
        directory,
        name,
        DIRECTORY,
        Mode::empty(),
        ResolveFlags::NO_XDEV,
    )?;
    let_owner_write(inner.as_fd());
    for (name, _) in list(inner.as_fd())? {
        remove(inner.as_fd(), &name, depth)?;
    }
    unlinkat(directory, name, AtFlags::REMOVEDIR)
}

fn list(directory: BorrowedFd<'_>) -> Result<Vec<(CString, FileType)>, Errno> {
    let mut entries = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            entries.push((entry.file_name().to_owned(), entry.file_type()));
        }
    }
    Ok(entries)
}
