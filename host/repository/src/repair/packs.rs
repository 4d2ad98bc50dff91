//! Saving what can be saved of damaged packs.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use serde::Serialize;

use super::read_header;
use crate::backend::FileKind;
use crate::error::Error;
use crate::format::BlobKind;
use crate::format::index::BlobEntry;
use crate::id::{BlobId, PackId};
use crate::index::Location;
use crate::index_files::{IndexWriter, each_pack};
use crate::lock::LockGuard;
use crate::parallel;
use crate::progress::Progress;
use crate::repository::Repository;
use crate::writer::{BlobWriter, WriterOptions};

/// How to repair packs.
#[derive(Debug, Clone, Default)]
pub struct PackRepairOptions {
    /// Where copies of the damaged packs are left, as `pack-ID`: a machine whose memory fails takes sound packs for damaged ones.
    pub copies: PathBuf,
    /// Say what would be done, and change nothing.
    pub dry_run: bool,
    /// Set to true from anywhere, it ends the work with [`Error::Interrupted`]. The repository is then no worse than before.
    pub cancel: Arc<AtomicBool>,
}

/// A blob that can't be saved.
#[derive(Debug, Clone, Serialize)]
pub struct LostBlob {
    /// What it holds.
    pub kind: BlobKind,
    /// Which one.
    pub id: BlobId,
    /// The pack that it lay in.
    pub pack: PackId,
    /// What is wrong with it.
    pub problem: String,
    /// Whether another pack holds it too, so that nothing is lost.
    pub elsewhere: bool,
}

/// What a repair of packs found, and did or would do.
#[derive(Debug, Clone, Default, Serialize)]
pub struct PackRepair {
    /// Whether nothing was changed.
    pub dry_run: bool,
    /// Blobs that were written into new packs.
    pub saved: u64,
    /// Blobs that could not be read.
    pub lost: Vec<LostBlob>,
    /// Packs that are not there at all.
    pub missing: Vec<PackId>,
    /// Packs that were removed.
    pub removed: Vec<PackId>,
    /// The copies of them.
    pub copies: Vec<PathBuf>,
}

/// Writes what can be read of these packs into new ones, and removes them from the index and from the store.
///
/// # Errors
/// The lock is not exclusive or has lapsed, a pack is neither there nor in the index, the store or the copying fails, or the work was
/// interrupted.
pub fn repair_packs(
    repository: &Repository,
    packs: &[PackId],
    options: &PackRepairOptions,
    lock: &LockGuard,
    progress: &dyn Progress,
) -> Result<PackRepair, Error> {
    let proceed = || match (options.cancel.load(Ordering::Relaxed), options.dry_run) {
        (true, _) => Err(Error::Interrupted),
        (false, true) => Ok(()),
        (false, false) => lock.check_exclusive(),
    };
    proceed()?;
    repository.unload_index();
    let packs: HashSet<PackId> = packs.iter().copied().collect();
    let indexed = repository.with_index(|index| {
        let part = index.live();
        let numbers: HashMap<_, _> = packs
            .iter()
            .filter_map(|id| Some((part.number_of(id)?, *id)))
            .collect();
        let blobs = part.blobs_of(|number| numbers.contains_key(&number));
        let named = numbers.into_iter().map(|(number, id)| {
            let blobs = blobs.get(&number).cloned().unwrap_or_default();
            (id, blobs)
        });
        named.collect::<HashMap<_, _>>()
    })?;
    let files: HashMap<_, _> = repository
        .backend()
        .list(FileKind::Pack)?
        .into_iter()
        .collect();
    if let Some(strange) = packs
        .iter()
        .find(|id| !files.contains_key(&id.0) && !indexed.contains_key(id))
    {
        let problem = format!(
            "the repository has no pack {strange}: `copal check --read-data` names the damaged ones"
        );
        return Err(Error::NotFound(problem));
    }
    let mut rescue = Rescue {
        repository,
        packs: &packs,
        writer: match options.dry_run {
            true => None,
            false => Some(repository.writer(WriterOptions::default())?),
        },
        report: PackRepair {
            dry_run: options.dry_run,
            ..PackRepair::default()
        },
    };
    progress.part(&format!("Saving what can be read of {} packs", packs.len()));
    let sizes = packs.iter().filter_map(|id| files.get(&id.0));
    progress.total(packs.len() as u64, sizes.sum());
    for id in &packs {
        proceed()?;
        let known = indexed.get(id).map_or(&[][..], Vec::as_slice);
        rescue.pack(id, known, files.get(&id.0).copied(), options)?;
        progress.advance(1, files.get(&id.0).copied().unwrap_or(0));
    }
    let Rescue {
        writer, mut report, ..
    } = rescue;
    let Some(writer) = writer else {
        return Ok(report);
    };
    writer.finish()?;
    proceed()?;
    let old = repository.with_index(|index| {
        let names = |number: &u32| {
            let id = index.live().packs().get(*number as usize);
            id.is_some_and(|id| packs.contains(id))
        };
        let files = index
            .files()
            .iter()
            .filter(|file| file.packs.iter().any(names));
        files.map(|file| file.id).collect::<Vec<_>>()
    })?;
    let mut index = IndexWriter::new(repository);
    each_pack(
        repository,
        &old,
        &mut |pack, marked| match marked || !packs.contains(&pack.id) {
            true => index.add(pack, marked),
            false => Ok(()),
        },
    )?;
    index.finish()?;
    proceed()?;
    parallel::map(&old, |id| {
        repository.backend().remove(FileKind::Index, &id.0)
    })?;
    proceed()?;
    for id in packs.iter().filter(|id| files.contains_key(&id.0)) {
        repository.backend().remove(FileKind::Pack, &id.0)?;
        report.removed.push(*id);
    }
    repository.unload_index();
    Ok(report)
}

