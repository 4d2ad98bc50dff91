//! What of a tree is saved, and how a restored one changes.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use copal_sdk::{Change, Direction, Entry, Failure, Filter, Finding, Owner, Pass, Verdict};
use serde::{Deserialize, Serialize};

use crate::archive::inspect::Inspector;
use crate::archive::owners::{Sizes, normaliser};
use crate::archive::selection::Selection;
use crate::archive::{SUFFIX, backup_name};
use crate::layout::{BACKUPS, DATA, Layout, beneath};

/// What a plan hands to its passes.
#[derive(Debug, Serialize, Deserialize)]
pub enum State {
    /// While a backup reads.
    Backup(Saving),
    /// While a restore puts in place.
    Restore(Placing),
}

/// What a backup reads.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Saving {
    /// Which archives.
    pub(crate) archives: Option<Selection>,
    /// How the data volume is laid out.
    pub(crate) layout: Option<Layout>,
    /// Whether all of Gitaly's own folder can be made anew.
    pub(crate) without_gitaly: bool,
}

/// What a restore changes.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Placing {
    /// Which archives; all where nothing is said.
    pub(crate) archives: Option<Selection>,
    /// Whom things are given to; none in a rehearsal.
    pub(crate) git: Option<Git>,
    /// Who owned them.
    pub(crate) was: Option<Git>,
    /// How the data volume is laid out.
    pub(crate) layout: Option<Layout>,
    /// The archives whose owners within change too, by their paths, with the sizes that this gives their members.
    pub(crate) within: BTreeMap<String, Sizes>,
}

/// The numbers of a user git and its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Git {
    /// The user's.
    pub uid: u32,
    /// The group's.
    pub gid: u32,
}

/// The pass.
pub struct GitlabPass {
    state: State,
    findings: Rc<RefCell<Vec<Finding>>>,
    /// Whether the archive that GitLab was to make is there, once the folder of backups was looked at, which one pass alone does.
    made: Option<bool>,
}

impl Pass for GitlabPass {
    type State = State;

    fn start(_direction: Direction, state: State) -> Result<Self, Failure> {
        Ok(Self {
            state,
            findings: Rc::default(),
            made: None,
        })
    }

    fn classify(&mut self, root: &str, entry: &Entry) -> Result<Verdict, Failure> {
        Ok(match &self.state {
            State::Backup(saving) => {
                let verdict = saving.verdict(root, entry);
                if root == BACKUPS && matches!(saving.archives, Some(Selection::AllBut(_))) {
                    *self.made.get_or_insert(false) |= verdict != Verdict::Skip;
                }
                verdict
            }
            State::Restore(placing) => placing.verdict(root, entry),
        })
    }

    fn open(&mut self, root: &str, entry: &Entry) -> Result<Box<dyn Filter>, Failure> {
        match &self.state {
            State::Backup(_) if root == BACKUPS => {
                Ok(Box::new(Inspector::new(&entry.path, self.findings.clone())))
            }
            State::Restore(Placing {
                git: Some(git),
                within,
                ..
            }) if within.contains_key(&entry.path) => {
                let sizes = within.get(&entry.path).cloned();
                Ok(normaliser(*git, sizes.unwrap_or_default()))
            }
            _ => Err(Failure::internal(
                "gitlab.filter",
                format!("there is no filter for {root}/{}", entry.path),
            )),
        }
    }

    fn finish(self) -> Result<Vec<Finding>, Failure> {
        if self.made == Some(false) {
            return Err(Failure::missing(
                "gitlab.create.none",
                format!("GitLab said that it made an archive, but there is no new *{SUFFIX}"),
            )
            .remedy("give the folder that GitLab writes its backups to as the root `backups`"));
        }
        Ok(self.findings.take())
    }
}

impl Saving {
    fn verdict(&self, root: &str, entry: &Entry) -> Verdict {
        match (root, &self.archives, self.layout) {
            (BACKUPS, Some(archives), _) => match backup_name(entry) {
                Some(name) if archives.holds(name) => Verdict::filter(),
                _ => Verdict::Skip,
            },
            (DATA, _, Some(layout)) if self.leaves_out(layout, &entry.path) => Verdict::Skip,
            _ => Verdict::Keep,
        }
    }

