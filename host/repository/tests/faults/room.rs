//! Repositories in memory, of which a copy costs nothing, and what can be read of them.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use copal_repository::archiver::{ArchiveOptions, Archiver};
use copal_repository::checker::{CheckOptions, CheckReport, check};
use copal_repository::format::Timestamp;
use copal_repository::format::key::ScryptCost;
use copal_repository::format::snapshot::Snapshot;
use copal_repository::format::tree::NodeKind;
use copal_repository::progress::Silent;
use copal_repository::walk::dump;
use copal_repository::{
    BlobId, Error, ErrorKind, InitOptions, KeyChange, KeyOptions, LockMode, Password, Repository,
    SnapshotId, TreeId, WriterOptions,
};
use copal_storage::object_store::memory::InMemory;
use copal_storage::object_store::path::Path;
use copal_storage::object_store::{ObjectStore, ObjectStoreExt as _};
pub(crate) use copal_tests::sample::noise;
use futures::TryStreamExt as _;
use tempfile::TempDir;
use tokio::runtime::Runtime;

const PASSWORD: &str = "correct horse";
const OTHER: &str = "battery staple";

const CHEAP: ScryptCost = ScryptCost {
    log_n: 4,
    r: 8,
    p: 1,
};

/// What can be read of a snapshot: paths with kinds, modes and the digests of contents.
pub(crate) type Readable = BTreeMap<String, String>;

/// What can be read of every snapshot, by the one that it was made of or by itself.
pub(crate) type Held = BTreeMap<SnapshotId, Readable>;

/// A directory to back up, and what drives the stores.
pub(crate) struct Room {
    directory: TempDir,
    pub(crate) runtime: Runtime,
}

/// So that a repository of a few hundred kilobytes has packs and index files enough for something to go wrong between them.
pub(crate) const SMALL: WriterOptions = WriterOptions {
    compression_level: 3,
    pack_size: 64 << 10,
    uploads: Some(2),
    index_age: std::time::Duration::from_secs(5 * 60),
};

