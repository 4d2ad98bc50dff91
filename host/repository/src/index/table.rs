//! The blobs of one kind, by id.

use std::cmp::Ordering;
use std::collections::HashMap;

use super::places::{Place, Places};
use crate::format::index::BlobEntry;
use crate::format::pack::{BlobKind, header_length};
use crate::id::BlobId;

/// A blob in one pack.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) id: BlobId,
    pub(crate) place: Place,
}

impl Entry {
    /// Bytes that it takes in its pack's header.
    pub(crate) fn header_length(&self) -> u64 {
        header_length([&self.place.uncompressed_length()]) - header_length([])
    }

    /// As it stands in an index file.
    pub(crate) fn blob(&self, kind: BlobKind) -> BlobEntry {
        BlobEntry {
            id: self.id,
            kind,
            offset: self.place.offset,
            length: self.place.length,
            uncompressed_length: self.place.uncompressed_length(),
        }
    }
}

/// A blob, and the number of a place where it lies.
#[derive(Debug, Clone, Copy)]
struct Keyed {
    id: BlobId,
    place: u32,
}

#[derive(Debug, Default)]
pub(super) struct Table {
    places: Places,
    /// What the repository held when it was loaded, by id; the copies of one blob by their packs.
    sorted: Vec<Keyed>,
    /// What was added since, by id but for the latest: a hash map takes twice the memory.
    added: Vec<Keyed>,
    latest: HashMap<BlobId, u32>,
}

/// So many entries are added before they are sorted in among the others, or an eighth of those if that is more.
const LATEST: usize = 32 << 10;

