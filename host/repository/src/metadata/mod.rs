//! File systems' metadata ⇄ nodes, on Linux, as restic 0.14 reads and writes them.

mod apply;
mod names;
mod read;

use std::ffi::OsStr;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

pub(crate) use apply::{Applier, create_special};
pub(crate) use read::{Attributes, Reader, kind_of};

/// Linux's bound for the list of an item's extended attributes, and for one's value.
const ATTRIBUTE_LIMIT: usize = 64 << 10;

/// Something whose metadata is read or written.
#[derive(Clone, Copy)]
pub(crate) enum Item<'a> {
    /// An open file or directory.
    Open(BorrowedFd<'a>),
    /// What lies in this directory under this name; a symlink is not followed.
    At(BorrowedFd<'a>, &'a [u8]),
}

/// A path to `name` in an open directory, for the calls on extended attributes, which take no directory.
fn path_in(directory: BorrowedFd<'_>, name: &[u8]) -> PathBuf {
    let mut path = PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd()));
    path.push(OsStr::from_bytes(name));
    path
}

#[cfg(test)]
mod tests;