    /// Whether a path of the data volume is left out. A copy of `.gitaly-metadata` would pass one storage off as another.
    fn leaves_out(&self, layout: Layout, path: &str) -> bool {
        let gitaly = beneath(path, layout.repositories()).is_some_and(|path| match path {
            ".gitaly-metadata" | "+gitaly/tmp" | "+gitaly/cache" => true,
            "+gitaly" => self.without_gitaly,
            _ => false,
        });
        let emptied = layout.emptied().iter();
        let mut emptied = emptied.filter_map(|folder| beneath(path, folder));
        gitaly || emptied.any(|path| !path.contains('/'))
    }
}

impl Placing {
    fn verdict(&self, root: &str, entry: &Entry) -> Verdict {
        match root {
            BACKUPS => self.archive(entry),
            DATA => match (self.git, self.layout) {
                (Some(git), Some(layout)) => Verdict::Change(self.of_volume(layout, git, entry)),
                _ => Verdict::Keep,
            },
            _ => Verdict::Keep,
        }
    }

    /// Archives alone are placed: not the members that the host lists beside them, and nothing that counts as a leftover afterwards.
    fn archive(&self, entry: &Entry) -> Verdict {
        let Some(name) = backup_name(entry) else {
            return Verdict::Skip;
        };
        if self
            .archives
            .as_ref()
            .is_some_and(|archives| !archives.holds(name))
        {
            return Verdict::Skip;
        }
        let Some(git) = self.git else {
            return Verdict::Keep;
        };
        Verdict::Change(Change {
            mode: Some(0o600),
            owner: Some(numbers(git.uid, git.gid)),
            filter: self.within.contains_key(&entry.path),
            ..Change::none()
        })
    }

    /// What GitLab asks of the entries of a data volume. `chmod ug+rwX,o-rwx` and `g+s` on folders are its own advice for repositories; git never changes an
    /// object, and writes it for nobody to write to.
    fn of_volume(&self, layout: Layout, git: Git, entry: &Entry) -> Change {
        let path = entry.path.as_str();
        let is_in = |folder: &str| path == folder || beneath(path, folder).is_some();
        let of_git = layout.of_git().iter().any(|folder| is_in(folder));
        let in_repositories = is_in(layout.repositories());
        let owner = &entry.owner;
        let was_git =
            |number: u32, of: fn(Git) -> u32| self.was.is_some_and(|was| of(was) == number);
        let uid = if of_git || was_git(owner.uid, |git| git.uid) {
            git.uid
        } else {
            owner.uid
        };
        // Some folders are of another group, such as that of the web server.
        let gid =
            if in_repositories || (of_git && owner.gid == 0) || was_git(owner.gid, |git| git.gid) {
                git.gid
            } else {
                owner.gid
            };
        let mode = match (in_repositories, entry.is_directory(), entry.is_file()) {
            (true, true, _) => Some((entry.mode | 0o2770) & 0o2770),
            (true, _, true) => {
                let run = if entry.mode & 0o100 == 0 { 0 } else { 0o110 };
                let may = if is_object(path) { 0o440 } else { 0o660 };
                Some((entry.mode | may | run) & 0o770)
            }
            _ => None,
        };
        Change {
            mode: mode.filter(|mode| *mode != entry.mode),
            owner: Some(numbers(uid, gid)),
            ..Change::none()
        }
    }
}

/// Whether a path within the repositories is one of a repository's objects.
fn is_object(path: &str) -> bool {
    let within = path.split_once(".git/").map(|(_, within)| within);
    within.is_some_and(|path| path.starts_with("objects/"))
}

/// An owner by numbers alone: a name would be looked up on this host, where git is another than in a container.
fn numbers(uid: u32, gid: u32) -> Owner {
    Owner {
        uid,
        gid,
        user: String::new(),
        group: String::new(),
    }
}
