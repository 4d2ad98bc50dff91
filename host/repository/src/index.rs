//! Where every blob lies: all index files of a repository merged in memory, 48 bytes a blob.

use std::cmp::Ordering;
use std::collections::HashMap;

use crate::format::Timestamp;
use crate::format::index::{BlobEntry, IndexFile, PackEntry};
use crate::format::pack::{BlobKind, header_length};
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

/// A blob in one pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entry {
    pub(crate) id: BlobId,
    /// The number of its pack: the position in the list of packs.
    pub(crate) pack: u32,
    pub(crate) offset: u32,
    pub(crate) length: u32,
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

    pub(crate) fn uncompressed_length(&self) -> Option<u32> {
        Some(self.uncompressed_length).filter(|&length| length > 0)
    }

    /// Bytes that it takes in its pack's header.
    pub(crate) fn header_length(&self) -> u64 {
        header_length([&self.uncompressed_length()]) - header_length([])
    }

    /// As it stands in an index file.
    pub(crate) fn blob(&self, kind: BlobKind) -> BlobEntry {
        BlobEntry {
            id: self.id,
            kind,
            offset: self.offset,
            length: self.length,
            uncompressed_length: self.uncompressed_length(),
        }
    }
}

/// The blobs of one kind.
#[derive(Debug, Default)]
struct Table {
    /// What the repository held when it was loaded, by id; the copies of one blob by their packs.
    sorted: Vec<Entry>,
    /// What was added since, by id but for the latest: a hash map takes three times the memory.
    added: Vec<Entry>,
    latest: HashMap<BlobId, Entry>,
}

/// So many entries are added before they are sorted in among the others, or an eighth of those if that is more.
const LATEST: usize = 32 << 10;

/// Where the blob's copies begin among entries by id, if there is one. Ids are digests and so evenly spread: the search begins where this one
/// should be, and widens from there.
fn position(entries: &[Entry], id: &BlobId) -> Option<usize> {
    let precedes = |entry: &Entry| compare(&entry.id, id).is_lt();
    let expected = (u128::from(leading(id)) * entries.len() as u128) >> u64::BITS;
    let (mut low, mut step) = (expected as usize, 32);
    let mut high = low;
    while low > 0 && !entries.get(low - 1).is_some_and(precedes) {
        high = low - 1;
        low = low.saturating_sub(step);
        step *= 2;
    }
    while entries.get(high).is_some_and(precedes) {
        low = high + 1;
        high = (high + step).min(entries.len());
        step *= 2;
    }
    let at = low + entries.get(low..high)?.partition_point(precedes);
    entries.get(at).filter(|entry| entry.id == *id).map(|_| at)
}

