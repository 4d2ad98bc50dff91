//! A real Jpom with a real H2 database, backed up and restored with every intent.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use copal_tests::applications::Applications;
use copal_tests::h2::H2;
use copal_tests::jpom::{ABANDONED_ID, FRESH_ID, INSTALL_ID, Jpom, Layout};
use copal_tests::{Outcome, Program, TestEnvironment, tree};

/// What a plan with `java` and `h2_jar` asks for.
const SCRIPT: &str = "run:java -cp * @{scratch}/Script.args -url * -script /dev/fd/1";
const RUN_SCRIPT: &str =
    "run:java -cp * @{scratch}/RunScript.args -url * -script {scratch}/identity.sql -showResults";

/// Folders and files that no backup keeps, relative to Jpom's folder.
const LEFT_OUT: [&str; 3] = [
    "data/temp",
    "data/script_run_cache",
    "data/remote_version.json",
];

/// One test's Jpom, in a world with a repository and a `docker`.
struct Scene {
    environment: TestEnvironment,
    applications: Applications,
    h2: H2,
    jpom: Jpom,
}

impl Scene {
    /// None where Java or H2 is not installed.
    fn new(layout: Layout) -> Option<Self> {
        let h2 = H2::find()?;
        let environment = TestEnvironment::with_repository();
        let applications = Applications::install(&environment);
        let jpom = Jpom::in_use(&h2, &environment.path("old"), layout);
        Some(Self {
            environment,
            applications,
            h2,
            jpom,
        })
    }

    /// A backup of a Jpom that runs in the container `jpom`.
    fn backup(&self) -> Program {
        with_container(
            self.environment
                .backup("jpom", self.jpom.home(), "--set container=jpom"),
        )
    }

    /// A restore into `target` that changes the database itself.
    fn restore(&self, target: &Path, intent: &str) -> Program {
        with_java(
            self.environment
                .restore(target, &format!("--intent {intent}")),
            &self.h2,
        )
    }

    /// Sees that a restore is refused for a reason and touches nothing.
    #[track_caller]
    fn refuses(&self, restore: Program, target: &Path, code: &str) {
        let before = target.exists().then(|| tree::read(target));
        self.environment
            .refused(restore, 1)
            .is("refused")
            .says(code);
        assert!(
            target.exists().then(|| tree::read(target)) == before,
            "{code}: the target was changed"
        );
    }
}

fn with_container(program: Program) -> Program {
    program.args([
        "--grant",
        "probe:docker inspect -f * jpom",
        "--grant",
        "run:docker stop jpom",
        "--grant",
        "run:docker start jpom",
    ])
}

fn with_java(program: Program, h2: &H2) -> Program {
    let jar = format!("h2_jar={}", h2.jar());
    program.args([
        "--set",
        "java=java",
        "--set",
        &jar,
        "--grant",
        SCRIPT,
        "--grant",
        RUN_SCRIPT,
    ])
}

/// Sees that the database opens with its rows.
#[track_caller]
fn has_its_rows(jpom: &Jpom) {
    let database = jpom.database();
    assert_eq!(
        database.query("SELECT name FROM WORKSPACE ORDER BY id"),
        ["默认", "second"]
    );
    assert_eq!(
        database.query("SELECT url FROM NODE_INFO"),
        ["10.0.0.7:2123"]
    );
    assert_eq!(
        database.query("SELECT LENGTH(script) FROM BUILD_INFO ORDER BY id"),
        ["52000", "13"]
    );
}

/// Whether a path, relative to the home, belongs to what no backup keeps.
fn is_left_out(layout: Layout) -> impl Fn(&Path) -> bool {
    let base = if layout == Layout::Docker { "data" } else { "" };
    let paths: Vec<PathBuf> = LEFT_OUT
        .iter()
        .map(|path| Path::new(base).join(path))
        .collect();
    move |path| path.starts_with("logs") || paths.iter().any(|left_out| path.starts_with(left_out))
}

/// A lost Jpom comes back at its place as it was, byte for byte.
fn recovers(layout: Layout) {
    let Some(scene) = Scene::new(layout) else {
        return;
    };
    scene.backup().run().succeeds();
    assert_eq!(
        scene.applications.changes(),
        ["docker stop jpom", "docker start jpom"]
    );
    let lost = scene.environment.path("lost");
    std::fs::rename(scene.jpom.home(), &lost).unwrap();

    scene.restore(scene.jpom.home(), "recover").run().succeeds();
    tree::assert_same_but(&lost, scene.jpom.home(), is_left_out(layout));
    for path in LEFT_OUT {
        assert!(!scene.jpom.path(path).exists(), "{path} was kept");
    }
    has_its_rows(&scene.jpom);
    assert_eq!(scene.jpom.install_id(), INSTALL_ID);
    assert_eq!(scene.jpom.bound_ids(), [INSTALL_ID]);
}

