//! The commands that reach the database.

use copal_sdk::{Command, Failure, Fragment, Probe, literal};
use serde::de::DeserializeOwned;

use crate::config::Config;

/// Seconds that a probe may take.
const PROBE: u32 = 60;

/// Words of every `psql`: no start-up file, no password prompt, rows alone, and an exit code other than 0 at the first error.
const PSQL: [&str; 7] = ["-X", "-w", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"];

/// Drops all that a database holds and that is not PostgreSQL's own. The schema `public` comes back with its owner.
pub(crate) const WIPE: &str = "DO $$ DECLARE s name; o name; BEGIN \
    SELECT nspowner::regrole::text INTO o FROM pg_namespace WHERE nspname = 'public'; \
    FOR s IN SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' LOOP \
    EXECUTE format('DROP SCHEMA %I CASCADE', s); END LOOP; \
    CREATE SCHEMA public; GRANT USAGE ON SCHEMA public TO PUBLIC; \
    IF o IS NOT NULL AND o <> current_user THEN EXECUTE 'ALTER SCHEMA public OWNER TO ' || o; END IF; END $$;";

/// A database of a server.
pub(crate) struct Database<'a> {
    config: &'a Config,
    name: &'a str,
}

impl<'a> Database<'a> {
    /// The database that is configured. Fails with `invalid-config` where none is.
    pub(crate) fn of(config: &'a Config) -> Result<Self, Failure> {
        match &config.database {
            Some(name) => Ok(Self { config, name }),
            None => Err(Failure::invalid_config(
                "liquibase.config.database",
                "`database` is not set, so which database is meant is not known",
            )
            .remedy("set `database`, and `host`, `port` and `user` where they differ from what psql takes by itself")),
        }
    }

    /// As a person would name it.
    pub(crate) fn shown(&self) -> String {
        match &self.config.host {
            Some(host) => format!("{} on {host}", self.name),
            None => self.name.to_owned(),
        }
    }

    /// `psql`, which executes its standard input.
    pub(crate) fn psql(&self) -> Command {
        self.command("psql", &PSQL)
    }

    /// `pg_dump`, which writes SQL to its standard output.
    pub(crate) fn pg_dump(&self) -> Command {
        let options = self.config.dump_options.iter().map(String::as_str);
        let words: Vec<&str> = ["-w"].into_iter().chain(options).collect();
        self.command("pg_dump", &words).timeout(self.config.timeout)
    }

    /// The same as a transaction that first drops everything. It ends with its `COMMIT` only where `pg_dump` succeeded, so `psql` puts back all of it or nothing.
    pub(crate) fn replacing_dump(&self) -> Command {
        let mut command = self.pg_dump();
        let shell = ["sh", "-ec", r#"cat; "$@"; echo "COMMIT;""#, "sh"];
        command.argv.splice(0..0, shell.map(str::to_owned));
        command.stdin([literal(&format!("BEGIN;\n{WIPE}\n"))])
    }

    /// The rows that a query gives, each a JSON text. It can change nothing.
    pub(crate) fn query<T: DeserializeOwned>(
        &self,
        probe: &dyn Probe,
        sql: &str,
    ) -> Result<Vec<T>, Failure> {
        let sql = format!("SET default_transaction_read_only = on;\n{sql};\n");
        let output = probe.run(&self.psql().stdin([literal(&sql)]).timeout(PROBE))?;
        if !output.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(Failure::missing(
                "liquibase.database.unreachable",
                format!("the database {} does not answer: {}", self.shown(), said.trim()),
            )
            .remedy("see that the server runs, that the database exists, and that the role may connect and read"));
        }
        if output.truncated {
            return Err(Failure::unsupported(
                "liquibase.database.answer",
                format!(
                    "the database {} answered more than 1 MiB at once",
                    self.shown()
                ),
            ));
        }
        let text = String::from_utf8_lossy(&output.stdout);
        let rows = text.lines().filter(|line| !line.is_empty());
        rows.map(|row| {
            serde_json::from_str(row).map_err(|error| {
                Failure::corrupt(
                    "liquibase.database.answer",
                    format!(
                        "an answer of the database {} can't be read: {error}",
                        self.shown()
                    ),
                )
            })
        })
        .collect()
    }

    fn command(&self, program: &str, words: &[&str]) -> Command {
        let program = match &self.config.programs {
            Some(folder) => format!("{}/{program}", folder.trim_end_matches('/')),
            None => program.to_owned(),
        };
        let connection = self.connection();
        let words = [program.as_str()]
            .into_iter()
            .chain(words.iter().copied())
            .chain(["-d", &connection]);
        let words = words.map(|word| {
            if self.through_a_shell() {
                quote(word)
            } else {
                word.to_owned()
            }
        });
        let prefix = self.config.via.iter().cloned();
        let command = Command::new(prefix.chain(words).map(|word| literal(&word)));
        match &self.config.password {
            Some(password) => command.env("PGPASSWORD", [Fragment::secret(&password.0)]),
            None => command,
        }
    }

    /// What libpq takes for a connection, in one word.
    fn connection(&self) -> String {
        let port = self.config.port.map(|port| port.to_string());
        let parts = [
            ("host", self.config.host.as_ref()),
            ("port", port.as_ref()),
            ("user", self.config.user.as_ref()),
            ("sslmode", self.config.ssl_mode.as_ref()),
        ];
        let parts = parts
            .into_iter()
            .filter_map(|(key, value)| Some((key, value?.as_str())));
        let parts = parts.chain([("dbname", self.name)]);
        let parts: Vec<String> = parts
            .map(|(key, value)| match is_bare(value) {
                true => format!("{key}={value}"),
                false => format!(
                    "{key}='{}'",
                    value.replace('\\', r"\\").replace('\'', r"\'")
                ),
            })
            .collect();
        parts.join(" ")
    }

    /// `ssh`, which something like `sudo` may start, joins its words and hands them to a shell.
    fn through_a_shell(&self) -> bool {
        let mut words = self.config.via.iter();
        words.any(|word| word.rsplit('/').next() == Some("ssh"))
    }
}

fn is_bare(word: &str) -> bool {
    !word.is_empty()
        && word
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_-./:=@%+,".contains(c))
}

/// A word as a shell reads it.
fn quote(word: &str) -> String {
    match is_bare(word) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

/// A name as SQL reads it.
pub(crate) fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text as SQL reads it.
pub(crate) fn text(text: &str) -> String {
    // With escapes, so that the server's settings don't matter.
    format!("E'{}'", text.replace('\\', r"\\").replace('\'', "''"))
}
