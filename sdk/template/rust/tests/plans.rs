//! The plugin's plans, over directories in memory and over `sample`.

use copal_plugin_{{name_}}::{Config, {{Name}}Plugin, WithoutDrafts};
use copal_sdk::testing::{DiskTree, FakeProbe, MemoryTree, NOW, check_description, run_pass};
use copal_sdk::{
    Action, BackupPlan, BackupRequest, Command, Direction, Fact, Failure, Finding, Intent, Plugin,
    RestorePlan, RestoreRequest, Severity, Tree, VerifyRequest,
};

/// An application whose notes have this format.
fn notes(format: u32) -> MemoryTree {
    MemoryTree::new("home")
        .file(
            "settings.ini",
            format!("title = Household\nformat = {format}\n"),
        )
        .file("notes/2026/garden.txt", "Sow peas.")
        .file("drafts/poem.txt", "…")
}

/// The same while it runs.
fn running(format: u32) -> MemoryTree {
    notes(format).file("lock", "4711")
}

fn stopped_by_unit() -> Config {
    Config {
        unit: Some("{{name}}.service".to_owned()),
    }
}

fn plan_backup(
    home: &(impl Tree + Clone + 'static),
    config: Config,
) -> Result<BackupPlan, Failure> {
    {{Name}}Plugin::plan_backup(&BackupRequest {
        roots: home.clone().into(),
        probe: &FakeProbe::new(),
        config,
        now: NOW,
    })
}

/// The plan that puts notes of format 3 into a target.
fn plan_restore(target: MemoryTree, config: Config) -> RestorePlan {
    {{Name}}Plugin::plan_restore(&RestoreRequest {
        targets: target.into(),
        snapshot: notes(3).into(),
        probe: &FakeProbe::new(),
        intent: Intent::Recover,
        rehearsal: false,
        config,
        now: NOW,
        facts: vec![Fact::new("format", 3)].into(),
        streams: Vec::new(),
    })
    .unwrap()
}

fn verify(target: MemoryTree) -> Vec<Finding> {
    {{Name}}Plugin::verify(&VerifyRequest {
        targets: target.into(),
        snapshot: notes(3).into(),
        probe: &FakeProbe::new(),
        intent: Intent::Recover,
        rehearsal: false,
        config: Config::default(),
        facts: vec![Fact::new("format", 3)].into(),
        captures: Vec::new(),
    })
    .unwrap()
}

fn codes(findings: &[Finding]) -> Vec<&str> {
    findings
        .iter()
        .map(|finding| finding.code.as_str())
        .collect()
}

fn words(action: Option<&Action>) -> Vec<String> {
    match action {
        Some(Action::Run(Command { argv, .. })) => argv.clone(),
        _ => Vec::new(),
    }
}

#[test]
fn the_description_keeps_the_contract() {
    check_description::<{{Name}}Plugin>();
}

#[test]
fn the_application_is_recognised_and_other_folders_are_not() {
    let detect = |tree: &dyn Tree| {{Name}}Plugin::detect(tree, &FakeProbe::new()).unwrap();
    let sample = DiskTree::new("home", "sample").unwrap();
    assert_eq!(detect(&sample).unwrap().root, "home");
    for other in [
        MemoryTree::new("home"),
        MemoryTree::new("home").directory("notes"),
        MemoryTree::new("home").file("settings.ini", "format = 3"),
        MemoryTree::new("home")
            .directory("notes")
            .file("settings.ini", "colour = blue"),
        MemoryTree::new("home")
            .file("notes", "")
            .file("settings.ini", "format = 3"),
    ] {
        assert_eq!(detect(&other), None);
    }
}

#[test]
fn the_sample_is_saved_without_its_drafts() {
    let sample = DiskTree::new("home", "sample").unwrap();
    let plan = plan_backup(&sample, Config::default()).unwrap();
    assert_eq!(plan.facts, [Fact::new("format", 3)]);
    assert!(plan.findings.is_empty() && plan.quiesce.is_empty());

    let (saved, findings) =
        run_pass::<WithoutDrafts>(&sample, Direction::Backup, &plan.state).unwrap();
    assert_eq!(saved.paths(), ["notes", "notes/garden.txt", "settings.ini"]);
    assert!(findings.is_empty());
}

#[test]
fn only_what_lies_at_the_top_is_left_out() {
    let home = running(3)
        .file("notes/drafts/kept.txt", "")
        .file("notes/lock", "");
    let (saved, _) = run_pass::<WithoutDrafts>(&home, Direction::Backup, b"").unwrap();
    assert!(saved.paths().contains(&"notes/drafts/kept.txt"));
    assert!(saved.paths().contains(&"notes/lock"));
    assert!(!saved.paths().contains(&"lock"));

    let (restored, _) = run_pass::<WithoutDrafts>(&home, Direction::Restore, b"").unwrap();
    assert_eq!(restored, home);
}

#[test]
fn a_running_application_is_stopped_and_started_again_or_the_plan_is_refused() {
    let plan = plan_backup(&running(3), Config::default()).unwrap();
    assert_eq!(codes(&plan.findings), ["{{name}}.running"]);
    assert_eq!(plan.findings[0].severity, Severity::Error);

    let plan = plan_backup(&running(3), stopped_by_unit()).unwrap();
    assert!(plan.findings.is_empty());
    let step = &plan.quiesce[0];
    assert_eq!(
        words(Some(&step.action)),
        ["systemctl", "stop", "{{name}}.service"]
    );
    assert_eq!(
        words(step.undo.as_ref()),
        ["systemctl", "start", "{{name}}.service"]
    );

    let plan = plan_restore(running(3), stopped_by_unit());
    assert_eq!(
        words(Some(&plan.before[0].action)),
        ["systemctl", "stop", "{{name}}.service"]
    );

    // One that does not run is left alone, whatever is set.
    let plan = plan_backup(&notes(3), stopped_by_unit()).unwrap();
    assert!(plan.quiesce.is_empty());
}

#[test]
fn a_folder_without_the_application_is_refused() {
    let failure = plan_backup(&MemoryTree::new("home"), Config::default()).unwrap_err();
    assert_eq!(failure.code, "{{name}}.not-found");
}

#[test]
fn a_target_with_a_newer_format_is_refused_and_no_other() {
    for (target, refused) in [
        (MemoryTree::new("home"), false),
        (notes(2), false),
        (notes(3), false),
        (
            MemoryTree::new("home").file("settings.ini", "damaged"),
            false,
        ),
        (notes(4), true),
    ] {
        let plan = plan_restore(target, Config::default());
        let expected: &[&str] = if refused {
            &["{{name}}.target.newer"]
        } else {
            &[]
        };
        assert_eq!(codes(&plan.findings), expected);
        assert_eq!(plan.placements.len(), 1);
    }
}

#[test]
fn what_was_restored_is_checked() {
    assert!(verify(notes(3)).is_empty());
    assert_eq!(codes(&verify(notes(2))), ["{{name}}.verify.format"]);
    assert_eq!(
        codes(&verify(MemoryTree::new("home"))),
        ["{{name}}.verify.missing"]
    );
}
