//! From a node to the file system.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, Stat, Timespec, Timestamps, UTIME_OMIT, Uid, XattrFlags,
    chmod, chownat, fchmod, fchown, flistxattr, fremovexattr, fsetxattr, futimens, lsetxattr,
    mkfifoat, mknodat, openat, symlinkat, utimensat,
};
use rustix::io::{self, Errno};
use rustix::process::geteuid;

use super::names::Names;
use super::{ATTRIBUTE_LIMIT, Attributes, Item, Reader, path_in};
use crate::format::tree::{Node, NodeKind};

/// Creates what `node` is, unless it has content or is a directory, as `name` in `directory`.
pub(crate) fn create_special(
    directory: BorrowedFd<'_>,
    name: &[u8],
    node: &Node,
) -> io::Result<()> {
    let mode = Mode::from_raw_mode(0o600);
    match node.kind {
        NodeKind::Symlink => symlinkat(&*node.link_target, directory, name),
        NodeKind::Fifo => mkfifoat(directory, name, mode),
        NodeKind::BlockDevice => mknodat(directory, name, FileType::BlockDevice, mode, node.device),
        NodeKind::CharacterDevice => mknodat(
            directory,
            name,
            FileType::CharacterDevice,
            mode,
            node.device,
        ),
        NodeKind::File | NodeKind::Directory | NodeKind::Socket | NodeKind::Irregular => {
            Err(Errno::INVAL)
        }
    }
}

/// Puts nodes' metadata on what has been restored. One for each thread.
pub(crate) struct Applier {
    names: Names,
    reader: Reader,
    root: bool,
}

impl Applier {
    pub(crate) fn new() -> Self {
        Self {
            names: Names::default(),
            reader: Reader::new(),
            root: geteuid().is_root(),
        }
    }

    /// Sets owner, extended attributes, mode and times of `item` to those of `node`. What can't be set is told, and the
    /// rest is set nevertheless.
    ///
    /// Root restores owners by name where this system knows the name, else by number. Others can't give files away:
    /// the owner stays theirs, which is not told. Where the owner can't be set, the set-id bits are left out, because they would
    /// not mean the same, and that is told.
    pub(crate) fn apply(&mut self, node: &Node, item: Item<'_>) -> Vec<String> {
        let mut problems = Vec::new();
        let mut check = |what: &str, result: io::Result<()>| {
            if let Err(error) = result {
                problems.push(format!("can't set its {what}: {error}"));
            }
        };
        // Changing the owner clears set-id bits and capabilities, and a read-only mode forbids extended attributes.
        let mut mode = node.mode & 0o7777;
        let owner = self.set_owner(node, item);
        let refused = owner.is_err();
        match owner {
            Err(Errno::PERM) if !self.root => {}
            owner => check("owner", owner),
        }
        if refused && mode & 0o6000 != 0 {
            mode &= 0o1777;
            check("set-id bits, as its owner is another", Err(Errno::PERM));
        }
        for (name, value) in &node.extended_attributes {
            let result = match item {
                Item::Open(fd) => fsetxattr(fd, &**name, value, XattrFlags::empty()),
                Item::At(directory, file) => lsetxattr(
                    path_in(directory, file),
                    &**name,
                    value,
                    XattrFlags::empty(),
                ),
            };
            check(
                &format!("extended attribute {}", String::from_utf8_lossy(name)),
                result,
            );
        }
        if node.kind != NodeKind::Symlink {
            check("mode", set_mode(Mode::from_raw_mode(mode), item));
        }
        check("times", set_times(node, item));
        problems
    }

    /// Whether [`Self::apply`] would change anything but the time of access of `item`, of which the system says `stat`.
    pub(crate) fn differs(&mut self, node: &Node, item: Item<'_>, stat: &Stat) -> bool {
        let (uid, gid) = self.owner(node);
        // Nobody but root can give a file away: then it stays as it is.
        let foreign = !self.root && stat.st_uid != uid;
        let mode = match foreign && node.mode & 0o6000 != 0 {
            true => node.mode & 0o1777,
            false => node.mode & 0o7777,
        };
        let found = self.reader.node(&node.name, stat);
        (!foreign && (stat.st_uid, stat.st_gid) != (uid, gid))
            || (node.kind != NodeKind::Symlink && found.mode != mode)
            || (node.modified.is_set() && found.modified.instant() != node.modified.instant())
            || self.attributes_differ(node, item)
    }

