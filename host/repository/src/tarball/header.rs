//! An entry's header, with the pax records of what does not fit into it.

use rustix::fs::{major, minor};
use tar::{EntryType, Header};

use super::BLOCK;
use crate::format::Timestamp;
use crate::format::tree::{Node, NodeKind};

/// Numbers of users and groups have at most seven octal digits.
const MOST_ID: u32 = 0o7_777_777;
/// Sizes and times have at most eleven.
const MOST_SIZE: u64 = 0o77_777_777_777;

/// The header of an entry with `size` bytes of content; of a further name of the file at `first`, if there is one.
pub(super) fn entry(path: &[u8], node: &Node, size: u64, first: Option<&[u8]>) -> Vec<u8> {
    let mut header = Header::new_ustar();
    let mut records = Records::default();
    let name = match node.kind {
        NodeKind::Directory => [path, b"/"].concat(),
        _ => path.to_vec(),
    };
    let link = first.unwrap_or(&node.link_target);
    let old = header.as_old_mut();
    records.text("path", &name, &mut old.name);
    if !link.is_empty() {
        records.text("linkpath", link, &mut old.linkname);
    }
    header.set_entry_type(match node.kind {
        _ if first.is_some() => EntryType::Link,
        NodeKind::Directory => EntryType::Directory,
        NodeKind::Symlink => EntryType::Symlink,
        NodeKind::BlockDevice => EntryType::Block,
        NodeKind::CharacterDevice => EntryType::Char,
        NodeKind::Fifo => EntryType::Fifo,
        NodeKind::File | NodeKind::Socket | NodeKind::Irregular => EntryType::Regular,
    });
    header.set_mode(node.mode & 0o7777);
    header.set_uid(records.number("uid", node.uid.into(), MOST_ID.into()));
    header.set_gid(records.number("gid", node.gid.into(), MOST_ID.into()));
    header.set_size(records.number("size", size, MOST_SIZE));
    header.set_mtime(records.time("mtime", node.modified));
    if let Some(ustar) = header.as_ustar_mut() {
        records.text("uname", node.user.as_bytes(), &mut ustar.uname);
        records.text("gname", node.group.as_bytes(), &mut ustar.gname);
        if matches!(node.kind, NodeKind::BlockDevice | NodeKind::CharacterDevice) {
            ustar.set_device_major(major(node.device));
            ustar.set_device_minor(minor(node.device));
        }
    }
    for (name, value) in &node.extended_attributes {
        records.attribute(name, value);
    }
    header.set_cksum();
    let mut blocks = records.into_blocks(&name);
    blocks.extend_from_slice(header.as_bytes());
    blocks
}

/// The records of an entry: `LENGTH KEY=VALUE` and a line feed each, the length counting all of it.
#[derive(Default)]
struct Records {
    bytes: Vec<u8>,
    /// Whether a name is not UTF-8, which has to be said before it.
    binary: bool,
}

impl Records {
    fn add(&mut self, key: &[u8], value: &[u8]) {
        let rest = key.len() + value.len() + 3;
        let mut length = rest + rest.to_string().len();
        // The number may get a digit longer by its own length.
        length = rest + length.to_string().len();
        self.bytes.extend_from_slice(length.to_string().as_bytes());
        self.bytes.push(b' ');
        self.bytes.extend_from_slice(key);
        self.bytes.push(b'=');
        self.bytes.extend_from_slice(value);
        self.bytes.push(b'\n');
    }

    /// Puts text into a field of the header as far as it goes, and into a record where that is not all, or not the same everywhere.
    fn text(&mut self, key: &str, text: &[u8], field: &mut [u8]) {
        let fits = text.len().min(field.len());
        field[..fits].copy_from_slice(&text[..fits]);
        if text.len() > field.len() || !text.is_ascii() {
            self.binary |= str::from_utf8(text).is_err();
            self.add(key.as_bytes(), text);
        }
    }

    /// The number for the header, 0 where it is in a record because it is too large.
    fn number(&mut self, key: &str, number: u64, most: u64) -> u64 {
        if number <= most {
            return number;
        }
        self.add(key.as_bytes(), number.to_string().as_bytes());
        0
    }

