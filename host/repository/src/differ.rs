//! What sets two snapshots apart.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::iter::Peekable;

use serde::Serialize;

use crate::error::Error;
use crate::format::BlobKind;
use crate::format::tree::{Node, NodeKind};
use crate::id::{BlobId, TreeId};
use crate::linked::digest;
use crate::parallel;
use crate::progress::join;
use crate::repository::Repository;
use crate::walk::check_depth;

/// How many listings are held at a time.
const LISTINGS: usize = 256;

/// What two snapshots differ in.
#[derive(Debug, Clone, Default)]
pub struct Difference {
    /// What changed, in the order of the paths within each directory.
    pub changes: Vec<Change>,
    /// How much.
    pub summary: Summary,
}

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
}

/// Compares the snapshots whose roots are `first` and `second`. Changes of metadata alone count where `metadata` says so.
///
/// # Errors
/// A directory can't be read.
pub fn diff(
    repository: &Repository,
    first: TreeId,
    second: TreeId,
    metadata: bool,
) -> Result<Difference, Error> {
    let mut differ = Differ {
        repository,
        metadata,
        found: Difference::default(),
        contents: HashMap::new(),
        before: Blobs::from([(BlobKind::Tree, first.into())]),
        after: Blobs::from([(BlobKind::Tree, second.into())]),
        common: HashSet::new(),
    };
    differ.walk(first, second)?;
    differ.pair();
    differ.weigh()?;
    Ok(differ.found)
}

type Blobs = HashSet<(BlobKind, BlobId)>;

/// Two listings of one directory, as far as they are not compared yet.
struct Level {
    path: Vec<u8>,
    old: Nodes,
    new: Nodes,
}

type Nodes = Peekable<std::vec::IntoIter<Node>>;

struct Differ<'a> {
    repository: &'a Repository,
    metadata: bool,
    found: Difference,
    /// Digests of the contents of files that were added or removed, by their place among the changes.
    contents: HashMap<usize, BlobId>,
    /// What the directories that differ use.
    before: Blobs,
    after: Blobs,
    /// Directories that both snapshots have at the same path.
    common: HashSet<TreeId>,
}

impl Differ<'_> {
    /// Compares the listings of all directories that differ.
    fn walk(&mut self, first: TreeId, second: TreeId) -> Result<(), Error> {
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
            self.entry(&path, old.as_ref(), new.as_ref());
            let subtree = |node: Option<Node>| node.and_then(|node| node.subtree);
            let (old, new) = (subtree(old), subtree(new));
            check_depth(&path, levels.len())?;
            levels.extend(self.enter(path, old, new)?);
        }
        Ok(())
    }

    /// Takes up two listings of the directory at `path`, of which one may be missing, unless they are the same.
    fn enter(
        &mut self,
        path: Vec<u8>,
        old: Option<TreeId>,
        new: Option<TreeId>,
    ) -> Result<Option<Level>, Error> {
        if old == new {
            self.common.extend(old);
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

    fn entry(&mut self, path: &[u8], old: Option<&Node>, new: Option<&Node>) {
        self.before.extend(old.into_iter().flat_map(blobs_of));
        self.after.extend(new.into_iter().flat_map(blobs_of));
        let (node, what) = match (old, new) {
            (Some(old), Some(new)) => (new, self.compare(old, new)),
            (None, Some(new)) => (new, Some(What::Added)),
            (Some(old), None) => (old, Some(What::Removed)),
            (None, None) => return,
        };
        let Some(what) = what else {
            return;
        };
        let Difference { changes, summary } = &mut self.found;
        match what {
            What::Added => summary.added.add(node.kind),
            What::Removed => summary.removed.add(node.kind),
            What::Content if node.kind == NodeKind::File => summary.changed_files += 1,
            _ => {}
        }
        if matches!(what, What::Added | What::Removed) && !node.content.is_empty() {
            self.contents.insert(changes.len(), digest(node));
        }
        changes.push(Change {
            path: path.to_vec(),
            kind: node.kind,
            what,
        });
    }

    /// What became of an entry that both have.
    fn compare(&self, old: &Node, new: &Node) -> Option<What> {
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

    /// Makes one of every file that was removed here and added there: of the same name where there is one, else of any.
    fn pair(&mut self) {
        let mut pairs = HashMap::new();
        for same_name in [true, false] {
            let key = |place: usize, change: &Change| {
                let content = self.contents.get(&place)?;
                let name = change.path.rsplit(|&byte| byte == b'/').next();
                Some((*content, name.filter(|_| same_name).map(<[u8]>::to_vec)))
            };
            let mut removed: HashMap<_, Vec<usize>> = HashMap::new();
            let taken: HashSet<_> = pairs.values().copied().collect();
            for (place, change) in self.found.changes.iter().enumerate().rev() {
                if change.what == What::Removed
                    && !taken.contains(&place)
                    && let Some(key) = key(place, change)
                {
                    removed.entry(key).or_default().push(place);
                }
            }
            for (place, change) in self.found.changes.iter().enumerate() {
                if change.what == What::Added
                    && !pairs.contains_key(&place)
                    && let Some(from) = key(place, change)
                        .and_then(|key| removed.get_mut(&key))
                        .and_then(Vec::pop)
                {
                    pairs.insert(place, from);
                }
            }
        }
        self.found.summary.moved_files = pairs.len() as u64;
        let gone: HashSet<_> = pairs.values().copied().collect();
        for (place, from) in pairs {
            let from = self
                .found
                .changes
                .get(from)
                .map(|change| change.path.clone());
            if let (Some(from), Some(change)) = (from, self.found.changes.get_mut(place)) {
                change.what = What::Moved { from };
            }
        }
        let mut place = 0;
        self.found.changes.retain(|_| {
            place += 1;
            !gone.contains(&(place - 1))
        });
    }

    /// Counts the blobs that only one of the snapshots uses. What both have at the same path uses blobs too.
    fn weigh(&mut self) -> Result<(), Error> {
        let mut removed: Blobs = self.before.difference(&self.after).copied().collect();
        let mut added: Blobs = self.after.difference(&self.before).copied().collect();
        let mut level: Vec<_> = self.common.iter().copied().collect();
        while !level.is_empty() && (!removed.is_empty() || !added.is_empty()) {
            let some = level.split_off(level.len().saturating_sub(LISTINGS));
            let trees = parallel::map(&some, |id| self.repository.load_tree(id))?;
            let mut uses = |blob| {
                removed.remove(&blob);
                added.remove(&blob);
            };
            for id in some {
                uses((BlobKind::Tree, id.into()));
            }
            for node in trees.iter().flat_map(|tree| &tree.nodes) {
                blobs_of(node).for_each(&mut uses);
                level.extend(node.subtree.filter(|id| self.common.insert(*id)));
            }
        }
        let summary = &mut self.found.summary;
        for (blobs, amount) in [(removed, &mut summary.removed), (added, &mut summary.added)] {
            for (kind, id) in blobs {
                match kind {
                    BlobKind::Data => amount.data_blobs += 1,
                    BlobKind::Tree => amount.tree_blobs += 1,
                }
                let size = self.repository.blob_size(kind, &id)?;
                amount.bytes += u64::from(size.unwrap_or(0));
            }
        }
        Ok(())
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
