//! The blobs that a snapshot uses.

use std::collections::HashSet;
use std::sync::Mutex;

use super::Amount;
use crate::error::Error;
use crate::format::BlobKind;
use crate::id::BlobId;
use crate::repository::{Repository, lock};
use crate::used::Used;

/// Blobs that were noted: a bit for each that the index held when it was loaded.
pub(super) struct Blobs<'a> {
    repository: &'a Repository,
    known: Used,
    /// Those that it did not: lost ones, and those that this process has added since.
    others: Mutex<HashSet<(BlobKind, BlobId)>>,
}

impl<'a> Blobs<'a> {
    pub(super) fn none(repository: &'a Repository) -> Result<Self, Error> {
        Ok(Self {
            repository,
            known: repository.with_index(Used::nothing)?,
            others: Mutex::default(),
        })
    }

    /// Notes a blob. Tells whether it was not noted before.
    pub(super) fn note(&self, kind: BlobKind, id: BlobId) -> Result<bool, Error> {
        let note = |index: &_| self.known.note(index, kind, &id);
        Ok(match self.repository.with_index(note)? {
            Some(new) => new,
            None => lock(&self.others).insert((kind, id)),
        })
    }

    /// Adds those that were not noted there: of lost ones the number alone.
    pub(super) fn weigh_without(&self, there: &Self, amount: &mut Amount) -> Result<(), Error> {
        self.repository.with_index(|index| {
            for kind in [BlobKind::Data, BlobKind::Tree] {
                for entry in self.known.without(&there.known, index, kind) {
                    amount.add_blob(kind, entry.place.plaintext_length());
                }
            }
        })?;
        for (kind, id) in lock(&self.others).difference(&lock(&there.others)) {
            let size = self.repository.blob_size(*kind, id)?;
            amount.add_blob(*kind, size.unwrap_or(0));
        }
        Ok(())
    }
}
