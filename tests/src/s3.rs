//! An S3 server on loopback.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::dto::*;
use s3s::service::S3ServiceBuilder;
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};
use s3s_fs::FileSystem;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::environment::TestEnvironment;

/// Where the repository of an environment lies on a server.
pub const REPOSITORY: &str = "backups/below/a/prefix";

const BUCKET: &str = "backups";
const ACCESS_KEY: &str = "copal-tests";
const SECRET_KEY: &str = "known to everyone";

/// What a server refuses to delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kept {
    /// Nothing.
    Nothing,
    /// All but what lies in a folder `locks`.
    AllButLocks,
    /// Everything.
    All,
}

/// A server that stores its objects in a directory and ends when dropped.
#[derive(Debug)]
pub struct S3Server {
    port: u16,
    kept: Arc<AtomicU8>,
    _runtime: Runtime,
}

impl S3Server {
    /// Starts a server on a free port, with one bucket, whose files lie in `directory`.
    pub fn start(directory: &Path) -> Self {
        std::fs::create_dir_all(directory.join(BUCKET)).unwrap();
        let kept = Arc::new(AtomicU8::new(Kept::Nothing as u8));
        let files = FileSystem::new(directory).unwrap();
        let mut builder = S3ServiceBuilder::new(Directory(files, Arc::clone(&kept)));
        builder.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        let service = builder.build();
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let port = listener.local_addr().unwrap().port();
        runtime.spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let connection = Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(socket), service.clone())
                    .into_owned();
                // A client that hangs up is its own affair.
                tokio::spawn(async move { connection.await.ok() });
            }
        });
        Self {
            port,
            kept,
            _runtime: runtime,
        }
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// From now on deletes these objects no more.
    pub fn keep(&self, kept: Kept) {
        self.kept.store(kept as u8, Ordering::Relaxed);
    }

    /// The variables that reach this server.
    pub fn variables(&self) -> Vec<(String, String)> {
        self.variables_at(self.port)
    }

    /// The variables that reach it by another port.
    pub fn variables_at(&self, port: u16) -> Vec<(String, String)> {
        let endpoint = format!("http://127.0.0.1:{port}");
        let variables = [
            ("AWS_ENDPOINT_URL", endpoint.as_str()),
            ("AWS_ALLOW_HTTP", "true"),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
            ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
        ];
        let variables = variables.into_iter();
        variables
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    /// An environment whose repository is on this server.
    pub fn environment(&self) -> TestEnvironment {
        self.environment_at(self.port)
    }

    /// An environment whose repository is on this server, reached by another port.
    pub fn environment_at(&self, port: u16) -> TestEnvironment {
        self.reach(TestEnvironment::new(), port)
    }

    /// The environment, with the repository on this server, reached by another port.
    pub fn reach(&self, environment: TestEnvironment, port: u16) -> TestEnvironment {
        environment.at(&format!("s3://{REPOSITORY}"), self.variables_at(port))
    }
}

/// `s3s_fs` with one repair: to S3 an empty delimiter means none, which is how restic asks for everything beneath a prefix.
struct Directory(FileSystem, Arc<AtomicU8>);

impl Directory {
    fn keeps(&self, key: &str) -> bool {
        let kept = self.1.load(Ordering::Relaxed);
        let is_lock = key.split('/').any(|part| part == "locks");
        kept == Kept::All as u8 || (kept == Kept::AllButLocks as u8 && !is_lock)
    }
}

/// Hands operations on as they are.
macro_rules! hand_on {
    ($($name:ident: $input:ty => $output:ty;)*) => {
        #[async_trait::async_trait]
        impl S3 for Directory {
            $(
                async fn $name(&self, request: S3Request<$input>) -> S3Result<S3Response<$output>> {
                    self.0.$name(request).await
                }
            )*

            async fn list_objects_v2(
                &self,
                mut request: S3Request<ListObjectsV2Input>,
            ) -> S3Result<S3Response<ListObjectsV2Output>> {
                request.input.delimiter.take_if(|delimiter| delimiter.is_empty());
                self.0.list_objects_v2(request).await
            }

            async fn delete_object(
                &self,
                request: S3Request<DeleteObjectInput>,
            ) -> S3Result<S3Response<DeleteObjectOutput>> {
                match self.keeps(&request.input.key) {
                    true => Err(s3_error!(AccessDenied, "it is kept")),
                    false => self.0.delete_object(request).await,
                }
            }

            async fn delete_objects(
                &self,
                mut request: S3Request<DeleteObjectsInput>,
            ) -> S3Result<S3Response<DeleteObjectsOutput>> {
                let objects = std::mem::take(&mut request.input.delete.objects);
                let (kept, gone): (Vec<_>, Vec<_>) =
                    objects.into_iter().partition(|object| self.keeps(&object.key));
                request.input.delete.objects = gone;
                let mut response = match request.input.delete.objects.is_empty() {
                    true => S3Response::new(DeleteObjectsOutput::default()),
                    false => self.0.delete_objects(request).await?,
                };
                let refused = kept.into_iter().map(|object| Error {
                    code: Some("AccessDenied".to_owned()),
                    key: Some(object.key),
                    message: Some("it is kept".to_owned()),
                    ..Error::default()
                });
                response.output.errors.get_or_insert_default().extend(refused);
                Ok(response)
            }
        }
    };
}

hand_on! {
    head_bucket: HeadBucketInput => HeadBucketOutput;
    get_bucket_location: GetBucketLocationInput => GetBucketLocationOutput;
    head_object: HeadObjectInput => HeadObjectOutput;
    get_object: GetObjectInput => GetObjectOutput;
    put_object: PutObjectInput => PutObjectOutput;
    copy_object: CopyObjectInput => CopyObjectOutput;
    create_multipart_upload: CreateMultipartUploadInput => CreateMultipartUploadOutput;
    upload_part: UploadPartInput => UploadPartOutput;
    complete_multipart_upload: CompleteMultipartUploadInput => CompleteMultipartUploadOutput;
    abort_multipart_upload: AbortMultipartUploadInput => AbortMultipartUploadOutput;
}
