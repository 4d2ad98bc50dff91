//! Cloud Foundry on real PostgreSQL: saved, moved into a release whose schema has grown, refused, broken off and taken up again.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Duration;

use copal_tests::cloudfoundry::{DOMAIN, Foundation, GRANTS, KEY};
use copal_tests::postgres::{Postgres, USER};
use copal_tests::{Outcome, Program, TestEnvironment, programs};
use rustix::process::Signal;

/// Tables of which a target keeps its own rows, with `--set preset=paasta-3.1-to-4.0`.
const KEPT_CCDB: [&str; 2] = ["buildpacks", "schema_migrations"];
const KEPT_UAADB: [&str; 3] = ["identity_provider", "identity_zone", "schema_version"];

/// One test's server and the foundation that is moved.
struct Scene {
    // A foundation's databases end with the server, and that with the test.
    server: Postgres,
    environment: TestEnvironment,
    source: Foundation,
}

impl Scene {
    /// None where PostgreSQL is not installed.
    fn new() -> Option<Self> {
        let server = Postgres::start()?;
        let environment = TestEnvironment::with_repository();
        let source = Foundation::in_use(&server, &environment.path("old"));
        Some(Self {
            server,
            environment,
            source,
        })
    }

    fn target(&self) -> Foundation {
        Foundation::fresh(&self.server, &self.environment.path("new"))
    }

    /// `copal VERB …` with the grants, and with settings that go before those for a foundation's databases.
    fn with(&self, program: Program, foundation: &Foundation, settings: &[&str]) -> Program {
        let key = |setting: &str| setting.split('=').next().map(str::to_owned);
        let mut all = foundation.settings(&self.server);
        all.retain(|usual| !settings.iter().any(|setting| key(setting) == key(usual)));
        all.extend(settings.iter().map(|&setting| setting.to_owned()));
        let program = all
            .iter()
            .fold(program, |program, setting| program.args(["--set", setting]));
        GRANTS
            .into_iter()
            .fold(program, |program, grant| program.args(["--grant", grant]))
    }

    fn backup(&self, settings: &[&str]) -> Program {
        let program = self
            .environment
            .backup("cloudfoundry", self.source.blobstore(), "");
        self.with(program, &self.source, settings)
    }

    fn save(&self) -> Outcome {
        self.backup(&["stopped=true", &format!("db_encryption_key={KEY}")])
            .run()
            .succeeds()
    }

    fn restore(&self, target: &Foundation, intent: &str, settings: &[&str]) -> Program {
        let program = self
            .environment
            .restore(target.blobstore(), &format!("--intent {intent}"));
        self.with(program.args(["--set", &owner()]), target, settings)
    }

    /// The migration as an operator would do it.
    fn migrate(&self, target: &Foundation) -> Program {
        let key = format!("db_encryption_key={KEY}");
        self.restore(
            target,
            "migrate",
            &["preset=paasta-3.1-to-4.0", "stopped=true", &key],
        )
    }

    /// Sees that what was loaded is what the source has.
    #[track_caller]
    fn assert_moved(&self, target: &Foundation, kept_ccdb: &[&str], kept_uaadb: &[&str]) {
        for (old, new, kept) in [
            (&self.source.ccdb, &target.ccdb, kept_ccdb),
            (&self.source.uaadb, &target.uaadb, kept_uaadb),
        ] {
            let (mut wanted, mut found) = (old.digests(), new.digests_as_in(old));
            wanted.retain(|table, _| !kept.contains(&table.as_str()));
            found.retain(|table, _| !kept.contains(&table.as_str()));
            assert_eq!(found, wanted);
            assert!(wanted.len() >= 6);
        }
    }
}

/// Whom restored blobs are to belong to: there is no vcap here, and only the superuser may give files away.
fn owner() -> String {
    match programs::is_root() {
        true => format!("owner={USER}"),
        false => format!("owner={}", std::env::var("USER").unwrap()),
    }
}

/// The codes of the findings in a JSON outcome or plan.
fn codes(document: &serde_json::Value) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = vec![document];
    while let Some(value) = rest.pop() {
        match value {
            serde_json::Value::Object(map) => {
                if let (Some(code), true) = (
                    map.get("code").and_then(|c| c.as_str()),
                    map.contains_key("severity"),
                ) {
                    found.push(code.to_owned());
                }
                rest.extend(map.values());
            }
            serde_json::Value::Array(list) => rest.extend(list),
            _ => {}
        }
    }
    found
}

