//! Finds entries of snapshots by name and time, and the places where blobs are used.

use std::collections::HashSet;

use crate::error::Error;
use crate::format::BlobKind;
use crate::format::Timestamp;
use crate::format::tree::{Node, NodeKind};
use crate::id::{BlobId, TreeId};
use crate::pass::Trouble;
use crate::pattern::Patterns;
use crate::progress::{ItemError, ItemErrorKind, display, join};
use crate::repository::Repository;
use crate::walk::check_depth;

/// What is searched for.
#[derive(Debug, Clone)]
pub enum Query {
    /// Entries whose path matches, and that were modified within these times, both included.
    Entries {
        /// What their paths match.
        patterns: Patterns,
        /// Modified then or later.
        oldest: Option<Timestamp>,
        /// Modified then or earlier.
        newest: Option<Timestamp>,
    },
    /// Where blobs are used.
    Blobs(Wanted),
}

/// Blobs that are searched for.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    data: HashSet<BlobId>,
    trees: HashSet<TreeId>,
}

impl Wanted {
    /// Adds the blobs of a kind whose ids begin with these digits.
    ///
    /// # Errors
    /// The index knows none, or can't be loaded.
    pub fn blobs(
        &mut self,
        repository: &Repository,
        kind: BlobKind,
        prefix: &str,
    ) -> Result<(), Error> {
        let prefix = prefix.to_ascii_lowercase();
        let begins = |id: &BlobId| id.hex().starts_with(prefix.as_bytes());
        let found = repository.with_index(|index| {
            let ids = index.live().ids(kind).filter(|id| begins(id));
            ids.collect::<Vec<_>>()
        })?;
        if prefix.is_empty() || found.is_empty() {
            let prefix = prefix.escape_debug();
            let message = format!("no index knows a {kind} blob whose id begins with `{prefix}`");
            return Err(Error::NotFound(message));
        }
        found.into_iter().for_each(|id| self.add(kind, id));
        Ok(())
    }

    /// Adds all blobs of the packs whose ids begin with these digits.
    ///
    /// # Errors
    /// The index knows none, or can't be loaded.
    pub fn pack(&mut self, repository: &Repository, prefix: &str) -> Result<(), Error> {
        let prefix = prefix.to_ascii_lowercase();
        let packs = repository.with_index(|index| index.by_pack())?;
        let mut found = packs
            .into_iter()
            .filter(|(id, _)| !prefix.is_empty() && id.hex().starts_with(prefix.as_bytes()))
            .peekable();
        if found.peek().is_none() {
            let prefix = prefix.escape_debug();
            let message = format!("no index knows a pack whose id begins with `{prefix}`");
            return Err(Error::NotFound(message));
        }
        for blob in found.flat_map(|(_, blobs)| blobs) {
            self.add(blob.kind, blob.id);
        }
        Ok(())
    }

    fn add(&mut self, kind: BlobKind, id: BlobId) {
        match kind {
            BlobKind::Data => self.data.insert(id),
            BlobKind::Tree => self.trees.insert(id.into()),
        };
    }
}

/// Something that was found.
#[derive(Debug)]
pub struct Hit<'a> {
    /// The entry's path, names separated by `/`; empty for the top of the snapshot.
    pub path: &'a [u8],
    /// The entry; of the top of the snapshot nothing is known but its listing.
    pub node: &'a Node,
    /// The blob that it uses, if blobs were searched for: a part of a file, or a directory's listing.
    pub blob: Option<(BlobKind, BlobId)>,
}

/// What a search of a snapshot came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Searched {
    /// How many hits there were.
    pub hits: u64,
    /// Directories that can't be read, so that nothing is known of what they hold.
    pub lost: Vec<ItemError>,
}

/// What is told of what was found.
pub type Found<'a> = dyn FnMut(&Hit<'_>) -> Result<(), Error> + 'a;

/// Searches snapshot after snapshot, and remembers which directories hold nothing that is searched for.
pub struct Finder<'a> {
    repository: &'a Repository,
    query: &'a Query,
    /// Directories beneath which nothing was found, as long as nothing above matches.
    barren: HashSet<TreeId>,
}

/// A directory that is being searched.
struct Level {
    tree: TreeId,
    path: Vec<u8>,
    nodes: std::vec::IntoIter<Node>,
    /// How many hits and lost directories there were before.
    before: (u64, usize),
}

impl<'a> Finder<'a> {
    /// Searches for what `query` says.
    pub fn new(repository: &'a Repository, query: &'a Query) -> Self {
        Self {
            repository,
            query,
            barren: HashSet::new(),
        }
    }