#[test]
fn a_lost_jpom_of_the_docker_layout_is_recovered() {
    recovers(Layout::Docker);
}

#[test]
fn a_lost_jpom_of_the_plain_layout_is_recovered() {
    recovers(Layout::Plain);
}

/// The old identity wins over the one that the new environment has given itself, and what names the old place is put right.
fn migrates(layout: Layout) {
    let Some(scene) = Scene::new(layout) else {
        return;
    };
    scene.backup().run().succeeds();
    let target = Jpom::fresh(&scene.h2, &scene.environment.path("new"), layout);
    assert_eq!(target.install_id(), FRESH_ID);

    let outcome = scene
        .restore(target.home(), "migrate")
        .arg("--json")
        .run()
        .succeeds();
    assert!(
        outcome.text().contains("jpom.verify.agrees"),
        "{}",
        outcome.text()
    );
    has_its_rows(&target);
    assert_eq!(target.install_id(), INSTALL_ID);
    assert_eq!(target.bound_ids(), [INSTALL_ID]);
    assert_eq!(
        target.cluster_ids(),
        [INSTALL_ID],
        "abandoned clusters are removed"
    );
    let database = target.database();
    assert_eq!(
        database.query("SELECT COUNT(*) FROM CLUSTER_INFO WHERE url IS NOT NULL"),
        ["0"]
    );
    let backup = target.path("db/backup/20260101000000.sql");
    assert_eq!(
        database.query("SELECT filePath FROM BACKUP_INFO"),
        [backup.to_str().unwrap()]
    );
    assert!(backup.is_file());
}

#[test]
fn a_jpom_of_the_docker_layout_migrates_with_its_identity() {
    migrates(Layout::Docker);
}

#[test]
fn a_jpom_of_the_plain_layout_migrates_with_its_identity() {
    migrates(Layout::Plain);
}

/// A clone gets an identity of its own, and the original keeps all of its.
fn clones(layout: Layout) {
    let Some(scene) = Scene::new(layout) else {
        return;
    };
    scene.backup().run().succeeds();
    let before = tree::read(scene.jpom.home());
    let clone = Jpom::at(&scene.h2, &scene.environment.path("clone"), layout);
    scene.restore(clone.home(), "clone").run().succeeds();

    let id = clone.install_id();
    assert!(
        id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()),
        "{id} is not as Jpom's are"
    );
    assert_ne!(id, INSTALL_ID);
    assert_eq!(clone.bound_ids(), [id.as_str()]);
    assert_eq!(clone.cluster_ids(), [id.as_str()]);
    has_its_rows(&clone);
    assert!(
        tree::read(scene.jpom.home()) == before,
        "the original was changed"
    );
}

#[test]
fn a_clone_of_the_docker_layout_has_its_own_identity() {
    clones(Layout::Docker);
}

#[test]
fn a_clone_of_the_plain_layout_has_its_own_identity() {
    clones(Layout::Plain);
}

#[test]
fn a_clone_keeps_the_identity_that_its_place_already_has() {
    let Some(scene) = Scene::new(Layout::Docker) else {
        return;
    };
    scene.backup().run().succeeds();
    let target = Jpom::fresh(&scene.h2, &scene.environment.path("new"), Layout::Docker);
    scene.restore(target.home(), "clone").run().succeeds();
    assert_eq!(target.install_id(), FRESH_ID);
    assert_eq!(target.bound_ids(), [FRESH_ID]);
    assert_eq!(target.cluster_ids(), [FRESH_ID]);
}

#[test]
fn a_copy_of_an_open_database_is_refused() {
    let Some(scene) = Scene::new(Layout::Docker) else {
        return;
    };
    let repository = tree::contents(Path::new(scene.environment.repository()));
    let live = scene
        .jpom
        .database()
        .hold_open("INSERT INTO NODE_INFO VALUES ('n2', 'late', 'x')");
    let backup = || scene.environment.backup("jpom", scene.jpom.home(), "");
    scene
        .environment
        .refused(backup(), 1)
        .is("refused")
        .says("jpom.h2.unclean");
    assert_eq!(
        tree::contents(Path::new(scene.environment.repository())),
        repository,
        "something was written"
    );
    // Killed like this the database stays unclean, and it is refused all the same.
    drop(live);
    scene
        .environment
        .refused(backup(), 1)
        .is("refused")
        .says("jpom.h2.unclean");
    assert!(scene.environment.snapshots().is_empty());
}

