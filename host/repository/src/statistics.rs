//! How much snapshots hold, counted in the ways of `restic stats`.

use std::collections::{HashMap, HashSet};

use serde::Serialize;

use crate::error::Error;
use crate::format::BlobKind;
use crate::format::tree::{Node, Tree};
use crate::id::{BlobId, TreeId};
use crate::linked::{LinkedFile, digest};
use crate::progress::join;
use crate::repository::Repository;
use crate::walk::{Losing, check_depth, locate};

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CountMode {
    /// Every entry, and the bytes that files take once they are restored: those of a file with several names once.
    RestoreSize,
    /// Each content once, wherever and however often it lies; all that has no content counts as one.
    FilesByContents,
    /// Each blob once for each file that uses it, of files with different contents.
    BlobsPerFile,
    /// Each blob once, with the bytes that it takes in the repository.
    RawData,
}

/// What was counted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Statistics {
    /// Snapshots.
    pub snapshots_count: u64,
    /// Bytes.
    pub total_size: u64,
    /// Entries, or files.
    pub total_file_count: u64,
    /// Blobs, where they are counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_blob_count: Option<u64>,
    /// Bytes before they were compressed and sealed, where they are counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_uncompressed_size: Option<u64>,
}

/// Counts snapshot after snapshot; what they share is read once.
pub struct Counter<'a> {
    repository: &'a Repository,
    mode: CountMode,
    found: Statistics,
    /// Directories that add nothing any more.
    known: HashSet<TreeId>,
    /// What directories without hard links add, whenever they come: entries and bytes.
    sums: HashMap<TreeId, (u64, u64)>,
    /// Digests of contents.
    contents: HashSet<BlobId>,
    blobs: HashSet<BlobId>,
}

/// A directory that is being counted.
struct Level {
    tree: TreeId,
    path: Vec<u8>,
    nodes: std::vec::IntoIter<Node>,
    /// Entries and bytes before.
    before: (u64, u64),
    has_links: bool,
}

impl<'a> Counter<'a> {
    /// Counts in the way that `mode` says.
    pub fn new(repository: &'a Repository, mode: CountMode) -> Self {
        let found = Statistics {
            total_blob_count: matches!(mode, CountMode::BlobsPerFile | CountMode::RawData)
                .then_some(0),
            total_uncompressed_size: (mode == CountMode::RawData).then_some(0),
            ..Statistics::default()
        };
        Self {
            repository,
            mode,
            found,
            known: HashSet::new(),
            sums: HashMap::new(),
            contents: HashSet::new(),
            blobs: HashSet::new(),
        }
    }

    /// What was counted so far.
    pub fn statistics(&self) -> &Statistics {
        &self.found
    }

    /// Adds the snapshot whose root is `root`. `lost` decides what becomes of a directory whose listing is damaged or missing, and of a file of which
    /// a blob is in no index: where it does not fail, what is beside it is counted. It is told of each once, and where that is come by in different
    /// directories maybe again.
    ///
    /// # Errors
    /// A directory can't be read or is nested too deeply, or whatever `lost` fails with.
    pub fn add(&mut self, root: &TreeId, lost: &mut Losing<'_>) -> Result<(), Error> {
        let mut or_lost = |path: &[u8], result: Result<Option<Level>, Error>| match result {
            Err(error) if error.is_loss() => lost(path, error).map(|()| None),
            result => result,
        };
        self.found.snapshots_count += 1;
        // Numbers of inodes mean something within one snapshot.
        let mut linked = HashSet::new();
        let mut levels: Vec<Level> = Vec::new();
        levels.extend(or_lost(b"", self.enter(root, b""))?);
        while let Some(level) = levels.last_mut() {
            let Some(node) = level.nodes.next() else {
                if let Some(done) = levels.pop() {
                    match done.has_links {
                        true => levels.iter_mut().for_each(|above| above.has_links = true),
                        false => self.note(&done),
                    }
                }
                continue;
            };
            let path = join(&level.path, &node.name);
            level.has_links |= LinkedFile::of(&node).is_some();
            let counted = self.count(&path, &node, &mut linked);
            or_lost(&path, counted.map(|()| None))?;
            if let Some(subtree) = &node.subtree {
                check_depth(&path, levels.len())?;
                levels.extend(or_lost(&path, self.enter(subtree, &path))?);
            }
        }
        Ok(())
    }

