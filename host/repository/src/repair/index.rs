//! Making the index anew from the packs' own headers.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;

use super::read_header;
use crate::backend::FileKind;
use crate::error::Error;
use crate::format::index::PackEntry;
use crate::id::{IndexId, PackId};
use crate::index::{Index, Origin, Part};
use crate::index_files::{IndexWriter, each_pack};
use crate::lock::LockGuard;
use crate::parallel;
use crate::progress::Progress;
use crate::repository::Repository;

/// So many headers are in memory at a time.
const HEADERS: usize = 1024;

/// How to repair an index.
#[derive(Debug, Clone, Default)]
pub struct IndexRepairOptions {
    /// Read the header of every pack, rather than of those only that the index does not describe.
    pub read_all_packs: bool,
    /// Say what would be done, and change nothing.
    pub dry_run: bool,
    /// Set to true from anywhere, it ends the work with [`Error::Interrupted`]. The repository is then no worse than before.
    pub cancel: Arc<AtomicBool>,
}

/// A damaged pack.
#[derive(Debug, Clone, Serialize)]
pub struct DamagedPack {
    /// Which one.
    pub id: PackId,
    /// What is wrong with it.
    pub problem: String,
    /// Whether the index describes it all the same, so that some of it may be saved.
    pub indexed: bool,
}

/// What a repair of the index found, and did or would do.
#[derive(Debug, Clone, Default, Serialize)]
pub struct IndexRepair {
    /// Whether nothing was changed.
    pub dry_run: bool,
    /// Index files that can't be read, which are removed: each is named with what is wrong with it.
    pub unreadable: Vec<String>,
    /// Packs whose header was read.
    pub read: u64,
    /// Packs that the index did not name, and does now.
    pub added: Vec<PackId>,
    /// Packs of which the index said something else than they do.
    pub corrected: Vec<PackId>,
    /// Packs that the index named and that are not there: it names them no longer.
    pub missing: Vec<PackId>,
    /// How many blobs the index said they hold.
    pub missing_blobs: u64,
    /// Packs whose header can't be read. What the index says of them stays.
    pub damaged: Vec<DamagedPack>,
    /// Index files that were there before, and are written anew.
    pub rewritten: u64,
}

impl IndexRepair {
    /// Whether the index is as it should be.
    pub fn is_fine(&self) -> bool {
        self.unreadable.is_empty()
            && self.added.is_empty()
            && self.corrected.is_empty()
            && self.missing.is_empty()
            && self.damaged.is_empty()
    }
}

