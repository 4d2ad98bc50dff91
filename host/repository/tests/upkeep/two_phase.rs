use std::time::{Duration, SystemTime};

use copal_repository::format::BlobKind;
use copal_repository::progress::Silent;
use copal_repository::prune::{GRACE, MIN_GRACE, MaxUnused, PruneOptions, prune};
use copal_repository::{ErrorKind, LockMode};

use crate::fixture::{World, noise, prune_in};

fn with_grace(grace: Duration) -> PruneOptions {
    PruneOptions {
        max_unused: MaxUnused::Bytes(0),
        two_phase: Some(grace),
        ..PruneOptions::default()
    }
}

/// Lets all packs have been written two days ago.
fn age(world: &World) {
    let then = SystemTime::now() - Duration::from_secs(2 * 24 * 60 * 60);
    for file in world.files("data") {
        std::fs::File::open(file)
            .unwrap()
            .set_modified(then)
            .unwrap();
    }
}

#[test]
fn what_is_not_needed_is_marked_and_removed_after_the_grace() {
    let (world, snapshots) = World::with_history();
    world.forget(&snapshots[..3]);
    age(&world);
    let before = world.contents();
    let packed = world.packed();
    let stats = world.prune(&with_grace(GRACE)).unwrap();
    assert!(stats.marked.bytes > 5 << 20, "{stats:?}");
    assert_eq!(stats.removed.packs, 0);
    assert!(world.packed() >= packed);
    assert_eq!(world.contents(), before);
    let report = world.report();
    assert_eq!(report.errors, [""; 0]);
    assert!(
        report.hints[0].contains("marked to be removed"),
        "{report:?}"
    );

    let waiting = world.prune(&with_grace(GRACE)).unwrap();
    assert_eq!((waiting.waiting, waiting.marked.packs), (stats.marked, 0));
    assert_eq!(waiting.removed.packs, 0);
    let done = world.prune(&with_grace(Duration::ZERO)).unwrap();
    assert_eq!(done.removed, stats.marked);
    assert_eq!(world.contents(), before);
    world.is_whole();
    assert_eq!(world.report().hints, [""; 0]);
    assert!(world.packed() < packed - (5 << 20));
}

#[test]
fn an_exclusive_prune_removes_what_is_marked() {
    let (world, snapshots) = World::with_history();
    world.forget(&snapshots[..3]);
    age(&world);
    let marked = world.prune(&with_grace(GRACE)).unwrap().marked;
    let stats = world.prune(&PruneOptions::default()).unwrap();
    assert_eq!(stats.removed, marked);
    world.is_whole();
}

#[test]
fn what_a_backup_may_be_about_to_refer_to_is_not_touched() {
    let (world, _) = World::with_history();
    age(&world);
    // A backup has stored all that it needs, but its snapshot is still to come.
    world.write("new", noise(55, 1 << 20));
    let slow = world.open();
    let tree = world.archive(&slow);
    let unindexed = world.path("repository/data/00").join("0".repeat(64));
    std::fs::write(&unindexed, b"on its way").unwrap();
    let stats = world.prune(&with_grace(GRACE)).unwrap();
    assert!(stats.young.packs >= 2, "{stats:?}");
    assert_eq!((stats.marked.packs, stats.unindexed.packs), (0, 0));
    world.save(&slow, tree);
    world.is_whole();
    assert!(unindexed.exists());
}

#[test]
fn a_marked_pack_that_is_needed_after_all_counts_again() {
    let world = World::new();
    let blob = noise(1, 1 << 20);
    world.write("file", &blob);
    let old = world.back_up();
    // A backup begins while the content is still known, …
    let slow = world.open();
    slow.load_index().unwrap();
    world.forget(&[old]);
    world.write("file", "another");
    world.back_up();
    age(&world);
    let marked = world.prune(&with_grace(GRACE)).unwrap().marked;
    assert!(marked.bytes > 1 << 20, "{marked:?}");
    // … and ends when it is marked, so that it relies on it. One that begins now stores it anew.
    world.write("file", &blob);
    let late = world.back_up_with(&slow);
    let id = copal_repository::BlobId::of(&blob[..0]);
    assert!(!world.open().has(BlobKind::Data, &id).unwrap());
    let before = world.contents();
    assert!(before.contains_key(&late), "it can be read all the same");
    let errors = world.report().errors;
    assert!(
        errors
            .iter()
            .any(|error| error.contains("`copal prune` takes that back")),
        "{errors:?}"
    );

    let stats = world.prune(&with_grace(Duration::ZERO)).unwrap();
    assert!(stats.recovered.bytes > 1 << 20, "{stats:?}");
    assert_eq!(world.contents(), before);
    world.is_whole();
}

