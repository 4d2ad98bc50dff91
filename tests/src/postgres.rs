//! Real PostgreSQL servers, each in a temporary directory of its own.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::fetched;
use crate::programs::{self, SYSTEM_PATH};
use crate::run::{Outcome, Program, Running};
use crate::server::free_port;

/// Where Debian puts the programs of PostgreSQL 15.
const PROGRAMS: &str = "/usr/lib/postgresql/15/bin";

/// The superuser of every server. It needs no password.
pub const USER: &str = "postgres";

/// A server that listens on a socket in its own directory and on 127.0.0.1, asks nobody for a password and keeps nothing: it ends, and its
/// directory goes, when it is dropped.
#[derive(Debug)]
pub struct Postgres {
    #[expect(
        dead_code,
        reason = "ends, before the directory goes, when it is dropped"
    )]
    server: Server,
    directory: TempDir,
    port: u16,
}

/// A database of a server.
#[derive(Debug, Clone)]
pub struct Database {
    name: String,
    socket: PathBuf,
    port: u16,
}

/// The number of a table's rows, and a digest of what is in them, whatever their order.
pub type Digest = (u64, String);

#[derive(Debug)]
struct Server(Option<Running>);

impl Postgres {
    /// Starts a server, or says that PostgreSQL 15 is missing and returns none.
    pub fn start() -> Option<Self> {
        if !Path::new(PROGRAMS).join("initdb").is_file() {
            programs::missing(&format!(
                "there is no {PROGRAMS}/initdb (Debian package postgresql-15)"
            ));
            return None;
        }
        programs::require("psql", "postgresql-client-15")?;
        let directory = directory();
        copy(&cluster(), &directory.path().join("data"));
        let port = free_port();
        let started = Self {
            server: Server(Some(start(directory.path(), port))),
            directory,
            port,
        };
        started.wait();
        Some(started)
    }

    /// The directory of the server's socket: what `psql -h` takes, and the variable `PGHOST`.
    pub fn socket(&self) -> &Path {
        self.directory.path()
    }

    /// The port, of the socket as of 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Makes an empty database.
    pub fn create(&self, name: &str) -> Database {
        self.database("postgres")
            .run(format!("CREATE DATABASE \"{name}\""));
        self.database(name)
    }

    /// A database that is there.
    pub fn database(&self, name: &str) -> Database {
        Database {
            name: name.to_owned(),
            socket: self.directory.path().to_owned(),
            port: self.port,
        }
    }

    fn wait(&self) {
        let any = self.database("postgres");
        let answers = (0..200).any(|_| {
            std::thread::sleep(Duration::from_millis(50));
            any.psql(["-c", "SELECT 1"]).run().status.success()
        });
        assert!(answers, "PostgreSQL does not start");
    }
}

impl Database {
    /// The database's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The options that lead `psql`, `pg_dump` and their like here.
    pub fn options(&self) -> Vec<String> {
        let socket = self.socket.to_str().unwrap();
        let port = self.port.to_string();
        ["-h", socket, "-p", &port, "-U", USER, "-d", &self.name]
            .map(str::to_owned)
            .to_vec()
    }

    /// The URL that JDBC takes, with the user in it.
    pub fn jdbc_url(&self) -> String {
        format!(
            "jdbc:postgresql://127.0.0.1:{}/{}?user={USER}",
            self.port, self.name
        )
    }

