//! Copal and restic on one repository: each reads, checks and extends what the other wrote.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use copal_tests::interoperation;
use copal_tests::restic::Restic;
use copal_tests::{TestEnvironment, plugins, sample, tree};

#[test]
fn restic_checks_and_restores_what_copal_wrote() {
    let environment = TestEnvironment::new();
    let Some(restic) = Restic::find(&environment) else {
        return;
    };
    interoperation::restic_restores_what_copal_wrote(&environment, &restic);
}

#[test]
fn copal_restores_what_restic_wrote() {
    let environment = TestEnvironment::new();
    let Some(restic) = Restic::find(&environment) else {
        return;
    };
    interoperation::copal_restores_what_restic_wrote(&environment, &restic);
}

#[test]
fn both_cut_files_at_the_same_places() {
    let environment = TestEnvironment::new();
    let Some(restic) = Restic::find(&environment) else {
        return;
    };
    interoperation::both_cut_at_the_same_places(&environment, &restic);
}

#[test]
fn copal_reads_a_repository_of_format_1() {
    let environment = TestEnvironment::new();
    let Some(restic) = Restic::find(&environment) else {
        return;
    };
    restic
        .command(["init", "--repository-version", "1"])
        .run()
        .succeeds();
    let source = environment.make_directory("source");
    sample::simple(&source);
    restic.backup(&source);
    let target = environment.path("target");
    environment.restore(&target, "").run().succeeds();
    tree::assert_same(&source, &target.join(source.strip_prefix("/").unwrap()));
}

#[test]
fn both_find_the_same_snapshots() {
    let environment = TestEnvironment::with_repository();
    let Some(restic) = Restic::find(&environment) else {
        return;
    };
    let source = environment.make_directory("source");
    sample::simple(&source);
    restic.backup(&source);
    environment
        .backup("files", &source, "--tag ours")
        .run()
        .succeeds();
    let ids = |snapshots: &[serde_json::Value]| {
        let mut ids: Vec<_> = snapshots
            .iter()
            .map(|snapshot| snapshot["id"].as_str().unwrap().to_owned())
            .collect();
        ids.sort();
        ids
    };
    let theirs = restic
        .command(["snapshots", "--json"])
        .run()
        .succeeds()
        .json();
    let theirs = theirs.as_array().unwrap();
    assert_eq!(theirs.len(), 2);
    assert_eq!(ids(theirs), ids(&environment.snapshots()));
    assert!(
        theirs
            .iter()
            .any(|snapshot| snapshot["tags"].to_string().contains("ours"))
    );
}

/// What restic leaves when it forgets and prunes is still whole to Copal.
#[test]
fn copal_goes_on_after_restic_pruned() {
    let environment = TestEnvironment::with_repository();
    let Some(restic) = Restic::find(&environment) else {
        return;
    };
    let source = environment.make_directory("source");
    for seed in 0..3 {
        std::fs::write(source.join("noise"), sample::noise(seed, 3 << 20)).unwrap();
        environment.backup("files", &source, "").run().succeeds();
    }
    restic
        .command(["forget", "--keep-last", "1", "--prune"])
        .run()
        .succeeds();
    restic.check();
    environment.copal(["check", "--read-data"]).run().succeeds();
    environment.backup("files", &source, "").run().succeeds();
    restic.check();
    let target = environment.path("target");
    environment.restore(&target, "").run().succeeds();
    tree::assert_same(&source, &target);
}

#[test]
fn restics_exclusive_work_is_refused_while_copal_writes() {
    let environment = TestEnvironment::with_repository();
    let Some(restic) = Restic::find(&environment) else {
        return;
    };
    let source = environment.make_directory("source");
    sample::simple(&source);
    // Stopping the application takes until `go` is there.
    let go = environment.path("go");
    let script = format!(
        "#!/bin/sh\nwhile [ $1 = stop ] && [ ! -e '{}' ]; do sleep 0.05; done\n",
        go.display()
    );
    environment.install_program("docker", &script);
    let backup = environment
        .backup(plugins::guest("hostile"), &source, "--set container=app")
        .args([
            "--grant",
            "run:docker stop app",
            "--grant",
            "run:docker start app",
        ])
        .start();
    let locks = Path::new(environment.repository()).join("locks");
    let locked = (0..1_000).any(|_| {
        std::thread::sleep(Duration::from_millis(20));
        std::fs::read_dir(&locks).is_ok_and(|mut locks| locks.next().is_some())
    });
    assert!(locked, "Copal writes without a lock");
    restic
        .command(["prune"])
        .run()
        .exits(1)
        .says("already locked");
    std::fs::write(go, "").unwrap();
    backup.wait().succeeds();
    restic.command(["prune"]).run().succeeds();
}

#[test]
fn an_unchanged_tree_adds_next_to_nothing() {
    let environment = TestEnvironment::with_repository();
    let Some(restic) = Restic::find(&environment) else {
        return;
    };
    let source = environment.make_directory("source");
    sample::awkward(&source);
    environment.backup("files", &source, "").run().succeeds();
    let before = (restic.blobs("data"), restic.blobs("tree"));
    environment.backup("files", &source, "").run().succeeds();
    let after = (restic.blobs("data"), restic.blobs("tree"));
    // The manifest tells the time, so it and the trees above it are new.
    assert!(
        after.0.len() <= before.0.len() + 1,
        "{} and {} data blobs",
        before.0.len(),
        after.0.len()
    );
    assert!(
        after.1.len() <= before.1.len() + 2,
        "{} and {} trees",
        before.1.len(),
        after.1.len()
    );
}

#[test]
fn a_sparse_file_takes_no_more_room_after_a_restore() {
    let environment = TestEnvironment::with_repository();
    let source = environment.make_directory("source");
    let file = std::fs::File::create(source.join("sparse")).unwrap();
    file.set_len(256 << 20).unwrap();
    environment.backup("files", &source, "").run().succeeds();
    let target = environment.path("target");
    environment.restore(&target, "").run().succeeds();
    tree::assert_same(&source, &target);
    let blocks = std::fs::metadata(target.join("sparse")).unwrap().blocks();
    assert!(blocks * 512 < 1 << 20, "{} KiB were allocated", blocks / 2);
}
