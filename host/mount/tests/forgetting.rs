//! A mount does not keep more and more for the sake of a system that remembers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use std::io::Read as _;
use std::time::Duration;

use copal_mount::MountOptions;
use copal_repository::{Password, Repository};
use copal_tests::environment::PASSWORD;
use copal_tests::{TestEnvironment, mount};

#[test]
fn the_system_is_asked_to_forget_files_that_nobody_uses() {
    const FILES: usize = 1_000;
    if !mount::is_possible() {
        return;
    }
    let environment = TestEnvironment::with_repository();
    for number in 0..FILES {
        environment.write(&format!("source/{number}"), "content");
    }
    let source = environment.path("source");
    environment.backup("files", &source, "").run().succeeds();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let store = copal_storage::open(environment.repository()).unwrap();
    let password = Password::new(PASSWORD);
    let repository = Repository::open(store, runtime.handle().clone(), &password).unwrap();
    let place = environment.make_directory("place");
    let options = MountOptions {
        most_files: 100,
        ..MountOptions::default()
    };
    let mounted = copal_mount::mount(&repository, &place, options).unwrap();
    let folder = place.join("snapshots/latest/files");
    let mut used = std::fs::File::open(folder.join("7")).unwrap();
    for round in 0..2 {
        let looked = std::fs::read_dir(&folder).unwrap().map(|entry| {
            let metadata = entry.unwrap().metadata().unwrap();
            assert_eq!(metadata.len(), 7);
        });
        assert_eq!(looked.count(), FILES);
        let forgets = (0..1_000).any(|_| {
            std::thread::sleep(Duration::from_millis(10));
            mounted.known_files() <= 100
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
    mounted.unmount().unwrap();
}
