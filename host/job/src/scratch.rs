//! The job's private folder for what its steps leave to each other.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Where the job of this id keeps its scratch: in Copal's own folder, where nobody else can put anything in its place.
pub(crate) fn place(state: &Path, job: &str) -> PathBuf {
    state.join("scratch").join(job)
}

/// Makes the folder, which only this user can read. An existing one is an error.
pub(crate) fn create(path: &Path) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(parent)?;
    }
    DirBuilder::new().mode(0o700).create(path)
}

/// Removes the folder with all in it; none there is not an error.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}