    /// `psql` here with further arguments, reading no start-up file.
    pub fn psql<A: AsRef<std::ffi::OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = A>,
    ) -> Program {
        Program::new("/usr/bin/psql")
            .env("PATH", SYSTEM_PATH)
            .env("LANG", "C.UTF-8")
            .arg("-X")
            .args(self.options())
            .args(arguments)
    }

    /// Runs SQL, `COPY` blocks and meta-commands; the first error fails the test.
    #[track_caller]
    pub fn run(&self, sql: impl Into<Vec<u8>>) {
        self.psql(["-q", "-v", "ON_ERROR_STOP=1"])
            .input(sql)
            .run()
            .succeeds();
    }

    /// Runs SQL as psql does where nobody asks for more: errors are printed and passed over.
    pub fn run_carelessly(&self, sql: impl Into<Vec<u8>>) -> Outcome {
        self.psql(["-q"]).input(sql).run()
    }

    /// A query's rows, their columns joined by `|`.
    #[track_caller]
    pub fn query(&self, sql: &str) -> Vec<String> {
        let outcome = self
            .psql(["-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"])
            .input(sql)
            .run()
            .succeeds();
        outcome.text().lines().map(str::to_owned).collect()
    }

    /// What `pg_dump` with further arguments writes.
    #[track_caller]
    pub fn dump<A: AsRef<std::ffi::OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = A>,
    ) -> Vec<u8> {
        Program::new(Path::new(PROGRAMS).join("pg_dump"))
            .env("LANG", "C.UTF-8")
            .args(self.options())
            .args(arguments)
            .run()
            .succeeds()
            .stdout
    }

    /// Each table of the schema `public` with the digest of its rows, all columns included.
    #[track_caller]
    pub fn digests(&self) -> BTreeMap<String, Digest> {
        self.digests_of(|_| "x.*".to_owned())
    }

    /// Each table of the schema `public` that `like` has too, digested over the columns that `like` has: what must be equal after the
    /// rows of `like` have been loaded into a schema that has grown.
    #[track_caller]
    pub fn digests_as_in(&self, like: &Self) -> BTreeMap<String, Digest> {
        let columns = like.columns();
        let mut digests = self.digests_of(|table| match columns.get(table) {
            Some(columns) => format!("row({})", columns.join(", ")),
            None => "x.*".to_owned(),
        });
        digests.retain(|table, _| columns.contains_key(table));
        digests
    }

    fn digests_of(&self, row: impl Fn(&str) -> String) -> BTreeMap<String, Digest> {
        let tables = self.columns().into_keys();
        let queries: Vec<_> = tables
            .map(|table| {
                let row = row(&table);
                format!(
                    "SELECT '{table}', count(*), md5(string_agg(({row})::text, '|' ORDER BY ({row})::text COLLATE \"C\")) FROM \"{table}\" x;\n"
                )
            })
            .collect();
        let rows = self.query(&queries.concat());
        rows.iter()
            .map(|row| {
                let columns: Vec<_> = row.split('|').collect();
                let [table, count, digest] = columns[..] else {
                    panic!("{row}");
                };
                (
                    table.to_owned(),
                    (count.parse().unwrap(), digest.to_owned()),
                )
            })
            .collect()
    }

    /// The tables of the schema `public` with their columns, quoted, in their order.
    fn columns(&self) -> BTreeMap<String, Vec<String>> {
        let rows = self.query(
            "SELECT c.relname, quote_ident(a.attname) FROM pg_class c \
             LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
             WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace ORDER BY 1, a.attnum",
        );
        let mut tables = BTreeMap::<_, Vec<_>>::new();
        for row in rows {
            let (table, column) = row.split_once('|').unwrap();
            tables
                .entry(table.to_owned())
                .or_default()
                .push(format!("x.{column}"));
        }
        tables
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let Some(server) = self.0.take() else { return };
        // An immediate shutdown, after which the server's own shared memory is gone.
        server.signal(Signal::QUIT);
        server.wait();
    }
}

/// A new directory of a server, which its user may write to.
fn directory() -> TempDir {
    let directory = tempfile::Builder::new()
        .prefix("copal-postgres-")
        .tempdir()
        .unwrap();
    std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o755)).unwrap();
    if programs::is_root() {
        let status = Command::new("chown")
            .args([USER, "--"])
            .arg(directory.path())
            .status()
            .unwrap();
        assert!(status.success(), "there is no user {USER}");
    }
    directory
}

/// A cluster as `initdb` makes it, made once: every server starts from a copy, which takes a tenth of the time.
fn cluster() -> PathBuf {
    let made = fetched::folder("postgresql-15-cluster", |folder| {
        // The server's user may not be able to enter the target directory.
        let directory = directory();
        let data = directory.path().join("data");
        as_postgres("initdb")
            .args(["--no-sync", "--auth=trust", "--encoding=UTF8"])
            .args(["--wal-segsize=1", "--locale=C.UTF-8", "--username", USER])
            .arg("--pgdata")
            .arg(&data)
            .run()
            .succeeds();
        copy(&data, &folder.join("data"));
        Ok(())
    });
    made.unwrap().join("data")
}

/// Copies a cluster with its owner and permissions.
fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-a").args([from, to]).status();
    assert!(status.unwrap().success(), "cp -a {}", from.display());
}

fn start(directory: &Path, port: u16) -> Running {
    as_postgres("postgres")
        .arg("-D")
        .arg(directory.join("data"))
        .arg("-k")
        .arg(directory)
        .args(["-h", "127.0.0.1", "-p", &port.to_string()])
        .args(["-c", "fsync=off"])
        .args(["-c", "shared_buffers=16MB"])
        .args(["-c", "timezone=UTC"])
        .start()
}

/// A server's program as a user that PostgreSQL accepts: it refuses the superuser.
fn as_postgres(program: &str) -> Program {
    let path = Path::new(PROGRAMS).join(program);
    let runner = if programs::is_root() {
        Program::new("/usr/bin/setpriv")
            .args(["--reuid", USER, "--regid", USER, "--clear-groups", "--"])
            .arg(path)
    } else {
        Program::new(path)
    };
    runner
        .env("PATH", SYSTEM_PATH)
        .env("LANG", "C.UTF-8")
        .current_dir(Path::new("/"))
}
