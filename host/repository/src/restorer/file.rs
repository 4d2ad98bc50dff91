//! Files that are being written.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use super::sparse;
use super::target::{create, discard, part_name, reopen};
use super::{Job, RestoreSummary};
use crate::format::tree::Node;
use crate::metadata::{Applier, Item};
use crate::pass::{LazyPass, PUSH, Trouble};
use crate::progress::join;
use crate::repository::lock;
use crate::walk::read_content;

/// How many files may be open between writes. The system allows a process some thousand.
const MOST_OPEN: usize = 256;

/// What a thread that writes files needs for itself.
pub(super) struct Writer<'a> {
    pub(super) job: &'a Job<'a>,
    pass: LazyPass<'a>,
    pub(super) applier: Applier,
    /// The directory used last.
    directory: Option<(Arc<[u8]>, OwnedFd)>,
    open: &'a AtomicUsize,
}

impl<'a> Writer<'a> {
    pub(super) fn new(job: &'a Job<'a>, open: &'a AtomicUsize) -> Self {
        Self {
            pass: LazyPass::new(job.passes),
            applier: Applier::new(),
            directory: None,
            open,
            job,
        }
    }

    /// The open directory at `path` beneath the target.
    pub(super) fn directory(&mut self, path: &Arc<[u8]>) -> Result<BorrowedFd<'_>, String> {
        let cached = self.directory.take().filter(|(cached, _)| cached == path);
        let entry = match cached {
            Some(entry) => entry,
            None => {
                let fd = self.job.target.open_directory(path);
                let fd = fd.map_err(|error| format!("can't open its directory: {error}"))?;
                (Arc::clone(path), fd)
            }
        };
        Ok(self.directory.insert(entry).1.as_fd())
    }
}

/// A file on its way to its name.
pub(super) struct PendingFile {
    /// The path of its directory beneath the target.
    pub(super) directory: Arc<[u8]>,
    pub(super) node: Node,
    /// Its path and node in the snapshot, if it goes through the pass.
    filter: Option<(Vec<u8>, Node)>,
    /// Whether something may be in its place already.
    pub(super) may_exist: bool,
    /// The temporary name under which an earlier run has left a part of it.
    pub(super) left_over: Option<String>,
    /// Whether a directory that is in its place has to give way to it.
    pub(super) displaces: bool,
    /// Whether it takes the place of something.
    pub(super) replaces: AtomicBool,
    /// Whether there may be other bytes than zeros where nothing was written yet.
    dirty: AtomicBool,
    /// Which pieces of its content are there without being fetched, if any is known to be.
    present: OnceLock<Vec<bool>>,
    /// Pieces of its content that are yet to be written.
    left: AtomicUsize,
    size: AtomicU64,
    /// How long the file is on disk, at least.
    extent: AtomicU64,
    /// Becomes true once it has its name.
    pub(super) in_place: Arc<AtomicBool>,
    state: Mutex<State>,
}

enum State {
    /// Nothing written.
    New,
    /// Open under a temporary name.
    Open(Arc<File>, String),
    /// Written in part under a temporary name.
    Closed(String),
    /// In place, or given up.
    Over,
}

impl PendingFile {
    pub(super) fn new(directory: &Arc<[u8]>, node: Node) -> Self {
        Self {
            directory: Arc::clone(directory),
            may_exist: true,
            left_over: None,
            displaces: false,
            replaces: AtomicBool::new(false),
            dirty: AtomicBool::new(false),
            present: OnceLock::new(),
            left: AtomicUsize::new(node.content.len()),
            size: AtomicU64::new(0),
            extent: AtomicU64::new(0),
            in_place: Arc::default(),
            filter: None,
            state: Mutex::new(State::New),
            node,
        }
    }

    /// A file whose content goes through the pass, which knows it as `original` at `source`.
    pub(super) fn filtered(
        directory: &Arc<[u8]>,
        node: Node,
        source: Vec<u8>,
        original: Node,
    ) -> Self {
        Self {
            filter: Some((source, original)),
            ..Self::new(directory, node)
        }
    }

    /// Whether it has to be written by one thread from its beginning to its end.
    pub(super) fn is_whole(&self) -> bool {
        self.filter.is_some() || self.node.content.is_empty()
    }

    /// Whether its content goes through the pass.
    pub(super) fn is_filtered(&self) -> bool {
        self.filter.is_some()
    }

    /// Whether nothing more happens to it.
    pub(super) fn is_over(&self) -> bool {
        matches!(*self.state(), State::Over)
    }

    /// Whether that piece is there already.
    pub(super) fn has_piece(&self, index: usize) -> bool {
        let present = self.present.get();
        present.is_some_and(|present| present.get(index) == Some(&true))
    }

