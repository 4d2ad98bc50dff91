use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use copal_repository::prune::{MaxUnused, PruneOptions};
use copal_storage::object_store::path::Path;
use copal_storage::object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use futures::StreamExt as _;
use futures::stream::BoxStream;

use crate::fixture::{World, copy, prune_in};

/// A store that takes so many changes and fails at all that come after, as if its process had been killed.
#[derive(Debug)]
struct Dying {
    store: Arc<dyn ObjectStore>,
    changes: Arc<AtomicUsize>,
    last: usize,
}

impl Dying {
    fn change(&self) -> Result<()> {
        dies(&self.changes, self.last)
    }
}

fn dies(changes: &AtomicUsize, last: usize) -> Result<()> {
    match changes.fetch_add(1, Ordering::SeqCst) < last {
        true => Ok(()),
        false => Err(Error::Generic {
            store: "dying",
            source: "the end has come".into(),
        }),
    }
}

impl fmt::Display for Dying {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.store.fmt(f)
    }
}

#[async_trait::async_trait]
impl ObjectStore for Dying {
    async fn put_opts(
        &self,
        at: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        self.change()?;
        self.store.put_opts(at, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        at: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.change()?;
        self.store.put_multipart_opts(at, options).await
    }

    async fn get_opts(&self, at: &Path, options: GetOptions) -> Result<GetResult> {
        self.store.get_opts(at, options).await
    }

    fn delete_stream(
        &self,
        paths: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let (changes, last) = (Arc::clone(&self.changes), self.last);
        let paths = paths.map(move |path| dies(&changes, last).and(path));
        self.store.delete_stream(paths.boxed())
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.store.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.store.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.change()?;
        self.store.copy_opts(from, to, options).await
    }
}

/// Puts a store that takes so many changes before another.
pub(crate) fn dying(last: usize) -> impl FnOnce(Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore> {
    move |store| {
        Arc::new(Dying {
            store,
            changes: Arc::default(),
            last,
        })
    }
}

/// Prunes in a copy of the repository whose store dies after more and more changes, until one lives to see the end.
fn dies_everywhere(options: &PruneOptions) {
    let (world, snapshots) = World::with_history();
    world.forget(&snapshots[..3]);
    let before = world.contents();
    let whole = world.path("whole");
    copy(&world.path("repository"), &whole);
    let mut deaths = 0;
    for last in 0.. {
        std::fs::remove_dir_all(world.path("repository")).unwrap();
        copy(&whole, &world.path("repository"));
        let repository = world.open_in(world.store().through(dying(last))).unwrap();
        let pruned = prune_in(&repository, options);
        drop(repository);
        assert_eq!(world.contents(), before, "after {last} changes");
        world.is_whole();
        if pruned.is_ok() {
            break;
        }
        deaths += 1;
        // Whoever was killed has left its lock.
        world.open().unlock(true).unwrap();
        let stats = world.prune(options).unwrap();
        world.prune(options).unwrap();
        assert_eq!(
            world.contents(),
            before,
            "after {last} changes and {stats:?}"
        );
        world.is_whole();
        assert_eq!(world.report().hints, [""; 0], "after {last} changes");
    }
    // The lock, at least one pack, two indexes, and what is removed of both.
    assert!(deaths > 6, "{deaths} are too few to prove anything");
}

#[test]
fn a_prune_that_is_killed_anywhere_leaves_the_repository_whole() {
    dies_everywhere(&PruneOptions {
        max_unused: MaxUnused::Bytes(0),
        ..PruneOptions::default()
    });
}

#[test]
fn a_prune_in_two_phases_that_is_killed_anywhere_leaves_the_repository_whole() {
    dies_everywhere(&PruneOptions {
        max_unused: MaxUnused::Bytes(0),
        two_phase: Some(Duration::ZERO),
        ..PruneOptions::default()
    });
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
