//! Rehearsed restores: what they prove, what they find, and that nothing of them is left.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use copal_tests::applications::Applications;
use copal_tests::cloudfoundry::{Foundation, GRANTS, KEY};
use copal_tests::h2::H2;
use copal_tests::jpom::{Jpom, Layout};
use copal_tests::postgres::Postgres;
use copal_tests::{Outcome, Program, TestEnvironment, plugins, programs, sample, tree};
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

/// A world with a repository, and a folder for temporary files that every user may write to.
struct Scene {
    environment: TestEnvironment,
    temporary: TempDir,
}

impl Scene {
    fn new() -> Self {
        let temporary = tempfile::Builder::new()
            .prefix("copal-tmp-")
            .tempdir()
            .unwrap();
        std::fs::set_permissions(temporary.path(), PermissionsExt::from_mode(0o1777)).unwrap();
        Self {
            environment: TestEnvironment::with_repository(),
            temporary,
        }
    }

    /// `copal` with these arguments, with this scene's folder for temporary files.
    fn copal(&self, arguments: &[&str]) -> Program {
        self.environment
            .copal(arguments)
            .env("TMPDIR", self.temporary.path())
    }

    /// Some files backed up with the plugin `files`.
    fn files(&self) -> PathBuf {
        let source = self.environment.make_directory("source");
        sample::simple(&source);
        std::fs::write(source.join("large"), sample::noise(3, 9 << 20)).unwrap();
        self.environment
            .backup("files", &source, "")
            .run()
            .succeeds();
        source
    }

    /// A drill of the newest snapshot, whose evidence goes to the folder `evidence`.
    fn drill(&self, further: &[&str]) -> Program {
        let evidence = self.environment.path("evidence");
        let evidence = evidence.to_str().unwrap();
        self.copal(&["drill", "--evidence", evidence]).args(further)
    }

    /// What was written to the folder `evidence`: the document, and the page beside it.
    #[track_caller]
    fn evidence(&self) -> (Value, String) {
        let entries = std::fs::read_dir(self.environment.path("evidence")).unwrap();
        let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        let [page, document] = paths.as_slice() else {
            panic!("{paths:?}");
        };
        assert_eq!(page.with_extension(""), document.with_extension(""));
        let document = std::fs::read(document).unwrap();
        (
            serde_json::from_slice(&document).unwrap(),
            std::fs::read_to_string(page).unwrap(),
        )
    }

    /// Sees that no drill left anything: no files, no journal, no process.
    #[track_caller]
    fn is_clean(&self) {
        let temporary: Vec<_> = std::fs::read_dir(self.temporary.path()).unwrap().collect();
        assert!(temporary.is_empty(), "{temporary:?}");
        for folder in ["state/scratch", "state/jobs"] {
            let left = tree::contents(&self.environment.path(folder));
            assert!(left.len() <= 1, "{left:?}");
        }
        let servers = self.servers();
        assert!(servers.is_empty(), "{servers:?}");
    }

    /// The command lines of running PostgreSQL servers that lie in this scene's folder for temporary files.
    fn servers(&self) -> Vec<String> {
        let place = self.temporary.path().to_str().unwrap();
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        let lines =
            processes.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
        let lines = lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
        lines
            .filter(|line| line.contains("bin/postgres ") && line.contains(place))
            .collect()
    }

    /// Writes `copal.toml` and gives `copal drill shop` with it.
    fn drill_of(&self, jobs: &str) -> Program {
        let config = self.environment.write("copal.toml", jobs);
        self.drill(&["shop", "--config", config.to_str().unwrap()])
    }
}

#[track_caller]
fn proves(evidence: &Value, text: &str) {
    let proven = evidence["proven"].to_string();
    assert!(
        proven.contains(text),
        "{text:?} is not proven: {evidence:#}"
    );
}

