//! What the operator configures.

use copal_sdk::Failure;
pub use copal_sdk::config::Secret;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::database::Database;

/// The longest that a command of a plan may run, in seconds.
const LONGEST: u32 = 604_800;

/// The operator's configuration; every key may be left out. A backup's is about the foundation that is saved, a restore's about the one that is
/// restored into.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// What a migration changes on its way from one release to another: `paasta-3.1-to-4.0`.
    pub preset: Option<Preset>,

    /// The database server's host, or the directory of its socket.
    pub host: Option<String>,
    /// The database server's port.
    pub port: Option<u16>,
    /// The role to connect as. A restore needs a superuser.
    pub user: Option<String>,
    /// The role's password. It reaches commands in `PGPASSWORD` alone, which does not pass through ssh: use a `.pgpass` there.
    pub password: Option<Secret>,
    /// Words before `psql` and `pg_dump`, where these run elsewhere: `["ssh", "vcap@10.0.0.5"]`.
    pub via: Vec<String>,
    /// The folder of PostgreSQL's programs, where they are not on the search path: `/var/vcap/packages/postgres-9.4.9/bin`.
    pub programs: Option<String>,
    /// The Cloud Controller's database; `ccdb` by default.
    pub ccdb: String,
    /// UAA's database; `uaadb` by default.
    pub uaadb: String,
    /// The host of UAA's database, where it is not the Cloud Controller's.
    pub uaa_host: Option<String>,
    /// The port of UAA's database, where it is not the Cloud Controller's.
    pub uaa_port: Option<u16>,
    /// Words before the programs for UAA's database, where they are not the same.
    pub uaa_via: Option<Vec<String>>,
    /// Seconds that a dump or a load may take; a day by default.
    pub timeout: u32,

    /// `db_encryption_key` of the Cloud Controller. A backup with it proves that it is the right one; a restore that the target has the same.
    pub db_encryption_key: Option<Secret>,
    /// The system domain, where it is not the first of the shared domains.
    pub system_domain: Option<String>,

    /// Steps that keep the foundation from being written to, such as those that stop the Cloud Controller, each with what takes it back.
    pub quiesce: Vec<QuiesceStep>,
    /// You have stopped the foundation yourself, and it stays stopped until the work is done.
    pub stopped: bool,

    /// Tables of ccdb of which the target keeps its own rows; `schema_migrations` by default.
    pub keep_ccdb: Vec<String>,
    /// Tables of uaadb of which the target keeps its own rows; by default `identity_zone`, `identity_provider`, `schema_version`,
    /// `flyway_schema_history` and `schema_migrations`.
    pub keep_uaadb: Vec<String>,
    /// Replace what the target holds, even if it has been in use.
    pub replace: bool,
    /// Whose buildpacks a restore leaves in place: the `source`'s (the default), or the `target`'s with their rows.
    pub buildpacks: Option<Buildpacks>,
    /// Buckets of the snapshot's blobstore that are left out by a restore.
    pub leave_out: Vec<String>,
    /// The owner of restored blobs; `vcap` by default.
    pub owner: String,
}

/// A migration from one release to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum Preset {
    /// Buckets lose the domain in front of their names, and the target keeps its own, newer buildpacks.
    #[serde(rename = "paasta-3.1-to-4.0")]
    Paasta31To40,
}

/// Whose buildpacks a restored foundation has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Buildpacks {
    /// Those of the snapshot.
    Source,
    /// Those that the target came with.
    Target,
}

/// One step that quiesces the foundation.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QuiesceStep {
    /// What it does, as a person would say it.
    pub title: String,
    /// The command.
    pub run: Vec<String>,
    /// The command that takes it back. It must be harmless when there is nothing to take back.
    #[serde(default)]
    pub undo: Vec<String>,
    /// Seconds that each may take; five minutes by default.
    #[serde(default = "five_minutes")]
    pub timeout: u32,
}

fn five_minutes() -> u32 {
    300
}

impl Default for Config {
    fn default() -> Self {
        let tables = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        Self {
            preset: None,
            host: None,
            port: None,
            user: None,
            password: None,
            via: Vec::new(),
            programs: None,
            ccdb: "ccdb".to_owned(),
            uaadb: "uaadb".to_owned(),
            uaa_host: None,
            uaa_port: None,
            uaa_via: None,
            timeout: 86_400,
            db_encryption_key: None,
            system_domain: None,
            quiesce: Vec::new(),
            stopped: false,
            keep_ccdb: tables(&["schema_migrations"]),
            keep_uaadb: tables(&[
                "identity_zone",
                "identity_provider",
                "schema_version",
                "flyway_schema_history",
                "schema_migrations",
            ]),
            replace: false,
            buildpacks: None,
            leave_out: Vec::new(),
            owner: "vcap".to_owned(),
        }
    }
}

