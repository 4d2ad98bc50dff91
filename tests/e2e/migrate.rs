//! Migrations and rollbacks: one piece of work that goes on where it was cut off, and a place that becomes what it was.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use copal_tests::restic::Restic;
use copal_tests::{Program, TestEnvironment, plugins, sample, tree, vendor};
use rustix::process::Signal;
use serde_json::Value;

/// A source, and a place where something lies already.
fn places(environment: &TestEnvironment) -> (PathBuf, PathBuf) {
    let source = environment.make_directory("source");
    sample::simple(&source);
    let target = environment.make_directory("target");
    environment.write("target/of its own/settings.ini", "kept since 2019");
    environment.write("target/a.txt", "another a");
    (source, target)
}

fn migrate(environment: &TestEnvironment, plugin: impl AsRef<Path>, further: &str) -> Program {
    environment
        .copal(["migrate"])
        .arg(plugin.as_ref())
        .arg(environment.path("source"))
        .arg("--to")
        .arg(environment.path("target"))
        .arg("--yes")
        .args(copal_tests::run::words(further))
}

/// The ids of the snapshots that bear, or do not bear, the tag of a safety snapshot.
fn snapshots(environment: &TestEnvironment, safety: bool) -> Vec<String> {
    let is_safety = |snapshot: &Value| snapshot["tags"].to_string().contains("\"safety\"");
    environment
        .snapshots()
        .iter()
        .filter(|snapshot| is_safety(snapshot) == safety)
        .map(|snapshot| snapshot["id"].as_str().unwrap().to_owned())
        .collect()
}

/// A copy of a directory with modes, owners and times.
fn copy(from: &Path, to: &Path) {
    let status = std::process::Command::new("cp")
        .arg("-a")
        .args([from, to])
        .status()
        .unwrap();
    assert!(status.success());
}

#[test]
fn a_rollback_makes_the_target_what_it_was_before_the_migration() {
    let environment = TestEnvironment::with_repository();
    let (source, target) = places(&environment);
    let before = environment.path("before");
    copy(&target, &before);

    migrate(&environment, "files", "").run().succeeds();
    tree::assert_same_but(&source, &target, |path| path.starts_with("of its own"));
    assert_eq!(snapshots(&environment, true).len(), 1);

    environment.copal(["rollback", "--yes"]).run().succeeds();
    tree::assert_same(&before, &target);
    // Once more does no harm.
    environment.copal(["rollback", "--yes"]).run().succeeds();
    tree::assert_same(&before, &target);
    if let Some(restic) = Restic::find(&environment) {
        restic.check();
    }
}

#[test]
fn a_rollback_removes_a_target_that_was_not_there() {
    let environment = TestEnvironment::with_repository();
    let (source, target) = places(&environment);
    std::fs::remove_dir_all(&target).unwrap();
    migrate(&environment, "files", "").run().succeeds();
    tree::assert_same(&source, &target);
    environment.copal(["rollback", "--yes"]).run().succeeds();
    assert!(!target.exists());
}

#[test]
fn plans_change_nothing_and_nothing_is_replaced_unasked() {
    let environment = TestEnvironment::with_repository();
    let (_, target) = places(&environment);
    let before = environment.path("before");
    copy(&target, &before);
    let planned = environment
        .copal(["plan", "migrate", "files"])
        .arg(environment.path("source"))
        .arg("--to")
        .arg(&target)
        .run()
        .succeeds()
        .text();
    assert!(
        planned.contains("Reads") && planned.contains("Restores"),
        "{planned}"
    );
    let unasked = environment
        .copal(["migrate", "files"])
        .arg(environment.path("source"))
        .arg("--to")
        .arg(&target);
    environment.refused(unasked, 1).is("declined").says("--yes");
    tree::assert_same(&before, &target);
    assert_eq!(environment.snapshots().len(), 0);

    migrate(&environment, "files", "").run().succeeds();
    let after = environment.path("after");
    copy(&target, &after);
    let planned = environment
        .copal(["rollback", "--dry-run"])
        .run()
        .succeeds();
    assert!(planned.text().contains("Puts back"), "{}", planned.text());
    environment
        .refused(environment.copal(["rollback"]), 1)
        .is("declined");
    tree::assert_same(&after, &target);
}

#[test]
fn a_target_that_holds_the_repository_is_refused() {
    let environment = TestEnvironment::with_repository();
    places(&environment);
    let whole = environment
        .copal(["migrate", "files"])
        .arg(environment.path("source"))
        .arg("--to")
        .arg(environment.path(""))
        .arg("--yes");
    environment.refused(whole, 1).says("the repository lies in");
    let restore = || {
        environment
            .copal(["restore", "latest", "--yes", "--to"])
            .arg(environment.path("target"))
    };
    migrate(&environment, "files", "").run().succeeds();
    restore().arg("--safety").run().succeeds();
    assert_eq!(snapshots(&environment, true).len(), 2);
    restore().run().succeeds();
    assert_eq!(snapshots(&environment, true).len(), 2);
}

