//! The commands that reach a database.

use copal_sdk::{Command, Failure, Fragment, Probe, literal};

use crate::config::Config;
use crate::script::Script;
use crate::survey::Survey;

/// Seconds that a look at a database may take.
const PROBE: u32 = 120;

/// Whose database it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    CloudController,
    Uaa,
}

/// One of the two databases of a foundation.
#[derive(Debug)]
pub(crate) struct Database<'a> {
    pub(crate) owner: Owner,
    config: &'a Config,
    via: &'a [String],
    host: Option<&'a str>,
    port: Option<u16>,
    name: &'a str,
}

impl Owner {
    /// What its streams, steps and safeguards are called.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::CloudController => "ccdb",
            Self::Uaa => "uaadb",
        }
    }

    /// The stream of its rows.
    pub(crate) fn dump(self) -> &'static str {
        match self {
            Self::CloudController => "ccdb.sql",
            Self::Uaa => "uaadb.sql",
        }
    }

    /// The stream of its schema.
    pub(crate) fn schema(self) -> &'static str {
        match self {
            Self::CloudController => "ccdb.schema.sql",
            Self::Uaa => "uaadb.schema.sql",
        }
    }

    /// The stream of its survey.
    pub(crate) fn survey(self) -> &'static str {
        match self {
            Self::CloudController => "ccdb.survey.json",
            Self::Uaa => "uaadb.survey.json",
        }
    }

    /// The step that surveys it after a restore.
    pub(crate) fn check(self) -> &'static str {
        match self {
            Self::CloudController => "check-ccdb",
            Self::Uaa => "check-uaadb",
        }
    }
}

impl<'a> Database<'a> {
    /// The Cloud Controller's.
    pub(crate) fn cc(config: &'a Config) -> Self {
        Self {
            owner: Owner::CloudController,
            config,
            via: &config.via,
            host: config.host.as_deref(),
            port: config.port,
            name: &config.ccdb,
        }
    }

    /// UAA's.
    pub(crate) fn uaa(config: &'a Config) -> Self {
        Self {
            owner: Owner::Uaa,
            config,
            via: config.uaa_via.as_ref().unwrap_or(&config.via),
            host: config.uaa_host.as_deref().or(config.host.as_deref()),
            port: config.uaa_port.or(config.port),
            name: &config.uaadb,
        }
    }

    /// Whether its programs run on another host, where no variable of this one comes along.
    pub(crate) fn is_remote(&self) -> bool {
        self.via
            .first()
            .is_some_and(|word| word.rsplit('/').next() == Some("ssh"))
    }

    /// The tables of which a target keeps its own rows.
    pub(crate) fn kept(&self) -> &'a [String] {
        match self.owner {
            Owner::CloudController => &self.config.keep_ccdb,
            Owner::Uaa => &self.config.keep_uaadb,
        }
    }

    /// As a person would name it.
    pub(crate) fn shown(&self) -> String {
        let host = match (self.via, self.host) {
            ([.., last], _) => last,
            ([], Some(host)) => host,
            ([], None) => return self.name.to_owned(),
        };
        format!("{} on {host}", self.name)
    }

    /// Dumps its rows. `COPY` loads faster than `INSERT`, and names its columns too.
    pub(crate) fn dump(&self) -> Command {
        let options = ["--data-only", "--no-password", "--encoding=UTF8"];
        self.command("pg_dump", &options)
            .timeout(self.config.timeout)
    }

    /// Dumps its schema, for whoever has no target that is installed already.
    pub(crate) fn dump_schema(&self) -> Command {
        let options = [
            "--schema-only",
            "--no-owner",
            "--no-privileges",
            "--no-password",
            "--encoding=UTF8",
        ];
        self.command("pg_dump", &options)
            .timeout(self.config.timeout)
    }

    /// Loads what [`dump`](Self::dump) or [`dump_schema`](Self::dump_schema) wrote. Its transaction begins and ends with the text that it reads: what breaks off is not committed.
    pub(crate) fn load(&self) -> Command {
        self.psql().timeout(self.config.timeout)
    }

    /// Saves all that it holds, schema included, in a form of which `pg_restore` knows whether it is complete.
    pub(crate) fn save(&self) -> Command {
        let options = ["--format=custom", "--compress=0", "--no-password"];
        self.command("pg_dump", &options)
            .timeout(self.config.timeout)
    }

    /// Puts back what [`save`](Self::save) wrote.
    pub(crate) fn put_back(&self) -> Command {
        let options = [
            "--clean",
            "--if-exists",
            "--single-transaction",
            "--no-password",
        ];
        self.command("pg_restore", &options)
            .timeout(self.config.timeout)
    }

    /// Writes a survey to its standard output.
    pub(crate) fn survey(&self, script: &Script) -> Command {
        let sql = script.sql(self.owner);
        self.psql()
            .stdin([literal(&sql)])
            .timeout(self.config.timeout)
    }

    /// Looks at the database now, and at the rows of the tables of which a target keeps its own: in the columns that `source` knows, if there is one.
    pub(crate) fn look(
        &self,
        probe: &dyn Probe,
        source: Option<&Survey>,
    ) -> Result<Survey, Failure> {
        let columns = |table: &str| {
            let table = source.and_then(|source| source.table(table));
            let columns = table.map_or(&[][..], |table| &table.columns).iter();
            columns.map(|column| column.name.clone()).collect()
        };
        let kept = self.kept().iter().map(|table| {
            let table = table.strip_prefix("public.").unwrap_or(table);
            (table.to_owned(), columns(table))
        });
        let script = Script::Kept(kept.collect());
        let output = probe.run(&self.survey(&script).timeout(PROBE))?;
        if !output.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(Failure::missing(
                "cloudfoundry.database.unreachable",
                format!("the database {} does not answer: {}", self.shown(), said.trim()),
            )
            .remedy("see that the server runs, that the database exists, and that the role may connect and read"));
        }
        Survey::parse(&output.stdout, &self.shown())
    }

    fn psql(&self) -> Command {
        self.command(
            "psql",
            &["-X", "-w", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"],
        )
    }

    fn command(&self, program: &str, options: &[&str]) -> Command {
        let program = match &self.config.programs {
            Some(folder) => format!("{}/{program}", folder.trim_end_matches('/')),
            None => program.to_owned(),
        };
        let mut words = self.via.to_vec();
        words.push(program);
        words.extend(options.iter().map(|&option| option.to_owned()));
        let mut option = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                words.extend([name.to_owned(), value]);
            }
        };
        option("-d", Some(self.name.to_owned()));
        option("-h", self.host.map(str::to_owned));
        option("-p", self.port.map(|port| port.to_string()));
        option("-U", self.config.user.clone());
        let command = Command::new(words.iter().map(|word| literal(word)));
        match &self.config.password {
            Some(password) => command.env("PGPASSWORD", [Fragment::secret(&password.0)]),
            None => command,
        }
    }
}
