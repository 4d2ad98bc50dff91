//! Real PostgreSQL servers and a real Liquibase: a database goes from one server to another and is migrated there.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use copal_tests::liquibase::Liquibase;
use copal_tests::postgres::{Database, Postgres};
use copal_tests::{Outcome, Program, TestEnvironment};
use rustix::process::Signal;

const LOOK: &str = "probe:psql -X -w -q -A -t -v ON_ERROR_STOP=1 -d *";
const PSQL: &str = "run:psql -X -w -q -A -t -v ON_ERROR_STOP=1 -d *";
const PG_DUMP: &str = "run:pg_dump -w -d *";
const MIGRATE: &str = "run:LIQUIBASE_COMMAND_URL= LIQUIBASE_COMMAND_USERNAME= liquibase --search-path={root:changelog} --changelog-file=db/changelog.yaml update";
/// Saves what the target holds before a migration.
const SAFEGUARD: &str = r#"run:sh -ec 'cat; "$@"; echo "COMMIT;"' sh pg_dump -w -d *"#;
const RUN_MIGRATION: &str = "migrate=[\"liquibase\", \"--search-path={root:changelog}\", \"--changelog-file=db/changelog.yaml\", \"update\"]";

/// The changelog's path in its folder.
const CHANGELOG: &str = "db/changelog.yaml";

