//! A tree in memory.

use std::collections::BTreeMap;

use super::NOW;
use crate::{Entry, Failure, Kind, Owner, READ_LIMIT, Tree, name};

/// A tree made of entries and contents in memory. Missing parents are made.
///
/// ```
/// use copal_sdk::Tree;
/// use copal_sdk::testing::MemoryTree;
///
/// let home = MemoryTree::new("home")
///     .file("conf/application.yml", "jpom: {}")
///     .symlink("current", "conf");
/// assert_eq!(home.read_to_string("current/application.yml", 100)?, "jpom: {}");
/// # Ok::<(), copal_sdk::Failure>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryTree {
    name: String,
    nodes: BTreeMap<String, Node>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Node {
    entry: Entry,
    content: Vec<u8>,
}

impl MemoryTree {
    /// An empty tree of the root `name`.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            nodes: BTreeMap::new(),
        }
        .directory("")
    }

    /// Adds a file of mode 0o644.
    #[must_use]
    pub fn file(self, path: &str, content: impl Into<Vec<u8>>) -> Self {
        self.node(entry(path, Kind::File, 0o644), content)
    }

    /// Adds a directory of mode 0o755.
    #[must_use]
    pub fn directory(self, path: &str) -> Self {
        self.node(entry(path, Kind::Directory, 0o755), "")
    }

    /// Adds a symlink.
    #[must_use]
    pub fn symlink(self, path: &str, target: &str) -> Self {
        let link = Entry {
            link_target: Some(target.to_owned()),
            ..entry(path, Kind::Symlink, 0o777)
        };
        self.node(link, "")
    }

    /// Adds an entry of any kind; its size becomes the content's.
    #[must_use]
    pub fn node(mut self, mut entry: Entry, content: impl Into<Vec<u8>>) -> Self {
        if let Some((parent, _)) = entry.path.rsplit_once('/')
            && !self.nodes.contains_key(parent)
        {
            self = self.directory(parent);
        }
        let content = content.into();
        entry.size = content.len() as u64;
        self.nodes
            .insert(entry.path.clone(), Node { entry, content });
        self
    }

    /// The paths of all entries but the root, sorted.
    pub fn paths(&self) -> Vec<&str> {
        self.nodes.keys().skip(1).map(String::as_str).collect()
    }

    /// The node at `path` once the symlinks on the way to it are followed, and the one that it is itself where `last` says so.
    fn resolve(&self, path: &str, last: bool) -> Option<&Node> {
        let mut ahead: Vec<String> = path.split('/').rev().map(str::to_owned).collect();
        let mut here = String::new();
        let mut hops = 0;
        while let Some(name) = ahead.pop() {
            match name.as_str() {
                "" | "." => continue,
                // A symlink out of the tree leads nowhere.
                ".." if here.is_empty() => return None,
                ".." => {
                    here.truncate(here.rfind('/').unwrap_or(0));
                    continue;
                }
                _ => {}
            }
            let parent = here.len();
            if !here.is_empty() {
                here.push('/');
            }
            here.push_str(&name);
            let node = self.nodes.get(&here)?;
            if let Some(target) = &node.entry.link_target
                && (last || !ahead.is_empty())
            {
                hops += 1;
                if hops > 40 || target.starts_with('/') {
                    return None;
                }
                here.truncate(parent);
                ahead.extend(target.split('/').rev().map(str::to_owned));
            }
        }
        self.nodes.get(&here)
    }

    fn missing(&self, what: &str, path: &str) -> Failure {
        Failure::missing(
            "copal.path.missing",
            format!("no {what} at {}/{path}", self.name),
        )
    }
}

fn entry(path: &str, kind: Kind, mode: u32) -> Entry {
    Entry {
        path: path.to_owned(),
        kind,
        size: 0,
        mode,
        owner: Owner {
            uid: 1000,
            gid: 1000,
            user: "user".to_owned(),
            group: "user".to_owned(),
        },
        modified: NOW,
        link_target: None,
    }
}

impl Tree for MemoryTree {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn location(&self) -> String {
        format!("/memory/{}", self.name)
    }

    fn stat(&self, path: &str) -> Result<Option<Entry>, Failure> {
        let node = self.resolve(path, false);
        Ok(node.map(|node| Entry {
            path: path.to_owned(),
            ..node.entry.clone()
        }))
    }

    fn list(&self, path: &str) -> Result<Vec<Entry>, Failure> {
        let directory = self
            .resolve(path, true)
            .filter(|node| node.entry.is_directory())
            .ok_or_else(|| self.missing("directory", path))?;
        let mut entries: Vec<Entry> = self
            .nodes
            .values()
            .filter(|node| !node.entry.path.is_empty())
            .filter(|node| {
                let parent = node
                    .entry
                    .path
                    .rsplit_once('/')
                    .map_or("", |(parent, _)| parent);
                parent == directory.entry.path
            })
            .map(|node| Entry {
                path: join(path, node.entry.name()),
                ..node.entry.clone()
            })
            .collect();
        entries.sort_by_key(|entry| name::unescape(entry.name()).unwrap_or_default());
        Ok(entries)
    }

    fn read(&self, path: &str, offset: u64, length: u32) -> Result<Vec<u8>, Failure> {
        let file = self
            .resolve(path, true)
            .filter(|node| node.entry.is_file())
            .ok_or_else(|| self.missing("file", path))?;
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        let rest = file.content.get(offset..).unwrap_or_default();
        let length = length.min(READ_LIMIT) as usize;
        Ok(rest.iter().take(length).copied().collect())
    }
}

/// The path of the entry `name` in the directory `path`.
pub(super) fn join(path: &str, name: &str) -> String {
    match path {
        "" => name.to_owned(),
        path => format!("{path}/{name}"),
    }
}
