//! Finding out what a snapshot has lost, and making one without it.

use std::collections::{HashMap, HashSet};

use crate::backend::FileKind;
use crate::error::Error;
use crate::format::BlobKind;
use crate::format::tree::{Node, NodeKind};
use crate::id::{BlobId, PackId, TreeId};
use crate::progress::{ItemError, ItemErrorKind, display};
use crate::repository::Repository;
use crate::rewriter::{Edit, Fate, rewrite};
use crate::writer::BlobWriter;

/// Knows what of a repository is there.
#[derive(Debug)]
pub struct SnapshotRepair {
    repository: Repository,
    /// Sizes of the packs that are there.
    packs: HashMap<PackId, u64>,
    /// Trees of which nothing is lost.
    intact: HashSet<TreeId>,
}

impl SnapshotRepair {
    /// Looks at the index and at the packs that are there.
    ///
    /// # Errors
    /// The index can't be read, or the store fails.
    pub fn new(repository: &Repository) -> Result<Self, Error> {
        repository.load_index()?;
        let packs = repository.backend().list(FileKind::Pack)?.into_iter();
        Ok(Self {
            repository: repository.clone(),
            packs: packs.map(|(id, size)| (PackId(id), size)).collect(),
            intact: HashSet::new(),
        })
    }

    /// What is lost of a tree: files that lack a part of their content, directories whose listing is gone. The contents of files are not read,
    /// only looked for in the packs that are there.
    ///
    /// # Errors
    /// The listing of the top is lost, so that nothing is left; or the store fails.
    pub fn losses(&mut self, tree: &TreeId) -> Result<Vec<ItemError>, Error> {
        self.edit(tree, &[], None).map(|(_, losses)| losses)
    }

    /// Makes a tree without what is lost, and with these nodes in place of those at their paths. Without a writer, only says what its id would
    /// be.
    ///
    /// # Errors
    /// As [`Self::losses`]; or what stays of a tree can't be written.
    pub fn mend(
        &mut self,
        tree: &TreeId,
        replaced: &[(&[u8], Node)],
        writer: Option<&BlobWriter>,
    ) -> Result<TreeId, Error> {
        self.edit(tree, replaced, writer).map(|(mended, _)| mended)
    }

    fn edit(
        &mut self,
        tree: &TreeId,
        replaced: &[(&[u8], Node)],
        writer: Option<&BlobWriter>,
    ) -> Result<(TreeId, Vec<ItemError>), Error> {
        let repository = self.repository.clone();
        let mut finder = Finder {
            repair: self,
            replaced,
            losses: Vec::new(),
        };
        let edited = rewrite(&repository, tree, &mut finder, writer)?;
        Ok((edited, finder.losses))
    }

    fn is_there(&self, blob: &BlobId) -> Result<bool, Error> {
        self.repository.with_index(|index| {
            let mut copies = index.locations(BlobKind::Data, blob);
            copies.any(|location| {
                let size = self.packs.get(&location.pack);
                size.is_some_and(|size| location.range().end <= *size)
            })
        })
    }
}

/// Leaves out what is lost, and tells what that is.
struct Finder<'a> {
    repair: &'a mut SnapshotRepair,
    replaced: &'a [(&'a [u8], Node)],
    losses: Vec<ItemError>,
}

impl Finder<'_> {
    fn lose(&mut self, path: &[u8], message: String) {
        self.losses.push(ItemError {
            path: display(path),
            kind: ItemErrorKind::Lost,
            message,
        });
    }
}

impl Edit for Finder<'_> {
    fn entry(&mut self, path: &[u8], node: &Node) -> Result<Fate, Error> {
        if let Some((_, node)) = self.replaced.iter().find(|(replaced, _)| *replaced == path) {
            return Ok(Fate::Replace(Box::new(node.clone())));
        }
        // What is replaced may lie in a directory that lacks nothing.
        let known = node.subtree.filter(|_| self.replaced.is_empty());
        if known.is_some_and(|tree| self.repair.intact.contains(&tree)) {
            return Ok(Fate::KeepWhole);
        }
        let mut missing = 0;
        for blob in &node.content {
            missing += usize::from(!self.repair.is_there(blob)?);
        }
        if missing > 0 {
            let all = node.content.len();
            self.lose(
                path,
                format!("{missing} of the {all} pieces of its content are lost"),
            );
            return Ok(Fate::Drop);
        }
        if node.kind == NodeKind::Directory && node.subtree.is_none() {
            self.lose(path, "the directory has no listing".to_owned());
            return Ok(Fate::Drop);
        }
        Ok(Fate::Keep)
    }

    fn unreadable(&mut self, path: &[u8], error: Error) -> Result<(), Error> {
        if path.is_empty() {
            return Err(error);
        }
        self.lose(
            path,
            format!("all that is in the directory is lost: {error}"),
        );
        Ok(())
    }

    fn done(&mut self, tree: &TreeId, changed: bool) {
        if !changed {
            self.repair.intact.insert(*tree);
        }
    }
}
