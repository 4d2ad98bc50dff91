//! Locks as restic keeps them: files that say who works on the repository, refreshed while it does.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, Weak, mpsc};
use std::time::Duration;

use tokio::sync::{RwLock, RwLockReadGuard};
use tokio::task::JoinHandle;

use crate::backend::FileKind;
use crate::error::Error;
use crate::format::lock::LockFile;
use crate::format::{Timestamp, unpacked};
use crate::id::LockId;
use crate::identity::Identity;
use crate::parallel;
use crate::repository::{Repository, lock};

/// What a lock is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockMode {
    /// Reading. Where the store refuses to write a lock, reading goes on without one.
    Read,
    /// Adding snapshots, beside others who add or read.
    Write,
    /// Removing: nobody else may work on the repository.
    Exclusive,
}

/// A lock not refreshed for this long belongs to a process that is gone.
const STALE: Duration = Duration::from_secs(30 * 60);

/// A lock not refreshed for this long is no longer relied on: what follows must be done before it is stale.
const LAPSED: Duration = Duration::from_secs(25 * 60);

const REFRESH: Duration = Duration::from_secs(5 * 60);

/// The same where no lock file can be removed, so that fewer of them pile up.
const REFRESH_KEPT: Duration = Duration::from_secs(15 * 60);

/// How long leaving the repository may take.
const RELEASE: Duration = Duration::from_secs(10);

/// A lock on a repository. Dropping the last guard of a lock removes it.
#[derive(Debug)]
#[must_use = "the lock lasts as long as this"]
pub struct LockGuard {
    mode: LockMode,
    own: Arc<OwnLock>,
}

/// A lock of this process, which may have several guards.
#[derive(Debug)]
struct OwnLock {
    repository: Repository,
    holding: Arc<Holding>,
    refresher: Option<JoinHandle<()>>,
}

/// How a lock stands now.
#[derive(Debug, Default)]
struct Holding(Mutex<State>);

#[derive(Debug, Clone, Copy, Default)]
enum State {
    /// No file stands for it: the store takes none, or it was given up.
    #[default]
    Nothing,
    Held(Current),
    /// Others may have taken it for gone, so it excludes nobody any more, whatever is written. The file may still be there.
    Lapsed(LockId),
}

/// The locks that this process holds by one repository.
#[derive(Debug, Default)]
pub(crate) struct Locks {
    held: Mutex<Vec<Weak<Holding>>>,
    /// One that lets others work beside it, and that has been looked for others' locks after: it serves whatever else this process does beside them.
    shared: Mutex<Weak<OwnLock>>,
    /// Files that stood for one and could not be removed: they keep nobody off who knows that, which this process alone does.
    left: Mutex<HashSet<LockId>>,
    /// Whether they were given up for good. Held for reading while a file is written that stands for a lock.
    abandoned: RwLock<bool>,
}

impl Locks {
    /// Until this is dropped, none is given up for good.
    async fn begin(&self) -> Result<RwLockReadGuard<'_, bool>, Error> {
        let abandoned = self.abandoned.read().await;
        match *abandoned {
            true => Err(Error::Interrupted),
            false => Ok(abandoned),
        }
    }

    fn hold(&self, written: Current) -> Arc<Holding> {
        let holding = Arc::new(Holding(Mutex::new(State::Held(written))));
        let mut held = lock(&self.held);
        held.retain(|other| other.strong_count() > 0);
        held.push(Arc::downgrade(&holding));
        holding
    }

    fn held(&self) -> Vec<Arc<Holding>> {
        lock(&self.held).iter().filter_map(Weak::upgrade).collect()
    }
}

/// The lock file that stands for a lock now.
#[derive(Debug, Clone, Copy)]
struct Current {
    id: LockId,
    /// The file's own time, by which others judge it.
    written: Timestamp,
}

impl Holding {
    /// Proves that the lock has excluded others until now. Where it has not, it has lapsed for good.
    async fn check(&self, repository: &Repository) -> Result<(), Error> {
        let lapsed = || Error::LockLapsed {
            location: repository.location().to_owned(),
        };
        loop {
            let current = match *lock(&self.0) {
                State::Nothing => return Ok(()),
                State::Held(current) => current,
                State::Lapsed(_) => return Err(lapsed()),
            };
            if age(current.written) <= LAPSED.as_secs().cast_signed() {
                let backend = repository.backend();
                match backend.read_async(FileKind::Lock, &current.id.0).await {
                    Err(Error::Storage(error)) if error.is_not_found() => {}
                    read => return read.map(drop),
                }
            }
            // Unless it was refreshed meanwhile.
            let mut state = lock(&self.0);
            if matches!(*state, State::Held(now) if now.id == current.id) {
                *state = State::Lapsed(current.id);
            }
        }
    }

