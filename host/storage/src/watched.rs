//! A store whose operations are named in the log, and which gives and takes bytes no faster than allowed.

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryFutureExt as _, TryStreamExt as _, stream};
use object_store::client::{HttpError, HttpErrorKind};
use object_store::path::Path;
use object_store::{
    CopyMode, CopyOptions, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, ObjectStoreExt as _, PutMultipartOptions, PutOptions, PutPayload,
    PutResult, RenameOptions, Result, UploadPart,
};
use tracing::field::Empty;
use tracing::{Instrument as _, Span, info_span};

use crate::diagnosis::causes;
use crate::limit::Limit;
use crate::transport::slices;

/// A store with what it is held to.
#[derive(Debug)]
pub(crate) struct Watched {
    pub(crate) store: Arc<dyn ObjectStore>,
    /// Where the store itself does not see to it: an object waits until all of it may pass.
    pub(crate) upload: Option<Arc<Limit>>,
    pub(crate) download: Option<Arc<Limit>>,
}

impl fmt::Display for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.store.fmt(f)
    }
}

fn span(action: &'static str, object: &str) -> Span {
    info_span!("storage", action, object)
}

/// A stream whose every step happens within the span.
fn within<T: Send + 'static>(stream: BoxStream<'static, T>, span: Span) -> BoxStream<'static, T> {
    let steps = stream::unfold(stream, move |mut stream| {
        let next = async move { stream.next().await.map(|next| (next, stream)) };
        next.instrument(span.clone())
    });
    // Some ask once more after the end.
    steps.fuse().boxed()
}

/// So often more is asked where an answer breaks off.
const AGAIN: u32 = 3;

