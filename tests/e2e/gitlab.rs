//! GitLabs with real archives, bundles and repositories, moved as an operator would move them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::time::Duration;

use copal_tests::gitlab::{COMMIT, Gitlab, REPOSITORY, SECRETS};
use copal_tests::{Program, TestEnvironment, tree};
use rustix::process::Signal;

const VERSION: &str = "17.2.1-ee";
const OLD_GIT: (u32, u32) = (1000, 1000);
const NEW_GIT: (u32, u32) = (998, 997);

/// What the plans of these tests ask for.
const GRANTS: [&str; 15] = [
    "probe:docker inspect -f * *",
    "run:docker stop *",
    "run:docker start *",
    "probe:docker exec * id git",
    "probe:docker exec * cat *",
    "probe:docker exec * find * * * * -maxdepth 0 ! -user git",
    "run:docker exec * chown git * * * *",
    "probe:docker exec * gitlab-ctl status gitaly",
    "run:docker exec * gitlab-ctl * *",
    "run:docker exec * gitlab-backup create",
    "run:grep -rqF --include=*_gitlab_backup.tar backup_information.yml *",
    "run:docker exec * gitlab-backup restore BACKUP=* force=yes FORCE=yes GITLAB_ASSUME_YES=1",
    "run:chown * {root:backups}",
    "run:chown * {root:data}",
    "write:backups",
];

fn granted(program: Program) -> Program {
    program.args(GRANTS.iter().flat_map(|grant| ["--grant", grant]))
}

fn named(root: &str, path: &Path) -> String {
    format!("{root}={}", path.display())
}

/// A backup of the folder of archives of a GitLab in the container `old`.
fn backup(environment: &TestEnvironment, old: &Gitlab<'_>, further: &str) -> Program {
    let root = named("backups", &old.path("backups"));
    granted(
        environment
            .backup("gitlab", Path::new(&root), further)
            .args(["--set", "container=old"]),
    )
}

/// A migration into the folder of archives of the container `new`.
fn restore(environment: &TestEnvironment, new: &Gitlab<'_>, further: &str) -> Program {
    let root = named("backups", &new.path("backups"));
    granted(environment.restore(Path::new(&root), further).args([
        "--intent",
        "migrate",
        "--set",
        "container=new",
    ]))
}

/// A GitLab in use and a fresh one of other numbers, where nothing is missing.
fn pair(environment: &TestEnvironment) -> Option<(Gitlab<'_>, Gitlab<'_>)> {
    let old = Gitlab::install(environment, "old", VERSION, OLD_GIT)?;
    old.use_it();
    let new = Gitlab::install(environment, "new", VERSION, NEW_GIT)?;
    new.own("backups", 0o700);
    Some((old, new))
}

/// Sees that a path has this owner and mode.
#[track_caller]
fn is_of(path: &Path, git: (u32, u32), mode: u32) {
    let metadata = std::fs::symlink_metadata(path).unwrap();
    let found = (metadata.uid(), metadata.gid(), metadata.mode() & 0o7777);
    assert_eq!(
        found,
        (git.0, git.1, mode),
        "{}: {:o}",
        path.display(),
        found.2
    );
}

/// Sees that the new GitLab serves what the old one had.
#[track_caller]
fn serves_the_old(old: &Gitlab<'_>, new: &Gitlab<'_>) {
    let repository = new.path(&format!("live/repositories/{REPOSITORY}.git"));
    assert_eq!(new.clone_of(&repository), COMMIT);
    let database = std::fs::read_to_string(new.path("live/database.sql")).unwrap();
    assert!(database.starts_with("CREATE TABLE users"), "{database}");
    let picture = std::fs::metadata(new.path("live/uploads/-/picture.png")).unwrap();
    assert_eq!(picture.len(), 300_000);
    // Nothing of the old one was touched.
    assert!(old.path("staging/db/database.sql.gz").is_file());
}

