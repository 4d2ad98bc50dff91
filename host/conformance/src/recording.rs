//! Recording what a plugin asks its host, and answering from such a recording: wrappers around [`Tree`] and [`Probe`].

mod document;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use copal_sandbox::types::{Command, Entry, Failure, FailureKind, Output};
use copal_sandbox::{Probe, Tree};

use self::document::TreeCall;
pub use self::document::{
    Answered, Bytes, CommandAnswer, CommandCall, RecordedTree, Recording, Role,
};
use crate::error::Error;
use crate::memory::join;

/// Bytes of answers that a recording holds at most.
const LIMIT: usize = 64 << 20;

/// About what an entry takes besides its texts.
const ENTRY: usize = 200;

/// Records what trees and probes are asked. Each question to a tree is kept once: it is looked at while nothing changes.
#[derive(Clone, Default)]
pub struct Recorder(Arc<Mutex<Recorded>>);

#[derive(Default)]
struct Recorded {
    recording: Recording,
    known: HashSet<(usize, Asked)>,
    bytes: usize,
}

/// A question to a tree.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Asked {
    Stat(String),
    List(String),
    Read(String, u64, u32),
}

impl Asked {
    /// The question in words.
    fn words(&self, tree: &str) -> String {
        match self {
            Self::Stat(path) => format!("`tree.stat` of `{}`", join(tree, path)),
            Self::List(path) => format!("`tree.list` of `{}`", join(tree, path)),
            Self::Read(path, offset, length) => format!(
                "`tree.read` of `{}`, {length} bytes from {offset} on",
                join(tree, path)
            ),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Recorder {
    /// A recorder that has seen nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same tree, recorded.
    pub fn tree(&self, role: Role, tree: Arc<dyn Tree>) -> Arc<dyn Tree> {
        let mut recorded = lock(&self.0);
        recorded.recording.trees.push(RecordedTree {
            role,
            name: tree.name().to_owned(),
            location: tree.location().to_owned(),
            calls: Vec::new(),
        });
        let index = recorded.recording.trees.len() - 1;
        Arc::new(RecordingTree {
            tree,
            index,
            recorder: self.clone(),
        })
    }

    /// The same probe, recorded.
    pub fn probe(&self, probe: Arc<dyn Probe>) -> Arc<dyn Probe> {
        Arc::new(RecordingProbe {
            probe,
            recorder: self.clone(),
        })
    }

    /// What was recorded up to now.
    pub fn recording(&self) -> Recording {
        lock(&self.0).recording.clone()
    }

    /// The paths that were asked for in trees of this role, each once, with the tree's name.
    pub fn paths(&self, role: Role) -> Vec<(String, String)> {
        let recorded = lock(&self.0);
        let mut paths: Vec<_> = recorded
            .known
            .iter()
            .filter_map(|(index, asked)| {
                let tree = recorded.recording.trees.get(*index)?;
                let (Asked::Stat(path) | Asked::List(path) | Asked::Read(path, ..)) = asked;
                (tree.role == role).then(|| (tree.name.clone(), path.clone()))
            })
            .collect();
        paths.sort();
        paths.dedup();
        paths
    }

    fn keep(&self, index: usize, asked: Asked, size: usize, call: impl FnOnce() -> TreeCall) {
        let mut recorded = lock(&self.0);
        if recorded.known.contains(&(index, asked.clone())) || !recorded.has_room(size) {
            return;
        }
        recorded.known.insert((index, asked));
        if let Some(tree) = recorded.recording.trees.get_mut(index) {
            tree.calls.push(call());
        }
    }
}

impl Recorded {
    fn has_room(&mut self, size: usize) -> bool {
        let after = self.bytes.saturating_add(size);
        if self.recording.truncated || after > LIMIT {
            self.recording.truncated = true;
            return false;
        }
        self.bytes = after;
        true
    }
}

fn size(entries: &[Entry]) -> usize {
    let texts = |entry: &Entry| {
        entry.path.len() + entry.link_target.as_ref().map_or(0, String::len) + ENTRY
    };
    entries.iter().map(texts).sum::<usize>() + ENTRY
}

struct RecordingTree {
    tree: Arc<dyn Tree>,
    index: usize,
    recorder: Recorder,
}

impl Tree for RecordingTree {
    fn name(&self) -> &str {
        self.tree.name()
    }

    fn location(&self) -> &str {
        self.tree.location()
    }

    fn stat(&self, path: &str) -> Result<Option<Entry>, Failure> {
        let answer = self.tree.stat(path);
        let size = path.len() + 2 * ENTRY;
        let asked = Asked::Stat(path.to_owned());
        self.recorder
            .keep(self.index, asked, size, || TreeCall::Stat {
                path: path.to_owned(),
                outcome: Answered::of(&answer, |entry| entry),
            });
        answer
    }

    fn list(&self, path: &str) -> Result<Vec<Entry>, Failure> {
        let answer = self.tree.list(path);
        let size = answer.as_ref().map_or(ENTRY, |entries| size(entries));
        let asked = Asked::List(path.to_owned());
        self.recorder
            .keep(self.index, asked, size, || TreeCall::List {
                path: path.to_owned(),
                outcome: Answered::of(&answer, |entries| entries),
            });
        answer
    }

    fn read(&self, path: &str, offset: u64, length: u32) -> Result<Vec<u8>, Failure> {
        let answer = self.tree.read(path, offset, length);
        let size = path.len() + answer.as_ref().map_or(0, Vec::len) + ENTRY;
        let asked = Asked::Read(path.to_owned(), offset, length);
        self.recorder
            .keep(self.index, asked, size, || TreeCall::Read {
                path: path.to_owned(),
                offset,
                length,
                outcome: Answered::of(&answer, Bytes),
            });
        answer
    }
}

struct RecordingProbe {
    probe: Arc<dyn Probe>,
    recorder: Recorder,
}

impl Probe for RecordingProbe {
    fn run(&self, command: &Command) -> Result<Output, Failure> {
        let answer = self.probe.run(command);
        let size = answer
            .as_ref()
            .map_or(0, |output| output.stdout.len() + output.stderr.len());
        let mut recorded = lock(&self.recorder.0);
        if recorded.has_room(size + ENTRY) {
            let outcome = Answered::of(&answer, CommandAnswer::from);
            let call = CommandCall::new(command, outcome);
            recorded.recording.commands.push(call);
        }
        answer
    }
}

/// Answers from a recording what was asked then. What was not asked then fails, and is remembered.
#[derive(Clone)]
pub struct Replay(Arc<Replayed>);

struct Replayed {
    trees: Vec<(RecordedTree, HashMap<Asked, TreeCall>)>,
    commands: Answers,
    truncated: bool,
    missing: Mutex<Option<String>>,
}

impl Replay {
    /// A replay of this recording.
    pub fn new(recording: Recording) -> Self {
        let trees = recording.trees.into_iter().map(|mut tree| {
            let calls = std::mem::take(&mut tree.calls).into_iter();
            let calls = calls.map(|call| {
                let asked = match &call {
                    TreeCall::Stat { path, .. } => Asked::Stat(path.clone()),
                    TreeCall::List { path, .. } => Asked::List(path.clone()),
                    TreeCall::Read {
                        path,
                        offset,
                        length,
                        ..
                    } => Asked::Read(path.clone(), *offset, *length),
                };
                (asked, call)
            });
            let calls = calls.collect();
            (tree, calls)
        });
        Self(Arc::new(Replayed {
            trees: trees.collect(),
            commands: Answers::new(recording.commands),
            truncated: recording.truncated,
            missing: Mutex::default(),
        }))
    }

    /// The trees that were handed over in this role.
    pub fn trees(&self, role: Role) -> Vec<Arc<dyn Tree>> {
        let trees = self.0.trees.iter().enumerate();
        trees
            .filter(|(_, (tree, _))| tree.role == role)
            .map(|(index, _)| {
                let replay = self.clone();
                Arc::new(ReplayedTree { replay, index }) as Arc<dyn Tree>
            })
            .collect()
    }

    /// The probe.
    pub fn probe(&self) -> Arc<dyn Probe> {
        Arc::new(ReplayedProbe(self.clone()))
    }

    /// Fails where something was asked that was not recorded: whatever the plugin made of it can't be relied on.
    pub fn check(&self) -> Result<(), Error> {
        match lock(&self.0.missing).clone() {
            Some(call) => Err(Error::NotRecorded {
                call,
                truncated: self.0.truncated,
            }),
            None => Ok(()),
        }
    }

    fn missing(&self, call: String) -> Failure {
        let message = format!("the recording holds no answer to {call}");
        lock(&self.0.missing).get_or_insert(call);
        Failure::new(FailureKind::Unavailable, "replay.missing", message)
    }
}

struct ReplayedTree {
    replay: Replay,
    index: usize,
}

impl ReplayedTree {
    fn recorded(&self) -> Option<&(RecordedTree, HashMap<Asked, TreeCall>)> {
        self.replay.0.trees.get(self.index)
    }

    fn ask(&self, asked: &Asked) -> Result<&TreeCall, Failure> {
        let answer = self.recorded().and_then(|(_, calls)| calls.get(asked));
        answer.ok_or_else(|| self.replay.missing(asked.words(self.name())))
    }
}

fn answered<T: Clone>(outcome: &Answered<T>) -> Result<T, Failure> {
    match outcome {
        Answered::Answer(answer) => Ok(answer.clone()),
        Answered::Failure(failure) => Err(failure.clone()),
    }
}

impl Tree for ReplayedTree {
    fn name(&self) -> &str {
        self.recorded().map_or("", |(tree, _)| &tree.name)
    }

    fn location(&self) -> &str {
        self.recorded().map_or("", |(tree, _)| &tree.location)
    }

    fn stat(&self, path: &str) -> Result<Option<Entry>, Failure> {
        match self.ask(&Asked::Stat(path.to_owned()))? {
            TreeCall::Stat { outcome, .. } => answered(outcome),
            _ => Ok(None),
        }
    }

    fn list(&self, path: &str) -> Result<Vec<Entry>, Failure> {
        match self.ask(&Asked::List(path.to_owned()))? {
            TreeCall::List { outcome, .. } => answered(outcome),
            _ => Ok(Vec::new()),
        }
    }

    fn read(&self, path: &str, offset: u64, length: u32) -> Result<Vec<u8>, Failure> {
        match self.ask(&Asked::Read(path.to_owned(), offset, length))? {
            TreeCall::Read { outcome, .. } => answered(outcome).map(|Bytes(bytes)| bytes),
            _ => Ok(Vec::new()),
        }
    }
}

struct ReplayedProbe(Replay);

impl Probe for ReplayedProbe {
    fn run(&self, command: &Command) -> Result<Output, Failure> {
        let answer = self.0.0.commands.answer(command);
        answer.unwrap_or_else(|| {
            Err(self
                .0
                .missing(format!("the command `{}`", command.argv.join(" "))))
        })
    }
}

/// Answers to commands. Equal ones are answered in their order, and the last of them for ever.
pub(crate) struct Answers {
    commands: Vec<CommandCall>,
    used: Mutex<HashSet<usize>>,
}

impl Answers {
    pub(crate) fn new(commands: Vec<CommandCall>) -> Self {
        Self {
            commands,
            used: Mutex::default(),
        }
    }

    /// The next answer to this command; none where there is none at all.
    pub(crate) fn answer(&self, command: &Command) -> Option<Result<Output, Failure>> {
        let asked = CommandCall::new(command, Answered::Answer(Output::default().into()));
        let equal = self.commands.iter().enumerate();
        let equal: Vec<_> = equal.filter(|(_, call)| call.is(&asked)).collect();
        let mut used = lock(&self.used);
        let next = equal.iter().find(|(index, _)| !used.contains(index));
        let (index, call) = next.or(equal.last())?;
        used.insert(*index);
        Some(answered(&call.outcome).map(Output::from))
    }
}

#[cfg(test)]
mod tests;