#[test]
fn a_foundation_moves_into_a_later_release() {
    let Some(scene) = Scene::new() else { return };
    scene.save();
    let target = scene.target();
    let kept = |target: &Foundation| (target.ccdb.digests(), target.uaadb.digests());
    let before = kept(&target);
    let counted = "SELECT last_value, is_called FROM buildpacks_id_seq";
    let buildpacks = target.ccdb.query(counted);
    assert_ne!(scene.source.ccdb.query(counted), buildpacks);
    let outcome = scene.migrate(&target).arg("--json").run().succeeds().json();
    let codes = codes(&outcome);
    for code in [
        "cloudfoundry.rows.same",
        "cloudfoundry.keys.hold",
        "cloudfoundry.schema.newer",
        "cloudfoundry.rows.kept",
    ] {
        assert!(
            codes.iter().any(|found| found == code),
            "{code}: {outcome:#}"
        );
    }

    scene.assert_moved(&target, &KEPT_CCDB, &KEPT_UAADB);
    let after = kept(&target);
    for table in KEPT_CCDB.iter().chain(&["encryption_key_sentinels"]) {
        assert_eq!(after.0[*table], before.0[*table], "{table}");
    }
    for table in KEPT_UAADB {
        assert_eq!(after.1[table], before.1[table], "{table}");
    }
    let sequences = "SELECT last_value, is_called FROM apps_v3_id_seq";
    assert_eq!(
        target.ccdb.query(sequences),
        scene.source.ccdb.query(sequences)
    );
    assert_eq!(target.ccdb.query(counted), buildpacks);

    let blob = |path: &str| std::fs::read_to_string(target.blobstore().join(path));
    for kind in ["droplets", "packages", "resources"] {
        assert_eq!(blob(&format!("cc-{kind}/ab/cd/abcd-{kind}")).unwrap(), kind);
    }
    let mut buckets: Vec<_> = std::fs::read_dir(target.blobstore())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    buckets.sort();
    assert_eq!(
        buckets,
        [
            "cc-buildpacks",
            "cc-droplets",
            "cc-packages",
            "cc-resources"
        ]
    );
    assert_eq!(blob("cc-buildpacks/b_/1/b_1").unwrap(), "a newer buildpack");
    assert!(
        blob("cc-buildpacks/ab/cd/abcd-buildpacks").is_err(),
        "old buildpacks are left out"
    );
    assert!(
        !target
            .blobstore()
            .join("cc-droplets/buildpack_cache")
            .exists()
    );
    if programs::is_root() {
        let uid = Program::new("/usr/bin/id").args(["-u", USER]).run().text();
        let path = target.blobstore().join("cc-droplets/ab/cd/abcd-droplets");
        let found = std::fs::metadata(path).unwrap().uid();
        assert_eq!(found.to_string(), uid.trim());
    }
}

#[test]
fn the_tables_that_keep_their_rows_are_the_operators_choice() {
    let Some(scene) = Scene::new() else { return };
    scene.save();
    let target = scene.target();
    let before = (target.ccdb.digests(), target.uaadb.digests());
    let key = format!("db_encryption_key={KEY}");
    let settings = [
        "preset=paasta-3.1-to-4.0",
        "stopped=true",
        r#"keep_ccdb=["schema_migrations", "public.clock_jobs"]"#,
        r#"keep_uaadb=["schema_version", "oauth_client_details"]"#,
        &key,
    ];
    let outcome = scene.restore(&target, "migrate", &settings).arg("--json");
    let outcome = outcome.run().succeeds().json();
    let warned = outcome.to_string();
    for table in ["clock_jobs (", "oauth_client_details ("] {
        assert!(warned.contains(table), "{table}: {outcome:#}");
    }
    assert!(!warned.contains("identity_zone ("), "{outcome:#}");
    let kept_ccdb = ["buildpacks", "clock_jobs", "schema_migrations"];
    let kept_uaadb = ["oauth_client_details", "schema_version"];
    scene.assert_moved(&target, &kept_ccdb, &kept_uaadb);
    for table in kept_ccdb {
        assert_eq!(target.ccdb.digests()[table], before.0[table], "{table}");
    }
    for table in kept_uaadb {
        assert_eq!(target.uaadb.digests()[table], before.1[table], "{table}");
    }
}

