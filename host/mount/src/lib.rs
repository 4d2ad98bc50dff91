//! A repository's snapshots as a read-only file system, by FUSE.
//!
//! At its top lie `ids/ID`, `snapshots/TIME`, `hosts/HOST/TIME` and `tags/TAG/TIME`, as in restic's, and in each folder of times a link `latest`.

mod attributes;
mod cache;
mod contents;
mod error;
mod filesystem;
mod folders;
mod forgetting;
mod handles;
mod inodes;

use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use copal_repository::select::SnapshotFilter;
use copal_repository::{LockGuard, LockMode, Repository};
use fuser::{BackgroundSession, Config, MountOption, Session, SessionACL};

pub use error::Error;
use filesystem::Snapshots;
use forgetting::Forgetting;
use inodes::Inodes;

/// How long it is waited for those who still use what is unmounted, and how often it is looked.
const PATIENCE: Duration = Duration::from_secs(1);
const TICK: Duration = Duration::from_millis(20);

/// How a repository is mounted.
#[derive(Debug, Clone)]
pub struct MountOptions {
    /// Which snapshots there are.
    pub filter: SnapshotFilter,
    /// How long it is not looked for what has changed in the repository.
    pub fresh: Duration,
    /// How many names of files the system may know before it is asked to forget them. A system with much memory would remember millions, and some
    /// 300 bytes are kept here for each. Directories are not counted: somebody may be in one.
    pub most_files: usize,
    /// Whether other users may look too. Then each sees what the permissions of the files let them; the user who mounts sees all.
    pub allow_other: bool,
}

impl Default for MountOptions {
    fn default() -> Self {
        Self {
            filter: SnapshotFilter::default(),
            fresh: Duration::from_secs(60),
            most_files: 1 << 15,
            allow_other: false,
        }
    }
}

/// A mounted repository. Dropping it unmounts it.
pub struct Mounted {
    /// None once it has ended.
    session: Option<BackgroundSession>,
    mountpoint: PathBuf,
    inodes: Arc<Inodes>,
    /// None once it has ended.
    forgetting: Option<Forgetting>,
    _lock: LockGuard,
}

impl Mounted {
    /// Whether somebody else has unmounted it.
    pub fn is_over(&self) -> bool {
        let session = self.session.as_ref();
        session.is_none_or(|session| session.guard.is_finished())
    }

    /// How many files the system knows; one of several names may count as often.
    pub fn known_files(&self) -> usize {
        let (names, asked) = self.inodes.files();
        names + asked
    }

    /// Unmounts it, unless somebody has. What still uses it has a moment to let go.
    ///
    /// # Errors
    /// Somebody still uses it. It is gone from its place all the same.
    pub fn unmount(mut self) -> Result<(), Error> {
        self.end()
    }

    fn end(&mut self) -> Result<(), Error> {
        let Some(session) = self.session.take() else {
            return Ok(());
        };
        // While the system is still answered: it holds what asks it to forget until then, and that could not be ended in any way.
        if let Some(forgetting) = self.forgetting.take() {
            wait(&forgetting.end());
        }
        let over = match session.guard.is_finished() || detach(&self.mountpoint) {
            // Dropped, it would unmount the place again, and whatever is mounted there by now.
            true => wait(&ManuallyDrop::new(session).guard),
            // All but the thread is dropped, which unmounts the place through fusermount.
            false => {
                let guard = { session }.guard;
                wait(&guard)
            }
        };
        match over {
            true => Ok(()),
            false => Err(Error::InUse(self.mountpoint.clone())),
        }
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            tracing::warn!(%error, "can't unmount");
        }
    }
}

/// Takes the place away from the file system, whoever still uses it; only root can.
fn detach(mountpoint: &Path) -> bool {
    let mut umount = Command::new("umount");
    umount.arg("-l").arg(mountpoint);
    umount.output().is_ok_and(|output| output.status.success())
}

/// Waits for the end of the file system, for a while. Tells whether it came.
fn wait<T>(guard: &JoinHandle<T>) -> bool {
    let start = Instant::now();
    while !guard.is_finished() && start.elapsed() < PATIENCE {
        std::thread::sleep(TICK);
    }
    guard.is_finished()
}

/// Mounts the repository at `mountpoint`, an empty directory.
///
/// Snapshots that come later appear when a folder of snapshots is looked at and it has not been looked for new ones for as long as
/// [`MountOptions::fresh`] says; those that others remove can't be read any more.
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
    // For when it is unmounted, wherever this process works then.
    let absolute = mountpoint.canonicalize().map_err(failed)?;
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
    // As many as can load, one that looks what is new, and one. All who want what is being loaded wait for it, however many they are.
    config.n_threads = Some(repository.connections() + 2);
    let snapshots = Snapshots::new(repository.clone(), options.filter, options.fresh)?;
    let inodes = Arc::clone(snapshots.inodes());
    let session = Session::new(snapshots, mountpoint, &config).map_err(failed)?;
    let forgetting = Forgetting::begin(Arc::clone(&inodes), session.notifier(), options.most_files);
    Ok(Mounted {
        session: Some(session.spawn().map_err(failed)?),
        mountpoint: absolute,
        inodes,
        forgetting: Some(forgetting),
        _lock: lock,
    })
}
