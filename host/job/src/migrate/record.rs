//! What is known of a migration that has not reached its end: on disk, so that a crash can't forget what was done.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use copal_repository::SnapshotId;
use jiff::Timestamp;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::files;
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

impl Entered {
    pub(super) fn now(stage: Stage) -> Self {
        Self {
            stage,
            time: Timestamp::now(),
        }
    }
}

/// One migration.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    /// The job's name, or where it goes.
    pub name: String,
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
        Self::read(&place(state, name))
    }

    fn read(path: &Path) -> Result<Option<Self>, Error> {
        let failed = |e| Error::state("read the record of the migration in", path, e);
        let bytes = match std::fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            bytes => bytes.map_err(failed)?,
        };
        let record: Self = serde_json::from_slice(&bytes).map_err(|error| failed(error.into()))?;
        Ok(Some(Self {
            path: path.to_owned(),
            ..record
        }))
    }

    /// The records of all migrations that have not reached their ends.
    pub(crate) fn all(state: &Path) -> Result<Vec<Self>, Error> {
        let folder = state.join("migrations");
        let failed = |e| Error::state("list the migrations in", &folder, e);
        let entries = match std::fs::read_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(failed)?,
        };
        let mut records = Vec::new();
        for entry in entries {
            let path = entry.map_err(failed)?.path();
            if path
                .extension()
                .is_some_and(|extension| extension == "json")
            {
                records.extend(Self::read(&path)?);
            }
        }
        records.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(records)
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
            name: name.to_owned(),
            plugin: plugin.to_owned(),
            sources: sources.to_vec(),
            targets: targets.to_vec(),
            stages: vec![Entered::now(Stage::Init)],
            snapshot: None,
            safety: None,
            problem: None,
            path: place(state, name),
        }
    }

    /// Keeps other runs of the migration away for as long as the file lives; fails where one is under way, or has gone on since this record was read.
    pub(super) fn claim(&self) -> Result<File, Error> {
        let path = self.path.with_extension("lock");
        let failed = |e| Error::state("lock", &path, e);
        files::make_folder(&path).map_err(failed)?;
        let mut options = OpenOptions::new();
        let options = options.create(true).append(true).mode(0o600);
        let file = options.open(&path).map_err(failed)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(self.busy()),
            Err(error) => return Err(failed(error.into())),
        }
        let now = Self::read(&self.path)?;
        let known = now.map_or(self.is_new(), |now| now.stages.len() == self.stages.len());
        match known {
            true => Ok(file),
            false => Err(self.busy()),
        }
    }

    fn busy(&self) -> Error {
        Error::Busy(
            self.targets
                .first()
                .map_or_else(|| self.path.clone(), |root| root.path.clone()),
        )
    }

    /// Whether nothing of it is on disk.
    fn is_new(&self) -> bool {
        self.stages.len() == 1
    }

    /// Notes that a stage begins.
    pub(super) fn enter(&mut self, stage: Stage) -> Result<(), Error> {
        self.stages.push(Entered::now(stage));
        self.save()
    }

    /// Puts the record on disk in one piece.
    pub(super) fn save(&self) -> Result<(), Error> {
        let write = || files::write(&self.path, &serde_json::to_vec_pretty(self)?);
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
