//! Keeping a repository in order from the command line.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use copal_repository::{LockMode, Password, Repository};
use copal_tests::environment::{PASSWORD, copal_binary};
use copal_tests::restic::Restic;
use copal_tests::{Running, TestEnvironment, plugins, sample, tree};
use rustix::process::Signal;
use serde_json::Value;

/// A repository with so many snapshots of a directory of which one file differs, and the directory.
fn history(environment: &TestEnvironment, versions: u64) -> PathBuf {
    let source = environment.make_directory("source");
    sample::simple(&source);
    std::fs::create_dir(source.join("cache")).unwrap();
    std::fs::write(source.join("cache/large"), sample::noise(99, 1 << 20)).unwrap();
    for version in 0..versions {
        std::fs::write(source.join("noise"), sample::noise(version, 3 << 20)).unwrap();
        environment.backup("files", &source, "").run().succeeds();
    }
    source
}

fn ids(snapshots: &[Value]) -> Vec<String> {
    let ids = snapshots
        .iter()
        .map(|snapshot| snapshot["id"].as_str().unwrap().to_owned());
    ids.collect()
}

/// The packs of the repository.
fn packs(environment: &TestEnvironment) -> Vec<PathBuf> {
    let directories = std::fs::read_dir(Path::new(environment.repository()).join("data")).unwrap();
    let directories = directories.map(|entry| entry.unwrap().path());
    let mut packs: Vec<_> = directories
        .flat_map(|directory| std::fs::read_dir(directory).unwrap())
        .map(|entry| entry.unwrap().path())
        .collect();
    packs.sort();
    packs
}

/// Lets all packs have been written two days ago.
fn age(environment: &TestEnvironment) {
    let then = SystemTime::now() - Duration::from_secs(2 * 24 * 60 * 60);
    for pack in packs(environment) {
        let pack = std::fs::File::open(pack).unwrap();
        pack.set_modified(then).unwrap();
    }
}

fn size(files: &[PathBuf]) -> u64 {
    files
        .iter()
        .map(|file| file.metadata().unwrap().len())
        .sum()
}

/// How many locks there are; files that are being written are none.
fn locks(environment: &TestEnvironment) -> usize {
    let files = std::fs::read_dir(Path::new(environment.repository()).join("locks"));
    let names = files.unwrap().map(|file| file.unwrap().file_name());
    names.filter(|name| name.len() == 64).count()
}

/// A backup that has locked the repository, knows what is stored there, and goes on once there is a file `go`.
fn held_backup(environment: &TestEnvironment, source: &Path) -> Running {
    let [held, go] = ["held", "go"].map(|name| environment.path(name));
    let script = format!(
        "#!/bin/sh\n[ $1 = stop ] || exit 0\ntouch '{}'\nwhile [ ! -e '{}' ]; do sleep 0.05; done\n",
        held.display(),
        go.display()
    );
    environment.install_program("docker", &script);
    let program = environment.backup(plugins::guest("hostile"), source, "--set container=app");
    let grants = ["run:docker stop app", "run:docker start app"];
    let backup = program.args(grants.into_iter().flat_map(|grant| ["--grant", grant]));
    let backup = backup.start();
    let begun = (0..3_000).any(|_| {
        std::thread::sleep(Duration::from_millis(20));
        held.exists()
    });
    assert!(begun, "the backup does not begin");
    assert_eq!(locks(environment), 1, "Copal writes without a lock");
    std::fs::remove_file(held).unwrap();
    backup
}

#[track_caller]
fn restores(environment: &TestEnvironment, source: &Path) {
    let target = environment.path("target");
    environment.restore(&target, "").run().succeeds();
    tree::assert_same(source, &target);
    std::fs::remove_dir_all(target).unwrap();
}

#[test]
fn what_is_forgotten_and_pruned_is_gone_and_the_rest_restores() {
    let environment = TestEnvironment::with_repository();
    let source = history(&environment, 4);
    let before = ids(&environment.snapshots());
    let forget = |further: &str| {
        let further = copal_tests::run::words(further);
        environment.copal(["forget", "--json"]).args(further).run()
    };
    let told = forget("--keep-last 1 --prune --dry-run").succeeds().json();
    assert_eq!(ids(&environment.snapshots()), before);
    let group = &told["groups"][0];
    assert_eq!(group["keep"].as_array().unwrap().len(), 1);
    assert_eq!(group["remove"].as_array().unwrap().len(), 3);
    assert_eq!(group["reasons"][0]["matches"][0], "last snapshot");
    assert_eq!(told["prune"]["dry_run"], true);

    let text = environment
        .copal(["forget", "--keep-last", "1", "--dry-run"])
        .run();
    let text = text.succeeds().text();
    assert!(
        text.contains("last snapshot") && text.contains("3 snapshots would be forgotten"),
        "{text}"
    );

    let held = size(&packs(&environment));
    let done = forget("--keep-last 1 --prune --max-unused 0")
        .succeeds()
        .json();
    assert_eq!(done["forgotten"], told["forgotten"]);
    assert_eq!(ids(&environment.snapshots()), before[3..]);
    assert!(size(&packs(&environment)) < held - (8 << 20));
    restores(&environment, &source);
    if let Some(restic) = Restic::find(&environment) {
        restic.check();
        let theirs = environment.path("theirs");
        restic.restore(&theirs);
        tree::assert_same(&source, &theirs.join("files"));
    }
    let text = environment.copal(["prune"]).run().succeeds().text();
    assert!(text.contains("needed by 1 snapshots"), "{text}");
}

