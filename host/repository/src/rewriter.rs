//! Making a tree out of another: with entries left out, or files replaced.
//!
//! What stays keeps its bytes, fields that are unknown here included. So a tree in which nothing changes keeps its id, and one that a later
//! version of restic wrote loses nothing.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::error::Error;
use crate::format::BlobKind;
use crate::format::tree::{Node, Tree};
use crate::id::{BlobId, TreeId};
use crate::progress::join;
use crate::repository::Repository;
use crate::walk::check_depth;
use crate::writer::BlobWriter;

/// What becomes of an entry.
#[derive(Debug, Clone)]
pub enum Fate {
    /// It stays; what is beneath a directory is looked at.
    Keep,
    /// It stays with all that is beneath it, which is not looked at.
    KeepWhole,
    /// It is left out, with all that is beneath it.
    Drop,
    /// This stands in its place. Where it has another name, and something else in the directory has that too, `~` is appended to it.
    Replace(Box<Node>),
}

/// Decides what becomes of a tree.
pub trait Edit {
    /// What becomes of an entry. Paths are as in [`crate::walk::find`]. A directory comes before what is in it.
    ///
    /// # Errors
    /// Whatever ends the work.
    fn entry(&mut self, path: &[u8], node: &Node) -> Result<Fate, Error>;

    /// The listing of the directory at `path` is damaged or missing. Where that does not end the work, the directory becomes empty.
    ///
    /// # Errors
    /// Whatever ends the work, such as `error` itself.
    fn unreadable(&mut self, path: &[u8], error: Error) -> Result<(), Error> {
        let _ = path;
        Err(error)
    }

    /// All beneath this directory's listing has been decided on; whether anything in it changed.
    fn done(&mut self, tree: &TreeId, changed: bool) {
        let _ = (tree, changed);
    }
}

/// A directory that is being made anew.
struct Level {
    path: Vec<u8>,
    old: TreeId,
    nodes: std::vec::IntoIter<Box<RawValue>>,
    /// The JSON so far.
    new: Vec<u8>,
    /// Whether the JSON of the old one is just its entries, so that no more can be lost.
    lossless: bool,
    changed: bool,
    /// The entry of the directory beneath, which is being made anew.
    open: Option<Box<RawValue>>,
    /// Entries under new names, which have their place further on.
    renamed: BTreeMap<Vec<u8>, Node>,
}

const BEGIN: &[u8] = b"{\"nodes\":[";
const END: &[u8] = b"]}\n";

impl Level {
    fn open(repository: &Repository, path: Vec<u8>, old: TreeId) -> Result<Self, Error> {
        #[derive(Deserialize)]
        struct RawTree {
            nodes: Option<Vec<Box<RawValue>>>,
        }
        let json = repository.load_blob(BlobKind::Tree, &old.into())?;
        let tree: RawTree = serde_json::from_slice(&json)
            .map_err(|error| Error::corrupt(format!("tree {old}"), error))?;
        let nodes = tree.nodes.unwrap_or_default();
        let mut all = Self {
            path,
            old,
            nodes: Vec::new().into_iter(),
            new: BEGIN.to_vec(),
            lossless: false,
            changed: false,
            open: None,
            renamed: BTreeMap::new(),
        };
        nodes.iter().for_each(|node| all.push(node.get()));
        all.new.extend_from_slice(END);
        let lossless = all.new == *json;
        all.new.truncate(BEGIN.len());
        Ok(Self {
            nodes: nodes.into_iter(),
            lossless,
            ..all
        })
    }

    /// A directory whose listing is lost.
    fn empty(path: Vec<u8>, old: TreeId) -> Self {
        Self {
            path,
            old,
            nodes: Vec::new().into_iter(),
            new: BEGIN.to_vec(),
            lossless: true,
            changed: true,
            open: None,
            renamed: BTreeMap::new(),
        }
    }

    /// Puts an entry where its new name belongs.
    fn rename(&mut self, mut node: Node) {
        while self.renamed.contains_key(&node.name) {
            node.name.push(b'~');
        }
        self.renamed.insert(node.name.clone(), node);
    }

    /// Writes those under new names that come before what is called `next`, or all.
    fn push_renamed(&mut self, next: Option<&[u8]>) {
        while let Some(first) = self.renamed.first_entry()
            && next.is_none_or(|next| first.key().as_slice() <= next)
        {
            let node = first.remove();
            if next == Some(&node.name) {
                let name = [&node.name[..], b"~"].concat();
                self.rename(Node { name, ..node });
            } else {
                self.push(&json_of(node));
            }
        }
    }

