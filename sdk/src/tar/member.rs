//! A member: what its headers say, and the same headers with something else in them.

use std::ops::Range;

use super::header::{self, Field, Header};
use super::{BLOCK, damaged, padding, pax};
use crate::Failure;

/// What a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// Another name of a file that came before.
    HardLink,
    /// A symbolic link.
    Symlink,
    /// A directory.
    Directory,
    /// Something else, by its type flag, such as `b'6'` for a named pipe.
    Other(u8),
}

/// One member of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Where its headers begin in the archive.
    pub offset: u64,
    /// Its path as it is written, such as `./uploads/a.png` or `db/`.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// Bytes of content that follow the headers.
    pub size: u64,
    /// Permission bits.
    pub mode: u32,
    /// The owner's number.
    pub uid: u64,
    /// The group's number.
    pub gid: u64,
    /// The owner's name; empty where there is none.
    pub user: Vec<u8>,
    /// The group's name; empty where there is none.
    pub group: Vec<u8>,
    /// Where a link points; empty for other kinds.
    pub link: Vec<u8>,
    pub(super) headers: Headers,
    pub(super) globals: Overrides,
}

/// What to write into a member's headers; what is none stays as it is, byte for byte.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// The owner's number.
    pub uid: Option<u64>,
    /// The group's number.
    pub gid: Option<u64>,
    /// The owner's name, of at most 31 bytes. A header without names, from before ustar, gets none.
    pub user: Option<String>,
    /// The group's name, likewise.
    pub group: Option<String>,
    /// Permission bits, 0 to 0o7777.
    pub mode: Option<u32>,
    /// Bytes of content.
    pub size: Option<u64>,
}

/// The blocks of a member's headers as they were read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Headers {
    pub(super) bytes: Vec<u8>,
    /// What comes before the member's own header.
    pub(super) extensions: Vec<Extension>,
}

/// An extension: a header block, then data in whole blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Extension {
    pub(super) type_flag: u8,
    /// The data without its padding.
    pub(super) data: Range<usize>,
}

/// What extensions say in place of the header.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Overrides {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    uid: Option<u64>,
    gid: Option<u64>,
    user: Option<Vec<u8>>,
    group: Option<Vec<u8>>,
}

impl Overrides {
    /// Takes over what an extension that begins at `offset` says.
    pub(super) fn read(&mut self, type_flag: u8, data: &[u8], offset: u64) -> Result<(), Failure> {
        if !is_pax(type_flag) {
            let length = data.iter().position(|byte| *byte == 0);
            let name = data[..length.unwrap_or(data.len())].to_vec();
            match type_flag {
                b'L' => self.path = Some(name),
                _ => self.link = Some(name),
            }
            return Ok(());
        }
        for record in pax::records(data, offset) {
            let record = record?;
            // An empty value takes back what an earlier header said.
            let value = (!record.value.is_empty()).then_some(record.value);
            let bytes = || value.map(<[u8]>::to_vec);
            let number = || value.map(|value| pax::number(value, offset)).transpose();
            match record.keyword {
                b"path" | b"GNU.sparse.name" => self.path = bytes(),
                b"linkpath" => self.link = bytes(),
                b"size" => self.size = number()?,
                b"uid" => self.uid = number()?,
                b"gid" => self.gid = number()?,
                b"uname" => self.user = bytes(),
                b"gname" => self.group = bytes(),
                _ => {}
            }
        }
        Ok(())
    }
}

pub(super) fn is_pax(type_flag: u8) -> bool {
    matches!(type_flag, b'x' | b'X' | b'g')
}

