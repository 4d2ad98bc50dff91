//! A root inside a snapshot, as a plugin looks at it while it plans a restore.

use copal_repository::format::tree::{Node, NodeKind};
use copal_repository::{Repository, walk};
use copal_sandbox::types::{Entry, Failure, FailureKind};
use copal_sandbox::{Tree, name};

use crate::passes::entry;

const LIST_LIMIT: usize = 100_000;

/// The tree of one root of a snapshot.
pub(crate) struct SnapshotTree {
    repository: Repository,
    name: String,
    root: Node,
}

impl SnapshotTree {
    /// The tree beneath `root`, a directory of the snapshot's top level.
    pub(crate) fn new(repository: Repository, name: String, root: Node) -> Self {
        Self {
            repository,
            name,
            root,
        }
    }

    fn find(&self, path: &str) -> Result<Option<Node>, Failure> {
        if path.is_empty() {
            return Ok(Some(self.root.clone()));
        }
        let raw = name::unescape(path)
            .map_err(|e| Failure::new(FailureKind::Denied, "copal.path.misspelt", e.to_string()))?;
        match &self.root.subtree {
            Some(tree) => walk::find(&self.repository, tree, &raw).map_err(unavailable),
            None => Ok(None),
        }
    }
}

fn unavailable(error: copal_repository::Error) -> Failure {
    Failure::new(
        FailureKind::Unavailable,
        "copal.snapshot.unreadable",
        error.to_string(),
    )
}

fn missing(what: &str, path: &str) -> Failure {
    Failure::new(
        FailureKind::Missing,
        "copal.path.missing",
        format!("the snapshot has no {what} `{path}`"),
    )
}

impl Tree for SnapshotTree {
    fn name(&self) -> &str {
        &self.name
    }

    fn location(&self) -> &str {
        ""
    }

    fn stat(&self, path: &str) -> Result<Option<Entry>, Failure> {
        Ok(self.find(path)?.map(|node| entry(path.to_owned(), &node)))
    }

    fn list(&self, path: &str) -> Result<Vec<Entry>, Failure> {
        let node = self
            .find(path)?
            .filter(|node| node.kind == NodeKind::Directory);
        let node = node.ok_or_else(|| missing("directory", path))?;
        let Some(tree) = &node.subtree else {
            return Ok(Vec::new());
        };
        let tree = self.repository.load_tree(tree).map_err(unavailable)?;
        if tree.nodes.len() > LIST_LIMIT {
            let message = format!(
                "`{path}` has {} entries, and at most {LIST_LIMIT} are listed",
                tree.nodes.len()
            );
            return Err(Failure::new(
                FailureKind::Unavailable,
                "copal.tree.too-many",
                message,
            ));
        }
        let prefix = if path.is_empty() {
            String::new()
        } else {
            format!("{path}/")
        };
        let nodes = tree.nodes.iter();
        Ok(nodes
            .map(|node| entry(format!("{prefix}{}", name::escape(&node.name)), node))
            .collect())
    }

    fn read(&self, path: &str, offset: u64, length: u32) -> Result<Vec<u8>, Failure> {
        let node = self.find(path)?.filter(|node| node.kind == NodeKind::File);
        let node = node.ok_or_else(|| missing("file", path))?;
        walk::read_range(&self.repository, &node, offset, length as usize).map_err(unavailable)
    }
}
