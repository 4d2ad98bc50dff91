//! Where every blob lies: all index files of a repository merged in memory, 48 bytes a blob.

use std::collections::{HashMap, HashSet};

use crate::format::index::{BlobEntry, IndexFile, PackEntry};
use crate::format::pack::BlobKind;
use crate::id::{BlobId, IndexId, PackId};

/// Where a blob lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Location {
    /// In which pack.
    pub pack: PackId,
    /// Where its sealed bytes begin.
    pub offset: u32,
    /// How many sealed bytes there are.
    pub length: u32,
    /// Bytes of the plaintext, if it is compressed.
    pub uncompressed_length: Option<u32>,
}

impl Location {
    /// Bytes of the plaintext.
    pub fn plaintext_length(&self) -> u32 {
        let overhead = crate::format::crypto::OVERHEAD as u32;
        self.uncompressed_length
            .unwrap_or(self.length.saturating_sub(overhead))
    }

    /// The sealed bytes in the pack.
    pub fn range(&self) -> std::ops::Range<u64> {
        let start = u64::from(self.offset);
        start..start + u64::from(self.length)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    id: BlobId,
    /// Position in the list of packs.
    pack: u32,
    offset: u32,
    length: u32,
    /// 0 if it is not compressed.
    uncompressed_length: u32,
}

impl Entry {
    fn new(pack: u32, blob: &BlobEntry) -> Self {
        Self {
            id: blob.id,
            pack,
            offset: blob.offset,
            length: blob.length,
            uncompressed_length: blob.uncompressed_length.unwrap_or(0),
        }
    }
}

/// The blobs of one kind.
#[derive(Debug, Default)]
struct Table {
    /// What the repository held when it was loaded, by id.
    sorted: Vec<Entry>,
    /// What was added since.
    recent: HashMap<BlobId, Entry>,
}

impl Table {
    fn get(&self, id: &BlobId) -> Option<&Entry> {
        let found = self.sorted.binary_search_by(|entry| entry.id.cmp(id));
        found
            .ok()
            .and_then(|at| self.sorted.get(at))
            .or_else(|| self.recent.get(id))
    }

    fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.sorted.iter().chain(self.recent.values())
    }
}

/// All index files of a repository, merged.
#[derive(Debug, Default)]
pub(crate) struct Index {
    packs: Vec<PackId>,
    data: Table,
    tree: Table,
}

impl Index {
    /// Merges index files. Those that another one supersedes count for nothing.
    pub(crate) fn new(files: Vec<(IndexId, IndexFile)>) -> Self {
        let superseded: HashSet<_> = files
            .iter()
            .flat_map(|(_, file)| file.supersedes.iter().flatten().copied())
            .collect();
        let mut index = Self::default();
        for (_, file) in files.iter().filter(|(id, _)| !superseded.contains(id)) {
            for pack in &file.packs {
                let position = index.add_pack(pack.id);
                for blob in &pack.blobs {
                    index
                        .table_mut(blob.kind)
                        .sorted
                        .push(Entry::new(position, blob));
                }
            }
        }
        for table in [&mut index.data, &mut index.tree] {
            table.sorted.sort_unstable();
            table.sorted.shrink_to_fit();
        }
        index
    }

    fn add_pack(&mut self, id: PackId) -> u32 {
        self.packs.push(id);
        // 2^32 packs of at least one blob each are more than memory holds.
        u32::try_from(self.packs.len() - 1).unwrap_or(u32::MAX)
    }

    fn table(&self, kind: BlobKind) -> &Table {
        match kind {
            BlobKind::Data => &self.data,
            BlobKind::Tree => &self.tree,
        }
    }

    fn table_mut(&mut self, kind: BlobKind) -> &mut Table {
        match kind {
            BlobKind::Data => &mut self.data,
            BlobKind::Tree => &mut self.tree,
        }
    }

    /// Adds a pack that has just been stored.
    pub(crate) fn insert(&mut self, pack: &PackEntry) {
        let position = self.add_pack(pack.id);
        for blob in &pack.blobs {
            self.table_mut(blob.kind)
                .recent
                .insert(blob.id, Entry::new(position, blob));
        }
    }

