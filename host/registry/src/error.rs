//! What can go wrong on the way of a release, in words for people.

use std::io;

/// Why a release could not be fetched or published. It names the place and the file, never credentials.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text leads nowhere.
    #[error("`{place}` is no place for a release: {reason}")]
    Address {
        /// The text without credentials.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Nothing is there.
    #[error("{place} does not exist")]
    Missing {
        /// Where.
        place: String,
    },
    /// Something is there, but no release.
    #[error("{place} holds no file of a plugin's release")]
    Empty {
        /// Where.
        place: String,
    },
    /// The operating system refuses.
    #[error("{place}: can't {action} {file}: {source}")]
    Io {
        /// Where.
        place: String,
        /// "read", "write", …
        action: &'static str,
        /// The file.
        file: String,
        /// Why.
        source: io::Error,
    },
    /// A file is larger than one of a release may be.
    #[error("{place}: {file} has more than {limit} bytes, the most that is taken of it")]
    TooLarge {
        /// Where.
        place: String,
        /// The file.
        file: String,
        /// The most that is taken.
        limit: usize,
    },
    /// An archive that no release comes in.
    #[error("{place} is no archive of a release: {reason}")]
    Archive {
        /// Where.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A file is there twice.
    #[error("{place} holds {file} twice, and nothing tells which one counts")]
    Twice {
        /// Where.
        place: String,
        /// The file.
        file: String,
    },
    /// An object store.
    #[error(transparent)]
    Storage(#[from] copal_storage::Error),
    /// A place that sends too slowly.
    #[error("{place} did not send the whole release within {minutes} minutes")]
    Slow {
        /// Where.
        place: String,
        /// How long it was waited for.
        minutes: u64,
    },
    /// No connection, or one that broke.
    #[error("{place} can't be reached: {reason}")]
    Unreachable {
        /// Where.
        place: String,
        /// What the client says.
        reason: String,
    },
    /// A server answered something else than the file.
    #[error("{place}: asked for {file}, the server answers {answer}")]
    Answer {
        /// Where.
        place: String,
        /// What was asked for.
        file: String,
        /// The status, and the first words of what it says.
        answer: String,
    },
    /// A server answered with a page for people.
    #[error("{place}: asked for {file}, the server sends a web page{}", from(.at))]
    WebPage {
        /// Where.
        place: String,
        /// What was asked for.
        file: String,
        /// Where the server led to, if it was elsewhere.
        at: Option<String>,
    },
    /// Credentials are missing or do not suffice.
    #[error("{place} refuses access to {file} ({status})")]
    Denied {
        /// Where.
        place: String,
        /// What was asked for.
        file: String,
        /// The status of the answer.
        status: u16,
    },
    /// Credentials can't be read.
    #[error("the credentials for {place} can't be read: {reason}")]
    Credentials {
        /// Where.
        place: String,
        /// Why.
        reason: String,
    },
    /// A registry does not keep to its protocol.
    #[error("{place} does not answer as a registry does: {reason}")]
    Registry {
        /// Where.
        place: String,
        /// What it does.
        reason: String,
    },
    /// What came is not what was asked for.
    #[error("{place}: what came for {expected} has the digest {found}: it was changed on the way")]
    Digest {
        /// Where.
        place: String,
        /// What was asked for.
        expected: String,
        /// What came.
        found: String,
    },
    /// An artifact or a file that is no component.
    #[error("{place} is no plugin's component: {reason}")]
    NotAComponent {
        /// Where.
        place: String,
        /// What it is.
        reason: String,
    },
    /// More than one component where there must be one.
    #[error("{place} holds more than one component: {reason}")]
    TwoComponents {
        /// Where.
        place: String,
        /// Where they are.
        reason: String,
    },
    /// A statement that belongs to no component, or to another.
    #[error("{place}: the statement {digest} {reason}")]
    StatementWithoutComponent {
        /// Where.
        place: String,
        /// The statement's artifact.
        digest: String,
        /// What it refers to.
        reason: String,
    },
    /// Statements that do not agree.
    #[error("{place} has statements that disagree about one component: {}", .digests.join(", "))]
    TwoStatements {
        /// Where.
        place: String,
        /// The statements' artifacts.
        digests: Vec<String>,
    },
    /// A signature that a transport which can't list would miss.
    #[error("the release holds {file}, but not {missing} before it")]
    Gap {
        /// The signature.
        file: String,
        /// The one that comes before.
        missing: String,
    },
    /// Another release is there already.
    #[error("{place} holds something else already: {found}")]
    Occupied {
        /// Where.
        place: String,
        /// What differs.
        found: String,
    },
}

impl Error {
    /// A stable word for scripts.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Address { .. } => "address",
            Self::Missing { .. } => "missing",
            Self::Empty { .. } => "empty",
            Self::Io { .. } => "io",
            Self::TooLarge { .. } => "too-large",
            Self::Archive { .. } => "archive",
            Self::Twice { .. } => "twice",
            Self::Storage(_) => "storage",
            Self::Slow { .. } | Self::Unreachable { .. } => "unreachable",
            Self::Answer { .. } => "answer",
            Self::WebPage { .. } => "web-page",
            Self::Denied { .. } => "denied",
            Self::Credentials { .. } => "credentials",
            Self::Registry { .. } => "registry",
            Self::Digest { .. } => "digest",
            Self::NotAComponent { .. } => "not-a-component",
            Self::TwoComponents { .. } => "two-components",
            Self::StatementWithoutComponent { .. } => "statement-without-component",
            Self::TwoStatements { .. } => "two-statements",
            Self::Gap { .. } => "gap",
            Self::Occupied { .. } => "occupied",
        }
    }

    /// What the operator can do about it; none where the message says it all.
    pub fn advice(&self) -> Option<String> {
        let advice = match self {
            Self::Address { .. } => {
                "Write a path, or an address such as `https://HOST/FOLDER`, `s3://BUCKET/FOLDER` or `oci://HOST/REPOSITORY:TAG`. \
                 A path with a colon begins with `./`."
            }
            Self::Missing { place } if !place.contains("://") => {
                "Check the path. `copal plugin list` shows the plugins that are installed, which go by their names."
            }
            Self::Empty { .. } => "Name the folder in which plugin.wasm and release.json lie.",
            Self::TooLarge { .. } => "No release is so large: ask its publisher.",
            Self::Archive { .. } | Self::Twice { .. } => {
                "A release archive is an uncompressed tar of the release's files, at its top or in one folder. \
                 Copal makes one with `copal plugin export RELEASE FILE.tar`."
            }
            Self::Slow { .. } | Self::Unreachable { .. } => {
                "Check the address and the network, and try again."
            }
            Self::WebPage { .. } => {
                "Check the address, and whether the server wants you to log in."
            }
            Self::Denied { place, .. } if place.starts_with("oci:") => {
                "Set COPAL_REGISTRY_HOST to the registry (HOST or HOST:PORT), and COPAL_REGISTRY_USER and COPAL_REGISTRY_PASSWORD; or run `docker login`."
            }
            Self::Denied { place, .. } if place.starts_with("http") => {
                "Where the server wants a name and a password, give them in the address: https://NAME:PASSWORD@HOST/…"
            }
            Self::Denied { .. } => {
                "Check the credentials (AWS_…, GOOGLE_… or AZURE_…) and whether they may read there."
            }
            Self::Credentials { .. } => {
                "Set COPAL_REGISTRY_HOST to the registry (HOST or HOST:PORT), and COPAL_REGISTRY_USER and COPAL_REGISTRY_PASSWORD, which go before docker's configuration there."
            }
            Self::Digest { .. } => {
                "Do not use it. Try again from another network, and tell the registry's operator."
            }
            Self::TwoComponents { .. } => "A release is of one component: ask its publisher.",
            Self::StatementWithoutComponent { .. } => {
                "Name the component's own tag or digest. If you did, the registry holds what its publisher did not put there."
            }
            Self::TwoStatements { .. } => {
                "Only the publisher can tell which one counts: have the others removed from the registry."
            }
            Self::Gap { .. } => "Number the signatures without a gap, or sign anew.",
            Self::Occupied { .. } => {
                "Choose another place, or add --replace if it may be replaced."
            }
            _ => return None,
        };
        Some(advice.to_owned())
    }
}

/// Where a server led to.
fn from(at: &Option<String>) -> String {
    at.as_ref()
        .map(|at| format!(" from {at}"))
        .unwrap_or_default()
}
