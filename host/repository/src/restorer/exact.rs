//! Removing what the snapshot does not hold.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, fchmod, open, openat2, readlinkat, statat,
    unlinkat,
};
use rustix::io::Errno;

use super::Job;
use super::decide::Decided;
use super::level::Level;
use super::target::{DIRECTORY, TEMPORARY, let_owner_write};
use crate::error::Error;
use crate::format::tree::NodeKind;
use crate::metadata::Reader;
use crate::pass::{LazyPass, Trouble, Verdict};
use crate::progress::join;

/// How deep a directory may be nested to be removed: each level takes stack and an open file.
pub(super) const DEEPEST: usize = 500;

/// Something in a directory of the target.
pub(super) struct Found {
    pub(super) name: CString,
    kind: FileType,
}

impl Found {
    pub(super) fn is_directory(&self) -> bool {
        self.kind == FileType::Directory
    }
}

/// Finds what is not to stay in the directory: what has to give way to an entry of another kind, and what is removed once all is in place.
pub(super) fn find_others<'a>(
    job: &'a Job<'a>,
    pass: &mut LazyPass<'a>,
    level: &mut Level,
    decided: &mut Decided,
) -> Result<(), Error> {
    let Some(fd) = &level.fd else {
        return Ok(());
    };
    let found = match list(fd.as_fd()) {
        Ok(found) => found,
        Err(error) => {
            let message = format!("can't list it to remove what is not in the snapshot: {error}");
            job.inexact(&level.path, message);
            return Ok(());
        }
    };
    let (displaced, mut others) = decided.sort_out(found, job);
    // What an earlier run left unfinished is taken up or removed without a word, unless it is a directory that gave way then.
    let unfinished = |found: &Found| found.name.to_bytes().starts_with(TEMPORARY.as_bytes());
    others.retain(|found| found.is_directory() || !unfinished(found));
    let mut remover = Remover::new(job, pass, true);
    level.others = remover.may_go(fd.as_fd(), &level.source, &level.path, others)?;
    for (place, found) in displaced {
        let path = join(&level.path, found.name.to_bytes());
        let goes = remover.goes(fd.as_fd(), found, &level.source, &path)?;
        if let Some(entry) = decided.entries.get_mut(place) {
            entry.displaces = goes;
        }
    }
    if !level.others.is_empty() && !job.options.dry_run {
        level.open_up();
    }
    Ok(())
}

/// Removes things that may go from the directory that lies at `source` in the snapshot and at `path` beneath the target. In a dry run it is only
/// told.
pub(super) fn remove_others<'a>(
    job: &'a Job<'a>,
    pass: &mut LazyPass<'a>,
    source: &[u8],
    path: &[u8],
    others: Vec<Found>,
) -> Result<(), Error> {
    let directory = match job.target.open_directory(path) {
        Ok(directory) => directory,
        Err(error) => {
            let message = format!("can't open it to remove what is not in the snapshot: {error}");
            job.inexact(path, message);
            return Ok(());
        }
    };
    let mut remover = Remover::new(job, pass, job.options.dry_run);
    for found in others {
        let name = found.name.to_bytes();
        let (source, path) = (join(source, name), join(path, name));
        let removed = remover.remove(directory.as_fd(), &found, &source, &path, DEEPEST);
        for path in remover.gone.drain(..) {
            job.summary(|summary| summary.removed.add(&path));
        }
        match removed {
            Ok(_) => {}
            Err(Trouble::End(error)) => return Err(error),
            Err(Trouble::Item(error)) => {
                let message = format!("is not in the snapshot and can't be removed: {error}");
                job.inexact(&path, message);
            }
        }
    }
    Ok(())
}