    /// Some pieces need not be fetched. If none has to be, the file is put in place.
    pub(super) fn note_present(&self, writer: &mut Writer<'_>, present: Vec<bool>) {
        let count = present.iter().filter(|present| **present).count();
        if self.present.set(present).is_ok()
            && count > 0
            && self.left.fetch_sub(count, Ordering::AcqRel) == count
        {
            self.finish(writer);
        }
    }

    /// The file is so long at least.
    pub(super) fn note_size(&self, size: u64) {
        self.size.fetch_max(size, Ordering::AcqRel);
    }

    /// Goes on with what lies under a temporary name.
    pub(super) fn adopt(&self, writer: &Writer<'_>, file: File, temporary: String) {
        writer.open.fetch_add(1, Ordering::Relaxed);
        self.dirty.store(true, Ordering::Relaxed);
        *self.state() = State::Open(Arc::new(file), temporary);
    }

    /// Ends with the file as it is: nothing is written.
    pub(super) fn settle_untouched(
        &self,
        writer: &Writer<'_>,
        count: impl FnOnce(&mut RestoreSummary),
    ) {
        *self.state() = State::Over;
        writer.job.progress.advance(1, self.node.size);
        writer.job.summary(count);
    }

    /// The file has its name.
    pub(super) fn set_in_place(&self) {
        self.in_place.store(true, Ordering::Release);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Writes one piece, and puts the file in place if it was the last.
    pub(super) fn write_piece(&self, writer: &mut Writer<'_>, bytes: &[u8], offset: u64) {
        // A failure is known before the piece counts as done, or another thread would put the file in place.
        if let Err(message) = self.write(writer, bytes, offset) {
            self.fail(writer, message);
        }
        if self.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.finish(writer);
        }
    }

    /// Writes the whole file.
    pub(super) fn write_whole(&self, writer: &mut Writer<'_>) -> Result<(), crate::error::Error> {
        match self.stream(writer) {
            Ok(()) => self.finish(writer),
            Err(Trouble::Item(message)) => self.fail(writer, message),
            Err(Trouble::End(error)) => return Err(error),
        }
        Ok(())
    }

    fn stream(&self, writer: &mut Writer<'_>) -> Result<(), Trouble> {
        self.write(writer, &[], 0).map_err(Trouble::Item)?;
        let job = writer.job;
        let mut passes = std::mem::replace(&mut writer.pass, LazyPass::new(None));
        let result = self.transform(writer, &mut passes);
        writer.pass = passes;
        job.check()?;
        result
    }

    fn transform(&self, writer: &mut Writer<'_>, passes: &mut LazyPass<'_>) -> Result<(), Trouble> {
        let (Some((source, original)), Some(pass)) = (&self.filter, passes.get()?) else {
            return Ok(());
        };
        let job = writer.job;
        pass.open(source, original)?;
        let mut offset = 0;
        let mut write = |bytes: &[u8]| {
            let result = self.write(writer, bytes, offset);
            offset += bytes.len() as u64;
            result.map_err(Trouble::Item)
        };
        read_content(job.repository, &self.node.content, &mut |bytes| {
            job.check()?;
            for chunk in bytes.chunks(PUSH) {
                write(&pass.push(chunk)?)?;
            }
            Ok::<_, Trouble>(())
        })?;
        write(&pass.finish_file()?)
    }

    fn write(&self, writer: &mut Writer<'_>, bytes: &[u8], offset: u64) -> Result<(), String> {
        self.put(writer, bytes, offset)?;
        let length = bytes.len() as u64;
        writer.job.progress.advance(0, length);
        writer.job.summary(|summary| summary.bytes += length);
        self.close_if_many(writer);
        Ok(())
    }

    /// Writes bytes that did not come from the repository.
    pub(super) fn put(
        &self,
        writer: &mut Writer<'_>,
        bytes: &[u8],
        offset: u64,
    ) -> Result<(), String> {
        let Some(file) = self.open(writer)? else {
            return Ok(());
        };
        let end = offset + bytes.len() as u64;
        let written = match self.dirty.load(Ordering::Relaxed) {
            true => file.write_all_at(bytes, offset).map(|()| end),
            false => sparse::write_at(&file, bytes, offset),
        };
        let extent = written.map_err(|error| format!("can't write it: {error}"))?;
        self.extent.fetch_max(extent, Ordering::AcqRel);
        self.note_size(end);
        Ok(())
    }

