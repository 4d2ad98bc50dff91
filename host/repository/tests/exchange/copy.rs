use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use copal_repository::copy::{Copied, CopyOptions, CopyReport, copy};
use copal_repository::format::BlobKind;
use copal_repository::progress::{Progress, Silent};
use copal_repository::walk::{Next, dump, find, walk};
use copal_repository::{BlobId, ErrorKind, LockMode, Repository, SnapshotId, TreeId};

use crate::fixture::{World, back_up, files, have_restic, noise, succeeds};

/// Copies all snapshots.
fn copy_all(source: &Repository, target: &Repository, dry_run: bool) -> CopyReport {
    let snapshots = source.snapshots().unwrap();
    let guard = target.lock(LockMode::Write).unwrap();
    let options = CopyOptions {
        dry_run,
        ..CopyOptions::default()
    };
    copy(source, target, snapshots, &guard, &options, &Silent).unwrap()
}

/// How many snapshots were copied, were there, would be copied and were damaged.
fn count(report: &CopyReport) -> [usize; 4] {
    let mut count = [0; 4];
    for outcome in &report.snapshots {
        count[match outcome.copied {
            Copied::Copied { .. } => 0,
            Copied::Present { .. } => 1,
            Copied::Planned => 2,
            Copied::Damaged { .. } => 3,
        }] += 1;
    }
    count
}

/// Files that compress, do not compress, are small, and are empty.
fn source_files(world: &World) {
    let lines = (0..200_000).map(|line| format!("{line}: all work and no play\n"));
    world.write("source/text", lines.collect::<String>());
    world.write("source/noise", noise(1, 9 << 20));
    world.write("source/empty", "");
    for index in 0..200 {
        world.write(&format!("source/many/{index}/file"), format!("{index}"));
    }
}

/// All contents of a snapshot, by their paths.
fn contents(repository: &Repository, tree: &TreeId) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut all = Vec::new();
    walk(repository, tree, &mut |path, node| {
        let mut content = Vec::new();
        if node.subtree.is_none() {
            dump(repository, node, &mut content).unwrap();
        }
        all.push((path.to_vec(), content));
        Ok(Next::Continue)
    })
    .unwrap();
    all
}

fn tree_of(repository: &Repository, id: &SnapshotId) -> TreeId {
    repository.snapshot(&id.to_string()).unwrap().1.tree
}

#[test]
fn snapshots_are_copied_into_another_repository_and_compressed_data_as_it_is() {
    let world = World::new();
    source_files(&world);
    let source = world.init("source repository");
    let first = back_up(&source, &world.path("source"));
    world.write("source/new", "since then");
    back_up(&source, &world.path("source"));
    let target = world.init("target repository");

    let planned = copy_all(&source, &target, true);
    assert_eq!(count(&planned), [0, 0, 2, 0]);
    assert!(target.snapshots().unwrap().is_empty());
    assert!(files(&world.path("target repository/data")).is_empty());

    let report = copy_all(&source, &target, false);
    assert_eq!(count(&report), [2, 0, 0, 0]);
    assert_eq!(report.added, planned.added, "not what was planned");
    assert!(!report.same_chunks);
    world.is_whole("target repository");

    let target = world.open("target repository");
    let (copies, originals) = (target.snapshots().unwrap(), source.snapshots().unwrap());
    for ((_, copy), (id, original)) in copies.iter().zip(&originals) {
        assert_eq!((copy.original, copy.parent), (Some(*id), None));
        assert_eq!((copy.time, copy.tree), (original.time, original.tree));
        assert_eq!((&copy.tags, &copy.paths), (&original.tags, &original.paths));
    }
    let tree = tree_of(&source, &first);
    assert!(contents(&source, &tree) == contents(&target, &tree));
    let node = find(&source, &tree, b"home/text").unwrap().unwrap();
    let stored = |repository: &Repository, id: &BlobId| {
        let location = repository.locate(BlobKind::Data, id).unwrap().unwrap();
        (location.length, location.uncompressed_length)
    };
    for id in &node.content {
        assert_eq!(stored(&source, id), stored(&target, id));
        assert!(stored(&source, id).1.is_some(), "it is not compressed");
    }

    let again = copy_all(&source, &target, false);
    assert_eq!(count(&again), [0, 2, 0, 0]);
    assert_eq!(again.added, Default::default());
    // A copy of a copy is known by its original, also where it came from.
    let back = copy_all(&target, &source, false);
    assert_eq!(count(&back), [0, 2, 0, 0]);
    let third = world.init("third repository");
    copy_all(&target, &third, false);
    assert_eq!(count(&copy_all(&source, &third, false)), [0, 2, 0, 0]);
}

