//! Reading what a snapshot's tree holds: paths, listings, contents.

use std::io::Write;
use std::ops::Range;

use bytes::Bytes;

use crate::error::Error;
use crate::format::BlobKind;
use crate::format::tree::{Node, NodeKind};
use crate::id::{BlobId, PackId, TreeId};
use crate::index::Location;
use crate::pass::is_file_name;
use crate::progress::{display, join};
use crate::repository::Repository;

/// How deep a tree may be: deeper than any path that Linux can name.
pub(crate) const DEEPEST: usize = 4096;

/// How many bytes of a pack are asked for at once, a single larger blob aside.
pub(crate) const FETCH: u64 = 4 << 20;

/// How a walk goes on after an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// With what comes next: beneath a directory first.
    Continue,
    /// Past all that is beneath this directory.
    Pass,
    /// Not at all.
    Stop,
}

/// The node at `path` beneath `root`: names as raw bytes, separated by `/`. The empty path is a directory without a name
/// that has `root` as its listing. Symlinks are not followed.
///
/// # Errors
/// A tree can't be read.
pub fn find(repository: &Repository, root: &TreeId, path: &[u8]) -> Result<Option<Node>, Error> {
    let mut node = Node {
        subtree: Some(*root),
        ..Node::new("", NodeKind::Directory)
    };
    let names = path.split(|&byte| byte == b'/');
    for name in names.filter(|name| !name.is_empty()) {
        let Some(subtree) = &node.subtree else {
            return Ok(None);
        };
        let mut nodes = repository.load_tree(subtree)?.nodes.into_iter();
        match nodes.find(|node| node.name == name) {
            Some(found) => node = found,
            None => return Ok(None),
        }
    }
    Ok(Some(node))
}

/// What is shown each entry of a tree.
pub type Visitor<'a> = dyn FnMut(&[u8], &Node) -> Result<Next, Error> + 'a;

/// What is told of each directory whose listing is lost.
pub type Losing<'a> = dyn FnMut(&[u8], Error) -> Result<(), Error> + 'a;

/// Shows `visit` every entry beneath `root`, a directory before what is in it, with its path as in [`find`].
///
/// # Errors
/// A tree can't be read or is nested too deeply, or whatever `visit` fails with.
pub fn walk(repository: &Repository, root: &TreeId, visit: &mut Visitor<'_>) -> Result<(), Error> {
    walk_on(repository, root, visit, &mut |_, error| Err(error))
}

