//! Plans of restores of archives: what refuses them, whose they become, and GitLab's own restore.

use std::io::Read;

use copal_sdk::testing::{FakeProbe, MemoryTree};
use copal_sdk::{Kind, Tree};

use crate::archives::{added, gzip, remade};
use crate::support::*;

/// A fresh folder of the user git.
fn fresh() -> MemoryTree {
    MemoryTree::new("backups").node(node("", Kind::Directory, 0o700, 998, 997), "")
}

/// A restore of the sample of GitLab 13.0.6 into a container of the same.
fn restoring(json: &str) -> Restoring {
    let probe = omnibus("13.0.6");
    let facts = backup(one(OLD_NAME, OLD), &probe, r#"{"container":"gl"}"#).unwrap();
    Restoring::new(one(OLD_NAME, OLD), fresh())
        .with(json)
        .asking(probe)
        .facts(facts)
}

#[test]
fn an_archive_comes_back_as_it_was_for_the_targets_git() {
    let mut restoring = restoring(r#"{"container":"gl"}"#);
    // The host lists the members beside the archive.
    restoring.snapshot[0] = restoring.snapshot[0].clone().file(
        &format!("{}.members/db/database.sql.gz", file(OLD_NAME)),
        "x",
    );
    // What another GitLab was interrupted at is none of this one's.
    restoring.snapshot[0] = restoring.snapshot[0]
        .clone()
        .file("db/database.sql.gz", "x");
    let plan = restoring.plan();
    assert!(errors(&plan.findings).is_empty(), "{:#?}", plan.findings);
    finding(&plan.findings, "gitlab.secrets.agree");
    let name = finding(&plan.findings, "gitlab.backup.name");
    assert!(
        name.message
            .contains("BACKUP=1593450065_2020_06_29_13.0.6,")
    );
    assert!(name.remedy.as_ref().unwrap().contains(
        "docker exec gl gitlab-backup restore BACKUP=1593450065_2020_06_29_13.0.6 force=yes"
    ));
    assert!(plan.before.is_empty());
    assert_eq!(words(&plan.after), ["chown 998:997 {root:backups}"]);

    let placed = restoring.placed();
    assert_eq!(placed.paths(), [file(OLD_NAME)]);
    assert_eq!(placed.read_all(&file(OLD_NAME), 1 << 20).unwrap(), OLD);
    let entry = placed.stat(&file(OLD_NAME)).unwrap().unwrap();
    assert_eq!(
        (entry.mode, entry.owner.uid, entry.owner.gid),
        (0o600, 998, 997)
    );
}

#[test]
fn gitlabs_own_restore_runs_without_questions_between_stop_and_start() {
    let plan = restoring(r#"{"container":"gl","restore":true}"#).plan();
    assert!(errors(&plan.findings).is_empty(), "{:#?}", plan.findings);
    assert_eq!(
        words(&plan.before),
        [
            "docker exec gl gitlab-ctl stop puma",
            "docker exec gl gitlab-ctl stop sidekiq"
        ]
    );
    assert_eq!(
        undo(&plan.before),
        [
            "docker exec gl gitlab-ctl start puma",
            "docker exec gl gitlab-ctl start sidekiq"
        ]
    );
    assert_eq!(
        words(&plan.after),
        [
            "chown 998:997 {root:backups}",
            "docker exec gl gitlab-backup restore BACKUP=1593450065_2020_06_29_13.0.6 force=yes FORCE=yes GITLAB_ASSUME_YES=1"
        ]
    );
    assert!(plan.after[1].capture);
}

#[test]
fn sameersbns_image_is_asked_in_its_own_way() {
    let state = ["docker", "inspect", "-f", "{{{{.State.Running}}}}", "gl"];
    let environment = ["docker", "inspect", "-f", "{{{{json .Config.Env}}}}", "gl"];
    let probe = FakeProbe::new()
        .answer(state, 0, "true")
        .answer(environment, 0, r#"["GITLAB_SECRETS_DB_KEY_BASE=hush"]"#)
        .answer(
            ["docker", "exec", "gl", "id", "git"],
            0,
            "uid=1000(git) gid=1000(git)",
        )
        .answer(
            ["docker", "exec", "gl", "cat", "/home/git/gitlab/VERSION"],
            0,
            "13.0.6",
        )
        .answer(
            ["docker", "exec", "gl", "supervisorctl", "status", "gitaly"],
            0,
            "gitaly RUNNING pid 9",
        )
        .answer(foreign("/home/git/data/repositories /home/git/data/uploads /home/git/data/shared /home/git/data/builds").split(' '), 0, "");
    let json = r#"{"container":"gl","installation":"sameersbn","restore":true}"#;
    let facts = backup(one(OLD_NAME, OLD), &probe, json).unwrap();
    let plan = Restoring::new(one(OLD_NAME, OLD), fresh())
        .with(json)
        .asking(probe)
        .facts(facts)
        .plan();
    assert!(errors(&plan.findings).is_empty(), "{:#?}", plan.findings);
    finding(&plan.findings, "gitlab.secrets.agree");
    assert_eq!(
        words(&plan.before)[0],
        "docker exec gl supervisorctl stop puma"
    );
    assert!(words(&plan.after)[1].starts_with("docker exec --user git gl bundle exec rake gitlab:backup:restore RAILS_ENV=production BACKUP="));
}

#[test]
fn each_precondition_is_refused_for_its_own_reason() {
    let json = r#"{"container":"gl","restore":true}"#;
    let state = ["docker", "inspect", "-f", "{{{{.State.Running}}}}", "gl"];
    let with_first = |argv: &[&str], code: i32, stdout: &str| {
        // The first answer counts, so it goes before those where all is well.
        let first = FakeProbe::new().answer(argv.iter().copied(), code, stdout);
        Both(first, omnibus("13.0.6"))
    };
    let version = [
        "docker",
        "exec",
        "gl",
        "cat",
        "/opt/gitlab/embedded/service/gitlab-rails/VERSION",
    ];
    let gitaly = ["docker", "exec", "gl", "gitlab-ctl", "status", "gitaly"];
    let secrets = [
        "docker",
        "exec",
        "gl",
        "cat",
        "/etc/gitlab/gitlab-secrets.json",
    ];
    let other = r#"{"gitlab_rails":{"db_key_base":"another","otp_key_base":"hush too"}}"#;
    for (probe, code) in [
        (with_first(&state, 0, "false"), "gitlab.target.stopped"),
        (with_first(&version, 0, "13.0.7"), "gitlab.target.version"),
        (
            with_first(&version, 0, "13.0.6-ee"),
            "gitlab.target.edition",
        ),
        (
            with_first(&gitaly, 1, "down: gitaly: 3s"),
            "gitlab.target.gitaly",
        ),
        (with_first(&secrets, 0, other), "gitlab.secrets.differ"),
    ] {
        let plan = restoring(json).plan_asking(&probe);
        assert_eq!(errors(&plan.findings), [code]);
    }

    let several = Restoring {
        snapshot: vec![backups()],
        ..restoring(json)
    };
    assert!(errors(&several.plan().findings).contains(&"gitlab.restore.choice"));
    let newest =
        r#"{"container":"gl","restore":true,"archives":"newest","target_version":"15.1.0"}"#;
    assert!(errors(&several.with(newest).plan().findings).is_empty());

    let root = Restoring {
        targets: vec![MemoryTree::new("backups").node(node("", Kind::Directory, 0o755, 0, 0), "")],
        ..restoring("{}")
    };
    assert_eq!(errors(&root.plan().findings), ["gitlab.target.git"]);

    let none = Restoring {
        snapshot: vec![MemoryTree::new("backups")],
        ..restoring("{}")
    };
    assert_eq!(errors(&none.plan().findings), ["gitlab.archives.none"]);

    let damaged = Restoring {
        snapshot: vec![one(OLD_NAME, &OLD[..700])],
        ..restoring("{}")
    };
    assert_eq!(errors(&damaged.plan().findings), ["gitlab.archive.damaged"]);
}

/// Refuses the commands that begin so, and asks another probe all else.
struct Without(Vec<String>, FakeProbe);

impl copal_sdk::Probe for Without {
    fn run(&self, command: &copal_sdk::Command) -> Result<copal_sdk::Output, copal_sdk::Failure> {
        match command.argv.starts_with(&self.0) {
            true => FakeProbe::new().run(command),
            false => self.1.run(command),
        }
    }
}

#[test]
fn what_cannot_be_seen_refuses_gitlabs_own_restore_unless_it_is_answered_for() {
    let version = "docker exec gl cat /opt/gitlab/embedded/service/gitlab-rails/VERSION";
    let secrets = "docker exec gl cat /etc/gitlab/gitlab-secrets.json";
    let known = r#""target_version":"13.0.6""#;
    let checked = r#""target_checked":true"#;
    for (unseen, code, answer) in [
        (version, "gitlab.target.unknown-version", known),
        (secrets, "gitlab.secrets.unknown", checked),
        (
            "docker exec gl gitlab-ctl status",
            "gitlab.target.gitaly",
            checked,
        ),
        (
            "docker exec gl find",
            "gitlab.target.folders-unseen",
            checked,
        ),
    ] {
        let words = unseen.split(' ').map(str::to_owned).collect();
        let probe = Without(words, omnibus("13.0.6"));
        let errors = |json: &str| {
            let plan = restoring(json).plan_asking(&probe);
            errors(&plan.findings).join(" ")
        };
        assert_eq!(errors(r#"{"container":"gl","restore":true}"#), code);
        assert_eq!(errors(r#"{"container":"gl"}"#), "", "{code}");
        let answered = format!(r#"{{"container":"gl","restore":true,{answer}}}"#);
        assert_eq!(errors(&answered), "", "{code}");
    }
    let failing = FakeProbe::new().answer(foreign(FOLDERS).split(' '), 1, "");
    let plan = restoring(r#"{"container":"gl","restore":true}"#)
        .plan_asking(&Both(failing, omnibus("13.0.6")));
    assert_eq!(errors(&plan.findings), ["gitlab.target.folders-unseen"]);
}

/// Two probes of which the first is asked first.
pub(crate) struct Both(FakeProbe, FakeProbe);

impl copal_sdk::Probe for Both {
    fn run(&self, command: &copal_sdk::Command) -> Result<copal_sdk::Output, copal_sdk::Failure> {
        self.0.run(command).or_else(|_| self.1.run(command))
    }
}

/// A folder in which these lie: directories by a slash at their end, all changed `age` seconds ago.
fn left(age: i64, paths: &[&str]) -> MemoryTree {
    let mut target = fresh();
    for path in paths {
        let kind = match path.ends_with('/') {
            true => Kind::Directory,
            false => Kind::File,
        };
        let mut entry = node(path.trim_end_matches('/'), kind, 0o700, 998, 997);
        entry.modified.seconds -= age;
        target = target.node(entry, "");
    }
    target
}

fn into(target: MemoryTree) -> copal_sdk::RestorePlan {
    let restoring = restoring(r#"{"container":"gl"}"#);
    Restoring {
        targets: vec![target],
        ..restoring
    }
    .plan()
}

#[test]
fn leftovers_of_an_interrupted_restore_are_removed_and_nothing_else() {
    let target = left(
        3_600,
        &[
            "db/",
            "db/database.sql.gz",
            "repositories/",
            "repositories/@hashed/",
            "repositories/@hashed/aa.bundle",
            "tmp/",
            "tmp/uploads.1/",
            "tmp/uploads.1/a",
            "uploads.tar.gz",
            "mine.txt",
            &file(NEW_NAME),
        ],
    );
    let plan = into(target);
    assert!(errors(&plan.findings).is_empty(), "{:#?}", plan.findings);
    finding(&plan.findings, "gitlab.staging.leftover");
    assert!(plan.before.is_empty());
    assert_eq!(
        words(&plan.after),
        [
            "remove db",
            "remove repositories",
            "remove tmp",
            "remove uploads.tar.gz",
            "chown 998:997 {root:backups}"
        ]
    );
}

#[test]
fn live_data_and_a_backup_that_runs_are_refused_and_not_removed() {
    let volume = ["repositories/", "shared/", "tmp/"];
    let packed = ["git-data/", "git-data/repositories/", "gitlab-rails/"];
    let old = 1_000_000;
    for (age, paths, code) in [
        (old, &volume[..], "gitlab.staging.live"),
        (old, &packed, "gitlab.staging.live"),
        (
            old,
            &["repositories/", "repositories/.gitaly-metadata"],
            "gitlab.staging.live",
        ),
        (
            old,
            &["repositories/", "repositories/@pools/"],
            "gitlab.staging.live",
        ),
        (
            old,
            &[
                "repositories/",
                "repositories/@hashed/",
                "repositories/@hashed/aa.git/",
                "repositories/@hashed/aa.git/HEAD",
                "repositories/@hashed/aa.git/objects/",
            ],
            "gitlab.staging.live",
        ),
        (3_599, &["uploads.tar.gz"], "gitlab.staging.recent"),
        (
            3_599,
            &["db/", "db/database.sql.gz"],
            "gitlab.staging.recent",
        ),
    ] {
        let plan = into(left(age, paths));
        assert_eq!(errors(&plan.findings), [code], "{paths:?}");
        let removed = [words(&plan.before), words(&plan.after)].concat();
        let removed = removed.iter().any(|step| step.starts_with("remove"));
        assert!(!removed, "{paths:?}: {plan:?}");
    }
}

#[test]
fn more_leftovers_than_can_be_looked_through_are_refused() {
    let many: Vec<String> = (0..20_001).map(|number| format!("db/{number}")).collect();
    let mut paths = vec!["db/"];
    paths.extend(many.iter().map(String::as_str));
    let plan = into(left(1_000_000, &paths));
    assert_eq!(errors(&plan.findings), ["gitlab.staging.unseen"]);
}

#[test]
fn a_backup_that_was_never_packed_is_no_leftover() {
    let target = fresh().file("db/database.sql.gz", "x").file(
        "backup_information.yml",
        ":gitlab_version: 13.0.6\n:skipped: tar\n",
    );
    let plan = Restoring {
        targets: vec![target],
        ..restoring(r#"{"container":"gl"}"#)
    }
    .plan();
    assert_eq!(errors(&plan.findings), ["gitlab.staging.backup"]);
    assert!(plan.before.is_empty());
}

#[test]
fn folders_that_are_not_gits_are_given_to_it_before_gitlab_restores() {
    let found = "/var/opt/gitlab/gitlab-rails/uploads\n";
    let first = FakeProbe::new().answer(foreign(FOLDERS).split(' '), 0, found);
    let plan = restoring(r#"{"container":"gl","restore":true}"#)
        .plan_asking(&Both(first, omnibus("13.0.6")));
    finding(&plan.findings, "gitlab.target.folders");
    assert_eq!(words(&plan.before).len(), 2, "the stops");
    let after = words(&plan.after);
    assert_eq!(after[1], format!("docker exec gl chown git {FOLDERS}"));
    assert!(
        after[2].starts_with("docker exec gl gitlab-backup restore "),
        "{after:?}"
    );
}

/// The path of a repository's hooks.
const HOOKS: &str = "repositories/@hashed/aa/bb/cc/custom_hooks.tar";

/// The sample with owners that are root's, with hooks, and with a user's own archive among the uploads.
fn roots_archive() -> Vec<u8> {
    let hooks = archive_of(&[("custom_hooks/update", b"#!/bin/sh\n")]);
    let uploads = archive_of(&[("mine.tar", &hooks), ("a.txt", &[b'x'; 5_000])]);
    let archive = remade(OLD, |path, content| match path {
        "uploads.tar.gz" => Some(gzip(&uploads)),
        _ => Some(content),
    });
    added(&archive, HOOKS, &hooks)
}

fn archive_of(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        builder.append_data(&mut header, path, *content).unwrap();
    }
    builder.into_inner().unwrap()
}

fn owners(archive: &[u8]) -> Vec<(String, u64, u64)> {
    let mut archive = tar::Archive::new(archive);
    let entries = archive.entries().unwrap().map(Result::unwrap);
    entries
        .map(|entry| {
            let header = entry.header();
            let path = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
            (path, header.uid().unwrap(), header.gid().unwrap())
        })
        .collect()
}

fn member(archive: &[u8], path: &str) -> Vec<u8> {
    let mut archive = tar::Archive::new(archive);
    let mut entries = archive.entries().unwrap().map(Result::unwrap);
    let mut entry = entries
        .find(|entry| entry.path_bytes().as_ref() == path.as_bytes())
        .unwrap();
    let mut content = Vec::new();
    entry.read_to_end(&mut content).unwrap();
    content
}

fn gunzip(bytes: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    flate2::read::GzDecoder::new(bytes)
        .read_to_end(&mut content)
        .unwrap();
    content
}

#[test]
fn owners_within_change_on_request_and_nothing_else() {
    let original = roots_archive();
    let restoring = Restoring {
        snapshot: vec![one(OLD_NAME, &original)],
        ..restoring(r#"{"container":"gl","normalise":true}"#)
    };
    assert!(errors(&restoring.plan().findings).is_empty());
    let placed = restoring
        .placed()
        .read_all(&file(OLD_NAME), 1 << 20)
        .unwrap();
    assert_ne!(placed, original);
    let paths = |archive: &[u8]| -> Vec<String> {
        owners(archive).into_iter().map(|(path, ..)| path).collect()
    };
    assert_eq!(paths(&placed), paths(&original));
    assert!(
        owners(&placed)
            .iter()
            .all(|(_, uid, gid)| (*uid, *gid) == (998, 997))
    );

    let (before, after) = (
        gunzip(&member(&original, "uploads.tar.gz")),
        gunzip(&member(&placed, "uploads.tar.gz")),
    );
    assert!(
        owners(&after)
            .iter()
            .all(|(_, uid, gid)| (*uid, *gid) == (998, 997))
    );
    let hooks = member(&placed, HOOKS);
    assert_eq!(
        owners(&hooks),
        [("custom_hooks/update".to_owned(), 998, 997)]
    );
    assert_eq!(member(&after, "a.txt"), [b'x'; 5_000]);
    assert_eq!(
        member(&after, "mine.tar"),
        member(&before, "mine.tar"),
        "a user's own archive is content"
    );
    assert_eq!(
        member(&placed, "db/database.sql.gz"),
        member(&original, "db/database.sql.gz")
    );
}

#[test]
fn an_archive_in_it_that_cannot_be_rewritten_refuses_the_restore() {
    let damaged = remade(OLD, |path, content| match path {
        "uploads.tar.gz" => Some(b"not compressed".to_vec()),
        _ => Some(content),
    });
    let plan = Restoring {
        snapshot: vec![one(OLD_NAME, &damaged)],
        ..restoring(r#"{"container":"gl","normalise":true}"#)
    }
    .plan();
    assert_eq!(errors(&plan.findings), ["gitlab.normalise.failed"]);
}

#[test]
fn the_configuration_is_placed_only_where_the_target_has_no_secrets() {
    let source = MemoryTree::new("config").file("gitlab.rb", "").file(
        "gitlab-secrets.json",
        r#"{"gitlab_rails":{"db_key_base":"hush"}}"#,
    );
    let with_config = |target: MemoryTree, json: &str| {
        let mut restoring = restoring(json);
        restoring.snapshot.push(source.clone());
        restoring.targets.push(target);
        restoring.plan()
    };
    let plan = with_config(MemoryTree::new("config"), "{}");
    finding(&plan.findings, "gitlab.config.placed");
    assert_eq!(plan.placements.len(), 2);

    let own = || {
        MemoryTree::new("config").file(
            "gitlab-secrets.json",
            r#"{"gitlab_rails":{"db_key_base":"other"}}"#,
        )
    };
    let plan = with_config(own(), "{}");
    finding(&plan.findings, "gitlab.config.kept");
    assert!(errors(&plan.findings).contains(&"gitlab.secrets.differ"));
    assert_eq!(plan.placements.len(), 1);
    let plan = with_config(own(), r#"{"replace_config":true}"#);
    assert_eq!(plan.placements.len(), 2);
}

#[test]
fn a_rehearsal_places_the_archive_and_runs_nothing() {
    let mut restoring = restoring(r#"{"container":"gl","restore":true,"normalise":true}"#);
    restoring.rehearsal = true;
    restoring.probe = FakeProbe::new();
    let plan = restoring.plan();
    assert!(errors(&plan.findings).is_empty(), "{:#?}", plan.findings);
    assert!(plan.before.is_empty() && plan.after.is_empty());
    assert_eq!(restoring.placed(), restoring.snapshot[0]);
}
