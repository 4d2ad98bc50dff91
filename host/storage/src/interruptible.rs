//! A store whose requests end as soon as the work is to end, however long they would take. What is begun after that, such as the index of what is stored
//! already, has a moment, and so has what removes: a lock that nobody needs any more is removed last of all.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::future::{Either, select};
use futures::stream::{self, BoxStream};
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result,
};
use tokio::time::Instant;

/// How often it is looked whether the work is to end.
const TICK: Duration = Duration::from_millis(50);

/// How long a request may take that is begun when the work is to end.
const GRACE: Duration = Duration::from_millis(600);

/// Why a request did not come to its end.
#[derive(Debug, thiserror::Error)]
#[error("interrupted")]
pub(crate) struct Interrupted;

/// Says when the work is to end.
#[derive(Clone, Debug)]
struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Does the work unless it is to end. `since` is when that was first seen by what the work is a part of; where that comes while the work is under way,
    /// it has so much time left.
    async fn race<T>(
        &self,
        since: &mut Option<Instant>,
        left: Duration,
        work: impl Future<Output = T>,
    ) -> Result<T> {
        if self.0.load(Ordering::Relaxed) {
            since.get_or_insert_with(Instant::now);
        }
        let asked = async {
            if let Some(since) = since {
                return tokio::time::sleep_until(*since + GRACE).await;
            }
            while !self.0.load(Ordering::Relaxed) {
                tokio::time::sleep(TICK).await;
            }
            tokio::time::sleep(left).await;
        };
        match select(pin!(asked), pin!(work)).await {
            Either::Right((done, _)) => Ok(done),
            Either::Left(_) => Err(object_store::Error::Generic {
                store: "the work",
                source: Box::new(Interrupted),
            }),
        }
    }

    async fn end<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        self.race(&mut None, Duration::ZERO, work).await.flatten()
    }

    fn stream<T: Send + 'static>(
        &self,
        left: Duration,
        items: BoxStream<'static, Result<T>>,
    ) -> BoxStream<'static, Result<T>> {
        let interrupt = self.clone();
        let begun = (Some(items), None);
        let next = move |(items, mut since): (Option<BoxStream<'static, _>>, _)| {
            let interrupt = interrupt.clone();
            async move {
                let mut items = items?;
                match interrupt.race(&mut since, left, items.next()).await {
                    Ok(next) => Some((next?, (Some(items), since))),
                    Err(error) => Some((Err(error), (None, since))),
                }
            }
        };
        stream::unfold(begun, next).fuse().boxed()
    }
}

#[derive(Debug)]
pub(crate) struct Interruptible {
    store: Arc<dyn ObjectStore>,
    interrupt: Interrupt,
}

impl Interruptible {
    pub(crate) fn new(store: Arc<dyn ObjectStore>, interrupt: Arc<AtomicBool>) -> Self {
        Self {
            store,
            interrupt: Interrupt(interrupt),
        }
    }
}

impl fmt::Display for Interruptible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.store.fmt(f)
    }
}

#[async_trait::async_trait]
#[deny(clippy::missing_trait_methods)]
impl ObjectStore for Interruptible {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let put = self.store.put_opts(location, payload, options);
        self.interrupt.end(put).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        // What is begun by parts is to be aborted by its owner.
        self.store.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let got = self.store.get_opts(location, options);
        let mut got = self.interrupt.end(got).await?;
        if let GetResultPayload::Stream(bytes) = got.payload {
            got.payload = GetResultPayload::Stream(self.interrupt.stream(Duration::ZERO, bytes));
        }
        Ok(got)
    }

    async fn get_ranges(
        &self,
        location: &Path,
        ranges: &[std::ops::Range<u64>],
    ) -> Result<Vec<Bytes>> {
        let got = self.store.get_ranges(location, ranges);
        self.interrupt.end(got).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let removed = self.store.delete_stream(locations);
        self.interrupt.stream(GRACE, removed)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.interrupt
            .stream(Duration::ZERO, self.store.list(prefix))
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        let list = self.store.list_with_offset(prefix, offset);
        self.interrupt.stream(Duration::ZERO, list)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let list = self.store.list_with_delimiter(prefix);
        self.interrupt.end(list).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.store.copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.store.rename_opts(from, to, options).await
    }
}

#[cfg(test)]
mod tests {
    use object_store::ObjectStoreExt as _;

    use super::*;

    #[tokio::test]
    async fn an_interrupt_ends_what_waits_and_lets_what_is_quick_be_done() {
        let interrupt = Arc::new(AtomicBool::new(false));
        let memory = Arc::new(object_store::memory::InMemory::new());
        let store = Interruptible::new(memory, interrupt.clone());
        let lock = Path::from("locks/one");
        store.put(&lock, "held".into()).await.unwrap();
        assert_eq!(store.list(None).count().await, 1);
        let waits = store.interrupt.end(std::future::pending::<Result<()>>());
        let asks = async { interrupt.store(true, Ordering::Relaxed) };
        let (waited, ()) = futures::future::join(waits, asks).await;
        let error = crate::Error::new("memory:", "read", "x", waited.unwrap_err());
        assert!(error.is_interrupted(), "{error}");
        store
            .put(&Path::from("index/one"), "small".into())
            .await
            .unwrap();
        let late = store.interrupt.end(std::future::pending::<Result<()>>());
        assert!(late.await.is_err());
        store.delete(&lock).await.unwrap();
    }

    #[tokio::test]
    async fn what_comes_in_small_pieces_ends_too() {
        let interrupt = Arc::new(AtomicBool::new(true));
        let pieces = stream::repeat_with(|| Ok(Bytes::from_static(b"x"))).then(|piece| async {
            tokio::time::sleep(TICK / 2).await;
            piece
        });
        let begun = Instant::now();
        let pieces = Interrupt(interrupt).stream(Duration::ZERO, pieces.boxed());
        let pieces: Vec<_> = pieces.collect().await;
        assert!(pieces.last().is_some_and(Result::is_err));
        assert!(begun.elapsed() < 20 * GRACE, "{:?}", begun.elapsed());
    }
}
