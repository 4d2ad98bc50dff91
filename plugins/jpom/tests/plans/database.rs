//! Plans carried out on real H2 databases.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use copal_plugin_jpom::{Jpom, JpomPass};
use copal_sdk::h2;
use copal_sdk::testing::{DiskTree, FakeProbe, NOW, run_pass};
use copal_sdk::{
    Action, BackupPlan, BackupRequest, Base, Capture, Direction, Finding, Fragment, Intent,
    Location, Plugin, RestoreRequest, SourceContent, Step, Tree, Trees, VerifyRequest,
};

use crate::support::*;

const JAR: &str = "/usr/share/java/h2-2.1.214.jar";
const SCHEMA: &str = include_str!("schema.sql");
const PASSWORD: &str = "p \"w\\ {x}' $";

/// Whether Java and H2 are installed. In CI they have to be; elsewhere a test that needs them says that it did not run.
fn has_h2() -> bool {
    let java = Command::new("java")
        .arg("-version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    let there = java.is_ok_and(|status| status.success()) && Path::new(JAR).is_file();
    if !there {
        assert!(
            std::env::var_os("CI").is_none(),
            "CI needs java and {JAR}: apt-get install default-jre-headless libh2-java"
        );
        #[expect(
            clippy::print_stderr,
            reason = "a test that was left out has to say so"
        )]
        {
            eprintln!("left out: needs java and {JAR} (Debian: default-jre-headless, libh2-java)");
        }
    }
    there
}

/// A real Jpom on disk, and a folder for a second one.
struct World {
    folder: tempfile::TempDir,
}

