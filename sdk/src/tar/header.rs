//! One header block: fields, numbers, checksum.

use std::ops::Range;

use super::{BLOCK, damaged};
use crate::Failure;

/// A field of a header block.
pub(super) struct Field {
    name: &'static str,
    place: Range<usize>,
}

const fn field(name: &'static str, start: usize, end: usize) -> Field {
    Field {
        name,
        place: start..end,
    }
}

pub(super) const NAME: Field = field("name", 0, 100);
pub(super) const MODE: Field = field("mode", 100, 108);
pub(super) const UID: Field = field("uid", 108, 116);
pub(super) const GID: Field = field("gid", 116, 124);
pub(super) const SIZE: Field = field("size", 124, 136);
pub(super) const LINK: Field = field("linkname", 157, 257);
pub(super) const USER: Field = field("uname", 265, 297);
pub(super) const GROUP: Field = field("gname", 297, 329);
pub(super) const PREFIX: Field = field("prefix", 345, 500);
const CHECKSUM: Range<usize> = 148..156;

/// A header block.
#[derive(Clone, Copy)]
pub(super) struct Header<'a>(pub(super) &'a [u8; BLOCK]);

impl<'a> Header<'a> {
    pub(super) fn is_zero(self) -> bool {
        self.0.iter().all(|byte| *byte == 0)
    }

    pub(super) fn type_flag(self) -> u8 {
        self.0[156]
    }

    /// Whether it is of ustar's or GNU's format, which have names of owners.
    pub(super) fn has_names(self) -> bool {
        self.0[257..262] == *b"ustar"
    }

    /// Whether it is of ustar's format, which has a prefix to the name; GNU has times in its place.
    pub(super) fn has_prefix(self) -> bool {
        self.0[257..263] == *b"ustar\0"
    }

    /// Whether more blocks of an old GNU sparse file's map follow.
    pub(super) fn map_goes_on(self) -> bool {
        self.type_flag() == b'S' && self.0[482] != 0
    }

    /// The field's text up to its first NUL.
    pub(super) fn text(self, field: &Field) -> &'a [u8] {
        let bytes = &self.0[field.place.clone()];
        let length = bytes.iter().position(|byte| *byte == 0);
        &bytes[..length.unwrap_or(bytes.len())]
    }

    /// The field's number: octal digits, or GNU's base 256 where the first bit is set. An empty field is 0.
    pub(super) fn number(self, field: &Field, offset: u64) -> Result<u64, Failure> {
        let bytes = &self.0[field.place.clone()];
        let value = if bytes[0] & 0x80 != 0 {
            let first = bytes[0] & 0x7f;
            std::iter::once(&first)
                .chain(&bytes[1..])
                .try_fold(0_u64, |value, byte| {
                    Some(value.checked_mul(256)? | u64::from(*byte))
                })
        } else {
            let text = bytes.trim_ascii_start();
            let length = text.iter().position(|byte| matches!(byte, 0 | b' '));
            let digits = &text[..length.unwrap_or(text.len())];
            digits.iter().try_fold(0_u64, |value, digit| match digit {
                b'0'..=b'7' => value.checked_mul(8)?.checked_add(u64::from(digit - b'0')),
                _ => None,
            })
        };
        value.ok_or_else(|| {
            damaged(format!(
                "the header at byte {offset} holds no number in its field `{}`",
                field.name
            ))
        })
    }

    /// Checks the sum of all bytes, which some old programs made of signed ones.
    pub(super) fn check(self, offset: u64) -> Result<(), Failure> {
        let sum = |value: fn(u8) -> i64| -> i64 {
            let bytes = self.0.iter().enumerate();
            bytes
                .map(|(place, byte)| {
                    value(if CHECKSUM.contains(&place) {
                        b' '
                    } else {
                        *byte
                    })
                })
                .sum()
        };
        let field = Field {
            name: "chksum",
            place: CHECKSUM,
        };
        let stored = i64::try_from(self.number(&field, offset)?).unwrap_or(-1);
        if stored == sum(i64::from) || stored == sum(|byte| i64::from(byte.cast_signed())) {
            Ok(())
        } else {
            Err(damaged(format!(
                "what should be a header at byte {offset} has a wrong checksum"
            )))
        }
    }
}

