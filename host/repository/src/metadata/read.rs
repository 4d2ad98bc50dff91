//! From the file system to a node.

use std::ffi::CStr;

use jiff::tz::TimeZone;
use rustix::fs::{FileType, Stat, fgetxattr, flistxattr, lgetxattr, llistxattr};
use rustix::io::Errno;

use super::names::Names;
use super::{ATTRIBUTE_LIMIT, Item, path_in};
use crate::format::Timestamp;
use crate::format::tree::{Node, NodeKind};

/// Names and values of extended attributes.
pub(crate) type Attributes = Vec<(Vec<u8>, Vec<u8>)>;

/// Turns what the system says about files into nodes. One for each thread.
pub(crate) struct Reader {
    names: Names,
    zone: TimeZone,
    list: Box<[u8]>,
    value: Box<[u8]>,
}

impl Reader {
    pub(crate) fn new() -> Self {
        Self {
            names: Names::default(),
            zone: TimeZone::system(),
            list: vec![0; ATTRIBUTE_LIMIT].into(),
            value: vec![0; ATTRIBUTE_LIMIT].into(),
        }
    }

    /// All that `stat` tells. As restic does by default, the time of access is that of modification: reading must not
    /// make a directory's listing a new one.
    #[expect(
        clippy::unnecessary_cast,
        reason = "the types differ between platforms"
    )]
    pub(crate) fn node(&mut self, name: &[u8], stat: &Stat) -> Node {
        let kind = kind_of(stat);
        let modified = self.timestamp(stat.st_mtime as i64, stat.st_mtime_nsec as u32);
        let mut node = Node {
            mode: stat.st_mode as u32 & 0o7777,
            modified,
            accessed: modified,
            changed: self.timestamp(stat.st_ctime as i64, stat.st_ctime_nsec as u32),
            uid: stat.st_uid,
            gid: stat.st_gid,
            user: self.names.user(stat.st_uid),
            group: self.names.group(stat.st_gid),
            inode: stat.st_ino as u64,
            device_id: stat.st_dev as u64,
            ..Node::new(name, kind)
        };
        match kind {
            NodeKind::File => {
                node.size = u64::try_from(stat.st_size).unwrap_or(0);
                node.links = stat.st_nlink as u64;
            }
            NodeKind::Symlink => node.links = stat.st_nlink as u64,
            NodeKind::BlockDevice | NodeKind::CharacterDevice => {
                node.device = stat.st_rdev as u64;
                node.links = stat.st_nlink as u64;
            }
            NodeKind::Directory | NodeKind::Fifo | NodeKind::Socket | NodeKind::Irregular => {}
        }
        node
    }

    fn timestamp(&self, seconds: i64, nanoseconds: u32) -> Timestamp {
        let offset = jiff::Timestamp::from_second(seconds)
            .map_or(0, |time| self.zone.to_offset(time).seconds() / 60);
        Timestamp {
            seconds,
            nanoseconds,
            offset_minutes: i16::try_from(offset).unwrap_or(0),
        }
    }

    /// All extended attributes of `item`, in the system's order. What can't be read is left out and told.
    pub(crate) fn extended_attributes(&mut self, item: Item<'_>) -> (Attributes, Option<String>) {
        let length = match item {
            Item::Open(fd) => flistxattr(fd, &mut *self.list),
            Item::At(directory, name) => llistxattr(path_in(directory, name), &mut *self.list),
        };
        let list = match length {
            Ok(length) => self.list.get(..length).unwrap_or_default(),
            Err(Errno::NOTSUP) => return (Vec::new(), None),
            Err(error) => {
                let message = format!("can't list its extended attributes: {error}");
                return (Vec::new(), Some(message));
            }
        };
        let mut attributes = Vec::new();
        let mut problem = None;
        for name in list.split_inclusive(|&byte| byte == 0) {
            let Ok(name) = CStr::from_bytes_with_nul(name) else {
                continue;
            };
            let length = match item {
                Item::Open(fd) => fgetxattr(fd, name, &mut *self.value),
                Item::At(directory, file) => {
                    lgetxattr(path_in(directory, file), name, &mut *self.value)
                }
            };
            match length {
                Ok(length) => attributes.push((
                    name.to_bytes().to_vec(),
                    self.value.get(..length).unwrap_or_default().to_vec(),
                )),
                // Removed since it was listed.
                Err(Errno::NODATA) => {}
                Err(error) => {
                    let name = name.to_string_lossy();
                    problem = Some(format!("can't read its extended attribute {name}: {error}"));
                }
            }
        }
        (attributes, problem)
    }
}

/// What `stat` is about.
pub(crate) fn kind_of(stat: &Stat) -> NodeKind {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => NodeKind::File,
        FileType::Directory => NodeKind::Directory,
        FileType::Symlink => NodeKind::Symlink,
        FileType::BlockDevice => NodeKind::BlockDevice,
        FileType::CharacterDevice => NodeKind::CharacterDevice,
        FileType::Fifo => NodeKind::Fifo,
        FileType::Socket => NodeKind::Socket,
        FileType::Unknown => NodeKind::Irregular,
    }
}
