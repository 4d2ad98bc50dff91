//! The engine against hostile conditions: damage, wrong passwords, failing stores, many threads.

#![allow(clippy::unwrap_used)] // Clippy takes only functions marked as tests for tests.

use std::path::{Path, PathBuf};

use copal_repository::checker::{CheckOptions, CheckReport, check};
use copal_repository::format::key::ScryptCost;
use copal_repository::format::snapshot::Snapshot;
use copal_repository::format::tree::{Node, NodeKind, Tree};
use copal_repository::format::{BlobKind, Timestamp};
use copal_repository::progress::Silent;
use copal_repository::{ErrorKind, InitOptions, LockMode, Password, Repository, WriterOptions};
use copal_storage::Store;
use tokio::runtime::Runtime;

const CHEAP: InitOptions = InitOptions {
    scrypt: ScryptCost {
        log_n: 4,
        r: 8,
        p: 1,
    },
    polynomial: None,
};

fn store(directory: &Path) -> Store {
    copal_storage::open(directory.join("repository").to_str().unwrap()).unwrap()
}

fn init(directory: &Path, runtime: &Runtime) -> Repository {
    Repository::init(
        store(directory),
        runtime.handle().clone(),
        &Password::new("p"),
        &CHEAP,
    )
    .unwrap()
}

fn open(directory: &Path, runtime: &Runtime) -> Repository {
    Repository::open(
        store(directory),
        runtime.handle().clone(),
        &Password::new("p"),
    )
    .unwrap()
}

fn save(repository: &Repository, blobs: &[Vec<u8>]) {
    let writer = repository.writer(WriterOptions::default()).unwrap();
    let mut node = Node::new("file", NodeKind::File);
    node.content = blobs
        .iter()
        .map(|blob| writer.store(BlobKind::Data, blob).unwrap().id)
        .collect();
    let tree = writer
        .store(BlobKind::Tree, &Tree { nodes: vec![node] }.encode())
        .unwrap();
    writer.finish().unwrap();
    repository
        .save_snapshot(&Snapshot::new(Timestamp::now(), tree.id.into()))
        .unwrap();
}

fn checked(directory: &Path, runtime: &Runtime) -> CheckReport {
    check(&open(directory, runtime), CheckOptions::ALL, &Silent).unwrap()
}

fn files(directory: PathBuf) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| {
            if path.is_dir() {
                files(path)
            } else {
                vec![path]
            }
        })
        .collect()
}

#[test]
fn what_is_no_repository_says_so_and_a_repository_is_not_initialised_twice() {
    let runtime = Runtime::new().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let handle = runtime.handle().clone();
    let open = |password: &str| {
        Repository::open(
            store(directory.path()),
            handle.clone(),
            &Password::new(password),
        )
    };
    assert_eq!(open("p").unwrap_err().kind(), ErrorKind::NoRepository);
    init(directory.path(), &runtime);
    assert_eq!(open("q").unwrap_err().kind(), ErrorKind::WrongPassword);
    let again = Repository::init(
        store(directory.path()),
        handle.clone(),
        &Password::new("p"),
        &CHEAP,
    );
    assert_eq!(again.unwrap_err().kind(), ErrorKind::AlreadyInitialized);
    assert_eq!(open("p").unwrap().version(), 2);
}

#[test]
fn snapshots_are_found_by_the_first_digits_of_their_ids() {
    let runtime = Runtime::new().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let repository = init(directory.path(), &runtime);
    assert_eq!(
        repository.snapshot("latest").unwrap_err().kind(),
        ErrorKind::NotFound
    );
    save(&repository, &[b"one".to_vec()]);
    save(&repository, &[b"two".to_vec()]);
    let snapshots = repository.snapshots().unwrap();
    assert_eq!(repository.snapshot("latest").unwrap(), snapshots[1]);
    assert_eq!(
        repository.snapshot(&snapshots[0].0.to_string()).unwrap(),
        snapshots[0]
    );
    for text in ["", "zz", "latest2"] {
        assert_eq!(
            repository.snapshot(text).unwrap_err().kind(),
            ErrorKind::NotFound,
            "{text}"
        );
    }
}

#[test]
fn a_blob_that_many_threads_store_at_once_is_stored_once() {
    let runtime = Runtime::new().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let repository = init(directory.path(), &runtime);
    let options = WriterOptions {
        pack_size: 64 << 10,
        uploads: Some(3),
        ..WriterOptions::default()
    };
    let writer = repository.writer(options).unwrap();
    let blob = |number: u32| number.to_le_bytes().repeat(2_000 + number as usize);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for number in 0..300 {
                    writer.store(BlobKind::Data, &blob(number)).unwrap();
                }
            });
        }
    });
    assert_eq!(writer.finish().unwrap().data_blobs, 300);
    let other = open(directory.path(), &runtime);
    let ids = (0..300).map(|number| copal_repository::BlobId::of(&blob(number)));
    for (number, id) in (0..).zip(ids) {
        for repository in [&repository, &other] {
            assert_eq!(
                repository.load_blob(BlobKind::Data, &id).unwrap(),
                blob(number)
            );
        }
        assert_eq!(
            other.blob_size(BlobKind::Data, &id).unwrap(),
            Some(blob(number).len() as u32)
        );
    }
    let writer = other.writer(options).unwrap();
    assert!(!writer.store(BlobKind::Data, &blob(7)).unwrap().new);
    assert_eq!(writer.finish().unwrap(), Default::default());
}

