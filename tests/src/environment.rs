//! One test's own world: directories, repository, password, search path and the `copal` binary.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::programs::SYSTEM_PATH;
use crate::run::{Outcome, Program};

/// The password of every test's repository.
pub const PASSWORD: &str = "a password for tests";

/// The files of a repository that `copal init` made. Its key was then sealed anew with [`PASSWORD`] and the least cost of scrypt that is one
/// (`N` 16, `p` 1 rather than 32768 and 4): deriving it takes `copal` longer than most of what tests do with a repository.
const CONFIG: &[u8] = include_bytes!("../data/repository/config");
const KEY: &[u8] = include_bytes!("../data/repository/key");

/// A world of its own, removed at the end.
#[derive(Debug)]
pub struct TestEnvironment {
    directory: TempDir,
    repository: String,
    variables: Vec<(String, String)>,
}

impl TestEnvironment {
    /// A world whose repository is a local directory that is not there yet.
    pub fn new() -> Self {
        let directory = tempfile::Builder::new()
            .prefix("copal-test-")
            .tempdir()
            .unwrap();
        let repository = directory
            .path()
            .join("repository")
            .to_str()
            .unwrap()
            .to_owned();
        for name in ["home", "programs", "tmp"] {
            std::fs::create_dir(directory.path().join(name)).unwrap();
        }
        Self {
            directory,
            repository,
            variables: Vec::new(),
        }
    }

    /// The same, with the repository there: a copy of one that `copal init` made, but for a key that is cheap to derive.
    /// All of them have the same identity and secrets: a test of two repositories makes the other by `copal init`.
    pub fn with_repository() -> Self {
        let environment = Self::new();
        environment.lay_out_repository();
        environment
    }

    /// Puts an empty repository where this world's is to be, as `copal init` would.
    pub fn lay_out_repository(&self) {
        lay_out_repository(Path::new(&self.repository));
    }

    /// Uses another place for the repository, with the variables that reach it.
    pub fn at(mut self, repository: &str, variables: Vec<(String, String)>) -> Self {
        self.repository = repository.to_owned();
        self.variables = variables;
        self
    }

    /// The repository's URL.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The repository's URL as restic spells it.
    pub fn repository_for_restic(&self) -> String {
        let endpoint = self
            .variables
            .iter()
            .find(|(name, _)| name == "AWS_ENDPOINT_URL");
        match (self.repository.strip_prefix("s3://"), endpoint) {
            (Some(place), Some((_, endpoint))) => format!("s3:{endpoint}/{place}"),
            _ => self.repository.clone(),
        }
    }

