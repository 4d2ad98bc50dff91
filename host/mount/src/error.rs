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
    /// Somebody does not let go of it.
    #[error("{} is unmounted, but still in use: who uses it can read no further", .0.display())]
    InUse(PathBuf),
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
            Self::InUse(_) => "Next time, end what uses it before the mount.",
        }
        .to_owned())
    }
}
