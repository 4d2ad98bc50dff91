//! Which entries of a directory are restored, and as what.

use std::collections::{BTreeSet, HashMap};

use super::exact::Found;
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
    /// Whether what the target has in its place is a directory where this is none, or the other way round, and has to give way.
    pub(super) displaces: bool,
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
                displaces: false,
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

    /// Takes out of what was found in the target what stays: it is one of the entries, of a kind that can be replaced in place or must not be
    /// overwritten, or it is spared. Gives the entries, by their place, that something else has to give way to, and the rest.
    pub(super) fn sort_out(
        &self,
        found: Vec<Found>,
        job: &Job<'_>,
    ) -> (Vec<(usize, Found)>, Vec<Found>) {
        let entries = self.entries.iter().enumerate();
        let names: HashMap<_, _> = entries
            .map(|(place, entry)| (entry.name(), (place, entry.node.kind)))
            .collect();
        let replaces = matches!(
            job.options.overwrite,
            Overwrite::Always | Overwrite::IfChanged
        );
        let (mut displaced, mut others) = (Vec::new(), Vec::new());
        for found in found {
            let name = found.name.to_bytes();
            match names.get(name) {
                Some((place, kind)) => {
                    let directories = [*kind == NodeKind::Directory, found.is_directory()];
                    if replaces && directories[0] != directories[1] && !self.spared.contains(name) {
                        displaced.push((*place, found));
                    }
                }
                None if self.spared.contains(name) => {}
                None => others.push(found),
            }
        }
        (displaced, others)
    }
}
