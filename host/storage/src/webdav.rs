//! A folder of a WebDAV server: what `object_store` leaves open there.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::BoxStream;
use object_store::http::HttpStore;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use crate::{diagnosis, walk};

/// How often an object is written again because somebody else makes a folder that it needs.
const RACES: u32 = 8;

/// How long the first of them is waited for; each later one twice as long as the one before, two and a half seconds in all.
const RACE: Duration = Duration::from_millis(10);

/// A folder of a WebDAV server.
#[derive(Clone, Debug)]
pub(crate) struct WebDav(Arc<HttpStore>);

impl WebDav {
    pub(crate) fn new(store: HttpStore) -> Self {
        Self(Arc::new(store))
    }
}

impl fmt::Display for WebDav {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Whether a folder that was to be made was there already (405; RFC 4918, section 9.3.1), or is locked while somebody else makes it (423; section 11.3).
fn is_race(error: &object_store::Error) -> bool {
    diagnosis::causes(error)
        .filter_map(|cause| diagnosis::status(&cause.to_string()))
        .any(|status| matches!(status, 405 | 423))
}

#[async_trait::async_trait]
impl ObjectStore for WebDav {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        // Two that need the same folder both make it, and one of them is refused.
        for race in 0..RACES {
            match self
                .0
                .put_opts(location, payload.clone(), options.clone())
                .await
            {
                Err(error) if is_race(&error) => tokio::time::sleep(RACE * (1 << race)).await,
                put => return put,
            }
        }
        self.0.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.0.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.0.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.0.delete_stream(locations)
    }

    /// Folder by folder: a server need not list to any depth (RFC 4918, section 9.1), and some then list one folder without saying so.
    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        walk::list(self.0.clone(), prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.0.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.0.copy_opts(from, to, options).await
    }
}