#[test]
fn restic_proves_restores_and_knows_what_was_copied_and_copal_what_restic_copied() {
    if !have_restic() {
        return;
    }
    let world = World::new();
    source_files(&world);
    let source_path = world.path("source");
    world.restic("from", &["init"]);
    world.restic(
        "from",
        &["backup", "--tag", "a,b", source_path.to_str().unwrap()],
    );
    let from = world.open("from");
    let to = world.init_like("to", Some(&from));
    let polynomial = |name| {
        let config = world.restic(name, &["cat", "config"]);
        let config: serde_json::Value = serde_json::from_str(&config).unwrap();
        config["chunker_polynomial"].clone()
    };
    assert_eq!(polynomial("to"), polynomial("from"));

    let report = copy_all(&from, &to, false);
    assert_eq!((count(&report), report.same_chunks), ([1, 0, 0, 0], true));
    world.is_whole("to");
    let out = world.path("out");
    world.restic(
        "to",
        &["restore", "latest", "--target", out.to_str().unwrap()],
    );
    let restored = out.join(source_path.strip_prefix("/").unwrap());
    for file in files(&source_path) {
        let name = file.strip_prefix(&source_path).unwrap();
        assert!(
            fs::read(&file).unwrap() == fs::read(restored.join(name)).unwrap(),
            "{name:?}"
        );
    }

    // The same chunks: what restic backs up here is what was copied.
    let backup = world.restic("to", &["backup", "--json", source_path.to_str().unwrap()]);
    let summary: serde_json::Value = serde_json::from_str(backup.lines().last().unwrap()).unwrap();
    assert_eq!(summary["data_blobs"], 0, "{backup}");

    let restic_copy = |from: &str, to: &str| {
        let mut command = world.restic_as(to, to, &["copy", "--from-repo"]);
        command
            .arg(world.path(from))
            .env("RESTIC_FROM_PASSWORD", from);
        succeeds(command)
    };
    let snapshots = |name| world.open(name).snapshots().unwrap().len();
    restic_copy("from", "to");
    assert_eq!(snapshots("to"), 2, "restic copied what had been copied");
    world.restic("third", &["init"]);
    restic_copy("to", "third");
    let third = world.open("third");
    assert_eq!(
        count(&copy_all(&world.open("to"), &third, false)),
        [0, 2, 0, 0]
    );
    assert_eq!(count(&copy_all(&from, &third, false)), [0, 1, 0, 0]);
    world.is_whole("third");
}

#[test]
fn both_versions_of_the_format_are_copied_into_each_other() {
    if !have_restic() {
        return;
    }
    let world = World::new();
    source_files(&world);
    for (name, version) in [
        ("one", "1"),
        ("two", "2"),
        ("into one", "1"),
        ("into two", "2"),
    ] {
        world.restic(name, &["init", "--repository-version", version]);
    }
    let source = world.path("source");
    for (from, to) in [("one", "into two"), ("two", "into one")] {
        world.restic(from, &["backup", source.to_str().unwrap()]);
        copy_all(&world.open(from), &world.open(to), false);
        world.is_whole(to);
        let [from, to] = [from, to].map(|name| world.open(name));
        let tree = to.snapshots().unwrap()[0].1.tree;
        assert!(contents(&from, &tree) == contents(&to, &tree));
    }
    let size = |name: &str| {
        let files = files(&world.path(name).join("data"));
        files
            .iter()
            .map(|file| file.metadata().unwrap().len())
            .sum::<u64>()
    };
    assert!(
        size("into one") > size("into two") + (4 << 20),
        "format 1 has no compression"
    );
}