#[test]
fn nothing_is_kept_only_where_that_is_said() {
    let environment = TestEnvironment::with_repository();
    let source = history(&environment, 2);
    let forget = |further: &str| {
        let further = copal_tests::run::words(further);
        environment.copal(["forget"]).args(further)
    };
    environment.refused(forget(""), 2).is("arguments");
    let both = forget("latest --keep-last 1").run();
    both.exits(2).says("cannot be used with");
    environment
        .refused(forget("latest --host h"), 2)
        .is("arguments");
    let all = forget("--unsafe-allow-remove-all");
    environment.refused(all, 2).says("--host");
    let text = forget("--keep-tag none").run().succeeds().text();
    assert!(text.contains("no rule keeps any"), "{text}");
    assert_eq!(environment.snapshots().len(), 1);
    // An incomplete one takes no place of a good one, and neither does one that was taken before a restore.
    environment.backup("files", &source, "").run().succeeds();
    environment.restore(&source, "--safety").run().succeeds();
    let before = environment.snapshots();
    assert_eq!(before.len(), 3);
    let text = forget("--keep-last 1").run().succeeds().text();
    assert!(text.contains("1 safety snapshots are left out"), "{text}");
    let after = environment.snapshots();
    assert_eq!(ids(&after), ids(&before)[1..]);
    let named = &ids(&after)[0][..12];
    forget(named).run().succeeds();
    let path = source.to_str().unwrap();
    let everything = format!("--tag safety --path {path} --unsafe-allow-remove-all");
    forget(&everything).run().succeeds();
    assert!(environment.snapshots().is_empty());
}

#[test]
fn a_check_may_read_a_part_of_the_data() {
    let environment = TestEnvironment::with_repository();
    history(&environment, 3);
    let packs = packs(&environment);
    // One with data: listings are read by every check.
    let size = |path: &&PathBuf| path.metadata().unwrap().len();
    let path = packs.iter().max_by_key(size).unwrap();
    let mut bytes = std::fs::read(path).unwrap();
    bytes[20] ^= 1;
    std::fs::write(path, bytes).unwrap();
    let check = |part: &str| environment.copal(["check", "--json", "--read-data-subset", part]);
    let (mut read, mut found) = (0, 0);
    for part in ["1/3", "2/3", "3/3"] {
        let outcome = check(part).run();
        found += u8::from(outcome.status.code() == Some(1));
        read += outcome.json()["packs_read"].as_u64().unwrap();
    }
    assert_eq!((read, found), (packs.len() as u64, 1));
    check("100%").run().exits(1);
    let one = check("1").run().json();
    assert_eq!(one["packs_read"], 1);
    check("5/3").run().exits(2).says("5/3");
}

#[test]
fn a_command_waits_for_the_lock_of_another_if_it_is_told_to() {
    let environment = TestEnvironment::with_repository();
    let source = history(&environment, 2);
    let backup = held_backup(&environment, &source);
    let prune = |patience| environment.copal(["prune", "--retry-lock", patience]);
    let begun = std::time::Instant::now();
    let refused = prune("2s").run().exits(11);
    refused.says("waiting, 2 s at most");
    assert!(begun.elapsed() >= Duration::from_secs(2));
    let waiting = prune("1h").start();
    waiting.wait_for_error_line("waiting, 3600 s at most");
    std::fs::write(environment.path("go"), "").unwrap();
    backup.wait().succeeds();
    waiting.wait().succeeds();

    // While it waits, it can be told to end.
    std::fs::remove_file(environment.path("go")).unwrap();
    let backup = held_backup(&environment, &source);
    let waiting = prune("1h").start();
    waiting.wait_for_error_line("waiting");
    waiting.signal(Signal::INT);
    waiting.wait().exits(130);
    std::fs::write(environment.path("go"), "").unwrap();
    backup.wait().succeeds();
    assert_eq!(locks(&environment), 0);
}

