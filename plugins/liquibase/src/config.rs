//! What the operator configures.

use std::collections::BTreeMap;

use copal_sdk::Failure;
pub use copal_sdk::config::Secret;
use schemars::JsonSchema;
use serde::Deserialize;

/// The longest that a command of a plan may run, in seconds.
const LONGEST: u32 = 604_800;

/// The operator's configuration; every key may be left out.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The database's name. Needed unless a backup reads the root `dump`.
    pub database: Option<String>,
    /// The server's host, or the directory of its socket.
    pub host: Option<String>,
    /// The server's port.
    pub port: Option<u16>,
    /// The role to connect as.
    pub user: Option<String>,
    /// The role's password. It reaches commands in `PGPASSWORD` alone.
    pub password: Option<Secret>,
    /// What libpq takes for `sslmode`, such as `require`.
    pub ssl_mode: Option<String>,
    /// Words before `psql`, `pg_dump` and their like, where these run elsewhere: `["ssh", "db1"]`, or
    /// `["docker", "exec", "-i", "-e", "PGPASSWORD", "db"]`.
    pub via: Vec<String>,
    /// The folder of PostgreSQL's programs, where they are not on the search path: `/usr/lib/postgresql/15/bin`.
    pub programs: Option<String>,
    /// Further options of `pg_dump`, such as `--no-owner`.
    pub dump_options: Vec<String>,
    /// The dump's path in the root `dump`, where more than one file lies there.
    pub dump_file: Option<String>,
    /// Seconds that a dump or its restore may take; a day by default.
    pub timeout: u32,

    /// The schema of the history's table, where several schemas hold one.
    pub schema: Option<String>,
    /// The name of Liquibase's table, in lower case; its lock's is the same with `lock` behind it.
    pub history_table: String,
    /// What a held lock means for a backup: `refuse` (the default), `wait`, or `ignore` where you know that it is stale.
    pub lock: OnLock,
    /// Seconds that a backup waits for the lock with `lock=wait`; ten minutes by default.
    pub lock_timeout: u32,

    /// The changelog's path in the root `changelog`, as Liquibase is given it: `db/changelog.yaml`.
    pub changelog: Option<String>,
    /// The contexts that Liquibase runs with.
    pub contexts: Vec<String>,
    /// The label filter that Liquibase runs with, such as `v1 or !slow`.
    pub label_filter: Option<String>,
    /// Values of changelog parameters that Liquibase is given by `-D`.
    pub parameters: BTreeMap<String, String>,
    /// The folders of Flyway's migrations in the root `changelog`; by default all of it.
    pub flyway_locations: Vec<String>,
    /// The history may know what the changelog does not: old change sets were removed from it on purpose.
    pub allow_unexpected: bool,

    /// Replace what the target database holds. Without it, only an empty database is restored into.
    pub replace: bool,
    /// The command that migrates the restored database, such as
    /// `["liquibase", "--search-path={root:changelog}", "--changelog-file=db/changelog.yaml", "update"]`. It finds the database in its environment.
    pub migrate: Vec<String>,
    /// Seconds that the migration may take; an hour by default.
    pub migrate_timeout: u32,
    /// Further variables of the migration, all kept secret.
    pub migrate_secrets: BTreeMap<String, Secret>,
    /// The database's URL as the migration sees it, where that is not made of `host`, `port` and `database`.
    pub jdbc_url: Option<String>,
    /// The command that starts the application after the migration.
    pub start: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            database: None,
            host: None,
            port: None,
            user: None,
            password: None,
            ssl_mode: None,
            via: Vec::new(),
            programs: None,
            dump_options: Vec::new(),
            dump_file: None,
            timeout: 86_400,
            schema: None,
            history_table: "databasechangelog".to_owned(),
            lock: OnLock::Refuse,
            lock_timeout: 600,
            changelog: None,
            contexts: Vec::new(),
            label_filter: None,
            parameters: BTreeMap::new(),
            flyway_locations: Vec::new(),
            allow_unexpected: false,
            replace: false,
            migrate: Vec::new(),
            migrate_timeout: 3_600,
            migrate_secrets: BTreeMap::new(),
            jdbc_url: None,
            start: Vec::new(),
        }
    }
}

