//! The data volume: what is left out, and whose it is after a restore.

use copal_sdk::testing::{FakeProbe, MemoryTree};
use copal_sdk::{Intent, Kind, Tree};

use crate::support::*;

const REPOSITORY: &str = "repositories/@hashed/4e/07/4e07408562bedb8b60ce05c1decfe3ad16b72230967de01f640b7e4729b49fce.git";

/// A volume of sameersbn's image, of GitLab 13.0.6, whose user git is 1000:1000.
pub(crate) fn sameersbn_volume() -> MemoryTree {
    let directory = |path: &str, mode| (node(path, Kind::Directory, mode, 1000, 1000), "");
    let file = |path: &str, mode, content| (node(path, Kind::File, mode, 1000, 1000), content);
    [
        directory("repositories", 0o2770),
        file("repositories/.gitaly-metadata", 0o600, "{}"),
        directory("repositories/+gitaly", 0o750),
        directory("repositories/+gitaly/tmp", 0o750),
        file(
            "repositories/+gitaly/state/x",
            0o600,
            "kept in newer versions",
        ),
        directory("repositories/+gitaly/cache", 0o750),
        directory("repositories/@hashed", 0o750),
        directory(REPOSITORY, 0o2770),
        file(
            &format!("{REPOSITORY}/HEAD"),
            0o644,
            "ref: refs/heads/master\n",
        ),
        file(&format!("{REPOSITORY}/objects/aa/bb"), 0o444, "blob"),
        file(&format!("{REPOSITORY}/hooks/update"), 0o755, "#!/bin/sh\n"),
        file(&format!("{REPOSITORY}/refs/objects/x"), 0o444, "aabb\n"),
        directory("repositories/@pools/aa", 0o2770),
        directory("repositories/@snippets/aa", 0o2770),
        directory("uploads", 0o700),
        file("uploads/-/a.png", 0o644, "png"),
        directory("shared", 0o755),
        file("shared/cache/archive/x.zip", 0o644, "zip"),
        file("shared/lfs-objects/aa/bb/cc", 0o644, "lfs"),
        directory("backups", 0o700),
        file("backups/dump_gitlab_backup.tar", 0o600, "tar"),
        directory("tmp", 0o755),
        file("tmp/VERSION", 0o644, "13.0.6\n"),
        file("tmp/sockets/x", 0o644, ""),
        (node("ssh", Kind::Directory, 0o755, 0, 0), ""),
        (node("ssh/ssh_host_rsa_key", Kind::File, 0o600, 0, 0), "key"),
    ]
    .into_iter()
    .fold(MemoryTree::new("data"), |tree, (entry, content)| {
        tree.node(entry, content)
    })
}

/// A volume of the Omnibus package, of GitLab 17.2.1-ee, whose user git is 998:997.
pub(crate) fn omnibus_volume() -> MemoryTree {
    MemoryTree::new("data")
        .node(
            node("git-data/repositories", Kind::Directory, 0o2770, 998, 997),
            "",
        )
        .node(
            node(
                "git-data/repositories/.gitaly-metadata",
                Kind::File,
                0o600,
                998,
                997,
            ),
            "{}",
        )
        .node(
            node(
                "git-data/repositories/+gitaly/partitions/1",
                Kind::File,
                0o600,
                998,
                997,
            ),
            "wal",
        )
        .node(
            node(
                "git-data/repositories/+gitaly/tmp/x",
                Kind::File,
                0o600,
                998,
                997,
            ),
            "x",
        )
        .node(
            node(
                "git-data/repositories/@hashed/aa/bb/c.git/HEAD",
                Kind::File,
                0o644,
                998,
                997,
            ),
            "ref",
        )
        .node(
            node(
                "gitlab-rails/shared/pages",
                Kind::Directory,
                0o750,
                998,
                999,
            ),
            "",
        )
        .node(
            node("gitlab-rails/VERSION", Kind::File, 0o644, 0, 0),
            "17.2.1-ee\n",
        )
        .node(
            node("postgresql/data/PG_VERSION", Kind::File, 0o600, 996, 996),
            "14",
        )
}

