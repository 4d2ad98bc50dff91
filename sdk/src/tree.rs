//! Read-only sight of directory trees.

use crate::Failure;
use crate::bindings::copal::plugin::tree::Tree as HostTree;
pub use crate::bindings::copal::plugin::types::{Entry, Kind, Owner, Timestamp};

/// The most that one [`Tree::read`] returns.
pub const READ_LIMIT: u32 = 4 << 20;

/// A root of the job, or the same root inside a snapshot. In a test: a [`MemoryTree`](crate::testing::MemoryTree) or a
/// [`DiskTree`](crate::testing::DiskTree).
///
/// Paths are relative to the root, without `.` and `..`; the empty path is the root itself. Names are spelled as [`crate::name`] says.
pub trait Tree {
    /// The root's name, such as `home`.
    fn name(&self) -> String;

    /// The absolute path on the host; empty for a tree inside a snapshot. Nothing can be opened by it.
    fn location(&self) -> String;

    /// The entry at `path`, or `None` where there is nothing. A symlink is described, not followed.
    fn stat(&self, path: &str) -> Result<Option<Entry>, Failure>;

    /// The entries of the directory `path`, sorted by the bytes of their names. Fails with `missing` where there is no directory.
    fn list(&self, path: &str) -> Result<Vec<Entry>, Failure>;

    /// At most `length` bytes (up to [`READ_LIMIT`]) of the file `path` from `offset` on; fewer only at the file's end.
    fn read(&self, path: &str, offset: u64, length: u32) -> Result<Vec<u8>, Failure>;

    /// Whether there is anything at `path`.
    fn exists(&self, path: &str) -> Result<bool, Failure> {
        Ok(self.stat(path)?.is_some())
    }

    /// The whole file `path`. Fails with `unsupported` where it holds more than `limit` bytes.
    fn read_all(&self, path: &str, limit: usize) -> Result<Vec<u8>, Failure> {
        let mut content = Vec::new();
        loop {
            let chunk = self.read(path, content.len() as u64, READ_LIMIT)?;
            if chunk.len() > limit - content.len() {
                return Err(Failure::unsupported(
                    "sdk.file.too-large",
                    format!("{}/{path} holds more than {limit} bytes", self.name()),
                ));
            }
            let ended = chunk.len() < READ_LIMIT as usize;
            content.extend(chunk);
            if ended {
                return Ok(content);
            }
        }
    }

    /// The whole text file `path`. Fails with `unsupported` where it holds more than `limit` bytes, with `corrupt` where it is not UTF-8.
    fn read_to_string(&self, path: &str, limit: usize) -> Result<String, Failure> {
        String::from_utf8(self.read_all(path, limit)?).map_err(|_| {
            Failure::corrupt(
                "sdk.file.not-text",
                format!("{}/{path} is not UTF-8 text", self.name()),
            )
        })
    }
}

impl Tree for HostTree {
    fn name(&self) -> String {
        self.name()
    }

    fn location(&self) -> String {
        self.location()
    }

    fn stat(&self, path: &str) -> Result<Option<Entry>, Failure> {
        self.stat(path)
    }

    fn list(&self, path: &str) -> Result<Vec<Entry>, Failure> {
        self.list(path)
    }

    fn read(&self, path: &str, offset: u64, length: u32) -> Result<Vec<u8>, Failure> {
        self.read(path, offset, length)
    }
}

impl Entry {
    /// The last part of the path; empty for the root.
    pub fn name(&self) -> &str {
        self.path
            .rsplit_once('/')
            .map_or(&self.path, |(_, name)| name)
    }

    /// Whether it is a regular file.
    pub fn is_file(&self) -> bool {
        self.kind == Kind::File
    }

    /// Whether it is a directory.
    pub fn is_directory(&self) -> bool {
        self.kind == Kind::Directory
    }
}

/// The trees of one call, by their roots' names.
#[derive(Default)]
pub struct Trees(Vec<Box<dyn Tree>>);

impl Trees {
    /// The tree of that root, where the operator gave one.
    pub fn get(&self, root: &str) -> Option<&dyn Tree> {
        self.iter().find(|tree| tree.name() == root)
    }

    /// The tree of that root. Fails with `missing` where there is none.
    pub fn require(&self, root: &str) -> Result<&dyn Tree, Failure> {
        self.get(root).ok_or_else(|| {
            Failure::missing(
                "sdk.root.missing",
                format!("the root `{root}` is not given"),
            )
        })
    }

    /// All of them, in the operator's order.
    pub fn iter(&self) -> impl Iterator<Item = &dyn Tree> {
        self.0.iter().map(AsRef::as_ref)
    }
}

impl<T: Tree + 'static> FromIterator<T> for Trees {
    fn from_iter<I: IntoIterator<Item = T>>(trees: I) -> Self {
        Self(trees.into_iter().map(|tree| Box::new(tree) as _).collect())
    }
}

impl<T: Tree + 'static> From<T> for Trees {
    fn from(tree: T) -> Self {
        Self::from_iter([tree])
    }
}