/// Nothing of a job has begun while it waits for another's lock, which one that works alone has.
#[test]
fn a_job_waits_before_it_stops_anything() {
    let environment = TestEnvironment::with_repository();
    let source = environment.make_directory("source");
    sample::simple(&source);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let store = copal_storage::open(environment.repository()).unwrap();
    let password = Password::new(PASSWORD);
    let repository = Repository::open(store, runtime.handle().clone(), &password).unwrap();
    let lock = repository.lock(LockMode::Exclusive).unwrap();

    let [before, finally] = ["before", "finally"].map(|name| environment.path(name));
    let config = format!(
        "[repository]\nretry-lock = 3600\n[jobs.one]\nplugin = \"files\"\nroots = {{ files = {source:?} }}\n\
         [jobs.one.hooks]\nbefore = [[\"touch\", {before:?}]]\nfinally = [[\"touch\", {finally:?}]]\n"
    );
    let config = environment.write("copal.toml", config);
    let backup = |further: &str| {
        let backup = environment.copal(["backup", "--yes", "--job", "one", "--config"]);
        backup.arg(&config).args(copal_tests::run::words(further))
    };
    for signal in [Signal::INT, Signal::TERM] {
        let waiting = backup("").start();
        waiting.wait_for_error_line("waiting, 3600 s at most");
        assert!(!before.exists(), "it stopped something");
        waiting.signal(signal);
        waiting.wait().exits(130);
    }
    environment
        .refused(backup("--retry-lock 0"), 11)
        .is("locked");
    assert!(finally.exists(), "without a wait the hooks are run");
    std::fs::remove_file(&before).unwrap();

    let place = environment.make_directory("place");
    let mounting = environment
        .copal(["mount", "--retry-lock", "1h"])
        .arg(place);
    let mounting = mounting.start();
    mounting.wait_for_error_line("waiting");
    mounting.signal(Signal::INT);
    mounting.wait().exits(130);

    let waiting = backup("").start();
    waiting.wait_for_error_line("waiting");
    drop(lock);
    waiting.wait().succeeds();
    assert!(before.exists());
}

#[test]
fn what_an_index_does_not_name_is_not_lost() {
    let environment = TestEnvironment::with_repository();
    let source = history(&environment, 2);
    let indexes = Path::new(environment.repository()).join("index");
    for index in std::fs::read_dir(indexes).unwrap() {
        std::fs::remove_file(index.unwrap().path()).unwrap();
    }
    let check = environment.copal(["check"]).run().exits(1);
    let hint = "packs are in no index, and may hold what is missing";
    assert!(check.text().contains(hint), "{}", check.text());
    for how in ["--dry-run", "--forget"] {
        let repair = environment.copal(["repair", "snapshots", how]);
        let refused = environment.refused(repair, 1);
        refused.is("unindexed").says("copal repair index");
    }
    assert_eq!(environment.snapshots().len(), 2);
    let repair = |what| environment.copal(["repair", what]).run();
    repair("index").succeeds();
    repair("snapshots").succeeds();
    environment.copal(["check", "--read-data"]).run().succeeds();
    let target = environment.path("target");
    environment.restore(&target, "").run().succeeds();
    tree::assert_same(&source, &target);
}

#[test]
fn slips_are_not_taken_for_wishes() {
    let environment = TestEnvironment::with_repository();
    let source = history(&environment, 1);
    let copal = |words: &str| environment.copal(copal_tests::run::words(words));
    copal("prune --grace 3d").run().exits(2).says("--two-phase");
    let itself = copal("copy --from-repo").arg(environment.repository());
    let itself = itself.env("COPAL_FROM_PASSWORD", PASSWORD);
    environment.refused(itself, 2).is("arguments");
    let none = "no snapshot is of that machine";
    for words in [
        "snapshots --host nobody",
        "forget --host nobody --keep-last 1",
    ] {
        copal(words).run().succeeds().says(none);
    }
    let place = format!("{}/", source.display());
    let found = copal("snapshots --json --path").arg(place).run();
    assert_eq!(found.succeeds().json().as_array().unwrap().len(), 1);

    let config = "[jobs.one]\nplugin = \"files\"\nretention = { keep-last = 0 }\n";
    let config = environment.write("copal.toml", config);
    let check = copal("config check --config").arg(config).run().exits(1);
    assert!(check.text().contains("it has no rule"), "{}", check.text());

    // Which is the latest can't be told where one is damaged.
    let snapshots = Path::new(environment.repository()).join("snapshots");
    let file = std::fs::read_dir(snapshots).unwrap().next().unwrap();
    let file = file.unwrap().path();
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    std::fs::write(&file, "").unwrap();
    let latest = environment.refused(copal("ls latest"), 1);
    latest.is("corrupt").says("copal forget");
}

