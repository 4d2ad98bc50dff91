//! Finding out what a snapshot has lost, and making one without it.

use std::collections::{HashMap, HashSet};

use super::read_header;
use crate::error::Error;
use crate::format::BlobKind;
use crate::format::tree::{Node, NodeKind};
use crate::id::{BlobId, PackId, TreeId};
use crate::progress::{ItemError, ItemErrorKind, display};
use crate::repository::Repository;
use crate::rewriter::{Edit, Fate, rewrite};
use crate::writer::BlobWriter;

/// What is appended to the name of a file of which a part is left, as rustic does it.
const SUFFIX: &[u8] = b".repaired";
/// Bytes that a name may have.
const LONGEST_NAME: usize = 255;

/// Knows what of a repository is there.
#[derive(Debug)]
pub struct SnapshotRepair {
    repository: Repository,
    /// Whether a file at this path is worth nothing unless all of it is there.
    indivisible: fn(&[u8]) -> bool,
    /// Sizes of the packs that are there.
    packs: HashMap<PackId, u64>,
    /// Those of them that no index file names.
    unindexed: Vec<PackId>,
    /// What lies in these, once it is known.
    indexable: Option<HashSet<(BlobKind, BlobId)>>,
    /// What the trees that were looked at refer to and is not there.
    lost: HashSet<(BlobKind, BlobId)>,
    /// Trees of which nothing is lost.
    intact: HashSet<TreeId>,
}

impl SnapshotRepair {
    /// Looks at the index and at the packs that are there. Of files that lack something the rest is kept, under a name that ends with `.repaired`, but
    /// not where `indivisible` says of their path that it is worth nothing.
    ///
    /// # Errors
    /// The index can't be read, or the store fails.
    pub fn new(repository: &Repository, indivisible: fn(&[u8]) -> bool) -> Result<Self, Error> {
        let named = repository.with_index(|index| {
            let parts = [index.live(), index.marked()];
            parts.map(|part| part.packs().to_vec()).concat()
        })?;
        let packs = repository.backend().packs(&named)?.into_iter();
        let packs: HashMap<_, _> = packs.map(|(id, size)| (PackId(id), size)).collect();
        let named: HashSet<_> = named.into_iter().collect();
        Ok(Self {
            repository: repository.clone(),
            indivisible,
            unindexed: packs
                .keys()
                .filter(|id| !named.contains(id))
                .copied()
                .collect(),
            packs,
            indexable: None,
            lost: HashSet::new(),
            intact: HashSet::new(),
        })
    }

    /// Whether something that was found to be lost lies in a pack that no index file names.
    ///
    /// # Errors
    /// The store fails. A pack whose header is damaged holds nothing.
    pub fn could_be_indexed(&mut self) -> Result<bool, Error> {
        if self.indexable.is_none() {
            let mut blobs = HashSet::new();
            for id in &self.unindexed {
                let size = self.packs.get(id).copied().unwrap_or_default();
                match read_header(&self.repository, id, size) {
                    Ok(header) => blobs.extend(header.iter().map(|blob| (blob.kind, blob.id))),
                    Err(error) if error.is_loss() => {}
                    Err(error) => return Err(error),
                }
            }
            self.indexable = Some(blobs);
        }
        let indexable = self.indexable.iter().flatten();
        Ok(indexable.into_iter().any(|blob| self.lost.contains(blob)))
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
        self.look_for(tree)?;
        let mut finder = Finder {
            repair: self,
            replaced,
            losses: Vec::new(),
        };
        let edited = rewrite(&repository, tree, &mut finder, writer)?;
        Ok((edited, finder.losses))
    }

    /// Notes a listing that is not there.
    fn look_for(&mut self, tree: &TreeId) -> Result<(), Error> {
        self.length(BlobKind::Tree, &(*tree).into()).map(drop)
    }

    /// Bytes of a blob, if it is there; else it is noted.
    fn length(&mut self, kind: BlobKind, blob: &BlobId) -> Result<Option<u32>, Error> {
        let length = self.repository.with_index(|index| {
            let mut copies = index.locations(kind, blob);
            let there = copies.find(|location| {
                let size = self.packs.get(&location.pack);
                size.is_some_and(|size| location.range().end <= *size)
            });
            there.map(|location| location.plaintext_length())
        })?;
        if length.is_none() {
            self.lost.insert((kind, *blob));
        }
        Ok(length)
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
        if let Some(tree) = &node.subtree {
            self.repair.look_for(tree)?;
        }
        let mut left = Node {
            content: Vec::with_capacity(node.content.len()),
            size: 0,
            ..node.clone()
        };
        for blob in &node.content {
            if let Some(size) = self.repair.length(BlobKind::Data, blob)? {
                left.content.push(*blob);
                left.size += u64::from(size);
            }
        }
        let all = node.content.len();
        if let missing @ 1.. = all - left.content.len() {
            let lost = format!("{missing} of the {all} pieces of its content are lost");
            if (self.repair.indivisible)(path) {
                self.lose(path, lost);
                return Ok(Fate::Drop);
            }
            if left.content.is_empty() {
                self.lose(path, "all of its content is lost".to_owned());
                return Ok(Fate::Drop);
            }
            let (size, old) = (left.size, node.size);
            // Under its own name it would take the place of a good one.
            left.name.truncate(LONGEST_NAME - SUFFIX.len());
            left.name.extend_from_slice(SUFFIX);
            left.links = 1;
            let name = display(&left.name);
            self.lose(
                path,
                format!("{lost}: {size} of {old} bytes are left, as {name}"),
            );
            return Ok(Fate::Replace(Box::new(left)));
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
