//! Blobs on their way in: hashed, known ones dropped, compressed, sealed, packed, uploaded several packs at a time.

use std::collections::HashSet;
use std::mem;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use bytes::Bytes;
use copal_storage::object_store::PutPayload;
use tokio::sync::Semaphore;

use crate::backend::FileKind;
use crate::compression::compress;
use crate::error::Error;
use crate::format::crypto::OVERHEAD;
use crate::format::index::{BlobEntry, IndexFile, PackEntry};
use crate::format::pack::{self, BlobKind, HeaderEntry};
use crate::format::{Malformed, Timestamp};
use crate::id::{BlobId, PackId, sha256_of_parts};
use crate::index::Index;
use crate::prune::GRACE;
use crate::reader::Proved;
use crate::repository::{Repository, lock};

/// How blobs are written.
#[derive(Debug, Clone, Copy)]
pub struct WriterOptions {
    /// zstd's level; 3 is what restic uses.
    pub compression_level: i32,
    /// A pack is uploaded once it has this many bytes.
    pub pack_size: usize,
    /// Packs uploaded at the same time; by default as many as make good use of the store. Memory is some `pack_size` times this and two.
    pub uploads: Option<u32>,
    /// An index file is written once the last is this old, so that a backup that is killed does not lose what it uploaded before.
    pub index_age: Duration,
}

impl Default for WriterOptions {
    fn default() -> Self {
        Self {
            compression_level: 3,
            pack_size: 16 << 20,
            uploads: None,
            index_age: Duration::from_secs(5 * 60),
        }
    }
}

/// A pack is uploaded, however small, once it has this many blobs: restic refuses headers over 16 MiB.
const PACK_BLOBS: usize = 100_000;

/// Blobs in a pack lie in pieces of so many bytes, larger ones each in its own: a pack is never moved to where there is more room.
const PART: usize = 256 << 10;

/// An index file is written when so many blobs wait for one, as in restic.
pub(crate) const INDEX_BLOBS: usize = 50_000;

/// How long a writer that is given up waits for the uploads that have begun, and then for its last index file.
const GIVING_UP: Duration = Duration::from_secs(10);

/// What became of a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// Its id.
    pub id: BlobId,
    /// Whether the repository did not have it yet.
    pub new: bool,
    /// Bytes that it takes in its pack; 0 if it is not new.
    pub stored: u32,
}

impl Stored {
    fn known(id: BlobId) -> Self {
        Self {
            id,
            new: false,
            stored: 0,
        }
    }
}

/// What a writer wrote.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct WriteSummary {
    /// New data blobs.
    pub data_blobs: u64,
    /// New tree blobs.
    pub tree_blobs: u64,
    /// Bytes of their plaintext.
    pub bytes: u64,
    /// Bytes that they take in their packs.
    pub packed_bytes: u64,
}

impl std::ops::AddAssign for WriteSummary {
    fn add_assign(&mut self, other: Self) {
        self.data_blobs += other.data_blobs;
        self.tree_blobs += other.tree_blobs;
        self.bytes += other.bytes;
        self.packed_bytes += other.packed_bytes;
    }
}

/// Stores blobs. Shared by threads.
///
/// Not all is stored before [`Self::finish`]: a writer that is dropped before uploads nothing more. What it had uploaded is not in vain: it
/// still writes an index file, so that the next writer finds it.
#[derive(Debug)]
pub struct BlobWriter {
    shared: Arc<Shared>,
    options: WriterOptions,
    uploads: u32,
    data: Mutex<OpenPack>,
    tree: Mutex<OpenPack>,
    summary: Counters,
}

#[derive(Debug, Default)]
struct Counters {
    data_blobs: AtomicU64,
    tree_blobs: AtomicU64,
    bytes: AtomicU64,
    packed_bytes: AtomicU64,
}

/// A pack that takes blobs.
#[derive(Debug, Default)]
struct OpenPack {
    parts: Vec<Vec<u8>>,
    /// Bytes in all parts.
    size: usize,
    entries: Vec<HeaderEntry>,
}

impl OpenPack {
    fn push(&mut self, bytes: Vec<u8>) {
        self.size += bytes.len();
        if bytes.len() >= PART {
            return self.parts.push(bytes);
        }
        match self.parts.last_mut() {
            Some(part) if part.capacity() - part.len() >= bytes.len() => {
                part.extend_from_slice(&bytes);
            }
            _ => {
                let mut part = Vec::with_capacity(PART);
                part.extend_from_slice(&bytes);
                self.parts.push(part);
            }
        }
    }
}

