//! The job's private folder for what its steps leave to each other.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// A folder that only this user can read, removed when dropped.
#[derive(Debug)]
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    /// Where the job of this id keeps its scratch; nothing is made yet.
    pub(crate) fn place(job: &str) -> PathBuf {
        std::env::temp_dir().join(format!("copal-{job}"))
    }

    /// Makes the folder. An existing one is an error: somebody else's folder is never trusted.
    pub(crate) fn create(path: PathBuf) -> io::Result<Self> {
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }

    /// Its path.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Removes the folder that a killed job left.
    pub(crate) fn remove(path: &Path) -> io::Result<()> {
        match std::fs::remove_dir_all(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result,
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = Self::remove(&self.0) {
            tracing::warn!(
                "can't remove the scratch folder {}: {error}",
                self.0.display()
            );
        }
    }
}
