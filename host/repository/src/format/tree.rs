//! Directory listings. Their JSON is byte for byte what restic 0.14 writes, because it decides the tree's id.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::json::{quote, unquote, write_string};
use super::{Malformed, Timestamp};
use crate::id::{BlobId, TreeId};

/// One directory's listing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tree {
    /// Its entries, sorted by the bytes of their names, no name twice.
    pub nodes: Vec<Node>,
}

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NodeKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A block device.
    BlockDevice,
    /// A character device.
    CharacterDevice,
    /// A named pipe.
    Fifo,
    /// A Unix socket.
    Socket,
    /// Something that has none of the other kinds (restic writes these on Windows), or whose type is unknown here: then
    /// [`Node::error`] names that.
    Irregular,
}

impl NodeKind {
    /// restic's word for it, and its bits in Go's `os.FileMode`.
    const TABLE: [(Self, &'static str, u32); 8] = [
        (Self::File, "file", 0),
        (Self::Directory, "dir", 1 << 31),
        (Self::Symlink, "symlink", 1 << 27),
        (Self::BlockDevice, "dev", 1 << 26),
        (Self::CharacterDevice, "chardev", 1 << 26 | 1 << 21),
        (Self::Fifo, "fifo", 1 << 25),
        (Self::Socket, "socket", 1 << 24),
        (Self::Irregular, "irregular", 1 << 19),
    ];

    /// restic's word for it: `file`, `dir`, `symlink`, `dev`, `chardev`, `fifo`, `socket`, `irregular`.
    pub fn as_str(self) -> &'static str {
        Self::TABLE
            .iter()
            .find(|row| row.0 == self)
            .map_or("", |row| row.1)
    }

    fn mode_bits(self) -> u32 {
        Self::TABLE
            .iter()
            .find(|row| row.0 == self)
            .map_or(0, |row| row.2)
    }

    fn parse(word: &str) -> Option<Self> {
        Self::TABLE
            .iter()
            .find(|row| row.1 == word)
            .map(|row| row.0)
    }
}

/// The bits 0o7000 of a Unix mode as Go's `os.FileMode` has them: set-user-id, set-group-id, sticky.
const SPECIAL_BITS: [(u32, u32); 3] = [(0o4000, 1 << 23), (0o2000, 1 << 22), (0o1000, 1 << 20)];

/// An entry of a directory, with all that is restored of it.
///
/// What does not apply to its kind is empty or zero.
#[derive(Debug, Clone)]
pub struct Node {
    /// Raw bytes. They come from the repository, so they may hold anything: `..` and `/` too.
    pub name: Vec<u8>,
    /// What it is.
    pub kind: NodeKind,
    /// Permission bits with set-id and sticky, at most `0o7777`.
    pub mode: u32,
    /// When the contents last changed.
    pub modified: Timestamp,
    /// When it was last read.
    pub accessed: Timestamp,
    /// When contents or metadata last changed.
    pub changed: Timestamp,
    /// Owner by number.
    pub uid: u32,
    /// Group by number.
    pub gid: u32,
    /// Owner by name, empty if it has none.
    pub user: String,
    /// Group by name, empty if it has none.
    pub group: String,
    /// Inode number where it was read.
    pub inode: u64,
    /// Device number of the file system where it was read.
    pub device_id: u64,
    /// Bytes of a file's contents.
    pub size: u64,
    /// Number of hard links; 0 for kinds that restic keeps none for.
    pub links: u64,
    /// Where a symbolic link points, raw bytes.
    pub link_target: Vec<u8>,
    /// Names and values, in the order in which they were listed.
    pub extended_attributes: Vec<(Vec<u8>, Vec<u8>)>,
    /// Attributes of other systems (Windows), kept as restic wrote them.
    pub generic_attributes: Option<Box<RawValue>>,
    /// Number of the device that a device node stands for.
    pub device: u64,
    /// A file's contents: blobs in order.
    pub content: Vec<BlobId>,
    /// A directory's listing.
    pub subtree: Option<TreeId>,
    /// What went wrong when restic read it, or why this version can't take it for what it is; empty if nothing.
    pub error: String,
}

impl Node {
    /// A node of that name and kind with nothing else known of it.
    pub fn new(name: impl Into<Vec<u8>>, kind: NodeKind) -> Self {
        Self {
            name: name.into(),
            kind,
            mode: 0,
            modified: Timestamp::ZERO,
            accessed: Timestamp::ZERO,
            changed: Timestamp::ZERO,
            uid: 0,
            gid: 0,
            user: String::new(),
            group: String::new(),
            inode: 0,
            device_id: 0,
            size: 0,
            links: 0,
            link_target: Vec::new(),
            extended_attributes: Vec::new(),
            generic_attributes: None,
            device: 0,
            content: Vec::new(),
            subtree: None,
            error: String::new(),
        }
    }

