//! Metabases with real application databases, in PostgreSQL and in H2 files of every format, backed up and restored with every intent.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use std::path::{Path, PathBuf};

use copal_tests::metabase::{Api, H2, NOBODY, in_postgres};
use copal_tests::postgres::{Database, Postgres};
use copal_tests::programs;
use copal_tests::{Program, TestEnvironment};
use rustix::process::Signal;

/// What a plan for PostgreSQL asks for.
const GRANTS: [&str; 4] = [
    "run:psql -X -w -q -A -t -v ON_ERROR_STOP=1 -p * -h * -U postgres -d * -f -",
    "run:pg_dump --no-password --no-owner --no-privileges --no-comments --exclude-table-data=query_cache -p * -h * -U postgres -d *",
    "run:sleep *",
    "probe:psql -X -w -q -A -t -v ON_ERROR_STOP=1 -p * -h * -U postgres -d * -f -",
];

/// Saves what the target holds before a migration.
const SAFEGUARD: &str = r#"run:sh -ec 'cat; "$@"; echo "COMMIT;"' sh pg_dump --no-password --no-owner --no-privileges --no-comments --exclude-table-data=query_cache -p * -h * -U postgres -d *"#;

/// What a node is about to do it does not do once it was paused: then it waits again.
const TRIGGERS: &str = "SELECT trigger_name, replace(trigger_state, 'ACQUIRED', 'WAITING') FROM qrtz_triggers ORDER BY 1";
const SETTINGS: &str =
    "SELECT key, value FROM setting WHERE key <> 'settings-last-updated' ORDER BY 1";

/// A Metabase in use, with its application database in PostgreSQL.
struct Scene {
    environment: TestEnvironment,
    server: Postgres,
    source: Database,
}

impl Scene {
    /// None where PostgreSQL is not installed.
    fn new() -> Option<Self> {
        let server = Postgres::start()?;
        let source = server.create("metabase");
        source.run(in_postgres());
        Some(Self {
            environment: TestEnvironment::with_repository(),
            server,
            source,
        })
    }

    /// A new database in which a Metabase has been started, and which nobody has set up.
    fn fresh(&self, name: &str) -> Database {
        let database = self.server.create(name);
        database.run(in_postgres());
        database.run(format!(
            "{NOBODY} DELETE FROM setting WHERE key = 'site-uuid'"
        ));
        database
    }

    /// A backup of the source. Its nodes look for changed settings every second.
    fn backup(&self) -> Program {
        // A backup of streams alone has no roots.
        let program = self.environment.copal(["backup", "--yes", "metabase"]);
        with_database(program, &self.source).args(["--set", "cache_interval=1"])
    }

    fn restore(&self, target: &Database, intent: &str) -> Program {
        let program = self
            .environment
            .copal(["restore", "latest", "--yes", "--intent", intent]);
        with_database(program, target)
    }

    /// Sees that a restore is refused for a reason and touches nothing.
    #[track_caller]
    fn refuses(&self, restore: Program, target: &Database, code: &str) {
        let before = target.digests();
        self.environment
            .refused(restore, 1)
            .is("refused")
            .says(code);
        assert_eq!(target.digests(), before, "{code}: the target was changed");
    }

    /// What a backup must leave as it was.
    fn state(&self) -> [Vec<String>; 3] {
        [
            self.source.query(TRIGGERS),
            self.source.query(SETTINGS),
            self.source.digests().into_keys().collect(),
        ]
    }

    /// Makes `pg_dump` a program that says where it is and waits.
    fn slow_dump(&self) -> PathBuf {
        let started = self.environment.path("dumping");
        self.environment.install_program(
            "pg_dump",
            &format!(
                "#!/bin/sh\necho SELECT 1\ntouch '{}'\nexec sleep 120\n",
                started.display()
            ),
        );
        started
    }
}

fn with_database(program: Program, database: &Database) -> Program {
    let options = database.options();
    let mut program = program;
    for (key, option) in [
        ("db_host", 1),
        ("db_port", 3),
        ("db_user", 5),
        ("db_dbname", 7),
    ] {
        program = program.args(["--set", &format!("{key}={}", options[option])]);
    }
    GRANTS
        .iter()
        .fold(program, |program, grant| program.args(["--grant", grant]))
}