/// Removes what lies at `path` with all beneath it; nothing there is not an error. What is mounted there or beneath stays, and is an error.
pub(super) fn remove_path(path: &Path) -> Result<(), Errno> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(Errno::INVAL);
    };
    let name = CString::new(name.as_bytes()).map_err(|_| Errno::INVAL)?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    match open(parent, flags, Mode::empty()) {
        Ok(parent) => remove_all(parent.as_fd(), &name, DEEPEST),
        Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Removes `name` from a directory, with all beneath it that lies in the same file system.
pub(super) fn remove_all(
    directory: BorrowedFd<'_>,
    name: &CStr,
    depth: usize,
) -> Result<(), Errno> {
    match unlink(directory, name, AtFlags::empty()) {
        Err(Errno::ISDIR) => {}
        result => return result,
    }
    let depth = depth.checked_sub(1).ok_or(Errno::NAMETOOLONG)?;
    let inner = enter(directory, name)?;
    let_owner_write(inner.as_fd());
    for found in list(inner.as_fd())? {
        remove_all(inner.as_fd(), &found.name, depth)?;
    }
    unlink(directory, name, AtFlags::REMOVEDIR)
}

/// Removes what may go, or finds out what that is.
struct Remover<'a, 'b> {
    job: &'a Job<'a>,
    pass: &'b mut LazyPass<'a>,
    reader: Reader,
    /// Whether nothing is removed.
    dry: bool,
    /// What went: a directory of which nothing is left without what was beneath it.
    gone: Vec<Vec<u8>>,
}

impl<'a, 'b> Remover<'a, 'b> {
    fn new(job: &'a Job<'a>, pass: &'b mut LazyPass<'a>, dry: bool) -> Self {
        Self {
            job,
            pass,
            reader: Reader::new(),
            dry,
            gone: Vec::new(),
        }
    }

    /// Whether all of what was found in the directory at `source` may go; it is told where it is only foretold.
    fn goes(
        &mut self,
        directory: BorrowedFd<'_>,
        found: Found,
        source: &[u8],
        path: &[u8],
    ) -> Result<bool, Error> {
        let source_of = join(source, found.name.to_bytes());
        let mut left = self.may_go(directory, source, path, vec![found])?;
        let Some(found) = left.pop() else {
            return Ok(false);
        };
        let goes = self.remove(directory, &found, &source_of, path, DEEPEST);
        self.gone.clear();
        match goes {
            Ok(goes) => {
                if goes && self.job.options.dry_run {
                    self.job.summary(|summary| summary.removed.add(path));
                }
                Ok(goes)
            }
            Err(Trouble::Item(_)) => Ok(false),
            Err(Trouble::End(error)) => Err(error),
        }
    }

    /// What of the things found in a directory may go: what is chosen, is no socket, and is left out neither by the pass nor by the backup.
    fn may_go(
        &mut self,
        directory: BorrowedFd<'_>,
        source: &[u8],
        path: &[u8],
        mut found: Vec<Found>,
    ) -> Result<Vec<Found>, Error> {
        let options = self.job.options;
        found.retain(|found| {
            let source = join(source, found.name.to_bytes());
            found.kind != FileType::Socket && options.has(&source) && !options.is_spared(&source)
        });
        if self.job.passes.is_none() || found.is_empty() {
            return Ok(found);
        }
        let (mut known, mut nodes) = (Vec::new(), Vec::new());
        for found in found {
            let name = &*found.name;
            // What has vanished since need not be removed.
            if let Ok(stat) = statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
                let mut node = self.reader.node(name.to_bytes(), &stat);
                if node.kind == NodeKind::Symlink
                    && let Ok(target) = readlinkat(directory, name, Vec::new())
                {
                    node.link_target = target.into_bytes();
                }
                nodes.push(node);
                known.push(found);
            }
        }
        let verdicts = self.pass.classify(source, &nodes)?;
        let mut left = Vec::new();
        for (found, verdict) in known.into_iter().zip(verdicts) {
            match verdict {
                Ok(Verdict::Keep | Verdict::Change(_)) => left.push(found),
                Ok(Verdict::Skip) => {}
                Err(message) => {
                    let path = join(path, found.name.to_bytes());
                    let message = format!("is not in the snapshot and stays: {message}");
                    self.job.inexact(&path, message);
                }
            }
        }
        Ok(left)
    }

    /// Removes what was found, which may go, as far as what lies beneath it may. Tells whether nothing of it is left.
    fn remove(
        &mut self,
        directory: BorrowedFd<'_>,
        found: &Found,
        source: &[u8],
        path: &[u8],
        depth: usize,
    ) -> Result<bool, Trouble> {
        let before = self.gone.len();
        if found.is_directory() {
            let depth = depth.checked_sub(1).ok_or(Errno::NAMETOOLONG);
            let inner = depth.and_then(|depth| Ok((enter(directory, &found.name)?, depth)));
            let (inner, depth) = inner.map_err(reason)?;
            let mode = match self.dry {
                true => None,
                false => let_owner_write(inner.as_fd()),
            };
            let emptied = self.empty(inner.as_fd(), source, path, depth);
            if let (Ok(false) | Err(_), Some(mode)) = (&emptied, mode) {
                // What stays is to be reached as before.
                let _ = fchmod(&inner, mode);
            }
            if !emptied? {
                return Ok(false);
            }
        }
        if !self.dry {
            let flags = match found.is_directory() {
                true => AtFlags::REMOVEDIR,
                false => AtFlags::empty(),
            };
            unlink(directory, &found.name, flags).map_err(reason)?;
        }
        self.gone.truncate(before);
        self.gone.push(path.to_vec());
        Ok(true)
    }

    /// Removes what may go out of a directory. Tells whether nothing is left in it.
    fn empty(
        &mut self,
        directory: BorrowedFd<'_>,
        source: &[u8],
        path: &[u8],
        depth: usize,
    ) -> Result<bool, Trouble> {
        let found = list(directory).map_err(reason)?;
        let count = found.len();
        let left = self.may_go(directory, source, path, found);
        let left = left.map_err(Trouble::End)?;
        let mut all = left.len() == count;
        for found in left {
            let name = found.name.to_bytes();
            let (source, path) = (join(source, name), join(path, name));
            all &= self.remove(directory, &found, &source, &path, depth)?;
        }
        Ok(all)
    }
}

/// Opens a directory, unless a file system is mounted there.
fn enter(directory: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd, Errno> {
    openat2(
        directory,
        name,
        DIRECTORY,
        Mode::empty(),
        ResolveFlags::NO_XDEV,
    )
}

/// Removes one thing; nothing there is not an error.
fn unlink(directory: BorrowedFd<'_>, name: &CStr, flags: AtFlags) -> Result<(), Errno> {
    match unlinkat(directory, name, flags) {
        Err(Errno::NOENT) => Ok(()),
        result => result,
    }
}

/// Why something could not be removed, for people.
fn reason(error: Errno) -> Trouble {
    Trouble::Item(match error {
        Errno::XDEV | Errno::BUSY => "a file system is mounted there".to_owned(),
        error => error.to_string(),
    })
}

fn list(directory: BorrowedFd<'_>) -> Result<Vec<Found>, Errno> {
    let mut found = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let kind = match entry.file_type() {
            FileType::Unknown => match statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => FileType::from_raw_mode(stat.st_mode),
                Err(Errno::NOENT) => continue,
                Err(error) => return Err(error),
            },
            kind => kind,
        };
        found.push(Found {
            name: name.to_owned(),
            kind,
        });
    }
    Ok(found)
}
