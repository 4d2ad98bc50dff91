//! Whether a plugin may work here, and what is allowed to it for good: the host's knowledge of who released it and what was approved.

use std::fmt;

use copal_repository::archiver::Archiver;
use copal_repository::format::tree::{Node, NodeKind};
use copal_repository::{Repository, TreeId, walk};
use copal_sandbox::{Grant, Plugin};

use crate::error::Error;
use crate::manifest::PluginIdentity;

/// The folder of a snapshot that holds the release of its plugin.
pub const RELEASE_PATH: &str = ".copal/release";

/// Bytes of one file of a release; the component is none of them.
const FILE_LIMIT: usize = 1 << 20;
/// Files of a release that a snapshot keeps: the statement and the newest document of its publisher, with 16 signatures each, are 34. What is kept and
/// what is read are bounded alike, so that a backup never holds what a restore refuses.
const MOST_FILES: usize = 64;
/// What the names of these files begin with.
const KEPT: [&[u8]; 2] = [b"release.json", b"publisher.json"];

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

impl Release {
    /// The files that a snapshot is to keep.
    ///
    /// # Errors
    /// They are more or larger than a snapshot keeps, or have other names.
    pub fn new(files: Vec<(String, Vec<u8>)>) -> Result<Self, Refusal> {
        let strange = files.iter().find(|(name, bytes)| {
            !KEPT.iter().any(|kept| name.as_bytes().starts_with(kept)) || bytes.len() > FILE_LIMIT
        });
        let message = match strange {
            Some((name, bytes)) => {
                format!(
                    "no snapshot keeps a file {name:?} of {} bytes with a plugin's release",
                    bytes.len()
                )
            }
            None if files.len() > MOST_FILES => format!(
                "the plugin's release has {} files, and a snapshot keeps at most {MOST_FILES}",
                files.len()
            ),
            None => return Ok(Self(files)),
        };
        Err(Refusal {
            kind: "snapshot",
            message,
            advice: None,
        })
    }

    /// The files.
    pub fn files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0
            .iter()
            .map(|(name, bytes)| (name.as_str(), bytes.as_slice()))
    }

    /// Reads what a snapshot keeps of its plugin's release; nothing where it has none. What no release has, or too much of it, is left out with a warning:
    /// the data must be had without it.
    ///
    /// # Errors
    /// The repository can't be read.
    pub fn read(repository: &Repository, tree: &TreeId) -> Result<Self, Error> {
        let folder = walk::find(repository, tree, RELEASE_PATH.as_bytes())?;
        let Some(folder) = folder.and_then(|folder| folder.subtree) else {
            return Ok(Self::default());
        };
        let nodes = repository.load_tree(&folder)?.nodes;
        let all = nodes.len();
        let kept = nodes.into_iter().filter(is_kept).take(MOST_FILES);
        let mut files = Vec::new();
        for node in kept {
            let name = String::from_utf8_lossy(&node.name).into_owned();
            files.push((name, walk::read_range(repository, &node, 0, FILE_LIMIT)?));
        }
        if files.len() < all {
            tracing::warn!(
                "{} of the {all} files that the snapshot keeps with its plugin's release are none of it, and left out",
                all - files.len()
            );
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

/// Whether a node is a file of a release.
fn is_kept(node: &Node) -> bool {
    let named = KEPT.iter().any(|kept| node.name.starts_with(kept));
    named && node.kind == NodeKind::File && node.size <= FILE_LIMIT as u64
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
    /// Lets the plugin work, or says why not, before anything of it has run. `release` is what a snapshot keeps of it; empty where the plugin comes from
    /// elsewhere. Gives the release that a snapshot is to keep beside the component.
    ///
    /// # Errors
    /// The plugin must not be used in this way.
    fn admit(&self, plugin: &PluginIdentity, release: Release, to: Use)
    -> Result<Release, Refusal>;

    /// What the operator allowed this very component for good, as long as it says that it may ask for the same as then.
    ///
    /// # Errors
    /// That can't be known.
    fn allowed(&self, plugin: &Plugin) -> Result<Vec<Grant>, Refusal>;
}
