//! Stores that fail, or that do not show what is there.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use copal_repository::format::BlobKind;
use copal_repository::progress::Silent;
use copal_repository::prune::{GRACE, MIN_GRACE, PruneOptions};
use copal_repository::repair::{IndexRepairOptions, PackRepairOptions, repair_index, repair_packs};
use copal_repository::{ErrorKind, LockMode, Repository, TreeId};
use copal_storage::object_store::path::Path;
use copal_storage::object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use futures::StreamExt as _;
use futures::stream::BoxStream;

use crate::fixture::{World, name, noise, prune_in};

/// What becomes of a request before it is answered.
type Get = Box<dyn Fn(&Path) -> Result<()> + Send + Sync>;
/// Whether a listing of this folder shows this file.
type List = Box<dyn Fn(&str) -> Box<dyn Fn(&Path) -> bool + Send> + Send + Sync>;

struct Meddling {
    store: Arc<dyn ObjectStore>,
    get: Get,
    list: List,
}

impl fmt::Debug for Meddling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.store.fmt(f)
    }
}

impl fmt::Display for Meddling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.store, f)
    }
}

#[async_trait::async_trait]
impl ObjectStore for Meddling {
    async fn put_opts(
        &self,
        at: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        self.store.put_opts(at, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        at: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.store.put_multipart_opts(at, options).await
    }

    async fn get_opts(&self, at: &Path, options: GetOptions) -> Result<GetResult> {
        (self.get)(at)?;
        self.store.get_opts(at, options).await
    }

    fn delete_stream(
        &self,
        paths: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.store.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let shows = (self.list)(prefix.map(Path::as_ref).unwrap_or_default());
        let shows = move |file: &Result<ObjectMeta>| {
            let shown = file.as_ref().map_or(true, |file| shows(&file.location));
            std::future::ready(shown)
        };
        self.store.list(prefix).filter(shows).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.store.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.store.copy_opts(from, to, options).await
    }
}

fn open(world: &World, get: Get, list: List) -> Repository {
    let meddling = |store| -> Arc<dyn ObjectStore> { Arc::new(Meddling { store, get, list }) };
    world.open_in(world.store().through(meddling)).unwrap()
}

/// A store that fails so when it is asked for this file.
fn failing(world: &World, file: &std::path::Path, error: fn(&Path) -> Error) -> Repository {
    let file = name(file);
    let get = move |at: &Path| match at.filename() == Some(&file) {
        true => Err(error(at)),
        false => Ok(()),
    };
    open(world, Box::new(get), Box::new(|_| Box::new(|_| true)))
}

/// A store whose first listings of the index do not show these files.
fn hiding(world: &World, files: &[std::path::PathBuf], listings: usize) -> Repository {
    let files: Vec<_> = files.iter().map(|file| name(file)).collect();
    let count = AtomicUsize::new(0);
    let list = move |folder: &str| -> Box<dyn Fn(&Path) -> bool + Send> {
        if folder != "index" || count.fetch_add(1, Ordering::SeqCst) >= listings {
            return Box::new(|_| true);
        }
        let files = files.clone();
        Box::new(move |at| !files.iter().any(|file| at.filename() == Some(file)))
    };
    open(world, Box::new(|_| Ok(())), Box::new(list))
}

fn unavailable(_: &Path) -> Error {
    Error::Generic {
        store: "meddling",
        source: "503 Service Unavailable".into(),
    }
}

fn not_found(at: &Path) -> Error {
    Error::NotFound {
        path: at.to_string(),
        source: "404 Not Found".into(),
    }
}

#[test]
fn a_pack_that_is_out_of_reach_is_not_taken_for_a_damaged_one() {
    let (world, snapshots) = World::with_history();
    let pack = world.packs_of(&snapshots[0], "home/own/large").remove(0);
    let files = world.files("");
    for (error, kind) in [
        (unavailable as fn(&Path) -> Error, ErrorKind::Storage),
        (not_found, ErrorKind::Storage),
    ] {
        let repository = failing(&world, &pack, error);
        let lock = repository.lock(LockMode::Exclusive).unwrap();
        let options = PackRepairOptions {
            copies: world.directory.path().to_owned(),
            ..PackRepairOptions::default()
        };
        let packs = [name(&pack).parse().unwrap()];
        let repaired = repair_packs(&repository, &packs, &options, &lock, &Silent);
        assert_eq!(repaired.unwrap_err().kind(), kind);
    }
    assert_eq!(world.files(""), files);
    world.is_whole();
}

#[test]
fn an_index_file_that_is_not_found_is_not_taken_for_a_damaged_one() {
    let (world, _) = World::with_history();
    let indexes = world.files("index");
    let repository = failing(&world, &indexes[0], not_found);
    let lock = repository.lock(LockMode::Exclusive).unwrap();
    let options = IndexRepairOptions::default();
    let repaired = repair_index(&repository, &options, &lock, &Silent);
    assert_eq!(repaired.unwrap_err().kind(), ErrorKind::Storage);
    drop(lock);
    assert_eq!(world.files("index"), indexes);
    let error = repository.load_index().unwrap_err();
    assert!(error.to_string().contains(&name(&indexes[0])), "{error}");
}

#[test]
fn a_snapshot_that_is_listed_and_not_found_counts_as_damaged_and_one_that_was_forgotten_as_gone() {
    let (world, snapshots) = World::with_history();
    let files = world.files("snapshots");
    let before = world.files("");
    let repository = failing(&world, &files[0], not_found);
    let error = prune_in(&repository, &PruneOptions::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains(&name(&files[0])), "{error}");
    assert_eq!(world.files(""), before);

    let file = files[0].clone();
    let forgotten = name(&file);
    let get = move |at: &Path| {
        if at.filename() == Some(&forgotten) {
            let _ = std::fs::remove_file(&file);
        }
        Ok(())
    };
    let repository = open(&world, Box::new(get), Box::new(|_| Box::new(|_| true)));
    let readable = repository.readable_snapshots().unwrap();
    assert_eq!(readable.snapshots.len(), snapshots.len() - 1);
    assert!(readable.damaged.is_empty());
}

#[test]
fn a_listing_of_the_index_that_misses_files_is_made_good_by_the_next() {
    let (world, _) = World::with_history();
    let before = world.contents();
    let repository = hiding(&world, &world.files("index"), 1);
    for (id, snapshot) in repository.snapshots().unwrap() {
        let contents = crate::fixture::contents(&repository, &snapshot.tree);
        assert_eq!(contents, before[&id]);
    }
}

/// Lets all packs have been written so long ago.
fn age(world: &World, time: Duration) {
    for file in world.files("data") {
        let file = std::fs::File::open(file).unwrap();
        file.set_modified(SystemTime::now() - time).unwrap();
    }
}

#[test]
fn a_pack_that_no_index_names_goes_only_if_a_second_look_says_so_too() {
    let (world, _) = World::with_history();
    let known = world.files("index");
    // A backup that is not done yet.
    world.write("new", noise(55, 1 << 20));
    let tree = world.archive(&world.open());
    let mut new = world.files("index");
    new.retain(|file| !known.contains(file));
    age(&world, 2 * GRACE);
    let repository = hiding(&world, &new, 2);
    let options = PruneOptions {
        two_phase: Some(GRACE),
        ..PruneOptions::default()
    };
    let stats = prune_in(&repository, &options).unwrap();
    assert!(stats.unindexed.packs > 0, "{stats:?}");
    world.save(&world.open(), tree);
    world.is_whole();
}

/// A backup may have ended while a prune looked for what is needed, so that its snapshot is not among those that were looked at.
#[test]
fn what_gets_old_enough_while_a_prune_looks_is_left_to_the_next() {
    let (world, snapshots) = World::with_history();
    world.forget(&snapshots[..3]);
    age(&world, 2 * GRACE);
    let options = PruneOptions {
        two_phase: Some(MIN_GRACE),
        ..PruneOptions::default()
    };
    let marked = world.prune(&options).unwrap().marked;
    assert!(marked.packs > 0, "{marked:?}");
    world.age_marks(MIN_GRACE + Duration::from_secs(30 * 60 - 5));
    let list = |folder: &str| -> Box<dyn Fn(&Path) -> bool + Send> {
        if folder == "snapshots" {
            std::thread::sleep(Duration::from_secs(7));
        }
        Box::new(|_| true)
    };
    let repository = open(&world, Box::new(|_| Ok(())), Box::new(list));
    let waiting = prune_in(&repository, &options).unwrap();
    assert_eq!((waiting.waiting, waiting.removed.packs), (marked, 0));
    assert_eq!(world.prune(&options).unwrap().removed, marked);
    world.is_whole();
}

#[test]
fn an_index_that_can_not_be_refreshed_knows_what_it_knew() {
    let (world, snapshots) = World::with_history();
    let repository = world.open();
    let tree = repository
        .snapshot(&snapshots[0].to_string())
        .unwrap()
        .1
        .tree;
    let has = |tree: TreeId| repository.has(BlobKind::Tree, &tree.into()).unwrap();
    assert!(has(tree));
    world.write("new", noise(9, 1 << 20));
    let new = world.archive(&world.open());
    let damaged = world.path("repository/index").join("1".repeat(64));
    std::fs::write(&damaged, "no index").unwrap();
    let error = repository.refresh_index().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(has(tree));
    std::fs::remove_file(&damaged).unwrap();
    repository.refresh_index().unwrap();
    assert!(has(tree) && has(new));
}

#[test]
fn an_index_that_is_refreshed_reads_what_is_new_and_all_where_something_is_gone() {
    let (world, snapshots) = World::with_history();
    let reads = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&reads);
    let get = move |at: &Path| {
        let is_index = at.as_ref().starts_with("index/");
        counted.fetch_add(is_index.into(), Ordering::SeqCst);
        Ok(())
    };
    let repository = open(&world, Box::new(get), Box::new(|_| Box::new(|_| true)));
    let reads = || reads.swap(0, Ordering::SeqCst);
    let tree = |id| {
        world.open().read_snapshots(&[id]).unwrap().snapshots[0]
            .1
            .tree
    };
    let has = |tree: TreeId| repository.has(BlobKind::Tree, &tree.into()).unwrap();
    let old = tree(snapshots[0]);
    assert!(has(old));
    assert_eq!(reads(), world.files("index").len());
    repository.refresh_index().unwrap();
    assert_eq!(reads(), 0);

    let before = world.files("index").len();
    world.write("new", noise(9, 1 << 20));
    let last = world.back_up();
    let new = tree(last);
    assert!(!has(new));
    repository.refresh_index().unwrap();
    assert_eq!(reads(), world.files("index").len() - before);
    assert!(has(old) && has(new));

    world.forget(&snapshots);
    world.prune(&PruneOptions::default()).unwrap();
    repository.refresh_index().unwrap();
    assert_eq!(reads(), world.files("index").len());
    assert!(!has(old) && has(new));
    assert_eq!(repository.snapshot_ids().unwrap(), [last]);
}
