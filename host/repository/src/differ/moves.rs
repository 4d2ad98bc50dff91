//! Finds files that moved among those that only one of two snapshots has at their path.

use std::hash::{BuildHasher as _, RandomState};
use std::iter::Peekable;
use std::vec::IntoIter;

use crate::format::tree::Node;
use crate::linked::digest;

/// A file at whose path the other snapshot has nothing.
#[derive(Debug, Clone, Copy)]
struct Lone {
    /// The beginning of its content's digest, which is as good as all of it where nobody gains by a likeness.
    content: [u8; 16],
    /// A hash of its name.
    name: u64,
    /// How many of its snapshot came before it.
    number: u64,
}

/// Files that only one snapshot has, as they are met.
#[derive(Default)]
pub(super) struct Unpaired {
    removed: Vec<Lone>,
    added: Vec<Lone>,
    from: Paths,
    hasher: RandomState,
}

/// The paths of removed files, by their numbers.
#[derive(Default)]
struct Paths {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Paths {
    fn push(&mut self, path: &[u8]) {
        self.bytes.extend_from_slice(path);
        self.ends.push(self.bytes.len());
    }

    fn get(&self, number: u64) -> &[u8] {
        let number = usize::try_from(number).unwrap_or(usize::MAX);
        let end = self.ends.get(number).copied().unwrap_or_default();
        let before = number.checked_sub(1);
        let begin = before.and_then(|before| self.ends.get(before)).copied();
        self.bytes
            .get(begin.unwrap_or_default()..end)
            .unwrap_or_default()
    }
}

impl Unpaired {
    /// A file that the second snapshot does not have at that path.
    pub(super) fn removed(&mut self, path: &[u8], node: &Node) {
        let lone = self.lone(node, self.removed.len());
        self.removed.push(lone);
        self.from.push(path);
    }

    /// A file that the first snapshot does not have at that path.
    pub(super) fn added(&mut self, node: &Node) {
        let lone = self.lone(node, self.added.len());
        self.added.push(lone);
    }

    fn lone(&self, node: &Node, number: usize) -> Lone {
        let digest = digest(node);
        Lone {
            content: digest.0.first_chunk().copied().unwrap_or_default(),
            name: self.hasher.hash_one(&node.name),
            number: number as u64,
        }
    }

    /// Makes one of every file that was removed here and added there: of the same name where there is one, else of any.
    pub(super) fn pair(mut self) -> Moves {
        let mut pairs = Vec::new();
        self.pair_by(&mut pairs, |lone| (lone.content, Some(lone.name)));
        self.pair_by(&mut pairs, |lone| (lone.content, None::<u64>));
        let mut gone: Vec<_> = pairs.iter().map(|(removed, _)| *removed).collect();
        gone.sort_unstable();
        pairs.sort_unstable_by_key(|(_, added)| *added);
        Moves {
            from: self.from,
            gone: gone.into_iter().peekable(),
            pairs: pairs.into_iter().peekable(),
            removed: 0,
            added: 0,
        }
    }

    /// Pairs those of the same key, the first with the first.
    fn pair_by<K: Ord>(&mut self, pairs: &mut Vec<(u64, u64)>, key: impl Fn(&Lone) -> K) {
        for lone in [&mut self.removed, &mut self.added] {
            lone.sort_unstable_by_key(|lone| (key(lone), lone.number));
        }
        let mut added = std::mem::take(&mut self.added).into_iter().peekable();
        self.removed.retain(|removed| {
            let at = key(removed);
            while let Some(lone) = added.next_if(|lone| key(lone) < at) {
                self.added.push(lone);
            }
            let pair = added.next_if(|lone| key(lone) == at);
            pairs.extend(pair.map(|added| (removed.number, added.number)));
            pair.is_none()
        });
        self.added.extend(added);
    }
}

/// Which files moved. It is asked for each file in the order in which they were met.
pub(super) struct Moves {
    from: Paths,
    /// The removed files that moved, in their order.
    gone: Peekable<IntoIter<u64>>,
    /// The removed and the added file of each, in the order of the added.
    pairs: Peekable<IntoIter<(u64, u64)>>,
    /// How many it was asked for.
    removed: u64,
    added: u64,
}

impl Moves {
    /// How many it was not asked for yet.
    pub(super) fn left(&self) -> u64 {
        self.pairs.len() as u64
    }

    /// Whether the next of the removed files is one that moved.
    pub(super) fn is_gone(&mut self) -> bool {
        let number = self.removed;
        self.removed += 1;
        self.gone.next_if_eq(&number).is_some()
    }

    /// Where the next of the added files was before, if it moved.
    pub(super) fn from(&mut self) -> Option<&[u8]> {
        let number = self.added;
        self.added += 1;
        let (removed, _) = self.pairs.next_if(|(_, added)| *added == number)?;
        Some(self.from.get(removed))
    }
}
