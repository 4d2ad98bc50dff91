//! Removing what no snapshot needs.
//!
//! The order keeps the repository whole wherever it is cut off: what is still needed of a pack is written into new packs and these into the
//! index, then the index files are written without the old packs, then the old index files are removed, and only then the packs.
//!
//! In two phases nobody has to be kept out. A pack that nothing needs moves to the index's list of packs that are to be removed, on which no
//! backup that begins later relies; one that began before is done when, a period of grace later, another prune looks again: what is needed
//! after all counts again, the rest is removed. What was written within that period is not touched at all, since a backup may be about to
//! refer to it.

mod options;
mod plan;
mod stats;
mod steps;

use std::time::Duration;

use copal_storage::Unfinished;

pub use options::{MaxUnused, PruneOptions, parse_size};
pub use stats::{Amount, Packs, PruneStats};

use crate::backend::{FileKind, Listed};
use crate::error::Error;
use crate::format::Timestamp;
use crate::id::{PackId, SnapshotId};
use crate::index::Index;
use crate::lock::LockGuard;
use crate::progress::Progress;
use crate::repository::Repository;
use crate::used::{self, Used};
use plan::{Fate, Pack};

/// The usual pause between the two phases in hours: as long as rustic's.
pub const GRACE_HOURS: u32 = 23;

/// The same pause. A backup that takes longer than half of it proves, before it saves its snapshot, that nothing it relies on was marked.
pub const GRACE: Duration = Duration::from_secs(GRACE_HOURS as u64 * 60 * 60);

/// A shorter pause is only for those who have kept everybody out: what a backup relies on could be removed before it is done.
pub const MIN_GRACE: Duration = Duration::from_secs(12 * 60 * 60);

/// Marks are written before the index files go that do not have them, and until then a backup may begin to rely on what is marked: for no
/// longer than this.
const MARKING: Duration = Duration::from_secs(30 * 60);

/// Prunes. `planned` is shown what is about to be done.
///
/// The lock must be exclusive, or in two phases any: one of [`LockMode::Read`](crate::LockMode::Read) keeps those out who need it exclusively,
/// where the store takes a lock at all.
///
/// # Errors
/// Something that a snapshot needs is missing or damaged: then nothing is changed. Or the lock is not the right one or has lapsed, the store
/// fails, or the work was interrupted: then less is removed than planned, and nothing that is needed. Or the grace is below [`MIN_GRACE`], and
/// the lock not exclusive.
pub fn prune(
    repository: &Repository,
    options: &PruneOptions,
    lock: &LockGuard,
    progress: &dyn Progress,
    planned: &mut dyn FnMut(&PruneStats),
) -> Result<PruneStats, Error> {
    check(options, lock)?;
    let horizon = Horizon::new(options, lock)?;
    let plan = Plan::make(repository, options, horizon, progress)?;
    planned(&plan.stats);
    if !options.dry_run {
        steps::perform(&plan, repository, options, lock, progress)?;
        repository.unload_index();
    }
    Ok(plan.stats)
}

/// Proves that nobody else works on what is about to be changed.
fn check(options: &PruneOptions, lock: &LockGuard) -> Result<(), Error> {
    match options.two_phase.is_none() && !options.dry_run {
        true => lock.check_exclusive(),
        false => lock.check(),
    }
}

/// What was written, or marked, after it is not touched.
#[derive(Debug, Clone, Copy)]
struct Horizon {
    /// Seconds since 1970; nothing where all may be touched.
    written: Option<i64>,
    marked: Option<i64>,
}

