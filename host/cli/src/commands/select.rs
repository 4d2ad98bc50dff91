//! Which snapshots a command is about.

use std::process::ExitCode;

use copal_repository::forget::is_of_the_future;
use copal_repository::format::Timestamp;
use copal_repository::format::snapshot::Snapshot;
use copal_repository::select::SnapshotFilter;
use copal_repository::{ErrorKind, ReadableSnapshots, Repository, SnapshotId};

use serde_json::json;

use crate::args::FilterArgs;
use crate::failure::{Failure, INCOMPLETE};
use crate::output;
use crate::session::Session;

const NONE: &str = "no snapshot is of that machine, with those tags and of those paths";

/// The snapshot of that id or beginning of one; `latest` is the newest that the filter lets through and that is no safety snapshot.
pub(super) fn one(
    repository: &Repository,
    text: &str,
    filter: &FilterArgs,
) -> Result<(SnapshotId, Snapshot), Failure> {
    let filter = filter.filter();
    if text != "latest" {
        return Ok(copal_job::snapshot(repository, text)?);
    }
    let mut snapshots = all(repository)?;
    snapshots.retain(|(_, snapshot)| filter.matches(snapshot) && !copal_job::is_safety(snapshot));
    snapshots.pop().map(latest).ok_or_else(|| {
        let message = match filter.is_empty() {
            true => "the repository has no snapshots",
            false => NONE,
        };
        Failure::usage("not-found", message).advise("`copal snapshots` lists what there is.")
    })
}

/// All snapshots, oldest first. Where one can't be read, it may be the latest.
pub(super) fn all(repository: &Repository) -> Result<Vec<(SnapshotId, Snapshot)>, Failure> {
    repository.snapshots().map_err(|error| match error.kind() {
        ErrorKind::Corrupt => Failure::usage("corrupt", error.to_string()).advise(
            "So which snapshot is the latest can't be told. Name one by its id, which `copal snapshots` lists, or give the damaged one up by `copal forget` with its whole id.",
        ),
        _ => error.into(),
    })
}

/// The snapshot that goes as the latest. Where it is of a time to come, that is said: the latest that was taken may be another.
pub(super) fn latest(found: (SnapshotId, Snapshot)) -> (SnapshotId, Snapshot) {
    if is_of_the_future(&found.1, Timestamp::now()) {
        tracing::warn!(
            "snapshot {} goes as the latest, and its time, {}, is yet to come: a clock was wrong then or is now; `copal snapshots` lists the others",
            found.0.short(),
            output::stored_time(found.1.time)
        );
    }
    found
}

/// The snapshots that are named, each once; if none is, all that the filter lets through, oldest first, and what is wrong with those that can't be read.
pub(super) fn several(
    repository: &Repository,
    named: &[String],
    filter: &FilterArgs,
) -> Result<ReadableSnapshots, Failure> {
    if named.is_empty() {
        return filtered(repository, &filter.filter());
    }
    let mut readable = ReadableSnapshots::default();
    for text in named {
        let found = one(repository, text, filter)?;
        if readable.snapshots.iter().all(|(id, _)| *id != found.0) {
            readable.snapshots.push(found);
        }
    }
    Ok(readable)
}

/// All that the filter lets through, oldest first, and what is wrong with those that can't be read. Where it lets none through, that is said: it may be
/// a slip.
pub(super) fn filtered(
    repository: &Repository,
    filter: &SnapshotFilter,
) -> Result<ReadableSnapshots, Failure> {
    let mut readable = repository.readable_snapshots()?;
    let snapshots = &mut readable.snapshots;
    let any = !snapshots.is_empty();
    snapshots.retain(|(_, snapshot)| filter.matches(snapshot));
    if any && snapshots.is_empty() {
        tracing::warn!("{NONE}");
    }
    Ok(readable)
}

/// Says what can't be read, and how a command ends that looked at all else.
pub(super) fn complain(unreadable: &[impl ToString], session: &Session) -> ExitCode {
    let unreadable: Vec<_> = unreadable.iter().map(ToString::to_string).collect();
    match session.global.json {
        true if !unreadable.is_empty() => {
            output::complain(&format!("{}\n", json!({"unreadable": unreadable})));
        }
        true => {}
        false => {
            for error in &unreadable {
                let text = output::printable(error);
                output::complain(&format!("ERROR: {text}\n"));
            }
        }
    }
    match unreadable.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(INCOMPLETE),
    }
}
