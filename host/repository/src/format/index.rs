//! Index files: which pack holds which blobs, and where.

use serde::{Deserialize, Serialize};

use super::pack::BlobKind;
use super::{Malformed, Timestamp, is_default};
use crate::id::{BlobId, PackId};

/// A file of `index/`, decrypted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexFile {
    /// Packs with their blobs.
    #[serde(deserialize_with = "super::null_is_default")]
    pub packs: Vec<PackEntry>,
    /// Packs that a prune in two phases found to be needed no longer, and that a later one removes. The field is rustic's; restic passes
    /// over it, so that to restic these packs are in no index.
    #[serde(default, skip_serializing_if = "is_default")]
    pub packs_to_delete: Vec<PackEntry>,
}

/// A pack in an index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackEntry {
    /// The pack.
    pub id: PackId,
    /// Its blobs.
    pub blobs: Vec<BlobEntry>,
    /// Since when it is to be removed, if it is; else when rustic wrote it. Nothing where that is no time of RFC 3339.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "lenient_time"
    )]
    pub time: Option<Timestamp>,
    /// Bytes of the file, where rustic noted them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u32>,
}

impl PackEntry {
    /// A pack with these blobs and nothing else known of it.
    pub fn new(id: PackId, blobs: Vec<BlobEntry>) -> Self {
        Self {
            id,
            blobs,
            time: None,
            size: None,
        }
    }
}

/// A time that only rustic writes must not make an index unreadable.
fn lenient_time<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Timestamp>, D::Error> {
    let value = Option::<serde_json::Value>::deserialize(deserializer)?;
    let text = value.as_ref().and_then(serde_json::Value::as_str);
    Ok(text.and_then(|text| text.parse().ok()))
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
        let packs = file.packs.iter_mut().chain(&mut file.packs_to_delete);
        for blob in packs.flat_map(|pack| &mut pack.blobs) {
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
    fn packs_that_rustic_marked_keep_their_times_and_sizes() {
        let id = "ab".repeat(32);
        let pack = |time: &str| format!(r#"{{"id":"{id}","blobs":[],"time":{time},"size":7}}"#);
        let json = format!(
            r#"{{"packs":[],"packs_to_delete":[{}]}}"#,
            pack(r#""2024-05-01T12:00:00.123+02:00""#)
        );
        let index = IndexFile::decode(json.as_bytes()).unwrap();
        assert_eq!(index.encode().unwrap(), json.as_bytes());
        for strange in [r#""2024-05-01 12:00 [Europe/Berlin]""#, "5", "null"] {
            let json = format!(r#"{{"packs":[{}]}}"#, pack(strange));
            let index = IndexFile::decode(json.as_bytes()).unwrap();
            assert_eq!(
                (index.packs[0].time, index.packs[0].size),
                (None, Some(7)),
                "{strange}"
            );
        }
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