    /// Writes a new file in place of the current one, and names the one that is to be removed. A lock that has lapsed stays so.
    async fn renew(&self, repository: &Repository, exclusive: bool) -> Result<LockId, Error> {
        self.check(repository).await?;
        let new = repository.write_lock(exclusive).await?;
        // The writing may have taken long, too.
        if let Err(error) = self.check(repository).await {
            let removed = repository.backend().remove_async(FileKind::Lock, &new.id.0);
            if let Err(error) = removed.await {
                tracing::warn!(%error, "the file of a lock that lapsed stays until it is stale");
            }
            return Err(error);
        }
        let mut state = lock(&self.0);
        match *state {
            State::Held(old) => {
                *state = State::Held(new);
                Ok(old.id)
            }
            // Given up meanwhile.
            State::Nothing | State::Lapsed(_) => Ok(new.id),
        }
    }

    /// Whether the file that stands for it was written longer ago than this.
    fn is_older_than(&self, time: Duration) -> bool {
        match *lock(&self.0) {
            State::Held(current) => age(current.written) > time.as_secs().cast_signed(),
            State::Nothing | State::Lapsed(_) => false,
        }
    }

    /// From now on it excludes nobody, and stands as `then` says of the file that may still be there, which it gives.
    fn give_up(&self, then: fn(LockId) -> State) -> Option<LockId> {
        let mut state = lock(&self.0);
        let (State::Held(Current { id, .. }) | State::Lapsed(id)) = *state else {
            return None;
        };
        *state = then(id);
        Some(id)
    }
}

impl LockGuard {
    /// Proves that the lock has excluded others until now. Without a lock file ([`LockMode::Read`]) there is nothing to prove.
    ///
    /// # Errors
    /// [`Error::LockLapsed`] if its file is gone or was not refreshed for so long that others may take it for stale; or the
    /// store fails.
    pub fn check(&self) -> Result<(), Error> {
        let OwnLock {
            repository,
            holding,
            ..
        } = &*self.own;
        repository.runtime().block_on(holding.check(repository))
    }

    /// The repository's place.
    pub(crate) fn location(&self) -> &str {
        self.own.repository.location()
    }

    /// Whether it keeps everybody out.
    pub(crate) fn is_exclusive(&self) -> bool {
        self.mode == LockMode::Exclusive
    }

    /// As [`Self::check`], for what nobody else may do meanwhile.
    ///
    /// # Errors
    /// As [`Self::check`], or the lock is not exclusive.
    pub fn check_exclusive(&self) -> Result<(), Error> {
        match self.mode {
            LockMode::Exclusive => self.check(),
            LockMode::Read | LockMode::Write => Err(Error::Unsupported(format!(
                "the repository at {} is not locked exclusively",
                self.location()
            ))),
        }
    }
}

impl Repository {
    /// Locks the repository. For reading and adding, a lock of this process that lets others do so serves again, if it is by the same [`Repository`]:
    /// whoever must be alone has been kept out since it was taken.
    ///
    /// # Errors
    /// Another process excludes this one, the lock that would serve has lapsed, or the store fails.
    pub fn lock(&self, mode: LockMode) -> Result<LockGuard, Error> {
        let exclusive = mode == LockMode::Exclusive;
        if !exclusive && let Some(own) = self.shared_lock()? {
            return Ok(LockGuard { mode, own });
        }
        self.check_locks(exclusive, None)?;
        let held = self.runtime().block_on(async {
            let _under_way = self.locks().begin().await?;
            let written = self.write_lock(exclusive).await?;
            Ok::<_, Error>((written.id, self.locks().hold(written)))
        });
        let (id, holding) = match held {
            Err(Error::Storage(error)) if mode == LockMode::Read && error.is_denied() => {
                tracing::debug!(%error, "reading without a lock");
                let own = OwnLock {
                    repository: self.clone(),
                    holding: Arc::default(),
                    refresher: None,
                };
                let own = Arc::new(own);
                return Ok(LockGuard { mode, own });
            }
            held => held?,
        };
        let refresher =
            self.runtime()
                .spawn(refresh(self.clone(), exclusive, Arc::clone(&holding)));
        let own = Arc::new(OwnLock {
            repository: self.clone(),
            holding,
            refresher: Some(refresher),
        });
        // Two that lock at the same time both write first and look then, so at least one sees the other.
        self.check_locks(exclusive, Some(id))?;
        // What was read before is not what this keeps from being removed.
        self.unload_index();
        if !exclusive {
            *lock(&self.locks().shared) = Arc::downgrade(&own);
        }
        Ok(LockGuard { mode, own })
    }

