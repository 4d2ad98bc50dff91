//! A store that does one of its operations wrong.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use copal_storage::object_store::path::Path;
use copal_storage::object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, ObjectStoreExt as _, PutMultipartOptions, PutOptions, PutPayload,
    PutResult, Result,
};
use futures::stream::{self, BoxStream};
use futures::{StreamExt as _, TryStreamExt as _};

/// What a store is asked for. The engine copies nothing and renames nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Put,
    Get,
    List,
    Delete,
    Head,
}

/// What goes wrong with an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is not done, and fails.
    Fails,
    /// It is done, and fails.
    FailsAfterwards,
    /// Half of it is done, and it fails.
    DoneByHalf,
    /// It takes a while.
    Delays,
    /// It is not done, and is said to be.
    Loses,
    /// It is done twice; of a listing, each object comes twice.
    Repeats,
    /// A listing lacks the newest object.
    Stale,
    /// A bit of what is read is another.
    Flips,
    /// What is read lacks its last byte.
    Shortens,
    /// What is read has a byte more.
    Lengthens,
    /// It fails, and so does whatever else would change something: as if the process had been killed. Writes and removals are counted together.
    Dies,
}

impl Fault {
    /// Those that befall an operation, and which of them deceive: whoever asked can't know.
    pub(crate) fn of(operation: Operation) -> &'static [Self] {
        match operation {
            Operation::Put => &[
                Self::Fails,
                Self::FailsAfterwards,
                Self::DoneByHalf,
                Self::Delays,
                Self::Repeats,
                Self::Dies,
                Self::Loses,
            ],
            Operation::Get => &[
                Self::Fails,
                Self::DoneByHalf,
                Self::Delays,
                Self::Flips,
                Self::Shortens,
                Self::Lengthens,
            ],
            Operation::List => &[
                Self::Fails,
                Self::DoneByHalf,
                Self::Delays,
                Self::Repeats,
                Self::Stale,
            ],
            Operation::Delete => &[
                Self::Fails,
                Self::FailsAfterwards,
                Self::Delays,
                Self::Repeats,
                Self::Loses,
            ],
            Operation::Head => &[Self::Fails, Self::Delays],
        }
    }
}

/// How long an operation takes that is delayed: longer than all others of a small repository together.
const DELAY: Duration = Duration::from_millis(20);

/// Which operation goes wrong, and how.
#[derive(Debug)]
pub(crate) struct Plan {
    operation: Operation,
    /// So many of its kind go well before.
    after: usize,
    fault: Fault,
    seen: AtomicUsize,
    dead: AtomicBool,
    hit: Mutex<Option<Path>>,
}

impl Plan {
    pub(crate) fn new(operation: Operation, after: usize, fault: Fault) -> Arc<Self> {
        Arc::new(Self {
            operation,
            after,
            fault,
            seen: AtomicUsize::new(0),
            dead: AtomicBool::new(false),
            hit: Mutex::default(),
        })
    }

    /// The object, or the prefix of a listing, that it went wrong with, if the operation was asked for at all.
    pub(crate) fn hit(&self) -> Option<Path> {
        self.hit.lock().unwrap().clone()
    }

    /// What goes wrong with an operation that is about to be done.
    fn meets(&self, operation: Operation, path: &Path) -> Result<Option<Fault>> {
        let changes = matches!(operation, Operation::Put | Operation::Delete);
        if changes && self.dead.load(Ordering::SeqCst) {
            return Err(failure());
        }
        // To a process that dies all changes are alike.
        let counts = operation == self.operation || self.fault == Fault::Dies && changes;
        if !counts || self.seen.fetch_add(1, Ordering::SeqCst) != self.after {
            return Ok(None);
        }
        *self.hit.lock().unwrap() = Some(path.clone());
        match self.fault {
            Fault::Dies => {
                self.dead.store(true, Ordering::SeqCst);
                Err(failure())
            }
            Fault::Fails => Err(failure()),
            fault => Ok(Some(fault)),
        }
    }
}

fn failure() -> Error {
    Error::Generic {
        store: "faulty",
        source: "it is meant to fail".into(),
    }
}

/// A store of which one operation goes wrong.
#[derive(Debug, Clone)]
pub(crate) struct Faulty {
    store: Arc<dyn ObjectStore>,
    plan: Arc<Plan>,
}

impl Faulty {
    pub(crate) fn over(store: Arc<dyn ObjectStore>, plan: &Arc<Plan>) -> Arc<dyn ObjectStore> {
        Arc::new(Self {
            store,
            plan: Arc::clone(plan),
        })
    }

