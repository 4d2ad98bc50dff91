//! The place that is restored to. No symlink beneath it is followed, and what has a name is whole.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{
    AtFlags, CWD, Dir, Mode, OFlags, fchmod, fstat, linkat, mkdirat, openat, renameat, syncfs,
    unlinkat,
};
use rustix::io::Errno;

/// What names of unfinished things begin with.
const TEMPORARY: &str = ".copal-tmp-";

pub(super) const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// An open directory that is restored to, perhaps through a symlink of the user's.
pub(super) struct Target {
    root: OwnedFd,
    /// Sets this run's temporary names apart from those of others.
    run: u64,
    count: AtomicU64,
}

impl Target {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let flags = DIRECTORY.difference(OFlags::NOFOLLOW);
        Ok(Self {
            root: openat(CWD, path, flags, Mode::empty())?,
            run: rand::random(),
            count: AtomicU64::new(0),
        })
    }

    /// Opens the directory at `path`, which is separated by `/` and empty for the root.
    pub(super) fn open_directory(&self, path: &[u8]) -> Result<OwnedFd, Errno> {
        let mut directory = openat(&self.root, ".", DIRECTORY, Mode::empty())?;
        for name in path
            .split(|&byte| byte == b'/')
            .filter(|name| !name.is_empty())
        {
            directory = openat(&directory, name, DIRECTORY, Mode::empty())?;
        }
        Ok(directory)
    }

    /// A name that nothing has, for something unfinished.
    pub(super) fn temporary_name(&self) -> String {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        format!("{TEMPORARY}{:016x}-{count}", self.run)
    }

    /// Makes all that was written last through a loss of power.
    pub(super) fn sync(&self) -> io::Result<()> {
        Ok(syncfs(&self.root)?)
    }
}

/// Opens `name` in `parent` as a directory, and makes it if it is not there. Until it gets its metadata, its owner may write
/// into it.
pub(super) fn make_directory(parent: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd, String> {
    match mkdirat(parent, name, Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(format!("can't make the directory: {error}")),
    }
    let fd = openat(parent, name, DIRECTORY, Mode::empty()).map_err(|error| match error {
        Errno::NOTDIR | Errno::LOOP => {
            "something that is not a directory is in its place: remove that first".to_owned()
        }
        error => format!("can't open the directory: {error}"),
    })?;
    let_owner_write(fd.as_fd());
    Ok(fd)
}

/// Lets its owner write into a directory. If this fails, so does what comes next, and says what.
pub(super) fn let_owner_write(directory: BorrowedFd<'_>) {
    if let Ok(stat) = fstat(directory)
        && let mode = Mode::from_raw_mode(stat.st_mode)
        && !mode.contains(Mode::RWXU)
    {
        let _ = fchmod(directory, mode | Mode::RWXU);
    }
}

/// Removes what a killed run left unfinished in `directory`.
pub(super) fn remove_leftovers(directory: BorrowedFd<'_>) -> Result<(), Errno> {
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if name.to_bytes().starts_with(TEMPORARY.as_bytes()) {
            match unlinkat(directory, name, AtFlags::empty()) {
                // A directory has never been one of ours.
                Ok(()) | Err(Errno::NOENT | Errno::ISDIR) => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

/// Creates a file of that temporary name, for writing.
pub(super) fn create(directory: BorrowedFd<'_>, temporary: &str) -> Result<File, Errno> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(directory, temporary, flags, Mode::RUSR | Mode::WUSR).map(File::from)
}

/// Opens a file of that temporary name again.
pub(super) fn reopen(directory: BorrowedFd<'_>, temporary: &str) -> Result<File, Errno> {
    let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(directory, temporary, flags, Mode::empty()).map(File::from)
}

/// Gives something finished its `name`, in place of what has that now, unless that is a directory with something in it.
/// Whether it works or not, the temporary name is gone.
pub(super) fn put_in_place(
    directory: BorrowedFd<'_>,
    temporary: &str,
    name: &[u8],
) -> Result<(), String> {
    let result = match renameat(directory, temporary, directory, name) {
        Err(Errno::ISDIR) => unlinkat(directory, name, AtFlags::REMOVEDIR)
            .and_then(|()| renameat(directory, temporary, directory, name)),
        result => result,
    };
    if result.is_ok() {
        return Ok(());
    }
    discard(directory, temporary);
    result.map_err(|error| match error {
        Errno::NOTEMPTY | Errno::EXIST => {
            "a directory that is not empty is in its place: remove that first".to_owned()
        }
        error => format!("can't put it in place: {error}"),
    })
}

/// Makes `name` a further name of the file that this run put into `first` as `first_name`.
pub(super) fn link(
    first: BorrowedFd<'_>,
    first_name: &[u8],
    directory: BorrowedFd<'_>,
    temporary: &str,
    name: &[u8],
) -> Result<(), String> {
    linkat(first, first_name, directory, temporary, AtFlags::empty())
        .map_err(|error| format!("can't make the hard link: {error}"))?;
    put_in_place(directory, temporary, name)?;
    // Renaming a link over another one of the same file does nothing at all.
    discard(directory, temporary);
    Ok(())
}

/// Removes something unfinished. Whatever is left, the next run removes.
pub(super) fn discard(directory: BorrowedFd<'_>, temporary: &str) {
    let _ = unlinkat(directory, temporary, AtFlags::empty());
}
