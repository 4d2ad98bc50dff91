//! From file systems and streams into a repository.
//!
//! Each thread takes what is to be done next from one queue: an entry of a directory (list it, or read it), or a chunk
//! of a large file that another thread reads. Directories are walked depth first and stored when their last entry is done, so memory
//! goes with the depth and width of the tree, not with its size.

mod content;
mod directory;
mod job;
mod listing;
mod members;
mod queue;
mod top;
mod worker;

use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::fstat;

use crate::error::Error;
use crate::format::BlobKind;
use crate::format::tree::{Node, NodeKind, Tree};
use crate::id::TreeId;
use crate::metadata::{Reader, kind_of};
use crate::pass::{Change, Passes};
use crate::progress::{ItemError, Progress};
use crate::repository::{Repository, lock};
use crate::writer::{BlobWriter, WriterOptions};
use directory::{Entry, Place, Root, VIEW_TAKEN};
use job::Job;
use top::Top;

/// How to archive.
#[derive(Debug, Clone, Default)]
pub struct ArchiveOptions {
    /// The top tree of the parent snapshot: files that it holds and that have not changed since are not read again, those that go through a
    /// filter only if [`Passes::same_since`] allows it.
    pub parent: Option<TreeId>,
    /// Set to true from anywhere, it ends the work with [`Error::Interrupted`].
    pub cancel: Arc<AtomicBool>,
    /// How blobs are written.
    pub writer: WriterOptions,
}

/// What has been archived.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Summary {
    /// Files that the parent snapshot doesn't hold.
    pub files_new: u64,
    /// Files that it holds otherwise, or that were read again because they go through a filter.
    pub files_changed: u64,
    /// Files taken over from it without reading.
    pub files_unmodified: u64,
    /// Directories that it doesn't hold.
    pub directories_new: u64,
    /// Directories that it holds otherwise.
    pub directories_changed: u64,
    /// Directories that it holds just so.
    pub directories_unmodified: u64,
    /// Bytes of new blobs, before compression.
    pub data_added: u64,
    /// Bytes of new blobs as they are stored.
    pub data_added_packed: u64,
    /// Bytes of all files, as they lie in the file system.
    pub total_bytes_processed: u64,
    /// Entries left out by verdict; what lies beneath a directory is not counted.
    pub skipped: u64,
    /// What could not be archived, or not well.
    #[serde(skip)]
    pub errors: Vec<ItemError>,
}

/// What [`Archiver::finish`] returns.
#[derive(Debug)]
pub struct Archived {
    /// The top tree, for the snapshot.
    pub tree: TreeId,
    /// What it took.
    pub summary: Summary,
}

/// Builds the top tree of one snapshot, of any number of roots and streams: one writer takes them all, so what is in two of them is stored once.
///
/// One that is dropped leaves no snapshot; what it had uploaded is found by the next.
pub struct Archiver<'a> {
    repository: Repository,
    writer: BlobWriter,
    parent: Tree,
    cancel: Arc<AtomicBool>,
    progress: &'a dyn Progress,
    summary: Mutex<Summary>,
    top: Top,
    /// Listings of the members of roots and streams, by their paths.
    views: Vec<(String, Node)>,
}

/// A listing of the parent snapshot, where it can be read. One that is damaged is stored anew if it comes again.
fn parent_tree(repository: &Repository, writer: &BlobWriter, id: &TreeId) -> Option<Tree> {
    let tree = repository.load_tree(id);
    tree.inspect_err(|error| {
        tracing::warn!("can't use the tree {id} of the parent snapshot: {error}");
        if error.is_loss() {
            writer.give_up(BlobKind::Tree, (*id).into());
        }
    })
    .ok()
}

impl<'a> Archiver<'a> {
    /// An archiver with nothing in it yet.
    ///
    /// # Errors
    /// The repository's index can't be read.
    pub fn new(
        repository: &Repository,
        options: ArchiveOptions,
        progress: &'a dyn Progress,
    ) -> Result<Self, Error> {
        let writer = repository.writer(options.writer)?;
        let parent = options.parent.as_ref();
        let parent = parent.and_then(|id| parent_tree(repository, &writer, id));
        Ok(Self {
            writer,
            repository: repository.clone(),
            parent: parent.unwrap_or_default(),
            cancel: options.cancel,
            progress,
            summary: Mutex::default(),
            top: Top::default(),
            views: Vec::new(),
        })
    }