/// Asks, and asks again where that is `worth` it.
async fn again<T, F>(
    worth: fn(&(dyn StdError + 'static)) -> bool,
    mut ask: impl FnMut() -> F,
) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    let mut left = AGAIN;
    loop {
        match ask().await {
            Err(error) if left > 0 && causes(&error).any(worth) => left -= 1,
            answer => return answer,
        }
    }
}

/// Whether an answer had begun and did not come to its end. Until it begins the stores themselves ask again, but not after.
fn broke_off(cause: &(dyn StdError + 'static)) -> bool {
    let cause = cause.downcast_ref::<reqwest::Error>();
    cause.is_some_and(|cause| cause.is_body() || cause.is_decode())
}

/// Whether nobody knows what became of a request. The stores do not ask again where they do not know that it may be done twice.
fn went_astray(cause: &(dyn StdError + 'static)) -> bool {
    let kind = cause.downcast_ref::<HttpError>().map(HttpError::kind);
    matches!(
        kind,
        Some(HttpErrorKind::Timeout | HttpErrorKind::Interrupted)
    )
}

/// All of a listing. Nothing of it is handed out before it is there, so that nothing comes twice where it breaks off.
fn listed(
    mut ask: impl FnMut() -> BoxStream<'static, Result<ObjectMeta>> + Send + 'static,
) -> BoxStream<'static, Result<ObjectMeta>> {
    let all = again(broke_off, move || ask().try_collect::<Vec<_>>());
    let all = all.map_ok(|objects| stream::iter(objects.into_iter().map(Ok)));
    all.try_flatten_stream().boxed()
}

async fn take(limit: Option<&Limit>, bytes: usize) {
    if let Some(limit) = limit {
        limit.take(bytes).await;
    }
}

/// The content, no faster than allowed.
fn paced(
    bytes: BoxStream<'static, Result<Bytes>>,
    limit: Option<Arc<Limit>>,
) -> BoxStream<'static, Result<Bytes>> {
    let Some(limit) = limit else {
        return bytes;
    };
    let size = limit.slice();
    bytes
        .map_ok(move |bytes| stream::iter(slices(bytes, size).map(Ok)))
        .try_flatten()
        .and_then(move |bytes| {
            let limit = limit.clone();
            async move {
                limit.take(bytes.len()).await;
                Ok(bytes)
            }
        })
        .boxed()
}

#[async_trait::async_trait]
#[deny(clippy::missing_trait_methods)]
impl ObjectStore for Watched {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        take(self.upload.as_deref(), payload.content_length()).await;
        let put = self.store.put_opts(location, payload, options);
        put.instrument(span("write", location.as_ref())).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let span = span("write", location.as_ref());
        let begun = self.store.put_multipart_opts(location, options);
        Ok(Box::new(Upload {
            upload: begun.instrument(span.clone()).await?,
            limit: self.upload.clone(),
            span,
        }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let span = span("read", location.as_ref());
        let got = self.store.get_opts(location, options);
        let mut got = got.instrument(span.clone()).await?;
        // A local file is read at once, unless it must not be.
        if self.download.is_some() || matches!(got.payload, GetResultPayload::Stream(_)) {
            let whole = GetResult {
                payload: got.payload,
                meta: got.meta.clone(),
                range: got.range.clone(),
                attributes: got.attributes.clone(),
                extensions: got.extensions.clone(),
            };
            let bytes = within(whole.into_stream(), span);
            got.payload = GetResultPayload::Stream(paced(bytes, self.download.clone()));
        }
        Ok(got)
    }

    async fn get_ranges(
        &self,
        location: &Path,
        ranges: &[std::ops::Range<u64>],
    ) -> Result<Vec<Bytes>> {
        let got = self.store.get_ranges(location, ranges);
        let got = got.instrument(span("read", location.as_ref())).await?;
        for bytes in &got {
            take(self.download.as_deref(), bytes.len()).await;
        }
        Ok(got)
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let span = info_span!("storage", action = "remove", object = Empty);
        let named = span.clone();
        let store = Arc::clone(&self.store);
        // One by one: that is how repositories ask for it, and what is removed already may be removed again.
        let removed = locations.and_then(move |location| {
            named.record("object", location.as_ref());
            let store = Arc::clone(&store);
            async move {
                again(went_astray, || store.delete(&location)).await?;
                Ok(location)
            }
        });
        within(removed.boxed(), span)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let span = span("list", prefix.map_or("", |prefix| prefix.as_ref()));
        let (store, prefix) = (Arc::clone(&self.store), prefix.cloned());
        within(listed(move || store.list(prefix.as_ref())), span)
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        let span = span("list", prefix.map_or("", |prefix| prefix.as_ref()));
        let (store, prefix) = (Arc::clone(&self.store), prefix.cloned());
        let offset = offset.clone();
        let ask = move || store.list_with_offset(prefix.as_ref(), &offset);
        within(listed(ask), span)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let span = span("list", prefix.map_or("", |prefix| prefix.as_ref()));
        let listed = again(broke_off, || self.store.list_with_delimiter(prefix));
        listed.instrument(span).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        // A second copy over the first changes nothing; one that must not replace would find the first.
        let is_repeatable = options.mode == CopyMode::Overwrite;
        let ask = || self.store.copy_opts(from, to, options.clone());
        let copied = async {
            match is_repeatable {
                true => again(went_astray, ask).await,
                false => ask().await,
            }
        };
        copied.instrument(span("copy", from.as_ref())).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        let renamed = self.store.rename_opts(from, to, options);
        renamed.instrument(span("rename", from.as_ref())).await
    }
}

/// An upload in parts.
#[derive(Debug)]
struct Upload {
    upload: Box<dyn MultipartUpload>,
    limit: Option<Arc<Limit>>,
    span: Span,
}

#[async_trait::async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let (limit, length) = (self.limit.clone(), data.content_length());
        let part = self.upload.put_part(data);
        let span = self.span.clone();
        Box::pin(async move {
            take(limit.as_deref(), length).await;
            part.instrument(span).await
        })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        self.upload.complete().instrument(self.span.clone()).await
    }

    async fn abort(&mut self) -> Result<()> {
        self.upload.abort().instrument(self.span.clone()).await
    }
}
