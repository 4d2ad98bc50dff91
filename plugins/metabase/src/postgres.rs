//! The commands that reach a PostgreSQL application database.

use copal_sdk::{Command, Fragment, Location, Step, WriteFile, literal};

use crate::config::{Config, Secret};

/// The name of the file with the password, in the scratch folder.
const PASSFILE: &str = "pgpass";

/// The SQL that takes everything out of the schema that Metabase uses, but nothing that belongs to an extension. A plain dump can't be restored over
/// tables of the same names, and dropping only those that it knows fails where others refer to them.
pub(crate) const EMPTY: &str = r"SET client_min_messages = warning;
DO $copal$
DECLARE thing record;
BEGIN
  FOR thing IN
    SELECT c.relname AS name, CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'S' THEN 'SEQUENCE'
        WHEN 'f' THEN 'FOREIGN TABLE' ELSE 'TABLE' END AS kind
      FROM pg_class c WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
  LOOP
    EXECUTE format('DROP %s IF EXISTS %I CASCADE', thing.kind, thing.name);
  END LOOP;
  FOR thing IN
    SELECT format('%I(%s)', p.proname, pg_get_function_identity_arguments(p.oid)) AS name
      FROM pg_proc p WHERE p.pronamespace = current_schema()::regnamespace
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
  LOOP
    EXECUTE 'DROP ROUTINE IF EXISTS ' || thing.name || ' CASCADE';
  END LOOP;
END $copal$;
";

/// SQL as one transaction. psql's own would be committed also where the input breaks off, as it does where Copal is killed.
pub(crate) fn transaction(sql: &str) -> String {
    format!("BEGIN;\n{sql}COMMIT;\n")
}

/// A PostgreSQL application database.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Postgres<'a> {
    config: &'a Config,
    database: &'a str,
}

impl<'a> Postgres<'a> {
    /// The configured one; none where the application database is an H2 file.
    pub(crate) fn of(config: &'a Config) -> Option<Self> {
        let database = config.db_dbname.as_deref()?;
        Some(Self { config, database })
    }

    /// `metabase on db.example`.
    pub(crate) fn title(&self) -> String {
        match &self.config.db_host {
            Some(host) => format!("{} on {host}", self.database),
            None => self.database.to_owned(),
        }
    }

    fn connection(&self) -> impl Iterator<Item = String> {
        let config = self.config;
        let host = config.db_host.iter().flat_map(|host| ["-h", host]);
        let user = config.db_user.iter().flat_map(|user| ["-U", user]);
        let port = ["-p".to_owned(), config.db_port.to_string()];
        let words = host.chain(user).chain(["-d", self.database]).map(literal);
        port.into_iter().chain(words.collect::<Vec<_>>())
    }

    /// The command that runs the SQL on its standard input up to the first error, and prints what queries answer, one row a line.
    pub(crate) fn psql(&self) -> Command {
        self.with_password(self.bare_psql())
    }

    fn bare_psql(&self) -> Command {
        let options = ["-X", "-w", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"].map(str::to_owned);
        let program = self.config.psql.iter().map(|word| literal(word));
        let words = program.chain(options).chain(self.connection());
        let input = ["-f", "-"].map(str::to_owned);
        Command::new(words.chain(input)).timeout(self.config.timeout)
    }

    /// The command that runs this SQL in one transaction.
    pub(crate) fn run(&self, sql: &str) -> Command {
        self.psql().stdin([literal(&transaction(sql))])
    }

    /// The same without a secret in it, so that it may be an undo. Needs the step of [`Self::passfile`].
    pub(crate) fn run_openly(&self, sql: &str) -> Command {
        let command = self.bare_psql().stdin([literal(&transaction(sql))]);
        match self.config.db_pass {
            Some(_) => command.env("PGPASSFILE", [format!("{{scratch}}/{PASSFILE}")]),
            None => command,
        }
    }

    /// The step that writes the password where libpq finds it; none where there is no password.
    pub(crate) fn passfile(&self) -> Option<Step> {
        let Secret(password) = self.config.db_pass.as_ref()?;
        let escaped = password.replace('\\', "\\\\").replace(':', "\\:");
        let line = [
            Fragment::from("*:*:*:*:"),
            Fragment::secret(escaped),
            Fragment::from("\n"),
        ];
        Some(Step::new(
            "write-passfile",
            "Write the database's password where only this user can read it",
            WriteFile::new(Location::scratch(PASSFILE), line).mode(0o600),
        ))
    }

    /// The command that dumps the database as SQL, whole but for cached results of queries: without owners and privileges, because the roles of
    /// another server are others, and without comments, because only its owner may comment on an extension.
    pub(crate) fn dump(&self) -> Command {
        let options = [
            "--no-password",
            "--no-owner",
            "--no-privileges",
            "--no-comments",
            "--exclude-table-data=query_cache",
        ]
        .map(str::to_owned);
        let program = self.config.pg_dump.iter().map(|word| literal(word));
        let words = program.chain(options).chain(self.connection());
        self.with_password(Command::new(words).timeout(self.config.timeout))
    }

    /// The same as a transaction that empties the database first. It ends with its `COMMIT` only where `pg_dump` succeeded, so psql puts back all of it or
    /// nothing.
    pub(crate) fn replacing_dump(&self) -> Command {
        let mut command = self.dump();
        let shell = ["sh", "-ec", r#"cat; "$@"; echo "COMMIT;""#, "sh"];
        command.argv.splice(0..0, shell.map(str::to_owned));
        command.stdin([literal(&format!("BEGIN;\n{EMPTY}"))])
    }

    fn with_password(&self, command: Command) -> Command {
        match &self.config.db_pass {
            Some(Secret(password)) => command.env("PGPASSWORD", [Fragment::secret(password)]),
            None => command,
        }
    }

    /// The variables by which Metabase itself finds the database.
    pub(crate) fn for_metabase(&self, command: Command) -> Command {
        let config = self.config;
        let host = config.db_host.as_deref().unwrap_or("localhost");
        let mut command = command
            .env("MB_DB_TYPE", ["postgres"])
            .env("MB_DB_HOST", [literal(host)])
            .env("MB_DB_PORT", [config.db_port.to_string()])
            .env("MB_DB_DBNAME", [literal(self.database)]);
        if let Some(user) = &config.db_user {
            command = command.env("MB_DB_USER", [literal(user)]);
        }
        if let Some(Secret(password)) = &config.db_pass {
            command = command.env("MB_DB_PASS", [Fragment::secret(password)]);
        }
        command
    }
}
