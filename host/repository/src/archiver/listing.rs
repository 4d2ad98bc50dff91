//! What a directory holds, and what becomes of it.

use std::cmp::Ordering;
use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, Dir, readlinkat, statat};
use rustix::io::Errno;

use super::directory::Entry;
use super::members::view_name;
use super::worker::Worker;
use crate::error::Error;
use crate::format::tree::{Node, NodeKind};
use crate::id::TreeId;
use crate::pass::{Change, Verdict, is_file_name};
use crate::progress::join;

impl Worker<'_> {
    /// The entries of an open directory, without sockets: those mean nothing without the process that made them.
    pub(super) fn list(&mut self, fd: &OwnedFd, path: &[u8]) -> Result<Vec<Node>, Errno> {
        let mut nodes = Vec::new();
        for entry in Dir::read_from(fd)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if matches!(name, b"." | b"..") {
                continue;
            }
            match self.look(fd, name) {
                Ok(node) if node.kind == NodeKind::Socket => {}
                Ok(node) => nodes.push(node),
                Err(error) => {
                    let path = join(path, name);
                    self.job
                        .item_error(&path, format!("can't look at it: {error}"));
                }
            }
        }
        Ok(nodes)
    }

    fn look(&mut self, fd: &OwnedFd, name: &[u8]) -> Result<Node, Errno> {
        let stat = statat(fd, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let mut node = self.reader.node(name, &stat);
        if node.kind == NodeKind::Symlink {
            node.link_target = readlinkat(fd, name, Vec::new())?.into_bytes();
        }
        Ok(node)
    }

    /// What becomes of `nodes`, all of the directory at `path`: those that stay, sorted by the names they will have.
    #[expect(clippy::vec_box, reason = "of a million entries none is moved")]
    pub(super) fn decide(
        &mut self,
        path: &[u8],
        nodes: Vec<Node>,
        previous: Option<&TreeId>,
    ) -> Result<Vec<Box<Entry>>, Error> {
        let verdicts = self.pass.classify(path, &nodes)?;
        let mut entries = Vec::with_capacity(nodes.len());
        for (node, verdict) in nodes.into_iter().zip(verdicts) {
            let change = match verdict {
                Ok(Verdict::Keep) => Change::default(),
                Ok(Verdict::Change(change)) => change,
                Ok(Verdict::Skip) => {
                    self.job.summary(|summary| summary.skipped += 1);
                    continue;
                }
                Err(message) => {
                    let path = join(path, &node.name);
                    self.job.item_error(&path, message);
                    continue;
                }
            };
            let entry = Entry::new(node, change);
            if !is_file_name(entry.name()) {
                let message = format!(
                    "can't be renamed to {:?}",
                    entry.name().escape_ascii().to_string()
                );
                let path = join(path, &entry.node.name);
                self.job.item_error(&path, message);
                continue;
            }
            entries.push(Box::new(entry));
        }
        entries.sort_by(|a, b| a.name().cmp(b.name()));
        entries.dedup_by(|later, earlier| {
            let same = later.name() == earlier.name();
            if same {
                let path = join(path, &later.node.name);
                self.job.item_error(
                    &path,
                    format!(
                        "another entry of the directory is stored under the same name: {}",
                        earlier.node.name.escape_ascii()
                    ),
                );
            }
            same
        });
        self.match_previous(&mut entries, previous);
        let (mut files, mut bytes) = (0, 0);
        for entry in entries
            .iter()
            .filter(|entry| entry.node.kind == NodeKind::File)
        {
            files += 1;
            bytes += entry.node.size;
        }
        self.job.progress.total(files, bytes);
        Ok(entries)
    }

    /// Gives each entry the one of the same name in the parent snapshot's tree, and the listing of its members.
    fn match_previous(&self, entries: &mut [Box<Entry>], tree: Option<&TreeId>) {
        let Some(id) = tree else { return };
        let tree = self.job.parent_tree(id).unwrap_or_default();
        for entry in entries.iter_mut().filter(|entry| entry.change.filter) {
            let name = view_name(entry.name());
            let at = tree.nodes.binary_search_by(|node| node.name.cmp(&name));
            let view = at.ok().and_then(|at| tree.nodes.get(at));
            entry.previous_view = view.cloned().map(Box::new);
        }
        let mut nodes = tree.nodes.into_iter().peekable();
        for entry in entries {
            while nodes
                .next_if(|node| node.name.as_slice().cmp(entry.name()) == Ordering::Less)
                .is_some()
            {}
            entry.previous = nodes
                .next_if(|node| node.name == entry.name())
                .map(Box::new);
        }
    }
}
