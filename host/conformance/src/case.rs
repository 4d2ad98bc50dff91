//! An author's cases: trees to back up and restore, and what is expected to come of it, as files.
//!
//! ```text
//! cases/NAME/case.toml        how it is asked
//! cases/NAME/roots/ROOT/…     the directory handed over as the root ROOT; roots/ROOT.toml says what files can't hold
//! cases/NAME/streams/NAME     what the command of a stream would print
//! cases/NAME/targets/ROOT/…   what lies at the target of a restore
//! cases/NAME/calls.json       answers to probes
//! cases/NAME/expected/…       golden files
//! ```

mod golden;
mod load;
mod manifest;
mod probe;
mod restore;
mod run;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use copal_sandbox::types::{BackupRequest, Timestamp};
use copal_sandbox::{Plugin, Tree};
use serde_json::Value;

pub use self::golden::{Difference, Results};
use self::manifest::Manifest;
use self::probe::CaseProbe;
pub(crate) use self::restore::stream_names;
pub(crate) use self::run::refused;
use crate::error::Error;
use crate::memory::MemoryTree;
use crate::recording::CommandCall;

/// One case of an author.
#[derive(Clone, Debug)]
pub struct Case {
    name: String,
    folder: PathBuf,
    manifest: Manifest,
    now: Timestamp,
    roots: Vec<Arc<MemoryTree>>,
    targets: Vec<Arc<MemoryTree>>,
    streams: BTreeMap<String, Vec<u8>>,
    commands: Vec<CommandCall>,
}

impl Case {
    /// The cases in a folder, sorted by name.
    pub fn all(folder: &Path) -> Result<Vec<Self>, Error> {
        load::all(folder)
    }

    /// The case in this folder, whose name is the case's.
    pub fn load(folder: &Path) -> Result<Self, Error> {
        load::case(folder)
    }

    /// The folder's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it is about, in the author's words.
    pub fn about(&self) -> &str {
        &self.manifest.about
    }

    /// The names of the golden files that a run made, each with its content. No golden file is read.
    pub fn run(&self, plugin: &Plugin) -> Result<Results, Error> {
        run::run(self, plugin)
    }

    /// Where the golden files differ from what a run made.
    pub fn compare(&self, results: &Results) -> Result<Vec<Difference>, Error> {
        golden::compare(&self.expected(), results)
    }

    /// Makes the golden files what a run made; returns what was different.
    pub fn update(&self, results: &Results) -> Result<Vec<Difference>, Error> {
        golden::update(&self.expected(), results)
    }

    fn expected(&self) -> PathBuf {
        self.folder.join("expected")
    }

    pub(crate) fn roots(&self) -> Vec<Arc<dyn Tree>> {
        trees(&self.roots)
    }

    pub(crate) fn root_trees(&self) -> &[Arc<MemoryTree>] {
        &self.roots
    }

    pub(crate) fn stream(&self, name: &str) -> Option<&[u8]> {
        self.streams.get(name).map(Vec::as_slice)
    }

    /// A probe as it is at the beginning of a call.
    pub(crate) fn probe(&self) -> Arc<CaseProbe> {
        let commands = self.commands.clone();
        Arc::new(CaseProbe::new(&self.manifest.grants, commands))
    }

    pub(crate) fn backup_request(&self) -> BackupRequest {
        BackupRequest {
            config: Value::Object(self.manifest.config.clone()).to_string(),
            now: self.now,
        }
    }

    pub(crate) fn problem(&self, problem: impl Into<String>) -> Error {
        Error::Case {
            case: self.name.clone(),
            problem: problem.into(),
        }
    }
}

pub(crate) fn trees(trees: &[Arc<MemoryTree>]) -> Vec<Arc<dyn Tree>> {
    trees
        .iter()
        .map(|tree| tree.clone() as Arc<dyn Tree>)
        .collect()
}
