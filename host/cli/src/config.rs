//! `copal.toml`: jobs in a file.

mod check;
mod document;
mod format;
mod job;
mod problem;
mod reference;
mod settings;
mod types;

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

pub(crate) use self::format::SCHEMA;
pub(crate) use self::problem::{Level, Problem};
pub(crate) use self::reference::{Reference, Text};
pub(crate) use self::types::{Drill, Hooks, Job, Place, Repository, Restore};

use self::document::Document;
use crate::failure::Failure;

/// What the file is called.
const NAME: &str = "copal.toml";
/// The largest file that is read.
const LIMIT: u64 = 1 << 20;

/// A file that was read, with what is wrong with its form.
pub(crate) struct Config {
    pub(crate) path: PathBuf,
    /// What the paths in the file are relative to.
    directory: PathBuf,
    document: Document,
    problems: Vec<Problem>,
    repository: Repository,
    /// The jobs whose form is right, by name.
    jobs: BTreeMap<String, Job>,
}

impl Config {
    /// Reads the file that is named, or the first that is found: in the working directory, the user's or the machine's.
    pub(crate) fn open(named: Option<&Path>) -> Result<Self, Failure> {
        if let Some(path) = named {
            return Self::read(path, false);
        }
        let places = places();
        let found = places.iter().find(|path| path.exists());
        match found {
            Some(path) => Self::read(path, true),
            None => {
                let places: Vec<_> = places
                    .iter()
                    .map(|path| path.display().to_string())
                    .collect();
                let message = format!("there is no {NAME}: looked for {}", places.join(", "));
                Err(Failure::usage("no-config", message)
                    .advise("Give --config FILE, or set COPAL_CONFIG."))
            }
        }
    }

    fn read(path: &Path, found: bool) -> Result<Self, Failure> {
        let unreadable = |problem: String| {
            Failure::usage(
                "config-file",
                format!("can't read {}: {problem}", path.display()),
            )
        };
        let absolute = std::fs::canonicalize(path).map_err(|e| unreadable(e.to_string()))?;
        let metadata = absolute.metadata().map_err(|e| unreadable(e.to_string()))?;
        if metadata.len() > LIMIT || !metadata.is_file() {
            return Err(unreadable(format!(
                "it is no file of at most {LIMIT} bytes"
            )));
        }
        let text = std::fs::read_to_string(&absolute).map_err(|e| unreadable(e.to_string()))?;
        let directory = absolute.parent().unwrap_or(Path::new("/"));
        let mut config = Self::parse(path, directory, text);
        config.distrust(&metadata, found);
        config.load();
        Ok(config)
    }

    /// Reads the text and holds it against the schema.
    fn parse(path: &Path, directory: &Path, text: String) -> Self {
        let mut config = Self {
            path: path.to_owned(),
            directory: directory.to_owned(),
            repository: Repository::default(),
            document: Document::parse(text),
            problems: Vec::new(),
            jobs: BTreeMap::new(),
        };
        for (span, message) in &config.document.errors {
            let (line, column) = config.document.position(span.start);
            config.problems.push(Problem {
                level: Level::Error,
                line,
                column,
                key: String::new(),
                message: message.clone(),
                pointer: String::new(),
            });
        }
        let broken: Vec<usize> = config.problems.iter().map(|problem| problem.line).collect();
        for mismatch in format::schema().mismatches(&config.document.value, &format::judge) {
            let problem = config.problem(
                Level::Error,
                &mismatch.pointer,
                mismatch.is_key,
                mismatch.problem,
            );
            // What is not TOML may have been read as something that nobody wrote.
            if !broken.contains(&problem.line) {
                config.problems.push(problem);
            }
        }
        let secrets = config.secrets();
        config.problems.extend(secrets);
        config
    }

    /// Refuses a file that strangers may write: its commands run as whoever runs Copal.
    fn distrust(&mut self, metadata: &std::fs::Metadata, found: bool) {
        let own = rustix::process::geteuid().as_raw();
        let stranger = metadata.uid() != own && metadata.uid() != 0;
        let message = if metadata.mode() & 0o002 != 0 {
            "everybody may write this file, and its commands run as you: take that right away with `chmod o-w`"
        } else if found && stranger {
            "this file belongs to another user, and its commands would run as you: name it by --config if that is right"
        } else {
            return;
        };
        self.problems.push(Problem {
            level: Level::Error,
            line: 1,
            column: 1,
            key: String::new(),
            message: message.to_owned(),
            pointer: String::new(),
        });
    }

