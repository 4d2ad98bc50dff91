//! Doing what was decided, in an order that keeps the repository whole wherever it ends.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::Ordering;

use super::plan::Fate;
use super::{MarkedFate, Plan, PruneOptions, check};
use crate::backend::FileKind;
use crate::error::Error;
use crate::format::index::{BlobEntry, PackEntry};
use crate::format::{BlobKind, Timestamp};
use crate::id::{IndexId, PackId, SnapshotId};
use crate::index::{Index, Location, Origin};
use crate::index_files::{IndexWriter, each_pack};
use crate::lock::LockGuard;
use crate::parallel;
use crate::progress::Progress;
use crate::repository::Repository;
use crate::walk::runs;
use crate::writer::{BlobWriter, INDEX_BLOBS, WriterOptions};

/// So many blobs are gathered at once to be written anew: some 50 MB.
const BATCH: u64 = 500_000;

/// Needed blobs of a pack are fetched together if no more lies between them: a request takes as long as so many bytes.
const GAP: u64 = 256 << 10;

/// Between so many removals the lock is proved again.
const REMOVALS: usize = 64;

pub(super) fn perform(
    plan: &Plan,
    repository: &Repository,
    options: &PruneOptions,
    lock: &LockGuard,
    progress: &dyn Progress,
) -> Result<(), Error> {
    let steps = Steps {
        plan,
        repository,
        options,
        lock,
        progress,
    };
    steps.proceed()?;
    steps.prove_snapshots()?;
    let discard = |file| repository.backend().discard(file);
    plan.unfinished.iter().try_for_each(discard)?;
    steps.remove_packs("that no index names", &steps.unindexed()?)?;
    steps.repack()?;
    steps.rewrite_index()?;
    let packs = repository.with_index(|index| steps.obsolete(index))?;
    steps.remove_packs("that nothing needs", &packs)
}

struct Steps<'a> {
    plan: &'a Plan,
    repository: &'a Repository,
    options: &'a PruneOptions,
    lock: &'a LockGuard,
    progress: &'a dyn Progress,
}

