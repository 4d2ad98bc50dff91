use copal_repository::format::Timestamp;
use copal_repository::{ErrorKind, LockMode};

use crate::fixture::World;

/// Rewrites the only lock, as if somebody else held it.
fn forge(world: &World, change: impl FnOnce(&mut serde_json::Value)) {
    use copal_repository::format::crypto::Key;
    use copal_repository::format::key::KeyFile;
    use copal_repository::format::unpacked;
    let key = std::fs::read(&world.files("keys")[0]).unwrap();
    let secrets = KeyFile::decode(&key).unwrap();
    let secrets = secrets.open(crate::fixture::PASSWORD.as_bytes()).unwrap();
    let key = Key::new(&secrets.unwrap()).unwrap();
    let file = world.files("locks").remove(0);
    let json = unpacked::open(&key, &std::fs::read(&file).unwrap()).unwrap();
    let mut lock = serde_json::from_slice(&json).unwrap();
    change(&mut lock);
    let sealed = unpacked::seal(&key, 2, lock.to_string().as_bytes()).unwrap();
    let id = copal_repository::LockId::of(&sealed).to_string();
    std::fs::write(file.with_file_name(id), sealed).unwrap();
    std::fs::remove_file(file).unwrap();
}

/// The process of somebody who has gone.
fn gone() -> u32 {
    let mut child = std::process::Command::new("true").spawn().unwrap();
    child.wait().unwrap();
    child.id()
}

#[test]
fn only_locks_of_processes_that_are_gone_are_removed_unless_all_are_to_be() {
    let world = World::new();
    let repository = world.open();
    let lock = repository.lock(LockMode::Exclusive).unwrap();
    let unlocked = world.open().unlock(false).unwrap();
    assert_eq!((unlocked.removed.len(), unlocked.left.len()), (0, 1));
    let file = unlocked.left[0].file.as_ref().unwrap();
    assert_eq!(
        (file.pid, file.exclusive),
        (std::process::id().cast_signed(), true)
    );
    lock.check().unwrap();
    let unlocked = world.open().unlock(true).unwrap();
    assert_eq!((unlocked.removed.len(), unlocked.left.len()), (1, 0));
    assert_eq!(lock.check().unwrap_err().kind(), ErrorKind::Locked);
}

#[test]
fn a_lock_whose_process_is_gone_hinders_nobody_and_one_elsewhere_does_for_half_an_hour() {
    let world = World::new();
    let holder = world.open();
    let old = |minutes: i64| {
        let mut time = Timestamp::now();
        time.seconds -= minutes * 60;
        time.to_string()
    };
    for (pid, hostname, minutes, stale) in [
        (gone(), None, 0, true),
        (std::process::id(), None, 0, false),
        (gone(), Some("elsewhere.invalid"), 29, false),
        (std::process::id(), None, 31, true),
        (gone(), Some("elsewhere.invalid"), 31, true),
    ] {
        let lock = holder.lock(LockMode::Write).unwrap();
        forge(&world, |lock| {
            lock["pid"] = pid.into();
            lock["time"] = old(minutes).into();
            if let Some(hostname) = hostname {
                lock["hostname"] = hostname.into();
            }
        });
        let other = world.open();
        match other.lock(LockMode::Exclusive) {
            Ok(exclusive) => {
                assert!(stale, "{pid} {hostname:?} {minutes}");
                drop(exclusive);
            }
            Err(error) => {
                assert!(!stale, "{pid} {hostname:?} {minutes}: {error}");
                assert!(error.to_string().contains("copal unlock"), "{error}");
            }
        }
        drop(lock);
        world.open().unlock(true).unwrap();
    }
}
