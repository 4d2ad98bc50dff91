//! restic, the oracle of the repository format.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::environment::{PASSWORD, TestEnvironment};
use crate::programs;
use crate::run::Program;

/// restic on the repository of one environment.
#[derive(Debug)]
pub struct Restic<'a> {
    environment: &'a TestEnvironment,
    program: PathBuf,
}

impl<'a> Restic<'a> {
    /// restic, or none where it is not installed.
    pub fn find(environment: &'a TestEnvironment) -> Option<Self> {
        let program = programs::require("restic", "restic")?;
        Some(Self {
            environment,
            program,
        })
    }

    /// restic with these arguments.
    pub fn command<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Program {
        self.environment
            .program(&self.program)
            .env(
                "RESTIC_REPOSITORY",
                self.environment.repository_for_restic(),
            )
            .env("RESTIC_PASSWORD", PASSWORD)
            .env("RESTIC_CACHE_DIR", self.environment.path("restic-cache"))
            .args(arguments)
    }

    /// Makes the repository.
    pub fn init(&self) {
        self.command(["init"]).run().succeeds();
    }

    /// Backs a directory up by its absolute path and returns restic's summary.
    #[track_caller]
    pub fn backup(&self, directory: &Path) -> Value {
        let outcome = self
            .command(["backup", "--json"])
            .arg(directory)
            .run()
            .succeeds();
        let text = outcome.text();
        let summary = text.lines().last().expect("a summary");
        serde_json::from_str(summary).expect("restic's summary is JSON")
    }

    /// Restores the newest snapshot into a new directory.
    #[track_caller]
    pub fn restore(&self, target: &Path) {
        self.command(["restore", "latest", "--target"])
            .arg(target)
            .run()
            .succeeds();
    }

    /// Fails the test unless restic finds nothing wrong, every byte read.
    #[track_caller]
    pub fn check(&self) {
        let outcome = self.command(["check", "--read-data"]).run().succeeds();
        assert!(
            outcome.text().contains("no errors were found"),
            "{}",
            outcome.text()
        );
    }

    /// The ids of the blobs of one kind that the index knows, sorted.
    #[track_caller]
    pub fn blobs(&self, kind: &str) -> Vec<String> {
        let text = self.command(["list", "blobs"]).run().succeeds().text();
        let mut ids: Vec<_> = text
            .lines()
            .filter_map(|line| line.split_once(' '))
            .filter(|(found, _)| *found == kind)
            .map(|(_, id)| id.to_owned())
            .collect();
        ids.sort();
        ids
    }
}
