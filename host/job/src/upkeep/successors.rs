//! Snapshots that are made out of others.

use std::collections::HashMap;
use std::path::Path;

use copal_repository::format::snapshot::Snapshot;
use copal_repository::{Repository, SnapshotId};

use crate::error::Error;
use crate::safety::Taken;

/// The snapshots of a repository that were made out of others, by those.
pub(super) struct Successors<'a> {
    repository: &'a Repository,
    state: &'a Path,
    known: HashMap<SnapshotId, Vec<(SnapshotId, Snapshot)>>,
}

impl<'a> Successors<'a> {
    /// `state` is where this machine keeps what it knows of safety snapshots.
    pub(super) fn read(repository: &'a Repository, state: &'a Path) -> Result<Self, Error> {
        let mut known: HashMap<_, Vec<_>> = HashMap::new();
        for (id, snapshot) in repository.readable_snapshots()?.snapshots {
            if let Some(original) = snapshot.original {
                known.entry(original).or_default().push((id, snapshot));
            }
        }
        Ok(Self {
            repository,
            state,
            known,
        })
    }

    /// Stores what was made out of a snapshot, unless a run that was cut off has done so.
    pub(super) fn save(&self, old: &SnapshotId, new: &Snapshot) -> Result<SnapshotId, Error> {
        let known = new.original.and_then(|original| self.known.get(&original));
        let mut known = known.into_iter().flatten();
        let id = match known.find(|(id, snapshot)| id != old && snapshot == new) {
            Some((id, _)) => *id,
            None => self.repository.save_snapshot(new)?,
        };
        Taken::carry(self.state, old, &id)?;
        Ok(id)
    }
}
