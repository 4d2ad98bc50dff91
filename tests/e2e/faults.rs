//! Things that fail in the middle: named, never silent, and the application always comes back.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use copal_tests::applications::Applications;
use copal_tests::restic::Restic;
use copal_tests::{Outcome, Program, TestEnvironment, plugins, sample, tree};
use rustix::process::Signal;

/// Sees that the newest snapshot says that these paths, and no others, are missing.
#[track_caller]
fn is_incomplete(environment: &TestEnvironment, outcome: Outcome, missing: &[&str]) {
    let outcome = outcome.exits(3);
    for path in missing {
        let said = outcome.text() + &outcome.stderr;
        assert!(said.contains(path), "{path} is not named in {said}");
    }
    let manifest = environment.manifest();
    assert_eq!(manifest["complete"], false, "{manifest:#}");
    let mut named: Vec<_> = manifest["missing"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["path"].as_str().unwrap())
        .collect();
    named.sort_unstable();
    assert_eq!(named, missing, "{manifest:#}");
    let snapshots = environment.snapshots();
    let tags = snapshots.last().unwrap()["tags"].to_string();
    assert!(tags.contains("\"incomplete\""), "{tags}");
}

fn simple_source(environment: &TestEnvironment) -> std::path::PathBuf {
    let source = environment.make_directory("source");
    sample::simple(&source);
    source
}

fn with_docker(program: Program) -> Program {
    program.args([
        "--grant",
        "run:docker stop *",
        "--grant",
        "run:docker start *",
    ])
}

#[test]
fn what_cannot_be_read_is_named_and_the_rest_is_saved() {
    let environment = TestEnvironment::with_repository();
    let source = simple_source(&environment);
    let closed = environment.make_directory("source/closed");
    std::fs::write(closed.join("inner"), "out of reach").unwrap();
    std::fs::write(source.join("secret"), "out of reach").unwrap();
    for path in [&source.join("secret"), &closed] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o000)).unwrap();
    }
    let outcome = environment
        .backup("files", &source, "")
        .bound_by_permissions()
        .run();
    let root = environment.manifest()["roots"][0]["name"]
        .as_str()
        .unwrap()
        .to_owned();
    is_incomplete(
        &environment,
        outcome,
        &[&format!("{root}/closed"), &format!("{root}/secret")],
    );

    let target = environment.path("target");
    environment.restore(&target, "").run();
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o700)).unwrap();
    tree::assert_same_but(&source, &target, |path| {
        path.starts_with("closed") || path == Path::new("secret")
    });
    assert!(
        !target.join("secret").exists(),
        "an unreadable file was restored as an empty one"
    );
    if let Some(restic) = Restic::find(&environment) {
        restic.check();
    }
}

/// Backs up while `gone` is removed after it was listed and before it is read.
fn vanishes(gone: &str) {
    let environment = TestEnvironment::with_repository();
    let source = simple_source(&environment);
    let hostile = plugins::guest("hostile");
    let settings = format!("--set mode=slow --set stage=classify --set at={gone}");
    let backup = environment.backup(&hostile, &source, &settings).start();
    backup.wait_for_error_line("computing");
    let path = source.join(gone);
    if path.is_dir() {
        std::fs::remove_dir_all(path).unwrap();
    } else {
        std::fs::remove_file(path).unwrap();
    }
    is_incomplete(&environment, backup.wait(), &[&format!("data/{gone}")]);
}

#[test]
fn a_directory_that_vanishes_is_named() {
    vanishes("folder");
}

#[test]
fn a_file_that_vanishes_is_named() {
    vanishes("a.txt");
}

#[test]
fn a_file_whose_filter_fails_in_the_middle_is_named_and_left_out() {
    let environment = TestEnvironment::with_repository();
    let source = simple_source(&environment);
    std::fs::write(source.join("large"), sample::noise(21, 5 << 20)).unwrap();
    std::fs::write(source.join("other"), sample::noise(22, 5 << 20)).unwrap();
    let settings = "--set mode=fail --set stage=push --set at=large";
    let outcome = environment
        .backup(plugins::guest("hostile"), &source, settings)
        .run();
    let said = outcome.text() + &outcome.stderr;
    assert!(said.contains("told to fail"), "{said}");
    is_incomplete(&environment, outcome, &["data/large"]);

    let listing = environment.copal(["ls", "latest"]).run().succeeds().text();
    assert!(
        !listing.contains("data/large"),
        "half a file was saved:\n{listing}"
    );
    let target = environment.path("target");
    environment.restore(&target, "").run();
    tree::assert_same_but(&source, &target, |path| path == Path::new("large"));
}

#[test]
fn entries_that_cannot_be_classified_are_named() {
    let environment = TestEnvironment::with_repository();
    let source = simple_source(&environment);
    let settings = "--set mode=fail --set stage=classify --set at=folder/b.txt";
    let outcome = environment
        .backup(plugins::guest("hostile"), &source, settings)
        .run();
    is_incomplete(
        &environment,
        outcome,
        &["data/folder/b.txt", "data/folder/empty"],
    );
}

#[test]
fn a_failed_quiesce_aborts_and_thaws() {
    let environment = TestEnvironment::with_repository();
    let applications = Applications::install(&environment);
    let source = simple_source(&environment);
    let program = with_docker(environment.backup(
        plugins::guest("hostile"),
        &source,
        "--set container=stuck",
    ));
    environment
        .refused(program, 1)
        .is("step")
        .says("stuck")
        .says("cannot stop");
    // The step may have got half-way, so it is taken back all the same.
    assert_eq!(
        applications.changes(),
        ["docker stop stuck", "docker start stuck"]
    );
    assert!(environment.snapshots().is_empty());
}