fn wait_for(file: &Path) {
    for _ in 0..1_200 {
        if file.exists() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("{} never came", file.display());
}

/// What every restored database must be like, whatever the intent.
#[track_caller]
fn is_ready(database: &Database) {
    for (what, query) in [
        ("sessions", "SELECT count(*) FROM core_session"),
        ("nodes", "SELECT count(*) FROM qrtz_scheduler_state"),
        ("fired", "SELECT count(*) FROM qrtz_fired_triggers"),
        ("locks", "SELECT count(*) FROM qrtz_locks"),
        (
            "held",
            "SELECT count(*) FROM databasechangeloglock WHERE locked",
        ),
        (
            "read-only",
            "SELECT count(*) FROM setting WHERE key = 'read-only-mode'",
        ),
        (
            "uploads",
            "SELECT count(*) FROM cloud_migration WHERE state = 'upload'",
        ),
        (
            "record",
            "SELECT count(*) FROM pg_class WHERE relname = 'copal_quiesce'",
        ),
        ("cache", "SELECT count(*) FROM query_cache"),
    ] {
        assert_eq!(database.query(query), ["0"], "{what}");
    }
}

/// The tables that a restore gives back as they were.
const WHOLE: [&str; 7] = [
    "core_user",
    "databasechangelog",
    "metabase_database",
    "qrtz_job_details",
    "report_card",
    "report_dashboard",
    "secret",
];

#[test]
fn a_running_metabase_is_paused_while_it_is_dumped_and_goes_on_as_it_was() {
    let Some(scene) = Scene::new() else { return };
    let before = scene.state();
    scene.backup().run().succeeds();
    assert_eq!(scene.state(), before);
    let dump = scene
        .environment
        .copal(["dump", "latest", "streams/metabase.sql"])
        .run()
        .succeeds()
        .text();
    assert!(
        dump.contains("read-only-mode\ttrue"),
        "it was not read-only"
    );
    assert!(
        dump.contains("\t1719824400000\tPAUSED\n") && !dump.contains("\t1719824400000\tWAITING\n"),
        "its scheduler was not paused"
    );
    let manifest = scene.environment.manifest();
    assert_eq!(manifest["complete"], true, "{manifest:#}");
    let facts = &manifest["facts"];
    assert_eq!(facts["changeset"], 50, "{facts:#}");
    assert_eq!(facts["encrypted"], false);
    assert_eq!(facts["consistency"], "read-only");
}

#[test]
fn a_migration_brings_everything_but_what_belongs_to_the_old_place() {
    let Some(scene) = Scene::new() else { return };
    scene.backup().run().succeeds();
    let target = scene.fresh("new");
    target.run("CREATE TABLE newer (id integer PRIMARY KEY REFERENCES core_user (id))");
    scene
        .restore(&target, "migrate")
        .args([
            "--set",
            "site_url=https://new.example",
            "--set",
            "version=v0.50.3",
        ])
        .run()
        .succeeds();
    is_ready(&target);
    let (old, new) = (scene.source.digests(), target.digests());
    for table in WHOLE {
        assert_eq!(new[table], old[table], "{table}");
    }
    assert!(!new.contains_key("newer"), "a table of the target is left");
    assert_eq!(
        target.query(TRIGGERS),
        [
            "pulse.1|PAUSED",
            "sync.1|WAITING",
            "sync.2|WAITING",
            "sync.3|WAITING"
        ]
    );
    assert_eq!(
        target
            .query("SELECT value FROM setting WHERE key IN ('site-url', 'site-uuid') ORDER BY key"),
        [
            "https://new.example",
            "d1f0b4c2-6a0e-4a53-9a55-3f8f0f3b8b11"
        ]
    );
    // The history of logins outlives the sessions that it names.
    assert_eq!(
        target.query("SELECT count(*), count(session_id) FROM login_history"),
        ["3|0"]
    );
}

/// `copal migrate` from the source into a database.
fn migrate(scene: &Scene, target: &Database) -> Program {
    let program = scene.environment.copal(["migrate", "--yes", "metabase"]);
    let program = with_database(program, &scene.source).args(["--set", "cache_interval=1"]);
    let options = target.options();
    [
        ("db_host", 1),
        ("db_port", 3),
        ("db_user", 5),
        ("db_dbname", 7),
    ]
    .iter()
    .fold(program, |program, (key, option)| {
        program.args(["--to-set", &format!("{key}={}", options[*option])])
    })
    .args(["--to-set", "version=v0.50.3"])
    .args(["--grant", SAFEGUARD])
}

#[test]
fn a_first_migration_in_one_piece_can_be_rolled_back() {
    let Some(scene) = Scene::new() else { return };
    let before = scene.state();
    let target = scene.fresh("new");
    target.run("CREATE TABLE newer (id integer PRIMARY KEY REFERENCES core_user (id))");
    let held = target.digests();
    migrate(&scene, &target).run().succeeds();
    assert_eq!(scene.state(), before);
    is_ready(&target);
    let (old, new) = (scene.source.digests(), target.digests());
    for table in WHOLE {
        assert_eq!(new[table], old[table], "{table}");
    }
    scene
        .environment
        .copal([
            "rollback", "--yes", "--grant", GRANTS[0], "--grant", SAFEGUARD,
        ])
        .run()
        .succeeds();
    assert_eq!(target.digests(), held);
}

#[test]
fn a_rollback_that_breaks_off_leaves_the_target_as_it_was() {
    let Some(scene) = Scene::new() else { return };
    let target = scene.fresh("new");
    let held = target.digests();
    migrate(&scene, &target).run().succeeds();
    let migrated = target.digests();
    let rollback = || {
        let rollback = scene.environment.copal(["rollback", "--yes"]);
        rollback.args(["--grant", GRANTS[0], "--grant", SAFEGUARD])
    };
    let psql = programs::find("psql").unwrap();
    scene.environment.install_program(
        "psql",
        &format!(
            "#!/bin/sh\nsed '/^COPY public.setting /q' | '{}' \"$@\"\nexit 1\n",
            psql.display()
        ),
    );
    rollback().run().exits(1);
    assert_eq!(target.digests(), migrated);
    std::fs::remove_file(scene.environment.path("programs/psql")).unwrap();
    rollback().run().succeeds();
    assert_eq!(target.digests(), held);
}

#[test]
fn a_migration_that_is_killed_is_resumed_and_finished() {
    let Some(scene) = Scene::new() else { return };
    let before = scene.state();
    let target = scene.fresh("new");
    let held = target.digests();
    let dumping = scene.slow_dump();
    let migration = migrate(&scene, &target).start();
    wait_for(&dumping);
    migration.signal(Signal::KILL);
    migration.wait();
    scene.environment.copal(["resume"]).run().succeeds();
    assert_eq!(scene.state(), before);
    assert_eq!(target.digests(), held, "the target was touched");
    std::fs::remove_file(scene.environment.path("programs/pg_dump")).unwrap();
    migrate(&scene, &target).arg("--resume").run().succeeds();
    is_ready(&target);
    assert_eq!(
        target.digests()["core_user"],
        scene.source.digests()["core_user"]
    );
}

#[test]
fn a_drill_proves_that_the_database_can_be_restored() {
    use std::os::unix::fs::PermissionsExt;
    let Some(scene) = Scene::new() else { return };
    let options = scene.source.options();
    // The scratch server runs as another user, who has to get to its folder.
    let temporary = tempfile::Builder::new()
        .prefix("copal-tmp-")
        .tempdir()
        .unwrap();
    std::fs::set_permissions(temporary.path(), PermissionsExt::from_mode(0o1777)).unwrap();
    let psql = "psql -X -w -q -A -t -v ON_ERROR_STOP=1 -p";
    let jobs = format!(
        r#"
[repository]
url = {repository:?}

[jobs.metabase]
plugin = "metabase"
config = {{ db_host = {host:?}, db_port = {port}, db_user = "postgres", db_dbname = "metabase", cache_interval = 1 }}
grants = ["probe:{psql} * -h * -U * -d * -f -", "run:{psql} * -h * -U * -d * -f -", {dump:?}, "run:sleep *"]

[jobs.metabase.drill]
config = {{ db_host = "{{postgres.host}}", db_user = "{{postgres.user}}", db_dbname = "metabase" }}
grants = [
    'probe:{psql} 5432 -h {place}/copal-drill-*"-pg" -U postgres -d metabase -f -',
    'run:{psql} 5432 -h {place}/copal-drill-*"-pg" -U postgres -d metabase -f -',
]

[jobs.metabase.drill.postgres]
databases = ["metabase"]
"#,
        repository = scene.environment.repository(),
        host = options[1],
        port = options[3],
        dump = GRANTS[1],
        place = temporary.path().display(),
    );
    let config = scene.environment.write("copal.toml", jobs);
    let with_job = |command: &[&str]| {
        let program = scene
            .environment
            .copal(command)
            .env("TMPDIR", temporary.path());
        program.arg("--config").arg(&config)
    };
    with_job(&["backup", "--yes", "--job", "metabase"])
        .run()
        .succeeds();
    let evidence = scene.environment.path("evidence");
    let drill = with_job(&["drill", "metabase", "--json"])
        .arg("--evidence")
        .arg(evidence);
    let outcome = drill.run().succeeds();
    assert!(
        outcome.text().contains("metabase.verify.whole"),
        "{}",
        outcome.text()
    );
}

#[test]
fn a_clone_has_no_identity_and_sends_nothing() {
    let Some(scene) = Scene::new() else { return };
    scene.backup().run().succeeds();
    let target = scene.server.create("clone");
    scene.restore(&target, "clone").run().succeeds();
    is_ready(&target);
    assert_eq!(
        target.query("SELECT key FROM setting WHERE key <> 'settings-last-updated' ORDER BY 1"),
        ["encryption-check", "site-name"]
    );
    assert_eq!(
        target.query("SELECT DISTINCT trigger_state FROM qrtz_triggers"),
        ["PAUSED"]
    );
    assert_eq!(
        target.query("SELECT trigger_group FROM qrtz_paused_trigger_grps"),
        ["_$_ALL_GROUPS_PAUSED_$_"]
    );
    assert_eq!(
        target.digests()["report_card"],
        scene.source.digests()["report_card"]
    );
}

#[test]
fn a_dump_that_breaks_off_while_it_is_loaded_leaves_the_target_as_it_was() {
    let Some(scene) = Scene::new() else { return };
    scene.backup().run().succeeds();
    let dump = scene
        .environment
        .copal(["dump", "latest", "streams/metabase.sql"])
        .run()
        .succeeds();
    // Behind the emptying of the schema, in the middle of the rows.
    let copy = dump.text().find("COPY ").unwrap();
    let limit = copy + (dump.stdout.len() - copy) / 2;
    let psql = programs::find("psql").unwrap();
    scene.environment.install_program(
        "psql",
        &format!("#!/bin/sh\nhead -c {limit} | '{}' \"$@\"\n", psql.display()),
    );
    let target = scene.fresh("cut");
    let before = target.digests();
    let failed = scene.restore(&target, "migrate").run().exits(1);
    assert!(failed.stderr.contains("metabase.sql"), "{}", failed.stderr);
    assert_eq!(target.digests(), before);
}

#[test]
fn a_recovery_takes_the_place_of_the_same_metabase() {
    let Some(scene) = Scene::new() else { return };
    let cards = scene.source.digests()["report_card"].clone();
    scene.backup().run().succeeds();
    scene.source.run("DELETE FROM report_card");
    scene.restore(&scene.source, "recover").run().succeeds();
    is_ready(&scene.source);
    assert_eq!(scene.source.digests()["report_card"], cards);
}

#[test]
fn a_failed_dump_leaves_metabase_writable_and_its_scheduler_running() {
    let Some(scene) = Scene::new() else { return };
    let before = scene.state();
    scene.environment.install_program(
        "pg_dump",
        "#!/bin/sh\necho SELECT 1\necho no space >&2\nexit 1\n",
    );
    scene.backup().run().exits(3).says("no space");
    assert_eq!(scene.state(), before);
}

#[test]
fn a_cancelled_backup_leaves_metabase_writable_and_its_scheduler_running() {
    let Some(scene) = Scene::new() else { return };
    let before = scene.state();
    let dumping = scene.slow_dump();
    let backup = scene.backup().start();
    wait_for(&dumping);
    assert_ne!(scene.state(), before, "nothing was paused");
    backup.signal(Signal::INT);
    backup.wait().exits(130);
    assert_eq!(scene.state(), before);
    assert!(scene.environment.snapshots().is_empty());
}

#[test]
fn what_a_killed_backup_left_paused_is_resumed() {
    let Some(scene) = Scene::new() else { return };
    let before = scene.state();
    let dumping = scene.slow_dump();
    let backup = scene.backup().start();
    wait_for(&dumping);
    backup.signal(Signal::KILL);
    backup.wait();
    assert_ne!(scene.state(), before, "it took itself back");
    scene.environment.copal(["resume"]).run().succeeds();
    assert_eq!(scene.state(), before);
}

#[test]
fn a_backup_lets_go_on_what_a_lost_one_left_paused() {
    let Some(scene) = Scene::new() else { return };
    let before = scene.state();
    let dumping = scene.slow_dump();
    let backup = scene.backup().start();
    wait_for(&dumping);
    backup.signal(Signal::KILL);
    backup.wait();
    // The machine that knew of it is gone.
    std::fs::remove_dir_all(scene.environment.path("state")).unwrap();
    std::fs::remove_file(scene.environment.path("programs/pg_dump")).unwrap();
    scene.environment.copal(["unlock"]).run();
    let outcome = scene.backup().arg("--json").run().succeeds();
    assert!(
        outcome.text().contains("metabase.paused"),
        "{}",
        outcome.text()
    );
    assert_eq!(scene.state(), before);
}

#[test]
fn a_metabase_with_an_api_is_told_and_need_not_notice() {
    let Some(scene) = Scene::new() else { return };
    let api = Api::start();
    let key = scene.environment.write("key", Api::KEY);
    let with_api = |program: Program| {
        program
            .args(["--set", &format!("api_url={}", api.url())])
            .arg("--set-file")
            .arg(format!("api_key={}", key.display()))
            .args([
                "--grant",
                "run:curl --config *",
                "--grant",
                "probe:curl -fsS --max-time 20 *",
            ])
    };
    let plan = with_api(scene.backup())
        .args(["--dry-run", "--json"])
        .run()
        .succeeds()
        .text();
    assert!(
        !plan.contains("wait-for-nodes") && !plan.contains(Api::KEY),
        "{plan}"
    );
    let outcome = with_api(scene.backup()).arg("-vv").run().succeeds();
    assert!(!(outcome.text() + &outcome.stderr).contains(Api::KEY));
    assert_eq!(api.asked(), [r#"{"value": true}"#, r#"{"value": false}"#]);
    assert_eq!(
        scene.environment.manifest()["facts"]["metabaseVersion"],
        "v0.50.3"
    );

    scene
        .source
        .run("INSERT INTO qrtz_scheduler_state VALUES ('MetabaseScheduler', 'node2', 1, 7500)");
    let plan = with_api(scene.backup())
        .args(["--dry-run", "--json"])
        .run()
        .succeeds()
        .text();
    assert!(
        plan.contains("wait-for-nodes"),
        "a cluster has to notice: {plan}"
    );
}

#[test]
fn a_database_whose_schema_is_changing_is_refused() {
    let Some(scene) = Scene::new() else { return };
    scene
        .source
        .run("UPDATE databasechangeloglock SET locked = true, lockedby = 'node1'");
    scene
        .environment
        .refused(scene.backup(), 1)
        .is("refused")
        .says("metabase.changing");
}

#[test]
fn a_database_that_is_no_metabases_is_refused() {
    let Some(scene) = Scene::new() else { return };
    let other = scene.server.create("other");
    let backup = with_database(
        scene.environment.copal(["backup", "--yes", "metabase"]),
        &other,
    );
    scene
        .environment
        .refused(backup, 1)
        .is("refused")
        .says("metabase.database.unread");
}

#[test]
fn a_restore_under_an_older_metabase_is_refused() {
    let Some(scene) = Scene::new() else { return };
    scene.backup().run().succeeds();
    let target = scene.fresh("new");
    let restore = scene
        .restore(&target, "migrate")
        .args(["--set", "version=v0.49.9"]);
    scene.refuses(restore, &target, "metabase.version.downgrade");
    target.run("DELETE FROM databasechangelog WHERE id LIKE 'v50.%'");
    scene.refuses(
        scene.restore(&target, "migrate"),
        &target,
        "metabase.version.downgrade",
    );
}

#[test]
fn a_restore_over_people_who_work_is_refused() {
    let Some(scene) = Scene::new() else { return };
    scene.backup().run().succeeds();
    let target = scene.server.create("new");
    target.run(in_postgres());
    scene.refuses(
        scene.restore(&target, "migrate"),
        &target,
        "metabase.target.users",
    );
    target.run("UPDATE setting SET value = 'other' WHERE key = 'site-uuid'");
    scene.refuses(
        scene.restore(&target, "recover"),
        &target,
        "metabase.identity.differs",
    );
}

#[test]
fn a_restore_under_a_running_metabase_is_refused() {
    let Some(scene) = Scene::new() else { return };
    scene.backup().run().succeeds();
    let target = scene.fresh("new");
    target.run(
        "UPDATE qrtz_scheduler_state SET last_checkin_time = extract(epoch FROM now()) * 1000",
    );
    scene.refuses(
        scene.restore(&target, "migrate"),
        &target,
        "metabase.target.running",
    );
    scene
        .restore(&target, "migrate")
        .args(["--set", "stopped=true"])
        .run()
        .succeeds();
}

/// A value that the key `a key that is long enough` opens, made with Python's hashlib and openssl.
const ENCRYPTED: &str = "AAECAwQFBgcICQoLDA0OD+j2AcnqyRz1+x5im/cxJHSPDst+Mba9YLa3Wz9kpaKA4rV3BQlWM/482ivIXkVGOZBVYWT+Ha4Sz5kxNPBs7lq5tkqrZhbdJ/cDRNr0pUhi";

#[test]
fn an_encrypted_database_is_restored_with_its_key_alone() {
    let Some(scene) = Scene::new() else { return };
    scene.source.run(format!(
        "UPDATE setting SET value = '{ENCRYPTED}' WHERE key = 'encryption-check'"
    ));
    scene.backup().run().succeeds();
    let manifest = scene.environment.manifest();
    assert_eq!(manifest["facts"]["encrypted"], true, "{manifest:#}");

    let target = scene.fresh("new");
    let with_key = |text: &str| {
        let file = scene.environment.write("key", text);
        scene
            .restore(&target, "migrate")
            .arg("--set-file")
            .arg(format!("encryption_key={}", file.display()))
    };
    scene.refuses(
        scene.restore(&target, "migrate"),
        &target,
        "metabase.key.missing",
    );
    scene.refuses(
        with_key("another key of enough length"),
        &target,
        "metabase.key.wrong",
    );
    with_key("a key that is long enough").run().succeeds();
    assert_eq!(
        target.digests()["core_user"],
        scene.source.digests()["core_user"]
    );
}

#[test]
fn a_dump_of_postgresql_is_not_restored_into_a_folder() {
    let Some(scene) = Scene::new() else { return };
    scene.backup().run().succeeds();
    let folder = scene.environment.path("folder");
    let restore = scene
        .environment
        .copal(["restore", "latest", "--yes", "--to"])
        .arg(format!("data={}", folder.display()));
    scene
        .environment
        .refused(restore, 1)
        .is("refused")
        .says("metabase.restore.database");
}

#[test]
fn a_password_reaches_the_database_and_nothing_else() {
    let Some(scene) = Scene::new() else { return };
    let secret = "hunter2:is\\no password";
    let file = scene.environment.write("password", secret);
    let dumping = scene.slow_dump();
    let backup = scene
        .backup()
        .arg("--set-file")
        .arg(format!("db_pass={}", file.display()))
        .args(GRANTS.iter().flat_map(|grant| {
            let (kind, command) = grant.split_once(':').unwrap();
            [
                "--grant".to_owned(),
                format!("{kind}:PGPASSWORD= {command}"),
                "--grant".to_owned(),
                format!("{kind}:PGPASSFILE= {command}"),
            ]
        }))
        .arg("-vv");
    let running = backup.start();
    wait_for(&dumping);
    // What a job writes down, but for its scratch folder, which only its user can read.
    let journals = std::fs::read_dir(scene.environment.path("state")).unwrap();
    for file in journals
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
    {
        let journal = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(!journal.contains("hunter2"), "{}", file.display());
    }
    running.signal(Signal::INT);
    let outcome = running.wait().exits(130);
    assert!(!(outcome.text() + &outcome.stderr).contains("hunter2"));
}

#[test]
fn drivers_of_others_are_saved_and_metabases_own_are_not() {
    let Some(scene) = Scene::new() else { return };
    for driver in [
        "duckdb.metabase-driver.jar",
        "snowflake.metabase-driver.jar",
        "ojdbc8.jar",
    ] {
        scene
            .environment
            .write(&format!("plugins/{driver}"), driver);
    }
    let plugins = scene.environment.path("plugins");
    scene
        .backup()
        .arg(format!("plugins={}", plugins.display()))
        .run()
        .succeeds();
    let listing = scene
        .environment
        .copal(["ls", "latest"])
        .run()
        .succeeds()
        .text();
    assert!(listing.contains("duckdb.metabase-driver.jar") && listing.contains("ojdbc8.jar"));
    assert!(!listing.contains("snowflake"), "{listing}");
}

/// Metabase's file in a folder, in a world with a repository.
struct FileScene {
    environment: TestEnvironment,
    h2: H2,
    home: PathBuf,
}

/// What a plan for H2 asks for.
const H2_GRANTS: [&str; 3] = [
    "probe:java -cp * org.h2.tools.RunScript -url * -script /dev/stdin -showResults -continueOnError",
    "run:java -cp * org.h2.tools.RunScript -url * -script /dev/stdin -showResults",
    "run:java -cp * org.h2.tools.RunScript -url * -script /dev/stdin -showResults -continueOnError",
];

impl FileScene {
    fn new(h2: H2) -> Self {
        let environment = TestEnvironment::with_repository();
        let home = environment.path("old");
        h2.create(&home.join("metabase.db"));
        Self {
            environment,
            h2,
            home,
        }
    }

    fn source(&self) -> PathBuf {
        self.home.join("metabase.db")
    }

    fn with_h2(&self, program: Program) -> Program {
        let jar = format!("h2_jar={}", self.h2.jar().display());
        let program = program.args(["--set", "java=java", "--set", &jar]);
        H2_GRANTS
            .iter()
            .fold(program, |program, grant| program.args(["--grant", grant]))
    }

    fn backup(&self, further: &str) -> Program {
        self.with_h2(self.environment.backup("metabase", &self.home, further))
    }

    fn restore(&self, target: &Path, further: &str) -> Program {
        self.with_h2(self.environment.restore(target, further))
    }
}

#[test]
fn a_file_of_every_format_is_migrated_and_cloned() {
    let Some(jars) = H2::of_every_format() else {
        return;
    };
    for (format, h2) in (1..).zip(jars) {
        let scene = FileScene::new(h2);
        let file = scene.home.join("metabase.db.mv.db");
        let before = std::fs::read(&file).unwrap();
        scene.backup("--set stopped=true").run().succeeds();
        assert!(
            std::fs::read(&file).unwrap() == before,
            "the database was changed"
        );
        let manifest = scene.environment.manifest();
        assert_eq!(manifest["complete"], true, "{manifest:#}");
        assert_eq!(manifest["facts"]["h2Format"], format);
        assert_eq!(manifest["facts"]["changeset"], 50);

        for intent in ["migrate", "clone"] {
            let target = scene.environment.path(intent);
            scene
                .restore(&target, &format!("--intent {intent}"))
                .run()
                .succeeds();
            let restored = target.join("metabase.db");
            let query = |sql: &str| scene.h2.query(&restored, sql);
            assert_eq!(query("SELECT COUNT(*) FROM core_session"), ["0"]);
            assert_eq!(query("SELECT COUNT(*) FROM qrtz_scheduler_state"), ["0"]);
            assert_eq!(
                query("SELECT state FROM cloud_migration ORDER BY id"),
                ["cancelled", "done"]
            );
            assert_eq!(
                query("SELECT name FROM report_card ORDER BY id"),
                ["Orders", "Ünïcode 报表"]
            );
            let identity = query("SELECT COUNT(*) FROM setting WHERE \"KEY\" LIKE '%uuid%'");
            assert_eq!(identity, [if intent == "clone" { "0" } else { "3" }]);
        }
    }
}

#[test]
fn an_open_file_is_refused_and_copied_once_metabase_is_stopped() {
    let Some(h2) = H2::debian() else { return };
    let scene = FileScene::new(h2);
    let mut live = scene.h2.tool(&scene.source(), "").start();
    live.send(b"DELETE FROM report_dashboard;\n");
    let file = scene.home.join("metabase.db.mv.db");
    for _ in 0..400 {
        let bytes = std::fs::read(&file).unwrap();
        if !String::from_utf8_lossy(&bytes[..256]).contains("clean:1") {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    scene
        .environment
        .refused(scene.backup(""), 1)
        .is("refused")
        .says("metabase.h2.unclean");
    scene.environment.install_program(
        "docker",
        &format!(
            "#!/bin/sh\ncase $1 in inspect) echo true;; stop) kill {pid}; while kill -0 {pid} 2>/dev/null && \
             ! grep -q zombie /proc/{pid}/status; do sleep 0.05; done;; start) touch '{started}';; esac\n",
            pid = live.id(),
            started = scene.environment.path("started").display()
        ),
    );
    scene
        .backup("--set container=metabase")
        .args(["--grant", "probe:docker inspect -f * metabase"])
        .args([
            "--grant",
            "run:docker stop metabase",
            "--grant",
            "run:docker start metabase",
        ])
        .run()
        .succeeds();
    assert!(
        scene.environment.path("started").exists(),
        "it was not started again"
    );
}

#[test]
fn a_target_with_people_or_an_unreadable_one_is_refused() {
    let Some(h2) = H2::debian() else { return };
    let scene = FileScene::new(h2);
    scene.backup("--set stopped=true").run().succeeds();
    let target = scene.environment.path("new");
    scene.h2.create(&target.join("metabase.db"));
    scene
        .environment
        .refused(scene.restore(&target, "--intent migrate"), 1)
        .is("refused")
        .says("metabase.target.users");
    let without = scene.environment.restore(&target, "--intent migrate");
    scene
        .environment
        .refused(without, 1)
        .is("refused")
        .says("metabase.target.unread");
    scene.h2.run(&target.join("metabase.db"), NOBODY);
    scene.restore(&target, "--intent migrate").run().succeeds();
    assert_eq!(
        scene.h2.query(
            &target.join("metabase.db"),
            "SELECT COUNT(*) FROM core_user"
        ),
        ["3"]
    );
}

#[test]
fn without_java_the_sql_is_told_to_the_operator_and_works() {
    let Some(h2) = H2::debian() else { return };
    let scene = FileScene::new(h2);
    let backup = scene
        .environment
        .backup("metabase", &scene.home, "--set stopped=true");
    backup.run().succeeds();
    let target = scene.environment.path("new");
    let plan = scene
        .environment
        .restore(&target, "--intent clone --dry-run --json")
        .run()
        .succeeds()
        .json();
    scene
        .environment
        .restore(&target, "--intent clone")
        .run()
        .succeeds();
    let findings = plan["plan"]["findings"].as_array().unwrap();
    let told = findings
        .iter()
        .find(|finding| finding["code"] == "metabase.sql.by-hand")
        .expect("the SQL is told");
    let (_, sql) = told["remedy"].as_str().unwrap().split_once('\n').unwrap();
    let restored = target.join("metabase.db");
    assert_eq!(
        scene
            .h2
            .query(&restored, "SELECT COUNT(*) FROM core_session"),
        ["2"]
    );
    scene.h2.run(&restored, sql);
    assert_eq!(
        scene
            .h2
            .query(&restored, "SELECT COUNT(*) FROM core_session"),
        ["0"]
    );
}

/// Makes `java` a program that is Metabase where it is asked to be, and Java else. Metabase dumps and loads the sample, and notes what it was told.
fn install_metabase(scene: &Scene, h2: &H2) {
    let sample = scene.environment.path("sample.mv.db");
    h2.create(&scene.environment.path("sample"));
    let to_postgres = scene.environment.write("sample.sql", in_postgres());
    let script = format!(
        r#"#!/bin/sh
for word; do last=$word; case $word in dump-to-h2|load-from-h2|version) verb=$word;; esac; done
log='{log}'
case $verb in
version) echo '{{:date "2024-06-20", :tag "v0.50.3"}}' ;;
dump-to-h2)
  psql -X -At -h "$MB_DB_HOST" -p "$MB_DB_PORT" -U "$MB_DB_USER" -d "$MB_DB_DBNAME" -c "SELECT value FROM setting WHERE key = 'read-only-mode'" >> "$log"
  [ -e '{broken}' ] && {{ echo 'no heap' >&2; exit 1; }}
  [ -e '{meddled}' ] && psql -X -q -h "$MB_DB_HOST" -p "$MB_DB_PORT" -U "$MB_DB_USER" -d "$MB_DB_DBNAME" -c "DELETE FROM setting WHERE key = 'read-only-mode'"
  cp '{sample}' "$last.mv.db" ;;
load-from-h2)
  [ -f "$last.mv.db" ] || {{ echo "no $last.mv.db" >&2; exit 1; }}
  psql -X -q -v ON_ERROR_STOP=1 -h "$MB_DB_HOST" -p "$MB_DB_PORT" -U "$MB_DB_USER" -d "$MB_DB_DBNAME" -f '{to_postgres}' ;;
*) exec /usr/bin/java "$@" ;;
esac
"#,
        log = scene.environment.path("dumped").display(),
        broken = scene.environment.path("broken").display(),
        meddled = scene.environment.path("meddled").display(),
        sample = sample.display(),
        to_postgres = to_postgres.display(),
    );
    scene.environment.install_program("java", &script);
}

