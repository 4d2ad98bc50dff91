//! Removing what the snapshot does not hold.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, fchmod, open, openat2, statat, unlinkat,
};
use rustix::io::Errno;

use super::Job;
use super::decide::Decided;
use super::level::Level;
use super::target::{DIRECTORY, let_owner_write};
use crate::progress::join;

/// How deep a directory may be nested to be removed: each level takes stack and an open file.
const DEEPEST: usize = 500;

/// Removes from the directory what is not to stay in it.
pub(super) fn remove_others(job: &Job<'_>, level: &mut Level, decided: &Decided) {
    let Some(fd) = &level.fd else {
        return;
    };
    let stays = decided.stays(&level.source, job);
    let others = others(fd.as_fd(), |name, kind| {
        stays(name, kind) || level.parts.contains(name)
    });
    let others = match others {
        Ok(others) => others,
        Err(error) => {
            let message = format!("can't list it to remove what is not in the snapshot: {error}");
            return job.inexact(&level.path, message);
        }
    };
    drop(stays);
    if !others.is_empty() && !job.options.dry_run {
        level.open_up();
    }
    for (name, known) in others {
        let path = join(&level.path, name.to_bytes());
        let source = join(&level.source, name.to_bytes());
        let may_go = |path: &[u8]| job.options.has(path);
        let removed = match (&level.fd, known) {
            (_, Err(error)) => Err(error),
            (Some(fd), Ok(())) if !job.options.dry_run => {
                remove(fd.as_fd(), &name, &source, &may_go)
            }
            _ => Ok(true),
        };
        match removed {
            Ok(true) | Err(Errno::NOENT) => job.summary(|summary| summary.removed.add(&path)),
            // Something beneath it is not chosen.
            Ok(false) => {}
            Err(error) => {
                let error = reason(error);
                let message = format!("is not in the snapshot and can't be removed: {error}");
                job.inexact(&path, message);
            }
        }
    }
}

/// The names in an open directory of which `stays`, given name and kind, says no; those whose kind can't be told with the reason for that.
fn others(
    directory: BorrowedFd<'_>,
    stays: impl Fn(&[u8], FileType) -> bool,
) -> Result<Vec<(CString, Result<(), Errno>)>, Errno> {
    let entries = list(directory)?.into_iter();
    let others = entries.filter_map(|(name, kind)| {
        let kind = match kind {
            FileType::Unknown => statat(directory, &name, AtFlags::SYMLINK_NOFOLLOW)
                .map(|stat| FileType::from_raw_mode(stat.st_mode)),
            kind => Ok(kind),
        };
        match kind {
            Ok(kind) if stays(name.to_bytes(), kind) => None,
            kind => Some((name, kind.map(drop))),
        }
    });
    Ok(others.collect())
}

/// Removes `name`, which lies at `path`, with all beneath it, as far as that may go and lies in the same file system. Tells whether nothing of it
/// is left.
fn remove(
    directory: BorrowedFd<'_>,
    name: &CStr,
    path: &[u8],
    may_go: &dyn Fn(&[u8]) -> bool,
) -> Result<bool, Errno> {
    remove_within(directory, name, path, may_go, DEEPEST)
}

/// Removes what lies at `path` with all beneath it; nothing there is not an error. What is mounted there or beneath stays, and is an error.
pub(super) fn remove_path(path: &Path) -> Result<(), Errno> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(Errno::INVAL);
    };
    let name = CString::new(name.as_bytes()).map_err(|_| Errno::INVAL)?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    match open(parent, flags, Mode::empty())
        .and_then(|parent| remove(parent.as_fd(), &name, b"", &|_| true))
    {
        Err(Errno::NOENT) => Ok(()),
        removed => removed.map(drop),
    }
}

/// Why something could not be removed, for people.
fn reason(error: Errno) -> String {
    match error {
        Errno::XDEV | Errno::BUSY => "a file system is mounted there".to_owned(),
        error => error.to_string(),
    }
}

fn remove_within(
    directory: BorrowedFd<'_>,
    name: &CStr,
    path: &[u8],
    may_go: &dyn Fn(&[u8]) -> bool,
    depth: usize,
) -> Result<bool, Errno> {
    if !may_go(path) {
        return Ok(false);
    }
    match unlinkat(directory, name, AtFlags::empty()) {
        Err(Errno::ISDIR) => {}
        result => return result.map(|()| true),
    }
    let depth = depth.checked_sub(1).ok_or(Errno::NAMETOOLONG)?;
    let inner = openat2(
        directory,
        name,
        DIRECTORY,
        Mode::empty(),
        ResolveFlags::NO_XDEV,
    )?;
    let mode = let_owner_write(inner.as_fd());
    let mut all = true;
    for (name, _) in list(inner.as_fd())? {
        let path = join(path, name.to_bytes());
        all &= remove_within(inner.as_fd(), &name, &path, may_go, depth)?;
    }
    match (all, mode) {
        (true, _) => unlinkat(directory, name, AtFlags::REMOVEDIR)?,
        (false, Some(mode)) => fchmod(&inner, mode)?,
        (false, None) => {}
    }
    Ok(all)
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
