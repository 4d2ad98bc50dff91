//! Interrupted in the middle, every command that takes its time ends at once with exit code 130, brings the application back, leaves no lock and
//! nothing unfinished, and does its work when it is run again.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use copal_tests::applications::Applications;
use copal_tests::s3::S3Server;
use copal_tests::slow::{Line, SlowLine};
use copal_tests::{Outcome, Program, TestEnvironment, mount, plugins, run, sample, tree};
use rustix::process::Signal;

const INTERRUPTED: i32 = 130;

/// The longest that a command may go on.
const LIMIT: Duration = Duration::from_secs(2);

/// So long and narrow that whatever goes over it can be interrupted.
const LINE: Line = Line {
    round_trip: Duration::from_millis(40),
    bytes_per_second: 400 << 10,
};

/// The same for what needs few bytes, and asks often.
const LONG_LINE: Line = Line {
    round_trip: Duration::from_millis(200),
    ..LINE
};

/// A repository with two snapshots of an application, far away.
struct Scene {
    environment: TestEnvironment,
    applications: Applications,
    /// Where the server keeps its objects.
    far: TestEnvironment,
    server: S3Server,
    line: SlowLine,
    source: PathBuf,
    /// Signals take turns.
    terminates: AtomicBool,
}

impl Scene {
    fn new() -> Self {
        Self::over(LINE)
    }

    fn over(line: Line) -> Self {
        let far = TestEnvironment::new();
        let server = S3Server::start(&far.path("objects"));
        let line = SlowLine::to(server.port(), line);
        let environment = server.environment_at(line.port());
        let scene = Self {
            applications: Applications::install(&environment),
            source: environment.make_directory("source"),
            terminates: AtomicBool::new(false),
            environment,
            far,
            server,
            line,
        };
        scene.nearby(scene.copal("init"));
        sample::simple(&scene.source);
        for version in [1, 2] {
            scene.change(version);
            scene.nearby(scene.backup());
        }
        scene
    }

    /// Makes the source another version of itself.
    fn change(&self, version: u64) {
        for file in 0..4 {
            let noise = sample::noise(version * 10 + file, 1 << 20);
            self.environment
                .write(&format!("source/folder {file}/noise"), noise);
        }
    }

    fn copal(&self, words: &str) -> Program {
        self.environment.copal(run::words(words))
    }

    fn application(&self, program: Program) -> Program {
        let grants = ["run:docker stop *", "run:docker start *"];
        let program = program.args(["--yes", "--set", "container=app"]);
        program.args(grants.into_iter().flat_map(|grant| ["--grant", grant]))
    }

    fn backup(&self) -> Program {
        let backup = self.copal("backup").arg(plugins::guest("hostile"));
        self.application(backup.arg(&self.source))
    }

    /// Runs a command over no line at all.
    #[track_caller]
    fn nearby(&self, program: Program) -> Outcome {
        program.envs(self.server.variables()).run().succeeds()
    }

    /// Interrupts the command once so many bytes went over the line, and a lock was taken.
    #[track_caller]
    fn interrupted(&self, bytes: u64, program: Program) -> Outcome {
        self.interrupted_when(bytes, true, program)
    }

    #[track_caller]
    fn interrupted_when(&self, bytes: u64, locked: bool, program: Program) -> Outcome {
        let traffic = || self.line.traffic().up + self.line.traffic().down;
        let enough = traffic() + bytes;
        let mut running = program.start();
        running.close_input();
        let locks = self.far.path("objects/backups/below/a/prefix/locks");
        let is_locked = || {
            let mut locks = tree::contents(&locks).into_values();
            locks.any(|content| content.is_some())
        };
        while traffic() < enough || (locked && !is_locked()) {
            assert!(
                running.is_running(),
                "{}",
                running.wait().exits(INTERRUPTED).stderr
            );
            std::thread::sleep(Duration::from_millis(1));
        }
        let signal = match self.terminates.fetch_xor(true, Ordering::Relaxed) {
            true => Signal::TERM,
            false => Signal::INT,
        };
        running.signal(signal);
        let begun = Instant::now();
        let outcome = running.wait().exits(INTERRUPTED);
        let took = begun.elapsed();
        assert!(took < LIMIT, "it went on for {took:?}: {}", outcome.stderr);
        assert!(!is_locked(), "a lock is left");
        assert!(self.applications.runs("app"), "it was left stopped");
        for folder in ["state/jobs", "state/scratch", "tmp"] {
            let left = tree::contents(&self.environment.path(folder));
            assert!(left.len() <= 1, "{left:?}");
        }
        outcome
    }