/// What a plan with `java` and `jar` asks for.
fn with_metabase(program: Program, h2: &H2) -> Program {
    let jar = h2.jar().display();
    let variables = "run:MB_DB_DBNAME= MB_DB_HOST= MB_DB_PORT= MB_DB_TYPE= MB_DB_USER= java --add-opens java.base/java.nio=ALL-UNNAMED -jar * *-h2 *";
    let grants = [
        variables,
        "probe:java -jar * version",
        "run:cat {scratch}/metabase.db.mv.db",
        "run:dd of=* bs=1M conv=fsync status=none",
    ];
    let program = program.args(["--set", "java=java", "--set", &format!("jar={jar}")]);
    let program = program.args(["--set", "version=v0.50.3"]);
    grants
        .iter()
        .chain(&H2_GRANTS)
        .fold(program, |program, grant| program.args(["--grant", grant]))
}

#[test]
fn metabase_dumps_itself_where_its_jar_is_there_and_loads_the_dump_into_both_databases() {
    let (Some(scene), Some(h2)) = (Scene::new(), H2::debian()) else {
        return;
    };
    install_metabase(&scene, &h2);
    let before = scene.state();
    with_metabase(scene.backup(), &h2).run().succeeds();
    assert_eq!(scene.state(), before);
    let noted = std::fs::read_to_string(scene.environment.path("dumped")).unwrap();
    assert_eq!(noted, "true\n", "it was not read-only while it was dumped");
    assert_eq!(
        scene.environment.manifest()["facts"]["metabaseVersion"],
        "v0.50.3"
    );

    let folder = scene.environment.make_directory("folder");
    let restore = scene
        .environment
        .copal(["restore", "latest", "--yes", "--intent", "migrate", "--to"])
        .arg(format!("data={}", folder.display()));
    with_metabase(restore, &h2).run().succeeds();
    let restored = folder.join("metabase.db");
    assert_eq!(
        h2.query(&restored, "SELECT COUNT(*) FROM core_session"),
        ["0"]
    );
    assert_eq!(h2.query(&restored, "SELECT COUNT(*) FROM core_user"), ["3"]);

    let target = scene.fresh("new");
    with_metabase(scene.restore(&target, "migrate"), &h2)
        .run()
        .succeeds();
    is_ready(&target);
    assert_eq!(
        target.digests()["core_user"],
        scene.source.digests()["core_user"]
    );
}

