//! Killed before any change that it makes or any program that it starts, a job leaves an application that `copal resume` brings back, and every file
//! old or new; run again, it does its work. The same holds where its quota is used up from then on, and where the repository can't be read, once or from then
//! on; only that the job itself brings the application back.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and tells what it tried"
)]

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};

use copal_tests::applications::Applications;
use copal_tests::moments::{self, Moment};
use copal_tests::{Outcome, Program, TestEnvironment, plugins, run, sample, tree};

const KILLED: i32 = 9;

/// What a job must leave alone, and what it changes.
struct Scene {
    environment: TestEnvironment,
    applications: Applications,
    source: PathBuf,
    target: PathBuf,
}

impl Scene {
    /// A source, and a target with something of its own and other versions of two files, one in place of a folder.
    fn new() -> Self {
        let environment = TestEnvironment::with_repository();
        let source = environment.make_directory("source");
        sample::simple(&source);
        environment.write("source/large", sample::noise(1, 3 << 20));
        environment.write("target/a.txt", "another a");
        environment.write("target/large", sample::noise(2, 2 << 20));
        environment.write("target/of its own/settings.ini", "kept since 2019");
        // What is copied again and again is as little as may be.
        for directory in std::fs::read_dir(environment.path("repository/data")).unwrap() {
            std::fs::remove_dir(directory.unwrap().path()).ok();
        }
        Self {
            applications: Applications::install(&environment),
            target: environment.path("target"),
            environment,
            source,
        }
    }

    /// `copal` with these words.
    fn copal(&self, words: &str) -> Program {
        self.environment.copal(run::words(words))
    }

    /// A backup that stops the application `app`.
    fn backup(&self) -> Program {
        let hostile = plugins::guest("hostile");
        let settings = "--set container=app";
        let backup = self.environment.backup(hostile, &self.source, settings);
        granted(backup)
    }

    /// Kills the command at its moments, has it run out of quota from them on, and lets reads of the repository fail, each time from the same
    /// beginning. After `copal resume`, `again` does its work, and `judge` looks at what is left.
    #[track_caller]
    fn survives(
        &self,
        command: impl Fn() -> Program,
        again: impl Fn() -> Program,
        judge: impl Fn(),
    ) {
        const FOLDERS: [&str; 4] = ["repository", "state", "target", "evidence"];
        let world = self.environment.path("");
        let saved = self.environment.path("saved");
        for folder in FOLDERS {
            let folder = self.environment.make_directory(folder);
            tree::copy(&folder, &saved.join(folder.file_name().unwrap()));
        }
        let begin = || {
            for folder in FOLDERS {
                tree::copy(&saved.join(folder), &world.join(folder));
            }
        };
        let (moments, outcome) = moments::of(command(), &world);
        outcome.succeeds();
        let mut killed = 0;
        for number in moments::chosen(&moments) {
            begin();
            let (seen, outcome) = moments::kill_before(number, command(), &world);
            // Threads take turns as they like, so a run may do with fewer changes.
            if outcome.status.signal() != Some(KILLED) {
                outcome.succeeds();
                continue;
            }
            killed += 1;
            println!("killed before {:?}", seen.last().unwrap());
            self.comes_back();
            again().run().succeeds();
            judge();
        }
        assert!(killed > 0, "nothing was killed");
        let thread = std::thread::current();
        let test = thread.name().unwrap_or_default();
        println!("{test}: killed at {killed} of {} moments", moments.len());
        if !moments::can_refuse() {
            return;
        }
        // How often something was refused, and how often the job could not do its work for that.
        let refused = |what: &str, chosen: Vec<usize>, run: &dyn Fn(usize) -> _, said: &str| {
            let (mut refused, mut failed) = (0, 0);
            for number in chosen {
                begin();
                let (seen, outcome): (Vec<Moment>, Outcome) = run(number);
                let Some(first) = seen.get(number) else {
                    continue;
                };
                refused += 1;
                println!("{what}: {first:?}");
                let code = outcome.status.code().expect("it comes to its end");
                assert!(self.applications.runs("app"), "it was left stopped");
                self.comes_back();
                if code != 0 {
                    failed += 1;
                    assert!(outcome.stderr.contains(said), "{outcome:?}");
                    again().run().succeeds();
                }
                judge();
            }
            println!("{test}: {what} {refused} times, {failed} failed by that");
            assert!(failed > 0, "{what}: never");
        };
        let out_of_quota = |number| moments::out_of_quota(number, command(), &world);
        let chosen = moments::chosen(&moments);
        refused("out of quota", chosen, &out_of_quota, "quota");
        begin();
        let repository = world.join("repository");
        let (reads, outcome) = moments::reads_of(command(), &repository);
        outcome.succeeds();
        for (what, for_good) in [("unread", false), ("unreadable", true)] {
            let unread = |number| moments::unread(number, for_good, command(), &repository);
            refused(what, moments::chosen(&reads), &unread, "Input/output error");
        }
    }

    /// Sees that every file is old or new, that the application is brought back, and that the repository is whole.
    #[track_caller]
    fn comes_back(&self) {
        self.is_old_or_new();
        self.copal("resume").run().succeeds();
        assert!(self.applications.runs("app"), "it was left stopped");
        for folder in ["state/jobs", "state/scratch"] {
            let left = tree::contents(&self.environment.path(folder));
            assert!(left.len() <= 1, "{left:?}");
        }
        self.copal("check --read-data").run().succeeds();
    }