/// The guide's way: a fresh GitLab of the same version, the archive in its folder, GitLab's own restore. The target is as `cp -R` and an earlier
/// attempt left it: folders of root's, and half an unpacked archive that git can't write to.
#[test]
fn a_first_migration_ends_with_a_gitlab_that_serves_its_repositories() {
    let environment = TestEnvironment::with_repository();
    let Some((old, new)) = pair(&environment) else {
        return;
    };
    old.set("timestamp", "1755221522");
    backup(&environment, &old, "--set create=true")
        .run()
        .succeeds();
    let name = format!("1755221522_2025_08_15_{VERSION}");
    let original = std::fs::read(old.archive(&name)).unwrap();

    chown(new.path("backups"), Some(0), Some(0)).unwrap();
    for leftover in ["db", "tmp/uploads.1755000000"] {
        std::fs::create_dir_all(new.path("backups").join(leftover)).unwrap();
    }
    std::fs::write(new.path("backups/db/database.sql.gz"), "half").unwrap();
    new.shell("find backups -mindepth 1 -exec touch -d '2 days ago' {} +")
        .succeeds();
    new.set("foreign", "/var/opt/gitlab/gitlab-rails/uploads\n");

    let outcome = restore(&environment, &new, "--set restore=true --json")
        .run()
        .succeeds();
    let said = outcome.text();
    for code in [
        "gitlab.staging.leftover",
        "gitlab.target.folders",
        "gitlab.secrets.agree",
        "gitlab.verify.archives",
    ] {
        assert!(said.contains(code), "{code} is not told in {said}");
    }
    assert!(said.contains(&format!("BACKUP={name}, without")), "{said}");
    let changes = new.changes();
    let changes: Vec<&str> = changes.iter().map(String::as_str).collect();
    assert_eq!(
        changes[..2],
        ["exec gitlab-ctl stop puma", "exec gitlab-ctl stop sidekiq"]
    );
    assert!(changes[2].starts_with("exec chown git "), "{changes:?}");
    assert_eq!(
        changes[3..],
        [
            &format!(
                "exec gitlab-backup restore BACKUP={name} force=yes FORCE=yes GITLAB_ASSUME_YES=1"
            ),
            "exec gitlab-ctl start sidekiq",
            "exec gitlab-ctl start puma",
        ]
    );
    assert!(
        std::fs::read(new.archive(&name)).unwrap() == original,
        "the archive is another"
    );
    is_of(&new.archive(&name), NEW_GIT, 0o600);
    let there: Vec<_> = std::fs::read_dir(new.path("backups")).unwrap().collect();
    assert_eq!(there.len(), 1, "{there:?}");
    is_of(
        &new.path("backups"),
        NEW_GIT,
        std::fs::metadata(old.path("backups")).unwrap().mode() & 0o7777,
    );
    serves_the_old(&old, &new);
}

#[test]
fn members_are_stored_once_and_can_be_had_alone() {
    let environment = TestEnvironment::with_repository();
    let Some((old, new)) = pair(&environment) else {
        return;
    };
    let first = old.pack(1_755_221_522);
    backup(&environment, &old, "").run().succeeds();
    // The same repositories and uploads an hour later, no longer where they were in the archive.
    std::fs::copy(
        old.path("staging/db/database.sql.gz"),
        old.path("staging/db/ci_database.sql.gz"),
    )
    .unwrap();
    let second = old.pack(1_755_225_122);
    let outcome = backup(&environment, &old, "--json").run().succeeds().json();
    let added = outcome["summary"]["data_added"].as_u64().unwrap();
    assert!(
        added < 100_000,
        "the picture of 300 KB was stored twice: {added}"
    );

    let bundle =
        format!("backups/{second}_gitlab_backup.tar.members/repositories/{REPOSITORY}/001.bundle");
    let dumped = environment
        .copal(["dump", "latest", &bundle])
        .run()
        .succeeds();
    let bundle = environment.path("one.bundle");
    std::fs::write(&bundle, dumped.stdout).unwrap();
    assert_eq!(old.clone_of(&bundle), COMMIT);

    restore(&environment, &new, "").run().succeeds();
    let there = std::fs::read_dir(new.path("backups")).unwrap();
    let there: Vec<_> = there.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(there, [format!("{second}_gitlab_backup.tar").as_str()]);
    assert_ne!(first, second);
    assert!(
        std::fs::read(new.archive(&second)).unwrap()
            == std::fs::read(old.archive(&second)).unwrap()
    );
}

