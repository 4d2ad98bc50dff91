//! The top of a snapshot: roots, and the files and folders beside them that Copal makes itself.

use std::collections::BTreeMap;

use rustix::process::{getegid, geteuid};

use crate::error::Error;
use crate::format::Timestamp;
use crate::format::tree::{Node, NodeKind, Tree};
use crate::id::TreeId;
use crate::pass::is_file_name;

/// A folder that is built in memory.
#[derive(Default)]
pub(super) struct Top {
    entries: BTreeMap<Vec<u8>, Item>,
}

enum Item {
    Node(Box<Node>),
    Folder(Top),
}

/// A node for what Copal makes itself: its own, for its eyes only, of now.
pub(super) fn made_node(name: &[u8], kind: NodeKind) -> Node {
    let now = Timestamp::now();
    Node {
        mode: if kind == NodeKind::Directory {
            0o700
        } else {
            0o600
        },
        modified: now,
        accessed: now,
        changed: now,
        uid: geteuid().as_raw(),
        gid: getegid().as_raw(),
        links: u64::from(kind == NodeKind::File),
        ..Node::new(name, kind)
    }
}

impl Top {
    /// Makes sure that `path` can be put: names that can stand in a directory, nothing there yet.
    pub(super) fn reserve(&mut self, path: &str) -> Result<(), Error> {
        let (folder, name) = self.folder(path)?;
        match folder.entries.contains_key(name) {
            false => Ok(()),
            true => Err(unfit(path)),
        }
    }

    /// Puts `node` at `path`, under the last name of it.
    pub(super) fn put(&mut self, path: &str, node: Node) -> Result<(), Error> {
        let (folder, name) = self.folder(path)?;
        let node = Node {
            name: name.to_vec(),
            ..node
        };
        folder
            .entries
            .insert(name.to_vec(), Item::Node(Box::new(node)));
        Ok(())
    }

    /// The folder that `path` lies in, and its last name.
    fn folder<'p>(&mut self, path: &'p str) -> Result<(&mut Self, &'p [u8]), Error> {
        let mut names: Vec<_> = path.split('/').map(str::as_bytes).collect();
        if !names.iter().all(|name| is_file_name(name)) {
            return Err(unfit(path));
        }
        let last = names.pop().unwrap_or_default();
        let mut folder = self;
        for name in names {
            let item = folder.entries.entry(name.to_vec());
            match item.or_insert_with(|| Item::Folder(Self::default())) {
                Item::Folder(inner) => folder = inner,
                Item::Node(_) => return Err(unfit(path)),
            }
        }
        Ok((folder, last))
    }

    /// Hands all trees to `store`, the inner ones first; returns the id of the outermost.
    pub(super) fn store(
        &self,
        store: &mut dyn FnMut(Tree) -> Result<TreeId, Error>,
    ) -> Result<TreeId, Error> {
        let mut nodes = Vec::with_capacity(self.entries.len());
        for (name, item) in &self.entries {
            nodes.push(match item {
                Item::Node(node) => Node::clone(node),
                Item::Folder(folder) => Node {
                    subtree: Some(folder.store(store)?),
                    ..made_node(name, NodeKind::Directory)
                },
            });
        }
        store(Tree { nodes })
    }
}

fn unfit(path: &str) -> Error {
    Error::Unsupported(format!(
        "`{path}` can't be stored: it is not a path of a snapshot, or there is something under that name already"
    ))
}
