//! The backup tools, and how each is asked for the same.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::{command, workspace};

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    FirstBackup,
    UnchangedBackup,
    Restore,
    Check,
    Prune,
}

impl Operation {
    /// In the order in which they are performed.
    pub(crate) const ALL: [Self; 5] = [
        Self::FirstBackup,
        Self::UnchangedBackup,
        Self::Restore,
        Self::Check,
        Self::Prune,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::FirstBackup => "first backup",
            Self::UnchangedBackup => "unchanged backup",
            Self::Restore => "restore",
            Self::Check => "check of all data",
            Self::Prune => "prune, nothing to remove",
        }
    }
}

/// Where one run happens.
pub(crate) struct Job<'a> {
    /// The corpus.
    pub(crate) data: &'a Path,
    /// Holds repository, caches and what is restored.
    pub(crate) work: &'a Path,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Copal,
    /// Copal again, through the plugin `sieve`, which classifies every entry and filters every SQL file.
    Sieve,
    Primitives,
    Restic,
    Rustic,
    Borg,
}

/// The name of what does what the format asks for, and nothing else.
pub(crate) const PRIMITIVES: &str = "primitives";

/// A tool that is installed.
pub(crate) struct Tool {
    kind: Kind,
    program: PathBuf,
    version: String,
}

impl fmt::Display for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            Kind::Copal => "copal",
            Kind::Sieve => "copal, filtering",
            Kind::Primitives => PRIMITIVES,
            Kind::Restic => "restic",
            Kind::Rustic => "rustic",
            Kind::Borg => "borg",
        })
    }
}

impl Tool {
    /// Copal twice, its primitives, restic, and the others that are on `PATH`.
    pub(crate) fn installed() -> Result<Vec<Self>> {
        let release = workspace::cargo_target().join("release");
        let copal = release.join("copal");
        let restic = command::find("restic").context("restic is not on PATH")?;
        let mut tools = vec![
            Self::new(Kind::Copal, copal.clone())?,
            Self::new(Kind::Sieve, copal)?,
            Self {
                kind: Kind::Primitives,
                program: release.join("examples/primitives"),
                version: String::new(),
            },
            Self::new(Kind::Restic, restic)?,
        ];
        for (kind, name) in [(Kind::Rustic, "rustic"), (Kind::Borg, "borg")] {
            if let Some(program) = command::find(name) {
                tools.push(Self::new(kind, program)?);
            }
        }
        Ok(tools)
    }

    fn new(kind: Kind, program: PathBuf) -> Result<Self> {
        let ask = if kind == Kind::Restic {
            "version"
        } else {
            "--version"
        };
        let version = command::output(Command::new(&program).arg(ask))?;
        Ok(Self {
            kind,
            program,
            version: version.lines().next().unwrap_or_default().to_owned(),
        })
    }

    /// What the tool says of its version.
    pub(crate) fn version(&self) -> &str {
        &self.version
    }

    /// Makes the repository. Copal compiles its plugin besides.
    pub(crate) fn initialise(&self, job: &Job<'_>) -> Result<()> {
        let mut command = self.base(job);
        match self.kind {
            Kind::Copal | Kind::Sieve | Kind::Restic | Kind::Rustic => command.arg("init"),
            Kind::Borg => command.args(["init", "--encryption", "repokey-blake2"]),
            Kind::Primitives => return Ok(()),
        };
        command::output(&mut command)?;
        if let Some(plugin) = self.plugin() {
            let mut plan = self.base(job);
            plan.args(["backup", "--dry-run"]).arg(plugin).arg(job.data);
            command::output(&mut plan)?;
        }
        Ok(())
    }

    /// The plugin that Copal backs up with.
    fn plugin(&self) -> Option<PathBuf> {
        match self.kind {
            Kind::Copal => Some("files".into()),
            Kind::Sieve => Some(workspace::target().join("plugins/tests/sieve.wasm")),
            _ => None,
        }
    }

