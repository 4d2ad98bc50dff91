use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, SystemTime};

use copal_repository::progress::Silent;
use copal_repository::prune::{GRACE, MaxUnused, PruneOptions};
use copal_repository::repair::{IndexRepairOptions, repair_index};
use copal_repository::{LockMode, UnlockOptions};

use crate::fixture::{PASSWORD, World, copy, files, flip, name, noise};

pub(crate) fn have_restic() -> bool {
    copal_tests::programs::require("restic", "restic").is_some()
}

impl World {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("restic");
        command
            .arg("--repo")
            .arg(self.path("repository"))
            .arg("--no-cache")
            .args(arguments)
            .current_dir(self.directory.path())
            .env("RESTIC_PASSWORD", PASSWORD);
        command
    }

    fn output(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    #[track_caller]
    pub(crate) fn restic(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments);
        let error = String::from_utf8_lossy(&output.stderr);
        let out = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success(),
            "restic {arguments:?}: {out}{error}"
        );
        out.into_owned()
    }

    /// restic finds nothing wrong, and restores every snapshot to what it held.
    #[track_caller]
    fn restic_restores(
        &self,
        contents: &BTreeMap<copal_repository::SnapshotId, BTreeMap<String, String>>,
    ) {
        let checked = self.restic(&["check", "--read-data"]);
        assert!(checked.contains("no errors were found"), "{checked}");
        assert_eq!(self.contents(), *contents);
        for (id, expected) in contents {
            let target = self.path("restored");
            let to = target.to_str().unwrap();
            self.restic(&["restore", &id.to_string(), "--target", to]);
            let restored = files(&target).into_iter().map(|file| {
                let digest = copal_repository::BlobId::of(&std::fs::read(&file).unwrap());
                let path = file
                    .strip_prefix(&target)
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned();
                (path, digest.to_string())
            });
            let restored: BTreeMap<_, _> = restored.collect();
            let expected = expected.iter().filter_map(|(path, about)| {
                let digest = about.strip_prefix("file ")?.split(' ').nth(1)?;
                Some((path.clone(), digest.to_owned()))
            });
            assert_eq!(restored, expected.collect());
            std::fs::remove_dir_all(target).unwrap();
        }
    }
}

fn thorough() -> PruneOptions {
    PruneOptions {
        max_unused: MaxUnused::Bytes(0),
        ..PruneOptions::default()
    }
}

#[test]
fn restic_proves_and_restores_what_a_prune_leaves_and_either_goes_on_after_the_other() {
    if !have_restic() {
        return;
    }
    let (world, snapshots) = World::with_history();
    world.forget(&snapshots[..2]);
    let before = world.contents();
    world.prune(&PruneOptions::default()).unwrap();
    world.restic_restores(&before);
    // restic finds next to nothing left to do, …
    world.restic(&["prune"]);
    world.restic_restores(&before);
    // … and what it leaves of its own work is ours to prune.
    for version in 0..4 {
        world.write("own/large", noise(1_000 + version, 2 << 20));
        world.restic(&["backup", "--host", "h", "source"]);
    }
    world.restic(&[
        "forget",
        "--keep-last",
        "2",
        "--group-by",
        "paths",
        "--prune",
    ]);
    let both = world.open().snapshots().unwrap();
    assert_eq!(both.len(), 4);
    world.forget(&[both[0].0, both[3].0]);
    let before = world.contents();
    let stats = world.prune(&thorough()).unwrap();
    assert!(stats.unused.bytes > 0, "{stats:?}");
    world.restic_restores(&before);
    world.restic(&["prune"]);
    world.restic_restores(&before);
}

/// The numbers behind `word` in what restic says: blobs or packs.
fn number(text: &str, word: &str, unit: &str) -> u64 {
    let lines = text
        .lines()
        .filter(|line| line.starts_with(word) && line.contains(unit));
    let number = lines.map(|line| line[word.len()..].split_whitespace().next().unwrap());
    number
        .map(|number| number.parse::<u64>().unwrap())
        .next()
        .unwrap_or_else(|| panic!("{word} {unit}: {text}"))
}

