//! A directory with repositories in it, and restic at work on them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use copal_repository::archiver::{ArchiveOptions, Archived, Archiver};
use copal_repository::checker::{CheckOptions, check};
use copal_repository::format::Timestamp;
use copal_repository::format::key::ScryptCost;
use copal_repository::format::snapshot::Snapshot;
use copal_repository::progress::{Progress, Silent};
use copal_repository::{Error, InitOptions, Password, Repository, SnapshotId};
pub(crate) use copal_tests::sample::noise;
use tempfile::TempDir;
use tokio::runtime::Runtime;

pub(crate) const CHEAP: ScryptCost = ScryptCost {
    log_n: 4,
    r: 8,
    p: 1,
};

/// What one test works with: repositories by name, each with its name as the password.
pub(crate) struct World {
    directory: TempDir,
    pub(crate) runtime: Runtime,
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            runtime: Runtime::new().unwrap(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a file beneath the world, with the directories above it.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub(crate) fn store(&self, name: &str) -> copal_storage::Store {
        copal_storage::open(self.path(name).to_str().unwrap()).unwrap()
    }

    pub(crate) fn init(&self, name: &str) -> Repository {
        self.init_like(name, None)
    }

    /// Makes a repository that cuts files as the other one does.
    pub(crate) fn init_like(&self, name: &str, other: Option<&Repository>) -> Repository {
        let options = InitOptions {
            scrypt: CHEAP,
            polynomial: other.map(Repository::polynomial),
        };
        let handle = self.runtime.handle().clone();
        Repository::init(self.store(name), handle, &Password::new(name), &options).unwrap()
    }

    pub(crate) fn try_open(&self, name: &str, password: &str) -> Result<Repository, Error> {
        let handle = self.runtime.handle().clone();
        Repository::open(self.store(name), handle, &Password::new(password))
    }

    pub(crate) fn open(&self, name: &str) -> Repository {
        self.try_open(name, name).unwrap()
    }

    /// restic on a repository, with another password than its name if that is given.
    pub(crate) fn restic_as(&self, name: &str, password: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new("restic");
        command
            .arg("--repo")
            .arg(self.path(name))
            .arg("--no-cache")
            .args(arguments)
            .env("RESTIC_PASSWORD", password);
        command
    }

    /// Runs restic on a repository and gives its output.
    #[track_caller]
    pub(crate) fn restic(&self, name: &str, arguments: &[&str]) -> String {
        succeeds(self.restic_as(name, name, arguments))
    }

    /// Fails unless restic and Copal find every byte of a repository whole.
    #[track_caller]
    pub(crate) fn is_whole(&self, name: &str) {
        if have_restic() {
            let said = self.restic(name, &["check", "--read-data"]);
            assert!(said.contains("no errors were found"), "{said}");
        }
        let options = CheckOptions::ALL;
        let report = check(&self.open(name), options, &Silent).unwrap();
        assert_eq!(report.errors, [""; 0]);
    }
}

/// Fails unless the command succeeds, and gives its output.
#[track_caller]
pub(crate) fn succeeds(mut command: Command) -> String {
    let output = command.output().unwrap();
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{command:?}: {out}{err}");
    out.into_owned()
}

/// Whether restic is installed; says so where it is not, and fails where `CI` is set.
pub(crate) fn have_restic() -> bool {
    copal_tests::programs::require("restic", "restic").is_some()
}

/// Archives a directory as the root `home`.
pub(crate) fn archive(
    repository: &Repository,
    source: &Path,
    options: ArchiveOptions,
    progress: &dyn Progress,
) -> Result<Archived, Error> {
    let mut archiver = Archiver::new(repository, options, progress)?;
    archiver.add_tree("home", source, None)?;
    archiver.finish()
}

/// Archives a directory and saves a snapshot of it.
pub(crate) fn back_up(repository: &Repository, source: &Path) -> SnapshotId {
    let archived = archive(repository, source, ArchiveOptions::default(), &Silent).unwrap();
    assert_eq!(archived.summary.errors, []);
    let snapshot = Snapshot {
        paths: vec![source.to_str().unwrap().to_owned()],
        hostname: "here".into(),
        tags: vec!["ours".into(), "nightly".into()],
        ..Snapshot::new(Timestamp::now(), archived.tree)
    };
    repository.save_snapshot(&snapshot).unwrap()
}

/// All files beneath a directory.
pub(crate) fn files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(path) = open.pop() {
        for entry in fs::read_dir(path).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => open.push(path),
                false => files.push(path),
            }
        }
    }
    files.sort();
    files
}