    /// The command that performs an operation, if there is one.
    pub(crate) fn command(&self, operation: Operation, job: &Job<'_>) -> Result<Option<Command>> {
        let mut command = self.base(job);
        let target = job.work.join("restored");
        let backup = matches!(
            operation,
            Operation::FirstBackup | Operation::UnchangedBackup
        );
        if let Some(plugin) = self.plugin().filter(|_| backup) {
            command.args(["backup", "--yes"]).arg(plugin).arg(job.data);
            return Ok(Some(command));
        }
        match (operation, self.kind) {
            (operation, Kind::Primitives) => {
                let word = match operation {
                    Operation::FirstBackup => "first",
                    Operation::UnchangedBackup => "unchanged",
                    Operation::Restore => "restore",
                    Operation::Check => "check",
                    Operation::Prune => return Ok(None),
                };
                command.arg(word).args([job.data, job.work])
            }
            (Operation::FirstBackup, Kind::Borg) => {
                command.args(["create", "::first"]).arg(job.data)
            }
            (Operation::UnchangedBackup, Kind::Borg) => {
                command.args(["create", "::second"]).arg(job.data)
            }
            (Operation::FirstBackup | Operation::UnchangedBackup, _) => {
                command.arg("backup").arg(job.data)
            }
            (Operation::Restore, Kind::Copal | Kind::Sieve) => command
                .args(["restore", "latest", "--yes", "--to"])
                .arg(target),
            (Operation::Restore, Kind::Restic) => {
                command.args(["restore", "latest", "--target"]).arg(target)
            }
            // Of the directory alone, so that it lies where Copal puts it.
            (Operation::Restore, Kind::Rustic) => command
                .arg("restore")
                .arg(format!("latest:{}", job.data.display()))
                .arg(target),
            (Operation::Restore, Kind::Borg) => {
                fs::create_dir(&target)?;
                command.current_dir(target).args(["extract", "::second"])
            }
            (Operation::Prune, Kind::Borg) => command.arg("compact"),
            (Operation::Prune, _) => command.arg("prune"),
            (Operation::Check, Kind::Borg) => command.args(["check", "--verify-data"]),
            (Operation::Check, _) => command.args(["check", "--read-data"]),
        };
        Ok(Some(command))
    }

    /// Where the corpus lies after a restore.
    pub(crate) fn restored(&self, job: &Job<'_>) -> PathBuf {
        let target = job.work.join("restored");
        match self.kind {
            Kind::Copal | Kind::Sieve | Kind::Primitives | Kind::Rustic => target,
            Kind::Restic | Kind::Borg => {
                target.join(job.data.strip_prefix("/").unwrap_or(job.data))
            }
        }
    }

    /// The program with its repository, password and folders of its own.
    fn base(&self, job: &Job<'_>) -> Command {
        let mut command = Command::new(&self.program);
        let repository = job.work.join("repository");
        let password = "a password for measuring";
        let cache = job.work.join("cache");
        match self.kind {
            Kind::Primitives => &mut command,
            Kind::Copal | Kind::Sieve => command
                .arg("--quiet")
                .env("COPAL_REPOSITORY", repository)
                .env("COPAL_PASSWORD", password)
                .env("COPAL_CACHE_DIR", cache)
                .env("COPAL_STATE_DIR", job.work.join("state")),
            Kind::Restic => command
                .env("RESTIC_REPOSITORY", repository)
                .env("RESTIC_PASSWORD", password)
                .env("RESTIC_CACHE_DIR", cache),
            Kind::Rustic => command
                .env("RUSTIC_REPOSITORY", repository)
                .env("RUSTIC_PASSWORD", password)
                .env("RUSTIC_CACHE_DIR", cache),
            Kind::Borg => command
                .env("BORG_REPO", repository)
                .env("BORG_PASSPHRASE", password)
                .env("BORG_BASE_DIR", cache),
        };
        command
    }
}
