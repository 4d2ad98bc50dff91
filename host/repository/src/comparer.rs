//! Holds what a restore put in place against the snapshot that it came from.
//!
//! The content of a file is proved by the ids of its blobs, which are their digests, so nothing is read from the repository but listings.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, openat, readlinkat, statat};
use rustix::io::Errno;
use serde::Serialize;

use crate::error::Error;
use crate::format::BlobKind;
use crate::format::tree::{Node, NodeKind};
use crate::id::BlobId;
use crate::pass::{Change, LazyPass, Passes, Verdict, is_file_name};
use crate::progress::{Progress, display, join};
use crate::repository::Repository;
use crate::walk::check_depth;

/// How many differences are named one by one.
const NAMED: usize = 1000;

/// How a restored tree and its snapshot agree.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// Files whose every byte is the snapshot's.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Directories, symlinks, devices and FIFOs that are what the snapshot says.
    pub others: u64,
    /// Files that are there and whose content the pass rewrote; it is not compared.
    pub rewritten: u64,
    /// Entries left out by verdict, and not there; what lies beneath a directory is not counted.
    pub left_out: u64,
    /// Entries that do not agree.
    pub different: u64,
    /// The first thousand of them.
    pub differences: Vec<Difference>,
}

/// An entry that is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Its path beneath the target.
    pub path: String,
    /// What is wrong with it.
    pub problem: String,
}

/// Compares what lies at `target` with `node`, a directory of a snapshot that was restored there through `passes`, which must decide as
/// they did then. Entries that the snapshot does not have are passed over.
///
/// # Errors
/// `target` can't be opened, a listing can't be read, a pass fails for good, or the work was interrupted.
pub fn compare(
    repository: &Repository,
    node: &Node,
    target: &Path,
    passes: Option<&dyn Passes>,
    cancel: &AtomicBool,
    progress: &dyn Progress,
) -> Result<Comparison, Error> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let fd = openat(CWD, target, flags, Mode::empty());
    let fd = fd.map_err(|error| Error::io(target, error.into()))?;
    let mut comparer = Comparer {
        repository,
        pass: LazyPass::new(passes),
        cancel,
        progress,
        found: Comparison::default(),
    };
    let mut levels = vec![comparer.enter(node, fd, Vec::new(), Vec::new())?];
    while let Some(level) = levels.last_mut() {
        if cancel.load(Ordering::Relaxed) {
            return Err(Error::Interrupted);
        }
        let Some((node, change)) = level.entries.next() else {
            levels.pop();
            continue;
        };
        let name = change.name.as_ref().unwrap_or(&node.name);
        let path = join(&level.path, name);
        match comparer.entry(&level.fd, name, &node, &change)? {
            Ok(Some(fd)) => {
                let source = join(&level.source, &node.name);
                check_depth(&source, levels.len())?;
                levels.push(comparer.enter(&node, fd, source, path)?);
            }
            Ok(None) => {}
            Err(problem) => comparer.differs(&path, problem),
        }
    }
    Ok(comparer.found)
}

/// A directory whose entries are being compared.
struct Level {
    fd: OwnedFd,
    /// Its path in the snapshot.
    source: Vec<u8>,
    /// Its path beneath the target.
    path: Vec<u8>,
    entries: std::vec::IntoIter<(Node, Change)>,
}

struct Comparer<'a> {
    repository: &'a Repository,
    pass: LazyPass<'a>,
    cancel: &'a AtomicBool,
    progress: &'a dyn Progress,
    found: Comparison,
}

