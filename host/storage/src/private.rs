//! A directory whose files are their owner's alone, or a group's that has been let into it.

use std::fmt;
use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::PathBuf;

use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result, UploadPart,
};
use tokio::runtime::Handle;

/// Files of a local directory. As soon as each is there it gets mode 0600, or 0660 in a folder that its group may write to: the store itself leaves
/// modes to the umask.
#[derive(Debug)]
pub(crate) struct Private(LocalFileSystem);

impl Private {
    pub(crate) fn new() -> Self {
        Self(LocalFileSystem::new().with_fsync(true))
    }
}

/// Leaves a file to its owner, and to its group where that is the folder's and may write there.
async fn restrict(file: PathBuf) -> Result<()> {
    let work = move || match restrict_now(&file) {
        // Somebody has removed it, as whoever breaks a stale lock does, or the file system has no modes.
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::NotFound | ErrorKind::PermissionDenied | ErrorKind::Unsupported
            ) =>
        {
            Ok(())
        }
        done => done.map_err(|source| object_store::Error::Generic {
            store: "LocalFileSystem",
            source: format!("can't set the mode of {}: {source}", file.display()).into(),
        }),
    };
    // As the store itself does it.
    match Handle::try_current() {
        Ok(runtime) => runtime.spawn_blocking(work).await?,
        Err(_) => work(),
    }
}

fn restrict_now(file: &std::path::Path) -> io::Result<()> {
    const GROUP: u32 = 0o060;
    let folder = file.parent().map(fs::metadata).transpose()?;
    let group = fs::metadata(file)?.gid();
    let shares = |folder: fs::Metadata| folder.mode() & GROUP == GROUP && folder.gid() == group;
    let shared = if folder.is_some_and(shares) { GROUP } else { 0 };
    fs::set_permissions(file, Permissions::from_mode(0o600 | shared))
}

impl fmt::Display for Private {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[async_trait::async_trait]
#[deny(clippy::missing_trait_methods)]
impl ObjectStore for Private {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let put = self.0.put_opts(location, payload, options).await?;
        restrict(self.0.path_to_filesystem(location)?).await?;
        Ok(put)
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        Ok(Box::new(Upload {
            path: self.0.path_to_filesystem(location)?,
            upload: self.0.put_multipart_opts(location, options).await?,
        }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.0.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.0.get_ranges(location, ranges).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.0.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.0.list(prefix)
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        self.0.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.0.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.0.copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.0.rename_opts(from, to, options).await
    }
}

/// A file that comes in parts.
#[derive(Debug)]
struct Upload {
    path: PathBuf,
    upload: Box<dyn MultipartUpload>,
}

#[async_trait::async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.upload.put_part(data)
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let put = self.upload.complete().await?;
        restrict(self.path.clone()).await?;
        Ok(put)
    }

    async fn abort(&mut self) -> Result<()> {
        self.upload.abort().await
    }
}
