//! Directories whose entries are under way.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::job::Job;
use crate::error::Error;
use crate::format::tree::{Node, NodeKind, Tree};
use crate::id::TreeId;
use crate::pass::Change;
use crate::progress::{display, join};
use crate::repository::lock;

/// An entry that goes into the snapshot.
pub(super) struct Entry {
    /// As it lies in the file system, name and all.
    pub(super) node: Node,
    /// What to alter of it.
    pub(super) change: Change,
    /// The entry of the parent snapshot that has the name it will have.
    pub(super) previous: Option<Box<Node>>,
    /// What stands there where the members of a file that goes through a filter are listed.
    pub(super) previous_view: Option<Box<Node>>,
}

impl Entry {
    pub(super) fn new(node: Node, change: Change) -> Self {
        Self {
            node,
            change,
            previous: None,
            previous_view: None,
        }
    }

    /// Its name in the snapshot.
    pub(super) fn name(&self) -> &[u8] {
        self.change.name.as_ref().unwrap_or(&self.node.name)
    }
}

enum Slot {
    Waiting(Box<Entry>),
    UnderWay,
    Done(Box<Node>),
    LeftOut,
}

/// A directory whose entries are being done. When the last is, its tree is stored and it is done itself.
pub(super) struct Directory {
    /// Open for reading.
    pub(super) fd: OwnedFd,
    /// Relative to the root.
    pub(super) path: Vec<u8>,
    node: Mutex<Option<Node>>,
    slots: Mutex<Vec<Slot>>,
    /// Listings of files' members, to lie beside those.
    views: Mutex<Vec<Node>>,
    open: AtomicUsize,
    previous: Option<TreeId>,
    /// Whether its path in the snapshot is another.
    renamed: bool,
    place: Place,
}

/// Where a finished node goes.
#[derive(Clone)]
pub(super) enum Place {
    /// Among the entries of a directory.
    In(Arc<Directory>, usize),
    /// It is the root, and this is what comes of it.
    Root(Arc<Mutex<Root>>),
}

/// What comes of a root.
#[derive(Default)]
pub(super) struct Root {
    /// The root itself, if it was not left out.
    pub(super) node: Option<Node>,
    /// The listing of its members, if it is a file that has some.
    pub(super) view: Option<Node>,
}

impl Directory {
    /// Lets the workers loose on `entries`, which are sorted by the names that they will have.
    #[expect(clippy::vec_box, reason = "of a million entries none is moved")]
    pub(super) fn begin(
        job: &Job<'_>,
        fd: OwnedFd,
        path: Vec<u8>,
        node: Node,
        entries: Vec<Box<Entry>>,
        previous: Option<TreeId>,
        place: Place,
    ) -> Result<(), Error> {
        let count = entries.len();
        let slots = entries.into_iter().map(Slot::Waiting).collect();
        let renamed = match &place {
            Place::In(parent, _) => parent.renamed || path != parent.path_of(&node.name),
            Place::Root(_) => false,
        };
        let directory = Arc::new(Self {
            fd,
            path,
            node: Mutex::new(Some(node)),
            slots: Mutex::new(slots),
            views: Mutex::default(),
            open: AtomicUsize::new(count),
            previous,
            renamed,
            place,
        });
        if count > 0 {
            job.queue.push(directory, count);
            return Ok(());
        }
        let (place, node) = directory.finish(job)?;
        place.complete(job, node)
    }

    /// The entry, the first time that it is asked for.
    pub(super) fn take(&self, index: usize) -> Option<Box<Entry>> {
        let mut slots = lock(&self.slots);
        match std::mem::replace(slots.get_mut(index)?, Slot::UnderWay) {
            Slot::Waiting(entry) => Some(entry),
            _ => None,
        }
    }

    /// The path of an entry of that name in the file system.
    pub(super) fn path_of(&self, name: &[u8]) -> Vec<u8> {
        join(&self.path, name)
    }

    /// Puts an entry in its slot; true if it was the last.
    fn settle(&self, index: usize, node: Option<Node>) -> bool {
        let mut slots = lock(&self.slots);
        if let Some(slot) = slots.get_mut(index) {
            *slot = node.map_or(Slot::LeftOut, |node| Slot::Done(Box::new(node)));
        }
        self.open.fetch_sub(1, Ordering::AcqRel) == 1
    }

    /// Stores the tree: where the directory's own node goes, and the node.
    fn finish(&self, job: &Job<'_>) -> Result<(Place, Option<Node>), Error> {
        let slots = std::mem::take(&mut *lock(&self.slots));
        let mut nodes = slots
            .into_iter()
            .filter_map(|slot| match slot {
                Slot::Done(node) => Some(Ok(node)),
                Slot::LeftOut => None,
                Slot::Waiting(_) | Slot::UnderWay => Some(Err(Error::corrupt(
                    format!("the listing of `{}`", display(&self.path)),
                    "an entry of it was never done",
                ))),
            })
            .collect::<Result<Vec<_>, _>>()?;
        let mut views = std::mem::take(&mut *lock(&self.views));
        views.retain(|view| {
            let free = nodes
                .binary_search_by(|node| node.name.cmp(&view.name))
                .is_err();
            if !free {
                job.inexact(&self.path_of(&view.name), VIEW_TAKEN);
            }
            free
        });
        if !views.is_empty() {
            nodes.extend(views.into_iter().map(Box::new));
            nodes.sort_by(|a, b| a.name.cmp(&b.name));
        }
        // Of a million nodes both forms are large, so they are not held for longer than they must be.
        let json = Tree::encode_nodes(nodes.iter().map(|node| &**node));
        drop(nodes);
        let id = job.store_listing(&json)?;
        job.summary(|summary| match self.previous {
            None => summary.directories_new += 1,
            Some(previous) if previous == id => summary.directories_unmodified += 1,
            Some(_) => summary.directories_changed += 1,
        });
        let node = lock(&self.node).take();
        let node = node.map(|node| Node {
            kind: NodeKind::Directory,
            subtree: Some(id),
            ..node
        });
        Ok((self.place.clone(), node))
    }
}

/// What is told of the listing of a file's members that could not be put beside it.
pub(super) const VIEW_TAKEN: &str =
    "the members of the archive are not listed here: the name is another entry's";

impl Place {
    /// The path of what goes here under that name.
    pub(super) fn path_of(&self, name: &[u8]) -> Vec<u8> {
        match self {
            Self::In(directory, _) => directory.path_of(name),
            Self::Root(_) => Vec::new(),
        }
    }

    /// Whether the directory that this is in has another path in the snapshot.
    pub(super) fn is_renamed(&self) -> bool {
        match self {
            Self::In(directory, _) => directory.renamed,
            Self::Root(_) => false,
        }
    }

    /// Puts the listing of its members beside what will go here.
    pub(super) fn put_beside(&self, view: Node) {
        match self {
            Self::In(directory, _) => lock(&directory.views).push(view),
            Self::Root(root) => lock(root).view = Some(view),
        }
    }

    /// Puts `node` where it belongs, or leaves the place empty, and finishes all directories that this makes complete.
    pub(super) fn complete(self, job: &Job<'_>, node: Option<Node>) -> Result<(), Error> {
        let (mut place, mut node) = (self, node);
        loop {
            match place {
                Self::Root(root) => {
                    lock(&root).node = node;
                    return Ok(());
                }
                Self::In(directory, index) => {
                    if !directory.settle(index, node) {
                        return Ok(());
                    }
                    (place, node) = directory.finish(job)?;
                }
            }
        }
    }
}
