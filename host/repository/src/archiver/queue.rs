//! What is left to do in one tree, shared by its workers.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::content::Chunk;
use super::directory::Directory;
use crate::repository::lock;

/// One thing to do.
pub(super) enum Task {
    /// An entry of a directory.
    Entry(Arc<Directory>, usize),
    /// A piece of a file's content that another worker has read.
    Chunk(Chunk),
}

/// Last in, first out: the tree is walked depth first, so that few directories are open at a time. Chunks come
/// before all else, because they hold memory.
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    most_chunks: usize,
}

#[derive(Default)]
struct State {
    chunks: VecDeque<Chunk>,
    entries: Vec<(Arc<Directory>, Range<usize>)>,
    busy: usize,
    stopped: bool,
}

impl Queue {
    /// At most so many chunks wait at a time.
    pub(super) fn new(most_chunks: usize) -> Self {
        Self {
            state: Mutex::default(),
            changed: Condvar::new(),
            most_chunks,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Waits for something to do; `None` when all is done or the work was stopped.
    pub(super) fn next(&self) -> Option<(Task, Claim<'_>)> {
        let mut state = self.state();
        loop {
            if state.stopped {
                return None;
            }
            if let Some(task) = state.pop() {
                state.busy += 1;
                return Some((task, Claim(self)));
            }
            if state.busy == 0 {
                return None;
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Counts the caller as busy, so that nobody thinks that all is done.
    pub(super) fn claim(&self) -> Claim<'_> {
        self.state().busy += 1;
        Claim(self)
    }

    /// All entries of `directory` are to be done.
    pub(super) fn push(&self, directory: Arc<Directory>, count: usize) {
        self.state().entries.push((directory, 0..count));
        self.changed.notify_all();
    }

    /// Leaves `chunk` to another worker, or hands it back where enough of them wait.
    pub(super) fn offer(&self, chunk: Chunk) -> Result<(), Chunk> {
        let mut state = self.state();
        if state.chunks.len() >= self.most_chunks {
            return Err(chunk);
        }
        state.chunks.push_back(chunk);
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    /// Nothing more is handed out.
    pub(super) fn stop(&self) {
        self.state().stopped = true;
        self.changed.notify_all();
    }
}

impl State {
    fn pop(&mut self) -> Option<Task> {
        if let Some(chunk) = self.chunks.pop_front() {
            return Some(Task::Chunk(chunk));
        }
        while let Some((directory, range)) = self.entries.last_mut() {
            if let Some(index) = range.next() {
                return Some(Task::Entry(Arc::clone(directory), index));
            }
            self.entries.pop();
        }
        None
    }
}

/// That a worker is busy with a task, which may bring more tasks.
pub(super) struct Claim<'a>(&'a Queue);

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.busy -= 1;
        // A worker that panics will not finish what it began.
        state.stopped |= std::thread::panicking();
        if state.busy == 0 || state.stopped {
            drop(state);
            self.0.changed.notify_all();
        }
    }
}
