//! What can go wrong with a repository, in words for people.

use std::path::{Path, PathBuf};

use crate::format::Malformed;
use crate::id::KeyId;

/// What kind of failure an [`Error`] is, for exit codes and scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// There is no repository at that place.
    NoRepository,
    /// There is one already.
    AlreadyInitialized,
    /// No key of the repository opens with the password.
    WrongPassword,
    /// Someone else holds a lock that excludes this, or the own lock lapsed, or someone was quicker without one.
    Locked,
    /// The key can't be removed, because it is the one in use.
    KeyInUse,
    /// Something stored is damaged or missing.
    Corrupt,
    /// The repository asks for something that this version cannot do.
    Unsupported,
    /// What was named is not in the repository.
    NotFound,
    /// The storage failed.
    Storage,
    /// The local system failed.
    Io,
    /// A pass failed: the plugin that transforms the files.
    Pass,
    /// The user asked to stop.
    Interrupted,
}

/// A failure, with what to do about it where something can be done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no repository at that place.
    #[error(
        "there is no repository at {location}: check the address, or create one with `copal init`"
    )]
    NoRepository {
        /// Where it was looked for.
        location: String,
    },
    /// There is a repository already.
    #[error(
        "there is a repository at {location} already: use it as it is, or choose another place"
    )]
    AlreadyInitialized {
        /// Where it is.
        location: String,
    },
    /// No key opens with the password.
    #[error("wrong password for the repository at {location}: none of its keys opens with it{}", of_damaged(*damaged))]
    WrongPassword {
        /// Where the repository is.
        location: String,
        /// How many keys could not be tried, since they are damaged.
        damaged: usize,
    },
    /// Another process excludes this one.
    #[error(
        "the repository at {location} is locked {holder}: wait for it to finish; if it no longer runs, \
         remove its lock with `copal unlock`"
    )]
    Locked {
        /// Where the repository is.
        location: String,
        /// Who holds the lock, how and since when.
        holder: String,
    },
    /// This process's own lock no longer excludes others.
    #[error(
        "the lock on the repository at {location} was removed or could not be refreshed, so someone may have removed data \
         meanwhile: run it again"
    )]
    LockLapsed {
        /// Where the repository is.
        location: String,
    },
    /// What took long relied on what a prune in two phases found to be needed no longer.
    #[error(
        "this took {hours} hours, and meanwhile a prune marked a part of what it relies on in the repository at {location} to be removed: nothing \
         refers to it, and what was stored is not lost; run it again, and let prunes have a --grace that is longer than this takes"
    )]
    Overtaken {
        /// Where the repository is.
        location: String,
        /// How long it took.
        hours: i64,
    },
    /// The key can't be removed, because it is the one in use.
    #[error(
        "key {id} is the one that opened the repository now, so it stays: open the repository with another key's password to remove it, \
         or change its password with `copal key passwd`"
    )]
    KeyInUse {
        /// The key.
        id: KeyId,
    },
    /// Something stored is damaged or missing.
    #[error("{what} is damaged: {reason}")]
    Corrupt {
        /// What is damaged, by kind and id.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The repository asks for something that this version cannot do.
    #[error("{0}")]
    Unsupported(String),
    /// What was named is not there.
    #[error("{0}")]
    NotFound(String),
    /// The storage failed.
    #[error(transparent)]
    Storage(copal_storage::Error),
    /// The local system failed.
    #[error("{}: {source}", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// How.
        source: std::io::Error,
    },
    /// A pass over the files failed for good.
    #[error("{0}")]
    Pass(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The user asked to stop.
    #[error("interrupted")]
    Interrupted,
}

impl From<copal_storage::Error> for Error {
    fn from(error: copal_storage::Error) -> Self {
        match error.is_interrupted() {
            true => Self::Interrupted,
            false => Self::Storage(error),
        }
    }
}

impl Error {
    /// Which kind of failure this is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NoRepository { .. } => ErrorKind::NoRepository,
            Self::AlreadyInitialized { .. } => ErrorKind::AlreadyInitialized,
            Self::WrongPassword { .. } => ErrorKind::WrongPassword,
            Self::Locked { .. } | Self::LockLapsed { .. } | Self::Overtaken { .. } => {
                ErrorKind::Locked
            }
            Self::KeyInUse { .. } => ErrorKind::KeyInUse,
            Self::Corrupt { .. } => ErrorKind::Corrupt,
            Self::Unsupported(_) => ErrorKind::Unsupported,
            Self::NotFound(_) => ErrorKind::NotFound,
            Self::Storage(_) => ErrorKind::Storage,
            Self::Io { .. } => ErrorKind::Io,
            Self::Pass(_) => ErrorKind::Pass,
            Self::Interrupted => ErrorKind::Interrupted,
        }
    }

    /// The local system failed at `path`.
    pub fn io(path: impl AsRef<Path>, source: std::io::Error) -> Self {
        Self::Io {
            path: path.as_ref().to_owned(),
            source,
        }
    }

    /// `what` (its kind and id) is damaged.
    pub(crate) fn corrupt(what: impl ToString, reason: impl ToString) -> Self {
        Self::Corrupt {
            what: what.to_string(),
            reason: reason.to_string(),
        }
    }

    /// Adds to damage what to do about it.
    pub(crate) fn advise(self, advice: &str) -> Self {
        match self {
            Self::Corrupt { what, reason } => Self::Corrupt {
                what,
                reason: format!("{reason}; {advice}"),
            },
            other => other,
        }
    }

    /// Whether what was to be read is damaged or missing, rather than out of reach.
    pub fn is_loss(&self) -> bool {
        match self {
            Self::Corrupt { .. } => true,
            Self::Storage(error) => error.is_not_found(),
            _ => false,
        }
    }

    /// Turns what a decoder says into "`what` is damaged".
    pub(crate) fn damaged(what: impl ToString) -> impl FnOnce(Malformed) -> Self {
        move |reason| Self::corrupt(what, reason)
    }
}

fn of_damaged(keys: usize) -> String {
    match keys {
        0 => String::new(),
        1 => "; but one key is damaged, and may be the one for it".to_owned(),
        keys => format!("; but {keys} keys are damaged, and one of them may be for it"),
    }
}