    /// Sees that every file of the target is what it was or what the source has, and that the source is as it was.
    #[track_caller]
    fn is_old_or_new(&self) {
        let (old, new) = (self.environment.path("saved/target"), &self.source);
        let files = tree::contents(&self.target);
        let files = files.into_iter().filter(|(path, content)| {
            let is_temporary = path.to_string_lossy().contains(".copal-tmp-");
            content.is_some() && !is_temporary
        });
        let (old, new) = (tree::contents(&old), tree::contents(new));
        for (path, content) in files {
            let known = [old.get(&path), new.get(&path)];
            assert!(known.contains(&Some(&content)), "{path:?} is mixed");
        }
    }

    /// Sees that the target is the source, apart from what it has of its own.
    #[track_caller]
    fn is_restored(&self) {
        tree::assert_same_but(&self.source, &self.target, is_of_its_own);
        self.has_its_own();
    }

    #[track_caller]
    fn has_its_own(&self) {
        let own = std::fs::read_to_string(self.target.join("of its own/settings.ini"));
        assert_eq!(own.unwrap(), "kept since 2019");
    }
}

fn is_of_its_own(path: &Path) -> bool {
    path.starts_with("of its own")
}

fn granted(program: Program) -> Program {
    let grants = ["run:docker stop *", "run:docker start *"];
    program.args(grants.into_iter().flat_map(|grant| ["--grant", grant]))
}

#[test]
fn a_killed_backup_of_an_application() {
    let scene = Scene::new();
    let backup = || scene.backup();
    scene.survives(backup, backup, || {
        assert!(scene.applications.runs("app"));
        let copy = scene.environment.path("copy");
        scene.environment.restore(&copy, "").run().succeeds();
        tree::assert_same(&scene.source, &copy);
    });
}

#[test]
fn a_killed_restore_in_place() {
    let scene = Scene::new();
    scene.backup().run().succeeds();
    let restore = || scene.environment.restore(&scene.target, "");
    scene.survives(restore, restore, || scene.is_restored());
}

#[test]
fn a_killed_rollback() {
    let scene = Scene::new();
    scene.backup().run().succeeds();
    let before = scene.environment.path("before");
    tree::copy(&scene.target, &before);
    let restore = scene.environment.restore(&scene.target, "--safety");
    restore.run().succeeds();
    let id = scene.environment.snapshots().pop().unwrap()["id"].to_string();
    let id = id.trim_matches('"');
    // Old is then what was restored, and new what was there before.
    let scene = Scene {
        source: before,
        ..scene
    };
    let rollback = || scene.copal("rollback --yes").arg(id);
    scene.survives(rollback, rollback, || {
        tree::assert_same(&scene.source, &scene.target);
    });
}

#[test]
fn a_killed_migration() {
    let scene = Scene::new();
    let migrate = |further: &str| {
        let migrate = scene.copal("migrate --yes --set container=app");
        let migrate = migrate.arg(plugins::guest("hostile")).arg(&scene.source);
        let migrate = migrate.arg("--to").arg(&scene.target);
        granted(migrate).args(run::words(further))
    };
    let before = scene.environment.path("before");
    tree::copy(&scene.target, &before);
    let again = || {
        let records = scene.environment.path("state/migrations");
        migrate(if is_recorded(&records) {
            "--resume"
        } else {
            ""
        })
    };
    scene.survives(
        || migrate(""),
        again,
        || {
            scene.is_restored();
            assert!(scene.applications.runs("app"));
            // What is put back is what was there before the first attempt.
            scene.copal("rollback --yes").run().succeeds();
            tree::assert_same(&before, &scene.target);
        },
    );
}

fn is_recorded(migrations: &Path) -> bool {
    let records = std::fs::read_dir(migrations).into_iter().flatten();
    let mut paths = records.map(|record| record.unwrap().path());
    paths.any(|path| path.extension().is_some_and(|end| end == "json"))
}

#[test]
fn a_killed_drill() {
    let scene = Scene::new();
    scene.backup().run().succeeds();
    let drill = || {
        let drill = scene.copal("drill --snapshot latest --evidence");
        drill.arg(scene.environment.path("evidence"))
    };
    scene.survives(drill, drill, || {});
}

/// What a killed job has started goes on without it. Only when that has come to its end is the step taken back, or it would be undone again.
#[test]
fn a_resume_waits_for_what_the_killed_job_has_started() {
    let scene = Scene::new();
    let begun = scene.environment.path("begun");
    scene.environment.install_program(
        "docker",
        &format!(
            "#!/bin/sh\nif [ $1 = stop ]; then touch '{begun}'; sleep 3; touch '{state}'; else rm -f '{state}'; fi\n",
            begun = begun.display(),
            state = scene.environment.path("applications/app").display(),
        ),
    );
    let mut backup = scene.backup().start();
    // Between its start and the record of it is a moment in which nobody can know of it.
    let jobs = scene.environment.path("state/jobs");
    let is_recorded = || {
        let mut journals = tree::contents(&jobs).into_keys();
        journals.any(|name| {
            let journal = std::fs::read_to_string(jobs.join(name));
            journal.is_ok_and(|text| text.contains("\"running\""))
        })
    };
    while !begun.exists() || !is_recorded() {
        assert!(backup.is_running(), "it came to its end");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    backup.signal(rustix::process::Signal::KILL);
    // Not waited for as others are: that would end what it has started, too.
    scene.copal("resume").run().succeeds();
    std::thread::sleep(std::time::Duration::from_secs(4));
    assert!(scene.applications.runs("app"), "it was stopped afterwards");
    drop(backup);
}
