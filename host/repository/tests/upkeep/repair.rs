use std::collections::BTreeMap;
use std::path::PathBuf;

use copal_repository::archiver::{ArchiveOptions, Archiver};
use copal_repository::progress::{ItemError, Silent};
use copal_repository::prune::{MaxUnused, PruneOptions};
use copal_repository::repair::{
    IndexRepair, IndexRepairOptions, PackRepair, PackRepairOptions, SnapshotRepair, repair_index,
    repair_packs,
};
use copal_repository::{ErrorKind, LockMode, PackId, SnapshotId, WriterOptions};

use crate::fixture::{World, contents, flip, marked, name, noise};

impl World {
    fn repair_index(&self, options: &IndexRepairOptions) -> IndexRepair {
        let repository = self.open();
        let lock = repository.lock(LockMode::Exclusive).unwrap();
        repair_index(&repository, options, &lock, &Silent).unwrap()
    }

    fn repair_packs(&self, packs: &[PathBuf]) -> PackRepair {
        let repository = self.open();
        let lock = repository.lock(LockMode::Exclusive).unwrap();
        let packs: Vec<PackId> = packs
            .iter()
            .map(|pack| name(pack).parse().unwrap())
            .collect();
        let options = PackRepairOptions {
            copies: self.directory.path().to_owned(),
            ..PackRepairOptions::default()
        };
        repair_packs(&repository, &packs, &options, &lock, &Silent).unwrap()
    }

    /// What each snapshot has lost. Damaged ones are replaced.
    pub(crate) fn repair_snapshots(&self) -> BTreeMap<SnapshotId, Vec<ItemError>> {
        let repository = self.open();
        let lock = repository.lock(LockMode::Exclusive).unwrap();
        let mut repair = SnapshotRepair::new(&repository, |path| path.ends_with(b".json")).unwrap();
        let writer = repository.writer(WriterOptions::default()).unwrap();
        let mut lost = BTreeMap::new();
        let mut mended = Vec::new();
        for (id, mut snapshot) in repository.snapshots().unwrap() {
            let losses = repair.losses(&snapshot.tree).unwrap();
            if !losses.is_empty() {
                snapshot.tree = repair.mend(&snapshot.tree, &[], Some(&writer)).unwrap();
                snapshot.original = Some(id);
                mended.push(snapshot);
            }
            lost.insert(id, losses);
        }
        writer.finish().unwrap();
        for snapshot in mended {
            repository.save_snapshot(&snapshot).unwrap();
        }
        let damaged = lost.iter().filter(|(_, losses)| !losses.is_empty());
        let damaged: Vec<_> = damaged.map(|(id, _)| *id).collect();
        repository.forget(&damaged, &lock).unwrap();
        lost
    }
}

#[test]
fn an_index_that_is_lost_is_made_anew_from_the_packs() {
    let (world, _) = World::with_history();
    let before = world.contents();
    world
        .files("index")
        .iter()
        .for_each(|file| std::fs::remove_file(file).unwrap());
    assert!(!world.report().errors.is_empty());
    let dry = world.repair_index(&IndexRepairOptions {
        dry_run: true,
        ..IndexRepairOptions::default()
    });
    assert_eq!(world.files("index").len(), 0);
    let packs = world.files("data").len();
    let report = world.repair_index(&IndexRepairOptions::default());
    assert_eq!((report.added.len(), report.read), (packs, packs as u64));
    assert_eq!(dry.added, report.added);
    assert_eq!(world.contents(), before);
    world.is_whole();
    assert!(world.repair_index(&IndexRepairOptions::default()).is_fine());
}

