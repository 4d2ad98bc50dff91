//! What a file says, held against the plugins, files and variables of this machine. It is read as it stands, so that what has a mistake of form
//! is looked at too.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use copal_job::{Schema, beneath, nearest};
use copal_repository::forget::RetentionPolicy;
use copal_sandbox::types::{Description, Intent};
use serde::Deserialize as _;
use serde_json::{Map, Value};

use super::job::{PLACES, plugin_of};
use super::reference::Reference;
use super::{Config, Level, Problem, format, settings};
use crate::plugins;
use crate::session::Session;

/// What a secret in the file must be instead.
const REFER: &str =
    "must not stand in the file: give { env = … }, { file = … } or { command = […] }";

impl Config {
    /// Secrets that stand in the file, as far as they show without asking plugins.
    pub(super) fn secrets(&self) -> Vec<Problem> {
        let mut check = Check {
            config: self,
            problems: Vec::new(),
        };
        check.secrets(&self.document.value, "");
        check.problems
    }

    /// Everything that is wrong, in the order of the file.
    pub(crate) fn check(&self, session: &Session) -> Vec<Problem> {
        let mut check = Check {
            config: self,
            problems: self.problems.clone(),
        };
        let file = &self.document.value;
        check.references(file, "");
        // Making it is costly, and without jobs it is not needed.
        let jobs = table(&file["jobs"]);
        let engine = jobs.iter().next().map(|_| session.engine());
        for (name, job) in jobs {
            let pointer = beneath("/jobs", name);
            check.streams(job, &pointer);
            check.retention(job, &pointer);
            let (Some(Ok(engine)), Some(plugin)) = (&engine, job["plugin"].as_str()) else {
                continue;
            };
            let plugin = plugin_of(plugin, &self.directory);
            let digest = job["digest"].as_str();
            let plugin = plugins::of_job_as(engine, &session.trust, name, &plugin, digest);
            match plugin.and_then(|plugin| Ok(plugin.describe()?.clone())) {
                Ok(description) => check.against(job, &description, &pointer),
                Err(failure) => check.say(&format!("{pointer}/plugin"), failure.to_string()),
            }
        }
        if let Some(Err(failure)) = engine {
            check.say("", failure.to_string());
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
    /// Notes a value that is wrong.
    fn say(&mut self, pointer: &str, message: impl Into<String>) {
        self.note(Level::Error, pointer, false, message);
    }

    /// Notes a key that is wrong.
    fn say_of_key(&mut self, pointer: &str, message: impl Into<String>) {
        self.note(Level::Error, pointer, true, message);
    }

    fn warn(&mut self, pointer: &str, message: impl Into<String>) {
        self.note(Level::Warning, pointer, false, message);
    }

    fn note(&mut self, level: Level, pointer: &str, of_key: bool, message: impl Into<String>) {
        let problem = self.config.problem(level, pointer, of_key, message);
        self.problems.push(problem);
    }

    /// Whether what stands elsewhere is there.
    fn references(&mut self, value: &Value, pointer: &str) {
        if let Some(mut reference) = Reference::of(value) {
            reference.rebase(&self.config.directory);
            if let Some(problem) = reference.problem() {
                self.warn(pointer, problem);
            }
            return;
        }
        for (place, value) in within(value, pointer) {
            self.references(value, &place);
        }
    }

    /// Secrets in a repository's URL, and among variables as far as their names tell.
    fn secrets(&mut self, value: &Value, pointer: &str) {
        for (name, value) in table(&value["environment"]) {
            if value.is_string() && names_secret(name) {
                let place = beneath(&format!("{pointer}/environment"), name);
                self.say(&place, format!("`{name}` is a secret and {REFER}"));
            }
        }
        let url = value["repository"]["url"].as_str();
        let rest = url.and_then(|url| url.split_once("://"));
        let user = rest.and_then(|(_, rest)| rest.rsplit_once('@'));
        if user.is_some_and(|(user, _)| user.contains(':')) {
            let place = format!("{pointer}/repository/url");
            self.say(
                &place,
                format!("the address holds a password, which {REFER}"),
            );
        }
        for (place, value) in within(value, pointer) {
            self.secrets(value, &place);
        }
    }

    /// Rules for what stays that are none.
    fn retention(&mut self, job: &Value, pointer: &str) {
        let policy = RetentionPolicy::deserialize(&job["retention"]);
        if policy.is_ok_and(|policy| policy.is_empty()) {
            let message = "it has no rule, so it lets nothing go: give it one, such as `keep-daily = 7`, or leave it out";
            self.say(&format!("{pointer}/retention"), message);
        }
    }

    /// The operator's own streams, and the commands that take them.
    fn streams(&mut self, job: &Value, pointer: &str) {
        let mut names = BTreeSet::new();
        for (index, stream) in job["streams"].as_array().into_iter().flatten().enumerate() {
            if let Some(name) = stream["name"].as_str()
                && !names.insert(name)
            {
                let place = format!("{pointer}/streams/{index}/name");
                self.say(&place, format!("there are two streams `{name}`"));
            }
        }
        for section in PLACES {
            for name in table(&job[section]["streams"]).keys() {
                if !names.contains(name.as_str()) {
                    let near = nearest(name, names.iter().copied());
                    let hint = near.map(|near| format!("; did you mean `{near}`?"));
                    let message = format!(
                        "the job has no stream `{name}` of its own{}",
                        hint.unwrap_or_default()
                    );
                    self.say_of_key(
                        &beneath(&format!("{pointer}/{section}/streams"), name),
                        message,
                    );
                }
            }
        }
    }

    /// Holds a job against what its plugin says of itself.
    fn against(&mut self, job: &Value, description: &Description, pointer: &str) {
        let schema = match Schema::parse(&description.config_schema) {
            Ok(schema) => schema,
            Err(error) => return self.say(&format!("{pointer}/plugin"), error.to_string()),
        };
        self.roots(&job["roots"], description, pointer);
        for (name, path) in table(&job["roots"]) {
            let path = path.as_str().map(|path| self.config.directory.join(path));
            if let Some(path) = path.filter(|path| !path.is_dir()) {
                let message = format!("there is no directory {}", path.display());
                self.warn(&beneath(&format!("{pointer}/roots"), name), message);
            }
        }
        self.settings(&job["config"], &schema, &format!("{pointer}/config"));
        for section in PLACES
            .into_iter()
            .filter(|section| job[section].is_object())
        {
            let place = &job[section];
            let pointer = format!("{pointer}/{section}");
            self.roots(&place["roots"], description, &pointer);
            self.settings(&place["config"], &schema, &format!("{pointer}/config"));
            let default = (section == "migrate").then_some("migrate");
            if let Some(word) = place["intent"].as_str().or(default)
                && let Ok(intent) = Intent::deserialize(&Value::from(word))
                && !description.intents.contains(&intent)
            {
                let known = description
                    .intents
                    .iter()
                    .map(|known| copal_job::intent_word(*known));
                let known = known.collect::<Vec<_>>().join(", ");
                let message = format!(
                    "{} does not know the intent `{word}`; it knows {known}",
                    description.name
                );
                self.say(&format!("{pointer}/intent"), message);
            }
        }
    }

    fn roots(&mut self, roots: &Value, description: &Description, pointer: &str) {
        let known = || description.roots.iter().map(|spec| spec.name.as_str());
        for name in table(roots).keys() {
            let place = beneath(&format!("{pointer}/roots"), name);
            let spec = description.roots.iter().find(|spec| spec.name == *name);
            let conflicts = spec
                .map(|spec| spec.conflicts.as_slice())
                .unwrap_or_default();
            // Said once, of the later of the two.
            let other = conflicts
                .iter()
                .find(|other| *other < name && roots.get(other).is_some());
            if let Some(other) = other {
                self.say_of_key(
                    &place,
                    format!("`{name}` and `{other}` hold the same data: give one of them"),
                );
            }
            if spec.is_none() && !description.any_roots {
                let hint = match nearest(name, known()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("it works on {}", known().collect::<Vec<_>>().join(", ")),
                };
                self.say_of_key(
                    &place,
                    format!("{} has no root `{name}`; {hint}", description.name),
                );
            }
        }
    }

    fn settings(&mut self, config: &Value, schema: &Schema, pointer: &str) {
        let settings = settings::unread(table(config));
        let values = Value::Object(settings.values.clone());
        for mismatch in schema.mismatches(&values, &format::judge) {
            // What will stand there is not known yet.
            if !settings.hidden.contains(&mismatch.pointer) {
                let place = format!("{pointer}{}", mismatch.pointer);
                self.note(Level::Error, &place, mismatch.is_key, mismatch.problem);
            }
        }
        for secret in schema.write_only(&settings.values) {
            if !settings.hides(&secret) {
                let place = format!("{pointer}{secret}");
                self.say(&place, format!("this is a secret and {REFER}"));
            }
        }
    }
}

/// The table, or an empty one where there is none.
fn table(value: &Value) -> &Map<String, Value> {
    static EMPTY: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);
    value.as_object().unwrap_or(&EMPTY)
}

/// What lies directly within a value, by pointers.
fn within<'v>(value: &'v Value, pointer: &str) -> Vec<(String, &'v Value)> {
    match value {
        Value::Object(members) => members
            .iter()
            .map(|(key, value)| (beneath(pointer, key), value))
            .collect(),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .map(|(index, item)| (format!("{pointer}/{index}"), item))
            .collect(),
        _ => Vec::new(),
    }
}

/// Whether a variable's name says that its value is a secret.
fn names_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    let words = ["SECRET", "TOKEN", "PASSWORD", "PASSPHRASE"];
    let endings = [
        "_PWD",
        "ACCESS_KEY",
        "ACCOUNT_KEY",
        "APPLICATION_KEY",
        "SAS_KEY",
    ];
    !name.ends_with("_FILE")
        && (words.iter().any(|word| name.contains(word))
            || endings.iter().any(|end| name.ends_with(end)))
}
