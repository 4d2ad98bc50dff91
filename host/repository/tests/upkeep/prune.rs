use std::sync::atomic::Ordering;

use copal_repository::format::snapshot::Snapshot;
use copal_repository::format::tree::{Node, NodeKind, Tree};
use copal_repository::format::{BlobKind, Timestamp};
use copal_repository::prune::{MaxUnused, PruneOptions};
use copal_repository::{ErrorKind, LockMode, WriterOptions};

use crate::fixture::{World, flip, name, noise};

fn thorough() -> PruneOptions {
    PruneOptions {
        max_unused: MaxUnused::Bytes(0),
        ..PruneOptions::default()
    }
}

#[test]
fn what_no_snapshot_needs_is_gone_and_the_rest_is_as_it_was() {
    let (world, snapshots) = World::with_history();
    world.forget(&snapshots[..3]);
    let before = world.contents();
    let stats = world.prune(&thorough()).unwrap();
    assert!(stats.unused.bytes > 5 << 20, "{stats:?}");
    assert_eq!(stats.unused_after, 0);
    assert_eq!(world.contents(), before);
    world.is_whole();
    // What is left is what is needed and next to nothing else.
    let estimated = stats.bytes_after.abs_diff(world.packed());
    assert!(estimated < 1_000, "{stats:?} {}", world.packed());
    assert!(world.packed() < stats.used.bytes + 10_000);
    let again = world.prune(&thorough()).unwrap();
    assert_eq!(
        (again.unused.blobs, again.removed.packs),
        (0, 0),
        "{again:?}"
    );
}

#[test]
fn a_dry_run_tells_the_same_and_changes_nothing() {
    let (world, snapshots) = World::with_history();
    let files = world.files("");
    let dry = PruneOptions {
        dry_run: true,
        without: snapshots[..3].to_vec(),
        ..thorough()
    };
    let told = world.prune(&dry).unwrap();
    assert_eq!(world.files(""), files);
    world.forget(&snapshots[..3]);
    let mut done = world.prune(&thorough()).unwrap();
    done.dry_run = true;
    assert_eq!(told, done);
}

#[test]
fn limits_bound_what_is_written_anew() {
    let (world, snapshots) = World::with_history();
    world.forget(&snapshots[..3]);
    let dry = |options: PruneOptions| {
        let dry_run = true;
        world.prune(&PruneOptions { dry_run, ..options }).unwrap()
    };
    let all = dry(thorough());
    // How many depends on which thread filled which pack.
    assert!(all.repacked.packs > 0, "{all:?}");
    let unlimited = dry(PruneOptions {
        max_unused: MaxUnused::Unlimited,
        ..PruneOptions::default()
    });
    // Listings of directories are always worth it.
    assert!(unlimited.repacked.bytes < 1 << 20, "{unlimited:?}");
    let cacheable = dry(PruneOptions {
        repack_cacheable_only: true,
        ..thorough()
    });
    assert_eq!(cacheable.repacked, unlimited.repacked);
    let none = dry(PruneOptions {
        max_repack: Some(0),
        ..thorough()
    });
    assert_eq!((none.repacked.packs, none.unneeded), (0, all.unneeded));
}

#[test]
fn of_several_copies_of_a_blob_one_stays() {
    let world = World::new();
    world.write("large", noise(1, 3 << 20));
    // Two that don't know of each other.
    let [one, other] = [world.open(), world.open()];
    for repository in [&one, &other] {
        repository.load_index().unwrap();
    }
    world.back_up_with(&one);
    world.back_up_with(&other);
    let before = world.contents();
    let stats = world.prune(&thorough()).unwrap();
    assert!(stats.duplicate.bytes >= 3 << 20, "{stats:?}");
    assert_eq!(stats.duplicate, stats.unused);
    assert_eq!(world.contents(), before);
    world.is_whole();
    assert!(world.packed() < (3 << 20) + 10_000);
}

#[test]
fn many_small_packs_are_joined_and_few_are_left_alone() {
    let world = World::new();
    for version in 0..9 {
        world.write("file", noise(version, 10_000));
        world.back_up();
    }
    let packs = world.files("data").len();
    let stats = world.prune(&PruneOptions::default()).unwrap();
    // Nine of contents and nine of listings.
    assert_eq!((stats.kept.packs, stats.repacked.packs), (0, 18));
    assert_eq!((packs, world.files("data").len()), (18, 2));
    world.is_whole();
    world.write("file", "another");
    world.back_up();
    let stats = world.prune(&PruneOptions::default()).unwrap();
    assert_eq!((stats.kept.packs, stats.repacked.packs), (4, 0));
}

#[test]
fn an_exclusive_lock_is_asked_for() {
    let (world, _) = World::with_history();
    let repository = world.open();
    let lock = repository.lock(LockMode::Write).unwrap();
    let refused = copal_repository::prune::prune(
        &repository,
        &thorough(),
        &lock,
        &copal_repository::progress::Silent,
        &mut |_| {},
    );
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Unsupported);
    // And whoever holds any other keeps a prune away.
    assert_eq!(
        world.prune(&thorough()).unwrap_err().kind(),
        ErrorKind::Locked
    );
}