#[test]
fn only_packs_that_the_index_does_not_describe_are_read() {
    let (world, snapshots) = World::with_history();
    let before = world.contents();
    let indexes = world.files("index");
    flip(&indexes[0], 30);
    let report = world.repair_index(&IndexRepairOptions::default());
    assert_eq!(report.unreadable.len(), 1);
    assert!(
        report.unreadable[0].contains(&name(&indexes[0])),
        "{report:?}"
    );
    let packs = world.files("data").len() as u64;
    assert!((1..packs).contains(&report.read), "{report:?}");
    assert_eq!(report.added.len() as u64, report.read);
    assert!(!indexes[0].exists());
    assert_eq!(world.contents(), before);
    world.is_whole();

    let all = world.repair_index(&IndexRepairOptions {
        read_all_packs: true,
        ..IndexRepairOptions::default()
    });
    assert_eq!(all.read, packs);
    assert!(all.is_fine(), "{all:?}");
    assert_eq!(world.contents(), before);
    world.is_whole();

    // One that is gone leaves the index; nothing else does.
    let gone = world.packs_of(&snapshots[3], "home/own/large");
    std::fs::remove_file(&gone[0]).unwrap();
    let report = world.repair_index(&IndexRepairOptions::default());
    assert_eq!(report.missing, [name(&gone[0]).parse().unwrap()]);
    assert!(report.missing_blobs > 0);
    let errors = world.report().errors;
    assert!(
        errors.iter().all(|error| error.contains("is missing")),
        "{errors:?}"
    );
}

#[test]
fn a_pack_whose_header_is_damaged_stays_in_the_index_for_its_blobs() {
    let (world, snapshots) = World::with_history();
    let before = world.contents();
    let pack = world.packs_of(&snapshots[0], "home/own/large").remove(0);
    let length = std::fs::metadata(&pack).unwrap().len() as usize;
    flip(&pack, length - 20);
    let report = world.repair_index(&IndexRepairOptions {
        read_all_packs: true,
        ..IndexRepairOptions::default()
    });
    assert_eq!(report.damaged.len(), 1, "{report:?}");
    assert!(report.damaged[0].indexed);
    assert_eq!(world.contents(), before);
    let report = world.repair_packs(std::slice::from_ref(&pack));
    assert_eq!(report.lost.len(), 0);
    assert!(report.saved > 0 && !pack.exists());
    assert_eq!(world.contents(), before);
    world.is_whole();
}

#[test]
fn of_a_damaged_pack_all_other_blobs_are_saved() {
    let (world, snapshots) = World::with_history();
    let before = world.contents();
    let pack = world.packs_of(&snapshots[0], "home/own/large").remove(0);
    let whole = std::fs::read(&pack).unwrap();
    flip(&pack, 100);
    let damaged = std::fs::read(&pack).unwrap();
    let errors = world.report().errors;
    assert!(
        errors.iter().any(|error| error.contains(&name(&pack))),
        "{errors:?}"
    );
    let report = world.repair_packs(std::slice::from_ref(&pack));
    assert_eq!(report.lost.len(), 1, "{report:?}");
    assert!(report.saved > 1 && !report.lost[0].elsewhere);
    assert!(!pack.exists());
    assert_eq!(std::fs::read(&report.copies[0]).unwrap(), damaged);
    assert_ne!(damaged, whole);

    let lost = world.repair_snapshots();
    let count = lost.values().filter(|losses| !losses.is_empty()).count();
    assert!(count > 0, "{lost:?}");
    world.is_whole();
    // What was lost is named, and nothing else is missing.
    let repository = world.open();
    let after = world.contents();
    for (id, snapshot) in repository.snapshots().unwrap() {
        let old = snapshot.original.unwrap_or(id);
        let mut expected = before[&old].clone();
        let mut found = after[&id].clone();
        for loss in &lost[&old] {
            // What is left of it does not take its place.
            let left = format!("{}.repaired", loss.path);
            let (whole, part) = (expected.remove(&loss.path), found.remove(&left));
            assert!(whole.is_some() && part.is_some() && whole != part, "{loss}");
        }
        assert_eq!(found, expected);
    }
    assert!(world.repair_snapshots().values().all(Vec::is_empty));
    let everything = PruneOptions {
        max_unused: MaxUnused::Bytes(0),
        ..PruneOptions::default()
    };
    world.prune(&everything).unwrap();
    world.is_whole();
    assert_eq!(world.contents(), after);
}

