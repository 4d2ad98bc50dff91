//! Deciding what becomes of each pack, by restic's rules.

use super::options::PruneOptions;
use super::stats::Amount;
use crate::backend::Listed;
use crate::format::BlobKind;
use crate::format::pack::header_length;
use crate::index::{Entry, Part};
use crate::used::Needed;
use crate::writer::WriterOptions;

/// So few small packs are not worth the trouble, and one would be written anew for ever.
const SMALL_PACKS: usize = 10;

/// A pack, and how much of it is needed.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pack {
    pub(super) used: Amount,
    pub(super) unused: Amount,
    /// Bytes of the header.
    header: u64,
    data: bool,
    tree: bool,
    /// Whether anything in it is compressed.
    compressed: bool,
    /// Bytes of the file, if it is there.
    pub(super) size: Option<u64>,
    /// Whether it may belong to a backup that is not done yet.
    pub(super) young: bool,
}

impl Pack {
    /// Bytes of what the index knows of it.
    pub(super) fn expected(&self) -> u64 {
        self.used.bytes + self.unused.bytes + self.header
    }

    /// Bytes that what is needed of it takes in a new pack, but for that pack's own.
    pub(super) fn written_anew(&self) -> u64 {
        let blobs = self.used.blobs + self.unused.blobs;
        let entries = self.header - header_length([]);
        self.used.bytes + entries * self.used.blobs / blobs.max(1)
    }

    /// Whether the file is there, as long as the index says.
    pub(super) fn is_sound(&self) -> bool {
        self.size == Some(self.expected())
    }

    /// Whether it holds no file contents, or something else too.
    fn is_cacheable(&self) -> bool {
        self.tree || !self.data
    }

    fn add(&mut self, entry: &Entry, kind: BlobKind, used: bool) {
        let amount = if used {
            &mut self.used
        } else {
            &mut self.unused
        };
        amount.blobs += 1;
        amount.bytes += u64::from(entry.place.length);
        match kind {
            BlobKind::Data => self.data = true,
            BlobKind::Tree => self.tree = true,
        }
        self.compressed |= entry.place.uncompressed_length().is_some();
        self.header += entry.header_length();
    }
}

/// What becomes of a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Keep,
    /// Nothing in it is needed.
    Remove,
    /// What is needed of it is written into new packs, and the pack removed.
    Repack,
}

/// All packs of a part of the index by their numbers. Of each needed blob with several copies, one stays needed: where there is a choice, one in a
/// pack that is sound and needed anyway.
///
/// Besides, gives the copies that are not. `young` says of the time when a pack was written, whether it may belong to a backup that is not done
/// yet.
pub(super) fn packs(
    part: &Part,
    needed: &Needed,
    files: &[Listed],
    young: impl Fn(Option<i64>) -> bool,
) -> (Vec<Pack>, Amount) {
    let file = |id: &[u8; 32]| {
        let found = files.binary_search_by(|file| file.id.cmp(id));
        found.ok().and_then(|at| files.get(at))
    };
    let pack = |id: &crate::PackId| {
        let file = file(&id.0);
        Pack {
            header: header_length([]),
            size: file.map(|file| file.size),
            young: file.is_some_and(|file| young(file.written)),
            ..Pack::default()
        }
    };
    let mut packs: Vec<_> = part.packs().iter().map(pack).collect();
    // The copies of needed blobs count as unused at first, so that it is known which packs are sound and needed anyway.
    let mut several = Vec::new();
    for kind in [BlobKind::Data, BlobKind::Tree] {
        let bits = needed.of(kind);
        let mut start = 0;
        while let Some(first) = part.entry(kind, start) {
            let copies = || {
                let following = (start..).map_while(|at| Some((at, part.entry(kind, at)?)));
                following.take_while(|(_, entry)| entry.id == first.id)
            };
            let count = copies().count();
            for (at, entry) in copies() {
                if let Some(pack) = packs.get_mut(entry.place.pack as usize) {
                    pack.add(&entry, kind, count == 1 && bits.get(at));
                }
            }
            if count > 1 && bits.get(start) {
                several.push((kind, start..start + count));
            }
            start += count;
        }
    }
    let mut spare = Amount::default();
    for (kind, places) in several {
        let copies = || {
            let copies = places.clone();
            copies.filter_map(|at| Some((at, part.entry(kind, at)?.place)))
        };
        let best = copies().max_by_key(|(_, place)| {
            let pack = packs.get(place.pack as usize);
            pack.map(|pack| (pack.is_sound(), pack.used.blobs > 0))
        });
        let Some((best, place)) = best else {
            continue;
        };
        let bits = needed.of(kind);
        bits.clear(places.start);
        bits.set(best);
        spare.blobs += places.len() as u64 - 1;
        spare.bytes += copies()
            .filter(|(at, _)| *at != best)
            .map(|(_, place)| u64::from(place.length))
            .sum::<u64>();
        if let Some(pack) = packs.get_mut(place.pack as usize) {
            pack.unused.blobs -= 1;
            pack.unused.bytes -= u64::from(place.length);
            pack.used.blobs += 1;
            pack.used.bytes += u64::from(place.length);
        }
    }
    (packs, spare)
}

