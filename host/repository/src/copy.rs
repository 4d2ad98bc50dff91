//! Copying snapshots into another repository, as `restic copy` does it: what is copied already is not copied again, by either program.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::error::Error;
use crate::format::BlobKind;
use crate::format::snapshot::Snapshot;
use crate::format::tree::Tree;
use crate::id::{BlobId, SnapshotId, TreeId};
use crate::index::Location;
use crate::lock::LockGuard;
use crate::parallel;
use crate::progress::Progress;
use crate::reader::Proved;
use crate::repository::{Repository, lock};
use crate::walk::{Run, runs, stored};
use crate::writer::{BlobWriter, WriteSummary, WriterOptions};

/// Bytes between two blobs of one pack up to which reading on is cheaper than asking again.
const GAP: u64 = 64 << 10;

/// Snapshots are saved once so many bytes have been stored for them, or so much time has gone, so that small ones share packs and an
/// interruption costs little.
const BATCH: u64 = 512 << 20;
const BATCH_AGE: Duration = Duration::from_secs(5 * 60);

/// How to copy.
#[derive(Debug, Clone, Default)]
pub struct CopyOptions {
    /// Find out what would be copied, and write nothing.
    pub dry_run: bool,
    /// Set to true from anywhere, it ends the work with [`Error::Interrupted`].
    pub cancel: Arc<AtomicBool>,
}

/// What became of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum Copied {
    /// It was copied.
    Copied {
        /// The copy.
        target: SnapshotId,
    },
    /// The target has had it before.
    Present {
        /// The copy.
        target: SnapshotId,
    },
    /// It would be copied.
    Planned,
    /// It was not copied: a part of it is damaged or missing where it was to be read from.
    Damaged {
        /// Which part, and what is wrong with it.
        reason: String,
    },
}

/// What a copy came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CopyReport {
    /// The snapshots asked for, in the order in which they were given.
    pub snapshots: Vec<CopyOutcome>,
    /// What the target did not have yet. In a dry run, its bytes are packed as in the source.
    pub added: WriteSummary,
    /// Whether both repositories cut files at the same places. Where they don't, what is copied and what is backed up share no data.
    pub same_chunks: bool,
}

/// A snapshot, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CopyOutcome {
    /// The snapshot in the source.
    pub id: SnapshotId,
    /// What became of it.
    #[serde(flatten)]
    pub copied: Copied,
}

/// Copies `snapshots` of `source` into `target`, on which the caller holds `guard`. A snapshot whose data is damaged is left out, and
/// told; nothing of it counts in the target.
///
/// # Errors
/// A store fails, an index is damaged, the lock has lapsed, or the work was interrupted. Snapshots that were saved before are there, and what
/// was uploaded for the others is found when they are copied again.
pub fn copy(
    source: &Repository,
    target: &Repository,
    snapshots: Vec<(SnapshotId, Snapshot)>,
    guard: &LockGuard,
    options: &CopyOptions,
    progress: &dyn Progress,
) -> Result<CopyReport, Error> {
    let present = target.readable_snapshots()?;
    for error in present.damaged {
        tracing::warn!(%error, "a snapshot of the target is passed over");
    }
    let present = Present::new(present.snapshots);
    source.load_index()?;
    target.load_index()?;
    let mut copier = Copier {
        source,
        target,
        guard,
        options,
        progress,
        writer: match options.dry_run {
            true => None,
            false => Some(target.writer(WriterOptions::default())?),
        },
        since: Instant::now(),
        visited: HashSet::new(),
        counted: Mutex::default(),
        pending: Vec::new(),
        report: CopyReport {
            snapshots: Vec::with_capacity(snapshots.len()),
            added: WriteSummary::default(),
            same_chunks: source.polynomial() == target.polynomial(),
        },
    };
    for (id, snapshot) in snapshots {
        let copied = match present.copy_of(&id, &snapshot) {
            Some(target) => Copied::Present { target },
            None => copier.snapshot(id, snapshot)?,
        };
        copier.report.snapshots.push(CopyOutcome { id, copied });
        copier.save_if_due()?;
    }
    copier.save()?;
    let mut report = copier.report;
    if options.dry_run {
        report.added = lock(&copier.counted).1;
    }
    Ok(report)
}

/// The target's snapshots, by the snapshots that they are copies of.
struct Present(HashMap<SnapshotId, Vec<(SnapshotId, Snapshot)>>);

impl Present {
    fn new(snapshots: Vec<(SnapshotId, Snapshot)>) -> Self {
        let mut by_original: HashMap<_, Vec<_>> = HashMap::new();
        for (id, snapshot) in snapshots {
            for original in snapshot.original.into_iter().chain([id]) {
                let copies = by_original.entry(original).or_default();
                copies.push((id, snapshot.clone()));
            }
        }
        Self(by_original)
    }

    fn copy_of(&self, id: &SnapshotId, snapshot: &Snapshot) -> Option<SnapshotId> {
        let copies = self.0.get(&snapshot.original.unwrap_or(*id))?;
        let mut copies = copies.iter();
        copies
            .find(|(_, copy)| is_similar(copy, snapshot))
            .map(|(id, _)| *id)
    }
}

