//! What sets two snapshots apart.

mod blobs;
mod moves;

use std::cmp::Ordering;
use std::iter::Peekable;

use serde::Serialize;

use crate::error::Error;
use crate::format::BlobKind;
use crate::format::tree::{Node, NodeKind};
use crate::id::{BlobId, TreeId};
use crate::parallel;
use crate::progress::join;
use crate::repository::Repository;
use crate::walk::check_depth;
use blobs::Blobs;
use moves::{Moves, Unpaired};

/// One entry that is not in both snapshots as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its path; in the second snapshot, unless it was removed.
    pub path: Vec<u8>,
    /// What it is, there.
    pub kind: NodeKind,
    /// What became of it.
    pub what: What,
}

/// What became of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// The first snapshot does not have it.
    Added,
    /// The second snapshot does not have it.
    Removed,
    /// A file's content is another, or where a link points, or for which device it stands.
    Content,
    /// It is of another kind.
    Kind,
    /// Only what else is known of it is other: owner, mode, times, and the like.
    Metadata,
    /// A file that the first snapshot has only under that path, and the second only here, with the same content.
    Moved {
        /// Its path in the first snapshot.
        from: Vec<u8>,
    },
}

/// How much two snapshots differ.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Files whose content is another.
    pub changed_files: u64,
    /// Files that moved; they are among the files that were added and removed too.
    pub moved_files: u64,
    /// What only the second snapshot has.
    pub added: Amount,
    /// What only the first snapshot has.
    pub removed: Amount,
}

/// How much only one of two snapshots has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Amount {
    /// Files.
    pub files: u64,
    /// Directories.
    pub dirs: u64,
    /// What is neither.
    pub others: u64,
    /// Blobs that no path of the other snapshot uses.
    pub data_blobs: u64,
    /// Listings that the other snapshot does not have.
    pub tree_blobs: u64,
    /// Bytes of both, before they were compressed.
    pub bytes: u64,
}

impl Amount {
    fn add(&mut self, kind: NodeKind) {
        match kind {
            NodeKind::File => self.files += 1,
            NodeKind::Directory => self.dirs += 1,
            _ => self.others += 1,
        }
    }

    fn add_blob(&mut self, kind: BlobKind, size: u32) {
        match kind {
            BlobKind::Data => self.data_blobs += 1,
            BlobKind::Tree => self.tree_blobs += 1,
        }
        self.bytes += u64::from(size);
    }
}

/// Compares the snapshots whose roots are `first` and `second`, and shows `visit` each change, in the order of the paths within each directory.
/// Changes of metadata alone count where `metadata` says so. All is read once before the first is shown: what moved must be known by then.
///
/// # Errors
/// A directory can't be read, or whatever `visit` fails with.
pub fn diff(
    repository: &Repository,
    first: TreeId,
    second: TreeId,
    metadata: bool,
    visit: &mut dyn FnMut(Change) -> Result<(), Error>,
) -> Result<Summary, Error> {
    if first == second {
        return Ok(Summary::default());
    }
    let differ = Differ {
        repository,
        metadata,
        before: Blobs::none(repository)?,
        after: Blobs::none(repository)?,
        common: Blobs::none(repository)?,
    };
    let Surveyed {
        mut summary,
        unpaired,
        common,
    } = differ.survey(first, second)?;
    differ.weigh(common, &mut summary)?;
    let moves = unpaired.pair();
    summary.moved_files = moves.left();
    differ.show(first, second, moves, visit)?;
    Ok(summary)
}

/// Two listings of one directory, as far as they are not compared yet.
struct Level {
    path: Vec<u8>,
    old: Nodes,
    new: Nodes,
}

type Nodes = Peekable<std::vec::IntoIter<Node>>;

/// What lies at one path in the two snapshots, and what became of it.
struct Entry<'a> {
    path: &'a [u8],
    old: Option<&'a Node>,
    new: Option<&'a Node>,
    what: Option<What>,
}

impl Entry<'_> {
    /// What is there in the second snapshot, else in the first.
    fn node(&self) -> Option<&Node> {
        self.new.or(self.old)
    }
}

/// What is known once all was compared.
#[derive(Default)]
struct Surveyed {
    summary: Summary,
    unpaired: Unpaired,
    /// Directories that both snapshots have at the same path, beneath those that differ.
    common: Vec<TreeId>,
}

struct Differ<'a> {
    repository: &'a Repository,
    metadata: bool,
    /// What the directories that differ use.
    before: Blobs<'a>,
    after: Blobs<'a>,
    /// Directories that both snapshots have at the same path, and those in them.
    common: Blobs<'a>,
}

