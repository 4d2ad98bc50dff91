//! Directory listings that are kept for long.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::error::Error;
use crate::format::tree::Node;
use crate::format::{BlobKind, Malformed};
use crate::id::TreeId;
use crate::kept::kept;
use crate::repository::Repository;

/// A directory's listing as it stands in the repository, in which nodes are found by name. A node is parsed whenever it is asked for: parsed it
/// takes several times the memory, in many small pieces.
#[derive(Debug)]
pub struct Listing {
    tree: TreeId,
    json: Bytes,
    names: Vec<u8>,
    /// By name, no name twice.
    entries: Vec<Entry>,
}

/// Where a node and its name lie.
#[derive(Debug, Clone, Copy)]
struct Entry {
    node: (u32, u32),
    name: (u32, u32),
}

impl Repository {
    /// A directory's listing, to be kept.
    ///
    /// # Errors
    /// Those of [`Repository::load_tree`].
    pub fn load_listing(&self, id: &TreeId) -> Result<Listing, Error> {
        let json = kept(self.load_blob(BlobKind::Tree, &(*id).into())?);
        Listing::new(*id, json).map_err(Error::damaged(format!("tree {id}")))
    }
}

impl Listing {
    fn new(tree: TreeId, json: Bytes) -> Result<Self, Malformed> {
        #[derive(Deserialize)]
        struct Fields<'a> {
            #[serde(borrow)]
            nodes: Option<Vec<&'a RawValue>>,
        }
        let fields: Fields<'_> = serde_json::from_slice(&json)?;
        let nodes = fields.nodes.unwrap_or_default();
        let mut names = Vec::new();
        let mut entries = Vec::with_capacity(nodes.len());
        // Of those of one name the last counts.
        for json_of in nodes.into_iter().rev() {
            let node: Node = serde_json::from_str(json_of.get())?;
            let begin = json_of.get().as_ptr().addr() - json.as_ptr().addr();
            entries.push(Entry {
                node: span(begin, json_of.get().len())?,
                name: span(names.len(), node.name.len())?,
            });
            names.extend_from_slice(&node.name);
        }
        names.shrink_to_fit();
        entries.sort_by_key(|entry| slice(&names, entry.name));
        entries.dedup_by_key(|entry| slice(&names, entry.name));
        entries.shrink_to_fit();
        Ok(Self {
            tree,
            json,
            names,
            entries,
        })
    }

    /// Bytes of memory that it takes.
    pub fn size(&self) -> usize {
        self.json.len() + self.names.len() + self.entries.len() * size_of::<Entry>()
    }

    /// Where the node of that name is among all.
    pub fn find(&self, name: &[u8]) -> Option<usize> {
        let entries = &self.entries;
        let found = entries.binary_search_by_key(&name, |entry| self.name(entry));
        found.ok()
    }

    /// The node that is there among all.
    ///
    /// # Errors
    /// Never in practice: all nodes were parsed before.
    pub fn node(&self, at: usize) -> Result<Option<Node>, Error> {
        self.nodes(at).next().transpose()
    }

    /// The nodes by name, without the `first` of them.
    ///
    /// # Errors
    /// Never in practice: all nodes were parsed before.
    pub fn nodes(&self, first: usize) -> impl Iterator<Item = Result<Node, Error>> {
        let entries = self.entries.iter().skip(first);
        entries.map(|entry| self.parse(entry))
    }

    fn name(&self, entry: &Entry) -> &[u8] {
        slice(&self.names, entry.name)
    }

    fn parse(&self, entry: &Entry) -> Result<Node, Error> {
        let parsed = serde_json::from_slice(slice(&self.json, entry.node));
        parsed
            .map_err(|error| Error::damaged(format!("tree {}", self.tree))(Malformed::from(error)))
    }
}

/// A blob has fewer than 2^32 bytes.
fn span(begin: usize, length: usize) -> Result<(u32, u32), Malformed> {
    let number = |number| u32::try_from(number).map_err(|_| Malformed("too long".to_owned()));
    Ok((number(begin)?, number(begin + length)?))
}

fn slice(bytes: &[u8], (begin, end): (u32, u32)) -> &[u8] {
    bytes.get(begin as usize..end as usize).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::format::tree::{NodeKind, Tree};

    fn listing(names: &[Vec<u8>]) -> Listing {
        let node = |(size, name): (usize, &Vec<u8>)| Node {
            size: size as u64,
            ..Node::new(name.clone(), NodeKind::File)
        };
        let nodes = names.iter().enumerate().map(node).collect();
        let json = Tree { nodes }.encode();
        Listing::new(TreeId([0; 32]), json.into()).unwrap()
    }

    proptest! {
        #[test]
        fn every_name_gives_its_last_node_and_no_other_gives_one(
            names in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..3), 0..40),
            other in prop::collection::vec(any::<u8>(), 0..3),
        ) {
            let listing = listing(&names);
            let node = |at| listing.node(at).unwrap().unwrap();
            let size = |name: &[u8]| listing.find(name).map(|at| node(at).size);
            let last = |name: &[u8]| names.iter().rposition(|own| own == name).map(|at| at as u64);
            for name in names.iter().chain([&other]) {
                prop_assert_eq!(size(name), last(name));
            }
            let mut expected = names.clone();
            expected.sort();
            expected.dedup();
            for first in 0..=expected.len() + 1 {
                let nodes: Vec<_> = listing.nodes(first).map(|node| node.unwrap().name).collect();
                prop_assert_eq!(&nodes, expected.get(first..).unwrap_or_default());
            }
        }
    }

    #[test]
    fn a_node_that_can_not_be_parsed_is_found_at_once() {
        let json = br#"{"nodes":[{"name":"a"}]}"#;
        assert!(Listing::new(TreeId([0; 32]), json.as_slice().into()).is_err());
    }
}
