//! What the JSON documents have in common: a format, bounds, and one way to be written.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::bundle::MAX_DOCUMENT;
use crate::refusal::Refusal;
use crate::text::shown;

/// The format that this Copal reads and writes.
const FORMAT: u32 = 1;

/// The format of a document; there is one so far, format 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Format;

impl Serialize for Format {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(FORMAT)
    }
}

impl<'de> Deserialize<'de> for Format {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u32::deserialize(deserializer)? {
            FORMAT => Ok(Self),
            other => Err(serde::de::Error::custom(format_args!(
                "its format is {other}, not {FORMAT}"
            ))),
        }
    }
}

/// Only the format, to tell a document of a later Copal from a broken one.
#[derive(Deserialize)]
struct Formatted {
    format: u32,
}

/// Reads a document.
pub(crate) fn parse<T: DeserializeOwned>(
    name: &str,
    bytes: &[u8],
    validate: impl FnOnce(&T) -> Result<(), String>,
) -> Result<T, Refusal> {
    let invalid = |problem| Refusal::Document {
        document: name.to_owned(),
        problem,
    };
    size(bytes).map_err(invalid)?;
    if let Ok(Formatted { format }) = serde_json::from_slice(bytes)
        && format > FORMAT
    {
        return Err(Refusal::Format {
            document: name.to_owned(),
            format,
        });
    }
    // Serde's messages repeat what they read.
    let document =
        serde_json::from_slice(bytes).map_err(|error| invalid(shown(&error.to_string())))?;
    validate(&document).map_err(invalid)?;
    Ok(document)
}

/// Writes a document that will be read again.
pub(crate) fn write<T: Serialize>(
    name: &str,
    document: &T,
    validate: impl FnOnce(&T) -> Result<(), String>,
) -> Result<Vec<u8>, Refusal> {
    let invalid = |problem| Refusal::Document {
        document: name.to_owned(),
        problem,
    };
    validate(document).map_err(invalid)?;
    let mut bytes =
        serde_json::to_vec_pretty(document).map_err(|error| invalid(error.to_string()))?;
    bytes.push(b'\n');
    size(&bytes).map_err(invalid)?;
    Ok(bytes)
}

fn size(bytes: &[u8]) -> Result<(), String> {
    if bytes.len() <= MAX_DOCUMENT {
        return Ok(());
    }
    Err(format!(
        "it has {} bytes, at most {MAX_DOCUMENT} are allowed",
        bytes.len()
    ))
}
