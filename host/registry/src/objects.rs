//! Releases in object stores.

use bytes::Bytes;
use copal_storage::object_store::path::Path;
use copal_storage::object_store::{Error as StoreError, ObjectStoreExt as _};
use copal_storage::{Error as StorageError, Store};
use copal_trust::Bundle;
use futures::TryStreamExt as _;

use crate::folder::statement_last;
use crate::gather::difference;
use crate::place::Item;
use crate::probe::{self, Shelf};
use crate::{Error, archive};

/// Fetches what is meant from a folder of an object store.
pub(crate) async fn fetch(store: &Store, place: &str, item: &Item) -> Result<Bundle, Error> {
    probe::fetch(&Objects { store, place }, place, item).await
}

/// Publishes a release into a folder of an object store, as its files or as one archive.
pub(crate) async fn publish(
    bundle: &Bundle,
    store: &Store,
    place: &str,
    item: &Item,
    replace: bool,
) -> Result<(), Error> {
    let objects = Objects { store, place };
    let occupied = |found: String| Error::Occupied {
        place: place.to_owned(),
        found,
    };
    if let Item::Archive(name) = item {
        let archive = archive::write(bundle)
            .map_err(|source| crate::folder::failed(place, "make", "the archive", source))?;
        let existing = objects.get(name, archive::max_size()).await?;
        if existing.is_some_and(|existing| existing != archive) && !replace {
            return Err(occupied("another archive".to_owned()));
        }
        return objects.put(name, archive).await;
    }
    let existing = match probe::probe(&objects, place, &Item::Release).await {
        Err(Error::Empty { .. }) => Bundle::default(),
        existing => existing?,
    };
    if let Some(found) = difference(&existing, bundle) {
        if !replace {
            return Err(occupied(found));
        }
        // The statement goes first and comes last, so that it never stands beside what it is not about.
        let names: Vec<_> = statement_last(&existing).map(|file| file.0).collect();
        for name in names.into_iter().rev() {
            objects.delete(name).await?;
        }
    }
    for (name, bytes) in statement_last(bundle) {
        objects.put(name, bytes.clone()).await?;
    }
    Ok(())
}

struct Objects<'a> {
    store: &'a Store,
    place: &'a str,
}

impl Objects<'_> {
    fn failed(&self, action: &'static str, name: &str, error: StoreError) -> Error {
        StorageError::new(self.store.location(), action, name, error).into()
    }

    async fn put(&self, name: &str, bytes: Bytes) -> Result<(), Error> {
        let path = self.path(name)?;
        let put = self.store.objects().put(&path, bytes.into()).await;
        put.map(drop)
            .map_err(|error| self.failed("write", name, error))
    }

    async fn delete(&self, name: &str) -> Result<(), Error> {
        let path = self.path(name)?;
        match self.store.objects().delete(&path).await {
            Ok(()) | Err(StoreError::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.failed("remove", name, error)),
        }
    }

    /// A name may be one of the operator's own: of an archive in an address.
    fn path(&self, name: &str) -> Result<Path, Error> {
        Path::parse(name).map_err(|error| Error::Address {
            place: self.place.to_owned(),
            reason: error.to_string(),
        })
    }
}

impl Shelf for Objects<'_> {
    async fn get(&self, name: &str, limit: usize) -> Result<Option<Bytes>, Error> {
        let path = self.path(name)?;
        let failed = |error| match self.failed("read", name, error) {
            Error::Storage(StorageError::Denied { .. }) => Error::Denied {
                place: self.place.to_owned(),
                file: name.to_owned(),
                status: 403,
            },
            error => error,
        };
        let too_large = || Error::TooLarge {
            place: self.place.to_owned(),
            file: name.to_owned(),
            limit,
        };
        let found = match self.store.objects().get(&path).await {
            Ok(found) if found.meta.size > limit as u64 => return Err(too_large()),
            Ok(found) => found,
            Err(StoreError::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let mut bytes = Vec::with_capacity(found.meta.size as usize);
        let mut stream = found.into_stream();
        while let Some(chunk) = stream.try_next().await.map_err(failed)? {
            if bytes.len() + chunk.len() > limit {
                return Err(too_large());
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(Some(bytes.into()))
    }
}

#[cfg(test)]
mod tests {
    use copal_tests::s3::S3Server;
    use copal_trust::{COMPONENT, PUBLISHER, STATEMENT};

    use super::*;

    fn release(component: &'static str) -> Bundle {
        let mut bundle = Bundle::default();
        for (name, content) in [
            (COMPONENT, component),
            (STATEMENT, "{}"),
            ("release.json.minisig", "signature"),
            (PUBLISHER, r#"{"version":2}"#),
            ("publisher.1.json", r#"{"version":1}"#),
        ] {
            bundle
                .insert(name, Bytes::from_static(content.as_bytes()))
                .unwrap();
        }
        bundle
    }

    /// Publishes and fetches a release, another one, and the first again.
    async fn goes_round(store: &Store, item: &Item) {
        let (first, mut second) = (release("first"), Bundle::default());
        second
            .insert(COMPONENT, Bytes::from_static(b"second"))
            .unwrap();
        publish(&first, store, "here", item, false).await.unwrap();
        publish(&first, store, "here", item, false).await.unwrap();
        let error = publish(&second, store, "here", item, false).await;
        assert_eq!(error.unwrap_err().kind(), "occupied");
        assert_eq!(fetch(store, "here", item).await.unwrap(), first);
        publish(&second, store, "here", item, true).await.unwrap();
        assert_eq!(fetch(store, "here", item).await.unwrap(), second);
    }

    #[tokio::test]
    async fn a_release_goes_through_an_object_store_as_files_and_as_an_archive() {
        let store = copal_storage::open("memory:").unwrap();
        goes_round(&store, &Item::Release).await;
        goes_round(&store, &Item::Archive("notebook.tar".to_owned())).await;
        let publisher = Item::Publisher;
        let error = fetch(&store, "here", &publisher).await.unwrap_err();
        assert_eq!(error.kind(), "empty");
        let missing = Item::Component("x.wasm".to_owned());
        let error = fetch(&store, "here/x.wasm", &missing).await.unwrap_err();
        assert_eq!(error.to_string(), "here/x.wasm does not exist");
    }

    #[tokio::test]
    async fn what_is_too_large_is_not_read() {
        let store = copal_storage::open("memory:").unwrap();
        let path = Path::from(STATEMENT);
        let large = vec![b' '; (1 << 20) + 1];
        store.objects().put(&path, large.into()).await.unwrap();
        let error = fetch(&store, "here", &Item::Release).await.unwrap_err();
        assert_eq!(error.kind(), "too-large");
    }

    #[test]
    fn a_release_goes_through_s3() {
        let scratch = tempfile::tempdir().unwrap();
        let server = S3Server::start(scratch.path());
        let options = copal_storage::Options {
            variables: server.variables(),
            ..copal_storage::Options::default()
        };
        let store = copal_storage::open_with("s3://backups/plugins/notebook", &options).unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(goes_round(&store, &Item::Release));
    }
}
