//! A bit of a file is turned, or a file is cut off or grows, at each place in turn.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use copal_repository::progress::Silent;
use copal_repository::prune::{PruneOptions, prune};
use copal_repository::repair::{
    IndexRepairOptions, PackRepairOptions, SnapshotRepair, repair_index, repair_packs,
};
use copal_repository::{Error, ErrorKind, LockMode, Repository, UnlockOptions};
use copal_storage::object_store::memory::InMemory;
use copal_storage::object_store::path::Path;

use crate::operations::{repair_snapshots, restore};
use crate::room::{Held, Room, name, noise};
use crate::thorough;

/// In the short form, one place of so many is tried, and one pack of so many restored from.
const STRIDE: usize = 11;

/// A repository of a few kilobytes with two snapshots, so that every place of every file can be tried.
fn tiny(room: &Room) -> Arc<InMemory> {
    let store = room.init();
    for version in 0..2 {
        room.write("own", noise(version, 300));
        room.write("same/noise", noise(7, 400));
        room.write("same/text", "the same line\n".repeat(100));
        room.back_up(store.clone()).unwrap();
    }
    store
}

/// Ways to damage a file of these bytes, each with a name.
fn damages(whole: &[u8]) -> impl Iterator<Item = (String, Vec<u8>)> {
    let stride = if thorough() { 1 } else { STRIDE };
    // The last bytes are where the length of a pack's header stands.
    let places = (0..whole.len()).filter(move |at| at % stride == 0 || at + 4 >= whole.len());
    let flips = places.clone().map(|at| {
        let mut bytes = whole.to_vec();
        bytes[at] ^= 1 << (at % 8);
        (format!("a bit at {at} turned"), bytes)
    });
    let cuts = places
        .step_by(3)
        .map(|at| (format!("cut off at {at}"), whole[..at].to_vec()));
    let grown = [&[0][..], whole].map(|more| ("grown".to_owned(), [whole, more].concat()));
    flips.chain(cuts).chain(grown)
}

/// Damages every file beneath `prefix` in every way, and shows each to `look`.
fn each(
    room: &Room,
    whole: &Arc<InMemory>,
    prefix: &str,
    look: impl Fn(&Arc<InMemory>, &Path, &str),
) {
    let begun = Instant::now();
    let mut tried = 0;
    let files = match prefix {
        "config" => vec![Path::from("config")],
        _ => room.objects(whole, prefix),
    };
    for file in files {
        for (damage, bytes) in damages(&room.get(whole, &file)) {
            let store = Arc::new(whole.fork());
            room.put(&store, &file, bytes);
            look(&store, &file, &format!("{file} {damage}"));
            tried += 1;
        }
    }
    let took = begun.elapsed().as_secs_f64();
    println!("| {prefix} | {tried} | {took:.1} s |");
    assert!(tried > 20, "too few to prove anything");
}

#[track_caller]
fn names(error: &Error, file: &Path, what: &str) {
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{what}: {error}");
    assert!(error.to_string().contains(&name(file)), "{what}: {error}");
}

#[track_caller]
fn is_found(room: &Room, store: &Arc<InMemory>, file: &Path, what: &str) {
    let errors = room.report(store.clone()).errors;
    let named = errors.iter().any(|error| error.contains(&name(file)));
    assert!(named, "{what}: {errors:?}");
}

#[track_caller]
fn is_whole(room: &Room, store: &Arc<InMemory>, what: &str) {
    let errors = room.report(store.clone()).errors;
    assert_eq!(errors, [""; 0], "{what}");
}

/// What can be read is what was written, and nothing else can be read. Gives the paths that can't.
#[track_caller]
fn unreadable(before: &Held, now: &Held, what: &str) -> BTreeSet<String> {
    let mut missing = BTreeSet::new();
    for (id, readable) in before {
        for (path, about) in readable {
            match now.get(id).and_then(|now| now.get(path)) {
                Some(now) => assert_eq!(now, about, "{what}: {path}"),
                None => drop(missing.insert(path.clone())),
            }
        }
    }
    missing
}

#[test]
fn a_damaged_config_is_named() {
    let room = Room::new();
    each(&room, &tiny(&room), "config", |store, file, what| {
        names(&room.open(store.clone()).unwrap_err(), file, what);
    });
}

#[test]
fn a_damaged_key_is_named_and_another_one_opens() {
    let room = Room::new();
    let whole = tiny(&room);
    room.add_key(&whole);
    each(&room, &whole, "keys", |store, file, what| {
        let alone = Arc::new(store.fork());
        let others = room.objects(store, "keys").into_iter();
        for other in others.filter(|other| other != file) {
            room.delete(&alone, &other);
        }
        names(&room.open(alone).unwrap_err(), file, what);
        is_found(&room, store, file, what);
    });
}