#[test]
fn what_gitlab_makes_anew_is_left_out() {
    let volume = sameersbn_volume();
    let plan = backup(volume.clone(), &FakeProbe::new(), r#"{"stopped":true}"#).unwrap();
    assert!(errors(&plan.findings).is_empty());
    finding(&plan.findings, "gitlab.database.elsewhere");
    let (kept, _) = saved(&volume, &plan);
    let kept = kept.paths();
    for path in [
        "repositories/@pools/aa",
        "repositories/@snippets/aa",
        "ssh/ssh_host_rsa_key",
        "tmp",
        "backups",
        REPOSITORY,
    ] {
        assert!(kept.contains(&path), "{path} is left out");
    }
    for path in ["gitaly", "tmp/", "shared/cache/", "backups/"] {
        let found: Vec<_> = kept.iter().filter(|kept| kept.contains(path)).collect();
        assert!(found.is_empty(), "{found:?}");
    }
}

#[test]
fn newer_versions_keep_what_gitaly_needs() {
    let volume = omnibus_volume();
    let plan = backup(volume.clone(), &FakeProbe::new(), r#"{"stopped":true}"#).unwrap();
    let (kept, _) = saved(&volume, &plan);
    let kept = kept.paths();
    assert!(kept.contains(&"git-data/repositories/+gitaly/partitions/1"));
    assert!(kept.contains(&"postgresql/data/PG_VERSION"));
    assert!(
        !kept
            .iter()
            .any(|path| path.contains(".gitaly-metadata") || path.contains("+gitaly/tmp"))
    );
}

#[test]
fn a_volume_in_use_is_refused_unless_gitlab_is_stopped() {
    let refused = backup(sameersbn_volume(), &FakeProbe::new(), "{}").unwrap();
    assert_eq!(errors(&refused.findings), ["gitlab.running"]);
    let inspect = ["docker", "inspect", "-f", "{{{{.State.Running}}}}", "gl"];
    let running = FakeProbe::new().answer(inspect, 0, "true");
    let plan = backup(sameersbn_volume(), &running, r#"{"container":"gl"}"#).unwrap();
    assert_eq!(words(&plan.quiesce), ["docker stop gl"]);
    assert_eq!(undo(&plan.quiesce), ["docker start gl"]);
    let stopped = FakeProbe::new().answer(inspect, 0, "false");
    let plan = backup(sameersbn_volume(), &stopped, r#"{"container":"gl"}"#).unwrap();
    assert!(plan.quiesce.is_empty() && errors(&plan.findings).is_empty());
}

#[test]
fn a_directory_that_is_no_volume_is_not_saved() {
    let failure = backup(MemoryTree::new("data"), &FakeProbe::new(), "{}").unwrap_err();
    assert_eq!(failure.code, "gitlab.not-found");
}

/// The volume as a backup leaves it, and its facts.
fn restoring(target: MemoryTree, json: &str) -> Restoring {
    let volume = sameersbn_volume();
    let plan = backup(volume.clone(), &FakeProbe::new(), r#"{"stopped":true}"#).unwrap();
    let (kept, _) = saved(&volume, &plan);
    Restoring::new(kept, target).with(json).facts(plan)
}

#[test]
fn a_restored_volume_belongs_to_the_targets_git() {
    let restoring = restoring(
        MemoryTree::new("data"),
        r#"{"git":"998:997","target_version":"13.0.6"}"#,
    );
    let plan = restoring.plan();
    assert!(errors(&plan.findings).is_empty(), "{:#?}", plan.findings);
    assert_eq!(words(&plan.after), ["chown 998:997 {root:data}"]);
    let placed = restoring.placed();
    let of = |path: &str| {
        let entry = placed.stat(path).unwrap().unwrap();
        (
            entry.owner.uid,
            entry.owner.gid,
            entry.mode,
            entry.owner.user,
        )
    };
    let git = |mode| (998, 997, mode, String::new());
    assert_eq!(of("repositories"), git(0o2770));
    assert_eq!(of("repositories/@hashed"), git(0o2770));
    assert_eq!(of(&format!("{REPOSITORY}/HEAD")), git(0o660));
    assert_eq!(of(&format!("{REPOSITORY}/objects/aa/bb")), git(0o440));
    assert_eq!(of(&format!("{REPOSITORY}/hooks/update")), git(0o770));
    assert_eq!(of(&format!("{REPOSITORY}/refs/objects/x")), git(0o660));
    assert_eq!(of("uploads"), git(0o700));
    assert_eq!(of("uploads/-/a.png"), git(0o644));
    assert_eq!(of("ssh/ssh_host_rsa_key"), (0, 0, 0o600, String::new()));
}

#[test]
fn other_users_and_groups_of_the_omnibus_package_stay() {
    let snapshot = omnibus_volume();
    let facts = backup(snapshot.clone(), &FakeProbe::new(), r#"{"stopped":true}"#).unwrap();
    let restoring = Restoring::new(snapshot, MemoryTree::new("data"))
        .with(r#"{"git":"1500:1501","target_version":"17.2.1-ee"}"#)
        .facts(facts);
    assert!(restoring.plan().after.is_empty());
    let placed = restoring.placed();
    let of = |path: &str| {
        let owner = placed.stat(path).unwrap().unwrap().owner;
        (owner.uid, owner.gid)
    };
    assert_eq!(of("git-data/repositories"), (1500, 1501));
    assert_eq!(of("gitlab-rails/shared/pages"), (1500, 999));
    assert_eq!(of("postgresql/data/PG_VERSION"), (996, 996));
    assert_eq!(of("gitlab-rails/VERSION"), (0, 0));
}

#[test]
fn each_precondition_of_a_volume_is_refused_for_its_own_reason() {
    let empty = || MemoryTree::new("data");
    let fresh = || {
        sameersbn_volume()
            .file("tmp/VERSION", "13.0.6")
            .directory("repositories/@hashed")
    };
    let right = r#"{"git":"998:997","target_version":"13.0.6","stopped":true}"#;
    for (target, json, code) in [
        (
            empty(),
            r#"{"target_version":"13.0.6"}"#,
            "gitlab.target.git",
        ),
        (
            empty(),
            r#"{"git":"1:1","target_version":"13.1.0"}"#,
            "gitlab.target.version",
        ),
        (
            empty(),
            r#"{"git":"1:1","target_version":"13.0.6-ee"}"#,
            "gitlab.target.edition",
        ),
        (omnibus_volume(), right, "gitlab.layout.differs"),
        (fresh(), right, "gitlab.target.used"),
        (fresh(), r#"{"git":"1:1"}"#, "gitlab.target.running"),
    ] {
        let plan = restoring(target, json).plan();
        finding(&plan.findings, code);
        assert!(
            errors(&plan.findings).contains(&code),
            "{:#?}",
            plan.findings
        );
    }
    let mut recover = restoring(fresh(), right);
    recover.intent = Intent::Recover;
    assert!(errors(&recover.plan().findings).is_empty());
}

#[test]
fn the_owner_of_the_targets_folder_tells_its_git() {
    let target = MemoryTree::new("data")
        .node(
            node("repositories", Kind::Directory, 0o2770, 1234, 1235),
            "",
        )
        .directory("shared")
        .file("tmp/VERSION", "13.0.6");
    let restoring = restoring(target, r#"{"stopped":true}"#);
    let plan = restoring.plan();
    assert!(errors(&plan.findings).is_empty());
    assert_eq!(words(&plan.after), ["chown 1234:1235 {root:data}"]);
}

#[test]
fn a_rehearsal_gives_nothing_away_and_stops_nothing() {
    let mut restoring = restoring(MemoryTree::new("data"), r#"{"container":"gl"}"#);
    restoring.rehearsal = true;
    let plan = restoring.plan();
    assert!(errors(&plan.findings).is_empty());
    assert!(plan.before.is_empty() && plan.after.is_empty());
    assert_eq!(restoring.placed(), restoring.snapshot[0]);
}
