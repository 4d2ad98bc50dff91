//! Plans of restores: what refuses them, and what each intent changes.

use copal_plugin_jpom::{Jpom, JpomPass};
use copal_sdk::testing::{FakeProbe, MemoryTree, NOW, run_pass};
use copal_sdk::{Direction, Intent, Plugin, RestoreRequest, Timestamp, Tree, Trees};
use insta::assert_snapshot;

use crate::support::*;

const JAVA: &str = r#"{"java":"java","h2_jar":"/usr/share/java/h2-2.1.214.jar"}"#;

/// A Jpom that was installed and started once, and is closed.
fn fresh() -> MemoryTree {
    docker().file("data/data/INSTALL.json", install(OTHER))
}

/// The id that a plan's passes put into the target.
fn placed_id(jpom: &MemoryTree, state: &[u8]) -> String {
    let (placed, _) = run_pass::<JpomPass>(jpom, Direction::Restore, state).unwrap();
    let text = placed
        .read_to_string("data/data/INSTALL.json", 1000)
        .unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    json["installId"].as_str().unwrap().to_owned()
}

#[test]
fn a_recovery_changes_nothing() {
    let plan = Restoring::of(&docker(), Intent::Recover).plan();
    assert_snapshot!(show_restore(&plan));
    let (placed, _) = run_pass::<JpomPass>(&docker(), Direction::Restore, &plan.state).unwrap();
    assert_eq!(placed, docker());
}

#[test]
fn what_a_stream_holds_is_placed_nowhere() {
    let mut restoring = Restoring::of(&docker(), Intent::Recover);
    let streams = MemoryTree::new("streams").file("jpom.sql", "SELECT 1;");
    restoring.snapshot = Trees::from_iter([docker(), streams]);
    restoring.streams = vec!["jpom.sql".to_owned()];
    let plan = restoring.plan();
    let placed: Vec<_> = plan
        .placements
        .iter()
        .map(|placement| &placement.name)
        .collect();
    assert_eq!(placed, ["home"]);
    assert_eq!(errors(&plan.findings), [""; 0]);
}

#[test]
fn a_migration_mends_the_database() {
    let plan = Restoring::of(&docker(), Intent::Migrate)
        .into(fresh())
        .with(JAVA)
        .plan();
    assert_snapshot!(show_restore(&plan));
    assert_eq!(placed_id(&docker(), &plan.state), ID);
}

#[test]
fn a_migration_without_java_tells_the_sql() {
    let plan = Restoring::of(&docker(), Intent::Migrate).plan();
    assert_eq!(warnings(&plan.findings), ["jpom.sql.by-hand"]);
    assert!(plan.after.is_empty());
    assert_snapshot!(
        finding(&plan.findings, "jpom.sql.by-hand")
            .remedy
            .as_deref()
            .unwrap_or_default()
    );
}

#[test]
fn a_clone_has_an_id_of_its_own() {
    let plan = Restoring::of(&docker(), Intent::Clone).with(JAVA).plan();
    let id = placed_id(&docker(), &plan.state);
    assert_ne!(id, ID);
    assert!(
        id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()),
        "{id}"
    );
    assert_snapshot!(show_restore(&plan));
    let (placed, _) = run_pass::<JpomPass>(&docker(), Direction::Restore, &plan.state).unwrap();
    let text = placed
        .read_to_string("data/data/INSTALL.json", 1000)
        .unwrap();
    assert_eq!(text, install(&id));
}

#[test]
fn every_copy_of_the_identity_takes_the_clones_id() {
    let jpom = docker().file("data/INSTALL.json", install(ID));
    let plan = Restoring::of(&jpom, Intent::Clone).plan();
    let id = placed_id(&jpom, &plan.state);
    assert_ne!(id, ID);
    let (placed, _) = run_pass::<JpomPass>(&jpom, Direction::Restore, &plan.state).unwrap();
    assert_eq!(
        placed.read_to_string("data/INSTALL.json", 1000).unwrap(),
        install(&id)
    );
}