#[test]
fn a_drill_of_files_passes_and_leaves_nothing_but_its_evidence() {
    let scene = Scene::new();
    let source = scene.files();
    sample::awkward(&source.join("awkward"));
    scene
        .environment
        .backup("files", &source, "")
        .run()
        .succeeds();
    let before = tree::read(&source);
    scene.drill(&["--snapshot", "latest"]).run().succeeds();
    assert!(tree::read(&source) == before, "the source was changed");
    scene.is_clean();

    let (evidence, page) = scene.evidence();
    assert_eq!(evidence["verdict"], "passed", "{evidence:#}");
    assert_eq!(evidence["repository"], scene.environment.repository());
    assert_eq!(evidence["plugin"]["name"], "copal/files");
    let compared = &evidence["compared"][0];
    assert_eq!(
        (&compared["different"], &compared["rewritten"]),
        (&0.into(), &0.into())
    );
    let files = before
        .values()
        .filter(|item| item.content.is_some())
        .count();
    assert_eq!(compared["files"], files, "{compared:#}");
    proves(&evidence, "byte for byte");
    proves(&evidence, "copal/files");
    proves(&evidence, "removed");
    assert!(
        evidence["recovery_seconds"].as_f64().unwrap() > 0.0,
        "{evidence:#}"
    );
    let purposes = evidence["phases"].to_string();
    for purpose in ["recover", "compare", "remove"] {
        assert!(purposes.contains(purpose), "{purposes}");
    }
    for text in [
        "passed",
        "byte for byte",
        "How long a recovery takes",
        "copal/files",
    ] {
        assert!(page.contains(text), "{text:?} is not in {page}");
    }
    assert!(
        !page.contains("http://") && !page.contains("<script"),
        "{page}"
    );
}

/// The largest file beneath the repository's `data`.
fn largest_pack(repository: &Path) -> PathBuf {
    let folders = std::fs::read_dir(repository.join("data"))
        .unwrap()
        .flatten();
    let packs = folders.flat_map(|folder| std::fs::read_dir(folder.path()).unwrap().flatten());
    packs
        .max_by_key(|pack| pack.metadata().unwrap().len())
        .unwrap()
        .path()
}

#[test]
fn a_damaged_repository_makes_the_drill_fail_and_name_the_file() {
    let scene = Scene::new();
    scene.files();
    let pack = largest_pack(Path::new(scene.environment.repository()));
    let mut bytes = std::fs::read(&pack).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::set_permissions(&pack, PermissionsExt::from_mode(0o600)).unwrap();
    std::fs::write(&pack, bytes).unwrap();
    let outcome = scene.drill(&["--snapshot", "latest"]).run().exits(1);
    assert!(outcome.text().contains("large"), "{}", outcome.text());
    scene.is_clean();
    let (evidence, page) = scene.evidence();
    assert_eq!(evidence["verdict"], "failed");
    assert!(
        evidence["problems"].to_string().contains("large"),
        "{evidence:#}"
    );
    assert!(
        evidence["missing"].to_string().contains("damaged"),
        "{evidence:#}"
    );
    assert!(page.contains("do not rely on"), "{page}");
}

#[test]
fn a_snapshot_that_lacks_something_is_told_from_one_that_is_whole() {
    let scene = Scene::new();
    let source = scene.files();
    std::fs::set_permissions(source.join("a.txt"), PermissionsExt::from_mode(0o000)).unwrap();
    scene
        .environment
        .backup("files", &source, "")
        .bound_by_permissions()
        .run()
        .exits(3);
    scene.drill(&["--snapshot", "latest"]).run().exits(3);
    assert_eq!(scene.evidence().0["verdict"], "incomplete");
}

