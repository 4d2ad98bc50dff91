//! A PostgreSQL server that lives as long as a drill: in a directory of its own, reached by a socket in it and by nothing else.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use copal_sandbox::types::{Action, Command, Fragment, Step, Variable};
use serde_json::Value;

use crate::error::{Error, shell_quote};
use crate::operator::{OperatorFeed, command};
use crate::places::Places;
use crate::process;
use crate::settings::Settings;

/// The programs that are needed.
const PROGRAMS: [&str; 4] = ["initdb", "pg_ctl", "createdb", "postgres"];
/// Where distributions put the programs of each version.
const PLACES: [(&str, &str); 2] = [("/usr/lib/postgresql", ""), ("/usr", "pgsql-")];
/// The superuser of the server, who needs no password.
const SUPERUSER: &str = "postgres";
/// The number in the socket's name.
const PORT: &str = "5432";
/// What fits into the address of a Unix socket, `.s.PGSQL.5432` and a NUL included.
const LONGEST_SOCKET: usize = 108;
/// Seconds that making the server or a database may take.
const LIMIT: u32 = 300;
/// Stops the server at once where it runs. 3 is `pg_ctl status` for one that does not, 4 for no server's directory.
const STOP: &str = "\"$@\" status >/dev/null; case $? in 0) exec \"$@\" stop -m immediate -w;; 3|4) ;; *) exit 1;; esac";

/// The server that a drill asks for.
#[derive(Clone, Debug, Default)]
pub struct Postgres {
    /// The databases to make in it.
    pub databases: Vec<String>,
    /// Commands run once it is up, each the program and its arguments. They find the server by `PGHOST`, `PGPORT` and `PGUSER`.
    pub prepare: Vec<Vec<String>>,
    /// Where PostgreSQL's programs are; looked for where none is named.
    pub bin: Option<PathBuf>,
    /// The user of this system that the server runs as where Copal runs as root, which PostgreSQL refuses; `postgres` where none is named.
    pub user: Option<String>,
    /// Seconds that each of the commands may take.
    pub timeout: u32,
}

/// The server of one drill.
pub(super) struct Server<'a> {
    wanted: &'a Postgres,
    bin: PathBuf,
    /// The only way in; the data lies beneath it.
    pub(super) directory: PathBuf,
    /// The user that it runs as, where that is another.
    user: Option<String>,
}

impl<'a> Server<'a> {
    /// Settles how the server is made in `directory`, which must not be there yet.
    pub(super) fn new(wanted: &'a Postgres, directory: PathBuf) -> Result<Self, Error> {
        if directory.as_os_str().len() + ".s.PGSQL.5432".len() + 2 > LONGEST_SOCKET {
            let problem = format!(
                "the path of a socket in {} is too long for PostgreSQL: name another directory for the drill, or set TMPDIR",
                directory.display()
            );
            return Err(Error::Drill(problem));
        }
        let user = match (rustix::process::geteuid().is_root(), &wanted.user) {
            (true, user) => Some(user.clone().unwrap_or("postgres".to_owned())),
            (false, None) => None,
            (false, Some(user)) => {
                let problem = format!(
                    "only root can run PostgreSQL as another user: take `user = \"{user}\"` out, or run the drill as root"
                );
                return Err(Error::Drill(problem));
            }
        };
        Ok(Self {
            bin: programs(wanted.bin.as_deref())?,
            wanted,
            directory,
            user,
        })
    }