    #[track_caller]
    fn is_whole(&self) {
        self.nearby(self.copal("check --read-data"));
    }
}

#[test]
fn jobs() {
    let scene = Scene::new();
    scene.change(3);
    scene.interrupted(1 << 20, scene.backup());
    assert_eq!(
        scene
            .nearby(scene.copal("snapshots --json"))
            .json()
            .as_array()
            .unwrap()
            .len(),
        2
    );
    scene.nearby(scene.backup());

    let target = scene.environment.path("target");
    let restore = || scene.environment.restore(&target, "");
    scene.interrupted(2 << 20, restore());
    scene.nearby(restore());
    tree::assert_same(&scene.source, &target);

    let evidence = scene.environment.make_directory("evidence");
    let drill = || {
        scene
            .copal("drill --snapshot latest --evidence")
            .arg(&evidence)
    };
    scene.interrupted(2 << 20, drill());
    scene.nearby(drill());

    scene.change(4);
    let target = scene.environment.make_directory("new place");
    scene.environment.write("new place/of its own", "kept");
    let migrate = |further: &str| {
        let migrate = scene.copal("migrate").arg(plugins::guest("hostile"));
        let migrate = migrate.arg(&scene.source).arg("--to").arg(&target);
        scene.application(migrate).args(run::words(further))
    };
    scene.interrupted(1 << 20, migrate(""));
    scene.interrupted(6 << 20, migrate("--resume"));
    scene.nearby(migrate("--resume"));
    tree::assert_same_but(&scene.source, &target, |path| {
        path == Path::new("of its own")
    });
    scene.interrupted(200 << 10, scene.copal("rollback --yes"));
    scene.nearby(scene.copal("rollback --yes"));
    assert_eq!(tree::read(&target).len(), 2);
    scene.is_whole();
}

#[test]
fn what_reads() {
    let scene = Scene::new();
    scene.interrupted(1 << 20, scene.copal("check --read-data"));
    scene.interrupted(300 << 10, scene.copal("dump latest").arg("data/folder 1"));
    let scene = Scene::over(LONG_LINE);
    for words in ["stats", "find b.txt", "ls latest"] {
        scene.interrupted(1 << 10, scene.copal(words));
        scene.nearby(scene.copal(words));
    }
    // It takes no lock.
    scene.interrupted_when(1 << 10, false, scene.copal("snapshots"));
}

/// Whoever is in it finds it gone, and it says so; left alone, it would end with 0, since an interrupt is its way to end.
#[test]
fn a_mount_in_use() {
    if !mount::is_possible() {
        return;
    }
    let scene = Scene::new();
    for signal in [Signal::INT, Signal::TERM] {
        let (place, mounted) = mount::mounted(&scene.environment, Duration::from_secs(60));
        let file = place.join("snapshots/latest/data/folder 1/noise");
        // Somebody works in it, and a file is being read.
        let mut idle = std::process::Command::new("sleep");
        let mut idle = idle.arg("60").current_dir(&place).spawn().unwrap();
        let before = scene.line.traffic().down;
        let reader = std::thread::spawn(|| std::fs::read(file).map(drop));
        while scene.line.traffic().down < before + (100 << 10) {
            assert!(!reader.is_finished(), "{:?}", reader.join());
            std::thread::sleep(Duration::from_millis(1));
        }
        mounted.signal(signal);
        let begun = Instant::now();
        mounted.wait().exits(1).says("still in use");
        assert!(begun.elapsed() < LIMIT, "it went on");
        reader.join().unwrap().unwrap_err();
        idle.kill().unwrap();
        idle.wait().unwrap();
        assert_eq!(std::fs::read_dir(&place).unwrap().count(), 0);
    }
    scene.is_whole();
}

