//! Removing locks whose process is gone.

use serde::Serialize;

use crate::backend::FileKind;
use crate::error::Error;
use crate::format::lock::LockFile;
use crate::id::LockId;
use crate::lock::is_stale;
use crate::repository::Repository;

/// A lock of somebody.
#[derive(Debug, Clone, Serialize)]
pub struct Lock {
    /// The lock.
    pub id: LockId,
    /// Who holds it, how and since when, if it can be read.
    #[serde(flatten)]
    pub file: Option<LockFile>,
    /// Whether its process is gone.
    pub stale: bool,
    /// Why it can't be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// Which locks are removed.
#[derive(Debug, Clone, Copy, Default)]
pub struct UnlockOptions {
    /// Whether all are, also those of processes that may still work.
    pub all: bool,
    /// Whether it is only found out which would be.
    pub dry_run: bool,
}

/// What became of the locks.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Unlocked {
    /// These were removed, or would be.
    pub removed: Vec<Lock>,
    /// These are still held.
    pub left: Vec<Lock>,
}

impl Repository {
    /// Removes the locks of processes that are gone: those not refreshed for 30 minutes, and those of this machine whose process does not run.
    /// Where all are to go, every lock; a Copal that holds one finds out before it relies on it the next time.
    ///
    /// # Errors
    /// The store fails.
    pub fn unlock(&self, options: UnlockOptions) -> Result<Unlocked, Error> {
        let mut unlocked = Unlocked::default();
        for (id, _) in self.backend().list(FileKind::Lock)? {
            let (file, problem) = match self.read_lock(&id) {
                Ok(file) => (Some(file), None),
                Err(error @ Error::Corrupt { .. }) => (None, Some(error.to_string())),
                // Released since it was listed.
                Err(Error::Storage(error)) if error.is_not_found() => continue,
                Err(error) => return Err(error),
            };
            let lock = Lock {
                id: LockId(id),
                stale: file.as_ref().is_some_and(is_stale),
                file,
                problem,
            };
            if options.all || lock.stale {
                if !options.dry_run {
                    self.backend().remove(FileKind::Lock, &id)?;
                }
                unlocked.removed.push(lock);
            } else {
                unlocked.left.push(lock);
            }
        }
        Ok(unlocked)
    }
}
