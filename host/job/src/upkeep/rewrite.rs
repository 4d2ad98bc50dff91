//! Making snapshots out of others, with some of their files left out.

use std::path::Path;

use copal_repository::format::snapshot::Snapshot;
use copal_repository::format::tree::{Node, NodeKind};
use copal_repository::pattern::Patterns;
use copal_repository::progress::Progress;
use copal_repository::rewriter::{self, Edit, Fate};
use copal_repository::walk::{self, Next};
use copal_repository::{LockGuard, Repository, SnapshotId, WriterOptions};
use copal_sandbox::name;
use serde::Serialize;

use super::successors::Successors;
use super::{consequence, is_own};
use crate::error::Error;
use crate::manifest::{Manifest, OWN, STREAMS};

/// How snapshots are rewritten.
#[derive(Clone, Debug, Default)]
pub struct RewriteOptions {
    /// What is left out. Copal's own in a snapshot is left out only by patterns that begin with `.copal` or `/.copal`.
    pub exclude: Patterns,
    /// Whether the snapshots that were rewritten are removed.
    pub forget: bool,
    /// Say what would be done, and change nothing.
    pub dry_run: bool,
    /// So many of the entries that are left out are named of each snapshot; the others are only counted.
    pub named: usize,
}

/// A snapshot that was rewritten, or would be.
#[derive(Clone, Debug, Serialize)]
pub struct RewrittenSnapshot {
    /// The snapshot as it was.
    pub snapshot: SnapshotId,
    /// The one that was made out of it; none in a dry run.
    pub replaced_by: Option<SnapshotId>,
    /// Entries that are left out, without those beneath a directory: the first of them.
    pub excluded: Vec<String>,
    /// How many are left out, with those beneath a directory, as far as it can be read.
    pub excluded_entries: u64,
    /// Bytes of the files among them.
    pub excluded_bytes: u64,
    /// What of Copal's own matches a pattern and stays all the same.
    pub spared: Vec<String>,
    /// What restores of it lack.
    pub consequences: Vec<String>,
}

/// The tag of a snapshot that was made out of another, which is still there.
const REWRITTEN_TAG: &str = "rewrite";

/// Rewrites these snapshots, and tells about those in which something is left out, or something of Copal's own would have been. What this machine
/// knows of a safety snapshot, it knows of the new one too, in its folder `state`.
///
/// # Errors
/// A snapshot can't be read, or not be rewritten without losing more than is asked for; the store fails; or the lock has lapsed, or is not
/// exclusive where old ones are to be removed. Then no snapshot has been removed.
pub fn rewrite_snapshots(
    repository: &Repository,
    snapshots: Vec<(SnapshotId, Snapshot)>,
    options: &RewriteOptions,
    lock: &LockGuard,
    state: &Path,
    progress: &dyn Progress,
) -> Result<Vec<RewrittenSnapshot>, Error> {
    let own = options.exclude.iter().filter(|pattern| {
        let text = pattern.to_string();
        let text = text.trim_start_matches(['!', '/']);
        text == OWN || text.starts_with(".copal/")
    });
    let own: Patterns = own.cloned().collect();
    let writer = match options.dry_run {
        true => None,
        false => Some(repository.writer(WriterOptions::default())?),
    };
    let mut rewritten = Vec::new();
    let mut new = Vec::new();
    for (id, snapshot) in snapshots {
        progress.part(&format!("Rewriting snapshot {}", id.short()));
        let mut excluder = Excluder {
            repository,
            exclude: &options.exclude,
            own: &own,
            named: options.named,
            excluded: Vec::new(),
            telling: Vec::new(),
            entries: 0,
            bytes: 0,
            spared: Vec::new(),
        };
        let tree = rewriter::rewrite(repository, &snapshot.tree, &mut excluder, writer.as_ref())?;
        let Excluder {
            excluded,
            telling,
            entries,
            bytes,
            spared,
            ..
        } = excluder;
        if entries == 0 && spared.is_empty() {
            continue;
        }
        // One that can't be read says nothing that could be missed.
        let manifest = Manifest::read(repository, &snapshot.tree).ok().flatten();
        rewritten.push(RewrittenSnapshot {
            snapshot: id,
            replaced_by: None,
            consequences: consequences(&telling, manifest.as_ref()),
            excluded,
            excluded_entries: entries,
            excluded_bytes: bytes,
            spared,
        });
        if tree == snapshot.tree {
            continue;
        }
        let mut tags = snapshot.tags.clone();
        if !options.forget && !tags.iter().any(|tag| tag == REWRITTEN_TAG) {
            tags.push(REWRITTEN_TAG.to_owned());
        }
        let mut excludes = snapshot.excludes.clone();
        excludes.extend(options.exclude.iter().map(ToString::to_string));
        let snapshot = Snapshot {
            tree,
            tags,
            excludes,
            original: Some(id),
            ..snapshot
        };
        new.push((rewritten.len() - 1, snapshot));
    }
    let Some(writer) = writer else {
        return Ok(rewritten);
    };
    writer.finish()?;
    lock.check()?;
    let successors = Successors::new(repository, state);
    let mut old = Vec::new();
    for (at, snapshot) in new {
        if let Some(rewritten) = rewritten.get_mut(at) {
            rewritten.replaced_by = Some(successors.save(&rewritten.snapshot, &snapshot)?);
            old.push(rewritten.snapshot);
        }
    }
    if options.forget {
        repository.forget(&old, lock)?;
    }
    Ok(rewritten)
}