#[test]
fn where_anything_is_missing_nothing_is_removed() {
    let (world, snapshots) = World::with_history();
    world.forget(&snapshots[..2]);
    let needed = world.packs_of(&snapshots[3], "home/own/large");
    let spoil: [(&str, &dyn Fn()); 4] = [
        ("a pack is gone", &|| {
            std::fs::remove_file(&needed[0]).unwrap()
        }),
        ("a pack is short", &|| {
            let bytes = std::fs::read(&needed[0]).unwrap();
            std::fs::write(&needed[0], &bytes[..bytes.len() - 1]).unwrap();
        }),
        ("an index is damaged", &|| {
            flip(&world.files("index")[0], 40)
        }),
        ("a snapshot is damaged", &|| {
            flip(&world.files("snapshots")[0], 40)
        }),
    ];
    let whole = world.path("whole");
    crate::fixture::copy(&world.path("repository"), &whole);
    for (what, spoil) in spoil {
        spoil();
        let files = world.files("");
        let error = world.prune(&thorough()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{what}: {error}");
        assert_eq!(world.files(""), files, "{what}");
        if what.contains("pack") {
            assert!(error.to_string().contains(&name(&needed[0])), "{error}");
        }
        std::fs::remove_dir_all(world.path("repository")).unwrap();
        crate::fixture::copy(&whole, &world.path("repository"));
    }
    world.prune(&thorough()).unwrap();
}

#[test]
fn what_is_missing_and_not_needed_leaves_the_index() {
    let (world, snapshots) = World::with_history();
    let old = world.packs_of(&snapshots[0], "home/own/large");
    world.forget(&snapshots[..1]);
    let shared = world.packs_of(&snapshots[1], "home/same/large");
    let own: Vec<_> = old.iter().filter(|pack| !shared.contains(pack)).collect();
    // The first snapshot stored what all share in the same packs, so make one of its own.
    assert!(own.is_empty());
    world.write("alone", noise(77, 1 << 20));
    let alone = world.back_up();
    let packs = world.packs_of(&alone, "home/alone");
    world.forget(&[alone]);
    packs
        .iter()
        .for_each(|pack| std::fs::remove_file(pack).unwrap());
    let before = world.contents();
    let stats = world.prune(&PruneOptions::default()).unwrap();
    assert_eq!(stats.absent, packs.len() as u64);
    assert_eq!(world.contents(), before);
    world.is_whole();
}

#[test]
fn what_an_interrupted_backup_left_is_removed() {
    let (world, _) = World::with_history();
    let pack = world.path("repository/data/00").join("0".repeat(64));
    std::fs::write(&pack, b"half a pack").unwrap();
    let unfinished = pack.with_file_name(format!("{}#1", "1".repeat(64)));
    std::fs::write(&unfinished, b"not even that").unwrap();
    let hints = world.report().hints;
    assert!(hints[0].contains("copal prune"), "{hints:?}");
    let stats = world.prune(&PruneOptions::default()).unwrap();
    assert_eq!((stats.unindexed.packs, stats.unindexed.bytes), (1, 11));
    assert_eq!((stats.unfinished.packs, stats.unfinished.bytes), (1, 13));
    assert!(!pack.exists() && !unfinished.exists());
    assert_eq!(world.report().hints, [""; 0]);
}

#[test]
fn a_damaged_blob_ends_a_prune_before_anything_is_removed_unless_there_is_another_copy() {
    let world = World::new();
    let blobs = [noise(1, 1 << 20), noise(2, 1 << 20)];
    let save = |repository: &copal_repository::Repository, blobs: &[Vec<u8>]| {
        let writer = repository.writer(WriterOptions::default()).unwrap();
        let mut node = Node::new("file", NodeKind::File);
        for blob in blobs {
            node.content
                .push(writer.store(BlobKind::Data, blob).unwrap().id);
            node.size += blob.len() as u64;
        }
        let tree = Tree { nodes: vec![node] }.encode();
        let tree = writer.store(BlobKind::Tree, &tree).unwrap().id;
        writer.finish().unwrap();
        let snapshot = Snapshot::new(Timestamp::now(), tree.into());
        repository.save_snapshot(&snapshot).unwrap()
    };
    let other = world.open();
    other.load_index().unwrap();
    let both = save(&world.open(), &blobs);
    let one = save(&world.open(), &blobs[..1]);
    let pack = world.packs_of(&one, "file");
    world.forget(&[both]);
    flip(&pack[0], 1_000);
    let files = world.files("");
    let error = world.prune(&thorough()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    let left = world.files("");
    assert!(files.iter().all(|file| left.contains(file)), "{error}");
    // Another process stored the same again, so nothing is lost.
    save(&other, &blobs[..1]);
    world.prune(&thorough()).unwrap();
    world.is_whole();
    assert_eq!(world.contents().len(), 2);
}

#[test]
fn a_prune_that_is_cancelled_leaves_the_repository_whole() {
    let (world, snapshots) = World::with_history();
    world.forget(&snapshots[..3]);
    let before = world.contents();
    let options = PruneOptions::default();
    options.cancel.store(true, Ordering::Relaxed);
    let error = world.prune(&options).unwrap_err();
    assert_eq!(error.kind(), copal_repository::ErrorKind::Interrupted);
    assert_eq!(world.contents(), before);
    world.is_whole();
}
