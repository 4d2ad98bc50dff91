//! One thread's part in archiving a tree.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{CWD, Mode, OFlags, fstat, openat};
use rustix::io::Errno;
use rustix::path::Arg;

use super::content::{Sink, unreadable};
use super::directory::{Directory, Entry, Place};
use super::job::Job;
use super::members;
use super::queue::Task;
use crate::error::Error;
use crate::format::Timestamp;
use crate::format::tree::{Node, NodeKind};
use crate::metadata::{Attributes, Item, Reader, kind_of};
use crate::pass::{LazyPass, PUSH, Passes, Trouble};

/// How much is read of a file that says that it is empty. In /proc such files have content, perhaps without end.
const UNANNOUNCED: u64 = 64 << 20;

/// How many seconds apart the time stamps of the coarsest file system are, which is FAT. What is stamped a moment later may bear a time that is
/// so much earlier.
const COARSEST: i64 = 2;

/// What a thread needs for itself.
pub(super) struct Worker<'a> {
    pub(super) job: &'a Job<'a>,
    pub(super) reader: Reader,
    pub(super) pass: LazyPass<'a>,
    buffer: Box<[u8]>,
}

impl<'a> Worker<'a> {
    pub(super) fn new(job: &'a Job<'a>) -> Self {
        Self {
            reader: Reader::new(),
            pass: LazyPass::new(job.passes),
            buffer: vec![0; PUSH].into(),
            job,
        }
    }

    /// Works until nothing is left to do or something ends all.
    pub(super) fn run(&mut self) -> Result<(), Error> {
        while let Some((task, _claim)) = self.job.queue.next() {
            let result = self.job.check().and_then(|()| match task {
                Task::Entry(directory, index) => self.entry(&directory, index),
                Task::Chunk(chunk) => chunk.store(self.job),
            });
            if result.is_err() {
                self.job.queue.stop();
                return result;
            }
        }
        Ok(())
    }

    fn entry(&mut self, directory: &Arc<Directory>, index: usize) -> Result<(), Error> {
        let Some(entry) = directory.take(index) else {
            return Ok(());
        };
        let place = Place::In(Arc::clone(directory), index);
        let path = directory.path_of(&entry.node.name);
        match entry.node.kind {
            NodeKind::File => match self.unchanged(entry, &place)? {
                Ok(node) => place.complete(self.job, Some(node)),
                Err(entry) => match open_file(&directory.fd, &entry.node.name) {
                    Ok(file) => self.file(*entry, file, &path, place),
                    Err(error) => self.leave_out(&path, &format!("can't open it: {error}"), place),
                },
            },
            NodeKind::Directory => match open_directory(&directory.fd, &entry.node.name) {
                Ok(fd) => self.directory(*entry, fd, path, place),
                Err(error) => self.leave_out(&path, &format!("can't open it: {error}"), place),
            },
            _ => {
                let Entry {
                    mut node, change, ..
                } = *entry;
                // Like restic, which reads none of symlinks.
                if node.kind != NodeKind::Symlink {
                    let item = Item::At(directory.fd.as_fd(), &node.name);
                    (node.extended_attributes, _) = self.attributes(&path, item);
                }
                change.apply(&mut node);
                place.complete(self.job, Some(node))
            }
        }
    }

    fn leave_out(&self, path: &[u8], message: &str, place: Place) -> Result<(), Error> {
        self.job.item_error(path, message);
        place.complete(self.job, None)
    }

    /// The extended attributes of `item`, and whether these are all.
    fn attributes(&mut self, path: &[u8], item: Item<'_>) -> (Attributes, bool) {
        let (attributes, problem) = self.reader.extended_attributes(item);
        let all = problem.is_none();
        if let Some(problem) = problem {
            self.job.inexact(path, problem);
        }
        (attributes, all)
    }

    /// The node of a file that is as the parent snapshot knows it, with its content and its extended attributes (a change of
    /// those changes the ctime too); else the entry back.
    fn unchanged(
        &self,
        mut entry: Box<Entry>,
        place: &Place,
    ) -> Result<Result<Node, Box<Entry>>, Error> {
        let Some(previous) = entry.previous.take() else {
            return Ok(Err(entry));
        };
        let unchanged = match entry.change.filter {
            false => is_unchanged(&entry.node, &previous),
            true => self.gives_the_same(&entry, &previous, place),
        };
        let view = entry.previous_view.as_deref();
        let whole = unchanged
            && self.job.knows_content(&previous)?
            && view.map_or(Ok(true), |view| members::is_whole(view, self.job))?;
        if !whole {
            entry.previous = Some(previous);
            return Ok(Err(entry));
        }
        let (entry, previous) = (*entry, *previous);
        let size = entry.node.size;
        let mut node = Node {
            content: previous.content,
            extended_attributes: previous.extended_attributes,
            ..entry.node
        };
        if entry.change.filter {
            node.size = previous.size;
            node.inode = previous.inode;
            node.links = previous.links;
        }
        if let Some(view) = entry.previous_view {
            place.put_beside(*view);
        }
        self.job.summary(|summary| {
            summary.files_unmodified += 1;
            summary.total_bytes_processed += size;
        });
        self.job.progress.advance(1, size);
        entry.change.apply(&mut node);
        Ok(Ok(node))
    }

