//! What of a tree is saved, and how a restored one changes.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::rc::Rc;

use copal_sdk::h2::{self, Header, HeaderGuard};
use copal_sdk::{Direction, Entry, Failure, Filter, Finding, Pass, Verdict};
use serde::{Deserialize, Serialize};

/// What a plan hands to its passes.
#[derive(Debug, Serialize, Deserialize)]
pub enum State {
    /// While a backup reads.
    Backup(Saving),
    /// While a restore puts in place.
    Restore(Placing),
}

/// What a backup leaves out and watches.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Saving {
    /// The root that the paths are of.
    pub(crate) root: String,
    /// Paths to leave out.
    pub(crate) without: BTreeSet<String>,
    /// The folder of the builds, and the ids to keep of them.
    pub(crate) builds: Option<(String, BTreeSet<String>)>,
    /// The database's folder.
    pub(crate) database_folder: String,
    /// The database's file, and what to do where it turns out to be open.
    pub(crate) guard: Option<(String, Guard)>,
}

/// What an open database means while its file is being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Guard {
    /// Nobody was to open it: the copy is worth nothing.
    Refuse,
    /// Whoever had it open was stopped by force: H2 repairs the file when it opens it.
    Warn,
}

/// What a restore changes.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Placing {
    /// The root of `INSTALL.json`, the paths where it lies and its new content.
    pub(crate) install: Option<(String, Vec<String>, String)>,
}

/// The pass.
pub struct JpomPass {
    state: State,
    forced: Rc<Cell<bool>>,
}

impl Pass for JpomPass {
    type State = State;

    fn start(_direction: Direction, state: State) -> Result<Self, Failure> {
        Ok(Self {
            state,
            forced: Rc::default(),
        })
    }

    fn classify(&mut self, root: &str, entry: &Entry) -> Result<Verdict, Failure> {
        Ok(match &self.state {
            State::Backup(saving) if saving.root == root => saving.verdict(entry),
            State::Restore(Placing {
                install: Some((of, paths, _)),
            }) if of == root && paths.contains(&entry.path) => Verdict::filter(),
            _ => Verdict::Keep,
        })
    }

    fn open(&mut self, root: &str, entry: &Entry) -> Result<Box<dyn Filter>, Failure> {
        match &self.state {
            State::Backup(Saving {
                guard: Some((path, guard)),
                ..
            }) if *path == entry.path => {
                let (guard, forced) = (*guard, self.forced.clone());
                Ok(Box::new(HeaderGuard::new(move |header| {
                    guard.check(header, &forced)
                })))
            }
            State::Restore(Placing {
                install: Some((.., content)),
            }) => Ok(Box::new(Replacement(content.clone()))),
            _ => Err(Failure::internal(
                "jpom.filter",
                format!("there is no filter for {root}/{}", entry.path),
            )),
        }
    }

    fn finish(self) -> Result<Vec<Finding>, Failure> {
        let forced = self.forced.get().then(|| {
            Finding::warning(
                "jpom.h2.forced",
                "Jpom did not close its database before it ended, so it was stopped by force; H2 repairs the file when it opens it.",
            )
            .remedy("Give Jpom longer to stop, for a container with `--stop-timeout 60` when it is made.")
        });
        Ok(forced.into_iter().collect())
    }
}

impl Saving {
    fn verdict(&self, entry: &Entry) -> Verdict {
        let path = entry.path.as_str();
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        // Locks and half-made files of H2, which it removes or overwrites when it opens the database.
        let passing = [".lock.db", ".mv.db.tempFile", ".mv.db.newFile"];
        let in_database =
            folder == self.database_folder && passing.iter().any(|end| name.ends_with(end));
        let left_build = self.builds.as_ref().is_some_and(|(builds, kept)| {
            folder == builds && entry.is_directory() && !kept.contains(name)
        });
        if in_database || left_build || self.without.contains(path) {
            Verdict::Skip
        } else if self.guard.as_ref().is_some_and(|(file, _)| file == path) {
            Verdict::filter()
        } else {
            Verdict::Keep
        }
    }
}

impl Guard {
    /// What the header of a database that is being saved says to this guard.
    fn check(self, header: Result<Header, h2::Error>, forced: &Cell<bool>) -> Result<(), Failure> {
        let header =
            header.map_err(|error| Failure::corrupt("jpom.h2.header", error.to_string()))?;
        match self {
            Self::Refuse if !header.clean => Err(Failure::corrupt(
                "jpom.h2.opened",
                "a process opened the database while it was being saved, and a copy of an open database is silently stale",
            )
            .remedy("keep Jpom stopped until the backup is done, or set `container` or `unit` so that it is stopped for you")),
            Self::Warn if !header.clean => {
                forced.set(true);
                Ok(())
            }
            Self::Refuse | Self::Warn => Ok(()),
        }
    }
}

/// Puts other content in a file's place.
struct Replacement(String);

impl Filter for Replacement {
    fn push(&mut self, _chunk: &[u8], _out: &mut Vec<u8>) -> Result<(), Failure> {
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Failure> {
        out.extend_from_slice(self.0.as_bytes());
        Ok(())
    }
}
