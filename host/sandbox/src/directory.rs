//! A directory of the host as a [`Tree`].

use std::ffi::OsStr;
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use cap_std::ambient_authority;
use cap_std::fs::{
    Dir, FileTypeExt as _, Metadata, MetadataExt as _, OpenOptions, OpenOptionsExt as _,
};
use uzers::{Groups as _, Users as _, UsersCache};

use crate::name;
use crate::tree::{MAX_LIST, Tree};
use crate::types::{Entry, Failure, FailureKind, Kind, Owner, Timestamp};

/// A directory, opened once; every path is resolved beneath it, and no symlink leads out of it.
pub struct Directory {
    name: String,
    location: String,
    /// None where there is no such directory: an empty tree.
    dir: Option<Dir>,
    users: Mutex<UsersCache>,
}

impl Directory {
    /// The directory at `path` as the root `name`. Where there is nothing, the tree is empty.
    pub fn open(name: &str, path: &Path) -> Result<Self, Failure> {
        let failed = |error| failure(name, "", error);
        let dir = match Dir::open_ambient_dir(path, ambient_authority()) {
            Ok(dir) => Some(dir),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(failed(error)),
        };
        let path = match dir {
            Some(_) => path.canonicalize(),
            None => std::path::absolute(path),
        };
        Ok(Self {
            name: name.to_owned(),
            location: name::escape(path.map_err(failed)?.as_os_str().as_bytes()),
            dir,
            users: Mutex::default(),
        })
    }

    /// The open directory and the path beneath it, as the system takes it; none where the whole tree is absent.
    fn resolve(&self, path: &str) -> Result<Option<(&Dir, Vec<u8>)>, Failure> {
        let bytes = match path {
            "" => b".".to_vec(),
            path => name::unescape(path).map_err(|misspelt| {
                Failure::new(
                    FailureKind::Denied,
                    "copal.path.misspelt",
                    misspelt.to_string(),
                )
            })?,
        };
        Ok(self.dir.as_ref().map(|dir| (dir, bytes)))
    }

    fn failure(&self, path: &str, error: io::Error) -> Failure {
        failure(&self.name, path, error)
    }

    fn shown(&self, path: &str) -> String {
        shown(&self.name, path)
    }

    /// Describes what lies at `at` within `dir`, under the path `path`.
    fn entry(&self, dir: &Dir, at: &Path, path: String) -> io::Result<Entry> {
        let metadata = dir.symlink_metadata(at)?;
        let kind = kind(&metadata);
        let link_target = match kind {
            Kind::Symlink => Some(name::escape(
                dir.read_link_contents(at)?.as_os_str().as_bytes(),
            )),
            _ => None,
        };
        Ok(Entry {
            path,
            kind,
            size: if kind == Kind::File {
                metadata.len()
            } else {
                0
            },
            mode: metadata.mode() & 0o7777,
            owner: self.owner(&metadata),
            modified: Timestamp {
                seconds: metadata.mtime(),
                nanoseconds: u32::try_from(metadata.mtime_nsec()).unwrap_or_default(),
            },
            link_target,
        })
    }

    fn owner(&self, metadata: &Metadata) -> Owner {
        let (uid, gid) = (metadata.uid(), metadata.gid());
        let users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        let user = users
            .get_user_by_uid(uid)
            .map(|user| name::escape(user.name().as_bytes()));
        let group = users
            .get_group_by_gid(gid)
            .map(|group| name::escape(group.name().as_bytes()));
        Owner {
            uid,
            gid,
            user: user.unwrap_or_default(),
            group: group.unwrap_or_default(),
        }
    }
}

impl Tree for Directory {
    fn name(&self) -> &str {
        &self.name
    }

    fn location(&self) -> &str {
        &self.location
    }

    fn stat(&self, path: &str) -> Result<Option<Entry>, Failure> {
        let Some((dir, at)) = self.resolve(path)? else {
            return Ok(None);
        };
        match self.entry(dir, OsStr::from_bytes(&at).as_ref(), path.to_owned()) {
            Ok(entry) => Ok(Some(entry)),
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
            {
                Ok(None)
            }
            Err(error) => Err(self.failure(path, error)),
        }
    }

