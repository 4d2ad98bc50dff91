//! A tree on disk.

use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::memory::join;
use crate::{Entry, Failure, FailureKind, Kind, Owner, READ_LIMIT, Timestamp, Tree, name};

/// A real directory. Owners have no names.
#[derive(Clone, Debug)]
pub struct DiskTree {
    name: String,
    root: PathBuf,
}

impl DiskTree {
    /// The directory `root`, which must exist, as the root `name`.
    pub fn new(name: impl Into<String>, root: impl AsRef<Path>) -> io::Result<Self> {
        Ok(Self {
            name: name.into(),
            root: root.as_ref().canonicalize()?,
        })
    }

    fn failure(&self, path: &str, error: &io::Error) -> Failure {
        let (kind, code) = match error.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory => {
                (FailureKind::Missing, "copal.path.missing")
            }
            ErrorKind::PermissionDenied => (FailureKind::Denied, "copal.path.outside"),
            _ => (FailureKind::Unavailable, "copal.path.unreadable"),
        };
        Failure::new(kind, code, format!("{}/{path}: {error}", self.name))
    }

    /// Where `path` lies once all symlinks are followed, which must be within the tree.
    fn resolve(&self, path: &str) -> Result<PathBuf, Failure> {
        let bytes = name::unescape(path)?;
        let resolved = self
            .root
            .join(OsString::from_vec(bytes))
            .canonicalize()
            .map_err(|error| self.failure(path, &error))?;
        if resolved.starts_with(&self.root) {
            Ok(resolved)
        } else {
            let outside = io::Error::new(ErrorKind::PermissionDenied, "outside the tree");
            Err(self.failure(path, &outside))
        }
    }
}

impl Tree for DiskTree {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn location(&self) -> String {
        name::escape(self.root.as_os_str().as_bytes())
    }

    fn stat(&self, path: &str) -> Result<Option<Entry>, Failure> {
        let (parent, last) = path.rsplit_once('/').unwrap_or(("", path));
        let place = match self.resolve(parent) {
            Ok(parent) => parent.join(OsString::from_vec(name::unescape(last)?)),
            Err(failure) if failure.kind == FailureKind::Missing => return Ok(None),
            Err(failure) => return Err(failure),
        };
        match fs::symlink_metadata(&place).and_then(|metadata| entry(path, &place, &metadata)) {
            Ok(entry) => Ok(Some(entry)),
            Err(error) => match self.failure(path, &error) {
                failure if failure.kind == FailureKind::Missing => Ok(None),
                failure => Err(failure),
            },
        }
    }

    fn list(&self, path: &str) -> Result<Vec<Entry>, Failure> {
        let directory = self.resolve(path)?;
        let read = || -> io::Result<Vec<Entry>> {
            let mut found = fs::read_dir(&directory)?.collect::<io::Result<Vec<_>>>()?;
            found.sort_by_key(fs::DirEntry::file_name);
            found
                .iter()
                .map(|found| {
                    let name = name::escape(found.file_name().as_bytes());
                    entry(&join(path, &name), &found.path(), &found.metadata()?)
                })
                .collect()
        };
        read().map_err(|error| self.failure(path, &error))
    }

    fn read(&self, path: &str, offset: u64, length: u32) -> Result<Vec<u8>, Failure> {
        let place = self.resolve(path)?;
        let read = || -> io::Result<Vec<u8>> {
            let mut file = File::open(&place)?;
            let mut content = Vec::new();
            // Linux refuses to seek beyond what it takes for the end of all files.
            if offset >= file.metadata()?.len() {
                return Ok(content);
            }
            file.seek(SeekFrom::Start(offset))?;
            file.take(length.min(READ_LIMIT).into())
                .read_to_end(&mut content)?;
            Ok(content)
        };
        read().map_err(|error| self.failure(path, &error))
    }
}

fn entry(path: &str, place: &Path, metadata: &Metadata) -> io::Result<Entry> {
    let file_type = metadata.file_type();
    let kind = if file_type.is_dir() {
        Kind::Directory
    } else if file_type.is_symlink() {
        Kind::Symlink
    } else if file_type.is_fifo() {
        Kind::Fifo
    } else if file_type.is_socket() {
        Kind::Socket
    } else if file_type.is_block_device() {
        Kind::BlockDevice
    } else if file_type.is_char_device() {
        Kind::CharDevice
    } else {
        Kind::File
    };
    let link_target = match kind {
        Kind::Symlink => Some(name::escape(fs::read_link(place)?.as_os_str().as_bytes())),
        _ => None,
    };
    Ok(Entry {
        path: path.to_owned(),
        kind,
        size: if kind == Kind::File {
            metadata.len()
        } else {
            0
        },
        mode: metadata.mode() & 0o7777,
        owner: Owner {
            uid: metadata.uid(),
            gid: metadata.gid(),
            user: String::new(),
            group: String::new(),
        },
        modified: Timestamp {
            seconds: metadata.mtime(),
            nanoseconds: u32::try_from(metadata.mtime_nsec()).unwrap_or(0),
        },
        link_target,
    })
}