    /// Whether a filter for the file would return what the parent snapshot holds: the passes do the same as then, they would be told the same of
    /// the file, and it has not changed since.
    fn gives_the_same(&self, entry: &Entry, previous: &Node, place: &Place) -> bool {
        let since = self.job.passes.and_then(Passes::same_since);
        // Whatever changed the file after that gave it a later ctime.
        let changed = &entry.node.changed;
        let settled = (
            changed.seconds.saturating_add(COARSEST),
            changed.nanoseconds,
        );
        if since.is_none_or(|since| settled >= moment(since)) || !shows_source(entry, place) {
            return false;
        }
        let mut node = Node {
            inode: !entry.node.inode,
            ..entry.node.clone()
        };
        entry.change.clone().apply(&mut node);
        about(&node) == about(previous)
    }

    /// Archives an open file.
    pub(super) fn file(
        &mut self,
        entry: Entry,
        mut file: File,
        path: &[u8],
        place: Place,
    ) -> Result<(), Error> {
        let before = match fstat(&file) {
            Ok(stat) if kind_of(&stat) == NodeKind::File => stat,
            Ok(_) => return self.leave_out(path, "is no longer a file", place),
            Err(error) => {
                return self.leave_out(path, &format!("can't look at it: {error}"), place);
            }
        };
        let mut node = self.reader.node(&entry.node.name, &before);
        let (attributes, mut exact) = self.attributes(path, Item::Open(file.as_fd()));
        node.extended_attributes = attributes;
        if !exact {
            // No file has this ctime, so the next backup looks again, and says it again.
            node.changed = Timestamp::ZERO;
        }
        let size = node.size;
        let mut sink = Sink::new(self.job);
        let filtered = entry.change.filter.then_some(&entry.node);
        let most = if size == 0 { UNANNOUNCED } else { size };
        let mut content = (&mut file).take(most);
        let read = match self.read(&mut content, path, filtered, &mut sink) {
            Ok(read) => read,
            Err(Trouble::Item(message)) => return self.leave_out(path, &message, place),
            Err(Trouble::End(error)) => return Err(error),
        };
        let after = fstat(&file).map(|stat| self.reader.node(&[], &stat));
        let changed =
            after.is_ok_and(|after| (after.size, after.modified) != (size, node.modified));
        if changed || read < size {
            let message = "changed while it was read; what was read is kept";
            self.job.inexact(path, message);
            exact = false;
        } else if size == 0 && read == most {
            let message = format!("says that it is empty; its first {most} bytes are kept");
            self.job.inexact(path, message);
            exact = false;
        }
        if entry.change.filter {
            // What is stored is not what lies in that inode, and no later backup, restic's included, may take it for that. So all bits of the
            // number are inverted; where nobody may take it over at all, there is none.
            let again = exact && shows_source(&entry, &place);
            node.inode = if again { !node.inode } else { 0 };
            node.links = 1;
        }
        self.job.summary(|summary| {
            match entry.previous {
                Some(_) => summary.files_changed += 1,
                None => summary.files_new += 1,
            }
            summary.total_bytes_processed += read;
        });
        self.job.progress.advance(1, 0);
        entry.change.apply(&mut node);
        sink.finish(node, place)
    }

    /// Archives what `source` yields as the content of `node`.
    pub(super) fn stream(
        &mut self,
        node: Node,
        source: &mut dyn Read,
        place: Place,
    ) -> Result<(), Error> {
        let mut sink = Sink::new(self.job);
        let filtered = self.job.passes.map(|_| &node);
        let name = node.name.clone();
        let read = match self.read(source, &name, filtered, &mut sink) {
            Ok(read) => read,
            Err(Trouble::Item(message)) => return self.leave_out(&[], &message, place),
            Err(Trouble::End(error)) => return Err(error),
        };
        self.job.summary(|summary| {
            summary.files_new += 1;
            summary.total_bytes_processed += read;
        });
        self.job.progress.advance(1, 0);
        sink.finish(node, place)
    }