impl Horizon {
    /// The one of a prune that begins now. No later moment will do: a backup that has ended since is not among the snapshots that are looked at.
    fn new(options: &PruneOptions, lock: &LockGuard) -> Result<Self, Error> {
        let Some(grace) = options.two_phase else {
            return Ok(Self {
                written: None,
                marked: None,
            });
        };
        let alone = lock.is_exclusive();
        if grace < MIN_GRACE && !alone && !options.dry_run {
            return Err(Error::Unsupported(format!(
                "the repository at {} is not locked exclusively, so what was marked less than {} hours ago may be needed by a backup that is not \
                 done: give a longer grace, or prune without two phases",
                lock.location(),
                MIN_GRACE.as_secs() / (60 * 60)
            )));
        }
        let ago = |time: Duration| {
            let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
            Some(Timestamp::now().seconds.saturating_sub(seconds))
        };
        Ok(Self {
            written: ago(grace),
            marked: match alone {
                true => ago(grace),
                false => ago(grace.saturating_add(MARKING)),
            },
        })
    }

    /// Whether a file may be touched that was written then. One of which that is not known may have been written just now.
    fn is_past(self, written: Option<i64>) -> bool {
        let past = |horizon| written.is_some_and(|written| written <= horizon);
        self.written.is_none_or(past)
    }

    /// Whether a pack may be removed that was marked then.
    fn is_past_mark(self, since: Option<i64>) -> bool {
        let past = |horizon| since.is_some_and(|since| since <= horizon);
        self.marked.is_none_or(past)
    }
}

/// What becomes of a pack that is marked to be removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MarkedFate {
    /// It counts in another index file, which decides.
    Forget,
    /// It is needed after all.
    Recover,
    /// It is too early to remove it.
    Wait,
    Remove,
}

/// What becomes of all packs.
struct Plan {
    /// All that were there, in order, those too of which nothing is needed.
    snapshots: Vec<SnapshotId>,
    used: Used,
    /// By the numbers of the packs that count.
    packs: Vec<Pack>,
    fates: Vec<Fate>,
    /// By the numbers of those that are marked.
    marked: Vec<MarkedFate>,
    /// Packs in no index that are removed.
    unindexed: Vec<PackId>,
    /// Files that never became any, which are removed.
    unfinished: Vec<Unfinished>,
    stats: PruneStats,
}

impl Plan {
    fn make(
        repository: &Repository,
        options: &PruneOptions,
        horizon: Horizon,
        progress: &dyn Progress,
    ) -> Result<Self, Error> {
        repository.unload_index();
        // Snapshots before the index, and that before the packs: so each knows all that the one before needs.
        let mut snapshots = repository.snapshots().map_err(|error| {
            error.advise("it may need anything, so nothing was removed; `copal forget` with its whole id gives it up")
        })?;
        let mut all: Vec<_> = snapshots.iter().map(|(id, _)| *id).collect();
        all.sort_unstable();
        snapshots.retain(|(id, _)| !options.without.contains(id));
        repository.load_index()?;
        progress.part(&format!(
            "Looking for what {} snapshots need",
            snapshots.len()
        ));
        let count = snapshots.len() as u64;
        let roots = snapshots.into_iter().map(|(_, snapshot)| snapshot.tree);
        let used = used::find(repository, roots.collect(), &options.cancel)?;
        let files = repository.backend().list_dated(FileKind::Pack)?;
        let mut unfinished = repository.backend().unfinished()?;
        unfinished.retain(|file| horizon.is_past(Some(file.written).filter(|&time| time > 0)));
        let version = repository.version();
        let plan = repository
            .with_index(|index| Self::decide(index, used, &files, options, horizon, version))?;
        let plan = plan.map_err(|problems| {
            let count = problems.len() as u64;
            used::missing(repository, &problems[..problems.len().min(20)], count)
        })?;
        let mut stats = PruneStats {
            snapshots: count,
            ..plan.stats
        };
        for file in &unfinished {
            stats.unfinished.add(file.size);
        }
        Ok(Self {
            snapshots: all,
            stats,
            unfinished,
            ..plan
        })
    }

