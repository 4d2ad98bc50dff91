use std::fs;

use copal_repository::{ErrorKind, KeyId, KeyInfo, KeyOptions, LockMode, Password, Repository};

use crate::fixture::{CHEAP, World, have_restic};

fn named(username: &str, hostname: &str) -> KeyOptions {
    KeyOptions {
        scrypt: CHEAP,
        username: Some(username.into()),
        hostname: Some(hostname.into()),
    }
}

fn unnamed() -> KeyOptions {
    KeyOptions {
        scrypt: CHEAP,
        ..KeyOptions::default()
    }
}

fn key(repository: &Repository, id: KeyId) -> KeyInfo {
    let mut keys = repository.keys().unwrap().into_iter();
    keys.find(|key| key.id == id).unwrap()
}

#[test]
fn keys_are_added_listed_and_removed_but_for_the_one_in_use() {
    let world = World::new();
    let repository = world.init("first");
    let first = repository.keys().unwrap()[0].clone();
    assert!(first.current && first.created.is_some() && first.damage.is_none());
    let options = named("alice", "desk");
    let second = repository
        .add_key(&Password::new("second"), &options)
        .unwrap();
    let info = key(&repository, second);
    assert_eq!(
        (info.username.as_str(), info.hostname.as_str()),
        ("alice", "desk")
    );
    assert!(!info.current);

    let other = world.try_open("first", "second").unwrap();
    assert_eq!(other.id(), repository.id());
    assert!(key(&other, second).current && !key(&other, first.id).current);

    let guard = other.lock(LockMode::Exclusive).unwrap();
    let refused = other.remove_key(&second, &guard).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::KeyInUse);
    assert_eq!(
        other.key_named(&first.id.to_string()[..10]).unwrap(),
        first.id
    );
    assert_eq!(
        other.key_named("zz").unwrap_err().kind(),
        ErrorKind::NotFound
    );
    other.remove_key(&first.id, &guard).unwrap();
    drop(guard);
    let refused = world.try_open("first", "first").unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::WrongPassword);
    // Whoever was opened by the key that is gone removes no other: one must stay.
    let guard = repository.lock(LockMode::Exclusive).unwrap();
    repository.remove_key(&second, &guard).unwrap_err();
    drop(guard);
    world.try_open("first", "second").unwrap();
    let guard = other.lock(LockMode::Write).unwrap();
    assert!(other.remove_key(&first.id, &guard).is_err(), "not alone");
}

#[test]
fn a_changed_password_keeps_user_and_host_and_the_old_one_opens_no_more() {
    let world = World::new();
    let repository = world.init("first");
    repository
        .add_key(&Password::new("old"), &named("bob", "rack"))
        .unwrap();
    let repository = world.try_open("first", "old").unwrap();
    let guard = repository.lock(LockMode::Exclusive).unwrap();
    for (before, after) in [("old", "new"), ("new", "newer")] {
        let change = repository
            .change_password(&Password::new(after), &unnamed(), &guard)
            .unwrap();
        assert!(change.left.is_none());
        let info = key(&repository, change.new);
        assert_eq!(
            (info.username.as_str(), info.hostname.as_str()),
            ("bob", "rack")
        );
        assert!(info.current);
        let refused = world.try_open("first", before).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::WrongPassword);
        world.try_open("first", after).unwrap();
    }
    assert_eq!(repository.keys().unwrap().len(), 2);
    world.open("first");
}

#[test]
fn no_more_keys_are_made_than_are_tried() {
    let world = World::new();
    let repository = world.init("first");
    for index in 1..20 {
        let password = Password::new(index.to_string());
        repository.add_key(&password, &unnamed()).unwrap();
    }
    let refused = repository
        .add_key(&Password::new("20"), &unnamed())
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported);
    world.try_open("first", "19").unwrap();
}

#[test]
fn a_damaged_key_is_named_and_does_not_keep_the_others_from_opening() {
    let world = World::new();
    let repository = world.init("first");
    let second = repository
        .add_key(&Password::new("second"), &unnamed())
        .unwrap();
    let path = world.path("first/keys").join(second.to_string());
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let repository = world.open("first");
    let damage = key(&repository, second).damage.unwrap();
    assert!(damage.contains(&second.to_string()), "{damage}");
    let refused = world.try_open("first", "second").unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::WrongPassword);
}

#[test]
fn restic_opens_with_our_keys_and_we_with_restics() {
    if !have_restic() {
        return;
    }
    let world = World::new();
    let repository = world.init("first");
    repository
        .add_key(&Password::new("second"), &named("carol", "shelf"))
        .unwrap();
    let list = |password: &str| {
        let mut command = world.restic_as("first", password, &["key", "list", "--json"]);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice::<Vec<serde_json::Value>>(&output.stdout).unwrap()
    };
    let keys = list("second");
    let current = keys.iter().find(|key| key["current"] == true).unwrap();
    assert_eq!(
        (&current["userName"], &current["hostName"]),
        (&"carol".into(), &"shelf".into())
    );

    world.write("new", "third\n");
    let file = world.path("new");
    let file = file.to_str().unwrap();
    world.restic(
        "first",
        &[
            "key",
            "add",
            "--user",
            "dave",
            "--host",
            "attic",
            "--new-password-file",
            file,
        ],
    );
    let repository = world.try_open("first", "third").unwrap();
    let keys = repository.keys().unwrap();
    let current = keys.iter().find(|key| key.current).unwrap();
    assert_eq!(
        (current.username.as_str(), current.hostname.as_str()),
        ("dave", "attic")
    );
    let guard = repository.lock(LockMode::Exclusive).unwrap();
    repository
        .change_password(&Password::new("fourth"), &unnamed(), &guard)
        .unwrap();
    drop(guard);
    assert_eq!(list("fourth").len(), 3);
    world.is_whole("first");
}
