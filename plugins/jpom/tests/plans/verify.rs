//! What is checked after a restore.

use copal_plugin_jpom::Jpom;
use copal_sdk::testing::{FakeProbe, MemoryTree};
use copal_sdk::{Capture, Fact, Finding, Intent, Plugin, Trees, VerifyRequest};

use crate::support::*;

fn verify(target: MemoryTree, intent: Intent, report: Option<&str>) -> Vec<Finding> {
    verify_with(
        target,
        intent,
        report,
        backup(used(docker()), r#"{"stopped":true}"#).facts,
    )
}

fn verify_with(
    target: MemoryTree,
    intent: Intent,
    report: Option<&str>,
    facts: Vec<Fact>,
) -> Vec<Finding> {
    let captures = report.map(|report| Capture {
        step: "database-identity".to_owned(),
        output: report.as_bytes().to_vec(),
    });
    Jpom::verify(&VerifyRequest {
        targets: target.into(),
        snapshot: Trees::default(),
        probe: &FakeProbe::new(),
        intent,
        rehearsal: false,
        config: configuration("{}"),
        facts: facts.into(),
        captures: captures.into_iter().collect(),
    })
    .unwrap()
}

fn report(clusters: &str, workspaces: &str) -> String {
    format!("SELECT x;\n--> clusters: {clusters}\n;\nSELECT y;\n--> workspaces: {workspaces}\n;\n")
}

#[test]
fn a_whole_jpom_whose_ids_agree_passes() {
    for intent in [Intent::Recover, Intent::Migrate] {
        let findings = verify(
            used(docker()),
            intent,
            Some(&report(ID, &format!("{ID} {ID}"))),
        );
        assert_eq!((errors(&findings), warnings(&findings)), (vec![], vec![]));
        finding(&findings, "jpom.verify.agrees");
    }
    let clone = used(docker()).file("data/data/INSTALL.json", install(OTHER));
    let findings = verify(clone, Intent::Clone, Some(&report(OTHER, OTHER)));
    assert_eq!(errors(&findings), [""; 0]);
}

#[test]
fn a_database_that_was_not_read_is_told() {
    let findings = verify(used(docker()), Intent::Recover, None);
    assert_eq!(errors(&findings), [""; 0]);
    finding(&findings, "jpom.verify.unread");
}

#[test]
fn ids_that_disagree_fail() {
    let disagrees = report(OTHER, OTHER);
    assert_eq!(
        errors(&verify(used(docker()), Intent::Migrate, Some(&disagrees))),
        ["jpom.verify.cluster"]
    );
    assert_eq!(
        warnings(&verify(used(docker()), Intent::Recover, Some(&disagrees))),
        ["jpom.verify.cluster"]
    );
    let other = used(docker()).file("data/data/INSTALL.json", install(OTHER));
    assert_eq!(
        errors(&verify(other.clone(), Intent::Migrate, None)),
        ["jpom.verify.identity"]
    );
    assert_eq!(
        errors(&verify(used(docker()), Intent::Clone, None)),
        ["jpom.verify.identity"]
    );
    assert_eq!(
        errors(&verify(other, Intent::Clone, Some(&report(OTHER, ID)))),
        ["jpom.verify.workspace"]
    );
}

#[test]
fn a_second_identity_fails() {
    let mixed = used(docker())
        .file("data/data/INSTALL.json", install(OTHER))
        .file("data/INSTALL.json", install(ID));
    assert_eq!(
        errors(&verify(mixed, Intent::Clone, Some(&report(OTHER, OTHER)))),
        ["jpom.mixed"]
    );
}

#[test]
fn workspaces_of_clusters_that_do_not_exist_are_told() {
    let findings = verify(
        used(docker()),
        Intent::Migrate,
        Some(&report(ID, &format!("{ID} gone"))),
    );
    assert_eq!(
        (errors(&findings), warnings(&findings)),
        (vec![], vec!["jpom.verify.workspace"])
    );
}

#[test]
fn an_answer_that_is_not_understood_fails() {
    assert_eq!(
        errors(&verify(used(docker()), Intent::Migrate, Some("Exception"))),
        ["jpom.verify.report"]
    );
}

#[test]
fn a_part_that_is_missing_fails() {
    let findings = verify(docker(), Intent::Recover, None);
    let missing: Vec<_> = findings
        .iter()
        .filter(|finding| finding.code == "jpom.verify.missing")
        .filter_map(|finding| finding.path.as_deref())
        .collect();
    assert_eq!(
        missing,
        [
            "home/data/data/sshkey",
            "home/data/data/certificate",
            "home/data/data/docker",
            "home/data/data/script"
        ]
    );
    let findings = verify(MemoryTree::new("home"), Intent::Recover, None);
    assert!(errors(&findings).contains(&"jpom.verify.install"));
    assert!(errors(&findings).contains(&"jpom.verify.layout"));
}

#[test]
fn a_database_that_was_opened_meanwhile_fails() {
    let open = |jpom: MemoryTree| jpom.file("data/db/Server.mv.db", database(2, false));
    assert_eq!(
        errors(&verify(open(used(docker())), Intent::Recover, None)),
        ["jpom.verify.open"]
    );
    let saved_open = backup(open(used(docker())), r#"{"stopped":true}"#).facts;
    let findings = verify_with(
        open(used(docker())),
        Intent::Recover,
        None,
        saved_open.clone(),
    );
    assert_eq!(
        (errors(&findings), warnings(&findings)),
        (vec![], vec!["jpom.verify.unclean"])
    );
    let findings = verify_with(
        open(used(docker())),
        Intent::Migrate,
        Some(&report(ID, ID)),
        saved_open,
    );
    assert_eq!(
        errors(&findings),
        ["jpom.verify.open"],
        "the script closed it"
    );
    let damaged = used(docker()).file("data/db/Server.mv.db", "x");
    assert_eq!(
        errors(&verify(damaged, Intent::Recover, None)),
        ["jpom.verify.header"]
    );
}

#[test]
fn a_base_that_application_yml_names_by_its_old_place_is_found() {
    let jpom = |place: &str| {
        MemoryTree::new("home")
            .file("conf/application.yml", format!("jpom.path: {place}/srv"))
            .file("srv/db/Server.mv.db", database(2, true))
            .file("srv/data/INSTALL.json", install(ID))
    };
    let mut facts = backup(jpom("/memory/home"), r#"{"stopped":true}"#).facts;
    for fact in &mut facts {
        fact.value = fact.value.replace("/memory/home", "/old/home");
    }
    let findings = verify_with(
        jpom("/old/home"),
        Intent::Migrate,
        Some(&report(ID, ID)),
        facts,
    );
    assert_eq!((errors(&findings), warnings(&findings)), (vec![], vec![]));
}