/// The guide dumps with `--column-inserts`, takes lines out, deletes what an installation has made, and loads with psql as it comes.
#[test]
fn the_guides_own_procedure_loses_an_organisation_without_saying_so() {
    let Some(scene) = Scene::new() else { return };
    let target = scene.target();
    let dump = scene.source.ccdb.dump(["--data-only", "--column-inserts"]);
    let lines = dump.split_inclusive(|byte| *byte == b'\n');
    let filtered: Vec<u8> = lines
        .filter(|line| !line.starts_with(b"INSERT INTO public.schema_migrations"))
        .flatten()
        .copied()
        .collect();
    target.ccdb.run(
        "DELETE FROM organizations_users; DELETE FROM buildpacks; DELETE FROM clock_jobs; DELETE FROM domains; DELETE FROM env_groups; DELETE FROM lockings; \
         DELETE FROM spaces; DELETE FROM organizations; DELETE FROM isolation_segments; DELETE FROM quota_definitions; DELETE FROM stacks; DELETE FROM users; \
         DELETE FROM security_groups;",
    );
    let loaded = target.ccdb.run_carelessly(filtered).succeeds();
    assert!(
        loaded
            .stderr
            .contains("organizations_isolation_segments_pk"),
        "{}",
        loaded.stderr
    );

    let names = "SELECT name FROM organizations ORDER BY 1";
    let (old, new) = (scene.source.ccdb.query(names), target.ccdb.query(names));
    assert_eq!((old.len(), new.len()), (2, 1), "{old:?} {new:?}");
    assert_eq!(target.ccdb.query("SELECT count(*) FROM apps"), ["0"]);
}

#[test]
fn a_foundation_comes_back_into_empty_databases() {
    let Some(scene) = Scene::new() else { return };
    scene.save();
    let target = Foundation::empty(&scene.server, &scene.environment.path("empty"));
    scene
        .restore(&target, "recover", &["stopped=true"])
        .run()
        .succeeds();
    scene.assert_moved(&target, &[], &[]);
    assert!(
        target
            .blobstore()
            .join(format!("{DOMAIN}-cc-buildpacks/ab/cd/abcd-buildpacks"))
            .is_file()
    );
    assert_eq!(
        target
            .ccdb
            .query("SELECT count(*) FROM pg_constraint WHERE contype = 'f'"),
        scene
            .source
            .ccdb
            .query("SELECT count(*) FROM pg_constraint WHERE contype = 'f'")
    );
}