    /// Decides on every pack, or says what is missing.
    fn decide(
        index: &Index,
        used: Used,
        files: &[Listed],
        options: &PruneOptions,
        horizon: Horizon,
        version: u32,
    ) -> Result<Self, Vec<String>> {
        let young = |written| !horizon.is_past(written);
        let (packs, duplicate) = plan::packs(index.live(), &used.live, files, young);
        let (marked_packs, _) = plan::packs(index.marked(), &used.marked, files, |_| false);
        let problems: Vec<_> = [(index.live(), &packs), (index.marked(), &marked_packs)]
            .into_iter()
            .flat_map(|(part, packs)| part.packs().iter().zip(packs))
            .filter_map(|(id, pack)| problem(id, pack))
            .collect();
        if !problems.is_empty() {
            return Err(problems);
        }
        let fates = plan::decide(&packs, options, version);
        let mut stats = PruneStats {
            dry_run: options.dry_run,
            two_phase: options.two_phase.is_some(),
            duplicate,
            bytes_before: files.iter().map(|file| file.size).sum(),
            ..PruneStats::default()
        };
        count(&packs, &fates, &mut stats);
        let mut marked = Vec::with_capacity(marked_packs.len());
        for ((number, id), pack) in (0..).zip(index.marked().packs()).zip(&marked_packs) {
            let since = index.marked_since(number).map(|since| since.seconds);
            let size = pack.size.unwrap_or(0);
            marked.push(if index.live().number_of(id).is_some() {
                MarkedFate::Forget
            } else if pack.used.blobs > 0 {
                stats.recovered.add(size);
                MarkedFate::Recover
            } else if horizon.is_past_mark(since) {
                stats.removed.add(size);
                MarkedFate::Remove
            } else {
                stats.waiting.add(size);
                MarkedFate::Wait
            });
        }
        let known = |id: &PackId| index.live().number_of(id).or(index.marked().number_of(id));
        let mut unindexed = Vec::new();
        for file in files {
            let id = PackId(file.id);
            if known(&id).is_none() && horizon.is_past(file.written) {
                stats.unindexed.add(file.size);
                stats.removed.add(file.size);
                unindexed.push(id);
            }
        }
        let needed = packs.iter().zip(&fates);
        let needed = needed.filter(|(_, fate)| **fate == Fate::Repack);
        let anew: u64 = needed.map(|(pack, _)| pack.written_anew()).sum();
        stats.bytes_after = (stats.bytes_before + anew).saturating_sub(stats.removed.bytes);
        Ok(Self {
            snapshots: Vec::new(),
            used,
            packs,
            fates,
            marked,
            unindexed,
            unfinished: Vec::new(),
            stats,
        })
    }
}

/// What is wrong with a pack that is needed, if anything is.
fn problem(id: &PackId, pack: &Pack) -> Option<String> {
    if pack.used.blobs == 0 || pack.is_sound() {
        return None;
    }
    Some(match pack.size {
        None => format!("pack {id} is missing"),
        Some(size) => format!(
            "pack {id} has {size} bytes, and by the index {}",
            pack.expected()
        ),
    })
}

/// Adds up what becomes of the packs that count.
fn count(packs: &[Pack], fates: &[Fate], stats: &mut PruneStats) {
    for (pack, fate) in packs.iter().zip(fates) {
        let size = pack.size.unwrap_or(0);
        for (total, own) in [
            (&mut stats.used, pack.used),
            (&mut stats.unused, pack.unused),
        ] {
            total.blobs += own.blobs;
            total.bytes += own.bytes;
        }
        match fate {
            Fate::Keep => {
                stats.kept.add(size);
                stats.unused_after += pack.unused.bytes;
                if pack.young {
                    stats.young.add(size);
                }
                continue;
            }
            Fate::Remove if pack.size.is_none() => {
                stats.absent += 1;
                continue;
            }
            Fate::Remove => stats.unneeded.add(size),
            Fate::Repack => {
                stats.repacked.add(size);
                stats.repack_drops.blobs += pack.unused.blobs;
                stats.repack_drops.bytes += pack.unused.bytes;
            }
        }
        match stats.two_phase {
            true => stats.marked.add(size),
            false => stats.removed.add(size),
        }
    }
}