/// Nobody who must be alone gets in between the wait and the work; what a hook before it runs is kept out, too.
#[test]
fn what_a_job_waited_for_is_kept_until_its_work_is_done() {
    let environment = TestEnvironment::with_repository();
    let source = environment.make_directory("source");
    sample::simple(&source);
    let codes = environment.path("codes");
    let (copal, repository) = (copal_binary(), environment.repository());
    let line = format!(
        "COPAL_PASSWORD={PASSWORD:?} {copal:?} -r {repository:?} prune; echo $? >> {codes:?}"
    );
    let config = format!(
        "[repository]\nretry-lock = 3600\n[jobs.one]\nplugin = \"files\"\nroots = {{ files = {source:?} }}\n\
         [jobs.one.hooks]\nbefore = [[\"sh\", \"-c\", {line:?}]]\nafter = [[\"sh\", \"-c\", {line:?}]]\n"
    );
    let config = environment.write("copal.toml", config);
    let backup = environment.copal(["backup", "--yes", "--job", "one", "--config"]);
    backup.arg(&config).run().succeeds();
    assert_eq!(std::fs::read_to_string(&codes).unwrap(), "11\n0\n");

    // Nor does a job keep it that was not begun.
    std::fs::write(&codes, "").unwrap();
    let text = std::fs::read_to_string(&config).unwrap();
    let text = text.replace("before = [", "before = [[\"false\"], ");
    std::fs::write(&config, text.replace("after = ", "failed = ")).unwrap();
    let backup = environment.copal(["backup", "--yes", "--job", "one", "--config"]);
    backup.arg(&config).run().exits(1).says("hook `before`");
    assert_eq!(std::fs::read_to_string(codes).unwrap(), "0\n");
    assert_eq!(locks(&environment), 0);
}

/// The backup is complete, whatever keeps the retention out after it.
#[test]
fn hooks_are_told_of_the_backup_and_not_of_the_retention() {
    let environment = TestEnvironment::with_repository();
    let source = environment.make_directory("source");
    sample::simple(&source);
    environment.backup("files", &source, "").run().succeeds();
    let status = environment.path("status");
    let line = format!("echo $COPAL_STATUS > '{}'", status.display());
    let config = format!(
        "[jobs.one]\nplugin = \"files\"\nroots = {{ files = {source:?} }}\nretention = {{ keep-last = 1 }}\n\
         [jobs.one.hooks]\nfinally = [[\"sh\", \"-c\", {line:?}]]\n"
    );
    let config = environment.write("copal.toml", config);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let store = copal_storage::open(environment.repository()).unwrap();
    let password = Password::new(PASSWORD);
    let repository = Repository::open(store, runtime.handle().clone(), &password).unwrap();
    let reading = repository.lock(LockMode::Read).unwrap();
    let backup = || {
        let backup = environment.copal(["backup", "--yes", "--job", "one", "--config"]);
        backup.arg(&config)
    };
    backup().run().exits(11);
    assert_eq!(
        std::fs::read_to_string(&status).unwrap().trim(),
        "succeeded"
    );
    // The first wait, before the work, is not the last: who reads keeps off what removes, and nothing else.
    std::fs::remove_file(&status).unwrap();
    let waiting = backup().args(["--retry-lock", "1h"]).start();
    waiting.wait_for_error_line("waiting, 3600 s at most");
    assert!(
        status.exists(),
        "it waited before the backup, or while something is stopped"
    );
    drop(reading);
    waiting.wait().succeeds();
    // That of no job, and the latest of this one.
    assert_eq!(environment.snapshots().len(), 2);
}

#[test]
fn a_prune_in_two_phases_lets_a_backup_run_meanwhile() {
    let environment = TestEnvironment::with_repository();
    let source = history(&environment, 3);
    environment
        .copal(["forget", "--keep-last", "1"])
        .run()
        .succeeds();
    age(&environment);
    let backup = held_backup(&environment, &source);
    environment
        .refused(environment.copal(["prune"]), 11)
        .is("locked");
    let prune = |grace| environment.copal(["prune", "--two-phase", "--grace", grace]);
    // The backup may need what nothing else does any more.
    environment
        .refused(prune("11h"), 1)
        .says("give a longer grace");
    let prune = || prune("12h").arg("--json").run().succeeds().json();
    let marked = prune();
    assert!(
        marked["marked"]["packs"].as_u64().unwrap() > 0,
        "{marked:#}"
    );
    let waiting = prune();
    assert_eq!(waiting["waiting"], marked["marked"], "{waiting:#}");
    std::fs::write(environment.path("go"), "").unwrap();
    backup.wait().succeeds();
    let removed = environment.copal(["prune", "--json"]).run();
    let removed = removed.succeeds().json();
    assert_eq!(removed["removed"], marked["marked"], "{removed:#}");
    environment.copal(["check", "--read-data"]).run().succeeds();
    restores(&environment, &source);
}

