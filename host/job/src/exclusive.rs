//! One job at a time works on a directory: otherwise one would start the application in the middle of what another reads.

use std::fs::{DirBuilder, File, OpenOptions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::places::Root;

/// Keeps other jobs of this user away from the roots for as long as the files live.
pub(crate) fn claim(state: &Path, roots: &[Root]) -> Result<Vec<File>, Error> {
    let folder = state.join("locks");
    let failed = |e| Error::state("make the folder", &folder, e);
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&folder)
        .map_err(failed)?;
    let claim = |root: &Root| {
        let path = place(&folder, &root.path);
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&path);
        let file = file.map_err(|e| Error::state("open the lock", &path, e))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(file),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(Error::Busy(root.path.clone())),
            Err(error) => Err(Error::state("lock", &path, error.into())),
        }
    };
    roots.iter().map(claim).collect()
}

/// Removes the lock of a directory that is gone for good and whose name nobody uses again.
pub(crate) fn forget(state: &Path, root: &Path) {
    if let Err(error) = std::fs::remove_file(place(&state.join("locks"), root)) {
        tracing::debug!("no lock of {} to remove: {error}", root.display());
    }
}

/// The lock of a directory.
fn place(folder: &Path, root: &Path) -> PathBuf {
    let digest = Sha256::digest(root.as_os_str().as_bytes());
    let name: String = digest
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    folder.join(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_job_on_the_same_directory_is_refused_until_the_first_ends() {
        let state = tempfile::tempdir().unwrap();
        let root = |name: &str, path: &str| Root {
            name: name.into(),
            path: path.into(),
        };
        let first = claim(state.path(), &[root("home", "/srv/a")]).unwrap();
        assert!(claim(state.path(), &[root("home", "/srv/b")]).is_ok());
        let second = claim(state.path(), &[root("x", "/srv/c"), root("data", "/srv/a")]);
        assert!(matches!(second, Err(Error::Busy(path)) if path == Path::new("/srv/a")));
        drop(first);
    }
}
