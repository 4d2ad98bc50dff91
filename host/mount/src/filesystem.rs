//! Answers what the system asks.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::sync::Arc;
use std::time::Duration;

use copal_repository::format::tree::{Node, NodeKind};
use copal_repository::select::SnapshotFilter;
use copal_repository::walk::is_name;
use copal_repository::{Error, Listing, Repository, TreeId};
use fuser::{
    Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, LockOwner,
    OpenFlags, ReplyAttr, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyXattr,
    Request,
};

use crate::attributes;
use crate::contents::Contents;
use crate::folders::{Child, Folders};
use crate::handles::{Handle, Handles, OpenDirectory};
use crate::inodes::{Inodes, Item, Place, Stored};

/// How long the system may remember what is in a snapshot, which never changes.
const LASTING: Duration = Duration::from_secs(60 * 60);
/// How long it may remember what is in a folder of snapshots.
const PASSING: Duration = Duration::from_secs(1);

/// The snapshots of a repository as a file system.
pub(crate) struct Snapshots {
    contents: Contents,
    folders: Folders,
    inodes: Arc<Inodes>,
    handles: Handles,
}

type Answer<T> = Result<T, Errno>;

impl Snapshots {
    pub(crate) fn new(
        repository: Repository,
        filter: SnapshotFilter,
        fresh: Duration,
    ) -> Result<Self, Error> {
        Ok(Self {
            folders: Folders::new(&repository, filter, fresh)?,
            contents: Contents::new(repository)?,
            inodes: Arc::new(Inodes::new()),
            handles: Handles::default(),
        })
    }

    /// What the system knows of.
    pub(crate) fn inodes(&self) -> &Arc<Inodes> {
        &self.inodes
    }

    fn place(&self, number: INodeNo) -> Answer<(Place, u64)> {
        self.inodes.get(number.0).ok_or(Errno::ESTALE)
    }

    fn item(&self, number: INodeNo) -> Answer<Item> {
        Ok(match self.place(number)?.0 {
            Place::Item(item) => item,
            Place::Stored(stored) => {
                let node = self.contents.node(&stored.tree, stored.at);
                item_of(node.map_err(failed)?, stored.snapshot)
            }
        })
    }

    /// What lists a directory of a snapshot, with its id, and the number of the snapshot.
    fn listing(&self, number: u64, place: &Place) -> Answer<(Arc<Listing>, TreeId, u64)> {
        let (tree, snapshot) = match place {
            Place::Item(Item::Node { node, .. }) => (node.subtree, number),
            Place::Stored(stored) => (stored.subtree, stored.snapshot),
            Place::Item(Item::Folder(_) | Item::Link(_)) => (None, number),
        };
        let tree = tree.ok_or(Errno::ENOTDIR)?;
        let listing = self.contents.listing(&tree).map_err(failed)?;
        Ok((listing, tree, snapshot))
    }

    fn node(&self, number: INodeNo) -> Answer<Option<Arc<Node>>> {
        Ok(match self.item(number)? {
            Item::Node { node, .. } => Some(node),
            Item::Folder(_) | Item::Link(_) => None,
        })
    }

    /// What lies in a directory under a name.
    fn child(&self, directory: INodeNo, name: &OsStr) -> Answer<(FileAttr, Duration)> {
        let (above, _) = self.place(directory)?;
        let (item, place) = match &above {
            Place::Item(Item::Folder(folder)) => {
                let layout = self.folders.current(&self.contents);
                let name = name.to_str().ok_or(Errno::ENOENT)?;
                let item = child(layout.find(folder, name).ok_or(Errno::ENOENT)?);
                (item.clone(), Place::Item(item))
            }
            above => {
                let (listing, tree, snapshot) = self.listing(directory.0, above)?;
                let at = listing.find(name.as_bytes()).ok_or(Errno::ENOENT)?;
                let node = listing.node(at).map_err(failed)?.ok_or(Errno::ENOENT)?;
                let is_directory = node.kind == NodeKind::Directory;
                let stored = Stored {
                    tree,
                    at,
                    subtree: node.subtree.filter(|_| is_directory),
                    snapshot,
                };
                (item_of(node, snapshot), Place::Stored(stored))
            }
        };
        let name = name.as_bytes();
        let number = self.inodes.number(directory.0, name, &item);
        self.inodes.remember(number, directory.0, name, place);
        Ok((attributes::of(number, &item), lasts(&item)))
    }