    /// Tells of every hit in the snapshot whose root is `root`.
    ///
    /// # Errors
    /// The storage fails, or whatever `found` fails with.
    pub fn search(&mut self, root: &TreeId, found: &mut Found<'_>) -> Result<Searched, Error> {
        let top = Node {
            subtree: Some(*root),
            ..Node::new("", NodeKind::Directory)
        };
        let mut hits = 0;
        let mut tell = |path: &[u8], node: &Node, blob| {
            hits += 1;
            found(&Hit { path, node, blob })?;
            Ok::<_, Error>(hits)
        };
        let mut count = 0;
        if let Query::Blobs(wanted) = self.query {
            count = look_for_blobs(wanted, b"", &top, &mut tell)?.unwrap_or(count);
        }
        let (mut levels, mut lost) = (Vec::new(), Vec::new());
        levels.extend(self.level(root, Vec::new(), 0, count, &mut lost)?);
        while let Some(level) = levels.last_mut() {
            let Some(node) = level.nodes.next() else {
                if level.before == (count, lost.len()) && self.is_lasting() {
                    self.barren.insert(level.tree);
                }
                levels.pop();
                continue;
            };
            let path = join(&level.path, &node.name);
            count = match self.query {
                Query::Blobs(wanted) => look_for_blobs(wanted, &path, &node, &mut tell)?,
                Query::Entries { .. } if self.fits(&path, &node) => Some(tell(&path, &node, None)?),
                Query::Entries { .. } => None,
            }
            .unwrap_or(count);
            if let Some(subtree) = &node.subtree
                && self.may_have_beneath(&path)
            {
                levels.extend(self.level(subtree, path, levels.len(), count, &mut lost)?);
            }
        }
        Ok(Searched { hits: count, lost })
    }

    /// The directory, unless nothing can be found in it, or it is lost.
    fn level(
        &self,
        tree: &TreeId,
        path: Vec<u8>,
        depth: usize,
        hits: u64,
        lost: &mut Vec<ItemError>,
    ) -> Result<Option<Level>, Error> {
        if self.barren.contains(tree) && !self.is_matched(&path) {
            return Ok(None);
        }
        let listing = check_depth(&path, depth).and_then(|()| self.repository.load_tree(tree));
        match listing.map_err(Trouble::from) {
            Ok(listing) => Ok(Some(Level {
                tree: *tree,
                path,
                nodes: listing.nodes.into_iter(),
                before: (hits, lost.len()),
            })),
            Err(Trouble::End(error)) => Err(error),
            Err(Trouble::Item(message)) => {
                let kind = ItemErrorKind::Lost;
                let path = match &*path {
                    [] => "/".to_owned(),
                    path => display(path),
                };
                lost.push(ItemError {
                    path,
                    kind,
                    message,
                });
                Ok(None)
            }
        }
    }

    /// Whether all beneath a directory of this path matches.
    fn is_matched(&self, path: &[u8]) -> bool {
        match self.query {
            Query::Entries { patterns, .. } => patterns.match_path(path),
            Query::Blobs(_) => false,
        }
    }

    /// Whether a directory in which nothing is found holds nothing wherever it lies.
    fn is_lasting(&self) -> bool {
        match self.query {
            Query::Entries { patterns, .. } => patterns.are_of_one_name(),
            Query::Blobs(_) => true,
        }
    }

    fn may_have_beneath(&self, path: &[u8]) -> bool {
        match self.query {
            Query::Entries { patterns, .. } => patterns.may_match_beneath(path),
            Query::Blobs(_) => true,
        }
    }

    fn fits(&self, path: &[u8], node: &Node) -> bool {
        let Query::Entries {
            patterns,
            oldest,
            newest,
        } = self.query
        else {
            return false;
        };
        let time = node.modified.instant();
        patterns.match_path(path)
            && oldest.is_none_or(|oldest| time >= oldest.instant())
            && newest.is_none_or(|newest| time <= newest.instant())
    }
}

type Tell<'a> = dyn FnMut(&[u8], &Node, Option<(BlobKind, BlobId)>) -> Result<u64, Error> + 'a;

/// Tells of the blobs that the entry uses, and gives the number of hits after the last of them.
fn look_for_blobs(
    wanted: &Wanted,
    path: &[u8],
    node: &Node,
    tell: &mut Tell<'_>,
) -> Result<Option<u64>, Error> {
    let mut count = None;
    let listing = node.subtree.filter(|id| wanted.trees.contains(id));
    let listing = listing.map(|id| (BlobKind::Tree, BlobId::from(id)));
    let parts = node.content.iter().filter(|id| wanted.data.contains(*id));
    let mut told = HashSet::new();
    for blob in listing
        .into_iter()
        .chain(parts.map(|id| (BlobKind::Data, *id)))
    {
        // A file may hold the same part many times.
        if told.insert(blob.1) {
            count = Some(tell(path, node, Some(blob))?);
        }
    }
    Ok(count)
}