#[test]
fn a_plugin_that_finds_what_was_restored_broken_makes_the_drill_fail() {
    let scene = Scene::new();
    let source = scene.environment.make_directory("source");
    sample::simple(&source);
    let hostile = plugins::guest("hostile");
    scene
        .environment
        .backup(&hostile, &source, "")
        .run()
        .succeeds();
    let drill = scene.drill(&[
        "--snapshot",
        "latest",
        "--set",
        "mode=fail",
        "--set",
        "stage=verify",
    ]);
    let outcome = drill.arg("--json").run().exits(1);
    assert_eq!(outcome.error()["exit_code"], 1);
    scene.is_clean();
    let (evidence, _) = scene.evidence();
    assert_eq!(evidence["verdict"], "failed", "{evidence:#}");
    assert!(
        evidence["problems"].to_string().contains("told to fail"),
        "{evidence:#}"
    );
    assert_eq!(outcome.json()["problems"], evidence["problems"]);
}

#[test]
fn nothing_that_runs_is_touched() {
    let Some(h2) = H2::find() else { return };
    let scene = Scene::new();
    let applications = Applications::install(&scene.environment);
    let jpom = Jpom::in_use(&h2, &scene.environment.path("old"), Layout::Plain);
    let grants = [
        "probe:docker inspect -f * jpom",
        "run:docker stop jpom",
        "run:docker start jpom",
    ];
    let grants = grants.iter().flat_map(|grant| ["--grant", grant]);
    let backup = scene
        .environment
        .backup("jpom", jpom.home(), "--set container=jpom");
    backup.args(grants).run().succeeds();
    let changes = applications.changes();
    assert!(!changes.is_empty(), "the backup should have stopped it");
    scene.drill(&["--snapshot", "latest"]).run().succeeds();
    assert_eq!(applications.changes(), changes);
    assert!(applications.runs("jpom"));
    scene.is_clean();
    proves(&scene.evidence().0, "copal/jpom");
}