#[test]
fn a_storage_that_takes_no_locks_is_pruned_in_two_phases() {
    use std::os::unix::fs::PermissionsExt as _;
    let environment = TestEnvironment::with_repository();
    let source = history(&environment, 3);
    environment
        .copal(["forget", "--keep-last", "1"])
        .run()
        .succeeds();
    let locks = Path::new(environment.repository()).join("locks");
    let set = |mode| {
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(&locks, permissions).unwrap();
    };
    set(0o500);
    age(&environment);
    let prune = environment.copal(["prune", "--json"]);
    let outcome = prune.bound_by_permissions().run();
    set(0o700);
    let stats = outcome.succeeds().says("can't be locked").json();
    assert_eq!(stats["two_phase"], true);
    assert!(stats["marked"]["packs"].as_u64().unwrap() > 0, "{stats:#}");
    restores(&environment, &source);
    environment.copal(["prune"]).run().succeeds();
    restores(&environment, &source);
}

#[test]
fn a_damaged_repository_is_repaired_as_far_as_can_be_and_says_what_is_lost() {
    let environment = TestEnvironment::with_repository();
    let source = history(&environment, 2);
    let index = Path::new(environment.repository()).join("index");
    std::fs::remove_dir_all(&index).unwrap();
    std::fs::create_dir(&index).unwrap();
    let text = environment
        .copal(["repair", "index"])
        .run()
        .succeeds()
        .text();
    assert!(text.contains("the index was repaired"), "{text}");
    restores(&environment, &source);

    // One pack has the contents that both share.
    let large = packs(&environment)
        .into_iter()
        .max_by_key(|pack| pack.metadata().unwrap().len());
    let pack = large.unwrap();
    let mut bytes = std::fs::read(&pack).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&pack, bytes).unwrap();
    let name = pack.file_name().unwrap().to_str().unwrap();
    let found = environment.copal(["check", "--read-data"]).run().exits(1);
    assert!(found.text().contains(name), "{}", found.text());
    let trial = environment.copal(["repair", "packs", name, "--dry-run"]);
    let text = trial.run().exits(3).text();
    assert!(text.contains("run it without --dry-run first"), "{text}");
    let copies = environment.make_directory("copies");
    let repair = environment.copal(["repair", "packs", name, "--json", "--copies"]);
    let report = repair.arg(&copies).run().exits(3).json();
    assert_eq!(report["lost"].as_array().unwrap().len(), 1, "{report:#}");
    assert!(copies.join(format!("pack-{name}")).exists());
    let counted = environment.copal(["stats", "--mode", "raw-data", "--json"]);
    let counted = counted.run().exits(3);
    assert_eq!(counted.json()["snapshots_count"], 2);
    let told: Value = serde_json::from_str(&counted.stderr).unwrap();
    assert_eq!(told["unreadable"].as_array().unwrap().len(), 1, "{told}");

    environment
        .refused(environment.copal(["prune"]), 1)
        .is("corrupt")
        .says("repair snapshots");
    let repair = |further: &str| {
        let further = copal_tests::run::words(further);
        environment
            .copal(["repair", "snapshots"])
            .args(further)
            .run()
    };
    let dry = repair("--dry-run --json").exits(3).json();
    let dry = dry["snapshots"].as_array().unwrap();
    assert!(
        dry.iter().all(|snapshot| snapshot["replaced_by"].is_null()),
        "{dry:#?}"
    );
    let lost: Vec<_> = dry
        .iter()
        .flat_map(|snapshot| snapshot["lost"].as_array().unwrap())
        .collect();
    let lost = lost[0]["path"].as_str().unwrap();
    let text = repair("--forget").exits(3).text();
    assert!(text.contains(&format!("LOST: {lost}")), "{text}");
    assert!(repair("").succeeds().text().contains("nothing is lost"));

    let snapshots = environment.snapshots();
    assert_eq!(snapshots.len(), 2);
    let repaired = snapshots
        .iter()
        .find(|snapshot| snapshot["tags"].to_string().contains("repaired"));
    let repaired = repaired.unwrap();
    assert!(
        repaired["tags"].to_string().contains("\"incomplete\""),
        "{repaired:#}"
    );
    assert!(!repaired["original"].is_null());
    let id = repaired["id"].as_str().unwrap();
    let manifest = environment.copal(["manifest", id]).run().succeeds().json();
    assert_eq!(manifest["complete"], false);
    assert_eq!(manifest["missing"][0]["path"], lost);
    environment.copal(["prune"]).run().succeeds();
    environment.copal(["check", "--read-data"]).run().succeeds();
    let target = environment.path("target");
    let restore = environment
        .copal(["restore", id, "--yes", "--to"])
        .arg(&target)
        .run();
    assert!(restore.stderr.contains(lost) || restore.text().contains(lost));
    if let Some(restic) = Restic::find(&environment) {
        restic.check();
        restic
            .command(["restore", id, "--target"])
            .arg(environment.path("theirs"))
            .run()
            .succeeds();
    }
}

