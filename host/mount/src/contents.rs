//! Directories and files of the repository, read through caches.

use std::io;
use std::sync::Arc;

use copal_repository::format::BlobKind;
use copal_repository::format::tree::Node;
use copal_repository::{BlobId, Error, Listing, Repository, TreeId, kept};
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::cache::Cache;

/// Bytes of files' content that are kept, besides what the system keeps.
const BLOBS: usize = 64 << 20;
/// What the system asks for at once. Of a blob that is no longer, the system then has all.
const REQUEST: u64 = 128 << 10;
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
        })
    }

    pub(crate) fn listing(&self, tree: &TreeId) -> Result<Arc<Listing>, Error> {
        self.trees.get(tree, || {
            let load = || self.repository.load_listing(tree);
            let listing = self.loaders.install(load)?;
            let size = listing.size();
            Ok((Arc::new(listing), size))
        })
    }

    /// A node of a listing, by where it is there.
    pub(crate) fn node(&self, tree: &TreeId, at: usize) -> Result<Node, Error> {
        let node = self.listing(tree)?.nodes(at).next();
        node.unwrap_or_else(|| Err(Error::NotFound(format!("tree {tree} has no node {at}"))))
    }

    pub(crate) fn open(&self, node: Arc<Node>) -> Result<OpenFile, Error> {
        let mut end = 0;
        let ends = node.content.iter().map(|id| {
            let size = self.repository.blob_size(BlobKind::Data, id)?;
            let missing = || Error::NotFound(format!("no index of the repository knows blob {id}"));
            end += u64::from(size.ok_or_else(missing)?);
            Ok(end)
        });
        let ends = ends.collect::<Result<_, Error>>()?;
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
            let blob = match end - begin > REQUEST {
                true => self.blobs.get(id, || {
                    let blob = kept(self.blob(id)?);
                    let bytes = blob.len();
                    Ok::<_, Error>((blob, bytes))
                })?,
                false => self.blob(id)?,
            };
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
        self.loaders.install(load)
    }
}
