//! Which snapshots a command is about.

use copal_repository::format::snapshot::Snapshot;
use copal_repository::{Repository, SnapshotId};

use crate::args::FilterArgs;
use crate::failure::Failure;

/// The snapshot of that id or beginning of one; `latest` is the newest that the filter lets through and that is no safety snapshot.
pub(super) fn one(
    repository: &Repository,
    text: &str,
    filter: &FilterArgs,
) -> Result<(SnapshotId, Snapshot), Failure> {
    let filter = filter.filter();
    if text != "latest" || filter.is_empty() {
        return Ok(copal_job::snapshot(repository, text)?);
    }
    let mut snapshots = repository.snapshots()?;
    snapshots.retain(|(_, snapshot)| filter.matches(snapshot) && !copal_job::is_safety(snapshot));
    snapshots.pop().ok_or_else(|| {
        let message = "no snapshot is of that machine, with those tags and of those paths";
        Failure::usage("not-found", message).advise("`copal snapshots` lists what there is.")
    })
}

/// The snapshots that are named; if none is, all that the filter lets through, oldest first.
pub(super) fn several(
    repository: &Repository,
    named: &[String],
    filter: &FilterArgs,
) -> Result<Vec<(SnapshotId, Snapshot)>, Failure> {
    if !named.is_empty() {
        let named = named.iter().map(|text| one(repository, text, filter));
        return named.collect();
    }
    let filter = filter.filter();
    let mut snapshots = repository.snapshots()?;
    snapshots.retain(|(_, snapshot)| filter.matches(snapshot));
    Ok(snapshots)
}