#[test]
fn what_is_damaged_is_named_and_does_not_keep_the_rest_from_being_copied() {
    let world = World::new();
    world.write("good/shared/file", noise(7, 1 << 20));
    world.write("bad/shared/file", noise(7, 1 << 20));
    world.write("bad/other", noise(8, 3 << 20));
    let source = world.init("source");
    let bad = back_up(&source, &world.path("bad"));
    let before = files(&world.path("source/data"));
    let good = back_up(&source, &world.path("good"));
    // The pack of `other`; `shared` lies in it too, so it must be one that the first run wrote: of data, and the largest.
    let pack = before
        .iter()
        .max_by_key(|file| file.metadata().unwrap().len());
    let pack = pack.unwrap();
    let tree = tree_of(&source, &bad);
    let node = find(&source, &tree, b"home/other").unwrap().unwrap();
    let location = source.locate(BlobKind::Data, &node.content[0]).unwrap();
    let offset = location.unwrap().offset as usize + 20;
    let mut bytes = fs::read(pack).unwrap();
    bytes[offset] ^= 1;
    fs::write(pack, bytes).unwrap();

    let source = world.open("source");
    let target = world.init("target");
    let report = copy_all(&source, &target, false);
    assert_eq!(count(&report), [1, 0, 0, 1]);
    let Copied::Damaged { reason } = &report.snapshots[0].copied else {
        panic!("{report:?}");
    };
    let name = pack.file_name().unwrap().to_str().unwrap();
    assert!(reason.contains(name), "{reason}");
    assert_eq!(report.snapshots[1].id, good);
    world.is_whole("target");
    let copies = world.open("target").snapshots().unwrap();
    assert_eq!(copies[0].1.original, Some(good));
}

#[test]
fn an_interrupted_copy_leaves_no_snapshot_and_goes_on_from_where_it_was() {
    struct Cancel(Arc<AtomicBool>);
    impl Progress for Cancel {
        fn advance(&self, _: u64, bytes: u64) {
            self.0.fetch_or(bytes > 1 << 19, Ordering::Relaxed);
        }
    }
    let world = World::new();
    for index in 0..24 {
        world.write(&format!("source/{index}"), noise(100 + index, 3 << 20));
    }
    let source = world.init("source repository");
    back_up(&source, &world.path("source"));
    let target = world.init("target");
    let cancel = Arc::new(AtomicBool::new(false));
    let options = CopyOptions {
        cancel: Arc::clone(&cancel),
        ..CopyOptions::default()
    };
    let guard = target.lock(LockMode::Write).unwrap();
    let snapshots = source.snapshots().unwrap();
    let copied = copy(
        &source,
        &target,
        snapshots,
        &guard,
        &options,
        &Cancel(cancel),
    );
    assert_eq!(copied.unwrap_err().kind(), ErrorKind::Interrupted);
    drop(guard);
    world.is_whole("target");
    let target = world.open("target");
    assert!(target.snapshots().unwrap().is_empty());
    assert_eq!(count(&copy_all(&source, &target, false)), [1, 0, 0, 0]);
    world.is_whole("target");
}

#[test]
fn where_one_copy_of_a_blob_is_damaged_another_is_copied() {
    let world = World::new();
    world.write("source/file", noise(1, 100_000));
    // Two that don't know of each other store it twice.
    let repositories = [world.init("from"), world.open("from")];
    for repository in &repositories {
        repository.load_index().unwrap();
    }
    for repository in &repositories {
        back_up(repository, &world.path("source"));
    }
    let from = world.open("from");
    let (_, snapshot) = from.snapshot("latest").unwrap();
    let file = find(&from, &snapshot.tree, b"home/file").unwrap().unwrap();
    let location = from.locate(BlobKind::Data, &file.content[0]);
    let location = location.unwrap().unwrap();
    let pack = location.pack.to_string();
    let pack = world.path(&format!("from/data/{}/{pack}", &pack[..2]));
    let mut bytes = fs::read(&pack).unwrap();
    bytes[location.offset as usize + 30] ^= 1;
    fs::remove_file(&pack).unwrap();
    fs::write(&pack, bytes).unwrap();
    let target = world.init("to");
    assert_eq!(count(&copy_all(&from, &target, false)), [2, 0, 0, 0]);
    world.is_whole("to");
}
