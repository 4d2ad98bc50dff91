//! The packets of SFTP version 3: `draft-ietf-secsh-filexfer-02`.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

/// The version of the protocol, which all servers speak.
pub(super) const VERSION: u32 = 3;

/// Kinds of requests.
pub(super) const INIT: u8 = 1;
pub(super) const OPEN: u8 = 3;
pub(super) const CLOSE: u8 = 4;
pub(super) const READ: u8 = 5;
pub(super) const WRITE: u8 = 6;
pub(super) const FSTAT: u8 = 8;
pub(super) const OPENDIR: u8 = 11;
pub(super) const READDIR: u8 = 12;
pub(super) const REMOVE: u8 = 13;
pub(super) const MKDIR: u8 = 14;
pub(super) const STAT: u8 = 17;
pub(super) const RENAME: u8 = 18;
pub(super) const EXTENDED: u8 = 200;

/// How a file is opened.
pub(super) const FOR_READING: u32 = 0x01;
/// Made by this, or not at all.
pub(super) const NEW_FOR_WRITING: u32 = 0x02 | 0x08 | 0x20;

/// Codes of a status.
pub(crate) const OK: u32 = 0;
pub(crate) const END_OF_FILE: u32 = 1;
pub(crate) const NO_SUCH_FILE: u32 = 2;
pub(crate) const PERMISSION_DENIED: u32 = 3;

/// Which attributes there are.
const HAS_SIZE: u32 = 0x01;
const HAS_OWNER: u32 = 0x02;
const HAS_PERMISSIONS: u32 = 0x04;
const HAS_TIMES: u32 = 0x08;
const HAS_MORE: u32 = 0x8000_0000;

/// The type of a file within its mode.
const TYPE: u32 = 0o170_000;

/// What is known of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Attributes {
    /// In bytes.
    pub(super) size: Option<u64>,
    /// The mode, with the file's type.
    pub(super) mode: Option<u32>,
    /// The time of the last change, in seconds of Unix.
    pub(super) modified: Option<u32>,
}

impl Attributes {
    pub(super) fn is_directory(&self) -> bool {
        self.mode.is_some_and(|mode| mode & TYPE == 0o040_000)
    }

    pub(super) fn is_file(&self) -> bool {
        self.mode.is_some_and(|mode| mode & TYPE == 0o100_000)
    }
}

/// A request, but for its number.
#[derive(Debug)]
pub(super) struct Request(BytesMut);

impl Request {
    pub(super) fn new(kind: u8) -> Self {
        let mut packet = BytesMut::with_capacity(64);
        // Its length is not known yet.
        packet.put_u32(0);
        packet.put_u8(kind);
        packet.put_u32(0);
        Self(packet)
    }

    pub(super) fn number(mut self, number: u32) -> Self {
        self.0.put_u32(number);
        self
    }

    pub(super) fn offset(mut self, offset: u64) -> Self {
        self.0.put_u64(offset);
        self
    }

    /// A string of bytes, which has 4 GiB at most.
    pub(super) fn text(mut self, text: impl AsRef<[u8]>) -> Self {
        let text = text.as_ref();
        self.0.reserve(text.len() + 4);
        self.0.put_u32(text.len() as u32);
        self.0.put_slice(text);
        self
    }

    /// Attributes with nothing but permissions.
    pub(super) fn permissions(self, permissions: u32) -> Self {
        self.number(HAS_PERMISSIONS).number(permissions)
    }

    /// Attributes without any.
    pub(super) fn no_attributes(self) -> Self {
        self.number(0)
    }

    /// The packet, with its length before it.
    pub(super) fn packet(mut self, number: u32) -> Bytes {
        let length = self.0.len() as u32 - 4;
        self.0[..4].copy_from_slice(&length.to_be_bytes());
        self.0[5..9].copy_from_slice(&number.to_be_bytes());
        self.0.freeze()
    }
}

/// What a server answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Status {
        code: u32,
        message: String,
    },
    Handle(Bytes),
    Data(Bytes),
    /// Names are taken as UTF-8, since no object has any other.
    Names(Vec<(String, Attributes)>),
    Attributes(Attributes),
    /// That of an extension.
    Extended(Bytes),
}

/// The first answer: the version, and the names of the server's extensions.
pub(super) fn version(mut packet: Bytes) -> Option<(u32, Vec<String>)> {
    if packet.try_get_u8().ok()? != 2 {
        return None;
    }
    let version = packet.try_get_u32().ok()?;
    let mut extensions = Vec::new();
    while packet.has_remaining() {
        extensions.push(String::from_utf8_lossy(&text(&mut packet)?).into_owned());
        text(&mut packet)?;
    }
    Some((version, extensions))
}

