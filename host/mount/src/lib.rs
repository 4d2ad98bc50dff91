//! A repository's snapshots as a read-only file system, by FUSE.
//!
//! At its top lie `ids/ID`, `snapshots/TIME`, `hosts/HOST/TIME` and `tags/TAG/TIME`, as in restic's, and in each folder of times a link `latest`.

mod attributes;
mod cache;
mod contents;
mod error;
mod filesystem;
mod folders;
mod handles;
mod inodes;

use std::path::Path;

use copal_repository::select::SnapshotFilter;
use copal_repository::{LockGuard, LockMode, Repository};
use fuser::{BackgroundSession, Config, MountOption, Session, SessionACL};

pub use error::Error;
use filesystem::Snapshots;

/// Requests that are answered at the same time: most of them wait for the store.
const THREADS: usize = 8;

/// How a repository is mounted.
#[derive(Debug, Clone, Default)]
pub struct MountOptions {
    /// Which snapshots there are.
    pub filter: SnapshotFilter,
    /// Whether other users may look too. Then each sees what the permissions of the files let them; the user who mounts sees all.
    pub allow_other: bool,
}

/// A mounted repository. Dropping it unmounts it.
pub struct Mounted {
    session: BackgroundSession,
    _lock: LockGuard,
}

impl Mounted {
    /// Whether somebody else has unmounted it.
    pub fn is_over(&self) -> bool {
        self.session.guard.is_finished()
    }

    /// Unmounts it.
    ///
    /// # Errors
    /// Somebody still uses it. Then it stays mounted until nobody does.
    pub fn unmount(self) -> Result<(), Error> {
        self.session.umount_and_join().map_err(Error::Unmount)
    }
}

/// Mounts the repository at `mountpoint`, an empty directory.
///
/// Snapshots that come later appear within a minute; those that others remove can't be read any more.
///
/// # Errors
/// The repository is locked or can't be read, or the system can't mount it there.
pub fn mount(
    repository: &Repository,
    mountpoint: &Path,
    options: MountOptions,
) -> Result<Mounted, Error> {
    let lock = repository.lock(LockMode::Read)?;
    let failed = |source| Error::Mount {
        mountpoint: mountpoint.to_owned(),
        source,
    };
    let mut config = Config::default();
    config.mount_options = vec![
        MountOption::FSName("copal".to_owned()),
        MountOption::RO,
        MountOption::NoDev,
        MountOption::NoSuid,
        MountOption::NoAtime,
    ];
    if options.allow_other {
        config.acl = SessionACL::All;
        config.mount_options.push(MountOption::DefaultPermissions);
    }
    config.n_threads = Some(THREADS);
    let snapshots = Snapshots::new(repository.clone(), options.filter)?;
    let session = Session::new(snapshots, mountpoint, &config).map_err(failed)?;
    Ok(Mounted {
        session: session.spawn().map_err(failed)?,
        _lock: lock,
    })
}