    /// The directory, unless what it adds is known.
    fn enter(&mut self, tree: &TreeId, path: &[u8]) -> Result<Option<Level>, Error> {
        if let Some((files, bytes)) = self.sums.get(tree) {
            self.found.total_file_count = self.found.total_file_count.saturating_add(*files);
            self.found.total_size = self.found.total_size.saturating_add(*bytes);
            return Ok(None);
        }
        if self.mode != CountMode::RestoreSize && !self.known.insert(*tree) {
            return Ok(None);
        }
        if self.mode == CountMode::RawData {
            self.blob(BlobKind::Tree, &(*tree).into())?;
        }
        let Tree { nodes } = self.repository.load_tree(tree)?;
        Ok(Some(Level {
            tree: *tree,
            path: path.to_vec(),
            nodes: nodes.into_iter(),
            before: (self.found.total_file_count, self.found.total_size),
            has_links: false,
        }))
    }

    fn note(&mut self, level: &Level) {
        if self.mode == CountMode::RestoreSize {
            let (files, bytes) = level.before;
            let sum = (
                self.found.total_file_count - files,
                self.found.total_size - bytes,
            );
            self.sums.insert(level.tree, sum);
        }
    }

    fn count(
        &mut self,
        path: &[u8],
        node: &Node,
        linked: &mut HashSet<LinkedFile>,
    ) -> Result<(), Error> {
        match self.mode {
            CountMode::RestoreSize => {
                self.found.total_file_count += 1;
                if LinkedFile::of(node).is_none_or(|file| linked.insert(file)) {
                    self.found.total_size = self.found.total_size.saturating_add(node.size);
                }
            }
            CountMode::FilesByContents => {
                if self.contents.insert(digest(node)) {
                    self.found.total_file_count += 1;
                    self.found.total_size = self.found.total_size.saturating_add(node.size);
                }
            }
            CountMode::BlobsPerFile => {
                if !node.content.is_empty() && self.contents.insert(digest(node)) {
                    self.blobs_of(path, node)?;
                }
            }
            CountMode::RawData => {
                let mut lost = Ok(());
                for id in &node.content {
                    match self.blob(BlobKind::Data, id) {
                        Err(error) if error.is_loss() => lost = Err(error),
                        counted => counted?,
                    }
                }
                return lost;
            }
        }
        Ok(())
    }

    /// Adds the blobs that a file uses and that its path was not counted with before, in whichever snapshot.
    fn blobs_of(&mut self, path: &[u8], node: &Node) -> Result<(), Error> {
        let of_path = |id: &[u8]| BlobId::of(&[path, b"\0", id].concat());
        if self.blobs.insert(of_path(b"")) {
            self.found.total_file_count += 1;
        }
        let mut lost = Ok(());
        for id in &node.content {
            if self.blobs.insert(of_path(&id.0)) {
                match locate(self.repository, id) {
                    Ok(location) => {
                        let found = &mut self.found;
                        found.total_size += u64::from(location.plaintext_length());
                        found.total_blob_count = found.total_blob_count.map(|count| count + 1);
                    }
                    Err(error) if error.is_loss() => lost = Err(error),
                    Err(error) => return Err(error),
                }
            }
        }
        lost
    }

    fn blob(&mut self, kind: BlobKind, id: &BlobId) -> Result<(), Error> {
        if kind == BlobKind::Data && !self.blobs.insert(*id) {
            return Ok(());
        }
        let location = self.repository.locate(kind, id)?.ok_or_else(|| {
            Error::corrupt(
                format!("{kind} blob {id}"),
                "no index of the repository knows it",
            )
        })?;
        let found = &mut self.found;
        found.total_size += u64::from(location.length);
        found.total_blob_count = found.total_blob_count.map(|count| count + 1);
        found.total_uncompressed_size = found
            .total_uncompressed_size
            .map(|size| size + u64::from(location.plaintext_length()));
        Ok(())
    }
}
