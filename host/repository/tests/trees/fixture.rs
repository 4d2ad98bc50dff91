//! A repository, a rich tree, and what can be said about a tree.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::ops::Range;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use copal_repository::archiver::{ArchiveOptions, Archived, Archiver};
use copal_repository::format::key::ScryptCost;
use copal_repository::format::snapshot::Snapshot;
use copal_repository::format::tree::{Node, NodeKind, Tree};
use copal_repository::format::{BlobKind, Timestamp};
use copal_repository::pass::{Pass, PassError, Passes, Verdict};
use copal_repository::progress::Silent;
use copal_repository::restorer::{RestoreOptions, RestoreSummary, restore_node};
use copal_repository::walk::find;
use copal_repository::{BlobId, InitOptions, Password, Repository, TreeId, WriterOptions};
pub(crate) use copal_tests::sample::noise;
use rustix::fs::{
    AtFlags, CWD, FileType, Mode, Timespec, Timestamps, XattrFlags, chownat, lgetxattr, llistxattr,
    lsetxattr, makedev, mkfifoat, mknodat, utimensat,
};
use tempfile::TempDir;
use tokio::runtime::Runtime;

pub(crate) const PASSWORD: &str = "correct horse";

/// A place to work in: `repository`, `source` and whatever a test adds.
pub(crate) struct Place {
    pub(crate) directory: TempDir,
    pub(crate) repository: Repository,
    _runtime: Runtime,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self::with(|store, runtime| {
            let options = InitOptions {
                scrypt: ScryptCost {
                    log_n: 4,
                    r: 8,
                    p: 1,
                },
                polynomial: None,
            };
            let password = Password::new(PASSWORD);
            Repository::init(store, runtime.handle().clone(), &password, &options).unwrap()
        })
    }

    /// `make` gets the store of a repository at `repository`.
    pub(crate) fn with(make: impl FnOnce(copal_storage::Store, &Runtime) -> Repository) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let runtime = Runtime::new().unwrap();
        fs::create_dir(directory.path().join("source")).unwrap();
        let location = directory.path().join("repository");
        let store = copal_storage::open(location.to_str().unwrap()).unwrap();
        Self {
            repository: make(store, &runtime),
            directory,
            _runtime: runtime,
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path("source").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    /// Archives `source` as the root `home`.
    pub(crate) fn archive(&self, parent: Option<TreeId>, passes: Option<&dyn Passes>) -> Archived {
        let options = ArchiveOptions {
            parent,
            ..Default::default()
        };
        let mut archiver = Archiver::new(&self.repository, options, &Silent).unwrap();
        let source = self.path("source");
        archiver.add_tree("home", &source, passes).unwrap();
        archiver.finish().unwrap()
    }

    /// Restores the root `home` into `target`.
    pub(crate) fn restore(&self, tree: TreeId, passes: Option<&dyn Passes>) -> RestoreSummary {
        self.restore_with(tree, passes, &RestoreOptions::default())
    }

    pub(crate) fn restore_with(
        &self,
        tree: TreeId,
        passes: Option<&dyn Passes>,
        options: &RestoreOptions,
    ) -> RestoreSummary {
        let node = self.find(&tree, b"home");
        let target = self.path("target");
        restore_node(&self.repository, &node, &target, passes, options, &Silent).unwrap()
    }

    /// The same repository, opened by somebody who knows nothing of this one.
    pub(crate) fn again(&self) -> Repository {
        let location = self.path("repository");
        let store = copal_storage::open(location.to_str().unwrap()).unwrap();
        let runtime = self.repository.runtime().clone();
        Repository::open(store, runtime, &Password::new(PASSWORD)).unwrap()
    }

    /// The pack in which a data blob is looked for first, and where in it.
    pub(crate) fn pack_of(&self, blob: &BlobId) -> (PathBuf, Range<usize>) {
        let location = self.repository.locate(BlobKind::Data, blob).unwrap();
        let location = location.unwrap();
        let hex = location.pack.to_string();
        let pack = self.path("repository/data").join(&hex[..2]).join(&hex);
        let start = location.offset as usize;
        (pack, start..start + location.length as usize)
    }

    pub(crate) fn find(&self, tree: &TreeId, path: &[u8]) -> Node {
        find(&self.repository, tree, path).unwrap().unwrap()
    }

    pub(crate) fn save(&self, tree: TreeId) -> String {
        let snapshot = Snapshot {
            paths: vec!["/home".into()],
            hostname: "h".into(),
            ..Snapshot::new(Timestamp::now(), tree)
        };
        self.repository
            .save_snapshot(&snapshot)
            .unwrap()
            .to_string()
    }
}