#[test]
fn a_restore_whose_plugin_is_lost_says_how_to_go_on() {
    let environment = TestEnvironment::with_repository();
    history(&environment, 2);
    // All of the first backup, whose plugin is the second's as well.
    let packs = packs(&environment).into_iter();
    let first = packs.max_by_key(|pack| pack.metadata().unwrap().len());
    std::fs::remove_file(first.unwrap()).unwrap();
    let target = environment.path("target");
    environment
        .refused(environment.restore(&target, ""), 1)
        .is("snapshot")
        .says(".copal/plugin.wasm")
        .says("--plugin");
    let restored = environment.restore(&target, "--plugin files");
    restored.run().exits(3).says("cache/large");
    assert!(target.join("noise").exists());
    environment.copal(["repair", "index"]).run().exits(3);
    let stats = environment.copal(["stats", "--mode", "raw-data"]);
    stats.run().exits(3).says("files/cache/large");
}

#[test]
fn an_index_that_is_damaged_is_not_taken_for_all_that_it_names() {
    let environment = TestEnvironment::with_repository();
    history(&environment, 1);
    let index = Path::new(environment.repository()).join("index");
    let file = std::fs::read_dir(index).unwrap().next().unwrap().unwrap();
    std::fs::write(file.path(), "no index").unwrap();
    for words in [&["ls", "latest"][..], &["find", "noise"], &["stats"]] {
        environment
            .refused(environment.copal(words), 1)
            .is("corrupt")
            .says("copal repair index");
    }
}

/// `copal check` could not even begin, or would say no more.
#[test]
fn a_damaged_file_that_no_check_mends_has_advice_of_its_own() {
    for (folder, command, advice) in [
        ("config", "snapshots", "put back the file"),
        ("keys", "snapshots", "only another copy"),
        ("locks", "prune", "copal unlock --remove-all"),
        ("snapshots", "manifest", "copal forget"),
    ] {
        let environment = TestEnvironment::with_repository();
        let source = environment.make_directory("source");
        environment.backup("files", &source, "").run().succeeds();
        let mut place = Path::new(environment.repository()).join(folder);
        let id = "1".repeat(64);
        if folder == "locks" {
            std::fs::write(place.join(&id), [1; 200]).unwrap();
        } else {
            if folder != "config" {
                let file = std::fs::read_dir(&place).unwrap().next().unwrap();
                place = file.unwrap().path();
            }
            std::fs::write(&place, [1; 200]).unwrap();
        }
        let mut words = vec![command.to_owned()];
        if folder == "snapshots" {
            let id = place.file_name().unwrap().to_str().unwrap();
            words.push(id.to_owned());
        }
        environment
            .refused(environment.copal(words), 1)
            .says(advice);
    }
}

/// Its manifest can't say what it lacks, so its tag does.
#[test]
fn a_snapshot_that_has_lost_its_manifest_is_known_to_be_incomplete() {
    let environment = TestEnvironment::with_repository();
    let source = environment.make_directory("source");
    sample::simple(&source);
    environment.backup("files", &source, "").run().succeeds();
    // All contents lie in one pack, and the listings in another.
    let packs = packs(&environment).into_iter();
    let contents = packs.max_by_key(|pack| pack.metadata().unwrap().len());
    std::fs::remove_file(contents.unwrap()).unwrap();
    environment
        .refused(environment.copal(["manifest", "latest"]), 1)
        .says("copal check");
    environment.copal(["repair", "index"]).run().exits(3);
    let repair = environment.copal(["repair", "snapshots", "--forget"]);
    repair.run().exits(3);
    let snapshots = environment.snapshots();
    let tags = snapshots[0]["tags"].to_string();
    assert!(tags.contains("\"incomplete\""), "{tags}");
    let target = environment.path("target");
    let plan = environment.copal(["plan", "restore", "latest", "--to"]);
    let text = plan.arg(&target).run().succeeds().text();
    let all = format!("all of the snapshot to {}", target.display());
    assert!(text.contains(&all), "{text}");
    // What it would remove may be what was lost.
    environment.write("target/files/precious", "and nowhere else");
    let exact = environment.restore(&target, "--delete");
    environment.refused(exact, 1).says("--delete");
    let restored = environment.restore(&target, "--json").run().succeeds();
    let restored = restored.json();
    let findings = restored["findings"].to_string();
    assert!(
        findings.contains("copal.snapshot.incomplete"),
        "{restored:#}"
    );
}