impl Comparer<'_> {
    /// Takes up the entries of a directory. What is left out must not be there, unless another entry was given its name.
    fn enter(
        &mut self,
        node: &Node,
        fd: OwnedFd,
        source: Vec<u8>,
        path: Vec<u8>,
    ) -> Result<Level, Error> {
        let mut nodes = match &node.subtree {
            Some(tree) => self.repository.load_tree(tree)?.nodes,
            None => Vec::new(),
        };
        nodes.retain(|node| {
            let fit = is_file_name(&node.name);
            if !fit {
                self.differs(
                    &join(&path, &node.name),
                    "its name can't stand in a directory",
                );
            }
            fit
        });
        let verdicts = self.pass.classify(&source, &nodes)?;
        let (mut entries, mut left_out) = (Vec::with_capacity(nodes.len()), Vec::new());
        for (node, verdict) in nodes.into_iter().zip(verdicts) {
            match verdict {
                Ok(Verdict::Keep) => entries.push((node, Change::default())),
                Ok(Verdict::Change(change)) => entries.push((node, change)),
                Ok(Verdict::Skip) => left_out.push(node.name),
                Err(message) => self.differs(&join(&path, &node.name), message),
            }
        }
        let taken = |name: &Vec<u8>| {
            let renamed = |(_, change): &(Node, Change)| change.name.as_ref() == Some(name);
            entries.iter().any(renamed)
        };
        for name in left_out {
            match statat(&fd, name.as_slice(), AtFlags::SYMLINK_NOFOLLOW) {
                Ok(_) if !taken(&name) => {
                    self.differs(&join(&path, &name), "it was left out and is there");
                }
                _ => self.found.left_out += 1,
            }
        }
        self.count(&entries);
        Ok(Level {
            fd,
            source,
            path,
            entries: entries.into_iter(),
        })
    }

    fn count(&self, entries: &[(Node, Change)]) {
        let files = entries
            .iter()
            .filter(|(node, change)| node.kind == NodeKind::File && !change.filter);
        let (mut count, mut bytes) = (0, 0_u64);
        for (node, _) in files {
            count += 1;
            bytes = bytes.saturating_add(node.size);
        }
        self.progress.total(count, bytes);
    }

    /// Compares one entry: the directory that is to be entered, or what does not agree.
    fn entry(
        &mut self,
        directory: &OwnedFd,
        name: &[u8],
        node: &Node,
        change: &Change,
    ) -> Result<Result<Option<OwnedFd>, String>, Error> {
        // It means nothing without the process that made it, so it is not restored.
        if node.kind == NodeKind::Socket {
            return Ok(Ok(None));
        }
        if !is_file_name(name) {
            return Ok(Err(
                "the name that it was given can't stand in a directory".into()
            ));
        }
        let stat = match statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(Err("it is not there".into())),
            Err(error) => return Ok(Err(format!("can't look at it: {error}"))),
        };
        let found = FileType::from_raw_mode(stat.st_mode);
        if Some(found) != kind(node.kind) {
            return Ok(Err(format!("it is not a {}", node.kind.as_str())));
        }
        let open = |flags: OFlags| {
            let flags = flags | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let fd = openat(directory, name, flags, Mode::empty());
            fd.map_err(|error| format!("can't open it: {error}"))
        };
        let compared = match node.kind {
            NodeKind::Directory => open(OFlags::DIRECTORY).map(Some),
            NodeKind::File if change.filter => {
                self.found.rewritten += 1;
                return Ok(Ok(None));
            }
            NodeKind::File => match open(OFlags::empty()) {
                Ok(fd) => return Ok(self.content(node, File::from(fd))?.map(|()| None)),
                Err(problem) => Err(problem),
            },
            NodeKind::Symlink => match readlinkat(directory, name, Vec::new()) {
                Ok(link) if link.as_bytes() == node.link_target => Ok(None),
                Ok(_) => Err("it points elsewhere".to_owned()),
                Err(error) => Err(format!("can't read it: {error}")),
            },
            _ => Ok(None),
        };
        self.found.others += u64::from(compared.is_ok());
        Ok(compared)
    }

    /// Whether the file holds these blobs, one after the other, and nothing else.
    fn content(&mut self, node: &Node, mut file: File) -> Result<Result<(), String>, Error> {
        let unreadable = |error: io::Error| format!("can't read it: {error}");
        let (mut at, mut buffer) = (0_u64, Vec::new());
        for id in &node.content {
            if self.cancel.load(Ordering::Relaxed) {
                return Err(Error::Interrupted);
            }
            let Some(size) = self.repository.blob_size(BlobKind::Data, id)? else {
                return Ok(Err(format!(
                    "the repository does not have its part at byte {at}"
                )));
            };
            buffer.clear();
            let part = file.by_ref().take(size.into());
            if let Err(error) = { part }.read_to_end(&mut buffer) {
                return Ok(Err(unreadable(error)));
            }
            if BlobId::of(&buffer) != *id {
                return Ok(Err(format!("its part at byte {at} is not the snapshot's")));
            }
            at += buffer.len() as u64;
            self.progress.advance(0, buffer.len() as u64);
        }
        match file.read(&mut [0]) {
            Ok(0) => {}
            Ok(_) => {
                return Ok(Err(format!(
                    "it goes on after byte {at}, where it should end"
                )));
            }
            Err(error) => return Ok(Err(unreadable(error))),
        }
        self.found.files += 1;
        self.found.bytes += at;
        self.progress.advance(1, 0);
        Ok(Ok(()))
    }

    fn differs(&mut self, path: &[u8], problem: impl Into<String>) {
        self.found.different += 1;
        if self.found.differences.len() < NAMED {
            self.found.differences.push(Difference {
                path: display(path),
                problem: problem.into(),
            });
        }
    }
}

/// What the system calls it; none for what it does not have.
fn kind(kind: NodeKind) -> Option<FileType> {
    match kind {
        NodeKind::File => Some(FileType::RegularFile),
        NodeKind::Directory => Some(FileType::Directory),
        NodeKind::Symlink => Some(FileType::Symlink),
        NodeKind::BlockDevice => Some(FileType::BlockDevice),
        NodeKind::CharacterDevice => Some(FileType::CharacterDevice),
        NodeKind::Fifo => Some(FileType::Fifo),
        NodeKind::Socket => Some(FileType::Socket),
        NodeKind::Irregular => None,
    }
}
