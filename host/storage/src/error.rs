//! What can go wrong with a storage service, in words for people.

/// A failure of a storage service, or of the address that should lead to one. It names the address, never credentials.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address is not one that Copal understands.
    #[error(
        "`{location}` is not a place for a repository: {reason}; write a path, `s3://BUCKET/PREFIX`, \
         `gs://BUCKET/PREFIX`, `az://CONTAINER/PREFIX`, or `https://HOST/PATH` (WebDAV)"
    )]
    Location {
        /// The address without credentials.
        location: String,
        /// What is wrong with it.
        reason: String,
    },
    /// No service reads a variable of this name.
    #[error(
        "no storage service reads `{0}`; they read `AWS_…`, `GOOGLE_…` and `AZURE_…`, spelled as in their own tools"
    )]
    Variable(String),
    /// The service cannot be used with the settings and credentials given.
    #[error("{location} cannot be opened: {}; set {needs}", first_line(source))]
    Settings {
        /// The address without credentials.
        location: String,
        /// The environment variables that this service reads.
        needs: &'static str,
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
        "{location} refuses to {action} {path}: check the credentials and permissions ({})",
        first_line(source)
    )]
    Denied {
        /// The store.
        location: String,
        /// What was tried.
        action: &'static str,
        /// The object.
        path: String,
        /// What the service's client says.
        source: Box<object_store::Error>,
    },
    /// The service failed, after retries.
    #[error("{location}: cannot {action} {path}: {}", first_line(source))]
    Service {
        /// The store.
        location: String,
        /// What was tried.
        action: &'static str,
        /// The object.
        path: String,
        /// What the service's client says.
        source: Box<object_store::Error>,
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
        let (location, path) = (location.to_owned(), path.to_owned());
        match source {
            object_store::Error::NotFound { .. } => Self::NotFound { location, path },
            source if is_refusal(&source) => Self::Denied {
                location,
                action,
                path,
                source: Box::new(source),
            },
            source => Self::Service {
                location,
                action,
                path,
                source: Box::new(source),
            },
        }
    }

    /// Whether the object does not exist.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }

    /// Whether the service refused for want of permission.
    pub fn is_denied(&self) -> bool {
        matches!(self, Self::Denied { .. })
    }
}

/// Whether the service, or the local file system, refuses for want of permission.
fn is_refusal(error: &object_store::Error) -> bool {
    use std::io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
    let mut causes = std::iter::successors(Some(error as &dyn std::error::Error), |error| {
        error.source()
    });
    matches!(
        error,
        object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. }
    ) || causes.any(|cause| {
        let io = cause.downcast_ref::<std::io::Error>();
        io.is_some_and(|io| matches!(io.kind(), PermissionDenied | ReadOnlyFilesystem))
    })
}

/// The deepest cause's first line: the layers above only repeat it with internals of the client.
fn first_line(error: &object_store::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    let text = cause.to_string();
    let line = text.lines().next().unwrap_or_default();
    line.chars().take(300).collect()
}
