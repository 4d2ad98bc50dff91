//! A part of a snapshot as a tar archive: POSIX.1-2001 (pax), which GNU tar, bsdtar, Go and Python read.

mod header;

use std::collections::HashMap;
use std::io::{self, Read, Write};

use crate::error::Error;
use crate::format::tree::{Node, NodeKind};
use crate::linked::LinkedFile;
use crate::pass::{Trouble, is_file_name};
use crate::progress::{ItemError, ItemErrorKind, Progress, display, join};
use crate::repository::Repository;
use crate::walk::{check_depth, locate, read_blobs};

/// Archives are made of blocks of that many bytes.
const BLOCK: usize = 512;

/// What went into an archive.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tarred {
    /// Entries of all kinds.
    pub entries: u64,
    /// Bytes of the files' content.
    pub bytes: u64,
    /// What could not go into it: it is left out, or there are zeros where a part of it is lost. The rest is there.
    pub errors: Vec<ItemError>,
}

/// Writes `node`, which lies at `path` in its snapshot, as a tar archive: of a directory all that is in it, of anything else itself. Names are
/// the whole paths, without a `/` before them.
///
/// Sockets, which mean nothing without the process that made them, are left out.
///
/// # Errors
/// The listing of `node` can't be read, or the storage or `output` fails. What was written then is no whole archive.
pub fn write(
    repository: &Repository,
    node: &Node,
    path: &[u8],
    output: &mut dyn Write,
    progress: &dyn Progress,
) -> Result<Tarred, Error> {
    let mut tar = Writer {
        repository,
        output,
        progress,
        firsts: HashMap::new(),
        done: Tarred::default(),
    };
    match (node.kind, node.subtree) {
        (NodeKind::Directory, Some(tree)) => {
            let nodes = repository.load_tree(&tree)?.nodes.into_iter();
            let mut levels = vec![(path.to_vec(), nodes)];
            while let Some((directory, nodes)) = levels.last_mut() {
                let Some(node) = nodes.next() else {
                    levels.pop();
                    continue;
                };
                let path = join(directory, &node.name);
                if !is_file_name(&node.name) {
                    tar.leave_out(&path, "its name can't stand in a directory: refused");
                    continue;
                }
                tar.entry(&path, &node)?;
                let Some(subtree) = node.subtree else {
                    continue;
                };
                let tree =
                    check_depth(&path, levels.len()).and_then(|()| repository.load_tree(&subtree));
                match tree.map_err(Trouble::from) {
                    Ok(tree) => levels.push((path, tree.nodes.into_iter())),
                    Err(Trouble::End(error)) => return Err(error),
                    Err(Trouble::Item(why)) => tar.leave_out(&path, why),
                }
            }
        }
        _ => tar.entry(path, node)?,
    }
    tar.end()
}

struct Writer<'a> {
    repository: &'a Repository,
    output: &'a mut dyn Write,
    progress: &'a dyn Progress,
    /// The first path of every file that has more, and how many more.
    firsts: HashMap<LinkedFile, (Vec<u8>, u64)>,
    done: Tarred,
}

impl Writer<'_> {
    fn entry(&mut self, path: &[u8], node: &Node) -> Result<(), Error> {
        match node.kind {
            NodeKind::Socket => return Ok(()),
            NodeKind::Irregular => {
                let why = match node.error.as_str() {
                    "" => "tar has nothing of its kind",
                    error => error,
                };
                self.leave_out(path, why);
                return Ok(());
            }
            _ => {}
        }
        let file = LinkedFile::of(node);
        if let Some(file) = file
            && let Some((first, more)) = self.firsts.get_mut(&file)
        {
            let header = header::entry(path, node, 0, Some(first));
            *more -= 1;
            if *more == 0 {
                self.firsts.remove(&file);
            }
            return self.add(&header);
        }
        let size = match self.size(node).map_err(Trouble::from) {
            Ok(size) => size,
            Err(Trouble::End(error)) => return Err(error),
            Err(Trouble::Item(why)) => {
                self.leave_out(path, why);
                return Ok(());
            }
        };
        if let Some(file) = file {
            self.firsts.insert(file, (path.to_vec(), node.links - 1));
        }
        self.add(&header::entry(path, node, size, None))?;
        let mut lost = None;
        read_blobs(self.repository, &node.content, &mut |blob, length| {
            self.progress.advance(0, length.into());
            let written = match blob.map_err(Trouble::from) {
                Ok(blob) => self.output.write_all(&blob),
                Err(Trouble::End(error)) => return Err(error),
                // The header has said already how long it is.
                Err(Trouble::Item(why)) => {
                    lost.get_or_insert(why);
                    let mut zeros = io::repeat(0).take(length.into());
                    io::copy(&mut zeros, &mut self.output).map(drop)
                }
            };
            written.map_err(failed)
        })?;
        if let Some(why) = lost {
            self.leave_out(path, format!("zeros stand for what is lost of it: {why}"));
        }
        self.done.bytes += size;
        let over = (size % BLOCK as u64) as usize;
        let padding = [0; BLOCK];
        self.output
            .write_all(&padding[..(BLOCK - over) % BLOCK])
            .map_err(failed)
    }

    /// Bytes of the content that the repository has.
    fn size(&self, node: &Node) -> Result<u64, Error> {
        node.content.iter().try_fold(0_u64, |size, id| {
            let location = locate(self.repository, id)?;
            Ok(size + u64::from(location.plaintext_length()))
        })
    }

    fn add(&mut self, header: &[u8]) -> Result<(), Error> {
        self.done.entries += 1;
        self.progress.advance(1, 0);
        self.output.write_all(header).map_err(failed)
    }

    fn leave_out(&mut self, path: &[u8], why: impl Into<String>) {
        let error = ItemError {
            path: display(path),
            kind: ItemErrorKind::Lost,
            message: why.into(),
        };
        self.progress.item_error(&error);
        self.done.errors.push(error);
    }

    /// Two empty blocks are an archive's end.
    fn end(self) -> Result<Tarred, Error> {
        let end = [0; 2 * BLOCK];
        self.output.write_all(&end).map_err(failed)?;
        self.output.flush().map_err(failed)?;
        Ok(self.done)
    }
}

fn failed(error: std::io::Error) -> Error {
    Error::io("the archive", error)
}
