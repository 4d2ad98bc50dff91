use copal_repository::format::Timestamp;
use copal_repository::{ErrorKind, LockMode, UnlockOptions};

use crate::fixture::World;

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
    let unlocked = world.open().unlock(UnlockOptions::default()).unwrap();
    assert_eq!((unlocked.removed.len(), unlocked.left.len()), (0, 1));
    let file = unlocked.left[0].file.as_ref().unwrap();
    assert_eq!(
        (file.pid, file.exclusive),
        (std::process::id().cast_signed(), true)
    );
    for dry_run in [true, false] {
        lock.check().unwrap();
        let all = UnlockOptions { all: true, dry_run };
        let unlocked = world.open().unlock(all).unwrap();
        assert_eq!((unlocked.removed.len(), unlocked.left.len()), (1, 0));
    }
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
        // As if somebody else held it.
        world.forge(&world.files("locks")[0], |lock| {
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
        world
            .open()
            .unlock(UnlockOptions {
                all: true,
                ..UnlockOptions::default()
            })
            .unwrap();
    }
}
