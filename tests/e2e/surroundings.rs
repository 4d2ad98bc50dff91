//! What goes wrong around a job: no room, no permission, a clock that jumps, a source that changes under the reader. Each is named, and once it is put
//! right the same command does its work.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says what it skips"
)]

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use copal_tests::applications::Applications;
use copal_tests::restic::Restic;
use copal_tests::{Outcome, Program, TestEnvironment, plugins, run, sample, tree};
use rustix::process::Signal;

/// A file system of its own, as large as is said. It goes when it is dropped.
struct Mounted(PathBuf);

impl Mounted {
    /// None where nothing may be mounted, which needs the superuser and cannot be brought by a package.
    fn at(path: PathBuf, options: &str) -> Option<Self> {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", options, "none"]);
        let mounted = mount.arg(&path).output().unwrap().status.success();
        if !mounted {
            eprintln!("skipped: nothing can be mounted here");
        }
        mounted.then_some(Self(path))
    }

    fn remount(&self, options: &str) {
        let mut mount = Command::new("mount");
        let mount = mount
            .args(["-o", &format!("remount,{options}")])
            .arg(&self.0);
        assert!(mount.status().unwrap().success());
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // What ends a moment later may still be there.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn source(environment: &TestEnvironment) -> PathBuf {
    let source = environment.make_directory("source");
    sample::simple(&source);
    source
}

/// A backup of the source that stops the application `app`.
fn backup(environment: &TestEnvironment, further: &str) -> Program {
    let source = environment.path("source");
    let settings = format!("--set container=app {further}");
    let backup = environment.backup(plugins::guest("hostile"), &source, &settings);
    let grants = ["run:docker stop *", "run:docker start *"];
    backup.args(grants.into_iter().flat_map(|grant| ["--grant", grant]))
}

#[test]
fn a_full_state_folder_stops_a_job_before_it_stops_anything() {
    let environment = TestEnvironment::with_repository();
    source(&environment);
    let applications = Applications::install(&environment);
    let state = environment.make_directory("state");
    let Some(mounted) = Mounted::at(state.clone(), "size=64k,nr_inodes=100") else {
        return;
    };
    let filling = state.join("filling");
    std::fs::write(&filling, vec![0; 1 << 20]).unwrap_err();
    environment
        .refused(backup(&environment, ""), 1)
        .is("state")
        .says("No space left");
    assert!(applications.changes().is_empty(), "it was stopped");
    // What a refused job left there is no hindrance.
    std::fs::remove_file(&filling).unwrap();
    environment.copal(["resume"]).run().succeeds();
    backup(&environment, "").run().succeeds();
    assert!(applications.runs("app"));
    assert_eq!(tree::contents(&state.join("jobs")).len(), 1);
    drop(mounted);
}

#[test]
fn a_full_target_is_named_and_what_fits_stays_for_the_next_run() {
    let environment = TestEnvironment::with_repository();
    let source = source(&environment);
    for number in 0..4 {
        environment.write(
            &format!("source/large {number}"),
            sample::noise(number, 1 << 20),
        );
    }
    environment.backup("files", &source, "").run().succeeds();
    let target = environment.make_directory("target");
    let Some(mounted) = Mounted::at(target.clone(), "size=2m") else {
        return;
    };
    let restore = || environment.restore(&target, "");
    let outcome = restore().run().exits(3);
    let said = outcome.text() + &outcome.stderr;
    assert!(
        said.contains("No space left") && said.contains("large"),
        "{said}"
    );
    mounted.remount("size=64m");
    restore().run().succeeds();
    tree::assert_same(&source, &target);
    drop(mounted);
}

#[test]
fn a_target_that_can_not_be_written_is_named() {
    let environment = TestEnvironment::with_repository();
    let source = source(&environment);
    environment.backup("files", &source, "").run().succeeds();
    let target = environment.make_directory("target");
    let restore = |target: &Path| environment.restore(target, "");
    let set = |mode| {
        std::fs::set_permissions(&target, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    set(0o500);
    // The owner may give himself leave to write; what is above is somebody else's.
    let beneath = target.join("beneath");
    let outcome = restore(&beneath).bound_by_permissions().run().exits(1);
    assert!(
        outcome.stderr.contains("Permission denied"),
        "{}",
        outcome.stderr
    );
    set(0o700);
    restore(&beneath).run().succeeds();
    tree::assert_same(&source, &beneath);

    let target = environment.make_directory("read-only");
    let Some(mounted) = Mounted::at(target.clone(), "ro,size=2m") else {
        return;
    };
    let outcome = restore(&target).run();
    assert!(matches!(outcome.status.code(), Some(1 | 3)), "{outcome:?}");
    let said = outcome.text() + &outcome.stderr;
    assert!(said.contains("Read-only file system"), "{said}");
    mounted.remount("rw");
    restore(&target).run().succeeds();
    tree::assert_same(&source, &target);
    drop(mounted);
}

#[test]
fn folders_of_copals_own_that_can_not_be_written_are_named() {
    let environment = TestEnvironment::with_repository();
    let source = source(&environment);
    let closed = environment.make_directory("closed");
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o500)).unwrap();
    let backup = || environment.backup("files", &source, "");
    let refused = backup().env("COPAL_STATE_DIR", closed.join("state"));
    let refusal = environment.refused(refused.bound_by_permissions(), 1);
    refusal.is("state").says("Permission denied").says("closed");
    // What is only kept to be faster is no reason to fail.
    let cache = backup().env("COPAL_CACHE_DIR", closed.join("cache"));
    cache.bound_by_permissions().run().succeeds();
    let repository = Path::new(environment.repository()).join("snapshots");
    let set = |mode| {
        std::fs::set_permissions(&repository, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    set(0o500);
    let refusal = environment.refused(backup().bound_by_permissions(), 1);
    refusal.is("storage").says("snapshots");
    set(0o700);
    backup().run().succeeds();
    assert_eq!(environment.snapshots().len(), 2);
}

/// A clock that was ahead for a while costs no backup: neither by the rules of `forget`, nor because files are taken for unchanged, nor by a lock.
#[test]
fn a_clock_that_jumps_back() {
    const DAYS: u32 = 3650;
    let environment = TestEnvironment::with_repository();
    let source = source(&environment);
    environment.write(
        "copal.toml",
        "[jobs.site]\nplugin = \"files\"\nroots = { files = \"source\" }\nretention = { keep-last = 1 }\n",
    );
    let backup = || environment.copal(["backup", "--yes", "--job", "site"]);
    let Some(ahead) = backup().days_ahead(DAYS) else {
        return;
    };
    ahead.run().succeeds();
    // Of the same length, and with a time that is before that of the snapshot.
    std::fs::write(source.join("a.txt"), "other\n").unwrap();
    let done = backup().arg("--json").run().succeeds().json();
    let id = done["snapshot"].as_str().unwrap();
    let listed = environment.snapshots();
    let found = listed.iter().find(|snapshot| snapshot["id"] == id);
    assert!(found.is_some(), "the new backup was forgotten at once");
    let target = environment.path("target");
    let restore = environment.copal(["restore", id, "--yes", "--to"]);
    restore.arg(&target).run().succeeds();
    tree::assert_same(&source, &target);
    // The latest by its time is not the latest that was taken, which is said.
    let listed = environment.copal(["ls", "latest"]).run().succeeds();
    listed.says("is yet to come");
    for rules in ["--keep-last 1", "--keep-within 30d", "--keep-daily 2"] {
        let forget = environment.copal(["forget"]).args(run::words(rules));
        forget.run().succeeds();
        let left = environment.snapshots();
        let stays = left.iter().any(|snapshot| snapshot["id"] == id);
        assert!(stays, "{rules} lets the newest go");
    }

    // One that is killed leaves a lock of the future.
    let check = environment.copal(["check", "--read-data"]);
    let mut check = check.days_ahead(DAYS).unwrap().start();
    let locks = Path::new(environment.repository()).join("locks");
    while std::fs::read_dir(&locks).unwrap().count() == 0 {
        assert!(check.is_running(), "its lock was missed");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    check.signal(Signal::KILL);
    assert_eq!(check.wait().status.signal(), Some(9));
    assert_eq!(std::fs::read_dir(&locks).unwrap().count(), 1);
    environment.copal(["prune"]).run().succeeds();
    environment.copal(["check", "--read-data"]).run().succeeds();
    if let Some(restic) = Restic::find(&environment) {
        restic.check();
    }
}

/// What a file becomes, and how.
type Meanwhile = (&'static str, fn(&Path));

/// Backs up while the plugin computes at a file, which is changed meanwhile.
fn meanwhile(stage: &str, at: &str, change: impl Fn(&Path)) -> (TestEnvironment, Outcome) {
    let environment = TestEnvironment::with_repository();
    let source = source(&environment);
    std::fs::write(source.join("large"), sample::noise(1, 6 << 20)).unwrap();
    let applications = Applications::install(&environment);
    let settings = format!("--set mode=slow --set stage={stage} --set at={at}");
    let backup = backup(&environment, &settings).start();
    backup.wait_for_error_line("computing");
    change(&source.join(at));
    let outcome = backup.wait();
    assert!(applications.runs("app"));
    (environment, outcome)
}

#[test]
fn what_is_something_else_when_it_is_read_is_named_and_left_out() {
    let changes: [Meanwhile; 4] = [
        ("a folder", |path| std::fs::create_dir(path).unwrap()),
        ("a symlink", |path| {
            std::os::unix::fs::symlink("/etc/passwd", path).unwrap();
        }),
        ("a FIFO", |path| {
            let status = Command::new("mkfifo").arg(path).status();
            assert!(status.unwrap().success());
        }),
        ("nothing", |_| {}),
    ];
    for (what, change) in changes {
        let (environment, outcome) = meanwhile("classify", "a.txt", |path| {
            std::fs::remove_file(path).unwrap();
            change(path);
        });
        let outcome = outcome.exits(3);
        let said = outcome.text() + &outcome.stderr;
        assert!(said.contains("data/a.txt"), "{what}: {said}");
        let missing = &environment.manifest()["missing"];
        assert_eq!(missing[0]["path"], "data/a.txt", "{what}: {missing}");
        assert_eq!(missing.as_array().unwrap().len(), 1, "{what}: {missing}");
    }
}

#[test]
fn what_changes_while_it_is_read_is_named_and_its_beginning_kept() {
    let changes: [Meanwhile; 3] = [
        ("cut short", |path| {
            let file = std::fs::File::options().write(true).open(path).unwrap();
            file.set_len(3 << 20).unwrap();
        }),
        ("longer", |path| {
            let mut file = std::fs::File::options().append(true).open(path).unwrap();
            std::io::Write::write_all(&mut file, &sample::noise(2, 1 << 20)).unwrap();
        }),
        ("other", |path| {
            let file = std::fs::File::options().write(true).open(path).unwrap();
            std::os::unix::fs::FileExt::write_all_at(&file, b"other", 5 << 20).unwrap();
        }),
    ];
    for (what, change) in changes {
        let (environment, outcome) = meanwhile("push", "large", change);
        let outcome = outcome.exits(3);
        let said = outcome.text() + &outcome.stderr;
        let named = said.contains("data/large") && said.contains("changed while it was read");
        assert!(named, "{what}: {said}");
        let target = environment.path("target");
        environment.restore(&target, "").run();
        let kept = std::fs::read(target.join("large")).unwrap();
        assert!(kept.starts_with(&sample::noise(1, 1 << 20)), "{what}");
        environment.copal(["check", "--read-data"]).run().succeeds();
    }
}
