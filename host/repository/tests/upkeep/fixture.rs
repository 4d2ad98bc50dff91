//! A repository of snapshots that differ, and ways to look at it and to spoil it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use copal_repository::archiver::{ArchiveOptions, Archiver};
use copal_repository::checker::{CheckOptions, CheckReport, check};
use copal_repository::format::crypto::Key;
use copal_repository::format::key::{KeyFile, ScryptCost};
use copal_repository::format::snapshot::Snapshot;
use copal_repository::format::tree::NodeKind;
use copal_repository::format::{Timestamp, unpacked};
use copal_repository::progress::Silent;
use copal_repository::prune::{MIN_GRACE, PruneOptions, PruneStats, prune};
use copal_repository::walk::{Next, dump, walk};
use copal_repository::{Error, InitOptions, LockMode, Password, Repository, SnapshotId, TreeId};
use copal_storage::Store;
pub(crate) use copal_tests::sample::noise;
use tempfile::TempDir;
use tokio::runtime::Runtime;

pub(crate) const PASSWORD: &str = "correct horse";

/// A place with a repository and a directory to back up.
pub(crate) struct World {
    pub(crate) directory: TempDir,
    pub(crate) runtime: Runtime,
}

impl World {
    pub(crate) fn new() -> Self {
        let world = Self::without_repository();
        let options = InitOptions {
            scrypt: ScryptCost {
                log_n: 4,
                r: 8,
                p: 1,
            },
            ..InitOptions::default()
        };
        let handle = world.runtime.handle().clone();
        Repository::init(world.store(), handle, &Password::new(PASSWORD), &options).unwrap();
        world
    }

    pub(crate) fn without_repository() -> Self {
        let world = Self {
            directory: tempfile::tempdir().unwrap(),
            runtime: Runtime::new().unwrap(),
        };
        fs::create_dir(world.source("")).unwrap();
        world
    }

