//! A tree through a plugin's pass, as a job sends it.

use std::collections::HashSet;

use copal_sandbox::types::{Change, Entry, Kind, Verdict};
use copal_sandbox::{Pass, Tree};

use crate::error::Error;
use crate::memory::{join, split};

/// What a pass said of one directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    /// The directory's path.
    pub directory: String,
    /// The path that it will have.
    pub becomes: String,
    /// Its entries, each with its verdict.
    pub entries: Vec<(Entry, Verdict)>,
}

impl Decided {
    /// The entries that stay, each with the path that it will have and what is altered of it.
    pub fn kept(&self) -> impl Iterator<Item = (&Entry, String, Change)> {
        self.entries.iter().filter_map(|(entry, verdict)| {
            let change = match verdict {
                Verdict::Skip => return None,
                Verdict::Keep => Change::default(),
                Verdict::Change(change) => change.clone(),
            };
            let name = change.name.as_deref().unwrap_or(split(&entry.path).1);
            Some((entry, join(&self.becomes, name), change))
        })
    }

    /// The first name that two of the entries would have.
    pub fn clash(&self) -> Option<String> {
        let mut taken = HashSet::new();
        self.kept()
            .map(|(_, path, _)| path)
            .find(|path| !taken.insert(path.clone()))
    }
}

/// Walks a tree through a pass. A directory that is skipped is not entered; sockets are left out, as they are of a backup.
pub fn walk(pass: &mut Pass, tree: &dyn Tree) -> Result<Vec<Decided>, Error> {
    let mut all = Vec::new();
    let mut ahead = vec![(String::new(), String::new())];
    while let Some((directory, becomes)) = ahead.pop() {
        let mut entries = tree.list(&directory)?;
        entries.retain(|entry| entry.kind != Kind::Socket);
        if let Some(elsewhere) = entries
            .iter()
            .find(|entry| split(&entry.path).0 != directory)
        {
            return Err(Error::Unfit {
                path: elsewhere.path.clone(),
                problem: format!(
                    "it is listed in the directory `{directory}`, where it does not lie"
                ),
            });
        }
        if entries.is_empty() {
            continue;
        }
        let verdicts = pass.classify(tree.name(), &entries)?;
        let decided = Decided {
            directory,
            becomes,
            entries: entries.into_iter().zip(verdicts).collect(),
        };
        let directories = decided
            .kept()
            .filter(|(entry, ..)| entry.kind == Kind::Directory);
        let mut below: Vec<_> = directories
            .map(|(entry, path, _)| (entry.path.clone(), path))
            .collect();
        below.reverse();
        ahead.extend(below);
        all.push(decided);
    }
    Ok(all)
}