#[test]
fn latest_is_never_a_safety_snapshot_and_each_command_refuses_the_other_kind() {
    let environment = TestEnvironment::with_repository();
    let (source, _) = places(&environment);
    migrate(&environment, "files", "").run().succeeds();
    let elsewhere = environment.path("elsewhere");
    environment.restore(&elsewhere, "").run().succeeds();
    tree::assert_same(&source, &elsewhere);

    let safety = &snapshots(&environment, true)[0];
    let restore = environment
        .copal(["restore", safety, "--yes", "--to"])
        .arg(environment.path("other"));
    environment.refused(restore, 1).says("copal rollback");
    let backup = &snapshots(&environment, false)[0];
    environment
        .refused(environment.copal(["rollback", backup, "--yes"]), 1)
        .says("copal restore");
}

#[test]
fn machines_are_told_the_stages_and_how_far_it_is() {
    let environment = TestEnvironment::with_repository();
    places(&environment);
    let outcome = migrate(&environment, "files", "--json").run().succeeds();
    let told: Vec<(String, u64)> = outcome
        .stderr
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|line| {
            (
                line["stage"].as_str().unwrap().to_owned(),
                line["percent"].as_u64().unwrap(),
            )
        })
        .collect();
    let mut stages: Vec<&str> = told.iter().map(|(stage, _)| stage.as_str()).collect();
    stages.dedup();
    assert_eq!(stages, ["init", "setup", "dump", "upload", "done"]);
    assert!(told.is_sorted_by_key(|(_, percent)| *percent), "{told:?}");
    assert_eq!(told.last().unwrap().1, 100);
    let entered = outcome.json()["stages"].as_array().unwrap().len();
    assert_eq!(entered, stages.len());
}

#[test]
fn a_cancelled_migration_leaves_the_target_alone_and_can_be_resumed() {
    let environment = TestEnvironment::with_repository();
    let (source, target) = places(&environment);
    let before = environment.path("before");
    copy(&target, &before);
    let hostile = plugins::guest("hostile");
    let slow = "--set mode=slow --set stage=classify --set at=a.txt";
    let migration = migrate(&environment, &hostile, slow).start();
    migration.wait_for_error_line("computing");
    migration.signal(Signal::INT);
    migration.wait().exits(130);
    tree::assert_same(&before, &target);

    let again = migrate(&environment, &hostile, "");
    environment
        .refused(again, 1)
        .is("unfinished")
        .says("cancelled")
        .says("--resume");
    migrate(&environment, &hostile, "--resume").run().succeeds();
    tree::assert_same_but(&source, &target, |path| path.starts_with("of its own"));
    // It has reached its end: the next one is a new one.
    environment
        .refused(migrate(&environment, &hostile, "--resume"), 1)
        .says("no migration");
    migrate(&environment, &hostile, "").run().succeeds();
}

/// A migration that was cancelled while the target was being filled.
fn cancelled_while_filling(environment: &TestEnvironment, hostile: &Path) {
    let slow = "--to-set mode=slow --to-set stage=classify --to-set at=a.txt";
    let migration = migrate(environment, hostile, slow).start();
    migration.wait_for_error_line("computing");
    migration.signal(Signal::INT);
    let cancelled = migration.wait().exits(130);
    let said = &cancelled.stderr;
    assert!(
        said.contains("copal rollback") && said.contains("--resume"),
        "{said}"
    );
}

#[test]
fn what_came_to_the_target_since_is_saved_before_a_resume_puts_it_back() {
    let environment = TestEnvironment::with_repository();
    let (source, target) = places(&environment);
    let before = environment.path("before");
    copy(&target, &before);
    let hostile = plugins::guest("hostile");
    cancelled_while_filling(&environment, &hostile);
    environment.write("target/of its own/written since", "worth keeping");
    let resumed = environment.copal(["resume"]).run().succeeds();
    assert!(resumed.stderr.contains("was cut off"), "{}", resumed.stderr);

    migrate(&environment, &hostile, "--resume").run().succeeds();
    tree::assert_same_but(&source, &target, |path| path.starts_with("of its own"));
    assert!(!target.join("of its own/written since").exists());
    let saved = environment
        .snapshots()
        .into_iter()
        .find(|snapshot| snapshot["tags"].to_string().contains("\"rollback\""))
        .unwrap();
    let id = saved["id"].as_str().unwrap();
    let listed = environment.copal(["ls", id]).run().succeeds().text();
    assert!(listed.contains("written since"), "{listed}");
    // A rollback means what was there before the migration.
    environment.copal(["rollback", "--yes"]).run().succeeds();
    tree::assert_same(&before, &target);
}