#[test]
fn the_check_names_every_damaged_file() {
    let runtime = Runtime::new().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let repository = init(directory.path(), &runtime);
    save(
        &repository,
        &[b"some text ".repeat(100), (0..=255).collect()],
    );
    assert_eq!(checked(directory.path(), &runtime).errors, [""; 0]);
    for kind in ["data", "index", "snapshots"] {
        for file in files(directory.path().join("repository").join(kind)) {
            let name = file.file_name().unwrap().to_str().unwrap();
            let whole = std::fs::read(&file).unwrap();
            for position in [0, 17, whole.len() / 2, whole.len() - 1] {
                let mut damaged = whole.clone();
                damaged[position] ^= 1;
                std::fs::write(&file, &damaged).unwrap();
                let errors = checked(directory.path(), &runtime).errors;
                assert!(
                    errors.iter().any(|error| error.contains(name)),
                    "{kind} {position}: {errors:?}"
                );
            }
            std::fs::write(&file, &whole[..whole.len() - 1]).unwrap();
            let report = check(
                &open(directory.path(), &runtime),
                CheckOptions::default(),
                &Silent,
            )
            .unwrap();
            assert!(
                report.errors.iter().any(|error| error.contains(name)),
                "{kind}: {:?}",
                report.errors
            );
            std::fs::remove_file(&file).unwrap();
            if kind != "snapshots" {
                assert!(
                    !checked(directory.path(), &runtime).errors.is_empty(),
                    "{kind}"
                );
            }
            std::fs::write(&file, &whole).unwrap();
        }
    }
    assert_eq!(checked(directory.path(), &runtime).errors, [""; 0]);
}

#[test]
fn a_failing_store_fails_the_backup_and_no_index_names_what_is_missing() {
    let runtime = Runtime::new().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let repository = init(directory.path(), &runtime);
    save(&repository, &[b"before".to_vec()]);
    let data = directory.path().join("repository/data");
    std::fs::rename(&data, directory.path().join("aside")).unwrap();
    std::fs::write(&data, b"no directory").unwrap();
    let writer = repository
        .writer(WriterOptions {
            pack_size: 1_000,
            ..WriterOptions::default()
        })
        .unwrap();
    let stored =
        (0..50_u8).try_for_each(|number| writer.store(BlobKind::Data, &[number; 3_000]).map(drop));
    let finished = writer.finish().map(drop);
    let error = stored.and(finished).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Storage);
    std::fs::remove_file(&data).unwrap();
    std::fs::rename(directory.path().join("aside"), &data).unwrap();
    assert_eq!(checked(directory.path(), &runtime).errors, [""; 0]);
}

#[test]
fn what_a_dropped_writer_uploaded_is_found_by_the_next() {
    let runtime = Runtime::new().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let repository = init(directory.path(), &runtime);
    let writer = repository
        .writer(WriterOptions {
            pack_size: 1,
            uploads: Some(1),
            ..WriterOptions::default()
        })
        .unwrap();
    // Each upload waits for the one before.
    for blob in [b"first", b"other", b"third"] {
        writer.store(BlobKind::Data, blob).unwrap();
    }
    drop(writer);
    let other = open(directory.path(), &runtime);
    let stored = |blob: &[u8]| other.has(BlobKind::Data, &copal_repository::BlobId::of(blob));
    assert!(stored(b"first").unwrap() && stored(b"other").unwrap());
    save(&other, &[b"first".to_vec()]);
    assert_eq!(checked(directory.path(), &runtime).errors, [""; 0]);
}

#[test]
fn a_lock_whose_file_is_gone_is_not_relied_on() {
    let runtime = Runtime::new().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let repository = init(directory.path(), &runtime);
    let guard = repository.lock(LockMode::Write).unwrap();
    guard.check().unwrap();
    for file in files(directory.path().join("repository/locks")) {
        std::fs::remove_file(file).unwrap();
    }
    assert_eq!(guard.check().unwrap_err().kind(), ErrorKind::Locked);
}

#[test]
fn snapshots_are_removed_under_an_exclusive_lock_alone() {
    let runtime = Runtime::new().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let repository = init(directory.path(), &runtime);
    for content in [b"first", b"other"] {
        save(&repository, &[content.to_vec()]);
    }
    let ids: Vec<_> = repository
        .snapshots()
        .unwrap()
        .into_iter()
        .map(|(id, _)| id)
        .collect();
    let guard = repository.lock(LockMode::Write).unwrap();
    let error = repository.forget(&ids[..1], &guard).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    let refused = repository.lock(LockMode::Exclusive).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Locked);
    drop(guard);
    let guard = repository.lock(LockMode::Exclusive).unwrap();
    repository.forget(&ids[..1], &guard).unwrap();
    repository.forget(&ids[..1], &guard).unwrap();
    let left: Vec<_> = repository
        .snapshots()
        .unwrap()
        .into_iter()
        .map(|(id, _)| id)
        .collect();
    assert_eq!(left, ids[1..]);
    for lock in files(directory.path().join("repository/locks")) {
        std::fs::remove_file(lock).unwrap();
    }
    let error = repository.forget(&ids[1..], &guard).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Locked);
    drop(guard);
    assert_eq!(checked(directory.path(), &runtime).snapshots, 1);
}
