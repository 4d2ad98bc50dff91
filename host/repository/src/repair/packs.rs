//! Saving what can be saved of damaged packs.

use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
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
use crate::index::{Location, Origin, Part};
use crate::index_files::{IndexWriter, each_pack};
use crate::lock::LockGuard;
use crate::parallel;
use crate::progress::Progress;
use crate::repository::Repository;
use crate::writer::{BlobWriter, WriterOptions};

/// How to repair packs.
#[derive(Debug, Clone, Default)]
pub struct PackRepairOptions {
    /// Where copies of the damaged packs are left, as `pack-ID`, or `pack-ID.1` and so on where there is another: a machine whose memory fails
    /// takes sound packs for damaged ones.
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

/// Writes what can be read of these packs into new ones, and removes them from the index and from the store. None is removed of which there is
/// no copy.
///
/// # Errors
/// The lock is not exclusive or has lapsed, a pack is neither there nor in the index, nothing is known of what one holds, the store or the
/// copying fails, or the work was interrupted. Then no pack has been removed, unless it was in the middle of that.
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
        let mut indexed = HashMap::<_, Vec<_>>::new();
        for part in [index.live(), index.marked()] {
            let numbers = packs
                .iter()
                .filter_map(|id| Some((part.number_of(id)?, *id)));
            let numbers: HashMap<_, _> = numbers.collect();
            let mut blobs = part.blobs_of(|number| numbers.contains_key(&number));
            for (number, id) in numbers {
                let blobs = blobs.remove(&number).unwrap_or_default();
                indexed.entry(id).or_default().extend(blobs);
            }
        }
        indexed
    })?;
    let named: Vec<_> = indexed.keys().copied().collect();
    let files: HashMap<_, _> = repository.backend().packs(&named)?.into_iter().collect();
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
        let names = |part: &Part, number: &u32| {
            let id = part.packs().get(*number as usize);
            id.is_some_and(|id| packs.contains(id))
        };
        let names = |file: &&Origin| {
            let mut live = file.packs.iter();
            let mut marked = file.marked.iter();
            live.any(|n| names(index.live(), n)) || marked.any(|n| names(index.marked(), n))
        };
        let files = index.files().iter().filter(names);
        files.map(|file| file.id).collect::<Vec<_>>()
    })?;
    let mut index = IndexWriter::new(repository);
    each_pack(
        repository,
        &old,
        &mut |pack, marked| match packs.contains(&pack.id) {
            true => Ok(()),
            false => index.add(pack, marked),
        },
    )?;
    index.finish()?;
    proceed()?;
    let old: Vec<_> = old.iter().map(|id| id.0).collect();
    let backend = repository.backend();
    parallel::map(&old, |id| backend.remove(FileKind::Index, id))?;
    backend.prove_removed(FileKind::Index, &old)?;
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
    /// Saves what can be read of a pack, of which index files know these blobs.
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
            Err(Error::Corrupt { what, reason }) if known.is_empty() => {
                return Err(Error::corrupt(
                    what,
                    format!(
                        "{reason}; no index says what it holds either, so nothing of it can be saved, and it stays; `copal prune` removes what no \
                         index names"
                    ),
                ));
            }
            Err(error @ Error::Corrupt { .. }) => {
                tracing::debug!(%error, "the index alone says what it holds")
            }
            Err(error) => return Err(error),
        }
        blobs.sort_unstable_by_key(|blob| (blob.offset, blob.id));
        blobs.dedup();
        let backend = self.repository.backend();
        let whole = backend.read_unproved(FileKind::Pack, &id.0)?;
        if !options.dry_run {
            let copy = keep_copy(&options.copies, &format!("pack-{id}"), &whole)?;
            self.report.copies.push(copy);
        }
        blobs
            .iter()
            .try_for_each(|blob| self.blob(id, blob, &whole))
    }

    fn blob(&mut self, id: &PackId, blob: &BlobEntry, whole: &Bytes) -> Result<(), Error> {
        let location = Location::of(*id, blob);
        let range = location.range();
        let range = usize::try_from(range.start)
            .ok()
            .zip(usize::try_from(range.end).ok());
        let sealed = range
            .filter(|(_, end)| *end <= whole.len())
            .map(|(start, end)| whole.slice(start..end));
        let short = || Error::corrupt(format!("pack {id}"), "it ends before the blob does");
        let proved = |sealed: Bytes| {
            let data = self.repository.decode_blob(&sealed, &location, &blob.id);
            data.map(|_| sealed)
        };
        let sealed = sealed.ok_or_else(short).and_then(proved);
        // Read by itself, since it may have been damaged on its way.
        let sealed = match sealed {
            Err(error) if error.is_loss() => {
                let again = self.repository.read_pack_range(id, location.range());
                match again.and_then(proved) {
                    Err(again) if again.is_loss() => Err(error),
                    again => again,
                }
            }
            sealed => sealed,
        };
        match sealed {
            Ok(sealed) => {
                self.report.saved += 1;
                if let Some(writer) = &self.writer {
                    writer.store_sealed(blob.kind, blob.id, &sealed, blob.uncompressed_length)?;
                }
                Ok(())
            }
            Err(error) if error.is_loss() => self.lose(id, blob, error.to_string()),
            Err(error) => Err(error),
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

/// Writes a file that is there even after a power cut. Another of that name stays, and the new one gets a number; but one with the same bytes will
/// do.
fn keep_copy(directory: &Path, name: &str, bytes: &[u8]) -> Result<PathBuf, Error> {
    let mut path = directory.join(name);
    for number in 1_u32.. {
        let failed = |error| Error::io(&path, error);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        match options.open(&path) {
            Ok(mut file) => {
                file.write_all(bytes)
                    .and_then(|()| file.sync_all())
                    .map_err(failed)?;
                break;
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let there = std::fs::read(&path);
                if there.is_ok_and(|there| there == bytes) {
                    let file = File::open(&path);
                    file.and_then(|file| file.sync_all()).map_err(failed)?;
                    break;
                }
            }
            Err(error) => return Err(failed(error)),
        }
        path = directory.join(format!("{name}.{number}"));
    }
    let parent = match directory.as_os_str().is_empty() {
        true => Path::new("."),
        false => directory,
    };
    let synced = File::open(parent).and_then(|parent| parent.sync_all());
    synced.map_err(|error| Error::io(parent, error))?;
    Ok(path)
}