    pub(crate) fn has(&self, kind: BlobKind, id: &BlobId) -> bool {
        self.table(kind).get(id).is_some()
    }

    pub(crate) fn locate(&self, kind: BlobKind, id: &BlobId) -> Option<Location> {
        let entry = self.table(kind).get(id)?;
        Some(Location {
            pack: *self.packs.get(entry.pack as usize)?,
            offset: entry.offset,
            length: entry.length,
            uncompressed_length: Some(entry.uncompressed_length).filter(|&length| length > 0),
        })
    }

    /// The ids of all blobs of a kind; one that is stored twice comes twice.
    pub(crate) fn ids(&self, kind: BlobKind) -> impl Iterator<Item = BlobId> {
        self.table(kind).entries().map(|entry| entry.id)
    }

    /// Every pack with the blobs that the index says it holds, by their place in it, each once.
    pub(crate) fn by_pack(&self) -> HashMap<PackId, Vec<BlobEntry>> {
        let mut packs: HashMap<PackId, Vec<BlobEntry>> =
            self.packs.iter().map(|&id| (id, Vec::new())).collect();
        for kind in [BlobKind::Data, BlobKind::Tree] {
            for entry in self.table(kind).entries() {
                let pack = self
                    .packs
                    .get(entry.pack as usize)
                    .and_then(|id| packs.get_mut(id));
                if let Some(blobs) = pack {
                    blobs.push(BlobEntry {
                        id: entry.id,
                        kind,
                        offset: entry.offset,
                        length: entry.length,
                        uncompressed_length: Some(entry.uncompressed_length)
                            .filter(|&length| length > 0),
                    });
                }
            }
        }
        for blobs in packs.values_mut() {
            blobs.sort_unstable_by_key(|blob| (blob.offset, blob.id));
            blobs.dedup();
        }
        packs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(pack: u8, blobs: &[(u8, BlobKind)]) -> IndexFile {
        let blob = |&(id, kind)| BlobEntry {
            id: BlobId([id; 32]),
            kind,
            offset: id.into(),
            length: 50,
            uncompressed_length: None,
        };
        let pack = PackEntry {
            id: PackId([pack; 32]),
            blobs: blobs.iter().map(blob).collect(),
        };
        IndexFile {
            supersedes: None,
            packs: vec![pack],
        }
    }

    #[test]
    fn blobs_are_found_by_kind_in_loaded_and_recent_packs() {
        let mut index = Index::new(vec![
            (
                IndexId([1; 32]),
                file(1, &[(7, BlobKind::Data), (3, BlobKind::Tree)]),
            ),
            (IndexId([2; 32]), file(2, &[(5, BlobKind::Data)])),
        ]);
        index.insert(&file(3, &[(9, BlobKind::Data)]).packs[0]);
        let pack = |kind, id| {
            index
                .locate(kind, &BlobId([id; 32]))
                .map(|location| location.pack.0[0])
        };
        assert_eq!(
            [7, 5, 9, 3].map(|id| pack(BlobKind::Data, id)),
            [Some(1), Some(2), Some(3), None]
        );
        assert_eq!(pack(BlobKind::Tree, 3), Some(1));
        assert_eq!(index.by_pack()[&PackId([1; 32])].len(), 2);
        assert_eq!(
            index
                .locate(BlobKind::Data, &BlobId([7; 32]))
                .unwrap()
                .plaintext_length(),
            18
        );
    }

    #[test]
    fn a_superseded_index_counts_for_nothing() {
        let mut new = file(2, &[(7, BlobKind::Data)]);
        new.supersedes = Some(vec![IndexId([1; 32])]);
        let index = Index::new(vec![
            (IndexId([1; 32]), file(1, &[(7, BlobKind::Data)])),
            (IndexId([2; 32]), new),
        ]);
        assert_eq!(
            index.by_pack().into_keys().collect::<Vec<_>>(),
            [PackId([2; 32])]
        );
    }
}
