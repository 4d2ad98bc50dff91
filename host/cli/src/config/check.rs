//! What a file says, held against the plugins, files and variables of this machine.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use copal_job::{Schema, beneath, nearest};
use copal_sandbox::types::{Description, Intent, RootSpec};
use serde_json::{Map, Value};

use super::reference::{Reference, Text};
use super::types::{Job, Place, Repository};
use super::{Config, Level, Problem, format};
use crate::args::IntentArg;
use crate::session::Session;

/// What stands for a value that the file only refers to.
const ELSEWHERE: &str = "***";

impl Config {
    /// Everything that is wrong, in the order of the file.
    pub(crate) fn check(&self, session: &Session) -> Vec<Problem> {
        let mut check = Check {
            config: self,
            problems: self.problems.clone(),
        };
        check.references(&self.document.value, "");
        check.repository(&self.repository, "/repository");
        // Started only where it is needed: it is costly.
        let engine = (!self.jobs.is_empty()).then(|| session.engine());
        for (name, job) in &self.jobs {
            let pointer = beneath("/jobs", name);
            check.repository(&job.repository, &format!("{pointer}/repository"));
            check.streams(job, &pointer);
            let plugin = match &engine {
                Some(Ok(engine)) => session.plugin(engine, &job.plugin),
                _ => continue,
            };
            let described = plugin.and_then(|plugin| Ok(plugin.describe()?.clone()));
            match described {
                Ok(description) => check.against(job, &description, &pointer),
                Err(failure) => check.error(&format!("{pointer}/plugin"), failure.to_string()),
            }
        }
        if let Some(Err(failure)) = engine {
            check.error("", failure.to_string());
        }
        let mut problems = check.problems;
        problems.sort_by_key(|problem| (problem.line, problem.column));
        problems.dedup();
        problems
    }
}

struct Check<'a> {
    config: &'a Config,
    problems: Vec<Problem>,
}

