//! Numbers for what the system knows of, for as long as it does.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Arc, Mutex};

use copal_repository::format::tree::Node;
use copal_repository::{LinkedFile, TreeId};

use crate::cache::lock;
use crate::folders::Folder;

/// The number of the top folder.
pub(crate) const TOP: u64 = 1;

/// Something in the file system.
#[derive(Debug, Clone)]
pub(crate) enum Item {
    Folder(Folder),
    /// A link to another entry of the same folder.
    Link(String),
    Node {
        node: Arc<Node>,
        /// The number of the snapshot that it is in; none for the snapshot itself.
        snapshot: Option<u64>,
    },
}

/// What the system knows of, as it is kept.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    /// A folder, a link in one, or a snapshot.
    Item(Item),
    /// What a snapshot holds. There may be much of it, so only where it stands is kept.
    Stored(Stored),
}

/// Where a node stands in the repository.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stored {
    pub(crate) tree: TreeId,
    /// Where it is in the listing.
    pub(crate) at: usize,
    /// The listing of a directory; none for a file, which is all else.
    pub(crate) subtree: Option<TreeId>,
    /// The number of the snapshot that it is in.
    pub(crate) snapshot: u64,
}

struct Known {
    place: Place,
    /// The number of the directory that it is in.
    above: u64,
    /// How many times the system has been told of it.
    lookups: u64,
    /// The names that the system has been told of a file since it was last asked to forget it, each with the number of the directory.
    names: Vec<(u64, Box<[u8]>)>,
}

impl Known {
    fn is_file(&self) -> bool {
        matches!(self.place, Place::Stored(Stored { subtree: None, .. }))
    }
}

/// Numbers and what they stand for.
pub(crate) struct Inodes {
    known: Mutex<HashMap<u64, Known>>,
    /// With a key of this process's own, so that no repository can choose names whose numbers are the same.
    hasher: RandomState,
}

impl Inodes {
    pub(crate) fn new() -> Self {
        let top = Known {
            place: Place::Item(Item::Folder(Folder::Top)),
            above: TOP,
            lookups: 1,
            names: Vec::new(),
        };
        Self {
            known: Mutex::new(HashMap::from([(TOP, top)])),
            hasher: RandomState::new(),
        }
    }

    /// The number of what has that name in the directory `above`: always the same, and for all names of one file of a snapshot.
    pub(crate) fn number(&self, above: u64, name: &[u8], item: &Item) -> u64 {
        let number = match item {
            Item::Node { node, snapshot } if let Some(file) = LinkedFile::of(node) => {
                self.hash((snapshot, file))
            }
            // Whatever gets that name later is another, and so is all that the system remembers of what lies in it.
            Item::Node {
                node,
                snapshot: None,
            } => self.hash((above, name, node.subtree)),
            _ => self.hash((above, name)),
        };
        // 0 means nothing, and 1 the top.
        number.max(TOP + 1)
    }

    fn hash(&self, of: impl Hash) -> u64 {
        self.hasher.hash_one(of)
    }

    /// What a number stands for, and the number of the directory that it is in.
    pub(crate) fn get(&self, number: u64) -> Option<(Place, u64)> {
        let known = lock(&self.known);
        known
            .get(&number)
            .map(|known| (known.place.clone(), known.above))
    }

    /// The system is told that it has that name in the directory `above`.
    pub(crate) fn remember(&self, number: u64, above: u64, name: &[u8], place: Place) {
        let mut known = lock(&self.known);
        let known = known.entry(number).or_insert_with(|| Known {
            place: place.clone(),
            above,
            lookups: 0,
            names: Vec::new(),
        });
        known.place = place;
        known.above = above;
        known.lookups += 1;
        let is_last = |last: &(u64, Box<[u8]>)| last.0 == above && *last.1 == *name;
        if known.is_file() && !known.names.last().is_some_and(is_last) {
            // Almost all have one name.
            known
                .names
                .reserve_exact(usize::from(known.names.is_empty()));
            known.names.push((above, name.into()));
        }
    }

