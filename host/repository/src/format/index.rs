//! Index files: which pack holds which blobs, and where.

use serde::{Deserialize, Serialize};

use super::pack::BlobKind;
use super::{Malformed, is_default};
use crate::id::{BlobId, IndexId, PackId};

/// A file of `index/`, decrypted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexFile {
    /// Indexes that this one replaces. They count for nothing any more.
    #[serde(default, skip_serializing_if = "is_default")]
    pub supersedes: Option<Vec<IndexId>>,
    /// Packs with their blobs.
    pub packs: Vec<PackEntry>,
}

/// A pack in an index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackEntry {
    /// The pack.
    pub id: PackId,
    /// Its blobs.
    pub blobs: Vec<BlobEntry>,
}

/// A blob in an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlobEntry {
    /// The blob.
    pub id: BlobId,
    /// What it holds.
    #[serde(rename = "type")]
    pub kind: BlobKind,
    /// Where its sealed bytes begin in the pack.
    pub offset: u32,
    /// How many sealed bytes there are.
    pub length: u32,
    /// Bytes of the plaintext if it is compressed, else nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uncompressed_length: Option<u32>,
}

impl IndexFile {
    /// The JSON.
    ///
    /// # Errors
    /// Never in practice: all fields have JSON.
    pub fn encode(&self) -> Result<Vec<u8>, Malformed> {
        Ok(serde_json::to_vec(self)?)
    }

    /// The index whose JSON this is.
    ///
    /// # Errors
    /// The bytes are not an index.
    pub fn decode(json: &[u8]) -> Result<Self, Malformed> {
        let mut file: Self = serde_json::from_slice(json)?;
        // Go leaves a zero out, but nothing forbids to write it.
        for blob in file.packs.iter_mut().flat_map(|pack| &mut pack.blobs) {
            blob.uncompressed_length = blob.uncompressed_length.filter(|&length| length > 0);
        }
        Ok(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_that_restic_wrote_is_read() {
        let json = format!(
            r#"{{"supersedes":["{id}"],"packs":[{{"id":"{id}","blobs":[
                {{"id":"{id}","type":"data","offset":42,"length":46,"uncompressed_length":5}},
                {{"id":"{id}","type":"tree","offset":0,"length":42}}]}}]}}"#,
            id = "ab".repeat(32)
        );
        let index = IndexFile::decode(json.as_bytes()).unwrap();
        let blobs = &index.packs[0].blobs;
        assert_eq!(
            (blobs[0].kind, blobs[0].uncompressed_length),
            (BlobKind::Data, Some(5))
        );
        assert_eq!(
            (blobs[1].kind, blobs[1].uncompressed_length),
            (BlobKind::Tree, None)
        );
        assert_eq!(IndexFile::decode(&index.encode().unwrap()), Ok(index));
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        for value in ["-1", "4294967296", "1e99", "\"1\""] {
            let json = format!(
                r#"{{"packs":[{{"id":"{id}","blobs":[{{"id":"{id}","type":"data","offset":{value},"length":1}}]}}]}}"#,
                id = "00".repeat(32)
            );
            assert!(IndexFile::decode(json.as_bytes()).is_err(), "{value}");
        }
    }
}