#[test]
fn rewriting_leaves_out_what_is_asked_for_and_spares_what_is_copals_own() {
    let environment = TestEnvironment::with_repository();
    let source = history(&environment, 2);
    let before = environment.snapshots();
    let rewrite = |further: &str| {
        let further = copal_tests::run::words(further);
        environment
            .copal(["rewrite", "--json"])
            .args(further)
            .run()
            .succeeds()
            .json()
    };
    // These match the manifest and the plugin too.
    let excluded = "--exclude *.json --exclude *.wasm --exclude /files/cache";
    let told = rewrite(&format!("{excluded} --dry-run"));
    assert_eq!(ids(&environment.snapshots()), ids(&before));
    let done = rewrite(&format!("{excluded} --forget"));
    for (told, done) in told
        .as_array()
        .unwrap()
        .iter()
        .zip(done.as_array().unwrap())
    {
        assert_eq!(done["excluded"], told["excluded"]);
        assert_eq!(done["excluded"], serde_json::json!(["files/cache"]));
        // With what is in it.
        let within = std::fs::read_dir(source.join("cache")).unwrap().count() as u64;
        assert_eq!(done["excluded_entries"], 1 + within);
        let spared = done["spared"].to_string();
        assert!(
            spared.contains(".copal/manifest.json") && spared.contains(".copal/plugin.wasm"),
            "{done:#}"
        );
    }
    let after = environment.snapshots();
    assert_eq!(after.len(), 2);
    for (old, new) in before.iter().zip(&after) {
        assert_eq!(new["original"], old["id"]);
        assert_eq!(new["time"], old["time"]);
        assert_eq!(new["tags"], old["tags"]);
    }
    environment
        .copal(["prune", "--max-unused", "0"])
        .run()
        .succeeds();
    environment.copal(["check", "--read-data"]).run().succeeds();
    let target = environment.path("target");
    environment.restore(&target, "").run().succeeds();
    tree::assert_same_but(&source, &target, |path| path.starts_with("cache"));
    assert!(!target.join("cache").exists());
    if let Some(restic) = Restic::find(&environment) {
        restic.check();
    }

    // Meant or not, it is said what a restore lacks then.
    let own = environment
        .copal(["rewrite", "latest", "--exclude", "/.copal/plugin.wasm"])
        .run()
        .succeeds()
        .text();
    assert!(own.contains("a restore needs `--plugin`"), "{own}");
    let root = environment
        .copal(["rewrite", "latest", "--exclude", "/files", "--dry-run"])
        .run()
        .succeeds()
        .text();
    assert!(
        root.contains("the whole root `files` is left out"),
        "{root}"
    );
}

#[test]
fn tags_are_changed_and_copals_own_stay() {
    let environment = TestEnvironment::with_repository();
    history(&environment, 2);
    let before = environment.snapshots();
    let tag = |further: &str| {
        environment
            .copal(["tag"])
            .args(copal_tests::run::words(further))
    };
    let own = tag("--add plugin:acme/other").run();
    own.exits(2).says("is for Copal alone");
    tag("latest --add monthly,kept").run().succeeds();
    let tags = |at: usize| environment.snapshots()[at]["tags"].clone();
    assert_eq!(
        tags(1),
        serde_json::json!(["plugin:copal/files", "monthly", "kept"])
    );
    assert_eq!(tags(0), before[0]["tags"]);
    let told = tag("--set other --dry-run --json").run().succeeds().json();
    assert_eq!(told.as_array().unwrap().len(), 2);
    tag("--tag kept --set other").run().succeeds();
    assert_eq!(tags(1), serde_json::json!(["plugin:copal/files", "other"]));
    tag("--remove other").run().succeeds();
    let after = environment.snapshots();
    assert_eq!(after[1]["tags"], before[1]["tags"]);
    assert_eq!(after[1]["original"], before[1]["id"]);
    assert_eq!(after[1]["tree"], before[1]["tree"]);
    if let Some(restic) = Restic::find(&environment) {
        restic.check();
        restic.command(["tag", "--add", "theirs"]).run().succeeds();
        let text = restic
            .command(["snapshots", "--tag", "theirs"])
            .run()
            .succeeds()
            .text();
        assert!(text.contains("2 snapshots"), "{text}");
    }
}