    /// The lock of this process that lets others work beside it. To look for their locks again could find one that gives way in a moment.
    fn shared_lock(&self) -> Result<Option<Arc<OwnLock>>, Error> {
        let shared = lock(&self.locks().shared).upgrade();
        let Some(own) = shared else {
            return Ok(None);
        };
        self.runtime().block_on(async {
            let _under_way = self.locks().begin().await?;
            own.holding.check(self).await?;
            // What begins now is to have time: the machine may have slept.
            if own.holding.is_older_than(REFRESH_KEPT) {
                match own.holding.renew(self, false).await {
                    Ok(old) => drop(self.remove_renewed(old).await),
                    Err(error @ Error::LockLapsed { .. }) => return Err(error),
                    Err(error) => tracing::warn!(%error, "the lock could not be refreshed"),
                }
            }
            Ok(Some(own))
        })
    }

    /// Removes the file in place of which a lock has another now; tells whether that could be done.
    async fn remove_renewed(&self, old: LockId) -> bool {
        let removed = self.backend().remove_async(FileKind::Lock, &old.0).await;
        // What stays in the end is told once, when the lock is given up.
        removed
            .inspect_err(|error| {
                lock(&self.locks().left).insert(old);
                tracing::info!(%error, "the lock's previous file stays until it is stale");
            })
            .is_ok()
    }

    /// Proves that the locks which this process holds by this repository have excluded others until now.
    pub(crate) async fn check_own_locks(&self) -> Result<(), Error> {
        for holding in self.locks().held() {
            holding.check(self).await?;
        }
        Ok(())
    }

    /// Removes the locks that this process holds by this repository, because it is about to end and nothing else will. One that can't be removed stays
    /// until it is stale. Whatever still relies on one finds that it has lapsed, and no other is taken.
    pub async fn abandon_locks(&self) {
        *self.locks().abandoned.write().await = true;
        let held = self.locks().held();
        for id in held.iter().filter_map(|own| own.give_up(State::Lapsed)) {
            let removed = self.backend().remove_async(FileKind::Lock, &id.0).await;
            if let Err(error) = removed {
                tracing::warn!(%error, "a lock stays until it is stale");
            }
        }
    }

    pub(crate) fn read_lock(&self, id: &[u8; 32]) -> Result<LockFile, Error> {
        let sealed = self.backend().read(FileKind::Lock, id)?;
        unpacked::open(self.key(), &sealed)
            .and_then(|json| LockFile::decode(&json))
            .map_err(Error::damaged(FileKind::Lock.name(id)))
    }

    /// Fails if someone else's lock excludes this one. Removes locks whose process is gone, if the store lets it.
    fn check_locks(&self, exclusive: bool, own: Option<LockId>) -> Result<(), Error> {
        let mut ids = self.backend().list(FileKind::Lock)?;
        {
            let left = lock(&self.locks().left);
            let is_own = |id| own == Some(id) || left.contains(&id);
            ids.retain(|(id, _)| !is_own(LockId(*id)));
        }
        // Where none can be removed there may be many.
        let files = parallel::map(&ids, |(id, _)| Ok::<_, Error>((*id, self.read_lock(id))))?;
        let mut removing = true;
        for (id, file) in files {
            match file {
                // Released since it was listed.
                Err(Error::Storage(error)) if error.is_not_found() => {}
                // A lock that is being written on a store without atomic writes, or left half-written by a crash.
                Err(error @ Error::Corrupt { .. }) if !exclusive => {
                    tracing::warn!(%error, "a lock is passed over")
                }
                Err(error) => return Err(error),
                Ok(file) if is_stale(&file) => {
                    // A store that keeps one keeps all.
                    removing = removing && self.backend().remove(FileKind::Lock, &id).is_ok();
                    tracing::info!(holder = %describe(&file), removed = removing, "a stale lock is passed over");
                }
                Ok(file) if exclusive || file.exclusive => {
                    return Err(Error::Locked {
                        location: self.location().to_owned(),
                        holder: describe(&file),
                    });
                }
                Ok(_) => {}
            }
        }
        Ok(())
    }