impl Check<'_> {
    fn error(&mut self, pointer: &str, message: impl Into<String>) {
        let problem = self.config.problem(Level::Error, pointer, false, message);
        self.problems.push(problem);
    }

    fn key_error(&mut self, pointer: &str, message: impl Into<String>) {
        let problem = self.config.problem(Level::Error, pointer, true, message);
        self.problems.push(problem);
    }

    fn warning(&mut self, pointer: &str, message: impl Into<String>) {
        let problem = self.config.problem(Level::Warning, pointer, false, message);
        self.problems.push(problem);
    }

    /// Whether what stands elsewhere is there.
    fn references(&mut self, value: &Value, pointer: &str) {
        if let Some(mut reference) = Reference::of(value) {
            reference.rebase(&self.config.directory);
            if let Some(problem) = reference.problem() {
                self.warning(pointer, problem);
            }
            return;
        }
        match value {
            Value::Object(members) => {
                for (key, value) in members {
                    self.references(value, &beneath(pointer, key));
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.references(item, &format!("{pointer}/{index}"));
                }
            }
            _ => {}
        }
    }

    fn repository(&mut self, repository: &Repository, pointer: &str) {
        self.environment(&repository.environment, &format!("{pointer}/environment"));
        if let Some(Text::Plain(url)) = &repository.url
            && let Some((_, rest)) = url.split_once("://")
            && rest
                .rsplit_once('@')
                .is_some_and(|(user, _)| user.contains(':'))
        {
            let message = "the address holds a password, which must not stand in the file: give { env = … }, { file = … } or { command = […] }";
            self.error(&format!("{pointer}/url"), message);
        }
    }

    /// Refuses secrets that stand in the file, as far as the variables' names tell.
    fn environment(&mut self, environment: &BTreeMap<String, Text>, pointer: &str) {
        for (name, value) in environment {
            if matches!(value, Text::Plain(_)) && names_secret(name) {
                let message = format!(
                    "`{name}` is a secret and must not stand in the file: give {{ env = … }}, {{ file = … }} or {{ command = […] }}"
                );
                self.error(&beneath(pointer, name), message);
            }
        }
    }

    fn streams(&mut self, job: &Job, pointer: &str) {
        let mut names = BTreeSet::new();
        for (index, stream) in job.streams.iter().enumerate() {
            let place = format!("{pointer}/streams/{index}");
            self.environment(&stream.environment, &format!("{place}/environment"));
            if !names.insert(stream.name.as_str()) {
                self.error(
                    &format!("{place}/name"),
                    format!("there are two streams `{}`", stream.name),
                );
            }
        }
        for (section, place) in job.places() {
            for (name, feed) in &place.streams {
                let at = beneath(&format!("{pointer}/{section}/streams"), name);
                self.environment(&feed.environment, &format!("{at}/environment"));
                if !names.contains(name.as_str()) {
                    let near = nearest(name, names.iter().copied());
                    let hint = near
                        .map(|near| format!("; did you mean `{near}`?"))
                        .unwrap_or_default();
                    self.key_error(
                        &at,
                        format!("the job has no stream `{name}` of its own{hint}"),
                    );
                }
            }
        }
    }

    /// Holds a job against what its plugin says of itself.
    fn against(&mut self, job: &Job, description: &Description, pointer: &str) {
        self.roots(&job.roots, description, pointer);
        for (name, path) in &job.roots {
            if !path.is_dir() {
                let message = format!("there is no directory {}", path.display());
                self.warning(&beneath(&format!("{pointer}/roots"), name), message);
            }
        }
        self.settings(&job.config, description, &format!("{pointer}/config"));
        for (section, place) in job.places() {
            let pointer = format!("{pointer}/{section}");
            self.place(place, description, &pointer);
            if section == "migrate"
                && place.intent.is_none()
                && !description.intents.contains(&Intent::Migrate)
            {
                self.error(
                    &pointer,
                    format!("{} can't migrate: name another `intent`", description.name),
                );
            }
        }
    }

    fn place(&mut self, place: &Place, description: &Description, pointer: &str) {
        self.roots(&place.roots, description, pointer);
        self.settings(&place.config, description, &format!("{pointer}/config"));
        if let Some(intent) = place.intent.map(IntentArg::into)
            && !description.intents.contains(&intent)
        {
            let known = description
                .intents
                .iter()
                .map(|intent| copal_job::intent_word(*intent));
            let message = format!(
                "{} knows {}",
                description.name,
                known.collect::<Vec<_>>().join(", ")
            );
            self.error(&format!("{pointer}/intent"), message);
        }
    }

    fn roots(
        &mut self,
        roots: &BTreeMap<String, PathBuf>,
        description: &Description,
        pointer: &str,
    ) {
        let known = || description.roots.iter().map(|spec| spec.name.as_str());
        for name in roots.keys() {
            let place = beneath(&format!("{pointer}/roots"), name);
            let spec = description.roots.iter().find(|spec| spec.name == *name);
            match spec {
                Some(RootSpec { conflicts, .. }) => {
                    // Said once, of the later of the two.
                    if let Some(other) = conflicts
                        .iter()
                        .find(|other| *other < name && roots.contains_key(*other))
                    {
                        self.key_error(
                            &place,
                            format!("`{name}` and `{other}` hold the same data: give one of them"),
                        );
                    }
                }
                None if description.any_roots => {}
                None => {
                    let hint = match nearest(name, known()) {
                        Some(near) => format!("did you mean `{near}`?"),
                        None => format!("it works on {}", known().collect::<Vec<_>>().join(", ")),
                    };
                    self.key_error(
                        &place,
                        format!("{} has no root `{name}`; {hint}", description.name),
                    );
                }
            }
        }
    }

    fn settings(&mut self, config: &Map<String, Value>, description: &Description, pointer: &str) {
        let schema = match Schema::parse(&description.config_schema) {
            Ok(schema) => schema,
            Err(error) => return self.error(pointer, error.to_string()),
        };
        let mut elsewhere = BTreeSet::new();
        let mut values = Value::Object(config.clone());
        stand_in(&mut values, String::new(), &mut elsewhere);
        for mismatch in schema.mismatches(&values, &format::judge) {
            // What will stand there is not known yet.
            if !elsewhere.contains(&mismatch.pointer) {
                let place = format!("{pointer}{}", mismatch.pointer);
                let problem =
                    self.config
                        .problem(Level::Error, &place, mismatch.is_key, mismatch.problem);
                self.problems.push(problem);
            }
        }
        for secret in schema.write_only(config) {
            let within =
                |other: &String| secret == *other || secret.starts_with(&format!("{other}/"));
            if !elsewhere.iter().any(within) {
                let message = "this is a secret and must not stand in the file: give { env = … }, { file = … } or { command = […] }";
                self.error(&format!("{pointer}{secret}"), message);
            }
        }
    }
}

/// Puts a text in for every value that the file only refers to, and says where.
fn stand_in(value: &mut Value, pointer: String, elsewhere: &mut BTreeSet<String>) {
    if Reference::of(value).is_some() {
        *value = ELSEWHERE.into();
        elsewhere.insert(pointer);
        return;
    }
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                stand_in(value, beneath(&pointer, key), elsewhere);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                stand_in(item, format!("{pointer}/{index}"), elsewhere);
            }
        }
        _ => {}
    }
}

/// Whether a variable's name says that its value is a secret.
fn names_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    ["SECRET", "TOKEN", "PASSWORD", "PASSPHRASE"]
        .iter()
        .any(|word| name.contains(word) && !name.ends_with("_FILE"))
        || ["_PWD", "ACCESS_KEY", "ACCOUNT_KEY", "SAS_KEY"]
            .iter()
            .any(|word| name.ends_with(word))
}