/// What restores lack of which the manifest speaks.
fn consequences(excluded: &[String], manifest: Option<&Manifest>) -> Vec<String> {
    let mut found: Vec<_> = excluded
        .iter()
        .filter_map(|path| consequence(path))
        .collect();
    let Some(manifest) = manifest else {
        return found;
    };
    for root in &manifest.roots {
        if excluded.contains(&root.name) {
            found.push(format!("the whole root `{}` is left out", root.name));
        }
    }
    for stream in manifest.streams.iter().chain(&manifest.operator_streams) {
        let path = format!("{STREAMS}/{stream}");
        if excluded
            .iter()
            .any(|excluded| *excluded == path || excluded == STREAMS)
        {
            found.push(format!("the stream `{stream}` is left out"));
        }
    }
    found
}

struct Excluder<'a> {
    repository: &'a Repository,
    exclude: &'a Patterns,
    /// Those that mean what is Copal's own.
    own: &'a Patterns,
    named: usize,
    excluded: Vec<String>,
    /// What is left out and may mean something for a restore: Copal's own, whole roots and streams.
    telling: Vec<String>,
    entries: u64,
    bytes: u64,
    spared: Vec<String>,
}

impl Excluder<'_> {
    fn count(&mut self, node: &Node) {
        self.entries += 1;
        self.bytes = self.bytes.saturating_add(node.size);
    }
}

impl Edit for Excluder<'_> {
    fn entry(&mut self, path: &[u8], node: &Node) -> Result<Fate, copal_repository::Error> {
        if !self.exclude.match_path(path) {
            return Ok(Fate::Keep);
        }
        let shown = name::escape(path);
        if is_own(path) && !self.own.match_path(path) {
            if node.kind != NodeKind::Directory {
                self.spared.push(shown);
            }
            return Ok(Fate::Keep);
        }
        self.count(node);
        if let Some(tree) = &node.subtree {
            let repository = self.repository;
            let mut count = |_: &[u8], node: &Node| {
                self.count(node);
                Ok(Next::Continue)
            };
            match walk::walk(repository, tree, &mut count) {
                Err(error) if !error.is_loss() => return Err(error),
                _ => {}
            }
        }
        // A stream lies in the folder of all, and a root at the top.
        let streams = shown.strip_prefix(STREAMS);
        let rest = streams.and_then(|rest| rest.strip_prefix('/'));
        if is_own(path) || !rest.unwrap_or(&shown).contains('/') {
            self.telling.push(shown.clone());
        }
        if self.excluded.len() < self.named {
            self.excluded.push(shown);
        }
        Ok(Fate::Drop)
    }
}
