//! Entries of snapshots, as `copal ls` and `copal find` show them.

use copal_repository::format::tree::{Node, NodeKind};
use copal_sandbox::name;
use serde::Serialize;

use crate::output;

/// An entry for machines.
#[derive(Serialize)]
pub(super) struct Row<'a> {
    /// Spelled as in the plugins' contract: bytes that are not UTF-8 read `\xNN`, a backslash `\\`.
    path: &'a str,
    kind: &'a str,
    size: u64,
    mode: String,
    uid: u32,
    gid: u32,
    user: &'a str,
    group: &'a str,
    modified: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    link_target: Option<String>,
}

impl<'a> Row<'a> {
    pub(super) fn new(path: &'a str, node: &'a Node) -> Self {
        Self {
            path,
            kind: node.kind.as_str(),
            size: node.size,
            mode: format!("{:04o}", node.mode),
            uid: node.uid,
            gid: node.gid,
            user: &node.user,
            group: &node.group,
            modified: node.modified.to_string(),
            link_target: (node.kind == NodeKind::Symlink).then(|| name::escape(&node.link_target)),
        }
    }
}

/// A directory of a snapshot in a message; its top has no name.
pub(super) fn place(path: &str) -> &str {
    match path.trim_end_matches('/') {
        "" => "/",
        path => path,
    }
}

/// An entry on a line for people; with `long` all that there is to know of it.
pub(super) fn line(path: &str, node: &Node, long: bool) -> String {
    let path = output::printable(path);
    if !long {
        return path;
    }
    let (kind, owner) = (node.kind.as_str(), format!("{}:{}", node.uid, node.gid));
    format!(
        "{kind:8} {:04o} {owner:>11} {:>12} {} {path}",
        node.mode, node.size, node.modified
    )
}