/// A further answer with the number of its request; none where the packet is not understood.
pub(super) fn answer(mut packet: Bytes) -> Option<(u32, Answer)> {
    let kind = packet.try_get_u8().ok()?;
    let number = packet.try_get_u32().ok()?;
    let answer = match kind {
        101 => Answer::Status {
            code: packet.try_get_u32().ok()?,
            // Old servers leave it out.
            message: text(&mut packet)
                .map(|text| String::from_utf8_lossy(&text).into_owned())
                .unwrap_or_default(),
        },
        102 => Answer::Handle(text(&mut packet)?),
        103 => Answer::Data(text(&mut packet)?),
        104 => {
            let count = packet.try_get_u32().ok()?;
            let mut names = Vec::new();
            for _ in 0..count {
                let name = String::from_utf8_lossy(&text(&mut packet)?).into_owned();
                // The line that `ls` would print.
                text(&mut packet)?;
                names.push((name, attributes(&mut packet)?));
            }
            Answer::Names(names)
        }
        105 => Answer::Attributes(attributes(&mut packet)?),
        201 => Answer::Extended(packet),
        _ => return None,
    };
    Some((number, answer))
}

/// A string of bytes.
fn text(packet: &mut Bytes) -> Option<Bytes> {
    let length = packet.try_get_u32().ok()? as usize;
    (length <= packet.len()).then(|| packet.split_to(length))
}

fn attributes(packet: &mut Bytes) -> Option<Attributes> {
    let mut attributes = Attributes::default();
    let flags = packet.try_get_u32().ok()?;
    let has = |attribute| flags & attribute != 0;
    if has(HAS_SIZE) {
        attributes.size = Some(packet.try_get_u64().ok()?);
    }
    if has(HAS_OWNER) {
        packet.try_get_u64().ok()?;
    }
    if has(HAS_PERMISSIONS) {
        attributes.mode = Some(packet.try_get_u32().ok()?);
    }
    if has(HAS_TIMES) {
        packet.try_get_u32().ok()?;
        attributes.modified = Some(packet.try_get_u32().ok()?);
    }
    if has(HAS_MORE) {
        for _ in 0..packet.try_get_u32().ok()? {
            text(packet)?;
            text(packet)?;
        }
    }
    Some(attributes)
}

/// The numbers in the answer to `limits@openssh.com`: what a packet, a read and a write may have in bytes. 0 stands for no limit.
pub(super) fn limits(mut answer: Bytes) -> Option<[u64; 3]> {
    let mut limits = [0; 3];
    for limit in &mut limits {
        *limit = answer.try_get_u64().ok()?;
    }
    Some(limits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_laid_out_as_the_draft_says() {
        let request = Request::new(OPEN)
            .text("a")
            .number(FOR_READING)
            .no_attributes();
        let packet = request.packet(7);
        let expected = b"\0\0\0\x12\x03\0\0\0\x07\0\0\0\x01a\0\0\0\x01\0\0\0\0";
        assert_eq!(&packet[..], expected);
    }

    #[test]
    fn answers_are_understood_and_cut_ones_are_refused() {
        let name = b"\x68\0\0\0\x09\0\0\0\x01\0\0\0\x01a\0\0\0\x02ls\x80\0\0\x0f\0\0\0\0\0\0\0\x05\0\0\0\x01\0\0\0\x02\0\0\x81\x80\0\0\0\x03\0\0\0\x04\0\0\0\x01\0\0\0\x01x\0\0\0\0";
        let attributes = Attributes {
            size: Some(5),
            mode: Some(0o100_600),
            modified: Some(4),
        };
        assert!(attributes.is_file() && !attributes.is_directory());
        let status = b"\x65\0\0\0\x01\0\0\0\x02\0\0\0\x02no\0\0\0\0";
        let failed = Answer::Status {
            code: NO_SUCH_FILE,
            message: "no".to_owned(),
        };
        for (packet, number, expected) in [
            (
                &name[..],
                9,
                Answer::Names(vec![("a".to_owned(), attributes)]),
            ),
            (&status[..], 1, failed),
            (
                b"\x66\0\0\0\x02\0\0\0\x02\xff\x80",
                2,
                Answer::Handle(Bytes::from_static(b"\xff\x80")),
            ),
            (
                b"\x67\0\0\0\x03\0\0\0\x01d",
                3,
                Answer::Data(Bytes::from_static(b"d")),
            ),
            (
                b"\xc9\0\0\0\x04more",
                4,
                Answer::Extended(Bytes::from_static(b"more")),
            ),
        ] {
            let packet = Bytes::from_static(packet);
            assert_eq!(answer(packet.clone()), Some((number, expected)));
            for length in 0..packet.len() {
                // None of them panics.
                answer(packet.slice(..length));
                version(packet.slice(..length));
            }
        }
        // More than there is.
        let huge = b"\x68\0\0\0\x09\xff\xff\xff\xff";
        assert_eq!(answer(Bytes::from_static(huge)), None);
        let hello = b"\x02\0\0\0\x03\0\0\0\x01e\0\0\0\x011";
        let (number, extensions) = version(Bytes::from_static(hello)).unwrap();
        assert_eq!((number, extensions), (VERSION, vec!["e".to_owned()]));
    }
}