/// An archive is read through once, unless something is to be told of it or the plugin's state is another.
#[test]
fn archives_that_have_not_changed_are_not_read_again() {
    let environment = TestEnvironment::with_repository();
    let Some((old, new)) = pair(&environment) else {
        return;
    };
    let saves = |further: &str| {
        let backup = backup(&environment, &old, &format!("{further} --json"));
        backup.run().succeeds().json()
    };
    let files = |outcome: &serde_json::Value| {
        let count = |key: &str| outcome["summary"][key].as_u64().unwrap();
        (count("files_changed"), count("files_unmodified"))
    };
    let archives = [old.pack(1_755_221_522), old.pack(1_755_225_122)];
    // What had only just changed when a backup began is read again by the next.
    std::thread::sleep(Duration::from_millis(2_100));
    let first = saves("--set archives=all");
    assert_eq!(files(&first), (0, 0));
    assert_eq!(
        environment.manifest()["silent_roots"],
        serde_json::json!(["backups"])
    );
    let again = saves("--set archives=all");
    assert_eq!(files(&again), (0, 2));
    assert_eq!(
        again["summary"]["directories_unmodified"], 1,
        "the archives and their members are all listed as they were"
    );
    restore(&environment, &new, "").run().succeeds();
    for archive in &archives {
        let stored = std::fs::read(new.archive(archive)).unwrap();
        assert!(stored == std::fs::read(old.archive(archive)).unwrap());
    }
    let member = format!(
        "backups/{}_gitlab_backup.tar.members/backup_information.yml",
        archives[0]
    );
    environment
        .copal(["dump", "latest", &member])
        .run()
        .succeeds();

    // The plan's state names the archives.
    assert_eq!(files(&saves("")), (1, 0));
    assert_eq!(files(&saves("")), (0, 1));
    old.shell("rm staging/packages.tar.gz").succeeds();
    old.pack(1_755_228_722);
    std::thread::sleep(Duration::from_millis(2_100));
    for _ in 0..2 {
        let told = saves("");
        assert_eq!(files(&told).1, 0);
        let findings = told["findings"].to_string();
        assert!(findings.contains("gitlab.archive.missing"), "{findings}");
    }
}

#[test]
fn an_archive_with_a_damaged_part_is_named_and_makes_the_snapshot_incomplete() {
    let environment = TestEnvironment::with_repository();
    let Some((old, _)) = pair(&environment) else {
        return;
    };
    let whole = old.pack(1_755_221_522);
    let damaged = old.pack(1_755_225_122);
    let mut bytes = std::fs::read(old.archive(&damaged)).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(old.archive(&damaged), bytes).unwrap();
    let outcome = backup(&environment, &old, "--set archives=all --json")
        .run()
        .exits(3)
        .json();
    let missing = outcome["missing"].to_string();
    assert!(
        missing.contains(&damaged) && missing.contains("uploads.tar.gz"),
        "{missing}"
    );
    assert!(!missing.contains(&whole), "{missing}");
}

#[test]
fn each_precondition_is_refused_before_anything_happens() {
    let environment = TestEnvironment::with_repository();
    let Some((old, new)) = pair(&environment) else {
        return;
    };
    old.pack(1_755_221_522);
    backup(&environment, &old, "").run().succeeds();
    let refuses = |code: &str| {
        let before = tree::read(&new.path(""));
        let restore = restore(&environment, &new, "--set restore=true");
        environment.refused(restore, 1).is("refused").says(code);
        assert!(
            tree::read(&new.path("")) == before,
            "{code}: the target was changed"
        );
    };
    for (file, wrong, right, code) in [
        (
            "version",
            "17.2.2-ee",
            Some(VERSION),
            "gitlab.target.version",
        ),
        ("version", "17.2.1", Some(VERSION), "gitlab.target.edition"),
        (
            "secrets.json",
            &SECRETS.replace("3f8a", "other"),
            Some(SECRETS),
            "gitlab.secrets.differ",
        ),
        ("gitaly-down", "", None, "gitlab.target.gitaly"),
        ("stopped", "", None, "gitlab.target.stopped"),
        (
            "backups/backup_information.yml",
            ":gitlab_version: 1.0.0\n:skipped: tar\n",
            None,
            "gitlab.staging.backup",
        ),
    ] {
        new.set(file, wrong);
        refuses(code);
        match right {
            Some(right) => new.set(file, right),
            None => std::fs::remove_file(new.path(file)).unwrap(),
        }
    }
    assert!(new.changes().is_empty(), "{:?}", new.changes());

    old.pack(1_755_225_122);
    backup(&environment, &old, "--set archives=all")
        .run()
        .succeeds();
    refuses("gitlab.restore.choice");
    restore(
        &environment,
        &new,
        "--set restore=true --set archives=newest",
    )
    .run()
    .succeeds();
    serves_the_old(&old, &new);
}