/// What uploads in flight refer to.
#[derive(Debug)]
struct Shared {
    repository: Repository,
    /// A permit for each upload at a time.
    slots: Arc<Semaphore>,
    index_age: Duration,
    /// Blobs under way: in no index file yet, but on the way to a pack that will be.
    claimed: Mutex<HashSet<(BlobKind, BlobId)>>,
    /// Blobs that an index names and that can't be read.
    unreadable: Mutex<HashSet<(BlobKind, BlobId)>>,
    /// Packs that must still count when a snapshot refers to them: those with blobs that were known, and those that were written.
    relied: Mutex<HashSet<PackId>>,
    /// Since when what counts is known, by the clock on the wall.
    since: Timestamp,
    unindexed: Mutex<Unindexed>,
    failure: Mutex<Failure>,
}

/// Uploaded packs that no index file names yet.
#[derive(Debug)]
struct Unindexed {
    packs: Vec<PackEntry>,
    blobs: usize,
    since: Instant,
}

#[derive(Debug, Default)]
enum Failure {
    #[default]
    None,
    Fresh(Error),
    Reported,
}

impl Repository {
    /// Begins writing blobs. The index is loaded first.
    ///
    /// # Errors
    /// The index cannot be loaded.
    pub fn writer(&self, options: WriterOptions) -> Result<BlobWriter, Error> {
        let since = self.with_index(Index::age)?;
        let usual = u32::try_from(self.backend().connections()).unwrap_or(u32::MAX);
        let uploads = options.uploads.unwrap_or(usual).max(1);
        Ok(BlobWriter {
            shared: Arc::new(Shared {
                repository: self.clone(),
                slots: Arc::new(Semaphore::new(uploads as usize)),
                index_age: options.index_age,
                claimed: Mutex::default(),
                unreadable: Mutex::default(),
                relied: Mutex::default(),
                since,
                unindexed: Mutex::new(Unindexed {
                    packs: Vec::new(),
                    blobs: 0,
                    since: Instant::now(),
                }),
                failure: Mutex::default(),
            }),
            options,
            uploads,
            data: Mutex::default(),
            tree: Mutex::default(),
            summary: Counters::default(),
        })
    }
}

impl BlobWriter {
    /// Stores a blob unless the repository has it. Blocks while too many uploads are in flight.
    ///
    /// # Errors
    /// An upload failed. The first caller hears the reason, later ones [`Error::Interrupted`].
    pub fn store(&self, kind: BlobKind, data: &[u8]) -> Result<Stored, Error> {
        self.shared.check()?;
        let id = BlobId::of(data);
        if !self.shared.claim(kind, id)? {
            return Ok(Stored::known(id));
        }
        self.seal_and_place(kind, id, data)
    }

    /// Stores a blob once more, although the repository has it: this copy takes the place of one that is about to be removed.
    ///
    /// # Errors
    /// As [`Self::store`].
    pub(crate) fn store_again(&self, kind: BlobKind, data: &[u8]) -> Result<Stored, Error> {
        self.shared.check()?;
        let id = BlobId::of(data);
        lock(&self.shared.claimed).insert((kind, id));
        self.seal_and_place(kind, id, data)
    }

    /// As [`Self::store_again`], with the blob's bytes as they are sealed already. They were proved to be those of `id`.
    pub(crate) fn store_sealed(
        &self,
        kind: BlobKind,
        id: BlobId,
        sealed: &[u8],
        uncompressed_length: Option<u32>,
    ) -> Result<Stored, Error> {
        self.shared.check()?;
        lock(&self.shared.claimed).insert((kind, id));
        self.place(kind, id, sealed.to_vec(), uncompressed_length)
    }

    /// As [`Self::store`], for a blob out of a repository. Where it is compressed there, that is not done again.
    ///
    /// # Errors
    /// As [`Self::store`].
    pub(crate) fn carry(&self, kind: BlobKind, blob: &Proved) -> Result<Stored, Error> {
        self.shared.check()?;
        if !self.shared.claim(kind, blob.id)? {
            return Ok(Stored::known(blob.id));
        }
        let compressed = blob.compressed.as_ref();
        let Some(compressed) = compressed.filter(|_| self.shared.repository.version() >= 2) else {
            return self.seal_and_place(kind, blob.id, &blob.plaintext);
        };
        let what = || format!("new {kind} blob {}", blob.id);
        let mut sealed = Vec::new();
        let key = self.shared.repository.key();
        key.seal(compressed, &mut sealed)
            .map_err(Error::damaged(what()))?;
        let plaintext = u32::try_from(blob.plaintext.len()).map_err(|_| too_large(what()))?;
        self.place(kind, blob.id, sealed, Some(plaintext))
    }

