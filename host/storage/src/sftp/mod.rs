//! A directory on another host, by SFTP over the program `ssh`.
//!
//! `ssh` brings what nobody should do again: its known hosts, keys, agents, certificates, jump hosts and the user's own configuration. The
//! protocol is `draft-ietf-secsh-filexfer-02` (version 3) with the extensions of OpenSSH where the server has them.
//!
//! An object is written under another name, synced, and renamed, so that it is there whole or not at all.

mod channel;
mod failure;
mod place;
mod protocol;
mod session;

use std::fmt;
use std::future::Future;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::DateTime;
use futures::stream::BoxStream;
use futures::{StreamExt as _, stream};
use object_store::path::Path;
use object_store::{
    Attributes, CopyMode, CopyOptions, Extensions, GetOptions, GetResult, GetResultPayload,
    ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt as _, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use tokio::runtime::Handle;
use tokio::sync::Mutex;

pub(crate) use self::failure::{Error, Failure};
pub(crate) use self::place::Place;
use self::protocol::Attributes as FileAttributes;
use self::session::{Reading, Session};
use crate::limit::Limit;
use crate::retry::pause;
use crate::walk;

/// How the names of files begin that are not objects yet, or never became any.
const TEMPORARY: &str = ".copal-";

/// Objects removed at the same time.
const REMOVALS: usize = 16;

/// A directory on another host. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Sftp(Arc<Remote>);

#[derive(Debug)]
struct Remote {
    place: Place,
    timeout: Duration,
    upload: Option<Arc<Limit>>,
    /// The connection, once there is one.
    session: Mutex<Option<Arc<Session>>>,
}

impl Sftp {
    pub(crate) fn new(place: Place, timeout: Duration, upload: Option<Arc<Limit>>) -> Self {
        Self(Arc::new(Remote {
            place,
            timeout,
            upload,
            session: Mutex::default(),
        }))
    }

    fn file(&self, path: &Path) -> String {
        self.below(path.as_ref())
    }

    fn below(&self, path: &str) -> String {
        match path {
            "" => self.0.place.root.clone(),
            path => format!("{}/{path}", self.0.place.root),
        }
    }

    /// Writes a file under another name and hands that on to be given its own.
    async fn write<F: Future<Output = Result<(), Failure>>>(
        &self,
        location: &Path,
        payload: &PutPayload,
        place: impl Fn(Arc<Session>, String) -> F,
    ) -> Result<()> {
        let parent = location
            .as_ref()
            .rsplit_once('/')
            .map_or("", |(parent, _)| parent);
        let directory = self.below(parent);
        let written = self.0.perform(|session| {
            let (directory, place) = (&directory, &place);
            async move {
                // A name of its own for each attempt: what a lost connection left may still be there.
                let name = format!("{TEMPORARY}{:016x}", rand::random::<u64>());
                let temporary = &format!("{directory}/{name}");
                let handle = match session.create(temporary).await {
                    Err(failure) if failure.is_not_found() => {
                        session.make_directories(directory).await?;
                        session.create(temporary).await?
                    }
                    handle => handle?,
                };
                let unplaced = Unplaced::new(&session, temporary);
                let content = payload.iter().cloned();
                let filled = session
                    .fill(&handle, content, self.0.upload.as_deref())
                    .await;
                let placed = match filled {
                    Ok(()) => place(session.clone(), temporary.clone()).await,
                    failed => failed,
                };
                if placed.is_err() && session.remove(temporary).await.is_err() {
                    tracing::debug!(temporary, "a file that was not finished stays");
                }
                unplaced.settle();
                placed
            }
        });
        written
            .await
            .map_err(|error| error.about(location.as_ref()))
    }
}

/// A file that has not got its name yet. It is removed where nobody waits any more for it to get one.
struct Unplaced {
    session: Arc<Session>,
    temporary: Option<String>,
    runtime: Handle,
}

impl Unplaced {
    /// To be called within a runtime.
    fn new(session: &Arc<Session>, temporary: &str) -> Self {
        Self {
            session: session.clone(),
            temporary: Some(temporary.to_owned()),
            runtime: Handle::current(),
        }
    }

    /// It has its name, or is gone.
    fn settle(mut self) {
        self.temporary = None;
    }
}

impl Drop for Unplaced {
    fn drop(&mut self) {
        let Some(temporary) = self.temporary.take() else {
            return;
        };
        let session = self.session.clone();
        self.runtime.spawn(async move {
            if session.remove(&temporary).await.is_err() {
                tracing::debug!(temporary, "a file that was not finished stays");
            }
        });
    }
}

impl Remote {
    /// The connection.
    async fn session(&self) -> Result<Arc<Session>, Failure> {
        let mut current = self.session.lock().await;
        if let Some(session) = &*current {
            return Ok(session.clone());
        }
        let session = Arc::new(Session::open(&self.place, self.timeout).await?);
        *current = Some(session.clone());
        Ok(session)
    }

    /// Does some work, and does it again over another connection where one broke.
    async fn perform<T, F>(&self, work: impl Fn(Arc<Session>) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let mut attempts = 1;
        loop {
            let failure = match self.session().await {
                Ok(session) => match work(session.clone()).await {
                    Ok(done) => return Ok(done),
                    Err(failure) => {
                        self.forget(&failure, &session).await;
                        failure
                    }
                },
                Err(failure) => failure,
            };
            attempts = wait(failure, attempts).await?;
        }
    }

    /// Uses a connection no more that broke.
    async fn forget(&self, failure: &Failure, session: &Arc<Session>) {
        let mut current = self.session.lock().await;
        if failure.may_pass()
            && current
                .as_ref()
                .is_some_and(|current| Arc::ptr_eq(current, session))
        {
            *current = None;
        }
    }
}

/// Waits before the next attempt, whose number it returns, where there is to be one.
async fn wait(failure: Failure, attempts: u32) -> Result<u32, Error> {
    if failure.may_pass() && pause(&failure, attempts).await {
        return Ok(attempts + 1);
    }
    Err(Error { failure, attempts })
}

/// What is read from one object, over another connection where one broke.
struct Content {
    remote: Arc<Remote>,
    location: Path,
    file: String,
    rest: Range<u64>,
    bytes: BoxStream<'static, Result<Bytes, Failure>>,
    attempts: u32,
}

impl Content {
    async fn next(mut self) -> Result<Option<(Bytes, Self)>> {
        loop {
            let failure = match self.bytes.next().await {
                None => return Ok(None),
                Some(Ok(bytes)) => {
                    self.rest.start += bytes.len() as u64;
                    return Ok(Some((bytes, self)));
                }
                Some(Err(failure)) => failure,
            };
            let about = |error: Error| error.about(self.location.as_ref());
            self.attempts = wait(failure, self.attempts).await.map_err(about)?;
            let file = &self.file;
            let opened = self
                .remote
                .perform(|session| Reading::open(session, file))
                .await;
            self.bytes = opened.map_err(about)?.bytes(self.rest.start, self.rest.end);
        }
    }
}

impl fmt::Display for Sftp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.place.fmt(f)
    }
}