/// Stores a tree as it is, however hostile, and the root `home` above it.
pub(crate) fn store_tree(place: &Place, nodes: Vec<Node>) -> TreeId {
    let writer = place.repository.writer(WriterOptions::default()).unwrap();
    writer.store(BlobKind::Data, b"evil").unwrap();
    let store = |nodes| {
        let json = Tree { nodes }.encode();
        TreeId::from(writer.store(BlobKind::Tree, &json).unwrap().id)
    };
    let subtree = Some(store(nodes));
    let home = Node {
        subtree,
        mode: 0o755,
        ..Node::new("home", NodeKind::Directory)
    };
    let tree = store(vec![home]);
    writer.finish().unwrap();
    tree
}

pub(crate) fn evil_file(name: &[u8]) -> Node {
    Node {
        content: vec![BlobId::of(b"evil")],
        size: 4,
        mode: 0o644,
        ..Node::new(name, NodeKind::File)
    }
}

/// Overwrites a part of a file that may not be written to.
pub(crate) fn damage(path: &Path, part: Range<usize>) {
    let mut bytes = fs::read(path).unwrap();
    bytes[part].fill(0);
    rewrite(path, &bytes);
}

pub(crate) fn rewrite(path: &Path, bytes: &[u8]) {
    fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
    fs::write(path, bytes).unwrap();
}