    async fn delete_one(&self, path: Path) -> Result<Path> {
        match self.plan.meets(Operation::Delete, &path)? {
            Some(Fault::Loses) => return Ok(path),
            Some(Fault::FailsAfterwards) => {
                self.store.delete(&path).await?;
                return Err(failure());
            }
            Some(Fault::Repeats) => self.store.delete(&path).await?,
            Some(_) => tokio::time::sleep(DELAY).await,
            None => {}
        }
        self.store.delete(&path).await.map(|()| path)
    }
}

impl fmt::Display for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.store.fmt(f)
    }
}

#[async_trait::async_trait]
impl ObjectStore for Faulty {
    async fn put_opts(
        &self,
        at: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let put = |payload| self.store.put_opts(at, payload, options.clone());
        match self.plan.meets(Operation::Put, at)? {
            Some(Fault::FailsAfterwards) => {
                put(payload).await?;
                return Err(failure());
            }
            Some(Fault::DoneByHalf) => {
                let bytes = bytes::Bytes::from(payload);
                put(bytes.slice(..bytes.len() / 2).into()).await?;
                return Err(failure());
            }
            Some(Fault::Loses) => {
                return Ok(PutResult {
                    e_tag: None,
                    version: None,
                    extensions: Default::default(),
                });
            }
            Some(Fault::Repeats) => drop(put(payload.clone()).await?),
            Some(_) => tokio::time::sleep(DELAY).await,
            None => {}
        }
        put(payload).await
    }

    async fn put_multipart_opts(
        &self,
        at: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.plan.meets(Operation::Put, at)?;
        self.store.put_multipart_opts(at, options).await
    }

    async fn get_opts(&self, at: &Path, options: GetOptions) -> Result<GetResult> {
        let operation = match options.head {
            true => Operation::Head,
            false => Operation::Get,
        };
        let fault = self.plan.meets(operation, at)?;
        let mut got = self.store.get_opts(at, options).await?;
        let Some(fault) = fault.filter(|fault| *fault != Fault::Delays) else {
            if fault.is_some() {
                tokio::time::sleep(DELAY).await;
            }
            return Ok(got);
        };
        let (range, meta) = (got.range.clone(), got.meta.clone());
        let mut bytes = got.bytes().await?.to_vec();
        let mut rest = Vec::new();
        let middle = bytes.len() / 2;
        match fault {
            Fault::Flips => bytes[middle] ^= 1,
            Fault::Shortens => bytes.truncate(bytes.len().saturating_sub(1)),
            Fault::Lengthens => bytes.push(0),
            _ => {
                bytes.truncate(middle);
                rest.push(Err(failure()));
            }
        }
        let all = std::iter::once(Ok(bytes.into())).chain(rest);
        got = GetResult {
            payload: GetResultPayload::Stream(stream::iter(all).boxed()),
            meta,
            range,
            attributes: Default::default(),
            extensions: Default::default(),
        };
        Ok(got)
    }

    fn delete_stream(
        &self,
        paths: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        let delete = move |path| {
            let store = store.clone();
            async move { store.delete_one(path).await }
        };
        paths.and_then(delete).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let listed = self.store.list(prefix);
        let fault = match self
            .plan
            .meets(Operation::List, prefix.unwrap_or(&Path::default()))
        {
            Ok(None) => return listed,
            Ok(Some(fault)) => fault,
            Err(error) => return stream::once(async move { Err(error) }).boxed(),
        };
        let all = async move {
            let mut objects: Vec<_> = listed.collect().await;
            let newest = objects
                .iter()
                .enumerate()
                .filter_map(|(at, object)| Some((object.as_ref().ok()?.last_modified, at)))
                .max();
            match fault {
                Fault::Stale => {
                    if let Some((_, at)) = newest {
                        drop(objects.remove(at));
                    }
                }
                Fault::Repeats => {
                    let again = objects.iter().flatten().cloned().map(Ok);
                    objects.extend(again.collect::<Vec<_>>());
                }
                Fault::DoneByHalf => {
                    objects.truncate(objects.len() / 2);
                    objects.push(Err(failure()));
                }
                _ => tokio::time::sleep(DELAY).await,
            }
            Ok::<_, Error>(stream::iter(objects))
        };
        stream::once(all).try_flatten().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.store.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.store.copy_opts(from, to, options).await
    }
}
