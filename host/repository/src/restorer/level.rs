//! A directory while its entries are being restored.

use std::collections::HashSet;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{Mode, fstat};

use super::Job;
use super::batch::{Finish, Finished};
use super::decide::{Decided, Entry};
use super::exact::Found;
use super::target::{discard, is_unfinished, leftovers, let_owner_write, part_name};
use crate::format::tree::{Node, NodeKind};

/// A directory whose entries are being restored.
#[derive(Default)]
pub(super) struct Level {
    /// None as long as it is not there.
    pub(super) fd: Option<OwnedFd>,
    /// Its name in the directory above.
    pub(super) name: Vec<u8>,
    /// Its path in the snapshot.
    pub(super) source: Vec<u8>,
    /// Its path beneath the target.
    pub(super) path: Arc<[u8]>,
    /// What it is to have in the end, if anything is known of that.
    pub(super) node: Option<Node>,
    /// Whether it gets that even if it was there before.
    mends: bool,
    /// Whether this run made it.
    pub(super) made: bool,
    /// Whether its owner may write into it.
    writable: bool,
    /// The mode that it had before that, if it was another.
    mode: Option<Mode>,
    /// Whether something that is no directory has to give way to it.
    pub(super) displaces: bool,
    /// Temporary names of what gave way to directories in it.
    pub(super) asides: Vec<String>,
    /// What is removed from it in the end.
    pub(super) others: Vec<Found>,
    /// Names under which an earlier run has left parts of files in it.
    parts: HashSet<Vec<u8>>,
    pub(super) entries: std::vec::IntoIter<Entry>,
}

impl Level {
    /// The directory, open if it is there, before anything is known of its entries.
    pub(super) fn new(
        fd: Option<OwnedFd>,
        node: Option<Node>,
        chosen: bool,
        job: &Job<'_>,
    ) -> Self {
        let found = fd.as_ref().and_then(|fd| fstat(fd).ok());
        let allowed =
            |node: &Node| found.is_none_or(|found| job.options.overwrite.allows(node, &found));
        let unfinished = found.is_some_and(|found| is_unfinished(&found));
        Self {
            mends: unfinished || chosen && node.as_ref().is_none_or(allowed),
            fd,
            node,
            ..Self::default()
        }
    }

    /// Lets its owner write into it.
    pub(super) fn open_up(&mut self) {
        if let (false, Some(fd)) = (self.writable, &self.fd) {
            self.mode = let_owner_write(fd.as_fd());
            self.writable = true;
        }
    }

    /// What becomes of it once nothing more goes into it; nothing if it is not there.
    pub(super) fn finish(self) -> Option<Finished> {
        self.fd?;
        Some(Finished {
            finish: match (self.node, self.mode) {
                (Some(node), _) if self.made || self.mends => Some(Finish::Node(Box::new(node))),
                (_, mode) => mode.map(Finish::Mode),
            },
            source: self.source,
            path: self.path,
            asides: self.asides,
            others: self.others,
        })
    }

    /// Finds what a run that was cut off left: parts of files that this one goes on with, and what else is unfinished, which is removed.
    pub(super) fn take_up_parts(&mut self, decided: &Decided, job: &Job<'_>) {
        let Some(fd) = self.fd.as_ref().filter(|_| !job.options.dry_run) else {
            return;
        };
        let found = match leftovers(fd.as_fd()) {
            Ok(found) if found.is_empty() => return,
            Ok(found) => found,
            Err(error) => {
                let message =
                    format!("can't look for what an earlier run left unfinished: {error}");
                return job.inexact(&self.path, message);
            }
        };
        let wanted: HashSet<_> = decided
            .entries
            .iter()
            .filter(|entry| entry.node.kind == NodeKind::File && !entry.change.filter)
            .map(|entry| part_name(&entry.node, entry.name()).into_bytes())
            .collect();
        for name in found {
            if wanted.contains(name.to_bytes()) {
                self.parts.insert(name.into_bytes());
            } else {
                discard(fd.as_fd(), &name);
            }
        }
    }

    /// The name under which an earlier run has left a part of a file, if it has.
    pub(super) fn part_of(&self, entry: &Entry) -> Option<String> {
        if self.parts.is_empty() {
            return None;
        }
        let part = part_name(&entry.node, entry.name());
        Some(part).filter(|part| self.parts.contains(part.as_bytes()))
    }
}