struct Rescue<'a> {
    repository: &'a Repository,
    /// All that are repaired.
    packs: &'a HashSet<PackId>,
    /// Nothing in a dry run.
    writer: Option<BlobWriter>,
    report: PackRepair,
}

impl Rescue<'_> {
    /// Saves what can be read of a pack, of which the index knows these blobs.
    fn pack(
        &mut self,
        id: &PackId,
        known: &[BlobEntry],
        size: Option<u64>,
        options: &PackRepairOptions,
    ) -> Result<(), Error> {
        let Some(size) = size else {
            self.report.missing.push(*id);
            let missing = || "the pack is missing".to_owned();
            return known
                .iter()
                .try_for_each(|blob| self.lose(id, blob, missing()));
        };
        let mut blobs = known.to_vec();
        // What its own header says may be more than the index says.
        match read_header(self.repository, id, size) {
            Ok(own) => blobs.extend(own),
            Err(error) if error.is_loss() => {
                tracing::debug!(%error, "the index alone says what it holds")
            }
            Err(error) => return Err(error),
        }
        blobs.sort_unstable_by_key(|blob| (blob.offset, blob.id));
        blobs.dedup();
        // A disk that can't read all of a file may read parts of it.
        let whole = self
            .repository
            .backend()
            .read_unproved(FileKind::Pack, &id.0);
        if let (Ok(whole), false) = (&whole, options.dry_run) {
            let copy = options.copies.join(format!("pack-{id}"));
            std::fs::write(&copy, whole).map_err(|error| Error::io(&copy, error))?;
            self.report.copies.push(copy);
        }
        blobs
            .iter()
            .try_for_each(|blob| self.blob(id, blob, whole.as_ref().ok()))
    }

    fn blob(&mut self, id: &PackId, blob: &BlobEntry, whole: Option<&Bytes>) -> Result<(), Error> {
        let location = Location::of(*id, blob);
        let range = location.range();
        let sealed = match whole {
            Some(whole) => {
                let part = usize::try_from(range.start)
                    .ok()
                    .zip(usize::try_from(range.end).ok());
                let part = part.and_then(|(start, end)| whole.get(start..end));
                let short = || Error::corrupt(format!("pack {id}"), "it ends before the blob does");
                part.map(|part| whole.slice_ref(part)).ok_or_else(short)
            }
            None => self.repository.read_pack_range(id, range),
        };
        let proved = sealed.and_then(|sealed| {
            let data = self.repository.decode_blob(&sealed, &location, &blob.id);
            data.map(|_| sealed)
        });
        match proved {
            Ok(sealed) => {
                self.report.saved += 1;
                if let Some(writer) = &self.writer {
                    writer.store_sealed(blob.kind, blob.id, &sealed, blob.uncompressed_length)?;
                }
                Ok(())
            }
            Err(error) => self.lose(id, blob, error.to_string()),
        }
    }

    fn lose(&mut self, pack: &PackId, blob: &BlobEntry, problem: String) -> Result<(), Error> {
        let elsewhere = self.repository.with_index(|index| {
            let mut copies = index.locations(blob.kind, &blob.id);
            copies.any(|location| !self.packs.contains(&location.pack))
        })?;
        self.report.lost.push(LostBlob {
            kind: blob.kind,
            id: blob.id,
            pack: *pack,
            problem,
            elsewhere,
        });
        Ok(())
    }
}
