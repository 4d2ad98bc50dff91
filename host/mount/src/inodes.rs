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
    /// All but files.
    Item(Item),
    /// A file: all of a snapshot that is no directory. There are many, so only where it stands is kept.
    File {
        tree: TreeId,
        /// Where it is in the listing.
        at: usize,
        name: Box<[u8]>,
        /// The number of the snapshot that it is in.
        snapshot: u64,
    },
}

struct Known {
    place: Place,
    /// The number of the directory that it is in.
    above: u64,
    /// How many times the system has been told of it.
    lookups: u64,
    /// Whether the system has been asked to forget it since. It may take its time.
    asked: bool,
}

impl Known {
    /// Its name, if it is a file.
    fn file(&self) -> Option<&[u8]> {
        match &self.place {
            Place::File { name, .. } => Some(name),
            Place::Item(_) => None,
        }
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
            asked: false,
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

    /// The system is told of it.
    pub(crate) fn remember(&self, number: u64, above: u64, place: Place) {
        let mut known = lock(&self.known);
        let lookups = known.get(&number).map_or(0, |known| known.lookups) + 1;
        // A file may have other names in other directories.
        let told = Known {
            place,
            above,
            lookups,
            asked: false,
        };
        known.insert(number, told);
    }

    /// How many files the system knows, and how many of them it has been asked to forget.
    pub(crate) fn files(&self) -> (usize, usize) {
        let known = lock(&self.known);
        let files = known.values().filter(|known| known.file().is_some());
        files.fold((0, 0), |(files, asked), known| {
            (files + 1, asked + usize::from(known.asked))
        })
    }

    /// All of them, which the system is to be asked to forget: by the number of the directory and the name there; one name of each.
    pub(crate) fn ask_for_files(&self) -> Vec<(u64, Vec<u8>)> {
        let mut known = lock(&self.known);
        let files = known.values_mut().filter_map(|known| {
            let name = known.file()?.to_vec();
            known.asked = true;
            Some((known.above, name))
        });
        files.collect()
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

    fn place(name: &[u8]) -> Place {
        Place::File {
            tree: TreeId([1; 32]),
            at: 0,
            name: name.into(),
            snapshot: 1,
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
        inodes.remember(7, TOP, place(b"f"));
        inodes.remember(7, 5, place(b"g"));
        inodes.forget(7, 1);
        assert!(inodes.get(7).is_some());
        assert_eq!(inodes.files(), (1, 0));
        assert_eq!(inodes.ask_for_files(), [(5, b"g".to_vec())]);
        assert_eq!(inodes.files(), (1, 1));
        // The system is told of it again before it has forgotten it.
        inodes.remember(7, 5, place(b"g"));
        assert_eq!(inodes.files(), (1, 0));
        inodes.forget(7, 2);
        assert!(inodes.get(7).is_none());
        assert_eq!(inodes.files(), (0, 0));
        inodes.forget(TOP, 100);
        assert!(inodes.get(TOP).is_some());
    }
}
