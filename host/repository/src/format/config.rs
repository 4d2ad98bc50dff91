//! The file `config`: the repository's version, id and chunking polynomial.

use serde::{Deserialize, Serialize};

use super::Malformed;
use super::polynomial::Polynomial;
use crate::id::RepositoryId;

/// The file `config`, decrypted. It is never compressed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// 1: nothing is compressed; 2: blobs and files may be.
    pub version: u32,
    /// Drawn at random when the repository was initialised.
    pub id: RepositoryId,
    /// Decides where files are cut.
    pub chunker_polynomial: Polynomial,
}

impl Config {
    /// The JSON.
    ///
    /// # Errors
    /// Never in practice: all fields have JSON.
    pub fn encode(&self) -> Result<Vec<u8>, Malformed> {
        Ok(serde_json::to_vec(self)?)
    }

    /// The config whose JSON this is. The version may be any: whoever reads it decides.
    ///
    /// # Errors
    /// The bytes are not a config.
    pub fn decode(json: &[u8]) -> Result<Self, Malformed> {
        Ok(serde_json::from_slice(json)?)
    }
}