/// Writes a text and fills the field up with NULs. Fails where it does not fit.
pub(super) fn set_text(block: &mut [u8; BLOCK], field: &Field, text: &str) -> Result<(), Failure> {
    let bytes = &mut block[field.place.clone()];
    if text.len() >= bytes.len() || text.contains('\0') {
        return Err(unfit(field, text));
    }
    bytes.fill(0);
    bytes[..text.len()].copy_from_slice(text.as_bytes());
    Ok(())
}

/// Writes a number: in octal digits where it fits, else in base 256.
pub(super) fn set_number(
    block: &mut [u8; BLOCK],
    field: &Field,
    value: u64,
) -> Result<(), Failure> {
    let bytes = &mut block[field.place.clone()];
    let digits = bytes.len() - 1;
    if value.checked_shr(3 * digits as u32).unwrap_or(0) == 0 {
        bytes.copy_from_slice(format!("{value:0digits$o}\0").as_bytes());
        return Ok(());
    }
    // One bit of the first byte says that it is binary.
    let room = bytes.len().min(8);
    if bytes.len() <= 8 && value >> (8 * room as u32 - 8) > 0 {
        return Err(unfit(field, &value.to_string()));
    }
    bytes.fill(0);
    let start = bytes.len() - room;
    bytes[start..].copy_from_slice(&value.to_be_bytes()[8 - room..]);
    bytes[0] |= 0x80;
    Ok(())
}

/// Writes the checksum that fits the block, as GNU tar and ustar do: six digits, NUL, space.
pub(super) fn set_checksum(block: &mut [u8; BLOCK]) {
    block[CHECKSUM].fill(b' ');
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[CHECKSUM].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

fn unfit(field: &Field, value: &str) -> Failure {
    Failure::unsupported(
        "sdk.tar.value",
        format!(
            "`{value}` does not fit into the field `{}` of a tar header",
            field.name
        ),
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_number_written_is_the_number_read(value: u64, small in 0_u64..1 << 24) {
            let mut block = [0; BLOCK];
            set_number(&mut block, &SIZE, value).unwrap();
            prop_assert_eq!(Header(&block).number(&SIZE, 0).unwrap(), value);
            set_number(&mut block, &UID, small).unwrap();
            prop_assert_eq!(Header(&block).number(&UID, 0).unwrap(), small);
        }

        #[test]
        fn a_number_that_does_not_fit_is_refused(value in 1_u64 << 56..) {
            prop_assert!(set_number(&mut [0; BLOCK], &UID, value).is_err());
        }
    }

    #[test]
    fn numbers_are_read_as_tar_writes_them() {
        for (bytes, value) in [
            (&b"0001750\0"[..], Some(0o1750)),
            (b"  1750 \0", Some(0o1750)),
            (b"77777777", Some(0o7777_7777)),
            (b"\0\0\0\0\0\0\0\0", Some(0)),
            (b"\x80\0\0\0\0\0\x01\0", Some(256)),
            (
                b"\xff\xff\xff\xff\xff\xff\xff\xff",
                Some(0x7fff_ffff_ffff_ffff),
            ),
            (b"0009\0\0\0\0", None),
            (b"-1\0\0\0\0\0\0", None),
        ] {
            let mut block = [0; BLOCK];
            block[UID.place].copy_from_slice(bytes);
            assert_eq!(Header(&block).number(&UID, 0).ok(), value, "{bytes:?}");
        }
        let mut block = [0; BLOCK];
        block[SIZE.place].fill(0xff);
        assert!(
            Header(&block).number(&SIZE, 0).is_err(),
            "more than 64 bits"
        );
    }
}
