//! Where every blob lies: all index files of a repository merged in memory, some 40 bytes a blob.

mod places;
mod table;

use std::collections::HashMap;

use crate::format::Timestamp;
use crate::format::index::{BlobEntry, IndexFile, PackEntry};
use crate::format::pack::{BlobKind, header_length, plaintext_length};
use crate::id::{BlobId, IndexId, PackId};
use places::Place;
pub(crate) use table::Entry;
use table::Table;

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
    /// Where a blob lies that is listed for this pack.
    pub(crate) fn of(pack: PackId, blob: &BlobEntry) -> Self {
        Self {
            pack,
            offset: blob.offset,
            length: blob.length,
            uncompressed_length: blob.uncompressed_length,
        }
    }

    /// Bytes of the plaintext.
    pub fn plaintext_length(&self) -> u32 {
        plaintext_length(self.length, self.uncompressed_length)
    }

    /// The sealed bytes in the pack.
    pub fn range(&self) -> std::ops::Range<u64> {
        let start = u64::from(self.offset);
        start..start + u64::from(self.length)
    }
}

/// Where a blob lies that is listed for the pack of this number.
fn place(pack: u32, blob: &BlobEntry) -> Place {
    Place {
        pack,
        offset: blob.offset,
        length: blob.length,
        uncompressed_length: blob.uncompressed_length.unwrap_or(0),
    }
}

/// Packs and what they hold.
#[derive(Debug, Default)]
pub(crate) struct Part {
    packs: Vec<PackId>,
    numbers: HashMap<PackId, u32>,
    data: Table,
    tree: Table,
}