    async fn write_lock(&self, exclusive: bool) -> Result<Current, Error> {
        let Identity {
            hostname,
            username,
            uid,
            gid,
            pid,
        } = Identity::of_this_process();
        let time = Timestamp::now();
        let file = LockFile {
            time,
            exclusive,
            hostname,
            username,
            pid,
            uid,
            gid,
        };
        let sealed = file
            .encode()
            .and_then(|json| unpacked::seal(self.key(), self.version(), &json))
            .map_err(Error::damaged("the new lock"))?;
        self.backend()
            .write_async(FileKind::Lock, sealed.into())
            .await
            .map(|id| Current {
                id: LockId(id),
                written: time,
            })
    }
}

/// Refreshes a lock until it is given up or lapses.
async fn refresh(repository: Repository, exclusive: bool, holding: Arc<Holding>) {
    let mut pause = REFRESH;
    loop {
        tokio::time::sleep(pause).await;
        pause = REFRESH;
        let Ok(_under_way) = repository.locks().begin().await else {
            return;
        };
        match holding.renew(&repository, exclusive).await {
            Ok(old) => {
                if !repository.remove_renewed(old).await {
                    pause = REFRESH_KEPT;
                }
            }
            Err(error @ Error::LockLapsed { .. }) => {
                tracing::warn!("{error}");
                return;
            }
            Err(error) => tracing::warn!(%error, "the lock could not be refreshed"),
        }
    }
}

impl Drop for OwnLock {
    fn drop(&mut self) {
        if let Some(refresher) = self.refresher.take() {
            refresher.abort();
        }
        let Some(id) = self.holding.give_up(State::Lapsed) else {
            return;
        };
        let (done, wait) = mpsc::channel();
        let repository = self.repository.clone();
        self.repository.runtime().spawn(async move {
            let _ = done.send(
                repository
                    .backend()
                    .remove_async(FileKind::Lock, &id.0)
                    .await,
            );
        });
        match wait.recv_timeout(RELEASE) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                lock(&self.repository.locks().left).insert(id);
                tracing::warn!(
                    "the lock could not be removed ({error}); it stays, and for half an hour it keeps off what must be alone, such as a prune"
                );
            }
            Err(_) => {
                lock(&self.repository.locks().left).insert(id);
                tracing::warn!(
                    "the lock may not be removed, since the store does not answer; if it stays, it keeps off for half an hour what must be alone"
                );
            }
        }
        self.holding.give_up(|_| State::Nothing);
    }
}

/// Seconds since `time`.
fn age(time: Timestamp) -> i64 {
    Timestamp::now().seconds.saturating_sub(time.seconds)
}

/// Whether the process that holds the lock is gone, as restic sees it.
pub(crate) fn is_stale(file: &LockFile) -> bool {
    if age(file.time) > STALE.as_secs().cast_signed() {
        return true;
    }
    let here = Identity::of_this_process();
    let process = rustix::process::Pid::from_raw(file.pid)
        .filter(|_| file.pid > 0 && file.hostname == here.hostname);
    process
        .is_some_and(|pid| rustix::process::test_kill_process(pid) == Err(rustix::io::Errno::SRCH))
}

