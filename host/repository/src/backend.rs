//! A repository's files as a store's objects: where they lie, and reading and writing them from plain threads.

use std::future::Future;
use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use copal_storage::object_store::path::Path;
use copal_storage::object_store::{
    Error as StoreError, ObjectStore as _, ObjectStoreExt as _, PutMode, PutOptions, PutPayload,
};
use copal_storage::{Store, Unfinished};
use tokio::runtime::Handle;

use crate::error::Error;
use crate::format::Timestamp;
use crate::id::{PackId, hex, sha256};

/// A lock that is still being written after this long never will be.
const HALF_WRITTEN: Duration = Duration::from_secs(60 * 60);

/// The kinds of files, by the directories where restic keeps them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileKind {
    Key,
    Lock,
    Snapshot,
    Index,
    Pack,
}

impl FileKind {
    const ALL: [Self; 5] = [
        Self::Key,
        Self::Lock,
        Self::Snapshot,
        Self::Index,
        Self::Pack,
    ];

    fn directory(self) -> &'static str {
        match self {
            Self::Key => "keys",
            Self::Lock => "locks",
            Self::Snapshot => "snapshots",
            Self::Index => "index",
            Self::Pack => "data",
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Lock => "lock",
            Self::Snapshot => "snapshot",
            Self::Index => "index",
            Self::Pack => "pack",
        }
    }

    /// The file for people: `pack 1234…`.
    pub(crate) fn name(self, id: &[u8; 32]) -> String {
        format!("{} {}", self.word(), String::from_utf8_lossy(&hex(id)))
    }

    /// Where the file lies. Packs are spread over 256 directories by their first byte.
    fn path(self, id: &[u8; 32]) -> String {
        let id = hex(id);
        let id = String::from_utf8_lossy(&id);
        match self {
            Self::Pack => format!("data/{}/{id}", &id[..2]),
            _ => format!("{}/{id}", self.directory()),
        }
    }
}

const CONFIG: &str = "config";

/// How long what a write that failed may have left is looked after.
const TIDYING: Duration = Duration::from_secs(10);

/// Where files of all kinds lie.
fn directories() -> Vec<String> {
    let kinds = FileKind::ALL.map(|kind| kind.directory().to_owned());
    let packs = (0..=255_u8).map(|byte| format!("data/{byte:02x}"));
    kinds.into_iter().chain(packs).collect()
}

/// A file that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Listed {
    pub(crate) id: [u8; 32],
    /// Bytes.
    pub(crate) size: u64,
    /// When it was written, by the store's clock: seconds since 1970. Nothing where the store does not know.
    pub(crate) written: Option<i64>,
}

/// The files of one repository.
#[derive(Debug, Clone)]
pub(crate) struct Backend {
    store: Store,
    runtime: Handle,
}

impl Backend {
    pub(crate) fn new(store: Store, runtime: Handle) -> Self {
        Self { store, runtime }
    }

    pub(crate) fn location(&self) -> &str {
        self.store.location()
    }

    /// How many requests at a time make good use of the store.
    pub(crate) fn connections(&self) -> usize {
        self.store.connections()
    }

    pub(crate) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// Makes what restic's local backend expects to find.
    pub(crate) fn create_directories(&self) -> Result<(), Error> {
        let directories = directories();
        Ok(self
            .store
            .create_directories(directories.iter().map(String::as_str))?)
    }

    /// What writes that were cut off left behind, where the store is a local directory.
    pub(crate) fn unfinished(&self) -> Result<Vec<Unfinished>, Error> {
        let directories = directories();
        let directories = directories.iter().map(String::as_str);
        let mut found = self.store.unfinished(directories)?;
        // Whoever waits for a lock may be about to write one, also while somebody is alone.
        let now = Timestamp::now().seconds;
        found.retain(|file| {
            !file.is_in(FileKind::Lock.directory())
                || now.saturating_sub(file.written) > HALF_WRITTEN.as_secs().cast_signed()
        });
        // Beside the config may lie what is somebody else's.
        let beside = self.store.unfinished([""])?;
        found.extend(beside.into_iter().filter(|file| file.is_of(CONFIG)));
        Ok(found)
    }