/// restic's test: everything is the same but the parent and the original.
fn is_similar(one: &Snapshot, other: &Snapshot) -> bool {
    fn same(one: &[String], other: &[String]) -> bool {
        one.len() == other.len()
            && one.iter().collect::<BTreeSet<_>>() == other.iter().collect::<BTreeSet<_>>()
    }
    let key = |snapshot: &Snapshot| {
        (
            snapshot.time.instant(),
            snapshot.tree,
            snapshot.uid,
            snapshot.gid,
        )
    };
    key(one) == key(other)
        && one.hostname == other.hostname
        && one.username == other.username
        && one.excludes == other.excludes
        && same(&one.paths, &other.paths)
        && same(&one.tags, &other.tags)
}

/// Why a snapshot is not copied.
enum Trouble {
    /// A part of it is damaged or missing in the source.
    Damaged(Error),
    /// No other can be copied either.
    End(Error),
}

impl Trouble {
    /// The source failed with `error`.
    fn of_source(error: Error) -> Self {
        match error.is_loss() {
            true => Self::Damaged(error),
            false => Self::End(error),
        }
    }
}

/// What a dry run found missing in the target.
type Counted = (HashSet<(BlobKind, BlobId)>, WriteSummary);

struct Copier<'a> {
    source: &'a Repository,
    target: &'a Repository,
    guard: &'a LockGuard,
    options: &'a CopyOptions,
    progress: &'a dyn Progress,
    /// Nothing in a dry run.
    writer: Option<BlobWriter>,
    /// When the writer began.
    since: Instant,
    /// Trees that are in the target or on their way there, with all that is beneath them.
    visited: HashSet<TreeId>,
    counted: Mutex<Counted>,
    /// Snapshots of which everything else is on its way, by their places in the report.
    pending: Vec<(usize, Snapshot)>,
    report: CopyReport,
}