impl Part {
    /// The number of a pack, a new one if it is new.
    fn number(&mut self, id: PackId) -> u32 {
        // 2^32 packs of at least one blob each are more than memory holds.
        let next = u32::try_from(self.packs.len()).unwrap_or(u32::MAX);
        *self.numbers.entry(id).or_insert_with(|| {
            self.packs.push(id);
            next
        })
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

    /// Adds the packs of an index file that is being loaded, and gives their numbers; they count once all are sorted.
    fn load(&mut self, packs: &[PackEntry]) -> Vec<u32> {
        self.packs.reserve(packs.len());
        self.numbers.reserve(packs.len());
        let blobs = || packs.iter().flat_map(|pack| &pack.blobs);
        let data = blobs().filter(|blob| blob.kind == BlobKind::Data).count();
        self.data.reserve(data);
        self.tree.reserve(blobs().count() - data);
        let load = |pack: &PackEntry| {
            let number = self.number(pack.id);
            for blob in &pack.blobs {
                let table = self.table_mut(blob.kind);
                table.load(blob.id, &place(number, blob));
            }
            number
        };
        packs.iter().map(load).collect()
    }

    /// Adds a pack to what was loaded, and gives its number; it counts at once.
    fn insert(&mut self, pack: &PackEntry) -> u32 {
        let number = self.number(pack.id);
        for blob in &pack.blobs {
            let table = self.table_mut(blob.kind);
            table.insert(blob.id, &place(number, blob));
        }
        number
    }

    fn sort(&mut self) {
        self.data.sort();
        self.tree.sort();
    }

    /// The packs by their numbers.
    pub(crate) fn packs(&self) -> &[PackId] {
        &self.packs
    }

    pub(crate) fn number_of(&self, id: &PackId) -> Option<u32> {
        self.numbers.get(id).copied()
    }

    /// How many blobs were loaded; one in several packs counts in each.
    pub(crate) fn loaded(&self, kind: BlobKind) -> usize {
        self.table(kind).loaded()
    }

    /// One of the blobs that were loaded, by id, so that copies of one follow each other.
    pub(crate) fn entry(&self, kind: BlobKind, position: usize) -> Option<Entry> {
        self.table(kind).entry(position)
    }

    /// Where the blob's copies begin among those that were loaded.
    pub(crate) fn position(&self, kind: BlobKind, id: &BlobId) -> Option<usize> {
        self.table(kind).position(id)
    }

    /// How many bytes each pack must have for what the index knows of it, by their numbers.
    pub(crate) fn sizes(&self) -> Vec<u64> {
        let mut sizes = vec![header_length([]); self.packs.len()];
        for kind in [BlobKind::Data, BlobKind::Tree] {
            for entry in self.table(kind).entries() {
                if let Some(size) = sizes.get_mut(entry.place.pack as usize) {
                    *size += u64::from(entry.place.length) + entry.header_length();
                }
            }
        }
        sizes
    }

    fn locations(&self, kind: BlobKind, id: BlobId) -> impl Iterator<Item = Location> {
        self.table(kind).copies(id).filter_map(|place| {
            Some(Location {
                pack: *self.packs.get(place.pack as usize)?,
                offset: place.offset,
                length: place.length,
                uncompressed_length: place.uncompressed_length(),
            })
        })
    }

    /// The ids of all blobs of a kind; one that is stored twice comes twice.
    pub(crate) fn ids(&self, kind: BlobKind) -> impl Iterator<Item = BlobId> {
        self.table(kind).ids()
    }

    /// The blobs of the packs that `wanted` says, by their place in the pack.
    pub(crate) fn blobs_of(&self, wanted: impl Fn(u32) -> bool) -> HashMap<u32, Vec<BlobEntry>> {
        let mut packs: HashMap<u32, Vec<BlobEntry>> = HashMap::new();
        for kind in [BlobKind::Data, BlobKind::Tree] {
            for entry in self.table(kind).entries() {
                let pack = entry.place.pack;
                if wanted(pack) {
                    packs.entry(pack).or_default().push(entry.blob(kind));
                }
            }
        }
        for blobs in packs.values_mut() {
            blobs.sort_unstable_by_key(|blob| (blob.offset, blob.id));
        }
        packs
    }
}

/// What an index file names.
#[derive(Debug)]
pub(crate) struct Origin {
    pub(crate) id: IndexId,
    /// Its packs by their numbers, and those that are to be removed.
    pub(crate) packs: Vec<u32>,
    pub(crate) marked: Vec<u32>,
    pub(crate) blobs: usize,
}

/// All index files of a repository, merged.
#[derive(Debug, Default)]
pub(crate) struct Index {
    live: Part,
    /// What a prune marked to be removed. It can still be read, but counts for nothing else.
    marked: Part,
    /// Since when each of the marked packs is to be removed, as far as that is known.
    marked_since: Vec<Option<Timestamp>>,
    files: Vec<Origin>,
    /// When it began to be read.
    age: Option<Timestamp>,
}

impl Index {
    /// Merges an index file in; it counts once [`Self::sort`] has been called. As in restic, one that another says it supersedes counts as any
    /// other: whoever wrote that may not have come to its end.
    pub(crate) fn load(&mut self, id: IndexId, file: &IndexFile) {
        let packs = self.live.load(&file.packs);
        let marked = self.marked.load(&file.packs_to_delete);
        self.note(id, file, packs, marked);
    }

    /// Merges in an index file that was not there when the others were loaded; it counts at once, and nothing of theirs moves.
    pub(crate) fn add(&mut self, id: IndexId, file: &IndexFile) {
        let insert = |part: &mut Part, packs: &[PackEntry]| {
            let numbers = packs.iter().map(|pack| part.insert(pack));
            numbers.collect()
        };
        let packs = insert(&mut self.live, &file.packs);
        let marked = insert(&mut self.marked, &file.packs_to_delete);
        self.note(id, file, packs, marked);
    }

    fn note(&mut self, id: IndexId, file: &IndexFile, packs: Vec<u32>, marked: Vec<u32>) {
        for (number, pack) in marked.iter().zip(&file.packs_to_delete) {
            match self.marked_since.get_mut(*number as usize) {
                // The later one leaves the pack there for longer.
                Some(since) => *since = (*since).zip(pack.time).map(|(a, b)| a.max(b)),
                None => self.marked_since.push(pack.time),
            }
        }
        let blobs = file.packs.iter().chain(&file.packs_to_delete);
        self.files.push(Origin {
            id,
            packs,
            marked,
            blobs: blobs.map(|pack| pack.blobs.len()).sum(),
        });
    }

    /// Makes all that was loaded count.
    pub(crate) fn sort(&mut self) {
        self.live.sort();
        self.marked.sort();
    }

    /// Notes when it began to be read.
    pub(crate) fn set_age(&mut self, begun: Timestamp) {
        self.age = Some(begun);
    }