#[test]
fn an_archive_without_its_whole_database_makes_the_snapshot_incomplete() {
    let environment = TestEnvironment::with_repository();
    let Some((old, _)) = pair(&environment) else {
        return;
    };
    old.shell("echo 'CREATE TABLE' | gzip > staging/db/database.sql.gz")
        .succeeds();
    let cut_off = old.pack(1_755_221_522);
    let outcome = backup(&environment, &old, "--json").run().exits(3).json();
    let missing = outcome["missing"].to_string();
    assert!(
        missing.contains(&cut_off) && missing.contains("gitlab.archive.database"),
        "{missing}"
    );
}

#[test]
fn an_archive_that_gitlab_puts_elsewhere_fails_the_backup() {
    let environment = TestEnvironment::with_repository();
    let Some((old, _)) = pair(&environment) else {
        return;
    };
    old.set("timestamp", "1755221522");
    for (folder, beside, said) in [
        ("empty", None, "grep"),
        (
            "other",
            Some("notes.txt"),
            "there is no new *_gitlab_backup.tar",
        ),
    ] {
        std::fs::create_dir(old.path(folder)).unwrap();
        if let Some(beside) = beside {
            std::fs::write(old.path(folder).join(beside), "call Bob").unwrap();
        }
        let root = named("backups", &old.path(folder));
        let further = "--set container=old --set create=true";
        let backup = granted(environment.backup("gitlab", Path::new(&root), further));
        backup.run().exits(1).says(said);
    }
    assert!(environment.snapshots().is_empty());
}

/// The folder above that of the backups, and a backup that runs: what looks like leftovers there is in use.
#[test]
fn nothing_that_is_in_use_is_taken_for_leftovers() {
    let environment = TestEnvironment::with_repository();
    let Some((old, new)) = pair(&environment) else {
        return;
    };
    old.pack(1_755_221_522);
    backup(&environment, &old, "").run().succeeds();
    volume(&new);
    std::fs::write(new.path("backups/uploads.tar.gz"), "half").unwrap();
    let before = tree::read(&new.path(""));
    for (folder, code) in [
        ("volume", "gitlab.staging.live"),
        ("volume/git-data", "gitlab.staging.live"),
        ("backups", "gitlab.staging.recent"),
    ] {
        let target = named("backups", &new.path(folder));
        let restore =
            environment.restore(Path::new(&target), "--intent migrate --set container=new");
        environment
            .refused(granted(restore), 1)
            .is("refused")
            .says(code);
        assert!(tree::read(&new.path("")) == before, "{folder} was changed");
    }
}

#[test]
fn a_target_whose_git_is_unknown_is_refused() {
    let environment = TestEnvironment::with_repository();
    let Some((old, _)) = pair(&environment) else {
        return;
    };
    old.pack(1_755_221_522);
    backup(&environment, &old, "").run().succeeds();
    let target = environment.path("nowhere");
    let restore = environment.restore(&target, "--intent migrate");
    environment
        .refused(restore, 1)
        .is("refused")
        .says("gitlab.target.git");
    let restore = environment.restore(&target, "--intent migrate --set git=1234:1235");
    granted(restore).run().succeeds();
    let archive = std::fs::read_dir(&target).unwrap().next().unwrap().unwrap();
    is_of(&archive.path(), (1234, 1235), 0o600);
    is_of(
        &target,
        (1234, 1235),
        std::fs::metadata(old.path("backups")).unwrap().mode() & 0o7777,
    );
}

/// The archive's author chowned, unpacked, packed and chowned again; the nested archives kept root's owners all the same.
#[test]
fn owners_within_an_archive_are_the_targets_on_request() {
    let environment = TestEnvironment::with_repository();
    let Some((old, new)) = pair(&environment) else {
        return;
    };
    let name = old.pack(1_755_221_522);
    backup(&environment, &old, "").run().succeeds();
    restore(
        &environment,
        &new,
        "--set normalise=true --set restore=true",
    )
    .run()
    .succeeds();
    let list = |of: &Gitlab<'_>, nested: &str| {
        let archive = of.archive(&name);
        let list = format!(
            "tar --numeric-owner -tvf {archive} && tar -xOf {archive} {nested} | tar --numeric-owner -tzvf -",
            archive = archive.display()
        );
        of.shell(&list).succeeds().text()
    };
    let (before, after) = (list(&old, "uploads.tar.gz"), list(&new, "uploads.tar.gz"));
    assert!(
        before.contains(" 0/0 ") && before.contains(" 1000/1000 "),
        "{before}"
    );
    assert!(
        after.lines().all(|line| line.contains(" 998/997 ")),
        "{after}"
    );
    assert_eq!(after.lines().count(), before.lines().count());
    serves_the_old(&old, &new);
}