#[test]
fn what_a_target_must_be_is_checked_before_anything_changes() {
    let Some(scene) = Scene::new() else { return };
    scene.save();
    let target = scene.target();
    let key = format!("db_encryption_key={KEY}");
    let usual = ["preset=paasta-3.1-to-4.0", "stopped=true", key.as_str()];
    let blobs = || {
        std::fs::read_dir(target.blobstore().join("cc-droplets"))
            .unwrap()
            .count()
    };
    #[track_caller]
    fn refuses(scene: &Scene, program: Program, code: &str) {
        scene
            .environment
            .refused(program, 1)
            .is("refused")
            .says(code);
    }
    // What breaks a precondition, what mends it again, and the code of the refusal.
    let (cc, uaa) = (&target.ccdb, &target.uaadb);
    for (database, broken, mended, code) in [
        (
            cc,
            "UPDATE domains SET name = 'other.example'",
            "UPDATE domains SET name = '115.68.46.29.xip.io'",
            "cloudfoundry.domain.differs",
        ),
        (
            cc,
            "UPDATE env_groups SET salt = '00000000'",
            "UPDATE env_groups SET salt = '8899aabb'",
            "cloudfoundry.key.target",
        ),
        (
            cc,
            "INSERT INTO apps (guid, name) VALUES ('mine', 'mine')",
            "DELETE FROM apps",
            "cloudfoundry.target.in-use",
        ),
        (
            uaa,
            "INSERT INTO users (id, username, password, email) VALUES ('me', 'me', '', '')",
            "DELETE FROM users WHERE id = 'me'",
            "cloudfoundry.target.in-use",
        ),
        (
            uaa,
            "UPDATE users SET origin = 'ldap'",
            "UPDATE users SET origin = 'uaa'",
            "cloudfoundry.admin.target",
        ),
        (
            cc,
            "ALTER TABLE tasks RENAME TO chores",
            "ALTER TABLE chores RENAME TO tasks",
            "cloudfoundry.schema.table",
        ),
        (
            cc,
            "ALTER TABLE apps RENAME COLUMN name TO title",
            "ALTER TABLE apps RENAME COLUMN title TO name",
            "cloudfoundry.schema.column",
        ),
        (
            cc,
            "ALTER TABLE tasks ADD COLUMN must int NOT NULL",
            "ALTER TABLE tasks DROP COLUMN must",
            "cloudfoundry.schema.required",
        ),
        (
            cc,
            "DELETE FROM schema_migrations WHERE filename LIKE '20171123%'",
            "INSERT INTO schema_migrations VALUES ('20171123191651_add_index_to_service_binding_on_name.rb')",
            "cloudfoundry.schema.ahead",
        ),
    ] {
        database.run(broken);
        let before = (cc.digests(), uaa.digests());
        refuses(&scene, scene.restore(&target, "migrate", &usual), code);
        assert_eq!((cc.digests(), uaa.digests()), before, "{code}");
        database.run(mended);
    }
    refuses(
        &scene,
        scene.restore(&target, "migrate", &usual[..2]),
        "cloudfoundry.key.needed",
    );
    refuses(
        &scene,
        scene.restore(
            &target,
            "migrate",
            &["stopped=true", "db_encryption_key=another"],
        ),
        "cloudfoundry.key.differs",
    );
    let plain = [
        "preset=paasta-3.1-to-4.0",
        "stopped=true",
        &key,
        "user=plain",
    ];
    cc.run("CREATE ROLE plain LOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA public TO plain");
    uaa.run("GRANT SELECT ON ALL TABLES IN SCHEMA public TO plain");
    refuses(
        &scene,
        scene.restore(&target, "migrate", &plain),
        "cloudfoundry.target.superuser",
    );
    let empty = Foundation::empty(&scene.server, &scene.environment.path("empty"));
    refuses(
        &scene,
        scene.restore(&empty, "migrate", &usual),
        "cloudfoundry.target.not-installed",
    );
    assert_eq!(blobs(), 0);
    scene.migrate(&target).run().succeeds();
}

#[test]
fn a_wrong_key_or_database_is_refused_by_the_backup() {
    let Some(scene) = Scene::new() else { return };
    let wrong = scene.backup(&["stopped=true", "db_encryption_key=another"]);
    scene
        .environment
        .refused(wrong, 1)
        .is("refused")
        .says("cloudfoundry.key.wrong");
    let other = scene.backup(&[
        "stopped=true",
        &format!("ccdb={}", scene.source.uaadb.name()),
    ]);
    let outcome = other.run();
    assert!(!outcome.status.success());
    outcome.says("has no table `organizations`");
}

