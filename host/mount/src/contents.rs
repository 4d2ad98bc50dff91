//! Directories and files of the repository, read through caches.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use copal_repository::format::BlobKind;
use copal_repository::format::tree::Node;
use copal_repository::{BlobId, Error, Listing, Repository, TreeId, kept};
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::cache::{Cache, lock};

/// Bytes of files' content that are kept, besides what the system keeps.
const BLOBS: usize = 64 << 20;
/// How long the index is not read again for what it does not know or no longer lies where it says.
const SETTLED: Duration = Duration::from_secs(5);
/// Bytes of listings that are kept.
const TREES: usize = 32 << 20;

/// What snapshots hold.
pub(crate) struct Contents {
    pub(crate) repository: Repository,
    trees: Cache<TreeId, Arc<Listing>>,
    blobs: Cache<BlobId, bytes::Bytes>,
    /// Threads that load both, as many as the store has connections for. The allocator keeps a heap for each thread, and gives back little of it:
    /// if those that answer the system loaded, all of theirs would grow by what one needs.
    loaders: ThreadPool,
    refreshed: Mutex<Refreshed>,
}

/// When the index was read because something was missing.
#[derive(Default)]
struct Refreshed {
    /// When that ended last.
    tried: Option<Instant>,
    /// When that began which succeeded last.
    begun: Option<Instant>,
}

/// A file that is open for reading.
pub(crate) struct OpenFile {
    node: Arc<Node>,
    /// Where each blob of it ends.
    ends: Vec<u64>,
}

impl Contents {
    pub(crate) fn new(repository: Repository) -> Result<Self, Error> {
        let loaders = ThreadPoolBuilder::new().num_threads(repository.connections());
        let failed = |error| Error::io("a thread", io::Error::other(error));
        Ok(Self {
            loaders: loaders.build().map_err(failed)?,
            repository,
            trees: Cache::new(TREES),
            blobs: Cache::new(BLOBS),
            refreshed: Mutex::default(),
        })
    }

    /// Calls `load` on a thread that loads.
    pub(crate) fn on_loader<T: Send>(&self, load: impl FnOnce() -> T + Send) -> T {
        self.loaders.install(load)
    }

    /// What `look` gives; where something is missing it may have been moved since the index was read, so that is read again.
    fn found<T>(&self, look: impl Fn() -> Result<T, Error>) -> Result<T, Error> {
        let begun = Instant::now();
        let is_missing = |error: &Error| error.is_loss() || matches!(error, Error::NotFound(_));
        match look() {
            Err(error) if is_missing(&error) && self.has_refreshed(begun) => look(),
            looked => looked,
        }
    }

    /// Reads the index again, unless that was tried just now. Tells whether it has been read, from its beginning to its end, since `begun`.
    fn has_refreshed(&self, begun: Instant) -> bool {
        let mut refreshed = lock(&self.refreshed);
        let is_settled = |tried: Instant| tried.elapsed() < SETTLED;
        if refreshed.begun <= Some(begun) && !refreshed.tried.is_some_and(is_settled) {
            let now = Instant::now();
            match self.on_loader(|| self.repository.refresh_index()) {
                Ok(()) => refreshed.begun = Some(now),
                // Why it is looked for is told anyway, and by the folders that the index is damaged.
                Err(error) => tracing::debug!(%error, "can't look where it is now"),
            }
            refreshed.tried = Some(Instant::now());
        }
        refreshed.begun > Some(begun)
    }

    pub(crate) fn listing(&self, tree: &TreeId) -> Result<Arc<Listing>, Error> {
        self.trees.get(tree, || {
            let load = || self.repository.load_listing(tree);
            let listing = self.found(|| self.on_loader(load))?;
            let size = listing.size();
            Ok((Arc::new(listing), size))
        })
    }

    /// A node of a listing, by where it is there.
    pub(crate) fn node(&self, tree: &TreeId, at: usize) -> Result<Node, Error> {
        let missing = || Error::NotFound(format!("tree {tree} has no node {at}"));
        self.listing(tree)?.node(at)?.ok_or_else(missing)
    }

    pub(crate) fn open(&self, node: Arc<Node>) -> Result<OpenFile, Error> {
        let ends = self.found(|| {
            let mut end = 0;
            let ends = node.content.iter().map(|id| {
                let size = self.repository.blob_size(BlobKind::Data, id)?;
                let missing =
                    || Error::NotFound(format!("no index of the repository knows blob {id}"));
                end += u64::from(size.ok_or_else(missing)?);
                Ok(end)
            });
            ends.collect::<Result<Vec<_>, Error>>()
        })?;
        let end = ends.last().copied().unwrap_or(0);
        if end != node.size {
            let message = format!(
                "a file has {end} bytes, where the snapshot says {}",
                node.size
            );
            return Err(Error::Unsupported(message));
        }
        Ok(OpenFile { node, ends })
    }

    /// The bytes from `offset` on: `length` of them, fewer where the file ends before.
    pub(crate) fn read(
        &self,
        file: &OpenFile,
        offset: u64,
        length: usize,
    ) -> Result<Vec<u8>, Error> {
        let mut found = Vec::with_capacity(length);
        let (before, ends) = file
            .ends
            .split_at(file.ends.partition_point(|&end| end <= offset));
        let mut begin = before.last().copied().unwrap_or(0);
        for (id, &end) in file.node.content.iter().skip(before.len()).zip(ends) {
            if found.len() == length {
                break;
            }
            // The system keeps what it is given, so nobody asks again for a blob that it is given whole.
            let blob = match offset <= begin && end - offset <= length as u64 {
                true => self.blob(id)?,
                false => self.blobs.get(id, || {
                    let blob = kept(self.blob(id)?);
                    let bytes = blob.len();
                    Ok::<_, Error>((blob, bytes))
                })?,
            };
            if blob.len() as u64 != end - begin {
                let message = format!("blob {id} is not as long as the index says");
                return Err(Error::Unsupported(message));
            }
            let within = usize::try_from(offset.saturating_sub(begin)).unwrap_or(usize::MAX);
            let rest = blob.get(within..).unwrap_or_default();
            let wanted = rest.len().min(length - found.len());
            found.extend_from_slice(&rest[..wanted]);
            begin = end;
        }
        Ok(found)
    }

    fn blob(&self, id: &BlobId) -> Result<bytes::Bytes, Error> {
        let load = || self.repository.load_blob(BlobKind::Data, id);
        self.found(|| self.on_loader(load))
    }
}