    /// Mode and kind as Go's `os.FileMode`.
    fn go_mode(&self) -> u32 {
        SPECIAL_BITS
            .iter()
            .filter(|(unix, _)| self.mode & unix != 0)
            .fold(
                self.mode & 0o777 | self.kind.mode_bits(),
                |mode, (_, go)| mode | go,
            )
    }

    fn write(&self, out: &mut Vec<u8>) {
        let mut object = Object {
            out,
            separator: b'{',
        };
        object.string("name", quote(&self.name).as_bytes());
        object.string("type", self.kind.as_str().as_bytes());
        object.nonzero("mode", self.go_mode().into());
        object.time("mtime", self.modified);
        object.time("atime", self.accessed);
        object.time("ctime", self.changed);
        object.number("uid", self.uid.into());
        object.number("gid", self.gid.into());
        object.nonempty("user", self.user.as_bytes());
        object.nonempty("group", self.group.as_bytes());
        object.nonzero("inode", self.inode);
        object.nonzero("device_id", self.device_id);
        object.nonzero("size", self.size);
        object.nonzero("links", self.links);
        object.nonempty("linktarget", &self.link_target);
        if str::from_utf8(&self.link_target).is_err() {
            object.string(
                "linktarget_raw",
                BASE64.encode(&self.link_target).as_bytes(),
            );
        }
        if !self.extended_attributes.is_empty() {
            object.list(
                "extended_attributes",
                &self.extended_attributes,
                |out, (name, value)| {
                    let mut attribute = Object {
                        out,
                        separator: b'{',
                    };
                    attribute.string("name", name);
                    attribute.string("value", BASE64.encode(value).as_bytes());
                    out.push(b'}');
                },
            );
        }
        if let Some(attributes) = &self.generic_attributes {
            object
                .key("generic_attributes")
                .extend_from_slice(attributes.get().as_bytes());
        }
        object.nonzero("device", self.device);
        match self.kind {
            NodeKind::File => object.list("content", &self.content, |out, id| {
                out.push(b'"');
                out.extend_from_slice(&id.hex());
                out.push(b'"');
            }),
            _ => object.key("content").extend_from_slice(b"null"),
        }
        if let Some(id) = &self.subtree {
            object.string("subtree", &id.hex());
        }
        object.nonempty("error", self.error.as_bytes());
        out.push(b'}');
    }
}

impl PartialEq for Node {
    /// Equal nodes have the same JSON.
    fn eq(&self, other: &Self) -> bool {
        let json = |node: &Self| {
            let mut out = Vec::new();
            node.write(&mut out);
            out
        };
        json(self) == json(other)
    }
}

impl Eq for Node {}

/// A JSON object being written: fields in order, no spaces.
struct Object<'a> {
    out: &'a mut Vec<u8>,
    separator: u8,
}

impl Object<'_> {
    fn key(&mut self, name: &str) -> &mut Vec<u8> {
        self.out.push(self.separator);
        self.separator = b',';
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.out
    }

    fn string(&mut self, name: &str, value: &[u8]) {
        write_string(self.key(name), value);
    }

    fn nonempty(&mut self, name: &str, value: &[u8]) {
        if !value.is_empty() {
            self.string(name, value);
        }
    }

    fn number(&mut self, name: &str, value: u64) {
        let mut digits = itoa::Buffer::new();
        self.key(name)
            .extend_from_slice(digits.format(value).as_bytes());
    }

    fn nonzero(&mut self, name: &str, value: u64) {
        if value != 0 {
            self.number(name, value);
        }
    }

    fn time(&mut self, name: &str, value: Timestamp) {
        let out = self.key(name);
        out.push(b'"');
        out.extend_from_slice(value.text().as_bytes());
        out.push(b'"');
    }

    fn list<T>(&mut self, name: &str, values: &[T], mut write: impl FnMut(&mut Vec<u8>, &T)) {
        write_list(self.key(name), values, &mut write);
    }
}

fn write_list<T>(
    out: &mut Vec<u8>,
    values: impl IntoIterator<Item = T>,
    write: &mut impl FnMut(&mut Vec<u8>, T),
) {
    out.push(b'[');
    for (position, value) in values.into_iter().enumerate() {
        if position > 0 {
            out.push(b',');
        }
        write(out, value);
    }
    out.push(b']');
}

impl Tree {
    /// The JSON, which is the tree blob's plaintext. Names must be sorted and unique, or restic refuses the tree.
    pub fn encode(&self) -> Vec<u8> {
        Self::encode_nodes(self.nodes.iter())
    }