    /// The time for the header, with a record of what the header does not say.
    fn time(&mut self, key: &str, time: Timestamp) -> u64 {
        let seconds = u64::try_from(time.seconds)
            .ok()
            .filter(|&seconds| seconds <= MOST_SIZE);
        if seconds.is_none() || time.nanoseconds > 0 {
            self.add(key.as_bytes(), decimal(time).as_bytes());
        }
        seconds.unwrap_or(0)
    }

    /// As star, GNU tar and bsdtar write them.
    fn attribute(&mut self, name: &[u8], value: &[u8]) {
        let mut key = b"SCHILY.xattr.".to_vec();
        for &byte in name {
            match byte {
                b'=' => key.extend_from_slice(b"%3D"),
                b'%' => key.extend_from_slice(b"%25"),
                byte => key.push(byte),
            }
        }
        self.add(&key, value);
    }

    /// The blocks that go before the header of the entry called `name`.
    fn into_blocks(self, name: &[u8]) -> Vec<u8> {
        let mut bytes = self.bytes;
        if bytes.is_empty() {
            return bytes;
        }
        if self.binary {
            let mut first = Self::default();
            first.add(b"hdrcharset", b"BINARY");
            bytes.splice(..0, first.bytes);
        }
        let mut header = Header::new_ustar();
        header.set_entry_type(EntryType::XHeader);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(bytes.len() as u64);
        // What reads no pax writes the records under this name.
        let own = b"PaxHeaders.0/";
        let last = name.rsplit(|&byte| byte == b'/');
        let last = last.map(<[u8]>::to_vec).find(|name| !name.is_empty());
        let shown = [&own[..], &last.unwrap_or_default()].concat();
        let field = &mut header.as_old_mut().name;
        let fits = shown.len().min(field.len());
        field[..fits].copy_from_slice(&shown[..fits]);
        header.set_cksum();
        bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
        bytes.splice(..0, *header.as_bytes());
        bytes
    }
}

/// Seconds since 1970 with a fraction.
fn decimal(time: Timestamp) -> String {
    let nanoseconds = time.nanoseconds.min(999_999_999);
    let (sign, seconds, fraction) = match (time.seconds, nanoseconds) {
        (seconds @ ..0, 1..) => (
            "-",
            (seconds + 1).unsigned_abs(),
            1_000_000_000 - nanoseconds,
        ),
        (seconds @ ..0, 0) => ("-", seconds.unsigned_abs(), 0),
        (seconds, fraction) => ("", seconds.unsigned_abs(), fraction),
    };
    match fraction {
        0 => format!("{sign}{seconds}"),
        _ => {
            let digits = format!("{fraction:09}");
            format!("{sign}{seconds}.{}", digits.trim_end_matches('0'))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_counts_its_own_length() {
        for length in [0, 1, 85, 86, 87, 88, 985, 986, 987, 988, 9980, 9990] {
            let mut records = Records::default();
            records.add(b"path", &vec![b'x'; length]);
            let text = String::from_utf8(records.bytes).unwrap();
            let (said, _) = text.split_once(' ').unwrap();
            assert_eq!(said.parse(), Ok(text.len()), "{length}");
        }
    }

    #[test]
    fn times_before_1970_are_negative_numbers() {
        for (seconds, nanoseconds, text) in [
            (0, 0, "0"),
            (7, 120_000_000, "7.12"),
            (-1, 999_999_999, "-0.000000001"),
            (-2, 0, "-2"),
            (-2, 500_000_000, "-1.5"),
        ] {
            assert_eq!(decimal(Timestamp::utc(seconds, nanoseconds)), text);
        }
    }

    #[test]
    fn what_fits_into_the_header_needs_no_records() {
        let node = Node {
            modified: Timestamp::utc(1_000_000_000, 0),
            ..Node::new("file", NodeKind::File)
        };
        assert_eq!(entry(b"a/file", &node, 3, None).len(), BLOCK);
        let long = vec![b'x'; 101];
        assert_eq!(entry(&long, &node, 3, None).len(), 3 * BLOCK);
    }
}
