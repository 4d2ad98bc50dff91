//! What this machine trusts and has installed, in the folder `COPAL_DATA_DIR`.
//!
//! ```text
//! plugins.lock                         what is installed, and the highest versions seen
//! approvals.json                       what the operator allowed each plugin
//! publishers/NAME/N.json               version N of a publisher's document
//! publishers/NAME/N.json.minisig …     its signatures
//! plugins/SHA256/                      a component, its statement and the statement's signatures
//! lock                                 held while one process changes any of these
//! ```
//!
//! Each file is written beside its place and put there in one go, so a reader needs no lock and a crash leaves the old or the new.

use std::fs::{DirBuilder, File};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use crate::name::PluginName;
use crate::refusal::Refusal;

pub(crate) mod approvals;
mod check;
mod files;
pub(crate) mod install;
pub(crate) mod installed;
pub(crate) mod ledger;
pub(crate) mod publishers;
pub(crate) mod revocation;

use self::ledger::Ledger;

/// The data folder.
#[derive(Clone, Debug)]
pub struct Store {
    folder: PathBuf,
}

impl Store {
    /// The store in this folder, an absolute path. The folder is looked at when something of it is first needed, and made when something is first
    /// written; where others may write to it, or to what lies above it, nothing of it is used.
    pub fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
        }
    }

    /// Keeps other processes from changing the folder for as long as the file lives, and makes the folder where there is none.
    fn lock(&self) -> Result<File, Refusal> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.folder)
            .map_err(|error| Refusal::state("make the folder", &self.folder, error))?;
        self.require_own()?;
        let lock = files::lock(&self.folder.join("lock"))?;
        for folder in [&self.folder, &self.plugins(), &self.publishers_folder()] {
            files::sweep(folder);
        }
        Ok(lock)
    }

    /// Refuses a folder in which another user could write what Copal then trusts. The folders within are looked at as they are used.
    fn require_own(&self) -> Result<(), Refusal> {
        files::require_own(&self.folder)
    }

    fn ledger(&self) -> Result<Ledger, Refusal> {
        self.require_own()?;
        Ledger::read(&self.ledger_path())
    }

    fn ledger_path(&self) -> PathBuf {
        self.folder.join("plugins.lock")
    }

    fn plugins(&self) -> PathBuf {
        self.folder.join("plugins")
    }

    /// Where the files of a release lie. The digest is one that was checked to be one.
    fn plugin_folder(&self, digest: &str) -> PathBuf {
        self.plugins().join(digest)
    }

    /// Whether the files of a release lie there, where nobody else can have put them.
    fn has_plugin(&self, digest: &str) -> Result<bool, Refusal> {
        self.require_own()?;
        Ok(files::is_folder(&self.plugins())? && files::is_folder(&self.plugin_folder(digest))?)
    }

    fn publishers_folder(&self) -> PathBuf {
        self.folder.join("publishers")
    }

    /// The plugins installed, sorted by name.
    ///
    /// # Errors
    /// `plugins.lock` can't be read.
    pub fn list(&self) -> Result<Vec<installed::Installed>, Refusal> {
        let plugins = self.ledger()?.plugins.into_iter();
        let installed = plugins.filter_map(|(name, entry)| {
            let record = entry.installed?;
            Some(installed::Installed::new(self.clone(), name, record))
        });
        Ok(installed.collect())
    }

    /// An installed plugin; none where it is not installed.
    ///
    /// # Errors
    /// `plugins.lock` can't be read.
    pub fn installed(&self, name: &PluginName) -> Result<Option<installed::Installed>, Refusal> {
        let ledger = self.ledger()?;
        let record = ledger.installed(name).cloned();
        Ok(record.map(|record| installed::Installed::new(self.clone(), name.clone(), record)))
    }
}
