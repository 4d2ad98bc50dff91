//! An open repository.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};

use copal_storage::Store;
use tokio::runtime::Handle;

use crate::backend::{Backend, FileKind};
use crate::chunker::Chunker;
use crate::error::Error;
use crate::format::config::Config;
use crate::format::crypto::{Key, Secrets};
use crate::format::index::IndexFile;
use crate::format::key::ScryptCost;
use crate::format::pack::BlobKind;
use crate::format::polynomial::Polynomial;
use crate::format::snapshot::Snapshot;
use crate::format::{Timestamp, unpacked};
use crate::id::{BlobId, IndexId, KeyId, PackId, RepositoryId, SnapshotId};
use crate::identity::Identity;
use crate::index::{Index, Location};
use crate::lock::Locks;
use crate::password::Password;
use crate::{keys, parallel};

/// The newest version of the format, which new repositories get.
const VERSION: u32 = 2;

/// How often the index files are listed, until all that are there have been read: a prune without a lock replaces them meanwhile.
const INDEX_LISTINGS: u32 = 10;

/// So many index files for each thread are in memory at a time.
const INDEX_FILES: usize = 4;

/// What is wrong with a file that every listing shows and that can't be read.
const UNFOUND: &str = "it is listed, and not found when it is read; try again, and if that stays so, ask whoever runs the storage";

/// An open repository. Cheap to clone; all clones share the index.
///
/// Its methods wait for the store, so they must not be called from within the asynchronous runtime.
#[derive(Clone)]
pub struct Repository(Arc<Inner>);

struct Inner {
    backend: Backend,
    key: Key,
    /// The key file that the password opened.
    key_id: Mutex<KeyId>,
    config: Config,
    chunker: Chunker,
    /// Nothing until someone asks for a blob.
    index: RwLock<Option<Index>>,
    /// Held while the index is being loaded.
    loading: Mutex<()>,
    /// The locks that this process holds by this repository.
    locks: Locks,
}

/// How a repository is initialised.
#[derive(Debug, Clone)]
pub struct InitOptions {
    /// What trying a password costs.
    pub scrypt: ScryptCost,
    /// Where files are to be cut: as in another repository, so that what is copied from there is known here. Drawn at random without.
    pub polynomial: Option<Polynomial>,
}

/// What is left of a repository's snapshots where some are damaged.
#[derive(Debug, Default)]
pub struct ReadableSnapshots {
    /// Those that can be read, oldest first.
    pub snapshots: Vec<(SnapshotId, Snapshot)>,
    /// What is wrong with each of the others.
    pub damaged: Vec<Error>,
}

impl Default for InitOptions {
    fn default() -> Self {
        Self {
            scrypt: ScryptCost::DEFAULT,
            polynomial: None,
        }
    }
}

/// A repository that is kept by others.
#[derive(Debug, Clone)]
pub struct WeakRepository(Weak<Inner>);

impl WeakRepository {
    /// The repository, if anybody keeps it still.
    pub fn upgrade(&self) -> Option<Repository> {
        self.0.upgrade().map(Repository)
    }
}

impl fmt::Debug for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Repository")
            .field("location", &self.location())
            .finish_non_exhaustive()
    }
}