#[test]
fn restic_would_decide_the_same() {
    if !have_restic() {
        return;
    }
    let (world, snapshots) = World::with_history();
    for version in 0..12 {
        world.write(&format!("small/{version}"), noise(version, 1_000));
        world.back_up();
    }
    world.forget(&snapshots[..3]);
    let limit = |text: &str| text.parse::<MaxUnused>().unwrap();
    for (arguments, options) in [
        (&[][..], PruneOptions::default()),
        (&["--max-unused", "0"], thorough()),
        (
            &["--max-unused", "unlimited"],
            PruneOptions {
                max_unused: MaxUnused::Unlimited,
                ..PruneOptions::default()
            },
        ),
        (
            &["--max-unused", "60%"],
            PruneOptions {
                max_unused: limit("60%"),
                ..PruneOptions::default()
            },
        ),
        (
            &["--max-unused", "0", "--repack-cacheable-only"],
            PruneOptions {
                repack_cacheable_only: true,
                ..thorough()
            },
        ),
        (
            &["--max-unused", "0", "--max-repack-size", "4M"],
            PruneOptions {
                max_repack: Some(4 << 20),
                ..thorough()
            },
        ),
        (
            &["--repack-small"],
            PruneOptions {
                repack_small: true,
                ..PruneOptions::default()
            },
        ),
    ] {
        let said = world.restic(&[&["prune", "--dry-run", "--verbose=2"], arguments].concat());
        let dry_run = true;
        let ours = world.prune(&PruneOptions { dry_run, ..options }).unwrap();
        let theirs = [
            ("used:", "blobs", ours.used.blobs),
            ("unused:", "blobs", ours.unused.blobs - ours.duplicate.blobs),
            ("this removes:", "blobs", ours.repack_drops.blobs),
            ("to keep:", "packs", ours.kept.packs),
            ("to repack:", "packs", ours.repacked.packs),
            ("to delete:", "packs", ours.unneeded.packs),
        ];
        for (word, unit, ours) in theirs {
            assert_eq!(
                ours,
                number(&said, word, unit),
                "{arguments:?} {word}\n{said}"
            );
        }
    }
}

#[test]
fn restic_reads_a_repository_with_marked_packs_and_prunes_them() {
    if !have_restic() {
        return;
    }
    let marked = || {
        let (world, snapshots) = World::with_history();
        world.forget(&snapshots[..3]);
        let then = SystemTime::now() - Duration::from_secs(2 * 24 * 60 * 60);
        for file in world.files("data") {
            std::fs::File::open(file)
                .unwrap()
                .set_modified(then)
                .unwrap();
        }
        let before = world.contents();
        let options = PruneOptions {
            two_phase: Some(GRACE),
            ..thorough()
        };
        assert!(world.prune(&options).unwrap().marked.packs > 0);
        world.restic_restores(&before);
        (world, before)
    };
    let (world, before) = marked();
    world.restic(&["prune"]);
    world.restic_restores(&before);
    assert_eq!(world.report().hints, [""; 0]);
    world.prune(&thorough()).unwrap();
    world.restic_restores(&before);

    // To restic's index repair they are packs like all others.
    let (world, before) = marked();
    world.restic(&["rebuild-index"]);
    world.is_whole();
    world.prune(&thorough()).unwrap();
    world.restic_restores(&before);
}

