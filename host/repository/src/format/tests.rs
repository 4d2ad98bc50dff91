//! What holds of all documents in JSON: config, keys, locks, indexes, snapshots.

use std::fmt::Debug;

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Map, Value};

use super::config::Config;
use super::crypto::Secrets;
use super::index::{BlobEntry, IndexFile, PackEntry};
use super::key::{KeyFile, ScryptCost};
use super::lock::LockFile;
use super::polynomial::Polynomial;
use super::snapshot::{Snapshot, SnapshotSummary};
use super::{BlobKind, Malformed, Timestamp};
use crate::id::{BlobId, PackId, RepositoryId, SnapshotId, TreeId};

/// A document that is written and read as JSON.
trait Document: PartialEq + Debug + Sized {
    fn read(json: &[u8]) -> Result<Self, Malformed>;

    fn written(&self) -> Vec<u8>;

    /// The fields beside its own that it keeps.
    fn strangers(&mut self) -> Vec<&mut Map<String, Value>> {
        Vec::new()
    }
}

macro_rules! documents {
    ($($name:ident { $($strangers:item)? })*) => {$(
        impl Document for $name {
            fn read(json: &[u8]) -> Result<Self, Malformed> {
                Self::decode(json)
            }

            fn written(&self) -> Vec<u8> {
                self.encode().unwrap()
            }

            $($strangers)?
        }
    )*};
}

documents! {
    Config {}
    KeyFile {}
    LockFile {}
    IndexFile {}
    Snapshot {
        fn strangers(&mut self) -> Vec<&mut Map<String, Value>> {
            let summary = self.summary.as_mut().map(|summary| &mut summary.other);
            summary.into_iter().chain([&mut self.other]).collect()
        }
    }
}

/// Where a document is damaged, and how.
#[derive(Debug, Clone)]
enum Damage {
    Changed(Index, u8),
    Inserted(Index, u8),
    Cut(Index),
    Repeated(Index, Index),
}

impl Damage {
    fn apply(&self, json: &mut Vec<u8>) {
        match self {
            Self::Changed(at, bits) => {
                let at = at.index(json.len());
                json[at] ^= bits;
            }
            Self::Inserted(at, byte) => json.insert(at.index(json.len()), *byte),
            Self::Cut(at) => json.truncate(at.index(json.len())),
            Self::Repeated(from, to) => {
                let (from, to) = (from.index(json.len()), to.index(json.len()));
                let part = json[from.min(to)..from.max(to)].to_vec();
                json.splice(from..from, part);
            }
        }
    }
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        (any::<Index>(), 1..=u8::MAX).prop_map(|(at, bits)| Damage::Changed(at, bits)),
        any::<(Index, u8)>().prop_map(|(at, byte)| Damage::Inserted(at, byte)),
        any::<Index>().prop_map(Damage::Cut),
        any::<(Index, Index)>().prop_map(|(from, to)| Damage::Repeated(from, to)),
    ]
}