#[test]
fn a_clones_id_depends_on_the_original_and_the_time_alone() {
    let id = |snapshot: MemoryTree, seconds: i64| {
        let facts = backup(snapshot.clone(), r#"{"stopped":true}"#).facts;
        let plan = Jpom::plan_restore(&RestoreRequest {
            targets: MemoryTree::new("home").into(),
            snapshot: snapshot.clone().into(),
            probe: &FakeProbe::new(),
            intent: Intent::Clone,
            rehearsal: false,
            config: configuration("{}"),
            now: Timestamp { seconds, ..NOW },
            facts: facts.into(),
            streams: Vec::new(),
        });
        placed_id(&snapshot, &plan.unwrap().state)
    };
    assert_eq!(id(docker(), 1), id(docker(), 1));
    assert_ne!(id(docker(), 1), id(docker(), 2));
    assert_ne!(id(docker(), 1), id(fresh(), 1));
}

#[test]
fn a_clone_takes_the_configured_id_or_keeps_the_targets() {
    let clone = |json: &str, target: MemoryTree| {
        Restoring::of(&docker(), Intent::Clone)
            .into(target)
            .with(json)
            .plan()
    };
    let own = clone("{}", fresh());
    assert_eq!(placed_id(&docker(), &own.state), OTHER);
    let configured = clone(r#"{"install_id":"mine"}"#, fresh());
    assert_eq!(placed_id(&docker(), &configured.state), "mine");
    let same = clone(&format!(r#"{{"install_id":"{ID}"}}"#), fresh());
    assert_eq!(errors(&same.findings), ["jpom.identity.same"]);
}

#[test]
fn an_id_for_what_is_no_clone_is_refused() {
    for intent in [Intent::Recover, Intent::Migrate] {
        let plan = Restoring::of(&docker(), intent)
            .with(r#"{"install_id":"mine"}"#)
            .plan();
        assert_eq!(errors(&plan.findings), ["jpom.identity.unused"]);
    }
}

#[test]
fn a_recovery_over_another_jpom_is_refused() {
    let plan = Restoring::of(&docker(), Intent::Recover)
        .into(fresh())
        .plan();
    assert_eq!(errors(&plan.findings), ["jpom.identity.differs"]);
    let plan = Restoring::of(&docker(), Intent::Migrate)
        .into(fresh())
        .plan();
    assert_eq!(errors(&plan.findings), [""; 0]);
    finding(&plan.findings, "jpom.identity.replaced");
}

#[test]
fn a_running_target_is_refused_or_stopped() {
    let running = || docker().file("data/db/Server.mv.db", database(2, false));
    let plan = Restoring::of(&docker(), Intent::Recover)
        .into(running())
        .plan();
    assert_eq!(errors(&plan.findings), ["jpom.target.running"]);
    let plan = Restoring::of(&docker(), Intent::Recover)
        .into(running())
        .with(r#"{"stopped":true}"#)
        .plan();
    assert_eq!(errors(&plan.findings), [""; 0]);
    let plan = Restoring::of(&docker(), Intent::Recover)
        .into(running())
        .with(r#"{"container":"jpom-server"}"#)
        .plan();
    assert_eq!(errors(&plan.findings), [""; 0]);
    assert_eq!(plan.before[0].id, "stop-jpom");
    assert!(
        plan.before[0].undo.is_none(),
        "a failed restore must not start"
    );
}

#[test]
fn a_rehearsal_neither_asks_for_the_service_nor_stops_it() {
    let mut restoring =
        Restoring::of(&docker(), Intent::Migrate).with(r#"{"container":"jpom-server"}"#);
    restoring.rehearsal = true;
    // A probe that knows no answer would show in a finding.
    let plan = restoring.plan();
    assert!(plan.before.is_empty(), "{:?}", plan.before);
    assert!(
        plan.findings
            .iter()
            .all(|finding| !finding.code.contains("service"))
    );
}

#[test]
fn a_stopped_service_does_not_excuse_an_open_database() {
    let mut restoring = Restoring::of(&docker(), Intent::Recover)
        .into(docker().file("data/db/Server.mv.db", database(2, false)))
        .with(r#"{"unit":"jpom"}"#);
    restoring.probe = FakeProbe::new().answer(["systemctl", "is-active", "jpom"], 3, "inactive");
    assert_eq!(errors(&restoring.plan().findings), ["jpom.target.running"]);
}

#[test]
fn a_format_that_the_targets_h2_can_not_open_is_refused() {
    let newer = docker().file("data/db/Server.mv.db", database(3, true));
    let mut restoring = Restoring::of(&docker(), Intent::Recover).into(newer.clone());
    restoring.streams = vec!["jpom.sql".to_owned()];
    let plan = restoring.plan();
    assert_eq!(errors(&plan.findings), ["jpom.h2.format"]);
    assert!(
        finding(&plan.findings, "jpom.h2.format")
            .remedy
            .as_deref()
            .unwrap_or_default()
            .contains("streams/jpom.sql")
    );

    let jar = r#"{"java":"java","h2_jar":"/opt/h2-2.2.224.jar"}"#;
    let plan = Restoring::of(&docker(), Intent::Recover).with(jar).plan();
    assert_eq!(errors(&plan.findings), ["jpom.h2.jar"]);

    let with_program = used(docker());
    let plan = Restoring::of(&with_program, Intent::Recover)
        .into(newer)
        .plan();
    assert_eq!(errors(&plan.findings), [""; 0], "the program comes along");
}

#[test]
fn a_snapshot_that_is_no_whole_jpom_is_refused() {
    for (jpom, code) in [
        (
            MemoryTree::new("home").file("data/db/Server.mv.db", database(2, true)),
            "jpom.snapshot.install",
        ),
        (MemoryTree::new("home"), "jpom.snapshot.install"),
        (
            docker().file("data/data/INSTALL.json", "{"),
            "jpom.snapshot.install",
        ),
        (
            docker().file("data/data/INSTALL.json", install(OTHER)),
            "jpom.snapshot.identity",
        ),
        (
            docker().file("data/db/Server.mv.db", "x"),
            "jpom.snapshot.database",
        ),
        (
            MemoryTree::new("home").file("data/data/INSTALL.json", install(ID)),
            "jpom.snapshot.database",
        ),
    ] {
        let mut restoring = Restoring::of(&docker(), Intent::Recover);
        restoring.snapshot = jpom.into();
        assert_eq!(errors(&restoring.plan().findings), [code]);
    }
}

#[test]
fn a_target_in_which_two_jpoms_would_mix_is_refused() {
    for (target, codes) in [
        (
            plain(),
            &["jpom.layout.differs", "jpom.target.install"] as &[&str],
        ),
        (
            MemoryTree::new("home").file("data/INSTALL.json", install(ID)),
            &["jpom.layout.differs", "jpom.target.install"],
        ),
        (
            docker().file("data/INSTALL.json", install(ID)),
            &["jpom.target.install"],
        ),
        (
            MemoryTree::new("home").file("data/db/Server.mv.db", database(2, true)),
            &["jpom.target.mixed"],
        ),
        (
            docker().file("data/INSTALL.json", install(OTHER)),
            &["jpom.mixed", "jpom.target.install"],
        ),
        (
            docker().file("db/Server.mv.db", database(2, true)),
            &["jpom.mixed"],
        ),
    ] {
        let plan = Restoring::of(&docker(), Intent::Migrate)
            .into(target)
            .plan();
        assert_eq!(errors(&plan.findings), codes);
    }
    let identity = MemoryTree::new("home").file("data/data/INSTALL.json", install(OTHER));
    let plan = Restoring::of(&docker(), Intent::Migrate)
        .into(identity)
        .plan();
    assert_eq!(
        errors(&plan.findings),
        [""; 0],
        "an identity where it belongs mixes nothing"
    );
}

#[test]
fn roots_that_the_target_lacks_are_refused() {
    let data = MemoryTree::new("data")
        .file("db/Server.mv.db", database(2, true))
        .file("data/INSTALL.json", install(ID));
    let conf = MemoryTree::new("conf").file("application.yml", APPLICATION_YML);
    let mut restoring = Restoring::of(&docker(), Intent::Migrate);
    restoring.snapshot = [data.clone(), conf].into_iter().collect();
    assert_eq!(
        errors(&restoring.plan().findings),
        ["jpom.roots.differ", "jpom.roots.differ"]
    );
    let mut restoring = Restoring::of(&docker(), Intent::Migrate);
    restoring.snapshot = data.into();
    restoring.target = MemoryTree::new("data").into();
    assert_eq!(errors(&restoring.plan().findings), [""; 0]);
}

#[test]
fn the_targets_record_of_executed_sql_goes_with_its_database() {
    let record = "data/db/execute.init.sql.log";
    let plan = Restoring::of(&docker(), Intent::Migrate)
        .into(fresh().file(record, "x"))
        .plan();
    assert!(plan.before.is_empty());
    assert_eq!(plan.after[0].id, "remove-script-record");
    let plan = Restoring::of(&docker().file(record, "y"), Intent::Migrate)
        .into(fresh().file(record, "x"))
        .plan();
    let mut ids = plan.after.iter().map(|step| step.id.as_str());
    assert!(ids.all(|id| id != "remove-script-record"));
}

#[test]
fn settings_that_name_the_old_place_are_told() {
    let jpom = docker().file("conf/application.yml", "jpom:\n  path: /memory/home/data\n");
    let mut restoring = Restoring::of(&jpom, Intent::Migrate);
    restoring
        .facts
        .iter_mut()
        .filter(|fact| fact.name == "location")
        .for_each(|fact| fact.value = r#""/old/home/data""#.to_owned());
    restoring.snapshot = docker()
        .file("conf/application.yml", "jpom:\n  path: /old/home/data\n")
        .into();
    let plan = restoring.plan();
    assert!(warnings(&plan.findings).contains(&"jpom.conf.place"));
}

#[test]
fn a_database_that_has_to_be_repaired_is_not_opened_for_reading_alone() {
    let open = docker().file("data/db/Server.mv.db", database(2, false));
    let plan = Restoring::of(&open, Intent::Recover).with(JAVA).plan();
    assert_eq!(warnings(&plan.findings), ["jpom.h2.forced"]);
    assert!(plan.after.is_empty());
    let plan = Restoring::of(&open, Intent::Migrate).with(JAVA).plan();
    assert_eq!(plan.after.len(), 3);
}

#[test]
fn paths_of_backups_follow_what_the_container_sees() {
    let sql = |jpom: MemoryTree, json: &str| {
        let mut plan = Restoring::of(&jpom, Intent::Migrate).with(json).plan();
        plan.findings
            .retain(|finding| finding.code == "jpom.sql.by-hand");
        plan.findings[0].remedy.take().unwrap_or_default()
    };
    let inside = "/usr/local/jpom-server/data";
    let named = docker().file("conf/application.yml", format!("jpom.path: {inside}"));
    assert!(sql(named.clone(), "{}").contains(&format!("''{inside}/db/backup/''")));
    assert!(sql(named, r#"{"jpom_path":"/jpom"}"#).contains("''/jpom/db/backup/''"));
    assert!(sql(docker(), "{}").contains("''/memory/home/data/db/backup/''"));
    assert!(!sql(docker(), r#"{"container":"jpom-server"}"#).contains("BACKUP_INFO"));
}

#[test]
fn backups_that_were_left_out_leave_the_database_too() {
    let mut restoring = Restoring::of(&docker(), Intent::Migrate);
    restoring.facts = backup(docker(), r#"{"stopped":true,"without_db_backup":true}"#).facts;
    let plan = restoring.plan();
    let remedy = finding(&plan.findings, "jpom.sql.by-hand")
        .remedy
        .as_deref();
    assert!(
        remedy
            .unwrap_or_default()
            .contains("DELETE FROM BACKUP_INFO WHERE filePath LIKE")
    );
}

/// The SQL that a person is told to run where the database is as `yml` says.
fn told_sql(yml: &str, intent: Intent) -> String {
    let jpom = docker().file("conf/application.yml", yml);
    let json = match intent {
        Intent::Clone => r#"{"install_id":"mine"}"#,
        _ => "{}",
    };
    let plan = Restoring::of(&jpom, intent).with(json).plan();
    assert_eq!(errors(&plan.findings), [""; 0]);
    let remedy = finding(&plan.findings, "jpom.sql.by-hand")
        .remedy
        .as_deref();
    let (_, sql) = remedy.unwrap_or_default().split_once('\n').unwrap();
    sql.to_owned()
}

#[test]
fn an_external_database_is_told_sql_that_every_server_reads_and_that_deletes_nothing() {
    assert_eq!(
        told_sql("jpom.db.mode: MYSQL", Intent::Clone),
        format!(
            "START TRANSACTION;\n\
             UPDATE CLUSTER_INFO SET id = 'mine', url = NULL, lastHeartbeat = NULL WHERE id = '{ID}';\n\
             UPDATE WORKSPACE SET clusterInfoId = 'mine';\n\
             COMMIT;\n"
        )
    );
    assert_eq!(
        told_sql("jpom.db.mode: POSTGRESQL", Intent::Migrate),
        format!(
            "START TRANSACTION;\nUPDATE CLUSTER_INFO SET url = NULL WHERE id = '{ID}';\nCOMMIT;\n"
        )
    );
}

#[test]
fn a_served_h2_database_is_told_the_script_of_h2() {
    let sql = told_sql("jpom.db.url: jdbc:h2:tcp://db/jpom", Intent::Clone);
    assert!(sql.contains("EXECUTE IMMEDIATE"), "{sql}");
    assert!(sql.contains("BACKUP_INFO"), "{sql}");
}
