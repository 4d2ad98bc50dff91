//! Whether a plugin may work here, and what is allowed to it for good: the host's knowledge of who released it and what was approved.

use std::fmt;

use copal_repository::archiver::Archiver;
use copal_repository::{Repository, TreeId, walk};
use copal_sandbox::Grant;

use crate::error::Error;
use crate::manifest::{PluginIdentity, read_file};

/// The folder of a snapshot that holds the release of its plugin.
pub const RELEASE_PATH: &str = ".copal/release";

/// Bytes of one file of a release; the component is none of them.
const FILE_LIMIT: u64 = 1 << 20;
/// Files of a release that are kept.
const MOST_FILES: usize = 64;

/// What a plugin is to be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// To back up.
    Backup,
    /// To bring back what a snapshot holds.
    Restore,
    /// The same, although its publisher took the plugin back: the operator insists.
    RestoreRevoked,
}

/// The statement about a component with its signatures, by file names. To a job these are bytes that go with the plugin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Release(Vec<(String, Vec<u8>)>);

impl FromIterator<(String, Vec<u8>)> for Release {
    fn from_iter<I: IntoIterator<Item = (String, Vec<u8>)>>(files: I) -> Self {
        Self(files.into_iter().collect())
    }
}

impl Release {
    /// The files.
    pub fn files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0
            .iter()
            .map(|(name, bytes)| (name.as_str(), bytes.as_slice()))
    }

    /// Reads what a snapshot keeps of its plugin's release; nothing where it has none.
    ///
    /// # Errors
    /// The repository can't be read, or the release is larger than one may be.
    pub fn read(repository: &Repository, tree: &TreeId) -> Result<Self, Error> {
        let folder = walk::find(repository, tree, RELEASE_PATH.as_bytes())?;
        let Some(folder) = folder.and_then(|folder| folder.subtree) else {
            return Ok(Self::default());
        };
        let nodes = repository.load_tree(&folder)?.nodes;
        if nodes.len() > MOST_FILES {
            let problem = format!(
                "it has {} files, and at most {MOST_FILES} are read",
                nodes.len()
            );
            return Err(Error::Snapshot {
                what: "release",
                problem,
            });
        }
        let mut files = Vec::new();
        for node in nodes {
            let name = String::from_utf8_lossy(&node.name).into_owned();
            let path = format!("{RELEASE_PATH}/{name}");
            files
                .extend(read_file(repository, tree, &path, FILE_LIMIT)?.map(|bytes| (name, bytes)));
        }
        Ok(Self(files))
    }

    /// Puts it into a snapshot.
    pub(crate) fn add_to(&self, archiver: &mut Archiver<'_>) -> Result<(), Error> {
        for (name, bytes) in self.files() {
            archiver.add_file(&format!("{RELEASE_PATH}/{name}"), bytes)?;
        }
        Ok(())
    }
}

/// What a plugin that may work brings with it.
#[derive(Clone, Debug, Default)]
pub struct Admission {
    /// The release that a snapshot keeps beside the component.
    pub release: Release,
    /// What the operator allowed this very component for good.
    pub grants: Vec<Grant>,
}

/// Why a plugin may not work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// A stable word for scripts.
    pub kind: &'static str,
    /// What is the case.
    pub message: String,
    /// What the operator can do about it.
    pub advice: Option<String>,
}

/// Decides about plugins before anything of them is asked for a plan.
pub trait Authority: fmt::Debug + Send + Sync {
    /// Lets the plugin work, or says why not. `release` is what a snapshot keeps of it; empty where the plugin comes from elsewhere.
    ///
    /// # Errors
    /// The plugin must not be used in this way.
    fn admit(
        &self,
        plugin: &PluginIdentity,
        release: Release,
        to: Use,
    ) -> Result<Admission, Refusal>;
}
