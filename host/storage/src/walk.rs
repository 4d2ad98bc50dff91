//! Listing what lies beneath a directory where a service lists one directory at a time.

use std::sync::Arc;

use futures::stream::{BoxStream, FuturesUnordered};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, Result};

/// Directories listed at the same time.
const AT_ONCE: usize = 8;

/// All objects beneath `prefix`.
pub(crate) fn list(
    store: Arc<impl ObjectStore>,
    prefix: Option<&Path>,
) -> BoxStream<'static, Result<ObjectMeta>> {
    let prefix = prefix.cloned();
    stream::once(walk(store, prefix))
        .map_ok(|objects| stream::iter(objects.into_iter().map(Ok)))
        .try_flatten()
        .boxed()
}

async fn walk(store: Arc<impl ObjectStore>, prefix: Option<Path>) -> Result<Vec<ObjectMeta>> {
    let mut objects = Vec::new();
    let mut waiting = vec![prefix];
    let mut running = FuturesUnordered::new();
    loop {
        while running.len() < AT_ONCE
            && let Some(prefix) = waiting.pop()
        {
            let store = &store;
            running.push(async move { store.list_with_delimiter(prefix.as_ref()).await });
        }
        let Some(found) = running.next().await else {
            return Ok(objects);
        };
        let found = found?;
        objects.extend(found.objects);
        waiting.extend(found.common_prefixes.into_iter().map(Some));
    }
}