    /// Archives the directory or file `source` as `name` at the top of the snapshot, through `passes` if there are any. Symlinks in
    /// `source` itself are followed. What can't be read is left out and told in the summary.
    ///
    /// # Errors
    /// There is nothing at `source`, the top has `name` already, the storage fails, a pass fails for good, or the work was
    /// interrupted.
    pub fn add_tree(
        &mut self,
        name: &str,
        source: &Path,
        passes: Option<&dyn Passes>,
    ) -> Result<(), Error> {
        self.top.reserve(name)?;
        let failed = |error: std::io::Error| Error::io(source, error);
        let path = source.canonicalize().map_err(failed)?;
        let file = worker::open_root(&path).map_err(|error| failed(error.into()))?;
        let stat = fstat(&file).map_err(|error| failed(error.into()))?;
        let job = self.job(name, passes);
        let root = job.run(|worker, outcome| {
            let place = Place::Root(outcome);
            let own_name = path.file_name().map_or(&b""[..], OsStrExt::as_bytes);
            let mut entry = Entry::new(Reader::new().node(own_name, &stat), Change::default());
            entry.previous = self.previous(name).map(Box::new);
            match kind_of(&stat) {
                NodeKind::Directory => {
                    worker.directory(entry, OwnedFd::from(file), Vec::new(), place)
                }
                NodeKind::File => {
                    let decided = worker.decide(b"", vec![entry.node], None)?;
                    let Some(decided) = decided.into_iter().next() else {
                        return Ok(());
                    };
                    entry = Entry {
                        previous: entry.previous,
                        ..*decided
                    };
                    worker.file(entry, file, own_name, place)
                }
                kind => Err(Error::Unsupported(format!(
                    "{}: a {} can't be archived by itself: name a directory or a file",
                    source.display(),
                    kind.as_str()
                ))),
            }
        })?;
        self.put(name, root)
    }

    /// Archives what `reader` yields as the file `path` of the snapshot, such as `streams/db.sql`, through `passes` if there are any;
    /// those know it by its name alone.
    ///
    /// # Errors
    /// As [`Archiver::add_tree`]. Where `reader` fails, the stream is left out and told in the summary.
    pub fn add_stream(
        &mut self,
        path: &str,
        mut reader: impl Read + Send,
        passes: Option<&dyn Passes>,
    ) -> Result<(), Error> {
        self.top.reserve(path)?;
        let name = path.rsplit('/').next().unwrap_or(path);
        let node = top::made_node(name.as_bytes(), NodeKind::File);
        let job = self.job(path, passes);
        let root = job.run(|worker, outcome| {
            self.progress.total(1, 0);
            worker.stream(node, &mut reader, Place::Root(outcome))
        })?;
        self.put(path, root)
    }

    /// Archives `bytes` as the file `path` of the snapshot, such as `.copal/manifest.json`. It comes from no source, so it is not counted among the files.
    ///
    /// # Errors
    /// As [`Archiver::add_tree`].
    pub fn add_file(&mut self, path: &str, bytes: &[u8]) -> Result<(), Error> {
        let before = self.summary();
        self.add_stream(path, bytes, None)?;
        let mut summary = lock(&self.summary);
        summary.files_new = before.files_new;
        summary.total_bytes_processed = before.total_bytes_processed;
        Ok(())
    }

    /// Writes the top tree, all packs that are still open, and the index of all of them.
    ///
    /// # Errors
    /// The storage fails.
    pub fn finish(mut self) -> Result<Archived, Error> {
        for (path, view) in std::mem::take(&mut self.views) {
            match self.top.reserve(&path) {
                Ok(()) => self.top.put(&path, view)?,
                Err(_) => self.job(&path, None).inexact(&[], VIEW_TAKEN),
            }
        }
        let job = self.job("", None);
        let tree = self.top.store(&mut |tree| job.store_tree(tree))?;
        self.writer.finish()?;
        Ok(Archived {
            tree,
            summary: self
                .summary
                .into_inner()
                .unwrap_or_else(PoisonError::into_inner),
        })
    }

    /// What has been archived so far.
    pub fn summary(&self) -> Summary {
        lock(&self.summary).clone()
    }

    fn job<'b>(&'b self, name: &'b str, passes: Option<&'b dyn Passes>) -> Job<'b> {
        Job::new(
            &self.repository,
            &self.writer,
            passes,
            self.progress,
            name.as_bytes(),
            &self.cancel,
            &self.summary,
        )
    }

    fn previous(&self, name: &str) -> Option<Node> {
        let mut nodes = self.parent.nodes.iter();
        nodes.find(|node| node.name == name.as_bytes()).cloned()
    }

    fn put(&mut self, path: &str, root: Root) -> Result<(), Error> {
        if let Some(view) = root.view {
            self.views
                .push((format!("{path}{}", members::SUFFIX), view));
        }
        match root.node {
            Some(node) => self.top.put(path, node),
            None => Ok(()),
        }
    }
}
