//! Lock files: who works on the repository, and whether others may too.

use serde::{Deserialize, Serialize};

use super::{Malformed, Timestamp, is_default};

/// A file of `locks/`, decrypted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockFile {
    /// When it was last refreshed.
    pub time: Timestamp,
    /// Whether all others are excluded.
    pub exclusive: bool,
    /// On which machine the process runs.
    #[serde(default)]
    pub hostname: String,
    /// Whose process it is.
    #[serde(default)]
    pub username: String,
    /// The process.
    #[serde(default)]
    pub pid: i32,
    /// Whose process it is, as a number.
    #[serde(default, skip_serializing_if = "is_default")]
    pub uid: u32,
    /// The process's group.
    #[serde(default, skip_serializing_if = "is_default")]
    pub gid: u32,
}

impl LockFile {
    /// The JSON.
    ///
    /// # Errors
    /// Never in practice: all fields have JSON.
    pub fn encode(&self) -> Result<Vec<u8>, Malformed> {
        Ok(serde_json::to_vec(self)?)
    }

    /// The lock whose JSON this is.
    ///
    /// # Errors
    /// The bytes are not a lock.
    pub fn decode(json: &[u8]) -> Result<Self, Malformed> {
        Ok(serde_json::from_slice(json)?)
    }
}
