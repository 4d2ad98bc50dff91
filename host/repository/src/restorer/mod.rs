//! From a repository into a file system.
//!
//! One thread walks the tree, makes directories and what else has no content, and gathers files into a batch. When that is
//! full, several threads look at what is in the files' places already, fetch what is not in the order of the packs, each blob once, and write
//! it where it belongs.

mod batch;
mod decide;
mod exact;
mod existing;
mod file;
mod level;
mod options;
mod sparse;
mod special;
mod target;
mod walker;

use std::ffi::CString;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

pub use options::{Named, Overwrite, RestoreOptions, RestoreSummary};

use crate::error::Error;
use crate::format::tree::{Node, NodeKind};
use crate::id::TreeId;
use crate::pass::Passes;
use crate::pattern::Choice;
use crate::progress::{ItemError, ItemErrorKind, Progress, display};
use crate::repository::{Repository, lock};
use target::Target;
use walker::Walker;

/// Restores the entries of `tree` into the directory `target`, which is made if it is not there, through `passes` if there
/// are any. What can't be restored is left out and told in the summary.
///
/// What is there already and is what the snapshot says stays as it is, so a restore that was cut off and is run again writes the rest. A file is
/// written under another name and then put in place of what has its name, so nothing half has a name; what is there of its content is taken from
/// there rather than from the repository. A content that goes through a filter is always written anew.
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
    options.make(target)?;
    Job::new(repository, target, passes, options, progress)?
        .run(|walker| walker.enter_root(Some(tree), None, false))
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
        let made = options.make_unfinished(target)?;
        return Job::new(repository, target, passes, options, progress)?
            .run(|walker| walker.enter_root(node.subtree, Some(node.clone()), made));
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
    options.make(parent)?;
    let node = Node {
        name: name.as_bytes().to_vec(),
        ..node.clone()
    };
    // It is restored by name, and so it is chosen.
    let options = RestoreOptions {
        choice: Choice::default(),
        ..options.clone()
    };
    Job::new(repository, parent, passes, &options, progress)?
        .run(|walker| walker.enter_single(node))
}

/// Removes what lies at `path` with all beneath it, never through a symlink; nothing there is not an error.
///
/// # Errors
/// Something of it could not be removed: what is mounted there or beneath stays.
pub fn remove(path: &Path) -> Result<(), Error> {
    exact::remove_path(path).map_err(|error| Error::io(path, error.into()))
}

/// What the threads of one restore share.
struct Job<'a> {
    repository: &'a Repository,
    target: Target,
    target_path: &'a Path,
    passes: Option<&'a dyn Passes>,
    progress: &'a dyn Progress,
    cancel: &'a AtomicBool,
    options: &'a RestoreOptions,
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
            target: Target::open(target_path, options.dry_run)
                .map_err(|error| Error::io(target_path, error))?,
            target_path,
            repository,
            passes,
            progress,
            cancel: &options.cancel,
            options,
            summary: Mutex::default(),
        })
    }

    fn run(
        self,
        enter: impl FnOnce(&mut Walker<'_>) -> Result<(), Error>,
    ) -> Result<RestoreSummary, Error> {
        let mut walker = Walker::new(&self);
        let result = enter(&mut walker).and_then(|()| walker.run());
        walker.end(result)?;
        if !self.options.dry_run {
            let synced = self.target.sync();
            synced.map_err(|error| Error::io(self.target_path, error))?;
        }
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

    /// Gives something finished its name. Where it `displaces` a directory, that goes with all that is in it once the new is in place.
    fn put_in_place(
        &self,
        directory: BorrowedFd<'_>,
        temporary: &str,
        (path, name): (&[u8], &[u8]),
        displaces: bool,
    ) -> Result<(), String> {
        if !displaces {
            return target::put_in_place(directory, temporary, name);
        }
        let aside = self.target.temporary_name();
        target::displace(directory, temporary, name, &aside)?;
        let removed = CString::new(&*aside).map_err(|_| rustix::io::Errno::INVAL);
        match removed.and_then(|aside| exact::remove_all(directory, &aside, exact::DEEPEST)) {
            Ok(()) => self.summary(|summary| summary.removed.add(path)),
            Err(error) => {
                let message = format!(
                    "what was in its place is called {aside} now and can't be removed: {error}"
                );
                self.inexact(path, message);
            }
        }
        Ok(())
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