    fn push(&mut self, node: &str) {
        if self.new.len() > BEGIN.len() {
            self.new.push(b',');
        }
        self.new.extend_from_slice(node.as_bytes());
    }

    /// Ends with the entry of the directory beneath, whose listing has this id now.
    fn adopt(&mut self, old: &TreeId, new: &TreeId) -> Result<(), Error> {
        let Some(node) = self.open.take() else {
            return Ok(());
        };
        if old == new {
            self.push(node.get());
            return Ok(());
        }
        self.changed = true;
        let field = |id: &TreeId| format!("\"subtree\":\"{id}\"");
        // Within a string the quotes would be escaped, so this can't be part of a name.
        let parts: Vec<_> = node.get().split(&field(old)).collect();
        match parts[..] {
            [before, after] => {
                self.push(&[before, &field(new), after].concat());
                Ok(())
            }
            _ => Err(self.strange()),
        }
    }

    fn strange(&self) -> Error {
        Error::Unsupported(format!(
            "tree {} is written in a way that this version does not know: it can't be changed without losing something",
            self.old
        ))
    }
}

/// Makes a tree out of `root` as `edit` decides, and stores it with `writer`; without one, only says what its id would be.
///
/// # Errors
/// A tree can't be read, is nested too deeply, or has to be changed and can't be without losing something; the store fails; or whatever `edit`
/// fails with.
pub fn rewrite(
    repository: &Repository,
    root: &TreeId,
    edit: &mut dyn Edit,
    writer: Option<&BlobWriter>,
) -> Result<TreeId, Error> {
    let mut levels = vec![enter(repository, Vec::new(), *root, edit)?];
    while let Some(level) = levels.last_mut() {
        if let Some(raw) = level.nodes.next() {
            let node: Node = serde_json::from_str(raw.get())
                .map_err(|error| Error::corrupt(format!("tree {}", level.old), error))?;
            level.push_renamed(Some(&node.name));
            let path = join(&level.path, &node.name);
            match (edit.entry(&path, &node)?, node.subtree) {
                (Fate::Drop, _) => level.changed = true,
                (Fate::Replace(new), _) => {
                    level.changed = true;
                    match new.name == node.name {
                        true => level.push(&json_of(*new)),
                        false => level.rename(*new),
                    }
                }
                (Fate::Keep, Some(subtree)) => {
                    level.open = Some(raw);
                    check_depth(&path, levels.len())?;
                    levels.push(enter(repository, path, subtree, edit)?);
                }
                (Fate::Keep | Fate::KeepWhole, _) => level.push(raw.get()),
            }
            continue;
        }
        let Some(mut done) = levels.pop() else {
            break;
        };
        done.push_renamed(None);
        edit.done(&done.old, done.changed);
        let mut new = done.old;
        if done.changed {
            if !done.lossless {
                return Err(done.strange());
            }
            done.new.extend_from_slice(END);
            new = match writer {
                Some(writer) => writer.store(BlobKind::Tree, &done.new)?.id,
                None => BlobId::of(&done.new),
            }
            .into();
        }
        match levels.last_mut() {
            Some(above) => above.adopt(&done.old, &new)?,
            None => return Ok(new),
        }
    }
    Ok(*root)
}

fn enter(
    repository: &Repository,
    path: Vec<u8>,
    tree: TreeId,
    edit: &mut dyn Edit,
) -> Result<Level, Error> {
    match Level::open(repository, path.clone(), tree) {
        Err(error) if error.is_loss() => {
            edit.unreadable(&path, error)?;
            Ok(Level::empty(path, tree))
        }
        level => level,
    }
}

/// A node as it stands in a tree.
fn json_of(node: Node) -> String {
    let tree = Tree { nodes: vec![node] }.encode();
    let json = tree
        .strip_prefix(BEGIN)
        .and_then(|tree| tree.strip_suffix(END));
    // Our own JSON is text.
    String::from_utf8_lossy(json.unwrap_or_default()).into_owned()
}

/// Stores `bytes` in the way that files are stored, and gives their blobs in order. Without a writer, only says what they would be.
///
/// # Errors
/// The store fails.
pub fn store_content(
    repository: &Repository,
    bytes: &[u8],
    writer: Option<&BlobWriter>,
) -> Result<Vec<BlobId>, Error> {
    let mut splitter = repository.chunker().splitter();
    let mut rest = bytes;
    let mut content = Vec::new();
    while !rest.is_empty() {
        let (chunk, after) = rest.split_at(splitter.next(rest).unwrap_or(rest.len()));
        content.push(match writer {
            Some(writer) => writer.store(BlobKind::Data, chunk)?.id,
            None => BlobId::of(chunk),
        });
        rest = after;
    }
    Ok(content)
}
