//! How to restore, and what has been restored.

use std::collections::HashSet;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rustix::fs::Stat;
use serde::{Deserialize, Serialize};

use super::target::UNFINISHED_DIRECTORY;
use crate::error::Error;
use crate::format::tree::Node;
use crate::pattern::Choice;
use crate::progress::{ItemError, display, join};

/// How many paths are named one by one.
const NAMED: usize = 1000;

/// How to restore.
#[derive(Debug, Clone, Default)]
pub struct RestoreOptions {
    /// Set to true from anywhere, it ends the work with [`Error::Interrupted`].
    pub cancel: Arc<AtomicBool>,
    /// Removes from the directories that are restored whatever the snapshot does not hold in them, as far as it is chosen, once what it holds is in
    /// place. What a pass leaves out stays as it is, and so do sockets, which no snapshot holds, and file systems that are mounted there. No symlink is
    /// followed.
    pub exact: bool,
    /// What the backup could not save, by its paths in the snapshot as [`ItemError`] spells them: what the target has there, or beneath, stays too.
    pub spared: HashSet<String>,
    /// What becomes of what is there already.
    pub overwrite: Overwrite,
    /// What is restored. A directory that only leads to what is chosen is made if it has to be; one that is there keeps its metadata.
    pub choice: Choice,
    /// The path in the snapshot of what is restored: the choice is made by whole paths.
    pub path: Vec<u8>,
    /// Changes nothing, and tells what would be done. Nothing is read from the repository but listings.
    pub dry_run: bool,
}

/// What becomes of a file, or of anything else but a directory, that is there already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Overwrite {
    /// It becomes what the snapshot says. Its content is read, and written where it differs.
    #[default]
    Always,
    /// The same, but a file of the same size and time of modification is believed to have the same content.
    IfChanged,
    /// The same, but only if the snapshot's is newer by its time of modification.
    IfNewer,
    /// It stays as it is.
    Never,
}

impl Overwrite {
    /// Whether `node` may take the place of what was found there.
    pub(super) fn allows(self, node: &Node, found: &Stat) -> bool {
        match self {
            Self::Always | Self::IfChanged => true,
            Self::IfNewer => node.modified.instant() > modified(found),
            Self::Never => false,
        }
    }

    /// Whether the content of what was found is believed to be that of `node` without a look.
    pub(super) fn believes(self, node: &Node, found: &Stat) -> bool {
        self == Self::IfChanged && node.modified.instant() == modified(found)
    }
}

/// Seconds and nanoseconds since 1970.
#[expect(
    clippy::unnecessary_cast,
    reason = "the types differ between platforms"
)]
fn modified(stat: &Stat) -> (i64, u32) {
    (stat.st_mtime as i64, stat.st_mtime_nsec as u32)
}

impl RestoreOptions {
    /// Makes the directory that is restored to, if that is missing; tells whether it was.
    pub(super) fn make(&self, target: &Path) -> Result<bool, Error> {
        let missing = !target.exists();
        if missing && !self.dry_run {
            std::fs::create_dir_all(target).map_err(|error| Error::io(target, error))?;
        }
        Ok(missing)
    }

    /// The same for a directory with metadata of its own, which gets that in the end.
    pub(super) fn make_unfinished(&self, target: &Path) -> Result<bool, Error> {
        let made = self.make(target)?;
        if made && !self.dry_run {
            let mode = std::fs::Permissions::from_mode(UNFINISHED_DIRECTORY.as_raw_mode());
            let marked = std::fs::set_permissions(target, mode);
            marked.map_err(|error| Error::io(target, error))?;
        }
        Ok(made)
    }

    /// Whether what has this path beneath that of what is restored may be missing from the snapshot only because it could not be saved, or something
    /// above it.
    pub(super) fn is_spared(&self, path: &[u8]) -> bool {
        if self.spared.is_empty() {
            return false;
        }
        let path = display(&join(&self.path, path));
        let ends = path.match_indices('/').map(|(end, _)| end);
        ends.chain([path.len()])
            .filter_map(|end| path.get(..end))
            .any(|path| self.spared.contains(path))
    }

    /// Whether what has this path beneath that of what is restored is chosen.
    pub(super) fn has(&self, path: &[u8]) -> bool {
        self.choice.is_all() || self.choice.has(&join(&self.path, path))
    }

    /// Whether something beneath it could be chosen.
    pub(super) fn may_have_beneath(&self, path: &[u8]) -> bool {
        self.choice.is_all() || self.choice.may_have_beneath(&join(&self.path, path))
    }
}

/// What has been restored, or would be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RestoreSummary {
    /// Files that are what the snapshot says, hard links among them.
    pub files: u64,
    /// Those of them that were so already, their metadata apart.
    pub unchanged: u64,
    /// Directories.
    pub directories: u64,
    /// Symlinks, devices and FIFOs.
    pub others: u64,
    /// Bytes of content that came from the repository.
    pub bytes: u64,
    /// Files and others of which only metadata had to be set.
    pub mended: u64,
    /// What lost its place to a file or another that differs from it.
    pub replaced: Named,
    /// Entries removed because the snapshot does not hold them; what lay beneath a directory is counted only where not all of it went.
    pub removed: Named,
    /// Entries left as they were, because [`RestoreOptions::overwrite`] says so.
    pub kept: u64,
    /// Entries left out by verdict; what lies beneath a directory is not counted.
    pub skipped: u64,
    /// Entries that were not chosen; of a directory in which nothing is chosen, what lies beneath is not counted.
    pub left_out: u64,
    /// What could not be restored, or not well.
    #[serde(skip)]
    pub errors: Vec<ItemError>,
}

/// Paths beneath the target: all are counted, the first thousand named.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Named {
    /// How many there are.
    pub count: u64,
    /// Their paths.
    pub paths: Vec<String>,
}

impl Named {
    pub(super) fn add(&mut self, path: &[u8]) {
        self.count += 1;
        if self.paths.len() < NAMED {
            self.paths.push(display(path));
        }
    }
}
