use std::fs;

use copal_sdk::testing::{DiskTree, FakeProbe, MemoryTree, NOW, check_description, run_pass};
use copal_sdk::{
    BackupRequest, Direction, FailureKind, Intent, Placement, Plugin, RestoreRequest, Source, Tree,
    Trees, config,
};

use super::{Config, Files, backup::Exclude};

/// What a snapshot of `tree` would hold.
fn backed_up<T: Tree + Clone + 'static>(tree: &T, config: &str) -> MemoryTree {
    let plan = Files::plan_backup(&BackupRequest {
        roots: tree.clone().into(),
        probe: &FakeProbe::new(),
        config: config::parse(config).unwrap(),
        now: NOW,
    })
    .unwrap();
    let (saved, findings) = run_pass::<Exclude>(tree, Direction::Backup, &plan.state).unwrap();
    assert!(findings.is_empty());
    saved
}

fn sample() -> MemoryTree {
    MemoryTree::new("files")
        .file("a.txt", "a")
        .file("a.tmp", "")
        .file("cache/x", "x")
        .file("sub/cache/y", "y")
        .file("sub/b.tmp", "b")
        .symlink("sub/link", "../a.txt")
        .directory("empty")
}

#[test]
fn the_description_keeps_the_contract() {
    check_description::<Files>();
}

#[test]
fn any_directory_fits_a_little() {
    let detection = Files::detect(&MemoryTree::new("files"), &FakeProbe::new()).unwrap();
    assert_eq!(detection.unwrap().confidence, 1);
}

#[test]
fn everything_is_saved_unless_left_out() {
    assert_eq!(backed_up(&sample(), "{}"), sample());
}

#[test]
fn what_matches_is_left_out_with_all_beneath() {
    let saved = backed_up(&sample(), r#"{"exclude": ["*.tmp", "/cache/"]}"#);
    assert_eq!(
        saved.paths(),
        [
            "a.txt",
            "empty",
            "sub",
            "sub/cache",
            "sub/cache/y",
            "sub/link"
        ]
    );
}

#[test]
fn real_directories_are_saved_the_same_way() {
    let place = tempfile::tempdir().unwrap();
    fs::create_dir_all(place.path().join("keep/cache")).unwrap();
    fs::write(place.path().join("keep/a"), "content").unwrap();
    fs::write(place.path().join("keep/cache/b"), "").unwrap();
    let tree = DiskTree::new("files", place.path()).unwrap();

    let saved = backed_up(&tree, r#"{"exclude": ["cache"]}"#);

    assert_eq!(saved.paths(), ["keep", "keep/a"]);
    assert_eq!(saved.read_all("keep/a", 100).unwrap(), b"content");
}

#[test]
fn every_root_is_a_source() {
    let roots: Trees = ["files", "more"].into_iter().map(MemoryTree::new).collect();
    let plan = Files::plan_backup(&BackupRequest {
        roots,
        probe: &FakeProbe::new(),
        config: Config::default(),
        now: NOW,
    })
    .unwrap();
    assert_eq!(plan.sources, [Source::tree("files"), Source::tree("more")]);
    assert!(plan.quiesce.is_empty());
}

#[test]
fn a_restore_brings_back_all_that_the_snapshot_holds_whatever_the_intent() {
    for intent in [Intent::Recover, Intent::Migrate, Intent::Clone] {
        let plan = Files::plan_restore(&RestoreRequest {
            targets: MemoryTree::new("files").into(),
            snapshot: sample().into(),
            probe: &FakeProbe::new(),
            intent,
            rehearsal: false,
            config: Config {
                exclude: vec!["*.tmp".parse().unwrap()],
            },
            now: NOW,
            facts: Vec::new().into(),
            streams: Vec::new(),
        })
        .unwrap();
        assert_eq!(plan.placements, [Placement::tree("files")]);
        assert!(plan.before.is_empty() && plan.after.is_empty());
        let (restored, _) =
            run_pass::<Exclude>(&sample(), Direction::Restore, &plan.state).unwrap();
        assert_eq!(restored, sample());
    }
}

#[test]
fn a_bad_configuration_is_refused_by_its_key() {
    for (config, key) in [
        (r#"{"exlude": []}"#, "exlude"),
        (r#"{"exclude": "*.tmp"}"#, "exclude"),
        (r#"{"exclude": ["ok", "[a"]}"#, "exclude[1]"),
    ] {
        let failure = config::parse::<Config>(config).unwrap_err();
        assert_eq!(failure.kind, FailureKind::InvalidConfig);
        assert!(
            failure.message.contains(&format!("`{key}`")),
            "{}",
            failure.message
        );
    }
}
