//! Why a repository is not mounted.

use std::io;
use std::path::PathBuf;

/// A failure.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The repository.
    #[error(transparent)]
    Repository(#[from] copal_repository::Error),
    /// The system does not mount it.
    #[error("can't mount at {}: {source}", mountpoint.display())]
    Mount {
        /// Where it was to be.
        mountpoint: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The system does not unmount it.
    #[error("can't unmount: {0}")]
    Unmount(#[source] io::Error),
}

impl Error {
    /// A stable word for scripts.
    pub fn kind(&self) -> &'static str {
        "mount"
    }

    /// What to do about it.
    pub fn advice(&self) -> Option<String> {
        Some(match self {
            Self::Repository(_) => return None,
            Self::Mount { .. } => {
                "It takes an empty directory, the device /dev/fuse, and for everybody but root the program fusermount3 (on Debian: apt install fuse3)."
            }
            Self::Unmount(_) => "Let go of what is still open there, then `umount` it.",
        }
        .to_owned())
    }
}