#[test]
fn a_damaged_snapshot_is_named_and_hides_nothing_and_nothing_is_pruned_for_it() {
    let room = Room::new();
    let whole = tiny(&room);
    let before = room.held(whole.clone());
    each(&room, &whole, "snapshots", |store, file, what| {
        is_found(&room, store, file, what);
        let id = name(file).parse().unwrap();
        let mut others = before.clone();
        others.remove(&id).unwrap();
        assert_eq!(room.held(store.clone()), others, "{what}");
        let repository = room.open(store.clone()).unwrap();
        let lock = repository.lock(LockMode::Exclusive).unwrap();
        let options = PruneOptions::default();
        let pruned = prune(&repository, &options, &lock, &Silent, &mut |_| {});
        names(&pruned.unwrap_err(), file, what);
        repository.forget(&[id], &lock).unwrap();
        prune(&repository, &options, &lock, &Silent, &mut |_| {}).unwrap();
        is_whole(&room, store, what);
        assert_eq!(room.held(store.clone()), others, "{what}");
    });
}

#[test]
fn a_damaged_index_is_named_and_made_anew() {
    let room = Room::new();
    let whole = tiny(&room);
    let before = room.held(whole.clone());
    each(&room, &whole, "index", |store, file, what| {
        is_found(&room, store, file, what);
        let repository = room.open(store.clone()).unwrap();
        names(&repository.load_index().unwrap_err(), file, what);
        assert!(restore(&room, store.clone()).is_err(), "{what}");
        let lock = repository.lock(LockMode::Exclusive).unwrap();
        let options = IndexRepairOptions::default();
        let repaired = repair_index(&repository, &options, &lock, &Silent).unwrap();
        let unreadable = &repaired.unreadable[..];
        assert!(
            matches!(unreadable, [one] if one.contains(&name(file))),
            "{what}: {unreadable:?}"
        );
        drop(lock);
        is_whole(&room, store, what);
        assert_eq!(room.held(store.clone()), before, "{what}");
    });
}

#[test]
fn a_damaged_lock_is_named_keeps_nobody_from_reading_and_can_be_removed() {
    let room = Room::new();
    let whole = tiny(&room);
    let repository = room.open(whole.clone()).unwrap();
    let lock = repository.lock(LockMode::Write).unwrap();
    each(&room, &whole, "locks", |store, file, what| {
        let repository = room.open(store.clone()).unwrap();
        drop(repository.lock(LockMode::Read).unwrap());
        names(
            &repository.lock(LockMode::Exclusive).unwrap_err(),
            file,
            what,
        );
        assert_eq!(
            repository
                .unlock(UnlockOptions {
                    all: true,
                    ..UnlockOptions::default()
                })
                .unwrap()
                .removed
                .len(),
            1
        );
        drop(repository.lock(LockMode::Exclusive).unwrap());
    });
    drop(lock);
}

/// What is said to be lost of the snapshots.
fn losses(repository: &Repository) -> BTreeSet<String> {
    let mut repair = SnapshotRepair::new(repository, |_| false).unwrap();
    let snapshots = repository.snapshots().unwrap().into_iter();
    let lost = snapshots.flat_map(|(_, snapshot)| repair.losses(&snapshot.tree).unwrap());
    lost.map(|loss| format!("/{}", loss.path)).collect()
}

#[test]
fn a_damaged_pack_is_named_and_costs_no_more_than_the_damage_took() {
    let room = Room::new();
    let whole = tiny(&room);
    let before = room.held(whole.clone());
    let (latest, _) = room
        .open(whole.clone())
        .unwrap()
        .snapshot("latest")
        .unwrap();
    let count = std::cell::Cell::new(0_usize);
    each(&room, &whole, "data", |store, file, what| {
        is_found(&room, store, file, what);
        let damaged = room.held(store.clone());
        let missing = unreadable(&before, &damaged, what);
        count.set(count.get() + 1);
        if count.get().is_multiple_of(STRIDE) {
            std::fs::remove_dir_all(room.path("target")).ok();
            let restored = restore(&room, store.clone());
            let whole = damaged.get(&latest) == before.get(&latest);
            assert!(restored.is_err() || whole, "{what}");
            room.restored_is_right(&before, what);
        }
        let repository = room.open(store.clone()).unwrap();
        let lock = repository.lock(LockMode::Exclusive).unwrap();
        let options = PackRepairOptions {
            copies: room.path(""),
            ..PackRepairOptions::default()
        };
        let packs = [name(file).parse().unwrap()];
        let repaired = repair_packs(&repository, &packs, &options, &lock, &Silent).unwrap();
        for copy in &repaired.copies {
            std::fs::remove_file(copy).unwrap();
        }
        assert_eq!(repaired.lost.is_empty(), missing.is_empty(), "{what}");
        drop(lock);
        let repository = room.open(store.clone()).unwrap();
        // The listing of the top is a snapshot's all.
        let is_top = |error: &Error| error.kind() == ErrorKind::Corrupt;
        match repair_snapshots(&room, store.clone()) {
            Ok(()) => {
                is_whole(&room, store, what);
                let again = room.open(store.clone()).unwrap();
                assert_eq!(losses(&again), BTreeSet::new(), "{what}");
            }
            Err(error) => assert!(is_top(&error), "{what}: {error}"),
        }
        drop(repository);
        let after = room.held(store.clone());
        assert_eq!(
            unreadable(&damaged, &after, what),
            BTreeSet::new(),
            "{what}"
        );
    });
}