/// What was committed before the application was stopped is in the copy, though the database was open when the backup was planned.
#[test]
fn a_live_jpom_is_stopped_and_its_last_rows_are_saved() {
    let Some(scene) = Scene::new(Layout::Plain) else {
        return;
    };
    let live = scene
        .jpom
        .database()
        .hold_open("INSERT INTO NODE_INFO VALUES ('n2', 'late', 'x')");
    scene.environment.install_program(
        "docker",
        &format!(
            "#!/bin/sh\ncase $1 in inspect) echo true;; stop) kill {pid}; while kill -0 {pid} 2>/dev/null && \
             ! grep -q zombie /proc/{pid}/status; do sleep 0.05; done;; esac\n",
            pid = live.id()
        ),
    );
    scene.backup().run().succeeds();
    let copy = Jpom::at(&scene.h2, &scene.environment.path("copy"), Layout::Plain);
    scene.restore(copy.home(), "migrate").run().succeeds();
    assert_eq!(
        copy.database()
            .query("SELECT name FROM NODE_INFO ORDER BY id"),
        ["agent", "late"]
    );
}

#[test]
fn a_closed_database_that_nothing_keeps_closed_is_pointed_out() {
    let Some(scene) = Scene::new(Layout::Plain) else {
        return;
    };
    let outcome = scene
        .environment
        .backup("jpom", scene.jpom.home(), "--json")
        .run()
        .succeeds();
    assert!(
        outcome.text().contains("jpom.h2.closed"),
        "{}",
        outcome.text()
    );
}