/// Two change sets in two files, and one that other databases alone run.
const OLD: [(&str, &str); 2] = [
    (
        CHANGELOG,
        "databaseChangeLog:
- changeSet:
    id: 1
    author: ann
    changes:
    - sql: {sql: \"create table person(id serial primary key, name text not null)\"}
- include: {file: notes.sql, relativeToChangelogFile: true}
- changeSet: {id: h2, author: ann, dbms: h2, changes: [{sql: {sql: \"select 1\"}}]}
",
    ),
    (
        "db/notes.sql",
        "--liquibase formatted sql
--changeset bob:notes
create table note(id int primary key, body text);
",
    ),
];

/// What the next release adds.
const ADDED: &str = "- changeSet:
    id: 2
    author: ann
    changes:
    - sql: {sql: \"alter table person add column mail text\"}
";

/// A dump of a database that Liquibase has brought to [`OLD`], which each test loads rather than run Liquibase for itself.
static MIGRATED: OnceLock<Vec<u8>> = OnceLock::new();

/// One test's world: a database that Liquibase has made on one server, and an empty one on another.
struct Scene {
    environment: TestEnvironment,
    liquibase: Liquibase,
    old_server: Postgres,
    new_server: Postgres,
    /// The changelog of the release that the source runs.
    old: PathBuf,
    /// The changelog of the next release.
    new: PathBuf,
}

impl Scene {
    /// None where PostgreSQL, Java or Liquibase can't be had.
    fn new() -> Option<Self> {
        let liquibase = Liquibase::find()?;
        let (old_server, new_server) = (Postgres::start()?, Postgres::start()?);
        let environment = TestEnvironment::with_repository();
        liquibase.install(&environment);
        for (path, content) in OLD {
            environment.write(&format!("old/{path}"), content);
            environment.write(&format!("new/{path}"), content);
        }
        environment.write(&format!("new/{CHANGELOG}"), format!("{}{ADDED}", OLD[0].1));
        let scene = Self {
            old: environment.path("old"),
            new: environment.path("new"),
            environment,
            liquibase,
            old_server,
            new_server,
        };
        scene.new_server.create("app");
        let source = scene.old_server.create("app");
        let dump = MIGRATED.get_or_init(|| {
            let migrated = scene.old_server.create("migrated");
            scene.liquibase.update(&migrated, &scene.old, CHANGELOG);
            let dump = migrated.dump([""; 0]);
            scene
                .old_server
                .database("postgres")
                .run("DROP DATABASE migrated");
            dump
        });
        source.run(dump.as_slice());
        source.run(
            "INSERT INTO person (name) SELECT 'person ' || g FROM generate_series(1, 500) g;
             INSERT INTO note VALUES (1, E'a\\\\b\\n;\\tCOPY databasechangelog FROM stdin;\\n\\\\.\\n'), (2, NULL);",
        );
        Some(scene)
    }

    fn source(&self) -> Database {
        self.old_server.database("app")
    }

    fn target(&self) -> Database {
        self.new_server.database("app")
    }

    fn backup(&self) -> Program {
        let program = self.environment.copal(["backup", "liquibase", "--yes"]);
        granted(at(program, &self.old_server)).args(["--set", "database=app"])
    }

    /// A restore that migrates, with the changelog of this folder.
    fn restore(&self, changelog: &Path) -> Program {
        let program = self
            .environment
            .copal(["restore", "latest", "--yes", "--intent", "migrate"]);
        granted(at(program, &self.new_server))
            .args([
                "--set",
                "database=app",
                "--set",
                &format!("changelog={CHANGELOG}"),
            ])
            .args(["--to", &format!("changelog={}", changelog.display())])
            .args(["--set", RUN_MIGRATION])
            .args(["--grant", MIGRATE])
    }

    /// Sees that a program is refused, and that the target stays empty.
    #[track_caller]
    fn refuses(&self, program: Program, code: &str) {
        self.environment
            .refused(program, 1)
            .is("refused")
            .says(code);
        assert_eq!(tables(&self.target()), 0, "{code}: the target was changed");
    }

    #[track_caller]
    fn holds_lock(&self) {
        self.source().run(
            "UPDATE databasechangeloglock SET locked = true, lockgranted = now(), lockedby = 'pod-7 (10.0.0.7)'",
        );
    }

    /// Sees that the target has the source's rows and its own migration.
    #[track_caller]
    fn has_migrated(&self) {
        let (source, target) = (self.source(), self.target());
        let mut saved = source.digests();
        let mut restored = target.digests_as_in(&source);
        for history in ["databasechangelog", "databasechangeloglock"] {
            saved.remove(history);
            restored.remove(history);
        }
        assert_eq!(saved.len(), 2);
        assert_eq!(restored, saved);
        assert_eq!(
            target
                .query("SELECT id, author, filename FROM databasechangelog ORDER BY orderexecuted"),
            [
                "1|ann|db/changelog.yaml",
                "notes|bob|db/notes.sql",
                "2|ann|db/changelog.yaml"
            ]
        );
        assert_eq!(
            target.query("SELECT locked FROM databasechangeloglock"),
            ["f"]
        );
        assert_eq!(
            source.query("SELECT md5sum FROM databasechangelog WHERE id = '1'"),
            target.query("SELECT md5sum FROM databasechangelog WHERE id = '1'")
        );
    }
}

/// Settings that lead to a server.
fn at(program: Program, server: &Postgres) -> Program {
    let port = format!("port={}", server.port());
    program.args([
        "--set",
        "host=127.0.0.1",
        "--set",
        &port,
        "--set",
        "user=postgres",
    ])
}

fn granted(program: Program) -> Program {
    program.args(["--grant", LOOK, "--grant", PSQL, "--grant", PG_DUMP])
}

fn tables(database: &Database) -> usize {
    database
        .query("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace")
        .len()
}

/// Waits until a query of a database gives a row.
#[track_caller]
fn until(database: &Database, query: &str) {
    let limit = Instant::now() + Duration::from_secs(60);
    while database.query(query).is_empty() {
        assert!(Instant::now() < limit, "never: {query}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The findings of a plan or of what was done, as `CODE: MESSAGE`.
fn findings(outcome: &Outcome) -> Vec<String> {
    let document = outcome.json();
    let findings = document["plan"]["findings"]
        .as_array()
        .or(document["findings"].as_array());
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    findings
        .expect("a list of findings")
        .iter()
        .map(|finding| format!("{}: {}", text(&finding["code"]), text(&finding["message"])))
        .collect()
}

#[test]
fn a_database_moves_to_another_server_and_is_migrated_before_its_application_starts() {
    let Some(scene) = Scene::new() else { return };
    scene.backup().run().succeeds();

    let started = scene.environment.path("started");
    let started = started.to_str().unwrap();
    let restore = scene.restore(&scene.new).args([
        "--set",
        &format!("start=[\"touch\", \"{started}\"]"),
        "--grant",
        "run:touch *",
    ]);
    let outcome = restore.run().succeeds();
    scene.has_migrated();
    assert!(Path::new(started).exists(), "{}", outcome.stderr);
    scene.source().query("SELECT 1 FROM person LIMIT 1");
}

/// `copal migrate` from one server to the other, whose database is replaced.
fn migrate(scene: &Scene) -> Program {
    let ports =
        [&scene.old_server, &scene.new_server].map(|server| format!("port={}", server.port()));
    let shared = ["host=127.0.0.1", "user=postgres", "database=app"];
    let migrate = scene.environment.copal(["migrate", "liquibase", "--yes"]);
    let migrate = shared
        .iter()
        .chain([&ports[0].as_str()])
        .fold(migrate, |migrate, setting| migrate.args(["--set", setting]));
    let changelog = format!("changelog={CHANGELOG}");
    let further = [
        ports[1].as_str(),
        changelog.as_str(),
        "replace=true",
        RUN_MIGRATION,
    ];
    let migrate = shared
        .iter()
        .chain(&further)
        .fold(migrate, |migrate, setting| {
            migrate.args(["--to-set", setting])
        });
    granted(migrate)
        .args(["--to", &format!("changelog={}", scene.new.display())])
        .args(["--grant", MIGRATE, "--grant", SAFEGUARD])
}

#[test]
fn one_command_moves_and_migrates_and_another_puts_back_what_was_there() {
    let Some(scene) = Scene::new() else { return };
    let target = scene.target();
    target.run("CREATE TABLE kept (a int); INSERT INTO kept VALUES (1), (2)");
    let kept = target.digests();

    migrate(&scene).run().succeeds();
    scene.has_migrated();

    scene
        .environment
        .copal(["rollback", "--yes", "--grant", PSQL, "--grant", SAFEGUARD])
        .run()
        .succeeds();
    assert_eq!(target.digests(), kept);
}

#[test]
fn a_rollback_that_breaks_off_leaves_the_target_as_it_was() {
    let Some(scene) = Scene::new() else { return };
    let target = scene.target();
    target.run("CREATE TABLE kept (a int); INSERT INTO kept VALUES (1), (2)");
    let kept = target.digests();
    migrate(&scene).run().succeeds();
    let rollback = || {
        let rollback = scene.environment.copal(["rollback", "--yes"]);
        rollback.args(["--grant", PSQL, "--grant", SAFEGUARD])
    };
    scene.environment.install_program(
        "psql",
        "#!/bin/sh\nsed '/^COPY /q' | /usr/bin/psql \"$@\"\nexit 1\n",
    );
    rollback().run().exits(1);
    scene.has_migrated();
    std::fs::remove_file(scene.environment.path("programs/psql")).unwrap();
    rollback().run().succeeds();
    assert_eq!(target.digests(), kept);
}

#[test]
fn a_drill_restores_into_a_server_of_its_own_and_starts_nothing() {
    let Some(scene) = Scene::new() else { return };
    scene.backup().run().succeeds();
    let environment = &scene.environment;
    let snapshot = environment.snapshots()[0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let file = format!(
        "[jobs.shop]\nplugin = \"liquibase\"\n\n[jobs.shop.drill]\nevidence = \"{}\"\ngrants = ['{LOOK}', '{PSQL}']\n\
         roots = {{ changelog = \"{}\" }}\n\
         config = {{ host = \"{{postgres.host}}\", port = 5432, user = \"{{postgres.user}}\", database = \"app\", changelog = \"{CHANGELOG}\", \
         migrate = [\"liquibase\", \"update\"], start = [\"false\"] }}\n\n[jobs.shop.drill.postgres]\ndatabases = [\"app\"]\n",
        environment.path("evidence").display(),
        scene.new.display()
    );
    let file = environment.write("copal.toml", file);
    // The server of the drill runs as a user of its own, who must be able to enter its directory.
    let temporary = tempfile::tempdir().unwrap();
    std::fs::set_permissions(temporary.path(), std::fs::Permissions::from_mode(0o1777)).unwrap();
    environment
        .copal(["drill", "shop", "--snapshot", &snapshot, "--config"])
        .arg(file)
        .env("TMPDIR", temporary.path())
        .run()
        .succeeds();
    let evidence = std::fs::read_dir(environment.path("evidence")).unwrap();
    let evidence: String = evidence
        .map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap())
        .collect();
    for code in [
        "liquibase.migrate.rehearsal",
        "liquibase.verify.history",
        "liquibase.history.pending",
    ] {
        assert!(evidence.contains(code), "{code}: {evidence}");
    }
    assert_eq!(tables(&scene.target()), 0);
}

#[test]
fn a_stale_lock_in_the_dump_is_cleared_before_the_migration() {
    let Some(scene) = Scene::new() else { return };
    scene.holds_lock();
    let outcome = scene
        .backup()
        .args(["--set", "lock=ignore"])
        .run()
        .succeeds();
    assert!(
        outcome.text().contains("held by pod-7"),
        "{}",
        outcome.text()
    );
    scene.restore(&scene.new).run().succeeds();
    scene.has_migrated();
}

#[test]
fn a_backup_is_refused_while_a_migration_runs() {
    let Some(scene) = Scene::new() else { return };
    scene.holds_lock();
    scene.refuses(scene.backup(), "liquibase.lock.held");
    assert!(scene.environment.snapshots().is_empty());
}

#[test]
fn a_backup_waits_for_a_migration_to_end_or_gives_up() {
    let Some(scene) = Scene::new() else { return };
    scene.holds_lock();
    let waiting = || scene.backup().args(["--set", "lock=wait"]);
    waiting()
        .args(["--set", "lock_timeout=1"])
        .run()
        .exits(1)
        .says("Wait until no migration runs");
    assert!(scene.environment.snapshots().is_empty());

    let backup = waiting().args(["--set", "lock_timeout=60"]).start();
    backup.wait_for_error_line("Wait until no migration runs");
    scene
        .source()
        .run("UPDATE databasechangeloglock SET locked = false");
    backup.wait().succeeds();
}

#[test]
fn a_migration_that_begins_before_the_dump_does_is_seen_in_the_dump() {
    let Some(scene) = Scene::new() else { return };
    let options = scene.source().options().join(" ");
    scene.environment.install_program(
        "pg_dump",
        &format!(
            "#!/bin/sh\n/usr/bin/psql -X -q {options} -c 'UPDATE databasechangeloglock SET locked = true' && exec /usr/bin/pg_dump \"$@\"\n"
        ),
    );
    scene
        .backup()
        .run()
        .exits(3)
        .says("a migration was running when the dump was made");
}

#[test]
fn a_database_ahead_of_its_changelog_is_refused() {
    let Some(scene) = Scene::new() else { return };
    scene
        .liquibase
        .update(&scene.source(), &scene.new, CHANGELOG);
    scene.backup().run().succeeds();
    scene.refuses(scene.restore(&scene.old), "db/changelog.yaml::2::ann");
    // Liquibase itself would not mind: that is why.
    let allowed = scene
        .restore(&scene.old)
        .args(["--set", "allow_unexpected=true"]);
    allowed
        .run()
        .succeeds()
        .says("liquibase.history.unexpected");
}

#[test]
fn a_database_that_holds_something_is_refused_or_replaced_as_a_whole() {
    let Some(scene) = Scene::new() else { return };
    scene.backup().run().succeeds();
    let target = scene.target();
    target.run("CREATE SCHEMA other; CREATE TABLE other.kept (a int); INSERT INTO other.kept VALUES (1); CREATE TABLE person (a int);");
    scene
        .environment
        .refused(scene.restore(&scene.new), 1)
        .says("liquibase.target.not-empty");
    assert_eq!(target.query("SELECT a FROM other.kept"), ["1"]);

    scene
        .restore(&scene.new)
        .args(["--set", "replace=true"])
        .run()
        .succeeds();
    scene.has_migrated();
    assert!(
        target
            .query("SELECT 1 FROM pg_namespace WHERE nspname = 'other'")
            .is_empty()
    );
    assert_eq!(
        target.query("SELECT nspowner::regrole, has_schema_privilege('public', 'public', 'usage') FROM pg_namespace WHERE nspname = 'public'"),
        scene.source().query("SELECT nspowner::regrole, has_schema_privilege('public', 'public', 'usage') FROM pg_namespace WHERE nspname = 'public'")
    );
}

#[test]
fn the_application_is_not_started_while_something_is_pending() {
    let Some(scene) = Scene::new() else { return };
    scene.backup().run().succeeds();
    let started = scene.environment.path("started");
    // It succeeds, and migrates nothing.
    scene
        .environment
        .install_program("liquibase", "#!/bin/sh\nexit 0\n");
    let restore = scene.restore(&scene.new).args([
        "--set",
        &format!("start=[\"touch\", \"{}\"]", started.display()),
        "--grant",
        "run:touch *",
    ]);
    restore
        .run()
        .exits(1)
        .says("1 pending, such as db/changelog.yaml::2::ann");
    assert!(!started.exists());
}

#[test]
fn what_names_another_database_is_refused() {
    let Some(scene) = Scene::new() else { return };
    scene.backup().run().succeeds();
    for word in [
        "--url=jdbc:postgresql://prod/app",
        "--username=admin",
        "-eLIQUIBASE_COMMAND_URL=x",
    ] {
        let restore = scene.restore(&scene.new).args([
            "--set",
            &format!("migrate=[\"liquibase\", \"{word}\", \"update\"]"),
        ]);
        let refusal = scene.environment.refused(restore, 1);
        refusal.says("`migrate` names a database");
    }
}

#[test]
fn a_kill_in_the_middle_of_the_feed_leaves_the_database_empty() {
    let Some(scene) = Scene::new() else { return };
    scene.source().run(
        "INSERT INTO person (name) SELECT repeat('x', 200) || g FROM generate_series(1, 400000) g",
    );
    scene.backup().run().succeeds();

    let restore = scene.restore(&scene.new).start();
    let watch = scene.new_server.database("postgres");
    until(
        &watch,
        "SELECT 1 FROM pg_stat_activity WHERE datname = 'app' AND state = 'active' AND query LIKE 'COPY public.person%'",
    );
    restore.signal(Signal::KILL);
    restore.wait();
    until(
        &watch,
        "SELECT 1 WHERE NOT EXISTS (SELECT FROM pg_stat_activity WHERE datname = 'app')",
    );
    assert_eq!(
        tables(&scene.target()),
        0,
        "a part of the dump was committed"
    );

    scene.environment.copal(["resume"]).run().succeeds();
    scene.restore(&scene.new).run().succeeds();
    scene.has_migrated();
}

#[test]
fn a_kill_in_the_middle_of_the_migration_can_be_taken_up_again() {
    let Some(scene) = Scene::new() else { return };
    scene.backup().run().succeeds();
    let slow = ADDED.replace("alter table", "select pg_sleep(60); alter table");
    let changelog = scene
        .environment
        .write(&format!("new/{CHANGELOG}"), format!("{}{slow}", OLD[0].1));

    let restore = scene.restore(&scene.new).start();
    let watch = scene.new_server.database("postgres");
    until(
        &watch,
        "SELECT 1 FROM pg_stat_activity WHERE datname = 'app' AND query LIKE '%pg_sleep(60)%'",
    );
    restore.signal(Signal::KILL);
    restore.wait();
    // The machine is gone, and with it Liquibase, which could not give its lock back.
    watch.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'app'");
    until(
        &scene.target(),
        "SELECT 1 FROM databasechangeloglock WHERE locked",
    );

    scene.environment.copal(["resume"]).run().succeeds();
    std::fs::write(changelog, format!("{}{ADDED}", OLD[0].1)).unwrap();
    scene
        .environment
        .refused(scene.restore(&scene.new), 1)
        .says("liquibase.target.not-empty");
    scene
        .restore(&scene.new)
        .args(["--set", "replace=true"])
        .run()
        .succeeds();
    scene.has_migrated();
}

#[test]
fn dumps_in_a_folder_are_taken_in_every_format_and_refused_where_their_end_is_missing() {
    let Some(scene) = Scene::new() else { return };
    let plain = scene.source().dump(Vec::<&str>::new());
    let dumps = [
        ("plain.sql", plain.clone()),
        ("inserts.sql", scene.source().dump(["--inserts"])),
        ("custom.dump", scene.source().dump(["--format=custom"])),
    ];
    for (name, content) in dumps {
        scene.environment.write(&format!("dumps/{name}"), content);
    }
    let gzip = Program::new("/usr/bin/gzip")
        .arg("-c")
        .input(plain.clone())
        .run()
        .succeeds();
    scene.environment.write("dumps/plain.sql.gz", gzip.stdout);
    let complete = b"-- PostgreSQL database dump complete";
    let end = plain
        .windows(complete.len())
        .position(|window| window == complete);
    scene
        .environment
        .write("dumps/cut.sql", &plain[..end.unwrap()]);

    let root = format!("dump={}", scene.environment.path("dumps").display());
    let backup = |file: &str| {
        scene
            .environment
            .copal([
                "backup",
                "liquibase",
                "--yes",
                &root,
                "--set",
                &format!("dump_file={file}"),
            ])
            .args([
                "--grant",
                "run:cat -- *",
                "--grant",
                "run:gzip -dc -- *",
                "--grant",
                "run:pg_restore --file=- *",
            ])
    };
    for file in ["plain.sql", "inserts.sql", "custom.dump", "plain.sql.gz"] {
        backup(file).run().succeeds();
        scene
            .restore(&scene.new)
            .args(["--set", "replace=true"])
            .run()
            .succeeds();
        scene.has_migrated();
    }
    backup("cut.sql")
        .run()
        .exits(3)
        .says("the dump does not end");
}

#[test]
fn the_same_change_sets_are_pending_as_liquibase_says() {
    let Some(scene) = Scene::new() else { return };
    for (path, content) in [
        ("all.yaml", include_str!("changelogs/all.yaml")),
        ("sub/inner.xml", include_str!("changelogs/inner.xml")),
        ("sub/more.json", include_str!("changelogs/more.json")),
        (
            "sub/formatted.sql",
            include_str!("changelogs/formatted.sql"),
        ),
        (
            "sub/formatted2.sql",
            "--liquibase formatted sql\n--changeset z:2 context:prod\nselect 1;\n--changeset z:3\nselect 1;\n",
        ),
        (
            "folder/a.sql",
            "--liquibase formatted sql logicalFilePath:given.sql\n--changeset z:1\nselect 1;\n",
        ),
        ("folder/b.sql", "select 1;\n"),
        (
            "folder/deep/a.sql",
            "--liquibase formatted sql\n--changeset z:2\nselect 1;\n",
        ),
        (
            "folder/deep/z.yml",
            "databaseChangeLog:\n- logicalFilePath: deep.yaml\n- changeSet: {id: y, author: y, changes: []}\n",
        ),
        ("folder/readme.txt", "no changelog\n"),
    ] {
        scene.environment.write(&format!("all/{path}"), content);
    }
    let folder = scene.environment.path("all");
    let source = scene.source();
    source.run("DELETE FROM databasechangelog");
    for (contexts, labels) in [
        (&[][..], None),
        (&["prod"], None),
        (&["eu"], None),
        (&["dev"], None),
        (&["prod", "eu"], None),
        (&[], Some("v1")),
        (&[], Some("!v1")),
        (&[], Some("v1 and v2 or v9")),
    ] {
        let mut options = vec!["status".to_owned(), "--verbose".to_owned()];
        let mut backup = scene
            .backup()
            .arg(format!("changelog={}", folder.display()))
            .args(["--set", "changelog=all.yaml", "--dry-run", "--json"]);
        if !contexts.is_empty() {
            options.push(format!("--contexts={}", contexts.join(",")));
        }
        for context in contexts {
            backup = backup.args(["--set", &format!("contexts={context}")]);
        }
        if let Some(labels) = labels {
            options.push(format!("--label-filter={labels}"));
            backup = backup.args(["--set", &format!("label_filter={labels}")]);
        }
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        let said = scene
            .liquibase
            .command(&source, &folder, "all.yaml", &options)
            .run()
            .succeeds()
            .text();
        let expected: Vec<&str> = said
            .lines()
            .filter_map(|line| line.strip_prefix("     "))
            .collect();
        assert!(expected.len() > 10, "{said}");

        let outcome = backup.run().succeeds();
        let found = findings(&outcome);
        let pending = found
            .iter()
            .find_map(|finding| finding.strip_prefix("liquibase.history.pending: "))
            .expect("pending change sets");
        let pending = pending.split_once(": ").unwrap().1.trim_end_matches('.');
        let shown: Vec<&str> = pending.split(" and ").next().unwrap().split(", ").collect();
        assert_eq!(shown, expected[..shown.len()], "{contexts:?} {labels:?}");
        assert!(
            found.iter().any(|finding| finding.contains(&format!(
                "{} change sets of Liquibase are pending",
                expected.len()
            ))),
            "{found:?}"
        );
    }
}

/// A history as Flyway writes it, with migrations that have run in this order.
fn flyway_history(database: &Database, rows: &[(&str, &str, bool)]) {
    database.run(
        "CREATE TABLE flyway_schema_history (installed_rank int PRIMARY KEY, version varchar(50), description varchar(200) NOT NULL, \
         type varchar(20) NOT NULL, script varchar(1000) NOT NULL, checksum int, installed_by varchar(100) NOT NULL, \
         installed_on timestamp NOT NULL DEFAULT now(), execution_time int NOT NULL, success boolean NOT NULL);\n\
         CREATE TABLE item (id int); INSERT INTO item SELECT generate_series(1, 100);",
    );
    for (rank, (version, description, success)) in rows.iter().enumerate() {
        database.run(format!(
            "INSERT INTO flyway_schema_history VALUES ({}, '{version}', '{description}', 'SQL', 'V{version}__{description}.sql', 1, 'app', now(), 1, {success})",
            rank + 1
        ));
    }
}

/// A stand-in for Flyway, which runs the migration of version 3.
fn install_flyway(scene: &Scene) {
    let options = scene.target().options().join(" ");
    scene.environment.install_program(
        "flyway",
        &format!(
            "#!/bin/sh\ncase \"$FLYWAY_URL\" in jdbc:postgresql://127.0.0.1:{}/flyway) ;; *) exit 9;; esac\n\
             exec /usr/bin/psql -X -q -v ON_ERROR_STOP=1 {} -c \"ALTER TABLE item ADD name text; \
             INSERT INTO flyway_schema_history VALUES (9, '3', 'names', 'SQL', 'V3__names.sql', 1, 'app', now(), 1, true)\"\n",
            scene.new_server.port(),
            options.replace("-d app", "-d flyway")
        ),
    );
}

#[test]
fn a_database_of_flyway_is_migrated_and_one_with_a_failed_or_unknown_migration_refused() {
    let Some(scene) = Scene::new() else { return };
    install_flyway(&scene);
    for name in [
        "V1__items.sql",
        "V2__more.sql",
        "V3__names.sql",
        "R__views.txt",
    ] {
        scene
            .environment
            .write(&format!("migrations/{name}"), "SELECT 1;");
    }
    let backup = |database: &str| {
        let program = scene.environment.copal([
            "backup",
            "liquibase",
            "--yes",
            "--set",
            &format!("database={database}"),
        ]);
        granted(at(program, &scene.old_server)).run().succeeds()
    };
    let restore = || {
        let program = scene.environment.copal([
            "restore",
            "latest",
            "--yes",
            "--intent",
            "migrate",
            "--set",
            "database=flyway",
        ]);
        granted(at(program, &scene.new_server))
            .args([
                "--to",
                &format!(
                    "changelog={}",
                    scene.environment.path("migrations").display()
                ),
            ])
            .args([
                "--set",
                "migrate=[\"flyway\", \"migrate\"]",
                "--grant",
                "run:FLYWAY_URL= FLYWAY_USER= flyway migrate",
            ])
    };
    let target = scene.new_server.create("flyway");

    flyway_history(
        &scene.old_server.create("failed"),
        &[("1", "items", true), ("2", "more", false)],
    );
    let outcome = backup("failed");
    assert!(
        outcome.text().contains("liquibase.flyway.failed"),
        "{}",
        outcome.text()
    );
    scene
        .environment
        .refused(restore(), 1)
        .says("liquibase.flyway.failed");

    flyway_history(
        &scene.old_server.create("ahead"),
        &[("1", "items", true), ("2.1", "hotfix", true)],
    );
    backup("ahead");
    scene
        .environment
        .refused(restore(), 1)
        .says("V2.1__hotfix.sql");
    assert_eq!(tables(&target), 0);

    let source = scene.old_server.create("flyway");
    flyway_history(&source, &[("1", "items", true), ("2", "more", true)]);
    backup("flyway");
    restore().run().succeeds();
    assert_eq!(
        target.digests_as_in(&source)["item"],
        source.digests()["item"]
    );
    assert_eq!(
        target.query("SELECT version FROM flyway_schema_history ORDER BY 1"),
        ["1", "2", "3"]
    );
}

#[test]
fn a_role_that_owns_its_database_alone_restores_into_it_and_replaces_it() {
    let Some(scene) = Scene::new() else { return };
    scene
        .backup()
        .args([
            "--set",
            "dump_options=--no-owner",
            "--set",
            "dump_options=--no-privileges",
        ])
        .args(["--grant", "run:pg_dump -w --no-owner --no-privileges -d *"])
        .run()
        .succeeds();
    let server = scene.new_server.database("postgres");
    server.run("CREATE ROLE owner LOGIN");
    server.run("ALTER DATABASE app OWNER TO owner");
    for replace in ["replace=false", "replace=true"] {
        let port = format!("port={}", scene.new_server.port());
        let settings = [
            "host=127.0.0.1",
            port.as_str(),
            "user=owner",
            "database=app",
            replace,
        ];
        let restore = scene.environment.copal(["restore", "latest", "--yes"]);
        let restore = settings.iter().fold(granted(restore), |restore, setting| {
            restore.args(["--set", setting])
        });
        restore.run().succeeds();
        assert_eq!(
            scene.target().digests()["note"],
            scene.source().digests()["note"],
            "{replace}"
        );
        assert_eq!(
            scene
                .target()
                .query("SELECT nspowner::regrole FROM pg_namespace WHERE nspname = 'public'"),
            ["pg_database_owner"]
        );
    }
}

#[test]
fn a_database_without_a_history_is_refused() {
    let Some(scene) = Scene::new() else { return };
    scene.source().run("DROP TABLE databasechangelog");
    scene
        .environment
        .refused(scene.backup(), 1)
        .says("neither a history of Liquibase nor one of Flyway");
}

#[test]
fn a_password_is_shown_nowhere() {
    let Some(scene) = Scene::new() else { return };
    let secret = scene.environment.write("password", "hunter2-hunter2");
    let with_password = |program: Program| {
        program
            .args(["--set-file", &format!("password={}", secret.display())])
            .args(["--grant", "probe:PGPASSWORD= psql -X -w -q -A -t -v ON_ERROR_STOP=1 -d *", "--grant", "run:PGPASSWORD= pg_dump -w -d *"])
            .args(["--grant", "run:PGPASSWORD= psql -X -w -q -A -t -v ON_ERROR_STOP=1 -d *"])
            .args(["--grant", "run:LIQUIBASE_COMMAND_PASSWORD= LIQUIBASE_COMMAND_URL= LIQUIBASE_COMMAND_USERNAME= liquibase --search-path={root:changelog} --changelog-file=db/changelog.yaml update"])
    };
    let mut said = String::new();
    for program in [scene.backup(), scene.restore(&scene.new)] {
        let outcome = with_password(program).arg("-vv").run().succeeds();
        said += &outcome.text();
        said += &outcome.stderr;
    }
    said += &scene.environment.manifest().to_string();
    assert!(!said.contains("hunter2"), "{said}");
    scene.has_migrated();
}