    /// What the server calls itself, such as `postgres (PostgreSQL) 15.14`.
    pub(super) fn version(&self, cancel: &Arc<AtomicBool>) -> Result<String, Error> {
        let asked = command(
            &[self.program("postgres"), "--version".to_owned()],
            [],
            LIMIT,
        );
        let failed = |source: process::ProcessError| Error::Drill(source.to_string());
        let output = process::run_checked(&asked, &Places::default(), cancel).map_err(failed)?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Makes and starts the server, then its databases, then has it prepared. Undone, nothing of it is left.
    pub(super) fn steps(&self) -> Vec<Step> {
        let data = self.directory.join("data").to_string_lossy().into_owned();
        let directory = self.directory.to_string_lossy();
        let pg_ctl = [self.program("pg_ctl"), "-D".to_owned(), data.clone()];
        let listens = format!("-p {PORT} -h '' -k {}", shell_quote(&directory));
        let log = format!("{data}/drill.log");
        let place = ["install", "-d", "-m", "0700"]
            .map(str::to_owned)
            .into_iter();
        let owner = self
            .user
            .iter()
            .flat_map(|user| ["-o".to_owned(), user.clone()]);
        let place: Vec<_> = place
            .chain(owner)
            .chain(["--".to_owned(), directory.to_string()])
            .collect();
        let remove = ["rm", "-rf", "--", &directory].map(str::to_owned);
        let make = [
            &self.program("initdb"),
            "-D",
            &data,
            "-U",
            SUPERUSER,
            "-A",
            "trust",
        ];
        let make = [&make[..], &["-E", "UTF8", "--locale=C", "--no-sync"]].concat();
        let pg_ctl = pg_ctl.each_ref().map(String::as_str);
        let start = ["start", "-w", "-t", "120", "-l", &log, "-o", &listens];
        let stop = [&["sh", "-c", STOP, "sh"][..], &pg_ctl].concat();
        let mut steps = vec![
            Step {
                undo: Some(Action::Run(command(&remove, [], LIMIT))),
                ..step(
                    "place-postgres",
                    "Make a directory for PostgreSQL",
                    command(&place, [], LIMIT),
                )
            },
            step(
                "make-postgres",
                "Make a PostgreSQL server",
                self.as_user(&make),
            ),
            Step {
                undo: Some(Action::Run(self.as_user(&stop))),
                ..step(
                    "start-postgres",
                    "Start the PostgreSQL server",
                    self.as_user(&[&pg_ctl[..], &start].concat()),
                )
            },
        ];
        for (index, name) in self.wanted.databases.iter().enumerate() {
            let words = [self.program("createdb"), "--".to_owned(), name.clone()];
            let make = command(&words, self.environment(), LIMIT);
            let title = format!("Make the database {name}");
            steps.push(step(&format!("make-database-{index}"), &title, make));
        }
        for (index, words) in self.wanted.prepare.iter().enumerate() {
            let title = format!(
                "Run {}",
                words
                    .iter()
                    .map(|word| shell_quote(word))
                    .collect::<Vec<_>>()
                    .join(" ")
            );
            let run = command(words, self.environment(), self.wanted.timeout);
            steps.push(step(&format!("prepare-{index}"), &title, run));
        }
        steps
    }

    /// Puts the server's values in for `{postgres.host}`, `{postgres.port}` and `{postgres.user}`.
    pub(super) fn fill(&self, settings: &mut Settings) {
        settings
            .values
            .values_mut()
            .for_each(|value| self.fill_value(value));
        for (_, value) in &mut settings.words {
            *value = self.filled(value);
        }
    }

    /// Leads a command of the operator's to the server, unless it says itself where to go.
    pub(super) fn lead(&self, feed: &mut OperatorFeed) {
        let variables = &mut feed.command.environment;
        for (name, value) in self.environment() {
            if !variables.iter().any(|variable| variable.name == name) {
                variables.push(Variable {
                    name,
                    value: vec![value],
                });
            }
        }
    }

    fn fill_value(&self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.filled(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.fill_value(item)),
            Value::Object(members) => members
                .values_mut()
                .for_each(|member| self.fill_value(member)),
            _ => {}
        }
    }

    fn filled(&self, text: &str) -> String {
        text.replace("{postgres.host}", &self.directory.to_string_lossy())
            .replace("{postgres.port}", PORT)
            .replace("{postgres.user}", SUPERUSER)
    }

    fn environment(&self) -> [(String, Fragment); 3] {
        let host = self.directory.to_string_lossy().into_owned();
        [
            ("PGHOST", host),
            ("PGPORT", PORT.to_owned()),
            ("PGUSER", SUPERUSER.to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), Fragment::Plain(value)))
    }

    fn program(&self, name: &str) -> String {
        self.bin.join(name).to_string_lossy().into_owned()
    }

    /// A command of the server's own user.
    fn as_user(&self, words: &[&str]) -> Command {
        let runner = self
            .user
            .iter()
            .flat_map(|user| ["runuser", "-u", user, "--"]);
        let words: Vec<_> = runner
            .chain(words.iter().copied())
            .map(str::to_owned)
            .collect();
        command(&words, [], LIMIT)
    }
}

fn step(id: &str, title: &str, command: Command) -> Step {
    Step {
        id: id.to_owned(),
        title: title.to_owned(),
        action: Action::Run(command),
        undo: None,
        capture: false,
    }
}

