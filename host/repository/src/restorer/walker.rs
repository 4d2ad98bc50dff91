//! Walks the tree that is restored, and makes all that has no content.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::FileType;

use super::Job;
use super::batch::{Batch, First, Link};
use super::exact::remove_others;
use super::file::PendingFile;
use super::target::{make_directory, put_in_place, remove_leftovers};
use crate::error::Error;
use crate::format::tree::{Node, NodeKind};
use crate::id::TreeId;
use crate::metadata::{Applier, Item, create_special};
use crate::pass::{Change, LazyPass, Trouble, Verdict, is_file_name};
use crate::progress::join;
use crate::walk::check_depth;

/// What becomes of the entries of a directory.
struct Decided {
    /// Those that are restored, each with what to alter.
    entries: Vec<(Node, Change)>,
    /// Names of those that are not, so that what the target has in their place stays.
    spared: BTreeSet<Vec<u8>>,
}

/// A directory whose entries are being restored.
struct Level {
    fd: OwnedFd,
    /// Its path in the snapshot.
    source: Vec<u8>,
    /// Its path beneath the target.
    path: Arc<[u8]>,
    /// What it is to have in the end, if anything is known of that.
    metadata: Option<Node>,
    entries: std::vec::IntoIter<(Node, Change)>,
}

/// Holds the directories that lead to where it is, and the files that are yet to be written.
pub(super) struct Walker<'a> {
    job: &'a Job<'a>,
    pass: LazyPass<'a>,
    applier: Applier,
    levels: Vec<Level>,
    batch: Batch,
    /// The first name of every file that has several, by file system and inode.
    links: HashMap<(u64, u64), First>,
}

impl<'a> Walker<'a> {
    pub(super) fn new(job: &'a Job<'a>) -> Self {
        Self {
            pass: LazyPass::new(job.passes),
            applier: Applier::new(),
            levels: Vec::new(),
            batch: Batch::default(),
            links: HashMap::new(),
            job,
        }
    }

    /// Begins with the target as the directory that lists `tree`.
    pub(super) fn enter_root(
        &mut self,
        tree: Option<TreeId>,
        metadata: Option<Node>,
    ) -> Result<(), Error> {
        let fd = self.job.target.open_directory(b"");
        let fd = fd.map_err(|error| Error::io(self.job.target_path, error.into()))?;
        self.enter(tree, fd, Vec::new(), Arc::default(), metadata)
    }

    /// Begins with `node` as the only entry of the target.
    pub(super) fn enter_single(&mut self, node: Node) -> Result<(), Error> {
        let fd = self.job.target.open_directory(b"");
        let fd = fd.map_err(|error| Error::io(self.job.target_path, error.into()))?;
        let decided = self.decide(b"", vec![node])?;
        self.push(fd, Vec::new(), Arc::default(), None, decided.entries);
        Ok(())
    }

    /// Restores what has been entered.
    pub(super) fn run(&mut self) -> Result<(), Error> {
        while let Some(level) = self.levels.last_mut() {
            self.job.check()?;
            if let Some((node, change)) = level.entries.next() {
                self.entry(node, change)?;
            } else if let Some(level) = self.levels.pop()
                && let Some(metadata) = level.metadata
            {
                self.batch.directories.push((level.path, metadata));
            }
            if self.batch.is_full() {
                std::mem::take(&mut self.batch).run(self.job)?;
            }
        }
        std::mem::take(&mut self.batch).run(self.job)
    }

    /// Takes up the entries of a directory that is open for that.
    fn enter(
        &mut self,
        tree: Option<TreeId>,
        fd: OwnedFd,
        source: Vec<u8>,
        path: Arc<[u8]>,
        metadata: Option<Node>,
    ) -> Result<(), Error> {
        if let Err(error) = remove_leftovers(fd.as_fd()) {
            let message = format!("can't remove what an earlier run left unfinished: {error}");
            self.job.inexact(&path, message);
        }
        check_depth(&source, self.levels.len())?;
        let tree = match tree {
            Some(id) => self.job.repository.load_tree(&id).map_err(Trouble::from),
            None => Err(Trouble::Item(
                "the repository has no listing of it".to_owned(),
            )),
        };
        let entries = match tree {
            Ok(tree) => {
                let decided = self.decide(&source, tree.nodes)?;
                if self.job.exact {
                    self.remove_others(fd.as_fd(), &path, &decided);
                }
                decided.entries
            }
            Err(Trouble::End(error)) => return Err(error),
            Err(Trouble::Item(message)) => {
                self.job.item_error(&path, message);
                Vec::new()
            }
        };
        self.job.summary(|summary| summary.directories += 1);
        self.push(fd, source, path, metadata, entries);
        Ok(())
    }

    fn push(
        &mut self,
        fd: OwnedFd,
        source: Vec<u8>,
        path: Arc<[u8]>,
        metadata: Option<Node>,
        entries: Vec<(Node, Change)>,
    ) {
        let (mut files, mut bytes) = (0, 0_u64);
        for (node, _) in entries
            .iter()
            .filter(|(node, _)| node.kind == NodeKind::File)
        {
            files += 1;
            bytes = bytes.saturating_add(node.size);
        }
        self.job.progress.total(files, bytes);
        self.levels.push(Level {
            fd,
            source,
            path,
            metadata,
            entries: entries.into_iter(),
        });
    }