/// The lock, also if a thread that held it panicked: what it guards is replaced whole, never half.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Repository {
    /// Makes a repository in `store`, with one key that `password` opens.
    ///
    /// # Errors
    /// There is one already, or the store cannot be written.
    pub fn init(
        store: Store,
        runtime: Handle,
        password: &Password,
        options: &InitOptions,
    ) -> Result<Self, Error> {
        let backend = Backend::new(store, runtime);
        let location = || backend.location().to_owned();
        refuse_config(&backend)?;
        let left = backend.ids(FileKind::Key)?;
        if !left.is_empty() {
            prove_left(&backend, &left, password)?;
        }
        backend.create_directories()?;
        // Its secrets may be known to others by now, so they are not taken over.
        for id in &left {
            backend.remove(FileKind::Key, id)?;
        }
        backend.prove_removed(FileKind::Key, &left)?;
        let key = Key::new(&Secrets::random()).map_err(Error::damaged("the new key"))?;
        let write_key = || {
            let Identity {
                username, hostname, ..
            } = Identity::of_this_process();
            keys::write(&backend, &key, password, options.scrypt, username, hostname)
        };
        let mut key_id = write_key()?;
        let config = Config {
            version: VERSION,
            id: RepositoryId(rand::random()),
            chunker_polynomial: options.polynomial.unwrap_or_else(Polynomial::random),
        };
        let mut sealed = Vec::new();
        config
            .encode()
            .and_then(|json| key.seal(&json, &mut sealed))
            .map_err(Error::damaged("the new config"))?;
        // The config goes last: it is what makes the place a repository. Another that is being made there may be first.
        match backend.create_config(&sealed) {
            // It may be ours, where the answer to a first attempt was lost.
            Err(error @ Error::AlreadyInitialized { .. }) => {
                if backend.read_config()? != sealed {
                    backend.remove(FileKind::Key, &key_id.0)?;
                    return Err(error);
                }
            }
            created => created?,
        }
        // Or it may have taken our key for one that was left.
        if !backend.ids(FileKind::Key)?.contains(&key_id.0) {
            key_id = write_key()?;
        }
        if backend.read_config()? != sealed {
            return Err(Error::corrupt(
                format!("the new repository at {}", location()),
                "its config is not what was written: another may have been made there at the same time; remove both, and begin again",
            ));
        }
        Ok(Self::assemble(backend, key, key_id, config))
    }

    /// Opens the repository in `store`.
    ///
    /// # Errors
    /// There is none, no key opens with `password`, its config is damaged, or its version is unknown.
    pub fn open(store: Store, runtime: Handle, password: &Password) -> Result<Self, Error> {
        let backend = Backend::new(store, runtime);
        let location = || backend.location().to_owned();
        let sealed = match backend.read_config() {
            Err(Error::Storage(error)) if error.is_not_found() => {
                return Err(match backend.list(FileKind::Key)?.is_empty() {
                    true => Error::NoRepository {
                        location: location(),
                    },
                    false => without_config(&location()),
                });
            }
            config => config?,
        };
        let (key_id, key) = keys::find(&backend, password)?;
        let config = key
            .open(&sealed)
            .and_then(|json| Config::decode(&json))
            .map_err(Error::damaged(format!(
                "the file `config` of {}",
                location()
            )))?;
        if !(1..=VERSION).contains(&config.version) {
            return Err(Error::Unsupported(format!(
                "the repository at {} has version {} of the format, and this program knows 1 and 2: use a newer one",
                location(),
                config.version
            )));
        }
        Ok(Self::assemble(backend, key, key_id, config))
    }

    fn assemble(backend: Backend, key: Key, key_id: KeyId, config: Config) -> Self {
        let chunker = Chunker::new(config.chunker_polynomial);
        Self(Arc::new(Inner {
            backend,
            key,
            key_id: Mutex::new(key_id),
            config,
            chunker,
            index: RwLock::new(None),
            loading: Mutex::new(()),
            locks: Locks::default(),
        }))
    }

    /// The same, without keeping it.
    pub fn downgrade(&self) -> WeakRepository {
        WeakRepository(Arc::downgrade(&self.0))
    }

    pub(crate) fn backend(&self) -> &Backend {
        &self.0.backend
    }

    pub(crate) fn key(&self) -> &Key {
        &self.0.key
    }

    pub(crate) fn key_id(&self) -> &Mutex<KeyId> {
        &self.0.key_id
    }

    pub(crate) fn locks(&self) -> &Locks {
        &self.0.locks
    }

    /// The version of the format: 1 or 2.
    pub fn version(&self) -> u32 {
        self.0.config.version
    }

    /// Drawn at random when the repository was initialised.
    pub fn id(&self) -> RepositoryId {
        self.0.config.id
    }

    /// Where it is, without credentials.
    pub fn location(&self) -> &str {
        self.0.backend.location()
    }

    /// How many requests at a time make good use of the store.
    pub fn connections(&self) -> usize {
        self.0.backend.connections()
    }

    /// What decides where it cuts files.
    pub fn polynomial(&self) -> Polynomial {
        self.0.config.chunker_polynomial
    }

    /// How it cuts files into chunks.
    pub fn chunker(&self) -> &Chunker {
        &self.0.chunker
    }

    /// The runtime that drives its store.
    pub fn runtime(&self) -> &Handle {
        self.0.backend.runtime()
    }

    /// All snapshots, oldest first. Call it before anything that loads the index: then the index knows all they need.
    ///
    /// # Errors
    /// The store fails, or a snapshot is damaged.
    pub fn snapshots(&self) -> Result<Vec<(SnapshotId, Snapshot)>, Error> {
        let readable = self.readable_snapshots()?;
        match readable.damaged.into_iter().next() {
            Some(damage) => Err(damage),
            None => Ok(readable.snapshots),
        }
    }

    /// As [`Self::snapshots`], without those that are damaged.
    ///
    /// # Errors
    /// The store fails.
    pub fn readable_snapshots(&self) -> Result<ReadableSnapshots, Error> {
        self.read_snapshots(&self.snapshot_ids()?)
    }

    /// The snapshots that there are, in order.
    ///
    /// # Errors
    /// The store fails.
    pub fn snapshot_ids(&self) -> Result<Vec<SnapshotId>, Error> {
        let ids = self.backend().ids(FileKind::Snapshot)?.into_iter();
        Ok(ids.map(SnapshotId).collect())
    }

    /// Those of these snapshots that are there and are not damaged.
    ///
    /// # Errors
    /// The store fails.
    pub fn read_snapshots(&self, ids: &[SnapshotId]) -> Result<ReadableSnapshots, Error> {
        let read = parallel::map(ids, |SnapshotId(id)| {
            let sealed = self.backend().read(FileKind::Snapshot, id);
            match sealed.and_then(|sealed| self.decode_snapshot(id, &sealed)) {
                Err(error) if !error.is_loss() => Err(error),
                read => Ok(read),
            }
        })?;
        let mut readable = ReadableSnapshots::default();
        let mut unfound = Vec::new();
        for (id, read) in ids.iter().zip(read) {
            match read {
                Ok(snapshot) => readable.snapshots.push(snapshot),
                Err(Error::Storage(_)) => unfound.push(id.0),
                Err(damage) => readable.damaged.push(damage),
            }
        }
        // One that was forgotten since it was listed is listed no longer.
        if !unfound.is_empty() {
            let listed = self.backend().ids(FileKind::Snapshot)?;
            unfound.retain(|id| listed.binary_search(id).is_ok());
            let lost = |id| Error::corrupt(FileKind::Snapshot.name(id), UNFOUND);
            readable.damaged.extend(unfound.iter().map(lost));
        }
        let snapshots = &mut readable.snapshots;
        snapshots.sort_by_key(|(id, snapshot)| (snapshot.time, *id));
        Ok(readable)
    }

    pub(crate) fn decode_snapshot(
        &self,
        id: &[u8; 32],
        sealed: &[u8],
    ) -> Result<(SnapshotId, Snapshot), Error> {
        let snapshot = unpacked::open(self.key(), sealed)
            .and_then(|json| Snapshot::decode(&json))
            .map_err(Error::damaged(FileKind::Snapshot.name(id)))?;
        Ok((SnapshotId(*id), snapshot))
    }

    /// The snapshot whose id begins with `text`, or the newest if `text` is `latest`.
    ///
    /// # Errors
    /// There is none, or more than one; or it cannot be read.
    pub fn snapshot(&self, text: &str) -> Result<(SnapshotId, Snapshot), Error> {
        if text == "latest" {
            let empty = || {
                Error::NotFound(format!(
                    "the repository at {} has no snapshots yet",
                    self.location()
                ))
            };
            return self.snapshots()?.pop().ok_or_else(empty);
        }
        let id = self.backend().find(FileKind::Snapshot, text)?;
        self.decode_snapshot(&id, &self.backend().read(FileKind::Snapshot, &id)?)
    }

    /// Stores a snapshot. What it refers to must have been stored before, by a writer that was finished.
    ///
    /// # Errors
    /// The store fails.
    pub fn save_snapshot(&self, snapshot: &Snapshot) -> Result<SnapshotId, Error> {
        let sealed = snapshot
            .encode()
            .and_then(|json| unpacked::seal(self.key(), self.version(), &json))
            .map_err(Error::damaged("the new snapshot"))?;
        self.backend()
            .write(FileKind::Snapshot, sealed)
            .map(SnapshotId)
    }

    /// Reads all index files, once. Whatever needs the index does it by itself.
    ///
    /// # Errors
    /// The store fails, or an index file is damaged.
    pub fn load_index(&self) -> Result<(), Error> {
        let _loading = lock(&self.0.loading);
        if self
            .0
            .index
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some()
        {
            return Ok(());
        }
        self.read_index()
    }

    /// Reads all index files anew.
    ///
    /// # Errors
    /// As [`Self::load_index`], and the index stays as it was.
    pub fn reload_index(&self) -> Result<(), Error> {
        let _loading = lock(&self.0.loading);
        self.read_index()
    }

    /// Reads the index files that others have added since: for whoever looks for long. Where one is gone, all are read anew, for what it named may be
    /// gone too; so nobody may count by the index meanwhile, as a prune does.
    ///
    /// # Errors
    /// As [`Self::load_index`]. What was known stays known.
    pub fn refresh_index(&self) -> Result<(), Error> {
        let _loading = lock(&self.0.loading);
        // None if there is no index.
        let read = {
            let loaded = self.0.index.read().unwrap_or_else(PoisonError::into_inner);
            let files = loaded.as_ref().map(Index::files);
            files.map(|files| files.iter().map(|file| file.id.0).collect::<HashSet<_>>())
        };
        let mut listed = self.backend().ids(FileKind::Index)?;
        let is_there = |id: &[u8; 32]| listed.binary_search(id).is_ok();
        let Some(read) = read.filter(|read| read.iter().all(is_there)) else {
            return self.read_index();
        };
        listed.retain(|id| !read.contains(id));
        if listed.is_empty() {
            return Ok(());
        }
        self.merge_unread(listed, read, |(), id, file| {
            let mut loaded = self.0.index.write().unwrap_or_else(PoisonError::into_inner);
            if let Some(index) = loaded.as_mut() {
                index.add(id, &file);
            }
        })
    }

    fn read_index(&self) -> Result<(), Error> {
        let begun = Timestamp::now();
        let mut index: Index = self.merge_index_files(|index: &mut Index, id, file| {
            index.load(id, &file);
        })?;
        index.sort();
        index.set_age(begun);
        self.install_index(index);
        Ok(())
    }

    /// Reads all index files, a few at a time, and merges them one by one.
    ///
    /// No listing shows one moment, and a prune without a lock writes new files before it removes the old ones. So they are listed until no
    /// listing shows one that has not been read: then nothing is missing of what was there at the beginning. What is removed meanwhile counts.
    pub(crate) fn merge_index_files<T: Default>(
        &self,
        merge: impl Fn(&mut T, IndexId, IndexFile),
    ) -> Result<T, Error> {
        let listed = self.backend().ids(FileKind::Index)?;
        self.merge_unread(listed, HashSet::new(), merge)
    }

    /// As [`Self::merge_index_files`], of which some have been `read`, and these are the others.
    fn merge_unread<T: Default>(
        &self,
        mut unread: Vec<[u8; 32]>,
        mut read: HashSet<[u8; 32]>,
        merge: impl Fn(&mut T, IndexId, IndexFile),
    ) -> Result<T, Error> {
        let mut merged = T::default();
        for _ in 0..INDEX_LISTINGS {
            for ids in unread.chunks(parallel::threads() * INDEX_FILES) {
                let files = parallel::map(ids, |id| {
                    let sealed = self.backend().read(FileKind::Index, id);
                    match sealed.and_then(|sealed| self.decode_index(id, &sealed)) {
                        // The next listing says whether it was removed.
                        Err(Error::Storage(error)) if error.is_not_found() => Ok(None),
                        file => file.map(Some),
                    }
                });
                let files =
                    files.map_err(|error| error.advise("`copal repair index` makes it anew"))?;
                for (id, file) in files.into_iter().flatten() {
                    read.insert(id.0);
                    merge(&mut merged, id, file);
                }
            }
            unread = self.backend().ids(FileKind::Index)?;
            unread.retain(|id| !read.contains(id));
            if unread.is_empty() {
                return Ok(merged);
            }
        }
        let name = unread.first().map(|id| FileKind::Index.name(id));
        Err(Error::corrupt(name.unwrap_or_default(), UNFOUND))
    }

    /// The packs that index files name, as they are now, each with whether any counts it. The index that is loaded stays.
    pub(crate) fn named_packs(&self) -> Result<HashMap<PackId, bool>, Error> {
        self.merge_index_files(|packs: &mut HashMap<_, bool>, _, file| {
            for pack in file.packs {
                packs.insert(pack.id, true);
            }
            for pack in file.packs_to_delete {
                packs.entry(pack.id).or_default();
            }
        })
    }

    /// Forgets the index, so that whoever needs it next reads what is there then.
    pub(crate) fn unload_index(&self) {
        *self.0.index.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Writes an index file.
    pub(crate) async fn write_index(&self, file: &IndexFile) -> Result<IndexId, Error> {
        let sealed = file
            .encode()
            .and_then(|json| unpacked::seal(self.key(), self.version(), &json))
            .map_err(Error::damaged("a new index"))?;
        self.backend()
            .write_async(FileKind::Index, sealed.into())
            .await
            .map(IndexId)
    }

    pub(crate) fn decode_index(
        &self,
        id: &[u8; 32],
        sealed: &[u8],
    ) -> Result<(IndexId, IndexFile), Error> {
        let file = unpacked::open(self.key(), sealed)
            .and_then(|json| IndexFile::decode(&json))
            .map_err(Error::damaged(FileKind::Index.name(id)))?;
        Ok((IndexId(*id), file))
    }

    pub(crate) fn install_index(&self, index: Index) {
        let mut loaded = self.0.index.write().unwrap_or_else(PoisonError::into_inner);
        let before = loaded.replace(index);
        // It takes a while to let go of many blobs, for which nobody needs to wait.
        drop(loaded);
        drop(before);
    }

    /// Calls `look` with the index, loaded before if it has not been.
    pub(crate) fn with_index<T>(&self, look: impl FnOnce(&Index) -> T) -> Result<T, Error> {
        loop {
            if let Some(index) = &*self.0.index.read().unwrap_or_else(PoisonError::into_inner) {
                return Ok(look(index));
            }
            self.load_index()?;
        }
    }

    /// Adds to the index what was just stored. One that is not loaded will hold it once it is.
    pub(crate) fn extend_index(&self, pack: &crate::format::index::PackEntry) {
        let mut index = self.0.index.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(index) = &mut *index {
            index.insert(pack);
        }
    }

    /// The pack that a new snapshot may rely on for the blob.
    pub(crate) fn live_pack(&self, kind: BlobKind, id: &BlobId) -> Result<Option<PackId>, Error> {
        self.with_index(|index| index.live_pack(kind, id))
    }

    /// Whether the blob is stored.
    ///
    /// # Errors
    /// The index cannot be loaded.
    pub fn has(&self, kind: BlobKind, id: &BlobId) -> Result<bool, Error> {
        self.with_index(|index| index.has(kind, id))
    }

    /// Where the blob lies, if it is stored.
    ///
    /// # Errors
    /// The index cannot be loaded.
    pub fn locate(&self, kind: BlobKind, id: &BlobId) -> Result<Option<Location>, Error> {
        self.with_index(|index| index.locate(kind, id))
    }

    /// Bytes of the blob's plaintext, if it is stored.
    ///
    /// # Errors
    /// The index cannot be loaded.
    pub fn blob_size(&self, kind: BlobKind, id: &BlobId) -> Result<Option<u32>, Error> {
        Ok(self
            .locate(kind, id)?
            .map(|location| location.plaintext_length()))
    }
}