    /// Reads `source` to its end into `sink`, through the pass if `filtered`; returns how many bytes it had.
    fn read(
        &mut self,
        source: &mut dyn Read,
        path: &[u8],
        filtered: Option<&Node>,
        sink: &mut Sink<'_>,
    ) -> Result<u64, Trouble> {
        let mut pass = match filtered {
            Some(node) => {
                let mut pass = self.pass.get()?;
                if let Some(pass) = &mut pass {
                    pass.open(path, node)?;
                }
                pass
            }
            None => None,
        };
        let mut read = 0;
        loop {
            self.job.check().map_err(Trouble::End)?;
            let length = match &mut pass {
                None => sink.read(source)?,
                Some(pass) => {
                    let length = match source.read(&mut self.buffer) {
                        Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                        length => length.map_err(unreadable)?,
                    };
                    let chunk = self.buffer.get(..length).unwrap_or_default();
                    let ready = match chunk {
                        [] => pass.finish_file()?,
                        _ => pass.push(chunk)?,
                    };
                    sink.write_members(&ready, pass.members()?)
                        .map_err(Trouble::End)?;
                    length
                }
            };
            read += length as u64;
            self.job.progress.advance(0, length as u64);
            if length == 0 {
                return Ok(read);
            }
        }
    }

    /// Lists an open directory, asks what becomes of its entries, and leaves them to the workers.
    pub(super) fn directory(
        &mut self,
        entry: Entry,
        fd: OwnedFd,
        path: Vec<u8>,
        place: Place,
    ) -> Result<(), Error> {
        let mut node = match fstat(&fd) {
            Ok(stat) => self.reader.node(&entry.node.name, &stat),
            Err(error) => {
                return self.leave_out(&path, &format!("can't look at it: {error}"), place);
            }
        };
        (node.extended_attributes, _) = self.attributes(&path, Item::Open(fd.as_fd()));
        entry.change.apply(&mut node);
        let previous = entry.previous.and_then(|previous| previous.subtree);
        let nodes = match self.list(&fd, &path) {
            Ok(nodes) => nodes,
            Err(error) => return self.leave_out(&path, &format!("can't list it: {error}"), place),
        };
        let entries = self.decide(&path, nodes, previous.as_ref())?;
        Directory::begin(self.job, fd, path, node, entries, previous, place)
    }
}

/// What a file's node says besides its content.
fn about(node: &Node) -> impl PartialEq {
    let (modified, changed) = (moment(node.modified), moment(node.changed));
    let owner = (node.uid, node.gid, &node.user, &node.group);
    (node.kind, node.inode, node.mode, modified, changed, owner)
}

fn moment(time: Timestamp) -> (i64, u32) {
    (time.seconds, time.nanoseconds)
}

/// Whether a file's path and node in the snapshot are those that a filter is told of, so that a later backup can see whether those are still the
/// same. Of mode and times the ctime tells, of owners' names it does not.
fn shows_source(entry: &Entry, place: &Place) -> bool {
    entry.name() == entry.node.name && entry.change.owner.is_none() && !place.is_renamed()
}

/// restic's test whether a file needs reading.
fn is_unchanged(now: &Node, before: &Node) -> bool {
    before.kind == NodeKind::File
        && now.size == before.size
        && moment(now.modified) == moment(before.modified)
        && moment(now.changed) == moment(before.changed)
        && now.inode == before.inode
}

/// Opens the file or directory that a tree begins with.
pub(super) fn open_root(path: &Path) -> Result<File, Errno> {
    open(CWD, path, OFlags::NONBLOCK).map(File::from)
}

/// Opens without waiting, because a FIFO may have come in the file's place.
fn open_file(directory: &OwnedFd, name: &[u8]) -> Result<File, Errno> {
    open(directory, name, OFlags::NOFOLLOW | OFlags::NONBLOCK).map(File::from)
}

fn open_directory(directory: &OwnedFd, name: &[u8]) -> Result<OwnedFd, Errno> {
    open(directory, name, OFlags::NOFOLLOW | OFlags::DIRECTORY)
}

/// Opens for reading that leaves no time of access, which the system allows to a file's owner alone.
fn open(directory: impl AsFd, name: impl Arg + Copy, flags: OFlags) -> Result<OwnedFd, Errno> {
    let flags = flags | OFlags::RDONLY | OFlags::CLOEXEC;
    match openat(&directory, name, flags | OFlags::NOATIME, Mode::empty()) {
        Err(Errno::PERM) => openat(&directory, name, flags, Mode::empty()),
        result => result,
    }
}