#[test]
fn a_restore_that_had_the_database_emptied_can_be_rolled_back() {
    let (Some(scene), Some(h2)) = (Scene::new(), H2::debian()) else {
        return;
    };
    install_metabase(&scene, &h2);
    with_metabase(scene.backup(), &h2).run().succeeds();
    let target = scene.fresh("new");
    target.run("CREATE TABLE newer (id integer PRIMARY KEY REFERENCES core_user (id))");
    let held = target.digests();
    with_metabase(scene.restore(&target, "migrate"), &h2)
        .args(["--safety", "--grant", SAFEGUARD])
        .run()
        .succeeds();
    let new = target.digests();
    assert!(!new.contains_key("newer"), "a table of the target is left");
    assert_eq!(new["core_user"], scene.source.digests()["core_user"]);
    // It can be done again.
    for _ in 0..2 {
        scene
            .environment
            .copal(["rollback", "--yes"])
            .args(["--grant", GRANTS[0], "--grant", SAFEGUARD])
            .run()
            .succeeds();
        assert_eq!(target.digests(), held);
    }
}

#[test]
fn a_jar_that_would_upgrade_the_database_is_not_asked_to_dump_it() {
    let (Some(scene), Some(h2)) = (Scene::new(), H2::debian()) else {
        return;
    };
    install_metabase(&scene, &h2);
    scene
        .source
        .run("DELETE FROM databasechangelog WHERE id LIKE 'v50.%'");
    scene
        .environment
        .refused(with_metabase(scene.backup(), &h2), 1)
        .is("refused")
        .says("metabase.jar.version");
}