#[test]
fn what_is_kept_stays_until_resume_removes_it() {
    let scene = Scene::new();
    let source = scene.files();
    let outcome = scene
        .drill(&["--snapshot", "latest", "--keep", "--json"])
        .run()
        .succeeds();
    let kept = PathBuf::from(outcome.json()["kept"][0].as_str().unwrap());
    let root = std::fs::read_dir(kept.join("targets"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    tree::assert_same(&source, &root.path());
    scene.copal(&["resume"]).run().succeeds();
    assert!(!kept.exists());
    scene.is_clean();
}

/// A job whose database is dumped by the operator's own command. `feed` takes the dump in the drill.
fn shop(scene: &Scene, server: &Postgres, feed: &str) -> String {
    let dump: Vec<_> = server.database("shop").options();
    let dump = dump
        .iter()
        .map(|word| format!("{word:?}"))
        .collect::<Vec<_>>()
        .join(", ");
    let feed = format!("{feed:?}");
    format!(
        r#"
[repository]
url = "{repository}"

[jobs.shop]
plugin = "files"
roots = {{ files = "{source}" }}

[[jobs.shop.streams]]
name = "shop.sql"
command = ["pg_dump", "--no-owner", {dump}]

[jobs.shop.drill]
streams = {{ "shop.sql" = {{ command = ["sh", "-c", {feed}] }} }}

[jobs.shop.drill.postgres]
databases = ["shop", "with space"]
prepare = [["psql", "-d", "shop", "-c", "CREATE TABLE prepared (id int)"]]
"#,
        repository = scene.environment.repository(),
        source = scene.environment.path("source").display(),
    )
}

/// A scene with a job `shop` that has been backed up, and the text of its jobs.
fn shop_scene(feed: impl Fn(&Scene) -> String) -> Option<(Scene, Postgres, String)> {
    programs::require("pg_dump", "postgresql-client-15")?;
    let server = Postgres::start()?;
    server
        .create("shop")
        .run("CREATE TABLE item (name text); INSERT INTO item VALUES ('amber'), ('copal');");
    let scene = Scene::new();
    sample::simple(&scene.environment.make_directory("source"));
    let jobs = shop(&scene, &server, &feed(&scene));
    let config = scene.environment.write("copal.toml", &jobs);
    let backup = scene.copal(&["backup", "--yes", "--job", "shop", "--config"]);
    backup.arg(config).run().succeeds();
    Some((scene, server, jobs))
}

#[test]
fn a_database_is_restored_into_a_server_that_lives_as_long_as_the_drill() {
    let feed = |scene: &Scene| {
        let rows = scene.environment.path("rows");
        format!(
            "psql -q -X -1 -v ON_ERROR_STOP=1 -d shop && psql -X -A -t -d shop -c 'SELECT name FROM item, (SELECT count(*) FROM prepared) p ORDER BY 1' > '{}'",
            rows.display()
        )
    };
    let Some((scene, server, jobs)) = shop_scene(feed) else {
        return;
    };
    let before = server.database("shop").digests();
    let outcome: Outcome = scene.drill_of(&jobs).run().succeeds();
    assert_eq!(
        std::fs::read_to_string(scene.environment.path("rows")).unwrap(),
        "amber\ncopal\n"
    );
    assert_eq!(server.database("shop").digests(), before);
    scene.is_clean();
    let (evidence, page) = scene.evidence();
    assert_eq!(
        (&evidence["verdict"], &evidence["job"]),
        (&"passed".into(), &"shop".into())
    );
    assert!(
        evidence["postgres"]
            .as_str()
            .unwrap()
            .contains("PostgreSQL"),
        "{evidence:#}"
    );
    proves(&evidence, "shop.sql");
    for text in [
        "Start the PostgreSQL server",
        "Make the database with space",
        "Feeding shop.sql",
    ] {
        assert!(
            page.contains(text) && outcome.text().contains(text),
            "{text:?} is not in {page}"
        );
    }
}

#[test]
fn a_stream_that_its_command_refuses_makes_the_drill_fail_and_removes_the_server() {
    let Some((scene, _server, jobs)) = shop_scene(|_| "echo no such role >&2; exit 3".to_owned())
    else {
        return;
    };
    scene
        .environment
        .refused(scene.drill_of(&jobs), 1)
        .is("stream")
        .says("no such role");
    scene.is_clean();
    let (evidence, _) = scene.evidence();
    assert_eq!(evidence["verdict"], "failed");
    assert!(
        evidence["problems"].to_string().contains("no such role"),
        "{evidence:#}"
    );
}

/// Starts a drill and waits until its server runs and a stream is being fed to a command that does not end before it is told.
fn drill_in_the_middle() -> Option<(Scene, copal_tests::Running)> {
    let feed = |scene: &Scene| {
        let fed = scene.environment.path("fed");
        format!(
            "touch '{}'; while [ -d '{}' ]; do sleep 0.1; done",
            fed.display(),
            scene.temporary.path().display()
        )
    };
    let (scene, _, jobs) = shop_scene(feed)?;
    let drill = scene.drill_of(&jobs).start();
    let limit = Instant::now() + Duration::from_secs(120);
    while !scene.environment.path("fed").exists() {
        assert!(
            Instant::now() < limit,
            "the stream was never fed: {:?}",
            drill.wait()
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(!scene.servers().is_empty(), "the server should run");
    Some((scene, drill))
}

#[test]
fn an_interrupted_drill_removes_everything() {
    let Some((scene, drill)) = drill_in_the_middle() else {
        return;
    };
    drill.signal(Signal::INT);
    drill.wait().exits(130);
    scene.is_clean();
    assert!(
        !scene.environment.path("evidence").exists(),
        "it proved nothing"
    );
}

#[test]
fn resume_removes_what_a_killed_drill_left() {
    let Some((scene, drill)) = drill_in_the_middle() else {
        return;
    };
    drill.signal(Signal::KILL);
    drill.wait();
    assert!(!scene.servers().is_empty(), "nobody stopped the server yet");
    let outcome = scene.copal(&["resume"]).run().succeeds();
    assert!(
        outcome.text().contains("drill of shop"),
        "{}",
        outcome.text()
    );
    scene.is_clean();
    let again = scene.copal(&["resume"]).run().succeeds();
    assert!(again.text().contains("No job"), "{}", again.text());
}

#[test]
fn a_root_that_the_snapshot_holds_is_never_filled_where_the_job_says() {
    let scene = Scene::new();
    scene.files();
    let place = scene.environment.make_directory("production");
    let root = scene.environment.manifest()["roots"][0]["name"]
        .as_str()
        .unwrap()
        .to_owned();
    let jobs = format!(
        "[repository]\nurl = {:?}\n[jobs.shop]\nplugin = \"files\"\n[jobs.shop.drill]\nroots = {{ {root} = {:?} }}\n",
        scene.environment.repository(),
        place.to_str().unwrap(),
    );
    let snapshots = scene.environment.snapshots();
    let snapshot = snapshots[0]["id"].as_str().unwrap();
    let drill = scene.drill_of(&jobs).args(["--snapshot", snapshot]);
    scene
        .environment
        .refused(drill, 1)
        .is("drill")
        .says("scratch place");
    assert_eq!(std::fs::read_dir(place).unwrap().count(), 0);
    scene.is_clean();
}

#[test]
fn a_plugins_settings_lead_to_the_scratch_server_and_it_looks_at_copies() {
    if programs::require("pg_dump", "postgresql-client-15").is_none() {
        return;
    }
    let Some(server) = Postgres::start() else {
        return;
    };
    let database = server.create("shop");
    database.run(
        "CREATE TABLE item (name text); INSERT INTO item VALUES ('amber'), ('copal');
         CREATE TABLE flyway_schema_history (installed_rank int PRIMARY KEY, version varchar(50), description varchar(200) NOT NULL,
             type varchar(20) NOT NULL, script varchar(1000) NOT NULL, checksum int, installed_by varchar(100) NOT NULL,
             installed_on timestamp NOT NULL DEFAULT now(), execution_time int NOT NULL, success boolean NOT NULL);
         INSERT INTO flyway_schema_history VALUES (1, '1', 'init', 'SQL', 'V1__init.sql', 1, 'postgres', now(), 1, true);",
    );
    let scene = Scene::new();
    let environment = &scene.environment;
    let changelog = environment.make_directory("changelog");
    for (name, sql) in [
        ("V1__init.sql", "CREATE TABLE item (name text);"),
        ("V2__more.sql", "SELECT 1;"),
    ] {
        std::fs::write(changelog.join(name), sql).unwrap();
    }
    let jobs = format!(
        r#"
[repository]
url = {repository:?}

[jobs.shop]
plugin = "liquibase"
config = {{ host = {host:?}, port = {port}, user = "postgres", database = "shop" }}
grants = ["probe:psql -X -w -q -A -t -v ON_ERROR_STOP=1 -d *", "run:psql -X -w -q -A -t -v ON_ERROR_STOP=1 -d *", "run:pg_dump -w -d *"]

[jobs.shop.drill]
roots = {{ changelog = "changelog" }}
config = {{ host = "{{postgres.host}}", port = 5432, user = "{{postgres.user}}", database = "copy" }}
GRANTS
postgres = {{ databases = ["copy"] }}
"#,
        repository = environment.repository(),
        host = server.socket(),
        port = server.port(),
    );
    let config = environment.write("copal.toml", jobs.replace("GRANTS", ""));
    let backup = scene.copal(&["backup", "--yes", "--job", "shop", "--config"]);
    backup.arg(config).run().succeeds();
    let (rows, files) = (database.digests(), tree::read(&changelog));

    // The job's own grants count for nothing in a drill, and those that are asked for hold for any drill.
    let refusal = environment.refused(scene.drill_of(&jobs.replace("GRANTS", "")), 1);
    refusal.is("grants").says("/copal-drill-*");
    std::fs::remove_dir_all(environment.path("evidence")).unwrap();
    let place = scene.temporary.path().display();
    let words = format!(
        "psql -X -w -q -A -t -v ON_ERROR_STOP=1 -d host={place}/copal-drill-*\"-pg port=5432 user=postgres dbname=copy\""
    );
    let grant = format!("grants = ['probe:{words}', 'run:{words}']");
    scene
        .drill_of(&jobs.replace("GRANTS", &grant))
        .run()
        .succeeds();
    scene.is_clean();
    let (evidence, _) = scene.evidence();
    assert_eq!(evidence["verdict"], "passed", "{evidence:#}");
    proves(&evidence, "copal/liquibase");
    let findings = evidence["findings"].to_string();
    for code in [
        "liquibase.history.applied",
        "liquibase.history.pending",
        "liquibase.verify.history",
    ] {
        assert!(findings.contains(code), "{findings}");
    }
    assert!(
        database.digests() == rows && tree::read(&changelog) == files,
        "the original was changed"
    );
}

#[test]
fn a_foundation_is_rehearsed_with_both_its_databases() {
    let Some(server) = Postgres::start() else {
        return;
    };
    let scene = Scene::new();
    let environment = &scene.environment;
    let source = Foundation::in_use(&server, &environment.path("blobstore"));
    let settings = source.settings(&server).into_iter();
    let settings = settings.chain([
        "stopped=true".to_owned(),
        format!("db_encryption_key={KEY}"),
    ]);
    let settings = settings.flat_map(|setting| ["--set".to_owned(), setting]);
    let grants = GRANTS.iter().flat_map(|grant| ["--grant", grant]);
    let backup = environment.backup("cloudfoundry", source.blobstore(), "");
    backup.args(settings).args(grants).run().succeeds();
    let digests = (source.ccdb.digests(), source.uaadb.digests());
    let snapshot = environment.snapshots()[0]["id"]
        .as_str()
        .unwrap()
        .to_owned();

    // Blobs belong to whoever runs the test: there is no vcap here.
    let owner = match programs::is_root() {
        true => "root".to_owned(),
        false => std::env::var("USER").unwrap(),
    };
    let drill = |key: &str| {
        let jobs = format!(
            r#"
[repository]
url = {repository:?}

[jobs.shop]
plugin = "cloudfoundry"

[jobs.shop.drill]
grants = {GRANTS:?}

[jobs.shop.drill.postgres]
databases = ["ccdb", "uaadb"]

[jobs.shop.drill.config]
host = "{{postgres.host}}"
port = 5432
user = "{{postgres.user}}"
owner = {owner:?}
db_encryption_key = {{ env = "KEY" }}
"#,
            repository = environment.repository(),
        );
        scene
            .drill_of(&jobs)
            .env("KEY", key)
            .args(["--snapshot", &snapshot])
    };
    drill(KEY).run().succeeds();
    scene.is_clean();
    let (evidence, page) = scene.evidence();
    assert_eq!(evidence["verdict"], "passed", "{evidence:#}");
    for part in ["ccdb.sql", "uaadb.sql", "blobstore", "copal/cloudfoundry"] {
        proves(&evidence, part);
    }
    let findings = evidence["findings"].to_string();
    assert!(findings.contains("cloudfoundry.rows.same"), "{findings}");
    assert!(
        !evidence.to_string().contains(KEY) && !page.contains(KEY),
        "the key is a secret"
    );
    assert_eq!((source.ccdb.digests(), source.uaadb.digests()), digests);

    // Whoever would recover with another key would learn of it here.
    std::fs::remove_dir_all(environment.path("evidence")).unwrap();
    environment
        .refused(drill("another key"), 1)
        .is("refused")
        .says("key");
    scene.is_clean();
    assert_eq!(scene.evidence().0["verdict"], "failed");
}