/// The same, but `lost` decides what becomes of a directory whose listing is damaged or missing: where it does not fail, what is beside it is shown.
///
/// # Errors
/// As [`walk`], or whatever `lost` fails with.
pub fn walk_on(
    repository: &Repository,
    root: &TreeId,
    visit: &mut Visitor<'_>,
    lost: &mut Losing<'_>,
) -> Result<(), Error> {
    let mut listing = |path: &[u8], tree: &TreeId| match repository.load_tree(tree) {
        Err(error) if error.is_loss() => lost(path, error).map(|()| Vec::new()),
        tree => Ok(tree?.nodes),
    };
    let mut levels = vec![(Vec::new(), listing(b"", root)?.into_iter())];
    while let Some((directory, nodes)) = levels.last_mut() {
        let Some(node) = nodes.next() else {
            levels.pop();
            continue;
        };
        let path = join(directory, &node.name);
        match (visit(&path, &node)?, &node.subtree) {
            (Next::Stop, _) => return Ok(()),
            (Next::Continue, Some(subtree)) => {
                check_depth(&path, levels.len())?;
                let nodes = listing(&path, subtree)?;
                levels.push((path, nodes.into_iter()));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether something of that name can stand in a directory: names come from the repository and may be anything.
pub fn is_name(name: &[u8]) -> bool {
    is_file_name(name)
}

/// Trees come from the repository and may be nested without end.
pub(crate) fn check_depth(path: &[u8], depth: usize) -> Result<(), Error> {
    match depth < DEEPEST {
        true => Ok(()),
        false => {
            let start: String = display(path).chars().take(100).collect();
            Err(Error::corrupt(
                format!("directory {start}…"),
                format!("it is nested more than {DEEPEST} deep"),
            ))
        }
    }
}

/// Writes a file's content to `output`.
///
/// # Errors
/// `node` is not a file, a part of it is missing or damaged, or `output` fails.
pub fn dump(repository: &Repository, node: &Node, output: &mut dyn Write) -> Result<(), Error> {
    check_file(node)?;
    read_content(repository, &node.content, &mut |bytes| {
        output
            .write_all(bytes)
            .map_err(|error| Error::io(display(&node.name), error))
    })
}

/// The bytes of a file from `offset` on: `length` of them, fewer where the file ends before.
///
/// # Errors
/// `node` is not a file, or a part of it is missing or damaged.
pub fn read_range(
    repository: &Repository,
    node: &Node,
    offset: u64,
    length: usize,
) -> Result<Vec<u8>, Error> {
    check_file(node)?;
    let end = offset.saturating_add(length as u64);
    let mut found = Vec::new();
    let mut at = 0_u64;
    for id in &node.content {
        if at >= end {
            break;
        }
        let size = u64::from(locate(repository, id)?.plaintext_length());
        let next = at.saturating_add(size);
        if next > offset {
            let blob = repository.load_blob(BlobKind::Data, id)?;
            let within = |position: u64| {
                usize::try_from(position.saturating_sub(at))
                    .map_or(blob.len(), |position| position.min(blob.len()))
            };
            found.extend_from_slice(blob.get(within(offset)..within(end)).unwrap_or_default());
        }
        at = next;
    }
    Ok(found)
}

fn check_file(node: &Node) -> Result<(), Error> {
    match node.kind {
        NodeKind::File => Ok(()),
        kind => Err(Error::Unsupported(format!(
            "`{}` is no file but a {}: it has no content",
            display(&node.name),
            kind.as_str()
        ))),
    }
}

/// Where a data blob lies.
pub(crate) fn locate(repository: &Repository, id: &BlobId) -> Result<Location, Error> {
    repository
        .locate(BlobKind::Data, id)?
        .ok_or_else(|| Error::corrupt(format!("blob {id}"), "no index of the repository knows it"))
}

/// Blobs of one pack that are fetched together.
pub(crate) struct Run {
    pub(crate) pack: PackId,
    pub(crate) range: Range<u64>,
    /// How many blobs of the list it was made from it holds.
    pub(crate) count: usize,
}

/// Splits a list of locations into runs that lie close together in one pack: at most `gap` bytes apart.
pub(crate) fn runs<'a>(locations: impl Iterator<Item = &'a Location>, gap: u64) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for location in locations {
        let start = u64::from(location.offset);
        let end = start + u64::from(location.length);
        match runs.last_mut() {
            Some(run)
                if run.pack == location.pack
                    && start >= run.range.start
                    && start <= run.range.end.saturating_add(gap)
                    && (end <= run.range.end || end - run.range.start <= FETCH) =>
            {
                run.range.end = run.range.end.max(end);
                run.count += 1;
            }
            _ => runs.push(Run {
                pack: location.pack,
                range: start..end,
                count: 1,
            }),
        }
    }
    runs
}

/// Hands a file's content to `take` in order.
pub(crate) fn read_content<E: From<Error>>(
    repository: &Repository,
    content: &[BlobId],
    take: &mut dyn FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    read_blobs(repository, content, &mut |blob, _| take(&blob?))
}

/// Hands the blobs of a file to `take` in order, each with its length, those that can't be had too. Neighbours in a pack are fetched together.
pub(crate) fn read_blobs<E: From<Error>>(
    repository: &Repository,
    content: &[BlobId],
    take: &mut dyn FnMut(Result<Bytes, Error>, u32) -> Result<(), E>,
) -> Result<(), E> {
    /// Bounds what is known of a huge file at a time.
    const BATCH: usize = 1024;
    for ids in content.chunks(BATCH) {
        let locations = ids
            .iter()
            .map(|id| locate(repository, id))
            .collect::<Result<Vec<_>, _>>()?;
        let mut blobs = ids.iter().zip(&locations);
        for run in runs(locations.iter(), 0) {
            let fetched = Fetched::fetch(repository, &run)?;
            for (id, location) in blobs.by_ref().take(run.count) {
                take(fetched.blob(location, id), location.plaintext_length())?;
            }
        }
    }
    Ok(())
}

/// A run of data blobs, of which each can be had as long as any copy of it is whole.
pub(crate) struct Fetched<'a> {
    repository: &'a Repository,
    run: &'a Run,
    /// None where they can't be had together.
    bytes: Option<Bytes>,
}

impl<'a> Fetched<'a> {
    /// Fetches a run. Which of its blobs are lost with a pack that is damaged shows when they are asked for.
    pub(crate) fn fetch(repository: &'a Repository, run: &'a Run) -> Result<Self, Error> {
        let bytes = match repository.read_pack_range(&run.pack, run.range.clone()) {
            Err(error) if error.is_loss() => None,
            bytes => Some(bytes?),
        };
        Ok(Self {
            repository,
            run,
            bytes,
        })
    }

    /// A blob that lies in it, or another copy where that is lost.
    pub(crate) fn blob(&self, location: &Location, id: &BlobId) -> Result<Bytes, Error> {
        let decode = |bytes: &Bytes| {
            let sealed = stored(bytes, self.run, location)?;
            self.repository.decode_blob(sealed, location, id)
        };
        match self.bytes.as_ref().map(decode) {
            Some(Err(error)) if !error.is_loss() => return Err(error),
            Some(Ok(blob)) => return Ok(blob),
            _ => {}
        }
        let blob = self.repository.load_blob(BlobKind::Data, id)?;
        // Whoever takes it has reckoned with the length of the copy that is lost.
        match blob.len() as u64 == u64::from(location.plaintext_length()) {
            true => Ok(blob),
            false => Err(Error::corrupt(
                format!("blob {id}"),
                "the index gives its copies different lengths",
            )),
        }
    }
}

/// The stored bytes of a blob out of those of the run that holds it.
pub(crate) fn stored<'a>(
    bytes: &'a [u8],
    run: &Run,
    location: &Location,
) -> Result<&'a [u8], Error> {
    let start = u64::from(location.offset) - run.range.start;
    let stored = usize::try_from(start)
        .ok()
        .and_then(|start| bytes.get(start..)?.get(..location.length as usize));
    stored.ok_or_else(|| {
        Error::corrupt(
            format!("pack {}", run.pack),
            "it is shorter than the index says",
        )
    })
}
