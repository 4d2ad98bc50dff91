//! What is known of a migration that has not reached its end: on disk, so that a crash can't forget what was done.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use copal_repository::SnapshotId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::places::Root;

/// Where a migration stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Approved, and nothing done.
    Init,
    /// The source is made to hold still.
    Setup,
    /// The source is read into a snapshot.
    Dump,
    /// What the target holds is saved, and the snapshot is put in its place.
    Upload,
    /// All is done and verified.
    Done,
    /// It failed.
    Error,
    /// The operator ended it.
    Cancelled,
}

impl Stage {
    /// How much of a migration is done when the stage begins, in percent.
    pub fn percent(self) -> u8 {
        match self {
            Self::Init | Self::Error | Self::Cancelled => 0,
            Self::Setup => 1,
            Self::Dump => 20,
            Self::Upload => 50,
            Self::Done => 100,
        }
    }

    /// The word that people and machines read.
    pub fn word(self) -> &'static str {
        match self {
            Self::Init => "init",
            Self::Setup => "setup",
            Self::Dump => "dump",
            Self::Upload => "upload",
            Self::Done => "done",
            Self::Error => "error",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A stage with the time at which it began.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Entered {
    /// The stage.
    pub stage: Stage,
    /// When it began.
    pub time: Timestamp,
}

/// One migration.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    /// The plugin, as `publisher/name`.
    pub plugin: String,
    /// Where the data comes from.
    pub sources: Vec<Root>,
    /// Where it goes.
    pub targets: Vec<Root>,
    /// The stages so far.
    pub stages: Vec<Entered>,
    /// The snapshot of the source, once it is saved.
    pub snapshot: Option<SnapshotId>,
    /// The safety snapshot of the target, once it is saved.
    pub safety: Option<SnapshotId>,
    /// What went wrong, where it ended in `error`.
    pub problem: Option<String>,
    #[serde(skip)]
    path: PathBuf,
}

impl Record {
    /// The record of the migration of that name that has not reached its end.
    pub(super) fn find(state: &Path, name: &str) -> Result<Option<Self>, Error> {
        let path = place(state, name);
        let failed = |e| Error::state("read the record of the migration in", &path, e);
        let bytes = match std::fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            bytes => bytes.map_err(failed)?,
        };
        let record = serde_json::from_slice(&bytes).map_err(|error| failed(error.into()))?;
        Ok(Some(Self { path, ..record }))
    }

    /// A record of a migration that has not begun.
    pub(super) fn new(
        state: &Path,
        name: &str,
        plugin: &str,
        sources: &[Root],
        targets: &[Root],
    ) -> Self {
        Self {
            plugin: plugin.to_owned(),
            sources: sources.to_vec(),
            targets: targets.to_vec(),
            stages: vec![Entered {
                stage: Stage::Init,
                time: Timestamp::now(),
            }],
            snapshot: None,
            safety: None,
            problem: None,
            path: place(state, name),
        }
    }

    /// Notes that a stage begins.
    pub(super) fn enter(&mut self, stage: Stage) -> Result<(), Error> {
        self.stages.push(Entered {
            stage,
            time: Timestamp::now(),
        });
        self.save()
    }

    /// Puts the record on disk in one piece.
    pub(super) fn save(&self) -> Result<(), Error> {
        let write = || -> io::Result<()> {
            let folder = self.path.parent().unwrap_or(Path::new("."));
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)?;
            let new = self.path.with_extension("new");
            let mut options = OpenOptions::new();
            let mut file = options
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&new)?;
            file.write_all(&serde_json::to_vec_pretty(self)?)?;
            file.sync_all()?;
            std::fs::rename(&new, &self.path)?;
            std::fs::File::open(folder)?.sync_all()
        };
        write().map_err(|e| Error::state("write the record of the migration to", &self.path, e))
    }

    /// Forgets a migration.
    pub(super) fn remove(&self) -> Result<(), Error> {
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::state(
                "remove the record of the migration",
                &self.path,
                error,
            )),
            _ => Ok(()),
        }
    }
}

/// Names may hold anything, so the file is named by their bytes.
fn place(state: &Path, name: &str) -> PathBuf {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let file: String = name
        .chars()
        .map(|c| {
            if plain(c) {
                c.to_string()
            } else {
                format!("%{:x}", u32::from(c))
            }
        })
        .collect();
    state.join("migrations").join(format!("{file}.json"))
}
