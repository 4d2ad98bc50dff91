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

/// So many index files are in memory at a time.
const FILES: usize = 64;

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
    let named = [index.live().packs(), index.marked().packs()].concat();
    let packs = repository.backend().packs(&named)?;

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
    // By their numbers: packs that are gone, and then those whose header was read.
    let (mut leaving, mut leaving_marked) = (numbers(index.live()), numbers(index.marked()));
    let live = index.live().packs().iter();
    report.missing = live.filter(|id| absent(id)).copied().collect();
    let held = index.live().blobs_of(|number| leaving.contains(&number));
    report.missing_blobs = held.values().map(|blobs| blobs.len() as u64).sum();

    // Where the index describes a pack: what counts is asked first, then what is to be removed.
    let parts = [(false, index.live()), (true, index.marked())];
    let place = |id: &PackId| {
        let mut parts = parts.iter();
        parts.find_map(|(marked, part)| Some((*marked, part.number_of(id)?)))
    };
    let sizes = parts.map(|(_, part)| part.sizes());
    let unread: Vec<_> = packs
        .iter()
        .map(|(id, size)| (PackId(*id), *size))
        .filter(|(id, size)| match place(id) {
            Some((marked, number)) => {
                let sizes = sizes.get(usize::from(marked));
                let indexed = sizes.and_then(|sizes| sizes.get(number as usize));
                options.read_all_packs || indexed != Some(size)
            }
            None => true,
        })
        .collect();
    progress.part(&format!("Reading the headers of {} packs", unread.len()));
    progress.total(
        unread.len() as u64,
        unread.iter().map(|(_, size)| size).sum(),
    );
    let mut writer = IndexWriter::new(repository);
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
        let places = unread.iter().filter_map(|(id, _)| place(id));
        let places: HashSet<_> = places.collect();
        let mut known =
            parts.map(|(marked, part)| part.blobs_of(|number| places.contains(&(marked, number))));
        for ((id, _), header) in unread.iter().zip(headers) {
            report.read += 1;
            let place = place(id);
            let blobs = match header {
                Ok(blobs) => blobs,
                Err(problem) => {
                    report.damaged.push(DamagedPack {
                        id: *id,
                        problem: problem.to_string(),
                        indexed: place.is_some(),
                    });
                    continue;
                }
            };
            let mut time = None;
            if let Some((marked, number)) = place {
                if marked {
                    leaving_marked.insert(number);
                    time = index.marked_since(number);
                } else {
                    leaving.insert(number);
                }
                let known = known.get_mut(usize::from(marked));
                if known.and_then(|known| known.remove(&number)).as_ref() != Some(&blobs) {
                    report.corrected.push(*id);
                }
            } else {
                report.added.push(*id);
            }
            if !options.dry_run {
                let marked = place.is_some_and(|(marked, _)| marked);
                let pack = PackEntry::new(*id, blobs);
                writer.add(PackEntry { time, ..pack }, marked)?;
            }
        }
    }
    let touched = |file: &&Origin| {
        file.packs.iter().any(|number| leaving.contains(number))
            || file.marked.iter().any(|n| leaving_marked.contains(n))
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
        let (part, leaving) = match marked {
            true => (index.marked(), &leaving_marked),
            false => (index.live(), &leaving),
        };
        let number = part.number_of(&pack.id);
        match number.is_some_and(|number| leaving.contains(&number)) {
            true => Ok(()),
            false => writer.add(pack, marked),
        }
    })?;
    proceed()?;
    writer.finish()?;
    proceed()?;
    let old: Vec<_> = old.into_iter().chain(broken).map(|id| id.0).collect();
    let backend = repository.backend();
    parallel::map(&old, |id| backend.remove(FileKind::Index, id))?;
    backend.prove_removed(FileKind::Index, &old)?;
    Ok(report)
}

/// The index that can be read, and the files that are damaged. One that is not found when it is read is no reason to remove it.
fn read_index(
    repository: &Repository,
    report: &mut IndexRepair,
) -> Result<(Index, Vec<IndexId>), Error> {
    let mut index = Index::default();
    let mut broken = Vec::new();
    for ids in repository.backend().ids(FileKind::Index)?.chunks(FILES) {
        let read = parallel::map(ids, |id| {
            let read = repository.backend().read(FileKind::Index, id);
            match read.and_then(|sealed| repository.decode_index(id, &sealed)) {
                Err(damage @ Error::Corrupt { .. }) => Ok((IndexId(*id), Err(damage))),
                read => read.map(|(id, file)| (id, Ok(file))),
            }
        })?;
        for (id, read) in read {
            match read {
                Ok(file) => index.load(id, &file),
                Err(damage) => {
                    report.unreadable.push(damage.to_string());
                    broken.push(id);
                }
            }
        }
    }
    index.sort();
    Ok((index, broken))
}