    fn seal_and_place(&self, kind: BlobKind, id: BlobId, data: &[u8]) -> Result<Stored, Error> {
        let what = || format!("new {kind} blob {id}");
        u32::try_from(data.len() + OVERHEAD).map_err(|_| too_large(what()))?;
        let mut sealed = Vec::new();
        let uncompressed_length = self
            .seal(data, &mut sealed)
            .map_err(Error::damaged(what()))?;
        self.place(kind, id, sealed, uncompressed_length)
    }

    /// Puts a sealed blob into the pack that is open for its kind, and uploads that once it is full.
    fn place(
        &self,
        kind: BlobKind,
        id: BlobId,
        sealed: Vec<u8>,
        uncompressed_length: Option<u32>,
    ) -> Result<Stored, Error> {
        let length =
            u32::try_from(sealed.len()).map_err(|_| too_large(format!("new {kind} blob {id}")))?;
        let (open, blobs) = match kind {
            BlobKind::Data => (&self.data, &self.summary.data_blobs),
            BlobKind::Tree => (&self.tree, &self.summary.tree_blobs),
        };
        let full = {
            let mut open = lock(open);
            open.push(sealed);
            open.entries.push(HeaderEntry {
                kind,
                id,
                length,
                uncompressed_length,
            });
            let full = open.size >= self.options.pack_size || open.entries.len() >= PACK_BLOBS;
            full.then(|| mem::take(&mut *open))
        };
        let plaintext = uncompressed_length.unwrap_or(length.saturating_sub(OVERHEAD as u32));
        blobs.fetch_add(1, Ordering::Relaxed);
        self.summary
            .bytes
            .fetch_add(plaintext.into(), Ordering::Relaxed);
        self.summary
            .packed_bytes
            .fetch_add(length.into(), Ordering::Relaxed);
        if let Some(pack) = full {
            self.ship(pack)?;
        }
        Ok(Stored {
            id,
            new: true,
            stored: length,
        })
    }

    /// Seals a blob, compressed where that makes it smaller: then with the bytes that it had before.
    fn seal(&self, data: &[u8], out: &mut Vec<u8>) -> Result<Option<u32>, Malformed> {
        let repository = &self.shared.repository;
        let compressed = match repository.version() {
            0..2 => None,
            _ => compress(data, self.options.compression_level)?,
        };
        match compressed {
            Some(compressed) => {
                repository.key().seal(&compressed, out)?;
                Ok(u32::try_from(data.len()).ok())
            }
            None => repository.key().seal(data, out).map(|()| None),
        }
    }

    /// Completes a pack and begins its upload, as soon as one of those in flight is done.
    fn ship(&self, pack: OpenPack) -> Result<(), Error> {
        let OpenPack {
            mut parts, entries, ..
        } = pack;
        let runtime = self.shared.repository.runtime();
        let slot = runtime
            .block_on(Arc::clone(&self.shared.slots).acquire_owned())
            .map_err(|_| Error::Interrupted)?;
        self.shared.check()?;
        let mut header = Vec::new();
        self.shared
            .repository
            .key()
            .seal(&pack::encode_header(&entries), &mut header)
            .map_err(Error::damaged("the header of a new pack"))?;
        let header_length = u32::try_from(header.len())
            .map_err(|_| too_large("the header of a new pack".to_owned()))?;
        header.extend_from_slice(&header_length.to_le_bytes());
        parts.push(header);
        let mut offset = 0;
        let mut blobs = Vec::with_capacity(entries.len());
        for HeaderEntry {
            kind,
            id,
            length,
            uncompressed_length,
        } in entries
        {
            blobs.push(BlobEntry {
                id,
                kind,
                offset,
                length,
                uncompressed_length,
            });
            offset += length;
        }
        let id = PackId(sha256_of_parts(parts.iter().map(Vec::as_slice)));
        let payload = parts.into_iter().map(Bytes::from).collect();
        let shared = Arc::clone(&self.shared);
        runtime.spawn(async move {
            if let Err(error) = shared.upload(PackEntry::new(id, blobs), payload).await {
                shared.fail(error);
            }
            drop(slot);
        });
        Ok(())
    }