impl Config {
    /// Checks what the types can't say.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let fail = |code: &str, message: String, remedy: &str| {
            Err(Failure::invalid_config(code, message).remedy(remedy))
        };
        let timeouts = self.quiesce.iter().map(|step| step.timeout);
        if timeouts
            .chain([self.timeout])
            .any(|seconds| !(1..=LONGEST).contains(&seconds))
        {
            return fail(
                "cloudfoundry.config.timeout",
                format!("a `timeout` is not 1 to {LONGEST} seconds"),
                "give the seconds that it may take",
            );
        }
        if let Some(step) = self.quiesce.iter().find(|step| step.run.is_empty()) {
            return fail(
                "cloudfoundry.config.quiesce",
                format!("the step `{}` of `quiesce` runs nothing", step.title),
                "give its program and arguments as `run`",
            );
        }
        let words = [&self.host, &self.user, &self.programs, &self.uaa_host];
        let words = words.into_iter().flatten();
        if let Some(word) = words
            .chain([&self.ccdb, &self.uaadb, &self.owner])
            .find(|word| !is_plain(word))
        {
            return fail(
                "cloudfoundry.config.word",
                format!("`{word}` is not a plain word, and could mean something else to a shell"),
                "use letters, digits and the signs . _ / @ : + - and begin with none of - and :",
            );
        }
        let remote = [Database::cc(self), Database::uaa(self)]
            .iter()
            .any(Database::is_remote);
        if remote && self.password.is_some() {
            return fail(
                "cloudfoundry.config.password",
                "`password` is set, but a variable does not pass through ssh".to_owned(),
                "leave it out, and put the password into the file .pgpass of the user on that host",
            );
        }
        Ok(())
    }

    /// Whose buildpacks a restore leaves in place.
    pub(crate) fn buildpacks(&self) -> Buildpacks {
        self.buildpacks.unwrap_or(match self.preset {
            Some(Preset::Paasta31To40) => Buildpacks::Target,
            None => Buildpacks::Source,
        })
    }
}

/// Whether a word means the same to a program, to ssh and to the shell behind it, and is no option.
fn is_plain(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_alphanumeric() || "._/".contains(c))
        && word
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "._/@:+-".contains(c))
}

#[cfg(test)]
mod tests {
    use copal_sdk::config::parse;

    use super::*;

    #[test]
    fn settings_that_mislead_are_refused() {
        for (json, code) in [
            (r#"{"timeout": 0}"#, "cloudfoundry.config.timeout"),
            (r#"{"ccdb": "cc db"}"#, "cloudfoundry.config.word"),
            (r#"{"host": "--version"}"#, "cloudfoundry.config.word"),
            (r#"{"host": "a;reboot"}"#, "cloudfoundry.config.word"),
            (
                r#"{"via": ["ssh", "db"], "password": "x"}"#,
                "cloudfoundry.config.password",
            ),
            (
                r#"{"quiesce": [{"title": "Stop", "run": []}]}"#,
                "cloudfoundry.config.quiesce",
            ),
        ] {
            let config: Config = parse(json).unwrap();
            assert_eq!(config.check().unwrap_err().code, code, "{json}");
        }
        parse::<Config>(r#"{"host": "/var/run/postgresql", "via": ["sudo", "-u", "vcap"]}"#)
            .unwrap()
            .check()
            .unwrap();
    }

    #[test]
    fn the_preset_decides_what_is_not_set() {
        let buildpacks = |json: &str| parse::<Config>(json).unwrap().buildpacks();
        assert_eq!(buildpacks("{}"), Buildpacks::Source);
        assert_eq!(
            buildpacks(r#"{"preset": "paasta-3.1-to-4.0"}"#),
            Buildpacks::Target
        );
        assert_eq!(
            buildpacks(r#"{"preset": "paasta-3.1-to-4.0", "buildpacks": "source"}"#),
            Buildpacks::Source
        );
    }

    #[test]
    fn secrets_never_show_in_debug_output() {
        let config: Config =
            parse(r#"{"password": "hunter2", "db_encryption_key": "hunter3"}"#).unwrap();
        assert!(!format!("{config:?}").contains("hunter"));
    }
}