#[test]
fn a_failed_thaw_is_reported_and_resume_tries_again() {
    let environment = TestEnvironment::with_repository();
    let source = simple_source(&environment);
    let broken = environment.path("broken");
    let started = environment.path("started");
    environment.install_program(
        "docker",
        &format!(
            "#!/bin/sh\n[ $1 = start ] || exit 0\n[ -e '{}' ] && {{ echo no daemon >&2; exit 1; }}\ntouch '{}'\n",
            broken.display(),
            started.display()
        ),
    );
    std::fs::write(&broken, "").unwrap();
    let program =
        with_docker(environment.backup(plugins::guest("hostile"), &source, "--set container=app"));
    let outcome = program.run().exits(1);
    let said = outcome.text() + &outcome.stderr;
    assert!(
        said.contains("no daemon") && said.contains("copal resume"),
        "{said}"
    );
    environment.copal(["resume"]).run().exits(1);
    std::fs::remove_file(&broken).unwrap();
    environment.copal(["resume"]).run().succeeds();
    assert!(started.exists(), "the application was not started");
    std::fs::remove_file(&started).unwrap();
    environment.copal(["resume"]).run().succeeds();
    assert!(!started.exists(), "what was taken back is taken back again");
}

#[test]
fn an_interrupt_ends_the_work_thaws_and_leaves_no_snapshot() {
    for signal in [Signal::INT, Signal::TERM] {
        let environment = TestEnvironment::with_repository();
        let applications = Applications::install(&environment);
        let source = simple_source(&environment);
        let settings = "--set container=app --set mode=slow --set stage=classify --set at=a.txt";
        let backup =
            with_docker(environment.backup(plugins::guest("hostile"), &source, settings)).start();
        backup.wait_for_error_line("computing");
        assert!(!applications.runs("app"));
        backup.signal(signal);
        backup.wait().exits(130);
        assert!(applications.runs("app"), "the application was left stopped");
        assert!(environment.snapshots().is_empty());
    }
}

/// Kills backups at moments spread over the time that one takes. What is left must be a repository that restic accepts and
/// in which the next backup succeeds, and `copal resume` must start the application again.
#[test]
fn a_kill_at_any_moment_leaves_a_whole_repository_and_a_thaw_to_resume() {
    const MOMENTS: u32 = 8;
    let environment = TestEnvironment::with_repository();
    let Some(restic) = Restic::find(&environment) else {
        return;
    };
    let applications = Applications::install(&environment);
    let source = simple_source(&environment);
    let hostile = plugins::guest("hostile");
    let backup = |seed: u32| {
        std::fs::write(source.join("noise"), sample::noise(seed.into(), 40 << 20)).unwrap();
        with_docker(environment.backup(&hostile, &source, "--set container=app")).start()
    };
    let started = Instant::now();
    backup(100).wait().succeeds();
    let whole = started.elapsed();

    let mut stopped = 0;
    for moment in 0..MOMENTS {
        let killed = backup(moment);
        // Every other kill is aimed: however fast the machine is, it meets an application that is stopped.
        if moment % 2 == 1 {
            let limit = Instant::now() + whole * 10;
            while applications.runs("app") && Instant::now() < limit {
                std::thread::sleep(Duration::from_millis(1));
            }
        } else {
            std::thread::sleep(whole * moment / MOMENTS + Duration::from_millis(5));
        }
        killed.signal(Signal::KILL);
        killed.wait();
        stopped += u32::from(!applications.runs("app"));
        restic.command(["check", "--no-lock"]).run().succeeds();
        environment.copal(["resume"]).run().succeeds();
        assert!(
            applications.runs("app"),
            "the application was left stopped at moment {moment}"
        );
    }
    assert!(
        stopped > 0,
        "no kill met a stopped application, so the test proves nothing"
    );
    restic.command(["unlock"]).run().succeeds();
    restic.check();
    backup(200).wait().succeeds();
    let target = environment.path("target");
    environment.restore(&target, "").run().succeeds();
    tree::assert_same(&source, &target);
}

/// Each file is written beside its place and renamed there.
#[test]
fn a_killed_restore_leaves_every_file_old_or_new() {
    const MOMENTS: u32 = 8;
    let environment = TestEnvironment::with_repository();
    let source = environment.make_directory("source");
    let names = ["one", "two", "three", "four"];
    for (seed, name) in (0..).zip(names) {
        std::fs::write(source.join(name), sample::noise(seed, 12 << 20)).unwrap();
    }
    environment.backup("files", &source, "").run().succeeds();
    let target = environment.path("target");
    let started = Instant::now();
    environment.restore(&target, "").run().succeeds();
    let whole = started.elapsed();

    let old = b"as it was before";
    for moment in 0..MOMENTS {
        for name in names {
            std::fs::write(target.join(name), old).unwrap();
        }
        let restore = environment.restore(&target, "").start();
        std::thread::sleep(whole * moment / MOMENTS);
        restore.signal(Signal::KILL);
        restore.wait();
        for name in names {
            let found = std::fs::read(target.join(name)).unwrap();
            let whole = found == old || found == std::fs::read(source.join(name)).unwrap();
            assert!(whole, "{name} was left half-written: {} bytes", found.len());
        }
    }
    environment.restore(&target, "").run().succeeds();
    for name in names {
        assert!(
            std::fs::read(target.join(name)).unwrap() == std::fs::read(source.join(name)).unwrap()
        );
    }
}
