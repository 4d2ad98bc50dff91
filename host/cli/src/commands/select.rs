//! Which snapshots a command is about.

use std::process::ExitCode;

use copal_repository::format::snapshot::Snapshot;
use copal_repository::{ReadableSnapshots, Repository, SnapshotId};

use crate::args::FilterArgs;
use crate::failure::{Failure, INCOMPLETE};
use crate::output;

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

/// Snapshots, oldest first where none was named, and the exit code that tells whether there may be more that can't be read.
pub(super) struct Several {
    pub(super) snapshots: Vec<(SnapshotId, Snapshot)>,
    pub(super) code: ExitCode,
}

/// The snapshots that are named; if none is, all that the filter lets through. Says which can't be read.
pub(super) fn several(
    repository: &Repository,
    named: &[String],
    filter: &FilterArgs,
) -> Result<Several, Failure> {
    if !named.is_empty() {
        let named = named.iter().map(|text| one(repository, text, filter));
        return Ok(Several {
            snapshots: named.collect::<Result<_, _>>()?,
            code: ExitCode::SUCCESS,
        });
    }
    let ReadableSnapshots {
        mut snapshots,
        damaged,
    } = repository.readable_snapshots()?;
    for error in &damaged {
        let text = output::printable(&error.to_string());
        output::complain(&format!("ERROR: {text}\n"));
    }
    let filter = filter.filter();
    snapshots.retain(|(_, snapshot)| filter.matches(snapshot));
    let code = match damaged.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(INCOMPLETE),
    };
    Ok(Several { snapshots, code })
}