/// The first bytes of an id, which tell almost all ids apart and compare faster than all of them.
fn leading(id: &BlobId) -> u64 {
    id.0.first_chunk()
        .map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

/// As ids are ordered.
fn compare(one: &BlobId, other: &BlobId) -> Ordering {
    let leading = leading(one).cmp(&leading(other));
    leading.then_with(|| one.cmp(other))
}

/// The blob's copies among entries by id.
fn copies(entries: &[Entry], id: BlobId) -> impl Iterator<Item = &Entry> {
    let from = position(entries, &id).unwrap_or(entries.len());
    let entries = entries.iter().skip(from);
    entries.take_while(move |entry| entry.id == id)
}

impl Table {
    /// Adds what was not there when the rest was loaded.
    fn insert(&mut self, entry: Entry) {
        self.latest.insert(entry.id, entry);
        if self.latest.len() >= LATEST.max(self.added.len() / 8) {
            self.added
                .extend(self.latest.drain().map(|(_, entry)| entry));
            // A stable sort knows what is sorted already.
            self.added.sort_by(|a, b| compare(&a.id, &b.id));
        }
    }

    /// The blob's copies.
    fn copies(&self, id: BlobId) -> impl Iterator<Item = &Entry> {
        let settled = copies(&self.sorted, id).chain(copies(&self.added, id));
        settled.chain(self.latest.get(&id))
    }

    fn entries(&self) -> impl Iterator<Item = &Entry> {
        let settled = self.sorted.iter().chain(&self.added);
        settled.chain(self.latest.values())
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
        self.data.sorted.reserve(data);
        self.tree.sorted.reserve(blobs().count() - data);
        let load = |pack: &PackEntry| {
            let number = self.number(pack.id);
            for blob in &pack.blobs {
                let table = self.table_mut(blob.kind);
                table.sorted.push(Entry::new(number, blob));
            }
            number
        };
        packs.iter().map(load).collect()
    }

    fn sort(&mut self) {
        for table in [&mut self.data, &mut self.tree] {
            let order = |a: &Entry, b: &Entry| compare(&a.id, &b.id).then_with(|| a.cmp(b));
            table.sorted.sort_unstable_by(order);
            table.sorted.dedup();
            table.sorted.shrink_to_fit();
        }
    }

    /// The packs by their numbers.
    pub(crate) fn packs(&self) -> &[PackId] {
        &self.packs
    }

    pub(crate) fn number_of(&self, id: &PackId) -> Option<u32> {
        self.numbers.get(id).copied()
    }

    /// What was loaded, by id, so that copies of one blob follow each other.
    pub(crate) fn entries(&self, kind: BlobKind) -> &[Entry] {
        &self.table(kind).sorted
    }

    /// Where the blob's copies begin in [`Self::entries`].
    pub(crate) fn position(&self, kind: BlobKind, id: &BlobId) -> Option<usize> {
        position(&self.table(kind).sorted, id)
    }

    /// How many bytes each pack must have for what the index knows of it, by their numbers.
    pub(crate) fn sizes(&self) -> Vec<u64> {
        let mut sizes = vec![header_length([]); self.packs.len()];
        for kind in [BlobKind::Data, BlobKind::Tree] {
            for entry in self.table(kind).entries() {
                if let Some(size) = sizes.get_mut(entry.pack as usize) {
                    *size += u64::from(entry.length) + entry.header_length();
                }
            }
        }
        sizes
    }

    fn locations(&self, kind: BlobKind, id: BlobId) -> impl Iterator<Item = Location> {
        self.table(kind).copies(id).filter_map(|entry| {
            Some(Location {
                pack: *self.packs.get(entry.pack as usize)?,
                offset: entry.offset,
                length: entry.length,
                uncompressed_length: entry.uncompressed_length(),
            })
        })
    }

    /// The ids of all blobs of a kind; one that is stored twice comes twice.
    pub(crate) fn ids(&self, kind: BlobKind) -> impl Iterator<Item = BlobId> {
        self.table(kind).entries().map(|entry| entry.id)
    }

    /// The blobs of the packs that `wanted` says, by their place in the pack.
    pub(crate) fn blobs_of(&self, wanted: impl Fn(u32) -> bool) -> HashMap<u32, Vec<BlobEntry>> {
        let mut packs: HashMap<u32, Vec<BlobEntry>> = HashMap::new();
        for kind in [BlobKind::Data, BlobKind::Tree] {
            for entry in self.table(kind).entries() {
                if wanted(entry.pack) {
                    packs.entry(entry.pack).or_default().push(entry.blob(kind));
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
        let number = self.live.number(pack.id);
        for blob in &pack.blobs {
            let table = self.live.table_mut(blob.kind);
            table.insert(Entry::new(number, blob));
        }
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

    /// Ids that are spread as digests are, and some that are not.
    fn ids() -> impl Iterator<Item = BlobId> {
        let spread = (0..3 * LATEST as u64).map(|number| BlobId::of(&number.to_le_bytes()));
        let [low, high] = [0, u8::MAX].map(|byte| {
            (0..1_000_u16).map(move |number| {
                let mut id = [byte; 32];
                id[30..].copy_from_slice(&number.to_be_bytes());
                BlobId(id)
            })
        });
        spread.chain(low).chain(high)
    }

    #[test]
    fn each_of_many_blobs_is_found_loaded_or_added_and_no_other() {
        let blob = |id| BlobEntry {
            id,
            kind: BlobKind::Data,
            offset: 0,
            length: 50,
            uncompressed_length: None,
        };
        let pack = |number: u8, blobs| PackEntry::new(PackId([number; 32]), blobs);
        let half = |rest| ids().enumerate().filter(move |(at, _)| at % 2 == rest);
        let loaded = IndexFile {
            packs: vec![pack(0, half(0).map(|(_, id)| blob(id)).collect())],
            ..IndexFile::default()
        };
        let mut index = Index::new(vec![(IndexId([1; 32]), loaded)]);
        for (_, id) in half(1) {
            assert!(!index.has(BlobKind::Data, &id));
        }
        for (_, id) in half(1) {
            index.insert(&pack(1, vec![blob(id)]));
        }
        assert!(!index.live.data.added.is_empty() && !index.live.data.latest.is_empty());
        for (at, id) in ids().enumerate() {
            let found = index.locations(BlobKind::Data, &id);
            let packs: Vec<_> = found.map(|location| location.pack.0[0]).collect();
            assert_eq!(packs, [(at % 2) as u8], "{id}");
        }
        let others = [[0; 32], [u8::MAX; 32]].map(BlobId);
        let others = others.into_iter().chain([BlobId::of(b"another")]);
        for id in others.filter(|id| !ids().any(|other| other == *id)) {
            assert!(!index.has(BlobKind::Data, &id), "{id}");
        }
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
