//! What can go wrong with a storage service, in words for people.

use crate::diagnosis::{Diagnosis, causes, times};
use crate::interruptible::Interrupted;

/// A failure of a storage service, or of the address that should lead to one. It names the address, never credentials.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address is not one that Copal understands.
    #[error(
        "`{location}` is not a place for a repository: {reason}; write a path, `s3://BUCKET/PREFIX`, \
         `b2://BUCKET/PREFIX`, `gs://BUCKET/PREFIX`, `az://CONTAINER/PREFIX`, `sftp://USER@HOST/PATH`, or `https://HOST/PATH` (WebDAV)"
    )]
    Location {
        /// The address without credentials.
        location: String,
        /// What is wrong with it.
        reason: String,
    },
    /// No service reads a variable of this name.
    #[error(
        "no storage service reads `{0}`; they read `AWS_…`, `B2_…`, `GOOGLE_…` and `AZURE_…`, spelled as in their own tools, and `COPAL_SSH`"
    )]
    Variable(String),
    /// The service cannot be used with the settings and credentials given.
    #[error("{location} cannot be opened: {reason}; set {needs}")]
    Settings {
        /// The address without credentials.
        location: String,
        /// What is wrong.
        reason: String,
        /// What this service reads.
        needs: &'static str,
    },
    /// The place as a whole cannot be used: it is not there, does not let anybody in, cannot be reached or cannot be trusted.
    #[error("{location} {problem}")]
    Unusable {
        /// The store.
        location: String,
        /// Why, and what to do.
        problem: String,
        /// What the service's client says.
        source: Box<object_store::Error>,
    },
    /// There is no such object.
    #[error("{location}/{path} does not exist")]
    NotFound {
        /// The store.
        location: String,
        /// The object.
        path: String,
    },
    /// The service refused: credentials or permissions.
    #[error(
        "{location} refuses to {action} {path}: check the credentials and permissions ({reason})"
    )]
    Denied {
        /// The store.
        location: String,
        /// What was tried.
        action: &'static str,
        /// The object.
        path: String,
        /// Why, in one line.
        reason: String,
        /// What the service's client says.
        source: Box<object_store::Error>,
    },
    /// The work is to end, so the request did not go on.
    #[error("interrupted")]
    Interrupted,
    /// The service failed, after retries.
    #[error("{location}: cannot {action} {path}{}: {reason}", times(*attempts))]
    Service {
        /// The store.
        location: String,
        /// What was tried.
        action: &'static str,
        /// The object.
        path: String,
        /// How often.
        attempts: u32,
        /// Why it failed the last time, in one line.
        reason: String,
        /// What the service's client says.
        source: Box<object_store::Error>,
    },
    /// A local file or directory could not be read or removed.
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// Which one.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A local directory could not be made.
    #[error("cannot create the directory {}: {source}", path.display())]
    Directory {
        /// The directory.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl Error {
    /// Sorts what a client says about `action` ("read", "write", …) on `path`.
    pub fn new(
        location: &str,
        action: &'static str,
        path: &str,
        source: object_store::Error,
    ) -> Self {
        if causes(&source).any(|cause| cause.is::<Interrupted>()) {
            return Self::Interrupted;
        }
        let Diagnosis {
            attempts,
            reason,
            place,
        } = Diagnosis::of(location, &source);
        let (location, path) = (location.to_owned(), path.to_owned());
        if let Some(problem) = place {
            return Self::Unusable {
                location,
                problem,
                source: Box::new(source),
            };
        }
        match source {
            object_store::Error::NotFound { .. } => Self::NotFound { location, path },
            source if is_refusal(&source) => Self::Denied {
                location,
                action,
                path,
                reason,
                source: Box::new(source),
            },
            source => Self::Service {
                location,
                action,
                path,
                attempts,
                reason,
                source: Box::new(source),
            },
        }
    }

    /// Whether the object does not exist.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }

    /// Whether the work was to end.
    pub fn is_interrupted(&self) -> bool {
        matches!(self, Self::Interrupted)
    }

    /// Whether the service refused for want of permission.
    pub fn is_denied(&self) -> bool {
        matches!(self, Self::Denied { .. })
    }
}

/// Whether the service, or the local file system, refuses for want of permission.
fn is_refusal(error: &object_store::Error) -> bool {
    use std::io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
    matches!(
        error,
        object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. }
    ) || causes(error).any(|cause| {
        let io = cause.downcast_ref::<std::io::Error>();
        io.is_some_and(|io| matches!(io.kind(), PermissionDenied | ReadOnlyFilesystem))
    })
}
