//! Passes and filters.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;

use crate::bindings::copal::plugin::types::{Entry, Failure, FailureKind, Finding};
use crate::bindings::exports::copal::plugin::transform::{
    Change, Direction, Filter, Guest, GuestFilter, GuestPass, Member, Pass, Verdict,
};
use crate::{Fickle, failure, is_filtered};

/// Files that are smaller than this are filtered as any plugin would.
const LARGE: usize = 1_000;

/// The state that must not come in part.
const WHOLE: &str = "damaged";

impl Guest for Fickle {
    type Pass = Watch;
    type Filter = Through;
}

/// A pass in this mode.
pub(crate) struct Watch {
    mode: String,
    seen: RefCell<HashSet<String>>,
    opened: Cell<u8>,
}

fn is_mode(mode: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_lowercase() || byte == b'-';
    mode.len() < 64 && mode.bytes().all(known)
}

impl GuestPass for Watch {
    fn start(_direction: Direction, state: Vec<u8>) -> Result<Pass, Failure> {
        let told = || failure(FailureKind::Internal, "fickle.state", "as told");
        let mode = String::from_utf8(state).map_err(|_| told())?;
        let part = !mode.is_empty() && mode != WHOLE && WHOLE.starts_with(&mode);
        assert!(!part, "as told");
        if mode == "start" || !is_mode(&mode) {
            return Err(told());
        }
        Ok(Pass::new(Self {
            mode,
            seen: RefCell::default(),
            opened: Cell::default(),
        }))
    }

    fn classify(&self, _root: String, entries: Vec<Entry>) -> Result<Vec<Verdict>, Failure> {
        let mut verdicts = Vec::new();
        for entry in &entries {
            let path = &entry.path;
            assert!(self.mode != "classify" || !path.contains(r"\x"), "as told");
            let again = !self.seen.borrow_mut().insert(path.clone());
            let change = Change {
                name: (self.mode == "names" && !path.contains('/')).then(|| "same".to_owned()),
                mode: None,
                owner: None,
                modified: None,
                filter: is_filtered(entry.kind, path),
            };
            verdicts.push(match self.mode.as_str() {
                "stable" if again => Verdict::Skip,
                "batches" if entries.len() == 1 => Verdict::Skip,
                _ if change.filter || change.name.is_some() => Verdict::Change(change),
                _ => Verdict::Keep,
            });
        }
        if self.mode == "total" {
            verdicts.pop();
        }
        Ok(verdicts)
    }

    fn open(&self, _root: String, _entry: Entry) -> Result<Filter, Failure> {
        self.opened.set(self.opened.get().saturating_add(1));
        Ok(Filter::new(Through {
            mode: self.mode.clone(),
            again: self.opened.get() > 1,
            pushes: Cell::default(),
            held: RefCell::default(),
            ended: Cell::default(),
        }))
    }

    fn finish(&self) -> Result<Vec<Finding>, Failure> {
        assert!(self.mode != "finish", "as told");
        Ok(Vec::new())
    }
}

/// Holds a file's bytes until all are there, and hands them through as one member.
pub(crate) struct Through {
    mode: String,
    /// Whether the pass had another filter before.
    again: bool,
    pushes: Cell<u8>,
    held: RefCell<Vec<u8>>,
    ended: Cell<u64>,
}

impl GuestFilter for Through {
    fn push(&self, chunk: Vec<u8>) -> Result<Vec<u8>, Failure> {
        assert!(self.mode != "filter" || !chunk.contains(&0), "as told");
        self.pushes.set(self.pushes.get().wrapping_add(1));
        self.held.borrow_mut().extend(chunk);
        Ok(Vec::new())
    }

    fn finish(&self) -> Result<Vec<u8>, Failure> {
        let mut output = self.held.take();
        let (large, pushes) = (output.len() >= LARGE, self.pushes.get());
        if let Some(first) = output.first_mut() {
            match self.mode.as_str() {
                "chunks" => *first = pushes,
                "filter-stable" if large && self.again && pushes == 1 => *first ^= 1,
                _ => {}
            }
        }
        let beyond = u64::from(self.mode == "members");
        self.ended.set(output.len() as u64 + beyond);
        Ok(output)
    }

    fn members(&self) -> Vec<Member> {
        match self.ended.take() {
            0 => Vec::new(),
            length => vec![Member {
                path: "all".to_owned(),
                offset: 0,
                length,
            }],
        }
    }
}