fn set_time(path: &Path, seconds: i64, nanoseconds: i64) {
    let time = Timespec {
        tv_sec: seconds,
        tv_nsec: nanoseconds,
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

/// Something of everything that a file system can hold; owners and devices only for root.
pub(crate) fn rich_tree(root: &Path) {
    let name = |bytes: &[u8]| root.join(OsStr::from_bytes(bytes));
    for directory in [
        "empty",
        "sticky",
        "setgid",
        "closed",
        "many",
        "deep/a/b/c/d/e/f",
    ] {
        fs::create_dir_all(root.join(directory)).unwrap();
    }
    fs::write(root.join("nothing"), b"").unwrap();
    fs::write(root.join("small"), b"small\n").unwrap();
    fs::write(root.join("large"), noise(1, 9 << 20)).unwrap();
    fs::write(root.join("text"), "the same line\n".repeat(200_000)).unwrap();
    let sparse = File::create(root.join("sparse")).unwrap();
    sparse.set_len(20 << 20).unwrap();
    sparse.write_all_at(b"in the middle", 7_000_001).unwrap();
    sparse.write_all_at(&noise(2, 100_000), 12 << 20).unwrap();
    fs::write(name(b"bad\xff\xfename\"q\\\n"), b"bytes").unwrap();
    fs::write(name("<&> é 名.txt".as_bytes()), b"text").unwrap();
    fs::write(root.join("closed/file"), b"closed").unwrap();
    fs::write(root.join("deep/a/b/c/d/e/f/file"), b"deep").unwrap();
    for index in 0..1500 {
        fs::write(root.join(format!("many/{index}")), format!("file {index}")).unwrap();
    }
    fs::hard_link(root.join("small"), root.join("deep/hard")).unwrap();
    fs::hard_link(root.join("small"), root.join("another")).unwrap();
    symlink("nowhere", root.join("dangling")).unwrap();
    symlink("deep", root.join("to a directory")).unwrap();
    symlink(OsStr::from_bytes(b"raw \xff target"), root.join("raw")).unwrap();
    mkfifoat(CWD, root.join("fifo"), Mode::RUSR).unwrap();
    let user = b"user.copal.test";
    lsetxattr(
        root.join("text"),
        &user[..],
        b"v\0\xff",
        XattrFlags::empty(),
    )
    .unwrap();
    lsetxattr(root.join("empty"), &user[..], b"", XattrFlags::empty()).unwrap();
    if rustix::process::geteuid().is_root() {
        let devices = [
            ("null", FileType::CharacterDevice, makedev(1, 3)),
            ("loop", FileType::BlockDevice, makedev(7, 200)),
        ];
        for (name, kind, device) in devices {
            mknodat(CWD, root.join(name), kind, Mode::RUSR, device).unwrap();
        }
        let trusted = b"trusted.copal";
        lsetxattr(root.join("large"), &trusted[..], b"t", XattrFlags::empty()).unwrap();
        for name in ["text", "many", "dangling", "fifo"] {
            let owner = rustix::fs::Uid::from_raw(12_345);
            let group = rustix::fs::Gid::from_raw(54_321);
            let flags = AtFlags::SYMLINK_NOFOLLOW;
            chownat(CWD, root.join(name), Some(owner), Some(group), flags).unwrap();
        }
    }
    for (name, mode) in [
        ("large", 0o4755),
        ("text", 0o2640),
        ("small", 0o400),
        ("sticky", 0o1777),
        ("setgid", 0o2755),
        ("closed", 0o555),
        ("fifo", 0o622),
    ] {
        fs::set_permissions(root.join(name), Permissions::from_mode(mode)).unwrap();
    }
    set_time(&root.join("nothing"), 0, 0);
    set_time(&root.join("small"), -1, 999_999_999);
    set_time(&root.join("dangling"), 1_234_567_890, 1);
    set_time(&root.join("deep/a/b"), 1_600_000_000, 120_000_000);
    set_time(&root.join("closed"), 1_500_000_000, 0);
    set_time(root, 1_400_000_000, 5);
}

/// All that can be said of each item beneath `root`, and of `root` itself: what a restore must bring back.
pub(crate) fn describe(root: &Path) -> BTreeMap<PathBuf, String> {
    let mut items = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(path) = open.pop() {
        let metadata = fs::symlink_metadata(&path).unwrap();
        let content = if metadata.is_dir() {
            for entry in fs::read_dir(&path).unwrap() {
                open.push(entry.unwrap().path());
            }
            String::new()
        } else if metadata.is_file() {
            let content = fs::read(&path).unwrap();
            format!("{} links {}", BlobId::of(&content), metadata.nlink())
        } else if metadata.is_symlink() {
            let target = fs::read_link(&path).unwrap().into_os_string().into_vec();
            target.escape_ascii().to_string()
        } else {
            metadata.rdev().to_string()
        };
        let about = format!(
            "mode {:o} owner {}:{} modified {}.{:09} size {} {content} {:?}",
            metadata.mode(),
            metadata.uid(),
            metadata.gid(),
            metadata.mtime(),
            metadata.mtime_nsec(),
            if metadata.is_dir() { 0 } else { metadata.len() },
            attributes(&path),
        );
        items.insert(path.strip_prefix(root).unwrap().to_owned(), about);
    }
    items
}

fn attributes(path: &Path) -> Vec<(String, Vec<u8>)> {
    let mut list = vec![0; 65_536];
    let length = llistxattr(path, &mut list[..]).unwrap();
    let mut attributes: Vec<_> = list[..length]
        .split(|&byte| byte == 0)
        .filter(|name| !name.is_empty())
        .map(|name| {
            let mut value = vec![0; 65_536];
            let length = lgetxattr(path, name, &mut value[..]).unwrap();
            (
                String::from_utf8(name.to_vec()).unwrap(),
                value[..length].to_vec(),
            )
        })
        .collect();
    attributes.sort();
    attributes
}

/// Compares item by item, so that a failure names what differs.
pub(crate) fn assert_same(expected: &BTreeMap<PathBuf, String>, found: &BTreeMap<PathBuf, String>) {
    for (path, item) in expected {
        assert_eq!(Some(item), found.get(path), "{path:?}");
    }
    let more: Vec<_> = found
        .keys()
        .filter(|path| !expected.contains_key(*path))
        .collect();
    assert!(more.is_empty(), "{more:?}");
}

/// A pass that decides and transforms with closures.
pub(crate) struct Rules<C, T> {
    pub(crate) classify: C,
    /// Gets each chunk and, at the end, nothing.
    pub(crate) transform: T,
    pub(crate) calls: Mutex<Vec<usize>>,
}

type Transformed = Result<Vec<u8>, PassError>;
type Transform = fn(&[u8], Option<&[u8]>) -> Transformed;

/// Rules that decide entry by entry, given the directory, and never transform.
pub(crate) fn verdicts<C: Fn(&[u8], &Node) -> Verdict + Sync>(classify: C) -> Rules<C, Transform> {
    Rules {
        classify,
        transform: |_, chunk| Ok(chunk.unwrap_or_default().to_vec()),
        calls: Mutex::default(),
    }
}

struct Running<'a, C, T> {
    rules: &'a Rules<C, T>,
    path: Vec<u8>,
}

impl<C, T> Passes for &'static Rules<C, T>
where
    C: Fn(&[u8], &Node) -> Verdict + Sync,
    T: Fn(&[u8], Option<&[u8]>) -> Transformed + Sync,
{
    fn start(&self) -> Result<Box<dyn Pass>, PassError> {
        Ok(Box::new(Running {
            rules: self,
            path: Vec::new(),
        }))
    }
}

impl<C, T> Rules<C, T> {
    /// Tests may leak: passes have to own what they use.
    pub(crate) fn leak(self) -> &'static Self {
        Box::leak(Box::new(self))
    }
}

impl<C, T> Pass for Running<'_, C, T>
where
    C: Fn(&[u8], &Node) -> Verdict + Sync,
    T: Fn(&[u8], Option<&[u8]>) -> Transformed + Sync,
{
    fn classify(&mut self, directory: &[u8], entries: &[Node]) -> Result<Vec<Verdict>, PassError> {
        self.rules.calls.lock().unwrap().push(entries.len());
        let verdict = |node| (self.rules.classify)(directory, node);
        Ok(entries.iter().map(verdict).collect())
    }

    fn open(&mut self, path: &[u8], _node: &Node) -> Result<(), PassError> {
        self.path = path.to_vec();
        Ok(())
    }

    fn push(&mut self, chunk: &[u8]) -> Result<Vec<u8>, PassError> {
        (self.rules.transform)(&self.path, Some(chunk))
    }

    fn finish_file(&mut self) -> Result<Vec<u8>, PassError> {
        (self.rules.transform)(&self.path, None)
    }
}
