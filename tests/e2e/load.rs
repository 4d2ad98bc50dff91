//! Much at once: many clients on one repository, many snapshots, many files in one folder, and a file with little in it that is long. Where tests
//! may take long there is more of everything.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and tells what it tried"
)]

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hasher as _};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use copal_repository::format::Timestamp;
use copal_repository::{Password, Repository};
use copal_tests::environment::PASSWORD;
use copal_tests::restic::Restic;
use copal_tests::{Outcome, Program, TestEnvironment, mount, programs, run, sample, tree};
use rustix::process::Signal;

const LOCKED: i32 = 11;

/// How long one command may take.
const LONGEST: Duration = Duration::from_secs(60 * 60);

fn much<T>(usual: T, long: T) -> T {
    match programs::may_take_long() {
        true => long,
        false => usual,
    }
}

/// How often a command was let in, and how often another kept it out.
#[derive(Default)]
struct Count {
    done: AtomicU32,
    kept_out: AtomicU32,
}

impl Count {
    /// Runs a command that must succeed unless it is kept out, and tells whether it was let in.
    #[track_caller]
    fn run(&self, program: Program) -> bool {
        let outcome = program.run();
        let locked = outcome.status.code() == Some(LOCKED);
        let counter = match locked {
            true => &self.kept_out,
            false => &self.done,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        if !locked {
            outcome.succeeds();
        }
        !locked
    }

    fn done(&self) -> u32 {
        self.done.load(Ordering::Relaxed)
    }
}

/// What is done to one repository at once.
#[derive(Default)]
struct Counts {
    backups: Count,
    restores: Count,
    forgets: Count,
    prunes: Count,
    two_phase_prunes: Count,
    checks: Count,
}

impl Counts {
    fn all(&self) -> [(&'static str, &Count); 6] {
        [
            ("backups", &self.backups),
            ("restores", &self.restores),
            ("forgets", &self.forgets),
            ("prunes", &self.prunes),
            ("prunes in two phases", &self.two_phase_prunes),
            ("checks", &self.checks),
        ]
    }
}

/// One client: backs its own folder up again and again, restores it, and forgets all but its latest. In between it does nothing for `rest`.
fn client(
    environment: &TestEnvironment,
    number: u64,
    rest: Duration,
    ended: &AtomicBool,
    counts: &Counts,
) {
    let name = format!("client {number}");
    let source = environment.make_directory(&format!("{name}/source"));
    let target = environment.path(format!("{name}/target"));
    let state = environment.path(format!("{name}/state"));
    let copal = |words: &str| {
        let program = environment.copal(run::words(words));
        program.env("COPAL_STATE_DIR", &state)
    };
    let mut version = 0;
    while !ended.load(Ordering::Relaxed) || version == 0 {
        // Some of it is what others have, too.
        let shared = sample::noise(version % 3, 400_000);
        environment.write(&format!("{name}/source/shared"), shared);
        let own = sample::noise(1_000 * (number + 1) + version, 400_000);
        environment.write(&format!("{name}/source/own"), own);
        let backup = copal("backup files --yes --retry-lock 5m").arg(&source);
        assert!(counts.backups.run(backup), "a backup waits");
        version += 1;
        let path = source.to_str().unwrap();
        let latest = ["--path", path, "--to"];
        let restore = copal("restore latest --yes").args(latest).arg(&target);
        if counts.restores.run(restore) {
            tree::assert_same(&source, &target);
        }
        let forget = copal("forget --keep-last 1 --retry-lock 5s").args(["--path", path]);
        counts.forgets.run(forget);
        std::thread::sleep(rest);
    }
}

#[test]
fn many_clients_at_once_while_the_repository_is_pruned() {
    let clients = much(4, 16);
    let rest = Duration::from_secs(much(1, 12));
    let time = Duration::from_secs(much(12, 300));
    let environment = TestEnvironment::with_repository();
    let ended = AtomicBool::new(false);
    let counts = Counts::default();
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for number in 0..clients {
            let (environment, ended, counts) = (&environment, &ended, &counts);
            scope.spawn(move || client(environment, number, rest, ended, counts));
        }
        let kinds = [
            // It has to be alone, so it waits for a moment in which nobody is at work.
            ("prune --max-unused 0 --retry-lock 10s", &counts.prunes),
            ("prune --two-phase", &counts.two_phase_prunes),
            ("check --read-data", &counts.checks),
        ];
        let all_let_in = || counts.all().iter().all(|(_, count)| count.done() > 0);
        for (words, count) in kinds.iter().cycle() {
            let now = begun.elapsed();
            if now > 10 * time || now > time && all_let_in() {
                break;
            }
            count.run(environment.copal(run::words(words)));
        }
        ended.store(true, Ordering::Relaxed);
    });
    for (name, count) in counts.all() {
        let kept_out = count.kept_out.load(Ordering::Relaxed);
        println!("{} {name}, {kept_out} kept out", count.done());
        assert!(count.done() > 0, "no {name} were let in");
    }
    environment.copal(["check", "--read-data"]).run().succeeds();
    for number in 0..clients {
        let source = environment.path(format!("client {number}/source"));
        let target = environment.path(format!("client {number}/last"));
        let latest = environment.copal(["restore", "latest", "--yes", "--path"]);
        let latest = latest.arg(&source).arg("--to").arg(&target);
        latest.run().succeeds();
        tree::assert_same(&source, &target);
    }
    let locks = std::fs::read_dir(Path::new(environment.repository()).join("locks"));
    assert_eq!(locks.unwrap().count(), 0);
    if let Some(restic) = Restic::find(&environment) {
        restic.check();
    }
}