/// The directory with PostgreSQL's programs: the one that is named, else one of the search path, else that of the newest version installed.
fn programs(named: Option<&Path>) -> Result<PathBuf, Error> {
    let whole = |bin: &Path| PROGRAMS.iter().all(|name| bin.join(name).is_file());
    if let Some(bin) = named {
        return match whole(bin) {
            true => Ok(bin.to_owned()),
            false => Err(Error::Drill(format!(
                "{} does not hold all of PostgreSQL's programs: {}",
                bin.display(),
                PROGRAMS.join(", ")
            ))),
        };
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .find(|bin| whole(bin))
        .or_else(|| {
            let bins = PLACES
                .iter()
                .flat_map(|(place, prefix)| versions(Path::new(place), prefix));
            bins.filter(|(_, bin)| whole(bin)).max().map(|(_, bin)| bin)
        });
    found.ok_or_else(|| {
        let problem = "PostgreSQL's server is not installed, or not found: name the directory of `initdb` as `bin`";
        Error::Drill(problem.to_owned())
    })
}

/// The directories of programs beneath `place` with the versions that their names tell.
fn versions(place: &Path, prefix: &str) -> Vec<(u32, PathBuf)> {
    let entries = std::fs::read_dir(place).into_iter().flatten().flatten();
    let version = |entry: std::fs::DirEntry| {
        let name = entry.file_name();
        let version = name.to_str()?.strip_prefix(prefix)?.parse().ok()?;
        Some((version, entry.path().join("bin")))
    };
    entries.filter_map(version).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use serde_json::json;

    use super::*;

    /// A directory with PostgreSQL's programs, which do nothing.
    fn bin(place: &Path) -> PathBuf {
        let bin = place.join("bin");
        std::fs::create_dir_all(&bin).unwrap();
        for name in PROGRAMS {
            std::fs::write(bin.join(name), "#!/bin/sh\n").unwrap();
            std::fs::set_permissions(bin.join(name), PermissionsExt::from_mode(0o755)).unwrap();
        }
        bin
    }

    fn wanted(place: &Path) -> Postgres {
        Postgres {
            databases: vec!["-x".into()],
            prepare: vec![vec![
                "psql".into(),
                "-c".into(),
                "SELECT '{scratch}'".into(),
            ]],
            bin: Some(bin(place)),
            user: None,
            timeout: 7,
        }
    }

    #[test]
    fn the_settings_lead_to_the_server_at_any_depth() {
        let place = tempfile::tempdir().unwrap();
        let wanted = wanted(place.path());
        let server = Server::new(&wanted, "/tmp/d".into()).unwrap();
        let mut settings = Settings::from(vec![(
            "uri".to_owned(),
            "{postgres.user}@{postgres.host}:{postgres.port}".to_owned(),
        )]);
        settings
            .values
            .insert("dump".into(), json!([{"host": "{postgres.host}", "n": 1}]));
        server.fill(&mut settings);
        assert_eq!(settings.words[0].1, "postgres@/tmp/d:5432");
        assert_eq!(settings.values["dump"], json!([{"host": "/tmp/d", "n": 1}]));
    }

    #[test]
    fn a_command_that_says_where_to_go_is_left_alone() {
        let place = tempfile::tempdir().unwrap();
        let wanted = wanted(place.path());
        let server = Server::new(&wanted, "/tmp/d".into()).unwrap();
        let own = [("PGHOST".to_owned(), Fragment::Plain("elsewhere".into()))];
        let mut feed = OperatorFeed {
            name: "a".into(),
            command: command(&["psql".to_owned()], own, 1),
        };
        server.lead(&mut feed);
        let variables: Vec<_> = feed
            .command
            .environment
            .iter()
            .map(|variable| variable.name.as_str())
            .collect();
        assert_eq!(variables, ["PGHOST", "PGPORT", "PGUSER"]);
        assert_eq!(
            feed.command.environment[0].value,
            [Fragment::Plain("elsewhere".into())]
        );
    }

    #[test]
    fn names_and_commands_reach_the_server_as_they_are_written() {
        let place = tempfile::tempdir().unwrap();
        let wanted = wanted(place.path());
        let server = Server::new(&wanted, "/tmp/a b".into()).unwrap();
        let steps = server.steps();
        let words = |step: &Step| match &step.action {
            Action::Run(command) => command.argv.clone(),
            _ => Vec::new(),
        };
        assert_eq!(words(&steps[3])[1..], ["--", "-x"]);
        assert_eq!(words(&steps[4])[2], "SELECT '{{scratch}}'");
        assert!(
            words(&steps[2])
                .last()
                .unwrap()
                .ends_with("-h '' -k '/tmp/a b'")
        );
        let undone = steps.iter().filter(|step| step.undo.is_some()).count();
        assert_eq!(undone, 2);
    }

    #[test]
    fn stopping_does_no_harm_where_nothing_runs_and_fails_where_that_is_not_known() {
        for (status, expected) in [
            ("exit 3", 0),
            ("exit 4", 0),
            ("exit 127", 1),
            ("[ $1 = stop ]", 1),
        ] {
            let code = std::process::Command::new("sh")
                .args(["-c", STOP, "sh", "sh", "-c", status, "pg_ctl"])
                .status()
                .unwrap();
            assert_eq!(code.code(), Some(expected), "{status}");
        }
    }

    #[test]
    fn what_cannot_serve_is_refused() {
        let place = tempfile::tempdir().unwrap();
        let long = place.path().join("x".repeat(100));
        assert!(Server::new(&wanted(place.path()), long).is_err());
        let mut incomplete = wanted(place.path());
        std::fs::remove_file(place.path().join("bin/pg_ctl")).unwrap();
        assert!(Server::new(&incomplete, "/tmp/d".into()).is_err());
        incomplete.bin = None;
        incomplete.user = Some("nobody".into());
        if !rustix::process::geteuid().is_root() {
            assert!(Server::new(&incomplete, "/tmp/d".into()).is_err());
        }
    }
}