    /// Uploads what is left, waits for all uploads, and writes the index that makes the blobs count.
    ///
    /// # Errors
    /// An upload failed or never came to an end; or the work took so long that a prune in two phases has marked what a snapshot would rely on.
    pub fn finish(self) -> Result<WriteSummary, Error> {
        for open in [&self.data, &self.tree] {
            let pack = mem::take(&mut *lock(open));
            if !pack.entries.is_empty() {
                self.ship(pack)?;
            }
        }
        let shared = &self.shared;
        let runtime = shared.repository.runtime();
        let _all_done = runtime
            .block_on(shared.slots.acquire_many(self.uploads))
            .map_err(|_| Error::Interrupted)?;
        shared.check()?;
        let packs = mem::take(&mut lock(&shared.unindexed).packs);
        runtime.block_on(shared.write_index(packs))?;
        // An upload that panicked or was cancelled leaves no failure behind, but its blobs claimed.
        match lock(&shared.claimed).len() {
            0 => {}
            lost => {
                return Err(Error::corrupt(
                    format!("what was written to {}", shared.repository.location()),
                    format!("the upload of {lost} blobs never came to an end: run it again"),
                ));
            }
        }
        shared.prove()?;
        Ok(self.summary())
    }

    /// What has been written so far.
    pub fn summary(&self) -> WriteSummary {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        WriteSummary {
            data_blobs: count(&self.summary.data_blobs),
            tree_blobs: count(&self.summary.tree_blobs),
            bytes: count(&self.summary.bytes),
            packed_bytes: count(&self.summary.packed_bytes),
        }
    }

    /// The repository's blob turned out to be unreadable: whoever has it stores it anew.
    pub(crate) fn give_up(&self, kind: BlobKind, id: BlobId) {
        lock(&self.shared.unreadable).insert((kind, id));
    }

    /// Whether the repository has the blob, or this writer is about to give it one.
    pub(crate) fn knows(&self, kind: BlobKind, id: &BlobId) -> Result<bool, Error> {
        let claimed = lock(&self.shared.claimed);
        Ok(claimed.contains(&(kind, *id)) || self.shared.relies(kind, id)?)
    }
}

impl Drop for BlobWriter {
    fn drop(&mut self) {
        let shared = Arc::clone(&self.shared);
        let uploads = self.uploads;
        let idle = shared.slots.available_permits() == uploads as usize;
        if (idle && lock(&shared.unindexed).packs.is_empty()) || std::thread::panicking() {
            return;
        }
        let (done, wait) = mpsc::channel();
        self.shared.repository.runtime().spawn(async move {
            let slots = shared.slots.acquire_many(uploads);
            // Those that take longer are not waited for.
            let _ = tokio::time::timeout(GIVING_UP, slots).await;
            let packs = mem::take(&mut lock(&shared.unindexed).packs);
            let _ = done.send(shared.write_index(packs).await);
        });
        match wait.recv_timeout(GIVING_UP * 2) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!("what was uploaded until now has to be uploaded again ({error})")
            }
            Err(_) => tracing::warn!(
                "what was uploaded until now may have to be uploaded again: the store does not answer"
            ),
        }
    }
}

/// `what` does not fit the format's numbers.
fn too_large(what: String) -> Error {
    Error::corrupt(what, "it has 4 GiB or more")
}

impl Shared {
    /// Whether the caller is to store the blob: nobody has, and nobody else is about to.
    fn claim(&self, kind: BlobKind, id: BlobId) -> Result<bool, Error> {
        // A blob enters the index before its claim is given up, so looking at both under this lock misses none.
        let mut claimed = lock(&self.claimed);
        if claimed.contains(&(kind, id)) || self.relies(kind, &id)? {
            return Ok(false);
        }
        lock(&self.unreadable).remove(&(kind, id));
        claimed.insert((kind, id));
        Ok(true)
    }

    /// Whether the repository has the blob, and so a snapshot is going to rely on it.
    fn relies(&self, kind: BlobKind, id: &BlobId) -> Result<bool, Error> {
        if lock(&self.unreadable).contains(&(kind, *id)) {
            return Ok(false);
        }
        let pack = self.repository.live_pack(kind, id)?;
        lock(&self.relied).extend(pack);
        Ok(pack.is_some())
    }

    /// Proves that all that a snapshot is going to rely on counts still, where the work took so long that it may not.
    fn prove(&self) -> Result<(), Error> {
        let took = Timestamp::now().seconds.saturating_sub(self.since.seconds);
        if took <= (GRACE / 2).as_secs().cast_signed() {
            return Ok(());
        }
        let named = self.repository.named_packs()?;
        let relied = lock(&self.relied);
        match relied.iter().all(|pack| named.get(pack) == Some(&true)) {
            true => Ok(()),
            false => Err(Error::Overtaken {
                location: self.repository.location().to_owned(),
                hours: took / (60 * 60),
            }),
        }
    }