/// Says how long a command took and the most memory that it had.
fn told(what: &str, begun: Instant, outcome: Outcome) -> Outcome {
    let (took, peak) = (begun.elapsed(), outcome.peak >> 20);
    println!("{what}: {took:.1?}, {peak} MiB");
    outcome.succeeds()
}

#[test]
fn many_snapshots() {
    const HOUR: i64 = 60 * 60;
    let count: i64 = much(2_000, 100_000);
    let environment = TestEnvironment::with_repository();
    let source = environment.make_directory("source");
    sample::simple(&source);
    environment.backup("files", &source, "").run().succeeds();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let store = copal_storage::open(environment.repository()).unwrap();
    let password = Password::new(PASSWORD);
    let repository = Repository::open(store, runtime.handle().clone(), &password).unwrap();
    let (_, snapshot) = repository.snapshot("latest").unwrap();
    for number in 1..count {
        let mut earlier = snapshot.clone();
        earlier.time = Timestamp {
            seconds: snapshot.time.seconds - number * HOUR,
            ..snapshot.time
        };
        repository.save_snapshot(&earlier).unwrap();
    }
    let run = |words: &str| {
        let begun = Instant::now();
        let program = environment.copal(run::words(words));
        told(words, begun, program.within(LONGEST).run())
    };
    let listed = run("snapshots --json").json();
    assert_eq!(listed.as_array().unwrap().len(), count as usize);
    run("snapshots");
    run("ls latest");
    run("check");
    let told = run("forget --keep-daily 30 --keep-monthly 12 --json").json();
    let left = environment.snapshots().len();
    assert!((30..=42).contains(&left), "{left} are left");
    let forgotten = told["forgotten"].as_array().unwrap().len();
    assert_eq!(forgotten + left, count as usize);
    run("prune");
    run("check --read-data");
}

#[test]
fn many_files_in_one_folder() {
    let count = much(20_000, 1_000_000);
    let environment = TestEnvironment::with_repository();
    let source = environment.make_directory("source");
    for number in 0..count {
        std::fs::File::create(source.join(format!("file {number}"))).unwrap();
    }
    let run = |what: &str, program: Program| {
        let begun = Instant::now();
        told(what, begun, program.within(LONGEST).run())
    };
    run("backup", environment.backup("files", &source, ""));
    run("backup again", environment.backup("files", &source, ""));
    let listed = run("ls", environment.copal(["ls", "latest"]));
    assert!(listed.text().lines().count() > count);
    let target = environment.path("target");
    run("restore", environment.restore(&target, ""));
    assert_eq!(std::fs::read_dir(target).unwrap().count(), count);
    run("check", environment.copal(["check"]));
    if mount::is_possible() {
        looks_at_all(&environment, count);
    }
}

/// Mounts the repository, and asks for the attributes of so many files of one folder.
fn looks_at_all(environment: &TestEnvironment, count: usize) {
    let (place, mounted) = mount::mounted(environment, LONGEST);
    let folder = place.join("snapshots/latest/files");
    let begun = Instant::now();
    let mut looked = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        assert_eq!(entry.unwrap().metadata().unwrap().len(), 0);
        looked += 1;
    }
    assert_eq!(looked, count);
    mounted.signal(Signal::INT);
    told("mount, each file looked at", begun, mounted.wait());
}