/// Refuses a place that is a repository already.
fn refuse_config(backend: &Backend) -> Result<(), Error> {
    match backend.read_config() {
        Ok(_) => Err(Error::AlreadyInitialized {
            location: backend.location().to_owned(),
        }),
        Err(Error::Storage(error)) if error.is_not_found() => Ok(()),
        Err(error) => Err(error),
    }
}

/// Proves that the keys are all that an initialisation with this password left when it was cut off: one key, with nothing stored beside it.
fn prove_left(backend: &Backend, keys: &[[u8; 32]], password: &Password) -> Result<(), Error> {
    let mut alone = keys.len() == 1;
    for kind in [FileKind::Snapshot, FileKind::Index, FileKind::Pack] {
        alone = alone && backend.list(kind)?.is_empty();
    }
    if !alone {
        return Err(Error::corrupt(
            format!("the repository at {}", backend.location()),
            "it lost its file `config`, without which nothing of it can be read: keep its folder `keys`, and bring `config` back",
        ));
    }
    match keys::find(backend, password) {
        Err(error) if error.is_loss() || matches!(error, Error::WrongPassword { .. }) => {
            Err(without_config(backend.location()))
        }
        found => found.map(drop),
    }
}

/// Keys without a config are what an interrupted `init` left, or a repository that lost its config.
fn without_config(location: &str) -> Error {
    Error::corrupt(
        format!("the repository at {location}"),
        "it has keys and no file `config`; if `copal init` was cut off there, run it again with the same password; else the file was lost, and the keys must be kept",
    )
}
