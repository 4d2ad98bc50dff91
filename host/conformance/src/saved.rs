//! What a pass makes of a tree: what would lie in the snapshot, or in the target of a restore.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use copal_sandbox::types::{Direction, Entry, Finding, Kind, Member, Owner, Verdict};
use copal_sandbox::{Plugin, Tree};

use crate::error::Error;
use crate::filter::{Filtered, chunks, content};
use crate::memory::{MemoryTree, entry};
use crate::walk::walk;

/// Bytes that are sent through a filter at once; an odd number, so that no line or block ends with it.
const CHUNK: usize = 40_961;

/// A tree after a pass.
#[derive(Clone, Debug)]
pub(crate) struct Saved {
    /// What there is now.
    pub(crate) tree: MemoryTree,
    /// What became of each entry, one line each, sorted by path.
    pub(crate) listing: String,
    /// The contents that a filter altered, by the paths that they have now.
    pub(crate) altered: BTreeMap<String, Vec<u8>>,
    /// What the pass said at its end.
    pub(crate) findings: Vec<Finding>,
}

/// Sends a tree through a pass that starts from `state`.
pub(crate) fn save(
    plugin: &Plugin,
    direction: Direction,
    state: &[u8],
    tree: &dyn Tree,
) -> Result<Saved, Error> {
    let mut pass = plugin.start_pass(direction, state)?;
    let mut saved = MemoryTree::new(tree.name(), "");
    let mut lines = BTreeMap::new();
    let mut altered = BTreeMap::new();
    for decided in walk(&mut pass, tree)? {
        if let Some(path) = decided.clash() {
            return Err(Error::Clash { path });
        }
        for (left_out, _) in decided
            .entries
            .iter()
            .filter(|(_, verdict)| *verdict == Verdict::Skip)
        {
            lines.insert(
                left_out.path.clone(),
                format!("left out  {}", left_out.path),
            );
        }
        for (old, path, change) in decided.kept() {
            let mut new = Entry {
                path: path.clone(),
                mode: change.mode.unwrap_or(old.mode),
                owner: change.owner.unwrap_or_else(|| old.owner.clone()),
                modified: change.modified.unwrap_or(old.modified),
                ..old.clone()
            };
            let mut now = Filtered::default();
            let mut filtered = false;
            if old.kind == Kind::File {
                let before = content(tree, &old.path)?;
                filtered = change.filter;
                now = match filtered {
                    true => {
                        let members = direction == Direction::Backup;
                        let pieces = before.chunks(CHUNK);
                        chunks(&mut pass, tree.name(), old, pieces, members)?
                    }
                    false => Filtered {
                        output: before.clone(),
                        members: Vec::new(),
                    },
                };
                new.size = now.output.len() as u64;
                if now.output != before {
                    altered.insert(path.clone(), now.output.clone());
                }
            }
            let line = line(old, &new, filtered, &now);
            lines.insert(old.path.clone(), line);
            saved.put(new, now.output);
        }
    }
    let mut listing = String::new();
    for line in lines.values() {
        listing += line;
        listing.push('\n');
    }
    Ok(Saved {
        tree: saved,
        listing,
        altered,
        findings: pass.finish()?,
    })
}

/// A stream through a filter, as a tree `streams` of that one file holds it.
pub(crate) fn save_stream(
    plugin: &Plugin,
    direction: Direction,
    state: &[u8],
    name: &str,
    content: &[u8],
) -> Result<(Filtered, Vec<Finding>), Error> {
    let mut pass = plugin.start_pass(direction, state)?;
    let members = direction == Direction::Backup;
    let pieces = content.chunks(CHUNK);
    let filtered = chunks(&mut pass, STREAMS, &stream_entry(name), pieces, members)?;
    Ok((filtered, pass.finish()?))
}

/// The root under which streams are sent through passes, and the tree of a snapshot that holds them.
pub const STREAMS: &str = "streams";

/// A stream as a pass sees it: its size is not known beforehand.
pub fn stream_entry(name: &str) -> Entry {
    Entry {
        mode: 0o600,
        ..entry(name, Kind::File)
    }
}

/// One line of the listing.
fn line(old: &Entry, new: &Entry, filtered: bool, now: &Filtered) -> String {
    let kind = match new.kind {
        Kind::File => "file",
        Kind::Directory => "directory",
        Kind::Symlink => "symlink",
        Kind::Fifo => "fifo",
        Kind::Socket => "socket",
        Kind::BlockDevice => "block-device",
        Kind::CharDevice => "char-device",
    };
    let mut line = format!(
        "{kind:9} {:04o} {} {}",
        new.mode,
        owner(&new.owner),
        new.path
    );
    // Writing to a String never fails.
    if let Some(target) = &new.link_target {
        let _ = write!(line, " -> {target}");
    }
    if new.path != old.path {
        let _ = write!(line, " (was {})", old.path);
    }
    if new.modified != old.modified {
        let time = new.modified;
        let _ = write!(line, " modified {}.{:09}", time.seconds, time.nanoseconds);
    }
    if new.kind == Kind::File {
        let _ = write!(line, ": {}", described(&now.output, filtered));
    }
    line + &members(&now.members)
}

/// Size and digest of a content, and whether it came through a filter.
pub(crate) fn described(content: &[u8], filtered: bool) -> String {
    let digest = copal_sandbox::digest(content);
    // Enough to tell contents apart.
    let digest = &digest[..16];
    let how = if filtered { ", filtered" } else { "" };
    format!("{} bytes, sha256 {digest}…{how}", content.len())
}

/// A line for each member.
pub(crate) fn members(members: &[Member]) -> String {
    let line = |member: &Member| {
        format!(
            "\n            member {} at {}, {} bytes",
            member.path, member.offset, member.length
        )
    };
    members.iter().map(line).collect()
}

fn owner(owner: &Owner) -> String {
    let names = match (owner.user.as_str(), owner.group.as_str()) {
        ("", "") => String::new(),
        (user, group) => format!("({user}:{group})"),
    };
    format!("{}:{}{names}", owner.uid, owner.gid)
}