    pub(crate) fn discard(&self, file: &Unfinished) -> Result<(), Error> {
        Ok(self.store.discard(file)?)
    }

    fn wait<T>(&self, future: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        self.runtime.block_on(future)
    }

    /// As [`Self::wait`]. Where nothing has to be waited for, other threads would only take time, and keep memory of their own.
    fn wait_to_read<T>(&self, future: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        match self.store.is_immediate() {
            true => futures::executor::block_on(future),
            false => self.wait(future),
        }
    }

    fn error(
        &self,
        action: &'static str,
        path: &str,
    ) -> impl FnOnce(copal_storage::object_store::Error) -> Error + use<> {
        let (location, path) = (self.location().to_owned(), path.to_owned());
        move |source| copal_storage::Error::new(&location, action, &path, source).into()
    }

    async fn get(&self, path: &str) -> Result<Bytes, Error> {
        let result = self
            .store
            .objects()
            .get(&Path::from(path))
            .await
            .map_err(self.error("read", path))?;
        result.bytes().await.map_err(self.error("read", path))
    }

    async fn put(&self, path: &str, payload: PutPayload) -> Result<(), Error> {
        let objects = self.store.objects();
        let put = objects.put(&Path::from(path), payload).await;
        put.map(|_| ()).map_err(self.error("write", path))
    }

    pub(crate) fn read_config(&self) -> Result<Bytes, Error> {
        self.wait_to_read(self.get(CONFIG))
    }

    /// Writes the config where there is none. Not every store can tell at that very moment.
    ///
    /// # Errors
    /// [`Error::AlreadyInitialized`] if there is one.
    pub(crate) fn create_config(&self, bytes: &[u8]) -> Result<(), Error> {
        let (objects, path) = (self.store.objects(), Path::from(CONFIG));
        let payload = PutPayload::from(bytes.to_vec());
        self.wait(async {
            let create = PutOptions::from(PutMode::Create);
            let created = match objects.put_opts(&path, payload.clone(), create).await {
                Err(StoreError::NotImplemented { .. } | StoreError::NotSupported { .. }) => {
                    objects.put(&path, payload).await
                }
                created => created,
            };
            match created {
                Ok(_) => Ok(()),
                Err(StoreError::AlreadyExists { .. }) => Err(Error::AlreadyInitialized {
                    location: self.location().to_owned(),
                }),
                Err(error) => Err(self.error("write", CONFIG)(error)),
            }
        })
    }

    /// The whole file, whose bytes are proved to be those that its name says. Where they are not, it is read once more: they may have been damaged
    /// on their way, and whoever takes a file for damaged may remove it.
    pub(crate) async fn read_async(&self, kind: FileKind, id: &[u8; 32]) -> Result<Bytes, Error> {
        for _ in 0..2 {
            let bytes = self.get(&kind.path(id)).await?;
            if sha256(&bytes) == *id {
                return Ok(bytes);
            }
        }
        Err(Error::corrupt(
            kind.name(id),
            "its contents do not fit its name",
        ))
    }

    /// As [`Self::read_async`].
    pub(crate) fn read(&self, kind: FileKind, id: &[u8; 32]) -> Result<Bytes, Error> {
        self.wait_to_read(self.read_async(kind, id))
    }

    /// The whole file, whatever its bytes are.
    pub(crate) fn read_unproved(&self, kind: FileKind, id: &[u8; 32]) -> Result<Bytes, Error> {
        self.wait_to_read(self.get(&kind.path(id)))
    }

    /// A part of the file, as many bytes as asked for.
    pub(crate) fn read_range(
        &self,
        kind: FileKind,
        id: &[u8; 32],
        range: Range<u64>,
    ) -> Result<Bytes, Error> {
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let path = kind.path(id);
        let short = || Error::corrupt(kind.name(id), "it is shorter than the index says");
        self.wait_to_read(async {
            let (objects, at) = (self.store.objects(), Path::from(path.as_str()));
            match objects.get_range(&at, range.clone()).await {
                Ok(bytes) if bytes.len() as u64 == range.end - range.start => Ok(bytes),
                Ok(_) => Err(short()),
                // Every store has its own way to say that the range lies outside.
                Err(error) => match objects.head(&at).await {
                    Ok(file) if file.size < range.end => Err(short()),
                    _ => Err(self.error("read", &path)(error)),
                },
            }
        })
    }