    /// The JSON of the tree that has these nodes.
    pub(crate) fn encode_nodes<'a>(nodes: impl ExactSizeIterator<Item = &'a Node>) -> Vec<u8> {
        let mut out = Vec::with_capacity(nodes.len() * 400 + 16);
        out.extend_from_slice(b"{\"nodes\":");
        write_list(&mut out, nodes, &mut |out, node: &Node| node.write(out));
        out.extend_from_slice(b"}\n");
        out
    }

    /// The tree whose JSON this is. Unknown fields are passed over.
    ///
    /// # Errors
    /// The bytes are not a tree.
    pub fn decode(json: &[u8]) -> Result<Self, Malformed> {
        #[derive(Deserialize)]
        struct Fields {
            nodes: Option<Vec<Node>>,
        }
        let fields: Fields = serde_json::from_slice(json)?;
        Ok(Self {
            nodes: fields.nodes.unwrap_or_default(),
        })
    }

    /// The first name that does not follow the one before it, if the order is broken.
    pub fn misplaced(&self) -> Option<&[u8]> {
        self.nodes
            .iter()
            .zip(self.nodes.iter().skip(1))
            .find(|(before, after)| before.name >= after.name)
            .map(|(_, after)| after.name.as_slice())
    }
}

/// A node as it stands in the JSON.
#[derive(Deserialize)]
struct Fields<'a> {
    name: String,
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(default)]
    mode: u32,
    mtime: Option<Timestamp>,
    atime: Option<Timestamp>,
    ctime: Option<Timestamp>,
    #[serde(default)]
    uid: u32,
    #[serde(default)]
    gid: u32,
    #[serde(default)]
    user: String,
    #[serde(default)]
    group: String,
    #[serde(default)]
    inode: u64,
    #[serde(default)]
    device_id: u64,
    #[serde(default)]
    size: u64,
    #[serde(default)]
    links: u64,
    #[serde(default)]
    linktarget: String,
    linktarget_raw: Option<String>,
    extended_attributes: Option<Vec<ExtendedAttribute>>,
    generic_attributes: Option<Box<RawValue>>,
    #[serde(default)]
    device: u64,
    content: Option<Vec<BlobId>>,
    subtree: Option<TreeId>,
    #[serde(default)]
    error: String,
}

#[derive(Deserialize)]
struct ExtendedAttribute {
    name: String,
    value: Option<String>,
}

impl TryFrom<Fields<'_>> for Node {
    type Error = Malformed;

    fn try_from(fields: Fields<'_>) -> Result<Self, Malformed> {
        let name = unquote(&fields.name)?;
        let wrong = |what: &str| {
            let name = name.escape_ascii();
            Malformed(format!("node `{name}`: {what}"))
        };
        let decode = |text: &str| {
            BASE64
                .decode(text)
                .map_err(|_| wrong("a value is not Base64"))
        };
        let mut error = fields.error;
        let kind = NodeKind::parse(&fields.kind).unwrap_or_else(|| {
            // The rest of the directory stays readable, and the node does not pass for one that was stored as irregular.
            error = format!("unknown type `{}`", fields.kind.escape_debug());
            NodeKind::Irregular
        });
        let mode = SPECIAL_BITS
            .iter()
            .filter(|(_, go)| fields.mode & go != 0)
            .fold(fields.mode & 0o777, |mode, (unix, _)| mode | unix);
        let link_target = match &fields.linktarget_raw {
            Some(raw) => decode(raw)?,
            None => fields.linktarget.into_bytes(),
        };
        let extended_attributes = fields
            .extended_attributes
            .unwrap_or_default()
            .into_iter()
            .map(|attribute| {
                Ok((
                    attribute.name.into_bytes(),
                    decode(&attribute.value.unwrap_or_default())?,
                ))
            })
            .collect::<Result<_, Malformed>>()?;
        Ok(Self {
            kind,
            mode,
            modified: fields.mtime.unwrap_or(Timestamp::ZERO),
            accessed: fields.atime.unwrap_or(Timestamp::ZERO),
            changed: fields.ctime.unwrap_or(Timestamp::ZERO),
            uid: fields.uid,
            gid: fields.gid,
            user: fields.user,
            group: fields.group,
            inode: fields.inode,
            device_id: fields.device_id,
            size: fields.size,
            links: fields.links,
            link_target,
            extended_attributes,
            generic_attributes: fields.generic_attributes,
            device: fields.device,
            content: fields.content.unwrap_or_default(),
            subtree: fields.subtree,
            error,
            name,
        })
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Fields::deserialize(deserializer)?
            .try_into()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
