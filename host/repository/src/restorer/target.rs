//! The place that is restored to. No symlink beneath it is followed, and what has a name is whole.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, fchmod, fstat, mkdirat, openat, renameat,
    syncfs, unlinkat,
};
use rustix::io::Errno;
use rustix::process::geteuid;

use crate::format::tree::Node;
use crate::id::BlobId;

/// What names of unfinished things begin with.
pub(super) const TEMPORARY: &str = ".copal-tmp-";

/// The mode of unfinished files.
const UNFINISHED: Mode = Mode::RUSR.union(Mode::WUSR);

/// The mode of directories that are yet to get theirs. Nobody gives one to a directory that only its owner may enter, so a run knows by it what one
/// that was cut off has made.
pub(super) const UNFINISHED_DIRECTORY: Mode = Mode::RWXU.union(Mode::SVTX);

pub(super) const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// An open directory that is restored to, perhaps through a symlink of the user's.
pub(super) struct Target {
    /// None where nothing is there and nothing is to be made.
    root: Option<OwnedFd>,
    /// Sets this run's temporary names apart from those of others.
    run: u64,
    count: AtomicU64,
}

impl Target {
    /// Opens the directory at `path`. With `may_be_absent`, none is an empty one.
    pub(super) fn open(path: &Path, may_be_absent: bool) -> io::Result<Self> {
        let flags = DIRECTORY.difference(OFlags::NOFOLLOW);
        let root = match openat(CWD, path, flags, Mode::empty()) {
            Err(Errno::NOENT) if may_be_absent => None,
            root => Some(root?),
        };
        Ok(Self {
            root,
            run: rand::random(),
            count: AtomicU64::new(0),
        })
    }

    /// Opens the directory at `path`, which is separated by `/` and empty for the root.
    pub(super) fn open_directory(&self, path: &[u8]) -> Result<OwnedFd, Errno> {
        let root = self.root.as_ref().ok_or(Errno::NOENT)?;
        let mut directory = openat(root, ".", DIRECTORY, Mode::empty())?;
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
        match &self.root {
            Some(root) => Ok(syncfs(root)?),
            None => Ok(()),
        }
    }
}

/// Opens `name` in `parent` as a directory; none if nothing is there.
pub(super) fn existing_directory(
    parent: BorrowedFd<'_>,
    name: &[u8],
) -> Result<Option<OwnedFd>, String> {
    match openat(parent, name, DIRECTORY, Mode::empty()) {
        Ok(fd) => Ok(Some(fd)),
        Err(Errno::NOENT) => Ok(None),
        Err(Errno::NOTDIR | Errno::LOOP) => {
            Err("something that is not a directory is in its place: remove that first".to_owned())
        }
        Err(error) => Err(format!("can't open the directory: {error}")),
    }
}

/// Makes `name` in `parent` a directory, which only its owner may enter until it gets its metadata, and opens it. Also tells whether it was not
/// there before.
pub(super) fn make_directory(
    parent: BorrowedFd<'_>,
    name: &[u8],
) -> Result<(OwnedFd, bool), String> {
    let made = match mkdirat(parent, name, UNFINISHED_DIRECTORY) {
        Ok(()) => true,
        Err(Errno::EXIST) => false,
        Err(error) => return Err(format!("can't make the directory: {error}")),
    };
    let fd = existing_directory(parent, name)?;
    let fd = fd.ok_or("the directory was removed as soon as it was made")?;
    Ok((fd, made))
}

/// Whether a run that was cut off has made the directory, and this user's.
pub(super) fn is_unfinished(directory: &Stat) -> bool {
    // Where the directory above has a group for all that is made in it, that bit comes down from there.
    let mode = Mode::from_raw_mode(directory.st_mode).difference(Mode::SGID);
    mode == UNFINISHED_DIRECTORY && directory.st_uid == geteuid().as_raw()
}

/// Lets its owner write into a directory; gives the mode that it had if that was another. If this fails, so does what comes next, and says what.
pub(super) fn let_owner_write(directory: BorrowedFd<'_>) -> Option<Mode> {
    let mode = Mode::from_raw_mode(fstat(directory).ok()?.st_mode);
    if mode.contains(Mode::RWXU) {
        return None;
    }
    fchmod(directory, mode | Mode::RWXU).ok()?;
    Some(mode)
}

/// The name under which the content of `node` is written before it gets the name `name`, the same in every run: so a run goes on with what one that was cut off has written.
pub(super) fn part_name(node: &Node, name: &[u8]) -> String {
    let ids = node.content.iter().flat_map(|id| id.0);
    let all: Vec<u8> = ids.chain(name.iter().copied()).collect();
    format!("{TEMPORARY}part-{:.32}", BlobId::of(&all))
}

/// The names of what a run that was cut off left unfinished in `directory`.
pub(super) fn leftovers(directory: BorrowedFd<'_>) -> Result<Vec<CString>, Errno> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        if entry
            .file_name()
            .to_bytes()
            .starts_with(TEMPORARY.as_bytes())
        {
            names.push(entry.file_name().to_owned());
        }
    }
    Ok(names)
}

/// Opens what was left under a temporary name, to go on with it: only a file that this user made there and that has no other name.
pub(super) fn adopt(directory: BorrowedFd<'_>, temporary: &str) -> Option<File> {
    let (file, stat) = reopen(directory, temporary)?;
    let ours = Mode::from_raw_mode(stat.st_mode) == UNFINISHED && stat.st_uid == geteuid().as_raw();
    ours.then_some(file)
}

/// Opens a file of that temporary name again, if it is one that has no other name.
pub(super) fn reopen(directory: BorrowedFd<'_>, temporary: &str) -> Option<(File, Stat)> {
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let fd = openat(directory, temporary, flags, Mode::empty()).ok()?;
    let stat = fstat(&fd).ok()?;
    let single =
        FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile && stat.st_nlink == 1;
    single.then(|| (File::from(fd), stat))
}

/// Creates a file of that temporary name, for writing.
pub(super) fn create(directory: BorrowedFd<'_>, temporary: &str) -> Result<File, Errno> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(directory, temporary, flags, UNFINISHED).map(File::from)
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

/// Gives something finished its `name`; what has that now goes `aside` before and comes back if it does not work.
pub(super) fn displace(
    directory: BorrowedFd<'_>,
    temporary: &str,
    name: &[u8],
    aside: &str,
) -> Result<(), String> {
    move_aside(directory, name, aside).inspect_err(|_| discard(directory, temporary))?;
    put_in_place(directory, temporary, name).inspect_err(|_| move_back(directory, aside, name))
}

/// Gives what is called `name` another; nothing there is not an error.
pub(super) fn move_aside(
    directory: BorrowedFd<'_>,
    name: &[u8],
    aside: &str,
) -> Result<(), String> {
    match renameat(directory, name, directory, aside) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(format!("can't move aside what is in its place: {error}")),
    }
}

/// Gives it its name again.
pub(super) fn move_back(directory: BorrowedFd<'_>, aside: &str, name: &[u8]) {
    let _ = renameat(directory, aside, directory, name);
}

/// Removes something unfinished. Whatever is left, the next run removes.
pub(super) fn discard(directory: BorrowedFd<'_>, temporary: impl rustix::path::Arg) {
    let _ = unlinkat(directory, temporary, AtFlags::empty());
}