    /// Four snapshots of which each has something of its own and something of the others: large and small files, and directories.
    pub(crate) fn with_history() -> (Self, Vec<SnapshotId>) {
        let world = Self::new();
        world.write("same/large", noise(100, 3 << 20));
        world.write("same/small", "the same in all");
        let snapshots = (0..4).map(|version: u64| {
            world.write("own/large", noise(version, 2 << 20));
            world.write(&format!("own/{version}/deep/small"), format!("{version}"));
            world.write("text", format!("line of {version}\n").repeat(20_000));
            if version > 0 {
                fs::remove_dir_all(world.source(&format!("own/{}", version - 1))).unwrap();
            }
            world.back_up()
        });
        let snapshots = snapshots.collect();
        (world, snapshots)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn source(&self, name: &str) -> PathBuf {
        self.path("source").join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.source(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub(crate) fn store(&self) -> Store {
        copal_storage::open(self.path("repository").to_str().unwrap()).unwrap()
    }

    /// The repository, as another process would see it.
    pub(crate) fn open(&self) -> Repository {
        self.open_in(self.store()).unwrap()
    }

    pub(crate) fn open_in(&self, store: Store) -> Result<Repository, Error> {
        let handle = self.runtime.handle().clone();
        Repository::open(store, handle, &Password::new(PASSWORD))
    }

    pub(crate) fn back_up(&self) -> SnapshotId {
        self.back_up_with(&self.open())
    }

    pub(crate) fn back_up_with(&self, repository: &Repository) -> SnapshotId {
        let tree = self.archive(repository);
        self.save(repository, tree)
    }

    /// All of a backup but the snapshot.
    pub(crate) fn archive(&self, repository: &Repository) -> TreeId {
        self.try_archive(repository).unwrap()
    }

    pub(crate) fn try_archive(&self, repository: &Repository) -> Result<TreeId, Error> {
        let mut archiver = Archiver::new(repository, ArchiveOptions::default(), &Silent)?;
        archiver.add_tree("home", &self.source(""), None)?;
        Ok(archiver.finish()?.tree)
    }

    pub(crate) fn save(&self, repository: &Repository, tree: TreeId) -> SnapshotId {
        self.try_save(repository, tree).unwrap()
    }

    pub(crate) fn try_save(
        &self,
        repository: &Repository,
        tree: TreeId,
    ) -> Result<SnapshotId, Error> {
        let snapshot = Snapshot {
            paths: vec!["/home".into()],
            hostname: "h".into(),
            ..Snapshot::new(Timestamp::now(), tree)
        };
        repository.save_snapshot(&snapshot)
    }

    pub(crate) fn forget(&self, snapshots: &[SnapshotId]) {
        let repository = self.open();
        let lock = repository.lock(LockMode::Exclusive).unwrap();
        repository.forget(snapshots, &lock).unwrap();
    }

    pub(crate) fn prune(&self, options: &PruneOptions) -> Result<PruneStats, Error> {
        prune_in(&self.open(), options)
    }

    /// The key that everything is encrypted with.
    fn key(&self) -> Key {
        let key = fs::read(&self.files("keys")[0]).unwrap();
        let secrets = KeyFile::decode(&key).unwrap();
        let secrets = secrets.open(PASSWORD.as_bytes()).unwrap();
        Key::new(&secrets.unwrap()).unwrap()
    }

    /// Rewrites a file that holds JSON, as if somebody else had written it.
    pub(crate) fn forge(&self, file: &Path, change: impl FnOnce(&mut serde_json::Value)) {
        let key = self.key();
        let json = unpacked::open(&key, &fs::read(file).unwrap()).unwrap();
        let mut document = serde_json::from_slice(&json).unwrap();
        change(&mut document);
        let sealed = unpacked::seal(&key, 2, document.to_string().as_bytes()).unwrap();
        let id = copal_repository::BlobId::of(&sealed).to_string();
        fs::write(file.with_file_name(id), sealed).unwrap();
        fs::remove_file(file).unwrap();
    }

    /// Lets all packs that are marked have been so for that time.
    pub(crate) fn age_marks(&self, time: Duration) {
        let mut since = Timestamp::now();
        since.seconds -= time.as_secs().cast_signed();
        for file in self.files("index") {
            self.forge(&file, |index| {
                for pack in marked(index) {
                    pack["time"] = since.to_string().into();
                }
            });
        }
    }

    /// What every snapshot holds.
    pub(crate) fn contents(&self) -> BTreeMap<SnapshotId, BTreeMap<String, String>> {
        let repository = self.open();
        let snapshots = repository.snapshots().unwrap().into_iter();
        snapshots
            .map(|(id, snapshot)| (id, contents(&repository, &snapshot.tree)))
            .collect()
    }

    /// What is wrong, every byte read.
    pub(crate) fn report(&self) -> CheckReport {
        let options = CheckOptions::ALL;
        check(&self.open(), options, &Silent).unwrap()
    }

    #[track_caller]
    pub(crate) fn is_whole(&self) {
        assert_eq!(self.report().errors, [""; 0]);
    }

    /// The files of the repository beneath `name`, ordered.
    pub(crate) fn files(&self, name: &str) -> Vec<PathBuf> {
        files(&self.path("repository").join(name))
    }

    /// Bytes of all packs.
    pub(crate) fn packed(&self) -> u64 {
        let sizes = self.files("data").into_iter();
        sizes.map(|file| file.metadata().unwrap().len()).sum()
    }

    /// The packs that hold what the first snapshot needs and this one's file `path` alone: those of its content.
    pub(crate) fn packs_of(&self, snapshot: &SnapshotId, path: &str) -> Vec<PathBuf> {
        let repository = self.open();
        let (_, snapshot) = repository.snapshot(&snapshot.to_string()).unwrap();
        let node = copal_repository::walk::find(&repository, &snapshot.tree, path.as_bytes());
        let content = node.unwrap().unwrap().content;
        let kind = copal_repository::format::BlobKind::Data;
        let mut packs: Vec<_> = content
            .iter()
            .map(|blob| {
                repository
                    .locate(kind, blob)
                    .unwrap()
                    .unwrap()
                    .pack
                    .to_string()
            })
            .collect();
        packs.sort();
        packs.dedup();
        let path = |pack: String| self.path("repository/data").join(&pack[..2]).join(pack);
        packs.into_iter().map(path).collect()
    }
}

/// The packs that an index file marks.
pub(crate) fn marked(
    index: &mut serde_json::Value,
) -> impl Iterator<Item = &mut serde_json::Value> {
    let marked = index.get_mut("packs_to_delete");
    let marked = marked.and_then(serde_json::Value::as_array_mut);
    marked.into_iter().flatten()
}

/// Prunes under the lock that the options ask for.
pub(crate) fn prune_in(
    repository: &Repository,
    options: &PruneOptions,
) -> Result<PruneStats, Error> {
    let mode = match options.two_phase {
        Some(grace) if grace >= MIN_GRACE => LockMode::Read,
        _ => LockMode::Exclusive,
    };
    let lock = repository.lock(mode)?;
    prune(repository, options, &lock, &Silent, &mut |_| {})
}

/// Paths with kinds and contents.
pub(crate) fn contents(repository: &Repository, tree: &TreeId) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    walk(repository, tree, &mut |path, node| {
        let mut content = Vec::new();
        if node.kind == NodeKind::File {
            dump(repository, node, &mut content)?;
        }
        let digest = copal_repository::BlobId::of(&content);
        let path = String::from_utf8_lossy(path).into_owned();
        found.insert(
            path,
            format!("{} {:o} {digest}", node.kind.as_str(), node.mode),
        );
        Ok(Next::Continue)
    })
    .unwrap();
    found
}

pub(crate) fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => open.push(path),
                false => found.push(path),
            }
        }
    }
    found.sort();
    found
}

/// Copies a directory with all that is in it.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        match path.is_dir() {
            true => copy(&path, &target),
            false => drop(fs::copy(&path, &target).unwrap()),
        }
    }
}

/// Turns one bit of a file.
pub(crate) fn flip(file: &Path, position: usize) {
    let mut bytes = fs::read(file).unwrap();
    bytes[position] ^= 1;
    fs::write(file, bytes).unwrap();
}

pub(crate) fn name(file: &Path) -> String {
    file.file_name().unwrap().to_str().unwrap().to_owned()
}
