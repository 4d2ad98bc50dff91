//! Which names of a snapshot are names of one file.

use crate::format::tree::{Node, NodeKind};
use crate::id::BlobId;

/// The same for all names of one file of a snapshot: where it lay, and what it holds. Names that are said to be of one file and differ in what they
/// hold, because it changed between two readings or somebody would have it so, are names of several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LinkedFile {
    device: u64,
    inode: u64,
    content: BlobId,
}

impl LinkedFile {
    /// None for what has one name alone, or is no file.
    pub fn of(node: &Node) -> Option<Self> {
        let linked = node.kind == NodeKind::File && node.links > 1 && node.inode != 0;
        linked.then(|| Self {
            device: node.device_id,
            inode: node.inode,
            content: digest(node),
        })
    }
}

/// The same for the same content.
pub(crate) fn digest(node: &Node) -> BlobId {
    let ids: Vec<_> = node.content.iter().flat_map(|id| id.0).collect();
    BlobId::of(&ids)
}