    /// How many names of files the system has been told since it was last asked to forget them, and how many files there are besides.
    pub(crate) fn files(&self) -> (usize, usize) {
        let known = lock(&self.known);
        let files = known.values().filter(|known| known.is_file());
        files.fold((0, 0), |(names, asked), known| {
            let of_file = known.names.len();
            (names + of_file, asked + usize::from(of_file == 0))
        })
    }

    /// The names of files that the system is to be asked to forget, each with the number of the directory. They count as asked for.
    pub(crate) fn ask_for_files(&self) -> Vec<(u64, Box<[u8]>)> {
        let mut known = lock(&self.known);
        let files = known.values_mut();
        files
            .flat_map(|known| std::mem::take(&mut known.names))
            .collect()
    }

    /// The system forgets that it was told of it so many times.
    pub(crate) fn forget(&self, number: u64, lookups: u64) {
        let mut known = lock(&self.known);
        if number == TOP {
            return;
        }
        if let Some(found) = known.get_mut(&number) {
            found.lookups = found.lookups.saturating_sub(lookups);
            if found.lookups == 0 {
                known.remove(&number);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use copal_repository::format::tree::NodeKind;

    use super::*;

    fn file(inode: u64, links: u64, snapshot: u64) -> Item {
        let node = Node {
            inode,
            links,
            ..Node::new("f", NodeKind::File)
        };
        Item::Node {
            node: Arc::new(node),
            snapshot: Some(snapshot),
        }
    }

    #[test]
    fn names_of_one_file_have_one_number_within_a_snapshot() {
        let inodes = Inodes::new();
        let number = |name: &[u8], item| inodes.number(5, name, &item);
        assert_eq!(number(b"a", file(7, 2, 9)), number(b"b", file(7, 2, 9)));
        assert_ne!(number(b"a", file(7, 2, 9)), number(b"a", file(7, 2, 8)));
        assert_ne!(number(b"a", file(7, 1, 9)), number(b"b", file(7, 1, 9)));
        assert_eq!(number(b"a", file(7, 1, 9)), number(b"a", file(7, 1, 9)));
    }

    #[test]
    fn another_snapshot_of_the_same_name_has_another_number() {
        let snapshot = |tree| Item::Node {
            node: Arc::new(Node {
                subtree: Some(TreeId([tree; 32])),
                ..Node::new("", NodeKind::Directory)
            }),
            snapshot: None,
        };
        let inodes = Inodes::new();
        let number = |tree| inodes.number(5, b"2026-01-01", &snapshot(tree));
        assert_eq!(number(1), number(1));
        assert_ne!(number(1), number(2));
    }

    #[test]
    fn what_the_system_forgets_is_forgotten_and_the_top_never() {
        let inodes = Inodes::new();
        let tell = |above, name: &[u8], subtree| {
            let stored = Stored {
                tree: TreeId([1; 32]),
                at: 0,
                subtree,
                snapshot: 1,
            };
            inodes.remember(7, above, name, Place::Stored(stored));
        };
        for (above, name) in [(5, b"f"), (5, b"f"), (6, b"f"), (6, b"g")] {
            tell(above, name, None);
        }
        inodes.forget(7, 1);
        assert!(inodes.get(7).is_some());
        assert_eq!(inodes.files(), (3, 0));
        let asked = inodes.ask_for_files();
        assert_eq!(
            asked,
            [(5, b"f"), (6, b"f"), (6, b"g")].map(|(above, name)| (above, Box::from(&name[..])))
        );
        assert_eq!(inodes.files(), (0, 1));
        // The system is told of it again before it has forgotten it.
        tell(6, b"g", None);
        assert_eq!(inodes.files(), (1, 0));
        inodes.forget(7, 4);
        assert!(inodes.get(7).is_none());
        assert_eq!(inodes.files(), (0, 0));
        tell(5, b"d", Some(TreeId([2; 32])));
        assert!(inodes.get(7).is_some());
        assert_eq!(inodes.files(), (0, 0));
        inodes.forget(TOP, 100);
        assert!(inodes.get(TOP).is_some());
    }
}