/// A GitLab that is killed off in the middle of its own restore: its parts come back, and the restore can be run again.
#[test]
fn what_a_killed_restore_stopped_is_started_by_resume() {
    let environment = TestEnvironment::with_repository();
    let Some((old, new)) = pair(&environment) else {
        return;
    };
    old.pack(1_755_221_522);
    backup(&environment, &old, "").run().succeeds();
    new.set("slow", "");
    let running = restore(&environment, &new, "--set restore=true").start();
    wait_for(&new.path("waiting"));
    running.signal(Signal::KILL);
    drop(running);
    assert!(!new.changes().iter().any(|call| call.contains("start")));

    std::fs::remove_file(new.path("slow")).unwrap();
    environment.copal(["resume"]).run().succeeds();
    let changes = new.changes();
    assert_eq!(
        changes[changes.len() - 2..],
        [
            "exec gitlab-ctl start sidekiq",
            "exec gitlab-ctl start puma"
        ]
    );
    restore(&environment, &new, "--set restore=true")
        .run()
        .succeeds();
    serves_the_old(&old, &new);
}

fn wait_for(path: &Path) {
    for _ in 0..2_000 {
        if path.exists() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    panic!("{} has not come", path.display());
}

/// A data volume of the Omnibus image, in use, in the folder `volume` of a container.
fn volume(gitlab: &Gitlab<'_>) {
    let repositories = gitlab.path("volume/git-data/repositories");
    let repository = repositories.join(format!("{REPOSITORY}.git"));
    std::fs::create_dir_all(repository.parent().unwrap()).unwrap();
    gitlab.repository(&repository);
    let pool = repositories.join("@pools/aa/bb/pool.git");
    std::fs::create_dir_all(pool.parent().unwrap()).unwrap();
    // A fork: its objects lie in the pool.
    let fork = format!(
        "set -e; git clone -q --bare {0} {1}; rm -rf {0}/objects/??; echo ../../../../../@pools/aa/bb/pool.git/objects > {0}/objects/info/alternates",
        repository.display(),
        pool.display()
    );
    gitlab.shell(&fork).succeeds();
    for (path, content) in [
        (
            "git-data/repositories/.gitaly-metadata",
            r#"{"gitaly_filesystem_id":"old"}"#,
        ),
        ("git-data/repositories/+gitaly/cache/x", "cached"),
        ("gitlab-rails/VERSION", VERSION),
        ("gitlab-rails/shared/lfs-objects/aa/bb/cc", "large"),
        ("gitlab-rails/tmp/x", "temporary"),
        ("backups/x_gitlab_backup.tar", "an archive"),
    ] {
        let path = gitlab.path("volume").join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    let (uid, gid) = gitlab.git;
    let own = format!(
        "cd volume && chown -R {uid}:{gid} git-data gitlab-rails/shared && chmod -R ug+rX,o-rwx git-data/repositories && find git-data/repositories -type d -exec chmod 2770 {{}} +"
    );
    gitlab.shell(&own).succeeds();
}

fn backup_volume(environment: &TestEnvironment, old: &Gitlab<'_>) -> Program {
    let root = named("data", &old.path("volume"));
    granted(environment.backup("gitlab", Path::new(&root), "--set container=old"))
}

fn restore_volume(environment: &TestEnvironment, new: &Gitlab<'_>, further: &str) -> Program {
    let root = named("data", &new.path("volume"));
    granted(environment.restore(Path::new(&root), further).args([
        "--intent",
        "migrate",
        "--set",
        "container=new",
    ]))
}

#[test]
fn a_data_volume_migrates_to_a_git_of_other_numbers() {
    let environment = TestEnvironment::with_repository();
    let Some((old, new)) = pair(&environment) else {
        return;
    };
    volume(&old);
    backup_volume(&environment, &old).run().succeeds();
    assert_eq!(old.changes(), ["stop", "start"]);

    // A fresh GitLab, started once: its Gitaly has marked its own storage.
    std::fs::create_dir_all(new.path("volume/git-data/repositories")).unwrap();
    std::fs::create_dir_all(new.path("volume/gitlab-rails")).unwrap();
    let mark = new.path("volume/git-data/repositories/.gitaly-metadata");
    std::fs::write(&mark, "new").unwrap();
    let outcome = restore_volume(&environment, &new, "--json")
        .run()
        .succeeds();
    assert!(
        outcome.text().contains("gitlab.verify.volume-whole"),
        "{}",
        outcome.text()
    );
    assert_eq!(new.changes(), ["stop"], "GitLab stays stopped");

    let repositories = new.path("volume/git-data/repositories");
    let repository = repositories.join(format!("{REPOSITORY}.git"));
    assert_eq!(
        std::fs::read_to_string(mark).unwrap(),
        "new",
        "the storage keeps its own mark"
    );
    assert!(!repositories.join("+gitaly/cache/x").exists());
    assert!(!new.path("volume/gitlab-rails/tmp/x").exists());
    assert!(!new.path("volume/backups/x_gitlab_backup.tar").exists());
    for folder in [&repositories, &repository, &repository.join("refs")] {
        is_of(folder, NEW_GIT, 0o2770);
    }
    is_of(&repository.join("HEAD"), NEW_GIT, 0o660);
    let lfs = new.path("volume/gitlab-rails/shared/lfs-objects/aa/bb/cc");
    is_of(
        &lfs,
        NEW_GIT,
        std::fs::metadata(&lfs).unwrap().permissions().mode() & 0o7777,
    );
    // The fork needs its pool.
    assert_eq!(new.clone_of(&repository), COMMIT);
}

#[test]
fn each_precondition_of_a_volume_is_refused_before_anything_happens() {
    let environment = TestEnvironment::with_repository();
    let Some((old, new)) = pair(&environment) else {
        return;
    };
    volume(&old);
    let root = named("data", &old.path("volume"));
    let live = environment.backup("gitlab", Path::new(&root), "");
    environment
        .refused(live, 1)
        .is("refused")
        .says("gitlab.running");
    backup_volume(&environment, &old).run().succeeds();

    new.set("version", "17.3.0-ee");
    let restore = restore_volume(&environment, &new, "");
    environment
        .refused(restore, 1)
        .is("refused")
        .says("gitlab.target.version");
    new.set("version", VERSION);
    volume(&new);
    let before = tree::read(&new.path("volume"));
    let restore = restore_volume(&environment, &new, "");
    environment
        .refused(restore, 1)
        .is("refused")
        .says("gitlab.target.used");
    assert!(tree::read(&new.path("volume")) == before);
    let live = environment.restore(
        Path::new(&named("data", &new.path("volume"))),
        "--intent recover",
    );
    environment
        .refused(live, 1)
        .is("refused")
        .says("gitlab.target.running");
    assert!(new.changes().is_empty());
}

/// The moment after `docker stop`: whatever kills the backup, GitLab comes back.
#[test]
fn what_a_killed_backup_stopped_is_started_by_resume() {
    let environment = TestEnvironment::with_repository();
    let Some((old, _)) = pair(&environment) else {
        return;
    };
    volume(&old);
    old.set("slow", "");
    let running = backup_volume(&environment, &old).start();
    wait_for(&old.path("waiting"));
    running.signal(Signal::KILL);
    drop(running);
    assert!(old.path("stopped").exists());
    std::fs::remove_file(old.path("slow")).unwrap();
    environment.copal(["resume"]).run().succeeds();
    assert!(!old.path("stopped").exists());
    assert!(environment.snapshots().is_empty());
    backup_volume(&environment, &old).run().succeeds();
}

#[test]
fn folders_are_recognised_and_the_reasons_given() {
    let environment = TestEnvironment::new();
    let Some((old, _)) = pair(&environment) else {
        return;
    };
    old.pack(1_755_221_522);
    volume(&old);
    for (folder, root) in [("backups", "backups"), ("volume", "data")] {
        let found = environment
            .copal(["detect", "--json"])
            .arg(old.path(folder))
            .run()
            .succeeds()
            .json();
        assert_eq!(found[0]["plugin"], "gitlab", "{found:#}");
        assert_eq!(
            (&found[0]["root"], &found[0]["version"]),
            (&root.into(), &VERSION.into())
        );
    }
}