#[test]
fn what_is_left_of_a_file_takes_nobodys_name_nor_place() {
    let world = World::new();
    // More than one piece, wherever it is cut.
    world.write("f", noise(1, 9 << 20));
    for beside in ["f.new", "f.repaired", "f.repaired~a", "g"] {
        world.write(beside, beside);
    }
    let id = world.back_up();
    let repository = world.open();
    let (_, snapshot) = repository.snapshot(&id.to_string()).unwrap();
    let node = copal_repository::walk::find(&repository, &snapshot.tree, b"home/f");
    let last = *node.unwrap().unwrap().content.last().unwrap();
    let kind = copal_repository::format::BlobKind::Data;
    let location = repository.locate(kind, &last).unwrap().unwrap();
    let pack = location.pack.to_string();
    let file = world.path("repository/data").join(&pack[..2]).join(&pack);
    flip(&file, location.offset as usize + 20);
    world.repair_packs(&[file]);
    let losses = world.repair_snapshots().remove(&id).unwrap();
    assert_eq!(losses[0].path, "home/f");
    world.is_whole();
    let repository = world.open();
    let (_, snapshot) = repository.snapshots().unwrap().remove(0);
    let home = copal_repository::walk::find(&repository, &snapshot.tree, b"home");
    let home = home.unwrap().unwrap().subtree.unwrap();
    let nodes = repository.load_tree(&home).unwrap().nodes;
    let names = nodes.iter().map(|node| String::from_utf8_lossy(&node.name));
    let names: Vec<_> = names.collect();
    let expected = ["f.new", "f.repaired", "f.repaired~", "f.repaired~a", "g"];
    assert_eq!(names, expected);
}

#[test]
fn a_pack_that_was_cut_off_gives_what_is_before_the_cut() {
    let (world, snapshots) = World::with_history();
    let pack = world.packs_of(&snapshots[0], "home/own/large").remove(0);
    let whole = std::fs::read(&pack).unwrap();
    std::fs::write(&pack, &whole[..whole.len() / 2]).unwrap();
    // Repairing the index first must not give up what it knows of the pack.
    let report = world.repair_index(&IndexRepairOptions::default());
    assert_eq!(report.damaged.len(), 1, "{report:?}");
    let report = world.repair_packs(&[pack]);
    assert!(report.saved > 0 && !report.lost.is_empty(), "{report:?}");
    world.repair_snapshots();
    world.is_whole();
}

#[test]
fn a_backup_stores_anew_the_listings_that_it_finds_damaged() {
    let world = World::new();
    world.write("deep/file", "file");
    let id = world.back_up();
    let repository = world.open();
    let (_, snapshot) = repository.snapshot(&id.to_string()).unwrap();
    let before = contents(&repository, &snapshot.tree);
    let node = copal_repository::walk::find(&repository, &snapshot.tree, b"home/deep");
    let listing = node.unwrap().unwrap().subtree.unwrap();
    let kind = copal_repository::format::BlobKind::Tree;
    let location = repository.locate(kind, &listing.into()).unwrap().unwrap();
    let pack = location.pack.to_string();
    let file = world.path("repository/data").join(&pack[..2]).join(&pack);
    flip(&file, location.offset as usize + 20);
    let again = world.open();
    let options = ArchiveOptions {
        parent: Some(snapshot.tree),
        ..ArchiveOptions::default()
    };
    let mut archiver = Archiver::new(&again, options, &Silent).unwrap();
    archiver.add_tree("home", &world.source(""), None).unwrap();
    let tree = archiver.finish().unwrap().tree;
    assert_eq!(tree, snapshot.tree);
    // So the damaged snapshot is whole, too.
    assert_eq!(contents(&world.open(), &snapshot.tree), before);
}

#[test]
fn lost_listings_leave_empty_directories_that_are_named() {
    let world = World::new();
    world.write("kept", "kept");
    world.write("lost/deep/file", "file");
    let id = world.back_up();
    let repository = world.open();
    let (_, snapshot) = repository.snapshot(&id.to_string()).unwrap();
    let find = |path: &[u8]| {
        let node = copal_repository::walk::find(&repository, &snapshot.tree, path);
        node.unwrap().unwrap()
    };
    let lost = find(b"home/lost").subtree.unwrap();
    // All listings lie in one pack, so the one that is to be lost gets a pack without it.
    let kind = copal_repository::format::BlobKind::Tree;
    let location = repository.locate(kind, &lost.into()).unwrap().unwrap();
    let pack = location.pack.to_string();
    let file = world.path("repository/data").join(&pack[..2]).join(&pack);
    flip(&file, location.offset as usize + 20);
    let report = world.repair_packs(&[file]);
    assert_eq!(report.lost.len(), 1);
    assert_eq!(
        world.prune(&PruneOptions::default()).unwrap_err().kind(),
        ErrorKind::Corrupt
    );
    let losses = world.repair_snapshots().remove(&id).unwrap();
    let paths: Vec<_> = losses.iter().map(|loss| loss.path.as_str()).collect();
    assert_eq!(paths, ["home/lost"]);
    world.is_whole();
    let after = world.contents().into_values().next().unwrap();
    let paths: Vec<_> = after.keys().map(String::as_str).collect();
    assert_eq!(paths, ["home", "home/kept", "home/lost"]);
}