    /// All that lies in a directory.
    fn children(&self, directory: INodeNo) -> Answer<Handle> {
        let (place, above) = self.place(directory)?;
        let number = directory.0;
        let mut own: Vec<_> = [(number, "."), (above, "..")]
            .map(|(number, name)| (number, FileType::Directory, OsString::from(name)))
            .into();
        let stored = match &place {
            Place::Item(Item::Folder(folder)) => {
                let layout = self.folders.current(&self.contents);
                own.extend(layout.entries(folder).map(|(name, found)| {
                    let item = child(found);
                    let number = self.inodes.number(number, name.as_bytes(), &item);
                    (number, attributes::kind(&item), OsString::from(name))
                }));
                None
            }
            place => {
                let (listing, _, snapshot) = self.listing(number, place)?;
                Some((listing, snapshot))
            }
        };
        Ok(Handle::Directory(OpenDirectory {
            number,
            own,
            stored,
        }))
    }

    /// Lists what lies in a directory, without the `first` entries, for as long as `reply` takes more.
    fn list(
        &self,
        directory: &OpenDirectory,
        first: usize,
        reply: &mut ReplyDirectory,
    ) -> Answer<()> {
        let OpenDirectory {
            number: above,
            own,
            stored,
        } = directory;
        // Where the next call goes on.
        let mut next = first as u64;
        for (number, kind, name) in own.iter().skip(first) {
            next += 1;
            if reply.add(INodeNo(*number), next, *kind, name) {
                return Ok(());
            }
        }
        let Some((listing, snapshot)) = stored else {
            return Ok(());
        };
        for node in listing.nodes(first.saturating_sub(own.len())) {
            let node = node.map_err(failed)?;
            next += 1;
            // A name that could not stand in a directory can't be asked for either.
            if !is_name(&node.name) {
                continue;
            }
            let name = OsString::from_vec(node.name.clone());
            let item = item_of(node, *snapshot);
            let number = self.inodes.number(*above, name.as_bytes(), &item);
            if reply.add(INodeNo(number), next, attributes::kind(&item), &name) {
                break;
            }
        }
        Ok(())
    }

    fn opened(&self, number: INodeNo) -> Answer<Handle> {
        match self
            .node(number)?
            .filter(|node| node.kind == NodeKind::File)
        {
            Some(node) => self.contents.open(node).map(Handle::File).map_err(failed),
            None => Err(Errno::EIO),
        }
    }

    fn bytes(&self, handle: FileHandle, offset: u64, length: u32) -> Answer<Vec<u8>> {
        match self.handles.get(handle).as_deref() {
            Some(Handle::File(file)) => self
                .contents
                .read(file, offset, length as usize)
                .map_err(failed),
            _ => Err(Errno::EBADF),
        }
    }

    fn target(&self, number: INodeNo) -> Answer<Vec<u8>> {
        match self.item(number)? {
            Item::Link(to) => Ok(to.into_bytes()),
            Item::Node { node, .. } if node.kind == NodeKind::Symlink => {
                Ok(node.link_target.clone())
            }
            _ => Err(Errno::EINVAL),
        }
    }

    fn attribute(&self, number: INodeNo, name: &OsStr) -> Answer<Vec<u8>> {
        let node = self.node(number)?.ok_or(Errno::NO_XATTR)?;
        let mut attributes = node.extended_attributes.iter();
        let found = attributes.find(|(own, _)| own == name.as_bytes());
        found.map(|(_, value)| value.clone()).ok_or(Errno::NO_XATTR)
    }