/// Where the blob's copies begin among entries by id, if there is one. Ids are digests and so evenly spread: the search begins where this one
/// should be, and widens from there.
fn position(entries: &[Keyed], id: &BlobId) -> Option<usize> {
    let precedes = |entry: &Keyed| compare(&entry.id, id).is_lt();
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
fn copies(entries: &[Keyed], id: BlobId) -> impl Iterator<Item = &Keyed> {
    let from = position(entries, &id).unwrap_or(entries.len());
    let entries = entries.iter().skip(from);
    entries.take_while(move |entry| entry.id == id)
}

impl Table {
    /// Room for so many more to be loaded.
    pub(super) fn reserve(&mut self, blobs: usize) {
        self.sorted.reserve(blobs);
    }

    /// Adds a blob while all are being loaded. It counts once they are sorted. A blob beyond the last number of a place is taken for missing,
    /// which harms nothing.
    pub(super) fn load(&mut self, id: BlobId, place: &Place) {
        let place = self.places.push(place);
        self.sorted.extend(place.map(|place| Keyed { id, place }));
    }

    /// Makes all that was loaded count, each place once.
    pub(super) fn sort(&mut self) {
        let place = |keyed: &Keyed| self.places.get(keyed.place);
        self.sorted
            .sort_unstable_by(|a, b| compare(&a.id, &b.id).then_with(|| place(a).cmp(&place(b))));
        self.sorted
            .dedup_by(|a, b| a.id == b.id && place(a) == place(b));
        self.sorted.shrink_to_fit();
        self.places.shrink_to_fit();
    }

    /// Adds what was not there when the rest was loaded.
    pub(super) fn insert(&mut self, id: BlobId, place: &Place) {
        let Some(place) = self.places.push(place) else {
            return;
        };
        // Of several copies of a blob all count, and only one fits there.
        if self.latest.contains_key(&id) {
            self.settle();
        }
        self.latest.insert(id, place);
        if self.latest.len() >= LATEST.max(self.added.len() / 8) {
            self.settle();
        }
    }

    /// Sorts the latest in among what was added before.
    fn settle(&mut self) {
        let latest = self.latest.drain();
        self.added
            .extend(latest.map(|(id, place)| Keyed { id, place }));
        // A stable sort knows what is sorted already.
        self.added.sort_by(|a, b| compare(&a.id, &b.id));
    }

    /// Where the blob's copies lie.
    pub(super) fn copies(&self, id: BlobId) -> impl Iterator<Item = Place> {
        let settled = copies(&self.sorted, id).chain(copies(&self.added, id));
        let settled = settled.map(|keyed| keyed.place);
        let all = settled.chain(self.latest.get(&id).copied());
        all.filter_map(|place| self.places.get(place))
    }

    /// The ids of all blobs; one that is stored twice comes twice.
    pub(super) fn ids(&self) -> impl Iterator<Item = BlobId> {
        let settled = self.sorted.iter().chain(&self.added);
        let settled = settled.map(|keyed| keyed.id);
        settled.chain(self.latest.keys().copied())
    }

    /// All blobs.
    pub(super) fn entries(&self) -> impl Iterator<Item = Entry> {
        let latest = self.latest.iter();
        let latest = latest.map(|(&id, &place)| Keyed { id, place });
        let settled = self.sorted.iter().chain(&self.added).copied();
        settled
            .chain(latest)
            .filter_map(|keyed| self.resolve(keyed))
    }

    /// How many were loaded.
    pub(super) fn loaded(&self) -> usize {
        self.sorted.len()
    }

    /// One of those that were loaded, by id, so that copies of one blob follow each other.
    pub(super) fn entry(&self, position: usize) -> Option<Entry> {
        self.resolve(*self.sorted.get(position)?)
    }

    /// Where the blob's copies begin among those that were loaded.
    pub(super) fn position(&self, id: &BlobId) -> Option<usize> {
        position(&self.sorted, id)
    }

    fn resolve(&self, Keyed { id, place }: Keyed) -> Option<Entry> {
        let place = self.places.get(place)?;
        Some(Entry { id, place })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(pack: u32) -> Place {
        Place {
            pack,
            length: 50,
            ..Place::default()
        }
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
        let half = |rest| ids().enumerate().filter(move |(at, _)| at % 2 == rest);
        let mut table = Table::default();
        for (_, id) in half(0) {
            table.load(id, &place(0));
        }
        table.sort();
        for (_, id) in half(1) {
            assert_eq!(table.copies(id).count(), 0);
        }
        for (_, id) in half(1) {
            table.insert(id, &place(1));
        }
        assert!(!table.added.is_empty() && !table.latest.is_empty());
        for (at, id) in ids().enumerate() {
            let packs: Vec<_> = table.copies(id).map(|place| place.pack).collect();
            assert_eq!(packs, [(at % 2) as u32], "{id}");
        }
        let others = [[0; 32], [u8::MAX; 32]].map(BlobId);
        let others = others.into_iter().chain([BlobId::of(b"another")]);
        for id in others.filter(|id| !ids().any(|other| other == *id)) {
            assert_eq!(table.copies(id).count(), 0, "{id}");
        }
        assert_eq!(table.ids().count(), ids().count());
        assert_eq!(table.entries().count(), ids().count());
    }

    #[test]
    fn every_copy_of_a_blob_counts_whenever_it_comes() {
        let mut table = Table::default();
        let id = BlobId::of(b"several");
        for pack in 0..2 {
            table.load(id, &place(pack));
        }
        table.sort();
        for pack in 2..5 {
            table.insert(id, &place(pack));
        }
        let mut packs: Vec<_> = table.copies(id).map(|place| place.pack).collect();
        packs.sort_unstable();
        assert_eq!(packs, [0, 1, 2, 3, 4]);
        assert_eq!(table.ids().count(), 5);
    }

    #[test]
    fn a_blob_takes_some_40_bytes() {
        let bytes_each = |length: u32, uncompressed_length: u32, each_pack: u32| {
            let mut table = Table::default();
            for (number, id) in (0..).zip(ids().take(50_000)) {
                let place = Place {
                    pack: number / each_pack,
                    offset: number % each_pack * length,
                    length,
                    uncompressed_length,
                };
                table.load(id, &place);
            }
            table.sort();
            let memory = table.places.memory() + table.sorted.capacity() * size_of::<Keyed>();
            memory as f64 / table.loaded() as f64
        };
        let small = bytes_each(3_000, 0, 5_000);
        let text = bytes_each(2_000, 6_000, 8_000);
        let large = bytes_each(400 << 10, 1_300 << 10, 40);
        assert!(
            small < 38.6 && text < 40.6 && large < 43.7,
            "{small} {text} {large}"
        );
    }
}
