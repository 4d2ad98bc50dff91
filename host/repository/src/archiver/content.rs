//! A file's content on its way from bytes to blobs.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::directory::Place;
use super::job::Job;
use crate::chunker::Splitter;
use crate::error::Error;
use crate::format::BlobKind;
use crate::format::tree::Node;
use crate::id::BlobId;
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
    /// The node to put the content into, and where that goes; nothing if the file was given up.
    done: Mutex<Option<(Node, Place)>>,
}

/// Cuts bytes into chunks.
pub(super) struct Sink<'a> {
    job: &'a Job<'a>,
    splitter: Splitter,
    pending: Vec<u8>,
    content: Arc<Content>,
    count: usize,
    size: u64,
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
            let buffer = self.job.buffer();
            let chunk = self.next_chunk(buffer);
            if let Err(chunk) = self.job.queue.offer(chunk) {
                chunk.store(self.job)?;
            }
        }
        self.pending.extend_from_slice(data);
        Ok(())
    }

    /// Takes the rest as the last chunk, and hands `node` with size and content to `place` once all chunks are stored.
    pub(super) fn finish(mut self, mut node: Node, place: Place) -> Result<(), Error> {
        node.size = self.size;
        if !self.pending.is_empty() {
            self.next_chunk(Vec::new()).store(self.job)?;
        }
        *lock(&self.content.done) = Some((node, place));
        self.content.settle(self.job)
    }

    /// What is pending as a chunk; `buffer` takes its place.
    fn next_chunk(&mut self, buffer: Vec<u8>) -> Chunk {
        let index = self.count;
        self.count += 1;
        self.content.open.fetch_add(1, Ordering::Relaxed);
        Chunk {
            data: std::mem::replace(&mut self.pending, buffer),
            index,
            content: Arc::clone(&self.content),
        }
    }
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
        let done = lock(&self.done).take();
        let Some((mut node, place)) = done else {
            return Ok(());
        };
        let ids = std::mem::take(&mut *lock(&self.ids));
        let content = ids.into_iter().collect::<Option<_>>();
        node.content = content.ok_or_else(|| {
            Error::corrupt(
                format!("the new file `{}`", display(&node.name)),
                "a part of its content was not stored",
            )
        })?;
        place.complete(job, Some(node))
    }
}
