//! What the system asks of an entry.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use copal_repository::format::Timestamp;
use copal_repository::format::tree::{Node, NodeKind};
use fuser::{FileAttr, FileType, INodeNo};
use rustix::process::{getegid, geteuid};

use crate::inodes::Item;

/// The block size of `stat`'s counts.
const BLOCK: u64 = 512;

/// What an item is.
pub(crate) fn kind(item: &Item) -> FileType {
    match item {
        Item::Folder(_) => FileType::Directory,
        Item::Link(_) => FileType::Symlink,
        Item::Node { node, .. } => match node.kind {
            NodeKind::Directory => FileType::Directory,
            NodeKind::Symlink => FileType::Symlink,
            NodeKind::BlockDevice => FileType::BlockDevice,
            NodeKind::CharacterDevice => FileType::CharDevice,
            NodeKind::Fifo => FileType::NamedPipe,
            NodeKind::Socket => FileType::Socket,
            NodeKind::File | NodeKind::Irregular => FileType::RegularFile,
        },
    }
}

/// All that `stat` tells of an item.
pub(crate) fn of(number: u64, item: &Item) -> FileAttr {
    match item {
        Item::Folder(_) => own(number, item, 0o555, 0),
        Item::Link(to) => own(number, item, 0o777, to.len() as u64),
        Item::Node { node, .. } => of_node(number, item, node),
    }
}

/// Of something that the repository does not hold.
fn own(number: u64, item: &Item, perm: u16, size: u64) -> FileAttr {
    FileAttr {
        ino: INodeNo(number),
        size,
        blocks: 0,
        atime: UNIX_EPOCH,
        mtime: UNIX_EPOCH,
        ctime: UNIX_EPOCH,
        crtime: UNIX_EPOCH,
        kind: kind(item),
        perm,
        nlink: 1,
        uid: geteuid().as_raw(),
        gid: getegid().as_raw(),
        rdev: 0,
        blksize: 4096,
        flags: 0,
    }
}

fn of_node(number: u64, item: &Item, node: &Node) -> FileAttr {
    let size = match node.kind {
        NodeKind::Symlink => node.link_target.len() as u64,
        _ => node.size,
    };
    FileAttr {
        blocks: size.div_ceil(BLOCK),
        atime: time(node.accessed),
        mtime: time(node.modified),
        ctime: time(node.changed),
        crtime: time(node.modified),
        nlink: u32::try_from(node.links.max(1)).unwrap_or(u32::MAX),
        uid: node.uid,
        gid: node.gid,
        // The kernel takes the number as 32 bits, of which these are the same.
        rdev: node.device as u32,
        ..own(number, item, (node.mode & 0o7777) as u16, size)
    }
}

fn time(time: Timestamp) -> SystemTime {
    let seconds = Duration::from_secs(time.seconds.unsigned_abs());
    let whole = match time.seconds {
        0.. => UNIX_EPOCH.checked_add(seconds),
        _ => UNIX_EPOCH.checked_sub(seconds),
    };
    let nanoseconds = Duration::from_nanos(time.nanoseconds.into());
    whole
        .and_then(|whole| whole.checked_add(nanoseconds))
        .unwrap_or(UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_before_1970_are_times_too() {
        let before = time(Timestamp::utc(-1, 999_999_999));
        assert_eq!(
            UNIX_EPOCH.duration_since(before).ok(),
            Some(Duration::from_nanos(1))
        );
        // Where the system knows no time so early, it is no time at all.
        assert!(time(Timestamp::utc(i64::MIN, 0)) <= UNIX_EPOCH);
    }
}