#[test]
fn a_repository_of_format_1_is_pruned_and_compressed_once_it_is_upgraded() {
    if !have_restic() {
        return;
    }
    let world = World::without_repository();
    world.restic(&["init", "--repository-version", "1"]);
    for version in 0..3 {
        world.write("text", format!("line of {version}\n").repeat(100_000));
        world.write("noise", noise(version, 1 << 20));
        world.restic(&["backup", "source"]);
    }
    let snapshots = world.open().snapshots().unwrap();
    world.forget(&[snapshots[0].0]);
    let before = world.contents();
    world.prune(&thorough()).unwrap();
    world.restic(&["check", "--read-data"]);
    world.restic(&["migrate", "upgrade_repo_v2"]);
    let packed = world.packed();
    let uncompressed = PruneOptions {
        repack_uncompressed: true,
        ..thorough()
    };
    let stats = world.prune(&uncompressed).unwrap();
    assert!(stats.repacked.packs > 0, "{stats:?}");
    assert!(
        world.packed() < packed - 1_000_000,
        "{packed} {}",
        world.packed()
    );
    assert_eq!(world.contents(), before);
    world.restic(&["check", "--read-data"]);
    let again = world.prune(&uncompressed).unwrap();
    assert_eq!(again.repacked.packs, 0, "{again:?}");
}

#[test]
fn restic_accepts_what_was_repaired() {
    if !have_restic() {
        return;
    }
    let (world, snapshots) = World::with_history();
    let whole = world.path("whole");
    copy(&world.path("repository"), &whole);
    let packs = world.packs_of(&snapshots[0], "home/own/large");
    let shared = world.packs_of(&snapshots[3], "home/own/large");
    let spoil: [(&str, &dyn Fn()); 5] = [
        ("no index", &|| {
            std::fs::remove_dir_all(world.path("repository/index")).unwrap()
        }),
        ("a damaged index", &|| flip(&world.files("index")[1], 50)),
        ("a pack less", &|| std::fs::remove_file(&packs[0]).unwrap()),
        ("all packs of one kind less", &|| {
            shared
                .iter()
                .for_each(|pack| std::fs::remove_file(pack).unwrap());
        }),
        ("half an index and a pack less", &|| {
            flip(&world.files("index")[2], 50);
            std::fs::remove_file(&packs[0]).unwrap();
        }),
    ];
    for (what, spoil) in spoil {
        spoil();
        std::fs::create_dir_all(world.path("repository/index")).unwrap();
        assert!(!world.output(&["check"]).status.success(), "{what}");
        {
            let repository = world.open();
            let lock = repository.lock(LockMode::Exclusive).unwrap();
            repair_index(&repository, &IndexRepairOptions::default(), &lock, &Silent).unwrap();
        }
        world.repair_snapshots();
        let left = world.contents();
        assert_eq!(left.len(), 4, "{what}");
        world.restic_restores(&left);
        world.prune(&thorough()).unwrap();
        world.restic_restores(&left);
        std::fs::remove_dir_all(world.path("repository")).unwrap();
        copy(&whole, &world.path("repository"));
    }
}

#[test]
fn a_lock_of_a_restic_that_was_killed_is_passed_over() {
    if !have_restic() {
        return;
    }
    let (world, _) = World::with_history();
    let mut restic = world.command(&["backup", "--stdin"]);
    restic
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut restic = restic.spawn().unwrap();
    restic
        .stdin
        .as_mut()
        .unwrap()
        .write_all(b"never ending")
        .unwrap();
    // What restic is still writing has a longer name.
    let locked = || {
        let locks = files(&world.path("repository/locks"));
        locks.iter().filter(|lock| name(lock).len() == 64).count() == 1
    };
    for _ in 0..500 {
        if locked() {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(locked());
    let left = world.open().unlock(UnlockOptions::default()).unwrap().left;
    assert_eq!(
        left[0].file.as_ref().unwrap().pid,
        restic.id().cast_signed()
    );
    assert!(world.prune(&PruneOptions::default()).is_err());
    restic.kill().unwrap();
    restic.wait().unwrap();
    assert!(locked(), "restic left no lock, so this proves nothing");
    world.prune(&PruneOptions::default()).unwrap();
    assert_eq!(files(Path::new(&world.path("repository/locks"))).len(), 0);
}
