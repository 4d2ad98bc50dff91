//! What Java runs: Metabase's own commands, and H2's tools.
//!
//! Metabase gives its H2 databases neither a user nor a password, so H2's tools need no secret. They read SQL on their standard input.

use copal_sdk::h2::{Database, Release, releases_of};
use copal_sdk::{Command, Finding, Fragment, literal};

use crate::config::Config;
use crate::layout;
use crate::postgres::Postgres;

/// Java with a jar that has H2 in it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct H2<'a> {
    java: &'a str,
    jar: &'a str,
    timeout: u32,
}

impl<'a> H2<'a> {
    /// The configured one.
    pub(crate) fn of(config: &'a Config) -> Option<Self> {
        let (java, jar) = config.h2()?;
        Some(Self {
            java,
            jar,
            timeout: config.timeout,
        })
    }

    /// The command that runs this SQL, up to the first error.
    pub(crate) fn run(&self, database: &Database, sql: &str) -> Command {
        self.script(database, sql, &[])
    }

    /// The command that asks questions of which some may fail.
    pub(crate) fn ask(&self, database: Database, sql: &str) -> Command {
        self.script(&database.read_only(), sql, &["-continueOnError"])
    }

    fn script(&self, database: &Database, sql: &str, more: &[&str]) -> Command {
        let url = database.url();
        let words = [
            &literal(self.java),
            "-cp",
            &literal(self.jar),
            "org.h2.tools.RunScript",
            "-url",
            &url,
            "-script",
            "/dev/stdin",
            "-showResults",
        ];
        Command::new(words.iter().chain(more).copied())
            .stdin([literal(sql)])
            .timeout(self.timeout)
    }

    /// The finding for a jar that can't open a database.
    pub(crate) fn wrong(&self, database: &layout::Database) -> Option<Finding> {
        let format = database.header.as_ref().ok()?.format;
        let release = Release::of_jar(self.jar)?;
        (release.format() != format).then(|| {
            Finding::error(
                "metabase.h2.jar",
                format!("`h2_jar` is H2 {release}, but the database has format {format}, which only {} opens.", releases_of(format)),
            )
            .remedy(format!("Set `h2_jar` to a jar of {}, or `jar` to that of the Metabase that made the database.", releases_of(format)))
        })
    }
}

/// The command that has Metabase copy an application database: `dump-to-h2` or `load-from-h2`, with the path of an H2 database without `.mv.db`.
pub(crate) fn metabase(
    config: &Config,
    postgres: &Postgres<'_>,
    verb: &str,
    path: &str,
) -> Option<Command> {
    let (java, jar) = config.metabase()?;
    let words = [
        &literal(java),
        "--add-opens",
        "java.base/java.nio=ALL-UNNAMED",
        "-jar",
        &literal(jar),
        verb,
        path,
    ];
    let command = postgres.for_metabase(Command::new(words).timeout(config.timeout));
    Some(match config.key() {
        Some(key) => command.env("MB_ENCRYPTION_SECRET_KEY", [Fragment::secret(key)]),
        None => command,
    })
}
