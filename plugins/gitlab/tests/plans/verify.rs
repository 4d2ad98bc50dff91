//! What is said of a target after a restore.

use copal_sdk::testing::MemoryTree;
use copal_sdk::{Kind, Tree};

use crate::support::*;
use crate::volume::omnibus_volume;

fn placed(content: &[u8], mode: u32, uid: u32) -> MemoryTree {
    MemoryTree::new("backups")
        .node(node("", Kind::Directory, 0o700, 998, 997), "")
        .node(node(&file(OLD_NAME), Kind::File, mode, uid, 997), content)
}

fn restoring() -> Restoring {
    Restoring::new(one(OLD_NAME, OLD), MemoryTree::new("backups"))
}

#[test]
fn an_archive_that_git_can_read_is_whole() {
    let findings = restoring().verify(placed(OLD, 0o600, 998), None);
    assert!(errors(&findings).is_empty());
    let message = &finding(&findings, "gitlab.verify.archives").message;
    assert!(
        message
            .contains("(1, with 13 members) are whole, and the user git (998:997) can read them"),
        "{message}"
    );
}

#[test]
fn what_is_wrong_with_an_archive_is_said() {
    let cut = [&OLD[..10_000], &[0; 10_480]].concat();
    let beside = placed(OLD, 0o600, 998).directory(&format!("{}.members", file(OLD_NAME)));
    for (target, code) in [
        (placed(OLD, 0o600, 0), "gitlab.verify.owner"),
        (placed(OLD, 0o200, 998), "gitlab.verify.owner"),
        (placed(&cut, 0o600, 998), "gitlab.verify.archive"),
        (placed(&OLD[..19_000], 0o600, 998), "gitlab.verify.size"),
        (beside, "gitlab.verify.members"),
        (
            MemoryTree::new("backups").node(node("", Kind::Directory, 0o700, 998, 997), ""),
            "gitlab.verify.missing",
        ),
    ] {
        let findings = restoring().verify(target, None);
        assert!(errors(&findings).contains(&code), "{code}: {findings:#?}");
    }
}

#[test]
fn parts_that_gitlab_could_not_restore_are_told() {
    let output = "Restoring repositories ...\n * group/project (@hashed/4e/07) ... [FAILED]\nRestore task is done.\n";
    let findings = restoring().verify(placed(OLD, 0o600, 998), Some(output));
    assert_eq!(errors(&findings), ["gitlab.verify.restore"]);
    let findings = restoring().verify(placed(OLD, 0o600, 998), Some("done"));
    assert!(errors(&findings).is_empty());
}

#[test]
fn a_volume_is_looked_at_repository_by_repository() {
    let snapshot = omnibus_volume();
    let restoring =
        Restoring::new(snapshot.clone(), MemoryTree::new("data")).with(r#"{"git":"998:997"}"#);
    let right = |path: &str| node(path, Kind::Directory, 0o2770, 998, 997);
    let repository = "git-data/repositories/@hashed/aa/bb/c.git";
    let whole = snapshot.node(right(repository), "");
    let findings = restoring.verify(whole.clone(), None);
    assert!(errors(&findings).is_empty(), "{findings:#?}");
    assert!(
        finding(&findings, "gitlab.verify.volume-whole")
            .message
            .starts_with("All repositories (1)")
    );

    let wrong = whole.node(
        node("git-data/repositories", Kind::Directory, 0o750, 998, 997),
        "",
    );
    assert_eq!(
        errors(&restoring.verify(wrong, None)),
        ["gitlab.verify.owner"]
    );
    let lost = MemoryTree::new("data")
        .node(right("git-data/repositories"), "")
        .directory("gitlab-rails");
    assert_eq!(
        errors(&restoring.verify(lost, None)),
        ["gitlab.verify.missing"]
    );
    assert_eq!(
        errors(&restoring.verify(MemoryTree::new("data"), None)),
        ["gitlab.verify.volume"]
    );
    assert!(restoring.snapshot[0].exists(repository).unwrap());
}
