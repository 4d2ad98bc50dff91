//! Walks the tree that is restored, and makes all that has no content.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::io::Errno;

use super::batch::{Batch, First, Link};
use super::decide::{Decided, Entry};
use super::file::PendingFile;
use super::level::Level;
use super::target::{existing_directory, make_directory};
use super::{Job, exact, special};
use crate::error::Error;
use crate::format::tree::{Node, NodeKind};
use crate::id::TreeId;
use crate::metadata::Applier;
use crate::pass::{LazyPass, Trouble};
use crate::progress::join;
use crate::walk::check_depth;

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

    /// Begins with the target, which was `made` just now or was there, as the directory that lists `tree`.
    pub(super) fn enter_root(
        &mut self,
        tree: Option<TreeId>,
        node: Option<Node>,
        made: bool,
    ) -> Result<(), Error> {
        let fd = self.root()?;
        let chosen = self.job.options.has(b"");
        let mut level = Level::new(fd, node, chosen, self.job);
        level.made = made;
        self.enter(tree, level, chosen)
    }

    /// Begins with `node` as the only entry of the target.
    pub(super) fn enter_single(&mut self, node: Node) -> Result<(), Error> {
        let fd = self.root()?;
        let decided = Decided::of(vec![node], b"", self.job, &mut self.pass)?;
        self.announce(&decided.entries);
        let mut level = Level::new(fd, None, true, self.job);
        level.entries = decided.entries.into_iter();
        self.levels.push(level);
        Ok(())
    }

    fn root(&self) -> Result<Option<OwnedFd>, Error> {
        match self.job.target.open_directory(b"") {
            Err(Errno::NOENT) if self.job.options.dry_run => Ok(None),
            fd => fd
                .map(Some)
                .map_err(|error| Error::io(self.job.target_path, error.into())),
        }
    }

    /// Restores what has been entered.
    pub(super) fn run(&mut self) -> Result<(), Error> {
        while let Some(level) = self.levels.last_mut() {
            self.job.check()?;
            if let Some(entry) = level.entries.next() {
                self.entry(entry)?;
            } else if let Some(level) = self.levels.pop() {
                let path = Arc::clone(&level.path);
                let finish = level.finish().filter(|_| !self.job.options.dry_run);
                self.batch
                    .directories
                    .extend(finish.map(|finish| (path, finish)));
            }
            if self.batch.is_full() {
                std::mem::take(&mut self.batch).run(self.job)?;
            }
        }
        std::mem::take(&mut self.batch).run(self.job)
    }

    /// Takes up the entries of a directory.
    fn enter(&mut self, tree: Option<TreeId>, level: Level, chosen: bool) -> Result<(), Error> {
        check_depth(&level.source, self.levels.len())?;
        let tree = match tree {
            Some(id) => self.job.repository.load_tree(&id).map_err(Trouble::from),
            None => Err(Trouble::Item(
                "the repository has no listing of it".to_owned(),
            )),
        };
        let (source, path) = (level.source.clone(), Arc::clone(&level.path));
        let decided = match tree {
            Ok(tree) => {
                let job = self.job;
                Some(Decided::of(tree.nodes, &source, job, &mut self.pass)?)
            }
            Err(Trouble::End(error)) => return Err(error),
            Err(Trouble::Item(message)) => {
                self.job.item_error(&path, message);
                None
            }
        };
        self.levels.push(level);
        if chosen && !self.make() {
            return Ok(());
        }
        if chosen {
            self.job.summary(|summary| summary.directories += 1);
        }
        let Some(decided) = decided else {
            return Ok(());
        };
        self.announce(&decided.entries);
        if let Some(level) = self.levels.last_mut() {
            level.take_up_parts(&decided, self.job);
            if self.job.options.exact {
                exact::remove_others(self.job, level, &decided);
            }
            level.entries = decided.entries.into_iter();
        }
        Ok(())
    }

    fn announce(&self, entries: &[Entry]) {
        let files = entries
            .iter()
            .filter(|entry| entry.node.kind == NodeKind::File);
        let (mut count, mut bytes) = (0, 0_u64);
        for entry in files {
            count += 1;
            bytes = bytes.saturating_add(entry.node.size);
        }
        self.job.progress.total(count, bytes);
    }

    /// Makes the directories that lead to where it is, as far as they are not there, and lets their owners write. Where that fails, it is told, and
    /// nothing more is done beneath the one that can't be made.
    fn make(&mut self) -> bool {
        if self.job.options.dry_run {
            return true;
        }
        for index in 0..self.levels.len() {
            let (above, rest) = self.levels.split_at_mut(index);
            let Some(level) = rest.first_mut().filter(|level| level.fd.is_none()) else {
                continue;
            };
            let made = match above.last_mut() {
                Some(above) => {
                    above.open_up();
                    let parent = above
                        .fd
                        .as_ref()
                        .ok_or("there is none to make it in".into());
                    parent.and_then(|parent| make_directory(parent.as_fd(), &level.name))
                }
                None => Err("it is gone".to_owned()),
            };
            match made {
                Ok((fd, made)) => (level.fd, level.made) = (Some(fd), made),
                Err(message) => {
                    let path = Arc::clone(&level.path);
                    let message = format!("{message}; nothing beneath it is restored");
                    self.job.item_error(&path, message);
                    self.levels.truncate(index);
                    return false;
                }
            }
        }
        if let Some(level) = self.levels.last_mut() {
            level.open_up();
        }
        true
    }

    fn entry(&mut self, entry: Entry) -> Result<(), Error> {
        let Some(level) = self.levels.last() else {
            return Ok(());
        };
        let (source, chosen) = (join(&level.source, &entry.node.name), entry.chosen);
        let part = level.part_of(&entry);
        let Entry {
            node: original,
            change,
            ..
        } = entry;
        let filter = change.filter;
        let mut node = original.clone();
        change.apply(&mut node);
        let path = join(&level.path, &node.name);
        match node.kind {
            NodeKind::Directory => return self.directory(node, source, path.into(), chosen),
            // It means nothing without the process that made it.
            NodeKind::Socket => return Ok(()),
            NodeKind::Irregular => {
                let message = match node.error.as_str() {
                    "" => "this system has nothing of its kind",
                    error => error,
                };
                self.job.item_error(&path, message);
                return Ok(());
            }
            _ => {}
        }
        if !self.make() {
            return Ok(());
        }
        match node.kind {
            NodeKind::File => self.file(node, filter.then_some((source, original)), part),
            _ => {
                if let Some(level) = self.levels.last() {
                    special::restore(self.job, level, &node, &mut self.applier);
                }
            }
        }
        Ok(())
    }

    fn directory(
        &mut self,
        node: Node,
        source: Vec<u8>,
        path: Arc<[u8]>,
        chosen: bool,
    ) -> Result<(), Error> {
        let above = self.levels.last().and_then(|level| level.fd.as_ref());
        let fd = match above.map(|above| existing_directory(above.as_fd(), &node.name)) {
            None => None,
            Some(Ok(fd)) => fd,
            Some(Err(message)) if chosen => {
                let message = format!("{message}; nothing beneath it is restored");
                self.job.item_error(&path, message);
                return Ok(());
            }
            // Told as soon as something is to be restored there.
            Some(Err(_)) => None,
        };
        let (tree, name) = (node.subtree, node.name.clone());
        let mut level = Level::new(fd, Some(node), chosen, self.job);
        (level.name, level.source, level.path) = (name, source, path);
        self.enter(tree, level, chosen)
    }

    fn file(&mut self, node: Node, filtered: Option<(Vec<u8>, Node)>, part: Option<String>) {
        let Some(level) = self.levels.last() else {
            return;
        };
        let path = Arc::clone(&level.path);
        let may_exist = !level.made;
        if let Some((source, original)) = filtered {
            let mut file = PendingFile::filtered(&path, node, source, original);
            file.may_exist = may_exist;
            return self.batch.push(file);
        }
        let linked = node.links > 1 && node.inode != 0;
        let slot = linked.then(|| self.links.entry((node.device_id, node.inode)));
        if let Some(Slot::Occupied(first)) = &slot {
            let first = first.get().clone();
            self.batch.links.push(Link { first, path, node });
            return;
        }
        let mut file = PendingFile::new(&path, node);
        (file.may_exist, file.left_over) = (may_exist, part);
        if let Some(Slot::Vacant(slot)) = slot {
            slot.insert(First {
                path,
                name: file.node.name.clone(),
                in_place: file.in_place(),
            });
        }
        self.batch.push(file);
    }
}