/// What is not on the disk is neither stored nor written.
#[test]
fn a_long_file_with_little_in_it() {
    let length = much(2, 100) << 30;
    let environment = TestEnvironment::with_repository();
    let source = environment.make_directory("source");
    let file = std::fs::File::create(source.join("sparse")).unwrap();
    file.set_len(length).unwrap();
    for (island, at) in [(1, 0), (2, length / 2), (3, length - 4096)] {
        file.write_all_at(&sample::noise(island, 4096), at).unwrap();
    }
    let begun = Instant::now();
    let backup = environment.backup("files", &source, "").within(LONGEST);
    told("backup", begun, backup.run());
    let target = environment.path("target");
    let begun = Instant::now();
    let restore = environment.restore(&target, "").within(LONGEST);
    told("restore", begun, restore.run());
    let restored = std::fs::File::open(target.join("sparse")).unwrap();
    let metadata = restored.metadata().unwrap();
    assert_eq!(metadata.len(), length);
    assert!(
        metadata.blocks() * 512 < 1 << 20,
        "{} blocks",
        metadata.blocks()
    );
    for (island, at) in [(1, 0), (2, length / 2), (3, length - 4096)] {
        let mut found = vec![0; 4096];
        restored.read_exact_at(&mut found, at).unwrap();
        assert!(found == sample::noise(island, 4096), "the island at {at}");
    }
}

/// How many files are read in a mount besides others, and bytes of each.
const MANY: u64 = 10_000;
const SMALL: usize = 2_000;

/// The one process of Copal's that lives long is `mount`. Meanwhile there are new snapshots.
#[test]
fn a_mount_that_is_read_all_the_time_takes_no_more_and_more() {
    let Some(time) = programs::soak() else {
        return;
    };
    if !mount::is_possible() {
        return;
    }
    let environment = TestEnvironment::with_repository();
    let source = environment.make_directory("source");
    sample::awkward(&source);
    for number in 0..MANY {
        let content = sample::noise(number, SMALL);
        environment.write(&format!("source/many/{number}"), content);
    }
    let mut snapshots = 0;
    let mut back_up = || {
        snapshots += 1;
        // Of each the listing and a file are its own, and take some of the caches.
        let new = sample::noise(MANY + snapshots, 7 << 20);
        environment.write("source/many/new", new);
        environment.backup("files", &source, "").run().succeeds();
    };
    for _ in 0..20 {
        back_up();
    }
    let (place, mounted) = mount::mounted(&environment, time + LONGEST);
    let mut rounds = Vec::new();
    let mut seen = HashMap::new();
    let mut backed_up = 0;
    let begun = Instant::now();
    while begun.elapsed() < time || rounds.len() < 30 {
        read_all(&place.join("snapshots/latest"));
        // What was read long ago, and is forgotten by now, is the same.
        let all = std::fs::read_dir(place.join("ids")).unwrap();
        let all: Vec<_> = all.map(|entry| entry.unwrap().path()).collect();
        let one = &all[rounds.len() * 7_919 % all.len()];
        let read = read_all(one);
        assert_eq!(*seen.entry(one.clone()).or_insert(read), read, "{one:?}");
        let now = held(mounted.id());
        rounds.push(now);
        println!(
            "after {} s, round {}: {} KiB, {} files",
            begun.elapsed().as_secs(),
            rounds.len(),
            now.0 >> 10,
            now.1
        );
        // It looks for new ones once in a minute.
        if begun.elapsed() > Duration::from_secs(60) * (backed_up + 1) {
            backed_up += 1;
            back_up();
        }
        std::thread::sleep(Duration::from_secs(2));
    }
    // The caches fill in the first half.
    let most = |rounds: &[(u64, usize)]| {
        let memory = rounds.iter().map(|(memory, _)| *memory).max();
        (
            memory.unwrap(),
            rounds.iter().map(|(_, files)| *files).max(),
        )
    };
    let (first, second) = rounds.split_at(rounds.len() / 2);
    let (first, second) = (most(first), most(second));
    println!(
        "{backed_up} new snapshots; at most {first:?} in the first half, {second:?} in the second"
    );
    assert!(second.0 < first.0 + (8 << 20), "it takes more and more");
    assert!(second.1 <= first.1, "it opens more and more files");
    mounted.signal(Signal::INT);
    mounted.wait().succeeds();
    environment.copal(["check", "--read-data"]).run().succeeds();
}

/// What a process has in memory, in bytes, and how many files it has open.
fn held(process: u32) -> (u64, usize) {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let resident = resident.unwrap().trim().trim_end_matches(" kB");
    let open = std::fs::read_dir(format!("/proc/{process}/fd")).unwrap();
    (resident.parse::<u64>().unwrap() << 10, open.count())
}

/// Has all of a folder read, and gives a digest of it. What its owners are called here may change meanwhile.
fn read_all(place: &Path) -> u64 {
    let mut tar = std::process::Command::new("tar");
    let tar = tar
        .args(["-cf", "-", "--numeric-owner", "."])
        .current_dir(place)
        .output();
    let tar = tar.unwrap();
    let said = String::from_utf8_lossy(&tar.stderr);
    assert!(tar.status.success(), "{said}");
    let mut digest = DefaultHasher::new();
    digest.write(&tar.stdout);
    digest.finish()
}
