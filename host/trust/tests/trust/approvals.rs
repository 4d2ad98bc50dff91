//! What the operator allowed, and for which component.

use std::fs;

use crate::world::{NAME, World, capability, component, kind, name, release, statement};

const STOP: &str = "run:docker stop x";
const START: &str = "run:docker start x";

fn grants(grants: &[&str]) -> Vec<String> {
    grants.iter().map(|grant| (*grant).to_owned()).collect()
}

#[test]
fn grants_are_allowed_listed_and_revoked() {
    let world = World::new();
    let (digest, hash) = ("ab".repeat(32), "cd".repeat(32));
    let (notebook, diary) = (name(NAME), name("acme/diary"));
    let store = &world.store;
    store
        .allow(&notebook, &digest, &hash, &grants(&[STOP]))
        .unwrap();
    store
        .allow(&notebook, &digest, &hash, &grants(&[START, STOP]))
        .unwrap();
    store
        .allow(&diary, &digest, &hash, &grants(&[STOP]))
        .unwrap();
    store.allow(&diary, &hash, &hash, &[]).unwrap();
    let all = store.approvals().unwrap();
    let names: Vec<_> = all.iter().map(|approval| approval.name.as_str()).collect();
    assert_eq!(names, ["acme/diary", "acme/notebook"]);
    assert_eq!(
        store.approved(&notebook, &digest, &hash).unwrap(),
        [START, STOP]
    );

    let revoke = |grants: &[&str]| {
        let grants: Vec<String> = grants.iter().map(ToString::to_string).collect();
        store.revoke(&notebook, &grants)
    };
    assert_eq!(kind(revoke(&[STOP, "run:docker kill x"])), "approval");
    assert_eq!(
        store.approved(&notebook, &digest, &hash).unwrap(),
        [START, STOP],
        "one that is not there keeps the others"
    );
    assert_eq!(revoke(&[STOP]).unwrap(), [STOP]);
    assert_eq!(store.approved(&notebook, &digest, &hash).unwrap(), [START]);
    assert_eq!(kind(revoke(&[STOP])), "approval");
    assert_eq!(kind(revoke(&["\u{1b}[2J"])), "approval");
    assert_eq!(revoke(&[]).unwrap(), [START]);
    assert_eq!(kind(revoke(&[])), "approval");
    assert_eq!(store.approved(&diary, &digest, &hash).unwrap(), [STOP]);
}

#[test]
fn an_approval_is_of_one_component_under_one_set_of_capabilities() {
    let world = World::new();
    let (digest, hash, other) = ("ab".repeat(32), "cd".repeat(32), "ef".repeat(32));
    world
        .store
        .allow(&name(NAME), &digest, &hash, &grants(&[STOP]))
        .unwrap();
    for (name_of, digest, hash) in [
        ("acme/diary", &digest, &hash),
        (NAME, &other, &hash),
        (NAME, &digest, &other),
    ] {
        let approved = world.store.approved(&name(name_of), digest, hash).unwrap();
        assert!(approved.is_empty());
    }
}

#[test]
fn what_can_not_be_read_again_is_not_allowed() {
    let world = World::new();
    let (digest, long) = ("ab".repeat(32), format!("run:{}", "x".repeat(5000)));
    for grant in [
        "",
        "run:x\n",
        "run:\u{1b}[2J",
        "run:a\u{202e}b",
        " run:x",
        &long,
    ] {
        let allowed = world
            .store
            .allow(&name(NAME), &digest, &digest, &grants(&[grant]));
        assert_eq!(kind(allowed), "approval", "{grant:?}");
    }
    let many: Vec<String> = (0..1001).map(|i| format!("run:x {i}")).collect();
    assert_eq!(
        kind(world.store.allow(&name(NAME), &digest, &digest, &many)),
        "approval"
    );
    for bad in ["", "../x", "AB"] {
        assert_eq!(
            kind(
                world
                    .store
                    .allow(&name(NAME), bad, &digest, &grants(&[STOP]))
            ),
            "approval"
        );
        assert_eq!(
            kind(
                world
                    .store
                    .allow(&name(NAME), &digest, bad, &grants(&[STOP]))
            ),
            "approval"
        );
    }
    assert!(!world.path("approvals.json").exists());
}

