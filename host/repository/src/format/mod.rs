//! The bytes of the restic repository format and the types they stand for. Pure: no input or output happens here.
//!
//! Source of the facts: restic's `doc/design.rst`, and restic 0.14 as an oracle in the tests.

mod json;
mod time;
pub mod tree;

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