/// Any JSON that is not deep.
fn values() -> impl Strategy<Value = Value> {
    let number = prop_oneof![
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        number,
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        let fields = prop::collection::btree_map(any::<String>(), inner.clone(), 0..4);
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(Value::from),
            fields.prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// Adds a field to every object.
fn add(value: &mut Value, field: &str, stranger: &Value) {
    match value {
        Value::Array(values) => values
            .iter_mut()
            .for_each(|value| add(value, field, stranger)),
        Value::Object(fields) => {
            fields
                .values_mut()
                .for_each(|value| add(value, field, stranger));
            fields.insert(field.to_owned(), stranger.clone());
        }
        _ => {}
    }
}

fn survives<D: Document>(document: &D) -> Result<(), TestCaseError> {
    let read = D::read(&document.written());
    prop_assert_eq!(read.as_ref(), Ok(document));
    Ok(())
}

/// Fields that another program adds, in any order, change nothing of what is understood.
fn takes_strangers<D: Document>(document: &D, stranger: &Value) -> Result<(), TestCaseError> {
    const FIELD: &str = "a field of nobody's";
    let mut value = serde_json::from_slice(&document.written()).unwrap();
    add(&mut value, FIELD, stranger);
    let mut read = D::read(&serde_json::to_vec(&value).unwrap())?;
    survives(&read)?;
    for others in read.strangers() {
        let other = others.remove(FIELD);
        prop_assert_eq!(other.as_ref(), Some(stranger));
    }
    prop_assert_eq!(&read, document);
    Ok(())
}

/// What is no document any more is refused; what still is one can be written.
fn survives_damage<D: Document>(document: &D, damages: &[Damage]) -> Result<(), TestCaseError> {
    let mut json = document.written();
    for damage in damages {
        if !json.is_empty() {
            damage.apply(&mut json);
        }
    }
    let read = D::read(&json);
    if matches!(damages, [Damage::Cut(_)]) {
        prop_assert!(read.is_err());
    }
    read.as_ref().map_or(Ok(()), survives)
}

fn holds<D: Document>(
    document: &D,
    stranger: &Value,
    damages: &[Damage],
) -> Result<(), TestCaseError> {
    survives(document)?;
    takes_strangers(document, stranger)?;
    survives_damage(document, damages)
}

/// All times that can be written.
fn times() -> impl Strategy<Value = Timestamp> {
    let seconds = -62_167_132_800_i64..253_402_214_400;
    (seconds, 0..1_000_000_000_u32, -1439..=1439_i16).prop_map(
        |(seconds, nanoseconds, offset_minutes)| Timestamp {
            seconds,
            nanoseconds,
            offset_minutes,
        },
    )
}

prop_compose! {
    fn configs()(version: u32, id: [u8; 32], polynomial in prop::sample::select(vec![0x2d_9242_06c1_dc41, 0x3d_a335_8b4d_c173])) -> Config {
        Config { version, id: RepositoryId(id), chunker_polynomial: Polynomial::new(polynomial).unwrap() }
    }
}

prop_compose! {
    fn locks()(
        time in times(),
        exclusive: bool,
        (hostname, username) in any::<(String, String)>(),
        (pid, uid, gid) in any::<(i32, u32, u32)>(),
    ) -> LockFile {
        LockFile { time, exclusive, hostname, username, pid, uid, gid }
    }
}

prop_compose! {
    fn blobs()(id: [u8; 32], tree: bool, offset: u32, length: u32, uncompressed_length in prop::option::of(1..u32::MAX)) -> BlobEntry {
        let kind = if tree { BlobKind::Tree } else { BlobKind::Data };
        BlobEntry { id: BlobId(id), kind, offset, length, uncompressed_length }
    }
}

prop_compose! {
    fn packs()(id: [u8; 32], blobs in prop::collection::vec(blobs(), 0..4), time in prop::option::of(times()), size: Option<u32>) -> PackEntry {
        PackEntry { id: PackId(id), blobs, time, size }
    }
}

prop_compose! {
    fn indexes()(packs in prop::collection::vec(packs(), 0..4), packs_to_delete in prop::collection::vec(self::packs(), 0..2)) -> IndexFile {
        IndexFile { packs, packs_to_delete }
    }
}

prop_compose! {
    fn summaries()(backup in (times(), times()), counts: [u64; 12]) -> SnapshotSummary {
        let [files_new, files_changed, files_unmodified, dirs_new, dirs_changed, dirs_unmodified, data_blobs, tree_blobs, data_added,
            data_added_packed, total_files_processed, total_bytes_processed] = counts;
        SnapshotSummary {
            backup_start: backup.0, backup_end: backup.1, files_new, files_changed, files_unmodified, dirs_new, dirs_changed, dirs_unmodified,
            data_blobs, tree_blobs, data_added, data_added_packed, total_files_processed, total_bytes_processed, other: Map::new(),
        }
    }
}

prop_compose! {
    fn snapshots()(
        time in times(),
        (tree, parent, original) in any::<([u8; 32], Option<[u8; 32]>, Option<[u8; 32]>)>(),
        (paths, excludes, tags) in any::<(Vec<String>, Vec<String>, Vec<String>)>(),
        (hostname, username, program_version) in any::<(String, String, String)>(),
        (uid, gid) in any::<(u32, u32)>(),
        summary in prop::option::of(summaries()),
    ) -> Snapshot {
        Snapshot {
            time, tree: TreeId(tree), parent: parent.map(SnapshotId), original: original.map(SnapshotId), paths, excludes, tags, hostname,
            username, program_version, uid, gid, summary, other: Map::new(),
        }
    }
}

proptest! {
    #[test]
    fn configs_hold(document in configs(), stranger in values(), damages in prop::collection::vec(damage(), 1..3)) {
        holds(&document, &stranger, &damages)?;
    }

    #[test]
    fn locks_hold(document in locks(), stranger in values(), damages in prop::collection::vec(damage(), 1..3)) {
        holds(&document, &stranger, &damages)?;
    }

    #[test]
    fn indexes_hold(document in indexes(), stranger in values(), damages in prop::collection::vec(damage(), 1..3)) {
        holds(&document, &stranger, &damages)?;
    }

    #[test]
    fn snapshots_hold(document in snapshots(), stranger in values(), damages in prop::collection::vec(damage(), 1..3)) {
        holds(&document, &stranger, &damages)?;
    }

    #[test]
    fn keys_hold(
        (username, hostname, password) in any::<(String, String, Vec<u8>)>(),
        created in prop::option::of(times()),
        stranger in values(),
        damages in prop::collection::vec(damage(), 1..3),
    ) {
        const CHEAP: ScryptCost = ScryptCost { log_n: 4, r: 8, p: 1 };
        let secrets = Secrets::random();
        let mut document = KeyFile::seal(&secrets, &password, CHEAP, username, hostname)?;
        document.created = created;
        holds(&document, &stranger, &damages)?;
        prop_assert_eq!(KeyFile::read(&document.written())?.open(&password), Ok(Some(secrets)));
    }

    #[test]
    fn no_bytes_panic(bytes: Vec<u8>, text in "[\\[\\]{}:,\"a-f0-9.eE-]{0,60}") {
        for bytes in [&bytes[..], text.as_bytes()] {
            prop_assert!(Config::read(bytes).is_err());
            prop_assert!(KeyFile::read(bytes).is_err());
            prop_assert!(LockFile::read(bytes).is_err());
            prop_assert!(IndexFile::read(bytes).is_err());
            prop_assert!(Snapshot::read(bytes).is_err());
        }
    }
}
