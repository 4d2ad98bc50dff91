//! A plugin's passes as the repository's engine uses them: entries and names translated both ways.

use std::sync::{Arc, Mutex, PoisonError};

use copal_repository::format::Timestamp;
use copal_repository::format::tree::{Node, NodeKind};
use copal_repository::pass::{Change, Member, Owner, Pass, PassError, Passes, Verdict};
use copal_sandbox::types;
use copal_sandbox::types::{Direction, Entry, Finding, Kind};
use copal_sandbox::{self as sandbox, Plugin, name};

use crate::error::Error;

/// A plugin's passes over one root, in one direction.
pub(crate) struct PluginPasses<'a> {
    plugin: &'a Plugin,
    direction: Direction,
    state: &'a [u8],
    root: &'a str,
    same_since: Option<Timestamp>,
    ended: Arc<Mutex<Ended>>,
}

/// What passes left when they ended.
#[derive(Default)]
struct Ended {
    findings: Vec<Finding>,
    error: Option<sandbox::Error>,
}

impl<'a> PluginPasses<'a> {
    pub(crate) fn new(
        plugin: &'a Plugin,
        direction: Direction,
        state: &'a [u8],
        root: &'a str,
    ) -> Self {
        Self {
            plugin,
            direction,
            state,
            root,
            same_since: None,
            ended: Arc::default(),
        }
    }

    /// The same passes, which did the same in the backup of the parent snapshot, if that began at some time.
    pub(crate) fn repeating(mut self, began: Option<Timestamp>) -> Self {
        self.same_since = began;
        self
    }

    /// What the passes had to say, once all of them are dropped.
    pub(crate) fn finish(self) -> Result<Vec<Finding>, Error> {
        let ended = std::mem::take(&mut *self.ended.lock().unwrap_or_else(PoisonError::into_inner));
        match ended.error {
            Some(error) => Err(error.into()),
            None => Ok(ended.findings),
        }
    }
}

impl Passes for PluginPasses<'_> {
    fn start(&self) -> Result<Box<dyn Pass>, PassError> {
        let pass = self
            .plugin
            .start_pass(self.direction, self.state)
            .map_err(fatal)?;
        Ok(Box::new(PluginPass {
            pass: Some(pass),
            root: self.root.to_owned(),
            ended: self.ended.clone(),
        }))
    }

    fn same_since(&self) -> Option<Timestamp> {
        self.same_since
    }
}

struct PluginPass {
    /// None once it has ended.
    pass: Option<sandbox::Pass>,
    root: String,
    ended: Arc<Mutex<Ended>>,
}

impl PluginPass {
    fn pass(&mut self) -> Result<&mut sandbox::Pass, PassError> {
        self.pass
            .as_mut()
            .ok_or_else(|| PassError::Fatal("the pass has ended".into()))
    }
}

impl Pass for PluginPass {
    fn classify(&mut self, directory: &[u8], entries: &[Node]) -> Result<Vec<Verdict>, PassError> {
        let mut prefix = name::escape(directory);
        if !prefix.is_empty() {
            prefix.push('/');
        }
        let entries: Vec<_> = entries
            .iter()
            .map(|node| entry(format!("{prefix}{}", name::escape(&node.name)), node))
            .collect();
        let root = self.root.clone();
        let verdicts = self
            .pass()?
            .classify(&root, &entries)
            .map_err(item_or_fatal)?;
        verdicts.into_iter().map(verdict).collect()
    }

    fn open(&mut self, path: &[u8], node: &Node) -> Result<(), PassError> {
        let root = self.root.clone();
        self.pass()?
            .open(&root, &entry(name::escape(path), node))
            .map_err(item_or_fatal)
    }

    fn push(&mut self, chunk: &[u8]) -> Result<Vec<u8>, PassError> {
        self.pass()?.push(chunk).map_err(item_or_fatal)
    }

    fn finish_file(&mut self) -> Result<Vec<u8>, PassError> {
        self.pass()?.finish_filter().map_err(item_or_fatal)
    }

    fn members(&mut self) -> Result<Vec<Member>, PassError> {
        let members = self.pass()?.members().map_err(item_or_fatal)?;
        let member = |member: types::Member| {
            let path = name::unescape(&member.path);
            Ok(Member {
                path: path.map_err(|error| PassError::Fatal(Box::new(error)))?,
                offset: member.offset,
                length: member.length,
            })
        };
        members.into_iter().map(member).collect()
    }
}

impl Drop for PluginPass {
    fn drop(&mut self) {
        let Some(finished) = self.pass.take().map(sandbox::Pass::finish) else {
            return;
        };
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        match finished {
            Ok(findings) => ended.findings.extend(findings),
            Err(error) => ended.error = ended.error.take().or(Some(error)),
        }
    }
}

/// A failure that the plugin returned concerns the item alone; anything else means that the plugin can't go on.
fn item_or_fatal(error: sandbox::Error) -> PassError {
    match error {
        sandbox::Error::Guest(failure) => {
            PassError::Item(format!("{} ({})", failure.message, failure.code))
        }
        error => fatal(error),
    }
}

fn fatal(error: sandbox::Error) -> PassError {
    PassError::Fatal(Box::new(error))
}

/// A node as the contract describes it, under its spelt path.
pub(crate) fn entry(path: String, node: &Node) -> Entry {
    Entry {
        path,
        kind: match node.kind {
            NodeKind::Directory => Kind::Directory,
            NodeKind::Symlink => Kind::Symlink,
            NodeKind::BlockDevice => Kind::BlockDevice,
            NodeKind::CharacterDevice => Kind::CharDevice,
            NodeKind::Fifo => Kind::Fifo,
            NodeKind::Socket => Kind::Socket,
            NodeKind::File | NodeKind::Irregular => Kind::File,
        },
        size: node.size,
        mode: node.mode,
        owner: types::Owner {
            uid: node.uid,
            gid: node.gid,
            user: node.user.clone(),
            group: node.group.clone(),
        },
        modified: types::Timestamp {
            seconds: node.modified.seconds,
            nanoseconds: node.modified.nanoseconds,
        },
        link_target: (node.kind == NodeKind::Symlink).then(|| name::escape(&node.link_target)),
    }
}

fn verdict(verdict: types::Verdict) -> Result<Verdict, PassError> {
    let change = match verdict {
        types::Verdict::Keep => return Ok(Verdict::Keep),
        types::Verdict::Skip => return Ok(Verdict::Skip),
        types::Verdict::Change(change) => change,
    };
    let name = change.name.map(|spelt| name::unescape(&spelt)).transpose();
    Ok(Verdict::Change(Change {
        name: name.map_err(|error| PassError::Fatal(Box::new(error)))?,
        mode: change.mode,
        owner: change.owner.map(|owner| Owner {
            uid: owner.uid,
            gid: owner.gid,
            user: owner.user,
            group: owner.group,
        }),
        modified: change
            .modified
            .map(|time| Timestamp::utc(time.seconds, time.nanoseconds)),
        filter: change.filter,
    }))
}