/// What a limit makes slow ends as soon as what a line does, and nothing half is left.
#[test]
fn what_a_limit_makes_slow() {
    let environment = TestEnvironment::with_repository();
    let source = environment.make_directory("source");
    environment.write("source/noise", sample::noise(1, 20 << 20));
    let ends = |program: Program, signal, is_at_it: &dyn Fn() -> bool| {
        let mut running = program.start();
        while !is_at_it() {
            assert!(running.is_running(), "{:?}", running.wait());
            std::thread::sleep(Duration::from_millis(10));
        }
        // Long enough to have read all that there is.
        std::thread::sleep(Duration::from_secs(1));
        running.signal(signal);
        let begun = Instant::now();
        running.wait().exits(INTERRUPTED).says("interrupted");
        let took = begun.elapsed();
        assert!(took < LIMIT, "it went on for {took:?}");
    };
    let locks = PathBuf::from(environment.repository()).join("locks");
    let count = |place: &Path| std::fs::read_dir(place).unwrap().count();
    for signal in [Signal::INT, Signal::TERM] {
        let backup = environment.backup("files", &source, "--limit-upload 500");
        ends(backup, signal, &|| count(&locks) > 0);
        assert_eq!(count(&locks), 0);
        assert_eq!(environment.snapshots().len(), 0);
    }
    environment.backup("files", &source, "").run().succeeds();
    let place = environment.make_directory("place");
    let dump = environment.copal(run::words("dump latest / --limit-download 500 --target"));
    let dump = dump.arg(place.join("all.tar"));
    ends(dump, Signal::INT, &|| count(&place) > 0);
    assert_eq!(count(&place), 0);
    ends(
        environment.copal(run::words("check --read-data --limit-download 500")),
        Signal::TERM,
        &|| count(&locks) > 0,
    );
    let other = TestEnvironment::with_repository();
    let copy = other.copal(["copy", "--limit-upload", "500", "--from-repo"]);
    let password = copal_tests::environment::PASSWORD;
    let copy = copy
        .arg(environment.repository())
        .env("COPAL_FROM_PASSWORD", password);
    let locks = PathBuf::from(other.repository()).join("locks");
    ends(copy, Signal::INT, &|| count(&locks) > 0);
    assert_eq!((count(&locks), other.snapshots().len()), (0, 0));
}

#[test]
fn what_keeps_a_repository_in_order() {
    let scene = Scene::new();
    let rewrite = || scene.copal("rewrite --exclude b.txt --forget");
    scene.interrupted(4 << 10, rewrite());
    scene.is_whole();
    scene.nearby(rewrite());
    let tag = || scene.copal("tag --add kept");
    scene.interrupted(4 << 10, tag());
    scene.nearby(tag());

    let forget = || scene.copal("forget --keep-last 1 --prune --max-unused 0");
    scene.interrupted(16 << 10, forget());
    scene.is_whole();
    scene.nearby(forget());
    let index = || scene.copal("repair index --read-all-packs");
    scene.interrupted(4 << 10, index());
    scene.is_whole();
    scene.nearby(index());

    let other = TestEnvironment::with_repository();
    let copy = || {
        let copy = other.copal(["copy", "--from-repo", scene.environment.repository()]);
        let password = copal_tests::environment::PASSWORD;
        let variables = scene.server.variables_at(scene.line.port());
        copy.env("COPAL_FROM_PASSWORD", password).envs(variables)
    };
    scene.interrupted(1 << 20, copy());
    other.copal(["check", "--read-data"]).run().succeeds();
    scene.nearby(copy());
    assert_eq!(other.snapshots().len(), 1);
    other.copal(["check", "--read-data"]).run().succeeds();
}
