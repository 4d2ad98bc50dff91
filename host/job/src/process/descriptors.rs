//! What a command reads from further descriptors: files without a name, that only the command's own process tree can open.

use std::io::{self, Seek as _, Write as _};
use std::os::fd::OwnedFd;

use command_fds::{CommandFdExt as _, FdMapping};
use rustix::fs::{MemfdFlags, Mode, SealFlags, fchmod, fcntl_add_seals, memfd_create};

/// The number of the first, after standard input, output and error.
const FIRST: i32 = 3;

/// The path at which a command finds the descriptor of this number, counted from 0.
pub(crate) fn path(number: usize) -> String {
    format!("/dev/fd/{}", child(number))
}

/// Hands these contents to a command that is yet to be started. No other process gets them, whatever is started at the same time.
pub(super) fn hand_over(
    command: &mut std::process::Command,
    contents: &[Vec<u8>],
) -> io::Result<()> {
    if contents.is_empty() {
        return Ok(());
    }
    let mapping = |(number, content): (usize, &Vec<u8>)| {
        Ok(FdMapping {
            parent_fd: file(content)?,
            child_fd: child(number),
        })
    };
    let mappings = contents.iter().enumerate().map(mapping);
    command
        .fd_mappings(mappings.collect::<io::Result<_>>()?)
        .map_err(io::Error::other)?;
    Ok(())
}

fn child(number: usize) -> i32 {
    FIRST.saturating_add(i32::try_from(number).unwrap_or(i32::MAX))
}

/// A file in memory, closed in every process that is started but the one that it is mapped into. Regular, and readable by its owner alone:
/// libpq takes no other for a password file.
fn file(content: &[u8]) -> io::Result<OwnedFd> {
    let fd = memfd_create("copal", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    let mut file = std::fs::File::from(fd);
    file.write_all(content)?;
    file.rewind()?;
    fchmod(&file, Mode::RUSR)?;
    fcntl_add_seals(
        &file,
        SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL,
    )?;
    Ok(file.into())
}