impl Copier<'_> {
    /// Copies what the snapshot refers to. The snapshot itself is saved later.
    fn snapshot(&mut self, id: SnapshotId, snapshot: Snapshot) -> Result<Copied, Error> {
        match self.contents(snapshot.tree) {
            Ok(()) => {}
            Err(Trouble::Damaged(error)) => {
                // Beneath some of them not all was reached.
                self.visited.clear();
                return Ok(Copied::Damaged {
                    reason: error.to_string(),
                });
            }
            Err(Trouble::End(error)) => return Err(error),
        }
        let copy = Snapshot {
            parent: None,
            original: snapshot.original.or(Some(id)),
            ..snapshot
        };
        self.pending.push((self.report.snapshots.len(), copy));
        Ok(Copied::Planned)
    }

    /// Copies a tree, all that lies beneath it, and all contents.
    fn contents(&mut self, root: TreeId) -> Result<(), Trouble> {
        let mut missing = HashSet::new();
        let mut level: Vec<_> = Some(root)
            .filter(|root| self.visited.insert(*root))
            .into_iter()
            .collect();
        while !level.is_empty() {
            let level_blobs = level.into_iter().map(BlobId::from).collect();
            let found = self.fetch(BlobKind::Tree, level_blobs, |copier, blob, location| {
                let what = Error::damaged(format!("tree {}", blob.id));
                let tree = Tree::decode(&blob.plaintext).map_err(what);
                let nodes = tree.map_err(Trouble::of_source)?.nodes;
                copier.take(BlobKind::Tree, blob, location)?;
                let mut lacking = Vec::new();
                for id in nodes.iter().flat_map(|node| &node.content) {
                    if copier.lacks(BlobKind::Data, id)? {
                        lacking.push(*id);
                    }
                }
                let subtrees: Vec<_> = nodes.iter().filter_map(|node| node.subtree).collect();
                Ok((subtrees, lacking))
            })?;
            level = Vec::new();
            for (subtrees, lacking) in found {
                level.extend(subtrees.into_iter().filter(|id| self.visited.insert(*id)));
                missing.extend(lacking);
            }
        }
        let missing: Vec<_> = missing.into_iter().collect();
        if self.options.dry_run {
            return missing.iter().try_for_each(|id| {
                let location = self.locate(BlobKind::Data, id)?;
                self.count(BlobKind::Data, id, &location);
                Ok(())
            });
        }
        self.fetch(BlobKind::Data, missing, |copier, blob, location| {
            copier.take(BlobKind::Data, blob, location)
        })?;
        Ok(())
    }

    fn locate(&self, kind: BlobKind, id: &BlobId) -> Result<Location, Trouble> {
        let missing = || {
            Error::corrupt(
                format!("{kind} blob {id}"),
                format!(
                    "it is missing: no index of {} names a pack with it",
                    self.source.location()
                ),
            )
        };
        let located = self.source.locate(kind, id).map_err(Trouble::End)?;
        located.ok_or_else(missing).map_err(Trouble::of_source)
    }

    /// Whether the target has to be given the blob yet.
    fn lacks(&self, kind: BlobKind, id: &BlobId) -> Result<bool, Trouble> {
        let known = match &self.writer {
            Some(writer) => writer.knows(kind, id),
            None => self.target.has(kind, id),
        };
        Ok(!known.map_err(Trouble::End)?)
    }

    /// Reads blobs of the source and hands each, proved, to `each`: several packs at a time, neighbours in a pack together.
    fn fetch<R: Send>(
        &self,
        kind: BlobKind,
        ids: Vec<BlobId>,
        each: impl Fn(&Self, &Proved, &Location) -> Result<R, Trouble> + Sync,
    ) -> Result<Vec<R>, Trouble> {
        let mut blobs = Vec::with_capacity(ids.len());
        for id in ids {
            blobs.push((self.locate(kind, &id)?, id));
        }
        blobs.sort_unstable_by_key(|(location, id)| (location.pack, location.offset, *id));
        let bytes = blobs
            .iter()
            .map(|(location, _)| u64::from(location.length))
            .sum();
        self.progress.total(blobs.len() as u64, bytes);
        let mut rest = blobs.as_slice();
        let runs: Vec<_> = runs(blobs.iter().map(|(location, _)| location), GAP)
            .into_iter()
            .map(|run| {
                let (blobs, after) = rest.split_at(run.count.min(rest.len()));
                rest = after;
                (run, blobs)
            })
            .collect();
        let results = parallel::map(&runs, |(run, blobs)| self.read_run(kind, run, blobs, &each))?;
        Ok(results.into_iter().flatten().collect())
    }

    fn read_run<R>(
        &self,
        kind: BlobKind,
        run: &Run,
        blobs: &[(Location, BlobId)],
        each: &impl Fn(&Self, &Proved, &Location) -> Result<R, Trouble>,
    ) -> Result<Vec<R>, Trouble> {
        if self.options.cancel.load(Ordering::Relaxed) {
            return Err(Trouble::End(Error::Interrupted));
        }
        let bytes = match self.source.read_pack_range(&run.pack, run.range.clone()) {
            Err(error) if !error.is_loss() => return Err(Trouble::of_source(error)),
            read => read.ok(),
        };
        let mut results = Vec::with_capacity(blobs.len());
        for (location, id) in blobs {
            let proved = bytes.as_ref().and_then(|bytes| {
                let sealed = stored(bytes, run, location).ok()?;
                self.source.prove_blob(sealed, location, id).ok()
            });
            let blob = match proved {
                Some(blob) => blob,
                // Perhaps the storage only stumbled, or there is another copy.
                None => {
                    let again = self.source.load_proved(kind, id);
                    again.map_err(Trouble::of_source)?
                }
            };
            results.push(each(self, &blob, location)?);
            self.progress.advance(1, location.length.into());
        }
        Ok(results)
    }

    /// Gives the target a blob; in a dry run, counts what that would take.
    fn take(&self, kind: BlobKind, blob: &Proved, location: &Location) -> Result<(), Trouble> {
        match &self.writer {
            Some(writer) => writer.carry(kind, blob).map(drop).map_err(Trouble::End),
            None => {
                if self.lacks(kind, &blob.id)? {
                    self.count(kind, &blob.id, location);
                }
                Ok(())
            }
        }
    }

    fn count(&self, kind: BlobKind, id: &BlobId, location: &Location) {
        let mut counted = lock(&self.counted);
        let (known, sum) = &mut *counted;
        if known.insert((kind, *id)) {
            *match kind {
                BlobKind::Data => &mut sum.data_blobs,
                BlobKind::Tree => &mut sum.tree_blobs,
            } += 1;
            sum.bytes += u64::from(location.plaintext_length());
            sum.packed_bytes += u64::from(location.length);
        }
    }

    fn save_if_due(&mut self) -> Result<(), Error> {
        let written = self
            .writer
            .as_ref()
            .map(|writer| writer.summary().packed_bytes);
        match written.is_some_and(|bytes| bytes >= BATCH) || self.since.elapsed() >= BATCH_AGE {
            true => self.save(),
            false => Ok(()),
        }
    }

    /// Completes what is on its way, and saves the snapshots that were waiting for it.
    fn save(&mut self) -> Result<(), Error> {
        if self.options.dry_run || self.pending.is_empty() {
            return Ok(());
        }
        let next = self.target.writer(WriterOptions::default())?;
        if let Some(writer) = self.writer.replace(next) {
            self.report.added += writer.finish()?;
        }
        self.since = Instant::now();
        // Had the lock lapsed, what the snapshots need might have been pruned meanwhile.
        self.guard.check()?;
        for (index, snapshot) in std::mem::take(&mut self.pending) {
            let target = self.target.save_snapshot(&snapshot)?;
            if let Some(outcome) = self.report.snapshots.get_mut(index) {
                outcome.copied = Copied::Copied { target };
            }
        }
        Ok(())
    }
}