/// What a held lock means for a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnLock {
    /// The backup is refused.
    Refuse,
    /// The backup waits.
    Wait,
    /// It is stale.
    Ignore,
}

impl Config {
    /// Checks what the types can't say.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let fail = |code: &str, message: String, remedy: &str| {
            Err(Failure::invalid_config(code, message).remedy(remedy))
        };
        for (key, seconds) in [
            ("timeout", self.timeout),
            ("lock_timeout", self.lock_timeout),
            ("migrate_timeout", self.migrate_timeout),
        ] {
            if !(1..=LONGEST).contains(&seconds) {
                return fail(
                    "liquibase.config.timeout",
                    format!("`{key}` is not 1 to {LONGEST} seconds"),
                    "give the seconds that it may take",
                );
            }
        }
        if let Some(option) = self
            .dump_options
            .iter()
            .find(|option| !is_dump_option(option))
        {
            return fail(
                "liquibase.config.dump-options",
                format!("`{option}` in `dump_options` would not leave a whole dump in SQL"),
                "leave it out: the dump is written as plain SQL, schema and data, to the standard output",
            );
        }
        if self.migrate.iter().any(|word| names_a_database(word)) {
            return fail(
                "liquibase.config.migrate-url",
                "`migrate` names a database, which may be another than the restored one".to_owned(),
                "leave the URL, the user and the password out: the command finds them in its environment; set `jdbc_url` where \
                 it reaches the database by another URL",
            );
        }
        let variables = self.migrate_secrets.keys();
        if let Some(name) = variables.clone().find(|name| !is_variable(name)) {
            return fail(
                "liquibase.config.variable",
                format!("`{name}` in `migrate_secrets` can't be the name of a variable"),
                "use letters, digits and `_`, and begin with no digit",
            );
        }
        if let Some(name) = variables.clone().find(|name| {
            let upper = name.to_ascii_uppercase();
            upper.ends_with("_URL") || upper.starts_with("PG")
        }) {
            return fail(
                "liquibase.config.migrate-url",
                format!(
                    "`{name}` in `migrate_secrets` may lead to another database than the restored one"
                ),
                "set `jdbc_url`",
            );
        }
        Ok(())
    }

    /// The database's URL for Java programs.
    pub(crate) fn url(&self) -> Option<String> {
        if let Some(url) = &self.jdbc_url {
            return Some(url.clone());
        }
        let host = self.host.as_ref().filter(|host| !host.starts_with('/'))?;
        let host = match host.contains(':') {
            true => format!("[{host}]"),
            false => host.clone(),
        };
        let port = self.port.unwrap_or(5432);
        let database = self.database.as_ref()?;
        let options = self
            .ssl_mode
            .as_ref()
            .map(|mode| format!("?sslmode={mode}"));
        let options = options.unwrap_or_default();
        Some(format!(
            "jdbc:postgresql://{host}:{port}/{database}{options}"
        ))
    }
}

/// Whether a text can be the name of a variable.
fn is_variable(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Whether an option leaves the dump what the plugin needs: plain SQL of schema and data on the standard output, without `CREATE DATABASE`.
fn is_dump_option(option: &str) -> bool {
    let short = [
        "-a", "-c", "-C", "-d", "-f", "-F", "-h", "-j", "-p", "-s", "-U", "-W", "-Z",
    ];
    let long = [
        "--clean",
        "--compress",
        "--create",
        "--data-only",
        "--dbname",
        "--file",
        "--format",
        "--host",
        "--jobs",
        "--password",
        "--port",
        "--schema-only",
        "--section",
        "--username",
    ];
    let name = option.split('=').next().unwrap_or_default();
    option.starts_with('-')
        && (option.starts_with("--") || !short.iter().any(|short| option.starts_with(short)))
        && !long.contains(&name)
}

/// Whether a word of a command tells a migration tool its database.
fn names_a_database(word: &str) -> bool {
    let word = word.to_ascii_lowercase();
    let option = word.trim_start_matches('-');
    word.contains("jdbc:")
        || word.contains("_url=")
        || (word.starts_with('-')
            && ["url", "username", "user", "password"].iter().any(|name| {
                let value = option.strip_prefix(name);
                value.is_some_and(|value| value.is_empty() || value.starts_with('='))
            }))
}