#[test]
fn a_pack_of_which_nothing_is_known_is_left_as_it_is() {
    let (world, _) = World::with_history();
    let pack = world.path("repository/data/00").join("0".repeat(64));
    std::fs::write(&pack, [7; 1_000]).unwrap();
    let repository = world.open();
    let lock = repository.lock(LockMode::Exclusive).unwrap();
    let options = PackRepairOptions {
        copies: world.directory.path().to_owned(),
        ..PackRepairOptions::default()
    };
    let packs = [name(&pack).parse().unwrap()];
    let error = repair_packs(&repository, &packs, &options, &lock, &Silent).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("no index says"), "{error}");
    assert!(pack.exists());
}

#[test]
fn an_earlier_copy_of_a_pack_is_never_written_over() {
    let (world, snapshots) = World::with_history();
    let pack = world.packs_of(&snapshots[0], "home/own/large").remove(0);
    flip(&pack, 100);
    let damaged = std::fs::read(&pack).unwrap();
    let earlier = world.path(&format!("pack-{}", name(&pack)));
    std::fs::write(&earlier, "worth more").unwrap();
    let report = world.repair_packs(std::slice::from_ref(&pack));
    assert_eq!(std::fs::read(&earlier).unwrap(), b"worth more");
    let copy = world.path(&format!("pack-{}.1", name(&pack)));
    assert_eq!(report.copies, std::slice::from_ref(&copy));
    assert_eq!(std::fs::read(&copy).unwrap(), damaged);
    // The same once more needs no other copy.
    std::fs::write(&pack, &damaged).unwrap();
    let report = world.repair_packs(std::slice::from_ref(&pack));
    assert_eq!(report.copies, [copy]);
    assert!(!pack.exists());
}

#[test]
fn what_the_index_says_of_packs_that_are_marked_is_proved_too() {
    let (world, snapshots) = World::with_history();
    world.forget(&snapshots[..3]);
    let everything = PruneOptions {
        max_unused: MaxUnused::Bytes(0),
        two_phase: Some(std::time::Duration::ZERO),
        ..PruneOptions::default()
    };
    let count = world.prune(&everything).unwrap().marked.packs;
    assert!(count > 0);
    let packs = world.files("data").len() as u64;
    let options = IndexRepairOptions {
        read_all_packs: true,
        ..IndexRepairOptions::default()
    };
    let report = world.repair_index(&options);
    assert!(report.is_fine() && report.read == packs, "{report:?}");
    let mut wrong = None;
    for file in world.files("index") {
        world.forge(&file, |index| {
            for pack in marked(index) {
                if wrong.is_none() {
                    pack["blobs"][0]["id"] = "0".repeat(64).into();
                    wrong = pack["id"].as_str().map(str::to_owned);
                }
            }
        });
    }
    let report = world.repair_index(&options);
    assert_eq!(report.corrected, [wrong.unwrap().parse().unwrap()]);
    assert!(world.repair_index(&options).is_fine());
    let hints = world.report().hints;
    assert!(hints[0].contains("marked to be removed"), "{hints:?}");
    let removed = world.prune(&everything).unwrap().removed.packs;
    assert_eq!(removed, count);
    world.is_whole();
}

#[test]
fn a_strange_pack_is_refused_and_a_missing_one_only_leaves_the_index() {
    let (world, snapshots) = World::with_history();
    let repository = world.open();
    let lock = repository.lock(LockMode::Exclusive).unwrap();
    let options = PackRepairOptions::default();
    let strange = [PackId([1; 32])];
    let error = repair_packs(&repository, &strange, &options, &lock, &Silent).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    drop(lock);
    let pack = world.packs_of(&snapshots[0], "home/own/large").remove(0);
    std::fs::remove_file(&pack).unwrap();
    let report = world.repair_packs(&[pack]);
    assert_eq!(report.missing.len(), 1);
    assert!(!report.lost.is_empty());
    world.repair_snapshots();
    world.is_whole();
}