    fn list(&self, path: &str) -> Result<Vec<Entry>, Failure> {
        let failed = |error| self.failure(path, error);
        let Some((dir, at)) = self.resolve(path)? else {
            return match path {
                "" => Ok(vec![]),
                _ => Err(failed(ErrorKind::NotFound.into())),
            };
        };
        let dir = dir.open_dir(OsStr::from_bytes(&at)).map_err(failed)?;
        let mut names = vec![];
        for entry in dir.entries().map_err(failed)? {
            if names.len() == MAX_LIST {
                let message = format!("`{}` holds more than {MAX_LIST} entries", self.shown(path));
                return Err(Failure::new(
                    FailureKind::Unavailable,
                    "copal.tree.too-many",
                    message,
                ));
            }
            names.push(entry.map_err(failed)?.file_name());
        }
        names.sort_unstable();
        let mut entries = Vec::with_capacity(names.len());
        for file in names {
            let spelt = name::escape(file.as_bytes());
            let at = if path.is_empty() {
                spelt
            } else {
                format!("{path}/{spelt}")
            };
            match self.entry(&dir, file.as_ref(), at) {
                Ok(entry) => entries.push(entry),
                // Removed since it was listed.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(entries)
    }

    fn read(&self, path: &str, offset: u64, length: u32) -> Result<Vec<u8>, Failure> {
        let failed = |error| self.failure(path, error);
        let (dir, at) = self
            .resolve(path)?
            .ok_or_else(|| failed(ErrorKind::NotFound.into()))?;
        let mut options = OpenOptions::new();
        // Opening a fifo would wait for its writer.
        options
            .read(true)
            .custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed());
        let file = dir
            .open_with(OsStr::from_bytes(&at), &options)
            .map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if !metadata.is_file() {
            let message = format!("`{}` is not a file", self.shown(path));
            return Err(Failure::new(
                FailureKind::Missing,
                "copal.path.not-a-file",
                message,
            ));
        }
        let left = metadata.len().saturating_sub(offset).min(length.into());
        let mut bytes = vec![0; usize::try_from(left).unwrap_or_default()];
        let file = file.into_std();
        let mut filled = 0;
        while let Some(empty) = bytes.get_mut(filled..).filter(|empty| !empty.is_empty()) {
            match file.read_at(empty, offset + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(failed(error)),
            }
        }
        bytes.truncate(filled);
        Ok(bytes)
    }
}

/// `ROOT` or `ROOT/PATH`.
fn shown(root: &str, path: &str) -> String {
    if path.is_empty() {
        root.to_owned()
    } else {
        format!("{root}/{path}")
    }
}

/// What the system answered, as the contract says it.
fn failure(root: &str, path: &str, error: io::Error) -> Failure {
    let shown = shown(root, path);
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => Failure::new(
            FailureKind::Missing,
            "copal.path.missing",
            format!("there is no `{shown}`"),
        ),
        // cap-std's own refusal: the system did not answer it.
        ErrorKind::PermissionDenied if error.raw_os_error().is_none() => Failure::new(
            FailureKind::Denied,
            "copal.path.outside",
            format!("`{shown}` leads out of the root `{root}`"),
        ),
        _ => Failure::new(
            FailureKind::Unavailable,
            "copal.path.unreadable",
            format!("`{shown}` can't be read: {error}"),
        ),
    }
}

fn kind(metadata: &Metadata) -> Kind {
    let kind = metadata.file_type();
    if kind.is_dir() {
        Kind::Directory
    } else if kind.is_symlink() {
        Kind::Symlink
    } else if kind.is_fifo() {
        Kind::Fifo
    } else if kind.is_socket() {
        Kind::Socket
    } else if kind.is_block_device() {
        Kind::BlockDevice
    } else if kind.is_char_device() {
        Kind::CharDevice
    } else {
        Kind::File
    }
}

#[cfg(test)]
mod tests;
