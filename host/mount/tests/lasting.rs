//! Mounts that last: what comes and goes meanwhile, and how much they keep.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use std::ffi::OsString;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use copal_mount::{MountOptions, Mounted};
use copal_repository::{Password, Repository};
use copal_tests::environment::PASSWORD;
use copal_tests::{TestEnvironment, mount, sample};
use tokio::runtime::Runtime;

/// Longer than any of these tests.
const LATER: Duration = Duration::from_secs(60 * 60);

/// A repository, and the folder that is backed up.
struct World {
    environment: TestEnvironment,
    source: PathBuf,
    runtime: Runtime,
}

impl World {
    /// None where nothing can be mounted.
    fn new() -> Option<Self> {
        mount::is_possible().then(|| {
            let environment = TestEnvironment::with_repository();
            Self {
                source: environment.make_directory("source"),
                environment,
                runtime: Runtime::new().unwrap(),
            }
        })
    }

    /// Backs up, and gives the snapshot's id.
    fn back_up(&self) -> String {
        let backup = self.environment.backup("files", &self.source, "--json");
        let outcome = backup.run().succeeds().json();
        outcome["snapshot"].as_str().unwrap().to_owned()
    }

    fn mounted(&self, options: MountOptions) -> (PathBuf, Mounted) {
        let store = copal_storage::open(self.environment.repository()).unwrap();
        let handle = self.runtime.handle().clone();
        let repository = Repository::open(store, handle, &Password::new(PASSWORD)).unwrap();
        let place = self.environment.make_directory("place");
        let mounted = copal_mount::mount(&repository, &place, options).unwrap();
        (place, mounted)
    }
}

/// Whoever still uses it may need longer than it is waited for.
fn end(mounted: Mounted, place: &Path) {
    drop(mounted);
    assert!(!mount::is_mounted(place));
}

fn names(folder: &Path) -> Vec<OsString> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    names
}

#[test]
fn the_system_is_asked_to_forget_files_that_nobody_uses() {
    const FILES: usize = 1_000;
    let Some(world) = World::new() else {
        return;
    };
    for number in 0..FILES {
        world
            .environment
            .write(&format!("source/{number}"), "content");
    }
    // Of some there are more names.
    let others = world.environment.make_directory("source/others");
    for number in 0..FILES / 4 {
        let name = number.to_string();
        std::fs::hard_link(world.source.join(&name), others.join(&name)).unwrap();
    }
    world.back_up();
    let options = MountOptions {
        most_files: 100,
        ..MountOptions::default()
    };
    let (place, mounted) = world.mounted(options);
    let folder = place.join("snapshots/latest/files");
    let mut used = std::fs::File::open(folder.join("7")).unwrap();
    for round in 0..2 {
        for folder in [&folder, &folder.join("others")] {
            for name in names(folder) {
                let metadata = folder.join(name).metadata().unwrap();
                assert!(metadata.is_dir() || metadata.len() == 7);
            }
        }
        // Besides, there is the one that is in use.
        let forgets = (0..6_000).any(|_| {
            std::thread::sleep(Duration::from_millis(10));
            mounted.known_files() <= 100 + 1
        });
        assert!(
            forgets,
            "round {round}: {} are known",
            mounted.known_files()
        );
    }
    let mut content = String::new();
    used.read_to_string(&mut content).unwrap();
    assert_eq!(content, "content");
    drop(used);
    end(mounted, &place);
}

#[test]
fn what_comes_and_goes_is_seen() {
    let Some(world) = World::new() else {
        return;
    };
    world.environment.write("source/a", "a");
    let first = world.back_up();
    let options = MountOptions {
        fresh: Duration::ZERO,
        ..MountOptions::default()
    };
    let (place, mounted) = world.mounted(options);
    let ids = place.join("ids");
    assert_eq!(names(&ids), [&first[..8]]);
    world.environment.write("source/b", "b");
    let second = world.back_up();
    let mut both = [&first[..8], &second[..8]];
    both.sort_unstable();
    assert_eq!(names(&ids), both);
    let read = |id: &str, file: &str| {
        let file = ids.join(&id[..8]).join("files").join(file);
        std::fs::read(file).unwrap()
    };
    assert_eq!(read(&second, "b"), b"b");

    // Somebody else says that nobody reads any more.
    let unlock = world.environment.copal(["unlock", "--remove-all"]);
    unlock.run().succeeds();
    let forget = world.environment.copal(["forget", &second, "--prune"]);
    forget.run().succeeds();
    assert_eq!(names(&ids), [&first[..8]]);
    assert_eq!(read(&first, "a"), b"a");
    end(mounted, &place);
}

#[test]
fn what_was_moved_since_is_found_where_it_is_now() {
    let Some(world) = World::new() else {
        return;
    };
    let b = sample::noise(2, 1 << 20);
    world
        .environment
        .write("source/a", sample::noise(1, 1 << 20));
    world.environment.write("source/b", &b);
    let first = world.back_up();
    std::fs::remove_file(world.source.join("a")).unwrap();
    world.back_up();
    let options = MountOptions {
        fresh: LATER,
        ..MountOptions::default()
    };
    let (place, mounted) = world.mounted(options);
    let folder = place.join("snapshots/latest/files");
    assert_eq!(names(&folder), ["b"]);
    for words in [
        &["unlock", "--remove-all"][..],
        &["forget", &first, "--prune", "--max-unused", "0"],
    ] {
        world.environment.copal(words).run().succeeds();
    }
    assert!(std::fs::read(folder.join("b")).unwrap() == b);
    end(mounted, &place);
}