    /// What becomes of `nodes`, all of the directory `source` of the snapshot. No name that it lets through leads anywhere else.
    fn decide(&mut self, source: &[u8], mut nodes: Vec<Node>) -> Result<Decided, Error> {
        nodes.retain(|node| {
            let fit = is_file_name(&node.name);
            if !fit {
                let message = "its name can't stand in a directory: refused";
                self.job.item_error(&join(source, &node.name), message);
            }
            fit
        });
        let verdicts = self.pass.classify(source, &nodes)?;
        let mut names = BTreeSet::new();
        let mut spared = BTreeSet::new();
        let mut entries = Vec::with_capacity(nodes.len());
        for (node, verdict) in nodes.into_iter().zip(verdicts) {
            let change = match verdict {
                Ok(Verdict::Keep) => Change::default(),
                Ok(Verdict::Change(change)) => change,
                Ok(Verdict::Skip) => {
                    self.job.summary(|summary| summary.skipped += 1);
                    spared.insert(node.name);
                    continue;
                }
                Err(message) => {
                    self.job.item_error(&join(source, &node.name), message);
                    spared.insert(node.name);
                    continue;
                }
            };
            let name = change.name.as_ref().unwrap_or(&node.name);
            if !is_file_name(name) {
                let message = format!("can't be renamed to `{}`", name.escape_ascii());
                self.job.item_error(&join(source, &node.name), message);
                spared.insert(node.name);
            } else if !names.insert(name.clone()) {
                let message = "another entry of the directory has the same name";
                self.job.item_error(&join(source, &node.name), message);
            } else {
                entries.push((node, change));
            }
        }
        Ok(Decided { entries, spared })
    }

    /// Removes from an open directory what is neither one of `decided`, of a kind that can be replaced in place, nor spared.
    fn remove_others(&self, fd: BorrowedFd<'_>, path: &[u8], decided: &Decided) {
        let entries = decided.entries.iter().map(|(node, change)| {
            let name = change.name.as_ref().unwrap_or(&node.name);
            (name.as_slice(), node.kind == NodeKind::Directory)
        });
        let directories: HashMap<_, _> = entries.collect();
        let stays = |name: &[u8], kind| {
            let same = directories
                .get(name)
                .is_some_and(|&directory| directory == (kind == FileType::Directory));
            same || kind == FileType::Socket || decided.spared.contains(name)
        };
        match remove_others(fd, stays) {
            Ok(removed) => {
                self.job.summary(|summary| summary.removed += removed.count);
                for (name, error) in removed.failed {
                    let message = format!("is not in the snapshot and can't be removed: {error}");
                    self.job.inexact(&join(path, &name), message);
                }
            }
            Err(error) => {
                let message =
                    format!("can't list it to remove what is not in the snapshot: {error}");
                self.job.inexact(path, message);
            }
        }
    }

    fn entry(&mut self, original: Node, change: Change) -> Result<(), Error> {
        let Some(level) = self.levels.last() else {
            return Ok(());
        };
        let filter = change.filter;
        let source = join(&level.source, &original.name);
        let mut node = original;
        let original = filter.then(|| node.clone());
        change.apply(&mut node);
        match node.kind {
            NodeKind::Directory => {
                let path: Arc<[u8]> = join(&level.path, &node.name).into();
                match make_directory(level.fd.as_fd(), &node.name) {
                    Ok(fd) => self.enter(node.subtree, fd, source, path, Some(node))?,
                    Err(message) => {
                        let message = format!("{message}; nothing beneath it is restored");
                        self.job.item_error(&path, message);
                    }
                }
            }
            NodeKind::File => {
                if let Some(original) = original {
                    let file = PendingFile::filtered(&level.path, node, source, original);
                    self.batch.push(file);
                    return Ok(());
                }
                let path = Arc::clone(&level.path);
                let file = if node.links > 1 && node.inode != 0 {
                    match self.links.entry((node.device_id, node.inode)) {
                        Entry::Occupied(first) => {
                            let first = first.get().clone();
                            self.batch.links.push(Link { first, path, node });
                            return Ok(());
                        }
                        Entry::Vacant(slot) => {
                            let name = node.name.clone();
                            let file = PendingFile::new(&path, node);
                            let in_place = file.in_place();
                            slot.insert(First {
                                path,
                                name,
                                in_place,
                            });
                            file
                        }
                    }
                } else {
                    PendingFile::new(&path, node)
                };
                self.batch.push(file);
            }
            // It means nothing without the process that made it.
            NodeKind::Socket => {}
            NodeKind::Irregular => {
                let path = join(&level.path, &node.name);
                let message = match node.error.as_str() {
                    "" => "this system has nothing of its kind",
                    error => error,
                };
                self.job.item_error(&path, message);
            }
            NodeKind::Symlink
            | NodeKind::Fifo
            | NodeKind::BlockDevice
            | NodeKind::CharacterDevice => self.special(&node),
        }
        Ok(())
    }

    fn special(&mut self, node: &Node) {
        let Some(level) = self.levels.last() else {
            return;
        };
        let directory = level.fd.as_fd();
        let path = join(&level.path, &node.name);
        let temporary = self.job.target.temporary_name();
        if let Err(error) = create_special(directory, temporary.as_bytes(), node) {
            let message = format!("can't make the {}: {error}", node.kind.as_str());
            return self.job.item_error(&path, message);
        }
        let item = Item::At(directory, temporary.as_bytes());
        for problem in self.applier.apply(node, item) {
            self.job.inexact(&path, problem);
        }
        match put_in_place(directory, &temporary, &node.name) {
            Ok(()) => self.job.summary(|summary| summary.others += 1),
            Err(message) => self.job.item_error(&path, message),
        }
    }
}
