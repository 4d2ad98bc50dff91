//! The keys of a repository: each opens it with a password of its own.

use serde::Serialize;

use crate::backend::{Backend, FileKind};
use crate::error::Error;
use crate::format::Timestamp;
use crate::format::crypto::Key;
use crate::format::key::{KeyFile, ScryptCost};
use crate::id::KeyId;
use crate::identity::Identity;
use crate::lock::LockGuard;
use crate::password::Password;
use crate::repository::{Repository, lock};

/// Key files that are tried with a password, as many as restic tries.
const MAX_KEYS: usize = 20;

/// A key, as people tell it from others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyInfo {
    /// Which one.
    pub id: KeyId,
    /// Whether it opened the repository this time.
    pub current: bool,
    /// Who made it, empty if that is not said.
    pub username: String,
    /// On which machine, empty if that is not said.
    pub hostname: String,
    /// When, if that is said.
    pub created: Option<Timestamp>,
    /// What is wrong with it, if it can't be read.
    pub damage: Option<String>,
}

/// How a key is made.
#[derive(Debug, Clone)]
pub struct KeyOptions {
    /// What trying a password costs.
    pub scrypt: ScryptCost,
    /// Whose key it is; without it the user who runs this process.
    pub username: Option<String>,
    /// Of which machine; without it this one.
    pub hostname: Option<String>,
}

impl Default for KeyOptions {
    fn default() -> Self {
        Self {
            scrypt: ScryptCost::DEFAULT,
            username: None,
            hostname: None,
        }
    }
}

/// A key in the place of another.
#[derive(Debug)]
pub struct KeyChange {
    /// The key that opens with the new password.
    pub new: KeyId,
    /// The key before it.
    pub old: KeyId,
    /// Why the key before it could not be removed: then it still opens with the old password.
    pub left: Option<Error>,
}

impl Repository {
    /// All keys, those that can't be read too.
    ///
    /// # Errors
    /// The store cannot be listed.
    pub fn keys(&self) -> Result<Vec<KeyInfo>, Error> {
        let current = *lock(self.key_id());
        let info = |(id, _)| {
            let (file, damage) = match read(self.backend(), &KeyId(id)) {
                Ok(file) => (Some(file), None),
                Err(error) => (None, Some(error.to_string())),
            };
            KeyInfo {
                id: KeyId(id),
                current: id == current.0,
                created: file.as_ref().and_then(|file| file.created),
                username: file
                    .as_ref()
                    .map_or_else(String::new, |file| file.username.clone()),
                hostname: file.map_or_else(String::new, |file| file.hostname),
                damage,
            }
        };
        let keys = self.backend().list(FileKind::Key)?;
        Ok(keys.into_iter().map(info).collect())
    }

    /// The key whose id begins with `text`.
    ///
    /// # Errors
    /// There is none, or more than one.
    pub fn key_named(&self, text: &str) -> Result<KeyId, Error> {
        self.backend().find(FileKind::Key, text).map(KeyId)
    }

    /// Adds a key that `password` opens, and proves that it does.
    ///
    /// # Errors
    /// There are as many keys as are ever tried, or the store fails.
    pub fn add_key(&self, password: &Password, options: &KeyOptions) -> Result<KeyId, Error> {
        let count = self.backend().list(FileKind::Key)?.len();
        if count >= MAX_KEYS {
            return Err(Error::Unsupported(format!(
                "the repository at {} has {count} keys, and only {MAX_KEYS} are tried with a password: remove one first",
                self.location()
            )));
        }
        self.new_key(password, options)
    }

    /// Refuses to remove the key that this repository was opened with.
    ///
    /// # Errors
    /// It is that key.
    pub fn check_removable(&self, id: &KeyId) -> Result<(), Error> {
        match *lock(self.key_id()) == *id {
            true => Err(Error::KeyInUse { id: *id }),
            false => Ok(()),
        }
    }

    /// Removes a key. Whoever has seen the repository's secrets by it keeps them: it only opens no more.
    ///
    /// # Errors
    /// It is the one that this repository was opened with; the lock is not exclusive or has lapsed; or the store fails.
    pub fn remove_key(&self, id: &KeyId, lock: &LockGuard) -> Result<(), Error> {
        self.check_removable(id)?;
        lock.check_exclusive()?;
        // Somebody may have removed that one while this waited for the lock, and one must stay.
        let own = *crate::repository::lock(self.key_id());
        read(self.backend(), &own)?;
        self.remove_key_file(id)
    }

    fn remove_key_file(&self, id: &KeyId) -> Result<(), Error> {
        self.backend().remove(FileKind::Key, &id.0)?;
        self.backend().prove_removed(FileKind::Key, &[id.0])
    }

