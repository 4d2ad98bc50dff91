//! From a repository into a file system.
//!
//! One thread walks the tree, makes directories and what else has no content, and gathers files into a batch. When that is
//! full, several threads fetch what it needs in the order of the packs, each blob once, and write it where it belongs.

mod batch;
mod exact;
mod file;
mod sparse;
mod target;
mod walker;

use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::Error;
use crate::format::tree::{Node, NodeKind};
use crate::id::TreeId;
use crate::pass::Passes;
use crate::progress::{ItemError, ItemErrorKind, Progress, display};
use crate::repository::{Repository, lock};
use target::Target;
use walker::Walker;

/// How to restore.
#[derive(Debug, Clone, Default)]
pub struct RestoreOptions {
    /// Set to true from anywhere, it ends the work with [`Error::Interrupted`].
    pub cancel: Arc<AtomicBool>,
    /// Removes from the directories that are restored whatever the snapshot does not hold in them. What a pass leaves out stays as it
    /// is, and so do sockets, which no snapshot holds, and file systems that are mounted there. No symlink is followed.
    pub exact: bool,
}

/// What has been restored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RestoreSummary {
    /// Files, hard links among them.
    pub files: u64,
    /// Directories.
    pub directories: u64,
    /// Symlinks, devices and FIFOs.
    pub others: u64,
    /// Bytes of the files' content in the repository.
    pub bytes: u64,
    /// Entries left out by verdict; what lies beneath a directory is not counted.
    pub skipped: u64,
    /// Entries removed because the snapshot does not hold them; what lay beneath a directory is not counted.
    pub removed: u64,
    /// What could not be restored, or not well.
    pub errors: Vec<ItemError>,
}

/// Restores the entries of `tree` into the directory `target`, which is made if it is not there, through `passes` if there
/// are any. What can't be restored is left out and told in the summary.
///
/// # Errors
/// `target` can't be made or opened, the storage fails, a pass fails for good, or the work was interrupted.
pub fn restore_tree(
    repository: &Repository,
    tree: TreeId,
    target: &Path,
    passes: Option<&dyn Passes>,
    options: &RestoreOptions,
    progress: &dyn Progress,
) -> Result<RestoreSummary, Error> {
    make_target(target)?;
    Job::new(repository, target, passes, options, progress)?
        .run(|walker| walker.enter_root(Some(tree), None))
}

/// Restores what `node` is as `target`: a directory as in [`restore_tree`], with its metadata; anything else under that
/// name, in a directory that is made if it is not there.
///
/// # Errors
/// As [`restore_tree`].
pub fn restore_node(
    repository: &Repository,
    node: &Node,
    target: &Path,
    passes: Option<&dyn Passes>,
    options: &RestoreOptions,
    progress: &dyn Progress,
) -> Result<RestoreSummary, Error> {
    if node.kind == NodeKind::Directory {
        make_target(target)?;
        return Job::new(repository, target, passes, options, progress)?
            .run(|walker| walker.enter_root(node.subtree, Some(node.clone())));
    }
    let (Some(parent), Some(name)) = (target.parent(), target.file_name()) else {
        return Err(Error::Unsupported(format!(
            "{}: a file can't be restored there: name the file that it is to become",
            target.display()
        )));
    };
    let parent = match parent.as_os_str().is_empty() {
        true => Path::new("."),
        false => parent,
    };
    make_target(parent)?;
    let node = Node {
        name: name.as_bytes().to_vec(),
        ..node.clone()
    };
    Job::new(repository, parent, passes, options, progress)?.run(|walker| walker.enter_single(node))
}

/// Removes what lies at `path` with all beneath it, never through a symlink; nothing there is not an error.
///
/// # Errors
/// Something of it could not be removed: what is mounted there or beneath stays.
pub fn remove(path: &Path) -> Result<(), Error> {
    exact::remove_path(path).map_err(|error| Error::io(path, error.into()))
}

fn make_target(path: &Path) -> Result<(), Error> {
    std::fs::create_dir_all(path).map_err(|error| Error::io(path, error))
}

/// What the threads of one restore share.
struct Job<'a> {
    repository: &'a Repository,
    target: Target,
    target_path: &'a Path,
    passes: Option<&'a dyn Passes>,
    progress: &'a dyn Progress,
    cancel: &'a AtomicBool,
    exact: bool,
    summary: Mutex<RestoreSummary>,
}

impl<'a> Job<'a> {
    fn new(
        repository: &'a Repository,
        target_path: &'a Path,
        passes: Option<&'a dyn Passes>,
        options: &'a RestoreOptions,
        progress: &'a dyn Progress,
    ) -> Result<Self, Error> {
        Ok(Self {
            target: Target::open(target_path).map_err(|error| Error::io(target_path, error))?,
            target_path,
            repository,
            passes,
            progress,
            cancel: &options.cancel,
            exact: options.exact,
            summary: Mutex::default(),
        })
    }

    fn run(
        self,
        enter: impl FnOnce(&mut Walker<'_>) -> Result<(), Error>,
    ) -> Result<RestoreSummary, Error> {
        let mut walker = Walker::new(&self);
        enter(&mut walker)?;
        walker.run()?;
        let synced = self.target.sync();
        synced.map_err(|error| Error::io(self.target_path, error))?;
        Ok(self
            .summary
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether the user has asked to stop.
    fn check(&self) -> Result<(), Error> {
        match self.cancel.load(Ordering::Relaxed) {
            true => Err(Error::Interrupted),
            false => Ok(()),
        }
    }

    fn summary(&self, change: impl FnOnce(&mut RestoreSummary)) {
        change(&mut lock(&self.summary));
    }

    /// The item at `path` was not restored; the rest goes on.
    fn item_error(&self, path: &[u8], message: impl ToString) {
        self.tell(path, ItemErrorKind::Lost, message.to_string());
    }

    /// The item at `path` is restored, but not exactly.
    fn inexact(&self, path: &[u8], message: impl ToString) {
        self.tell(path, ItemErrorKind::Inexact, message.to_string());
    }

    fn tell(&self, path: &[u8], kind: ItemErrorKind, message: String) {
        let path = match path {
            [] => ".".to_owned(),
            _ => display(path),
        };
        let error = ItemError {
            path,
            kind,
            message,
        };
        self.progress.item_error(&error);
        self.summary(|summary| summary.errors.push(error));
    }
}
