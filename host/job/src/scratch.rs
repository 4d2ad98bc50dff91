//! The job's private folder for what its steps leave to each other.

use std::fs::{DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
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
    let removed = match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            open_up(path)?;
            std::fs::remove_dir_all(path)
        }
        result => result,
    };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// Lets the owner change every directory: what a drill restored may have some that even the owner can't.
fn open_up(directory: &Path) -> io::Result<()> {
    std::fs::set_permissions(directory, Permissions::from_mode(0o700))?;
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            open_up(&entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_that_even_their_owner_cannot_change_are_removed_too() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("scratch");
        create(&place).unwrap();
        std::fs::create_dir_all(place.join("closed/inner")).unwrap();
        std::fs::write(place.join("closed/inner/file"), "x").unwrap();
        std::os::unix::fs::symlink("/", place.join("closed/away")).unwrap();
        for path in ["closed/inner", "closed"] {
            std::fs::set_permissions(place.join(path), Permissions::from_mode(0o500)).unwrap();
        }
        // Root may remove anything without that.
        open_up(&place).unwrap();
        remove(&place).unwrap();
        assert!(!place.exists());
        remove(&place).unwrap();
    }
}