#[test]
fn a_jar_of_another_minor_release_is_not_asked_to_dump_the_database() {
    let (Some(scene), Some(h2)) = (Scene::new(), H2::debian()) else {
        return;
    };
    install_metabase(&scene, &h2);
    let java = scene.environment.path("programs/java");
    let newer = std::fs::read_to_string(&java).unwrap();
    std::fs::write(&java, newer.replace("v0.50.3", "v0.50.4")).unwrap();
    scene
        .environment
        .refused(with_metabase(scene.backup(), &h2), 1)
        .is("refused")
        .says("metabase.jar.version");
}

#[test]
fn a_dump_that_metabase_fails_or_that_was_not_read_only_leaves_it_as_it_was() {
    let (Some(scene), Some(h2)) = (Scene::new(), H2::debian()) else {
        return;
    };
    install_metabase(&scene, &h2);
    let before = scene.state();
    for (file, reason) in [
        ("broken", "no heap"),
        ("meddled", "read-only mode was turned off"),
    ] {
        let file = scene.environment.write(file, "");
        with_metabase(scene.backup(), &h2)
            .run()
            .exits(1)
            .says(reason);
        assert_eq!(scene.state(), before);
        std::fs::remove_file(file).unwrap();
    }
    assert!(scene.environment.snapshots().is_empty());
}