fn describe(file: &LockFile) -> String {
    let kind = if file.exclusive {
        "exclusively by"
    } else {
        "by"
    };
    format!(
        "{kind} {}@{}, process {}, since {}",
        file.username, file.hostname, file.pid, file.time
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repository(directory: &tempfile::TempDir, runtime: &tokio::runtime::Runtime) -> Repository {
        let store = copal_storage::open(directory.path().to_str().unwrap()).unwrap();
        let options = crate::InitOptions {
            scrypt: crate::format::key::ScryptCost {
                log_n: 4,
                r: 8,
                p: 1,
            },
            ..crate::InitOptions::default()
        };
        let password = crate::Password::new("secret");
        Repository::init(store, runtime.handle().clone(), &password, &options).unwrap()
    }

    #[test]
    fn a_lock_that_lapsed_never_comes_back_to_life() {
        let directory = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let repository = repository(&directory, &runtime);
        let files = || repository.backend().list(FileKind::Lock).unwrap();
        let renew =
            |guard: &LockGuard| runtime.block_on(guard.own.holding.renew(&repository, true));
        let is_lapsed = |result| matches!(result, Err(Error::LockLapsed { .. }));

        let guard = repository.lock(LockMode::Exclusive).unwrap();
        let old = renew(&guard).unwrap();
        repository.backend().remove(FileKind::Lock, &old.0).unwrap();
        guard.check().unwrap();
        // Somebody took it for stale, and worked meanwhile.
        let (id, _) = files()[0];
        let sealed = repository.backend().read(FileKind::Lock, &id).unwrap();
        repository.backend().remove(FileKind::Lock, &id).unwrap();
        assert!(is_lapsed(renew(&guard).map(drop)));
        assert!(files().is_empty());
        repository
            .backend()
            .write(FileKind::Lock, sealed.to_vec())
            .unwrap();
        assert!(is_lapsed(guard.check()));
        drop(guard);
        assert!(files().is_empty());

        // The machine slept for so long that somebody may have.
        let guard = repository.lock(LockMode::Exclusive).unwrap();
        if let State::Held(current) = &mut *lock(&guard.own.holding.0) {
            current.written.seconds -= 26 * 60;
        }
        assert!(is_lapsed(renew(&guard).map(drop)));
        assert_eq!(files().len(), 1);
        assert!(is_lapsed(guard.check_exclusive()));
        drop(guard);
        assert!(files().is_empty());
    }

    #[test]
    fn a_lock_of_ones_own_serves_again_beside_others() {
        let directory = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let repository = repository(&directory, &runtime);
        let files = || repository.backend().list(FileKind::Lock).unwrap();
        let is_locked = |result| matches!(result, Err(Error::Locked { .. }));

        let reading = repository.lock(LockMode::Read).unwrap();
        // Somebody who must be alone has written a lock, and is about to look.
        let other = runtime.block_on(repository.write_lock(true)).unwrap();
        let adding = repository.lock(LockMode::Write).unwrap();
        assert_eq!(files().len(), 2);
        drop(reading);
        assert_eq!(files().len(), 2);
        adding.check().unwrap();
        let refused = adding.check_exclusive().unwrap_err();
        assert!(matches!(refused, Error::Unsupported(_)));
        drop(adding);
        assert!(is_locked(repository.lock(LockMode::Write)));
        // One's own that the store does not let go keeps nobody off here.
        lock(&repository.locks().left).insert(other.id);
        drop(repository.lock(LockMode::Exclusive).unwrap());
        repository
            .backend()
            .remove(FileKind::Lock, &other.id.0)
            .unwrap();

        // Whoever must be alone is, also in its own process.
        let alone = repository.lock(LockMode::Exclusive).unwrap();
        assert!(is_locked(repository.lock(LockMode::Read)));
        assert!(is_locked(repository.lock(LockMode::Write)));
        drop(alone);
        let beside = repository.lock(LockMode::Read).unwrap();
        assert!(is_locked(repository.lock(LockMode::Exclusive)));
        drop(beside);
        assert!(files().is_empty());
    }

    #[test]
    fn a_lock_that_serves_again_is_as_good_as_a_new_one() {
        let directory = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let repository = repository(&directory, &runtime);
        let files = || repository.backend().list(FileKind::Lock).unwrap();
        let backdate = |guard: &LockGuard, minutes: i64| {
            if let State::Held(current) = &mut *lock(&guard.own.holding.0) {
                current.written.seconds -= minutes * 60;
            }
        };

        // The machine slept for a while.
        let first = repository.lock(LockMode::Read).unwrap();
        let old = files();
        backdate(&first, 24);
        let again = repository.lock(LockMode::Write).unwrap();
        assert!(!first.own.holding.is_older_than(REFRESH_KEPT));
        assert_eq!(files().len(), 1);
        assert_ne!(files(), old);
        drop(again);

        // One that has lapsed serves nobody, and nobody works beside it in vain.
        backdate(&first, 26);
        let lapsed = repository.lock(LockMode::Write).unwrap_err();
        assert!(matches!(lapsed, Error::LockLapsed { .. }));
        drop(first);
        assert!(files().is_empty());
        drop(repository.lock(LockMode::Write).unwrap());
    }

    #[test]
    fn a_lock_is_stale_once_it_is_old_or_its_process_is_gone() {
        let Identity {
            hostname,
            username,
            uid,
            gid,
            pid,
        } = Identity::of_this_process();
        let ours = LockFile {
            time: Timestamp::now(),
            exclusive: true,
            hostname,
            username,
            pid,
            uid,
            gid,
        };
        assert!(!is_stale(&ours));
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        let gone = LockFile {
            pid: child.id().cast_signed(),
            ..ours.clone()
        };
        assert!(is_stale(&gone));
        let elsewhere = LockFile {
            hostname: "elsewhere.invalid".into(),
            ..gone
        };
        assert!(!is_stale(&elsewhere));
        let old = Timestamp {
            seconds: ours.time.seconds - 31 * 60,
            ..ours.time
        };
        assert!(is_stale(&LockFile { time: old, ..ours }));
    }
}
