//! Names of things in a repository: SHA-256 digests, one type for each thing named.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// SHA-256 of `bytes`.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    sha256_of_parts([bytes])
}

/// SHA-256 of all `parts`, one after the other.
pub(crate) fn sha256_of_parts<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(part);
    }
    let mut id = [0; 32];
    id.copy_from_slice(context.finish().as_ref());
    id
}

/// The text is not an id: 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an id of 64 hexadecimal digits")]
pub struct InvalidId(String);

fn parse(text: &str) -> Result<[u8; 32], InvalidId> {
    let invalid = || InvalidId(text.chars().take(80).collect());
    let digits: &[u8; 64] = text.as_bytes().try_into().map_err(|_| invalid())?;
    let (mut id, mut all) = ([0; 32], 0);
    for (byte, [high, low]) in id.iter_mut().zip(digits.as_chunks().0) {
        let [high, low] = [high, low].map(|&digit| DIGIT_VALUES[usize::from(digit)]);
        *byte = high << 4 | low;
        all |= high | low;
    }
    match all {
        0..16 => Ok(id),
        _ => Err(invalid()),
    }
}

/// What each byte is worth as a hexadecimal digit; 255 if it is none.
static DIGIT_VALUES: [u8; 256] = {
    let mut values = [u8::MAX; 256];
    let mut value = 0;
    while value < 16 {
        let digit = DIGITS[value];
        values[digit as usize] = value as u8;
        values[digit.to_ascii_uppercase() as usize] = value as u8;
        value += 1;
    }
    values
};

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// The 64 lower-case hexadecimal digits of `id`.
pub(crate) fn hex(id: &[u8; 32]) -> [u8; 64] {
    let mut text = [0; 64];
    for (pair, byte) in text.chunks_exact_mut(2).zip(id) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    text
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 32]);

        impl $name {
            /// The id of the thing whose bytes these are.
            pub fn of(bytes: &[u8]) -> Self {
                Self(sha256(bytes))
            }

            /// The 64 lower-case hexadecimal digits.
            pub fn hex(&self) -> [u8; 64] {
                hex(&self.0)
            }

            /// The first eight digits: enough for people to tell things apart.
            pub fn short(&self) -> String {
                self.hex().iter().take(8).map(|&digit| char::from(digit)).collect()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(std::str::from_utf8(&self.hex()).unwrap_or_default())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                parse(text).map(Self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(std::str::from_utf8(&self.hex()).unwrap_or_default())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;
                impl serde::de::Visitor<'_> for Text {
                    type Value = [u8; 32];
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("64 hexadecimal digits")
                    }
                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<[u8; 32], E> {
                        parse(text).map_err(E::custom)
                    }
                }
                deserializer.deserialize_str(Text).map(Self)
            }
        }
    )*};
}

ids! {
    /// A blob: SHA-256 of its plaintext.
    BlobId;
    /// A directory's listing, which is stored as a tree blob: SHA-256 of its JSON.
    TreeId;
    /// A pack file: SHA-256 of the stored bytes.
    PackId;
    /// An index file: SHA-256 of the stored bytes.
    IndexId;
    /// A snapshot: SHA-256 of the stored bytes.
    SnapshotId;
    /// A key file: SHA-256 of the stored bytes.
    KeyId;
    /// A lock file: SHA-256 of the stored bytes.
    LockId;
    /// A repository, drawn at random when it is initialised.
    RepositoryId;
}

impl From<TreeId> for BlobId {
    fn from(id: TreeId) -> Self {
        Self(id.0)
    }
}

impl From<BlobId> for TreeId {
    /// The caller knows that the blob is a tree.
    fn from(id: BlobId) -> Self {
        Self(id.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_nothing_is_the_well_known_digest() {
        let text = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(BlobId::of(b"").to_string(), text);
        assert_eq!(text.parse(), Ok(BlobId::of(b"")));
        assert_eq!(BlobId::of(b"").short(), "e3b0c442");
    }

    #[test]
    fn anything_but_64_hexadecimal_digits_is_refused() {
        for text in [
            "",
            "e3b0",
            &"g".repeat(64),
            &"é".repeat(32),
            &"0".repeat(66),
        ] {
            assert!(text.parse::<PackId>().is_err(), "{text}");
        }
    }
}