impl Differ<'_> {
    /// Compares all directories that differ: counts, and notes which blobs they use and which files might have moved.
    fn survey(&self, first: TreeId, second: TreeId) -> Result<Surveyed, Error> {
        let mut surveyed = Surveyed::default();
        let Surveyed {
            summary,
            unpaired,
            common,
        } = &mut surveyed;
        self.before.note(BlobKind::Tree, first.into())?;
        self.after.note(BlobKind::Tree, second.into())?;
        self.walk(first, second, &mut |entry| {
            let sides = [(entry.old, &self.before), (entry.new, &self.after)];
            for (node, blobs) in sides {
                for (kind, id) in node.into_iter().flat_map(blobs_of) {
                    blobs.note(kind, id)?;
                }
            }
            let subtree = |node: Option<&Node>| node.and_then(|node| node.subtree);
            let both = subtree(entry.old).filter(|id| subtree(entry.new) == Some(*id));
            if let Some(id) = both
                && self.common.note(BlobKind::Tree, id.into())?
            {
                common.push(id);
            }
            match (&entry.what, entry.node()) {
                (Some(What::Added), Some(node)) => {
                    summary.added.add(node.kind);
                    if !node.content.is_empty() {
                        unpaired.added(node);
                    }
                }
                (Some(What::Removed), Some(node)) => {
                    summary.removed.add(node.kind);
                    if !node.content.is_empty() {
                        unpaired.removed(entry.path, node);
                    }
                }
                (Some(What::Content), Some(node)) if node.kind == NodeKind::File => {
                    summary.changed_files += 1;
                }
                _ => {}
            }
            Ok(())
        })?;
        Ok(surveyed)
    }

    /// Compares them once more, and shows what changed.
    fn show(
        &self,
        first: TreeId,
        second: TreeId,
        mut moves: Moves,
        visit: &mut dyn FnMut(Change) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.walk(first, second, &mut |entry| {
            let Some((node, mut what)) = entry.node().zip(entry.what.clone()) else {
                return Ok(());
            };
            let might_have_moved = !node.content.is_empty();
            if what == What::Removed && might_have_moved && moves.is_gone() {
                return Ok(());
            }
            if what == What::Added
                && might_have_moved
                && let Some(from) = moves.from()
            {
                let from = from.to_vec();
                what = What::Moved { from };
            }
            visit(Change {
                path: entry.path.to_vec(),
                kind: node.kind,
                what,
            })
        })
    }

    /// Compares the listings of all directories that differ.
    fn walk(
        &self,
        first: TreeId,
        second: TreeId,
        visit: &mut dyn FnMut(&Entry<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut levels = Vec::new();
        levels.extend(self.enter(Vec::new(), Some(first), Some(second))?);
        while let Some(Level { path, old, new }) = levels.last_mut() {
            let order = match (old.peek(), new.peek()) {
                (Some(old), Some(new)) => old.name.cmp(&new.name),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => {
                    levels.pop();
                    continue;
                }
            };
            let old = old.next_if(|_| order.is_le());
            let new = new.next_if(|_| order.is_ge());
            let Some(name) = new.as_ref().or(old.as_ref()).map(|node| &node.name) else {
                continue;
            };
            let path = join(path, name);
            visit(&Entry {
                path: &path,
                old: old.as_ref(),
                new: new.as_ref(),
                what: self.compare(old.as_ref(), new.as_ref()),
            })?;
            let subtree = |node: Option<Node>| node.and_then(|node| node.subtree);
            let (old, new) = (subtree(old), subtree(new));
            check_depth(&path, levels.len())?;
            levels.extend(self.enter(path, old, new)?);
        }
        Ok(())
    }

    /// Takes up two listings of the directory at `path`, of which one may be missing, unless they are the same.
    fn enter(
        &self,
        path: Vec<u8>,
        old: Option<TreeId>,
        new: Option<TreeId>,
    ) -> Result<Option<Level>, Error> {
        if old == new {
            return Ok(None);
        }
        let load = |tree: Option<TreeId>| {
            let tree = tree.map(|tree| self.repository.load_tree(&tree));
            let mut nodes = tree.transpose()?.unwrap_or_default().nodes;
            // They are sorted already, unless someone else than restic wrote them.
            nodes.sort_by(|a, b| a.name.cmp(&b.name));
            Ok::<_, Error>(nodes.into_iter().peekable())
        };
        Ok(Some(Level {
            path,
            old: load(old)?,
            new: load(new)?,
        }))
    }

    /// What became of an entry.
    fn compare(&self, old: Option<&Node>, new: Option<&Node>) -> Option<What> {
        let (old, new) = match (old, new) {
            (Some(old), Some(new)) => (old, new),
            (None, Some(_)) => return Some(What::Added),
            (Some(_), None) => return Some(What::Removed),
            (None, None) => return None,
        };
        if old.kind != new.kind {
            Some(What::Kind)
        } else if (&old.content, &old.link_target, old.device)
            != (&new.content, &new.link_target, new.device)
        {
            Some(What::Content)
        } else if self.metadata && bare(old) != bare(new) {
            Some(What::Metadata)
        } else {
            None
        }
    }

    /// Counts the blobs that only one of the snapshots uses. What both have at the same path uses blobs too.
    fn weigh(&self, common: Vec<TreeId>, summary: &mut Summary) -> Result<(), Error> {
        parallel::spread(common, |tree: TreeId, more| {
            for node in self.repository.load_tree(&tree)?.nodes {
                for (kind, id) in blobs_of(&node) {
                    self.before.note(kind, id)?;
                    self.after.note(kind, id)?;
                }
                if let Some(subtree) = node.subtree
                    && self.common.note(BlobKind::Tree, subtree.into())?
                {
                    more.push(subtree);
                }
            }
            Ok::<_, Error>(())
        })?;
        let Summary { added, removed, .. } = summary;
        self.before.weigh_without(&self.after, removed)?;
        self.after.weigh_without(&self.before, added)
    }
}

fn blobs_of(node: &Node) -> impl Iterator<Item = (BlobKind, BlobId)> {
    let data = node.content.iter().map(|&id| (BlobKind::Data, id));
    data.chain(node.subtree.map(|id| (BlobKind::Tree, id.into())))
}

/// The node without what it holds.
fn bare(node: &Node) -> Node {
    Node {
        content: Vec::new(),
        subtree: None,
        ..node.clone()
    }
}
