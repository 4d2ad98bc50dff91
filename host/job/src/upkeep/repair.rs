//! Making snapshots out of damaged ones, without what is lost.

use std::path::Path;

use copal_repository::format::snapshot::Snapshot;
use copal_repository::format::tree::Node;
use copal_repository::progress::Progress;
use copal_repository::repair::SnapshotRepair;
use copal_repository::{
    BlobWriter, ErrorKind, LockGuard, Repository, SnapshotId, TreeId, WriterOptions, rewriter, walk,
};
use serde::Serialize;

use super::successors::Successors;
use super::{consequence, is_own};
use crate::backup::INCOMPLETE_TAG;
use crate::error::Error;
use crate::manifest::{MANIFEST_PATH, Manifest, Missing};

/// The tag of a snapshot that was made out of a damaged one.
const REPAIRED_TAG: &str = "repaired";

/// How snapshots are repaired.
#[derive(Clone, Copy, Debug, Default)]
pub struct SnapshotRepairOptions {
    /// Whether the damaged snapshots are removed, where one could be made out of them.
    pub forget: bool,
    /// Say what would be done, and change nothing.
    pub dry_run: bool,
}

/// A damaged snapshot.
#[derive(Clone, Debug, Serialize)]
pub struct RepairedSnapshot {
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// The one that was made out of it; none in a dry run, or where nothing could be made.
    pub replaced_by: Option<SnapshotId>,
    /// What is lost. Of a file that lacks a part the rest stays.
    pub lost: Vec<Missing>,
    /// What of Copal's own is lost, and what that means.
    pub consequences: Vec<String>,
    /// Why nothing could be made out of it.
    pub problem: Option<String>,
}

/// Makes a snapshot without what is lost out of each that has lost something. It is marked as incomplete, as one of a backup that could not
/// read all, and tagged `repaired`. What this machine knows of a safety snapshot, it knows of the new one too, in its folder `state`.
///
/// # Errors
/// What is lost lies in packs that no index file names; the store fails; or the lock has lapsed, or is not exclusive where damaged ones are to be removed. Then no snapshot has been removed.
pub fn repair_snapshots(
    repository: &Repository,
    snapshots: Vec<(SnapshotId, Snapshot)>,
    options: SnapshotRepairOptions,
    lock: &LockGuard,
    state: &Path,
    progress: &dyn Progress,
) -> Result<Vec<RepairedSnapshot>, Error> {
    let mut repair = SnapshotRepair::new(repository, is_own)?;
    let writer = match options.dry_run {
        true => None,
        false => Some(repository.writer(WriterOptions::default())?),
    };
    let mut repaired = Vec::new();
    let mut new = Vec::new();
    for (id, snapshot) in snapshots {
        progress.part(&format!("Looking at snapshot {}", id.short()));
        let mended = mend(repository, &mut repair, &snapshot.tree, writer.as_ref());
        let (lost, mended, problem) = match mended {
            Ok(None) => continue,
            Ok(Some((lost, mended))) => (lost, Some(mended), None),
            Err(Error::Repository(error))
                if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Unsupported) =>
            {
                (Vec::new(), None, Some(error.to_string()))
            }
            Err(error) => return Err(error),
        };
        if repair.could_be_indexed()? {
            return Err(Error::Unindexed);
        }
        if let Some(tree) = mended {
            let mut tags = snapshot.tags.clone();
            for mark in [REPAIRED_TAG, INCOMPLETE_TAG] {
                if !tags.iter().any(|tag| tag == mark) {
                    tags.push(mark.to_owned());
                }
            }
            let snapshot = Snapshot {
                tree,
                tags,
                original: Some(id),
                ..snapshot
            };
            new.push((repaired.len(), snapshot));
        }
        repaired.push(RepairedSnapshot {
            snapshot: id,
            replaced_by: None,
            consequences: lost
                .iter()
                .filter_map(|lost| consequence(&lost.path))
                .collect(),
            lost,
            problem,
        });
    }
    let Some(writer) = writer else {
        return Ok(repaired);
    };
    writer.finish()?;
    lock.check()?;
    let successors = Successors::new(repository, state);
    for (at, snapshot) in new {
        if let Some(repaired) = repaired.get_mut(at) {
            repaired.replaced_by = Some(successors.save(&repaired.snapshot, &snapshot)?);
        }
    }
    if options.forget {
        // One that nothing could be made out of stays until somebody says otherwise.
        let old = repaired
            .iter()
            .filter(|repaired| repaired.replaced_by.is_some());
        let old: Vec<_> = old.map(|repaired| repaired.snapshot).collect();
        repository.forget(&old, lock)?;
    }
    Ok(repaired)
}

/// What was lost, and the tree without it. Nothing where nothing is lost.
fn mend(
    repository: &Repository,
    repair: &mut SnapshotRepair,
    tree: &TreeId,
    writer: Option<&BlobWriter>,
) -> Result<Option<(Vec<Missing>, TreeId)>, Error> {
    let losses = repair.losses(tree)?;
    if losses.is_empty() {
        return Ok(None);
    }
    let lost: Vec<_> = losses.iter().map(Missing::from).collect();
    let manifest = manifest(repository, tree, &lost, writer)?;
    let replaced: Vec<_> = manifest
        .into_iter()
        .map(|node| (MANIFEST_PATH.as_bytes(), node))
        .collect();
    let mended = repair.mend(tree, &replaced, writer)?;
    Ok(Some((lost, mended)))
}

/// The manifest of a snapshot that has lost this. None where there is none that can be read.
fn manifest(
    repository: &Repository,
    tree: &TreeId,
    lost: &[Missing],
    writer: Option<&BlobWriter>,
) -> Result<Option<Node>, Error> {
    let Ok(Some(mut manifest)) = Manifest::read(repository, tree) else {
        return Ok(None);
    };
    let Some(node) = walk::find(repository, tree, MANIFEST_PATH.as_bytes())? else {
        return Ok(None);
    };
    manifest.complete = false;
    manifest.missing.extend_from_slice(lost);
    let bytes = manifest.to_bytes()?;
    Ok(Some(Node {
        content: rewriter::store_content(repository, &bytes, writer)?,
        size: bytes.len() as u64,
        ..node
    }))
}