#[test]
fn an_update_that_may_ask_for_the_same_keeps_what_was_allowed() {
    let world = World::new();
    let old = world.install_version("1.0.0").digest;
    let hash = world.release("1.0.0").0.capability_hash();
    world
        .store
        .allow(&name(NAME), &old, &hash, &grants(&[STOP]))
        .unwrap();
    // Of a component that was never installed, but named in a job.
    let pinned = "ab".repeat(32);
    world
        .store
        .allow(&name(NAME), &pinned, &hash, &grants(&[START]))
        .unwrap();

    let update = world.install_version("1.1.0");
    assert_eq!((update.carried, update.dropped), (grants(&[STOP]), vec![]));
    assert_eq!(
        world
            .store
            .approved(&name(NAME), &update.digest, &hash)
            .unwrap(),
        [STOP]
    );
    assert!(
        world
            .store
            .approved(&name(NAME), &old, &hash)
            .unwrap()
            .is_empty()
    );
    assert_eq!(
        world.store.approved(&name(NAME), &pinned, &hash).unwrap(),
        [START]
    );

    let again = world.install_version("1.1.0");
    assert_eq!((again.carried, again.dropped), (vec![], vec![]));
    assert_eq!(
        world
            .store
            .approved(&name(NAME), &update.digest, &hash)
            .unwrap(),
        [STOP]
    );
}

#[test]
fn an_update_that_may_ask_for_more_says_what_it_lost() {
    let world = World::new();
    let old = world.install_version("1.0.0").digest;
    let hash = world.release("1.0.0").0.capability_hash();
    world
        .store
        .allow(&name(NAME), &old, &hash, &grants(&[STOP, START]))
        .unwrap();
    let component = component("1.1.0");
    let mut statement = statement(NAME, "1.1.0", &component);
    statement.capabilities.push(capability("http:POST *"));
    let update = world.install(&statement, &release(&statement, &component, &[&world.acme]));
    assert_eq!(
        (update.carried, update.dropped),
        (vec![], grants(&[START, STOP]))
    );
    assert!(world.store.approvals().unwrap().is_empty());
}

#[test]
fn what_is_removed_is_allowed_nothing_when_it_comes_back() {
    let world = World::new();
    let digest = world.install_version("1.0.0").digest;
    let hash = world.release("1.0.0").0.capability_hash();
    world
        .store
        .allow(&name(NAME), &digest, &hash, &grants(&[STOP]))
        .unwrap();
    assert_eq!(world.store.remove(&name(NAME)).unwrap().dropped, [STOP]);
    world.install_version("1.0.0");
    assert!(
        world
            .store
            .approved(&name(NAME), &digest, &hash)
            .unwrap()
            .is_empty()
    );
}

#[test]
fn damaged_approvals_are_told_and_allow_nothing() {
    let world = World::new();
    let digest = "ab".repeat(32);
    world
        .store
        .allow(&name(NAME), &digest, &digest, &grants(&[STOP]))
        .unwrap();
    let path = world.path("approvals.json");
    let valid = fs::read_to_string(&path).unwrap();
    for damaged in [
        String::new(),
        valid.replace("\"format\": 1", "\"format\": 2"),
        valid.replace(NAME, "notebook"),
        valid.replace(STOP, "run:\\u001b[2J"),
        valid.replace(&digest, "ab"),
        format!("{valid}{valid}"),
    ] {
        fs::write(&path, &damaged).unwrap();
        assert_eq!(kind(world.store.approvals()), "trust-damaged");
        assert_eq!(
            kind(world.store.approved(&name(NAME), &digest, &digest)),
            "trust-damaged"
        );
        let allowed = world
            .store
            .allow(&name(NAME), &digest, &digest, &grants(&[START]));
        assert_eq!(kind(allowed), "trust-damaged");
        assert_eq!(fs::read_to_string(&path).unwrap(), damaged);
    }
}