/// Decides what becomes of each pack. Those that are needed must be sound.
pub(super) fn decide(packs: &[Pack], options: &PruneOptions, version: u32) -> Vec<Fate> {
    let usual = WriterOptions::default().pack_size as u64;
    let target = match options.repack_small {
        true => usual / 5 * 4,
        false => usual / 25,
    };
    let must_compress =
        |pack: &Pack| options.repack_uncompressed && version >= 2 && !pack.compressed;
    let mut fates = vec![Fate::Keep; packs.len()];
    let mut candidates = Vec::new();
    let mut small = Vec::new();
    for (number, (pack, fate)) in packs.iter().zip(&mut fates).enumerate() {
        let mixed = pack.data && pack.tree;
        if pack.young {
        } else if pack.used.blobs == 0 {
            *fate = Fate::Remove;
        } else if options.repack_cacheable_only && !pack.is_cacheable() {
        } else if pack.unused.blobs == 0 && !mixed && !must_compress(pack) {
            if pack.expected() < target {
                small.push((number, pack));
            }
        } else {
            candidates.push((number, pack));
        }
    }
    if small.len() >= SMALL_PACKS {
        candidates.extend(small);
    }
    // First those of directory listings, then small ones, then those of which the largest part is not needed.
    candidates.sort_by(|(_, one), (_, other)| {
        let first = |pack: &Pack| (!pack.is_cacheable(), pack.expected() >= target);
        let share = |a: &Pack, b: &Pack| {
            let used = b.used.bytes + b.header;
            u128::from(a.unused.bytes) * u128::from(used)
        };
        first(one)
            .cmp(&first(other))
            .then_with(|| share(other, one).cmp(&share(one, other)))
    });
    let used = packs.iter().map(|pack| pack.used.bytes).sum();
    let limit = options.max_unused.bytes(used);
    let within = |(pack, fate): &(&Pack, &Fate)| **fate == Fate::Keep && !pack.young;
    let within = packs.iter().zip(&fates).filter(within);
    let mut unused: u64 = within.map(|(pack, _)| pack.unused.bytes).sum();
    let mut repacked = 0_u64;
    for (number, pack) in candidates {
        let after = repacked.saturating_add(pack.expected());
        if options.max_repack.is_some_and(|most| after >= most) {
            continue;
        }
        let wanted = pack.is_cacheable() || must_compress(pack) || pack.expected() < target;
        if wanted || unused >= limit {
            repacked = after;
            unused -= pack.unused.bytes;
            if let Some(fate) = fates.get_mut(number) {
                *fate = Fate::Repack;
            }
        }
    }
    fates
}

#[cfg(test)]
mod tests;