    fn attributes_differ(&mut self, node: &Node, item: Item<'_>) -> bool {
        let sorted = |mut attributes: Attributes| {
            attributes.retain(|(name, _)| !is_label(name));
            attributes.sort_unstable();
            attributes
        };
        let (found, _) = self.reader.extended_attributes(item);
        sorted(found) != sorted(node.extended_attributes.clone())
    }

    /// Makes the metadata of something that was there before that of `node`, extended attributes that it has not included; returns what went
    /// wrong.
    pub(crate) fn mend(&mut self, node: &Node, item: Item<'_>) -> Vec<String> {
        let mut problems = match item {
            Item::Open(fd) => remove_other_attributes(node, fd),
            Item::At(..) => Vec::new(),
        };
        problems.extend(self.apply(node, item));
        problems
    }

    /// The numbers of the owner and the group that it gets.
    fn owner(&mut self, node: &Node) -> (u32, u32) {
        match self.root {
            true => (
                self.names.uid(&node.user).unwrap_or(node.uid),
                self.names.gid(&node.group).unwrap_or(node.gid),
            ),
            false => (node.uid, node.gid),
        }
    }

    fn set_owner(&mut self, node: &Node, item: Item<'_>) -> io::Result<()> {
        let (uid, gid) = self.owner(node);
        // All ones means "leave it" to the system, and no user or group has that number.
        if uid == u32::MAX || gid == u32::MAX {
            return Err(Errno::INVAL);
        }
        let (uid, gid) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
        match item {
            Item::Open(fd) => fchown(fd, uid, gid),
            Item::At(directory, name) => {
                chownat(directory, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)
            }
        }
    }
}

/// Removes the extended attributes of an open item that `node` has not; returns what went wrong.
fn remove_other_attributes(node: &Node, item: BorrowedFd<'_>) -> Vec<String> {
    let mut list = vec![0; ATTRIBUTE_LIMIT];
    let length = match flistxattr(item, &mut *list) {
        Ok(length) => length,
        Err(Errno::NOTSUP) => return Vec::new(),
        Err(error) => return vec![format!("can't list its extended attributes: {error}")],
    };
    let names = list.get(..length).unwrap_or_default();
    let others = names.split(|&byte| byte == 0).filter(|name| {
        let mut wanted = node.extended_attributes.iter();
        !name.is_empty() && !is_label(name) && !wanted.any(|(wanted, _)| wanted == name)
    });
    others
        .filter_map(|name| {
            let error = fremovexattr(item, name).err()?;
            let name = String::from_utf8_lossy(name);
            Some(format!(
                "can't remove its extended attribute {name}: {error}"
            ))
        })
        .collect()
}

/// Whether the attribute is the system's own mark, which nobody may remove.
fn is_label(name: &[u8]) -> bool {
    name == b"security.selinux"
}

fn set_mode(mode: Mode, item: Item<'_>) -> io::Result<()> {
    match item {
        Item::Open(fd) => fchmod(fd, mode),
        Item::At(directory, name) => {
            // chmodat follows symlinks, and someone may have put one here.
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let fd = openat(directory, name, flags, Mode::empty())?;
            chmod(format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd()), mode)
        }
    }
}

fn set_times(node: &Node, item: Item<'_>) -> io::Result<()> {
    let [last_access, last_modification] = [node.accessed, node.modified].map(|time| Timespec {
        tv_sec: time.seconds,
        tv_nsec: match time.is_set() {
            true => time.nanoseconds.min(999_999_999).into(),
            false => UTIME_OMIT,
        },
    });
    let times = Timestamps {
        last_access,
        last_modification,
    };
    match item {
        Item::Open(fd) => futimens(fd, &times),
        Item::At(directory, name) => utimensat(directory, name, &times, AtFlags::SYMLINK_NOFOLLOW),
    }
}
