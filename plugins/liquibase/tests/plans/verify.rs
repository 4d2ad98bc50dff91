use serde_json::json;

use crate::support::{FakeDatabase, Restore, changelog, codes, dump, message, snapshot};

const SETS: [(&str, &str, &str); 2] = [
    ("db/changelog.yaml", "1", "ann"),
    ("db/changelog.yaml", "2", "ann"),
];

fn restored(now: &[(&str, &str, &str)], ids: &[(&str, &str)]) -> Restore {
    Restore {
        database: FakeDatabase::of_liquibase(now),
        ..Restore::of(snapshot(&dump(&SETS, false))).changelog(changelog(ids))
    }
}

#[test]
fn a_whole_history_and_an_applied_changelog_are_good() {
    let now = [SETS[0], SETS[1], ("db/changelog.yaml", "3", "ann")];
    let findings = restored(&now, &[("1", "ann"), ("2", "ann"), ("3", "ann")])
        .verify(json!({}), true)
        .unwrap();
    assert_eq!(
        codes(&findings),
        [
            "info liquibase.verify.history",
            "info liquibase.history.applied"
        ]
    );
    assert!(
        message(&findings, "liquibase.verify.history")
            .contains("all 2 entries of the snapshot's history, and 1 that")
    );
}

#[test]
fn what_is_lost_pending_or_unknown_is_an_error() {
    let findings = restored(&SETS[..1], &[("1", "ann"), ("2", "ann")])
        .verify(json!({}), true)
        .unwrap();
    assert_eq!(
        codes(&findings),
        [
            "error liquibase.verify.lost",
            "info liquibase.history.applied",
            "error liquibase.history.pending"
        ]
    );
    let findings = restored(&SETS, &[("1", "ann")])
        .verify(json!({}), true)
        .unwrap();
    assert!(codes(&findings).contains(&"error liquibase.history.unexpected".to_owned()));
    // Without a migration, something may be pending.
    let findings = restored(&SETS, &[("1", "ann"), ("2", "ann"), ("3", "ann")])
        .verify(json!({}), false)
        .unwrap();
    assert!(codes(&findings).contains(&"info liquibase.history.pending".to_owned()));
}

#[test]
fn a_lock_that_is_held_again_is_named() {
    let mut restore = restored(&SETS, &[("1", "ann"), ("2", "ann")]);
    restore.database.lock = Some(json!({"by": "pod-8", "since": null}));
    let findings = restore.verify(json!({}), true).unwrap();
    assert!(message(&findings, "liquibase.verify.lock").contains("pod-8."));
}