    /// When it began to be read; now, if nobody noted that.
    pub(crate) fn age(&self) -> Timestamp {
        self.age.unwrap_or_else(Timestamp::now)
    }

    /// Adds a pack that has just been stored.
    pub(crate) fn insert(&mut self, pack: &PackEntry) {
        self.live.insert(pack);
    }

    /// The packs that count.
    pub(crate) fn live(&self) -> &Part {
        &self.live
    }

    /// The packs that are to be removed. One that is live too is so no longer.
    pub(crate) fn marked(&self) -> &Part {
        &self.marked
    }

    pub(crate) fn marked_since(&self, number: u32) -> Option<Timestamp> {
        self.marked_since.get(number as usize).copied().flatten()
    }

    /// The index files that it was loaded from.
    pub(crate) fn files(&self) -> &[Origin] {
        &self.files
    }

    /// The pack that a new snapshot may rely on for the blob.
    pub(crate) fn live_pack(&self, kind: BlobKind, id: &BlobId) -> Option<PackId> {
        let mut live = self.live.locations(kind, *id);
        live.next().map(|location| location.pack)
    }

    /// Whether a new snapshot may rely on the blob.
    pub(crate) fn has(&self, kind: BlobKind, id: &BlobId) -> bool {
        self.live_pack(kind, id).is_some()
    }

    /// Where the blob can be read.
    pub(crate) fn locate(&self, kind: BlobKind, id: &BlobId) -> Option<Location> {
        self.locations(kind, id).next()
    }

    /// Where all copies of the blob can be read, those in packs that are to be removed last.
    pub(crate) fn locations(&self, kind: BlobKind, id: &BlobId) -> impl Iterator<Item = Location> {
        let live = self.live.locations(kind, *id);
        live.chain(self.marked.locations(kind, *id))
    }

    /// Every pack that counts, with the blobs that the index says it holds, by their place in it, each once.
    pub(crate) fn by_pack(&self) -> HashMap<PackId, Vec<BlobEntry>> {
        let packs = &self.live.packs;
        let empty = packs.iter().map(|&id| (id, Vec::new()));
        let mut found: HashMap<_, _> = empty.collect();
        for (number, blobs) in self.live.blobs_of(|_| true) {
            if let Some(id) = packs.get(number as usize) {
                found.insert(*id, blobs);
            }
        }
        found
    }
}

#[cfg(test)]
impl Index {
    /// The index of these files.
    pub(crate) fn new(files: Vec<(IndexId, IndexFile)>) -> Self {
        let mut index = Self::default();
        for (id, file) in files {
            index.load(id, &file);
        }
        index.sort();
        index
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
        let pack = PackEntry::new(PackId([pack; 32]), blobs.iter().map(blob).collect());
        IndexFile {
            packs: vec![pack],
            ..IndexFile::default()
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
    fn a_pack_that_two_files_name_counts_once_and_copies_in_several_packs_are_all_known() {
        let copies = [1, 1, 2].map(|pack| file(pack, &[(7, BlobKind::Data)]));
        let files = copies.into_iter().enumerate();
        let index = Index::new(
            files
                .map(|(at, file)| (IndexId([at as u8; 32]), file))
                .collect(),
        );
        let locations = index.locations(BlobKind::Data, &BlobId([7; 32]));
        let packs: Vec<_> = locations.map(|location| location.pack.0[0]).collect();
        assert_eq!(packs, [1, 2]);
        assert_eq!(index.live().packs().len(), 2);
        assert_eq!(index.files().len(), 3);
    }

    #[test]
    fn a_marked_pack_can_be_read_but_not_relied_on() {
        let mut marked = file(1, &[(7, BlobKind::Data), (8, BlobKind::Data)]);
        std::mem::swap(&mut marked.packs, &mut marked.packs_to_delete);
        let index = Index::new(vec![
            (IndexId([1; 32]), marked),
            (IndexId([2; 32]), file(2, &[(8, BlobKind::Data)])),
        ]);
        let kind = BlobKind::Data;
        let [only, both] = [7, 8].map(|id| BlobId([id; 32]));
        assert!(!index.has(kind, &only) && index.has(kind, &both));
        let packs = |id| index.locate(kind, id).unwrap().pack.0[0];
        assert_eq!((packs(&only), packs(&both)), (1, 2));
        assert_eq!(index.by_pack().len(), 1);
    }
}