/// psql commits what it has read when its input ends, if it is told to use one transaction; a killed copal must not get that far.
#[test]
fn a_killed_restore_leaves_the_database_as_it_was_and_can_be_repeated() {
    let Some(scene) = Scene::new() else { return };
    scene.save();
    let target = scene.target();
    let stop = scene.environment.path("stopped");
    let quiesce = format!(
        r#"quiesce=[{{"title": "Stop the Cloud Controller", "run": ["touch", "{0}"], "undo": ["rm", "-f", "{0}"]}}]"#,
        stop.display()
    );
    let grants = |program: Program| {
        let path: PathBuf = stop.clone();
        program
            .args(["--grant", &format!("run:touch {}", path.display())])
            .args(["--grant", &format!("run:rm -f {}", path.display())])
    };
    let key = format!("db_encryption_key={KEY}");
    let settings = ["preset=paasta-3.1-to-4.0", &quiesce, &key];
    let before = target.ccdb.digests();

    // Reading goes on, so the restore is planned; the first row that it deletes here waits.
    let mut holder = target.ccdb.psql(["-q"]).start();
    holder.send(b"BEGIN; LOCK TABLE droplets IN EXCLUSIVE MODE;\n");
    let restore = grants(scene.restore(&target, "migrate", &settings)).start();
    let activity = |condition: &str| {
        let query = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = 'ccdb_new' AND {condition}"
        );
        scene.server.database("postgres").query(&query)[0]
            .parse::<u32>()
            .unwrap()
    };
    let wait_for = |what: &str, condition: &dyn Fn() -> bool| {
        let came = (0..600).any(|_| {
            std::thread::sleep(Duration::from_millis(100));
            condition()
        });
        assert!(came, "{what}");
    };
    wait_for("the restore deletes rows", &|| {
        activity("wait_event_type = 'Lock'") == 1
    });
    restore.signal(Signal::KILL);
    drop(restore);
    assert!(stop.exists());
    holder.send(b"ROLLBACK;\n");
    drop(holder);
    wait_for("psql ends", &|| activity("true") == 0);
    assert_eq!(
        target.ccdb.digests(),
        before,
        "nothing of half a dump is committed"
    );

    scene.environment.copal(["resume"]).run().succeeds();
    assert!(!stop.exists(), "resume takes quiescing back");
    let again = grants(scene.restore(&target, "migrate", &settings))
        .arg("--json")
        .run()
        .succeeds();
    assert!(
        codes(&again.json())
            .iter()
            .any(|code| code == "cloudfoundry.target.repeated")
    );
    scene.assert_moved(&target, &KEPT_CCDB, &KEPT_UAADB);
}

#[test]
fn quiescing_is_taken_back_also_where_the_backup_fails() {
    let Some(scene) = Scene::new() else { return };
    let stop = scene.environment.path("stopped");
    let log = scene.environment.path("log");
    scene.environment.install_program(
        "cc-stop",
        &format!(
            "#!/bin/sh\ntouch {0}; echo stop >> {1}\n",
            stop.display(),
            log.display()
        ),
    );
    scene.environment.install_program(
        "cc-start",
        &format!(
            "#!/bin/sh\nrm -f {0}; echo start >> {1}\n",
            stop.display(),
            log.display()
        ),
    );
    let quiesce = r#"quiesce=[{"title": "Stop the Cloud Controller", "run": ["cc-stop"], "undo": ["cc-start"]}]"#;
    let grants = ["--grant", "run:cc-stop", "--grant", "run:cc-start"];
    scene.backup(&[quiesce]).args(grants).run().succeeds();
    assert_eq!(std::fs::read_to_string(&log).unwrap(), "stop\nstart\n");
    // A dump that fails half-way makes a snapshot that says so, and that is not restored.
    scene
        .environment
        .install_program("pg_dump", "#!/bin/sh\necho -- half; exit 1\n");
    let failed = scene.backup(&[quiesce]).args(grants).run();
    failed.exits(3).says("ccdb.sql");
    assert_eq!(
        std::fs::read_to_string(&log).unwrap(),
        "stop\nstart\nstop\nstart\n"
    );
    assert!(!stop.exists());
    let target = scene.target();
    assert!(!scene.migrate(&target).run().status.success());
    assert_eq!(target.ccdb.query("SELECT count(*) FROM apps"), ["0"]);
}

#[test]
fn rows_that_differ_from_the_source_are_reported() {
    let Some(scene) = Scene::new() else { return };
    scene.save();
    let target = scene.target();
    // A trigger that loading in replica mode still runs.
    target.ccdb.run(
        "CREATE FUNCTION changed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.name := NEW.name || '!'; RETURN NEW; END $$;
         CREATE TRIGGER changed BEFORE INSERT ON stacks FOR EACH ROW EXECUTE FUNCTION changed();
         ALTER TABLE stacks ENABLE ALWAYS TRIGGER changed;",
    );
    let outcome = scene.migrate(&target).run();
    assert_ne!(outcome.status.code(), Some(0));
    let said = format!("{}{}", outcome.text(), outcome.stderr);
    assert!(
        said.contains("cloudfoundry.rows.differ") && said.contains("stacks (other contents)"),
        "{said}"
    );
}

/// The blobs of a foundation.
fn blobs(foundation: &Foundation) -> String {
    let listed = Program::new("/usr/bin/find")
        .arg(foundation.blobstore())
        .args(["-type", "f", "-printf", "%P %s\n"])
        .run()
        .succeeds();
    let mut lines: Vec<_> = listed.text().lines().map(str::to_owned).collect();
    lines.sort();
    lines.join("\n")
}