    /// A path in this world.
    pub fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.directory.path().join(relative)
    }

    /// Makes a directory in this world.
    pub fn make_directory(&self, relative: &str) -> PathBuf {
        let path = self.path(relative);
        std::fs::create_dir_all(&path).unwrap();
        path
    }

    /// Writes a file in this world, with the directories above it.
    pub fn write(&self, relative: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(relative);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Puts a program on this world's search path.
    pub fn install_program(&self, name: &str, script: &str) {
        use std::os::unix::fs::PermissionsExt;
        let path = self.write(&format!("programs/{name}"), script);
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// `copal` with these arguments, in this world.
    pub fn copal<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Program {
        self.program(copal_binary())
            .env("COPAL_REPOSITORY", &self.repository)
            .env("COPAL_PASSWORD", PASSWORD)
            .env("COPAL_STATE_DIR", self.path("state"))
            .env("COPAL_CACHE_DIR", compiled_plugins())
            .args(arguments)
    }

    /// `copal backup PLUGIN PATH` with further arguments, split at spaces.
    pub fn backup(&self, plugin: impl AsRef<OsStr>, path: &Path, further: &str) -> Program {
        self.copal(["backup", "--yes"])
            .arg(plugin)
            .arg(path)
            .args(crate::run::words(further))
    }

    /// `copal restore latest --to DIR` with further arguments, split at spaces.
    pub fn restore(&self, target: &Path, further: &str) -> Program {
        self.copal(["restore", "latest", "--yes", "--to"])
            .arg(target)
            .args(crate::run::words(further))
    }

    /// A program in this world, with its variables and search path.
    pub fn program(&self, program: impl AsRef<OsStr>) -> Program {
        Program::new(program)
            .env("HOME", self.path("home"))
            .env("TMPDIR", self.path("tmp"))
            .env(
                "PATH",
                format!("{}:{SYSTEM_PATH}", self.path("programs").display()),
            )
            .env("LANG", "C.UTF-8")
            .envs(self.variables.clone())
            .current_dir(self.directory.path())
    }

    /// The list of snapshots.
    #[track_caller]
    pub fn snapshots(&self) -> Vec<Value> {
        let document = self.copal(["snapshots", "--json"]).run().succeeds().json();
        document
            .as_array()
            .or_else(|| document["snapshots"].as_array())
            .expect("a list of snapshots")
            .clone()
    }

    /// The newest snapshot's manifest.
    #[track_caller]
    pub fn manifest(&self) -> Value {
        self.copal(["manifest", "latest", "--json"])
            .run()
            .succeeds()
            .json()
    }

    /// Runs `copal` and returns the error that it ends with, after checking the exit code.
    #[track_caller]
    pub fn refused(&self, program: Program, code: i32) -> Refusal {
        let outcome = program.arg("--json").run().exits(code);
        let error = outcome.error();
        assert_eq!(error["exit_code"], code, "{error}");
        Refusal { error, outcome }
    }
}

impl Default for TestEnvironment {
    fn default() -> Self {
        Self::new()
    }
}

/// How `copal --json` said no.
#[derive(Debug)]
pub struct Refusal {
    error: Value,
    /// The whole outcome.
    pub outcome: Outcome,
}

impl Refusal {
    /// The error's kind.
    #[track_caller]
    pub fn kind(&self) -> &str {
        self.error["kind"].as_str().expect("an error has a kind")
    }

    /// Fails the test unless the message or the advice contains `text`.
    #[track_caller]
    pub fn says(&self, text: &str) -> &Self {
        let said = [&self.error["message"], &self.error["advice"]];
        assert!(
            said.iter()
                .any(|part| part.as_str().is_some_and(|part| part.contains(text))),
            "{text:?} is not said in {:#}\n{}",
            self.error,
            self.outcome.stderr
        );
        self
    }

    /// Fails the test unless the error is of this kind.
    #[track_caller]
    pub fn is(&self, kind: &str) -> &Self {
        assert_eq!(
            self.kind(),
            kind,
            "{:#}\n{}",
            self.error,
            self.outcome.stderr
        );
        self
    }
}

/// Puts an empty repository into this directory, as `copal init` would.
pub fn lay_out_repository(repository: &Path) {
    for name in ["data", "index", "keys", "locks", "snapshots"] {
        std::fs::create_dir_all(repository.join(name)).unwrap();
    }
    for first in 0..=u8::MAX {
        std::fs::create_dir(repository.join(format!("data/{first:02x}"))).unwrap();
    }
    let key: String = Sha256::digest(KEY)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    std::fs::write(repository.join("keys").join(key), KEY).unwrap();
    std::fs::write(repository.join("config"), CONFIG).unwrap();
}

/// The binary under test: `COPAL_BIN`, else the one that Cargo built beside this test.
///
/// # Panics
/// Where there is none, saying how to build it.
pub fn copal_binary() -> PathBuf {
    let path = match std::env::var_os("COPAL_BIN") {
        Some(path) => PathBuf::from(path),
        None => profile_directory().join("copal"),
    };
    assert!(
        path.is_file(),
        "there is no {}: run `cargo xtask test`, or build it with `cargo build -p copal`",
        path.display()
    );
    path
}

/// The cache of compiled plugins, which all tests share: its entries go by their content, and compiling takes longer than most tests.
pub fn compiled_plugins() -> PathBuf {
    profile_directory().join("copal-tests-cache")
}

/// Where Cargo puts binaries: the test's own executable lies in `deps` beneath it.
pub(crate) fn profile_directory() -> PathBuf {
    let executable = std::env::current_exe().unwrap();
    executable
        .ancestors()
        .nth(2)
        .expect("a test lies in Cargo's target directory")
        .to_owned()
}