#[test]
fn a_migration_that_begins_again_puts_the_target_back_first() {
    let environment = TestEnvironment::with_repository();
    let (source, target) = places(&environment);
    let before = environment.path("before");
    copy(&target, &before);
    let hostile = plugins::guest("hostile");
    cancelled_while_filling(&environment, &hostile);
    // Looking at the plan forgets nothing.
    migrate(&environment, &hostile, "--restart --dry-run")
        .run()
        .succeeds();
    environment
        .refused(migrate(&environment, &hostile, ""), 1)
        .is("unfinished");

    migrate(&environment, &hostile, "--restart")
        .run()
        .succeeds();
    tree::assert_same_but(&source, &target, |path| path.starts_with("of its own"));
    environment.copal(["rollback", "--yes"]).run().succeeds();
    tree::assert_same(&before, &target);
}

#[test]
fn a_job_that_goes_elsewhere_now_does_not_take_up_an_earlier_migration() {
    let environment = TestEnvironment::with_repository();
    let (_, target) = places(&environment);
    let hostile = plugins::guest("hostile");
    let job = |to: &Path| {
        let config = format!(
            "[jobs.app]\nplugin = {:?}\ndigest = \"{}\"\nroots = {{ data = {:?} }}\n[jobs.app.migrate]\nroots = {{ data = {to:?} }}\n\
             config = {{ mode = \"slow\", stage = \"classify\", at = \"a.txt\" }}\n",
            hostile,
            vendor::sha256(&std::fs::read(&hostile).unwrap()),
            environment.path("source"),
        );
        let config = environment.write("copal.toml", config);
        environment
            .copal(["migrate", "--job", "app", "--yes", "--config"])
            .arg(config)
    };
    let migration = job(&target).start();
    migration.wait_for_error_line("computing");
    migration.signal(Signal::INT);
    migration.wait().exits(130);
    let elsewhere = environment.make_directory("elsewhere");
    for again in ["--resume", "--restart"] {
        environment
            .refused(job(&elsewhere).arg(again), 1)
            .says(target.to_str().unwrap());
    }
    assert!(elsewhere.read_dir().unwrap().next().is_none());
}

#[test]
fn a_place_is_not_migrated_onto_itself() {
    let environment = TestEnvironment::with_repository();
    let (source, _) = places(&environment);
    for target in [source.clone(), source.join("within"), environment.path("")] {
        let migration = environment
            .copal(["migrate", "files"])
            .arg(&source)
            .arg("--to")
            .arg(&target)
            .arg("--yes");
        environment.refused(migration, 1).is("roots");
    }
    assert_eq!(environment.snapshots().len(), 0);
}

#[test]
fn a_migration_killed_at_any_moment_is_resumed_to_its_end() {
    let environment = TestEnvironment::with_repository();
    let (source, target) = places(&environment);
    for number in 0..40 {
        environment.write(
            &format!("source/more/{number}"),
            sample::noise(number, 400_000),
        );
    }
    let before = environment.path("before");
    copy(&target, &before);
    let begun = Instant::now();
    migrate(&environment, "files", "").run().succeeds();
    let mut whole = begun.elapsed();
    environment.copal(["rollback", "--yes"]).run().succeeds();
    let content = |folder: &Path| std::fs::read(folder.join("a.txt")).unwrap();
    let (mut cut, mut resumed) = (0, 0);
    for moment in 1..14 {
        let mut migration = migrate(&environment, "files", "").start();
        let begun = Instant::now();
        while begun.elapsed() < whole * moment / 14 && migration.is_running() {
            std::thread::sleep(Duration::from_millis(1));
        }
        let took = begun.elapsed();
        if migration.is_running() {
            migration.signal(Signal::KILL);
        }
        let killed = !migration.wait().status.success();
        if !killed {
            // The one that was measured took longer than they do.
            whole = whole.min(took);
        }
        cut += u32::from(killed);
        environment.copal(["resume"]).run().succeeds();
        let records = environment.path("state/migrations").read_dir();
        let is_record =
            |file: std::fs::DirEntry| file.path().extension().is_some_and(|end| end == "json");
        if records.is_ok_and(|mut records| records.any(|file| is_record(file.unwrap()))) {
            migrate(&environment, "files", "--resume").run().succeeds();
            resumed += 1;
        } else if killed && content(&target) == content(&before) {
            // Else it was done, and killed on its way out.
            migrate(&environment, "files", "").run().succeeds();
        }
        tree::assert_same_but(&source, &target, |path| path.starts_with("of its own"));
        // The safety snapshot holds what was there before any attempt, not what one left half-done.
        environment.copal(["rollback", "--yes"]).run().succeeds();
        tree::assert_same(&before, &target);
    }
    assert!(
        cut > 3 && resumed > 0,
        "{cut} were cut off, {resumed} resumed"
    );
    environment.copal(["check", "--read-data"]).run().succeeds();
}