/// Makes the index fit the packs that are there.
///
/// # Errors
/// The lock is not exclusive or has lapsed, the store fails, or the work was interrupted.
pub fn repair_index(
    repository: &Repository,
    options: &IndexRepairOptions,
    lock: &LockGuard,
    progress: &dyn Progress,
) -> Result<IndexRepair, Error> {
    let mut report = IndexRepair {
        dry_run: options.dry_run,
        ..IndexRepair::default()
    };
    let proceed = || match (options.cancel.load(Ordering::Relaxed), options.dry_run) {
        (true, _) => Err(Error::Interrupted),
        (false, true) => Ok(()),
        (false, false) => lock.check_exclusive(),
    };
    proceed()?;
    repository.unload_index();
    let (index, broken) = read_index(repository, &mut report)?;
    let packs = repository.backend().list(FileKind::Pack)?;

    let absent = |id: &PackId| {
        packs
            .binary_search_by(|(other, _)| other.cmp(&id.0))
            .is_err()
    };
    let numbers = |part: &Part| {
        let numbered = (0_u32..).zip(part.packs());
        let absent = numbered.filter(|(_, id)| absent(id));
        absent.map(|(number, _)| number).collect::<HashSet<_>>()
    };
    let (gone, gone_marked) = (numbers(index.live()), numbers(index.marked()));
    let live = index.live().packs().iter();
    report.missing = live.filter(|id| absent(id)).copied().collect();
    let held = index.live().blobs_of(|number| gone.contains(&number));
    report.missing_blobs = held.values().map(|blobs| blobs.len() as u64).sum();

    let sizes = index.live().sizes();
    let unread: Vec<_> = packs
        .iter()
        .map(|(id, size)| (PackId(*id), *size))
        .filter(|(id, size)| match index.live().number_of(id) {
            Some(number) => options.read_all_packs || sizes.get(number as usize) != Some(size),
            None => index.marked().number_of(id).is_none(),
        })
        .collect();
    progress.part(&format!("Reading the headers of {} packs", unread.len()));
    progress.total(
        unread.len() as u64,
        unread.iter().map(|(_, size)| size).sum(),
    );
    let mut writer = IndexWriter::new(repository);
    let mut replaced = HashSet::new();
    for unread in unread.chunks(HEADERS) {
        proceed()?;
        let headers = parallel::map(unread, |(id, size)| {
            let header = read_header(repository, id, *size);
            progress.advance(1, *size);
            match header {
                Err(error) if !error.is_loss() => Err(error),
                header => Ok(header),
            }
        })?;
        let numbers = unread.iter().map(|(id, _)| index.live().number_of(id));
        let numbers: HashSet<u32> = numbers.flatten().collect();
        let mut known = index.live().blobs_of(|number| numbers.contains(&number));
        for ((id, _), header) in unread.iter().zip(headers) {
            report.read += 1;
            let number = index.live().number_of(id);
            let blobs = match header {
                Ok(blobs) => blobs,
                Err(problem) => {
                    report.damaged.push(DamagedPack {
                        id: *id,
                        problem: problem.to_string(),
                        indexed: number.is_some(),
                    });
                    continue;
                }
            };
            match number {
                None => report.added.push(*id),
                Some(number) => {
                    replaced.insert(number);
                    if known.remove(&number).as_ref() != Some(&blobs) {
                        report.corrected.push(*id);
                    }
                }
            }
            if !options.dry_run {
                writer.add(PackEntry::new(*id, blobs), false)?;
            }
        }
    }
    let touched = |file: &&Origin| {
        let leaves = |number| gone.contains(number) || replaced.contains(number);
        file.packs.iter().any(leaves) || file.marked.iter().any(|n| gone_marked.contains(n))
    };
    let old: Vec<_> = index
        .files()
        .iter()
        .filter(touched)
        .map(|file| file.id)
        .collect();
    report.rewritten = old.len() as u64;
    if options.dry_run {
        return Ok(report);
    }
    each_pack(repository, &old, &mut |pack, marked| {
        let (part, leaves) = match marked {
            true => (index.marked(), [&gone_marked, &gone_marked]),
            false => (index.live(), [&gone, &replaced]),
        };
        let number = part.number_of(&pack.id);
        match number.is_some_and(|number| leaves.iter().any(|leaves| leaves.contains(&number))) {
            true => Ok(()),
            false => writer.add(pack, marked),
        }
    })?;
    proceed()?;
    writer.finish()?;
    proceed()?;
    let old = old.iter().chain(index.superseded()).chain(&broken);
    let old: Vec<_> = old.copied().collect();
    parallel::map(&old, |id| {
        repository.backend().remove(FileKind::Index, &id.0)
    })?;
    Ok(report)
}

/// The index that can be read, and the files that can't.
fn read_index(
    repository: &Repository,
    report: &mut IndexRepair,
) -> Result<(Index, Vec<IndexId>), Error> {
    let ids = repository.backend().list(FileKind::Index)?;
    let read = parallel::map(&ids, |(id, _)| {
        let read = repository.backend().read(FileKind::Index, id);
        match read.and_then(|sealed| repository.decode_index(id, &sealed)) {
            Err(error) if !error.is_loss() => Err(error),
            read => Ok((IndexId(*id), read)),
        }
    })?;
    let mut files = Vec::with_capacity(read.len());
    let mut broken = Vec::new();
    for (id, read) in read {
        match read {
            Ok(file) => files.push(file),
            Err(error) => {
                report.unreadable.push(error.to_string());
                broken.push(id);
            }
        }
    }
    Ok((Index::new(files), broken))
}