impl Member {
    /// The member of a whole set of headers, of which `block` is its own.
    pub(super) fn read(
        offset: u64,
        block: &[u8; BLOCK],
        headers: Headers,
        globals: &Overrides,
        overrides: Overrides,
    ) -> Result<Self, Failure> {
        let header = Header(block);
        let mut path = header.text(&header::NAME).to_vec();
        let prefix = header.text(&header::PREFIX);
        if header.has_prefix() && !prefix.is_empty() {
            path = [prefix, b"/", &path].concat();
        }
        let path = overrides.path.unwrap_or(path);
        let kind = match header.type_flag() {
            b'0' | b'7' | b'S' | 0 if path.ends_with(b"/") => Kind::Directory,
            b'0' | b'7' | b'S' | 0 => Kind::File,
            b'1' => Kind::HardLink,
            b'2' => Kind::Symlink,
            b'5' => Kind::Directory,
            other => Kind::Other(other),
        };
        let size = match overrides.size {
            Some(size) => size,
            None => header.number(&header::SIZE, offset)?,
        };
        // POSIX: for these a size is nothing that follows.
        let bare = matches!(header.type_flag(), b'1'..=b'6');
        let size = if bare { 0 } else { size };
        let number = |own: Option<u64>, field: &Field| match own {
            Some(number) => Ok(number),
            None => header.number(field, offset),
        };
        let name = |own: Option<Vec<u8>>, field: &Field| match own {
            Some(name) => name,
            None if header.has_names() => header.text(field).to_vec(),
            None => Vec::new(),
        };
        let mode = header.number(&header::MODE, offset)? & 0o7777;
        Ok(Self {
            offset,
            path,
            kind,
            size,
            mode: u32::try_from(mode).unwrap_or(0),
            uid: number(overrides.uid, &header::UID)?,
            gid: number(overrides.gid, &header::GID)?,
            user: name(overrides.user, &header::USER),
            group: name(overrides.group, &header::GROUP),
            link: overrides
                .link
                .unwrap_or_else(|| header.text(&header::LINK).to_vec()),
            headers,
            globals: globals.clone(),
        })
    }

    /// The bytes of its headers as they were read: whole blocks.
    pub fn headers(&self) -> &[u8] {
        &self.headers.bytes
    }

    /// Where its content begins in the archive.
    pub fn content_offset(&self) -> u64 {
        self.offset.saturating_add(self.headers.bytes.len() as u64)
    }

    /// The headers with `change` in them; every other byte stays. Fails where a value does not fit, or where a global pax header says what is
    /// to be changed.
    pub fn changed(&self, change: &Change) -> Result<Vec<u8>, Failure> {
        let change = self.differing(change);
        if change == Change::default() {
            return Ok(self.headers.bytes.clone());
        }
        let mut out = Vec::with_capacity(self.headers.bytes.len());
        let mut done = 0;
        let mut recorded = Vec::new();
        for extension in &self.headers.extensions {
            let header = extension.data.start - BLOCK;
            let end = extension.data.end + padding(extension.data.len() as u64);
            out.extend_from_slice(self.bytes(done..header));
            done = end;
            let data = self.bytes(extension.data.clone());
            let own = is_pax(extension.type_flag) && extension.type_flag != b'g';
            match own.then(|| change.records(data, self.offset)).transpose()? {
                Some((records, keywords)) if !keywords.is_empty() => {
                    recorded.extend(keywords);
                    let mut block = self.block(header)?;
                    header::set_number(&mut block, &header::SIZE, records.len() as u64)?;
                    header::set_checksum(&mut block);
                    out.extend_from_slice(&block);
                    out.extend_from_slice(&records);
                    out.resize(out.len() + padding(records.len() as u64), 0);
                }
                _ => out.extend_from_slice(self.bytes(header..end)),
            }
        }
        self.refuse_globals(&change, &recorded)?;
        let mut block = self.block(done)?;
        change.write(&mut block, &recorded)?;
        out.extend_from_slice(&block);
        // What is left is the map of a sparse file.
        out.extend_from_slice(self.bytes(done + BLOCK..self.headers.bytes.len()));
        Ok(out)
    }