impl Steps<'_> {
    /// Whether to go on.
    fn proceed(&self) -> Result<(), Error> {
        match self.options.cancel.load(Ordering::Relaxed) {
            true => Err(Error::Interrupted),
            false => check(self.options, self.lock),
        }
    }

    /// Proves that no listing shows a snapshot that was not looked at. Where nobody else may write, it was there then too, and the listing lagged
    /// behind; and where others may, nothing goes that a new one needs.
    fn prove_snapshots(&self) -> Result<(), Error> {
        if !self.lock.is_exclusive() {
            return Ok(());
        }
        let listed = self.repository.backend().ids(FileKind::Snapshot)?;
        let mut unseen = listed.iter().filter(|id| {
            let known = self.plan.snapshots.binary_search(&SnapshotId(**id));
            known.is_err()
        });
        match unseen.next() {
            None => Ok(()),
            Some(id) => Err(Error::corrupt(
                format!(
                    "the list of the snapshots at {}",
                    self.repository.location()
                ),
                format!(
                    "it shows {} now, and did not before, so nothing was removed: run it again",
                    FileKind::Snapshot.name(id)
                ),
            )),
        }
    }

    fn remove(&self, kind: FileKind, ids: &[[u8; 32]]) -> Result<(), Error> {
        for ids in ids.chunks(REMOVALS) {
            self.proceed()?;
            parallel::map(ids, |id| self.repository.backend().remove(kind, id))?;
        }
        Ok(())
    }

    fn remove_packs(&self, which: &str, packs: &[PackId]) -> Result<(), Error> {
        if packs.is_empty() {
            return Ok(());
        }
        self.progress
            .part(&format!("Removing {} packs {which}", packs.len()));
        let ids: Vec<_> = packs.iter().map(|id| id.0).collect();
        self.remove(FileKind::Pack, &ids)
    }

    /// The packs that no index names. The index is asked once more: whatever listing missed a file of it, no pack goes for that.
    fn unindexed(&self) -> Result<Vec<PackId>, Error> {
        let mut packs = self.plan.unindexed.clone();
        if !packs.is_empty() {
            let named = self.repository.named_packs()?;
            packs.retain(|id| !named.contains_key(id));
        }
        Ok(packs)
    }

    fn fate(&self, pack: u32) -> Fate {
        let fate = self.plan.fates.get(pack as usize);
        fate.copied().unwrap_or(Fate::Keep)
    }

    /// Writes what is needed of packs into new ones, and these into the index.
    fn repack(&self) -> Result<(), Error> {
        let Plan {
            packs,
            fates,
            stats,
            ..
        } = self.plan;
        let numbers = (0_u32..).zip(packs).zip(fates);
        let mut left: Vec<_> = numbers
            .filter(|(_, fate)| **fate == Fate::Repack)
            .map(|((number, pack), _)| (number, pack.used.blobs))
            .collect();
        if left.is_empty() {
            return Ok(());
        }
        self.progress
            .part(&format!("Writing {} packs anew", left.len()));
        self.progress.total(
            stats.repacked.packs,
            stats.repacked.bytes - stats.repack_drops.bytes,
        );
        let writer = self.repository.writer(WriterOptions::default())?;
        while !left.is_empty() {
            let mut blobs = 0;
            let mut batch = HashMap::new();
            while let Some((number, more)) =
                left.pop_if(|(_, more)| blobs == 0 || blobs + *more <= BATCH)
            {
                blobs += more;
                batch.insert(number, Vec::new());
            }
            self.gather(&mut batch)?;
            let ids = |index: &Index| {
                let packs = index.live().packs();
                let pack = |(number, blobs)| Some((*packs.get(number as usize)?, blobs));
                batch.into_iter().filter_map(pack).collect::<Vec<_>>()
            };
            let batch = self.repository.with_index(ids)?;
            parallel::map(&batch, |(id, blobs)| {
                self.proceed_quickly()?;
                self.copy(id, blobs, &writer)
            })?;
        }
        self.proceed()?;
        writer.finish().map(drop)
    }

    fn proceed_quickly(&self) -> Result<(), Error> {
        match self.options.cancel.load(Ordering::Relaxed) {
            true => Err(Error::Interrupted),
            false => Ok(()),
        }
    }

    /// Fills in what is needed of these packs, by its place in them.
    fn gather(&self, packs: &mut HashMap<u32, Vec<BlobEntry>>) -> Result<(), Error> {
        self.repository.with_index(|index| {
            for kind in [BlobKind::Data, BlobKind::Tree] {
                let needed = self.plan.used.live.of(kind);
                let live = index.live();
                for at in (0..live.loaded(kind)).filter(|&at| needed.get(at)) {
                    if let Some(entry) = live.entry(kind, at)
                        && let Some(blobs) = packs.get_mut(&entry.place.pack)
                    {
                        blobs.push(entry.blob(kind));
                    }
                }
            }
            for blobs in packs.values_mut() {
                blobs.sort_unstable_by_key(|blob| blob.offset);
            }
        })
    }

    /// Copies these blobs of a pack, each proved.
    fn copy(&self, pack: &PackId, blobs: &[BlobEntry], writer: &BlobWriter) -> Result<(), Error> {
        let repository = self.repository;
        let reseal = self.options.repack_uncompressed && repository.version() >= 2;
        let locations: Vec<_> = blobs.iter().map(|blob| Location::of(*pack, blob)).collect();
        let mut rest = blobs.iter().zip(&locations);
        for run in runs(locations.iter(), GAP) {
            let bytes = repository.read_pack_range(pack, run.range.clone());
            for (blob, location) in rest.by_ref().take(run.count) {
                let start = location.range().start - run.range.start;
                let sealed = bytes.as_ref().ok().and_then(|bytes| {
                    let from = bytes.get(usize::try_from(start).ok()?..)?;
                    from.get(..blob.length as usize)
                });
                let proved = sealed.map(|sealed| {
                    let data = repository.decode_blob(sealed, location, &blob.id);
                    (sealed, data)
                });
                match proved {
                    Some((sealed, Ok(data))) => match blob.uncompressed_length {
                        None if reseal => writer.store_again(blob.kind, &data)?,
                        length => writer.store_sealed(blob.kind, blob.id, sealed, length)?,
                    },
                    // Perhaps the storage only stumbled, or there is another copy.
                    _ => {
                        let data = repository.load_blob(blob.kind, &blob.id)?;
                        writer.store_again(blob.kind, &data)?
                    }
                };
                self.progress.advance(0, blob.length.into());
            }
        }
        self.progress.advance(1, 0);
        Ok(())
    }

    /// Writes the index files anew that name packs of which something becomes, and removes the old ones.
    fn rewrite_index(&self) -> Result<(), Error> {
        let (files, several) = self.repository.with_index(|index| {
            let several = named_twice(index.files());
            let touched = |file: &&Origin| {
                file.packs
                    .iter()
                    .any(|number| self.fate(*number) != Fate::Keep || several.contains(number))
                    || file.marked.iter().any(|number| self.alters(index, *number))
            };
            let mut files: Vec<_> = index
                .files()
                .iter()
                .filter(touched)
                .map(|file| file.id)
                .collect();
            if !files.is_empty() {
                // Small ones are joined on the occasion.
                let small = index
                    .files()
                    .iter()
                    .filter(|file| file.blobs < INDEX_BLOBS / 2);
                files.extend(small.map(|file| file.id));
                files.sort_unstable();
                files.dedup();
            }
            (files, several)
        })?;
        if files.is_empty() {
            return Ok(());
        }
        self.progress.part("Writing the index anew");
        self.proceed()?;
        self.write_index(&files, &several)?;
        self.proceed()?;
        let old: Vec<_> = files.iter().map(|id| id.0).collect();
        self.remove(FileKind::Index, &old)?;
        let backend = self.repository.backend();
        backend.prove_removed(FileKind::Index, &old)
    }

    /// Whether something becomes of a marked pack.
    fn alters(&self, index: &Index, number: u32) -> bool {
        self.marked(number) != MarkedFate::Wait || index.marked_since(number).is_none()
    }

    fn marked(&self, number: u32) -> MarkedFate {
        let fate = self.plan.marked.get(number as usize);
        fate.copied().unwrap_or(MarkedFate::Wait)
    }

    fn write_index(&self, files: &[IndexId], several: &HashSet<u32>) -> Result<(), Error> {
        let now = Timestamp::now();
        let mut writer = IndexWriter::new(self.repository);
        let add = |writer: &mut IndexWriter<'_>, number: u32, pack: PackEntry| {
            let there = self.plan.packs.get(number as usize);
            let there = there.is_none_or(|pack| pack.size.is_some());
            match self.fate(number) {
                Fate::Keep => writer.add(pack, false),
                _ if self.options.two_phase.is_some() && there => {
                    let time = Some(now);
                    writer.add(PackEntry { time, ..pack }, true)
                }
                _ => Ok(()),
            }
        };
        let mut done = HashSet::new();
        each_pack(self.repository, files, &mut |pack, marked| {
            let number = |index: &Index| {
                let part = if marked { index.marked() } else { index.live() };
                part.number_of(&pack.id)
            };
            let Some(number) = self.repository.with_index(number)? else {
                return Ok(());
            };
            if !marked {
                return match several.contains(&number) {
                    true => Ok(()),
                    false => add(&mut writer, number, pack),
                };
            }
            if !done.insert(number) {
                return Ok(());
            }
            match self.marked(number) {
                MarkedFate::Forget | MarkedFate::Remove => Ok(()),
                MarkedFate::Recover => writer.add(PackEntry { time: None, ..pack }, false),
                MarkedFate::Wait => {
                    let time = self
                        .repository
                        .with_index(|index| index.marked_since(number))?;
                    let time = time.or(Some(now));
                    writer.add(PackEntry { time, ..pack }, true)
                }
            }
        })?;
        // Files may say different things of one pack; the index has all of it.
        let merged = self.repository.with_index(|index| {
            let blobs = index.live().blobs_of(|number| several.contains(&number));
            let pack = |(number, blobs): (u32, _)| {
                let id = index.live().packs().get(number as usize)?;
                Some((number, PackEntry::new(*id, blobs)))
            };
            blobs.into_iter().filter_map(pack).collect::<Vec<_>>()
        })?;
        for (number, pack) in merged {
            add(&mut writer, number, pack)?;
        }
        writer.finish()
    }

    /// The packs that the index names no longer.
    fn obsolete(&self, index: &Index) -> Vec<PackId> {
        let Plan { packs, marked, .. } = self.plan;
        let live = (0_u32..).zip(index.live().packs()).zip(packs);
        let live = live.filter(|((number, _), pack)| {
            self.options.two_phase.is_none()
                && self.fate(*number) != Fate::Keep
                && pack.size.is_some()
        });
        let marked = index.marked().packs().iter().zip(marked);
        let marked = marked.filter(|(_, fate)| **fate == MarkedFate::Remove);
        let live = live.map(|((_, id), _)| *id);
        live.chain(marked.map(|(id, _)| *id)).collect()
    }
}

/// The packs that more than one index file names.
fn named_twice(files: &[Origin]) -> HashSet<u32> {
    let mut seen = HashSet::new();
    let packs = files.iter().flat_map(|file| &file.packs);
    packs
        .filter(|number| !seen.insert(**number))
        .copied()
        .collect()
}