#[async_trait::async_trait]
impl ObjectStore for Sftp {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let target = &self.file(location);
        match options.mode {
            PutMode::Overwrite => {
                let replace = |session: Arc<Session>, temporary: String| async move {
                    session.replace(&temporary, target).await
                };
                self.write(location, &payload, replace).await?;
            }
            PutMode::Create => {
                let place = |session: Arc<Session>, temporary: String| async move {
                    session.rename(&temporary, target).await
                };
                if let Err(source) = self.write(location, &payload, place).await {
                    // Every server says in its own way that a name is taken.
                    return Err(match self.head(location).await {
                        Ok(_) => object_store::Error::AlreadyExists {
                            path: location.to_string(),
                            source: Box::new(source),
                        },
                        Err(_) => source,
                    });
                }
            }
            PutMode::Update(_) => return Err(missing("`put_opts` with `PutMode::Update`")),
        }
        Ok(PutResult {
            e_tag: None,
            version: None,
            extensions: Extensions::default(),
        })
    }

    async fn put_multipart_opts(
        &self,
        _location: &Path,
        _options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        Err(missing("`put_multipart_opts`"))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let file = &self.file(location);
        let about = |error: Error| error.about(location.as_ref());
        let opened = match options.head {
            true => {
                let looked = |session: Arc<Session>| async move { session.stat(file).await };
                Err(self.0.perform(looked).await.map_err(about)?)
            }
            false => {
                let opened = self.0.perform(|session| Reading::open(session, file)).await;
                Ok(opened.map_err(about)?)
            }
        };
        let attributes = opened
            .as_ref()
            .map_or_else(|found| found, |reading| &reading.attributes);
        if attributes.is_directory() {
            return Err(object_store::Error::NotFound {
                path: location.to_string(),
                source: "it is a directory".into(),
            });
        }
        let meta = object(location.clone(), attributes);
        options.check_preconditions(&meta)?;
        let invalid = |error| object_store::Error::Generic {
            store: "SFTP",
            source: Box::new(error) as Box<dyn std::error::Error + Send + Sync>,
        };
        let range = match &options.range {
            Some(range) => range.as_range(meta.size).map_err(invalid)?,
            None => 0..meta.size,
        };
        let bytes = match opened {
            Ok(reading) => reading.bytes(range.start, range.end),
            Err(_) => stream::empty().boxed(),
        };
        let content = Content {
            remote: self.0.clone(),
            location: location.clone(),
            file: file.clone(),
            rest: range.clone(),
            bytes,
            attempts: 1,
        };
        Ok(GetResult {
            payload: GetResultPayload::Stream(stream::try_unfold(content, Content::next).boxed()),
            meta,
            range,
            attributes: Attributes::default(),
            extensions: Extensions::default(),
        })
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let this = self.clone();
        let removals = locations.map(move |location| {
            let this = this.clone();
            async move {
                let location = location?;
                let file = &this.file(&location);
                let remove = |session: Arc<Session>| async move { session.remove(file).await };
                let removed = this.0.perform(remove).await;
                removed.map_err(|error| error.about(location.as_ref()))?;
                Ok(location)
            }
        });
        removals.buffered(REMOVALS).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        walk::list(Arc::new(self.clone()), prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let prefix = prefix.cloned().unwrap_or_default();
        let directory = &self.file(&prefix);
        let look = |session: Arc<Session>| async move {
            match session.entries(directory).await {
                Err(failure) if failure.is_not_found() => Ok(Vec::new()),
                entries => entries,
            }
        };
        let entries = self.0.perform(look).await;
        let entries = entries.map_err(|error| error.about(prefix.as_ref()))?;
        let mut found = ListResult {
            common_prefixes: Vec::new(),
            objects: Vec::new(),
            extensions: Extensions::default(),
        };
        for (name, attributes) in entries {
            if name.starts_with(TEMPORARY) {
                continue;
            }
            // A name that can't be an object's is none.
            let Ok(location) = Path::parse(format!("{prefix}/{name}")) else {
                continue;
            };
            if attributes.is_directory() {
                found.common_prefixes.push(location);
            } else if attributes.is_file() {
                found.objects.push(object(location, &attributes));
            }
        }
        Ok(found)
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let content = self.get(from).await?.bytes().await?;
        let mode = match options.mode {
            CopyMode::Overwrite => PutMode::Overwrite,
            CopyMode::Create => PutMode::Create,
        };
        self.put_opts(to, content.into(), mode.into()).await?;
        Ok(())
    }
}

fn object(location: Path, attributes: &FileAttributes) -> ObjectMeta {
    let modified = attributes.modified.map(i64::from).unwrap_or_default();
    ObjectMeta {
        location,
        last_modified: DateTime::from_timestamp(modified, 0).unwrap_or_default(),
        size: attributes.size.unwrap_or_default(),
        e_tag: None,
        version: None,
    }
}

fn missing(operation: &str) -> object_store::Error {
    object_store::Error::NotImplemented {
        operation: operation.to_owned(),
        implementer: "SFTP".to_owned(),
    }
}
