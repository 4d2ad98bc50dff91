//! `copal:plugin/log`: a plugin's messages, into the host's own log under the target `plugin`.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::bindings::copal::plugin::log::{self, Level};
use crate::state::State;
use crate::text::{clean, on_one_line};
use tracing::Level as Tracing;

/// Bytes of one message; the rest is cut.
const MAX_MESSAGE: usize = 16 << 10;

/// Messages and lines that one instance may write, in all calls together, and their bytes: what one writes without end, or with each of many
/// calls, must fill neither a disk nor a terminal.
const MAX_MESSAGES: usize = 10_000;
const MAX_BYTES: usize = 1 << 20;

/// Lines of standard error that are kept to explain a crash.
const LAST_WORDS: usize = 4;

/// Where one instance's messages go; clones share what is kept.
#[derive(Clone)]
pub(crate) struct Log {
    plugin: Arc<str>,
    last: Arc<Mutex<Last>>,
}

/// What an instance said last, to explain a crash by, and how much it said.
#[derive(Default)]
struct Last {
    error: Option<String>,
    stderr: VecDeque<String>,
    messages: usize,
    bytes: usize,
    used_up: bool,
}

/// Whether an instance may write more.
enum Room {
    Left,
    /// From this message on it may not.
    UsedUp,
    None,
}

impl Last {
    fn count(&mut self, bytes: usize) -> Room {
        if self.used_up {
            return Room::None;
        }
        self.messages += 1;
        self.bytes = self.bytes.saturating_add(bytes);
        self.used_up = self.messages > MAX_MESSAGES || self.bytes > MAX_BYTES;
        match self.used_up {
            true => Room::UsedUp,
            false => Room::Left,
        }
    }
}

impl Log {
    /// A log under the plugin's name.
    pub(crate) fn new(plugin: Arc<str>) -> Self {
        Self {
            plugin,
            last: Arc::default(),
        }
    }

    /// Forgets what was said last. How much was said stays counted.
    pub(crate) fn forget(&self) {
        let mut last = self.last();
        last.error = None;
        last.stderr.clear();
    }

    /// The last message of level `error`, or else the last lines of standard error.
    pub(crate) fn last_words(&self) -> Option<String> {
        let mut last = self.last();
        last.error
            .take()
            .or_else(|| (!last.stderr.is_empty()).then(|| last.stderr.make_contiguous().join("\n")))
    }

    /// One line of standard output.
    pub(crate) fn stdout(&self, line: &str) {
        self.write(Level::Info, &clean(line, MAX_MESSAGE));
    }

    /// One line of standard error.
    pub(crate) fn stderr(&self, line: &str) {
        let line = clean(line, MAX_MESSAGE);
        self.write(Level::Warn, &line);
        let stderr = &mut self.last().stderr;
        if stderr.len() == LAST_WORDS {
            stderr.pop_front();
        }
        stderr.push_back(line);
    }

    fn message(&self, level: Level, message: &str) {
        let message = clean(message, MAX_MESSAGE);
        self.write(level, &message);
        if level == Level::Error {
            self.last().error = Some(message);
        }
    }

    fn write(&self, level: Level, message: &str) {
        let plugin = &*self.plugin;
        if !is_kept(level) {
            return;
        }
        let message = on_one_line(message);
        match self.last().count(message.len()) {
            Room::Left => {}
            Room::UsedUp => {
                tracing::warn!(target: "plugin", plugin, "what the plugin writes further is left out: it is too much");
                return;
            }
            Room::None => return,
        }
        match level {
            Level::Trace => tracing::trace!(target: "plugin", plugin, "{message}"),
            Level::Debug => tracing::debug!(target: "plugin", plugin, "{message}"),
            Level::Info => tracing::info!(target: "plugin", plugin, "{message}"),
            Level::Warn => tracing::warn!(target: "plugin", plugin, "{message}"),
            Level::Error => tracing::error!(target: "plugin", plugin, "{message}"),
        }
    }

    fn last(&self) -> MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl log::Host for State {
    fn log(&mut self, level: Level, message: String) -> wasmtime::Result<()> {
        self.log.message(level, &message);
        Ok(())
    }

    fn enabled(&mut self, level: Level) -> wasmtime::Result<bool> {
        // An error is kept in any case, to explain a crash by.
        Ok(level == Level::Error || is_kept(level))
    }
}

/// Whether messages of this level are written anywhere.
fn is_kept(level: Level) -> bool {
    match level {
        Level::Trace => tracing::enabled!(target: "plugin", Tracing::TRACE),
        Level::Debug => tracing::enabled!(target: "plugin", Tracing::DEBUG),
        Level::Info => tracing::enabled!(target: "plugin", Tracing::INFO),
        Level::Warn => tracing::enabled!(target: "plugin", Tracing::WARN),
        Level::Error => tracing::enabled!(target: "plugin", Tracing::ERROR),
    }
}