    /// The part of a change that changes something.
    fn differing(&self, change: &Change) -> Change {
        let text = |wanted: &Option<String>, is: &[u8]| {
            wanted.clone().filter(|wanted| wanted.as_bytes() != is)
        };
        Change {
            uid: change.uid.filter(|uid| *uid != self.uid),
            gid: change.gid.filter(|gid| *gid != self.gid),
            user: text(&change.user, &self.user),
            group: text(&change.group, &self.group),
            mode: change.mode.filter(|mode| *mode != self.mode),
            size: change.size.filter(|size| *size != self.size),
        }
    }

    /// A global header speaks for members to come too, so it can't be changed for one.
    fn refuse_globals(&self, change: &Change, recorded: &[&str]) -> Result<(), Failure> {
        let globals = &self.globals;
        let said = [
            ("uid", change.uid.is_some() && globals.uid.is_some()),
            ("gid", change.gid.is_some() && globals.gid.is_some()),
            ("uname", change.user.is_some() && globals.user.is_some()),
            ("gname", change.group.is_some() && globals.group.is_some()),
            ("size", change.size.is_some() && globals.size.is_some()),
        ];
        let found = said
            .iter()
            .find(|(keyword, said)| *said && !recorded.contains(keyword));
        match found {
            None => Ok(()),
            Some((keyword, _)) => Err(Failure::unsupported(
                "sdk.tar.global",
                format!(
                    "a global header of the archive says the `{keyword}` of all members, which can't be changed for one"
                ),
            )),
        }
    }

    fn bytes(&self, range: Range<usize>) -> &[u8] {
        self.headers.bytes.get(range).unwrap_or_default()
    }

    fn block(&self, start: usize) -> Result<[u8; BLOCK], Failure> {
        let bytes = self.bytes(start..start + BLOCK);
        bytes
            .try_into()
            .map_err(|_| damaged(format!("the headers at byte {} are not whole", self.offset)))
    }
}

impl Change {
    /// The records of a pax header with the change in them, and the keywords of those that were changed.
    fn records(&self, data: &[u8], offset: u64) -> Result<(Vec<u8>, Vec<&'static str>), Failure> {
        let number = |value: Option<u64>| value.map(|value| value.to_string());
        let changes = [
            ("uid", number(self.uid)),
            ("gid", number(self.gid)),
            ("uname", self.user.clone()),
            ("gname", self.group.clone()),
            ("size", number(self.size)),
        ];
        let mut out = Vec::with_capacity(data.len());
        let mut changed = Vec::new();
        for record in pax::records(data, offset) {
            let record = record?;
            let change = changes
                .iter()
                .find(|(keyword, _)| keyword.as_bytes() == record.keyword);
            match change {
                Some((keyword, Some(value))) => {
                    out.extend(pax::record(record.keyword, value.as_bytes()));
                    changed.push(*keyword);
                }
                _ => out.extend_from_slice(record.raw),
            }
        }
        Ok((out, changed))
    }

    /// Writes the change into a member's own header. What a record says need not fit here.
    fn write(&self, block: &mut [u8; BLOCK], recorded: &[&str]) -> Result<(), Failure> {
        let optional = |keyword: &str, written: Result<(), Failure>| {
            if recorded.contains(&keyword) {
                Ok(())
            } else {
                written
            }
        };
        let numbers = [
            ("uid", self.uid, header::UID),
            ("gid", self.gid, header::GID),
            ("size", self.size, header::SIZE),
            ("mode", self.mode.map(u64::from), header::MODE),
        ];
        for (keyword, value, field) in numbers {
            if let Some(value) = value {
                optional(keyword, header::set_number(block, &field, value))?;
            }
        }
        if Header(block).has_names() {
            let names = [
                ("uname", &self.user, header::USER),
                ("gname", &self.group, header::GROUP),
            ];
            for (keyword, value, field) in names {
                if let Some(value) = value {
                    optional(keyword, header::set_text(block, &field, value))?;
                }
            }
        }
        header::set_checksum(block);
        Ok(())
    }
}
