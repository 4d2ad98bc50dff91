//! A file's content on its way from bytes to blobs.

use std::io::{self, Read};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::directory::Place;
use super::job::Job;
use super::members::{Listed, Members, view};
use crate::chunker::Splitter;
use crate::error::Error;
use crate::format::BlobKind;
use crate::format::tree::Node;
use crate::id::BlobId;
use crate::pass::{Member, Trouble};
use crate::progress::display;
use crate::repository::lock;

/// A piece of a file's content that is yet to be stored.
pub(super) struct Chunk {
    data: Vec<u8>,
    index: usize,
    content: Arc<Content>,
}

/// A file's content while its chunks are under way on several threads.
struct Content {
    ids: Mutex<Vec<Option<BlobId>>>,
    /// Chunks under way, and one more until the file's end has been read.
    open: AtomicUsize,
    /// What the content is for; nothing if the file was given up.
    done: Mutex<Option<Done>>,
}

/// A file that has been read to its end.
struct Done {
    /// The node to put the content into.
    node: Node,
    /// Its members, or why they can't be listed.
    members: Result<Vec<Listed>, String>,
    place: Place,
}

/// A chunk of fewer bytes takes less time to store than to hand to another thread.
const SMALL: usize = 64 << 10;

/// Of so many bytes read at once half are moved on average when a chunk ends among them.
const PIECE: usize = 128 << 10;

/// Cuts bytes into chunks.
pub(super) struct Sink<'a> {
    job: &'a Job<'a>,
    splitter: Splitter,
    pending: Vec<u8>,
    content: Arc<Content>,
    count: usize,
    size: u64,
    members: Members,
}

impl<'a> Sink<'a> {
    pub(super) fn new(job: &'a Job<'a>) -> Self {
        Self {
            splitter: job.repository.chunker().splitter(),
            pending: job.buffer(),
            content: Arc::new(Content {
                ids: Mutex::default(),
                open: AtomicUsize::new(1),
                done: Mutex::new(None),
            }),
            count: 0,
            size: 0,
            members: Members::default(),
            job,
        }
    }

    /// Takes the bytes that come next.
    pub(super) fn write(&mut self, mut data: &[u8]) -> Result<(), Error> {
        self.size += data.len() as u64;
        while let Some(cut) = self.splitter.next(data) {
            let (head, tail) = data.split_at(cut);
            self.pending.extend_from_slice(head);
            data = tail;
            self.cut(self.job.buffer())?;
        }
        self.pending.extend_from_slice(data);
        Ok(())
    }

    /// Reads the bytes that come next, straight to where they are kept. Returns how many these were: none at the end.
    pub(super) fn read(&mut self, source: &mut dyn Read) -> Result<usize, Trouble> {
        let mut begin = self.pending.len();
        self.pending.reserve(PIECE);
        let read = source.take(PIECE as u64).read_to_end(&mut self.pending);
        let read = read.map_err(unreadable)?;
        self.size += read as u64;
        while let Some(cut) = self.splitter.next(&self.pending[begin..]) {
            let end = begin + cut;
            let mut rest = self.job.buffer();
            rest.extend_from_slice(&self.pending[end..]);
            self.pending.truncate(end);
            self.cut(rest).map_err(Trouble::End)?;
            begin = 0;
        }
        Ok(read)
    }

    /// As [`Self::write`]; `members` begin in `data`. Each is cut by itself, as if it were a file.
    pub(super) fn write_members(
        &mut self,
        mut data: &[u8],
        members: Vec<Member>,
    ) -> Result<(), Error> {
        self.members.announce(members, self.size)?;
        while let Some(border) = self.members.border() {
            let ahead = usize::try_from(border - self.size).ok();
            let Some((head, tail)) = ahead.and_then(|ahead| data.split_at_checked(ahead)) else {
                break;
            };
            self.write(head)?;
            data = tail;
            if !self.pending.is_empty() {
                self.cut(self.job.buffer())?;
            }
            self.splitter = self.job.repository.chunker().splitter();
            self.members.cross(self.count);
        }
        self.write(data)
    }

    /// Ends the chunk; what `rest` holds, which can be nothing, begins the next.
    fn cut(&mut self, rest: Vec<u8>) -> Result<(), Error> {
        let chunk = self.next_chunk(rest);
        if chunk.data.len() < SMALL {
            return chunk.store(self.job);
        }
        match self.job.queue.offer(chunk) {
            Ok(()) => Ok(()),
            Err(chunk) => chunk.store(self.job),
        }
    }

    /// Takes the rest as the last chunk, and hands `node` with size and content to `place` once all chunks are stored.
    pub(super) fn finish(mut self, mut node: Node, place: Place) -> Result<(), Error> {
        node.size = self.size;
        if !self.pending.is_empty() {
            self.next_chunk(Vec::new()).store(self.job)?;
        }
        *lock(&self.content.done) = Some(Done {
            members: self.members.finish(&node.name),
            node,
            place,
        });
        self.content.settle(self.job)
    }

    /// What is pending as a chunk; `rest` takes its place.
    fn next_chunk(&mut self, rest: Vec<u8>) -> Chunk {
        let index = self.count;
        self.count += 1;
        self.content.open.fetch_add(1, Ordering::Relaxed);
        Chunk {
            data: std::mem::replace(&mut self.pending, rest),
            index,
            content: Arc::clone(&self.content),
        }
    }
}

/// What it means for a file that it can't be read.
pub(super) fn unreadable(error: io::Error) -> Trouble {
    Trouble::Item(format!("can't read it: {error}"))
}

impl Chunk {
    /// Stores the chunk, and completes its file if it was the last.
    pub(super) fn store(self, job: &Job<'_>) -> Result<(), Error> {
        job.check()?;
        let id = job.store(BlobKind::Data, &self.data)?;
        job.reuse(self.data);
        {
            let mut ids = lock(&self.content.ids);
            if ids.len() <= self.index {
                ids.resize(self.index + 1, None);
            }
            ids[self.index] = Some(id);
        }
        self.content.settle(job)
    }
}

impl Content {
    /// One of those that keep the file open is done.
    fn settle(&self, job: &Job<'_>) -> Result<(), Error> {
        if self.open.fetch_sub(1, Ordering::AcqRel) > 1 {
            return Ok(());
        }
        let Some(done) = lock(&self.done).take() else {
            return Ok(());
        };
        let (mut node, place) = (done.node, done.place);
        let ids = std::mem::take(&mut *lock(&self.ids));
        let content = ids.into_iter().collect::<Option<_>>();
        node.content = content.ok_or_else(|| {
            Error::corrupt(
                format!("the new file `{}`", display(&node.name)),
                "a part of its content was not stored",
            )
        })?;
        match done.members {
            Ok(members) => {
                if let Some(view) = view(&node, members, &mut |tree| job.store_tree(tree))? {
                    place.put_beside(view);
                }
            }
            Err(message) => {
                job.inexact(
                    &place.path_of(&node.name),
                    format!("its members are not listed: {message}"),
                );
                // Read again by the next backup, which says so too.
                node.inode = 0;
            }
        }
        place.complete(job, Some(node))
    }
}
