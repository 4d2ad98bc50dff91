//! Several writers on one repository at once.

use std::process::Stdio;

use copal_repository::format::Timestamp;
use copal_repository::format::snapshot::Snapshot;
use copal_repository::progress::Silent;
use copal_repository::walk::{dump, find};
use copal_repository::{LockMode, Repository};

use crate::fixture::{World, archive, have_restic, noise};

const WRITERS: u64 = 4;

/// What all sources have, and what each has alone.
fn sources(world: &World) {
    for writer in 0..WRITERS {
        for index in 0..6 {
            let shared = noise(index, 2 << 20);
            world.write(&format!("{writer}/shared/{index}"), shared);
            let own = noise(1000 + writer * 10 + index, 1 << 20);
            world.write(&format!("{writer}/own/{index}"), own);
        }
    }
}

fn back_up(world: &World, repository: &Repository, writer: u64) {
    let guard = repository.lock(LockMode::Write).unwrap();
    let source = world.path(&writer.to_string());
    let archived = archive(repository, &source, Default::default(), &Silent).unwrap();
    let snapshot = Snapshot {
        hostname: writer.to_string(),
        ..Snapshot::new(Timestamp::now(), archived.tree)
    };
    guard.check().unwrap();
    repository.save_snapshot(&snapshot).unwrap();
}

#[test]
fn threads_handles_and_restic_write_at_once_and_all_is_whole() {
    let world = World::new();
    sources(&world);
    let shared = world.init("r");
    let restics: Vec<_> = (0..if have_restic() { 2 } else { 0 })
        .map(|writer| {
            let source = world.path(&writer.to_string());
            let arguments = ["backup", "--host", "restic", source.to_str().unwrap()];
            let mut command = world.restic_as("r", "r", &arguments);
            command.stdout(Stdio::null()).spawn().unwrap()
        })
        .collect();
    let restic_count = restics.len();
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (world, shared) = (&world, &shared);
            scope.spawn(move || match writer % 2 {
                0 => back_up(world, shared, writer),
                _ => back_up(world, &world.open("r"), writer),
            });
        }
    });
    for mut restic in restics {
        assert!(restic.wait().unwrap().success());
    }
    world.is_whole("r");
    let repository = world.open("r");
    let snapshots = repository.snapshots().unwrap();
    assert_eq!(snapshots.len(), WRITERS as usize + restic_count);
    for (_, snapshot) in snapshots {
        let Ok(writer) = snapshot.hostname.parse::<u64>() else {
            continue;
        };
        for (path, content) in [
            (&b"home/shared/5"[..], noise(5, 2 << 20)),
            (b"home/own/3", noise(1003 + writer * 10, 1 << 20)),
        ] {
            let node = find(&repository, &snapshot.tree, path).unwrap().unwrap();
            let mut found = Vec::new();
            dump(&repository, &node, &mut found).unwrap();
            assert!(found == content, "{writer}: {path:?}");
        }
    }
}
