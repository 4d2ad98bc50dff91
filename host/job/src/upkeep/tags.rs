//! Changing the tags of snapshots.

use std::path::Path;

use copal_repository::format::snapshot::Snapshot;
use copal_repository::{LockGuard, Repository, SnapshotId};
use serde::Serialize;

use super::successors::Successors;
use crate::backup::INCOMPLETE_TAG;
use crate::error::Error;
use crate::safety::{ROLLBACK_TAG, SAFETY_TAG};

/// Whether Copal itself tells snapshots apart by this tag, so that it is neither given nor taken away by hand.
pub fn is_own_tag(tag: &str) -> bool {
    [INCOMPLETE_TAG, SAFETY_TAG].contains(&tag)
        || ["job:", "plugin:"].iter().any(|own| tag.starts_with(own))
}

/// What becomes of tags.
#[derive(Clone, Debug)]
pub enum TagChange {
    /// These in place of all there are, but for Copal's own.
    Set(Vec<String>),
    /// Some are added, others taken away.
    Edit {
        /// These are added.
        add: Vec<String>,
        /// These are taken away, also where they are among those added.
        remove: Vec<String>,
    },
}

impl TagChange {
    fn apply(&self, tags: &[String]) -> Vec<String> {
        let safety = tags.iter().any(|tag| tag == SAFETY_TAG);
        // A safety snapshot of a rollback is told by two tags.
        let own = |tag: &String| is_own_tag(tag) || (safety && tag == ROLLBACK_TAG);
        let (add, removed): (_, &dyn Fn(&String) -> bool) = match self {
            Self::Set(new) => (new, &|tag| !new.contains(tag)),
            Self::Edit { add, remove } => (add, &|tag| remove.contains(tag)),
        };
        let kept = tags.iter().filter(|tag| own(tag) || !removed(tag));
        let mut changed: Vec<_> = kept.cloned().collect();
        for tag in add.iter().filter(|tag| !removed(tag)) {
            if !changed.contains(tag) {
                changed.push(tag.clone());
            }
        }
        changed
    }
}

/// A snapshot whose tags changed, so that it has another id.
#[derive(Clone, Debug, Serialize)]
pub struct Retagged {
    /// The snapshot as it was.
    pub snapshot: SnapshotId,
    /// The one in its place; none in a dry run.
    pub replaced_by: Option<SnapshotId>,
    /// Its tags.
    pub tags: Vec<String>,
}

/// Changes the tags of snapshots. Each that changes is replaced; the new one names the first of those before it as its original. In a dry run
/// it is only told which would change. What this machine knows of a safety snapshot, it knows of the new one too, in its folder `state`.
///
/// # Errors
/// The lock is not exclusive or has lapsed, or the store fails: then some may be there twice, with the old tags and the new.
pub fn retag(
    repository: &Repository,
    snapshots: Vec<(SnapshotId, Snapshot)>,
    change: &TagChange,
    dry_run: bool,
    lock: &LockGuard,
    state: &Path,
) -> Result<Vec<Retagged>, Error> {
    if !dry_run {
        lock.check_exclusive()?;
    }
    let successors = Successors::new(repository, state);
    let mut changed = Vec::new();
    for (id, snapshot) in snapshots {
        let tags = change.apply(&snapshot.tags);
        if tags == snapshot.tags {
            continue;
        }
        let new = Snapshot {
            original: snapshot.original.or(Some(id)),
            tags: tags.clone(),
            ..snapshot
        };
        let mut replaced_by = None;
        if !dry_run {
            replaced_by = Some(successors.save(&id, &new)?);
        }
        changed.push(Retagged {
            snapshot: id,
            replaced_by,
            tags,
        });
    }
    if dry_run {
        return Ok(changed);
    }
    let old: Vec<_> = changed.iter().map(|changed| changed.snapshot).collect();
    repository.forget(&old, lock)?;
    Ok(changed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copals_own_tags_stay_whatever_is_asked_for() {
        let owned = |list: &[&str]| list.iter().map(|&tag| tag.to_owned()).collect::<Vec<_>>();
        let tags = owned(&["a", "job:x", "b", "plugin:copal/files", "incomplete"]);
        let set = |new: &[&str]| TagChange::Set(owned(new)).apply(&tags);
        assert_eq!(
            set(&["c"]),
            ["job:x", "plugin:copal/files", "incomplete", "c"]
        );
        assert_eq!(set(&[]), ["job:x", "plugin:copal/files", "incomplete"]);
        let edit = |add: &[&str], remove: &[&str]| {
            let (add, remove) = (owned(add), owned(remove));
            TagChange::Edit { add, remove }.apply(&tags)
        };
        assert_eq!(
            edit(&["a", "d"], &["b", "job:x"]),
            ["a", "job:x", "plugin:copal/files", "incomplete", "d"]
        );
        assert_eq!(edit(&[], &["z"]), tags);
        assert_eq!(
            edit(&["a", "d"], &["a", "d"]),
            ["job:x", "b", "plugin:copal/files", "incomplete"]
        );
        let safety = owned(&["safety", "rollback", "z"]);
        assert_eq!(
            TagChange::Set(Vec::new()).apply(&safety),
            ["safety", "rollback"]
        );
    }
}
