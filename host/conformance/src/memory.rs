//! A tree in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use copal_sandbox::tree::{MAX_LIST, MAX_READ};
use copal_sandbox::types::{Entry, Failure, FailureKind, Kind, Owner, Timestamp};
use copal_sandbox::{Tree, name};

/// Symlinks that are followed on the way to one entry, as Linux does.
const MAX_HOPS: u32 = 40;

/// When everything in a tree was modified unless it is said otherwise: 2026-01-01T00:00:00Z.
pub const EPOCH: Timestamp = Timestamp {
    seconds: 1_767_225_600,
    nanoseconds: 0,
};

/// A tree made of entries and contents in memory. It resolves paths and follows symlinks as [`copal_sandbox::Directory`] does.
#[derive(Clone, Debug)]
pub struct MemoryTree {
    name: String,
    location: String,
    nodes: BTreeMap<String, Node>,
}

#[derive(Clone, Debug)]
struct Node {
    entry: Entry,
    content: Arc<[u8]>,
    /// The names of a directory's entries.
    children: Vec<String>,
}

impl MemoryTree {
    /// An empty tree of the root `name`; `location` is empty for a tree inside a snapshot.
    pub fn new(name: impl Into<String>, location: impl Into<String>) -> Self {
        let top = Node {
            entry: entry("", Kind::Directory),
            content: [].into(),
            children: Vec::new(),
        };
        Self {
            name: name.into(),
            location: location.into(),
            nodes: BTreeMap::from([(String::new(), top)]),
        }
    }

    /// The same tree under another name and location.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>, location: impl Into<String>) -> Self {
        self.name = name.into();
        self.location = location.into();
        self
    }

    /// Adds a file of mode 0644.
    #[must_use]
    pub fn file(mut self, path: &str, content: impl Into<Vec<u8>>) -> Self {
        let content = content.into();
        let size = content.len() as u64;
        self.put(
            Entry {
                size,
                ..entry(path, Kind::File)
            },
            content,
        );
        self
    }

    /// Adds an entry with its content in the place of what was there; directories above it are made where they are absent. The entry's size
    /// stays as it is given, so that it may lie.
    pub fn put(&mut self, entry: Entry, content: impl Into<Arc<[u8]>>) {
        let path = entry.path.clone();
        let content = content.into();
        if let Some(there) = self.nodes.get_mut(&path)
            && there.entry.kind == Kind::Directory
            && entry.kind == Kind::Directory
        {
            there.entry = entry;
            return;
        }
        self.remove(&path);
        let (parent, last) = split(&path);
        let is_directory = |node: &Node| node.entry.kind == Kind::Directory;
        if !self.nodes.get(parent).is_some_and(is_directory) {
            self.put(self::entry(parent, Kind::Directory), []);
        }
        if let Some(parent) = self.nodes.get_mut(parent) {
            parent.children.push(last.to_owned());
        }
        let children = Vec::new();
        self.nodes.insert(
            path,
            Node {
                entry,
                content,
                children,
            },
        );
    }

    /// Removes an entry with all beneath it; the tree's own directory stays.
    pub fn remove(&mut self, path: &str) {
        if path.is_empty() || !self.nodes.contains_key(path) {
            return;
        }
        let beneath = format!("{path}/");
        self.nodes
            .retain(|other, _| other != path && !other.starts_with(&beneath));
        let (parent, last) = split(path);
        if let Some(parent) = self.nodes.get_mut(parent) {
            parent.children.retain(|name| name != last);
        }
    }

    /// The entry at exactly this path, and its content; no symlink is followed.
    pub fn get(&self, path: &str) -> Option<(&Entry, &Arc<[u8]>)> {
        let node = self.nodes.get(path)?;
        Some((&node.entry, &node.content))
    }

    /// All entries but the tree's own directory, sorted by their paths, each with its content.
    pub fn iter(&self) -> impl Iterator<Item = (&Entry, &Arc<[u8]>)> {
        let below = self.nodes.iter().filter(|(path, _)| !path.is_empty());
        below.map(|(_, node)| (&node.entry, &node.content))
    }

    /// Where `path` leads once the symlinks on the way are followed, and the one that it is itself where `last` says so.
    fn resolve(&self, path: &str, last: bool) -> Result<Option<&Node>, Failure> {
        let mut ahead: Vec<&str> = path.split('/').rev().collect();
        let mut here = String::new();
        let mut hops = 0;
        while let Some(name) = ahead.pop() {
            match name {
                "" | "." => continue,
                ".." if here.is_empty() => return Err(self.outside(path)),
                ".." => {
                    here.truncate(here.rfind('/').unwrap_or(0));
                    continue;
                }
                _ => {}
            }
            let parent = here.len();
            here = join(&here, name);
            let Some(node) = self.nodes.get(&here) else {
                return Ok(None);
            };
            if let Some(target) = &node.entry.link_target
                && (last || !ahead.is_empty())
            {
                hops += 1;
                if target.starts_with('/') {
                    return Err(self.outside(path));
                }
                if hops > MAX_HOPS {
                    return Err(Failure::new(
                        FailureKind::Unavailable,
                        "copal.path.unreadable",
                        format!("`{}` has too many symlinks", self.shown(path)),
                    ));
                }
                here.truncate(parent);
                ahead.extend(target.split('/').rev());
            }
        }
        Ok(self.nodes.get(&here))
    }

    fn shown(&self, path: &str) -> String {
        join(&self.name, path)
    }

    fn outside(&self, path: &str) -> Failure {
        let message = format!(
            "`{}` leads out of the root `{}`",
            self.shown(path),
            self.name
        );
        Failure::new(FailureKind::Denied, "copal.path.outside", message)
    }

    fn missing(&self, path: &str) -> Failure {
        let message = format!("there is no `{}`", self.shown(path));
        Failure::new(FailureKind::Missing, "copal.path.missing", message)
    }
}