    /// Puts a key that `password` opens in the place of the one that this repository was opened with, and proves the new one before the
    /// old one goes. What `options` doesn't say of user and machine is taken over from the old one.
    ///
    /// # Errors
    /// The lock is not exclusive or has lapsed, or the new key can't be written: the old one is as before.
    pub fn change_password(
        &self,
        password: &Password,
        options: &KeyOptions,
        guard: &LockGuard,
    ) -> Result<KeyChange, Error> {
        guard.check_exclusive()?;
        let old = *lock(self.key_id());
        let before = read(self.backend(), &old).ok();
        let before = before.map(|file| (file.username, file.hostname)).unzip();
        let new = self.new_key(
            password,
            &KeyOptions {
                username: options.username.clone().or(before.0),
                hostname: options.hostname.clone().or(before.1),
                ..options.clone()
            },
        )?;
        *lock(self.key_id()) = new;
        Ok(KeyChange {
            new,
            old,
            left: self.remove_key_file(&old).err(),
        })
    }

    fn new_key(&self, password: &Password, options: &KeyOptions) -> Result<KeyId, Error> {
        let here = Identity::of_this_process();
        let username = options.username.clone().unwrap_or(here.username);
        let hostname = options.hostname.clone().unwrap_or(here.hostname);
        let backend = self.backend();
        let id = write(
            backend,
            self.key(),
            password,
            options.scrypt,
            username,
            hostname,
        )?;
        let unfit = || {
            Error::corrupt(
                FileKind::Key.name(&id.0),
                "it was just written and does not open with its password",
            )
        };
        match open(backend, &id, password).and_then(|key| key.ok_or_else(unfit)) {
            Ok(_) => Ok(id),
            Err(error) => {
                // It is of no use; that it may stay is no more harm than what is reported already.
                backend.remove(FileKind::Key, &id.0).ok();
                Err(error)
            }
        }
    }
}

/// Writes a key file.
pub(crate) fn write(
    backend: &Backend,
    key: &Key,
    password: &Password,
    cost: ScryptCost,
    username: String,
    hostname: String,
) -> Result<KeyId, Error> {
    let file = KeyFile::seal(key.secrets(), password.as_bytes(), cost, username, hostname)
        .and_then(|file| file.encode())
        .map_err(Error::damaged("the new key"))?;
    backend.write(FileKind::Key, file).map(KeyId)
}

fn read(backend: &Backend, id: &KeyId) -> Result<KeyFile, Error> {
    let bytes = backend.read(FileKind::Key, &id.0)?;
    KeyFile::decode(&bytes).map_err(Error::damaged(FileKind::Key.name(&id.0)))
}

/// The repository's key out of a key file; nothing if the password does not fit.
fn open(backend: &Backend, id: &KeyId, password: &Password) -> Result<Option<Key>, Error> {
    let secrets = read(backend, id)?.open(password.as_bytes());
    secrets
        .and_then(|secrets| secrets.map(|secrets| Key::new(&secrets)).transpose())
        .map_err(Error::damaged(FileKind::Key.name(&id.0)))
}

/// The first key that opens with the password.
pub(crate) fn find(backend: &Backend, password: &Password) -> Result<(KeyId, Key), Error> {
    let keys = backend.list(FileKind::Key)?;
    let (mut damage, mut damaged, mut wrong) = (None, 0, false);
    for (id, _) in keys.iter().take(MAX_KEYS) {
        let id = KeyId(*id);
        match open(backend, &id, password) {
            Ok(Some(key)) => return Ok((id, key)),
            Ok(None) => wrong = true,
            // One damaged key does not keep the others from opening.
            Err(error) => {
                tracing::warn!(%error, "a key is passed over");
                damaged += 1;
                let counts_more = |first: &Error| first.is_loss() && !error.is_loss();
                if damage.as_ref().is_none_or(counts_more) {
                    damage = Some(error);
                }
            }
        }
    }
    Err(match damage {
        // What could not be asked for may be the one that opens.
        Some(failure) if !failure.is_loss() => failure,
        _ if keys.len() > MAX_KEYS => Error::Unsupported(format!(
            "the repository at {} has {} keys, and none of the first {MAX_KEYS} opens with this password: more are not tried",
            backend.location(),
            keys.len()
        )),
        _ if wrong => Error::WrongPassword {
            location: backend.location().to_owned(),
            damaged,
        },
        Some(damage) => damage,
        None => Error::corrupt(
            format!("the repository at {}", backend.location()),
            "it has no keys, so nothing can open it",
        ),
    })
}