#[test]
fn a_migration_in_one_piece_is_rolled_back_to_what_there_was() {
    let Some(scene) = Scene::new() else { return };
    let target = scene.target();
    let held = || {
        (
            target.ccdb.digests(),
            target.uaadb.digests(),
            blobs(&target),
        )
    };
    let before = held();
    let key = format!("db_encryption_key={KEY}");
    let migrate = scene
        .environment
        .copal(["migrate", "--yes", "cloudfoundry"]);
    let migrate = migrate
        .arg(scene.source.blobstore())
        .arg("--to")
        .arg(target.blobstore());
    let of_target = target.settings(&scene.server).into_iter();
    let migrate = of_target
        .chain([
            owner(),
            key.clone(),
            "stopped=true".to_owned(),
            "preset=paasta-3.1-to-4.0".to_owned(),
        ])
        .fold(migrate, |program, setting| {
            program.args(["--to-set", &setting])
        });
    scene
        .with(migrate, &scene.source, &["stopped=true", &key])
        .run()
        .succeeds();
    scene.assert_moved(&target, &KEPT_CCDB, &KEPT_UAADB);
    assert_ne!(held(), before);

    let rollback = scene.environment.copal(["rollback", "--yes"]);
    GRANTS
        .into_iter()
        .fold(rollback, |program, grant| program.args(["--grant", grant]))
        .run()
        .succeeds();
    assert_eq!(held(), before);
}

#[test]
fn a_drill_restores_into_a_server_of_its_own() {
    let Some(scene) = Scene::new() else { return };
    let grants = GRANTS.map(|grant| format!("{grant:?}")).join(", ");
    let settings: Vec<_> = scene
        .source
        .settings(&scene.server)
        .iter()
        .filter_map(|setting| setting.split_once('='))
        .map(|(key, value)| match key {
            "port" => format!("port = {value}"),
            key => format!("{key} = {value:?}"),
        })
        .collect();
    let config = scene.environment.write(
        "copal.toml",
        format!(
            r#"
[repository]
url = "{}"

[jobs.paas]
plugin = "cloudfoundry"
roots = {{ blobstore = "{}" }}
config = {{ {}, stopped = true }}
grants = [{grants}]

[jobs.paas.drill]
config = {{ host = "{{postgres.host}}", port = 5432, user = "{{postgres.user}}" }}
grants = [{grants}]

[jobs.paas.drill.postgres]
databases = ["ccdb", "uaadb"]
"#,
            scene.environment.repository(),
            scene.source.blobstore().display(),
            settings.join(", "),
        ),
    );
    let copal = |verb: &str| {
        let program = scene
            .environment
            .copal([verb, "--yes", "--json", "--job", "paas"]);
        program.arg("--config").arg(&config)
    };
    copal("backup").run().succeeds();
    // The server's own user has to reach its directory.
    let drill = copal("drill").env("TMPDIR", "/tmp").run().succeeds();
    let codes = codes(&drill.json());
    for code in [
        "cloudfoundry.rows.same",
        "cloudfoundry.keys.hold",
        "cloudfoundry.schema.restored",
    ] {
        assert!(codes.iter().any(|found| found == code), "{code}: {codes:?}");
    }
}

#[test]
fn databases_on_another_host_are_reached_through_ssh() {
    let Some(scene) = Scene::new() else { return };
    // ssh joins its words by spaces and hands them to a shell.
    scene.environment.install_program(
        "ssh",
        "#!/bin/sh\n[ \"$1\" = vcap@db ] || exit 255\nshift\nexec sh -c \"$*\"\n",
    );
    let grants = GRANTS.map(|grant| grant.replacen(':', ":ssh vcap@db ", 1));
    let program = scene.backup(&["stopped=true", r#"via=["ssh", "vcap@db"]"#]);
    let program = grants
        .iter()
        .fold(program, |program, grant| program.args(["--grant", grant]));
    program.run().succeeds();
    let target = Foundation::empty(&scene.server, &scene.environment.path("empty"));
    scene
        .restore(&target, "recover", &["stopped=true"])
        .run()
        .succeeds();
    scene.assert_moved(&target, &[], &[]);
}
