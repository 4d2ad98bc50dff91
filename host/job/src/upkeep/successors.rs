//! Snapshots that are made out of others.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::path::Path;

use copal_repository::format::snapshot::Snapshot;
use copal_repository::{Repository, SnapshotId};

use crate::error::Error;
use crate::safety::Taken;

type ByOriginal = HashMap<SnapshotId, Vec<(SnapshotId, Snapshot)>>;

/// The snapshots of a repository that were made out of others, by those. They are read once one more is to be saved.
pub(super) struct Successors<'a> {
    repository: &'a Repository,
    state: &'a Path,
    known: OnceCell<ByOriginal>,
}

impl<'a> Successors<'a> {
    /// `state` is where this machine keeps what it knows of safety snapshots.
    pub(super) fn new(repository: &'a Repository, state: &'a Path) -> Self {
        Self {
            repository,
            state,
            known: OnceCell::new(),
        }
    }

    fn known(&self) -> Result<&ByOriginal, Error> {
        if let Some(known) = self.known.get() {
            return Ok(known);
        }
        let mut known = ByOriginal::new();
        for (id, snapshot) in self.repository.readable_snapshots()?.snapshots {
            if let Some(original) = snapshot.original {
                known.entry(original).or_default().push((id, snapshot));
            }
        }
        Ok(self.known.get_or_init(|| known))
    }

    /// Stores what was made out of a snapshot, unless a run that was cut off has done so.
    pub(super) fn save(&self, old: &SnapshotId, new: &Snapshot) -> Result<SnapshotId, Error> {
        let known = self.known()?;
        let known = new.original.and_then(|original| known.get(&original));
        let mut known = known.into_iter().flatten();
        let id = match known.find(|(id, snapshot)| id != old && snapshot == new) {
            Some((id, _)) => *id,
            None => self.repository.save_snapshot(new)?,
        };
        Taken::carry(self.state, old, &id)?;
        Ok(id)
    }
}