#[test]
fn a_safety_snapshot_that_was_tagged_or_rewritten_can_still_be_rolled_back_to() {
    let environment = TestEnvironment::with_repository();
    let source = history(&environment, 1);
    let target = environment.make_directory("target");
    std::fs::write(target.join("before"), "what was there before").unwrap();
    std::fs::write(target.join("before.tmp"), "of no use").unwrap();
    environment.restore(&target, "--safety").run().succeeds();
    let before_it = |path: &Path| path.to_string_lossy().starts_with("before");
    tree::assert_same_but(&source, &target, before_it);
    let change = |arguments: &str| {
        let arguments = copal_tests::run::words(arguments);
        environment.copal(arguments).run().succeeds();
    };
    change("tag --add kept,both --remove both");
    change("rewrite --exclude *.tmp --forget");
    for snapshot in environment.snapshots() {
        let tags = snapshot["tags"].to_string();
        assert!(tags.contains("kept") && !tags.contains("both"), "{tags}");
    }
    environment.copal(["rollback", "--yes"]).run().succeeds();
    let left = std::fs::read_dir(&target).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["before"]);
}

#[test]
fn what_is_damaged_is_told_and_what_was_forgotten_is_so_whatever_the_prune_says() {
    let environment = TestEnvironment::with_repository();
    history(&environment, 3);
    let before = ids(&environment.snapshots());
    let forget = |further: &str| {
        let further = copal_tests::run::words(further);
        environment.copal(["forget"]).args(further).run()
    };
    let text = forget("--keep-last unlimited").succeeds().text();
    assert!(text.contains("0 snapshots forgotten"), "{text}");
    let text = forget("--keep-last -1 --dry-run").succeeds().text();
    assert!(text.contains("0 snapshots would be forgotten"), "{text}");
    let damaged = Path::new(environment.repository())
        .join("snapshots")
        .join(&before[0]);
    std::fs::write(&damaged, "not a snapshot").unwrap();
    forget("--keep-last 2").exits(3).says(&before[0]);
    let listed = environment.copal(["snapshots", "--json"]).run().exits(3);
    assert_eq!(listed.json().as_array().unwrap().len(), 2);
    let told: Value = serde_json::from_str(&listed.stderr).unwrap();
    assert!(
        told["unreadable"].to_string().contains(&before[0]),
        "{told}"
    );
    let outcome = forget("--keep-last 1 --prune --json").exits(1);
    let told = outcome.json();
    assert_eq!(told["forgotten"], serde_json::json!([before[1]]));
    assert_eq!(told["prune"], Value::Null);
    assert_eq!(told["unreadable"].as_array().unwrap().len(), 1);
    forget(&before[0]).succeeds();
    assert_eq!(ids(&environment.snapshots()), before[2..]);
}

/// restic asks by a signal whether the process that holds a lock still runs.
#[test]
fn restics_unlock_spares_a_copal_that_runs_and_removes_the_lock_of_one_that_was_killed() {
    let environment = TestEnvironment::with_repository();
    let Some(restic) = Restic::find(&environment) else {
        return;
    };
    let source = environment.make_directory("source");
    sample::simple(&source);
    let go = environment.path("go");
    let locks = || locks(&environment);
    let start = || held_backup(&environment, &source);
    let backup = start();
    restic.command(["unlock"]).run().succeeds();
    assert_eq!(locks(), 1, "restic takes a Copal that runs for gone");
    let text = environment.copal(["unlock"]).run().succeeds().text();
    assert!(text.contains("still held"), "{text}");
    std::fs::write(&go, "").unwrap();
    backup.wait().succeeds();
    assert_eq!(locks(), 0);

    std::fs::remove_file(&go).unwrap();
    for unlock in ["restic", "copal"] {
        let backup = start();
        backup.signal(rustix::process::Signal::KILL);
        backup.wait();
        let trial = environment.copal(["unlock", "--dry-run"]);
        let text = trial.run().succeeds().text();
        assert!(text.contains("\n1 locks would be removed"), "{text}");
        assert_eq!(locks(), 1);
        match unlock {
            "restic" => restic.command(["unlock"]).run().succeeds(),
            _ => environment.copal(["unlock"]).run().succeeds(),
        };
        assert_eq!(locks(), 0, "{unlock}");
        std::fs::write(&go, "").unwrap();
        environment.copal(["resume"]).run().succeeds();
        std::fs::remove_file(&go).unwrap();
    }
}