impl World {
    fn new(schema: &str) -> Self {
        let world = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        let old = world.old();
        for (path, content) in [
            (
                "conf/application.yml",
                "jpom.cluster.heart-second: 30\n".to_owned(),
            ),
            ("data/data/INSTALL.json", install(ID)),
            ("data/data/temp/x", "x".to_owned()),
            ("data/db/backup/20231224000000.sql", "SELECT 1".to_owned()),
        ] {
            let path = old.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        run_sql(&old, schema);
        world
    }

    fn old(&self) -> PathBuf {
        self.folder.path().join("old")
    }

    fn new_home(&self) -> PathBuf {
        self.folder.path().join("it's {new}")
    }

    fn config(&self, more: &str) -> String {
        let password = serde_json::to_string(PASSWORD).unwrap();
        format!(r#"{{"java":"java","h2_jar":"{JAR}","db_password":{password}{more}}}"#)
    }

    fn plan_backup(&self, json: &str) -> BackupPlan {
        Jpom::plan_backup(&BackupRequest {
            roots: DiskTree::new("home", self.old()).unwrap().into(),
            probe: &FakeProbe::new(),
            config: configuration(json),
            now: NOW,
        })
        .unwrap()
    }

    /// Backs up, restores with an intent, runs the plan's steps and verifies.
    fn restore(&self, intent: Intent, more: &str) -> Vec<Finding> {
        let backup = self.plan_backup(&self.config(""));
        let old = DiskTree::new("home", self.old()).unwrap();
        let (snapshot, _) = run_pass::<JpomPass>(&old, Direction::Backup, &backup.state).unwrap();
        fs::create_dir_all(self.new_home()).unwrap();
        let target = || DiskTree::new("home", self.new_home()).unwrap();
        let plan = Jpom::plan_restore(&RestoreRequest {
            targets: target().into(),
            snapshot: snapshot.clone().into(),
            probe: &FakeProbe::new(),
            intent,
            rehearsal: false,
            config: configuration(&self.config(more)),
            now: NOW,
            facts: backup.facts.clone().into(),
            streams: Vec::new(),
        })
        .unwrap();
        assert_eq!(errors(&plan.findings), [""; 0]);
        let (placed, _) = run_pass::<JpomPass>(&snapshot, Direction::Restore, &plan.state).unwrap();
        for path in placed.paths() {
            let to = self.new_home().join(path);
            match placed.stat(path).unwrap().unwrap() {
                entry if entry.is_file() => {
                    fs::write(to, placed.read_all(path, 1 << 24).unwrap()).unwrap()
                }
                _ => fs::create_dir_all(to).unwrap(),
            }
        }
        let before = fs::read(self.new_home().join("data/db/Server.mv.db")).unwrap();
        let host = Host::new(&self.new_home());
        let captures = plan
            .after
            .iter()
            .filter_map(|step| host.perform(step))
            .collect();
        let after = fs::read(self.new_home().join("data/db/Server.mv.db")).unwrap();
        assert_eq!(
            before == after,
            intent == Intent::Recover,
            "a recovery changes nothing"
        );
        Jpom::verify(&VerifyRequest {
            targets: target().into(),
            snapshot: Trees::default(),
            probe: &FakeProbe::new(),
            intent,
            rehearsal: false,
            config: configuration(&self.config(more)),
            facts: backup.facts.into(),
            captures,
        })
        .unwrap()
    }
}

/// What the host does with steps.
struct Host {
    scratch: tempfile::TempDir,
    home: PathBuf,
}

impl Host {
    fn new(home: &Path) -> Self {
        Self {
            scratch: tempfile::tempdir().unwrap(),
            home: home.to_owned(),
        }
    }

    fn fill(&self, text: &str) -> String {
        let scratch = self.scratch.path().display().to_string();
        let home = self.home.display().to_string();
        // Braces of what is put in must survive the undoubling.
        let double = |text: &str| text.replace('{', "{{").replace('}', "}}");
        let text = text
            .replace("{scratch}", &double(&scratch))
            .replace("{root:home}", &double(&home));
        text.replace("{{", "{").replace("}}", "}")
    }

    fn place(&self, location: &Location) -> PathBuf {
        match &location.base {
            Base::Scratch => self.scratch.path().join(&location.path),
            Base::Root(_) => self.home.join(&location.path),
        }
    }

    fn run(&self, argv: &[String]) -> Vec<u8> {
        let argv: Vec<String> = argv.iter().map(|word| self.fill(word)).collect();
        let output = Command::new(&argv[0])
            .args(&argv[1..])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        succeeded(&output);
        output.stdout
    }

    fn perform(&self, step: &Step) -> Option<Capture> {
        match &step.action {
            Action::Write(write) => {
                let content: String = write
                    .content
                    .iter()
                    .map(|fragment| match fragment {
                        Fragment::Plain(text) => self.fill(text),
                        Fragment::Secret(text) => text.clone(),
                    })
                    .collect();
                fs::write(self.place(&write.to), content).unwrap();
            }
            Action::Copy(copy) => {
                fs::copy(self.place(&copy.from), self.place(&copy.to)).unwrap();
            }
            Action::Run(command) => {
                let output = self.run(&command.argv);
                return step.capture.then(|| Capture {
                    step: step.id.clone(),
                    output,
                });
            }
            other => panic!("not in these plans: {other:?}"),
        }
        None
    }
}

fn succeeded(output: &Output) {
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn h2_tool(tool: &str, home: &Path, options: &str) -> Command {
    let mut command = Command::new("java");
    let url = format!(
        "jdbc:h2:{}/data/db/Server;MODE=MYSQL{options}",
        home.display()
    );
    command.args([
        "-cp",
        JAR,
        &format!("org.h2.tools.{tool}"),
        "-url",
        &url,
        "-user",
        "jpom",
        "-password",
        PASSWORD,
    ]);
    command
}

fn run_sql(home: &Path, sql: &str) {
    fs::create_dir_all(home.join("data/db")).unwrap();
    let script = home.join("make.sql");
    fs::write(&script, sql).unwrap();
    succeeded(
        &h2_tool("RunScript", home, "")
            .arg("-script")
            .arg(&script)
            .output()
            .unwrap(),
    );
    fs::remove_file(script).unwrap();
}

/// The rows that a query answers, their columns joined by spaces; the database stays as it is.
fn rows(home: &Path, query: &str) -> Vec<String> {
    let script = home.join("query.sql");
    fs::write(&script, format!("{query};")).unwrap();
    let output = h2_tool("RunScript", home, ";ACCESS_MODE_DATA=r")
        .arg("-script")
        .arg(&script)
        .arg("-showResults")
        .output()
        .unwrap();
    succeeded(&output);
    fs::remove_file(script).unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .filter_map(|line| line.strip_prefix("--> "))
        .map(str::to_owned)
        .collect()
}

const CLUSTERS: &str = "SELECT id, url, lastHeartbeat, linkGroup FROM CLUSTER_INFO ORDER BY id";
const WORKSPACES: &str = "SELECT id, clusterInfoId FROM WORKSPACE ORDER BY id";
const BACKUPS: &str = "SELECT id, filePath FROM BACKUP_INFO ORDER BY id";

/// What no intent changes: an id, a long text's length and its checksum.
const PARAMETERS: &str =
    "SELECT id, LENGTH(\"VALUE\"), HASH('MD5', \"VALUE\") FROM SYSTEM_PARAMETERS ORDER BY id";

/// Holds a database open until it is dropped.
struct Open(Child);

impl Open {
    fn new(home: &Path) -> Self {
        let child = h2_tool("Shell", home, "")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let open = Self(child);
        let begun = Instant::now();
        while header(home).clean {
            assert!(
                begun.elapsed() < Duration::from_secs(60),
                "H2 never opened the database"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        open
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

fn header(home: &Path) -> h2::Header {
    let mut bytes = vec![0; h2::HEADER_LENGTH];
    fs::File::open(home.join("data/db/Server.mv.db"))
        .unwrap()
        .read_exact(&mut bytes)
        .unwrap();
    h2::Header::read(&bytes).unwrap()
}

#[test]
fn the_header_of_a_real_database_tells_whether_it_is_open() {
    if !has_h2() {
        return;
    }
    let world = World::new(SCHEMA);
    assert_eq!(
        (header(&world.old()).format, header(&world.old()).clean),
        (2, true)
    );
    let open = Open::new(&world.old());
    assert_eq!(
        errors(&world.plan_backup("{}").findings),
        ["jpom.h2.unclean"]
    );
    drop(open);
    assert_eq!(errors(&world.plan_backup("{}").findings), [""; 0]);
}

#[test]
fn the_exported_sql_makes_the_same_database() {
    if !has_h2() {
        return;
    }
    let world = World::new(SCHEMA);
    let plan = world.plan_backup(&world.config(""));
    let before = fs::read(world.old().join("data/db/Server.mv.db")).unwrap();
    let host = Host::new(&world.old());
    for step in &plan.quiesce {
        host.perform(step);
    }
    let stream = plan
        .sources
        .iter()
        .find_map(|source| match &source.content {
            SourceContent::Command(stream) => Some(stream),
            SourceContent::Tree(_) => None,
        });
    let sql = host.run(&stream.unwrap().command.argv);
    let again = world.folder.path().join("again");
    run_sql(&again, std::str::from_utf8(&sql).unwrap());
    for query in [CLUSTERS, WORKSPACES, BACKUPS, PARAMETERS] {
        assert_eq!(rows(&again, query), rows(&world.old(), query));
    }
    assert!(
        before == fs::read(world.old().join("data/db/Server.mv.db")).unwrap(),
        "the database was touched"
    );
}

#[test]
fn a_recovery_leaves_the_database_as_it_was() {
    if !has_h2() {
        return;
    }
    let world = World::new(SCHEMA);
    let findings = world.restore(Intent::Recover, "");
    assert_eq!((errors(&findings), warnings(&findings)), (vec![], vec![]));
    finding(&findings, "jpom.verify.agrees");
    for query in [CLUSTERS, WORKSPACES, BACKUPS, PARAMETERS] {
        assert_eq!(rows(&world.new_home(), query), rows(&world.old(), query));
    }
}

#[test]
fn a_migration_moves_paths_and_removes_abandoned_clusters_alone() {
    if !has_h2() {
        return;
    }
    let world = World::new(SCHEMA);
    let findings = world.restore(Intent::Migrate, "");
    assert_eq!((errors(&findings), warnings(&findings)), (vec![], vec![]));
    let home = world.new_home();
    assert_eq!(
        rows(&home, CLUSTERS),
        [
            "91c653b3e17c4021b486416e33d014c8 null 1735689599000 default",
            "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb null 1703300000000 null",
            "cccccccccccccccccccccccccccccccc null 1735689590000 null",
        ]
    );
    let base = home.canonicalize().unwrap().join("data");
    assert_eq!(
        rows(&home, BACKUPS),
        [
            format!("1 {}/db/backup/20231224000000.sql", base.display()),
            "2 /elsewhere/mine.sql".to_owned()
        ]
    );
    for query in [WORKSPACES, PARAMETERS] {
        assert_eq!(rows(&home, query), rows(&world.old(), query));
    }
    assert!(header(&home).clean);
}

#[test]
fn a_clone_takes_over_the_cluster_and_every_workspace() {
    if !has_h2() {
        return;
    }
    let world = World::new(SCHEMA);
    let findings = world.restore(
        Intent::Clone,
        r#","install_id":"0000000000000000000000000000000f","jpom_path":"/srv/默/it's""#,
    );
    assert_eq!((errors(&findings), warnings(&findings)), (vec![], vec![]));
    let home = world.new_home();
    assert_eq!(
        rows(&home, CLUSTERS),
        [
            "0000000000000000000000000000000f null null default",
            "cccccccccccccccccccccccccccccccc null 1735689590000 null",
        ]
    );
    let id = "0000000000000000000000000000000f";
    assert_eq!(
        rows(&home, WORKSPACES),
        [
            format!("DEFAULT {id}"),
            format!("w2 {id}"),
            format!("w3 {id}")
        ]
    );
    assert_eq!(
        rows(&home, BACKUPS),
        [
            "1 /srv/默/it's/db/backup/20231224000000.sql",
            "2 /elsewhere/mine.sql"
        ]
    );
    assert_eq!(rows(&home, PARAMETERS), rows(&world.old(), PARAMETERS));
    assert_eq!(
        fs::read_to_string(home.join("data/data/INSTALL.json")).unwrap(),
        install(id)
    );
}

#[test]
fn a_jpom_from_before_clusters_is_restored_with_every_intent() {
    if !has_h2() {
        return;
    }
    for intent in [Intent::Recover, Intent::Migrate, Intent::Clone] {
        let world = World::new(
            "CREATE TABLE WORKSPACE(id varchar(50) primary key, name varchar(50)); INSERT INTO WORKSPACE VALUES('DEFAULT', 'x');",
        );
        // Something has to change, or a migration could not be told from a recovery.
        run_sql(&world.old(), "CREATE TABLE OTHER(x int);");
        let findings = world.restore(intent, "");
        assert_eq!(errors(&findings), [""; 0], "{intent:?}");
        assert_eq!(
            rows(&world.new_home(), "SELECT * FROM WORKSPACE"),
            ["DEFAULT x"]
        );
    }
}