    /// Bytes of the file, if it is there.
    async fn size_async(&self, kind: FileKind, id: &[u8; 32]) -> Result<Option<u64>, Error> {
        let path = kind.path(id);
        let file = self.store.objects().head(&Path::from(path.as_str())).await;
        match file.map_err(self.error("look for", &path)) {
            Ok(file) => Ok(Some(file.size)),
            Err(Error::Storage(error)) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The packs that are there, ordered by id, with their sizes. A listing may lag behind, and what is taken for lost is given up: so those of
    /// `named` that are not listed are looked for one by one.
    pub(crate) fn packs(&self, named: &[PackId]) -> Result<Vec<([u8; 32], u64)>, Error> {
        let mut packs = self.list(FileKind::Pack)?;
        let is_listed = |id: &&PackId| packs.binary_search_by_key(&id.0, |(id, _)| *id).is_ok();
        let unlisted: Vec<_> = named.iter().filter(|id| !is_listed(id)).collect();
        let found = crate::parallel::map(&unlisted, |id| {
            let size = self.wait(self.size_async(FileKind::Pack, &id.0))?;
            Ok::<_, Error>(size.map(|size| (id.0, size)))
        })?;
        packs.extend(found.into_iter().flatten());
        packs.sort_unstable();
        packs.dedup();
        Ok(packs)
    }

    /// Writes a file under the name that its bytes give it.
    pub(crate) async fn write_async(
        &self,
        kind: FileKind,
        bytes: Bytes,
    ) -> Result<[u8; 32], Error> {
        let id = sha256(&bytes);
        self.write_named(kind, &id, bytes.into()).await?;
        Ok(id)
    }

    /// Writes a file whose id is known already, and proves that it is there: what relies on it, or is removed for it, comes after. Where that fails,
    /// nothing is left that could be taken for the file.
    pub(crate) async fn write_named(
        &self,
        kind: FileKind,
        id: &[u8; 32],
        payload: PutPayload,
    ) -> Result<(), Error> {
        let bytes = payload.content_length() as u64;
        let failed = match self.put(&kind.path(id), payload).await {
            // A lock is read before anything relies on it.
            Ok(()) if kind == FileKind::Lock => return Ok(()),
            // Where nobody can say whether it is there, it stays.
            Ok(()) if self.size_async(kind, id).await? == Some(bytes) => return Ok(()),
            Ok(()) => Error::corrupt(
                kind.name(id),
                "the storage said that it took it, and does not have all of it; run it again, and if that stays so, ask whoever runs the storage",
            ),
            Err(error) => error,
        };
        let tidied = tokio::time::timeout(TIDYING, self.tidy(kind, id)).await;
        if !matches!(tidied, Ok(Ok(()))) {
            tracing::debug!("what could not be written may be there all the same");
        }
        Err(failed)
    }

    /// Removes what a write that failed may have left: half a file, or a whole one of which only the answer was lost. Others may have begun to rely
    /// on an index file, so that goes only if it is not whole.
    async fn tidy(&self, kind: FileKind, id: &[u8; 32]) -> Result<(), Error> {
        if kind == FileKind::Index {
            match self.read_async(kind, id).await {
                Err(error) if error.is_loss() => {}
                read => return read.map(drop),
            }
        }
        self.remove_async(kind, id).await
    }

    /// As [`Self::write_async`].
    pub(crate) fn write(&self, kind: FileKind, bytes: Vec<u8>) -> Result<[u8; 32], Error> {
        self.wait(self.write_async(kind, bytes.into()))
    }

    /// Removes a file; that it is gone already is fine.
    pub(crate) async fn remove_async(&self, kind: FileKind, id: &[u8; 32]) -> Result<(), Error> {
        let path = kind.path(id);
        match self
            .store
            .objects()
            .delete(&Path::from(path.as_str()))
            .await
            .map_err(self.error("remove", &path))
        {
            Err(Error::Storage(error)) if error.is_not_found() => Ok(()),
            removed => removed,
        }
    }

    /// As [`Self::remove_async`].
    pub(crate) fn remove(&self, kind: FileKind, id: &[u8; 32]) -> Result<(), Error> {
        self.wait(self.remove_async(kind, id))
    }

    /// Proves that files are gone which were removed: an index file may not name packs that are removed after it, nor a key open any longer.
    pub(crate) fn prove_removed(&self, kind: FileKind, removed: &[[u8; 32]]) -> Result<(), Error> {
        let listed = self.ids(kind)?;
        match removed.iter().find(|id| listed.binary_search(id).is_ok()) {
            None => Ok(()),
            Some(left) => Err(Error::corrupt(
                kind.name(left),
                "it was removed and is there all the same; run it again, and if that stays so, ask whoever runs the storage",
            )),
        }
    }

    /// All files of a kind with their sizes, ordered by id, each once. Files whose name is no id are passed over.
    pub(crate) fn list(&self, kind: FileKind) -> Result<Vec<([u8; 32], u64)>, Error> {
        let files = self.list_dated(kind)?.into_iter();
        Ok(files.map(|file| (file.id, file.size)).collect())
    }

    /// As [`Self::list`], the ids alone.
    pub(crate) fn ids(&self, kind: FileKind) -> Result<Vec<[u8; 32]>, Error> {
        let files = self.list(kind)?.into_iter();
        Ok(files.map(|(id, _)| id).collect())
    }

    /// As [`Self::list`], with the times at which they were written.
    pub(crate) fn list_dated(&self, kind: FileKind) -> Result<Vec<Listed>, Error> {
        use futures::TryStreamExt as _;
        let directory = kind.directory();
        let list = async {
            let objects: Vec<_> = self
                .store
                .objects()
                .list(Some(&Path::from(directory)))
                .try_filter_map(|object| async move {
                    let id = object
                        .location
                        .filename()
                        .and_then(|name| name.parse::<crate::id::BlobId>().ok());
                    Ok(id.map(|id| Listed {
                        id: id.0,
                        size: object.size,
                        // A store that does not know says that it was the beginning of time.
                        written: Some(object.last_modified.timestamp()).filter(|&time| time > 0),
                    }))
                })
                .try_collect()
                .await
                .map_err(self.error("list", directory))?;
            Ok(objects)
        };
        let mut files = self.wait(list)?;
        files.sort_unstable();
        files.dedup_by_key(|file| file.id);
        Ok(files)
    }

    /// The one file of a kind whose id begins with `text`.
    pub(crate) fn find(&self, kind: FileKind, text: &str) -> Result<[u8; 32], Error> {
        let prefix = text.to_ascii_lowercase();
        let mut matching = self.list(kind)?;
        matching.retain(|(id, _)| !prefix.is_empty() && hex(id).starts_with(prefix.as_bytes()));
        let word = kind.word();
        match (matching.pop(), matching.len()) {
            (Some((id, _)), 0) => Ok(id),
            (None, _) => {
                let advice = match kind {
                    FileKind::Snapshot => ": `copal snapshots` lists them",
                    FileKind::Key => ": `copal key list` lists them",
                    _ => "",
                };
                let text = text.escape_debug();
                Err(Error::NotFound(format!(
                    "no {word}'s id begins with `{text}`{advice}"
                )))
            }
            (Some(_), more) => Err(Error::NotFound(format!(
                "the ids of {} {word} files begin with `{text}`: write more of its digits",
                more + 1
            ))),
        }
    }

    /// Reads and proves many files, several at a time, and decodes each. The order is that of `ids`.
    pub(crate) fn read_all<T: Send>(
        &self,
        kind: FileKind,
        ids: &[[u8; 32]],
        decode: impl Fn(&[u8; 32], &[u8]) -> Result<T, Error> + Sync,
    ) -> Result<Vec<T>, Error> {
        crate::parallel::map(ids, |id| decode(id, &self.read(kind, id)?))
    }
}
