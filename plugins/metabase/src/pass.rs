//! What of a tree is saved, and what goes around a restored dump.

use std::cell::Cell;
use std::rc::Rc;

use copal_sdk::h2::{self, Header, HeaderGuard};
use copal_sdk::sql::{Decision, Load, Statement};
use copal_sdk::{Direction, Entry, Failure, Filter, Finding, Pass, Verdict};
use serde::{Deserialize, Serialize};

use crate::layout::{DATA, PLUGINS, is_bundled};

/// What a plan hands to its passes.
#[derive(Debug, Serialize, Deserialize)]
pub enum State {
    /// While a backup reads: the database's file in the root `data`, and what to do where it turns out to be open.
    Backup(Option<(String, Guard)>),
    /// While a restore feeds a dump: the SQL before and behind it in its transaction.
    Restore(String, String),
}

/// What an open database means while its file is being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Guard {
    /// Nobody was to open it: the copy is worth nothing.
    Refuse,
    /// Whoever had it open was stopped by force: H2 repairs the file when it opens it.
    Warn,
}

/// The pass.
pub struct MetabasePass {
    state: State,
    forced: Rc<Cell<bool>>,
}

impl Pass for MetabasePass {
    type State = State;

    fn start(_direction: Direction, state: State) -> Result<Self, Failure> {
        Ok(Self {
            state,
            forced: Rc::default(),
        })
    }

    fn classify(&mut self, root: &str, entry: &Entry) -> Result<Verdict, Failure> {
        Ok(match (&self.state, root) {
            (State::Backup(Some((file, _))), DATA) => {
                if entry.path == *file {
                    Verdict::filter()
                } else if leads_to(&entry.path, file) {
                    Verdict::Keep
                } else {
                    Verdict::Skip
                }
            }
            (State::Backup(_), PLUGINS) if is_bundled(entry.name()) => Verdict::Skip,
            _ => Verdict::Keep,
        })
    }

    fn open(&mut self, root: &str, entry: &Entry) -> Result<Box<dyn Filter>, Failure> {
        match &self.state {
            State::Backup(Some((file, guard))) if *file == entry.path => {
                let (guard, forced) = (*guard, self.forced.clone());
                Ok(Box::new(HeaderGuard::new(move |header| {
                    guard.check(header, &forced)
                })))
            }
            State::Restore(before, behind) => Ok(Box::new(
                Load::new(|_: &Statement| Ok(Decision::Keep))
                    .prepend(before)
                    .append(behind),
            )),
            State::Backup(_) => Err(Failure::internal(
                "metabase.filter",
                format!("there is no filter for {root}/{}", entry.path),
            )),
        }
    }

    fn finish(self) -> Result<Vec<Finding>, Failure> {
        let forced = self.forced.get().then(|| {
            Finding::warning(
                "metabase.h2.forced",
                "Metabase did not close its database before it ended, so it was stopped by force; H2 repairs the file when it opens it.",
            )
            .remedy("Give Metabase longer to stop, for a container with `--stop-timeout 60` when it is made.")
        });
        Ok(forced.into_iter().collect())
    }
}

/// Whether a path is that of a directory on the way to a file.
fn leads_to(path: &str, file: &str) -> bool {
    file.strip_prefix(path)
        .is_some_and(|rest| rest.starts_with('/'))
}

impl Guard {
    /// What the header of a database that is being saved says to this guard.
    fn check(self, header: Result<Header, h2::Error>, forced: &Cell<bool>) -> Result<(), Failure> {
        let header =
            header.map_err(|error| Failure::corrupt("metabase.h2.header", error.to_string()))?;
        match self {
            Self::Refuse if !header.clean => Err(Failure::corrupt(
                "metabase.h2.opened",
                "a process opened the database while it was being saved, and a copy of an open database is silently stale",
            )
            .remedy("keep Metabase stopped until the backup is done, or set `container` or `unit` so that it is stopped for you")),
            Self::Warn if !header.clean => {
                forced.set(true);
                Ok(())
            }
            Self::Refuse | Self::Warn => Ok(()),
        }
    }
}