    fn check(&self) -> Result<(), Error> {
        let mut failure = lock(&self.failure);
        match mem::replace(&mut *failure, Failure::Reported) {
            Failure::None => {
                *failure = Failure::None;
                Ok(())
            }
            Failure::Fresh(error) => Err(error),
            Failure::Reported => Err(Error::Interrupted),
        }
    }

    fn fail(&self, error: Error) {
        let mut failure = lock(&self.failure);
        if matches!(*failure, Failure::None) {
            *failure = Failure::Fresh(error);
        }
    }

    async fn upload(&self, pack: PackEntry, payload: PutPayload) -> Result<(), Error> {
        self.repository
            .backend()
            .write_named(FileKind::Pack, &pack.id.0, payload)
            .await?;
        let due = {
            let mut unindexed = lock(&self.unindexed);
            unindexed.blobs += pack.blobs.len();
            unindexed.packs.push(pack);
            let due = unindexed.blobs >= INDEX_BLOBS || unindexed.since.elapsed() >= self.index_age;
            due.then(|| {
                unindexed.blobs = 0;
                unindexed.since = Instant::now();
                mem::take(&mut unindexed.packs)
            })
        };
        self.write_index(due.unwrap_or_default()).await
    }

    /// Writes an index file that names `packs`. Only then do their blobs count, for other writers too: this one may yet
    /// be dropped.
    async fn write_index(&self, packs: Vec<PackEntry>) -> Result<(), Error> {
        if packs.is_empty() {
            return Ok(());
        }
        // Had a lock lapsed, someone might have removed the packs meanwhile, since no index names them.
        self.repository.check_own_locks().await?;
        let file = IndexFile {
            packs,
            ..IndexFile::default()
        };
        self.repository.write_index(&file).await?;
        for pack in &file.packs {
            self.repository.extend_index(pack);
        }
        lock(&self.relied).extend(file.packs.iter().map(|pack| pack.id));
        let mut claimed = lock(&self.claimed);
        for blob in file.packs.iter().flat_map(|pack| &pack.blobs) {
            claimed.remove(&(blob.kind, blob.id));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::key::ScryptCost;
    use crate::{InitOptions, Password};

    #[test]
    fn who_took_long_proves_that_what_it_relies_on_still_counts() {
        let directory = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let store = copal_storage::open(directory.path().to_str().unwrap()).unwrap();
        let options = InitOptions {
            scrypt: ScryptCost {
                log_n: 4,
                r: 8,
                p: 1,
            },
            ..InitOptions::default()
        };
        let password = Password::new("secret");
        let handle = runtime.handle().clone();
        let repository = Repository::init(store, handle, &password, &options).unwrap();
        let writer = |hours: i64| {
            let mut writer = repository.writer(WriterOptions::default()).unwrap();
            Arc::get_mut(&mut writer.shared).unwrap().since.seconds -= hours * 60 * 60;
            writer
        };
        let store = |writer: BlobWriter, data: &[u8]| {
            let stored = writer.store(BlobKind::Data, data).unwrap();
            writer.finish().map(|_| stored.new)
        };
        let [old, other] = [b"old", b"oth"];
        assert!(store(writer(0), old).unwrap());
        assert!(store(writer(12), other).unwrap());
        assert!(!store(writer(12), old).unwrap());

        // Another process marks all that is there, and this one does not know of it.
        let [quick, slow, slow_with_new] = [writer(11), writer(12), writer(12)];
        let marked = repository.merge_index_files(|all: &mut IndexFile, _, file| {
            all.packs_to_delete.extend(file.packs);
        });
        let marked = marked.unwrap();
        for id in repository.backend().ids(FileKind::Index).unwrap() {
            repository.backend().remove(FileKind::Index, &id).unwrap();
        }
        let written = repository.write_index(&marked);
        runtime.block_on(written).unwrap();
        assert!(!store(quick, old).unwrap());
        let error = store(slow, old).unwrap_err();
        assert!(matches!(error, Error::Overtaken { hours: 12, .. }));
        assert!(store(slow_with_new, b"new").unwrap());
        let relying = writer(12);
        assert!(relying.knows(BlobKind::Data, &BlobId::of(old)).unwrap());
        assert!(relying.finish().is_err());
        // Whoever begins anew does.
        repository.reload_index().unwrap();
        assert!(store(writer(12), old).unwrap());
    }
}
