//! Snapshots: one tree at one time, and where it came from.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Malformed, Timestamp, is_default};
use crate::id::{SnapshotId, TreeId};

/// A file of `snapshots/`, decrypted. restic drops fields that it does not know when it rewrites one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// When the backup began.
    pub time: Timestamp,
    /// The snapshot before it, which it was compared with.
    #[serde(default, skip_serializing_if = "is_default")]
    pub parent: Option<SnapshotId>,
    /// The root.
    pub tree: TreeId,
    /// What was backed up.
    #[serde(default, deserialize_with = "super::null_is_default")]
    pub paths: Vec<String>,
    /// On which machine.
    #[serde(default, skip_serializing_if = "is_default")]
    pub hostname: String,
    /// By whom.
    #[serde(default, skip_serializing_if = "is_default")]
    pub username: String,
    /// By whom, as a number.
    #[serde(default, skip_serializing_if = "is_default")]
    pub uid: u32,
    /// By which group.
    #[serde(default, skip_serializing_if = "is_default")]
    pub gid: u32,
    /// Patterns of what was left out.
    #[serde(
        default,
        skip_serializing_if = "is_default",
        deserialize_with = "super::null_is_default"
    )]
    pub excludes: Vec<String>,
    /// Words that people attach.
    #[serde(
        default,
        skip_serializing_if = "is_default",
        deserialize_with = "super::null_is_default"
    )]
    pub tags: Vec<String>,
    /// The snapshot that this one was rewritten from.
    #[serde(default, skip_serializing_if = "is_default")]
    pub original: Option<SnapshotId>,
    /// What wrote it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub program_version: String,
    /// What the backup did.
    #[serde(default, skip_serializing_if = "is_default")]
    pub summary: Option<SnapshotSummary>,
    /// What other programs say of it, such as rustic's `label` and `delete`: kept, and not understood.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// What a backup did, in restic's words.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)] // The names say it, and are restic's.
pub struct SnapshotSummary {
    pub backup_start: Timestamp,
    pub backup_end: Timestamp,
    #[serde(default)]
    pub files_new: u64,
    #[serde(default)]
    pub files_changed: u64,
    #[serde(default)]
    pub files_unmodified: u64,
    #[serde(default)]
    pub dirs_new: u64,
    #[serde(default)]
    pub dirs_changed: u64,
    #[serde(default)]
    pub dirs_unmodified: u64,
    #[serde(default)]
    pub data_blobs: u64,
    #[serde(default)]
    pub tree_blobs: u64,
    #[serde(default)]
    pub data_added: u64,
    #[serde(default)]
    pub data_added_packed: u64,
    #[serde(default)]
    pub total_files_processed: u64,
    #[serde(default)]
    pub total_bytes_processed: u64,
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl Snapshot {
    /// A snapshot of `tree` with nothing else known of it.
    pub fn new(time: Timestamp, tree: TreeId) -> Self {
        Self {
            time,
            tree,
            parent: None,
            paths: Vec::new(),
            hostname: String::new(),
            username: String::new(),
            uid: 0,
            gid: 0,
            excludes: Vec::new(),
            tags: Vec::new(),
            original: None,
            program_version: String::new(),
            summary: None,
            other: Map::new(),
        }
    }

    /// The JSON.
    ///
    /// # Errors
    /// Never in practice: all fields have JSON.
    pub fn encode(&self) -> Result<Vec<u8>, Malformed> {
        Ok(serde_json::to_vec(self)?)
    }

    /// The snapshot whose JSON this is.
    ///
    /// # Errors
    /// The bytes are not a snapshot.
    pub fn decode(json: &[u8]) -> Result<Self, Malformed> {
        Ok(serde_json::from_slice(json)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_that_restic_wrote_is_written_back_as_it_was() {
        let json = concat!(
            r#"{"time":"2026-11-21T02:07:26.993947143+01:00","#,
            r#""tree":"b0f0187fcbdde76a5884963df8e0d9b7f4043dc2a0513405e94674986cf82402","#,
            r#""paths":["/tmp/a"],"hostname":"vm","username":"root","tags":["x"]}"#
        );
        let snapshot = Snapshot::decode(json.as_bytes()).unwrap();
        assert_eq!(String::from_utf8(snapshot.encode().unwrap()).unwrap(), json);
    }

    #[test]
    fn what_rustic_says_besides_is_kept() {
        let json = concat!(
            r#"{"time":"2026-11-21T02:07:26.993947143+01:00","program_version":"rustic 0.11.4","#,
            r#""tree":"b0f0187fcbdde76a5884963df8e0d9b7f4043dc2a0513405e94674986cf82402","label":"web","#,
            r#""paths":["/tmp/a"],"hostname":"vm","username":"","uid":0,"gid":0,"tags":[],"#,
            r#""delete":{"After":"2027-01-01T00:00:00+01:00"},"description":"of the web server","#,
            r#""summary":{"backup_start":"2026-11-21T02:07:26+01:00","backup_end":"2026-11-21T02:07:27+01:00","#,
            r#""files_new":7,"command":"rustic backup","total_duration":0.5}}"#
        );
        let snapshot = Snapshot::decode(json.as_bytes()).unwrap();
        assert_eq!(snapshot.other["label"], "web");
        let written: Value = serde_json::from_slice(&snapshot.encode().unwrap()).unwrap();
        let read: Value = serde_json::from_str(json).unwrap();
        for kept in [
            "/label",
            "/delete/After",
            "/description",
            "/summary/command",
            "/summary/total_duration",
            "/summary/files_new",
        ] {
            assert_eq!(written.pointer(kept), read.pointer(kept), "{kept}");
            assert!(read.pointer(kept).is_some(), "{kept}");
        }
    }

    #[test]
    fn lists_that_go_left_unset_are_empty() {
        let json = format!(
            r#"{{"time":"2020-01-01T00:00:00Z","tree":"{}","paths":null,"tags":null}}"#,
            "0".repeat(64)
        );
        assert!(Snapshot::decode(json.as_bytes()).unwrap().paths.is_empty());
    }
}
