//! Walks the tree that is restored, and makes all that has no content.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::io::Errno;

use super::batch::{Batch, First, Link};
use super::decide::{Decided, Entry};
use super::file::PendingFile;
use super::level::Level;
use super::target::{existing_directory, make_directory, move_aside, move_back};
use super::{Job, exact, special};
use crate::error::Error;
use crate::format::tree::{Node, NodeKind};
use crate::id::TreeId;
use crate::linked::LinkedFile;
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
    /// The first name of every file that has more, by file system, inode and content, and how many more. What the snapshot takes for one file and
    /// gives different contents was changed meanwhile, or is a lie.
    links: HashMap<LinkedFile, (Arc<First>, u64)>,
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
            } else {
                self.leave();
            }
            if self.batch.is_full() {
                std::mem::take(&mut self.batch).run(self.job)?;
            }
        }
        std::mem::take(&mut self.batch).run(self.job)
    }

    /// Ends with how it went. If that was early, the directories that were begun get their metadata all the same.
    pub(super) fn end(mut self, result: Result<(), Error>) -> Result<(), Error> {
        while !self.levels.is_empty() {
            self.leave();
        }
        self.batch.end(self.job, result)
    }

    /// Nothing more goes into the innermost directory.
    fn leave(&mut self) {
        if let Some(finished) = self.levels.pop().and_then(Level::finish) {
            self.batch.push_directory(finished);
        }
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
        let Some(mut decided) = decided else {
            return Ok(());
        };
        self.announce(&decided.entries);
        if let Some(level) = self.levels.last_mut() {
            level.take_up_parts(&decided, self.job);
            if self.job.options.exact {
                exact::find_others(self.job, &mut self.pass, level, &mut decided)?;
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
                    match parent {
                        Ok(parent) => place_directory(self.job, parent.as_fd(), level),
                        Err(message) => Err(message),
                    }
                }
                None => Err("it is gone".to_owned()),
            };
            match made {
                Ok((fd, made, aside)) => {
                    (level.fd, level.made) = (Some(fd), made);
                    if let (Some(above), Some(aside)) = (above.last_mut(), aside) {
                        above.asides.push(aside);
                    }
                }
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
        let (chosen, displaces) = (entry.chosen, entry.displaces);
        let source = join(&level.source, &entry.node.name);
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
            NodeKind::Directory => {
                return self.directory(node, source, path.into(), (chosen, displaces));
            }
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
            NodeKind::File => {
                let filtered = filter.then_some((source, original));
                self.file(node, filtered, part, displaces);
            }
            _ => {
                if let Some(level) = self.levels.last() {
                    special::restore(self.job, level, &node, displaces, &mut self.applier);
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
        (chosen, displaces): (bool, bool),
    ) -> Result<(), Error> {
        let above = self.levels.last().and_then(|level| level.fd.as_ref());
        let above = above.filter(|_| !displaces);
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
        level.displaces = displaces;
        self.enter(tree, level, chosen)
    }

    fn file(
        &mut self,
        node: Node,
        filtered: Option<(Vec<u8>, Node)>,
        part: Option<String>,
        displaces: bool,
    ) {
        let Some(level) = self.levels.last() else {
            return;
        };
        let mut file = match filtered {
            Some((source, original)) => PendingFile::filtered(&level.path, node, source, original),
            None => PendingFile::new(&level.path, node),
        };
        (file.may_exist, file.displaces, file.left_over) = (!level.made, displaces, part);
        let Some(key) = LinkedFile::of(&file.node).filter(|_| !file.is_filtered()) else {
            return self.batch.push(file);
        };
        match self.links.entry(key) {
            Slot::Occupied(mut slot) => {
                let (first, more) = slot.get_mut();
                let first = Arc::clone(first);
                *more -= 1;
                if *more == 0 {
                    slot.remove();
                }
                self.batch.push_link(Link { first, file });
            }
            Slot::Vacant(slot) => {
                slot.insert((Arc::new(First::of(&file)), file.node.links - 1));
                self.batch.push(file);
            }
        }
    }
}

/// Makes the directory, and opens it. What has to give way to it goes aside, under a name that is given too.
fn place_directory(
    job: &Job<'_>,
    parent: BorrowedFd<'_>,
    level: &Level,
) -> Result<(OwnedFd, bool, Option<String>), String> {
    let aside = level.displaces.then(|| job.target.temporary_name());
    if let Some(aside) = &aside {
        move_aside(parent, &level.name, aside)?;
    }
    match make_directory(parent, &level.name) {
        Ok((fd, made)) => {
            if aside.is_some() {
                job.summary(|summary| summary.removed.add(&level.path));
            }
            Ok((fd, made, aside))
        }
        Err(message) => {
            if let Some(aside) = aside {
                move_back(parent, &aside, &level.name);
            }
            Err(message)
        }
    }
}