    /// Closes the file for a while where many are open.
    pub(super) fn close_if_many(&self, writer: &Writer<'_>) {
        if writer.open.load(Ordering::Relaxed) > MOST_OPEN {
            let mut state = self.state();
            if let State::Open(_, temporary) = &mut *state {
                *state = State::Closed(std::mem::take(temporary));
                writer.open.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }

    /// The file, open under its temporary name; `None` if it was given up.
    pub(super) fn open(&self, writer: &mut Writer<'_>) -> Result<Option<Arc<File>>, String> {
        let mut state = self.state();
        let (file, temporary) = match &mut *state {
            State::Over => return Ok(None),
            State::Open(file, _) => return Ok(Some(Arc::clone(file))),
            State::New => {
                let temporary = match self.is_whole() {
                    true => writer.job.target.temporary_name(),
                    false => part_name(&self.node, &self.node.name),
                };
                let directory = writer.directory(&self.directory)?;
                let file = create(directory, &temporary);
                let file = file.map_err(|error| format!("can't write it: {error}"))?;
                (file, temporary)
            }
            State::Closed(temporary) => {
                let directory = writer.directory(&self.directory)?;
                let (file, _) = reopen(directory, temporary).ok_or_else(|| {
                    format!("can't go on with it: {temporary} is not what was written any more")
                })?;
                (file, std::mem::take(temporary))
            }
        };
        let file = Arc::new(file);
        writer.open.fetch_add(1, Ordering::Relaxed);
        *state = State::Open(Arc::clone(&file), temporary);
        Ok(Some(file))
    }

    /// Gives the file its size, its metadata and its name.
    fn finish(&self, writer: &mut Writer<'_>) {
        let result = self.open(writer).and_then(|file| match file {
            Some(file) => self.settle(writer, &file),
            None => Ok(()),
        });
        if let Err(message) = result {
            self.remove(writer);
            writer.job.item_error(&self.path(), message);
        }
    }

    fn settle(&self, writer: &mut Writer<'_>, file: &File) -> Result<(), String> {
        let size = self.size.load(Ordering::Acquire);
        // Zeros at its end were not written, and what was there before may be longer.
        if self.dirty.load(Ordering::Relaxed) || self.extent.load(Ordering::Acquire) != size {
            file.set_len(size)
                .map_err(|error| format!("can't set its size: {error}"))?;
        }
        if self.filter.is_none() && size != self.node.size {
            let announced = self.node.size;
            let message = format!("has {size} bytes, where the snapshot says {announced}");
            writer.job.item_error(&self.path(), message);
        }
        for problem in writer.applier.apply(&self.node, Item::Open(file.as_fd())) {
            writer.job.inexact(&self.path(), problem);
        }
        if let Some(temporary) = self.end(writer.open) {
            let (job, path) = (writer.job, self.path());
            let directory = writer.directory(&self.directory)?;
            let place = (&*path, &*self.node.name);
            job.put_in_place(directory, &temporary, place, self.displaces)?;
            self.set_in_place();
            writer.job.progress.advance(1, 0);
            let replaced = self.replaces.load(Ordering::Relaxed);
            let path = replaced.then_some(path);
            writer.job.summary(|summary| {
                summary.files += 1;
                path.iter().for_each(|path| summary.replaced.add(path));
            });
        }
        Ok(())
    }

    /// Gives the file up: it is named and nothing of it stays.
    pub(super) fn fail(&self, writer: &mut Writer<'_>, message: String) {
        let given_up = matches!(*self.state(), State::Over);
        self.remove(writer);
        if !given_up {
            writer.job.item_error(&self.path(), message);
        }
    }

    /// Ends without the file being whole: what there is of it stays for a run that goes on with it, if one can.
    pub(super) fn suspend(&self, writer: &mut Writer<'_>) {
        match self.is_whole() {
            true => self.remove(writer),
            false => drop(self.end(writer.open)),
        }
    }

    /// Removes what is there under the temporary name.
    pub(super) fn remove(&self, writer: &mut Writer<'_>) {
        if let Some(temporary) = self.end(writer.open)
            && let Ok(directory) = writer.directory(&self.directory)
        {
            discard(directory, &temporary);
        }
    }

    /// Ends all writing: the temporary name, if there is one yet.
    fn end(&self, open: &AtomicUsize) -> Option<String> {
        match std::mem::replace(&mut *self.state(), State::Over) {
            State::New | State::Over => None,
            State::Closed(temporary) => Some(temporary),
            State::Open(_, temporary) => {
                open.fetch_sub(1, Ordering::Relaxed);
                Some(temporary)
            }
        }
    }

    /// Its path beneath the target.
    pub(super) fn path(&self) -> Vec<u8> {
        join(&self.directory, &self.node.name)
    }
}
