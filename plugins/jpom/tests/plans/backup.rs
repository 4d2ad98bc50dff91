//! Plans of backups, and what their passes leave out.

use copal_plugin_jpom::JpomPass;
use copal_sdk::testing::{FakeProbe, MemoryTree, filter_all_chunkings, run_pass};
use copal_sdk::{
    Command, Direction, Failure, FailureKind, Output, Pass, Probe, SourceContent, Tree, Trees,
};
use insta::assert_snapshot;

use crate::support::*;

const JAVA: &str = r#""java":"java","h2_jar":"/usr/share/java/h2-2.1.214.jar""#;

fn docker_says(code: i32, running: &str) -> FakeProbe {
    let inspect = [
        "docker",
        "inspect",
        "-f",
        "{{{{.State.Running}}}}",
        "jpom-server",
    ];
    FakeProbe::new().answer(inspect, code, running)
}

/// A probe whose every command fails with this standard error.
struct DockerFails(&'static str);

impl Probe for DockerFails {
    fn run(&self, _command: &Command) -> Result<Output, Failure> {
        Ok(Output {
            code: 1,
            stdout: Vec::new(),
            stderr: self.0.into(),
            truncated: false,
        })
    }
}

/// The paths that a backup under this plan keeps.
fn kept(tree: &MemoryTree, json: &str) -> Vec<String> {
    let plan = backup(tree.clone(), json);
    let (kept, _) = run_pass::<JpomPass>(tree, Direction::Backup, &plan.state).unwrap();
    kept.paths().into_iter().map(str::to_owned).collect()
}

#[test]
fn a_running_container_is_stopped_copied_and_started() {
    let jpom = used(docker().file("data/db/Server.mv.db", database(2, false)));
    let json = format!(r#"{{"container":"jpom-server",{JAVA},"build":["web"]}}"#);
    let plan = plan_backup(jpom, &json, &docker_says(0, "true\n")).unwrap();
    assert_snapshot!(show_backup(&plan));
}

#[test]
fn a_unit_that_may_not_be_asked_is_stopped_all_the_same() {
    let plan = backup(docker(), r#"{"unit":"jpom.service"}"#);
    assert_eq!(plan.quiesce[0].id, "stop-jpom");
    assert!(plan.quiesce[0].undo.is_some());
    finding(&plan.findings, "jpom.service.unknown");
}

#[test]
fn a_service_that_is_stopped_stays_so() {
    for (code, state) in [(3, "inactive\n"), (3, "failed\n")] {
        let probe = FakeProbe::new().answer(["systemctl", "is-active", "jpom"], code, state);
        let plan = plan_backup(docker(), r#"{"unit":"jpom"}"#, &probe).unwrap();
        assert!(plan.quiesce.is_empty(), "{state}");
    }
    let plan = plan_backup(
        docker(),
        r#"{"container":"jpom-server"}"#,
        &docker_says(0, "false\n"),
    )
    .unwrap();
    assert!(plan.quiesce.is_empty());
}

#[test]
fn a_service_that_does_not_exist_is_refused() {
    let probe = FakeProbe::new().answer(["systemctl", "is-active", "jpom"], 4, "inactive\n");
    let plan = plan_backup(docker(), r#"{"unit":"jpom"}"#, &probe).unwrap();
    assert_eq!(errors(&plan.findings), ["jpom.service.missing"]);
    let probe = DockerFails("\nError: No such object: jpom-server\n");
    let plan = plan_backup(docker(), r#"{"container":"jpom-server"}"#, &probe).unwrap();
    assert_eq!(errors(&plan.findings), ["jpom.service.missing"]);
}

#[test]
fn a_docker_that_can_not_be_asked_is_no_absent_container() {
    let probe = DockerFails("permission denied: /var/run/docker.sock\nsecond line");
    let plan = plan_backup(docker(), r#"{"container":"jpom-server"}"#, &probe).unwrap();
    assert_eq!(errors(&plan.findings), [""; 0]);
    assert_eq!(plan.quiesce[0].id, "stop-jpom");
    let message = &finding(&plan.findings, "jpom.service.unknown").message;
    assert!(message.ends_with("docker.sock."), "{message}");
}

#[test]
fn an_open_database_is_refused_unless_it_is_quiesced_or_said_to_be_stopped() {
    let open = docker().file("data/db/Server.mv.db", database(2, false));
    assert_eq!(
        errors(&backup(open.clone(), "{}").findings),
        ["jpom.h2.unclean"]
    );
    let json = r#"{"container":"jpom-server"}"#;
    let stopped = plan_backup(open.clone(), json, &docker_says(0, "false")).unwrap();
    assert_eq!(errors(&stopped.findings), ["jpom.h2.unclean"]);
    let running = plan_backup(open.clone(), json, &docker_says(0, "true")).unwrap();
    assert_eq!(errors(&running.findings), [""; 0]);
    assert_eq!(
        errors(&backup(open, r#"{"stopped":true}"#).findings),
        [""; 0]
    );
}

#[test]
fn a_closed_database_is_saved_with_a_warning() {
    let plan = backup(docker(), "{}");
    assert_eq!(errors(&plan.findings), [""; 0]);
    assert_eq!(warnings(&plan.findings), ["jpom.h2.closed"]);
    assert_eq!(
        warnings(&backup(docker(), r#"{"stopped":true}"#).findings),
        [""; 0]
    );
}

#[test]
fn what_jpom_makes_anew_is_left_out() {
    let kept = kept(&used(docker()), r#"{"stopped":true}"#);
    assert_snapshot!(kept.join("\n"));
}

#[test]
fn the_plain_layout_leaves_out_the_same() {
    let jpom = plain()
        .file("data/temp/x", "")
        .file("data/script_run_cache/x", "")
        .file("data/remote_version.json", "{}")
        .file("data/temperature/x", "")
        .file("logs/x", "");
    assert_eq!(
        kept(&jpom, r#"{"stopped":true}"#),
        [
            "conf",
            "conf/application.yml",
            "data",
            "data/INSTALL.json",
            "data/temperature",
            "data/temperature/x",
            "db",
            "db/Server.mv.db"
        ]
    );
}

#[test]
fn builds_are_kept_by_id() {
    let builds = |json: &str| -> Vec<String> {
        let kept = kept(&used(docker()), json);
        kept.iter()
            .filter_map(|path| path.strip_prefix("data/data/build/"))
            .filter(|path| !path.contains('/'))
            .map(str::to_owned)
            .collect()
    };
    assert_eq!(builds(r#"{"stopped":true}"#), ["api", "web"]);
    assert_eq!(builds(r#"{"stopped":true,"build":"all"}"#), ["api", "web"]);
    assert_eq!(builds(r#"{"stopped":true,"build":"none"}"#), [""; 0]);
    assert_eq!(builds(r#"{"stopped":true,"build":["web"]}"#), ["web"]);
    let plan = backup(used(docker()), r#"{"stopped":true,"build":["web","wbe"]}"#);
    assert_eq!(errors(&plan.findings), ["jpom.build.unknown"]);
}

#[test]
fn jpoms_own_backups_are_left_out_on_demand() {
    let kept = kept(
        &used(docker()),
        r#"{"stopped":true,"without_db_backup":true,"without_recover_backup":true}"#,
    );
    assert!(!kept.iter().any(|path| path.contains("backup")), "{kept:?}");
    assert!(kept.contains(&"data/db/execute.init.sql.log".to_owned()));
}

#[test]
fn roots_that_are_mounted_apart_are_both_saved() {
    let data = MemoryTree::new("data")
        .file("db/Server.mv.db", database(2, true))
        .file("data/INSTALL.json", install(ID))
        .file("data/temp/x", "");
    let conf = MemoryTree::new("conf")
        .file("application.yml", APPLICATION_YML)
        .file("logs/x", "");
    let roots: Trees = [data.clone(), conf.clone()].into_iter().collect();
    let plan = plan_backup(roots, r#"{"stopped":true}"#, &FakeProbe::new()).unwrap();
    assert_eq!(errors(&plan.findings), [""; 0]);
    let mut trees: Vec<&str> = plan
        .sources
        .iter()
        .filter_map(|source| match &source.content {
            SourceContent::Tree(root) => Some(root.as_str()),
            SourceContent::Command(_) => None,
        })
        .collect();
    trees.sort_unstable();
    assert_eq!(trees, ["conf", "data"]);
    let (kept, _) = run_pass::<JpomPass>(&data, Direction::Backup, &plan.state).unwrap();
    assert!(!kept.exists("data/temp").unwrap());
    let (kept, _) = run_pass::<JpomPass>(&conf, Direction::Backup, &plan.state).unwrap();
    assert_eq!(kept, conf);
}

#[test]
fn what_is_no_jpom_fails() {
    let failure = plan_backup(MemoryTree::new("home"), "{}", &FakeProbe::new()).unwrap_err();
    assert_eq!(
        (failure.kind, failure.code.as_str()),
        (FailureKind::Missing, "jpom.not-found")
    );
    let failure = plan_backup(MemoryTree::new("conf"), "{}", &FakeProbe::new()).unwrap_err();
    assert_eq!(failure.code, "jpom.root");
}

#[test]
fn what_can_not_be_restored_is_refused() {
    let stopped = r#"{"stopped":true}"#;
    for (jpom, json, code) in [
        (
            MemoryTree::new("home").file("data/db/Server.mv.db", database(2, true)),
            stopped,
            "jpom.install.missing",
        ),
        (
            docker().file("data/data/INSTALL.json", r#"{"installId":""}"#),
            stopped,
            "jpom.install.invalid",
        ),
        (
            docker().file("data/INSTALL.json", install(OTHER)),
            stopped,
            "jpom.mixed",
        ),
        (
            docker().file("db/Server.mv.db", database(2, true)),
            stopped,
            "jpom.mixed",
        ),
        (
            docker().file("data/db/Server.mv.db", "H:2"),
            stopped,
            "jpom.h2.header",
        ),
        (
            docker().symlink("data/db/Server.mv.db", "/elsewhere/Server.mv.db"),
            stopped,
            "jpom.symlink",
        ),
        (
            MemoryTree::new("home")
                .file("data/db/Server.mv.db", database(2, true))
                .symlink("data/data/INSTALL.json", "/elsewhere/INSTALL.json"),
            stopped,
            "jpom.symlink",
        ),
        (
            docker().symlink("data/INSTALL.json", "data/INSTALL.json"),
            stopped,
            "jpom.symlink",
        ),
        (
            docker().file(
                "conf/application.yml",
                "jpom.db.url: jdbc:h2:/memory/home/data/db/Server;CIPHER=AES",
            ),
            stopped,
            "jpom.db.encrypted",
        ),
        (
            docker().file("conf/application.yml", "jpom.db.mode: MYSQL"),
            stopped,
            "jpom.db.external",
        ),
        (
            docker().file("conf/application.yml", "jpom.db.url: jdbc:h2:mem:x"),
            stopped,
            "jpom.db.memory",
        ),
        (
            MemoryTree::new("home")
                .file("conf/application.yml", "jpom.db.url: jdbc:h2:/else/Server")
                .file("data/data/INSTALL.json", install(ID)),
            stopped,
            "jpom.db.elsewhere",
        ),
        (
            MemoryTree::new("home").file("data/data/INSTALL.json", install(ID)),
            stopped,
            "jpom.db.missing",
        ),
        (
            docker(),
            r#"{"stopped":true,"java":"java","h2_jar":"h2-2.2.224.jar"}"#,
            "jpom.h2.jar",
        ),
    ] {
        let plan = plan_backup(jpom, json, &FakeProbe::new());
        match plan {
            Ok(plan) => assert!(
                errors(&plan.findings).contains(&code),
                "{code}: {:#?}",
                plan.findings
            ),
            Err(failure) => panic!("{code}: {failure}"),
        }
    }
}

#[test]
fn a_place_as_a_container_sees_it_is_taken_for_the_usual_one() {
    let yml = "jpom:\n  path: /usr/local/jpom-server/data\n  db:\n    url: jdbc:h2:/usr/local/jpom-server/data/db/Server;MODE=MYSQL\n";
    let plan = backup(
        docker().file("conf/application.yml", yml),
        r#"{"stopped":true}"#,
    );
    assert_eq!(errors(&plan.findings), [""; 0]);
    assert_eq!(warnings(&plan.findings), ["jpom.db.url"]);
}

#[test]
fn a_place_of_ones_own_within_the_root_is_followed() {
    let yml = "jpom:\n  path: /memory/home/srv\n  db:\n    url: jdbc:h2:/memory/home/sql/Main;MODE=MYSQL\n";
    let jpom = MemoryTree::new("home")
        .file("conf/application.yml", yml)
        .file("sql/Main.mv.db", database(2, true))
        .file("sql/Main.lock.db", "")
        .file("srv/data/INSTALL.json", install(ID))
        .file("srv/data/temp/x", "");
    let plan = backup(jpom.clone(), r#"{"stopped":true}"#);
    assert_eq!(
        (errors(&plan.findings), warnings(&plan.findings)),
        (vec![], vec![])
    );
    let kept = kept(&jpom, r#"{"stopped":true}"#);
    assert!(
        !kept
            .iter()
            .any(|path| path.contains("temp") || path.contains("lock")),
        "{kept:?}"
    );
}

#[test]
fn a_file_storage_is_outside_the_root_or_it_is_not_known() {
    let message = |place: &str| {
        let yml = format!("jpom.file-storage.save-pah: {place}");
        let plan = backup(
            docker().file("conf/application.yml", yml),
            r#"{"stopped":true}"#,
        );
        let told = plan.findings.into_iter();
        let mut told = told.filter(|finding| finding.code == "jpom.file-storage");
        told.next().map(|finding| finding.message)
    };
    assert!(message("/srv/files").unwrap().contains("outside the root"));
    assert!(message("files").unwrap().contains("not known"));
    assert_eq!(message("/memory/home/files"), None);
}

#[test]
fn an_external_database_may_be_declared_separate() {
    let jpom = docker().file(
        "conf/application.yml",
        "jpom.db: {mode: POSTGRESQL, url: 'jdbc:postgresql://db/jpom'}",
    );
    let plan = backup(jpom, r#"{"stopped":true,"external_database":"separate"}"#);
    assert_eq!(errors(&plan.findings), [""; 0]);
    finding(&plan.findings, "jpom.db.external");
}

#[test]
fn no_secret_reaches_a_plan_but_as_a_secret() {
    let json = format!(r#"{{"stopped":true,{JAVA}}}"#);
    let plan = backup(used(docker()), &json);
    let text = format!("{plan:?}{}", String::from_utf8_lossy(&plan.state));
    assert!(text.contains("Secret(***)"));
    for secret in ["hunter2", "also-a-secret"] {
        assert!(!text.contains(secret), "{secret}");
    }
}

#[test]
fn a_database_of_h2_1_4_is_saved_without_a_script() {
    let jpom = docker().file("data/db/Server.mv.db", database(1, true));
    let json = r#"{"stopped":true,"java":"java","h2_jar":"h2-1.4.200.jar"}"#;
    let plan = backup(jpom, json);
    assert_eq!(errors(&plan.findings), [""; 0]);
    assert_eq!((plan.sources.len(), plan.quiesce.len()), (1, 0));
    finding(&plan.findings, "jpom.sql.none");
}

#[test]
fn a_database_that_is_opened_meanwhile_fails_its_file() {
    let plan = backup(docker(), "{}");
    let opened = docker().file("data/db/Server.mv.db", database(2, false));
    let failure = run_pass::<JpomPass>(&opened, Direction::Backup, &plan.state).unwrap_err();
    assert_eq!(failure.code, "jpom.h2.opened");
}

#[test]
fn a_jpom_that_was_stopped_by_force_is_told() {
    let open = docker().file("data/db/Server.mv.db", database(2, false));
    let plan = plan_backup(
        open.clone(),
        r#"{"container":"jpom-server"}"#,
        &docker_says(0, "true"),
    )
    .unwrap();
    let (saved, findings) = run_pass::<JpomPass>(&open, Direction::Backup, &plan.state).unwrap();
    assert_eq!(saved, open);
    assert_eq!(warnings(&findings), ["jpom.h2.forced"]);
    let (_, findings) = run_pass::<JpomPass>(&docker(), Direction::Backup, &plan.state).unwrap();
    assert_eq!(warnings(&findings), [""; 0]);
}

#[test]
fn the_database_passes_unchanged_however_it_is_cut() {
    let plan = backup(docker(), "{}");
    let entry = docker().stat("data/db/Server.mv.db").unwrap().unwrap();
    let open = || {
        let state = serde_json::from_slice(&plan.state).unwrap();
        let mut pass = JpomPass::start(Direction::Backup, state).unwrap();
        pass.open("home", &entry).unwrap()
    };
    let content = database(2, true);
    let mut cut = vec![7; 100];
    cut.splice(0..0, content[..8192].iter().copied());
    assert_eq!(filter_all_chunkings(open, &cut).unwrap(), cut);
    assert_eq!(
        filter_all_chunkings(open, &content[..500])
            .unwrap_err()
            .code,
        "jpom.h2.header"
    );
}
