//! What the workers on one tree share.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::Summary;
use super::directory::Root;
use super::queue::Queue;
use super::worker::Worker;
use crate::error::Error;
use crate::format::BlobKind;
use crate::format::tree::{Node, Tree};
use crate::id::{BlobId, TreeId};
use crate::parallel::cores;
use crate::pass::Passes;
use crate::progress::{ItemError, ItemErrorKind, Progress, display, join};
use crate::repository::{Repository, lock};
use crate::writer::BlobWriter;

/// One tree or stream being archived.
pub(super) struct Job<'a> {
    pub(super) repository: &'a Repository,
    pub(super) writer: &'a BlobWriter,
    pub(super) passes: Option<&'a dyn Passes>,
    pub(super) progress: &'a dyn Progress,
    pub(super) queue: Queue,
    /// What paths of the root begin with when people read them.
    name: &'a [u8],
    cancel: &'a AtomicBool,
    summary: &'a Mutex<Summary>,
    buffers: Mutex<Vec<Vec<u8>>>,
}

impl<'a> Job<'a> {
    pub(super) fn new(
        repository: &'a Repository,
        writer: &'a BlobWriter,
        passes: Option<&'a dyn Passes>,
        progress: &'a dyn Progress,
        name: &'a [u8],
        cancel: &'a AtomicBool,
        summary: &'a Mutex<Summary>,
    ) -> Self {
        Self {
            repository,
            writer,
            passes,
            progress,
            // Each chunk that waits has 8 MiB at most.
            queue: Queue::new(cores()),
            name,
            cancel,
            summary,
            buffers: Mutex::default(),
        }
    }

    /// Does what `begin` begins on this thread and as many others as there are cores for; returns what comes of the root.
    pub(super) fn run(
        &self,
        begin: impl FnOnce(&mut Worker<'_>, Arc<Mutex<Root>>) -> Result<(), Error>,
    ) -> Result<Root, Error> {
        let outcome = Arc::<Mutex<Root>>::default();
        std::thread::scope(|scope| {
            let claim = self.queue.claim();
            let others: Vec<_> = (1..cores())
                .map(|_| scope.spawn(|| Worker::new(self).run()))
                .collect();
            let mut worker = Worker::new(self);
            let mut result = begin(&mut worker, Arc::clone(&outcome));
            if result.is_err() {
                self.queue.stop();
            }
            drop(claim);
            result = first_cause(result, worker.run());
            for other in others {
                match other.join() {
                    Ok(other) => result = first_cause(result, other),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            result
        })?;
        Ok(std::mem::take(&mut *lock(&outcome)))
    }

    /// Whether the user has asked to stop.
    pub(super) fn check(&self) -> Result<(), Error> {
        match self.cancel.load(Ordering::Relaxed) {
            true => Err(Error::Interrupted),
            false => Ok(()),
        }
    }

    /// A listing of the parent snapshot, where it can be read.
    pub(super) fn parent_tree(&self, id: &TreeId) -> Option<Tree> {
        super::parent_tree(self.repository, self.writer, id)
    }

    /// Stores a blob that is not there yet, and counts what that took.
    pub(super) fn store(&self, kind: BlobKind, data: &[u8]) -> Result<BlobId, Error> {
        let stored = self.writer.store(kind, data)?;
        if stored.new {
            self.summary(|summary| {
                summary.data_added += data.len() as u64;
                summary.data_added_packed += u64::from(stored.stored);
            });
        }
        Ok(stored.id)
    }

    /// As [`Self::store`], for a directory's listing.
    pub(super) fn store_tree(&self, tree: Tree) -> Result<TreeId, Error> {
        self.store_listing(&tree.encode())
    }

    /// The same for its JSON.
    pub(super) fn store_listing(&self, json: &[u8]) -> Result<TreeId, Error> {
        Ok(TreeId::from(self.store(BlobKind::Tree, json)?))
    }

    /// Whether the repository has all of a file's content.
    pub(super) fn knows_content(&self, node: &Node) -> Result<bool, Error> {
        for id in &node.content {
            if !self.writer.knows(BlobKind::Data, id)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    pub(super) fn summary(&self, change: impl FnOnce(&mut Summary)) {
        change(&mut lock(self.summary));
    }

    /// The item at `path` below the root is left out; the rest goes on.
    pub(super) fn item_error(&self, path: &[u8], message: impl ToString) {
        self.tell(path, ItemErrorKind::Lost, message.to_string());
    }

    /// The item at `path` below the root is stored, but perhaps not exactly.
    pub(super) fn inexact(&self, path: &[u8], message: impl ToString) {
        self.tell(path, ItemErrorKind::Inexact, message.to_string());
    }

    fn tell(&self, path: &[u8], kind: ItemErrorKind, message: String) {
        let path = match path {
            [] => display(self.name),
            _ => display(&join(self.name, path)),
        };
        let error = ItemError {
            path,
            kind,
            message,
        };
        self.progress.item_error(&error);
        self.summary(|summary| summary.errors.push(error));
    }

    /// An empty buffer, used before if there is one.
    pub(super) fn buffer(&self) -> Vec<u8> {
        let mut buffers = lock(&self.buffers);
        buffers.pop().unwrap_or_default()
    }

    /// Keeps a buffer for later.
    pub(super) fn reuse(&self, mut buffer: Vec<u8>) {
        let mut buffers = lock(&self.buffers);
        if buffers.len() < cores() {
            buffer.clear();
            buffers.push(buffer);
        }
    }
}

/// What went wrong first. A worker that another one's failure stopped knows only that it was interrupted.
fn first_cause(one: Result<(), Error>, other: Result<(), Error>) -> Result<(), Error> {
    match one {
        Err(Error::Interrupted) if other.is_err() => other,
        one => one.and(other),
    }
}