#[test]
fn a_backup_without_an_identity_is_refused() {
    let Some(scene) = Scene::new(Layout::Docker) else {
        return;
    };
    let install = scene.jpom.path("data/INSTALL.json");
    let backup = || {
        scene
            .environment
            .backup("jpom", scene.jpom.home(), "--set stopped=true")
    };
    std::fs::write(&install, r#"{"installId":""}"#).unwrap();
    scene
        .environment
        .refused(backup(), 1)
        .is("refused")
        .says("jpom.install.invalid");
    std::fs::remove_file(&install).unwrap();
    scene
        .environment
        .refused(backup(), 1)
        .is("refused")
        .says("jpom.install.missing");
    assert!(scene.environment.snapshots().is_empty());
}

#[test]
fn a_database_with_a_damaged_header_is_refused() {
    let Some(scene) = Scene::new(Layout::Docker) else {
        return;
    };
    let file = scene.jpom.database().file();
    let mut bytes = std::fs::read(&file).unwrap();
    for start in [0, 4096] {
        bytes[start + 10] ^= 1;
    }
    std::fs::write(&file, bytes).unwrap();
    let backup = scene
        .environment
        .backup("jpom", scene.jpom.home(), "--set stopped=true");
    scene
        .environment
        .refused(backup, 1)
        .is("refused")
        .says("jpom.h2.header");
}

#[test]
fn a_restore_into_a_running_jpom_is_refused() {
    let Some(scene) = Scene::new(Layout::Docker) else {
        return;
    };
    scene.backup().run().succeeds();
    let target = Jpom::fresh(&scene.h2, &scene.environment.path("new"), Layout::Docker);
    let _live = target
        .database()
        .hold_open("INSERT INTO NODE_INFO VALUES ('n2', 'late', 'x')");
    let before = target.install_id();
    let restore = scene.restore(target.home(), "migrate");
    scene
        .environment
        .refused(restore, 1)
        .is("refused")
        .says("jpom.target.running");
    assert_eq!(target.install_id(), before);
}

#[test]
fn a_restore_that_the_targets_h2_cannot_open_is_refused() {
    let Some(scene) = Scene::new(Layout::Docker) else {
        return;
    };
    scene.backup().run().succeeds();
    let target = Jpom::fresh(&scene.h2, &scene.environment.path("new"), Layout::Docker);
    target.database().pretend_format(3);
    scene.refuses(
        scene.restore(target.home(), "migrate"),
        target.home(),
        "jpom.h2.format",
    );

    let empty = scene.environment.path("empty");
    let restore = scene.environment.restore(
        &empty,
        "--intent migrate --set java=java --set h2_jar=/opt/h2-2.2.224.jar",
    );
    scene.refuses(restore, &empty, "jpom.h2.jar");
}

#[test]
fn a_restore_into_a_mixed_directory_is_refused() {
    let Some(scene) = Scene::new(Layout::Docker) else {
        return;
    };
    scene.backup().run().succeeds();
    let plain = Jpom::fresh(&scene.h2, &scene.environment.path("plain"), Layout::Plain);
    scene.refuses(
        scene.restore(plain.home(), "migrate"),
        plain.home(),
        "jpom.layout.differs",
    );

    let nameless = Jpom::fresh(
        &scene.h2,
        &scene.environment.path("nameless"),
        Layout::Docker,
    );
    std::fs::remove_file(nameless.path("data/INSTALL.json")).unwrap();
    scene.refuses(
        scene.restore(nameless.home(), "migrate"),
        nameless.home(),
        "jpom.target.mixed",
    );
}

#[test]
fn a_recovery_over_another_jpom_is_refused() {
    let Some(scene) = Scene::new(Layout::Docker) else {
        return;
    };
    scene.backup().run().succeeds();
    let other = Jpom::fresh(&scene.h2, &scene.environment.path("other"), Layout::Docker);
    scene.refuses(
        scene.restore(other.home(), "recover"),
        other.home(),
        "jpom.identity.differs",
    );
}

#[test]
fn the_database_is_stored_as_sql_too_and_its_file_left_untouched() {
    let Some(scene) = Scene::new(Layout::Docker) else {
        return;
    };
    let before = std::fs::read(scene.jpom.database().file()).unwrap();
    with_java(scene.backup(), &scene.h2).run().succeeds();
    assert!(
        std::fs::read(scene.jpom.database().file()).unwrap() == before,
        "exporting changed the database"
    );

    let sql = scene
        .environment
        .copal(["dump", "latest", "streams/jpom.sql"])
        .run()
        .succeeds()
        .text();
    let again = Jpom::at(
        &scene.h2,
        &scene.environment.make_directory("again"),
        Layout::Plain,
    );
    std::fs::create_dir(again.path("db")).unwrap();
    again.database().run(&sql);
    has_its_rows(&again);
    let mut ids = again.cluster_ids();
    ids.sort_unstable();
    assert_eq!(ids, [INSTALL_ID, ABANDONED_ID]);
}

#[test]
fn a_failed_export_makes_the_snapshot_incomplete() {
    let Some(scene) = Scene::new(Layout::Docker) else {
        return;
    };
    let backup = with_java(scene.backup(), &scene.h2).args(["--set", "db_password=wrong"]);
    let outcome = backup.run().exits(3).says("streams/jpom.sql");
    assert!(
        outcome.stderr.contains("Wrong user name or password"),
        "{}",
        outcome.stderr
    );
    assert!(scene.applications.runs("jpom"));
    let manifest = scene.environment.manifest();
    assert_eq!(manifest["complete"], false, "{manifest:#}");
    assert_eq!(manifest["missing"][0]["path"], "streams/jpom.sql");
    let listing = scene
        .environment
        .copal(["ls", "latest"])
        .run()
        .succeeds()
        .text();
    assert!(
        !listing.contains("jpom.sql"),
        "half a script was saved:\n{listing}"
    );
}

#[test]
fn a_secret_setting_reaches_neither_plan_nor_manifest() {
    let Some(scene) = Scene::new(Layout::Docker) else {
        return;
    };
    let secret = "hunter2-is-no-password";
    scene
        .jpom
        .database()
        .run(&format!("ALTER USER jpom SET PASSWORD '{secret}'"));
    let file = scene.environment.write("secret", secret);
    let mut setting = OsString::from("db_password=");
    setting.push(&file);
    let mut said = String::new();
    let mut see = |outcome: Outcome| said += &(outcome.text() + &outcome.stderr);
    let backup = || {
        with_java(scene.backup(), &scene.h2)
            .arg("--set-file")
            .arg(&setting)
    };
    see(backup().arg("--dry-run").run().succeeds());
    see(backup().args(["--dry-run", "--json"]).run().succeeds());
    see(backup().arg("-vv").run().succeeds());
    see(scene
        .environment
        .copal(["manifest", "latest"])
        .run()
        .succeeds());
    assert!(!said.contains(secret), "the secret is shown in {said}");
    assert!(said.contains("***"), "nothing was redacted in {said}");
}

#[test]
fn without_java_the_sql_is_told_to_the_operator_and_works() {
    let Some(scene) = Scene::new(Layout::Docker) else {
        return;
    };
    scene.backup().run().succeeds();
    let target = Jpom::fresh(&scene.h2, &scene.environment.path("new"), Layout::Docker);
    let plan = scene
        .environment
        .restore(target.home(), "--intent clone --dry-run --json")
        .run()
        .succeeds()
        .json();
    scene
        .environment
        .restore(target.home(), "--intent clone")
        .run()
        .succeeds();
    assert_eq!(
        target.bound_ids(),
        [INSTALL_ID],
        "nobody changed the database yet"
    );

    let findings = plan["plan"]["findings"].as_array().unwrap();
    let told = findings
        .iter()
        .find(|finding| finding["code"] == "jpom.sql.by-hand")
        .expect("the SQL is told");
    let remedy = told["remedy"].as_str().unwrap();
    let (_, sql) = remedy.split_once('\n').unwrap();
    target.database().run(sql);
    assert_eq!(target.bound_ids(), [FRESH_ID]);
    assert_eq!(target.install_id(), FRESH_ID);
}

#[test]
fn builds_are_kept_by_their_ids() {
    let Some(scene) = Scene::new(Layout::Docker) else {
        return;
    };
    let keeps = |setting: &str| {
        let program = scene.backup().args(["--set", setting]);
        program.run().succeeds();
        let listing = scene
            .environment
            .copal(["ls", "latest"])
            .run()
            .succeeds()
            .text();
        ["b1/history/1/result/app.jar", "b2/history/1/result/web.zip"]
            .map(|build| listing.contains(build))
    };
    assert_eq!(keeps("build=all"), [true, true]);
    assert_eq!(keeps("build=b1"), [true, false]);
    assert_eq!(keeps("build=none"), [false, false]);
    let unknown = scene.backup().args(["--set", "build=b3"]);
    scene
        .environment
        .refused(unknown, 1)
        .is("refused")
        .says("jpom.build.unknown");
}

#[test]
fn secrets_are_kept_and_named() {
    let Some(scene) = Scene::new(Layout::Plain) else {
        return;
    };
    scene.backup().run().succeeds();
    let manifest = scene.environment.manifest();
    let findings = manifest["findings"].as_array().unwrap();
    let named = findings
        .iter()
        .find(|finding| finding["code"] == "jpom.secrets")
        .expect("secrets are named");
    assert!(
        named["message"].as_str().unwrap().contains("sshkey"),
        "{named:#}"
    );
    let key = scene
        .environment
        .copal(["dump", "latest", "home/data/sshkey/id_rsa"])
        .run()
        .succeeds();
    assert!(key.text().starts_with("-----BEGIN"));
}

#[test]
fn folders_that_are_mounted_apart_are_saved_and_restored_apart() {
    let Some(scene) = Scene::new(Layout::Docker) else {
        return;
    };
    let named = |name: &str, path: PathBuf| {
        let mut argument = OsString::from(name);
        argument.push(path);
        argument
    };
    let home = scene.jpom.home();
    let backup = scene.environment.backup(
        "jpom",
        Path::new(&named("data=", home.join("data"))),
        "--set stopped=true",
    );
    backup
        .arg(named("conf=", home.join("conf")))
        .run()
        .succeeds();
    let new = Jpom::at(
        &scene.h2,
        &scene.environment.make_directory("new"),
        Layout::Docker,
    );
    let restore = scene.restore(
        Path::new(&named("data=", new.home().join("data"))),
        "migrate",
    );
    restore
        .arg("--to")
        .arg(named("conf=", new.home().join("conf")))
        .run()
        .succeeds();
    has_its_rows(&new);
    assert_eq!(new.install_id(), INSTALL_ID);
    tree::assert_same(&home.join("conf"), &new.home().join("conf"));
}

#[test]
fn a_jpom_is_recognised_and_the_reasons_given() {
    for layout in [Layout::Docker, Layout::Plain] {
        let Some(scene) = Scene::new(layout) else {
            return;
        };
        let found = scene
            .environment
            .copal(["detect", "--json"])
            .arg(scene.jpom.home())
            .run()
            .succeeds()
            .json();
        assert_eq!(found[0]["plugin"], "jpom", "{found:#}");
        assert_eq!(found[0]["root"], "home");
        assert!(
            found[0]["because"]
                .as_array()
                .is_some_and(|reasons| !reasons.is_empty()),
            "{found:#}"
        );
    }
}