    /// Takes over what has the right form.
    fn load(&mut self) {
        if let Some(value) = self.document.value.get("repository")
            && let Some(read) = self.take::<Repository>("/repository", value.clone())
        {
            self.repository = read;
        }
        let jobs = self
            .document
            .value
            .get("jobs")
            .and_then(Value::as_object)
            .cloned();
        for (name, value) in jobs.into_iter().flatten() {
            let pointer = copal_job::beneath("/jobs", &name);
            if let Some(mut job) = self.take::<Job>(&pointer, value) {
                job.complete(name.clone(), &self.repository, &self.directory);
                self.jobs.insert(name, job);
            }
        }
    }

    fn take<T: serde::de::DeserializeOwned>(&mut self, pointer: &str, value: Value) -> Option<T> {
        let within = |problem: &Problem| {
            let rest = problem.pointer.strip_prefix(pointer);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        if self.problems.iter().any(within) {
            return None;
        }
        match serde_json::from_value(value) {
            Ok(read) => Some(read),
            Err(error) => {
                let problem = self.problem(Level::Error, pointer, false, error.to_string());
                self.problems.push(problem);
                None
            }
        }
    }

    fn problem(
        &self,
        level: Level,
        pointer: &str,
        of_key: bool,
        message: impl Into<String>,
    ) -> Problem {
        let (line, column) = self
            .document
            .position(self.document.place(pointer, of_key).start);
        Problem {
            level,
            line,
            column,
            key: problem::dotted(pointer),
            message: message.into(),
            pointer: pointer.to_owned(),
        }
    }

    /// The names of all jobs, also of those with mistakes.
    pub(crate) fn all_names(&self) -> Vec<String> {
        let jobs = self.document.value.get("jobs").and_then(Value::as_object);
        jobs.into_iter()
            .flat_map(|jobs| jobs.keys().cloned())
            .collect()
    }

    /// The same, of which there must be one.
    pub(crate) fn names(&self) -> Result<Vec<String>, Failure> {
        let names = self.all_names();
        if names.is_empty() {
            self.refuse("the file", |_| true)?;
            let message = format!("{} has no jobs", self.path.display());
            return Err(Failure::usage("no-job", message).advise("Give it a section [jobs.NAME]."));
        }
        Ok(names)
    }

    /// Refuses `what` where it has mistakes.
    fn refuse(&self, what: &str, concerns: impl Fn(&Problem) -> bool) -> Result<(), Failure> {
        let problems = self.problems.iter().filter(|problem| concerns(problem));
        let lines: String = problems
            .map(|problem| format!("\n  {}", problem.line(&self.path)))
            .collect();
        if lines.is_empty() {
            return Ok(());
        }
        let message = format!("{what} has mistakes:{lines}");
        Err(Failure::usage("config-file", message).advise("`copal config check` looks further."))
    }

    /// The job of that name.
    pub(crate) fn job(&self, name: &str) -> Result<Job, Failure> {
        self.refuse(&format!("the job `{name}`"), |problem| {
            problem.concerns(name)
        })?;
        self.jobs.get(name).cloned().ok_or_else(|| {
            let names = self.all_names();
            let hint = match copal_job::nearest(name, names.iter().map(String::as_str)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("it has {}", names.join(", ")),
            };
            let message = format!("{} has no job `{name}`: {hint}", self.path.display());
            Failure::usage("no-job", message)
        })
    }
}

/// Where the file is looked for.
fn places() -> Vec<PathBuf> {
    let set = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let user =
        set("XDG_CONFIG_HOME").or_else(|| std::env::home_dir().map(|home| home.join(".config")));
    let user = user.map(|folder| folder.join("copal").join(NAME));
    std::iter::once(PathBuf::from(NAME))
        .chain(user)
        .chain([Path::new("/etc/copal").join(NAME)])
        .collect()
}

#[cfg(test)]
mod tests;
