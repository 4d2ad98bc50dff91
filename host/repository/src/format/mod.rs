//! The bytes of the restic repository format and the types they stand for. Pure: no input or output happens here.
//!
//! Source of the facts: restic's `doc/design.rst`, and restic 0.14 as an oracle in the tests.

pub mod config;
pub mod crypto;
pub mod index;
mod json;
pub mod key;
pub mod lock;
pub mod pack;
pub mod polynomial;
pub mod snapshot;
pub(crate) mod time;
pub mod tree;
pub mod unpacked;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::{Zeroize, Zeroizing};

pub use pack::BlobKind;
pub use time::Timestamp;

/// Bytes that are not what the format says. The text names what is wrong with them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub(crate) String);

impl From<serde_json::Error> for Malformed {
    fn from(error: serde_json::Error) -> Self {
        Self(format!("not the JSON expected: {error}"))
    }
}

/// Bytes that JSON holds in Base64, as Go writes a `[]byte`. They may be secret: nothing that is made of them on the way stays in memory.
#[derive(Debug, Clone, PartialEq, Eq, Zeroize)]
pub(crate) struct Base64(pub(crate) Vec<u8>);

impl Serialize for Base64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&Zeroizing::new(STANDARD.encode(&self.0)))
    }
}

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        STANDARD
            .decode(text.as_bytes())
            .map(Self)
            .map_err(serde::de::Error::custom)
    }
}

/// Whether Go's `omitempty` leaves it out.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Go writes a list that was never set as `null`.
fn null_is_default<'de, T: Default + Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests;