#[test]
fn a_backup_that_begins_after_the_marking_stores_anew() {
    let world = World::new();
    let blob = noise(1, 1 << 20);
    world.write("file", &blob);
    let old = world.back_up();
    world.forget(&[old]);
    world.write("file", "another");
    world.back_up();
    age(&world);
    world.prune(&with_grace(GRACE)).unwrap();
    world.write("file", &blob);
    world.back_up();
    let before = world.contents();
    let stats = world.prune(&with_grace(Duration::ZERO)).unwrap();
    assert_eq!(stats.recovered.packs, 0);
    assert!(stats.removed.bytes > 1 << 20, "{stats:?}");
    assert_eq!(world.contents(), before);
    world.is_whole();
}

#[test]
fn others_may_work_meanwhile_but_nobody_exclusively() {
    let (world, _) = World::with_history();
    let backup = world.open();
    let writing = backup.lock(LockMode::Write).unwrap();
    world.prune(&with_grace(GRACE)).unwrap();
    drop(writing);
    let exclusive = backup.lock(LockMode::Exclusive).unwrap();
    let error = world.prune(&with_grace(GRACE)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Locked);
    drop(exclusive);
}

/// Marks of concurrent prunes, and index files that were not removed, do no harm: what counts anywhere counts.
#[test]
fn a_pack_that_is_marked_in_one_index_and_counts_in_another_counts() {
    let (world, snapshots) = World::with_history();
    world.forget(&snapshots[..3]);
    age(&world);
    let old = world.path("old index");
    crate::fixture::copy(&world.path("repository/index"), &old);
    world.prune(&with_grace(GRACE)).unwrap();
    crate::fixture::copy(&old, &world.path("repository/index"));
    let before = world.contents();
    world.is_whole();
    let stats = prune_in(&world.open(), &with_grace(Duration::ZERO)).unwrap();
    assert_eq!(stats.waiting.packs, 0);
    assert_eq!(world.contents(), before);
    world.is_whole();
    world.prune(&with_grace(Duration::ZERO)).unwrap();
    world.is_whole();
    assert_eq!(world.report().hints, [""; 0]);
}

#[test]
fn marks_are_kept_for_the_grace_and_for_as_long_as_marking_may_take() {
    let (world, snapshots) = World::with_history();
    world.forget(&snapshots[..3]);
    age(&world);
    let before = world.contents();
    let marked = world.prune(&with_grace(GRACE)).unwrap().marked;
    assert!(marked.packs > 0, "{marked:?}");
    world.age_marks(GRACE + Duration::from_secs(20 * 60));
    let waiting = world.prune(&with_grace(GRACE)).unwrap();
    assert_eq!((waiting.waiting, waiting.removed.packs), (marked, 0));
    world.age_marks(GRACE + Duration::from_secs(40 * 60));
    assert_eq!(world.prune(&with_grace(GRACE)).unwrap().removed, marked);
    assert_eq!(world.contents(), before);
    world.is_whole();
}

#[test]
fn a_grace_that_backups_outlast_is_only_for_who_is_alone() {
    let (world, snapshots) = World::with_history();
    world.forget(&snapshots[..3]);
    age(&world);
    let files = world.files("");
    let repository = world.open();
    let lock = repository.lock(LockMode::Write).unwrap();
    let options = with_grace(MIN_GRACE - Duration::from_secs(1));
    let refused = prune(&repository, &options, &lock, &Silent, &mut |_| {});
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Unsupported);
    drop(lock);
    assert_eq!(world.files(""), files);
    world.prune(&options).unwrap();
}

#[test]
fn a_pack_of_which_nobody_knows_when_it_was_written_is_young() {
    let (world, snapshots) = World::with_history();
    world.forget(&snapshots[..3]);
    for file in world.files("data") {
        let file = std::fs::File::open(file).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
    }
    let stats = world.prune(&with_grace(GRACE)).unwrap();
    assert_eq!((stats.marked.packs, stats.young), (0, stats.kept));
}
