//! Two directory trees compared in all that a backup must keep.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{lgetxattr, llistxattr};
use sha2::{Digest, Sha256};

/// What is known of one entry. Access and change times are left out, because reading a tree alters them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// File type and permission bits, as `stat` gives them.
    pub mode: u32,
    /// The owner's number.
    pub uid: u32,
    /// The group's number.
    pub gid: u32,
    /// Seconds and nanoseconds since 1970.
    pub modified: (i64, i64),
    /// A digest of a file's content.
    pub content: Option<[u8; 32]>,
    /// Bytes of a file's content.
    pub size: Option<u64>,
    /// Where a symlink points.
    pub link_target: Option<PathBuf>,
    /// The number of a device.
    pub device: Option<u64>,
    /// Extended attributes of the `user` namespace.
    pub attributes: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The first entry, in the order of paths, that is the same file.
    pub same_as: Option<PathBuf>,
}

/// The entries of a tree by their paths relative to it, the root itself (the empty path) included.
pub fn read(root: &Path) -> BTreeMap<PathBuf, Item> {
    let mut paths = vec![PathBuf::new()];
    let mut next = 0;
    while let Some(path) = paths.get(next).cloned() {
        next += 1;
        let full = root.join(&path);
        if std::fs::symlink_metadata(&full).unwrap().is_dir() {
            paths.extend(
                std::fs::read_dir(&full)
                    .unwrap()
                    .map(|entry| path.join(entry.unwrap().file_name())),
            );
        }
    }
    paths.sort();
    let mut seen = HashMap::new();
    paths
        .into_iter()
        .map(|path| (path.clone(), item(root, path, &mut seen)))
        .collect()
}

fn item(root: &Path, path: PathBuf, seen: &mut HashMap<(u64, u64), PathBuf>) -> Item {
    // `join("")` would add a slash, and follow a symlink.
    let full = if path.as_os_str().is_empty() {
        root.to_owned()
    } else {
        root.join(&path)
    };
    let metadata = std::fs::symlink_metadata(&full).unwrap();
    let kind = metadata.file_type();
    let same_as = (metadata.nlink() > 1 && !kind.is_dir()).then(|| {
        seen.entry((metadata.dev(), metadata.ino()))
            .or_insert_with(|| path.clone())
            .clone()
    });
    Item {
        mode: metadata.mode(),
        uid: metadata.uid(),
        gid: metadata.gid(),
        modified: (metadata.mtime(), metadata.mtime_nsec()),
        content: kind.is_file().then(|| digest(&full)),
        size: kind.is_file().then_some(metadata.len()),
        link_target: kind
            .is_symlink()
            .then(|| std::fs::read_link(&full).unwrap()),
        device: (metadata.rdev() != 0).then_some(metadata.rdev()),
        attributes: attributes(&full),
        same_as,
    }
}

fn digest(path: &Path) -> [u8; 32] {
    let mut hash = Sha256::new();
    let mut file = std::fs::File::open(path).unwrap();
    let mut buffer = vec![0; 1 << 16];
    while let count @ 1.. = std::io::Read::read(&mut file, &mut buffer).unwrap() {
        hash.update(&buffer[..count]);
    }
    hash.finalize().into()
}

/// Attributes of the `user` namespace: the others belong to the machine that the tree lies on.
fn attributes(path: &Path) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut names = vec![0; 1 << 16];
    let Ok(length) = llistxattr(path, names.as_mut_slice()) else {
        return BTreeMap::new();
    };
    names[..length]
        .split(|byte| *byte == 0)
        .filter(|name| name.starts_with(b"user."))
        .map(|name| {
            let mut value = vec![0; 1 << 16];
            let length = lgetxattr(path, OsStr::from_bytes(name), value.as_mut_slice()).unwrap();
            value.truncate(length);
            (name.to_owned(), value)
        })
        .collect()
}

/// Makes a copy of a directory with all that it holds, in place of what is there.
pub fn copy(from: &Path, to: &Path) {
    if to.exists() {
        std::fs::remove_dir_all(to).unwrap();
    }
    std::fs::create_dir_all(to.parent().unwrap()).unwrap();
    let mut copy = std::process::Command::new("cp");
    let status = copy.args(["-a", "-T"]).args([from, to]).status().unwrap();
    assert!(status.success(), "{} can't be copied", from.display());
}

/// Fails the test unless both trees hold the same.
#[track_caller]
pub fn assert_same(expected: &Path, actual: &Path) {
    assert_same_but(expected, actual, |_| false);
}

/// Fails the test unless both trees hold the same, apart from the paths that `ignored` accepts.
#[track_caller]
pub fn assert_same_but(expected: &Path, actual: &Path, ignored: impl Fn(&Path) -> bool) {
    let (left, right) = (read(expected), read(actual));
    let mut differences = String::new();
    let paths: std::collections::BTreeSet<_> = left.keys().chain(right.keys()).collect();
    for path in paths.into_iter().filter(|path| !ignored(path)) {
        let (left, right) = (left.get(path), right.get(path));
        if left != right {
            writeln!(
                differences,
                "{path:?}\n  expected {left:?}\n  actual   {right:?}"
            )
            .unwrap();
        }
    }
    assert!(
        differences.is_empty(),
        "{} and {} differ:\n{differences}",
        expected.display(),
        actual.display()
    );
}

/// The paths of all files in a directory with their contents' digests: whether anything was written.
pub fn contents(root: &Path) -> BTreeMap<PathBuf, Option<[u8; 32]>> {
    if !root.exists() {
        return BTreeMap::new();
    }
    read(root)
        .into_iter()
        .map(|(path, item)| (path, item.content))
        .collect()
}