impl Tree for MemoryTree {
    fn name(&self) -> &str {
        &self.name
    }

    fn location(&self) -> &str {
        &self.location
    }

    fn stat(&self, path: &str) -> Result<Option<Entry>, Failure> {
        let node = self.resolve(path, false)?;
        Ok(node.map(|node| Entry {
            path: path.to_owned(),
            ..node.entry.clone()
        }))
    }

    fn list(&self, path: &str) -> Result<Vec<Entry>, Failure> {
        let directory = self
            .resolve(path, true)?
            .filter(|node| node.entry.kind == Kind::Directory)
            .ok_or_else(|| self.missing(path))?;
        if directory.children.len() > MAX_LIST {
            let message = format!("`{}` holds more than {MAX_LIST} entries", self.shown(path));
            return Err(Failure::new(
                FailureKind::Unavailable,
                "copal.tree.too-many",
                message,
            ));
        }
        let mut entries: Vec<Entry> = directory
            .children
            .iter()
            .filter_map(|name| {
                let node = self.nodes.get(&join(&directory.entry.path, name))?;
                Some(Entry {
                    path: join(path, name),
                    ..node.entry.clone()
                })
            })
            .collect();
        entries
            .sort_by_cached_key(|entry| name::unescape(split(&entry.path).1).unwrap_or_default());
        Ok(entries)
    }

    fn read(&self, path: &str, offset: u64, length: u32) -> Result<Vec<u8>, Failure> {
        let node = self
            .resolve(path, true)?
            .ok_or_else(|| self.missing(path))?;
        if node.entry.kind != Kind::File {
            let message = format!("`{}` is not a file", self.shown(path));
            return Err(Failure::new(
                FailureKind::Missing,
                "copal.path.not-a-file",
                message,
            ));
        }
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        let rest = node.content.get(offset..).unwrap_or_default();
        let length = rest.len().min(length.min(MAX_READ) as usize);
        Ok(rest.get(..length).unwrap_or_default().to_vec())
    }
}

/// An entry as a person would have made it: their own, readable by all, of [`EPOCH`].
pub(crate) fn entry(path: &str, kind: Kind) -> Entry {
    Entry {
        path: path.to_owned(),
        kind,
        size: 0,
        mode: match kind {
            Kind::Directory => 0o755,
            Kind::Symlink => 0o777,
            _ => 0o644,
        },
        owner: user(),
        modified: EPOCH,
        link_target: None,
    }
}

/// The owner of what nobody else owns.
pub(crate) fn user() -> Owner {
    Owner {
        uid: 1000,
        gid: 1000,
        user: "user".to_owned(),
        group: "user".to_owned(),
    }
}

/// The path of `name` beneath `path`; `path` itself where the name is empty.
pub(crate) fn join(path: &str, name: &str) -> String {
    match (path, name) {
        ("", name) => name.to_owned(),
        (path, "") => path.to_owned(),
        (path, name) => format!("{path}/{name}"),
    }
}

/// The directory that `path` lies in, and its last name.
pub(crate) fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(path: &str, target: &str) -> Entry {
        Entry {
            link_target: Some(target.to_owned()),
            ..entry(path, Kind::Symlink)
        }
    }

    fn sample() -> MemoryTree {
        let mut tree = MemoryTree::new("home", "/home").file("a/b/file", "0123456789");
        for (path, target) in [
            ("a/link", "b/file"),
            ("over", "a/../a/b"),
            ("out", "../../etc"),
            ("absolute", "/etc"),
            ("loop", "loop"),
        ] {
            tree.put(link(path, target), []);
        }
        tree
    }

    #[test]
    fn symlinks_are_followed_within_the_tree_and_not_out_of_it() {
        let tree = sample();
        for path in ["a/b/file", "a/link", "over/file"] {
            assert_eq!(tree.read(path, 3, 4).unwrap(), b"3456", "{path}");
        }
        for (path, kind) in [
            ("none", FailureKind::Missing),
            ("a/b", FailureKind::Missing),
            ("out/passwd", FailureKind::Denied),
            ("absolute", FailureKind::Denied),
            ("loop", FailureKind::Unavailable),
        ] {
            assert_eq!(tree.read(path, 0, 1).unwrap_err().kind, kind, "{path}");
        }
        assert_eq!(tree.stat("a/link").unwrap().unwrap().kind, Kind::Symlink);
        assert_eq!(tree.list("over").unwrap()[0].path, "over/file");
    }

    #[test]
    fn what_is_put_takes_the_place_of_what_was_there_with_all_beneath() {
        let mut tree = sample();
        tree.put(entry("a/b", Kind::Fifo), []);
        assert!(tree.get("a/b/file").is_none());
        tree.put(entry("a/b/c", Kind::Directory), []);
        assert_eq!(tree.get("a/b").unwrap().0.kind, Kind::Directory);
        let names: Vec<_> = tree.list("a").unwrap();
        let names: Vec<_> = names.iter().map(|entry| entry.path.as_str()).collect();
        assert_eq!(names, ["a/b", "a/link"]);
    }
}
