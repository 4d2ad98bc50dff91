//! What a backup uploaded before it was cut off is not uploaded again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use copal_repository::archiver::ArchiveOptions;
use copal_repository::checker::{CheckOptions, check};
use copal_repository::progress::{Progress, Silent};
use copal_repository::{ErrorKind, LockMode, WriterOptions};

use crate::fixture::{World, archive, back_up, files, have_restic, noise};

const FILES: u64 = 128;

/// Bytes of each, too few to be cut.
const FILE: u64 = 256 << 10;

/// Names the repository and the source to the process that is killed.
const KILLED: &str = "COPAL_TEST_KILLED";

/// Does something once so many bytes have been read.
struct At<F: Fn() + Sync> {
    bytes: u64,
    read: AtomicU64,
    then: F,
}

impl<F: Fn() + Sync> At<F> {
    fn new(bytes: u64, then: F) -> Self {
        let read = AtomicU64::new(0);
        Self { bytes, read, then }
    }
}

impl<F: Fn() + Sync> Progress for At<F> {
    fn advance(&self, _: u64, bytes: u64) {
        if self.read.fetch_add(bytes, Ordering::Relaxed) + bytes >= self.bytes {
            (self.then)();
        }
    }
}

fn source(world: &World) {
    for index in 0..FILES {
        world.write(&format!("source/{index}"), noise(index, FILE as usize));
    }
}

/// Packs of one file each.
fn small_packs(index_age: Duration) -> ArchiveOptions {
    ArchiveOptions {
        writer: WriterOptions {
            pack_size: FILE as usize,
            index_age,
            ..WriterOptions::default()
        },
        ..ArchiveOptions::default()
    }
}

/// Sees that the next backup adds no more than what is missing, and leaves a whole repository.
#[track_caller]
fn goes_on(world: &World, at_least: u64) {
    let repository = world.open("r");
    let report = check(&repository, CheckOptions::default(), &Silent).unwrap();
    assert_eq!(report.errors, [""; 0]);
    // Each file is one pack of data; there is none of trees yet.
    let found = report.packs as u64;
    assert!(found >= at_least, "only {found} packs are of use");
    let source = world.path("source");
    let archived = archive(&repository, &source, small_packs(Duration::MAX), &Silent).unwrap();
    let added = archived.summary.data_added / FILE;
    assert_eq!(found + added, FILES, "{found} files were there");
    back_up(&repository, &source);
    world.is_whole("r");
}

#[test]
fn an_interrupted_backup_leaves_what_it_uploaded() {
    let world = World::new();
    source(&world);
    let repository = world.init("r");
    let cancel = Arc::new(AtomicBool::new(false));
    let options = ArchiveOptions {
        cancel: Arc::clone(&cancel),
        ..small_packs(Duration::MAX)
    };
    let progress = At::new(FILES / 2 * FILE, || cancel.store(true, Ordering::Relaxed));
    let archived = archive(&repository, &world.path("source"), options, &progress);
    assert_eq!(archived.unwrap_err().kind(), ErrorKind::Interrupted);
    goes_on(&world, FILES / 4);
}

#[test]
fn a_backup_whose_store_fails_in_the_middle_leaves_what_it_uploaded() {
    let world = World::new();
    source(&world);
    let repository = world.init("r");
    let (data, aside) = (world.path("r/data"), world.path("aside"));
    let broken = AtomicBool::new(false);
    let progress = At::new(FILES / 2 * FILE, || {
        if !broken.swap(true, Ordering::Relaxed) {
            fs::rename(&data, &aside).unwrap();
            fs::write(&data, "no directory").unwrap();
        }
    });
    let options = small_packs(Duration::MAX);
    let archived = archive(&repository, &world.path("source"), options, &progress);
    assert_eq!(archived.unwrap_err().kind(), ErrorKind::Storage);
    fs::remove_file(&data).unwrap();
    fs::rename(&aside, &data).unwrap();
    goes_on(&world, FILES / 4);
}

#[test]
fn a_lock_that_someone_removed_ends_the_backup_before_an_index_names_what_may_be_gone() {
    let world = World::new();
    source(&world);
    let repository = world.init("r");
    let guard = repository.lock(LockMode::Write).unwrap();
    let locks = world.path("r/locks");
    let progress = At::new(FILES / 2 * FILE, || {
        for file in files(&locks) {
            fs::remove_file(file).ok();
        }
    });
    let options = small_packs(Duration::ZERO);
    let archived = archive(&repository, &world.path("source"), options, &progress);
    assert_eq!(archived.unwrap_err().kind(), ErrorKind::Locked);
    drop(guard);
    goes_on(&world, 1);
}

/// Archives until it is killed; does nothing but in a process of its own.
#[test]
fn works_until_it_is_killed() {
    let Some(directory) = std::env::var_os(KILLED) else {
        return;
    };
    let directory = Path::new(&directory);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let store = copal_storage::open(directory.join("r").to_str().unwrap()).unwrap();
    let password = copal_repository::Password::new("r");
    let repository =
        copal_repository::Repository::open(store, runtime.handle().clone(), &password).unwrap();
    let _guard = repository.lock(LockMode::Write).unwrap();
    let progress = At::new(FILES / 2 * FILE, || {
        std::thread::sleep(Duration::from_secs(600))
    });
    let options = small_packs(Duration::ZERO);
    archive(&repository, &directory.join("source"), options, &progress).unwrap();
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn a_killed_backup_leaves_what_its_index_files_name() {
    let world = World::new();
    source(&world);
    world.init("r");
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "interrupted::works_until_it_is_killed"])
        .env(KILLED, world.path(""))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let killed = Killed(child);
    let limit = Instant::now() + Duration::from_secs(60);
    // What is still being written has a longer name.
    let is_whole = |path: &PathBuf| path.file_name().is_some_and(|name| name.len() == 64);
    let written = || {
        files(&world.path("r/index"))
            .iter()
            .filter(|path| is_whole(path))
            .count()
    };
    while (written() as u64) < FILES / 4 {
        assert!(Instant::now() < limit, "no index files are written");
        std::thread::sleep(Duration::from_millis(20));
    }
    drop(killed);
    assert_eq!(files(&world.path("r/locks")).len(), 1, "it left its lock");
    if have_restic() {
        world.restic("r", &["check", "--no-lock"]);
    }
    // Its process is gone, so the lock is in nobody's way, and goes; restic would wait for half an hour.
    drop(world.open("r").lock(LockMode::Exclusive).unwrap());
    assert!(files(&world.path("r/locks")).is_empty());
    goes_on(&world, FILES / 4);
}
