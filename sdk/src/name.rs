//! How the contract spells names: UTF-8 text in which a backslash stands as `\\` and a byte that is not part of valid UTF-8 as `\xNN`. So every
//! name of a Unix file system has exactly one spelling.

use std::fmt::Write;

use crate::Failure;

/// Spells the bytes of a name, a path or a symlink's target.
///
/// ```
/// assert_eq!(copal_sdk::name::escape(b"a\\b\xff"), r"a\\b\xff");
/// ```
pub fn escape(bytes: &[u8]) -> String {
    let mut spelled = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        spelled.push_str(&chunk.valid().replace('\\', r"\\"));
        for byte in chunk.invalid() {
            // Writing to a string can't fail.
            let _ = write!(spelled, r"\x{byte:02x}");
        }
    }
    spelled
}

/// The bytes that a spelling stands for. Fails with `corrupt` where [`escape`] would not have spelled anything so.
pub fn unescape(spelled: &str) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::with_capacity(spelled.len());
    for unit in units(spelled) {
        match unit {
            Unit::Char(char) => bytes.extend(char.encode_utf8(&mut [0; 4]).bytes()),
            Unit::Byte(byte) => bytes.push(byte),
        }
    }
    if escape(&bytes) == spelled {
        Ok(bytes)
    } else {
        Err(Failure::corrupt(
            "sdk.name.spelling",
            format!("`{spelled}` is not how a name is spelled"),
        ))
    }
}

/// What a name is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Unit {
    Char(char),
    /// A byte that is not part of valid UTF-8.
    Byte(u8),
}

/// Reads a spelling unit by unit. A backslash that begins no escape stands for itself.
pub(crate) fn units(spelled: &str) -> Units<'_> {
    Units(spelled)
}

#[derive(Clone)]
pub(crate) struct Units<'a>(&'a str);

impl Iterator for Units<'_> {
    type Item = Unit;

    fn next(&mut self) -> Option<Unit> {
        let mut chars = self.0.chars();
        let first = chars.next()?;
        self.0 = chars.as_str();
        if first != '\\' {
            return Some(Unit::Char(first));
        }
        if let Some(rest) = self.0.strip_prefix('\\') {
            self.0 = rest;
        } else if let Some((byte, rest)) = hexadecimal(self.0) {
            self.0 = rest;
            return Some(Unit::Byte(byte));
        }
        Some(Unit::Char(first))
    }
}

/// The byte of `xNN` at the beginning, and what follows.
fn hexadecimal(escape: &str) -> Option<(u8, &str)> {
    let (digits, rest) = escape.strip_prefix('x')?.split_at_checked(2)?;
    // Parsing alone would take a sign too.
    if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    Some((u8::from_str_radix(digits, 16).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_name_survives_its_spelling(bytes: Vec<u8>) {
            prop_assert_eq!(unescape(&escape(&bytes)).unwrap(), bytes);
        }

        #[test]
        fn every_text_is_refused_or_the_one_spelling(text: String) {
            if let Ok(bytes) = unescape(&text) {
                prop_assert_eq!(escape(&bytes), text);
            }
        }
    }

    #[test]
    fn spellings_that_no_name_has_are_refused() {
        for spelled in [
            r"\",
            r"a\b",
            r"\x",
            r"\x4",
            r"\x41",
            r"\xFF",
            r"\xc3\xa4",
            r"\x+1",
        ] {
            assert!(unescape(spelled).is_err(), "{spelled}");
        }
    }
}