impl Room {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("source")).unwrap();
        Self {
            directory,
            runtime: Runtime::new().unwrap(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path("source").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// The `version`th state of the source: each has something of its own and something of the others.
    pub(crate) fn change(&self, version: u64) {
        if version == 0 {
            self.write("same/large", noise(100, 100_000));
            self.write("same/small", "the same in all");
        } else {
            fs::remove_dir_all(self.path(&format!("source/own/{}", version - 1))).unwrap();
        }
        self.write("own/large", noise(version, 90_000));
        self.write(&format!("own/{version}/deep/small"), format!("{version}"));
        self.write("text", format!("line of {version}\n").repeat(2_000));
    }

    pub(crate) fn init(&self) -> Arc<InMemory> {
        let store = Arc::new(InMemory::new());
        let options = InitOptions {
            scrypt: CHEAP,
            ..InitOptions::default()
        };
        let handle = self.runtime.handle().clone();
        let place = store_of(store.clone());
        Repository::init(place, handle, &Password::new(PASSWORD), &options).unwrap();
        store
    }

    /// A repository with so many snapshots.
    pub(crate) fn with_history(&self, snapshots: u64) -> Arc<InMemory> {
        let store = self.init();
        for version in 0..snapshots {
            self.change(version);
            self.back_up(store.clone()).unwrap();
        }
        store
    }

    /// Opens it with its password, or with the other one if that does not fit any longer.
    pub(crate) fn open(&self, store: Arc<dyn ObjectStore>) -> Result<Repository, Error> {
        let open = |password| {
            let handle = self.runtime.handle().clone();
            Repository::open(store_of(store.clone()), handle, &Password::new(password))
        };
        match open(PASSWORD) {
            Err(error) if error.kind() == ErrorKind::WrongPassword => open(OTHER),
            opened => opened,
        }
    }

    /// Adds a key that the other password opens.
    pub(crate) fn add_key(&self, store: &Arc<InMemory>) {
        let repository = self.open(store.clone()).unwrap();
        let other = Password::new(OTHER);
        repository.add_key(&other, &cheap_key()).unwrap();
    }

    /// Puts such a key in the place of the one that is there.
    pub(crate) fn change_password(&self, store: Arc<dyn ObjectStore>) -> Result<KeyChange, Error> {
        let repository = self.open(store)?;
        let lock = repository.lock(LockMode::Exclusive)?;
        repository.change_password(&Password::new(OTHER), &cheap_key(), &lock)
    }

    /// Backs up as the job engine does.
    pub(crate) fn back_up(&self, store: Arc<dyn ObjectStore>) -> Result<SnapshotId, Error> {
        let repository = self.open(store)?;
        let lock = repository.lock(LockMode::Write)?;
        let parent = repository.snapshots()?.pop();
        let options = ArchiveOptions {
            parent: parent.map(|(_, snapshot)| snapshot.tree),
            writer: SMALL,
            ..ArchiveOptions::default()
        };
        let mut archiver = Archiver::new(&repository, options, &Silent)?;
        archiver.add_tree("home", &self.path("source"), None)?;
        let tree = archiver.finish()?.tree;
        lock.check()?;
        let snapshot = Snapshot {
            paths: vec!["/home".into()],
            hostname: "h".into(),
            ..Snapshot::new(Timestamp::now(), tree)
        };
        repository.save_snapshot(&snapshot)
    }

    pub(crate) fn held(&self, store: Arc<dyn ObjectStore>) -> Held {
        let repository = self.open(store).unwrap();
        let snapshots = repository.readable_snapshots().unwrap().snapshots;
        let mut held = Held::new();
        for (id, snapshot) in snapshots {
            let found = held.entry(snapshot.original.unwrap_or(id)).or_default();
            read(&repository, &snapshot.tree, "", found);
        }
        held
    }

    /// Whatever a restore has left under its name is as one of the snapshots has it.
    #[track_caller]
    pub(crate) fn restored_is_right(&self, held: &Held, what: &str) {
        let target = self.path("target");
        let mut open = vec![target.clone()];
        let mut restored = Vec::new();
        while let Some(path) = open.pop() {
            if path.is_dir() {
                let entries = fs::read_dir(&path).unwrap();
                open.extend(entries.map(|entry| entry.unwrap().path()));
            } else if path.exists() && !path.to_string_lossy().contains(".copal-tmp-") {
                let name = path.strip_prefix(&target).unwrap().to_string_lossy();
                let digest = BlobId::of(&fs::read(&path).unwrap()).to_string();
                restored.push((format!("/home/{name}"), digest));
            }
        }
        let is_of = |readable: &Readable| {
            restored.iter().all(|(path, digest)| {
                let about = readable.get(path);
                about.is_some_and(|about| about.ends_with(digest))
            })
        };
        let is_right = restored.is_empty() || held.values().any(is_of);
        assert!(is_right, "{what}: {restored:?}");
    }

    /// What is wrong, every byte read.
    pub(crate) fn report(&self, store: Arc<dyn ObjectStore>) -> CheckReport {
        let options = CheckOptions::ALL;
        check(&self.open(store).unwrap(), options, &Silent).unwrap()
    }

    /// The objects beneath `prefix`, the oldest first.
    pub(crate) fn objects(&self, store: &InMemory, prefix: &str) -> Vec<Path> {
        let listed = store.list(Some(&Path::from(prefix))).try_collect();
        let mut listed: Vec<_> = self.runtime.block_on(listed).unwrap();
        listed.sort_by_key(|object| object.last_modified);
        listed.into_iter().map(|object| object.location).collect()
    }

    pub(crate) fn get(&self, store: &InMemory, path: &Path) -> Vec<u8> {
        let bytes = async { store.get(path).await?.bytes().await };
        self.runtime.block_on(bytes).unwrap().to_vec()
    }

    pub(crate) fn put(&self, store: &InMemory, path: &Path, bytes: Vec<u8>) {
        self.runtime
            .block_on(store.put(path, bytes.into()))
            .unwrap();
    }

    pub(crate) fn delete(&self, store: &InMemory, path: &Path) {
        self.runtime.block_on(store.delete(path)).unwrap();
    }
}

fn cheap_key() -> KeyOptions {
    KeyOptions {
        scrypt: CHEAP,
        ..KeyOptions::default()
    }
}

fn store_of(store: Arc<dyn ObjectStore>) -> copal_storage::Store {
    copal_storage::open("memory:").unwrap().through(|_| store)
}

/// What can be read beneath a tree. What can't is passed over.
fn read(repository: &Repository, tree: &TreeId, directory: &str, found: &mut Readable) {
    let Ok(tree) = repository.load_tree(tree) else {
        return;
    };
    for node in &tree.nodes {
        let name = String::from_utf8_lossy(&node.name);
        let path = format!("{directory}/{name}");
        let mut content = Vec::new();
        if node.kind == NodeKind::File && dump(repository, node, &mut content).is_err() {
            continue;
        }
        let digest = BlobId::of(&content);
        let about = format!("{} {:o} {digest}", node.kind.as_str(), node.mode);
        if let Some(subtree) = &node.subtree {
            read(repository, subtree, &path, found);
        }
        found.insert(path, about);
    }
}

/// The last part of an object's path: the id of a repository's file.
pub(crate) fn name(path: &Path) -> String {
    path.filename().unwrap_or_default().to_owned()
}
