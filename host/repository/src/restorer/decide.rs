//! Which entries of a directory are restored, and as what.

use std::collections::{BTreeSet, HashMap};

use rustix::fs::FileType;

use super::{Job, Overwrite};
use crate::error::Error;
use crate::format::tree::{Node, NodeKind};
use crate::pass::{Change, LazyPass, Verdict, is_file_name};
use crate::progress::join;

/// An entry that is restored, or leads to what is.
pub(super) struct Entry {
    pub(super) node: Node,
    /// What to alter of it.
    pub(super) change: Change,
    /// Whether it is restored itself.
    pub(super) chosen: bool,
}

impl Entry {
    /// The name that it gets.
    pub(super) fn name(&self) -> &[u8] {
        self.change.name.as_ref().unwrap_or(&self.node.name)
    }
}

/// What becomes of the entries of a directory.
#[derive(Default)]
pub(super) struct Decided {
    pub(super) entries: Vec<Entry>,
    /// Names of those that are not restored, so that what the target has in their place stays.
    spared: BTreeSet<Vec<u8>>,
}

impl Decided {
    /// What becomes of `nodes`, all of the directory `source` of the snapshot. No name that it lets through leads anywhere else.
    pub(super) fn of(
        mut nodes: Vec<Node>,
        source: &[u8],
        job: &Job<'_>,
        pass: &mut LazyPass<'_>,
    ) -> Result<Self, Error> {
        let path = |name: &[u8]| join(source, name);
        nodes.retain(|node| {
            let fit = is_file_name(&node.name);
            if !fit {
                let message = "its name can't stand in a directory: refused";
                job.item_error(&path(&node.name), message);
            }
            fit
        });
        let verdicts = pass.classify(source, &nodes)?;
        let mut names = BTreeSet::new();
        let mut decided = Self::default();
        for (node, verdict) in nodes.into_iter().zip(verdicts) {
            let at = path(&node.name);
            let chosen = job.options.has(&at);
            let leads = node.kind == NodeKind::Directory && job.options.may_have_beneath(&at);
            if !chosen && !leads {
                if let Ok(Verdict::Change(Change { name, .. })) = verdict {
                    decided.spared.extend(name);
                }
                job.summary(|summary| summary.left_out += 1);
                decided.spared.insert(node.name);
                continue;
            }
            let change = match verdict {
                Ok(Verdict::Keep) => Change::default(),
                Ok(Verdict::Change(change)) => change,
                Ok(Verdict::Skip) => {
                    job.summary(|summary| summary.skipped += 1);
                    decided.spared.insert(node.name);
                    continue;
                }
                Err(message) => {
                    job.item_error(&at, message);
                    decided.spared.insert(node.name);
                    continue;
                }
            };
            let entry = Entry {
                node,
                change,
                chosen,
            };
            if !is_file_name(entry.name()) {
                let message = format!("can't be renamed to `{}`", entry.name().escape_ascii());
                job.item_error(&at, message);
                decided.spared.insert(entry.node.name);
            } else if !names.insert(entry.name().to_vec()) {
                let message = "another entry of the directory has the same name";
                job.item_error(&at, message);
            } else {
                decided.entries.push(entry);
            }
        }
        Ok(decided)
    }

    /// Whether what has a name in the target stays there: it is one of the entries, of a kind that can be replaced in place, or it is spared, not
    /// chosen, or must not be overwritten.
    pub(super) fn stays<'a>(
        &'a self,
        source: &'a [u8],
        job: &'a Job<'_>,
    ) -> impl Fn(&[u8], FileType) -> bool + 'a {
        let entries = self.entries.iter();
        let directories: HashMap<_, _> = entries
            .map(|entry| (entry.name(), entry.node.kind == NodeKind::Directory))
            .collect();
        let replaces = matches!(
            job.options.overwrite,
            Overwrite::Always | Overwrite::IfChanged
        );
        move |name, kind| {
            let same = directories
                .get(name)
                .is_some_and(|&directory| !replaces || directory == (kind == FileType::Directory));
            same || kind == FileType::Socket
                || self.spared.contains(name)
                || !job.options.has(&join(source, name))
        }
    }
}