    fn attribute_names(&self, number: INodeNo) -> Answer<Vec<u8>> {
        let mut names = Vec::new();
        if let Some(node) = self.node(number)? {
            for (name, _) in &node.extended_attributes {
                names.extend_from_slice(name);
                names.push(0);
            }
        }
        Ok(names)
    }
}

fn child(child: &Child) -> Item {
    match child {
        Child::Folder(folder) => Item::Folder(folder.clone()),
        Child::Link(to) => Item::Link(to.clone()),
        Child::Snapshot(node) => Item::Node {
            node: Arc::clone(node),
            snapshot: None,
        },
    }
}

/// What a snapshot holds.
fn item_of(node: Node, snapshot: u64) -> Item {
    Item::Node {
        node: Arc::new(node),
        snapshot: Some(snapshot),
    }
}

fn lasts(item: &Item) -> Duration {
    match item {
        Item::Node {
            snapshot: Some(_), ..
        } => LASTING,
        _ => PASSING,
    }
}

/// What the repository says goes to the log: the system takes a number alone.
fn failed(error: Error) -> Errno {
    tracing::error!(%error, "can't be read");
    Errno::EIO
}

fn attribute(reply: ReplyXattr, answer: Answer<Vec<u8>>, size: u32) {
    match answer {
        Err(error) => reply.error(error),
        Ok(value) if size == 0 => reply.size(u32::try_from(value.len()).unwrap_or(u32::MAX)),
        Ok(value) if value.len() > size as usize => reply.error(Errno::ERANGE),
        Ok(value) => reply.data(&value),
    }
}

impl Filesystem for Snapshots {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        match self.child(parent, name) {
            Ok((attributes, lasts)) => reply.entry(&lasts, &attributes, Generation(0)),
            Err(error) => reply.error(error),
        }
    }

    fn forget(&self, _: &Request, number: INodeNo, lookups: u64) {
        self.inodes.forget(number.0, lookups);
    }

    fn getattr(&self, _: &Request, number: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.item(number) {
            Ok(item) => reply.attr(&lasts(&item), &attributes::of(number.0, &item)),
            Err(error) => reply.error(error),
        }
    }

    fn readlink(&self, _: &Request, number: INodeNo, reply: ReplyData) {
        match self.target(number) {
            Ok(target) => reply.data(&target),
            Err(error) => reply.error(error),
        }
    }

    fn open(&self, _: &Request, number: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        match self.opened(number) {
            // Its content never changes, so what the system has of it stays right.
            Ok(handle) => reply.opened(self.handles.add(handle), FopenFlags::FOPEN_KEEP_CACHE),
            Err(error) => reply.error(error),
        }
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        match self.bytes(handle, offset, size) {
            Ok(bytes) => reply.data(&bytes),
            Err(error) => reply.error(error),
        }
    }

    fn release(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        self.handles.close(handle);
        reply.ok();
    }

    fn opendir(&self, _: &Request, number: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        match self.children(number) {
            Ok(handle) => reply.opened(self.handles.add(handle), FopenFlags::empty()),
            Err(error) => reply.error(error),
        }
    }

    fn readdir(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let handle = self.handles.get(handle);
        let Some(Handle::Directory(directory)) = handle.as_deref() else {
            return reply.error(Errno::EBADF);
        };
        let first = usize::try_from(offset).unwrap_or(usize::MAX);
        match self.list(directory, first, &mut reply) {
            Ok(()) => reply.ok(),
            Err(error) => reply.error(error),
        }
    }

    fn releasedir(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        _: OpenFlags,
        reply: ReplyEmpty,
    ) {
        self.handles.close(handle);
        reply.ok();
    }

    fn getxattr(&self, _: &Request, number: INodeNo, name: &OsStr, size: u32, reply: ReplyXattr) {
        attribute(reply, self.attribute(number, name), size);
    }

    fn listxattr(&self, _: &Request, number: INodeNo, size: u32, reply: ReplyXattr) {
        attribute(reply, self.attribute_names(number), size);
    }
}
