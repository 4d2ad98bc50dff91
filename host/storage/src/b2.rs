//! Backblaze B2, by its interface of S3. Where that is depends on the account, so the service is asked before anything else.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use http::header::AUTHORIZATION;
use object_store::aws::AmazonS3Builder;
use object_store::client::{
    HttpClient, HttpConnector as _, HttpErrorKind, HttpRequest, HttpRequestBody,
};
use object_store::path::Path;
use object_store::{
    ClientOptions, CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use serde::Deserialize;
use tokio::sync::OnceCell;

use crate::retry::{RETRY, pause};
use crate::transport::Transport;

/// Who may use a bucket.
#[derive(Clone)]
pub(crate) struct Account {
    pub(crate) key_id: String,
    pub(crate) key: String,
    /// Where B2 is asked: its own address, but in tests.
    pub(crate) realm: String,
}

/// The address of B2.
pub(crate) const REALM: &str = "https://api.backblazeb2.com";

/// A bucket.
#[derive(Clone)]
pub(crate) struct B2(Arc<Bucket>);

struct Bucket {
    name: String,
    account: Account,
    transport: Transport,
    /// The bucket by its interface of S3, once that is known.
    store: OnceCell<Arc<dyn ObjectStore>>,
}

/// What `b2_authorize_account` answers, version 3, as far as it matters.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Authorized {
    api_info: ApiInfo,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ApiInfo {
    storage_api: StorageApi,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StorageApi {
    s3_api_url: String,
}

impl B2 {
    pub(crate) fn new(name: String, account: Account, transport: Transport) -> Self {
        Self(Arc::new(Bucket {
            name,
            account,
            transport,
            store: OnceCell::new(),
        }))
    }

    async fn store(&self) -> Result<Arc<dyn ObjectStore>> {
        let store = self.0.store.get_or_try_init(|| self.0.open());
        store.await.cloned()
    }

    /// What a stream yields once the store is known.
    fn then<T: Send + 'static>(
        &self,
        streams: impl FnOnce(Arc<dyn ObjectStore>) -> BoxStream<'static, Result<T>> + Send + 'static,
    ) -> BoxStream<'static, Result<T>> {
        let this = self.clone();
        stream::once(async move { this.store().await.map(streams) })
            .try_flatten()
            .boxed()
    }
}

impl Bucket {
    async fn open(&self) -> Result<Arc<dyn ObjectStore>> {
        let endpoint = self.endpoint().await?;
        let host = endpoint.split("://").nth(1).unwrap_or_default();
        // As in s3.us-west-004.backblazeb2.com.
        let region = host
            .strip_prefix("s3.")
            .and_then(|rest| rest.split('.').next());
        let store = AmazonS3Builder::new()
            .with_bucket_name(&self.name)
            .with_access_key_id(&self.account.key_id)
            .with_secret_access_key(&self.account.key)
            .with_region(region.unwrap_or("us-east-1"))
            .with_allow_http(endpoint.starts_with("http:"))
            .with_endpoint(&endpoint)
            .with_retry(RETRY)
            .with_http_connector(self.transport.clone())
            .build()?;
        Ok(Arc::new(store))
    }

    /// The address of this account's interface of S3.
    async fn endpoint(&self) -> Result<String> {
        let realm = self.account.realm.trim_end_matches('/');
        let options = ClientOptions::new().with_allow_http(realm.starts_with("http:"));
        let client = self.transport.connect(&options)?;
        let mut attempts = 1;
        loop {
            let error = match self.authorize(&client, realm).await {
                Ok(endpoint) => return Ok(endpoint),
                Err(error) => error,
            };
            if !error.may_pass() || !pause(&error, attempts).await {
                return Err(error.into());
            }
            attempts += 1;
        }
    }

    async fn authorize(&self, client: &HttpClient, realm: &str) -> Result<String, Error> {
        let Account { key_id, key, .. } = &self.account;
        let credentials = BASE64.encode(format!("{key_id}:{key}"));
        let request: HttpRequest =
            http::Request::get(format!("{realm}/b2api/v3/b2_authorize_account"))
                .header(AUTHORIZATION, format!("Basic {credentials}"))
                .body(HttpRequestBody::empty())?;
        let answer = client.execute(request).await?;
        let status = answer.status();
        let body = answer.into_body().bytes().await?;
        if !status.is_success() {
            let body = String::from_utf8_lossy(&body).into_owned();
            return Err(Error::Status(status.as_u16(), body));
        }
        let authorized: Authorized = serde_json::from_slice(&body)?;
        Ok(authorized.api_info.storage_api.s3_api_url)
    }
}

/// Why the service does not say where its interface of S3 is. Texts are as in `object_store`, where they are read.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("the address of B2 is none: {0}")]
    Address(#[from] http::Error),
    #[error("{0}")]
    Http(#[from] object_store::client::HttpError),
    #[error("Server returned non-2xx status code: {0}: {1}")]
    Status(u16, String),
    #[error("B2's answer is not understood: {0}")]
    Answer(#[from] serde_json::Error),
}

impl Error {
    fn may_pass(&self) -> bool {
        match self {
            Self::Http(error) => error.kind() != HttpErrorKind::Decode,
            Self::Status(status, _) => matches!(status, 408 | 429 | 500..),
            Self::Address(_) | Self::Answer(_) => false,
        }
    }
}

impl From<Error> for object_store::Error {
    fn from(error: Error) -> Self {
        Self::Generic {
            store: "B2",
            source: Box::new(error),
        }
    }
}

impl fmt::Debug for B2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("B2").field(&self.0.name).finish()
    }
}

impl fmt::Display for B2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b2://{}", self.0.name)
    }
}

#[async_trait::async_trait]
#[deny(clippy::missing_trait_methods)]
impl ObjectStore for B2 {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        self.store()
            .await?
            .put_opts(location, payload, options)
            .await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.store()
            .await?
            .put_multipart_opts(location, options)
            .await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.store().await?.get_opts(location, options).await
    }

    async fn get_ranges(
        &self,
        location: &Path,
        ranges: &[std::ops::Range<u64>],
    ) -> Result<Vec<bytes::Bytes>> {
        self.store().await?.get_ranges(location, ranges).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.then(move |store| store.delete_stream(locations))
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let prefix = prefix.cloned();
        self.then(move |store| store.list(prefix.as_ref()))
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        let (prefix, offset) = (prefix.cloned(), offset.clone());
        self.then(move |store| store.list_with_offset(prefix.as_ref(), &offset))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.store().await?.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.store().await?.copy_opts(from, to, options).await
    }

    async fn rename_opts(
        &self,
        from: &Path,
        to: &Path,
        options: object_store::RenameOptions,
    ) -> Result<()> {
        self.store().await?.rename_opts(from, to, options).await
    }
}
